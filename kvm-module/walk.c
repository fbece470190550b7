// SPDX-License-Identifier: GPL-2.0-only
/*
 * walk.c: the guest's own page tables, read the way its processor reads them.
 *
 * The emulator and a few ioctls have linear addresses and need guest-physical
 * ones; shadow paging asks for every fault. One loop serves all paging modes:
 * they differ in the number of levels, the size of an entry and the index bits
 * per level. What is accumulated on the way down is the set of permissions that
 * every level grants; what is checked at the end is SDM vol. 3, 4.6 (access rights)
 * and 4.7 (error codes).
 * Accessed and dirty bits are set as soon as, and only when, the access is
 * allowed; when an entry changed meanwhile, the walk starts again.
 */
#include <asm/trap_pf.h>

#include "kvm.h"

struct format {
	int levels;
	int top;		/* the level from which permissions and accessed bits count */
	int entry_size;		/* bytes */
	int index_bits;
	int large_levels;	/* bit n: an entry of level n may be a large page */
	u64 reserved;		/* bits that must be zero in every entry */
	bool keys;		/* user pages have protection keys */
};

#define PT_P	BIT_ULL(0)
#define PT_W	BIT_ULL(1)
#define PT_U	BIT_ULL(2)
#define PT_A	BIT_ULL(5)
#define PT_D	BIT_ULL(6)
#define PT_PS	BIT_ULL(7)
#define PT_NX	BIT_ULL(63)

/* The four PDPTEs of PAE paging have neither permissions nor an accessed bit. */
static struct format walk_format(struct kvm_vcpu *vcpu)
{
	u64 beyond = vcpu->maxphyaddr < 52 ? GENMASK_ULL(51, vcpu->maxphyaddr) : 0;
	int levels = vcpu->cr4 & X86_CR4_LA57 ? 5 : 4;

	if (!(vcpu->efer & EFER_NX))
		beyond |= PT_NX;
	if (kvm_is_long_mode(vcpu))
		return (struct format){ levels, levels, 8, 9, BIT(2) | BIT(3), beyond,
					vcpu->cr4 & X86_CR4_PKE };
	if (vcpu->cr4 & X86_CR4_PAE)
		return (struct format){ 3, 2, 8, 9, BIT(2), beyond | GENMASK_ULL(62, 52), false };
	return (struct format){ 2, 2, 4, 10, vcpu->cr4 & X86_CR4_PSE ? BIT(2) : 0, 0, false };
}

/* Bits that must be zero in this entry: a large page's address is aligned. */
static u64 reserved_bits(struct kvm_vcpu *vcpu, const struct format *f, int level, u64 e)
{
	if (level == 1 || !(e & PT_PS) || level > f->top)
		return f->reserved;
	if (level > 3 || (level == 3 && !kvm_guest_has(vcpu, X86_FEATURE_GBPAGES)))
		return f->reserved | PT_PS;
	if (f->entry_size == 4)		/* table 4-4 */
		return f->large_levels ? GENMASK_ULL(21, min(vcpu->maxphyaddr, 40) - 19) : 0;
	return f->reserved | GENMASK_ULL(PAGE_SHIFT + 9 * (level - 1) - 1, 13);
}

/* Ends a walk, whose page fault has these bits in its error code and others. */
static int fault(struct kvm_vcpu *vcpu, struct kvm_walk *w, u32 access, u32 code)
{
	bool fetches_differ = vcpu->cr4 & X86_CR4_SMEP ||
			      (vcpu->efer & EFER_NX && vcpu->cr4 & X86_CR4_PAE);

	w->error_code = code | (access & ACCESS_WRITE ? X86_PF_WRITE : 0) |
			(access & ACCESS_USER ? X86_PF_USER : 0) |
			(access & ACCESS_EXEC && fetches_differ ? X86_PF_INSTR : 0);
	return 1;
}

