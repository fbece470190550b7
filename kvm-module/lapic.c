// SPDX-License-Identifier: GPL-2.0-only
/*
 * lapic.c: the local APIC of a vCPU, in xAPIC and x2APIC mode.
 *
 * The registers are kept as user space saves them (KVM_GET_LAPIC): 32 bits
 * every 16 bytes of a 1 KiB page. Who touches what:
 *   IRR       anybody, at any time, with atomic bit operations; nothing else of
 *             the page is written from outside. TMR likewise, before the IRR.
 *   the rest  the vCPU's thread (vcpu->mutex), or user space holding the same.
 * An interrupt arrives by setting its IRR bit and kicking the vCPU. NMI, INIT
 * and SIPI arrive as requests, since they change the vCPU and not the APIC.
 *
 * The timer is an hrtimer that sets the IRR bit of the LVT's vector. The bus
 * clock is 1 GHz: a count of one is a nanosecond.
 *
 * References: SDM vol. 3, chapter 11 (10 in older editions).
 */
#include <linux/hrtimer.h>
#include <linux/math64.h>
#include <linux/slab.h>
#include <asm/apicdef.h>

#include "kvm.h"

#define REG_PAGE		0x400
/* Sets of registers, one bit each: those there are; of x2APIC readable, and writable. */
#define REG(offset)		BIT_ULL((offset) >> 4)
#define REGS(first, last)	GENMASK_ULL((last) >> 4, (first) >> 4)
#define XAPIC_REGS	(REG(APIC_ID) | REG(APIC_LVR) | REGS(APIC_TASKPRI, APIC_ESR) | \
			 REGS(APIC_ICR, APIC_TMCCT) | REG(APIC_TDCR))
#define X2APIC_READABLE	(XAPIC_REGS & ~(REG(APIC_ARBPRI) | REG(APIC_EOI) | REG(APIC_RRR) | \
					REG(APIC_DFR) | REG(APIC_ICR2)))
#define X2APIC_WRITABLE	(REG(APIC_TASKPRI) | REG(APIC_EOI) | REG(APIC_SPIV) | REG(APIC_ESR) | \
			 REG(APIC_ICR) | REGS(APIC_LVTT, APIC_TMICT) | REG(APIC_TDCR) | \
			 REG(APIC_SELF_IPI))
#define APIC_VERSION_VALUE	(0x14 | 5 << 16)	/* six LVT entries */
#define MIN_PERIOD_NS		200000	/* of a periodic timer */
#define LVT_TIMER_MODE		(APIC_LVT_TIMER_PERIODIC | APIC_LVT_TIMER_TSCDEADLINE)
#define LVT_READ_ONLY		(APIC_SEND_PENDING | APIC_LVT_REMOTE_IRR)
#define LVT_MASK(extra)		(0x110ff | (extra))

/* Bits that are not reserved. To set others does nothing, or is #GP with x2APIC. */
static const u32 writable[REG_PAGE >> 4] = {
	[APIC_ID >> 4] = 0xff000000,
	[APIC_TASKPRI >> 4] = 0xff,
	[APIC_LDR >> 4] = 0xff000000,
	[APIC_DFR >> 4] = 0xf0000000,
	[APIC_SPIV >> 4] = 0x3ff,
	/* SDM vol. 3, figure 11-28; with what was the busy bit: AMD could refuse it. */
	[APIC_ICR >> 4] = 0xcdfff,
	[APIC_ICR2 >> 4] = 0xff000000,
	/* Timer, thermal sensor, counters, LINT0 and 1, errors; and the initial count. */
	[APIC_LVTT >> 4] = LVT_MASK(LVT_TIMER_MODE), LVT_MASK(0x700), LVT_MASK(0x700),
	LVT_MASK(0xe700), LVT_MASK(0xe700), LVT_MASK(0), U32_MAX,
	[APIC_TDCR >> 4] = 0xb,
	[APIC_SELF_IPI >> 4] = 0xff,
};

struct kvm_lapic {
	struct kvm_vcpu *vcpu;
	struct hrtimer timer;
	u64 period_ns;
	u64 deadline;			/* TSC-deadline mode: the guest's TSC */
	bool irr_pending;		/* IRR may have a bit set; false: it has none */
	u16 isr_count;			/* bits of ISR */
	u8 regs[REG_PAGE] __aligned(8);
};

