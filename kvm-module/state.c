// SPDX-License-Identifier: GPL-2.0-only
/*
 * state.c: the ioctls that read and write a virtual processor's state.
 *
 * They run with vcpu->mutex and srcu held and the vCPU loaded (vcpu.c), never while
 * the guest runs. What user space gives is checked as a whole before anything is
 * changed. Most copy one structure, and share the copying (state_ioctls).
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/debugreg.h>
#include <asm/tsc.h>

#include "kvm.h"

/* ---- registers and events ------------------------------------------------ */

u64 kvm_get_rflags(struct kvm_vcpu *vcpu)
{
	u64 rflags = kvm_ops->get_rflags(vcpu);

	if (vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		rflags &= ~X86_EFLAGS_TF;
	return rflags;
}

void kvm_set_rflags(struct kvm_vcpu *vcpu, u64 rflags)
{
	if (vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP)
		rflags |= X86_EFLAGS_TF;
	kvm_ops->set_rflags(vcpu, rflags | X86_EFLAGS_FIXED);
}

/* Registers in the order of struct kvm_regs. */
static const u8 order[16] = {
	REG_RAX, REG_RBX, REG_RCX, REG_RDX, REG_RSI, REG_RDI, REG_RSP, REG_RBP,
	8, 9, 10, 11, 12, 13, 14, 15,
};

static int get_regs(struct kvm_vcpu *vcpu, void *arg)
{
	struct kvm_regs *regs = arg;
	u64 *out = &regs->rax;

	for (int i = 0; i < 16; i++)
		out[i] = kvm_reg_read(vcpu, order[i]);
	regs->rip = kvm_reg_read(vcpu, REG_RIP);
	regs->rflags = kvm_get_rflags(vcpu);
	return 0;
}

static int set_regs(struct kvm_vcpu *vcpu, void *arg)
{
	const struct kvm_regs *regs = arg;
	const u64 *in = &regs->rax;

	for (int i = 0; i < 16; i++) {
		vcpu->io.stale |= kvm_reg_read(vcpu, order[i]) != in[i];
		kvm_reg_write(vcpu, order[i], in[i]);
	}
	kvm_reg_write(vcpu, REG_RIP, regs->rip);
	kvm_set_rflags(vcpu, regs->rflags);
	/* What was to be delivered belonged to the old state. */
	vcpu->events.exception.pending = false;
	return 0;
}

struct kvm_segment *kvm_sregs_segment(struct kvm_sregs *s, int seg)
{
	struct kvm_segment *segments[NR_SEGS] = {
		&s->es, &s->cs, &s->ss, &s->ds, &s->fs, &s->gs, &s->ldt, &s->tr,
	};

	return segments[seg];
}

/* Not an INT n that is under way: RIP is still at it, and it runs again. */
static bool irq_saved(const struct kvm_events *ev)
{
	return ev->irq.pending || (ev->irq.injected && !ev->irq.soft);
}

static struct kvm_dtable get_table(struct kvm_vcpu *vcpu, int seg)
{
	struct kvm_segment s;

	kvm_ops->get_segment(vcpu, seg, &s);
	return (struct kvm_dtable){ .base = s.base, .limit = s.limit };
}

static void set_table(struct kvm_vcpu *vcpu, int seg, const struct kvm_dtable *t)
{
	struct kvm_segment s = { .base = t->base, .limit = t->limit };

	kvm_ops->set_segment(vcpu, seg, &s);
}

int kvm_get_sregs(struct kvm_vcpu *vcpu, void *arg)
{
	struct kvm_sregs *s = arg;

	for (int i = 0; i < NR_SEGS; i++)
		kvm_ops->get_segment(vcpu, i, kvm_sregs_segment(s, i));
	s->gdt = get_table(vcpu, SEG_GDTR);
	s->idt = get_table(vcpu, SEG_IDTR);
	s->cr0 = vcpu->cr0;
	s->cr2 = vcpu->cr2;
	s->cr3 = kvm_ops->get_cr3(vcpu);
	s->cr4 = vcpu->cr4;
	s->cr8 = vcpu->cr8;
	s->efer = vcpu->efer;
	s->apic_base = vcpu->apic_base;
	if (irq_saved(&vcpu->events))
		__set_bit(vcpu->events.irq.nr, (unsigned long *)s->interrupt_bitmap);
	return 0;
}

/* A state that the processor cannot be in is refused as a whole. */
static bool valid_sregs(struct kvm_vcpu *vcpu, const struct kvm_sregs *s)
{
	if (s->cr0 & CR0_RESERVED || s->cr4 & ~vcpu->cr4_allowed || s->cr8 > 15 ||
	    s->efer & ~kvm_caps.efer || (s->cr0 & X86_CR0_NW && !(s->cr0 & X86_CR0_CD)) ||
	    (s->cr0 & X86_CR0_PG && !(s->cr0 & X86_CR0_PE)))
		return false;
	if (!(s->efer & EFER_LME && s->cr0 & X86_CR0_PG))
		return !(s->efer & EFER_LMA || s->cs.l);
	return s->cr4 & X86_CR4_PAE && s->efer & EFER_LMA && !(s->cr3 >> vcpu->maxphyaddr);
}

/* Do these mean another place, or other rights, for a memory access? */
static bool moves_access(struct kvm_vcpu *vcpu, struct kvm_sregs *s)
{
	struct kvm_segment old;

	for (int i = SEG_ES; i <= SEG_GS; i++) {
		const struct kvm_segment *new = kvm_sregs_segment(s, i);

		kvm_ops->get_segment(vcpu, i, &old);
		if (new->base != old.base || new->limit != old.limit ||
		    new->selector != old.selector || new->dpl != old.dpl)
			return true;
	}
	return s->cr0 != vcpu->cr0 || s->cr4 != vcpu->cr4 || s->efer != vcpu->efer ||
	       s->cr3 != kvm_ops->get_cr3(vcpu);
}

int kvm_set_sregs(struct kvm_vcpu *vcpu, void *arg)
{
	struct kvm_sregs *s = arg;
	int nr;

	if (!valid_sregs(vcpu, s) || kvm_set_apic_base(vcpu, s->apic_base, true))
		return -EINVAL;
	vcpu->io.stale |= moves_access(vcpu, s);
	set_table(vcpu, SEG_GDTR, &s->gdt);
	set_table(vcpu, SEG_IDTR, &s->idt);
	vcpu->cr2 = s->cr2;
	/* CR8 has the upper half of the TPR; the lower must stay. */
	if (s->cr8 != vcpu->cr8)
		kvm_set_cr8(vcpu, s->cr8);
	vcpu->run->cr8 = s->cr8;
	vcpu->efer = s->efer;
	vcpu->cr0 = s->cr0;
	vcpu->cr4 = s->cr4;
	kvm_ops->set_modes(vcpu);
	kvm_ops->set_cr3(vcpu, s->cr3);
	for (int i = 0; i < NR_SEGS; i++)
		kvm_ops->set_segment(vcpu, i, kvm_sregs_segment(s, i));
	nr = find_first_bit((unsigned long *)s->interrupt_bitmap, 256);
	vcpu->events.irq.injected = false;
	vcpu->events.irq.pending = nr < 256;
	vcpu->events.irq.nr = nr;
	if (!kvm_ops->tdp)
		kvm_shadow_untrack_all(vcpu->kvm);
	kvm_mmu_guest_flush(vcpu);
	return 0;
}

/* Of struct kvm_vcpu_events, what we fill in and take. */
static u32 event_flags(const struct kvm *kvm)
{
	return KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW |
	       KVM_VCPUEVENT_VALID_SMM |
	       (kvm->exception_payload ? KVM_VCPUEVENT_VALID_PAYLOAD : 0) |
	       (kvm->triple_fault_event ? KVM_VCPUEVENT_VALID_TRIPLE_FAULT : 0);
}

static int get_events(struct kvm_vcpu *vcpu, void *arg)
{
	struct kvm_events *ev = &vcpu->events;
	struct kvm_vcpu_events *out = arg;
	bool payload = vcpu->kvm->exception_payload;

	kvm_collect_messages(vcpu);
	if (!payload && ev->exception.pending)
		kvm_deliver_payload(vcpu);
	out->exception.injected = ev->exception.injected || (!payload && ev->exception.pending);
	out->exception.pending = payload && ev->exception.pending;
	out->exception.nr = ev->exception.nr;
	out->exception.has_error_code = ev->exception.has_error;
	out->exception.error_code = ev->exception.error_code;
	out->exception_has_payload = payload && ev->exception.has_payload;
	if (out->exception_has_payload)
		out->exception_payload = ev->exception.payload;
	out->interrupt.injected = irq_saved(ev);
	out->interrupt.nr = ev->irq.nr;
	out->interrupt.shadow = kvm_ops->get_shadow(vcpu);
	out->nmi.injected = ev->nmi.injected;
	out->nmi.pending = ev->nmi.pending;
	out->nmi.masked = kvm_ops->get_nmi_mask(vcpu);
	out->smi.smm = ev->smi.active;
	out->smi.pending = ev->smi.pending;
	out->smi.smm_inside_nmi = ev->smi.inside_nmi;
	out->smi.latched_init = ev->smi.latched_init;
	out->flags = event_flags(vcpu->kvm);
	if (out->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT)
		out->triple_fault.pending = test_bit(REQ_TRIPLE_FAULT, &vcpu->requests);
	return 0;
}

static int set_events(struct kvm_vcpu *vcpu, void *arg)
{
	const struct kvm_vcpu_events *in = arg;
	struct kvm_events *ev = &vcpu->events;
	bool payload = in->flags & KVM_VCPUEVENT_VALID_PAYLOAD;
	bool pending = payload && in->exception.pending;

	if (in->flags & ~(event_flags(vcpu->kvm) | KVM_VCPUEVENT_VALID_SIPI_VECTOR))
		return -EINVAL;
	if (in->flags & KVM_VCPUEVENT_VALID_SMM && (in->smi.smm || in->smi.pending) &&
	    !kvm_has_smm())
		return -EINVAL;
	if ((pending && in->exception.injected) ||
	    ((pending || in->exception.injected) &&
	     (in->exception.nr > 31 || in->exception.nr == X86_TRAP_NMI)))
		return -EINVAL;

	ev->exception = (struct kvm_exception){
		.injected = in->exception.injected, .pending = pending, .nr = in->exception.nr,
		.has_error = in->exception.has_error_code, .error_code = in->exception.error_code,
		.has_payload = payload && in->exception_has_payload,
		.payload = in->exception_payload,
	};
	/* Delivered when the guest can take it, whatever it was before. */
	ev->irq.injected = false;
	ev->irq.pending = in->interrupt.injected;
	ev->irq.nr = in->interrupt.nr;
	if (in->flags & KVM_VCPUEVENT_VALID_SIPI_VECTOR)
		vcpu->sipi_vector = in->sipi_vector;
	if (in->flags & KVM_VCPUEVENT_VALID_SHADOW)
		kvm_ops->set_shadow(vcpu, in->interrupt.shadow);
	ev->nmi.injected = in->nmi.injected;
	if (in->flags & KVM_VCPUEVENT_VALID_NMI_PENDING)
		ev->nmi.pending = min_t(u8, in->nmi.pending, 2);
	kvm_ops->set_nmi_mask(vcpu, in->nmi.masked);
	if (in->flags & KVM_VCPUEVENT_VALID_SMM) {
		if (in->smi.smm != ev->smi.active)
			kvm_set_smm(vcpu, in->smi.smm);
		ev->smi.pending = in->smi.pending;
		ev->smi.inside_nmi = in->smi.smm_inside_nmi;
		ev->smi.latched_init = in->smi.latched_init && in->smi.smm;
	}
	if (in->flags & KVM_VCPUEVENT_VALID_TRIPLE_FAULT)
		assign_bit(REQ_TRIPLE_FAULT, &vcpu->requests, in->triple_fault.pending);
	return 0;
}

/* Who saves the state now will not see what has arrived, but for this. */
static int get_mp_state(struct kvm_vcpu *vcpu, void *arg)
{
	kvm_collect_messages(vcpu);
	((struct kvm_mp_state *)arg)->mp_state = vcpu->mp_state;
	return 0;
}

static int set_mp_state(struct kvm_vcpu *vcpu, void *arg)
{
	u32 state = ((struct kvm_mp_state *)arg)->mp_state;

	/* Those behind are other architectures'. Without an APIC, user space does the rest. */
	if (state > KVM_MP_STATE_SIPI_RECEIVED || (state != KVM_MP_STATE_RUNNABLE && !vcpu->lapic))
		return -EINVAL;
	/* What an APIC has sent was for the state before. */
	kvm_take_request(vcpu, REQ_INIT);
	kvm_take_request(vcpu, REQ_SIPI);
	vcpu->mp_state = state;
	/* It would never end; QEMU does not restore it, and leaves an earlier one. */
	if (state == KVM_MP_STATE_HALTED)
		kvm_ops->set_shadow(vcpu, 0);
	if (state == KVM_MP_STATE_SIPI_RECEIVED) {
		vcpu->mp_state = KVM_MP_STATE_INIT_RECEIVED;
		kvm_request(vcpu, REQ_SIPI);
	}
	return 0;
}

static int get_debugregs(struct kvm_vcpu *vcpu, void *arg)
{
	struct kvm_debugregs *d = arg;

	memcpy(d->db, vcpu->dr, sizeof(vcpu->dr));
	d->dr6 = vcpu->dr6;
	d->dr7 = vcpu->dr7;
	return 0;
}

void kvm_set_dr6_dr7(struct kvm_vcpu *vcpu, u64 dr6, u64 dr7)
{
	vcpu->dr6 = (dr6 & DR6_WRITABLE) | DR6_FIXED;
	vcpu->dr7 = (dr7 & DR7_WRITABLE) | DR7_FIXED;
	kvm_ops->update_debug(vcpu);
}

static int set_debugregs(struct kvm_vcpu *vcpu, void *arg)
{
	const struct kvm_debugregs *d = arg;

	if (d->flags || d->dr6 >> 32 || d->dr7 >> 32)
		return -EINVAL;
	memcpy(vcpu->dr, d->db, sizeof(vcpu->dr));
	kvm_set_dr6_dr7(vcpu, d->dr6, d->dr7);
	return 0;
}

static int set_guest_debug(struct kvm_vcpu *vcpu, void *arg)
{
	const struct kvm_guest_debug *d = arg;
	u64 rflags;

	if (d->control & ~KVM_GUESTDBG_SUPPORTED)
		return -EINVAL;
	if (d->control & (KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP)) {
		if (vcpu->events.exception.pending)
			return -EBUSY;
		kvm_queue_exception(vcpu, d->control & KVM_GUESTDBG_INJECT_DB ?
				    X86_TRAP_DB : X86_TRAP_BP);
	}
	if (vcpu->dr_direct) {
		/* The guest was given the debug registers, and has not run since. */
		u64 dr6 = vcpu->dr6;

		kvm_ops->watch_debugregs(vcpu, true);
		vcpu->dr6 = dr6;
		vcpu->dr_direct = false;
	}
	rflags = kvm_get_rflags(vcpu);
	vcpu->guest_debug = d->control & KVM_GUESTDBG_ENABLE ? d->control : 0;
	vcpu->debug_dr7 = DR7_FIXED;
	if (vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP) {
		memcpy(vcpu->debug_dr, d->arch.debugreg, sizeof(vcpu->debug_dr));
		vcpu->debug_dr7 |= d->arch.debugreg[7] & DR7_WRITABLE;
	}
	kvm_set_rflags(vcpu, rflags);
	kvm_ops->update_debug(vcpu);
	return 0;
}

/* ---- registers in struct kvm_run ----------------------------------------- */

int kvm_get_synced_regs(struct kvm_vcpu *vcpu)
{
	u64 dirty = READ_ONCE(vcpu->run->kvm_dirty_regs);
	struct kvm_sync_regs copy;	/* user space may write while we check */
	int r = 0;

	if ((dirty | READ_ONCE(vcpu->run->kvm_valid_regs)) & ~KVM_SYNC_X86_VALID_FIELDS)
		return -EINVAL;
	memcpy(&copy, &vcpu->run->s.regs, sizeof(copy));
	if (dirty & KVM_SYNC_X86_REGS)
		r = set_regs(vcpu, &copy.regs);
	if (!r && dirty & KVM_SYNC_X86_SREGS)
		r = kvm_set_sregs(vcpu, &copy.sregs);
	if (!r && dirty & KVM_SYNC_X86_EVENTS)
		r = set_events(vcpu, &copy.events);
	vcpu->run->kvm_dirty_regs = 0;
	vcpu->events.look = true;
	return r;
}

void kvm_put_synced_regs(struct kvm_vcpu *vcpu)
{
	u64 valid = READ_ONCE(vcpu->run->kvm_valid_regs);
	struct kvm_sync_regs *s = &vcpu->run->s.regs;

	kvm_collect_messages(vcpu);	/* may change them all */
	if (valid & KVM_SYNC_X86_REGS)
		get_regs(vcpu, &s->regs);
	if (valid & KVM_SYNC_X86_SREGS)
		kvm_get_sregs(vcpu, memset(&s->sregs, 0, sizeof(s->sregs)));
	if (valid & KVM_SYNC_X86_EVENTS)
		get_events(vcpu, memset(&s->events, 0, sizeof(s->events)));
}

/* ---- FPU state ----------------------------------------------------------- */

/* The guest's XSAVE area, to be kvfree()d; NULL: no memory. */
void *kvm_copy_xsave(struct kvm_vcpu *vcpu)
{
	unsigned int size = kvm_xsave2_size();
	void *buf = kvzalloc(size, GFP_KERNEL_ACCOUNT);

	if (buf)
		fpu_copy_guest_fpstate_to_uabi(&vcpu->fpu, buf, size,
					       vcpu->fpu.fpstate->user_xfeatures, vcpu->guest_pkru);
	return buf;
}

/* Frees the area; result: an errno. */
int kvm_replace_xsave(struct kvm_vcpu *vcpu, void *buf)
{
	int r = fpu_copy_uabi_to_guest_fpstate(&vcpu->fpu, buf, kvm_caps.xcr0, &vcpu->guest_pkru);

	kvfree(buf);
	return r;
}

static int get_xsave(struct kvm_vcpu *vcpu, void __user *argp)
{
	void *buf __free(kvfree) = kvm_copy_xsave(vcpu);

	if (!buf)
		return -ENOMEM;
	return copy_to_user(argp, buf, kvm_xsave2_size()) ? -EFAULT : 0;
}

static int set_xsave(struct kvm_vcpu *vcpu, void __user *argp)
{
	void *buf = vmemdup_user(argp, kvm_xsave2_size());

	return IS_ERR(buf) ? PTR_ERR(buf) : kvm_replace_xsave(vcpu, buf);
}

/*
 * The legacy FXSAVE image is the head of the XSAVE area. What both formats have
 * between FCW and the last data pointer looks the same.
 */
#define FPU_POINTERS	(offsetofend(struct fxregs_state, rdp))

static int get_fpu(struct kvm_vcpu *vcpu, void *arg)
{
	struct fxregs_state *fx __free(kvfree) = kvm_copy_xsave(vcpu);
	struct kvm_fpu *fpu = arg;

	if (!fx)
		return -ENOMEM;
	memcpy(fpu->fpr, fx->st_space, sizeof(fpu->fpr));
	memcpy(arg + offsetof(struct kvm_fpu, fcw), fx, FPU_POINTERS);
	memcpy(fpu->xmm, fx->xmm_space, sizeof(fpu->xmm));
	fpu->mxcsr = fx->mxcsr;
	return 0;
}

static int set_fpu(struct kvm_vcpu *vcpu, void *arg)
{
	struct xregs_state *xsave = kvm_copy_xsave(vcpu);
	struct fxregs_state *fx = &xsave->i387;
	struct kvm_fpu *fpu = arg;

	if (!xsave)
		return -ENOMEM;
	fpu->pad1 = 0;
	memcpy(fx->st_space, fpu->fpr, sizeof(fpu->fpr));
	memcpy(fx, arg + offsetof(struct kvm_fpu, fcw), FPU_POINTERS);
	memcpy(fx->xmm_space, fpu->xmm, sizeof(fpu->xmm));
	fx->mxcsr = fpu->mxcsr;
	xsave->header.xfeatures |= XFEATURE_MASK_FPSSE;
	return kvm_replace_xsave(vcpu, xsave);
}

static int get_xcrs(struct kvm_vcpu *vcpu, void *arg)
{
	struct kvm_xcrs *xcrs = arg;

	if (!boot_cpu_has(X86_FEATURE_XSAVE))
		return -EINVAL;
	xcrs->nr_xcrs = 1;
	xcrs->xcrs[0].value = vcpu->xcr0;
	return 0;
}

static int set_xcrs(struct kvm_vcpu *vcpu, void *arg)
{
	const struct kvm_xcrs *xcrs = arg;

	if (!boot_cpu_has(X86_FEATURE_XSAVE) || xcrs->flags || xcrs->nr_xcrs > KVM_MAX_XCRS)
		return -EINVAL;
	for (int i = 0; i < xcrs->nr_xcrs; i++)
		if (xcrs->xcrs[i].xcr == 0)
			return kvm_set_xcr0(vcpu, 0, xcrs->xcrs[i].value) ? -EINVAL : 0;
	return 0;
}

/* ---- MSRs, machine checks, CPUID ----------------------------------------- */

/* Without a vCPU: of the MSRs that tell features. Returns how many it got to. */
int kvm_access_msrs(struct kvm_vcpu *vcpu, struct kvm_msrs __user *user, bool set)
{
	struct kvm_msr_entry entry;
	struct kvm_msrs head;
	int i, r;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.nmsrs >= 256)
		return -E2BIG;
	for (i = 0; i < head.nmsrs; i++) {
		if (copy_from_user(&entry, &user->entries[i], sizeof(entry)))
			return -EFAULT;
		r = set ? kvm_set_msr(vcpu, entry.index, entry.data, true) :
		    vcpu ? kvm_get_msr(vcpu, entry.index, &entry.data, true) :
			   kvm_get_feature_msr(entry.index, &entry.data);
		if (r)
			break;
		if (!set && copy_to_user(&user->entries[i], &entry, sizeof(entry)))
			return -EFAULT;
	}
	return i;
}

