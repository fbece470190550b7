// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * xml: the descriptions that libvirt takes and gives.
 *
 * The reader and editor is no general XML parser: it knows what libvirt itself
 * prints, where attributes are in single quotes and elements are spelled one way.
 * An edit cuts a whole element out of the text and puts another there.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"
#include "xml.h"

struct text {
	char *s;
	size_t len;
};

static void put(struct text *t, const char *s, size_t n)
{
	t->s = xrealloc(t->s, t->len + n + 1);
	memcpy(t->s + t->len, s, n);
	t->len += n;
	t->s[t->len] = '\0';
}

static const struct { char c; const char *entity; } entities[] = {
	{ '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" },
	{ '\'', "&apos;" }, { '"', "&quot;" },
};

static void put_escaped(struct text *t, const char *s)
{
	for (; *s; s++) {
		size_t i;

		for (i = 0; i < ARRAY_SIZE(entities); i++)
			if (*s == entities[i].c)
				break;
		if (i < ARRAY_SIZE(entities))
			put(t, entities[i].entity, strlen(entities[i].entity));
		else
			put(t, s, 1);
	}
}

static void put_number(struct text *t, unsigned long long n)
{
	char digits[24];

	put(t, digits, snprintf(digits, sizeof(digits), "%llu", n));
}

char *xml_text(const char *fmt, ...)
{
	struct text t = { NULL, 0 };
	const char *raw;
	va_list ap;

	put(&t, "", 0);
	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		if (*fmt != '%') {
			put(&t, fmt, 1);
			continue;
		}
		switch (*++fmt) {
		case 's':
			put_escaped(&t, va_arg(ap, const char *));
			break;
		case 'r':
			raw = va_arg(ap, const char *);
			put(&t, raw, strlen(raw));
			break;
		case 'u':
			put_number(&t, va_arg(ap, unsigned int));
			break;
		case 'U':
			put_number(&t, va_arg(ap, uint64_t));
			break;
		default:
			abort();
		}
	}
	va_end(ap);
	return t.s;
}

char *xml_pool(const char *name, const char *path)
{
	return xml_text("<pool type='dir'><name>%s</name><target><path>%s</path></target></pool>",
			name, path);
}

char *xml_volume(const char *name, const char *format, uint64_t capacity,
		 bool preallocate)
{
	return xml_text("<volume><name>%s</name>"
			"<capacity unit='bytes'>%U</capacity>"
			"<allocation unit='bytes'>%U</allocation>"
			"<target><format type='%s'/></target></volume>",
			name, capacity, preallocate ? capacity : (uint64_t)0,
			format);
}

/* The kinds of devices a guest is offered, from new systems to old ones. */
static const struct {
	const char *machine, *disk, *disk_dev, *cd, *cd_dev, *nic;
} kinds[] = {
	[DEV_VIRTIO] = { "q35", "virtio", "vda", "sata", "sda", "virtio" },
	[DEV_SATA] = { "q35", "sata", "sda", "sata", "sdb", "e1000e" },
	[DEV_IDE] = { "pc", "ide", "hda", "ide", "hdc", "rtl8139" },
};

const char *xml_disk_device(enum devices devices)
{
	return devices == DEV_VIRTIO ? "/dev/vda" : "/dev/sda";
}

/*
 * The disk boots before the CD: while it is blank the firmware finds nothing on
 * it and goes on to the CD, and when the installer restarts the guest, the disk
 * has a boot loader. Nobody needs to eject anything. startupPolicy lets the
 * installed guest start after its ISO has been removed.
 */
static char *xml_disk(const struct guest *g)
{
	bool block = !strncmp(g->disk, "/dev/", 5);

	return xml_text("<disk type='%r' device='disk'>"
			"<driver name='qemu' type='%s'/><source %r='%s'/>"
			"<target dev='%s' bus='%s'/><boot order='1'/></disk>",
			block ? "block" : "file", g->format, block ? "dev" : "file",
			g->disk, kinds[g->devices].disk_dev,
			kinds[g->devices].disk);
}

