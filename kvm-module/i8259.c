// SPDX-License-Identifier: GPL-2.0-only
/*
 * i8259.c: the two 8259A interrupt controllers of a PC. To be read with Intel's
 * data sheet 231468; its words are used: initialization and operation command
 * words (ICW, OCW), interrupt request, mask and in-service registers.
 *
 * The slave's output is input 2 of the master. That pin follows the slave's
 * output directly, so the master never accepts a request that the slave has
 * withdrawn: what is spurious is IRQ 7 of the master, vector base + 7 without
 * a bit in service.
 *
 * Each other pin is edge or level triggered as its bit in the ELCR says (ports
 * 4d0 and 4d1, from the EISA specification; LTIM of ICW1 is ignored, as in every
 * chip set with an ELCR). An edge is remembered even if the line falls again,
 * since user space pulses its edge-triggered lines. last_irr has the lines.
 *
 * pic->lock guards everything. Only pic->intr, the master's output, is also read
 * without it. Acknowledgements are collected while the lock is held and reported
 * after it was dropped, as listeners come back with a changed line: guard(pic).
 */
#include <linux/bitops.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "kvm.h"

#define MASTER		0
#define SLAVE		1
#define CASCADE		2	/* the master's pin with the slave */
#define PIC_PINS	16

#define ICW1		BIT(4)
#define ICW1_IC4	BIT(0)
#define ICW1_SNGL	BIT(1)
#define ICW4_AEOI	BIT(1)
#define ICW4_SFNM	BIT(4)
#define OCW2_EOI	BIT(5)
#define OCW2_SL		BIT(6)
#define OCW2_R		BIT(7)
#define OCW3		BIT(3)
#define OCW3_RIS	BIT(0)
#define OCW3_RR		BIT(1)
#define OCW3_P		BIT(2)
#define OCW3_SMM	BIT(5)
#define OCW3_ESMM	BIT(6)

/* init_state: the ICW that is expected next on the odd port */
enum { READY, WANT_ICW2, WANT_ICW3, WANT_ICW4 };

struct kvm_pic {
	raw_spinlock_t lock;
	struct kvm *kvm;
	bool intr;			/* the master's output */
	bool single[2];			/* ICW1 said that no ICW3 follows */
	unsigned long acked;		/* to be reported: bit 8 * chip + pin */
	unsigned long sources[PIC_PINS]; /* who holds the line: bit of its enum */
	struct kvm_pic_state chip[2];
};

/* The timer, the keyboard, the cascade, the RTC and the FPU are edges. */
static const u8 elcr_masks[2] = { 0xf8, 0xde };

/* How urgent the most urgent of these pins is: 0 most, 7 least, 8 if none. */
static unsigned int pic_rank(const struct kvm_pic_state *c, u8 pins)
{
	return pins ? __ffs(ror8(pins, c->priority_add)) : 8;
}

static unsigned int pic_pin(const struct kvm_pic_state *c, unsigned int rank)
{
	return (rank + c->priority_add) & 7;
}

/* ... in service. In special mask mode a level that is masked holds up no other. */
static unsigned int pic_serving(const struct kvm_pic_state *c)
{
	return pic_rank(c, c->special_mask ? c->isr & ~c->imr : c->isr);
}

/* The pin that a chip would deliver now, or -1: then its output is low. */
static int pic_request(const struct kvm_pic *pic, int n)
{
	const struct kvm_pic_state *c = &pic->chip[n];
	unsigned int request = pic_rank(c, c->irr & ~c->imr), serving;

	if (c->init_state != READY || request == 8)
		return -1;
	serving = pic_serving(c);
	if (request < serving)
		return pic_pin(c, request);
	/* Special fully nested: the slave may interrupt itself. */
	if (request == serving && n == MASTER && c->special_fully_nested_mode &&
	    pic_pin(c, request) == CASCADE)
		return CASCADE;
	return -1;
}

static void pic_update(struct kvm_pic *pic)
{
	struct kvm_pic_state *master = &pic->chip[MASTER];

	master->irr &= ~BIT(CASCADE);
	if (pic_request(pic, SLAVE) >= 0)
		master->irr |= BIT(CASCADE);
	master->last_irr = (master->last_irr & ~BIT(CASCADE)) | (master->irr & BIT(CASCADE));
	WRITE_ONCE(pic->intr, pic_request(pic, MASTER) >= 0);
}

/* Let the new state take effect and tell those who must know. */
static void pic_unlock(struct kvm_pic *pic, unsigned long flags) __releases(&pic->lock)
{
	unsigned long acked = pic->acked;
	bool was = pic->intr, changed;
	unsigned int bit;

	pic->acked = 0;
	pic_update(pic);
	changed = pic->intr != was;
	raw_spin_unlock_irqrestore(&pic->lock, flags);

	if (changed)
		kvm_pic_output_changed(pic->kvm);
	for_each_set_bit(bit, &acked, PIC_PINS)
		kvm_notify_acked(pic->kvm, bit < 8 ? KVM_IRQCHIP_PIC_MASTER :
				 KVM_IRQCHIP_PIC_SLAVE, bit & 7);
}

