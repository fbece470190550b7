// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The run loop: enter the guest, hand each exit to its callback, go on.
 *
 * Exits that need no callback's answer end in one of the small functions below,
 * found in a table by the exit reason. Each returns a verdict: go on, or stop
 * with a value. An I/O or MMIO instruction is finished only by the next KVM_RUN,
 * so when a callback stops the run we enter once more with immediate_exit set:
 * KVM finishes the instruction and returns without running the guest.
 */
#include <string.h>
#include <sys/ioctl.h>

#include "internal.h"

struct verdict {
	bool stop;
	int value;
};

static const struct verdict go_on = { false, 0 };

static struct verdict stop_with(int value)
{
	struct verdict v = { true, value };

	return v;
}

static struct verdict from_callback(int value)
{
	return value ? stop_with(value) : go_on;
}

static unsigned long long guest_rip(struct kvm_context *kvm, int vcpu)
{
	struct kvm_regs regs;

	return ioctl(kvm->vcpus[vcpu]->fd, KVM_GET_REGS, &regs) < 0 ? ~0ULL :
		regs.rip;
}

static struct verdict exit_io(struct kvm_context *kvm, int vcpu,
			      struct kvm_run *run)
{
	const struct kvm_callbacks *cb = &kvm->callbacks;
	char *data = (char *)run + run->io.data_offset;
	int size = run->io.size, r = 0;

	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		uint32_t value = 0;
		int one = 0;

		if (run->io.direction == KVM_EXIT_IO_IN) {
			value = ~0u;
			if (cb->io_in)
				one = cb->io_in(kvm->opaque, vcpu, run->io.port,
						size, &value);
			memcpy(data, &value, size);
		} else if (cb->io_out) {
			memcpy(&value, data, size);
			one = cb->io_out(kvm->opaque, vcpu, run->io.port, size, value);
		}
		if (!r)
			r = one;
	}
	return from_callback(r);
}

static struct verdict exit_mmio(struct kvm_context *kvm, int vcpu,
				struct kvm_run *run)
{
	const struct kvm_callbacks *cb = &kvm->callbacks;
	int r = 0;

	if (run->mmio.is_write) {
		if (cb->mmio_write)
			r = cb->mmio_write(kvm->opaque, vcpu, run->mmio.phys_addr,
					   run->mmio.len, run->mmio.data);
	} else {
		memset(run->mmio.data, 0xff, sizeof(run->mmio.data));
		if (cb->mmio_read)
			r = cb->mmio_read(kvm->opaque, vcpu, run->mmio.phys_addr,
					  run->mmio.len, run->mmio.data);
	}
	return from_callback(r);
}

static struct verdict exit_halt(struct kvm_context *kvm, int vcpu,
				struct kvm_run *run)
{
	(void)run;
	if (!kvm->callbacks.halt)
		return stop_with(0);
	return from_callback(kvm->callbacks.halt(kvm->opaque, vcpu));
}

static struct verdict exit_irq_window(struct kvm_context *kvm, int vcpu,
				      struct kvm_run *run)
{
	run->request_interrupt_window = 0;
	if (!kvm->callbacks.irq_window)
		return go_on;
	return from_callback(kvm->callbacks.irq_window(kvm->opaque, vcpu));
}

static struct verdict exit_shutdown(struct kvm_context *kvm, int vcpu,
				    struct kvm_run *run)
{
	(void)run;
	if (kvm->callbacks.shutdown)
		return from_callback(kvm->callbacks.shutdown(kvm->opaque, vcpu));
	return stop_with(kvm__fail(ESHUTDOWN, "vCPU %d triple-faulted near rip 0x%llx: an "
				   "exception whose handler could not be called, twice.",
				   vcpu, guest_rip(kvm, vcpu)));
}

static struct verdict exit_debug(struct kvm_context *kvm, int vcpu,
				 struct kvm_run *run)
{
	kvm__pass_breakpoint(kvm, vcpu, run->debug.arch.dr6);
	if (!kvm->callbacks.debug)
		return go_on;
	return from_callback(kvm->callbacks.debug(kvm->opaque, vcpu,
						  &run->debug.arch));
}

static struct verdict exit_fail_entry(struct kvm_context *kvm, int vcpu,
				      struct kvm_run *run)
{
	(void)kvm;
	return stop_with(kvm__fail(ENOEXEC, "The processor refused to enter vCPU %d "
				   "(hardware reason 0x%llx): its state is one that no "
				   "processor can be in, or the module has a bug; see dmesg.",
				   vcpu, (unsigned long long)
				   run->fail_entry.hardware_entry_failure_reason));
}

static struct verdict exit_internal_error(struct kvm_context *kvm, int vcpu,
					  struct kvm_run *run)
{
	return stop_with(kvm__fail(EIO, "KVM gave up on vCPU %d at rip 0x%llx (internal "
				   "error %u%s).", vcpu, guest_rip(kvm, vcpu),
				   run->internal.suberror,
				   run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION ?
				   ": an instruction that it cannot emulate" : ""));
}

static struct verdict exit_again(struct kvm_context *kvm, int vcpu,
				 struct kvm_run *run)
{
	(void)kvm; (void)vcpu; (void)run;
	return go_on;
}

struct exit_reason {
	const char *name;
	struct verdict (*handle)(struct kvm_context *kvm, int vcpu,
				 struct kvm_run *run);
};

