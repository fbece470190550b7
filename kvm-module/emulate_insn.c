// SPDX-License-Identifier: GPL-2.0-only
/*
 * emulate_insn.c - the instructions, and the opcode tables that name them
 *
 * Theory of operation. An instruction is a function named in a row of a table
 * at the end of this file. When it is called, its operands are in e->op[].val;
 * it leaves its result in e->op[0].val, and emulate.c stores it, wherever that
 * is. So most are one case of compute(): a value made of two others. Rows
 * flagged RAW load and store for themselves. Instructions that differ in one
 * detail share a function, which looks at e->what of the row, or at the opcode's
 * bits as the manual's tables do.
 *
 * A function may change registers freely: they are put back if the instruction
 * stops. Anything else (segments, control registers, MSRs) cannot be put back;
 * it is set last, and only if nothing has stopped it.
 */
#include "emulate_priv.h"

/* What a row's instruction does, if its function does several things. */
enum what {
	/* op_value(); these in the order of their opcodes and of ModRM.reg */
	ADD, OR, ADC, SBB, AND, SUB, XOR, CMP,
	ARITHMETIC, /* one of them, by opcode, or ModRM.reg in group 1 */
	MOV, MOVSX, LEA, NOT, NEG, INC_DEC, XCHG, CMPXCHG, MUL, IMUL, MULX, BSWAP, SETCC, CMOVCC,
	BIT_OP, CWD, PDEP, PEXT, POPCNT, ADX, CRC32,
	LAHF, SAHF, SALC, IN, OUT, LMSW, CLTS, RDTSC, RDTSCP,
	/* op_bmi(), op_bit_scan(), op_jmp(), op_vec_move() */
	ANDN, BLS, BZHI, BEXTR, BSF, BSR, JCC, PART,
};

/* op_shift(), in the order of ModRM.reg (SDM 2D table A-6); odd: to the right */
enum { ROL, ROR, RCL, RCR, SHL, SHR, SAL, SAR, SHLD, SHRD };

/* Could this be read, or with EMU_ACC_WRITE, written? */
static void probe(struct emu *e, u64 linear, unsigned int size, unsigned int access)
{
	emu_call(e, access, linear, NULL, size, access | EMU_ACC_PROBE);
}

static void set_operand(struct emu *e, void *buf, unsigned int size)
{
	emu_access(e, e->seg, e->ea, buf, size, EMU_ACC_WRITE);
}

/* ---- Flags and arithmetic ------------------------------------------------ */

/* ZF, SF and PF (of the low byte) of a result; of the others only @others are 1. */
static void result_flags(struct emu *e, u64 value, unsigned int size, u64 others)
{
	flags_change(e, FL_STATUS, others | flag_if(!(value & size_mask(size)), FL_ZF) |
		     flag_if(value & sign_bit(size), FL_SF) |
		     flag_if(!(hweight8(value) & 1), FL_PF));
}

static u64 arithmetic(struct emu *e, unsigned int what, u64 a, u64 b, unsigned int size)
{
	u64 top = sign_bit(size), r, carries = 0, overflow = 0;
	u64 carry = what == ADC || what == SBB ? e->rflags & FL_CF : 0;

	switch (what) {
	case ADD:
	case ADC:
		r = (a + b + carry) & size_mask(size);
		carries = (a & b) | ((a | b) & ~r);
		overflow = (a ^ r) & (b ^ r);
		break;
	case SUB:
	case SBB:
	case CMP:
		r = (a - b - carry) & size_mask(size);
		carries = (~a & b) | ((~a | b) & r);
		overflow = (a ^ b) & (a ^ r);
		break;
	default:
		r = what == AND ? a & b : what == OR ? a | b : a ^ b;
		break;
	}
	result_flags(e, r, size, flag_if(carries & top, FL_CF) | flag_if(carries & 8, FL_AF) |
		     flag_if(overflow & top, FL_OF));
	return r;
}

/* Bit after bit: in group 2 operand 0 by operand 1, else by operand 2. */
static void op_shift(struct emu *e)
{
	unsigned int size = e->op[0].size, what = e->map == 1 ? modrm_reg(e) : e->what;
	unsigned int n = e->op[e->map == 1 ? 1 : 2].val & (size == 8 ? 63 : 31);
	u64 v = e->op[e->flags & NOREAD ? 1 : 0].val, fill = e->op[1].val, top = sign_bit(size);
	bool left = !(what & 1), carry = e->rflags & FL_CF, in, out;

	e->op[0].val = v;
	/* By zero: flags stay, memory is not stored to. SHLD by too much is undefined. */
	if (!n || (what >= SHLD && n > size * 8)) {
		e->flags |= e->op[0].loc == MEMORY ? NOWRITE : 0;
		return;
	}
	while (n--) {
		out = v & (left ? top : 1);
		in = what <= ROR ? out : what <= RCR ? carry : what == SAR ? v & top :
		     what == SHLD ? fill & top : what == SHRD ? fill & 1 : false;
		fill = left ? fill << 1 : fill >> 1;
		v = left ? (v << 1 | in) & size_mask(size) : v >> 1 | (in ? top : 0);
		carry = out;
	}
	if (what >= SHL)
		result_flags(e, v, size, 0);
	flags_change(e, FL_CF | FL_OF, flag_if(carry, FL_CF) |
		     flag_if(left ? carry != !!(v & top) : (v ^ v << 1) & top, FL_OF));
	e->op[0].val = v;
}

/* CF and OF tell whether the low half is not the whole product. */
static u64 multiply(struct emu *e, u64 a, u64 b, bool with_sign, u64 *high)
{
	unsigned __int128 r = (unsigned __int128)a * b;
	unsigned int size = e->op[0].size;
	u64 low, whole;

	if (with_sign)
		r = (__int128)sign_extend(a, size) * sign_extend(b, size);
	low = (u64)r & size_mask(size);
	*high = (u64)(r >> size * 8) & size_mask(size);
	whole = with_sign && low & sign_bit(size) ? size_mask(size) : 0;
	flags_change(e, FL_CF | FL_OF, flag_if(*high != whole, FL_CF | FL_OF));
	return low;
}

static unsigned __int128 gpr_pair(const struct emu *e, unsigned int high, unsigned int low,
				  unsigned int size)
{
	return (unsigned __int128)emu_gpr(e, high, size) << size * 8 | emu_gpr(e, low, size);
}

/* DIV and IDIV: the magnitudes are divided, then the signs put back. */
static void op_div(struct emu *e)
{
	unsigned int size = e->op[0].size;
	bool with_sign = e->modrm & 8, negative, opposite;
	u64 by = e->op[0].val, rest = 0, quotient = 0;
	unsigned __int128 n;

	n = size == 1 ? e->regs[EMU_RAX] & 0xffff : gpr_pair(e, EMU_RDX, EMU_RAX, size);
	if (with_sign)
		by = sign_extend(by, size);
	if (with_sign && size < 8)
		n = sign_extend(n, size * 2);
	negative = with_sign && (u64)(n >> 64) >> 63;
	opposite = negative != (with_sign && by >> 63);
	if (negative)
		n = -n;
	if (with_sign && by >> 63)
		by = -by;
	if ((u64)(n >> 64) >= by)	/* zero, or far too small */
		return emu_raise(e, X86_TRAP_DE, 0);
	/* C's own division of this width is a call that the kernel does not have. */
	asm("divq %4" : "=a" (quotient), "=d" (rest)
	    : "a" ((u64)n), "d" ((u64)(n >> 64)), "r" (by) : "cc");
	raise_if(e, quotient > (with_sign ? sign_bit(size) - !opposite : size_mask(size)),
		 X86_TRAP_DE, 0);
	emu_set_wide(e, negative ? -rest : rest, opposite ? -quotient : quotient, size);
}

/* Decimal adjustments (not in 64-bit mode). */
static void op_daa_das(struct emu *e)
{
	bool half = (e->op[0].val & 15) > 9 || e->rflags & FL_AF, subtract = e->opcode == 0x2f;
	bool high = e->op[0].val > 0x99 || e->rflags & FL_CF;
	u64 al = e->op[0].val, by = (half ? 6 : 0) + (high ? 0x60 : 0);

	high |= subtract && half && al < 6;
	e->op[0].val = (subtract ? al - by : al + by) & 0xff;
	result_flags(e, e->op[0].val, 1, flag_if(half, FL_AF) | flag_if(high, FL_CF));
}

