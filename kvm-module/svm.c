// SPDX-License-Identifier: GPL-2.0-only
/*
 * svm.c: AMD's Secure Virtual Machine extension.
 *
 * A vCPU's processor state lives in a page, the VMCB: a control area (what to
 * intercept, what to inject, why the guest left) and a save area (the guest's
 * registers). VMRUN enters the guest, #VMEXIT comes back behind it (svm_entry.S).
 * Both areas are plain memory, so get and set functions read and write the VMCB.
 *
 * Interrupts: V_INTR_MASKING makes the guest's RFLAGS.IF mask only virtual
 * interrupts; a physical one leaves the guest and is served when the host's
 * interrupts come on again. To learn when the guest can take an interrupt we
 * post a virtual one and intercept its delivery (VINTR). NMIs are masked from
 * their injection to the guest's IRET, which is intercepted; the instruction
 * after the IRET is reached by a single step.
 *
 * TLB: entries are tagged by an address space identifier. Each host processor
 * deals them out in order; when they run out it flushes all and begins a new
 * generation. A vCPU that needs a flush, or comes from another processor, takes
 * a new one.
 *
 * Without nested paging (npt=0, or an old processor) the guest runs on shadow
 * tables (shadow.c): always with paging, write protection and PAE, whatever it
 * believes. SVM allows that in real mode, too ("paged real mode"). What the
 * guest set is in vcpu->cr0, cr4, efer and svm->cr3; reads that would show the
 * difference are intercepted.
 *
 * References: AMD64 Architecture Programmer's Manual, volume 2, chapter 15 and
 * appendices B and C.
 */
#include <linux/cc_platform.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <asm/cpu_device_id.h>
#include <asm/debugreg.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/spec-ctrl.h>
#include <asm/svm.h>
#include <asm/trap_pf.h>

#include "kvm.h"

MODULE_AUTHOR("The kvm-live founders");
MODULE_DESCRIPTION("kvm-live hypervisor: AMD SVM");
MODULE_VERSION(KVM_LIVE_VERSION);
MODULE_LICENSE("GPL");

static const struct x86_cpu_id svm_cpu_id[] = {
	X86_MATCH_FEATURE(X86_FEATURE_SVM, NULL),
	{}
};
MODULE_DEVICE_TABLE(x86cpu, svm_cpu_id);

static bool npt = true;
module_param(npt, bool, 0444);
MODULE_PARM_DESC(npt, "Use nested paging where the processor has it (default Y)");

static bool nrips = true;
module_param(nrips, bool, 0444);
MODULE_PARM_DESC(nrips, "Take the next instruction's address from the processor");

/* Read by Linux's KVM selftests. */
static bool avic;
module_param(avic, bool, 0444);
MODULE_PARM_DESC(avic, "Always N: the local APIC is the module's, not the processor's");

/* Read by libvirt. There is no nested virtualization. */
static bool nested;
module_param(nested, bool, 0444);
MODULE_PARM_DESC(nested, "Always N: guests have no SVM of their own");

/* Not in the kernel's headers; APM vol. 2, appendix C. */
#define SVM_EXIT_INVLPGB	0x0a0
#define SVM_EXIT_TLBSYNC	0x0a4
#define NPF_GUEST_TABLE	BIT_ULL(33)	/* the access was the walk's, APM 15.25.6 */

#define CR0_GUESTS		((u64)(X86_CR0_TS | X86_CR0_MP))
#define PAUSE_FILTER_COUNT	3000
#define PAUSE_FILTER_THRESHOLD	128

struct svm_vcpu {
	struct kvm_vcpu vcpu;
	struct vmcb *vmcb;
	u64 vmcb_pa;
	u64 cr3;		/* the guest's, with shadow paging */
	u64 asid_generation;
	int asid_cpu;
	u64 next_rip;		/* behind the instruction that exited, or 0 */
	bool host_saved;	/* the host's state is in cpu_data.host_pa */
	bool nmi_masked;
	bool iret_seen;		/* the IRET at iret_rip runs and unmasks NMIs */
	u64 iret_rip;
	bool nmi_step;		/* TF is ours, to find the end of that IRET */
	u64 nmi_step_tf;	/* the guest's own TF meanwhile */
	u64 nmi_step_dr6;	/* ... and its DR6 before */
	u64 trap_rip;		/* of the INT3 or INTO whose trap is injected, or 0 */
};

/* Per host processor. */
struct svm_cpu {
	unsigned long pages;	/* one for VMRUN's own use, one for ... */
	u64 host_pa;		/* ... VMSAVE of the host's state */
	u64 asid_generation;
	u32 next_asid, max_asid;
	struct vmcb *last_vmcb;
	u64 tsc_ratio;		/* in the MSR; 0: not known */
};

static DEFINE_PER_CPU(struct svm_cpu, svm_cpu);

#define IOPM_PAGES	3	/* one bit a port, 64 Ki ports and 3 more */
#define MSRPM_PAGES	2	/* two bits an MSR, three ranges of 8 Ki MSRs */
#define MAP_PAGES	(IOPM_PAGES + 2 * MSRPM_PAGES)
static void *iopm, *msrpm, *msrpm_all;	/* msrpm_all: every MSR exits */

void svm_run(u64 vmcb_pa, u64 *regs, u64 host_pa);

static struct svm_vcpu *to_svm(struct kvm_vcpu *vcpu)
{
	return container_of(vcpu, struct svm_vcpu, vcpu);
}

