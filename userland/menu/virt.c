// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * virt: the connection to libvirt, and what every screen needs of it.
 *
 * libvirt answers its server's keep-alive questions from an event loop, which
 * runs in a thread of its own for as long as the program lives; the console's
 * stream uses it too.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "language.h"
#include "run.h"
#include "ui.h"
#include "util.h"
#include "virt.h"
#include "xml.h"

#define POOL_PATH "/var/lib/libvirt/images"

struct options options = {
	.uri = "qemu:///system",
	.pool = "default",
	.iso_dir = "/var/lib/kvm-live/iso",
	.detect = "kvm-detect",
};

static virConnectPtr connection;

static void silent(void *data, virErrorPtr error)
{
	(void)data;
	(void)error;
}

static void *event_thread(void *data)
{
	for (;;)
		if (virEventRunDefaultImpl() < 0)
			sleep(1);
	return data;
}

void virt_init(void)
{
	pthread_t thread;

	virSetErrorFunc(NULL, silent);
	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
		return;
	if (!pthread_create(&thread, NULL, event_thread, NULL))
		pthread_detach(thread);
}

char *virt_error(void)
{
	const virError *e = virGetLastError();

	return xstrdup(e && e->message ? e->message : _("no reason was given"));
}

/* What to do about it, by what libvirt or QEMU says. */
static const struct { const char *says, *advice; } advices[] = {
	{ "missing backend for pool type", N_("This host lacks libvirt's part for such pools: install the package libvirt-daemon-driver-storage-iscsi or -logical.") },
	{ "showmount", N_("Install the package nfs-common, or check that the server is on and lets this host in.") },
	{ "mount.nfs", N_("Check that the server is on, exports this folder to this host, and speaks NFS version 4.") },
	{ "/bin/mount", N_("Check that the server is on, exports this folder to this host, and speaks NFS version 4; the package nfs-common is needed here.") },
	{ "iscsiadm", N_("Check that the server is on and lets this host in without a password; the package open-iscsi is needed here.") },
	{ "vgchange", N_("There may be no volume group of that name, or one of its disks is away: look in a shell at: vgs") },
	{ "storage is still active", N_("A guest or a program uses it. Shut the guest down first.") },
	{ "No space left", N_("The file system that holds the disks is full. Delete a disk or a guest that is no longer needed, or make the new disk smaller.") },
	{ "Disk quota exceeded", N_("The file system that holds the disks is full. Delete a disk or a guest that is no longer needed.") },
	{ "write\" lock", N_("The disk is in use by another guest. Shut that one down first.") },
	{ "Failed to connect socket", N_("The service libvirt is not running. Leave this screen and choose Start the service, or run: systemctl start libvirtd") },
	{ "authentication", N_("Your user may not manage guests. Run kvm-menu as root, or add the user to the group libvirt and log in again.") },
	{ "emory", N_("The guest may be too large for this host. Shut another guest down, or give this one less memory.") },
	{ "virt type 'kvm'", N_("KVM does not work on this host: choose Host in the main menu for the reason and the fix.") },
	{ "KVM", N_("KVM may not work on this host: choose Host in the main menu for the reason and the fix.") },
	{ "kvm", N_("KVM may not work on this host: choose Host in the main menu for the reason and the fix.") },
	{ "firmware", N_("The UEFI firmware may be missing: install the package ovmf, or choose the firmware BIOS.") },
	{ "network", N_("Check the network with: virsh net-list --all. Or choose the network: none.") },
	{ "swtpm", N_("The TPM is emulated by the program swtpm: install the package swtpm-tools, or choose no TPM.") },
	{ "locked", N_("The guest holds the disc in its drive. Unmount it in the guest, then eject it here.") },
	{ "cannot rename domain with snapshots", N_("Delete its snapshots first.") },
	{ "medium found", N_("There is no disc in the guest's CD drive. Insert the one it was installed from, or another.") },
	{ "socket is closed", N_("The service libvirt ended in the meantime. Go back and choose this again.") },
	{ "End of file while reading", N_("The service libvirt ended in the meantime. Go back and choose this again.") },
	{ "No such file", N_("A file that the guest needs is missing, perhaps its ISO or disk was removed or renamed. Put it back at the same place and try again.") },
	{ "Cannot access storage file", N_("A file that the guest needs is missing, perhaps its ISO or disk was removed or renamed. Put it back at the same place and try again.") },
	{ "ermission denied", N_("The guest's user libvirt-qemu may not open a file. Put images below /var/lib/kvm-live/iso or /var/lib/libvirt/images.") },
	{ "already", N_("Choose another name, or delete the old one first.") },
};

