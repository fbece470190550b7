// SPDX-License-Identifier: GPL-2.0-only
/*
 * mmu.c: the second-level page tables (EPT or nested paging) of a VM.
 *
 * One tree of tables per address space, shared by the vCPUs, indexed by guest-
 * physical address. It is a cache of what the slots and the process's own page tables
 * say: it starts empty, a fault fills in one leaf (4 KiB, 2 MiB or 1 GiB, as
 * large as the process has the memory mapped), and anything may be taken out
 * of it at any time. No page is pinned: the leaf holds no reference. Instead
 * the kernel tells us through the MMU notifier before it unmaps, moves, swaps
 * or write-protects a page, and we take the leaves out and flush the TLBs
 * before that call returns.
 *
 * A fault looks the host page up without a lock, since that may sleep. It notes
 * kvm->invalidate_seq first; if an invalidation is going on or has ended since,
 * when it comes back with mmu_lock, what it found is stale and it starts again.
 *
 * The two formats differ only in the bits of struct kvm_tdp_format. Levels are
 * counted from the leaves: a level-1 entry maps 4 KiB.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sched/signal.h>

#include "kvm.h"

#define PTE_LARGE	BIT_ULL(7)
/* Ignored by the processor: the host allows writes, only the dirty log does not yet. */
#define PTE_LOGGED	BIT_ULL(57)
#define PTE_ADDR	GENMASK_ULL(51, 12)
#define ENTRIES		512

static u64 level_pages(int level)
{
	return 1ULL << (9 * (level - 1));
}

gfn_t kvm_mmu_max_gfn(void)
{
	return level_pages(kvm_ops->tdp ? kvm_ops->tdp->levels + 1 : 5);
}

static u64 *entry_of(u64 *table, gfn_t gfn, int level)
{
	return &table[(gfn >> (9 * (level - 1))) % ENTRIES];
}

static bool is_present(u64 e)
{
	return e & kvm_ops->tdp->present;
}

static bool is_leaf(u64 e, int level)
{
	return level == 1 || e & PTE_LARGE;
}

static u64 *table_of(u64 e)
{
	return __va(e & PTE_ADDR);
}

/* ---- table pages --------------------------------------------------------- */

static int fill_cache(struct kvm_mmu_cache *cache)
{
	while (cache->count < ARRAY_SIZE(cache->page)) {
		void *page = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

		if (!page)
			return -ENOMEM;
		cache->page[cache->count++] = page;
	}
	return 0;
}

void kvm_mmu_free_cache(struct kvm_vcpu *vcpu)
{
	while (vcpu->mmu_cache.count)
		free_page((unsigned long)vcpu->mmu_cache.page[--vcpu->mmu_cache.count]);
}

/* ---- taking out ---------------------------------------------------------- */

/*
 * Take everything between start and end out of a table whose first entry maps
 * frame "base". Returns whether anything was there; the tables below it that are
 * not needed any more go to the list "freed", for put_pages_list() when the TLBs were
 * flushed. Recursion is as deep as the tables, at most 5.
 */
static bool zap_table(struct kvm *kvm, u64 *table, int level, gfn_t base,
		      gfn_t start, gfn_t end, struct list_head *freed)
{
	u64 span = level_pages(level);
	unsigned int i = start > base ? (start - base) / span : 0;
	bool zapped = false;

	for (; i < ENTRIES && base + i * span < end; i++) {
		gfn_t first = base + i * span;
		u64 e = table[i];

		if (!is_present(e))
			continue;
		if (is_leaf(e, level)) {
			WRITE_ONCE(table[i], 0);
			zapped = true;
			continue;
		}
		zapped |= zap_table(kvm, table_of(e), level - 1, first, start, end, freed);
		if (first >= start && first + span <= end) {
			WRITE_ONCE(table[i], 0);
			list_add(&virt_to_page(table_of(e))->lru, freed);
			kvm->tdp_pages--;
			zapped = true;
		}
	}
	return zapped;
}

