// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host-cpus: a vCPU and the host's processors. Its thread moves from one to the
 * next and keeps what is its own; an NMI for the host hits it in the guest; a
 * processor that it has run on goes away and comes back.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <sys/io.h>
#include <sys/klog.h>
#include <sys/syscall.h>
#include <time.h>

#include "vm.h"

#define CPU1 "/sys/devices/system/cpu/cpu1/online"

static int cpus;

static bool pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return !sched_setaffinity(0, sizeof(set), &set);
}

static bool write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

static void pause_ms(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

/* 16-bit: 1: out %ax, $0x10; inc %ax; jmp 1b */
static const uint8_t counter[] = { 0xe7, 0x10, 0x40, 0xeb, 0xfb };

static void test_moves(void)
{
	unsigned int want, got = 0, moved = 0;
	struct vm vm;

	vm_start(&vm, 16, counter, counter + sizeof(counter));
	for (want = 0; want < 300; want++) {
		moved += pin(want % cpus);
		if (vm_run_once(&vm) || vm.run->exit_reason != KVM_EXIT_IO)
			break;
		got = *(uint16_t *)((uint8_t *)vm.run + vm.run->io.data_offset);
		if (got != want)
			break;
	}
	is(want, 300, "a vCPU that moves between %d processors at every exit keeps its state", cpus);
	is(moved, 300, "it was moved each time");
	vm_destroy(&vm);
	pin(0);
}

static uint16_t get_ds(void)
{
	uint16_t ds;

	__asm__ volatile("mov %%ds, %0" : "=r"(ds));
	return ds;
}

/* KVM_RUN gives the thread back its segments, their bases and its ports. */
static void test_thread_state(void)
{
	unsigned long gs = 0x123456789000, got = 0;
	struct vm vm;
	bool ports;
	int i;

	vm_start(&vm, 16, counter, counter + sizeof(counter));
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0x2b));
	syscall(SYS_arch_prctl, ARCH_SET_GS, gs);
	ports = !ioperm(0x80, 1, 1);
	for (i = 0; i < 10; i++) {
		vm_run_once(&vm);
		sched_yield();
	}
	syscall(SYS_arch_prctl, ARCH_GET_GS, &got);
	is(got, gs, "the thread's GS base survives KVM_RUN");
	is(get_ds(), 0x2b, "the thread's DS survives KVM_RUN");
	vm_run_once(&vm);
	if (ports) {
		outb(0, 0x80);	/* SIGSEGV if the TSS has lost its I/O bitmap */
		ok(true, "the thread's I/O permissions survive KVM_RUN");
	} else {
		skip("the thread's I/O permissions survive KVM_RUN",
		     "this kernel has no ioperm");
	}
	__asm__ volatile("mov %0, %%ds; mov %0, %%es" : : "r"(0));
	syscall(SYS_arch_prctl, ARCH_SET_GS, 0ul);
	vm_destroy(&vm);
}

static volatile bool spinning;

static void *spin(void *arg)
{
	struct vm *vm = arg;

	pin(cpus - 1);
	spinning = true;
	return (void *)(long)vm_run_once(vm);
}

static void nothing(int sig)
{
	(void)sig;
}

static bool set_ldt(unsigned int limit)
{
	struct user_desc d = { .limit = limit, .seg_32bit = 1, .useable = 1 };

	return !syscall(SYS_modify_ldt, 0x11, &d, sizeof(d));
}

/* As the processor sees it: 0 when there is no such descriptor. */
static unsigned long limit_by_ldt(void)
{
	unsigned long limit = 0;

	__asm__ volatile("lsl %1, %0" : "+r"(limit) : "r"(4ul | 3) : "cc");
	return limit;
}

static void *spin_with_ldt(void *arg)
{
	spin(arg);
	return (void *)limit_by_ldt();
}

/* What the others of a process do to its LDT reaches the thread in KVM_RUN. */
static void test_ldt(void)
{
	pthread_t thread;
	struct vm vm;
	void *limit;

	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = nothing }, NULL);
	if (!set_ldt(0x111)) {
		skip("the thread's LDT survives KVM_RUN", "this kernel has no modify_ldt");
		return;
	}
	vm_start(&vm, 16, counter, counter + sizeof(counter));
	vm_run_once(&vm);
	is(limit_by_ldt(), 0x111, "the thread's LDT survives KVM_RUN");
	vm_destroy(&vm);
	VM_START(&vm, 32, prot_loop);
	vm_interruptible(&vm, vm.vcpu);
	spinning = false;
	pthread_create(&thread, NULL, spin_with_ldt, &vm);
	while (!spinning)
		pause_ms(1);
	pause_ms(300);
	set_ldt(0x222);
	pause_ms(100);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, &limit);
	is((unsigned long)limit, 0x222, "an LDT that changes during KVM_RUN is in force after it");
	vm_destroy(&vm);
}