static int setup_mce(struct kvm_vcpu *vcpu, void *arg)
{
	u64 mcg_cap = *(u64 *)arg;
	u32 banks = mcg_cap & MCG_BANKCNT_MASK;

	if (!banks || banks > KVM_MCE_BANKS ||
	    mcg_cap & ~(u64)(KVM_MCE_CAP_SUPPORTED | MCG_BANKCNT_MASK))
		return -EINVAL;
	vcpu->mcg_cap = mcg_cap;
	if (mcg_cap & MCG_CTL_P)
		vcpu->mcg_ctl = ~0ULL;
	for (int i = 0; i < banks; i++)
		vcpu->mce_bank[4 * i] = ~0ULL;
	return 0;
}

/* User space reports a machine check to the guest. SDM vol. 3, 15.3.2. */
static int set_mce(struct kvm_vcpu *vcpu, void *arg)
{
	const struct kvm_x86_mce *mce = arg;
	u32 banks = vcpu->mcg_cap & MCG_BANKCNT_MASK;
	u64 *bank;

	if (mce->bank >= banks || !(mce->status & MCI_STATUS_VAL))
		return -EINVAL;
	bank = &vcpu->mce_bank[4 * array_index_nospec(mce->bank, KVM_MCE_BANKS)];
	if (mce->status & MCI_STATUS_UC) {
		/* Reporting may be switched off. */
		if ((vcpu->mcg_cap & MCG_CTL_P && vcpu->mcg_ctl != ~0ULL) || bank[0] != ~0ULL)
			return 0;
		/* A second one while the first is handled, or no handler. */
		if (vcpu->mcg_status & MCG_STATUS_MCIP || !(vcpu->cr4 & X86_CR4_MCE)) {
			kvm_request(vcpu, REQ_TRIPLE_FAULT);
			return 0;
		}
		vcpu->mcg_status = mce->mcg_status;
		kvm_queue_exception(vcpu, X86_TRAP_MC);
	} else if (bank[1] & MCI_STATUS_VAL && bank[1] & MCI_STATUS_UC) {
		bank[1] |= MCI_STATUS_OVER;
		return 0;
	}
	bank[1] = mce->status | (bank[1] & MCI_STATUS_VAL ? MCI_STATUS_OVER : 0);
	bank[2] = mce->addr;
	bank[3] = mce->misc;
	return 0;
}

