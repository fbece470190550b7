// SPDX-License-Identifier: GPL-2.0-only
/*
 * emulate_insn.c - the instructions, and the opcode tables that name them
 *
 * Theory of operation. An instruction is a function named in a row of a table
 * at the end of this file. When it is called, its operands are in e->op[].val;
 * it leaves its result in e->op[0].val, and emulate.c stores it. Rows flagged
 * RAW load and store for themselves. Instructions that differ in one detail
 * share a function, which looks at the opcode's bits as the manual's tables do.
 *
 * A function may change registers freely: they are put back if the instruction
 * stops. Anything else (segments, control registers, MSRs) cannot be put back;
 * it is set last, and only if nothing has stopped it.
 */
#include "emulate_priv.h"

/* ---- Flags and arithmetic -------------------------------------------------- */

/* The manual's PF looks at the low byte only. */
static u64 flags_szp(u64 value, unsigned int size)
{
	u8 low = value ^ value >> 4;

	value &= size_mask(size);
	return flag_if(!value, FL_ZF) | flag_if(value & sign_bit(size), FL_SF) |
	       flag_if(!(0x6996 >> (low & 15) & 1), FL_PF);
}

/* In the order of their opcodes and of ModRM.reg (SDM 2D table A-6). */
enum { ADD, OR, ADC, SBB, AND, SUB, XOR, CMP };

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
	flags_change(e, FL_STATUS, flags_szp(r, size) | flag_if(carries & top, FL_CF) |
		     flag_if(carries & 8, FL_AF) | flag_if(overflow & top, FL_OF));
	return r;
}

/* INC and DEC, 40 to 4F or in groups 4 and 5: CF stays. */
static void op_inc_dec(struct emu *e)
{
	bool dec = (e->opcode < 0x50 ? e->opcode : e->modrm) & 8;
	u64 carry = e->rflags & FL_CF;

	e->op[0].val = arithmetic(e, dec ? SUB : ADD, e->op[0].val, 1, e->op[0].size);
	flags_change(e, FL_CF, carry);
}

/* Shift count: 5 bits, or 6 for 64-bit operands. */
static unsigned int shift_count(const struct emu *e, unsigned int operand)
{
	return e->op[operand].val & (e->op[0].size == 8 ? 63 : 31);
}

/* By zero: flags stay, and memory is not stored to again. */
static void shift_nothing(struct emu *e)
{
	if (e->op[0].loc == LOC_MEM)
		e->flags |= NOWRITE;
}

/* ROL, ROR, RCL, RCR, SHL, SHR, SHL, SAR in the order of ModRM.reg, bit after bit. */
static u64 shift(struct emu *e, unsigned int what, u64 v, unsigned int n)
{
	unsigned int size = e->op[0].size;
	u64 top = sign_bit(size), in;
	bool left = !(what & 1), carry = e->rflags & FL_CF, out;

	while (n--) {
		out = v & (left ? top : 1);
		in = what < 2 ? out : what < 4 ? carry : what == 7 && v & top;
		v = left ? (v << 1 | in) & size_mask(size) : v >> 1 | (in ? top : 0);
		carry = out;
	}
	if (what >= 4)
		flags_change(e, FL_STATUS, flags_szp(v, size));
	flags_change(e, FL_CF | FL_OF, flag_if(carry, FL_CF) |
		     flag_if(left ? carry != !!(v & top) : (v ^ v << 1) & top, FL_OF));
	return v;
}

static void op_shift(struct emu *e)
{
	unsigned int n = shift_count(e, 1);

	if (!n)
		return shift_nothing(e);
	e->op[0].val = shift(e, modrm_reg(e), e->op[0].val, n);
}

/* SHLD and SHRD; 16 bits by more than 16 are undefined. */
static void op_double_shift(struct emu *e)
{
	unsigned int n = shift_count(e, 2), size = e->op[0].size, bits = size * 8;
	u64 v = e->op[0].val, fill = e->op[1].val, r;
	bool right = e->opcode & 8;

	if (!n || n > bits)
		return shift_nothing(e);
	r = right ? v >> n | fill << (bits - n) : v << n | fill >> (bits - n);
	r &= size_mask(size);
	flags_change(e, FL_STATUS, flags_szp(r, size) |
		     flag_if(v >> (right ? n - 1 : bits - n) & 1, FL_CF) |
		     flag_if((v ^ r) & sign_bit(size), FL_OF));
	e->op[0].val = r;
}

/* A double-width value in AX, DX:AX, EDX:EAX or RDX:RAX. */
static void wide_write(struct emu *e, u64 high, u64 low, unsigned int size)
{
	if (size == 1)
		low = (high & 0xff) << 8 | (low & 0xff);
	merge(&e->regs[EMU_RAX], low, size == 1 ? 2 : size);
	if (size > 1)
		merge(&e->regs[EMU_RDX], high, size);
}

/* CF and OF tell whether the low half is not the whole product. */
static u64 multiply(struct emu *e, u64 a, u64 b, unsigned int size, bool with_sign, u64 *high)
{
	unsigned __int128 r = (unsigned __int128)a * b;
	u64 low, whole;

	if (with_sign)
		r = (__int128)(s64)sign_extend(a, size) * (s64)sign_extend(b, size);
	low = (u64)r & size_mask(size);
	*high = (u64)(r >> size * 8) & size_mask(size);
	whole = with_sign && low & sign_bit(size) ? size_mask(size) : 0;
	flags_change(e, FL_CF | FL_OF, flag_if(*high != whole, FL_CF | FL_OF));
	return low;
}

/* MUL and IMUL of the accumulator: group 3 */
static void op_mul(struct emu *e)
{
	unsigned int size = e->op[0].size;
	u64 high, low;

	low = multiply(e, e->regs[EMU_RAX] & size_mask(size), e->op[0].val, size,
		       e->modrm & 8, &high);
	wide_write(e, high, low, size);
}

/* IMUL with two operands, or three of which the first is only written */
static void op_imul(struct emu *e)
{
	u64 by = e->op[2].loc ? e->op[2].val : e->op[0].val, high;

	e->op[0].val = multiply(e, e->op[1].val, by, e->op[0].size, true, &high);
}

/* DIV and IDIV: the magnitudes are divided, then the signs put back. */
static void op_div(struct emu *e)
{
	unsigned int size = e->op[0].size;
	bool with_sign = e->modrm & 8, negative, opposite;
	u64 by = e->op[0].val, high, rest = 0, quotient = 0;
	unsigned __int128 n;

	high = size == 1 ? e->regs[EMU_RAX] >> 8 & 0xff : e->regs[EMU_RDX] & size_mask(size);
	n = high;
	if (with_sign) {
		by = sign_extend(by, size);
		n = (unsigned __int128)(__int128)(s64)sign_extend(high, size);
	}
	n = n << size * 8 | (e->regs[EMU_RAX] & size_mask(size));
	negative = with_sign && (u64)(n >> 64) >> 63;
	opposite = negative != (with_sign && by >> 63);
	if (negative)
		n = -n;
	if (with_sign && by >> 63)
		by = -by;
	if ((u64)(n >> 64) >= by)	/* zero, or far too small */
		return emu_raise(e, EX_DE, 0);
	/* C's own division of this width is a call that the kernel does not have. */
	asm("divq %4" : "=a" (quotient), "=d" (rest)
	    : "a" ((u64)n), "d" ((u64)(n >> 64)), "r" (by) : "cc");
	raise_if(e, quotient > (with_sign ? sign_bit(size) - !opposite : size_mask(size)),
		 EX_DE, 0);
	wide_write(e, negative ? -rest : rest, opposite ? -quotient : quotient, size);
}

/* Decimal adjustments (not in 64-bit mode). */
static void op_daa_das(struct emu *e)
{
	u64 al = e->regs[EMU_RAX] & 0xff, old = al;
	bool subtract = e->opcode == 0x2f, carry = e->rflags & FL_CF, out = false;
	bool half = (al & 15) > 9 || e->rflags & FL_AF;

	if (half) {
		out = carry || (subtract ? al < 6 : al > 0xf9);
		al = (subtract ? al - 6 : al + 6) & 0xff;
	}
	if (old > 0x99 || carry) {
		al = (subtract ? al - 0x60 : al + 0x60) & 0xff;
		out = true;
	}
	merge(&e->regs[EMU_RAX], al, 1);
	flags_change(e, FL_STATUS, flags_szp(al, 1) | flag_if(half, FL_AF) | flag_if(out, FL_CF));
}

static void op_aaa_aas(struct emu *e)
{
	u64 ax = e->regs[EMU_RAX] & 0xffff;
	bool adjust = (ax & 15) > 9 || e->rflags & FL_AF;

	if (adjust)
		ax = e->opcode == 0x37 ? ax + 0x106 : ax - 0x106;
	merge(&e->regs[EMU_RAX], ax & 0xff0f, 2);
	flags_change(e, FL_STATUS, flags_szp(ax & 15, 1) | flag_if(adjust, FL_CF | FL_AF));
}

static void op_aam(struct emu *e)
{
	u64 al = e->regs[EMU_RAX] & 0xff, by = e->op[0].val & 0xff;

	if (!by)
		return emu_raise(e, EX_DE, 0);
	merge(&e->regs[EMU_RAX], al / by << 8 | al % by, 2);
	flags_change(e, FL_STATUS, flags_szp(al % by, 1));
}

