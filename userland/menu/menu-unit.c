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

#include "iso.h"
#include "json.h"
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
	plain.once = "u-u-i-d";
	xml = xml_domain(&plain);
	ok(strstr(xml, "<source dev='/dev/sr0'") && strstr(xml, "type='block'"),
	   "a CD drive is a block device");
	ok(strstr(xml, "<readonly/><boot order='1'/>") &&
	   strstr(xml, "<uuid>u-u-i-d</uuid>") &&
	   strstr(xml, "<on_reboot>destroy"), "the CD can boot first, once");
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
	ok(says(iso_problem("/tmp/\xc3\xa4 none.iso", &info), "There is no file"), "UTF-8 is fine");
	free(whole);
	free(data);
	free(cut);
	free(tiny);
	free(empty);
	free(gone);
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
	test_json();
	test_iso();
	test_udf();
	test_reach();
	printf("1..%d\n", tests);
	return failures ? 1 : 0;
}
