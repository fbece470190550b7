// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Interrupt controllers in the kernel, and eventfds in both directions.
 *
 * Nothing here keeps state of its own: each function is one ioctl on the VM's
 * descriptor, which the kernel serialises, so they need no lock and may be
 * called from any thread while vCPUs run.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "internal.h"

#define ROUTES_MAX	4096

int kvm__irqchip_create(struct kvm_context *kvm)
{
	/* The port of the PC's speaker reads the timer: it goes along. */
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };

	if (kvm_check_extension(kvm, KVM_CAP_IRQCHIP) <= 0 ||
	    kvm_check_extension(kvm, KVM_CAP_PIT2) <= 0)
		return kvm__fail(ENOTSUP, "This KVM has no interrupt controllers of its own "
				 "(KVM_CAP_IRQCHIP, KVM_CAP_PIT2).");
	if (ioctl(kvm->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return kvm__ioctl_failed("KVM_CREATE_IRQCHIP", errno);
	if (ioctl(kvm->vm_fd, KVM_CREATE_PIT2, &pit) < 0)
		return kvm__ioctl_failed("KVM_CREATE_PIT2", errno);
	kvm->irqchip = true;
	return 0;
}

static int vm_ioctl(struct kvm_context *kvm, unsigned long request,
		    const char *name, const void *arg)
{
	int r = ioctl(kvm->vm_fd, request, arg);

	return r < 0 ? kvm__ioctl_failed(name, errno) : r;
}

#define VM_IOCTL(kvm, request, arg) vm_ioctl(kvm, request, #request, arg)

static int need_irqchip(struct kvm_context *kvm)
{
	if (kvm->irqchip)
		return 0;
	return kvm__fail(ENXIO, "This machine has no interrupt controllers in the kernel: "
			 "make it by kvm_create_machine with LIBKVM_IRQCHIP.");
}

int kvm_set_irq(struct kvm_context *kvm, unsigned int gsi, int level)
{
	struct kvm_irq_level line = { .irq = gsi, .level = level != 0 };
	int r = need_irqchip(kvm);

	return r < 0 ? r : VM_IOCTL(kvm, KVM_IRQ_LINE, &line);
}

int kvm_send_msi(struct kvm_context *kvm, uint64_t address, uint32_t data)
{
	struct kvm_msi msi = {
		.address_lo = address, .address_hi = address >> 32, .data = data,
	};
	int r = need_irqchip(kvm);

	if (r < 0)
		return r;
	r = VM_IOCTL(kvm, KVM_SIGNAL_MSI, &msi);
	return r > 0 ? 1 : r;
}

int kvm_set_irq_routes(struct kvm_context *kvm,
		       const struct kvm_irq_routing_entry *routes,
		       unsigned int count)
{
	struct kvm_irq_routing *table;
	int r = need_irqchip(kvm);

	if (r < 0)
		return r;
	if (count > ROUTES_MAX)
		return kvm__fail(E2BIG, "%u interrupt routes are too many: KVM takes %d.",
				 count, ROUTES_MAX);
	table = calloc(1, sizeof(*table) + count * sizeof(*routes));
	if (!table)
		return kvm__fail(ENOMEM, "No memory for %u interrupt routes.", count);
	table->nr = count;
	if (count)
		memcpy(table->entries, routes, count * sizeof(*routes));
	r = VM_IOCTL(kvm, KVM_SET_GSI_ROUTING, table);
	free(table);
	return r;
}

int kvm_add_irqfd(struct kvm_context *kvm, int fd, unsigned int gsi,
		  int resample_fd)
{
	struct kvm_irqfd irqfd = { .fd = fd, .gsi = gsi };
	int r = need_irqchip(kvm);

	if (resample_fd >= 0) {
		irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
		irqfd.resamplefd = resample_fd;
	}
	return r < 0 ? r : VM_IOCTL(kvm, KVM_IRQFD, &irqfd);
}

int kvm_remove_irqfd(struct kvm_context *kvm, int fd, unsigned int gsi)
{
	struct kvm_irqfd irqfd = {
		.fd = fd, .gsi = gsi, .flags = KVM_IRQFD_FLAG_DEASSIGN,
	};
	int r = need_irqchip(kvm);

	return r < 0 ? r : VM_IOCTL(kvm, KVM_IRQFD, &irqfd);
}

static int ioeventfd(struct kvm_context *kvm, int fd, uint64_t address, int size,
		     uint32_t flags, uint64_t value)
{
	struct kvm_ioeventfd e = {
		.datamatch = value, .addr = address, .len = size, .fd = fd,
		.flags = flags,
	};

	if (kvm->vm_fd < 0)
		return kvm__fail(EINVAL, "There is no machine yet: call kvm_create first.");
	return VM_IOCTL(kvm, KVM_IOEVENTFD, &e);
}

/* Deassigning is a function of its own here, not a flag. */
static int check_flags(uint32_t flags)
{
	uint32_t wrong = flags & ~(uint32_t)(KVM_IOEVENTFD_FLAG_PIO |
					     KVM_IOEVENTFD_FLAG_DATAMATCH);

	return wrong ? kvm__fail(EINVAL, "An ioeventfd cannot have the flags 0x%x.", wrong) : 0;
}

int kvm_add_ioeventfd(struct kvm_context *kvm, int fd, uint64_t address,
		      int size, uint32_t flags, uint64_t value)
{
	int r = check_flags(flags);

	return r < 0 ? r : ioeventfd(kvm, fd, address, size, flags, value);
}

int kvm_remove_ioeventfd(struct kvm_context *kvm, int fd, uint64_t address,
			 int size, uint32_t flags, uint64_t value)
{
	int r = check_flags(flags);

	return r < 0 ? r : ioeventfd(kvm, fd, address, size,
				     flags | KVM_IOEVENTFD_FLAG_DEASSIGN, value);
}
