// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guests that execute garbage: random bytes or random useful instructions, in any
 * mode, with page tables of random numbers, random registers and interrupts, while
 * user space moves, deletes, protects and logs their memory and changes registers,
 * modes and pending events under them. What they do does not
 * matter; that each KVM_RUN ends in one of the ways that it may, that a plain guest
 * still runs afterwards and that the host's kernel has nothing to report does.
 *
 *	random-guests [SECONDS [SEED]]	default 2 seconds
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "vm.h"

#define BASE2	0x40000000ULL		/* where the second slot is at first */

static uint64_t state;
static struct { long rounds, exits, errors, shutdowns, internal, unexpected; } n;

/* Not exact between two threads, which is as good. */
static uint64_t rnd(void)
{
	uint64_t x = state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	state = x;
	return x * 0x2545f4914f6cdd1d >> 8;
}

static uint32_t below(uint32_t limit)
{
	return rnd() % limit;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Instructions that make a hypervisor work; the rest is what follows them. */
static void fill_code(uint8_t *p, int size)
{
	static const uint8_t pieces[][8] = {
		{ 3, 0x0f, 0x22, 0xc0 }, { 3, 0x0f, 0x22, 0xd8 }, { 3, 0x0f, 0x22, 0xe0 },
		{ 3, 0x0f, 0x20, 0xd8 }, { 3, 0x0f, 0x01, 0x38 }, { 2, 0x0f, 0x30 },
		{ 2, 0x0f, 0x32 }, { 2, 0x0f, 0xa2 }, { 1, 0xf4 }, { 2, 0xe6, 0x10 },
		{ 2, 0xe4, 0x30 }, { 1, 0x6d }, { 1, 0x6f }, { 2, 0xf3, 0xa5 },
		{ 2, 0xf3, 0xaa }, { 2, 0xcd, 0x20 }, { 1, 0xcf }, { 1, 0xcb },
		{ 2, 0x8e, 0xd8 }, { 2, 0x8e, 0xd0 }, { 3, 0x0f, 0x01, 0x10 },
		{ 3, 0x0f, 0x01, 0x18 }, { 3, 0x0f, 0x00, 0xd8 }, { 3, 0x0f, 0x00, 0xd0 },
		{ 1, 0xfb }, { 1, 0xfa }, { 1, 0x9d }, { 3, 0x0f, 0x23, 0xf8 },
		{ 5, 0xb8, 0, 0, 0, 0x40 }, { 3, 0x0f, 0x01, 0xc1 }, { 2, 0x0f, 0x09 },
		{ 4, 0xf0, 0x0f, 0xc7, 0x0e }, { 2, 0x89, 0x07 }, { 2, 0x8b, 0x06 },
		{ 2, 0xeb, 0xf0 }, { 2, 0x75, 0xe0 }, { 1, 0x40 }, { 1, 0x48 }, { 1, 0x57 },
	};

	for (int i = 0; i < size;) {
		const uint8_t *piece = pieces[below(sizeof(pieces) / 8)];

		if (!below(4)) {
			p[i++] = rnd();
			continue;
		}
		for (int k = 1; k <= piece[0] && i < size; k++)
			p[i++] = piece[k];
	}
}

/* Numbers that look like entries of page tables, of pages that there are. */
static void fill_tables(uint64_t *p, int count, bool wide)
{
	for (int i = 0; i < count; i++) {
		uint64_t e = (uint64_t)below(MEMORY >> 12) << 12 | (rnd() & 0xfff);

		if (!below(8))
			e ^= BASE2;
		if (below(8))
			e |= 3;
		if (!below(3))
			e &= ~0x80ULL;
		if (!below(40))
			e = rnd() << 8;
		if (wide)
			p[i] = e | (below(8) ? 0 : 1ULL << 63);
		else
			((uint32_t *)p)[i] = e;
	}
}

static void make_guest(struct vm *vm, int vcpu)
{
	static const int modes[] = { 16, 32, 32, 64, 64 };
	int bits = modes[below(5)];
	struct kvm_sregs s;
	struct kvm_regs r;
	uint64_t *g = (uint64_t *)&r;

	vm_mode_of(vm, vcpu, bits);
	ioctl(vcpu, KVM_GET_SREGS, &s);
	ioctl(vcpu, KVM_GET_REGS, &r);
	for (int i = 0; i < 16; i++)
		g[i] = below(2) ? below(MEMORY) : below(3) ? rnd() : BASE2 + below(MEMORY);
	r.rip = bits == 16 ? 0x1000 : 0x100000 + below(0x1000);
	r.rflags = 2 | (below(2) ? 0x200 : 0) | (below(8) ? 0 : 0x100) | (rnd() & 0x3000);
	if (bits == 32 && below(2)) {
		s.cr0 |= 0x80000000 | (rnd() & 0x10000);
		s.cr4 = below(2) ? 0x20 : 0x10;
		s.cr3 = PAGE_TABLES;
		fill_tables((void *)(vm->mem + PAGE_TABLES), 512, s.cr4 & 0x20);
		/* Most of the time it gets as far as its code. */
		if (s.cr4 & 0x10 && below(4))
			*(uint32_t *)(vm->mem + PAGE_TABLES) = 0xe7;
	}
	if (bits == 64 && below(2))	/* beside the map of its code */
		fill_tables((void *)(vm->mem + PAGE_TABLES + 8), 511, true);
	if (!below(3))
		fill_tables((void *)(vm->mem + below(MEMORY - 0x10000)), 512, true);
	if (!below(4)) {
		s.idt.base = below(MEMORY);
		s.idt.limit = rnd();
	}
	if (!below(10))			/* whatever: it may be refused */
		((uint8_t *)&s)[below(sizeof(s))] ^= 1 << below(8);
	ioctl(vcpu, KVM_SET_SREGS, &s);
	ioctl(vcpu, KVM_SET_REGS, &r);
}

struct runner {
	struct vm *vm;
	int vcpu;
	struct kvm_run *run;
	volatile bool stop, done;
	pthread_t thread;
};

/*
 * User space puts the processor into another state, between two exits. Into other modes
 * only on Intel: after some of these QEMU 10.0's VMRUN leaves the host with the guest's
 * CR0, and the machine stands still, with the kernel's own module, too.
 */
static void meddle(int vcpu)
{
	static const uint64_t efer[] = { 0, 1, 0x100, 0x400, 0x500, 0x501, 0x900, 0xd01 };
	static const uint64_t cr4[] = { 0x10, 0x20, 0x80, 0x20000, 0x100000 };
	struct { struct kvm_msrs head; struct kvm_msr_entry entry; } msr = {
		{ .nmsrs = 1 }, { .index = 0xc0000080, .data = efer[below(8)] }
	};
	struct kvm_guest_debug debug = { .control = below(2) | (rnd() & 0x330002) };
	struct kvm_mp_state mp = { .mp_state = below(5) };
	struct kvm_vcpu_events events;
	struct kvm_sregs s;

	ioctl(vcpu, KVM_GET_SREGS, &s);
	switch (below(vm_on_intel() ? 8 : 3)) {
	case 0:
		debug.arch.debugreg[7] = rnd();
		debug.arch.debugreg[below(4)] = below(MEMORY);
		ioctl(vcpu, KVM_SET_GUEST_DEBUG, &debug);
		return;
	case 1:
		ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events);
		((uint8_t *)&events)[below(sizeof(events))] ^= 1 << below(8);
		ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events);
		return;
	case 2:
		if (!below(8))
			ioctl(vcpu, KVM_SET_MP_STATE, &mp);
		return;
	case 3:
		ioctl(vcpu, KVM_SET_MSRS, &msr);
		return;
	case 4:
		s.cr0 ^= 1ULL << (below(2) ? 31 : 16);
		break;
	case 5:
		s.cr4 ^= cr4[below(5)];
		break;
	case 6:		/* another mode, complete */
		s.cr0 |= 0x80000001;
		s.cr4 |= 0x20;
		s.efer = below(2) ? 0x500 : 0;
		s.cs.l = s.efer && below(2);
		s.cs.db = !s.cs.l;
		break;
	case 7:
		s.cr3 = PAGE_TABLES + below(4) * PAGE;
		break;
	}
	ioctl(vcpu, KVM_SET_SREGS, &s);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void *run_guest(void *arg)
{
	struct runner *r = arg;

	while (!r->stop) {
		if (ioctl(r->vcpu, KVM_RUN, 0) < 0) {
			n.errors++;
			if (errno != EINTR && errno != EAGAIN && errno != EFAULT) {
				n.unexpected++;
				note("KVM_RUN: %s", strerror(errno));
				break;
			}
			if (errno == EFAULT)
				break;
			continue;
		}
		n.exits++;
		if (!below(32))
			meddle(r->vcpu);
		switch (r->run->exit_reason) {
		case KVM_EXIT_IO:
			if (r->run->io.direction == KVM_EXIT_IO_IN)
				*((uint8_t *)r->run + r->run->io.data_offset) = rnd();
			continue;
		case KVM_EXIT_MMIO:
			r->run->mmio.data[below(8)] = rnd();
			continue;
		case KVM_EXIT_HLT: {
			struct kvm_interrupt irq = { .irq = below(256) };

			ioctl(r->vcpu, below(2) ? KVM_INTERRUPT : KVM_NMI, &irq);
			continue;
		}
		case KVM_EXIT_IRQ_WINDOW_OPEN:
		case KVM_EXIT_SET_TPR:
		case KVM_EXIT_INTR:
		case KVM_EXIT_DEBUG:
			continue;
		case KVM_EXIT_SHUTDOWN:
			n.shutdowns++;
			break;
		case KVM_EXIT_INTERNAL_ERROR:
		case KVM_EXIT_FAIL_ENTRY:
			n.internal++;
			break;
		default:
			n.unexpected++;
			note("exit reason %u", r->run->exit_reason);
		}
		break;
	}
	r->done = true;
	return NULL;
}

