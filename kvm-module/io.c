// SPDX-License-Identifier: GPL-2.0-only
/*
 * io.c: everything a guest does outside of its memory: ports, MMIO, and the
 * emulator's view of the guest.
 *
 * A second-level fault on an address that is no memory brings the emulator in
 * (kvm_emulate). The emulator reaches the guest through the functions of
 * kvm_emu_ops below. When one of them meets MMIO or a port, it notes in vcpu->io
 * what user space has to answer and returns EMU_AGAIN; KVM_RUN returns, user
 * space answers, and on the next KVM_RUN vcpu->resume hands the answer over and
 * runs the emulator again, which takes it from its log. An access of up to 64
 * bytes leaves in fragments of at most 8, each within a page.
 *
 * An IN or OUT that the processor has decoded needs no emulator: kvm_handle_pio.
 *
 * If user space moved RIP in between (a reset, a debugger), the half-done
 * instruction is void.
 */
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/sched/signal.h>
#include <asm/debugreg.h>
#include <asm/fpu/api.h>

#include "kvm.h"

static struct kvm_vcpu *vcpu_of(struct emu *e)
{
	return e->owner;
}

static u8 *pio_data(struct kvm_vcpu *vcpu)
{
	return (u8 *)vcpu->run + PAGE_SIZE;
}

/* ---- out to user space --------------------------------------------------- */

/* User space answers; then the vCPU goes on with this. */
static int ask_user(struct kvm_vcpu *vcpu, int (*resume)(struct kvm_vcpu *vcpu))
{
	struct kvm_io_state *io = &vcpu->io;
	struct kvm_mmio_fragment *f = &io->fragment[io->next];
	struct kvm_run *run = vcpu->run;

	io->rip = kvm_reg_read(vcpu, REG_RIP);
	vcpu->resume = resume;
	if (io->port_count) {
		run->exit_reason = KVM_EXIT_IO;
		run->io.direction = io->write ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
		run->io.size = io->port_size;
		run->io.port = io->port;
		run->io.count = io->port_count;
		run->io.data_offset = PAGE_SIZE;
		vcpu->stat[io->write ? STAT_io_out : STAT_io_in]++;
		return 0;
	}
	run->exit_reason = KVM_EXIT_MMIO;
	run->mmio.phys_addr = f->gpa;
	run->mmio.len = f->len;
	run->mmio.is_write = io->write;
	memset(run->mmio.data, 0, sizeof(run->mmio.data));
	if (io->write)
		memcpy(run->mmio.data, f->data, f->len);
	vcpu->stat[io->write ? STAT_mmio_write : STAT_mmio_read]++;
	return 0;
}

/* ---- ports that the processor decoded ------------------------------------ */

static u64 low_bytes(u64 value, unsigned int size)
{
	return value & (BIT_ULL(8 * size) - 1);
}

static void finish_in(struct kvm_vcpu *vcpu, u64 value, unsigned int size)
{
	u64 rax = size == 4 ? 0 : kvm_reg_read(vcpu, REG_RAX);

	kvm_reg_write(vcpu, REG_RAX, (rax ^ low_bytes(rax, size)) | low_bytes(value, size));
}

static int resume_pio(struct kvm_vcpu *vcpu)
{
	if (!vcpu->io.write)
		finish_in(vcpu, READ_ONCE(*(u64 *)pio_data(vcpu)), vcpu->io.port_size);
	return kvm_ops->skip_instruction(vcpu);
}

int kvm_handle_pio(struct kvm_vcpu *vcpu, u16 port, unsigned int size, bool in)
{
	u64 rax = 0;

	if (in) {
		if (kvm_device_pio(vcpu->kvm, port, size, &rax, false)) {
			finish_in(vcpu, rax, size);
			return kvm_ops->skip_instruction(vcpu);
		}
	} else {
		rax = kvm_reg_read(vcpu, REG_RAX);
		if (kvm_device_pio(vcpu->kvm, port, size, &rax, true) ||
		    kvm_write_taken(vcpu, true, port, size, &rax))
			return kvm_ops->skip_instruction(vcpu);
		*(u64 *)pio_data(vcpu) = low_bytes(rax, size);
	}
	vcpu->io.write = !in;
	vcpu->io.port = port;
	vcpu->io.port_size = size;
	vcpu->io.port_count = 1;
	return ask_user(vcpu, resume_pio);
}
EXPORT_SYMBOL_GPL(kvm_handle_pio);

