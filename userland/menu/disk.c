// SPDX-License-Identifier: GPL-2.0-or-later
/* disk: volumes of the storage pool: list, create, delete. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "language.h"
#include "run.h"
#include "util.h"
#include "validate.h"
#include "xml.h"

char *disk_volume_name(const char *name, const char *format)
{
	char *end = xasprintf(".%s", format), *full;

	full = xasprintf("%s%s", name, ends_with(name, end) ? "" : end);
	free(end);
	return full;
}

char *disk_format(virStorageVolPtr vol)
{
	char *xml = virStorageVolGetXMLDesc(vol, 0);
	char *format = xml ? xml_attr(xml, NULL, "format", "type") : NULL;
	virStorageVolInfo info;

	free(xml);
	/* in a raw disk the guest may have written anything, the header of a qcow2 too */
	if (ends_with(virStorageVolGetName(vol), ".raw") ||
	    (!virStorageVolGetInfo(vol, &info) && info.type == VIR_STORAGE_VOL_BLOCK)) {
		free(format);
		return xstrdup("raw");
	}
	return format ? format : xstrdup(_("unknown"));
}

char *disk_row(virStorageVolPtr vol)
{
	virStorageVolInfo info;
	char *format = disk_format(vol), *size, *used, *row;

	if (virStorageVolGetInfo(vol, &info) < 0)
		memset(&info, 0, sizeof(info));
	size = human_size(info.capacity);
	used = human_size(info.allocation);
	row = xasprintf(_("%s %-6.6s %9s, uses %s"), ui_column(virStorageVolGetName(vol), 26),
			format, size, used);
	free(format);
	free(size);
	free(used);
	return row;
}

static bool exists(virStoragePoolPtr pool, const char *name)
{
	virStorageVolPtr vol = virStorageVolLookupByName(pool, name);

	if (vol)
		virStorageVolFree(vol);
	return vol;
}

static bool has_room(virStoragePoolPtr pool, const struct disk_spec *spec)
{
	uint64_t room = virt_pool_free(pool);
	char *have, *want;
	bool answer = false;

	if (spec->size <= room)
		return true;
	have = human_size(room);
	want = human_size(spec->size);
	if (spec->preallocate)
		ui_message("The disk does not fit", "A disk of %s with all its space allocated does not fit: %s are free in the pool %s. Make it smaller, delete another disk, or let it grow on demand.",
			   want, have, virStoragePoolGetName(pool));
	else
		answer = ui_confirm("The disk may outgrow its place", "Create it",
				    "The disk may grow to %s, but only %s are free in the pool %s. It starts small; when the space runs out, the guest is paused until there is room again. Create it all the same?",
				    want, have, virStoragePoolGetName(pool));
	free(have);
	free(want);
	return answer;
}

bool disk_may_create(virStoragePoolPtr pool, const struct disk_spec *spec)
{
	const char *problem = name_problem(spec->name);
	char *volume;
	bool taken;

	if (problem) {
		ui_message("Disk name", "%s", problem);
		return false;
	}
	volume = disk_volume_name(spec->name, spec->format);
	taken = exists(pool, volume);
	if (taken)
		ui_message("The disk exists already", "There is a disk %s in the pool %s already, and it stays as it is. Choose another name, or delete that disk first.",
			   volume, virStoragePoolGetName(pool));
	free(volume);
	return !taken && has_room(pool, spec);
}

struct create_job {
	virStoragePoolPtr pool;
	char *xml;
	bool preallocate;
	char *path, *error;
};

static void create_work(void *arg)
{
	struct create_job *job = arg;
	virStorageVolPtr vol;

	vol = virStorageVolCreateXML(job->pool, job->xml, job->preallocate ?
				     VIR_STORAGE_VOL_CREATE_PREALLOC_METADATA : 0);
	if (!vol) {
		job->error = virt_error();
		return;
	}
	job->path = virStorageVolGetPath(vol);
	virStorageVolFree(vol);
}

static void create_discard(void *arg)
{
	struct create_job *job = arg;

	virStoragePoolFree(job->pool);
	free(job->xml);
	free(job->path);
	free(job->error);
	free(job);
}