static void set_intercept(struct svm_vcpu *svm, unsigned int bit, bool on)
{
	u32 *word = &svm->vmcb->control.intercepts[bit / 32], mask = BIT(bit % 32);

	*word = on ? *word | mask : *word & ~mask;
}

/* ---- host processors ----------------------------------------------------- */

static int svm_cpu_enable(void)
{
	struct svm_cpu *cpu = this_cpu_ptr(&svm_cpu);
	u64 efer;

	rdmsrl(MSR_EFER, efer);
	if (efer & EFER_SVME)
		return -EBUSY;	/* another hypervisor has this processor */
	wrmsrl(MSR_EFER, efer | EFER_SVME);
	wrmsrl(MSR_VM_HSAVE_PA, __pa(cpu->pages));
	/* A vCPU may still have an ASID from before the processor was switched off. */
	cpu->asid_generation++;
	cpu->max_asid = cpuid_ebx(0x8000000a) - 1;
	cpu->next_asid = cpu->max_asid + 1;	/* the first use flushes all */
	cpu->tsc_ratio = 0;
	return 0;
}

static void svm_cpu_disable(void)
{
	u64 efer;

	rdmsrl(MSR_EFER, efer);
	if (!(efer & EFER_SVME))
		return;
	/* A crash may come with GIF clear; the next kernel wants its NMIs. */
	asm volatile("stgi");
	wrmsrl(MSR_VM_HSAVE_PA, 0);
	wrmsrl(MSR_EFER, efer & ~EFER_SVME);
}

/* ---- virtual processors -------------------------------------------------- */

static void svm_update_debug(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->vmcb->save.dr6 = vcpu->guest_debug ? DR6_FIXED : vcpu->dr6;
	svm->vmcb->save.dr7 = vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP ?
		vcpu->debug_dr7 : vcpu->dr7;
	set_intercept(svm, INTERCEPT_EXCEPTION_OFFSET + X86_TRAP_BP,
		      vcpu->guest_debug & KVM_GUESTDBG_USE_SW_BP);
}

/* What leaves the guest, always. */
static const u16 intercepts[] = {
	INTERCEPT_SELECTIVE_CR0, INTERCEPT_CR4_WRITE, INTERCEPT_CR8_WRITE,
	/* Delivering #DB or #AC can raise it again, for ever: be in the loop. */
	INTERCEPT_EXCEPTION_OFFSET + X86_TRAP_DB,
	INTERCEPT_EXCEPTION_OFFSET + X86_TRAP_AC,
	INTERCEPT_EXCEPTION_OFFSET + X86_TRAP_UD,	/* VMCALL becomes VMMCALL */
	INTERCEPT_EXCEPTION_OFFSET + X86_TRAP_MC,	/* the host's */
	INTERCEPT_INTR, INTERCEPT_NMI, INTERCEPT_SMI, INTERCEPT_INIT, INTERCEPT_SHUTDOWN,
	INTERCEPT_RDPMC,	/* no performance counters in a guest */
	INTERCEPT_CPUID, INTERCEPT_HLT, INTERCEPT_IOIO_PROT, INTERCEPT_MSR_PROT,
	INTERCEPT_VMMCALL, INTERCEPT_INVD, INTERCEPT_WBINVD, INTERCEPT_XSETBV,
	/* VMRUN must be intercepted; all of these are #UD. */
	INTERCEPT_VMRUN, INTERCEPT_VMLOAD, INTERCEPT_VMSAVE, INTERCEPT_STGI, INTERCEPT_CLGI,
	INTERCEPT_SKINIT, INTERCEPT_INVLPGA, INTERCEPT_RSM, INTERCEPT_MONITOR, INTERCEPT_MWAIT,
	INTERCEPT_RDPRU, INTERCEPT_INVLPGB, INTERCEPT_TLBSYNC, INTERCEPT_INVPCID,
};

/*
 * And with shadow paging. QEMU's emulation (10.0) asks the bit of CR0 for moves
 * from and to every control register.
 */
static const u16 shadow_intercepts[] = {
	INTERCEPT_CR0_READ, INTERCEPT_CR0_WRITE, INTERCEPT_CR3_READ, INTERCEPT_CR3_WRITE,
	INTERCEPT_CR4_READ,
	INTERCEPT_EXCEPTION_OFFSET + X86_TRAP_PF,
	INTERCEPT_INVLPG,
	INTERCEPT_TASK_SWITCH,	/* loads CR3 from the guest's memory */
};

static void svm_intercepts_changed(struct kvm_vcpu *vcpu)
{
	struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;
	u32 disabled = vcpu->kvm->disabled_exits;

	control->msrpm_base_pa =
		__pa(rcu_access_pointer(vcpu->kvm->msr_filter) ? msrpm_all : msrpm);
	set_intercept(to_svm(vcpu), INTERCEPT_HLT, !(disabled & KVM_X86_DISABLE_EXITS_HLT));
	/* Else it would read the host's TSC_AUX. */
	set_intercept(to_svm(vcpu), INTERCEPT_RDTSCP, !vcpu->wants_tsc_aux);
	/* A guest that spins: every so many PAUSEs, none for a while, give the CPU away. */
	set_intercept(to_svm(vcpu), INTERCEPT_PAUSE, boot_cpu_has(X86_FEATURE_PAUSEFILTER) &&
						     !(disabled & KVM_X86_DISABLE_EXITS_PAUSE));
	control->pause_filter_count = PAUSE_FILTER_COUNT;
	if (boot_cpu_has(X86_FEATURE_PFTHRESHOLD))
		control->pause_filter_thresh = PAUSE_FILTER_THRESHOLD;
}

