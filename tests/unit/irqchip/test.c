// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The PIC, the I/O APIC and the PIT of the module, wired as irq.c wires them:
 * GSI 0 goes to the PIC's pin 0 and the I/O APIC's pin 2, others to the pins of
 * the same number. Local APICs are a counter for each vector.
 */
#include "../../../kvm-module/kvm.h"
#include "../tap.h"

#define MS	1000000LL
#define CLOCK	(1000000000.0 / 1193182)

static struct kvm vm;

/* ---- the kernel ---------------------------------------------------------- */

int locks_held;
s64 clock_now = 5000 * MS;
static struct hrtimer *timers;
static unsigned int timer_runs;

/* PIT, then I/O APIC, then PIC. Each structure begins with its lock. */
void lock_order(const raw_spinlock_t *lock)
{
	const raw_spinlock_t *pit = (void *)vm.pit, *ioapic = (void *)vm.ioapic;
	int allowed = pit && pit != lock && pit->held;

	assert(lock != pit || !locks_held);
	if (lock != pit && lock != ioapic)
		allowed += ioapic && ioapic->held;
	assert(locks_held <= allowed);
}

void hrtimer_init(struct hrtimer *timer, int clock, enum hrtimer_mode mode)
{
	(void)clock;
	(void)mode;
	timer->next = timers;
	timers = timer;
}

void hrtimer_start(struct hrtimer *timer, ktime_t time, enum hrtimer_mode mode)
{
	timer->expires = mode == HRTIMER_MODE_REL ? clock_now + time : time;
	timer->armed = true;
}

int hrtimer_try_to_cancel(struct hrtimer *timer)
{
	timer->armed = false;
	return 0;
}

int hrtimer_cancel(struct hrtimer *timer)
{
	struct hrtimer **p;

	timer->armed = false;
	for (p = &timers; *p; p = &(*p)->next)
		if (*p == timer) {
			*p = timer->next;
			break;
		}
	return 0;
}

/* Let time pass; timers run late by "late" ns. */
static void advance_late(s64 ns, s64 late)
{
	s64 end = clock_now + ns;

	for (;;) {
		struct hrtimer *t, *first = NULL;

		for (t = timers; t; t = t->next)
			if (t->armed && (!first || t->expires < first->expires))
				first = t;
		if (!first || first->expires + late > end)
			break;
		if (first->expires + late > clock_now)
			clock_now = first->expires + late;
		first->armed = false;
		timer_runs++;
		if (timer_runs > 10000000)
			bail_out("a timer runs for ever");
		assert(first->function(first) == HRTIMER_NORESTART);
	}
	clock_now = end;
}

static void advance(s64 ns)
{
	advance_late(ns, 0);
}

/* ---- irq.c and lapic.c --------------------------------------------------- */

static unsigned int output_changes, acks[3][24], messages, ticks;
static struct kvm_apic_message last_message;
static bool apic_pending[256], no_apic, route_ioapic = true;
static int lower_on_ack = -1;

int kvm_set_irq(struct kvm *kvm, enum kvm_irq_source source, u32 gsi, bool level)
{
	int r = IRQ_NOBODY, r2;

	assert(source == IRQ_SOURCE_PIT && gsi == 0);
	ticks += level;
	r = kvm_pic_set_irq(kvm, 0, source, level);
	if (route_ioapic) {
		r2 = kvm_ioapic_set_irq(kvm, 2, source, level);
		if (r2 > r)
			r = r2;
	}
	return r;
}

void kvm_pic_output_changed(struct kvm *kvm)
{
	/* The PIT may hold its lock; the PIC may not. */
	(void)kvm;
	assert(locks_held <= 1);
	output_changes++;
}

void kvm_notify_acked(struct kvm *kvm, unsigned int irqchip, unsigned int pin)
{
	assert(locks_held == 0);
	assert(irqchip < 3 && pin < 24);
	acks[irqchip][pin]++;
	if ((irqchip == KVM_IRQCHIP_PIC_MASTER && pin == 0) ||
	    (irqchip == KVM_IRQCHIP_IOAPIC && pin == 2))
		kvm_pit_acked(kvm);
	if (irqchip == KVM_IRQCHIP_IOAPIC && (int)pin == lower_on_ack)
		kvm_ioapic_set_irq(kvm, pin, IRQ_SOURCE_USER, false);
}

int kvm_apic_deliver(struct kvm *kvm, struct kvm_vcpu *source,
		     const struct kvm_apic_message *message)
{
	(void)kvm;
	assert(!source);
	messages++;
	last_message = *message;
	if (no_apic)
		return IRQ_NOBODY;
	if (apic_pending[message->vector])
		return IRQ_COALESCED;
	apic_pending[message->vector] = true;
	return IRQ_DELIVERED;
}

/* ---- the guest's view ---------------------------------------------------- */

static void out(u16 port, u8 value)
{
	if (!kvm_pic_port(&vm, port, &value, true) && !kvm_pit_port(&vm, port, &value, true))
		bail_out("port %#x is nobody's", port);
}

static u8 in(u16 port)
{
	u8 value = 0;

	if (!kvm_pic_port(&vm, port, &value, false) && !kvm_pit_port(&vm, port, &value, false))
		bail_out("port %#x is nobody's", port);
	return value;
}

static void reset(void)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };

	kvm_pit_destroy(&vm);
	kvm_ioapic_destroy(&vm);
	kvm_pic_destroy(&vm);
	memset(acks, 0, sizeof(acks));
	memset(apic_pending, 0, sizeof(apic_pending));
	messages = ticks = output_changes = 0;
	no_apic = false;
	route_ioapic = true;
	lower_on_ack = -1;
	assert(!kvm_pic_create(&vm) && !kvm_ioapic_create(&vm));
	assert(!kvm_pit_create(&vm, &config));
}

/* As a PC's firmware does it, vectors 0x20 and 0x28, all pins unmasked. */
static void pic_init(u8 icw4)
{
	reset();
	out(0x20, 0x11);
	out(0x21, 0x20);
	out(0x21, 0x04);
	out(0x21, icw4);
	out(0xa0, 0x11);
	out(0xa1, 0x28);
	out(0xa1, 0x02);
	out(0xa1, icw4 & ~0x10);
	out(0x21, 0);
	out(0xa1, 0);
}

static int irq(unsigned int pin, bool level)
{
	return kvm_pic_set_irq(&vm, pin, IRQ_SOURCE_USER, level);
}

static int pulse(unsigned int pin)
{
	int r = irq(pin, true);

	irq(pin, false);
	return r;
}

static bool intr(void)
{
	return kvm_pic_has_interrupt(&vm);
}

static int inta(void)
{
	return kvm_pic_acknowledge(&vm);
}

/* ---- the PIC ------------------------------------------------------------- */

static u8 isr(u16 port)
{
	out(port, 0x0b);
	return in(port);
}

static u8 irr(u16 port)
{
	out(port, 0x0a);
	return in(port);
}

