// SPDX-License-Identifier: GPL-2.0-only
/*
 * emulate_far.c - segment registers, far transfers, interrupts, task switches
 *
 * Theory of operation. In real and vm86 mode a selector is an address; in the
 * protected modes it names a descriptor, which fetch_descriptor() reads and the
 * callers check as SDM vol. 2 and 3A chapters 5 to 8 say. Nothing is set before
 * everything is read and checked, as segment registers cannot be put back (and
 * emu_set_segment() does nothing once the instruction is stopped). Only a task
 * switch has a point of no return: what fails later is the new task's fault.
 *
 * Interrupts and calls through a gate may change to an inner ring and its stack.
 * The frame is written to it by way of the cached SS: enter_ring() changes the
 * cache, the CPL and the mode, and enter_code() makes it so.
 */
#include "emulate_priv.h"

#define TYPE_TSS16	1
#define TYPE_LDT	2
#define TYPE_CALL16	4
#define TYPE_TASK_GATE	5
#define TYPE_TSS32	9	/* in long mode the only kind */
#define TYPE_CALL32	12	/* likewise */
#define TYPE_BUSY	2	/* or'ed to either TSS type */

/* In the order of the frame that vm86 mode is left and entered with */
static const u8 data_segments[5] = { SEG_SS, SEG_ES, SEG_DS, SEG_FS, SEG_GS };

struct descriptor {
	u64 raw;		/* its (first) eight bytes */
	u64 high;		/* the others, in long mode */
	u64 linear;		/* where they are */
	struct kvm_segment seg;
};

static void system_store(struct emu *e, u64 linear, u64 value, unsigned int size)
{
	emu_lin_access(e, linear, &value, size, EMU_ACC_SYSTEM | EMU_ACC_WRITE);
}

/* EFER.LMA: in 64-bit and compatibility mode */
static bool long_active(struct emu *e)
{
	return e->mode == EMU_LONG || (!real_or_vm86(e) && emu_rdmsr(e, MSR_EFER) & EFER_LMA);
}

static void selector_if(struct emu *e, bool condition, u8 vector, u16 selector)
{
	raise_if(e, condition, vector, selector & 0xfffc);
}

static bool null_selector(u16 selector)
{
	return !(selector & 0xfffc);
}

static bool conforming(const struct kvm_segment *s)
{
	return s->s && s->type & SEG_CODE && s->type & SEG_DOWN;
}

/* Reads a descriptor; beyond the table's limit it is @vector(selector). */
static struct descriptor fetch_descriptor(struct emu *e, u16 selector, u8 vector)
{
	const struct kvm_segment *table = emu_segment(e, selector & 4 ? SEG_LDTR : SEG_GDTR);
	u32 limit = table->unusable ? 0 : table->limit;
	struct descriptor d = { .linear = table->base + (selector & 0xfff8) };
	bool wide;

	selector_if(e, (selector | 7u) > limit, vector, selector);
	d.raw = emu_system_load(e, d.linear, 8);
	/* System descriptors of long mode have eight bytes more. */
	wide = !(d.raw >> 44 & 1) && long_active(e);
	selector_if(e, wide && (selector | 7u) + 8 > limit, vector, selector);
	if (wide)
		d.high = emu_system_load(e, d.linear + 8, 8);
	d.seg = unpack_segment(selector, d.raw >> 40, (d.raw & 0xffff) | (d.raw >> 32 & 0xf0000),
			       (d.raw >> 16 & 0xffffff) | (d.raw >> 32 & 0xff000000) |
			       d.high << 32);
	if (d.seg.g)
		d.seg.limit = d.seg.limit << 12 | 0xfff;
	return d;
}

/* Changes type bits (accessed, busy) in a descriptor and in memory. */
static void mark_descriptor(struct emu *e, struct descriptor *d, u8 set, u8 clear)
{
	u8 access = d->raw >> 40, new = (access | set) & ~clear;

	d->seg.type = new & 15;
	if (new != access)
		system_store(e, d->linear + 5, new, 1);
}

