// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a guest must not notice: that user space has read its state and written it,
 * here or elsewhere, at a moment that it did not choose; and that a vCPU is reset or
 * plugged in.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "vm.h"

#define CODE	0x100000
#define IDT	0x2000
#define DEVICE	0xd0000000u
#define MSR_TSC			0x10
#define MSR_APIC_BASE		0x1b
#define MSR_PLATFORM_INFO	0xce
#define MSR_TSC_DEADLINE	0x6e0
#define MSR_X2APIC(reg)		(0x800 + ((reg) >> 4))
#define MSR_LSTAR		0xc0000082
#define MSR_SYSTEM_TIME		0x4b564d01
#define MSR_STEAL_TIME		0x4b564d03
#define TPR	0x080
#define SPIV	0x0f0
#define IRR	0x200
#define LVTT	0x320
#define TMICT	0x380
#define TDCR	0x3e0

#define GUEST(name, body)						\
	__asm__(".pushsection .rodata\n.code32\n"			\
		"g_" #name ":\n" body "\ng_" #name "_end:\n"		\
		".code64\n.popsection\n");				\
	extern const uint8_t g_##name[], g_##name##_end[]
#define LOAD(vm, name)	vm_load(vm, 32, g_##name, g_##name##_end)

GUEST(outs, "1: out %al, $0x10; jmp 1b");
GUEST(hlt, "hlt; out %al, $0x10; hlt");
GUEST(sti, "sti; out %al, $0x10; hlt; .org g_sti + 0x10; out %al, $0x11; hlt");
/* Wake the other vCPU: KVM_HC_KICK_CPU. */
GUEST(kick, "mov $5, %eax; xor %ebx, %ebx; mov $1, %ecx; vmcall; out %al, $0x10; hlt");
/* The handler of INT3 says where it would return to. */
GUEST(int3, "nop; int3; hlt; .org g_int3 + 0x10; pop %eax; out %eax, $0x10; hlt");
/* An NMI comes before the handler of #UD begins, which says what flags it returns to. */
GUEST(two, "out %al, $0x10; hlt; .org g_two + 0x10; pop %eax; pop %eax; pop %eax\n"
      "out %eax, $0x10; hlt; .org g_two + 0x20; out %al, $0x11; iret");
/* Parts of the local APIC's version, and of the I/O APIC's. */
GUEST(parts, "mov 0xfee00032, %al; out %al, $0x10; mov 0xfee00031, %ax; out %ax, $0x10\n"
      "mov 0xfee00035, %al; out %al, $0x10\n"
      "movl $1, 0xfec00000; mov 0xfec00012, %al; out %al, $0x10; hlt");
/* A single step, with no debug register in use before; the handler reads DR6. */
GUEST(step, "out %al, $0x10; pushf; orl $0x100, (%esp); popf; nop; hlt\n"
      ".org g_step + 0x20; mov %dr6, %eax; out %eax, $0x11; hlt");
/* An instruction of a processor that has it, and the handler of #UD. */
GUEST(rdtscp, "rdtscp; out %al, $0x10; hlt; .org g_rdtscp + 0x20; out %al, $0x11; hlt");
/* The counter. */
GUEST(rdtsc, "1: rdtsc; mov %eax, 0x4000; mov %edx, 0x4004; out %al, $0x10; jmp 1b");
/* To a device, and from it. */
GUEST(strings, "mov $0xd0000000, %edi; mov $1000, %ecx; rep stosb\n"
      "mov $0xd0000000, %esi; mov $0x4000, %edi; mov $1000, %ecx; rep movsb; hlt");
/* The end of an interrupt, with what a device says as the value. */
GUEST(eoi, "movl $0x1ff, 0xfee000f0; sti; 1: jmp 1b\n"
      ".org g_eoi + 0x20; mov $0xd0000000, %esi; mov $0xfee000b0, %edi; movsl\n"
      "out %al, $0x10; hlt");

static void gate(struct vm *vm, int vector, uint32_t handler)
{
	uint32_t *entry = (uint32_t *)(vm->mem + IDT + 8 * vector);
	struct kvm_sregs s;

	entry[0] = 8 << 16 | (handler & 0xffff);
	entry[1] = (handler & 0xffff0000) | 0x8e00;
	ioctl(vm->vcpu, KVM_GET_SREGS, &s);
	s.idt.base = IDT;
	s.idt.limit = 0x7ff;
	ioctl(vm->vcpu, KVM_SET_SREGS, &s);
}

