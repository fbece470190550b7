// SPDX-License-Identifier: GPL-2.0-only
/*
 * cpuid.c: what a guest's CPUID instruction says, and what user space may let
 * it say.
 *
 * KVM_GET_SUPPORTED_CPUID builds the list from three sources: the processor,
 * the kernel (which may have switched a feature off: boot_cpu_data), and the
 * tables below, which name every feature that this hypervisor lets a guest use,
 * one line per register. A feature is in the table when it needs nothing of
 * us, or when we do what it needs.
 *
 * KVM_SET_CPUID2 stores user space's list. It is a promise of user space to the
 * guest, and what the guest may put into CR4, EFER and XCR0 follows from it.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/cpufeature.h>
#include <asm/fpu/xcr.h>
#include <asm/processor.h>
#include <uapi/linux/kvm_para.h>

#include "kvm.h"

#define BIT_OF(feature)	BIT((feature) % 32)
#define F(name)		BIT_OF(X86_FEATURE_##name)
#define F2(a, b)	(BIT_OF(X86_FEATURE_##a) | BIT_OF(X86_FEATURE_##b))
#define F4(a, b, c, d)	(BIT_OF(X86_FEATURE_##a) | BIT_OF(X86_FEATURE_##b) | \
			 BIT_OF(X86_FEATURE_##c) | BIT_OF(X86_FEATURE_##d))

enum { EAX, EBX, ECX, EDX };

/* The features that a guest may have: word of boot_cpu_data, leaf, index, register. */
static const struct features {
	u8 word;
	u32 function;
	u8 index, reg;
	u32 features;
} allowed[] = {
	{ CPUID_1_EDX, 1, 0, EDX,
	  F4(FPU, VME, DE, PSE) | F4(TSC, MSR, PAE, MCE) | F4(CX8, APIC, SEP, MTRR) |
	  F4(PGE, MCA, CMOV, PAT) | F4(PSE36, CLFLUSH, MMX, FXSR) | F2(XMM, XMM2) },
	{ CPUID_1_ECX, 1, 0, ECX,
	  F(PCID) | F4(XMM3, PCLMULQDQ, SSSE3, FMA) | F4(CX16, XMM4_1, XMM4_2, MOVBE) |
	  F4(POPCNT, AES, XSAVE, AVX) | F2(F16C, RDRAND) },
	{ CPUID_8000_0001_EDX, 0x80000001, 0, EDX,
	  F4(SYSCALL, NX, MMXEXT, FXSR_OPT) | F2(GBPAGES, RDTSCP) | F(LM) },
	{ CPUID_8000_0001_ECX, 0x80000001, 0, ECX,
	  F4(LAHF_LM, ABM, SSE4A, MISALIGNSSE) | F4(3DNOWPREFETCH, XOP, FMA4, TBM) },
	{ CPUID_7_0_EBX, 7, 0, EBX,
	  F4(FSGSBASE, BMI1, AVX2, SMEP) | F4(BMI2, ERMS, RDSEED, ADX) |
	  F4(SMAP, CLFLUSHOPT, CLWB, SHA_NI) | F4(AVX512F, AVX512DQ, AVX512IFMA, AVX512CD) |
	  F2(AVX512BW, AVX512VL) },
	{ CPUID_7_ECX, 7, 0, ECX,
	  F4(AVX512VBMI, AVX512_VBMI2, GFNI, VAES) | F2(RDPID, PKU) |
	  F4(VPCLMULQDQ, AVX512_VNNI, AVX512_BITALG, AVX512_VPOPCNTDQ) },
	{ CPUID_7_EDX, 7, 0, EDX,
	  F2(FSRM, MD_CLEAR) | F4(SPEC_CTRL, INTEL_STIBP, SPEC_CTRL_SSBD, ARCH_CAPABILITIES) },
	{ CPUID_7_1_EAX, 7, 1, EAX, F2(AVX_VNNI, AVX512_BF16) },
	{ CPUID_D_1_EAX, 0xd, 1, EAX, F2(XSAVEOPT, XSAVEC) | F(XGETBV1) },
	{ CPUID_8000_0008_EBX, 0x80000008, 0, EBX,
	  F4(CLZERO, XSAVEERPTR, AMD_IBPB, AMD_IBRS) | F2(AMD_STIBP, AMD_SSBD) },
};

