// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Guest debugging: single steps, and the processor's four breakpoints.
 *
 * KVM takes the whole of it in one structure, so each vCPU keeps the one that
 * KVM was told last; a change is made in a copy, which replaces it when KVM has
 * accepted it. Bits of DR7 are those of SDM 3B 18.2.4.
 */
#include "internal.h"

#define BREAKPOINTS	4
#define DR7_FIXED	0x400ULL
#define DR7_GLOBAL(n)	(2ULL << (n) * 2)
#define DR7_KIND(n)	(16 + (n) * 4)	/* two bits of kind, two of length */
#define RFLAGS_RF	(1ULL << 16)

static int apply(struct kvm_context *kvm, int vcpu, struct vcpu *v,
		 struct kvm_guest_debug *debug)
{
	int r;

	if (debug->arch.debugreg[7])
		debug->control |= KVM_GUESTDBG_USE_HW_BP;
	else
		debug->control &= ~(uint32_t)KVM_GUESTDBG_USE_HW_BP;
	if (debug->control & ~(uint32_t)KVM_GUESTDBG_ENABLE)
		debug->control |= KVM_GUESTDBG_ENABLE;
	else
		debug->control = 0;
	r = VCPU_IOCTL(kvm, vcpu, KVM_SET_GUEST_DEBUG, debug);
	if (r == 0)
		v->debug = *debug;
	return r;
}

int kvm_single_step(struct kvm_context *kvm, int vcpu, int on)
{
	struct vcpu *v = kvm__vcpu(kvm, vcpu);
	struct kvm_guest_debug debug;

	if (!v)
		return -EINVAL;
	debug = v->debug;
	if (on)
		debug.control |= KVM_GUESTDBG_SINGLESTEP;
	else
		debug.control &= ~(uint32_t)KVM_GUESTDBG_SINGLESTEP;
	return apply(kvm, vcpu, v, &debug);
}

/* @bits: kind and length as DR7 has them, or -1 to clear the breakpoint. */
static int change(struct kvm_context *kvm, int vcpu, int number, int bits,
		  uint64_t address)
{
	struct vcpu *v = kvm__vcpu(kvm, vcpu);
	struct kvm_guest_debug debug;
	__u64 *dr;

	if (!v)
		return -EINVAL;
	if (number < 0 || number >= BREAKPOINTS)
		return kvm__fail(EINVAL, "A breakpoint's number is from 0 to %d, not %d.",
				 BREAKPOINTS - 1, number);
	debug = v->debug;
	dr = debug.arch.debugreg;
	dr[number] = address;
	dr[7] &= ~(DR7_FIXED | DR7_GLOBAL(number) | 0xfULL << DR7_KIND(number));
	if (bits >= 0)
		dr[7] |= DR7_GLOBAL(number) | (uint64_t)bits << DR7_KIND(number);
	if (dr[7])
		dr[7] |= DR7_FIXED;
	return apply(kvm, vcpu, v, &debug);
}

int kvm_set_breakpoint(struct kvm_context *kvm, int vcpu, int number, int kind,
		       uint64_t address, int size)
{
	static const int lengths[] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };

	if ((kind != LIBKVM_BREAK_EXEC && kind != LIBKVM_BREAK_WRITE &&
	     kind != LIBKVM_BREAK_ACCESS) ||
	    (size != 1 && size != 2 && size != 4 && size != 8) ||
	    (kind == LIBKVM_BREAK_EXEC && size != 1) || address % size)
		return kvm__fail(EINVAL, "A breakpoint cannot be of kind %d and %d bytes at "
				 "0x%llx: data is 1, 2, 4 or 8 bytes at a multiple of that, "
				 "an instruction 1.", kind, size,
				 (unsigned long long)address);
	return change(kvm, vcpu, number, kind | lengths[size] << 2, address);
}

int kvm_clear_breakpoint(struct kvm_context *kvm, int vcpu, int number)
{
	return change(kvm, vcpu, number, -1, 0);
}

void kvm__pass_breakpoint(struct kvm_context *kvm, int vcpu, uint64_t dr6)
{
	uint64_t dr7 = kvm->vcpus[vcpu]->debug.arch.debugreg[7];
	struct kvm_regs regs;

	for (int n = 0; n < BREAKPOINTS; n++) {
		if (!(dr6 & 1ULL << n) || !(dr7 & DR7_GLOBAL(n)) ||
		    (dr7 >> DR7_KIND(n) & 3) != LIBKVM_BREAK_EXEC)
			continue;
		if (kvm_get_regs(kvm, vcpu, &regs) < 0)
			return;
		regs.rflags |= RFLAGS_RF;
		kvm_set_regs(kvm, vcpu, &regs);
		return;
	}
}