/* Two bits a key in PKRU: "no access" and "no writes" (SDM vol. 3, 4.6.2). */
static bool key_allows(struct kvm_vcpu *vcpu, u8 key, u32 access)
{
	u32 denied = vcpu->guest_pkru >> (2 * key);

	if (access & ACCESS_EXEC)
		return true;
	return !(denied & 1) && !(denied & 2 && access & ACCESS_WRITE &&
		 (access & ACCESS_USER || vcpu->cr0 & X86_CR0_WP));
}

/*
 * May this access be made, given what all levels grant? One that the processor makes
 * by itself (to a descriptor, say), as any supervisor access at CPL 3 is, EFLAGS.AC
 * does not save from SMAP.
 */
static bool allowed(struct kvm_vcpu *vcpu, u32 access, u32 granted)
{
	bool user = granted & ACCESS_USER, write = granted & ACCESS_WRITE;

	if (access & ACCESS_EXEC && !(granted & ACCESS_EXEC))
		return false;
	if (access & ACCESS_USER)
		return user && (write || !(access & ACCESS_WRITE));
	if (user && access & ACCESS_EXEC)
		return !(vcpu->cr4 & X86_CR4_SMEP);
	if (user && vcpu->cr4 & X86_CR4_SMAP &&
	    (access & ACCESS_SYSTEM || kvm_ops->get_cpl(vcpu) == 3 ||
	     !(kvm_ops->get_rflags(vcpu) & X86_EFLAGS_AC)))
		return false;
	return !(access & ACCESS_WRITE) || write || !(vcpu->cr0 & X86_CR0_WP);
}

static u8 key_of(u32 granted, u64 e)
{
	return granted & ACCESS_USER ? e >> 59 & 15 : 0;
}

/* By entries and'ed together, with NX the other way round. */
static u32 granted_by(u64 all)
{
	return (all & PT_U ? ACCESS_USER : 0) | (all & PT_W ? ACCESS_WRITE : 0) |
	       (all & PT_NX ? ACCESS_EXEC : 0);
}

int kvm_walk(struct kvm_vcpu *vcpu, u64 gva, u32 access, struct kvm_walk *w)
{
	struct format f = walk_format(vcpu);
	u64 table, offset_mask, e, all;
	gpa_t where[6];
	bool key_denies;
	int level, r;

	w->levels = w->leaf = w->pkey = 0;
	if (!(vcpu->cr0 & X86_CR0_PG)) {
		w->gpa = gva & 0xffffffff;
		w->granted = ACCESS_WRITE | ACCESS_USER | ACCESS_EXEC;
		return 0;
	}
	w->levels = f.levels;
	if (f.levels < 4)
		gva &= 0xffffffff;
again:
	table = kvm_ops->get_cr3(vcpu) & (f.levels == 3 ? GENMASK_ULL(31, 5) : GENMASK_ULL(51, 12));
	all = ~0ULL;
	for (level = f.levels; ; level--) {
		int shift = PAGE_SHIFT + (level - 1) * f.index_bits;

		where[level] = table + ((gva >> shift) & (BIT_ULL(f.index_bits) - 1)) *
				       f.entry_size;
		r = kvm_read_guest_entry(vcpu->space, where[level], &e, f.entry_size);
		if (r == -ENXIO)	/* nobody drives the bus */
			e = f.entry_size == 8 ? ~0ULL : U32_MAX;
		else if (r)
			return r;
		w->entry[level] = e;
		if (!(e & PT_P))
			return fault(vcpu, w, access, 0);
		if (e & reserved_bits(vcpu, &f, level, e))
			return fault(vcpu, w, access, X86_PF_PROT | X86_PF_RSVD);
		if (level <= f.top)
			all &= e ^ PT_NX;
		w->granted = w->granted_at[level] = granted_by(all);
		offset_mask = BIT_ULL(shift) - 1;
		if (level == 1 || (f.large_levels & BIT(level) && e & PT_PS))
			break;
		table = e & (f.entry_size == 8 ? GENMASK_ULL(51, 12) : GENMASK_ULL(31, 12));
	}

	w->pkey = key_of(w->granted, e);
	key_denies = f.keys && w->granted & ACCESS_USER && !key_allows(vcpu, w->pkey, access);
	if (key_denies || !allowed(vcpu, access, w->granted))
		return fault(vcpu, w, access, X86_PF_PROT | (key_denies ? X86_PF_PK : 0));

	w->gpa = e & GENMASK_ULL(51, 12) & ~offset_mask;
	if (f.entry_size == 4 && level == 2)	/* PSE-36: bits 39:32 in 20:13 */
		w->gpa = (e & 0xffc00000) | (e & GENMASK_ULL(20, 13)) << 19;
	w->gpa |= gva & offset_mask;

	w->leaf = level;
	w->dirty = e & PT_D;
	if (likely(all & PT_A && (w->dirty || !(access & ACCESS_WRITE))))
		return 0;
	for (; level <= f.top; level++) {
		u64 old = w->entry[level], new = old | PT_A;

		if (level == w->leaf && access & ACCESS_WRITE)
			new |= PT_D;
		if (new == old)
			continue;
		r = kvm_cmpxchg_guest(vcpu->space, where[level], &old, &new, f.entry_size);
		if (r == 1)	/* it changed meanwhile */
			goto again;
		if (r && r != -ENXIO)	/* a table in ROM just does not change */
			return r;
		w->entry[level] = new;
	}
	w->dirty = w->entry[w->leaf] & PT_D;
	return 0;
}

