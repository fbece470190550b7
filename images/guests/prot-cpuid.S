/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs CPUID for each pair of leaf and subleaf at DATA, until a leaf of -1;
 * the answers go over the question (16 bytes each). */
#include "guest.h"
	.text
	movl $DATA, %edi
1:	movl (%edi), %eax
	movl 4(%edi), %ecx
	cmpl $-1, %eax
	je 2f
	cpuid
	movl %eax, (%edi)
	movl %ebx, 4(%edi)
	movl %ecx, 8(%edi)
	movl %edx, 12(%edi)
	addl $16, %edi
	jmp 1b
2:	hlt
