/* SPDX-License-Identifier: GPL-2.0-or-later */
/* String I/O of 4 bytes in protected mode, longer than a page. */
#include "guest.h"
	.text
	cld
	movl $DATA, %esi
	movl $PORT_STRING, %edx
	movl $1100, %ecx
	rep outsl
	value %esi
	value %ecx
	movl $DATA + 0x3ffe, %edi	/* ends up across two pages */
	movl $2, %ecx
	rep insl
	value %edi
	hlt