static struct kvm_segment unusable(u16 selector, unsigned int level)
{
	return (struct kvm_segment){ .selector = selector, .dpl = level, .unusable = 1 };
}

/*
 * Checks @selector for SS at privilege @cpl, or for DS, ES, FS, GS; @vector is
 * #GP, or #TS in a task switch. Returns the hidden part.
 */
static struct kvm_segment check_data_segment(struct emu *e, unsigned int seg, u16 selector,
					     unsigned int cpl, u8 vector)
{
	unsigned int rpl = selector & 3, type;
	struct descriptor d;
	bool good;

	if (null_selector(selector)) {
		raise_if(e, seg == SEG_SS && (e->mode != EMU_LONG || cpl == 3 || rpl != cpl),
			 vector, 0);
		return unusable(selector, cpl);
	}
	d = fetch_descriptor(e, selector, vector);
	type = d.seg.type;
	if (seg == SEG_SS)
		good = !(type & SEG_CODE) && type & SEG_WRITE && rpl == cpl && d.seg.dpl == cpl;
	else
		good = (!(type & SEG_CODE) || type & SEG_WRITE) &&
		       (conforming(&d.seg) || (rpl <= d.seg.dpl && cpl <= d.seg.dpl));
	selector_if(e, !d.seg.s || !good, vector, selector);
	selector_if(e, !d.seg.present, seg == SEG_SS ? X86_TRAP_SS : X86_TRAP_NP, selector);
	mark_descriptor(e, &d, SEG_ACCESSED, 0);
	return d.seg;
}

/*
 * Real mode keeps limit and attributes ("unreal mode"), unless the segment was null;
 * vm86 has its own.
 */
static struct kvm_segment real_segment(struct emu *e, unsigned int seg, u16 selector)
{
	struct kvm_segment s = { .limit = 0xffff, .type = 3, .s = 1, .dpl = 3, .present = 1 };

	if (!(e->rflags & X86_EFLAGS_VM) && !emu_segment(e, seg)->unusable)
		s = *emu_segment(e, seg);
	s.selector = selector;
	s.base = (u64)selector << 4;
	return s;
}

/* All of vm86 mode's */
static void load_vm86_segments(struct emu *e, const u32 selectors[6])
{
	for (unsigned int i = 0; i < 6; i++)
		emu_set_segment(e, i, real_segment(e, i, selectors[i]));
	e->cpl = 3;
}

/* LDTR and TR. A null selector leaves no LDT; a TSS becomes busy. */
static void load_system(struct emu *e, unsigned int seg, u16 selector, u8 vector)
{
	struct descriptor d = { .seg = unusable(selector, 0) };
	bool tss = seg == SEG_TR, good;
	u32 type;

	if (tss || !null_selector(selector)) {
		selector_if(e, selector & 4 || null_selector(selector), vector, selector);
		d = fetch_descriptor(e, selector, vector);
		type = d.seg.type;
		good = tss ? type == TYPE_TSS32 || (type == TYPE_TSS16 && !long_active(e)) :
			     type == TYPE_LDT;
		selector_if(e, d.seg.s || !good, vector, selector);
		selector_if(e, !d.seg.present, vector == X86_TRAP_TS ? vector : X86_TRAP_NP,
			    selector);
		gp_if(e, !emu_canonical(e, d.seg.base));
	}
	if (tss)
		mark_descriptor(e, &d, TYPE_BUSY, 0);
	emu_set_segment(e, seg, d.seg);
}

/* By MOV, POP, LLDT, LTR */
void emu_load_segment(struct emu *e, unsigned int seg, u16 selector)
{
	if (seg >= SEG_LDTR)
		load_system(e, seg, selector, X86_TRAP_GP);
	else if (real_or_vm86(e))
		emu_set_segment(e, seg, real_segment(e, seg, selector));
	else
		emu_set_segment(e, seg, check_data_segment(e, seg, selector, e->cpl, X86_TRAP_GP));
}

