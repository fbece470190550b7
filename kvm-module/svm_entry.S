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

#define REG(n)	((n) * 8)	/* of vcpu->regs, numbered as in enum kvm_reg */

.section .noinstr.text, "ax"

/*
 * void svm_run(u64 vmcb_pa, u64 *regs, u64 host_pa)
 *
 * vmcb_pa, host_pa: physical addresses of the guest's VMCB and of the page that
 * the host's FS, GS, TR … were saved to with VMSAVE.
 */
SYM_FUNC_START(svm_run)
	push	%rbp
	push	%r15
	push	%r14
	push	%r13
	push	%r12
	push	%rbx
	push	%rdx			/* host_pa */
	push	%rsi			/* regs */

	mov	%rdi, %rax
	vmload	%rax

	mov	REG(1)(%rsi), %rcx
	mov	REG(2)(%rsi), %rdx
	mov	REG(3)(%rsi), %rbx
	mov	REG(5)(%rsi), %rbp
	mov	REG(7)(%rsi), %rdi
	.irp n, 8, 9, 10, 11, 12, 13, 14, 15
	mov	REG(\n)(%rsi), %r\n
	.endr
	mov	REG(6)(%rsi), %rsi

#ifdef VM_CLEAR_CPU_BUFFERS
	VM_CLEAR_CPU_BUFFERS
#endif
	sti
	vmrun	%rax
	cli
	vmsave	%rax

	push	%rsi
	mov	8(%rsp), %rsi
	mov	%rcx, REG(1)(%rsi)
	mov	%rdx, REG(2)(%rsi)
	mov	%rbx, REG(3)(%rsi)
	mov	%rbp, REG(5)(%rsi)
	mov	%rdi, REG(7)(%rsi)
	.irp n, 8, 9, 10, 11, 12, 13, 14, 15
	mov	%r\n, REG(\n)(%rsi)
	.endr
	pop	%rax
	mov	%rax, REG(6)(%rsi)

	pop	%rsi
	pop	%rax
	vmload	%rax			/* the host's GS is back */

	/* No return goes where the guest's branches trained it to. */
	FILL_RETURN_BUFFER %rax, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT
	UNTRAIN_RET_VM

	/* No speculation with the guest's values. */
	xor	%ecx, %ecx
	xor	%edx, %edx
	xor	%edi, %edi
	xor	%esi, %esi
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	xor	%r10d, %r10d
	xor	%r11d, %r11d

	pop	%rbx
	pop	%r12
	pop	%r13
	pop	%r14
	pop	%r15
	pop	%rbp
	RET
SYM_FUNC_END(svm_run)
