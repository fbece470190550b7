// SPDX-License-Identifier: GPL-2.0-only
/*
 * msr.c: model-specific registers of a vCPU.
 *
 * Three kinds. What lives in the processor's own structure while the guest runs
 * (SYSCALL and SYSENTER registers, segment bases, PAT) is the vendor's: get_msr
 * and set_msr of the ops are asked first. What has a meaning for us is a case of
 * the two switches below. The rest only has to be remembered: one line each in
 * plain[], with the bits that may be written.
 *
 * A read or write that the processor would refuse returns 1: #GP for a guest,
 * the end of the list for user space. User space ("host") may also set what is
 * read-only for the guest.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/apicdef.h>
#include <asm/cpufeature.h>
#include <asm/mce.h>
#include <asm/msr-index.h>
#include <asm/msr.h>
#include <asm/mtrr.h>
#include <asm/nospec-branch.h>
#include <asm/tsc.h>
#include <uapi/asm/kvm_para.h>

#include "kvm.h"

/* ---- registers that are only remembered ---------------------------------- */

/* FFDIS, TLBCACHEDIS and IGNNE_EM do nothing; McStatusWrEn and TscFreqSel stay. */
#define HWCR_IGNORED	(BIT_ULL(3) | BIT_ULL(6) | BIT_ULL(8))
#define HWCR_KEPT	(BIT_ULL(18) | BIT_ULL(24))

enum { ANY, AMD, INTEL };	/* on which the register exists */

static const struct plain_msr {
	u32 index;
	u8 vendor;
	u64 guest_bits;		/* that the guest may change */
	u64 reset;
} plain[] = {
	{ MSR_IA32_PLATFORM_ID,		INTEL,	0,	0 },
	{ MSR_IA32_FEAT_CTL,		INTEL,	0,	FEAT_CTL_LOCKED },
	{ MSR_IA32_UCODE_REV,		ANY,	0,	0x100000000ULL },
	{ MSR_PLATFORM_INFO,		ANY,	0,	MSR_PLATFORM_INFO_CPUID_FAULT },
	{ MSR_MISC_FEATURES_ENABLES,	INTEL,	0,	0 },
	{ MSR_IA32_MISC_ENABLE,		ANY,	~0ULL,	MSR_IA32_MISC_ENABLE_FAST_STRING },
	{ MSR_IA32_EBL_CR_POWERON,	INTEL,	0,	0 },
	{ MSR_IA32_POWER_CTL,		ANY,	~0ULL,	0 },
	{ MSR_IA32_TSC_DEADLINE,	ANY,	~0ULL,	0 },
	{ MSR_IA32_DEBUGCTLMSR,		ANY,	0,	0 },
	{ MSR_IA32_LASTBRANCHFROMIP,	ANY,	0,	0 },
	{ MSR_IA32_LASTBRANCHTOIP,	ANY,	0,	0 },
	{ MSR_IA32_LASTINTFROMIP,	ANY,	0,	0 },
	{ MSR_IA32_LASTINTTOIP,		ANY,	0,	0 },
	{ MSR_AMD64_SYSCFG,		AMD,	0,	0 },
	{ MSR_K7_HWCR,			AMD,	HWCR_KEPT, 0 },
	{ MSR_K8_INT_PENDING_MSG,	AMD,	0,	0 },
	{ MSR_AMD64_NB_CFG,		AMD,	BIT_ULL(46), 0 },
	{ MSR_FAM10H_MMIO_CONF_BASE,	AMD,	0,	0 },
	{ MSR_AMD64_OSVW_ID_LENGTH,	AMD,	0,	0 },
	{ MSR_AMD64_OSVW_STATUS,	AMD,	0,	0 },
	{ MSR_AMD64_PATCH_LOADER,	AMD,	~0ULL,	0 },
	{ MSR_AMD64_BU_CFG2,		AMD,	0,	0 },
	{ MSR_AMD64_DC_CFG,		AMD,	0,	0 },
	{ MSR_AMD64_LS_CFG,		AMD,	0,	0 },
	{ MSR_AMD64_DE_CFG,		AMD,	0,	MSR_AMD64_DE_CFG_LFENCE_SERIALIZE },
	{ MSR_AMD64_TSC_RATIO,		AMD,	0,	0x100000000ULL },
	{ MSR_AMD_PERF_CTL,		AMD,	0,	0 },
};

static bool vendor_matches(u8 vendor)
{
	bool intel = boot_cpu_data.x86_vendor == X86_VENDOR_INTEL;

	return vendor == ANY || (vendor == INTEL) == intel;
}