static void op_aaa_aas(struct emu *e)
{
	u64 ax = e->op[0].val;
	bool adjust = (ax & 15) > 9 || e->rflags & FL_AF;

	if (adjust)
		ax = e->opcode == 0x37 ? ax + 0x106 : ax - 0x106;
	e->op[0].val = ax & 0xff0f;
	result_flags(e, ax & 15, 1, flag_if(adjust, FL_CF | FL_AF));
}

static void op_aam_aad(struct emu *e)
{
	u64 ah = e->op[0].val >> 8, al = e->op[0].val & 0xff, by = e->op[1].val;

	if (e->opcode == 0xd5) {
		al = (al + ah * by) & 0xff;
		ah = 0;
	} else if (by) {
		ah = al / by;
		al %= by;
	} else {
		emu_raise(e, X86_TRAP_DE, 0);
	}
	e->op[0].val = ah << 8 | al;
	result_flags(e, al, 1, 0);
}

/* ---- Values, bits, conditions -------------------------------------------- */

/* SDM vol. 1 appendix B: condition codes, bit 0 negates. */
static bool condition(const struct emu *e)
{
	static const u16 any_of[8] = {
		FL_OF, FL_CF, FL_ZF, FL_CF | FL_ZF, FL_SF, FL_PF, 0, FL_ZF,
	};
	unsigned int what = e->opcode >> 1 & 7;
	bool less = !(e->rflags & FL_SF) != !(e->rflags & FL_OF);
	bool r = e->rflags & any_of[what] || (what >= 6 && less);

	return r != (e->opcode & 1);
}

/* SDM vol. 1 chapter 19: IOPL, else the bitmap in a 32- or 64-bit TSS. */
static void port_check(struct emu *e, u16 port, unsigned int size)
{
	const struct kvm_segment *tr = emu_segment(e, SEG_TR);
	u32 at, bits;

	if (e->mode == EMU_REAL || (e->mode != EMU_VM86 && e->cpl <= iopl(e)))
		return;
	gp_if(e, tr->unusable || (tr->type & 13) != 9 || tr->limit < 0x67);
	at = emu_system_load(e, tr->base + 0x66, 2) + port / 8;
	gp_if(e, at + 1 > tr->limit);
	bits = emu_system_load(e, tr->base + at, 2);
	gp_if(e, bits >> (port & 7) & ((1u << size) - 1));
}

/* PDEP puts the low bits of @from where @mask has ones, PEXT is the other way. */
static u64 spread(u64 from, u64 mask, bool deposit)
{
	u64 r = 0, bit = 1, low;

	for (; mask; mask &= mask - 1, bit <<= 1) {
		low = mask & -mask;
		if (from & (deposit ? bit : low))
			r |= deposit ? low : bit;
	}
	return r;
}

/* What an instruction makes of its operands, for operand 0. */
static u64 compute(struct emu *e, unsigned int what, u64 a, u64 b)
{
	u64 carry = e->rflags & FL_CF, flag, r = 0;
	unsigned int size = e->op[0].size;

	switch (what) {
	case ARITHMETIC:
		what = e->opcode < 0x40 ? e->opcode >> 3 : modrm_reg(e);
		return arithmetic(e, what, a, b, size);
	case MOVSX:	return sign_extend(b, e->op[1].size);
	case LEA:	return e->ea;
	case NOT:	return ~a;
	case NEG:	return arithmetic(e, SUB, 0, a, size);
	case INC_DEC:	/* CF stays */
		what = (e->opcode < 0x50 ? e->opcode : e->modrm) & 8 ? SUB : ADD;
		r = arithmetic(e, what, a, 1, size);
		flags_change(e, FL_CF, carry);
		return r;
	case XCHG:
		e->lock |= e->op[0].loc == MEMORY;
		return b;
	case CMPXCHG:	/* if they differ memory is written all the same, a register is not */
		arithmetic(e, CMP, emu_gpr(e, EMU_RAX, size), a, size);
		if (e->rflags & FL_ZF)
			return b;
		emu_set_gpr(e, EMU_RAX, size, a);
		e->flags |= e->op[0].loc == MEMORY ? 0 : NOWRITE;
		return a;
	case MUL:	/* also IMUL: group 3 */
		a = multiply(e, e->regs[EMU_RAX] & size_mask(size), a, e->modrm & 8, &r);
		emu_set_wide(e, r, a, size);
		return 0;
	case IMUL:	/* two operands, or three of which the first is only written */
		return multiply(e, b, e->op[2].loc ? e->op[2].val : a, true, &r);
	case MULX:	/* the low half goes to VEX.vvvv first */
		a = multiply(e, e->regs[EMU_RDX] & size_mask(size), e->op[2].val, false, &r);
		emu_set_gpr(e, e->op[1].reg, size, a);
		return r;
	case BSWAP:	/* and MOVBE; of 16 bits in a register it is undefined */
		unknown_if(e, e->map == 2 && size == 2);
		return __builtin_bswap64(b) >> (64 - size * 8);
	case SETCC:	return condition(e);
	case CMOVCC:
		return condition(e) ? b : a;
	case BIT_OP:	/* 0 is BT, which does not write, 1 BTS, 2 BTR, 3 BTC */
		what = (e->opcode == 0xba ? modrm_reg(e) : e->opcode >> 3) & 3;
		b = 1ull << (b & (size * 8 - 1));
		flags_change(e, FL_CF, flag_if(a & b, FL_CF));
		return what == 1 ? a | b : what == 2 ? a & ~b : a ^ b;
	case PDEP:	return spread(b, e->op[2].val, true);
	case PEXT:	return spread(b, e->op[2].val, false);
	case POPCNT:
		unknown_if(e, e->rep != 0xf3);
		r = hweight64(b);
		flags_change(e, FL_STATUS, flag_if(!r, FL_ZF));
		return r;
	case CWD:
		return b & sign_bit(size) ? ~0ull : 0;
	case ADX:	/* ADCX and ADOX: the carry chain runs through one flag only */
		flag = e->vex_pp == 0x66 ? FL_CF : FL_OF;
		r = (a + b + !!(e->rflags & flag)) & size_mask(size);
		carry = ((a & b) | ((a | b) & ~r)) & sign_bit(size);
		flags_change(e, flag, flag_if(carry, flag));
		return r;
	case CRC32:	/* the Castagnoli polynomial, bits reflected */
		r = (u32)a;
		for (unsigned int i = 0; i < e->op[1].size * 8; i++, b >>= 1)
			r = r >> 1 ^ ((r ^ b) & 1 ? 0x82f63b78u : 0);
		return r;
	default:	return arithmetic(e, what, a, b, size);
	}
}

/* The same for what looks at more of the processor than its operands. */
static u64 compute_system(struct emu *e, unsigned int what, u64 a, u64 b)
{
	u64 mask = X86_CR0_MP | X86_CR0_EM | X86_CR0_TS, r;
	unsigned int size = e->op[0].size;

	switch (what) {
	case LAHF:
		r = (e->rflags & FL_STATUS & ~FL_OF) | X86_EFLAGS_FIXED;
		return (a & 0xff) | r << 8;
	case SAHF:
		flags_change(e, FL_STATUS & ~FL_OF, a >> 8);
		return 0;
	case SALC:	return 0xff * (e->rflags & FL_CF); /* CF is bit 0 */
	case IN:
	case OUT:
		port_check(e, b, size);
		r = what == OUT ? a : 0;
		emu_port_io(e, b, size, &r, 1, what == OUT);
		return r;
	case LMSW:	/* sets PE, MP, EM and TS, but cannot clear PE */
		return (a & ~mask) | (b & (mask | X86_CR0_PE));
	case CLTS:	return a & ~X86_CR0_TS;
	default:	/* RDTSC, RDTSCP */
		gp_if(e, e->cpl && cr(e, 4) & X86_CR4_TSD);
		if (what == RDTSCP)
			merge(&e->regs[EMU_RCX], emu_rdmsr(e, MSR_TSC_AUX), 4);
		return emu_rdmsr(e, MSR_IA32_TSC);
	}
}