/* XCR0 bits that a guest may set, where the processor has them. */
#define GUEST_XCR0	(XFEATURE_MASK_FPSSE | XFEATURE_MASK_YMM | XFEATURE_MASK_AVX512 | \
			 XFEATURE_MASK_PKRU)

/* Leaf 0xd of each component. */
static struct xstate { u32 size, offset, flags, reserved; } xstate[XFEATURE_MAX];

#define XSTATE_ALIGNED	BIT(1)	/* to 64 bytes, in the compacted format */

static u32 supported(const struct features *f)
{
	return boot_cpu_data.x86_capability[f->word] & f->features;
}

static u32 *register_of(struct kvm_cpuid_entry2 *e, int reg)
{
	return &e->eax + reg;
}

/* Bytes of an XSAVE area with these components. */
static u32 xsave_bytes(u64 xcr0, bool compacted)
{
	u32 bytes = 512 + 64;

	for (int i = 2; i < XFEATURE_MAX; i++) {
		const struct xstate *x = &xstate[i];

		if (!(xcr0 & BIT_ULL(i)))
			continue;
		if (!compacted)
			bytes = max(bytes, x->offset + x->size);
		else
			bytes = ALIGN(bytes, x->flags & XSTATE_ALIGNED ? 64 : 1) + x->size;
	}
	return bytes;
}

unsigned int kvm_xsave2_size(void)
{
	return max_t(u32, xsave_bytes(kvm_caps.xcr0, false), sizeof(struct kvm_xsave));
}

void kvm_host_init(void)
{
	kvm_caps.xcr0 = XFEATURE_MASK_FPSSE;
	if (boot_cpu_has(X86_FEATURE_XSAVE)) {
		kvm_caps.host_xcr0 = xgetbv(XCR_XFEATURE_ENABLED_MASK);
		kvm_caps.xcr0 = kvm_caps.host_xcr0 & GUEST_XCR0;
		for (int i = 2; i < XFEATURE_MAX; i++)
			cpuid_count(0xd, i, &xstate[i].size, &xstate[i].offset, &xstate[i].flags,
				    &xstate[i].reserved);
	}
	/* VMX makes XSAVES #UD for its guests; on SVM they have it, told or not. */
	if (boot_cpu_has(X86_FEATURE_SVM) && boot_cpu_has(X86_FEATURE_XSAVES))
		rdmsrl(MSR_IA32_XSS, kvm_caps.host_xss);
	kvm_caps.efer = EFER_SCE | EFER_LME | EFER_LMA |
			(boot_cpu_has(X86_FEATURE_NX) ? EFER_NX : 0) |
			(boot_cpu_has(X86_FEATURE_FXSR_OPT) ? EFER_FFXSR : 0);
}

/* ---- KVM_GET_SUPPORTED_CPUID --------------------------------------------- */

struct cpuid_list {
	struct kvm_cpuid_entry2 *entry, spill;
	u32 count, max;		/* more than max: the others are lost in spill */
};

/* What the processor says, of features only those that a guest may have. */
static struct kvm_cpuid_entry2 *add(struct cpuid_list *list, u32 function, u32 index)
{
	bool indexed = function == 4 || function == 7 || function == 0xd || function == 0x8000001d;
	struct kvm_cpuid_entry2 *e = list->count < list->max ? &list->entry[list->count] :
							       &list->spill;

	list->count++;
	*e = (struct kvm_cpuid_entry2){
		.function = function, .index = index,
		.flags = indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
	};
	cpuid_count(function, index, &e->eax, &e->ebx, &e->ecx, &e->edx);
	for (int i = 0; i < ARRAY_SIZE(allowed); i++)
		if (allowed[i].function == function && allowed[i].index == index)
			*register_of(e, allowed[i].reg) = supported(&allowed[i]);
	return e;
}

/* Leaf 0xd: extended state. Its first entry is there. */
static void add_xsave(struct cpuid_list *list, struct kvm_cpuid_entry2 *e)
{
	if (!boot_cpu_has(X86_FEATURE_XSAVE)) {
		e->eax = e->ebx = e->ecx = e->edx = 0;
		return;
	}
	e->eax = lower_32_bits(kvm_caps.xcr0);
	e->edx = upper_32_bits(kvm_caps.xcr0);
	e->ebx = e->ecx = xsave_bytes(kvm_caps.xcr0, false);

	e = add(list, 0xd, 1);
	e->ebx = e->eax & F(XSAVEC) ? xsave_bytes(kvm_caps.xcr0, true) : 0;
	e->ecx = e->edx = 0;

	for (int i = 2; i < XFEATURE_MAX; i++) {
		if (!(kvm_caps.xcr0 & BIT_ULL(i)))
			continue;
		e = add(list, 0xd, i);
		e->ecx &= XSTATE_ALIGNED;	/* not an XSS component */
		e->edx = 0;
	}
}