static int plain_index(u32 index)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(plain); i++)
		if (plain[i].index == index && vendor_matches(plain[i].vendor))
			return i;
	return -1;
}

/* The other registers that user space saves and restores. */
static const u32 saved[] = {
	MSR_IA32_TSC, MSR_IA32_TSC_ADJUST, MSR_IA32_APICBASE,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_KERNEL_GS_BASE,
	MSR_FS_BASE, MSR_GS_BASE, MSR_EFER, MSR_IA32_CR_PAT,
	MSR_IA32_MCG_STATUS, MSR_IA32_MCG_CTL, MSR_MTRRdefType,
	MSR_MTRRfix64K_00000, MSR_MTRRfix16K_80000, MSR_MTRRfix16K_A0000,
	MSR_MTRRfix4K_C0000, MSR_MTRRfix4K_C8000, MSR_MTRRfix4K_D0000,
	MSR_MTRRfix4K_D8000, MSR_MTRRfix4K_E0000, MSR_MTRRfix4K_E8000,
	MSR_MTRRfix4K_F0000, MSR_MTRRfix4K_F8000,
	0x200, 0x201, 0x202, 0x203, 0x204, 0x205, 0x206, 0x207,
	0x208, 0x209, 0x20a, 0x20b, 0x20c, 0x20d, 0x20e, 0x20f,
	MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, MSR_KVM_WALL_CLOCK_NEW,
	MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_STEAL_TIME, MSR_KVM_PV_EOI_EN,
	MSR_KVM_POLL_CONTROL, MSR_SMI_COUNT,
};

static bool has_tsc_aux(void)
{
	return boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID);
}

static bool has_spec_ctrl(void)
{
	return boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL);
}

/* Properties of the processor that user space may ask for without a vCPU. */
static const u32 features[] = {
	MSR_IA32_UCODE_REV, MSR_IA32_ARCH_CAPABILITIES, MSR_PLATFORM_INFO,
	MSR_AMD64_DE_CFG,
};

int kvm_get_feature_msr(u32 index, u64 *value)
{
	*value = 0;
	switch (index) {
	case MSR_IA32_UCODE_REV:
		rdmsrl_safe(index, value);
		return 0;
	case MSR_IA32_ARCH_CAPABILITIES:
		if (boot_cpu_has(X86_FEATURE_ARCH_CAPABILITIES))
			rdmsrl(index, *value);
		*value &= ARCH_CAP_RDCL_NO | ARCH_CAP_IBRS_ALL | ARCH_CAP_RSBA |
			  ARCH_CAP_SSB_NO | ARCH_CAP_MDS_NO |
			  ARCH_CAP_PSCHANGE_MC_NO | ARCH_CAP_TAA_NO |
			  ARCH_CAP_SBDR_SSDP_NO | ARCH_CAP_FBSDP_NO |
			  ARCH_CAP_PSDP_NO | ARCH_CAP_RRSBA | ARCH_CAP_BHI_NO |
			  ARCH_CAP_PBRSB_NO | ARCH_CAP_GDS_NO | ARCH_CAP_RFDS_NO;
		/* A guest is always under a hypervisor that flushes L1D. */
		*value |= ARCH_CAP_SKIP_VMENTRY_L1DFLUSH;
		return 0;
	case MSR_PLATFORM_INFO:
		return 0;
	case MSR_AMD64_DE_CFG:
		*value = MSR_AMD64_DE_CFG_LFENCE_SERIALIZE;
		return 0;
	default:
		return 1;
	}
}

int kvm_get_msr_index_list(struct kvm_msr_list __user *user, bool feature_list)
{
	u32 list[ARRAY_SIZE(saved) + ARRAY_SIZE(plain) + 4];
	struct kvm_msr_list head;
	u32 room, n = 0;
	int i;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (feature_list) {
		for (i = 0; i < ARRAY_SIZE(features); i++)
			list[n++] = features[i];
	} else {
		for (i = 0; i < ARRAY_SIZE(saved); i++)
			list[n++] = saved[i];
		for (i = 0; i < ARRAY_SIZE(plain); i++)
			if (vendor_matches(plain[i].vendor) &&
			    plain[i].index != MSR_AMD64_TSC_RATIO)
				list[n++] = plain[i].index;
		if (kvm_has_smm())
			list[n++] = MSR_IA32_SMBASE;
		if (has_tsc_aux())
			list[n++] = MSR_TSC_AUX;
		if (has_spec_ctrl())
			list[n++] = MSR_IA32_SPEC_CTRL;
	}
	room = head.nmsrs;
	head.nmsrs = n;
	if (copy_to_user(user, &head, sizeof(head)))
		return -EFAULT;
	if (room < n)
		return -E2BIG;
	return copy_to_user(user->indices, list, n * sizeof(u32)) ? -EFAULT : 0;
}

