// SPDX-License-Identifier: GPL-2.0-only
/*
 * emulate_far.c - segment registers, far transfers, interrupts, task switches
 *
 * Theory of operation. In real and vm86 mode a selector is an address; in the
 * protected modes it names a descriptor, which fetch_descriptor() reads and the
 * callers check as SDM vol. 2 and 3A chapters 5 to 7 say. Nothing is set before
 * everything is read and checked, as segment registers cannot be put back (and
 * emu_set_segment() does nothing once the instruction is stopped).
 *
 * Left to the processor: delivery through a protected-mode IDT (the caller
 * injects e->fault.software events). Not known, and EMU_UNHANDLED: call gates.
 */
#include "emulate_priv.h"

#define MSR_EFER	0xc0000080u
#define EFER_LMA	0x400u

#define TYPE_TSS16	1
#define TYPE_LDT	2
#define TYPE_TSS32	9	/* in long mode the only kind */
#define TYPE_BUSY	2	/* or'ed to either TSS type */

#define CODE_OR_TYPE	(EMU_SEG_S | EMU_SEG_TYPE)

struct descriptor {
	u64 raw;		/* its (first) eight bytes */
	u64 linear;		/* where they are */
	struct emu_seg seg;
};

/* EFER.LMA: in 64-bit and compatibility mode */
static bool long_active(struct emu *e)
{
	u64 efer = 0;

	if (e->mode == EMU_LONG)
		return true;
	if (real_or_vm86(e) || !e->ops->rdmsr)
		return false;
	return e->ops->rdmsr(e, MSR_EFER, &efer) == EMU_OK && efer & EFER_LMA;
}

static void raise_selector(struct emu *e, u8 vector, u16 selector)
{
	emu_raise_code(e, vector, selector & 0xfffc);
}

static bool null_selector(u16 selector)
{
	return !(selector & 0xfffc);
}

static unsigned int dpl(const struct emu_seg *s)
{
	return (s->attr & EMU_SEG_DPL) >> EMU_SEG_DPL_SHIFT;
}

static bool conforming(const struct emu_seg *s)
{
	u32 bits = EMU_SEG_S | EMU_SEG_CODE | EMU_SEG_DOWN;

	return (s->attr & bits) == bits;
}

/* Reads a descriptor; beyond the table's limit it is @vector(selector). */
static void fetch_descriptor(struct emu *e, u16 selector, u8 vector, struct descriptor *d)
{
	const struct emu_seg *ldt = emu_segment(e, EMU_LDTR);
	struct emu_table table = { 0, 0 };
	u32 limit;
	u64 high = 0;
	bool wide;

	memset(d, 0, sizeof(*d));
	if (!e->ops->get_gdt || !e->ops->set_seg)
		return emu_stop(e, EMU_UNHANDLED);
	e->ops->get_gdt(e, &table);
	d->linear = (selector & 4 ? ldt->base : table.base) + (selector & 0xfff8);
	limit = !(selector & 4) ? table.limit : ldt->attr & EMU_SEG_UNUSABLE ? 0 : ldt->limit;
	if ((selector | 7u) > limit)
		raise_selector(e, vector, selector);
	d->raw = emu_system_load(e, d->linear, 8);
	/* System descriptors of long mode have eight bytes more. */
	wide = !(d->raw >> 44 & 1) && long_active(e);
	if (wide && (selector | 7u) + 8 > limit)
		raise_selector(e, vector, selector);
	if (wide)
		high = emu_system_load(e, d->linear + 8, 8);
	d->seg.selector = selector;
	d->seg.attr = d->raw >> 40 & 0xf0ff;
	d->seg.base = (d->raw >> 16 & 0xffffff) | (d->raw >> 32 & 0xff000000) | high << 32;
	d->seg.limit = (d->raw & 0xffff) | (d->raw >> 32 & 0xf0000);
	if (d->seg.attr & EMU_SEG_G)
		d->seg.limit = d->seg.limit << 12 | 0xfff;
}

/* Changes type bits (accessed, busy) in a descriptor and in memory. */
static void mark_descriptor(struct emu *e, struct descriptor *d, u8 set, u8 clear)
{
	u8 access = d->raw >> 40, new = (access | set) & ~clear;

	d->seg.attr = (d->seg.attr & ~0xffu) | new;
	if (new != access)
		emu_system_store(e, d->linear + 5, new, 1);
}

