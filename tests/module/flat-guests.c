// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Flat guests on the module: each test runs one guest of images/guests and
 * compares what it did, action by action, or looks at the state between two
 * actions. No interrupt controller in the kernel is used.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

#include <asm/kvm_para.h>

#include "vm.h"

#define V	PORT_VALUE
#define EXIT_IRQ_WINDOW	{ OTHER, KVM_EXIT_IRQ_WINDOW_OPEN, 0, 0 }
#define END_HLT		{ HLT, 0, 0, 0 }

/* Every byte of what a port or address holds is 0x80 plus its low 7 bits. */
static uint64_t pattern(struct vm *vm, uint64_t where, int size)
{
	(void)vm; (void)size;
	return (0x80 | (where & 0x7f)) * 0x0101010101010101ULL;
}

/* What any user space may do between two KVM_RUN. */
static void write_back_hook(struct vm *vm, int n)
{
	struct kvm_regs r;
	struct kvm_sregs s;

	vm_stop_now = vm_acts[n - 1].what == HLT;
	if (ioctl(vm->vcpu, KVM_GET_REGS, &r) || ioctl(vm->vcpu, KVM_GET_SREGS, &s) ||
	    ioctl(vm->vcpu, KVM_SET_SREGS, &s) || ioctl(vm->vcpu, KVM_SET_REGS, &r))
		bail_out("registers cannot be written back: %s", strerror(errno));
}

static void test_real_pio(void (*hook)(struct vm *vm, int n), const char *name)
{
	struct vm vm;
	bool good = true;
	int i;

	VM_START(&vm, 16, real_pio);
	vm.hook = hook;
	vm.supply = pattern;
	memcpy(vm.mem + DATA16, "ABCDEFG", 7);
	vm_expect(&vm, ACTS(
		{ OUT, V, 1, 0x41 },
		{ OUT, V, 2, 0x1234 },
		{ OUT, V, 4, 0x89abcdef },
		{ OUT, 0x3f8, 1, 0x5a },
		{ OUT, 0xffff, 1, 0x5a },
		{ IN, PORT_READ, 1, 0xb0 },
		{ OUT, V, 4, 0x112233b0 },
		{ IN, PORT_READ, 2, 0xb0b0 },
		{ OUT, V, 4, 0x1122b0b0 },
		{ IN, PORT_READ, 4, 0xb0b0b0b0 },
		{ OUT, V, 4, 0xb0b0b0b0 },
		{ OUT, PORT_STRING, 1, 'A' },
		{ OUT, PORT_STRING, 1, 'B' },
		{ OUT, PORT_STRING, 1, 'C' },
		{ OUT, PORT_STRING, 1, 'D' },
		{ OUT, PORT_STRING, 1, 'E' },
		{ OUT, PORT_STRING, 2, 0x4746 },
		{ IN, PORT_STRING, 2, 0xc0c0 },
		{ IN, PORT_STRING, 2, 0xc0c0 },
		{ IN, PORT_STRING, 2, 0xc0c0 },
		{ IN, PORT_STRING, 1, 0xc0 },
		{ OUT, PORT_STRING, 1, 'D' },
		{ OUT, PORT_STRING, 1, 'C' },
		{ OUT, V, 2, DATA16 + 1 },
		{ OUT, V, 2, DATA16 + 0x107 },
		END_HLT),
		name);
	for (i = 0; i < 7; i++)
		good &= vm.mem[DATA16 + 0x100 + i] == 0xc0;
	ok(good && !vm.mem[DATA16 + 0x107],
	   "string input is in guest memory, and not one byte more");
	vm_destroy(&vm);
}

static void test_pio(void)
{
	struct vm vm;
	bool good;
	int i;

	test_real_pio(NULL, "port I/O in real mode: all widths, both forms, strings both ways");
	test_real_pio(write_back_hook, "the same when user space writes all registers back as they were");

	VM_START(&vm, 32, prot_pio);
	vm.supply = pattern;
	for (i = 0; i < 1100; i++)
		((uint32_t *)(vm.mem + DATA))[i] = i * 0x10001;
	vm_go(&vm);
	for (i = 0, good = vm_nacts == 1106; i < 1100 && good; i++)
		good = vm_acts[i].what == OUT && vm_acts[i].where == PORT_STRING &&
			vm_acts[i].size == 4 && vm_acts[i].value == i * 0x10001ULL;
	ok(good, "string output of 1100 dwords arrives whole and in order");
	if (!good)
		note("%d actions, wrong from %d", vm_nacts, i), vm_show_state(&vm);
	ok(vm_nacts > 1101 && vm_acts[1100].value == DATA + 4400 &&
	   vm_acts[1101].value == 0, "and leaves ESI behind its end and ECX at 0");
	ok(*(uint32_t *)(vm.mem + DATA + 0x3ffe) == 0xc0c0c0c0 &&
	   *(uint32_t *)(vm.mem + DATA + 0x4002) == 0xc0c0c0c0 &&
	   !vm.mem[DATA + 0x4006], "string input across two pages is whole");
	vm_destroy(&vm);
}

