// SPDX-License-Identifier: GPL-2.0-only
/*
 * msr_exit.c: RDMSR and WRMSR that leave the guest, and those that user space
 * wants to see: KVM_CAP_X86_USER_SPACE_MSR says for which reasons,
 * KVM_X86_SET_MSR_FILTER for which registers.
 *
 * A filter is immutable and replaced as a whole; readers hold srcu. While a VM
 * has one, none of its MSRs are passed through to the guest (ops->
 * intercepts_changed), so that every access comes by here.
 */
#include <linux/nospec.h>
#include <linux/slab.h>
#include <asm/apicdef.h>

#include "kvm.h"

struct kvm_filter {
	bool allow;			/* what no range speaks of */
	unsigned int count;
	struct kvm_msr_filter_range range[KVM_MSR_FILTER_MAX_RANGES];	/* bitmaps: ours */
};

static bool allowed(struct kvm_vcpu *vcpu, u32 index, u32 access)
{
	const struct kvm_filter *filter = srcu_dereference(vcpu->kvm->msr_filter, &vcpu->kvm->srcu);

	/* The local APIC is not to be filtered. */
	if (likely(!filter) || index - APIC_BASE_MSR < 0x100)
		return true;
	for (unsigned int i = 0; i < filter->count; i++) {
		u32 bit = index - filter->range[i].base;

		if (filter->range[i].flags & access && bit < filter->range[i].nmsrs)
			return test_bit(array_index_nospec(bit, filter->range[i].nmsrs),
					(unsigned long *)filter->range[i].bitmap);
	}
	return filter->allow;
}

/* Why user space may be asked: 0 for an access that went well. */
static u32 refused(struct kvm_vcpu *vcpu, u32 index, u64 *value, bool write)
{
	int r;

	if (!allowed(vcpu, index, write ? KVM_MSR_FILTER_WRITE : KVM_MSR_FILTER_READ))
		return KVM_MSR_EXIT_REASON_FILTER;
	r = write ? kvm_set_msr(vcpu, index, *value, false) :
		    kvm_get_msr(vcpu, index, value, false);
	if (!r)
		return 0;
	return r == KVM_MSR_UNKNOWN ? KVM_MSR_EXIT_REASON_UNKNOWN :
				      KVM_MSR_EXIT_REASON_INVAL;
}

/* For the emulator, which cannot wait for user space: a refusal is #GP. */
int kvm_guest_msr(struct kvm_vcpu *vcpu, u32 index, u64 *value, bool write)
{
	return refused(vcpu, index, value, write) ? 1 : 0;
}

static int finish(struct kvm_vcpu *vcpu, u64 value, bool write)
{
	if (!write) {
		kvm_reg_write(vcpu, REG_RAX, lower_32_bits(value));
		kvm_reg_write(vcpu, REG_RDX, upper_32_bits(value));
	}
	return kvm_ops->skip_instruction(vcpu);
}

static int resume(struct kvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (READ_ONCE(run->msr.error))
		return kvm_handle_gp(vcpu);
	return finish(vcpu, READ_ONCE(run->msr.data), vcpu->io.write);
}

static int handle_msr(struct kvm_vcpu *vcpu, bool write)
{
	struct kvm_run *run = vcpu->run;
	u32 index = kvm_reg_read(vcpu, REG_RCX), reason;
	u64 value = (u32)kvm_reg_read(vcpu, REG_RAX) | kvm_reg_read(vcpu, REG_RDX) << 32;

	vcpu->stat[write ? STAT_msr_write : STAT_msr_read]++;
	reason = refused(vcpu, index, &value, write);
	if (likely(!reason))
		return finish(vcpu, value, write);
	if (!(vcpu->kvm->msr_exits & reason))
		return kvm_handle_gp(vcpu);
	run->exit_reason = write ? KVM_EXIT_X86_WRMSR : KVM_EXIT_X86_RDMSR;
	run->msr.error = 0;
	memset(run->msr.pad, 0, sizeof(run->msr.pad));
	run->msr.reason = reason;
	run->msr.index = index;
	run->msr.data = write ? value : 0;
	vcpu->io.rip = kvm_reg_read(vcpu, REG_RIP);
	vcpu->io.write = write;
	vcpu->resume = resume;
	return 0;
}

int kvm_handle_rdmsr(struct kvm_vcpu *vcpu)
{
	return handle_msr(vcpu, false);
}
EXPORT_SYMBOL_GPL(kvm_handle_rdmsr);

int kvm_handle_wrmsr(struct kvm_vcpu *vcpu)
{
	return handle_msr(vcpu, true);
}
EXPORT_SYMBOL_GPL(kvm_handle_wrmsr);

/* ---- the filter of a VM -------------------------------------------------- */

static void free_filter(struct kvm_filter *filter)
{
	for (unsigned int i = 0; filter && i < filter->count; i++)
		kfree(filter->range[i].bitmap);
	kfree(filter);
}
DEFINE_FREE(filter, struct kvm_filter *, free_filter(_T))

static int add_filter_range(struct kvm_filter *filter, const struct kvm_msr_filter_range *r)
{
	size_t bytes = BITS_TO_LONGS((u64)r->nmsrs) * sizeof(long);
	void *bits;

	if (!r->nmsrs)
		return 0;
	if (!r->flags || r->flags & ~KVM_MSR_FILTER_RANGE_VALID_MASK ||
	    bytes > KVM_MSR_FILTER_MAX_BITMAP_SIZE || r->base + r->nmsrs < r->base)
		return -EINVAL;
	bits = memdup_user((void __user *)r->bitmap, bytes);
	if (IS_ERR(bits))
		return PTR_ERR(bits);
	filter->range[filter->count] = *r;
	filter->range[filter->count++].bitmap = bits;
	return 0;
}

int kvm_set_msr_filter(struct kvm *kvm, void *arg)
{
	const struct kvm_msr_filter *args = arg;
	struct kvm_filter *filter __free(filter) = NULL, *old;

	if (args->flags & ~KVM_MSR_FILTER_VALID_MASK)
		return -EINVAL;
	filter = kzalloc(sizeof(*filter), GFP_KERNEL_ACCOUNT);
	if (!filter)
		return -ENOMEM;
	filter->allow = !(args->flags & KVM_MSR_FILTER_DEFAULT_DENY);
	for (int i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		int r = add_filter_range(filter, &args->ranges[i]);

		if (r)
			return r;
	}
	/* To refuse everything is surely a mistake; to allow it needs no filter. */
	if (!filter->count && !filter->allow)
		return -EINVAL;

	guard(mutex)(&kvm->slots_lock);
	old = rcu_replace_pointer(kvm->msr_filter, filter->count ? no_free_ptr(filter) : NULL,
				  lockdep_is_held(&kvm->slots_lock));
	synchronize_srcu_expedited(&kvm->srcu);
	kvm_request_all(kvm, REQ_INTERCEPTS);
	free_filter(old);
	return 0;
}

void kvm_free_msr_filter(struct kvm *kvm)
{
	free_filter(rcu_dereference_protected(kvm->msr_filter, true));
}
