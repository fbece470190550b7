// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvmctl's loaders on files made here: good ones, and each thing that can be
 * wrong with one, which gets a sentence. With an argument: write the good ones
 * there, to begin a fuzzer's corpus.
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <string.h>

#include "load.h"
#include "tap.h"

#define BYTES 0x3000

static uint8_t file[BYTES];
static uint8_t memory[4 << 20];
static struct load l;

static int load(size_t bytes)
{
	const char *cmdline = l.cmdline ? l.cmdline : "";
	const uint8_t *initrd = l.initrd;
	size_t initrd_bytes = l.initrd_bytes;

	l = (struct load){
		.file = file, .file_bytes = bytes, .cmdline = cmdline, .cpus = 2,
		.initrd = initrd, .initrd_bytes = initrd_bytes,
		.memory = memory, .memory_bytes = sizeof(memory),
	};
	return load_kernel(&l);
}

static void bad(const char *name, const char *words, size_t bytes)
{
	int r = load(bytes);

	if (!ok(r < 0 && strstr(l.error, words), "%s is refused", name))
		note("%d: \"%s\", expected \"%s\"", r, l.error, words);
}

static uint32_t *multiboot(uint32_t flags)
{
	uint32_t *h = (uint32_t *)(file + 0x40);

	memset(file, 0x90, BYTES);
	h[0] = 0x1badb002;
	h[1] = flags;
	h[2] = -(h[0] + h[1]);
	h[3] = 0x100040;	/* header, load, load end, bss end, entry */
	h[4] = 0x100000;
	h[5] = 0x101000;
	h[6] = 0x102000;
	h[7] = 0x100100;
	return h;
}

static Elf32_Ehdr *elf32(void)
{
	Elf32_Ehdr *h = (Elf32_Ehdr *)file;
	Elf32_Phdr *p = (Elf32_Phdr *)(file + sizeof(*h));

	memset(file, 0, BYTES);
	memcpy(h->e_ident, ELFMAG "\1\1\1", 7);
	h->e_type = ET_EXEC;
	h->e_machine = EM_386;
	h->e_phoff = sizeof(*h);
	h->e_phentsize = sizeof(*p);
	h->e_phnum = 1;
	h->e_entry = 0xc0100010;
	*p = (Elf32_Phdr){ .p_type = PT_LOAD, .p_offset = 0x1000, .p_filesz = 0x100,
			   .p_memsz = 0x200, .p_vaddr = 0xc0100000, .p_paddr = 0x100000 };
	file[0x1000] = 0xf4;
	return h;
}

static Elf64_Ehdr *elf64(void)
{
	Elf64_Ehdr *h = (Elf64_Ehdr *)file;
	Elf64_Phdr *p = (Elf64_Phdr *)(file + sizeof(*h));

	memset(file, 0, BYTES);
	memcpy(h->e_ident, ELFMAG "\2\1\1", 7);
	h->e_type = ET_EXEC;
	h->e_machine = EM_X86_64;
	h->e_phoff = sizeof(*h);
	h->e_phentsize = sizeof(*p);
	h->e_phnum = 1;
	h->e_entry = 0x200000;
	*p = (Elf64_Phdr){ .p_type = PT_LOAD, .p_offset = 0x1000, .p_filesz = 0x100,
			   .p_memsz = 0x100, .p_vaddr = 0x200000, .p_paddr = 0x200000 };
	return h;
}

static struct setup_header *linux_file(void)
{
	struct setup_header *h = (struct setup_header *)(file + 0x1f1);

	memset(file, 0, BYTES);
	h->boot_flag = 0xaa55;
	h->header = 0x53726448;
	h->jump = 0x6aeb;
	h->version = 0x020f;
	h->loadflags = LOADED_HIGH;
	h->setup_sects = 3;
	h->syssize = (BYTES - 0x800) / 16;
	h->cmdline_size = 255;
	h->initrd_addr_max = 0x7fffffff;
	h->pref_address = 0x200000;
	h->init_size = 0x10000;
	return h;
}