static bool takes_msr(int vcpu, uint32_t index, uint64_t value)
{
	union {
		struct kvm_msrs head;
		char room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} u = { .head.nmsrs = 1 };

	u.head.entries[0].index = index;
	u.head.entries[0].data = value;
	return ioctl(vcpu, KVM_SET_MSRS, &u) == 1;
}

static void set_msr(int vcpu, uint32_t index, uint64_t value)
{
	if (!takes_msr(vcpu, index, value))
		note("MSR 0x%x cannot be set to 0x%llx", index, (unsigned long long)value);
}

static uint64_t get_msr(int vcpu, uint32_t index)
{
	union {
		struct kvm_msrs head;
		char room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} u = { .head.nmsrs = 1 };

	u.head.entries[0].index = index;
	if (ioctl(vcpu, KVM_GET_MSRS, &u) != 1)
		note("MSR 0x%x cannot be read", index);
	return u.head.entries[0].data;
}

static bool requested(int vcpu, unsigned int vector)
{
	struct kvm_lapic_state s;

	usleep(30000);
	ioctl(vcpu, KVM_GET_LAPIC, &s);
	return s.regs[IRR + vector / 32 * 16 + vector % 32 / 8] >> vector % 8 & 1;
}

static void test_timer(void)
{
	struct kvm_lapic_state s;
	struct kvm_sregs sregs;
	uint64_t far;
	struct vm vm;

	vm_create_with(&vm, true);
	set_msr(vm.vcpu, MSR_APIC_BASE, 0xfee00d00);	/* x2APIC */
	set_msr(vm.vcpu, MSR_X2APIC(SPIV), 0x1ff);
	set_msr(vm.vcpu, MSR_X2APIC(LVTT), 0x41);	/* one shot */
	set_msr(vm.vcpu, MSR_X2APIC(TDCR), 0xb);
	set_msr(vm.vcpu, MSR_X2APIC(TMICT), 1000);
	ok(requested(vm.vcpu, 0x41), "a shot of the APIC's timer");
	set_msr(vm.vcpu, MSR_X2APIC(LVTT), 0x42);
	set_msr(vm.vcpu, MSR_X2APIC(TDCR), 0xa);
	ok(!requested(vm.vcpu, 0x42), "... that a new divisor does not repeat");

	set_msr(vm.vcpu, MSR_X2APIC(LVTT), 0x40043);	/* TSC deadline */
	set_msr(vm.vcpu, MSR_TSC_DEADLINE, get_msr(vm.vcpu, MSR_TSC) + 1);
	ok(requested(vm.vcpu, 0x43), "a TSC deadline");
	ioctl(vm.vcpu, KVM_GET_LAPIC, &s);
	memset(s.regs + IRR, 0, 0x80);
	is(ioctl(vm.vcpu, KVM_SET_LAPIC, &s), 0, "the APIC's state is written back");
	ok(!requested(vm.vcpu, 0x43), "... and the deadline stays in the past");
	far = get_msr(vm.vcpu, MSR_TSC) + (1ull << 50);
	set_msr(vm.vcpu, MSR_TSC_DEADLINE, far);
	ok(!requested(vm.vcpu, 0x43), "a deadline far away");
	set_msr(vm.vcpu, MSR_TSC, far + 1);
	ok(requested(vm.vcpu, 0x43), "... until the TSC is set");

	set_msr(vm.vcpu, MSR_X2APIC(TPR), 0x35);
	ioctl(vm.vcpu, KVM_GET_SREGS, &sregs);
	is(ioctl(vm.vcpu, KVM_SET_SREGS, &sregs), 0, "KVM_SET_SREGS of the same");
	is(get_msr(vm.vcpu, MSR_X2APIC(TPR)), 0x35, "... leaves all of the TPR as it was");
	ok(!(get_msr(vm.vcpu, MSR_PLATFORM_INFO) >> 31 & 1), "no CPUID faulting is announced");
	vm_destroy(&vm);
}

static uint32_t signature(void)
{
	uint32_t eax = 1, ebx, ecx = 0, edx;

	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return eax;
}