static void unusable(struct emu_seg *s, u16 selector, unsigned int level)
{
	memset(s, 0, sizeof(*s));
	s->selector = selector;
	s->attr = EMU_SEG_UNUSABLE | level << EMU_SEG_DPL_SHIFT;
}

/*
 * Checks @selector for SS at privilege @cpl, or for DS, ES, FS, GS; @vector is
 * #GP, or #TS in a task switch. The hidden part goes to *out.
 */
static void check_data_segment(struct emu *e, unsigned int seg, u16 selector, unsigned int cpl,
			       u8 vector, struct emu_seg *out)
{
	unsigned int rpl = selector & 3;
	struct descriptor d;
	u32 attr;
	bool good;

	if (null_selector(selector)) {
		if (seg == EMU_SS && (e->mode != EMU_LONG || cpl == 3 || rpl != cpl))
			raise_selector(e, vector, 0);
		unusable(out, selector, cpl);
		return;
	}
	fetch_descriptor(e, selector, vector, &d);
	attr = d.seg.attr;
	if (seg == EMU_SS)
		good = !(attr & EMU_SEG_CODE) && attr & EMU_SEG_WRITE && rpl == cpl &&
		       dpl(&d.seg) == cpl;
	else
		good = (!(attr & EMU_SEG_CODE) || attr & EMU_SEG_WRITE) &&
		       (conforming(&d.seg) || (rpl <= dpl(&d.seg) && cpl <= dpl(&d.seg)));
	if (!(attr & EMU_SEG_S) || !good)
		raise_selector(e, vector, selector);
	if (!(attr & EMU_SEG_P))
		raise_selector(e, seg == EMU_SS ? EX_SS : EX_NP, selector);
	mark_descriptor(e, &d, EMU_SEG_ACCESSED, 0);
	*out = d.seg;
}

/* Real mode keeps limit and attributes ("unreal mode"); vm86 has its own. */
static void selector_to_base(struct emu *e, unsigned int seg, u16 selector)
{
	struct emu_seg s = *emu_segment(e, seg);

	s.selector = selector;
	s.base = (u64)selector << 4;
	if (e->rflags & FL_VM) {
		s.limit = 0xffff;
		s.attr = 0xf3;
	}
	emu_set_segment(e, seg, &s);
}

static void load_segment(struct emu *e, unsigned int seg, u16 selector)
{
	struct emu_seg s;

	if (real_or_vm86(e))
		return selector_to_base(e, seg, selector);
	check_data_segment(e, seg, selector, e->cpl, EX_GP, &s);
	emu_set_segment(e, seg, &s);
}

void emu_op_mov_from_sreg(struct emu *e)
{
	/* To memory always 16 bits, to a register as many as it has. */
	if (e->op[0].loc == LOC_MEM)
		e->op[0].size = 2;
	e->op[0].val = emu_segment(e, e->op[1].reg)->selector;
}

void emu_op_mov_to_sreg(struct emu *e)
{
	if (e->op[0].reg == EMU_SS)
		e->shadow = EMU_SHADOW_MOV_SS;
	load_segment(e, e->op[0].reg, e->op[1].val);
}

void emu_op_push_sreg(struct emu *e)
{
	emu_push(e, emu_segment(e, e->opcode >> 3 & 7)->selector, e->op_size);
}

void emu_op_pop_sreg(struct emu *e)
{
	u64 sp = e->regs[EMU_RSP] & size_mask(emu_stack_size(e));
	unsigned int seg = e->opcode >> 3 & 7;
	u16 selector = emu_load(e, EMU_SS, sp, 2);

	emu_move_stack(e, sp + e->op_size);
	if (seg == EMU_SS)
		e->shadow = EMU_SHADOW_MOV_SS;
	load_segment(e, seg, selector);
}

