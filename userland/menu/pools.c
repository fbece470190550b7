// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * pools: more places for disks: NFS, iSCSI and LVM, as libvirt's storage pools.
 *
 * libvirt mounts, logs in and activates, and asks servers what they offer. A pool is
 * kept only if it could be opened, and is opened at each start of the host from then
 * on. An NFS server that is away is not waited for (retry=0), and NFS is version 4,
 * which needs no services on this host that listen on the network.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "language.h"
#include "pools.h"
#include "ui.h"
#include "util.h"
#include "validate.h"
#include "xml.h"

#define MOUNTS	"/var/lib/libvirt/pools"

static const struct kind {
	int key;
	const char *type;	/* libvirt's word */
	const char *text;
	bool server;		/* is one asked for */
	const char *element, *attr;	/* where a source has what it offers */
	const char *ask;
	const char *xml;	/* with the name, the server, the choice twice */
} kinds[] = {
	{ 'n', "netfs", N_("NFS: a folder of a file server"), true, "dir", "path",
	  N_("Folder that the server exports, for example /srv/guests."),
	  "<pool type='netfs' xmlns:fs='http://libvirt.org/schemas/storagepool/fs/1.0'><name>%s</name>"
	  "<source><host name='%s'/><dir path='%s'/><format type='nfs'/><protocol ver='4'/></source>"
	  "<target><path>" MOUNTS "/%s</path></target>"
	  "<fs:mount_opts><fs:option name='retry=0'/></fs:mount_opts></pool>" },
	{ 'i', "iscsi", N_("iSCSI: disks of a storage server"), true, "device", "path",
	  N_("Name of the target, for example iqn.2026-01.org.example:disks."),
	  "<pool type='iscsi'><name>%s</name>"
	  "<source><host name='%s'/><device path='%s'/></source>"
	  "<target><path>/dev/disk/by-path</path></target></pool>" },
	{ 'l', "logical", N_("LVM: a volume group of this host"), false, "name", NULL,
	  N_("Name of the volume group. Groups are listed in a shell by: vgs"),
	  "<pool type='logical'><name>%s</name>"
	  "<source><name>%s</name><format type='lvm2'/></source>"
	  "<target><path>/dev/%s</path></target></pool>" },
};

static const struct kind *kind_of(const char *type)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(kinds[i].type, type))
			return &kinds[i];
	return NULL;
}

/* What libvirt does for a while, and how it ended. */
struct pool_job {
	virConnectPtr conn;
	virStoragePoolPtr pool;
	const struct kind *kind;
	char *xml;		/* of the pool, or what is asked for its sources */
	char *server;		/* that was asked */
	char *found, *error;
};

static void job_free_all(void *arg)
{
	struct pool_job *job = arg;

	if (job->pool)
		virStoragePoolFree(job->pool);
	virConnectClose(job->conn);
	free(job->xml);
	free(job->server);
	free(job->found);
	free(job->error);
	free(job);
}

static struct pool_job *pool_job(virConnectPtr conn, const struct kind *kind, char *xml)
{
	struct pool_job *job = xrealloc(NULL, sizeof(*job));

	virConnectRef(conn);
	*job = (struct pool_job){ .conn = conn, .kind = kind, .xml = xml };
	return job;
}

static void find_work(void *arg)
{
	struct pool_job *job = arg;

	job->found = virConnectFindStoragePoolSources(job->conn, job->kind->type, job->xml, 0);
	if (!job->found)
		job->error = virt_error();
}

static const char *check_choice(const char *value, void *data)
{
	const struct kind *k = data;

	for (const char *p = value; *p; p++)
		if (!isgraph((unsigned char)*p))
			return _("That has blanks or characters that are not ASCII. Type it again without them.");
	if (*k->element == 'd' && !strcmp(k->type, "netfs") && *value != '/')
		return _("A folder that a server exports begins with /. Type its full path.");
	return *value && *value != '-' ? NULL : _("That is no name. Type it again.");
}

/* A server's name or address. */
static const char *check_server(const char *value, void *data)
{
	(void)data;
	if (!*value || *value == '-')
		return _("That is no server. Type its name or address, for example 192.168.1.5.");
	for (const char *p = value; *p; p++)
		if (!isascii((unsigned char)*p) || (!isalnum((unsigned char)*p) && !strchr(".-:", *p)))
			return _("A server's name or address has only letters, digits and . - : in it. Type it again.");
	return NULL;
}