static struct create_job *create_job(virStoragePoolPtr pool, const char *name,
				     const struct disk_spec *spec)
{
	struct create_job *job = xrealloc(NULL, sizeof(*job));
	bool preallocate = spec->preallocate && !strcmp(spec->format, "qcow2");

	virStoragePoolRef(pool);
	*job = (struct create_job){ .pool = pool, .preallocate = preallocate,
		.xml = xml_volume(name, spec->format, spec->size, spec->preallocate) };
	return job;
}

char *disk_create(virStoragePoolPtr pool, const struct disk_spec *spec)
{
	char *name = disk_volume_name(spec->name, spec->format);
	struct create_job *job = create_job(pool, name, spec);
	char *text = xasprintf(_("The disk %s is being made."), name), *path = NULL;

	if (!ui_busy("Create a disk", text, create_work, create_discard, job)) {
		ui_message("Create a disk", "The disk %s is still being made. It appears under Disks when it is done.",
			   name);
		job = NULL;
	} else if (job->error) {
		free(text);
		text = xasprintf(_("The disk %s was not created."), name);
		virt_failed("Create a disk", text, job->error);
		job->error = NULL;
	} else {
		path = job->path;
		job->path = NULL;
	}
	if (job)
		create_discard(job);
	free(text);
	free(name);
	return path;
}

struct fill_job {
	char *argv[13];
	struct ui_progress progress;
	volatile pid_t pid;
	char *output;
	int status;
	bool damaged;
};

/* qemu-img says "(12.34/100%)". */
static void fill_seen(const char *piece, void *data)
{
	const char *at = strrchr(piece, '(');
	struct fill_job *job = data;

	if (at && strstr(at, "/100%"))
		job->progress.done = (unsigned long long)(strtod(at + 1, NULL) * 100);
}

static void fill_work(void *arg)
{
	struct fill_job *job = arg;
	const char *format = job->argv[5];
	int check = strcmp(format, "qcow2") ? 0 :
		run_quiet((char *[]){ "qemu-img", "check", "-q", "-f", "qcow2", job->argv[8], NULL });

	/* 3: only that it is larger than need be. A copy would not see that it is cut. */
	job->damaged = check == 1 || check == 2;
	if (job->damaged || job->progress.cancel) {
		job->status = 1;
		return;
	}
	job->status = run_watch(job->argv, fill_seen, job, &job->output, &job->pid);
}

static void fill_cancel(void *arg)
{
	struct fill_job *job = arg;

	if (job->pid > 0)
		kill(job->pid, SIGTERM);
}

bool disk_fill(const char *disk, const char *format, const char *image,
	       const char *image_format)
{
	struct fill_job job = { .progress.total = 10000, .argv = {
		"qemu-img", "convert", "-p", "-n", "-f", (char *)image_format, "-O",
		(char *)format, (char *)image, (char *)disk } };
	char *said;

	ui_work("Create a disk", "The disk is being filled from the image.", fill_work,
		fill_cancel, &job, &job.progress);
	if (job.damaged) {
		ui_message("Create a disk", "The image %s is damaged, or was cut short when it was downloaded or copied. Get it again.",
			   image);
	} else if (job.status && !job.progress.cancel) {
		said = strstr(job.output, "qemu-img: ");
		virt_failed("Create a disk", "The disk could not be filled from the image.",
			    xstrdup(said ? trim(said) : _("the program qemu-img could not be run")));
	}
	free(job.output);
	return !job.status && !job.progress.cancel;
}

bool disk_choose_format(const char **format)
{
	struct ui_menu menu = { .title = N_("Disk format"),
		.text = N_("All grow on demand. qcow2 is the usual one, and snapshots need it; qcow is the older format, for programs that know no other; raw is plain, the fastest, and any program reads it.") };
	static const char *const formats[] = { "qcow2", "qcow", "raw" };
	static const int keys[] = { '2', '1', 'r' };
	int choice;

	for (int i = 0; i < (int)ARRAY_SIZE(formats); i++) {
		ui_menu_add(&menu, keys[i], "%s", formats[i]);
		if (!strcmp(*format, formats[i]))
			menu.at = i;
	}
	choice = ui_menu(&menu);
	if (choice >= 0)
		*format = formats[choice];
	ui_menu_clear(&menu);
	return choice >= 0;
}

