// SPDX-License-Identifier: GPL-2.0-only
/*
 * eventfd.c: ioeventfds. User space registers an address (a port or MMIO), and
 * a write of the guest to it signals an eventfd instead of leaving KVM_RUN:
 * that is how a virtio driver's notification reaches its device cheaply.
 *
 * Changes are made under slots_lock and published like the memory slots; a
 * guest's write looks the list up under srcu.
 */
#include <linux/eventfd.h>
#include <linux/rculist.h>
#include <linux/slab.h>

#include "kvm.h"

struct ioeventfd {
	struct list_head link;
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
	switch (args->len) {
	case 0: case 1: case 2: case 4: case 8:
		break;
	default:
		return -EINVAL;
	}
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

	list_for_each_entry(e, &kvm->ioeventfds, link)
		if (same_place(e, new))
			return -EEXIST;
	list_add_tail_rcu(&new->link, &kvm->ioeventfds);
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

	list_for_each_entry(e, &kvm->ioeventfds, link) {
		if (e->eventfd != old->eventfd || e->addr != old->addr ||
		    e->len != old->len || e->pio != old->pio ||
		    e->wildcard != old->wildcard ||
		    (!e->wildcard && e->datamatch != old->datamatch))
			continue;
		list_del_rcu(&e->link);
		synchronize_srcu_expedited(&kvm->srcu);
		free_ioeventfd(e);
		return 0;
	}
	return -ENOENT;
}

int kvm_ioeventfd(struct kvm *kvm, const struct kvm_ioeventfd *args)
{
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
	e->datamatch = args->datamatch;

	mutex_lock(&kvm->slots_lock);
	if (args->flags & KVM_IOEVENTFD_FLAG_DEASSIGN) {
		r = deassign(kvm, e);
		free_ioeventfd(e);
	} else {
		r = assign(kvm, e);
		if (r)
			free_ioeventfd(e);
	}
	mutex_unlock(&kvm->slots_lock);
	return r;
}

/* The VM's last user is gone. */
void kvm_free_ioeventfds(struct kvm *kvm)
{
	struct ioeventfd *e, *next;

	list_for_each_entry_safe(e, next, &kvm->ioeventfds, link)
		free_ioeventfd(e);
}

bool kvm_ioeventfd_write(struct kvm *kvm, bool pio, u64 addr, unsigned int len,
			 const void *data)
{
	struct ioeventfd *e;
	u64 value = 0;

	if (len > sizeof(value))
		return false;
	memcpy(&value, data, len);
	list_for_each_entry_srcu(e, &kvm->ioeventfds, link,
				 srcu_read_lock_held(&kvm->srcu)) {
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
