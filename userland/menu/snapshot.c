// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * snapshot: states of a guest that can be gone back to.
 *
 * Internal snapshots, which live in the disk's own file, hold all that matters:
 * the disks, the memory of a running guest with its TPM, and the UEFI variables. They need
 * qcow2 for each disk and for the variables, as guests of this menu have them.
 * Other guests get external snapshots, and are told what those leave out.
 * (dom_snapshot() decides.)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dom.h"
#include "language.h"
#include "snapshot.h"
#include "ui.h"
#include "util.h"
#include "validate.h"
#include "variables.h"
#include "xml.h"

struct snap_job {
	virDomainPtr dom;
	virDomainSnapshotPtr snap;	/* to revert to or to delete */
	char *xml;			/* of the one to make */
	unsigned int flags;
	struct ui_progress progress;
	bool done;
	int code;			/* libvirt's, when it is not done */
	char *error;
};

static void failed(struct snap_job *job)
{
	const virError *e = virGetLastError();

	job->code = e ? e->code : 0;
	job->error = virt_error();
}

static void make_work(void *arg)
{
	struct snap_job *job = arg;
	virDomainSnapshotPtr snap;

	snap = virDomainSnapshotCreateXML(job->dom, job->xml, job->flags);
	job->done = snap;
	if (!snap) {
		failed(job);
		return;
	}
	/* it was too late to stop it, but not to take it away again */
	if (job->progress.cancel && !virDomainSnapshotDelete(snap, 0))
		job->done = false;
	virDomainSnapshotFree(snap);
}

static void make_cancel(void *arg)
{
	struct snap_job *job = arg;

	virDomainAbortJob(job->dom);
}

static void revert_work(void *arg)
{
	struct snap_job *job = arg;

	job->done = !virDomainRevertToSnapshot(job->snap, job->flags);
	if (!job->done)
		failed(job);
}

static void delete_work(void *arg)
{
	struct snap_job *job = arg;

	job->done = !virDomainSnapshotDelete(job->snap, 0);
	if (!job->done)
		failed(job);
}

static void job_free(void *arg)
{
	struct snap_job *job = arg;

	virDomainFree(job->dom);
	if (job->snap)
		virDomainSnapshotFree(job->snap);
	free(job->xml);
	free(job->error);
	free(job);
}

static struct snap_job *new_job(virDomainPtr dom, virDomainSnapshotPtr snap)
{
	struct snap_job *job = xrealloc(NULL, sizeof(*job));

	memset(job, 0, sizeof(*job));
	virDomainRef(dom);
	job->dom = dom;
	if (snap)
		virDomainSnapshotRef(snap);
	job->snap = snap;
	return job;
}

/* The memory of a running guest goes to a file beside its first disk. */
static char *memory_file(const char *xml, virDomainPtr dom, const char *name)
{
	struct dom_disks disks;
	char *path = NULL;

	dom_disks(xml, &disks);
	for (int i = 0; i < disks.n && !path; i++) {
		const char *file = disks.at[i].source;

		if (!strcmp(disks.at[i].device, "disk") && file && *file == '/')
			path = xasprintf("%.*s/%s.%s.memory",
					 (int)(strrchr(file, '/') - file), file,
					 virDomainGetName(dom), name);
	}
	dom_disks_free(&disks);
	return path;
}

static void describe(struct snap_job *job, const char *xml, const char *name,
		     enum dom_snapshot kind)
{
	bool running = virt_active(job->dom);
	char *memory = xstrdup(""), *file;

	if (kind == SNAPSHOT_EXTERNAL && running) {
		file = memory_file(xml, job->dom, name);
		free(memory);
		memory = xml_text("<memory snapshot='external' file='%s'/>",
				  file ? file : "");
		free(file);
	} else if (kind == SNAPSHOT_EXTERNAL) {
		job->flags = VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY;
	}
	job->xml = xml_text("<domainsnapshot><name>%s</name>%r</domainsnapshot>",
			    name, memory);
	free(memory);
}

static void make_one(virDomainPtr dom, const char *xml, const char *name,
		     enum dom_snapshot kind)
{
	struct snap_job *job = new_job(dom, NULL);

