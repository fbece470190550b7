// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * remove: delete a guest, with what belongs to it or without its disks.
 *
 * To a guest belong the files of its disks and of the CD with its login (seed.c) (with those below them, where external
 * snapshots have put one file on another), the memory that such snapshots saved,
 * the UEFI variables, and what libvirt itself keeps: snapshots, a saved state, and the
 * state of an emulated TPM.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom.h"
#include "language.h"
#include "remove.h"
#include "ui.h"
#include "util.h"
#include "xml.h"

struct files {
	char **paths;
	int n;
};

static void add(struct files *f, char *path)
{
	f->paths = xrealloc(f->paths, (f->n + 1) * sizeof(*f->paths));
	f->paths[f->n++] = path;
}

static void files_free(struct files *f)
{
	for (int i = 0; i < f->n; i++)
		free(f->paths[i]);
	free(f->paths);
}

/* Is the device a volume of an LVM pool, as the menu makes them? */
static bool is_logical(virDomainPtr dom, const char *path)
{
	virStorageVolPtr vol = virStorageVolLookupByPath(virDomainGetConnect(dom), path);
	virStoragePoolPtr pool = vol ? virStoragePoolLookupByVolume(vol) : NULL;
	bool is = pool && virt_pool_is_lvm(pool);

	if (pool)
		virStoragePoolFree(pool);
	if (vol)
		virStorageVolFree(vol);
	return is;
}

static void add_disks(struct files *f, virDomainPtr dom)
{
	char *xml = virt_xml(dom), *path;
	struct dom_disks disks;
	bool raw;

	dom_disks(xml, &disks);
	for (int i = 0; i < disks.n; i++) {
		const struct dom_disk *d = &disks.at[i];

		if (!d->source || (d->block && !is_logical(dom, d->source)) || (strcmp(d->device, "disk") &&
					       !ends_with(d->source, "-seed.iso")))
			continue;
		raw = !strcmp(d->format, "raw");
		path = xstrdup(d->source);
		for (int n = 0; path && n < VIRT_MAX_CHAIN; n++) {
			add(f, path);
			path = raw ? NULL : virt_below(virDomainGetConnect(dom), path, &raw);
		}
		free(path);
	}
	dom_disks_free(&disks);
	free(xml);
}

/* Returns how many snapshots there are; their files of memory go to f. */
static int add_snapshots(struct files *f, virDomainPtr dom)
{
	virDomainSnapshotPtr *snaps = NULL;
	int n = virDomainListAllSnapshots(dom, &snaps, 0);

	for (int i = 0; i < n; i++) {
		char *xml = virDomainSnapshotGetXMLDesc(snaps[i], 0), *file;

		file = xml ? xml_attr(xml, NULL, "memory", "file") : NULL;
		if (file)
			add(f, file);
		free(xml);
		virDomainSnapshotFree(snaps[i]);
	}
	free(snaps);
	return n < 0 ? 0 : n;
}

static void more(char **text, char *line)
{
	char *longer = xasprintf("%s  %s\n", *text, line);

	free(*text);
	free(line);
	*text = longer;
}

static char *lines(virDomainPtr dom, const struct files *f, int snapshots)
{
	char *text = xstrdup(""), *xml = virt_xml(dom), *format = NULL;
	char *nvram = xml ? dom_nvram(xml, &format) : NULL;

	for (int i = 0; i < f->n; i++)
		more(&text, xstrdup(f->paths[i]));
	if (nvram)
		more(&text, xasprintf(_("%s (UEFI variables)"), nvram));
	if (dom_has_tpm(xml))
		more(&text, xstrdup(_("its TPM, with the keys in it")));
	if (snapshots)
		more(&text, xasprintf(ngettext("%d snapshot", "%d snapshots", snapshots), snapshots));
	if (virDomainHasManagedSaveImage(dom, 0) == 1)
		more(&text, xstrdup(_("its saved state")));
	if (!*text)
		more(&text, xstrdup(_("none")));
	free(nvram);
	free(format);
	free(xml);
	return text;
}

char *remove_lines(virDomainPtr dom)
{
	struct files f = { NULL, 0 };
	char *text;
	int n;

	add_disks(&f, dom);
	n = add_snapshots(&f, dom);
	text = lines(dom, &f, n);
	files_free(&f);
	return text;
}

static void delete_file(virConnectPtr conn, const char *path)
{
	char *user = virt_disk_user(conn, path, NULL);
	virStorageVolPtr vol = virStorageVolLookupByPath(conn, path);

	if (user)
		ui_message("Delete", "The disk %s stays, because the guest %s has it too.",
			   path, user);
	else if (!vol || virStorageVolDelete(vol, 0) < 0)
		virt_failed("Delete", "The guest is deleted, but not its disk. Choose Disks to try again.",
			    virt_error());
	free(user);
	if (vol)
		virStorageVolFree(vol);
}

/* Drivers know different flags, and refuse those that they do not know. */
static bool undefine(virDomainPtr dom)
{
	unsigned int flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
		VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
		VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA |
		VIR_DOMAIN_UNDEFINE_NVRAM | VIR_DOMAIN_UNDEFINE_TPM;
	static const unsigned int unknown[] = { 0, VIR_DOMAIN_UNDEFINE_TPM,
		VIR_DOMAIN_UNDEFINE_NVRAM, VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA };

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++) {
		flags &= ~unknown[i];
		if (!virDomainUndefineFlags(dom, flags))
			return true;
		if (virGetLastErrorCode() != VIR_ERR_INVALID_ARG)
			return false;
	}
	return !virDomainUndefine(dom);
}

/* 0: keep the disks, 1: delete all, negative: the user went back. */
static int choose(virDomainPtr dom, const char *list)
{
	struct ui_menu menu = { .title = N_("Delete the guest") };
	int choice;

	menu.text = xasprintf(_("Delete the guest %s? To it belong:\n%s"),
			      virDomainGetName(dom), list);
	ui_menu_add(&menu, 'k', "Keep the disks, delete the guest and the rest");
	ui_menu_add(&menu, 'd', "Delete the guest and its disks for good");
	choice = ui_menu(&menu);
	ui_menu_clear(&menu);
	free((char *)menu.text);
	return choice;
}

bool remove_screen(virConnectPtr conn, virDomainPtr dom)
{
	struct files disks = { NULL, 0 }, memory = { NULL, 0 };
	char *list;
	int choice;

	if (virt_active(dom)) {
		ui_message("Delete", "The guest %s is running. Shut it down or force it off first.",
			   virDomainGetName(dom));
		return false;
	}
	virt_refresh(conn);
	add_disks(&disks, dom);
	add_snapshots(&memory, dom);
	list = remove_lines(dom);
	choice = choose(dom, list);
	if (choice >= 0 && !undefine(dom)) {
		virt_failed("Delete", "The guest was not deleted.", virt_error());
		choice = UI_BACK;
	}
	for (int i = 0; choice == 1 && i < disks.n; i++)
		delete_file(conn, disks.paths[i]);
	for (int i = 0; choice >= 0 && i < memory.n; i++)
		delete_file(conn, memory.paths[i]);
	free(list);
	files_free(&disks);
	files_free(&memory);
	return choice >= 0;
}