static void test_messages(void)
{
	struct kvm_msi msi = { .address_lo = 0xfee01000 };	/* to APIC 1 */
	struct kvm_lapic_state apic;
	struct kvm_mp_state mp = { 0 };
	struct kvm_vcpu_events ev;
	struct kvm_run *run;
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	struct vm vm;
	int second;

	vm_create_with(&vm, true);
	second = vm_add_vcpu(&vm, 1, &run);
	set_msr(second, MSR_LSTAR, 0x123450);
	ioctl(second, KVM_GET_LAPIC, &apic);
	apic.regs[0x23] = 7;		/* its id, as a guest may set it */
	ioctl(second, KVM_SET_LAPIC, &apic);
	msi.address_lo = 0xfee07000;
	msi.data = 0x500;
	ioctl(vm.fd, KVM_SIGNAL_MSI, &msi);
	ioctl(second, KVM_GET_MP_STATE, &mp);
	is(mp.mp_state, KVM_MP_STATE_INIT_RECEIVED, "an INIT to a vCPU that does not run");
	is(get_msr(second, MSR_LSTAR), 0x123450, "... leaves its MSRs alone");
	ioctl(second, KVM_GET_REGS, &regs);
	is(regs.rdx, signature(), "... and EDX has the processor's signature");
	ioctl(second, KVM_GET_LAPIC, &apic);
	is(apic.regs[0x23], 7, "... and its APIC the id that it had");
	apic.regs[0x23] = 1;
	ioctl(second, KVM_SET_LAPIC, &apic);
	msi.address_lo = 0xfee01000;
	msi.data = 0x69a;
	ioctl(vm.fd, KVM_SIGNAL_MSI, &msi);
	ioctl(second, KVM_GET_MP_STATE, &mp);
	ioctl(second, KVM_GET_SREGS, &sregs);
	ioctl(second, KVM_GET_REGS, &regs);
	is(mp.mp_state, KVM_MP_STATE_RUNNABLE, "... and a SIPI are in its state");
	is(sregs.cs.base + regs.rip, 0x9a000, "... which begins where that says");
	ioctl(vm.fd, KVM_SIGNAL_MSI, &msi);
	msi.data = 0x500;
	ioctl(vm.fd, KVM_SIGNAL_MSI, &msi);
	ioctl(second, KVM_GET_MP_STATE, &mp);
	is(mp.mp_state, KVM_MP_STATE_INIT_RECEIVED, "a SIPI before an INIT does not start it");

	ioctl(second, KVM_GET_VCPU_EVENTS, &ev);
	ev.flags = KVM_VCPUEVENT_VALID_SIPI_VECTOR;
	ev.sipi_vector = 0x8b;
	ioctl(second, KVM_SET_VCPU_EVENTS, &ev);
	mp.mp_state = KVM_MP_STATE_SIPI_RECEIVED;
	ioctl(second, KVM_SET_MP_STATE, &mp);
	ioctl(second, KVM_GET_MP_STATE, &mp);
	ioctl(second, KVM_GET_SREGS, &sregs);
	is(sregs.cs.base, 0x8b000, "a SIPI that user space restores, and its vector");

	/* QEMU keeps a vCPU that is unplugged; firmware's INIT and SIPI go to all. */
	msi.data = 0x500;
	ioctl(vm.fd, KVM_SIGNAL_MSI, &msi);
	msi.data = 0x69a;
	ioctl(vm.fd, KVM_SIGNAL_MSI, &msi);
	mp.mp_state = KVM_MP_STATE_UNINITIALIZED;
	ioctl(second, KVM_SET_MP_STATE, &mp);
	ioctl(second, KVM_GET_MP_STATE, &mp);
	is(mp.mp_state, KVM_MP_STATE_UNINITIALIZED,
	   "a vCPU that is plugged in again does not start by an old SIPI");

	mp.mp_state = KVM_MP_STATE_HALTED;
	ioctl(second, KVM_SET_MP_STATE, &mp);
	LOAD(&vm, kick);
	vm_run_once(&vm);
	is(vm.run->exit_reason, KVM_EXIT_IO, "a vCPU kicks another that is halted");
	ioctl(second, KVM_GET_MP_STATE, &mp);
	is(mp.mp_state, KVM_MP_STATE_RUNNABLE, "... whose state has that");
	munmap(run, vm.run_size);
	close(second);
	vm_destroy(&vm);
}

static void test_split_eoi(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0xc050 };
	struct vm vm;
	int r;

	vm_create(&vm);
	close(vm.vcpu);
	munmap(vm.run, vm.run_size);
	close(vm.fd);
	vm.fd = ioctl(vm.kvm, KVM_CREATE_VM, 0);
	ioctl(vm.fd, KVM_SET_TSS_ADDR, 0xfffbd000UL);
	vm_slot(&vm, 0, 0, 0, MEMORY, vm.mem);
	is(ioctl(vm.fd, KVM_ENABLE_CAP, &cap), 0, "local APICs only");
	vm.vcpu = vm_add_vcpu(&vm, 0, &vm.run);
	LOAD(&vm, eoi);
	gate(&vm, 0x50, CODE + 0x20);
	set_msr(vm.vcpu, MSR_APIC_BASE, 0xfee00900);
	{	/* on, before the guest itself does it: the message is not lost */
		struct kvm_lapic_state s;

		ioctl(vm.vcpu, KVM_GET_LAPIC, &s);
		s.regs[SPIV + 1] = 1;
		ioctl(vm.vcpu, KVM_SET_LAPIC, &s);
	}
	ioctl(vm.fd, KVM_SIGNAL_MSI, &msi);
	vm_run_once(&vm);
	ok(vm.run->exit_reason == KVM_EXIT_MMIO && vm.run->mmio.phys_addr == DEVICE,
	   "a level-triggered interrupt's handler");
	vm.run->immediate_exit = 1;
	r = vm_run_once(&vm);
	ok(!r && vm.run->exit_reason == KVM_EXIT_IOAPIC_EOI && vm.run->eoi.vector == 0x50,
	   "the end of the interrupt is told before user space stops the vCPU");
	r = vm_run_once(&vm);
	is(r, -EINTR, "... and that is next");
	vm_destroy(&vm);
}

