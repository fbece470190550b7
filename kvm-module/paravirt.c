// SPDX-License-Identifier: GPL-2.0-only
/*
 * paravirt.c: what a guest that knows us may ask for, announced in CPUID leaf
 * 0x40000001: a clock, the time that was stolen from it, interrupts that end
 * without an exit, and hypercalls.
 *
 * The guest names places in its memory through MSRs; we write there from the
 * vCPU's thread by guest-physical address, looked up anew each time, so that no
 * change of the memory slots leaves anything behind. An address that is no
 * memory is written to in vain. It is always one of kvm->space[0], which the guest
 * can reach itself: not what system management mode hides from it there.
 *
 * The clock. Where the host's TSC runs at one rate everywhere, a VM has one
 * pair (TSC, nanoseconds) and every vCPU is told that pair: what they compute is
 * the same, and the guest is told so (PVCLOCK_TSC_STABLE_BIT). Elsewhere each
 * vCPU gets a pair of its own whenever it changes the host CPU.
 *
 * PV EOI. When the interrupt that goes in needs nothing done at its end, a bit
 * in the guest's memory says so; the guest clears the bit in place of writing
 * its APIC. We look at the bit when the APIC's state matters the next time.
 *
 * References: Documentation/virt/kvm/x86/{msr,cpuid,hypercalls}.rst
 */
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <uapi/linux/kvm_para.h>
#include <asm/pvclock.h>
#include <asm/tsc.h>

#include "kvm.h"

/* ---- the VM's clock ------------------------------------------------------ */

bool kvm_clock_stable(void)
{
	return boot_cpu_has(X86_FEATURE_CONSTANT_TSC) && !check_tsc_unstable();
}

/* Nanoseconds a tick: (ticks << shift) * mul >> 32, mul with its top bit set. */
static void tick_length(u32 khz, u32 *mul, s8 *shift)
{
	u64 ns = div_u64(1000000ULL << 32, khz ?: 1);

	*shift = fls64(ns) - 32;
	*mul = *shift > 0 ? ns >> *shift : ns << -*shift;
}

/*
 * The host's boot time, and its TSC at that moment. What comes between the two
 * readings, an SMI or the host's own hypervisor, would set the clock off by its
 * length: of a few pairs the closest.
 */
static u64 boottime_at(u64 *tsc)
{
	u64 best = U64_MAX, ns = 0;

	guard(irqsave)();
	for (int i = 0; i < 4 && best > tsc_khz / 50; i++) {	/* 20 us are close */
		u64 t = rdtsc_ordered(), now = ktime_get_boottime_ns(), took = rdtsc_ordered() - t;

		if (took < best) {
			best = took;
			ns = now;
			*tsc = t + took / 2;
		}
	}
	return ns;
}

u64 kvm_clock_ns(struct kvm *kvm)
{
	u32 mul;
	s8 shift;

	if (!kvm_clock_stable())
		return ktime_get_boottime_ns() + READ_ONCE(kvm->clock.offset);
	tick_length(tsc_khz, &mul, &shift);
	guard(spinlock)(&kvm->clock.lock);
	return kvm->clock.ns + pvclock_scale_delta(rdtsc() - kvm->clock.tsc, mul, shift);
}

/* Set the clock; the vCPUs tell their guest before they enter it again. */
void kvm_clock_set(struct kvm *kvm, u64 ns)
{
	guard(spinlock)(&kvm->clock.lock);
	kvm->clock.ns = ns;
	WRITE_ONCE(kvm->clock.offset, ns - boottime_at(&kvm->clock.tsc));
	kvm_request_all(kvm, REQ_CLOCK);
}

/*
 * The clock goes on through the sleep, by the host's boot time. The host's TSC may
 * begin anew: the guests' go on where they were.
 */
static u64 suspended_at;

void kvm_clock_suspend(void)
{
	struct kvm *kvm;

	suspended_at = rdtsc();
	list_for_each_entry(kvm, &kvm_vm_list, link)
		kvm->clock.offset = kvm_clock_ns(kvm) - ktime_get_boottime_ns();
}

void kvm_clock_resume(void)
{
	u64 now = rdtsc(), lost = now < suspended_at ? suspended_at - now : 0;
	struct kvm_vcpu *vcpu;
	struct kvm *kvm;
	unsigned long i;

	list_for_each_entry(kvm, &kvm_vm_list, link) {
		kvm->clock.ns = boottime_at(&kvm->clock.tsc) + kvm->clock.offset;
		xa_for_each(&kvm->vcpus, i, vcpu) {
			u64 moved = kvm_scale_tsc(vcpu, lost);

			vcpu->tsc_offset += moved;
			if (vcpu == kvm->tsc.vcpu) {
				kvm->tsc.asked += moved;
				kvm->tsc.offset += moved;
			}
			kvm_request(vcpu, REQ_TSC_OFFSET);
			kvm_request(vcpu, REQ_CLOCK);
		}
	}
}