DEFINE_LOCK_GUARD_1(pic, struct kvm_pic, raw_spin_lock_irqsave(&_T->lock->lock, _T->flags),
		    pic_unlock(_T->lock, _T->flags), unsigned long flags)

static void pic_end(struct kvm_pic *pic, int n, u8 pins)
{
	pic->chip[n].isr &= ~pins;
	if (n == MASTER)
		pins &= ~BIT(CASCADE);
	pic->acked |= (unsigned long)pins << (8 * n);
}

/* An interrupt acknowledge cycle, or a poll, accepts a request. */
static void pic_accept(struct kvm_pic *pic, int n, unsigned int pin)
{
	struct kvm_pic_state *c = &pic->chip[n];

	/* The output falls, if only for a moment. */
	WRITE_ONCE(pic->intr, false);
	if (!(c->elcr & BIT(pin)))
		c->irr &= ~BIT(pin);
	c->isr |= BIT(pin);
	if (c->auto_eoi) {
		if (c->rotate_on_auto_eoi)
			c->priority_add = (pin + 1) & 7;
		pic_end(pic, n, BIT(pin));
	}
}

/* ---- lines and INTA ------------------------------------------------------ */

int kvm_pic_set_irq(struct kvm *kvm, unsigned int pin, enum kvm_irq_source source, bool level)
{
	struct kvm_pic *pic = kvm->pic;
	struct kvm_pic_state *c;
	u8 bit, irr;

	if (pin >= PIC_PINS || pin == CASCADE)
		return IRQ_NOBODY;
	pin = array_index_nospec(pin, PIC_PINS);
	c = &pic->chip[pin / 8];
	bit = BIT(pin & 7);
	guard(pic)(pic);
	__assign_bit(source, &pic->sources[pin], level);
	irr = c->irr;
	if (!pic->sources[pin]) {
		c->last_irr &= ~bit;
		c->irr &= ~(c->elcr & bit);
		return IRQ_DELIVERED;
	}
	if (c->elcr & bit || !(c->last_irr & bit))
		c->irr |= bit;
	c->last_irr |= bit;
	if (c->imr & bit)
		return IRQ_NOBODY;
	return c->irr != irr ? IRQ_DELIVERED : IRQ_COALESCED;
}

bool kvm_pic_has_interrupt(struct kvm *kvm)
{
	return kvm->pic && READ_ONCE(kvm->pic->intr);
}

int kvm_pic_acknowledge(struct kvm *kvm)
{
	struct kvm_pic *pic = kvm->pic;
	int n = MASTER, pin;

	guard(pic)(pic);
	pin = pic_request(pic, MASTER);
	if (pin == CASCADE) {
		pic_accept(pic, MASTER, CASCADE);
		n = SLAVE;
		pin = pic_request(pic, SLAVE);
	}
	if (pin >= 0)
		pic_accept(pic, n, pin);
	else
		pin = 7;		/* spurious: the request is gone */
	return pic->chip[n].irq_base | pin;
}

/* ---- command words ------------------------------------------------------- */

static void pic_icw1(struct kvm_pic *pic, int n, u8 value)
{
	struct kvm_pic_state *c = &pic->chip[n];

	pic_end(pic, n, c->isr);
	*c = (struct kvm_pic_state){
		.irr = c->irr & c->elcr,	/* edges are forgotten */
		.last_irr = c->last_irr,
		.irq_base = c->irq_base,
		.elcr = c->elcr,
		.elcr_mask = c->elcr_mask,
		.init4 = !!(value & ICW1_IC4),
		.init_state = WANT_ICW2,
	};
	pic->single[n] = value & ICW1_SNGL;
}

/* The odd port: ICW2 to ICW4 after an ICW1, otherwise OCW1. */
static void pic_write_odd(struct kvm_pic *pic, int n, u8 value)
{
	struct kvm_pic_state *c = &pic->chip[n];

	switch (c->init_state) {
	case WANT_ICW2:
		c->irq_base = value & 0xf8;
		if (!pic->single[n]) {
			c->init_state = WANT_ICW3;
			break;
		}
		fallthrough;
	case WANT_ICW3:			/* the wiring is what it is */
		c->init_state = c->init4 ? WANT_ICW4 : READY;
		break;
	case WANT_ICW4:
		c->special_fully_nested_mode = !!(value & ICW4_SFNM);
		c->auto_eoi = !!(value & ICW4_AEOI);
		c->init_state = READY;
		break;
	default:
		c->imr = value;
	}
}