/* LES, LDS, and in the 0F map LSS, LFS, LGS: operand 1 is the offset. */
void emu_op_load_far_pointer(struct emu *e)
{
	unsigned int seg = e->map == 2 ? e->opcode & 7 : e->opcode == 0xc4 ? SEG_ES : SEG_DS;

	unknown_if(e, e->op_size == 8);		/* Intel has it, AMD has not */
	emu_load_segment(e, seg, emu_operand(e, e->op_size, 2));
	e->op[0].val = e->op[1].val;
}

/* ---- Code segments ------------------------------------------------------- */

/* A code segment to come, and the privilege it will run at. */
struct target {
	struct descriptor d;
	u64 offset;
	u8 cpl;
};

/*
 * How control gets to a code segment. JMP and CALL stay at CPL; a return goes to
 * the selector's RPL, which must not be more privileged. Of a selector in a gate
 * the RPL does not count; by CALL and interrupts gates lead inwards, too.
 */
enum transfer { DIRECT, BACK, GATE_JMP, GATE };

static void check_code(struct emu *e, u16 selector, enum transfer how, struct target *t)
{
	struct kvm_segment *s = &t->d.seg;
	unsigned int rpl = selector & 3;
	bool good, wide = long_active(e);

	if (e->mode == EMU_REAL || (e->mode == EMU_VM86 && how < GATE_JMP)) {
		gp_if(e, t->offset > emu_segment(e, SEG_CS)->limit);
		t->cpl = e->cpl;
		*s = real_segment(e, SEG_CS, selector);
		return;
	}
	gp_if(e, null_selector(selector));
	selector_if(e, how == BACK && rpl < e->cpl, X86_TRAP_GP, selector);
	if (how != DIRECT)	/* else emu_op_far() had a look at it */
		t->d = fetch_descriptor(e, selector, X86_TRAP_GP);
	t->cpl = how == BACK ? rpl : how == GATE && !conforming(s) ? s->dpl : e->cpl;
	if (how == GATE || conforming(s))
		good = s->dpl <= (how == BACK ? rpl : e->cpl);
	else
		good = s->dpl == t->cpl && (rpl <= t->cpl || how == GATE_JMP);
	if (wide)
		good = good && !(s->l && s->db) && (how < GATE_JMP || s->l);
	good = good && s->s && s->type & SEG_CODE;
	selector_if(e, !good, X86_TRAP_GP, selector);
	selector_if(e, !s->present, X86_TRAP_NP, selector);
	gp_if(e, s->l && wide ? !emu_canonical(e, t->offset) : t->offset > s->limit);
	s->selector = (selector & 0xfffc) | t->cpl;
	mark_descriptor(e, &t->d, SEG_ACCESSED, 0);
}

static void enter_code(struct emu *e, const struct target *t)
{
	emu_set_segment(e, SEG_CS, t->d.seg);
	e->cpl = t->cpl;
	e->next_rip = t->offset;
}

/*
 * From here on pushes go where the target's ring has its stack; @inner, or an
 * entry of the interrupt stack table, says that it is another one (SDM 3A 8.7).
 */
static void enter_ring(struct emu *e, const struct target *t, bool inner, unsigned int ist)
{
	const struct kvm_segment *tr = emu_segment(e, SEG_TR);
	bool wide = long_active(e), tss32 = tr->type & 8;
	unsigned int size = wide ? 8 : tss32 ? 4 : 2;
	u32 at = ist ? 0x1c + ist * 8 : wide ? 4 + t->cpl * 8u : size + t->cpl * size * 2;
	struct kvm_segment ss = *emu_segment(e, SEG_SS);
	u64 sp = e->regs[EMU_RSP];

	if (inner || ist) {
		selector_if(e, at + size * (wide ? 1 : 2) - 1 > tr->limit, X86_TRAP_TS, tr->selector);
		sp = emu_system_load(e, tr->base + at, size);
		raise_if(e, wide && !emu_canonical(e, sp), X86_TRAP_SS, 0);
	}
	if (inner && wide)
		ss = unusable(t->cpl, t->cpl);
	else if (inner)
		ss = check_data_segment(e, SEG_SS, emu_system_load(e, tr->base + at + size, 2),
					t->cpl, X86_TRAP_TS);
	if (stopped(e))
		return;
	e->mode = wide && t->d.seg.l ? EMU_LONG : t->d.seg.db ? EMU_PROT32 : EMU_PROT16;
	e->segs[SEG_SS] = ss;
	e->cpl = t->cpl;
	e->regs[EMU_RSP] = sp;
}