static const struct exit_reason exits[] = {
	[KVM_EXIT_UNKNOWN]		= { "UNKNOWN", NULL },
	[KVM_EXIT_EXCEPTION]		= { "EXCEPTION", NULL },
	[KVM_EXIT_IO]			= { "IO", exit_io },
	[KVM_EXIT_HYPERCALL]		= { "HYPERCALL", NULL },
	[KVM_EXIT_DEBUG]		= { "DEBUG", exit_debug },
	[KVM_EXIT_HLT]			= { "HLT", exit_halt },
	[KVM_EXIT_MMIO]			= { "MMIO", exit_mmio },
	[KVM_EXIT_IRQ_WINDOW_OPEN]	= { "IRQ_WINDOW_OPEN", exit_irq_window },
	[KVM_EXIT_SHUTDOWN]		= { "SHUTDOWN", exit_shutdown },
	[KVM_EXIT_FAIL_ENTRY]		= { "FAIL_ENTRY", exit_fail_entry },
	[KVM_EXIT_INTR]			= { "INTR", exit_again },
	[KVM_EXIT_SET_TPR]		= { "SET_TPR", exit_again },
	[KVM_EXIT_TPR_ACCESS]		= { "TPR_ACCESS", exit_again },
	[KVM_EXIT_NMI]			= { "NMI", exit_again },
	[KVM_EXIT_INTERNAL_ERROR]	= { "INTERNAL_ERROR", exit_internal_error },
	[KVM_EXIT_SYSTEM_EVENT]		= { "SYSTEM_EVENT", NULL },
	[KVM_EXIT_IOAPIC_EOI]		= { "IOAPIC_EOI", exit_again },
	[KVM_EXIT_X86_RDMSR]		= { "X86_RDMSR", NULL },
	[KVM_EXIT_X86_WRMSR]		= { "X86_WRMSR", NULL },
	[KVM_EXIT_X86_BUS_LOCK]		= { "X86_BUS_LOCK", exit_again },
	[KVM_EXIT_NOTIFY]		= { "NOTIFY", NULL },
	[KVM_EXIT_MEMORY_FAULT]		= { "MEMORY_FAULT", NULL },
};

#define EXITS (sizeof(exits) / sizeof(exits[0]))

const char *kvm_exit_name(uint32_t reason)
{
	return reason < EXITS && exits[reason].name ? exits[reason].name : "?";
}

static struct verdict dispatch(struct kvm_context *kvm, int vcpu,
			       struct kvm_run *run)
{
	uint32_t reason = run->exit_reason;
	int r = 0;

	if (kvm->callbacks.exit)
		r = kvm->callbacks.exit(kvm->opaque, vcpu, run);
	if (reason < EXITS && exits[reason].handle) {
		struct verdict v = exits[reason].handle(kvm, vcpu, run);

		return r ? stop_with(r) : v;
	}
	if (r)
		return stop_with(r);
	return stop_with(kvm__fail(ENOTSUP, "vCPU %d left the guest for reason %u (%s), which "
				   "nothing here handles.", vcpu, reason,
				   kvm_exit_name(reason)));
}

static bool needs_completion(const struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
	case KVM_EXIT_MMIO:
	case KVM_EXIT_X86_RDMSR:
	case KVM_EXIT_X86_WRMSR:
	case KVM_EXIT_HYPERCALL:
		return true;
	}
	return false;
}

/*
 * Finish the instruction behind the last exit without running the guest. It may
 * exit again (an access that spans two pages): handle that too.
 */
static void complete(struct kvm_context *kvm, int vcpu, struct vcpu *v)
{
	while (kvm->can_complete && needs_completion(v->run)) {
		int r;

		v->run->immediate_exit = 1;
		r = ioctl(v->fd, KVM_RUN, 0);
		v->run->immediate_exit = atomic_load(&v->stop);
		if (r < 0)
			break;
		dispatch(kvm, vcpu, v->run);
	}
}

static int run_failed(struct kvm_context *kvm, int vcpu, struct vcpu *v, int err)
{
	switch (err) {
	case EINTR:
		atomic_store(&v->stop, false);
		v->run->immediate_exit = 0;
		return kvm__fail(EINTR, "vCPU %d was interrupted by a signal.", vcpu);
	case EFAULT:
		return kvm__fail(EFAULT, "KVM cannot get at the guest's memory (rip 0x%llx): "
				 "the process unmapped or protected it.",
				 guest_rip(kvm, vcpu));
	}
	return kvm__ioctl_failed("KVM_RUN", err);
}

int kvm_run(struct kvm_context *kvm, int vcpu)
{
	struct vcpu *v = kvm__vcpu(kvm, vcpu);
	struct verdict verdict = go_on;

	if (!v)
		return -EINVAL;
	do {
		if (ioctl(v->fd, KVM_RUN, 0) < 0) {
			if (errno == EAGAIN)
				continue;
			return run_failed(kvm, vcpu, v, errno);
		}
		verdict = dispatch(kvm, vcpu, v->run);
	} while (!verdict.stop);
	complete(kvm, vcpu, v);
	return verdict.value;
}

int kvm_stop(struct kvm_context *kvm, int vcpu)
{
	struct vcpu *v;

	if (vcpu < 0 || vcpu >= LIBKVM_MAX_VCPUS || !kvm->vcpus[vcpu])
		return -EINVAL;
	v = kvm->vcpus[vcpu];
	atomic_store(&v->stop, true);
	v->run->immediate_exit = 1;
	return 0;
}
