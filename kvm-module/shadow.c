// SPDX-License-Identifier: GPL-2.0-only
/*
 * shadow.c: paging for guests on processors without EPT or nested paging.
 *
 * The processor walks our tables, not the guest's: they map the guest's linear
 * addresses straight to host memory. A shadow table is treated as what it
 * stands in for, a big TLB. Each entry remembers the guest's entry that it was
 * made from. A fault walks the guest's tables (walk.c) and fills in the entries
 * on the way. The guest may change its tables at any time, as it may on a real
 * processor; and as there, the change need not be seen until the guest flushes
 * its TLB (MOV to CR3, INVLPG, changes of CR0 and CR4). At that moment we
 * compare: an entry whose guest's entry is not what it was is taken out. No
 * instruction that writes to a page table is ever emulated.
 *
 * Comparing all tables at each flush would be slow, so a table that has not
 * changed for a few flushes becomes "tracked": its guest page is mapped without
 * write permission, it cannot differ and is not compared. The first write to it
 * faults and puts it back among those that are. User space writes past that; when
 * it sets a vCPU's registers, all tables are compared (it may have loaded a
 * snapshot), and so is any table when an upper one begins to point to it.
 *
 * Permissions. Entries above the leaves allow everything; a leaf has the
 * permissions that all levels of the guest's walk grant together. Those above a
 * table are therefore part of its key: a guest's table reached by two ways with
 * different permissions has two shadows. A leaf is writable only when the
 * guest's dirty bit is set, so that the write that sets it is seen; that of a large
 * page is part of the key, too. Without
 * CR0.WP a supervisor may write to read-only pages: for a supervisor's page
 * the leaf says so; a write to a user's page is emulated.
 *
 * Every leaf maps 4 KiB. What has no guest table of its own (the parts of a
 * large page, everything while guest paging is off) is mapped by "direct"
 * tables, which have nothing to be compared with.
 *
 * A long mode guest has one root table. Others run in PAE mode with four tables
 * of level 2 below a page-directory-pointer table that belongs to the vCPU.
 *
 * Reverse mapping: every leaf is on the list of its guest frame
 * (kvm_memslot.rmap), the links beside the entry. MMU notifier, dirty log and
 * tracking find leaves by it.
 *
 * TLBs: an entry taken out may stay in the TLBs of other vCPUs until the guest
 * flushes them; but before the host reuses the page behind it, and before a
 * page counts as tracked, all are flushed (flush_others).
 *
 * Tables are only freed all together, when there are too many or a slot goes
 * (kvm_shadow_reset). Everything here is under kvm->mmu_lock.
 */
#include <linux/hash.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <asm/trap_pf.h>

#include "kvm.h"

#define ENTRIES		512
#define TABLE_ORDER	2
#define TABLE_HASH_BITS	10
#define NEIGHBOURS	KVM_PEEK_PAGES	/* leaves that a fault looks at, aligned */
#define PER_READ	64	/* entries of the guest's, for a comparison */
#define QUIET_FLUSHES	3	/* without a change; then a table is tracked */

#define PTE_ADDR	GENMASK_ULL(51, 12)
#define PTE_TABLE	(_PAGE_PRESENT | _PAGE_RW | _PAGE_USER | _PAGE_ACCESSED)
#define GUEST_A_D	((u64)(_PAGE_ACCESSED | _PAGE_DIRTY))

/* What a table stands for: two with the same key would be the same. */
union shadow_key {
	struct {
		u64 gfn : 40;		/* of the guest's table; direct: the first mapped */
		u64 level : 3;
		u64 direct : 1;
		u64 quadrant : 2;	/* which part of a table with 1024 entries */
		u64 access : 3;		/* granted by the levels above */
		u64 pkey : 4;		/* direct: of the large page */
		u64 dirty : 1;		/* likewise: its leaves may be writable */
		u64 mode : 4;		/* MODE_* */
	};
	u64 word;
};

#define MODE_PAE	1	/* the guest's entries have 8 bytes */
#define MODE_PSE	2
#define MODE_NX		4
#define MODE_WP		8

/* 16 KiB, aligned: from the address of a link the table is found. */
struct shadow_table {
	u64 entry[ENTRIES];		/* the processor's */
	struct shadow_info {
		u64 guest;		/* the guest's entry that it was made from */
		struct hlist_node rmap;	/* leaves: on the list of the frame */
	} info[ENTRIES];
};