/* ---- Task switches (SDM 3A chapter 8) ------------------------------------ */

/* A CALL or an event nests tasks, IRET unnests them. */
enum task_reason { TASK_BY_CALL, TASK_BY_IRET, TASK_BY_JMP };

/* A TSS holds EIP, EFLAGS, 8 registers, 6 selectors and that of the LDT. */
enum { TASK_EIP, TASK_EFLAGS, TASK_REGS, TASK_SELECTORS = 10, TASK_LDT = 16, TASK_FIELDS };

/* Dwords from 20 on, or words from 0E, without FS and GS; the LDT's only to read */
static void access_task(struct emu *e, const struct kvm_segment *tss, u32 task[TASK_FIELDS],
			bool write)
{
	bool wide = tss->type & 8;
	unsigned int size = wide ? 4 : 2, n = wide ? TASK_LDT : TASK_LDT - 2;
	u64 at = tss->base + (wide ? 0x20 : 0x0e);

	for (unsigned int i = 0; i < n; i++, at += size)
		if (write)
			system_store(e, at, task[i], size);
		else
			task[i] = emu_system_load(e, at, size);
	if (!write)
		task[TASK_LDT] = emu_system_load(e, at, 2);
}

static void save_task(struct emu *e, const struct kvm_segment *tss, u64 back, bool iret)
{
	u32 task[TASK_FIELDS] = { back, e->rflags & ~(iret ? X86_EFLAGS_NT : 0) };

	for (unsigned int i = 0; i < 8; i++)
		task[TASK_REGS + i] = e->regs[i];
	for (unsigned int i = 0; i < 6; i++)
		task[TASK_SELECTORS + i] = emu_segment(e, i)->selector;
	access_task(e, tss, task, true);
}

/* Busy bits and the link, when the old task's state is safe. */
static void link_tasks(struct emu *e, struct descriptor *new, u16 old_selector, bool nested)
{
	struct descriptor old;

	if (nested) {
		system_store(e, new->seg.base, old_selector, 2);
	} else {
		old = fetch_descriptor(e, old_selector, X86_TRAP_TS);
		mark_descriptor(e, &old, 0, TYPE_BUSY);
	}
	mark_descriptor(e, new, TYPE_BUSY, 0);
}

/* Faults in here are the new task's: its registers are in place. */
static void load_task_segments(struct emu *e, const u32 *selectors, u16 ldt)
{
	struct target t = { .offset = e->rip };

	load_system(e, SEG_LDTR, ldt, X86_TRAP_TS);
	if (e->rflags & X86_EFLAGS_VM) {
		e->mode = EMU_VM86;
		return load_vm86_segments(e, selectors);
	}
	e->mode = EMU_PROT32;
	e->cpl = selectors[SEG_CS] & 3;
	check_code(e, selectors[SEG_CS], BACK, &t);
	if (e->status == EMU_FAULT && e->fault.vector == X86_TRAP_GP && e->fault.error)
		e->fault.vector = X86_TRAP_TS;
	enter_code(e, &t);
	for (unsigned int i = 0; i < 5; i++) {
		unsigned int seg = data_segments[i];

		emu_set_segment(e, seg, check_data_segment(e, seg, selectors[seg], e->cpl,
							   X86_TRAP_TS));
	}
}

