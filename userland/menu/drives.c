// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * drives: the disks and the CD drive of a guest.
 *
 * A change goes into the description that libvirt keeps first. When the guest
 * runs, it is then made there too; if the guest cannot take it now, the reason is
 * shown, and the change holds from its next start on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "disk.h"
#include "dom.h"
#include "drives.h"
#include "install.h"
#include "iso.h"
#include "language.h"
#include "ui.h"
#include "util.h"
#include "xml.h"

static bool is_disk(const struct dom_disk *d)
{
	return strcmp(d->device, "cdrom") && strcmp(d->device, "floppy");
}

char *drives_text(const char *xml)
{
	struct dom_disks disks;
	const char *first = NULL;
	char *text;
	int n = 0;

	dom_disks(xml, &disks);
	for (int i = 0; i < disks.n; i++) {
		if (!is_disk(&disks.at[i]))
			continue;
		if (!n++)
			first = disks.at[i].source;
	}
	if (n > 1)
		text = xasprintf(ngettext("%s and %d more", "%s and %d more", n - 1), first ? first : _("one"),
				 n - 1);
	else
		text = xstrdup(!n ? _("none") : first ? first : _("one"));
	dom_disks_free(&disks);
	return text;
}

char *drives_cd_text(const char *xml)
{
	struct dom_disks disks;
	const struct dom_disk *cd;
	char *text;

	dom_disks(xml, &disks);
	cd = dom_cd(&disks);
	text = xstrdup(!cd ? _("no drive") : cd->source ? cd->source : _("empty"));
	dom_disks_free(&disks);
	return text;
}

/* A change that was made for the next start, and now for the running guest. */
static void tell(virDomainPtr dom, const char *title, const char *done, bool failed)
{
	char *error = failed ? virt_error() : NULL;

	if (failed)
		ui_message(title, "%s, from the next start on. The running guest could not take it now: %s",
			   done, error);
	else
		ui_message(title, virt_active(dom) ? N_("%s, at once and for good.") : N_("%s."),
			   done);
	free(error);
}

static void add_disk(virDomainPtr dom, const struct dom_disk *d)
{
	char *xml = virt_xml(dom), *element = dom_disk_xml(d), *done;
	bool failed = false;

	if (xml && xml_append(&xml, "devices", element) &&
	    virt_redefine(dom, "Disks of the guest", xml)) {
		if (virt_active(dom))
			failed = virDomainAttachDeviceFlags(dom, element,
							    VIR_DOMAIN_AFFECT_LIVE) < 0;
		done = xasprintf(_("The guest has the disk %s as %s"), d->source, d->target);
		tell(dom, "Disks of the guest", done, failed);
		free(done);
	}
	free(element);
	free(xml);
}

/* Attaches the volume with that path, on the bus that the other disks are on. */
static void attach(virConnectPtr conn, virDomainPtr dom, const char *path)
{
	virStorageVolPtr vol = virStorageVolLookupByPath(conn, path);
	char *xml = virt_xml(dom), *user = virt_disk_user(conn, path, NULL);
	struct dom_disk d = { .source = (char *)path };
	struct dom_disks disks;

	dom_disks(xml, &disks);
	d.bus = (char *)dom_disk_bus(&disks);
	d.target = dom_free_target(&disks, d.bus);
	d.format = vol ? disk_format(vol) : NULL;
	if (user)
		ui_message("Disks of the guest", "The disk %s belongs to the guest %s by now. Choose another.",
			   path, user);
	else if (!vol)
		virt_failed("Disks of the guest", "The disk is not there any more.",
			    virt_error());
	else
		add_disk(dom, &d);
	dom_disks_free(&disks);
	free(d.target);
	free(d.format);
	free(user);
	free(xml);
	if (vol)
		virStorageVolFree(vol);
}

static void attach_screen(virConnectPtr conn, virDomainPtr dom)
{
	struct ui_menu menu = { .title = N_("Attach a disk"),
		.text = N_("Disks of the storage pool that no guest has.") };
	virStoragePoolPtr pool = virt_pool(conn);
	char **paths = NULL;
	int n, row = UI_BACK;

	if (!pool)
		return;
	n = disk_add_unused(&menu, conn, pool, &paths);
	if (n)
		row = ui_menu(&menu);
	else
		ui_message("Attach a disk", "There is no disk that no guest has. Choose Add a new disk instead.");
	if (row >= 0)
		attach(conn, dom, paths[row]);
	disk_free_paths(paths, n);
	ui_menu_clear(&menu);
	virStoragePoolFree(pool);
}