static const char *advice_for(const char *error)
{
	for (size_t i = 0; i < ARRAY_SIZE(advices); i++)
		if (strstr(error, advices[i].says))
			return translated(advices[i].advice);
	return _("Details are in the log: choose Shell and run: journalctl -u libvirtd");
}

void virt_failed(const char *title, const char *what, char *error)
{
	ui_message(title, "%s\n\nReason: %s\n\nWhat to do: %s", translated(what), error,
		   advice_for(error));
	free(error);
}

bool virt_resume(virDomainPtr dom, const char *title)
{
	if (!virDomainResume(dom))
		return true;
	virt_failed(title, "The guest could not be told to go on.", virt_error());
	return false;
}

struct open_job {
	virConnectPtr conn;
	char *error;
};

/* The live image shows the menu before the services start (kvm-live-rest). */
static bool still_booting(void)
{
	return !access("/run/live", F_OK) && access("/run/kvm-live-started", F_OK);
}

static void open_work(void *arg)
{
	struct open_job *job = arg;

	job->conn = virConnectOpen(options.uri);
	for (int i = 0; !job->conn && still_booting() && i < 300; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 300000000 }, NULL);
		job->conn = virConnectOpen(options.uri);
	}
	job->error = job->conn ? NULL : virt_error();
}

static void open_discard(void *arg)
{
	struct open_job *job = arg;

	if (job->conn)
		virConnectClose(job->conn);
	free(job->error);
	free(job);
}

static bool still_alive(void)
{
	if (connection && virConnectIsAlive(connection) == 1)
		return true;
	if (connection)
		virConnectClose(connection);
	connection = NULL;
	return false;
}

static void start_service(void *status)
{
	*(int *)status = run_quiet((char *[]){ "systemctl", "start",
					       "libvirtd.service", NULL });
}

static void offer_service(void)
{
	int *status = xrealloc(NULL, sizeof(*status));

	*status = 0;
	if (!ui_busy("Starting libvirt", "The service libvirt is being started.",
		     start_service, free, status))
		return;
	if (*status)
		ui_message("Starting libvirt", "The service libvirt did not start. Choose Shell in the main menu and look at: systemctl status libvirtd");
	free(status);
}

/* Tells that libvirt does not answer. False: the user went back. */
static bool offer_retry(const char *error)
{
	struct ui_menu menu = { .title = N_("libvirt does not answer") };
	int choice;

	menu.text = xasprintf(_("Guests and disks are managed by the service libvirt, and it does not answer at %s.\n\nReason: %s\n\nWhat to do: start the service here, or in a shell with: systemctl start libvirtd"),
			      options.uri, error);
	ui_menu_add(&menu, 's', "Start the service libvirt and try again");
	ui_menu_add(&menu, 'r', "Retry without starting anything");
	choice = ui_menu(&menu);
	ui_menu_clear(&menu);
	free((char *)menu.text);
	if (choice == 0)
		offer_service();
	return choice >= 0;
}

/*
 * One try behind a window, that the user may leave. The error, if it failed, to
 * be freed; *left: nobody waited for it.
 */
static char *try_open(bool *left)
{
	struct open_job *job = xrealloc(NULL, sizeof(*job));
	char *error;

	*left = !ui_busy("Connecting", "Waiting for libvirt to answer.",
			 open_work, open_discard, job);
	if (*left)
		return NULL;
	connection = job->conn;
	error = job->error;
	free(job);
	/* a daemon that hangs later ends its calls after 20 s */
	if (connection)
		virConnectSetKeepAlive(connection, 5, 3);
	return error;
}

virConnectPtr virt_quiet(void)
{
	bool left;

	if (!still_alive())
		free(try_open(&left));
	return connection;
}

