/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tests' segment registers: attr holds bits 8..23 of the descriptor's second
 * word (limit bits 0), as the manuals print it, and bit 16 for "unusable".
 */
#ifndef SEGMENT_H
#define SEGMENT_H

#include "../../../kvm-module/emulate.h"

#define UNUSABLE	0x10000u

struct segment {
	u64 base;
	u32 limit;
	u32 attr;
	u16 selector;
};

static inline struct kvm_segment to_kvm(const struct segment *s)
{
	return (struct kvm_segment) {
		.base = s->base, .limit = s->limit, .selector = s->selector,
		.type = s->attr & 15, .s = s->attr >> 4 & 1, .dpl = s->attr >> 5 & 3,
		.present = s->attr >> 7 & 1, .avl = s->attr >> 12 & 1, .l = s->attr >> 13 & 1,
		.db = s->attr >> 14 & 1, .g = s->attr >> 15 & 1, .unusable = s->attr >> 16 & 1,
	};
}

static inline struct segment from_kvm(const struct kvm_segment *k)
{
	return (struct segment) {
		.base = k->base, .limit = k->limit, .selector = k->selector,
		.attr = k->type | k->s << 4 | k->dpl << 5 | k->present << 7 | k->avl << 12 |
			k->l << 13 | k->db << 14 | k->g << 15 | k->unusable << 16,
	};
}

#endif /* SEGMENT_H */
