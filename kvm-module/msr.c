// SPDX-License-Identifier: GPL-2.0-only
/*
 * msr.c: model-specific registers of a vCPU.
 *
 * Three kinds. What lives in the processor's own structure while the guest runs
 * (SYSCALL and SYSENTER registers, segment bases, PAT) is the vendor's: get_msr
 * and set_msr of the ops are asked first. What has a meaning for us is a case of the
 * switches below. The rest only has to be remembered: in a field of struct
 * kvm_vcpu (fields[]), or where nobody else looks (plain[]).
 *
 * A read or write that the processor would refuse returns 1: #GP for a guest,
 * the end of the list for user space. User space ("host") may also set what is
 * read-only for the guest.
 */
#include <linux/nospec.h>
#include <linux/uaccess.h>
#include <asm/apicdef.h>
#include <asm/cpufeature.h>
#include <asm/mce.h>
#include <asm/msr-index.h>
#include <asm/msr.h>
#include <asm/mtrr.h>
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
	{ MSR_PLATFORM_INFO,		ANY,	0,	0 },
	{ MSR_MISC_FEATURES_ENABLES,	INTEL,	0,	0 },
	{ MSR_IA32_MISC_ENABLE,		ANY,	~0ULL,	MSR_IA32_MISC_ENABLE_FAST_STRING },
	{ MSR_IA32_EBL_CR_POWERON,	INTEL,	0,	0 },
	/* Of the Pentium 4 and before Nehalem: a bus of 133 MHz, times ten; an L2 cache */
	{ MSR_EBC_FREQUENCY_ID,		INTEL,	0,	10 << 24 | 1 << 16 },
	{ MSR_FSB_FREQ,			INTEL,	0,	1 },
	{ MSR_IA32_BBL_CR_CTL3,		INTEL,	~0ULL,	BIT(0) | BIT(8) },
	{ MSR_IA32_PERF_STATUS,		INTEL,	0,	10ULL << 40 | 10 << 8 },
	{ MSR_IA32_POWER_CTL,		ANY,	~0ULL,	0 },
	{ MSR_IA32_TSC_DEADLINE,	ANY,	~0ULL,	0 },
	{ MSR_IA32_DEBUGCTLMSR,		ANY,	DEBUGCTLMSR_LBR | DEBUGCTLMSR_BTF, 0 },
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
	{ MSR_AMD64_DE_CFG,		AMD,	~0ULL,	MSR_AMD64_DE_CFG_LFENCE_SERIALIZE },
	{ MSR_AMD64_TSC_RATIO,		AMD,	0,	0x100000000ULL },
	{ MSR_AMD_PERF_CTL,		AMD,	0,	0 },
};
static_assert(ARRAY_SIZE(plain) == KVM_PLAIN_MSRS);

static bool vendor_matches(u8 vendor)
{
	return vendor == ANY || (vendor == INTEL) == (boot_cpu_data.x86_vendor == X86_VENDOR_INTEL);
}

/* The other registers that user space saves and restores. */
static const u32 saved[] = {
	MSR_IA32_TSC, MSR_IA32_APICBASE, MSR_FS_BASE, MSR_GS_BASE,
	MSR_IA32_SYSENTER_CS, MSR_IA32_SYSENTER_ESP, MSR_IA32_SYSENTER_EIP,
	MSR_STAR, MSR_LSTAR, MSR_CSTAR, MSR_SYSCALL_MASK, MSR_KERNEL_GS_BASE,
	MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, MSR_KVM_WALL_CLOCK_NEW,
	MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_STEAL_TIME, MSR_KVM_PV_EOI_EN, MSR_KVM_POLL_CONTROL,
};

static bool has_tsc_aux(void)
{
	return boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID);
}

