/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two tasks: A calls B by its TSS, by a task gate and by an interrupt; B returns
 * each time with IRET. Each has its own EBX, and CR0.TS is set by every switch.
 * Each has page tables of its own, which differ in what is at OWN.
 */
#include "guest.h"
	.set CODE, 0x08
	.set FLAT, 0x10
	.set TASK_A, 0x18
	.set TASK_B, 0x20
	.set GATE_B, 0x28
	.set OWN, 0x400000
	.set TABLES_A, PAGE_TABLES
	.set TABLES_B, PAGE_TABLES + 0x2000
	.text
	movl $STACK, %esp
	movl $task_a, %eax		/* the bases of the TSS descriptors */
	movw %ax, gdt + TASK_A + 2
	shrl $16, %eax
	movb %al, gdt + TASK_A + 4
	movl $task_b, %eax
	movw %ax, gdt + TASK_B + 2
	shrl $16, %eax
	movb %al, gdt + TASK_B + 4
	lgdt gdtr
	lidt idtr
	movl $FLAT, %eax
	movl %eax, %ds
	movl %eax, %es
	movl %eax, %ss
	ljmp $CODE, $1f
1:	movl $TASK_A, %eax
	ltr %ax

	/* A directory with one large page and a table of one page for each, mapping itself. */
	movl $TABLES_A, %eax
	call tables
	movl $TABLES_B, %eax
	call tables
	movl $TABLES_A, %eax
	movl %eax, task_a + 0x1c
	movl %eax, %cr3
	movl %cr4, %eax
	orl $0x10, %eax			/* PSE */
	movl %eax, %cr4
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	movl $0xaaaa, %ebx
	clts
	lcall $TASK_B, $0
	value %ebx
	value OWN
	lcall $GATE_B, $0
	movl %cr0, %eax
	andl $8, %eax
	outl %eax, $PORT_VALUE
	int $0
	value %ebx
	pushfl
	popl %eax			/* no NT is left */
	andl $0x4000, %eax
	outl %eax, $PORT_VALUE
	hlt

/* At EAX: entry 0 maps the first 4 MiB, entry 1 by the table behind it that table. */
tables:	movl $0x83, (%eax)
	leal 0x1003(%eax), %edx
	movl %edx, 4(%eax)
	movl %edx, 0x1000(%eax)
	ret

b:	incl %ebx
	value %ebx
	value OWN
	pushfl
	popl %eax			/* NT */
	andl $0x4000, %eax
	outl %eax, $PORT_VALUE
	iret
	jmp b

	.balign 8
gdt:	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
	.quad 0x0000890000000067
	.quad 0x0000890000000067
gate:	.quad 0x0000850000000000 | TASK_B << 16
gdtr:	.word . - gdt - 1
	.long gdt
idt:	.quad 0x0000850000000000 | TASK_B << 16
idtr:	.word . - idt - 1
	.long idt
	.balign 128
task_a:	.fill 0x68, 1, 0
	.balign 128
task_b:	.fill 7, 4, 0			/* link to SS2 */
	.long TABLES_B			/* CR3 */
	.long b, 2			/* EIP, EFLAGS */
	.long 0, 0, 0, 0xbb00, STACK - 0x1000, 0, 0, 0
	.long FLAT, CODE, FLAT, FLAT, FLAT, FLAT
	.long 0, 0x680000		/* LDT, bitmap */