static void op_value(struct emu *e)
{
	u64 old = e->op[0].val, b = e->op[1].val;

	e->op[0].val = e->what == MOV ? b : e->what < LAHF ? compute(e, e->what, old, b) :
		       compute_system(e, e->what, old, b);
	if (e->flags & SWAP)
		emu_set_gpr(e, e->op[1].reg, e->op[1].size, old);
}

/* CMPXCHG8B and CMPXCHG16B */
static void op_cmpxchg_wide(struct emu *e)
{
	unsigned int half = e->rex & 8 ? 8 : 4, size = half * 2;
	unsigned __int128 new = gpr_pair(e, EMU_RCX, EMU_RBX, half), was = 0;
	u64 linear = emu_linearize(e, e->seg, e->ea, size, true);

	gp_if(e, half == 8 && linear & 15);
	emu_lin_access(e, linear, &was, size, EMU_ACC_RMW);
	memcpy(e->lock_old, &was, size);
	flags_change(e, FL_ZF, flag_if(was == gpr_pair(e, EMU_RDX, EMU_RAX, half), FL_ZF));
	if (!(e->rflags & FL_ZF)) {
		new = was;
		emu_set_wide(e, was >> half * 8, was, half);
	}
	emu_lin_access(e, linear, &new, size, EMU_ACC_WRITE | EMU_ACC_LAST);
}

static u64 low_bits(u64 value, unsigned int n)
{
	return n < 64 ? value & ((1ull << n) - 1) : value;
}

/* BMI1 and BMI2: flags are of the result, and CF */
static void op_bmi(struct emu *e)
{
	unsigned int size = e->op[0].size, n = e->op[2].val & 0xff;
	u64 v = e->op[1].val, r;
	bool carry = false;

	switch (e->what) {
	case ANDN:
		r = ~v & e->op[2].val;
		break;
	case BZHI:
		r = low_bits(v, n);
		carry = n >= size * 8;
		break;
	case BEXTR:
		r = low_bits(n < 64 ? v >> n : 0, e->op[2].val >> 8 & 0xff);
		break;
	default:	/* BLSR, BLSMSK, BLSI by ModRM.reg */
		ud_if(e, modrm_reg(e) < 1 || modrm_reg(e) > 3);
		r = modrm_reg(e) == 1 ? v & (v - 1) : modrm_reg(e) == 2 ? v ^ (v - 1) : v & -v;
		carry = !v == (modrm_reg(e) != 3);
	}
	e->op[0].val = r;
	result_flags(e, r, size, flag_if(carry, FL_CF));
}

/*
 * BSF, BSR, and with F3 TZCNT, LZCNT. BSF and BSR of zero leave the destination
 * as it is (AMD says so, Intel does so).
 */
static void op_bit_scan(struct emu *e)
{
	int bits = e->op[0].size * 8, n = bits;
	u64 v = e->op[1].val;

	if (v)
		n = e->what == BSF ? __builtin_ctzll(v) : __builtin_clzll(v) - 64 + bits;
	if (e->rep == 0xf3) {
		flags_change(e, FL_CF | FL_ZF, flag_if(!v, FL_CF) | flag_if(!n, FL_ZF));
		e->op[0].val = n;
		return;
	}
	flags_change(e, FL_ZF, flag_if(!v, FL_ZF));
	e->op[0].val = e->what == BSF ? n : bits - 1 - n;
	if (!v)
		e->flags |= NOWRITE;
}

/* CMC, CLC, STC, CLD, STD */
static void op_flag(struct emu *e)
{
	u64 flag = e->opcode >= 0xfc ? X86_EFLAGS_DF : FL_CF;

	flags_change(e, flag, e->opcode == 0xf5 ? ~e->rflags : flag_if(e->opcode & 1, flag));
}

/* Also what is about caches: the host keeps them coherent. */
static void op_nop(struct emu *e)
{
}

/* 90 is XCHG rAX, rAX, but as NOP it must not clear the upper half. */
static void op_nop_or_xchg(struct emu *e)
{
	if (e->rex & 1)
		return op_value(e);
	e->flags |= NOWRITE;
}

static void op_ud(struct emu *e)
{
	emu_raise(e, X86_TRAP_UD, 0);
}

/* ---- Stack and near transfers -------------------------------------------- */

static void op_pusha(struct emu *e)
{
	u64 sp = e->regs[EMU_RSP];

	for (unsigned int i = 0; i < 8; i++)
		emu_push(e, i == EMU_RSP ? sp : e->regs[i], e->op_size);
}

static void op_popa(struct emu *e)
{
	for (int i = 7; i >= 0; i--) {
		u64 value = emu_pop(e, e->op_size);

		if (i != EMU_RSP)
			merge(&e->regs[i], value, e->op_size);
	}
}

static void op_enter(struct emu *e)
{
	unsigned int size = e->op_size, level = e->op[1].val & 31;
	u64 bp = e->regs[EMU_RBP], mask = size_mask(emu_stack_size(e)), frame;

	emu_push(e, bp, size);
	frame = e->regs[EMU_RSP];
	for (unsigned int i = 1; i < level; i++) {
		bp -= size;
		emu_push(e, emu_load(e, SEG_SS, bp & mask, size), size);
	}
	if (level)
		emu_push(e, frame, size);
	merge(&e->regs[EMU_RBP], frame, size);
	emu_move_stack(e, e->regs[EMU_RSP] - e->op[0].val);
	/* SDM: the new top of the stack must be writable. */
	probe(e, emu_linearize(e, SEG_SS, e->regs[EMU_RSP] & mask, 1, true), 1, EMU_ACC_WRITE);
}

static void op_leave(struct emu *e)
{
	emu_move_stack(e, e->regs[EMU_RBP]);
	merge(&e->regs[EMU_RBP], emu_pop(e, e->op_size), e->op_size);
}

/*
 * JMP near and Jcc, relative or to the operand. 66 before a near branch in 64-bit mode
 * is honoured by AMD and not by Intel: not guessed.
 */
static void op_jmp(struct emu *e)
{
	u64 target;

	if (e->what == JCC && !condition(e))
		return;
	unknown_if(e, e->mode == EMU_LONG && e->opsize_prefix);
	target = (e->op[0].val + (e->op[0].loc == 'J' ? e->next_rip : 0)) & size_mask(e->op_size);
	gp_if(e, e->mode == EMU_LONG ? !emu_canonical(e, target) :
				       target > emu_segment(e, SEG_CS)->limit);
	e->next_rip = target;
}

/* LOOPNE, LOOPE, LOOP, JCXZ: the counter has the address size. */
static void op_loop(struct emu *e)
{
	u64 count = e->regs[EMU_RCX] & size_mask(e->addr_size);
	bool zero = e->rflags & FL_ZF, take = !count;

	if (e->opcode != 0xe3) {
		merge(&e->regs[EMU_RCX], count - 1, e->addr_size);
		take = count != 1 && (e->opcode == 0xe2 || zero == (e->opcode == 0xe1));
	}
	if (take)
		op_jmp(e);
}

static void op_call(struct emu *e)
{
	u64 back = e->next_rip;

	op_jmp(e);
	emu_push(e, back, e->op_size);
}

/* RET and RET n; without n operand 1 is 0. */
static void op_ret(struct emu *e)
{
	emu_move_stack(e, e->regs[EMU_RSP] + e->op[1].val);
	op_jmp(e);
}

static void op_bound(struct emu *e)
{
	unsigned int size = e->op_size;
	s64 index = sign_extend(e->op[0].val, size), low = sign_extend(e->op[1].val, size);
	s64 high = sign_extend(emu_operand(e, size, size), size);

	raise_if(e, index < low || index > high, X86_TRAP_BR, 0);
}

/* ---- Strings of ports ---------------------------------------------------- */

/*
 * How many items of a repeated INS or OUTS go in one batch: upwards, without
 * crossing a page, wrapping the index register or leaving the segment.
 */