/* The sheet of "Create a disk": what the user has entered so far. */
struct sheet {
	char *name, *size;
	const char *format;
	bool preallocate;
};

/* The path of the disk, or NULL: the sheet stays. */
static char *sheet_create(virStoragePoolPtr pool, const struct sheet *s)
{
	struct disk_spec spec = { .name = s->name, .format = s->format,
				  .preallocate = s->preallocate };
	const char *problem = parse_disk_size(s->size, &spec.size);

	if (problem) {
		ui_message("Disk size", "%s", problem);
		return NULL;
	}
	if (virConnectIsAlive(virStoragePoolGetConnect(pool)) != 1) {
		ui_message("Create a disk", "The service libvirt ended in the meantime. Go back to the list of disks, which connects again.");
		return NULL;
	}
	return disk_may_create(pool, &spec) ? disk_create(pool, &spec) : NULL;
}

static void sheet_rows(struct ui_menu *menu, const struct sheet *s)
{
	ui_menu_clear(menu);
	ui_menu_add(menu, 'n', "Name             %s", *s->name ? s->name : _("(type one)"));
	ui_menu_add(menu, 's', "Size             %s", s->size);
	ui_menu_add(menu, 'f', "Format           %s", s->format);
	ui_menu_add(menu, 'a', "Allocate         %s", s->preallocate ?
		    _("all space now") : _("on demand"));
	ui_menu_add(menu, 'c', "Create the disk");
}

static const char *check_name(const char *value, void *data)
{
	(void)data;
	return name_problem(value);
}

static const char *check_size(const char *value, void *data)
{
	uint64_t bytes;

	(void)data;
	return parse_disk_size(value, &bytes);
}

bool disk_ask_size(char **size)
{
	return ui_ask("Disk size", "Size of the disk with its unit, for example 4G or 500M.",
		      size, check_size, NULL);
}

static void toggle_allocate(struct sheet *s)
{
	if (strcmp(s->format, "qcow2")) {
		ui_message("Allocate", "Disks of the format %s always grow on demand. Choose qcow2 to allocate all space now.",
			   s->format);
		return;
	}
	s->preallocate = !s->preallocate;
}

static void sheet_edit(struct sheet *s, int row)
{
	switch (row) {
	case 0:
		ui_ask("Disk name", "Name of the disk: letters, digits, and the characters . _ - (the ending .qcow2, .qcow or .raw is added).",
		       &s->name, check_name, NULL);
		break;
	case 1:
		disk_ask_size(&s->size);
		break;
	case 2:
		disk_choose_format(&s->format);
		if (strcmp(s->format, "qcow2"))
			s->preallocate = false;
		break;
	case 3:
		toggle_allocate(s);
		break;
	}
}

char *disk_make(virStoragePoolPtr pool, const char *name)
{
	struct sheet s = { .name = xstrdup(name), .size = xstrdup("4G"),
			   .format = "qcow2" };
	struct ui_menu menu = { .title = N_("Create a disk") };
	char *room = human_size(virt_pool_free(pool)), *path = NULL;
	int row;

	menu.text = xasprintf(_("The disk is made in the storage pool %s, where %s are free."),
			      options.pool, room);
	do {
		sheet_rows(&menu, &s);
		row = ui_menu(&menu);
		if (row == 4)
			path = sheet_create(pool, &s);
		else
			sheet_edit(&s, row);
	} while (row >= 0 && !path);
	ui_menu_clear(&menu);
	free((char *)menu.text);
	free(room);
	free(s.name);
	free(s.size);
	return path;
}

static void create_screen(virStoragePoolPtr pool)
{
	char *path = disk_make(pool, "");

	if (path)
		ui_message("Disk created", "The disk was created: %s", path);
	free(path);
}