static u32 *reg(struct kvm_lapic *apic, unsigned int offset)
{
	return (u32 *)(apic->regs + offset);
}

/* A 256-bit register, 32 bits of it every 16 bytes, for the functions on bits ... */
static unsigned long *bits_of(struct kvm_lapic *apic, unsigned int base)
{
	return (unsigned long *)(apic->regs + base);
}

/* ... and which of them is a vector's. */
static unsigned int bit_of(u8 vector)
{
	return vector / 32 * 128 + vector % 32;
}

static int highest_vector(struct kvm_lapic *apic, unsigned int base)
{
	for (int word = 7; word >= 0; word--) {
		u32 bits = READ_ONCE(*reg(apic, base + word * 16));

		if (bits)
			return word * 32 + __fls(bits);
	}
	return -1;
}

/* Most of the time there is none, and no need to look. */
static int highest_irr(struct kvm_lapic *apic)
{
	int vector;

	if (!READ_ONCE(apic->irr_pending))
		return -1;
	vector = highest_vector(apic, APIC_IRR);
	if (vector >= 0)
		return vector;
	WRITE_ONCE(apic->irr_pending, false);
	/* Whoever sets a bit after our look sets this after the bit. */
	smp_mb();
	vector = highest_vector(apic, APIC_IRR);
	if (vector >= 0)
		WRITE_ONCE(apic->irr_pending, true);
	return vector;
}

static int highest_isr(struct kvm_lapic *apic)
{
	return apic->isr_count ? highest_vector(apic, APIC_ISR) : -1;
}

/* The registers were replaced as a whole. */
static void count_vectors(struct kvm_lapic *apic)
{
	WRITE_ONCE(apic->irr_pending, true);
	apic->isr_count = 0;
	for (int word = 0; word < 8; word++)
		apic->isr_count += hweight32(*reg(apic, APIC_ISR + word * 16));
}

static bool x2apic(const struct kvm_lapic *apic)
{
	return apic->vcpu->apic_base & X2APIC_ENABLE;
}

static bool hardware_enabled(const struct kvm_lapic *apic)
{
	return apic->vcpu->apic_base & MSR_IA32_APICBASE_ENABLE;
}

static bool software_enabled(struct kvm_lapic *apic)
{
	return hardware_enabled(apic) && *reg(apic, APIC_SPIV) & APIC_SPIV_APIC_ENABLED;
}

/* ---- priorities ---------------------------------------------------------- */

static void update_ppr(struct kvm_lapic *apic)
{
	u32 tpr = *reg(apic, APIC_TASKPRI), in_service = max(highest_isr(apic), 0) & 0xf0;

	*reg(apic, APIC_PROCPRI) = (tpr & 0xf0) >= in_service ? tpr : in_service;
	apic->vcpu->events.look = true;
}

static void set_tpr(struct kvm_lapic *apic, u32 tpr)
{
	*reg(apic, APIC_TASKPRI) = tpr & 0xff;
	apic->vcpu->cr8 = (tpr & 0xff) >> 4;
	update_ppr(apic);
}

void kvm_apic_set_cr8(struct kvm_vcpu *vcpu, u64 cr8)
{
	set_tpr(vcpu->lapic, cr8 << 4);
}

/* The vector that may be delivered now, or -1. */
int kvm_apic_pending(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->lapic;
	int vector = software_enabled(apic) ? highest_irr(apic) : -1;

	return vector >= 0 && (vector & 0xf0) > (*reg(apic, APIC_PROCPRI) & 0xf0) ? vector : -1;
}

/* The priority class of an interrupt that waits for a lower TPR, or 0. */
u8 kvm_apic_blocked(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->lapic;
	int vector = software_enabled(apic) ? highest_irr(apic) : -1;

	return vector >= 16 && (vector & 0xf0) <= (*reg(apic, APIC_TASKPRI) & 0xf0) ?
		vector >> 4 : 0;
}

/* The processor takes it: from requested to in service. */
void kvm_apic_acknowledge(struct kvm_vcpu *vcpu, u8 vector)
{
	struct kvm_lapic *apic = vcpu->lapic;

	clear_bit(bit_of(vector), bits_of(apic, APIC_IRR));
	if (!test_and_set_bit(bit_of(vector), bits_of(apic, APIC_ISR)))
		apic->isr_count++;
	update_ppr(apic);
}