/* A row for each source in what libvirt found. */
static void add_sources(struct ui_menu *menu, const struct kind *k, const char *found)
{
	const char *at = found, *start;

	while (at && xml_next(&at, "source", &start)) {
		char *value = k->attr ? xml_attr(start, at, k->element, k->attr) :
			xml_content(start, at, k->element);

		if (value && !check_choice(value, (void *)k))
			ui_menu_add(menu, menu->n < 10 ? '0' + menu->n : 0, "%s", value);
		free(value);
	}
}

static const char *check_name(const char *value, void *data)
{
	const char *problem = name_problem(value);
	virStoragePoolPtr pool = problem ? NULL : virStoragePoolLookupByName(data, value);

	if (pool)
		virStoragePoolFree(pool);
	return pool ? _("There is a pool of that name already. Type another.") : problem;
}

/* What could not be opened is not kept. */
static void open_work(void *arg)
{
	struct pool_job *job = arg;

	job->pool = virStoragePoolDefineXML(job->conn, job->xml, 0);
	/* makes the folder to mount on */
	if (job->pool && !strcmp(job->kind->type, "netfs"))
		virStoragePoolBuild(job->pool, 0);
	if (!job->pool || virStoragePoolCreate(job->pool, 0) < 0)
		job->error = virt_error();
	else
		virStoragePoolSetAutostart(job->pool, 1);
	if (job->pool && job->error)
		virStoragePoolUndefine(job->pool);
}

static char *space_text(virStoragePoolPtr pool)
{
	virStoragePoolInfo info;
	char *room, *size, *text;

	if (virStoragePoolGetInfo(pool, &info) < 0 || info.state != VIR_STORAGE_POOL_RUNNING)
		return xstrdup(_("not open"));
	room = human_size(info.available);
	size = human_size(info.capacity);
	text = xasprintf(_("%s free of %s"), room, size);
	free(room);
	free(size);
	return text;
}

/* What is chosen of a new pool so far. */
struct new_pool {
	virConnectPtr conn;
	const struct kind *kind;
	char *server, *source, *name;
	struct pool_job *asked;	/* what there is, so that Back does not ask again */
};

static bool was_asked(const struct new_pool *p)
{
	return p->asked && p->asked->kind == p->kind &&
		(!p->kind->server || !strcmp(p->asked->server, p->server));
}

static void forget_asked(struct new_pool *p)
{
	if (p->asked)
		job_free_all(p->asked);
	p->asked = NULL;
}

/* False: the user did not wait. */
static bool ask_sources(struct new_pool *p)
{
	const struct kind *k = p->kind;
	struct pool_job *job = pool_job(p->conn, k, k->server ?
		xml_text("<source><host name='%s'/></source>", p->server) : NULL);

	forget_asked(p);
	job->server = xstrdup(p->server);
	if (ui_busy(k->text, k->server ? N_("The server is being asked what it offers.") :
		    N_("This host's volume groups are being looked for."), find_work,
		    job_free_all, job))
		p->asked = job;
	return p->asked;
}

/* Its steps; false: the user went back. */
static bool step_kind(struct new_pool *p)
{
	struct ui_menu menu = { .title = N_("Add a pool"), .text = N_("What kind?") };
	int row;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		ui_menu_add(&menu, kinds[i].key, "%s", translated(kinds[i].text));
	menu.at = p->kind ? p->kind - kinds : 0;
	row = ui_menu(&menu);
	ui_menu_clear(&menu);
	if (row >= 0)
		p->kind = &kinds[row];
	return row >= 0;
}

static bool step_server(struct new_pool *p)
{
	return ui_ask(p->kind->text, "Name or address of the server.", &p->server,
		      check_server, NULL);
}

/* What the server, or this host, offers: one of it, or what is typed. */
static bool step_source(struct new_pool *p)
{
	const struct kind *k = p->kind;
	struct ui_menu menu = { .title = k->text, .at = 1 };
	int row;

	if (!was_asked(p) && !ask_sources(p))
		return false;
	menu.text = p->asked->error ?
		xasprintf(_("What there is could not be found out, so type it.\n\nReason: %s"), p->asked->error) :
		xstrdup(_("Choose one, or type another."));
	ui_menu_add(&menu, 't', "Type it");
	add_sources(&menu, k, p->asked->found);
	if (menu.n == 1)
		menu.at = 0;
	do {
		row = ui_menu(&menu);
	} while (row == 0 && !ui_ask(k->text, k->ask, &p->source, check_choice, (void *)k));
	if (row > 0) {
		free(p->source);
		p->source = xstrdup(menu.items[row].text);
	}
	ui_menu_clear(&menu);
	free((char *)menu.text);
	return row >= 0;
}

