// SPDX-License-Identifier: GPL-2.0-only
/*
 * emulate_far.c - segment registers, far transfers, interrupts, task switches
 *
 * Theory of operation. In real and vm86 mode a selector is an address; in the
 * protected modes it names a descriptor, which fetch_descriptor() reads and the
 * callers check as SDM vol. 2 and 3A chapters 5 to 7 say. Nothing is set before
 * everything is read and checked, as segment registers cannot be put back.
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

static int fault_selector(struct emu *e, u8 vector, u16 selector)
{
	return emu_fault(e, vector, true, selector & 0xfffc);
}

static bool null_selector(u16 selector)
{
	return !(selector & 0xfffc);
}

static unsigned int dpl(const struct emu_seg *s)
{
	return (s->attr & EMU_SEG_DPL) >> EMU_SEG_DPL_SHIFT;
}

/* Reads a descriptor; beyond the table's limit it is @vector(selector). */
static int fetch_descriptor(struct emu *e, u16 selector, u8 vector,
			    struct descriptor *d)
{
	const struct emu_seg *ldt;
	struct emu_table table;
	u32 limit;
	u64 high = 0;
	bool wide;
	int r;

	memset(d, 0, sizeof(*d));
	if (!e->ops->get_gdt || !e->ops->set_seg)
		return EMU_UNHANDLED;
	if (selector & 4) {
		ldt = emu_segment(e, EMU_LDTR);
		d->linear = ldt->base;
		limit = ldt->attr & EMU_SEG_UNUSABLE ? 0 : ldt->limit;
	} else {
		e->ops->get_gdt(e, &table);
		d->linear = table.base;
		limit = table.limit;
	}
	d->linear += selector & 0xfff8;
	if ((selector | 7u) > limit)
		return fault_selector(e, vector, selector);
	r = emu_lin_read(e, d->linear, &d->raw, 8, EMU_ACC_SYSTEM);
	if (r != EMU_OK)
		return r;
	/* System descriptors of long mode have eight bytes more. */
	wide = !(d->raw >> 44 & 1) && long_active(e);
	if (wide && (selector | 7u) + 8 > limit)
		return fault_selector(e, vector, selector);
	if (wide)
		r = emu_lin_read(e, d->linear + 8, &high, 8, EMU_ACC_SYSTEM);
	d->seg.selector = selector;
	d->seg.attr = d->raw >> 40 & 0xf0ff;
	d->seg.base = (d->raw >> 16 & 0xffffff) | (d->raw >> 32 & 0xff000000) |
		      high << 32;
	d->seg.limit = (d->raw & 0xffff) | (d->raw >> 32 & 0xf0000);
	if (d->seg.attr & EMU_SEG_G)
		d->seg.limit = d->seg.limit << 12 | 0xfff;
	return r;
}

/* Sets type bits (accessed, busy) in a descriptor and its copy in memory. */
static int mark_descriptor(struct emu *e, struct descriptor *d, u8 set,
			   u8 clear)
{
	u8 access = d->raw >> 40, new = (access | set) & ~clear;

	d->seg.attr = (d->seg.attr & ~0xffu) | new;
	if (new == access)
		return EMU_OK;
	return emu_lin_write(e, d->linear + 5, &new, 1, EMU_ACC_SYSTEM);
}

/*
 * Checks @selector for SS at privilege @cpl, or for DS, ES, FS, GS; @vector is
 * #GP, or #TS in a task switch. The hidden part goes to *out.
 */