static void test_reset(void)
{
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm);
	LOAD(&vm, sti);
	vm_run_once(&vm);
	is(vm.run->exit_reason, KVM_EXIT_IO, "an exit in the shadow of STI");
	ioctl(vm.vcpu, KVM_GET_REGS, &regs);
	regs.rip = CODE + 0x10;
	regs.rflags = 2;
	ioctl(vm.vcpu, KVM_SET_REGS, &regs);
	vm_run_once(&vm);
	ok(vm.run->exit_reason == KVM_EXIT_IO && vm.run->io.port == 0x11,
	   "... and the guest goes on elsewhere, without IF");
	vm_destroy(&vm);
}

/* VMX lets an NMI in there, SVM behind it. */
static void test_nmi_in_shadow(void)
{
	struct kvm_vcpu_events ev;
	struct kvm_regs regs;
	struct vm vm;

	vm_create(&vm);
	LOAD(&vm, two);
	gate(&vm, 2, CODE + 0x20);
	ioctl(vm.vcpu, KVM_GET_REGS, &regs);
	regs.rflags |= 0x200;
	ioctl(vm.vcpu, KVM_SET_REGS, &regs);
	ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &ev);
	ev.nmi.pending = 1;
	ev.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	ev.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW;
	is(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &ev), 0, "an NMI in the shadow of STI");
	vm_run_once(&vm);
	if (vm.run->exit_reason == KVM_EXIT_IO && vm.run->io.port == 0x10)
		vm_run_once(&vm);
	ok(vm.run->exit_reason == KVM_EXIT_IO && vm.run->io.port == 0x11, "... is delivered");
	vm_destroy(&vm);
}

static void nothing(int sig)
{
	(void)sig;
}

/* For a KVM_RUN that may not end. */
static void run_seconds(struct vm *vm, unsigned int seconds)
{
	signal(SIGALRM, nothing);
	alarm(seconds);
	vm_run_once(vm);
	signal(SIGALRM, SIG_DFL);
	alarm(120);
}

/* What QEMU's loadvm does to a vCPU that was stopped in the shadow of STI. */
static void test_shadow(void)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x50 };
	struct kvm_mp_state mp = { KVM_MP_STATE_HALTED };
	struct kvm_vcpu_events ev;
	struct kvm_lapic_state s;
	struct kvm_regs regs;
	struct vm vm;

	vm_create_with(&vm, true);
	LOAD(&vm, sti);
	gate(&vm, 0x50, CODE + 0x10);
	ioctl(vm.vcpu, KVM_GET_LAPIC, &s);
	s.regs[SPIV + 1] = 1;
	ioctl(vm.vcpu, KVM_SET_LAPIC, &s);
	ioctl(vm.vcpu, KVM_GET_REGS, &regs);
	regs.rflags |= 0x200;
	ioctl(vm.vcpu, KVM_SET_REGS, &regs);
	ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &ev);
	ev.flags = KVM_VCPUEVENT_VALID_SHADOW;
	ev.interrupt.shadow = KVM_X86_SHADOW_INT_STI;
	is(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &ev), 0, "a vCPU in the shadow of STI");
	ev.flags = 0;
	ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &ev);
	ioctl(vm.vcpu, KVM_SET_MP_STATE, &mp);
	ioctl(vm.fd, KVM_SIGNAL_MSI, &msi);
	run_seconds(&vm, 5);
	ok(vm.run->exit_reason == KVM_EXIT_IO && vm.run->io.port == 0x11,
	   "... which user space halts: an interrupt wakes it up");
	vm_destroy(&vm);
}