static void add_leaf(struct cpuid_list *list, u32 function)
{
	struct kvm_cpuid_entry2 *e = add(list, function, 0);

	switch (function) {
	case 0:
		e->eax = min(e->eax, 0xdU);
		break;
	case 1:
		e->ebx &= 0x0000ff00;		/* CLFLUSH line; not our APIC id */
		/* The APIC is ours or user space's, whatever the host has. */
		e->ecx |= F2(HYPERVISOR, X2APIC);
		break;
	case 4:
	case 0x8000001d:
		/* Caches: the index ends when the type in the answer is 0. */
		for (int i = 1; i < 8 && e->eax & 0x1f; i++)
			e = add(list, function, i);
		break;
	case 6:
		e->eax = 4;			/* ARAT: the APIC timer never stops */
		e->ebx = e->ecx = e->edx = 0;
		break;
	case 7:
		e->eax = min(e->eax, 1U);
		if (!e->eax)
			break;
		e = add(list, 7, 1);
		e->ebx = e->ecx = e->edx = 0;
		break;
	case 0xd:
		add_xsave(list, e);
		break;
	case 0x80000000:
		e->eax = clamp(e->eax, 0x80000008U, 0x8000001dU);
		break;
	case 0x80000001:
		e->ebx &= 0xf0000000;
		if (boot_cpu_data.x86_vendor != X86_VENDOR_INTEL)
			e->edx |= supported(&allowed[0]) & 0x0183f3ff;
		break;
	case 2:
	case 0x80000002 ... 0x80000006:
	case 0x80000019:
		break;
	case 0x80000007:
		e->eax = e->ebx = e->ecx = 0;
		e->edx = boot_cpu_has(X86_FEATURE_NONSTOP_TSC) ? BIT(8) : 0;
		break;
	case 0x80000008:
		e->eax = (e->eax & 0xff00) | min_t(u32, boot_cpu_data.x86_phys_bits,
						   ilog2(kvm_mmu_max_gfn()) + PAGE_SHIFT);
		e->ecx = e->edx = 0;
		break;
	default:
		e->eax = e->ebx = e->ecx = e->edx = 0;
	}
}

/* The hypervisor's own leaves; linux/Documentation/virt/kvm/x86/cpuid.rst */
static void add_signature(struct cpuid_list *list)
{
	struct kvm_cpuid_entry2 *e = add(list, KVM_CPUID_SIGNATURE, 0);

	e->eax = KVM_CPUID_FEATURES;
	memcpy(&e->ebx, "KVMK", 4);
	memcpy(&e->ecx, "VMKV", 4);
	memcpy(&e->edx, "M\0\0", 4);
	e = add(list, KVM_CPUID_FEATURES, 0);
	e->eax = kvm_pv_features();
	e->ebx = e->ecx = e->edx = 0;
}

static void add_leaves(struct cpuid_list *list, u32 first)
{
	u32 last;

	add_leaf(list, first);
	if (list->count > list->max)
		return;
	last = list->entry[list->count - 1].eax;
	for (u32 function = first + 1; function <= last; function++)
		add_leaf(list, function);
}

int kvm_get_supported_cpuid(struct kvm_cpuid2 __user *user, bool emulated)
{
	struct kvm_cpuid_entry2 *entry __free(kvfree) = NULL;
	struct cpuid_list list = {};
	struct kvm_cpuid2 head;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (!head.nent)
		return -E2BIG;
	list.max = min_t(u32, head.nent, KVM_MAX_CPUID);
	entry = kvcalloc(list.max, sizeof(*entry), GFP_KERNEL);
	if (!entry)
		return -ENOMEM;
	list.entry = entry;
	if (emulated) {
		/* MOVBE is in the emulator whether the processor has it or not. */
		entry[0] = (struct kvm_cpuid_entry2){ .function = 0, .eax = 1 };
		list.count = 1;
	} else {
		add_leaves(&list, 0);
		add_leaves(&list, 0x80000000);
		add_signature(&list);
	}
	if (list.count > list.max)
		return -E2BIG;
	head.nent = list.count;
	return copy_to_user(user->entries, entry, list.count * sizeof(*entry)) ||
	       copy_to_user(user, &head, sizeof(head)) ? -EFAULT : 0;
}

