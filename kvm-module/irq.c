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
#include <linux/uaccess.h>

#include "kvm.h"

/* ---- messages ------------------------------------------------------------ */

/* SDM vol. 3, 12.11: the address says where, the data what. */
static int send_msi(struct kvm *kvm, u32 address_lo, u32 address_hi, u32 data)
{
	struct kvm_apic_message m = {
		.dest = (address_lo >> 12 & 0xff) | (address_hi & 0xffffff00),
		.logical = address_lo & BIT(2),
		.vector = data,
		.delivery_mode = data >> 8 & 7,
		.level_triggered = data & BIT(15),
	};

	return kvm_apic_deliver(kvm, NULL, &m);
}

int kvm_signal_msi(struct kvm *kvm, void *arg)
{
	const struct kvm_msi *msi = arg;

	if (!kvm->local_apics || msi->flags)
		return -EINVAL;
	return max(send_msi(kvm, msi->address_lo, msi->address_hi, msi->data), IRQ_COALESCED);
}

/* ---- routing ------------------------------------------------------------- */

/* The first route of this GSI or a higher one. */
static const struct kvm_irq_routing_entry *
first_route(const struct kvm_irq_routing *routing, u32 gsi)
{
	u32 low = 0, high = routing->nr;

	while (low < high) {
		u32 mid = (low + high) / 2;

		if (routing->entries[mid].gsi < gsi)
			low = mid + 1;
		else
			high = mid;
	}
	return &routing->entries[low];
}

/* Of a table that srcu (held by the caller) protects. */
#define for_each_route(route, routing, of_gsi)						\
	for (route = first_route(routing, of_gsi);					\
	     route < (routing)->entries + (routing)->nr && route->gsi == (of_gsi); route++)

/* A message goes out when its GSI rises. */
static int set_route(struct kvm *kvm, enum kvm_irq_source source,
		     const struct kvm_irq_routing_entry *route, bool level)
{
	const struct kvm_irq_routing_irqchip *chip = &route->u.irqchip;
	const struct kvm_irq_routing_msi *msi = &route->u.msi;

	if (route->type == KVM_IRQ_ROUTING_MSI)
		return level ? send_msi(kvm, msi->address_lo, msi->address_hi, msi->data) :
			       IRQ_NOBODY;
	if (chip->irqchip == KVM_IRQCHIP_IOAPIC)
		return kvm_ioapic_set_irq(kvm, chip->pin, source, level);
	/* Master or slave: 0 or 1. */
	return kvm_pic_set_irq(kvm, 8 * chip->irqchip + chip->pin, source, level);
}

/* Raise the GSI, lower it, or both one after the other: an edge. */
static int set_gsi(struct kvm *kvm, enum kvm_irq_source source, u32 gsi, bool raise, bool lower)
{
	const struct kvm_irq_routing_entry *route;
	const struct kvm_irq_routing *routing;
	int result = IRQ_NOBODY;

	guard(srcu)(&kvm->srcu);
	routing = srcu_dereference(kvm->routing, &kvm->srcu);
	if (!routing)
		return IRQ_NOBODY;
	for_each_route(route, routing, gsi) {
		if (raise)
			result = max(result, set_route(kvm, source, route, true));
		if (lower)
			result = max(result, set_route(kvm, source, route, false));
	}
	return result;
}

int kvm_set_irq(struct kvm *kvm, enum kvm_irq_source source, u32 gsi, bool level)
{
	return set_gsi(kvm, source, gsi, level, !level);
}

static int compare_routes(const void *a, const void *b)
{
	const struct kvm_irq_routing_entry *x = a, *y = b;

	return x->gsi < y->gsi ? -1 : x->gsi > y->gsi;
}

static bool valid_route(struct kvm *kvm, const struct kvm_irq_routing_entry *e)
{
	u32 chip = e->u.irqchip.irqchip;

	if (e->gsi >= KVM_MAX_ROUTES || e->flags)
		return false;
	if (e->type == KVM_IRQ_ROUTING_MSI)
		return true;
	return e->type == KVM_IRQ_ROUTING_IRQCHIP && kvm->pic && chip <= KVM_IRQCHIP_IOAPIC &&
	       e->u.irqchip.pin < (chip == KVM_IRQCHIP_IOAPIC ? KVM_IRQ_PINS : 8);
}

static void publish(struct kvm *kvm, struct kvm_irq_routing *routing)
{
	guard(mutex)(&kvm->slots_lock);
	routing = rcu_replace_pointer(kvm->routing, routing, lockdep_is_held(&kvm->slots_lock));
	synchronize_srcu_expedited(&kvm->srcu);
	kvfree(routing);
}

