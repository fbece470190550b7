// SPDX-License-Identifier: GPL-2.0-only
/*
 * vcpu.c: a virtual processor: its file descriptor, its run loop, its events.
 *
 * KVM_RUN (run_ioctl) finishes what user space was asked for, then loops:
 * run_once() delivers events, enters the guest, and lets the vendor handle the
 * exit. The loop ends when a handler needs user space, on a signal, or when
 * user space wants to inject an interrupt and now can.
 *
 * While KVM_RUN lasts the thread wears the guest's FPU state; a context switch
 * saves and restores it like any thread's. XCR0, debug registers and what the
 * vendor's structures do not hold are switched around each entry, and only if
 * the guest uses them.
 *
 * Whoever changes shared state sets a bit in vcpu->requests and interrupts the
 * vCPU if it is in the guest. The vCPU publishes VCPU_IN_GUEST first and looks at
 * the requests after, with interrupts off: so it sees the request or gets the
 * interrupt, which makes it leave the guest at once.
 */
#include <linux/anon_inodes.h>
#include <linux/context_tracking.h>
#include <linux/entry-kvm.h>
#include <linux/file.h>
#include <linux/hw_breakpoint.h>
#include <uapi/linux/kvm_para.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/slab.h>
#include <linux/static_call.h>
#include <linux/vtime.h>
#include <trace/events/ipi.h>
#include <asm/debugreg.h>
#include <asm/fpu/xcr.h>
#include <asm/nospec-branch.h>

#include "kvm.h"

/* The ops of each exit, called directly. */
DEFINE_STATIC_CALL_NULL(kvm_enter, *((struct kvm_x86_ops *)NULL)->enter);
DEFINE_STATIC_CALL_NULL(kvm_exit_irqoff, *((struct kvm_x86_ops *)NULL)->handle_exit_irqoff);
DEFINE_STATIC_CALL_RET0(kvm_exit, *((struct kvm_x86_ops *)NULL)->handle_exit);

void kvm_vcpu_use_ops(void)
{
	static_call_update(kvm_enter, kvm_ops->enter);
	static_call_update(kvm_exit_irqoff, kvm_ops->handle_exit_irqoff);
	static_call_update(kvm_exit, kvm_ops->handle_exit);
}

static unsigned int halt_poll_ns = 200000;
module_param(halt_poll_ns, uint, 0644);
MODULE_PARM_DESC(halt_poll_ns, "How long a halted vCPU waits in a loop at most before it sleeps");

/* ---- on and off a host processor ----------------------------------------- */

static void load_on_cpu(struct kvm_vcpu *vcpu, int cpu)
{
	vcpu->cpu = cpu;
	kvm_ops->vcpu_load(vcpu, cpu);
	kvm_load_tsc_aux(vcpu);
}

/* The host's value is its CPU's number: the guest's, if it has as many vCPUs. */
void kvm_load_tsc_aux(struct kvm_vcpu *vcpu)
{
	if (!vcpu->tsc_aux_loaded &&
	    (!vcpu->wants_tsc_aux || vcpu->tsc_aux == __this_cpu_read(kvm_host_tsc_aux)))
		return;
	native_write_msr(MSR_TSC_AUX, lower_32_bits(vcpu->tsc_aux), 0);
	vcpu->tsc_aux_loaded = true;
}

/*
 * An exit on VMX leaves no LDT, and one on SVM that of vcpu_load(), which another thread
 * may have replaced and freed. The GDT has the process's.
 */
void kvm_load_host_ldt(void)
{
#ifdef CONFIG_MODIFY_LDT_SYSCALL
	if (unlikely(READ_ONCE(current->mm->context.ldt)))
		asm volatile("lldt %w0" : : "q" (GDT_ENTRY_LDT * 8));
#endif
}
EXPORT_SYMBOL_GPL(kvm_load_host_ldt);

static void put_from_cpu(struct kvm_vcpu *vcpu)
{
	if (vcpu->tsc_aux_loaded)
		wrmsrl(MSR_TSC_AUX, __this_cpu_read(kvm_host_tsc_aux));
	vcpu->tsc_aux_loaded = false;
	kvm_ops->vcpu_put(vcpu);
	vcpu->cpu = -1;
}

static void sched_in(struct preempt_notifier *notifier, int cpu)
{
	struct kvm_vcpu *vcpu = container_of(notifier, struct kvm_vcpu, preempt);

	WRITE_ONCE(vcpu->preempted, false);
	load_on_cpu(vcpu, cpu);
	kvm_pv_sched_in(vcpu);
}

static void sched_out(struct preempt_notifier *notifier, struct task_struct *next)
{
	struct kvm_vcpu *vcpu = container_of(notifier, struct kvm_vcpu, preempt);

	WRITE_ONCE(vcpu->preempted, READ_ONCE(current->on_rq));
	kvm_pv_sched_out(vcpu);
	put_from_cpu(vcpu);
}

static struct preempt_ops preempt_ops = {
	.sched_in = sched_in,
	.sched_out = sched_out,
};

static void vcpu_load(struct kvm_vcpu *vcpu)
{
	guard(preempt)();
	preempt_notifier_register(&vcpu->preempt);
	load_on_cpu(vcpu, smp_processor_id());
}

static void vcpu_put(struct kvm_vcpu *vcpu)
{
	guard(preempt)();
	put_from_cpu(vcpu);
	preempt_notifier_unregister(&vcpu->preempt);
}

void kvm_kick(struct kvm_vcpu *vcpu)
{
	int cpu = READ_ONCE(vcpu->cpu);

	rcuwait_wake_up(&vcpu->wait);
	guard(preempt)();
	if (READ_ONCE(vcpu->mode) == VCPU_IN_GUEST && cpu >= 0 && cpu != smp_processor_id())
		smp_send_reschedule(cpu);
}

bool kvm_yield_to(struct kvm_vcpu *vcpu)
{
	struct task_struct *task __free(put_task) = NULL;

	scoped_guard(rcu)
		task = get_pid_task(rcu_dereference(vcpu->pid), PIDTYPE_PID);
	return task && yield_to(task, true) > 0;
}

/* ---- events -------------------------------------------------------------- */

/* SDM vol. 3, table 6-5: which exceptions make a double fault of a second. */
static bool contributory(u8 nr)
{
	return nr == X86_TRAP_DE || (nr >= X86_TRAP_TS && nr <= X86_TRAP_GP);
}

static void queue_exception(struct kvm_vcpu *vcpu, u8 nr, bool has_error,
			    u32 error_code, u64 payload)
{
	struct kvm_events *ev = &vcpu->events;
	bool first = ev->exception.pending || ev->exception.injected;
	u8 earlier = ev->exception.nr;

	if (first && earlier == X86_TRAP_DF) {
		ev->exception.pending = ev->exception.injected = false;
		kvm_request(vcpu, REQ_TRIPLE_FAULT);
		return;
	}
	if (first && ((contributory(earlier) && contributory(nr)) ||
		      (earlier == X86_TRAP_PF && (nr == X86_TRAP_PF || contributory(nr))))) {
		nr = X86_TRAP_DF;
		has_error = true;
		error_code = 0;
	}
	ev->look = true;
	ev->exception = (struct kvm_exception){
		.pending = true, .nr = nr, .error_code = error_code, .payload = payload,
		.has_error = has_error && vcpu->cr0 & X86_CR0_PE,
		.has_payload = nr == X86_TRAP_PF || nr == X86_TRAP_DB,
	};
}