/* ---- the emulator's memory ----------------------------------------------- */

static u32 walk_access(struct emu *e, unsigned int access)
{
	return (access & EMU_ACC_FETCH ? ACCESS_EXEC : 0) |
	       (access & (EMU_ACC_WRITE | EMU_ACC_RMW) ? ACCESS_WRITE : 0) |
	       (access & EMU_ACC_SYSTEM ? ACCESS_SYSTEM : e->cpl == 3 ? ACCESS_USER : 0);
}

/* EMU_* from an errno of a memory access. */
static int emu_error(struct emu *e, int error)
{
	vcpu_of(e)->io.error = error;
	return EMU_UNHANDLED;
}

/*
 * The processor has said where the access went that brought us here: the one of
 * its kind at this offset in a page. (CMPS could make two.) A program that has
 * exchanged the instruction meanwhile may only lead itself astray: neither what the
 * processor reads for itself nor what it does in an inner ring is taken for it.
 */
static bool same_as_fault(struct emu *e, u64 linear, u32 access, gpa_t *gpa)
{
	struct kvm_io_state *io = &vcpu_of(e)->io;

	if (!io->fault_known || offset_in_page(io->fault_gpa) != offset_in_page(linear) ||
	    access & (ACCESS_EXEC | ACCESS_SYSTEM) || !(access & ACCESS_WRITE) == io->fault_write ||
	    e->cpl != kvm_ops->get_cpl(vcpu_of(e)) || (e->map == 1 && (e->opcode & 0xfe) == 0xa6))
		return false;
	io->fault_known = false;
	*gpa = io->fault_gpa;
	return true;
}

static int translate(struct emu *e, u64 linear, u32 access, gpa_t *gpa)
{
	u32 code;
	int r;

	if (same_as_fault(e, linear, access, gpa))
		return EMU_OK;

	/* Data of 16- and 32-bit code lies below 4 GiB, its GDT perhaps not. */
	r = kvm_translate(vcpu_of(e), linear, access, gpa, &code);
	if (r > 0)
		return emu_page_fault(e, linear, code);
	return r ? emu_error(e, r) : EMU_OK;
}

/* An access, cut at the page boundary that it may cross. */
struct span {
	gpa_t gpa;
	unsigned int len;
	bool memory;
};

static int find_spans(struct emu *e, u64 linear, unsigned int size, u32 kind, struct span span[2])
{
	unsigned int first = min_t(unsigned int, size, PAGE_SIZE - offset_in_page(linear));
	struct kvm_memslot *slot;

	span[0].len = first;
	span[1].len = size - first;
	for (int i = 0; i < 2 && span[i].len; i++) {
		int r = translate(e, linear + i * first, walk_access(e, kind), &span[i].gpa);

		if (r != EMU_OK)
			return r;
		slot = kvm_find_slot(vcpu_of(e)->space, span[i].gpa >> PAGE_SHIFT);
		span[i].memory = slot && !(kind & EMU_ACC_WRITE && slot->flags & KVM_MEM_READONLY);
	}
	return EMU_OK;
}

static void add_fragments(struct kvm_io_state *io, gpa_t gpa, u8 *data, unsigned int len)
{
	for (unsigned int at = 0; at < len; at += 8)
		io->fragment[io->fragments++] = (struct kvm_mmio_fragment){
			.gpa = gpa + at, .data = data + at, .len = min(len - at, 8U),
		};
}