/* Bits 0 to 7: reads, 16 to 23: writes. */
static void svm_watch_debugregs(struct kvm_vcpu *vcpu, bool watch)
{
	struct vmcb *vmcb = to_svm(vcpu)->vmcb;

	vmcb->control.intercepts[INTERCEPT_DR] = watch ? 0xff00ff : 0;
	if (watch) {
		vcpu->dr6 = vmcb->save.dr6;
		vcpu->dr7 = vmcb->save.dr7;
	} else {
		/* A #DB that was delivered meanwhile left something in vcpu->dr6. */
		vmcb->save.dr6 = vcpu->dr6;
	}
}

/*
 * Also while we wait for an interrupt window: QEMU's emulation (10.0) ends in an
 * assertion when a guest writes to CR8 then.
 */
static void svm_watch_tpr(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	set_intercept(svm, INTERCEPT_CR8_WRITE, !vcpu->lapic || vcpu->tpr_watched ||
						svm->vmcb->control.int_ctl & V_IRQ_MASK);
}

static void svm_vcpu_reset(struct kvm_vcpu *vcpu, bool init)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb_control_area *control = &svm->vmcb->control;

	memset(control, 0, sizeof(*control));
	/* Generic code sets what is not an MSR of it register by register. */
	if (!init)
		memset(&svm->vmcb->save, 0, sizeof(svm->vmcb->save));
	for (int i = 0; i < ARRAY_SIZE(intercepts); i++)
		set_intercept(svm, intercepts[i], true);
	for (int i = 0; !npt && i < ARRAY_SIZE(shadow_intercepts); i++)
		set_intercept(svm, shadow_intercepts[i], true);
	control->intercepts[INTERCEPT_DR] = 0xff00ff;
	control->iopm_base_pa = __pa(iopm);
	svm_intercepts_changed(vcpu);
	control->int_ctl = V_INTR_MASKING_MASK;
	/* nested_cr3: svm_space_changed() */
	control->nested_ctl = npt ? SVM_NESTED_CTL_NP_ENABLE : 0;
	svm->vmcb->save.g_pat = vcpu->pat;
	svm->asid_generation = 0;
	svm->nmi_masked = svm->iret_seen = svm->nmi_step = false;
	svm->trap_rip = 0;
}

static int svm_vcpu_create(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->vmcb = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!svm->vmcb)
		return -ENOMEM;
	svm->vmcb_pa = __pa(svm->vmcb);
	svm->asid_cpu = -1;
	return 0;
}

static void svm_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	int cpu;

	/* The page may come back as another vCPU's: that one is a stranger. */
	for_each_possible_cpu(cpu)
		cmpxchg(&per_cpu(svm_cpu, cpu).last_vmcb, svm->vmcb, NULL);
	free_page((unsigned long)svm->vmcb);
}

static void svm_vcpu_load(struct kvm_vcpu *vcpu, int cpu)
{
	u64 ratio = vcpu->tsc_ratio ?: BIT_ULL(kvm_ops->tsc_ratio_bits);
	struct svm_cpu *data = &per_cpu(svm_cpu, cpu);
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->host_saved = false;
	if (data->last_vmcb != svm->vmcb) {
		/* One guest must not train another's branches. */
		if (data->last_vmcb)
			indirect_branch_prediction_barrier();
		data->last_vmcb = svm->vmcb;
	}
	if (kvm_ops->tsc_ratio_bits && data->tsc_ratio != ratio) {
		wrmsrl(MSR_AMD64_TSC_RATIO, ratio);
		data->tsc_ratio = ratio;
	}
}

static void svm_vcpu_put(struct kvm_vcpu *vcpu)
{
	kvm_load_host_ldt();
}

/* ---- into the guest ------------------------------------------------------ */

static void svm_flush_tlb(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (boot_cpu_has(X86_FEATURE_FLUSHBYASID))
		svm->vmcb->control.tlb_ctl = TLB_CONTROL_FLUSH_ASID;
	else
		svm->asid_generation = 0;	/* a new ASID knows nothing */
}

static void assign_asid(struct svm_vcpu *svm, struct svm_cpu *cpu)
{
	if (cpu->next_asid > cpu->max_asid) {
		cpu->asid_generation++;
		cpu->next_asid = 1;
		svm->vmcb->control.tlb_ctl = TLB_CONTROL_FLUSH_ALL_ASID;
	}
	svm->asid_generation = cpu->asid_generation;
	svm->asid_cpu = raw_smp_processor_id();
	svm->vmcb->control.asid = cpu->next_asid++;
}

/* With V_SPEC_CTRL the processor does it. */
static __always_inline void switch_spec_ctrl(u64 from, u64 to)
{
	if (cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL) &&
	    !cpu_feature_enabled(X86_FEATURE_V_SPEC_CTRL) && from != to)
		native_wrmsrl(MSR_IA32_SPEC_CTRL, to);
}

