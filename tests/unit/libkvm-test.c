// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libkvm without a processor: open() and ioctl() are wrapped (-Wl,--wrap), and
 * behind them stands a fake KVM made of memfds. It answers like the real one,
 * fails where a test says so, and plays a script of exits for KVM_RUN. What the
 * fake cannot show, tests/module shows on the real thing.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libkvm.h"
#include "tap.h"

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

#define RUN_BYTES 0x3000

/* How the fake behaves; reset by fresh(). */
static struct {
	int open_errno;
	int version;
	int user_memory;
	int no_irqchip;
	int mmap_size;
	unsigned int cpuid_entries;
	unsigned long fail_request;
	int fail_errno;
	int fail_after;			/* calls that succeed before */
	int fail_times;
	void (*script[16])(struct kvm_run *run);	/* exits, in order */
	int step;
	int run_errno;			/* after the script */
	int completions;		/* KVM_RUN with immediate_exit */
} fake;

static struct kvm_run *fake_run;
static struct kvm_regs regs;
static struct kvm_sregs sregs;
static struct kvm_userspace_memory_region slots[128];
static struct kvm_cpuid_entry2 leaf1;
static int injected = -1;
static struct kvm_guest_debug debug;
static struct kvm_irqfd irqfd;
static struct kvm_ioeventfd ioeventfd;
static struct kvm_irq_level line;
static struct kvm_msi msi;
static struct kvm_irq_routing_entry last_route;
static unsigned int nroutes;
static int irqchips, pits;

static void fresh(void)
{
	memset(&fake, 0, sizeof(fake));
	fake.version = 12;
	fake.user_memory = 1;
	fake.mmap_size = RUN_BYTES;
	fake.cpuid_entries = 40;
	memset(slots, 0, sizeof(slots));
	injected = -1;
}

int __wrap_open(const char *path, int flags, ...)
{
	if (strcmp(path, "/dev/kvm"))
		return __real_open(path, flags, 0);
	if (fake.open_errno) {
		errno = fake.open_errno;
		return -1;
	}
	return memfd_create("kvm", MFD_CLOEXEC);
}