/* May the PIC's (or user space's) interrupt come through LINT0? */
bool kvm_apic_accepts_extint(struct kvm_vcpu *vcpu)
{
	u32 lvt0 = *reg(vcpu->lapic, APIC_LVT0);

	return !hardware_enabled(vcpu->lapic) ||
	       (!(lvt0 & APIC_LVT_MASKED) && GET_APIC_DELIVERY_MODE(lvt0) == APIC_MODE_EXTINT);
}

/* ---- arrival ------------------------------------------------------------- */

static int accept_vector(struct kvm_lapic *apic, u8 vector, bool level)
{
	bool was_set;

	if (!software_enabled(apic))
		return IRQ_NOBODY;
	assign_bit(bit_of(vector), bits_of(apic, APIC_TMR), level);
	was_set = test_and_set_bit(bit_of(vector), bits_of(apic, APIC_IRR));
	WRITE_ONCE(apic->irr_pending, true);
	/* On its way into the guest it may have looked at the IRR already. */
	kvm_request(apic->vcpu, REQ_EVENT);
	kvm_kick(apic->vcpu);
	return was_set ? IRQ_COALESCED : IRQ_DELIVERED;
}

static int accept(struct kvm_lapic *apic, const struct kvm_apic_message *m)
{
	struct kvm_vcpu *vcpu = apic->vcpu;

	/* Fixed, or lowest priority, that the sender has chosen. */
	if (m->delivery_mode <= 1)
		return m->vector < 16 ? IRQ_NOBODY :
					accept_vector(apic, m->vector, m->level_triggered);
	/* SDM vol. 3, 11.4.3: it is as if there were none. */
	if (!hardware_enabled(apic))
		return IRQ_NOBODY;
	switch (m->delivery_mode) {
	case 2:
		if (!kvm_has_smm())
			return IRQ_NOBODY;
		kvm_request(vcpu, REQ_SMI);
		break;
	case 4:
		kvm_request(vcpu, REQ_NMI);
		break;
	case 5:
		clear_bit(REQ_SIPI, &vcpu->requests);	/* came before it */
		kvm_request(vcpu, REQ_INIT);
		break;
	case 6:
		WRITE_ONCE(vcpu->sipi_vector, m->vector);
		kvm_request(vcpu, REQ_SIPI);
		break;
	case 7:		/* ExtINT: the PIC is asked, not the message */
		break;
	default:	/* reserved */
		return IRQ_NOBODY;
	}
	kvm_kick(vcpu);
	return IRQ_DELIVERED;
}

static u32 apic_id(struct kvm_lapic *apic)
{
	return x2apic(apic) ? apic->vcpu->id : *reg(apic, APIC_ID) >> 24;
}

static bool matches_logical(struct kvm_lapic *apic, u32 dest)
{
	u32 ldr = *reg(apic, APIC_LDR);

	/* Cluster in the upper half, one bit a member in the lower. */
	if (x2apic(apic))
		return dest == 0xffffffff || (ldr >> 16 == dest >> 16 && ldr & dest & 0xffff);
	ldr >>= 24;
	dest &= 0xff;
	if (*reg(apic, APIC_DFR) >> 28 == 0xf)		/* flat */
		return ldr & dest;
	/* Cluster; all ones are a broadcast: SDM vol. 3, 11.6.2.2. */
	return (dest == 0xff || ldr >> 4 == dest >> 4) && ldr & dest & 0xf;
}

static bool matches(struct kvm_lapic *apic, struct kvm_vcpu *source,
		    const struct kvm_apic_message *m)
{
	if (m->shorthand)	/* 1: itself, 2: all, 3: all but itself */
		return m->shorthand == 2 || (m->shorthand == 1) == (apic->vcpu == source);
	if (m->logical)
		return matches_logical(apic, m->dest);
	return m->dest == 0xffffffff || (m->dest == 0xff && !x2apic(apic)) ||
	       apic_id(apic) == m->dest;
}

/*
 * Without a search when ids are what they usually are. Here and below: if one vCPU has
 * a local APIC, all have.
 */
struct kvm_vcpu *kvm_vcpu_by_apic_id(struct kvm *kvm, u32 id)
{
	struct kvm_vcpu *vcpu = xa_load(&kvm->vcpus, id);
	unsigned long i;

