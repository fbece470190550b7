// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What each kind of exit costs. A guest (images/guests/long-bench.S) loops one
 * kind at a time and reads the TSC around the loop; in a machine that counts
 * instructions (run-vm --icount) the difference is the number of instructions
 * that guest, module, kernel and this program have executed. An empty loop is
 * subtracted. A loop is short against the host's timer tick, and of several the
 * cheapest counts: it has met no tick.
 *
 * Each row is a process of its own, so that one that hangs or is missing in the
 * module gives "-" and no more. Output: a line "# bench<TAB>ROW<TAB>FIGURE" each.
 * bench=ID,ID… on the kernel's command line selects rows; bench-profile makes this
 * program tell the kernel's symbols to tests/bench/profile's plugin.
 */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <x86intrin.h>

#include "vm.h"
#include "bench.h"

#define LOOP(name) BENCH_##name,
enum { BENCH_LOOPS(LOOP) };
#undef LOOP

#define APIC		0xfee00000ul
#define NOBODY		0x7f		/* an APIC ID that no vCPU has */
#define FRESH		0x40000000ul	/* where memory is to be touched */
#define FRESH_SIZE	(64ul << 20)
#define HUGE		(2ul << 20)
#define CROWD_SLOTS	0x80000000ul
#define PORT_PIC	0x21
#define PORT_PIT	0x40
#define PORT_PIT_CTL	0x43
#define PORT_EVENT	0x510
#define PORT_NOBODY	0x520
#define MMIO_EVENT	(MMIO + PAGE)
#define PTE_PAGE	0xc0000000ul	/* mapped by a table of 4 KiB pages */
#define MSI_GSI		40

enum {
	X2APIC = 1,		/* else xAPIC */
	EVENT_PIO = 2,		/* an ioeventfd at PORT_EVENT */
	EVENT_MMIO = 4,		/* an ioeventfd at MMIO_EVENT */
	FRESH_4K = 8,		/* FRESH is mapped, in 4 KiB pages, before each loop */
	FRESH_ABSENT = 16,	/* and its host memory is absent */
	FRESH_2M = 32,		/* in 2 MiB pages */
	TWO_VCPUS = 64,		/* the second runs pong */
	DIRTY_LOG = 128,	/* FRESH is present, and its dirty log read before each loop */
	HOST = 256,		/* what is measured is read_log() or signal_msi() after the loop */
	MSI = 512,
	SHADOW = 1024,		/* measured with shadow paging, too */
};

struct row {
	const char *id, *text;
	int loop;
	uint64_t where, value;
	unsigned int flags;
	int count;		/* a loop's iterations; 0: 100 */
};

