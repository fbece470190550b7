/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vmx_entry.S: into the guest and out again.
 *
 * VMX switches RIP, RSP, RFLAGS, segments and control registers; the other
 * general registers are ours to switch. Between the exit and the first RET the
 * return-stack buffer and the branch history are made safe, and the host's
 * SPEC_CTRL is back.
 */
#include <linux/linkage.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>
#include <asm/ibt.h>
#include <asm/msr-index.h>
#include <asm/nospec-branch.h>
#include <asm/segment.h>
#include <asm/unwind_hints.h>

#include "entry.h"
#include "vmx.h"

	.section .noinstr.text, "ax"

/* int vmx_enter_guest(struct vmx_switch *sw) */
SYM_FUNC_START(vmx_enter_guest)
	push	%rbp
	mov	%rsp, %rbp
	.irp r, r15, r14, r13, r12, rbx, rdi
	push	%\r
	.endr

	/* The exit comes back to this stack. */
	cmp	%rsp, SWITCH_HOST_RSP(%rdi)
	je	.Lhost_rsp_known
	mov	%rsp, SWITCH_HOST_RSP(%rdi)
	mov	$VMCS_HOST_RSP, %eax
.Lvmwrite:
	vmwrite	%rsp, %rax
.Lhost_rsp_known:
	testl	$SWITCH_LOAD_SPEC, SWITCH_FLAGS(%rdi)
	jz	.Lspec_loaded
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	mov	SWITCH_GUEST_SPEC(%rdi), %eax
	mov	SWITCH_GUEST_SPEC + 4(%rdi), %edx
	wrmsr
.Lspec_loaded:
	/* CF lasts: MOV leaves the flags alone, and VERW touches ZF only. */
	btl	$SWITCH_LAUNCHED_BIT, SWITCH_FLAGS(%rdi)
	mov	SWITCH_REGS(%rdi), %rax
	/* RAX, which holds their address, last. RSP is the VMCS's. */
	.irp r, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15, rax
	mov	.L\r(%rax), %\r
	.endr
	CLEAR_CPU_BUFFERS
	/* The unwinder's view of the stack, for vmx_exit_point. */
	UNWIND_HINT_SAVE
	jnc	.Lvmlaunch
.Lvmresume:
	vmresume
	jmp	.Lfailed
.Lvmlaunch:
	vmlaunch
.Lfailed:
	/* Not entered: the guest's registers are still in vcpu->regs. */
	pop	%rdi
	mov	$1, %ebx
	jmp	.Lback

SYM_INNER_LABEL_ALIGN(vmx_exit_point, SYM_L_GLOBAL)
	UNWIND_HINT_RESTORE
	ENDBR
	push	%rax
	mov	8(%rsp), %rax
	mov	SWITCH_REGS(%rax), %rax
	popq	.Lrax(%rax)
	.irp r, rcx, rdx, rbx, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	mov	%\r, .L\r(%rax)
	.endr
	pop	%rdi
	xor	%ebx, %ebx
.Lback:
	/* Nothing that the guest left in a register is of use to speculation. */
	.irp r, eax, ecx, edx, esi, ebp, r8d, r9d, r10d, r11d, r12d, r13d, r14d, r15d
	xor	%\r, %\r
	.endr

	FILL_RETURN_BUFFER %rcx, RSB_CLEAR_LOOPS, X86_FEATURE_RSB_VMEXIT, \
		X86_FEATURE_RSB_VMEXIT_LITE

	testl	$SWITCH_SAVE_SPEC, SWITCH_FLAGS(%rdi)
	jz	.Lspec_saved
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	rdmsr
	mov	%eax, SWITCH_GUEST_SPEC(%rdi)
	mov	%edx, SWITCH_GUEST_SPEC + 4(%rdi)
.Lspec_saved:
	testl	$SWITCH_RESTORE_SPEC, SWITCH_FLAGS(%rdi)
	jz	.Lspec_restored
	mov	$MSR_IA32_SPEC_CTRL, %ecx
	mov	SWITCH_HOST_SPEC(%rdi), %eax
	mov	SWITCH_HOST_SPEC + 4(%rdi), %edx
	wrmsr
.Lspec_restored:
	/* Nor may the branches above be skipped speculatively. */
	lfence
	CLEAR_BRANCH_HISTORY_VMEXIT

	mov	%ebx, %eax
	.irp r, rbx, r12, r13, r14, r15, rbp
	pop	%\r
	.endr
	RET

	_ASM_EXTABLE(.Lvmwrite, .Lhost_rsp_known)
	_ASM_EXTABLE(.Lvmresume, .Lfailed)
	_ASM_EXTABLE(.Lvmlaunch, .Lfailed)
SYM_FUNC_END(vmx_enter_guest)

	.text
/*
 * void vmx_host_nmi(void)
 *
 * NMIs are blocked since the exit; the handler's IRET opens them. It gets the
 * frame that the processor would have pushed.
 */
SYM_FUNC_START(vmx_host_nmi)
	push	%rbp
	mov	%rsp, %rbp
	and	$-16, %rsp
	push	$__KERNEL_DS
	push	%rbp
	pushf
	push	$__KERNEL_CS
	call	asm_exc_nmi_kvm_vmx
	leave
	RET
SYM_FUNC_END(vmx_host_nmi)
