/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * native_run(): loads the registers in native_state, jumps to native_target and
 * saves the registers again when the code there jumps to native_exit_next (the
 * instruction fell through), to native_exit_jump (it jumped), or when the
 * signal handler, which saves the general registers itself, resumes at
 * native_exit_signal. The program is linked below 4 GiB, so that 16- and 32-bit
 * code can jump here too.
 *
 * struct state: 16 general registers, RFLAGS, 8 MMX registers, 32 vector ones.
 */
#define FLAGS	native_state + 128
#define MMX	native_state + 192
#define VEC	native_state + 256

	.bss
	.globl native_state, native_rsp, native_target, native_level
	.globl native_exit, native_mode, native_selectors, native_segments
	.balign 64
native_state:	.skip 256 + 32 * 64
native_rsp:	.skip 8
native_target:	.skip 16	/* offset, then the selector for far entry */
native_level:	.skip 4		/* 0 nothing, 1 SSE, 2 AVX, 3 AVX-512 */
native_mode:	.skip 4		/* 0: 64-bit, else enter by a far jump */
native_selectors: .skip 8	/* DS, ES, SS for far entry */
native_segments: .skip 8	/* DS, ES, SS afterwards */
native_exit:	.skip 4		/* 1 fell through, 2 jumped */

	.text
	.globl native_run, native_exit_next, native_exit_jump
	.globl native_exit_signal
native_run:
	push	%rbx
	push	%rbp
	push	%r12
	push	%r13
	push	%r14
	push	%r15
	mov	%rsp, native_rsp
	mov	native_level, %eax
	cmp	$1, %eax
	jb	.Lloaded
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	movq	MMX + \n * 8, %mm\n
	.endr
	cmp	$2, %eax
	je	.Lload_avx
	ja	.Lload_avx512
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movups	VEC + \n * 64, %xmm\n
	.endr
	jmp	.Lloaded
.Lload_avx:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups	VEC + \n * 64, %ymm\n
	.endr
	jmp	.Lloaded
.Lload_avx512:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, \
		17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vmovups	VEC + \n * 64, %zmm\n
	.endr
.Lloaded:
	cmpl	$0, native_mode
	je	1f
	mov	native_selectors, %ds
	mov	native_selectors + 2, %es
1:	pushq	FLAGS
	popfq
	mov	native_state + 0, %rax
	mov	native_state + 8, %rcx
	mov	native_state + 16, %rdx
	mov	native_state + 24, %rbx
	mov	native_state + 40, %rbp
	mov	native_state + 48, %rsi
	mov	native_state + 56, %rdi
	mov	native_state + 64, %r8
	mov	native_state + 72, %r9
	mov	native_state + 80, %r10
	mov	native_state + 88, %r11
	mov	native_state + 96, %r12
	mov	native_state + 104, %r13
	mov	native_state + 112, %r14
	mov	native_state + 120, %r15
	/* No flags may change from here: JRCXZ is the only test left. */
	mov	native_mode, %ecx
	jrcxz	2f
	mov	native_state + 8, %rcx
	mov	native_selectors + 4, %ss
	mov	native_state + 32, %rsp
	ljmpl	*native_target
2:	mov	native_state + 8, %rcx
	mov	native_state + 32, %rsp
	jmp	*native_target

native_exit_jump:
	movl	$2, %cs:native_exit
	jmp	.Lsave
native_exit_next:
	movl	$1, %cs:native_exit
.Lsave:
	mov	%ds, native_segments
	mov	%es, native_segments + 2
	mov	%ss, native_segments + 4
	mov	%rax, native_state + 0
	mov	%rcx, native_state + 8
	mov	%rdx, native_state + 16
	mov	%rbx, native_state + 24
	mov	%rsp, native_state + 32
	mov	%rbp, native_state + 40
	mov	%rsi, native_state + 48
	mov	%rdi, native_state + 56
	mov	%r8, native_state + 64
	mov	%r9, native_state + 72
	mov	%r10, native_state + 80
	mov	%r11, native_state + 88
	mov	%r12, native_state + 96
	mov	%r13, native_state + 104
	mov	%r14, native_state + 112
	mov	%r15, native_state + 120
	mov	native_rsp, %rsp
	pushfq
	popq	FLAGS
native_exit_signal:
	mov	native_rsp, %rsp
	cld
	mov	$0x2b, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	native_level, %eax
	cmp	$1, %eax
	jb	.Lsaved
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7
	movq	%mm\n, MMX + \n * 8
	.endr
	emms
	cmp	$2, %eax
	je	.Lsave_avx
	ja	.Lsave_avx512
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movups	%xmm\n, VEC + \n * 64
	.endr
	jmp	.Lsaved
.Lsave_avx:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovups	%ymm\n, VEC + \n * 64
	.endr
	vzeroupper
	jmp	.Lsaved
.Lsave_avx512:
	.irp	n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, \
		17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vmovups	%zmm\n, VEC + \n * 64
	.endr
	vzeroupper
.Lsaved:
	pop	%r15
	pop	%r14
	pop	%r13
	pop	%r12
	pop	%rbp
	pop	%rbx
	ret

	.section .note.GNU-stack, "", @progbits