/* @rip is what the old task goes on with. */
static void switch_task(struct emu *e, u64 rip, u16 selector, enum task_reason reason)
{
	bool back = reason == TASK_BY_IRET, nested = reason == TASK_BY_CALL, wide, trap;
	struct kvm_segment old = *emu_segment(e, SEG_TR);
	u8 vector = back ? X86_TRAP_TS : X86_TRAP_GP;
	u64 cr0 = cr(e, 0), cr3;
	u32 task[TASK_FIELDS] = { 0 };
	struct descriptor new;

	selector_if(e, selector & 4 || null_selector(selector), vector, selector);
	new = fetch_descriptor(e, selector, vector);
	wide = new.seg.type & 8;
	selector_if(e, new.seg.s || (new.seg.type & ~8u) != (TYPE_TSS16 | (back ? TYPE_BUSY : 0)),
		    vector, selector);
	selector_if(e, !new.seg.present, X86_TRAP_NP, selector);
	selector_if(e, new.seg.limit < (wide ? 0x67 : 0x2b), X86_TRAP_TS, selector);
	/* All of the new state is read before any of the old is lost. */
	access_task(e, &new.seg, task, false);
	cr3 = wide ? emu_system_load(e, new.seg.base + 0x1c, 4) : 0;
	trap = wide && emu_system_load(e, new.seg.base + 0x64, 2) & 1;
	save_task(e, &old, rip, back);
	link_tasks(e, &new, old.selector, nested);
	if (wide && cr0 >> 31 & 1)
		emu_call(e, set_cr, 3, cr3);
	emu_set_segment(e, SEG_TR, new.seg);
	emu_call(e, set_cr, 0, cr0 | X86_CR0_TS);
	if (stopped(e))
		return;
	emu_call(e, set_dr, 7, e->ops->get_dr(e, 7) & ~0x155ull);
	e->rip = task[TASK_EIP];
	e->rflags = (task[TASK_EFLAGS] & FL_DEFINED) | X86_EFLAGS_FIXED |
		    (nested ? X86_EFLAGS_NT : 0);
	for (unsigned int i = 0; i < 8; i++)
		e->regs[i] = task[TASK_REGS + i];
	emu_checkpoint(e);
	load_task_segments(e, task + TASK_SELECTORS, task[TASK_LDT]);
	raise_if(e, trap, X86_TRAP_DB, DR6_BT);
	e->next_rip = e->rip;
	if (e->status == EMU_AGAIN)
		e->status = EMU_UNHANDLED;
}

/* ---- Far transfers ------------------------------------------------------- */

/* CALL by a gate: to an inner ring with the old stack's pointer and parameters */
static void call_gate(struct emu *e, const struct descriptor *gate, const struct target *t)
{
	bool inner = t->cpl < e->cpl, wide = long_active(e);
	unsigned int size = wide ? 8 : gate->seg.type & 8 ? 4 : 2;
	unsigned int n = wide ? 0 : gate->raw >> 32 & 31;
	u16 ss = emu_segment(e, SEG_SS)->selector, cs = emu_segment(e, SEG_CS)->selector;
	u64 sp = e->regs[EMU_RSP], mask = size_mask(emu_stack_size(e)), parameter[31];

	for (unsigned int i = 0; i < n && inner; i++)
		parameter[i] = emu_load(e, SEG_SS, (sp + i * size) & mask, size);
	enter_ring(e, t, inner, 0);
	if (inner) {
		emu_push(e, ss, size);
		emu_push(e, sp, size);
		while (n--)
			emu_push(e, parameter[n], size);
	}
	emu_push(e, cs, size);
	emu_push(e, e->next_rip, size);
	emu_set_segment(e, SEG_SS, *emu_segment(e, SEG_SS));
	enter_code(e, t);
}

/* Where a gate leads to; @high: the second half of one of long mode */
static u64 gate_offset(u64 raw, u64 high)
{
	return (raw & 0xffff) | (raw >> 43 & 1 ? raw >> 32 & 0xffff0000 : 0) | high << 32;
}

