// SPDX-License-Identifier: GPL-2.0-only
/*
 * irq.c: from a device's interrupt to the controllers: GSI routing, messages
 * (MSI), irqfds.
 *
 * A GSI is a number that user space raises and lowers. The routing table says
 * what it is connected to: pins of the in-kernel 8259s and I/O APIC, or an MSI.
 * The table is immutable and replaced as a whole; readers hold srcu. A pin is
 * high while any source holds it, so that the PIT and user space can share one.
 *
 * An irqfd is an eventfd whose signal raises a GSI, without a system call of the
 * VM's process. With a resample eventfd the line stays high until the guest
 * acknowledges it; then the line falls and the resample eventfd is signalled.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/poll.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/workqueue.h>

#include "kvm.h"

struct kvm_route {
	u32 gsi;
	bool msi;
	u32 irqchip, pin;
	u32 address_lo, address_hi, data;
};

/* Sorted by gsi. */
struct kvm_routing {
	unsigned int count;
	struct kvm_route route[] __counted_by(count);
};

/* ---- messages ----------------------------------------------------------------------- */

/* SDM vol. 3, 12.11: the address says where, the data what. */
static int send_msi(struct kvm *kvm, u32 address_lo, u32 address_hi, u32 data)
{
	struct kvm_apic_message m = {
		.dest = (address_lo >> 12 & 0xff) | (address_hi & 0xffffff00),
		.logical = address_lo & BIT(2),
		.vector = data,
		.delivery_mode = data >> 8 & 7,
		.level_triggered = data & BIT(15),
		.assert = true,
	};

	return kvm_apic_deliver(kvm, NULL, &m);
}

int kvm_signal_msi(struct kvm *kvm, const struct kvm_msi *msi)
{
	int r;

	if (!kvm->local_apics || msi->flags)
		return -EINVAL;
	r = send_msi(kvm, msi->address_lo, msi->address_hi, msi->data);
	return r == IRQ_NOBODY ? 0 : r;
}

/* ---- routing ---------------------------------------------------------------------------- */

static const struct kvm_route *first_route(const struct kvm_routing *routing, u32 gsi)
{
	unsigned int low = 0, high = routing->count;

	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (routing->route[mid].gsi < gsi)
			low = mid + 1;
		else
			high = mid;
	}
	return &routing->route[low];
}

static int set_pin(struct kvm *kvm, enum kvm_irq_source source,
		   const struct kvm_route *route, bool level)
{
	switch (route->irqchip) {
	case KVM_IRQCHIP_PIC_MASTER:
		return kvm_pic_set_irq(kvm, route->pin, source, level);
	case KVM_IRQCHIP_PIC_SLAVE:
		return kvm_pic_set_irq(kvm, 8 + route->pin, source, level);
	default:
		return kvm_ioapic_set_irq(kvm, route->pin, source, level);
	}
}

/* Raise the GSI, lower it, or both one after the other: an edge. */
static int set_gsi(struct kvm *kvm, enum kvm_irq_source source, u32 gsi, bool raise, bool lower)
{
	const struct kvm_routing *routing;
	const struct kvm_route *route;
	int idx, r, result = IRQ_NOBODY;

	idx = srcu_read_lock(&kvm->srcu);
	routing = srcu_dereference(kvm->routing, &kvm->srcu);
	if (routing) {
		route = first_route(routing, gsi);
		for (; route < routing->route + routing->count && route->gsi == gsi; route++) {
			r = IRQ_NOBODY;
			if (route->msi && raise)
				r = send_msi(kvm, route->address_lo,
					     route->address_hi, route->data);
			if (!route->msi && raise)
				r = set_pin(kvm, source, route, true);
			if (!route->msi && lower)
				r = max(r, set_pin(kvm, source, route, false));
			result = max(result, r);
		}
	}
	srcu_read_unlock(&kvm->srcu, idx);
	return result;
}

int kvm_set_irq(struct kvm *kvm, enum kvm_irq_source source, u32 gsi, bool level)
{
	return set_gsi(kvm, source, gsi, level, !level);
}

