/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An exception without any descriptor to handle it: triple fault. */
	.text
	lidt 1f
	int3
	hlt
1:	.word 0
	.long 0