int kvm_set_routing(struct kvm *kvm, struct kvm_irq_routing __user *user)
{
	struct kvm_irq_routing *routing __free(kvfree) = NULL;
	struct kvm_irq_routing head;

	if (copy_from_user(&head, user, sizeof(head)))
		return -EFAULT;
	if (!kvm->local_apics || head.flags || head.nr > KVM_MAX_ROUTES)
		return -EINVAL;
	routing = kvzalloc(struct_size(routing, entries, head.nr), GFP_KERNEL_ACCOUNT);
	if (!routing)
		return -ENOMEM;
	routing->nr = head.nr;
	if (copy_from_user(routing->entries, user->entries, head.nr * sizeof(routing->entries[0])))
		return -EFAULT;
	for (u32 i = 0; i < head.nr; i++)
		if (!valid_route(kvm, &routing->entries[i]))
			return -EINVAL;
	sort(routing->entries, routing->nr, sizeof(routing->entries[0]), compare_routes, NULL);
	publish(kvm, no_free_ptr(routing));
	return 0;
}

static struct kvm_irq_routing_entry pin_route(u32 gsi, u32 irqchip, u32 pin)
{
	return (struct kvm_irq_routing_entry){
		.gsi = gsi, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = { irqchip, pin } };
}

/* As a PC is wired: the PIT's line 0 is pin 2 of the I/O APIC. */
static int default_routing(struct kvm *kvm)
{
	unsigned int count = 16 + KVM_IRQ_PINS - 1;
	struct kvm_irq_routing_entry *e;
	struct kvm_irq_routing *routing;

	routing = kvzalloc(struct_size(routing, entries, count), GFP_KERNEL_ACCOUNT);
	if (!routing)
		return -ENOMEM;
	routing->nr = count;
	e = routing->entries;
	for (u32 gsi = 0; gsi < KVM_IRQ_PINS; gsi++) {
		if (gsi < 16)
			*e++ = pin_route(gsi, gsi / 8, gsi % 8);
		if (gsi != 2)
			*e++ = pin_route(gsi, KVM_IRQCHIP_IOAPIC, gsi ?: 2);
	}
	publish(kvm, routing);
	return 0;
}

/* ---- the kernel's own controllers ---------------------------------------- */

int kvm_create_irqchip(struct kvm *kvm, bool split)
{
	int r = 0;

	guard(mutex)(&kvm->lock);
	if (kvm->local_apics)
		return -EEXIST;
	if (kvm->nr_vcpus)
		return -EINVAL;
	if (!split)
		r = kvm_pic_create(kvm) ?: kvm_ioapic_create(kvm) ?: default_routing(kvm);
	if (r) {
		kvm_ioapic_destroy(kvm);
		kvm_pic_destroy(kvm);
		return r;
	}
	WRITE_ONCE(kvm->local_apics, true);
	return 0;
}

void kvm_pic_output_changed(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	xa_for_each(&kvm->vcpus, i, vcpu)
		if (kvm_apic_accepts_extint(vcpu)) {
			kvm_request(vcpu, REQ_EVENT);
			kvm_kick(vcpu);
		}
}

/* Ports of the controllers; one byte at a time. */
bool kvm_device_pio(struct kvm *kvm, u16 port, unsigned int len, void *data, bool write)
{
	u8 *byte = data;

	/* Most ports are nobody's here. */
	if (!kvm->pic || (port > 0xa1 && (port & ~1) != 0x4d0))
		return false;
	/* The PIT's lie between those of the two PICs. */
	if (!(port >= 0x40 && port < 0xa0 ? kvm_pit_port(kvm, port, byte, write) :
					    kvm_pic_port(kvm, port, byte, write)))
		return false;
	/* Nobody drives the upper lines of the bus. */
	if (!write && len > 1)
		memset(byte + 1, 0xff, len - 1);
	return true;
}

/* Registers of 32 bits, 16 bytes apart; parts of them can be read. */
bool kvm_device_mmio(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int len, void *data, bool write)
{
	struct kvm *kvm = vcpu->kvm;
	unsigned int byte = gpa & 0xf;
	u32 value = 0;

	if (write)
		memcpy(&value, data, min(len, 4U));
	if (!(vcpu->lapic && kvm_apic_mmio(vcpu, gpa, len, &value, write)) &&
	    !(kvm->ioapic && kvm_ioapic_mmio(kvm, gpa, len, &value, write)))
		return false;
	if (!write) {
		memset(data, 0, len);
		value = byte < 4 ? value >> (8 * byte) : 0;
		memcpy(data, &value, min(len, 4U));
	}
	return true;
}

/* ---- irqfd --------------------------------------------------------------- */

struct irqfd {
	struct list_head link;		/* kvm->irqfds; readers: srcu */
	struct kvm *kvm;
	struct eventfd_ctx *eventfd, *resample;
	u32 gsi;
	bool closed;			/* the eventfd's last descriptor is */
	wait_queue_entry_t wait;
	poll_table poll;
};

static int irqfd_signalled(wait_queue_entry_t *wait, unsigned int mode, int sync, void *key)
{
	struct irqfd *irqfd = container_of(wait, struct irqfd, wait);
	__poll_t events = key_to_poll(key);
	u64 count;

	if (events & EPOLLIN) {
		eventfd_ctx_do_read(irqfd->eventfd, &count);
		set_gsi(irqfd->kvm, IRQ_SOURCE_IRQFD, irqfd->gsi, true, !irqfd->resample);
	}
	if (events & EPOLLHUP) {
		WRITE_ONCE(irqfd->closed, true);
		/* It may wait for user space, which must hold up nobody else. */
		queue_work(system_long_wq, &irqfd->kvm->irqfds_closed);
	}
	return 0;
}

static void irqfd_queue(struct file *file, wait_queue_head_t *head, poll_table *poll)
{
	struct irqfd *irqfd = container_of(poll, struct irqfd, poll);

	add_wait_queue_priority(head, &irqfd->wait);
}

static void free_irqfd(struct irqfd *irqfd)
{
	if (!irqfd)
		return;
	if (!IS_ERR_OR_NULL(irqfd->resample))
		eventfd_ctx_put(irqfd->resample);
	if (!IS_ERR(irqfd->eventfd))
		eventfd_ctx_put(irqfd->eventfd);
	kfree(irqfd);
}

DEFINE_FREE(irqfd, struct irqfd *, free_irqfd(_T))

/* Off the eventfd's queue and off the list; irqfd_lock held. */
static void remove_irqfd(struct irqfd *irqfd)
{
	struct kvm *kvm = irqfd->kvm;
	bool lower = irqfd->resample;
	struct irqfd *other;
	u64 count;

	eventfd_ctx_remove_wait_queue(irqfd->eventfd, &irqfd->wait, &count);
	list_del_rcu(&irqfd->link);
	synchronize_srcu_expedited(&kvm->srcu);
	/* Another may hold the line, too; then it falls when the guest acknowledges. */
	list_for_each_entry(other, &kvm->irqfds, link)
		lower &= !other->resample || other->gsi != irqfd->gsi;
	if (lower)
		kvm_set_irq(kvm, IRQ_SOURCE_IRQFD, irqfd->gsi, false);
	free_irqfd(irqfd);
}

/* Those whose eventfds nobody can signal any more. */
static void remove_closed_irqfds(struct work_struct *work)
{
	struct kvm *kvm = container_of(work, struct kvm, irqfds_closed);
	struct irqfd *irqfd, *next;

	guard(mutex)(&kvm->irqfd_lock);
	list_for_each_entry_safe(irqfd, next, &kvm->irqfds, link)
		if (READ_ONCE(irqfd->closed))
			remove_irqfd(irqfd);
}

static int assign_irqfd(struct kvm *kvm, const struct kvm_irqfd *args)
{
	struct irqfd *irqfd __free(irqfd) = NULL, *other;
	CLASS(fd, f)(args->fd);
	int r;

	if (fd_empty(f))
		return -EBADF;
	irqfd = kzalloc(sizeof(*irqfd), GFP_KERNEL_ACCOUNT);
	if (!irqfd)
		return -ENOMEM;
	irqfd->kvm = kvm;
	irqfd->gsi = args->gsi;
	irqfd->eventfd = eventfd_ctx_fileget(fd_file(f));
	if (args->flags & KVM_IRQFD_FLAG_RESAMPLE)
		irqfd->resample = eventfd_ctx_fdget(args->resamplefd);
	r = PTR_ERR_OR_ZERO(irqfd->eventfd) ?: PTR_ERR_OR_ZERO(irqfd->resample);
	if (r)
		return r;
	init_waitqueue_func_entry(&irqfd->wait, irqfd_signalled);
	init_poll_funcptr(&irqfd->poll, irqfd_queue);

	guard(mutex)(&kvm->irqfd_lock);
	list_for_each_entry(other, &kvm->irqfds, link)
		if (other->eventfd == irqfd->eventfd)
			return -EBUSY;
	list_add_tail_rcu(&irqfd->link, &kvm->irqfds);
	/* What was signalled before we listened counts, too. */
	if (vfs_poll(fd_file(f), &irqfd->poll) & EPOLLIN)
		set_gsi(kvm, IRQ_SOURCE_IRQFD, irqfd->gsi, true, !irqfd->resample);
	retain_and_null_ptr(irqfd);
	return 0;
}

