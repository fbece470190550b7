/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads and stores where no memory is, in the forms that drivers use. */
#include "guest.h"
	.text
	movl $MMIO, %ebx
	movb $0x11, 1(%ebx)
	movw $0x2222, 2(%ebx)
	movl $0x44444444, 4(%ebx)
	movl $0xcafe, %eax
	movl %eax, MMIO + 8		/* moffs form */
	movb %ah, 9(%ebx)

	movb 0x10(%ebx), %al
	value %eax
	movw 0x12(%ebx), %ax
	value %eax
	movl 0x14(%ebx), %ecx
	value %ecx
	movl MMIO + 0x18, %eax
	outl %eax, $PORT_VALUE
	movzbl 0x20(%ebx), %ecx
	value %ecx
	movsbl 0x21(%ebx), %ecx
	value %ecx
	movzwl 0x22(%ebx), %ecx
	value %ecx
	movswl 0x24(%ebx), %ecx
	value %ecx

	movl $0x0f0f0f0f, %ecx
	orl %ecx, 0x30(%ebx)
	andl $0xff, 0x34(%ebx)
	addl 0x38(%ebx), %ecx
	value %ecx
	cmpl $7, 0x3c(%ebx)
	sete %cl
	movzbl %cl, %ecx
	value %ecx
	testl $0x80, 0x40(%ebx)
	setnz %cl
	movzbl %cl, %ecx
	value %ecx
	movl $0x77, %ecx
	xchgl %ecx, 0x44(%ebx)
	value %ecx
	btsl $3, 0x48(%ebx)
	incl 0x4c(%ebx)
	notl 0x50(%ebx)

	cld
	leal 0x60(%ebx), %edi		/* string stores */
	movl $0xabababab, %eax
	movl $2, %ecx
	rep stosl
	leal 0x70(%ebx), %esi		/* device to memory */
	movl $DATA, %edi
	movl $2, %ecx
	rep movsl
	value DATA
	value DATA + 4
	movl $DATA, %esi		/* memory to device */
	leal 0x80(%ebx), %edi
	movl $2, %ecx
	rep movsb
	pushl 0x90(%ebx)
	popl %ecx
	value %ecx
	pushl $0x5555
	popl 0x94(%ebx)
	value %ebx			/* nothing above changed it */
	hlt