static const struct row rows[] = {
	{ "cpuid", "CPUID leaf 0", BENCH_cpuid, 0, 0, SHADOW, 0 },
	{ "cpuid-last", "CPUID leaf 0x80000008", BENCH_cpuid, 0x80000008, 0, 0, 0 },
	{ "vmmcall", "VMMCALL of a hypercall that does nothing", BENCH_vmmcall, 0, 0, 0, 0 },
	{ "rdmsr", "RDMSR of IA32_APIC_BASE, intercepted", BENCH_rdmsr, 0x1b, 0, 0, 0 },
	{ "x2apic-eoi", "x2APIC EOI with nothing in service", BENCH_wrmsr, 0x80b, 0, X2APIC, 0 },
	{ "x2apic-icr", "x2APIC ICR: an IPI to nobody", BENCH_wrmsr, 0x830,
	  (uint64_t)NOBODY << 32 | 0x4000 | BENCH_VECTOR, X2APIC, 0 },
	{ "x2apic-self-ipi", "x2APIC IPI to itself: sent, taken, EOI", BENCH_self_ipi, 0,
	  0x44000 | BENCH_VECTOR, X2APIC, 0 },
	{ "xapic-eoi", "xAPIC (MMIO) EOI with nothing in service", BENCH_store32,
	  APIC + 0xb0, 0, 0, 0 },
	{ "xapic-icr", "xAPIC (MMIO) ICR: an IPI to nobody", BENCH_store32,
	  APIC + 0x300, 0x4000 | BENCH_VECTOR, 0, 0 },
	{ "deadline", "TSC-deadline timer armed, 1 s ahead", BENCH_deadline, 0,
	  1000000000, X2APIC, 0 },
	{ "deadline-near", "TSC-deadline timer armed, 100 us ahead: the next to expire",
	  BENCH_deadline, 0, 100000, X2APIC, 0 },
	{ "cr0", "MOV to CR0 that toggles TS", BENCH_cr0, 0, 0, 0, 0 },
	{ "cr4", "MOV to CR4 that toggles PGE", BENCH_cr4, 0, 0, 0, 0 },
	{ "cr8", "MOV to CR8 (task priority), the same value", BENCH_cr8, 0, 0, 0, 0 },
	{ "dr7", "MOV to DR7, the same value", BENCH_dr7, 0, 0x400, 0, 0 },
	{ "pic-in", "port read of the PIC in the kernel", BENCH_in8, PORT_PIC, 0, 0, 0 },
	{ "pic-out", "port write to the PIC in the kernel", BENCH_out8, PORT_PIC, 0xff, 0, 0 },
	{ "pit-in", "port read of the PIT in the kernel", BENCH_in8, PORT_PIT, 0, 0, 0 },
	{ "pit-out", "port write to the PIT in the kernel", BENCH_out8, PORT_PIT_CTL, 0, 0, 0 },
	{ "pio-in", "port read from user space", BENCH_in8, PORT_NOBODY, 0, 0, 0 },
	{ "pio-out", "port write to user space", BENCH_out8, PORT_NOBODY, 0, SHADOW, 0 },
	{ "mmio-load", "MMIO read from user space", BENCH_load32, MMIO, 0, 0, 0 },
	{ "mmio-store", "MMIO write to user space", BENCH_store32, MMIO, 0, SHADOW, 0 },
	{ "pio-event", "port write with ioeventfd", BENCH_out8, PORT_EVENT, 0, EVENT_PIO, 0 },
	{ "mmio-event", "MMIO write with ioeventfd", BENCH_store32, MMIO_EVENT, 0,
	  EVENT_MMIO, 0 },
	{ "fault", "first touch of a 4 KiB page that the host has mapped: second-level fault",
	  BENCH_touch, FRESH, PAGE, FRESH_4K | SHADOW, 256 },
	{ "fault-absent", "first touch of a 4 KiB page that the host has to find first",
	  BENCH_touch, FRESH, PAGE, FRESH_4K | FRESH_ABSENT | SHADOW, 128 },
	{ "fault-2m", "first touch of a 2 MiB page that the host has mapped",
	  BENCH_touch, FRESH, HUGE, FRESH_2M | SHADOW, FRESH_SIZE / HUGE },
	{ "dirty-fault", "first write to a 4 KiB page since its dirty log was read",
	  BENCH_touch, FRESH, PAGE, FRESH_4K | DIRTY_LOG | SHADOW, 256 },
	{ "dirty-read", "KVM_GET_DIRTY_LOG, for each of 256 dirty pages of a 64 MiB slot",
	  BENCH_touch, FRESH, PAGE, FRESH_4K | DIRTY_LOG | HOST | SHADOW, 256 },
	{ "irqfd-msi", "write to an irqfd whose MSI goes to a vCPU that does not run",
	  BENCH_nothing, 0, 0, X2APIC | HOST | MSI, 100 },
	{ "cr3", "MOV to CR3 between two address spaces", BENCH_cr3, 0, 0, SHADOW, 0 },
	{ "pte", "a page table entry changed, INVLPG, the page touched", BENCH_pte,
	  PTE_PAGE, (DATA + PAGE) | 3, SHADOW, 0 },
	{ "hlt-wake", "HLT and wake by IPI, between two vCPUs on one processor",
	  BENCH_ping, 0, 1ull << 32 | 0x4000 | BENCH_VECTOR, X2APIC | TWO_VCPUS, 50 },
};

