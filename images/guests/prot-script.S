/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Carries out a script: operations that a test program lays out in memory
 * (script.h), each a single instruction that may fault, in user or kernel mode.
 * What became of it is written back: the vector it ended with, error code, CR2,
 * registers. An instruction that does not fault runs into "int $VECTOR_DONE", so
 * each operation ends in the same handler, which goes on with the next. At the
 * end of the script: HLT, and from the start again.
 *
 * The same text makes prot-script and long-script. The test program makes the
 * GDT, the TSS, page tables if any, and loads the segments (script.h).
 */
#include "guest.h"
#include "script.h"
#ifdef __x86_64__
#define R(name)	%r##name
#define PUSHF	pushfq
#define POPF	popfq
#define IRET	iretq
#define WORD	8
#else
#define R(name)	%e##name
#define PUSHF	pushfl
#define POPF	popfl
#define IRET	iretl
#define WORD	4
#endif
	.text
	mov $STACK, R(sp)
	mov $SCRIPT_IDT, R(di)
	mov $traps, R(si)
	xor %ebp, %ebp
1:	call gate			/* vectors 0 to 31 */
	inc %ebp
	cmp $32, %ebp
	jb 1b
	mov $SCRIPT_IDT + VECTOR_DONE * 2 * WORD, R(di)
	call gate
	orb $0x60, -2 * WORD + 5(R(di))	/* for user mode too */
	lidt idtr
	mov $SELECTOR_TSS, %eax
	ltr %ax
	mov $SCRIPT_STUBS, R(si)	/* a copy for user mode */
	mov $SCRIPT_USER, R(di)
	mov $STUBS_END - SCRIPT_STUBS, %ecx
	cld
	rep movsb

again:	movl $SCRIPT, current
next:	mov $STACK, R(sp)
	mov current, R(bx)
	movzbl OP_KIND(R(bx)), %ebp
	cmp $SCRIPT_END, %ebp
	je end
	shl $5, %ebp
	mov OP_ADDR(R(bx)), R(cx)
	mov R(cx), R(si)
	mov R(cx), R(di)
	mov OP_VALUE(R(bx)), R(ax)
	mov OP_VALUE + 4(R(bx)), %edx
	cmpb $0, OP_USER(R(bx))
	jne user
	add $SCRIPT_STUBS, R(bp)
	PUSHF
	mov OP_FLAGS(R(bx)), %ebx
	mov %ebx, (R(sp))
	POPF
	jmp *R(bp)

user:	add $SCRIPT_USER, R(bp)
	push $SELECTOR_USER_DATA
	push $0
	PUSHF
	mov OP_FLAGS(R(bx)), %ebx
	mov %ebx, (R(sp))
	push $SELECTOR_USER_CODE
	push R(bp)
	IRET

end:	hlt
	jmp again

	/* One gate of the IDT at di for the trap at si; both go forward. */
gate:	mov R(si), R(ax)
	movw %ax, (R(di))
	movw $8, 2(R(di))
	movw $0x8e00, 4(R(di))
	shr $16, R(ax)
	movw %ax, 6(R(di))
#ifdef __x86_64__
	movq $0, 8(%rdi)
#endif
	add $2 * WORD, R(di)
	add $16, R(si)
	ret

	.balign 16
traps:	.set i, 0
	.rept 33
	.balign 16
	.if !(i == 8 || (i >= 10 && i <= 14) || i == 17)
	push $0
	.endif
	.if i == 32
	push $VECTOR_DONE
	.else
	push $i
	.endif
	jmp trap
	.set i, i + 1
	.endr

trap:	mov R(ax), saved_a
	mov current, R(bx)
	mov R(cx), OP_COUNT(R(bx))
	pop R(ax)
	movb %al, OP_VECTOR(R(bx))
	pop R(ax)
	mov %eax, OP_ERROR(R(bx))
	mov (R(sp)), R(ax)
	mov R(ax), OP_RIP(R(bx))
	mov 2 * WORD(R(sp)), %eax
	mov %eax, OP_FLAGS(R(bx))
#ifndef __x86_64__
	mov %edx, OP_VALUE + 4(%ebx)
#endif
	mov saved_a, R(ax)
	mov R(ax), OP_VALUE(R(bx))
	mov %cr2, R(ax)
	mov R(ax), OP_CR2(R(bx))
	addl $OP_SIZE, current
	jmp next

	.balign 8
current: .quad 0
saved_a: .quad 0
idtr:	.word 256 * 2 * WORD - 1
#ifdef __x86_64__
	.quad SCRIPT_IDT
#else
	.long SCRIPT_IDT
#endif

	/* 32 bytes for each kind; cx, si and di are the address, ax the value. */
	.org SCRIPT_STUBS - 0x100000
	.macro stub kind
	.org SCRIPT_STUBS - 0x100000 + \kind * 32
	.endm
	.macro end_stub
	int $VECTOR_DONE
	.endm
	stub READ; movl (R(cx)), %eax; end_stub
	stub WRITE; movl %eax, (R(cx)); end_stub
	stub RMW; lock addl %eax, (R(cx)); end_stub
	stub EXEC; jmp *R(cx); end_stub
	stub OUTS; outsl; end_stub
	stub INS; insl; end_stub
	stub WRITE1; movb %al, (R(cx)); end_stub
	stub WRITE2; movw %ax, (R(cx)); end_stub
	stub XCHG; xchg %eax, (R(cx)); end_stub
	stub OR; orl %eax, (R(cx)); end_stub
	stub AND; lock andl %eax, (R(cx)); end_stub
	stub STOS; stosl; end_stub
	stub BTS; lock btsl %eax, (R(cx)); end_stub
	stub BTR; lock btrl %eax, (R(cx)); end_stub
#ifdef __x86_64__
	stub READ8; movq (%rcx), %rax; end_stub
	stub WRITE8; movq %rax, (%rcx); end_stub
#else
	stub READ8; movl 4(%ecx), %edx; movl (%ecx), %eax; end_stub
	stub WRITE8; movl %edx, 4(%ecx); movl %eax, (%ecx); end_stub
#endif
	stub CX8; movl %eax, %ebx; movl %edx, %ecx; movl (R(si)), %eax;\
		movl 4(R(si)), %edx; lock cmpxchg8b (R(si)); end_stub
	stub SETCR0; mov R(ax), %cr0; end_stub
	stub SETCR3; mov R(ax), %cr3; end_stub
	stub SETCR4; mov R(ax), %cr4; end_stub
	stub GETCR4; mov %cr4, R(ax); end_stub
	stub SETMSR; wrmsr; end_stub
	stub GETMSR; rdmsr; end_stub
	stub FLUSH; invlpg (R(cx)); end_stub
	stub LOADFS; mov %eax, %fs; end_stub
	stub REPOUTS; movl %eax, %ecx; rep outsb; end_stub
	stub REPINS; movl %eax, %ecx; rep insb; end_stub
	stub SETPKRU; xorl %ecx, %ecx; xorl %edx, %edx; .byte 0x0f, 0x01, 0xef; end_stub
	.org SCRIPT_STUBS - 0x100000 + KINDS * 32
	.set STUBS_END, SCRIPT_STUBS + KINDS * 32