static bool zap_range(struct kvm_space *space, gfn_t start, gfn_t end, struct list_head *freed)
{
	lockdep_assert_held(&space->kvm->mmu_lock);
	return zap_table(space->kvm, __va(space->tdp_root), kvm_ops->tdp->levels, 0,
			 start, end, freed);
}

/* Step by step, so that others get the lock and the CPU in between. */
static void zap_and_flush(struct kvm_space *space, gfn_t start, gfn_t end, gfn_t step)
{
	while (start < end) {
		gfn_t stop = min(end, round_down(start + step, step));
		LIST_HEAD(freed);

		scoped_guard(spinlock, &space->kvm->mmu_lock)
			if (zap_range(space, start, stop, &freed))
				kvm_request_all(space->kvm, REQ_TLB_FLUSH);
		put_pages_list(&freed);
		cond_resched();
		start = stop;
	}
}

void kvm_mmu_zap_slot(struct kvm *kvm, struct kvm_memslot *slot)
{
	if (kvm_ops->tdp)
		zap_and_flush(slot->space, slot->base, slot->base + slot->npages, level_pages(3));
	else
		kvm_shadow_reset(kvm);
}

void kvm_mmu_guest_flush(struct kvm_vcpu *vcpu)
{
	kvm_request(vcpu, kvm_ops->tdp ? REQ_TLB_FLUSH : REQ_MMU_RELOAD);
}

void kvm_mmu_invlpg(struct kvm_vcpu *vcpu, u64 gva)
{
	vcpu->stat[STAT_invlpg]++;
	if (!kvm_ops->tdp)
		kvm_shadow_invlpg(vcpu, gva);
	kvm_request(vcpu, REQ_TLB_FLUSH);
}
EXPORT_SYMBOL_GPL(kvm_mmu_invlpg);

/* The leaf that maps gfn, or NULL; the level is that of the entry that says so. */
static u64 *find_leaf(struct kvm_space *space, gfn_t gfn, int *level)
{
	u64 *e = entry_of(__va(space->tdp_root), gfn, kvm_ops->tdp->levels);
	int l = kvm_ops->tdp->levels;

	lockdep_assert_held(&space->kvm->mmu_lock);
	while (is_present(*e) && !is_leaf(*e, l))
		e = entry_of(table_of(*e), gfn, --l);
	*level = l;
	return is_present(*e) ? e : NULL;
}

static void write_protect(struct kvm_memslot *slot, const unsigned long *pages, u64 first,
			  u64 count)
{
	struct kvm *kvm = slot->space->kvm;
	bool flush = false;
	unsigned long i;
	int level;

	guard(spinlock)(&kvm->mmu_lock);
	if (!kvm_ops->tdp)
		return kvm_shadow_write_protect(slot, pages, first, count);
	for_each_set_bit(i, pages, count) {
		u64 *e = find_leaf(slot->space, slot->base + first + i, &level);

		if (e && *e & kvm_ops->tdp->write) {
			WRITE_ONCE(*e, *e & ~kvm_ops->tdp->write);
			flush = true;
		}
	}
	if (flush)
		kvm_request_all(kvm, REQ_TLB_FLUSH);
}

/* Step by step: user space says how much, up to 2^31 pages. */
void kvm_mmu_write_protect(struct kvm_memslot *slot, const unsigned long *pages, u64 first,
			   u64 count)
{
	for (u64 done = 0, step = level_pages(3); done < count; done += step) {
		write_protect(slot, pages + done / BITS_PER_LONG, first + done,
			      min(count - done, step));
		cond_resched();
	}
}

/* ---- what the host has at an address ------------------------------------- */

/* Memory without struct page: a mapping of a device. mmap_lock is held. */
static int find_device_page(unsigned long hva, bool write, bool may_write, struct host_page *host)
{
	struct follow_pfnmap_args args = {
		.address = hva, .vma = vma_lookup(current->mm, hva),
	};
	int r;

	if (!args.vma || !(args.vma->vm_flags & (VM_IO | VM_PFNMAP)))
		return -EFAULT;
	r = follow_pfnmap_start(&args);
	if (!r && write && !args.writable) {
		follow_pfnmap_end(&args);
		r = -EFAULT;
	}
	if (r)
		r = fixup_user_fault(current->mm, hva, write ? FAULT_FLAG_WRITE : 0, NULL) ?:
		    follow_pfnmap_start(&args);
	if (r)
		return r;
	host->pfn = args.pfn;
	host->writable = may_write && args.writable;
	host->ram = pfn_valid(args.pfn) && !PageReserved(pfn_to_page(args.pfn));
	follow_pfnmap_end(&args);
	return write && !host->writable ? -EFAULT : 0;
}

