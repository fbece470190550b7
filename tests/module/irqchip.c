// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The in-kernel interrupt controllers and timer, together and from a guest's
 * side: the PIT through the PIC and through the I/O APIC, the cascade, a level
 * that stays high, what user space may ask for, and hostile states while all
 * that runs. tests/unit/irqchip.t has the details of each device.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>

#include "vm.h"

#define CODE		0x100000
#define IDT		0x2000
#define TICKS		0x600	/* counters of the guest's handlers */
#define SLAVES		0x604
#define LEVELS		0x608
#define TOLD		0x510	/* port: a step is done */
#define LOWER		0x511	/* port: lower the line now */
#define N_TICKS		20

/* One 32-bit guest. Each "out" to TOLD ends a step. */
__asm__(
"	.pushsection .rodata\n"
"	.code32\n"
"irq_guest:\n"
"	movl	$0x1ff, 0xfee000f0\n"	/* local APIC on, LINT0: the PIC */
"	movl	$0x700, 0xfee00350\n"
"	mov	$0x11, %al\n"		/* PICs: vectors 0x20 and 0x28 */
"	out	%al, $0x20\n"
"	out	%al, $0xa0\n"
"	mov	$0x20, %al\n"
"	out	%al, $0x21\n"
"	mov	$0x28, %al\n"
"	out	%al, $0xa1\n"
"	mov	$0x04, %al\n"
"	out	%al, $0x21\n"
"	mov	$0x02, %al\n"
"	out	%al, $0xa1\n"
"	mov	$0x01, %al\n"
"	out	%al, $0x21\n"
"	out	%al, $0xa1\n"
"	mov	$0xfa, %al\n"		/* IRQ 0 and the cascade */
"	out	%al, $0x21\n"
"	mov	$0xef, %al\n"		/* IRQ 12 */
"	out	%al, $0xa1\n"
"	mov	$0x34, %al\n"		/* PIT: mode 2, 100 Hz */
"	out	%al, $0x43\n"
"	mov	$11932 & 0xff, %al\n"
"	out	%al, $0x40\n"
"	mov	$11932 >> 8, %al\n"
"	out	%al, $0x40\n"
"	mov	$0x510, %edx\n"
"	sti\n"
"1:	hlt\n"				/* step 1: ticks by the PIC */
"	cmpl	$20, 0x600\n"
"	jb	1b\n"
"	cli\n"
"	mov	$1, %al\n"
"	out	%al, %dx\n"
"	sti\n"
"2:	hlt\n"				/* step 2: IRQ 12 by the cascade */
"	cmpl	$0, 0x604\n"
"	je	2b\n"
"	cli\n"
"	mov	$0xff, %al\n"		/* the PIC is over */
"	out	%al, $0x21\n"
"	movl	$0x10000, 0xfee00350\n"
"	mov	$2, %al\n"
"	out	%al, %dx\n"
"	movl	$0x25, 0xfec00000\n"	/* pin 10: level, vector 0x50 */
"	movl	$0, 0xfec00010\n"
"	movl	$0x24, 0xfec00000\n"
"	movl	$0x8050, 0xfec00010\n"
"	movl	$0x14, 0xfec00000\n"	/* pin 2: edge, vector 0x51 */
"	movl	$0x51, 0xfec00010\n"
"	movl	$0, 0x600\n"
"	sti\n"
"3:	hlt\n"				/* step 3: ticks by the I/O APIC */
"	cmpl	$20, 0x600\n"
"	jb	3b\n"
"	cli\n"
"	movl	$0x10051, 0xfec00010\n"
"	mov	$3, %al\n"
"	out	%al, %dx\n"
"	sti\n"
"4:	pause\n"			/* step 4: a level that stays high */
"	cmpl	$5, 0x608\n"
"	jb	4b\n"
"	cli\n"
"	mov	$4, %al\n"
"	out	%al, %dx\n"
"	mov	$0x16, %al\n"		/* step 5: a count of 1, and a level */
"	out	%al, $0x43\n"
"	mov	$1, %al\n"
"	out	%al, $0x40\n"
"	movl	$0x51, 0xfec00010\n"
"	sti\n"
"5:	pause\n"
"	jmp	5b\n"
"irq_guest_slave:\n"
"	incl	0x604\n"
"	mov	$0x20, %al\n"
"	out	%al, $0xa0\n"
"	out	%al, $0x20\n"
"	iret\n"
"irq_guest_tick:\n"
"	incl	0x600\n"
"	mov	$0x20, %al\n"
"	out	%al, $0x20\n"
"	iret\n"
"irq_guest_apic_tick:\n"
"	incl	0x600\n"
"	movl	$0, 0xfee000b0\n"
"	iret\n"
"irq_guest_level:\n"
"	incl	0x608\n"
"	cmpl	$5, 0x608\n"
"	jne	6f\n"
"	inc	%edx\n"
"	out	%al, %dx\n"
"	dec	%edx\n"
"6:	movl	$0, 0xfee000b0\n"
"	iret\n"
"irq_guest_wait:\n"
"	mov	$0x510, %edx\n"
"	sti\n"
"7:	jmp	7b\n"
"irq_guest_tell:\n"
"	out	%al, %dx\n"
"	jmp	7b\n"
"irq_guest_end:\n"
"	.code64\n"
"	.popsection\n");
extern const uint8_t irq_guest[], irq_guest_slave[], irq_guest_tick[],
	irq_guest_apic_tick[], irq_guest_level[], irq_guest_wait[], irq_guest_tell[],
	irq_guest_end[];