static void svm_enter(struct kvm_vcpu *vcpu)
{
	struct svm_cpu *cpu = this_cpu_ptr(&svm_cpu);
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	u64 host_spec_ctrl = this_cpu_read(x86_spec_ctrl_current);

	if (unlikely(svm->asid_generation != cpu->asid_generation || svm->asid_cpu != vcpu->cpu))
		assign_asid(svm, cpu);
	if (!svm->host_saved) {
		asm volatile("vmsave %0" : : "a" (cpu->host_pa) : "memory");
		svm->host_saved = true;
	}
	vmcb->save.rax = vcpu->regs[REG_RAX];
	vmcb->save.rsp = vcpu->regs[REG_RSP];
	vmcb->save.rip = vcpu->regs[REG_RIP];
	vmcb->save.cr2 = vcpu->cr2;
	if (!npt)
		vmcb->save.cr3 = vcpu->shadow.cr3;
	vmcb->control.int_ctl = (vmcb->control.int_ctl & ~V_TPR_MASK) | vcpu->cr8;

	if (cpu_feature_enabled(X86_FEATURE_V_SPEC_CTRL))
		vmcb->save.spec_ctrl = vcpu->spec_ctrl;

	asm volatile("clgi");
	switch_spec_ctrl(host_spec_ctrl, vcpu->spec_ctrl);
	svm_run(svm->vmcb_pa, vcpu->regs, cpu->host_pa);
	switch_spec_ctrl(vcpu->spec_ctrl, host_spec_ctrl);
	/* A pending NMI is taken here. */
	asm volatile("stgi");

	vcpu->regs[REG_RAX] = vmcb->save.rax;
	vcpu->regs[REG_RSP] = vmcb->save.rsp;
	vcpu->regs[REG_RIP] = vmcb->save.rip;
	vcpu->cr2 = vmcb->save.cr2;
	/* Changes of these bits alone do not exit. */
	if (npt)
		vcpu->cr0 = (vcpu->cr0 & ~CR0_GUESTS) | (vmcb->save.cr0 & CR0_GUESTS);
	vmcb->control.tlb_ctl = TLB_CONTROL_DO_NOTHING;
}

static void svm_handle_exit_irqoff(struct kvm_vcpu *vcpu)
{
	/* The machine check is the host's, whoever was running. */
	if (unlikely(to_svm(vcpu)->vmcb->control.exit_code == SVM_EXIT_EXCP_BASE + X86_TRAP_MC))
		kvm_host_machine_check();
}

/* ---- registers ----------------------------------------------------------- */

static u64 svm_get_rflags(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u64 rflags = svm->vmcb->save.rflags;

	if (unlikely(svm->nmi_step))
		rflags = (rflags & ~(u64)X86_EFLAGS_TF) | svm->nmi_step_tf;
	return rflags;
}

static void svm_set_rflags(struct kvm_vcpu *vcpu, u64 rflags)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (unlikely(svm->nmi_step)) {
		svm->nmi_step_tf = rflags & X86_EFLAGS_TF;
		rflags |= X86_EFLAGS_TF;
	}
	svm->vmcb->save.rflags = rflags;
}

static struct vmcb_seg *segment(struct kvm_vcpu *vcpu, int seg)
{
	/* The save area begins with ES, CS, SS, DS, FS, GS, GDTR, LDTR, IDTR and TR. */
	static const u8 place[] = {
		0, 1, 2, 3, 4, 5, [SEG_LDTR] = 7, [SEG_TR] = 9, [SEG_GDTR] = 6, [SEG_IDTR] = 8,
	};

	return (struct vmcb_seg *)&to_svm(vcpu)->vmcb->save + place[seg];
}

/* The attribute word: bits 8 to 15 and 20 to 23 of a descriptor, put together. */
static void svm_get_segment(struct kvm_vcpu *vcpu, int seg, struct kvm_segment *s)
{
	const struct vmcb_seg *v = segment(vcpu, seg);

	*s = unpack_segment(v->selector, (v->attrib & 0xff) | (v->attrib & 0xf00) << 4, v->limit,
			    v->base);
	s->unusable = seg < NR_SEGS && !s->present;
	/* The processor keeps the privilege level apart from SS. */
	if (seg == SEG_SS)
		s->dpl = to_svm(vcpu)->vmcb->save.cpl;
}

static void svm_set_segment(struct kvm_vcpu *vcpu, int seg, const struct kvm_segment *s)
{
	struct vmcb_seg *v = segment(vcpu, seg);
	u16 attributes = pack_attributes(s);

	v->base = s->base;
	v->limit = s->limit;
	v->selector = s->selector;
	/* Unusable is one that is not present. */
	v->attrib = (attributes & (s->unusable ? 0x7f : 0xff)) | (attributes >> 4 & 0xf00);
	if (seg == SEG_SS)
		to_svm(vcpu)->vmcb->save.cpl = s->dpl;
}

static int svm_get_cpl(struct kvm_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->save.cpl;
}

static u64 svm_get_cr3(struct kvm_vcpu *vcpu)
{
	return npt ? to_svm(vcpu)->vmcb->save.cr3 : to_svm(vcpu)->cr3;
}

static void svm_set_cr3(struct kvm_vcpu *vcpu, u64 cr3)
{
	if (npt)
		to_svm(vcpu)->vmcb->save.cr3 = cr3;
	else
		to_svm(vcpu)->cr3 = cr3;
}

/*
 * A guest that switches its caches off would only make itself slow: its memory
 * stays cached. It reads back what it wrote, by intercepting the read, and as to
 * the processor the caches are on, switching them on would be no change: that
 * write is intercepted, too. With shadow paging, behind the guest's back it always
 * pages, with eight-byte entries.
 */