/* Stop between two iterations of a string instruction, and go on to its end. */
static void stop_in_string(struct vm *vm, bool write)
{
	struct kvm_regs regs;
	int i, r;

	vm_run_once(vm);
	ok(vm->run->exit_reason == KVM_EXIT_MMIO && vm->run->mmio.is_write == write,
	   "a string goes %s a device", write ? "to" : "from");
	vm->run->immediate_exit = 1;
	r = vm_run_once(vm);
	vm->run->immediate_exit = 0;
	ioctl(vm->vcpu, KVM_GET_REGS, &regs);
	ok(r == -EINTR && regs.rcx == 999, "... and user space can stop it");
	for (i = 1; i < 1000; i++) {
		vm_run_once(vm);
		if (vm->run->exit_reason != KVM_EXIT_MMIO ||
		    vm->run->mmio.phys_addr != DEVICE + i)
			break;
	}
	is(i, 1000, "... and let it go on to its end");
}

static void test_strings(void)
{
	struct vm vm;

	vm_create(&vm);
	LOAD(&vm, strings);
	stop_in_string(&vm, true);
	stop_in_string(&vm, false);
	vm_run_once(&vm);
	is(vm.run->exit_reason, KVM_EXIT_HLT, "... without one too many");
	vm_destroy(&vm);
}

static void test_halt(void)
{
	struct kvm_vcpu_events ev;
	struct vm vm;

	vm_create(&vm);
	LOAD(&vm, hlt);
	ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &ev);
	ev.nmi.masked = 1;
	ev.nmi.pending = 1;
	ev.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	is(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &ev), 0, "an NMI behind one that is handled");
	vm_run_once(&vm);
	is(vm.run->exit_reason, KVM_EXIT_HLT, "... does not end a HLT");
	vm_destroy(&vm);
}

/* An exception that is being delivered, and perhaps an NMI that waits behind it. */
static void put_exception(struct vm *vm, unsigned int nr, bool nmi)
{
	struct kvm_vcpu_events ev;

	ioctl(vm->vcpu, KVM_GET_VCPU_EVENTS, &ev);
	ev.exception.injected = 1;
	ev.exception.nr = nr;
	ev.exception.has_error_code = 0;
	ev.nmi.pending = nmi;
	ev.flags = nmi ? KVM_VCPUEVENT_VALID_NMI_PENDING : 0;
	ioctl(vm->vcpu, KVM_SET_VCPU_EVENTS, &ev);
}

/* What the guest has just written to a port. */
static uint32_t value_out(const struct vm *vm)
{
	uint32_t value;

	memcpy(&value, (const char *)vm->run + vm->run->io.data_offset, sizeof(value));
	return value;
}

static void test_breakpoint(void)
{
	struct kvm_regs regs;
	uint32_t value;
	struct vm vm;

	vm_create(&vm);
	LOAD(&vm, int3);
	gate(&vm, 3, CODE + 0x10);
	ioctl(vm.vcpu, KVM_GET_REGS, &regs);
	vm_run_once(&vm);	/* all of its memory is there */
	regs.rip = CODE + 1;
	ioctl(vm.vcpu, KVM_SET_REGS, &regs);
	put_exception(&vm, 3, false);
	vm_run_once(&vm);
	value = value_out(&vm);
	is(vm.run->exit_reason, KVM_EXIT_IO, "an INT3 that a debugger gives back to the guest");
	is(value, CODE + 2, "... whose handler returns behind it");
	vm_destroy(&vm);
}

/* On SVM, behind what goes in first there is a step to the NMI, with a trap flag. */
static void test_two_events(void)
{
	uint32_t value;
	struct vm vm;

	vm_create(&vm);
	LOAD(&vm, two);
	gate(&vm, 2, CODE + 0x20);
	gate(&vm, 6, CODE + 0x10);
	vm_run_once(&vm);
	put_exception(&vm, 6, true);
	vm_run_once(&vm);
	ok(vm.run->exit_reason == KVM_EXIT_IO && vm.run->io.port == 0x11,
	   "an NMI behind an exception comes before the handler");
	vm_run_once(&vm);
	value = value_out(&vm);
	ok(vm.run->exit_reason == KVM_EXIT_IO && vm.run->io.port == 0x10 && !(value & 0x100),
	   "... which sees the trap flag that the guest has");
	vm_destroy(&vm);
}

/* Parts of a register that is 0x50014. */
static void test_parts(void)
{
	struct vm vm;

	vm_create_with(&vm, true);
	LOAD(&vm, parts);
	vm_run_once(&vm);
	is(*((uint8_t *)vm.run + vm.run->io.data_offset), 0x05, "a byte of an APIC's register");
	vm_run_once(&vm);
	is(*(uint16_t *)((char *)vm.run + vm.run->io.data_offset), 0x0500, "... a word");
	vm_run_once(&vm);
	is(*((uint8_t *)vm.run + vm.run->io.data_offset), 0, "... and nothing behind it");
	vm_run_once(&vm);
	is(*((uint8_t *)vm.run + vm.run->io.data_offset), 0x17, "a byte of the I/O APIC's version");
	vm_destroy(&vm);
}

