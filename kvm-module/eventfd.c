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
#include <linux/gfp.h>
#include <linux/nospec.h>
#include <linux/hash.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include "kvm.h"

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
	return e->pio == n->pio && e->addr == n->addr &&
	       (!e->len || !n->len ||
		(e->len == n->len && (e->wildcard || n->wildcard ||
				      e->datamatch == n->datamatch)));
}

static int check_args(const struct kvm_ioeventfd *args)
{
	if (args->len > 8 || hweight32(args->len) > 1)
		return -EINVAL;
	if (args->addr + args->len < args->addr)
		return -EINVAL;
	if (args->flags & ~KVM_IOEVENTFD_VALID_FLAG_MASK ||
	    args->flags & KVM_IOEVENTFD_FLAG_VIRTIO_CCW_NOTIFY)
		return -EINVAL;
	/* A value to match needs a length. */
	if (!args->len && args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH)
		return -EINVAL;
	return 0;
}

static int assign(struct kvm *kvm, struct ioeventfd *new)
{
	struct ioeventfd *e;

	hash_for_each_possible(kvm->ioeventfds, e, link, new->addr)
		if (same_place(e, new))
			return -EEXIST;
	hash_add_rcu(kvm->ioeventfds, &new->link, new->addr);
	WRITE_ONCE(kvm->write_takers, kvm->write_takers + 1);
	return 0;
}

static void free_ioeventfd(struct ioeventfd *e)
{
	eventfd_ctx_put(e->eventfd);
	kfree(e);
}

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
	struct ioeventfd *e;
	int r = check_args(args);

	if (r)
		return r;
	e = kzalloc(sizeof(*e), GFP_KERNEL_ACCOUNT);
	if (!e)
		return -ENOMEM;
	e->eventfd = eventfd_ctx_fdget(args->fd);
	if (IS_ERR(e->eventfd)) {
		r = PTR_ERR(e->eventfd);
		kfree(e);
		return r;
	}
	e->addr = args->addr;
	e->len = args->len;
	e->pio = args->flags & KVM_IOEVENTFD_FLAG_PIO;
	e->wildcard = !(args->flags & KVM_IOEVENTFD_FLAG_DATAMATCH);
	e->datamatch = e->wildcard ? 0 : args->datamatch;

	guard(mutex)(&kvm->slots_lock);
	if (!(args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN)) {
		r = assign(kvm, e);
		if (!r)
			return 0;
	} else {
		r = deassign(kvm, e);
	}
	free_ioeventfd(e);
	return r;
}

static bool signal_eventfd(struct kvm *kvm, bool pio, u64 addr, unsigned int len,
			   const void *data)
{
	struct ioeventfd *e;
	u64 value = 0;

	memcpy(&value, data, len);
	hlist_for_each_entry_srcu(e, &kvm->ioeventfds[hash_min(addr, HASH_BITS(kvm->ioeventfds))],
				  link, srcu_read_lock_held(&kvm->srcu)) {
		if (e->pio != pio || e->addr != addr)
			continue;
		if (e->len && e->len != len)
			continue;
		if (!e->wildcard && e->datamatch != value)
			continue;
		eventfd_signal(e->eventfd);
		return true;
	}
	return false;
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

static int add_zone(struct kvm *kvm, const struct kvm_coalesced_mmio_zone *args)
{
	struct coalesced_zone *z = kzalloc(sizeof(*z), GFP_KERNEL_ACCOUNT);

	if (!z || !kvm_coalesced_ring(kvm)) {
		kfree(z);
		return -ENOMEM;
	}
	z->at = *args;
	list_add_tail_rcu(&z->link, &kvm->coalesced);
	WRITE_ONCE(kvm->write_takers, kvm->write_takers + 1);
	return 0;
}

/* All that the zones inside these addresses held. */
static void remove_zones(struct kvm *kvm, const struct kvm_coalesced_mmio_zone *args)
{
	struct coalesced_zone *z, *next;

	list_for_each_entry_safe(z, next, &kvm->coalesced, link)
		if (inside(args, z->at.pio, z->at.addr, z->at.size)) {
			list_del_rcu(&z->link);
			WRITE_ONCE(kvm->write_takers, kvm->write_takers - 1);
			synchronize_srcu_expedited(&kvm->srcu);
			kfree(z);
		}
}

int kvm_coalesced_zone(struct kvm *kvm, const struct kvm_coalesced_mmio_zone *args, bool add)
{
	if (args->pio > 1 || args->addr + args->size < args->addr)
		return -EINVAL;
	guard(mutex)(&kvm->slots_lock);
	if (add)
		return add_zone(kvm, args);
	remove_zones(kvm, args);
	return 0;
}

/* False when the ring is full, or is not what we left there. */
static bool put_into_ring(struct kvm *kvm, bool pio, u64 addr, unsigned int len,
			  const void *data)
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

bool kvm_find_taker(struct kvm_vcpu *vcpu, bool pio, u64 addr, unsigned int len,
		    const void *data)
{
	struct kvm *kvm = vcpu->kvm;
	struct coalesced_zone *z;

	if (len > 8)
		return false;
	if (signal_eventfd(kvm, pio, addr, len, data)) {
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
