/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For kvmctl -32: says hello and ends with status 3. */
#include "guest.h"
	.text
	movl $text, %esi
1:	lodsb
	testb %al, %al
	jz 2f
	outb %al, $PORT_CONSOLE
	jmp 1b
2:	movb $3, %al
	outb %al, $PORT_EXIT
	hlt
text:	.asciz "hello from protected mode\n"