/* What else exists while a row is measured; of each at least 1. */
struct crowd {
	const char *what;
	int vms, vcpus, slots, events;
};

static const struct crowd alone = { "", 1, 1, 1, 1 };
static const struct crowd crowds[] = {
	{ "16 VMs", 16, 1, 1, 1 }, { "64 VMs", 64, 1, 1, 1 },
	{ "8 vCPUs", 1, 8, 1, 1 }, { "64 vCPUs", 1, 64, 1, 1 },
	{ "32 memory slots", 1, 1, 32, 1 }, { "500 memory slots", 1, 1, 500, 1 },
	{ "32 ioeventfds", 1, 1, 1, 32 }, { "500 ioeventfds", 1, 1, 1, 500 },
};

/* Rows that are measured in every crowd; in those of ioeventfds only their own. */
static const char *const growing[] = {
	"cpuid", "pio-out", "mmio-store", "pio-event", "mmio-event", "fault", "x2apic-icr",
};

#define BATCHES 12

/* ---- machines --------------------------------------------------------------------- */

static void give_up(const char *what)
{
	printf("# bench: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

/* 64-bit mode sees the first 4 GiB in 2 MiB pages. */
static void map_4g(struct vm *vm)
{
	uint64_t *table = (void *)(vm->mem + PAGE_TABLES);

	memset(table, 0, 2 * PAGE);
	table[0] = PAGE_TABLES + PAGE + 3;
	for (uint64_t i = 0; i < 4; i++)
		table[512 + i] = PAGE_TABLES + (2 + i) * PAGE + 3;
	for (uint64_t i = 0; i < 4 * 512; i++)
		table[1024 + i] = i << 21 | 0x83;
	memcpy(vm->mem + BENCH_ROOT2, table, PAGE);
	table[1024 + PTE_PAGE / HUGE] = BENCH_PTE | 3;
	*(uint64_t *)(vm->mem + BENCH_PTE) = (DATA + PAGE) | 3;
}

static void set_apic(int vcpu, int id, bool x2apic)
{
	struct kvm_lapic_state apic;
	struct kvm_sregs s;

	if (ioctl(vcpu, KVM_GET_SREGS, &s) < 0)
		give_up("KVM_GET_SREGS");
	s.apic_base = APIC | 0x800 | (x2apic ? 0x400 : 0) | (id == 0 ? 0x100 : 0);
	if (ioctl(vcpu, KVM_SET_SREGS, &s) < 0)
		give_up("KVM_SET_SREGS of the APIC's base");
	if (ioctl(vcpu, KVM_GET_LAPIC, &apic) < 0)
		give_up("KVM_GET_LAPIC");
	*(uint32_t *)(apic.regs + 0xf0) = 0x1ff;
	*(uint32_t *)(apic.regs + 0x320) = 0x40000 | BENCH_VECTOR; /* TSC deadline */
	if (!x2apic)
		*(uint32_t *)(apic.regs + 0x310) = (uint32_t)NOBODY << 24;
	if (ioctl(vcpu, KVM_SET_LAPIC, &apic) < 0)
		give_up("KVM_SET_LAPIC");
}

static void set_cpuid(struct vm *vm, int vcpu)
{
	struct kvm_cpuid2 *table = vm_cpuid(vm->kvm);

	for (uint32_t i = 0; i < table->nent; i++)
		if (table->entries[i].function == 1)
			table->entries[i].ecx |= 1u << 24 | 1u << 21;	/* TSC deadline, x2APIC */
	if (ioctl(vcpu, KVM_SET_CPUID2, table) < 0)
		give_up("KVM_SET_CPUID2");
}

/* As QEMU's: interrupt controllers and timer in the kernel. */
static void create(struct vm *vm, uint8_t *mem)
{
	struct kvm_pit_config pit = { .flags = 0 };
	uint64_t identity = 0xfffbc000;

	memset(vm, 0, sizeof(*vm));
	vm->kvm = vm_open();
	vm->fd = ioctl(vm->kvm, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		give_up("KVM_CREATE_VM");
	ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity);
	vm->run_size = ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->mem = mem;
	if (vm_slot(vm, 0, 0, 0, MEMORY, mem) < 0)
		give_up("KVM_SET_USER_MEMORY_REGION");
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0) < 0)
		give_up("KVM_CREATE_IRQCHIP");
	if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit) < 0)
		give_up("KVM_CREATE_PIT2");
}