struct shadow_page {
	struct hlist_node hash;
	struct list_head link;		/* kvm->shadow.pages */
	struct list_head compare;	/* kvm->shadow.compare, or empty */
	union shadow_key key;
	struct shadow_table *table;
	DECLARE_BITMAP(present, ENTRIES);
	u16 used;			/* bits in it */
	u8 quiet;
	bool tracked;
};

static struct shadow_page *page_of(struct shadow_table *table)
{
	return (struct shadow_page *)page_private(virt_to_page(table));
}

/* The table that an entry of an upper one points to, or NULL. */
static struct shadow_page *child_of(struct shadow_page *sp, unsigned int i)
{
	u64 entry = sp->table->entry[i];

	return entry ? page_of(__va(entry & PTE_ADDR)) : NULL;
}

static struct shadow_table *table_of_node(struct hlist_node *node, unsigned int *i)
{
	struct shadow_table *table = (void *)ALIGN_DOWN((unsigned long)node,
							PAGE_SIZE << TABLE_ORDER);

	*i = container_of(node, struct shadow_info, rmap) - table->info;
	return table;
}

static struct hlist_head *bucket(struct kvm *kvm, gfn_t gfn)
{
	return &kvm->shadow.hash[hash_64(gfn, TABLE_HASH_BITS)];
}

static bool can_differ(const struct shadow_page *sp)
{
	return !sp->key.direct && !sp->tracked;
}

/* ---- memory for tables --------------------------------------------------- */

static void free_page_struct(struct shadow_page *sp)
{
	free_pages((unsigned long)sp->table, TABLE_ORDER);
	kfree(sp);
}

static struct shadow_page *alloc_page_struct(void)
{
	struct shadow_page *sp __free(kfree) = kzalloc(sizeof(*sp), GFP_KERNEL_ACCOUNT);

	if (!sp)
		return NULL;
	sp->table = (void *)__get_free_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO, TABLE_ORDER);
	if (!sp->table)
		return NULL;
	set_page_private(virt_to_page(sp->table), (unsigned long)sp);
	INIT_LIST_HEAD(&sp->compare);
	return_ptr(sp);
}

/* Before mmu_lock is taken: what one fault or four roots may need. */
int kvm_shadow_fill_cache(struct kvm_vcpu *vcpu)
{
	struct kvm_shadow_vcpu *s = &vcpu->shadow;

	if (vcpu->kvm->shadow.count >= vcpu->kvm->shadow.limit)
		kvm_shadow_reset(vcpu->kvm);
	while (s->spares < ARRAY_SIZE(s->spare)) {
		struct shadow_page *sp = alloc_page_struct();

		if (!sp)
			return -ENOMEM;
		s->spare[s->spares++] = sp;
	}
	return 0;
}

int kvm_shadow_create_vcpu(struct kvm_vcpu *vcpu)
{
	if (kvm_ops->tdp)
		return 0;
	/* CR3 has 32 bits outside of long mode. */
	vcpu->shadow.pdpt = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT | GFP_DMA32);
	return vcpu->shadow.pdpt ? 0 : -ENOMEM;
}

void kvm_shadow_destroy_vcpu(struct kvm_vcpu *vcpu)
{
	while (vcpu->shadow.spares)
		free_page_struct(vcpu->shadow.spare[--vcpu->shadow.spares]);
	free_page((unsigned long)vcpu->shadow.pdpt);
}

/* ---- TLBs ---------------------------------------------------------------- */

/* Before the host or we rely on what was taken out of the tables. */
static void flush_others(struct kvm *kvm)
{
	struct kvm_shadow *s = &kvm->shadow;

	if (s->removals == s->flushed)
		return;
	s->flushed = s->removals;
	kvm_request_all(kvm, REQ_TLB_FLUSH);
}

/* ---- entries ------------------------------------------------------------- */

static void remove_entry(struct kvm *kvm, struct shadow_page *sp, unsigned int i)
{
	WRITE_ONCE(sp->table->entry[i], 0);
	if (sp->key.level == 1)
		hlist_del(&sp->table->info[i].rmap);
	__clear_bit(i, sp->present);
	sp->used--;
	kvm->shadow.removals++;
}

