// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loaders: ELF kernels of 32 and 64 bits, multiboot (version 1) kernels and
 * Linux's bzImage.
 *
 * A file is hostile until checked. Its bytes are read only through at(), which
 * knows the file's end, and guest memory is reached only through place(), which
 * knows where the guest has memory; both work in 64 bits, so that no sum of the
 * file's 32-bit fields can wrap. Everything else follows the formats' own
 * documents: the ELF specification, "Multiboot Specification version 0.6.96",
 * and Documentation/arch/x86/boot.rst of Linux. tests/unit/loaders has a fuzzer.
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "load.h"

#define HOLE_START	0xa0000u
#define HOLE_END	0xc0000u
#define HIGH		0x100000u	/* what guests are told of begins here again */
#define ELF_SEGMENTS	64u	/* so that a hostile file ends soon */

__attribute__((format(printf, 2, 3)))
static int fail(struct load *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(l->error, sizeof(l->error), format, args);
	va_end(args);
	return -1;
}

/* @bytes of the file from @offset, or NULL when it ends before. */
static const void *at(const struct load *l, uint64_t offset, uint64_t bytes)
{
	if (offset > l->file_bytes || bytes > l->file_bytes - offset)
		return NULL;
	return l->file + offset;
}

/* The same copied to @to, where it is aligned. False: the file ends before. */
static bool take(const struct load *l, uint64_t offset, void *to, size_t bytes)
{
	const void *from = at(l, offset, bytes);

	if (from)
		memcpy(to, from, bytes);
	return from;
}

static uint32_t word(const uint8_t *file, size_t offset)
{
	uint32_t value;

	memcpy(&value, file + offset, sizeof(value));
	return value;
}

/* @bytes of guest memory that a kernel may have, or NULL. */
static void *place(const struct load *l, uint64_t gpa, uint64_t bytes)
{
	uint64_t end = gpa < HOLE_START ? HOLE_START : l->memory_bytes;

	if (gpa < LOAD_LOWEST || (gpa >= HOLE_START && gpa < HOLE_END) ||
	    gpa > end || bytes > end - gpa)
		return NULL;
	return l->memory + gpa;
}

/* Copies a part of the file to @gpa and clears what follows up to @size. */
static int put(struct load *l, const char *what, uint64_t gpa, uint64_t offset,
	       uint64_t bytes, uint64_t size)
{
	const void *from = at(l, offset, bytes);
	uint8_t *to = place(l, gpa, size);

	if (!from)
		return fail(l, "it is truncated: its %s ends at byte %llu, the file has %zu", what,
			    (unsigned long long)(offset + bytes), l->file_bytes);
	if (!to)
		return fail(l, "its %s (%llu bytes at 0x%llx) is outside of the guest's memory, 0x%x to 0x%x and 0x%x to 0x%llx",
			    what, (unsigned long long)size, (unsigned long long)gpa,
			    LOAD_LOWEST, HOLE_START, HOLE_END,
			    (unsigned long long)l->memory_bytes);
	memcpy(to, from, bytes);
	memset(to + bytes, 0, size - bytes);
	return 0;
}

static int put_cmdline(struct load *l, size_t max)
{
	size_t bytes = strlen(l->cmdline) + 1;

	if (bytes > LOAD_CMDLINE_MAX || bytes - 1 > max)
		return fail(l, "its command line may have %zu characters, --append gave %zu",
			    max < LOAD_CMDLINE_MAX ? max : LOAD_CMDLINE_MAX - 1, bytes - 1);
	memcpy(l->memory + LOAD_CMDLINE, l->cmdline, bytes);
	return 0;
}

/*
 * The initrd at the end of memory, below @limit and above @kernel_end. Sets *gpa.
 */
static int put_initrd(struct load *l, uint64_t kernel_end, uint64_t limit,
		      uint64_t *gpa)
{
	uint64_t end = limit < l->memory_bytes ? limit : l->memory_bytes;

	if (kernel_end > end || l->initrd_bytes > end - kernel_end)
		goto too_large;
	*gpa = (end - l->initrd_bytes) & ~0xfffULL;
	if (*gpa < kernel_end || *gpa < HIGH)
		goto too_large;
	memcpy(l->memory + *gpa, l->initrd, l->initrd_bytes);
	return 0;
too_large:
	return fail(l, "its initrd of %zu bytes does not fit between the kernel's end at 0x%llx and 0x%llx: give more --memory",
		    l->initrd_bytes, (unsigned long long)kernel_end,
		    (unsigned long long)end);
}

