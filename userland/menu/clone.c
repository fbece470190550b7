// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clone: a second guest like the first, with copies of its disks.
 *
 * Disks are volumes of storage pools, and are copied as what their files hold, in
 * pieces, through libvirt's streams: so the bar is exact, and Cancel acts at once.
 * Holes stay holes. The UEFI variables are copied likewise (variables.c). What was
 * copied is removed again unless the new guest has been defined in the end. The state of
 * a TPM is not copied: its keys are what tells one machine from another.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clone.h"
#include "disk.h"
#include "dom.h"
#include "language.h"
#include "ui.h"
#include "util.h"
#include "validate.h"
#include "variables.h"
#include "xml.h"

#define PIECE (256 * 1024)	/* what libvirt's protocol takes at a time */

struct copy {
	virStorageVolPtr from;
	char *name;		/* of the volume to be made */
	uint64_t bytes;		/* of the file to be copied */
	virStorageVolPtr to;	/* once it is made */
};

struct clone_job {
	virConnectPtr conn;
	char *xml;		/* of the first guest */
	const char *name;
	struct copy *copies;
	int n;
	virStoragePoolPtr variables;	/* made for the UEFI variables */
	struct ui_progress progress;
	bool done;
	char *error;
};

/* How long the volume's file is: that is what a stream of it carries. */
static uint64_t file_bytes(virStorageVolPtr vol)
{
	virStorageVolInfo info;
	char *xml = virStorageVolGetXMLDesc(vol, 0), *physical;
	uint64_t bytes = 0;

	if (!virStorageVolGetInfoFlags(vol, &info, VIR_STORAGE_VOL_GET_PHYSICAL))
		bytes = info.allocation;
	physical = xml ? xml_content(xml, NULL, "physical") : NULL;
	if (physical)
		bytes = strtoull(physical, NULL, 10);
	free(physical);
	free(xml);
	return bytes;
}

static bool send_piece(virStreamPtr out, const char *data, size_t n)
{
	while (n) {
		int sent = virStreamSend(out, data, n);

		if (sent < 0)
			return false;
		data += sent;
		n -= sent;
	}
	return true;
}

/* Until the end (true), an error, or Cancel. */
static bool pump(virStreamPtr in, virStreamPtr out, struct ui_progress *p)
{
	char *piece = xrealloc(NULL, PIECE);
	long long hole;
	int n = -3;

	while (!p->cancel) {
		n = virStreamRecvFlags(in, piece, PIECE, VIR_STREAM_RECV_STOP_AT_HOLE);
		if (n == -3) {
			if (virStreamRecvHole(in, &hole, 0) < 0 ||
			    virStreamSendHole(out, hole, 0) < 0)
				break;
			p->done += hole;
		} else if (n <= 0 || !send_piece(out, piece, n)) {
			break;
		} else {
			p->done += n;
		}
	}
	free(piece);
	return n == 0 && !p->cancel;
}

static bool copy_stream(struct clone_job *job, struct copy *c)
{
	virStreamPtr in = virStreamNew(job->conn, 0), out = virStreamNew(job->conn, 0);
	bool good = in && out &&
		!virStorageVolDownload(c->from, in, 0, 0, VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM) &&
		!virStorageVolUpload(c->to, out, 0, 0, VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM) &&
		pump(in, out, &job->progress) &&
		!virStreamFinish(in) && !virStreamFinish(out);

	if (!good) {
		job->error = virt_error();
		if (in)
			virStreamAbort(in);
		if (out)
			virStreamAbort(out);
	}
	if (in)
		virStreamFree(in);
	if (out)
		virStreamFree(out);
	return good;
}

/*
 * Makes the volume and fills it. libvirt's test driver has no streams, but copies
 * a volume itself.
 */
static bool copy_one(struct clone_job *job, struct copy *c)
{
	virStoragePoolPtr pool = virStoragePoolLookupByVolume(c->from);
	char *format = disk_format(c->from), *xml;
	virStorageVolInfo info;
	bool test = virt_is_test(job->conn), good = false;

	if (pool && !virStorageVolGetInfo(c->from, &info)) {
		xml = xml_volume(c->name, format, info.capacity, false);
		c->to = test ? virStorageVolCreateXMLFrom(pool, xml, c->from, 0) :
			virStorageVolCreateXML(pool, xml, 0);
		free(xml);
		good = c->to;
	}
	if (!good)
		job->error = virt_error();
	else if (test)
		job->progress.done += c->bytes;
	else
		good = copy_stream(job, c);
	free(format);
	if (pool)
		virStoragePoolFree(pool);
	return good && !job->progress.cancel;
}

