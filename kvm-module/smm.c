// SPDX-License-Identifier: GPL-2.0-only
/*
 * smm.c: system management mode, where firmware keeps what the guest's kernel must
 * not touch (UEFI's variables with Secure Boot).
 *
 * An SMI comes from user space (KVM_SMI) or as an APIC's message. The vCPU takes it
 * between two instructions: its registers go to the state save area at SMBASE +
 * 0xfe00, its address space becomes kvm->space[1], where user space shows the memory
 * that is hidden otherwise, and it goes on at SMBASE + 0x8000 in real mode with 4 GiB
 * segments. RSM takes it back. The processor itself stays out of system management
 * mode: to it, RSM is an undefined instruction, which exits (kvm_handle_undefined)
 * or is emulated.
 *
 * The save area has the layout of AMD's 64-bit processors (APM vol. 2, 10.2.3) on
 * both vendors, as firmware for virtual machines expects it; the revision says so.
 * Interrupt shadow and NMI blocking have no place in that layout: the first is in
 * a reserved byte, the second in vcpu->events, as the ABI has it.
 */
#include <linux/build_bug.h>

#include "kvm.h"

#define SMM_ENTRY	0x8000
#define SMM_STATE	0xfe00
#define SMM_REVISION	0x20064		/* 64-bit layout, SMBASE can be moved */

struct smm_segment {
	u16 selector;
	u16 attributes;		/* of the descriptor's second half, bits 8 to 23 */
	u32 limit;
	u64 base;
};

struct smm_state {
	struct smm_segment seg[SEG_GS + 1];	/* ES, CS, SS, DS, FS, GS */
	struct smm_segment gdtr, ldtr, idtr, tr;
	u64 io_restart[4];	/* RIP, RCX, RSI, RDI: no I/O instruction is restarted */
	u32 io_trap, local_status;
	u8 io_restarts;
	u8 halted;		/* RSM goes back into HLT */
	u8 reserved1[5];
	u8 shadow;		/* ours: KVM_X86_SHADOW_INT_* */
	u64 efer;
	u64 svm[4];		/* of a hypervisor in the guest */
	u32 reserved2;
	u32 revision;
	u32 smbase;
	u32 reserved3[17];
	u64 cr4, cr3, cr0, dr7, dr6, rflags, rip;
	u64 regs[16];		/* from R15 down to RAX */
};

static_assert(offsetof(struct smm_state, efer) == 0xd0);
static_assert(offsetof(struct smm_state, smbase) == 0x100);
static_assert(offsetof(struct smm_state, cr4) == 0x148);
static_assert(sizeof(struct smm_state) == 0x200);

static struct smm_segment save_segment(const struct kvm_segment *s)
{
	return (struct smm_segment){ s->selector, pack_attributes(s), s->limit, s->base };
}

static struct kvm_segment load_segment(const struct smm_segment *s)
{
	struct kvm_segment loaded = unpack_segment(s->selector, s->attributes, s->limit, s->base);

	loaded.unusable = !loaded.present;
	return loaded;
}

void kvm_set_smm(struct kvm_vcpu *vcpu, bool active)
{
	vcpu->events.smi.active = active;
	vcpu->space = &vcpu->kvm->space[active];
	if (kvm_ops->tdp)
		kvm_ops->space_changed(vcpu);
	kvm_request(vcpu, REQ_TLB_FLUSH);
}