/* NAME-2, NAME-3…: the first that no disk has. */
static char *free_disk_name(virStoragePoolPtr pool, const char *guest)
{
	for (int i = 2; ; i++) {
		char *name = xasprintf("%s-%d", guest, i);
		char *volume = disk_volume_name(name, "qcow2");
		virStorageVolPtr vol = virStorageVolLookupByName(pool, volume);

		free(volume);
		if (!vol)
			return name;
		virStorageVolFree(vol);
		free(name);
	}
}

static void new_disk(virConnectPtr conn, virDomainPtr dom)
{
	virStoragePoolPtr pool = virt_pool(conn);
	char *name, *path;

	if (!pool)
		return;
	name = free_disk_name(pool, virDomainGetName(dom));
	path = disk_make(pool, name);
	if (path)
		attach(conn, dom, path);
	free(path);
	free(name);
	virStoragePoolFree(pool);
}

/* A guest gives a disk back when it likes: true when it has done so. */
static bool gone(virDomainPtr dom, const char *target)
{
	for (int i = 0; i < 40; i++) {
		char *xml = virDomainGetXMLDesc(dom, 0);
		char *still = xml ? dom_disk_element(xml, target) : NULL;

		free(xml);
		free(still);
		if (!still)
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	}
	return false;
}

static void detach_live(virDomainPtr dom, const struct dom_disk *d)
{
	char *xml = virDomainGetXMLDesc(dom, 0);
	char *element = xml ? dom_disk_element(xml, d->target) : NULL;
	char *done = xasprintf(_("The guest has the disk %s no more"), d->target);
	bool failed = element &&
		virDomainDetachDeviceFlags(dom, element, VIR_DOMAIN_AFFECT_LIVE) < 0;

	if (failed || gone(dom, d->target))
		tell(dom, "Detach a disk", done, failed);
	else
		ui_message("Detach a disk", "The guest was asked to give the disk %s back and has not done so yet. It is gone at the next start at the latest.",
			   d->target);
	free(done);
	free(element);
	free(xml);
}

static void detach(virDomainPtr dom, const struct dom_disk *d)
{
	char *xml;

	if (!ui_confirm("Detach a disk", "Detach it", "Take the disk %s (%s) away from the guest %s? The disk itself stays, and can be attached again.%s",
			d->target, d->source ? d->source : _("no file"),
			virDomainGetName(dom), virt_active(dom) ?
			_(" The guest is running: unmount the disk in it first.") : ""))
		return;
	xml = virt_xml(dom);
	if (!xml)
		return;
	dom_remove_disk(&xml, d->target);
	if (virt_redefine(dom, "Detach a disk", xml)) {
		if (virt_active(dom))
			detach_live(dom, d);
		else
			ui_message("Detach a disk", "The guest has the disk %s no more.",
				   d->target);
	}
	free(xml);
}

/* Rows for the disks; *which: the place of each in disks. */
static void add_rows(struct ui_menu *menu, const struct dom_disks *disks, int *which)
{
	int n = 0;

	for (int i = 0; i < disks->n; i++) {
		const struct dom_disk *d = &disks->at[i];

		if (!is_disk(d))
			continue;
		ui_menu_add(menu, n < 9 ? '1' + n : 0, "%-4.4s %-6.6s %-6.6s %s",
			    d->target, d->bus, d->format, d->source ? d->source : "-");
		which[n++] = i;
	}
}