/* JMP and CALL to a gate or a TSS (SDM 3A 5.8, 8.3) */
static void far_system(struct emu *e, const struct descriptor *d, u16 selector, bool call)
{
	u32 type = d->seg.type, level = d->seg.dpl;
	bool wide = long_active(e), gate = type == TYPE_CALL32 || (type == TYPE_CALL16 && !wide);
	bool task = !wide && (type == TYPE_TASK_GATE || (type & ~8u) == TYPE_TSS16);
	struct target t = { .offset = gate_offset(d->raw, d->high) };
	u16 to = d->raw >> 16;

	selector_if(e, !(gate || task) || level < e->cpl || level < (selector & 3u),
		    X86_TRAP_GP, selector);
	selector_if(e, !d->seg.present, X86_TRAP_NP, selector);
	if (task)
		return switch_task(e, e->next_rip, type == TYPE_TASK_GATE ? to : selector,
				   call ? TASK_BY_CALL : TASK_BY_JMP);
	check_code(e, to, call ? GATE : GATE_JMP, &t);
	if (call)
		call_gate(e, d, &t);
	else
		enter_code(e, &t);
}

/* CALL and JMP: 9A, EA with the pointer in the instruction, FF /3, /5 in memory */
void emu_op_far(struct emu *e)
{
	bool indirect = e->opcode == 0xff;
	bool call = indirect ? modrm_reg(e) == 3 : e->opcode == 0x9a;
	u16 selector = indirect ? emu_operand(e, e->op_size, 2) : e->op[1].val;
	struct target t = { .offset = e->op[0].val };

	unknown_if(e, e->op_size == 8);
	if (!real_or_vm86(e)) {
		gp_if(e, null_selector(selector));
		t.d = fetch_descriptor(e, selector, X86_TRAP_GP);
		if (!stopped(e) && !t.d.seg.s)
			return far_system(e, &t.d, selector, call);
	}
	check_code(e, selector, DIRECT, &t);
	if (call) {
		emu_push(e, emu_segment(e, SEG_CS)->selector, e->op_size);
		emu_push(e, e->next_rip, e->op_size);
	}
	enter_code(e, &t);
}

/* After a return to an outer ring its program must not keep our segments. */
static void drop_segments(struct emu *e, bool all)
{
	const struct kvm_segment *s;

	for (unsigned int i = 1; i < 5; i++) {
		s = emu_segment(e, data_segments[i]);
		if (all || !(s->unusable || s->dpl >= e->cpl || conforming(s)))
			emu_set_segment(e, data_segments[i], unusable(0, 0));
	}
}

/* The rest of RETF and IRET: CS is checked, SP and SS may be on the stack. */
static void return_to(struct emu *e, struct target *t, bool pop_stack, u64 release)
{
	bool outer = t->cpl > e->cpl, to_long = t->d.seg.l;
	struct kvm_segment ss;
	u16 selector;
	u64 sp;

	emu_move_stack(e, e->regs[EMU_RSP] + release);
	if (!outer && !pop_stack)
		return enter_code(e, t);
	sp = emu_pop(e, e->op_size) + release;
	selector = emu_pop(e, e->op_size);
	/* A null SS is for 64-bit code below ring 3 only. */
	gp_if(e, !to_long && null_selector(selector));
	ss = check_data_segment(e, SEG_SS, selector, t->cpl, X86_TRAP_GP);
	enter_code(e, t);
	emu_set_segment(e, SEG_SS, ss);
	if (e->mode == EMU_LONG)
		e->regs[EMU_RSP] = to_long ? sp : (u32)sp;
	else
		emu_move_stack(e, sp);
	if (outer)
		drop_segments(e, false);
}

void emu_op_ret_far(struct emu *e)
{
	struct target t = { .offset = emu_pop(e, e->op_size) };
	u16 selector = emu_pop(e, e->op_size);

	check_code(e, selector, BACK, &t);
	return_to(e, &t, false, e->op[0].val);
}