static int deassign_irqfd(struct kvm *kvm, const struct kvm_irqfd *args)
{
	struct eventfd_ctx *eventfd = eventfd_ctx_fdget(args->fd);
	struct irqfd *irqfd, *next;

	if (IS_ERR(eventfd))
		return PTR_ERR(eventfd);
	guard(mutex)(&kvm->irqfd_lock);
	list_for_each_entry_safe(irqfd, next, &kvm->irqfds, link)
		if (irqfd->eventfd == eventfd && irqfd->gsi == args->gsi)
			remove_irqfd(irqfd);
	eventfd_ctx_put(eventfd);
	return 0;
}

int kvm_irqfd(struct kvm *kvm, void *arg)
{
	const struct kvm_irqfd *args = arg;

	/* In split mode, user space sees the acknowledgements. */
	if (args->flags & ~(KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE) ||
	    args->gsi >= KVM_MAX_ROUTES || !kvm->local_apics ||
	    (args->flags & KVM_IRQFD_FLAG_RESAMPLE && !kvm->ioapic))
		return -EINVAL;
	return args->flags & KVM_IRQFD_FLAG_DEASSIGN ? deassign_irqfd(kvm, args) :
						       assign_irqfd(kvm, args);
}

/* Is this GSI connected to this pin? Caller holds srcu. */
static bool gsi_has_pin(const struct kvm_irq_routing *routing, u32 gsi, u32 irqchip, u32 pin)
{
	const struct kvm_irq_routing_entry *route;

	for_each_route(route, routing, gsi)
		if (route->type == KVM_IRQ_ROUTING_IRQCHIP &&
		    route->u.irqchip.irqchip == irqchip && route->u.irqchip.pin == pin)
			return true;
	return false;
}

void kvm_notify_acked(struct kvm *kvm, unsigned int irqchip, unsigned int pin)
{
	const struct kvm_irq_routing *routing;
	struct irqfd *irqfd;

	guard(srcu)(&kvm->srcu);
	routing = srcu_dereference(kvm->routing, &kvm->srcu);
	if (!routing)
		return;
	if (kvm->pit && gsi_has_pin(routing, 0, irqchip, pin))
		kvm_pit_acked(kvm);
	/* All let go of the line before the first of them may raise it again. */
	for (int told = 0; told < 2; told++)
		list_for_each_entry_srcu(irqfd, &kvm->irqfds, link,
					 srcu_read_lock_held(&kvm->srcu)) {
			if (!irqfd->resample || !gsi_has_pin(routing, irqfd->gsi, irqchip, pin))
				continue;
			if (told)
				eventfd_signal(irqfd->resample);
			else
				kvm_set_irq(kvm, IRQ_SOURCE_IRQFD, irqfd->gsi, false);
		}
}

/* ---- birth and death ----------------------------------------------------- */

void kvm_irq_init(struct kvm *kvm)
{
	mutex_init(&kvm->irqfd_lock);
	INIT_LIST_HEAD(&kvm->irqfds);
	INIT_WORK(&kvm->irqfds_closed, remove_closed_irqfds);
}

/* The last user is gone: no ioctl, no vCPU. Signals of eventfds end here. */
void kvm_irq_destroy(struct kvm *kvm)
{
	struct irqfd *irqfd, *next;

	scoped_guard(mutex, &kvm->irqfd_lock)
		list_for_each_entry_safe(irqfd, next, &kvm->irqfds, link)
			remove_irqfd(irqfd);
	cancel_work_sync(&kvm->irqfds_closed);
	/* Their timers reach vCPUs. */
	kvm_pit_destroy(kvm);
	kvm_ioapic_destroy(kvm);
}

/* After the vCPUs. */
void kvm_irq_free(struct kvm *kvm)
{
	kvm_pic_destroy(kvm);
	kvfree(rcu_dereference_protected(kvm->routing, true));
}