/* Something that user space may do to a running guest. */
static void disturb(struct vm *vm, uint8_t *second, bool irqchip)
{
	static uint8_t log[MEMORY / PAGE / 8];
	struct kvm_dirty_log dirty = { .slot = 0, .dirty_bitmap = log };
	struct kvm_irq_level level = { .irq = below(24), .level = below(2) };

	switch (below(9)) {
	case 0:
		vm_slot(vm, 1, below(2), below(2) ? BASE2 : below(1 << 20) * 4096ULL,
			MEMORY, second);
		break;
	case 1:
		vm_slot(vm, 1, 0, 0, 0, second);
		break;
	case 2:
		vm_slot(vm, 0, below(4), 0, MEMORY, vm->mem);
		break;
	case 3:
		vm_slot(vm, 0, 0, 0, 0, vm->mem);
		vm_slot(vm, 0, 0, 0, MEMORY, vm->mem);
		break;
	case 4:
		madvise(vm->mem + below(MEMORY / PAGE) * PAGE, below(16) * PAGE,
			MADV_DONTNEED);
		break;
	case 5:
		mprotect(second, MEMORY, below(2) ? PROT_READ : PROT_READ | PROT_WRITE);
		break;
	case 6:
		ioctl(vm->fd, KVM_GET_DIRTY_LOG, &dirty);
		break;
	case 7:
		if (irqchip)
			ioctl(vm->fd, KVM_IRQ_LINE, &level);
		break;
	case 8:
		fill_tables((void *)(vm->mem + PAGE_TABLES + below(4) * PAGE + 8),
			    below(500), true);
		break;
	}
}