static unsigned int batch_count(struct emu *e, unsigned int seg, unsigned int reg,
				unsigned int size, u64 *linear)
{
	u64 mask = size_mask(e->addr_size), offset = e->regs[reg] & mask;
	u64 left = e->rep ? e->regs[EMU_RCX] & mask : 1;
	bool write = reg == EMU_RDI;

	*linear = emu_linearize(e, seg, offset, size, write);
	if (stopped(e) || e->rflags & (X86_EFLAGS_DF | X86_EFLAGS_TF))
		return 1;
	left = min(left, min(4096 - (*linear & 4095), EMU_PIO_MAX) / size);
	if (left <= 1 || offset + left * size - 1 > mask)
		return 1;
	emu_linearize(e, seg, offset, left * size, write);
	if (!stopped(e))
		return left;
	e->status = EMU_OK;	/* all of them do not fit, but one does */
	return 1;
}

/* INS and OUTS: a batch, which counts as one iteration. */
static void op_ins_outs(struct emu *e)
{
	bool out = e->opcode & 2;
	unsigned int seg = out ? e->seg : SEG_ES, reg = out ? EMU_RSI : EMU_RDI;
	unsigned int size = e->op[0].size, count;
	u16 port = (u16)e->regs[EMU_RDX];
	u64 linear;

	port_check(e, port, size);
	count = batch_count(e, seg, reg, size, &linear);
	for (;; count = 1) {
		if (out)
			emu_lin_access(e, linear, e->pio, size * count, 0);
		else
			probe(e, linear, size * count, EMU_ACC_WRITE);
		if (count == 1 || e->status != EMU_UNHANDLED)
			break;
		e->status = EMU_OK;	/* a device's memory, item by item */
	}
	emu_port_io(e, port, size, e->pio, count, out);
	if (!out)
		emu_lin_access(e, linear, e->pio, size * count, EMU_ACC_WRITE);
	emu_string_advance(e, reg, size * count);
	if (e->rep)	/* execute_string() counts the last one */
		merge(&e->regs[EMU_RCX], e->regs[EMU_RCX] - (count - 1), e->addr_size);
}

/* ---- System instructions ------------------------------------------------- */

static void op_cli_sti(struct emu *e)
{
	bool set = e->opcode == 0xfb;

	if (e->mode != EMU_REAL && e->cpl > iopl(e)) {
		unknown_if(e, e->cpl == 3 && cr(e, 4) & X86_CR4_PVI);
		emu_raise(e, X86_TRAP_GP, 0);
	}
	if (set && !(e->rflags & X86_EFLAGS_IF))
		e->shadow = KVM_X86_SHADOW_INT_STI;
	flags_change(e, X86_EFLAGS_IF, set ? X86_EFLAGS_IF : 0);
}

/* What only the owner can do. */
static void op_control(struct emu *e)
{
	emu_call(e, control, e->what, 0, NULL);
}

static void op_cpuid(struct emu *e)
{
	struct kvm_cpuid_entry2 answer;

	e->ops->cpuid(e, e->regs[EMU_RAX], e->regs[EMU_RCX], &answer);
	e->regs[EMU_RAX] = answer.eax;
	e->regs[EMU_RBX] = answer.ebx;
	e->regs[EMU_RCX] = answer.ecx;
	e->regs[EMU_RDX] = answer.edx;
}

/* SGDT, SIDT, LGDT, LIDT, by ModRM.reg; with 16-bit operands LGDT's base has 24 bits. */
static void op_table(struct emu *e)
{
	unsigned int which = modrm_reg(e) & 1 ? SEG_IDTR : SEG_GDTR;
	unsigned int size = e->mode == EMU_LONG ? 10 : 6;
	struct kvm_segment t = *emu_segment(e, which);
	struct { u16 limit; u64 base; } __packed image = { t.limit, t.base };

	if (modrm_reg(e) < 2)
		return set_operand(e, &image, size);
	emu_access(e, e->seg, e->ea, &image, size, 0);
	t.limit = image.limit;
	t.base = image.base & size_mask(e->mode == EMU_LONG ? 8 : e->op_size == 2 ? 3 : 4);
	gp_if(e, !emu_canonical(e, t.base));
	emu_set_segment(e, which, t);
}

static void op_swapgs(struct emu *e)
{
	struct kvm_segment gs = *emu_segment(e, SEG_GS);
	u64 base;

	ud_if(e, e->mode != EMU_LONG);
	gp_if(e, e->cpl);
	base = emu_rdmsr(e, MSR_KERNEL_GS_BASE);
	emu_call(e, msr, MSR_KERNEL_GS_BASE, &gs.base, true);
	gs.base = base;
	emu_set_segment(e, SEG_GS, gs);
}

static void op_invlpg(struct emu *e)
{
	u64 linear = e->ea;

	if (e->mode != EMU_LONG || e->seg == SEG_FS || e->seg == SEG_GS)
		linear += emu_segment(e, e->seg)->base;
	if (e->mode != EMU_LONG)
		linear = (u32)linear;
	if (emu_canonical(e, linear))	/* SDM: else a no-operation */
		emu_call(e, control, EMU_CTL_INVLPG, linear, NULL);
}

/* RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE, by ModRM.reg */
static void op_fsgsbase(struct emu *e)
{
	unsigned int seg = e->modrm & 8 ? SEG_GS : SEG_FS;
	struct kvm_segment s = *emu_segment(e, seg);

	ud_if(e, e->mode != EMU_LONG || !(cr(e, 4) & X86_CR4_FSGSBASE));
	if (!(e->modrm & 0x10)) {
		e->op[0].val = s.base;
		return;
	}
	s.base = e->op[0].val;
	gp_if(e, !emu_canonical(e, s.base));
	emu_set_segment(e, seg, s);
}

/* CLFLUSH, CLFLUSHOPT, CLWB: nothing but the faults of a load */
static void op_clflush(struct emu *e)
{
	probe(e, emu_linearize(e, e->seg, e->ea, 1, false), 1, 0);
}

/* ---- x87, MMX, SSE and AVX: moves and control words ---------------------- */

/* #NM if CR0 has any of @nm. */
static void fpu_begin(struct emu *e, u64 nm)
{
	raise_if(e, cr(e, 0) & nm, X86_TRAP_NM, 0);
	emu_call(e, fpu, &e->fpu, false);
	e->fpu.zeroed = 0;
}

static void vector_begin(struct emu *e, bool mmx)
{
	u64 cr4 = cr(e, 4), xcr0 = 0;

	if (e->vex) {
		ud_if(e, real_or_vm86(e) || !(cr4 & X86_CR4_OSXSAVE));
		emu_call(e, control, EMU_CTL_XGETBV, 0, &xcr0);
		ud_if(e, (xcr0 & 6) != 6);
	} else {
		ud_if(e, cr(e, 0) & X86_CR0_EM || (!mmx && !(cr4 & X86_CR4_OSFXSR)));
	}
	fpu_begin(e, X86_CR0_TS);
}

/* VEX clears what is not moved to, the old encodings keep the upper half. */
static void vec_set(struct emu *e, unsigned int reg, const u8 buf[32])
{
	memcpy(e->fpu.xmm[reg], buf, 16);
	if (!e->vex)
		return;
	memcpy(e->fpu.ymm_high[reg], buf + 16, 16);
	e->fpu.zeroed |= 1u << reg;
}

/* What waits reports earlier exceptions first; without NE by an interrupt. */
static void x87_wait(struct emu *e)
{
	bool error = e->fpu.sw & 0x80;

	unknown_if(e, error && !(cr(e, 0) & X86_CR0_NE));
	raise_if(e, error, X86_TRAP_MF, 0);
}

/* MMX instructions set the top of the x87 stack to 0 and mark all of it used. */
static void mmx_begin(struct emu *e)
{
	unsigned int top = e->fpu.sw >> 11 & 7;
	u8 st[8][16];

	x87_wait(e);
	memcpy(st, e->fpu.st, sizeof(st));
	for (unsigned int i = 0; i < 8; i++)
		memcpy(e->fpu.st[i], st[(i - top) & 7], 16);
	e->fpu.sw &= ~0x3800u;
	e->fpu.tags = 0xff;
}

/*
 * Moves between registers of any kind and memory. MOVLPS, MOVLPD, MOVHPS and
 * MOVHPD move a part of a vector register; VEX takes the rest from another one.
 */
