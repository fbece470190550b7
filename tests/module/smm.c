// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * smm: system management mode. A guest in each of the processor's modes is
 * interrupted by an SMI; the handler sees memory that the guest does not, and RSM
 * brings back everything that the guest had. Where shadow paging is in use there
 * is none, and every way to it says so.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <sys/time.h>

#include "vm.h"

#define SMBASE		0x30000
#define MOVED		0x50000
#define HIDDEN		0x30100	/* a word that only the handler sees */
#define HIDDEN_WORD	0xfeedbeef
#define MSR_SMBASE	0x9e
#define MSR_SMI_COUNT	0x34

/* What the handler is asked to do, at DATA16. */
struct wish {
	uint32_t calls;		/* counted by the handler */
	uint32_t smbase;	/* the new one, or 0 */
	uint32_t wake;		/* do not go back into HLT */
	uint32_t cr0;		/* to be found by RSM, or 0 */
};

#define CODE16(name, body)						\
	asm(".pushsection .rodata\n.globl " #name ", " #name "_end\n"	\
	    ".code16\n" #name ":\n" body "\n" #name "_end:\n"		\
	    ".code64\n.popsection");					\
	extern const uint8_t name[], name##_end[]

CODE16(handler,
	"mov $'S', %al; out %al, $0x10\n"
	"mov $0x30100, %ebx; mov (%ebx), %eax; out %eax, $0x10\n"
	"mov $0x2000, %ebx; incl (%ebx)\n"
	"mov 4(%ebx), %eax; test %eax, %eax; jz 1f; mov %eax, %cs:0xff00; 1:\n"
	"mov 8(%ebx), %eax; test %eax, %eax; jz 1f; movb $0, %cs:0xfec9; 1:\n"
	"mov 12(%ebx), %eax; test %eax, %eax; jz 1f; mov %eax, %cs:0xff58; 1:\n"
	"rsm\n");
/* Three bytes that mean the same in every mode: out %al, $0x10; and again. */
CODE16(loop, "1: out %al, $0x10; jmp 1b\n");
CODE16(halt, "1: hlt; mov $'w', %al; out %al, $0x10; jmp 1b\n");
CODE16(nmi, "mov $'N', %al; out %al, $0x10; mov $'n', %al; out %al, $0x10; iret\n");
CODE16(rsm, "mov $'r', %al; out %al, $0x10; rsm\n");
/* KVM_HC_KICK_CPU; what it does not load is 0. */
CODE16(kick, "mov $5, %al; mov $1, %cl; vmcall; out %al, $0x10; hlt\n");
CODE16(undefined, "mov $'U', %al; out %al, $0x10; hlt\n");

static uint8_t *smram;

/* The handler's space: the guest's memory but for 64 KiB at SMBASE. */
static void add_space(struct vm *vm)
{
	struct { uint64_t from, to; uint8_t *host; } part[] = {
		{ 0, SMBASE, vm->mem }, { SMBASE, SMBASE + 0x10000, smram },
		{ SMBASE + 0x10000, MEMORY, vm->mem + SMBASE + 0x10000 },
	};

	for (int i = 0; i < 3; i++)
		if (vm_slot(vm, 1 << 16 | i, 0, part[i].from, part[i].to - part[i].from,
			    part[i].host))
			bail_out("a slot of address space 1: %s", strerror(errno));
}

static struct wish *wish(struct vm *vm)
{
	return (struct wish *)(vm->mem + DATA16);
}

static void start(struct vm *vm, int bits, bool irqchip, const uint8_t *code,
		  const uint8_t *end)
{
	vm_create_with(vm, irqchip);
	memset(smram, 0, 0x10000);
	memcpy(smram + 0x8000, handler, handler_end - handler);
	*(uint32_t *)(smram + HIDDEN - SMBASE) = HIDDEN_WORD;
	memcpy(vm->mem + MOVED + 0x8000, handler, handler_end - handler);
	add_space(vm);
	memcpy(vm->mem + (bits == 16 ? 0x1000 : 0x100000), code, end - code);
	vm_mode_of(vm, vm->vcpu, bits);
}

#define START(vm, bits, irqchip, name) start(vm, bits, irqchip, name, name##_end)

/* Let the guest finish the instruction that it was out for. */
static void finish(struct vm *vm)
{
	vm->run->immediate_exit = 1;
	if (vm_run_once(vm) != -EINTR)
		note("KVM_RUN with immediate_exit: exit %u", vm->run->exit_reason);
	vm->run->immediate_exit = 0;
}

