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
	movq %cr4, %rax			/* vector and MMX registers */
	orq $0x600, %rax
	movq %rax, %cr4
	movq %r9, %xmm14
	pcmpeqd %xmm15, %xmm15
	movdqu %xmm15, 0x60(%rbx)
	movups 0x70(%rbx), %xmm13
	movups %xmm13, DATA + 32
	movhps %xmm14, 0x80(%rbx)
	movlps %xmm14, 0x88(%rbx)
	movq 0x90(%rbx), %mm3
	movq %mm3, DATA + 48
	movq %xmm14, DATA + 56		/* nothing else has changed */
	emms
	fnstcw 0xa0(%rbx)
	hlt