static int add_vcpu(struct vm *vm, int id, struct kvm_run **run, bool x2apic)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };
	int vcpu = vm_add_vcpu(vm, id, run);

	set_cpuid(vm, vcpu);
	vm_mode_of(vm, vcpu, 64);
	set_apic(vcpu, id, x2apic);
	if (ioctl(vcpu, KVM_SET_MP_STATE, &mp) < 0)
		give_up("KVM_SET_MP_STATE");
	map_4g(vm);
	return vcpu;
}

static uint8_t *guest_memory(void)
{
	uint8_t *mem = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (mem == MAP_FAILED)
		give_up("memory");
	memcpy(mem + 0x100000, guest_long_bench, guest_long_bench_end - guest_long_bench);
	return mem;
}

static void set_regs(int vcpu, int id, int loop, uint64_t where, uint64_t value, int count)
{
	struct kvm_regs regs = {
		.rip = 0x100000, .rflags = 2, .rsp = STACK - id * PAGE, .r10 = loop,
		.r12 = count, .rsi = where, .r9 = value,
	};

	if (ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
		give_up("KVM_SET_REGS");
}

/* Until the guest is done; the value of reads is of no interest. */
static void run_guest(int vcpu, struct kvm_run *run)
{
	for (;;) {
		if (ioctl(vcpu, KVM_RUN, 0) < 0) {
			if (errno == EINTR || errno == EAGAIN)
				continue;
			give_up("KVM_RUN");
		}
		if (run->exit_reason == KVM_EXIT_IO) {
			if (run->io.port == PORT_EXIT)
				break;
		} else if (run->exit_reason != KVM_EXIT_MMIO) {
			printf("# bench: exit reason %u, 0x%llx\n", run->exit_reason,
			       (unsigned long long)run->hw.hardware_exit_reason);
			fflush(stdout);
			_exit(1);
		}
	}
	/* Complete the OUT, so that new registers are those of the next run. */
	run->immediate_exit = 1;
	ioctl(vcpu, KVM_RUN, 0);
	run->immediate_exit = 0;
}

/* A vCPU has run, too. */
static void run_once_idle(int vcpu, int id, struct kvm_run *run)
{
	set_regs(vcpu, id, BENCH_nothing, 0, 0, 1);
	run_guest(vcpu, run);
}

/* ---- a row ------------------------------------------------------------------------ */

static void add_event(struct vm *vm, int fd, bool pio, uint64_t where)
{
	struct kvm_ioeventfd e = {
		.addr = where, .len = pio ? 1 : 4, .fd = fd,
		.flags = pio ? KVM_IOEVENTFD_FLAG_PIO : 0,
	};

	if (ioctl(vm->fd, KVM_IOEVENTFD, &e) < 0)
		give_up("KVM_IOEVENTFD");
}

/* The one that is used comes in the middle. */
static void add_events(struct vm *vm, bool pio, int count)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	for (int i = 0; i < count; i++) {
		if (i == count / 2)
			add_event(vm, fd, pio, pio ? PORT_EVENT : MMIO_EVENT);
		else
			add_event(vm, fd, pio, pio ? 0x1000u + 4 * i : MMIO + 2 * PAGE + 4 * i);
	}
}