/* ELF. Both classes have the same fields in other places: read both into these. */
struct segment {
	uint32_t type;
	uint64_t offset, vaddr, paddr, filesz, memsz;
};

static bool segment(const struct load *l, bool is64, uint64_t offset,
		    struct segment *s)
{
	if (is64) {
		Elf64_Phdr h;

		if (!take(l, offset, &h, sizeof(h)))
			return false;
		*s = (struct segment){ h.p_type, h.p_offset, h.p_vaddr, h.p_paddr,
				       h.p_filesz, h.p_memsz };
	} else {
		Elf32_Phdr h;

		if (!take(l, offset, &h, sizeof(h)))
			return false;
		*s = (struct segment){ h.p_type, h.p_offset, h.p_vaddr, h.p_paddr,
				       h.p_filesz, h.p_memsz };
	}
	return true;
}

struct elf {
	bool is64;
	uint16_t type, machine, phentsize, phnum;
	uint64_t entry, phoff;
};

static int elf_header(struct load *l, struct elf *e)
{
	const uint8_t *ident = at(l, 0, EI_NIDENT);

	if (!ident)
		return fail(l, "it is truncated within its ELF header");
	if ((ident[EI_CLASS] != ELFCLASS32 && ident[EI_CLASS] != ELFCLASS64) ||
	    ident[EI_DATA] != ELFDATA2LSB)
		return fail(l, "it is an ELF file for another kind of processor: x86 is little-endian, of 32 or 64 bits");
	e->is64 = ident[EI_CLASS] == ELFCLASS64;
	if (e->is64) {
		Elf64_Ehdr h;

		if (!take(l, 0, &h, sizeof(h)))
			return fail(l, "it is truncated within its ELF header");
		*e = (struct elf){ true, h.e_type, h.e_machine, h.e_phentsize,
				   h.e_phnum, h.e_entry, h.e_phoff };
	} else {
		Elf32_Ehdr h;

		if (!take(l, 0, &h, sizeof(h)))
			return fail(l, "it is truncated within its ELF header");
		*e = (struct elf){ false, h.e_type, h.e_machine, h.e_phentsize,
				   h.e_phnum, h.e_entry, h.e_phoff };
	}
	if (e->machine != (e->is64 ? EM_X86_64 : EM_386))
		return fail(l, "it is an ELF file for another processor (machine %u)",
			    e->machine);
	if (e->type != ET_EXEC)
		return fail(l, "it is an ELF file, but no kernel that is linked to a fixed address (type %u): link it with -static -no-pie and -Ttext",
			    e->type);
	if (e->phentsize != (e->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr)))
		return fail(l, "its ELF program headers have %u bytes each, which no such file has",
			    e->phentsize);
	return 0;
}

/* Loads the segments, sets entry and *end, the first address behind all. */
static int load_elf(struct load *l, uint64_t *end)
{
	struct elf e = { 0 };
	bool entered = false;

	*end = 0;
	if (elf_header(l, &e) < 0)
		return -1;
	if (e.phnum > ELF_SEGMENTS)
		return fail(l, "it has %u ELF program headers; a kernel has at most %u",
			    e.phnum, ELF_SEGMENTS);
	for (unsigned int i = 0; i < e.phnum; i++) {
		struct segment s;

		if (e.phoff > l->file_bytes ||
		    !segment(l, e.is64, e.phoff + (uint64_t)i * e.phentsize, &s))
			return fail(l, "it is truncated: its ELF program headers are not all there");
		if (s.type != PT_LOAD || s.memsz == 0)
			continue;
		if (s.filesz > s.memsz)
			return fail(l, "its ELF segment %u has more bytes in the file than in memory",
				    i);
		if (put(l, "ELF segment", s.paddr, s.offset, s.filesz, s.memsz) < 0)
			return -1;
		if (s.paddr + s.memsz > *end)
			*end = s.paddr + s.memsz;
		/*
		 * The entry is a virtual address, and paging is off, or maps addresses
		 * to themselves: where a kernel is linked high we go to where it is.
		 */
		if (e.entry >= s.vaddr && e.entry - s.vaddr < s.memsz && !entered) {
			l->entry = e.entry - s.vaddr + s.paddr;
			entered = true;
		} else if (e.entry >= s.paddr && e.entry - s.paddr < s.memsz && !entered) {
			l->entry = e.entry;
			entered = true;
		}
	}
	if (*end == 0)
		return fail(l, "it is an ELF file with nothing to load");
	if (!entered)
		return fail(l, "its ELF entry 0x%llx is in none of its segments",
			    (unsigned long long)e.entry);
	l->bits = e.is64 ? 64 : 32;
	return 0;
}