/* LES, LDS, and in the 0F map LSS, LFS, LGS */
void emu_op_load_far_pointer(struct emu *e)
{
	static const u8 two_byte[4] = { EMU_SS, 0, EMU_FS, EMU_GS };
	unsigned int seg = e->opcode == 0xc4 ? EMU_ES : EMU_DS;
	u64 offset = emu_operand(e, 0, e->op_size);

	if (e->map == 2)
		seg = two_byte[(e->opcode - 0xb2) & 3];
	load_segment(e, seg, emu_operand(e, e->op_size, 2));
	emu_set_gpr(e, e->op[0].reg, e->op_size, offset);
}

/* ------------------------------------------------------------------------
 * Code segments
 */

/* A code segment to come, and the privilege it will run at. */
struct target {
	struct descriptor d;
	u64 offset;
	u8 cpl;
};

/*
 * Checks a code segment. JMP and CALL stay at CPL; a return (@back) goes to the
 * selector's RPL, which must not be more privileged.
 */
static void check_code(struct emu *e, u16 selector, bool back, struct target *t)
{
	unsigned int rpl = selector & 3;
	u32 both = EMU_SEG_L | EMU_SEG_DB;
	struct emu_seg *s = &t->d.seg;
	bool good;

	if (null_selector(selector))
		emu_raise_code(e, EX_GP, 0);
	if (back && rpl < e->cpl)
		raise_selector(e, EX_GP, selector);
	fetch_descriptor(e, selector, EX_GP, &t->d);
	if (!(s->attr & EMU_SEG_S) && !back)
		emu_stop(e, EMU_UNHANDLED);	/* a gate or a TSS */
	t->cpl = back ? rpl : e->cpl;
	good = conforming(s) ? dpl(s) <= t->cpl : dpl(s) == t->cpl && rpl <= t->cpl;
	if (!(s->attr & EMU_SEG_S) || !(s->attr & EMU_SEG_CODE) || !good ||
	    ((s->attr & both) == both && long_active(e)))
		raise_selector(e, EX_GP, selector);
	if (!(s->attr & EMU_SEG_P))
		raise_selector(e, EX_NP, selector);
	if (s->attr & EMU_SEG_L && long_active(e))
		good = emu_canonical(e, t->offset);
	else
		good = t->offset <= s->limit;
	if (!good)
		emu_raise_code(e, EX_GP, 0);
	s->selector = (selector & 0xfffc) | t->cpl;
	mark_descriptor(e, &t->d, EMU_SEG_ACCESSED, 0);
}

static void enter_code(struct emu *e, const struct target *t)
{
	emu_set_segment(e, EMU_CS, &t->d.seg);
	e->cpl = t->cpl;
	e->next_rip = t->offset;
}

static void real_jump(struct emu *e, u16 selector, u64 offset)
{
	if (offset > emu_segment(e, EMU_CS)->limit)
		emu_raise_code(e, EX_GP, 0);
	selector_to_base(e, EMU_CS, selector);
	e->next_rip = offset;
}

static void far_transfer(struct emu *e, u16 selector, u64 offset, bool call)
{
	struct target t = { .offset = offset };

	if (!real_or_vm86(e))
		check_code(e, selector, false, &t);
	if (call) {
		emu_push(e, emu_segment(e, EMU_CS)->selector, e->op_size);
		emu_push(e, e->next_rip, e->op_size);
	}
	if (real_or_vm86(e))
		real_jump(e, selector, offset);
	else
		enter_code(e, &t);
}

/* 9A and EA: the pointer is in the instruction, operand 1 the selector. */
void emu_op_far_direct(struct emu *e)
{
	far_transfer(e, e->op[1].val, e->op[0].val, e->opcode == 0x9a);
}

/* FF /3 and /5 */
void emu_op_far_indirect(struct emu *e)
{
	u64 offset = emu_operand(e, 0, e->op_size);
	u16 selector = emu_operand(e, e->op_size, 2);

	far_transfer(e, selector, offset, modrm_reg(e) == 3);
}

/* After a return to an outer ring its program must not keep our segments. */
static void drop_inner_segments(struct emu *e)
{
	static const u8 segs[4] = { EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	struct emu_seg s;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		s = *emu_segment(e, segs[i]);
		if (s.attr & EMU_SEG_UNUSABLE || dpl(&s) >= e->cpl || conforming(&s))
			continue;
		unusable(&s, 0, 0);
		emu_set_segment(e, segs[i], &s);
	}
}