/* ---- time ---------------------------------------------------------------- */

u64 kvm_guest_tsc(struct kvm_vcpu *vcpu)
{
	return rdtsc() + vcpu->tsc_offset;
}

static void set_tsc_offset(struct kvm_vcpu *vcpu, u64 offset)
{
	u64 deadline = vcpu->lapic ? kvm_apic_get_deadline(vcpu) : 0;

	vcpu->tsc_offset = offset;
	kvm_ops->set_tsc_offset(vcpu);
	kvm_request(vcpu, REQ_CLOCK);
	if (deadline)
		kvm_apic_set_deadline(vcpu, deadline);
}

/* KVM_{HAS,GET,SET}_DEVICE_ATTR of a vCPU: the offset is the one there is. */
int kvm_tsc_attr(struct kvm_vcpu *vcpu, unsigned int ioctl, const struct kvm_device_attr *attr)
{
	u64 __user *user = (u64 __user *)attr->addr;
	u64 offset;

	if (attr->flags || attr->group != KVM_VCPU_TSC_CTRL || attr->attr != KVM_VCPU_TSC_OFFSET)
		return -ENXIO;
	if (ioctl == KVM_HAS_DEVICE_ATTR)
		return 0;
	if (ioctl == KVM_GET_DEVICE_ATTR)
		return put_user(vcpu->tsc_offset, user);
	if (get_user(offset, user))
		return -EFAULT;
	set_tsc_offset(vcpu, offset);
	return 0;
}

/*
 * User space sets the counters of a VM's vCPUs one after the other and means
 * them to be equal: a value within a second of what another vCPU reads is taken
 * as "the same clock".
 */
static void set_tsc(struct kvm_vcpu *vcpu, u64 value, bool host)
{
	u64 offset = value - rdtsc();
	struct kvm_vcpu *other;
	unsigned long i;

	if (host) {
		xa_for_each(&vcpu->kvm->vcpus, i, other) {
			u64 theirs = READ_ONCE(other->tsc_offset);
			s64 apart = theirs - offset;

			if (other != vcpu && abs(apart) < tsc_khz * 1000LL) {
				offset = theirs;
				break;
			}
		}
	} else {
		vcpu->tsc_adjust += offset - vcpu->tsc_offset;
	}
	set_tsc_offset(vcpu, offset);
}

/* ---- memory types -------------------------------------------------------- */

static bool valid_memory_type(u8 type)
{
	/* UC, WC, WT, WP, WB */
	return type == 0 || type == 1 || type == 4 || type == 5 || type == 6;
}

/* Eight of them: in a fixed-range MTRR, or in PAT with 7: MTRRs may override. */
static bool valid_memory_types(u64 value, bool pat)
{
	int i;

	for (i = 0; i < 8; i++, value >>= 8)
		if (!valid_memory_type(value) && !(pat && (u8)value == 7))
			return false;
	return true;
}

/* The registers that are a field of struct kvm_vcpu. */
static const struct {
	u32 index;
	u16 offset;
} fields[] = {
	{ MSR_IA32_TSC_ADJUST,	offsetof(struct kvm_vcpu, tsc_adjust) },
	{ MSR_EFER,		offsetof(struct kvm_vcpu, efer) },
	{ MSR_IA32_CR_PAT,	offsetof(struct kvm_vcpu, pat) },
	{ MSR_IA32_MCG_CAP,	offsetof(struct kvm_vcpu, mcg_cap) },
	{ MSR_IA32_MCG_STATUS,	offsetof(struct kvm_vcpu, mcg_status) },
	{ MSR_IA32_MCG_CTL,	offsetof(struct kvm_vcpu, mcg_ctl) },
	{ MSR_IA32_XSS,		offsetof(struct kvm_vcpu, xss) },
	{ MSR_TSC_AUX,		offsetof(struct kvm_vcpu, tsc_aux) },
	{ MSR_IA32_SPEC_CTRL,	offsetof(struct kvm_vcpu, spec_ctrl) },
	{ MSR_IA32_SMBASE,	offsetof(struct kvm_vcpu, smbase) },
	{ MSR_SMI_COUNT,	offsetof(struct kvm_vcpu, smi_count) },
};

