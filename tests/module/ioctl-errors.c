// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Wrong arguments to every ioctl of the module: each must be answered with the
 * errno of Documentation/virt/kvm/api.rst, or where it names none with what the
 * kernel says in such a case everywhere (EFAULT for an address, EINVAL for a
 * value), and must leave the VM usable: the last test runs a guest in it.
 */
#define _GNU_SOURCE
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "vm.h"

static struct vm vm;
static uint8_t *edge;		/* the last byte of a page before a hole */
static bool stock;

static const char *err_name(int err)
{
	const char *name = strerrorname_np(err);

	return name ? name : "?";
}

/* The ioctl fails with that errno. */
static void fails(int fd, unsigned long request, const void *arg, int want,
		  const char *name)
{
	int r = ioctl(fd, request, arg), err = r < 0 ? errno : 0;

	if (!ok(r < 0 && err == want, "%s: %s", name, err_name(want)))
		note("returned %d, errno %s", r, err_name(err));
}

/* Without an irqchip: the documentation has no errno for these two. */
static void no_irqchip(unsigned long request, const void *arg, const char *name)
{
	int r = ioctl(vm.fd, request, arg), err = errno;

	if (!ok(r < 0 && (err == EINVAL || err == ENXIO),
		"%s without an irqchip: EINVAL or ENXIO", name))
		note("returned %d, errno %s", r, err_name(err));
}

/* An ioctl that this descriptor does not have. */
static void unknown(int fd, unsigned long request, const char *name)
{
	int r = ioctl(fd, request, 0), err = errno;

	if (!ok(r < 0 && (err == ENOTTY || err == EINVAL), "%s: ENOTTY or EINVAL", name))
		note("returned %d, errno %s", r, err_name(err));
}

static void works(int fd, unsigned long request, const void *arg,
		  const char *name)
{
	int r = ioctl(fd, request, arg);

	if (!ok(r >= 0, "%s: works", name))
		note("errno %s", err_name(errno));
}

static void test_system(void)
{
	static struct { struct kvm_msr_list h; uint32_t room[1024]; } list;
	static struct { struct kvm_cpuid2 h; struct kvm_cpuid_entry2 e[256]; } cpuid;
	int kvm = vm.kvm;

	is(ioctl(kvm, KVM_GET_API_VERSION, 0), 12, "KVM_GET_API_VERSION is 12");
	fails(kvm, KVM_GET_API_VERSION, (void *)1, EINVAL,
	      "KVM_GET_API_VERSION with an argument");
	fails(kvm, KVM_GET_VCPU_MMAP_SIZE, (void *)1, EINVAL,
	      "KVM_GET_VCPU_MMAP_SIZE with an argument");
	fails(kvm, KVM_CREATE_VM, (void *)0xffff, EINVAL,
	      "KVM_CREATE_VM with an unknown type");
	is(ioctl(kvm, KVM_CHECK_EXTENSION, 0x7fffffffL), 0,
	   "KVM_CHECK_EXTENSION of an unknown capability is 0");
	is(ioctl(kvm, KVM_CHECK_EXTENSION, -1L), 0,
	   "KVM_CHECK_EXTENSION of -1 is 0");
	list.h.nmsrs = 0;
	fails(kvm, KVM_GET_MSR_INDEX_LIST, &list, E2BIG,
	      "KVM_GET_MSR_INDEX_LIST with no room");
	ok(list.h.nmsrs > 0, "and it tells how much is needed");
	list.h.nmsrs--;
	fails(kvm, KVM_GET_MSR_INDEX_LIST, &list, E2BIG,
	      "KVM_GET_MSR_INDEX_LIST with room for one too few");
	works(kvm, KVM_GET_MSR_INDEX_LIST, &list,
	      "KVM_GET_MSR_INDEX_LIST with exactly the room needed");
	list.h.nmsrs = 0xffffffff;
	works(kvm, KVM_GET_MSR_INDEX_LIST, &list,
	      "KVM_GET_MSR_INDEX_LIST that claims 4 Gi entries of room");
	if (vm_has(kvm, KVM_CAP_GET_MSR_FEATURES) > 0) {
		list.h.nmsrs = 0;
		fails(kvm, KVM_GET_MSR_FEATURE_INDEX_LIST, &list, E2BIG,
		      "KVM_GET_MSR_FEATURE_INDEX_LIST with no room");
		fails(kvm, KVM_GET_MSR_FEATURE_INDEX_LIST, NULL, EFAULT,
		      "KVM_GET_MSR_FEATURE_INDEX_LIST of NULL");
		fails(kvm, KVM_GET_MSRS, NULL, EFAULT, "system KVM_GET_MSRS of NULL");
	}
	cpuid.h.nent = 0;
	fails(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid, E2BIG,
	      "KVM_GET_SUPPORTED_CPUID with no room");
	cpuid.h.nent = 1;
	fails(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid, E2BIG,
	      "KVM_GET_SUPPORTED_CPUID with room for one");
	cpuid.h.nent = 256;
	works(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid, "KVM_GET_SUPPORTED_CPUID with room");
	fails(kvm, KVM_GET_SUPPORTED_CPUID, NULL, EFAULT,
	      "KVM_GET_SUPPORTED_CPUID of NULL");
	fails(kvm, KVM_GET_MSR_INDEX_LIST, NULL, EFAULT,
	      "KVM_GET_MSR_INDEX_LIST of NULL");
	fails(kvm, KVM_GET_MSR_INDEX_LIST, edge, EFAULT,
	      "KVM_GET_MSR_INDEX_LIST into a hole");
}

static void test_wrong_fd(void)
{
	unknown(vm.kvm, KVM_RUN, "KVM_RUN on /dev/kvm");
	unknown(vm.kvm, KVM_CREATE_VCPU, "KVM_CREATE_VCPU on /dev/kvm");
	unknown(vm.kvm, KVM_GET_REGS, "KVM_GET_REGS on /dev/kvm");
	unknown(vm.fd, KVM_RUN, "KVM_RUN on a VM");
	unknown(vm.fd, KVM_GET_API_VERSION, "KVM_GET_API_VERSION on a VM");
	unknown(vm.fd, KVM_CREATE_VM, "KVM_CREATE_VM on a VM");
	unknown(vm.fd, KVM_GET_REGS, "KVM_GET_REGS on a VM");
	unknown(vm.vcpu, KVM_CREATE_VM, "KVM_CREATE_VM on a vCPU");
	unknown(vm.vcpu, KVM_CREATE_VCPU, "KVM_CREATE_VCPU on a vCPU");
	unknown(vm.vcpu, KVM_SET_USER_MEMORY_REGION,
		"KVM_SET_USER_MEMORY_REGION on a vCPU");
	unknown(vm.kvm, _IO(KVMIO, 0xff), "an unknown number on /dev/kvm");
	unknown(vm.fd, _IO(KVMIO, 0xff), "an unknown number on a VM");
	unknown(vm.vcpu, _IO(KVMIO, 0xff), "an unknown number on a vCPU");
	unknown(vm.vcpu, _IO('x', 0x80), "another driver's number on a vCPU");
	ok(mmap(NULL, 4096, PROT_READ, MAP_SHARED, vm.fd, 0) == MAP_FAILED,
	   "a VM cannot be mapped");
	ok(mmap(NULL, 4096, PROT_READ, MAP_SHARED, vm.kvm, 0) == MAP_FAILED,
	   "/dev/kvm cannot be mapped");
}

/* Pointers that lead nowhere, for every ioctl that takes one. */
static void test_pointers(void)
{
	static const struct {
		char kind;	/* m: VM, c: vCPU */
		unsigned long request;
		const char *name;
		int cap;	/* 0: basic */
	} all[] = {
#define R(kind, request, cap) { kind, request, #request, cap }
		R('m', KVM_SET_USER_MEMORY_REGION, 0),
		R('m', KVM_GET_DIRTY_LOG, 0),
		R('m', KVM_IOEVENTFD, KVM_CAP_IOEVENTFD),
		R('m', KVM_GET_CLOCK, KVM_CAP_ADJUST_CLOCK),
		R('m', KVM_SET_CLOCK, KVM_CAP_ADJUST_CLOCK),
		R('m', KVM_ENABLE_CAP, KVM_CAP_ENABLE_CAP_VM),
		R('c', KVM_GET_REGS, 0),
		R('c', KVM_SET_REGS, 0),
		R('c', KVM_GET_SREGS, 0),
		R('c', KVM_SET_SREGS, 0),
		R('c', KVM_GET_SREGS2, KVM_CAP_SREGS2),
		R('c', KVM_SET_SREGS2, KVM_CAP_SREGS2),
		R('c', KVM_GET_FPU, 0),
		R('c', KVM_SET_FPU, 0),
		R('c', KVM_GET_MSRS, 0),
		R('c', KVM_SET_MSRS, 0),
		R('c', KVM_SET_CPUID, 0),
		R('c', KVM_SET_CPUID2, KVM_CAP_EXT_CPUID),
		R('c', KVM_GET_CPUID2, KVM_CAP_EXT_CPUID),
		R('c', KVM_INTERRUPT, 0),
		R('c', KVM_TRANSLATE, 0),
		R('c', KVM_GET_MP_STATE, KVM_CAP_MP_STATE),
		R('c', KVM_SET_MP_STATE, KVM_CAP_MP_STATE),
		R('c', KVM_GET_VCPU_EVENTS, KVM_CAP_VCPU_EVENTS),
		R('c', KVM_SET_VCPU_EVENTS, KVM_CAP_VCPU_EVENTS),
		R('c', KVM_GET_DEBUGREGS, KVM_CAP_DEBUGREGS),
		R('c', KVM_SET_DEBUGREGS, KVM_CAP_DEBUGREGS),
		R('c', KVM_SET_GUEST_DEBUG, KVM_CAP_SET_GUEST_DEBUG),
		R('c', KVM_GET_XSAVE, KVM_CAP_XSAVE),
		R('c', KVM_SET_XSAVE, KVM_CAP_XSAVE),
		R('c', KVM_GET_XCRS, KVM_CAP_XCRS),
		R('c', KVM_SET_XCRS, KVM_CAP_XCRS),
	};
	char name[80];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int fd = all[i].kind == 'm' ? vm.fd : vm.vcpu;

		if (all[i].cap && vm_has(vm.fd, all[i].cap) <= 0) {
			skip(all[i].name, "its capability %d is 0", all[i].cap);
			continue;
		}
		snprintf(name, sizeof(name), "%s of NULL", all[i].name);
		fails(fd, all[i].request, NULL, EFAULT, name);
		snprintf(name, sizeof(name), "%s of a kernel address", all[i].name);
		fails(fd, all[i].request, (void *)0xffff888000000000, EFAULT, name);
		snprintf(name, sizeof(name), "%s of a structure that ends in a hole",
			 all[i].name);
		fails(fd, all[i].request, edge, EFAULT, name);
	}
}

static int slot(int n, uint32_t flags, uint64_t gpa, uint64_t bytes, void *host)
{
	int r = vm_slot(&vm, n, flags, gpa, bytes, host);

	return r < 0 ? errno : 0;
}

static void test_memory(void)
{
	const uint64_t G = 0x10000000;
	int slots = vm_has(vm.fd, KVM_CAP_NR_MEMSLOTS);
	uint8_t *m = mmap(NULL, 0x4000, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct kvm_dirty_log log = { 0 };
	uint64_t bitmap[1024];
	int r;

	ok(slots >= 32, "KVM_CAP_NR_MEMSLOTS is at least 32 (%d)", slots);
	is(slot(1, 0, G + 1, 0x1000, m), EINVAL, "a slot at a misaligned guest address");
	is(slot(1, 0, G, 0x1001, m), EINVAL, "a slot of a misaligned size");
	is(slot(1, 0, G, 0x1000, m + 1), EINVAL, "a slot of misaligned host memory");
	is(slot(1, 0, G, 0x1000, (void *)0xffff888000000000), EINVAL,
	   "a slot of kernel memory");
	is(slot(1, 0, G, 0x1000, (void *)0x8000000000000000), EINVAL,
	   "a slot of memory at an address that is not canonical");
	is(slot(1, 0, G, 1ULL << 47, m), EINVAL,
	   "a slot that reaches from user into kernel memory");
	is(slot(1, 0, ~0xfffULL, 0x2000, m), EINVAL, "a slot that wraps at 2^64");
	is(slot(1, 0, 1ULL << 60, 0x1000, m), EINVAL,
	   "a slot above any processor's physical addresses");
	is(slot(slots, 0, G, 0x1000, m), EINVAL, "a slot number one too high");
	is(slot(0x7fff0000, 0, G, 0x1000, m), EINVAL, "a slot in no address space");
	is(slot(-1, 0, G, 0x1000, m), EINVAL, "slot number -1");
	is(slot(1, 1 << 20, G, 0x1000, m), EINVAL, "a slot with an unknown flag");
	is(slot(1, 0, G, 0, m), EINVAL, "deleting a slot that does not exist");
	is(slot(1, 0, 0x1000, 0x1000, m), EEXIST, "a slot inside another");
	is(slot(1, 0, MEMORY - 0x1000, 0x2000, m), EEXIST,
	   "a slot that overlaps another's end");
	is(slot(1, 0, G, 0x2000, m), 0, "a good slot");
	is(slot(1, 0, G, 0x2000, m), 0, "the same again changes nothing");
	is(slot(1, 0, G, 0x1000, m), EINVAL, "resizing a slot");
	is(slot(1, 0, G, 0x2000, m + 0x1000), EINVAL,
	   "changing the memory behind a slot");
	if (vm_has(vm.fd, KVM_CAP_READONLY_MEM) > 0)
		is(slot(1, KVM_MEM_READONLY, G, 0x2000, m), EINVAL,
		   "making an existing slot read-only");
	else
		is(slot(2, KVM_MEM_READONLY, G + 0x10000, 0x1000, m), EINVAL,
		   "a read-only slot without the capability");
	is(slot(2, 0, G + 0x1000, 0x1000, m), EEXIST, "a slot over a slot's second page");
	is(slot(2, 0, G + 0x2000, 0x1000, m), 0, "a slot right behind another");
	is(slot(1, 0, G + 0x1000, 0x2000, m), EEXIST, "moving a slot onto another");
	is(slot(1, 0, G - 0x1000, 0x2000, m), 0, "moving a slot over its old place");
	is(slot(slots - 1, 0, 2 * G, 0x1000, m), 0,
	   "the highest slot number, and memory that another slot has too");
	is(slot(slots - 1, 0, 2 * G, 0, m), 0, "deleting it");
	is(slot(slots - 1, 0, 2 * G, 0, m), EINVAL, "deleting it twice");

	log.dirty_bitmap = bitmap;
	log.slot = 1;
	fails(vm.fd, KVM_GET_DIRTY_LOG, &log, ENOENT,
	      "KVM_GET_DIRTY_LOG of a slot without a log");
	log.slot = 9;
	fails(vm.fd, KVM_GET_DIRTY_LOG, &log, ENOENT,
	      "KVM_GET_DIRTY_LOG of a slot that does not exist");
	log.slot = slots;
	fails(vm.fd, KVM_GET_DIRTY_LOG, &log, EINVAL,
	      "KVM_GET_DIRTY_LOG of a slot number one too high");
	log.slot = 0x7fff0001;
	fails(vm.fd, KVM_GET_DIRTY_LOG, &log, EINVAL,
	      "KVM_GET_DIRTY_LOG in no address space");
	is(slot(1, KVM_MEM_LOG_DIRTY_PAGES, G - 0x1000, 0x2000, m), 0,
	   "switching a slot's log on");
	log.slot = 1;
	log.dirty_bitmap = NULL;
	fails(vm.fd, KVM_GET_DIRTY_LOG, &log, EFAULT,
	      "KVM_GET_DIRTY_LOG into NULL");
	log.dirty_bitmap = bitmap;
	works(vm.fd, KVM_GET_DIRTY_LOG, &log, "KVM_GET_DIRTY_LOG");
	is(slot(1, 0, G, 0, m), 0, "deleting slots");
	is(slot(2, 0, G, 0, m), 0, "deleting slots again");
	munmap(m, 0x4000);

	/* With shadow paging it takes lists of 8 bytes a page: more than there are. */
	r = slot(1, 0, 1ULL << 41, 1ULL << 41, (void *)0x10000000000);
	ok(r == 0 || r == ENOMEM, "a slot of 2 TiB, or an error (and no kernel warning)");
	if (!r)
		slot(1, 0, 1ULL << 41, 0, NULL);

	/* The memory may come later; it must not be touched before. */
	is(slot(1, 0, G, 0x1000, m), 0, "a slot of memory that is not mapped");
	is(slot(1, 0, G, 0, m), 0, "and its end");
}

static void test_vm(void)
{
	uint64_t identity = 0xfffbc000;
	struct kvm_enable_cap cap = { .cap = 0xffff };
	struct rlimit files;
	int id = vm_has(vm.kvm, KVM_CAP_MAX_VCPU_ID), empty;

	fails(vm.fd, KVM_CREATE_VCPU, (void *)0, EEXIST, "KVM_CREATE_VCPU twice");
	fails(vm.fd, KVM_CREATE_VCPU, (void *)0xffffffff, EINVAL,
	      "KVM_CREATE_VCPU with number 2^32 - 1");
	fails(vm.fd, KVM_CREATE_VCPU, (void *)-1L, EINVAL, "KVM_CREATE_VCPU with number -1");
	fails(vm.fd, KVM_CREATE_VCPU, (void *)(long)id, EINVAL,
	      "KVM_CREATE_VCPU with number KVM_CAP_MAX_VCPU_ID");
	ok(vm_has(vm.kvm, KVM_CAP_NR_VCPUS) >= 1 &&
	   vm_has(vm.kvm, KVM_CAP_MAX_VCPUS) >= vm_has(vm.kvm, KVM_CAP_NR_VCPUS) &&
	   id >= vm_has(vm.kvm, KVM_CAP_MAX_VCPUS),
	   "recommended, possible and highest vCPU numbers agree (%d, %d, %d)",
	   vm_has(vm.kvm, KVM_CAP_NR_VCPUS), vm_has(vm.kvm, KVM_CAP_MAX_VCPUS), id);
	fails(vm.fd, KVM_SET_TSS_ADDR, (void *)0xffffffff000, EINVAL,
	      "KVM_SET_TSS_ADDR above 4 GiB");
	fails(vm.fd, KVM_SET_TSS_ADDR, (void *)0xffffe000, EINVAL,
	      "KVM_SET_TSS_ADDR with less than three pages to 4 GiB");
	fails(vm.fd, KVM_SET_IDENTITY_MAP_ADDR, &identity, EINVAL,
	      "KVM_SET_IDENTITY_MAP_ADDR after a vCPU");
	empty = ioctl(vm.kvm, KVM_CREATE_VM, 0);
	fails(empty, KVM_SET_IDENTITY_MAP_ADDR, NULL, EFAULT,
	      "KVM_SET_IDENTITY_MAP_ADDR of NULL");
	works(empty, KVM_SET_IDENTITY_MAP_ADDR, &identity,
	      "KVM_SET_IDENTITY_MAP_ADDR before a vCPU");
	getrlimit(RLIMIT_NOFILE, &files);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){ .rlim_max = files.rlim_max });
	fails(empty, KVM_CREATE_VCPU, NULL, EMFILE, "KVM_CREATE_VCPU without a descriptor left");
	setrlimit(RLIMIT_NOFILE, &files);
	id = ioctl(empty, KVM_CREATE_VCPU, 0);
	ok(id >= 0, "and the same vCPU with one");
	close(id);
	close(empty);
	if (vm_has(vm.fd, KVM_CAP_ENABLE_CAP_VM) > 0) {
		fails(vm.fd, KVM_ENABLE_CAP, &cap, EINVAL,
		      "KVM_ENABLE_CAP of an unknown capability");
		cap.flags = 1;
		fails(vm.fd, KVM_ENABLE_CAP, &cap, EINVAL, "KVM_ENABLE_CAP with flags");
	}
}

static void test_irqchip(void)
{
	struct kvm_irq_level level = { .irq = 1, .level = 1 };
	struct kvm_irqchip chip = { .chip_id = 0 };
	struct kvm_lapic_state lapic;
	struct kvm_pit_config pit = { 0 };
	struct { struct kvm_irq_routing h; struct kvm_irq_routing_entry e; } routing = {
		.h.nr = 1, .e = { .gsi = 1, .type = 99 },
	};
	struct kvm_msi msi = { .address_lo = 0xfee00000 };
	struct kvm_irqfd irqfd = { .fd = -1 };

	if (vm_has(vm.fd, KVM_CAP_IRQCHIP) > 0) {
		fails(vm.fd, KVM_CREATE_IRQCHIP, NULL, EINVAL,
		      "KVM_CREATE_IRQCHIP after a vCPU");
	} else {
		unknown(vm.fd, KVM_CREATE_IRQCHIP,
			"KVM_CREATE_IRQCHIP without its capability");
		is(vm_has(vm.fd, KVM_CAP_PIT2), 0, "then KVM_CAP_PIT2 is 0 too");
		is(vm_has(vm.fd, KVM_CAP_SPLIT_IRQCHIP), 0,
		   "and KVM_CAP_SPLIT_IRQCHIP");
		is(vm_has(vm.fd, KVM_CAP_TSC_DEADLINE_TIMER), 0,
		   "and KVM_CAP_TSC_DEADLINE_TIMER");
	}
	fails(vm.fd, KVM_IRQ_LINE, &level, ENXIO, "KVM_IRQ_LINE without an irqchip");
	fails(vm.fd, KVM_GET_IRQCHIP, &chip, ENXIO, "KVM_GET_IRQCHIP without an irqchip");
	fails(vm.fd, KVM_SET_IRQCHIP, &chip, ENXIO, "KVM_SET_IRQCHIP without an irqchip");
	fails(vm.vcpu, KVM_GET_LAPIC, &lapic, EINVAL, "KVM_GET_LAPIC without an irqchip");
	no_irqchip(KVM_SET_GSI_ROUTING, &routing, "KVM_SET_GSI_ROUTING");
	no_irqchip(KVM_SIGNAL_MSI, &msi, "KVM_SIGNAL_MSI");
	if (vm_has(vm.fd, KVM_CAP_IRQFD) > 0)
		fails(vm.fd, KVM_IRQFD, &irqfd, EINVAL, "KVM_IRQFD without an irqchip");
	else
		unknown(vm.fd, KVM_IRQFD, "KVM_IRQFD without its capability");
	if (vm_has(vm.fd, KVM_CAP_PIT2) > 0)
		fails(vm.fd, KVM_CREATE_PIT2, &pit, ENOENT,
		      "KVM_CREATE_PIT2 without an irqchip");
	else
		unknown(vm.fd, KVM_CREATE_PIT2, "KVM_CREATE_PIT2 without its capability");
}

static void test_ioeventfd(void)
{
	int event = eventfd(0, EFD_CLOEXEC);
	struct kvm_ioeventfd e = {
		.addr = 0x500, .len = 2, .fd = event, .flags = KVM_IOEVENTFD_FLAG_PIO,
	};

	if (vm_has(vm.fd, KVM_CAP_IOEVENTFD) <= 0) {
		skip("KVM_IOEVENTFD", "no KVM_CAP_IOEVENTFD");
		return;
	}
	works(vm.fd, KVM_IOEVENTFD, &e, "KVM_IOEVENTFD");
	fails(vm.fd, KVM_IOEVENTFD, &e, EEXIST, "KVM_IOEVENTFD twice");
	e.flags |= KVM_IOEVENTFD_FLAG_DEASSIGN;
	works(vm.fd, KVM_IOEVENTFD, &e, "KVM_IOEVENTFD taken away");
	fails(vm.fd, KVM_IOEVENTFD, &e, ENOENT, "KVM_IOEVENTFD taken away twice");
	e.flags = KVM_IOEVENTFD_FLAG_PIO;
	e.len = 3;
	fails(vm.fd, KVM_IOEVENTFD, &e, EINVAL, "KVM_IOEVENTFD of length 3");
	e.len = 16;
	fails(vm.fd, KVM_IOEVENTFD, &e, EINVAL, "KVM_IOEVENTFD of length 16");
	e.len = 2;
	e.flags = 1 << 20;
	fails(vm.fd, KVM_IOEVENTFD, &e, EINVAL, "KVM_IOEVENTFD with an unknown flag");
	e.flags = 0;
	e.addr = ~0ULL;
	fails(vm.fd, KVM_IOEVENTFD, &e, EINVAL, "KVM_IOEVENTFD that wraps at 2^64");
	e.addr = 0x500;
	e.fd = -1;
	fails(vm.fd, KVM_IOEVENTFD, &e, EBADF, "KVM_IOEVENTFD with a closed descriptor");
	e.fd = vm.kvm;
	fails(vm.fd, KVM_IOEVENTFD, &e, EINVAL,
	      "KVM_IOEVENTFD with a descriptor that is no eventfd");
	e.fd = event;
	e.len = 0;
	e.flags = KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DATAMATCH;
	fails(vm.fd, KVM_IOEVENTFD, &e, EINVAL,
	      "KVM_IOEVENTFD of any length with a value to match");
	close(event);
}

static void bad_sregs(struct kvm_sregs *s, const char *name)
{
	fails(vm.vcpu, KVM_SET_SREGS, s, EINVAL, name);
	ioctl(vm.vcpu, KVM_GET_SREGS, s);
}

static void test_registers(void)
{
	struct kvm_sregs s;
	struct kvm_regs r;
	struct kvm_debugregs d;
	struct kvm_vcpu_events v;
	struct kvm_mp_state mp;
	char odd[sizeof(r) + 1];

	ioctl(vm.vcpu, KVM_GET_SREGS, &s);
	s.cr0 = (s.cr0 | 0x80000000) & ~1ULL;
	bad_sregs(&s, "KVM_SET_SREGS: paging without protection");
	s.cr0 |= 1ULL << 40;
	bad_sregs(&s, "KVM_SET_SREGS: upper bits of CR0");
	s.cr0 = (s.cr0 | 0x20000000) & ~0x40000000ULL;
	bad_sregs(&s, "KVM_SET_SREGS: CR0.NW without CR0.CD");
	s.cr0 |= 0x80000001;
	s.efer = 0x500;
	s.cr4 = 0;
	bad_sregs(&s, "KVM_SET_SREGS: long mode without PAE");
	s.cr0 |= 0x80000001;
	s.efer = 0x500;
	s.cr4 = 0x20;
	s.cr3 = 1ULL << 63;
	bad_sregs(&s, "KVM_SET_SREGS: CR3 with the bit that only MOV knows");
	s.efer = 0x400;
	bad_sregs(&s, "KVM_SET_SREGS: EFER.LMA without paging");
	s.cs.l = 1;
	bad_sregs(&s, "KVM_SET_SREGS: a 64-bit code segment outside of long mode");
	s.cr4 |= 1ULL << 63;
	bad_sregs(&s, "KVM_SET_SREGS: reserved bits of CR4");
	s.apic_base |= 1ULL << 63;
	bad_sregs(&s, "KVM_SET_SREGS: reserved bits of the APIC base");
	works(vm.vcpu, KVM_SET_SREGS, &s, "KVM_SET_SREGS of what was read");
	works(vm.vcpu, KVM_GET_REGS, odd + 1, "KVM_GET_REGS into a misaligned structure");
	works(vm.vcpu, KVM_SET_REGS, odd + 1, "KVM_SET_REGS of a misaligned structure");

	if (vm_has(vm.fd, KVM_CAP_DEBUGREGS) > 0) {
		ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &d);
		d.flags = 1;
		fails(vm.vcpu, KVM_SET_DEBUGREGS, &d, EINVAL, "KVM_SET_DEBUGREGS with flags");
		d.flags = 0;
		d.dr6 |= 1ULL << 40;
		fails(vm.vcpu, KVM_SET_DEBUGREGS, &d, EINVAL,
		      "KVM_SET_DEBUGREGS: upper bits of DR6");
		ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &d);
		d.dr7 |= 1ULL << 40;
		fails(vm.vcpu, KVM_SET_DEBUGREGS, &d, EINVAL,
		      "KVM_SET_DEBUGREGS: upper bits of DR7");
	}
	if (vm_has(vm.fd, KVM_CAP_VCPU_EVENTS) > 0) {
		ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &v);
		v.flags = 1u << 31;
		fails(vm.vcpu, KVM_SET_VCPU_EVENTS, &v, EINVAL,
		      "KVM_SET_VCPU_EVENTS with an unknown flag");
		v.flags = 0;
		v.exception.injected = 1;
		v.exception.nr = 32;
		fails(vm.vcpu, KVM_SET_VCPU_EVENTS, &v, EINVAL,
		      "KVM_SET_VCPU_EVENTS: exception 32");
		v.exception.nr = 2;
		fails(vm.vcpu, KVM_SET_VCPU_EVENTS, &v, EINVAL,
		      "KVM_SET_VCPU_EVENTS: an NMI is no exception");
	}
	if (vm_has(vm.fd, KVM_CAP_MP_STATE) > 0) {
		mp.mp_state = 99;
		fails(vm.vcpu, KVM_SET_MP_STATE, &mp, EINVAL,
		      "KVM_SET_MP_STATE to no state");
		mp.mp_state = KVM_MP_STATE_HALTED;
		fails(vm.vcpu, KVM_SET_MP_STATE, &mp, EINVAL,
		      "KVM_SET_MP_STATE to halted without an irqchip");
	}
}

/* What comes with an exception is put into registers that the host's processor gets. */
static void test_payload(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXCEPTION_PAYLOAD, .args[0] = 1 };
	struct kvm_vcpu_events v, was;
	struct kvm_debugregs d;

	if (vm_has(vm.fd, KVM_CAP_EXCEPTION_PAYLOAD) <= 0) {
		skip("an exception's payload", "no KVM_CAP_EXCEPTION_PAYLOAD");
		return;
	}
	ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &was);
	for (int nr = 1; nr <= 6; nr += 5) {
		cap.args[0] = 1;
		works(vm.fd, KVM_ENABLE_CAP, &cap, "KVM_CAP_EXCEPTION_PAYLOAD");
		v = was;
		v.flags = KVM_VCPUEVENT_VALID_PAYLOAD;
		v.exception.pending = v.exception_has_payload = 1;
		v.exception.nr = nr;
		v.exception_payload = ~0ULL;
		works(vm.vcpu, KVM_SET_VCPU_EVENTS, &v, "KVM_SET_VCPU_EVENTS with a payload");
		/* Without the capability the payload is in its register before it is told of. */
		cap.args[0] = 0;
		ioctl(vm.fd, KVM_ENABLE_CAP, &cap);
		ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &v);
		ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &d);
		works(vm.vcpu, KVM_SET_DEBUGREGS, &d, "DR6 is one that can be set");
		is(d.dr6, nr == 1 ? 0xffffeffful : 0xffff0ff0, "DR6 after exception %d", nr);
		d.dr6 = 0xffff0ff0;
		ioctl(vm.vcpu, KVM_SET_DEBUGREGS, &d);
	}
	ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &was);
}

static void test_xstate(void)
{
	static struct kvm_xsave x;
	struct kvm_xcrs c;

	if (vm_has(vm.fd, KVM_CAP_XSAVE) > 0) {
		works(vm.vcpu, KVM_GET_XSAVE, &x, "KVM_GET_XSAVE");
		x.region[128] |= 1;	/* x87 is in use: XSTATE_BV */
		x.region[129] = 1u << 31;
		fails(vm.vcpu, KVM_SET_XSAVE, &x, EINVAL,
		      "KVM_SET_XSAVE with a component that nobody has");
		ioctl(vm.vcpu, KVM_GET_XSAVE, &x);
		x.region[128] |= 2;
		x.region[6] = 0xffff0000;
		fails(vm.vcpu, KVM_SET_XSAVE, &x, EINVAL,
		      "KVM_SET_XSAVE with reserved bits of MXCSR");
	}
	if (vm_has(vm.fd, KVM_CAP_XCRS) > 0) {
		works(vm.vcpu, KVM_GET_XCRS, &c, "KVM_GET_XCRS");
		c.nr_xcrs = KVM_MAX_XCRS + 1;
		fails(vm.vcpu, KVM_SET_XCRS, &c, EINVAL, "KVM_SET_XCRS of too many");
		ioctl(vm.vcpu, KVM_GET_XCRS, &c);
		c.flags = 1;
		fails(vm.vcpu, KVM_SET_XCRS, &c, EINVAL, "KVM_SET_XCRS with flags");
		ioctl(vm.vcpu, KVM_GET_XCRS, &c);
		c.xcrs[0].value = 0;
		fails(vm.vcpu, KVM_SET_XCRS, &c, EINVAL, "KVM_SET_XCRS: XCR0 without x87");
		c.xcrs[0].value = 5;
		fails(vm.vcpu, KVM_SET_XCRS, &c, EINVAL,
		      "KVM_SET_XCRS: AVX without SSE");
		c.xcrs[0].value = 1ULL << 63 | 1;
		fails(vm.vcpu, KVM_SET_XCRS, &c, EINVAL,
		      "KVM_SET_XCRS: a component that nobody has");
	} else {
		skip("KVM_SET_XCRS", "no KVM_CAP_XCRS: this processor has no XSAVE");
	}
}