/* The rest of RETF and IRET: CS is checked, SP and SS may be on the stack. */
static void return_to(struct emu *e, struct target *t, bool pop_stack, u64 release)
{
	bool outer = t->cpl > e->cpl, to_long = t->d.seg.attr & EMU_SEG_L;
	struct emu_seg ss;
	u16 selector;
	u64 sp;

	emu_move_stack(e, e->regs[EMU_RSP] + release);
	if (!outer && !pop_stack)
		return enter_code(e, t);
	sp = emu_pop(e, e->op_size);
	selector = emu_pop(e, e->op_size);
	/* A null SS is for 64-bit code below ring 3 only. */
	if (!to_long && null_selector(selector))
		emu_raise_code(e, EX_GP, 0);
	check_data_segment(e, EMU_SS, selector, t->cpl, EX_GP, &ss);
	enter_code(e, t);
	emu_set_segment(e, EMU_SS, &ss);
	if (e->mode == EMU_LONG)
		e->regs[EMU_RSP] = to_long ? sp : (u32)sp;
	else
		emu_move_stack(e, sp + release);
	if (outer)
		drop_inner_segments(e);
}

void emu_op_ret_far(struct emu *e)
{
	struct target t = { .offset = emu_pop(e, e->op_size) };
	u16 selector = emu_pop(e, e->op_size);

	if (real_or_vm86(e)) {
		emu_move_stack(e, e->regs[EMU_RSP] + e->op[0].val);
		real_jump(e, selector, t.offset);
	} else {
		check_code(e, selector, true, &t);
		return_to(e, &t, false, e->op[0].val);
	}
}

