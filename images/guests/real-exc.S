/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exceptions and software interrupts through the real-mode vector table. */
#include "guest.h"
	.code16
	.text
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %ss
	movw $0x7000, %sp
	movw $divide, 0 * 4
	movw %ax, 0 * 4 + 2
	movw $debug, 3 * 4
	movw %ax, 3 * 4 + 2
	movw $invalid, 6 * 4
	movw %ax, 6 * 4 + 2
	movw $soft, 0x21 * 4
	movw %ax, 0x21 * 4 + 2

	xorw %cx, %cx
	divw %cx			/* the handler skips it */
	ud2
	int3
	int $0x21
	movw %sp, %ax			/* balanced */
	outw %ax, $PORT_VALUE
	hlt

divide:	movw %sp, %bp
	addw $2, (%bp)
	movb $0, %al
	jmp tell
invalid:
	movw %sp, %bp
	addw $2, (%bp)
	movb $6, %al
	jmp tell
debug:	movb $3, %al
	jmp tell
soft:	movb $0x21, %al
tell:	outb %al, $PORT_VECTOR
	iretw
