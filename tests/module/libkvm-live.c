// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libkvm on the real /dev/kvm: what its fake in tests/unit cannot show, because
 * it depends on what KVM does with what the library asks for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "guest.h"
#include "guests.h"
#include "libkvm.h"
#include "tap.h"

#define BYTES (16UL << 20)

struct seen {
	struct kvm_context *kvm;
	uint8_t values[64];
	int nvalues;
	int halts;
	int stop_at;		/* make kvm_run() return 77 at this input */
};

static int see_out(void *opaque, int vcpu, uint16_t port, int size,
		   uint32_t value)
{
	struct seen *s = opaque;

	(void)size;
	if ((port == PORT_VALUE || port == PORT_VECTOR) && s->nvalues < 64)
		s->values[s->nvalues++] = value;
	/* The guest has interrupts off now: the window comes later. */
	if (port == PORT_VALUE && value == 1 && size == 1)
		s->stop_at = kvm_inject_irq(s->kvm, vcpu, 32);
	return 0;
}

static int see_window(void *opaque, int vcpu)
{
	struct seen *s = opaque;

	return kvm_inject_irq(s->kvm, vcpu, 32);
}

static int see_halt(void *opaque, int vcpu)
{
	struct seen *s = opaque;

	if (++s->halts == 2)
		return 1;
	return kvm_inject_irq(s->kvm, vcpu, 33);
}

static int stop_in(void *opaque, int vcpu, uint16_t port, int size,
		   uint32_t *value)
{
	(void)opaque; (void)vcpu; (void)port; (void)size;
	*value = 0x42;
	return 77;
}

static struct kvm_context *machine(const struct kvm_callbacks *cb,
				   struct seen *s, char **mem)
{
	void *vm_mem;

	s->kvm = kvm_init(cb, s);
	if (!s->kvm)
		bail_out("kvm_init: %s", kvm_error(NULL));
	if (kvm_create(s->kvm, BYTES, &vm_mem) < 0)
		bail_out("kvm_create: %s", kvm_error(s->kvm));
	*mem = vm_mem;
	return s->kvm;
}

#define LOAD(mem, at, name) \
	memcpy((mem) + (at), guest_##name, guest_##name##_end - guest_##name)

static void test_interrupts(void)
{
	static const uint8_t want[] = { 1, 2, 32, 3, 4, 33, 5 };
	struct kvm_callbacks cb = {
		.io_out = see_out, .irq_window = see_window, .halt = see_halt,
	};
	struct seen s = { 0 };
	struct kvm_context *kvm;
	char *mem;

	kvm = machine(&cb, &s, &mem);
	LOAD(mem, 0x1000, real_irq);
	is(kvm_enter_16(kvm, 0, 0, 0x1000), 0, "kvm_enter_16 works");
	is(kvm_run(kvm, 0), 1, "kvm_run ends when the halt callback says so");
	is(s.stop_at, -EAGAIN, "kvm_inject_irq with interrupts off is -EAGAIN");
	ok(s.nvalues == sizeof(want) && !memcmp(s.values, want, sizeof(want)),
	   "then the window's callback injects it, and another one wakes HLT");
	kvm_finalize(kvm);
}

static void test_completion(void)
{
	struct kvm_callbacks cb = { .io_in = stop_in };
	struct seen s = { 0 };
	struct kvm_context *kvm;
	struct kvm_regs regs;
	char *mem;

	kvm = machine(&cb, &s, &mem);
	LOAD(mem, 0x1000, real_pio);
	kvm_enter_16(kvm, 0, 0, 0x1000);
	is(kvm_run(kvm, 0), 77, "a callback's value ends kvm_run");
	kvm_get_regs(kvm, 0, &regs);
	ok((regs.rax & 0xff) == 0x42 && regs.rip == 0x102a,
	   "and the input that it answered is complete (al 0x%llx, rip 0x%llx)",
	   regs.rax & 0xff, regs.rip);
	is(kvm_run(kvm, 0), 77, "the next run goes on behind it");
	kvm_get_regs(kvm, 0, &regs);
	ok(regs.rip == 0x102f, "and ends at the next input (rip 0x%llx)", regs.rip);
	kvm_finalize(kvm);
}

static struct kvm_context *to_stop;

static void on_alarm(int sig)
{
	(void)sig;
	kvm_stop(to_stop, 0);
}

static void test_stop(void)
{
	static const uint8_t loop[] = { 0xfb, 0xeb, 0xfe };	/* sti; jmp . */
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval soon = { .it_value.tv_usec = 100000 };
	struct seen s = { 0 };
	struct kvm_context *kvm;
	char *mem;

	kvm = machine(NULL, &s, &mem);
	memcpy(mem + LIBKVM_ENTRY_32, loop, sizeof(loop));
	is(kvm_enter_32(kvm, 0, LIBKVM_ENTRY_32), 0, "kvm_enter_32 works");
	kvm_stop(kvm, 0);
	is(kvm_run(kvm, 0), -EINTR, "kvm_stop before kvm_run ends it at once");
	to_stop = kvm;
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &soon, NULL);
	is(kvm_run(kvm, 0), -EINTR, "kvm_stop from a signal handler ends kvm_run");
	kvm_finalize(kvm);
}

