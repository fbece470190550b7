/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What i8259.c, ioapic.c and i8254.c use of the kernel, for a user-space build:
 * included before each of them (cc -include), while the kernel's own headers are
 * empty files. Locks check that nobody takes one twice; time is the test's.
 */
#ifndef SHIM_H
#define SHIM_H

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s8 s8;
typedef __s16 s16;
typedef __s32 s32;
typedef __s64 s64;

#define U8_MAX		0xffu
#define U32_MAX		0xffffffffu
#define S64_MAX		0x7fffffffffffffffLL
#define NSEC_PER_SEC	1000000000L
#define NSEC_PER_MSEC	1000000L
#define BIT(n)		(1UL << (n))
#define BIT_ULL(n)	(1ULL << (n))
#define GENMASK_ULL(h, l) ((~0ULL << (l)) & (~0ULL >> (63 - (h))))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define min(a, b)	((a) < (b) ? (a) : (b))
#define min_t(t, a, b)	min((t)(a), (t)(b))
#define clamp(v, lo, hi) ((v) < (lo) ? (lo) : (v) > (hi) ? (hi) : (v))
#define container_of(p, t, m) ((t *)((char *)(p) - offsetof(t, m)))
#define likely(x)	(x)
#define unlikely(x)	(x)
#define fallthrough	__attribute__((__fallthrough__))
#define __user
#define __rcu
#define __releases(x)
#undef __counted_by
#define __counted_by(x)
#define array_index_nospec(i, n) (assert((unsigned long)(i) < (n)), (i))
#define READ_ONCE(x)	(x)
#define WRITE_ONCE(x, v) ((x) = (v))
#define smp_store_release(p, v) (*(p) = (v))
#define smp_wmb()	((void)0)
#define smp_mb__after_atomic() ((void)0)
#define set_bit(n, p)	(*(p) |= BIT(n))
#define clear_bit(n, p)	(*(p) &= ~BIT(n))
#define __assign_bit(n, p, v) ((v) ? set_bit(n, p) : clear_bit(n, p))
#define test_bit(n, p)	(*(p) & BIT(n))
#define __ffs(x)	((unsigned int)__builtin_ctzl(x))
#define for_each_set_bit(b, p, n) \
	for ((b) = 0; (b) < (n); (b)++) \
		if (*(p) & BIT(b))

static inline u8 ror8(u8 v, unsigned int n)
{
	return v >> (n & 7) | v << (-n & 7);
}

static inline u64 mul_u64_u32_div(u64 a, u32 mul, u32 div)
{
	return (unsigned __int128)a * mul / div;
}

#define div_u64(a, b)	((u64)(a) / (u32)(b))
#define bcd2bin(x)	(((x) & 0xfu) + ((x) >> 4) * 10u)
#define bin2bcd(x)	((u8)(((x) / 10) << 4 | ((x) % 10)))

#define GFP_KERNEL_ACCOUNT 0
#define kzalloc(size, flags) calloc(1, size)
#define kfree(p)	free(p)

/* ---- locks --------------------------------------------------------------- */

typedef struct { bool held; } raw_spinlock_t;
typedef struct { int unused; } spinlock_t;
extern int locks_held;
void lock_order(const raw_spinlock_t *lock);	/* the test's opinion */

#define raw_spin_lock_init(l) ((l)->held = false)
#define raw_spin_lock_irqsave(l, f) \
	((f) = 0, lock_order(l), assert(!(l)->held), (l)->held = true, (void)locks_held++)
#define raw_spin_unlock_irqrestore(l, f) \
	((void)(f), assert((l)->held), (l)->held = false, (void)locks_held--)

/* Of linux/cleanup.h: held to the end of the block. */
#define DEFINE_LOCK_GUARD_1(name, type, take, give_back, member)		\
	typedef struct { type *lock; member; } guard_##name;			\
	static inline guard_##name take_##name(type *lock)			\
	{									\
		guard_##name t = { .lock = lock }, *_T = &t;			\
		take;								\
		return t;							\
	}									\
	static inline void give_back_##name(guard_##name *_T) { give_back; }

DEFINE_LOCK_GUARD_1(raw_spinlock_irqsave, raw_spinlock_t,
		    raw_spin_lock_irqsave(_T->lock, _T->flags),
		    raw_spin_unlock_irqrestore(_T->lock, _T->flags),
		    unsigned long flags)

#define guard(name) \
	__attribute__((cleanup(give_back_##name), unused)) guard_##name guard_till_end = take_##name
#define scoped_guard(name, lock)						\
	for (guard_##name scope __attribute__((cleanup(give_back_##name))) = take_##name(lock), \
	     *once = &scope; once; once = NULL)

/* ---- time ---------------------------------------------------------------- */

typedef s64 ktime_t;
enum hrtimer_restart { HRTIMER_NORESTART, HRTIMER_RESTART };
enum hrtimer_mode { HRTIMER_MODE_ABS, HRTIMER_MODE_REL };
#define CLOCK_MONOTONIC	1

struct hrtimer {
	enum hrtimer_restart (*function)(struct hrtimer *timer);
	struct hrtimer *next;		/* of all that were initialised */
	s64 expires;
	bool armed;
};

extern s64 clock_now;
#define ktime_get_ns() ((u64)clock_now)
#define ns_to_ktime(ns)	(ns)
void hrtimer_init(struct hrtimer *timer, int clock, enum hrtimer_mode mode);
void hrtimer_start(struct hrtimer *timer, ktime_t time, enum hrtimer_mode mode);
int hrtimer_try_to_cancel(struct hrtimer *timer);
int hrtimer_cancel(struct hrtimer *timer);

/* ---- types that kvm.h only mentions --------------------------------------- */

struct list_head { struct list_head *next, *prev; };
struct hlist_head { struct hlist_node *first; };
#define DECLARE_HASHTABLE(name, bits) struct hlist_head name[1 << (bits)]
#define DECLARE_PER_CPU(type, name) extern type name
struct module;
struct mutex { int unused; };
struct preempt_notifier { int unused; };
struct rcuwait { int unused; };
struct fpu_guest { int unused; };
struct xarray { int unused; };
struct work_struct { int unused; };
struct srcu_struct { int unused; };
struct mmu_notifier { int unused; };
typedef struct { int unused; } refcount_t;

#endif
