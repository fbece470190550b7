/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the emulator uses of the kernel, for a user-space build: included before each
 * file of it (cc -include), while the kernel's own headers are empty files.
 */
#ifndef KERNEL_H
#define KERNEL_H

#define _GNU_SOURCE
#include <asm/processor-flags.h>

#include "../irqchip/shim.h"

#define __packed	__attribute__((packed))
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof(*(a)))
#define sign_extend64(v, i) ((s64)((u64)(v) << (63 - (i))) >> (63 - (i)))
#define hweight8(v)	((unsigned int)__builtin_popcount((v) & 0xff))
#define hweight64(v)	((unsigned int)__builtin_popcountll(v))

/* asm/trapnr.h, asm/msr-index.h */
enum {
	X86_TRAP_DE = 0, X86_TRAP_DB = 1, X86_TRAP_BP = 3, X86_TRAP_OF = 4, X86_TRAP_BR = 5,
	X86_TRAP_UD = 6, X86_TRAP_NM = 7, X86_TRAP_TS = 10, X86_TRAP_NP = 11, X86_TRAP_SS = 12,
	X86_TRAP_GP = 13, X86_TRAP_PF = 14, X86_TRAP_MF = 16,
};

#define MSR_IA32_TSC		0x10u
#define MSR_EFER		0xc0000080u
#define EFER_LMA		0x400u
#define MSR_KERNEL_GS_BASE	0xc0000102u
#define MSR_TSC_AUX		0xc0000103u

#endif