/* The older form, without an index. */
static int set_cpuid(struct kvm_vcpu *vcpu, struct kvm_cpuid __user *user)
{
	struct kvm_cpuid_entry2 *new __free(kvfree) = NULL;
	struct kvm_cpuid_entry old;
	struct kvm_cpuid head;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.nent > KVM_MAX_CPUID)
		return -E2BIG;
	new = kvcalloc(head.nent + 1, sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	for (int i = 0; i < head.nent; i++) {
		if (copy_from_user(&old, &user->entries[i], sizeof(old)))
			return -EFAULT;
		new[i] = (struct kvm_cpuid_entry2){
			.function = old.function, .eax = old.eax,
			.ebx = old.ebx, .ecx = old.ecx, .edx = old.edx,
		};
	}
	return kvm_replace_cpuid(vcpu, no_free_ptr(new), head.nent);
}

/* ---- the rest ------------------------------------------------------------ */

static int translate(struct kvm_vcpu *vcpu, void *arg)
{
	struct kvm_translation *t = arg;
	gpa_t gpa;
	u32 code;

	t->valid = !kvm_translate(vcpu, t->linear_address, 0, &gpa, &code);
	t->physical_address = t->valid ? gpa : ~0ULL;
	t->writeable = 1;
	t->usermode = 0;
	return 0;
}

