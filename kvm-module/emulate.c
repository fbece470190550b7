// SPDX-License-Identifier: GPL-2.0-only
/*
 * emulate.c - x86 instruction decoder and emulator: the engine
 *
 * Theory of operation. A guest instruction that touched a device, or that runs
 * in a state the processor cannot enter, is executed here.
 *
 *  decode()    fetches bytes, collects prefixes, and finds the opcode's row in
 *              a table of emulate_insn.c. A row names the handler, up to three
 *              operands in the notation of the manual's opcode maps (SDM vol. 2D
 *              appendix A: E_B is Eb), and flags. Operands say which bytes
 *              follow, so that the length is right for every instruction,
 *              emulated or not.
 *  execute()   loads the operands, calls the handler, which works on
 *              e->op[].val, and stores operand 0.
 *  emu_run()   wraps this in a transaction: registers are saved first and put
 *              back unless the instruction completes.
 *
 * Memory is reached in two steps: emu_linearize() applies the segment's checks,
 * emu_lin_read() and emu_lin_write() go through the log of finished accesses
 * that makes an instruction restartable after a trip to user space.
 *
 * Manuals: Intel SDM vol. 1 chapter 3, vol. 2, vol. 3 chapters 5 to 7 and 20;
 * AMD APM vol. 3. Where the vendors differ, or a rule depends on state that is
 * not modelled (VME, CET), the instruction is EMU_UNHANDLED, not guessed.
 */
#include "emulate_priv.h"

/* ------------------------------------------------------------------------
 * Faults
 */

int emu_fault(struct emu *e, u8 vector, bool has_error, u32 error)
{
	memset(&e->fault, 0, sizeof(e->fault));
	e->fault.vector = vector;
	e->fault.has_error = has_error && e->mode != EMU_REAL;
	e->fault.error = e->fault.has_error ? error : 0;
	return EMU_FAULT;
}

int emu_page_fault(struct emu *e, u64 cr2, u32 error)
{
	emu_fault(e, EX_PF, true, error);
	e->fault.has_cr2 = true;
	e->fault.cr2 = cr2;
	return EMU_FAULT;
}

int emu_ud(struct emu *e)
{
	return emu_fault(e, EX_UD, false, 0);
}

int emu_gp(struct emu *e, u32 error)
{
	return emu_fault(e, EX_GP, true, error);
}

/* A bad address: #SS for the stack segment, else #GP. */
static int fault_address(struct emu *e, unsigned int seg)
{
	return emu_fault(e, seg == EMU_SS ? EX_SS : EX_GP, true, 0);
}

/* ------------------------------------------------------------------------
 * Memory: segments, then the log, then the owner
 */

const struct emu_seg *emu_segment(struct emu *e, unsigned int seg)
{
	if (!(e->seg_cached & (1u << seg))) {
		e->ops->get_seg(e, seg, &e->segs[seg]);
		e->seg_cached |= 1u << seg;
	}
	return &e->segs[seg];
}

void emu_set_segment(struct emu *e, unsigned int seg,
		     const struct emu_seg *s)
{
	e->segs[seg] = *s;
	e->seg_cached |= 1u << seg;
	e->ops->set_seg(e, seg, s);
}

bool emu_canonical(const struct emu *e, u64 address)
{
	unsigned int shift = 64 - (e->va_bits == 57 ? 57 : 48);

	return (u64)((s64)(address << shift) >> shift) == address;
}

/* SDM 3A 5.3: does the segment hold offset .. offset + size - 1? */
static bool within_limit(const struct emu_seg *s, u64 offset, unsigned int size)
{
	u64 last = offset + size - 1;
	u32 down = EMU_SEG_S | EMU_SEG_CODE | EMU_SEG_DOWN;

	if ((s->attr & down) == (EMU_SEG_S | EMU_SEG_DOWN))
		return offset > s->limit &&
		       last <= (s->attr & EMU_SEG_DB ? 0xffffffffu : 0xffffu);
	return last <= s->limit;
}

int emu_linearize(struct emu *e, unsigned int seg, u64 offset,
		  unsigned int size, bool write, u64 *linear)
{
	const struct emu_seg *s;
	u64 base = 0;

	if (e->mode == EMU_LONG) {
		if (seg == EMU_FS || seg == EMU_GS)
			base = emu_segment(e, seg)->base;
		*linear = base + offset;
		if (!emu_canonical(e, *linear) || !emu_canonical(e, *linear + size - 1))
			return fault_address(e, seg);
		return EMU_OK;
	}
	s = emu_segment(e, seg);
	if (!real_or_vm86(e)) {
		u32 type = s->attr & (EMU_SEG_CODE | EMU_SEG_WRITE);

		if (s->attr & EMU_SEG_UNUSABLE || !(s->attr & EMU_SEG_P))
			return fault_address(e, seg);
		if (write ? type != EMU_SEG_WRITE : type == EMU_SEG_CODE)
			return fault_address(e, seg);
	}
	if (!within_limit(s, offset, size))
		return fault_address(e, seg);
	*linear = (u32)(s->base + offset);
	return EMU_OK;
}