/* A table with entries that may differ is compared; upper levels come first. */
static void watch(struct kvm *kvm, struct shadow_page *sp)
{
	if (!sp->used || !can_differ(sp) || !list_empty(&sp->compare))
		return;
	if (sp->key.level > 1)
		list_add(&sp->compare, &kvm->shadow.compare);
	else
		list_add_tail(&sp->compare, &kvm->shadow.compare);
}

static void add_entry(struct kvm *kvm, struct shadow_page *sp, unsigned int i, u64 entry, u64 guest)
{
	sp->table->info[i].guest = guest;
	WRITE_ONCE(sp->table->entry[i], entry);
	__set_bit(i, sp->present);
	sp->used++;
	watch(kvm, sp);
}

static void protect_frame(struct kvm_memslot *slot, gfn_t gfn)
{
	struct kvm_shadow *s = &slot->space->kvm->shadow;
	struct hlist_node *node;
	unsigned int i;

	hlist_for_each(node, &slot->rmap[gfn - slot->base]) {
		struct shadow_table *table = table_of_node(node, &i);

		if (!(table->entry[i] & _PAGE_RW))
			continue;
		/* The processor may set bits in it at the same time. */
		clear_bit(_PAGE_BIT_RW, (unsigned long *)&table->entry[i]);
		s->removals++;
	}
}

static bool is_tracked(struct kvm *kvm, gfn_t gfn)
{
	struct shadow_page *sp;

	hlist_for_each_entry(sp, bucket(kvm, gfn), hash)
		if (sp->key.gfn == gfn && sp->tracked)
			return true;
	return false;
}

/* The table that this stands for may be written: from now on they may differ. */
static void untrack_table(struct kvm *kvm, struct shadow_page *sp)
{
	if (!sp->tracked)
		return;
	sp->tracked = false;
	sp->quiet = 0;
	watch(kvm, sp);
}

static void untrack(struct kvm *kvm, gfn_t gfn)
{
	struct shadow_page *sp;

	hlist_for_each_entry(sp, bucket(kvm, gfn), hash)
		if (sp->key.gfn == gfn)
			untrack_table(kvm, sp);
}

/* ---- comparing ----------------------------------------------------------- */

/* Accessed and dirty bits that were set meanwhile are no change. */
static bool differs(u64 was, u64 now)
{
	return (was ^ now) & ~GUEST_A_D || was & ~now;
}

/*
 * Where in its table the guest has the entry that our entry i is made from; of a
 * table with 1024 entries a directory's covers two of ours.
 */
static unsigned int guest_index(const struct shadow_page *sp, unsigned int i)
{
	if (sp->key.mode & MODE_PAE)
		return i;
	return sp->key.level == 1 ? sp->key.quadrant * 512 + i : sp->key.quadrant * 256 + i / 2;
}

/* The guest's entry, from the copy of its table. */
static u64 guest_entry(struct kvm *kvm, const struct shadow_page *sp, unsigned int i)
{
	if (sp->key.mode & MODE_PAE)
		return ((const u64 *)kvm->shadow.copy)[i];
	return ((const u32 *)kvm->shadow.copy)[guest_index(sp, i)];
}

/*
 * Copy what entries first to end - 1 are made from, without sleeping; false: that
 * cannot be done.
 */
static bool read_table(struct kvm *kvm, const struct shadow_page *sp,
		       unsigned int first, unsigned int end)
{
	struct kvm_memslot *slot = kvm_find_slot(&kvm->space[0], sp->key.gfn);
	unsigned int size = sp->key.mode & MODE_PAE ? 8 : 4;
	unsigned int at = guest_index(sp, first) * size;
	unsigned int len = (guest_index(sp, end - 1) + 1) * size - at;

	return slot && !copy_from_user_nofault(kvm->shadow.copy + at, (void __user *)
			(slot->hva + ((sp->key.gfn - slot->base) << PAGE_SHIFT)) + at, len);
}

/* Take out what the guest has changed. Most tables have few entries. */
static void compare_table(struct kvm *kvm, struct shadow_page *sp, unsigned int first,
			  unsigned int end)
{
	unsigned int i = first, to = first;
	bool known = false;

	for_each_set_bit_from(i, sp->present, end) {
		if (i >= to) {
			to = min(end, round_up(i + 1, PER_READ));
			known = read_table(kvm, sp, i, to);
		}
		if (!known || differs(sp->table->info[i].guest, guest_entry(kvm, sp, i)))
			remove_entry(kvm, sp, i);
	}
	if (!sp->used)
		list_del_init(&sp->compare);
}