/* Occurrences of text in the kernel's log. */
static int logged(const char *text)
{
	static char log[1 << 20];
	int n = klogctl(3, log, sizeof(log) - 1), found = 0;

	log[n > 0 ? n : 0] = 0;
	for (char *p = log; (p = strstr(p, text)); p++)
		found++;
	return found;
}

static void test_nmi(void)
{
	const char *name = "an NMI of the host during guest code reaches the host's handler";
	char text[64];
	pthread_t thread;
	struct vm vm;
	void *result;
	int before;

	if (cpus < 2 || access("/proc/sysrq-trigger", W_OK)) {
		skip(name, "it takes two processors and SysRq");
		return;
	}
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = nothing }, NULL);
	VM_START(&vm, 32, prot_loop);
	vm_interruptible(&vm, vm.vcpu);
	pin(0);
	pthread_create(&thread, NULL, spin, &vm);
	while (!spinning)
		pause_ms(1);
	pause_ms(300);
	/* Back traces of all processors, by NMI; not onto the console. */
	snprintf(text, sizeof(text), "NMI backtrace for cpu %d", cpus - 1);
	before = logged(text);
	klogctl(8, NULL, 1);
	for (int i = 0; i < 3; i++) {
		write_file("/proc/sysrq-trigger", "l");
		pause_ms(100);
	}
	klogctl(8, NULL, 5);
	ok(logged(text) > before, "%s", name);
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, &result);
	is((long)result, -EINTR, "the guest then runs on until a signal");
	vm_destroy(&vm);
}

static unsigned long kernel_symbol(const char *name)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	unsigned long at = 0, found = 0;
	char line[512], symbol[256];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx %*c %255s", &at, symbol) == 2 && !strcmp(symbol, name))
			found = at;
	if (f)
		fclose(f);
	return found;
}

__attribute__((noinline)) static void never_called(void)
{
	__asm__ volatile("");
}

/*
 * The thread has a breakpoint of its own, and so the processor's enabled; the guest
 * has the address of the kernel's way into the guest in the same debug register.
 */
static void test_breakpoints(void)
{
	const char *name = "a guest's DR0 is no breakpoint of the host's kernel";
	struct perf_event_attr attr = {
		.type = PERF_TYPE_BREAKPOINT, .size = sizeof(attr), .bp_type = HW_BREAKPOINT_X,
		.bp_addr = (unsigned long)never_called, .bp_len = sizeof(long),
	};
	int event = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
	struct kvm_debugregs d = { .dr6 = 0xffff0ff0, .dr7 = 0x401 };
	unsigned long long hits = 0;
	struct vm vm;

	if (vm_on_intel() && cpus > 1) {
		skip(name, "Bochs with two processors hangs at any code breakpoint, without a guest, too");
		return;
	}
	d.db[0] = kernel_symbol(vm_on_intel() ? "vmx_enter" : "svm_enter");
	if (event < 0 || !d.db[0]) {
		skip(name, "no perf_event_open or no kallsyms");
		return;
	}
	vm_start(&vm, 16, counter, counter + sizeof(counter));
	ok(!ioctl(vm.vcpu, KVM_SET_DEBUGREGS, &d), "KVM_SET_DEBUGREGS");
	for (int i = 0; i < 10; i++)
		vm_run_once(&vm);
	ok(read(event, &hits, sizeof(hits)) == sizeof(hits), "the breakpoint's count");
	is(hits, 0, "%s", name);
	never_called();
	ok(read(event, &hits, sizeof(hits)) == sizeof(hits), "and again");
	is(hits, 1, "the thread's own breakpoint works afterwards");
	close(event);
	vm_destroy(&vm);
}

static void test_hotplug(void)
{
	struct vm vm;

	if (cpus < 2 || access(CPU1, W_OK)) {
		skip("a vCPU's processor goes away", "there is no processor to switch off");
		return;
	}
	vm_start(&vm, 16, counter, counter + sizeof(counter));
	pin(1);
	is(vm_run_once(&vm), 0, "a vCPU runs on processor 1");
	pin(0);
	ok(write_file(CPU1, "0"), "processor 1 goes off while the VM exists");
	is(vm_run_once(&vm), 0, "the vCPU runs on processor 0");
	is(*(uint16_t *)((uint8_t *)vm.run + vm.run->io.data_offset), 1,
	   "where it had stopped");
	ok(write_file(CPU1, "1"), "processor 1 comes back");
	ok(pin(1) && !vm_run_once(&vm) && vm.run->exit_reason == KVM_EXIT_IO,
	   "the vCPU runs there again");
	vm_destroy(&vm);
	pin(0);
}

/* A guest that runs for ever, for other tests. */
static int spin_only(void)
{
	struct vm vm;

	VM_START(&vm, 32, prot_loop);
	vm_interruptible(&vm, vm.vcpu);
	vm_run_once(&vm);
	return 1;
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "spin"))
		return spin_only();
	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	test_moves();
	test_thread_state();
	test_ldt();
	test_nmi();
	test_breakpoints();
	test_hotplug();
	return done();
}
