/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exceptions in 64-bit mode: vector and error code of each, and for a page fault
 * the page's number. Every handler returns to where rbp says.
 */
#include "guest.h"
	.set IDT, 0x30000
	.text
	movl $STACK, %esp
	movl $IDT, %edi
	leaq stubs(%rip), %rsi
	movl $32, %ecx
1:	movq %rsi, %rax			/* 64-bit interrupt gates, selector 8 */
	movw %ax, (%rdi)
	movw $8, 2(%rdi)
	movw $0x8e00, 4(%rdi)
	shrq $16, %rax
	movw %ax, 6(%rdi)
	shrq $16, %rax
	movl %eax, 8(%rdi)
	movl $0, 12(%rdi)
	addq $16, %rdi
	addq $16, %rsi
	loop 1b
	pushq $IDT
	pushw $32 * 16 - 1
	lidt (%rsp)
	addq $10, %rsp

	leaq 1f(%rip), %rbp
	xorl %ecx, %ecx
	divl %ecx			/* 0 */
1:	leaq 1f(%rip), %rbp
	ud2				/* 6 */
1:	leaq 1f(%rip), %rbp
	movw $0x7b, %ax			/* 13, error code 0x78 */
	movw %ax, %ds
1:	leaq 1f(%rip), %rbp
	movabsq $0x8000000000000000, %rbx
	movb (%rbx), %al		/* 13: not canonical */
1:	leaq 1f(%rip), %rbp
	movl $0x12345, %ecx
	rdmsr				/* 13: no such register */
1:	leaq 1f(%rip), %rbp
	movabsq $0x7000000000, %rbx
	movb %al, 5(%rbx)		/* 14: not present, write */
1:	leaq 1f(%rip), %rbp
	int3				/* 3: a trap */
1:	leaq 1f(%rip), %rbp
	movl $1 << 16, %eax		/* 13: reserved bits of CR4 */
	shlq $40, %rax
	movq %rax, %cr4
1:	movb $0xaa, %al
	outb %al, $PORT_VALUE
	hlt

	/* Sixteen bytes each; a zero where the processor pushes no error code. */
	.balign 16
stubs:
	.set i, 0
	.rept 32
	.balign 16
	.if !(i == 8 || (i >= 10 && i <= 14) || i == 17)
	pushq $0
	.endif
	pushq $i
	jmp common
	.set i, i + 1
	.endr
common:	popq %rax
	outb %al, $PORT_VECTOR
	cmpb $14, %al
	popq %rax
	outl %eax, $PORT_VALUE
	jne 1f
	movq %cr2, %rax
	shrq $12, %rax
	outl %eax, $PORT_VALUE
1:	movq %rbp, (%rsp)
	iretq