/* Properties of the processor that user space may ask for without a vCPU. */
static const u32 features[] = {
	MSR_IA32_UCODE_REV, MSR_IA32_ARCH_CAPABILITIES, MSR_PLATFORM_INFO, MSR_AMD64_DE_CFG,
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

/* ---- time ---------------------------------------------------------------- */

/* As many ticks of the guest's counter as these are of the host's. */
u64 kvm_scale_tsc(const struct kvm_vcpu *vcpu, u64 ticks)
{
	return vcpu->tsc_ratio ?
		mul_u64_u64_shr(ticks, vcpu->tsc_ratio, kvm_ops->tsc_ratio_bits) : ticks;
}

u64 kvm_guest_tsc(struct kvm_vcpu *vcpu)
{
	return kvm_scale_tsc(vcpu, rdtsc()) + vcpu->tsc_offset;
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
 * User space sets the counters of a VM's vCPUs one after the other and means them to
 * be equal: a value within a second of the one before, as that has gone on, is taken
 * as "the same clock". So is 0, of a vCPU that is new, plugged in, or plugged in again.
 */
static void set_tsc(struct kvm_vcpu *vcpu, u64 value, bool host)
{
	u64 asked = value - kvm_scale_tsc(vcpu, rdtsc()), offset = asked;
	struct kvm *kvm = vcpu->kvm;

	if (host) {
		guard(spinlock)(&kvm->clock.lock);
		if (kvm->tsc.khz == vcpu->tsc_khz && (!value || (kvm->tsc.vcpu != vcpu &&
		    abs((s64)(asked - kvm->tsc.asked)) < vcpu->tsc_khz * 1000LL)))
			offset = kvm->tsc.offset;
		kvm->tsc = (typeof(kvm->tsc)){ vcpu, vcpu->tsc_khz, asked, offset };
	} else {
		vcpu->tsc_adjust += offset - vcpu->tsc_offset;
	}
	set_tsc_offset(vcpu, offset);
}

/* Others than the host's rate, below 256 times that, need a processor that scales. */
bool kvm_valid_tsc_khz(unsigned long khz)
{
	return !khz || khz == tsc_khz || (kvm_ops->tsc_ratio_bits && khz >> 8 < tsc_khz);
}

/* KVM_SET_TSC_KHZ, 0: the host's. The counter goes on from where it is. */
int kvm_set_tsc_khz(struct kvm_vcpu *vcpu, unsigned long khz)
{
	u64 now = kvm_guest_tsc(vcpu);

	if (!kvm_valid_tsc_khz(khz))
		return -EINVAL;
	vcpu->tsc_khz = khz ?: tsc_khz;
	vcpu->tsc_ratio = vcpu->tsc_khz == tsc_khz ? 0 :
		mul_u64_u64_div_u64(khz, BIT_ULL(kvm_ops->tsc_ratio_bits), tsc_khz);
	set_tsc_offset(vcpu, now - kvm_scale_tsc(vcpu, rdtsc()));
	return 0;
}

/* ---- memory types -------------------------------------------------------- */

static bool valid_memory_type(u8 type)
{
	return type < 8 &&
	       BIT(type) & (BIT(X86_MEMTYPE_UC) | BIT(X86_MEMTYPE_WC) | BIT(X86_MEMTYPE_WT) |
			    BIT(X86_MEMTYPE_WP) | BIT(X86_MEMTYPE_WB));
}

/* Eight of them: in a fixed-range MTRR, or in PAT with UC-: MTRRs may override. */
static bool valid_memory_types(u64 value, bool pat)
{
	for (int i = 0; i < 8; i++, value >>= 8)
		if (!valid_memory_type(value) && !(pat && (u8)value == X86_MEMTYPE_UC_MINUS))
			return false;
	return true;
}

/* ---- what is remembered -------------------------------------------------- */

/* The registers that are a field of struct kvm_vcpu, or an array there. */
static const struct {
	u32 index, count;
	size_t offset;
} fields[] = {
	{ MSR_IA32_TSC_ADJUST,	1, offsetof(struct kvm_vcpu, tsc_adjust) },
	{ MSR_EFER,		1, offsetof(struct kvm_vcpu, efer) },
	{ MSR_IA32_CR_PAT,	1, offsetof(struct kvm_vcpu, pat) },
	{ MSR_IA32_MCG_STATUS,	1, offsetof(struct kvm_vcpu, mcg_status) },
	{ MSR_IA32_MCG_CTL,	1, offsetof(struct kvm_vcpu, mcg_ctl) },
	{ MSR_TSC_AUX,		1, offsetof(struct kvm_vcpu, tsc_aux) },
	{ MSR_IA32_SPEC_CTRL,	1, offsetof(struct kvm_vcpu, spec_ctrl) },
	{ MSR_IA32_SMBASE,	1, offsetof(struct kvm_vcpu, smbase) },
	{ MSR_SMI_COUNT,	1, offsetof(struct kvm_vcpu, smi_count) },
	{ MSR_MTRRdefType,	1, offsetof(struct kvm_vcpu, mtrr.def_type) },
	{ MSR_MTRRfix64K_00000,	1, offsetof(struct kvm_vcpu, mtrr.fixed[0]) },
	{ MSR_MTRRfix16K_80000,	2, offsetof(struct kvm_vcpu, mtrr.fixed[1]) },
	{ MSR_MTRRfix4K_C0000,	8, offsetof(struct kvm_vcpu, mtrr.fixed[3]) },
	{ MTRRphysBase_MSR(0),	16, offsetof(struct kvm_vcpu, mtrr.var) },
	{ MSR_IA32_MC0_CTL,	4 * KVM_MCE_BANKS, offsetof(struct kvm_vcpu, mce_bank) },
};

/* Where a register is, and the bits of it that the guest may change; NULL: nowhere. */
static u64 *find_register(struct kvm_vcpu *vcpu, u32 index, u64 *guest_bits)
{
	u32 banks = vcpu->mcg_cap & MCG_BANKCNT_MASK;

	if (index >= MSR_IA32_MCx_CTL(banks) && index < MSR_IA32_MCx_CTL(KVM_MCE_BANKS))
		return NULL;
	*guest_bits = ~0ULL;
	for (int i = 0; i < ARRAY_SIZE(fields); i++)
		if (index - fields[i].index < fields[i].count)
			return (void *)vcpu + fields[i].offset + sizeof(u64) *
			       array_index_nospec(index - fields[i].index, fields[i].count);
	for (int i = 0; i < ARRAY_SIZE(plain); i++) {
		*guest_bits = plain[i].guest_bits;
		if (plain[i].index == index && vendor_matches(plain[i].vendor))
			return &vcpu->msrs[i];
	}
	return NULL;
}

/* What the processor does not know would be #GP in the host. */
static u64 spec_ctrl_bits(void)
{
	bool ssbd = boot_cpu_has(X86_FEATURE_SPEC_CTRL_SSBD) || boot_cpu_has(X86_FEATURE_AMD_SSBD);

	return (boot_cpu_has(X86_FEATURE_IBRS) ? SPEC_CTRL_IBRS : 0) |
	       (boot_cpu_has(X86_FEATURE_STIBP) ? SPEC_CTRL_STIBP : 0) |
	       (ssbd ? SPEC_CTRL_SSBD : 0);
}

static bool guest_has_spec_ctrl(struct kvm_vcpu *vcpu)
{
	return kvm_guest_has(vcpu, X86_FEATURE_SPEC_CTRL) ||
	       kvm_guest_has(vcpu, X86_FEATURE_AMD_IBRS) ||
	       kvm_guest_has(vcpu, X86_FEATURE_AMD_STIBP) ||
	       kvm_guest_has(vcpu, X86_FEATURE_AMD_SSBD);
}

/*
 * Some registers depend on what the processor or the guest's CPUID has. For the host
 * vcpu may be NULL: on the processor alone.
 */
static bool may_access(struct kvm_vcpu *vcpu, u32 index, bool host)
{
	switch (index) {
	case MSR_IA32_MCG_CTL:
		return host || vcpu->mcg_cap & MCG_CTL_P;
	case MSR_IA32_XSS:
		return host;
	case MSR_IA32_SMBASE:
		return host && kvm_has_smm();
	case MSR_TSC_AUX:
		return has_tsc_aux() && (host || vcpu->wants_tsc_aux);
	case MSR_IA32_SPEC_CTRL:
		return boot_cpu_has(X86_FEATURE_MSR_SPEC_CTRL) && (host || guest_has_spec_ctrl(vcpu));
	case MSR_IA32_PRED_CMD:
		return boot_cpu_has(X86_FEATURE_IBPB) &&
		       (host || kvm_guest_has(vcpu, X86_FEATURE_SPEC_CTRL) ||
			kvm_guest_has(vcpu, X86_FEATURE_AMD_IBPB));
	case MSR_IA32_ARCH_CAPABILITIES:
		return host || kvm_guest_has(vcpu, X86_FEATURE_ARCH_CAPABILITIES);
	case MSR_PLATFORM_INFO:
		return host || !vcpu->kvm->hide_platform_info;
	default:
		return true;
	}
}

/* May a register that find_register() has found become this? */
static bool valid_value(struct kvm_vcpu *vcpu, u32 index, u64 value, bool host)
{
	switch (index) {
	case MSR_IA32_MCG_CTL:
		return !value || (value == ~0ULL && vcpu->mcg_cap & MCG_CTL_P);
	case MSR_IA32_MC0_CTL ... MSR_IA32_MCx_CTL(KVM_MCE_BANKS) - 1:
		/* CTL: all ones or all zeros (Linux clears bit 10). */
		if (index % 4 == 0)
			return !value || (value | BIT(10) | 1) == ~0ULL;
		/* STATUS: the guest may only clear it. */
		return index % 4 != 1 || host || !value;
	case MSR_SMI_COUNT:
		return host;
	case MSR_K7_HWCR:
		return !(value & ~HWCR_KEPT);
	case MSR_MTRRdefType:
		return !(value & ~0xcffULL) && valid_memory_type(value);
	case MSR_MTRRfix64K_00000 ... MSR_MTRRfix4K_F8000:
		return valid_memory_types(value, false);
	case MTRRphysBase_MSR(0) ... MTRRphysMask_MSR(7):
		if (value & GENMASK_ULL(63, vcpu->maxphyaddr))
			return false;
		return index & 1 ? !(value & 0x7ff) : !(value & 0xf00) && valid_memory_type(value);
	default:
		return true;
	}
}

int kvm_get_msr_index_list(struct kvm_msr_list __user *user, bool feature_list)
{
	/* What of fields[] is more than one, and listed, is of struct kvm_mtrr. */
	u32 list[ARRAY_SIZE(saved) + ARRAY_SIZE(plain) + ARRAY_SIZE(fields) +
		 sizeof(struct kvm_mtrr) / sizeof(u64)];
	struct kvm_msr_list head;
	u32 room, n = 0;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (feature_list) {
		memcpy(list, features, sizeof(features));
		n = ARRAY_SIZE(features);
	} else {
		memcpy(list, saved, sizeof(saved));
		n = ARRAY_SIZE(saved);
		for (int i = 0; i < ARRAY_SIZE(plain); i++)
			if (vendor_matches(plain[i].vendor) &&
			    plain[i].index != MSR_AMD64_TSC_RATIO)
				list[n++] = plain[i].index;
		for (int i = 0; i < ARRAY_SIZE(fields); i++) {
			/* MCG_CAP says how many banks of machine checks there are. */
			if (fields[i].index == MSR_IA32_MC0_CTL ||
			    !may_access(NULL, fields[i].index, true))
				continue;
			for (u32 k = 0; k < fields[i].count; k++)
				list[n++] = fields[i].index + k;
		}
	}
	room = head.nmsrs;
	head.nmsrs = n;
	if (copy_to_user(user, &head, sizeof(head)))
		return -EFAULT;
	if (room < n)
		return -E2BIG;
	return copy_to_user(user->indices, list, n * sizeof(u32)) ? -EFAULT : 0;
}

/* ---- reading and writing ------------------------------------------------- */

int kvm_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *value, bool host)
{
	u64 *reg, guest_bits;
	int r;

	if (index - APIC_BASE_MSR < 0x100)
		return kvm_x2apic_read(vcpu, index, value);
	r = kvm_ops->get_msr(vcpu, index, value);
	if (r <= 0)
		return r;
	if (!may_access(vcpu, index, host))
		return 1;

	switch (index) {
	case MSR_IA32_TSC:
		*value = kvm_guest_tsc(vcpu);
		return 0;
	case MSR_IA32_APICBASE:
		*value = vcpu->apic_base;
		return 0;
	case MSR_IA32_TSC_DEADLINE:
		if (!vcpu->lapic)
			break;
		*value = kvm_apic_get_deadline(vcpu);
		return 0;
	case MSR_MTRRcap:
		/* 8 variable ranges, fixed ranges, write-combining */
		*value = 0x508;
		return 0;
	case MSR_IA32_MCG_CAP:
		*value = vcpu->mcg_cap;
		return 0;
	case MSR_IA32_P5_MC_ADDR:
	case MSR_IA32_P5_MC_TYPE:
	case MSR_IA32_XSS:
		*value = 0;
		return 0;
	case MSR_IA32_ARCH_CAPABILITIES:
		return kvm_get_feature_msr(index, value);
	}
	reg = find_register(vcpu, index, &guest_bits);
	if (reg)
		*value = *reg;
	else if (kvm_pv_has_msr(vcpu, index, host))
		*value = kvm_pv_get_msr(vcpu, index);
	else
		return KVM_MSR_UNKNOWN;
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

int kvm_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 value, bool host)
{
	u64 *reg, guest_bits;
	int r;

	switch (index) {
	/* These two come by all the time. */
	case APIC_BASE_MSR ... APIC_BASE_MSR + 0xff:
		return kvm_x2apic_write(vcpu, index, value);
	case MSR_IA32_TSC_DEADLINE:
		if (!vcpu->lapic)
			break;
		kvm_apic_set_deadline(vcpu, value);
		return 0;
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
	case MSR_SYSCALL_MASK:
		/* Reserved bits would be #GP when the host writes it for the guest. */
		if (value >> 32)
			return 1;
		break;
	case MSR_IA32_SPEC_CTRL:	/* which the vendor may give to the guest now */
		if (value & ~spec_ctrl_bits())
			return 1;
		break;
	}
	r = kvm_ops->set_msr(vcpu, index, value);
	if (r <= 0)
		return r;
	if (!may_access(vcpu, index, host))
		return 1;

	switch (index) {
	case MSR_IA32_TSC:
		set_tsc(vcpu, value, host);
		return 0;
	case MSR_IA32_TSC_ADJUST:
		/* User space restores the register, the guest moves its clock. */
		if (!host)
			set_tsc_offset(vcpu, vcpu->tsc_offset + value - vcpu->tsc_adjust);
		break;
	case MSR_IA32_APICBASE:
		return kvm_set_apic_base(vcpu, value, host);
	case MSR_EFER:
		return kvm_set_efer(vcpu, value, host);
	case MSR_IA32_XSS:
		return !!value;
	case MSR_IA32_SMBASE:
		value = lower_32_bits(value);
		break;
	case MSR_TSC_AUX:
		if (value >> 32)
			return 1;
		vcpu->tsc_aux = value;
		scoped_guard(preempt)
			kvm_load_tsc_aux(vcpu);
		return 0;
	case MSR_IA32_PRED_CMD:
		if (value & ~(u64)PRED_CMD_IBPB)
			return 1;
		if (value)
			wrmsrl(index, PRED_CMD_IBPB);
		return 0;
	case MSR_IA32_ARCH_CAPABILITIES:
	case MSR_MTRRcap:
		return !host;
	case MSR_IA32_UCODE_REV:
		if (host)
			break;
		return 0;	/* Intel's way to ask for the revision: write 0 first */
	case MSR_IA32_UCODE_WRITE:
		return 0;	/* an update that does nothing */
	case MSR_K7_HWCR:
		value &= ~HWCR_IGNORED;
		break;
	}
	reg = find_register(vcpu, index, &guest_bits);
	if (!reg)
		return kvm_pv_has_msr(vcpu, index, host) ?
		       kvm_pv_set_msr(vcpu, index, value, host) : KVM_MSR_UNKNOWN;
	if (!valid_value(vcpu, index, value, host) || (!host && (value ^ *reg) & ~guest_bits))
		return 1;
	*reg = value;
	return 0;
}

/* At power-on. */
void kvm_reset_msrs(struct kvm_vcpu *vcpu)
{
	u64 old = vcpu->apic_base;

	for (int i = 0; i < ARRAY_SIZE(plain); i++)
		vcpu->msrs[i] = plain[i].reset;
	vcpu->pat = 0x0007040600070406ULL;
	vcpu->apic_base = APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE;
	if (vcpu->id == vcpu->kvm->bsp_id)
		vcpu->apic_base |= MSR_IA32_APICBASE_BSP;
	kvm_apic_base_changed(vcpu, old);
	memset(&vcpu->mtrr, 0, sizeof(vcpu->mtrr));
	vcpu->spec_ctrl = 0;
	vcpu->smi_count = 0;
	vcpu->smbase = 0x30000;
}
