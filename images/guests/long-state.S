/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Registers that the host uses too: x87, SSE, debug registers, FS and GS base,
 * SYSCALL registers. Fills them, leaves to the host a few times, and compares.
 * PORT_VALUE gets 1 for each group that survived.
 */
#include "guest.h"
	.text
	movl $STACK, %esp
	movq %cr0, %rax			/* FPU on: MP, NE; no EM, no TS */
	andl $~0xc, %eax
	orl $0x22, %eax
	movq %rax, %cr0
	movq %cr4, %rax
	orl $0x600, %eax		/* OSFXSR, OSXMMEXCPT */
	movq %rax, %cr4

	fninit
	fldpi
	fld1
	movabsq $0x0123456789abcdef, %rax
	movq %rax, %xmm0
	punpcklqdq %xmm0, %xmm0
	notq %rax
	movq %rax, %xmm15
	punpcklqdq %xmm15, %xmm15
	movl $0x9fc0, -8(%rsp)
	ldmxcsr -8(%rsp)

	movl $4, %ecx			/* to the host and back */
1:	movb $0, %al
	outb %al, $PORT_VALUE
	loop 1b

	fnstsw %ax			/* top of stack is 6: two values */
	andw $0x3800, %ax
	cmpw $0x3000, %ax
	sete %al
	fld1
	fcomip %st(1), %st
	sete %ah
	andb %ah, %al
	outb %al, $PORT_VALUE

	movabsq $0x0123456789abcdef, %rbx
	movq %xmm0, %rax
	cmpq %rax, %rbx
	sete %cl
	psrldq $8, %xmm0
	movq %xmm0, %rax
	cmpq %rax, %rbx
	sete %ch
	andb %ch, %cl
	movq %xmm15, %rax
	notq %rax
	cmpq %rax, %rbx
	sete %ch
	andb %ch, %cl
	stmxcsr -8(%rsp)
	cmpl $0x9fc0, -8(%rsp)
	sete %al
	andb %cl, %al
	outb %al, $PORT_VALUE

	movl $0x1000, %eax		/* debug registers */
	movq %rax, %dr0
	movl $0x2000, %eax
	movq %rax, %dr3
	outb %al, $PORT_VALUE
	movq %dr0, %rax
	cmpq $0x1000, %rax
	sete %cl
	movq %dr3, %rax
	cmpq $0x2000, %rax
	sete %al
	andb %cl, %al
	outb %al, $PORT_VALUE

	movl $0xc0000100, %ecx		/* FS base, GS base, kernel GS base */
	movl $DATA, %eax
	xorl %edx, %edx
	wrmsr
	incl %ecx
	movl $DATA + 0x100, %eax
	wrmsr
	incl %ecx
	movl $DATA + 0x200, %eax
	wrmsr
	movb $0, %al
	outb %al, $PORT_VALUE
	movl $0x11, %fs:0
	movl $0x22, %gs:0
	swapgs
	movl $0x33, %gs:0
	cmpl $0x11, DATA
	sete %cl
	cmpl $0x22, DATA + 0x100
	sete %al
	andb %al, %cl
	cmpl $0x33, DATA + 0x200
	sete %al
	andb %cl, %al
	outb %al, $PORT_VALUE

	movl $0xc0000081, %ecx		/* STAR, LSTAR, FMASK; syscall */
	xorl %eax, %eax
	movl $0x00000008, %edx
	wrmsr
	incl %ecx
	leaq target(%rip), %rax
	xorl %edx, %edx
	wrmsr
	addl $2, %ecx
	movl $0x1, %eax			/* syscall clears the carry flag */
	wrmsr
	movl $0xc0000080, %ecx
	rdmsr
	orl $1, %eax			/* EFER.SCE */
	wrmsr
	movb $0, %al
	outb %al, $PORT_VALUE
	xorl %ebx, %ebx
	stc
	syscall
after:	hlt
target:	setnc %al
	leaq after(%rip), %rdx
	cmpq %rdx, %rcx
	sete %cl
	andb %cl, %al
	outb %al, $PORT_VALUE
	hlt
