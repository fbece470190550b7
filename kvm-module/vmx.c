// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmx.c: Intel's VMX behind struct kvm_x86_ops.
 *
 * A vCPU has a VMCS, a page that the processor keeps its own view of: it must be
 * made current (VMPTRLD) on one CPU at a time and flushed (VMCLEAR) there before
 * it moves. Each CPU lists the VMCSs that it may have in its caches, so that
 * hotplug, suspend and crash can flush them; the list is changed with interrupts
 * off on that CPU and read from NMI context in a crash.
 *
 * Memory is translated by EPT, whose tables mmu.c builds after ept_format, or by
 * shadow tables (shadow.c). Real mode and unpaged protected mode run as such
 * ("unrestricted guest"). Without that feature unpaged protected mode runs on a
 * page table of ours, and every state that the processor cannot enter, real mode
 * first of all, is emulated (vmx_must_emulate) until the guest has left it.
 *
 * What the guest has of its own
 *   in the VMCS: CR0, CR3, CR4, DR7, RSP, RIP, RFLAGS, segments, descriptor
 *     tables, SYSENTER_*, FS and GS base, EFER: switched by the processor;
 *   KERNEL_GS_BASE, the host's segment registers: switched when the vCPU first
 *     enters after it was loaded, and back when it is put (host_save, vmx_vcpu_put);
 *   STAR, LSTAR, CSTAR, FMASK: the kernel does not use them, so they stay until
 *     the CPU returns to user space (user_msrs);
 *   SPEC_CTRL: switched by the entry code, only when it differs;
 *   PAT: not at all, since our leaves say the memory type and no more is asked.
 *
 * All bits of CR0 and CR4 are ours ("guest/host mask"): vcpu->cr0 and cr4 are the
 * truth, a write that changes a bit exits.
 *
 * References are to Intel's SDM, volume 3C, of December 2023.
 */
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/user-return-notifier.h>
#include <asm/cpu.h>
#include <asm/debugreg.h>
#include <asm/desc.h>
#include <asm/mmu_context.h>
#include <asm/msr.h>
#include <asm/nospec-branch.h>
#include <asm/perf_event.h>
#include <asm/processor.h>
#include <asm/spec-ctrl.h>
#include <asm/tlbflush.h>

#include "vmx.h"

MODULE_AUTHOR("The kvm-live founders");
MODULE_DESCRIPTION("kvm-live hypervisor: Intel VMX");
MODULE_VERSION(KVM_LIVE_VERSION);
MODULE_LICENSE("GPL");

/* A loop of PAUSEs no further apart than this, for so long, gives the CPU away. */
#define PLE_GAP_TICKS		128
#define PLE_WINDOW_TICKS	4096

static bool use_ept = true;
module_param_named(ept, use_ept, bool, 0444);
MODULE_PARM_DESC(ept, "translate guest memory by Extended Page Tables");
static bool use_unrestricted = true;
module_param_named(unrestricted_guest, use_unrestricted, bool, 0444);
MODULE_PARM_DESC(unrestricted_guest, "run real mode without emulation");
static bool use_vpid = true;
module_param_named(vpid, use_vpid, bool, 0444);
MODULE_PARM_DESC(vpid, "keep translations of several vCPUs apart in the TLB");

#define DR7_GENERAL_DETECT		BIT(13)
#define QUALIFICATION_IRET_UNBLOCKS	BIT(12)

struct vmx_vcpu {
	struct kvm_vcpu vcpu;
	struct vmx_switch sw;
	struct vmcs *vmcs;
	struct list_head link;		/* in loaded_vmcss of loaded_cpu */
	int loaded_cpu;			/* -1: flushed, on no CPU */
	u16 vpid;			/* 0: none */
	bool flush_ept, flush_vpid;	/* before the next entry */

	/* The last exit. */
	u32 exit_reason;		/* bit 31 alone: VMLAUNCH or VMRESUME failed */
	u32 intr_info;			/* read for EXIT_REASON_EXCEPTION_NMI */
	u32 idt_vectoring;

	/* What an interrupted delivery was, to be repeated as it was. */
	u32 redo_info;			/* type and vector, 0: nothing to repeat */
	u32 redo_length;

	/* What the VMCS holds, so that it is written only on change. */
	u32 primary;
	u32 *vtpr;			/* the TPR in the virtual-APIC page; NULL: none */
	u64 host_cr3, host_cr4;
	u64 cr3;			/* the guest's, while ... */
	bool cr3_hidden;		/* ... the processor has one of ours */

	/* Can the processor be in the guest's state at all? */
	bool invalid;
	bool state_changed;		/* look again */

	/* The host's state that the vCPU displaces. */
	bool host_saved;
	u16 host_ds, host_es;
	u64 kernel_gs_base;		/* the guest's */

	u64 user_msr[4];		/* the guest's, in the order of user_msrs */
	bool spec_ctrl_direct;		/* the guest writes SPEC_CTRL itself */
};

static struct vmx_vcpu *to_vmx(struct kvm_vcpu *vcpu)
{
	return container_of(vcpu, struct vmx_vcpu, vcpu);
}

/* ---- what this processor can do ------------------------------------------ */

/* The controls that every VMCS starts with, adjusted to the processor. */
static struct {
	u32 pin, primary, secondary, exit, entry;
	u32 revision;
	u8 invept, invvpid;	/* the narrowest type of flush that there is */
	u64 eptp_bits;
	u64 cr0_fixed0, cr0_fixed1, cr4_fixed0;
} caps __ro_after_init;

static struct kvm_tdp_format ept_format __ro_after_init = {
	.present = VMX_EPT_RWX_MASK,
	.table = VMX_EPT_RWX_MASK,
	.leaf = VMX_EPT_READABLE_MASK | VMX_EPT_EXECUTABLE_MASK |
		VMX_EPT_IPAT_BIT | X86_MEMTYPE_WB << VMX_EPT_MT_EPTE_SHIFT,
	.leaf_mmio = VMX_EPT_READABLE_MASK | VMX_EPT_EXECUTABLE_MASK |
		     VMX_EPT_IPAT_BIT | X86_MEMTYPE_UC << VMX_EPT_MT_EPTE_SHIFT,
	.write = VMX_EPT_WRITABLE_MASK,
	.levels = 4,
	.max_level = 1,
};

/*
 * Adjust wanted controls by a capability MSR: its low half has the bits that
 * must be 1, its high half those that may be (A.3.1). What is needed and not
 * possible is an error that names the MSR and the bits.
 */
static int __init adjust_controls(const char *name, u32 msr, u32 need, u32 want, u32 *result)
{
	u32 must, may;

	if (rdmsr_safe(msr, &must, &may)) {
		pr_err("kvm-live: MSR %#x (%s controls) cannot be read\n", msr, name);
		return -EIO;
	}
	*result = ((need | want) & may) | must;
	if (need & ~*result) {
		pr_err("kvm-live: the processor's VMX lacks %s controls %#x; kvm-intel cannot run on it\n",
		       name, need & ~*result);
		return -EOPNOTSUPP;
	}
	return 0;
}

/*
 * The "true" capability MSRs, where they exist, say for each default-1 control
 * whether it may be 0.
 */
static int __init vmx_setup_controls(void)
{
	struct {
		const char *name;
		u32 msr, need, want, *result;
	} const controls[] = {
		{ "pin-based", MSR_IA32_VMX_PINBASED_CTLS,
		  PIN_BASED_EXT_INTR_MASK | PIN_BASED_NMI_EXITING | PIN_BASED_VIRTUAL_NMIS, 0,
		  &caps.pin },
		{ "primary processor-based", MSR_IA32_VMX_PROCBASED_CTLS,
		  CPU_BASED_HLT_EXITING | CPU_BASED_USE_TSC_OFFSETTING |
		  CPU_BASED_MWAIT_EXITING | CPU_BASED_MONITOR_EXITING |
		  CPU_BASED_RDPMC_EXITING | CPU_BASED_CR8_LOAD_EXITING |
		  CPU_BASED_CR8_STORE_EXITING | CPU_BASED_MOV_DR_EXITING |
		  CPU_BASED_UNCOND_IO_EXITING | CPU_BASED_USE_MSR_BITMAPS,
		  CPU_BASED_ACTIVATE_SECONDARY_CONTROLS | CPU_BASED_TPR_SHADOW,
		  &caps.primary },
		{ "VM-exit", MSR_IA32_VMX_EXIT_CTLS,
		  VM_EXIT_HOST_ADDR_SPACE_SIZE | VM_EXIT_SAVE_DEBUG_CONTROLS,
		  VM_EXIT_LOAD_IA32_EFER, &caps.exit },
		{ "VM-entry", MSR_IA32_VMX_ENTRY_CTLS,
		  VM_ENTRY_LOAD_DEBUG_CONTROLS, VM_ENTRY_LOAD_IA32_EFER, &caps.entry },
	};
	u64 basic = native_read_msr(MSR_IA32_VMX_BASIC);
	/* From one row of MSRs to the other, which has the same order. */
	u32 true_ctls = basic & VMX_BASIC_TRUE_CTLS ?
			MSR_IA32_VMX_TRUE_PINBASED_CTLS - MSR_IA32_VMX_PINBASED_CTLS : 0;
	int r;

	if (vmx_basic_vmcs_size(basic) > PAGE_SIZE ||
	    vmx_basic_vmcs_mem_type(basic) != X86_MEMTYPE_WB) {
		pr_err("kvm-live: VMX_BASIC %#llx asks for a VMCS that we cannot make\n", basic);
		return -EIO;
	}
	caps.revision = vmx_basic_vmcs_revision_id(basic);
	for (int i = 0; i < ARRAY_SIZE(controls); i++) {
		r = adjust_controls(controls[i].name, controls[i].msr + true_ctls,
				    controls[i].need, controls[i].want, controls[i].result);
		if (r)
			return r;
	}
	/*
	 * Without these controls EFER.NX and SCE stay the host's, which shadow
	 * tables live with, and LME and LMA go by the address-space controls.
	 */
	if (!(caps.entry & VM_ENTRY_LOAD_IA32_EFER) || !(caps.exit & VM_EXIT_LOAD_IA32_EFER)) {
		caps.entry &= ~VM_ENTRY_LOAD_IA32_EFER;
		caps.exit &= ~VM_EXIT_LOAD_IA32_EFER;
		use_ept = false;
	}
	if (!(caps.primary & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS))
		return 0;
	return adjust_controls("secondary processor-based", MSR_IA32_VMX_PROCBASED_CTLS2, 0,
			       SECONDARY_EXEC_WBINVD_EXITING | SECONDARY_EXEC_ENABLE_EPT |
			       SECONDARY_EXEC_UNRESTRICTED_GUEST | SECONDARY_EXEC_ENABLE_VPID |
			       SECONDARY_EXEC_ENABLE_RDTSCP | SECONDARY_EXEC_PAUSE_LOOP_EXITING |
			       SECONDARY_EXEC_ENCLS_EXITING | SECONDARY_EXEC_TSC_SCALING,
			       &caps.secondary);
}