/*
 * The guest flushes its TLB. What did not change for a while is tracked from
 * now on: write-protected, flushed, and then compared for the last time.
 */
static void compare_all(struct kvm *kvm)
{
	struct shadow_page *sp, *next;
	struct kvm_memslot *slot;
	LIST_HEAD(quiet);

	list_for_each_entry_safe(sp, next, &kvm->shadow.compare, compare) {
		unsigned int used = sp->used;

		compare_table(kvm, sp, 0, ENTRIES);
		sp->quiet = sp->used == used ? sp->quiet + 1 : 0;
		/* Leaves of a retiring slot could not be found, and stayed writable. */
		if (sp->used && sp->quiet >= QUIET_FLUSHES && !kvm->retiring)
			list_move(&sp->compare, &quiet);
	}
	if (list_empty(&quiet))
		return;
	list_for_each_entry(sp, &quiet, compare) {
		slot = kvm_find_slot(&kvm->space[0], sp->key.gfn);
		/* Once a frame, not once a table: its leaves can be millions. */
		if (slot && !is_tracked(kvm, sp->key.gfn))
			protect_frame(slot, sp->key.gfn);
		sp->tracked = true;
	}
	flush_others(kvm);
	list_for_each_entry_safe(sp, next, &quiet, compare) {
		compare_table(kvm, sp, 0, ENTRIES);
		list_del_init(&sp->compare);
	}
}

/* ---- tables -------------------------------------------------------------- */

static struct shadow_page *find_or_add(struct kvm_vcpu *vcpu, union shadow_key key)
{
	struct kvm_shadow *s = &vcpu->kvm->shadow;
	struct shadow_page *sp;

	hlist_for_each_entry(sp, bucket(vcpu->kvm, key.gfn), hash) {
		if (sp->key.word != key.word)
			continue;
		/* The guest, or a device, may have written to it while nobody used it. */
		if (!key.direct)
			compare_table(vcpu->kvm, sp, 0, ENTRIES);
		return sp;
	}
	sp = vcpu->shadow.spare[--vcpu->shadow.spares];
	sp->key = key;
	hlist_add_head(&sp->hash, bucket(vcpu->kvm, key.gfn));
	list_add(&sp->link, &s->pages);
	s->count++;
	return sp;
}

/*
 * Free all tables. May sleep; mmu_lock is not held. If somebody else is at it, wait
 * for him: our caller may be about to free the lists that his leaves are still on.
 */
void kvm_shadow_reset(struct kvm *kvm)
{
	struct kvm_shadow *s = &kvm->shadow;
	struct shadow_page *sp, *next;
	unsigned int i;
	LIST_HEAD(old);

	guard(mutex)(&s->reset);
	spin_lock(&kvm->mmu_lock);
	list_splice_init(&s->pages, &old);
	list_for_each_entry(sp, &old, link) {
		hlist_del(&sp->hash);
		list_del_init(&sp->compare);
	}
	s->count = 0;
	s->generation++;
	/* When this returns, no processor walks the old tables any more. */
	s->flushed = s->removals;
	kvm_request_all(kvm, REQ_MMU_RELOAD);
	/* Until it is taken off the lists of its frames, a leaf can be found. */
	list_for_each_entry(sp, &old, link) {
		for_each_set_bit(i, sp->present, ENTRIES)
			remove_entry(kvm, sp, i);
		cond_resched_lock(&kvm->mmu_lock);
	}
	spin_unlock(&kvm->mmu_lock);
	list_for_each_entry_safe(sp, next, &old, link)
		free_page_struct(sp);
}

/* ---- roots --------------------------------------------------------------- */

static u8 guest_mode(struct kvm_vcpu *vcpu)
{
	return (vcpu->cr4 & X86_CR4_PAE ? MODE_PAE : 0) | (vcpu->cr4 & X86_CR4_PSE ? MODE_PSE : 0) |
	       (vcpu->efer & EFER_NX ? MODE_NX : 0) | (vcpu->cr0 & X86_CR0_WP ? MODE_WP : 0);
}

