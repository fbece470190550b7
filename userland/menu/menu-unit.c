// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * menu-unit: tests of the parts of kvm-menu that need no screen and no libvirt.
 * Prints TAP. Its argument is a folder to write test images to.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cloud.h"
#include "dom.h"
#include "iso.h"
#include "json.h"
#include "preset.h"
#include "util.h"
#include "validate.h"
#include "xml.h"

static int tests, failures;

static void __attribute__((format(printf, 2, 3))) ok(bool good, const char *fmt, ...)
{
	va_list ap;

	printf("%sok %d - ", good ? "" : "not ", ++tests);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	failures += !good;
}

static bool same(const char *a, const char *b)
{
	if (a && b && !strcmp(a, b))
		return true;
	printf("# got:  %s\n# want: %s\n", a ? a : "(null)", b ? b : "(null)");
	return false;
}

/* Compares a string that has to be freed. */
static bool is(char *got, const char *want)
{
	bool good = (!got && !want) || same(got, want);

	free(got);
	return good;
}

static void test_names(void)
{
	static const char *const good[] = {
		"a", "web1", "Debian-13.2_test", "1st",
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx" };
	static const char *const bad[] = {
		"", " ", "a b", "-x", ".", "..", "../etc/passwd", "a/b", "a'b", "a<b",
		"a&b", "a\"b", "a;b", "a$b", "a\nb", "a%sb", "gr\xc3\xbcn", "\x80",
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxy" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ok(!name_problem(good[i]), "the name %s is accepted", good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ok(name_problem(bad[i]), "odd name %zu is refused", i);
}

static void test_disk_sizes(void)
{
	static const struct { const char *text; uint64_t bytes; } good[] = {
		{ "4G", 4 * GIB }, { "4g", 4 * GIB }, { "4GiB", 4 * GIB },
		{ "4 GB", 4 * GIB }, { "1M", MIB }, { "2048K", 2 * MIB },
		{ "64T", 64 * TIB }, { "007G", 7 * GIB } };
	static const char *const bad[] = {
		"", "4", "G", "four", "-4G", "+4G", "4.5G", "4,5G", "0x4G", "4X", "4GG",
		"4 G B", "0G", "1K", "65T", "99999999999999999999G", "18446744073709551615T",
		"17179869184T", "4G;", " 4G", "1e3G" };

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		uint64_t bytes = 0;

		ok(!parse_disk_size(good[i].text, &bytes) &&
		   bytes == good[i].bytes, "the size %s is understood", good[i].text);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		uint64_t bytes;

		ok(parse_disk_size(bad[i], &bytes), "the size \"%s\" is refused", bad[i]);
	}
}

static void test_numbers(void)
{
	unsigned int count = 0;
	uint64_t mib = 0;

	ok(!parse_memory("1024", &mib) && mib == 1024, "memory counts in MiB");
	ok(!parse_memory("2G", &mib) && mib == 2048, "memory takes a unit");
	ok(parse_memory("15M", &mib), "too little memory is refused");
	ok(parse_memory("17T", &mib), "too much memory is refused");
	ok(parse_memory("lots", &mib), "memory that is no number is refused");
	ok(parse_memory("99999999999999999999", &mib), "memory beyond 64 bits is refused");
	ok(!parse_count("2", 4, &count) && count == 2, "2 CPUs of 4 are fine");
	ok(parse_count("0", 4, &count), "0 CPUs are refused");
	ok(parse_count("5", 4, &count), "5 CPUs of 4 are refused");
	ok(parse_count("-1", 4, &count), "-1 CPUs are refused");
	ok(parse_count("2x", 4, &count), "2x CPUs are refused");
	ok(parse_count("", 4, &count), "no number of CPUs is refused");
	ok(parse_count("4294967297", 4, &count), "more CPUs than fit an int are refused");
}

/* Measured with qemu-img create and one sector written by qemu-io. */
static void test_blank(void)
{
	static const struct { const char *format; uint64_t size, blank, written; } rows[] = {
		{ "qcow2", 20 * MIB, 200704, 331776 }, { "qcow2", 4 * TIB, 262144, 393216 },
		{ "qcow", 20 * MIB, 4096, 12288 }, { "qcow", GIB, 8192, 16384 },
		{ "qcow", 100 * GIB, 413696, 421888 } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t n = blank_allocation(rows[i].format, rows[i].size);

		ok(rows[i].blank <= n && n < rows[i].written,
		   "a blank %s disk differs from one with a sector written", rows[i].format);
	}
}

static void test_text(void)
{
	char *s;

	ok(is(human_size(0), "0 bytes"), "0 bytes");
	ok(is(human_size(1023), "1023 bytes"), "1023 bytes");
	ok(is(human_size(1024), "1 KiB"), "1 KiB");
	ok(is(human_size(4 * GIB), "4 GiB"), "4 GiB");
	ok(is(human_size(GIB + GIB / 2), "1.5 GiB"), "1.5 GiB");
	ok(is(human_size(UINT64_MAX), "15.9 EiB"), "the largest size");
	ok(is(trim(xstrdup(" \t a b \n")), "a b"), "blanks are trimmed");
	ok(is(trim(xstrdup("  ")), ""), "only blanks are trimmed");
	ok(is(ascii_only(xstrdup("a\tb\033[m\xc3\xa4\n")), "a b?[m??\n"),
	   "what is not ASCII is replaced");
	s = line_value("MemTotalX: 1\nMemTotal:   42 kB\nx", "MemTotal");
	ok(is(s, "42 kB"), "a line's value is found by its whole key");
}

static void test_xml_write(void)
{
	const struct guest evil = { .name = "a<b>&'\"", .iso = "/x/'/><evil/>.iso",
		.disk = "/d/a&b.qcow2", .format = "qcow2", .memory_mib = 512,
		.cpus = 2, .uefi = true, .network = true };
	struct guest plain = { .name = "g", .disk = "/d", .format = "qcow",
		.memory_mib = 1, .cpus = 1, .virt = VIRT_QEMU, .devices = DEV_IDE };
	char *xml;

	ok(is(xml_text("%s|%r|%u|%U", "<'&\">", "<r>", 7u, UINT64_MAX),
	      "&lt;&apos;&amp;&quot;&gt;|<r>|7|18446744073709551615"),
	   "strings are escaped, raw ones are not");
	xml = xml_domain(&evil);
	ok(strstr(xml, "<name>a&lt;b&gt;&amp;&apos;&quot;</name>"),
	   "a name cannot break out of its element");
	ok(!strstr(xml, "<evil/>"), "a path cannot break out of its attribute");
	ok(strstr(xml, "<domain type='kvm'>") && strstr(xml, "host-passthrough"),
	   "KVM guests get the host's processor");
	ok(strstr(xml, "firmware='efi'") && strstr(xml, "enabled='no' name='secure-boot'"),
	   "UEFI without Secure Boot");
	ok(!strstr(xml, "<tpm") && !strstr(xml, "<smm") && !dom_has_tpm(xml), "no TPM, no SMM");
	ok(strstr(xml, "bus='virtio'/><boot order='1'/>") &&
	   strstr(xml, "<readonly/><boot order='2'/>"), "the disk boots before the CD");
	ok(strstr(xml, "relabel='no'"), "a readable ISO keeps its owner");
	ok(strstr(xml, "listen='127.0.0.1'"), "VNC listens on this host only");
	free(xml);
	xml = xml_domain(&plain);
	ok(strstr(xml, "<domain type='qemu'>") && strstr(xml, "type='qcow'") &&
	   strstr(xml, "machine='pc'") && strstr(xml, "bus='ide'"),
	   "an emulated guest with old devices and a qcow disk");
	ok(!strstr(xml, "cdrom") && !strstr(xml, "<interface"), "no CD, no network");
	free(xml);
	plain.virt = VIRT_KVM;
	plain.no_apic = true;
	xml = xml_domain(&plain);
	ok(strstr(xml, "policy='disable' name='apic'") && !strstr(xml, "<apic/>"),
	   "no APIC where the hypervisor has none");
	free(xml);
	plain.iso = "/dev/sr0";
	plain.iso_block = true;
	xml = xml_domain(&plain);
	ok(strstr(xml, "<source dev='/dev/sr0'") && strstr(xml, "type='block'"),
	   "a CD drive is a block device");
	free(xml);
	plain.secure_boot = plain.uefi = plain.tpm = plain.network = true;
	plain.bridge = "br'0";
	xml = xml_domain(&plain);
	ok(strstr(xml, "enabled='yes' name='secure-boot'") && strstr(xml, "<smm state='on'/>"),
	   "Secure Boot brings the system management mode");
	ok(strstr(xml, "<tpm model='tpm-crb'>") && dom_has_tpm(xml), "a TPM");
	ok(strstr(xml, "<source bridge='br&apos;0'/>"), "a bridge cannot break out either");
	free(xml);
	ok(is(xml_volume("x&y", "qcow", 5, false),
	      "<volume><name>x&amp;y</name><capacity unit='bytes'>5</capacity><allocation unit='bytes'>0</allocation><target><format type='qcow'/></target></volume>"),
	   "a volume that grows on demand");
}

static void test_xml_read(void)
{
	const char *xml = "<devices><diskette/><disk type='file' device='disk'>"
		"<source file='/a&amp;b&apos;c'/><target dev='vda' bus='virtio'/></disk>"
		"<disk device='cdrom' type=\"block\"><target dev='sda'/></disk>"
		"<graphics type='vnc' port='5901'/></devices>";
	const char *at = xml, *start;

	ok(xml_next(&at, "disk", &start) && !strncmp(start, "<disk type", 10),
	   "the first disk, not the diskette");
	ok(is(xml_attr(start, at, "source", "file"), "/a&b'c"), "a path is unescaped");
	ok(is(xml_attr(start, at, "disk", "device"), "disk"), "the second attribute");
	ok(is(xml_attr(start, at, "target", "nothing"), NULL), "an attribute that is not there");
	ok(xml_next(&at, "disk", &start), "the second disk");
	ok(is(xml_attr(start, at, "source", "file"), NULL), "a disk without a source");
	ok(is(xml_attr(start, at, "disk", "type"), "block"), "double quotes");
	ok(!xml_next(&at, "disk", &start), "no third disk");
	ok(is(xml_attr(xml, NULL, "graphics", "port"), "5901"), "an empty element");
	at = "<disk type='file'";
	ok(!xml_next(&at, "disk", &start), "a broken end is no element");
}

/* As libvirt prints it, shortened. */
static const char domain[] =
	"<domain type='kvm'>\n  <name>g</name>\n  <uuid>u-1</uuid>\n"
	"  <memory unit='KiB'>1048576</memory>\n"
	"  <currentMemory unit='KiB'>524288</currentMemory>\n"
	"  <vcpu placement='static' current='1'>2</vcpu>\n"
	"  <os firmware='efi'>\n    <type machine='pc-q35-10.0'>hvm</type>\n"
	"    <nvram template='/t' format='qcow2'>/n/g_VARS.qcow2</nvram>\n"
	"    <bootmenu enable='no'/>\n  </os>\n"
	"  <cpu mode='host-passthrough'><topology sockets='2'/></cpu>\n"
	"  <devices>\n    <emulator>/usr/bin/qemu</emulator>\n"
	"    <disk type='file' device='disk'>\n      <driver name='qemu' type='qcow2'/>\n"
	"      <source file='/d/g.qcow2'/>\n      <target dev='vda' bus='virtio'/>\n"
	"      <boot order='1'/>\n    </disk>\n"
	"    <disk type='block' device='cdrom'>\n      <source dev='/dev/sr0'/>\n"
	"      <target dev='sda' bus='sata'/>\n      <readonly/>\n"
	"      <boot order='2'/>\n    </disk>\n"
	"    <disk type='file' device='disk'>\n      <driver name='qemu' type='raw'/>\n"
	"      <source file='/d/b&amp;c.raw'/>\n      <target dev='vdb' bus='virtio'/>\n    </disk>\n"
	"    <interface type='network'>\n      <mac address='52:54:00:00:00:01'/>\n"
	"      <source network='default'/>\n      <model type='virtio'/>\n    </interface>\n"
	"    <graphics type='spice' port='5999'/>\n"
	"    <graphics type='vnc' port='5901' listen='127.0.0.1'/>\n"
	"  </devices>\n</domain>\n";

static bool has(const char *xml, const char *text)
{
	bool found = strstr(xml, text);

	if (!found)
		printf("# no %s in:\n# %s\n", text, xml);
	return found;
}

static void test_dom_read(void)
{
	struct dom_disks disks;
	char *format;

	dom_disks(domain, &disks);
	ok(disks.n == 3, "three drives");
	ok(same(disks.at[0].target, "vda") && same(disks.at[0].format, "qcow2") &&
	   !disks.at[0].readonly && !disks.at[0].block, "the first disk");
	ok(same(disks.at[1].source, "/dev/sr0") && disks.at[1].block &&
	   disks.at[1].readonly && dom_cd(&disks) == &disks.at[1], "the CD drive");
	ok(same(disks.at[2].source, "/d/b&c.raw"), "a path is unescaped");
	ok(same(dom_disk_bus(&disks), "virtio"), "the bus of its disks");
	ok(is(dom_free_target(&disks, "virtio"), "vdc"), "the next free target");
	ok(is(dom_free_target(&disks, "sata"), "sdb"), "the next free target on SATA");
	dom_disks_free(&disks);
	dom_disks("<domain/>", &disks);
	ok(!disks.n && !dom_cd(&disks), "a guest without drives");
	dom_disks_free(&disks);
	ok(is(dom_vnc(domain), "127.0.0.1:5901"), "the VNC screen, not the other one");
	ok(is(dom_vnc("<graphics type='vnc' port='-1'/>"), NULL), "a VNC screen that is off");
	ok(is(dom_nvram(domain, &format), "/n/g_VARS.qcow2"), "the UEFI variables");
	ok(is(format, "qcow2"), "their format");
	ok(is(dom_nvram("<os><nvram template='x'/></os>", &format), NULL), "no UEFI variables yet");
	free(format);
}

static void test_dom_numbers(void)
{
	char *xml = xstrdup(domain);

	dom_set_memory(&xml, 512);
	ok(has(xml, "<memory unit='MiB'>512</memory>") && !strstr(xml, "currentMemory"),
	   "memory is set, without a balloon");
	dom_set_cpus(&xml, 4);
	ok(has(xml, "<vcpu>4</vcpu>") && !strstr(xml, "topology"),
	   "processors are set, without a topology that would not fit");
	ok(has(xml, "host-passthrough") && has(xml, "<emulator>"), "the rest stays");
	free(xml);
}

static void test_dom_boot(void)
{
	char *xml = xstrdup(domain);

	ok(dom_boot(xml) == BOOT_DISK, "the disk boots first");
	dom_set_boot(&xml, BOOT_NETWORK);
	ok(dom_boot(xml) == BOOT_NETWORK && has(xml, "<boot order='1'/></interface>") &&
	   has(xml, "<boot order='4'/></disk>") && !strstr(xml, "order='5'"),
	   "the network boots first, then the others, each with a number of its own");
	dom_set_boot(&xml, BOOT_CD);
	ok(dom_boot(xml) == BOOT_CD && has(xml, "<readonly/>"), "the CD boots first");
	ok(has(xml, "<bootmenu enable='no'/>"), "the boot menu stays");
	free(xml);
	xml = xstrdup("<domain><os><boot dev='cdrom'/><boot dev='hd'/></os><devices>"
		      "<disk device='disk'></disk></devices></domain>");
	ok(dom_boot(xml) == BOOT_CD, "the old way to say it is read");
	dom_set_boot(&xml, BOOT_DISK);
	ok(is(xml, "<domain><os></os><devices><disk device='disk'><boot order='1'/></disk></devices></domain>"),
	   "the old way makes room for the new one");
}

static void test_dom_network(void)
{
	char *xml = xstrdup(domain), *name;

	ok(dom_network(xml, &name) == NETWORK_NAT && is(name, "default"), "NAT");
	dom_set_network(&xml, NETWORK_BRIDGE, "br0");
	ok(dom_network(xml, &name) == NETWORK_BRIDGE && is(name, "br0"), "a bridge");
	ok(has(xml, "52:54:00:00:00:01") && has(xml, "<model type='virtio'/>") &&
	   has(xml, "</interface>"), "the card keeps its address and model");
	dom_set_boot(&xml, BOOT_NETWORK);
	dom_set_network(&xml, NETWORK_NAT, NULL);
	ok(dom_boot(xml) == BOOT_NETWORK, "and its place in the boot order");
	dom_set_network(&xml, NETWORK_NONE, NULL);
	ok(dom_network(xml, &name) == NETWORK_NONE && !name && !strstr(xml, "<interface"), "no card");
	dom_set_network(&xml, NETWORK_NAT, NULL);
	ok(dom_network(xml, &name) == NETWORK_NAT && is(name, "default"), "a card again");
	free(xml);
	ok(dom_network("<interface type='direct'><source dev='eth0'/></interface>", &name) ==
	   NETWORK_OTHER && !name, "a network of another kind");
}

static void test_dom_disks(void)
{
	const struct dom_disk d = { .target = "vdc", .bus = "virtio", .format = "qcow2",
				    .source = "/d/'x'" };
	char *xml = xstrdup(domain), *element = dom_disk_xml(&d), *again;

	dom_put_disk(&xml, "vdc", element);
	again = dom_disk_element(xml, "vdc");
	ok(same(again, element) && has(again, "/d/&apos;x&apos;"), "a disk is added");
	free(again);
	free(element);
	dom_put_disk(&xml, "vdc", "<disk><target dev='vdc'/></disk>");
	ok(is(dom_disk_element(xml, "vdc"), "<disk><target dev='vdc'/></disk>"), "a disk is replaced");
	dom_remove_disk(&xml, "vda");
	ok(is(dom_disk_element(xml, "vda"), NULL) && has(xml, "vdb"), "one disk is taken away");
	dom_remove_disk(&xml, "none");
	ok(has(xml, "'vdb'") && has(xml, "'sda'"), "and no other");
	free(xml);
}

static void test_dom_clone(void)
{
	const struct dom_copy copies[] = { { "/d/g.qcow2", "/d/h.qcow2" },
		{ "/d/b&c.raw", "/d/h<2.raw" }, { "/n/g_VARS.qcow2", "/n/h_VARS.qcow2" } };
	char *xml = dom_clone(domain, "h&", copies, 3);

	ok(has(xml, "<name>h&amp;</name>") && !strstr(xml, "<uuid>") && !strstr(xml, "<mac"),
	   "a clone has a name, and gets an identity and an address of its own");
	ok(has(xml, "'/d/h.qcow2'") && has(xml, "'/d/h&lt;2.raw'") && !strstr(xml, "/d/g"),
	   "its disks are the copies");
	ok(has(xml, "<nvram format='qcow2'>/n/h_VARS.qcow2</nvram>"), "so are its UEFI variables");
	ok(has(xml, "'/dev/sr0'"), "the CD is the same");
	free(xml);
}

static void test_dom_snapshot(void)
{
	const char *why;
	char *xml = xstrdup(domain);

	ok(dom_snapshot(xml, &why) == SNAPSHOT_EXTERNAL && strstr(why, "not in the format qcow2"),
	   "a raw disk needs a file beside it");
	dom_remove_disk(&xml, "vdb");
	ok(dom_snapshot(xml, &why) == SNAPSHOT_INTERNAL && !why, "qcow2 for all: inside of it");
	xml_replace(&xml, "nvram", "<nvram>/n/g.fd</nvram>");
	ok(dom_snapshot(xml, &why) == SNAPSHOT_EXTERNAL && strstr(why, "UEFI variables"),
	   "raw UEFI variables are left out");
	dom_remove_disk(&xml, "vda");
	ok(dom_snapshot(xml, &why) == SNAPSHOT_NONE && strstr(why, "has no disk"), "no disk");
	dom_put_disk(&xml, "vda", "<disk type='block' device='disk'><source dev='/dev/sdb'/><target dev='vda'/></disk>");
	ok(dom_snapshot(xml, &why) == SNAPSHOT_NONE && strstr(why, "no file"), "a disk that is a device");
	free(xml);
}

/* Text cut anywhere must neither crash nor read beyond its end. */
static void test_dom_cut(void)
{
	for (size_t n = 0; n < strlen(domain); n++) {
		char *cut = xasprintf("%.*s", (int)n, domain), *text;
		struct dom_disks disks;
		const char *why;

		dom_disks(cut, &disks);
		dom_disks_free(&disks);
		free(dom_vnc(cut));
		free(dom_nvram(cut, &text));
		free(text);
		dom_network(cut, &text);
		free(text);
		dom_snapshot(cut, &why);
		free(dom_clone(cut, "x", NULL, 0));
		dom_set_boot(&cut, BOOT_CD);
		dom_set_network(&cut, NETWORK_NONE, NULL);
		dom_set_memory(&cut, 1);
		free(cut);
	}
	ok(true, "a description cut at any place is survived");
}

static void test_preset(void)
{
	struct preset p;

	ok(preset_parse("{\"id\": \"win11\", \"name\": \"Windows 11\", \"firmware\": \"efi\", \"devices\": \"sata\", \"memory\": 4294967296, \"cpus\": 2, \"disk\": 68719476736, \"tpm\": 1}", &p),
	   "a system's needs are read");
	ok(same(p.id, "win11") && same(p.name, "Windows 11") && p.memory_mib == 4096 &&
	   p.cpus == 2 && p.disk == 64 * GIB && p.devices == DEV_SATA &&
	   p.needs_uefi && !p.needs_bios && p.wants_tpm, "all of them");
	preset_free(&p);
	ok(preset_parse("{\"id\": \"x\", \"name\": \"X\", \"devices\": \"virtio\", \"memory\": -1, \"cpus\": -1, \"disk\": -1}", &p) &&
	   !p.memory_mib && !p.cpus && !p.disk && p.devices == DEV_VIRTIO &&
	   !p.needs_uefi && !p.wants_tpm, "what is not known is nothing");
	preset_free(&p);
	ok(!preset_parse("", &p) && !preset_parse("{\"id\": \"x\"}", &p) &&
	   !preset_parse("kvm-isoinfo: no", &p), "an unknown image");
}

static void test_json(void)
{
	const char *j = "{ \"verdict\": \"ready\", \"fix\": null, \"n\": 7,\n"
		" \"evidence\": [ {\"source\":\"a, \\\"b\\\"\",\"value\":\"x}\"},"
		"{\"source\":\"c\",\"value\":null} ], \"last\": \"a\\nb\\u00e4\" }";
	const char *e;

	ok(is(json_string(json_get(j, "verdict")), "ready"), "a string");
	ok(is(json_string(json_get(j, "fix")), NULL), "null is nothing");
	ok(is(json_string(json_get(j, "n")), "7"), "a number");
	ok(is(json_string(json_get(j, "last")), "a\nb?"), "escapes");
	ok(!json_get(j, "none"), "a key that is not there");
	e = json_first(json_get(j, "evidence"));
	ok(is(json_string(json_get(e, "source")), "a, \"b\""), "the first element");
	e = json_after(e);
	ok(is(json_string(json_get(e, "source")), "c"), "the second element");
	ok(!json_after(e), "no third element");
	ok(!json_first("[]") && !json_first(NULL), "an empty array");
	for (size_t n = 0; n < strlen(j); n++) {
		char *cut = xasprintf("%.*s", (int)n, j);

		free(json_string(json_get(cut, "last")));
		free(json_string(json_after(json_first(json_get(cut, "evidence")))));
		free(cut);
	}
	ok(true, "JSON cut at any place is survived");
}

static char *test_dir;

/* An image of that many sectors whose descriptor claims claimed sectors. */
static char *image(const char *name, int sectors, int claimed, bool boot)
{
	char *path = xasprintf("%s/%s", test_dir, name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
	unsigned char d[2048] = { 1, 'C', 'D', '0', '0', '1', 1 };

	memcpy(d + 40, "LABEL                           ", 32);
	d[80] = claimed;
	d[81] = claimed >> 8;
	d[129] = 8;
	if (pwrite(fd, d, 2048, 16 * 2048) < 0)
		perror(path);
	memset(d, 0, sizeof(d));
	memcpy(d + 1, "CD001", 5);
	memcpy(d + 7, "EL TORITO SPECIFICATION", 23);
	if (boot && pwrite(fd, d, 2048, 17 * 2048) < 0)
		perror(path);
	d[0] = 255;
	if (pwrite(fd, d, 2048, (boot ? 18 : 17) * 2048) < 0 ||
	    ftruncate(fd, (off_t)sectors * 2048))
		perror(path);
	close(fd);
	return path;
}

/* Tag of a UDF descriptor: kind, version and the sum of its 16 bytes. */
static void udf_sector(int fd, int sector, int kind, unsigned char *d)
{
	d[0] = kind;
	d[2] = 2;
	d[4] = kind + 2;
	if (pwrite(fd, d, 2048, sector * 2048) < 0)
		perror("udf");
}

/* The same with a UDF partition of 300 sectors from sector 280 on. */
static char *udf_image(const char *name, int sectors)
{
	char *path = image(name, 280, 30, true);
	unsigned char anchor[2048] = { 0 }, partition[2048] = { 0 };
	int fd = open(path, O_RDWR);

	anchor[17] = 16 * 2048 >> 8;
	anchor[20] = 32;
	udf_sector(fd, 256, 2, anchor);
	partition[188] = 280 & 255;
	partition[189] = 280 >> 8;
	partition[192] = 300 & 255;
	partition[193] = 300 >> 8;
	udf_sector(fd, 33, 5, partition);
	if (ftruncate(fd, (off_t)sectors * 2048))
		perror(path);
	close(fd);
	return path;
}

static bool says(char *problem, const char *word)
{
	bool good = problem && strstr(problem, word);

	if (!good)
		printf("# got: %s\n", problem ? problem : "(no problem)");
	free(problem);
	return good;
}

static void test_iso(void)
{
	char *whole = image("whole.iso", 400, 400, true);
	char *data = image("data.iso", 400, 400, false);
	char *cut = image("cut.iso", 399, 400, true);
	char *tiny = image("tiny.iso", 3, 400, true);
	char *empty = image("empty.iso", 0, 400, true);
	char *gone = xasprintf("%s/gone.iso", test_dir);
	struct iso_info info;

	ok(!iso_problem(whole, &info) && info.bootable &&
	   info.volume_size == 400 * 2048, "a whole image is accepted");
	ok(same(info.label, "LABEL"), "its label is read");
	ok(!iso_problem(data, &info) && !info.bootable, "an image without a boot record is seen");
	ok(says(iso_problem(cut, &info), "truncated"), "an image short by one sector is refused");
	ok(says(iso_problem(tiny, &info), "not an ISO image"), "a file too short for an image is refused");
	ok(says(iso_problem(empty, &info), "is empty"), "an empty file is refused");
	ok(says(iso_problem(gone, &info), "There is no file"), "a missing file is refused");
	ok(says(iso_problem(test_dir, &info), "is a folder"), "a folder is refused");
	ok(says(iso_problem("", &info), "No ISO is chosen"), "no path is refused");
	ok(says(iso_problem("x.iso", &info), "not a full path"), "a relative path is refused");
	ok(says(iso_problem("/dev/null", &info), "neither a file"), "a device that is no disk is refused");
	ok(says(iso_problem("/tmp/a\tb.iso", &info), "Rename"), "a control character is refused");
	ok(says(iso_problem("/tmp/\xe4.iso", &info), "Rename"), "a path that is no UTF-8 is refused");
	ok(says(image_problem(tiny, &info), "neither an ISO"), "what is no disk image either is refused");
	ok(!image_problem(whole, &info) && !info.disk, "an ISO is no disk image");
	ok(says(iso_problem("/tmp/\xc3\xa4 none.iso", &info), "There is no file"), "UTF-8 is fine");
	free(whole);
	free(data);
	free(cut);
	free(tiny);
	free(empty);
	free(gone);
}

/* A file that begins with those bytes, of that length. */
static char *disk_image(const char *name, const void *head, size_t n, off_t length)
{
	char *path = xasprintf("%s/%s", test_dir, name);
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);

	if (write(fd, head, n) != (ssize_t)n || ftruncate(fd, length))
		perror(path);
	close(fd);
	return path;
}

static void test_disk_images(void)
{
	unsigned char boot[512] = { [510] = 0x55, [511] = 0xaa }, head[112] = "QFI\xfb";
	struct { const char *what; int at; unsigned char value; const char *word; } bad[] = {
		{ "a layer on another", 15, 1, "only a part" },
		{ "one with its data elsewhere", 79, 4, "only a part" },
		{ "an encrypted one", 35, 2, "encrypted" },
		{ "one of another version", 7, 9, "version" } };
	char *path = disk_image("raw.img", boot, sizeof(boot), MIB + 5);
	struct iso_info info;

	ok(!image_problem(path, &info) && same(info.disk, "raw") &&
	   info.volume_size == MIB + 5, "a raw disk is accepted");
	ok(says(iso_problem(path, &info), "not an ISO image"), "but not as an ISO");
	free(path);
	head[7] = 3;
	head[27] = 2;
	path = disk_image("d.qcow2", head, sizeof(head), 65536);
	ok(!image_problem(path, &info) && same(info.disk, "qcow2") &&
	   info.volume_size == 2ull << 32, "a qcow2 disk is accepted, and its size is read");
	free(path);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		unsigned char d[sizeof(head)];

		memcpy(d, head, sizeof(d));
		d[bad[i].at] = bad[i].value;
		path = disk_image("bad.qcow2", d, sizeof(d), 65536);
		ok(says(image_problem(path, &info), bad[i].word), "%s is refused", bad[i].what);
		free(path);
	}
	path = disk_image("a.img.xz", "\xfd" "7zXZ", 6, 65536);
	ok(says(image_problem(path, &info), "Unpack"), "a compressed one is to be unpacked");
	free(path);
}

