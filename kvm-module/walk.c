// SPDX-License-Identifier: GPL-2.0-only
/*
 * walk.c: the guest's own page tables, read the way its processor reads them.
 *
 * The emulator and a few ioctls have linear addresses and need guest-physical
 * ones. One loop serves all paging modes: they differ in the number of levels,
 * the size of an entry and the index bits per level. What is accumulated on the
 * way down is the set of permissions that every level grants; what is checked
 * at the end is SDM vol. 3, 4.6 (access rights) and 4.7 (error codes).
 * Accessed and dirty bits are set as soon as, and only when, the access is
 * allowed; when an entry changed meanwhile, the walk starts again.
 */
#include <linux/pgtable.h>
#include <asm/trap_pf.h>

#include "kvm.h"

struct walk {
	int levels;
	int entry_size;		/* bytes */
	int index_bits;
	int large_levels;	/* bit n: an entry of level n may be a large page */
	u64 reserved;		/* bits that must be zero in every entry */
};

#define PT_P	BIT_ULL(0)
#define PT_W	BIT_ULL(1)
#define PT_U	BIT_ULL(2)
#define PT_A	BIT_ULL(5)
#define PT_D	BIT_ULL(6)
#define PT_PS	BIT_ULL(7)
#define PT_NX	BIT_ULL(63)

static void walk_format(struct kvm_vcpu *vcpu, struct walk *w)
{
	u64 beyond = GENMASK_ULL(51, vcpu->maxphyaddr);

	if (vcpu->maxphyaddr >= 52)
		beyond = 0;
	if (!(vcpu->efer & EFER_NX))
		beyond |= PT_NX;
	if (kvm_is_long_mode(vcpu))
		*w = (struct walk){ vcpu->cr4 & X86_CR4_LA57 ? 5 : 4, 8, 9,
				    BIT(2) | BIT(3), beyond };
	else if (vcpu->cr4 & X86_CR4_PAE)
		*w = (struct walk){ 3, 8, 9, BIT(2), beyond };
	else
		*w = (struct walk){ 2, 4, 10,
				    vcpu->cr4 & X86_CR4_PSE ? BIT(2) : 0, 0 };
}

static u32 fault_code(struct kvm_vcpu *vcpu, u32 access, bool present, bool rsvd)
{
	u32 code = 0;

	if (present)
		code |= X86_PF_PROT;
	if (access & ACCESS_WRITE)
		code |= X86_PF_WRITE;
	if (access & ACCESS_USER)
		code |= X86_PF_USER;
	if (rsvd)
		code |= X86_PF_RSVD;
	if ((access & ACCESS_EXEC) &&
	    (vcpu->efer & EFER_NX || vcpu->cr4 & X86_CR4_SMEP))
		code |= X86_PF_INSTR;
	return code;
}

/* May this access be made, given what all levels grant? */
static bool allowed(struct kvm_vcpu *vcpu, u32 access, bool user, bool write,
		    bool nx)
{
	if ((access & ACCESS_EXEC) && nx)
		return false;
	if (access & ACCESS_USER)
		return user && (write || !(access & ACCESS_WRITE));
	if (user && access & ACCESS_EXEC)
		return !(vcpu->cr4 & X86_CR4_SMEP);
	if (user && vcpu->cr4 & X86_CR4_SMAP &&
	    !(kvm_ops->get_rflags(vcpu) & X86_EFLAGS_AC))
		return false;
	return !(access & ACCESS_WRITE) || write || !(vcpu->cr0 & X86_CR0_WP);
}

/* Set bits in an entry; 1: it changed meanwhile. */
static int set_bits(struct kvm_vcpu *vcpu, gpa_t gpa, u64 entry, u64 bits, int size)
{
	u64 new = entry | bits;

	if (new == entry)
		return 0;
	return kvm_cmpxchg_guest(vcpu->kvm, gpa, &entry, &new, size);
}

int kvm_translate(struct kvm_vcpu *vcpu, u64 gva, u32 access, gpa_t *gpa,
		  u32 *error_code)
{
	u64 entry[6], table, index, offset_mask;
	bool user, write, nx;
	gpa_t where[6];
	struct walk w;
	int level, leaf, r;

	if (!(vcpu->cr0 & X86_CR0_PG)) {
		*gpa = gva & 0xffffffff;
		return 0;
	}
	walk_format(vcpu, &w);
	if (w.levels < 4)
		gva &= 0xffffffff;
again:
	table = kvm_ops->get_cr3(vcpu);
	table &= w.levels == 3 ? GENMASK_ULL(31, 5) : GENMASK_ULL(51, 12);
	user = write = true;
	nx = false;
	for (level = w.levels; ; level--) {
		int shift = PAGE_SHIFT + (level - 1) * w.index_bits;
		/* The four PDPTEs have neither permissions nor an accessed bit. */
		bool pdpte = w.levels == 3 && level == 3;

		index = (gva >> shift) & (BIT_ULL(w.index_bits) - 1);
		where[level] = table + index * w.entry_size;
		entry[level] = 0;
		r = kvm_read_guest(vcpu->kvm, where[level], &entry[level],
				   w.entry_size);
		if (r)
			return r;
		if (!(entry[level] & PT_P)) {
			*error_code = fault_code(vcpu, access, false, false);
			return 1;
		}
		if (entry[level] & w.reserved ||
		    (level > 3 && entry[level] & PT_PS)) {
			*error_code = fault_code(vcpu, access, true, true);
			return 1;
		}
		if (!pdpte) {
			user &= !!(entry[level] & PT_U);
			write &= !!(entry[level] & PT_W);
			nx |= w.entry_size == 8 && entry[level] & PT_NX;
		}
		offset_mask = BIT_ULL(shift) - 1;
		if (level == 1 || (w.large_levels & BIT(level) &&
				   entry[level] & PT_PS))
			break;
		table = entry[level] & (w.entry_size == 8 ?
			GENMASK_ULL(51, 12) : GENMASK_ULL(31, 12));
	}

	if (!allowed(vcpu, access, user, write, nx)) {
		*error_code = fault_code(vcpu, access, true, false);
		return 1;
	}

	*gpa = entry[level] & GENMASK_ULL(51, 12) & ~offset_mask;
	if (w.entry_size == 4 && level == 2)	/* PSE-36: bits 39:32 in 20:13 */
		*gpa = (entry[level] & 0xffc00000) |
		       (entry[level] & GENMASK_ULL(20, 13)) << 19;
	*gpa |= gva & offset_mask;

	leaf = level;
	for (; level <= w.levels; level++) {
		u64 bits = PT_A;

		if (w.levels == 3 && level == 3)
			break;
		if (level == leaf && access & ACCESS_WRITE)
			bits |= PT_D;
		r = set_bits(vcpu, where[level], entry[level], bits, w.entry_size);
		if (r == 1)
			goto again;
		if (r)
			return r;
	}
	return 0;
}
