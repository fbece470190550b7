/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Port I/O in real mode: all widths, both forms, single and repeated strings. */
#include "guest.h"
	.code16
	.text
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movb $0x41, %al
	outb %al, $PORT_VALUE
	movw $0x1234, %ax
	outw %ax, $PORT_VALUE
	movl $0x89abcdef, %eax
	outl %eax, $PORT_VALUE
	movw $0x3f8, %dx
	movb $0x5a, %al
	outb %al, %dx
	movw $0xffff, %dx		/* the last port */
	outb %al, %dx

	movl $0x11223344, %eax		/* narrow reads keep the rest */
	inb $PORT_READ, %al
	outl %eax, $PORT_VALUE
	inw $PORT_READ, %ax
	outl %eax, $PORT_VALUE
	movw $PORT_READ, %dx
	inl %dx, %eax
	outl %eax, $PORT_VALUE

	cld
	movw $PORT_STRING, %dx
	movw $DATA16, %si
	movw $5, %cx
	rep outsb
	outsw
	movw $DATA16 + 0x100, %di
	movw $3, %cx
	rep insw
	insb
	std				/* backwards */
	movw $DATA16 + 3, %si
	movw $2, %cx
	rep outsb
	cld
	xorw %cx, %cx			/* no element: no access */
	rep outsb
	movw %si, %ax
	outw %ax, $PORT_VALUE
	movw %di, %ax
	outw %ax, $PORT_VALUE
	hlt