static void svm_set_modes(struct kvm_vcpu *vcpu)
{
	struct vmcb_save_area *save = &to_svm(vcpu)->vmcb->save;
	u64 hidden = X86_CR4_PSE | X86_CR4_PGE | X86_CR4_PCIDE;

	save->cr0 = vcpu->cr0 & ~(u64)(X86_CR0_CD | X86_CR0_NW);
	save->cr4 = vcpu->cr4;
	save->efer = vcpu->efer | EFER_SVME;	/* VMRUN wants it */
	if (npt) {
		set_intercept(to_svm(vcpu), INTERCEPT_CR0_READ, save->cr0 != vcpu->cr0);
		set_intercept(to_svm(vcpu), INTERCEPT_CR0_WRITE, save->cr0 != vcpu->cr0);
		return;
	}
	if (!(vcpu->cr0 & X86_CR0_PG))
		hidden |= X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_PKE;
	save->cr0 |= X86_CR0_PG | X86_CR0_WP;
	save->cr4 = (vcpu->cr4 & ~hidden) | X86_CR4_PAE;
	save->efer |= EFER_NX;
	if (!kvm_is_long_mode(vcpu))
		save->efer &= ~(u64)EFER_LME;
}

static void svm_space_changed(struct kvm_vcpu *vcpu)
{
	to_svm(vcpu)->vmcb->control.nested_cr3 = vcpu->space->tdp_root;
}

static void svm_set_tsc_offset(struct kvm_vcpu *vcpu)
{
	to_svm(vcpu)->vmcb->control.tsc_offset = vcpu->tsc_offset;
}

/* The MSRs that VMLOAD and VMSAVE switch. */
static u64 *saved_msr(struct kvm_vcpu *vcpu, u32 index)
{
	struct vmcb_save_area *save = &to_svm(vcpu)->vmcb->save;

	switch (index) {
	case MSR_STAR:			return &save->star;
	case MSR_LSTAR:			return &save->lstar;
	case MSR_CSTAR:			return &save->cstar;
	case MSR_SYSCALL_MASK:		return &save->sfmask;
	case MSR_KERNEL_GS_BASE:	return &save->kernel_gs_base;
	case MSR_FS_BASE:		return &save->fs.base;
	case MSR_GS_BASE:		return &save->gs.base;
	case MSR_IA32_SYSENTER_CS:	return &save->sysenter_cs;
	case MSR_IA32_SYSENTER_ESP:	return &save->sysenter_esp;
	case MSR_IA32_SYSENTER_EIP:	return &save->sysenter_eip;
	case MSR_IA32_CR_PAT:		return &save->g_pat;
	default:			return NULL;
	}
}

static int svm_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *value)
{
	u64 *msr = saved_msr(vcpu, index);

	if (!msr)
		return 1;
	*value = *msr;
	return 0;
}

static int svm_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 value)
{
	u64 *msr = saved_msr(vcpu, index);

	if (msr)
		*msr = value;
	/* PAT is vcpu->pat, too. */
	return !msr || index == MSR_IA32_CR_PAT;
}

/* ---- events -------------------------------------------------------------- */

static void svm_set_nmi_mask(struct kvm_vcpu *vcpu, bool masked)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->nmi_masked = masked;
	svm->iret_seen = false;
	set_intercept(svm, INTERCEPT_IRET, masked);
}

static bool is_soft_exception(u32 info)
{
	u8 nr = info & SVM_EXITINTINFO_VEC_MASK;

	return EVENT_TYPE(info) == EVENT_TYPE_HWEXC &&
	       (nr == X86_TRAP_BP || nr == X86_TRAP_OF);
}

static void end_nmi_step(struct svm_vcpu *svm)
{
	svm->vmcb->save.rflags = svm_get_rflags(&svm->vcpu);
	svm->nmi_step = false;
}

/* A trap of INT3 or INTO returns behind it; RIP is at it until the delivery. */
static void svm_inject(struct kvm_vcpu *vcpu, u32 info, u32 error_code)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb_control_area *control = &svm->vmcb->control;

	if (is_soft_exception(info)) {
		svm->trap_rip = vcpu->regs[REG_RIP];
		control->next_rip = ++vcpu->regs[REG_RIP];
	}
	control->event_inj = info;
	control->event_inj_err = error_code;
	/* It pushes the guest's own TF. */
	end_nmi_step(svm);
	/* An IRET that it comes before runs, and exits, again. */
	if (svm->iret_seen || EVENT_TYPE(info) == EVENT_TYPE_NMI)
		svm_set_nmi_mask(vcpu, true);
}

/* vcpu->events still says "injected": the next entry does it. */
static void svm_cancel_injection(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	svm->vmcb->control.event_inj = 0;
	if (svm->trap_rip)
		vcpu->regs[REG_RIP] = svm->trap_rip;
	svm->trap_rip = 0;
}

static void svm_irq_window(struct kvm_vcpu *vcpu, bool open)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	if (open)
		svm->vmcb->control.int_ctl |= V_IRQ_INJECTION_BITS_MASK;
	else
		svm->vmcb->control.int_ctl &= ~V_IRQ_INJECTION_BITS_MASK;
	set_intercept(svm, INTERCEPT_VINTR, open);
	svm_watch_tpr(vcpu);
}