/* What to use of what the processor has: the parameters say so afterwards. */
static void __init vmx_setup_memory(void)
{
	u64 cap = 0, ept = VMX_EPT_PAGE_WALK_4_BIT | VMX_EPTP_WB_BIT | VMX_EPT_INVEPT_BIT;

	if (caps.secondary & (SECONDARY_EXEC_ENABLE_EPT | SECONDARY_EXEC_ENABLE_VPID))
		rdmsrl(MSR_IA32_VMX_EPT_VPID_CAP, cap);

	caps.invept = cap & VMX_EPT_EXTENT_CONTEXT_BIT ? VMX_EPT_EXTENT_CONTEXT :
		      cap & VMX_EPT_EXTENT_GLOBAL_BIT ? VMX_EPT_EXTENT_GLOBAL : 0;
	use_ept = use_ept && caps.secondary & SECONDARY_EXEC_ENABLE_EPT &&
		  (cap & ept) == ept && caps.invept;
	use_unrestricted = use_unrestricted && use_ept &&
		caps.secondary & SECONDARY_EXEC_UNRESTRICTED_GUEST;
	caps.eptp_bits = VMX_EPTP_MT_WB | VMX_EPTP_PWL_4;
	/* They make writes of all page walks, and the identity table read-only. */
	if (cap & VMX_EPT_AD_BIT && use_unrestricted) {
		caps.eptp_bits |= VMX_EPTP_AD_ENABLE_BIT;
		ept_format.accessed = VMX_EPT_ACCESS_BIT;
	}
	ept_format.max_level = cap & VMX_EPT_1GB_PAGE_BIT ? 3 : cap & VMX_EPT_2MB_PAGE_BIT ? 2 : 1;
	/* Code in a large leaf can stop such a processor (CVE-2018-12207). */
	itlb_multihit_kvm_mitigation = boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) && !cpu_mitigations_off();
	ept_format.large_less = itlb_multihit_kvm_mitigation ? VMX_EPT_EXECUTABLE_MASK : 0;

	caps.invvpid = cap >> 32 & VMX_VPID_EXTENT_SINGLE_CONTEXT_BIT ?
		       VMX_VPID_EXTENT_SINGLE_CONTEXT :
		       cap >> 32 & VMX_VPID_EXTENT_GLOBAL_CONTEXT_BIT ?
		       VMX_VPID_EXTENT_ALL_CONTEXT : 0;
	use_vpid = use_vpid && caps.secondary & SECONDARY_EXEC_ENABLE_VPID &&
		   cap >> 32 & VMX_VPID_INVVPID_BIT && caps.invvpid;

	if (!use_ept) {
		caps.secondary &= ~SECONDARY_EXEC_ENABLE_EPT;
		caps.primary |= CPU_BASED_INVLPG_EXITING;
	}
	if (!use_unrestricted)
		caps.secondary &= ~SECONDARY_EXEC_UNRESTRICTED_GUEST;
	if (!use_vpid)
		caps.secondary &= ~SECONDARY_EXEC_ENABLE_VPID;
}

/* ---- MSRs that the kernel leaves alone until it returns to user space ---- */

static const u32 user_msrs[] = {
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK,
};

static_assert(ARRAY_SIZE(user_msrs) == ARRAY_SIZE(((struct vmx_vcpu *)NULL)->user_msr));

struct user_msr_state {
	struct user_return_notifier notifier;
	bool registered;
	u64 host[ARRAY_SIZE(user_msrs)];
	u64 now[ARRAY_SIZE(user_msrs)];
};
static DEFINE_PER_CPU(struct user_msr_state, user_msr_state);

static void user_msrs_restore(void)
{
	struct user_msr_state *state = this_cpu_ptr(&user_msr_state);

	if (!state->registered)
		return;
	state->registered = false;
	user_return_notifier_unregister(&state->notifier);
	for (int i = 0; i < ARRAY_SIZE(user_msrs); i++)
		if (state->now[i] != state->host[i])
			wrmsrl(user_msrs[i], state->host[i]);
}

static void user_msrs_on_return(struct user_return_notifier *notifier)
{
	/* Against vmx_cpu_disable() in an interrupt. */
	guard(irqsave)();
	user_msrs_restore();
}

/* Interrupts are off. */
static void user_msrs_load(struct vmx_vcpu *vmx)
{
	struct user_msr_state *state = this_cpu_ptr(&user_msr_state);

	if (unlikely(!state->registered)) {
		for (int i = 0; i < ARRAY_SIZE(user_msrs); i++)
			state->now[i] = state->host[i] = native_read_msr(user_msrs[i]);
		state->notifier.on_user_return = user_msrs_on_return;
		user_return_notifier_register(&state->notifier);
		state->registered = true;
	}
	for (int i = 0; i < ARRAY_SIZE(user_msrs); i++) {
		if (state->now[i] == vmx->user_msr[i])
			continue;
		state->now[i] = vmx->user_msr[i];
		wrmsrl(user_msrs[i], vmx->user_msr[i]);
	}
}

/* ---- the host's processors ----------------------------------------------- */

static DEFINE_PER_CPU(struct vmcs *, vmxon_region);
static DEFINE_PER_CPU(struct vmcs *, current_vmcs);
static DEFINE_PER_CPU(struct list_head, loaded_vmcss);

static struct vmcs *vmcs_alloc(int cpu)
{
	struct vmcs *vmcs = kzalloc_node(PAGE_SIZE, GFP_KERNEL_ACCOUNT, cpu_to_node(cpu));

	if (vmcs)
		vmcs->revision = caps.revision;
	return vmcs;
}

static int vmx_cpu_enable(void)
{
	u64 feature_control;

	/* Another hypervisor's, or a leftover of one. */
	if (cr4_read_shadow() & X86_CR4_VMXE)
		return -EBUSY;
	if (rdmsrl_safe(MSR_IA32_FEAT_CTL, &feature_control) ||
	    !(feature_control & FEAT_CTL_LOCKED) ||
	    !(feature_control & FEAT_CTL_VMX_ENABLED_OUTSIDE_SMX)) {
		pr_err_ratelimited("kvm-live: firmware has VMX switched off on CPU %d (switch \"Intel Virtualization Technology\" on there)\n",
				   smp_processor_id());
		return -EIO;
	}

	intel_pt_handle_vmx(1);
	cr4_set_bits(X86_CR4_VMXE);
	if (vmx_on(__pa(__this_cpu_read(vmxon_region)))) {
		cr4_clear_bits(X86_CR4_VMXE);
		intel_pt_handle_vmx(0);
		pr_err_ratelimited("kvm-live: VMXON failed on CPU %d\n", smp_processor_id());
		return -EIO;
	}
	__this_cpu_write(current_vmcs, NULL);
	return 0;
}

/* Flush a VMCS on the CPU that has it. Interrupts are off. */
static void vmcs_flush_here(struct vmx_vcpu *vmx)
{
	vmx_clear(__pa(vmx->vmcs));
	if (__this_cpu_read(current_vmcs) == vmx->vmcs)
		__this_cpu_write(current_vmcs, NULL);
	list_del(&vmx->link);
	vmx->sw.flags &= ~SWITCH_LAUNCHED;
	/* Whoever sees that it is on no CPU may load it elsewhere. */
	smp_wmb();
	WRITE_ONCE(vmx->loaded_cpu, -1);
}

static void vmcs_flush_ipi(void *arg)
{
	struct vmx_vcpu *vmx = arg;

	/* The CPU may have gone down meanwhile and done it on the way. */
	if (vmx->loaded_cpu == smp_processor_id())
		vmcs_flush_here(vmx);
}

static void vmcs_flush(struct vmx_vcpu *vmx)
{
	int cpu = READ_ONCE(vmx->loaded_cpu);

	if (cpu >= 0)
		smp_call_function_single(cpu, vmcs_flush_ipi, vmx, 1);
	/* Before its fields are used: see vmcs_flush_here(). */
	smp_rmb();
}

