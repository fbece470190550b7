/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of libkvm share; see libkvm.h for what they do. */
#ifndef LIBKVM_INTERNAL_H
#define LIBKVM_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "libkvm.h"

#define PAGE_BYTES	4096UL
#define DEVICE		"/dev/kvm"

struct vcpu {
	int fd;
	struct kvm_run *run;
	atomic_bool stop;	/* kvm_stop() was called */
	struct kvm_guest_debug debug;	/* what KVM was told last */
};

struct region {
	bool used;
	bool mapped;		/* by us, to be unmapped with the region */
	uint32_t flags;
	uint64_t gpa;
	uint64_t bytes;
	void *host;
};

struct kvm_context {
	struct kvm_callbacks callbacks;
	void *opaque;
	int fd;			/* /dev/kvm */
	int vm_fd;		/* -1 before kvm_create() */
	size_t run_bytes;
	bool can_complete;	/* KVM_CAP_IMMEDIATE_EXIT */
	bool irqchip;		/* LIBKVM_IRQCHIP; written once, by kvm_create_machine() */
	void *memory;		/* kvm_create()'s mapping */
	size_t memory_bytes;

	pthread_mutex_t lock;	/* guards the tables below */
	struct region regions[LIBKVM_MAX_REGIONS];
	struct vcpu *vcpus[LIBKVM_MAX_VCPUS];
};

/* Remembers the sentence for kvm_error() and returns -err. */
int kvm__fail(int err, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The vCPU, or NULL with the sentence set. */
struct vcpu *kvm__vcpu(struct kvm_context *kvm, int vcpu);

/* -errno and a sentence that names the ioctl. */
int kvm__ioctl_failed(const char *name, int err);

/* Returns as ioctl(), and on failure -errno with a sentence that names @name. */
int kvm__vcpu_ioctl(struct kvm_context *kvm, int vcpu, unsigned long request,
		    const char *name, const void *arg);
#define VCPU_IOCTL(kvm, vcpu, request, arg) \
	kvm__vcpu_ioctl(kvm, vcpu, request, #request, arg)

/* A breakpoint at an instruction hit: the next run is to get past it. */
void kvm__pass_breakpoint(struct kvm_context *kvm, int vcpu, uint64_t dr6);

int kvm__irqchip_create(struct kvm_context *kvm);
int kvm__vcpu_create(struct kvm_context *kvm, int vcpu);
void kvm__vcpu_destroy(struct kvm_context *kvm, int vcpu);
int kvm__region_add(struct kvm_context *kvm, uint64_t gpa, uint64_t bytes,
		    uint32_t flags, void *host, bool mapped);
void kvm__regions_destroy(struct kvm_context *kvm);

#endif /* LIBKVM_INTERNAL_H */