/*
 * Write a structure whose version, at this offset, is odd meanwhile and another
 * one afterwards: the guest then reads it again.
 */
static void write_versioned(struct kvm_space *space, gpa_t gpa, unsigned int version_at,
			    void *data, unsigned int len)
{
	u32 *version = data + version_at;

	if (kvm_read_guest(space, gpa + version_at, version, sizeof(*version)))
		return;
	*version |= 1;
	kvm_write_guest(space, gpa + version_at, version, sizeof(*version));
	smp_wmb();	/* an odd version before what it covers ... */
	kvm_write_guest(space, gpa, data, len);
	smp_wmb();	/* ... and that before the even one */
	++*version;
	kvm_write_guest(space, gpa + version_at, version, sizeof(*version));
}

static void write_system_time(struct kvm_vcpu *vcpu)
{
	gpa_t gpa = vcpu->pv.system_time & ~(u64)KVM_MSR_ENABLED;
	struct pvclock_vcpu_time_info info = {};
	struct kvm *kvm = vcpu->kvm;
	u8 flags = 0;

	if (!(vcpu->pv.system_time & KVM_MSR_ENABLED))
		return;
	kvm_read_guest(kvm->space, gpa + offsetof(typeof(info), flags), &flags, 1);
	if (kvm_clock_stable()) {
		guard(spinlock)(&kvm->clock.lock);
		info.tsc_timestamp = kvm->clock.tsc;
		info.system_time = kvm->clock.ns;
		info.flags = PVCLOCK_TSC_STABLE_BIT;
	} else {
		info.system_time = boottime_at(&info.tsc_timestamp) + READ_ONCE(kvm->clock.offset);
	}
	info.tsc_timestamp = kvm_scale_tsc(vcpu, info.tsc_timestamp) + vcpu->tsc_offset;
	tick_length(vcpu->tsc_khz, &info.tsc_to_system_mul, &info.tsc_shift);
	/* The guest takes it away when it has seen it. */
	if (vcpu->pv.stopped || flags & PVCLOCK_GUEST_STOPPED)
		info.flags |= PVCLOCK_GUEST_STOPPED;
	vcpu->pv.stopped = false;
	write_versioned(kvm->space, gpa, 0, &info, sizeof(info));
}

/* What the wall clock showed when the VM's clock was 0. */
static void write_wall_clock(struct kvm *kvm, gpa_t gpa)
{
	struct timespec64 boot = ns_to_timespec64(ktime_get_real_ns() - kvm_clock_ns(kvm));
	struct pvclock_wall_clock wall = { .sec = boot.tv_sec, .nsec = boot.tv_nsec };

	write_versioned(kvm->space, gpa, 0, &wall, sizeof(wall));
}

/* ---- stolen time --------------------------------------------------------- */

/* The host ran somebody else while this vCPU could have run: add it up. */
static void write_steal_time(struct kvm_vcpu *vcpu)
{
	gpa_t gpa = vcpu->pv.steal & KVM_STEAL_VALID_BITS;
	gpa_t preempted = gpa + offsetof(struct kvm_steal_time, preempted);
	u64 delay = current->sched_info.run_delay;
	bool told = vcpu->pv.preempted;
	struct kvm_steal_time st;
	u8 old, running = 0;

	if (!(vcpu->pv.steal & KVM_MSR_ENABLED) ||
	    kvm_read_guest(vcpu->kvm->space, gpa, &st, sizeof(st)))
		return;
	/* Another vCPU leaves word here that this one's TLB must be flushed. */
	old = st.preempted;
	while (old && kvm_cmpxchg_guest(vcpu->kvm->space, preempted, &old, &running, 1) == 1)
		;
	/* Not when it was told meanwhile: that word is still in the guest's memory. */
	vcpu->pv.preempted &= !told;
	if (old & KVM_VCPU_FLUSH_TLB)
		kvm_request(vcpu, REQ_TLB_FLUSH);
	if (delay == vcpu->pv.run_delay)
		return;
	st.steal += delay - vcpu->pv.run_delay;
	vcpu->pv.run_delay = delay;
	write_versioned(vcpu->kvm->space, gpa, offsetof(struct kvm_steal_time, version), &st,
			offsetof(struct kvm_steal_time, flags));
}