void kvm_queue_exception(struct kvm_vcpu *vcpu, u8 nr)
{
	queue_exception(vcpu, nr, false, 0, 0);
}

void kvm_queue_exception_e(struct kvm_vcpu *vcpu, u8 nr, u32 error_code)
{
	queue_exception(vcpu, nr, true, error_code, 0);
}
EXPORT_SYMBOL_GPL(kvm_queue_exception_e);

void kvm_queue_page_fault(struct kvm_vcpu *vcpu, u64 cr2, u32 error_code)
{
	queue_exception(vcpu, X86_TRAP_PF, true, error_code, cr2);
}

void kvm_requeue_event(struct kvm_vcpu *vcpu, u32 info, u32 error_code)
{
	struct kvm_events *ev = &vcpu->events;
	u8 type = EVENT_TYPE(info);

	ev->look = true;
	switch (type) {
	case EVENT_TYPE_NMI:
		ev->nmi.injected = true;
		break;
	case EVENT_TYPE_EXTINT:
	case EVENT_TYPE_SWINT:
		ev->irq.injected = true;
		ev->irq.soft = type == EVENT_TYPE_SWINT;
		ev->irq.nr = info;
		break;
	default:
		ev->exception = (struct kvm_exception){
			.injected = true, .nr = info, .error_code = error_code,
			.has_error = info & EVENT_HAS_ERROR,
		};
	}
}
EXPORT_SYMBOL_GPL(kvm_requeue_event);

void kvm_deliver_payload(struct kvm_vcpu *vcpu)
{
	struct kvm_events *ev = &vcpu->events;

	if (!ev->exception.has_payload)
		return;
	ev->exception.has_payload = false;
	if (ev->exception.nr == X86_TRAP_PF)
		vcpu->cr2 = ev->exception.payload;
	if (ev->exception.nr != X86_TRAP_DB)
		return;
	/* The conditions are added, BS and BD are set, not cleared. */
	vcpu->dr6 &= ~DR_TRAP_BITS;
	vcpu->dr6 |= DR6_FIXED | (ev->exception.payload & DR6_WRITABLE);
	if (vcpu->dr7 & DR7_GD) {
		vcpu->dr7 &= ~(u64)DR7_GD;
		kvm_ops->update_debug(vcpu);
	}
}

/* Faults push RF = 1, so that a code breakpoint does not hit twice. */
static bool sets_rf(u8 nr)
{
	return nr != X86_TRAP_DB && nr != X86_TRAP_BP && nr != X86_TRAP_OF &&
	       nr != X86_TRAP_DF && nr != X86_TRAP_MC;
}

static void inject_exception(struct kvm_vcpu *vcpu)
{
	struct kvm_events *ev = &vcpu->events;

	if (ev->exception.pending) {
		kvm_deliver_payload(vcpu);
		if (sets_rf(ev->exception.nr))
			kvm_ops->set_rflags(vcpu, kvm_ops->get_rflags(vcpu) | X86_EFLAGS_RF);
		ev->exception.pending = false;
		ev->exception.injected = true;
	}
	vcpu->stat[STAT_injected_exception]++;
	kvm_ops->inject(vcpu, EVENT_VALID | EVENT_TYPE_HWEXC << 8 | ev->exception.nr |
			(ev->exception.has_error ? EVENT_HAS_ERROR : 0), ev->exception.error_code);
}

static bool irq_allowed(struct kvm_vcpu *vcpu)
{
	return kvm_ops->get_rflags(vcpu) & X86_EFLAGS_IF && !kvm_ops->get_shadow(vcpu);
}

/* Just when VMX's NMI window would exit: else the wait for one has no end. */
static bool nmi_allowed(struct kvm_vcpu *vcpu)
{
	return !kvm_ops->get_nmi_mask(vcpu) &&
	       !(kvm_ops->get_shadow(vcpu) & KVM_X86_SHADOW_INT_MOV_SS);
}

static bool extint_pending(struct kvm_vcpu *vcpu)
{
	return vcpu->kvm->pic && kvm_pic_has_interrupt(vcpu->kvm) && kvm_apic_accepts_extint(vcpu);
}

/* Is there an interrupt to deliver, once the guest can take it? */
static bool irq_pending(struct kvm_vcpu *vcpu)
{
	return vcpu->events.irq.pending ||
	       (vcpu->lapic && (kvm_apic_pending(vcpu) >= 0 || extint_pending(vcpu)));
}

/* Take it: the vector, or -1 if it has gone away. */
static int acknowledge_irq(struct kvm_vcpu *vcpu)
{
	int vector;

	if (vcpu->events.irq.pending) {
		vcpu->events.irq.pending = false;
		return vcpu->events.irq.nr;
	}
	if (extint_pending(vcpu))
		return kvm_pic_acknowledge(vcpu->kvm);
	vector = kvm_apic_pending(vcpu);
	if (vector >= 0)
		kvm_apic_acknowledge(vcpu, vector);
	return vector;
}

/* An NMI or an interrupt that goes in now, if there is one. */
static void take_interrupt(struct kvm_vcpu *vcpu)
{
	struct kvm_events *ev = &vcpu->events;
	int vector;

	if (ev->nmi.pending && nmi_allowed(vcpu)) {
		ev->nmi.pending--;
		ev->nmi.injected = true;
		vcpu->stat[STAT_injected_nmi]++;
	} else if (irq_pending(vcpu) && irq_allowed(vcpu)) {
		vector = acknowledge_irq(vcpu);
		if (vector < 0)
			return;
		ev->irq.nr = vector;
		ev->irq.injected = true;
		ev->irq.soft = false;
		vcpu->stat[STAT_injected_irq]++;
		if (vcpu->pv.eoi && vcpu->lapic)
			kvm_apic_pv_eoi(vcpu);
	}
}

/* Unless the PIC is ours, user space injects its interrupts when it can. */
static bool wants_irq_window(struct kvm_vcpu *vcpu)
{
	return vcpu->run->request_interrupt_window && !vcpu->kvm->pic &&
	       (!vcpu->lapic || kvm_apic_accepts_extint(vcpu));
}

/* Is an event being delivered, which another one must wait for? */
static bool event_under_way(const struct kvm_events *ev)
{
	return ev->exception.pending || ev->exception.injected || ev->nmi.injected ||
	       ev->irq.injected;
}

/*
 * At most one event goes in; ask for an exit when the next one can. As long as
 * there is one that waits, we look again at each entry.
 */
static void inject_events(struct kvm_vcpu *vcpu)
{
	struct kvm_events *ev = &vcpu->events;
	bool exception = ev->exception.pending || ev->exception.injected;
	/* A debugger steps through the guest's code, not its handlers. */
	bool held = vcpu->guest_debug & KVM_GUESTDBG_BLOCKIRQ, irq;
	u8 blocked;

	if (!event_under_way(ev) && !held)
		take_interrupt(vcpu);
	if (exception)
		inject_exception(vcpu);
	else if (ev->nmi.injected)
		kvm_ops->inject(vcpu, EVENT_VALID | EVENT_TYPE_NMI << 8 | X86_TRAP_NMI, 0);
	else if (ev->irq.injected)
		kvm_ops->inject(vcpu, EVENT_VALID | ev->irq.nr |
				(ev->irq.soft ? EVENT_TYPE_SWINT : EVENT_TYPE_EXTINT) << 8, 0);

	if (ev->nmi.pending && !held)
		kvm_ops->request_nmi_window(vcpu);
	irq = (!held && irq_pending(vcpu)) || wants_irq_window(vcpu);
	if (irq)
		kvm_ops->irq_window(vcpu, true);
	ev->look = irq || ev->nmi.pending || kvm_smi_pending(vcpu);
	blocked = vcpu->lapic ? kvm_apic_blocked(vcpu) : vcpu->tpr_watched;
	if (vcpu->tpr_watched != blocked) {
		vcpu->tpr_watched = blocked;
		kvm_ops->watch_tpr(vcpu);
	}
}

