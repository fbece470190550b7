/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The task priority by CR8, both ways. */
#include "guest.h"
	.text
	movl $5, %eax
	movq %rax, %cr8
	outb %al, $PORT_VALUE		/* the test looks at kvm_run.cr8, sets 9 */
	movq %cr8, %rax
	outb %al, $PORT_VALUE
	movl $2, %eax
	movq %rax, %cr8			/* lower: KVM_EXIT_SET_TPR */
	outb %al, $PORT_VALUE
	hlt