static int compare_routes(const void *a, const void *b)
{
	const struct kvm_route *x = a, *y = b;

	return x->gsi < y->gsi ? -1 : x->gsi > y->gsi;
}

static int check_route(struct kvm *kvm, const struct kvm_irq_routing_entry *e,
		       struct kvm_route *route)
{
	route->gsi = e->gsi;
	if (e->gsi >= KVM_MAX_ROUTES)
		return -EINVAL;
	switch (e->type) {
	case KVM_IRQ_ROUTING_MSI:
		if (e->flags)
			return -EINVAL;
		route->msi = true;
		route->address_lo = e->u.msi.address_lo;
		route->address_hi = e->u.msi.address_hi;
		route->data = e->u.msi.data;
		return 0;
	case KVM_IRQ_ROUTING_IRQCHIP:
		if (e->flags || !kvm->pic)
			return -EINVAL;
		route->irqchip = e->u.irqchip.irqchip;
		route->pin = e->u.irqchip.pin;
		switch (route->irqchip) {
		case KVM_IRQCHIP_PIC_MASTER:
		case KVM_IRQCHIP_PIC_SLAVE:
			return route->pin < 8 ? 0 : -EINVAL;
		case KVM_IRQCHIP_IOAPIC:
			return route->pin < KVM_IRQ_PINS ? 0 : -EINVAL;
		}
		return -EINVAL;
	default:
		return -EINVAL;
	}
}

static void publish(struct kvm *kvm, struct kvm_routing *routing)
{
	struct kvm_routing *old;

	mutex_lock(&kvm->slots_lock);
	old = rcu_dereference_protected(kvm->routing,
					lockdep_is_held(&kvm->slots_lock));
	rcu_assign_pointer(kvm->routing, routing);
	synchronize_srcu_expedited(&kvm->srcu);
	mutex_unlock(&kvm->slots_lock);
	kfree(old);
}

int kvm_set_routing(struct kvm *kvm, const struct kvm_irq_routing *head,
		    const struct kvm_irq_routing_entry __user *user)
{
	struct kvm_irq_routing_entry *entries = NULL;
	struct kvm_routing *routing;
	unsigned int i;
	int r = 0;

	if (!kvm->local_apics || head->flags || head->nr > KVM_MAX_ROUTES)
		return -EINVAL;
	if (head->nr) {
		entries = vmemdup_array_user(user, head->nr, sizeof(*entries));
		if (IS_ERR(entries))
			return PTR_ERR(entries);
	}
	routing = kzalloc(struct_size(routing, route, head->nr), GFP_KERNEL_ACCOUNT);
	if (!routing)
		r = -ENOMEM;
	else
		routing->count = head->nr;
	for (i = 0; i < head->nr && !r; i++)
		r = check_route(kvm, &entries[i], &routing->route[i]);
	kvfree(entries);
	if (r) {
		kfree(routing);
		return r;
	}
	sort(routing->route, routing->count, sizeof(routing->route[0]),
	     compare_routes, NULL);
	publish(kvm, routing);
	return 0;
}

/* As a PC is wired: the PIT's line 0 is pin 2 of the I/O APIC. */
static int default_routing(struct kvm *kvm)
{
	unsigned int count = 16 + KVM_IRQ_PINS - 1, gsi, n = 0;
	struct kvm_routing *routing;

	routing = kzalloc(struct_size(routing, route, count), GFP_KERNEL_ACCOUNT);
	if (!routing)
		return -ENOMEM;
	routing->count = count;
	for (gsi = 0; gsi < KVM_IRQ_PINS; gsi++) {
		if (gsi < 16)
			routing->route[n++] = (struct kvm_route){
				.gsi = gsi, .pin = gsi % 8,
				.irqchip = gsi < 8 ? KVM_IRQCHIP_PIC_MASTER :
						     KVM_IRQCHIP_PIC_SLAVE };
		if (gsi != 2)
			routing->route[n++] = (struct kvm_route){
				.gsi = gsi, .pin = gsi ? gsi : 2,
				.irqchip = KVM_IRQCHIP_IOAPIC };
	}
	publish(kvm, routing);
	return 0;
}

