/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sums the dwords of the page at DATA, writes the sum to the page behind it and
 * to PORT_VALUE, adds one to the first dword, and again. Two machines that run
 * this must not disturb each other.
 */
#include "guest.h"
	.text
	cld
1:	movl $DATA, %esi
	movl $1024, %ecx
	xorl %ebx, %ebx
2:	lodsl
	addl %eax, %ebx
	loop 2b
	movl %ebx, DATA + 0x1000
	value %ebx
	incl DATA
	jmp 1b