static void test_mmio(void)
{
	static const uint64_t want[] = {
		0x9090909090909090, 0x98989898, 0xffffffffffffa0a0,
		0xffffffffa4a4a4a4,
		0xf0f0f0f0f0f0f0f0, 0xf8f8f8f8f8f8f8f8,
		0x9090909090909090, 0x9090909090909090,
	};
	const uint64_t M = MMIO;
	struct vm vm;

	VM_START(&vm, 32, prot_mmio);
	vm.supply = pattern;
	vm_expect(&vm, ACTS(
		{ STORE, M + 1, 1, 0x11 },
		{ STORE, M + 2, 2, 0x2222 },
		{ STORE, M + 4, 4, 0x44444444 },
		{ STORE, M + 8, 4, 0xcafe },
		{ STORE, M + 9, 1, 0xca },
		{ LOAD, M + 0x10, 1, 0x90 },		/* mov r8 */
		{ OUT, V, 4, 0xca90 },
		{ LOAD, M + 0x12, 2, 0x9292 },		/* mov r16 */
		{ OUT, V, 4, 0x9292 },
		{ LOAD, M + 0x14, 4, 0x94949494 },	/* mov r32 */
		{ OUT, V, 4, 0x94949494 },
		{ LOAD, M + 0x18, 4, 0x98989898 },	/* moffs */
		{ OUT, V, 4, 0x98989898 },
		{ LOAD, M + 0x20, 1, 0xa0 },		/* movzx, movsx */
		{ OUT, V, 4, 0xa0 },
		{ LOAD, M + 0x21, 1, 0xa1 },
		{ OUT, V, 4, 0xffffffa1 },
		{ LOAD, M + 0x22, 2, 0xa2a2 },
		{ OUT, V, 4, 0xa2a2 },
		{ LOAD, M + 0x24, 2, 0xa4a4 },
		{ OUT, V, 4, 0xffffa4a4 },
		{ LOAD, M + 0x30, 4, 0xb0b0b0b0 },	/* or */
		{ STORE, M + 0x30, 4, 0xbfbfbfbf },
		{ LOAD, M + 0x34, 4, 0xb4b4b4b4 },	/* and */
		{ STORE, M + 0x34, 4, 0xb4 },
		{ LOAD, M + 0x38, 4, 0xb8b8b8b8 },	/* add */
		{ OUT, V, 4, 0xc7c7c7c7 },
		{ LOAD, M + 0x3c, 4, 0xbcbcbcbc },	/* cmp */
		{ OUT, V, 4, 0 },
		{ LOAD, M + 0x40, 4, 0xc0c0c0c0 },	/* test */
		{ OUT, V, 4, 1 },
		{ LOAD, M + 0x44, 4, 0xc4c4c4c4 },	/* xchg */
		{ STORE, M + 0x44, 4, 0x77 },
		{ OUT, V, 4, 0xc4c4c4c4 },
		{ LOAD, M + 0x48, 4, 0xc8c8c8c8 },	/* bts */
		{ STORE, M + 0x48, 4, 0xc8c8c8c8 },
		{ LOAD, M + 0x4c, 4, 0xcccccccc },	/* inc */
		{ STORE, M + 0x4c, 4, 0xcccccccd },
		{ LOAD, M + 0x50, 4, 0xd0d0d0d0 },	/* not */
		{ STORE, M + 0x50, 4, 0x2f2f2f2f },
		{ STORE, M + 0x60, 4, 0xabababab },	/* stos */
		{ STORE, M + 0x64, 4, 0xabababab },
		{ LOAD, M + 0x70, 4, 0xf0f0f0f0 },	/* movs, in */
		{ LOAD, M + 0x74, 4, 0xf4f4f4f4 },
		{ OUT, V, 4, 0xf0f0f0f0 },
		{ OUT, V, 4, 0xf4f4f4f4 },
		{ STORE, M + 0x80, 1, 0xf0 },		/* movs, out */
		{ STORE, M + 0x81, 1, 0xf0 },
		{ LOAD, M + 0x90, 4, 0x90909090 },	/* push */
		{ OUT, V, 4, 0x90909090 },
		{ STORE, M + 0x94, 4, 0x5555 },		/* pop */
		{ OUT, V, 4, M },
		END_HLT),
		"MMIO in protected mode: the forms that drivers use");
	vm_destroy(&vm);

	VM_START(&vm, 64, long_mmio);
	vm.supply = pattern;
	vm_expect(&vm, ACTS(
		{ STORE, M, 8, 0x1122334455667788 },
		{ STORE, M + 8, 8, (uint64_t)-2 },
		{ LOAD, M + 0x10, 8, 0x9090909090909090 },
		{ LOAD, M + 0x18, 4, 0x98989898 },
		{ LOAD, M + 0x20, 2, 0xa0a0 },
		{ LOAD, M + 0x24, 4, 0xa4a4a4a4 },
		{ STORE, M + 0x30, 1, 0x90 },
		{ STORE, M + 0x31, 1, 0 },
		{ STORE, M + 0x58, 4, 8 },
		{ STORE, M + 0x60, 8, -1 }, { STORE, M + 0x68, 8, -1 },
		{ LOAD, M + 0x70, 8, 0xf0f0f0f0f0f0f0f0 },
		{ LOAD, M + 0x78, 8, 0xf8f8f8f8f8f8f8f8 },
		{ STORE, M + 0x80, 8, 0 },
		{ STORE, M + 0x88, 8, 0x9090909090909090 },
		{ LOAD, M + 0x90, 8, 0x9090909090909090 },
		{ STORE, M + 0xa0, 2, 0x37f },
		END_HLT),
		"MMIO in 64-bit mode: 8 bytes, extended registers, SSE, MMX, x87");
	ok(!memcmp(vm.mem + DATA, want, sizeof(want)),
	   "MMIO loads extend as 64-bit mode says: cleared, kept, sign");
	vm_destroy(&vm);
}

static void test_modes(void)
{
	/* The entry that maps itself in each task's tables, accessed by now. */
	const uint32_t own_a = PAGE_TABLES + 0x1023, own_b = PAGE_TABLES + 0x3023;
	struct vm vm;

	VM_START(&vm, 32, prot_task);
	vm_expect(&vm, ACTS(
		{ OUT, V, 4, 0xbb01 }, { OUT, V, 4, own_b }, { OUT, V, 4, 0x4000 },
		{ OUT, V, 4, 0xaaaa }, { OUT, V, 4, own_a },
		{ OUT, V, 4, 0xbb02 }, { OUT, V, 4, own_b }, { OUT, V, 4, 0x4000 },
		{ OUT, V, 4, 8 },
		{ OUT, V, 4, 0xbb03 }, { OUT, V, 4, own_b }, { OUT, V, 4, 0x4000 },
		{ OUT, V, 4, 0xaaaa }, { OUT, V, 4, 0 },
		END_HLT),
		"task switches by TSS, task gate and interrupt, and back by IRET, each its page tables");
	vm_destroy(&vm);

	VM_START(&vm, 16, real_modes);
	vm_expect(&vm, ACTS(
		{ OUT, V, 1, 16 }, { OUT, V, 1, 32 }, { OUT, V, 1, 16 },
		{ OUT, V, 4, 0x12345678 }, { OUT, V, 1, 0x99 }, END_HLT),
		"real, protected, real and unreal mode, switched by the guest");
	vm_destroy(&vm);

	VM_START(&vm, 32, prot_hello64);
	vm.hook = NULL;
	vm_go(&vm);
	ok(vm_nacts > 2 && vm_acts[vm_nacts - 2].where == PORT_EXIT &&
	   vm_acts[vm_nacts - 2].value == 64,
	   "protected to 64-bit mode, switched by the guest");
	if (vm_nacts < 2 || vm_acts[vm_nacts - 2].value != 64)
		vm_show_act("last", &vm_acts[vm_nacts - 1]), vm_show_state(&vm);
	vm_destroy(&vm);

	VM_START(&vm, 32, prot_paging);
	vm_expect(&vm, ACTS(
		{ OUT, V, 4, 0x600df00d },
		{ OUT, V, 4, 0xfeedface },
		{ OUT, V, 4, 0xfeedface },
		{ OUT, PORT_VECTOR, 1, 14 }, { OUT, V, 4, 3 },
		{ OUT, V, 4, 0x10001000 },
		{ OUT, PORT_VECTOR, 1, 14 }, { OUT, V, 4, 0 },
		{ OUT, V, 4, 0x20000000 },
		{ OUT, V, 4, 0x33333333 },
		{ OUT, V, 4, 0xfeedface },
		{ OUT, V, 4, 0x20 },
		{ OUT, V, 4, 0xfeedface },
		END_HLT),
		"32-bit paging: 4 MiB and 4 KiB pages, faults, INVLPG, accessed bit");
	vm_destroy(&vm);
}

