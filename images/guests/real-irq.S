/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts in real mode: tells the vector of each (32 to 34, and 2 for NMI) and
 * where it went back to. Waits with interrupts off, then on, then in HLT.
 */
#include "guest.h"
	.code16
	.text
	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %ss
	movw $0x7000, %sp
	movw $nmi, 2 * 4
	movw %ax, 2 * 4 + 2
	movw $irq32, 32 * 4
	movw %ax, 32 * 4 + 2
	movw $irq33, 33 * 4
	movw %ax, 33 * 4 + 2

	movb $1, %al			/* interrupts off: none may come */
	outb %al, $PORT_VALUE
	movb $2, %al
	outb %al, $PORT_VALUE
	sti
	movb $3, %al			/* sti protects this instruction */
	nop
	outb %al, $PORT_VALUE
	movb $4, %al
	outb %al, $PORT_VALUE
	hlt
	movb $5, %al
	outb %al, $PORT_VALUE
	cli
	hlt

irq32:	pushw %ax
	movb $32, %al
	outb %al, $PORT_VECTOR
	popw %ax
	iretw
irq33:	pushw %ax
	movb $33, %al
	outb %al, $PORT_VECTOR
	popw %ax
	iretw
nmi:	pushw %ax
	movb $2, %al
	outb %al, $PORT_VECTOR
	movb $0xee, %al			/* a second NMI must wait for iret */
	outb %al, $PORT_VALUE
	popw %ax
	iretw
