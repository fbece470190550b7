// SPDX-License-Identifier: GPL-2.0-only
/*
 * memslot.c: which guest-physical addresses are memory, and where user space
 * has that memory; the log of pages that the guest has written.
 *
 * A space's slots are an array sorted by guest frame. The array and each slot in
 * it are immutable once published: a change builds a new array (and a new slot
 * for the one that changes), publishes it, waits until no vCPU can still use
 * the old one (srcu), takes the old slot's mappings out of the second-level
 * page tables, and frees the old. Only the bits of a slot's dirty bitmap ever
 * change in place.
 *
 * Looking an address up is a binary search; vCPUs do it only when the second-
 * level tables have no answer, when they emulate, and when they walk the
 * guest's page tables.
 */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kvm.h"

#define MAX_SLOT_PAGES	((1UL << 31) - 1)

static struct kvm_memslots *slots_locked(struct kvm_space *space)
{
	return rcu_dereference_protected(space->slots, lockdep_is_held(&space->kvm->slots_lock) ||
					 !refcount_read(&space->kvm->users));
}

/* Index of the first slot that ends behind gfn. */
static unsigned int slot_search(const struct kvm_memslots *slots, gfn_t gfn)
{
	unsigned int low = 0, high = slots->count;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (slots->slot[mid]->base + slots->slot[mid]->npages > gfn)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static __always_inline struct kvm_memslot *find_slot(struct kvm_space *space, gfn_t gfn)
{
	struct kvm_memslots *slots = srcu_dereference_check(space->slots, &space->kvm->srcu,
						lockdep_is_held(&space->kvm->slots_lock));
	unsigned int i = READ_ONCE(slots->recent);

	if (likely(i < slots->count && gfn - slots->slot[i]->base < slots->slot[i]->npages))
		return slots->slot[i];
	i = slot_search(slots, gfn);
	if (i >= slots->count || slots->slot[i]->base > gfn)
		return NULL;
	WRITE_ONCE(slots->recent, i);
	return slots->slot[i];
}

struct kvm_memslot *kvm_find_slot(struct kvm_space *space, gfn_t gfn)
{
	return find_slot(space, gfn);
}

static struct kvm_memslot *slot_by_id(struct kvm_memslots *slots, u16 id)
{
	for (unsigned int i = 0; i < slots->count; i++)
		if (slots->slot[i]->id == id)
			return slots->slot[i];
	return NULL;
}

static void free_slot(struct kvm_memslot *slot)
{
	if (!slot)
		return;
	kvfree(slot->dirty);
	kvfree(slot->rmap);
	kfree(slot);
}

DEFINE_FREE(memslot, struct kvm_memslot *, free_slot(_T))

static size_t dirty_bytes(const struct kvm_memslot *slot)
{
	return BITS_TO_LONGS(slot->npages) * sizeof(long);
}

/*
 * Publish an array without "old" and with "new" (either may be NULL), and wait
 * until nobody uses the previous one.
 */
static int replace_slot(struct kvm_space *space, struct kvm_memslot *old, struct kvm_memslot *new)
{
	struct kvm_memslots *slots = slots_locked(space), *next;
	unsigned int count = slots->count - !!old + !!new, n = 0;

	next = kzalloc(struct_size(next, slot, count), GFP_KERNEL_ACCOUNT);
	if (!next)
		return -ENOMEM;
	next->count = count;
	for (unsigned int i = 0; i < slots->count; i++)
		if (slots->slot[i] != old)
			next->slot[n++] = slots->slot[i];
	if (new) {
		for (; n && next->slot[n - 1]->base > new->base; n--)
			next->slot[n] = next->slot[n - 1];
		next->slot[n] = new;
	}
	rcu_assign_pointer(space->slots, next);
	synchronize_srcu_expedited(&space->kvm->srcu);
	kfree(slots);
	return 0;
}

/* The upper half of a slot's number is its space; NULL: no such slot can be. */
static struct kvm_space *space_of(struct kvm *kvm, u32 slot)
{
	if (slot >> 16 >= (kvm_has_smm() ? KVM_SPACES : 1) || (u16)slot >= KVM_USER_SLOTS)
		return NULL;
	return &kvm->space[array_index_nospec(slot >> 16, KVM_SPACES)];
}

static bool is_valid(const struct kvm_userspace_memory_region2 *region)
{
	u64 size = region->memory_size, gpa = region->guest_phys_addr;
	unsigned long hva = region->userspace_addr;

	return !(region->flags & ~(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)) &&
	       !((size | gpa | hva) & ~PAGE_MASK) && untagged_addr(hva) == region->userspace_addr &&
	       access_ok((void __user *)hva, size) && size >> PAGE_SHIFT <= MAX_SLOT_PAGES &&
	       gpa + size >= gpa && (gpa + size) >> PAGE_SHIFT <= kvm_mmu_max_gfn();
}

static bool overlaps_other(struct kvm_memslots *slots, const struct kvm_memslot *new,
			   const struct kvm_memslot *old)
{
	unsigned int i = slot_search(slots, new->base);

	for (; i < slots->count && slots->slot[i]->base < new->base + new->npages; i++)
		if (slots->slot[i] != old)
			return true;
	return false;
}

/*
 * Shadow paging may use a table for each fifty pages of the guest's memory, or as
 * many as user space says.
 */
static void set_table_limit(struct kvm *kvm)
{
	struct kvm_memslots *slots = slots_locked(&kvm->space[0]);
	u64 pages = 0;

	for (unsigned int i = 0; i < slots->count; i++)
		pages += slots->slot[i]->npages;
	kvm->shadow.limit = clamp_t(u64, kvm->user_tables ?: pages / 50,
				    SHADOW_MIN_TABLES, SHADOW_MAX_TABLES);
}

int kvm_set_table_limit(struct kvm *kvm, unsigned long tables)
{
	if (!tables || tables > UINT_MAX)
		return -EINVAL;
	guard(mutex)(&kvm->slots_lock);
	kvm->user_tables = tables;
	set_table_limit(kvm);
	return 0;
}

int kvm_set_memory_region(struct kvm *kvm, void *arg)
{
	const struct kvm_userspace_memory_region2 *region = arg;
	struct kvm_memslot *old, *new __free(memslot) = NULL;
	struct kvm_space *space = space_of(kvm, region->slot);
	int r;

	if (!space || !is_valid(region))
		return -EINVAL;
	guard(mutex)(&kvm->slots_lock);
	old = slot_by_id(slots_locked(space), region->slot);
	if (!region->memory_size) {
		if (!old)
			return -EINVAL;
		goto publish;
	}

	new = kzalloc(sizeof(*new), GFP_KERNEL_ACCOUNT);
	if (!new)
		return -ENOMEM;
	*new = (struct kvm_memslot){
		.space = space, .id = region->slot, .flags = region->flags,
		.base = region->guest_phys_addr >> PAGE_SHIFT,
		.npages = region->memory_size >> PAGE_SHIFT, .hva = region->userspace_addr,
	};

	if (old) {
		/* Only the place and the dirty log of a slot may change. */
		if (old->npages != new->npages || old->hva != new->hva ||
		    (old->flags ^ new->flags) & KVM_MEM_READONLY)
			return -EINVAL;
		if (old->base == new->base && old->flags == new->flags)
			return 0;
	}
	if (overlaps_other(slots_locked(space), new, old))
		return -EEXIST;
	if (new->flags & KVM_MEM_LOG_DIRTY_PAGES) {
		new->dirty = kvzalloc(dirty_bytes(new), GFP_KERNEL_ACCOUNT);
		if (!new->dirty)
			return -ENOMEM;
		if (kvm->manual_dirty & KVM_DIRTY_LOG_INITIALLY_SET)
			bitmap_set(new->dirty, 0, new->npages);
	}
	if (!kvm_ops->tdp) {
		/* User space says how much: too much is its error, not the kernel's. */
		new->rmap = kvcalloc(new->npages, sizeof(*new->rmap),
				     GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
		if (!new->rmap)
			return -ENOMEM;
	}

publish:
	/* No vCPU will find it any more, but the notifier looks after its mappings. */
	scoped_guard(spinlock, &kvm->mmu_lock)
		kvm->retiring = old;
	r = replace_slot(space, old, new);
	/*
	 * No vCPU maps by the old slot any more. Mappings that it made go; when
	 * logging begins they come back page by page and write-protected.
	 */
	if (!r && old)
		kvm_mmu_zap_slot(kvm, old);
	/* A slot that moves takes along what its log has not told yet. */
	for (size_t i = 0; !r && old && old->dirty && new && new->dirty &&
	     i < BITS_TO_LONGS(new->npages); i++)
		atomic_long_or(old->dirty[i], (atomic_long_t *)&new->dirty[i]);
	scoped_guard(spinlock, &kvm->mmu_lock)
		kvm->retiring = NULL;
	if (r)
		return r;
	set_table_limit(kvm);
	new = old;	/* is what goes now */
	return 0;
}

/*
 * Copies the log to user space and clears it, unless user space clears it itself
 * piece by piece (below). The pages are write-protected before their bits are
 * handed out, so a write after that is noticed again.
 */
int kvm_get_dirty_log(struct kvm *kvm, void *arg)
{
	unsigned long *copy __free(kvfree) = NULL;
	const struct kvm_dirty_log *log = arg;
	struct kvm_space *space = space_of(kvm, log->slot);
	struct kvm_memslot *slot;
	size_t bytes;
	int r;

	if (!space)
		return -EINVAL;
	guard(mutex)(&kvm->slots_lock);
	slot = slot_by_id(slots_locked(space), log->slot);
	if (!slot || !slot->dirty)
		return -ENOENT;
	bytes = dirty_bytes(slot);
	if (kvm->manual_dirty)
		return copy_to_user(log->dirty_bitmap, slot->dirty, bytes) ? -EFAULT : 0;
	copy = kvzalloc(bytes, GFP_KERNEL_ACCOUNT);
	if (!copy)
		return -ENOMEM;
	for (size_t i = 0; i < bytes / sizeof(long); i++)
		if (READ_ONCE(slot->dirty[i]))
			copy[i] = xchg(&slot->dirty[i], 0);
	kvm_mmu_write_protect(slot, copy, 0, slot->npages);
	r = copy_to_user(log->dirty_bitmap, copy, bytes) ? -EFAULT : 0;
	/* Nothing is lost: put the bits back. */
	for (size_t i = 0; r && i < bytes / sizeof(long); i++)
		atomic_long_or(copy[i], (atomic_long_t *)&slot->dirty[i]);
	return r;
}

/* Pages that user space is about to send: log their next write. */
int kvm_clear_dirty_log(struct kvm *kvm, void *arg)
{
	unsigned long *pages __free(kvfree) = NULL;
	const struct kvm_clear_dirty_log *log = arg;
	u64 first = log->first_page, count = log->num_pages;
	struct kvm_space *space = space_of(kvm, log->slot);
	struct kvm_memslot *slot;

	if (!space || first % 64)
		return -EINVAL;
	guard(mutex)(&kvm->slots_lock);
	slot = slot_by_id(slots_locked(space), log->slot);
	if (!slot || !slot->dirty)
		return -ENOENT;
	if (first > slot->npages || count > slot->npages - first ||
	    (count % 64 && count < slot->npages - first))
		return -EINVAL;
	pages = vmemdup_user(log->dirty_bitmap, BITS_TO_LONGS(count) * sizeof(long));
	if (IS_ERR(pages))
		return PTR_ERR(pages);
	for (size_t i = 0; i < BITS_TO_LONGS(count); i++)
		if (pages[i])
			pages[i] &= atomic_long_fetch_andnot(pages[i],
				(atomic_long_t *)&slot->dirty[first / BITS_PER_LONG + i]);
	kvm_mmu_write_protect(slot, pages, first, count);
	return 0;
}

void kvm_free_memslots(struct kvm *kvm)
{
	for (int space = 0; space < KVM_SPACES; space++) {
		struct kvm_memslots *slots = slots_locked(&kvm->space[space]);

		for (unsigned int i = 0; i < slots->count; i++)
			free_slot(slots->slot[i]);
		kfree(slots);
	}
}

void kvm_mark_dirty(struct kvm_memslot *slot, gfn_t gfn)
{
	if (slot->dirty)
		set_bit(gfn - slot->base, slot->dirty);
}

/* ---- access to guest memory ---------------------------------------------- */

/* The user address of gpa, NULL when it is no memory (or read-only). */
static __always_inline void __user *guest_hva(struct kvm_space *space, gpa_t gpa, bool write,
					      struct kvm_memslot **slotp)
{
	struct kvm_memslot *slot = find_slot(space, gpa >> PAGE_SHIFT);
	u64 page;

	if (!slot || (write && slot->flags & KVM_MEM_READONLY))
		return NULL;
	*slotp = slot;
	/* A guest's address that is in no slot must not, by speculation, be the kernel's. */
	page = array_index_nospec((gpa >> PAGE_SHIFT) - slot->base, slot->npages);
	return (void __user *)(slot->hva + (page << PAGE_SHIFT) + offset_in_page(gpa));
}

static __always_inline int access_guest(struct kvm_space *space, gpa_t gpa, void *buf,
					unsigned int len, bool write)
{
	while (len) {
		unsigned int n = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(gpa));
		struct kvm_memslot *slot;
		void __user *hva = guest_hva(space, gpa, write, &slot);

		/* The slot's addresses were checked when it was made. */
		if (!hva || (write ? copy_to_user(hva, buf, n) : raw_copy_from_user(buf, hva, n)))
			return -EFAULT;
		if (write)
			kvm_mark_dirty(slot, gpa >> PAGE_SHIFT);
		if (write && slot->rmap)
			kvm_shadow_wrote(space->kvm, gpa >> PAGE_SHIFT);
		gpa += n;
		buf += n;
		len -= n;
	}
	return 0;
}

int kvm_read_guest(struct kvm_space *space, gpa_t gpa, void *buf, unsigned int len)
{
	return access_guest(space, gpa, buf, len, false);
}
EXPORT_SYMBOL_GPL(kvm_read_guest);

int kvm_write_guest(struct kvm_space *space, gpa_t gpa, const void *buf, unsigned int len)
{
	return access_guest(space, gpa, (void *)buf, len, true);
}

/* An entry of a page table: aligned, so within a page. */
int kvm_read_guest_entry(struct kvm_space *space, gpa_t gpa, u64 *entry, int size)
{
	struct kvm_memslot *slot;
	void __user *hva = guest_hva(space, gpa, false, &slot);
	u32 half;

	if (!hva)
		return -ENXIO;
	__uaccess_begin_nospec();
	if (size == 8) {
		unsafe_get_user(*entry, (u64 __user *)hva, fault);
	} else {
		unsafe_get_user(half, (u32 __user *)hva, fault);
		*entry = half;
	}
	__uaccess_end();
	return 0;
fault:
	__uaccess_end();
	return -EFAULT;
}

/* 0 done, 1 it differed and *old is what was there, -ENXIO nothing writable, -EFAULT. */
#define TRY_CMPXCHG(type)						\
	__try_cmpxchg_user((type __user *)hva, (type *)old,		\
			   *(const type *)new, fault_##type)

int kvm_cmpxchg_guest(struct kvm_space *space, gpa_t gpa, void *old, const void *new,
		      unsigned int len)
{
	struct kvm_memslot *slot;
	void __user *hva = guest_hva(space, gpa, true, &slot);
	int r;

	if (!hva || offset_in_page(gpa) + len > PAGE_SIZE)
		return hva ? -EFAULT : -ENXIO;
	r = len == 1 ? TRY_CMPXCHG(u8) : len == 2 ? TRY_CMPXCHG(u16) :
	    len == 4 ? TRY_CMPXCHG(u32) : len == 8 ? TRY_CMPXCHG(u64) : -EOPNOTSUPP;
	if (!r)
		kvm_mark_dirty(slot, gpa >> PAGE_SHIFT);
	return r;
}
