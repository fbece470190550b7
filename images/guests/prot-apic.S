/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The local APIC in 32-bit mode: an interrupt to itself, the timer, and a second
 * processor started by INIT and SIPI, which runs at 0x2000 in real mode.
 */
#include "guest.h"
	.set APIC, 0xfee00000
	.set IDT, 0x30000
	.set AP_CODE, 0x2000
	.set AP_FLAG, 0x2800
	.text
	cli
	movl $STACK, %esp
	movl $timer, %eax
	movl $IDT + 0x40 * 8, %edi
	call gate
	movl $self, %eax
	movl $IDT + 0x41 * 8, %edi
	call gate
	lidt idtr
	movl $0x1ff, APIC + 0xf0	/* on; spurious vector 0xff */
	value APIC + 0x30		/* version */

	movl $0x44041, APIC + 0x300	/* to itself, vector 0x41 */
	sti
	hlt
	cli				/* it may be early: sti, hlt waits for it */
	movl $0x40, APIC + 0x320	/* one shot, vector 0x40 */
	movl $0xb, APIC + 0x3e0		/* bus clock divided by 1 */
	movl $100000, APIC + 0x380
	sti
	hlt

	movl $ap, %esi
	movl $AP_CODE, %edi
	movl $ap_end - ap, %ecx
	cld
	rep movsb
	movl $0, AP_FLAG
	movl $0xc4500, APIC + 0x300	/* INIT to all others */
	movl $0xc4602, APIC + 0x300	/* SIPI: page 2 */
	movl $0xc4602, APIC + 0x300
1:	pause
	cmpl $0, AP_FLAG
	je 1b
	value AP_FLAG
	movb $0, %al
	outb %al, $PORT_EXIT

gate:	movw %ax, (%edi)
	movw $8, 2(%edi)
	movw $0x8e00, 4(%edi)
	shrl $16, %eax
	movw %ax, 6(%edi)
	ret

timer:	movb $0x40, %al
	jmp eoi
self:	movb $0x41, %al
eoi:	outb %al, $PORT_IRQ
	movl $0, APIC + 0xb0
	iret

	.code16
ap:	xorw %ax, %ax
	movw %ax, %ds
	movw %cs, %ax			/* 0x200: started on page 2 */
	movw %ax, AP_FLAG
2:	cli
	hlt
	jmp 2b
ap_end:

	.balign 8
idtr:	.word 0x42 * 8 - 1
	.long IDT