/* Also called in a crash, from NMI context: take no locks. */
static void vmx_cpu_disable(void)
{
	struct vmx_vcpu *vmx, *next;

	scoped_guard(irqsave) {
		if (!in_nmi())
			user_msrs_restore();
		list_for_each_entry_safe(vmx, next, this_cpu_ptr(&loaded_vmcss), link)
			vmcs_flush_here(vmx);
		vmx_off();
		cr4_clear_bits(X86_CR4_VMXE);
	}
	if (!in_nmi())
		intel_pt_handle_vmx(0);
}

/* ---- the MSR bitmaps ----------------------------------------------------- */

/* The MSRs that the VMCS has a field for: the guest's own. */
static const struct {
	u32 index, field;
} vmcs_msrs[] = {
	{ MSR_FS_BASE, GUEST_FS_BASE },
	{ MSR_GS_BASE, GUEST_GS_BASE },
	{ MSR_IA32_SYSENTER_CS, GUEST_SYSENTER_CS },
	{ MSR_IA32_SYSENTER_ESP, GUEST_SYSENTER_ESP },
	{ MSR_IA32_SYSENTER_EIP, GUEST_SYSENTER_EIP },
};

/* One bit an MSR: read low, read high, write low, write high, 1 KiB each (25.6.9). */
static void *msr_bitmap, *msr_bitmap_spec;

static void __init msr_bitmap_open(void *bitmap, u32 msr)
{
	u32 bit = (msr >= 0xc0000000 ? 0x2000 : 0) + (msr & 0x1fff);

	__clear_bit(bit, bitmap);
	__clear_bit(bit + 0x4000, bitmap);
}

static int __init msr_bitmaps_init(void)
{
	msr_bitmap = (void *)__get_free_pages(GFP_KERNEL, 1);
	if (!msr_bitmap)
		return -ENOMEM;
	msr_bitmap_spec = msr_bitmap + PAGE_SIZE;
	memset(msr_bitmap, 0xff, PAGE_SIZE);
	for (int i = 0; i < ARRAY_SIZE(vmcs_msrs); i++)
		msr_bitmap_open(msr_bitmap, vmcs_msrs[i].index);
	/* Switched by host_save(). */
	msr_bitmap_open(msr_bitmap, MSR_KERNEL_GS_BASE);
	memcpy(msr_bitmap_spec, msr_bitmap, PAGE_SIZE);
	msr_bitmap_open(msr_bitmap_spec, MSR_IA32_SPEC_CTRL);
	return 0;
}

/* ---- a vCPU's life ------------------------------------------------------- */

static DEFINE_IDA(vpids);

static u64 vmx_eptp(struct kvm_vcpu *vcpu)
{
	return vcpu->space->tdp_root | caps.eptp_bits;
}

static void vmx_assign_primary(struct vmx_vcpu *vmx, u32 bits, bool on)
{
	u32 primary = on ? vmx->primary | bits : vmx->primary & ~bits;

	if (primary == vmx->primary)
		return;
	vmx->primary = primary;
	vmcs_write(CPU_BASED_VM_EXEC_CONTROL, primary);
}

static void vmx_vcpu_load(struct kvm_vcpu *vcpu, int cpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	bool moved = vmx->loaded_cpu != cpu;

	if (moved) {
		vmcs_flush(vmx);
		scoped_guard(irqsave) {
			list_add(&vmx->link, this_cpu_ptr(&loaded_vmcss));
			vmx->loaded_cpu = cpu;
		}
	}
	if (__this_cpu_read(current_vmcs) != vmx->vmcs) {
		/* In a restart VMX may be off already, and the vCPU dead. */
		if (vmx_load(__pa(vmx->vmcs)) && cr4_read_shadow() & X86_CR4_VMXE)
			pr_err_ratelimited("kvm-live: VMPTRLD failed\n");
		__this_cpu_write(current_vmcs, vmx->vmcs);
		/* What another guest trained must not steer this one. */
		indirect_branch_prediction_barrier();
	}
	if (moved) {
		/* This CPU may hold translations from an earlier stay. */
		vmx->flush_ept = use_ept;
		vmx->flush_vpid = true;
		vmcs_write(HOST_TR_BASE, (unsigned long)&get_cpu_entry_area(cpu)->tss.x86_tss);
		vmcs_write(HOST_GDTR_BASE, (unsigned long)get_current_gdt_ro());
		vmcs_write(HOST_IA32_SYSENTER_ESP, native_read_msr(MSR_IA32_SYSENTER_ESP));
		vmcs_write(HOST_GS_BASE, native_read_msr(MSR_GS_BASE));
	}
}

/* Interrupts are off: the first entry since the vCPU was loaded. */
static void host_save(struct vmx_vcpu *vmx)
{
	current_save_fsgs();
	savesegment(ds, vmx->host_ds);
	savesegment(es, vmx->host_es);
	/*
	 * The exit loads null selectors (26.2.3 would not take a user's) and
	 * these bases.
	 */
	vmcs_write(HOST_FS_BASE, current->thread.fsbase);
	wrmsrl(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	vmx->host_saved = true;
}

static void vmx_vcpu_put(struct kvm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (!vmx->host_saved)
		return;
	rdmsrl(MSR_KERNEL_GS_BASE, vmx->kernel_gs_base);
	/* First: the segments may be in it. */
	kvm_load_host_ldt();
	if (current->thread.fsindex)
		loadsegment(fs, current->thread.fsindex);
	if (vmx->host_ds)
		loadsegment(ds, vmx->host_ds);
	if (vmx->host_es)
		loadsegment(es, vmx->host_es);
	if (current->thread.gsindex) {
		guard(irqsave)();
		load_gs_index(current->thread.gsindex);
	}
	/* A selector's base is the descriptor's; with FSGSBASE it need not be the thread's. */
	if (current->thread.fsindex && cpu_feature_enabled(X86_FEATURE_FSGSBASE))
		wrmsrl(MSR_FS_BASE, current->thread.fsbase);
	if (!current->thread.gsindex || cpu_feature_enabled(X86_FEATURE_FSGSBASE))
		wrmsrl(MSR_KERNEL_GS_BASE, current->thread.gsbase);
	/* The exit set the limits of TR and GDTR to their least and most. */
	invalidate_tss_limit();
	load_fixmap_gdt(raw_smp_processor_id());
	vmx->host_saved = false;
}

static int vmx_vcpu_create(struct kvm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->loaded_cpu = -1;
	vmx->sw.regs = vcpu->regs;
	vmx->vmcs = vmcs_alloc(raw_smp_processor_id());
	if (!vmx->vmcs)
		return -ENOMEM;
	if (vcpu->lapic && caps.primary & CPU_BASED_TPR_SHADOW) {
		void *page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

		if (!page)
			return -ENOMEM;
		vmx->vtpr = page + APIC_TASKPRI;
	}
	/* 0, which is the host's and flushed at every entry, if none is left. */
	if (use_vpid)
		vmx->vpid = max(ida_alloc_range(&vpids, 1, VMX_NR_VPIDS - 1, GFP_KERNEL), 0);
	/* A VMCS begins its life with this (25.11.3). */
	return vmx_clear(__pa(vmx->vmcs));
}

static void vmx_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (!vmx->vmcs)
		return;
	preempt_disable();
	vmcs_flush(vmx);
	preempt_enable();
	if (vmx->vpid)
		ida_free(&vpids, vmx->vpid);
	kfree(vmx->vmcs);
	free_page((unsigned long)vmx->vtpr & PAGE_MASK);
}

/* ---- control registers --------------------------------------------------- */

/*
 * Without unrestricted guest, VMX operation wants CR0.PE and PG set (A.7). A
 * guest without PE is emulated. One without PG runs on a page table of ours that
 * maps every address to itself; the guest's CR3 is out of its reach meanwhile.
 * All guests share that page: EPT shows it read-only at the address that user
 * space keeps free for it (KVM_SET_IDENTITY_MAP_ADDR).
 */
static u32 *identity_table;

static u64 vmx_identity_gpa(struct kvm_vcpu *vcpu)
{
	return vcpu->kvm->identity_map_addr & PAGE_MASK;
}

static int __init vmx_identity_init(void)
{
	u32 bits = _PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED | _PAGE_DIRTY | _PAGE_PSE;

	identity_table = (u32 *)__get_free_page(GFP_KERNEL);
	if (!identity_table)
		return -ENOMEM;
	for (u32 i = 0; i < PAGE_SIZE / sizeof(u32); i++)
		identity_table[i] = i << 22 | bits;
	return 0;
}

static u64 vmx_get_cr3(struct kvm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	return vmx->cr3_hidden ? vmx->cr3 : vmcs_read(GUEST_CR3);
}

/* With PAE paging and EPT, an entry loads the directory pointers from the VMCS. */
static void vmx_update_pdptrs(struct kvm_vcpu *vcpu)
{
	u64 pdptr[4];

	if (!use_ept || !(vcpu->cr0 & X86_CR0_PG) ||
	    !(vcpu->cr4 & X86_CR4_PAE) || kvm_is_long_mode(vcpu))
		return;
	guard(srcu)(&vcpu->kvm->srcu);
	if (kvm_read_guest(vcpu->space, vmx_get_cr3(vcpu) & 0xffffffe0, pdptr, sizeof(pdptr)))
		memset(pdptr, 0, sizeof(pdptr));
	for (int i = 0; i < 4; i++)
		vmcs_write(GUEST_PDPTR0 + 2 * i, pdptr[i]);
}