static u64 *find_field(struct kvm_vcpu *vcpu, u32 index)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (fields[i].index == index)
			return (void *)vcpu + fields[i].offset;
	return NULL;
}

/* The MTRR with this index, NULL if there is none. */
static u64 *find_mtrr(struct kvm_vcpu *vcpu, u32 index)
{
	struct kvm_mtrr *mtrr = &vcpu->mtrr;

	switch (index) {
	case MSR_MTRRdefType:
		return &mtrr->def_type;
	case MSR_MTRRfix64K_00000:
		return &mtrr->fixed[0];
	case MSR_MTRRfix16K_80000 ... MSR_MTRRfix16K_A0000:
		return &mtrr->fixed[1 + index - MSR_MTRRfix16K_80000];
	case MSR_MTRRfix4K_C0000 ... MSR_MTRRfix4K_F8000:
		return &mtrr->fixed[3 + index - MSR_MTRRfix4K_C0000];
	case 0x200 ... 0x20f:
		return &mtrr->var[index - 0x200];
	default:
		return NULL;
	}
}

static bool valid_mtrr(struct kvm_vcpu *vcpu, u32 index, u64 value)
{
	u64 beyond = vcpu->maxphyaddr < 52 ?
		GENMASK_ULL(63, vcpu->maxphyaddr) : GENMASK_ULL(63, 52);

	if (index == MSR_MTRRdefType)
		return !(value & ~0xcffULL) && valid_memory_type(value);
	if (index < 0x200 || index > 0x20f)
		return valid_memory_types(value, false);
	if (value & beyond)
		return false;
	if (index & 1)
		return !(value & 0x7ff);
	return !(value & 0xf00) && valid_memory_type(value);
}

/* ---- machine checks ------------------------------------------------------ */

static u64 *find_mce(struct kvm_vcpu *vcpu, u32 index)
{
	u32 banks = vcpu->mcg_cap & MCG_BANKCNT_MASK;

	if (index >= MSR_IA32_MC0_CTL && index < MSR_IA32_MC0_CTL + 4 * banks)
		return &vcpu->mce_bank[array_index_nospec(index - MSR_IA32_MC0_CTL,
							  4 * KVM_MCE_BANKS)];
	return NULL;
}

static int set_mce(struct kvm_vcpu *vcpu, u32 index, u64 value, bool host)
{
	u64 *reg = find_mce(vcpu, index);

	switch ((index - MSR_IA32_MC0_CTL) & 3) {
	case 0:		/* CTL: all ones or all zeros (Linux clears bit 10) */
		if (value && (value | BIT(10) | 1) != ~0ULL)
			return 1;
		break;
	case 1:		/* STATUS: the guest may only clear it */
		if (!host && value)
			return 1;
		break;
	}
	*reg = value;
	return 0;
}

/* ---- reading and writing ------------------------------------------------- */

int kvm_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	bool refused = false;
	u64 *reg;
	int i, r;

	r = kvm_ops->get_msr(vcpu, index, value);
	if (r <= 0)
		return r;

	switch (index) {
	case MSR_IA32_TSC:
		*value = kvm_guest_tsc(vcpu);
		return 0;
	case MSR_IA32_APICBASE:
		*value = vcpu->apic_base;
		return 0;
	case APIC_BASE_MSR ... APIC_BASE_MSR + 0xff:
		return kvm_x2apic_read(vcpu, index, value);
	case MSR_IA32_TSC_DEADLINE:
		if (!vcpu->lapic)
			break;
		*value = kvm_apic_get_deadline(vcpu);
		return 0;
	case MSR_MTRRcap:
		/* 8 variable ranges, fixed ranges, write-combining */
		*value = 0x508;
		return 0;
	case MSR_IA32_P5_MC_ADDR:
	case MSR_IA32_P5_MC_TYPE:
		*value = 0;
		return 0;
	case MSR_IA32_MCG_CTL:
		refused = !(vcpu->mcg_cap & MCG_CTL_P) && !host;
		break;
	case MSR_IA32_XSS:
	case MSR_IA32_SMBASE:
		refused = !host;
		break;
	case MSR_TSC_AUX:
		refused = !has_tsc_aux() || (!host && !vcpu->wants_tsc_aux);
		break;
	case MSR_IA32_SPEC_CTRL:
		refused = !has_spec_ctrl();
		break;
	case MSR_PLATFORM_INFO:
		refused = !host && vcpu->kvm->hide_platform_info;
		break;
	case MSR_IA32_ARCH_CAPABILITIES:
		if (!host && !kvm_guest_has(vcpu, X86_FEATURE_ARCH_CAPABILITIES))
			return 1;
		return kvm_get_feature_msr(index, value);
	}
	if (refused)
		return 1;
	reg = find_field(vcpu, index);
	if (!reg && kvm_pv_has_msr(vcpu, index, host)) {
		*value = kvm_pv_get_msr(vcpu, index);
		return 0;
	}
	reg = reg ?: find_mtrr(vcpu, index) ?: find_mce(vcpu, index);
	if (!reg) {
		i = plain_index(index);
		if (i < 0)
			return KVM_MSR_UNKNOWN;
		reg = &vcpu->msrs[i];
	}
	*value = *reg;
	return 0;
}