/* The next thing that the guest says; 0x100 and more: another exit. */
static uint32_t say(struct vm *vm)
{
	int r;

	while ((r = vm_run_once(vm)) == -EAGAIN)
		;
	if (r < 0)
		return 0x1000 - r;
	if (vm->run->exit_reason != KVM_EXIT_IO)
		return 0x100 + vm->run->exit_reason;
	r = 0;
	memcpy(&r, (uint8_t *)vm->run + vm->run->io.data_offset, vm->run->io.size);
	return r;
}

static bool says(struct vm *vm, uint32_t want, const char *what)
{
	uint32_t got = say(vm);

	if (ok(got == want, "%s", what))
		return true;
	note("got %#x, expected %#x", got, want);
	vm_show_state(vm);
	return false;
}

static struct kvm_vcpu_events events(struct vm *vm)
{
	struct kvm_vcpu_events e;

	if (ioctl(vm->vcpu, KVM_GET_VCPU_EVENTS, &e))
		bail_out("KVM_GET_VCPU_EVENTS: %s", strerror(errno));
	return e;
}

static uint64_t msr(struct vm *vm, uint32_t index)
{
	struct { struct kvm_msrs head; struct kvm_msr_entry entry; } m = {
		.head.nmsrs = 1, .entry.index = index,
	};

	return ioctl(vm->vcpu, KVM_GET_MSRS, &m) == 1 ? m.entry.data : ~0ULL;
}

struct state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_debugregs debug;
};

static struct state state_of(struct vm *vm)
{
	struct state s;

	memset(&s, 0, sizeof(s));
	if (ioctl(vm->vcpu, KVM_GET_REGS, &s.regs) || ioctl(vm->vcpu, KVM_GET_SREGS, &s.sregs) ||
	    ioctl(vm->vcpu, KVM_GET_DEBUGREGS, &s.debug))
		bail_out("the vCPU's state: %s", strerror(errno));
	return s;
}

/* Where two states differ: for a reader of the log. */
static void show_difference(const struct state *a, const struct state *b)
{
	for (size_t i = 0; i < sizeof(*a); i += 8)
		if (memcmp((char *)a + i, (char *)b + i, 8))
			note("at byte %zu of the state (sregs from %zu): 0x%llx, was 0x%llx", i,
			     offsetof(struct state, sregs),
			     (unsigned long long)*(uint64_t *)((char *)b + i),
			     (unsigned long long)*(uint64_t *)((char *)a + i));
}

/* PAE paging: the processor loads four entries with CR3, and again after RSM. */
static void use_pae(struct vm *vm)
{
	uint64_t *table = (void *)(vm->mem + PAGE_TABLES);
	struct kvm_sregs s;

	memset(table, 0, 2 * PAGE);
	table[0] = (PAGE_TABLES + PAGE) | 1;
	for (uint64_t i = 0; i < 512; i++)
		table[512 + i] = i << 21 | 0x83;
	ioctl(vm->vcpu, KVM_GET_SREGS, &s);
	s.cr3 = PAGE_TABLES;
	s.cr4 = 0x20;
	s.cr0 |= 0x80000000;
	if (ioctl(vm->vcpu, KVM_SET_SREGS, &s))
		bail_out("KVM_SET_SREGS for PAE: %s", strerror(errno));
}

/* Registers that no mode minds, so that a lost one shows. */
static void fill_registers(struct vm *vm, int bits)
{
	struct kvm_debugregs d = { .db = { 0x11, 0x22, 0x33, 0x44 }, .dr6 = 0xffff0ff1,
				   .dr7 = 0x402 };
	struct kvm_regs r;
	__u64 *reg = &r.rax;

	ioctl(vm->vcpu, KVM_GET_REGS, &r);
	for (int i = 0; i < (bits == 64 ? 16 : 8); i++)
		if (&reg[i] != &r.rsp)
			reg[i] = 0x11111111 * (i + 1) | (bits == 64 ? 0xabcdULL << 32 : 0);
	r.rflags = 0x8d7;	/* OF, SF, ZF, AF, PF, CF */
	ioctl(vm->vcpu, KVM_SET_REGS, &r);
	ioctl(vm->vcpu, KVM_SET_DEBUGREGS, &d);
}