static void test_exceptions(void)
{
	struct vm vm;

	VM_START(&vm, 16, real_exc);
	vm_expect(&vm, ACTS(
		{ OUT, PORT_VECTOR, 1, 0 }, { OUT, PORT_VECTOR, 1, 6 },
		{ OUT, PORT_VECTOR, 1, 3 }, { OUT, PORT_VECTOR, 1, 0x21 },
		{ OUT, V, 2, 0x7000 }, END_HLT),
		"exceptions and INT in real mode");
	vm_destroy(&vm);

	VM_START(&vm, 64, long_exc);
	vm_expect(&vm, ACTS(
		{ OUT, PORT_VECTOR, 1, 0 }, { OUT, V, 4, 0 },
		{ OUT, PORT_VECTOR, 1, 6 }, { OUT, V, 4, 0 },
		{ OUT, PORT_VECTOR, 1, 13 }, { OUT, V, 4, 0x78 },
		{ OUT, PORT_VECTOR, 1, 13 }, { OUT, V, 4, 0 },
		{ OUT, PORT_VECTOR, 1, 13 }, { OUT, V, 4, 0 },	/* RDMSR */
		{ OUT, PORT_VECTOR, 1, 14 }, { OUT, V, 4, 2 },
		{ OUT, V, 4, 0x7000000 },
		{ OUT, PORT_VECTOR, 1, 3 }, { OUT, V, 4, 0 },
		{ OUT, PORT_VECTOR, 1, 13 }, { OUT, V, 4, 0 },	/* CR4 */
		{ OUT, V, 1, 0xaa }, END_HLT),
		"exceptions in 64-bit mode: vectors and error codes");
	vm_destroy(&vm);

	VM_START(&vm, 32, prot_triple);
	vm_expect(&vm, ACTS({ OTHER, KVM_EXIT_SHUTDOWN, 0, 0 }),
		  "a triple fault is KVM_EXIT_SHUTDOWN");
	vm_destroy(&vm);

	VM_START(&vm, 32, prot_exec_mmio);
	vm_expect(&vm, ACTS({ OTHER, KVM_EXIT_INTERNAL_ERROR, 0, 0 }),
		  "executing where no memory is stops the VM with an internal error");
	is(vm.run->internal.suberror, KVM_INTERNAL_ERROR_EMULATION,
	   "and says that the instruction could not be emulated");
	vm_destroy(&vm);
}

static int step;
static bool flags_good;

static void inject(struct vm *vm, int vector)
{
	struct kvm_interrupt irq = { .irq = vector };

	if (ioctl(vm->vcpu, KVM_INTERRUPT, &irq) < 0)
		note("KVM_INTERRUPT %d: %s", vector, strerror(errno));
}

static void irq_hook(struct vm *vm, int n)
{
	const struct act *last = &vm_acts[n - 1];

	if (last->what == OUT && last->where == V && last->value == 1) {
		flags_good = !vm->run->if_flag &&
			!vm->run->ready_for_interrupt_injection;
		vm->run->request_interrupt_window = 1;
	} else if (last->what == OTHER && last->where == KVM_EXIT_IRQ_WINDOW_OPEN) {
		flags_good &= vm->run->ready_for_interrupt_injection;
		vm->run->request_interrupt_window = 0;
		inject(vm, 32);
	} else if (last->what == HLT && ++step == 1) {
		flags_good &= vm->run->if_flag &&
			vm->run->ready_for_interrupt_injection;
		inject(vm, 33);
	} else if (last->what == HLT) {
		flags_good &= !vm->run->if_flag;
		vm_stop_now = true;
	}
}

static void test_interrupts(void)
{
	struct vm vm;

	VM_START(&vm, 16, real_irq);
	step = 0;
	vm.hook = irq_hook;
	vm_expect(&vm, ACTS(
		{ OUT, V, 1, 1 }, { OUT, V, 1, 2 },
		EXIT_IRQ_WINDOW,
		{ OUT, PORT_VECTOR, 1, 32 },
		{ OUT, V, 1, 3 }, { OUT, V, 1, 4 },
		END_HLT,
		{ OUT, PORT_VECTOR, 1, 33 },
		{ OUT, V, 1, 5 },
		END_HLT),
		"KVM_INTERRUPT: the window opens after STI, HLT is woken");
	ok(flags_good, "if_flag and ready_for_interrupt_injection tell when");
	vm_destroy(&vm);
}

static void nmi_hook(struct vm *vm, int n)
{
	const struct act *last = &vm_acts[n - 1];

	if (last->what == HLT) {
		vm_stop_now = true;
		return;
	}
	if (last->what != OUT || last->where != V)
		return;
	if (last->value == 1 || (last->value == 0xee && step++ == 0))
		if (ioctl(vm->vcpu, KVM_NMI, 0) < 0)
			note("KVM_NMI: %s", strerror(errno));
}

static void event_hook(struct vm *vm, int n)
{
	struct kvm_vcpu_events events;
	const struct act *last = &vm_acts[n - 1];

	vm_stop_now = last->what == HLT;
	if (last->what != OUT || last->where != V || last->value != 1)
		return;
	if (ioctl(vm->vcpu, KVM_GET_VCPU_EVENTS, &events) < 0)
		note("KVM_GET_VCPU_EVENTS: %s", strerror(errno));
	events.nmi.pending = 1;
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	if (ioctl(vm->vcpu, KVM_SET_VCPU_EVENTS, &events) < 0)
		note("KVM_SET_VCPU_EVENTS: %s", strerror(errno));
}

static void gp_hook(struct vm *vm, int n)
{
	struct kvm_vcpu_events events;

	if (vm_acts[n - 1].what == HLT)
		vm_stop_now = true;
	if (n != 2)
		return;
	if (ioctl(vm->vcpu, KVM_GET_VCPU_EVENTS, &events) < 0)
		note("KVM_GET_VCPU_EVENTS: %s", strerror(errno));
	events.flags = 0;
	events.exception.injected = 1;
	events.exception.nr = 13;
	events.exception.has_error_code = 1;
	events.exception.error_code = 0x30;
	if (ioctl(vm->vcpu, KVM_SET_VCPU_EVENTS, &events) < 0)
		note("KVM_SET_VCPU_EVENTS: %s", strerror(errno));
}

static void test_nmi_and_events(void)
{
	struct kvm_vcpu_events events;
	struct vm vm;

	VM_START(&vm, 16, real_irq);
	if (vm_has(vm.kvm, KVM_CAP_USER_NMI) > 0) {
		step = 0;
		vm.hook = nmi_hook;
		vm_go(&vm);
		/* Goes through the first HLT too: there it stops. */
		vm_compare(&vm, ACTS(
			{ OUT, V, 1, 1 },
			{ OUT, PORT_VECTOR, 1, 2 }, { OUT, V, 1, 0xee },
			{ OUT, PORT_VECTOR, 1, 2 }, { OUT, V, 1, 0xee },
			{ OUT, V, 1, 2 }, { OUT, V, 1, 3 }, { OUT, V, 1, 4 },
			END_HLT),
			"KVM_NMI comes with interrupts off; a second one waits for IRET");
	} else {
		skip("KVM_NMI", "no KVM_CAP_USER_NMI");
	}
	vm_destroy(&vm);

	VM_START(&vm, 16, real_irq);
	if (vm_has(vm.kvm, KVM_CAP_VCPU_EVENTS) > 0) {
		vm.hook = event_hook;
		vm_expect(&vm, ACTS(
			{ OUT, V, 1, 1 },
			{ OUT, PORT_VECTOR, 1, 2 }, { OUT, V, 1, 0xee },
			{ OUT, V, 1, 2 }, { OUT, V, 1, 3 }, { OUT, V, 1, 4 },
			END_HLT),
			"KVM_SET_VCPU_EVENTS makes an NMI pending");
		vm_destroy(&vm);
		VM_START(&vm, 64, long_exc);
		vm.hook = gp_hook;
		vm_go(&vm);
		ok(vm_nacts > 5 && vm_acts[2].where == PORT_VECTOR &&
		   vm_acts[2].value == 13 && vm_acts[3].value == 0x30 &&
		   vm_acts[4].value == 6 && vm_acts[vm_nacts - 1].what == HLT,
		   "KVM_SET_VCPU_EVENTS injects an exception with its error code");
		memset(&events, 0xff, sizeof(events));
		is(ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &events), 0,
		   "KVM_GET_VCPU_EVENTS works");
		ok(!events.exception.injected && !events.interrupt.injected &&
		   !events.nmi.pending && !events.nmi.masked,
		   "and has nothing pending afterwards");
		is(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &events), 0,
		   "KVM_SET_VCPU_EVENTS takes back what was read");
	} else {
		skip("KVM_SET_VCPU_EVENTS", "no KVM_CAP_VCPU_EVENTS");
	}
	vm_destroy(&vm);
}