static void op_vec_move(struct emu *e)
{
	const struct emu_operand *to = &e->op[0], *from = &e->op[1];
	bool mmx = to->loc == 'P' || from->loc == 'P', part = e->what == PART;
	unsigned int at = part && e->opcode >= 0x16 ? 8 : 0;
	u8 buf[32] = { 0 };
	const u8 *reg;
	u64 low;

	/* MOVSS, MOVSD, MOVHLPS, MOVLHPS: with two registers they are other moves. */
	unknown_if(e, e->opcode < 0x18 && to->size < 16 && to->loc == from->loc);
	vector_begin(e, mmx);
	if (mmx)
		mmx_begin(e);
	if (part && to->loc == 'V')
		memcpy(buf, e->fpu.xmm[e->vex ? e->vex_reg : to->reg], 16);
	reg = from->loc == 'V' ? e->fpu.xmm[from->reg] :
	      from->loc == 'P' ? e->fpu.st[from->reg] : (u8 *)&e->regs[from->reg];
	if (from->loc == MEMORY)
		emu_access(e, e->seg, e->ea, buf + at, from->size, 0);
	else
		memcpy(buf, reg + at, min(from->size, 16));
	if (from->loc == 'V' && from->size == 32)
		memcpy(buf + 16, e->fpu.ymm_high[from->reg], 16);
	memcpy(&low, buf, 8);
	if (to->loc == MEMORY)
		set_operand(e, buf, to->size);
	else if (to->loc == 'G')
		emu_set_gpr(e, to->reg, to->size, low);
	else if (to->loc == 'V')
		vec_set(e, to->reg, buf);
	else
		memset(memcpy(e->fpu.st[to->reg], buf, 8) + 8, 0xff, 2);
	if (mmx || to->loc == 'V')
		emu_call(e, fpu, &e->fpu, true);
}

/* SW.ES and B tell whether SW has an exception that CW does not mask. */
static void x87_set_words(struct emu *e, u16 cw, u16 sw)
{
	e->fpu.cw = cw;
	e->fpu.sw = (sw & 0x7f7f) | (sw & ~cw & 0x3f ? 0x8080 : 0);
	emu_call(e, fpu, &e->fpu, true);
}

static void op_fwait(struct emu *e)
{
	fpu_begin(e, cr(e, 0) & X86_CR0_MP ? X86_CR0_TS : 0);
	x87_wait(e);
}

/* D8 to DF: control instructions only. */
static void op_x87(struct emu *e)
{
	bool memory = e->op[0].loc == MEMORY;

	fpu_begin(e, X86_CR0_EM | X86_CR0_TS);
	switch (e->opcode << 8 | (memory ? modrm_reg(e) : e->modrm)) {
	case 0xdbe3:		/* FNINIT */
		memset(&e->fpu, 0, offsetof(struct emu_fpu, mxcsr));
		return x87_set_words(e, 0x37f, 0);
	case 0xdbe2:		/* FNCLEX */
		return x87_set_words(e, e->fpu.cw, e->fpu.sw & 0x7f00);
	case 0xdfe0:		/* FNSTSW AX */
		return merge(&e->regs[EMU_RAX], e->fpu.sw, 2);
	case 0xd905:		/* FLDCW */
		x87_wait(e);
		return x87_set_words(e, emu_operand(e, 0, 2) & ~0xe080u, e->fpu.sw);
	case 0xd907:		/* FNSTCW */
		return set_operand(e, &e->fpu.cw, 2);
	case 0xdd07:		/* FNSTSW */
		return set_operand(e, &e->fpu.sw, 2);
	default:
		emu_stop(e, EMU_UNHANDLED);
	}
}

/* LDMXCSR and STMXCSR */
static void op_mxcsr(struct emu *e)
{
	vector_begin(e, false);
	if (modrm_reg(e) == 3)
		return set_operand(e, &e->fpu.mxcsr, 4);
	e->fpu.mxcsr = emu_operand(e, 0, 4);
	gp_if(e, e->fpu.mxcsr & ~e->fpu.mxcsr_mask);
	emu_call(e, fpu, &e->fpu, true);
}

/*
 * FXSAVE and FXRSTOR. The image ends behind XMM15, outside of 64-bit mode behind
 * XMM7. Without REX.W the pointers have 32 bits and a selector, which processors
 * of today leave 0.
 */
static void op_fxsave(struct emu *e)
{
	unsigned int size = e->mode == EMU_LONG ? 416 : 288;
	u64 pointers = e->rex & 8 ? ~0ull : 0xffffffff, linear;
	bool load = modrm_reg(e) == 1;
	u32 mask;

	fpu_begin(e, X86_CR0_EM | X86_CR0_TS);
	linear = emu_linearize(e, e->seg, e->ea, 512, !load);
	gp_if(e, linear & 15);
	mask = e->fpu.mxcsr_mask;
	if (load)
		emu_lin_access(e, linear, &e->fpu, size, 0);
	e->fpu.ip &= pointers;
	e->fpu.dp &= pointers;
	if (!load) {
		probe(e, linear, 512, EMU_ACC_WRITE);
		return emu_lin_access(e, linear, &e->fpu, size, EMU_ACC_WRITE);
	}
	e->fpu.mxcsr_mask = mask;
	gp_if(e, e->fpu.mxcsr & ~mask);
	x87_set_words(e, (e->fpu.cw & ~0xe0c0u) | 0x40, e->fpu.sw);
}

/* ---- The opcode tables (SDM 2D appendix A) ------------------------------- */

/* By ModRM.reg, in the manual's numbering (SDM 2D table A-6) */
enum { GROUP1, GROUP1A, GROUP3, GROUP4, GROUP5, GROUP6, GROUP7, GROUP8, GROUP9, GROUP11 };

static const struct row groups[][8] = {
	[GROUP1][0 ... 6] = { op_value, "", LOCK, ARITHMETIC },
	[GROUP1][7] = { op_value, "", NOWRITE, CMP },
	[GROUP1A][0] = { op_value, "", NOREAD | D64, MOV },		/* POP */
	[GROUP1A][1 ... 7] = { op_ud, "", RAW },
	[GROUP3][0 ... 1] = { op_value, "EuIj", NOWRITE, AND },		/* TEST */
	[GROUP3][2] = { op_value, "", LOCK, NOT },
	[GROUP3][3] = { op_value, "", LOCK, NEG },
	[GROUP3][4 ... 5] = { op_value, "", NOWRITE, MUL },
	[GROUP3][6 ... 7] = { op_div, "", NOWRITE },
	[GROUP4][0 ... 1] = { op_value, "", LOCK, INC_DEC },
	[GROUP4][2 ... 7] = { op_ud, "", RAW },
	[GROUP5][0 ... 1] = { op_value, "", LOCK, INC_DEC },
	[GROUP5][2] = { op_call, "", NOWRITE | F64 },
	[GROUP5][3] = { emu_op_far, "Mv", NOWRITE },			/* CALL far */
	[GROUP5][4] = { op_jmp, "", NOWRITE | F64 },
	[GROUP5][5] = { emu_op_far, "Mv", NOWRITE },			/* JMP far */
	[GROUP5][6] = { op_value, "-vEv", NOREAD | D64, MOV },		/* PUSH */
	[GROUP5][7] = { op_ud, "", RAW },
	[GROUP6][0] = { op_value, "Emlw", NOREAD | PROT | UMIP, MOV },	/* SLDT */
	[GROUP6][1] = { op_value, "Emtw", NOREAD | PROT | UMIP, MOV },	/* STR */
	[GROUP6][2] = { op_value, "lwEw", NOREAD | PROT | PRIV, MOV },	/* LLDT */
	[GROUP6][3] = { op_value, "twEw", NOREAD | PROT | PRIV, MOV },	/* LTR */
	[GROUP6][4 ... 5] = { emu_op_look, "", NOWRITE | PROT },	/* VERR, VERW */
	[GROUP6][6 ... 7] = { op_ud, "", RAW },
	[GROUP7][0 ... 1] = { op_table, "Mv", RAW | UMIP },		/* SGDT, SIDT */
	[GROUP7][2 ... 3] = { op_table, "Mv", RAW | PRIV },		/* LGDT, LIDT */
	[GROUP7][4] = { op_value, "Em0n", NOREAD | UMIP, MOV },		/* SMSW */
	[GROUP7][6] = { op_value, "0nEw", PRIV, LMSW },
	[GROUP7][7] = { op_invlpg, "Mv", RAW | PRIV },
	[GROUP8][0 ... 3] = { op_ud, "", RAW },
	[GROUP8][4] = { op_value, "", NOWRITE, BIT_OP },			/* BT */
	[GROUP8][5 ... 7] = { op_value, "", LOCK, BIT_OP },		/* BTS, BTR, BTC */
	[GROUP9][1] = { op_cmpxchg_wide, "Mv", RAW | LOCK },
	[GROUP11][0] = { op_value, "", NOREAD, MOV },
};

