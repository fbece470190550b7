// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * dom: reads and edits the description of a guest that libvirt has.
 *
 * libvirt prints each device as one element, so a device is changed by cutting its
 * element out, and what the menu does not know of stays as it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dom.h"
#include "language.h"
#include "util.h"
#include "xml.h"

static char *or_else(char *s, const char *otherwise)
{
	return s ? s : xstrdup(otherwise);
}

static void read_disk(const char *start, const char *end, struct dom_disk *d)
{
	const char *mark;

	d->target = or_else(xml_attr(start, end, "target", "dev"), "");
	d->bus = or_else(xml_attr(start, end, "target", "bus"), "");
	d->device = or_else(xml_attr(start, end, "disk", "device"), "disk");
	d->format = or_else(xml_attr(start, end, "driver", "type"), "raw");
	d->source = xml_attr(start, end, "source", "file");
	d->block = false;
	if (!d->source) {
		d->source = xml_attr(start, end, "source", "dev");
		d->block = d->source;
	}
	mark = strstr(start, "<readonly/>");
	d->readonly = mark && mark < end;
}

void dom_disks(const char *xml, struct dom_disks *disks)
{
	const char *at = xml, *start;

	*disks = (struct dom_disks){ NULL, 0 };
	while (xml && xml_next(&at, "disk", &start)) {
		disks->at = xrealloc(disks->at, (disks->n + 1) * sizeof(*disks->at));
		read_disk(start, at, &disks->at[disks->n++]);
	}
}

void dom_disks_free(struct dom_disks *disks)
{
	for (int i = 0; i < disks->n; i++) {
		free(disks->at[i].target);
		free(disks->at[i].bus);
		free(disks->at[i].device);
		free(disks->at[i].source);
		free(disks->at[i].format);
	}
	free(disks->at);
	*disks = (struct dom_disks){ NULL, 0 };
}

const struct dom_disk *dom_cd(const struct dom_disks *disks)
{
	for (int i = 0; i < disks->n; i++)
		if (!strcmp(disks->at[i].device, "cdrom"))
			return &disks->at[i];
	return NULL;
}

const char *dom_disk_bus(const struct dom_disks *disks)
{
	for (int i = 0; i < disks->n; i++)
		if (!strcmp(disks->at[i].device, "disk"))
			return disks->at[i].bus;
	return disks->n ? disks->at[0].bus : "virtio";
}

static bool has_target(const struct dom_disks *disks, const char *target)
{
	for (int i = 0; i < disks->n; i++)
		if (!strcmp(disks->at[i].target, target))
			return true;
	return false;
}

char *dom_free_target(const struct dom_disks *disks, const char *bus)
{
	const char *prefix = !strcmp(bus, "virtio") ? "vd" :
		!strcmp(bus, "ide") ? "hd" : !strcmp(bus, "xen") ? "xvd" : "sd";

	for (char c = 'a'; ; c++) {
		char *target = xasprintf("%s%c", prefix, c);

		if (c == 'z' || !has_target(disks, target))
			return target;
		free(target);
	}
}

char *dom_disk_xml(const struct dom_disk *d)
{
	return xml_text("<disk type='%r' device='disk'>"
			"<driver name='qemu' type='%s'/><source %r='%s'/>"
			"<target dev='%s' bus='%s'/></disk>",
			d->block ? "block" : "file", d->format,
			d->block ? "dev" : "file", d->source, d->target, d->bus);
}

/* The bounds of the disk with that target. */
static bool find_disk(const char *xml, const char *target, const char **start,
		      const char **end)
{
	*end = xml;
	while (xml && xml_next(end, "disk", start)) {
		char *its = xml_attr(*start, *end, "target", "dev");
		bool found = its && !strcmp(its, target);

		free(its);
		if (found)
			return true;
	}
	return false;
}

char *dom_disk_element(const char *xml, const char *target)
{
	const char *start, *end;

	if (!find_disk(xml, target, &start, &end))
		return NULL;
	return xasprintf("%.*s", (int)(end - start), start);
}

void dom_put_disk(char **xml, const char *target, const char *element)
{
	const char *start, *end;

	if (find_disk(*xml, target, &start, &end))
		xml_splice(xml, start, end, element);
	else
		xml_append(xml, "devices", element);
}

void dom_remove_disk(char **xml, const char *target)
{
	const char *start, *end;

	if (find_disk(*xml, target, &start, &end))
		xml_splice(xml, start, end, "");
}

void dom_set_memory(char **xml, uint64_t mib)
{
	char *memory = xml_text("<memory unit='MiB'>%U</memory>", mib);

	xml_replace(xml, "memory", memory);
	xml_replace(xml, "currentMemory", "");
	free(memory);
}