static void test_failures(void)
{
	struct seen s = { 0 };
	struct kvm_context *kvm;
	char *mem;

	kvm = machine(NULL, &s, &mem);
	LOAD(mem, LIBKVM_ENTRY_32, prot_triple);
	kvm_enter_32(kvm, 0, LIBKVM_ENTRY_32);
	is(kvm_run(kvm, 0), -ESHUTDOWN, "a triple fault is -ESHUTDOWN");
	kvm_finalize(kvm);

	/* Take everything above 768 KiB away, and give a part of it back. */
	kvm = machine(NULL, &s, &mem);
	is(kvm_remove_memory(kvm, 1), 0, "kvm_remove_memory of a used machine works");
	kvm_enter_32(kvm, 0, LIBKVM_ENTRY_32);
	is(kvm_run(kvm, 0), -EIO, "running where no memory is, is -EIO");
	ok(strstr(kvm_error(kvm), "0x100000"), "and the sentence says where: %s",
	   kvm_error(kvm));
	is(kvm_add_memory(kvm, LIBKVM_HIGH_START, 0x140000, 0, (void *[]){ NULL }), 1,
	   "kvm_add_memory puts memory there again");
	LOAD((char *)kvm_guest_memory(kvm, LIBKVM_ENTRY_32, PAGE_TABLES),
	     0, prot_hello);
	kvm_enter_32(kvm, 0, LIBKVM_ENTRY_32);
	is(kvm_run(kvm, 0), 0, "and the guest runs");
	kvm_finalize(kvm);
}

static void *run_vcpu(void *arg)
{
	struct kvm_context *kvm = arg;

	return (void *)(long)kvm_run(kvm, 1);
}

static void test_dirty_and_vcpus(void)
{
	struct seen s = { 0 };
	struct kvm_context *kvm;
	struct kvm_regs regs;
	uint64_t bitmap = ~0ULL;
	void *more = NULL, *result;
	pthread_t thread;
	char *mem;
	int region;

	kvm = machine(NULL, &s, &mem);
	region = kvm_add_memory(kvm, 0x10000000, 64 * 4096, KVM_MEM_LOG_DIRTY_PAGES,
				&more);
	ok(region == 2, "kvm_add_memory: a region with a dirty log");
	LOAD(mem, LIBKVM_ENTRY_32, prot_step);
	kvm_enter_32(kvm, 0, LIBKVM_ENTRY_32 + 5);	/* edi is ours */
	kvm_get_regs(kvm, 0, &regs);
	regs.rdi = 0x10003000;
	regs.rcx = 4;
	kvm_set_regs(kvm, 0, &regs);
	is(kvm_run(kvm, 0), 0, "the guest writes to it");
	is(kvm_get_dirty_log(kvm, region, &bitmap, sizeof(bitmap)), 0,
	   "kvm_get_dirty_log works");
	is(bitmap, 0x78, "and has the four pages that the guest wrote to");

	is(kvm_create_vcpu(kvm, 1), 0, "a second vCPU");
	LOAD(mem, 0xf0000, rom_hello);
	pthread_create(&thread, NULL, run_vcpu, kvm);
	pthread_join(thread, &result);
	is((long)result, 0, "runs in a thread of its own");
	kvm_get_regs(kvm, 1, &regs);
	ok(regs.rip < 0x100, "to its end (rip 0x%llx)", regs.rip);
	kvm_finalize(kvm);
}

static int see_debug(void *opaque, int vcpu, const struct kvm_debug_exit_arch *arch)
{
	struct seen *s = opaque;

	(void)vcpu;
	if (s->nvalues < 64)
		s->values[s->nvalues++] = arch->dr6 & 0xf;
	return s->stop_at && s->nvalues == s->stop_at;
}

