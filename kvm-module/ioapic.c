// SPDX-License-Identifier: GPL-2.0-only
/*
 * ioapic.c: the I/O APIC of a PC, an 82093AA (Intel 290566). To be read with its
 * data sheet: 24 pins, each with an entry of the redirection table that says
 * which message goes to which local APIC when the pin's line rises (edge) or
 * while it is high (level).
 *
 * Level triggered: once a local APIC has accepted the message, remote IRR is set
 * and nothing more is sent until the end of interrupt (EOI) for that vector
 * arrives. Then, if the line is still high, the message is sent again. A guest
 * without a handler for a line that stays high would do nothing but take that
 * interrupt; so after STORM_LIMIT repetitions without the line falling, each
 * further one waits STORM_DELAY_NS.
 *
 * The polarity bit is stored but ignored: a line is "high" when user space says
 * it is active (Documentation/virt/kvm/api.rst, KVM_IRQ_LINE).
 *
 * ioapic->lock guards everything; the base is also read without it. Messages are
 * sent with the lock held (a local APIC never answers synchronously);
 * acknowledgements are reported after it was dropped, as listeners come back with a
 * changed line.
 */
#include <linux/bitops.h>
#include <linux/hrtimer.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "kvm.h"

#define IOAPIC_BASE	0xfec00000
#define IOAPIC_SIZE	0x1000
#define IOREGSEL	0x00		/* offsets in the page */
#define IOWIN		0x10

#define REG_ID		0x00		/* indirect registers */
#define REG_VERSION	0x01
#define REG_ARBITRATION	0x02
#define REG_TABLE	0x10
#define VERSION		0x11		/* without an EOI register */

#define ENTRY_VECTOR	GENMASK_ULL(7, 0)
#define ENTRY_MODE	GENMASK_ULL(10, 8)
#define ENTRY_LOGICAL	BIT_ULL(11)
#define ENTRY_REMOTE_IRR BIT_ULL(14)
#define ENTRY_LEVEL	BIT_ULL(15)
#define ENTRY_MASK	BIT_ULL(16)
#define ENTRY_DEST_SHIFT 56
/* Vector, modes, polarity, trigger, mask and destination. */
#define ENTRY_WRITABLE	(GENMASK_ULL(63, 56) | GENMASK_ULL(16, 15) | \
			 BIT_ULL(13) | GENMASK_ULL(11, 0))

enum { MODE_LOWEST = 1, MODE_INIT = 5 };

#define STORM_LIMIT	1000
#define STORM_DELAY_NS	(10 * NSEC_PER_MSEC)

struct kvm_ioapic {
	raw_spinlock_t lock;
	struct kvm *kvm;
	struct kvm_ioapic_state s;	/* irr: bit n: pin n is high */
	u32 delayed;			/* bit n: the timer will send it */
	u16 repeats[KVM_IRQ_PINS];	/* EOIs since the line was low */
	unsigned long sources[KVM_IRQ_PINS]; /* who holds the line: bit of its enum */
	struct hrtimer timer;
};

static u64 *entry_of(struct kvm_ioapic *ioapic, unsigned int pin)
{
	return &ioapic->s.redirtbl[pin].bits;
}

static unsigned int entry_mode(u64 entry)
{
	return (entry & ENTRY_MODE) >> 8;
}

/* Only fixed and lowest-priority interrupts know levels. */
static bool entry_is_level(u64 entry)
{
	return entry & ENTRY_LEVEL && entry_mode(entry) <= MODE_LOWEST;
}

/* ---- sending ------------------------------------------------------------- */

/* The pin's line rose, or is high; enum kvm_irq_result. */
static int ioapic_send(struct kvm_ioapic *ioapic, unsigned int pin)
{
	u64 *entry = entry_of(ioapic, pin);
	struct kvm_apic_message message = {
		.dest = *entry >> ENTRY_DEST_SHIFT,
		.vector = *entry & ENTRY_VECTOR,
		.delivery_mode = entry_mode(*entry),
		.logical = *entry & ENTRY_LOGICAL,
		.level_triggered = entry_is_level(*entry),
	};
	int r;

	/* ExtINT: the PIC's output has its own wire; 3 and 6 are reserved. */
	if (*entry & ENTRY_MASK || message.delivery_mode == 3 || message.delivery_mode > MODE_INIT)
		return IRQ_NOBODY;
	if (*entry & ENTRY_REMOTE_IRR)
		return IRQ_COALESCED;
	r = kvm_apic_deliver(ioapic->kvm, NULL, &message);
	if (message.level_triggered && r != IRQ_NOBODY)
		*entry |= ENTRY_REMOTE_IRR;
	return r;
}

/* Send what a level-triggered pin has to say now. */
static void ioapic_service(struct kvm_ioapic *ioapic, unsigned int pin)
{
	if (entry_is_level(ioapic->s.redirtbl[pin].bits) && ioapic->s.irr & BIT(pin) &&
	    !(ioapic->delayed & BIT(pin)))
		ioapic_send(ioapic, pin);
}