virConnectPtr virt(void)
{
	bool left = false, again = true;

	while (!left && again && !still_alive()) {
		char *error = try_open(&left);

		if (error)
			again = offer_retry(error);
		free(error);
	}
	return connection;
}

bool virt_is_test(virConnectPtr conn)
{
	const char *type = virConnectGetType(conn);

	return type && !strcasecmp(type, "test");
}

static virStoragePoolPtr make_pool(virConnectPtr conn)
{
	virStoragePoolPtr pool;
	char *xml;

	if (strcmp(options.pool, "default")) {
		ui_message("No storage", "There is no storage pool %s. Pools are listed by: virsh pool-list --all",
			   options.pool);
		return NULL;
	}
	xml = xml_pool(options.pool, POOL_PATH);
	pool = virStoragePoolDefineXML(conn, xml, 0);
	free(xml);
	if (!pool) {
		virt_failed("No storage", "The storage pool default in /var/lib/libvirt/images could not be made.",
			    virt_error());
		return NULL;
	}
	virStoragePoolBuild(pool, 0);
	virStoragePoolSetAutostart(pool, 1);
	return pool;
}

virStoragePoolPtr virt_pool(virConnectPtr conn)
{
	virStoragePoolPtr pool = virStoragePoolLookupByName(conn, options.pool);

	if (!pool)
		pool = make_pool(conn);
	if (!pool)
		return NULL;
	if (virStoragePoolIsActive(pool) != 1 &&
	    virStoragePoolCreate(pool, 0) < 0) {
		virt_failed("No storage", "The storage pool could not be opened.",
			    virt_error());
		virStoragePoolFree(pool);
		return NULL;
	}
	virStoragePoolRefresh(pool, 0);
	return pool;
}

void virt_refresh(virConnectPtr conn)
{
	virStoragePoolPtr *pools = NULL;
	int n = virConnectListAllStoragePools(conn, &pools,
					      VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE);

	for (int i = 0; i < n; i++) {
		virStoragePoolRefresh(pools[i], 0);
		virStoragePoolFree(pools[i]);
	}
	free(pools);
}

char *virt_pool_type(virStoragePoolPtr pool)
{
	char *xml = virStoragePoolGetXMLDesc(pool, 0);
	char *type = xml ? xml_attr(xml, NULL, "pool", "type") : NULL;

	free(xml);
	return type ? type : xstrdup("");
}

bool virt_pool_is_lvm(virStoragePoolPtr pool)
{
	char *type = virt_pool_type(pool);
	bool is = !strcmp(type, "logical");

	free(type);
	return is;
}

uint64_t virt_pool_free(virStoragePoolPtr pool)
{
	virStoragePoolInfo info;

	return virStoragePoolGetInfo(pool, &info) < 0 ? 0 : info.available;
}

char *virt_below(virConnectPtr conn, const char *path, bool *raw)
{
	virStorageVolPtr vol = virStorageVolLookupByPath(conn, path);
	char *xml = vol ? virStorageVolGetXMLDesc(vol, 0) : NULL;
	char *found = NULL, *format = NULL;
	const char *at = xml, *start;

	if (xml && xml_next(&at, "backingStore", &start)) {
		found = xml_content(start, at, "path");
		format = xml_attr(start, at, "format", "type");
	}
	*raw = format && !strcmp(format, "raw");
	free(format);
	free(xml);
	if (vol)
		virStorageVolFree(vol);
	return found;
}

static char *volume_path(virConnectPtr conn, const char *pool_name, const char *name)
{
	virStoragePoolPtr pool = virStoragePoolLookupByName(conn, pool_name);
	virStorageVolPtr vol = pool ? virStorageVolLookupByName(pool, name) : NULL;
	char *path = vol ? virStorageVolGetPath(vol) : NULL;

	if (vol)
		virStorageVolFree(vol);
	if (pool)
		virStoragePoolFree(pool);
	return path;
}

