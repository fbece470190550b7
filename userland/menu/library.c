// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * library: the ISO and cloud images that guests are made from.
 *
 * kvm-live-iso(8) downloads, checks and copies; it is asked here, and how far it is
 * shows from the size of the file that it writes (NAME.part, beside NAME.part.size, which
 * holds what the size will be). A transfer goes on while other screens are
 * shown; there is one at a time.
 */
#include <glob.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "iso.h"
#include "job.h"
#include "language.h"
#include "library.h"
#include "ui.h"
#include "util.h"
#include "virt.h"

#define PROGRAM		"kvm-live-iso"
#define REFRESH_MS	1000

/* The transfer, if any. The thread sets done last. */
static struct {
	struct job *job;
	char *name;		/* of what is to come */
	volatile bool done;
} transfer;

static void *transfer_thread(void *arg)
{
	job_work(arg);
	transfer.done = true;
	return NULL;
}

static void transfer_start(struct job *job, const char *from)
{
	const char *base = strrchr(from, '/');
	pthread_t thread;

	transfer.job = job;
	transfer.name = xstrdup(base ? base + 1 : from);
	transfer.name[strcspn(transfer.name, "?#")] = '\0';
	transfer.done = false;
	if (pthread_create(&thread, NULL, transfer_thread, job))
		transfer_thread(job);
	else
		pthread_detach(thread);
}

/* Shows how it ended, once. */
static void transfer_end(void)
{
	if (!transfer.job || !transfer.done)
		return;
	ui_message("ISO library", "%s", job_said(transfer.job));
	job_free(transfer.job);
	free(transfer.name);
	transfer.job = NULL;
}

static void transfer_cancel(void)
{
	if (transfer.job && !transfer.done && transfer.job->pid > 0 &&
	    ui_confirm("Stop", "Stop it", "Stop the transfer of %s? What has come of a download is kept, and the same address goes on from there.",
		       transfer.name) && !transfer.done)
		kill(transfer.job->pid, SIGTERM);
}

static uint64_t file_size(const char *path)
{
	struct stat st;

	return stat(path, &st) ? 0 : st.st_size;
}

static char *transfer_text(void)
{
	char *path = xasprintf("%s/%s.part", options.iso_dir, transfer.name);
	char *size_path = xasprintf("%s.size", path);
	char *text = read_file(size_path), bar[41];
	uint64_t size = text ? strtoull(text, NULL, 10) : 0, have = file_size(path);
	char *size_text = human_size(size), *have_text = human_size(have);
	unsigned int parts = size ? have * 40 / size : 0;

	free(text);
	for (unsigned int i = 0; i < 40; i++)
		bar[i] = i < parts ? '=' : '.';
	bar[40] = '\0';
	if (!size)
		text = xasprintf(_("%s: %s so far"), transfer.name, have_text);
	else if (have >= size)
		text = xasprintf(_("%s: %s, being checked\n%s 100 %%"), transfer.name, size_text, bar);
	else
		text = xasprintf(_("%s: %s of %s\n%s %2u %%"), transfer.name, have_text,
				 size_text, bar, (unsigned int)(have * 100 / size));
	free(size_text);
	free(have_text);
	free(size_path);
	free(path);
	return text;
}

static char *room_text(void)
{
	struct statvfs fs;
	char *room, *text;

	if (statvfs(options.iso_dir, &fs))
		return xasprintf(_("Images are kept in %s."), options.iso_dir);
	room = human_size((uint64_t)fs.f_bavail * fs.f_frsize);
	text = xasprintf(_("Images are kept in %s, where %s are free. Choose one to delete it."),
			 options.iso_dir, room);
	free(room);
	return text;
}

static void download(void)
{
	char *url = xstrdup(""), *sum = xstrdup("");
	struct job *job;

	if (ui_input("Download an image", "Address of the ISO or cloud image (.iso, .qcow2, .img, .raw), for example https://example.org/some.iso. A download that was cut short goes on where it stopped.", &url) &&
	    ui_input("Download an image", "Its SHA-256 or SHA-512, as the site that offers it says. Empty: it is not checked.", &sum)) {
		job = job_new(PROGRAM, "get");
		job_add(job, url);
		if (*sum)
			job_add(job, sum);
		transfer_start(job, url);
	}
	free(url);
	free(sum);
}

/*
 * Runs a command that prints rows with tabs and lets the user choose one. The
 * column is what is asked for, to be freed; NULL: nothing, or went back.
 */