/* The answer of an input access: into the log, or the vCPU waits for it. */
int emu_log_input(struct emu *e, int r, const void *buf, unsigned int size)
{
	if (r == EMU_OK) {
		memcpy(e->log + e->log_len, buf, size);
		e->log_len += size;
		e->log_pos = e->log_len;
	} else if (r == EMU_AGAIN) {
		e->pending = true;
		e->pending_write = false;
	}
	return r;
}

/* True if the log holds the answer, or *r says why it cannot. */
bool emu_log_replay(struct emu *e, void *buf, unsigned int size, int *r)
{
	unsigned int left = e->log_len - e->log_pos;

	*r = EMU_OK;
	if (left) {
		if (size > left) {
			*r = EMU_UNHANDLED;
			return true;
		}
		memcpy(buf, e->log + e->log_pos, size);
		e->log_pos += size;
		return true;
	}
	if (size <= EMU_LOG_SIZE - e->log_len)
		return false;
	*r = EMU_UNHANDLED;
	return true;
}

int emu_log_output(struct emu *e, int r)
{
	if (r == EMU_OK) {
		e->writes_pos = ++e->writes_done;
	} else if (r == EMU_AGAIN) {
		e->pending = true;
		e->pending_write = true;
	}
	return r;
}

bool emu_log_written(struct emu *e)
{
	if (e->writes_pos >= e->writes_done)
		return false;
	e->writes_pos++;
	return true;
}

/* Outside of 64-bit mode an access across 4 GiB wraps around: not known. */
static bool wraps(const struct emu *e, u64 linear, unsigned int size)
{
	return e->mode != EMU_LONG && !(linear >> 32) &&
	       (linear + size - 1) >> 32;
}

int emu_lin_read(struct emu *e, u64 linear, void *buf, unsigned int size,
		 unsigned int access)
{
	int r;

	if (wraps(e, linear, size))
		return EMU_UNHANDLED;
	if (emu_log_replay(e, buf, size, &r))
		return r;
	r = e->ops->read(e, linear, buf, size, access);
	return emu_log_input(e, r, buf, size);
}

int emu_lin_write(struct emu *e, u64 linear, const void *buf,
		  unsigned int size, unsigned int access)
{
	if (wraps(e, linear, size))
		return EMU_UNHANDLED;
	if (emu_log_written(e))
		return EMU_OK;
	return emu_log_output(e, e->ops->write(e, linear, buf, size, access));
}

int emu_lin_cmpxchg(struct emu *e, u64 linear, const void *old,
		    const void *new, unsigned int size)
{
	if (emu_log_written(e))
		return EMU_OK;
	if (!e->ops->cmpxchg || wraps(e, linear, size))
		return EMU_UNHANDLED;
	/* In parentheses, because linux/atomic.h has a macro of that name. */
	return emu_log_output(e, (e->ops->cmpxchg)(e, linear, old, new,
						   size));
}

int emu_read(struct emu *e, unsigned int seg, u64 offset, void *buf,
	     unsigned int size, unsigned int access)
{
	u64 linear;
	int r;

	r = emu_linearize(e, seg, offset, size, access & EMU_ACC_RMW, &linear);
	if (r != EMU_OK)
		return r;
	if (e->flags & ALIGN && linear & (size - 1))
		return emu_gp(e, 0);
	return emu_lin_read(e, linear, buf, size, access);
}

int emu_write(struct emu *e, unsigned int seg, u64 offset,
	      const void *buf, unsigned int size)
{
	u64 linear;
	int r;

	r = emu_linearize(e, seg, offset, size, true, &linear);
	if (r != EMU_OK)
		return r;
	if (e->flags & ALIGN && linear & (size - 1))
		return emu_gp(e, 0);
	return emu_lin_write(e, linear, buf, size, 0);
}

int emu_read_operand(struct emu *e, unsigned int at, void *buf,
		     unsigned int size)
{
	return emu_read(e, e->seg, (e->ea + at) & size_mask(e->addr_size), buf,
			size, 0);
}

int emu_write_operand(struct emu *e, const void *buf, unsigned int size)
{
	return emu_write(e, e->seg, e->ea, buf, size);
}

int emu_control(struct emu *e, enum emu_control what, u64 arg, void *arg2)
{
	if (!e->ops->control)
		return EMU_UNHANDLED;
	return e->ops->control(e, what, arg, arg2);
}

/* ------------------------------------------------------------------------
 * Registers, the stack, the instruction pointer
 */