/* Multiboot: the header's fields by their offsets, chapter 3.1. */
#define MULTIBOOT_MAGIC		0x1badb002u
#define MULTIBOOT_LOADED	0x2badb002u
#define MULTIBOOT_SEARCH	8192u
#define MULTIBOOT_KNOWN		0x00000003u	/* aligned modules, memory map */
#define MULTIBOOT_VIDEO		0x00000004u
#define MULTIBOOT_MUST		0x0000ffffu
#define MULTIBOOT_ADDRESSES	0x00010000u

/* The header's offset, or -1. A header cut off by the file's end counts. */
static int64_t multiboot_header(const uint8_t *file, size_t bytes)
{
	size_t search = bytes < MULTIBOOT_SEARCH ? bytes : MULTIBOOT_SEARCH;

	for (size_t i = 0; i + 4 <= search; i += 4) {
		if (word(file, i) != MULTIBOOT_MAGIC)
			continue;
		if (i + 12 > bytes)
			return i;
		if (word(file, i) + word(file, i + 4) + word(file, i + 8) == 0)
			return i;
	}
	return -1;
}

static int multiboot_by_addresses(struct load *l, uint64_t header, uint64_t *end)
{
	uint32_t a[5];	/* header, load, load end, bss end, entry */
	uint64_t offset, bytes, size;

	if (!take(l, header + 12, a, sizeof(a)))
		return fail(l, "its multiboot header is truncated: the file ends within its addresses");
	if (a[1] > a[0] || a[0] - a[1] > header)
		return fail(l, "its multiboot header says that it is loaded 0x%x bytes behind the load address, which the file does not have",
			    a[0] - a[1]);
	offset = header - (a[0] - a[1]);
	if (a[2] && a[2] < a[1])
		return fail(l, "its multiboot header has the end of loading before its start");
	bytes = a[2] ? a[2] - a[1] : l->file_bytes - offset;
	size = a[3] > a[1] + bytes ? a[3] - a[1] : bytes;
	if (put(l, "multiboot image", a[1], offset, bytes, size) < 0)
		return -1;
	if (a[4] < a[1] || a[4] - a[1] >= size)
		return fail(l, "its multiboot entry 0x%x is outside of what is loaded",
			    a[4]);
	l->entry = a[4];
	*end = a[1] + size;
	return 0;
}

/* What the kernel is told, chapter 3.3: the parts that kvmctl has. */
struct multiboot_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline;
	uint32_t mods_count, mods_addr, syms[4], mmap_length, mmap_addr;
	uint32_t drives_length, drives_addr, config_table, boot_loader_name;
	uint32_t unused[13];
	/* Not part of it, but behind it. */
	struct { uint32_t start, end, string, reserved; } module;
	struct __attribute__((packed)) {
		uint32_t size;
		uint64_t addr, len;
		uint32_t type;
	} mmap[2];
	char name[8];
};

