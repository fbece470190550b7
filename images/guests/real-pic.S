/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Interrupts through the PIC (8259) and the PIT (8254) in real mode: waits in
 * HLT for IRQ 4 twice, then for five ticks of the timer at about 100 Hz: a debug
 * kernel on an emulated processor can take 2 ms for one, and with a tick always
 * pending the code outside of the handlers would never run.
 */
#include "guest.h"
	.set TICKS, 0x2800
	.code16
	.text
	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %ss
	movw $0x7000, %sp
	movw %ax, TICKS
	movw $irq0, 0x20 * 4
	movw %ax, 0x20 * 4 + 2
	movw $irq4, 0x24 * 4
	movw %ax, 0x24 * 4 + 2

	movb $0x11, %al			/* ICW1: edge, cascade, ICW4 */
	outb %al, $0x20
	movb $0x20, %al			/* ICW2: vectors from 0x20 */
	outb %al, $0x21
	movb $0x04, %al			/* ICW3: slave on IRQ 2 */
	outb %al, $0x21
	movb $0x01, %al			/* ICW4: 8086 mode */
	outb %al, $0x21
	movb $0xef, %al			/* all masked but IRQ 4 */
	outb %al, $0x21
	inb $0x21, %al
	outb %al, $PORT_VALUE		/* reads back */

	movb $1, %al			/* ready for the first */
	outb %al, $PORT_VALUE
	sti
	hlt
	cli
	movb $2, %al			/* and for the second */
	outb %al, $PORT_VALUE
	sti
	hlt

	cli
	movb $0x34, %al			/* channel 0, both bytes, mode 2 */
	outb %al, $0x43
	movw $11932, %ax
	outb %al, $0x40
	movb %ah, %al
	outb %al, $0x40
	movb $0xfe, %al			/* all masked but IRQ 0 */
	outb %al, $0x21
	sti
1:	hlt
	cmpw $5, TICKS
	jb 1b
	cli
	movb $3, %al
	outb %al, $PORT_VALUE
	outb %al, $PORT_EXIT

irq0:	pushw %ax
	incw TICKS
	jmp eoi
irq4:	pushw %ax
	movb $0x24, %al
	outb %al, $PORT_IRQ
eoi:	movb $0x20, %al
	outb %al, $0x20
	popw %ax
	iretw