/* AH, CH, DH and BH are 4 to 7, unless there is a REX prefix. */
static bool high_byte(const struct emu *e, unsigned int reg, unsigned int size)
{
	return size == 1 && reg >= 4 && reg < 8 && !e->rex && !e->vex;
}

u64 emu_gpr(const struct emu *e, unsigned int reg, unsigned int size)
{
	if (high_byte(e, reg, size))
		return e->regs[reg & 3] >> 8 & 0xff;
	return e->regs[reg & 15] & size_mask(size);
}

void emu_set_gpr(struct emu *e, unsigned int reg, unsigned int size,
		 u64 value)
{
	if (high_byte(e, reg, size))
		e->regs[reg & 3] = (e->regs[reg & 3] & ~0xff00ull) |
				   (value & 0xff) << 8;
	else
		merge(&e->regs[reg & 15], value, size);
}

unsigned int emu_stack_size(struct emu *e)
{
	if (e->mode == EMU_LONG)
		return 8;
	if (e->mode == EMU_VM86)
		return 2;
	return emu_segment(e, EMU_SS)->attr & EMU_SEG_DB ? 4 : 2;
}

/* A stack pointer of a 16-bit stack keeps its upper bits, even 32-bit ones. */
void emu_move_stack(struct emu *e, u64 sp)
{
	merge(&e->regs[EMU_RSP], sp, emu_stack_size(e));
}

int emu_push(struct emu *e, u64 value, unsigned int size)
{
	u64 sp = e->regs[EMU_RSP] - size;
	int r;

	sp &= size_mask(emu_stack_size(e));
	r = emu_write(e, EMU_SS, sp, &value, size);
	if (r == EMU_OK)
		emu_move_stack(e, sp);
	return r;
}

int emu_pop(struct emu *e, u64 *value, unsigned int size)
{
	u64 sp = e->regs[EMU_RSP] & size_mask(emu_stack_size(e));
	int r;

	*value = 0;
	r = emu_read(e, EMU_SS, sp, value, size, 0);
	if (r == EMU_OK)
		emu_move_stack(e, sp + size);
	return r;
}

/* Near transfer: the target is checked before the instruction completes. */
int emu_jump(struct emu *e, u64 target)
{
	target &= size_mask(e->op_size);
	if (e->mode == EMU_LONG) {
		if (!emu_canonical(e, target))
			return emu_gp(e, 0);
	} else if (target > emu_segment(e, EMU_CS)->limit) {
		return emu_gp(e, 0);
	}
	e->next_rip = target;
	return EMU_OK;
}

/* PUSHF, POPF, CLI, STI, IRET in vm86 mode below IOPL 3; VME is not known. */
int emu_vm86_refuse(struct emu *e)
{
	if (e->ops->get_cr(e, 4) & CR4_VME)
		return EMU_UNHANDLED;
	return emu_gp(e, 0);
}

/* Flags that POPF and IRET may change at this privilege. */
u64 emu_flags_writable(const struct emu *e, unsigned int size)
{
	u64 mask = FL_STATUS | FL_TF | FL_DF | FL_NT | FL_RF | FL_AC | FL_ID;

	if (e->cpl == 0)
		mask |= FL_IOPL;
	if (e->mode == EMU_REAL || e->cpl <= iopl(e))
		mask |= FL_IF;
	return mask & size_mask(size);
}

/* ------------------------------------------------------------------------
 * The decoder
 */

/* Fetches more of the instruction: up to the end of the page at a time. */
static int fetch_more(struct emu *e)
{
	u64 offset = e->rip + e->nbytes, linear, room;
	const struct emu_seg *cs;
	unsigned int n = EMU_INSN_MAX - e->nbytes;
	int r;

	if (!n)
		return emu_gp(e, 0);	/* SDM 2A 2.3.11: too long */
	if (e->mode == EMU_LONG) {
		if (!emu_canonical(e, offset))
			return emu_gp(e, 0);
		linear = offset;
	} else {
		cs = emu_segment(e, EMU_CS);
		offset = (u32)offset;
		if (offset > cs->limit)
			return emu_gp(e, 0);
		if (n > cs->limit - offset + 1ull)
			n = cs->limit - offset + 1ull;
		linear = (u32)(cs->base + offset);
	}
	room = 4096 - (linear & 4095);
	if (n > room)
		n = room;
	r = e->ops->fetch(e, linear, e->bytes + e->nbytes, n);
	if (r == EMU_AGAIN)
		return EMU_UNHANDLED;	/* code in a device */
	if (r == EMU_OK)
		e->nbytes += n;
	return r;
}