static void test_mode(int bits, bool pae)
{
	char name[16];
	struct state before, inside, after;
	struct vm vm;

	snprintf(name, sizeof(name), pae ? "PAE" : "%d bits", bits);
	START(&vm, bits, false, loop);
	if (pae)
		use_pae(&vm);
	fill_registers(&vm, bits);
	memset(vm.mem + SMBASE, 0xdd, 0x10000);
	say(&vm);
	finish(&vm);
	before = state_of(&vm);
	ok(!events(&vm).smi.smm && !(vm.run->flags & KVM_RUN_X86_SMM), "%s: not in SMM", name);
	ok(!ioctl(vm.vcpu, KVM_SMI, 0) && events(&vm).smi.pending, "%s: KVM_SMI", name);
	says(&vm, 'S', "the handler runs");
	ok(events(&vm).smi.smm && !events(&vm).smi.pending && events(&vm).nmi.masked &&
	   vm.run->flags & KVM_RUN_X86_SMM, "%s: in SMM, NMIs blocked", name);
	inside = state_of(&vm);
	ok(inside.sregs.cs.base == SMBASE && inside.sregs.cs.selector == SMBASE >> 4 &&
	   inside.sregs.ds.limit == 0xffffffff && !inside.sregs.ds.base &&
	   !(inside.sregs.cr0 & 0x8000000d) && !inside.sregs.cr4 && !inside.sregs.efer &&
	   inside.debug.dr7 == 0x400 && !(inside.regs.rflags & ~0x8d7ULL),
	   "%s: real mode at SMBASE with flat segments", name);
	says(&vm, HIDDEN_WORD, "it sees memory that the guest does not");
	say(&vm);
	finish(&vm);
	after = state_of(&vm);
	ok(!events(&vm).smi.smm && !events(&vm).nmi.masked && wish(&vm)->calls == 1,
	   "%s: RSM ends it", name);
	if (!ok(!memcmp(&before, &after, sizeof(before)), "%s: all registers are as before", name))
		show_difference(&before, &after);
	ok(*(uint64_t *)(smram + 0xff78) == before.regs.rip &&
	   *(uint64_t *)(smram + 0xff58) == before.sregs.cr0 &&
	   *(uint32_t *)(smram + 0xff00) == SMBASE && *(uint32_t *)(smram + 0xfefc) & 1 << 17,
	   "%s: the save area has RIP, CR0, SMBASE and its revision", name);
	bool decoy = true;
	for (int i = 0; i < 0x10000; i++)
		decoy &= vm.mem[SMBASE + i] == 0xdd;
	ok(decoy, "%s: the guest's own memory there is untouched", name);
	vm_destroy(&vm);
}

static void test_relocation(void)
{
	struct vm vm;

	START(&vm, 32, false, loop);
	ok(msr(&vm, MSR_SMBASE) == SMBASE, "SMBASE is 0x30000 after power-on");
	wish(&vm)->smbase = MOVED;
	say(&vm);
	ioctl(vm.vcpu, KVM_SMI, 0);
	says(&vm, 'S', "the handler that moves SMBASE");
	say(&vm);
	say(&vm);
	wish(&vm)->smbase = 0;
	ok(msr(&vm, MSR_SMBASE) == MOVED, "SMBASE is what it wrote");
	memset(smram + 0x8000, 0xff, 64);
	ioctl(vm.vcpu, KVM_SMI, 0);
	says(&vm, 'S', "the next SMI's handler is there");
	ok(state_of(&vm).sregs.cs.base == MOVED, "and its CS, too");
	*(uint64_t *)(vm.mem + MOVED + 0xff70) |= ~0x3f7fd5ULL;
	say(&vm);
	say(&vm);
	ok(!(state_of(&vm).regs.rflags & ~0x3f7fd7ULL), "RSM loads no flags that there are not");
	ok(msr(&vm, MSR_SMI_COUNT) == 2, "two SMIs are counted");
	vm_destroy(&vm);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* KVM_RUN of a halted vCPU does not return by itself. */
static bool stays_halted(struct vm *vm)
{
	struct itimerval soon = { .it_value.tv_usec = 100000 }, never = {};
	struct sigaction sa = { .sa_handler = on_alarm };
	struct kvm_mp_state mp;
	int r;

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	r = vm_run_once(vm);
	setitimer(ITIMER_REAL, &never, NULL);
	ioctl(vm->vcpu, KVM_GET_MP_STATE, &mp);
	return r == -EINTR && mp.mp_state == KVM_MP_STATE_HALTED;
}

static void test_halt(void)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x200 };
	struct vm vm;

	START(&vm, 32, true, halt);
	vm_interruptible(&vm, vm.vcpu);
	ok(stays_halted(&vm), "a vCPU with an APIC halts");
	ok(ioctl(vm.fd, KVM_SIGNAL_MSI, &msi) == 1, "an SMI by a message to its APIC");
	says(&vm, 'S', "wakes it");
	ok(smram[0xfec9] & 1, "the save area says that it was halted");
	say(&vm);
	ok(stays_halted(&vm), "RSM halts it again");
	wish(&vm)->wake = 1;
	ok(ioctl(vm.fd, KVM_SIGNAL_MSI, &msi) == 1, "another SMI");
	says(&vm, 'S', "wakes it, too");
	say(&vm);
	says(&vm, 'w', "a handler that says so lets it go on behind HLT");
	vm_destroy(&vm);
}

