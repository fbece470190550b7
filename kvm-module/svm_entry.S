/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * svm_entry.S: into an SVM guest and out of it.
 *
 * VMRUN itself switches RIP, RSP, RAX, RFLAGS, the control registers and CS,
 * DS, ES, SS. VMLOAD and VMSAVE switch FS, GS, TR, LDTR and the SYSCALL and
 * SYSENTER registers. The other general registers are ours.
 *
 * The global interrupt flag is clear all the way (the caller's CLGI), so the
 * STI below lets nothing in; it makes a physical interrupt leave the guest.
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/nospec-branch.h>

#include "entry.h"

.section .noinstr.text, "ax"

/*
 * void svm_run(u64 vmcb_pa, u64 *regs, u64 host_pa)
 *
 * vmcb_pa, host_pa: physical addresses of the guest's VMCB and of the page that
 * the host's FS, GS, TR … were saved to with VMSAVE.
 */
SYM_FUNC_START(svm_run)
	/* The last two: host_pa and regs. */
	.irp r, rbp, r15, r14, r13, r12, rbx, rdx, rsi
	push	%\r
	.endr

	mov	%rdi, %rax
	vmload	%rax

	/* RSI, which holds their address, last. */
	.irp r, rcx, rdx, rbx, rbp, rdi, r8, r9, r10, r11, r12, r13, r14, r15, rsi
	mov	.L\r(%rsi), %\r
	.endr

#ifdef VM_CLEAR_CPU_BUFFERS
	VM_CLEAR_CPU_BUFFERS
#endif
	sti
	vmrun	%rax
	cli
	vmsave	%rax

	pop	%rax			/* regs; the guest's RAX is in the VMCB */
	.irp r, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	mov	%\r, .L\r(%rax)
	.endr
	pop	%rax			/* host_pa */
	vmload	%rax			/* the host's GS is back */

	/* No return goes where the guest's branches trained it to. */
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT
	UNTRAIN_RET_VM

	/* No speculation with the guest's values. */
	.irp r, ecx, edx, edi, esi, r8d, r9d, r10d, r11d
	xor	%\r, %\r
	.endr

	.irp r, rbx, r12, r13, r14, r15, rbp
	pop	%\r
	.endr
	RET
SYM_FUNC_END(svm_run)