static bool define(struct clone_job *job)
{
	struct dom_copy *paths = xrealloc(NULL, (job->n + 1) * sizeof(*paths));
	virDomainPtr dom;
	char *xml;

	for (int i = 0; i < job->n; i++)
		paths[i] = (struct dom_copy){ virStorageVolGetPath(job->copies[i].from),
					      virStorageVolGetPath(job->copies[i].to) };
	xml = dom_clone(job->xml, job->name, paths, job->n);
	dom = virDomainDefineXML(job->conn, xml);
	if (dom)
		virDomainFree(dom);
	else
		job->error = virt_error();
	for (int i = 0; i < job->n; i++) {
		free(paths[i].from);
		free(paths[i].to);
	}
	free(paths);
	free(xml);
	return dom;
}

static void work(void *arg)
{
	struct clone_job *job = arg;
	bool good = true;

	for (int i = 0; good && i < job->n; i++)
		good = copy_one(job, &job->copies[i]);
	job->done = good && define(job);
	for (int i = 0; i < job->n && !job->done; i++)
		if (job->copies[i].to)
			virStorageVolDelete(job->copies[i].to, 0);
}

static void add_copy(struct clone_job *job, virStorageVolPtr vol, char *name)
{
	job->copies = xrealloc(job->copies, (job->n + 1) * sizeof(*job->copies));
	job->copies[job->n] = (struct copy){ .from = vol, .name = name,
					     .bytes = file_bytes(vol) };
	job->progress.total += job->copies[job->n++].bytes;
}

/* Does the volume need another file below it? */
static bool has_backing(virStorageVolPtr vol)
{
	char *xml = virStorageVolGetXMLDesc(vol, 0);
	bool has = xml && strstr(xml, "<backingStore>");

	free(xml);
	return has;
}

/* NAME.qcow2 for the first disk, NAME-2.qcow2 for the second… */
static char *copy_name(const struct clone_job *job, const char *format)
{
	char *base = job->n ? xasprintf("%s-%d", job->name, job->n + 1) :
		xstrdup(job->name), *name = disk_volume_name(base, format);

	free(base);
	return name;
}

/* False: the disk cannot be copied, and it has been said why. */
static bool take_disk(struct clone_job *job, const struct dom_disk *d)
{
	virStorageVolPtr vol = d->source && !d->block ?
		virStorageVolLookupByPath(job->conn, d->source) : NULL;
	char *format;

	if (!vol) {
		ui_message("Clone", d->block ? N_("The disk %s (%s) is a device, and only disks that are files are copied here.") :
			   N_("The disk %s (%s) is in no storage pool, so it cannot be copied here."),
			   d->target, d->source ? d->source : _("no file"));
		return false;
	}
	if (has_backing(vol)) {
		ui_message("Clone", "The disk %s is a snapshot's file on top of another. Delete the guest's snapshots first, which joins them.",
			   d->source);
		virStorageVolFree(vol);
		return false;
	}
	format = disk_format(vol);
	add_copy(job, vol, copy_name(job, format));
	free(format);
	return true;
}

static bool take_disks(struct clone_job *job)
{
	struct dom_disks disks;
	bool good = true;

	dom_disks(job->xml, &disks);
	for (int i = 0; good && i < disks.n; i++)
		if (!strcmp(disks.at[i].device, "disk") && !disks.at[i].readonly)
			good = take_disk(job, &disks.at[i]);
	dom_disks_free(&disks);
	return good;
}

/*
 * The UEFI variables. A guest that was never started has none yet, and the clone
 * gets its own when it is started.
 */
static void take_variables(struct clone_job *job)
{
	char *format, *path = dom_nvram(job->xml, &format), *base, *end;
	virStorageVolPtr vol = path ?
		variables_open(job->conn, path, &job->variables) : NULL;

	if (vol) {
		base = xstrdup(path);
		end = strrchr(base, '.');
		add_copy(job, vol, xasprintf("%s_VARS%s", job->name,
					     end && !strchr(end, '/') ? end : ".fd"));
		free(base);
	} else if (path) {
		xml_replace(&job->xml, "nvram", "");
		end = xml_text("<nvram format='%s'/>", format);
		xml_append(&job->xml, "os", end);
		free(end);
	}
	free(path);
	free(format);
}