static int drives_once(virConnectPtr conn, virDomainPtr dom, struct ui_menu *menu)
{
	char *xml = virt_xml(dom);
	struct dom_disks disks;
	int *which, row;

	dom_disks(xml, &disks);
	which = xrealloc(NULL, (disks.n + 1) * sizeof(*which));
	ui_menu_clear(menu);
	ui_menu_add(menu, 'n', "Add a new disk");
	ui_menu_add(menu, 'a', "Attach a disk that exists");
	add_rows(menu, &disks, which);
	row = ui_menu(menu);
	if (row == 0)
		new_disk(conn, dom);
	else if (row == 1)
		attach_screen(conn, dom);
	else if (row > 1)
		detach(dom, &disks.at[which[row - 2]]);
	dom_disks_free(&disks);
	free(which);
	free(xml);
	return row;
}

void drives_screen(virConnectPtr conn, virDomainPtr dom)
{
	struct ui_menu menu = { .title = N_("Disks of the guest"),
		.text = N_("Choose a disk to detach it, or add one.") };

	while (drives_once(conn, dom, &menu) >= 0)
		;
	ui_menu_clear(&menu);
}

/* Where a first CD drive goes: newer machines have no IDE. */
static const char *cd_bus(const char *xml)
{
	char *machine = xml ? xml_attr(xml, NULL, "type", "machine") : NULL;
	bool q35 = machine && strstr(machine, "q35");

	free(machine);
	return q35 ? "sata" : "ide";
}

/*
 * Puts the disc (path NULL: none) into the drive, which is added if the guest has
 * none: that needs a start. False: libvirt refused, and said why.
 */
static void change_disc(virDomainPtr dom, struct xml_cd *disc, const char *done)
{
	char *xml = virt_xml(dom), *old, *order, *element, *target;
	struct dom_disks disks;
	const struct dom_disk *cd;
	bool failed = false;

	dom_disks(xml, &disks);
	cd = dom_cd(&disks);
	disc->bus = cd ? cd->bus : cd_bus(xml);
	target = cd ? xstrdup(cd->target) : dom_free_target(&disks, disc->bus);
	disc->target = target;
	old = xml ? dom_disk_element(xml, target) : NULL;
	order = old ? xml_attr(old, NULL, "boot", "order") : NULL;
	disc->order = order ? strtoul(order, NULL, 10) : 0;
	element = xml_cdrom(disc);
	if (xml)
		dom_put_disk(&xml, target, element);
	if (xml && virt_redefine(dom, "CD", xml)) {
		if (cd && virt_active(dom))
			failed = virDomainUpdateDeviceFlags(dom, element,
							    VIR_DOMAIN_AFFECT_LIVE) < 0;
		if (cd)
			tell(dom, "CD", done, failed);
		else
			virt_changed(dom, "CD", done);
	}
	dom_disks_free(&disks);
	free(target);
	free(order);
	free(element);
	free(old);
	free(xml);
}

static void insert(virDomainPtr dom)
{
	char *path = iso_choose("", false), *problem, *done;
	struct xml_cd disc = { .path = path };
	struct iso_info info;

	if (!path)
		return;
	problem = iso_problem(path, &info);
	if (!problem)
		problem = iso_reach_problem(path, &disc.relabel);
	if (problem) {
		ui_message("CD", "%s", problem);
	} else {
		disc.block = info.block;
		disc.relabel |= virt_is_test(virDomainGetConnect(dom));
		done = xasprintf(_("The disc %s is in the guest's drive"), path);
		change_disc(dom, &disc, done);
		free(done);
	}
	free(problem);
	free(path);
}

static void eject(virDomainPtr dom, bool has_disc)
{
	struct xml_cd none = { .path = NULL };

	if (has_disc)
		change_disc(dom, &none, _("The guest's CD drive is empty"));
	else
		ui_message("CD", "There is no disc in the guest's CD drive.");
}

void drives_cd_screen(virDomainPtr dom)
{
	struct ui_menu menu = { .title = N_("CD drive of the guest") };
	int row;

	ui_menu_add(&menu, 'i', "Insert a disc");
	ui_menu_add(&menu, 'e', "Eject the disc");
	do {
		char *xml = virt_xml(dom), *now = drives_cd_text(xml);

		menu.text = xasprintf(_("In the drive: %s"), now);
		row = ui_menu(&menu);
		if (row == 0)
			insert(dom);
		else if (row == 1)
			eject(dom, *now == '/');
		free((char *)menu.text);
		free(now);
		free(xml);
	} while (row >= 0);
	ui_menu_clear(&menu);
}