char *xml_cdrom(const struct xml_cd *cd)
{
	const char *keep = "<seclabel model='dac' relabel='no'/>";
	char *source = xstrdup(""), *boot = xstrdup(""), *text;

	if (cd->path) {
		free(source);
		source = xml_text("<source %r='%s' startupPolicy='optional'>%r</source>",
				  cd->block ? "dev" : "file", cd->path,
				  cd->relabel ? "" : keep);
	}
	if (cd->order) {
		free(boot);
		boot = xml_text("<boot order='%u'/>", cd->order);
	}
	text = xml_text("<disk type='%r' device='cdrom'>"
			"<driver name='qemu' type='raw'/>%r"
			"<target dev='%s' bus='%s'/><readonly/>%r</disk>",
			cd->path && cd->block ? "block" : "file", source,
			cd->target, cd->bus, boot);
	free(source);
	free(boot);
	return text;
}

static char *xml_cd(const struct guest *g)
{
	const struct xml_cd cd = { .path = g->iso, .block = g->iso_block,
		.relabel = g->iso_relabel || g->virt == VIRT_TEST,
		.target = kinds[g->devices].cd_dev, .bus = kinds[g->devices].cd,
		.order = 2 };

	return g->iso ? xml_cdrom(&cd) : xstrdup("");
}

char *xml_interface(const char *bridge, const char *mac, const char *model)
{
	char *address = mac ? xml_text("<mac address='%s'/>", mac) : xstrdup("");
	char *text = xml_text("<interface type='%r'>%r<source %r='%s'/><model type='%s'/></interface>",
			      bridge ? "bridge" : "network", address,
			      bridge ? "bridge" : "network",
			      bridge ? bridge : "default", model);

	free(address);
	return text;
}

static char *xml_network(const struct guest *g)
{
	return g->network ? xml_interface(g->bridge, NULL, kinds[g->devices].nic) :
		xstrdup("");
}

/*
 * Slots for what is attached while the guest runs: libvirt gives it as many as it
 * has devices to begin with (disk, network card, random numbers, balloon, USB). An
 * old machine has enough.
 */
static const char *slots(const struct guest *g)
{
#define SLOT "<controller type='pci' model='pcie-root-port'/>"
	if (g->virt == VIRT_TEST || g->devices == DEV_IDE)
		return "";
	return "<controller type='pci' index='0' model='pcie-root'/>"
	       SLOT SLOT SLOT SLOT SLOT SLOT SLOT SLOT;
#undef SLOT
}

static char *xml_devices(const struct guest *g)
{
	char *disk = xml_disk(g), *cd = xml_cd(g), *network = xml_network(g);
	char *text;

	text = xml_text("<devices>%r%r%r"
			"<serial type='pty'><target port='0'/></serial>"
			"<console type='pty'><target type='serial' port='0'/></console>"
			"<input type='tablet' bus='usb'/>"
			"<graphics type='vnc' port='-1' autoport='yes' listen='127.0.0.1'/>"
			"<video><model type='vga'/></video>"
			"<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
			"%r%r</devices>", disk, cd, network, slots(g), g->tpm ?
			"<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>" : "");
	free(disk);
	free(cd);
	free(network);
	return text;
}

static char *xml_os(const struct guest *g)
{
	const char *secure = g->secure_boot ?
		"<feature enabled='yes' name='secure-boot'/>"
		"<feature enabled='yes' name='enrolled-keys'/>" :
		"<feature enabled='no' name='secure-boot'/>";
	char *firmware, *text;

	if (g->virt == VIRT_TEST)
		return xstrdup("<os><type>hvm</type></os>");
	firmware = g->uefi ? xml_text("<firmware>%r</firmware>", secure) : xstrdup("");
	text = xml_text("<os%r><type arch='x86_64' machine='%s'>hvm</type>%r</os>",
			g->uefi ? " firmware='efi'" : "",
			kinds[g->devices].machine, firmware);
	free(firmware);
	return text;
}

char *xml_domain(const struct guest *g)
{
	static const char *const type[] = { "kvm", "qemu", "test" };
	static const char *const cpu[] = {
		"<cpu mode='host-passthrough' migratable='on'/>",
		"<cpu mode='maximum'/>", "" };
	const char *processor = cpu[g->virt];
	char *os = xml_os(g), *devices = xml_devices(g), *text;

	if (g->no_apic && g->virt == VIRT_KVM)
		processor = "<cpu mode='host-passthrough' migratable='on'>"
			    "<feature policy='disable' name='apic'/></cpu>";
	text = xml_text("<domain type='%r'><name>%s</name>"
			"<memory unit='MiB'>%U</memory><vcpu>%u</vcpu>%r"
			"<features><acpi/>%r%r</features>%r"
			"<clock offset='utc'><timer name='hpet' present='no'/></clock>"
			"<on_poweroff>destroy</on_poweroff>"
			"<on_reboot>restart</on_reboot><on_crash>destroy</on_crash>"
			"%r</domain>", type[g->virt], g->name,
			g->memory_mib, g->cpus, os,
			g->no_apic ? "" : "<apic/>",
			g->secure_boot ? "<smm state='on'/>" : "", processor,
			devices);
	free(os);
	free(devices);
	return text;
}