static void test_login(void)
{
	static const char *const good_users[] = { "joe", "a", "web-1_x" };
	static const char *const bad_users[] = { "", "Joe", "1a", "root", "a b", "a:b", "j\xc3\xb6", "-a",
		"abcdefghijklmnopqrstuvwxyzabcdefg" };
	static const char *const bad_passwords[] = { "", "short", "with space1", "quote'quote", "doll$ar12",
		"new\nline12", "back\\slash" };
	struct login l = { .user = "joe", .host = "h1", .password = "", .key = "" };
	char *key = xasprintf("ssh-ed25519 %040d me: it's", 0);

	for (size_t i = 0; i < ARRAY_SIZE(good_users); i++)
		ok(!login_user_problem(good_users[i]), "the user %s is accepted", good_users[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad_users); i++)
		ok(login_user_problem(bad_users[i]), "odd user %zu is refused", i);
	for (size_t i = 0; i < ARRAY_SIZE(bad_passwords); i++)
		ok(login_password_problem(bad_passwords[i]), "odd password %zu is refused", i);
	ok(!login_password_problem("Good-enough.1"), "a password is accepted");
	ok(!login_host_problem("web-1") && login_host_problem("a.b") && login_host_problem("") &&
	   login_host_problem("-a") && login_host_problem("a-"), "host names");
	ok(!login_key_problem(key) && !login_key_problem("") && login_key_problem("ssh-rsa AAAA") &&
	   login_key_problem("-----BEGIN OPENSSH PRIVATE KEY-----"), "SSH keys");
	ok(is(login_host("web_1.x"), "web-1-x") && is(login_host("a..."), "a"),
	   "a host name comes from the guest's");
	ok(is(cloud_user_data(&l, "$6$x$y"), "#cloud-config\nhostname: 'h1'\nuser: 'joe'\nssh_pwauth: true\n"
	      "password: '$6$x$y'\nchpasswd:\n  expire: false\n"), "user-data with a password");
	l.key = key;
	key = xasprintf("#cloud-config\nhostname: 'h1'\nuser: 'joe'\nssh_pwauth: false\n"
			"ssh_authorized_keys:\n  - 'ssh-ed25519 %040d me: it''s'\n", 0);
	ok(is(cloud_user_data(&l, ""), key), "user-data with a key, which cannot break out");
	free(l.key);
	free(key);
}