/* May user space inject an interrupt now? */
static bool ready_for_irq(struct kvm_vcpu *vcpu)
{
	struct kvm_events *ev = &vcpu->events;

	if (vcpu->kvm->pic)
		return true;	/* it need not care */
	if (vcpu->lapic && !kvm_apic_accepts_extint(vcpu))
		return false;
	return !ev->irq.pending && !ev->irq.injected && !ev->exception.pending &&
	       !ev->exception.injected && irq_allowed(vcpu);
}

/* ---- exits that are the same on both vendors ----------------------------- */

int kvm_internal_error(struct kvm_vcpu *vcpu, u32 suberror, u64 a, u64 b)
{
	vcpu->run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	vcpu->run->internal.suberror = suberror;
	vcpu->run->internal.ndata = 2;
	vcpu->run->internal.data[0] = a;
	vcpu->run->internal.data[1] = b;
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_internal_error);

int kvm_entry_failed(struct kvm_vcpu *vcpu, u64 reason)
{
	vcpu->run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	vcpu->run->fail_entry.hardware_entry_failure_reason = reason;
	vcpu->run->fail_entry.cpu = vcpu->cpu;
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_entry_failed);

int kvm_skip_bytes(struct kvm_vcpu *vcpu, unsigned int length)
{
	u64 rip = kvm_reg_read(vcpu, REG_RIP) + length;

	if (!kvm_is_long_mode(vcpu))
		rip = (u32)rip;
	kvm_reg_write(vcpu, REG_RIP, rip);
	kvm_ops->set_shadow(vcpu, 0);
	if (unlikely(kvm_ops->get_rflags(vcpu) & X86_EFLAGS_TF))
		return kvm_handle_debug(vcpu, DR_STEP);
	return 1;
}
EXPORT_SYMBOL_GPL(kvm_skip_bytes);