static volatile sig_atomic_t signals;

static void on_signal(int sig)
{
	(void)sig;
	signals++;
}

static void test_signals(void)
{
	struct {
		struct kvm_signal_mask header;
		uint64_t set;
	} mask = { .header.len = 8, .set = 0 };
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval soon = { .it_value.tv_usec = 50000 };
	struct kvm_regs r, before;
	sigset_t block, pending;
	struct vm vm;

	if (vm_on_bochs_svm()) {
		skip("signals", "Bochs's SVM does not interrupt a guest with IF clear");
		return;
	}
	VM_START(&vm, 32, prot_loop);
	vm_interruptible(&vm, vm.vcpu);
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	is(vm_run_once(&vm), -EINTR, "a signal ends KVM_RUN with EINTR");
	is(vm.run->exit_reason, KVM_EXIT_INTR, "and the exit reason is INTR");
	ioctl(vm.vcpu, KVM_GET_REGS, &r);
	ok(r.rbx > 1000, "and the guest ran until then");

	vm.run->immediate_exit = 1;
	ioctl(vm.vcpu, KVM_GET_REGS, &before);
	vm.run->exit_reason = KVM_EXIT_IO;
	is(vm_run_once(&vm), -EINTR, "immediate_exit ends KVM_RUN with EINTR");
	is(vm.run->exit_reason, KVM_EXIT_IO, "and the exit reason is left alone");
	ioctl(vm.vcpu, KVM_GET_REGS, &r);
	ok(!memcmp(&r, &before, sizeof(r)), "and the guest did not run");
	vm.run->immediate_exit = 0;

	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, NULL);
	signals = 0;
	raise(SIGUSR1);
	is(ioctl(vm.vcpu, KVM_SET_SIGNAL_MASK, &mask), 0, "KVM_SET_SIGNAL_MASK works");
	is(vm_run_once(&vm), -EINTR, "a signal unblocked only in KVM_RUN ends it");
	sigpending(&pending);
	ok(signals == 0 && sigismember(&pending, SIGUSR1),
	   "and stays pending for the thread");
	is(ioctl(vm.vcpu, KVM_SET_SIGNAL_MASK, NULL), 0,
	   "KVM_SET_SIGNAL_MASK with NULL takes the mask away");
	soon.it_value.tv_usec = 50000;
	setitimer(ITIMER_REAL, &soon, NULL);
	is(vm_run_once(&vm), -EINTR, "then a blocked signal does not end KVM_RUN");
	ok(signals == 1, "and the one that did was another (SIGALRM)");
	sigprocmask(SIG_UNBLOCK, &block, NULL);
	vm_destroy(&vm);

	/* An input is finished by an entry with immediate_exit. */
	VM_START(&vm, 16, real_pio);
	do {
		if (vm_run_once(&vm) < 0)
			break;
	} while (vm.run->exit_reason == KVM_EXIT_IO &&
		 vm.run->io.direction == KVM_EXIT_IO_OUT);
	ioctl(vm.vcpu, KVM_GET_REGS, &before);
	*((uint8_t *)vm.run + vm.run->io.data_offset) = 0x42;
	vm.run->immediate_exit = 1;
	is(vm_run_once(&vm), -EINTR, "immediate_exit while an input is unfinished");
	ioctl(vm.vcpu, KVM_GET_REGS, &r);
	ok((r.rax & 0xff) == 0x42, "finishes the input first");
	is(r.rip, 0x1000 + 0x2a, "and the instruction pointer is behind it");
	vm_destroy(&vm);
}

static void state_hook(struct vm *vm, int n)
{
	struct kvm_fpu fpu;

	vm_stop_now = vm_acts[n - 1].what == HLT;
	/* What a host does between two runs: use the registers itself. */
	asm volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm15, %%xmm15; fninit; fldz"
		     ::: "xmm0", "xmm15", "st");
	if (n != 2)
		return;
	if (ioctl(vm->vcpu, KVM_GET_FPU, &fpu) < 0)
		note("KVM_GET_FPU: %s", strerror(errno));
	flags_good = fpu.fcw == 0x37f &&
		!memcmp(fpu.xmm[0], "\xef\xcd\xab\x89\x67\x45\x23\x01", 8) &&
		!memcmp(fpu.xmm[15], "\x10\x32\x54\x76\x98\xba\xdc\xfe", 8);
	if (!flags_good)
		note("fcw 0x%x xmm0 %02x %02x", fpu.fcw,
		     fpu.xmm[0][0], fpu.xmm[0][1]);
	if (ioctl(vm->vcpu, KVM_SET_FPU, &fpu) < 0)
		note("KVM_SET_FPU: %s", strerror(errno));
}

static void test_state(void)
{
	struct vm vm;
	uint64_t value = 0;

	VM_START(&vm, 64, long_state);
	vm.hook = state_hook;
	flags_good = false;
	vm_expect(&vm, ACTS(
		{ OUT, V, 1, 0 }, { OUT, V, 1, 0 }, { OUT, V, 1, 0 }, { OUT, V, 1, 0 },
		{ OUT, V, 1, 1 },	/* x87 */
		{ OUT, V, 1, 1 },	/* SSE */
		{ OUT, V, 1, 0 },
		{ OUT, V, 1, 1 },	/* debug registers */
		{ OUT, V, 1, 0 },
		{ OUT, V, 1, 1 },	/* FS, GS, SWAPGS */
		{ OUT, V, 1, 0 },
		{ OUT, V, 1, 1 },	/* SYSCALL */
		END_HLT),
		"x87, SSE, debug, FS/GS and SYSCALL registers survive exits");
	ok(flags_good, "KVM_GET_FPU shows the guest's registers");
	{
		struct { struct kvm_msrs h; struct kvm_msr_entry e[3]; } m = {
			.h.nmsrs = 3, .e = { { .index = 0xc0000100 },
			{ .index = 0xc0000101 }, { .index = 0xc0000102 } },
		};

		is(ioctl(vm.vcpu, KVM_GET_MSRS, &m), 3, "KVM_GET_MSRS reads 3 registers");
		ok(m.e[0].data == DATA && m.e[1].data == DATA + 0x200 &&
		   m.e[2].data == DATA + 0x100,
		   "FS base and, after SWAPGS, both GS bases are the guest's");
		value = m.e[0].data;
	}
	(void)value;
	vm_destroy(&vm);
}

static bool has_avx(void)
{
	struct kvm_cpuid2 *t;
	int kvm = vm_open();

	t = vm_cpuid(kvm);
	close(kvm);
	for (unsigned int i = 0; i < t->nent; i++)
		if (t->entries[i].function == 1)
			return t->entries[i].ecx >> 28 & t->entries[i].ecx >> 26 & 1;
	return false;
}