/* Memory's first contents, from another place each time: code, then numbers. */
#define POOL_STEP 64
static uint8_t pool[MEMORY];

static void one_round(void)
{
	uint8_t *second = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool irqchip = below(2);
	struct runner r[2];
	int vcpus = 1 + below(2);
	struct vm vm;
	uint32_t offset;
	double end;

	vm_create_with(&vm, irqchip);
	vm_slot(&vm, 1, 0, BASE2, MEMORY, second);
	offset = below(MEMORY - 2 * POOL_STEP) & ~7;
	memcpy(vm.mem, pool + offset, MEMORY - offset);
	memcpy(vm.mem + MEMORY - offset, pool, offset);
	for (int i = 0; i < vcpus; i++) {
		r[i] = (struct runner){ .vm = &vm, .vcpu = vm.vcpu, .run = vm.run };
		if (i)
			r[i].vcpu = vm_add_vcpu(&vm, i, &r[i].run);
		make_guest(&vm, r[i].vcpu);
		pthread_create(&r[i].thread, NULL, run_guest, &r[i]);
	}
	end = now() + 0.01 + below(30) / 1000.0;
	while (now() < end && !(r[0].done && r[vcpus - 1].done)) {
		disturb(&vm, second, irqchip);
		usleep(below(800));
	}
	for (int i = 0; i < vcpus; i++) {
		r[i].stop = true;
		r[i].run->immediate_exit = 1;
		while (!r[i].done) {
			pthread_kill(r[i].thread, SIGUSR1);
			usleep(200);
		}
		pthread_join(r[i].thread, NULL);
		if (i) {
			munmap(r[i].run, vm.run_size);
			close(r[i].vcpu);
		}
	}
	vm_destroy(&vm);
	munmap(second, MEMORY);
	n.rounds++;
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 2, end;
	struct sigaction action = { .sa_handler = on_signal };
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
	struct vm vm;
	bool good = false;

	if (vm_on_intel()) {
		/* As vm_interruptible() says: a guest with interrupts off would hang. */
		skip("random guests", "Bochs lets no interrupt end a guest that has them off");
		return done();
	}
	sigaction(SIGUSR1, &action, NULL);
	state = seed ? seed : (uint64_t)time(NULL) * 0x9e3779b97f4a7c15 | 1;
	note("seed 0x%llx", (unsigned long long)state);
	fill_code(pool, MEMORY);
	for (uint32_t i = 0; i < MEMORY; i += 0x40000)
		for (uint32_t k = 0; k < 0x10000; k += 8)
			*(uint64_t *)(pool + i + k) = rnd() << 8 ^ rnd();
	end = now() + seconds;
	while (now() < end)
		one_round();
	note("%ld guests, %ld exits, %ld errors, %ld triple faults, %ld stopped as not understood",
	     n.rounds, n.exits, n.errors, n.shutdowns, n.internal);
	ok(n.rounds > 0 && n.unexpected == 0, "random guests end as they may");
	VM_START(&vm, 32, prot_hello);
	for (int i = 0; i < 100 && !good && !vm_run_once(&vm) &&
	     vm.run->exit_reason == KVM_EXIT_IO; i++)
		good = vm.run->io.port == PORT_EXIT;
	ok(good, "and a plain guest runs afterwards");
	vm_destroy(&vm);
	return done();
}