static void vmx_space_changed(struct kvm_vcpu *vcpu)
{
	vmcs_write(EPT_POINTER, vmx_eptp(vcpu));
	vmx_update_pdptrs(vcpu);
}

/*
 * What the processor gets for the guest's CR0, CR3, CR4 and EFER. Shadow tables
 * have eight-byte entries and write protection, whatever the guest believes.
 */
static void vmx_load_paging(struct kvm_vcpu *vcpu, u64 cr3)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	/* An entry leaves CD and NW alone. */
	u64 cr0 = vcpu->cr0 & ~(u64)(X86_CR0_CD | X86_CR0_NW);
	/* A machine check with CR4.MCE clear would shut the host down. */
	u64 cr4 = vcpu->cr4 | (cr4_read_shadow() & X86_CR4_MCE);
	u64 efer = vcpu->efer;

	cr0 |= caps.cr0_fixed0;
	vmx->cr3 = cr3;
	/* Is what the processor has in CR3 the guest's own? */
	vmx->cr3_hidden = !use_unrestricted && !(use_ept && vcpu->cr0 & X86_CR0_PG);
	if (vmx->cr3_hidden && use_ept) {
		cr3 = vmx_identity_gpa(vcpu);
		cr4 = (cr4 & ~(u64)X86_CR4_PAE) | X86_CR4_PSE;
	} else if (vmx->cr3_hidden) {
		cr3 = vcpu->shadow.cr3;
		cr0 |= X86_CR0_WP;
		cr4 &= ~(u64)(X86_CR4_PSE | X86_CR4_PGE | X86_CR4_PCIDE);
		cr4 |= X86_CR4_PAE;
		efer |= EFER_NX;
	}
	if (vmx->cr3_hidden && !(vcpu->cr0 & X86_CR0_PG)) {
		/* All pages are the user's. LME with PG would mean LMA. */
		cr4 &= ~(u64)(X86_CR4_SMEP | X86_CR4_SMAP | X86_CR4_PKE);
		efer &= ~(u64)EFER_LME;
	}
	/* On an old processor all exit. */
	vmx_assign_primary(vmx, ~caps.primary & (CPU_BASED_CR3_LOAD_EXITING |
						 CPU_BASED_CR3_STORE_EXITING), vmx->cr3_hidden);
	vmcs_write(GUEST_CR0, cr0 & caps.cr0_fixed1);
	vmcs_write(GUEST_CR3, cr3);
	vmcs_write(GUEST_CR4, cr4 | caps.cr4_fixed0);
	if (caps.entry & VM_ENTRY_LOAD_IA32_EFER)
		vmcs_write(GUEST_IA32_EFER, efer);
	vmcs_assign_bits(VM_ENTRY_CONTROLS, VM_ENTRY_IA32E_MODE, efer & EFER_LMA);
	vmx_update_pdptrs(vcpu);
	vmx->flush_vpid = true;
	vmx->state_changed = true;
}

static void vmx_set_modes(struct kvm_vcpu *vcpu)
{
	vmcs_write(CR0_READ_SHADOW, vcpu->cr0);
	vmcs_write(CR4_READ_SHADOW, vcpu->cr4);
	vmx_load_paging(vcpu, vmx_get_cr3(vcpu));
}

/* ---- general registers, segments, tables --------------------------------- */

static void vmx_cache_reg(struct kvm_vcpu *vcpu, enum kvm_reg reg)
{
	vcpu->regs[reg] = vmcs_read(reg == REG_RSP ? GUEST_RSP : GUEST_RIP);
	vcpu->regs_avail |= BIT(reg);
}

static u64 vmx_get_rflags(struct kvm_vcpu *vcpu)
{
	return vmcs_read(GUEST_RFLAGS);
}

/*
 * Where STI or MOV SS hold events back, a trap flag must come with a pending
 * single-step trap, and without the flag there must be none (26.3.1.5).
 */
static void vmx_sync_step_trap(u64 rflags, u32 interruptibility)
{
	if (!(interruptibility & (GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS)))
		return;
	vmcs_assign_bits(GUEST_PENDING_DBG_EXCEPTIONS, DR_STEP, rflags & X86_EFLAGS_TF);
}

static void vmx_set_rflags(struct kvm_vcpu *vcpu, u64 rflags)
{
	u32 interruptibility = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);

	rflags |= X86_EFLAGS_FIXED;
	vmcs_write(GUEST_RFLAGS, rflags);
	/* Who goes on with other registers is not in a HLT, which need not have exited. */
	if (vcpu->kvm->disabled_exits & KVM_X86_DISABLE_EXITS_HLT)
		vmcs_write(GUEST_ACTIVITY_STATE, GUEST_ACTIVITY_ACTIVE);
	vmx_sync_step_trap(rflags, interruptibility);
	/* User space's reset: no entry has STI's shadow without IF (27.3.1.5). */
	if (unlikely(interruptibility & GUEST_INTR_STATE_STI && !(rflags & X86_EFLAGS_IF)))
		vmcs_write(GUEST_INTERRUPTIBILITY_INFO, interruptibility & ~GUEST_INTR_STATE_STI);
}

/*
 * The VMCS has the segments in the order of enum kvm_seg; fields are 2 apart. The
 * tables have no selectors and access rights.
 */
static void vmx_get_segment(struct kvm_vcpu *vcpu, int seg, struct kvm_segment *s)
{
	int i = 2 * seg;
	u32 ar = seg < NR_SEGS ? vmcs_read(GUEST_ES_AR_BYTES + i) : 0;

	*s = unpack_segment(seg < NR_SEGS ? vmcs_read(GUEST_ES_SELECTOR + i) : 0, ar,
			    vmcs_read(GUEST_ES_LIMIT + i), vmcs_read(GUEST_ES_BASE + i));
	s->unusable = !!(ar & VMX_AR_UNUSABLE_MASK);
	s->present &= !s->unusable;
}

static void vmx_set_segment(struct kvm_vcpu *vcpu, int seg, const struct kvm_segment *s)
{
	u32 ar = pack_attributes(s);
	int i = 2 * seg;

	if (s->unusable || !s->present)
		ar |= VMX_AR_UNUSABLE_MASK;
	else if (s->s)
		ar |= VMX_AR_TYPE_ACCESSES_MASK;	/* 26.3.1.2 wants it */
	vmcs_write(GUEST_ES_BASE + i, s->base);
	vmcs_write(GUEST_ES_LIMIT + i, s->limit);
	if (seg >= NR_SEGS)
		return;
	vmcs_write(GUEST_ES_SELECTOR + i, s->selector);
	vmcs_write(GUEST_ES_AR_BYTES + i, ar);
	to_vmx(vcpu)->state_changed = true;
}

static int vmx_get_cpl(struct kvm_vcpu *vcpu)
{
	if (!(vcpu->cr0 & X86_CR0_PE))
		return 0;
	if (!kvm_is_long_mode(vcpu) && vmcs_read(GUEST_RFLAGS) & X86_EFLAGS_VM)
		return 3;
	return VMX_AR_DPL(vmcs_read(GUEST_SS_AR_BYTES));
}

/*
 * May a segment be as it is (27.3.1.2, not in virtual-8086 mode)? What the
 * processor has loaded itself always may. A guest that has just set CR0.PE has
 * segments of real mode, which may not.
 */
static bool vmx_segment_valid(int seg, const struct kvm_segment *s, const struct kvm_segment *cs,
			      const struct kvm_segment *ss)
{
	/* The types that each may have, one bit a type. */
	static const u16 types[NR_SEGS] = {
		[SEG_ES] = 0x88aa,	/* accessed, and readable if code */
		[SEG_CS] = 0xaa00,
		[SEG_SS] = 0x0088,
		[SEG_DS ... SEG_GS] = 0x88aa,
		[SEG_LDTR] = 0x0004,
		[SEG_TR] = 0x0808,
	};
	int rpl = s->selector & 3;

	if (s->unusable || !s->present)
		return seg != SEG_CS && seg != SEG_TR;
	if (!(types[seg] & BIT(s->type)) || s->s == (seg >= SEG_LDTR) ||
	    (s->g ? ~s->limit & 0xfff : s->limit >> 20))
		return false;
	switch (seg) {
	case SEG_CS:
		return s->type & 4 ? s->dpl <= ss->dpl : s->dpl == ss->dpl;
	case SEG_SS:
		return rpl == (cs->selector & 3) && s->dpl == rpl;
	case SEG_LDTR:
	case SEG_TR:
		return !(s->selector & 4);
	default:
		return s->type > 11 || s->dpl >= rpl;
	}
}

static bool vmx_state_valid(struct kvm_vcpu *vcpu)
{
	struct kvm_segment s[NR_SEGS];
	bool vm86 = vmx_get_rflags(vcpu) & X86_EFLAGS_VM;

	if (!(vcpu->cr0 & X86_CR0_PE))
		return false;
	for (int i = 0; i < NR_SEGS; i++)
		vmx_get_segment(vcpu, i, &s[i]);
	for (int i = 0; i < NR_SEGS; i++) {
		if (vm86 && i < SEG_LDTR ?
		    s[i].base != s[i].selector << 4 || s[i].limit != 0xffff ||
		    vmcs_read(GUEST_ES_AR_BYTES + 2 * i) != 0xf3 :
		    !vmx_segment_valid(i, &s[i], &s[SEG_CS], &s[SEG_SS]))
			return false;
	}
	return true;
}