/* The next @size bytes of the instruction, little-endian. */
static int fetch(struct emu *e, unsigned int size, u64 *value)
{
	int r;

	*value = 0;
	while (e->nbytes - e->length < (int)size) {
		r = fetch_more(e);
		if (r != EMU_OK)
			return r;
	}
	memcpy(value, e->bytes + e->length, size);
	e->length += size;
	return EMU_OK;
}

static int decode_prefixes(struct emu *e, int *override)
{
	u64 byte;
	int r;

	for (;;) {
		r = fetch(e, 1, &byte);
		if (r != EMU_OK)
			return r;
		switch (byte) {
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			/* ES, CS, SS, DS: without effect in 64-bit mode */
			if (e->mode != EMU_LONG)
				*override = byte >> 3 & 3;
			break;
		case 0x64:
		case 0x65:
			*override = byte & 7;
			break;
		case 0x66:
			e->opsize_prefix = true;
			break;
		case 0x67:
			if (e->mode == EMU_LONG)
				e->addr_size = 4;
			else
				e->addr_size = e->mode == EMU_PROT32 ? 2 : 4;
			break;
		case 0xf0:
			e->lock = true;
			break;
		case 0xf2:
		case 0xf3:
			e->rep = byte;
			break;
		default:
			if (e->mode == EMU_LONG && (byte & 0xf0) == 0x40) {
				e->rex = byte;
				continue;
			}
			e->opcode = byte;
			return EMU_OK;
		}
		e->rex = 0;		/* REX counts only as the last prefix */
	}
}

/* C5, C4, 62 and 8F: is it VEX, EVEX or XOP, or LDS, LES, BOUND, POP? */
static int vex_kind(struct emu *e, unsigned int *kind)
{
	static const u8 lengths[4] = { 2, 3, 4, 5 };
	unsigned int i;
	u64 next;
	int r;

	*kind = 0;
	i = e->opcode == 0xc5 ? 0 : e->opcode == 0xc4 ? 1 :
	    e->opcode == 0x62 ? 2 : 3;
	if (i == 3 && e->opcode != 0x8f)
		return EMU_OK;
	r = fetch(e, 1, &next);
	if (r != EMU_OK)
		return r;
	e->length--;
	if (i == 3 ? (next & 0x1f) >= 8 :
	    e->mode == EMU_LONG || (!real_or_vm86(e) && next >= 0xc0))
		*kind = lengths[i];
	return EMU_OK;
}

/* The bytes after C5, C4, 62 or 8F; R, X, B and vvvv are inverted in them. */
static int decode_vex(struct emu *e)
{
	static const u8 prefix[4] = { 0, 0x66, 0xf3, 0xf2 };
	unsigned int payload, length_bits;
	u64 p[3] = { 0 }, last, opcode;
	unsigned int i;
	int r;

	if (e->lock || e->rep || e->opsize_prefix || e->rex)
		return emu_ud(e);
	payload = e->vex == 2 ? 1 : e->vex == 4 ? 3 : 2;
	for (i = 0; i < payload; i++) {
		r = fetch(e, 1, &p[i]);
		if (r != EMU_OK)
			return r;
	}
	e->rex = 0x40;
	if (e->mode == EMU_LONG)
		e->rex |= e->vex == 2 ? ~p[0] >> 5 & 4 : ~p[0] >> 5 & 7;
	last = e->vex == 2 ? p[0] : p[1];
	if (e->vex != 2 && e->mode == EMU_LONG && last & 0x80)
		e->rex |= 8;
	e->map = e->vex == 2 ? 2 : (p[0] & (e->vex == 4 ? 7 : 0x1f)) + 1;
	e->vex_reg = ~last >> 3 & (e->mode == EMU_LONG ? 15 : 7);
	e->vex_pp = prefix[last & 3];
	length_bits = last >> 2 & 1;
	if (e->vex == 4) {
		if (p[0] & 8 || !(last & 4))
			return emu_ud(e);
		e->evex_bits = p[2];
		length_bits = p[2] >> 5 & 3;
		if (e->mode == EMU_LONG)
			e->reg_high = p[0] & 0x10 ? 0 : 16;
	}
	e->vex_len = 16 << (length_bits > 2 ? 2 : length_bits);
	r = fetch(e, 1, &opcode);
	e->opcode = opcode;
	return r;
}

/* Finds the opcode after the prefixes, through the escape bytes. */
static int decode_opcode(struct emu *e)
{
	unsigned int kind;
	u64 byte;
	int r;

	e->map = 1;
	r = vex_kind(e, &kind);
	if (r != EMU_OK)
		return r;
	if (kind) {
		e->vex = kind;
		return decode_vex(e);
	}
	if (e->opcode != 0x0f)
		return EMU_OK;
	e->map = 2;
	r = fetch(e, 1, &byte);
	if (r == EMU_OK && (byte == 0x38 || byte == 0x3a)) {
		e->map = byte == 0x38 ? 3 : 4;
		r = fetch(e, 1, &byte);
	}
	e->opcode = byte;
	e->vex_pp = e->rep ? e->rep : e->opsize_prefix ? 0x66 : 0;
	return r;
}