static void xsave_hook(struct vm *vm, int n)
{
	static struct kvm_xsave xsave;
	static struct kvm_xcrs xcrs;

	vm_stop_now = vm_acts[n - 1].what == HLT;
	asm volatile("vxorps %%ymm1, %%ymm1, %%ymm1" ::: "xmm1");
	if (n != 2)
		return;
	if (ioctl(vm->vcpu, KVM_GET_XSAVE, &xsave) < 0 ||
	    ioctl(vm->vcpu, KVM_GET_XCRS, &xcrs) < 0) {
		note("KVM_GET_XSAVE or XCRS: %s", strerror(errno));
		return;
	}
	/* FXSAVE has xmm1 at 176; the upper half's place is in leaf 0xd. */
	flags_good = xcrs.nr_xcrs == 1 && xcrs.xcrs[0].value == 7 &&
		!memcmp((uint8_t *)&xsave + 176, vm->mem + DATA, 16) &&
		!memcmp((uint8_t *)&xsave + 576 + 16, vm->mem + DATA + 16, 16);
	if (ioctl(vm->vcpu, KVM_SET_XSAVE, &xsave) < 0 ||
	    ioctl(vm->vcpu, KVM_SET_XCRS, &xcrs) < 0)
		note("KVM_SET_XSAVE or XCRS: %s", strerror(errno));
}

static void test_xsave(void)
{
	struct vm vm;

	if (!has_avx()) {
		skip("YMM registers survive exits", "no AVX in the guest's CPUID");
		return;
	}
	VM_START(&vm, 64, long_xsave);
	for (int i = 0; i < 32; i++)
		vm.mem[DATA + i] = i * 7 + 1;
	vm.hook = xsave_hook;
	flags_good = false;
	vm_expect(&vm, ACTS(
		{ OUT, V, 1, 0 }, { OUT, V, 1, 0 }, { OUT, V, 1, 0 },
		{ OUT, V, 4, 7 }, END_HLT), "XSETBV and AVX work in a guest");
	ok(!memcmp(vm.mem + DATA, vm.mem + DATA + 0x40, 32),
	   "YMM registers survive exits and KVM_SET_XSAVE");
	ok(flags_good, "KVM_GET_XSAVE and KVM_GET_XCRS show the guest's registers");
	vm_destroy(&vm);
}

static void cr8_hook(struct vm *vm, int n)
{
	vm_stop_now = vm_acts[n - 1].what == HLT;
	if (n == 1) {
		flags_good = vm->run->cr8 == 5;
		vm->run->cr8 = 9;
	}
}

static void test_cr8(void)
{
	struct vm vm;

	VM_START(&vm, 64, long_cr8);
	vm.hook = cr8_hook;
	vm_expect(&vm, ACTS(
		{ OUT, V, 1, 5 }, { OUT, V, 1, 9 },
		{ OTHER, KVM_EXIT_SET_TPR, 0, 0 },
		{ OUT, V, 1, 2 }, END_HLT),
		"CR8 goes both ways through kvm_run; lowering it exits (SET_TPR)");
	ok(flags_good, "kvm_run.cr8 shows what the guest wrote");
	vm_destroy(&vm);
}

static struct kvm_cpuid_entry2 *find_leaf(struct kvm_cpuid2 *t, uint32_t leaf)
{
	for (unsigned int i = 0; i < t->nent; i++)
		if (t->entries[i].function == leaf && t->entries[i].index == 0)
			return &t->entries[i];
	return NULL;
}

static void test_cpuid(void)
{
	static const uint32_t leaves[] = { 0, 0x80000002, 0x40000000, 7, 0x80000001 };
	struct kvm_cpuid_entry2 *e;
	struct kvm_cpuid2 *t;
	uint32_t *q;
	struct vm vm;
	bool good = true;

	if (vm_on_bochs_svm()) {
		skip("cpuid", "Bochs's SVM does not interrupt a guest with IF clear");
		return;
	}
	VM_START(&vm, 32, prot_cpuid);
	t = vm_cpuid(vm.kvm);
	e = find_leaf(t, 0);
	if (!e)
		bail_out("KVM_GET_SUPPORTED_CPUID has no leaf 0");
	memcpy(&e->ebx, "Flat", 4);
	memcpy(&e->edx, "Test", 4);
	memcpy(&e->ecx, "Guy!", 4);
	e = find_leaf(t, 0x80000002);
	if (e)
		e->eax = 0x12345678;
	e = find_leaf(t, 0x40000000);
	if (!e) {
		e = &t->entries[t->nent++];
		memset(e, 0, sizeof(*e));
		e->function = 0x40000000;
	}
	e->ebx = 0xb0b;
	is(ioctl(vm.vcpu, KVM_SET_CPUID2, t), 0, "KVM_SET_CPUID2 takes a changed table");
	q = (void *)(vm.mem + DATA);
	for (int i = 0; i < 5; i++) {
		q[i * 4] = leaves[i];
		q[i * 4 + 1] = 0;
	}
	q[20] = -1;
	vm_expect(&vm, ACTS(END_HLT), "CPUID runs in a guest without an exit to us");
	for (int i = 0; i < 5; i++) {
		e = find_leaf(t, leaves[i]);
		if (!e || (q[i * 4] == e->eax && q[i * 4 + 1] == e->ebx &&
			   q[i * 4 + 2] == e->ecx && q[i * 4 + 3] == e->edx))
			continue;
		good = false;
		note("leaf 0x%x: guest sees %08x %08x %08x %08x, table has %08x %08x %08x %08x",
		     leaves[i], q[i * 4], q[i * 4 + 1], q[i * 4 + 2], q[i * 4 + 3],
		     e->eax, e->ebx, e->ecx, e->edx);
	}
	ok(good, "and gives what KVM_SET_CPUID2 said");
	{
		struct { struct kvm_cpuid h; struct kvm_cpuid_entry e[2]; } old = {
			.h.nent = 2, .e = { { .function = 0, .eax = 1, .ebx = 0x11 },
			{ .function = 1, .eax = 0x22 } },
		};

		/* A vCPU that has run may refuse another processor. */
		vm_destroy(&vm);
		VM_START(&vm, 32, prot_cpuid);
		is(ioctl(vm.vcpu, KVM_SET_CPUID, &old), 0, "KVM_SET_CPUID works");
		q = (void *)(vm.mem + DATA);
		q[0] = q[1] = 0;
		q[4] = -1;
		vm_go(&vm);
		ok(q[0] == 1 && q[1] == 0x11, "and CPUID gives what it said");
	}
	{
		struct kvm_enable_cap cap = { .cap = KVM_CAP_X86_DISABLE_EXITS,
					      .args = { KVM_X86_DISABLE_EXITS_HLT } };

		vm_destroy(&vm);
		VM_START(&vm, 32, prot_cpuid);
		is(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0, "HLT shall not exit");
		t = vm_cpuid(vm.kvm);
		ioctl(vm.vcpu, KVM_SET_CPUID2, t);
		q = (void *)(vm.mem + DATA);
		q[0] = 0x40000001;
		q[4] = -1;
		vm_interruptible(&vm, vm.vcpu);
		sigaction(SIGALRM, &(struct sigaction){ .sa_handler = on_signal }, NULL);
		alarm(1);
		vm_run_once(&vm);
		ok(!(q[0] & 1 << KVM_FEATURE_PV_UNHALT), "nobody is kicked out of a HLT then");
		is(ioctl(vm.vcpu, KVM_SET_CPUID2, t), 0,
		   "a vCPU that has run takes the table that it has");
	}
	vm_destroy(&vm);
}

/* A counter of the VM's or the vCPU's statistics by its name; -1: there is none. */
static int64_t counter(int fd, const char *name)
{
	struct kvm_stats_header h;
	char desc[256];
	int64_t value;

	if (pread(fd, &h, sizeof(h), 0) != sizeof(h))
		return -1;
	for (uint32_t i = 0; i < h.num_desc; i++) {
		struct kvm_stats_desc *d = (void *)desc;
		size_t bytes = sizeof(*d) + h.name_size;

		if (pread(fd, desc, bytes, h.desc_offset + i * bytes) != (ssize_t)bytes)
			return -1;
		if (!strcmp(d->name, name))
			return pread(fd, &value, 8, h.data_offset + d->offset) == 8 ? value : -1;
	}
	return -1;
}