static void test_pic_basics(void)
{
	u8 value;

	pic_init(0x01);
	ok(!intr(), "PIC: no request, no INTR");
	output_changes = 0;
	is(pulse(4), IRQ_DELIVERED, "PIC: an edge is delivered");
	ok(intr(), "PIC: ... and remembered when the line falls");
	is(output_changes, 1, "PIC: the change of INTR is reported once");
	is(pulse(4), IRQ_COALESCED, "PIC: a second edge before INTA coalesces");
	is(irr(0x20), 0x10, "PIC: IRR reads so");
	is(inta(), 0x24, "PIC: INTA returns the vector");
	is(irr(0x20), 0, "PIC: INTA clears an edge's request");
	is(isr(0x20), 0x10, "PIC: and sets the in-service bit");
	ok(!intr(), "PIC: INTR fell");
	is(acks[0][4], 0, "PIC: not acknowledged before EOI");
	out(0x20, 0x20);
	is(isr(0x20), 0, "PIC: non-specific EOI");
	is(acks[0][4], 1, "PIC: EOI is reported");
	out(0x20, 0x20);
	is(acks[0][4], 1, "PIC: an EOI with nothing in service is nothing");
	out(0x20, 0x64);
	is(acks[0][4], 1, "PIC: a specific one neither");
	irq(4, true);
	is(inta(), 0x24, "PIC: the next edge");
	out(0x20, 0x20);
	ok(!intr(), "PIC: an edge-triggered line that stays high is no request");
	is(irq(4, true), IRQ_COALESCED, "PIC: ... even if said again");
	irq(4, false);

	is(irq(2, true), IRQ_NOBODY, "PIC: pin 2 is the cascade's");
	is(irq(16, true), IRQ_NOBODY, "PIC: there is no pin 16");
	is(irq(4000000000u, true), IRQ_NOBODY, "PIC: nor pin 4000000000");
	ok(!kvm_pic_port(&vm, 0x22, &value, false), "PIC: port 22 is not its");
	ok(!kvm_pic_port(&vm, 0x60, &value, true), "PIC: nor 60");

	out(0x21, 0x10);
	is(in(0x21), 0x10, "PIC: the mask reads back");
	is(pulse(4), IRQ_NOBODY, "PIC: a masked pin says that nobody listens");
	ok(!intr(), "PIC: and raises nothing");
	out(0x21, 0);
	ok(intr(), "PIC: its edge is delivered when unmasked");
	is(inta(), 0x24, "PIC: ... so");
}

static void test_pic_priority(void)
{
	int i;

	pic_init(0x01);
	pulse(7);
	pulse(3);
	pulse(5);
	is(inta(), 0x23, "PIC: the lowest number has priority");
	ok(!intr(), "PIC: nesting: lower ones wait");
	pulse(1);
	is(inta(), 0x21, "PIC: nesting: a higher one interrupts");
	is(isr(0x20), 0x0a, "PIC: both in service");
	out(0x20, 0x20);
	is(isr(0x20), 0x08, "PIC: non-specific EOI ends the highest");
	ok(!intr(), "PIC: 5 still waits for 3");
	out(0x20, 0x63);
	is(inta(), 0x25, "PIC: specific EOI of 3 lets 5 through");
	out(0x20, 0x20);
	is(inta(), 0x27, "PIC: then 7");
	out(0x20, 0x20);

	/* Rotation: who was served goes last. */
	for (i = 0; i < 8; i++)
		if (i != 2)
			pulse(i);
	is(inta(), 0x20, "PIC: rotate: 0 first");
	out(0x20, 0xa0);
	is(inta(), 0x21, "PIC: rotate: 1 follows");
	pulse(0);
	out(0x20, 0xa0);
	is(inta(), 0x23, "PIC: rotate: 0 is not before 3 again");
	out(0x20, 0xe3);
	is(inta(), 0x24, "PIC: rotate on specific EOI");
	out(0x20, 0x20);
	out(0x20, 0xc6);
	is(inta(), 0x27, "PIC: set priority: 6 lowest, so 7 is first");
	out(0x20, 0x20);
	is(inta(), 0x20, "PIC: then 0");
	out(0x20, 0x20);
	is(inta(), 0x25, "PIC: then 5");
	out(0x20, 0x20);
	is(inta(), 0x26, "PIC: and 6 last");
	out(0x20, 0x20);
}

static void test_pic_cascade(void)
{
	pic_init(0x01);
	pulse(12);
	is(irr(0x20), 0x04, "cascade: the slave's output is IR2");
	is(inta(), 0x2c, "cascade: the slave's vector");
	is(isr(0x20), 0x04, "cascade: IR2 in service on the master");
	is(isr(0xa0), 0x10, "cascade: IR4 on the slave");
	pulse(8);
	ok(!intr(), "cascade: fully nested: IR2 in service blocks the slave");
	pulse(4);
	ok(!intr(), "cascade: and IR4");
	pulse(1);
	is(inta(), 0x21, "cascade: but not IR1");
	out(0x20, 0x20);
	out(0xa0, 0x20);
	is(acks[1][4], 1, "cascade: the slave's EOI is reported");
	out(0x20, 0x20);
	is(acks[0][2], 0, "cascade: that of IR2 is not");
	is(inta(), 0x28, "cascade: 8 before 4");
	out(0xa0, 0x20);
	out(0x20, 0x20);
	is(inta(), 0x24, "cascade: then 4");

	/* Special fully nested mode: the slave interrupts itself. */
	pic_init(0x11);
	pulse(12);
	is(inta(), 0x2c, "special fully nested: 12");
	pulse(8);
	is(inta(), 0x28, "special fully nested: 8 interrupts 12");
	pulse(4);
	ok(!intr(), "special fully nested: 4 does not");
	pulse(14);
	ok(!intr(), "special fully nested: 14 does not");
	out(0xa0, 0x20);
	is(isr(0xa0), 0x10, "special fully nested: slave ended 8");
	out(0xa0, 0x20);
	is(isr(0xa0), 0, "special fully nested: none left: EOI for the master");
	out(0x20, 0x20);
	is(inta(), 0x2e, "special fully nested: 14 next");
}

static void test_pic_spurious(void)
{
	pic_init(0x01);
	out(0x4d0, 0x20);
	out(0x4d1, 0x04);
	irq(5, true);
	irq(5, false);
	ok(!intr(), "spurious: a level that fell is no request");
	is(inta(), 0x27, "spurious: INTA without a request: 7");
	is(isr(0x20), 0, "spurious: nothing in service");
	irq(10, true);
	irq(10, false);
	is(inta(), 0x27, "spurious: the slave withdraws from the master: 7 too");
	is(isr(0xa0), 0, "spurious: nothing in service on the slave");
	is(acks[0][7] + acks[1][7], 0, "spurious: nothing acknowledged");
}