/* Lengths of what is in no table. */
static const struct row row_modrm = { NULL, { 0 }, MODRM };
static const struct row row_modrm_imm8 = { NULL, { KIND(LOC_IMM, SZ_B) }, MODRM };
static const struct row row_modrm_imm32 = { NULL, { KIND(LOC_IMM, SZ_D) }, MODRM };

/* The row of an opcode; NULL if not even its length is known. */
static const struct row *find_row(const struct emu *e)
{
	const struct row *row = NULL, *old = emu_row_two_byte(e);

	if (e->map == 1)
		return emu_row_one_byte(e);
	if (e->map == 2 && !e->vex && !(old->flags & SEARCH))
		return old;
	if (e->vex != 5)
		row = emu_search(e);
	if (row)
		return row;
	switch (e->map) {
	case 2:		/* an unknown one is as long as its old form */
		if (e->vex && old->flags & BARE)
			return old;
		return KIND_LOC(old->kind[0]) == LOC_IMM ? &row_modrm_imm8 :
							   &row_modrm;
	case 3:		/* 0F38 */
	case 6:		/* EVEX map 5 */
	case 7:		/* EVEX map 6 */
	case 10:	/* XOP map 9 */
		return &row_modrm;
	case 4:		/* 0F3A */
	case 9:		/* XOP map 8 */
		return &row_modrm_imm8;
	case 11:	/* XOP map 10 */
		return &row_modrm_imm32;
	default:
		return NULL;
	}
}

static unsigned int operand_size(const struct emu *e, unsigned int code)
{
	switch (code) {
	case SZ_B:
	case SZ_W:
	case SZ_D:
	case SZ_Q:
		return 1u << code;
	case SZ_V:
		return e->op_size;
	case SZ_Z:
		return e->op_size == 8 ? 4 : e->op_size;
	case SZ_Y:
		return e->rex & 8 ? 8 : 4;
	case SZ_N:
		return e->mode == EMU_LONG ? 8 : 4;
	default:
		return e->vex ? e->vex_len : 16;
	}
}

static bool needs_modrm(const struct emu *e, const struct row *row)
{
	unsigned int i;

	if (row->group || row->flags & MODRM)
		return true;
	for (i = 0; i < 3; i++)
		if (row->kind[i] && KIND_LOC(row->kind[i]) <= LOC_LAST_MODRM)
			return true;
	return e->map == 2 && !row->run && !(row->flags & BARE);
}

/* SDM 2A table 2-1 */
static int decode_address16(struct emu *e, unsigned int scale, bool *stack)
{
	static const u8 base[8] = { EMU_RBX, EMU_RBX, EMU_RBP, EMU_RBP,
				    EMU_RSI, EMU_RDI, EMU_RBP, EMU_RBX };
	unsigned int mod = e->modrm >> 6, rm = e->modrm & 7;
	u64 disp = 0;
	int r = EMU_OK;

	if (mod == 1 || mod == 2 || rm == 6)
		r = fetch(e, mod == 1 ? 1 : mod == 0 && rm != 6 ? 0 : 2, &disp);
	if (mod == 1)
		disp = sign_extend(disp, 1) * scale;
	e->ea = disp;
	if (mod != 0 || rm != 6) {
		e->ea += e->regs[base[rm]];
		*stack = base[rm] == EMU_RBP;
	}
	if (rm < 4)
		e->ea += e->regs[rm & 1 ? EMU_RDI : EMU_RSI];
	return r;
}

/* SDM 2A tables 2-2 and 2-3; *relative: to the end of the instruction */
static int decode_address32(struct emu *e, unsigned int scale, bool *stack,
			    bool *relative)
{
	unsigned int mod = e->modrm >> 6, base = e->modrm & 7, index;
	u64 value, disp = 0;
	int r;

	e->ea = 0;
	if (base == 4) {
		r = fetch(e, 1, &value);
		if (r != EMU_OK)
			return r;
		e->has_sib = true;
		e->sib = value;
		base = e->sib & 7;
		index = (e->sib >> 3 & 7) | (e->rex & 2) << 2;
		if (index != 4)
			e->ea = e->regs[index] << (e->sib >> 6);
	} else if (mod == 0 && base == 5) {
		*relative = e->mode == EMU_LONG;
	}
	if (mod == 0 && base == 5) {
		mod = 2;		/* no base, 32-bit displacement */
	} else {
		*stack = (base == EMU_RSP || base == EMU_RBP) && !(e->rex & 1);
		e->ea += e->regs[base | (e->rex & 1) << 3];
	}
	if (mod) {
		r = fetch(e, mod == 1 ? 1 : 4, &disp);
		if (r != EMU_OK)
			return r;
		disp = sign_extend(disp, mod == 1 ? 1 : 4);
		if (mod == 1)
			disp *= scale;
	}
	e->ea += disp;
	return EMU_OK;
}