/* ---- the kernel's own controllers --------------------------------------------------------- */

int kvm_create_irqchip(struct kvm *kvm)
{
	int r;

	mutex_lock(&kvm->lock);
	r = -EEXIST;
	if (kvm->local_apics)
		goto out;
	r = -EINVAL;
	if (kvm->nr_vcpus)
		goto out;
	r = kvm_pic_create(kvm);
	if (r)
		goto out;
	r = kvm_ioapic_create(kvm);
	if (r)
		goto free_pic;
	r = default_routing(kvm);
	if (r)
		goto free_ioapic;
	WRITE_ONCE(kvm->local_apics, true);
	goto out;
free_ioapic:
	kvm_ioapic_destroy(kvm);
free_pic:
	kvm_pic_destroy(kvm);
out:
	mutex_unlock(&kvm->lock);
	return r;
}

/* Local APICs here, everything else in user space. */
int kvm_split_irqchip(struct kvm *kvm, u64 pins)
{
	int r = 0;

	if (pins > KVM_MAX_ROUTES)
		return -EINVAL;
	mutex_lock(&kvm->lock);
	if (kvm->local_apics)
		r = -EEXIST;
	else if (kvm->nr_vcpus)
		r = -EINVAL;
	else
		WRITE_ONCE(kvm->local_apics, true);
	mutex_unlock(&kvm->lock);
	return r;
}

void kvm_pic_output_changed(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	xa_for_each(&kvm->vcpus, i, vcpu)
		if (vcpu->lapic && kvm_apic_accepts_extint(vcpu)) {
			kvm_request(vcpu, REQ_EVENT);
			kvm_kick(vcpu);
		}
}

/* Ports of the controllers; one byte at a time. */
bool kvm_device_pio(struct kvm *kvm, u16 port, unsigned int len, void *data, bool write)
{
	u8 *byte = data;
	bool mine;

	/* Most ports are nobody's here. */
	if (!kvm->pic || (port > 0xa1 && (port & ~1) != 0x4d0))
		return false;
	if (write)
		mine = kvm_pic_write(kvm, port, *byte) ||
		       (kvm->pit && kvm_pit_write(kvm, port, *byte));
	else
		mine = kvm_pic_read(kvm, port, byte) ||
		       (kvm->pit && kvm_pit_read(kvm, port, byte));
	/* Nobody drives the upper lines of the bus. */
	if (mine && !write && len > 1)
		memset(byte + 1, 0xff, len - 1);
	return mine;
}

bool kvm_device_mmio(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int len, void *data,
		     bool write)
{
	struct kvm *kvm = vcpu->kvm;

	if (!kvm->local_apics)
		return false;
	if (write)
		return kvm_apic_write(vcpu, gpa, len, data) ||
		       (kvm->ioapic && kvm_ioapic_write(kvm, gpa, len, data));
	return kvm_apic_read(vcpu, gpa, len, data) ||
	       (kvm->ioapic && kvm_ioapic_read(kvm, gpa, len, data));
}

/* ---- irqfd ------------------------------------------------------------------------------------ */

struct irqfd {
	struct list_head link;		/* kvm->irqfds; readers: srcu */
	struct kvm *kvm;
	struct eventfd_ctx *eventfd, *resample;
	u32 gsi;
	wait_queue_entry_t wait;
	poll_table poll;
	struct work_struct closed;
};

static int irqfd_signalled(wait_queue_entry_t *wait, unsigned int mode, int sync,
			   void *key)
{
	struct irqfd *irqfd = container_of(wait, struct irqfd, wait);
	__poll_t events = key_to_poll(key);
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->eventfd, &count);
		set_gsi(irqfd->kvm, IRQ_SOURCE_IRQFD, irqfd->gsi, true, !irqfd->resample);
	}
	/* The last descriptor of the eventfd is closed: nobody will signal it. */
	if (events & EPOLLHUP)
		schedule_work(&irqfd->closed);
	return 0;
}