static void test_multiboot(void)
{
	uint32_t *h = multiboot(0x10003), *info = (uint32_t *)(memory + LOAD_INFO);
	static const uint8_t module[] = "module";

	memset(memory, 0x5a, sizeof(memory));
	l.cmdline = "one two";
	l.initrd = module;
	l.initrd_bytes = sizeof(module);
	is(load(BYTES), 0, "multiboot with addresses: loads");
	ok(l.format == LOAD_MULTIBOOT && l.entry == 0x100100 && l.bits == 32 &&
	   l.rax == 0x2badb002 && l.rbx == LOAD_INFO, "multiboot: entry and registers");
	ok(memory[0x100fff] == 0x90 && memory[0x101000] == 0 && memory[0x101fff] == 0 &&
	   memory[0x102000] == 0x5a, "multiboot: its file, its cleared bss, no more");
	ok(info[0] == 0x24d && info[1] == 640 && info[2] == 3072 &&
	   !strcmp((char *)memory + info[4], "one two"),
	   "multiboot: is told memory and command line (flags 0x%x)", info[0]);
	ok(info[5] == 1 && !strcmp((char *)memory + *(uint32_t *)(memory + info[6]), "module"),
	   "multiboot: and its module");
	l = (struct load){ 0 };
	bad("a header without its checksum", "truncated: the file ends 4 bytes", 0x48);
	bad("a header without its addresses", "within its addresses", 0x58);
	multiboot(0x10007);
	bad("a header that wants video", "no screen", BYTES);
	multiboot(0x10013);
	bad("a header that wants the unknown", "does not know", BYTES);
	multiboot(3);
	bad("no addresses in a file that is not ELF", "not ELF", BYTES);
	h = multiboot(0x10003);
	h[4] = 0xff000;
	bad("a load address that the header is too far from", "does not have", BYTES);
	h = multiboot(0x10003);
	h[7] = 0x103000;
	bad("an entry outside", "entry 0x103000", BYTES);
	h = multiboot(0x10003);
	h[6] = 0xfffff000;
	bad("a bss beyond memory", "outside of the guest's memory", BYTES);
	h = multiboot(0x10003);
	h[5] = 0x100000 + BYTES + 1;
	bad("more to load than there is", "truncated", BYTES);
	h[2]++;
	bad("a wrong checksum", "no kernel", BYTES);
}

static void test_elf(void)
{
	Elf32_Ehdr *h = elf32();
	Elf32_Phdr *p = (Elf32_Phdr *)(h + 1);
	Elf64_Phdr *q;

	is(load(BYTES), 0, "ELF of 32 bits: loads");
	ok(l.entry == 0x100010 && l.bits == 32 && memory[0x100000] == 0xf4,
	   "ELF: a kernel linked high is entered where it is");
	is((elf64(), load(BYTES)), 0, "ELF of 64 bits: loads");
	ok(l.entry == 0x200000 && l.bits == 64, "ELF: and starts in 64-bit mode");
	q = (Elf64_Phdr *)(file + sizeof(Elf64_Ehdr));
	q->p_memsz = ~0ULL;
	bad("a segment of 2^64 bytes", "outside of the guest's memory", BYTES);
	elf64();
	q->p_offset = ~0ULL;
	bad("a segment from the end of all", "truncated", BYTES);
	elf64()->e_phoff = ~0ULL - 8;
	bad("headers at the end of all", "not all there", BYTES);
	elf32();
	bad("a cut header", "within its ELF header", 30);
	bad("a cut segment", "truncated", 0x1080);
	p->p_paddr = 0x1000;
	bad("a segment on kvmctl's tables", "outside of the guest's memory", BYTES);
	elf32();
	p->p_paddr = 0x9ff80;
	bad("a segment into the hole", "outside of the guest's memory", BYTES);
	elf32();
	p->p_memsz = 0x10;
	bad("less memory than file", "more bytes in the file", BYTES);
	elf32()->e_entry = 0x50;
	bad("an entry outside", "none of its segments", BYTES);
	elf32()->e_type = ET_DYN;
	bad("a position-independent program", "fixed address", BYTES);
	elf32()->e_machine = EM_ARM;
	bad("another processor's", "another processor", BYTES);
	elf32()->e_phnum = 65;
	bad("65 program headers", "at most 64", BYTES);
	elf32()->e_phnum = 0;
	bad("nothing to load", "nothing to load", BYTES);
	elf32();
	l.cmdline = "x";
	bad("a command line for plain ELF", "--append", BYTES);
	l = (struct load){ 0 };
}