/* The constant parts of operand @i: registers, immediates, addresses. */
static int decode_operand(struct emu *e, unsigned int i, unsigned int kind)
{
	struct emu_operand *o = &e->op[i];
	unsigned int reg = modrm_reg(e), rm = e->modrm & 7;
	unsigned int b = (e->rex & 1) << 3, r = (e->rex & 4) << 1;
	unsigned int loc = KIND_LOC(kind), n;
	bool memory = e->modrm < 0xc0;
	int ret = EMU_OK;

	o->loc = LOC_GPR;
	o->size = operand_size(e, KIND_SIZE(kind));
	switch (loc) {
	case LOC_RM:
		o->loc = memory ? LOC_MEM : LOC_GPR;
		o->reg = rm | b;
		break;
	case LOC_RM_GPR:
		o->reg = rm | b;
		break;
	case LOC_REG:
		o->reg = reg | r;
		break;
	case LOC_VVVV:
		o->reg = e->vex_reg;
		break;
	case LOC_OPC:
		o->reg = (e->opcode & 7) | b;
		break;
	case LOC_ACC:
		o->reg = EMU_RAX;
		break;
	case LOC_CL:
		o->reg = EMU_RCX;
		break;
	case LOC_SREG:
	case LOC_MMX:
		o->loc = loc;
		o->reg = reg;
		break;
	case LOC_CR:
	case LOC_DR:
	case LOC_VEC:
		o->loc = loc;
		o->reg = reg | r | e->reg_high;
		break;
	case LOC_VEC_RM:
		o->loc = memory ? LOC_MEM : LOC_VEC;
		o->reg = rm | b | (e->vex == 4 ? (e->rex & 2) << 3 : 0);
		break;
	case LOC_MMX_RM:
		o->loc = memory ? LOC_MEM : LOC_MMX;
		o->reg = rm;
		break;
	case LOC_OFFSET:
		o->loc = LOC_MEM;
		ret = fetch(e, e->addr_size, &e->ea);
		break;
	case LOC_ONE:
		o->loc = loc;
		o->val = 1;
		break;
	case LOC_FAR:
		o->loc = loc;
		ret = fetch(e, o->size, &o->val);
		if (ret == EMU_OK)
			ret = fetch(e, 2, &e->op[1].val);
		break;
	default:		/* LOC_IMM, LOC_IMM8, LOC_REL */
		o->loc = loc;
		n = loc == LOC_IMM8 ? 1 : o->size;
		if (loc == LOC_REL || KIND_SIZE(kind) == SZ_Z)
			o->size = e->op_size;
		ret = fetch(e, n, &o->val);
		o->val = sign_extend(o->val, n) & size_mask(o->size);
		break;
	}
	return ret;
}

static void decode_start(struct emu *e)
{
	memset((u8 *)e + offsetof(struct emu, length), 0,
	       offsetof(struct emu, next_rip) - offsetof(struct emu, length));
	e->modrm = 0xc0;
	e->vex_len = 16;
	e->addr_size = e->mode == EMU_LONG ? 8 : e->mode == EMU_PROT32 ? 4 : 2;
	e->op_size = 2;
}

static void decode_op_size(struct emu *e)
{
	bool wide = e->mode == EMU_LONG || e->mode == EMU_PROT32;

	e->op_size = wide != e->opsize_prefix ? 4 : 2;
	if (e->mode != EMU_LONG)
		return;
	if (e->rex & 8 || e->flags & F64)
		e->op_size = 8;
	else if (e->flags & D64)
		e->op_size = e->opsize_prefix ? 2 : 8;
}

/* ModRM, and the row that a group selects by it. */
static int decode_modrm(struct emu *e, const struct row **row, u16 kind[3])
{
	const struct row *group = (*row)->group;
	u64 byte;
	int r;

	memcpy(kind, (*row)->kind, sizeof((*row)->kind));
	e->flags = (*row)->flags;
	if (!needs_modrm(e, *row))
		return EMU_OK;
	r = fetch(e, 1, &byte);
	if (r != EMU_OK)
		return r;
	e->has_modrm = true;
	e->modrm = byte;
	if (KIND_LOC(kind[0]) == LOC_RM_GPR || KIND_LOC(kind[1]) == LOC_RM_GPR)
		e->modrm |= 0xc0;
	if (!group)
		return EMU_OK;
	*row = &group[e->modrm >> 3 & 7];
	e->flags |= (*row)->flags;
	if ((*row)->kind[0])
		memcpy(kind, (*row)->kind, sizeof((*row)->kind));
	return EMU_OK;
}