static int fake_vcpu(void)
{
	int fd = memfd_create("vcpu", MFD_CLOEXEC);

	if (ftruncate(fd, RUN_BYTES) < 0)
		return -1;
	if (fake_run)
		munmap(fake_run, RUN_BYTES);
	fake_run = mmap(NULL, RUN_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return fd;
}

static int fake_cpuid(struct kvm_cpuid2 *table)
{
	if (table->nent < fake.cpuid_entries) {
		errno = E2BIG;
		return -1;
	}
	table->nent = fake.cpuid_entries;
	table->entries[0].function = 1;
	table->entries[0].ecx = ~0u;
	return 0;
}

static int fake_enter(void)
{
	if (fake_run->immediate_exit) {
		fake.completions++;
		errno = EINTR;
		return -1;
	}
	if (fake.script[fake.step]) {
		fake.script[fake.step++](fake_run);
		return 0;
	}
	errno = fake.run_errno ? fake.run_errno : EINTR;
	return -1;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	struct kvm_userspace_memory_region *slot;
	va_list args;
	void *arg;

	(void)fd;
	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (request == fake.fail_request && fake.fail_after-- <= 0 &&
	    fake.fail_times-- > 0) {
		errno = fake.fail_errno;
		return -1;
	}
	switch (request) {
	case KVM_GET_API_VERSION:
		return fake.version;
	case KVM_CHECK_EXTENSION:
		if ((long)arg == KVM_CAP_IRQCHIP)
			return !fake.no_irqchip;
		return (long)arg == KVM_CAP_USER_MEMORY ? fake.user_memory : 1;
	case KVM_GET_VCPU_MMAP_SIZE:
		return fake.mmap_size;
	case KVM_CREATE_VM:
		return memfd_create("vm", MFD_CLOEXEC);
	case KVM_CREATE_VCPU:
		return fake_vcpu();
	case KVM_SET_USER_MEMORY_REGION:
		slot = arg;
		slots[slot->slot] = *slot;
		return 0;
	case KVM_GET_SUPPORTED_CPUID:
		return fake_cpuid(arg);
	case KVM_SET_CPUID2:
		leaf1 = ((struct kvm_cpuid2 *)arg)->entries[0];
		return 0;
	case KVM_GET_REGS:
		*(struct kvm_regs *)arg = regs;
		return 0;
	case KVM_SET_REGS:
		regs = *(struct kvm_regs *)arg;
		return 0;
	case KVM_GET_SREGS:
		*(struct kvm_sregs *)arg = sregs;
		return 0;
	case KVM_SET_SREGS:
		sregs = *(struct kvm_sregs *)arg;
		return 0;
	case KVM_GET_MSRS:
	case KVM_SET_MSRS:
		return ((struct kvm_msrs *)arg)->entries[0].index == 0x10;
	case KVM_INTERRUPT:
		injected = ((struct kvm_interrupt *)arg)->irq;
		return 0;
	case KVM_RUN:
		return fake_enter();
	case KVM_CREATE_IRQCHIP:
		irqchips++;
		return 0;
	case KVM_CREATE_PIT2:
		pits++;
		return 0;
	case KVM_SET_GUEST_DEBUG:
		debug = *(struct kvm_guest_debug *)arg;
		return 0;
	case KVM_IRQ_LINE:
		line = *(struct kvm_irq_level *)arg;
		return 0;
	case KVM_SIGNAL_MSI:
		msi = *(struct kvm_msi *)arg;
		return 3;
	case KVM_SET_GSI_ROUTING:
		nroutes = ((struct kvm_irq_routing *)arg)->nr;
		if (nroutes)
			last_route = ((struct kvm_irq_routing *)arg)->entries[nroutes - 1];
		return 0;
	case KVM_IRQFD:
		irqfd = *(struct kvm_irqfd *)arg;
		return 0;
	case KVM_IOEVENTFD:
		ioeventfd = *(struct kvm_ioeventfd *)arg;
		return 0;
	}
	return 0;
}

static int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static bool says(const char *words)
{
	if (strstr(kvm_error(NULL), words))
		return true;
	note("kvm_error: \"%s\", expected \"%s\" in it", kvm_error(NULL), words);
	return false;
}

static void test_init(void)
{
	struct kvm_callbacks callbacks = { 0 };
	struct kvm_context *kvm;
	int fds = open_fds();

	fresh();
	fake.open_errno = ENOENT;
	ok(!kvm_init(NULL, NULL) && errno == ENOENT && says("kvm-detect"),
	   "kvm_init: a missing /dev/kvm gives ENOENT and names kvm-detect");
	fake.open_errno = EACCES;
	ok(!kvm_init(NULL, NULL) && errno == EACCES && says("group"),
	   "kvm_init: no permission gives EACCES and names the group");
	fresh();
	fake.version = 11;
	ok(!kvm_init(NULL, NULL) && errno == EPROTO && says("version 11"),
	   "kvm_init: another API version is refused and named");
	fake.version = -1;
	ok(!kvm_init(NULL, NULL) && errno == EPROTO,
	   "kvm_init: a device that is not KVM is refused");
	fresh();
	fake.user_memory = 0;
	ok(!kvm_init(NULL, NULL) && errno == ENOTSUP && says("USER_MEMORY"),
	   "kvm_init: a KVM without user memory is refused");
	fresh();
	fake.mmap_size = 16;
	ok(!kvm_init(NULL, NULL) && errno == ENOTSUP,
	   "kvm_init: a shared page smaller than struct kvm_run is refused");
	fresh();
	callbacks.reserved[6] = (void (*)(void))test_init;
	ok(!kvm_init(&callbacks, NULL) && errno == EINVAL,
	   "kvm_init: a reserved callback that is set is refused");
	kvm = kvm_init(NULL, NULL);
	ok(kvm, "kvm_init: works without callbacks");
	kvm_finalize(kvm);
	kvm_finalize(NULL);
	is(open_fds(), fds, "kvm_init: no descriptor is left behind");
}

static void test_create(void)
{
	static const struct {
		unsigned long request;
		const char *name;
		int err;
	} steps[] = {
		{ KVM_CREATE_VM, "KVM_CREATE_VM", ENOMEM },
		{ KVM_CREATE_VM, "KVM_CREATE_VM", EBUSY },
		{ KVM_SET_TSS_ADDR, "KVM_SET_TSS_ADDR", EINVAL },
		{ KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", EINVAL },
		{ KVM_CREATE_VCPU, "KVM_CREATE_VCPU", ENOMEM },
		{ KVM_GET_SUPPORTED_CPUID, "KVM_GET_SUPPORTED_CPUID", EIO },
		{ KVM_SET_CPUID2, "KVM_SET_CPUID2", EINVAL },
		{ KVM_SET_SREGS, "KVM_SET_SREGS", EINVAL },
	};
	struct kvm_context *kvm;
	int fds = open_fds();
	void *mem = NULL;

	fresh();
	kvm = kvm_init(NULL, NULL);
	is(kvm_create(kvm, 0x80000, &mem), -EINVAL,
	   "kvm_create: less than 1 MiB is refused");
	is(kvm_create(kvm, 0x1000001, &mem), -EINVAL,
	   "kvm_create: a size that is not whole pages is refused");
	is(kvm_create(kvm, 0x100000000, &mem), -EINVAL,
	   "kvm_create: a size that reaches the APIC's addresses is refused");
	is(kvm_create(kvm, 0x8000000, NULL), -EINVAL,
	   "kvm_create: no place for the address is refused");
	is(kvm_run(kvm, 0), -EINVAL, "kvm_run: before kvm_create is refused");
	ok(says("kvm_create"), "kvm_run: and says to call kvm_create");
	is(kvm_create_vcpu(kvm, 1), -EINVAL,
	   "kvm_create_vcpu: before kvm_create is refused");
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int before = open_fds();

		fake.fail_request = steps[i].request;
		fake.fail_errno = steps[i].err;
		fake.fail_times = 1;
		fake.fail_after = 0;
		is(kvm_create(kvm, 0x8000000, &mem), -steps[i].err,
		   "kvm_create: %s failing with %s is reported", steps[i].name,
		   strerrorname_np(steps[i].err));
		is(open_fds(), before, "kvm_create: and leaves nothing behind");
	}
	fake.fail_request = 0;
	fake.cpuid_entries = 300;
	is(kvm_create(kvm, 0x8000000, &mem), 0,
	   "kvm_create: works after failures, with a CPUID table of 300 entries");
	ok(slots[0].guest_phys_addr == 0 && slots[0].memory_size == 0xa0000 &&
	   slots[0].userspace_addr == (uintptr_t)mem,
	   "kvm_create: region 0 is the first 640 KiB, at vm_mem");
	ok(slots[1].guest_phys_addr == 0xc0000 &&
	   slots[1].memory_size == 0x8000000 - 0xc0000 &&
	   slots[1].userspace_addr == (uintptr_t)mem + 0xc0000,
	   "kvm_create: region 1 is the rest from 768 KiB, at its own address");
	ok(sregs.cs.base == 0xf0000 && sregs.cs.selector == 0xf000 &&
	   regs.rip == 0xfff0 && !(sregs.cr0 & 1),
	   "kvm_create: the vCPU stands in real mode at f000:fff0");
	ok(!(leaf1.ecx & (1 << 24)) && !(leaf1.ecx & (1 << 21)) &&
	   leaf1.ecx & (1 << 20),
	   "kvm_create: CPUID has no TSC deadline timer, no x2APIC, the rest stays");
	is(kvm_create(kvm, 0x8000000, &mem), -EEXIST,
	   "kvm_create: a second machine in a context is refused");
	is(kvm_create_vcpu(kvm, 0), -EEXIST, "kvm_create_vcpu: vCPU 0 exists");
	is(kvm_create_vcpu(kvm, -1), -EINVAL, "kvm_create_vcpu: -1 is refused");
	is(kvm_create_vcpu(kvm, LIBKVM_MAX_VCPUS), -EINVAL,
	   "kvm_create_vcpu: a number beyond the last is refused");
	is(kvm_create_vcpu(kvm, 3), 0, "kvm_create_vcpu: numbers need not be dense");
	is(leaf1.ebx >> 24, 3, "kvm_create_vcpu: the APIC id is the vCPU's number");
	kvm_finalize(kvm);
	is(open_fds(), fds, "kvm_finalize: no descriptor is left behind");
}

static struct kvm_context *machine(const struct kvm_callbacks *callbacks,
				   void *opaque, void **mem)
{
	struct kvm_context *kvm;

	fresh();
	kvm = kvm_init(callbacks, opaque);
	if (!kvm || kvm_create(kvm, 0x8000000, mem) < 0)
		bail_out("the fake machine cannot be made: %s", kvm_error(NULL));
	return kvm;
}

static void test_memory(void)
{
	void *mem, *more = NULL, *own;
	struct kvm_context *kvm = machine(NULL, NULL, &mem);
	unsigned long bitmap[4];
	char path[] = "/tmp/libkvm-test-XXXXXX";
	int r, fd;

	is(kvm_add_memory(kvm, 0x1000, 0x1000, 0, &more), -EEXIST,
	   "kvm_add_memory: an overlap is refused");
	ok(!more, "kvm_add_memory: and maps nothing");
	is(kvm_add_memory(kvm, 0x10000800, 0x1000, 0, &more), -EINVAL,
	   "kvm_add_memory: a misaligned address is refused");
	is(kvm_add_memory(kvm, 0x10000000, 0, 0, &more), -EINVAL,
	   "kvm_add_memory: an empty region is refused");
	is(kvm_add_memory(kvm, ~0xfffULL, 0x2000, 0, &more), -EINVAL,
	   "kvm_add_memory: a region that wraps is refused");
	is(kvm_add_memory(kvm, 0x10000000, 0x1000, 0, NULL), -EINVAL,
	   "kvm_add_memory: no place for the address is refused");
	r = kvm_add_memory(kvm, 0x10000000, 0x4000, KVM_MEM_LOG_DIRTY_PAGES, &more);
	ok(r == 2 && more, "kvm_add_memory: maps memory and gives a number");
	is(kvm_move_memory(kvm, r, 0x1000), -EEXIST,
	   "kvm_move_memory: onto another region is refused");
	is(kvm_move_memory(kvm, r, 0x10002000), 0,
	   "kvm_move_memory: over the region's own old place works");
	is(slots[2].guest_phys_addr, 0x10002000, "kvm_move_memory: KVM is told");
	is(kvm_move_memory(kvm, 40, 0), -ENOENT,
	   "kvm_move_memory: no such region is an error");
	is(kvm_get_dirty_log(kvm, r, bitmap, 4), -EINVAL,
	   "kvm_get_dirty_log: a bitmap that is too small is refused");
	is(kvm_get_dirty_log(kvm, r, bitmap, 8), 0,
	   "kvm_get_dirty_log: 8 bytes are enough for 4 pages");
	ok(kvm_guest_memory(kvm, 0x10003000, 0x3000) == (char *)more + 0x1000,
	   "kvm_guest_memory: finds a moved region");
	ok(!kvm_guest_memory(kvm, 0x10003000, 0x3001),
	   "kvm_guest_memory: refuses to run over its end");
	ok(!kvm_guest_memory(kvm, 0xa0000, 1),
	   "kvm_guest_memory: has nothing in the video hole");
	is(kvm_remove_memory(kvm, r), 0, "kvm_remove_memory: works");
	is(slots[2].memory_size, 0, "kvm_remove_memory: KVM is told");
	is(kvm_remove_memory(kvm, r), -ENOENT,
	   "kvm_remove_memory: twice is an error");
	own = mmap(NULL, 0x1000, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (r = 2; r < LIBKVM_MAX_REGIONS; r++)
		if (kvm_add_memory(kvm, 0x20000000 + r * 0x1000UL, 0x1000, 0, &own) != r)
			break;
	is(r, LIBKVM_MAX_REGIONS, "kvm_add_memory: takes 64 regions");
	is(kvm_add_memory(kvm, 0x30000000, 0x1000, 0, &own), -ENOSPC,
	   "kvm_add_memory: and refuses one more");

	is(kvm_load_file(kvm, 0xf0000, "/no/such/file"), -ENOENT,
	   "kvm_load_file: a missing file is an error");
	ok(says("/no/such/file"), "kvm_load_file: and is named");
	is(kvm_load_file(kvm, 0xf0000, "/tmp"), -EINVAL,
	   "kvm_load_file: a directory is refused");
	is(kvm_load_file(kvm, 0xa0000, path), -EFAULT,
	   "kvm_load_file: where there is no memory is an error");
	fd = mkstemp(path);
	is(kvm_load_file(kvm, 0xf0000, path), -EINVAL,
	   "kvm_load_file: an empty file is refused");
	if (ftruncate(fd, 0x8000000) < 0)
		bail_out("no room in /tmp");
	is(kvm_load_file(kvm, 0xf0000, path), -EFBIG,
	   "kvm_load_file: a file larger than the memory is refused");
	if (ftruncate(fd, 0) < 0 || write(fd, "hello", 5) != 5)
		bail_out("cannot write to /tmp");
	is(kvm_load_file(kvm, 0xf0000, path), 5, "kvm_load_file: gives the bytes read");
	ok(!memcmp((char *)mem + 0xf0000, "hello", 5),
	   "kvm_load_file: and they are in guest memory");
	unlink(path);
	close(fd);
	kvm_finalize(kvm);
}

static void play_out3(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_OUT;
	run->io.port = 0xf1;
	run->io.size = 2;
	run->io.count = 3;
	run->io.data_offset = 0x1000;
	memcpy((char *)run + 0x1000, "AaBbCc", 6);
}

static void play_in(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_IO;
	run->io.direction = KVM_EXIT_IO_IN;
	run->io.port = 0x60;
	run->io.size = 1;
	run->io.count = 1;
	run->io.data_offset = 0x1000;
	memset((char *)run + 0x1000, 0, 8);
}

static void play_mmio_read(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = 0xa0000;
	run->mmio.len = 8;
	run->mmio.is_write = 0;
	memset(run->mmio.data, 0, 8);
}

static void play_hlt(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_HLT;
}

static void play_shutdown(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_SHUTDOWN;
}

static void play_internal_error(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	run->internal.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->internal.ndata = 0;
}

static void play_fail_entry(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	run->fail_entry.hardware_entry_failure_reason = 0x80000021;
}

static void play_unknown(struct kvm_run *run)
{
	run->exit_reason = 4711;
}

static void play_window(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
	run->ready_for_interrupt_injection = 1;
}

struct seen {
	struct kvm_context *kvm;
	uint32_t out[8];
	int outs, windows, halts, exits;
	int stop;		/* what the callback returns at the second out */
};

static int see_out(void *opaque, int vcpu, uint16_t port, int size,
		   uint32_t value)
{
	struct seen *seen = opaque;

	(void)vcpu;
	if (port == 0xf1 && size == 2)
		seen->out[seen->outs++] = value;
	return seen->outs == 2 ? seen->stop : 0;
}

static int see_window(void *opaque, int vcpu)
{
	struct seen *seen = opaque;

	seen->windows++;
	return kvm_inject_irq(seen->kvm, vcpu, 0x20);
}

static int see_halt(void *opaque, int vcpu)
{
	struct seen *seen = opaque;

	(void)vcpu;
	return ++seen->halts == 2 ? 7 : 0;
}

static int see_exit(void *opaque, int vcpu, struct kvm_run *run)
{
	struct seen *seen = opaque;

	(void)vcpu;
	seen->exits++;
	return run->exit_reason == 4711 ? 9 : 0;
}

static void test_run(void)
{
	struct kvm_callbacks callbacks = {
		.io_out = see_out, .irq_window = see_window,
	};
	struct seen seen = { 0 };
	struct kvm_context *kvm;
	void *mem;

	kvm = machine(NULL, NULL, &mem);
	fake.script[0] = play_out3;
	fake.script[1] = play_in;
	fake.script[2] = play_mmio_read;
	fake.script[3] = play_hlt;
	is(kvm_run(kvm, 0), 0, "kvm_run: HLT without a callback gives 0");
	is(fake.step, 4, "kvm_run: writes and reads without callbacks are harmless");
	is(*((uint8_t *)fake_run + 0x1000), 0xff,
	   "kvm_run: a port without a callback reads as all ones");
	fake.script[4] = play_shutdown;
	is(kvm_run(kvm, 0), -ESHUTDOWN, "kvm_run: a triple fault is -ESHUTDOWN");
	fake.script[5] = play_internal_error;
	is(kvm_run(kvm, 0), -EIO, "kvm_run: an internal error is -EIO");
	ok(says("cannot emulate"), "kvm_run: and its kind is named");
	fake.script[6] = play_fail_entry;
	is(kvm_run(kvm, 0), -ENOEXEC, "kvm_run: a failed entry is -ENOEXEC");
	ok(says("0x80000021"), "kvm_run: and the hardware's reason is named");
	fake.script[7] = play_unknown;
	is(kvm_run(kvm, 0), -ENOTSUP, "kvm_run: an unknown exit ends the run");
	ok(says("4711"), "kvm_run: and its number is named");
	is(kvm_run(kvm, 0), -EINTR, "kvm_run: a signal is -EINTR");
	fake.run_errno = EFAULT;
	is(kvm_run(kvm, 0), -EFAULT, "kvm_run: memory that is gone is -EFAULT");
	fake.run_errno = 0;
	fake.script[8] = play_hlt;
	fake.fail_request = KVM_RUN;
	fake.fail_errno = EAGAIN;
	fake.fail_times = 2;
	fake.fail_after = 0;
	is(kvm_run(kvm, 0), 0, "kvm_run: EAGAIN is tried again");
	is(fake.step, 9, "kvm_run: until the guest ran");
	is(kvm_run(kvm, 1), -EINVAL, "kvm_run: a vCPU that does not exist is -EINVAL");
	kvm_finalize(kvm);

	kvm = machine(&callbacks, &seen, &mem);
	seen.kvm = kvm;
	seen.stop = 5;
	fake.script[0] = play_out3;
	is(kvm_run(kvm, 0), 5, "kvm_run: gives the value that a callback returned");
	ok(seen.outs == 3 && seen.out[0] == 0x6141 && seen.out[2] == 0x6343,
	   "kvm_run: every element of a string output reaches the callback");
	is(fake.completions, 1, "kvm_run: the instruction is completed before the end");
	is(fake_run->immediate_exit, 0, "kvm_run: and the next run is not cut short");
	seen.outs = 0;
	seen.stop = -EDOM;
	fake.script[1] = play_out3;
	is(kvm_run(kvm, 0), -EDOM, "kvm_run: gives the error that a callback returned");

	fake_run->ready_for_interrupt_injection = 0;
	is(kvm_inject_irq(kvm, 0, 0x20), -EAGAIN,
	   "kvm_inject_irq: not now is -EAGAIN");
	is(fake_run->request_interrupt_window, 1,
	   "kvm_inject_irq: and asks for the window");
	is(kvm_inject_irq(kvm, 0, 256), -EINVAL,
	   "kvm_inject_irq: vector 256 is refused");
	fake.script[2] = play_window;
	fake.script[3] = play_hlt;
	is(kvm_run(kvm, 0), 0, "kvm_run: goes on after the interrupt window");
	ok(seen.windows == 1 && injected == 0x20 &&
	   !fake_run->request_interrupt_window,
	   "kvm_run: the window's callback injects, and the request is withdrawn");
	kvm_stop(kvm, 0);
	is(kvm_run(kvm, 0), -EINTR, "kvm_stop: the next run ends at once");
	fake.script[4] = play_hlt;
	is(kvm_run(kvm, 0), 0, "kvm_stop: and only that one");
	is(kvm_stop(kvm, 9), -EINVAL, "kvm_stop: a vCPU that does not exist is -EINVAL");
	kvm_finalize(kvm);

	memset(&seen, 0, sizeof(seen));
	callbacks = (struct kvm_callbacks){ .halt = see_halt, .exit = see_exit };
	kvm = machine(&callbacks, &seen, &mem);
	fake.script[0] = play_hlt;
	fake.script[1] = play_hlt;
	is(kvm_run(kvm, 0), 7, "kvm_run: the halt callback decides whether to go on");
	is(seen.exits, 2, "kvm_run: the exit callback sees every exit");
	fake.script[2] = play_unknown;
	is(kvm_run(kvm, 0), 9, "kvm_run: the exit callback can handle unknown exits");
	kvm_finalize(kvm);
}

static void test_state(void)
{
	void *mem;
	struct kvm_context *kvm = machine(NULL, NULL, &mem);
	uint64_t value;
	char *text = NULL;
	size_t bytes;
	FILE *f;

	is(kvm_get_msr(kvm, 0, 0x10, &value), 0, "kvm_get_msr: works");
	is(kvm_get_msr(kvm, 0, 0xbad, &value), -ENXIO,
	   "kvm_get_msr: a register that KVM does not have is -ENXIO");
	is(kvm_set_msr(kvm, 0, 0xbad, 1), -ENXIO, "kvm_set_msr: likewise");
	is(kvm_get_regs(kvm, 2, &regs), -EINVAL,
	   "kvm_get_regs: a vCPU that does not exist is -EINVAL");
	is(kvm_enter_32(kvm, 0, 0x100000), 0, "kvm_enter_32: works");
	ok(sregs.cr0 & 1 && !(sregs.cr0 >> 31) && sregs.cs.db && sregs.cs.g &&
	   sregs.cs.limit == 0xffffffff && sregs.ss.base == 0 &&
	   regs.rip == 0x100000 && !(regs.rflags & 0x200),
	   "kvm_enter_32: flat, protected, paging and interrupts off");
	ok(sregs.gdt.base == 0x500 && sregs.gdt.limit == 31 &&
	   *(uint64_t *)((char *)mem + 0x508) == 0x00cf9b000000ffffULL,
	   "kvm_enter_32: its descriptor table is in guest memory");
	f = open_memstream(&text, &bytes);
	is(kvm_print_regs(kvm, 0, f), 0, "kvm_print_regs: works");
	fclose(f);
	ok(strstr(text, "32-bit protected mode") &&
	   strstr(text, "rip 0000000000100000"), "kvm_print_regs: tells mode and rip");
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		if (strlen(line) > 80)
			note("%zu columns: %s", strlen(line), line), tap_failures++;
	is(kvm_print_regs(kvm, 1, stderr), -EINVAL,
	   "kvm_print_regs: a vCPU that does not exist is -EINVAL");
	ok(!strcmp(kvm_exit_name(KVM_EXIT_HLT), "HLT") &&
	   !strcmp(kvm_exit_name(99999), "?"), "kvm_exit_name: knows HLT, not 99999");
	free(text);
	kvm_finalize(kvm);
}

static void test_irqchip(void)
{
	struct kvm_irq_routing_entry routes[2] = {
		{ .gsi = 1, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip = { 2, 9 } },
		{ .gsi = 30, .type = KVM_IRQ_ROUTING_MSI, .u.msi.data = 0x41 },
	};
	void *mem;
	struct kvm_context *kvm = machine(NULL, NULL, &mem);
	int fds;

	is(irqchips + pits, 0, "kvm_create: makes no interrupt controllers");
	is(kvm_set_irq(kvm, 4, 1), -ENXIO, "kvm_set_irq: without them is -ENXIO");
	ok(says("LIBKVM_IRQCHIP"), "kvm_set_irq: and says how to get them");
	is(kvm_send_msi(kvm, 0xfee00000, 0x41), -ENXIO, "kvm_send_msi: likewise");
	is(kvm_set_irq_routes(kvm, routes, 2), -ENXIO, "kvm_set_irq_routes: likewise");
	is(kvm_add_irqfd(kvm, 5, 4, -1), -ENXIO, "kvm_add_irqfd: likewise");
	is(kvm_add_ioeventfd(kvm, 7, 0x500, 2, KVM_IOEVENTFD_FLAG_PIO |
			     KVM_IOEVENTFD_FLAG_DATAMATCH, 9), 0,
	   "kvm_add_ioeventfd: needs none");
	ok(ioeventfd.fd == 7 && ioeventfd.addr == 0x500 && ioeventfd.len == 2 &&
	   ioeventfd.datamatch == 9 && !(ioeventfd.flags & KVM_IOEVENTFD_FLAG_DEASSIGN),
	   "kvm_add_ioeventfd: KVM is told all of it");
	is(kvm_remove_ioeventfd(kvm, 7, 0x500, 2, KVM_IOEVENTFD_FLAG_PIO, 9), 0,
	   "kvm_remove_ioeventfd: works");
	ok(ioeventfd.flags == (KVM_IOEVENTFD_FLAG_PIO | KVM_IOEVENTFD_FLAG_DEASSIGN),
	   "kvm_remove_ioeventfd: is the same with DEASSIGN");
	is(kvm_add_ioeventfd(kvm, 7, 0x500, 2, KVM_IOEVENTFD_FLAG_DEASSIGN, 9), -EINVAL,
	   "kvm_add_ioeventfd: does not remove");
	kvm_finalize(kvm);

	fresh();
	kvm = kvm_init(NULL, NULL);
	is(kvm_add_ioeventfd(kvm, 7, 0x500, 2, 0, 0), -EINVAL,
	   "kvm_add_ioeventfd: before kvm_create is refused");
	fds = open_fds();
	is(kvm_create_machine(kvm, 0x8000000, 0x80, &mem), -EINVAL,
	   "kvm_create_machine: an unknown flag is refused");
	fake.no_irqchip = 1;
	is(kvm_create_machine(kvm, 0x8000000, LIBKVM_IRQCHIP, &mem), -ENOTSUP,
	   "kvm_create_machine: a KVM without interrupt controllers is -ENOTSUP");
	fake.no_irqchip = 0;
	fake.fail_request = KVM_CREATE_PIT2;
	fake.fail_errno = EEXIST;
	fake.fail_times = 1;
	is(kvm_create_machine(kvm, 0x8000000, LIBKVM_IRQCHIP, &mem), -EEXIST,
	   "kvm_create_machine: KVM_CREATE_PIT2 failing is reported");
	is(open_fds(), fds, "kvm_create_machine: and leaves nothing behind");
	is(kvm_create_machine(kvm, 0x8000000, LIBKVM_IRQCHIP, &mem), 0,
	   "kvm_create_machine: works");
	ok(irqchips == 2 && pits == 1, "kvm_create_machine: with controllers and timer");
	ok(leaf1.ecx & (1 << 24) && leaf1.ecx & (1 << 21),
	   "kvm_create_machine: CPUID has x2APIC and the TSC deadline timer");
	is(kvm_inject_irq(kvm, 0, 0x20), -ENXIO,
	   "kvm_inject_irq: is refused where the kernel has the controllers");
	is(kvm_set_irq(kvm, 4, 7), 0, "kvm_set_irq: works");
	ok(line.irq == 4 && line.level == 1, "kvm_set_irq: any level but 0 is high");
	is(kvm_send_msi(kvm, 0x1fee00000, 0x41), 1, "kvm_send_msi: gives 1 for any delivery");
	ok(msi.address_lo == 0xfee00000 && msi.address_hi == 1 && msi.data == 0x41,
	   "kvm_send_msi: KVM is told all of it");
	is(kvm_set_irq_routes(kvm, routes, 2), 0, "kvm_set_irq_routes: works");
	ok(nroutes == 2 && last_route.u.msi.data == 0x41,
	   "kvm_set_irq_routes: KVM gets every route");
	is(kvm_set_irq_routes(kvm, NULL, 0), 0, "kvm_set_irq_routes: none is allowed");
	is(kvm_set_irq_routes(kvm, routes, 100000), -E2BIG,
	   "kvm_set_irq_routes: too many are refused unread");
	is(kvm_add_irqfd(kvm, 5, 4, 6), 0, "kvm_add_irqfd: works with a resample eventfd");
	ok(irqfd.fd == 5 && irqfd.gsi == 4 && irqfd.resamplefd == 6 &&
	   irqfd.flags == KVM_IRQFD_FLAG_RESAMPLE, "kvm_add_irqfd: KVM is told all of it");
	is(kvm_remove_irqfd(kvm, 5, 4), 0, "kvm_remove_irqfd: works");
	is(irqfd.flags, KVM_IRQFD_FLAG_DEASSIGN, "kvm_remove_irqfd: KVM is told");
	kvm_finalize(kvm);
}

static int see_debug(void *opaque, int vcpu, const struct kvm_debug_exit_arch *arch)
{
	(void)opaque; (void)vcpu;
	return arch->dr6 & 0xf ? 11 : 12;
}

static void play_breakpoint(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_DEBUG;
	run->debug.arch.dr6 = 0xffff0ff1;
}

static void play_watchpoint(struct kvm_run *run)
{
	play_breakpoint(run);
	run->debug.arch.dr6 = 0xffff0ff2;
}

static void test_debug(void)
{
	struct kvm_callbacks callbacks = { .debug = see_debug };
	void *mem;
	struct kvm_context *kvm = machine(&callbacks, NULL, &mem);
	const __u64 *dr = debug.arch.debugreg;

	is(kvm_single_step(kvm, 3, 1), -EINVAL,
	   "kvm_single_step: a vCPU that does not exist is -EINVAL");
	is(kvm_single_step(kvm, 0, 1), 0, "kvm_single_step: works");
	is(debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	   "kvm_single_step: KVM is told");
	is(kvm_set_breakpoint(kvm, 0, 0, LIBKVM_BREAK_EXEC, 0x100001, 1), 0,
	   "kvm_set_breakpoint: an instruction");
	is(kvm_set_breakpoint(kvm, 0, 1, LIBKVM_BREAK_WRITE, 0x2004, 4), 0,
	   "kvm_set_breakpoint: a write of 4 bytes");
	is(kvm_set_breakpoint(kvm, 0, 3, LIBKVM_BREAK_ACCESS, 0x3008, 8), 0,
	   "kvm_set_breakpoint: an access of 8 bytes");
	ok(dr[0] == 0x100001 && dr[1] == 0x2004 && dr[3] == 0x3008 &&
	   dr[7] == 0xb0d0048a, "kvm_set_breakpoint: the debug registers have them (dr7 0x%llx)",
	   dr[7]);
	is(debug.control, KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP |
	   KVM_GUESTDBG_USE_HW_BP, "kvm_set_breakpoint: single steps stay");
	is(kvm_set_breakpoint(kvm, 0, 4, LIBKVM_BREAK_EXEC, 0, 1), -EINVAL,
	   "kvm_set_breakpoint: a fifth is refused");
	is(kvm_set_breakpoint(kvm, 0, 0, 2, 0, 1), -EINVAL,
	   "kvm_set_breakpoint: an unknown kind is refused");
	is(kvm_set_breakpoint(kvm, 0, 0, LIBKVM_BREAK_EXEC, 0, 2), -EINVAL,
	   "kvm_set_breakpoint: an instruction of 2 bytes is refused");
	is(kvm_set_breakpoint(kvm, 0, 0, LIBKVM_BREAK_WRITE, 0x1002, 4), -EINVAL,
	   "kvm_set_breakpoint: a misaligned one is refused");
	regs.rflags = 2;
	fake.script[0] = play_watchpoint;
	is(kvm_run(kvm, 0), 11, "kvm_run: the debug callback ends the run");
	is(regs.rflags, 2, "kvm_run: data that was hit leaves the flags");
	fake.script[1] = play_breakpoint;
	is(kvm_run(kvm, 0), 11, "kvm_run: and at an instruction");
	is(regs.rflags, 0x10002, "kvm_run: the next run gets past it, by RF");
	fake.fail_request = KVM_SET_GUEST_DEBUG;
	fake.fail_errno = EIO;
	fake.fail_times = 1;
	is(kvm_clear_breakpoint(kvm, 0, 3), -EIO, "kvm_clear_breakpoint: a failure is reported");
	is(kvm_clear_breakpoint(kvm, 0, 0), 0, "kvm_clear_breakpoint: works");
	is(dr[7], 0xb0d00488, "kvm_clear_breakpoint: the others stay, as does one that failed");
	kvm_clear_breakpoint(kvm, 0, 1);
	kvm_clear_breakpoint(kvm, 0, 3);
	kvm_single_step(kvm, 0, 0);
	ok(debug.control == 0 && dr[7] == 0, "debugging is off when nothing is left of it");
	kvm_finalize(kvm);
}

static void test_new_state(void)
{
	void *mem;
	struct kvm_context *kvm = machine(NULL, NULL, &mem);
	const uint64_t *pml4 = (void *)((char *)mem + LIBKVM_PAGE_TABLES);

	is(kvm_enter_64(kvm, 0, 0x123456), 0, "kvm_enter_64: works");
	ok(sregs.efer == 0x500 && sregs.cr0 >> 31 && sregs.cr4 & 0x20 && sregs.cs.l &&
	   !sregs.cs.db && sregs.cr3 == LIBKVM_PAGE_TABLES && regs.rip == 0x123456,
	   "kvm_enter_64: long mode, paging, 64-bit code");
	ok(pml4[0] == 0x2003 && pml4[512] == 0x3003 && pml4[515] == 0x6003 &&
	   pml4[1024] == 0x83 && pml4[1024 + 2047] == 0xffe00083 && pml4[1] == 0,
	   "kvm_enter_64: the tables map 4 GiB to themselves");
	is(kvm_set_memory_flags(kvm, 1, KVM_MEM_LOG_DIRTY_PAGES), 0,
	   "kvm_set_memory_flags: works");
	ok(slots[1].flags == KVM_MEM_LOG_DIRTY_PAGES &&
	   slots[1].memory_size == 0x8000000 - 0xc0000,
	   "kvm_set_memory_flags: KVM is told, and the region stays");
	is(kvm_set_memory_flags(kvm, 2, 0), -ENOENT,
	   "kvm_set_memory_flags: no such region is an error");
	is(kvm_remove_memory(kvm, 0), 0, "kvm_remove_memory: the low region");
	is(kvm_enter_64(kvm, 0, 0x123456), -EFAULT,
	   "kvm_enter_64: without memory for its tables is -EFAULT");
	kvm_finalize(kvm);
}

int main(void)
{
	test_init();
	test_create();
	test_memory();
	test_run();
	test_state();
	test_irqchip();
	test_debug();
	test_new_state();
	return done();
}
