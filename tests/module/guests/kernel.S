/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernels for kvmctl: multiboot and plain ELF with -m32, 64-bit ELF with -m64.
 * Prints what it is, and as multiboot its command line and its module's text;
 * ends with status 5. With -DSMP it waits for three processors, and all halt;
 * interrupts are on, because Bochs lets none end a VMX guest that has them off.
 */
#include "guest.h"
	.text
	.globl	_start
_start:
#ifdef SMP
	lock incl cpus
	sti
1:	pause
	cmpl	$3, cpus
	jb	1b
	hlt
	.data
cpus:	.long	0
#elif defined(__x86_64__)
	movq	$-1, %rax		/* only here are 64 bits wide */
	shrq	$33, %rax
	cmpl	$0x7fffffff, %eax
	jne	1f
	leaq	elf64(%rip), %rsi
	call	print
	movb	$5, %al
	outb	%al, $PORT_EXIT
1:	hlt
elf64:	.asciz	"hello from a 64-bit ELF kernel\n"
#else
	movl	%ebx, %ebp
	movl	$elf32, %esi
	cmpl	$0x2badb002, %eax
	jne	1f
	movl	$multi, %esi
	call	print
	movl	16(%ebp), %esi		/* the command line */
	call	print
	testl	$8, (%ebp)		/* modules? */
	jz	2f
	movl	24(%ebp), %eax
	movl	(%eax), %esi
1:	call	print
2:	movb	$5, %al
	outb	%al, $PORT_EXIT
	hlt
elf32:	.asciz	"hello from a 32-bit ELF kernel\n"
multi:	.asciz	"hello from a multiboot kernel: "
#ifdef MULTIBOOT
	.balign	4
	.long	0x1badb002, 3, -(0x1badb002 + 3)
#endif
#endif
	.text
print:	lodsb
	testb	%al, %al
	jz	1f
	outb	%al, $PORT_CONSOLE
	jmp	print
1:	ret