static void test_halt_exception(void)
{
	struct kvm_vcpu_events e;
	struct vm vm;

	START(&vm, 16, true, halt);
	memcpy(vm.mem + 0x1100, nmi, nmi_end - nmi);
	*(uint32_t *)(vm.mem + 4 * 6) = 0x1100;
	vm_interruptible(&vm, vm.vcpu);
	ok(stays_halted(&vm), "a vCPU halts");
	e = events(&vm);
	e.exception.injected = 1;
	e.exception.nr = 6;
	e.smi.pending = 1;
	e.flags = KVM_VCPUEVENT_VALID_SMM;
	ok(!ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &e), "an exception and an SMI meanwhile");
	says(&vm, 'S', "the SMI comes");
	say(&vm);
	ok(!(smram[0xfec9] & 1), "which has not found it halted any more");
	says(&vm, 'N', "the exception was delivered before it");
	vm_destroy(&vm);
}

/* A second vCPU, in real mode, that shares the first one's handler. */
static struct vm add_vcpu(struct vm *vm)
{
	struct vm second = *vm;

	second.vcpu = vm_add_vcpu(vm, 1, &second.run);
	return second;
}

static void end_vcpu(struct vm *second)
{
	munmap(second->run, second->run_size);
	close(second->vcpu);
}

static void test_kick(void)
{
	struct kvm_mp_state runs = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct kvm_regs regs;
	struct vm vm, second;

	START(&vm, 16, true, kick);
	second = add_vcpu(&vm);
	memcpy(vm.mem + 0x1200, halt, halt_end - halt);
	vm_mode_of(&second, second.vcpu, 16);
	ioctl(second.vcpu, KVM_GET_REGS, &regs);
	regs.rip = 0x1200;
	ioctl(second.vcpu, KVM_SET_REGS, &regs);
	ioctl(second.vcpu, KVM_SET_MP_STATE, &runs);
	vm_interruptible(&second, second.vcpu);
	ok(stays_halted(&second), "a second vCPU halts");
	say(&vm);
	ioctl(second.vcpu, KVM_SMI, 0);
	says(&second, 'S', "the first one kicks it, and there is an SMI");
	say(&second);
	ok(!stays_halted(&second), "RSM does not halt it again");
	end_vcpu(&second);
	vm_destroy(&vm);
}

static void test_init(void)
{
	struct kvm_msi msi = { .address_lo = 0xfee01000 };
	struct vm vm, second;

	START(&vm, 16, true, loop);
	second = add_vcpu(&vm);
	/* As OVMF does with a processor that is plugged in: SMI, INIT, SIPI. */
	for (int i = 0; i < 3; i++) {
		msi.data = (uint32_t[]){ 0x200, 0x500, 0x601 }[i];
		ioctl(vm.fd, KVM_SIGNAL_MSI, &msi);
	}
	says(&second, 'S', "an SMI that came before INIT and SIPI is the first thing after them");
	say(&second);
	says(&second, 0, "then comes what the SIPI names");
	memcpy(vm.mem + 0x5000, nmi, nmi_end - nmi);
	ioctl(second.vcpu, KVM_SMI, 0);
	says(&second, 'S', "an SMI");
	for (int i = 0; i < 2; i++) {
		msi.data = (uint32_t[]){ 0x500, 0x605 }[i];
		ioctl(vm.fd, KVM_SIGNAL_MSI, &msi);
	}
	says(&second, HIDDEN_WORD, "INIT and SIPI do not end its handler");
	alarm(1);
	says(&second, 'N', "they come behind it");
	alarm(0);
	end_vcpu(&second);
	vm_destroy(&vm);
}

