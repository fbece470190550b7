/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For a second file at 0x100000: switches to protected mode by itself, calls
 * what is there, and takes the value it returns as the exit status.
 */
#include "guest.h"
	.code16
	.text
start:
	cli
	movw $0xf000, %ax
	movw %ax, %ds
	lgdtl gdtr - start
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmpl $8, $protected

	.code32
protected:
	movw $16, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movl $STACK, %esp
	movl $0x100000, %eax
	call *%eax
	outb %al, $PORT_EXIT
	hlt

	.balign 8
gdt:	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:	.word . - gdt - 1
	.long gdt

	.org 0xfff0
	.byte 0xea
	.word 0, 0xf000
	.org 0x10000