	if (vcpu && apic_id(vcpu->lapic) == id)
		return vcpu;
	if (likely(!READ_ONCE(kvm->odd_apic_ids)))
		return NULL;
	xa_for_each(&kvm->vcpus, i, vcpu)
		if (apic_id(vcpu->lapic) == id)
			return vcpu;
	return NULL;
}

/* Any context. Returns what happened, the best of all addressed. */
int kvm_apic_deliver(struct kvm *kvm, struct kvm_vcpu *source, const struct kvm_apic_message *m)
{
	struct kvm_vcpu *vcpu, *lowest = NULL;
	int result = IRQ_NOBODY;
	unsigned long i;

	if (!m->shorthand && !m->logical && m->dest != 0xff && m->dest != 0xffffffff) {
		vcpu = kvm_vcpu_by_apic_id(kvm, m->dest);
		return vcpu ? accept(vcpu->lapic, m) : IRQ_NOBODY;
	}
	xa_for_each(&kvm->vcpus, i, vcpu) {
		if (!matches(vcpu->lapic, source, m))
			continue;
		if (m->delivery_mode != 1)
			result = max(result, accept(vcpu->lapic, m));
		else if (software_enabled(vcpu->lapic) &&
			 (!lowest || *reg(vcpu->lapic, APIC_PROCPRI) <
				     *reg(lowest->lapic, APIC_PROCPRI)))
			lowest = vcpu;
	}
	return lowest ? accept(lowest->lapic, m) : result;
}

/* ---- end of interrupt ---------------------------------------------------- */

/* Does anybody but the local APIC want to know the end of this interrupt? */
static bool end_matters(struct kvm_lapic *apic, u8 vector)
{
	return test_bit(bit_of(vector), bits_of(apic, APIC_TMR)) ||
	       kvm_pit_wants_ack(apic->vcpu->kvm);
}

static void end_of_interrupt(struct kvm_lapic *apic)
{
	struct kvm_vcpu *vcpu = apic->vcpu;
	int vector = highest_isr(apic);

	if (vector < 0)
		return;
	clear_bit(bit_of(vector), bits_of(apic, APIC_ISR));
	apic->isr_count--;
	update_ppr(apic);
	if (!end_matters(apic, vector))
		return;
	if (vcpu->kvm->ioapic)
		kvm_ioapic_eoi(vcpu->kvm, vector);
	else	/* Split mode: the I/O APIC is user space's. */
		vcpu->pending_eoi = vector;
}

void kvm_apic_settle_pv_eoi(struct kvm_vcpu *vcpu)
{
	if (kvm_pv_eoi_taken(vcpu))
		end_of_interrupt(vcpu->lapic);
}

/*
 * An edge-triggered interrupt whose end nobody waits for, with no other behind
 * it, may end without an exit.
 */
void kvm_apic_pv_eoi(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->lapic;
	int vector;

	kvm_apic_settle_pv_eoi(vcpu);
	vector = highest_isr(apic);
	if (vector >= 0 && !end_matters(apic, vector) && highest_irr(apic) < 0)
		kvm_pv_eoi_offer(vcpu);
}

/* ---- the timer ----------------------------------------------------------- */

static enum hrtimer_restart timer_fires(struct hrtimer *timer)
{
	struct kvm_lapic *apic = container_of(timer, struct kvm_lapic, timer);
	u32 lvtt = READ_ONCE(*reg(apic, APIC_LVTT));

	if (!(lvtt & APIC_LVT_MASKED) && (lvtt & 0xff) >= 16)
		accept_vector(apic, lvtt & 0xff, false);
	if ((lvtt & LVT_TIMER_MODE) != APIC_LVT_TIMER_PERIODIC || !apic->period_ns)
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, ns_to_ktime(apic->period_ns));
	return HRTIMER_RESTART;
}

static u32 timer_mode(struct kvm_lapic *apic)
{
	return *reg(apic, APIC_LVTT) & LVT_TIMER_MODE;
}

/* Divide configuration: bits 0, 1 and 3; 7 means by one. */
static u32 divisor(struct kvm_lapic *apic)
{
	u32 tdcr = *reg(apic, APIC_TDCR);

	return 1 << ((((tdcr & 3) | (tdcr >> 1 & 4)) + 1) & 7);
}