static bool step_name(struct new_pool *p)
{
	if (!*p->name) {
		free(p->name);
		p->name = xstrdup(!p->kind->server ? p->source : p->kind->key == 'n' ? "nfs" : "iscsi");
	}
	return ui_ask("Add a pool", "Name of the pool on this host: letters, digits, and the characters . _ - (at most 50).",
		      &p->name, check_name, p->conn);
}

static bool step_open(struct new_pool *p)
{
	struct pool_job *job = pool_job(p->conn, p->kind, p->kind->server ?
		xml_text(p->kind->xml, p->name, p->server, p->source, p->name) :
		xml_text(p->kind->xml, p->name, p->source, p->source));
	bool open;
	char *space;

	if (!ui_busy("Add a pool", "The pool is being opened.", open_work, job_free_all, job)) {
		ui_message("Add a pool", "It is still being opened. It appears in the list if that succeeds.");
		return true;
	}
	open = !job->error;
	if (open) {
		space = space_text(job->pool);
		ui_message("Add a pool", "The pool %s is open: %s. A new guest's disk can be placed in it, in the step Disk.",
			   p->name, space);
		free(space);
	} else {
		virt_failed("Add a pool", "The pool could not be opened, and is not kept.",
			    xstrdup(job->error));
	}
	job_free_all(job);
	return open;
}

static void add_pool(virConnectPtr conn)
{
	static bool (*const steps[])(struct new_pool *p) = { step_kind, step_server,
		step_source, step_name, step_open };
	struct new_pool p = { .conn = conn, .server = xstrdup(""), .source = xstrdup(""),
		.name = xstrdup("") };
	bool forward = true;

	for (int at = 0; at >= 0 && at < (int)ARRAY_SIZE(steps); at += forward ? 1 : -1)
		if (steps[at] != step_server || p.kind->server)
			forward = steps[at](&p);
	forget_asked(&p);
	free(p.name);
	free(p.source);
	free(p.server);
}

static void check_work(void *arg)
{
	struct pool_job *job = arg;

	if ((virStoragePoolIsActive(job->pool) != 1 && virStoragePoolCreate(job->pool, 0) < 0) ||
	    virStoragePoolRefresh(job->pool, 0) < 0)
		job->error = virt_error();
}

static void check_pool(virConnectPtr conn, virStoragePoolPtr pool)
{
	struct pool_job *job = pool_job(conn, NULL, NULL);
	const char *name = virStoragePoolGetName(pool);
	char *text;

	virStoragePoolRef(pool);
	job->pool = pool;
	if (!ui_busy("Check", "The pool is being asked.", check_work, job_free_all, job))
		return;
	text = job->error ? xasprintf(_("The pool %s does not answer."), name) : space_text(pool);
	if (job->error)
		virt_failed("Check", text, xstrdup(job->error));
	else
		ui_message("Check", "The pool %s answers: %s. Disks in it: %d.", name, text,
			   virStoragePoolNumOfVolumes(pool));
	free(text);
	job_free_all(job);
}

/* A guest that has a disk in the pool, to be freed, or NULL. */
static char *pool_user(virConnectPtr conn, virStoragePoolPtr pool)
{
	virStorageVolPtr *vols = NULL;
	int n = virStoragePoolListAllVolumes(pool, &vols, 0);
	char *user = NULL;

	for (int i = 0; i < n; i++) {
		char *path = virStorageVolGetPath(vols[i]);

		if (path && !user)
			user = virt_disk_user(conn, path, NULL);
		free(path);
		virStorageVolFree(vols[i]);
	}
	free(vols);
	return user;
}

/* True: it is no more. */
static bool remove_pool(virConnectPtr conn, virStoragePoolPtr pool)
{
	const char *name = virStoragePoolGetName(pool);
	char *user = pool_user(conn, pool);
	bool gone = false;

	if (!strcmp(name, options.pool))
		ui_message("Remove", "The pool %s is the one that this menu keeps disks in.", name);
	else if (user)
		ui_message("Remove", "The guest %s has a disk in the pool %s. Delete the guest first, or detach the disk.",
			   user, name);
	else if (ui_confirm("Remove", "Remove it", "Close the pool %s, and open it no more? What is in it stays there, and the pool can be added again.", name)) {
		gone = (virStoragePoolIsActive(pool) != 1 || !virStoragePoolDestroy(pool)) &&
			!virStoragePoolUndefine(pool);
		if (!gone)
			virt_failed("Remove", "The pool was not removed.", virt_error());
	}
	free(user);
	return gone;
}

