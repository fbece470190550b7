// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The life of a context: /dev/kvm, the VM, its first vCPU, and the end of all.
 *
 * kvm_create() either makes everything or undoes what it made, so that a
 * context is always in one of two states: with a machine (vm_fd >= 0) or
 * without. Sentences for kvm_error() are kept for each thread, because the
 * threads of a machine fail independently.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

/*
 * Intel processors without unrestricted guest run real mode on a task state
 * segment and an identity page table that need four pages of guest-physical
 * space; ours are above any memory that kvm_create() gives.
 */
#define TSS_ADDRESS		0xfffbd000UL
#define IDENTITY_MAP_ADDRESS	0xfffbc000UL

static _Thread_local char sentence[512];

int kvm__fail(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	return -err;
}

int kvm__ioctl_failed(const char *name, int err)
{
	return kvm__fail(err, "%s failed: %s (errno %d).", name, strerror(err),
			 err);
}

const char *kvm_error(struct kvm_context *kvm)
{
	(void)kvm;
	return sentence;
}

const char *kvm_library_version(void)
{
#define STRING_(x) #x
#define STRING(x) STRING_(x)
	return STRING(LIBKVM_VERSION_MAJOR) "." STRING(LIBKVM_VERSION_MINOR);
}

static int open_device(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return kvm__fail(errno, DEVICE " is not there or has no module behind it: "
				 "the kvm-intel or kvm-amd module is not loaded. "
				 "Run kvm-detect for the reason and the fix.");
	case EACCES:
	case EPERM:
		return kvm__fail(EACCES, "No permission to open " DEVICE ". Join the group "
				 "that owns it (usually: adduser USER kvm, then log in "
				 "again) or run as root.");
	}
	return kvm__fail(errno, DEVICE " cannot be opened: %s (errno %d).",
			 strerror(errno), errno);
}

static int check_device(struct kvm_context *kvm)
{
	int version = ioctl(kvm->fd, KVM_GET_API_VERSION, 0);
	int bytes;

	if (version < 0)
		return kvm__fail(EPROTO, DEVICE " is no KVM device: it does not answer "
				 "KVM_GET_API_VERSION (%s).", strerror(errno));
	if (version != KVM_API_VERSION)
		return kvm__fail(EPROTO, DEVICE " speaks version %d of the KVM API, this "
				 "library speaks version %d. Load a KVM module that "
				 "belongs to a kernel newer than 2.6.22.", version,
				 KVM_API_VERSION);
	if (ioctl(kvm->fd, KVM_CHECK_EXTENSION, KVM_CAP_USER_MEMORY) <= 0)
		return kvm__fail(ENOTSUP, "This KVM lacks KVM_CAP_USER_MEMORY, without "
				 "which a guest gets no memory.");
	bytes = ioctl(kvm->fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (bytes < (int)sizeof(struct kvm_run))
		return kvm__fail(ENOTSUP, "KVM_GET_VCPU_MMAP_SIZE gives %d bytes, fewer "
				 "than struct kvm_run has (%zu).", bytes,
				 sizeof(struct kvm_run));
	kvm->run_bytes = bytes;
	kvm->can_complete = ioctl(kvm->fd, KVM_CHECK_EXTENSION,
				  KVM_CAP_IMMEDIATE_EXIT) > 0;
	return 0;
}

struct kvm_context *kvm_init(const struct kvm_callbacks *callbacks,
			     void *opaque)
{
	struct kvm_context *kvm = calloc(1, sizeof(*kvm));
	int err;

	if (!kvm) {
		kvm__fail(ENOMEM, "No memory for a KVM context.");
		errno = ENOMEM;
		return NULL;
	}
	kvm->opaque = opaque;
	kvm->fd = -1;
	kvm->vm_fd = -1;
	pthread_mutex_init(&kvm->lock, NULL);
	if (callbacks)
		kvm->callbacks = *callbacks;
	for (size_t i = 0; i < sizeof(kvm->callbacks.reserved) /
			       sizeof(kvm->callbacks.reserved[0]); i++) {
		if (kvm->callbacks.reserved[i]) {
			err = kvm__fail(EINVAL, "A reserved member of struct kvm_callbacks "
					"is set: initialise the structure, and build "
					"against the header of the library in use (%s).",
					kvm_library_version());
			goto failed;
		}
	}
	err = open_device();
	if (err < 0)
		goto failed;
	kvm->fd = err;
	err = check_device(kvm);
	if (err < 0)
		goto failed;
	return kvm;
failed:
	kvm_finalize(kvm);
	errno = -err;
	return NULL;
}

static int create_vm(struct kvm_context *kvm)
{
	__u64 identity = IDENTITY_MAP_ADDRESS;
	int fd = ioctl(kvm->fd, KVM_CREATE_VM, 0);

	if (fd < 0 && errno == EBUSY)
		return kvm__fail(EBUSY, "Another hypervisor (VirtualBox, VMware, …) holds the "
				 "processor's virtualization. Stop its machines, unload "
				 "its module, and try again.");
	if (fd < 0)
		return kvm__ioctl_failed("KVM_CREATE_VM", errno);
	kvm->vm_fd = fd;
	if (kvm_check_extension(kvm, KVM_CAP_SET_TSS_ADDR) > 0 &&
	    ioctl(fd, KVM_SET_TSS_ADDR, TSS_ADDRESS) < 0)
		return kvm__ioctl_failed("KVM_SET_TSS_ADDR", errno);
	if (kvm_check_extension(kvm, KVM_CAP_SET_IDENTITY_MAP_ADDR) > 0 &&
	    ioctl(fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0)
		return kvm__ioctl_failed("KVM_SET_IDENTITY_MAP_ADDR", errno);
	return 0;
}

static int create_memory(struct kvm_context *kvm, unsigned long bytes)
{
	char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int r;

	if (memory == MAP_FAILED)
		return kvm__fail(ENOMEM, "No room for %lu MiB of guest memory: %s.",
				 bytes >> 20, strerror(errno));
	kvm->memory = memory;
	kvm->memory_bytes = bytes;
	r = kvm__region_add(kvm, 0, LIBKVM_LOW_END, 0, memory, false);
	if (r < 0)
		return r;
	r = kvm__region_add(kvm, LIBKVM_HIGH_START, bytes - LIBKVM_HIGH_START, 0,
			    memory + LIBKVM_HIGH_START, false);
	return r < 0 ? r : 0;
}

static void destroy(struct kvm_context *kvm)
{
	for (int i = 0; i < LIBKVM_MAX_VCPUS; i++)
		kvm__vcpu_destroy(kvm, i);
	if (kvm->vm_fd >= 0)
		close(kvm->vm_fd);
	kvm->vm_fd = -1;
	kvm->irqchip = false;
	kvm__regions_destroy(kvm);
	if (kvm->memory)
		munmap(kvm->memory, kvm->memory_bytes);
	kvm->memory = NULL;
}

int kvm_create_machine(struct kvm_context *kvm, unsigned long bytes,
		       unsigned int flags, void **vm_mem)
{
	int r;

	if (!kvm || !vm_mem)
		return kvm__fail(EINVAL, "kvm_create needs a context and a place for the "
				 "address of the memory.");
	if (kvm->vm_fd >= 0)
		return kvm__fail(EEXIST, "This context has its machine already; make another "
				 "context with kvm_init for another machine.");
	if (bytes < LIBKVM_MEMORY_MIN || bytes > LIBKVM_MEMORY_MAX ||
	    bytes % PAGE_BYTES)
		return kvm__fail(EINVAL, "A machine cannot have %lu bytes of memory: give a "
				 "multiple of 4096 from 1 MiB to %lu MiB.", bytes,
				 LIBKVM_MEMORY_MAX >> 20);
	if (flags & ~LIBKVM_IRQCHIP)
		return kvm__fail(EINVAL, "kvm_create_machine does not know the flags 0x%x: "
				 "build against the header of the library in use (%s).",
				 flags & ~LIBKVM_IRQCHIP, kvm_library_version());
	r = create_vm(kvm);
	if (r == 0 && flags & LIBKVM_IRQCHIP)
		r = kvm__irqchip_create(kvm);
	if (r == 0)
		r = create_memory(kvm, bytes);
	if (r == 0)
		r = kvm__vcpu_create(kvm, 0);
	if (r < 0) {
		destroy(kvm);
		return r;
	}
	*vm_mem = kvm->memory;
	return 0;
}

int kvm_create(struct kvm_context *kvm, unsigned long bytes, void **vm_mem)
{
	return kvm_create_machine(kvm, bytes, 0, vm_mem);
}

void kvm_finalize(struct kvm_context *kvm)
{
	if (!kvm)
		return;
	destroy(kvm);
	if (kvm->fd >= 0)
		close(kvm->fd);
	pthread_mutex_destroy(&kvm->lock);
	free(kvm);
}

int kvm_check_extension(struct kvm_context *kvm, int capability)
{
	int r = ioctl(kvm->vm_fd >= 0 ? kvm->vm_fd : kvm->fd, KVM_CHECK_EXTENSION,
		      (long)capability);

	return r < 0 ? kvm__ioctl_failed("KVM_CHECK_EXTENSION", errno) : r;
}

int kvm_system_fd(struct kvm_context *kvm)
{
	return kvm->fd;
}

int kvm_vm_fd(struct kvm_context *kvm)
{
	return kvm->vm_fd >= 0 ? kvm->vm_fd : -EINVAL;
}