	describe(job, xml, name, kind);
	ui_work("Make a snapshot", virt_active(dom) ?
		N_("The guest's memory and disks are being saved. It stands still meanwhile.") :
		N_("The guest's disks are being saved."), make_work, make_cancel, job,
		&job->progress);
	if (job->done)
		ui_message("Make a snapshot", "The snapshot %s was made.", name);
	else if (job->progress.cancel)
		ui_message("Make a snapshot", "It was cancelled; no snapshot was made.");
	else
		virt_failed("Make a snapshot", "No snapshot was made.",
			    xstrdup(job->error));
	job_free(job);
}

static const char *check_name(const char *value, void *data)
{
	virDomainSnapshotPtr snap;
	const char *problem = name_problem(value);

	if (problem)
		return problem;
	snap = virDomainSnapshotLookupByName(data, value, 0);
	if (!snap)
		return NULL;
	virDomainSnapshotFree(snap);
	return _("There is a snapshot of that name already. Type another name.");
}

/*
 * The guest's description, after its UEFI variables have been brought into a form
 * that snapshots hold, if that can be done now.
 */
static char *prepared_xml(virDomainPtr dom)
{
	if (!virt_active(dom))
		free(variables_to_qcow2(dom));
	return virDomainGetXMLDesc(dom, 0);
}

/* What the snapshot will lack, as a question; true: nothing, or it is made all the same. */
static bool agreed(virDomainPtr dom, const char *xml, enum dom_snapshot kind,
		   const char *why)
{
	bool tpm = !virt_active(dom) && dom_has_tpm(xml);
	bool outside = kind == SNAPSHOT_EXTERNAL;

	return (!outside && !tpm) ||
		ui_confirm("Make a snapshot", "Make it", "%s%s%s Make it all the same?",
			   outside ? why : "", outside && tpm ? " " : "", tpm ?
			   _("The TPM of this guest is saved only while it runs: a snapshot that is made now leaves it out, and going back to it leaves the TPM as it is then.") : "");
}

static void make(virDomainPtr dom)
{
	char *xml = prepared_xml(dom), *name;
	enum dom_snapshot kind;
	const char *why = NULL;
	time_t now = time(NULL);
	struct tm tm;

	if (!xml) {
		virt_failed("Make a snapshot", "No snapshot was made.", virt_error());
		return;
	}
	kind = dom_snapshot(xml, &why);
	if (virt_is_test(virDomainGetConnect(dom)))
		kind = SNAPSHOT_INTERNAL;
	name = xrealloc(NULL, 32);
	strftime(name, 32, "%Y-%m-%d-%H.%M.%S", localtime_r(&now, &tm));
	if (kind == SNAPSHOT_NONE)
		ui_message("Make a snapshot", "%s", why);
	else if (agreed(dom, xml, kind, why) &&
		 ui_ask("Make a snapshot", "Name of the snapshot: letters, digits, and the characters . _ - (at most 50).",
			&name, check_name, dom))
		make_one(dom, xml, name, kind);
	free(name);
	free(xml);
}

enum result { DONE, RISKY, FAILED };	/* FAILED: and it has been said why */

/* Waits for the work on one snapshot, and frees the job. */
static enum result run_job(struct snap_job *job, const char *title, const char *text,
			   void (*work)(void *), const char *what)
{
	enum result result = FAILED;

	if (!ui_busy(title, text, work, job_free, job)) {
		ui_message(title, "It goes on without you. Look at the list of snapshots again in a while.");
		return FAILED;
	}
	if (job->done)
		result = DONE;
	else if (job->code == VIR_ERR_SNAPSHOT_REVERT_RISKY)
		result = RISKY;
	else
		virt_failed(title, what, xstrdup(job->error));
	job_free(job);
	return result;
}

static enum result revert_once(virDomainPtr dom, virDomainSnapshotPtr snap,
			       unsigned int flags)
{
	struct snap_job *job = new_job(dom, snap);

	job->flags = flags;
	return run_job(job, "Revert", "The guest is being taken back.", revert_work,
		       "The guest was not taken back.");
}

static void revert(virDomainPtr dom, virDomainSnapshotPtr snap)
{
	const char *name = virDomainSnapshotGetName(snap);
	enum result result;

	if (!ui_confirm("Revert", "Go back to it", "Take the guest %s back to the snapshot %s? What it has done and written since is lost.%s",
			virDomainGetName(dom), name, virt_active(dom) ?
			_(" It is running, and is stopped for this.") : ""))
		return;
	result = revert_once(dom, snap, 0);
	if (result == RISKY &&
	    ui_confirm("Revert", "Revert", "The guest's settings were changed since, and it has to be started anew for the revert. Revert all the same?"))
		result = revert_once(dom, snap, VIR_DOMAIN_SNAPSHOT_REVERT_FORCE);
	if (result == DONE)
		ui_message("Revert", "The guest %s is as it was at the snapshot %s, and is now %s.",
			   virDomainGetName(dom), name,
			   virt_active(dom) ? _("running") : _("off"));
}

