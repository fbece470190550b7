// SPDX-License-Identifier: GPL-2.0-only
/*
 * eventfd.c: a guest's writes to ports and MMIO that need not leave KVM_RUN.
 *
 * An ioeventfd: a write to its address signals an eventfd; that is how a virtio
 * driver's notification reaches its device cheaply. A coalesced zone: a write
 * waits in a ring, one a VM, in a page that user space has mapped; it reads the
 * ring at the next exit, whatever that is for.
 *
 * Changes are made under slots_lock and published like the memory slots; a
 * guest's write looks the lists up under srcu. What user space writes into the
 * ring's page is not trusted.
 */
#include <linux/eventfd.h>
#include <linux/nospec.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include "kvm.h"

#define MAX_TAKERS	65536	/* a guest's write may look through all of them */

struct ioeventfd {
	struct hlist_node link;
	struct eventfd_ctx *eventfd;
	u64 addr;
	u64 datamatch;
	u32 len;		/* 0: any */
	bool wildcard;		/* any value */
	bool pio;
};

static bool same_place(const struct ioeventfd *e, const struct ioeventfd *n)
{
	return e->pio == n->pio && e->addr == n->addr && (!e->len || !n->len ||
	       (e->len == n->len && (e->wildcard || n->wildcard || e->datamatch == n->datamatch)));
}

/* A value to match needs a length. */
static bool valid_args(const struct kvm_ioeventfd *args)
{
	return args->len <= 8 && hweight32(args->len) <= 1 &&
	       args->addr + args->len >= args->addr &&
	       !(args->flags & ~(KVM_IOEVENTFD_FLAG_DATAMATCH | KVM_IOEVENTFD_FLAG_PIO |
				 KVM_IOEVENTFD_FLAG_DEASSIGN)) &&
	       (args->len || !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH));
}

static void free_ioeventfd(struct ioeventfd *e)
{
	if (e && !IS_ERR(e->eventfd))
		eventfd_ctx_put(e->eventfd);
	kfree(e);
}

DEFINE_FREE(ioeventfd, struct ioeventfd *, free_ioeventfd(_T))

static int deassign(struct kvm *kvm, const struct ioeventfd *old)
{
	struct ioeventfd *e;

	hash_for_each_possible(kvm->ioeventfds, e, link, old->addr) {
		/* All but the link; what lies between the fields is zero. */
		if (memcmp(&e->eventfd, &old->eventfd,
			   sizeof(*e) - offsetof(struct ioeventfd, eventfd)))
			continue;
		hash_del_rcu(&e->link);
		WRITE_ONCE(kvm->write_takers, kvm->write_takers - 1);
		synchronize_srcu_expedited(&kvm->srcu);
		free_ioeventfd(e);
		return 0;
	}
	return -ENOENT;
}

int kvm_ioeventfd(struct kvm *kvm, void *arg)
{
	const struct kvm_ioeventfd *args = arg;
	struct ioeventfd *e __free(ioeventfd) = NULL, *other;

	if (!valid_args(args))
		return -EINVAL;
	e = kzalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	e->eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(e->eventfd))
		return PTR_ERR(e->eventfd);
	e->addr = args->addr;
	e->len = args->len;
	e->pio = args->flags & KVM_IOEVENTFD_FLAG_PIO;
	e->wildcard = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	e->datamatch = e->wildcard ? 0 : args->datamatch;

	guard(mutex)(&kvm->slots_lock);
	if (args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN)
		return deassign(kvm, e);
	hash_for_each_possible(kvm->ioeventfds, other, link, e->addr)
		if (same_place(other, e))
			return -EEXIST;
	if (kvm->write_takers >= MAX_TAKERS)
		return -ENOSPC;
	hash_add_rcu(kvm->ioeventfds, &e->link, e->addr);
	WRITE_ONCE(kvm->write_takers, kvm->write_takers + 1);
	retain_and_null_ptr(e);
	return 0;
}

/* ---- coalesced zones ----------------------------------------------------- */

struct coalesced_zone {
	struct list_head link;
	struct kvm_coalesced_mmio_zone at;
};

static bool inside(const struct kvm_coalesced_mmio_zone *z, bool pio, u64 addr, u64 size)
{
	return z->pio == pio && addr >= z->addr && addr - z->addr + size <= z->size;
}

/* Allocated by whoever needs it first: a vCPU's fault handler, or a zone. */
void *kvm_coalesced_ring(struct kvm *kvm)
{
	void *ring = READ_ONCE(kvm->ring), *other;

	if (ring)
		return ring;
	ring = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	other = ring ? cmpxchg(&kvm->ring, NULL, ring) : NULL;
	if (!other)
		return ring;
	free_page((unsigned long)ring);
	return other;
}

