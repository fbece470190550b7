/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For kvmctl -32: enters 64-bit mode by itself, as a kernel's boot code does
 * (page tables for 1 GiB of 2 MiB pages, PAE, EFER.LME, paging, far jump),
 * says hello from there and ends with status 64.
 */
#include "guest.h"
	.text
	.code32
	movl $PAGE_TABLES, %edi
	xorl %eax, %eax
	movl $3 * 1024, %ecx
	cld
	rep stosl
	movl $PAGE_TABLES + 0x1003, PAGE_TABLES
	movl $PAGE_TABLES + 0x2003, PAGE_TABLES + 0x1000
	movl $PAGE_TABLES + 0x2000, %edi
	movl $0x83, %eax		/* present, writable, 2 MiB */
1:	movl %eax, (%edi)
	addl $0x200000, %eax
	addl $8, %edi
	cmpl $0x40000083, %eax
	jb 1b

	movl %cr4, %eax
	orl $0x20, %eax			/* PAE */
	movl %eax, %cr4
	movl $PAGE_TABLES, %eax
	movl %eax, %cr3
	movl $0xc0000080, %ecx		/* EFER.LME */
	rdmsr
	orl $0x100, %eax
	wrmsr
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	lgdt gdtr
	ljmp $8, $long_mode

	.code64
long_mode:
	movq $-1, %rax			/* only here are 64 bits wide */
	shrq $33, %rax
	cmpl $0x7fffffff, %eax
	jne 3f
	leaq text(%rip), %rsi
1:	lodsb
	testb %al, %al
	jz 2f
	outb %al, $PORT_CONSOLE
	jmp 1b
2:	movb $64, %al
	outb %al, $PORT_EXIT
3:	hlt

	.balign 8
gdt:	.quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr:	.word . - gdt - 1
	.long gdt
text:	.asciz "hello from 64-bit mode\n"