static void svm_request_nmi_window(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	/* The IRET is still to come, and intercepted. Or it is next: see another_waits(). */
	if ((svm->nmi_masked && !svm->iret_seen) || svm->vmcb->control.event_inj || svm->nmi_step)
		return;
	/* Behind the IRET, or behind an interrupt shadow: one step away. */
	svm->nmi_step_tf = svm->vmcb->save.rflags & X86_EFLAGS_TF;
	svm->nmi_step_dr6 = vcpu->dr6;
	svm->nmi_step = true;
	svm->vmcb->save.rflags |= X86_EFLAGS_TF;
}

static u32 svm_get_shadow(struct kvm_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->control.int_state & SVM_INTERRUPT_SHADOW_MASK ?
		KVM_X86_SHADOW_INT_STI | KVM_X86_SHADOW_INT_MOV_SS : 0;
}

static void svm_set_shadow(struct kvm_vcpu *vcpu, u32 shadow)
{
	to_svm(vcpu)->vmcb->control.int_state = shadow ? SVM_INTERRUPT_SHADOW_MASK : 0;
}

static bool svm_get_nmi_mask(struct kvm_vcpu *vcpu)
{
	return to_svm(vcpu)->nmi_masked;
}

/* The usual bytes of the instruction that exits with a reason, the first lowest. */
static const struct usual_code {
	u32 code;
	int length;
} usual_code[] = {
	[SVM_EXIT_CPUID]	= { 0xa20f, 2 },
	[SVM_EXIT_HLT]		= { 0xf4, 1 },
	[SVM_EXIT_MSR]		= { 0x320f, 2 },	/* WRMSR: 0x300f */
	[SVM_EXIT_VMMCALL]	= { 0xd9010f, 3 },
	[SVM_EXIT_WBINVD]	= { 0x090f, 2 },
	[SVM_EXIT_XSETBV]	= { 0xd1010f, 3 },
};

static u64 linear_rip(struct kvm_vcpu *vcpu)
{
	const struct vmcb_seg *cs = &to_svm(vcpu)->vmcb->save.cs;

	if (cs->attrib & SVM_SELECTOR_L_MASK && kvm_is_long_mode(vcpu))
		return vcpu->regs[REG_RIP];
	return (u32)(vcpu->regs[REG_RIP] + cs->base);
}

/* 0: it cannot be read, or is none. */
static int instruction_length(struct kvm_vcpu *vcpu)
{
	const struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;
	struct usual_code usual = {};

	if (control->exit_code < ARRAY_SIZE(usual_code))
		usual = usual_code[control->exit_code];
	if (control->exit_code == SVM_EXIT_MSR && control->exit_info_1)
		usual.code = 0x300f;
	if (usual.length && kvm_code_is(vcpu, linear_rip(vcpu), usual.code, usual.length))
		return usual.length;
	return kvm_instruction_length(vcpu);
}

static int svm_skip_instruction(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb *vmcb = svm->vmcb;
	int length = svm->next_rip ? svm->next_rip - vcpu->regs[REG_RIP] : instruction_length(vcpu);

	if (!length)
		return kvm_internal_error(vcpu, KVM_INTERNAL_ERROR_EMULATION,
					  vmcb->control.exit_code, vcpu->regs[REG_RIP]);
	if (unlikely(vmcb->save.rflags & X86_EFLAGS_TF || !kvm_is_long_mode(vcpu)))
		return kvm_skip_bytes(vcpu, length);
	vcpu->regs[REG_RIP] += length;
	vmcb->control.int_state = 0;
	return 1;
}

/* ---- out of the guest: one handler a reason ------------------------------ */

static int handle_nmi(struct kvm_vcpu *vcpu)
{
	vcpu->stat[STAT_nmi]++;
	return 1;
}

static int handle_cr(struct kvm_vcpu *vcpu)
{
	vcpu->stat[STAT_cr]++;
	return kvm_emulate(vcpu);
}

static int handle_db(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u64 dr6 = svm->vmcb->save.dr6;
	bool own = svm->nmi_step && !svm->nmi_step_tf &&
		   !(vcpu->guest_debug & KVM_GUESTDBG_SINGLESTEP);

	end_nmi_step(svm);
	if (own) {
		/* BS is ours; a guest that has the debug registers would find it. */
		vcpu->dr6 &= svm->nmi_step_dr6 | ~(u64)DR_STEP;
		dr6 &= ~(u64)DR_STEP;
	}
	svm->vmcb->save.dr6 = vcpu->guest_debug ? DR6_FIXED : vcpu->dr6;
	return own && !(dr6 & DR_TRAP_BITS) ? 1 : kvm_handle_debug(vcpu, dr6);
}

static int handle_exception(struct kvm_vcpu *vcpu)
{
	const struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;

	vcpu->stat[STAT_exception]++;
	switch (control->exit_code - SVM_EXIT_EXCP_BASE) {
	case X86_TRAP_PF:
		return kvm_handle_shadow_fault(vcpu, control->exit_info_2, control->exit_info_1);
	case X86_TRAP_DB:
		return handle_db(vcpu);
	case X86_TRAP_BP:
		return kvm_handle_breakpoint(vcpu);
	case X86_TRAP_UD:
		return kvm_handle_undefined(vcpu);
	case X86_TRAP_AC:
		kvm_queue_exception_e(vcpu, X86_TRAP_AC, 0);
		return 1;
	case X86_TRAP_MC:
		return 1;	/* the host's, handled */
	default:
		return kvm_internal_error(vcpu, KVM_INTERNAL_ERROR_SIMUL_EX,
					  control->exit_code, control->exit_int_info);
	}
}

