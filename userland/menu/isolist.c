// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * isolist: which ISO images, and images of disks, are there to choose from?
 *
 * Looked for in the folder for ISO images, on the live medium, among the
 * storage pool's volumes and in the optical drives.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "install.h"
#include "iso.h"
#include "language.h"
#include "ui.h"
#include "util.h"
#include "virt.h"

struct list {
	char **paths;
	int n;
};

static void add(struct list *list, const char *path)
{
	for (int i = 0; i < list->n; i++)
		if (!strcmp(list->paths[i], path))
			return;
	list->paths = xrealloc(list->paths, (list->n + 1) * sizeof(char *));
	list->paths[list->n++] = xstrdup(path);
}

static void add_glob(struct list *list, const char *dir, const char *pattern)
{
	char *full = xasprintf("%s/%s", dir, pattern);
	glob_t found;

	if (!glob(full, GLOB_BRACE, NULL, &found)) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			add(list, found.gl_pathv[i]);
		globfree(&found);
	}
	free(full);
}

static void add_volumes(struct list *list)
{
	virConnectPtr conn = virt_quiet();
	virStoragePoolPtr pool = conn ?
		virStoragePoolLookupByName(conn, options.pool) : NULL;
	virStorageVolPtr *vols = NULL;
	int n = pool ? virStoragePoolListAllVolumes(pool, &vols, 0) : 0;

	for (int i = 0; i < n; i++) {
		char *path = virStorageVolGetPath(vols[i]);

		if (path && ends_with(path, ".iso"))
			add(list, path);
		free(path);
		virStorageVolFree(vols[i]);
	}
	free(vols);
	if (pool)
		virStoragePoolFree(pool);
}

static void find(struct list *list, bool disks)
{
	static const char *const medium[] = {
		"/run/live/medium/iso", "/usr/lib/live/mount/medium/iso" };

	const char *names = disks ? IMAGE_NAMES : "*.[iI][sS][oO]";

	add_glob(list, options.iso_dir, names);
	for (size_t i = 0; i < ARRAY_SIZE(medium); i++)
		add_glob(list, medium[i], names);
	add_volumes(list);
	add_glob(list, "/dev", "sr[0-9]*");
}

/* "name  size  label", or what is wrong with it in a word. */
static char *row(const char *path)
{
	const char *base = strrchr(path, '/');
	struct iso_info info;
	char *problem = image_problem(path, &info);
	char *size = human_size(info.size), *disk = human_size(info.volume_size), *text;

	base = info.block || !base ? path : base + 1;
	text = xasprintf(!problem && info.disk ? _("%s %9s  disk of %.20s") : "%s %9s  %.20s",
			 ui_column(base, 30), size,
			 !problem ? info.disk ? disk : info.label :
			 info.truncated ? _("TRUNCATED") : info.no_disc ? _("(no disc)") :
			 _("NOT USABLE"));
	free(disk);
	free(problem);
	free(size);
	return text;
}

static char *type_path(const char *current)
{
	char *path = xstrdup(current);

	if (ui_input("ISO image", "Full path of the ISO image, the disk image or the CD drive, for example /dev/sr0.", &path))
		return path;
	free(path);
	return NULL;
}

static char *choose(struct ui_menu *menu, struct list *list,
		    const char *current)
{
	char *typed;
	int at;

	ui_menu_add(menu, 't', "Type a path");
	for (int i = 0; i < list->n; i++) {
		char *text = row(list->paths[i]);

		ui_menu_add(menu, i < 9 ? '1' + i : 0, "%s", text);
		free(text);
		if (!strcmp(list->paths[i], current))
			menu->at = i + 1;
	}
	while ((at = ui_menu(menu)) == 0) {
		typed = type_path(current);
		if (typed)
			return typed;
	}
	return at < 0 ? NULL : xstrdup(list->paths[at - 1]);
}

char *iso_choose(const char *current, bool disks)
{
	struct ui_menu menu = { .at = 1, .title = disks ?
		N_("Choose an ISO or a cloud image") : N_("Choose an ISO") };
	struct list list = { NULL, 0 };
	char *path;

	find(&list, disks);
	menu.text = xasprintf(list.n ?
			      _("%sMore images appear here when copied to %s.") :
			      _("%sNo image was found. Copy one to %s, insert a CD, or type a path."),
			      host_kvm_ready() ? "" :
			      _("Guests run on KVM, which is not usable here; they can be emulated, slowly. "),
			      options.iso_dir);
	path = choose(&menu, &list, current);
	ui_menu_clear(&menu);
	free((char *)menu.text);
	for (int i = 0; i < list.n; i++)
		free(list.paths[i]);
	free(list.paths);
	return path;
}