static int decode(struct emu *e)
{
	bool stack = false, relative = false;
	const struct row *row;
	unsigned int i, scale = 1;
	int override = -1, r;
	u16 kind[3];

	r = decode_prefixes(e, &override);
	if (r == EMU_OK)
		r = decode_opcode(e);
	if (r != EMU_OK)
		return r;
	row = find_row(e);
	if (!row)
		return EMU_UNHANDLED;
	r = decode_modrm(e, &row, kind);
	if (r != EMU_OK)
		return r;
	e->run = row->run;
	decode_op_size(e);
	if (e->vex == 4)	/* EVEX scales 8-bit displacements */
		for (i = 0; i < 2; i++)
			if (KIND_LOC(kind[i]) == LOC_VEC_RM)
				scale = operand_size(e, KIND_SIZE(kind[i]));
	if (e->modrm < 0xc0) {
		if (e->addr_size == 2)
			r = decode_address16(e, scale, &stack);
		else
			r = decode_address32(e, scale, &stack, &relative);
	}
	for (i = 0; i < 3 && r == EMU_OK; i++)
		if (kind[i])
			r = decode_operand(e, i, kind[i]);
	if (r != EMU_OK)
		return r;
	e->seg = override >= 0 ? override : stack ? EMU_SS : EMU_DS;
	e->next_rip = e->rip + e->length;
	if (e->mode != EMU_LONG)
		e->next_rip = (u32)e->next_rip;
	if (relative)
		e->ea += e->next_rip;
	e->ea &= size_mask(e->addr_size);
	return EMU_OK;
}

/* ------------------------------------------------------------------------
 * Execution
 */

static int operand_read(struct emu *e, struct emu_operand *o, u32 access)
{
	switch (o->loc) {
	case LOC_GPR:
		o->val = emu_gpr(e, o->reg, o->size);
		return EMU_OK;
	case LOC_MEM:
		o->val = 0;
		return emu_read(e, e->seg, e->ea, &o->val, o->size, access);
	default:
		return EMU_OK;
	}
}

static int operand_write(struct emu *e, const struct emu_operand *o)
{
	u64 linear;
	int r;

	switch (o->loc) {
	case LOC_GPR:
		emu_set_gpr(e, o->reg, o->size, o->val);
		return EMU_OK;
	case LOC_MEM:
		if (!e->lock)
			return emu_write(e, e->seg, e->ea, &o->val, o->size);
		r = emu_linearize(e, e->seg, e->ea, o->size, true, &linear);
		if (r != EMU_OK)
			return r;
		return emu_lin_cmpxchg(e, linear, &e->lock_old, &o->val, o->size);
	default:
		return EMU_OK;
	}
}

/* A bit offset in a register reaches memory on either side of the operand. */
static void move_to_bit(struct emu *e)
{
	unsigned int size = e->op[0].size;
	unsigned int shift = size == 8 ? 6 : size == 4 ? 5 : 4;
	s64 units = (s64)sign_extend(e->op[1].val, size) >> shift;

	e->ea = (e->ea + (u64)units * size) & size_mask(e->addr_size);
}

/* Does the register that ModRM.reg names exist? CS cannot be written. */
static bool register_exists(const struct emu_operand *o, bool write)
{
	switch (o->loc) {
	case LOC_SREG:
		return o->reg <= EMU_GS && !(write && o->reg == EMU_CS);
	case LOC_CR:
		return o->reg == 0 || (o->reg >= 2 && o->reg <= 4) ||
		       o->reg == 8;
	case LOC_DR:
		return o->reg < 8;
	default:
		return true;
	}
}

/* #UD and #GP that depend on encoding, mode and privilege alone. */
static int check_allowed(struct emu *e)
{
	bool memory = e->modrm < 0xc0;

	if (!e->run)
		return EMU_UNHANDLED;
	if (e->lock && (!(e->flags & LOCK) || e->op[0].loc != LOC_MEM))
		return emu_ud(e);
	if ((e->flags & I64 && e->mode == EMU_LONG) ||
	    (e->flags & PROT && real_or_vm86(e)) ||
	    (e->flags & MEMORY && !memory) ||
	    !register_exists(&e->op[0], true) ||
	    !register_exists(&e->op[1], false))
		return emu_ud(e);
	if (e->flags & PRIV && e->cpl)
		return emu_gp(e, 0);
	return EMU_OK;
}

