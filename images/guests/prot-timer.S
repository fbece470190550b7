/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC's timer, one shot after the other, of up to half a millisecond, for
 * ever; half of them are waited for in HLT, half in a loop. The dword at DATA counts
 * those that came: where it stands still, one was lost.
 */
#include "guest.h"
	.set APIC, 0xfee00000
	.set IDT, 0x30000
	.text
	cli
	movl $STACK, %esp
	movl $tick, %eax
	movw %ax, IDT + 0x40 * 8
	movw $8, IDT + 0x40 * 8 + 2
	movw $0x8e00, IDT + 0x40 * 8 + 4
	shrl $16, %eax
	movw %ax, IDT + 0x40 * 8 + 6
	lidt idtr
	movl $0x1ff, APIC + 0xf0	/* on; spurious vector 0xff */
	movl $0x40, APIC + 0x320	/* one shot, vector 0x40 */
	movl $0xb, APIC + 0x3e0		/* bus clock divided by 1 */

shot:	imull $1103515245, %ebx		/* any numbers will do */
	addl $12345, %ebx
	movl %ebx, %eax
	shrl $13, %eax
	incl %eax
	movl DATA, %ecx
	movl %eax, APIC + 0x380
	testl $1 << 12, %ebx
	jz halt
	sti
1:	cmpl %ecx, DATA
	je 1b
	cli
	jmp shot
halt:	sti				/* and not before HLT */
	hlt
	cli
	cmpl %ecx, DATA
	je halt
	jmp shot

tick:	incl DATA
	movl $0, APIC + 0xb0
	iret

	.balign 8
idtr:	.word 0x41 * 8 - 1
	.long IDT