static void test_udf(void)
{
	char *whole = udf_image("udf.iso", 580), *cut = udf_image("udfcut.iso", 579);
	struct iso_info info;

	ok(!iso_problem(whole, &info) && info.volume_size == 580 * 2048,
	   "a whole image with UDF is accepted");
	ok(says(iso_problem(cut, &info), "truncated"), "an image whose UDF volume is cut is refused");
	free(whole);
	free(cut);
}

/* A folder that the guests' user cannot enter, an image only root can read. */
static void test_reach(void)
{
	char *path = image("reach.iso", 400, 400, true);
	bool relabel;

	if (geteuid()) {
		ok(true, "reach # SKIP needs root to become the guests' user");
		return;
	}
	chmod(test_dir, 0755);
	chmod(path, 0600);
	ok(!iso_reach_problem(path, &relabel) && relabel, "a private image is lent to the guest");
	chmod(path, 0644);
	ok(!iso_reach_problem(path, &relabel) && !relabel, "a public image keeps its owner");
	chmod(test_dir, 0700);
	ok(says(iso_reach_problem(path, &relabel), "may not enter"), "a closed folder is named");
	free(path);
}

int main(int argc, char **argv)
{
	test_dir = argc > 1 ? argv[1] : "/tmp";
	test_names();
	test_disk_sizes();
	test_numbers();
	test_blank();
	test_text();
	test_xml_write();
	test_xml_read();
	test_dom_read();
	test_dom_numbers();
	test_dom_boot();
	test_dom_network();
	test_dom_disks();
	test_dom_clone();
	test_dom_snapshot();
	test_dom_cut();
	test_preset();
	test_json();
	test_iso();
	test_disk_images();
	test_login();
	test_udf();
	test_reach();
	printf("1..%d\n", tests);
	return failures ? 1 : 0;
}
