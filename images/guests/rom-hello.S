/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The smallest machine there is: says hello from its reset vector and halts. */
#include "guest.h"
	.code16
	.text
start:
	movw $0xf000, %ax
	movw %ax, %ds
	movw $text - start, %si
	cld
1:	lodsb
	testb %al, %al
	jz 2f
	outb %al, $PORT_CONSOLE
	jmp 1b
2:	hlt
	jmp 2b
text:	.asciz "hello from real mode\n"

	.org 0xfff0
	.byte 0xea			/* ljmp $0xf000, $0 */
	.word 0, 0xf000
	.org 0x10000