int kvm_set_apic_base(struct kvm_vcpu *vcpu, u64 value, bool host)
{
	u64 reserved = GENMASK_ULL(63, vcpu->maxphyaddr) | 0x2ff;
	u64 mode = X2APIC_ENABLE | MSR_IA32_APICBASE_ENABLE;
	u64 old = vcpu->apic_base;

	if (!vcpu->lapic || (!host && !kvm_guest_has(vcpu, X86_FEATURE_X2APIC)))
		reserved |= X2APIC_ENABLE;
	if (value & reserved || (value & mode) == X2APIC_ENABLE)
		return 1;
	/* SDM vol. 3, figure 11-27: from x2APIC only to off, and there not from off. */
	if (!host && (((old & mode) == mode && (value & mode) == MSR_IA32_APICBASE_ENABLE) ||
		      (!(old & mode) && (value & mode) == mode)))
		return 1;
	vcpu->apic_base = value;
	kvm_apic_base_changed(vcpu, old);
	return 0;
}

static int set_spec_ctrl(struct kvm_vcpu *vcpu, u64 value, bool host)
{
	u64 bits = SPEC_CTRL_IBRS | SPEC_CTRL_STIBP | SPEC_CTRL_SSBD;

	if (!has_spec_ctrl() || value & ~bits)
		return 1;
	if (!host && !kvm_guest_has(vcpu, X86_FEATURE_SPEC_CTRL) &&
	    !kvm_guest_has(vcpu, X86_FEATURE_AMD_IBRS) &&
	    !kvm_guest_has(vcpu, X86_FEATURE_AMD_STIBP) &&
	    !kvm_guest_has(vcpu, X86_FEATURE_AMD_SSBD))
		return 1;
	vcpu->spec_ctrl = value;
	return 0;
}

static int set_pred_cmd(struct kvm_vcpu *vcpu, u64 value, bool host)
{
	if (value & ~(u64)PRED_CMD_IBPB || !boot_cpu_has(X86_FEATURE_IBPB))
		return 1;
	if (!host && !kvm_guest_has(vcpu, X86_FEATURE_SPEC_CTRL) &&
	    !kvm_guest_has(vcpu, X86_FEATURE_AMD_IBPB))
		return 1;
	if (value)
		wrmsrl(MSR_IA32_PRED_CMD, PRED_CMD_IBPB);
	return 0;
}

static int set_plain(struct kvm_vcpu *vcpu, u32 index, u64 value, bool host)
{
	int i = plain_index(index);

	if (i < 0)
		return KVM_MSR_UNKNOWN;
	if (index == MSR_K7_HWCR) {
		value &= ~HWCR_IGNORED;
		if (value & ~HWCR_KEPT)
			return 1;
	}
	if (!host && (value ^ vcpu->msrs[i]) & ~plain[i].guest_bits)
		return 1;
	vcpu->msrs[i] = value;
	return 0;
}