static void add_crowd(struct vm *vm, const struct crowd *crowd, bool x2apic)
{
	struct kvm_run *run;
	struct vm other;
	uint8_t *mem;
	int vcpu;

	for (int i = 1; i < crowd->slots; i++)
		if (vm_slot(vm, 8 + i, 0, CROWD_SLOTS + i * 0x20000ul, 0x10000, vm->mem) < 0)
			give_up("one more memory slot");
	for (int i = 1; i < crowd->vcpus; i++) {
		vcpu = add_vcpu(vm, i, &run, x2apic);
		run_once_idle(vcpu, 0, run);
	}
	mem = crowd->vms > 1 ? guest_memory() : NULL;
	for (int i = 1; i < crowd->vms; i++) {
		create(&other, mem);
		vcpu = add_vcpu(&other, 0, &run, false);
		run_once_idle(vcpu, 0, run);
	}
}

static uint8_t *fresh_memory(struct vm *vm, unsigned int flags)
{
	uint8_t *mem = mmap(NULL, FRESH_SIZE + HUGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mem == MAP_FAILED)
		give_up("memory");
	mem = (void *)(((uintptr_t)mem + HUGE - 1) & ~(HUGE - 1));
	if (madvise(mem, FRESH_SIZE, flags & FRESH_2M ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) < 0)
		give_up("madvise");
	if (vm_slot(vm, 1, flags & DIRTY_LOG ? KVM_MEM_LOG_DIRTY_PAGES : 0, FRESH, FRESH_SIZE,
		    mem) < 0)
		give_up("a slot of memory to be touched");
	if (flags & DIRTY_LOG)
		memset(mem, 1, FRESH_SIZE);
	return mem;
}

static void read_log(struct vm *vm, uint64_t expected)
{
	static uint64_t bits[FRESH_SIZE / PAGE / 64];
	struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bits };
	uint64_t n = 0;

	if (ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) < 0)
		give_up("KVM_GET_DIRTY_LOG");
	for (size_t i = 0; expected && i < sizeof(bits) / 8; i++)
		n += __builtin_popcountll(bits[i]);
	if (n != expected) {
		printf("# bench: %llu pages are dirty, not %llu\n", (unsigned long long)n,
		       (unsigned long long)expected);
		fflush(stdout);
		_exit(1);
	}
}

static int add_msi(struct vm *vm)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} table = {
		.head.nr = 1,
		.entry = {
			.gsi = MSI_GSI, .type = KVM_IRQ_ROUTING_MSI,
			.u.msi = { .address_lo = APIC, .data = BENCH_VECTOR },
		},
	};
	struct kvm_irqfd irqfd = { .gsi = MSI_GSI, .fd = eventfd(0, EFD_CLOEXEC) };

	if (ioctl(vm->fd, KVM_SET_GSI_ROUTING, &table) < 0)
		give_up("KVM_SET_GSI_ROUTING");
	if (ioctl(vm->fd, KVM_IRQFD, &irqfd) < 0)
		give_up("KVM_IRQFD");
	return irqfd.fd;
}

static void signal_msi(int fd, int count)
{
	uint64_t one = 1;

	for (int i = 0; i < count; i++)
		if (write(fd, &one, 8) != 8)
			give_up("write to an irqfd");
}

/* For the profile, in the host: as the guest's marks around its loop. */
#define MARK(mark) __asm__ volatile("nopl %c0(%%rax,%%rax)" : : "i"(mark) : "memory")

/* Before each loop: the guest's second-level tables forget the memory. */
static void refresh(struct vm *vm, uint8_t *fresh, const struct row *row)
{
	if (row->flags & DIRTY_LOG) {
		read_log(vm, 0);
		return;
	}
	if (madvise(fresh, FRESH_SIZE, MADV_DONTNEED) < 0)
		give_up("madvise");
	if (row->flags & FRESH_ABSENT)
		return;
	for (int i = 0; i < row->count; i++)
		fresh[i * row->value] = 1;
}

struct second {
	int vcpu;
	bool ends;
};

static void *run_second(void *arg)
{
	struct second *s = arg;

	while (!s->ends && (ioctl(s->vcpu, KVM_RUN, 0) == 0 || errno == EAGAIN || errno == EINTR))
		;
	return NULL;
}