int kvm_mmu_peek_pages(unsigned long hva, int n, bool may_write, struct host_page *host)
{
	struct page *page[KVM_PEEK_PAGES];

	n = get_user_pages_fast_only(hva, n, may_write ? FOLL_WRITE : 0, page);
	for (int i = 0; i < n; i++) {
		struct folio *folio = page_folio(page[i]);

		host[i].pfn = page_to_pfn(page[i]);
		/* What has no file behind it is almost always dirty already. */
		if (may_write && folio_test_swapbacked(folio) && !folio_test_dirty(folio))
			folio_set_dirty(folio);
		host[i].writable = may_write && folio_test_dirty(folio);
		host[i].ram = !PageReserved(page[i]);
		put_page(page[i]);
	}
	return max(n, 0);
}

/*
 * The host page behind hva, faulted in if need be. A read takes what is there,
 * and the write permission with it if that costs nothing.
 */
static int find_host_page(unsigned long hva, bool write, bool may_write, struct host_page *host)
{
	struct page *page;
	long r;

	host->writable = may_write;
	r = get_user_pages_fast_only(hva, 1, may_write ? FOLL_WRITE : 0, &page);
	if (r != 1) {
		host->writable = write;
		r = get_user_pages_unlocked(hva, 1, &page,
					    FOLL_INTERRUPTIBLE | FOLL_HWPOISON |
					    (write ? FOLL_WRITE : 0));
	}
	/* The host's memory has failed there: QEMU makes a machine check of it. */
	if (r == -EHWPOISON)
		send_sig_mceerr(BUS_MCEERR_AR, (void __user *)hva, PAGE_SHIFT, current);
	if (r != 1) {
		/* A signal is run_loop()'s. */
		if (r == -EINTR || r == -EAGAIN || r == -EHWPOISON)
			return -EAGAIN;
		mmap_read_lock(current->mm);
		r = find_device_page(hva, write, may_write, host);
		mmap_read_unlock(current->mm);
		return r;
	}
	host->pfn = page_to_pfn(page);
	host->ram = !PageReserved(page) || is_zero_pfn(host->pfn);
	/* The guest will write behind the kernel's back. */
	if (host->writable && !PageDirty(page) && !PageReserved(page))
		set_page_dirty_lock(page);
	put_page(page);
	return 0;
}

/* How large a page the process has mapped at hva; mmu_lock held, not stale. */
static int host_level(struct kvm *kvm, unsigned long hva)
{
	pgd_t pgd;
	p4d_t p4d;
	pud_t pud;
	pmd_t pmd;

	/* Interrupts off: the tables that we read are not freed meanwhile. */
	guard(irqsave)();
	pgd = READ_ONCE(*pgd_offset(kvm->mm, hva));
	if (!pgd_present(pgd))
		return 1;
	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (!p4d_present(p4d))
		return 1;
	pud = READ_ONCE(*pud_offset(&p4d, hva));
	if (!pud_present(pud))
		return 1;
	if (pud_leaf(pud))
		return 3;
	pmd = READ_ONCE(*pmd_offset(&pud, hva));
	return pmd_present(pmd) && pmd_leaf(pmd) ? 2 : 1;
}

/* The largest leaf that may map gfn: it must lie in one slot and one host page. */
static int leaf_level(struct kvm *kvm, const struct kvm_memslot *slot, gfn_t gfn, unsigned long hva)
{
	int level;

	if (slot->dirty)
		return 1;
	level = min_t(int, host_level(kvm, hva), kvm_ops->tdp->max_level);
	for (; level > 1; level--) {
		u64 pages = level_pages(level);
		gfn_t first = round_down(gfn, pages);

		if (first >= slot->base && first + pages <= slot->base + slot->npages &&
		    !(((slot->hva >> PAGE_SHIFT) ^ slot->base) & (pages - 1)))
			break;
	}
	return level;
}