static struct vm vm;

static uint32_t *counter(uint32_t address)
{
	return (uint32_t *)(vm.mem + address);
}

static void gate(unsigned int vector, const uint8_t *handler)
{
	uint32_t where = CODE + (handler - irq_guest);
	uint32_t *entry = counter(IDT + 8 * vector);

	entry[0] = 8 << 16 | (where & 0xffff);
	entry[1] = (where & 0xffff0000) | 0x8e00;
}

static void load(void)
{
	struct kvm_sregs s;

	vm_create_with(&vm, true);
	vm_load(&vm, 32, irq_guest, irq_guest_end);
	gate(0x20, irq_guest_tick);
	gate(0x2c, irq_guest_slave);
	gate(0x50, irq_guest_level);
	gate(0x51, irq_guest_apic_tick);
	gate(0x52, irq_guest_tell);
	ioctl(vm.vcpu, KVM_GET_SREGS, &s);
	s.idt.base = IDT;
	s.idt.limit = 0x7ff;
	ioctl(vm.vcpu, KVM_SET_SREGS, &s);
}

static void start(void)
{
	struct kvm_pit_config config = { .flags = KVM_PIT_SPEAKER_DUMMY };

	load();
	if (ioctl(vm.fd, KVM_CREATE_PIT2, &config) < 0)
		bail_out("KVM_CREATE_PIT2: %s", strerror(errno));
}

static void line(uint32_t gsi, int level)
{
	struct kvm_irq_level l = { .irq = gsi, .level = level };

	if (ioctl(vm.fd, KVM_IRQ_LINE, &l) < 0)
		bail_out("KVM_IRQ_LINE: %s", strerror(errno));
}