/*
 * Of 00 to 37 the rows are those of 00 to 07: bits 3 to 5 name the operation or the
 * segment. (0F and the prefixes are not looked up; the decimal adjustments have rows.)
 */
static const struct row one_byte[256] = {
	[0x00 ... 0x01] = { op_value, "EuGu", LOCK, ARITHMETIC },
	[0x02 ... 0x03] = { op_value, "GuEu", 0, ARITHMETIC },
	[0x04 ... 0x05] = { op_value, "auIj", 0, ARITHMETIC },
	[0x06] = { op_value, "-vsw", NOREAD | I64, MOV },		/* PUSH */
	[0x07] = { op_value, "sw+v", NOREAD | I64, MOV },		/* POP */
	[0x27] = { op_daa_das, "ab", I64 },
	[0x2f] = { op_daa_das, "ab", I64 },
	[0x37] = { op_aaa_aas, "aw", I64 },
	[0x38 ... 0x39] = { op_value, "EuGu", NOWRITE, CMP },
	[0x3a ... 0x3b] = { op_value, "GuEu", NOWRITE, CMP },
	[0x3c ... 0x3d] = { op_value, "auIj", NOWRITE, CMP },
	[0x3f] = { op_aaa_aas, "aw", I64 },
	[0x40 ... 0x4f] = { op_value, "Zv", I64, INC_DEC },
	[0x50 ... 0x57] = { op_value, "-vZv", NOREAD | D64, MOV },	/* PUSH */
	[0x58 ... 0x5f] = { op_value, "Zv+v", NOREAD | D64, MOV },	/* POP */
	[0x60] = { op_pusha, "", I64 },
	[0x61] = { op_popa, "", I64 },
	[0x62] = { op_bound, "GvMv", NOWRITE | I64 },
	[0x63] = { op_value, "GvEd", NOREAD, MOVSX },			/* MOVSXD */
	[0x68] = { op_value, "-vIz", NOREAD | D64, MOV },
	[0x69] = { op_value, "GvEvIz", NOREAD, IMUL },
	[0x6a] = { op_value, "-viv", NOREAD | D64, MOV },
	[0x6b] = { op_value, "GvEviv", NOREAD, IMUL },
	[0x6c ... 0x6f] = { op_ins_outs, "aj", RAW | STRING },
	[0x70 ... 0x7f] = { op_jmp, "Jb", F64, JCC },
	[0x80 ... 0x81] = { NULL, "EuIj", 0, GROUP1 },
	[0x82] = { NULL, "EbIb", I64, GROUP1 },
	[0x83] = { NULL, "Eviv", 0, GROUP1 },
	[0x84 ... 0x85] = { op_value, "EuGu", NOWRITE, AND },		/* TEST */
	[0x86 ... 0x87] = { op_value, "EuGu", LOCK | SWAP, XCHG },
	[0x88 ... 0x89] = { op_value, "EuGu", NOREAD, MOV },
	[0x8a ... 0x8b] = { op_value, "GuEu", NOREAD, MOV },
	[0x8c] = { op_value, "EmSw", NOREAD, MOV },
	[0x8d] = { op_value, "GvMv", NOREAD | NOLOAD, LEA },
	[0x8e] = { op_value, "SwEw", NOREAD, MOV },
	[0x8f] = { NULL, "Ev+v", 0, GROUP1A },
	[0x90] = { op_nop_or_xchg, "Zvav", SWAP, XCHG },
	[0x91 ... 0x97] = { op_value, "Zvav", SWAP, XCHG },
	[0x98] = { op_value, "avah", NOREAD, MOVSX },			/* CBW, CWDE, CDQE */
	[0x99] = { op_value, "dvav", NOREAD, CWD },
	[0x9a] = { emu_op_far, "Av", I64 },
	[0x9b] = { op_fwait },
	[0x9c] = { op_value, "-vFv", NOREAD | D64 | IOPL, MOV },	/* PUSHF */
	[0x9d] = { op_value, "Fv+v", NOREAD | D64 | IOPL, MOV },	/* POPF */
	[0x9e] = { op_value, "aw", NOWRITE, SAHF },
	[0x9f] = { op_value, "aw", 0, LAHF },
	[0xa0 ... 0xa1] = { op_value, "auOu", NOREAD, MOV },
	[0xa2 ... 0xa3] = { op_value, "Ouau", NOREAD, MOV },
	[0xa4 ... 0xa5] = { op_value, "YuXu", NOREAD | STRING, MOV },	/* MOVS */
	[0xa6 ... 0xa7] = { op_value, "XuYu", NOWRITE | STRING | REPCC, CMP }, /* CMPS */
	[0xa8 ... 0xa9] = { op_value, "auIj", NOWRITE, AND },		/* TEST */
	[0xaa ... 0xab] = { op_value, "Yuau", NOREAD | STRING, MOV },	/* STOS */
	[0xac ... 0xad] = { op_value, "auXu", NOREAD | STRING, MOV },	/* LODS */
	[0xae ... 0xaf] = { op_value, "auYu", NOWRITE | STRING | REPCC, CMP }, /* SCAS */
	[0xb0 ... 0xb7] = { op_value, "ZbIb", NOREAD, MOV },
	[0xb8 ... 0xbf] = { op_value, "ZvIv", NOREAD, MOV },
	[0xc0 ... 0xc1] = { op_shift, "EuIb" },
	[0xc2] = { op_ret, "+vIw", NOWRITE | F64 },
	[0xc3] = { op_ret, "+v", NOWRITE | F64 },
	[0xc4 ... 0xc5] = { emu_op_load_far_pointer, "GvMv", NOREAD | I64 },
	[0xc6 ... 0xc7] = { NULL, "EuIj", 0, GROUP11 },
	[0xc8] = { op_enter, "IwIb", D64 },
	[0xc9] = { op_leave, "", D64 },
	[0xca] = { emu_op_ret_far, "Iw" },
	[0xcb] = { emu_op_ret_far },
	[0xcc] = { emu_op_int, "", 0, X86_TRAP_BP },
	[0xcd] = { emu_op_int, "Ib", IOPL },
	[0xce] = { emu_op_int, "", I64, X86_TRAP_OF },
	[0xcf] = { emu_op_iret, "", IOPL },
	[0xd0 ... 0xd1] = { op_shift, "Eu1b" },
	[0xd2 ... 0xd3] = { op_shift, "Eucb" },
	[0xd4 ... 0xd5] = { op_aam_aad, "awIb", I64 },
	[0xd6] = { op_value, "ab", NOREAD | I64, SALC },
	[0xd7] = { op_value, "ab@b", NOREAD, MOV },			/* XLAT */
	[0xd8 ... 0xdf] = { op_x87, "Ew", RAW },
	[0xe0 ... 0xe3] = { op_loop, "Jb", F64 },
	[0xe4 ... 0xe5] = { op_value, "ajIb", NOREAD, IN },
	[0xe6 ... 0xe7] = { op_value, "ajIb", NOWRITE, OUT },
	[0xe8] = { op_call, "Jz", F64 },
	[0xe9] = { op_jmp, "Jz", F64 },
	[0xea] = { emu_op_far, "Av", I64 },
	[0xeb] = { op_jmp, "Jb", F64 },
	[0xec ... 0xed] = { op_value, "ajdw", NOREAD, IN },
	[0xee ... 0xef] = { op_value, "ajdw", NOWRITE, OUT },
	[0xf1] = { emu_op_int, "", 0, X86_TRAP_DB },
	[0xf4] = { op_control, "", PRIV, EMU_CTL_HLT },
	[0xf5] = { op_flag },						/* CMC */
	[0xf6 ... 0xf7] = { NULL, "Eu", 0, GROUP3 },
	[0xf8 ... 0xf9] = { op_flag },					/* CLC, STC */
	[0xfa ... 0xfb] = { op_cli_sti, "", IOPL },
	[0xfc ... 0xfd] = { op_flag },					/* CLD, STD */
	[0xfe] = { NULL, "Eb", 0, GROUP4 },
	[0xff] = { NULL, "Ev", 0, GROUP5 },
};