int kvm_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 value, bool host)
{
	u64 *reg;
	int r;

	switch (index) {
	case MSR_IA32_CR_PAT:
		if (!valid_memory_types(value, true))
			return 1;
		break;
	case MSR_FS_BASE:
	case MSR_GS_BASE:
	case MSR_KERNEL_GS_BASE:
	case MSR_LSTAR:
	case MSR_CSTAR:
	case MSR_IA32_SYSENTER_ESP:
	case MSR_IA32_SYSENTER_EIP:
		/* The processor checks these when it loads them: so do we. */
		if (!__is_canonical_address(value, boot_cpu_data.x86_virt_bits))
			return 1;
		break;
	}
	r = kvm_ops->set_msr(vcpu, index, value);
	if (r <= 0)
		return r;

	switch (index) {
	case MSR_IA32_TSC:
		set_tsc(vcpu, value, host);
		return 0;
	case MSR_IA32_TSC_ADJUST:
		/* User space restores the register, the guest moves its clock. */
		if (!host)
			set_tsc_offset(vcpu, vcpu->tsc_offset + value -
					     vcpu->tsc_adjust);
		vcpu->tsc_adjust = value;
		return 0;
	case MSR_IA32_APICBASE:
		return kvm_set_apic_base(vcpu, value, host);
	case APIC_BASE_MSR ... APIC_BASE_MSR + 0xff:
		return kvm_x2apic_write(vcpu, index, value);
	case MSR_IA32_TSC_DEADLINE:
		if (!vcpu->lapic)
			break;
		kvm_apic_set_deadline(vcpu, value);
		return 0;
	case MSR_EFER:
		return kvm_set_efer(vcpu, value, host);
	case MSR_IA32_CR_PAT:
		vcpu->pat = value;
		return 0;
	case MSR_IA32_MCG_STATUS:
		vcpu->mcg_status = value;
		return 0;
	case MSR_IA32_MCG_CTL:
		if (!(vcpu->mcg_cap & MCG_CTL_P) && (!host || value))
			return 1;
		if (value && value != ~0ULL)
			return 1;
		vcpu->mcg_ctl = value;
		return 0;
	case MSR_IA32_XSS:
		return value || !host;
	case MSR_IA32_SMBASE:
		vcpu->smbase = host ? lower_32_bits(value) : vcpu->smbase;
		return !host;
	case MSR_SMI_COUNT:
		vcpu->smi_count = host ? value : vcpu->smi_count;
		return !host;
	case MSR_TSC_AUX:
		if (!has_tsc_aux() || value >> 32)
			return 1;
		vcpu->tsc_aux = value;
		preempt_disable();
		if (vcpu->cpu >= 0)
			kvm_load_tsc_aux(vcpu);
		preempt_enable();
		return 0;
	case MSR_IA32_SPEC_CTRL:
		return set_spec_ctrl(vcpu, value, host);
	case MSR_IA32_PRED_CMD:
		return set_pred_cmd(vcpu, value, host);
	case MSR_IA32_ARCH_CAPABILITIES:
	case MSR_MTRRcap:
		return !host;
	case MSR_IA32_UCODE_REV:
		if (host)
			break;
		return 0;	/* Intel's way to ask for the revision: write 0 first */
	case MSR_IA32_UCODE_WRITE:
		return 0;	/* an update that does nothing */
	}
	if (kvm_pv_has_msr(vcpu, index, host))
		return kvm_pv_set_msr(vcpu, index, value, host);
	reg = find_mtrr(vcpu, index);
	if (reg) {
		if (!valid_mtrr(vcpu, index, value))
			return 1;
		*reg = value;
		return 0;
	}
	if (find_mce(vcpu, index))
		return set_mce(vcpu, index, value, host);
	return set_plain(vcpu, index, value, host);
}

/* ---- a vCPU's registers -------------------------------------------------- */

int kvm_init_msrs(struct kvm_vcpu *vcpu)
{
	vcpu->msrs = kcalloc(ARRAY_SIZE(plain), sizeof(u64), GFP_KERNEL_ACCOUNT);
	if (!vcpu->msrs)
		return -ENOMEM;
	vcpu->tsc_khz = vcpu->kvm->default_tsc_khz;
	vcpu->tsc_offset = -rdtsc();
	vcpu->mcg_cap = KVM_MCE_BANKS;
	return 0;
}

void kvm_free_msrs(struct kvm_vcpu *vcpu)
{
	kfree(vcpu->msrs);
}

void kvm_reset_msrs(struct kvm_vcpu *vcpu)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(plain); i++)
		vcpu->msrs[i] = plain[i].reset;
	vcpu->pat = 0x0007040600070406ULL;
	vcpu->apic_base = APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE;
	if (vcpu->id == vcpu->kvm->bsp_id)
		vcpu->apic_base |= MSR_IA32_APICBASE_BSP;
	memset(&vcpu->mtrr, 0, sizeof(vcpu->mtrr));
	vcpu->spec_ctrl = 0;
	vcpu->xss = vcpu->smi_count = 0;
	vcpu->smbase = 0x30000;
}