/* Run to the next "out": its port and value, or 0. */
static unsigned int step(void)
{
	for (;;) {
		int r = vm_run_once(&vm);

		if (r == -EAGAIN || r == -EINTR)
			continue;
		if (r < 0 || vm.run->exit_reason != KVM_EXIT_IO) {
			note("KVM_RUN %d, exit %u", r, vm.run->exit_reason);
			return 0;
		}
		return vm.run->io.port << 8 |
			((uint8_t *)vm.run)[vm.run->io.data_offset];
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void test_errors(void)
{
	struct kvm_pit_config config = { 0 };
	struct kvm_reinject_control control = { 0 };
	struct kvm_irqchip chip = { .chip_id = 3 };
	struct kvm_pit_state2 pit;
	int kvm = vm_open(), fd = ioctl(kvm, KVM_CREATE_VM, 0), vcpu;
	struct kvm_sregs sregs;

	ok(ioctl(fd, KVM_CREATE_PIT2, &config) < 0 && errno == ENOENT,
	   "no PIT without interrupt controllers");
	chip.chip_id = 0;
	ok(ioctl(fd, KVM_GET_IRQCHIP, &chip) < 0 && errno == ENXIO,
	   "no state of what is not there");
	ok(ioctl(fd, KVM_REINJECT_CONTROL, &control) < 0 && errno == ENXIO,
	   "no reinjection without a PIT");
	is(ioctl(fd, KVM_CREATE_IRQCHIP, 0), 0, "KVM_CREATE_IRQCHIP");
	ok(ioctl(fd, KVM_CREATE_IRQCHIP, 0) < 0 && errno == EEXIST, "... once");
	config.flags = 2;
	ok(ioctl(fd, KVM_CREATE_PIT2, &config) < 0 && errno == EINVAL,
	   "KVM_CREATE_PIT2 with an unknown flag");
	config.flags = 0;
	is(ioctl(fd, KVM_CREATE_PIT2, &config), 0, "KVM_CREATE_PIT2");
	ok(ioctl(fd, KVM_CREATE_PIT2, &config) < 0 && errno == EEXIST, "... once");
	is(ioctl(fd, KVM_REINJECT_CONTROL, &control), 0, "KVM_REINJECT_CONTROL");
	chip.chip_id = 3;
	ok(ioctl(fd, KVM_GET_IRQCHIP, &chip) < 0 && errno == EINVAL, "no fourth chip");
	chip.chip_id = KVM_IRQCHIP_IOAPIC;
	is(ioctl(fd, KVM_GET_IRQCHIP, &chip), 0, "KVM_GET_IRQCHIP");
	is(ioctl(fd, KVM_SET_IRQCHIP, &chip), 0, "KVM_SET_IRQCHIP of the same");
	chip.chip.ioapic.base_address = 0xfec00001;
	ok(ioctl(fd, KVM_SET_IRQCHIP, &chip) < 0 && errno == EINVAL,
	   "an I/O APIC at an odd place");
	chip.chip_id = KVM_IRQCHIP_PIC_SLAVE;
	ioctl(fd, KVM_GET_IRQCHIP, &chip);
	chip.chip.pic.priority_add = 8;
	ok(ioctl(fd, KVM_SET_IRQCHIP, &chip) < 0 && errno == EINVAL,
	   "a PIC with a priority that is none");
	is(ioctl(fd, KVM_GET_PIT2, &pit), 0, "KVM_GET_PIT2");
	is(ioctl(fd, KVM_SET_PIT2, &pit), 0, "KVM_SET_PIT2 of the same");
	pit.channels[1].mode = 6;
	ok(ioctl(fd, KVM_SET_PIT2, &pit) < 0 && errno == EINVAL, "a PIT in mode 6");
	/* QEMU writes all registers back when a guest uses its vmport. */
	vcpu = ioctl(fd, KVM_CREATE_VCPU, 0);
	ioctl(vcpu, KVM_SET_CPUID2, vm_cpuid(kvm));
	ioctl(vcpu, KVM_GET_SREGS, &sregs);
	sregs.apic_base |= 0xc00;
	is(ioctl(vcpu, KVM_SET_SREGS, &sregs), 0, "KVM_SET_SREGS with the APIC in x2APIC mode");
	sregs.apic_base &= ~0x800;
	ok(ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0 && errno == EINVAL,
	   "KVM_SET_SREGS with x2APIC mode and the APIC off");
	close(vcpu);
	close(fd);
	close(kvm);
}

/* ---- the local APIC, by its state ---------------------------------------- */

#define VECTOR		0x40
#define LVT_PERIODIC	0x20000
#define LVT_DEADLINE	0x40000
#define X2APIC_EOI	0x80b		/* MSRs */
#define X2APIC_LVTT	0x832
#define X2APIC_TMICT	0x838
#define X2APIC_TDCR	0x83e
#define DEADLINE	0x6e0

static struct kvm_lapic_state lapic;

static uint32_t *lapic_reg(unsigned int offset)
{
	return (uint32_t *)(lapic.regs + offset);
}

static bool requested(unsigned int vector)
{
	ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic);
	return *lapic_reg(0x200 + vector / 32 * 16) >> vector % 32 & 1;
}

static bool comes(unsigned int vector)
{
	for (int i = 0; i < 1000 && !requested(vector); i++)
		usleep(1000);
	return requested(vector);
}

static int set_msr(uint32_t index, uint64_t data)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msrs = { { .nmsrs = 1 }, { .index = index, .data = data } };

	return ioctl(vm.vcpu, KVM_SET_MSRS, &msrs);
}

