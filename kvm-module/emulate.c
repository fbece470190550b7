// SPDX-License-Identifier: GPL-2.0-only
/*
 * emulate.c - x86 instruction decoder and emulator
 *
 * Theory of operation. A guest instruction that touched a device, or that runs
 * in a state the processor cannot enter, is executed here.
 *
 *  decode()    fetches bytes, collects prefixes, and finds the opcode's row in
 *              a table: dense tables for the one-byte and 0F maps, a searched
 *              one for everything that a mandatory prefix or VEX selects. A row
 *              names the handler, up to three operands in the notation of the
 *              manual's opcode maps (SDM vol. 2D appendix A: E_B is Eb), and
 *              flags. Operands say which bytes follow, so that the length is
 *              right for every instruction, emulated or not.
 *  execute()   checks LOCK and privilege, loads the operands, calls the
 *              handler, which works on e->op[].val, and stores operand 0.
 *  emu_run()   wraps this in a transaction: registers are saved first and put
 *              back unless the instruction completes.
 *
 * Memory is reached in two steps: linearize() applies the segment's checks,
 * lin_read() and lin_write() go through the log of finished accesses that makes
 * an instruction restartable after a trip to user space (see emulate.h).
 *
 * Manuals: Intel SDM vol. 1 chapter 3, vol. 2, vol. 3 chapters 5 to 7 and 20;
 * AMD APM vol. 3. Where the vendors differ, or a rule depends on state that is
 * not modelled (VME, CET), the instruction is EMU_UNHANDLED, not guessed.
 */
#include "emulate.h"

/* RFLAGS */
#define FL_CF		0x00000001ull
#define FL_FIXED	0x00000002ull
#define FL_PF		0x00000004ull
#define FL_AF		0x00000010ull
#define FL_ZF		0x00000040ull
#define FL_SF		0x00000080ull
#define FL_TF		0x00000100ull
#define FL_IF		0x00000200ull
#define FL_DF		0x00000400ull
#define FL_OF		0x00000800ull
#define FL_IOPL		0x00003000ull
#define FL_NT		0x00004000ull
#define FL_RF		0x00010000ull
#define FL_VM		0x00020000ull
#define FL_AC		0x00040000ull
#define FL_VIF		0x00080000ull
#define FL_VIP		0x00100000ull
#define FL_ID		0x00200000ull
#define FL_STATUS	(FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF)

/* Control register bits that instructions look at. */
#define CR0_PE		0x00000001ull
#define CR0_MP		0x00000002ull
#define CR0_EM		0x00000004ull
#define CR0_TS		0x00000008ull
#define CR4_VME		0x00000001ull
#define CR4_PVI		0x00000002ull
#define CR4_TSD		0x00000004ull
#define CR4_DE		0x00000008ull
#define CR4_PCE		0x00000100ull
#define CR4_OSFXSR	0x00000200ull
#define CR4_UMIP	0x00000800ull
#define CR4_FSGSBASE	0x00010000ull
#define CR4_OSXSAVE	0x00040000ull

/* Exception vectors. */
enum {
	EX_DE = 0, EX_DB = 1, EX_BP = 3, EX_OF = 4, EX_BR = 5, EX_UD = 6,
	EX_NM = 7, EX_TS = 10, EX_NP = 11, EX_SS = 12, EX_GP = 13, EX_PF = 14,
};

#define MSR_TSC_AUX	0xc0000103u

/*
 * Where an operand is. Those up to LOC_LAST_MODRM need a ModRM byte. A decoded
 * operand is LOC_GPR, LOC_MEM or another one that says itself where it is.
 */
enum loc {
	LOC_NONE,
	LOC_RM,			/* E: register or memory, by ModRM */
	LOC_REG,		/* G: register, by ModRM.reg */
	LOC_RM_GPR,		/* R: register by ModRM.rm, mod is ignored */
	LOC_SREG,		/* S: segment register */
	LOC_CR,			/* C */
	LOC_DR,			/* D */
	LOC_VEC,		/* V: vector register by ModRM.reg */
	LOC_VEC_RM,		/* W: vector register or memory */
	LOC_MMX,		/* P: MMX register by ModRM.reg */
	LOC_MMX_RM,		/* Q: MMX register or memory */
	LOC_LAST_MODRM = LOC_MMX_RM,
	LOC_VVVV,		/* B: general register by VEX.vvvv */
	LOC_OPC,		/* Z: register in the opcode's low bits */
	LOC_ACC,		/* AL, AX, EAX, RAX */
	LOC_CL,
	LOC_ONE,		/* the constant 1 */
	LOC_IMM,		/* I */
	LOC_IMM8,		/* one byte, sign-extended to the operand size */
	LOC_REL,		/* J: displacement of a jump */
	LOC_OFFSET,		/* O: memory at an immediate offset */
	LOC_FAR,		/* A: selector and offset in the instruction */
	LOC_GPR,
	LOC_MEM,
};

/* How big an operand is: the manual's lower-case letters. */
enum size_code { SZ_B, SZ_W, SZ_D, SZ_Q, SZ_V, SZ_Z, SZ_Y, SZ_N, SZ_X };

#define KIND(loc, size)	((u16)((loc) << 4 | (size)))
#define KIND_LOC(kind)	((kind) >> 4)
#define KIND_SIZE(kind)	((kind) & 15)

enum {
	E_B = KIND(LOC_RM, SZ_B), E_W = KIND(LOC_RM, SZ_W),
	E_D = KIND(LOC_RM, SZ_D), E_Q = KIND(LOC_RM, SZ_Q),
	E_V = KIND(LOC_RM, SZ_V), E_Y = KIND(LOC_RM, SZ_Y),
	E_N = KIND(LOC_RM, SZ_N),
	G_B = KIND(LOC_REG, SZ_B), G_W = KIND(LOC_REG, SZ_W),
	G_D = KIND(LOC_REG, SZ_D), G_V = KIND(LOC_REG, SZ_V),
	G_Y = KIND(LOC_REG, SZ_Y), G_N = KIND(LOC_REG, SZ_N),
	B_Y = KIND(LOC_VVVV, SZ_Y),
	R_N = KIND(LOC_RM_GPR, SZ_N),
	S_W = KIND(LOC_SREG, SZ_W), C_N = KIND(LOC_CR, SZ_N),
	D_N = KIND(LOC_DR, SZ_N),
	V_D = KIND(LOC_VEC, SZ_D), V_Q = KIND(LOC_VEC, SZ_Q),
	V_Y = KIND(LOC_VEC, SZ_Y), V_X = KIND(LOC_VEC, SZ_X),
	W_D = KIND(LOC_VEC_RM, SZ_D), W_Q = KIND(LOC_VEC_RM, SZ_Q),
	W_X = KIND(LOC_VEC_RM, SZ_X),
	P_Q = KIND(LOC_MMX, SZ_Q), P_Y = KIND(LOC_MMX, SZ_Y),
	Q_Q = KIND(LOC_MMX_RM, SZ_Q),
	Z_B = KIND(LOC_OPC, SZ_B), Z_V = KIND(LOC_OPC, SZ_V),
	A_B = KIND(LOC_ACC, SZ_B), A_V = KIND(LOC_ACC, SZ_V),
	A_Z = KIND(LOC_ACC, SZ_Z),
	CL_B = KIND(LOC_CL, SZ_B), ONE_B = KIND(LOC_ONE, SZ_B),
	I_B = KIND(LOC_IMM, SZ_B), I_W = KIND(LOC_IMM, SZ_W),
	I_D = KIND(LOC_IMM, SZ_D), I_V = KIND(LOC_IMM, SZ_V),
	I_Z = KIND(LOC_IMM, SZ_Z), I_S = KIND(LOC_IMM8, SZ_V),
	J_B = KIND(LOC_REL, SZ_B), J_Z = KIND(LOC_REL, SZ_Z),
	O_B = KIND(LOC_OFFSET, SZ_B), O_V = KIND(LOC_OFFSET, SZ_V),
	P_V = KIND(LOC_FAR, SZ_V),
};

/* Flags of a row. */
enum {
	LOCK	= 1u << 0,	/* LOCK is allowed on a memory destination */
	NOREAD	= 1u << 1,	/* operand 0 is only written */
	NOWRITE	= 1u << 2,	/* operand 0 is only read */
	NOLOAD	= 1u << 3,	/* operands 1 and 2 are not read */
	RAW	= NOREAD | NOWRITE | NOLOAD, /* the handler does it all */
	D64	= 1u << 4,	/* 64-bit mode: operand size 8 unless 66 */
	F64	= 1u << 5,	/* 64-bit mode: operand size 8, 66 ignored */
	I64	= 1u << 6,	/* #UD in 64-bit mode */
	O64	= 1u << 7,	/* only in 64-bit mode */
	PRIV	= 1u << 8,	/* #GP unless CPL is 0 */
	PROT	= 1u << 9,	/* #UD in real and vm86 mode */
	MODRM	= 1u << 10,	/* takes a ModRM byte that no operand names */
	MEMORY	= 1u << 11,	/* #UD with a register operand */
	STRING	= 1u << 12,	/* string instruction: REP repeats it */
	REPCC	= 1u << 13,	/* … and REPE and REPNE look at ZF */
	BITS	= 1u << 14,	/* a register bit offset moves the address */
	SEARCH	= 1u << 15,	/* mandatory prefix: look in searched[] */
	ALIGN	= 1u << 16,	/* memory operand must be aligned */
	BARE	= 1u << 17,	/* unknown row of the 0F map without ModRM */
};

struct row {
	int (*run)(struct emu *e);
	u16 kind[3];
	u32 flags;
	const struct row *group; /* eight rows, by ModRM.reg */
};

/* A row that needs more than the opcode to be found. */
struct searched_row {
	u8 map, opcode, pp;
	u8 vex;			/* OLD, VEX or both */
	struct row row;
};

#define OLD	1
#define VEX	2	/* and EVEX */
#define NO_EVEX	4

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

static int fault_ud(struct emu *e)
{
	return emu_fault(e, EX_UD, false, 0);
}

static int fault_gp(struct emu *e, u32 error)
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

static const struct emu_seg *segment(struct emu *e, unsigned int seg)
{
	if (!(e->seg_cached & (1u << seg))) {
		e->ops->get_seg(e, seg, &e->segs[seg]);
		e->seg_cached |= 1u << seg;
	}
	return &e->segs[seg];
}

static void segment_set(struct emu *e, unsigned int seg,
			const struct emu_seg *s)
{
	e->segs[seg] = *s;
	e->seg_cached |= 1u << seg;
	e->ops->set_seg(e, seg, s);
}

static bool real_or_vm86(const struct emu *e)
{
	return e->mode == EMU_REAL || e->mode == EMU_VM86;
}

static bool canonical(const struct emu *e, u64 address)
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

static int linearize(struct emu *e, unsigned int seg, u64 offset,
		     unsigned int size, bool write, u64 *linear)
{
	const struct emu_seg *s;
	u64 base = 0;

	if (e->mode == EMU_LONG) {
		if (seg == EMU_FS || seg == EMU_GS)
			base = segment(e, seg)->base;
		*linear = base + offset;
		if (!canonical(e, *linear) || !canonical(e, *linear + size - 1))
			return fault_address(e, seg);
		return EMU_OK;
	}
	s = segment(e, seg);
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
	if (*linear + size - 1 > 0xffffffffull)
		return EMU_UNHANDLED;	/* wraps around at 4 GiB */
	return EMU_OK;
}

/* The answer of an input access: into the log, or the vCPU waits for it. */
static int log_input(struct emu *e, int r, const void *buf, unsigned int size)
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
static bool log_replay(struct emu *e, void *buf, unsigned int size, int *r)
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

static int log_output(struct emu *e, int r)
{
	if (r == EMU_OK) {
		e->writes_pos = ++e->writes_done;
	} else if (r == EMU_AGAIN) {
		e->pending = true;
		e->pending_write = true;
	}
	return r;
}

static bool log_written(struct emu *e)
{
	if (e->writes_pos >= e->writes_done)
		return false;
	e->writes_pos++;
	return true;
}

static int lin_read(struct emu *e, u64 linear, void *buf, unsigned int size,
		    unsigned int access)
{
	int r;

	if (log_replay(e, buf, size, &r))
		return r;
	r = e->ops->read(e, linear, buf, size, access);
	return log_input(e, r, buf, size);
}

static int lin_write(struct emu *e, u64 linear, const void *buf,
		     unsigned int size, unsigned int access)
{
	if (log_written(e))
		return EMU_OK;
	return log_output(e, e->ops->write(e, linear, buf, size, access));
}

static int lin_cmpxchg(struct emu *e, u64 linear, const void *old,
		       const void *new, unsigned int size)
{
	if (log_written(e))
		return EMU_OK;
	if (!e->ops->cmpxchg)
		return EMU_UNHANDLED;
	return log_output(e, e->ops->cmpxchg(e, linear, old, new, size));
}

static int mem_read(struct emu *e, unsigned int seg, u64 offset, void *buf,
		    unsigned int size, unsigned int access)
{
	u64 linear;
	int r;

	r = linearize(e, seg, offset, size, access & EMU_ACC_RMW, &linear);
	if (r != EMU_OK)
		return r;
	if (e->flags & ALIGN && linear & (size - 1))
		return fault_gp(e, 0);
	return lin_read(e, linear, buf, size, access);
}

static int mem_write(struct emu *e, unsigned int seg, u64 offset,
		     const void *buf, unsigned int size)
{
	u64 linear;
	int r;

	r = linearize(e, seg, offset, size, true, &linear);
	if (r != EMU_OK)
		return r;
	if (e->flags & ALIGN && linear & (size - 1))
		return fault_gp(e, 0);
	return lin_write(e, linear, buf, size, 0);
}

static int port_in(struct emu *e, u16 port, unsigned int size, void *buf,
		   unsigned int count)
{
	int r;

	if (log_replay(e, buf, size * count, &r))
		return r;
	if (!e->ops->pio_in)
		return EMU_UNHANDLED;
	r = e->ops->pio_in(e, port, size, buf, count);
	return log_input(e, r, buf, size * count);
}

static int port_out(struct emu *e, u16 port, unsigned int size,
		    const void *buf, unsigned int count)
{
	if (log_written(e))
		return EMU_OK;
	if (!e->ops->pio_out)
		return EMU_UNHANDLED;
	return log_output(e, e->ops->pio_out(e, port, size, buf, count));
}

static int control(struct emu *e, enum emu_control what, u64 arg, void *arg2)
{
	if (!e->ops->control)
		return EMU_UNHANDLED;
	return e->ops->control(e, what, arg, arg2);
}

/* ------------------------------------------------------------------------
 * Registers, the stack, the instruction pointer
 */

static u64 size_mask(unsigned int size)
{
	return size >= 8 ? ~0ull : (1ull << (size * 8)) - 1;
}

static u64 sign_bit(unsigned int size)
{
	return 1ull << (size * 8 - 1);
}

static u64 sign_extend(u64 value, unsigned int size)
{
	unsigned int shift = 64 - size * 8;

	return (u64)((s64)(value << shift) >> shift);
}

/* AH, CH, DH and BH are 4 to 7, unless there is a REX prefix. */
static bool high_byte(const struct emu *e, unsigned int reg, unsigned int size)
{
	return size == 1 && reg >= 4 && reg < 8 && !e->rex && !e->vex;
}

static u64 gpr_read(const struct emu *e, unsigned int reg, unsigned int size)
{
	if (high_byte(e, reg, size))
		return e->regs[reg & 3] >> 8 & 0xff;
	return e->regs[reg & 15] & size_mask(size);
}

/* 32-bit results clear the upper half; smaller ones leave the rest. */
static void merge(u64 *reg, u64 value, unsigned int size)
{
	if (size >= 4)
		*reg = value & size_mask(size);
	else
		*reg = (*reg & ~size_mask(size)) | (value & size_mask(size));
}

static void gpr_write(struct emu *e, unsigned int reg, unsigned int size,
		      u64 value)
{
	if (high_byte(e, reg, size))
		e->regs[reg & 3] = (e->regs[reg & 3] & ~0xff00ull) |
				   (value & 0xff) << 8;
	else
		merge(&e->regs[reg & 15], value, size);
}

static unsigned int stack_size(struct emu *e)
{
	if (e->mode == EMU_LONG)
		return 8;
	if (real_or_vm86(e))
		return segment(e, EMU_SS)->attr & EMU_SEG_DB &&
		       e->mode == EMU_REAL ? 4 : 2;
	return segment(e, EMU_SS)->attr & EMU_SEG_DB ? 4 : 2;
}