static int op_access(struct emu *e, u64 linear, void *buf, unsigned int size, unsigned int access)
{
	struct kvm_vcpu *vcpu = vcpu_of(e);
	struct kvm_io_state *io = &vcpu->io;
	bool write = access & EMU_ACC_WRITE, memory;
	struct span span[2];
	u8 *data = buf;
	int r;

	if (unlikely(io->posted))
		return EMU_AGAIN;
	r = find_spans(e, linear, size, access, span);
	if (r != EMU_OK)
		return r;
	memory = span[0].memory && (!span[1].len || span[1].memory);
	/* Code outside of memory is nothing that we could run. */
	if (!memory && (size > KVM_MMIO_MAX || access & EMU_ACC_FETCH))
		return EMU_UNHANDLED;
	if (access & EMU_ACC_PROBE)
		return EMU_OK;
	if (!memory && !span[1].len &&
	    ((size <= 8 && kvm_device_mmio(vcpu, span[0].gpa, size, buf, write)) ||
	     (write && kvm_write_taken(vcpu, false, span[0].gpa, size, buf))))
		return EMU_OK;
	io->write = write;
	io->size = size;
	io->fragments = 0;
	io->next = 0;
	io->port_count = 0;
	if (!memory) {
		data = io->data;
		if (write)
			memcpy(data, buf, size);
	}
	for (int i = 0; i < 2 && span[i].len; i++) {
		if (!span[i].memory)
			add_fragments(io, span[i].gpa, data, span[i].len);
		else
			r = write ? kvm_write_guest(vcpu->space, span[i].gpa, data, span[i].len) :
				    kvm_read_guest(vcpu->space, span[i].gpa, data, span[i].len);
		if (r)
			return emu_error(e, r);
		data += span[i].len;
	}
	if (!io->fragments)
		return EMU_OK;
	/* A write on its way does not hold its instruction up. */
	io->posted = access & EMU_ACC_LAST && io->may_post;
	return io->posted ? EMU_OK : EMU_AGAIN;
}

/*
 * Would a LOCKed access be an #AC here? The processor raises it in the kernel, too,
 * which does not survive it.
 */
static bool is_split_lock(u64 linear, unsigned int size)
{
	return boot_cpu_has(X86_FEATURE_SPLIT_LOCK_DETECT) &&
	       (linear ^ (linear + size - 1)) & -(u64)cache_line_size();
}

static int op_cmpxchg(struct emu *e, u64 linear, const void *old, const void *new,
		      unsigned int size)
{
	struct span span[2];
	u64 seen;
	int r;

	if (unlikely(vcpu_of(e)->io.posted))
		return EMU_AGAIN;
	r = find_spans(e, linear, size, EMU_ACC_WRITE, span);
	if (r != EMU_OK)
		return r;
	/* Devices and split accesses know no bus lock: a plain write it is. */
	if (!span[0].memory || span[1].len || is_split_lock(linear, size))
		return op_access(e, linear, (void *)new, size, EMU_ACC_WRITE);
	if (size > sizeof(seen))
		return EMU_UNHANDLED;
	memcpy(&seen, old, size);
	r = kvm_cmpxchg_guest(vcpu_of(e)->space, span[0].gpa, &seen, new, size);
	if (r < 0)
		return emu_error(e, r);
	/*
	 * kvm_cmpxchg_guest() does not say so itself, as kvm_write_guest() does: walk.c
	 * sets A and D bits by it, which are no change that untracks a table.
	 */
	if (!r && !kvm_ops->tdp)
		kvm_shadow_wrote(vcpu_of(e)->kvm, span[0].gpa >> PAGE_SHIFT);
	return r ? EMU_RETRY : EMU_OK;
}

/* ---- the emulator's ports ------------------------------------------------ */

static int op_pio(struct emu *e, u16 port, unsigned int size, void *buf,
		  unsigned int count, bool out)
{
	struct kvm_vcpu *vcpu = vcpu_of(e);
	struct kvm_io_state *io = &vcpu->io;
	unsigned int i = 0;

	if (unlikely(io->posted))
		return EMU_AGAIN;
	/* One port is one device's: all of the string, or none of it. */
	while (i < count && kvm_device_pio(vcpu->kvm, port, size, buf + i * size, out))
		i++;
	if (i == count || (out && count == 1 && kvm_write_taken(vcpu, true, port, size, buf)))
		return EMU_OK;
	/* At most EMU_PIO_MAX bytes, which is less than the page for them. */
	if (out)
		memcpy(pio_data(vcpu), buf, size * count);
	io->write = out;
	io->port = port;
	io->port_size = size;
	io->port_count = count;
	return EMU_AGAIN;
}

/* ---- the emulator's registers -------------------------------------------- */

static void op_get_seg(struct emu *e, unsigned int seg, struct kvm_segment *s)
{
	kvm_ops->get_segment(vcpu_of(e), seg, s);
}

static void op_set_seg(struct emu *e, unsigned int seg, const struct kvm_segment *s)
{
	kvm_ops->set_segment(vcpu_of(e), seg, s);
}