static char *choose_row(const char *title, const char *none, struct job *job, int column)
{
	struct ui_menu menu = { .title = title, .text = N_("Choose one.") };
	char *rows[32], *line, *rest, *answer = NULL;
	int row, n = 0;

	if (!ui_busy(title, "It is being looked at.", job_work, job_free, job))
		return NULL;
	if (job->status || !*job->output) {
		ui_message(title, "%s", job->status ? job_said(job) : translated(none));
		job_free(job);
		return NULL;
	}
	rest = job->output;
	while (n < (int)ARRAY_SIZE(rows) && (line = strsep(&rest, "\n")) && *line) {
		rows[n] = xstrdup(line);
		ui_menu_add(&menu, n < 9 ? '1' + n : 0, "%s", line);
		n++;
	}
	row = ui_menu(&menu);
	rest = row >= 0 ? rows[row] : NULL;
	for (int i = 0; rest && i <= column; i++)
		line = strsep(&rest, "\t");
	if (row >= 0)
		answer = xstrdup(line);
	for (int i = 0; i < n; i++)
		free(rows[i]);
	ui_menu_clear(&menu);
	job_free(job);
	return answer;
}

static void import(void)
{
	char *device, *path = NULL;
	struct job *job;

	device = choose_row("Import from a USB stick", "There is no USB stick with a file system that this system knows. Plug one in, wait some seconds, and choose this again.",
			    job_new(PROGRAM, "sticks"), 0);
	if (device) {
		job = job_new(PROGRAM, "find");
		job_add(job, device);
		path = choose_row("Import from a USB stick", "There is no image (.iso, .qcow2, .img, .raw) on this stick.", job, 1);
	}
	if (path) {
		job = job_new(PROGRAM, "import");
		job_add(job, device);
		job_add(job, path);
		transfer_start(job, path);
	}
	free(path);
	free(device);
}

static void delete_iso(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	virConnectPtr conn = virt_quiet();
	char *user = conn ? virt_disk_user(conn, path, NULL) : NULL;

	if (ui_confirm("Delete an image", "Delete it", user ?
		       N_("Delete the image %s?\nIt is in the CD drive of the guest %s.") :
		       N_("Delete the image %s?"), name, user) && unlink(path))
		ui_message("Delete an image", "%s could not be deleted.", path);
	free(user);
}

static char *screen_text(void)
{
	char *room, *now, *text;

	if (!transfer.job)
		return room_text();
	room = room_text();
	now = transfer_text();
	text = xasprintf("%s\n\n%s", room, now);
	free(room);
	free(now);
	return text;
}

static bool screen_holds(const struct ui_menu *menu)
{
	char *now = screen_text();
	bool same = !strcmp(now, menu->text) && !(transfer.job && transfer.done);

	free(now);
	return same;
}

/* One round. False: the user goes back. */
static bool screen_once(struct ui_menu *menu)
{
	char *pattern = xasprintf("%s/" IMAGE_NAMES, options.iso_dir);
	glob_t found = { 0 };
	bool busy = transfer.job;
	int row;

	ui_menu_clear(menu);
	if (busy) {
		ui_menu_add(menu, 's', "Stop the transfer");
	} else {
		ui_menu_add(menu, 'd', "Download an image");
		ui_menu_add(menu, 'i', "Import an image from a USB stick");
	}
	glob(pattern, GLOB_BRACE, NULL, &found);
	free(pattern);
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *size = human_size(file_size(found.gl_pathv[i]));

		ui_menu_add(menu, i < 9 ? '1' + (int)i : 0, "%s %9s",
			    ui_column(strrchr(found.gl_pathv[i], '/') + 1, 46), size);
		free(size);
	}
	menu->text = screen_text();
	row = ui_menu(menu);
	free((char *)menu->text);
	if (busy && row == 0)
		transfer_cancel();
	else if (!busy && row == 0)
		download();
	else if (!busy && row == 1)
		import();
	else if (row > 0)
		delete_iso(found.gl_pathv[row - (busy ? 1 : 2)]);
	globfree(&found);
	return row != UI_BACK;
}

void library_screen(void)
{
	struct ui_menu menu = { .title = N_("ISO library"), .refresh_ms = REFRESH_MS,
		.holds = screen_holds };

	do
		transfer_end();
	while (screen_once(&menu));
	ui_menu_clear(&menu);
}