static bool has_room(const struct clone_job *job)
{
	virStoragePoolPtr pool = job->n ?
		virStoragePoolLookupByVolume(job->copies[0].from) : NULL;
	uint64_t room = pool ? virt_pool_free(pool) : UINT64_MAX;
	char *need, *have;

	if (pool)
		virStoragePoolFree(pool);
	if (job->progress.total <= room)
		return true;
	need = human_size(job->progress.total);
	have = human_size(room);
	ui_message("Clone", "The copies of its disks need %s, and %s are free there. Delete a disk or a guest that is no longer needed.",
		   need, have);
	free(need);
	free(have);
	return false;
}

static bool confirm(const struct clone_job *job, virDomainPtr dom)
{
	char *size = human_size(job->progress.total), *lines = xstrdup(""), *more;
	bool sure;

	for (int i = 0; i < job->n; i++) {
		more = xasprintf(_("%s  %s as %s\n"), lines,
				 virStorageVolGetName(job->copies[i].from),
				 job->copies[i].name);
		free(lines);
		lines = more;
	}
	sure = ui_confirm("Clone", "Clone it", "Clone the guest %s as %s, with an identity and a network address of its own?\n\nFiles to be copied, %s:\n%s%s",
			  virDomainGetName(dom), job->name, size, lines, dom_has_tpm(job->xml) ?
			  _("\nThe clone gets a TPM of its own, which is empty: what was encrypted with keys in the first one's needs its recovery key.") : "");
	free(lines);
	free(size);
	return sure;
}

static void report(struct clone_job *job)
{
	if (job->done)
		ui_message("Clone", "The guest %s was made. Set another host name in it before both are in the network.",
			   job->name);
	else if (job->progress.cancel)
		ui_message("Clone", "It was cancelled, and what had been copied is removed.");
	else
		virt_failed("Clone", "The guest was not cloned; what had been copied is removed.",
			    xstrdup(job->error ? job->error : _("no reason was given")));
}

static void clone_as(virConnectPtr conn, virDomainPtr dom, const char *name)
{
	struct clone_job job = { .conn = conn, .name = name, .xml = virt_xml(dom) };

	virt_refresh(conn);
	if (job.xml && take_disks(&job)) {
		take_variables(&job);
		if (has_room(&job) && confirm(&job, dom)) {
			ui_work("Clone", "The disks are being copied.", work, NULL,
				&job, &job.progress);
			report(&job);
		}
	}
	for (int i = 0; i < job.n; i++) {
		virStorageVolFree(job.copies[i].from);
		if (job.copies[i].to)
			virStorageVolFree(job.copies[i].to);
		free(job.copies[i].name);
	}
	variables_close(job.variables);
	free(job.copies);
	free(job.xml);
	free(job.error);
}

static const char *check_name(const char *value, void *data)
{
	const char *problem = name_problem(value);
	virDomainPtr dom;

	if (problem)
		return problem;
	dom = virDomainLookupByName(data, value);
	if (!dom)
		return NULL;
	virDomainFree(dom);
	return _("There is a guest of that name already. Type another name.");
}

/* NAME-clone, NAME-clone2…: the first that no guest has. */
static char *free_name(virConnectPtr conn, const char *guest)
{
	for (int i = 1; ; i++) {
		char *name = i == 1 ? xasprintf("%.40s-clone", guest) :
			xasprintf("%.40s-clone%d", guest, i);

		if (!check_name(name, conn))
			return name;
		if (i > 99)
			return name;
		free(name);
	}
}

void clone_screen(virConnectPtr conn, virDomainPtr dom)
{
	char *name;

	if (virt_active(dom)) {
		ui_message("Clone", "The guest %s is running, so its disks change. Shut it down first.",
			   virDomainGetName(dom));
		return;
	}
	name = free_name(conn, virDomainGetName(dom));
	if (ui_ask("Clone", "Name of the new guest: letters, digits, and the characters . _ - (at most 50).",
		   &name, check_name, conn))
		clone_as(conn, dom, name);
	free(name);
}