static void ioapic_delay(struct kvm_ioapic *ioapic, unsigned int pin)
{
	if (!ioapic->delayed)
		hrtimer_start(&ioapic->timer, ns_to_ktime(STORM_DELAY_NS), HRTIMER_MODE_REL);
	ioapic->delayed |= BIT(pin);
}

static enum hrtimer_restart ioapic_timer(struct hrtimer *timer)
{
	struct kvm_ioapic *ioapic = container_of(timer, struct kvm_ioapic, timer);
	unsigned long delayed;
	unsigned int pin;

	guard(raw_spinlock_irqsave)(&ioapic->lock);
	delayed = ioapic->delayed;
	ioapic->delayed = 0;
	for_each_set_bit(pin, &delayed, KVM_IRQ_PINS)
		ioapic_service(ioapic, pin);
	return HRTIMER_NORESTART;
}

int kvm_ioapic_set_irq(struct kvm *kvm, unsigned int pin, enum kvm_irq_source source, bool level)
{
	struct kvm_ioapic *ioapic = kvm->ioapic;
	bool was;

	if (pin >= KVM_IRQ_PINS)
		return IRQ_NOBODY;
	pin = array_index_nospec(pin, KVM_IRQ_PINS);
	guard(raw_spinlock_irqsave)(&ioapic->lock);
	__assign_bit(source, &ioapic->sources[pin], level);
	was = ioapic->s.irr & BIT(pin);
	if (!ioapic->sources[pin]) {
		ioapic->s.irr &= ~BIT(pin);
		ioapic->delayed &= ~BIT(pin);
		ioapic->repeats[pin] = 0;
		return IRQ_DELIVERED;
	}
	ioapic->s.irr |= BIT(pin);
	if (entry_is_level(ioapic->s.redirtbl[pin].bits) ? ioapic->delayed & BIT(pin) : was)
		return IRQ_COALESCED;
	return ioapic_send(ioapic, pin);
}

static void ioapic_notify(struct kvm *kvm, unsigned long acked)
{
	unsigned int pin;

	for_each_set_bit(pin, &acked, KVM_IRQ_PINS)
		kvm_notify_acked(kvm, KVM_IRQCHIP_IOAPIC, pin);
}

/* Edge-triggered pins need no EOI, but the PIT may have asked for it. */
void kvm_ioapic_eoi(struct kvm *kvm, u8 vector)
{
	struct kvm_ioapic *ioapic = kvm->ioapic;
	unsigned long acked = 0, ended = 0;
	unsigned int pin;

	scoped_guard(raw_spinlock_irqsave, &ioapic->lock)
		for (pin = 0; pin < KVM_IRQ_PINS; pin++) {
			u64 *entry = entry_of(ioapic, pin);

			if ((*entry & ENTRY_VECTOR) != vector || entry_mode(*entry) > MODE_LOWEST)
				continue;
			if (*entry & ENTRY_REMOTE_IRR) {
				*entry &= ~ENTRY_REMOTE_IRR;
				ended |= BIT(pin);
			} else if (!entry_is_level(*entry) && !(*entry & ENTRY_MASK)) {
				acked |= BIT(pin);
			}
		}

	/* Resamplers lower their lines now, before we look at them. */
	ioapic_notify(kvm, acked | ended);
	if (!ended)
		return;

	guard(raw_spinlock_irqsave)(&ioapic->lock);
	for_each_set_bit(pin, &ended, KVM_IRQ_PINS) {
		if (!(ioapic->s.irr & BIT(pin)))
			continue;
		if (ioapic->repeats[pin] < STORM_LIMIT) {
			ioapic->repeats[pin]++;
			ioapic_service(ioapic, pin);
		} else if (!(ioapic->s.redirtbl[pin].bits & ENTRY_REMOTE_IRR)) {
			ioapic_delay(ioapic, pin);
		}
	}
}

/* ---- registers ----------------------------------------------------------- */

/* Index of the entry that ioregsel selects a half of, -1 for other registers. */
static int ioapic_selected(const struct kvm_ioapic *ioapic)
{
	unsigned int pin = (ioapic->s.ioregsel - REG_TABLE) / 2;

	if (ioapic->s.ioregsel < REG_TABLE || pin >= KVM_IRQ_PINS)
		return -1;
	return array_index_nospec(pin, KVM_IRQ_PINS);
}

static u32 ioapic_read(const struct kvm_ioapic *ioapic, unsigned int offset)
{
	int pin = ioapic_selected(ioapic);

	if (offset != IOWIN)
		return offset == IOREGSEL ? ioapic->s.ioregsel : 0;
	if (pin >= 0)
		return ioapic->s.redirtbl[pin].bits >> (ioapic->s.ioregsel & 1 ? 32 : 0);
	switch (ioapic->s.ioregsel) {
	case REG_ID:
	case REG_ARBITRATION:
		return ioapic->s.id << 24;
	case REG_VERSION:
		return (KVM_IRQ_PINS - 1) << 16 | VERSION;
	}
	return 0;
}