static void test_pic_level(void)
{
	pic_init(0x01);
	out(0x4d0, 0xff);
	out(0x4d1, 0xff);
	is(in(0x4d0), 0xf8, "ELCR: IRQ 0 to 2 stay edges");
	is(in(0x4d1), 0xde, "ELCR: IRQ 8 and 13 too");
	is(irq(11, true), IRQ_DELIVERED, "level: delivered");
	is(irq(11, true), IRQ_COALESCED, "level: and only once");
	is(inta(), 0x2b, "level: vector");
	is(irr(0xa0), 0x08, "level: still requested while high");
	out(0xa0, 0x20);
	out(0x20, 0x20);
	ok(intr(), "level: a line that is still high comes again");
	is(inta(), 0x2b, "level: ... so");
	irq(11, false);
	out(0xa0, 0x20);
	out(0x20, 0x20);
	ok(!intr(), "level: not when it fell");
	is(acks[1][3], 2, "level: both acknowledged");
	kvm_pic_set_irq(&vm, 10, IRQ_SOURCE_IRQFD, true);
	irq(10, true);
	irq(10, false);
	ok(intr(), "level: high while any source holds it");
	kvm_pic_set_irq(&vm, 10, IRQ_SOURCE_IRQFD, false);
	ok(!intr(), "level: low when the last one let go");
	out(0x4d1, 0);
	irq(9, true);
	is(inta(), 0x29, "an edge");
	out(0xa0, 0x20);
	out(0x20, 0x20);
	out(0x4d1, 0x02);
	ok(intr(), "ELCR: a high line that becomes level triggered requests");
}

static void test_pic_modes(void)
{
	/* Automatic EOI, with and without rotation. */
	pic_init(0x03);
	pulse(3);
	is(inta(), 0x23, "auto EOI: vector");
	is(isr(0x20), 0, "auto EOI: nothing in service");
	is(acks[0][3], 1, "auto EOI: acknowledged at INTA");
	out(0x20, 0x80);
	pulse(3);
	is(inta(), 0x23, "rotate in auto EOI");
	pulse(3);
	pulse(4);
	is(inta(), 0x24, "rotate in auto EOI: 3 became last");
	out(0x20, 0x00);
	is(inta(), 0x23, "rotate in auto EOI off");
	pulse(0);
	pulse(5);
	is(inta(), 0x25, "priorities stay as they were (4 lowest)");

	/* Special mask mode */
	pic_init(0x01);
	pulse(3);
	inta();
	out(0x20, 0x68);
	out(0x21, 0x08);
	pulse(6);
	is(inta(), 0x26, "special mask: lower ones pass a masked one in service");
	pulse(3);
	ok(!intr(), "special mask: the masked one does not");
	out(0x20, 0x20);
	is(isr(0x20), 0x08, "special mask: non-specific EOI ends 6, not masked 3");
	out(0x20, 0x20);
	is(isr(0x20), 0x08, "special mask: ... never 3");
	out(0x20, 0x63);
	is(isr(0x20), 0, "special mask: a specific one does");
	out(0x20, 0x48);
	pic_init(0x01);
	pulse(3);
	inta();
	out(0x21, 0x08);
	pulse(6);
	ok(!intr(), "without special mask mode a masked one still blocks");

	/* Poll */
	pic_init(0x01);
	out(0x20, 0x0c);
	is(in(0x20), 0, "poll: nothing");
	pulse(5);
	pulse(1);
	out(0x20, 0x0c);
	is(in(0x20), 0x81, "poll: most urgent pin");
	is(in(0x20), 0x20, "poll: only one read is a poll");
	is(isr(0x20), 0x02, "poll: it is in service now");
	out(0x20, 0x20);
	out(0x20, 0x0c);
	is(in(0x21), 0x85, "poll: a read of the odd port, too");
	ok(!intr(), "poll: INTR fell");

	/* Initialization */
	pic_init(0x01);
	pulse(3);
	inta();
	pulse(4);
	out(0x21, 0x55);
	out(0x20, 0xc1);
	out(0x20, 0x11);
	is(in(0x21), 0, "ICW1 clears the mask");
	is(acks[0][3], 1, "ICW1 ends what was in service");
	ok(!intr(), "ICW1 forgets edges");
	pulse(5);
	ok(!intr(), "no INTR between ICW1 and the last ICW");
	out(0x21, 0x47);
	out(0x21, 0x04);
	out(0x21, 0x01);
	is(inta(), 0x45, "ICW2: only bits 7 to 3");
	out(0x20, 0x20);
	out(0x20, 0x12);
	out(0x21, 0x50);
	out(0x21, 0xfe);
	is(in(0x21), 0xfe, "ICW1 single, no ICW4: OCW1 follows ICW2");
	pulse(0);
	is(inta(), 0x50, "... and it works");
	out(0x20, 0x10);
	out(0x21, 0x60);
	out(0x21, 0x04);
	out(0x21, 0xfd);
	is(in(0x21), 0xfd, "ICW1 cascaded, no ICW4: OCW1 follows ICW3");
	out(0x20, 0x13);
	out(0x21, 0x70);
	out(0x21, 0x03);
	pulse(6);
	inta();
	is(isr(0x20), 0, "ICW1 single with ICW4: auto EOI was taken");
}

static void test_pic_state(void)
{
	struct kvm_pic_state state, again;
	int i, good = 0;

	pic_init(0x01);
	pulse(3);
	inta();
	pulse(12);
	pulse(1);
	kvm_pic_get(&vm, false, &state);
	is(state.irr, 0x06, "state: IRR");
	is(state.isr, 0x08, "state: ISR");
	is(state.irq_base, 0x20, "state: vector base");
	is(state.elcr_mask, 0xf8, "state: ELCR mask");
	kvm_pic_get(&vm, true, &again);
	reset();
	ok(!kvm_pic_set(&vm, true, &again), "state: slave set");
	ok(!kvm_pic_set(&vm, false, &state), "state: master set");
	is(inta(), 0x21, "state: goes on: 1");
	out(0x20, 0x20);
	is(inta(), 0x2c, "state: goes on: 12");

	state.priority_add = 8;
	is(kvm_pic_set(&vm, false, &state), -EINVAL, "state: priority 8");
	state.priority_add = 0;
	state.init_state = 4;
	is(kvm_pic_set(&vm, true, &state), -EINVAL, "state: init state 4");
	kvm_pic_get(&vm, false, &again);
	is(again.init_state, 0, "state: refused means unchanged");

	/* Anything that is accepted is harmless. */
	srand(1);
	for (i = 0; i < 200000; i++) {
		u8 *bytes = (u8 *)&state;
		unsigned int b;
		int vector;

		for (b = 0; b < sizeof(state); b++)
			bytes[b] = rand();
		if (i & 1) {
			state.priority_add &= 7;
			state.init_state &= 3;
		}
		if (!kvm_pic_set(&vm, i & 2, &state))
			good++;
		pulse(rand() & 15);
		vector = inta();
		if (vector < 0 || vector > 255)
			bail_out("vector %d", vector);
		out((u16[]){ 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 }[rand() % 6], rand());
		in((u16[]){ 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1 }[rand() % 6]);
	}
	ok(good >= 100000, "state: %d random states survived", good);
}

/* ---- the I/O APIC -------------------------------------------------------- */

#define BASE	0xfec00000ULL