/* ---- filling in ---------------------------------------------------------- */

/*
 * Put a leaf for gfn at the given level. Whatever is in the way (a smaller
 * leaf's table, a larger leaf) goes. mmu_lock is held, the cache is full.
 */
static void map_leaf(struct kvm_vcpu *vcpu, gfn_t gfn, int level,
		     const struct host_page *host, bool writable)
{
	const struct kvm_tdp_format *format = kvm_ops->tdp;
	gfn_t first = round_down(gfn, level_pages(level));
	u64 *table = __va(vcpu->space->tdp_root), *e;
	struct kvm *kvm = vcpu->kvm;
	LIST_HEAD(freed);

	for (int l = format->levels; l > level; l--) {
		e = entry_of(table, gfn, l);
		if (is_present(*e) && is_leaf(*e, l)) {
			WRITE_ONCE(*e, 0);
			kvm_request_all(kvm, REQ_TLB_FLUSH);
		}
		if (!is_present(*e)) {
			u64 *new = vcpu->mmu_cache.page[--vcpu->mmu_cache.count];

			kvm->tdp_pages++;
			WRITE_ONCE(*e, __pa(new) | format->table);
		}
		table = table_of(*e);
	}

	e = entry_of(table, gfn, level);
	/* What was split for the code in it stays so. */
	while (format->large_less && is_present(*e) && !is_leaf(*e, level))
		e = entry_of(table_of(*e), gfn, --level);
	if (is_present(*e) && !is_leaf(*e, level)) {
		zap_range(vcpu->space, first, first + level_pages(level), &freed);
		kvm_request_all(kvm, REQ_TLB_FLUSH);
		put_pages_list(&freed);
	}
	/* Another vCPU was first, with at least our permissions. */
	if (is_present(*e) && (*e & format->write || !writable))
		return;
	WRITE_ONCE(*e, round_down(host->pfn, level_pages(level)) << PAGE_SHIFT |
		       ((host->ram ? format->leaf : format->leaf_mmio) &
			~(level > 1 ? format->large_less : 0)) |
		       (level > 1 ? PTE_LARGE : 0) | (writable ? format->write : 0) |
		       (host->writable ? PTE_LOGGED : 0));
}

/* The first write to a page since its log was read: the page is there. */
static bool log_write(struct kvm_memslot *slot, gfn_t gfn)
{
	int level;
	u64 *e;

	guard(spinlock)(&slot->space->kvm->mmu_lock);
	e = find_leaf(slot->space, gfn, &level);
	if (!e || level != 1 || !(*e & PTE_LOGGED))
		return false;
	WRITE_ONCE(*e, *e | kvm_ops->tdp->write);
	kvm_mark_dirty(slot, gfn);
	return true;
}

int kvm_mmu_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u32 access, u64 gva,
		  const struct kvm_walk *walk)
{
	bool write = access & ACCESS_WRITE;
	struct kvm *kvm = vcpu->kvm;
	gfn_t gfn = gpa >> PAGE_SHIFT;
	struct kvm_memslot *slot = kvm_find_slot(vcpu->space, gfn);
	struct host_page host = {};
	unsigned long hva, seq;
	int r;

	if (!slot || (write && slot->flags & KVM_MEM_READONLY))
		return FAULT_MMIO;
	if (write && slot->dirty && !walk && log_write(slot, gfn))
		return FAULT_MAPPED;
	hva = slot->hva + ((gfn - slot->base) << PAGE_SHIFT);

	r = walk ? kvm_shadow_fill_cache(vcpu) : fill_cache(&vcpu->mmu_cache);
	if (r)
		return r;
	seq = READ_ONCE(kvm->invalidate_seq);
	/* The page is looked up after the sequence is read. */
	smp_rmb();
	r = find_host_page(hva, write, !(slot->flags & KVM_MEM_READONLY), &host);
	if (r)
		return r == -EAGAIN ? FAULT_MAPPED : r;

	guard(spinlock)(&kvm->mmu_lock);
	if (kvm->invalidate_count || kvm->invalidate_seq != seq)
		return FAULT_MAPPED;
	/* A page whose writes are logged becomes writable by a write. */
	if (walk)
		kvm_shadow_map(vcpu, slot, gva, walk, &host, write);
	else
		map_leaf(vcpu, gfn, !host.ram || (access & ACCESS_EXEC && kvm_ops->tdp->large_less) ? 1 :
			 leaf_level(kvm, slot, gfn, hva), &host,
			 host.writable && (write || !slot->dirty));
	if (write)
		kvm_mark_dirty(slot, gfn);
	vcpu->stat[STAT_second_level_map]++;
	return FAULT_MAPPED;
}