static int execute(struct emu *e)
{
	unsigned int i;
	int r = EMU_OK;

	for (i = 1; i < 3 && r == EMU_OK && !(e->flags & NOLOAD); i++)
		r = operand_read(e, &e->op[i], 0);
	if (r != EMU_OK)
		return r;
	if (e->flags & BITS && e->op[0].loc == LOC_MEM)
		move_to_bit(e);
	if (!(e->flags & NOREAD)) {
		r = operand_read(e, &e->op[0],
				 e->flags & NOWRITE ? 0 : EMU_ACC_RMW);
		if (r != EMU_OK)
			return r;
		e->lock_old = e->op[0].val;
	}
	r = e->run(e);
	if (r == EMU_OK && !(e->flags & NOWRITE))
		r = operand_write(e, &e->op[0]);
	return r;
}

static void log_clear(struct emu *e)
{
	e->log_len = 0;
	e->log_pos = 0;
	e->writes_done = 0;
	e->writes_pos = 0;
	e->pending = false;
}

/* What the registers are put back to. */
void emu_checkpoint(struct emu *e)
{
	memcpy(e->old_regs, e->regs, sizeof(e->regs));
	e->old_rip = e->rip;
	e->old_rflags = e->rflags;
	e->old_cpl = e->cpl;
}

static void roll_back(struct emu *e)
{
	memcpy(e->regs, e->old_regs, sizeof(e->regs));
	e->rip = e->old_rip;
	e->rflags = e->old_rflags;
	e->cpl = e->old_cpl;
	e->shadow = 0;
}

/*
 * String instructions: each iteration is complete by itself. After EMU_REP_MAX
 * of them the guest goes on at the same rip, so that interrupts get a chance.
 */
static int execute_string(struct emu *e)
{
	u64 mask = size_mask(e->addr_size), count;
	bool stop;
	int r;

	if (!e->rep) {
		r = execute(e);
		e->rip = e->next_rip;
		return r;
	}
	for (;;) {
		count = e->regs[EMU_RCX] & mask;
		if (!count)
			break;
		r = execute(e);
		if (r != EMU_OK)
			return r;
		/* A batch of INS or OUTS has already counted its others. */
		count = (e->regs[EMU_RCX] - 1) & mask;
		merge(&e->regs[EMU_RCX], count, e->addr_size);
		stop = e->flags & REPCC &&
		       !(e->rflags & FL_ZF) == (e->rep == 0xf3);
		if (stop || !count)
			break;
		emu_checkpoint(e);
		log_clear(e);
		e->iterations++;
		if (e->iterations >= EMU_REP_MAX || e->rflags & FL_TF)
			return EMU_OK;
	}
	e->rip = e->next_rip;
	return EMU_OK;
}

/* Begins an instruction, or goes on with one that was put off. */
void emu_begin(struct emu *e)
{
	emu_checkpoint(e);
	e->seg_cached = 0;
	e->shadow = 0;
	e->iterations = 0;
	e->log_pos = 0;
	e->writes_pos = 0;
	e->pending = false;
	if (!e->keep_bytes)
		e->nbytes = 0;
	e->keep_bytes = false;
	decode_start(e);
}

/* Ends it: whatever is not complete is undone. */
int emu_end(struct emu *e, int r)
{
	if (r == EMU_AGAIN && !e->pending)
		r = EMU_UNHANDLED;	/* from an op that cannot be put off */
	if (r != EMU_OK)
		roll_back(e);
	if (r == EMU_AGAIN) {
		e->log_pos = 0;
		e->writes_pos = 0;
		e->keep_bytes = true;
		return r;
	}
	log_clear(e);
	return r == EMU_RETRY ? EMU_OK : r;
}

int emu_decode(struct emu *e)
{
	int r;

	emu_begin(e);
	r = decode(e);
	e->keep_bytes = r == EMU_OK;
	return r;
}

int emu_run(struct emu *e)
{
	int r;

	emu_begin(e);
	r = decode(e);
	if (r == EMU_OK)
		r = check_allowed(e);
	if (r != EMU_OK)
		return emu_end(e, r);
	if (e->flags & STRING) {
		r = execute_string(e);
	} else {
		r = execute(e);
		e->rip = e->next_rip;
	}
	return emu_end(e, r);
}

void emu_supply(struct emu *e, const void *data, unsigned int size)
{
	if (!e->pending)
		return;
	e->pending = false;
	if (e->pending_write) {
		e->writes_done++;
	} else if (size <= EMU_LOG_SIZE - e->log_len) {
		memcpy(e->log + e->log_len, data, size);
		e->log_len += size;
	}
}

void emu_prefill(struct emu *e, const u8 *bytes, unsigned int size)
{
	if (size > EMU_INSN_MAX)
		size = EMU_INSN_MAX;
	memcpy(e->bytes, bytes, size);
	e->nbytes = size;
	e->keep_bytes = true;
}

void emu_reset(struct emu *e)
{
	log_clear(e);
	e->nbytes = 0;
	e->keep_bytes = false;
}