/* Anew, by the mode, from the initial count or to the deadline. */
static void start_timer(struct kvm_lapic *apic)
{
	u32 khz = apic->vcpu->tsc_khz;
	u64 now, ns;

	hrtimer_cancel(&apic->timer);
	if (timer_mode(apic) == APIC_LVT_TIMER_TSCDEADLINE) {
		if (!apic->deadline)
			return;
		now = kvm_guest_tsc(apic->vcpu);
		ns = apic->deadline > now ? apic->deadline - now : 0;
		/* Eight years at most: a quotient that does not fit is a #DE. */
		ns = mul_u64_u64_div_u64(min(ns, (u64)khz << 38), 1000000, khz);
	} else {
		ns = (u64)*reg(apic, APIC_TMICT) * divisor(apic);
		if (!ns)
			return;
		/* A tiny period would keep the host busy with nothing else. */
		apic->period_ns = max_t(u64, ns, MIN_PERIOD_NS);
		if (timer_mode(apic) == APIC_LVT_TIMER_PERIODIC)
			ns = apic->period_ns;
	}
	hrtimer_start(&apic->timer, ns_to_ktime(ns), HRTIMER_MODE_REL_HARD);
}

static u32 current_count(struct kvm_lapic *apic)
{
	s64 left = ktime_to_ns(hrtimer_get_remaining(&apic->timer));

	if (!hrtimer_active(&apic->timer) || left <= 0 ||
	    timer_mode(apic) == APIC_LVT_TIMER_TSCDEADLINE)
		return 0;
	return div_u64(left, divisor(apic));
}

u64 kvm_apic_get_deadline(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->lapic;

	/* The register reads as 0 once the deadline has passed. */
	return timer_mode(apic) == APIC_LVT_TIMER_TSCDEADLINE && hrtimer_active(&apic->timer) ?
		apic->deadline : 0;
}

void kvm_apic_set_deadline(struct kvm_vcpu *vcpu, u64 deadline)
{
	struct kvm_lapic *apic = vcpu->lapic;

	if (timer_mode(apic) != APIC_LVT_TIMER_TSCDEADLINE)
		return;
	apic->deadline = deadline;
	start_timer(apic);
}

/* ---- registers ----------------------------------------------------------- */

static u32 read_register(struct kvm_lapic *apic, unsigned int offset)
{
	return offset == APIC_TMCCT ? current_count(apic) : *reg(apic, offset);
}

static bool is_in(u64 set, unsigned int offset)
{
	return offset < REG_PAGE && set & REG(offset);
}

static void send_ipi(struct kvm_lapic *apic, u32 low, u32 dest)
{
	struct kvm_apic_message m = {
		.dest = dest,
		.vector = low,
		.delivery_mode = low >> 8 & 7,
		.logical = low & APIC_DEST_LOGICAL,
		.shorthand = low >> 18 & 3,
	};

	/* IPIs are edge triggered; only INIT knows a level, and its de-assert does nothing. */
	if ((low & (APIC_MODE_MASK | APIC_INT_LEVELTRIG | APIC_INT_ASSERT)) !=
	    (APIC_DM_INIT | APIC_INT_LEVELTRIG))
		kvm_apic_deliver(apic->vcpu->kvm, apic->vcpu, &m);
}

static void write_lvt(struct kvm_lapic *apic, unsigned int offset, u32 value)
{
	u32 old_mode = timer_mode(apic);

	if (!software_enabled(apic))
		value |= APIC_LVT_MASKED;
	WRITE_ONCE(*reg(apic, offset), value & ~(u32)LVT_READ_ONLY);
	/* Periodic or not only says what happens at 0. */
	if (offset == APIC_LVTT && (timer_mode(apic) ^ old_mode) & APIC_LVT_TIMER_TSCDEADLINE) {
		hrtimer_cancel(&apic->timer);
		*reg(apic, APIC_TMICT) = 0;
		apic->deadline = 0;
	}
}

static void mask_lvts(struct kvm_lapic *apic)
{
	for (unsigned int offset = APIC_LVTT; offset <= APIC_LVTERR; offset += 16)
		*reg(apic, offset) |= APIC_LVT_MASKED;
}