static void test_nmi(void)
{
	struct vm vm;

	START(&vm, 16, false, loop);
	memcpy(vm.mem + 0x1100, nmi, nmi_end - nmi);
	*(uint32_t *)(vm.mem + 4 * 2) = 0x1100;
	vm_interruptible(&vm, vm.vcpu);
	say(&vm);
	ioctl(vm.vcpu, KVM_SMI, 0);
	says(&vm, 'S', "an SMI");
	ioctl(vm.vcpu, KVM_NMI, 0);
	says(&vm, HIDDEN_WORD, "an NMI waits for the handler's end");
	says(&vm, 'N', "and comes with it");
	ioctl(vm.vcpu, KVM_SMI, 0);
	says(&vm, 'S', "an SMI in the NMI's handler");
	ok(events(&vm).smi.smm_inside_nmi, "is known as such");
	say(&vm);
	ioctl(vm.vcpu, KVM_NMI, 0);
	says(&vm, 'n', "goes back to it, and a second NMI waits");
	says(&vm, 'N', "until its IRET");
	vm_destroy(&vm);
}

/* What the guest gives the hypervisor to write to is not the handler's memory. */
static void test_clock(void)
{
	struct { struct kvm_msrs head; struct kvm_msr_entry entry; } m = {
		.head.nmsrs = 1, .entry = { .index = 0x4b564d01, .data = (SMBASE + 0x1000) | 1 },
	};
	uint64_t zeros[4] = {};
	struct vm vm;

	START(&vm, 32, false, loop);
	memset(smram + 0x1000, 0, sizeof(zeros));
	say(&vm);
	ioctl(vm.vcpu, KVM_SMI, 0);
	says(&vm, 'S', "in SMM");
	is(ioctl(vm.vcpu, KVM_SET_MSRS, &m), 1, "the guest's clock is where the handler's memory is");
	say(&vm);
	ok(!memcmp(smram + 0x1000, zeros, sizeof(zeros)) &&
	   memcmp(vm.mem + SMBASE + 0x1000, zeros, sizeof(zeros)),
	   "it is written to the guest's memory there, not to the handler's");
	vm_destroy(&vm);
}

static void test_bad(void)
{
	struct vm vm;

	START(&vm, 16, false, rsm);
	memcpy(vm.mem + 0x1100, undefined, undefined_end - undefined);
	*(uint32_t *)(vm.mem + 4 * 6) = 0x1100;
	say(&vm);
	says(&vm, 'U', "RSM outside of SMM is undefined");
	vm_destroy(&vm);

	START(&vm, 32, false, loop);
	wish(&vm)->cr0 = 0x80000010;	/* PG without PE */
	say(&vm);
	ioctl(vm.vcpu, KVM_SMI, 0);
	say(&vm);
	say(&vm);
	says(&vm, 0x100 + KVM_EXIT_SHUTDOWN, "RSM to a state that cannot be is a shutdown");
	vm_destroy(&vm);

	START(&vm, 32, false, loop);
	ok(vm_slot(&vm, 2 << 16, 0, 0x800000, PAGE, vm.mem) < 0 && errno == EINVAL,
	   "there is no address space 2");
	for (int i = 0; i < 3; i++)
		vm_slot(&vm, 1 << 16 | i, 0, 0, 0, NULL);
	say(&vm);
	ioctl(vm.vcpu, KVM_SMI, 0);
	uint32_t end = say(&vm);
	ok(end == 0x100 + KVM_EXIT_INTERNAL_ERROR || end == 0x100 + KVM_EXIT_SHUTDOWN,
	   "an SMI without memory for it ends the guest");
	note("exit %#x", end);
	vm_destroy(&vm);

	/* An APIC's address that the processor has no bits for any more. */
	struct kvm_cpuid2 none = {};
	struct kvm_sregs s;

	START(&vm, 16, false, loop);
	ioctl(vm.vcpu, KVM_GET_SREGS, &s);
	s.apic_base |= 1ULL << 36;
	if (!ioctl(vm.vcpu, KVM_SET_SREGS, &s) && !ioctl(vm.vcpu, KVM_SET_CPUID2, &none) &&
	    !ioctl(vm.vcpu, KVM_SMI, 0))
		says(&vm, 0x100 + KVM_EXIT_SHUTDOWN, "an SMI in a state that cannot be is a shutdown");
	vm_destroy(&vm);
}

