/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Real mode, protected mode, real mode again, and unreal mode (a 4 GiB limit
 * kept in a segment register): the way firmware and boot loaders go. Says 16 or
 * 32 to PORT_VALUE by what a shift tells about the width.
 */
#include "guest.h"
	.code16
	.text
	cli
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %ss
	movw $0x7000, %sp
	movb $16, %al
	outb %al, $PORT_VALUE
	lgdtl gdtr
	movl %cr0, %eax
	orb $1, %al
	movl %eax, %cr0
	ljmp $8, $protected

	.code32
protected:
	movw $16, %ax
	movw %ax, %ds
	movw %ax, %ss
	movl $0x12345678, DATA		/* above 1 MiB */
	pushl $32
	popl %eax
	outb %al, $PORT_VALUE
	movw $24, %ax			/* a big segment for later */
	movw %ax, %fs
	ljmp $32, $still		/* a 16-bit code segment */

	.code16
still:	movw $40, %ax			/* 16-bit data segments */
	movw %ax, %ds
	movw %ax, %ss
	movl %cr0, %eax
	andb $0xfe, %al
	movl %eax, %cr0
	ljmp $0, $back
back:	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %ss
	movb $16, %al
	outb %al, $PORT_VALUE
	movl $DATA, %ebx		/* unreal mode reaches it */
	movl %fs:(%ebx), %eax
	outl %eax, $PORT_VALUE
	movw $0x1234, %ax		/* segments are shifted by 4 again */
	movw %ax, %es
	movb $0x99, %es:(0)
	xorw %ax, %ax
	movw %ax, %es
	movl $0x12340, %ebx
	movb %fs:(%ebx), %al
	outb %al, $PORT_VALUE
	hlt

	.balign 8
gdt:	.quad 0
	.quad 0x00cf9b000000ffff	/* 8: code, 32 bits */
	.quad 0x00cf93000000ffff	/* 16: data, 4 GiB */
	.quad 0x00cf93000000ffff	/* 24: the same, for fs */
	.quad 0x00009b000000ffff	/* 32: code, 16 bits */
	.quad 0x000093000000ffff	/* 40: data, 64 KiB */
gdtr:	.word . - gdt - 1
	.long gdt
