// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Interrupt controllers in the kernel, where the module has them: PIC and PIT
 * driven by a real-mode guest, the local APIC and a second processor by a
 * protected-mode one, and the ioctls around them. Without the capability
 * everything here is skipped; ioctl-errors says what must fail then.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>

#include "vm.h"

static void pause_ms(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

/* As vm_create(), with irqchip and PIT before the first vCPU. */
static void create(struct vm *vm)
{
	struct kvm_pit_config pit = { .flags = 0 };

	vm_create_with(vm, true);
	if (vm_has(vm->fd, KVM_CAP_PIT2) > 0 &&
	    ioctl(vm->fd, KVM_CREATE_PIT2, &pit) < 0)
		bail_out("KVM_CREATE_PIT2: %s", strerror(errno));
}

/* Firmware's part: the PIC's output goes through the local APIC's LINT0. */
static void virtual_wire(struct vm *vm)
{
	struct kvm_lapic_state lapic;

	if (ioctl(vm->vcpu, KVM_GET_LAPIC, &lapic) < 0)
		bail_out("KVM_GET_LAPIC: %s", strerror(errno));
	*(uint32_t *)(lapic.regs + 0xf0) = 0x1ff;
	*(uint32_t *)(lapic.regs + 0x350) = 0x700;
	if (ioctl(vm->vcpu, KVM_SET_LAPIC, &lapic) < 0)
		bail_out("KVM_SET_LAPIC: %s", strerror(errno));
}

struct raiser {
	struct vm *vm;
	int event;		/* an irqfd, or -1: by ioctl */
};

static void *raise_irq4(void *arg)
{
	struct raiser *r = arg;
	struct kvm_irq_level up = { .irq = 4, .level = 1 };
	struct kvm_irq_level down = { .irq = 4, .level = 0 };
	uint64_t one = 1;

	pause_ms(50);		/* the vCPU sleeps in HLT by now */
	if (r->event >= 0) {
		if (write(r->event, &one, 8) != 8)
			note("eventfd: %s", strerror(errno));
		return NULL;
	}
	ioctl(r->vm->fd, KVM_IRQ_LINE, &up);
	ioctl(r->vm->fd, KVM_IRQ_LINE, &down);
	return NULL;
}

static struct raiser by_ioctl, by_eventfd;
static pthread_t threads[2];

static void pic_hook(struct vm *vm, int n)
{
	const struct act *last = &vm_acts[n - 1];

	(void)vm;
	if (last->where == PORT_EXIT)
		vm_stop_now = true;
	if (last->where == PORT_VALUE && last->value == 1)
		pthread_create(&threads[0], NULL, raise_irq4, &by_ioctl);
	if (last->where == PORT_VALUE && last->value == 2)
		pthread_create(&threads[1], NULL, raise_irq4, &by_eventfd);
}

static void test_pic(void)
{
	struct kvm_irqfd irqfd = { .gsi = 4 };
	struct vm vm;

	create(&vm);
	VM_LOAD(&vm, 16, real_pic);
	virtual_wire(&vm);
	irqfd.fd = eventfd(0, EFD_CLOEXEC);
	by_ioctl = (struct raiser){ &vm, -1 };
	by_eventfd = (struct raiser){ &vm, -1 };
	if (vm_has(vm.fd, KVM_CAP_IRQFD) > 0) {
		is(ioctl(vm.fd, KVM_IRQFD, &irqfd), 0, "KVM_IRQFD works");
		by_eventfd.event = irqfd.fd;
	}
	vm.hook = pic_hook;
	vm_expect(&vm, ACTS(
		{ OUT, PORT_VALUE, 1, 0xef },
		{ OUT, PORT_VALUE, 1, 1 }, { OUT, PORT_IRQ, 1, 0x24 },
		{ OUT, PORT_VALUE, 1, 2 }, { OUT, PORT_IRQ, 1, 0x24 },
		{ OUT, PORT_VALUE, 1, 3 }, { OUT, PORT_EXIT, 1, 3 }),
		"PIC and PIT: HLT sleeps in the kernel, KVM_IRQ_LINE, an eventfd and the timer wake it");
	for (int i = 0; i < 2; i++)
		if (threads[i])
			pthread_join(threads[i], NULL);
	close(irqfd.fd);
	vm_destroy(&vm);
}

static volatile bool second_ends;

static void *run_second(void *arg)
{
	struct vm *vm = arg;

	while (!second_ends && (ioctl(vm->vcpu, KVM_RUN, 0) == 0 ||
				errno == EAGAIN || errno == EINTR))
		;
	return NULL;
}

static void nothing(int sig)
{
	(void)sig;
}

static void exit_hook(struct vm *vm, int n)
{
	(void)vm;
	vm_stop_now = vm_acts[n - 1].where == PORT_EXIT;
}

static void test_apic(void)
{
	struct sigaction action = { .sa_handler = nothing };
	struct kvm_mp_state mp;
	struct vm vm, second;
	pthread_t thread;

	create(&vm);
	second = vm;
	second.vcpu = vm_add_vcpu(&vm, 1, &second.run);
	ioctl(second.vcpu, KVM_GET_MP_STATE, &mp);
	is(mp.mp_state, KVM_MP_STATE_UNINITIALIZED,
	   "a second vCPU waits for its INIT and SIPI");
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, run_second, &second);
	VM_LOAD(&vm, 32, prot_apic);
	vm.hook = exit_hook;
	vm_go(&vm);
	/* The version's number of registers is the module's choice. */
	ok(vm_nacts > 0 && (vm_acts[0].value & 0xf0) == 0x10,
	   "the local APIC's version is that of an integrated one");
	vm_acts[0].value = 0;
	vm_compare(&vm, ACTS(
		{ OUT, PORT_VALUE, 4, 0 },
		{ OUT, PORT_IRQ, 1, 0x41 },
		{ OUT, PORT_IRQ, 1, 0x40 },
		{ OUT, PORT_VALUE, 4, 0x200 },
		{ OUT, PORT_EXIT, 1, 0 }),
		"local APIC: an interrupt to itself, the timer, a second processor by SIPI");
	second_ends = true;
	second.run->immediate_exit = 1;
	pthread_kill(thread, SIGUSR1);
	pthread_join(thread, NULL);
	ok(true, "a vCPU that sleeps in the kernel is woken by a signal");
	munmap(second.run, second.run_size);
	close(second.vcpu);
	vm_destroy(&vm);
}