static void mmio_write(unsigned int offset, u32 value)
{
	if (!kvm_ioapic_mmio(&vm, BASE + offset, 4, &value, true))
		bail_out("I/O APIC: %#x is not its", offset);
}

static u32 reg_read(u8 reg)
{
	u32 value = 0x55555555;

	mmio_write(0, reg);
	if (!kvm_ioapic_mmio(&vm, BASE + 0x10, 4, &value, false))
		bail_out("I/O APIC: not its page");
	return value;
}

static void reg_write(u8 reg, u32 value)
{
	mmio_write(0, reg);
	mmio_write(0x10, value);
}

static void redirect(unsigned int pin, u64 entry)
{
	reg_write(0x10 + 2 * pin + 1, entry >> 32);
	reg_write(0x10 + 2 * pin, entry);
}

static int line(unsigned int pin, bool level)
{
	return kvm_ioapic_set_irq(&vm, pin, IRQ_SOURCE_USER, level);
}

/* As lapic.c does it: edges only when the timer asks. */
static void eoi(u8 vector)
{
	apic_pending[vector] = false;
	if (last_message.level_triggered || kvm_pit_wants_ack(&vm))
		kvm_ioapic_eoi(&vm, vector);
}

#define E_LEVEL		0x8000
#define E_MASK		0x10000
#define E_REMOTE	0x4000
#define E_LOGICAL	0x800

static void test_ioapic_registers(void)
{
	u32 value;
	int i;

	reset();
	is(reg_read(1), 0x00170011, "I/O APIC: version, 24 pins");
	is(reg_read(0), 0, "I/O APIC: ID 0");
	reg_write(0, 0xffffffff);
	is(reg_read(0), 0x0f000000, "I/O APIC: ID has 4 bits");
	is(reg_read(2), 0x0f000000, "I/O APIC: arbitration ID follows it");
	reg_write(1, 0);
	is(reg_read(1), 0x00170011, "I/O APIC: version is read-only");
	is(reg_read(0x10), E_MASK, "I/O APIC: pins are masked at reset");
	reg_write(0x10, 0xffffffff);
	reg_write(0x11, 0xffffffff);
	is(reg_read(0x10), 0x0001afff, "I/O APIC: status bits are read-only");
	is(reg_read(0x11), 0xff000000, "I/O APIC: the destination has 8 bits");
	reg_write(0x3f, 0x12345678);
	is(reg_read(0x3f), 0x12000000, "I/O APIC: the last register");
	for (value = 0, i = 0x40; i < 256; i++) {
		reg_write(i, 0xffffffff);
		value |= reg_read(i);
	}
	for (i = 3; i < 0x10; i++) {
		reg_write(i, 0xffffffff);
		value |= reg_read(i);
	}
	is(value, 0, "I/O APIC: other registers do not exist");

	mmio_write(0, 1);
	kvm_ioapic_mmio(&vm, BASE + 0x20, 4, &value, false);
	is(value, 0, "I/O APIC: nothing between the registers");
	value = 0x10;
	kvm_ioapic_mmio(&vm, BASE, 1, &value, true);
	kvm_ioapic_mmio(&vm, BASE, 4, &value, false);
	is(value, 0x10, "I/O APIC: the index can be written as a byte");
	kvm_ioapic_mmio(&vm, BASE + 0x10, 1, &value, true);
	is(reg_read(0x10), 0x0001afff, "I/O APIC: the window cannot");
	ok(!kvm_ioapic_mmio(&vm, BASE - 1, 4, &value, false), "I/O APIC: below its page");
	ok(!kvm_ioapic_mmio(&vm, BASE + 0x1000, 4, &value, false), "I/O APIC: above it");
	ok(!kvm_ioapic_mmio(&vm, ~0ULL, 4, &value, true), "I/O APIC: far above it");
}

static void test_ioapic_edge(void)
{
	reset();
	redirect(4, 3ULL << 56 | E_LOGICAL | 0x100 | 0x34);
	is(line(4, true), IRQ_DELIVERED, "edge: sent");
	is(messages, 1, "edge: one message");
	ok(last_message.dest == 3 && last_message.logical &&
	   last_message.vector == 0x34 && last_message.delivery_mode == 1 &&
	   !last_message.level_triggered && !last_message.shorthand,
	   "edge: the message is what the entry says");
	is(line(4, true), IRQ_COALESCED, "edge: a line that is high has no edge");
	line(4, false);
	is(line(4, true), IRQ_COALESCED, "edge: coalesced when the APIC says so");
	line(4, false);
	is(messages, 2, "edge: but it was sent");
	is(reg_read(0x18) & E_REMOTE, 0, "edge: no remote IRR");
	kvm_ioapic_eoi(&vm, 0x34);
	apic_pending[0x34] = false;
	is(acks[2][4], 1, "edge: an EOI that is told is passed on");
	is(messages, 2, "edge: and sends nothing");

	redirect(4, E_MASK | 0x34);
	is(line(4, true), IRQ_NOBODY, "edge: masked");
	redirect(4, 0x34);
	is(messages, 2, "edge: what came while masked is lost");
	line(4, false);
	redirect(5, 0x700 | 0x35);
	is(line(5, true), IRQ_NOBODY, "ExtINT: nothing to send");
	redirect(6, 0x300 | 0x36);
	is(line(6, true), IRQ_NOBODY, "reserved delivery mode: nothing to send");
	redirect(7, 0x400 | E_LEVEL);
	is(line(7, true), IRQ_DELIVERED, "NMI: sent");
	ok(!last_message.level_triggered, "NMI: always an edge");
	is(reg_read(0x1e) & E_REMOTE, 0, "NMI: no remote IRR");
	is(line(24, true), IRQ_NOBODY, "there is no pin 24");
	is(line(4000000000u, true), IRQ_NOBODY, "nor pin 4000000000");
}

static void test_ioapic_level(void)
{
	reset();
	redirect(10, E_LEVEL | 0x40);
	redirect(11, E_LEVEL | 0x40);
	is(line(10, true), IRQ_DELIVERED, "level: sent");
	ok(last_message.level_triggered, "level: as such");
	is(reg_read(0x24) & E_REMOTE, E_REMOTE, "level: remote IRR");
	is(line(10, true), IRQ_COALESCED, "level: not again before EOI");
	eoi(0x41);
	is(messages, 1, "level: EOI of another vector is nothing");
	eoi(0x40);
	is(acks[2][10], 1, "level: EOI is reported");
	is(acks[2][11], 0, "level: not for a pin that was not sent");
	is(messages, 2, "level: a line that is still high is sent again");
	line(10, false);
	eoi(0x40);
	is(messages, 2, "level: not when it fell");
	is(reg_read(0x24) & E_REMOTE, 0, "level: remote IRR is clear");

	lower_on_ack = 10;
	line(10, true);
	eoi(0x40);
	is(messages, 3, "level: a listener that lowers the line at EOI is in time");
	lower_on_ack = -1;

	/* Several sources */
	messages = 2;
	line(11, true);
	kvm_ioapic_set_irq(&vm, 11, IRQ_SOURCE_IRQFD, true);
	line(11, false);
	eoi(0x40);
	is(messages, 4, "level: high while any source holds it");
	kvm_ioapic_set_irq(&vm, 11, IRQ_SOURCE_IRQFD, false);
	eoi(0x40);
	is(messages, 4, "level: low when the last one let go");
	messages = 3;

	/* Masks */
	redirect(10, E_LEVEL | E_MASK | 0x40);
	is(line(10, true), IRQ_NOBODY, "level: masked");
	redirect(10, E_LEVEL | 0x40);
	is(messages, 4, "level: sent when unmasked");
	reg_write(0x24, E_LEVEL | E_MASK | 0x40);
	is(reg_read(0x24) & E_REMOTE, E_REMOTE, "level: remote IRR survives a mask");
	eoi(0x40);
	is(messages, 4, "level: EOI while masked sends nothing");
	reg_write(0x24, E_LEVEL | 0x40);
	is(messages, 5, "level: it comes with the unmasking");

	/* The EOI of software without an EOI register: to edge and back. */
	acks[2][10] = 0;
	reg_write(0x24, E_MASK | 0x40);
	is(reg_read(0x24) & E_REMOTE, 0, "switched to edge: remote IRR clears");
	is(acks[2][10], 1, "switched to edge: an acknowledgement");
	apic_pending[0x40] = false;
	reg_write(0x24, E_LEVEL | 0x40);
	is(messages, 6, "back to level: sent again while high");
	line(10, false);
	eoi(0x40);

	no_apic = true;
	is(line(10, true), IRQ_NOBODY, "level: nobody there");
	is(reg_read(0x24) & E_REMOTE, 0, "level: nobody accepted, no remote IRR");
	no_apic = false;
	is(line(10, true), IRQ_DELIVERED, "level: sent as soon as somebody is");
}

static void test_ioapic_storm(void)
{
	int i;

	reset();
	redirect(10, E_LEVEL | 0x40);
	line(10, true);
	for (i = 0; i < 5000; i++)
		if (apic_pending[0x40])
			eoi(0x40);
	ok(messages > 500 && messages < 2000,
	   "storm: %u messages, then it pauses", messages);
	i = messages;
	is(line(10, true), IRQ_COALESCED, "storm: saying it again does not help");
	advance(9 * MS);
	is(messages, i, "storm: quiet for 9 ms");
	advance(2 * MS);
	is(messages, i + 1, "storm: sent after 10 ms");
	eoi(0x40);
	is(messages, i + 1, "storm: still slow while the line stays high");
	line(10, false);
	line(10, true);
	is(messages, i + 2, "storm: over when the line fell");
	eoi(0x40);
	is(messages, i + 3, "storm: repeated at once again");
	line(10, false);
	eoi(0x40);
	advance(20 * MS);
	is(messages, i + 3, "storm: the timer sends nothing for a low line");
}

static void test_ioapic_state(void)
{
	struct kvm_ioapic_state state, again;
	u32 value;
	int i, good = 0;

	reset();
	redirect(10, 0xab00000000000000ULL | E_LEVEL | 0x40);
	line(10, true);
	reg_write(0, 5 << 24);
	kvm_ioapic_get(&vm, &state);
	is(state.base_address, BASE, "state: base");
	is(state.id, 5, "state: ID");
	is(state.irr, 1 << 10, "state: lines");
	is(state.redirtbl[10].bits, 0xab00000000000000ULL | E_LEVEL | E_REMOTE | 0x40,
	   "state: entry with remote IRR");
	reset();
	is(kvm_ioapic_set(&vm, &state), 0, "state: set");
	kvm_ioapic_get(&vm, &again);
	ok(!memcmp(&state, &again, sizeof(state)), "state: reads back the same");
	is(messages, 0, "state: nothing was sent by that");
	eoi(0x40);
	is(messages, 1, "state: goes on at the EOI");

	state.redirtbl[10].bits &= ~(u64)E_REMOTE;
	reset();
	kvm_ioapic_set(&vm, &state);
	is(messages, 0, "state: a due level is not sent at once");
	advance(11 * MS);
	is(messages, 1, "state: but soon");

	again = state;
	again.base_address = 0xfec00400;
	is(kvm_ioapic_set(&vm, &again), -EINVAL, "state: base not of a page");
	again = state;
	again.ioregsel = 0x100;
	is(kvm_ioapic_set(&vm, &again), -EINVAL, "state: index 256");
	again = state;
	again.id = 16;
	is(kvm_ioapic_set(&vm, &again), -EINVAL, "state: ID 16");
	again = state;
	again.irr = 1 << 24;
	is(kvm_ioapic_set(&vm, &again), -EINVAL, "state: line 24");
	again = state;
	again.base_address = 0xfee00000 + 0x100000;
	is(kvm_ioapic_set(&vm, &again), 0, "state: another base");
	ok(!kvm_ioapic_mmio(&vm, BASE, 4, &value, false), "state: left the old place");
	ok(kvm_ioapic_mmio(&vm, again.base_address, 4, &value, false), "state: is at the new");

	srand(2);
	for (i = 0; i < 100000; i++) {
		u8 *bytes = (u8 *)&state;
		unsigned int b;
		u32 data = rand();

		for (b = 0; b < sizeof(state); b++)
			bytes[b] = rand();
		if (i & 1) {
			state.base_address = i & 2 ? BASE : ~0xfffULL;
			state.ioregsel &= 0xff;
			state.id &= 0xf;
			state.irr &= 0xffffff;
		}
		if (!kvm_ioapic_set(&vm, &state))
			good++;
		eoi(rand());
		line(rand() % 26, rand() & 1);
		kvm_ioapic_mmio(&vm, BASE + (rand() & 0x10), 1 << rand() % 4, &data, true);
		kvm_ioapic_mmio(&vm, ~0xfffULL + (rand() & 0xfff), 1 << rand() % 4,
				&data, false);
		advance(rand() % 1000000);
	}
	ok(good >= 50000, "state: %d random states survived", good);
}

/* ---- the PIT ------------------------------------------------------------- */

/* Program a channel: low byte, then high byte. */
static void pit_program(unsigned int n, unsigned int mode, bool bcd, u16 count)
{
	out(0x43, n << 6 | 0x30 | mode << 1 | bcd);
	out(0x40 + n, count);
	out(0x40 + n, count >> 8);
}

static u16 pit_count(unsigned int n)
{
	u16 value;

	out(0x43, n << 6);
	value = in(0x40 + n);
	return value | in(0x40 + n) << 8;
}

static u8 pit_status_of(unsigned int n)
{
	out(0x43, 0xe0 | 2 << n);
	return in(0x40 + n);
}

static bool pit_out(unsigned int n)
{
	return pit_status_of(n) & 0x80;
}

static void clocks(double n)
{
	advance(n * CLOCK + 0.5);
}

static void gate2(bool gate)
{
	out(0x61, gate);
}

static void test_pit_counting(void)
{
	int i, falls;
	bool last;

	reset();
	gate2(true);
	pit_program(2, 0, false, 1000);
	ok(!pit_out(2), "PIT mode 0: OUT is low");
	clocks(400.5);
	is(pit_count(2), 600, "PIT mode 0: counts down");
	gate2(false);
	clocks(5000);
	is(pit_count(2), 600, "PIT mode 0: a low gate holds it");
	gate2(true);
	clocks(599);
	ok(!pit_out(2), "PIT mode 0: goes on; one clock before");
	clocks(1);
	ok(pit_out(2), "PIT mode 0: OUT rises at terminal count");
	clocks(100);
	is(pit_count(2), 0x10000 - 100, "PIT mode 0: counts on below zero");
	ok(pit_out(2), "PIT mode 0: OUT stays high");
	out(0x42, 0x10);
	ok(!pit_out(2), "PIT mode 0: the first byte of a new count: OUT low");
	out(0x42, 0x00);
	clocks(15.5);
	ok(!pit_out(2), "PIT mode 0: new count runs");
	clocks(1);
	ok(pit_out(2), "PIT mode 0: and ends");

	gate2(false);
	pit_program(2, 1, false, 100);
	ok(pit_out(2), "PIT mode 1: OUT is high");
	ok(pit_status_of(2) & 0x40, "PIT mode 1: null count until the trigger");
	clocks(500);
	ok(pit_out(2), "PIT mode 1: waits for a trigger");
	gate2(true);
	ok(!pit_out(2), "PIT mode 1: OUT low after it");
	ok(!(pit_status_of(2) & 0x40), "PIT mode 1: count loaded");
	clocks(60.5);
	is(pit_count(2), 40, "PIT mode 1: counts");
	gate2(false);
	gate2(true);
	clocks(99.5);
	ok(!pit_out(2), "PIT mode 1: a new trigger starts again");
	clocks(1);
	ok(pit_out(2), "PIT mode 1: OUT high at the end");
	out(0x42, 50);
	out(0x42, 0);
	clocks(20);
	ok(pit_out(2), "PIT mode 1: a new count waits for a trigger");
	gate2(false);
	gate2(true);
	clocks(49.5);
	ok(!pit_out(2), "PIT mode 1: it is used then");
	clocks(1);
	ok(pit_out(2), "PIT mode 1: ... so");

	pit_program(2, 2, false, 100);
	clocks(0.5);
	is(pit_count(2), 100, "PIT mode 2: starts at the count");
	clocks(98);
	ok(pit_out(2), "PIT mode 2: OUT high");
	is(pit_count(2), 2, "PIT mode 2: 2");
	clocks(1);
	is(pit_count(2), 1, "PIT mode 2: 1");
	ok(!pit_out(2), "PIT mode 2: OUT low for one clock");
	clocks(1);
	is(pit_count(2), 100, "PIT mode 2: reloaded");
	ok(pit_out(2), "PIT mode 2: OUT high again");
	clocks(30);
	gate2(false);
	clocks(1000);
	ok(pit_out(2), "PIT mode 2: OUT is high while the gate is low");
	gate2(true);
	clocks(10.5);
	is(pit_count(2), 90, "PIT mode 2: the gate's rise reloads");
	out(0x42, 50);
	out(0x42, 0);
	clocks(50);
	is(pit_count(2), 40, "PIT mode 2: a new count waits for the period's end");
	ok(pit_status_of(2) & 0x40, "PIT mode 2: null count meanwhile");
	clocks(45);
	is(pit_count(2), 45, "PIT mode 2: then it counts");
	ok(!(pit_status_of(2) & 0x40), "PIT mode 2: and null count is off");

	pit_program(2, 3, false, 100);
	clocks(10.5);
	is(pit_count(2), 80, "PIT mode 3: by two");
	clocks(39);
	ok(pit_out(2), "PIT mode 3: high for one half");
	clocks(1);
	ok(!pit_out(2), "PIT mode 3: low for the other");
	is(pit_count(2), 100, "PIT mode 3: reloaded at the half");
	pit_program(2, 3, false, 5);
	clocks(0.5);
	for (i = falls = 0, last = true; i < 50; i++) {
		falls += last && !pit_out(2);
		last = pit_out(2);
		clocks(1);
	}
	is(falls, 10, "PIT mode 3: odd count: period 5");
	pit_program(2, 3, false, 5);
	clocks(2.5);
	ok(pit_out(2), "PIT mode 3: odd count: high for 3 clocks");
	clocks(1);
	ok(!pit_out(2), "PIT mode 3: low for 2");

	pit_program(2, 4, false, 100);
	ok(pit_out(2), "PIT mode 4: OUT is high");
	clocks(99.5);
	ok(pit_out(2), "PIT mode 4: until the count ends");
	clocks(1);
	ok(!pit_out(2), "PIT mode 4: low for a clock");
	clocks(1);
	ok(pit_out(2), "PIT mode 4: high again");
	gate2(false);
	pit_program(2, 5, false, 100);
	clocks(200);
	gate2(true);
	clocks(100.5);
	ok(!pit_out(2), "PIT mode 5: strobe after the trigger");
	clocks(1);
	ok(pit_out(2), "PIT mode 5: high again");
}

static void test_pit_access(void)
{
	u8 value;
	int low, high;

	reset();
	gate2(true);
	pit_program(2, 0, false, 0);
	clocks(1.5);
	is(pit_count(2), 0xffff, "PIT: 0 means 65536");
	pit_program(2, 0, true, 0);
	clocks(1.5);
	is(pit_count(2), 0x9999, "PIT: 0 means 10000 in BCD");
	pit_program(2, 0, true, 0x1234);
	clocks(34.5);
	is(pit_count(2), 0x1200, "PIT: BCD counts in BCD");
	clocks(1201);
	is(pit_count(2), 0x9999, "PIT: BCD wraps to 9999");
	pit_program(2, 2, true, 0xffff);
	pit_count(2);
	ok(1, "PIT: digits that are none do no harm");

	pit_program(2, 0, false, 0x5000);
	clocks(0.5);
	out(0x43, 0x80);
	clocks(0x1234);
	low = in(0x42);
	high = in(0x42);
	is(high << 8 | low, 0x5000, "PIT: latched count holds");
	low = in(0x42);
	high = in(0x42);
	is(high << 8 | low, 0x5000 - 0x1234, "PIT: then it is live");
	out(0x43, 0x80);
	clocks(0x1000);
	out(0x43, 0x80);
	low = in(0x42);
	out(0x43, 0x80);
	high = in(0x42);
	is(high << 8 | low, 0x5000 - 0x1234, "PIT: a second latch is ignored");

	out(0x43, 0x90);
	out(0x42, 200);
	clocks(0.5);
	is(in(0x42), 200, "PIT: low byte only");
	is(in(0x42), 200, "PIT: ... each time");
	out(0x43, 0x80);
	clocks(50);
	is(in(0x42), 200, "PIT: latched low byte");
	is(in(0x42), 150, "PIT: one read ends it");
	out(0x43, 0xa0);
	out(0x42, 0x20);
	clocks(0.5);
	is(in(0x42), 0x20, "PIT: high byte only");
	clocks(0x100);
	is(in(0x42), 0x1f, "PIT: counts");

	pit_program(2, 2, true, 0x100);
	is(pit_status_of(2), 0xb5, "PIT: status: OUT, word, mode 2, BCD");
	out(0x43, 0xb6);
	is(pit_status_of(2), 0xf6, "PIT: status: null count after a control word");
	out(0x43, 0xbc);
	is(pit_status_of(2) >> 1 & 7, 2, "PIT: mode 6 is mode 2");
	out(0x43, 0xbe);
	is(pit_status_of(2) >> 1 & 7, 3, "PIT: mode 7 is mode 3");

	/* Read-back of several channels: status first, then the count. */
	pit_program(0, 2, false, 0x1000);
	pit_program(2, 2, false, 0x2000);
	clocks(16.5);
	out(0x43, 0xca);
	clocks(100);
	is(in(0x40), 0xb4, "PIT: read-back: status of 0");
	low = in(0x40);
	high = in(0x40);
	is(high << 8 | low, 0x1000 - 16, "PIT: read-back: count of 0");
	is(in(0x42), 0xb4, "PIT: read-back: status of 2");
	low = in(0x42);
	high = in(0x42);
	is(high << 8 | low, 0x2000 - 16, "PIT: read-back: count of 2");

	is(in(0x43), 0xff, "PIT: port 43 cannot be read");
	out(0x61, 0xff);
	is(in(0x61) & 0x0f, 3, "port 61: gate and data read back");
	pit_program(2, 0, false, 100);
	is(in(0x61) & 0x20, 0, "port 61: OUT of channel 2 low");
	clocks(101);
	is(in(0x61) & 0x20, 0x20, "port 61: OUT of channel 2 high");
	for (low = high = 0; low < 100; low++) {
		high += !!(in(0x61) & 0x10);
		advance(15085);
	}
	ok(high > 40 && high < 60, "port 61: the refresh bit toggles");
	ok(!kvm_pit_port(&vm, 0x44, &value, false), "PIT: port 44 is not its");
	kvm_pit_destroy(&vm);
	assert(!kvm_pit_create(&vm, &(struct kvm_pit_config){ 0 }));
	ok(!kvm_pit_port(&vm, 0x61, &value, false), "port 61: only when asked for");
	ok(!kvm_pit_port(&vm, 0x61, &value, true), "port 61: writes, too");
}

static void pit_guest(void)
{
	pic_init(0x01);
	route_ioapic = false;
	ticks = 0;
}

/* Take the timer's interrupt if it is there. */
static bool serve(void)
{
	if (!intr() || inta() != 0x20)
		return false;
	out(0x20, 0x20);
	return true;
}

static void test_pit_interrupt(void)
{
	int i, served;

	pit_guest();
	advance(1000 * MS);
	is(ticks, 0, "PIT: silent until programmed");
	pit_program(0, 2, false, 11932);
	advance(9 * MS);
	is(ticks, 0, "PIT: no tick before the period ends");
	advance(2 * MS);
	is(ticks, 1, "PIT: one at its end");
	ok(serve(), "PIT: it is IRQ 0");
	for (served = i = 0; i < 10000; i++) {
		advance(10 * MS);
		served += serve();
	}
	/* 11932 clocks are 10.00015 ms; the first one was served above. */
	is(served, 9999, "PIT: 100 Hz for 100 s: no tick lost or made up");
	pit_program(0, 0, false, 11932);
	ticks = 0;
	advance(1000 * MS);
	is(ticks, 1, "PIT: mode 0 ticks once");
	serve();
	pit_program(0, 4, false, 11932);
	advance(9 * MS);
	is(ticks, 1, "PIT: mode 4: not yet");
	advance(1000 * MS);
	is(ticks, 2, "PIT: mode 4 ticks once");
	serve();
	out(0x43, 0x34);
	advance(100 * MS);
	is(ticks, 2, "PIT: a control word stops it");
	pit_program(0, 1, false, 100);
	advance(100 * MS);
	is(ticks, 2, "PIT: mode 1 never: the gate does not rise");

	/* A new count without a control word: from the next period on. */
	pit_program(0, 2, false, 11932);
	ticks = 0;
	advance(5 * MS);
	out(0x40, 23864 & 0xff);
	out(0x40, 23864 >> 8);
	advance(5 * MS + 1000);
	is(ticks, 1, "PIT: the old period ends");
	serve();
	advance(19 * MS);
	is(ticks, 1, "PIT: the next is longer");
	advance(2 * MS);
	is(ticks, 2, "PIT: by as much as was written");
	serve();

	kvm_pit_set_reinject(&vm, false);
	for (i = 1; i <= 4; i++) {
		pit_program(0, i & 1 ? 2 : 3, false, i);
		ticks = timer_runs = 0;
		for (served = 0; served < 1000; served++) {
			advance(1 * MS);
			serve();
		}
		ok(ticks > 4000 && ticks <= 5100 && timer_runs <= 5100,
		   "PIT: count %d: %u ticks and %u timers a second", i, ticks,
		   timer_runs);
	}
}

static void test_pit_reinject(void)
{
	int i, served;

	/* Without acknowledgement ticks pile up, and follow each other later. */
	pit_guest();
	pit_program(0, 2, false, 1193);
	advance(100 * MS + 1000);
	is(ticks, 100, "reinject: 100 ticks in 100 ms");
	out(0x43, 0x30);
	for (served = 0; serve(); served++)
		;
	is(served, 1, "reinject: a control word drops what is pending");

	pit_guest();
	pit_program(0, 2, false, 1193);
	advance(100 * MS + 1000);
	for (served = 0; serve(); served++)
		;
	is(served, 100, "reinject: the guest gets all of them");
	for (i = 0; i < 10; i++) {
		advance(1 * MS);
		while (serve())
			served++;
	}
	is(served, 110, "reinject: and goes on with one a period");

	advance(3600 * 1000 * MS);
	for (served = 0; serve(); served++)
		;
	ok(served >= 1000 && served <= 1002, "reinject: at most %d are kept", served);

	/* The host slept: one timer for many periods. */
	pit_guest();
	pit_program(0, 2, false, 1193);
	timer_runs = 0;
	advance_late(51 * MS, 50 * MS);
	is(ticks, 1, "late timer: one interrupt at once");
	for (served = 0; serve(); served++)
		;
	is(served, 51, "late timer: the others follow");

	pit_guest();
	kvm_pit_set_reinject(&vm, false);
	pit_program(0, 2, false, 1193);
	advance(100 * MS + 1000);
	for (served = 0; serve(); served++)
		;
	is(served, 1, "no reinjection: late ticks are lost");

	pit_guest();
	pit_program(0, 2, false, 1193);
	advance(3 * MS);
	while (serve())
		;
	ticks = 0;
	clock_now -= 2 * MS;
	pit_count(0);
	clock_now += 2 * MS;
	pit_count(0);
	is(ticks, 0, "a clock that goes back makes no ticks");

	/* Masked, or with nobody to hear: nothing is kept. */
	pit_guest();
	out(0x21, 1);
	pit_program(0, 2, false, 1193);
	advance(100 * MS + 1000);
	out(0x21, 0);
	for (served = 0; serve(); served++)
		;
	is(served, 1, "reinject: nothing piles up behind a mask");

	/* Through the I/O APIC */
	reset();
	out(0x21, 0xff);
	redirect(2, 0x50);
	pit_program(0, 2, false, 1193);
	advance(10 * MS + 1000);
	for (served = 0; apic_pending[0x50]; served++)
		eoi(0x50);
	is(served, 10, "reinject: through the I/O APIC as well");
	kvm_pit_set_reinject(&vm, false);
	for (served = i = 0; i < 10; i++) {
		advance(1 * MS);
		served += apic_pending[0x50];
		apic_pending[0x50] = false;
	}
	is(served, 10, "I/O APIC that tells no EOI: ticks come all the same");
}

static void test_pit_state(void)
{
	struct kvm_pit_config config = { .flags = 2 };
	struct kvm_pit_state2 state, bad;
	int i, good = 0;
	s64 began;

	is(kvm_pit_create(&vm, &config), -EINVAL, "PIT create: unknown flag");
	config.flags = 0;
	is(kvm_pit_create(&vm, &config), -EEXIST, "PIT create: there is one");

	pit_guest();
	gate2(true);
	out(0x61, 3);
	pit_program(0, 2, false, 11932);
	pit_program(2, 0, false, 1000);
	began = clock_now;
	clocks(400.5);
	gate2(false);
	out(0x61, 2);
	kvm_pit_get(&vm, &state);
	is(state.channels[0].count, 11932, "PIT state: count");
	is(state.channels[0].mode, 2, "PIT state: mode");
	is(state.channels[0].rw_mode, 3, "PIT state: access");
	is(state.channels[0].count_load_time, began, "PIT state: load time");
	is(state.channels[2].gate, 0, "PIT state: gate");
	is(state.flags, KVM_PIT_FLAGS_SPEAKER_DATA_ON, "PIT state: speaker");
	clocks(100);
	pit_guest();
	is(kvm_pit_set(&vm, &state), 0, "PIT state: set");
	is(ticks, 0, "PIT state: no tick by that");
	is(pit_count(2), 500, "PIT state: a held channel goes on where it was");
	is(in(0x61) & 3, 2, "PIT state: port 61");
	advance(10 * MS);
	is(ticks, 1, "PIT state: ticks go on");
	state.channels[0].count_load_time -= 1000000 * MS;
	ticks = 0;
	kvm_pit_set(&vm, &state);
	advance(10 * MS);
	ok(ticks <= 1, "PIT state: no ticks for the past");

	state.flags = KVM_PIT_FLAGS_HPET_LEGACY;
	kvm_pit_set(&vm, &state);
	ticks = timer_runs = 0;
	advance(100 * MS);
	ok(!ticks && !timer_runs, "PIT state: HPET legacy mode: channel 0 is off");
	pit_program(0, 2, false, 1193);
	advance(100 * MS);
	ok(!ticks, "PIT state: ... also when programmed");
	state.flags = 0;

	memset(&bad, 0, sizeof(bad));
	is(kvm_pit_set(&vm, &bad), 0, "PIT state: all zero is fine");
	is(pit_count(0) != 0, 1, "PIT state: count 0 means 65536");
	kvm_pit_get(&vm, &bad);
	is(bad.channels[1].count, 0x10000, "PIT state: reads so");
#define REFUSED(field, value) do {					\
		bad = state;						\
		bad.field = value;					\
		is(kvm_pit_set(&vm, &bad), -EINVAL, "PIT state: %s = %s", \
		   #field, #value);					\
	} while (0)
	REFUSED(flags, 4);
	REFUSED(channels[1].count, 65537);
	REFUSED(channels[1].mode, 6);
	REFUSED(channels[2].rw_mode, 4);
	REFUSED(channels[2].read_state, 5);
	REFUSED(channels[0].write_state, 5);
	REFUSED(channels[0].count_latched, 5);
	bad = state;
	bad.channels[0].bcd = 1;
	bad.channels[0].count = 10001;
	is(kvm_pit_set(&vm, &bad), -EINVAL, "PIT state: BCD count 10001");

	srand(3);
	for (i = 0; i < 100000; i++) {
		u8 *bytes = (u8 *)&state;
		unsigned int b, n;

		for (b = 0; b < sizeof(state); b++)
			bytes[b] = rand();
		if (i & 7) {
			state.flags &= 2 | !(i & 0x70);
			for (n = 0; n < 3; n++) {
				struct kvm_pit_channel_state *c = &state.channels[n];

				c->mode %= 6;
				c->rw_mode &= 3;
				c->read_state %= 5;
				c->write_state %= 5;
				c->count_latched %= 5;
				c->bcd = rand() % 2;
				c->count %= i & 8 ? 7 : 10001;
				if (rand() & 1)
					c->count_load_time = clock_now -
						rand() % (100 * MS);
				if (rand() % 10 == 0)
					c->count_load_time = rand() & 1 ?
						INT64_MIN : INT64_MAX;
			}
		}
		if (!kvm_pit_set(&vm, &state))
			good++;
		for (b = 0; b < 8; b++) {
			out((u16[]){ 0x40, 0x41, 0x42, 0x43, 0x61 }[rand() % 5],
			    rand());
			in((u16[]){ 0x40, 0x41, 0x42, 0x61 }[rand() % 4]);
			advance(rand() % 300000);
			serve();
		}
		kvm_pit_get(&vm, &state);
		if (kvm_pit_set(&vm, &state))
			bail_out("PIT: own state refused (%d)", i);
	}
	ok(good >= 80000, "PIT state: %d random states survived", good);
}

static void test_life(void)
{
	struct kvm_pit_state2 state = { 0 };

	kvm_pit_destroy(&vm);
	kvm_ioapic_destroy(&vm);
	kvm_pic_destroy(&vm);
	ok(!timers && !vm.pit && !vm.ioapic && !vm.pic, "everything is gone");
	ok(!kvm_pic_has_interrupt(&vm), "no PIC: no interrupt");
	is(kvm_pit_get(&vm, &state), -ENXIO, "no PIT: no state of it");
	is(kvm_pit_set(&vm, &state), -ENXIO, "... nor can it be set");
	kvm_pit_destroy(&vm);
	is(locks_held, 0, "no lock is held");
}

int main(void)
{
	test_pic_basics();
	test_pic_priority();
	test_pic_cascade();
	test_pic_spurious();
	test_pic_level();
	test_pic_modes();
	test_pic_state();
	test_ioapic_registers();
	test_ioapic_edge();
	test_ioapic_level();
	test_ioapic_storm();
	test_ioapic_state();
	test_pit_counting();
	test_pit_access();
	test_pit_interrupt();
	test_pit_reinject();
	test_pit_state();
	test_life();
	return done();
}
