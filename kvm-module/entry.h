/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * entry.h: for svm_entry.S and vmx_entry.S: .Lrax to .Lr15, offsets in vcpu->regs, which
 * is in the order of enum kvm_reg.
 */
.set .Loffset, 0
.irp r, rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15
	.set .L\r, .Loffset
	.set .Loffset, .Loffset + 8
.endr