static int send_msi(unsigned int dest, bool logical, unsigned int data)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000 | dest << 12 | logical << 2, .data = data };

	return ioctl(vm.fd, KVM_SIGNAL_MSI, &msi);
}

static void test_lapic(void)
{
	vm_create_with(&vm, true);
	ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic);
	*lapic_reg(0xf0) = 0x1ff;
	*lapic_reg(0x320) = LVT_DEADLINE | VECTOR;
	is(ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic), 0, "KVM_SET_LAPIC");

	/* Run it with --append "tsc=reliable tsc_early_khz=800000", too: then it is more ns. */
	is(set_msr(DEADLINE, ~0ULL), 1, "a TSC deadline in years' time");
	usleep(10000);
	ok(!requested(VECTOR), "... does not come");
	set_msr(DEADLINE, 1);
	ok(comes(VECTOR), "a TSC deadline of long ago comes at once");
	*lapic_reg(0x200 + VECTOR / 32 * 16) = 0;
	ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic);
	usleep(10000);
	ok(!requested(VECTOR), "... and not again when the state is restored");

	set_msr(0x10, 1000);
	set_msr(DEADLINE, 1ULL << 42);
	set_msr(0x10, 1ULL << 43);
	ok(comes(VECTOR), "a TSC that is set to beyond the deadline has reached it");
	*lapic_reg(0xd0) = 0x21000000;
	*lapic_reg(0xe0) = 0x0fffffff;
	ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic);
	is(send_msi(0x21, true, 0x51), 1, "cluster model: a message to a member of a cluster");
	is(send_msi(0x31, true, 0x52), 0, "... to another cluster");
	is(send_msi(0x22, true, 0x53), 0, "... to another member");
	is(send_msi(0xff, true, 0x54), 1, "... to all");

	*lapic_reg(0x20) = 0x55000000;
	ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic);
	is(send_msi(0x55, false, 0x500), 1, "an INIT to an APIC with a new id");
	vm_run_once(&vm);
	ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic);
	is(*lapic_reg(0xf0), 0xff, "... resets it");
	is(*lapic_reg(0x20), 0x55000000, "... but not its id");

	set_msr(0x1b, 0xfee00d00);
	ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic);
	is(*lapic_reg(0x20), 0, "x2APIC mode has the id of the vCPU");
	*lapic_reg(0xf0) = 0x1ff;
	*lapic_reg(0x320) = VECTOR;
	ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic);
	set_msr(X2APIC_TDCR, 0xb);
	set_msr(X2APIC_TMICT, 1000);
	ok(comes(VECTOR), "one shot of the timer");
	set_msr(X2APIC_LVTT, VECTOR + 1);
	set_msr(X2APIC_TDCR, 0xb);
	usleep(10000);
	ok(!requested(VECTOR + 1), "... and no second one by a new divisor");
	set_msr(X2APIC_TMICT, 20000000);
	set_msr(X2APIC_LVTT, LVT_PERIODIC | (VECTOR + 2));
	ok(comes(VECTOR + 2), "a count goes on when one shot becomes periodic");
	is(*lapic_reg(0x380), 20000000, "... and stays");
	ok(*lapic_reg(0x390), "... for the next round");
	set_msr(X2APIC_LVTT, LVT_DEADLINE | (VECTOR + 2));
	ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic);
	is(*lapic_reg(0x380), 0, "deadline mode ends it");
	vm_destroy(&vm);
}