/* One that there is; nothing comes of it if it cannot be written. */
static void write_register(struct kvm_lapic *apic, unsigned int offset, u32 value)
{
	/* ICR keeps what is written to its reserved bits; nothing comes of them. */
	if (offset != APIC_ICR)
		value &= writable[offset >> 4];
	/* More may come through now than before. */
	apic->vcpu->events.look |= offset == APIC_SPIV || offset == APIC_LVT0;
	switch (offset) {
	case APIC_TASKPRI:
		set_tpr(apic, value);
		break;
	case APIC_EOI:
		end_of_interrupt(apic);
		break;
	case APIC_ID:
		if (value >> 24 != apic->vcpu->id)
			WRITE_ONCE(apic->vcpu->kvm->odd_apic_ids, true);
		fallthrough;
	case APIC_LDR:
	case APIC_ICR2:
		*reg(apic, offset) = value;
		break;
	case APIC_DFR:
		*reg(apic, APIC_DFR) = value | 0x0fffffff;
		break;
	case APIC_SPIV:
		*reg(apic, APIC_SPIV) = value;
		if (!(value & APIC_SPIV_APIC_ENABLED))
			mask_lvts(apic);
		break;
	case APIC_ESR:
		*reg(apic, APIC_ESR) = 0;
		break;
	case APIC_ICR:
		value &= ~(u32)APIC_ICR_BUSY;
		*reg(apic, APIC_ICR) = value;
		send_ipi(apic, value, *reg(apic, APIC_ICR2) >> 24);
		break;
	case APIC_LVTT ... APIC_LVTERR:
		write_lvt(apic, offset, value);
		break;
	case APIC_TMICT:
		if (timer_mode(apic) == APIC_LVT_TIMER_TSCDEADLINE)
			break;
		*reg(apic, APIC_TMICT) = value;
		start_timer(apic);
		break;
	case APIC_TDCR:
		*reg(apic, APIC_TDCR) = value;
		if (hrtimer_active(&apic->timer))
			start_timer(apic);
		break;
	}
}

/* The registers take aligned 32-bit writes; others are lost, as the SDM allows. */
bool kvm_apic_mmio(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int len, u32 *value, bool write)
{
	u64 mode = vcpu->apic_base & (MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE);
	unsigned int offset = gpa & 0xff0;

	if (mode != MSR_IA32_APICBASE_ENABLE || (gpa ^ vcpu->apic_base) >> PAGE_SHIFT)
		return false;
	if (!is_in(XAPIC_REGS, offset))
		return true;
	if (!write)
		*value = read_register(vcpu->lapic, offset);
	else if (len == 4 && !(gpa & 0xf))
		write_register(vcpu->lapic, offset, *value);
	return true;
}

/* x2APIC: MSR 0x800 + offset / 16. 1: #GP. SDM vol. 3, table 11-6. */
int kvm_x2apic_read(struct kvm_vcpu *vcpu, u32 index, u64 *value)
{
	struct kvm_lapic *apic = vcpu->lapic;
	unsigned int offset = (index - APIC_BASE_MSR) << 4;

	if (!apic || !x2apic(apic) || !is_in(X2APIC_READABLE, offset))
		return 1;
	*value = read_register(apic, offset);
	if (offset == APIC_ICR)
		*value |= (u64)*reg(apic, APIC_ICR2) << 32;
	return 0;
}

int kvm_x2apic_write(struct kvm_vcpu *vcpu, u32 index, u64 value)
{
	struct kvm_lapic *apic = vcpu->lapic;
	unsigned int offset = (index - APIC_BASE_MSR) << 4;
	u64 dest = offset == APIC_ICR ? GENMASK_ULL(63, 32) : 0;

	if (!apic || !x2apic(apic) || !is_in(X2APIC_WRITABLE, offset) ||
	    value & ~(writable[offset >> 4] | dest))
		return 1;
	switch (offset) {
	case APIC_ICR:
		*reg(apic, APIC_ICR) = (u32)value & ~APIC_ICR_BUSY;
		*reg(apic, APIC_ICR2) = value >> 32;
		send_ipi(apic, value, value >> 32);
		break;
	case APIC_SELF_IPI:
		send_ipi(apic, (u32)value | APIC_DEST_SELF, 0);
		break;
	default:
		write_register(apic, offset, value);
	}
	return 0;
}

/* In x2APIC mode the logical id follows from the id: SDM vol. 3, 11.12.10.2. */
static void set_ids(struct kvm_lapic *apic)
{
	u32 id = apic->vcpu->id;

	*reg(apic, APIC_ID) = x2apic(apic) ? id : id << 24;
	if (x2apic(apic))
		*reg(apic, APIC_LDR) = (id & ~0xfU) << 12 | 1U << (id & 0xf);
}