static bool vmx_must_emulate(struct kvm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	if (unlikely(vmx->state_changed)) {
		vmx->state_changed = false;
		vmx->invalid = !vmx_state_valid(vcpu);
	}
	return vmx->invalid;
}

/* ---- debug registers, TSC, CPUID, MSRs ----------------------------------- */

static void vmx_update_debug(struct kvm_vcpu *vcpu)
{
	/*
	 * #DB and #AC can recur in their own delivery for ever: see them. The
	 * machine checks are the host's.
	 */
	u32 exceptions = BIT(X86_TRAP_MC) | BIT(X86_TRAP_DB) | BIT(X86_TRAP_AC) |
			 BIT(X86_TRAP_UD);	/* VMMCALL becomes VMCALL */
	u64 dr7 = vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP ? vcpu->debug_dr7 : vcpu->dr7;

	if (!use_ept)
		exceptions |= BIT(X86_TRAP_PF);
	if (vcpu->guest_debug & KVM_GUESTDBG_USE_SW_BP)
		exceptions |= BIT(X86_TRAP_BP);
	vmcs_write(EXCEPTION_BITMAP, exceptions);
	/* Accesses exit anyway, so general detect is ours to emulate. */
	vmcs_write(GUEST_DR7, (dr7 & ~(u64)DR7_GENERAL_DETECT) | DR7_FIXED_1);
}

static void vmx_watch_debugregs(struct kvm_vcpu *vcpu, bool watch)
{
	if (watch) {
		get_debugreg(vcpu->dr6, 6);
		vcpu->dr7 = vmcs_read(GUEST_DR7);
	}
	vmx_assign_primary(to_vmx(vcpu), CPU_BASED_MOV_DR_EXITING, watch);
}

/* 29.1.1: a CR8 below the threshold exits. */
static void vmx_watch_tpr(struct kvm_vcpu *vcpu)
{
	if (to_vmx(vcpu)->vtpr)
		vmcs_write(TPR_THRESHOLD, vcpu->tpr_watched);
}

static void vmx_intercepts_changed(struct kvm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 secondary = caps.secondary;

	/* Off, it is #UD, as INVPCID and XSAVES are for every guest. */
	if (!vcpu->wants_tsc_aux)
		secondary &= ~SECONDARY_EXEC_ENABLE_RDTSCP;
	if (vcpu->kvm->disabled_exits & KVM_X86_DISABLE_EXITS_PAUSE)
		secondary &= ~SECONDARY_EXEC_PAUSE_LOOP_EXITING;
	if (!vmx->vpid)
		secondary &= ~SECONDARY_EXEC_ENABLE_VPID;
	if (caps.primary & CPU_BASED_ACTIVATE_SECONDARY_CONTROLS)
		vmcs_write(SECONDARY_VM_EXEC_CONTROL, secondary);
	/* Without the bitmaps, every access exits. */
	vmx_assign_primary(vmx, CPU_BASED_USE_MSR_BITMAPS,
			   !rcu_access_pointer(vcpu->kvm->msr_filter));
	vmx_assign_primary(vmx, CPU_BASED_HLT_EXITING,
			   !(vcpu->kvm->disabled_exits & KVM_X86_DISABLE_EXITS_HLT));
}

static void vmx_set_tsc_offset(struct kvm_vcpu *vcpu)
{
	vmcs_write(TSC_OFFSET, vcpu->tsc_offset);
	if (kvm_ops->tsc_ratio_bits)
		vmcs_write(TSC_MULTIPLIER, vcpu->tsc_ratio ?: BIT_ULL(kvm_ops->tsc_ratio_bits));
}

/* The VMCS's field for an MSR that has one, or 0. */
static u32 msr_field(u32 index)
{
	for (int i = 0; i < ARRAY_SIZE(vmcs_msrs); i++)
		if (vmcs_msrs[i].index == index)
			return vmcs_msrs[i].field;
	return 0;
}

/* Where we keep an MSR that is switched in software, or NULL. */
static u64 *kept_msr(struct kvm_vcpu *vcpu, u32 index)
{
	if (index == MSR_KERNEL_GS_BASE) {
		/* Out of the processor; the next entry puts it in again. */
		scoped_guard(preempt)
			vmx_vcpu_put(vcpu);
		return &to_vmx(vcpu)->kernel_gs_base;
	}
	for (int i = 0; i < ARRAY_SIZE(user_msrs); i++)
		if (user_msrs[i] == index)
			return &to_vmx(vcpu)->user_msr[i];
	return NULL;
}

static int vmx_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *value)
{
	u32 field = msr_field(index);
	u64 *msr = kept_msr(vcpu, index);

	if (field)
		*value = vmcs_read(field);
	else if (msr)
		*value = *msr;
	return !field && !msr;
}

static int vmx_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 value)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 field = msr_field(index);
	u64 *msr = kept_msr(vcpu, index);

	/*
	 * A guest that uses it writes it at every entry to its kernel: no more exits
	 * for that. The value itself is vcpu->spec_ctrl.
	 */
	if (index == MSR_IA32_SPEC_CTRL && value && !vmx->spec_ctrl_direct &&
	    kvm_guest_has(vcpu, X86_FEATURE_SPEC_CTRL)) {
		vmx->spec_ctrl_direct = true;
		vmcs_write(MSR_BITMAP, __pa(msr_bitmap_spec));
	}
	if (field)
		vmcs_write(field, index == MSR_IA32_SYSENTER_CS ? (u32)value : value);
	else if (msr)
		*msr = value;
	return !field && !msr;
}

/* What generic code does not set register by register, and the host: 25.4 to 25.8. */
static void vmx_vcpu_reset(struct kvm_vcpu *vcpu, bool init)
{
	static const u32 zeros[] = {
		EXCEPTION_BITMAP, PAGE_FAULT_ERROR_CODE_MASK, PAGE_FAULT_ERROR_CODE_MATCH,
		CR3_TARGET_COUNT, VM_EXIT_MSR_STORE_COUNT, VM_EXIT_MSR_LOAD_COUNT,
		VM_ENTRY_MSR_LOAD_COUNT, VM_ENTRY_INTR_INFO_FIELD, GUEST_IA32_DEBUGCTL,
		HOST_DS_SELECTOR, HOST_ES_SELECTOR, HOST_FS_SELECTOR, HOST_GS_SELECTOR,
		GUEST_INTERRUPTIBILITY_INFO, GUEST_ACTIVITY_STATE, GUEST_PENDING_DBG_EXCEPTIONS,
	};
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	struct desc_ptr idt;

	for (int i = 0; i < ARRAY_SIZE(zeros); i++)
		vmcs_write(zeros[i], 0);
	vmx->primary = caps.primary & ~CPU_BASED_TPR_SHADOW;
	if (vmx->vtpr) {
		vmx->primary |= CPU_BASED_TPR_SHADOW;
		vmx->primary &= ~(CPU_BASED_CR8_LOAD_EXITING | CPU_BASED_CR8_STORE_EXITING);
		vmcs_write(VIRTUAL_APIC_PAGE_ADDR, __pa(vmx->vtpr) & PAGE_MASK);
		vmcs_write(TPR_THRESHOLD, 0);
	}
	vmcs_write(PIN_BASED_VM_EXEC_CONTROL, caps.pin);
	vmcs_write(CPU_BASED_VM_EXEC_CONTROL, vmx->primary);
	vmcs_write(VM_EXIT_CONTROLS, caps.exit);
	vmcs_write(VM_ENTRY_CONTROLS, caps.entry);
	vmcs_write(MSR_BITMAP, __pa(vmx->spec_ctrl_direct ? msr_bitmap_spec : msr_bitmap));
	if (caps.secondary & SECONDARY_EXEC_PAUSE_LOOP_EXITING) {
		vmcs_write(PLE_GAP, PLE_GAP_TICKS);
		vmcs_write(PLE_WINDOW, PLE_WINDOW_TICKS);
	}
	if (use_ept)
		vmcs_write(EPT_POINTER, vmx_eptp(vcpu));
	if (vmx->vpid)
		vmcs_write(VIRTUAL_PROCESSOR_ID, vmx->vpid);
	if (caps.secondary & SECONDARY_EXEC_ENCLS_EXITING)
		vmcs_write(ENCLS_EXITING_BITMAP, ~0ull);
	vmcs_write(CR0_GUEST_HOST_MASK, ~0ull);
	vmcs_write(CR4_GUEST_HOST_MASK, ~0ull);
	vmcs_write(VMCS_LINK_POINTER, ~0ull);

	/* The host, as far as it is the same on every CPU and in every thread. */
	vmcs_write(HOST_CR0, read_cr0() & ~X86_CR0_TS);
	vmcs_write(HOST_CS_SELECTOR, __KERNEL_CS);
	vmcs_write(HOST_SS_SELECTOR, __KERNEL_DS);
	vmcs_write(HOST_TR_SELECTOR, GDT_ENTRY_TSS * 8);
	store_idt(&idt);
	vmcs_write(HOST_IDTR_BASE, idt.address);
	vmcs_write(HOST_RIP, (unsigned long)vmx_exit_point);
	vmcs_write(HOST_IA32_SYSENTER_CS, native_read_msr(MSR_IA32_SYSENTER_CS));
	vmcs_write(HOST_IA32_SYSENTER_EIP, native_read_msr(MSR_IA32_SYSENTER_EIP));
	if (caps.exit & VM_EXIT_LOAD_IA32_EFER)
		vmcs_write(HOST_IA32_EFER, native_read_msr(MSR_EFER));

	if (!init) {
		for (int i = 0; i < ARRAY_SIZE(vmcs_msrs); i++)
			vmcs_write(vmcs_msrs[i].field, 0);
		memset(vmx->user_msr, 0, sizeof(vmx->user_msr));
		*kept_msr(vcpu, MSR_KERNEL_GS_BASE) = 0;
	}
	vmx->redo_info = 0;
	vmx_intercepts_changed(vcpu);
}

