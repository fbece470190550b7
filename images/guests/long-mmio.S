/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MMIO in 64-bit mode: 8 bytes, extended registers, RIP-independent forms. */
#include "guest.h"
	.text
	movl $MMIO, %ebx
	movabsq $0x1122334455667788, %rax
	movq %rax, (%rbx)
	movq $-2, 8(%rbx)
	movq 0x10(%rbx), %r9
	movq %r9, DATA
	movl 0x18(%rbx), %r10d		/* clears the upper half */
	movq %r10, DATA + 8
	movq $-1, %r11
	movw 0x20(%rbx), %r11w		/* keeps the rest */
	movq %r11, DATA + 16
	movslq 0x24(%rbx), %r12
	movq %r12, DATA + 24
	movb %r9b, 0x30(%rbx)
	movb %sil, 0x31(%rbx)
	movl $8, %r13d
	movl %r13d, 0x38(%rbx,%r13,4)
	hlt