/* A stack pointer of a 16-bit stack keeps its upper bits, even 32-bit ones. */
static void stack_move(struct emu *e, u64 sp)
{
	merge(&e->regs[EMU_RSP], sp, stack_size(e));
}

static int push(struct emu *e, u64 value, unsigned int size)
{
	u64 sp = e->regs[EMU_RSP] - size;
	int r;

	sp &= size_mask(stack_size(e));
	r = mem_write(e, EMU_SS, sp, &value, size);
	if (r == EMU_OK)
		stack_move(e, sp);
	return r;
}

static int pop(struct emu *e, u64 *value, unsigned int size)
{
	u64 sp = e->regs[EMU_RSP] & size_mask(stack_size(e));
	int r;

	*value = 0;
	r = mem_read(e, EMU_SS, sp, value, size, 0);
	if (r == EMU_OK)
		stack_move(e, sp + size);
	return r;
}

/* Near transfer: the target is checked before the instruction completes. */
static int jump(struct emu *e, u64 target)
{
	target &= size_mask(e->op_size);
	if (e->mode == EMU_LONG) {
		if (!canonical(e, target))
			return fault_gp(e, 0);
	} else if (target > segment(e, EMU_CS)->limit) {
		return fault_gp(e, 0);
	}
	e->next_rip = target;
	return EMU_OK;
}

/* ------------------------------------------------------------------------
 * Flags and arithmetic
 */

static void flags_change(struct emu *e, u64 mask, u64 value)
{
	e->rflags = (e->rflags & ~mask) | (value & mask);
}

static u64 flag_if(bool condition, u64 flag)
{
	return condition ? flag : 0;
}

/* Parity of the low byte: the manual's PF is set when it is even. */
static bool parity_even(u64 value)
{
	value ^= value >> 4;
	return !(0x6996 >> (value & 15) & 1);
}

static u64 flags_szp(u64 value, unsigned int size)
{
	value &= size_mask(size);
	return flag_if(!value, FL_ZF) | flag_if(value & sign_bit(size), FL_SF) |
	       flag_if(parity_even(value), FL_PF);
}

static u64 sum(struct emu *e, u64 a, u64 b, u64 carry, unsigned int size)
{
	u64 r = (a + b + carry) & size_mask(size);
	u64 carries = (a & b) | ((a | b) & ~r);
	u64 top = sign_bit(size);

	flags_change(e, FL_STATUS, flags_szp(r, size) |
		     flag_if(carries & top, FL_CF) | flag_if(carries & 8, FL_AF) |
		     flag_if((a ^ r) & (b ^ r) & top, FL_OF));
	return r;
}

static u64 difference(struct emu *e, u64 a, u64 b, u64 borrow,
		      unsigned int size)
{
	u64 r = (a - b - borrow) & size_mask(size);
	u64 borrows = (~a & b) | ((~a | b) & r);
	u64 top = sign_bit(size);

	flags_change(e, FL_STATUS, flags_szp(r, size) |
		     flag_if(borrows & top, FL_CF) | flag_if(borrows & 8, FL_AF) |
		     flag_if((a ^ b) & (a ^ r) & top, FL_OF));
	return r;
}

static u64 logical(struct emu *e, u64 r, unsigned int size)
{
	flags_change(e, FL_STATUS, flags_szp(r, size));
	return r & size_mask(size);
}

/* SDM vol. 1 appendix B: condition codes, bit 0 negates. */
static bool condition(const struct emu *e, unsigned int code)
{
	u64 f = e->rflags;
	bool less = !(f & FL_SF) != !(f & FL_OF);
	bool r;

	switch (code >> 1 & 7) {
	case 0:
		r = f & FL_OF;
		break;
	case 1:
		r = f & FL_CF;
		break;
	case 2:
		r = f & FL_ZF;
		break;
	case 3:
		r = f & (FL_CF | FL_ZF);
		break;
	case 4:
		r = f & FL_SF;
		break;
	case 5:
		r = f & FL_PF;
		break;
	case 6:
		r = less;
		break;
	default:
		r = less || f & FL_ZF;
		break;
	}
	return r != (code & 1);
}

static int op_add(struct emu *e)
{
	e->op[0].val = sum(e, e->op[0].val, e->op[1].val, 0, e->op[0].size);
	return EMU_OK;
}

static int op_adc(struct emu *e)
{
	e->op[0].val = sum(e, e->op[0].val, e->op[1].val, e->rflags & FL_CF,
			   e->op[0].size);
	return EMU_OK;
}

static int op_sub(struct emu *e)
{
	e->op[0].val = difference(e, e->op[0].val, e->op[1].val, 0,
				  e->op[0].size);
	return EMU_OK;
}

static int op_sbb(struct emu *e)
{
	e->op[0].val = difference(e, e->op[0].val, e->op[1].val,
				  e->rflags & FL_CF, e->op[0].size);
	return EMU_OK;
}

/* CMP and TEST are SUB and AND in rows that do not write. */
static int op_and(struct emu *e)
{
	e->op[0].val = logical(e, e->op[0].val & e->op[1].val, e->op[0].size);
	return EMU_OK;
}

static int op_or(struct emu *e)
{
	e->op[0].val = logical(e, e->op[0].val | e->op[1].val, e->op[0].size);
	return EMU_OK;
}

static int op_xor(struct emu *e)
{
	e->op[0].val = logical(e, e->op[0].val ^ e->op[1].val, e->op[0].size);
	return EMU_OK;
}

static int op_inc(struct emu *e)
{
	u64 carry = e->rflags & FL_CF;

	e->op[0].val = sum(e, e->op[0].val, 1, 0, e->op[0].size);
	flags_change(e, FL_CF, carry);
	return EMU_OK;
}

static int op_dec(struct emu *e)
{
	u64 carry = e->rflags & FL_CF;

	e->op[0].val = difference(e, e->op[0].val, 1, 0, e->op[0].size);
	flags_change(e, FL_CF, carry);
	return EMU_OK;
}

static int op_not(struct emu *e)
{
	e->op[0].val = ~e->op[0].val;
	return EMU_OK;
}

static int op_neg(struct emu *e)
{
	e->op[0].val = difference(e, 0, e->op[0].val, 0, e->op[0].size);
	return EMU_OK;
}

/* The destination keeps its value: do not store to memory again. */
static void drop_result(struct emu *e)
{
	if (e->op[0].loc == LOC_MEM)
		e->flags |= NOWRITE;
}

/* Shift count: 5 bits, or 6 for 64-bit operands. */
static unsigned int shift_count(const struct emu *e, unsigned int operand)
{
	return e->op[operand].val & (e->op[0].size == 8 ? 63 : 31);
}

static int op_rol(struct emu *e)
{
	unsigned int n = shift_count(e, 1), bits = e->op[0].size * 8;
	u64 v = e->op[0].val, r = v;

	if (!n) {
		drop_result(e);
		return EMU_OK;
	}
	n %= bits;
	if (n)
		r = (v << n | v >> (bits - n)) & size_mask(e->op[0].size);
	flags_change(e, FL_CF | FL_OF, flag_if(r & 1, FL_CF) |
		     flag_if((r & 1) != (r >> (bits - 1) & 1), FL_OF));
	e->op[0].val = r;
	return EMU_OK;
}

static int op_ror(struct emu *e)
{
	unsigned int n = shift_count(e, 1), bits = e->op[0].size * 8;
	u64 v = e->op[0].val, r = v;

	if (!n) {
		drop_result(e);
		return EMU_OK;
	}
	n %= bits;
	if (n)
		r = (v >> n | v << (bits - n)) & size_mask(e->op[0].size);
	flags_change(e, FL_CF | FL_OF, flag_if(r >> (bits - 1) & 1, FL_CF) |
		     flag_if((r >> (bits - 1) ^ r >> (bits - 2)) & 1, FL_OF));
	e->op[0].val = r;
	return EMU_OK;
}

/* Rotates through carry, one bit at a time: at most 63 times. */
static int op_rcl(struct emu *e)
{
	unsigned int n = shift_count(e, 1), bits = e->op[0].size * 8;
	u64 v = e->op[0].val, carry = e->rflags & FL_CF, out;

	if (!n) {
		drop_result(e);
		return EMU_OK;
	}
	for (n %= bits + 1; n; n--) {
		out = v >> (bits - 1) & 1;
		v = (v << 1 | carry) & size_mask(e->op[0].size);
		carry = out;
	}
	flags_change(e, FL_CF | FL_OF, carry |
		     flag_if(carry != (v >> (bits - 1) & 1), FL_OF));
	e->op[0].val = v;
	return EMU_OK;
}

static int op_rcr(struct emu *e)
{
	unsigned int n = shift_count(e, 1), bits = e->op[0].size * 8;
	u64 v = e->op[0].val, carry = e->rflags & FL_CF, out;

	if (!n) {
		drop_result(e);
		return EMU_OK;
	}
	for (n %= bits + 1; n; n--) {
		out = v & 1;
		v = v >> 1 | carry << (bits - 1);
		carry = out;
	}
	flags_change(e, FL_CF | FL_OF, carry |
		     flag_if((v >> (bits - 1) ^ v >> (bits - 2)) & 1, FL_OF));
	e->op[0].val = v;
	return EMU_OK;
}

static int op_shl(struct emu *e)
{
	unsigned int n = shift_count(e, 1), size = e->op[0].size;
	u64 before, r;

	if (!n) {
		drop_result(e);
		return EMU_OK;
	}
	before = e->op[0].val << (n - 1);
	r = before << 1 & size_mask(size);
	flags_change(e, FL_STATUS, flags_szp(r, size) |
		     flag_if(before & sign_bit(size), FL_CF) |
		     flag_if((before ^ r) & sign_bit(size), FL_OF));
	e->op[0].val = r;
	return EMU_OK;
}

static int op_shr(struct emu *e)
{
	unsigned int n = shift_count(e, 1), size = e->op[0].size;
	u64 before, r;

	if (!n) {
		drop_result(e);
		return EMU_OK;
	}
	before = e->op[0].val >> (n - 1);
	r = before >> 1;
	flags_change(e, FL_STATUS, flags_szp(r, size) |
		     flag_if(before & 1, FL_CF) |
		     flag_if(e->op[0].val & sign_bit(size), FL_OF));
	e->op[0].val = r;
	return EMU_OK;
}

static int op_sar(struct emu *e)
{
	unsigned int n = shift_count(e, 1), size = e->op[0].size;
	s64 before;
	u64 r;

	if (!n) {
		drop_result(e);
		return EMU_OK;
	}
	before = (s64)sign_extend(e->op[0].val, size) >> (n - 1);
	r = (u64)(before >> 1) & size_mask(size);
	flags_change(e, FL_STATUS, flags_szp(r, size) |
		     flag_if(before & 1, FL_CF));
	e->op[0].val = r;
	return EMU_OK;
}

/* Results and flags of 16-bit SHLD and SHRD by more than 16 are undefined. */
static int op_shld(struct emu *e)
{
	unsigned int n = shift_count(e, 2), size = e->op[0].size;
	unsigned int bits = size * 8;
	u64 v = e->op[0].val, r;

	if (!n || n > bits) {
		drop_result(e);
		return EMU_OK;
	}
	r = n == bits ? e->op[1].val : v << n | e->op[1].val >> (bits - n);
	r &= size_mask(size);
	flags_change(e, FL_STATUS, flags_szp(r, size) |
		     flag_if(v >> (bits - n) & 1, FL_CF) |
		     flag_if((v ^ r) & sign_bit(size), FL_OF));
	e->op[0].val = r;
	return EMU_OK;
}

static int op_shrd(struct emu *e)
{
	unsigned int n = shift_count(e, 2), size = e->op[0].size;
	unsigned int bits = size * 8;
	u64 v = e->op[0].val, r;

	if (!n || n > bits) {
		drop_result(e);
		return EMU_OK;
	}
	r = n == bits ? e->op[1].val : v >> n | e->op[1].val << (bits - n);
	r &= size_mask(size);
	flags_change(e, FL_STATUS, flags_szp(r, size) |
		     flag_if(v >> (n - 1) & 1, FL_CF) |
		     flag_if((v ^ r) & sign_bit(size), FL_OF));
	e->op[0].val = r;
	return EMU_OK;
}

/* A double-width value in AX, DX:AX, EDX:EAX or RDX:RAX. */
static void wide_write(struct emu *e, u64 high, u64 low, unsigned int size)
{
	if (size == 1) {
		merge(&e->regs[EMU_RAX], (high & 0xff) << 8 | (low & 0xff), 2);
		return;
	}
	merge(&e->regs[EMU_RAX], low, size);
	merge(&e->regs[EMU_RDX], high, size);
}

static u64 wide_high(const struct emu *e, unsigned int size)
{
	if (size == 1)
		return e->regs[EMU_RAX] >> 8 & 0xff;
	return e->regs[EMU_RDX] & size_mask(size);
}

static u64 multiply(u64 a, u64 b, unsigned int size, u64 *high)
{
	unsigned __int128 r = (unsigned __int128)a * b;

	*high = (u64)(r >> size * 8) & size_mask(size);
	return (u64)r & size_mask(size);
}

/* Signed: *fits tells whether the low half holds the whole product. */
static u64 multiply_signed(u64 a, u64 b, unsigned int size, u64 *high,
			   bool *fits)
{
	__int128 r = (__int128)(s64)sign_extend(a, size) *
		     (s64)sign_extend(b, size);
	u64 low = (u64)r & size_mask(size);

	*high = (u64)(r >> size * 8) & size_mask(size);
	*fits = r == (s64)sign_extend(low, size);
	return low;
}

static int op_mul(struct emu *e)
{
	unsigned int size = e->op[0].size;
	u64 high, low;

	low = multiply(e->regs[EMU_RAX] & size_mask(size), e->op[0].val, size,
		       &high);
	wide_write(e, high, low, size);
	flags_change(e, FL_CF | FL_OF, high ? FL_CF | FL_OF : 0);
	return EMU_OK;
}

static int op_imul1(struct emu *e)
{
	unsigned int size = e->op[0].size;
	u64 high, low;
	bool fits;

	low = multiply_signed(e->regs[EMU_RAX], e->op[0].val, size, &high,
			      &fits);
	wide_write(e, high, low, size);
	flags_change(e, FL_CF | FL_OF, fits ? 0 : FL_CF | FL_OF);
	return EMU_OK;
}

static int op_imul2(struct emu *e)
{
	bool fits;
	u64 high;

	e->op[0].val = multiply_signed(e->op[0].val, e->op[1].val,
				       e->op[0].size, &high, &fits);
	flags_change(e, FL_CF | FL_OF, fits ? 0 : FL_CF | FL_OF);
	return EMU_OK;
}

static int op_imul3(struct emu *e)
{
	e->op[0].val = e->op[2].val;
	return op_imul2(e);
}

/*
 * 128 by 64 bits, the quotient known to fit. The compiler's own division of
 * this width is a library call that the kernel does not have.
 */
static u64 divide_wide(u64 high, u64 low, u64 by, u64 *rest)
{
	unsigned int i;
	bool carry;

	if (!high) {
		*rest = low % by;
		return low / by;
	}
	for (i = 0; i < 64; i++) {
		carry = high >> 63;
		high = high << 1 | low >> 63;
		low <<= 1;
		if (carry || high >= by) {
			high -= by;
			low |= 1;
		}
	}
	*rest = high;
	return low;
}

static int op_div(struct emu *e)
{
	unsigned int size = e->op[0].size;
	u64 high = wide_high(e, size), by = e->op[0].val;
	u64 low = e->regs[EMU_RAX] & size_mask(size), quotient, rest;

	if (high >= by)		/* by zero, or the quotient is too large */
		return emu_fault(e, EX_DE, false, 0);
	if (size < 8) {
		low |= high << size * 8;
		high = 0;
	}
	quotient = divide_wide(high, low, by, &rest);
	wide_write(e, rest, quotient, size);
	return EMU_OK;
}

