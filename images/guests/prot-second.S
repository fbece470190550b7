/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The second file for rom-second: says so and returns 42. */
#include "guest.h"
	.text
	movl $text, %esi
	movw $PORT_CONSOLE, %dx
	movl $end - text, %ecx
	cld
	rep outsb
	movl $42, %eax
	ret
text:	.ascii "hello from the second file\n"
end:
