/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine for the module's tests, on raw ioctls so that a test sees every
 * return value: 4 MiB of memory at 0, one vCPU, a flat guest, and a record of
 * what the guest did. vm_expect() runs the guest and compares its actions with a
 * list, one action a line.
 */
#ifndef VM_H
#define VM_H

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "guests.h"
#include "tap.h"

#define MEMORY		(4u << 20)
#define PAGE		4096u

struct vm {
	int kvm, fd, vcpu;
	uint8_t *mem;
	struct kvm_run *run;
	int run_size;
	/* What the guest gets from a port or address: NULL gives 0xff…. */
	uint64_t (*supply)(struct vm *vm, uint64_t where, int size);
	/* Called after each recorded exit. */
	void (*hook)(struct vm *vm, int n);
};

enum action { END, OUT, IN, STORE, LOAD, HLT, OTHER };

/* One action: IN and LOAD with the value that the test supplied. */
struct act {
	enum action what;
	uint64_t where;
	int size;
	uint64_t value;
};

#define VM_ACTS 4096
static struct act vm_acts[VM_ACTS];
static int vm_nacts;

/* Is the machine that this runs in one of QEMU's TCG? Some things are missing there. */
static inline bool vm_on_tcg(void)
{
	uint32_t eax = 0x40000000, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ebx == 0x54474354;	/* "TCGT" */
}

static inline bool vm_on_intel(void)
{
	uint32_t eax = 0, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ebx == 0x756e6547;	/* "Genu" */
}

/*
 * Bochs 3.0's SVM, where the kernel's own module does no better: an intercepted #DB
 * ends in a triple fault of the host, no interrupt gets through to a guest whose IF is
 * clear, and the guest finds the host's CR2. (Told by what else these tests run on.)
 */
static inline bool vm_on_bochs_svm(void)
{
	return !vm_on_intel() && !vm_on_tcg();
}

static inline int vm_has(int kvm, int cap)
{
	return ioctl(kvm, KVM_CHECK_EXTENSION, (long)cap);
}

static inline int vm_open(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0)
		bail_out("/dev/kvm cannot be opened: %s", strerror(errno));
	return kvm;
}

static inline int vm_slot(struct vm *vm, int slot, uint32_t flags, uint64_t gpa,
			  uint64_t bytes, void *host)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot, .flags = flags, .guest_phys_addr = gpa,
		.memory_size = bytes, .userspace_addr = (uintptr_t)host,
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r);
}

static inline struct kvm_cpuid2 *vm_cpuid(int kvm)
{
	static union {
		struct kvm_cpuid2 table;
		char room[sizeof(struct kvm_cpuid2) +
			  256 * sizeof(struct kvm_cpuid_entry2)];
	} u;

	u.table.nent = 256;
	if (ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &u.table) < 0)
		bail_out("KVM_GET_SUPPORTED_CPUID: %s", strerror(errno));
	return &u.table;
}

static inline int vm_add_vcpu(struct vm *vm, int id, struct kvm_run **run)
{
	int vcpu = ioctl(vm->fd, KVM_CREATE_VCPU, (long)id);

	if (vcpu < 0)
		bail_out("KVM_CREATE_VCPU: %s", strerror(errno));
	*run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	if (*run == MAP_FAILED)
		bail_out("mmap of the vCPU: %s", strerror(errno));
	if (ioctl(vcpu, KVM_SET_CPUID2, vm_cpuid(vm->kvm)) < 0)
		bail_out("KVM_SET_CPUID2: %s", strerror(errno));
	return vcpu;
}