/* Whoever saves the memory first and the APIC then would lose an interrupt's end. */
static void test_pv_eoi(void)
{
	struct kvm_regs regs;

	load();
	ioctl(vm.vcpu, KVM_GET_REGS, &regs);
	regs.rip = CODE + (irq_guest_wait - irq_guest);
	ioctl(vm.vcpu, KVM_SET_REGS, &regs);
	is(set_msr(0x4b564d04, DATA | 1), 1, "KVM_SET_MSRS of MSR_KVM_PV_EOI_EN");
	ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic);
	*lapic_reg(0xf0) = 0x1ff;
	ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic);
	is(send_msi(0, false, 0x52), 1, "an interrupt");
	is(step() >> 8, TOLD, "... reaches the guest");
	is(*counter(DATA), 0, "... and no offer to end it by a bit stays in the memory");
	ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic);
	is(*lapic_reg(0x100 + 0x52 / 32 * 16), 1 << 0x52 % 32, "KVM_GET_LAPIC: it is in service");
	vm_destroy(&vm);
}

static int irqfd(int fd, int resample, unsigned int gsi, unsigned int flags)
{
	struct kvm_irqfd args = { .fd = fd, .gsi = gsi, .flags = flags, .resamplefd = resample };

	if (resample >= 0)
		args.flags |= KVM_IRQFD_FLAG_RESAMPLE;
	return ioctl(vm.fd, KVM_IRQFD, &args);
}