bool kvm_walk_neighbour(struct kvm_vcpu *vcpu, struct kvm_walk *w, u64 entry, u32 granted)
{
	struct format f = walk_format(vcpu);

	if (~entry & (PT_P | PT_A) || entry & reserved_bits(vcpu, &f, 1, entry))
		return false;
	w->entry[1] = entry;
	w->granted = granted & granted_by(entry ^ PT_NX);
	w->dirty = entry & PT_D;
	w->pkey = key_of(w->granted, entry);
	w->gpa = entry & GENMASK_ULL(51, 12);
	return true;
}

/*
 * The walk of most: long mode, all levels present and accessed, a page of 4 KiB or
 * 2 MiB, nothing to set and nothing wrong. False: kvm_walk() has to look.
 */
static bool quick_walk(struct kvm_vcpu *vcpu, u64 gva, u32 access, gpa_t *gpa)
{
	u64 e = kvm_ops->get_cr3(vcpu), all = ~0ULL, offset_mask;
	u64 reserved = GENMASK_ULL(51, 0) & ~(BIT_ULL(vcpu->maxphyaddr) - 1);
	int shift = PAGE_SHIFT + 27;

	if (!kvm_is_long_mode(vcpu) || vcpu->cr4 & (X86_CR4_LA57 | X86_CR4_PKE))
		return false;
	if (!(vcpu->efer & EFER_NX))
		reserved |= PT_NX;
	for (;; shift -= 9) {
		gpa_t at = (e & GENMASK_ULL(51, 12)) + ((gva >> shift & 511) << 3);

		if (kvm_read_guest_entry(vcpu->space, at, &e, 8) || e & reserved ||
		    ~e & (PT_P | PT_A))
			return false;
		all &= e ^ PT_NX;
		if (shift == PAGE_SHIFT || e & PT_PS)
			break;
	}
	if (shift > PAGE_SHIFT + 9 || (shift > PAGE_SHIFT && e & GENMASK_ULL(20, 13)) ||
	    !allowed(vcpu, access, granted_by(all)) || (access & ACCESS_WRITE && !(e & PT_D)))
		return false;
	offset_mask = BIT_ULL(shift) - 1;
	*gpa = (e & GENMASK_ULL(51, 12) & ~offset_mask) | (gva & offset_mask);
	return true;
}

int kvm_translate(struct kvm_vcpu *vcpu, u64 gva, u32 access, gpa_t *gpa, u32 *error_code)
{
	struct kvm_walk w;
	int r;

	if (quick_walk(vcpu, gva, access, gpa))
		return 0;
	r = kvm_walk(vcpu, gva, access, &w);
	*gpa = w.gpa;
	*error_code = w.error_code;
	return r;
}