static void test_apic_bits(void)
{
	struct kvm_msi nmi = { .address_lo = 0xfee00000, .data = 4 << 8 };
	struct kvm_vcpu_events ev;
	struct vm vm;

	vm_create_with(&vm, true);
	set_msr(vm.vcpu, MSR_APIC_BASE, 0xfee00100);	/* off */
	ok(ioctl(vm.fd, KVM_SIGNAL_MSI, &nmi) == 0 &&
	   !ioctl(vm.vcpu, KVM_GET_VCPU_EVENTS, &ev) && !ev.nmi.pending,
	   "an APIC that is off takes no NMI");
	set_msr(vm.vcpu, MSR_APIC_BASE, 0xfee00d00);	/* x2APIC */
	ok(!takes_msr(vm.vcpu, MSR_X2APIC(TPR), 0x100) &&
	   !takes_msr(vm.vcpu, MSR_X2APIC(SPIV), 0x1000) &&
	   !takes_msr(vm.vcpu, MSR_X2APIC(LVTT), 0x100) &&
	   !takes_msr(vm.vcpu, MSR_X2APIC(TDCR), 4) &&
	   !takes_msr(vm.vcpu, MSR_X2APIC(TMICT), 1ull << 32),
	   "x2APIC: reserved bits are refused");
	set_msr(vm.vcpu, MSR_X2APIC(SPIV), 0x1ff);
	set_msr(vm.vcpu, MSR_X2APIC(LVTT), 0x710ff);
	ok(get_msr(vm.vcpu, MSR_X2APIC(LVTT)) == 0x700ff, "... and read-only bits ignored");
	vm_destroy(&vm);
}

static void test_step(void)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	static const uint8_t hlt[] = { 0xf4, 0xf4 };
	struct kvm_debugregs d;
	uint32_t value = 0;
	struct vm vm;

	vm_create(&vm);
	LOAD(&vm, step);
	gate(&vm, 1, CODE + 0x20);
	vm_run_once(&vm);
	vm_run_once(&vm);
	value = value_out(&vm);
	ok(vm.run->exit_reason == KVM_EXIT_IO && vm.run->io.port == 0x11, "a single step");
	is(value, 0xffff4ff0, "... and DR6 says so to the guest");
	ioctl(vm.vcpu, KVM_GET_DEBUGREGS, &d);
	is(d.dr6, 0xffff4ff0, "... and to user space");
	vm_destroy(&vm);

	vm_create(&vm);
	vm_load(&vm, 16, hlt, hlt + sizeof(hlt));
	ioctl(vm.vcpu, KVM_SET_GUEST_DEBUG, &debug);
	vm_run_once(&vm);
	is(vm.run->exit_reason, KVM_EXIT_DEBUG, "a debugger's step over HLT in real mode");
	vm_destroy(&vm);
}

/* RDTSCP would show the host's TSC_AUX. */
static void test_rdtscp(bool has)
{
	struct kvm_cpuid2 *cpuid;
	struct vm vm;
	int vcpu;

	vm_create(&vm);
	munmap(vm.run, vm.run_size);
	close(vm.vcpu);
	vcpu = ioctl(vm.fd, KVM_CREATE_VCPU, 1);
	vm.run = mmap(NULL, vm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
	vm.vcpu = vcpu;
	cpuid = vm_cpuid(vm.kvm);
	for (uint32_t i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == 0x80000001) {
			if (!(e->edx >> 27 & 1))
				has = false;
			e->edx &= has ? ~0u : ~(1u << 27);
		}
		if (e->function == 7 && !e->index && !has)
			e->ecx &= ~(1u << 22);		/* RDPID */
	}
	ioctl(vm.vcpu, KVM_SET_CPUID2, cpuid);
	LOAD(&vm, rdtscp);
	gate(&vm, 6, CODE + 0x20);
	vm_run_once(&vm);
	ok(vm.run->exit_reason == KVM_EXIT_IO && vm.run->io.port == (has ? 0x10 : 0x11),
	   "RDTSCP of a guest whose CPUID has %s", has ? "it" : "none");
	vm_destroy(&vm);
}

static void *run_elsewhere(void *vm)
{
	vm_run_once(vm);
	return NULL;
}