/* End of interrupt, and which pin has the lowest priority from now on. */
static void pic_ocw2(struct kvm_pic *pic, int n, u8 value)
{
	struct kvm_pic_state *c = &pic->chip[n];
	unsigned int pin = value & 7, rank;

	if (!(value & OCW2_EOI)) {
		if (!(value & OCW2_SL))
			c->rotate_on_auto_eoi = !!(value & OCW2_R);
		else if (value & OCW2_R)
			c->priority_add = (pin + 1) & 7;
		return;
	}
	if (!(value & OCW2_SL)) {
		rank = pic_serving(c);
		if (rank == 8)
			return;
		pin = pic_pin(c, rank);
	}
	if (c->isr & BIT(pin))
		pic_end(pic, n, BIT(pin));
	if (value & OCW2_R)
		c->priority_add = (pin + 1) & 7;
}

static void pic_ocw3(struct kvm_pic_state *c, u8 value)
{
	if (value & OCW3_ESMM)
		c->special_mask = !!(value & OCW3_SMM);
	if (value & OCW3_P)
		c->poll = 1;
	else if (value & OCW3_RR)
		c->read_reg_select = value & OCW3_RIS;
}

/* ---- ports --------------------------------------------------------------- */

static u8 pic_read(struct kvm_pic *pic, int n, u16 port)
{
	struct kvm_pic_state *c = &pic->chip[n];
	int pin;

	if (port >= 0x4d0)
		return c->elcr;
	if (c->poll) {
		/* Any read after a poll command accepts a request. */
		c->poll = 0;
		pin = pic_request(pic, n);
		if (pin < 0)
			return 0;
		pic_accept(pic, n, pin);
		return BIT(7) | pin;
	}
	if (port & 1)
		return c->imr;
	return c->read_reg_select ? c->isr : c->irr;
}

static void pic_write(struct kvm_pic *pic, int n, u16 port, u8 value)
{
	struct kvm_pic_state *c = &pic->chip[n];

	if (port >= 0x4d0) {
		u8 changed = c->elcr ^ (value & c->elcr_mask);

		c->elcr ^= changed;
		/* A line that becomes level triggered requests while it is high. */
		c->irr = (c->irr & ~changed) | (c->last_irr & c->elcr & changed);
	} else if (port & 1) {
		pic_write_odd(pic, n, value);
	} else if (value & ICW1) {
		pic_icw1(pic, n, value);
	} else if (value & OCW3) {
		pic_ocw3(c, value);
	} else {
		pic_ocw2(pic, n, value);
	}
}

bool kvm_pic_port(struct kvm *kvm, u16 port, u8 *value, bool write)
{
	struct kvm_pic *pic = kvm->pic;
	int n = MASTER;

	switch (port) {
	case 0x20: case 0x21: case 0x4d0:
		break;
	case 0xa0: case 0xa1: case 0x4d1:
		n = SLAVE;
		break;
	default:
		return false;
	}
	guard(pic)(pic);
	if (write)
		pic_write(pic, n, port, *value);
	else
		*value = pic_read(pic, n, port);
	return true;
}

/* ---- state --------------------------------------------------------------- */

void kvm_pic_get(struct kvm *kvm, bool slave, struct kvm_pic_state *state)
{
	struct kvm_pic *pic = kvm->pic;

	guard(raw_spinlock_irqsave)(&pic->lock);
	*state = pic->chip[slave];
}

int kvm_pic_set(struct kvm *kvm, bool slave, const struct kvm_pic_state *state)
{
	struct kvm_pic_state new = *state;
	struct kvm_pic *pic = kvm->pic;

	if (new.priority_add > 7 || new.init_state > WANT_ICW4)
		return -EINVAL;
	new.irq_base &= 0xf8;
	new.elcr_mask = elcr_masks[slave];
	new.elcr &= new.elcr_mask;	/* all the others are bits or booleans */

	guard(pic)(pic);
	pic->chip[slave] = new;
	pic->single[slave] = false;
	WRITE_ONCE(pic->intr, false);	/* a request is news */
	return 0;
}

int kvm_pic_create(struct kvm *kvm)
{
	struct kvm_pic *pic = kzalloc(sizeof(*pic), GFP_KERNEL_ACCOUNT);

	if (!pic)
		return -ENOMEM;
	raw_spin_lock_init(&pic->lock);
	pic->kvm = kvm;
	pic->chip[MASTER].elcr_mask = elcr_masks[MASTER];
	pic->chip[SLAVE].elcr_mask = elcr_masks[SLAVE];
	/* Whoever sees it sees it initialised. */
	smp_store_release(&kvm->pic, pic);
	return 0;
}

void kvm_pic_destroy(struct kvm *kvm)
{
	kfree(kvm->pic);
	kvm->pic = NULL;
}