/* IRET from ring 0 to vm86 mode: six more values are on the stack. */
static void return_to_vm86(struct emu *e, u64 offset, u16 cs, u64 flags)
{
	u64 sp = emu_pop(e, 4);
	u32 selectors[6];

	selectors[SEG_CS] = cs;
	for (unsigned int i = 0; i < 5; i++)
		selectors[data_segments[i]] = emu_pop(e, 4);
	e->rflags = (flags & FL_DEFINED) | X86_EFLAGS_FIXED;
	load_vm86_segments(e, selectors);
	e->regs[EMU_RSP] = (u32)sp;
	e->next_rip = offset & 0xffff;
}

void emu_op_iret(struct emu *e)
{
	u64 flags, writable = emu_flags_writable(e, e->op_size);
	struct target t = { 0 };
	u16 selector;

	if (!real_or_vm86(e) && e->rflags & X86_EFLAGS_NT) {
		gp_if(e, long_active(e));
		selector = emu_system_load(e, emu_segment(e, SEG_TR)->base, 2);
		switch_task(e, e->next_rip, selector, TASK_BY_IRET);
		return emu_call(e, control, EMU_CTL_IRET, 0, NULL);
	}
	t.offset = emu_pop(e, e->op_size);
	selector = emu_pop(e, e->op_size);
	flags = emu_pop(e, e->op_size);
	if (flags & X86_EFLAGS_VM && !real_or_vm86(e) && !e->cpl && e->op_size == 4 &&
	    !long_active(e)) {
		return_to_vm86(e, t.offset, selector, flags);
	} else {
		check_code(e, selector, BACK, &t);
		return_to(e, &t, e->mode == EMU_LONG, 0);
		flags_change(e, writable, flags);
	}
	emu_call(e, control, EMU_CTL_IRET, 0, NULL);
}

/* ---- Interrupts ---------------------------------------------------------- */

/*
 * Reads a gate of the IDT; @software: it must be open to this CPL. Returns its
 * type, 14 in long mode and else 5 to 7, 14 and 15. Real mode's vectors are the
 * first halves of 16-bit interrupt gates.
 */
static unsigned int fetch_gate(struct emu *e, u8 vector, bool software, u64 *raw, struct target *t)
{
	bool wide = long_active(e), real = e->mode == EMU_REAL;
	unsigned int size = wide ? 16 : real ? 4 : 8, code = vector * 8 + 2, type;
	const struct kvm_segment *idt = emu_segment(e, SEG_IDTR);
	u64 at = idt->base + vector * size;

	raise_if(e, vector * size + size - 1 > idt->limit, X86_TRAP_GP, code);
	*raw = emu_system_load(e, at, min(size, 8));
	t->offset = gate_offset(*raw, wide ? emu_system_load(e, at + 8, 4) : 0);
	if (real)
		return 6;
	type = *raw >> 40 & 0x1f;
	raise_if(e, !((wide ? 0xc000 : 0xc0e0) >> type & 1), X86_TRAP_GP, code);
	raise_if(e, software && (*raw >> 45 & 3) < e->cpl, X86_TRAP_GP, code);
	raise_if(e, !(*raw >> 47 & 1), X86_TRAP_NP, code);
	return type;
}