/* What the setters refuse is #GP(0). */
static int gp_unless(struct emu *e, int refused)
{
	return refused ? emu_fault(e, X86_TRAP_GP, 0) : EMU_OK;
}

static u64 op_get_cr(struct emu *e, unsigned int cr)
{
	struct kvm_vcpu *vcpu = vcpu_of(e);

	switch (cr) {
	case 0:		return vcpu->cr0;
	case 2:		return vcpu->cr2;
	case 3:		return kvm_ops->get_cr3(vcpu);
	case 4:		return vcpu->cr4;
	default:	return vcpu->cr8;
	}
}

/* User space's APIC may have something to deliver, now that CR8 is lower. */
static int tpr_exit(struct kvm_vcpu *vcpu)
{
	vcpu->run->exit_reason = KVM_EXIT_SET_TPR;
	return 0;
}

static int op_set_cr(struct emu *e, unsigned int cr, u64 value)
{
	struct kvm_vcpu *vcpu = vcpu_of(e);

	if (cr == 8 && value < vcpu->cr8 && !vcpu->kvm->local_apics)
		vcpu->io.after = tpr_exit;
	return gp_unless(e, kvm_set_cr(vcpu, cr, value));
}

static u64 op_get_dr(struct emu *e, unsigned int dr)
{
	struct kvm_vcpu *vcpu = vcpu_of(e);

	if (dr < 4)
		return vcpu->dr[array_index_nospec(dr, 4)];
	return dr == 6 ? vcpu->dr6 : vcpu->dr7;
}

static int op_set_dr(struct emu *e, unsigned int dr, u64 value)
{
	struct kvm_vcpu *vcpu = vcpu_of(e);

	if (dr >= 4 && value >> 32)
		return gp_unless(e, 1);
	if (dr < 4)
		vcpu->dr[array_index_nospec(dr, 4)] = value;
	kvm_set_dr6_dr7(vcpu, dr == 6 ? value : vcpu->dr6, dr == 7 ? value : vcpu->dr7);
	return EMU_OK;
}

/* The filter is for RDMSR and WRMSR, not for what others do with an MSR. */
static int op_msr(struct emu *e, u32 index, u64 *value, bool write)
{
	struct kvm_vcpu *vcpu = vcpu_of(e);

	if (e->map == 2 && e->opcode == (write ? 0x30 : 0x32))
		return gp_unless(e, kvm_guest_msr(vcpu, index, value, write));
	return gp_unless(e, write ? kvm_set_msr(vcpu, index, *value, false) :
				    kvm_get_msr(vcpu, index, value, false));
}

static void op_cpuid(struct emu *e, u32 leaf, u32 subleaf, struct kvm_cpuid_entry2 *answer)
{
	kvm_cpuid(vcpu_of(e), leaf, subleaf, answer);
}

static int op_control(struct emu *e, enum emu_control what, u64 arg, void *arg2)
{
	struct kvm_vcpu *vcpu = vcpu_of(e);

	switch (what) {
	case EMU_CTL_HLT:
		/* A single step's trap would end it at once. */
		if (!(e->rflags & X86_EFLAGS_TF))
			vcpu->io.after = kvm_halt;
		return EMU_OK;
	case EMU_CTL_RSM:
		if (!vcpu->events.smi.active)
			return emu_fault(e, X86_TRAP_UD, 0);
		vcpu->io.after = kvm_leave_smm;
		return EMU_OK;
	case EMU_CTL_INVLPG:
		kvm_mmu_invlpg(vcpu, arg);
		return EMU_OK;
	case EMU_CTL_IRET:
		kvm_ops->set_nmi_mask(vcpu, false);
		return EMU_OK;
	case EMU_CTL_XSETBV:
		return gp_unless(e, kvm_set_xcr0(vcpu, arg, *(u64 *)arg2));
	case EMU_CTL_XGETBV:
		/* Register 1 says what is in use: all may be (SDM 1 13.6). */
		*(u64 *)arg2 = vcpu->xcr0;
		return gp_unless(e, arg && (arg > 1 || !kvm_guest_has(vcpu, X86_FEATURE_XGETBV1)));
	default:	/* EMU_CTL_HYPERCALL */
		e->regs[EMU_RAX] = kvm_hypercall(vcpu, e->regs);
		return EMU_OK;
	}
}

