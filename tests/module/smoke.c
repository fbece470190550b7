// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * smoke: one guest in each mode, made with raw ioctls: it writes a word to a
 * port, stores to an address without memory, reads it back, and halts. Small
 * enough to be the first thing that a new backend runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEMORY		(4u << 20)
#define CODE		0x1000
#define HOLE		0x00800000u	/* beyond MEMORY: MMIO */

/*
 * The same bytes in 32- and 64-bit mode:
 *   mov $'A',%al; out %al,$0x10; mov $HOLE,%ebx; movl $0x12345678,(%ebx);
 *   mov (%ebx),%eax; out %eax,$0x14; hlt
 */
static const uint8_t code32[] = {
	0xb0, 'A', 0xe6, 0x10, 0xbb, 0x00, 0x00, 0x80, 0x00,
	0xc7, 0x03, 0x78, 0x56, 0x34, 0x12, 0x8b, 0x03, 0xe7, 0x14, 0xf4,
};

/* mov $'A',%al; out %al,$0x10; mov $0xa000,%ax; mov %ax,%ds;
 * movl $0x12345678,0; mov 0,%eax; out %eax,$0x14; hlt - 0xa0000 is no memory. */
static const uint8_t code16[] = {
	0xb0, 'A', 0xe6, 0x10, 0xb8, 0x00, 0xa0, 0x8e, 0xd8,
	0x66, 0xc7, 0x06, 0x00, 0x00, 0x78, 0x56, 0x34, 0x12,
	0x66, 0xa1, 0x00, 0x00, 0x66, 0xe7, 0x14, 0xf4,
};

static int count;

static int check(int good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++count, what);
	fflush(stdout);
	return good;
}

static int add_slot(int vm, int slot, uint64_t gpa, uint64_t size, void *at)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)at,
	};

	return ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void set_mode(int kvm, int vcpu, uint8_t *memory, int mode)
{
	struct kvm_segment data = {
		.limit = ~0u, .selector = 16, .type = 3, .present = 1,
		.db = 1, .s = 1, .g = 1,
	};
	struct kvm_regs regs = { .rip = CODE, .rsp = 0x8000, .rflags = 2 };
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[128];
	} cpuid;
	struct kvm_sregs sregs;
	uint64_t *table = (uint64_t *)(memory + 0x10000);
	int i;

	cpuid.head.nent = 128;
	if (!ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid))
		ioctl(vcpu, KVM_SET_CPUID2, &cpuid);
	ioctl(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (mode > 16) {
		sregs.ds = data;
		sregs.es = data;
		sregs.fs = data;
		sregs.gs = data;
		sregs.ss = data;
		sregs.cs = data;
		sregs.cs.selector = 8;
		sregs.cs.type = 11;
		sregs.cr0 |= 1;
	}
	if (mode == 64) {
		sregs.cs.db = 0;
		sregs.cs.l = 1;
		table[0] = 0x11003;
		table[512] = 0x12003;
		for (i = 0; i < 512; i++)
			table[1024 + i] = ((uint64_t)i << 21) | 0x83;
		sregs.cr3 = 0x10000;
		sregs.cr4 |= 1 << 5;
		sregs.cr0 |= 1u << 31;
		sregs.efer |= 0x500;
	}
	check(!ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	check(!ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void run_guest(int kvm, int mode)
{
	const uint8_t *code = mode == 16 ? code16 : code32;
	int bytes = mode == 16 ? sizeof(code16) : sizeof(code32);
	int run_bytes = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	uint32_t hole = 0, out = 0, letter = 0;
	struct kvm_run *run;
	int vm, vcpu, i, halted = 0;
	uint8_t *memory;
	char text[80];

	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	if (!check(vm >= 0, "KVM_CREATE_VM"))
		return;
	ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000ul);
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memcpy(memory + CODE, code, bytes);
	check(!add_slot(vm, 0, 0, 0xa0000, memory) &&
	      !add_slot(vm, 1, 0x100000, MEMORY - 0x100000, memory + 0x100000),
	      "KVM_SET_USER_MEMORY_REGION");
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	if (!check(vcpu >= 0, "KVM_CREATE_VCPU"))
		return;
	run = mmap(NULL, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	set_mode(kvm, vcpu, memory, mode);

	for (i = 0; i < 100 && !halted; i++) {
		if (ioctl(vcpu, KVM_RUN, 0)) {
			printf("# KVM_RUN: %s\n", strerror(errno));
			break;
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			memcpy(run->io.port == 0x10 ? &letter : &out,
			       (char *)run + run->io.data_offset, run->io.size);
			break;
		case KVM_EXIT_MMIO:
			if (run->mmio.is_write)
				memcpy(&hole, run->mmio.data, run->mmio.len);
			else
				memcpy(run->mmio.data, &hole, run->mmio.len);
			break;
		case KVM_EXIT_HLT:
			halted = 1;
			break;
		case KVM_EXIT_INTERNAL_ERROR:
			printf("# internal error %u data %llx %llx\n",
			       run->internal.suberror, run->internal.data[0],
			       run->internal.data[1]);
			i = 100;
			break;
		case KVM_EXIT_FAIL_ENTRY:
			printf("# entry failed: %llx\n",
			       run->fail_entry.hardware_entry_failure_reason);
			i = 100;
			break;
		default:
			printf("# exit reason %u\n", run->exit_reason);
			i = 100;
		}
	}
	snprintf(text, sizeof(text), "%d-bit guest: port output", mode);
	check(letter == 'A', text);
	snprintf(text, sizeof(text), "%d-bit guest: MMIO write", mode);
	check(hole == 0x12345678, text);
	snprintf(text, sizeof(text), "%d-bit guest: MMIO read", mode);
	check(out == 0x12345678, text);
	snprintf(text, sizeof(text), "%d-bit guest: halts", mode);
	check(halted, text);
	munmap(run, run_bytes);
	close(vcpu);
	close(vm);
	munmap(memory, MEMORY);
}

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (!check(kvm >= 0, "/dev/kvm opens")) {
		printf("1..%d\n", count);
		return 1;
	}
	check(ioctl(kvm, KVM_GET_API_VERSION, 0) == 12, "API version 12");
	run_guest(kvm, 16);
	run_guest(kvm, 32);
	run_guest(kvm, 64);
	printf("1..%d\n", count);
	return 0;
}