static void test_linux(void)
{
	struct setup_header *h = linux_file();
	struct boot_params *params = (void *)(memory + LOAD_PARAMS);
	static uint8_t initrd[0x1234] = { 0xab };
	static char line[300];
	uint8_t sum = 0;

	l.cmdline = "quiet";
	l.initrd = initrd;
	l.initrd_bytes = sizeof(initrd);
	is(load(BYTES), 0, "Linux: loads");
	ok(l.format == LOAD_LINUX && l.entry == 0x100000 && l.rsi == LOAD_PARAMS &&
	   l.bits == 32, "Linux: entry and registers");
	ok(!strcmp((char *)memory + params->hdr.cmd_line_ptr, "quiet") &&
	   params->hdr.type_of_loader == 0xff && params->hdr.version == 0x020f &&
	   params->e820_entries == 2, "Linux: is told its command line and memory");
	ok(params->hdr.ramdisk_size == sizeof(initrd) &&
	   !(params->hdr.ramdisk_image & 0xfff) && memory[params->hdr.ramdisk_image] == 0xab,
	   "Linux: and its initrd");
	for (int i = 0; i < 16; i++)
		sum += memory[LOAD_MP_TABLE + i];
	for (int i = 0, n = memory[LOAD_MP_TABLE + 20] | memory[LOAD_MP_TABLE + 21] << 8; i < n; i++)
		sum += memory[LOAD_MP_TABLE + 16 + i];
	ok(!memcmp(memory + LOAD_MP_TABLE, "_MP_", 4) && sum == 0,
	   "Linux: the table of processors has its checksums");
	memset(line, 'a', 256);
	l.cmdline = line;
	bad("a command line that is too long", "may have 255", BYTES);
	l.cmdline = "";
	l.initrd_bytes = sizeof(memory);
	bad("an initrd that does not fit", "does not fit", BYTES);
	l = (struct load){ 0 };
	bad("a cut kernel", "truncated", BYTES - 0x100);
	bad("a cut header", "within its header", 0x210);
	h->version = 0x0205;
	bad("a kernel that is too old", "protocol 2.05", BYTES);
	linux_file()->loadflags = 0;
	bad("a zImage", "zImage", BYTES);
	linux_file()->init_size = 0x7f000000;
	bad("a kernel that is too large", "needs", BYTES);
	linux_file()->pref_address = ~0ULL;
	bad("a kernel at the end of all", "needs", BYTES);
	memset(file, 0, BYTES);
	bad("a file of zeros", "no kernel", BYTES);
	bad("an empty file", "no kernel", 0);
}

static void write_file(const char *dir, const char *name)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	if (!f || fwrite(file, BYTES, 1, f) != 1 || fclose(f))
		bail_out("%s cannot be written", path);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		multiboot(0x10003);
		write_file(argv[1], "multiboot");
		elf32();
		write_file(argv[1], "elf32");
		elf64();
		write_file(argv[1], "elf64");
		linux_file();
		write_file(argv[1], "linux");
		return 0;
	}
	test_multiboot();
	test_elf();
	test_linux();
	return done();
}