static void test_stats(void)
{
	char whole[16384], pieces[16384], id[64] = "";
	ssize_t length, n, got = 0;
	int vm_fd, vcpu_fd;
	int64_t before;
	struct vm vm;

	VM_START(&vm, 32, prot_cpuid);
	((uint32_t *)(vm.mem + DATA))[4] = -1;
	vcpu_fd = ioctl(vm.vcpu, KVM_GET_STATS_FD, 0);
	vm_fd = ioctl(vm.fd, KVM_GET_STATS_FD, 0);
	ok(vcpu_fd >= 0 && vm_fd >= 0, "KVM_GET_STATS_FD of a VM and of a vCPU");
	before = counter(vcpu_fd, "cpuid");
	vm_go(&vm);
	is(counter(vcpu_fd, "cpuid"), before + 1, "a CPUID is counted");
	is(counter(vm_fd, "cpuid"), before + 1, "for the VM, too");
	ok(counter(vcpu_fd, "exits") > 1 &&
	   counter(vcpu_fd, "exits") == counter(vm_fd, "exits"), "and the exits");
	is(counter(vm_fd, "no such counter"), -1, "and nothing else");
	n = pread(vcpu_fd, id, sizeof(id) - 1, sizeof(struct kvm_stats_header));
	ok(n > 0 && !strncmp(id, "kvm-", 4) && strstr(id, "/vcpu-0"), "the vCPU's name: %s", id);
	length = pread(vm_fd, whole, sizeof(whole), 0);
	while (got < (ssize_t)sizeof(pieces) - 13 && (n = read(vm_fd, pieces + got, 13)) > 0)
		got += n;
	ok(got == length && !memcmp(whole, pieces, got), "in pieces it reads as in one");
	close(vm_fd);
	close(vcpu_fd);
	vm_destroy(&vm);
}

static void test_registers(void)
{
	struct kvm_regs r, r2;
	struct kvm_sregs s, s2;
	struct vm vm;

	VM_START(&vm, 64, long_cr8);
	for (size_t i = 0; i < 16; i++)
		((uint64_t *)&r)[i] = 0x1111111111111111ULL * i;
	r.rip = 0xffffffff81000000;
	r.rflags = 0x46;
	is(ioctl(vm.vcpu, KVM_SET_REGS, &r), 0, "KVM_SET_REGS works");
	is(ioctl(vm.vcpu, KVM_GET_REGS, &r2), 0, "KVM_GET_REGS works");
	ok(!memcmp(&r, &r2, sizeof(r)), "and gives all 18 registers back");
	ioctl(vm.vcpu, KVM_GET_SREGS, &s);
	s.fs.base = 0x123456789000;
	s.gdt.base = 0xffff800000001000;
	s.gdt.limit = 0x7f;
	s.idt.base = 0xffff800000002000;
	s.idt.limit = 0xfff;
	s.cr2 = 0x7fffdead0000;
	s.tr.base = 0xffff800000003000;
	s.tr.limit = 0x67;
	s.tr.selector = 0x40;
	is(ioctl(vm.vcpu, KVM_SET_SREGS, &s), 0, "KVM_SET_SREGS works");
	ioctl(vm.vcpu, KVM_GET_SREGS, &s2);
	ok(s2.fs.base == s.fs.base && s2.gdt.base == s.gdt.base &&
	   s2.gdt.limit == s.gdt.limit && s2.idt.base == s.idt.base &&
	   s2.idt.limit == s.idt.limit && s2.cr2 == s.cr2 &&
	   s2.tr.base == s.tr.base && s2.tr.selector == 0x40 &&
	   s2.tr.limit == 0x67 && s2.efer == s.efer && s2.cr0 == s.cr0 &&
	   s2.cr3 == s.cr3 && s2.cr4 == s.cr4 && s2.cs.l && s2.cs.selector == 8,
	   "and KVM_GET_SREGS gives the same back");
	vm_destroy(&vm);
}

static void test_msrs(void)
{
	static struct { struct kvm_msr_list h; uint32_t index[1024]; } list;
	struct { struct kvm_msrs h; struct kvm_msr_entry e[2]; } m = {
		.h.nmsrs = 2, .e = { { .index = 0x175 }, { .index = 0xdead0000 } },
	};
	int unreadable = 0;
	struct vm vm;

	vm_create(&vm);
	list.h.nmsrs = 1024;
	is(ioctl(vm.kvm, KVM_GET_MSR_INDEX_LIST, &list), 0,
	   "KVM_GET_MSR_INDEX_LIST works");
	ok(list.h.nmsrs > 10, "and has more than 10 registers (%u)", list.h.nmsrs);
	for (unsigned int i = 0; i < list.h.nmsrs; i++) {
		m.h.nmsrs = 1;
		m.e[0].index = list.index[i];
		if (ioctl(vm.vcpu, KVM_GET_MSRS, &m) != 1) {
			unreadable++;
			note("MSR 0x%x is listed but cannot be read", list.index[i]);
		}
	}
	is(unreadable, 0, "every listed register can be read");
	m.h.nmsrs = 2;
	m.e[0] = (struct kvm_msr_entry){ .index = 0x175, .data = 0x1234 };
	m.e[1] = (struct kvm_msr_entry){ .index = 0xdead0000, .data = 1 };
	is(ioctl(vm.vcpu, KVM_SET_MSRS, &m), 1,
	   "KVM_SET_MSRS stops at the first unknown register and tells where");
	m.e[0].data = 0;
	is(ioctl(vm.vcpu, KVM_GET_MSRS, &m), 1, "KVM_GET_MSRS likewise");
	is(m.e[0].data, 0x1234, "and the one before was set (SYSENTER_ESP)");
	m.h.nmsrs = 1;
	m.e[0] = (struct kvm_msr_entry){ .index = 0xc0000082,
					 .data = 0x8000000000000000ULL };
	is(ioctl(vm.vcpu, KVM_SET_MSRS, &m), 0,
	   "an address that is not canonical is refused (LSTAR)");
	m.e[0] = (struct kvm_msr_entry){ .index = 0xc0000084, .data = 1ULL << 32 };
	is(ioctl(vm.vcpu, KVM_SET_MSRS, &m), 0, "a mask of flags that there are not is refused");
	vm_destroy(&vm);
}

static uint64_t nothing_there(struct vm *vm, uint64_t where, int size)
{
	(void)vm; (void)where; (void)size;
	return 0xeeeeeeee;
}

static void restart(struct vm *vm)
{
	vm_mode_of(vm, vm->vcpu, 32);
}

/* ... of which the process has the device's memory mapped to write, too. */
static void test_readonly_device(struct vm *vm, uint64_t gpa)
{
	int fd = open("/dev/mem", O_RDWR);
	uint32_t *bios = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0xf0000);

	if (bios == MAP_FAILED) {
		skip("a device's memory in a read-only slot", "/dev/mem: %s", strerror(errno));
		return;
	}
	vm_slot(vm, 1, KVM_MEM_READONLY, gpa, PAGE, bios);
	restart(vm);
	vm_expect(vm, ACTS({ OUT, V, 4, *bios }, { STORE, gpa, 4, 0xdeadbeef }, END_HLT),
		  "a device's memory in a read-only slot: writes are MMIO");
	vm_slot(vm, 1, 0, gpa, 0, bios);
	munmap(bios, PAGE);
	close(fd);
}