static void pool_screen(virConnectPtr conn, virStoragePoolPtr pool)
{
	struct ui_menu menu = { .title = N_("Storage pool") };
	const struct kind *k;
	char *xml, *type, *server, *space, *path;
	bool gone = false;
	int row;

	ui_menu_add(&menu, 'c', "Check that it answers, and open it if it is not open");
	ui_menu_add(&menu, 'r', "Remove: what is in it stays there");
	do {
		xml = virStoragePoolGetXMLDesc(pool, 0);
		type = xml ? xml_attr(xml, NULL, "pool", "type") : NULL;
		k = type ? kind_of(type) : NULL;
		server = xml ? xml_attr(xml, NULL, "host", "name") : NULL;
		path = xml && strstr(xml, "<target>") ?
			xml_content(strstr(xml, "<target>"), NULL, "path") : NULL;
		space = space_text(pool);
		menu.text = xasprintf(server ? _("%1$s\n%2$s, server %5$s\nIn %3$s: %4$s") :
				      _("%1$s\n%2$s\nIn %3$s: %4$s"), virStoragePoolGetName(pool),
				      k ? translated(k->text) : type ? type : "",
				      path ? path : _("no place"), space, server);
		row = ui_menu(&menu);
		free((char *)menu.text);
		free(space);
		free(path);
		free(server);
		free(type);
		free(xml);
		if (row == 0)
			check_pool(conn, pool);
		else if (row == 1)
			gone = remove_pool(conn, pool);
	} while (row >= 0 && !gone);
	ui_menu_clear(&menu);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(virStoragePoolGetName(*(virStoragePoolPtr *)a),
		      virStoragePoolGetName(*(virStoragePoolPtr *)b));
}

/* Adds a row for each; to be freed with free_pools(). */
static int list_pools(virConnectPtr conn, struct ui_menu *menu, virStoragePoolPtr **pools,
		      unsigned int flags)
{
	int n;

	*pools = NULL;
	n = virConnectListAllStoragePools(conn, pools, flags);
	if (n > 0)
		qsort(*pools, n, sizeof(**pools), by_name);
	for (int i = 0; i < n; i++) {
		char *space = space_text((*pools)[i]);

		ui_menu_add(menu, i < 9 ? '1' + i : 0, "%s %s",
			    ui_column(virStoragePoolGetName((*pools)[i]), 30), space);
		free(space);
	}
	return n < 0 ? 0 : n;
}

static void free_pools(virStoragePoolPtr *pools, int n)
{
	for (int i = 0; i < n; i++)
		virStoragePoolFree(pools[i]);
	free(pools);
}

bool pools_choose(virConnectPtr conn, virStoragePoolPtr *pool)
{
	struct ui_menu menu = { .title = N_("Storage pool"),
		.text = N_("Where is the disk to be? Pools are added in the screen Storage.") };
	virStoragePoolPtr *pools;
	int n = list_pools(conn, &menu, &pools, VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE), row;

	for (int i = 0; i < n; i++)
		if (!strcmp(virStoragePoolGetName(pools[i]), virStoragePoolGetName(*pool)))
			menu.at = i;
	row = n ? ui_menu(&menu) : UI_BACK;
	if (row >= 0) {
		virStoragePoolFree(*pool);
		*pool = pools[row];
		virStoragePoolRef(*pool);
		virStoragePoolRefresh(*pool, 0);
	}
	ui_menu_clear(&menu);
	free_pools(pools, n);
	return row >= 0;
}

void pools_screen(void)
{
	struct ui_menu menu = { .title = N_("Storage pools"),
		.text = N_("Where disks of guests can be. Choose a pool to check or remove it.") };
	virStoragePoolPtr *pools;
	virConnectPtr conn;
	int row, n;

	do {
		conn = virt();
		if (!conn)
			break;
		ui_menu_clear(&menu);
		ui_menu_add(&menu, 'a', "Add a pool: NFS, iSCSI or LVM");
		n = list_pools(conn, &menu, &pools, 0);
		row = ui_menu(&menu);
		if (row == 0)
			add_pool(conn);
		else if (row > 0)
			pool_screen(conn, pools[row - 1]);
		free_pools(pools, n);
	} while (row >= 0);
	ui_menu_clear(&menu);
}