static void op_aad(struct emu *e)
{
	u64 ax = e->regs[EMU_RAX], al;

	al = (ax + (ax >> 8 & 0xff) * e->op[0].val) & 0xff;
	merge(&e->regs[EMU_RAX], al, 2);
	flags_change(e, FL_STATUS, flags_szp(al, 1));
}

/* ---- Moves, bits, conditions ----------------------------------------------- */

/* BSWAP, MOVBE: operand 1 if there is one */
static void op_swap(struct emu *e)
{
	struct emu_operand *from = e->op[1].loc ? &e->op[1] : &e->op[0];
	u64 value = from->val, r = 0;
	unsigned int i;

	unknown_if(e, e->map == 2 && from->size == 2);	/* BSWAP of 16 bits is undefined */
	for (i = 0; i < from->size; i++, value >>= 8)
		r = r << 8 | (value & 0xff);
	e->op[0].val = r;
}

/* Operand 1 is a register: it is written here, operand 0 afterwards. */
static void op_xchg(struct emu *e)
{
	u64 old = e->op[0].val;

	if (e->op[0].loc == LOC_MEM)
		e->lock = true;
	e->op[0].val = e->op[1].val;
	emu_set_gpr(e, e->op[1].reg, e->op[1].size, old);
}

static void op_xadd(struct emu *e)
{
	u64 old = e->op[0].val;

	e->op[0].val = arithmetic(e, ADD, old, e->op[1].val, e->op[0].size);
	emu_set_gpr(e, e->op[1].reg, e->op[1].size, old);
}

/* If they differ memory is written all the same, a register is not. */
static void op_cmpxchg(struct emu *e)
{
	unsigned int size = e->op[0].size;
	u64 old = e->op[0].val;

	arithmetic(e, CMP, emu_gpr(e, EMU_RAX, size), old, size);
	if (e->rflags & FL_ZF) {
		e->op[0].val = e->op[1].val;
		return;
	}
	emu_set_gpr(e, EMU_RAX, size, old);
	if (e->op[0].loc == LOC_GPR)
		e->flags |= NOWRITE;
}

/* CMPXCHG8B and CMPXCHG16B */
static void op_cmpxchg_wide(struct emu *e)
{
	unsigned int half = e->rex & 8 ? 8 : 4, size = half * 2, i;
	u64 low = e->regs[EMU_RAX] & size_mask(half), high = e->regs[EMU_RDX] & size_mask(half);
	u64 value[2] = { 0, 0 }, new[2] = { e->regs[EMU_RBX], e->regs[EMU_RCX] };
	u64 linear = emu_linearize(e, e->seg, e->ea, size, true);
	u8 was[16], want[16];

	gp_if(e, half == 8 && linear & 15);
	emu_lin_read(e, linear, was, size, EMU_ACC_RMW);
	for (i = 0; i < 2; i++)
		memcpy(&value[i], was + i * half, half);
	flags_change(e, FL_ZF, flag_if(value[0] == low && value[1] == high, FL_ZF));
	if (!(e->rflags & FL_ZF)) {
		memcpy(new, value, sizeof(new));
		merge(&e->regs[EMU_RAX], value[0], half);
		merge(&e->regs[EMU_RDX], value[1], half);
	}
	for (i = 0; i < 2; i++)
		memcpy(want + i * half, &new[i], half);
	if (e->lock)
		emu_lin_cmpxchg(e, linear, was, want, size);
	else
		emu_lin_write(e, linear, want, size, 0);
}

/* BT, BTS, BTR, BTC, in this order by opcode and in group 8 */
static void op_bit(struct emu *e)
{
	unsigned int what = (e->opcode == 0xba ? modrm_reg(e) : e->opcode >> 3) & 3;
	u64 bit = 1ull << (e->op[1].val & (e->op[0].size * 8 - 1));
	u64 old = e->op[0].val;

	flags_change(e, FL_CF, flag_if(old & bit, FL_CF));
	e->op[0].val = what == 1 ? old | bit : what == 2 ? old & ~bit : old ^ bit;
}

/*
 * BSF, BSR, and with F3 TZCNT, LZCNT. BSF and BSR of zero leave the destination
 * as it is (AMD says so, Intel does so).
 */
static void op_bit_scan(struct emu *e)
{
	unsigned int bits = e->op[0].size * 8, n;
	bool reverse = e->opcode == 0xbd;
	u64 v = e->op[1].val;

	for (n = 0; n < bits && !(v >> (reverse ? bits - 1 - n : n) & 1); n++)
		;
	if (e->rep == 0xf3) {
		flags_change(e, FL_CF | FL_ZF, flag_if(n == bits, FL_CF) | flag_if(!n, FL_ZF));
		e->op[0].val = n;
		return;
	}
	flags_change(e, FL_ZF, flag_if(!v, FL_ZF));
	if (!v)
		e->flags |= NOWRITE;
	e->op[0].val = reverse ? bits - 1 - n : n;
}

static void op_popcnt(struct emu *e)
{
	u64 value = e->op[1].val;

	unknown_if(e, e->rep != 0xf3);
	for (e->op[0].val = 0; value; value &= value - 1)
		e->op[0].val++;
	flags_change(e, FL_STATUS, flag_if(!e->op[0].val, FL_ZF));
}

/* BLSR, BLSMSK, BLSI by ModRM.reg; operand 0 is VEX.vvvv. */
static void op_bls(struct emu *e)
{
	unsigned int what = modrm_reg(e);
	u64 v = e->op[1].val, r;

	ud_if(e, what < 1 || what > 3);
	r = what == 1 ? v & (v - 1) : what == 2 ? v ^ (v - 1) : v & -v;
	e->op[0].val = r;
	flags_change(e, FL_STATUS, flags_szp(r, e->op[0].size) |
		     flag_if(!v == (what != 3), FL_CF));
}

static void op_bzhi(struct emu *e)
{
	unsigned int n = e->op[2].val & 0xff, size = e->op[0].size;
	u64 r = e->op[1].val;

	if (n < size * 8)
		r &= (1ull << n) - 1;
	e->op[0].val = r;
	flags_change(e, FL_STATUS, flags_szp(r, size) | flag_if(n >= size * 8, FL_CF));
}

static void op_bextr(struct emu *e)
{
	unsigned int start = e->op[2].val & 0xff, n = e->op[2].val >> 8 & 0xff;
	u64 r = start < 64 ? e->op[1].val >> start : 0;

	if (n < 64)
		r &= (1ull << n) - 1;
	e->op[0].val = r;
	flags_change(e, FL_STATUS, flags_szp(r, e->op[0].size));
}

/* RORX, SHLX, SHRX, SARX: no flags. */
static void op_shift_x(struct emu *e)
{
	unsigned int what = e->map == 4 ? 1 : e->vex_pp == 0x66 ? 4 : e->vex_pp == 0xf2 ? 5 : 7;
	u64 flags = e->rflags;

	e->op[0].val = shift(e, what, e->op[1].val, shift_count(e, 2));
	e->rflags = flags;
}

/* PDEP (F2) and PEXT (F3) */
static void op_pdep_pext(struct emu *e)
{
	u64 from = e->op[1].val, mask = e->op[2].val, r = 0, bit = 1, low;
	bool deposit = e->vex_pp == 0xf2;

	for (; mask; mask &= mask - 1, bit <<= 1) {
		low = mask & -mask;
		if (from & (deposit ? bit : low))
			r |= deposit ? low : bit;
	}
	e->op[0].val = r;
}

/* The low half goes to VEX.vvvv first; flags stay. */
static void op_mulx(struct emu *e)
{
	u64 flags = e->rflags, size = e->op[0].size, low;

	low = multiply(e, e->regs[EMU_RDX] & size_mask(size), e->op[2].val, size, false,
		       &e->op[0].val);
	emu_set_gpr(e, e->op[1].reg, size, low);
	e->rflags = flags;
}

/* ADCX and ADOX: the carry chain runs through one flag only. */
static void op_adx(struct emu *e)
{
	u64 flag = e->vex_pp == 0x66 ? FL_CF : FL_OF, mask = size_mask(e->op[0].size);
	unsigned __int128 r = (unsigned __int128)e->op[0].val + e->op[1].val +
			      !!(e->rflags & flag);

	e->op[0].val = (u64)r & mask;
	flags_change(e, flag, flag_if(r > mask, flag));
}

/* CRC32: the Castagnoli polynomial, bits reflected. */
static void op_crc32(struct emu *e)
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
}

/* SDM vol. 1 appendix B: condition codes, bit 0 negates. */
static bool condition(const struct emu *e, unsigned int code)
{
	static const u16 any_of[8] = {
		FL_OF, FL_CF, FL_ZF, FL_CF | FL_ZF, FL_SF, FL_PF, 0, FL_ZF,
	};
	unsigned int what = code >> 1 & 7;
	bool less = !(e->rflags & FL_SF) != !(e->rflags & FL_OF);
	bool r = e->rflags & any_of[what] || (what >= 6 && less);

	return r != (code & 1);
}

/* What instructions that only compute a value leave in operand 0. */
enum value {
	ARITHMETIC, TEST, NOT, NEG, MOV, MOVSX, LEA, ANDN, SETCC, CMOVCC, SALC, XLAT,
	FROM_CR, FROM_SREG, SLDT, STR, SMSW,
};