/* ---- the emulator's x87 and vector registers ----------------------------- */

/*
 * During KVM_RUN they are the thread's. They are put away, and what KVM_GET_XSAVE
 * would give is read or changed: its head has the layout of struct emu_fpu.
 */
static int op_fpu(struct emu *e, struct emu_fpu *fpu, bool set)
{
	struct kvm_vcpu *vcpu = vcpu_of(e);
	u32 unused, zmm_high = 0;
	struct xregs_state *x;
	int r = 0;

	fpu_swap_kvm_fpstate(&vcpu->fpu, false);
	x = kvm_copy_xsave(vcpu);
	if (!x) {
		r = -ENOMEM;
	} else if (!set) {
		memcpy(fpu, x, offsetof(struct emu_fpu, zeroed));
		kvfree(x);
	} else {
		memcpy(x, fpu, offsetof(struct emu_fpu, unused));
		x->header.xfeatures |= XFEATURE_MASK_FPSSE;
		if (boot_cpu_has(X86_FEATURE_AVX)) {
			memcpy(x->extended_state_area, fpu->ymm_high, sizeof(fpu->ymm_high));
			x->header.xfeatures |= XFEATURE_MASK_YMM & kvm_caps.xcr0;
		}
		if (kvm_caps.xcr0 & XFEATURE_MASK_ZMM_Hi256)
			cpuid_count(0xd, XFEATURE_ZMM_Hi256, &unused, &zmm_high, &unused, &unused);
		for (int i = 0; i < 16 && zmm_high; i++)
			if (fpu->zeroed >> i & 1)
				memset((u8 *)x + zmm_high + 32 * i, 0, 32);
		r = kvm_replace_xsave(vcpu, x);
	}
	fpu_swap_kvm_fpstate(&vcpu->fpu, true);
	return r ? emu_error(e, r) : EMU_OK;
}

static const struct emu_ops kvm_emu_ops = {
	.access = op_access,
	.exchange = op_cmpxchg,
	.pio = op_pio,
	.get_seg = op_get_seg,
	.set_seg = op_set_seg,
	.get_cr = op_get_cr,
	.set_cr = op_set_cr,
	.get_dr = op_get_dr,
	.set_dr = op_set_dr,
	.msr = op_msr,
	.cpuid = op_cpuid,
	.control = op_control,
	.fpu = op_fpu,
};

/* ---- running the emulator ------------------------------------------------ */

static u8 emu_mode(struct kvm_vcpu *vcpu)
{
	struct kvm_segment cs;

	if (!(vcpu->cr0 & X86_CR0_PE))
		return EMU_REAL;
	if (kvm_ops->get_rflags(vcpu) & X86_EFLAGS_VM)
		return EMU_VM86;
	kvm_ops->get_segment(vcpu, SEG_CS, &cs);
	if (kvm_is_long_mode(vcpu) && cs.l)
		return EMU_LONG;
	return cs.db ? EMU_PROT32 : EMU_PROT16;
}

/* Every use of the emulator begins here, but for the second half of an instruction. */
static void emu_load(struct kvm_vcpu *vcpu)
{
	struct emu *e = &vcpu->emu;

	emu_reset(e);
	e->ops = &kvm_emu_ops;
	e->owner = vcpu;
	kvm_reg_read(vcpu, REG_RSP);
	memcpy(e->regs, vcpu->regs, sizeof(e->regs));
	e->rip = kvm_reg_read(vcpu, REG_RIP);
	e->rflags = kvm_ops->get_rflags(vcpu);
	e->mode = emu_mode(vcpu);
	e->cpl = kvm_ops->get_cpl(vcpu);
	e->va_bits = vcpu->cr4 & X86_CR4_LA57 ? 57 : 48;
	e->brief = false;
	vcpu->io.error = 0;
	vcpu->io.after = NULL;
	vcpu->io.posted = vcpu->io.may_post = vcpu->io.stale = false;
}

static void emu_store_regs(struct kvm_vcpu *vcpu)
{
	struct emu *e = &vcpu->emu;

	memcpy(vcpu->regs, e->regs, sizeof(e->regs));
	kvm_reg_write(vcpu, REG_RSP, e->regs[EMU_RSP]);
	kvm_reg_write(vcpu, REG_RIP, e->rip);
	kvm_ops->set_rflags(vcpu, e->rflags);
}