static int load_multiboot(struct load *l)
{
	enum { MEMORY = 1, CMDLINE = 4, MODULES = 8, MMAP = 0x40, NAME = 0x200 };
	uint64_t header = multiboot_header(l->file, l->file_bytes);
	struct multiboot_info info = { .flags = MEMORY | CMDLINE | MMAP | NAME };
	uint64_t end, module;
	uint32_t flags;

	_Static_assert(sizeof(info) <= LOAD_INFO_END - LOAD_INFO, "info fits");
	if (!at(l, header, 12))
		return fail(l, "its multiboot header is truncated: the file ends %llu bytes behind the magic number",
			    (unsigned long long)(l->file_bytes - header - 4));
	flags = word(l->file, header + 4);
	if (flags & MULTIBOOT_VIDEO)
		return fail(l, "its multiboot header asks for a video mode, and this machine has no screen");
	if (flags & MULTIBOOT_MUST & ~MULTIBOOT_KNOWN)
		return fail(l, "its multiboot header asks for what kvmctl does not know (flags 0x%x)",
			    flags);
	if (flags & MULTIBOOT_ADDRESSES) {
		if (multiboot_by_addresses(l, header, &end) < 0)
			return -1;
	} else {
		if (l->file_bytes < SELFMAG || memcmp(l->file, ELFMAG, SELFMAG))
			return fail(l, "its multiboot header has no addresses, and the file is not ELF");
		if (load_elf(l, &end) < 0)
			return -1;
	}
	if (put_cmdline(l, LOAD_CMDLINE_MAX - 1) < 0)
		return -1;
	info.mem_lower = HOLE_START / 1024;
	info.mem_upper = (l->memory_bytes - HIGH) / 1024;
	info.cmdline = LOAD_CMDLINE;
	info.boot_loader_name = LOAD_INFO + offsetof(struct multiboot_info, name);
	memcpy(info.name, "kvmctl", 7);
	info.mmap_addr = LOAD_INFO + offsetof(struct multiboot_info, mmap);
	info.mmap_length = sizeof(info.mmap);
	info.mmap[0].size = info.mmap[1].size = sizeof(info.mmap[0]) - 4;
	info.mmap[0].type = info.mmap[1].type = 1;
	info.mmap[0].len = HOLE_START;
	info.mmap[1].addr = HIGH;
	info.mmap[1].len = l->memory_bytes - HIGH;
	if (l->initrd) {
		if (put_initrd(l, end, l->memory_bytes, &module) < 0)
			return -1;
		info.flags |= MODULES;
		info.mods_count = 1;
		info.mods_addr = LOAD_INFO + offsetof(struct multiboot_info, module);
		info.module.start = module;
		info.module.end = module + l->initrd_bytes;
		info.module.string = info.boot_loader_name + 6;	/* empty */
	}
	memcpy(l->memory + LOAD_INFO, &info, sizeof(info));
	l->bits = 32;
	l->rax = MULTIBOOT_LOADED;
	l->rbx = LOAD_INFO;
	return 0;
}

/* Linux. */
#define LINUX_BOOT_FLAG	0xaa55
#define LINUX_MAGIC	0x53726448u	/* "HdrS" */
#define LINUX_HEADER	0x1f1		/* offset of struct setup_header */
#define LINUX_OLDEST	0x0206		/* 2.6.22: the length of the command line */
#define LINUX_LOAD	0x100000u

static bool is_linux(const uint8_t *file, size_t bytes)
{
	return bytes >= 0x206 && file[0x1fe] == 0x55 && file[0x1ff] == 0xaa &&
		word(file, 0x202) == LINUX_MAGIC;
}

/*
 * Processors, for a Linux that finds no ACPI: the Intel MultiProcessor
 * Specification 1.4, where a PC has its BIOS. KVM's interrupt controllers are
 * wired as a PC's: the lines are one to one, but the timer, which is at pin 2.
 */
static void mp_table(struct load *l)
{
	enum { APIC_VERSION = 0x14, IOAPIC_VERSION = 0x11 };
	uint8_t *floating = l->memory + LOAD_MP_TABLE, *table = floating + 16;
	uint8_t *p = table + 44, sum = 0;
	const uint32_t apic = 0xfee00000, ioapic = 0xfec00000;
	const uint32_t where = LOAD_MP_TABLE + 16;
	uint16_t length, count = 0;

	memset(floating, 0, 4096);
	for (int i = 0; i < l->cpus; i++, p += 20, count++) {
		p[1] = i;
		p[2] = APIC_VERSION;
		p[3] = i ? 1 : 3;	/* usable; the first one boots */
		p[8] = 0x01;		/* features: an FPU */
		p[9] = 0x02;		/* and an APIC */
	}
	p[0] = 1;			/* bus 0 */
	memcpy(p + 2, "ISA   ", 6);
	p += 8;
	p[0] = 2;			/* I/O APIC */
	p[1] = l->cpus;
	p[2] = IOAPIC_VERSION;
	p[3] = 1;
	memcpy(p + 4, &ioapic, 4);
	p += 8;
	count += 2;
	for (int irq = 0; irq < 16; irq++) {
		if (irq == 2)
			continue;
		p[0] = 3;		/* interrupt: ISA line to I/O APIC pin */
		p[5] = irq;
		p[6] = l->cpus;
		p[7] = irq ? irq : 2;
		p += 8;
		count++;
	}
	p[0] = 4;			/* local interrupt 0: the PIC */
	p[1] = 3;
	p[6] = 0xff;
	p += 8;
	count++;

	memcpy(table, "PCMP", 4);
	length = p - table;
	memcpy(table + 4, &length, 2);
	table[6] = 4;
	memcpy(table + 8, "KVM-LIVEKVMCTL      ", 20);
	memcpy(table + 34, &count, 2);
	memcpy(table + 36, &apic, 4);
	for (int i = 0; i < length; i++)
		sum += table[i];
	table[7] = -sum;
	memcpy(floating, "_MP_", 4);
	memcpy(floating + 4, &where, 4);
	floating[8] = 1;
	floating[9] = 4;
	for (sum = 0, p = floating; p < table; p++)
		sum += *p;
	floating[10] = -sum;
}

