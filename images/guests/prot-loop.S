/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs for ever without an exit; ebx counts. */
	.text
1:	incl %ebx
	jmp 1b