/* A topology or a list of processors would not fit the new number any more. */
void dom_set_cpus(char **xml, unsigned int n)
{
	char *cpus = xml_text("<vcpu>%u</vcpu>", n);

	xml_replace(xml, "vcpu", cpus);
	xml_replace(xml, "vcpus", "");
	xml_replace(xml, "topology", "");
	free(cpus);
}

static const char *const boot_kinds[] = {
	[BOOT_DISK] = "disk", [BOOT_CD] = "cdrom", [BOOT_NETWORK] = "interface" };

/* What kind of device the element is, among those that boot. */
static int boot_kind(const char *part)
{
	char *device = xml_attr(part, NULL, "disk", "device");
	int kind = -1;

	if (!strncmp(part, "<interface", 10))
		kind = BOOT_NETWORK;
	else if (!device || !strcmp(device, "disk"))
		kind = BOOT_DISK;
	else if (!strcmp(device, "cdrom"))
		kind = BOOT_CD;
	free(device);
	return kind;
}

struct boot_edit {
	int kind;
	unsigned int next;	/* 0: take the numbers away */
};

static void edit_boot(char **part, void *data)
{
	struct boot_edit *b = data;
	char *order;

	if (!b->next) {
		while (xml_replace(part, "boot", ""))
			;
		return;
	}
	if (boot_kind(*part) != b->kind)
		return;
	order = xml_text("<boot order='%u'/>", b->next++);
	xml_append(part, b->kind == BOOT_NETWORK ? "interface" : "disk", order);
	free(order);
}

static void edit_boot_all(char **xml, struct boot_edit *b)
{
	xml_edit_each(xml, "disk", edit_boot, b);
	xml_edit_each(xml, "interface", edit_boot, b);
}

void dom_set_boot(char **xml, enum dom_boot first)
{
	struct boot_edit b = { .next = 0 };

	xml_edit_each(xml, "os", edit_boot, &b);
	edit_boot_all(xml, &b);
	b = (struct boot_edit){ .kind = first, .next = 1 };
	edit_boot_all(xml, &b);
	for (b.kind = BOOT_DISK; b.kind <= BOOT_NETWORK; b.kind++)
		if (b.kind != (int)first)
			edit_boot_all(xml, &b);
}

/* Is the device with that order of this element's kind? */
static bool boots_first(const char *xml, const char *element, int kind)
{
	const char *at = xml, *start;
	bool found = false;

	while (!found && xml_next(&at, element, &start)) {
		char *part = xasprintf("%.*s", (int)(at - start), start);
		char *order = xml_attr(part, NULL, "boot", "order");

		found = order && !strcmp(order, "1") && boot_kind(part) == kind;
		free(order);
		free(part);
	}
	return found;
}

enum dom_boot dom_boot(const char *xml)
{
	char *dev = xml_attr(xml, NULL, "boot", "dev");
	enum dom_boot first = BOOT_DISK;

	for (int kind = BOOT_DISK; kind <= BOOT_NETWORK; kind++)
		if (boots_first(xml, kind == BOOT_NETWORK ? boot_kinds[kind] : "disk",
				kind))
			first = kind;
	if (dev && !strcmp(dev, "cdrom"))
		first = BOOT_CD;
	else if (dev && !strcmp(dev, "network"))
		first = BOOT_NETWORK;
	free(dev);
	return first;
}

enum dom_network dom_network(const char *xml, char **name)
{
	const char *at = xml, *start;
	enum dom_network kind = NETWORK_OTHER;

	*name = NULL;
	if (!xml_next(&at, "interface", &start))
		return NETWORK_NONE;
	*name = xml_attr(start, at, "source", "network");
	if (*name && !strcmp(*name, "default"))
		kind = NETWORK_NAT;
	if (!*name) {
		char *type = xml_attr(start, at, "interface", "type");

		*name = xml_attr(start, at, "source", "bridge");
		if (*name && type && !strcmp(type, "bridge"))
			kind = NETWORK_BRIDGE;
		free(type);
	}
	return kind;
}

/* A new card is of the kind that suits the guest's disks. */
static const char *card_for(const char *xml)
{
	struct dom_disks disks;
	const char *model;

	dom_disks(xml, &disks);
	model = !strcmp(dom_disk_bus(&disks), "virtio") ? "virtio" :
		!strcmp(dom_disk_bus(&disks), "ide") ? "rtl8139" : "e1000e";
	dom_disks_free(&disks);
	return model;
}

void dom_set_network(char **xml, enum dom_network kind, const char *bridge)
{
	const char *at = *xml, *start;
	char *mac = NULL, *model = NULL, *card;
	bool has = xml_next(&at, "interface", &start);
	enum dom_boot first = dom_boot(*xml);
	bool ordered = strstr(*xml, "<boot order=");

	if (has) {
		mac = xml_attr(start, at, "mac", "address");
		model = xml_attr(start, at, "model", "type");
	}
	card = kind == NETWORK_NONE ? xstrdup("") :
		xml_interface(kind == NETWORK_BRIDGE ? bridge : NULL, mac,
			      model ? model : card_for(*xml));
	if (has)
		xml_splice(xml, start, at, card);
	else
		xml_append(xml, "devices", card);
	if (ordered)
		dom_set_boot(xml, first);
	free(card);
	free(mac);
	free(model);
}

char *dom_nvram(const char *xml, char **format)
{
	char *path = xml_content(xml, NULL, "nvram");

	*format = or_else(xml_attr(xml, NULL, "nvram", "format"), "raw");
	if (path && *path)
		return path;
	free(path);
	return NULL;
}

bool dom_has_tpm(const char *xml)
{
	const char *start;

	return xml && xml_next(&xml, "tpm", &start);
}

char *dom_vnc(const char *xml)
{
	const char *at = xml, *start;

	while (xml && xml_next(&at, "graphics", &start)) {
		char *type = xml_attr(start, at, "graphics", "type");
		char *port = xml_attr(start, at, "graphics", "port");
		char *listen = xml_attr(start, at, "graphics", "listen"), *text = NULL;

		if (type && !strcmp(type, "vnc") && port && *port != '-')
			text = xasprintf("%s:%s", listen ? listen : "127.0.0.1", port);
		free(type);
		free(port);
		free(listen);
		if (text)
			return text;
	}
	return NULL;
}

struct clone_edit {
	const struct dom_copy *copies;
	int n;
};

static void edit_source(char **part, void *data)
{
	const struct clone_edit *c = data;
	char *file = xml_attr(*part, NULL, "source", "file"), *source;

	for (int i = 0; file && i < c->n; i++) {
		if (strcmp(file, c->copies[i].from))
			continue;
		source = xml_text("<source file='%s'/>", c->copies[i].to);
		xml_replace(part, "source", source);
		free(source);
		break;
	}
	free(file);
}

static void edit_mac(char **part, void *data)
{
	(void)data;
	xml_replace(part, "mac", "");
}

char *dom_clone(const char *xml, const char *name, const struct dom_copy *copies,
		int n)
{
	struct clone_edit c = { copies, n };
	char *clone = xstrdup(xml), *text = xml_text("<name>%s</name>", name), *format;
	char *nvram = dom_nvram(xml, &format);

	xml_replace(&clone, "name", text);
	xml_replace(&clone, "uuid", "");
	xml_replace(&clone, "genid", "");
	xml_edit_each(&clone, "disk", edit_source, &c);
	xml_edit_each(&clone, "interface", edit_mac, NULL);
	free(text);
	for (int i = 0; nvram && i < n; i++) {
		if (strcmp(nvram, copies[i].from))
			continue;
		text = xml_text("<nvram format='%s'>%s</nvram>", format, copies[i].to);
		xml_replace(&clone, "nvram", text);
		free(text);
	}
	free(nvram);
	free(format);
	return clone;
}

enum dom_snapshot dom_snapshot(const char *xml, const char **why)
{
	char *format, *nvram = dom_nvram(xml, &format);
	bool raw_nvram = nvram && strcmp(format, "qcow2");
	struct dom_disks disks;
	int inside = 0, outside = 0;

	*why = NULL;
	dom_disks(xml, &disks);
	for (int i = 0; i < disks.n; i++) {
		const struct dom_disk *d = &disks.at[i];

		if (strcmp(d->device, "disk") || d->readonly)
			continue;
		if (!d->source || d->block)
			*why = _("This guest has a disk that is no file, and libvirt makes no snapshots of it.");
		else if (strcmp(d->format, "qcow2"))
			outside++;
		else
			inside++;
	}
	dom_disks_free(&disks);
	free(nvram);
	free(format);
	if (!*why && !inside && !outside)
		*why = _("This guest has no disk, so there is nothing to make a snapshot of.");
	if (*why)
		return SNAPSHOT_NONE;
	if (!outside && !raw_nvram)
		return SNAPSHOT_INTERNAL;
	*why = raw_nvram ?
		_("The UEFI variables of this guest are in a raw file, which libvirt leaves out of a snapshot. Make it while the guest is off: then they are converted first.") :
		_("A disk of this guest is not in the format qcow2, so what is written from now on goes to a new file beside it.");
	return SNAPSHOT_EXTERNAL;
}