static int set_signal_mask(struct kvm_vcpu *vcpu, void __user *argp)
{
	struct kvm_signal_mask mask;

	vcpu->sigset_active = false;
	if (!argp)
		return 0;
	if (copy_from_user(&mask, argp, sizeof(mask)))
		return -EFAULT;
	if (mask.len != sizeof(vcpu->sigset))
		return -EINVAL;
	if (copy_from_user(&vcpu->sigset, argp + sizeof(mask), sizeof(vcpu->sigset)))
		return -EFAULT;
	sigdelsetmask(&vcpu->sigset, sigmask(SIGKILL) | sigmask(SIGSTOP));
	vcpu->sigset_active = true;
	return 0;
}

static int queue_interrupt(struct kvm_vcpu *vcpu, void *arg)
{
	const struct kvm_interrupt *irq = arg;

	if (irq->irq > 255)
		return -EINVAL;
	if (vcpu->kvm->pic)
		return -ENXIO;
	if (vcpu->events.irq.pending || vcpu->events.irq.injected)
		return -EEXIST;
	vcpu->events.irq.pending = true;
	vcpu->events.irq.nr = irq->irq;
	return 0;
}

/*
 * The page that a patched 32-bit Windows shares its task priority through. QEMU
 * says on every reset that there is none, and there never is: nothing reports
 * accesses to it.
 */