/* With or without the interrupt controllers in the kernel. */
static inline void vm_create_with(struct vm *vm, bool irqchip)
{
	uint64_t identity = 0xfffbc000;

	memset(vm, 0, sizeof(*vm));
	vm->kvm = vm_open();
	vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		bail_out("KVM_CREATE_VM: %s", strerror(errno));
	if (vm_has(vm->kvm, KVM_CAP_SET_TSS_ADDR) > 0)
		ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	if (vm_has(vm->kvm, KVM_CAP_SET_IDENTITY_MAP_ADDR) > 0)
		ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	vm->run_size = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->mem = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm_slot(vm, 0, 0, 0, MEMORY, vm->mem) < 0)
		bail_out("KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
	if (irqchip && ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
		bail_out("KVM_CREATE_IRQCHIP: %s", strerror(errno));
	vm->vcpu = vm_add_vcpu(vm, 0, &vm->run);
}

static inline void vm_create(struct vm *vm)
{
	vm_create_with(vm, false);
}

static inline void vm_destroy(struct vm *vm)
{
	munmap(vm->run, vm->run_size);
	close(vm->vcpu);
	close(vm->fd);
	close(vm->kvm);
	munmap(vm->mem, MEMORY);
}

static inline struct kvm_segment vm_segment(uint16_t selector, int type, int bits)
{
	struct kvm_segment s = {
		.selector = selector, .type = type, .present = 1, .s = 1,
		.limit = bits == 16 ? 0xffff : 0xffffffff,
		.g = bits != 16, .db = bits == 32, .l = bits == 64,
	};

	return s;
}

/* Identity-map the first gigabyte for 64-bit mode, below PAGE_TABLES + 0x3000. */
static inline void vm_page_tables(struct vm *vm)
{
	uint64_t *table = (void *)(vm->mem + PAGE_TABLES);

	memset(table, 0, 3 * PAGE);
	table[0] = PAGE_TABLES + PAGE + 3;
	table[512] = PAGE_TABLES + 2 * PAGE + 3;
	for (uint64_t i = 0; i < 512; i++)
		table[1024 + i] = i << 21 | 0x83;
}

/* Put a vCPU in 16-, 32- or 64-bit mode at the address of such guests. */
static inline void vm_mode_of(struct vm *vm, int vcpu, int bits)
{
	struct kvm_regs regs = {
		.rip = bits == 16 ? 0x1000 : 0x100000, .rflags = 2,
		.rsp = bits == 16 ? 0x7000 : STACK,
	};
	int data_bits = bits == 64 ? 32 : bits;
	struct kvm_sregs s;

	if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
		bail_out("KVM_GET_SREGS: %s", strerror(errno));
	s.cs = vm_segment(bits == 16 ? 0 : 8, 11, bits);
	s.ds = s.es = s.fs = s.gs = s.ss = vm_segment(bits == 16 ? 0 : 16, 3, data_bits);
	s.cr0 = 0x10 | (bits != 16) | (bits == 64 ? 0x80000000 : 0);
	s.cr4 = bits == 64 ? 0x20 : 0;
	s.cr3 = bits == 64 ? PAGE_TABLES : 0;
	s.efer = bits == 64 ? 0x500 : 0;
	if (bits == 64)
		vm_page_tables(vm);
	if (bits != 16) {	/* a table for guests that reload segments */
		static const uint64_t gdt32[] = {
			0, 0x00cf9b000000ffff, 0x00cf93000000ffff };
		static const uint64_t gdt64[] = {
			0, 0x00af9b000000ffff, 0x00cf93000000ffff };

		memcpy(vm->mem + 0x500, bits == 64 ? gdt64 : gdt32, sizeof(gdt32));
		s.gdt.base = 0x500;
		s.gdt.limit = sizeof(gdt32) - 1;
	}
	if (ioctl(vcpu, KVM_SET_SREGS, &s) < 0)
		bail_out("KVM_SET_SREGS for %d bits: %s", bits, strerror(errno));
	if (ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		bail_out("KVM_SET_REGS: %s", strerror(errno));
}

/*
 * For a guest that never exits by itself. A host's interrupt must end its run
 * whatever its interrupt flag says, and on SVM it has to here; but Bochs 3.0 lets
 * no interrupt exit from VMX while the guest's flag is clear, and would hang.
 */
static inline void vm_interruptible(struct vm *vm, int vcpu)
{
	struct kvm_regs regs;

	(void)vm;
	if (!vm_on_intel())
		return;
	ioctl(vcpu, KVM_GET_REGS, &regs);
	regs.rflags |= 0x200;
	ioctl(vcpu, KVM_SET_REGS, &regs);
}

/* Put a guest where guests of that mode begin, and the vCPU in front of it. */
static inline void vm_load(struct vm *vm, int bits, const uint8_t *code, const uint8_t *end)
{
	memcpy(vm->mem + (bits == 16 ? 0x1000 : 0x100000), code, end - code);
	vm_mode_of(vm, vm->vcpu, bits);
}

static inline void vm_start(struct vm *vm, int bits, const uint8_t *code,
			    const uint8_t *end)
{
	vm_create(vm);
	vm_load(vm, bits, code, end);
}

#define VM_LOAD(vm, bits, name) \
	vm_load(vm, bits, guest_##name, guest_##name##_end)
#define VM_START(vm, bits, name) \
	vm_start(vm, bits, guest_##name, guest_##name##_end)

/* KVM_RUN: 0 or -errno. */
static inline int vm_run_once(struct vm *vm)
{
	return ioctl(vm->vcpu, KVM_RUN, 0) < 0 ? -errno : 0;
}

static inline void vm_record(enum action what, uint64_t where, int size,
			     uint64_t value)
{
	if (vm_nacts < VM_ACTS)
		vm_acts[vm_nacts++] = (struct act){ what, where, size, value };
}

static inline uint64_t vm_supply(struct vm *vm, uint64_t where, int size)
{
	uint64_t v = vm->supply ? vm->supply(vm, where, size) : ~0ULL;

	return size == 8 ? v : v & ((1ULL << size * 8) - 1);
}

/* Record one exit; false when the run is over. */
static inline bool vm_take(struct vm *vm)
{
	struct kvm_run *run = vm->run;
	uint8_t *data;
	uint64_t v = 0;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		data = (uint8_t *)run + run->io.data_offset;
		for (uint32_t i = 0; i < run->io.count; i++, data += run->io.size) {
			v = 0;
			if (run->io.direction == KVM_EXIT_IO_OUT) {
				memcpy(&v, data, run->io.size);
			} else {
				v = vm_supply(vm, run->io.port, run->io.size);
				memcpy(data, &v, run->io.size);
			}
			vm_record(run->io.direction == KVM_EXIT_IO_OUT ? OUT : IN,
				  run->io.port, run->io.size, v);
		}
		return true;
	case KVM_EXIT_MMIO:
		if (run->mmio.len > 8) {
			vm_record(OTHER, run->exit_reason, run->mmio.len, 0);
			return false;
		}
		if (run->mmio.is_write) {
			memcpy(&v, run->mmio.data, run->mmio.len);
		} else {
			v = vm_supply(vm, run->mmio.phys_addr, run->mmio.len);
			memcpy(run->mmio.data, &v, run->mmio.len);
		}
		vm_record(run->mmio.is_write ? STORE : LOAD, run->mmio.phys_addr,
			  run->mmio.len, v);
		return true;
	case KVM_EXIT_HLT:
		vm_record(HLT, 0, 0, 0);
		return vm->hook != NULL;	/* a hook decides by its own means */
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_SET_TPR:
		vm_record(OTHER, run->exit_reason, 0, 0);
		return true;
	}
	vm_record(OTHER, run->exit_reason, 0, 0);
	return false;
}

static bool vm_stop_now;	/* a hook sets it to end vm_go() */

/* Run until HLT (or vm_stop_now), an exit of another kind, or an error. */
static inline void vm_go(struct vm *vm)
{
	bool more = true;

	vm_nacts = 0;
	vm_stop_now = false;
	while (more && !vm_stop_now && vm_nacts < VM_ACTS) {
		int r = vm_run_once(vm);

		if (r == -EAGAIN)
			continue;
		if (r < 0) {
			vm_record(OTHER, 1000, -r, 0);
			return;
		}
		more = vm_take(vm);
		if (vm->hook)
			vm->hook(vm, vm_nacts);
	}
}

static inline void vm_show_act(const char *label, const struct act *a)
{
	static const char *const names[] = {
		"the end", "out", "in", "store", "load", "hlt", "exit",
	};

	if (a->what == OTHER && a->where == 1000)
		note("%s KVM_RUN failed: %s", label, strerror(a->size));
	else
		note("%s %s 0x%llx size %d value 0x%llx", label, names[a->what],
		     (unsigned long long)a->where, a->size,
		     (unsigned long long)a->value);
}

static inline void vm_show_state(struct vm *vm)
{
	struct kvm_regs r;

	if (ioctl(vm->vcpu, KVM_GET_REGS, &r) < 0)
		return;
	note("rip 0x%llx rflags 0x%llx rax 0x%llx rbx 0x%llx rcx 0x%llx rsp 0x%llx",
	     r.rip, r.rflags, r.rax, r.rbx, r.rcx, r.rsp);
	if (vm->run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		note("internal error %u, data 0x%llx 0x%llx 0x%llx",
		     vm->run->internal.suberror, vm->run->internal.data[0],
		     vm->run->internal.data[1], vm->run->internal.data[2]);
	if (vm->run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		note("hardware reason 0x%llx",
		     vm->run->fail_entry.hardware_entry_failure_reason);
}

static inline bool vm_same(const struct act *a, const struct act *b)
{
	return a->what == b->what && a->where == b->where &&
		a->size == b->size && a->value == b->value;
}

/* Compare the record with @want, which ends with END; one TAP line. */
static inline bool vm_compare(struct vm *vm, const struct act *want,
			      const char *name)
{
	int i;

	for (i = 0; want[i].what != END; i++) {
		if (i >= vm_nacts || !vm_same(&want[i], &vm_acts[i])) {
			struct act none = { END, 0, 0, 0 };

			ok(false, "%s", name);
			note("action %d of the guest:", i + 1);
			vm_show_act("got     ", i < vm_nacts ? &vm_acts[i] : &none);
			vm_show_act("expected", &want[i]);
			vm_show_state(vm);
			return false;
		}
	}
	if (i < vm_nacts) {
		ok(false, "%s", name);
		vm_show_act("one action too many:", &vm_acts[i]);
		return false;
	}
	return ok(true, "%s", name);
}

static inline bool vm_expect(struct vm *vm, const struct act *want,
			     const char *name)
{
	vm_go(vm);
	return vm_compare(vm, want, name);
}

#define ACTS(...) ((const struct act[]){ __VA_ARGS__, { END, 0, 0, 0 } })

#endif /* VM_H */