static u64 compute(struct emu *e, enum value what, u64 a, u64 b)
{
	unsigned int size = e->op[0].size;

	switch (what) {
	case ARITHMETIC: /* by opcode, or ModRM.reg in group 1 */
		return arithmetic(e, e->opcode < 0x40 ? e->opcode >> 3 : modrm_reg(e), a, b, size);
	case TEST:	return arithmetic(e, AND, a, b, size);
	case NOT:	return ~a;
	case NEG:	return arithmetic(e, SUB, 0, a, size);
	case MOV:	return b;
	case MOVSX:	return sign_extend(b, e->op[1].size);
	case LEA:	return e->ea;
	case ANDN:	return arithmetic(e, AND, ~b, e->op[2].val, size);
	case SETCC:	return condition(e, e->opcode);
	case SALC:	return 0xff * (e->rflags & FL_CF);
	case FROM_CR:	return cr(e, e->op[1].reg);
	case FROM_SREG:	return emu_segment(e, e->op[1].reg)->selector;
	case SLDT:	return emu_segment(e, EMU_LDTR)->selector;
	case STR:	return emu_segment(e, EMU_TR)->selector;
	case SMSW:	return cr(e, 0);
	case CMOVCC:
		return condition(e, e->opcode) ? b : a;
	case XLAT:
		a = e->regs[EMU_RBX] + (e->regs[EMU_RAX] & 0xff);
		return emu_load(e, e->seg, a & size_mask(e->addr_size), 1);
	}
	return 0;
}

/* The row's flags say which. */
static void op_value(struct emu *e)
{
	e->op[0].val = compute(e, e->flags >> VALUE_SHIFT, e->op[0].val, e->op[1].val);
}

/* CBW, CWDE, CDQE */
static void op_cbw(struct emu *e)
{
	emu_set_gpr(e, EMU_RAX, e->op_size, sign_extend(e->regs[EMU_RAX], e->op_size / 2));
}

/* CWD, CDQ, CQO */
static void op_cwd(struct emu *e)
{
	bool sign = e->regs[EMU_RAX] & sign_bit(e->op_size);

	emu_set_gpr(e, EMU_RDX, e->op_size, sign ? ~0ull : 0);
}

/* CMC, CLC, STC, CLD, STD */
static void op_flag(struct emu *e)
{
	u64 flag = e->opcode >= 0xfc ? X86_EFLAGS_DF : FL_CF;

	if (e->opcode == 0xf5)
		e->rflags ^= flag;
	else
		flags_change(e, flag, flag_if(e->opcode & 1, flag));
}

static void op_sahf(struct emu *e)
{
	flags_change(e, FL_STATUS & ~FL_OF, e->regs[EMU_RAX] >> 8);
}

static void op_lahf(struct emu *e)
{
	u64 ah = (e->rflags & FL_STATUS & ~FL_OF) | X86_EFLAGS_FIXED;

	e->regs[EMU_RAX] = (e->regs[EMU_RAX] & ~0xff00ull) | ah << 8;
}

static void op_nop(struct emu *e)
{
	(void)e;
}

/* 90 is XCHG rAX, rAX, but as NOP it must not clear the upper half. */
static void op_nop_pause(struct emu *e)
{
	if (e->rex & 1)
		return op_xchg(e);
	e->flags |= NOWRITE;
	if (e->rep == 0xf3)
		emu_call(e, control, EMU_CTL_PAUSE, 0, NULL);
}

static void op_ud(struct emu *e)
{
	emu_raise(e, EX_UD, 0);
}

/* ---- Stack and near transfers ---------------------------------------------- */

static void op_push(struct emu *e)
{
	emu_push(e, e->op[0].val, e->op_size);
}

/* To memory the address, if based on RSP, is computed after RSP has moved. */
static void op_pop(struct emu *e)
{
	e->op[0].val = emu_pop(e, e->op_size);
	if (e->op[0].loc == LOC_MEM && (e->sib & 7) == EMU_RSP && !(e->rex & 1))
		e->ea = (e->ea + e->op_size) & size_mask(e->addr_size);
}

static void op_pusha(struct emu *e)
{
	u64 sp = e->regs[EMU_RSP];
	unsigned int i;

	for (i = 0; i < 8; i++)
		emu_push(e, i == EMU_RSP ? sp : e->regs[i], e->op_size);
}

static void op_popa(struct emu *e)
{
	u64 value;
	int i;

	for (i = 7; i >= 0; i--) {
		value = emu_pop(e, e->op_size);
		if (i != EMU_RSP)
			merge(&e->regs[i], value, e->op_size);
	}
}

static void op_pushf(struct emu *e)
{
	if (!emu_vm86_refuses(e))
		emu_push(e, e->rflags & ~(X86_EFLAGS_VM | X86_EFLAGS_RF), e->op_size);
}

static void op_popf(struct emu *e)
{
	u64 mask = emu_flags_writable(e, e->op_size);

	if (!emu_vm86_refuses(e))
		flags_change(e, mask, emu_pop(e, e->op_size) & ~X86_EFLAGS_RF);
}

static void op_enter(struct emu *e)
{
	unsigned int size = e->op_size, level = e->op[1].val & 31, i;
	u64 bp = e->regs[EMU_RBP], mask = size_mask(emu_stack_size(e)), frame, linear;

	emu_push(e, bp, size);
	frame = e->regs[EMU_RSP];
	for (i = 1; i < level; i++) {
		bp -= size;
		emu_push(e, emu_load(e, EMU_SS, bp & mask, size), size);
	}
	if (level)
		emu_push(e, frame, size);
	merge(&e->regs[EMU_RBP], frame, size);
	emu_move_stack(e, e->regs[EMU_RSP] - e->op[0].val);
	/* SDM: the new top of the stack must be writable. */
	linear = emu_linearize(e, EMU_SS, e->regs[EMU_RSP] & mask, 1, true);
	emu_call(e, probe_write, linear, 1);
}

static void op_leave(struct emu *e)
{
	emu_move_stack(e, e->regs[EMU_RBP]);
	merge(&e->regs[EMU_RBP], emu_pop(e, e->op_size), e->op_size);
}

/*
 * JMP near, relative or to the operand. 66 before a near branch in 64-bit mode
 * is honoured by AMD and not by Intel: not guessed.
 */
static void op_jmp(struct emu *e)
{
	unknown_if(e, e->mode == EMU_LONG && e->opsize_prefix);
	emu_jump(e, (e->op[0].loc == LOC_REL ? e->next_rip : 0) + e->op[0].val);
}