/* A vCPU that is saved when INIT and SIPI have come, but before it has run again. */
static void test_start_at_rest(void)
{
	struct kvm_msi msi = { .address_lo = 0xfee01000, .data = 0x4500 };
	struct sigaction action = { .sa_handler = nothing };
	struct kvm_mp_state mp;
	struct kvm_sregs sregs;
	struct kvm_run *run;
	struct vm vm;
	int vcpu;

	create(&vm);
	vcpu = vm_add_vcpu(&vm, 1, &run);
	is(ioctl(vm.fd, KVM_SIGNAL_MSI, &msi), 1, "INIT by a message");
	msi.data = 0x4612;
	is(ioctl(vm.fd, KVM_SIGNAL_MSI, &msi), 1, "SIPI by a message");
	ioctl(vcpu, KVM_GET_MP_STATE, &mp);
	is(mp.mp_state, KVM_MP_STATE_RUNNABLE, "KVM_GET_MP_STATE knows of both");
	ioctl(vcpu, KVM_GET_SREGS, &sregs);
	is(sregs.cs.base, 0x12000, "the vCPU is where SIPI sent it");
	msi.data = 0x4500;
	is(ioctl(vm.fd, KVM_SIGNAL_MSI, &msi), 1, "INIT to a vCPU that is about to run");
	sigaction(SIGALRM, &action, NULL);
	alarm(1);
	is(ioctl(vcpu, KVM_RUN, 0) < 0 ? errno : 0, EINTR, "it waits for another SIPI");
	alarm(0);
	munmap(run, vm.run_size);
	close(vcpu);
	vm_destroy(&vm);
}

static void fails(int fd, unsigned long request, const void *arg, int want,
		  const char *name)
{
	int r = ioctl(fd, request, arg), err = r < 0 ? errno : 0;

	if (!ok(r < 0 && err == want, "%s: %s", name, strerrorname_np(want)))
		note("returned %d, errno %s", r, err ? strerrorname_np(err) : "0");
}