/* The instruction is done. */
static int emu_retire(struct kvm_vcpu *vcpu, u64 old_rflags)
{
	struct emu *e = &vcpu->emu;

	emu_store_regs(vcpu);
	kvm_ops->set_shadow(vcpu, e->shadow);
	vcpu->stat[STAT_emulated]++;
	if (vcpu->io.after)
		return vcpu->io.after(vcpu);
	if (old_rflags & X86_EFLAGS_TF)
		return kvm_handle_debug(vcpu, DR_STEP);
	return 1;
}

static int emu_failed(struct kvm_vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	struct emu *e = &vcpu->emu;

	if (vcpu->io.error)
		return vcpu->io.error;
	vcpu->stat[STAT_emulation_failed]++;
	/* A program in the guest must not be able to stop the whole VM. */
	if (e->cpl == 3) {
		kvm_queue_exception(vcpu, X86_TRAP_UD);
		return 1;
	}
	run->exit_reason = KVM_EXIT_INTERNAL_ERROR;
	memset(&run->emulation_failure, 0, sizeof(run->emulation_failure));
	run->emulation_failure.suberror = KVM_INTERNAL_ERROR_EMULATION;
	run->emulation_failure.ndata = 3;
	run->emulation_failure.flags = KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;
	run->emulation_failure.insn_size = e->nbytes;
	memcpy(run->emulation_failure.insn_bytes, e->bytes, e->nbytes);
	return 0;
}

static int emu_queue_fault(struct kvm_vcpu *vcpu)
{
	struct emu *e = &vcpu->emu;

	emu_store_regs(vcpu);
	if (e->fault.vector == X86_TRAP_DB)
		return kvm_handle_debug(vcpu, e->fault.error);
	if (e->fault.vector == X86_TRAP_PF)
		kvm_queue_page_fault(vcpu, e->fault.cr2, e->fault.error);
	else if (e->fault.has_error)
		kvm_queue_exception_e(vcpu, e->fault.vector, e->fault.error);
	else
		kvm_queue_exception(vcpu, e->fault.vector);
	return 1;
}

/* Does anybody wait for the vCPU? A string instruction can be long. */
static bool is_wanted(struct kvm_vcpu *vcpu)
{
	return vcpu->events.look || READ_ONCE(vcpu->requests) || signal_pending(current) ||
	       READ_ONCE(vcpu->run->immediate_exit__unsafe);
}

/* User space has the write; what follows on it. */
static int resume_posted(struct kvm_vcpu *vcpu)
{
	if (++vcpu->io.next < vcpu->io.fragments)
		return ask_user(vcpu, resume_posted);
	return vcpu->io.more && !is_wanted(vcpu) ? kvm_emulate(vcpu) : 1;
}

/*
 * A write is on its way to user space, and its instruction done; or, of a string
 * instruction, its iteration: the others begin afresh.
 */
static int post_write(struct kvm_vcpu *vcpu, int r)
{
	vcpu->io.more = r != EMU_OK;
	if (r == EMU_OK)
		emu_retire(vcpu, 0);
	else
		emu_store_regs(vcpu);
	return ask_user(vcpu, resume_posted);
}

static int resume_emulation(struct kvm_vcpu *vcpu);

static int run_emulator(struct kvm_vcpu *vcpu)
{
	struct emu *e = &vcpu->emu;
	u64 old_rflags = e->rflags;
	int r;

	/* After a single-stepped instruction there is more to do at once. */
	vcpu->io.may_post = !(old_rflags & X86_EFLAGS_TF);
	r = emu_run(e);
	vcpu->io.fault_known = false;
	if (vcpu->io.posted)
		return post_write(vcpu, r);
	switch (r) {
	case EMU_OK:
		return emu_retire(vcpu, old_rflags);
	case EMU_FAULT:
		return emu_queue_fault(vcpu);
	case EMU_AGAIN:
		emu_store_regs(vcpu);
		return ask_user(vcpu, resume_emulation);
	default:
		return emu_failed(vcpu);
	}
}