/* ---- events: 25.8.3, 25.9.3, 27.6 ---------------------------------------- */

/*
 * A software event that is repeated keeps its kind and the length of its
 * instruction; one that user space or the emulator made anew has RIP at its
 * one-byte instruction.
 */
static void vmx_inject(struct kvm_vcpu *vcpu, u32 info, u32 error_code)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 redo = vmx->redo_info;
	u8 nr = info & INTR_INFO_VECTOR_MASK;

	vmx->redo_info = 0;
	if (EVENT_TYPE(info) == EVENT_TYPE_HWEXC && (nr == X86_TRAP_BP || nr == X86_TRAP_OF))
		info = nr | INTR_TYPE_SOFT_EXCEPTION | EVENT_VALID;
	/* A fault in the delivery of a software event is not that event. */
	if (redo && (redo & INTR_INFO_VECTOR_MASK) == nr && !(info & EVENT_HAS_ERROR)) {
		vmcs_write(VM_ENTRY_INSTRUCTION_LEN, vmx->redo_length);
		info = redo | EVENT_VALID;
	} else if (EVENT_TYPE(info) > EVENT_TYPE_HWEXC) {
		vmcs_write(VM_ENTRY_INSTRUCTION_LEN, 1);
	}
	/* Real mode pushes no error codes, and 27.2.1.3 forbids one. */
	if (!(vcpu->cr0 & X86_CR0_PE))
		info &= ~EVENT_HAS_ERROR;
	if (info & EVENT_HAS_ERROR)
		vmcs_write(VM_ENTRY_EXCEPTION_ERROR_CODE, error_code);
	/* Some processors do not take it in STI's shadow (27.3.1.5), which it ends. */
	if (EVENT_TYPE(info) == EVENT_TYPE_NMI)
		vmcs_assign_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_STI, false);
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, info);
}

static void vmx_set_nmi_mask(struct kvm_vcpu *vcpu, bool masked)
{
	vmcs_assign_bits(GUEST_INTERRUPTIBILITY_INFO, GUEST_INTR_STATE_NMI, masked);
}

/* The event in info was not delivered: it is to be injected again. */
static void vmx_requeue(struct kvm_vcpu *vcpu, u32 info, u32 error_code, u32 length)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	vmx->redo_info = 0;
	if (!(info & EVENT_VALID))
		return;
	kvm_requeue_event(vcpu, info, error_code);
	/* Its delivery has blocked NMIs; it could not go in again. */
	if (EVENT_TYPE(info) == EVENT_TYPE_NMI)
		vmx_set_nmi_mask(vcpu, false);
	if (EVENT_TYPE(info) > EVENT_TYPE_HWEXC) {
		vmx->redo_info = info & (INTR_INFO_VECTOR_MASK | INTR_INFO_INTR_TYPE_MASK);
		vmx->redo_length = length;
	}
}

/* What was handed over but never entered goes back into the queue. */
static void vmx_cancel_injection(struct kvm_vcpu *vcpu)
{
	vmx_requeue(vcpu, vmcs_read(VM_ENTRY_INTR_INFO_FIELD),
		    vmcs_read(VM_ENTRY_EXCEPTION_ERROR_CODE), vmcs_read(VM_ENTRY_INSTRUCTION_LEN));
	vmcs_write(VM_ENTRY_INTR_INFO_FIELD, 0);
}

/* After an exit: was an event under way, and what of NMI blocking (28.2.3)? */
static void vmx_complete_events(struct vmx_vcpu *vmx)
{
	struct kvm_vcpu *vcpu = &vmx->vcpu;

	vmx->idt_vectoring = vmcs_read(IDT_VECTORING_INFO_FIELD);
	kvm_clear_injected(vcpu);
	vmx->redo_info = 0;
	if (unlikely(vmx->idt_vectoring & VECTORING_INFO_VALID_MASK)) {
		vmx_requeue(vcpu, vmx->idt_vectoring, vmcs_read(IDT_VECTORING_ERROR_CODE),
			    vmcs_read(VM_EXIT_INSTRUCTION_LEN));
		return;
	}
	/* A fault in IRET, which had already opened NMIs. */
	if ((vmx->exit_reason == EXIT_REASON_EXCEPTION_NMI &&
	     vmx->intr_info & INTR_INFO_UNBLOCK_NMI &&
	     (vmx->intr_info & INTR_INFO_VECTOR_MASK) != X86_TRAP_DF) ||
	    (vmx->exit_reason == EXIT_REASON_EPT_VIOLATION &&
	     vmcs_read(EXIT_QUALIFICATION) & QUALIFICATION_IRET_UNBLOCKS))
		vmx_set_nmi_mask(vcpu, true);
}

static void vmx_irq_window(struct kvm_vcpu *vcpu, bool open)
{
	vmx_assign_primary(to_vmx(vcpu), CPU_BASED_INTR_WINDOW_EXITING, open);
}

static void vmx_request_nmi_window(struct kvm_vcpu *vcpu)
{
	vmx_assign_primary(to_vmx(vcpu), CPU_BASED_NMI_WINDOW_EXITING, true);
}

static u32 vmx_get_shadow(struct kvm_vcpu *vcpu)
{
	u32 state = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);

	return (state & GUEST_INTR_STATE_STI ? KVM_X86_SHADOW_INT_STI : 0) |
	       (state & GUEST_INTR_STATE_MOV_SS ? KVM_X86_SHADOW_INT_MOV_SS : 0);
}

static void vmx_set_shadow(struct kvm_vcpu *vcpu, u32 shadow)
{
	u32 old = vmcs_read(GUEST_INTERRUPTIBILITY_INFO);
	u32 new = old & ~(GUEST_INTR_STATE_STI | GUEST_INTR_STATE_MOV_SS);

	/* At most one of them (27.3.1.5), and STI's needs IF. */
	if (shadow & KVM_X86_SHADOW_INT_MOV_SS)
		new |= GUEST_INTR_STATE_MOV_SS;
	else if (shadow & KVM_X86_SHADOW_INT_STI && vmcs_read(GUEST_RFLAGS) & X86_EFLAGS_IF)
		new |= GUEST_INTR_STATE_STI;
	if (new == old)
		return;
	vmcs_write(GUEST_INTERRUPTIBILITY_INFO, new);
	vmx_sync_step_trap(vmcs_read(GUEST_RFLAGS), new);
}

static bool vmx_get_nmi_mask(struct kvm_vcpu *vcpu)
{
	return vmcs_read(GUEST_INTERRUPTIBILITY_INFO) & GUEST_INTR_STATE_NMI;
}

/* ---- in and out ---------------------------------------------------------- */

static void vmx_flush_tlb(struct kvm_vcpu *vcpu)
{
	/* Takes the translations that combine EPT and the guest's tables, too. */
	to_vmx(vcpu)->flush_ept = use_ept;
	to_vmx(vcpu)->flush_vpid |= !use_ept;
}

static void vmx_do_flushes(struct vmx_vcpu *vmx)
{
	/* A flush of all asks for no name: it may have one all the same. */
	if (vmx->flush_ept)
		vmx_invept(caps.invept, vmx_eptp(&vmx->vcpu));
	/* Without a VPID every entry and exit flushes. */
	if (vmx->flush_vpid && vmx->vpid)
		vmx_invvpid(caps.invvpid, vmx->vpid);
	vmx->flush_ept = false;
	vmx->flush_vpid = false;
}

static void vmx_prepare_spec_ctrl(struct vmx_vcpu *vmx)
{
	struct vmx_switch *sw = &vmx->sw;
	u32 flags = sw->flags & SWITCH_LAUNCHED;

	if (cpu_feature_enabled(X86_FEATURE_MSR_SPEC_CTRL)) {
		sw->host_spec = this_cpu_read(x86_spec_ctrl_current);
		sw->guest_spec = vmx->vcpu.spec_ctrl;
		if (sw->guest_spec != sw->host_spec)
			flags |= SWITCH_LOAD_SPEC | SWITCH_RESTORE_SPEC;
		if (vmx->spec_ctrl_direct)
			flags |= SWITCH_SAVE_SPEC | SWITCH_RESTORE_SPEC;
		/* IBRS protects from what ran before it was written. */
		if (cpu_feature_enabled(X86_FEATURE_KERNEL_IBRS))
			flags |= SWITCH_RESTORE_SPEC;
	}
	sw->flags = flags;
}

static void vmx_load_host_fields(struct vmx_vcpu *vmx)
{
	u64 cr3 = __get_current_cr3_fast(), cr4 = cr4_read_shadow();

	if (unlikely(cr3 != vmx->host_cr3)) {
		vmcs_write(HOST_CR3, cr3);
		vmx->host_cr3 = cr3;
	}
	if (unlikely(cr4 != vmx->host_cr4)) {
		vmcs_write(HOST_CR4, cr4);
		vmx->host_cr4 = cr4;
	}
}