static int handle_irq_window(struct kvm_vcpu *vcpu)
{
	vcpu->stat[STAT_irq_window]++;
	svm_irq_window(vcpu, false);
	return 1;
}

static int handle_iret(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);

	vcpu->stat[STAT_nmi_window]++;
	set_intercept(svm, INTERCEPT_IRET, false);
	svm->iret_seen = true;
	svm->iret_rip = kvm_reg_read(vcpu, REG_RIP);
	return 1;
}

static int handle_io(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u32 info = svm->vmcb->control.exit_info_1;

	if (info & SVM_IOIO_STR_MASK)
		return kvm_emulate(vcpu);
	svm->next_rip = svm->vmcb->control.exit_info_2;
	return kvm_handle_pio(vcpu, info >> 16,
			      (info & SVM_IOIO_SIZE_MASK) >> SVM_IOIO_SIZE_SHIFT,
			      info & SVM_IOIO_TYPE_MASK);
}

static int handle_msr(struct kvm_vcpu *vcpu)
{
	return to_svm(vcpu)->vmcb->control.exit_info_1 ?
		kvm_handle_wrmsr(vcpu) : kvm_handle_rdmsr(vcpu);
}

static int handle_npf(struct kvm_vcpu *vcpu)
{
	const struct vmcb_control_area *control = &to_svm(vcpu)->vmcb->control;
	u32 access = (control->exit_info_1 & X86_PF_WRITE ? ACCESS_WRITE : 0) |
		     (control->exit_info_1 & X86_PF_INSTR ? ACCESS_EXEC : 0) |
		     (control->exit_info_1 & NPF_GUEST_TABLE ? ACCESS_SYSTEM : 0);

	return kvm_handle_memory_fault(vcpu, control->exit_info_2, access, 0, NULL);
}

/* The VMCB's save area is undefined now. */
static int handle_shutdown(struct kvm_vcpu *vcpu)
{
	kvm_vcpu_reset(vcpu, false);
	return kvm_handle_triple_fault(vcpu);
}

static int (*const handlers[])(struct kvm_vcpu *vcpu) = {
	[SVM_EXIT_READ_CR0 ... SVM_EXIT_WRITE_CR8] = handle_cr,
	[SVM_EXIT_CR0_SEL_WRITE]	= handle_cr,
	[SVM_EXIT_READ_DR0 ... SVM_EXIT_WRITE_DR7] = kvm_handle_dr,
	[SVM_EXIT_EXCP_BASE ... SVM_EXIT_LAST_EXCP] = handle_exception,
	[SVM_EXIT_INTR]			= kvm_handle_irq,
	[SVM_EXIT_NMI]			= handle_nmi,
	[SVM_EXIT_SMI ... SVM_EXIT_INIT] = kvm_handle_nothing,
	[SVM_EXIT_VINTR]		= handle_irq_window,
	[SVM_EXIT_RDPMC]		= kvm_handle_gp,	/* there are no counters */
	[SVM_EXIT_CPUID]		= kvm_handle_cpuid,
	[SVM_EXIT_RSM]			= kvm_handle_undefined,
	[SVM_EXIT_IRET]			= handle_iret,
	[SVM_EXIT_INVD]			= kvm_handle_wbinvd,
	[SVM_EXIT_PAUSE]		= kvm_handle_pause,
	[SVM_EXIT_HLT]			= kvm_handle_hlt,
	[SVM_EXIT_INVLPG]		= kvm_emulate,
	[SVM_EXIT_INVLPGA]		= kvm_handle_ud,
	[SVM_EXIT_IOIO]			= handle_io,
	[SVM_EXIT_MSR]			= handle_msr,
	[SVM_EXIT_TASK_SWITCH]		= kvm_emulate_injected,
	[SVM_EXIT_SHUTDOWN]		= handle_shutdown,
	[SVM_EXIT_VMRUN]		= kvm_handle_ud,
	[SVM_EXIT_VMMCALL]		= kvm_handle_hypercall,
	[SVM_EXIT_VMLOAD ... SVM_EXIT_RDTSCP] = kvm_handle_ud,
	[SVM_EXIT_WBINVD]		= kvm_handle_wbinvd,
	[SVM_EXIT_MONITOR ... SVM_EXIT_MWAIT] = kvm_handle_ud,
	[SVM_EXIT_XSETBV]		= kvm_handle_xsetbv,
	[SVM_EXIT_RDPRU]		= kvm_handle_ud,
	[SVM_EXIT_INVLPGB ... SVM_EXIT_TLBSYNC] = kvm_handle_ud,	/* and INVPCID */
	[SVM_EXIT_NPF]			= handle_npf,
};

/* What was being delivered when the guest left is delivered again. */
static void requeue_event(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	struct vmcb_control_area *control = &svm->vmcb->control;
	u32 info = control->exit_int_info;
	u64 trap_rip = svm->trap_rip;

	control->event_inj = 0;
	svm->trap_rip = 0;
	kvm_clear_injected(vcpu);
	if (likely(!(info & EVENT_VALID)))
		return;
	/* INT n, INT3 and INTO run again by themselves: RIP is at them. */
	if (is_soft_exception(info))
		vcpu->regs[REG_RIP] = trap_rip ?: vcpu->regs[REG_RIP];
	else if (EVENT_TYPE(info) != EVENT_TYPE_SWINT)
		kvm_requeue_event(vcpu, info, control->exit_int_info_err);
}