static int set_vapic_addr(struct kvm_vcpu *vcpu, void *arg)
{
	const struct kvm_vapic_addr *vapic = arg;

	return vcpu->lapic && !vapic->vapic_addr ? 0 : -EINVAL;
}

static int enable_cap(struct kvm_vcpu *vcpu, void *arg)
{
	const struct kvm_enable_cap *cap = arg;

	if (cap->flags || cap->cap != KVM_CAP_ENFORCE_PV_FEATURE_CPUID)
		return -EINVAL;
	vcpu->pv.enforce_cpuid = cap->args[0];
	return 0;
}

static const struct kvm_struct_ioctl state_ioctls[] = {
	{ KVM_GET_REGS, .vcpu = get_regs },
	{ KVM_SET_REGS, .vcpu = set_regs },
	{ KVM_GET_SREGS, .vcpu = kvm_get_sregs },
	{ KVM_SET_SREGS, .vcpu = kvm_set_sregs },
	{ KVM_GET_MP_STATE, .vcpu = get_mp_state },
	{ KVM_SET_MP_STATE, .vcpu = set_mp_state },
	{ KVM_GET_VCPU_EVENTS, .vcpu = get_events },
	{ KVM_SET_VCPU_EVENTS, .vcpu = set_events },
	{ KVM_GET_DEBUGREGS, .vcpu = get_debugregs },
	{ KVM_SET_DEBUGREGS, .vcpu = set_debugregs },
	{ KVM_SET_GUEST_DEBUG, .vcpu = set_guest_debug },
	{ KVM_GET_FPU, .vcpu = get_fpu },
	{ KVM_SET_FPU, .vcpu = set_fpu },
	{ KVM_GET_XCRS, .vcpu = get_xcrs },
	{ KVM_SET_XCRS, .vcpu = set_xcrs },
	{ KVM_TRANSLATE, .vcpu = translate },
	{ KVM_INTERRUPT, .vcpu = queue_interrupt },
	{ KVM_GET_LAPIC, .vcpu = kvm_apic_get_state },
	{ KVM_SET_LAPIC, .vcpu = kvm_apic_set_state },
	{ KVM_SET_VAPIC_ADDR, .vcpu = set_vapic_addr },
	{ KVM_X86_SETUP_MCE, .vcpu = setup_mce },
	{ KVM_X86_SET_MCE, .vcpu = set_mce },
	{ KVM_ENABLE_CAP, .vcpu = enable_cap },
};