/* ---- the guest's list ---------------------------------------------------- */

/* What of a leaf follows from the guest's own registers. */
static void add_own_state(struct kvm_vcpu *vcpu, struct kvm_cpuid_entry2 *e)
{
	if (e->function == 1) {
		e->ecx = (e->ecx & ~F(OSXSAVE)) | (vcpu->cr4 & X86_CR4_OSXSAVE ? F(OSXSAVE) : 0);
		if (!(vcpu->apic_base & MSR_IA32_APICBASE_ENABLE))
			e->edx &= ~F(APIC);
	} else if (e->function == 7 && e->index == 0) {
		e->ecx = (e->ecx & ~F(OSPKE)) | (vcpu->cr4 & X86_CR4_PKE ? F(OSPKE) : 0);
	} else if (e->function == 0xd && e->index == 0 && e->ebx) {
		e->ebx = xsave_bytes(vcpu->xcr0, false);
	} else if (e->function == 0xd && e->index == 1 && e->eax & F(XSAVEC)) {
		e->ebx = xsave_bytes(vcpu->xcr0, true);
	} else if (e->function == KVM_CPUID_FEATURES &&
		   vcpu->kvm->disabled_exits & KVM_X86_DISABLE_EXITS_HLT) {
		/* Without an exit nobody can be kicked out of it. */
		e->eax &= ~BIT(KVM_FEATURE_PV_UNHALT);
	}
}

/* Does the guest see the same in this list as in the one it has? */
static bool same_cpuid(struct kvm_vcpu *vcpu, const struct kvm_cpuid_entry2 *entries, int count)
{
	if (count != vcpu->cpuid_count)
		return false;
	for (int i = 0; i < count; i++) {
		struct kvm_cpuid_entry2 now = vcpu->cpuid[i], then = entries[i];

		add_own_state(vcpu, &now);
		add_own_state(vcpu, &then);
		if (memcmp(&now, &then, offsetof(struct kvm_cpuid_entry2, padding)))
			return false;
	}
	return true;
}

/* Takes over entries. A guest's processor does not change under it. */
int kvm_replace_cpuid(struct kvm_vcpu *vcpu, struct kvm_cpuid_entry2 *entries, int count)
{
	if (rcu_access_pointer(vcpu->pid)) {
		bool same = same_cpuid(vcpu, entries, count);

		kvfree(entries);
		return same ? 0 : -EINVAL;
	}
	kvfree(vcpu->cpuid);
	vcpu->cpuid = entries;
	vcpu->cpuid_count = count;
	kvm_update_cpuid(vcpu);
	return 0;
}

int kvm_set_cpuid2(struct kvm_vcpu *vcpu, const struct kvm_cpuid2 __user *user)
{
	struct kvm_cpuid_entry2 *entries;
	struct kvm_cpuid2 head;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.nent > KVM_MAX_CPUID)
		return -E2BIG;
	entries = vmemdup_array_user(user->entries, head.nent, sizeof(*entries));
	return IS_ERR(entries) ? PTR_ERR(entries) : kvm_replace_cpuid(vcpu, entries, head.nent);
}

int kvm_get_cpuid2(struct kvm_vcpu *vcpu, struct kvm_cpuid2 __user *user)
{
	struct kvm_cpuid2 head;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (head.nent < vcpu->cpuid_count)
		return -E2BIG;
	head.nent = vcpu->cpuid_count;
	for (int i = 0; i < vcpu->cpuid_count; i++) {
		struct kvm_cpuid_entry2 e = vcpu->cpuid[i];

		add_own_state(vcpu, &e);
		if (copy_to_user(&user->entries[i], &e, sizeof(e)))
			return -EFAULT;
	}
	return copy_to_user(user, &head, sizeof(head)) ? -EFAULT : 0;
}