/* The thread that restores a vCPU has waited for the CPU long, the one that runs it not. */
static void test_steal(void)
{
	pthread_t thread;
	int64_t *steal;
	pid_t busy[4];
	struct vm vm;
	time_t end;

	vm_create(&vm);
	LOAD(&vm, outs);
	steal = (int64_t *)(vm.mem + 0x4000);
	for (int i = 0; i < 4; i++)
		if (!(busy[i] = fork()))
			for (;;)
				;
	for (end = time(NULL) + 2; time(NULL) < end;)
		;
	for (int i = 0; i < 4; i++) {
		kill(busy[i], SIGKILL);
		waitpid(busy[i], NULL, 0);
	}
	set_msr(vm.vcpu, MSR_STEAL_TIME, 0x4001);
	pthread_create(&thread, NULL, run_elsewhere, &vm);
	pthread_join(thread, NULL);
	ok(*steal >= 0, "no stolen time is given back in another thread");
	note("%lld ns", (long long)*steal);
	vm_destroy(&vm);
}

static uint64_t tsc_offset(int vcpu)
{
	uint64_t offset = 0;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL, .attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};

	ioctl(vcpu, KVM_GET_DEVICE_ATTR, &attr);
	return offset;
}

static void test_clock(void)
{
	struct kvm_clock_data clock = { .clock = 1000 };
	struct vm vm, halted;
	struct kvm_run *run;
	uint8_t *flags;
	int second;

	vm_create_with(&halted, true);
	vm_create(&vm);
	LOAD(&vm, outs);
	flags = vm.mem + 0x3000 + 29;
	set_msr(vm.vcpu, MSR_SYSTEM_TIME, 0x3001);
	vm_run_once(&vm);
	is(ioctl(vm.vcpu, KVM_KVMCLOCK_CTRL, 0), 0, "KVM_KVMCLOCK_CTRL");
	vm_run_once(&vm);
	is(*flags >> 1 & 1, 1, "... tells the guest that it was stopped");
	ioctl(vm.fd, KVM_SET_CLOCK, &clock);
	vm_run_once(&vm);
	is(*flags >> 1 & 1, 1, "... until it has seen that, whatever else its clock is told");
	*flags = 0;
	ioctl(vm.fd, KVM_SET_CLOCK, &clock);
	vm_run_once(&vm);
	is(*flags >> 1 & 1, 0, "... and no longer");

	LOAD(&halted, hlt);
	set_msr(halted.vcpu, MSR_SYSTEM_TIME, 0x3001);
	run_seconds(&halted, 1);
	clock.clock = 1ull << 50;
	ioctl(halted.fd, KVM_SET_CLOCK, &clock);
	run_seconds(&halted, 1);
	ok(*(uint64_t *)(halted.mem + 0x3010) >= 1ull << 50,
	   "a halted vCPU's clock is told the time, too: others may read it");
	vm_destroy(&halted);

	set_msr(vm.vcpu, MSR_TSC, 10000000000000);
	second = vm_add_vcpu(&vm, 1, &run);
	set_msr(second, MSR_TSC, 0);
	ok(get_msr(second, MSR_TSC) >= 10000000000000,
	   "a vCPU that is plugged in has the TSC of the others");
	run->immediate_exit = 1;
	ioctl(second, KVM_RUN, 0);
	set_msr(second, MSR_TSC, 0);
	ok(get_msr(second, MSR_TSC) >= 10000000000000, "... also when it has run before");

	/* A state of almost a second ago: its two counters fall on both sides of that. */
	set_msr(vm.vcpu, MSR_TSC, 30000000000000);
	set_msr(second, MSR_TSC, 30000000000000);
	usleep(950000);
	set_msr(vm.vcpu, MSR_TSC, 30000000000000);
	usleep(100000);
	set_msr(second, MSR_TSC, 30000000000000);
	is(tsc_offset(second), tsc_offset(vm.vcpu), "counters that are set one after the other");
	munmap(run, vm.run_size);
	close(second);
	vm_destroy(&vm);
}

static uint64_t guest_rdtsc(struct vm *vm)
{
	vm_run_once(vm);
	return *(uint64_t *)(vm->mem + 0x4000);
}

/* What the guest takes the time to be, by its clock page; ns. */
static uint64_t clock_page(struct vm *vm)
{
	uint64_t tsc = guest_rdtsc(vm) - *(uint64_t *)(vm->mem + 0x3008);
	int8_t shift = vm->mem[0x301c];

	tsc = shift < 0 ? tsc >> -shift : tsc << shift;
	return *(uint64_t *)(vm->mem + 0x3010) +
		((unsigned __int128)tsc * *(uint32_t *)(vm->mem + 0x3018) >> 32);
}