/* "<element" followed by what ends a name, from p on, or NULL. */
static const char *find_element(const char *p, const char *element)
{
	char *open = xasprintf("<%s", element);
	size_t n = strlen(open);

	for (p = strstr(p, open); p; p = strstr(p + 1, open))
		if (strchr(" />\n", p[n]) && p[n])
			break;
	free(open);
	return p;
}

/* The end of the tag that begins at p: its '>' outside of quotes, or NULL. */
static const char *tag_end(const char *p)
{
	char quote = 0;

	for (; *p; p++) {
		if (quote)
			quote = *p == quote ? 0 : quote;
		else if (*p == '\'' || *p == '"')
			quote = *p;
		else if (*p == '>')
			return p;
	}
	return NULL;
}

bool xml_next(const char **at, const char *element, const char **start)
{
	const char *p = find_element(*at, element), *end;
	char *close;

	end = p ? tag_end(p) : NULL;
	if (!end)
		return false;
	*start = p;
	*at = end + 1;
	if (end[-1] == '/')
		return true;
	close = xasprintf("</%s>", element);
	p = strstr(end, close);
	if (p)
		*at = p + strlen(close);
	free(close);
	return p;
}

static char *unescape(const char *s, size_t n)
{
	char *out = xrealloc(NULL, n + 1);
	size_t o = 0;

	for (size_t i = 0; i < n; ) {
		size_t e, len = 1;

		out[o] = s[i];
		for (e = 0; s[i] == '&' && e < ARRAY_SIZE(entities); e++) {
			len = strlen(entities[e].entity);
			if (i + len <= n && !strncmp(s + i, entities[e].entity, len)) {
				out[o] = entities[e].c;
				break;
			}
			len = 1;
		}
		i += len;
		o++;
	}
	out[o] = '\0';
	return out;
}

char *xml_attr(const char *start, const char *end, const char *element,
	       const char *attr)
{
	const char *p = find_element(start, element), *stop, *value;
	size_t n;

	stop = p && (!end || p < end) ? tag_end(p) : NULL;
	if (!stop)
		return NULL;
	for (p = strpbrk(p, " \n"); p && p < stop; p = strpbrk(p, " \n")) {
		p += strspn(p, " \n");
		value = p + strcspn(p, "=");
		if (value >= stop || (value[1] != '\'' && value[1] != '"'))
			return NULL;
		n = strcspn(value + 2, value[1] == '"' ? "\"" : "'");
		if ((size_t)(value - p) == strlen(attr) &&
		    !strncmp(p, attr, strlen(attr)))
			return unescape(value + 2, n);
		p = value + 2 + n;
	}
	return NULL;
}

char *xml_content(const char *start, const char *end, const char *element)
{
	const char *p = find_element(start, element), *stop;

	stop = p && (!end || p < end) ? tag_end(p) : NULL;
	if (!stop || stop[-1] == '/')
		return NULL;
	return trim(unescape(stop + 1, strcspn(stop + 1, "<")));
}

void xml_splice(char **xml, const char *start, const char *end, const char *text)
{
	char *edited = xasprintf("%.*s%s%s", (int)(start - *xml), *xml, text, end);

	free(*xml);
	*xml = edited;
}

bool xml_replace(char **xml, const char *element, const char *text)
{
	const char *at = *xml, *start;

	if (!xml_next(&at, element, &start))
		return false;
	xml_splice(xml, start, at, text);
	return true;
}

bool xml_append(char **xml, const char *element, const char *text)
{
	char *close = xasprintf("</%s>", element);
	const char *at = strstr(*xml, close);

	if (at)
		xml_splice(xml, at, at, text);
	free(close);
	return at;
}

void xml_edit_each(char **xml, const char *element,
		   void (*edit)(char **part, void *data), void *data)
{
	const char *at = *xml, *start;

	while (xml_next(&at, element, &start)) {
		size_t from = start - *xml;
		char *part = xasprintf("%.*s", (int)(at - start), start);

		edit(&part, data);
		xml_splice(xml, start, at, part);
		at = *xml + from + strlen(part);
		free(part);
	}
}