/* SDM vol. 3, 32.4 and 32.5; APM vol. 2, 10.3. */
void kvm_enter_smm(struct kvm_vcpu *vcpu)
{
	struct kvm_segment data = { .limit = U32_MAX, .type = 3, .present = 1, .s = 1, .g = 1 };
	struct kvm_sregs s = {};
	struct smm_state m;

	kvm_get_sregs(vcpu, &s);
	m = (struct smm_state){
		.gdtr = { .limit = s.gdt.limit, .base = s.gdt.base }, .ldtr = save_segment(&s.ldt),
		.idtr = { .limit = s.idt.limit, .base = s.idt.base }, .tr = save_segment(&s.tr),
		.halted = vcpu->mp_state == KVM_MP_STATE_HALTED,
		.shadow = kvm_ops->get_shadow(vcpu),
		.revision = SMM_REVISION, .smbase = vcpu->smbase,
		.efer = s.efer, .cr0 = s.cr0, .cr3 = s.cr3, .cr4 = s.cr4,
		.dr7 = vcpu->dr7, .dr6 = vcpu->dr6,
		.rflags = kvm_get_rflags(vcpu), .rip = kvm_reg_read(vcpu, REG_RIP),
	};
	for (int i = SEG_ES; i <= SEG_GS; i++)
		m.seg[i] = save_segment(kvm_sregs_segment(&s, i));
	for (int i = 0; i < 16; i++)
		m.regs[15 - i] = kvm_reg_read(vcpu, i);

	vcpu->events.smi.pending = false;
	vcpu->events.smi.inside_nmi = kvm_ops->get_nmi_mask(vcpu);
	vcpu->smi_count++;
	kvm_set_smm(vcpu, true);
	/* Where there is no memory, it is lost, and RSM shuts down. */
	kvm_write_guest(vcpu->space, vcpu->smbase + SMM_STATE, &m, sizeof(m));

	s.cs = s.ds = s.es = s.fs = s.gs = s.ss = data;
	s.cs.type = 11;
	s.cs.selector = vcpu->smbase >> 4;
	s.cs.base = vcpu->smbase;
	s.cr0 &= ~(u64)(X86_CR0_PE | X86_CR0_EM | X86_CR0_TS | X86_CR0_PG);
	s.cr4 = s.efer = 0;
	/* Only the APIC's address can be wrong, after a change of the guest's CPUID. */
	if (kvm_set_sregs(vcpu, &s))
		kvm_request(vcpu, REQ_TRIPLE_FAULT);
	kvm_set_rflags(vcpu, 0);
	kvm_reg_write(vcpu, REG_RIP, SMM_ENTRY);
	kvm_set_dr6_dr7(vcpu, vcpu->dr6, 0);
	kvm_ops->set_shadow(vcpu, 0);
	kvm_ops->set_nmi_mask(vcpu, true);
	vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	vcpu->events.look = true;
}

/* SDM vol. 3, 32.4.1: a state that cannot be is a shutdown. */
int kvm_leave_smm(struct kvm_vcpu *vcpu)
{
	struct kvm_events *ev = &vcpu->events;
	struct kvm_sregs s = {};
	struct smm_state m;

	if (kvm_read_guest(vcpu->space, vcpu->smbase + SMM_STATE, &m, sizeof(m)))
		return kvm_handle_triple_fault(vcpu);
	kvm_set_smm(vcpu, false);
	kvm_get_sregs(vcpu, &s);
	for (int i = SEG_ES; i <= SEG_GS; i++)
		*kvm_sregs_segment(&s, i) = load_segment(&m.seg[i]);
	s.ldt = load_segment(&m.ldtr);
	s.tr = load_segment(&m.tr);
	s.gdt = (struct kvm_dtable){ .base = m.gdtr.base, .limit = m.gdtr.limit };
	s.idt = (struct kvm_dtable){ .base = m.idtr.base, .limit = m.idtr.limit };
	s.efer = m.efer;
	s.cr4 = m.cr4;
	s.cr3 = m.cr3;
	s.cr0 = m.cr0;
	if (kvm_set_sregs(vcpu, &s))
		return kvm_handle_triple_fault(vcpu);
	for (int i = 0; i < 16; i++)
		kvm_reg_write(vcpu, i, m.regs[15 - i]);
	kvm_reg_write(vcpu, REG_RIP, m.rip);
	kvm_set_rflags(vcpu, m.rflags & FL_DEFINED);
	kvm_set_dr6_dr7(vcpu, m.dr6, m.dr7);
	kvm_ops->set_shadow(vcpu, m.shadow);
	kvm_ops->set_nmi_mask(vcpu, ev->smi.inside_nmi);
	vcpu->smbase = m.smbase;
	ev->look = true;
	if (ev->smi.latched_init)
		kvm_request(vcpu, REQ_INIT);
	if (ev->smi.latched_sipi)
		kvm_request(vcpu, REQ_SIPI);
	ev->smi.latched_init = ev->smi.latched_sipi = false;
	return m.halted & 1 ? kvm_halt(vcpu) : 1;
}