static void test_vcpu(void)
{
	static struct { struct kvm_msrs h; struct kvm_msr_entry e[300]; } m;
	static struct { struct kvm_cpuid2 h; struct kvm_cpuid_entry2 e[300]; } c;
	struct { struct kvm_signal_mask h; uint64_t set; } mask = { .h.len = 4 };
	struct kvm_interrupt irq = { .irq = 256 };

	fails(vm.vcpu, KVM_RUN, (void *)1, EINVAL, "KVM_RUN with an argument");
	fails(vm.vcpu, KVM_SET_SIGNAL_MASK, &mask, EINVAL,
	      "KVM_SET_SIGNAL_MASK of 4 bytes");
	mask.h.len = 0xffffffff;
	fails(vm.vcpu, KVM_SET_SIGNAL_MASK, &mask, EINVAL,
	      "KVM_SET_SIGNAL_MASK of 4 GiB");
	fails(vm.vcpu, KVM_SET_SIGNAL_MASK, edge, EFAULT,
	      "KVM_SET_SIGNAL_MASK that ends in a hole");
	fails(vm.vcpu, KVM_INTERRUPT, &irq, EINVAL, "KVM_INTERRUPT with vector 256");
	irq.irq = -1;
	fails(vm.vcpu, KVM_INTERRUPT, &irq, EINVAL, "KVM_INTERRUPT with vector 2^32 - 1");
	m.h.nmsrs = 0;
	is(ioctl(vm.vcpu, KVM_GET_MSRS, &m), 0, "KVM_GET_MSRS of none is 0");
	m.h.nmsrs = 0xffffffff;
	fails(vm.vcpu, KVM_GET_MSRS, &m, E2BIG, "KVM_GET_MSRS of 4 Gi registers");
	fails(vm.vcpu, KVM_SET_MSRS, &m, E2BIG, "KVM_SET_MSRS of 4 Gi registers");
	if (vm_on_intel()) {
		m.h.nmsrs = 1;
		m.e[0] = (struct kvm_msr_entry){ .index = 0xc0000084, .data = 1ULL << 32 };
		is(ioctl(vm.vcpu, KVM_SET_MSRS, &m), 0, "IA32_FMASK has 32 bits");
	}
	c.h.nent = 0xffffffff;
	fails(vm.vcpu, KVM_SET_CPUID2, &c, E2BIG, "KVM_SET_CPUID2 of 4 Gi entries");
	c.h.nent = 257;
	fails(vm.vcpu, KVM_SET_CPUID2, &c, E2BIG, "KVM_SET_CPUID2 of 257 entries");
	c.h.nent = 1;
	fails(vm.vcpu, KVM_GET_CPUID2, &c, E2BIG, "KVM_GET_CPUID2 with room for one");
	c.h.nent = 256;
	works(vm.vcpu, KVM_GET_CPUID2, &c, "KVM_GET_CPUID2 with room");
}

static void test_other_process(void)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct kvm_regs r;

		if (ioctl(vm.vcpu, KVM_RUN, 0) == 0 || errno != EIO)
			_exit(1);
		if (ioctl(vm.vcpu, KVM_GET_REGS, &r) == 0 || errno != EIO)
			_exit(2);
		if (vm_slot(&vm, 3, 0, 0x40000000, 0x1000, vm.mem) == 0 || errno != EIO)
			_exit(3);
		_exit(0);
	}
	waitpid(child, &status, 0);
	is(status, 0, "another process cannot use a VM it inherited: EIO");
}

static void test_queue(void)
{
	struct kvm_interrupt irq = { .irq = 32 };

	works(vm.vcpu, KVM_INTERRUPT, &irq, "KVM_INTERRUPT");
	if (stock)
		skip("KVM_INTERRUPT with one queued",
		     "stock KVM takes it, against its documentation (EEXIST)");
	else
		fails(vm.vcpu, KVM_INTERRUPT, &irq, EEXIST,
		      "KVM_INTERRUPT with one queued");
}

int main(void)
{
	uint8_t *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(two + PAGE, PAGE);
	edge = two + PAGE - 2;
	stock = access("/sys/module/kvm/version", F_OK) != 0;
	VM_START(&vm, 32, prot_hello);
	test_system();
	test_wrong_fd();
	test_pointers();
	test_memory();
	test_vm();
	test_irqchip();
	test_ioeventfd();
	test_registers();
	test_payload();
	test_xstate();
	test_vcpu();
	test_other_process();
	vm_mode_of(&vm, vm.vcpu, 32);
	vm_go(&vm);
	ok(vm_nacts > 2 && vm_acts[vm_nacts - 2].where == PORT_EXIT &&
	   vm_acts[vm_nacts - 2].value == 3,
	   "after all that, the VM still runs its guest");
	test_queue();
	vm_destroy(&vm);
	return done();
}