static void vmx_enter(struct kvm_vcpu *vcpu)
{
	u64 host_debugctl = get_debugctlmsr();	/* perf changes it at any time */
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	bool failed;

	if (unlikely(!vmx->host_saved))
		host_save(vmx);
	if (vcpu->regs_dirty & BIT(REG_RSP))
		vmcs_write(GUEST_RSP, vcpu->regs[REG_RSP]);
	if (vcpu->regs_dirty & BIT(REG_RIP))
		vmcs_write(GUEST_RIP, vcpu->regs[REG_RIP]);
	if (!use_ept)
		vmcs_write(GUEST_CR3, vcpu->shadow.cr3);
	vmx_load_host_fields(vmx);
	user_msrs_load(vmx);
	if (unlikely(vmx->flush_ept || vmx->flush_vpid))
		vmx_do_flushes(vmx);
	vmx_prepare_spec_ctrl(vmx);
	if (l1tf_vmx_mitigation == VMENTER_L1D_FLUSH_ALWAYS)
		wrmsrl(MSR_IA32_FLUSH_CMD, L1D_FLUSH);
	if (vcpu->cr2 != native_read_cr2())
		native_write_cr2(vcpu->cr2);
	if (unlikely(vcpu->dr_direct))
		set_debugreg(vcpu->dr6, 6);
	if (vmx->vtpr)
		*vmx->vtpr = vcpu->cr8 << 4;

	failed = vmx_enter_guest(&vmx->sw);

	vcpu->cr2 = native_read_cr2();
	if (vmx->sw.flags & SWITCH_SAVE_SPEC)
		vcpu->spec_ctrl = vmx->sw.guest_spec;
	if (unlikely(host_debugctl))
		update_debugctlmsr(host_debugctl);
	vmx->exit_reason = failed ? VMX_EXIT_REASONS_FAILED_VMENTRY : vmcs_read(VM_EXIT_REASON);
	if (unlikely(vmx->exit_reason & VMX_EXIT_REASONS_FAILED_VMENTRY)) {
		vmx_cancel_injection(vcpu);
		return;
	}
	vmx->sw.flags |= SWITCH_LAUNCHED;
	vcpu->regs_avail = ~(u32)(BIT(REG_RSP) | BIT(REG_RIP));
	vcpu->regs_dirty = 0;
	vmx->exit_reason = (u16)vmx->exit_reason;
	if (vmx->exit_reason == EXIT_REASON_EXCEPTION_NMI)
		vmx->intr_info = vmcs_read(VM_EXIT_INTR_INFO);
	vmx_complete_events(vmx);
}

static void vmx_handle_exit_irqoff(struct kvm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u8 vector = vmx->intr_info & INTR_INFO_VECTOR_MASK;

	if ((u16)vmx->exit_reason == EXIT_REASON_MCE_DURING_VMENTRY)
		kvm_host_machine_check();
	if (vmx->exit_reason != EXIT_REASON_EXCEPTION_NMI)
		return;
	if (vector == X86_TRAP_NMI)
		vmx_host_nmi();
	else if (vector == X86_TRAP_MC)
		kvm_host_machine_check();
}

/* ---- exits --------------------------------------------------------------- */

static int vmx_skip_instruction(struct kvm_vcpu *vcpu)
{
	return kvm_skip_bytes(vcpu, vmcs_read(VM_EXIT_INSTRUCTION_LEN));
}

/*
 * An alignment check is the guest's if it has asked for such. Otherwise the host
 * watches for locks across cache lines (split_lock_detect=), and the kernel
 * decides: it may let this thread go on.
 */
static int vmx_handle_alignment_check(struct kvm_vcpu *vcpu)
{
	bool guests = vcpu->cr0 & X86_CR0_AM && vmx_get_cpl(vcpu) == 3 &&
		      vmcs_read(GUEST_RFLAGS) & X86_EFLAGS_AC;

	if (guests || !boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT) ||
	    !handle_guest_split_lock(kvm_reg_read(vcpu, REG_RIP)))
		kvm_queue_exception_e(vcpu, X86_TRAP_AC, vmcs_read(VM_EXIT_INTR_ERROR_CODE));
	return 1;
}

static int vmx_handle_exception(struct kvm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u64 qualification = vmcs_read(EXIT_QUALIFICATION);

	vcpu->stat[STAT_exception]++;
	switch (vmx->intr_info & INTR_INFO_VECTOR_MASK) {
	case X86_TRAP_PF:
		return kvm_handle_shadow_fault(vcpu, qualification,
					       vmcs_read(VM_EXIT_INTR_ERROR_CODE));
	case X86_TRAP_NMI:
	case X86_TRAP_MC:
		return 1;	/* the host's, handled */
	case X86_TRAP_DB:
		/* INT1 is a trap, but its exit is not. */
		if ((vmx->intr_info & INTR_INFO_INTR_TYPE_MASK) == INTR_TYPE_PRIV_SW_EXCEPTION)
			vmx_skip_instruction(vcpu);
		/* B0 to B3, BD, BS, where DR6 has them (Table 28-1). */
		return kvm_handle_debug(vcpu, qualification);
	case X86_TRAP_BP:
		return kvm_handle_breakpoint(vcpu);
	case X86_TRAP_UD:
		return kvm_handle_undefined(vcpu);
	case X86_TRAP_AC:
		return vmx_handle_alignment_check(vcpu);
	default:
		return kvm_internal_error(vcpu, KVM_INTERNAL_ERROR_SIMUL_EX,
					  vmx->intr_info, vmx->idt_vectoring);
	}
}

static int vmx_handle_window(struct kvm_vcpu *vcpu)
{
	bool nmi = to_vmx(vcpu)->exit_reason == EXIT_REASON_NMI_WINDOW;

	vcpu->stat[nmi ? STAT_nmi_window : STAT_irq_window]++;
	vmx_assign_primary(to_vmx(vcpu), nmi ? CPU_BASED_NMI_WINDOW_EXITING :
					       CPU_BASED_INTR_WINDOW_EXITING, false);
	return 1;
}

/* Table 28-5: size, direction, string, repeated, port. */
static int vmx_handle_io(struct kvm_vcpu *vcpu)
{
	u32 q = vmcs_read(EXIT_QUALIFICATION);

	if (q & BIT(4))
		return kvm_emulate(vcpu);
	return kvm_handle_pio(vcpu, q >> 16, (q & 7) + 1, q & BIT(3));
}

/* Table 28-7. */
static int vmx_handle_ept_violation(struct kvm_vcpu *vcpu)
{
	u64 q = vmcs_read(EXIT_QUALIFICATION);
	u64 gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);
	u32 access = (q & EPT_VIOLATION_ACC_WRITE ? ACCESS_WRITE : 0) |
		     (q & EPT_VIOLATION_ACC_INSTR ? ACCESS_EXEC : 0) |
		     (q & EPT_VIOLATION_GVA_TRANSLATED ? 0 : ACCESS_SYSTEM);

	if (identity_table && (gpa & PAGE_MASK) == vmx_identity_gpa(vcpu) &&
	    !(q & EPT_VIOLATION_ACC_WRITE))
		return kvm_mmu_map_own(vcpu, gpa, identity_table);
	return kvm_handle_memory_fault(vcpu, gpa, access, 0, NULL);
}

/* An entry of ours that the processor does not like: a bug. */
static int vmx_handle_ept_misconfig(struct kvm_vcpu *vcpu)
{
	u64 gpa = vmcs_read(GUEST_PHYSICAL_ADDRESS);

	pr_err_ratelimited("kvm-live: EPT misconfiguration at guest-physical %#llx\n", gpa);
	kvm_vm_bugged(vcpu->kvm);
	return kvm_internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON,
				  EXIT_REASON_EPT_MISCONFIG, gpa);
}

/* Table 28-3: number, access type, register. */
static int vmx_handle_cr(struct kvm_vcpu *vcpu)
{
	u64 q = vmcs_read(EXIT_QUALIFICATION), value;

	vcpu->stat[STAT_cr]++;
	/* Only MOV to CR is frequent; a CR8 that lowers user space's TPR exits. */
	if (q >> 4 & 3 || (!vcpu->lapic && (q & 15) == 8))
		return kvm_emulate(vcpu);
	value = kvm_reg_read(vcpu, q >> 8 & 15);
	if (!kvm_is_long_mode(vcpu) || !(vmcs_read(GUEST_CS_AR_BYTES) & VMX_AR_L_MASK))
		value = (u32)value;
	if (kvm_set_cr(vcpu, q & 15, value))
		return kvm_handle_gp(vcpu);
	return vmx_skip_instruction(vcpu);
}

static int vmx_handle_invlpg(struct kvm_vcpu *vcpu)
{
	kvm_mmu_invlpg(vcpu, vmcs_read(EXIT_QUALIFICATION));
	return vmx_skip_instruction(vcpu);
}

/* VMX leaves the whole of it to software (27.4.2). */
static int vmx_handle_task_switch(struct kvm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);

	/* INT n and its like run again. */
	if (vmx->redo_info)
		kvm_clear_injected(vcpu);
	vmx->redo_info = 0;
	return kvm_emulate_injected(vcpu);
}