/* The vCPU's thread leaves the processor in the middle of KVM_RUN; atomic. */
void kvm_pv_sched_out(struct kvm_vcpu *vcpu)
{
	gpa_t gpa = vcpu->pv.steal & KVM_STEAL_VALID_BITS;
	u8 preempted = KVM_VCPU_PREEMPTED;

	/*
	 * Shadow paging would want mmu_lock, which is not to be had here. Once told,
	 * the byte may hold another vCPU's word by now.
	 */
	if (!(vcpu->pv.steal & KVM_MSR_ENABLED) || !kvm_ops->tdp || vcpu->pv.preempted)
		return;
	vcpu->pv.preempted = true;
	guard(srcu)(&vcpu->kvm->srcu);
	pagefault_disable();
	kvm_write_guest(vcpu->kvm->space, gpa + offsetof(struct kvm_steal_time, preempted),
			&preempted, sizeof(preempted));
	pagefault_enable();
}

/* ... and comes back, or KVM_RUN begins. */
void kvm_pv_sched_in(struct kvm_vcpu *vcpu)
{
	if (vcpu->pv.steal & KVM_MSR_ENABLED &&
	    (vcpu->pv.preempted || vcpu->pv.run_delay != current->sched_info.run_delay))
		kvm_request(vcpu, REQ_STEAL_TIME);
	if (vcpu->pv.system_time & KVM_MSR_ENABLED && vcpu->cpu != vcpu->pv.clock_cpu) {
		vcpu->pv.clock_cpu = vcpu->cpu;
		if (!kvm_clock_stable())
			kvm_request(vcpu, REQ_CLOCK);
	}
}

/* The vCPU's thread, before it enters the guest. */
void kvm_pv_requests(struct kvm_vcpu *vcpu)
{
	if (kvm_take_request(vcpu, REQ_CLOCK))
		write_system_time(vcpu);
	if (kvm_take_request(vcpu, REQ_STEAL_TIME))
		write_steal_time(vcpu);
}

/* ---- interrupts without an EOI ------------------------------------------- */

static gpa_t eoi_gpa(struct kvm_vcpu *vcpu)
{
	return vcpu->pv.eoi & ~(u64)KVM_PV_EOI_ENABLED;
}

/* Offer the guest to end its interrupt by clearing a bit. */
void kvm_pv_eoi_offer(struct kvm_vcpu *vcpu)
{
	u8 set = KVM_PV_EOI_MASK;

	if (vcpu->pv.eoi & KVM_PV_EOI_ENABLED)
		vcpu->pv.eoi_offered = !kvm_write_guest(vcpu->kvm->space, eoi_gpa(vcpu), &set, 1);
}

/* Take the offer back. True: the guest has made use of it. Caller holds srcu. */
bool kvm_pv_eoi_taken(struct kvm_vcpu *vcpu)
{
	u8 bit = KVM_PV_EOI_MASK, clear = 0;

	if (!vcpu->pv.eoi_offered)
		return false;
	vcpu->pv.eoi_offered = false;
	kvm_read_guest(vcpu->kvm->space, eoi_gpa(vcpu), &bit, 1);
	if (!(bit & KVM_PV_EOI_MASK))
		return true;
	kvm_write_guest(vcpu->kvm->space, eoi_gpa(vcpu), &clear, 1);
	return false;
}

/* ---- model-specific registers -------------------------------------------- */

/* By which feature of CPUID leaf 0x40000001 a guest has the register. */
static int feature_of(u32 index)
{
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_SYSTEM_TIME:	return KVM_FEATURE_CLOCKSOURCE;
	case MSR_KVM_WALL_CLOCK_NEW:
	case MSR_KVM_SYSTEM_TIME_NEW:	return KVM_FEATURE_CLOCKSOURCE2;
	case MSR_KVM_STEAL_TIME:	return KVM_FEATURE_STEAL_TIME;
	case MSR_KVM_PV_EOI_EN:		return KVM_FEATURE_PV_EOI;
	case MSR_KVM_POLL_CONTROL:	return KVM_FEATURE_POLL_CONTROL;
	default:			return -1;
	}
}

/* User space may have asked for the guest to get only what its CPUID says. */
static bool may_use(struct kvm_vcpu *vcpu, int feature)
{
	return !vcpu->pv.enforce_cpuid || vcpu->pv.features & BIT(feature);
}

bool kvm_pv_has_msr(struct kvm_vcpu *vcpu, u32 index, bool host)
{
	int feature = feature_of(index);

	return feature >= 0 && (host || may_use(vcpu, feature));
}

u64 kvm_pv_get_msr(struct kvm_vcpu *vcpu, u32 index)
{
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:	return vcpu->kvm->wall_clock;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:	return vcpu->pv.system_time;
	case MSR_KVM_STEAL_TIME:	return vcpu->pv.steal;
	case MSR_KVM_PV_EOI_EN:		return vcpu->pv.eoi;
	default:			return !vcpu->pv.no_host_poll;
	}
}