static void test_debug(void)
{
	/* movl $1,0x200000; nop; nop; movl 0x200000,%eax; hlt */
	static const uint8_t code[] = {
		0xc7, 0x05, 0x00, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0x00,
		0x90, 0x90, 0xa1, 0x00, 0x00, 0x20, 0x00, 0xf4,
	};
	struct kvm_callbacks cb = { .debug = see_debug };
	struct seen s = { .stop_at = 1 };
	struct kvm_context *kvm;
	struct kvm_regs regs;
	char *mem;

	kvm = machine(&cb, &s, &mem);
	memcpy(mem + LIBKVM_ENTRY_32, code, sizeof(code));
	kvm_enter_32(kvm, 0, LIBKVM_ENTRY_32);
	is(kvm_set_breakpoint(kvm, 0, 0, LIBKVM_BREAK_EXEC, LIBKVM_ENTRY_32 + 10, 1), 0,
	   "kvm_set_breakpoint works");
	is(kvm_run(kvm, 0), 1, "and the guest stops");
	kvm_get_regs(kvm, 0, &regs);
	ok(regs.rip == LIBKVM_ENTRY_32 + 10 && s.values[0] == 1,
	   "before the instruction, and dr6 says which (rip 0x%llx)", regs.rip);
	s.stop_at = 2;
	is(kvm_single_step(kvm, 0, 1), 0, "kvm_single_step works");
	is(kvm_run(kvm, 0), 1, "and the guest stops again");
	kvm_get_regs(kvm, 0, &regs);
	is(regs.rip, LIBKVM_ENTRY_32 + 11, "behind the instruction of the breakpoint");
	s.stop_at = 0;
	kvm_single_step(kvm, 0, 0);
	kvm_clear_breakpoint(kvm, 0, 0);
	is(kvm_run(kvm, 0), 0, "and goes on to its end when debugging is off");
	kvm_finalize(kvm);
}

static void on_nothing(int sig)
{
	(void)sig;
}

static void *run_vcpu0(void *arg)
{
	return (void *)(long)kvm_run(arg, 0);
}

static void test_irqchip(void)
{
	struct seen s = { 0 };
	struct kvm_context *kvm = kvm_init(NULL, &s);
	struct kvm_mp_state state = { 0 };
	pthread_t thread;
	void *mem, *result;

	is(kvm_create_machine(kvm, BYTES, LIBKVM_IRQCHIP, &mem), 0,
	   "kvm_create_machine: with interrupt controllers");
	is(kvm_create_vcpu(kvm, 1), 0, "kvm_create_machine: and a second vCPU");
	is(ioctl(kvm_vcpu_fd(kvm, 1), KVM_GET_MP_STATE, &state), 0, "its state can be read");
	is(state.mp_state, KVM_MP_STATE_UNINITIALIZED, "it waits for INIT and SIPI");
	is(kvm_inject_irq(kvm, 0, 32), -ENXIO, "kvm_inject_irq: is the kernel's now");
	is(kvm_set_irq(kvm, 5, 1), 0, "kvm_set_irq: a line of the PIC");
	is(kvm_set_irq(kvm, 5, 0), 0, "kvm_set_irq: and down again");
	is(kvm_set_irq_routes(kvm, &(struct kvm_irq_routing_entry){
		.gsi = 40, .type = KVM_IRQ_ROUTING_MSI,
		.u.msi = { .address_lo = 0xfee00000, .data = 0x41 } }, 1), 0,
	   "kvm_set_irq_routes: a line that is an MSI");
	is(kvm_add_irqfd(kvm, 0, 40, -1), -EINVAL, "kvm_add_irqfd: needs an eventfd");

	/* HLT waits in the kernel: only kvm_stop() and a signal end the run. */
	((uint8_t *)mem)[LIBKVM_ENTRY_32] = 0xf4;
	kvm_enter_32(kvm, 0, LIBKVM_ENTRY_32);
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = on_nothing }, NULL);
	pthread_create(&thread, NULL, run_vcpu0, kvm);
	usleep(50000);
	kvm_stop(kvm, 0);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, &result);
	is((long)result, -EINTR, "kvm_run: HLT waits in the kernel until it is stopped");
	kvm_finalize(kvm);
}

int main(void)
{
	test_interrupts();
	test_completion();
	test_stop();
	test_failures();
	test_dirty_and_vcpus();
	test_debug();
	test_irqchip();
	return done();
}