static int (*const exit_handlers[])(struct kvm_vcpu *vcpu) = {
	[EXIT_REASON_EXCEPTION_NMI]		= vmx_handle_exception,
	[EXIT_REASON_TRIPLE_FAULT]		= kvm_handle_triple_fault,
	[EXIT_REASON_INTERRUPT_WINDOW]		= vmx_handle_window,
	[EXIT_REASON_NMI_WINDOW]		= vmx_handle_window,
	[EXIT_REASON_TASK_SWITCH]		= vmx_handle_task_switch,
	[EXIT_REASON_PAUSE_INSTRUCTION]		= kvm_handle_pause,
	[EXIT_REASON_INVD]			= kvm_handle_wbinvd,
	[EXIT_REASON_INVLPG]			= vmx_handle_invlpg,
	[EXIT_REASON_RDPMC]			= kvm_handle_gp,	/* there are no counters */
	[EXIT_REASON_VMCALL]			= kvm_handle_hypercall,
	[EXIT_REASON_VMCLEAR ... EXIT_REASON_VMON] = kvm_handle_ud,
	/* The TPR is ours again (vmx_handle_exit()); something may go in now. */
	[EXIT_REASON_TPR_BELOW_THRESHOLD]	= kvm_handle_nothing,
	[EXIT_REASON_CR_ACCESS]			= vmx_handle_cr,
	[EXIT_REASON_DR_ACCESS]			= kvm_handle_dr,
	[EXIT_REASON_MSR_READ]			= kvm_handle_rdmsr,
	[EXIT_REASON_MWAIT_INSTRUCTION]		= kvm_handle_ud,
	[EXIT_REASON_MONITOR_INSTRUCTION]	= kvm_handle_ud,
	[EXIT_REASON_EPT_MISCONFIG]		= vmx_handle_ept_misconfig,
	[EXIT_REASON_INVEPT]			= kvm_handle_ud,
	[EXIT_REASON_INVVPID]			= kvm_handle_ud,
	[EXIT_REASON_WBINVD]			= kvm_handle_wbinvd,
	[EXIT_REASON_XSETBV]			= kvm_handle_xsetbv,
	[EXIT_REASON_ENCLS]			= kvm_handle_ud,
};

static int vmx_handle_exit(struct kvm_vcpu *vcpu)
{
	struct vmx_vcpu *vmx = to_vmx(vcpu);
	u32 reason = vmx->exit_reason;

	/* Refused: mostly user space set up a state that the architecture does not have. */
	if (unlikely(reason & VMX_EXIT_REASONS_FAILED_VMENTRY))
		return kvm_entry_failed(vcpu, reason == VMX_EXIT_REASONS_FAILED_VMENTRY ?
					      vmcs_read(VM_INSTRUCTION_ERROR) : reason);
	if (vmx->vtpr && *vmx->vtpr >> 4 != vcpu->cr8)
		kvm_set_cr8(vcpu, *vmx->vtpr >> 4 & 15);

	/* The most frequent ones without an indirect call; the others are in the table. */
	switch (reason) {
	case EXIT_REASON_EXTERNAL_INTERRUPT:
		return kvm_handle_irq(vcpu);
	case EXIT_REASON_IO_INSTRUCTION:
		return vmx_handle_io(vcpu);
	case EXIT_REASON_EPT_VIOLATION:
		return vmx_handle_ept_violation(vcpu);
	case EXIT_REASON_MSR_WRITE:
		return kvm_handle_wrmsr(vcpu);
	case EXIT_REASON_HLT:
		return kvm_handle_hlt(vcpu);
	case EXIT_REASON_CPUID:
		return kvm_handle_cpuid(vcpu);
	}
	if (reason < ARRAY_SIZE(exit_handlers)) {
		reason = array_index_nospec(reason, ARRAY_SIZE(exit_handlers));
		if (exit_handlers[reason])
			return exit_handlers[reason](vcpu);
	}
	vcpu->stat[STAT_other]++;
	return kvm_internal_error(vcpu, KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON,
				  reason, vmcs_read(EXIT_QUALIFICATION));
}

/* ---- loading ------------------------------------------------------------- */

static struct kvm_x86_ops vmx_ops __ro_after_init = {
	.name = "VMX",
	.hypercall = 0xc1010f,
	.foreign_hypercall = 0xd9010f,
	.vcpu_size = sizeof(struct vmx_vcpu),
	KVM_VENDOR_OPS(vmx),
	.cache_reg = vmx_cache_reg,
	.set_cr3 = vmx_load_paging,
};

/*
 * L1 terminal fault: a guest's page tables can make a vulnerable processor read
 * host memory out of its first-level cache. Empty that cache before each entry,
 * unless the administrator has said l1tf=off.
 */
static void __init vmx_setup_l1d_flush(void)
{
	u64 arch_caps = 0;

	if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
		rdmsrl(MSR_IA32_ARCH_CAPABILITIES, arch_caps);
	if (!boot_cpu_has_bug(X86_BUG_L1TF) || arch_caps & ARCH_CAP_SKIP_VMENTRY_L1DFLUSH)
		l1tf_vmx_mitigation = VMENTER_L1D_FLUSH_NOT_REQUIRED;
	else if (l1tf_mitigation != L1TF_MITIGATION_OFF && boot_cpu_has(X86_FEATURE_FLUSH_L1D))
		l1tf_vmx_mitigation = VMENTER_L1D_FLUSH_ALWAYS;
	else
		l1tf_vmx_mitigation = VMENTER_L1D_FLUSH_NEVER;
	if (l1tf_vmx_mitigation == VMENTER_L1D_FLUSH_NEVER &&
	    l1tf_mitigation != L1TF_MITIGATION_OFF)
		pr_warn("kvm-live: this processor has the L1TF flaw and no command to flush its L1 data cache: a guest may read host memory. Update its microcode.\n");
}

static void vmx_free(void)
{
	int cpu;

	l1tf_vmx_mitigation = VMENTER_L1D_FLUSH_AUTO;
	itlb_multihit_kvm_mitigation = false;
	for_each_possible_cpu(cpu)
		kfree(per_cpu(vmxon_region, cpu));
	free_pages((unsigned long)msr_bitmap, 1);
	free_page((unsigned long)identity_table);
	ida_destroy(&vpids);
}

static int __init vmx_alloc(void)
{
	int cpu, r = msr_bitmaps_init();

	if (!r && use_ept && !use_unrestricted)
		r = vmx_identity_init();
	for_each_possible_cpu(cpu) {
		INIT_LIST_HEAD(&per_cpu(loaded_vmcss, cpu));
		per_cpu(vmxon_region, cpu) = vmcs_alloc(cpu);
		if (!per_cpu(vmxon_region, cpu))
			r = -ENOMEM;
	}
	return r;
}

static int __init vmx_init(void)
{
	int r;

	BUILD_BUG_ON(offsetof(struct vmx_switch, regs) != SWITCH_REGS);
	BUILD_BUG_ON(offsetof(struct vmx_switch, host_rsp) != SWITCH_HOST_RSP);
	BUILD_BUG_ON(offsetof(struct vmx_switch, guest_spec) != SWITCH_GUEST_SPEC);
	BUILD_BUG_ON(offsetof(struct vmx_switch, host_spec) != SWITCH_HOST_SPEC);
	BUILD_BUG_ON(offsetof(struct vmx_switch, flags) != SWITCH_FLAGS);
	BUILD_BUG_ON(HOST_RSP != VMCS_HOST_RSP);
	BUILD_BUG_ON(offsetof(struct vmx_vcpu, vcpu));

	if (!boot_cpu_has(X86_FEATURE_VMX)) {
		pr_err("kvm-live: VMX is missing or switched off in firmware (see kvm-detect)\n");
		return -EOPNOTSUPP;
	}
	r = vmx_setup_controls();
	if (r)
		return r;
	vmx_setup_memory();
	if (use_ept)
		vmx_ops.tdp = &ept_format;
	if (caps.secondary & SECONDARY_EXEC_TSC_SCALING)
		vmx_ops.tsc_ratio_bits = 48;
	if (!use_unrestricted)
		vmx_ops.must_emulate = vmx_must_emulate;
	rdmsrl(MSR_IA32_VMX_CR0_FIXED0, caps.cr0_fixed0);
	if (use_unrestricted)
		caps.cr0_fixed0 &= ~(u64)(X86_CR0_PE | X86_CR0_PG);
	rdmsrl(MSR_IA32_VMX_CR0_FIXED1, caps.cr0_fixed1);
	rdmsrl(MSR_IA32_VMX_CR4_FIXED0, caps.cr4_fixed0);
	vmx_setup_l1d_flush();
	r = vmx_alloc() ?: kvm_register_vendor(&vmx_ops, THIS_MODULE);
	if (r) {
		vmx_free();
		return r;
	}
	if (use_ept)
		pr_info("kvm-live: VMX with EPT (leaves up to %s%s)%s%s\n",
			ept_format.max_level == 3 ? "1 GiB" :
			ept_format.max_level == 2 ? "2 MiB" : "4 KiB",
			ept_format.accessed ? ", accessed bits" : "",
			use_unrestricted ? ", unrestricted guest" : "", use_vpid ? ", VPID" : "");
	else
		pr_info("kvm-live: VMX with shadow paging%s\n", use_vpid ? ", VPID" : "");
	return 0;
}
module_init(vmx_init);

static void __exit vmx_exit(void)
{
	kvm_unregister_vendor();
	vmx_free();
}
module_exit(vmx_exit);
