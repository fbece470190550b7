/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two tasks: A calls B by its TSS, by a task gate and by an interrupt; B returns
 * each time with IRET. Each has its own EBX, and CR0.TS is set by every switch.
 */
#include "guest.h"
	.set CODE, 0x08
	.set FLAT, 0x10
	.set TASK_A, 0x18
	.set TASK_B, 0x20
	.set GATE_B, 0x28
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
	movl $0xaaaa, %ebx
	clts
	lcall $TASK_B, $0
	value %ebx
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

b:	incl %ebx
	value %ebx
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
task_b:	.fill 8, 4, 0			/* link to CR3 */
	.long b, 2			/* EIP, EFLAGS */
	.long 0, 0, 0, 0xbb00, STACK - 0x1000, 0, 0, 0
	.long FLAT, CODE, FLAT, FLAT, FLAT, FLAT
	.long 0, 0x680000		/* LDT, bitmap */