static void irqfd_queue(struct file *file, wait_queue_head_t *head, poll_table *poll)
{
	struct irqfd *irqfd = container_of(poll, struct irqfd, poll);

	add_wait_queue_priority(head, &irqfd->wait);
}

/* Off the eventfd's queue and off the list; irqfd_lock held. */
static void detach_irqfd(struct irqfd *irqfd)
{
	u64 count;

	eventfd_ctx_remove_wait_queue(irqfd->eventfd, &irqfd->wait, &count);
	list_del_rcu(&irqfd->link);
	synchronize_srcu_expedited(&irqfd->kvm->srcu);
	if (irqfd->resample)
		kvm_set_irq(irqfd->kvm, IRQ_SOURCE_IRQFD, irqfd->gsi, false);
}

static void free_irqfd(struct irqfd *irqfd)
{
	if (irqfd->resample)
		eventfd_ctx_put(irqfd->resample);
	eventfd_ctx_put(irqfd->eventfd);
	kfree(irqfd);
}

static void irqfd_closed(struct work_struct *work)
{
	struct irqfd *irqfd = container_of(work, struct irqfd, closed);
	struct kvm *kvm = irqfd->kvm;
	struct irqfd *other;

	mutex_lock(&kvm->irqfd_lock);
	/* It may have been taken off meanwhile; its owner then waits for us. */
	list_for_each_entry(other, &kvm->irqfds, link)
		if (other == irqfd) {
			detach_irqfd(irqfd);
			list_add(&irqfd->link, &kvm->irqfds_closed);
			break;
		}
	mutex_unlock(&kvm->irqfd_lock);
}

/* Those that irqfd_closed() took off, whose work is done. irqfd_lock held. */
static void reap_irqfds(struct kvm *kvm)
{
	struct irqfd *irqfd, *next;

	list_for_each_entry_safe(irqfd, next, &kvm->irqfds_closed, link) {
		if (work_busy(&irqfd->closed))
			continue;
		list_del(&irqfd->link);
		free_irqfd(irqfd);
	}
}

static int assign_irqfd(struct kvm *kvm, const struct kvm_irqfd *args)
{
	struct irqfd *irqfd, *other;
	CLASS(fd, f)(args->fd);
	int r;

	if (fd_empty(f))
		return -EBADF;
	irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	if (!irqfd)
		return -ENOMEM;
	irqfd->kvm = kvm;
	irqfd->gsi = args->gsi;
	INIT_WORK(&irqfd->closed, irqfd_closed);
	irqfd->eventfd = eventfd_ctx_fileget(fd_file(f));
	if (IS_ERR(irqfd->eventfd)) {
		r = PTR_ERR(irqfd->eventfd);
		kfree(irqfd);
		return r;
	}
	if (args->flags & KVM_IRQFD_FLAG_RESAMPLE) {
		irqfd->resample = eventfd_ctx_fdget(args->resamplefd);
		if (IS_ERR(irqfd->resample)) {
			r = PTR_ERR(irqfd->resample);
			eventfd_ctx_put(irqfd->eventfd);
			kfree(irqfd);
			return r;
		}
	}
	init_waitqueue_func_entry(&irqfd->wait, irqfd_signalled);
	init_poll_funcptr(&irqfd->poll, irqfd_queue);

	mutex_lock(&kvm->irqfd_lock);
	reap_irqfds(kvm);
	list_for_each_entry(other, &kvm->irqfds, link)
		if (other->eventfd == irqfd->eventfd) {
			mutex_unlock(&kvm->irqfd_lock);
			free_irqfd(irqfd);
			return -EBUSY;
		}
	list_add_tail_rcu(&irqfd->link, &kvm->irqfds);
	/* What was signalled before we listened counts, too. */
	if (vfs_poll(fd_file(f), &irqfd->poll) & EPOLLIN)
		kvm_set_irq(kvm, IRQ_SOURCE_IRQFD, irqfd->gsi, true);
	mutex_unlock(&kvm->irqfd_lock);
	return 0;
}