static uint64_t loop_once(struct vm *vm, const struct row *row, int loop, int count)
{
	uint64_t ticks;

	set_regs(vm->vcpu, 0, loop, row->where, row->value, count);
	run_guest(vm->vcpu, vm->run);
	memcpy(&ticks, vm->mem + DATA, sizeof(ticks));
	return ticks;
}

/* Ticks of what the host does after the guest's loop. */
static uint64_t host_once(struct vm *vm, const struct row *row, int count, int event)
{
	uint64_t start, ticks;

	if (row->flags & DIRTY_LOG)
		loop_once(vm, row, row->loop, count);
	start = __rdtsc();
	MARK(BENCH_BEGIN_HOST);
	if (row->flags & DIRTY_LOG)
		read_log(vm, count);
	else
		signal_msi(event, count);
	MARK(BENCH_END);
	ticks = __rdtsc() - start;
	return ticks;
}

static double measure(const struct row *row, const struct crowd *crowd)
{
	bool x2apic = row->flags & X2APIC;
	uint64_t best = UINT64_MAX, empty = UINT64_MAX, ticks;
	int count = row->count ? row->count : 100;
	struct second second = { 0 };
	struct kvm_run *second_run;
	uint8_t *fresh = NULL;
	pthread_t thread;
	int event = -1;
	struct vm vm;

	create(&vm, guest_memory());
	vm.vcpu = add_vcpu(&vm, 0, &vm.run, x2apic);
	add_crowd(&vm, crowd, x2apic);
	if (row->flags & EVENT_PIO)
		add_events(&vm, true, crowd->events);
	if (row->flags & EVENT_MMIO)
		add_events(&vm, false, crowd->events);
	if (row->flags & (FRESH_4K | FRESH_2M))
		fresh = fresh_memory(&vm, row->flags);
	if (row->flags & MSI)
		event = add_msi(&vm);
	if (row->flags & TWO_VCPUS) {
		second.vcpu = add_vcpu(&vm, 1, &second_run, true);
		set_regs(second.vcpu, 1, BENCH_pong, 0, 0x4000 | BENCH_VECTOR, 0);
		pthread_create(&thread, NULL, run_second, &second);
	}
	for (int i = 0; i < 3 && !(row->flags & HOST); i++) {
		ticks = loop_once(&vm, row, BENCH_nothing, count);
		if (ticks < empty)
			empty = ticks;
	}
	if (row->flags & HOST)
		empty = 0;
	printf("# bench-loop\t%s\t%d\n", row->id, row->flags & TWO_VCPUS ? 2 * count : count);
	for (int i = 0; i < BATCHES; i++) {
		if (fresh)
			refresh(&vm, fresh, row);
		if (row->flags & HOST)
			ticks = host_once(&vm, row, count, event);
		else
			ticks = loop_once(&vm, row, row->loop, count);
		if (ticks < best)
			best = ticks;
	}
	/* A round trip is two wakes. */
	return (double)(best - empty) / count / (row->flags & TWO_VCPUS ? 2 : 1);
}

/* ---- memory ------------------------------------------------------------------------ */

static long free_kib(void)
{
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");
	long kib = -1;

	while (f && kib < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "MemFree: %ld", &kib);
	if (f)
		fclose(f);
	return kib;
}

#define MEMORY_VMS 100

/* KiB of the host's for a VM that has run, without its own memory. */
static double measure_memory(int vcpus)
{
	uint8_t *mem = guest_memory();
	struct kvm_run *run;
	long before = 0;
	struct vm vm;

	/* The first few fill caches that later ones share. */
	for (int i = -10; i < MEMORY_VMS; i++) {
		if (i == 0)
			before = free_kib();
		create(&vm, mem);
		for (int id = 0; id < vcpus; id++) {
			int vcpu = add_vcpu(&vm, id, &run, false);

			run_once_idle(vcpu, 0, run);
		}
	}
	return (double)(before - free_kib()) / MEMORY_VMS;
}