/* A new IA32_APIC_BASE, checked by the caller: mode changes. */
void kvm_apic_base_changed(struct kvm_vcpu *vcpu, u64 old)
{
	struct kvm_lapic *apic = vcpu->lapic;

	if (!apic)
		return;
	vcpu->events.look = true;
	if ((old ^ vcpu->apic_base) & (X2APIC_ENABLE | MSR_IA32_APICBASE_ENABLE))
		set_ids(apic);
	if (!hardware_enabled(apic))
		hrtimer_cancel(&apic->timer);
}

/* ---- state --------------------------------------------------------------- */

int kvm_apic_get_state(struct kvm_vcpu *vcpu, void *arg)
{
	struct kvm_lapic *apic = vcpu->lapic;
	struct kvm_lapic_state *s = arg;

	if (!apic)
		return -EINVAL;
	memcpy(s->regs, apic->regs, sizeof(s->regs));
	*(u32 *)(s->regs + APIC_TMCCT) = current_count(apic);
	/* The old format has the id in bits 31:24 in either mode. */
	if (x2apic(apic))
		*(u32 *)(s->regs + APIC_ID) = vcpu->kvm->x2apic_ids ? vcpu->id : vcpu->id << 24;
	return 0;
}

int kvm_apic_set_state(struct kvm_vcpu *vcpu, void *arg)
{
	struct kvm_lapic *apic = vcpu->lapic;

	if (!apic)
		return -EINVAL;
	/* One that has passed does not come again. */
	apic->deadline = kvm_apic_get_deadline(vcpu);
	hrtimer_cancel(&apic->timer);
	memcpy(apic->regs, arg, sizeof(apic->regs));
	/* What the guest could never have put there is not taken over. */
	*reg(apic, APIC_LVR) = APIC_VERSION_VALUE;
	*reg(apic, APIC_ISR) &= ~0xffffU;
	*reg(apic, APIC_TDCR) &= 0xb;
	if (x2apic(apic))
		set_ids(apic);
	if (apic_id(apic) != vcpu->id)
		WRITE_ONCE(vcpu->kvm->odd_apic_ids, true);
	count_vectors(apic);
	set_tpr(apic, *reg(apic, APIC_TASKPRI));
	start_timer(apic);
	if (*reg(apic, APIC_TMCCT) && hrtimer_active(&apic->timer))
		hrtimer_start(&apic->timer,
			      ns_to_ktime((u64)*reg(apic, APIC_TMCCT) * divisor(apic)),
			      HRTIMER_MODE_REL_HARD);
	kvm_request(vcpu, REQ_EVENT);
	return 0;
}

/* Power-on, or INIT, which keeps the id. SDM vol. 3, 11.4.7. */
void kvm_apic_reset(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = vcpu->lapic;

	if (!apic)
		return;
	hrtimer_cancel(&apic->timer);
	/* Behind the id. */
	memset(reg(apic, APIC_LVR), 0, sizeof(apic->regs) - APIC_LVR);
	count_vectors(apic);
	if (x2apic(apic))
		set_ids(apic);
	*reg(apic, APIC_LVR) = APIC_VERSION_VALUE;
	*reg(apic, APIC_DFR) = 0xffffffff;
	*reg(apic, APIC_SPIV) = 0xff;
	mask_lvts(apic);
	/* Until firmware sets it up, the boot processor hears the PIC. */
	if (vcpu->id == vcpu->kvm->bsp_id)
		*reg(apic, APIC_LVT0) = APIC_MODE_EXTINT << 8;
	apic->deadline = 0;
	set_tpr(apic, 0);
}

int kvm_apic_create(struct kvm_vcpu *vcpu)
{
	struct kvm_lapic *apic = kzalloc(sizeof(*apic), GFP_KERNEL_ACCOUNT);

	if (!apic)
		return -ENOMEM;
	apic->vcpu = vcpu;
	hrtimer_init(&apic->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_HARD);
	apic->timer.function = timer_fires;
	vcpu->lapic = apic;
	return 0;
}

void kvm_apic_destroy(struct kvm_vcpu *vcpu)
{
	if (!vcpu->lapic)
		return;
	hrtimer_cancel(&vcpu->lapic->timer);
	kfree(vcpu->lapic);
}