static int op_idiv(struct emu *e)
{
	unsigned int size = e->op[0].size;
	u64 by = sign_extend(e->op[0].val, size), quotient, rest;
	unsigned __int128 n;
	bool negative, opposite;

	n = (unsigned __int128)sign_extend(wide_high(e, size), size);
	if (size < 8)
		n = (unsigned __int128)(__int128)(s64)((u64)n << size * 8);
	else
		n <<= 64;
	n |= e->regs[EMU_RAX] & size_mask(size);
	negative = (u64)(n >> 64) >> 63;
	opposite = negative != (by >> 63);
	if (negative)
		n = -n;
	if (by >> 63)
		by = -by;
	if ((u64)(n >> 64) >= by)
		return emu_fault(e, EX_DE, false, 0);
	quotient = divide_wide((u64)(n >> 64), (u64)n, by, &rest);
	if (quotient > sign_bit(size) - !opposite)
		return emu_fault(e, EX_DE, false, 0);
	wide_write(e, negative ? -rest : rest, opposite ? -quotient : quotient,
		   size);
	return EMU_OK;
}

/* Decimal adjustments (not in 64-bit mode). */
static int op_daa_das(struct emu *e)
{
	u64 al = e->regs[EMU_RAX] & 0xff, old = al;
	bool subtract = e->opcode == 0x2f, carry = e->rflags & FL_CF;
	bool half = (al & 15) > 9 || e->rflags & FL_AF;
	bool out = false;

	if (half) {
		out = carry || (subtract ? al < 6 : al > 0xf9);
		al = (subtract ? al - 6 : al + 6) & 0xff;
	}
	if (old > 0x99 || carry) {
		al = (subtract ? al - 0x60 : al + 0x60) & 0xff;
		out = true;
	}
	merge(&e->regs[EMU_RAX], al, 1);
	flags_change(e, FL_STATUS, flags_szp(al, 1) | flag_if(half, FL_AF) |
		     flag_if(out, FL_CF));
	return EMU_OK;
}

static int op_aaa_aas(struct emu *e)
{
	u64 ax = e->regs[EMU_RAX] & 0xffff;
	bool adjust = (ax & 15) > 9 || e->rflags & FL_AF;

	if (adjust)
		ax = e->opcode == 0x37 ? ax + 0x106 : ax - 0x106;
	merge(&e->regs[EMU_RAX], ax & 0xff0f, 2);
	flags_change(e, FL_STATUS, flags_szp(ax & 15, 1) |
		     flag_if(adjust, FL_CF | FL_AF));
	return EMU_OK;
}

static int op_aam(struct emu *e)
{
	u64 al = e->regs[EMU_RAX] & 0xff, by = e->op[0].val & 0xff;

	if (!by)
		return emu_fault(e, EX_DE, false, 0);
	merge(&e->regs[EMU_RAX], al / by << 8 | al % by, 2);
	flags_change(e, FL_STATUS, flags_szp(al % by, 1));
	return EMU_OK;
}

static int op_aad(struct emu *e)
{
	u64 ax = e->regs[EMU_RAX], al;

	al = (ax + (ax >> 8 & 0xff) * e->op[0].val) & 0xff;
	merge(&e->regs[EMU_RAX], al, 2);
	flags_change(e, FL_STATUS, flags_szp(al, 1));
	return EMU_OK;
}

/* ------------------------------------------------------------------------
 * Moves, bits, conditions
 */

static int op_mov(struct emu *e)
{
	e->op[0].val = e->op[1].val;
	return EMU_OK;
}

static int op_movsx(struct emu *e)
{
	e->op[0].val = sign_extend(e->op[1].val, e->op[1].size);
	return EMU_OK;
}

static int op_lea(struct emu *e)
{
	if (e->op[1].loc != LOC_MEM)
		return fault_ud(e);
	e->op[0].val = e->ea;
	return EMU_OK;
}

static u64 swap_bytes(u64 value, unsigned int size)
{
	u64 r = 0;
	unsigned int i;

	for (i = 0; i < size; i++, value >>= 8)
		r = r << 8 | (value & 0xff);
	return r;
}

static int op_bswap(struct emu *e)
{
	if (e->op[0].size == 2)
		return EMU_UNHANDLED;	/* undefined */
	e->op[0].val = swap_bytes(e->op[0].val, e->op[0].size);
	return EMU_OK;
}

static int op_movbe(struct emu *e)
{
	e->op[0].val = swap_bytes(e->op[1].val, e->op[0].size);
	return EMU_OK;
}

/* Operand 1 is a register: it is written here, operand 0 afterwards. */
static int op_xchg(struct emu *e)
{
	u64 old = e->op[0].val;

	if (e->op[0].loc == LOC_MEM)
		e->lock = true;
	e->op[0].val = e->op[1].val;
	gpr_write(e, e->op[1].reg, e->op[1].size, old);
	return EMU_OK;
}

static int op_xadd(struct emu *e)
{
	u64 old = e->op[0].val;

	op_add(e);
	gpr_write(e, e->op[1].reg, e->op[1].size, old);
	return EMU_OK;
}

static int op_cmpxchg(struct emu *e)
{
	unsigned int size = e->op[0].size;
	u64 old = e->op[0].val;

	difference(e, gpr_read(e, EMU_RAX, size), old, 0, size);
	if (e->rflags & FL_ZF) {
		e->op[0].val = e->op[1].val;
	} else {
		/* The destination is rewritten, a register one not even so. */
		gpr_write(e, EMU_RAX, size, old);
		if (e->op[0].loc == LOC_GPR)
			e->flags |= NOWRITE;
	}
	return EMU_OK;
}

/* CMPXCHG8B and CMPXCHG16B */
static int op_cmpxchg_wide(struct emu *e)
{
	unsigned int half = e->rex & 8 ? 8 : 4, i;
	u64 old[2], new[2], value[2] = { 0, 0 };
	u8 was[16], want[16];
	u64 linear;
	int r;

	if (e->op[0].loc != LOC_MEM)
		return fault_ud(e);
	r = linearize(e, e->seg, e->ea, half * 2, true, &linear);
	if (r != EMU_OK)
		return r;
	if (half == 8 && linear & 15)
		return fault_gp(e, 0);
	r = lin_read(e, linear, was, half * 2, EMU_ACC_RMW);
	if (r != EMU_OK)
		return r;
	for (i = 0; i < 2; i++)
		memcpy(&value[i], was + i * half, half);
	old[0] = e->regs[EMU_RAX] & size_mask(half);
	old[1] = e->regs[EMU_RDX] & size_mask(half);
	new[0] = e->regs[EMU_RBX];
	new[1] = e->regs[EMU_RCX];
	if (value[0] == old[0] && value[1] == old[1]) {
		e->rflags |= FL_ZF;
	} else {
		e->rflags &= ~FL_ZF;
		memcpy(new, value, sizeof(new));
		merge(&e->regs[EMU_RAX], value[0], half);
		merge(&e->regs[EMU_RDX], value[1], half);
	}
	for (i = 0; i < 2; i++)
		memcpy(want + i * half, &new[i], half);
	if (e->lock)
		return lin_cmpxchg(e, linear, was, want, half * 2);
	return lin_write(e, linear, want, half * 2, 0);
}

static int op_bt(struct emu *e)
{
	unsigned int bit = e->op[1].val & (e->op[0].size * 8 - 1);

	flags_change(e, FL_CF, e->op[0].val >> bit & 1);
	return EMU_OK;
}

static int op_bts(struct emu *e)
{
	op_bt(e);
	e->op[0].val |= 1ull << (e->op[1].val & (e->op[0].size * 8 - 1));
	return EMU_OK;
}

static int op_btr(struct emu *e)
{
	op_bt(e);
	e->op[0].val &= ~(1ull << (e->op[1].val & (e->op[0].size * 8 - 1)));
	return EMU_OK;
}

static int op_btc(struct emu *e)
{
	op_bt(e);
	e->op[0].val ^= 1ull << (e->op[1].val & (e->op[0].size * 8 - 1));
	return EMU_OK;
}

static unsigned int bits_trailing(u64 value, unsigned int bits)
{
	unsigned int n = 0;

	while (n < bits && !(value >> n & 1))
		n++;
	return n;
}

static unsigned int bits_leading(u64 value, unsigned int bits)
{
	unsigned int n = 0;

	while (n < bits && !(value >> (bits - 1 - n) & 1))
		n++;
	return n;
}

static int op_tzcnt_lzcnt(struct emu *e)
{
	unsigned int bits = e->op[0].size * 8;

	e->op[0].val = e->opcode == 0xbc ? bits_trailing(e->op[1].val, bits) :
					   bits_leading(e->op[1].val, bits);
	flags_change(e, FL_CF | FL_ZF,
		     flag_if(e->op[0].val == bits, FL_CF) |
		     flag_if(!e->op[0].val, FL_ZF));
	return EMU_OK;
}

/* BSF and BSR of zero leave the destination (AMD says so, Intel does so). */
static int op_bsf_bsr(struct emu *e)
{
	unsigned int bits = e->op[0].size * 8;
	u64 value = e->op[1].val;

	if (e->rep == 0xf3)
		return op_tzcnt_lzcnt(e);
	flags_change(e, FL_ZF, flag_if(!value, FL_ZF));
	if (!value)
		e->flags |= NOWRITE;
	else if (e->opcode == 0xbc)
		e->op[0].val = bits_trailing(value, bits);
	else
		e->op[0].val = bits - 1 - bits_leading(value, bits);
	return EMU_OK;
}

static int op_popcnt(struct emu *e)
{
	u64 value = e->op[1].val;

	if (e->rep != 0xf3)
		return EMU_UNHANDLED;
	for (e->op[0].val = 0; value; value &= value - 1)
		e->op[0].val++;
	flags_change(e, FL_STATUS, flag_if(!e->op[0].val, FL_ZF));
	return EMU_OK;
}

static int op_andn(struct emu *e)
{
	e->op[0].val = logical(e, ~e->op[1].val & e->op[2].val, e->op[0].size);
	return EMU_OK;
}

/* VEX 0F38 F3: BLSR, BLSMSK, BLSI by ModRM.reg; operand 0 is VEX.vvvv. */
static int op_bls(struct emu *e)
{
	unsigned int size = e->op[0].size;
	u64 v = e->op[1].val, r;
	bool carry = !v;

	switch (e->modrm >> 3 & 7) {
	case 1:
		r = v & (v - 1);
		break;
	case 2:
		r = v ^ (v - 1);
		break;
	case 3:
		r = v & -v;
		carry = v;
		break;
	default:
		return EMU_UNHANDLED;
	}
	e->op[0].val = logical(e, r, size);
	flags_change(e, FL_CF, carry);
	return EMU_OK;
}

static int op_bzhi(struct emu *e)
{
	unsigned int n = e->op[2].val & 0xff, size = e->op[0].size;

	e->op[0].val = e->op[1].val;
	if (n < size * 8)
		e->op[0].val &= (1ull << n) - 1;
	logical(e, e->op[0].val, size);
	flags_change(e, FL_CF, n >= size * 8);
	return EMU_OK;
}

static int op_bextr(struct emu *e)
{
	unsigned int start = e->op[2].val & 0xff, n = e->op[2].val >> 8 & 0xff;
	u64 r = start < 64 ? e->op[1].val >> start : 0;

	if (n < 64)
		r &= (1ull << n) - 1;
	e->op[0].val = logical(e, r, e->op[0].size);
	return EMU_OK;
}

/* SHLX, SHRX, SARX, RORX: no flags. */
static int op_shift_x(struct emu *e)
{
	unsigned int n = shift_count(e, 2), size = e->op[0].size;
	u64 v = e->op[1].val;

	if (e->map == 4)
		v = n ? v >> n | v << (size * 8 - n) : v;
	else if (e->vex_pp == 0x66)
		v <<= n;
	else if (e->vex_pp == 0xf2)
		v >>= n;
	else
		v = (u64)((s64)sign_extend(v, size) >> n);
	e->op[0].val = v;
	return EMU_OK;
}

static int op_pdep(struct emu *e)
{
	u64 from = e->op[1].val, mask = e->op[2].val, r = 0;

	for (; mask; mask &= mask - 1, from >>= 1)
		if (from & 1)
			r |= mask & -mask;
	e->op[0].val = r;
	return EMU_OK;
}

static int op_pext(struct emu *e)
{
	u64 from = e->op[1].val, mask = e->op[2].val, r = 0, bit = 1;

	for (; mask; mask &= mask - 1, bit <<= 1)
		if (from & mask & -mask)
			r |= bit;
	e->op[0].val = r;
	return EMU_OK;
}

static int op_mulx(struct emu *e)
{
	unsigned int size = e->op[0].size;
	u64 high, low;

	low = multiply(e->regs[EMU_RDX] & size_mask(size), e->op[2].val, size,
		       &high);
	gpr_write(e, e->op[1].reg, size, low);
	e->op[0].val = high;
	return EMU_OK;
}

/* ADCX and ADOX: the carry chain runs through one flag only. */
static int op_adx(struct emu *e)
{
	u64 flag = e->vex_pp == 0x66 ? FL_CF : FL_OF;
	u64 mask = size_mask(e->op[0].size);
	unsigned __int128 r = (unsigned __int128)e->op[0].val + e->op[1].val +
			      !!(e->rflags & flag);

	e->op[0].val = (u64)r & mask;
	flags_change(e, flag, flag_if(r > mask, flag));
	return EMU_OK;
}