/* The path of the disk that is described between start and end, or NULL. */
static char *source_path(virConnectPtr conn, const char *start, const char *end)
{
	char *path = xml_attr(start, end, "source", "file"), *pool, *name;

	if (!path)
		path = xml_attr(start, end, "source", "dev");
	if (path)
		return path;
	pool = xml_attr(start, end, "source", "pool");
	name = xml_attr(start, end, "source", "volume");
	if (pool && name)
		path = volume_path(conn, pool, name);
	free(pool);
	free(name);
	return path;
}

/* Is path the disk, or one that it lies on top of? */
static bool disk_uses(virConnectPtr conn, const char *start, const char *end,
		      const char *path)
{
	char *at = source_path(conn, start, end), *next;
	char *format = xml_attr(start, end, "driver", "type");
	bool raw = !format || !strcmp(format, "raw"), uses = false;

	for (int n = 0; at && n < VIRT_MAX_CHAIN; n++) {
		uses = !strcmp(at, path);
		next = uses || raw ? NULL : virt_below(conn, at, &raw);
		free(at);
		at = next;
	}
	free(at);
	free(format);
	return uses;
}

static bool domain_uses(virDomainPtr dom, const char *path)
{
	char *xml = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE);
	const char *at = xml, *start;
	bool uses = false;

	while (xml && !uses && xml_next(&at, "disk", &start))
		uses = disk_uses(virDomainGetConnect(dom), start, at, path);
	free(xml);
	return uses;
}

char *virt_disk_user(virConnectPtr conn, const char *path, const char *except)
{
	virDomainPtr *doms;
	int n = virConnectListAllDomains(conn, &doms, 0);
	char *user = NULL;

	for (int i = 0; i < n; i++) {
		const char *name = virDomainGetName(doms[i]);

		if (!user && !(except && !strcmp(except, name)) &&
		    domain_uses(doms[i], path))
			user = xstrdup(name);
		virDomainFree(doms[i]);
	}
	if (n >= 0)
		free(doms);
	return user;
}

bool virt_active(virDomainPtr dom)
{
	return virDomainIsActive(dom) == 1;
}

char *virt_xml(virDomainPtr dom)
{
	char *xml = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE |
					VIR_DOMAIN_XML_SECURE);

	/* a connection for reading only does not hand out passwords */
	return xml ? xml : virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE);
}

bool virt_redefine(virDomainPtr dom, const char *title, const char *xml)
{
	virDomainPtr again = virDomainDefineXML(virDomainGetConnect(dom), xml);

	if (again)
		virDomainFree(again);
	else
		virt_failed(title, "The guest stays as it is: libvirt did not take the change.",
			    virt_error());
	return again;
}

void virt_changed(virDomainPtr dom, const char *title, const char *what)
{
	ui_message(title, virt_active(dom) ?
		   N_("%s, from the next start on. The guest is running: shut it down and start it again for this.") :
		   N_("%s."), translated(what));
}

/* Does the element of that name in xml list the value? */
static bool lists(const char *xml, const char *element, const char *name,
		  const char *value)
{
	const char *at = xml, *start;
	char *wanted = xasprintf("<value>%s</value>", value);
	bool found = false;

	while (!found && xml && xml_next(&at, element, &start)) {
		char *its = xml_attr(start, at, element, "name");
		const char *p = strstr(start, wanted);

		found = its && !strcmp(its, name) && p && p < at;
		free(its);
	}
	free(wanted);
	return found;
}

void virt_caps(virConnectPtr conn, const char *type, struct virt_caps *caps)
{
	char *xml = virConnectGetDomainCapabilities(conn, NULL, "x86_64", "q35",
						    type, 0);

	*caps = (struct virt_caps){
		.uefi = lists(xml, "enum", "firmware", "efi"),
		.secure_boot = lists(xml, "enum", "secure", "yes"),
		.tpm = lists(xml, "enum", "backendModel", "emulator"),
	};
	free(xml);
}

char *virt_start_network(virConnectPtr conn)
{
	virNetworkPtr net = virNetworkLookupByName(conn, "default");
	char *error = NULL;

	if (!net || (virNetworkIsActive(net) != 1 && virNetworkCreate(net) < 0))
		error = virt_error();
	if (net && !error)
		virNetworkSetAutostart(net, 1);
	if (net)
		virNetworkFree(net);
	return error;
}