static int deassign_irqfd(struct kvm *kvm, const struct kvm_irqfd *args)
{
	struct eventfd_ctx *eventfd = eventfd_ctx_fdget(args->fd);
	struct irqfd *irqfd, *next;

	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);
	mutex_lock(&kvm->irqfd_lock);
	list_for_each_entry_safe(irqfd, next, &kvm->irqfds, link)
		if (irqfd->eventfd == eventfd && irqfd->gsi == args->gsi) {
			detach_irqfd(irqfd);
			list_add(&irqfd->link, &kvm->irqfds_closed);
		}
	reap_irqfds(kvm);
	mutex_unlock(&kvm->irqfd_lock);
	eventfd_ctx_put(eventfd);
	return 0;
}

int kvm_irqfd(struct kvm *kvm, const struct kvm_irqfd *args)
{
	if (args->flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE))
		return -EINVAL;
	if (args->gsi >= KVM_MAX_ROUTES || !kvm->local_apics)
		return -EINVAL;
	if (args->flags & KVM_IRQFD_FLAG_DEASSIGN)
		return deassign_irqfd(kvm, args);
	return assign_irqfd(kvm, args);
}

/* Is this GSI connected to this pin? Caller holds srcu. */
static bool gsi_has_pin(const struct kvm_routing *routing, u32 gsi, u32 irqchip, u32 pin)
{
	const struct kvm_route *route;

	for (route = first_route(routing, gsi);
	     route < routing->route + routing->count && route->gsi == gsi; route++)
		if (!route->msi && route->irqchip == irqchip && route->pin == pin)
			return true;
	return false;
}

void kvm_notify_acked(struct kvm *kvm, unsigned int irqchip, unsigned int pin)
{
	const struct kvm_routing *routing;
	struct irqfd *irqfd;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	routing = srcu_dereference(kvm->routing, &kvm->srcu);
	if (routing) {
		if (kvm->pit && gsi_has_pin(routing, 0, irqchip, pin))
			kvm_pit_acked(kvm);
		list_for_each_entry_srcu(irqfd, &kvm->irqfds, link,
					 srcu_read_lock_held(&kvm->srcu)) {
			if (!irqfd->resample ||
			    !gsi_has_pin(routing, irqfd->gsi, irqchip, pin))
				continue;
			kvm_set_irq(kvm, IRQ_SOURCE_IRQFD, irqfd->gsi, false);
			eventfd_signal(irqfd->resample);
		}
	}
	srcu_read_unlock(&kvm->srcu, idx);
}

/* ---- birth and death ------------------------------------------------------------------------------- */

void kvm_irq_init(struct kvm *kvm)
{
	mutex_init(&kvm->irqfd_lock);
	INIT_LIST_HEAD(&kvm->irqfds);
	INIT_LIST_HEAD(&kvm->irqfds_closed);
}

/* The last user is gone: no ioctl, no vCPU. Signals of eventfds end here. */
void kvm_irq_destroy(struct kvm *kvm)
{
	struct irqfd *irqfd, *next;

	mutex_lock(&kvm->irqfd_lock);
	list_for_each_entry_safe(irqfd, next, &kvm->irqfds, link) {
		detach_irqfd(irqfd);
		list_add(&irqfd->link, &kvm->irqfds_closed);
	}
	mutex_unlock(&kvm->irqfd_lock);
	list_for_each_entry_safe(irqfd, next, &kvm->irqfds_closed, link) {
		cancel_work_sync(&irqfd->closed);
		free_irqfd(irqfd);
	}
	/* Their timers reach vCPUs. */
	kvm_pit_destroy(kvm);
	kvm_ioapic_destroy(kvm);
}

/* After the vCPUs. */
void kvm_irq_free(struct kvm *kvm)
{
	kvm_pic_destroy(kvm);
	kfree(rcu_dereference_protected(kvm->routing, true));
}