static int check_data_segment(struct emu *e, unsigned int seg, u16 selector,
			      unsigned int cpl, u8 vector, struct emu_seg *out)
{
	unsigned int rpl = selector & 3;
	struct descriptor d;
	bool code, good;
	int r;

	if (null_selector(selector)) {
		if (seg == EMU_SS &&
		    (e->mode != EMU_LONG || cpl == 3 || rpl != cpl))
			return fault_selector(e, vector, 0);
		memset(out, 0, sizeof(*out));
		out->selector = selector;
		out->attr = EMU_SEG_UNUSABLE | cpl << EMU_SEG_DPL_SHIFT;
		return EMU_OK;
	}
	r = fetch_descriptor(e, selector, vector, &d);
	if (r != EMU_OK)
		return r;
	code = d.seg.attr & EMU_SEG_CODE;
	if (seg == EMU_SS)
		good = !code && d.seg.attr & EMU_SEG_WRITE && rpl == cpl &&
		       dpl(&d.seg) == cpl;
	else
		good = (!code || d.seg.attr & EMU_SEG_WRITE) &&
		       ((code && d.seg.attr & EMU_SEG_DOWN) ||
			(rpl <= dpl(&d.seg) && cpl <= dpl(&d.seg)));
	if (!(d.seg.attr & EMU_SEG_S) || !good)
		return fault_selector(e, vector, selector);
	if (!(d.seg.attr & EMU_SEG_P))
		return fault_selector(e, seg == EMU_SS ? EX_SS : EX_NP,
				      selector);
	r = mark_descriptor(e, &d, EMU_SEG_ACCESSED, 0);
	*out = d.seg;
	return r;
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

static int load_segment(struct emu *e, unsigned int seg, u16 selector)
{
	struct emu_seg s;
	int r;

	if (!e->ops->set_seg)
		return EMU_UNHANDLED;
	if (real_or_vm86(e)) {
		selector_to_base(e, seg, selector);
		return EMU_OK;
	}
	r = check_data_segment(e, seg, selector, e->cpl, EX_GP, &s);
	if (r == EMU_OK)
		emu_set_segment(e, seg, &s);
	return r;
}

int emu_op_mov_from_sreg(struct emu *e)
{
	/* To memory always 16 bits, to a register as many as it has. */
	if (e->op[0].loc == LOC_MEM)
		e->op[0].size = 2;
	e->op[0].val = emu_segment(e, e->op[1].reg)->selector;
	return EMU_OK;
}

int emu_op_mov_to_sreg(struct emu *e)
{
	if (e->op[0].reg == EMU_SS)
		e->shadow = EMU_SHADOW_MOV_SS;
	return load_segment(e, e->op[0].reg, e->op[1].val);
}

int emu_op_push_sreg(struct emu *e)
{
	return emu_push(e, emu_segment(e, e->opcode >> 3 & 7)->selector,
			e->op_size);
}

int emu_op_pop_sreg(struct emu *e)
{
	unsigned int seg = e->opcode >> 3 & 7;
	u64 value = 0;
	int r;

	r = emu_read(e, EMU_SS,
		     e->regs[EMU_RSP] & size_mask(emu_stack_size(e)), &value, 2,
		     0);
	if (r != EMU_OK)
		return r;
	emu_move_stack(e, e->regs[EMU_RSP] + e->op_size);
	if (seg == EMU_SS)
		e->shadow = EMU_SHADOW_MOV_SS;
	return load_segment(e, seg, value);
}

/* The far pointer of a memory operand: offset, then selector. */
static int far_pointer(struct emu *e, u64 *offset, u16 *selector)
{
	int r;

	*offset = 0;
	r = emu_read_operand(e, 0, offset, e->op_size);
	if (r != EMU_OK)
		return r;
	return emu_read_operand(e, e->op_size, selector, 2);
}

/* LES, LDS, and in the 0F map LSS, LFS, LGS */
int emu_op_load_far_pointer(struct emu *e)
{
	static const u8 two_byte[4] = { EMU_SS, 0, EMU_FS, EMU_GS };
	unsigned int seg = e->opcode == 0xc4 ? EMU_ES : EMU_DS;
	u16 selector;
	u64 offset;
	int r;

	if (e->map == 2)
		seg = two_byte[(e->opcode - 0xb2) & 3];
	r = far_pointer(e, &offset, &selector);
	if (r == EMU_OK)
		r = load_segment(e, seg, selector);
	if (r == EMU_OK)
		emu_set_gpr(e, e->op[0].reg, e->op_size, offset);
	return r;
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
static int check_code(struct emu *e, u16 selector, bool back, struct target *t)
{
	unsigned int rpl = selector & 3;
	u32 both = EMU_SEG_L | EMU_SEG_DB;
	struct emu_seg *s = &t->d.seg;
	bool good;
	int r;

	if (null_selector(selector))
		return emu_gp(e, 0);
	if (back && rpl < e->cpl)
		return fault_selector(e, EX_GP, selector);
	r = fetch_descriptor(e, selector, EX_GP, &t->d);
	if (r != EMU_OK)
		return r;
	if (!(s->attr & EMU_SEG_S)) {
		if (back)
			return fault_selector(e, EX_GP, selector);
		return EMU_UNHANDLED;	/* a gate or a TSS */
	}
	t->cpl = back ? rpl : e->cpl;
	if (s->attr & EMU_SEG_DOWN)	/* conforming */
		good = dpl(s) <= t->cpl;
	else
		good = dpl(s) == t->cpl && rpl <= t->cpl;
	if (!(s->attr & EMU_SEG_CODE) || !good ||
	    ((s->attr & both) == both && long_active(e)))
		return fault_selector(e, EX_GP, selector);
	if (!(s->attr & EMU_SEG_P))
		return fault_selector(e, EX_NP, selector);
	if (s->attr & EMU_SEG_L && long_active(e))
		good = emu_canonical(e, t->offset);
	else
		good = t->offset <= s->limit;
	if (!good)
		return emu_gp(e, 0);
	s->selector = (selector & 0xfffc) | t->cpl;
	return mark_descriptor(e, &t->d, EMU_SEG_ACCESSED, 0);
}

static void enter_code(struct emu *e, const struct target *t)
{
	emu_set_segment(e, EMU_CS, &t->d.seg);
	e->cpl = t->cpl;
	e->next_rip = t->offset;
}

static int real_jump(struct emu *e, u16 selector, u64 offset)
{
	if (!e->ops->set_seg)
		return EMU_UNHANDLED;
	if (offset > emu_segment(e, EMU_CS)->limit)
		return emu_gp(e, 0);
	selector_to_base(e, EMU_CS, selector);
	e->next_rip = offset;
	return EMU_OK;
}

static int far_transfer(struct emu *e, u16 selector, u64 offset, bool call)
{
	struct target t = { .offset = offset };
	u64 back = e->next_rip;
	int r = EMU_OK;

	if (!real_or_vm86(e))
		r = check_code(e, selector, false, &t);
	if (r == EMU_OK && call)
		r = emu_push(e, emu_segment(e, EMU_CS)->selector, e->op_size);
	if (r == EMU_OK && call)
		r = emu_push(e, back, e->op_size);
	if (r != EMU_OK)
		return r;
	if (real_or_vm86(e))
		return real_jump(e, selector, offset);
	enter_code(e, &t);
	return EMU_OK;
}

/* 9A and EA: the pointer is in the instruction, operand 1 the selector. */
int emu_op_far_direct(struct emu *e)
{
	return far_transfer(e, e->op[1].val, e->op[0].val, e->opcode == 0x9a);
}

/* FF /3 and /5 */
int emu_op_far_indirect(struct emu *e)
{
	u16 selector;
	u64 offset;
	int r;

	if (e->op[0].loc != LOC_MEM)
		return emu_ud(e);
	r = far_pointer(e, &offset, &selector);
	if (r != EMU_OK)
		return r;
	return far_transfer(e, selector, offset, modrm_reg(e) == 3);
}

/* After a return to an outer ring its program must not keep our segments. */
static void drop_inner_segments(struct emu *e)
{
	static const u8 segs[4] = { EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	struct emu_seg s;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		s = *emu_segment(e, segs[i]);
		if (s.attr & EMU_SEG_UNUSABLE || dpl(&s) >= e->cpl ||
		    (s.attr & EMU_SEG_CODE && s.attr & EMU_SEG_DOWN))
			continue;
		memset(&s, 0, sizeof(s));
		s.attr = EMU_SEG_UNUSABLE;
		emu_set_segment(e, segs[i], &s);
	}
}

/* The rest of RETF and IRET: CS is checked, SP and SS may be on the stack. */
static int return_to(struct emu *e, struct target *t, bool pop_stack,
		     u64 release)
{
	bool outer = t->cpl > e->cpl;
	struct emu_seg ss;
	u64 sp, selector;
	int r;

	if (!outer && !pop_stack) {
		emu_move_stack(e, e->regs[EMU_RSP] + release);
		enter_code(e, t);
		return EMU_OK;
	}
	emu_move_stack(e, e->regs[EMU_RSP] + release);
	r = emu_pop(e, &sp, e->op_size);
	if (r == EMU_OK)
		r = emu_pop(e, &selector, e->op_size);
	/* Null is allowed where the target is 64-bit code below ring 3. */
	if (r == EMU_OK && e->mode == EMU_LONG &&
	    !(t->d.seg.attr & EMU_SEG_L) && null_selector((u16)selector))
		return emu_gp(e, 0);
	if (r == EMU_OK)
		r = check_data_segment(e, EMU_SS, (u16)selector, t->cpl, EX_GP,
				       &ss);
	if (r != EMU_OK)
		return r;
	enter_code(e, t);
	emu_set_segment(e, EMU_SS, &ss);
	if (e->mode == EMU_LONG && !(t->d.seg.attr & EMU_SEG_L))
		sp = (u32)sp;
	if (e->mode == EMU_LONG)
		e->regs[EMU_RSP] = sp;
	else
		emu_move_stack(e, sp + release);
	if (outer)
		drop_inner_segments(e);
	return EMU_OK;
}

int emu_op_ret_far(struct emu *e)
{
	struct target t = { 0 };
	u64 selector;
	int r;

	r = emu_pop(e, &t.offset, e->op_size);
	if (r == EMU_OK)
		r = emu_pop(e, &selector, e->op_size);
	if (r != EMU_OK)
		return r;
	if (real_or_vm86(e)) {
		emu_move_stack(e, e->regs[EMU_RSP] + e->op[0].val);
		return real_jump(e, (u16)selector, t.offset);
	}
	r = check_code(e, (u16)selector, true, &t);
	return r == EMU_OK ? return_to(e, &t, false, e->op[0].val) : r;
}

/* IRET from ring 0 to vm86 mode: six more values are on the stack. */
static int return_to_vm86(struct emu *e, u64 offset, u16 cs, u64 flags)
{
	static const u8 segs[5] = { EMU_SS, EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	u64 value[6] = { 0 };
	unsigned int i;
	int r = EMU_OK;

	for (i = 0; i < 6 && r == EMU_OK; i++)
		r = emu_pop(e, &value[i], 4);
	if (r != EMU_OK)
		return r;
	e->rflags = (flags & (FL_STATUS | FL_TF | FL_IF | FL_DF | FL_IOPL |
			      FL_NT | FL_RF | FL_VM | FL_AC | FL_VIF | FL_VIP |
			      FL_ID)) | FL_FIXED;
	selector_to_base(e, EMU_CS, cs);
	for (i = 0; i < 5; i++)
		selector_to_base(e, segs[i], (u16)value[i + 1]);
	e->regs[EMU_RSP] = (u32)value[0];
	e->next_rip = offset & 0xffff;
	e->cpl = 3;
	return EMU_OK;
}

int emu_op_iret(struct emu *e)
{
	struct target t = { 0 };
	u64 selector, flags, writable;
	int r;

	if (e->mode == EMU_VM86 && iopl(e) < 3)
		return emu_vm86_refuse(e);
	if (!real_or_vm86(e) && e->rflags & FL_NT)
		return e->mode == EMU_LONG ? emu_gp(e, 0) : EMU_UNHANDLED;
	r = emu_pop(e, &t.offset, e->op_size);
	if (r == EMU_OK)
		r = emu_pop(e, &selector, e->op_size);
	if (r == EMU_OK)
		r = emu_pop(e, &flags, e->op_size);
	if (r != EMU_OK)
		return r;
	writable = emu_flags_writable(e, e->op_size);
	if (real_or_vm86(e)) {
		r = real_jump(e, (u16)selector, t.offset);
	} else if (flags & FL_VM && !e->cpl && e->op_size == 4 &&
		   e->mode != EMU_LONG && !long_active(e)) {
		r = return_to_vm86(e, t.offset, (u16)selector, flags);
		writable = 0;
	} else {
		r = check_code(e, (u16)selector, true, &t);
		if (r == EMU_OK)
			r = return_to(e, &t, e->mode == EMU_LONG, 0);
	}
	if (r != EMU_OK)
		return r;
	flags_change(e, writable, flags);
	return e->ops->control ? emu_control(e, EMU_CTL_IRET, 0, NULL) : EMU_OK;
}

/* ------------------------------------------------------------------------
 * Interrupts
 */

static int real_deliver(struct emu *e, u8 vector, u64 back)
{
	struct emu_table idt;
	u16 entry[2];
	int r;

	if (!e->ops->get_idt)
		return EMU_UNHANDLED;
	e->ops->get_idt(e, &idt);
	if (vector * 4u + 3 > idt.limit)
		return emu_gp(e, 0);
	r = emu_lin_read(e, idt.base + vector * 4u, entry, 4, EMU_ACC_SYSTEM);
	if (r == EMU_OK)
		r = emu_push(e, e->rflags | FL_FIXED, 2);
	if (r == EMU_OK)
		r = emu_push(e, emu_segment(e, EMU_CS)->selector, 2);
	if (r == EMU_OK)
		r = emu_push(e, back, 2);
	if (r == EMU_OK)
		r = real_jump(e, entry[1], entry[0]);
	if (r == EMU_OK)
		e->rflags &= ~(FL_IF | FL_TF | FL_AC | FL_RF);
	return r;
}

int emu_real_interrupt(struct emu *e, u8 vector)
{
	int r;

	emu_begin(e);
	r = e->mode == EMU_REAL ? real_deliver(e, vector, e->rip) :
				  EMU_UNHANDLED;
	e->rip = e->next_rip;
	return emu_end(e, r);
}

/* INT n, INT3, INTO, INT1 */
int emu_op_int(struct emu *e)
{
	u8 vector = e->opcode == 0xcd ? e->op[0].val :
		    e->opcode == 0xf1 ? EX_DB : e->opcode == 0xcc ? EX_BP : EX_OF;

	if (e->opcode == 0xce && !(e->rflags & FL_OF))
		return EMU_OK;
	if (e->opcode == 0xcd && e->mode == EMU_VM86 && iopl(e) < 3)
		return emu_vm86_refuse(e);
	if (e->mode == EMU_REAL)
		return real_deliver(e, vector, e->next_rip);
	emu_fault(e, vector, false, 0);
	e->fault.software = true;
	return EMU_FAULT;
}

/* ------------------------------------------------------------------------
 * LDTR, TR, and looking at descriptors
 */

/* LLDT and LTR */
static int load_system_segment(struct emu *e, unsigned int seg, u16 selector)
{
	struct descriptor d;
	u32 type;
	int r;

	if (e->cpl)
		return emu_gp(e, 0);
	if (null_selector(selector) && seg == EMU_LDTR && e->ops->set_seg) {
		memset(&d, 0, sizeof(d));
		d.seg.selector = selector;
		d.seg.attr = EMU_SEG_UNUSABLE;
		emu_set_segment(e, seg, &d.seg);
		return EMU_OK;
	}
	if (null_selector(selector))
		return emu_gp(e, 0);
	if (selector & 4)
		return fault_selector(e, EX_GP, selector);
	r = fetch_descriptor(e, selector, EX_GP, &d);
	if (r != EMU_OK)
		return r;
	type = d.seg.attr & (EMU_SEG_S | EMU_SEG_TYPE);
	if (seg == EMU_LDTR ? type != TYPE_LDT : type != TYPE_TSS32 &&
	    (type != TYPE_TSS16 || long_active(e)))
		return fault_selector(e, EX_GP, selector);
	if (!(d.seg.attr & EMU_SEG_P))
		return fault_selector(e, EX_NP, selector);
	if (!emu_canonical(e, d.seg.base))
		return emu_gp(e, 0);
	if (seg == EMU_TR)
		r = mark_descriptor(e, &d, TYPE_BUSY, 0);
	if (r == EMU_OK)
		emu_set_segment(e, seg, &d.seg);
	return r;
}

/*
 * The descriptor that LAR, LSL, VERR and VERW ask for. *found is false where
 * they would clear ZF: null, beyond the limit, or not visible from here.
 */
static int visible_descriptor(struct emu *e, u16 selector,
			      struct descriptor *d, bool *found)
{
	unsigned int rpl = selector & 3;
	int r;

	*found = false;
	if (null_selector(selector))
		return EMU_OK;
	r = fetch_descriptor(e, selector, EX_GP, d);
	if (r == EMU_FAULT && e->fault.vector == EX_GP)
		return EMU_OK;
	if (r != EMU_OK)
		return r;
	*found = (d->seg.attr & (EMU_SEG_S | EMU_SEG_CODE | EMU_SEG_DOWN)) ==
		 (EMU_SEG_S | EMU_SEG_CODE | EMU_SEG_DOWN) ||
		 (e->cpl <= dpl(&d->seg) && rpl <= dpl(&d->seg));
	return EMU_OK;
}

int emu_op_lar_lsl(struct emu *e)
{
	/* Types of system descriptors that each knows (SDM tables 3-53, 3-58) */
	static const u16 lar[2] = { 0x1a3e, 0x1a04 }, lsl[2] = { 0x0a0e, 0x0a04 };
	struct descriptor d;
	bool found, is_lsl = e->opcode == 0x03, wide = long_active(e);
	u32 type;
	int r;

	r = visible_descriptor(e, e->op[1].val, &d, &found);
	if (r != EMU_OK)
		return r;
	type = d.seg.attr & EMU_SEG_TYPE;
	if (found && !(d.seg.attr & EMU_SEG_S))
		found = (is_lsl ? lsl : lar)[wide] >> type & 1;
	flags_change(e, FL_ZF, flag_if(found, FL_ZF));
	if (!found)
		e->flags |= NOWRITE;
	else
		e->op[0].val = is_lsl ? d.seg.limit :
					(u32)(d.raw >> 32) & 0x00f0ff00;
	return EMU_OK;
}

/* VERR and VERW */
static int verify(struct emu *e, u16 selector, bool write)
{
	struct descriptor d;
	bool found, code;
	int r;

	r = visible_descriptor(e, selector, &d, &found);
	if (r != EMU_OK)
		return r;
	if (found) {
		code = d.seg.attr & EMU_SEG_CODE;
		found = d.seg.attr & EMU_SEG_S;
		if (write ? code || !(d.seg.attr & EMU_SEG_WRITE) :
			    code && !(d.seg.attr & EMU_SEG_WRITE))
			found = false;
	}
	flags_change(e, FL_ZF, flag_if(found, FL_ZF));
	return EMU_OK;
}

/* SLDT, STR, LLDT, LTR, VERR, VERW */
int emu_op_group6(struct emu *e)
{
	unsigned int what = modrm_reg(e), seg = what & 1 ? EMU_TR : EMU_LDTR;
	u64 value = 0;
	int r;

	if (what < 2) {
		if (emu_umip_refuses(e))
			return emu_gp(e, 0);
		value = emu_segment(e, seg)->selector;
		if (e->op[0].loc == LOC_MEM)
			return emu_write_operand(e, &value, 2);
		emu_set_gpr(e, e->op[0].reg, e->op_size, value);
		return EMU_OK;
	}
	if (what > 5)
		return emu_ud(e);
	if (what < 4 && e->cpl)
		return emu_gp(e, 0);
	if (e->op[0].loc == LOC_MEM) {
		r = emu_read_operand(e, 0, &value, 2);
		if (r != EMU_OK)
			return r;
	} else {
		value = emu_gpr(e, e->op[0].reg, 2);
	}
	return what < 4 ? load_system_segment(e, seg, value) :
			  verify(e, value, what == 5);
}

int emu_op_arpl(struct emu *e)
{
	u64 want = e->op[1].val & 3;
	bool raise = (e->op[0].val & 3) < want;

	flags_change(e, FL_ZF, flag_if(raise, FL_ZF));
	if (raise)
		e->op[0].val = (e->op[0].val & ~3ull) | want;
	return EMU_OK;
}

/* ------------------------------------------------------------------------
 * Task switches (SDM 3A chapter 8)
 */

/* A TSS from EIP to GS: 16 dwords at 20, or 14 words at 0E without FS and GS */
struct task {
	u32 eip, eflags, regs[8], selectors[6];
};

#define TASK_FIELDS	(sizeof(struct task) / 4)

static int transfer_task(struct emu *e, const struct emu_seg *tss,
			 struct task *task, bool save)
{
	bool wide = tss->attr & 8;
	unsigned int i, size = wide ? 64 : 28;
	u64 at = tss->base + (wide ? 0x20 : 0x0e);
	u32 fields[TASK_FIELDS];
	u16 words[TASK_FIELDS];
	int r;

	memcpy(fields, task, sizeof(fields));
	for (i = 0; i < TASK_FIELDS; i++)
		words[i] = fields[i];
	if (save)
		return emu_lin_write(e, at, wide ? (void *)fields : words, size,
				     EMU_ACC_SYSTEM);
	r = emu_lin_read(e, at, wide ? (void *)fields : words, size,
			 EMU_ACC_SYSTEM);
	for (i = 0; i < TASK_FIELDS && !wide; i++)
		fields[i] = i < 14 ? words[i] : 0;
	memcpy(task, fields, sizeof(fields));
	return r;
}

static int save_task(struct emu *e, const struct emu_seg *tss, bool iret)
{
	struct task task;
	unsigned int i;

	task.eip = e->rip;
	task.eflags = e->rflags & ~(iret ? FL_NT : 0);
	for (i = 0; i < 8; i++)
		task.regs[i] = e->regs[i];
	for (i = 0; i < 6; i++)
		task.selectors[i] = emu_segment(e, i)->selector;
	return transfer_task(e, tss, &task, true);
}

/* Busy bits and the link, when the old task's state is safe. */
static int link_tasks(struct emu *e, struct descriptor *new, u16 old_selector,
		      enum emu_task_reason reason)
{
	struct descriptor old;
	int r = EMU_OK;

	if (reason == EMU_TASK_JMP || reason == EMU_TASK_IRET) {
		r = fetch_descriptor(e, old_selector, EX_TS, &old);
		if (r == EMU_OK)
			r = mark_descriptor(e, &old, 0, TYPE_BUSY);
	} else {
		r = emu_lin_write(e, new->seg.base, &old_selector, 2,
				  EMU_ACC_SYSTEM);
	}
	if (r == EMU_OK)
		r = mark_descriptor(e, new, TYPE_BUSY, 0);
	return r;
}

static int load_task_ldt(struct emu *e, u16 selector)
{
	struct descriptor d = { 0 };
	int r;

	d.seg.selector = selector;
	d.seg.attr = EMU_SEG_UNUSABLE;
	if (!null_selector(selector)) {
		if (selector & 4)
			return fault_selector(e, EX_TS, selector);
		r = fetch_descriptor(e, selector, EX_TS, &d);
		if (r != EMU_OK)
			return r;
		if ((d.seg.attr & (EMU_SEG_S | EMU_SEG_TYPE)) != TYPE_LDT ||
		    !(d.seg.attr & EMU_SEG_P))
			return fault_selector(e, EX_TS, selector);
	}
	emu_set_segment(e, EMU_LDTR, &d.seg);
	return EMU_OK;
}

/* Faults in here are the new task's: its registers are in place. */
static int load_task_segments(struct emu *e, const u32 selectors[6], u16 ldt)
{
	static const u8 order[5] = { EMU_SS, EMU_ES, EMU_DS, EMU_FS, EMU_GS };
	struct target t = { .offset = e->rip };
	struct emu_seg s;
	unsigned int i;
	int r;

	r = load_task_ldt(e, ldt);
	if (r != EMU_OK)
		return r;
	if (e->rflags & FL_VM) {
		e->mode = EMU_VM86;
		e->cpl = 3;
		for (i = 0; i < 6; i++)
			selector_to_base(e, i, selectors[i]);
		return EMU_OK;
	}
	e->mode = EMU_PROT32;
	e->cpl = selectors[EMU_CS] & 3;
	r = check_code(e, selectors[EMU_CS], true, &t);
	if (r == EMU_FAULT && e->fault.vector == EX_GP && e->fault.error)
		e->fault.vector = EX_TS;
	if (r == EMU_UNHANDLED)
		r = fault_selector(e, EX_TS, selectors[EMU_CS]);
	if (r != EMU_OK)
		return r;
	enter_code(e, &t);
	for (i = 0; i < 5; i++) {
		r = check_data_segment(e, order[i], selectors[order[i]], e->cpl,
				       EX_TS, &s);
		if (r != EMU_OK)
			return r;
		emu_set_segment(e, order[i], &s);
	}
	return EMU_OK;
}

static int switch_task(struct emu *e, u16 selector,
		       enum emu_task_reason reason, bool has_error, u32 error)
{
	struct emu_seg old = *emu_segment(e, EMU_TR);
	u8 vector = reason == EMU_TASK_IRET ? EX_TS : EX_GP;
	struct task task = { 0 };
	struct descriptor new;
	u64 cr0 = e->ops->get_cr(e, 0), dr7;
	u32 cr3 = 0, ldt = 0, type;
	unsigned int i;
	bool wide;
	int r;

	if (selector & 4 || null_selector(selector))
		return fault_selector(e, vector, selector);
	r = fetch_descriptor(e, selector, vector, &new);
	if (r != EMU_OK)
		return r;
	type = new.seg.attr & (EMU_SEG_S | EMU_SEG_TYPE);
	wide = type & 8;
	if ((type & ~8u) != (reason == EMU_TASK_IRET ?
			     TYPE_TSS16 | TYPE_BUSY : TYPE_TSS16))
		return fault_selector(e, vector, selector);
	if (!(new.seg.attr & EMU_SEG_P))
		return fault_selector(e, EX_NP, selector);
	if (new.seg.limit < (wide ? 0x67 : 0x2b))
		return fault_selector(e, EX_TS, selector);
	/* All of the new state is read before any of the old is lost. */
	r = transfer_task(e, &new.seg, &task, false);
	if (r == EMU_OK)
		r = emu_lin_read(e, new.seg.base + (wide ? 0x60 : 0x2a), &ldt,
				 wide ? 4 : 2, EMU_ACC_SYSTEM);
	if (r == EMU_OK && wide)
		r = emu_lin_read(e, new.seg.base + 0x1c, &cr3, 4,
				 EMU_ACC_SYSTEM);
	if (r == EMU_OK)
		r = save_task(e, &old, reason == EMU_TASK_IRET);
	if (r == EMU_OK)
		r = link_tasks(e, &new, old.selector, reason);
	if (r == EMU_OK && wide && cr0 >> 31 & 1)
		r = e->ops->set_cr(e, 3, cr3);
	if (r == EMU_OK)
		r = e->ops->set_cr(e, 0, cr0 | CR0_TS);
	if (r != EMU_OK)
		return r;
	emu_set_segment(e, EMU_TR, &new.seg);
	if (e->ops->get_dr && e->ops->set_dr &&
	    e->ops->get_dr(e, 7, &dr7) == EMU_OK)
		e->ops->set_dr(e, 7, dr7 & ~0x155ull);
	e->rip = task.eip;
	e->next_rip = task.eip;
	e->rflags = (task.eflags & 0x3f7fd5) | FL_FIXED;
	if (reason == EMU_TASK_CALL || reason == EMU_TASK_GATE)
		e->rflags |= FL_NT;
	for (i = 0; i < 8; i++)
		e->regs[i] = task.regs[i];
	emu_checkpoint(e);
	r = load_task_segments(e, task.selectors, ldt);
	if (r == EMU_OK && has_error)
		r = emu_push(e, error, wide ? 4 : 2);
	return r == EMU_AGAIN ? EMU_UNHANDLED : r;
}

int emu_task_switch(struct emu *e, u16 selector, enum emu_task_reason reason,
		    bool has_error, u32 error)
{
	int r = EMU_UNHANDLED;

	emu_begin(e);
	if (!real_or_vm86(e) || e->mode == EMU_VM86)
		if (e->ops->set_cr && !long_active(e))
			r = switch_task(e, selector, reason, has_error, error);
	return emu_end(e, r);
}