/* A device of the host's own: mounted, or part of another. */
static bool host_has(const char *path)
{
	int fd;

	if (strncmp(path, "/dev/", 5))
		return false;
	fd = open(path, O_RDONLY | O_EXCL | O_CLOEXEC);
	if (fd < 0)
		return errno == EBUSY;
	close(fd);
	return false;
}

int disk_add_unused(struct ui_menu *menu, virConnectPtr conn,
		    virStoragePoolPtr pool, char ***paths)
{
	virStorageVolPtr *vols = NULL;
	int n = virStoragePoolListAllVolumes(pool, &vols, 0), kept = 0;

	*paths = xrealloc(NULL, (n < 1 ? 1 : n) * sizeof(char *));
	for (int i = 0; i < n; i++) {
		char *path = virStorageVolGetPath(vols[i]);
		char *format = disk_format(vols[i]);
		char *user = path ? virt_disk_user(conn, path, NULL) : NULL;

		if (path && !user && !ends_with(path, ".iso") && !host_has(path) &&
		    (!strncmp(format, "qcow", 4) || !strcmp(format, "raw"))) {
			char *text = disk_row(vols[i]);

			ui_menu_add(menu, kept < 9 ? '1' + kept : 0, "%s", text);
			(*paths)[kept++] = xstrdup(path);
			free(text);
		}
		free(user);
		free(format);
		free(path);
		virStorageVolFree(vols[i]);
	}
	free(vols);
	return kept;
}

void disk_free_paths(char **paths, int n)
{
	for (int i = 0; i < n; i++)
		free(paths[i]);
	free(paths);
}

static void delete_disk(virConnectPtr conn, virStorageVolPtr vol)
{
	const char *name = virStorageVolGetName(vol);
	char *path = virStorageVolGetPath(vol);
	char *user = path ? virt_disk_user(conn, path, NULL) : NULL;

	if (user)
		ui_message("Delete a disk", "The disk %s belongs to the guest %s. Delete the guest first, under Guests.",
			   name, user);
	else if (ui_confirm("Delete a disk", "Delete it", "Delete the disk %s? What is on it will be gone.",
			    name) && virStorageVolDelete(vol, 0) < 0)
		virt_failed("Delete a disk", "The disk was not deleted.",
			    virt_error());
	free(user);
	free(path);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(virStorageVolGetName(*(virStorageVolPtr *)a),
		      virStorageVolGetName(*(virStorageVolPtr *)b));
}

/* One round of the list. False: the user goes back. */
static bool list_once(virConnectPtr conn, virStoragePoolPtr pool,
		      struct ui_menu *menu)
{
	virStorageVolPtr *vols = NULL;
	int n = virStoragePoolListAllVolumes(pool, &vols, 0), row;

	if (n < 0) {
		virt_failed("Disks", "The disks could not be listed.", virt_error());
		return false;
	}
	ui_menu_clear(menu);
	ui_menu_add(menu, 'c', "Create a disk");
	if (n > 0)
		qsort(vols, n, sizeof(*vols), by_name);
	for (int i = 0; i < n; i++) {
		char *text = disk_row(vols[i]);

		ui_menu_add(menu, i < 9 ? '1' + i : 0, "%s", text);
		free(text);
	}
	row = ui_menu(menu);
	if (row == 0)
		create_screen(pool);
	else if (row > 0 && virConnectIsAlive(conn) == 1)	/* else: ask again */
		delete_disk(conn, vols[row - 1]);
	for (int i = 0; i < n; i++)
		virStorageVolFree(vols[i]);
	free(vols);
	return row >= 0;
}

void disk_screen(void)
{
	struct ui_menu menu = { .title = N_("Disks") };
	bool more;

	do {
		virConnectPtr conn = virt();
		virStoragePoolPtr pool = conn ? virt_pool(conn) : NULL;
		char *room;

		if (!pool)
			break;
		room = human_size(virt_pool_free(pool));
		menu.text = xasprintf(_("Storage pool %s: %s free. Choose a disk to delete it."),
				      options.pool, room);
		more = list_once(conn, pool, &menu);
		free(room);
		free((char *)menu.text);
		virStoragePoolFree(pool);
	} while (more);
	ui_menu_clear(&menu);
}