/* In 64-bit mode 63 is MOVSXD, elsewhere ARPL. */
static const struct row row_arpl = { emu_op_arpl, "EwGw", NOWRITE | PROT };

/* The 0F map, but for what takes a mandatory prefix. */
static const struct row two_byte[256] = {
	[0x00] = { NULL, "Ew", 0, GROUP6 },
	[0x01] = { NULL, "Ev", 0, GROUP7 },
	[0x02 ... 0x03] = { emu_op_look, "GvEw", PROT },
	[0x06] = { op_value, "0n", PRIV, CLTS },
	[0x08 ... 0x09] = { op_nop, "", PRIV },			/* INVD, WBINVD */
	[0x0b] = { op_ud },						/* UD2 */
	[0x0d] = { op_nop, "Eb", RAW },					/* PREFETCHW */
	[0x18 ... 0x1f] = { op_nop, "Eb", RAW },			/* hints */
	[0x20] = { op_value, "RnCn", NOREAD | PRIV, MOV },
	[0x21] = { op_value, "RnDn", NOREAD | PRIV, MOV },
	[0x22] = { op_value, "CnRn", NOREAD | PRIV, MOV },
	[0x23] = { op_value, "DnRn", NOREAD | PRIV, MOV },
	[0x30] = { op_value, "mqeq", NOREAD | PRIV, MOV },		/* WRMSR */
	[0x31] = { op_value, "eq", NOREAD, RDTSC },
	[0x32] = { op_value, "eqmq", NOREAD | PRIV, MOV },		/* RDMSR */
	[0x40 ... 0x4f] = { op_value, "GvEv", 0, CMOVCC },
	[0x80 ... 0x8f] = { op_jmp, "Jz", F64, JCC },
	[0x90 ... 0x9f] = { op_value, "Eb", NOREAD, SETCC },
	[0xa0] = { op_value, "-vsw", NOREAD | D64, MOV },
	[0xa1] = { op_value, "sw+v", NOREAD | D64, MOV },
	[0xa2] = { op_cpuid },
	[0xa3] = { op_value, "EvGv", NOWRITE | BITS, BIT_OP },		/* BT */
	[0xa4] = { op_shift, "EvGvIb", 0, SHLD },
	[0xa5] = { op_shift, "EvGvcb", 0, SHLD },
	[0xa8] = { op_value, "-vsw", NOREAD | D64, MOV },
	[0xa9] = { op_value, "sw+v", NOREAD | D64, MOV },
	[0xaa] = { op_control, "", 0, EMU_CTL_RSM },
	[0xab] = { op_value, "EvGv", LOCK | BITS, BIT_OP },		/* BTS */
	[0xac] = { op_shift, "EvGvIb", 0, SHRD },
	[0xad] = { op_shift, "EvGvcb", 0, SHRD },
	[0xae] = { NULL, "Ey" },					/* MAP_0FAE_… */
	[0xaf] = { op_value, "GvEv", 0, IMUL },
	[0xb0 ... 0xb1] = { op_value, "EuGu", LOCK, CMPXCHG },
	[0xb2] = { emu_op_load_far_pointer, "GvMv", NOREAD },
	[0xb3] = { op_value, "EvGv", LOCK | BITS, BIT_OP },		/* BTR */
	[0xb4 ... 0xb5] = { emu_op_load_far_pointer, "GvMv", NOREAD },
	[0xb6] = { op_value, "GvEb", NOREAD, MOV },			/* MOVZX */
	[0xb7] = { op_value, "GvEw", NOREAD, MOV },
	[0xb8] = { op_value, "GvEv", NOREAD, POPCNT },
	[0xb9] = { op_ud, "Eb", RAW },					/* UD1 */
	[0xba] = { NULL, "EvIb", 0, GROUP8 },
	[0xbb] = { op_value, "EvGv", LOCK | BITS, BIT_OP },		/* BTC */
	[0xbc] = { op_bit_scan, "GvEv", NOREAD, BSF },
	[0xbd] = { op_bit_scan, "GvEv", NOREAD, BSR },
	[0xbe] = { op_value, "GvEb", NOREAD, MOVSX },
	[0xbf] = { op_value, "GvEw", NOREAD, MOVSX },
	[0xc0 ... 0xc1] = { op_value, "EuGu", LOCK | SWAP, ADD },	/* XADD */
	[0xc7] = { NULL, "Ev", 0, GROUP9 },
	[0xc8 ... 0xcf] = { op_value, "ZvZv", NOREAD, BSWAP },
	[0xff] = { op_ud, "Eb", RAW },					/* UD0 */
};

/*
 * Found by map, opcode, mandatory prefixes and encodings. Beside the opcode maps there
 * are three by ModRM: 0F 01 with a register, by the whole byte; 0F AE by reg, with
 * memory and with a register.
 */
enum { MAP_0F01 = 0x40, MAP_0FAE_MEMORY, MAP_0FAE_REG };

