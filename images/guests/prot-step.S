/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Writes a dword to each page from DATA on, ecx pages, then tells and halts. */
#include "guest.h"
	.text
	movl $DATA, %edi
1:	movl %edi, (%edi)
	addl $0x1000, %edi
	loop 1b
	value %edi
	hlt