/* Two devices share a level; the second raises it as soon as the first is told of its end. */
static void test_irqfd(void)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	int first = eventfd(0, 0), second = eventfd(0, 0), told = eventfd(0, EFD_NONBLOCK), i;
	uint64_t one = 1;

	vm_create_with(&vm, true);
	set_msr(0x1b, 0xfee00d00);
	ioctl(vm.vcpu, KVM_GET_LAPIC, &lapic);
	*lapic_reg(0xf0) = 0x1ff;
	ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic);
	ioctl(vm.fd, KVM_GET_IRQCHIP, &chip);
	chip.chip.ioapic.redirtbl[10].bits = 0x8050;
	chip.chip.ioapic.redirtbl[11].bits = 0x51;
	ioctl(vm.fd, KVM_SET_IRQCHIP, &chip);

	for (i = 0; i < 200; i++) {
		int fd = eventfd(0, 0);

		if (irqfd(fd, -1, 11, 0) < 0)
			break;
		close(fd);
	}
	is(i, 200, "irqfds whose eventfds are closed");
	is(irqfd(first, second, 10, 0), 0, "an irqfd with a resampler");
	is(irqfd(second, told, 10, 0), 0, "... that is another irqfd");
	ok(irqfd(second, told, 10, 0) < 0 && errno == EBUSY, "... once");
	ok(write(first, &one, 8) == 8 && requested(0x50), "the first raises the line");
	*lapic_reg(0x100 + 0x50 / 32 * 16) = *lapic_reg(0x200 + 0x50 / 32 * 16);
	*lapic_reg(0x200 + 0x50 / 32 * 16) = 0;
	ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic);
	set_msr(X2APIC_EOI, 0);
	ioctl(vm.fd, KVM_GET_IRQCHIP, &chip);
	ok(requested(0x50) && chip.chip.ioapic.irr & 1 << 10,
	   "its end makes the second raise it again, and it stays high");
	ok(read(told, &one, 8) == 8 && one == 1, "... and is told to all");
	is(irqfd(first, -1, 10, KVM_IRQFD_FLAG_DEASSIGN), 0, "KVM_IRQFD_FLAG_DEASSIGN");
	ioctl(vm.fd, KVM_GET_IRQCHIP, &chip);
	ok(chip.chip.ioapic.irr & 1 << 10, "... leaves another's level alone");
	is(irqfd(second, -1, 10, KVM_IRQFD_FLAG_DEASSIGN), 0, "KVM_IRQFD_FLAG_DEASSIGN");
	*lapic_reg(0x100 + 0x50 / 32 * 16) = *lapic_reg(0x200 + 0x50 / 32 * 16);
	*lapic_reg(0x200 + 0x50 / 32 * 16) = 0;
	ioctl(vm.vcpu, KVM_SET_LAPIC, &lapic);
	set_msr(X2APIC_EOI, 0);
	ok(!requested(0x50), "... takes its level with it");
	vm_destroy(&vm);

	vm.kvm = vm_open();
	vm.fd = ioctl(vm.kvm, KVM_CREATE_VM, 0);
	is(ioctl(vm.fd, KVM_ENABLE_CAP, &split), 0, "KVM_CAP_SPLIT_IRQCHIP");
	is(irqfd(first, -1, 10, 0), 0, "there, an irqfd");
	ok(irqfd(second, told, 10, 0) < 0 && errno == EINVAL,
	   "... but no resampler: user space sees the ends of interrupts");
	close(vm.fd);
	close(vm.kvm);
	close(first);
	close(second);
	close(told);
}

static void test_guest(void)
{
	struct kvm_irqchip chip = { .chip_id = KVM_IRQCHIP_IOAPIC };
	struct kvm_pit_state2 pit;
	double began;
	int i;

	start();
	began = now();
	is(step(), TOLD << 8 | 1, "the PIT's ticks reach the guest by the PIC");
	began = now() - began;
	ok(began > 0.9 * N_TICKS / 100 && began < 10, "%d ticks at 100 Hz: %.3f s",
	   N_TICKS, began);
	is(ioctl(vm.fd, KVM_GET_PIT2, &pit), 0, "KVM_GET_PIT2");
	ok(pit.channels[0].mode == 2 && pit.channels[0].count == 11932 &&
	   pit.channels[0].rw_mode == 3, "it says what the guest programmed");
	line(12, 1);
	line(12, 0);
	is(step(), TOLD << 8 | 2, "IRQ 12 by the cascade");
	is(*counter(SLAVES), 1, "... once");
	is(step(), TOLD << 8 | 3, "the PIT's ticks by the I/O APIC");
	line(10, 1);
	for (i = 0; i < 3 && step() >> 8 != LOWER; i++)
		;
	is(vm.run->io.port, LOWER, "a level that stays high comes again and again");
	line(10, 0);
	is(step(), TOLD << 8 | 4, "the guest goes on when it is low");
	is(*counter(LEVELS), 5, "... and it comes no more");
	is(ioctl(vm.fd, KVM_GET_IRQCHIP, &chip), 0, "KVM_GET_IRQCHIP");
	is(chip.chip.ioapic.redirtbl[10].bits, 0x8050, "the I/O APIC's entry");
}

/* ---- everything at once -------------------------------------------------- */

static volatile bool over;
static unsigned long rounds[3];

static void *set_lines(void *arg)
{
	unsigned int seed = 1;

	(void)arg;
	while (!over) {
		line(rand_r(&seed) % 24, rand_r(&seed) & 1);
		rounds[0]++;
	}
	return NULL;
}