static void test_memory(void)
{
	const uint64_t A = 0x1000000, B = 0x2000000;
	uint32_t *page, *list;
	struct vm vm;

	VM_START(&vm, 32, prot_probe);
	vm.supply = nothing_there;
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	list = (uint32_t *)(vm.mem + DATA);
	list[0] = A;
	list[1] = B;
	vm_expect(&vm, ACTS(
		{ LOAD, A, 4, 0xeeeeeeee }, { OUT, V, 4, 0xeeeeeeee },
		{ STORE, A, 4, 0xdeadbeef },
		{ LOAD, B, 4, 0xeeeeeeee }, { OUT, V, 4, 0xeeeeeeee },
		{ STORE, B, 4, 0xdeadbeef }, END_HLT),
		"an address without a slot is MMIO");
	page[0] = 0x11111111;
	is(vm_slot(&vm, 1, 0, A, PAGE, page), 0, "a slot can be added to a used VM");
	restart(&vm);
	vm_expect(&vm, ACTS(
		{ OUT, V, 4, 0x11111111 },
		{ LOAD, B, 4, 0xeeeeeeee }, { OUT, V, 4, 0xeeeeeeee },
		{ STORE, B, 4, 0xdeadbeef }, END_HLT),
		"and its content is what the process put there");
	is(page[0], 0xdeadbeef, "and the process sees what the guest stored");
	page[0] = 0x22222222;
	restart(&vm);
	vm_go(&vm);
	is(vm_acts[0].value, 0x22222222, "and the guest what the process stores later");
	page[0] = 0x33333333;
	is(vm_slot(&vm, 1, 0, B, PAGE, page), 0, "a slot can be moved");
	restart(&vm);
	vm_expect(&vm, ACTS(
		{ LOAD, A, 4, 0xeeeeeeee }, { OUT, V, 4, 0xeeeeeeee },
		{ STORE, A, 4, 0xdeadbeef },
		{ OUT, V, 4, 0x33333333 }, END_HLT),
		"then it is at the new address and not at the old one");
	is(vm_slot(&vm, 1, 0, B, 0, page), 0, "a slot can be deleted");
	restart(&vm);
	vm_go(&vm);
	ok(vm_nacts == 7 && vm_acts[3].what == LOAD,
	   "then the guest does not see the memory any more");
	is(page[0], 0xdeadbeef, "and what it stores does not reach the process");
	page[0] = 0x44444444;
	if (vm_has(vm.kvm, KVM_CAP_READONLY_MEM) > 0) {
		vm_slot(&vm, 1, KVM_MEM_READONLY, A, PAGE, page);
		list[1] = 0;
		restart(&vm);
		vm_expect(&vm, ACTS(
			{ OUT, V, 4, 0x44444444 },
			{ STORE, A, 4, 0xdeadbeef }, END_HLT),
			"a read-only slot: reads are memory, writes are MMIO");
		is(page[0], 0x44444444, "and the content stays");
		vm_slot(&vm, 1, 0, A, 0, page);
		test_readonly_device(&vm, A);
	} else {
		skip("a read-only slot", "no KVM_CAP_READONLY_MEM");
	}
	list[0] = 0x300000;
	list[1] = 0;
	*(uint32_t *)(vm.mem + 0x300000) = 0x55555555;
	restart(&vm);
	vm_go(&vm);
	is(vm_acts[0].value, 0x55555555, "the guest has a page mapped");
	madvise(vm.mem + 0x300000, PAGE, MADV_DONTNEED);
	restart(&vm);
	vm_go(&vm);
	is(vm_acts[0].value, 0,
	   "the process drops the page: the guest sees the new, zeroed one");
	*(uint32_t *)(vm.mem + 0x300000) = 0x66666666;
	mprotect(vm.mem + 0x300000, PAGE, PROT_NONE);
	restart(&vm);
	is(vm_run_once(&vm), -EFAULT,
	   "memory that the process made inaccessible ends KVM_RUN with EFAULT");
	mprotect(vm.mem + 0x300000, PAGE, PROT_READ | PROT_WRITE);
	restart(&vm);
	vm_go(&vm);
	is(vm_acts[0].value, 0x66666666, "and the guest goes on when it is back");
	munmap(page, PAGE);
	vm_destroy(&vm);
}

static void dirty_run(struct vm *vm, int pages)
{
	struct kvm_regs r;

	restart(vm);
	ioctl(vm->vcpu, KVM_GET_REGS, &r);
	r.rcx = pages;
	ioctl(vm->vcpu, KVM_SET_REGS, &r);
	vm_go(vm);
}

static void test_dirty_log(void)
{
	uint64_t bitmap[MEMORY / PAGE / 64];
	struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = bitmap };
	struct vm vm;
	int others = 0;

	VM_START(&vm, 32, prot_step);
	dirty_run(&vm, 4);
	is(ioctl(vm.fd, KVM_GET_DIRTY_LOG, &log), -1,
	   "KVM_GET_DIRTY_LOG without a log fails");
	is(errno, ENOENT, "with ENOENT");
	is(vm_slot(&vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, MEMORY, vm.mem), 0,
	   "the log can be switched on for a used slot");
	memset(bitmap, 0xff, sizeof(bitmap));
	is(ioctl(vm.fd, KVM_GET_DIRTY_LOG, &log), 0, "KVM_GET_DIRTY_LOG works");
	memset(bitmap, 0xff, sizeof(bitmap));
	ioctl(vm.fd, KVM_GET_DIRTY_LOG, &log);
	for (size_t i = 0; i < sizeof(bitmap) / 8; i++)
		others += bitmap[i] != 0;
	is(others, 0, "and is empty when the guest wrote nothing since");
	dirty_run(&vm, 8);
	is(vm_acts[0].value, DATA + 8 * PAGE, "the guest ran");
	memset(bitmap, 0, sizeof(bitmap));
	ioctl(vm.fd, KVM_GET_DIRTY_LOG, &log);
	is(bitmap[DATA / PAGE / 64], 0xff, "eight pages written are eight bits");
	for (size_t i = 0; i < sizeof(bitmap) / 8; i++)
		others += i != DATA / PAGE / 64 && bitmap[i] != 0;
	is(others, 0, "and no other bit");
	dirty_run(&vm, 3);
	ioctl(vm.fd, KVM_GET_DIRTY_LOG, &log);
	is(bitmap[DATA / PAGE / 64], 0x7, "pages written again are logged again");
	dirty_run(&vm, 5);
	vm_slot(&vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0x40000000, MEMORY, vm.mem);
	ioctl(vm.fd, KVM_GET_DIRTY_LOG, &log);
	is(bitmap[DATA / PAGE / 64], 0x1f, "a slot that moves keeps its log");
	vm_slot(&vm, 0, KVM_MEM_LOG_DIRTY_PAGES, 0, MEMORY, vm.mem);
	is(vm_slot(&vm, 0, 0, 0, MEMORY, vm.mem), 0, "the log can be switched off");
	dirty_run(&vm, 3);
	is(vm_acts[0].value, DATA + 3 * PAGE, "and the guest still runs");
	vm_destroy(&vm);
}

