/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and writes 4 bytes at each address of the list at DATA, until 0. */
#include "guest.h"
	.text
	movl $DATA, %esi
1:	movl (%esi), %ebx
	testl %ebx, %ebx
	jz 2f
	movl (%ebx), %eax
	outl %eax, $PORT_VALUE
	movl $0xdeadbeef, (%ebx)
	addl $4, %esi
	jmp 1b
2:	hlt