int kvm_mmu_map_own(struct kvm_vcpu *vcpu, gpa_t gpa, void *page)
{
	struct host_page host = { .pfn = __pa(page) >> PAGE_SHIFT, .ram = true };
	int r = fill_cache(&vcpu->mmu_cache);

	if (r)
		return r;
	guard(spinlock)(&vcpu->kvm->mmu_lock);
	map_leaf(vcpu, gpa >> PAGE_SHIFT, 1, &host, false);
	return 1;
}
EXPORT_SYMBOL_GPL(kvm_mmu_map_own);

/* ---- the kernel changes the process's page tables ------------------------ */

static struct kvm *notifier_kvm(struct mmu_notifier *mn)
{
	return container_of(mn, struct kvm, notifier);
}

typedef bool (*gfn_range_fn)(struct kvm_memslot *slot, gfn_t start, gfn_t end, void *arg);

static bool slot_hva_range(struct kvm_memslot *slot, unsigned long start, unsigned long end,
			   gfn_range_fn fn, void *arg)
{
	unsigned long first = max(start, slot->hva);
	unsigned long last = min(end, slot->hva + (slot->npages << PAGE_SHIFT));

	if (first >= last)
		return false;
	return fn(slot, slot->base + ((first - slot->hva) >> PAGE_SHIFT),
		  slot->base + ((last - slot->hva + PAGE_SIZE - 1) >> PAGE_SHIFT), arg);
}

/* Call fn for the guest frames of every slot that lies in the host range. */
static bool visit_hva_range(struct kvm *kvm, unsigned long start, unsigned long end,
			    gfn_range_fn fn, void *arg)
{
	bool any = false;

	guard(srcu)(&kvm->srcu);
	for (int space = 0; space < KVM_SPACES; space++) {
		struct kvm_memslots *slots = srcu_dereference(kvm->space[space].slots, &kvm->srcu);

		for (unsigned int i = 0; i < slots->count; i++)
			any |= slot_hva_range(slots->slot[i], start, end, fn, arg);
	}
	if (kvm->retiring)
		any |= slot_hva_range(kvm->retiring, start, end, fn, arg);
	return any;
}

static bool zap_gfns(struct kvm_memslot *slot, gfn_t start, gfn_t end, void *freed)
{
	if (kvm_ops->tdp)
		return zap_range(slot->space, start, end, freed);
	kvm_shadow_zap(slot, start, end);
	return false;
}

/* Returns whether anything was mapped; begin: until invalidate_range_end(). */
static bool zap_hva_range(struct kvm *kvm, unsigned long start, unsigned long end, bool begin)
{
	LIST_HEAD(freed);
	bool any;

	scoped_guard(spinlock, &kvm->mmu_lock) {
		kvm->invalidate_count += begin;
		any = visit_hva_range(kvm, start, end, zap_gfns, &freed);
		if (any)
			kvm_request_all(kvm, REQ_TLB_FLUSH);
	}
	put_pages_list(&freed);
	return any;
}

static int invalidate_range_start(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	zap_hva_range(notifier_kvm(mn), range->start, range->end, true);
	return 0;
}