static int resume_emulation(struct kvm_vcpu *vcpu)
{
	struct kvm_io_state *io = &vcpu->io;
	struct emu *e = &vcpu->emu;

	/* User space has put other registers in place: they begin it afresh. */
	if (io->stale)
		return 1;
	e->rflags = kvm_ops->get_rflags(vcpu);	/* a debugger may have come or gone */
	e->brief = is_wanted(vcpu);
	if (io->port_count) {
		emu_supply(e, pio_data(vcpu), io->write ? 0 : io->port_size * io->port_count);
		return run_emulator(vcpu);
	}
	if (!io->write)
		memcpy(io->fragment[io->next].data, vcpu->run->mmio.data,
		       io->fragment[io->next].len);
	if (++io->next < io->fragments)
		return ask_user(vcpu, resume_emulation);
	emu_supply(e, io->data, io->write ? 0 : io->size);
	return run_emulator(vcpu);
}

int kvm_emulate(struct kvm_vcpu *vcpu)
{
	struct emu *e = &vcpu->emu;

	emu_load(vcpu);
	if (unlikely(vcpu->guest_debug & KVM_GUESTDBG_USE_SW_BP) && emu_decode(e) == EMU_OK &&
	    e->map == 1 && e->opcode == 0xcc) {
		vcpu->io.fault_known = false;
		return kvm_handle_breakpoint(vcpu);
	}
	return run_emulator(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_emulate);

int kvm_emulate_event(struct kvm_vcpu *vcpu, u8 vector, bool has_error, u32 error)
{
	int r;

	emu_load(vcpu);
	r = emu_interrupt(&vcpu->emu, vector, has_error, error);
	if (r == EMU_OK)
		return emu_retire(vcpu, 0);
	if (r == EMU_FAULT)
		return emu_queue_fault(vcpu);
	/* It is not begun again as an instruction is: its tables and stack are memory. */
	return kvm_internal_error(vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV, vector, vcpu->emu.rip);
}

bool kvm_code_is(struct kvm_vcpu *vcpu, u64 linear, u32 code, int length)
{
	u32 access = ACCESS_EXEC | (kvm_ops->get_cpl(vcpu) == 3 ? ACCESS_USER : 0), error;
	gpa_t gpa;
	u64 word;

	if (offset_in_page(linear) + length > PAGE_SIZE ||
	    kvm_translate(vcpu, linear, access, &gpa, &error))
		return false;
	if (unlikely(offset_in_page(gpa) + sizeof(word) > PAGE_SIZE) ?
	    kvm_read_guest(vcpu->space, gpa, &word, length) :
	    kvm_read_guest_entry(vcpu->space, gpa, &word, sizeof(word)))
		return false;
	return low_bytes(word, length) == code;
}
EXPORT_SYMBOL_GPL(kvm_code_is);

int kvm_patch_code(struct kvm_vcpu *vcpu, u64 linear, u32 code, int length)
{
	gpa_t gpa;
	u32 error;

	return offset_in_page(linear) + length > PAGE_SIZE ||
	       kvm_translate(vcpu, linear, ACCESS_WRITE, &gpa, &error) ||
	       kvm_write_guest(vcpu->space, gpa, &code, length);
}

int kvm_instruction_length(struct kvm_vcpu *vcpu)
{
	emu_load(vcpu);
	return emu_decode(&vcpu->emu) == EMU_OK ? vcpu->emu.length : 0;
}
EXPORT_SYMBOL_GPL(kvm_instruction_length);

int kvm_handle_memory_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u32 access, u64 gva,
			    const struct kvm_walk *walk)
{
	const struct kvm_events *ev = &vcpu->events;
	int r = kvm_mmu_fault(vcpu, gpa, access, gva, walk);

	vcpu->stat[STAT_second_level_fault]++;
	if (r == FAULT_MAPPED)
		return 1;
	if (r != FAULT_MMIO)
		return r;
	/*
	 * An event was being delivered, with its stack or tables outside of
	 * memory: the instruction at RIP is not what did the access.
	 */
	if (unlikely(ev->exception.injected || ev->irq.injected || ev->nmi.injected))
		return kvm_internal_error(vcpu, KVM_INTERNAL_ERROR_DELIVERY_EV, gpa, access);
	/* Not the instruction's access: the walk of page tables in ROM, say, to set A bits. */
	vcpu->io.fault_known = !(access & ACCESS_SYSTEM);
	vcpu->io.fault_gpa = gpa;
	vcpu->io.fault_write = access & ACCESS_WRITE;
	return kvm_emulate(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_handle_memory_fault);