#define ACCESS_ALL	(ACCESS_WRITE | ACCESS_USER | ACCESS_EXEC)

/*
 * The guest has flushed its TLB or changed the way it pages: find the tables to
 * run on, and the CR3 to run with. In the vCPU's thread, srcu held.
 */
int kvm_shadow_load(struct kvm_vcpu *vcpu)
{
	struct kvm_shadow_vcpu *s = &vcpu->shadow;
	bool paging = vcpu->cr0 & X86_CR0_PG, pae = vcpu->cr4 & X86_CR4_PAE;
	u64 cr3 = kvm_ops->get_cr3(vcpu);
	struct kvm *kvm = vcpu->kvm;
	union shadow_key key = {
		.level = 2, .access = ACCESS_ALL, .mode = guest_mode(vcpu),
	};
	int r = kvm_shadow_fill_cache(vcpu);

	if (r)
		return r;
	/* What cannot be read is not present. */
	memset(s->pdpte, 0, sizeof(s->pdpte));
	if (paging && pae && !kvm_is_long_mode(vcpu))
		kvm_read_guest(&kvm->space[0], cr3 & GENMASK_ULL(31, 5), s->pdpte, sizeof(s->pdpte));
	kvm_request(vcpu, REQ_TLB_FLUSH);
	guard(spinlock)(&kvm->mmu_lock);
	compare_all(kvm);
	s->generation = kvm->shadow.generation;
	if (kvm_is_long_mode(vcpu)) {
		key.level = 4;
		key.gfn = (cr3 & PTE_ADDR) >> PAGE_SHIFT;
		s->root[0] = find_or_add(vcpu, key);
		s->cr3 = __pa(s->root[0]->table);
		return 0;
	}
	for (int i = 0; i < 4; i++) {
		s->root[i] = NULL;
		s->pdpt[i] = 0;
		if (!paging) {
			key.direct = key.dirty = true;
			key.mode = MODE_WP;
			key.gfn = (u64)i << 18;
		} else if (!pae) {
			key.quadrant = i;
			key.gfn = (cr3 & U32_MAX) >> PAGE_SHIFT;
		} else if (s->pdpte[i] & _PAGE_PRESENT) {
			key.gfn = (s->pdpte[i] & PTE_ADDR) >> PAGE_SHIFT;
		} else {
			continue;
		}
		s->root[i] = find_or_add(vcpu, key);
		s->pdpt[i] = __pa(s->root[i]->table) | _PAGE_PRESENT;
	}
	s->cr3 = __pa(s->pdpt);
	return 0;
}

/* ---- faults -------------------------------------------------------------- */

static struct shadow_page *root_of(struct kvm_vcpu *vcpu, u64 gva, const struct kvm_walk *w)
{
	struct kvm_shadow_vcpu *s = &vcpu->shadow;

	if (s->generation != vcpu->kvm->shadow.generation)
		return NULL;
	if (kvm_is_long_mode(vcpu))
		return s->root[0];
	/* A processor loads these four with CR3 and not again. */
	if (w && w->levels == 3 && s->pdpte[gva >> 30 & 3] != w->entry[3])
		return NULL;
	return s->root[gva >> 30 & 3];
}

/* The key of the table below the given level on the way to w->gpa. */
static union shadow_key key_below(struct kvm_vcpu *vcpu, u64 gva, const struct kvm_walk *w,
				  int level)
{
	union shadow_key key = { .level = level - 1, .mode = guest_mode(vcpu) };

	if (level <= w->leaf || !w->leaf) {
		key.direct = true;
		key.access = w->granted;
		key.pkey = w->pkey;
		key.dirty = !w->leaf || w->dirty;
		key.mode &= MODE_WP;
		key.gfn = round_down(w->gpa >> PAGE_SHIFT, 1ULL << (9 * (level - 1)));
		return key;
	}
	key.access = w->granted_at[level];
	key.gfn = (w->entry[level] & PTE_ADDR) >> PAGE_SHIFT;
	if (!(key.mode & MODE_PAE))
		key.quadrant = gva >> 21 & 1;
	return key;
}

static unsigned int index_at(u64 gva, int level)
{
	return gva >> (PAGE_SHIFT + 9 * (level - 1)) & (ENTRIES - 1);
}