static void delete(virDomainPtr dom, virDomainSnapshotPtr snap)
{
	const char *name = virDomainSnapshotGetName(snap);

	if (!ui_confirm("Delete a snapshot", "Delete it", "Delete the snapshot %s of the guest %s? The guest stays as it is now.",
			name, virDomainGetName(dom)))
		return;
	if (run_job(new_job(dom, snap), "Delete a snapshot", "The snapshot is being deleted.",
		    delete_work, "The snapshot was not deleted.") == DONE)
		ui_message("Delete a snapshot", "The snapshot %s is deleted.", name);
}

struct entry {
	virDomainSnapshotPtr snap;
	time_t when;
	char *state;
};

static struct entry read_entry(virDomainSnapshotPtr snap)
{
	struct entry e = { .snap = snap };
	char *xml = virDomainSnapshotGetXMLDesc(snap, 0), *when;

	when = xml ? xml_content(xml, NULL, "creationTime") : NULL;
	e.state = xml ? xml_content(xml, NULL, "state") : NULL;
	e.when = when ? strtoll(when, NULL, 10) : 0;
	free(when);
	free(xml);
	return e;
}

static int by_time(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->when != y->when)
		return x->when < y->when ? -1 : 1;
	return strcmp(virDomainSnapshotGetName(x->snap),
		      virDomainSnapshotGetName(y->snap));
}

static void add_row(struct ui_menu *menu, int i, const struct entry *e)
{
	bool current = virDomainSnapshotIsCurrent(e->snap, 0) == 1;
	bool off = e->state && strcmp(e->state, "running") && strcmp(e->state, "paused");
	char when[32];
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%d %H:%M", localtime_r(&e->when, &tm));
	ui_menu_add(menu, i < 9 ? '1' + i : 0, "%s %s  %s%s",
		    ui_column(virDomainSnapshotGetName(e->snap), 22), when,
		    off ? _("disks") : _("with memory"), current ? _(", current") : "");
}

static void snap_screen(virDomainPtr dom, virDomainSnapshotPtr snap)
{
	struct ui_menu menu = { .title = N_("Snapshot") };
	int row;

	menu.text = xasprintf(_("Snapshot %s of the guest %s."),
			      virDomainSnapshotGetName(snap), virDomainGetName(dom));
	ui_menu_add(&menu, 'r', "Revert: take the guest back to it");
	ui_menu_add(&menu, 'd', "Delete the snapshot");
	row = ui_menu(&menu);
	if (row == 0)
		revert(dom, snap);
	else if (row == 1)
		delete(dom, snap);
	ui_menu_clear(&menu);
	free((char *)menu.text);
}

static int list_once(virDomainPtr dom, struct ui_menu *menu)
{
	virDomainSnapshotPtr *snaps = NULL;
	int n = virDomainListAllSnapshots(dom, &snaps, 0), row;
	struct entry *entries;

	if (n < 0) {
		virt_failed("Snapshots", "The snapshots could not be listed.", virt_error());
		return UI_BACK;
	}
	entries = xrealloc(NULL, (n + 1) * sizeof(*entries));
	for (int i = 0; i < n; i++)
		entries[i] = read_entry(snaps[i]);
	qsort(entries, n, sizeof(*entries), by_time);
	ui_menu_clear(menu);
	ui_menu_add(menu, 'n', "Make a new snapshot");
	for (int i = 0; i < n; i++)
		add_row(menu, i, &entries[i]);
	row = ui_menu(menu);
	if (row == 0)
		make(dom);
	else if (row > 0)
		snap_screen(dom, entries[row - 1].snap);
	for (int i = 0; i < n; i++) {
		virDomainSnapshotFree(entries[i].snap);
		free(entries[i].state);
	}
	free(entries);
	free(snaps);
	return row;
}

void snapshot_screen(virDomainPtr dom)
{
	struct ui_menu menu = { .title = N_("Snapshots") };

	menu.text = xasprintf(_("Guest %s. Choose a snapshot to go back to it or to delete it."),
			      virDomainGetName(dom));
	while (list_once(dom, &menu) >= 0)
		;
	ui_menu_clear(&menu);
	free((char *)menu.text);
}