static struct kvm_cpuid_entry2 *find_cpuid(struct kvm_vcpu *vcpu, u32 function, u32 index)
{
	for (int i = 0; i < vcpu->cpuid_count; i++) {
		struct kvm_cpuid_entry2 *e = &vcpu->cpuid[i];

		if (e->function == function &&
		    (e->index == index || !(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
			return e;
	}
	return NULL;
}

bool kvm_guest_has(struct kvm_vcpu *vcpu, unsigned int feature)
{
	const struct features *f = allowed;
	struct kvm_cpuid_entry2 *e;

	while (f->word != feature / 32)
		if (WARN_ON_ONCE(++f == allowed + ARRAY_SIZE(allowed)))
			return false;
	e = find_cpuid(vcpu, f->function, f->index);
	return e && *register_of(e, f->reg) & BIT(feature % 32);
}
EXPORT_SYMBOL_GPL(kvm_guest_has);

/* Before user space has said what the guest has, it may restore its registers. */
static u64 allowed_cr4(struct kvm_vcpu *vcpu)
{
	static const struct {
		unsigned int feature;
		u64 bits;
	} by_feature[] = {
		{ X86_FEATURE_XSAVE, X86_CR4_OSXSAVE },
		{ X86_FEATURE_FSGSBASE, X86_CR4_FSGSBASE },
		{ X86_FEATURE_SMEP, X86_CR4_SMEP },
		{ X86_FEATURE_SMAP, X86_CR4_SMAP },
		{ X86_FEATURE_PCID, X86_CR4_PCIDE },
		{ X86_FEATURE_PKU, X86_CR4_PKE },
	};
	u64 cr4 = X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PSE |
		  X86_CR4_PAE | X86_CR4_MCE | X86_CR4_PGE | X86_CR4_PCE | X86_CR4_OSFXSR |
		  X86_CR4_OSXMMEXCPT;

	for (int i = 0; i < ARRAY_SIZE(by_feature); i++)
		if (boot_cpu_has(by_feature[i].feature) &&
		    (!vcpu->cpuid_count || kvm_guest_has(vcpu, by_feature[i].feature)))
			cr4 |= by_feature[i].bits;
	return cr4;
}

void kvm_update_cpuid(struct kvm_vcpu *vcpu)
{
	const struct kvm_cpuid_entry2 *e = find_cpuid(vcpu, 0x80000008, 0);
	struct kvm_cpuid_entry2 pv;

	vcpu->maxphyaddr = clamp(e ? e->eax & 0xff : 36, 32U, 52U);
	e = find_cpuid(vcpu, 0xd, 0);
	vcpu->guest_xcr0_supported = kvm_caps.xcr0 &
		(e ? e->eax | (u64)e->edx << 32 : XFEATURE_MASK_FPSSE);
	vcpu->cr4_allowed = allowed_cr4(vcpu);
	kvm_cpuid(vcpu, KVM_CPUID_FEATURES, 0, &pv);
	vcpu->pv.features = pv.eax;
	vcpu->wants_tsc_aux = boot_cpu_has(X86_FEATURE_RDTSCP) &&
			      (kvm_guest_has(vcpu, X86_FEATURE_RDTSCP) ||
			       kvm_guest_has(vcpu, X86_FEATURE_RDPID));
	vcpu->efer_allowed = kvm_caps.efer &
		(EFER_SCE | (kvm_guest_has(vcpu, X86_FEATURE_NX) ? EFER_NX : 0) |
		 (kvm_guest_has(vcpu, X86_FEATURE_LM) ? EFER_LME | EFER_LMA : 0) |
		 (kvm_guest_has(vcpu, X86_FEATURE_FXSR_OPT) ? EFER_FFXSR : 0));
	kvm_ops->intercepts_changed(vcpu);
}

/*
 * A leaf that is not in the list reads as zeros; on Intel a basic leaf above the
 * highest reads as the highest (SDM vol. 2, CPUID).
 */
static struct kvm_cpuid_entry2 *out_of_range(struct kvm_vcpu *vcpu, u32 function, u32 index)
{
	struct kvm_cpuid_entry2 *e = find_cpuid(vcpu, 0, 0);

	/* "GenuineIntel" */
	if (!e || e->ebx != 0x756e6547 || function & 0xc0000000 || function <= e->eax)
		return NULL;
	return find_cpuid(vcpu, e->eax, index);
}

void kvm_cpuid(struct kvm_vcpu *vcpu, u32 function, u32 index, struct kvm_cpuid_entry2 *e)
{
	const struct kvm_cpuid_entry2 *found = find_cpuid(vcpu, function, index) ?:
					       out_of_range(vcpu, function, index);

	*e = found ? *found : (struct kvm_cpuid_entry2){};
	add_own_state(vcpu, e);
}