static void *set_chips(void *arg)
{
	struct kvm_irqchip chip = { 0 };
	unsigned int seed = 2, i;

	(void)arg;
	while (!over) {
		chip.chip_id = rand_r(&seed) % 3;
		ioctl(vm.fd, KVM_GET_IRQCHIP, &chip);
		for (i = rand_r(&seed) % 4; i; i--) {
			unsigned int size = chip.chip_id == 2 ?
				sizeof(chip.chip.ioapic) : sizeof(chip.chip.pic);

			chip.chip.dummy[rand_r(&seed) % size] = rand_r(&seed);
		}
		ioctl(vm.fd, KVM_SET_IRQCHIP, &chip);
		rounds[1]++;
	}
	return NULL;
}

static void *set_pit(void *arg)
{
	struct kvm_reinject_control control = { 0 };
	struct kvm_pit_state2 pit;
	unsigned int seed = 3;

	(void)arg;
	while (!over) {
		ioctl(vm.fd, KVM_GET_PIT2, &pit);
		pit.channels[rand_r(&seed) % 3].mode = rand_r(&seed) % 7;
		pit.channels[0].count = rand_r(&seed) % 5;
		if (rand_r(&seed) % 4 == 0)
			((uint8_t *)&pit)[rand_r(&seed) % sizeof(pit)] = rand_r(&seed);
		ioctl(vm.fd, KVM_SET_PIT2, &pit);
		control.pit_reinject = rand_r(&seed) & 1;
		ioctl(vm.fd, KVM_REINJECT_CONTROL, &control);
		rounds[2]++;
	}
	return NULL;
}

static void *run(void *arg)
{
	(void)arg;
	/* It may halt, or fault for want of a handler: begin again. */
	while (!over) {
		if (vm_run_once(&vm) < 0 || vm.run->exit_reason == KVM_EXIT_SHUTDOWN)
			vm_mode_of(&vm, vm.vcpu, 32);
	}
	return NULL;
}

static void nothing(int signal)
{
	(void)signal;
}

static void test_storm(void)
{
	void *(*const work[])(void *) = { set_lines, set_chips, set_pit };
	struct sigaction action = { .sa_handler = nothing };
	pthread_t thread[3], vcpu;
	uint32_t before = *counter(TICKS), ticks;
	int i;

	/* Step 5 of the guest: a count of 1. */
	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&vcpu, NULL, run, NULL);
	sleep(1);
	ticks = *counter(TICKS) - before;
	ok(ticks > 0 && ticks <= 20000, "a count of 1: %u ticks a second, the host lives",
	   ticks);
	for (i = 0; i < 3; i++)
		pthread_create(&thread[i], NULL, work[i], NULL);
	sleep(3);
	over = true;
	for (i = 0; i < 3; i++)
		pthread_join(thread[i], NULL);
	for (i = 0; i < 50; i++) {
		pthread_kill(vcpu, SIGUSR1);
		usleep(2000);
	}
	pthread_join(vcpu, NULL);
	ok(rounds[0] > 10 && rounds[1] > 10 && rounds[2] > 10,
	   "hostile states while it runs: %lu lines, %lu chips, %lu PITs",
	   rounds[0], rounds[1], rounds[2]);
	/* The timers are still running when the machine goes. */
	vm_destroy(&vm);
	ok(1, "the machine goes with its timers running");
}

int main(void)
{
	int kvm = vm_open();

	if (vm_has(kvm, KVM_CAP_IRQCHIP) <= 0 || vm_has(kvm, KVM_CAP_PIT2) <= 0) {
		skip("in-kernel interrupt controllers",
		     "this module says it has none (KVM_CAP_IRQCHIP, KVM_CAP_PIT2)");
		return done();
	}
	close(kvm);
	test_errors();
	test_pv_eoi();
	test_lapic();
	test_irqfd();
	test_guest();
	test_storm();
	return done();
}