int kvm_handle_cpuid(struct kvm_vcpu *vcpu)
{
	struct kvm_cpuid_entry2 e;

	vcpu->stat[STAT_cpuid]++;
	kvm_cpuid(vcpu, kvm_reg_read(vcpu, REG_RAX), kvm_reg_read(vcpu, REG_RCX), &e);
	kvm_reg_write(vcpu, REG_RAX, e.eax);
	kvm_reg_write(vcpu, REG_RBX, e.ebx);
	kvm_reg_write(vcpu, REG_RCX, e.ecx);
	kvm_reg_write(vcpu, REG_RDX, e.edx);
	return kvm_ops->skip_instruction(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_handle_cpuid);

int kvm_handle_hlt(struct kvm_vcpu *vcpu)
{
	int r = kvm_ops->skip_instruction(vcpu);

	return r > 0 ? kvm_halt(vcpu) : r;
}
EXPORT_SYMBOL_GPL(kvm_handle_hlt);

int kvm_halt(struct kvm_vcpu *vcpu)
{
	vcpu->stat[STAT_halt]++;
	if (vcpu->lapic) {
		vcpu->mp_state = KVM_MP_STATE_HALTED;
		return 1;	/* run_loop() waits */
	}
	/* Something is there to wake it up. */
	if (vcpu->events.exception.pending || kvm_smi_pending(vcpu) ||
	    (vcpu->events.nmi.pending && nmi_allowed(vcpu)) ||
	    (vcpu->events.irq.pending && irq_allowed(vcpu)))
		return 1;
	vcpu->run->exit_reason = KVM_EXIT_HLT;
	return 0;
}

u64 kvm_hypercall(struct kvm_vcpu *vcpu, const u64 regs[16])
{
	u64 mask = kvm_is_long_mode(vcpu) ? ~0ULL : U32_MAX;
	u64 a[] = { regs[REG_RBX] & mask, regs[REG_RCX] & mask,
		    regs[REG_RDX] & mask, regs[REG_RSI] & mask };

	vcpu->stat[STAT_hypercall]++;
	return (kvm_ops->get_cpl(vcpu) ? -KVM_EPERM :
		kvm_pv_hypercall(vcpu, regs[REG_RAX] & mask, a)) & mask;
}

int kvm_handle_hypercall(struct kvm_vcpu *vcpu)
{
	kvm_reg_write(vcpu, REG_RAX, kvm_hypercall(vcpu, vcpu->regs));
	return kvm_ops->skip_instruction(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_handle_hypercall);

int kvm_handle_xsetbv(struct kvm_vcpu *vcpu)
{
	u64 value = (u32)kvm_reg_read(vcpu, REG_RAX) | kvm_reg_read(vcpu, REG_RDX) << 32;

	vcpu->stat[STAT_xsetbv]++;
	if (kvm_ops->get_cpl(vcpu) || kvm_set_xcr0(vcpu, kvm_reg_read(vcpu, REG_RCX), value))
		return kvm_handle_gp(vcpu);
	return kvm_ops->skip_instruction(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_handle_xsetbv);

/* Guest memory is cached like any other of the host: nothing to write back. */
int kvm_handle_wbinvd(struct kvm_vcpu *vcpu)
{
	vcpu->stat[STAT_wbinvd]++;
	return kvm_ops->skip_instruction(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_handle_wbinvd);

/* It spins: perhaps the vCPU that it waits for has no CPU. */
int kvm_handle_pause(struct kvm_vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;
	int nr = READ_ONCE(kvm->nr_vcpus);

	vcpu->stat[STAT_pause]++;
	for (int i = 1; i < nr; i++) {
		int next = (READ_ONCE(kvm->yielded_to) + i) % nr;
		struct kvm_vcpu *other = xa_load(&kvm->vcpus, next);

		if (other && other != vcpu && READ_ONCE(other->preempted) && kvm_yield_to(other)) {
			WRITE_ONCE(kvm->yielded_to, next);
			break;
		}
	}
	return 1;
}
EXPORT_SYMBOL_GPL(kvm_handle_pause);

void kvm_host_machine_check(void)
{
#ifdef CONFIG_X86_MCE
	/* As if it had hit user space: no kernel state is in doubt. */
	struct pt_regs regs = { .cs = __USER_CS, .flags = X86_EFLAGS_IF };

	do_machine_check(&regs);
#endif
}
EXPORT_SYMBOL_GPL(kvm_host_machine_check);

int kvm_handle_nothing(struct kvm_vcpu *vcpu)
{
	return 1;
}
EXPORT_SYMBOL_GPL(kvm_handle_nothing);

/* It is still pending, and taken as soon as interrupts are on. */
int kvm_handle_irq(struct kvm_vcpu *vcpu)
{
	vcpu->stat[STAT_irq]++;
	return 1;
}
EXPORT_SYMBOL_GPL(kvm_handle_irq);

int kvm_handle_ud(struct kvm_vcpu *vcpu)
{
	kvm_queue_exception(vcpu, X86_TRAP_UD);
	return 1;
}
EXPORT_SYMBOL_GPL(kvm_handle_ud);

int kvm_handle_gp(struct kvm_vcpu *vcpu)
{
	kvm_queue_exception_e(vcpu, X86_TRAP_GP, 0);
	return 1;
}
EXPORT_SYMBOL_GPL(kvm_handle_gp);

static u64 linear_rip(struct kvm_vcpu *vcpu)
{
	u64 rip = kvm_reg_read(vcpu, REG_RIP);
	struct kvm_segment cs;

	kvm_ops->get_segment(vcpu, SEG_CS, &cs);
	return kvm_is_long_mode(vcpu) && cs.l ? rip : (u32)(cs.base + rip);
}

/*
 * RSM is one to the processor, which is not in system management mode. A guest
 * that came from the other vendor's processor makes its hypercalls by that one's
 * instruction: give it ours.
 */
int kvm_handle_undefined(struct kvm_vcpu *vcpu)
{
	u64 linear = linear_rip(vcpu);

	if (vcpu->events.smi.active && kvm_code_is(vcpu, linear, 0xaa0f, 2))
		return kvm_leave_smm(vcpu);
	if (!(vcpu->kvm->disabled_quirks & KVM_X86_QUIRK_FIX_HYPERCALL_INSN) &&
	    kvm_code_is(vcpu, linear, kvm_ops->foreign_hypercall, 3) &&
	    !kvm_patch_code(vcpu, linear, kvm_ops->hypercall, 3))
		return 1;
	return kvm_handle_ud(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_handle_undefined);

int kvm_handle_triple_fault(struct kvm_vcpu *vcpu)
{
	vcpu->stat[STAT_shutdown]++;
	vcpu->run->exit_reason = KVM_EXIT_SHUTDOWN;
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_handle_triple_fault);

static int debug_exit(struct kvm_vcpu *vcpu, u32 exception, u64 dr6)
{
	vcpu->run->exit_reason = KVM_EXIT_DEBUG;
	vcpu->run->debug.arch.exception = exception;
	vcpu->run->debug.arch.pc = linear_rip(vcpu);
	vcpu->run->debug.arch.dr6 = dr6 | DR6_FIXED;
	vcpu->run->debug.arch.dr7 = vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP ?
		vcpu->debug_dr7 : vcpu->dr7;
	return 0;
}

int kvm_handle_debug(struct kvm_vcpu *vcpu, u64 dr6)
{
	/* The trap ends it; VMX would not enter with it and TF set (SDM 3C 26.3.1.5). */
	kvm_ops->set_shadow(vcpu, 0);
	if (vcpu->guest_debug & (KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_USE_HW_BP))
		return debug_exit(vcpu, X86_TRAP_DB, dr6);
	queue_exception(vcpu, X86_TRAP_DB, false, 0, dr6 & DR6_WRITABLE);
	return 1;
}
EXPORT_SYMBOL_GPL(kvm_handle_debug);

int kvm_handle_breakpoint(struct kvm_vcpu *vcpu)
{
	return debug_exit(vcpu, X86_TRAP_BP, 0);
}
EXPORT_SYMBOL_GPL(kvm_handle_breakpoint);

/*
 * A guest that touches its debug registers mostly touches several: it has them
 * until it exits for something else. VMX exits before the check of privilege.
 */
int kvm_handle_dr(struct kvm_vcpu *vcpu)
{
	vcpu->stat[STAT_dr]++;
	if (!vcpu->guest_debug && !(vcpu->dr7 & DR7_GD)) {
		vcpu->dr_direct = true;
		kvm_ops->watch_debugregs(vcpu, false);
		return 1;
	}
	if (kvm_ops->get_cpl(vcpu))
		return kvm_handle_gp(vcpu);
	/* Is it what a debugger waits for, or the guest itself? */
	if (vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP && vcpu->debug_dr7 & DR7_GD)
		return kvm_handle_debug(vcpu, DR6_BD);
	if (vcpu->dr7 & DR7_GD) {
		queue_exception(vcpu, X86_TRAP_DB, false, 0, DR6_BD);
		return 1;
	}
	return kvm_emulate(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_handle_dr);

/* ---- control registers --------------------------------------------------- */

static int set_cr0(struct kvm_vcpu *vcpu, u64 value)
{
	bool paging = value & X86_CR0_PG;
	u64 changed = value ^ vcpu->cr0;
	struct kvm_segment cs;

	if (value >> 32 || (value & X86_CR0_NW && !(value & X86_CR0_CD)) ||
	    (paging && !(value & X86_CR0_PE)) || (!paging && vcpu->cr4 & X86_CR4_PCIDE))
		return 1;
	if (changed & X86_CR0_PG && vcpu->efer & EFER_LME) {
		kvm_ops->get_segment(vcpu, SEG_CS, &cs);
		if (cs.l || (paging && !(vcpu->cr4 & X86_CR4_PAE)))
			return 1;
		vcpu->efer = (vcpu->efer & ~EFER_LMA) | (paging ? EFER_LMA : 0);
	}
	vcpu->cr0 = (value & ~CR0_RESERVED) | X86_CR0_ET;
	kvm_ops->set_modes(vcpu);
	if (changed & (X86_CR0_PG | X86_CR0_WP))
		kvm_mmu_guest_flush(vcpu);
	return 0;
}

static int set_cr3(struct kvm_vcpu *vcpu, u64 value)
{
	/* "Keep the TLB": we may flush it all the same. */
	if (vcpu->cr4 & X86_CR4_PCIDE)
		value &= ~X86_CR3_PCID_NOFLUSH;
	if (kvm_is_long_mode(vcpu) && value >> vcpu->maxphyaddr)
		return 1;
	kvm_ops->set_cr3(vcpu, value);
	kvm_mmu_guest_flush(vcpu);
	return 0;
}

static int set_cr4(struct kvm_vcpu *vcpu, u64 value)
{
	u64 changed = value ^ vcpu->cr4;

	if (value & ~vcpu->cr4_allowed || (kvm_is_long_mode(vcpu) && !(value & X86_CR4_PAE)))
		return 1;
	if (value & changed & X86_CR4_PCIDE &&
	    (!kvm_is_long_mode(vcpu) || kvm_ops->get_cr3(vcpu) & X86_CR3_PCID_MASK))
		return 1;
	vcpu->cr4 = value;
	kvm_ops->set_modes(vcpu);
	if (changed & (X86_CR4_PGE | X86_CR4_PSE | X86_CR4_PAE | X86_CR4_SMEP |
		       X86_CR4_SMAP | X86_CR4_PCIDE | X86_CR4_PKE))
		kvm_mmu_guest_flush(vcpu);
	return 0;
}

int kvm_set_cr8(struct kvm_vcpu *vcpu, u64 value)
{
	if (value > 15)
		return 1;
	if (vcpu->lapic)
		kvm_apic_set_cr8(vcpu, value);
	else
		vcpu->cr8 = value;
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_set_cr8);

int kvm_set_cr(struct kvm_vcpu *vcpu, unsigned int cr, u64 value)
{
	switch (cr) {
	case 0:		return set_cr0(vcpu, value);
	case 3:		return set_cr3(vcpu, value);
	case 4:		return set_cr4(vcpu, value);
	case 8:		return kvm_set_cr8(vcpu, value);
	default:
		vcpu->cr2 = value;
		return 0;
	}
}
EXPORT_SYMBOL_GPL(kvm_set_cr);

int kvm_set_efer(struct kvm_vcpu *vcpu, u64 value, bool host)
{
	if (value & ~kvm_caps.efer ||
	    (!host && (value & ~(vcpu->efer_allowed | EFER_LMA) ||
		       ((value ^ vcpu->efer) & EFER_LME && vcpu->cr0 & X86_CR0_PG))))
		return 1;
	/* LMA is what follows from the others; shadow paging has other roots with it. */
	value = (value & ~EFER_LMA) | (value & EFER_LME && vcpu->cr0 & X86_CR0_PG ? EFER_LMA : 0);
	if ((value ^ vcpu->efer) & (EFER_NX | EFER_LMA))
		kvm_mmu_guest_flush(vcpu);
	vcpu->efer = value;
	kvm_ops->set_modes(vcpu);
	return 0;
}

int kvm_set_xcr0(struct kvm_vcpu *vcpu, u32 index, u64 value)
{
	if (index || !(value & XFEATURE_MASK_FP) || value & ~vcpu->guest_xcr0_supported ||
	    (value & XFEATURE_MASK_YMM && !(value & XFEATURE_MASK_SSE)) ||
	    (value & XFEATURE_MASK_AVX512 && ~value & (XFEATURE_MASK_AVX512 | XFEATURE_MASK_YMM)))
		return 1;
	vcpu->xcr0 = value;
	return 0;
}

/* ---- one trip into the guest --------------------------------------------- */

/* SDM vol. 3, 9.4.4: an application processor starts where the message says. */
static void start_by_sipi(struct kvm_vcpu *vcpu)
{
	struct kvm_segment cs;
	u8 vector = READ_ONCE(vcpu->sipi_vector);

	kvm_ops->get_segment(vcpu, SEG_CS, &cs);
	cs.selector = vector << 8;
	cs.base = vector << 12;
	kvm_ops->set_segment(vcpu, SEG_CS, &cs);
	kvm_reg_write(vcpu, REG_RIP, 0);
	vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
}

void kvm_collect_messages(struct kvm_vcpu *vcpu)
{
	struct kvm_events *ev = &vcpu->events;

	if (kvm_take_request(vcpu, REQ_NMI) && ev->nmi.pending < 2)
		ev->nmi.pending++;
	ev->smi.pending |= kvm_take_request(vcpu, REQ_SMI);
	if (kvm_take_request(vcpu, REQ_INIT)) {
		if (ev->smi.active) {
			ev->smi.latched_init = true;
			ev->smi.latched_sipi = false;
		} else {
			kvm_vcpu_reset(vcpu, true);
			vcpu->mp_state = vcpu->id == vcpu->kvm->bsp_id ?
				KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_INIT_RECEIVED;
		}
	}
	if (kvm_take_request(vcpu, REQ_SIPI)) {
		if (vcpu->mp_state == KVM_MP_STATE_INIT_RECEIVED)
			start_by_sipi(vcpu);
		/* A processor would be out of SMM by now; a vCPU may have had no CPU for it. */
		ev->smi.latched_sipi = ev->smi.latched_init;
	}
	if (vcpu->mp_state == KVM_MP_STATE_HALTED && xchg(&vcpu->pv.unhalted, false))
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
}

static int handle_requests(struct kvm_vcpu *vcpu)
{
	if (kvm_take_request(vcpu, REQ_VM_DEAD))
		return -EIO;
	if (kvm_take_request(vcpu, REQ_TRIPLE_FAULT))
		return kvm_handle_triple_fault(vcpu);
	kvm_collect_messages(vcpu);
	if (kvm_take_request(vcpu, REQ_TSC_OFFSET))
		kvm_ops->set_tsc_offset(vcpu);
	kvm_pv_requests(vcpu);
	if (kvm_take_request(vcpu, REQ_INTERCEPTS))
		kvm_ops->intercepts_changed(vcpu);
	if (kvm_take_request(vcpu, REQ_MMU_RELOAD)) {
		int r = kvm_shadow_load(vcpu);

		if (r) {
			kvm_request(vcpu, REQ_MMU_RELOAD);
			return r;
		}
	}
	kvm_take_request(vcpu, REQ_EVENT);
	vcpu->events.look = true;
	return 1;
}

/* ---- waiting ------------------------------------------------------------- */

static bool must_wake(struct kvm_vcpu *vcpu)
{
	const struct kvm_events *ev = &vcpu->events;
	unsigned long requests = READ_ONCE(vcpu->requests);

	if (requests & (BIT(REQ_INIT) | BIT(REQ_SIPI) | BIT(REQ_VM_DEAD)))
		return true;
	if (vcpu->mp_state != KVM_MP_STATE_HALTED)
		return false;
	return requests & (BIT(REQ_NMI) | BIT(REQ_SMI) | BIT(REQ_TRIPLE_FAULT)) ||
	       READ_ONCE(vcpu->pv.unhalted) || kvm_smi_pending(vcpu) ||
	       ev->exception.pending || (ev->nmi.pending && nmi_allowed(vcpu)) ||
	       (irq_pending(vcpu) && irq_allowed(vcpu));
}

/* Whoever is woken often soon after it halted need not sleep in between. */
static void poll_for_event(struct kvm_vcpu *vcpu)
{
	ktime_t end;

	if (!vcpu->halt_poll_ns || vcpu->pv.no_host_poll)
		return;
	end = ktime_add_ns(ktime_get(), vcpu->halt_poll_ns);
	while (!must_wake(vcpu) && !signal_pending(current) && !need_resched() &&
	       single_task_running() && ktime_before(ktime_get(), end))
		cpu_relax();
}

static void adapt_polling(struct kvm_vcpu *vcpu, ktime_t halted)
{
	unsigned int limit = READ_ONCE(halt_poll_ns);
	s64 waited = ktime_to_ns(ktime_sub(ktime_get(), halted));

	if (waited > limit)
		vcpu->halt_poll_ns = 0;
	else if (waited > vcpu->halt_poll_ns)
		vcpu->halt_poll_ns = min(max(2 * vcpu->halt_poll_ns, 10000U), limit);
}

/* Halted, or not started yet: wait until there is something to do. */
static int wait_for_event(struct kvm_vcpu *vcpu)
	__must_hold(&vcpu->kvm->srcu)
{
	if (vcpu->pv.eoi_offered)
		kvm_apic_pv_eoi(vcpu);
	/* Linux's programs read the first vCPU's clock, on whichever they run. */
	kvm_pv_requests(vcpu);
	srcu_read_unlock(&vcpu->kvm->srcu, vcpu->srcu_idx);
	if (!must_wake(vcpu)) {
		ktime_t halted = ktime_get();

		poll_for_event(vcpu);
		rcuwait_wait_event(&vcpu->wait, must_wake(vcpu) || signal_pending(current),
				   TASK_INTERRUPTIBLE);
		adapt_polling(vcpu, halted);
	}
	vcpu->srcu_idx = srcu_read_lock(&vcpu->kvm->srcu);
	if (!must_wake(vcpu))
		return 1;	/* the signal is run_loop()'s */
	kvm_collect_messages(vcpu);
	if (vcpu->mp_state == KVM_MP_STATE_HALTED && !must_wake(vcpu))
		return 1;	/* an NMI, but NMIs are blocked */
	if (vcpu->mp_state == KVM_MP_STATE_HALTED && kvm_smi_pending(vcpu) &&
	    !event_under_way(&vcpu->events))
		kvm_enter_smm(vcpu);
	if (vcpu->mp_state == KVM_MP_STATE_HALTED)
		vcpu->mp_state = KVM_MP_STATE_RUNNABLE;
	return handle_requests(vcpu);
}

/* The breakpoints in force: user space's or the guest's own. */
static bool load_breakpoints(struct kvm_vcpu *vcpu)
{
	const u64 *dr = vcpu->dr;
	u64 dr7 = vcpu->dr7;

	if (vcpu->guest_debug & KVM_GUESTDBG_USE_HW_BP) {
		dr = vcpu->debug_dr;
		dr7 = vcpu->debug_dr7;
	}
	if (likely(!(dr7 & 0xff) && !vcpu->dr_direct))
		return false;
	/* The host's own, if there are any, must not watch the guest's addresses. */
	set_debugreg(0UL, 7);
	for (int i = 0; i < 4; i++)
		set_debugreg(dr[i], i);
	return true;
}

static void take_debugregs(struct kvm_vcpu *vcpu)
{
	for (int i = 0; i < 4; i++)
		get_debugreg(vcpu->dr[i], i);
	vcpu->dr_direct = false;
	kvm_ops->watch_debugregs(vcpu, true);
}

static __always_inline void enter_guest(struct kvm_vcpu *vcpu)
{
	bool xcr0 = vcpu->cr4 & X86_CR4_OSXSAVE && vcpu->xcr0 != kvm_caps.host_xcr0;
	bool xss = vcpu->cr4 & X86_CR4_OSXSAVE && kvm_caps.host_xss;
	bool breakpoints = load_breakpoints(vcpu);
	bool keys = cpu_feature_enabled(X86_FEATURE_OSPKE) &&
		    (vcpu->cr4 & X86_CR4_PKE || vcpu->xcr0 & XFEATURE_MASK_PKRU);
	u32 host_keys = 0;

	if (xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, vcpu->xcr0);
	if (xss)
		wrmsrl(MSR_IA32_XSS, 0);
	if (keys) {
		host_keys = rdpkru();
		if (host_keys != vcpu->guest_pkru)
			wrpkru(vcpu->guest_pkru);
	}
	vtime_account_guest_enter();
	/* A grace period waits for us a tick at most. */
	if (!context_tracking_guest_enter() && vcpu->rcu_noted != jiffies) {
		vcpu->rcu_noted = jiffies;
		rcu_virt_note_context_switch();
	}
	static_call(kvm_enter)(vcpu);
	context_tracking_guest_exit();
	if (keys) {
		vcpu->guest_pkru = rdpkru();
		if (vcpu->guest_pkru != host_keys)
			wrpkru(host_keys);
	}
	if (xss)
		wrmsrl(MSR_IA32_XSS, kvm_caps.host_xss);
	if (xcr0)
		xsetbv(XCR_XFEATURE_ENABLED_MASK, kvm_caps.host_xcr0);
	if (unlikely(vcpu->dr_direct))
		take_debugregs(vcpu);
	if (unlikely(breakpoints || hw_breakpoint_active()))
		hw_breakpoint_restore();
}

int kvm_emulate_injected(struct kvm_vcpu *vcpu)
{
	const struct kvm_events ev = vcpu->events;
	int r;

	kvm_clear_injected(vcpu);
	if (ev.exception.injected) {
		/* An exception in its delivery is the second one. */
		vcpu->events.exception.injected = true;
		r = kvm_emulate_event(vcpu, ev.exception.nr, ev.exception.has_error,
				      ev.exception.error_code);
		vcpu->events.exception.injected = false;
		return r;
	}
	if (ev.nmi.injected) {
		kvm_ops->set_nmi_mask(vcpu, true);
		return kvm_emulate_event(vcpu, X86_TRAP_NMI, false, 0);
	}
	return ev.irq.injected ? kvm_emulate_event(vcpu, ev.irq.nr, false, 0) : kvm_emulate(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_emulate_injected);

/*
 * One instruction, or the delivery of one event, of a guest in a state that the
 * processor cannot be in: real mode, or on its way from there to protected mode.
 */
static int run_emulated(struct kvm_vcpu *vcpu)
{
	/* Who changes memory slots waits for the end of one instruction. */
	srcu_read_unlock(&vcpu->kvm->srcu, vcpu->srcu_idx);
	vcpu->srcu_idx = srcu_read_lock(&vcpu->kvm->srcu);

	/* As for the processor, and then taken back from it. */
	if (vcpu->events.look)
		inject_events(vcpu);
	kvm_ops->cancel_injection(vcpu);
	return kvm_emulate_injected(vcpu);
}

/* Something else, besides what goes in now? An NMI behind an NMI waits for IRET. */
static bool another_waits(struct kvm_vcpu *vcpu)
{
	const struct kvm_events *ev = &vcpu->events;

	return kvm_smi_pending(vcpu) || (ev->nmi.pending && !kvm_ops->get_nmi_mask(vcpu) &&
					 (ev->exception.injected || ev->irq.injected));
}

static int run_once(struct kvm_vcpu *vcpu)
	__must_hold(&vcpu->kvm->srcu)
{
	int r;

	if (unlikely(READ_ONCE(vcpu->requests))) {
		r = handle_requests(vcpu);
		if (r <= 0 || vcpu->mp_state != KVM_MP_STATE_RUNNABLE)
			return r;	/* an INIT: it waits for a SIPI */
	}
	/* An SMI goes in before all others, but behind what is being delivered. */
	if (unlikely(kvm_smi_pending(vcpu)) && !event_under_way(&vcpu->events))
		kvm_enter_smm(vcpu);
	if (kvm_ops->must_emulate && kvm_ops->must_emulate(vcpu))
		return run_emulated(vcpu);
	if (unlikely(vcpu->pv.eoi_offered))
		kvm_apic_pv_eoi(vcpu);
	if (unlikely(vcpu->events.look))
		inject_events(vcpu);

	preempt_disable();
	local_irq_disable();
	WRITE_ONCE(vcpu->mode, VCPU_IN_GUEST);
	srcu_read_unlock(&vcpu->kvm->srcu, vcpu->srcu_idx);
	/* See the comment at the top: mode first, then requests. */
	smp_mb();
	if (kvm_take_request(vcpu, REQ_TLB_FLUSH)) {
		vcpu->stat[STAT_tlb_flush]++;
		kvm_ops->flush_tlb(vcpu);
	}
	if (unlikely(READ_ONCE(vcpu->requests) || xfer_to_guest_mode_work_pending())) {
		WRITE_ONCE(vcpu->mode, VCPU_OUTSIDE);
		local_irq_enable();
		preempt_enable();
		vcpu->srcu_idx = srcu_read_lock(&vcpu->kvm->srcu);
		kvm_ops->cancel_injection(vcpu);
		vcpu->events.look = true;
		return 1;
	}
	if (test_thread_flag(TIF_NEED_FPU_LOAD))
		switch_fpu_return();
	/* What goes in now is delivered, and the next instruction waits. */
	if (unlikely(vcpu->events.look) && another_waits(vcpu))
		smp_send_reschedule(smp_processor_id());

	enter_guest(vcpu);

	WRITE_ONCE(vcpu->mode, VCPU_OUTSIDE);
	vcpu->stat[STAT_exits]++;
#ifdef X86_FEATURE_IBPB_EXIT_TO_USER
	/* VMSCAPE: flush the branch predictor before QEMU runs again. */
	if (cpu_feature_enabled(X86_FEATURE_IBPB_EXIT_TO_USER))
		this_cpu_write(x86_ibpb_exit_to_user, true);
#endif
	static_call(kvm_exit_irqoff)(vcpu);
	/*
	 * The interrupt that made the guest exit is served here, and the tick
	 * among them still counts as guest time.
	 */
	local_irq_enable();
	vtime_account_guest_exit();
	preempt_enable();

	vcpu->srcu_idx = srcu_read_lock(&vcpu->kvm->srcu);
	return static_call(kvm_exit)(vcpu);
}

static int run_loop(struct kvm_vcpu *vcpu)
{
	int r;

	for (;;) {
		if (unlikely(vcpu->pending_eoi >= 0)) {
			vcpu->run->exit_reason = KVM_EXIT_IOAPIC_EOI;
			vcpu->run->eoi.vector = vcpu->pending_eoi;
			vcpu->pending_eoi = -1;
			return 0;
		}
		if (unlikely(wants_irq_window(vcpu) && ready_for_irq(vcpu))) {
			vcpu->run->exit_reason = KVM_EXIT_IRQ_WINDOW_OPEN;
			return 0;
		}
		r = likely(vcpu->mp_state == KVM_MP_STATE_RUNNABLE) ? run_once(vcpu) :
								      wait_for_event(vcpu);
		if (r <= 0)
			return r;
		/* An EOI first: user space may save its I/O APIC after a signal. */
		if (__xfer_to_guest_mode_work_pending() && vcpu->pending_eoi < 0) {
			srcu_read_unlock(&vcpu->kvm->srcu, vcpu->srcu_idx);
			r = kvm_host_work();
			vcpu->srcu_idx = srcu_read_lock(&vcpu->kvm->srcu);
			if (r) {
				vcpu->run->exit_reason = KVM_EXIT_INTR;
				vcpu->stat[STAT_signal_exits]++;
				return r;
			}
		}
	}
}

/* Finish the previous exit, then run. */
static int resume_and_run(struct kvm_vcpu *vcpu)
{
	int (*resume)(struct kvm_vcpu *) = vcpu->resume;
	int r;

	if (resume) {
		vcpu->resume = NULL;
		/* If user space went elsewhere, what was half done is void. */
		r = kvm_reg_read(vcpu, REG_RIP) == vcpu->io.rip ? resume(vcpu) : 1;
		if (r <= 0)
			return r;
	}
	/* Its caller may still look at the exit that this has finished. */
	if (READ_ONCE(vcpu->run->immediate_exit__unsafe) && vcpu->pending_eoi < 0)
		return -EINTR;
	vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	return run_loop(vcpu);
}

/* Another thread runs the vCPU from now on. */
static void take_over(struct kvm_vcpu *vcpu)
{
	struct pid *old = rcu_replace_pointer(vcpu->pid, get_task_pid(current, PIDTYPE_PID),
					      lockdep_is_held(&vcpu->mutex));

	if (old)
		synchronize_rcu();
	put_pid(old);
	vcpu->pv.run_delay = current->sched_info.run_delay;	/* from here on */
}

static int run_ioctl(struct kvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	sigset_t saved;
	int r = 0;

	if (unlikely(READ_ONCE(run->kvm_dirty_regs) | READ_ONCE(run->kvm_valid_regs)))
		r = kvm_get_synced_regs(vcpu);
	if (r)
		return r;
	if (!vcpu->lapic && kvm_set_cr8(vcpu, run->cr8))
		return -EINVAL;
	vcpu->events.look |= wants_irq_window(vcpu);
	if (vcpu->sigset_active)
		sigprocmask(SIG_SETMASK, &vcpu->sigset, &saved);
	if (unlikely(rcu_access_pointer(vcpu->pid) != task_pid(current)))
		take_over(vcpu);
	kvm_pv_sched_in(vcpu);

	fpu_swap_kvm_fpstate(&vcpu->fpu, true);
	vcpu->srcu_idx = srcu_read_lock(&vcpu->kvm->srcu);
	if (vcpu->pv.eoi && vcpu->lapic)
		kvm_apic_pv_eoi(vcpu);
	r = resume_and_run(vcpu);
	/* User space may save the memory first, and then the APIC: no offer stays in it. */
	if (unlikely(vcpu->pv.eoi_offered))
		kvm_apic_settle_pv_eoi(vcpu);
	srcu_read_unlock(&vcpu->kvm->srcu, vcpu->srcu_idx);
	fpu_swap_kvm_fpstate(&vcpu->fpu, false);
	vcpu->stat[STAT_user_exits]++;

	run->if_flag = !!(kvm_ops->get_rflags(vcpu) & X86_EFLAGS_IF);
	run->ready_for_interrupt_injection = ready_for_irq(vcpu);
	run->cr8 = vcpu->cr8;
	run->apic_base = vcpu->apic_base;
	run->flags = vcpu->events.smi.active ? KVM_RUN_X86_SMM : 0;
	if (unlikely(READ_ONCE(run->kvm_valid_regs)))
		kvm_put_synced_regs(vcpu);

	if (vcpu->sigset_active)
		sigprocmask(SIG_SETMASK, &saved, NULL);
	return r;
}

static long vcpu_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	struct kvm_vcpu *vcpu = file->private_data;
	long r;

	if (vcpu->kvm->mm != current->mm || vcpu->kvm->dead)
		return -EIO;
	if (_IOC_TYPE(ioctl) != KVMIO)
		return -EINVAL;
	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	vcpu_load(vcpu);
	if (ioctl != KVM_RUN) {
		scoped_guard(srcu, &vcpu->kvm->srcu)
			r = kvm_state_ioctl(vcpu, ioctl, arg);
		vcpu->events.look = true;
	} else {
		r = arg ? -EINVAL : run_ioctl(vcpu);
	}
	vcpu_put(vcpu);
	mutex_unlock(&vcpu->mutex);
	return r;
}

/* ---- the file descriptor ------------------------------------------------- */

static vm_fault_t vcpu_fault(struct vm_fault *vmf)
{
	struct kvm_vcpu *vcpu = vmf->vma->vm_file->private_data;
	void *page = (void *)vcpu->run + vmf->pgoff * PAGE_SIZE;

	if (vmf->pgoff == KVM_COALESCED_MMIO_PAGE_OFFSET)
		page = kvm_coalesced_ring(vcpu->kvm);
	else if (vmf->pgoff > 1)
		return VM_FAULT_SIGBUS;
	if (!page)
		return VM_FAULT_OOM;
	vmf->page = virt_to_page(page);
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct vcpu_vm_ops = { .fault = vcpu_fault };

static int vcpu_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &vcpu_vm_ops;
	return 0;
}

static int vcpu_release(struct inode *inode, struct file *file)
{
	struct kvm_vcpu *vcpu = file->private_data;

	if (vcpu)	/* else its creation has failed */
		kvm_put(vcpu->kvm);
	return 0;
}

static const struct file_operations vcpu_fops = {
	.owner = THIS_MODULE,
	.release = vcpu_release,
	.unlocked_ioctl = vcpu_ioctl,
	.compat_ioctl = vcpu_ioctl,
	.mmap = vcpu_mmap,
	.llseek = noop_llseek,
};

/* ---- birth and death ----------------------------------------------------- */

/* SDM vol. 3, table 10-1: the state after power-on and INIT. */
void kvm_vcpu_reset(struct kvm_vcpu *vcpu, bool init)
{
	static const struct kvm_segment segments[] = {
		[SEG_ES] = { .limit = 0xffff, .type = 3, .present = 1, .s = 1 },
		[SEG_CS] = { .base = 0xffff0000, .selector = 0xf000,
			     .limit = 0xffff, .type = 11, .present = 1, .s = 1 },
		[SEG_SS ... SEG_GS] = { .limit = 0xffff, .type = 3, .present = 1, .s = 1 },
		[SEG_LDTR] = { .limit = 0xffff, .type = 2, .present = 1 },
		[SEG_TR] = { .limit = 0xffff, .type = 11, .present = 1 },
		[SEG_GDTR ... SEG_IDTR] = { .limit = 0xffff },
	};
	struct kvm_cpuid_entry2 version;
	u64 cache = init ? vcpu->cr0 & (X86_CR0_CD | X86_CR0_NW) : X86_CR0_CD | X86_CR0_NW;

	/* An SMI outlives INIT: OVMF's way to bring a new processor into SMM first. */
	vcpu->events = (struct kvm_events){ .smi.pending = init && vcpu->events.smi.pending };
	if (!init) {
		kvm_reset_msrs(vcpu);
		kvm_pv_reset(vcpu);
	}
	kvm_ops->vcpu_reset(vcpu, init);
	vcpu->tpr_watched = 0xff;	/* not known */
	for (int i = 0; i < NR_REGS; i++)
		kvm_reg_write(vcpu, i, 0);
	kvm_cpuid(vcpu, 1, 0, &version);
	kvm_reg_write(vcpu, REG_RDX, version.eax ?: 0x600);	/* family 6 */
	kvm_reg_write(vcpu, REG_RIP, 0xfff0);
	kvm_set_rflags(vcpu, 0);	/* but for a debugger's TF */
	for (int i = 0; i < ARRAY_SIZE(segments); i++)
		kvm_ops->set_segment(vcpu, i, &segments[i]);
	vcpu->efer = vcpu->cr4 = 0;
	vcpu->cr0 = cache | X86_CR0_ET;
	kvm_ops->set_modes(vcpu);
	kvm_ops->set_cr3(vcpu, 0);
	vcpu->cr2 = vcpu->cr8 = 0;
	kvm_apic_reset(vcpu);
	if (!init)
		vcpu->xcr0 = XFEATURE_MASK_FP;
	memset(vcpu->dr, 0, sizeof(vcpu->dr));
	vcpu->dr6 = DR6_FIXED;
	vcpu->dr7 = DR7_FIXED;
	kvm_ops->update_debug(vcpu);
	kvm_ops->set_tsc_offset(vcpu);
	kvm_set_smm(vcpu, false);
	kvm_mmu_guest_flush(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_vcpu_reset);

/* Also of one that is half made. */
static void free_vcpu(struct kvm_vcpu *vcpu)
{
	kvm_ops->vcpu_destroy(vcpu);
	put_pid(rcu_dereference_protected(vcpu->pid, true));	/* no vCPU runs to yield to it */
	kvm_mmu_free_cache(vcpu);
	kvm_shadow_destroy_vcpu(vcpu);
	kvm_apic_destroy(vcpu);
	fpu_free_guest_fpstate(&vcpu->fpu);
	kvfree(vcpu->cpuid);
	if (vcpu->run)
		free_pages_exact(vcpu->run, 2 * PAGE_SIZE);
	kfree(vcpu);
}

static struct kvm_vcpu *alloc_vcpu(struct kvm *kvm, u32 id)
{
	struct kvm_vcpu *vcpu = kzalloc(kvm_ops->vcpu_size, GFP_KERNEL_ACCOUNT);
	int r = -ENOMEM;

	if (!vcpu)
		return ERR_PTR(-ENOMEM);
	vcpu->kvm = kvm;
	vcpu->space = &kvm->space[0];
	vcpu->id = id;
	vcpu->cpu = -1;
	vcpu->pending_eoi = -1;
	vcpu->mcg_cap = KVM_MCE_BANKS;
	mutex_init(&vcpu->mutex);
	rcuwait_init(&vcpu->wait);
	preempt_notifier_init(&vcpu->preempt, &preempt_ops);
	vcpu->run = alloc_pages_exact(2 * PAGE_SIZE, GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (vcpu->run && fpu_alloc_guest_fpstate(&vcpu->fpu))
		r = kvm->local_apics ? kvm_apic_create(vcpu) : 0;
	/* Application processors wait for the boot processor's INIT and SIPI. */
	vcpu->mp_state = vcpu->lapic && id != kvm->bsp_id ?
		KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE;
	r = r ?: kvm_shadow_create_vcpu(vcpu) ?: kvm_ops->vcpu_create(vcpu);
	if (!r)
		return vcpu;
	free_vcpu(vcpu);
	return ERR_PTR(r);
}

static int add_vcpu(struct kvm *kvm, struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu *other;
	unsigned long i;
	int r;

	guard(mutex)(&kvm->lock);
	/* The last: the interrupt controllers came while it was made. */
	if (kvm->nr_vcpus >= KVM_MAX_VCPUS ||
	    (kvm->max_vcpu_id && vcpu->id >= kvm->max_vcpu_id) ||
	    kvm->local_apics != !!vcpu->lapic)
		return -EINVAL;
	xa_for_each(&kvm->vcpus, i, other)
		if (other->id == vcpu->id)
			return -EEXIST;
	vcpu->index = kvm->nr_vcpus;
	if (vcpu->index != vcpu->id)
		WRITE_ONCE(kvm->odd_apic_ids, true);
	/* What kvm_request_all() said of an MSR filter meanwhile was not for us yet. */
	kvm_request(vcpu, REQ_INTERCEPTS);
	r = xa_insert(&kvm->vcpus, vcpu->index, vcpu, GFP_KERNEL_ACCOUNT);
	if (!r)
		kvm->nr_vcpus++;
	return r;
}

/* Returns a file descriptor or an errno. */
int kvm_create_vcpu(struct kvm *kvm, unsigned long id)
{
	CLASS(get_unused_fd, fd)(O_CLOEXEC);
	struct file *file __free(fput) = NULL;
	struct kvm_vcpu *vcpu;
	int r;

	if (id >= KVM_MAX_VCPU_ID)
		return -EINVAL;
	if (fd < 0)
		return fd;
	/* First, since a vCPU that others have found in the array cannot go again. */
	file = anon_inode_getfile("kvm-vcpu", &vcpu_fops, NULL, O_RDWR);
	if (IS_ERR(file))
		return PTR_ERR(file);
	vcpu = alloc_vcpu(kvm, id);
	if (IS_ERR(vcpu))
		return PTR_ERR(vcpu);
	vcpu_load(vcpu);
	kvm_vcpu_reset(vcpu, false);
	kvm_update_cpuid(vcpu);
	kvm_set_tsc_khz(vcpu, kvm->tsc_khz ?: kvm->tsc.khz);	/* or as the last one */
	kvm_set_msr(vcpu, MSR_IA32_TSC, 0, true);
	vcpu_put(vcpu);
	r = add_vcpu(kvm, vcpu);
	if (r) {
		free_vcpu(vcpu);
		return r;
	}
	kvm_get(kvm);
	file->private_data = vcpu;
	fd_install(fd, no_free_ptr(file));
	return take_fd(fd);
}

/* The VM's last reference is gone: nobody runs, loads or looks at its vCPUs. */
void kvm_destroy_vcpus(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	xa_for_each(&kvm->vcpus, i, vcpu) {
		xa_erase(&kvm->vcpus, i);
		free_vcpu(vcpu);
	}
}
