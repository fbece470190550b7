/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Jumps to where no memory is. */
#include "guest.h"
	.text
	movl $MMIO, %eax
	jmp *%eax
