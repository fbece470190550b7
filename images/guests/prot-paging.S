/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 32-bit paging: 4 MiB and 4 KiB pages, remapping, and page faults with their
 * address and error code. DATA appears a second time at 0x10000000.
 */
#include "guest.h"
	.set DIRECTORY, 0x20000
	.set TABLE, 0x21000
	.text
	movl $STACK, %esp
	movl $DIRECTORY, %edi
	xorl %eax, %eax
	movl $2048, %ecx
	cld
	rep stosl
	movl $0x83, DIRECTORY		/* the first 4 MiB as one page */
	movl $TABLE + 3, DIRECTORY + 0x40 * 4
	movl $DATA + 3, TABLE		/* 0x10000000: writable */
	movl $DATA + 1, TABLE + 4	/* 0x10001000: read-only */

	movl $fault, %eax		/* an IDT with #PF alone */
	movw %ax, idt + 14 * 8
	shrl $16, %eax
	movw %ax, idt + 14 * 8 + 6
	lidt idtr

	movl %cr4, %eax
	orl $0x10, %eax			/* PSE */
	movl %eax, %cr4
	movl $DIRECTORY, %eax
	movl %eax, %cr3
	movl %cr0, %eax
	orl $0x80010000, %eax		/* PG, WP */
	movl %eax, %cr0

	movl $0x600df00d, DATA
	value 0x10000000
	movl $0xfeedface, 0x10000000
	value DATA
	value 0x10001000
	movl $1f, %ebp			/* a write to a read-only page */
	movl %eax, 0x10001000
1:	movl $1f, %ebp			/* a read of no page */
	movl 0x20000000, %eax
1:	movl $0x300000 + 3, TABLE	/* remap, flush one */
	movl $0x33333333, 0x300000
	invlpg 0x10000000
	value 0x10000000
	movl $DATA + 3, TABLE		/* remap, flush all */
	movl %cr3, %eax
	movl %eax, %cr3
	value 0x10000000
	movl TABLE, %eax		/* accessed and dirty */
	andl $0x60, %eax
	outl %eax, $PORT_VALUE
	movl %cr0, %eax			/* and off again */
	andl $0x7fffffff, %eax
	movl %eax, %cr0
	value DATA
	hlt

fault:	movb $14, %al
	outb %al, $PORT_VECTOR
	popl %eax			/* error code */
	outl %eax, $PORT_VALUE
	movl %cr2, %eax
	outl %eax, $PORT_VALUE
	movl %ebp, (%esp)
	iret

	.balign 8
idt:	.fill 14, 8, 0
	.quad 0x00008e0000080000
idtr:	.word . - idt - 1
	.long idt