/* vcpu: NULL, or the VM's that it is for. */
int kvm_struct_ioctl(const struct kvm_struct_ioctl *row, unsigned int rows, struct kvm *kvm,
		     struct kvm_vcpu *vcpu, unsigned int ioctl, void __user *argp)
{
	/* The direction of KVM_SET_IRQCHIP's number is wrong. */
	bool in = _IOC_DIR(ioctl) & _IOC_WRITE || ioctl == KVM_SET_IRQCHIP;
	bool out = _IOC_DIR(ioctl) & _IOC_READ && ioctl != KVM_SET_IRQCHIP;
	u64 arg[sizeof(struct kvm_lapic_state) / sizeof(u64)];	/* the largest one */
	unsigned int size = _IOC_SIZE(ioctl);
	int r;

	for (; row->number != ioctl; row++)
		if (!--rows)
			return -ENOTTY;
	if (!in)
		memset(arg, 0, size);
	else if (copy_from_user(arg, argp, size))
		return -EFAULT;
	r = vcpu ? row->vcpu(vcpu, arg) : row->vm(kvm, arg);
	return !r && out && copy_to_user(argp, arg, size) ? -EFAULT : r;
}

long kvm_state_ioctl(struct kvm_vcpu *vcpu, unsigned int ioctl, unsigned long arg)
{
	void __user *argp = (void __user *)arg;
	struct kvm_device_attr attr;

	switch (ioctl) {
	case KVM_HAS_DEVICE_ATTR:
	case KVM_GET_DEVICE_ATTR:
	case KVM_SET_DEVICE_ATTR:
		if (copy_from_user(&attr, argp, sizeof(attr)))
			return -EFAULT;
		return kvm_tsc_attr(vcpu, ioctl, &attr);
	case KVM_NMI:
		/* One in service and one latched; more are lost, as on hardware. */
		vcpu->events.nmi.pending = min(vcpu->events.nmi.pending + 1, 2);
		return 0;
	case KVM_SMI:
		if (!kvm_has_smm())
			return -ENOTTY;
		vcpu->events.smi.pending = true;
		return 0;
	case KVM_SET_SIGNAL_MASK:
		return set_signal_mask(vcpu, argp);
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return kvm_access_msrs(vcpu, argp, ioctl == KVM_SET_MSRS);
	case KVM_GET_CPUID2:
		return kvm_get_cpuid2(vcpu, argp);
	case KVM_SET_CPUID:
		return set_cpuid(vcpu, argp);
	case KVM_SET_CPUID2:
		return kvm_set_cpuid2(vcpu, argp);
	case KVM_GET_XSAVE:
		if (kvm_xsave2_size() > sizeof(struct kvm_xsave))
			return -EINVAL;
		fallthrough;
	case KVM_GET_XSAVE2:
		return get_xsave(vcpu, argp);
	case KVM_SET_XSAVE:
		return set_xsave(vcpu, argp);
	case KVM_GET_TSC_KHZ:
		return vcpu->tsc_khz;
	case KVM_SET_TSC_KHZ:
		return kvm_set_tsc_khz(vcpu, arg);
	case KVM_KVMCLOCK_CTRL:
		if (!(vcpu->pv.system_time & 1))
			return -EINVAL;	/* it has no clock to be told by */
		vcpu->pv.stopped = true;
		kvm_request(vcpu, REQ_CLOCK);
		return 0;
	case KVM_GET_STATS_FD:
		return kvm_stats_fd(vcpu->kvm, vcpu);
	default:
		return kvm_struct_ioctl(state_ioctls, ARRAY_SIZE(state_ioctls), vcpu->kvm,
					vcpu, ioctl, argp);
	}
}