static int load_linux(struct load *l)
{
	struct boot_params params = { 0 };
	struct setup_header *h = &params.hdr;
	uint64_t setup, kernel, need, initrd, base;
	size_t header;

	_Static_assert(sizeof(params) == 4096, "boot_params is a page");
	/* The jump at 0x200 is over the header: its second byte is the rest of it. */
	header = 0x202 + l->file[0x201] - LINUX_HEADER;
	if (header > sizeof(*h))
		header = sizeof(*h);
	if (!take(l, LINUX_HEADER, h, header))
		return fail(l, "it is a Linux kernel that is truncated within its header");
	if (h->version < LINUX_OLDEST)
		return fail(l, "it is a Linux kernel of boot protocol %u.%02u; kvmctl needs 2.06 (Linux 2.6.22) or later",
			    h->version >> 8, h->version & 0xff);
	if (!(h->loadflags & LOADED_HIGH))
		return fail(l, "it is a Linux zImage; kvmctl needs a bzImage");
	setup = ((h->setup_sects ? h->setup_sects : 4) + 1) * 512ULL;
	kernel = h->syssize * 16ULL;
	if (setup >= l->file_bytes || kernel > l->file_bytes - setup + 15)
		return fail(l, "it is a Linux kernel that is truncated: it has %llu bytes, the file has %zu",
			    (unsigned long long)(setup + kernel), l->file_bytes);
	kernel = l->file_bytes - setup;
	/* It decompresses to where it prefers to be. */
	base = h->version >= 0x020a && h->pref_address > LINUX_LOAD ?
		h->pref_address : LINUX_LOAD;
	need = LINUX_LOAD + kernel;
	if (h->version >= 0x020a && base + h->init_size > need)
		need = base + h->init_size;
	if (base > l->memory_bytes || need > l->memory_bytes)
		return fail(l, "it is a Linux kernel that needs %llu MiB to decompress; the guest has %llu: give more --memory",
			    (unsigned long long)(need >> 20) + 1,
			    (unsigned long long)l->memory_bytes >> 20);
	if (put(l, "Linux kernel", LINUX_LOAD, setup, kernel, kernel) < 0 ||
	    put_cmdline(l, h->cmdline_size) < 0)
		return -1;
	h->type_of_loader = 0xff;
	h->cmd_line_ptr = LOAD_CMDLINE;
	if (l->initrd) {
		if (put_initrd(l, need, h->initrd_addr_max + 1ULL, &initrd) < 0)
			return -1;
		h->ramdisk_image = initrd;
		h->ramdisk_size = l->initrd_bytes;
	}
	params.e820_entries = 2;
	params.e820_table[0] = (struct boot_e820_entry){ 0, HOLE_START, 1 };
	params.e820_table[1] = (struct boot_e820_entry){
		HIGH, l->memory_bytes - HIGH, 1 };
	memcpy(l->memory + LOAD_PARAMS, &params, sizeof(params));
	mp_table(l);
	l->entry = LINUX_LOAD;
	l->bits = 32;
	l->rsi = LOAD_PARAMS;
	return 0;
}

enum load_format load_detect(const uint8_t *file, size_t bytes)
{
	if (multiboot_header(file, bytes) >= 0)
		return LOAD_MULTIBOOT;
	if (is_linux(file, bytes))
		return LOAD_LINUX;
	if (bytes >= SELFMAG && !memcmp(file, ELFMAG, SELFMAG))
		return bytes > EI_CLASS && file[EI_CLASS] == ELFCLASS64 ? LOAD_ELF64 :
			LOAD_ELF32;
	return LOAD_FLAT;
}

int load_kernel(struct load *l)
{
	uint64_t end;

	l->format = load_detect(l->file, l->file_bytes);
	switch (l->format) {
	case LOAD_MULTIBOOT:
		return load_multiboot(l);
	case LOAD_LINUX:
		return load_linux(l);
	case LOAD_ELF32:
	case LOAD_ELF64:
		if (l->initrd || *l->cmdline)
			return fail(l, "it is a plain ELF kernel, which nobody tells of --initrd and --append");
		return load_elf(l, &end);
	case LOAD_FLAT:
		break;
	}
	return fail(l, "it is no kernel: neither multiboot nor ELF nor Linux");
}