/* What an entry becomes; remote IRR is ours, and no edge has it. */
static u64 new_entry(u64 value, u64 old)
{
	value &= ENTRY_WRITABLE;
	return entry_is_level(value) ? value | (old & ENTRY_REMOTE_IRR) : value;
}

/* Returns the pins whose interrupt ended by this. */
static u32 ioapic_write_window(struct kvm_ioapic *ioapic, u32 value)
{
	int pin = ioapic_selected(ioapic);
	u64 new, old;

	if (ioapic->s.ioregsel == REG_ID)
		ioapic->s.id = value >> 24 & 0xf;
	if (pin < 0)
		return 0;
	old = ioapic->s.redirtbl[pin].bits;
	new = new_entry(ioapic->s.ioregsel & 1 ? (u64)value << 32 | (u32)old :
					       (old & ~(u64)U32_MAX) | value, old);
	ioapic->s.redirtbl[pin].bits = new;
	ioapic_service(ioapic, pin);
	/* A switch to edge is the way to an EOI without an EOI register. */
	return old & ~new & ENTRY_REMOTE_IRR ? BIT(pin) : 0;
}

bool kvm_ioapic_mmio(struct kvm *kvm, gpa_t gpa, unsigned int len, u32 *value, bool write)
{
	struct kvm_ioapic *ioapic = kvm->ioapic;
	u32 acked = 0;

	/* Without the lock, for all who mean somebody else; only user space moves it. */
	if (gpa - READ_ONCE(ioapic->s.base_address) >= IOAPIC_SIZE)
		return false;
	scoped_guard(raw_spinlock_irqsave, &ioapic->lock) {
		if (!write)
			*value = ioapic_read(ioapic, gpa & 0xff0);
		else if ((gpa & 0xfff) == IOREGSEL)
			ioapic->s.ioregsel = *value & 0xff;
		else if ((gpa & 0xfff) == IOWIN && len >= 4)
			acked = ioapic_write_window(ioapic, *value);
	}
	ioapic_notify(kvm, acked);
	return true;
}

/* ---- state --------------------------------------------------------------- */

void kvm_ioapic_get(struct kvm *kvm, struct kvm_ioapic_state *state)
{
	struct kvm_ioapic *ioapic = kvm->ioapic;

	guard(raw_spinlock_irqsave)(&ioapic->lock);
	*state = ioapic->s;
}

/*
 * Level-triggered pins that are due are sent by the timer, after user space
 * has most likely restored the local APICs, too.
 */
int kvm_ioapic_set(struct kvm *kvm, const struct kvm_ioapic_state *state)
{
	struct kvm_ioapic *ioapic = kvm->ioapic;

	if (state->base_address & (IOAPIC_SIZE - 1) || state->ioregsel > U8_MAX ||
	    state->id > 0xf || state->irr >> KVM_IRQ_PINS)
		return -EINVAL;
	guard(raw_spinlock_irqsave)(&ioapic->lock);
	ioapic->s = *state;
	ioapic->s.pad = 0;
	ioapic->delayed = 0;
	memset(ioapic->repeats, 0, sizeof(ioapic->repeats));
	for (int pin = 0; pin < KVM_IRQ_PINS; pin++) {
		u64 *entry = entry_of(ioapic, pin);

		*entry = new_entry(*entry, *entry);
		if (entry_is_level(*entry) && state->irr & BIT(pin) &&
		    !(*entry & (ENTRY_REMOTE_IRR | ENTRY_MASK)))
			ioapic_delay(ioapic, pin);
	}
	return 0;
}

int kvm_ioapic_create(struct kvm *kvm)
{
	struct kvm_ioapic *ioapic = kzalloc(sizeof(*ioapic), GFP_KERNEL_ACCOUNT);

	if (!ioapic)
		return -ENOMEM;
	raw_spin_lock_init(&ioapic->lock);
	hrtimer_init(&ioapic->timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	ioapic->timer.function = ioapic_timer;
	ioapic->kvm = kvm;
	ioapic->s.base_address = IOAPIC_BASE;
	for (int pin = 0; pin < KVM_IRQ_PINS; pin++)
		ioapic->s.redirtbl[pin].bits = ENTRY_MASK;
	/* Whoever sees it sees it initialised. */
	smp_store_release(&kvm->ioapic, ioapic);
	return 0;
}

void kvm_ioapic_destroy(struct kvm *kvm)
{
	struct kvm_ioapic *ioapic = kvm->ioapic;

	if (!ioapic)
		return;
	hrtimer_cancel(&ioapic->timer);
	kvm->ioapic = NULL;
	kfree(ioapic);
}