/* IRET from ring 0 to vm86 mode: six more values are on the stack. */
static void return_to_vm86(struct emu *e, u64 offset, u16 cs, u64 flags)
{
	static const u8 segs[5] = { EMU_SS, EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	u64 value[6];
	unsigned int i;

	for (i = 0; i < 6; i++)
		value[i] = emu_pop(e, 4);
	e->rflags = (flags & FL_DEFINED) | FL_FIXED;
	selector_to_base(e, EMU_CS, cs);
	for (i = 0; i < 5; i++)
		selector_to_base(e, segs[i], value[i + 1]);
	e->regs[EMU_RSP] = (u32)value[0];
	e->next_rip = offset & 0xffff;
	e->cpl = 3;
}

void emu_op_iret(struct emu *e)
{
	u64 flags, writable = emu_flags_writable(e, e->op_size);
	struct target t = { 0 };
	u16 selector;

	if (emu_vm86_refuses(e))
		return;
	if (!real_or_vm86(e) && e->rflags & FL_NT) {
		if (e->mode == EMU_LONG)
			emu_raise_code(e, EX_GP, 0);
		return emu_stop(e, EMU_UNHANDLED);	/* to the linked task */
	}
	t.offset = emu_pop(e, e->op_size);
	selector = emu_pop(e, e->op_size);
	flags = emu_pop(e, e->op_size);
	if (real_or_vm86(e)) {
		real_jump(e, selector, t.offset);
	} else if (flags & FL_VM && !e->cpl && e->op_size == 4 && !long_active(e)) {
		return_to_vm86(e, t.offset, selector, flags);
		writable = 0;
	} else {
		check_code(e, selector, true, &t);
		return_to(e, &t, e->mode == EMU_LONG, 0);
	}
	flags_change(e, writable, flags);
	if (e->ops->control)
		emu_control(e, EMU_CTL_IRET, 0, NULL);
}

/* ------------------------------------------------------------------------
 * Interrupts
 */

static void real_deliver(struct emu *e, u8 vector, u64 back)
{
	struct emu_table idt = { 0, 0 };
	u32 entry;

	if (!e->ops->get_idt)
		return emu_stop(e, EMU_UNHANDLED);
	e->ops->get_idt(e, &idt);
	if (vector * 4u + 3 > idt.limit)
		emu_raise_code(e, EX_GP, 0);
	entry = emu_system_load(e, idt.base + vector * 4u, 4);
	emu_push(e, e->rflags | FL_FIXED, 2);
	emu_push(e, emu_segment(e, EMU_CS)->selector, 2);
	emu_push(e, back, 2);
	real_jump(e, entry >> 16, entry & 0xffff);
	e->rflags &= ~(FL_IF | FL_TF | FL_AC | FL_RF);
}

int emu_real_interrupt(struct emu *e, u8 vector)
{
	emu_begin(e);
	if (e->mode != EMU_REAL)
		emu_stop(e, EMU_UNHANDLED);
	real_deliver(e, vector, e->rip);
	e->rip = e->next_rip;
	return emu_end(e);
}

/* INT n, INT3, INTO, INT1 */
void emu_op_int(struct emu *e)
{
	u8 vector = e->opcode == 0xcd ? e->op[0].val : e->opcode == 0xf1 ? EX_DB :
		    e->opcode == 0xcc ? EX_BP : EX_OF;

	if (e->opcode == 0xce && !(e->rflags & FL_OF))
		return;
	if (e->opcode == 0xcd && emu_vm86_refuses(e))
		return;
	if (e->mode == EMU_REAL)
		return real_deliver(e, vector, e->next_rip);
	emu_raise(e, vector);
	e->fault.software = true;
}

/* ------------------------------------------------------------------------
 * LDTR, TR, and looking at descriptors
 */

/* LLDT and LTR */
static void load_system_segment(struct emu *e, unsigned int seg, u16 selector)
{
	struct descriptor d;
	bool good;
	u32 type;

	if (null_selector(selector)) {
		if (seg == EMU_TR)
			emu_raise_code(e, EX_GP, 0);
		unusable(&d.seg, selector, 0);
		return emu_set_segment(e, seg, &d.seg);
	}
	if (selector & 4)
		raise_selector(e, EX_GP, selector);
	fetch_descriptor(e, selector, EX_GP, &d);
	type = d.seg.attr & CODE_OR_TYPE;
	good = type == TYPE_TSS32 || (type == TYPE_TSS16 && !long_active(e));
	if (seg == EMU_LDTR ? type != TYPE_LDT : !good)
		raise_selector(e, EX_GP, selector);
	if (!(d.seg.attr & EMU_SEG_P))
		raise_selector(e, EX_NP, selector);
	if (!emu_canonical(e, d.seg.base))
		emu_raise_code(e, EX_GP, 0);
	if (seg == EMU_TR)
		mark_descriptor(e, &d, TYPE_BUSY, 0);
	emu_set_segment(e, seg, &d.seg);
}

/*
 * The descriptor that LAR, LSL, VERR and VERW ask for. False where they would
 * clear ZF: null, beyond the limit, or not visible from here.
 */
static bool visible_descriptor(struct emu *e, u16 selector, struct descriptor *d)
{
	if (null_selector(selector))
		return false;
	fetch_descriptor(e, selector, EX_GP, d);
	if (e->status == EMU_FAULT && e->fault.vector == EX_GP) {
		e->status = EMU_OK;
		return false;
	}
	return conforming(&d->seg) ||
	       (e->cpl <= dpl(&d->seg) && (selector & 3u) <= dpl(&d->seg));
}

void emu_op_lar_lsl(struct emu *e)
{
	/* System types that each knows (SDM tables 3-53, 3-58), [1]: in long mode */
	static const u16 lar[2] = { 0x1a3e, 0x1a04 }, lsl[2] = { 0x0a0e, 0x0a04 };
	bool is_lsl = e->opcode == 0x03, found;
	struct descriptor d;

	found = visible_descriptor(e, e->op[1].val, &d);
	if (found && !(d.seg.attr & EMU_SEG_S))
		found = (is_lsl ? lsl : lar)[long_active(e)] >> (d.seg.attr & EMU_SEG_TYPE) & 1;
	flags_change(e, FL_ZF, flag_if(found, FL_ZF));
	if (found)
		e->op[0].val = is_lsl ? d.seg.limit : (u32)(d.raw >> 32) & 0x00f0ff00;
	else
		e->flags |= NOWRITE;
}

/* VERR and VERW */
static void verify(struct emu *e, u16 selector, bool write)
{
	struct descriptor d;
	bool found = visible_descriptor(e, selector, &d), code;

	if (found) {
		code = d.seg.attr & EMU_SEG_CODE;
		found = d.seg.attr & EMU_SEG_S &&
			(d.seg.attr & EMU_SEG_WRITE ? !(write && code) : !write && !code);
	}
	flags_change(e, FL_ZF, flag_if(found, FL_ZF));
}

/* SLDT, STR, LLDT, LTR, VERR, VERW */
void emu_op_group6(struct emu *e)
{
	unsigned int what = modrm_reg(e), seg = what & 1 ? EMU_TR : EMU_LDTR;
	bool memory = e->op[0].loc == LOC_MEM;
	u64 value;

	if (what > 5)
		return emu_raise(e, EX_UD);
	if (what < 2) {
		if (emu_umip_refuses(e))
			return;
		value = emu_segment(e, seg)->selector;
		if (memory)
			emu_set_operand(e, &value, 2);
		else
			emu_set_gpr(e, e->op[0].reg, e->op_size, value);
		return;
	}
	if (what < 4 && e->cpl)
		return emu_raise_code(e, EX_GP, 0);
	value = memory ? emu_operand(e, 0, 2) : emu_gpr(e, e->op[0].reg, 2);
	if (what < 4)
		load_system_segment(e, seg, value);
	else
		verify(e, value, what == 5);
}

void emu_op_arpl(struct emu *e)
{
	u64 want = e->op[1].val & 3;
	bool raise = (e->op[0].val & 3) < want;

	flags_change(e, FL_ZF, flag_if(raise, FL_ZF));
	if (raise)
		e->op[0].val = (e->op[0].val & ~3ull) | want;
}

/* ------------------------------------------------------------------------
 * Task switches (SDM 3A chapter 8)
 */

/* A TSS from EIP to GS: 16 dwords at 20, or 14 words at 0E without FS and GS */
struct task {
	u32 eip, eflags, regs[8], selectors[6];
};

#define TASK_FIELDS	(sizeof(struct task) / 4)

static void load_task(struct emu *e, const struct emu_seg *tss, struct task *task)
{
	u16 words[TASK_FIELDS] = { 0 };
	u32 fields[TASK_FIELDS];
	unsigned int i;

	if (tss->attr & 8) {
		emu_lin_read(e, tss->base + 0x20, task, sizeof(*task), EMU_ACC_SYSTEM);
		return;
	}
	emu_lin_read(e, tss->base + 0x0e, words, 28, EMU_ACC_SYSTEM);
	for (i = 0; i < TASK_FIELDS; i++)
		fields[i] = words[i];
	memcpy(task, fields, sizeof(fields));
}

static void save_task(struct emu *e, const struct emu_seg *tss, bool iret)
{
	u32 fields[TASK_FIELDS];
	u16 words[TASK_FIELDS];
	struct task task;
	unsigned int i;

	task.eip = e->rip;
	task.eflags = e->rflags & ~(iret ? FL_NT : 0);
	for (i = 0; i < 8; i++)
		task.regs[i] = e->regs[i];
	for (i = 0; i < 6; i++)
		task.selectors[i] = emu_segment(e, i)->selector;
	memcpy(fields, &task, sizeof(fields));
	for (i = 0; i < TASK_FIELDS; i++)
		words[i] = fields[i];
	if (tss->attr & 8)
		emu_lin_write(e, tss->base + 0x20, fields, sizeof(fields), EMU_ACC_SYSTEM);
	else
		emu_lin_write(e, tss->base + 0x0e, words, 28, EMU_ACC_SYSTEM);
}

/* Busy bits and the link, when the old task's state is safe. */
static void link_tasks(struct emu *e, struct descriptor *new, u16 old_selector, bool nested)
{
	struct descriptor old;

	if (nested) {
		emu_system_store(e, new->seg.base, old_selector, 2);
	} else {
		fetch_descriptor(e, old_selector, EX_TS, &old);
		mark_descriptor(e, &old, 0, TYPE_BUSY);
	}
	mark_descriptor(e, new, TYPE_BUSY, 0);
}

static void load_task_ldt(struct emu *e, u16 selector)
{
	struct descriptor d;

	unusable(&d.seg, selector, 0);
	if (!null_selector(selector)) {
		fetch_descriptor(e, selector, EX_TS, &d);
		if (selector & 4 || (d.seg.attr & CODE_OR_TYPE) != TYPE_LDT ||
		    !(d.seg.attr & EMU_SEG_P))
			raise_selector(e, EX_TS, selector);
	}
	emu_set_segment(e, EMU_LDTR, &d.seg);
}

/* Faults in here are the new task's: its registers are in place. */
static void load_task_segments(struct emu *e, const u32 selectors[6], u16 ldt)
{
	static const u8 order[5] = { EMU_SS, EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	struct target t = { .offset = e->rip };
	struct emu_seg s;
	unsigned int i;

	load_task_ldt(e, ldt);
	if (e->rflags & FL_VM) {
		e->mode = EMU_VM86;
		e->cpl = 3;
		for (i = 0; i < 6; i++)
			selector_to_base(e, i, selectors[i]);
		return;
	}
	e->mode = EMU_PROT32;
	e->cpl = selectors[EMU_CS] & 3;
	check_code(e, selectors[EMU_CS], true, &t);
	if (e->status == EMU_FAULT && e->fault.vector == EX_GP && e->fault.error)
		e->fault.vector = EX_TS;
	enter_code(e, &t);
	for (i = 0; i < 5; i++) {
		check_data_segment(e, order[i], selectors[order[i]], e->cpl, EX_TS, &s);
		emu_set_segment(e, order[i], &s);
	}
}

static void switch_task(struct emu *e, u16 selector, enum emu_task_reason reason,
			bool has_error, u32 error)
{
	bool back = reason == EMU_TASK_IRET, wide;
	bool nested = reason == EMU_TASK_CALL || reason == EMU_TASK_GATE;
	struct emu_seg old = *emu_segment(e, EMU_TR);
	u8 vector = back ? EX_TS : EX_GP;
	u64 cr0 = e->ops->get_cr(e, 0), dr7, cr3, ldt;
	struct descriptor new;
	struct task task;
	unsigned int i;

	if (selector & 4 || null_selector(selector))
		raise_selector(e, vector, selector);
	fetch_descriptor(e, selector, vector, &new);
	wide = new.seg.attr & 8;
	if ((new.seg.attr & CODE_OR_TYPE & ~8u) != (back ? TYPE_TSS16 | TYPE_BUSY : TYPE_TSS16))
		raise_selector(e, vector, selector);
	if (!(new.seg.attr & EMU_SEG_P))
		raise_selector(e, EX_NP, selector);
	if (new.seg.limit < (wide ? 0x67 : 0x2b))
		raise_selector(e, EX_TS, selector);
	/* All of the new state is read before any of the old is lost. */
	load_task(e, &new.seg, &task);
	ldt = emu_system_load(e, new.seg.base + (wide ? 0x60 : 0x2a), 2);
	cr3 = wide ? emu_system_load(e, new.seg.base + 0x1c, 4) : 0;
	save_task(e, &old, back);
	link_tasks(e, &new, old.selector, nested);
	if (stopped(e))
		return;
	if (wide && cr0 >> 31 & 1)
		emu_stop(e, e->ops->set_cr(e, 3, cr3));
	emu_set_segment(e, EMU_TR, &new.seg);
	if (stopped(e))
		return;
	emu_stop(e, e->ops->set_cr(e, 0, cr0 | CR0_TS));
	if (e->ops->get_dr && e->ops->set_dr && e->ops->get_dr(e, 7, &dr7) == EMU_OK)
		emu_stop(e, e->ops->set_dr(e, 7, dr7 & ~0x155ull));
	e->rip = task.eip;
	e->rflags = (task.eflags & FL_DEFINED) | FL_FIXED | (nested ? FL_NT : 0);
	for (i = 0; i < 8; i++)
		e->regs[i] = task.regs[i];
	emu_checkpoint(e);
	load_task_segments(e, task.selectors, ldt);
	if (has_error)
		emu_push(e, error, wide ? 4 : 2);
	if (e->status == EMU_AGAIN)
		e->status = EMU_UNHANDLED;
}

int emu_task_switch(struct emu *e, u16 selector, enum emu_task_reason reason,
		    bool has_error, u32 error)
{
	emu_begin(e);
	if (e->mode == EMU_REAL || !e->ops->set_cr || long_active(e))
		emu_stop(e, EMU_UNHANDLED);
	else
		switch_task(e, selector, reason, has_error, error);
	return emu_end(e);
}