static u64 leaf_entry(const struct kvm_walk *w, const struct host_page *host, bool writable)
{
	u64 e = host->pfn << PAGE_SHIFT | _PAGE_PRESENT | _PAGE_ACCESSED;

	if (writable)
		e |= _PAGE_RW | _PAGE_DIRTY;
	if (w->granted & ACCESS_USER)
		e |= _PAGE_USER | (u64)w->pkey << 59;
	if (!(w->granted & ACCESS_EXEC))
		e |= _PAGE_NX;
	if (!host->ram)
		e |= _PAGE_PCD | _PAGE_PWT;
	return e;
}

/* May the guest write there without our noticing? */
static bool may_write(struct kvm_vcpu *vcpu, const struct kvm_walk *w)
{
	if (w->leaf && !w->dirty)
		return false;
	return w->granted & ACCESS_WRITE || !(vcpu->cr0 & X86_CR0_WP || w->granted & ACCESS_USER);
}

/* Entry i of a lowest table maps what the walk says, which lies in this slot. */
static void set_leaf(struct kvm_memslot *slot, struct shadow_page *sp, unsigned int i,
		     const struct kvm_walk *w, const struct host_page *host, bool writable)
{
	u64 old = sp->table->entry[i], entry = leaf_entry(w, host, writable);
	u64 guest = w->leaf == 1 ? w->entry[1] : 0;
	struct kvm *kvm = slot->space->kvm;

	/* The page behind two guest frames can be one: then the leaf changes lists. */
	if (old && !((old ^ entry) & PTE_ADDR) &&
	    !((sp->table->info[i].guest ^ guest) & PTE_ADDR)) {
		/* The usual change, more permissions, needs no flush. */
		if (old & ~entry & (_PAGE_RW | _PAGE_USER) || entry & ~old & _PAGE_NX)
			kvm->shadow.removals++;
		sp->table->info[i].guest = guest;
		WRITE_ONCE(sp->table->entry[i], entry);
		return;
	}
	if (old)
		remove_entry(kvm, sp, i);
	add_entry(kvm, sp, i, entry, guest);
	hlist_add_head(&sp->table->info[i].rmap, &slot->rmap[(w->gpa >> PAGE_SHIFT) - slot->base]);
}

/*
 * What is mapped next to it will be wanted soon. Only what costs nothing: the
 * guest has used it before, the host has it in memory.
 */
static void map_neighbours(struct kvm_vcpu *vcpu, struct kvm_memslot *slot,
			   struct shadow_page *sp, unsigned int i, const struct kvm_walk *first)
{
	unsigned int start = round_down(i, NEIGHBOURS), end = start + NEIGHBOURS;
	bool may = !(slot->flags & KVM_MEM_READONLY), direct = sp->key.direct;
	gfn_t slot_end = slot->base + slot->npages, gfn = sp->key.gfn + start;
	struct host_page hosts[NEIGHBOURS] = { };
	struct kvm *kvm = vcpu->kvm;
	struct kvm_walk w = *first;

	if (direct) {		/* they follow each other in the slot, too */
		gfn_t from = max(gfn, slot->base), to = min(gfn + NEIGHBOURS, slot_end);

		kvm_mmu_peek_pages(slot->hva + ((from - slot->base) << PAGE_SHIFT),
				   to - from, may, &hosts[from - gfn]);
	} else if (!read_table(kvm, sp, start, end)) {
		return;
	}
	for (i = start; i < end; i++) {
		struct host_page *host = &hosts[i - start];

		if (test_bit(i, sp->present))
			continue;
		if (direct)
			w.gpa = (sp->key.gfn + i) << PAGE_SHIFT;
		else if (!kvm_walk_neighbour(vcpu, &w, guest_entry(kvm, sp, i), sp->key.access))
			continue;
		gfn = w.gpa >> PAGE_SHIFT;
		if (gfn < slot->base || gfn >= slot_end)
			continue;
		if (!direct)
			kvm_mmu_peek_pages(slot->hva + ((gfn - slot->base) << PAGE_SHIFT),
					   1, may, host);
		if (host->ram)
			set_leaf(slot, sp, i, &w, host, host->writable && !slot->dirty &&
				 may_write(vcpu, &w) && !is_tracked(kvm, gfn));
	}
}