static void invalidate_range_end(struct mmu_notifier *mn, const struct mmu_notifier_range *range)
{
	struct kvm *kvm = notifier_kvm(mn);

	guard(spinlock)(&kvm->mmu_lock);
	kvm->invalidate_seq++;
	/* A fault that sees the count drop also sees the sequence move. */
	smp_wmb();
	kvm->invalidate_count--;
}

/* Has the guest touched these pages? With *clear set, forget that it has. */
static bool age_gfns(struct kvm_memslot *slot, gfn_t gfn, gfn_t end, void *clear)
{
	bool young = false;
	u64 accessed;
	int level;

	if (!kvm_ops->tdp)
		return kvm_shadow_age(slot, gfn, end, *(bool *)clear);
	accessed = kvm_ops->tdp->accessed;
	for (; gfn < end; gfn = round_down(gfn, level_pages(level)) + level_pages(level)) {
		u64 *e = find_leaf(slot->space, gfn, &level);

		/* Without accessed bits, what is mapped counts as touched. */
		if (!e || (accessed && !(*e & accessed)))
			continue;
		young = true;
		if (*(bool *)clear)
			clear_bit(__ffs64(accessed), (unsigned long *)e);
	}
	return young;
}

static int age_range(struct mmu_notifier *mn, unsigned long start, unsigned long end, bool clear)
{
	struct kvm *kvm = notifier_kvm(mn);

	guard(spinlock)(&kvm->mmu_lock);
	return visit_hva_range(kvm, start, end, age_gfns, &clear);
}

/*
 * No TLB flush: a processor that has the translation cached will not set the
 * bit again, so a page may look colder than it is. That costs at most a fault.
 * Without accessed bits the leaf goes, and comes back when it is touched.
 */
static int clear_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long start,
		       unsigned long end)
{
	if (kvm_ops->tdp && !kvm_ops->tdp->accessed)
		return zap_hva_range(notifier_kvm(mn), start, end, false);
	return age_range(mn, start, end, true);
}

static int test_young(struct mmu_notifier *mn, struct mm_struct *mm, unsigned long address)
{
	return age_range(mn, address, address + PAGE_SIZE, false);
}

static void zap_all(struct kvm *kvm)
{
	if (!kvm_ops->tdp)
		return kvm_shadow_reset(kvm);
	for (int i = 0; i < KVM_SPACES; i++)
		zap_and_flush(&kvm->space[i], 0, kvm_mmu_max_gfn(), level_pages(4));
}

/* The process is gone; its memory goes next. No vCPU can run any more. */
static void release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	zap_all(notifier_kvm(mn));
}

static const struct mmu_notifier_ops notifier_ops = {
	.invalidate_range_start = invalidate_range_start,
	.invalidate_range_end = invalidate_range_end,
	.clear_flush_young = clear_young,
	.clear_young = clear_young,
	.test_young = test_young,
	.release = release,
};

/* ---- the life of the tables ---------------------------------------------- */

/* When nothing is left below the roots, even if half made. */
static void free_tables(struct kvm *kvm)
{
	if (!kvm_ops->tdp)
		kvm_shadow_destroy_vm(kvm);
	for (int i = 0; i < KVM_SPACES; i++)
		if (kvm->space[i].tdp_root)
			free_page((unsigned long)__va(kvm->space[i].tdp_root));
}

static int alloc_roots(struct kvm *kvm)
{
	for (int i = 0; i < KVM_SPACES; i++) {
		void *root = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);

		if (!root)
			return -ENOMEM;
		kvm->space[i].tdp_root = __pa(root);
	}
	return 0;
}

int kvm_mmu_init_vm(struct kvm *kvm)
{
	int r = kvm_ops->tdp ? alloc_roots(kvm) : kvm_shadow_init_vm(kvm);

	kvm->notifier.ops = &notifier_ops;
	r = r ?: mmu_notifier_register(&kvm->notifier, kvm->mm);
	if (r)
		free_tables(kvm);
	return r;
}

/* No vCPU is left, and the notifier is off. */
void kvm_mmu_destroy_vm(struct kvm *kvm)
{
	zap_all(kvm);
	free_tables(kvm);
	WARN_ON_ONCE(kvm->tdp_pages);
}
