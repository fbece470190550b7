/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a kernel's file to a guest that can start it; see load.c. Pure functions
 * on buffers: no files, no KVM, no memory of their own.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stddef.h>
#include <stdint.h>

/* What a kernel's file can be. */
enum load_format {
	LOAD_FLAT,		/* none of the others: bytes that start somewhere */
	LOAD_ELF32,
	LOAD_ELF64,
	LOAD_MULTIBOOT,
	LOAD_LINUX,
};

/*
 * Guest-physical memory is one mapping: from 0 to 640 KiB and from 768 KiB
 * to its end. Below LOAD_LOWEST is what kvmctl tells the guest
 * and what the processor needs to start; a kernel cannot be loaded there.
 */
#define LOAD_LOWEST	0x20000u
#define LOAD_INFO	0x7000u	/* multiboot's information: to LOAD_INFO_END */
#define LOAD_INFO_END	0x8000u
#define LOAD_PARAMS	0x8000u	/* Linux's struct boot_params: a page */
#define LOAD_CMDLINE	0x9000u	/* the command line of either */
#define LOAD_CMDLINE_MAX 0x4000u
#define LOAD_MP_TABLE	0xf0000u	/* Linux is told there of processors */

struct load {
	/* Filled in by the caller. */
	const uint8_t *file;
	size_t file_bytes;
	const uint8_t *initrd;		/* NULL: none */
	size_t initrd_bytes;
	const char *cmdline;		/* never NULL */
	int cpus;
	uint8_t *memory;		/* guest-physical address 0 */
	uint64_t memory_bytes;		/* 1 MiB to 3.5 GiB */

	/* By load_kernel(). */
	enum load_format format;
	uint64_t entry;			/* guest-physical */
	int bits;			/* the mode that it starts in: 32 or 64 */
	uint32_t rax, rbx, rsi;
	char error[200];		/* a sentence without the file's name */
};

enum load_format load_detect(const uint8_t *file, size_t bytes);

/*
 * Puts the kernel (and command line, initrd, tables) into guest memory. Returns
 * 0, or -1 with a sentence in error; guest memory may then be half written.
 */
int load_kernel(struct load *l);

#endif /* LOAD_H */
