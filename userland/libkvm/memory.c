// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Guest memory: a table of regions, each one slot of KVM's with the same number.
 *
 * The table is guarded by the context's lock. A region's host memory belongs to
 * us when we mapped it for that region alone; the two regions of kvm_create()
 * share one mapping, which belongs to the context.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

static bool overlaps(const struct region *r, uint64_t gpa, uint64_t bytes)
{
	return r->used && gpa < r->gpa + r->bytes && r->gpa < gpa + bytes;
}

/* Tell KVM about region @n as @r says; zero bytes remove it. */
static int set_region(struct kvm_context *kvm, int n, const struct region *r)
{
	struct kvm_userspace_memory_region slot = {
		.slot = n,
		.flags = r->flags,
		.guest_phys_addr = r->gpa,
		.memory_size = r->bytes,
		.userspace_addr = (uintptr_t)r->host,
	};

	if (ioctl(kvm->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) == 0)
		return 0;
	return kvm__fail(errno, "KVM refused memory region %d (0x%llx, %llu bytes, flags "
			 "0x%x): %s.", n, (unsigned long long)r->gpa,
			 (unsigned long long)r->bytes, r->flags, strerror(errno));
}

static int check_range(struct kvm_context *kvm, uint64_t gpa, uint64_t bytes,
		       int except)
{
	if (kvm->vm_fd < 0)
		return kvm__fail(EINVAL, "There is no machine yet: call kvm_create first.");
	if (bytes == 0 || bytes % PAGE_BYTES || gpa % PAGE_BYTES ||
	    gpa + bytes < gpa)
		return kvm__fail(EINVAL, "A memory region of %llu bytes at 0x%llx is not "
				 "made of whole pages: both must be multiples of 4096.",
				 (unsigned long long)bytes, (unsigned long long)gpa);
	for (int i = 0; i < LIBKVM_MAX_REGIONS; i++)
		if (i != except && overlaps(&kvm->regions[i], gpa, bytes))
			return kvm__fail(EEXIST, "Memory at 0x%llx overlaps region %d at "
					 "0x%llx: remove that one or choose another "
					 "address.", (unsigned long long)gpa, i,
					 (unsigned long long)kvm->regions[i].gpa);
	return 0;
}

int kvm__region_add(struct kvm_context *kvm, uint64_t gpa, uint64_t bytes,
		    uint32_t flags, void *host, bool mapped)
{
	struct region new = {
		.used = true, .mapped = mapped, .flags = flags,
		.gpa = gpa, .bytes = bytes, .host = host,
	};
	int r, n;

	pthread_mutex_lock(&kvm->lock);
	r = check_range(kvm, gpa, bytes, -1);
	if (r < 0)
		goto out;
	for (n = 0; n < LIBKVM_MAX_REGIONS && kvm->regions[n].used; n++)
		;
	if (n == LIBKVM_MAX_REGIONS) {
		r = kvm__fail(ENOSPC, "A machine has at most %d memory regions: remove one "
			      "first.", LIBKVM_MAX_REGIONS);
		goto out;
	}
	r = set_region(kvm, n, &new);
	if (r < 0)
		goto out;
	kvm->regions[n] = new;
	r = n;
out:
	pthread_mutex_unlock(&kvm->lock);
	return r;
}

int kvm_add_memory(struct kvm_context *kvm, uint64_t gpa, uint64_t bytes,
		   uint32_t flags, void **host)
{
	void *memory;
	int r;

	if (!host)
		return kvm__fail(EINVAL, "kvm_add_memory needs a place for the address of "
				 "the memory.");
	if (*host)
		return kvm__region_add(kvm, gpa, bytes, flags, *host, false);
	pthread_mutex_lock(&kvm->lock);
	r = check_range(kvm, gpa, bytes, -1);
	pthread_mutex_unlock(&kvm->lock);
	if (r < 0)
		return r;
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return kvm__fail(ENOMEM, "No room for %llu bytes of guest memory: %s.",
				 (unsigned long long)bytes, strerror(errno));
	r = kvm__region_add(kvm, gpa, bytes, flags, memory, true);
	if (r < 0)
		munmap(memory, bytes);
	else
		*host = memory;
	return r;
}

/* The region, or NULL with the sentence set. Called with the lock held. */
static struct region *find(struct kvm_context *kvm, int n)
{
	if (n >= 0 && n < LIBKVM_MAX_REGIONS && kvm->regions[n].used)
		return &kvm->regions[n];
	kvm__fail(ENOENT, "There is no memory region %d.", n);
	return NULL;
}

int kvm_move_memory(struct kvm_context *kvm, int region, uint64_t gpa)
{
	struct region *old, new;
	int r = -ENOENT;

	pthread_mutex_lock(&kvm->lock);
	old = find(kvm, region);
	if (!old)
		goto out;
	r = check_range(kvm, gpa, old->bytes, region);
	if (r < 0)
		goto out;
	new = *old;
	new.gpa = gpa;
	r = set_region(kvm, region, &new);
	if (r == 0)
		*old = new;
out:
	pthread_mutex_unlock(&kvm->lock);
	return r;
}

int kvm_set_memory_flags(struct kvm_context *kvm, int region, uint32_t flags)
{
	struct region *old, new;
	int r = -ENOENT;

	pthread_mutex_lock(&kvm->lock);
	old = find(kvm, region);
	if (old) {
		new = *old;
		new.flags = flags;
		r = set_region(kvm, region, &new);
		if (r == 0)
			*old = new;
	}
	pthread_mutex_unlock(&kvm->lock);
	return r;
}

int kvm_remove_memory(struct kvm_context *kvm, int region)
{
	struct region *old, none;
	int r = -ENOENT;

	pthread_mutex_lock(&kvm->lock);
	old = find(kvm, region);
	if (!old)
		goto out;
	none = *old;
	none.bytes = 0;
	r = set_region(kvm, region, &none);
	if (r < 0)
		goto out;
	if (old->mapped)
		munmap(old->host, old->bytes);
	memset(old, 0, sizeof(*old));
out:
	pthread_mutex_unlock(&kvm->lock);
	return r;
}

void kvm__regions_destroy(struct kvm_context *kvm)
{
	for (int i = 0; i < LIBKVM_MAX_REGIONS; i++)
		if (kvm->regions[i].used && kvm->regions[i].mapped)
			munmap(kvm->regions[i].host, kvm->regions[i].bytes);
	memset(kvm->regions, 0, sizeof(kvm->regions));
}

int kvm_get_dirty_log(struct kvm_context *kvm, int region, void *bitmap,
		      size_t bytes)
{
	struct kvm_dirty_log log = { .slot = region, .dirty_bitmap = bitmap };
	struct region *old;
	size_t need = 0;

	pthread_mutex_lock(&kvm->lock);
	old = find(kvm, region);
	if (old)
		need = (old->bytes / PAGE_BYTES + 63) / 64 * 8;
	pthread_mutex_unlock(&kvm->lock);
	if (!old)
		return -ENOENT;
	if (bytes < need)
		return kvm__fail(EINVAL, "The bitmap has %zu bytes; region %d needs %zu.",
				 bytes, region, need);
	if (ioctl(kvm->vm_fd, KVM_GET_DIRTY_LOG, &log) < 0)
		return kvm__ioctl_failed("KVM_GET_DIRTY_LOG", errno);
	return 0;
}

/* From @gpa to the end of its region. */
static void *lookup(struct kvm_context *kvm, uint64_t gpa, uint64_t *left)
{
	void *host = NULL;

	pthread_mutex_lock(&kvm->lock);
	for (int i = 0; i < LIBKVM_MAX_REGIONS; i++) {
		struct region *r = &kvm->regions[i];

		if (r->used && gpa >= r->gpa && gpa - r->gpa < r->bytes) {
			host = (char *)r->host + (gpa - r->gpa);
			*left = r->bytes - (gpa - r->gpa);
		}
	}
	pthread_mutex_unlock(&kvm->lock);
	return host;
}

void *kvm_guest_memory(struct kvm_context *kvm, uint64_t gpa, uint64_t bytes)
{
	uint64_t left;
	void *host = lookup(kvm, gpa, &left);

	return host && bytes <= left ? host : NULL;
}

static long read_all(int fd, char *to, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = read(fd, to + done, bytes - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		done += n;
	}
	return done;
}

long kvm_load_file(struct kvm_context *kvm, uint64_t gpa, const char *path)
{
	struct stat st;
	uint64_t left;
	char *host;
	long r;
	int fd;

	host = lookup(kvm, gpa, &left);
	if (!host)
		return kvm__fail(EFAULT, "%s cannot be loaded at 0x%llx: the guest has no "
				 "memory there.", path, (unsigned long long)gpa);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kvm__fail(errno, "%s cannot be opened: %s.", path,
				 strerror(errno));
	if (fstat(fd, &st) < 0)
		r = kvm__fail(errno, "%s cannot be read: %s.", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		r = kvm__fail(EINVAL, "%s is not a regular file.", path);
	else if (st.st_size == 0)
		r = kvm__fail(EINVAL, "%s is empty: there is nothing to run.", path);
	else if ((uint64_t)st.st_size > left)
		r = kvm__fail(EFBIG, "%s has %lld bytes; only %llu fit at 0x%llx. Give the "
			      "machine more memory or use a smaller file.", path,
			      (long long)st.st_size, (unsigned long long)left,
			      (unsigned long long)gpa);
	else {
		r = read_all(fd, host, st.st_size);
		if (r < 0)
			kvm__fail(-r, "%s cannot be read: %s.", path, strerror(-r));
	}
	close(fd);
	return r;
}
