/* SPDX-License-Identifier: GPL-2.0-or-later */
/* XCR0 and the upper halves of the YMM registers, where the processor has AVX. */
#include "guest.h"
	.text
	movl $STACK, %esp
	movq %cr4, %rax
	orl $0x40600, %eax		/* OSXSAVE, OSFXSR, OSXMMEXCPT */
	movq %rax, %cr4
	xorl %ecx, %ecx
	movl $7, %eax
	xorl %edx, %edx
	xsetbv
	movl $DATA, %esi
	vmovdqu (%rsi), %ymm1
	movl $3, %ecx
1:	movb $0, %al
	outb %al, $PORT_VALUE
	loop 1b
	vmovdqu %ymm1, 0x40(%rsi)
	xorl %ecx, %ecx
	xgetbv
	outl %eax, $PORT_VALUE
	hlt
