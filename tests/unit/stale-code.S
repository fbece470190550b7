/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A multiboot kernel for an emulator with two processors: one patches an
 * instruction, the other executes it all the time. When a new byte has been
 * written, said to be written, and the other has serialized itself (CPUID), no older
 * one may be executed: Intel's SDM, "Handling Self- and Cross-Modifying Code".
 * Ends through isa-debug-exit with GOOD, or STALE.
 */
#define ROUNDS	1000
#define EXIT	0xf4
#define GOOD	1
#define STALE	2
#define APIC_ICR 0xfee00300

	.code32
	.section .text
	.globl _start
	.align 4
	.long 0x1badb002, 0, -0x1badb002
_start:	mov $start_of_ap, %esi		/* the other one starts at 8000:0 */
	mov $0x8000, %edi
	mov $end_of_ap - start_of_ap, %ecx
	rep movsb
	movl $0xc4500, APIC_ICR		/* INIT, then SIPI, to all others */
	mov $1000000, %ecx
1:	pause
	loop 1b
	movl $0xc4608, APIC_ICR
2:	pause
	cmpl $0, running
	je 2b

	mov $ROUNDS, %ebp
	mov $0, %edx
next:	inc %edx
	mov %dl, site + 1
	mov %edx, written
3:	pause
	cmp %edx, executed
	jne 3b
	mov %edx, %ecx			/* not always in step */
	and $0x3f, %ecx
	jz 5f
4:	loop 4b
5:	dec %ebp
	jnz next
	mov $GOOD, %al
	out %al, $EXIT

start_of_ap:
	.code16
	cli
	xor %ax, %ax
	mov %ax, %ds
	lgdtl 0x8000 + gdtr - start_of_ap
	mov $1, %eax
	mov %eax, %cr0
	ljmpl $8, $runner
	.align 8
gdt:	.quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr:	.word gdtr - gdt - 1
	.long gdt
end_of_ap:
	.code32
runner:	mov $16, %eax
	mov %eax, %ds
	mov %eax, %ss
	mov $stack, %esp
	movl $1, running
again:	mov written, %esi
	xor %eax, %eax
	cpuid
	call site
	mov %eax, %ecx
	sub %esi, %ecx
	and $0xff, %ecx
	cmp $1, %ecx			/* this one, or what is being written */
	ja stale
	mov %esi, executed
	jmp again
stale:	mov $STALE, %al
	out %al, $EXIT

	.section .site, "awx"
	.balign 4096
site:	mov $0, %al
	ret
	.balign 4096
	.data
	.balign 64
written: .long 0
	.balign 64
executed: .long 0
	.balign 64
running: .long 0
	.bss
	.skip 4096
stack:
