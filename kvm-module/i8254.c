// SPDX-License-Identifier: GPL-2.0-only
/*
 * i8254.c: the 8254 timer of a PC and the speaker port. To be read with Intel's
 * data sheet 231164.
 *
 * Nothing counts. A channel remembers when its count was loaded (in ns, by
 * CLOCK_MONOTONIC, as user space knows); its counter and output are functions of
 * the clocks since then. While the gate is low the time that had been counted is
 * in "held". A count that is written while modes 2 and 3 count is loaded at the
 * end of the period, one written in modes 1 and 5 at the next trigger: until then
 * it is in "reload".
 *
 * Channel 0 raises GSI 0 whenever its output rises. pit_sync() reports the rises
 * up to now; an hrtimer calls it when the next one is due, and each access to a
 * register before it looks. At counts so small that the host would do nothing
 * else, only one rise in 200 us is reported.
 *
 * Reinjection: a tick that found the one before still pending is remembered and
 * follows when the guest has acknowledged that one. Without, it is lost.
 *
 * pit->lock guards everything; the line is pulsed with the lock held. The clock
 * is read under it: of two that race, the second must not have the earlier time.
 */
#include <linux/bcd.h>
#include <linux/hrtimer.h>
#include <linux/math64.h>
#include <linux/nospec.h>
#include <linux/slab.h>

#include "kvm.h"

#define PIT_HZ		1193182
#define PIT_CHANNELS	3
#define MIN_CLOCKS	(PIT_HZ / 5000)	/* 200 us */
#define MAX_PENDING	1000
#define REFRESH_NS	15085		/* half a period of port 61's bit 4 */

/* rw_mode of the control word, and the state of a read or write */
enum { RW_LATCH, RW_LOW, RW_HIGH, RW_WORD, RW_WORD_HIGH };

#define STATUS_OUT	BIT(7)
#define STATUS_NULL	BIT(6)		/* the count is not loaded yet */
#define PORT61_GATE	BIT(0)
#define PORT61_DATA	BIT(1)
#define PORT61_REFRESH	BIT(4)
#define PORT61_OUT	BIT(5)

struct pit_channel {
	struct kvm_pit_channel_state s;
	bool loaded;			/* s.count counts since s.count_load_time */
	u32 reload;			/* the next count, 0: none */
	s64 reload_time;		/* modes 2, 3: when it is loaded */
	s64 held;
};

struct kvm_pit {
	raw_spinlock_t lock;
	struct kvm *kvm;
	struct pit_channel channel[PIT_CHANNELS];
	u64 reported;			/* rises of channel 0 since its load */
	u32 pending;			/* ticks to be reinjected */
	u32 flags;			/* KVM_PIT_FLAGS_* */
	bool reinject;
	bool speaker;			/* port 61 is ours */
	struct hrtimer timer;
};

/* ---- time ---------------------------------------------------------------- */

/* Rounded up, so that at that time clocks_in() has reached this count. */
static s64 clocks_to_ns(u64 clocks)
{
	return mul_u64_u32_div(clocks, NSEC_PER_SEC, PIT_HZ) + 1;
}

static u64 clocks_in(s64 ns)
{
	return ns <= 0 ? 0 : mul_u64_u32_div(ns, PIT_HZ, NSEC_PER_SEC);
}

static bool is_periodic(const struct pit_channel *c)
{
	return c->s.mode == 2 || c->s.mode == 3;
}

static bool is_triggered(const struct pit_channel *c)
{
	return c->s.mode == 1 || c->s.mode == 5;
}

static bool is_stopped(const struct pit_channel *c)
{
	return !c->s.gate && !is_triggered(c);
}

/* Clocks since the count was loaded. */
static u64 elapsed(const struct pit_channel *c, s64 now)
{
	return clocks_in(is_stopped(c) ? c->held : now - c->s.count_load_time);
}

/* ---- counter and output as functions of time ----------------------------- */

static u32 modulus(const struct pit_channel *c)
{
	return c->s.bcd ? 10000 : 0x10000;
}

static u16 pit_counter(const struct pit_channel *c, s64 now)
{
	u32 count = c->s.count, value = count, phase;
	u64 clocks = elapsed(c, now);

	if (c->loaded && c->s.mode == 2) {
		value = count - clocks % count;
	} else if (c->loaded && c->s.mode == 3) {
		/* By two, once per half period; odd counts lose their bit. */
		phase = clocks % count;
		if (phase >= (count + 1) / 2)
			phase -= (count + 1) / 2;
		value = (count & ~1) - 2 * phase;
	} else if (c->loaded) {
		value = count + modulus(c) - clocks % modulus(c);
	}
	value %= modulus(c);
	if (!c->s.bcd)
		return value;
	return bin2bcd(value / 100) << 8 | bin2bcd(value % 100);
}

static bool pit_output(const struct pit_channel *c, s64 now)
{
	u64 clocks = elapsed(c, now);
	u32 count = c->s.count;

	if (!c->loaded)
		return c->s.mode != 0;
	switch (c->s.mode) {
	case 0:
	case 1:
		return clocks >= count;
	case 2:
		return !c->s.gate || clocks % count != count - 1;
	case 3:
		return !c->s.gate || clocks % count < (count + 1) / 2;
	default:
		return clocks != count;
	}
}

static u8 pit_status(const struct pit_channel *c, s64 now)
{
	return (pit_output(c, now) ? STATUS_OUT : 0) | (c->loaded && !c->reload ? 0 : STATUS_NULL) |
	       c->s.rw_mode << 4 | c->s.mode << 1 | c->s.bcd;
}

/* ---- channel 0's interrupt ----------------------------------------------- */

/* Rises of the output that make one tick. */
static u32 pit_stride(const struct pit_channel *c)
{
	return is_periodic(c) ? DIV_ROUND_UP(MIN_CLOCKS, c->s.count) : 1;
}

/* Clocks after the load at which the output rises for the n-th time. */
static u64 pit_rise(const struct pit_channel *c, u64 n)
{
	return n * c->s.count + (c->s.mode >= 4);
}

static int pit_pulse(struct kvm_pit *pit)
{
	int r = kvm_set_irq(pit->kvm, IRQ_SOURCE_PIT, 0, true);

	kvm_set_irq(pit->kvm, IRQ_SOURCE_PIT, 0, false);
	return r;
}

static void pit_tick(struct kvm_pit *pit, u64 ticks)
{
	int r;

	if (!ticks || pit->flags & KVM_PIT_FLAGS_HPET_LEGACY)
		return;
	r = pit_pulse(pit);
	if (r != IRQ_NOBODY && pit->reinject)
		pit->pending = min_t(u64, pit->pending + ticks - (r == IRQ_DELIVERED), MAX_PENDING);
}

/* Ticks since the last call. */
static u64 pit_ticks(struct kvm_pit *pit, s64 now)
{
	struct pit_channel *c = &pit->channel[0];
	u64 clocks = elapsed(c, now), rises, ticks;

	if (!c->loaded || is_stopped(c))
		return 0;
	rises = is_periodic(c) ? clocks / c->s.count : clocks >= pit_rise(c, 1);
	ticks = rises > pit->reported ? (rises - pit->reported) / pit_stride(c) : 0;
	pit->reported += ticks * pit_stride(c);
	return ticks;
}

static void pit_arm(struct kvm_pit *pit)
{
	struct pit_channel *c = &pit->channel[0];
	s64 due = c->s.count_load_time;

	if (!c->loaded || is_stopped(c) || pit->flags & KVM_PIT_FLAGS_HPET_LEGACY ||
	    (!is_periodic(c) && pit->reported)) {
		/* If it is just running it will find nothing to do. */
		hrtimer_try_to_cancel(&pit->timer);
		return;
	}
	due += clocks_to_ns(pit_rise(c, pit->reported + pit_stride(c)));
	if (is_periodic(c) && c->reload)
		due = min(due, c->reload_time);
	hrtimer_start(&pit->timer, ns_to_ktime(due), HRTIMER_MODE_ABS);
}

/* Bring a channel up to now: its ticks, and a count that was to be loaded. */
static void pit_sync(struct kvm_pit *pit, struct pit_channel *c, s64 now)
{
	bool timer = c == &pit->channel[0];
	u64 ticks = 0;

	if (is_periodic(c) && c->reload && now >= c->reload_time) {
		if (timer)
			ticks = pit_ticks(pit, c->reload_time);
		c->s.count = c->reload;
		c->s.count_load_time = c->reload_time;
		c->reload = 0;
		if (timer)
			pit->reported = 0;
	}
	if (timer)
		pit_tick(pit, ticks + pit_ticks(pit, now));
}

static enum hrtimer_restart pit_timer(struct hrtimer *timer)
{
	struct kvm_pit *pit = container_of(timer, struct kvm_pit, timer);

	guard(raw_spinlock_irqsave)(&pit->lock);
	pit_sync(pit, &pit->channel[0], ktime_get_ns());
	/* Started here, not by RESTART: others start it, too. */
	pit_arm(pit);
	return HRTIMER_NORESTART;
}

bool kvm_pit_wants_ack(struct kvm *kvm)
{
	return kvm->pit && READ_ONCE(kvm->pit->pending);
}

void kvm_pit_acked(struct kvm *kvm)
{
	struct kvm_pit *pit = kvm->pit;

	guard(raw_spinlock_irqsave)(&pit->lock);
	if (pit->pending && pit_pulse(pit) != IRQ_COALESCED)
		pit->pending--;
}

void kvm_pit_set_reinject(struct kvm *kvm, bool reinject)
{
	struct kvm_pit *pit = kvm->pit;

	guard(raw_spinlock_irqsave)(&pit->lock);
	pit->reinject = reinject;
	pit->pending = 0;
}

/* ---- registers ----------------------------------------------------------- */

static void pit_start(struct kvm_pit *pit, struct pit_channel *c, s64 now)
{
	if (c->reload)
		c->s.count = c->reload;
	c->reload = 0;
	c->loaded = true;
	c->s.count_load_time = now;
	c->held = 0;
	if (c == &pit->channel[0]) {
		pit->reported = 0;
		pit->pending = 0;
	}
}

static void pit_load(struct kvm_pit *pit, struct pit_channel *c, u16 value, s64 now)
{
	u32 count = value;

	if (c->s.bcd)
		count = min(bcd2bin(value >> 8) * 100 + bcd2bin(value & 0xff), 9999);
	c->reload = count ?: modulus(c);
	if (is_triggered(c))
		return;
	if (is_periodic(c) && c->loaded && c->s.gate)
		c->reload_time = c->s.count_load_time +
			clocks_to_ns((elapsed(c, now) / c->s.count + 1) * c->s.count);
	else
		pit_start(pit, c, now);
}

static void pit_write_count(struct kvm_pit *pit, struct pit_channel *c, u8 value, s64 now)
{
	switch (c->s.write_state) {
	case RW_LOW:
		pit_load(pit, c, value, now);
		break;
	case RW_HIGH:
		pit_load(pit, c, value << 8, now);
		break;
	case RW_WORD:
		c->s.write_latch = value;
		c->s.write_state = RW_WORD_HIGH;
		if (c->s.mode == 0)	/* stops, and the output falls */
			c->loaded = false;
		break;
	case RW_WORD_HIGH:
		c->s.write_state = RW_WORD;
		pit_load(pit, c, value << 8 | c->s.write_latch, now);
		break;
	}
}

static void pit_latch(struct pit_channel *c, s64 now)
{
	if (c->s.count_latched)
		return;
	c->s.latched_count = pit_counter(c, now);
	c->s.count_latched = c->s.rw_mode;
}

/* Bits 1 to 3 select channels; bits 4 and 5, when clear, status and count. */
static void pit_read_back(struct kvm_pit *pit, u8 value, s64 now)
{
	struct pit_channel *c = pit->channel;

	for (; c < pit->channel + PIT_CHANNELS; c++) {
		if (!(value & BIT(1 + (c - pit->channel))))
			continue;
		pit_sync(pit, c, now);
		if (!(value & BIT(5)))
			pit_latch(c, now);
		if (!(value & BIT(4)) && !c->s.status_latched) {
			c->s.status = pit_status(c, now);
			c->s.status_latched = 1;
		}
	}
}

static void pit_control(struct kvm_pit *pit, u8 value, s64 now)
{
	unsigned int n = value >> 6, rw_mode = value >> 4 & 3;
	struct pit_channel *c;

	if (n == PIT_CHANNELS) {
		pit_read_back(pit, value, now);
		return;
	}
	c = &pit->channel[array_index_nospec(n, PIT_CHANNELS)];
	pit_sync(pit, c, now);
	if (rw_mode == RW_LATCH) {
		pit_latch(c, now);
		return;
	}
	*c = (struct pit_channel){ .s = {
		.count = c->s.count,
		.rw_mode = rw_mode, .read_state = rw_mode, .write_state = rw_mode,
		.mode = value >> 1 & (value & BIT(2) ? 3 : 7),
		.bcd = value & 1,
		.gate = c->s.gate,
	} };
	if (n == 0)
		pit->pending = 0;
	c->s.count = min(c->s.count, modulus(c));
}

static u8 pit_read_count(struct pit_channel *c, s64 now)
{
	u8 *state = c->s.count_latched ? &c->s.count_latched : &c->s.read_state;
	u16 value = c->s.count_latched ? c->s.latched_count : pit_counter(c, now);
	bool high = *state == RW_HIGH || *state == RW_WORD_HIGH;

	if (c->s.status_latched) {
		c->s.status_latched = 0;
		return c->s.status;
	}
	if (*state == RW_WORD)
		*state = RW_WORD_HIGH;
	else if (c->s.count_latched)
		*state = 0;
	else if (*state == RW_WORD_HIGH)
		*state = RW_WORD;
	return high ? value >> 8 : value;
}

static void pit_set_gate(struct kvm_pit *pit, struct pit_channel *c, bool gate, s64 now)
{
	if (gate == c->s.gate)
		return;
	if (!gate) {
		/* Modes 2 and 3 start again when it rises. */
		c->held = is_periodic(c) ? 0 : now - c->s.count_load_time;
	} else if (is_periodic(c) ? c->loaded : is_triggered(c)) {
		pit_start(pit, c, now);
	} else {
		c->s.count_load_time = now - c->held;
	}
	c->s.gate = gate;
}

static u8 pit_read(struct kvm_pit *pit, struct pit_channel *c, u16 port, s64 now)
{
	if (port < 0x43)
		return pit_read_count(c, now);
	if (port == 0x43)
		return 0xff;		/* nobody drives the bus */
	return (c->s.gate ? PORT61_GATE : 0) |
	       (pit->flags & KVM_PIT_FLAGS_SPEAKER_DATA_ON ? PORT61_DATA : 0) |
	       (div_u64(now, REFRESH_NS) & 1 ? PORT61_REFRESH : 0) |
	       (pit_output(c, now) ? PORT61_OUT : 0);
}

static void pit_write(struct kvm_pit *pit, struct pit_channel *c, u16 port, u8 value, s64 now)
{
	if (port < 0x43) {
		pit_write_count(pit, c, value, now);
	} else if (port == 0x43) {
		pit_control(pit, value, now);
	} else {
		pit_set_gate(pit, c, value & PORT61_GATE, now);
		pit->flags = (pit->flags & ~KVM_PIT_FLAGS_SPEAKER_DATA_ON) |
			     (value & PORT61_DATA ? KVM_PIT_FLAGS_SPEAKER_DATA_ON : 0);
	}
	pit_arm(pit);
}

bool kvm_pit_port(struct kvm *kvm, u16 port, u8 *value, bool write)
{
	struct kvm_pit *pit = kvm->pit;
	struct pit_channel *c;
	s64 now;

	if (!pit || !((port >= 0x40 && port <= 0x43) || (port == 0x61 && pit->speaker)))
		return false;
	guard(raw_spinlock_irqsave)(&pit->lock);
	now = ktime_get_ns();
	/* Ports from 0x43 on are about channel 2. */
	c = &pit->channel[port < 0x43 ? array_index_nospec(port - 0x40, PIT_CHANNELS) : 2];
	if (port != 0x43)
		pit_sync(pit, c, now);
	if (write)
		pit_write(pit, c, port, *value, now);
	else
		*value = pit_read(pit, c, port, now);
	return true;
}

/* ---- state --------------------------------------------------------------- */

/*
 * What struct kvm_pit_channel_state has no field for: while no status is
 * latched, STATUS_NULL in it says that nothing counts; while the gate holds the
 * channel, the load time is as if it had been loaded "held" ago.
 */
int kvm_pit_get(struct kvm *kvm, void *arg)
{
	struct kvm_pit_state2 *state = arg;
	struct kvm_pit *pit = kvm->pit;
	s64 now;

	if (!pit)
		return -ENXIO;
	memset(state, 0, sizeof(*state));
	guard(raw_spinlock_irqsave)(&pit->lock);
	now = ktime_get_ns();
	for (int n = 0; n < PIT_CHANNELS; n++) {
		struct kvm_pit_channel_state *s = &state->channels[n];
		struct pit_channel *c = &pit->channel[n];

		pit_sync(pit, c, now);
		*s = c->s;
		if (c->reload && (is_periodic(c) || !c->loaded)) {
			s->count = c->reload;
			s->count_load_time = c->reload_time;
		}
		if (!s->status_latched)
			s->status = c->loaded ? 0 : STATUS_NULL;
		if (is_stopped(c))
			s->count_load_time = now - c->held;
	}
	state->flags = pit->flags;
	pit_arm(pit);
	return 0;
}

static bool channel_valid(const struct kvm_pit_channel_state *s)
{
	return s->count <= (s->bcd ? 10000 : 0x10000) && s->mode <= 5 &&
	       s->rw_mode <= RW_WORD && s->read_state <= RW_WORD_HIGH &&
	       s->write_state <= RW_WORD_HIGH && s->count_latched <= RW_WORD_HIGH;
}

static void channel_set(struct pit_channel *c, const struct kvm_pit_channel_state *s,
			bool gated, s64 now)
{
	*c = (struct pit_channel){ .s = *s };
	c->s.bcd = !!s->bcd;
	c->s.gate = !gated || s->gate;
	c->s.status_latched = !!s->status_latched;
	if (!c->s.count)
		c->s.count = modulus(c);
	c->loaded = s->status_latched || !(s->status & STATUS_NULL);
	/* Not in the future; and a difference of two times fits its type. */
	c->s.count_load_time = clamp(s->count_load_time, now - S64_MAX / 4, now);
	if (is_stopped(c))
		c->held = now - c->s.count_load_time;
}

int kvm_pit_set(struct kvm *kvm, void *arg)
{
	const struct kvm_pit_state2 *state = arg;
	struct kvm_pit *pit = kvm->pit;
	s64 now;

	if (!pit)
		return -ENXIO;
	if (state->flags & ~(KVM_PIT_FLAGS_HPET_LEGACY | KVM_PIT_FLAGS_SPEAKER_DATA_ON))
		return -EINVAL;
	for (int n = 0; n < PIT_CHANNELS; n++)
		if (!channel_valid(&state->channels[n]))
			return -EINVAL;

	guard(raw_spinlock_irqsave)(&pit->lock);
	now = ktime_get_ns();
	/* Only channel 2 has its gate wired to something. */
	for (int n = 0; n < PIT_CHANNELS; n++)
		channel_set(&pit->channel[n], &state->channels[n], n == 2, now);
	pit->flags = state->flags;
	pit->pending = 0;
	pit->reported = 0;
	pit_ticks(pit, now);		/* what is past was reported */
	pit_arm(pit);
	return 0;
}

int kvm_pit_create(struct kvm *kvm, const struct kvm_pit_config *config)
{
	struct kvm_pit *pit;

	if (config->flags & ~KVM_PIT_SPEAKER_DUMMY)
		return -EINVAL;
	if (kvm->pit)
		return -EEXIST;
	pit = kzalloc(sizeof(*pit), GFP_KERNEL_ACCOUNT);
	if (!pit)
		return -ENOMEM;
	raw_spin_lock_init(&pit->lock);
	hrtimer_init(&pit->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	pit->timer.function = pit_timer;
	pit->kvm = kvm;
	pit->reinject = true;
	pit->speaker = config->flags & KVM_PIT_SPEAKER_DUMMY;
	for (int n = 0; n < PIT_CHANNELS; n++)
		pit->channel[n].s = (struct kvm_pit_channel_state){
			.count = 0x10000, .mode = 3, .gate = n != 2 };
	/* Whoever sees it sees it initialised. */
	smp_store_release(&kvm->pit, pit);
	return 0;
}

void kvm_pit_destroy(struct kvm *kvm)
{
	struct kvm_pit *pit = kvm->pit;

	if (!pit)
		return;
	hrtimer_cancel(&pit->timer);
	kvm->pit = NULL;
	kfree(pit);
}