/*
 * Map gva as the walk says. mmu_lock is held, the cache is full, "host" is
 * current. "write": the access is one, and to a page that may be written.
 */
void kvm_shadow_map(struct kvm_vcpu *vcpu, struct kvm_memslot *slot, u64 gva,
		    const struct kvm_walk *w, const struct host_page *host, bool write)
{
	struct shadow_page *sp = root_of(vcpu, gva, w);
	gfn_t gfn = w->gpa >> PAGE_SHIFT;
	struct kvm *kvm = vcpu->kvm;
	bool writable;

	if (!sp)
		return kvm_request(vcpu, REQ_MMU_RELOAD);
	for (int level = sp->key.level; level > 1; level--) {
		union shadow_key key = key_below(vcpu, gva, w, level);
		u64 guest = w->leaf && level >= w->leaf ? w->entry[level] : 0;
		unsigned int i = index_at(gva, level);
		struct shadow_page *child = child_of(sp, i);

		if (!child || child->key.word != key.word ||
		    differs(sp->table->info[i].guest, guest)) {
			if (child) {
				remove_entry(kvm, sp, i);
				kvm_request(vcpu, REQ_TLB_FLUSH);
			}
			child = find_or_add(vcpu, key);
			add_entry(kvm, sp, i, __pa(child->table) | PTE_TABLE, guest);
		}
		sp = child;
	}

	writable = host->writable && may_write(vcpu, w);
	if (writable && !write)
		writable = !slot->dirty && !is_tracked(kvm, gfn);
	else if (writable)
		untrack(kvm, gfn);
	set_leaf(slot, sp, index_at(gva, 1), w, host, writable);
	map_neighbours(vcpu, slot, sp, index_at(gva, 1), w);
}

/* A page fault of the guest on our tables. gva and code: the processor's. */
int kvm_handle_shadow_fault(struct kvm_vcpu *vcpu, u64 gva, u32 code)
{
	u32 access = (code & X86_PF_WRITE ? ACCESS_WRITE : 0) |
		     (code & X86_PF_USER ? ACCESS_USER : 0) |
		     (code & X86_PF_INSTR ? ACCESS_EXEC : 0);
	struct kvm_walk w;
	int r = kvm_walk(vcpu, gva, access, &w);

	if (r < 0) {
		/* A table outside of memory maps nothing. */
		w.error_code = code & ~(X86_PF_PROT | X86_PF_RSVD | X86_PF_PK);
		r = 1;
	}
	if (r) {
		kvm_queue_page_fault(vcpu, gva, w.error_code);
		return 1;
	}
	/* Supervisor's write to a user's read-only page, CR0.WP clear. */
	if (access & ACCESS_WRITE && !(w.granted & ACCESS_WRITE) && w.granted & ACCESS_USER)
		return kvm_emulate(vcpu);
	return kvm_handle_memory_fault(vcpu, w.gpa, access, gva, &w);
}
EXPORT_SYMBOL_GPL(kvm_handle_shadow_fault);

/* The guest wants this address looked up anew; and the tables on the way. */
void kvm_shadow_invlpg(struct kvm_vcpu *vcpu, u64 gva)
{
	struct kvm *kvm = vcpu->kvm;
	struct shadow_page *sp, *next;

	guard(spinlock)(&kvm->mmu_lock);
	list_for_each_entry_safe(sp, next, &kvm->shadow.compare, compare) {
		if (sp->key.level == 1)
			break;
		compare_table(kvm, sp, 0, ENTRIES);
	}
	sp = root_of(vcpu, gva, NULL);
	while (sp && sp->key.level > 1)
		sp = child_of(sp, index_at(gva, sp->key.level));
	if (sp && can_differ(sp))
		compare_table(kvm, sp, index_at(gva, 1), index_at(gva, 1) + 1);
}

/* ---- for the rest of the module ------------------------------------------ */

/* User space or the emulator wrote to a page. */
void kvm_shadow_wrote(struct kvm *kvm, gfn_t gfn)
{
	guard(spinlock)(&kvm->mmu_lock);
	untrack(kvm, gfn);
}

/* User space sets a vCPU's registers, and before it perhaps all memory: a snapshot. */
void kvm_shadow_untrack_all(struct kvm *kvm)
{
	struct shadow_page *sp;

	guard(spinlock)(&kvm->mmu_lock);
	list_for_each_entry(sp, &kvm->shadow.pages, link)
		untrack_table(kvm, sp);
}