/* 1: #GP. */
int kvm_pv_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 value, bool host)
{
	switch (index) {
	case MSR_KVM_WALL_CLOCK:
	case MSR_KVM_WALL_CLOCK_NEW:
		vcpu->kvm->wall_clock = value;
		/* Restoring the register does not ask for the time. */
		if (!host)
			write_wall_clock(vcpu->kvm, value);
		return 0;
	case MSR_KVM_SYSTEM_TIME:
	case MSR_KVM_SYSTEM_TIME_NEW:
		vcpu->pv.system_time = value;
		kvm_request(vcpu, REQ_CLOCK);
		return 0;
	case MSR_KVM_STEAL_TIME:
		if (value & KVM_STEAL_RESERVED_MASK)
			return 1;
		vcpu->pv.steal = value;
		vcpu->pv.run_delay = current->sched_info.run_delay;
		kvm_request(vcpu, REQ_STEAL_TIME);
		return 0;
	case MSR_KVM_PV_EOI_EN:
		/* A word of 4 bytes, of which the first bit is used. */
		if (value & 2)
			return 1;
		kvm_apic_settle_pv_eoi(vcpu);
		vcpu->pv.eoi = value;
		return 0;
	default:
		if (value & ~1ULL)
			return 1;
		vcpu->pv.no_host_poll = !value;
		return 0;
	}
}

/* ---- hypercalls ---------------------------------------------------------- */

/* Bit n of the two maps, as wide as a register, is the APIC id first + n. */
static long send_ipis(struct kvm_vcpu *vcpu, const u64 map[2], u32 first, u32 icr)
{
	int width = kvm_is_long_mode(vcpu) ? 64 : 32;
	struct kvm_apic_message m = { .vector = icr, .delivery_mode = icr >> 8 & 7 };
	long sent = 0;

	/* Fixed interrupts and NMIs; no shorthand, not logical. */
	if ((m.delivery_mode != 0 && m.delivery_mode != 4) || icr & 0xc0800)
		return -KVM_EINVAL;
	for (int i = 0; i < 2 * width; i++) {
		if (!(map[i / width] >> (i % width) & 1))
			continue;
		m.dest = first + i;
		sent += kvm_apic_deliver(vcpu->kvm, vcpu, &m) > 0;
	}
	return sent;
}

long kvm_pv_hypercall(struct kvm_vcpu *vcpu, u64 nr, const u64 a[4])
{
	struct kvm_vcpu *other;

	switch (nr) {
	case KVM_HC_VAPIC_POLL_IRQ:
		return 0;
	case KVM_HC_KICK_CPU:
		if (!may_use(vcpu, KVM_FEATURE_PV_UNHALT) || !vcpu->lapic)
			break;
		other = kvm_vcpu_by_apic_id(vcpu->kvm, a[1]);
		if (!other)
			return 0;
		/* Also for a HLT that is still to come. */
		WRITE_ONCE(other->pv.unhalted, true);
		kvm_kick(other);
		return 0;
	case KVM_HC_SEND_IPI:
		if (!may_use(vcpu, KVM_FEATURE_PV_SEND_IPI) || !vcpu->lapic)
			break;
		return send_ipis(vcpu, a, a[2], a[3]);
	case KVM_HC_SCHED_YIELD:
		if (!may_use(vcpu, KVM_FEATURE_PV_SCHED_YIELD) || !vcpu->lapic)
			break;
		other = kvm_vcpu_by_apic_id(vcpu->kvm, a[0]);
		if (other && other != vcpu)
			kvm_yield_to(other);
		return 0;
	}
	return -KVM_ENOSYS;
}

/* What CPUID leaf 0x40000001 can offer. */
u32 kvm_pv_features(void)
{
	return BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_NOP_IO_DELAY) |
	       BIT(KVM_FEATURE_CLOCKSOURCE2) | BIT(KVM_FEATURE_STEAL_TIME) |
	       BIT(KVM_FEATURE_PV_EOI) | BIT(KVM_FEATURE_PV_UNHALT) |
	       BIT(KVM_FEATURE_PV_TLB_FLUSH) | BIT(KVM_FEATURE_PV_SEND_IPI) |
	       BIT(KVM_FEATURE_POLL_CONTROL) | BIT(KVM_FEATURE_PV_SCHED_YIELD) |
	       BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
}

void kvm_pv_reset(struct kvm_vcpu *vcpu)
{
	vcpu->pv.system_time = vcpu->pv.steal = vcpu->pv.eoi = 0;
	vcpu->pv.eoi_offered = vcpu->pv.no_host_poll = vcpu->pv.unhalted = false;
	vcpu->pv.clock_cpu = -1;
}