static const struct searched_row {
	u8 map, opcode, prefixes;
	struct row row;
} searched[] = {
#define P_NONE	0x01
#define P_66	0x02
#define P_F3	0x04
#define P_F2	0x08
#define P_ANY	0x0f
#define OLD	0x10		/* without VEX */
#define VEX	0x20
#define BOTH	(OLD | VEX)
#define PACKED	(P_NONE | P_66 | BOTH)
#define MOVE	(RAW | ANYLEN)
	/* MOVUPS, MOVUPD, MOVSS, MOVSD */
	{ 2, 0x10, P_ANY | BOTH, { op_vec_move, "VsWs", MOVE } },
	{ 2, 0x11, P_ANY | BOTH, { op_vec_move, "WsVs", MOVE } },
	/* MOVLPS, MOVLPD, MOVHPS, MOVHPD */
	{ 2, 0x12, PACKED, { op_vec_move, "VqWqBx", RAW, PART } },
	{ 2, 0x13, PACKED, { op_vec_move, "MqVq", RAW, PART } },
	{ 2, 0x16, PACKED, { op_vec_move, "VqWqBx", RAW, PART } },
	{ 2, 0x17, PACKED, { op_vec_move, "MqVq", RAW, PART } },
	/* MOVAPS, MOVAPD, MOVNTPS, MOVNTPD */
	{ 2, 0x28, PACKED, { op_vec_move, "VxWx", MOVE | ALIGN } },
	{ 2, 0x29, PACKED, { op_vec_move, "WxVx", MOVE | ALIGN } },
	{ 2, 0x2b, PACKED, { op_vec_move, "MxVx", MOVE | ALIGN } },
	/* MOVD, MOVQ */
	{ 2, 0x6e, P_NONE | OLD, { op_vec_move, "PyEy", RAW } },
	{ 2, 0x6e, P_66 | BOTH, { op_vec_move, "VyEy", RAW } },
	{ 2, 0x7e, P_NONE | OLD, { op_vec_move, "EyPy", RAW } },
	{ 2, 0x7e, P_66 | BOTH, { op_vec_move, "EyVy", RAW } },
	{ 2, 0x7e, P_F3 | BOTH, { op_vec_move, "VqWq", RAW } },
	{ 2, 0xd6, P_66 | BOTH, { op_vec_move, "WqVq", RAW } },
	/* MOVQ (MMX), MOVDQA, MOVDQU */
	{ 2, 0x6f, P_NONE | OLD, { op_vec_move, "PqQq", RAW } },
	{ 2, 0x6f, P_66 | BOTH, { op_vec_move, "VxWx", MOVE | ALIGN } },
	{ 2, 0x6f, P_F3 | BOTH, { op_vec_move, "VxWx", MOVE } },
	{ 2, 0x7f, P_NONE | OLD, { op_vec_move, "QqPq", RAW } },
	{ 2, 0x7f, P_66 | BOTH, { op_vec_move, "WxVx", MOVE | ALIGN } },
	{ 2, 0x7f, P_F3 | BOTH, { op_vec_move, "WxVx", MOVE } },
	/* MOVNTQ, MOVNTDQ, LDDQU, MOVNTDQA, MOVNTI */
	{ 2, 0xe7, P_NONE | OLD, { op_vec_move, "MqPq", RAW } },
	{ 2, 0xe7, P_66 | BOTH, { op_vec_move, "MxVx", MOVE | ALIGN } },
	{ 2, 0xf0, P_F2 | BOTH, { op_vec_move, "VxMx", MOVE } },
	{ 3, 0x2a, P_66 | BOTH, { op_vec_move, "VxMx", MOVE | ALIGN } },
	{ 2, 0xc3, P_NONE | OLD, { op_value, "MyGy", NOREAD, MOV } },
	{ 2, 0xc3, P_ANY | OLD, { op_ud } },
	/* INVPCID, which no guest has; MOVBE, CRC32, ADCX and ADOX */
	{ 3, 0x82, P_66 | OLD, { op_ud } },
	{ 3, 0xf0, P_NONE | P_66 | OLD, { op_value, "GvMv", NOREAD, BSWAP } },
	{ 3, 0xf0, P_F2 | OLD, { op_value, "GyEb", 0, CRC32 } },
	{ 3, 0xf1, P_NONE | P_66 | OLD, { op_value, "MvGv", NOREAD, BSWAP } },
	{ 3, 0xf1, P_F2 | OLD, { op_value, "GyEv", 0, CRC32 } },
	{ 3, 0xf6, P_66 | P_F3 | OLD, { op_value, "GyEy", 0, ADX } },
	/* BMI1 and BMI2 */
	{ 3, 0xf2, P_NONE | VEX, { op_bmi, "GyByEy", NOREAD | PROT, ANDN } },
	{ 3, 0xf3, P_NONE | VEX, { op_bmi, "ByEy", NOREAD | PROT, BLS } },
	{ 3, 0xf5, P_NONE | VEX, { op_bmi, "GyEyBy", NOREAD | PROT, BZHI } },
	{ 3, 0xf5, P_F2 | VEX, { op_value, "GyByEy", NOREAD | PROT, PDEP } },
	{ 3, 0xf5, P_F3 | VEX, { op_value, "GyByEy", NOREAD | PROT, PEXT } },
	{ 3, 0xf6, P_F2 | VEX, { op_value, "GyByEy", NOREAD | PROT | KEEP, MULX } },
	{ 3, 0xf7, P_NONE | VEX, { op_bmi, "GyEyBy", NOREAD | PROT, BEXTR } },
	{ 3, 0xf7, P_66 | VEX, { op_shift, "GyEyBy", NOREAD | PROT | KEEP, SHL } }, /* SHLX */
	{ 3, 0xf7, P_F2 | VEX, { op_shift, "GyEyBy", NOREAD | PROT | KEEP, SHR } },
	{ 3, 0xf7, P_F3 | VEX, { op_shift, "GyEyBy", NOREAD | PROT | KEEP, SAR } },
	{ 4, 0xf0, P_F2 | VEX, { op_shift, "GyEyIb", NOREAD | PROT | KEEP, ROR } }, /* RORX */
	/* VMCALL, VMMCALL, XGETBV, XSETBV, SWAPGS, RDTSCP */
	{ MAP_0F01, 0xc1, P_NONE | OLD, { op_control, "", RAW, EMU_CTL_HYPERCALL } },
	{ MAP_0F01, 0xd9, P_NONE | OLD, { op_control, "", RAW, EMU_CTL_HYPERCALL } },
	{ MAP_0F01, 0xd0, P_NONE | OLD, { op_value, "eqxq", NOREAD, MOV } },
	{ MAP_0F01, 0xd1, P_NONE | OLD, { op_value, "xqeq", NOREAD, MOV } },
	{ MAP_0F01, 0xf8, P_NONE | OLD, { op_swapgs, "", RAW } },
	{ MAP_0F01, 0xf9, P_NONE | OLD, { op_value, "eq", NOREAD, RDTSCP } },
	/* FXSAVE, FXRSTOR, LDMXCSR, STMXCSR, CLWB, CLFLUSH, CLFLUSHOPT */
	{ MAP_0FAE_MEMORY, 0, P_NONE | OLD, { op_fxsave, "", RAW } },
	{ MAP_0FAE_MEMORY, 1, P_NONE | OLD, { op_fxsave, "", RAW } },
	{ MAP_0FAE_MEMORY, 2, P_NONE | BOTH, { op_mxcsr, "", RAW } },
	{ MAP_0FAE_MEMORY, 3, P_NONE | BOTH, { op_mxcsr, "", RAW } },
	{ MAP_0FAE_MEMORY, 6, P_66 | OLD, { op_clflush, "", RAW } },
	{ MAP_0FAE_MEMORY, 7, P_NONE | P_66 | OLD, { op_clflush, "", RAW } },
	/* RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE, LFENCE, MFENCE, SFENCE */
	{ MAP_0FAE_REG, 0, P_F3 | OLD, { op_fsgsbase, "", NOREAD } },
	{ MAP_0FAE_REG, 1, P_F3 | OLD, { op_fsgsbase, "", NOREAD } },
	{ MAP_0FAE_REG, 2, P_F3 | OLD, { op_fsgsbase, "", NOWRITE } },
	{ MAP_0FAE_REG, 3, P_F3 | OLD, { op_fsgsbase, "", NOWRITE } },
	{ MAP_0FAE_REG, 5, P_NONE | OLD, { op_nop, "", RAW } },
	{ MAP_0FAE_REG, 6, P_NONE | OLD, { op_nop, "", RAW } },
	{ MAP_0FAE_REG, 7, P_NONE | OLD, { op_nop, "", RAW } },
};

/* What a mandatory prefix, VEX or ModRM selects; NULL if it is not here. */
static const struct row *search(const struct emu *e, unsigned int map, unsigned int opcode)
{
	u8 want = (e->vex ? VEX : OLD) | (!e->vex_pp ? P_NONE : e->vex_pp == 0x66 ? P_66 :
					  e->vex_pp == 0xf3 ? P_F3 : P_F2);

	for (unsigned int i = 0; i < ARRAY_SIZE(searched); i++)
		if (searched[i].map == map && searched[i].opcode == opcode &&
		    (searched[i].prefixes & want) == want)
			return &searched[i].row;
	return NULL;
}

/* The row of an opcode; NULL if it is not known. */
const struct row *emu_find_row(const struct emu *e)
{
	const struct row *row = e->map == 1 ? &one_byte[e->opcode] : &two_byte[e->opcode];

	if (e->map == 1 && e->opcode < ((e->opcode & 7) < 6 ? 0x38 : 0x20))
		return &one_byte[e->opcode & 7];
	if (e->map == 1 && e->opcode == 0x63 && e->mode != EMU_LONG)
		return &row_arpl;
	if (e->map == 1 || (e->map == 2 && (!e->vex || e->opcode == 0xae) &&
			    (row->run || row->operands[0])))
		return row;
	return search(e, e->map, e->opcode);
}

/* Of the rows of an opcode the one that ModRM selects; mostly there is only one. */
const struct row *emu_modrm_row(const struct emu *e, const struct row *row)
{
	/* Of group 7 only SMSW and LMSW are the same with a register. */
	if (e->map == 2 && e->opcode == 0x01 && e->modrm >= 0xc0 && (modrm_reg(e) & 5) != 4)
		return search(e, MAP_0F01, e->modrm);
	if (e->map == 2 && e->opcode == 0xae)
		return search(e, e->modrm < 0xc0 ? MAP_0FAE_MEMORY : MAP_0FAE_REG, modrm_reg(e));
	return row->run || !row->operands[0] ? row : &groups[row->what][modrm_reg(e)];
}
