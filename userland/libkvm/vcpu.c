// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * vCPUs: making them, their registers, and what is injected into them.
 *
 * A vCPU is a descriptor and the page shared with the kernel (struct kvm_run).
 * Its table entry is written once, under the context's lock, when all of it is
 * there, and cleared when the context ends; so looking it up needs no lock.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define CPUID_ENTRIES_MAX	1024

struct vcpu *kvm__vcpu(struct kvm_context *kvm, int vcpu)
{
	if (vcpu >= 0 && vcpu < LIBKVM_MAX_VCPUS && kvm->vcpus[vcpu])
		return kvm->vcpus[vcpu];
	kvm__fail(EINVAL, "There is no vCPU %d%s.", vcpu,
		  kvm->vm_fd < 0 ? ": call kvm_create first" : "");
	return NULL;
}

int kvm__vcpu_ioctl(struct kvm_context *kvm, int vcpu, unsigned long request,
		    const char *name, const void *arg)
{
	struct vcpu *v = kvm__vcpu(kvm, vcpu);
	int r;

	if (!v)
		return -EINVAL;
	r = ioctl(v->fd, request, arg);
	return r < 0 ? kvm__ioctl_failed(name, errno) : r;
}

/* What KVM offers, in a table large enough. */
static struct kvm_cpuid2 *supported_cpuid(struct kvm_context *kvm)
{
	for (unsigned int n = 64; n <= CPUID_ENTRIES_MAX; n *= 2) {
		struct kvm_cpuid2 *table;

		table = calloc(1, sizeof(*table) + n * sizeof(table->entries[0]));
		if (!table) {
			kvm__fail(ENOMEM, "No memory for a CPUID table.");
			errno = ENOMEM;
			return NULL;
		}
		table->nent = n;
		if (ioctl(kvm->fd, KVM_GET_SUPPORTED_CPUID, table) == 0)
			return table;
		free(table);
		if (errno != E2BIG) {
			kvm__ioctl_failed("KVM_GET_SUPPORTED_CPUID", errno);
			return NULL;
		}
	}
	kvm__fail(E2BIG, "KVM_GET_SUPPORTED_CPUID wants more than %d entries.",
		  CPUID_ENTRIES_MAX);
	errno = E2BIG;
	return NULL;
}

struct kvm_cpuid2 *kvm_get_cpuid(struct kvm_context *kvm, int vcpu)
{
	struct kvm_cpuid2 *table = supported_cpuid(kvm);

	if (!table)
		return NULL;
	for (unsigned int i = 0; i < table->nent; i++) {
		struct kvm_cpuid_entry2 *e = &table->entries[i];

		switch (e->function) {
		case 1:
			/* Initial APIC id; x2APIC and TSC deadline are the kernel's. */
			e->ebx = (e->ebx & 0x00ffffff) | (uint32_t)vcpu << 24;
			if (!kvm->irqchip)
				e->ecx &= ~(1u << 21 | 1u << 24);
			break;
		case 0xb:
		case 0x1f:
			e->edx = vcpu;
			break;
		}
	}
	return table;
}

int kvm_set_cpuid(struct kvm_context *kvm, int vcpu,
		  const struct kvm_cpuid2 *cpuid)
{
	return VCPU_IOCTL(kvm, vcpu, KVM_SET_CPUID2, cpuid);
}

static int set_default_cpuid(struct kvm_context *kvm, int vcpu)
{
	struct kvm_cpuid2 *table = kvm_get_cpuid(kvm, vcpu);
	int r;

	if (!table)
		return -errno;
	r = kvm_set_cpuid(kvm, vcpu, table);
	free(table);
	return r;
}

/* Called with the lock held. */
static int add(struct kvm_context *kvm, int vcpu)
{
	struct vcpu *v = calloc(1, sizeof(*v));
	int err;

	if (!v)
		return kvm__fail(ENOMEM, "No memory for a vCPU.");
	v->fd = ioctl(kvm->vm_fd, KVM_CREATE_VCPU, (long)vcpu);
	if (v->fd < 0) {
		err = errno;
		free(v);
		return kvm__ioctl_failed("KVM_CREATE_VCPU", err);
	}
	v->run = mmap(NULL, kvm->run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		      v->fd, 0);
	if (v->run == MAP_FAILED) {
		err = errno;
		close(v->fd);
		free(v);
		return kvm__fail(err, "The vCPU's shared page cannot be mapped: %s.",
				 strerror(err));
	}
	kvm->vcpus[vcpu] = v;
	return 0;
}

int kvm__vcpu_create(struct kvm_context *kvm, int vcpu)
{
	int r;

	pthread_mutex_lock(&kvm->lock);
	if (kvm->vcpus[vcpu])
		r = kvm__fail(EEXIST, "vCPU %d exists already.", vcpu);
	else
		r = add(kvm, vcpu);
	pthread_mutex_unlock(&kvm->lock);
	if (r < 0)
		return r;
	r = set_default_cpuid(kvm, vcpu);
	if (r == 0)
		r = kvm_enter_16(kvm, vcpu, 0xf000, 0xfff0);
	return r;
}

int kvm_create_vcpu(struct kvm_context *kvm, int vcpu)
{
	if (kvm->vm_fd < 0)
		return kvm__fail(EINVAL, "There is no machine yet: call kvm_create first.");
	if (vcpu < 0 || vcpu >= LIBKVM_MAX_VCPUS)
		return kvm__fail(EINVAL, "A vCPU's number is from 0 to %d, not %d.",
				 LIBKVM_MAX_VCPUS - 1, vcpu);
	return kvm__vcpu_create(kvm, vcpu);
}

void kvm__vcpu_destroy(struct kvm_context *kvm, int vcpu)
{
	struct vcpu *v = kvm->vcpus[vcpu];

	if (!v)
		return;
	munmap(v->run, kvm->run_bytes);
	close(v->fd);
	free(v);
	kvm->vcpus[vcpu] = NULL;
}

int kvm_vcpu_fd(struct kvm_context *kvm, int vcpu)
{
	struct vcpu *v = kvm__vcpu(kvm, vcpu);

	return v ? v->fd : -EINVAL;
}

struct kvm_run *kvm_run_page(struct kvm_context *kvm, int vcpu)
{
	struct vcpu *v = kvm__vcpu(kvm, vcpu);

	return v ? v->run : NULL;
}

int kvm_get_regs(struct kvm_context *kvm, int vcpu, struct kvm_regs *regs)
{
	return VCPU_IOCTL(kvm, vcpu, KVM_GET_REGS, regs);
}

int kvm_set_regs(struct kvm_context *kvm, int vcpu,
		 const struct kvm_regs *regs)
{
	return VCPU_IOCTL(kvm, vcpu, KVM_SET_REGS, regs);
}

int kvm_get_sregs(struct kvm_context *kvm, int vcpu, struct kvm_sregs *sregs)
{
	return VCPU_IOCTL(kvm, vcpu, KVM_GET_SREGS, sregs);
}

int kvm_set_sregs(struct kvm_context *kvm, int vcpu,
		  const struct kvm_sregs *sregs)
{
	return VCPU_IOCTL(kvm, vcpu, KVM_SET_SREGS, sregs);
}

int kvm_get_fpu(struct kvm_context *kvm, int vcpu, struct kvm_fpu *fpu)
{
	return VCPU_IOCTL(kvm, vcpu, KVM_GET_FPU, fpu);
}

int kvm_set_fpu(struct kvm_context *kvm, int vcpu, const struct kvm_fpu *fpu)
{
	return VCPU_IOCTL(kvm, vcpu, KVM_SET_FPU, fpu);
}

/* struct kvm_msrs with room for one entry. */
union one_msr {
	struct kvm_msrs header;
	struct {
		uint32_t nmsrs, pad;
		struct kvm_msr_entry entry;
	};
};

int kvm_get_msr(struct kvm_context *kvm, int vcpu, uint32_t index,
		uint64_t *value)
{
	union one_msr msr = { .nmsrs = 1, .entry.index = index };
	int r = VCPU_IOCTL(kvm, vcpu, KVM_GET_MSRS, &msr);

	if (r < 0)
		return r;
	if (r == 0)
		return kvm__fail(ENXIO, "KVM does not have MSR 0x%x.", index);
	*value = msr.entry.data;
	return 0;
}

int kvm_set_msr(struct kvm_context *kvm, int vcpu, uint32_t index,
		uint64_t value)
{
	union one_msr msr = {
		.nmsrs = 1, .entry.index = index, .entry.data = value,
	};
	int r = VCPU_IOCTL(kvm, vcpu, KVM_SET_MSRS, &msr);

	if (r < 0)
		return r;
	if (r == 0)
		return kvm__fail(ENXIO, "KVM does not have MSR 0x%x or does not accept "
				 "0x%llx in it.", index, (unsigned long long)value);
	return 0;
}

int kvm_inject_irq(struct kvm_context *kvm, int vcpu, int vector)
{
	struct kvm_interrupt irq = { .irq = vector };
	struct vcpu *v = kvm__vcpu(kvm, vcpu);

	if (!v)
		return -EINVAL;
	if (vector < 0 || vector > 255)
		return kvm__fail(EINVAL, "An interrupt's vector is from 0 to 255, not %d.",
				 vector);
	if (kvm->irqchip)
		return kvm__fail(ENXIO, "This machine's interrupt controllers are in the "
				 "kernel: use kvm_set_irq or kvm_send_msi.");
	if (!v->run->ready_for_interrupt_injection) {
		v->run->request_interrupt_window = 1;
		return kvm__fail(EAGAIN, "vCPU %d cannot take an interrupt now; the "
				 "irq_window callback will be called when it can.",
				 vcpu);
	}
	if (ioctl(v->fd, KVM_INTERRUPT, &irq) < 0)
		return kvm__ioctl_failed("KVM_INTERRUPT", errno);
	v->run->ready_for_interrupt_injection = 0;
	return 0;
}

int kvm_inject_nmi(struct kvm_context *kvm, int vcpu)
{
	if (!kvm__vcpu(kvm, vcpu))
		return -EINVAL;
	if (kvm_check_extension(kvm, KVM_CAP_USER_NMI) <= 0)
		return kvm__fail(ENOTSUP, "This KVM lacks KVM_CAP_USER_NMI.");
	return VCPU_IOCTL(kvm, vcpu, KVM_NMI, NULL);
}