static void test_ioctls(void)
{
	struct kvm_interrupt irq = { .irq = 32 };
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_HALTED };
	struct kvm_lapic_state a, b;
	struct kvm_irqchip chip = { .chip_id = 7 };
	struct kvm_pit_config pit = { 0 };
	struct kvm_irqfd irqfd = { .fd = -1, .gsi = 4 };
	struct kvm_pit_state2 p;
	struct vm vm;

	create(&vm);
	fails(vm.fd, KVM_CREATE_IRQCHIP, NULL, EEXIST, "KVM_CREATE_IRQCHIP twice");
	if (vm_has(vm.fd, KVM_CAP_PIT2) > 0) {
		fails(vm.fd, KVM_CREATE_PIT2, &pit, EEXIST, "KVM_CREATE_PIT2 twice");
		is(ioctl(vm.fd, KVM_GET_PIT2, &p), 0, "KVM_GET_PIT2 works");
		is(ioctl(vm.fd, KVM_SET_PIT2, &p), 0, "KVM_SET_PIT2 takes it back");
		fails(vm.fd, KVM_GET_PIT2, NULL, EFAULT, "KVM_GET_PIT2 of NULL");
	}
	fails(vm.vcpu, KVM_INTERRUPT, &irq, ENXIO, "KVM_INTERRUPT with the PIC in the kernel");
	fails(vm.fd, KVM_GET_IRQCHIP, &chip, EINVAL, "KVM_GET_IRQCHIP of no chip");
	fails(vm.fd, KVM_SET_IRQCHIP, &chip, EINVAL, "KVM_SET_IRQCHIP of no chip");
	for (uint32_t i = 0; i < 3; i++) {
		chip.chip_id = i;
		is(ioctl(vm.fd, KVM_GET_IRQCHIP, &chip), 0, "KVM_GET_IRQCHIP %u works", i);
		is(ioctl(vm.fd, KVM_SET_IRQCHIP, &chip), 0,
		   "KVM_SET_IRQCHIP %u takes it back", i);
	}
	is(ioctl(vm.vcpu, KVM_GET_LAPIC, &a), 0, "KVM_GET_LAPIC works");
	*(uint32_t *)(a.regs + 0x80) = 0x20;	/* task priority */
	is(ioctl(vm.vcpu, KVM_SET_LAPIC, &a), 0, "KVM_SET_LAPIC works");
	ioctl(vm.vcpu, KVM_GET_LAPIC, &b);
	is(*(uint32_t *)(b.regs + 0x80), 0x20, "and KVM_GET_LAPIC gives it back");
	fails(vm.vcpu, KVM_GET_LAPIC, NULL, EFAULT, "KVM_GET_LAPIC of NULL");
	is(ioctl(vm.vcpu, KVM_SET_MP_STATE, &mp), 0, "KVM_SET_MP_STATE to halted works");
	ioctl(vm.vcpu, KVM_GET_MP_STATE, &mp);
	is(mp.mp_state, KVM_MP_STATE_HALTED, "and KVM_GET_MP_STATE gives it back");
	if (vm_has(vm.fd, KVM_CAP_IRQFD) > 0)
		fails(vm.fd, KVM_IRQFD, &irqfd, EBADF, "KVM_IRQFD with a closed descriptor");
	vm_destroy(&vm);
}

/*
 * Real mode, x2APIC: an interrupt to itself, which its handler, after an exit to user
 * space, ends by clearing the bit at 0x2000, noting at 0x2004 whether it was set.
 * Without an exit in between the guest then gives the bit up, and says which interrupts
 * are still in service.
 */
asm(".pushsection .rodata\n.globl pv_eoi, pv_eoi_end\n.code16\npv_eoi:\n"
    "movw $handler - pv_eoi + 0x1000, 0x100; movw $0, 0x102\n"	/* vector 0x40 */
    "mov $0x1b, %ecx; rdmsr; or $0xc00, %eax; wrmsr\n"
    "mov $0x80f, %ecx; mov $0x1ff, %eax; xor %edx, %edx; wrmsr\n"
    "mov $0x4b564d04, %ecx; mov $0x2001, %eax; wrmsr\n"
    "sti; mov $0x83f, %ecx; mov $0x40, %eax; wrmsr\n"
    "mov $0x4b564d04, %ecx; xor %eax, %eax\n"
    "1: cmpb $0, 0x2005; je 1b\n"
    "wrmsr\n"
    "mov $0x812, %ecx; rdmsr; out %eax, $0x10\n"
    "handler: out %al, $0x11; lock btrl $0, 0x2000; setc 0x2004; movb $1, 0x2005; iret\n"
    "pv_eoi_end:\n.code64\n.popsection");
extern const uint8_t pv_eoi[], pv_eoi_end[];

static void test_pv_eoi(void)
{
	struct vm vm;
	uint32_t in_service = -1;

	vm_create_with(&vm, true);
	vm_load(&vm, 16, pv_eoi, pv_eoi_end);
	if (!vm_run_once(&vm) && vm.run->exit_reason == KVM_EXIT_IO && vm.run->io.port == 0x11 &&
	    !vm_run_once(&vm) && vm.run->exit_reason == KVM_EXIT_IO && vm.run->io.port == 0x10)
		in_service = *(uint32_t *)((uint8_t *)vm.run + vm.run->io.data_offset);
	ok(vm.mem[0x2004], "a guest is offered to end its interrupt by clearing a bit");
	is(in_service, 0, "it has ended, though the guest gives that up at once");
	vm_destroy(&vm);
}

int main(void)
{
	int kvm = vm_open(), has = vm_has(kvm, KVM_CAP_IRQCHIP);

	close(kvm);
	if (has <= 0) {
		puts("1..0 # SKIP KVM_CAP_IRQCHIP is 0: no interrupt controllers in the kernel");
		return 0;
	}
	test_ioctls();
	test_pic();
	test_apic();
	test_start_at_rest();
	test_pv_eoi();
	return done();
}