/* Through the IDT (SDM 3A 6.12, 6.14, 22.1.4, 22.3); real mode knows no error codes. */
void emu_deliver(struct emu *e, u8 vector, bool software, bool has_error, u32 error, u64 back)
{
	u16 ss = emu_segment(e, SEG_SS)->selector, cs = emu_segment(e, SEG_CS)->selector;
	bool vm86 = e->mode == EMU_VM86, real = e->mode == EMU_REAL, wide = long_active(e), inner;
	u64 sp = e->regs[EMU_RSP], raw = 0;
	unsigned int type, size, ist;
	struct target t = { 0 };

	type = fetch_gate(e, vector, software, &raw, &t);
	if (type == TYPE_TASK_GATE) {
		switch_task(e, back, raw >> 16, TASK_BY_CALL);
		if (has_error)
			emu_push(e, error, emu_segment(e, SEG_TR)->type & 8 ? 4 : 2);
		return;
	}
	check_code(e, raw >> 16, GATE, &t);
	selector_if(e, vm86 && t.cpl, X86_TRAP_GP, raw >> 16);
	inner = t.cpl < e->cpl;
	ist = wide ? raw >> 32 & 7 : 0;
	size = wide ? 8 : type & 8 ? 4 : 2;
	if (!real)
		enter_ring(e, &t, inner, ist);
	if (wide)
		e->regs[EMU_RSP] &= ~15ull;
	for (int i = 4; i > 0 && vm86; i--)
		emu_push(e, emu_segment(e, data_segments[i])->selector, size);
	if (inner || wide) {
		emu_push(e, ss, size);
		emu_push(e, sp, size);
	}
	emu_push(e, e->rflags | X86_EFLAGS_FIXED, size);
	emu_push(e, cs, size);
	emu_push(e, back, size);
	if (has_error && !real)
		emu_push(e, error, size);
	emu_set_segment(e, SEG_SS, *emu_segment(e, SEG_SS));
	enter_code(e, &t);
	if (vm86)
		drop_segments(e, true);
	e->rflags &= ~(X86_EFLAGS_TF | X86_EFLAGS_RF | X86_EFLAGS_VM |
		       (real ? X86_EFLAGS_AC : X86_EFLAGS_NT));
	if (!(type & 1))
		e->rflags &= ~X86_EFLAGS_IF;
}

/* INT n, INT3, INTO, INT1; the last ignores the gate's DPL. */
void emu_op_int(struct emu *e)
{
	u8 vector = e->opcode == 0xcd ? e->op[0].val : e->what;

	if (e->opcode == 0xce && !(e->rflags & FL_OF))
		return;
	e->external = e->opcode == 0xf1;
	emu_deliver(e, vector, e->opcode != 0xf1, false, 0, e->next_rip);
}

/* ---- Looking at descriptors ---------------------------------------------- */

/*
 * LAR, LSL, VERR, VERW: ZF says whether the descriptor can be seen from here and
 * is what they want.
 */
void emu_op_look(struct emu *e)
{
	/* System types that each knows (SDM tables 3-53, 3-58), [1]: in long mode */
	static const u16 lar[2] = { 0x1a3e, 0x1a04 }, lsl[2] = { 0x0a0e, 0x0a04 };
	bool verify = e->opcode == 0x00, is_lsl = e->opcode == 0x03, found, code;
	u16 selector = e->op[verify ? 0 : 1].val;
	struct descriptor d = { 0 };

	found = !null_selector(selector);
	if (found)
		d = fetch_descriptor(e, selector, X86_TRAP_GP);
	if (e->status == EMU_FAULT && e->fault.vector == X86_TRAP_GP) {
		e->status = EMU_OK;	/* beyond the limit */
		found = false;
	}
	found = found && (conforming(&d.seg) ||
			  (e->cpl <= d.seg.dpl && (selector & 3u) <= d.seg.dpl));
	code = d.seg.type & SEG_CODE;
	if (verify && modrm_reg(e) == 5)
		found = found && d.seg.s && d.seg.type & SEG_WRITE && !code;
	else if (verify)
		found = found && d.seg.s && (d.seg.type & SEG_WRITE || !code);
	else if (!d.seg.s)
		found = found && (is_lsl ? lsl : lar)[long_active(e)] >> d.seg.type & 1;
	flags_change(e, FL_ZF, flag_if(found, FL_ZF));
	e->op[0].val = is_lsl ? d.seg.limit : (u32)(d.raw >> 32) & 0x00ffff00;
	if (!found)
		e->flags |= NOWRITE;
}

/* Writes only when it has to. */
void emu_op_arpl(struct emu *e)
{
	u64 want = e->op[1].val & 3;
	bool raise = (e->op[0].val & 3) < want;

	flags_change(e, FL_ZF, flag_if(raise, FL_ZF));
	if (!raise)
		return;
	e->op[0].val = (e->op[0].val & ~3ull) | want;
	e->flags &= ~NOWRITE;
}