/* A guest from a host with another rate. */
static void test_rate(struct vm *vm, uint32_t khz)
{
	uint64_t before, after, a, b, start, end;
	struct kvm_clock_data first, last;
	struct timespec begin, now;

	is(ioctl(vm->vcpu, KVM_SET_TSC_KHZ, khz), 0, "KVM_SET_TSC_KHZ");
	is(ioctl(vm->vcpu, KVM_GET_TSC_KHZ, 0), khz, "... and KVM_GET_TSC_KHZ");
	before = get_msr(vm->vcpu, MSR_TSC);
	a = guest_rdtsc(vm);
	after = get_msr(vm->vcpu, MSR_TSC);
	ok(before <= a && a <= after, "RDTSC of the guest fits in between KVM_GET_MSRS");
	start = get_msr(vm->vcpu, MSR_TSC);
	clock_gettime(CLOCK_MONOTONIC_RAW, &begin);
	usleep(300000);
	end = get_msr(vm->vcpu, MSR_TSC);
	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	a = (now.tv_sec - begin.tv_sec) * 1000000000ll + now.tv_nsec - begin.tv_nsec;
	b = (end - start) * 1000000 / khz;
	ok(b > a - a / 20 && b < a + a / 20, "... which goes at that rate");
	note("%llu ns by the host's clock, %llu by the guest's counter", (unsigned long long)a,
	     (unsigned long long)b);
	ioctl(vm->fd, KVM_GET_CLOCK, &first);
	a = clock_page(vm);
	ioctl(vm->fd, KVM_GET_CLOCK, &last);
	ok(first.clock <= a + 1000 && a <= last.clock + 1000, "... and its clock is right");
	set_msr(vm->vcpu, MSR_TSC_DEADLINE, get_msr(vm->vcpu, MSR_TSC) + khz * 100ull);
	ok(!requested(vm->vcpu, 0x41), "a deadline 100 ms ahead is not over after 30");
	usleep(100000);
	ok(requested(vm->vcpu, 0x41), "... but after 130");
}

static void test_scaling(void)
{
	struct vm vm;
	uint32_t khz;
	struct kvm_lapic_state s;
	int scales;

	vm_create_with(&vm, true);
	scales = vm_has(vm.kvm, KVM_CAP_TSC_CONTROL);
	khz = ioctl(vm.vcpu, KVM_GET_TSC_KHZ, 0);
	is(ioctl(vm.fd, KVM_GET_TSC_KHZ, 0), khz, "a VM's TSC has the rate of its vCPU's");
	ok(ioctl(vm.vcpu, KVM_SET_TSC_KHZ, khz * (scales ? 256ul : 2)) < 0 && errno == EINVAL,
	   "KVM_SET_TSC_KHZ to what the processor cannot do is EINVAL");
	ok(ioctl(vm.fd, KVM_SET_TSC_KHZ, (unsigned long)khz) < 0 && errno == EINVAL,
	   "... and of a VM that has a vCPU");
	LOAD(&vm, rdtsc);
	set_msr(vm.vcpu, MSR_SYSTEM_TIME, 0x3001);
	ioctl(vm.vcpu, KVM_GET_LAPIC, &s);
	s.regs[SPIV + 1] = 1;
	*(uint32_t *)(s.regs + LVTT) = 2 << 17 | 0x41;
	ioctl(vm.vcpu, KVM_SET_LAPIC, &s);
	test_rate(&vm, khz);
	if (scales) {
		*(uint32_t *)(s.regs + IRR + 0x20) = 0;
		ioctl(vm.vcpu, KVM_SET_LAPIC, &s);
		test_rate(&vm, khz / 3);
		ioctl(vm.vcpu, KVM_SET_LAPIC, &s);
		test_rate(&vm, khz * 2);
	} else {
		skip("a TSC of another rate", "this processor does not scale it");
	}
	vm_destroy(&vm);
}

int main(void)
{
	alarm(120);
	test_timer();
	test_messages();
	test_split_eoi();
	test_reset();
	test_shadow();
	test_strings();
	test_halt();
	test_breakpoint();
	if (vm_on_bochs_svm()) {
		skip("NMIs behind other events, and steps", "Bochs's SVM breaks down at a #DB");
	} else {
		test_nmi_in_shadow();
		test_two_events();
		test_step();
	}
	test_parts();
	test_apic_bits();
	test_rdtscp(true);
	if (vm_on_tcg())
		skip("RDTSCP of a guest whose CPUID has none", "TCG asks RDTSC's intercept");
	else
		test_rdtscp(false);
	test_clock();
	test_scaling();
	test_steal();
	return done();
}