static void test_debug(void)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	struct kvm_debugregs d, d2;
	struct kvm_mp_state mp = { .mp_state = 99 };
	struct vm vm;

	if (vm_on_bochs_svm()) {
		skip("debug", "Bochs's SVM breaks down at a #DB");
		return;
	}
	VM_START(&vm, 32, prot_loop);
	if (vm_has(vm.kvm, KVM_CAP_DEBUGREGS) > 0) {
		is(ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &d), 0, "KVM_GET_DEBUGREGS works");
		is(d.dr6, 0xffff0ff0, "DR6 has its reset value");
		is(d.dr7, 0x400, "DR7 has its reset value");
		d.db[0] = 0x123000;
		d.db[3] = 0x456000;
		d.dr6 = 0xffff0ff2;
		is(ioctl(vm.vcpu, KVM_SET_DEBUGREGS, &d), 0, "KVM_SET_DEBUGREGS works");
		ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &d2);
		ok(d2.db[0] == 0x123000 && d2.db[3] == 0x456000,
		   "and KVM_GET_DEBUGREGS gives the same back");
	} else {
		skip("KVM_GET_DEBUGREGS", "no KVM_CAP_DEBUGREGS");
	}
	if (vm_has(vm.kvm, KVM_CAP_MP_STATE) > 0) {
		is(ioctl(vm.vcpu, KVM_GET_MP_STATE, &mp), 0, "KVM_GET_MP_STATE works");
		is(mp.mp_state, KVM_MP_STATE_RUNNABLE,
		   "a vCPU without an interrupt controller is runnable");
		is(ioctl(vm.vcpu, KVM_SET_MP_STATE, &mp), 0,
		   "KVM_SET_MP_STATE takes it back");
	} else {
		skip("KVM_GET_MP_STATE", "no KVM_CAP_MP_STATE");
	}
	if (vm_has(vm.kvm, KVM_CAP_SET_GUEST_DEBUG) > 0) {
		is(ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug), 0,
		   "KVM_SET_GUEST_DEBUG works");
		is(vm_run_once(&vm), 0, "single-stepping: KVM_RUN returns");
		is(vm.run->exit_reason, KVM_EXIT_DEBUG, "for KVM_EXIT_DEBUG");
		is(vm.run->debug.arch.pc, 0x100001, "after one instruction");
		is(vm.run->debug.arch.dr6, 0xffff4ff0, "of which the guest's old DR6 is no part");
		debug.control = 0;
		ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug);
	} else {
		skip("single-stepping", "no KVM_CAP_SET_GUEST_DEBUG");
	}
	vm_destroy(&vm);
}

/* Where the processor cannot set accessed and dirty bits, it does without. */
static void test_tables_in_rom(void)
{
	static const uint8_t code[] = {
		0xbb, 0, 0, 0x20, 0,			/* mov $0x200000, %ebx */
		0xc7, 0x03, 0x78, 0x56, 0, 0,		/* movl $0x5678, (%rbx) */
		0x8b, 0x03, 0xe7, 0x10, 0xf4,		/* mov (%rbx), %eax; out; hlt */
	};
	uint64_t *rom = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), at = 0x20000000;
	struct kvm_sregs s;
	struct vm vm;

	vm_start(&vm, 64, code, code + sizeof(code));
	memcpy(rom, vm.mem + PAGE_TABLES, 3 * PAGE);
	rom[0] = at + PAGE + 3;
	rom[512] = at + 2 * PAGE + 3;
	vm_slot(&vm, 1, KVM_MEM_READONLY, at, 3 * PAGE, rom);
	ioctl(vm.vcpu, KVM_GET_SREGS, &s);
	s.cr3 = at;
	ioctl(vm.vcpu, KVM_SET_SREGS, &s);
	vm_expect(&vm, ACTS({ OUT, 0x10, 4, 0x5678 }, END_HLT),
		  "page tables in a read-only slot, no accessed bit set");
	if (vm_on_intel())
		skip("they stay as they are",
		     "Bochs 3.0, if EPT has no accessed bits, sets the guest's whatever EPT allows");
	else
		is(rom[512] & 0x60, 0, "they stay as they are");
	vm_destroy(&vm);
	munmap(rom, 3 * PAGE);
}

/* A debugger that comes, or goes, while an instruction waits for its MMIO. */
static void test_debug_at_mmio(void)
{
	static const uint8_t code[] = {
		0xbb, 0, 0, 0, 1,			/* mov $0x1000000, %ebx */
		0x8b, 0x03, 0x90,			/* mov (%ebx), %eax; nop */
		0x8b, 0x03, 0xe7, 0x10, 0xf4,		/* mov (%ebx), %eax; out; hlt */
	};
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
	struct vm vm;

	if (vm_on_bochs_svm()) {
		skip("debug at MMIO", "Bochs's SVM breaks down at a #DB");
		return;
	}
	vm_start(&vm, 32, code, code + sizeof(code));
	vm_run_once(&vm);
	is(vm.run->exit_reason, KVM_EXIT_MMIO, "a load waits for its data");
	ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug);
	vm_run_once(&vm);
	is(vm.run->exit_reason, KVM_EXIT_DEBUG, "stepping that begins there: a stop behind it");
	is(vm.run->debug.arch.pc, 0x100007, "... of one instruction");
	vm_run_once(&vm);
	is(vm.run->exit_reason, KVM_EXIT_DEBUG, "the next step");
	vm_run_once(&vm);
	is(vm.run->exit_reason, KVM_EXIT_MMIO, "another load waits for its data");
	debug.control = 0;
	ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug);
	*(uint32_t *)vm.run->mmio.data = 0x5678;
	vm_expect(&vm, ACTS({ OUT, V, 4, 0x5678 }, END_HLT),
		  "stepping that ends there: the guest meets no #DB");
	vm_destroy(&vm);
}

/* What is read, changed and written back is read from the memory. */
static void test_change_rom(void)
{
	static const uint8_t code[] = {
		0xbb, 0, 0, 0, 1, 0xb8, 2, 0, 0, 0,	/* mov $0x1000000, %ebx; mov $2, %eax */
		0x01, 0x03, 0x87, 0x03,			/* add %eax, (%ebx); xchg %eax, (%ebx) */
		0xe7, 0x10, 0xf4,			/* out; hlt */
	};
	uint32_t *rom = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vm vm;

	*rom = 0x100;
	vm_start(&vm, 32, code, code + sizeof(code));
	vm_slot(&vm, 1, KVM_MEM_READONLY, 0x1000000, PAGE, rom);
	vm_expect(&vm, ACTS({ STORE, 0x1000000, 4, 0x102 }, { STORE, 0x1000000, 4, 2 },
			    { OUT, V, 4, 0x100 }, END_HLT),
		  "ADD and XCHG with a read-only slot: only the write is MMIO");
	vm_destroy(&vm);
	munmap(rom, PAGE);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "pio", test_pio },
	{ "mmio", test_mmio },
	{ "modes", test_modes },
	{ "exceptions", test_exceptions },
	{ "interrupts", test_interrupts },
	{ "events", test_nmi_and_events },
	{ "stats", test_stats },
	{ "signals", test_signals },
	{ "state", test_state },
	{ "xsave", test_xsave },
	{ "cr8", test_cr8 },
	{ "cpuid", test_cpuid },
	{ "registers", test_registers },
	{ "msrs", test_msrs },
	{ "memory", test_memory },
	{ "rom", test_tables_in_rom },
	{ "change-rom", test_change_rom },
	{ "dirty-log", test_dirty_log },
	{ "debug", test_debug },
	{ "debug-mmio", test_debug_at_mmio },
};

/* All tests, or those named as arguments. */
int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		bool wanted = argc < 2;

		for (int a = 1; a < argc; a++)
			wanted |= !strcmp(argv[a], tests[i].name);
		if (wanted)
			tests[i].run();
	}
	return done();
}
