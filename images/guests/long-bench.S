/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A loop of one kind of exit, timed with RDTSC: see bench.h. The loops whose name
 * begins with p are two vCPUs that wake each other from HLT.
 */
#include "guest.h"
#include "bench.h"
	.set IDT, 0x30000
	.set MSR_TSC_DEADLINE, 0x6e0
	.set MSR_X2APIC_EOI, 0x80b
	.set MSR_X2APIC_ICR, 0x830

	/* A loop's body stands between these two. */
.macro loop name begin=BENCH_BEGIN
	.balign 32
\name:	rdtsc
	shlq $32, %rdx
	orq %rax, %rdx
	movq %rdx, %r14
	movq %r9, %rdx			/* for WRMSR */
	shrq $32, %rdx
	movl %r9d, %eax
	movl %esi, %ecx
	nopl \begin(%rax,%rax)
1:
.endm
.macro again
	decq %r12
	jnz 1b
	jmp finish
.endm

	.text
	cli
	movl $IDT + BENCH_VECTOR * 16, %edi
	movl $interrupt, %eax
	movw %ax, (%rdi)
	movl $0x8e000008, 2(%rdi)	/* selector 8, interrupt gate */
	shrl $16, %eax
	movl %eax, 6(%rdi)
	movq $0, 10(%rdi)
	lidt idtr
	movq %cr0, %r15
	movq %cr4, %rbp
	movl $PAGE_TABLES, %ebx
	jmp *table(,%r10,8)

	loop nothing begin=0x12345678	/* not for the profile */
	again
	loop cpuid
	movl %esi, %eax
	xorl %ecx, %ecx
	cpuid
	again
	loop vmmcall
	movl $1, %eax			/* KVM_HC_VAPIC_POLL_IRQ: does nothing */
	vmmcall
	again
	loop rdmsr
	rdmsr
	again
	loop wrmsr
	wrmsr
	again
	loop deadline
	rdtsc
	shlq $32, %rdx
	orq %rdx, %rax
	addq %r9, %rax
	movq %rax, %rdx
	shrq $32, %rdx
	movl $MSR_TSC_DEADLINE, %ecx
	wrmsr
	again
	loop in8
	movl %esi, %edx
	inb %dx, %al
	again
	loop out8
	movl %esi, %edx
	outb %al, %dx
	again
	loop load32
	movl (%rsi), %eax
	again
	loop store32
	movl %eax, (%rsi)
	again
	loop touch			/* every r9 bytes */
	movb $1, (%rsi)
	addq %r9, %rsi
	again
	loop self_ipi
	movl $MSR_X2APIC_ICR, %ecx
	movl %r9d, %eax
	wrmsr
	sti
	nop				/* it comes here, or where it can */
	cli
	again
	loop ping
	movl $MSR_X2APIC_ICR, %ecx
	movq %r9, %rdx
	shrq $32, %rdx
	movl %r9d, %eax
	wrmsr
	sti
	hlt
	cli
	again
	loop cr0
	xorq $8, %r15			/* TS */
	movq %r15, %cr0
	again
	loop cr4
	xorq $0x80, %rbp		/* PGE */
	movq %rbp, %cr4
	again
	loop cr8
	movq %r9, %cr8
	again
	loop dr7
	movq %r9, %dr7
	again

	loop cr3			/* between two roots, as a kernel between processes */
	xorq $(BENCH_ROOT2 ^ PAGE_TABLES), %rbx
	movq %rbx, %cr3
	again
	loop pte			/* a page mapped anew and used */
	movq %r9, BENCH_PTE
	invlpg (%rsi)
	movb $1, (%rsi)
	again

pong:	sti
	hlt
	cli
	movl $MSR_X2APIC_ICR, %ecx
	movq %r9, %rdx
	shrq $32, %rdx
	movl %r9d, %eax
	wrmsr
	jmp pong

finish:	nopl BENCH_END(%rax,%rax)
	rdtsc
	shlq $32, %rdx
	orq %rdx, %rax
	subq %r14, %rax
	movq %rax, DATA
	outb %al, $PORT_EXIT
2:	cli
	hlt
	jmp 2b

interrupt:
	movl $MSR_X2APIC_EOI, %ecx
	xorl %eax, %eax
	xorl %edx, %edx
	wrmsr
	iretq

	.balign 8
table:
#define LOOP(name) .quad name;
	BENCH_LOOPS(LOOP)
idtr:	.word (BENCH_VECTOR + 1) * 16 - 1
	.quad IDT