/* A guest in SMM moves to another VM that has the same memory. */
static void test_migration(void)
{
	struct { struct kvm_msrs head; struct kvm_msr_entry entry; } m = {
		.head.nmsrs = 1, .entry = { .index = MSR_SMBASE, .data = SMBASE },
	};
	struct kvm_vcpu_events e;
	struct state before, s;
	struct vm vm, to;

	START(&vm, 64, false, loop);
	say(&vm);
	finish(&vm);
	before = state_of(&vm);
	ioctl(vm.vcpu, KVM_SMI, 0);
	say(&vm);
	finish(&vm);
	s = state_of(&vm);
	e = events(&vm);
	vm_create(&to);
	memcpy(to.mem, vm.mem, MEMORY);
	add_space(&to);
	ok(!ioctl(to.vcpu, KVM_SET_REGS, &s.regs) && !ioctl(to.vcpu, KVM_SET_SREGS, &s.sregs) &&
	   !ioctl(to.vcpu, KVM_SET_DEBUGREGS, &s.debug) &&
	   !ioctl(to.vcpu, KVM_SET_VCPU_EVENTS, &e) && ioctl(to.vcpu, KVM_SET_MSRS, &m) == 1,
	   "the state of a vCPU in SMM is taken by another VM");
	says(&to, HIDDEN_WORD, "where the handler goes on");
	say(&to);
	finish(&to);
	s = state_of(&to);
	ok(!memcmp(&before, &s, sizeof(s)), "and RSM ends it");
	vm_destroy(&to);
	vm_destroy(&vm);
}

static void test_dirty_log(void)
{
	unsigned long bits[MEMORY / PAGE / 8 / sizeof(long)];
	struct kvm_dirty_log log = { .slot = 1 << 16, .dirty_bitmap = bits };
	struct vm vm;

	START(&vm, 32, false, loop);
	vm_slot(&vm, 1 << 16, KVM_MEM_LOG_DIRTY_PAGES, 0, SMBASE, vm.mem);
	say(&vm);
	memset(bits, 0, sizeof(bits));
	ok(!ioctl(vm.fd, KVM_GET_DIRTY_LOG, &log) && !bits[0], "a log of the handler's space: empty");
	ioctl(vm.vcpu, KVM_SMI, 0);
	say(&vm);
	say(&vm);
	say(&vm);
	ok(!ioctl(vm.fd, KVM_GET_DIRTY_LOG, &log) && bits[0] == 1UL << (DATA16 / PAGE),
	   "it has the page that the handler wrote");
	log.slot = 2 << 16;
	ok(ioctl(vm.fd, KVM_GET_DIRTY_LOG, &log) < 0 && errno == EINVAL, "no log of space 2");
	vm_destroy(&vm);
}

static void test_absent(int kvm)
{
	struct kvm_vcpu_events e;
	struct vm vm;

	note("no system management mode here: shadow paging");
	ok(vm_has(kvm, KVM_CAP_MULTI_ADDRESS_SPACE) <= 1, "one address space");
	vm_create(&vm);
	ok(ioctl(vm.vcpu, KVM_SMI, 0) < 0 && errno == ENOTTY, "no KVM_SMI");
	ok(vm_slot(&vm, 1 << 16, 0, 0, PAGE, vm.mem) < 0 && errno == EINVAL, "no second space");
	e = events(&vm);
	e.smi.smm = 1;
	ok(ioctl(vm.vcpu, KVM_SET_VCPU_EVENTS, &e) < 0 && errno == EINVAL, "no vCPU is put in it");
	vm_destroy(&vm);
}

int main(void)
{
	int kvm = vm_open();

	smram = mmap(NULL, 0x10000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm_has(kvm, KVM_CAP_X86_SMM) <= 0) {
		test_absent(kvm);
		return done();
	}
	ok(vm_has(kvm, KVM_CAP_MULTI_ADDRESS_SPACE) == 2, "two address spaces");
	test_mode(16, false);
	test_mode(32, false);
	test_mode(32, true);
	test_mode(64, false);
	test_relocation();
	test_halt();
	test_halt_exception();
	test_kick();
	test_init();
	test_nmi();
	test_clock();
	test_bad();
	test_migration();
	test_dirty_log();
	return done();
}