static void op_jcc(struct emu *e)
{
	if (condition(e, e->opcode))
		op_jmp(e);
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

/* RET and RET n; without n the operand is 0. */
static void op_ret(struct emu *e)
{
	u64 release = e->op[0].val;

	e->op[0].val = emu_pop(e, e->op_size);
	emu_move_stack(e, e->regs[EMU_RSP] + release);
	op_jmp(e);
}

static void op_bound(struct emu *e)
{
	unsigned int size = e->op_size;
	s64 low = (s64)sign_extend(emu_operand(e, 0, size), size);
	s64 high = (s64)sign_extend(emu_operand(e, size, size), size);
	s64 index = (s64)sign_extend(emu_gpr(e, e->op[0].reg, size), size);

	raise_if(e, index < low || index > high, EX_BR, 0);
}

/* ---- Ports and strings ----------------------------------------------------- */

static void port_in(struct emu *e, u16 port, unsigned int size, void *buf, unsigned int count)
{
	if (!emu_replayed(e, buf, size * count))
		emu_log_input(e, e->ops->pio_in(e, port, size, buf, count), buf, size * count);
}

static void port_out(struct emu *e, u16 port, unsigned int size, const void *buf,
		     unsigned int count)
{
	if (!emu_written(e))
		emu_log_output(e, e->ops->pio_out(e, port, size, buf, count));
}

/* SDM vol. 1 chapter 19: IOPL, else the bitmap in a 32- or 64-bit TSS. */
static void port_check(struct emu *e, u16 port, unsigned int size)
{
	const struct emu_seg *tr = emu_segment(e, EMU_TR);
	u32 at, bits;

	if (e->mode == EMU_REAL || (e->mode != EMU_VM86 && e->cpl <= iopl(e)))
		return;
	gp_if(e, tr->attr & EMU_SEG_UNUSABLE || (tr->attr & 13) != 9 || tr->limit < 0x67);
	at = emu_system_load(e, tr->base + 0x66, 2) + port / 8;
	gp_if(e, at + 1 > tr->limit);
	bits = emu_system_load(e, tr->base + at, 2);
	gp_if(e, bits >> (port & 7) & ((1u << size) - 1));
}

/* IN and OUT: operand 0 is the accumulator, operand 1, if any, the port. */
static void op_in_out(struct emu *e)
{
	u16 port = e->opcode & 8 ? (u16)e->regs[EMU_RDX] : (u8)e->op[1].val;
	unsigned int size = e->op[0].size;
	u64 value = e->regs[EMU_RAX] & size_mask(size);

	port_check(e, port, size);
	if (e->opcode & 2)
		return port_out(e, port, size, &value, 1);
	value = 0;
	port_in(e, port, size, &value, 1);
	merge(&e->regs[EMU_RAX], value, size);
}

static void string_advance(struct emu *e, unsigned int reg, unsigned int bytes)
{
	u64 step = e->rflags & X86_EFLAGS_DF ? -(u64)bytes : bytes;

	merge(&e->regs[reg], e->regs[reg] + step, e->addr_size);
}

/* MOVS, CMPS, STOS, LODS, SCAS: one element */
static void op_string(struct emu *e)
{
	unsigned int size = e->op[0].size, what = e->opcode & 0xfe;
	u64 mask = size_mask(e->addr_size), to = e->regs[EMU_RDI] & mask;
	u64 a = e->regs[EMU_RAX] & size_mask(size);

	if (what == 0xa4 || what == 0xa6 || what == 0xac) {
		a = emu_load(e, e->seg, e->regs[EMU_RSI] & mask, size);
		string_advance(e, EMU_RSI, size);
	}
	if (what == 0xac)
		return merge(&e->regs[EMU_RAX], a, size);
	if (what == 0xa4 || what == 0xaa)
		emu_write(e, EMU_ES, to, &a, size);
	else
		arithmetic(e, CMP, a, emu_load(e, EMU_ES, to, size), size);
	string_advance(e, EMU_RDI, size);
}

/*
 * How many items of a repeated INS or OUTS go in one batch: upwards, without
 * crossing a page, wrapping the index register or leaving the segment.
 */
static unsigned int batch_count(struct emu *e, unsigned int seg, unsigned int reg,
				unsigned int size, u64 *linear)
{
	u64 mask = size_mask(e->addr_size), offset = e->regs[reg] & mask;
	u64 left = e->rep ? e->regs[EMU_RCX] & mask : 1, room;
	bool write = reg == EMU_RDI;

	*linear = emu_linearize(e, seg, offset, size, write);
	if (stopped(e) || e->rflags & (X86_EFLAGS_DF | X86_EFLAGS_TF))
		return 1;
	room = 4096 - (*linear & 4095);
	room = (room < EMU_PIO_MAX ? room : EMU_PIO_MAX) / size;
	if (left > room)
		left = room;
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
	unsigned int seg = out ? e->seg : EMU_ES, reg = out ? EMU_RSI : EMU_RDI;
	unsigned int size = e->op[0].size, count;
	u16 port = (u16)e->regs[EMU_RDX];
	u64 linear;

	port_check(e, port, size);
	count = batch_count(e, seg, reg, size, &linear);
	if (out) {
		emu_lin_read(e, linear, e->pio, size * count, 0);
		port_out(e, port, size, e->pio, count);
	} else {
		emu_call(e, probe_write, linear, size * count);
		port_in(e, port, size, e->pio, count);
		emu_lin_write(e, linear, e->pio, size * count, 0);
	}
	string_advance(e, reg, size * count);
	if (e->rep)	/* execute_string() counts the last one */
		merge(&e->regs[EMU_RCX], e->regs[EMU_RCX] - (count - 1), e->addr_size);
}

/* ---- System instructions --------------------------------------------------- */

static void op_cli_sti(struct emu *e)
{
	bool set = e->opcode == 0xfb;

	if (emu_vm86_refuses(e))
		return;
	if (e->mode != EMU_REAL && e->cpl > iopl(e)) {
		unknown_if(e, e->cpl == 3 && cr(e, 4) & X86_CR4_PVI);
		emu_raise(e, EX_GP, 0);
	}
	if (set && !(e->rflags & X86_EFLAGS_IF))
		e->shadow = EMU_SHADOW_STI;
	flags_change(e, X86_EFLAGS_IF, set ? X86_EFLAGS_IF : 0);
}

/* What only the owner can do; the row's flags say what. */
static void op_control(struct emu *e)
{
	emu_call(e, control, e->flags >> VALUE_SHIFT, 0, NULL);
}

static void op_clts(struct emu *e)
{
	emu_call(e, set_cr, 0, cr(e, 0) & ~X86_CR0_TS);
}

static void op_mov_to_cr(struct emu *e)
{
	emu_call(e, set_cr, e->op[0].reg, e->op[1].val);
}

/* To or from DR n; DR4 and DR5 are DR6 and DR7 unless CR4.DE. */
static void op_mov_dr(struct emu *e)
{
	bool from = e->opcode == 0x21;
	unsigned int dr = e->op[from].reg;

	if (dr == 4 || dr == 5) {
		ud_if(e, cr(e, 4) & X86_CR4_DE);
		dr += 2;
	}
	if (from)
		emu_call(e, get_dr, dr, &e->op[0].val);
	else
		emu_call(e, set_dr, dr, e->op[1].val);
}

static u64 edx_eax(const struct emu *e)
{
	return e->regs[EMU_RDX] << 32 | (u32)e->regs[EMU_RAX];
}

static void set_edx_eax(struct emu *e, u64 value)
{
	wide_write(e, value >> 32, value, 4);
}

static void op_rdmsr(struct emu *e)
{
	set_edx_eax(e, emu_rdmsr(e, (u32)e->regs[EMU_RCX]));
}

static void op_wrmsr(struct emu *e)
{
	emu_call(e, wrmsr, (u32)e->regs[EMU_RCX], edx_eax(e));
}

static void op_rdtsc(struct emu *e)
{
	u64 tsc = 0;

	gp_if(e, e->cpl && cr(e, 4) & X86_CR4_TSD);
	if (e->opcode == 0x01)	/* RDTSCP */
		merge(&e->regs[EMU_RCX], emu_rdmsr(e, MSR_TSC_AUX), 4);
	emu_call(e, rdtsc, &tsc);
	set_edx_eax(e, tsc);
}

static void op_cpuid(struct emu *e)
{
	u32 r[4] = { (u32)e->regs[EMU_RAX], (u32)e->regs[EMU_RBX],
		     (u32)e->regs[EMU_RCX], (u32)e->regs[EMU_RDX] };

	emu_call(e, cpuid, r);
	e->regs[EMU_RAX] = r[0];
	e->regs[EMU_RBX] = r[1];
	e->regs[EMU_RCX] = r[2];
	e->regs[EMU_RDX] = r[3];
}

/* SGDT and SIDT, by ModRM.reg */
static void op_store_table(struct emu *e)
{
	struct emu_table t = { 0, 0 };
	u8 image[10];

	(modrm_reg(e) ? e->ops->get_idt : e->ops->get_gdt)(e, &t);
	memcpy(image, &t.limit, 2);
	memcpy(image + 2, &t.base, 8);
	emu_set_operand(e, image, e->mode == EMU_LONG ? 10 : 6);
}

/* LGDT and LIDT: with 16-bit operands the base has 24 bits. */
static void op_load_table(struct emu *e)
{
	struct emu_table t = { 0, 0 };
	u8 image[10] = { 0 };

	emu_read(e, e->seg, e->ea, image, e->mode == EMU_LONG ? 10 : 6, 0);
	memcpy(&t.limit, image, 2);
	memcpy(&t.base, image + 2, 8);
	if (e->mode != EMU_LONG && e->op_size == 2)
		t.base &= 0xffffff;
	gp_if(e, !emu_canonical(e, t.base));
	if (!stopped(e))
		(modrm_reg(e) == 3 ? e->ops->set_idt : e->ops->set_gdt)(e, &t);
}

/* LMSW sets PE, MP, EM and TS, but cannot clear PE. */
static void op_lmsw(struct emu *e)
{
	u64 mask = X86_CR0_MP | X86_CR0_EM | X86_CR0_TS;

	emu_call(e, set_cr, 0, (cr(e, 0) & ~mask) | (e->op[0].val & (mask | X86_CR0_PE)));
}

static void op_swapgs(struct emu *e)
{
	struct emu_seg gs = *emu_segment(e, EMU_GS);
	u64 base;

	ud_if(e, e->mode != EMU_LONG);
	gp_if(e, e->cpl);
	base = emu_rdmsr(e, MSR_KERNEL_GS_BASE);
	emu_call(e, wrmsr, MSR_KERNEL_GS_BASE, gs.base);
	gs.base = base;
	emu_set_segment(e, EMU_GS, &gs);
}

/* XGETBV and XSETBV */
static void op_xcr(struct emu *e)
{
	bool set = e->modrm & 1;
	u64 value = edx_eax(e);

	ud_if(e, !(cr(e, 4) & X86_CR4_OSXSAVE));
	gp_if(e, set && e->cpl);
	emu_call(e, control, set ? EMU_CTL_XSETBV : EMU_CTL_XGETBV, (u32)e->regs[EMU_RCX], &value);
	if (!set)
		set_edx_eax(e, value);
}

static void op_invlpg(struct emu *e)
{
	u64 linear = e->ea;

	if (e->mode != EMU_LONG || e->seg == EMU_FS || e->seg == EMU_GS)
		linear += emu_segment(e, e->seg)->base;
	if (e->mode != EMU_LONG)
		linear = (u32)linear;
	if (emu_canonical(e, linear))	/* SDM: else a no-operation */
		emu_call(e, control, EMU_CTL_INVLPG, linear, NULL);
}

static void op_invpcid(struct emu *e)
{
	u8 descriptor[16];

	emu_read(e, e->seg, e->ea, descriptor, 16, 0);
	emu_call(e, control, EMU_CTL_INVPCID, e->op[1].val, descriptor);
}

/* RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE, by ModRM.reg */
static void op_fsgsbase(struct emu *e)
{
	unsigned int seg = e->modrm & 8 ? EMU_GS : EMU_FS;
	struct emu_seg s = *emu_segment(e, seg);

	ud_if(e, e->mode != EMU_LONG || !(cr(e, 4) & X86_CR4_FSGSBASE));
	if (!(e->modrm & 0x10)) {
		e->op[0].val = s.base;
		return;
	}
	s.base = e->op[0].val;
	gp_if(e, !emu_canonical(e, s.base));
	emu_set_segment(e, seg, &s);
}

static void op_clflush(struct emu *e)
{
	u64 linear = emu_linearize(e, e->seg, e->ea, 1, false);

	emu_call(e, control, EMU_CTL_CLFLUSH, linear, NULL);
}

/* ---- x87, MMX, SSE and AVX: moves and control words ------------------------ */

/* #NM if CR0 has any of @nm. */
static void fpu_begin(struct emu *e, u64 nm)
{
	raise_if(e, cr(e, 0) & nm, EX_NM, 0);
	emu_call(e, fpu_get, &e->fpu);
	if (stopped(e))
		memset(&e->fpu, 0, sizeof(e->fpu));
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

/* The halves of a vector register, or an MMX register, from or to @buf. */
static void vec_get(const struct emu *e, unsigned int reg, u8 buf[32])
{
	memcpy(buf, e->fpu.xmm[reg], 16);
	memcpy(buf + 16, e->fpu.ymm_high[reg], 16);
}

/* VEX clears what is above @size, the old encodings keep it. */
static void vec_set(struct emu *e, unsigned int reg, const u8 *buf, unsigned int size)
{
	memcpy(e->fpu.xmm[reg], buf, 16);
	if (!e->vex)
		return;
	memset(e->fpu.ymm_high[reg], 0, 16);
	memcpy(e->fpu.ymm_high[reg], buf + 16, size - 16);
	e->fpu.zeroed |= 1u << reg;
}

/* MMX instructions set the top of the x87 stack to 0 and mark all of it used. */
static void mmx_begin(struct emu *e)
{
	unsigned int top = e->fpu.sw >> 11 & 7, i;
	u8 st[8][16];

	memcpy(st, e->fpu.st, sizeof(st));
	for (i = 0; i < 8; i++)
		memcpy(e->fpu.st[i], st[(i - top) & 7], 16);
	e->fpu.sw &= ~0x3800u;
	e->fpu.tags = 0xff;
}

/* Moves of a whole operand, between registers of any kind and memory. */
static void op_vec_move(struct emu *e)
{
	const struct emu_operand *to = &e->op[0], *from = &e->op[1];
	bool mmx = to->loc == LOC_MMX || from->loc == LOC_MMX;
	u8 buf[32] = { 0 };
	u64 low;

	ud_if(e, e->vex && e->vex_reg);
	vector_begin(e, mmx);
	if (mmx)
		mmx_begin(e);
	if (from->loc == LOC_MEM)
		emu_read(e, e->seg, e->ea, buf, from->size, 0);
	else if (from->loc == LOC_VEC)
		vec_get(e, from->reg, buf);
	else
		memcpy(buf, from->loc == LOC_MMX ? (void *)e->fpu.st[from->reg] :
						   (void *)&e->regs[from->reg], 8);
	if (from->size < 16)
		memset(buf + from->size, 0, 16 - from->size);
	memcpy(&low, buf, 8);
	if (to->loc == LOC_MEM)
		emu_set_operand(e, buf, to->size);
	else if (to->loc == LOC_GPR)
		emu_set_gpr(e, to->reg, to->size, low);
	else if (to->loc == LOC_VEC)
		vec_set(e, to->reg, buf, to->size < 16 ? 16 : to->size);
	else
		memset(memcpy(e->fpu.st[to->reg], buf, 8) + 8, 0xff, 2);
	if (mmx || to->loc == LOC_VEC)
		emu_call(e, fpu_set, &e->fpu);
}

/* MOVSS and MOVSD: with two registers they are partial moves. */
static void op_vec_scalar(struct emu *e)
{
	unknown_if(e, e->op[0].loc != LOC_MEM && e->op[1].loc != LOC_MEM);
	op_vec_move(e);
}

/*
 * MOVLPS, MOVLPD, MOVHPS and MOVHPD replace a part of a vector register; VEX
 * takes the rest from another one.
 */
static void op_vec_part(struct emu *e)
{
	unsigned int at = e->opcode >= 0x16 ? 8 : 0;
	bool store = e->op[0].loc == LOC_MEM;
	u8 buf[32];

	unknown_if(e, !store && e->op[1].loc != LOC_MEM);	/* MOVHLPS, MOVLHPS */
	ud_if(e, store && e->vex && e->vex_reg);
	vector_begin(e, false);
	vec_get(e, store ? e->op[1].reg : e->vex ? e->vex_reg : e->op[0].reg, buf);
	if (store)
		return emu_set_operand(e, buf + at, 8);
	emu_read(e, e->seg, e->ea, buf + at, 8, 0);
	vec_set(e, e->op[0].reg, buf, 16);
	emu_call(e, fpu_set, &e->fpu);
}

static void op_movnti(struct emu *e)
{
	ud_if(e, e->vex_pp);
	e->op[0].val = e->op[1].val;
}

/* SW.ES and B tell whether SW has an exception that CW does not mask. */
static void x87_set_words(struct emu *e, u16 cw, u16 sw)
{
	e->fpu.cw = cw;
	e->fpu.sw = (sw & 0x7f7f) | (sw & ~cw & 0x3f ? 0x8080 : 0);
	emu_call(e, fpu_set, &e->fpu);
}

/* What waits reports earlier exceptions first; without NE by an interrupt. */
static void x87_wait(struct emu *e)
{
	if (!(e->fpu.sw & 0x80))
		return;
	unknown_if(e, !(cr(e, 0) & X86_CR0_NE));
	emu_raise(e, EX_MF, 0);
}

static void op_fwait(struct emu *e)
{
	fpu_begin(e, cr(e, 0) & X86_CR0_MP ? X86_CR0_TS : 0);
	x87_wait(e);
}

static void x87_init(struct emu *e)
{
	e->fpu.tags = 0;
	e->fpu.opcode = 0;
	e->fpu.ip = 0;
	e->fpu.dp = 0;
	x87_set_words(e, 0x37f, 0);
}

/* D8 to DF: control instructions only. */
static void op_x87(struct emu *e)
{
	bool memory = e->op[0].loc == LOC_MEM;

	fpu_begin(e, X86_CR0_EM | X86_CR0_TS);
	switch (e->opcode << 8 | (memory ? modrm_reg(e) : e->modrm)) {
	case 0xdbe3:		/* FNINIT */
		return x87_init(e);
	case 0xdbe2:		/* FNCLEX */
		return x87_set_words(e, e->fpu.cw, e->fpu.sw & 0x7f00);
	case 0xdfe0:		/* FNSTSW AX */
		return merge(&e->regs[EMU_RAX], e->fpu.sw, 2);
	case 0xd905:		/* FLDCW */
		x87_wait(e);
		return x87_set_words(e, emu_operand(e, 0, 2) & ~0xe080u, e->fpu.sw);
	case 0xd907:		/* FNSTCW */
		return emu_set_operand(e, &e->fpu.cw, 2);
	case 0xdd07:		/* FNSTSW */
		return emu_set_operand(e, &e->fpu.sw, 2);
	default:
		emu_stop(e, EMU_UNHANDLED);
	}
}

static void op_mxcsr(struct emu *e)
{
	bool load = modrm_reg(e) == 2;

	vector_begin(e, false);
	if (!load)
		return emu_set_operand(e, &e->fpu.mxcsr, 4);
	e->fpu.mxcsr = emu_operand(e, 0, 4);
	gp_if(e, e->fpu.mxcsr & ~e->fpu.mxcsr_mask);
	emu_call(e, fpu_set, &e->fpu);
}

/*
 * FXSAVE and FXRSTOR. The image ends behind XMM15, outside of 64-bit mode behind
 * XMM7. Without REX.W the pointers have 32 bits and a selector, which processors
 * of today leave 0.
 */
static void op_fxsave(struct emu *e)
{
	unsigned int size = e->mode == EMU_LONG ? 416 : 288, i, n;
	u64 pointers = e->rex & 8 ? ~0ull : 0xffffffff, linear;
	bool load = modrm_reg(e) == 1;
	u8 image[416];

	raise_if(e, cr(e, 0) & X86_CR0_EM, EX_NM, 0);
	fpu_begin(e, X86_CR0_TS);
	linear = emu_linearize(e, e->seg, e->ea, 512, !load);
	gp_if(e, linear & 15);
	e->fpu.ip &= pointers;
	e->fpu.dp &= pointers;
	memcpy(image, &e->fpu, size);
	if (!load)		/* all pages first, then in pieces */
		for (i = 0; i < 512; i += 256)
			emu_call(e, probe_write, linear + i, 256);
	for (i = 0; i < size; i += n) {
		n = size - i < 64 ? size - i : 64;
		if (load)
			emu_lin_read(e, linear + i, image + i, n, 0);
		else
			emu_lin_write(e, linear + i, image + i, n, 0);
	}
	if (!load)
		return;
	n = e->fpu.mxcsr_mask;
	memcpy(&e->fpu, image, size);
	e->fpu.mxcsr_mask = n;
	gp_if(e, e->fpu.mxcsr & ~n);
	e->fpu.ip &= pointers;
	e->fpu.dp &= pointers;
	x87_set_words(e, (e->fpu.cw & ~0xe0c0u) | 0x40, e->fpu.sw);
}

/* ---- The opcode tables (SDM 2D appendix A) --------------------------------- */

/* E(B) is the manual's Eb; the letters are explained at enum loc. */
#define E(size)		KIND(LOC_RM, SZ_##size)
#define G(size)		KIND(LOC_REG, SZ_##size)
#define R(size)		KIND(LOC_RM_GPR, SZ_##size)
#define B(size)		KIND(LOC_VVVV, SZ_##size)
#define S(size)		KIND(LOC_SREG, SZ_##size)
#define C(size)		KIND(LOC_CR, SZ_##size)
#define D(size)		KIND(LOC_DR, SZ_##size)
#define V(size)		KIND(LOC_VEC, SZ_##size)
#define W(size)		KIND(LOC_VEC_RM, SZ_##size)
#define P(size)		KIND(LOC_MMX, SZ_##size)
#define Q(size)		KIND(LOC_MMX_RM, SZ_##size)
#define Z(size)		KIND(LOC_OPC, SZ_##size)
#define ACC(size)	KIND(LOC_ACC, SZ_##size)
#define CL(size)	KIND(LOC_CL, SZ_##size)
#define ONE(size)	KIND(LOC_ONE, SZ_##size)
#define I(size)		KIND(LOC_IMM, SZ_##size)
#define IS(size)	KIND(LOC_IMM8, SZ_##size)
#define J(size)		KIND(LOC_REL, SZ_##size)
#define O(size)		KIND(LOC_OFFSET, SZ_##size)
#define A(size)		KIND(LOC_FAR, SZ_##size)

/* 00 to 3D but CMP, by bits 1 and 2; bits 3 to 5 name the operation. */
static const struct row arithmetic_rows[3] = {
	{ op_value, { E(BV), G(BV) }, LOCK | VALUE(ARITHMETIC) },
	{ op_value, { G(BV), E(BV) }, VALUE(ARITHMETIC) },
	{ op_value, { ACC(BV), I(BZ) }, VALUE(ARITHMETIC) },
};

static const struct row group1[8] = {
	[0 ... 6] = { op_value, { 0 }, LOCK | VALUE(ARITHMETIC) },
	[7] = { op_value, { 0 }, NOWRITE | VALUE(ARITHMETIC) },		/* CMP */
};

static const struct row group1a[8] = {
	{ op_pop, { 0 }, NOREAD | D64 },
	[1 ... 7] = { op_ud, { 0 }, RAW },
};

static const struct row group3[8] = {
	[0 ... 1] = { op_value, { E(BV), I(BZ) }, NOWRITE | VALUE(TEST) },
	[2] = { op_value, { 0 }, LOCK | VALUE(NOT) },
	[3] = { op_value, { 0 }, LOCK | VALUE(NEG) },
	[4 ... 5] = { op_mul, { 0 }, NOWRITE },
	[6 ... 7] = { op_div, { 0 }, NOWRITE },
};

/* Groups 4 and 5; the first two are for bytes, too. */
static const struct row group4[8] = {
	[0 ... 1] = { op_inc_dec, { 0 }, LOCK },
	[2 ... 7] = { op_ud, { 0 }, RAW },
};

static const struct row group5[8] = {
	[0 ... 1] = { op_inc_dec, { 0 }, LOCK },
	{ op_call, { 0 }, NOWRITE | F64 },
	{ emu_op_far_indirect, { 0 }, RAW | MEMORY },			/* CALL far */
	{ op_jmp, { 0 }, NOWRITE | F64 },
	{ emu_op_far_indirect, { 0 }, RAW | MEMORY },			/* JMP far */
	{ op_push, { 0 }, NOWRITE | D64 },
	{ op_ud, { 0 }, RAW },
};

static const struct row group6[8] = {
	[0] = { op_value, { E(M) }, NOREAD | PROT | UMIP | VALUE(SLDT) },
	[1] = { op_value, { E(M) }, NOREAD | PROT | UMIP | VALUE(STR) },
	[2 ... 3] = { emu_op_load_system, { 0 }, NOWRITE | PROT | PRIV }, /* LLDT, LTR */
	[4 ... 5] = { emu_op_verify, { 0 }, NOWRITE | PROT },		/* VERR, VERW */
	[6 ... 7] = { op_ud, { 0 }, RAW },
};

static const struct row group7[8] = {
	[0 ... 1] = { op_store_table, { 0 }, RAW | MEMORY | UMIP },	/* SGDT, SIDT */
	[2 ... 3] = { op_load_table, { 0 }, RAW | MEMORY | PRIV },	/* LGDT, LIDT */
	[4] = { op_value, { E(M) }, NOREAD | UMIP | VALUE(SMSW) },
	[6] = { op_lmsw, { E(W) }, NOWRITE | PRIV },
	[7] = { op_invlpg, { 0 }, RAW | MEMORY | PRIV },
};

static const struct row group8[8] = {
	[0 ... 3] = { op_ud, { 0 }, RAW },
	[4] = { op_bit, { 0 }, NOWRITE },				/* BT */
	[5 ... 7] = { op_bit, { 0 }, LOCK },
};

static const struct row group9[8] = {
	[1] = { op_cmpxchg_wide, { 0 }, RAW | LOCK | MEMORY },
};

static const struct row group11[8] = {
	{ op_value, { 0 }, NOREAD | VALUE(MOV) },
};

static const struct row one_byte[256] = {
	[0x06] = { emu_op_push_sreg, { 0 }, I64 },
	[0x07] = { emu_op_pop_sreg, { 0 }, I64 },
	[0x0e] = { emu_op_push_sreg, { 0 }, I64 },
	[0x16] = { emu_op_push_sreg, { 0 }, I64 },
	[0x17] = { emu_op_pop_sreg, { 0 }, I64 },
	[0x1e] = { emu_op_push_sreg, { 0 }, I64 },
	[0x1f] = { emu_op_pop_sreg, { 0 }, I64 },
	[0x27] = { op_daa_das, { 0 }, I64 },
	[0x2f] = { op_daa_das, { 0 }, I64 },
	[0x37] = { op_aaa_aas, { 0 }, I64 },
	[0x38 ... 0x39] = { op_value, { E(BV), G(BV) }, NOWRITE | VALUE(ARITHMETIC) }, /* CMP */
	[0x3a ... 0x3b] = { op_value, { G(BV), E(BV) }, NOWRITE | VALUE(ARITHMETIC) },
	[0x3c ... 0x3d] = { op_value, { ACC(BV), I(BZ) }, NOWRITE | VALUE(ARITHMETIC) },
	[0x3f] = { op_aaa_aas, { 0 }, I64 },
	[0x40 ... 0x4f] = { op_inc_dec, { Z(V) }, I64 },
	[0x50 ... 0x57] = { op_push, { Z(V) }, NOWRITE | D64 },
	[0x58 ... 0x5f] = { op_pop, { Z(V) }, NOREAD | D64 },
	[0x60] = { op_pusha, { 0 }, I64 },
	[0x61] = { op_popa, { 0 }, I64 },
	[0x62] = { op_bound, { G(V), E(V) }, RAW | I64 | MEMORY },
	[0x63] = { op_value, { G(V), E(D) }, NOREAD | VALUE(MOVSX) },		/* MOVSXD */
	[0x68] = { op_push, { I(Z) }, NOWRITE | D64 },
	[0x69] = { op_imul, { G(V), E(V), I(Z) }, NOREAD },
	[0x6a] = { op_push, { IS(V) }, NOWRITE | D64 },
	[0x6b] = { op_imul, { G(V), E(V), IS(V) }, NOREAD },
	[0x6c ... 0x6f] = { op_ins_outs, { ACC(BZ) }, RAW | STRING },
	[0x70 ... 0x7f] = { op_jcc, { J(B) }, RAW | F64 },
	[0x80 ... 0x81] = { NULL, { E(BV), I(BZ) }, 0, group1 },
	[0x82] = { NULL, { E(B), I(B) }, I64, group1 },
	[0x83] = { NULL, { E(V), IS(V) }, 0, group1 },
	[0x84 ... 0x85] = { op_value, { E(BV), G(BV) }, NOWRITE | VALUE(TEST) },
	[0x86 ... 0x87] = { op_xchg, { E(BV), G(BV) }, LOCK },
	[0x88 ... 0x89] = { op_value, { E(BV), G(BV) }, NOREAD | VALUE(MOV) },
	[0x8a ... 0x8b] = { op_value, { G(BV), E(BV) }, NOREAD | VALUE(MOV) },
	[0x8c] = { op_value, { E(M), S(W) }, NOREAD | VALUE(FROM_SREG) },
	[0x8d] = { op_value, { G(V), E(V) }, NOREAD | NOLOAD | MEMORY | VALUE(LEA) },
	[0x8e] = { emu_op_mov_to_sreg, { S(W), E(W) }, NOREAD | NOWRITE },
	[0x8f] = { NULL, { E(V) }, 0, group1a },
	[0x90] = { op_nop_pause, { Z(V), ACC(V) } },
	[0x91 ... 0x97] = { op_xchg, { Z(V), ACC(V) } },
	[0x98] = { op_cbw },
	[0x99] = { op_cwd },
	[0x9a] = { emu_op_far_direct, { A(V) }, RAW | I64 },
	[0x9b] = { op_fwait },
	[0x9c] = { op_pushf, { 0 }, D64 },
	[0x9d] = { op_popf, { 0 }, D64 },
	[0x9e] = { op_sahf },
	[0x9f] = { op_lahf },
	[0xa0 ... 0xa1] = { op_value, { ACC(BV), O(BV) }, NOREAD | VALUE(MOV) },
	[0xa2 ... 0xa3] = { op_value, { O(BV), ACC(BV) }, NOREAD | VALUE(MOV) },
	[0xa4 ... 0xa5] = { op_string, { ACC(BV) }, RAW | STRING },	/* MOVS */
	[0xa6 ... 0xa7] = { op_string, { ACC(BV) }, RAW | STRING | REPCC }, /* CMPS */
	[0xa8 ... 0xa9] = { op_value, { ACC(BV), I(BZ) }, NOWRITE | VALUE(TEST) },
	[0xaa ... 0xad] = { op_string, { ACC(BV) }, RAW | STRING },	/* STOS, LODS */
	[0xae ... 0xaf] = { op_string, { ACC(BV) }, RAW | STRING | REPCC }, /* SCAS */
	[0xb0 ... 0xb7] = { op_value, { Z(B), I(B) }, NOREAD | VALUE(MOV) },
	[0xb8 ... 0xbf] = { op_value, { Z(V), I(V) }, NOREAD | VALUE(MOV) },
	[0xc0 ... 0xc1] = { op_shift, { E(BV), I(B) } },
	[0xc2] = { op_ret, { I(W) }, RAW | F64 },
	[0xc3] = { op_ret, { 0 }, RAW | F64 },
	[0xc4 ... 0xc5] = { emu_op_load_far_pointer, { G(V), E(V) }, RAW | I64 | MEMORY },
	[0xc6 ... 0xc7] = { NULL, { E(BV), I(BZ) }, 0, group11 },
	[0xc8] = { op_enter, { I(W), I(B) }, RAW | D64 },
	[0xc9] = { op_leave, { 0 }, D64 },
	[0xca] = { emu_op_ret_far, { I(W) }, RAW },
	[0xcb] = { emu_op_ret_far, { 0 }, RAW },
	[0xcc] = { emu_op_int },
	[0xcd] = { emu_op_int, { I(B) }, RAW },
	[0xce] = { emu_op_int, { 0 }, I64 },
	[0xcf] = { emu_op_iret },
	[0xd0 ... 0xd1] = { op_shift, { E(BV), ONE(B) } },
	[0xd2 ... 0xd3] = { op_shift, { E(BV), CL(B) } },
	[0xd4] = { op_aam, { I(B) }, RAW | I64 },
	[0xd5] = { op_aad, { I(B) }, RAW | I64 },
	[0xd6] = { op_value, { ACC(B) }, NOREAD | I64 | VALUE(SALC) },
	[0xd7] = { op_value, { ACC(B) }, NOREAD | VALUE(XLAT) },
	[0xd8 ... 0xdf] = { op_x87, { E(W) }, RAW },
	[0xe0 ... 0xe3] = { op_loop, { J(B) }, RAW | F64 },
	[0xe4 ... 0xe7] = { op_in_out, { ACC(BZ), I(B) }, RAW },
	[0xe8] = { op_call, { J(Z) }, RAW | F64 },
	[0xe9] = { op_jmp, { J(Z) }, RAW | F64 },
	[0xea] = { emu_op_far_direct, { A(V) }, RAW | I64 },
	[0xeb] = { op_jmp, { J(B) }, RAW | F64 },
	[0xec ... 0xef] = { op_in_out, { ACC(BZ) }, RAW },
	[0xf1] = { emu_op_int },
	[0xf4] = { op_control, { 0 }, PRIV | VALUE(EMU_CTL_HLT) },
	[0xf5] = { op_flag },						/* CMC */
	[0xf6 ... 0xf7] = { NULL, { E(BV) }, 0, group3 },
	[0xf8 ... 0xf9] = { op_flag },					/* CLC, STC */
	[0xfa ... 0xfb] = { op_cli_sti },
	[0xfc ... 0xfd] = { op_flag },					/* CLD, STD */
	[0xfe] = { NULL, { E(B) }, 0, group4 },
	[0xff] = { NULL, { E(V) }, 0, group5 },
};

/* In 64-bit mode 63 is MOVSXD, elsewhere ARPL. */
static const struct row row_arpl = { emu_op_arpl, { E(W), G(W) }, NOWRITE | PROT };

/* The 0F map, but for what takes a mandatory prefix. */
static const struct row two_byte[256] = {
	[0x00] = { NULL, { E(W) }, 0, group6 },
	[0x01] = { NULL, { E(V) }, 0, group7 },
	[0x02 ... 0x03] = { emu_op_lar_lsl, { G(V), E(W) }, PROT },
	[0x06] = { op_clts, { 0 }, PRIV },
	[0x08] = { op_control, { 0 }, PRIV | VALUE(EMU_CTL_INVD) },
	[0x09] = { op_control, { 0 }, PRIV | VALUE(EMU_CTL_WBINVD) },
	[0x0b] = { op_ud, { 0 }, RAW },					/* UD2 */
	[0x0d] = { op_nop, { E(B) }, RAW },				/* PREFETCHW */
	[0x18 ... 0x1f] = { op_nop, { E(B) }, RAW },			/* hints */
	[0x20] = { op_value, { R(N), C(N) }, NOREAD | PRIV | VALUE(FROM_CR) },
	[0x21] = { op_mov_dr, { R(N), D(N) }, NOREAD | PRIV },
	[0x22] = { op_mov_to_cr, { C(N), R(N) }, NOREAD | NOWRITE | PRIV },
	[0x23] = { op_mov_dr, { D(N), R(N) }, NOREAD | NOWRITE | PRIV },
	[0x30] = { op_wrmsr, { 0 }, PRIV },
	[0x31] = { op_rdtsc },
	[0x32] = { op_rdmsr, { 0 }, PRIV },
	[0x40 ... 0x4f] = { op_value, { G(V), E(V) }, VALUE(CMOVCC) },
	[0x80 ... 0x8f] = { op_jcc, { J(Z) }, RAW | F64 },
	[0x90 ... 0x9f] = { op_value, { E(B) }, NOREAD | VALUE(SETCC) },
	[0xa0] = { emu_op_push_sreg, { 0 }, D64 },
	[0xa1] = { emu_op_pop_sreg, { 0 }, D64 },
	[0xa2] = { op_cpuid },
	[0xa3] = { op_bit, { E(V), G(V) }, NOWRITE | BITS },
	[0xa4] = { op_double_shift, { E(V), G(V), I(B) } },
	[0xa5] = { op_double_shift, { E(V), G(V), CL(B) } },
	[0xa8] = { emu_op_push_sreg, { 0 }, D64 },
	[0xa9] = { emu_op_pop_sreg, { 0 }, D64 },
	[0xab] = { op_bit, { E(V), G(V) }, LOCK | BITS },
	[0xac] = { op_double_shift, { E(V), G(V), I(B) } },
	[0xad] = { op_double_shift, { E(V), G(V), CL(B) } },
	[0xae] = { NULL, { E(Y) } },					/* MAP_0FAE_… */
	[0xaf] = { op_imul, { G(V), E(V) } },
	[0xb0 ... 0xb1] = { op_cmpxchg, { E(BV), G(BV) }, LOCK },
	[0xb2] = { emu_op_load_far_pointer, { G(V), E(V) }, RAW | MEMORY },
	[0xb3] = { op_bit, { E(V), G(V) }, LOCK | BITS },
	[0xb4 ... 0xb5] = { emu_op_load_far_pointer, { G(V), E(V) }, RAW | MEMORY },
	[0xb6] = { op_value, { G(V), E(B) }, NOREAD | VALUE(MOV) },		/* MOVZX */
	[0xb7] = { op_value, { G(V), E(W) }, NOREAD | VALUE(MOV) },
	[0xb8] = { op_popcnt, { G(V), E(V) }, NOREAD },
	[0xb9] = { op_ud, { E(B) }, RAW },				/* UD1 */
	[0xba] = { NULL, { E(V), I(B) }, 0, group8 },
	[0xbb] = { op_bit, { E(V), G(V) }, LOCK | BITS },
	[0xbc ... 0xbd] = { op_bit_scan, { G(V), E(V) } },
	[0xbe] = { op_value, { G(V), E(B) }, NOREAD | VALUE(MOVSX) },
	[0xbf] = { op_value, { G(V), E(W) }, NOREAD | VALUE(MOVSX) },
	[0xc0 ... 0xc1] = { op_xadd, { E(BV), G(BV) }, LOCK },
	[0xc3] = { op_movnti, { E(Y), G(Y) }, NOREAD | MEMORY },
	[0xc7] = { NULL, { E(V) }, 0, group9 },
	[0xc8 ... 0xcf] = { op_swap, { Z(V) } },
	[0xff] = { op_ud, { E(B) }, RAW },				/* UD0 */
};

/* Found by map, opcode, mandatory prefixes and encodings. */
static const struct searched_row {
	u8 map, opcode, prefixes;
	struct row row;
} searched[] = {
#define P_NONE	0x01
#define P_66	0x02
#define P_F3	0x04
#define P_F2	0x08
#define OLD	0x10		/* without VEX */
#define VEX	0x20
#define PACKED	(P_NONE | P_66 | OLD | VEX)
#define BMI	(NOREAD | PROT)
#define STREAM	(RAW | ALIGN | ANYLEN | MEMORY)
	/* MOVUPS, MOVUPD, MOVSS, MOVSD */
	{ 2, 0x10, PACKED, { op_vec_move, { V(X), W(X) }, RAW | ANYLEN } },
	{ 2, 0x10, P_F3 | OLD | VEX, { op_vec_scalar, { V(D), W(D) }, RAW | ANYLEN } },
	{ 2, 0x10, P_F2 | OLD | VEX, { op_vec_scalar, { V(Q), W(Q) }, RAW | ANYLEN } },
	{ 2, 0x11, PACKED, { op_vec_move, { W(X), V(X) }, RAW | ANYLEN } },
	{ 2, 0x11, P_F3 | OLD | VEX, { op_vec_scalar, { W(D), V(D) }, RAW | ANYLEN } },
	{ 2, 0x11, P_F2 | OLD | VEX, { op_vec_scalar, { W(Q), V(Q) }, RAW | ANYLEN } },
	/* MOVLPS, MOVLPD, MOVHPS, MOVHPD */
	{ 2, 0x12, PACKED, { op_vec_part, { V(Q), W(Q) }, RAW } },
	{ 2, 0x13, PACKED, { op_vec_part, { W(Q), V(Q) }, RAW | MEMORY } },
	{ 2, 0x16, PACKED, { op_vec_part, { V(Q), W(Q) }, RAW } },
	{ 2, 0x17, PACKED, { op_vec_part, { W(Q), V(Q) }, RAW | MEMORY } },
	/* MOVAPS, MOVAPD, MOVNTPS, MOVNTPD */
	{ 2, 0x28, PACKED, { op_vec_move, { V(X), W(X) }, RAW | ALIGN | ANYLEN } },
	{ 2, 0x29, PACKED, { op_vec_move, { W(X), V(X) }, RAW | ALIGN | ANYLEN } },
	{ 2, 0x2b, PACKED, { op_vec_move, { W(X), V(X) }, STREAM } },
	/* MOVD, MOVQ */
	{ 2, 0x6e, P_NONE | OLD, { op_vec_move, { P(Y), E(Y) }, RAW } },
	{ 2, 0x6e, P_66 | OLD | VEX, { op_vec_move, { V(Y), E(Y) }, RAW } },
	{ 2, 0x7e, P_NONE | OLD, { op_vec_move, { E(Y), P(Y) }, RAW } },
	{ 2, 0x7e, P_66 | OLD | VEX, { op_vec_move, { E(Y), V(Y) }, RAW } },
	{ 2, 0x7e, P_F3 | OLD | VEX, { op_vec_move, { V(Q), W(Q) }, RAW } },
	{ 2, 0xd6, P_66 | OLD | VEX, { op_vec_move, { W(Q), V(Q) }, RAW } },
	/* MOVQ (MMX), MOVDQA, MOVDQU */
	{ 2, 0x6f, P_NONE | OLD, { op_vec_move, { P(Q), Q(Q) }, RAW } },
	{ 2, 0x6f, P_66 | OLD | VEX, { op_vec_move, { V(X), W(X) }, RAW | ALIGN | ANYLEN } },
	{ 2, 0x6f, P_F3 | OLD | VEX, { op_vec_move, { V(X), W(X) }, RAW | ANYLEN } },
	{ 2, 0x7f, P_NONE | OLD, { op_vec_move, { Q(Q), P(Q) }, RAW } },
	{ 2, 0x7f, P_66 | OLD | VEX, { op_vec_move, { W(X), V(X) }, RAW | ALIGN | ANYLEN } },
	{ 2, 0x7f, P_F3 | OLD | VEX, { op_vec_move, { W(X), V(X) }, RAW | ANYLEN } },
	/* MOVNTQ, MOVNTDQ, LDDQU, MOVNTDQA */
	{ 2, 0xe7, P_NONE | OLD, { op_vec_move, { Q(Q), P(Q) }, RAW | MEMORY } },
	{ 2, 0xe7, P_66 | OLD | VEX, { op_vec_move, { W(X), V(X) }, STREAM } },
	{ 2, 0xf0, P_F2 | OLD | VEX, { op_vec_move, { V(X), W(X) }, RAW | ANYLEN | MEMORY } },
	{ 3, 0x2a, P_66 | OLD | VEX, { op_vec_move, { V(X), W(X) }, STREAM } },
	/* INVPCID, MOVBE, CRC32, ADCX and ADOX */
	{ 3, 0x82, P_66 | OLD, { op_invpcid, { E(D), G(N) }, NOREAD | NOWRITE | PRIV | MEMORY } },
	{ 3, 0xf0, P_NONE | P_66 | OLD, { op_swap, { G(V), E(V) }, NOREAD | MEMORY } },
	{ 3, 0xf0, P_F2 | OLD, { op_crc32, { G(Y), E(B) } } },
	{ 3, 0xf1, P_NONE | P_66 | OLD, { op_swap, { E(V), G(V) }, NOREAD | MEMORY } },
	{ 3, 0xf1, P_F2 | OLD, { op_crc32, { G(Y), E(V) } } },
	{ 3, 0xf6, P_66 | P_F3 | OLD, { op_adx, { G(Y), E(Y) } } },
	/* BMI1 and BMI2 */
	{ 3, 0xf2, P_NONE | VEX, { op_value, { G(Y), B(Y), E(Y) }, BMI | VALUE(ANDN) } },
	{ 3, 0xf3, P_NONE | VEX, { op_bls, { B(Y), E(Y) }, BMI } },
	{ 3, 0xf5, P_NONE | VEX, { op_bzhi, { G(Y), E(Y), B(Y) }, BMI } },
	{ 3, 0xf5, P_F2 | P_F3 | VEX, { op_pdep_pext, { G(Y), B(Y), E(Y) }, BMI } },
	{ 3, 0xf6, P_F2 | VEX, { op_mulx, { G(Y), B(Y), E(Y) }, BMI } },
	{ 3, 0xf7, P_NONE | VEX, { op_bextr, { G(Y), E(Y), B(Y) }, BMI } },
	{ 3, 0xf7, P_66 | P_F2 | P_F3 | VEX, { op_shift_x, { G(Y), E(Y), B(Y) }, BMI } },
	{ 4, 0xf0, P_F2 | VEX, { op_shift_x, { G(Y), E(Y), I(B) }, BMI } },
	/* VMCALL, VMMCALL, XGETBV, XSETBV, SWAPGS, RDTSCP */
	{ MAP_0F01, 0xc1, P_NONE | OLD, { op_control, { 0 }, RAW | VALUE(EMU_CTL_HYPERCALL) } },
	{ MAP_0F01, 0xd9, P_NONE | OLD, { op_control, { 0 }, RAW | VALUE(EMU_CTL_HYPERCALL) } },
	{ MAP_0F01, 0xd0, P_NONE | OLD, { op_xcr, { 0 }, RAW } },
	{ MAP_0F01, 0xd1, P_NONE | OLD, { op_xcr, { 0 }, RAW } },
	{ MAP_0F01, 0xf8, P_NONE | OLD, { op_swapgs, { 0 }, RAW } },
	{ MAP_0F01, 0xf9, P_NONE | OLD, { op_rdtsc, { 0 }, RAW } },
	/* FXSAVE, FXRSTOR, LDMXCSR, STMXCSR, CLWB, CLFLUSH, CLFLUSHOPT */
	{ MAP_0FAE_MEMORY, 0, P_NONE | OLD, { op_fxsave, { 0 }, RAW } },
	{ MAP_0FAE_MEMORY, 1, P_NONE | OLD, { op_fxsave, { 0 }, RAW } },
	{ MAP_0FAE_MEMORY, 2, P_NONE | OLD | VEX, { op_mxcsr, { 0 }, RAW } },
	{ MAP_0FAE_MEMORY, 3, P_NONE | OLD | VEX, { op_mxcsr, { 0 }, RAW } },
	{ MAP_0FAE_MEMORY, 6, P_66 | OLD, { op_clflush, { 0 }, RAW } },
	{ MAP_0FAE_MEMORY, 7, P_NONE | P_66 | OLD, { op_clflush, { 0 }, RAW } },
	/* RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE, LFENCE, MFENCE, SFENCE */
	{ MAP_0FAE_REG, 0, P_F3 | OLD, { op_fsgsbase, { 0 }, NOREAD } },
	{ MAP_0FAE_REG, 1, P_F3 | OLD, { op_fsgsbase, { 0 }, NOREAD } },
	{ MAP_0FAE_REG, 2, P_F3 | OLD, { op_fsgsbase, { 0 }, NOWRITE } },
	{ MAP_0FAE_REG, 3, P_F3 | OLD, { op_fsgsbase, { 0 }, NOWRITE } },
	{ MAP_0FAE_REG, 5, P_NONE | OLD, { op_nop, { 0 }, RAW } },
	{ MAP_0FAE_REG, 6, P_NONE | OLD, { op_nop, { 0 }, RAW } },
	{ MAP_0FAE_REG, 7, P_NONE | OLD, { op_nop, { 0 }, RAW } },
};

/* What a mandatory prefix, VEX or ModRM selects; NULL if it is not here. */
const struct row *emu_search(const struct emu *e, unsigned int map, unsigned int opcode)
{
	u8 want = (e->vex ? VEX : OLD) | (!e->vex_pp ? P_NONE : e->vex_pp == 0x66 ? P_66 :
					  e->vex_pp == 0xf3 ? P_F3 : P_F2);
	unsigned int i;

	for (i = 0; i < sizeof(searched) / sizeof(*searched); i++)
		if (searched[i].map == map && searched[i].opcode == opcode &&
		    (searched[i].prefixes & want) == want)
			return &searched[i].row;
	return NULL;
}

/* The row of an opcode; NULL if it is not known. */
const struct row *emu_find_row(const struct emu *e)
{
	const struct row *row = e->map == 1 ? &one_byte[e->opcode] : &two_byte[e->opcode];

	if (e->map == 1 && e->opcode < 0x38 && (e->opcode & 7) < 6)
		return &arithmetic_rows[e->opcode >> 1 & 3];
	if (e->map == 1 && e->opcode == 0x63 && e->mode != EMU_LONG)
		return &row_arpl;
	if (e->map == 1 || (e->map == 2 && (!e->vex || e->opcode == 0xae) &&
			    (row->run || row->kind[0])))
		return row;
	return emu_search(e, e->map, e->opcode);
}