static int svm_handle_exit(struct kvm_vcpu *vcpu)
{
	struct svm_vcpu *svm = to_svm(vcpu);
	u32 code = svm->vmcb->control.exit_code;

	svm->next_rip = nrips ? svm->vmcb->control.next_rip : 0;
	if (vcpu->cr8 != (svm->vmcb->control.int_ctl & V_TPR_MASK) && vcpu->lapic)
		kvm_set_cr8(vcpu, svm->vmcb->control.int_ctl & V_TPR_MASK);
	requeue_event(vcpu);
	if (unlikely(svm->iret_seen && kvm_reg_read(vcpu, REG_RIP) != svm->iret_rip))
		svm->nmi_masked = svm->iret_seen = false;

	if (unlikely(code == (u32)SVM_EXIT_ERR))
		return kvm_entry_failed(vcpu, code);
	if (unlikely(code >= ARRAY_SIZE(handlers) || !handlers[code])) {
		vcpu->stat[STAT_other]++;
		return kvm_internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON,
					  code, vcpu->cpu);
	}
	return handlers[array_index_nospec(code, ARRAY_SIZE(handlers))](vcpu);
}

/* ---- loading ------------------------------------------------------------- */

static struct kvm_tdp_format npt_format = {
	.present = _PAGE_PRESENT,
	/* The nested walk is always a user access. */
	.table = _PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED,
	.leaf = _PAGE_PRESENT | _PAGE_USER,
	.leaf_mmio = _PAGE_PRESENT | _PAGE_USER | _PAGE_PCD | _PAGE_PWT,
	.write = _PAGE_RW,
	.accessed = _PAGE_ACCESSED,
	.max_level = 2,
};

static struct kvm_x86_ops svm_ops __ro_after_init = {
	.name = "SVM",
	.hypercall = 0xd9010f,
	.foreign_hypercall = 0xc1010f,
	.vcpu_size = sizeof(struct svm_vcpu),
	KVM_VENDOR_OPS(svm),
	.set_cr3 = svm_set_cr3,
};

static void free_cpus(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		free_pages(per_cpu(svm_cpu, cpu).pages, 1);
	if (iopm)
		free_pages_exact(iopm, MAP_PAGES * PAGE_SIZE);
}

static int alloc_cpus(void)
{
	static const u32 passed[] = {
		MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_KERNEL_GS_BASE, MSR_FS_BASE,
		MSR_GS_BASE, MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
	};
	int cpu;

	iopm = alloc_pages_exact(MAP_PAGES * PAGE_SIZE, GFP_KERNEL);
	if (!iopm)
		return -ENOMEM;
	memset(iopm, 0xff, MAP_PAGES * PAGE_SIZE);
	msrpm = iopm + IOPM_PAGES * PAGE_SIZE;
	msrpm_all = msrpm + MSRPM_PAGES * PAGE_SIZE;
	/* Two bits an MSR, read and write; the second 2 KiB are those from 0xc0000000 on. */
	for (int i = 0; i < ARRAY_SIZE(passed); i++)
		bitmap_clear(msrpm, (passed[i] >> 31) * 0x4000 + (passed[i] & 0x1fff) * 2, 2);
	for_each_possible_cpu(cpu) {
		struct svm_cpu *data = &per_cpu(svm_cpu, cpu);
		struct page *page = alloc_pages_node(cpu_to_node(cpu), GFP_KERNEL | __GFP_ZERO, 1);

		if (!page)
			return -ENOMEM;
		data->pages = (unsigned long)page_address(page);
		data->host_pa = page_to_phys(page) + PAGE_SIZE;
	}
	return 0;
}

static int __init svm_init(void)
{
	u64 vm_cr;
	int r;

	if (!boot_cpu_has(X86_FEATURE_SVM)) {
		pr_err("kvm-live: this processor has no SVM, or the kernel has hidden it\n");
		return -EOPNOTSUPP;
	}
	rdmsrl(MSR_VM_CR, vm_cr);
	if (vm_cr & SVM_VM_CR_SVM_DIS_MASK) {
		pr_err("kvm-live: SVM is switched off in the firmware; look for \"SVM Mode\" in its setup\n");
		return -EOPNOTSUPP;
	}
	/* The processor would take what we give it for plain text: VMCBs, tables, memory. */
	if (cc_platform_has(CC_ATTR_MEM_ENCRYPT)) {
		pr_err("kvm-live: no guests while the host's memory is encrypted; boot with mem_encrypt=off\n");
		return -EOPNOTSUPP;
	}
	nrips = nrips && boot_cpu_has(X86_FEATURE_NRIPS);
	npt = npt && boot_cpu_has(X86_FEATURE_NPT);
	if (npt)
		svm_ops.tdp = &npt_format;
	if (boot_cpu_has(X86_FEATURE_TSCRATEMSR))
		svm_ops.tsc_ratio_bits = 32;
	/* The nested walk uses the host's paging mode. */
	npt_format.levels = pgtable_l5_enabled() ? 5 : 4;
	if (boot_cpu_has(X86_FEATURE_GBPAGES))
		npt_format.max_level = 3;
	r = alloc_cpus();
	if (!r)
		r = kvm_register_vendor(&svm_ops, THIS_MODULE);
	if (r)
		free_cpus();
	return r;
}
module_init(svm_init);

static void __exit svm_exit(void)
{
	kvm_unregister_vendor();
	free_cpus();
}
module_exit(svm_exit);