static bool valid_zone(const struct kvm_coalesced_mmio_zone *args)
{
	return args->pio <= 1 && args->addr + args->size >= args->addr;
}

int kvm_add_zone(struct kvm *kvm, void *arg)
{
	struct coalesced_zone *z __free(kfree) = kzalloc(sizeof(*z), GFP_KERNEL_ACCOUNT);

	if (!valid_zone(arg))
		return -EINVAL;
	if (!z || !kvm_coalesced_ring(kvm))
		return -ENOMEM;
	z->at = *(const struct kvm_coalesced_mmio_zone *)arg;
	guard(mutex)(&kvm->slots_lock);
	if (kvm->write_takers >= MAX_TAKERS)
		return -ENOSPC;
	list_add_tail_rcu(&z->link, &kvm->coalesced);
	WRITE_ONCE(kvm->write_takers, kvm->write_takers + 1);
	retain_and_null_ptr(z);
	return 0;
}

int kvm_remove_zones(struct kvm *kvm, void *arg)
{
	const struct kvm_coalesced_mmio_zone *args = arg;
	struct coalesced_zone *z, *next;

	if (!valid_zone(args))
		return -EINVAL;
	guard(mutex)(&kvm->slots_lock);
	list_for_each_entry_safe(z, next, &kvm->coalesced, link)
		if (inside(args, z->at.pio, z->at.addr, z->at.size)) {
			list_del_rcu(&z->link);
			WRITE_ONCE(kvm->write_takers, kvm->write_takers - 1);
			synchronize_srcu_expedited(&kvm->srcu);
			kfree(z);
		}
	return 0;
}

/* False when the ring is full, or is not what we left there. */
static bool put_into_ring(struct kvm *kvm, bool pio, u64 addr, unsigned int len, const void *data)
{
	struct kvm_coalesced_mmio_ring *ring = kvm->ring;
	struct kvm_coalesced_mmio *entry;
	u32 last, next;

	guard(spinlock)(&kvm->ring_lock);
	last = READ_ONCE(ring->last);
	next = (last + 1) % KVM_COALESCED_MMIO_MAX;
	if (last >= KVM_COALESCED_MMIO_MAX || next == READ_ONCE(ring->first))
		return false;
	entry = &ring->coalesced_mmio[array_index_nospec(last, KVM_COALESCED_MMIO_MAX)];
	entry->phys_addr = addr;
	entry->len = len;
	entry->pio = pio;
	memcpy(entry->data, data, len);
	/* User space sees the entry before it sees that there is one. */
	smp_store_release(&ring->last, next);
	return true;
}

/* ---- a guest's write ----------------------------------------------------- */

static bool is_value(u64 value, const void *data, unsigned int len)
{
	u64 written = 0;

	memcpy(&written, data, len);
	return written == value;
}

bool kvm_find_taker(struct kvm_vcpu *vcpu, bool pio, u64 addr, unsigned int len, const void *data)
{
	struct kvm *kvm = vcpu->kvm;
	struct coalesced_zone *z;
	struct ioeventfd *e;

	if (len > 8)
		return false;
	hash_for_each_possible_rcu(kvm->ioeventfds, e, link, addr, srcu_read_lock_held(&kvm->srcu))
		if (e->pio == pio && e->addr == addr && (!e->len || e->len == len) &&
		    (e->wildcard || is_value(e->datamatch, data, len))) {
			eventfd_signal(e->eventfd);
			vcpu->stat[STAT_ioeventfd]++;
			return true;
		}
	list_for_each_entry_srcu(z, &kvm->coalesced, link, srcu_read_lock_held(&kvm->srcu))
		if (inside(&z->at, pio, addr, len) && put_into_ring(kvm, pio, addr, len, data)) {
			vcpu->stat[STAT_coalesced]++;
			return true;
		}
	return false;
}

/* The VM's last user is gone. */
void kvm_free_ioeventfds(struct kvm *kvm)
{
	struct coalesced_zone *z, *next;
	struct hlist_node *next_e;
	struct ioeventfd *e;
	int bucket;

	hash_for_each_safe(kvm->ioeventfds, bucket, next_e, e, link)
		free_ioeventfd(e);
	list_for_each_entry_safe(z, next, &kvm->coalesced, link)
		kfree(z);
	free_page((unsigned long)kvm->ring);
}