/* ---- all ---------------------------------------------------------------------------- */

static char selected[1024];
static bool shadow;	/* the module was loaded with npt=0 */
static bool profiled;

static void read_options(void)
{
	int npt = open("/sys/module/kvm_amd/parameters/npt", O_RDONLY);
	char line[4096] = "", *at;
	FILE *f = fopen("/proc/cmdline", "r");

	if (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, " bench=");
		if (at)
			sscanf(at + 7, "%1022[^ \n]", selected);
		profiled = strstr(line, " bench-profile") != NULL;
	}
	if (f)
		fclose(f);
	if (npt >= 0 && read(npt, line, 1) == 1)
		shadow = *line == 'N' || *line == '0';
	close(npt);
}

/* The plugin reads them where bench.h says, at an instruction that tells it to. */
static void tell_symbols(void)
{
	size_t n = 0;
	ssize_t got;
	int fd = open("/proc/kallsyms", O_RDONLY);
	char *room = mmap((void *)BENCH_SYMBOLS_AT, BENCH_SYMBOLS_ROOM, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);

	if (fd < 0 || room == MAP_FAILED)
		bail_out("no room for the symbols, or none to read: %s", strerror(errno));
	while ((got = read(fd, room + n, BENCH_SYMBOLS_ROOM - 1 - n)) > 0)
		n += got;
	MARK(BENCH_SYMBOLS);
	munmap(room, BENCH_SYMBOLS_ROOM);
	close(fd);
}

static bool is_selected(const char *id)
{
	size_t n = strlen(id);

	if (!*selected)
		return true;
	for (const char *at = selected; (at = strstr(at, id)); at += n)
		if ((at == selected || at[-1] == ',') && (at[n] == ',' || !at[n]))
			return true;
	return false;
}

/* A process of its own, which has a minute. */
static void report(const char *id, const char *text, const struct row *row,
		   const struct crowd *crowd, int vcpus)
{
	char name[128];
	int status;
	pid_t pid;

	snprintf(name, sizeof(name), "%s%s: %s", shadow ? "shadow-" : "", id,
		 shadow ? "with shadow paging, " : "");

	if (shadow && (!row || !(row->flags & SHADOW) || crowd != &alone))
		return;
	if (!is_selected(id))
		return;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		double figure;

		alarm(60);
		figure = row ? measure(row, crowd) : measure_memory(vcpus);
		printf("# bench\t%s%s\t%.0f\n", name, text, round(figure));
		fflush(stdout);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) < 0 || status) {
		printf("# bench: %s ended with status 0x%x\n", id, status);
		printf("# bench\t%s%s\t-\n", name, text);
	}
	fflush(stdout);
}

static const struct row *find_row(const char *id)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(rows[i].id, id))
			return &rows[i];
	return NULL;
}

static void report_growth(const struct row *row, const struct crowd *crowd)
{
	char id[64], text[256];
	size_t n;

	if (crowd->events > 1 && !(row->flags & (EVENT_PIO | EVENT_MMIO)))
		return;
	n = snprintf(id, sizeof(id), "%s/%s", row->id, crowd->what);
	for (size_t i = 0; i < n; i++)
		if (id[i] == ' ')
			id[i] = '-';
	snprintf(text, sizeof(text), "%s, while there are %s", row->text, crowd->what);
	report(id, text, row, crowd, 0);
}

int main(void)
{
	read_options();
	if (profiled)
		tell_symbols();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		report(rows[i].id, rows[i].text, &rows[i], &alone, 0);
	for (size_t i = 0; i < sizeof(growing) / sizeof(growing[0]); i++)
		for (size_t j = 0; j < sizeof(crowds) / sizeof(crowds[0]); j++)
			report_growth(find_row(growing[i]), &crowds[j]);
	report("memory-1", "KiB of host memory for an idle VM with 1 vCPU", NULL, NULL, 1);
	report("memory-4", "KiB of host memory for an idle VM with 4 vCPUs", NULL, NULL, 4);
	return 0;
}