/* CRC32: the Castagnoli polynomial, bits reflected. */
static int op_crc32(struct emu *e)
{
	u32 crc = (u32)e->op[0].val;
	u64 data = e->op[1].val;
	unsigned int i, bit;

	for (i = 0; i < e->op[1].size; i++, data >>= 8) {
		crc ^= data & 0xff;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	e->op[0].val = crc;
	return EMU_OK;
}

static int op_setcc(struct emu *e)
{
	e->op[0].val = condition(e, e->opcode);
	return EMU_OK;
}

static int op_cmovcc(struct emu *e)
{
	if (condition(e, e->opcode))
		e->op[0].val = e->op[1].val;
	return EMU_OK;
}

/* CBW, CWDE, CDQE */
static int op_cbw(struct emu *e)
{
	unsigned int half = e->op_size / 2;

	gpr_write(e, EMU_RAX, e->op_size,
		  sign_extend(e->regs[EMU_RAX], half));
	return EMU_OK;
}

/* CWD, CDQ, CQO */
static int op_cwd(struct emu *e)
{
	u64 sign = e->regs[EMU_RAX] & sign_bit(e->op_size);

	gpr_write(e, EMU_RDX, e->op_size, sign ? ~0ull : 0);
	return EMU_OK;
}

static int op_flag(struct emu *e)
{
	switch (e->opcode) {
	case 0xf5:
		e->rflags ^= FL_CF;
		break;
	case 0xf8:
		e->rflags &= ~FL_CF;
		break;
	case 0xf9:
		e->rflags |= FL_CF;
		break;
	case 0xfc:
		e->rflags &= ~FL_DF;
		break;
	default:
		e->rflags |= FL_DF;
		break;
	}
	return EMU_OK;
}

static int op_sahf(struct emu *e)
{
	flags_change(e, FL_STATUS & ~FL_OF, e->regs[EMU_RAX] >> 8);
	return EMU_OK;
}

static int op_lahf(struct emu *e)
{
	u64 ah = (e->rflags & FL_STATUS & ~FL_OF & 0xff) | FL_FIXED;

	e->regs[EMU_RAX] = (e->regs[EMU_RAX] & ~0xff00ull) | ah << 8;
	return EMU_OK;
}

static int op_salc(struct emu *e)
{
	merge(&e->regs[EMU_RAX], e->rflags & FL_CF ? 0xff : 0, 1);
	return EMU_OK;
}

static int op_xlat(struct emu *e)
{
	u64 offset = e->regs[EMU_RBX] + (e->regs[EMU_RAX] & 0xff);
	u8 value = 0;
	int r;

	r = mem_read(e, e->seg, offset & size_mask(e->addr_size), &value, 1, 0);
	merge(&e->regs[EMU_RAX], value, 1);
	return r;
}

static int op_nop(struct emu *e)
{
	(void)e;
	return EMU_OK;
}

/* 90 is XCHG rAX, rAX, but as NOP it must not clear the upper half. */
static int op_nop_pause(struct emu *e)
{
	if (e->rex & 1)
		return op_xchg(e);
	e->flags |= NOWRITE;
	if (e->rep == 0xf3 && e->ops->control)
		return control(e, EMU_CTL_PAUSE, 0, NULL);
	return EMU_OK;
}

static int op_ud(struct emu *e)
{
	return fault_ud(e);
}

/* ------------------------------------------------------------------------
 * Stack and near transfers
 */

static int op_push(struct emu *e)
{
	return push(e, e->op[0].val, e->op_size);
}

static int op_push_sreg(struct emu *e)
{
	return push(e, segment(e, e->opcode >> 3 & 7)->selector, e->op_size);
}

static int op_pop(struct emu *e)
{
	return pop(e, &e->op[0].val, e->op_size);
}

/* POP to memory computes an address based on RSP after RSP has moved. */
static int op_pop_rm(struct emu *e)
{
	if (e->op[0].loc == LOC_MEM && e->has_sib && (e->sib & 7) == EMU_RSP &&
	    !(e->rex & 1))
		e->ea = (e->ea + e->op_size) & size_mask(e->addr_size);
	return pop(e, &e->op[0].val, e->op_size);
}

static int op_pusha(struct emu *e)
{
	u64 sp = e->regs[EMU_RSP];
	unsigned int i;
	int r = EMU_OK;

	for (i = 0; i < 8 && r == EMU_OK; i++)
		r = push(e, i == EMU_RSP ? sp : e->regs[i], e->op_size);
	return r;
}

static int op_popa(struct emu *e)
{
	u64 value;
	int i, r;

	for (i = 7; i >= 0; i--) {
		r = pop(e, &value, e->op_size);
		if (r != EMU_OK)
			return r;
		if (i != EMU_RSP)
			merge(&e->regs[i], value, e->op_size);
	}
	return EMU_OK;
}

static unsigned int iopl(const struct emu *e)
{
	return (e->rflags & FL_IOPL) >> 12;
}

/* PUSHF, POPF, CLI, STI, IRET in vm86 mode below IOPL 3; VME is not known. */
static int vm86_refuse(struct emu *e)
{
	if (e->ops->get_cr(e, 4) & CR4_VME)
		return EMU_UNHANDLED;
	return fault_gp(e, 0);
}

static int op_pushf(struct emu *e)
{
	if (e->mode == EMU_VM86 && iopl(e) < 3)
		return vm86_refuse(e);
	return push(e, (e->rflags & ~(FL_VM | FL_RF)) | FL_FIXED, e->op_size);
}

/* Flags that POPF and IRET may change at this privilege. */
static u64 flags_writable(const struct emu *e, unsigned int size)
{
	u64 mask = FL_STATUS | FL_TF | FL_DF | FL_NT | FL_RF | FL_AC | FL_ID;

	if (e->cpl == 0)
		mask |= FL_IOPL;
	if (e->mode == EMU_REAL || e->cpl <= iopl(e))
		mask |= FL_IF;
	return mask & size_mask(size);
}

static int op_popf(struct emu *e)
{
	u64 value;
	int r;

	if (e->mode == EMU_VM86 && iopl(e) < 3)
		return vm86_refuse(e);
	r = pop(e, &value, e->op_size);
	if (r == EMU_OK)
		flags_change(e, flags_writable(e, e->op_size), value & ~FL_RF);
	return r;
}

static int op_enter(struct emu *e)
{
	unsigned int size = e->op_size, level = e->op[1].val & 31, i;
	u64 bp = e->regs[EMU_RBP], mask = size_mask(stack_size(e)), frame, v;
	int r;

	r = push(e, bp, size);
	frame = e->regs[EMU_RSP];
	for (i = 1; i < level && r == EMU_OK; i++) {
		bp -= size;
		v = 0;
		r = mem_read(e, EMU_SS, bp & mask, &v, size, 0);
		if (r == EMU_OK)
			r = push(e, v, size);
	}
	if (level && r == EMU_OK)
		r = push(e, frame, size);
	if (r != EMU_OK)
		return r;
	merge(&e->regs[EMU_RBP], frame, size);
	stack_move(e, e->regs[EMU_RSP] - e->op[0].val);
	/* SDM: the new top of the stack must be writable. */
	r = linearize(e, EMU_SS, e->regs[EMU_RSP] & mask, 1, true, &v);
	if (r == EMU_OK && e->ops->probe_write)
		r = e->ops->probe_write(e, v, 1);
	return r;
}

static int op_leave(struct emu *e)
{
	u64 value;
	int r;

	stack_move(e, e->regs[EMU_RBP]);
	r = pop(e, &value, e->op_size);
	merge(&e->regs[EMU_RBP], value, e->op_size);
	return r;
}

/* 66 before a near branch in 64-bit mode: AMD honours it, Intel does not. */
static bool branch_unclear(const struct emu *e)
{
	return e->mode == EMU_LONG && e->opsize_prefix;
}

static int jump_relative(struct emu *e)
{
	if (branch_unclear(e))
		return EMU_UNHANDLED;
	return jump(e, e->next_rip + e->op[0].val);
}

static int op_jcc(struct emu *e)
{
	return condition(e, e->opcode) ? jump_relative(e) : EMU_OK;
}

/* LOOPNE, LOOPE, LOOP, JCXZ: the counter has the address size. */
static int op_loop(struct emu *e)
{
	u64 count = e->regs[EMU_RCX] & size_mask(e->addr_size);
	bool zero = e->rflags & FL_ZF, take;

	if (e->opcode == 0xe3) {
		take = !count;
	} else {
		merge(&e->regs[EMU_RCX], count - 1, e->addr_size);
		take = count != 1 && (e->opcode == 0xe2 ||
				      zero == (e->opcode == 0xe1));
	}
	return take ? jump_relative(e) : EMU_OK;
}

static int op_call_relative(struct emu *e)
{
	u64 back = e->next_rip;
	int r = jump_relative(e);

	return r == EMU_OK ? push(e, back, e->op_size) : r;
}

static int op_jmp_near(struct emu *e)
{
	if (branch_unclear(e))
		return EMU_UNHANDLED;
	return jump(e, e->op[0].val);
}

static int op_call_near(struct emu *e)
{
	u64 back = e->next_rip;
	int r = op_jmp_near(e);

	return r == EMU_OK ? push(e, back, e->op_size) : r;
}

/* RET and RET n; without n the operand is 0. */
static int op_ret(struct emu *e)
{
	u64 target;
	int r;

	if (branch_unclear(e))
		return EMU_UNHANDLED;
	r = pop(e, &target, e->op_size);
	if (r != EMU_OK)
		return r;
	stack_move(e, e->regs[EMU_RSP] + e->op[0].val);
	return jump(e, target);
}

static int op_bound(struct emu *e)
{
	unsigned int size = e->op_size;
	s64 index, bound[2];
	unsigned int i;
	u64 v;
	int r;

	for (i = 0; i < 2; i++) {
		v = 0;
		r = mem_read(e, e->seg, (e->ea + i * size) &
			     size_mask(e->addr_size), &v, size, 0);
		if (r != EMU_OK)
			return r;
		bound[i] = (s64)sign_extend(v, size);
	}
	index = (s64)sign_extend(gpr_read(e, e->op[0].reg, size), size);
	if (index < bound[0] || index > bound[1])
		return emu_fault(e, EX_BR, false, 0);
	return EMU_OK;
}

/* ------------------------------------------------------------------------
 * Ports and strings
 */

/* SDM vol. 1 chapter 19: IOPL, else the bitmap in a 32- or 64-bit TSS. */
static int port_check(struct emu *e, u16 port, unsigned int size)
{
	const struct emu_seg *tr;
	u16 offset, bits;
	int r;

	if (e->mode == EMU_REAL ||
	    (e->mode != EMU_VM86 && e->cpl <= iopl(e)))
		return EMU_OK;
	tr = segment(e, EMU_TR);
	if (tr->attr & EMU_SEG_UNUSABLE || (tr->attr & 13) != 9 ||
	    tr->limit < 0x67)
		return fault_gp(e, 0);
	r = lin_read(e, tr->base + 0x66, &offset, 2, EMU_ACC_SYSTEM);
	if (r != EMU_OK)
		return r;
	if ((u32)offset + port / 8 + 1 > tr->limit)
		return fault_gp(e, 0);
	r = lin_read(e, tr->base + offset + port / 8, &bits, 2, EMU_ACC_SYSTEM);
	if (r != EMU_OK)
		return r;
	if (bits >> (port & 7) & ((1u << size) - 1))
		return fault_gp(e, 0);
	return EMU_OK;
}

/* IN and OUT: operand 0 is the accumulator, operand 1, if any, the port. */
static int op_in_out(struct emu *e)
{
	u16 port = e->opcode & 8 ? (u16)e->regs[EMU_RDX] : (u8)e->op[1].val;
	unsigned int size = e->op[0].size;
	u64 value = 0;
	int r;

	r = port_check(e, port, size);
	if (r != EMU_OK)
		return r;
	if (e->opcode & 2) {
		value = e->regs[EMU_RAX] & size_mask(size);
		return port_out(e, port, size, &value, 1);
	}
	r = port_in(e, port, size, &value, 1);
	merge(&e->regs[EMU_RAX], value, size);
	return r;
}

static void string_advance(struct emu *e, unsigned int reg, unsigned int bytes)
{
	u64 step = e->rflags & FL_DF ? -(u64)bytes : bytes;

	merge(&e->regs[reg], e->regs[reg] + step, e->addr_size);
}

static int string_read(struct emu *e, unsigned int seg, unsigned int reg,
		       void *buf, unsigned int size)
{
	return mem_read(e, seg, e->regs[reg] & size_mask(e->addr_size), buf,
			size, 0);
}

static int string_write(struct emu *e, const void *buf, unsigned int size)
{
	return mem_write(e, EMU_ES,
			 e->regs[EMU_RDI] & size_mask(e->addr_size), buf, size);
}

static int op_movs(struct emu *e)
{
	unsigned int size = e->op[0].size;
	u64 value = 0;
	int r;

	r = string_read(e, e->seg, EMU_RSI, &value, size);
	if (r == EMU_OK)
		r = string_write(e, &value, size);
	string_advance(e, EMU_RSI, size);
	string_advance(e, EMU_RDI, size);
	return r;
}

static int op_stos(struct emu *e)
{
	int r = string_write(e, &e->regs[EMU_RAX], e->op[0].size);

	string_advance(e, EMU_RDI, e->op[0].size);
	return r;
}

static int op_lods(struct emu *e)
{
	unsigned int size = e->op[0].size;
	u64 value = 0;
	int r;

	r = string_read(e, e->seg, EMU_RSI, &value, size);
	merge(&e->regs[EMU_RAX], value, size);
	string_advance(e, EMU_RSI, size);
	return r;
}

static int op_cmps(struct emu *e)
{
	unsigned int size = e->op[0].size;
	u64 a = 0, b = 0;
	int r;

	r = string_read(e, e->seg, EMU_RSI, &a, size);
	if (r == EMU_OK)
		r = string_read(e, EMU_ES, EMU_RDI, &b, size);
	difference(e, a, b, 0, size);
	string_advance(e, EMU_RSI, size);
	string_advance(e, EMU_RDI, size);
	return r;
}

static int op_scas(struct emu *e)
{
	unsigned int size = e->op[0].size;
	u64 b = 0;
	int r;

	r = string_read(e, EMU_ES, EMU_RDI, &b, size);
	difference(e, e->regs[EMU_RAX] & size_mask(size), b, 0, size);
	string_advance(e, EMU_RDI, size);
	return r;
}

/*
 * How many items of a repeated INS or OUTS go in one batch: upwards, without
 * crossing a page, wrapping the index register or leaving the segment.
 */
static unsigned int batch_count(struct emu *e, unsigned int seg,
				unsigned int reg, unsigned int size,
				u64 *linear, int *r)
{
	u64 mask = size_mask(e->addr_size), offset = e->regs[reg] & mask;
	u64 left = e->rep ? e->regs[EMU_RCX] & mask : 1, room;
	bool write = reg == EMU_RDI;

	*r = linearize(e, seg, offset, size, write, linear);
	if (*r != EMU_OK || e->rflags & (FL_DF | FL_TF))
		return 1;
	room = 4096 - (*linear & 4095);
	if (room > EMU_PIO_MAX)
		room = EMU_PIO_MAX;
	room /= size;
	if (left > room)
		left = room;
	if (left <= 1)
		return 1;
	if (offset + left * size - 1 > mask ||
	    linearize(e, seg, offset, left * size, write, linear) != EMU_OK)
		return 1;
	return left;
}

/* A batch counts as one iteration: RCX goes down by the others here. */
static void batch_done(struct emu *e, unsigned int reg, unsigned int size,
		       unsigned int count)
{
	string_advance(e, reg, size * count);
	if (e->rep)
		merge(&e->regs[EMU_RCX], e->regs[EMU_RCX] - (count - 1),
		      e->addr_size);
}

static int op_ins(struct emu *e)
{
	unsigned int size = e->op[0].size, count;
	u16 port = (u16)e->regs[EMU_RDX];
	u64 linear;
	int r;

	r = port_check(e, port, size);
	if (r != EMU_OK)
		return r;
	count = batch_count(e, EMU_ES, EMU_RDI, size, &linear, &r);
	if (r != EMU_OK)
		return r;
	if (e->ops->probe_write) {
		r = e->ops->probe_write(e, linear, size * count);
		if (r != EMU_OK)
			return r;
	}
	r = port_in(e, port, size, e->pio, count);
	if (r == EMU_OK)
		r = lin_write(e, linear, e->pio, size * count, 0);
	batch_done(e, EMU_RDI, size, count);
	return r;
}

static int op_outs(struct emu *e)
{
	unsigned int size = e->op[0].size, count;
	u16 port = (u16)e->regs[EMU_RDX];
	u64 linear;
	int r;

	r = port_check(e, port, size);
	if (r != EMU_OK)
		return r;
	count = batch_count(e, e->seg, EMU_RSI, size, &linear, &r);
	if (r == EMU_OK)
		r = lin_read(e, linear, e->pio, size * count, 0);
	if (r == EMU_OK)
		r = port_out(e, port, size, e->pio, count);
	batch_done(e, EMU_RSI, size, count);
	return r;
}

/* ------------------------------------------------------------------------
 * Segment registers, far transfers, interrupts: real and vm86 mode
 */

static int load_segment(struct emu *e, unsigned int seg, u16 selector)
{
	struct emu_seg s;

	if (!e->ops->set_seg || !real_or_vm86(e))
		return EMU_UNHANDLED;
	/* Real mode keeps limit and attributes, so does "unreal" mode. */
	s = *segment(e, seg);
	s.selector = selector;
	s.base = (u64)selector << 4;
	segment_set(e, seg, &s);
	return EMU_OK;
}

static int op_mov_from_sreg(struct emu *e)
{
	/* To memory always 16 bits, to a register as many as it has. */
	if (e->op[0].loc == LOC_MEM)
		e->op[0].size = 2;
	e->op[0].val = segment(e, e->op[1].reg)->selector;
	return EMU_OK;
}

static int op_mov_to_sreg(struct emu *e)
{
	int r;

	r = load_segment(e, e->op[0].reg, e->op[1].val);
	if (r == EMU_OK && e->op[0].reg == EMU_SS)
		e->shadow = EMU_SHADOW_MOV_SS;
	return r;
}

static int op_pop_sreg(struct emu *e)
{
	unsigned int seg = e->opcode >> 3 & 7;
	u64 value = 0;
	int r;

	r = mem_read(e, EMU_SS, e->regs[EMU_RSP] & size_mask(stack_size(e)),
		     &value, 2, 0);
	if (r != EMU_OK)
		return r;
	stack_move(e, e->regs[EMU_RSP] + e->op_size);
	r = load_segment(e, seg, value);
	if (r == EMU_OK && seg == EMU_SS)
		e->shadow = EMU_SHADOW_MOV_SS;
	return r;
}

/* The far pointer of a memory operand: offset, then selector. */
static int far_pointer(struct emu *e, u64 *offset, u16 *selector)
{
	u64 mask = size_mask(e->addr_size);
	int r;

	*offset = 0;
	r = mem_read(e, e->seg, e->ea, offset, e->op_size, 0);
	if (r != EMU_OK)
		return r;
	return mem_read(e, e->seg, (e->ea + e->op_size) & mask, selector, 2, 0);
}

/* LES, LDS, LSS, LFS, LGS */
static int op_load_far_pointer(struct emu *e)
{
	static const u8 two_byte[4] = { EMU_SS, 0, EMU_FS, EMU_GS };
	unsigned int seg;
	u16 selector;
	u64 offset;
	int r;

	if (e->map == 1)
		seg = e->opcode == 0xc4 ? EMU_ES : EMU_DS;
	else
		seg = two_byte[(e->opcode - 0xb2) & 3];
	r = far_pointer(e, &offset, &selector);
	if (r == EMU_OK)
		r = load_segment(e, seg, selector);
	if (r == EMU_OK)
		gpr_write(e, e->op[0].reg, e->op_size, offset);
	return r;
}

static int far_jump(struct emu *e, u16 selector, u64 offset)
{
	if (!real_or_vm86(e))
		return EMU_UNHANDLED;
	if (offset > segment(e, EMU_CS)->limit)
		return fault_gp(e, 0);
	e->next_rip = offset;
	return load_segment(e, EMU_CS, selector);
}

static int far_call(struct emu *e, u16 selector, u64 offset)
{
	u64 back = e->next_rip;
	int r;

	if (!real_or_vm86(e))
		return EMU_UNHANDLED;
	if (offset > segment(e, EMU_CS)->limit)
		return fault_gp(e, 0);
	r = push(e, segment(e, EMU_CS)->selector, e->op_size);
	if (r == EMU_OK)
		r = push(e, back, e->op_size);
	return r == EMU_OK ? far_jump(e, selector, offset) : r;
}

/* 9A and EA: the pointer is in the instruction, operand 1 the selector. */
static int op_far_direct(struct emu *e)
{
	if (e->opcode == 0x9a)
		return far_call(e, e->op[1].val, e->op[0].val);
	return far_jump(e, e->op[1].val, e->op[0].val);
}

/* FF /3 and /5 */
static int op_far_indirect(struct emu *e)
{
	u16 selector;
	u64 offset;
	int r;

	if (e->op[0].loc != LOC_MEM)
		return fault_ud(e);
	r = far_pointer(e, &offset, &selector);
	if (r != EMU_OK)
		return r;
	if ((e->modrm >> 3 & 7) == 3)
		return far_call(e, selector, offset);
	return far_jump(e, selector, offset);
}

static int op_ret_far(struct emu *e)
{
	u64 offset, selector;
	int r;

	if (!real_or_vm86(e))
		return EMU_UNHANDLED;
	r = pop(e, &offset, e->op_size);
	if (r == EMU_OK)
		r = pop(e, &selector, e->op_size);
	if (r != EMU_OK)
		return r;
	stack_move(e, e->regs[EMU_RSP] + e->op[0].val);
	return far_jump(e, (u16)selector, offset);
}

static int real_interrupt(struct emu *e, u8 vector, u64 back)
{
	struct emu_table idt;
	u16 entry[2];
	int r;

	if (!e->ops->get_idt)
		return EMU_UNHANDLED;
	e->ops->get_idt(e, &idt);
	if (vector * 4u + 3 > idt.limit)
		return fault_gp(e, 0);
	r = lin_read(e, idt.base + vector * 4u, entry, 4, EMU_ACC_SYSTEM);
	if (r == EMU_OK)
		r = push(e, e->rflags | FL_FIXED, 2);
	if (r == EMU_OK)
		r = push(e, segment(e, EMU_CS)->selector, 2);
	if (r == EMU_OK)
		r = push(e, back, 2);
	if (r == EMU_OK)
		r = far_jump(e, entry[1], entry[0]);
	if (r == EMU_OK)
		e->rflags &= ~(FL_IF | FL_TF | FL_AC | FL_RF);
	return r;
}

static int software_interrupt(struct emu *e, u8 vector)
{
	if (e->mode == EMU_REAL)
		return real_interrupt(e, vector, e->next_rip);
	emu_fault(e, vector, false, 0);
	e->fault.software = true;
	return EMU_FAULT;
}

static int op_int(struct emu *e)
{
	if (e->mode == EMU_VM86 && iopl(e) < 3)
		return vm86_refuse(e);
	return software_interrupt(e, e->op[0].val);
}

static int op_int3(struct emu *e)
{
	return software_interrupt(e, e->opcode == 0xf1 ? EX_DB : EX_BP);
}

static int op_into(struct emu *e)
{
	return e->rflags & FL_OF ? software_interrupt(e, EX_OF) : EMU_OK;
}

static int op_iret(struct emu *e)
{
	u64 offset, selector, flags;
	int r;

	if (e->mode == EMU_VM86 && iopl(e) < 3)
		return vm86_refuse(e);
	if (!real_or_vm86(e))
		return EMU_UNHANDLED;
	r = pop(e, &offset, e->op_size);
	if (r == EMU_OK)
		r = pop(e, &selector, e->op_size);
	if (r == EMU_OK)
		r = pop(e, &flags, e->op_size);
	if (r == EMU_OK)
		r = far_jump(e, (u16)selector, offset);
	if (r != EMU_OK)
		return r;
	flags_change(e, flags_writable(e, e->op_size), flags);
	return e->ops->control ? control(e, EMU_CTL_IRET, 0, NULL) : EMU_OK;
}

/* ------------------------------------------------------------------------
 * System instructions
 */

static int op_cli_sti(struct emu *e)
{
	bool set = e->opcode == 0xfb;

	if (e->mode == EMU_VM86 && iopl(e) < 3)
		return vm86_refuse(e);
	if (e->mode != EMU_REAL && e->cpl > iopl(e)) {
		if (e->cpl == 3 && e->ops->get_cr(e, 4) & CR4_PVI)
			return EMU_UNHANDLED;
		return fault_gp(e, 0);
	}
	if (set && !(e->rflags & FL_IF))
		e->shadow = EMU_SHADOW_STI;
	flags_change(e, FL_IF, set ? FL_IF : 0);
	return EMU_OK;
}

static int op_hlt(struct emu *e)
{
	return control(e, EMU_CTL_HLT, 0, NULL);
}

static int op_invd(struct emu *e)
{
	return control(e, e->opcode == 8 ? EMU_CTL_INVD : EMU_CTL_WBINVD, 0,
		       NULL);
}

static int set_cr(struct emu *e, unsigned int cr, u64 value)
{
	if (!e->ops->set_cr)
		return EMU_UNHANDLED;
	return e->ops->set_cr(e, cr, value);
}

static int op_clts(struct emu *e)
{
	return set_cr(e, 0, e->ops->get_cr(e, 0) & ~CR0_TS);
}

static int op_mov_from_cr(struct emu *e)
{
	e->op[0].val = e->ops->get_cr(e, e->op[1].reg);
	return EMU_OK;
}

static int op_mov_to_cr(struct emu *e)
{
	return set_cr(e, e->op[0].reg, e->op[1].val);
}

/* DR4 and DR5 are DR6 and DR7 unless CR4.DE. */
static int debug_register(struct emu *e, unsigned int *dr)
{
	if (*dr == 4 || *dr == 5) {
		if (e->ops->get_cr(e, 4) & CR4_DE)
			return fault_ud(e);
		*dr += 2;
	}
	return EMU_OK;
}

static int op_mov_from_dr(struct emu *e)
{
	unsigned int dr = e->op[1].reg;
	int r = debug_register(e, &dr);

	if (r != EMU_OK)
		return r;
	if (!e->ops->get_dr)
		return EMU_UNHANDLED;
	return e->ops->get_dr(e, dr, &e->op[0].val);
}

static int op_mov_to_dr(struct emu *e)
{
	unsigned int dr = e->op[0].reg;
	int r = debug_register(e, &dr);

	if (r != EMU_OK)
		return r;
	if (!e->ops->set_dr)
		return EMU_UNHANDLED;
	return e->ops->set_dr(e, dr, e->op[1].val);
}

static int read_msr(struct emu *e, u32 index, u64 *value)
{
	int r;

	*value = 0;
	if (log_replay(e, value, 8, &r))
		return r;
	if (!e->ops->rdmsr)
		return EMU_UNHANDLED;
	r = e->ops->rdmsr(e, index, value);
	return log_input(e, r, value, 8);
}

static int op_rdmsr(struct emu *e)
{
	u64 value;
	int r = read_msr(e, (u32)e->regs[EMU_RCX], &value);

	wide_write(e, value >> 32, value, 4);
	return r;
}

static int op_wrmsr(struct emu *e)
{
	u64 value = e->regs[EMU_RDX] << 32 | (u32)e->regs[EMU_RAX];

	if (log_written(e))
		return EMU_OK;
	if (!e->ops->wrmsr)
		return EMU_UNHANDLED;
	return log_output(e, e->ops->wrmsr(e, (u32)e->regs[EMU_RCX], value));
}

static int op_rdtsc(struct emu *e)
{
	u64 tsc = 0, aux;
	int r;

	if (!e->ops->rdtsc)
		return EMU_UNHANDLED;
	if (e->cpl && e->ops->get_cr(e, 4) & CR4_TSD)
		return fault_gp(e, 0);
	if (e->opcode == 0x01) {	/* RDTSCP */
		r = read_msr(e, MSR_TSC_AUX, &aux);
		if (r != EMU_OK)
			return r;
		merge(&e->regs[EMU_RCX], aux, 4);
	}
	r = e->ops->rdtsc(e, &tsc);
	wide_write(e, tsc >> 32, tsc, 4);
	return r;
}

static int op_rdpmc(struct emu *e)
{
	u64 value = 0;
	int r;

	if (e->cpl && !(e->ops->get_cr(e, 4) & CR4_PCE))
		return fault_gp(e, 0);
	r = control(e, EMU_CTL_RDPMC, (u32)e->regs[EMU_RCX], &value);
	wide_write(e, value >> 32, value, 4);
	return r;
}

static int op_cpuid(struct emu *e)
{
	u32 r[4] = { (u32)e->regs[EMU_RAX], (u32)e->regs[EMU_RBX],
		     (u32)e->regs[EMU_RCX], (u32)e->regs[EMU_RDX] };
	int ret;

	if (!e->ops->cpuid)
		return EMU_UNHANDLED;
	ret = e->ops->cpuid(e, r);
	e->regs[EMU_RAX] = r[0];
	e->regs[EMU_RBX] = r[1];
	e->regs[EMU_RCX] = r[2];
	e->regs[EMU_RDX] = r[3];
	return ret;
}

/* UMIP: SGDT, SIDT, SLDT, STR and SMSW are for CPL 0 only. */
static bool umip_refuses(struct emu *e)
{
	return e->cpl && e->ops->get_cr(e, 4) & CR4_UMIP;
}

/* SLDT and STR */
static int op_store_system_segment(struct emu *e)
{
	unsigned int reg = e->modrm >> 3 & 7;

	if (umip_refuses(e))
		return fault_gp(e, 0);
	if (e->op[0].loc == LOC_MEM)
		e->op[0].size = 2;
	e->op[0].val = segment(e, reg ? EMU_TR : EMU_LDTR)->selector;
	return EMU_OK;
}

/* SGDT and SIDT */
static int store_table(struct emu *e, bool idt)
{
	unsigned int size = e->mode == EMU_LONG ? 8 : 4;
	struct emu_table t;
	u8 image[10];

	if (umip_refuses(e))
		return fault_gp(e, 0);
	if (!(idt ? e->ops->get_idt : e->ops->get_gdt))
		return EMU_UNHANDLED;
	if (idt)
		e->ops->get_idt(e, &t);
	else
		e->ops->get_gdt(e, &t);
	memcpy(image, &t.limit, 2);
	memcpy(image + 2, &t.base, 8);
	return mem_write(e, e->seg, e->ea, image, size + 2);
}

/* LGDT and LIDT: with 16-bit operands the base has 24 bits. */
static int load_table(struct emu *e, bool idt)
{
	unsigned int size = e->mode == EMU_LONG ? 8 : 4;
	struct emu_table t = { 0, 0 };
	u8 image[10];
	int r;

	if (e->cpl)
		return fault_gp(e, 0);
	if (!(idt ? e->ops->set_idt : e->ops->set_gdt))
		return EMU_UNHANDLED;
	r = mem_read(e, e->seg, e->ea, image, size + 2, 0);
	if (r != EMU_OK)
		return r;
	memcpy(&t.limit, image, 2);
	memcpy(&t.base, image + 2, size);
	if (e->mode != EMU_LONG && e->op_size == 2)
		t.base &= 0xffffff;
	if (e->mode == EMU_LONG && !canonical(e, t.base))
		return fault_gp(e, 0);
	if (idt)
		e->ops->set_idt(e, &t);
	else
		e->ops->set_gdt(e, &t);
	return EMU_OK;
}

/* LMSW sets PE, MP, EM and TS, but cannot clear PE. */
static int lmsw(struct emu *e, u64 value)
{
	u64 cr0 = e->ops->get_cr(e, 0), mask = CR0_MP | CR0_EM | CR0_TS;

	if (e->cpl)
		return fault_gp(e, 0);
	return set_cr(e, 0, (cr0 & ~mask) | (value & (mask | CR0_PE)));
}

static int swapgs(struct emu *e)
{
	struct emu_seg gs = *segment(e, EMU_GS);
	u64 base;
	int r;

	if (e->mode != EMU_LONG)
		return fault_ud(e);
	if (e->cpl)
		return fault_gp(e, 0);
	if (!e->ops->set_seg || !e->ops->wrmsr)
		return EMU_UNHANDLED;
	r = read_msr(e, 0xc0000102u, &base);
	if (r == EMU_OK)
		r = e->ops->wrmsr(e, 0xc0000102u, gs.base);
	if (r != EMU_OK)
		return r;
	gs.base = base;
	segment_set(e, EMU_GS, &gs);
	return EMU_OK;
}

/* XGETBV and XSETBV */
static int extended_control(struct emu *e, bool set)
{
	u64 value = e->regs[EMU_RDX] << 32 | (u32)e->regs[EMU_RAX];
	u32 index = (u32)e->regs[EMU_RCX];
	int r;

	if (!(e->ops->get_cr(e, 4) & CR4_OSXSAVE))
		return fault_ud(e);
	if (set) {
		if (e->cpl)
			return fault_gp(e, 0);
		return control(e, EMU_CTL_XSETBV, index, &value);
	}
	r = control(e, EMU_CTL_XGETBV, index, &value);
	wide_write(e, value >> 32, value, 4);
	return r;
}

/* 0F 01 with a register: every ModRM byte is an instruction of its own. */
static int group7_register(struct emu *e)
{
	switch (e->modrm) {
	case 0xc1:
	case 0xd9:
		return control(e, EMU_CTL_HYPERCALL, 0, NULL);
	case 0xc8:
		if (e->cpl)
			return fault_ud(e);
		return control(e, EMU_CTL_MONITOR, e->regs[EMU_RAX] &
			       size_mask(e->addr_size), NULL);
	case 0xc9:
		if (e->cpl)
			return fault_ud(e);
		return control(e, EMU_CTL_MWAIT, 0, NULL);
	case 0xd0:
		return extended_control(e, false);
	case 0xd1:
		return extended_control(e, true);
	case 0xf8:
		return swapgs(e);
	case 0xf9:
		return op_rdtsc(e);
	default:
		return EMU_UNHANDLED;
	}
}

static int invlpg(struct emu *e)
{
	u64 linear = e->ea;

	if (e->cpl)
		return fault_gp(e, 0);
	if (e->mode != EMU_LONG || e->seg == EMU_FS || e->seg == EMU_GS)
		linear += segment(e, e->seg)->base;
	if (e->mode != EMU_LONG)
		linear = (u32)linear;
	if (!canonical(e, linear))
		return EMU_OK;		/* SDM: a no-operation */
	return control(e, EMU_CTL_INVLPG, linear, NULL);
}

static int op_group7(struct emu *e)
{
	bool reg = e->op[0].loc != LOC_MEM;
	u64 value;
	int r;

	switch (e->modrm >> 3 & 7) {
	case 4:			/* SMSW: memory always 16 bits */
		if (umip_refuses(e))
			return fault_gp(e, 0);
		value = e->ops->get_cr(e, 0);
		if (!reg)
			return mem_write(e, e->seg, e->ea, &value, 2);
		gpr_write(e, e->op[0].reg, e->op_size, value);
		return EMU_OK;
	case 6:
		if (reg)
			return lmsw(e, gpr_read(e, e->op[0].reg, 2));
		value = 0;
		r = mem_read(e, e->seg, e->ea, &value, 2, 0);
		return r == EMU_OK ? lmsw(e, value) : r;
	default:
		break;
	}
	if (reg)
		return group7_register(e);
	switch (e->modrm >> 3 & 7) {
	case 0:
		return store_table(e, false);
	case 1:
		return store_table(e, true);
	case 2:
		return load_table(e, false);
	case 3:
		return load_table(e, true);
	case 7:
		return invlpg(e);
	default:
		return EMU_UNHANDLED;
	}
}

static int op_invpcid(struct emu *e)
{
	u8 descriptor[16];
	int r;

	r = mem_read(e, e->seg, e->ea, descriptor, 16, 0);
	if (r != EMU_OK)
		return r;
	return control(e, EMU_CTL_INVPCID,
		       gpr_read(e, e->op[0].reg, e->mode == EMU_LONG ? 8 : 4),
		       descriptor);
}

/* F3 0F AE with a register: RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE */
static int fsgsbase(struct emu *e)
{
	unsigned int seg = e->modrm & 8 ? EMU_GS : EMU_FS;
	struct emu_seg s = *segment(e, seg);

	if (e->mode != EMU_LONG ||
	    !(e->ops->get_cr(e, 4) & CR4_FSGSBASE))
		return fault_ud(e);
	if (!(e->modrm & 0x10)) {
		gpr_write(e, e->op[0].reg, e->op_size, s.base);
		return EMU_OK;
	}
	if (!e->ops->set_seg)
		return EMU_UNHANDLED;
	s.base = gpr_read(e, e->op[0].reg, e->op_size);
	if (!canonical(e, s.base))
		return fault_gp(e, 0);
	segment_set(e, seg, &s);
	return EMU_OK;
}

/* ------------------------------------------------------------------------
 * x87, MMX, SSE and AVX: what moves data or control words
 */

static int fpu_check(struct emu *e, u64 cr0_nm)
{
	u64 cr0 = e->ops->get_cr(e, 0);

	if (cr0 & cr0_nm)
		return emu_fault(e, EX_NM, false, 0);
	return EMU_OK;
}

static int vector_check(struct emu *e)
{
	u64 cr4 = e->ops->get_cr(e, 4), xcr0 = 0, need;
	int r;

	if (e->vex) {
		if (real_or_vm86(e) || !(cr4 & CR4_OSXSAVE))
			return fault_ud(e);
		need = e->vex == 4 ? 0xe6 : 6;
		r = control(e, EMU_CTL_XGETBV, 0, &xcr0);
		if (r != EMU_OK)
			return r;
		if ((xcr0 & need) != need)
			return fault_ud(e);
		/* Masked, zeroing and broadcasting moves are not known. */
		if (e->vex == 4 && (e->evex_bits & 0x97 ||
				    !(e->evex_bits & 8)))
			return EMU_UNHANDLED;
	} else if (e->ops->get_cr(e, 0) & CR0_EM || !(cr4 & CR4_OSFXSR)) {
		return fault_ud(e);
	}
	return fpu_check(e, CR0_TS);
}

static int mmx_check(struct emu *e)
{
	if (e->ops->get_cr(e, 0) & CR0_EM)
		return fault_ud(e);
	return fpu_check(e, CR0_TS);
}

/* Reads an operand of any kind into e->buf. */
static int wide_operand_read(struct emu *e, const struct emu_operand *o)
{
	u64 value;

	switch (o->loc) {
	case LOC_MEM:
		return mem_read(e, e->seg, e->ea, e->buf, o->size, 0);
	case LOC_VEC:
		if (!e->ops->vec_read)
			return EMU_UNHANDLED;
		return e->ops->vec_read(e, o->reg, e->buf, o->size);
	case LOC_MMX:
		if (!e->ops->mmx_read)
			return EMU_UNHANDLED;
		return e->ops->mmx_read(e, o->reg, (u64 *)e->buf);
	default:
		value = gpr_read(e, o->reg, o->size);
		memcpy(e->buf, &value, 8);
		return EMU_OK;
	}
}

/* Writes e->buf; a vector register gets zeroes above up to 16 bytes. */
static int wide_operand_write(struct emu *e, const struct emu_operand *o)
{
	unsigned int size = o->size;
	u64 value;

	switch (o->loc) {
	case LOC_MEM:
		return mem_write(e, e->seg, e->ea, e->buf, size);
	case LOC_VEC:
		if (!e->ops->vec_write)
			return EMU_UNHANDLED;
		if (size < 16) {
			memset(e->buf + size, 0, 16 - size);
			size = 16;
		}
		return e->ops->vec_write(e, o->reg, e->buf, size, e->vex);
	case LOC_MMX:
		if (!e->ops->mmx_write)
			return EMU_UNHANDLED;
		memcpy(&value, e->buf, 8);
		if (size < 8)
			value &= size_mask(size);
		return e->ops->mmx_write(e, o->reg, value);
	default:
		memcpy(&value, e->buf, 8);
		gpr_write(e, o->reg, size, value);
		return EMU_OK;
	}
}

/* Whole-operand moves, either direction, MMX or vector. */
static int op_vec_move(struct emu *e)
{
	bool mmx = e->op[0].loc == LOC_MMX || e->op[1].loc == LOC_MMX;
	int r;

	if (e->vex && e->vex_reg)
		return fault_ud(e);
	r = mmx ? mmx_check(e) : vector_check(e);
	if (r == EMU_OK)
		r = wide_operand_read(e, &e->op[1]);
	return r == EMU_OK ? wide_operand_write(e, &e->op[0]) : r;
}

/*
 * MOVLPS, MOVLPD, MOVHPS, MOVHPD and the reg-to-reg MOVSS and MOVSD replace a
 * part of a vector register; VEX takes the rest from another one.
 */
static int op_vec_part(struct emu *e)
{
	bool high = e->opcode == 0x16 || e->opcode == 0x17;
	unsigned int at = high ? 8 : 0, size = e->op[0].size;
	u8 whole[16];
	int r;

	r = vector_check(e);
	if (r != EMU_OK)
		return r;
	if (!e->ops->vec_read || !e->ops->vec_write)
		return EMU_UNHANDLED;
	if (e->op[0].loc == LOC_MEM) {
		if (e->vex && e->vex_reg)
			return fault_ud(e);
		r = e->ops->vec_read(e, e->op[1].reg, whole, 16);
		if (r != EMU_OK)
			return r;
		return mem_write(e, e->seg, e->ea, whole + at, size);
	}
	if (e->op[1].loc != LOC_MEM)
		return EMU_UNHANDLED;
	r = e->ops->vec_read(e, e->vex ? e->vex_reg : e->op[0].reg, whole, 16);
	if (r == EMU_OK)
		r = mem_read(e, e->seg, e->ea, whole + at, size, 0);
	if (r != EMU_OK)
		return r;
	return e->ops->vec_write(e, e->op[0].reg, whole, 16, e->vex);
}

/* MOVSS and MOVSD: with two registers they are partial moves. */
static int op_vec_scalar(struct emu *e)
{
	if (e->op[0].loc != LOC_MEM && e->op[1].loc != LOC_MEM)
		return EMU_UNHANDLED;
	return op_vec_move(e);
}

static int op_movnti(struct emu *e)
{
	if (e->vex_pp)
		return fault_ud(e);
	return mem_write(e, e->seg, e->ea, &e->regs[e->op[1].reg & 15],
			 e->op[1].size);
}

static int x87_word(struct emu *e, enum emu_x87 what, u64 *value)
{
	u32 word = (u32)*value;
	int r;

	if (!e->ops->x87)
		return EMU_UNHANDLED;
	r = e->ops->x87(e, what, &word);
	*value = word;
	return r;
}

/* D8 to DF: control instructions only. */
static int op_x87(struct emu *e)
{
	unsigned int reg = e->modrm >> 3 & 7;
	bool memory = e->op[0].loc == LOC_MEM;
	u64 value = 0;
	int r;

	r = fpu_check(e, CR0_EM | CR0_TS);
	if (r != EMU_OK)
		return r;
	if (e->opcode == 0xdb && e->modrm == 0xe3)
		return x87_word(e, EMU_X87_INIT, &value);
	if (e->opcode == 0xdb && e->modrm == 0xe2)
		return x87_word(e, EMU_X87_CLEAR, &value);
	if (e->opcode == 0xdf && e->modrm == 0xe0) {
		r = x87_word(e, EMU_X87_READ_SW, &value);
		merge(&e->regs[EMU_RAX], value, 2);
		return r;
	}
	if (e->opcode == 0xd9 && memory && reg == 5) {
		r = mem_read(e, e->seg, e->ea, &value, 2, 0);
		return r == EMU_OK ? x87_word(e, EMU_X87_WRITE_CW, &value) : r;
	}
	if (memory && reg == 7 && (e->opcode == 0xd9 || e->opcode == 0xdd)) {
		r = x87_word(e, e->opcode == 0xd9 ? EMU_X87_READ_CW :
			     EMU_X87_READ_SW, &value);
		if (r != EMU_OK)
			return r;
		return mem_write(e, e->seg, e->ea, &value, 2);
	}
	return EMU_UNHANDLED;
}

static int op_fwait(struct emu *e)
{
	u64 cr0 = e->ops->get_cr(e, 0);

	if ((cr0 & CR0_MP) && (cr0 & CR0_TS))
		return emu_fault(e, EX_NM, false, 0);
	return EMU_OK;
}

static int mxcsr(struct emu *e, bool load)
{
	u64 value = 0;
	int r = vector_check(e);

	if (r != EMU_OK)
		return r;
	if (!load) {
		r = x87_word(e, EMU_X87_READ_MXCSR, &value);
		if (r != EMU_OK)
			return r;
		return mem_write(e, e->seg, e->ea, &value, 4);
	}
	r = mem_read(e, e->seg, e->ea, &value, 4, 0);
	return r == EMU_OK ? x87_word(e, EMU_X87_WRITE_MXCSR, &value) : r;
}

/* 0F AE: fences, cache lines, MXCSR, FS and GS bases */
static int op_group15(struct emu *e)
{
	unsigned int reg = e->modrm >> 3 & 7;
	u64 linear;
	int r;

	if (e->op[0].loc != LOC_MEM) {
		if (e->rep == 0xf3 && reg < 4)
			return fsgsbase(e);
		return reg >= 5 && !e->rep && !e->opsize_prefix ? EMU_OK :
								  EMU_UNHANDLED;
	}
	if (e->rep)
		return EMU_UNHANDLED;
	if ((reg == 2 || reg == 3) && !e->opsize_prefix)
		return mxcsr(e, reg == 2);
	if (reg != 7 && !(reg == 6 && e->opsize_prefix))
		return EMU_UNHANDLED;
	r = linearize(e, e->seg, e->ea, 1, false, &linear);
	if (r != EMU_OK)
		return r;
	return control(e, EMU_CTL_CLFLUSH, linear, NULL);
}

/* ------------------------------------------------------------------------
 * The opcode tables (SDM 2D appendix A)
 */

static const struct row group1[8] = {
	{ op_add, { 0 }, LOCK },
	{ op_or, { 0 }, LOCK },
	{ op_adc, { 0 }, LOCK },
	{ op_sbb, { 0 }, LOCK },
	{ op_and, { 0 }, LOCK },
	{ op_sub, { 0 }, LOCK },
	{ op_xor, { 0 }, LOCK },
	{ op_sub, { 0 }, NOWRITE },			/* CMP */
};

static const struct row group1a[8] = {
	{ op_pop_rm, { E_V }, NOREAD | D64 },
};

static const struct row group2[8] = {
	{ op_rol }, { op_ror }, { op_rcl }, { op_rcr },
	{ op_shl }, { op_shr }, { op_shl }, { op_sar },
};

static const struct row group3_byte[8] = {
	{ op_and, { E_B, I_B }, NOWRITE },		/* TEST */
	{ op_and, { E_B, I_B }, NOWRITE },
	{ op_not, { E_B }, LOCK },
	{ op_neg, { E_B }, LOCK },
	{ op_mul, { E_B }, NOWRITE },
	{ op_imul1, { E_B }, NOWRITE },
	{ op_div, { E_B }, NOWRITE },
	{ op_idiv, { E_B }, NOWRITE },
};

static const struct row group3[8] = {
	{ op_and, { E_V, I_Z }, NOWRITE },		/* TEST */
	{ op_and, { E_V, I_Z }, NOWRITE },
	{ op_not, { E_V }, LOCK },
	{ op_neg, { E_V }, LOCK },
	{ op_mul, { E_V }, NOWRITE },
	{ op_imul1, { E_V }, NOWRITE },
	{ op_div, { E_V }, NOWRITE },
	{ op_idiv, { E_V }, NOWRITE },
};

static const struct row group4[8] = {
	{ op_inc, { E_B }, LOCK },
	{ op_dec, { E_B }, LOCK },
};

static const struct row group5[8] = {
	{ op_inc, { E_V }, LOCK },
	{ op_dec, { E_V }, LOCK },
	{ op_call_near, { E_V }, NOWRITE | F64 },
	{ op_far_indirect, { E_V }, RAW },		/* CALL far */
	{ op_jmp_near, { E_V }, NOWRITE | F64 },
	{ op_far_indirect, { E_V }, RAW },		/* JMP far */
	{ op_push, { E_V }, NOWRITE | D64 },
};

static const struct row group6[8] = {
	{ op_store_system_segment, { E_V }, NOREAD | PROT },	/* SLDT */
	{ op_store_system_segment, { E_V }, NOREAD | PROT },	/* STR */
};

static const struct row group8[8] = {
	[4] = { op_bt, { E_V, I_B }, NOWRITE },
	[5] = { op_bts, { E_V, I_B }, LOCK },
	[6] = { op_btr, { E_V, I_B }, LOCK },
	[7] = { op_btc, { E_V, I_B }, LOCK },
};

static const struct row group9[8] = {
	[1] = { op_cmpxchg_wide, { E_V }, RAW | LOCK },
};

static const struct row group11_byte[8] = {
	{ op_mov, { E_B, I_B }, NOREAD },
};

static const struct row group11[8] = {
	{ op_mov, { E_V, I_Z }, NOREAD },
};

static const struct row one_byte[256] = {
	[0x00] = { op_add, { E_B, G_B }, LOCK },
	[0x01] = { op_add, { E_V, G_V }, LOCK },
	[0x02] = { op_add, { G_B, E_B } },
	[0x03] = { op_add, { G_V, E_V } },
	[0x04] = { op_add, { A_B, I_B } },
	[0x05] = { op_add, { A_V, I_Z } },
	[0x06] = { op_push_sreg, { 0 }, I64 },
	[0x07] = { op_pop_sreg, { 0 }, I64 },
	[0x08] = { op_or, { E_B, G_B }, LOCK },
	[0x09] = { op_or, { E_V, G_V }, LOCK },
	[0x0a] = { op_or, { G_B, E_B } },
	[0x0b] = { op_or, { G_V, E_V } },
	[0x0c] = { op_or, { A_B, I_B } },
	[0x0d] = { op_or, { A_V, I_Z } },
	[0x0e] = { op_push_sreg, { 0 }, I64 },
	[0x10] = { op_adc, { E_B, G_B }, LOCK },
	[0x11] = { op_adc, { E_V, G_V }, LOCK },
	[0x12] = { op_adc, { G_B, E_B } },
	[0x13] = { op_adc, { G_V, E_V } },
	[0x14] = { op_adc, { A_B, I_B } },
	[0x15] = { op_adc, { A_V, I_Z } },
	[0x16] = { op_push_sreg, { 0 }, I64 },
	[0x17] = { op_pop_sreg, { 0 }, I64 },
	[0x18] = { op_sbb, { E_B, G_B }, LOCK },
	[0x19] = { op_sbb, { E_V, G_V }, LOCK },
	[0x1a] = { op_sbb, { G_B, E_B } },
	[0x1b] = { op_sbb, { G_V, E_V } },
	[0x1c] = { op_sbb, { A_B, I_B } },
	[0x1d] = { op_sbb, { A_V, I_Z } },
	[0x1e] = { op_push_sreg, { 0 }, I64 },
	[0x1f] = { op_pop_sreg, { 0 }, I64 },
	[0x20] = { op_and, { E_B, G_B }, LOCK },
	[0x21] = { op_and, { E_V, G_V }, LOCK },
	[0x22] = { op_and, { G_B, E_B } },
	[0x23] = { op_and, { G_V, E_V } },
	[0x24] = { op_and, { A_B, I_B } },
	[0x25] = { op_and, { A_V, I_Z } },
	[0x27] = { op_daa_das, { 0 }, I64 },
	[0x28] = { op_sub, { E_B, G_B }, LOCK },
	[0x29] = { op_sub, { E_V, G_V }, LOCK },
	[0x2a] = { op_sub, { G_B, E_B } },
	[0x2b] = { op_sub, { G_V, E_V } },
	[0x2c] = { op_sub, { A_B, I_B } },
	[0x2d] = { op_sub, { A_V, I_Z } },
	[0x2f] = { op_daa_das, { 0 }, I64 },
	[0x30] = { op_xor, { E_B, G_B }, LOCK },
	[0x31] = { op_xor, { E_V, G_V }, LOCK },
	[0x32] = { op_xor, { G_B, E_B } },
	[0x33] = { op_xor, { G_V, E_V } },
	[0x34] = { op_xor, { A_B, I_B } },
	[0x35] = { op_xor, { A_V, I_Z } },
	[0x37] = { op_aaa_aas, { 0 }, I64 },
	[0x38] = { op_sub, { E_B, G_B }, NOWRITE },		/* CMP */
	[0x39] = { op_sub, { E_V, G_V }, NOWRITE },
	[0x3a] = { op_sub, { G_B, E_B }, NOWRITE },
	[0x3b] = { op_sub, { G_V, E_V }, NOWRITE },
	[0x3c] = { op_sub, { A_B, I_B }, NOWRITE },
	[0x3d] = { op_sub, { A_V, I_Z }, NOWRITE },
	[0x3f] = { op_aaa_aas, { 0 }, I64 },
	[0x40 ... 0x47] = { op_inc, { Z_V }, I64 },
	[0x48 ... 0x4f] = { op_dec, { Z_V }, I64 },
	[0x50 ... 0x57] = { op_push, { Z_V }, NOWRITE | D64 },
	[0x58 ... 0x5f] = { op_pop, { Z_V }, NOREAD | D64 },
	[0x60] = { op_pusha, { 0 }, I64 },
	[0x61] = { op_popa, { 0 }, I64 },
	[0x62] = { op_bound, { G_V, E_V }, RAW | I64 | MEMORY },
	[0x63] = { op_movsx, { G_V, E_D }, NOREAD },		/* MOVSXD */
	[0x68] = { op_push, { I_Z }, NOWRITE | D64 },
	[0x69] = { op_imul3, { G_V, E_V, I_Z }, NOREAD },
	[0x6a] = { op_push, { I_S }, NOWRITE | D64 },
	[0x6b] = { op_imul3, { G_V, E_V, I_S }, NOREAD },
	[0x6c] = { op_ins, { A_B }, RAW | STRING },
	[0x6d] = { op_ins, { A_Z }, RAW | STRING },
	[0x6e] = { op_outs, { A_B }, RAW | STRING },
	[0x6f] = { op_outs, { A_Z }, RAW | STRING },
	[0x70 ... 0x7f] = { op_jcc, { J_B }, RAW | F64 },
	[0x80] = { NULL, { E_B, I_B }, 0, group1 },
	[0x81] = { NULL, { E_V, I_Z }, 0, group1 },
	[0x82] = { NULL, { E_B, I_B }, I64, group1 },
	[0x83] = { NULL, { E_V, I_S }, 0, group1 },
	[0x84] = { op_and, { E_B, G_B }, NOWRITE },		/* TEST */
	[0x85] = { op_and, { E_V, G_V }, NOWRITE },
	[0x86] = { op_xchg, { E_B, G_B }, LOCK },
	[0x87] = { op_xchg, { E_V, G_V }, LOCK },
	[0x88] = { op_mov, { E_B, G_B }, NOREAD },
	[0x89] = { op_mov, { E_V, G_V }, NOREAD },
	[0x8a] = { op_mov, { G_B, E_B }, NOREAD },
	[0x8b] = { op_mov, { G_V, E_V }, NOREAD },
	[0x8c] = { op_mov_from_sreg, { E_V, S_W }, NOREAD },
	[0x8d] = { op_lea, { G_V, E_V }, NOREAD | NOLOAD },
	[0x8e] = { op_mov_to_sreg, { S_W, E_W }, NOREAD | NOWRITE },
	[0x8f] = { NULL, { E_V }, 0, group1a },
	[0x90] = { op_nop_pause, { Z_V, A_V } },
	[0x91 ... 0x97] = { op_xchg, { Z_V, A_V } },
	[0x98] = { op_cbw },
	[0x99] = { op_cwd },
	[0x9a] = { op_far_direct, { P_V }, RAW | I64 },
	[0x9b] = { op_fwait },
	[0x9c] = { op_pushf, { 0 }, D64 },
	[0x9d] = { op_popf, { 0 }, D64 },
	[0x9e] = { op_sahf },
	[0x9f] = { op_lahf },
	[0xa0] = { op_mov, { A_B, O_B }, NOREAD },
	[0xa1] = { op_mov, { A_V, O_V }, NOREAD },
	[0xa2] = { op_mov, { O_B, A_B }, NOREAD },
	[0xa3] = { op_mov, { O_V, A_V }, NOREAD },
	[0xa4] = { op_movs, { A_B }, RAW | STRING },
	[0xa5] = { op_movs, { A_V }, RAW | STRING },
	[0xa6] = { op_cmps, { A_B }, RAW | STRING | REPCC },
	[0xa7] = { op_cmps, { A_V }, RAW | STRING | REPCC },
	[0xa8] = { op_and, { A_B, I_B }, NOWRITE },		/* TEST */
	[0xa9] = { op_and, { A_V, I_Z }, NOWRITE },
	[0xaa] = { op_stos, { A_B }, RAW | STRING },
	[0xab] = { op_stos, { A_V }, RAW | STRING },
	[0xac] = { op_lods, { A_B }, RAW | STRING },
	[0xad] = { op_lods, { A_V }, RAW | STRING },
	[0xae] = { op_scas, { A_B }, RAW | STRING | REPCC },
	[0xaf] = { op_scas, { A_V }, RAW | STRING | REPCC },
	[0xb0 ... 0xb7] = { op_mov, { Z_B, I_B }, NOREAD },
	[0xb8 ... 0xbf] = { op_mov, { Z_V, I_V }, NOREAD },
	[0xc0] = { NULL, { E_B, I_B }, 0, group2 },
	[0xc1] = { NULL, { E_V, I_B }, 0, group2 },
	[0xc2] = { op_ret, { I_W }, RAW | F64 },
	[0xc3] = { op_ret, { 0 }, RAW | F64 },
	[0xc4] = { op_load_far_pointer, { G_V, E_V }, RAW | I64 | MEMORY },
	[0xc5] = { op_load_far_pointer, { G_V, E_V }, RAW | I64 | MEMORY },
	[0xc6] = { NULL, { E_B, I_B }, 0, group11_byte },
	[0xc7] = { NULL, { E_V, I_Z }, 0, group11 },
	[0xc8] = { op_enter, { I_W, I_B }, RAW | D64 },
	[0xc9] = { op_leave, { 0 }, D64 },
	[0xca] = { op_ret_far, { I_W }, RAW },
	[0xcb] = { op_ret_far, { 0 }, RAW },
	[0xcc] = { op_int3 },
	[0xcd] = { op_int, { I_B }, RAW },
	[0xce] = { op_into, { 0 }, I64 },
	[0xcf] = { op_iret },
	[0xd0] = { NULL, { E_B, ONE_B }, 0, group2 },
	[0xd1] = { NULL, { E_V, ONE_B }, 0, group2 },
	[0xd2] = { NULL, { E_B, CL_B }, 0, group2 },
	[0xd3] = { NULL, { E_V, CL_B }, 0, group2 },
	[0xd4] = { op_aam, { I_B }, RAW | I64 },
	[0xd5] = { op_aad, { I_B }, RAW | I64 },
	[0xd6] = { op_salc, { 0 }, I64 },
	[0xd7] = { op_xlat },
	[0xd8 ... 0xdf] = { op_x87, { E_W }, RAW },
	[0xe0 ... 0xe3] = { op_loop, { J_B }, RAW | F64 },
	[0xe4] = { op_in_out, { A_B, I_B }, RAW },
	[0xe5] = { op_in_out, { A_Z, I_B }, RAW },
	[0xe6] = { op_in_out, { A_B, I_B }, RAW },
	[0xe7] = { op_in_out, { A_Z, I_B }, RAW },
	[0xe8] = { op_call_relative, { J_Z }, RAW | F64 },
	[0xe9] = { jump_relative, { J_Z }, RAW | F64 },
	[0xea] = { op_far_direct, { P_V }, RAW | I64 },
	[0xeb] = { jump_relative, { J_B }, RAW | F64 },
	[0xec] = { op_in_out, { A_B }, RAW },
	[0xed] = { op_in_out, { A_Z }, RAW },
	[0xee] = { op_in_out, { A_B }, RAW },
	[0xef] = { op_in_out, { A_Z }, RAW },
	[0xf1] = { op_int3 },
	[0xf4] = { op_hlt, { 0 }, PRIV },
	[0xf5] = { op_flag },
	[0xf6] = { NULL, { E_B }, 0, group3_byte },
	[0xf7] = { NULL, { E_V }, 0, group3 },
	[0xf8] = { op_flag },
	[0xf9] = { op_flag },
	[0xfa] = { op_cli_sti },
	[0xfb] = { op_cli_sti },
	[0xfc] = { op_flag },
	[0xfd] = { op_flag },
	[0xfe] = { NULL, { E_B }, 0, group4 },
	[0xff] = { NULL, { E_V }, 0, group5 },
};

/* In 64-bit mode 63 is MOVSXD, elsewhere ARPL. */
static const struct row row_arpl = { NULL, { E_W, G_W }, PROT | I64 };

/* The 0F map. A row that is not here takes ModRM and is not emulated. */
static const struct row two_byte[256] = {
	[0x00] = { NULL, { E_W }, 0, group6 },
	[0x01] = { op_group7, { E_V }, RAW },
	[0x05] = { NULL, { 0 }, BARE },				/* SYSCALL */
	[0x06] = { op_clts, { 0 }, PRIV },
	[0x07] = { NULL, { 0 }, BARE },				/* SYSRET */
	[0x08] = { op_invd, { 0 }, PRIV },
	[0x09] = { op_invd, { 0 }, PRIV },
	[0x0b] = { op_ud },
	[0x0d] = { op_nop, { E_B }, RAW },			/* PREFETCHW */
	[0x0e] = { NULL, { 0 }, BARE },				/* FEMMS */
	[0x0f] = { NULL, { I_B }, MODRM },			/* 3DNow! */
	[0x10 ... 0x13] = { NULL, { 0 }, SEARCH },
	[0x16 ... 0x17] = { NULL, { 0 }, SEARCH },
	[0x18 ... 0x1f] = { op_nop, { E_B }, RAW },		/* hints */
	[0x20] = { op_mov_from_cr, { R_N, C_N }, NOREAD | PRIV },
	[0x21] = { op_mov_from_dr, { R_N, D_N }, NOREAD | PRIV },
	[0x22] = { op_mov_to_cr, { C_N, R_N }, NOREAD | NOWRITE | PRIV },
	[0x23] = { op_mov_to_dr, { D_N, R_N }, NOREAD | NOWRITE | PRIV },
	[0x28 ... 0x29] = { NULL, { 0 }, SEARCH },
	[0x2b] = { NULL, { 0 }, SEARCH },
	[0x30] = { op_wrmsr, { 0 }, PRIV },
	[0x31] = { op_rdtsc },
	[0x32] = { op_rdmsr, { 0 }, PRIV },
	[0x33] = { op_rdpmc },
	[0x34 ... 0x35] = { NULL, { 0 }, BARE },		/* SYSENTER */
	[0x37] = { NULL, { 0 }, BARE },				/* GETSEC */
	[0x40 ... 0x4f] = { op_cmovcc, { G_V, E_V } },
	[0x6e ... 0x6f] = { NULL, { 0 }, SEARCH },
	[0x70 ... 0x73] = { NULL, { I_B }, MODRM },
	[0x77] = { NULL, { 0 }, BARE },				/* EMMS */
	[0x78] = { NULL, { 0 }, SEARCH },
	[0x7e ... 0x7f] = { NULL, { 0 }, SEARCH },
	[0x80 ... 0x8f] = { op_jcc, { J_Z }, RAW | F64 },
	[0x90 ... 0x9f] = { op_setcc, { E_B }, NOREAD },
	[0xa0] = { op_push_sreg, { 0 }, D64 },
	[0xa1] = { op_pop_sreg, { 0 }, D64 },
	[0xa2] = { op_cpuid },
	[0xa3] = { op_bt, { E_V, G_V }, NOWRITE | BITS },
	[0xa4] = { op_shld, { E_V, G_V, I_B } },
	[0xa5] = { op_shld, { E_V, G_V, CL_B } },
	[0xa8] = { op_push_sreg, { 0 }, D64 },
	[0xa9] = { op_pop_sreg, { 0 }, D64 },
	[0xaa] = { NULL, { 0 }, BARE },				/* RSM */
	[0xab] = { op_bts, { E_V, G_V }, LOCK | BITS },
	[0xac] = { op_shrd, { E_V, G_V, I_B } },
	[0xad] = { op_shrd, { E_V, G_V, CL_B } },
	[0xae] = { op_group15, { E_V }, RAW },
	[0xaf] = { op_imul2, { G_V, E_V } },
	[0xb0] = { op_cmpxchg, { E_B, G_B }, LOCK },
	[0xb1] = { op_cmpxchg, { E_V, G_V }, LOCK },
	[0xb2] = { op_load_far_pointer, { G_V, E_V }, RAW | MEMORY },
	[0xb3] = { op_btr, { E_V, G_V }, LOCK | BITS },
	[0xb4] = { op_load_far_pointer, { G_V, E_V }, RAW | MEMORY },
	[0xb5] = { op_load_far_pointer, { G_V, E_V }, RAW | MEMORY },
	[0xb6] = { op_mov, { G_V, E_B }, NOREAD },		/* MOVZX */
	[0xb7] = { op_mov, { G_V, E_W }, NOREAD },
	[0xb8] = { op_popcnt, { G_V, E_V }, NOREAD },
	[0xb9] = { op_ud, { 0 }, MODRM },			/* UD1 */
	[0xba] = { NULL, { E_V, I_B }, 0, group8 },
	[0xbb] = { op_btc, { E_V, G_V }, LOCK | BITS },
	[0xbc] = { op_bsf_bsr, { G_V, E_V } },
	[0xbd] = { op_bsf_bsr, { G_V, E_V } },
	[0xbe] = { op_movsx, { G_V, E_B }, NOREAD },
	[0xbf] = { op_movsx, { G_V, E_W }, NOREAD },
	[0xc0] = { op_xadd, { E_B, G_B }, LOCK },
	[0xc1] = { op_xadd, { E_V, G_V }, LOCK },
	[0xc2] = { NULL, { I_B }, MODRM },
	[0xc3] = { op_movnti, { E_Y, G_Y }, RAW | MEMORY },
	[0xc4 ... 0xc6] = { NULL, { I_B }, MODRM },
	[0xc7] = { NULL, { E_V }, 0, group9 },
	[0xc8 ... 0xcf] = { op_bswap, { Z_V } },
	[0xd6] = { NULL, { 0 }, SEARCH },
	[0xe7] = { NULL, { 0 }, SEARCH },
	[0xf0] = { NULL, { 0 }, SEARCH },
	[0xff] = { op_ud, { 0 }, MODRM },			/* UD0 */
};

/* Selected by mandatory prefix or VEX: map, opcode, prefix, encodings. */
static const struct searched_row searched[] = {
	/* MOVUPS, MOVUPD, MOVSS, MOVSD */
	{ 2, 0x10, 0x00, OLD | VEX, { op_vec_move, { V_X, W_X }, RAW } },
	{ 2, 0x10, 0x66, OLD | VEX, { op_vec_move, { V_X, W_X }, RAW } },
	{ 2, 0x10, 0xf3, OLD | VEX, { op_vec_scalar, { V_D, W_D }, RAW } },
	{ 2, 0x10, 0xf2, OLD | VEX, { op_vec_scalar, { V_Q, W_Q }, RAW } },
	{ 2, 0x11, 0x00, OLD | VEX, { op_vec_move, { W_X, V_X }, RAW } },
	{ 2, 0x11, 0x66, OLD | VEX, { op_vec_move, { W_X, V_X }, RAW } },
	{ 2, 0x11, 0xf3, OLD | VEX, { op_vec_scalar, { W_D, V_D }, RAW } },
	{ 2, 0x11, 0xf2, OLD | VEX, { op_vec_scalar, { W_Q, V_Q }, RAW } },
	/* MOVLPS, MOVLPD, MOVHPS, MOVHPD */
	{ 2, 0x12, 0x00, OLD | VEX, { op_vec_part, { V_Q, W_Q }, RAW } },
	{ 2, 0x12, 0x66, OLD | VEX, { op_vec_part, { V_Q, W_Q }, RAW } },
	{ 2, 0x13, 0x00, OLD | VEX, { op_vec_part, { W_Q, V_Q }, RAW | MEMORY } },
	{ 2, 0x13, 0x66, OLD | VEX, { op_vec_part, { W_Q, V_Q }, RAW | MEMORY } },
	{ 2, 0x16, 0x00, OLD | VEX, { op_vec_part, { V_Q, W_Q }, RAW } },
	{ 2, 0x16, 0x66, OLD | VEX, { op_vec_part, { V_Q, W_Q }, RAW } },
	{ 2, 0x17, 0x00, OLD | VEX, { op_vec_part, { W_Q, V_Q }, RAW | MEMORY } },
	{ 2, 0x17, 0x66, OLD | VEX, { op_vec_part, { W_Q, V_Q }, RAW | MEMORY } },
	/* MOVAPS, MOVAPD, MOVNTPS, MOVNTPD */
	{ 2, 0x28, 0x00, OLD | VEX, { op_vec_move, { V_X, W_X }, RAW | ALIGN } },
	{ 2, 0x28, 0x66, OLD | VEX, { op_vec_move, { V_X, W_X }, RAW | ALIGN } },
	{ 2, 0x29, 0x00, OLD | VEX, { op_vec_move, { W_X, V_X }, RAW | ALIGN } },
	{ 2, 0x29, 0x66, OLD | VEX, { op_vec_move, { W_X, V_X }, RAW | ALIGN } },
	{ 2, 0x2b, 0x00, OLD | VEX, { op_vec_move, { W_X, V_X }, RAW | ALIGN | MEMORY } },
	{ 2, 0x2b, 0x66, OLD | VEX, { op_vec_move, { W_X, V_X }, RAW | ALIGN | MEMORY } },
	/* MOVD, MOVQ */
	{ 2, 0x6e, 0x00, OLD, { op_vec_move, { P_Y, E_Y }, RAW } },
	{ 2, 0x6e, 0x66, OLD | VEX, { op_vec_move, { V_Y, E_Y }, RAW } },
	{ 2, 0x7e, 0x00, OLD, { op_vec_move, { E_Y, P_Y }, RAW } },
	{ 2, 0x7e, 0x66, OLD | VEX, { op_vec_move, { E_Y, V_Y }, RAW } },
	{ 2, 0x7e, 0xf3, OLD | VEX, { op_vec_move, { V_Q, W_Q }, RAW } },
	{ 2, 0xd6, 0x66, OLD | VEX, { op_vec_move, { W_Q, V_Q }, RAW } },
	/* MOVQ (MMX), MOVDQA, MOVDQU; EVEX has the widths of the mask instead */
	{ 2, 0x6f, 0x00, OLD, { op_vec_move, { P_Q, Q_Q }, RAW } },
	{ 2, 0x6f, 0x66, OLD | VEX, { op_vec_move, { V_X, W_X }, RAW | ALIGN } },
	{ 2, 0x6f, 0xf3, OLD | VEX, { op_vec_move, { V_X, W_X }, RAW } },
	{ 2, 0x6f, 0xf2, VEX, { op_vec_move, { V_X, W_X }, RAW } },
	{ 2, 0x7f, 0x00, OLD, { op_vec_move, { Q_Q, P_Q }, RAW } },
	{ 2, 0x7f, 0x66, OLD | VEX, { op_vec_move, { W_X, V_X }, RAW | ALIGN } },
	{ 2, 0x7f, 0xf3, OLD | VEX, { op_vec_move, { W_X, V_X }, RAW } },
	{ 2, 0x7f, 0xf2, VEX, { op_vec_move, { W_X, V_X }, RAW } },
	/* MOVNTQ, MOVNTDQ, LDDQU, MOVNTDQA */
	{ 2, 0xe7, 0x00, OLD, { op_vec_move, { Q_Q, P_Q }, RAW | MEMORY } },
	{ 2, 0xe7, 0x66, OLD | VEX, { op_vec_move, { W_X, V_X }, RAW | ALIGN | MEMORY } },
	{ 2, 0xf0, 0xf2, OLD | VEX | NO_EVEX, { op_vec_move, { V_X, W_X }, RAW | MEMORY } },
	{ 3, 0x2a, 0x66, OLD | VEX, { op_vec_move, { V_X, W_X }, RAW | ALIGN | MEMORY } },
	/* EXTRQ and INSERTQ (SSE4a), for their length */
	{ 2, 0x78, 0x66, OLD, { NULL, { I_B, I_B }, MODRM } },
	{ 2, 0x78, 0xf2, OLD, { NULL, { I_B, I_B }, MODRM } },
	/* INVPCID */
	{ 3, 0x82, 0x66, OLD, { op_invpcid, { G_N, E_D }, RAW | PRIV | MEMORY } },
	/* MOVBE, CRC32, ADCX, ADOX */
	{ 3, 0xf0, 0x00, OLD, { op_movbe, { G_V, E_V }, NOREAD | MEMORY } },
	{ 3, 0xf0, 0x66, OLD, { op_movbe, { G_V, E_V }, NOREAD | MEMORY } },
	{ 3, 0xf0, 0xf2, OLD, { op_crc32, { G_Y, E_B } } },
	{ 3, 0xf1, 0x00, OLD, { op_movbe, { E_V, G_V }, NOREAD | MEMORY } },
	{ 3, 0xf1, 0x66, OLD, { op_movbe, { E_V, G_V }, NOREAD | MEMORY } },
	{ 3, 0xf1, 0xf2, OLD, { op_crc32, { G_Y, E_V } } },
	{ 3, 0xf6, 0x66, OLD, { op_adx, { G_Y, E_Y } } },
	{ 3, 0xf6, 0xf3, OLD, { op_adx, { G_Y, E_Y } } },
	/* BMI1 and BMI2 */
	{ 3, 0xf2, 0x00, VEX | NO_EVEX, { op_andn, { G_Y, B_Y, E_Y }, NOREAD | PROT } },
	{ 3, 0xf3, 0x00, VEX | NO_EVEX, { op_bls, { B_Y, E_Y }, NOREAD | PROT } },
	{ 3, 0xf5, 0x00, VEX | NO_EVEX, { op_bzhi, { G_Y, E_Y, B_Y }, NOREAD | PROT } },
	{ 3, 0xf5, 0xf2, VEX | NO_EVEX, { op_pdep, { G_Y, B_Y, E_Y }, NOREAD | PROT } },
	{ 3, 0xf5, 0xf3, VEX | NO_EVEX, { op_pext, { G_Y, B_Y, E_Y }, NOREAD | PROT } },
	{ 3, 0xf6, 0xf2, VEX | NO_EVEX, { op_mulx, { G_Y, B_Y, E_Y }, NOREAD | PROT } },
	{ 3, 0xf7, 0x00, VEX | NO_EVEX, { op_bextr, { G_Y, E_Y, B_Y }, NOREAD | PROT } },
	{ 3, 0xf7, 0x66, VEX | NO_EVEX, { op_shift_x, { G_Y, E_Y, B_Y }, NOREAD | PROT } },
	{ 3, 0xf7, 0xf2, VEX | NO_EVEX, { op_shift_x, { G_Y, E_Y, B_Y }, NOREAD | PROT } },
	{ 3, 0xf7, 0xf3, VEX | NO_EVEX, { op_shift_x, { G_Y, E_Y, B_Y }, NOREAD | PROT } },
	{ 4, 0xf0, 0xf2, VEX | NO_EVEX, { op_shift_x, { G_Y, E_Y, I_B }, NOREAD | PROT } },
};

/* Lengths of what is in no table. */
static const struct row row_modrm = { NULL, { 0 }, MODRM };
static const struct row row_modrm_imm8 = { NULL, { I_B }, MODRM };
static const struct row row_modrm_imm32 = { NULL, { I_D }, MODRM };

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
		return fault_gp(e, 0);	/* SDM 2A 2.3.11: too long */
	if (e->mode == EMU_LONG) {
		if (!canonical(e, offset))
			return fault_gp(e, 0);
		linear = offset;
	} else {
		cs = segment(e, EMU_CS);
		offset = (u32)offset;
		if (offset > cs->limit)
			return fault_gp(e, 0);
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
		return fault_ud(e);
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
			return fault_ud(e);
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

static const struct row *search(const struct emu *e)
{
	const struct searched_row *s;
	unsigned int i;

	for (i = 0; i < sizeof(searched) / sizeof(searched[0]); i++) {
		s = &searched[i];
		if (s->map == e->map && s->opcode == e->opcode &&
		    s->pp == e->vex_pp && s->vex & (e->vex ? VEX : OLD) &&
		    !(e->vex == 4 && s->vex & NO_EVEX))
			return &s->row;
	}
	return NULL;
}

/* The row of an opcode; NULL if not even its length is known. */
static const struct row *find_row(const struct emu *e)
{
	const struct row *row = NULL;

	if (e->map == 1) {
		if (e->opcode == 0x63 && e->mode != EMU_LONG)
			return &row_arpl;
		return &one_byte[e->opcode];
	}
	if (e->map == 2 && !e->vex && !(two_byte[e->opcode].flags & SEARCH))
		return &two_byte[e->opcode];
	if (e->vex != 5)
		row = search(e);
	if (row)
		return row;
	switch (e->map) {
	case 2:		/* an unknown one is as long as its old form */
		if (two_byte[e->opcode].kind[0] == I_B)
			return &row_modrm_imm8;
		return e->vex && e->opcode == 0x77 ? &two_byte[0x77] :
						     &row_modrm;
	case 3:		/* 0F38, and XOP maps below */
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
		return 1;
	case SZ_W:
		return 2;
	case SZ_D:
		return 4;
	case SZ_Q:
		return 8;
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
	unsigned int reg = e->modrm >> 3 & 7, rm = e->modrm & 7;
	unsigned int loc = KIND_LOC(kind), n;
	bool memory = e->modrm < 0xc0;
	int r = EMU_OK;

	o->loc = loc;
	o->size = operand_size(e, KIND_SIZE(kind));
	switch (loc) {
	case LOC_RM:
		o->loc = memory ? LOC_MEM : LOC_GPR;
		o->reg = rm | (e->rex & 1) << 3;
		break;
	case LOC_REG:
		o->loc = LOC_GPR;
		o->reg = reg | (e->rex & 4) << 1;
		break;
	case LOC_RM_GPR:
		o->loc = LOC_GPR;
		o->reg = rm | (e->rex & 1) << 3;
		break;
	case LOC_SREG:
		o->reg = reg;
		break;
	case LOC_CR:
	case LOC_DR:
		o->reg = reg | (e->rex & 4) << 1;
		break;
	case LOC_VEC:
		o->reg = reg | (e->rex & 4) << 1 | e->reg_high;
		break;
	case LOC_VEC_RM:
		o->loc = memory ? LOC_MEM : LOC_VEC;
		o->reg = rm | (e->rex & 1) << 3;
		if (e->vex == 4)
			o->reg |= (e->rex & 2) << 3;
		break;
	case LOC_MMX:
		o->reg = reg;
		break;
	case LOC_MMX_RM:
		o->loc = memory ? LOC_MEM : LOC_MMX;
		o->reg = rm;
		break;
	case LOC_VVVV:
		o->loc = LOC_GPR;
		o->reg = e->vex_reg;
		break;
	case LOC_OPC:
		o->loc = LOC_GPR;
		o->reg = (e->opcode & 7) | (e->rex & 1) << 3;
		break;
	case LOC_ACC:
		o->loc = LOC_GPR;
		o->reg = EMU_RAX;
		break;
	case LOC_CL:
		o->loc = LOC_GPR;
		o->reg = EMU_RCX;
		break;
	case LOC_ONE:
		o->val = 1;
		break;
	case LOC_IMM:
		n = o->size;
		if (KIND_SIZE(kind) == SZ_Z)
			o->size = e->op_size;
		r = fetch(e, n, &o->val);
		o->val = sign_extend(o->val, n) & size_mask(o->size);
		break;
	case LOC_IMM8:
		r = fetch(e, 1, &o->val);
		o->val = sign_extend(o->val, 1) & size_mask(o->size);
		break;
	case LOC_REL:
		r = fetch(e, o->size, &o->val);
		o->val = sign_extend(o->val, o->size);
		break;
	case LOC_OFFSET:
		o->loc = LOC_MEM;
		r = fetch(e, e->addr_size, &e->ea);
		break;
	case LOC_FAR:
		r = fetch(e, o->size, &o->val);
		if (r == EMU_OK)
			r = fetch(e, 2, &e->op[1].val);
		break;
	default:
		break;
	}
	return r;
}

/* Operand and address size before prefixes; everything else to nothing. */
static void decode_start(struct emu *e)
{
	e->length = 0;
	e->map = 0;
	e->opcode = 0;
	e->modrm = 0xc0;
	e->sib = 0;
	e->has_modrm = false;
	e->has_sib = false;
	e->lock = false;
	e->opsize_prefix = false;
	e->rep = 0;
	e->rex = 0;
	e->vex = 0;
	e->vex_reg = 0;
	e->vex_len = 16;
	e->vex_pp = 0;
	e->evex_bits = 0;
	e->reg_high = 0;
	e->ea = 0;
	e->run = NULL;
	e->flags = 0;
	memset(e->op, 0, sizeof(e->op));
	e->addr_size = e->mode == EMU_LONG ? 8 : e->mode == EMU_PROT32 ? 4 : 2;
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

	decode_start(e);
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
		o->val = gpr_read(e, o->reg, o->size);
		return EMU_OK;
	case LOC_MEM:
		o->val = 0;
		return mem_read(e, e->seg, e->ea, &o->val, o->size, access);
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
		gpr_write(e, o->reg, o->size, o->val);
		return EMU_OK;
	case LOC_MEM:
		if (!e->lock)
			return mem_write(e, e->seg, e->ea, &o->val, o->size);
		r = linearize(e, e->seg, e->ea, o->size, true, &linear);
		if (r != EMU_OK)
			return r;
		return lin_cmpxchg(e, linear, &e->lock_old, &o->val, o->size);
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
		return fault_ud(e);
	if ((e->flags & I64 && e->mode == EMU_LONG) ||
	    (e->flags & O64 && e->mode != EMU_LONG) ||
	    (e->flags & PROT && real_or_vm86(e)) ||
	    (e->flags & MEMORY && !memory) ||
	    !register_exists(&e->op[0], true) ||
	    !register_exists(&e->op[1], false))
		return fault_ud(e);
	if (e->flags & PRIV && e->cpl)
		return fault_gp(e, 0);
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

static void checkpoint(struct emu *e)
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
		checkpoint(e);
		log_clear(e);
		e->iterations++;
		if (e->iterations >= EMU_REP_MAX || e->rflags & FL_TF)
			return EMU_OK;
	}
	e->rip = e->next_rip;
	return EMU_OK;
}

static void start(struct emu *e)
{
	checkpoint(e);
	e->seg_cached = 0;
	e->shadow = 0;
	e->iterations = 0;
	e->log_pos = 0;
	e->writes_pos = 0;
	e->pending = false;
	if (!e->keep_bytes)
		e->nbytes = 0;
	e->keep_bytes = false;
}

static int finish(struct emu *e, int r)
{
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

	start(e);
	r = decode(e);
	e->keep_bytes = r == EMU_OK;
	return r;
}

int emu_run(struct emu *e)
{
	int r;

	start(e);
	r = decode(e);
	if (r == EMU_OK)
		r = check_allowed(e);
	if (r != EMU_OK)
		return finish(e, r);
	if (e->flags & STRING) {
		r = execute_string(e);
	} else {
		r = execute(e);
		e->rip = e->next_rip;
	}
	return finish(e, r);
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

int emu_real_interrupt(struct emu *e, u8 vector)
{
	int r;

	start(e);
	decode_start(e);
	e->op_size = 2;
	r = real_interrupt(e, vector, e->rip);
	e->rip = e->next_rip;
	return finish(e, r);
}

int emu_task_switch(struct emu *e, u16 selector, enum emu_task_reason reason,
		    bool has_error, u32 error)
{
	(void)e;
	(void)selector;
	(void)reason;
	(void)has_error;
	(void)error;
	return EMU_UNHANDLED;
}