/*
 * The host takes pages away: their leaves go, and tables read from them may
 * change. TLBs may know of leaves that went before.
 */
void kvm_shadow_zap(struct kvm_memslot *slot, gfn_t start, gfn_t end)
{
	struct kvm *kvm = slot->space->kvm;
	struct shadow_page *sp;

	for (gfn_t gfn = start; gfn < end; gfn++) {
		struct hlist_head *list = &slot->rmap[gfn - slot->base];

		while (!hlist_empty(list)) {
			unsigned int i;
			struct shadow_table *table = table_of_node(list->first, &i);

			remove_entry(kvm, page_of(table), i);
		}
	}
	list_for_each_entry(sp, &kvm->shadow.pages, link)
		if (sp->key.gfn >= start && sp->key.gfn < end)
			untrack_table(kvm, sp);
	flush_others(kvm);
}

/* Has the guest touched these pages? With "clear", forget that it has. */
bool kvm_shadow_age(struct kvm_memslot *slot, gfn_t gfn, gfn_t end, bool clear)
{
	struct hlist_node *node;
	bool young = false;
	unsigned int i;

	for (; gfn < end; gfn++)
		hlist_for_each(node, &slot->rmap[gfn - slot->base]) {
			struct shadow_table *table = table_of_node(node, &i);

			if (!(table->entry[i] & _PAGE_ACCESSED))
				continue;
			young = true;
			if (clear)
				clear_bit(_PAGE_BIT_ACCESSED, (unsigned long *)&table->entry[i]);
		}
	return young;
}

/* Take the write permission away, so that the next write is noticed. */
void kvm_shadow_write_protect(struct kvm_memslot *slot, const unsigned long *pages, u64 first,
			      u64 count)
{
	unsigned long i;

	for_each_set_bit(i, pages, count)
		protect_frame(slot, slot->base + first + i);
	flush_others(slot->space->kvm);
}

int kvm_shadow_init_vm(struct kvm *kvm)
{
	struct kvm_shadow *s = &kvm->shadow;

	INIT_LIST_HEAD(&s->pages);
	INIT_LIST_HEAD(&s->compare);
	mutex_init(&s->reset);
	s->limit = SHADOW_MIN_TABLES;
	s->hash = kvcalloc(1 << TABLE_HASH_BITS, sizeof(*s->hash), GFP_KERNEL_ACCOUNT);
	s->copy = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	return s->hash && s->copy ? 0 : -ENOMEM;
}

/* After kvm_shadow_reset(), or half made. */
void kvm_shadow_destroy_vm(struct kvm *kvm)
{
	kvfree(kvm->shadow.hash);
	free_page((unsigned long)kvm->shadow.copy);
}

/* ---- when the host is short of memory ------------------------------------ */

static struct shrinker *shrinker;

static unsigned long count_pages(struct shrinker *unused, struct shrink_control *sc)
{
	unsigned long pages = 0;
	struct kvm *kvm;

	scoped_cond_guard(mutex_try, return 0, &kvm_lock)
		list_for_each_entry(kvm, &kvm_vm_list, link)
			pages += (unsigned long)READ_ONCE(kvm->shadow.count) << TABLE_ORDER;
	return pages;
}

/* One VM loses all its tables; the next time it is another one's turn. */
static unsigned long free_pages_of_one(struct shrinker *unused, struct shrink_control *sc)
{
	struct kvm *kvm;

	scoped_cond_guard(mutex_try, return SHRINK_STOP, &kvm_lock)
		list_for_each_entry(kvm, &kvm_vm_list, link) {
			unsigned long tables = READ_ONCE(kvm->shadow.count);

			if (!tables)
				continue;
			kvm_shadow_reset(kvm);
			list_move_tail(&kvm->link, &kvm_vm_list);
			return tables << TABLE_ORDER;
		}
	return SHRINK_STOP;
}

int __init kvm_shadow_init(void)
{
	shrinker = shrinker_alloc(0, "kvm-live-shadow");
	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = count_pages;
	shrinker->scan_objects = free_pages_of_one;
	shrinker_register(shrinker);
	return 0;
}

void kvm_shadow_exit(void)
{
	shrinker_free(shrinker);
}
