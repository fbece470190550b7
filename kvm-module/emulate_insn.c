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

#define MSR_TSC_AUX		0xc0000103u
#define MSR_KERNEL_GS_BASE	0xc0000102u

/* ------------------------------------------------------------------------
 * Flags and arithmetic
 */

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

/* The eight by opcode, or by ModRM.reg in group 1. */
static void op_arithmetic(struct emu *e)
{
	unsigned int what = e->opcode < 0x40 ? e->opcode >> 3 : modrm_reg(e);

	e->op[0].val = arithmetic(e, what, e->op[0].val, e->op[1].val, e->op[0].size);
}

static void op_test(struct emu *e)
{
	arithmetic(e, AND, e->op[0].val, e->op[1].val, e->op[0].size);
}

/* INC and DEC, 40 to 4F or in groups 4 and 5: CF stays. */
static void op_inc_dec(struct emu *e)
{
	bool dec = (e->opcode < 0x50 ? e->opcode : e->modrm) & 8;
	u64 carry = e->rflags & FL_CF;

	e->op[0].val = arithmetic(e, dec ? SUB : ADD, e->op[0].val, 1, e->op[0].size);
	flags_change(e, FL_CF, carry);
}

static void op_not(struct emu *e)
{
	e->op[0].val = ~e->op[0].val;
}

static void op_neg(struct emu *e)
{
	e->op[0].val = arithmetic(e, SUB, 0, e->op[0].val, e->op[0].size);
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

/* ROL, ROR, RCL, RCR, SHL, SHR, SHL, SAR by ModRM.reg, bit after bit. */
static void op_shift(struct emu *e)
{
	unsigned int what = modrm_reg(e), size = e->op[0].size, n = shift_count(e, 1);
	u64 top = sign_bit(size), v = e->op[0].val, in;
	bool left = !(what & 1), carry = e->rflags & FL_CF, out;

	if (!n)
		return shift_nothing(e);
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
	e->op[0].val = v;
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

/* DIV and IDIV: the magnitudes are divided, then the signs put back. */
static void op_div(struct emu *e)
{
	unsigned int size = e->op[0].size;
	bool with_sign = e->modrm & 8, negative, opposite;
	u64 by = e->op[0].val, high, rest, quotient;
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
		return emu_raise(e, EX_DE);
	quotient = divide_wide((u64)(n >> 64), (u64)n, by, &rest);
	if (quotient > (with_sign ? sign_bit(size) - !opposite : size_mask(size)))
		return emu_raise(e, EX_DE);
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
		return emu_raise(e, EX_DE);
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

/* ------------------------------------------------------------------------
 * Moves, bits, conditions
 */

static void op_mov(struct emu *e)
{
	e->op[0].val = e->op[1].val;
}

static void op_movsx(struct emu *e)
{
	e->op[0].val = sign_extend(e->op[1].val, e->op[1].size);
}

static void op_lea(struct emu *e)
{
	e->op[0].val = e->ea;
}

/* BSWAP, MOVBE: operand 1 if there is one */
static void op_swap(struct emu *e)
{
	struct emu_operand *from = e->op[1].loc ? &e->op[1] : &e->op[0];
	u64 value = from->val, r = 0;
	unsigned int i;

	if (e->map == 2 && from->size == 2)
		emu_stop(e, EMU_UNHANDLED);	/* BSWAP of 16 bits is undefined */
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

	if (half == 8 && linear & 15)
		emu_raise_code(e, EX_GP, 0);
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

	if (e->rep != 0xf3)
		emu_stop(e, EMU_UNHANDLED);
	for (e->op[0].val = 0; value; value &= value - 1)
		e->op[0].val++;
	flags_change(e, FL_STATUS, flag_if(!e->op[0].val, FL_ZF));
}

static void op_andn(struct emu *e)
{
	e->op[0].val = arithmetic(e, AND, ~e->op[1].val, e->op[2].val, e->op[0].size);
}

/* BLSR, BLSMSK, BLSI by ModRM.reg; operand 0 is VEX.vvvv. */
static void op_bls(struct emu *e)
{
	unsigned int what = modrm_reg(e);
	u64 v = e->op[1].val, r;

	if (what < 1 || what > 3)
		emu_stop(e, EMU_UNHANDLED);
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

/* SHLX, SHRX, SARX, RORX: no flags. */
static void op_shift_x(struct emu *e)
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

static void op_setcc(struct emu *e)
{
	e->op[0].val = condition(e, e->opcode);
}

static void op_cmovcc(struct emu *e)
{
	if (condition(e, e->opcode))
		e->op[0].val = e->op[1].val;
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
	u64 flag = e->opcode >= 0xfc ? FL_DF : FL_CF;

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
	u64 ah = (e->rflags & FL_STATUS & ~FL_OF) | FL_FIXED;

	e->regs[EMU_RAX] = (e->regs[EMU_RAX] & ~0xff00ull) | ah << 8;
}

static void op_salc(struct emu *e)
{
	merge(&e->regs[EMU_RAX], e->rflags & FL_CF ? 0xff : 0, 1);
}

static void op_xlat(struct emu *e)
{
	u64 offset = e->regs[EMU_RBX] + (e->regs[EMU_RAX] & 0xff);

	merge(&e->regs[EMU_RAX], emu_load(e, e->seg, offset & size_mask(e->addr_size), 1), 1);
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
	if (e->rep == 0xf3 && e->ops->control)
		emu_control(e, EMU_CTL_PAUSE, 0, NULL);
}

static void op_ud(struct emu *e)
{
	emu_raise(e, EX_UD);
}

/* ------------------------------------------------------------------------
 * Stack and near transfers
 */

static void op_push(struct emu *e)
{
	emu_push(e, e->op[0].val, e->op_size);
}

/* To memory the address, if based on RSP, is computed after RSP has moved. */
static void op_pop(struct emu *e)
{
	e->op[0].val = emu_pop(e, e->op_size);
	if (e->op[0].loc == LOC_MEM && e->has_sib && (e->sib & 7) == EMU_RSP && !(e->rex & 1))
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
		emu_push(e, (e->rflags & ~(FL_VM | FL_RF)) | FL_FIXED, e->op_size);
}

static void op_popf(struct emu *e)
{
	u64 mask = emu_flags_writable(e, e->op_size);

	if (!emu_vm86_refuses(e))
		flags_change(e, mask, emu_pop(e, e->op_size) & ~FL_RF);
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
	if (!stopped(e) && e->ops->probe_write)
		emu_stop(e, e->ops->probe_write(e, linear, 1));
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
	if (e->mode == EMU_LONG && e->opsize_prefix)
		emu_stop(e, EMU_UNHANDLED);
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

	if (index < low || index > high)
		emu_raise(e, EX_BR);
}

/* ------------------------------------------------------------------------
 * Ports and strings
 */

static void port_in(struct emu *e, u16 port, unsigned int size, void *buf, unsigned int count)
{
	if (!e->ops->pio_in)
		emu_stop(e, EMU_UNHANDLED);
	if (!emu_replayed(e, buf, size * count))
		emu_log_input(e, e->ops->pio_in(e, port, size, buf, count), buf, size * count);
}

static void port_out(struct emu *e, u16 port, unsigned int size, const void *buf,
		     unsigned int count)
{
	if (!e->ops->pio_out)
		emu_stop(e, EMU_UNHANDLED);
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
	if (tr->attr & EMU_SEG_UNUSABLE || (tr->attr & 13) != 9 || tr->limit < 0x67)
		emu_raise_code(e, EX_GP, 0);
	at = emu_system_load(e, tr->base + 0x66, 2) + port / 8;
	if (at + 1 > tr->limit)
		emu_raise_code(e, EX_GP, 0);
	bits = emu_system_load(e, tr->base + at, 2);
	if (bits >> (port & 7) & ((1u << size) - 1))
		emu_raise_code(e, EX_GP, 0);
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
	u64 step = e->rflags & FL_DF ? -(u64)bytes : bytes;

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
	if (stopped(e) || e->rflags & (FL_DF | FL_TF))
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
		if (!stopped(e) && e->ops->probe_write)
			emu_stop(e, e->ops->probe_write(e, linear, size * count));
		port_in(e, port, size, e->pio, count);
		emu_lin_write(e, linear, e->pio, size * count, 0);
	}
	string_advance(e, reg, size * count);
	if (e->rep)	/* execute_string() counts the last one */
		merge(&e->regs[EMU_RCX], e->regs[EMU_RCX] - (count - 1), e->addr_size);
}

/* ------------------------------------------------------------------------
 * System instructions
 */

static void op_cli_sti(struct emu *e)
{
	bool set = e->opcode == 0xfb;

	if (emu_vm86_refuses(e))
		return;
	if (e->mode != EMU_REAL && e->cpl > iopl(e)) {
		if (e->cpl == 3 && e->ops->get_cr(e, 4) & CR4_PVI)
			emu_stop(e, EMU_UNHANDLED);
		emu_raise_code(e, EX_GP, 0);
	}
	if (set && !(e->rflags & FL_IF))
		e->shadow = EMU_SHADOW_STI;
	flags_change(e, FL_IF, set ? FL_IF : 0);
}

static void op_hlt(struct emu *e)
{
	emu_control(e, EMU_CTL_HLT, 0, NULL);
}

static void op_invd(struct emu *e)
{
	emu_control(e, e->opcode == 8 ? EMU_CTL_INVD : EMU_CTL_WBINVD, 0, NULL);
}

static void set_cr(struct emu *e, unsigned int cr, u64 value)
{
	if (!e->ops->set_cr)
		emu_stop(e, EMU_UNHANDLED);
	if (!stopped(e))
		emu_stop(e, e->ops->set_cr(e, cr, value));
}

static void op_clts(struct emu *e)
{
	set_cr(e, 0, e->ops->get_cr(e, 0) & ~CR0_TS);
}

static void op_mov_from_cr(struct emu *e)
{
	e->op[0].val = e->ops->get_cr(e, e->op[1].reg);
}

static void op_mov_to_cr(struct emu *e)
{
	set_cr(e, e->op[0].reg, e->op[1].val);
}

/* To or from DR n; DR4 and DR5 are DR6 and DR7 unless CR4.DE. */
static void op_mov_dr(struct emu *e)
{
	bool from = e->opcode == 0x21;
	unsigned int dr = e->op[from].reg;

	if (dr == 4 || dr == 5) {
		if (e->ops->get_cr(e, 4) & CR4_DE)
			return emu_raise(e, EX_UD);
		dr += 2;
	}
	if (!e->ops->get_dr || !e->ops->set_dr)
		emu_stop(e, EMU_UNHANDLED);
	else
		emu_stop(e, from ? e->ops->get_dr(e, dr, &e->op[0].val) :
				   e->ops->set_dr(e, dr, e->op[1].val));
}

static u64 read_msr(struct emu *e, u32 index)
{
	u64 value = 0;

	if (!e->ops->rdmsr)
		emu_stop(e, EMU_UNHANDLED);
	if (!emu_replayed(e, &value, 8))
		emu_log_input(e, e->ops->rdmsr(e, index, &value), &value, 8);
	return value;
}

static void write_msr(struct emu *e, u32 index, u64 value)
{
	if (!e->ops->wrmsr)
		emu_stop(e, EMU_UNHANDLED);
	if (!emu_written(e))
		emu_log_output(e, e->ops->wrmsr(e, index, value));
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
	set_edx_eax(e, read_msr(e, (u32)e->regs[EMU_RCX]));
}

static void op_wrmsr(struct emu *e)
{
	write_msr(e, (u32)e->regs[EMU_RCX], edx_eax(e));
}

static void op_rdtsc(struct emu *e)
{
	u64 tsc = 0;

	if (!e->ops->rdtsc)
		emu_stop(e, EMU_UNHANDLED);
	if (e->cpl && e->ops->get_cr(e, 4) & CR4_TSD)
		emu_raise_code(e, EX_GP, 0);
	if (e->opcode == 0x01)	/* RDTSCP */
		merge(&e->regs[EMU_RCX], read_msr(e, MSR_TSC_AUX), 4);
	if (!stopped(e))
		emu_stop(e, e->ops->rdtsc(e, &tsc));
	set_edx_eax(e, tsc);
}

static void op_rdpmc(struct emu *e)
{
	u64 value = 0;

	if (e->cpl && !(e->ops->get_cr(e, 4) & CR4_PCE))
		emu_raise_code(e, EX_GP, 0);
	emu_control(e, EMU_CTL_RDPMC, (u32)e->regs[EMU_RCX], &value);
	set_edx_eax(e, value);
}

static void op_cpuid(struct emu *e)
{
	u32 r[4] = { (u32)e->regs[EMU_RAX], (u32)e->regs[EMU_RBX],
		     (u32)e->regs[EMU_RCX], (u32)e->regs[EMU_RDX] };

	emu_stop(e, e->ops->cpuid ? e->ops->cpuid(e, r) : EMU_UNHANDLED);
	e->regs[EMU_RAX] = r[0];
	e->regs[EMU_RBX] = r[1];
	e->regs[EMU_RCX] = r[2];
	e->regs[EMU_RDX] = r[3];
}

/* UMIP: SGDT, SIDT, SLDT, STR and SMSW are for CPL 0 only. */
bool emu_umip_refuses(struct emu *e)
{
	if (!e->cpl || !(e->ops->get_cr(e, 4) & CR4_UMIP))
		return false;
	emu_raise_code(e, EX_GP, 0);
	return true;
}

/* SGDT and SIDT */
static void store_table(struct emu *e, bool idt)
{
	void (*get)(struct emu *e, struct emu_table *t) = idt ? e->ops->get_idt : e->ops->get_gdt;
	struct emu_table t = { 0, 0 };
	u8 image[10];

	if (emu_umip_refuses(e))
		return;
	if (!get)
		return emu_stop(e, EMU_UNHANDLED);
	get(e, &t);
	memcpy(image, &t.limit, 2);
	memcpy(image + 2, &t.base, 8);
	emu_set_operand(e, image, e->mode == EMU_LONG ? 10 : 6);
}

/* LGDT and LIDT: with 16-bit operands the base has 24 bits. */
static void load_table(struct emu *e, bool idt)
{
	void (*set)(struct emu *e, const struct emu_table *t) =
		idt ? e->ops->set_idt : e->ops->set_gdt;
	struct emu_table t = { 0, 0 };
	u8 image[10] = { 0 };

	if (e->cpl)
		emu_raise_code(e, EX_GP, 0);
	if (!set)
		emu_stop(e, EMU_UNHANDLED);
	emu_read(e, e->seg, e->ea, image, e->mode == EMU_LONG ? 10 : 6, 0);
	memcpy(&t.limit, image, 2);
	memcpy(&t.base, image + 2, 8);
	if (e->mode != EMU_LONG && e->op_size == 2)
		t.base &= 0xffffff;
	if (!emu_canonical(e, t.base))
		emu_raise_code(e, EX_GP, 0);
	if (!stopped(e))
		set(e, &t);
}

/* SMSW: to memory always 16 bits */
static void smsw(struct emu *e)
{
	u64 cr0 = e->ops->get_cr(e, 0);

	if (emu_umip_refuses(e))
		return;
	if (e->op[0].loc == LOC_MEM)
		emu_set_operand(e, &cr0, 2);
	else
		emu_set_gpr(e, e->op[0].reg, e->op_size, cr0);
}

/* LMSW sets PE, MP, EM and TS, but cannot clear PE. */
static void lmsw(struct emu *e)
{
	u64 cr0 = e->ops->get_cr(e, 0), mask = CR0_MP | CR0_EM | CR0_TS, value;

	if (e->cpl)
		return emu_raise_code(e, EX_GP, 0);
	value = e->op[0].loc == LOC_MEM ? emu_operand(e, 0, 2) : emu_gpr(e, e->op[0].reg, 2);
	set_cr(e, 0, (cr0 & ~mask) | (value & (mask | CR0_PE)));
}

static void swapgs(struct emu *e)
{
	struct emu_seg gs = *emu_segment(e, EMU_GS);
	u64 base;

	if (e->mode != EMU_LONG)
		return emu_raise(e, EX_UD);
	if (e->cpl)
		return emu_raise_code(e, EX_GP, 0);
	base = read_msr(e, MSR_KERNEL_GS_BASE);
	write_msr(e, MSR_KERNEL_GS_BASE, gs.base);
	gs.base = base;
	emu_set_segment(e, EMU_GS, &gs);
}

/* XGETBV and XSETBV */
static void extended_control(struct emu *e, bool set)
{
	u64 value = edx_eax(e);

	if (!(e->ops->get_cr(e, 4) & CR4_OSXSAVE))
		return emu_raise(e, EX_UD);
	if (set && e->cpl)
		return emu_raise_code(e, EX_GP, 0);
	emu_control(e, set ? EMU_CTL_XSETBV : EMU_CTL_XGETBV, (u32)e->regs[EMU_RCX], &value);
	if (!set)
		set_edx_eax(e, value);
}

/* 0F 01 with a register: every ModRM byte is an instruction of its own. */
static void group7_register(struct emu *e)
{
	switch (e->modrm) {
	case 0xc1:
	case 0xd9:
		return emu_control(e, EMU_CTL_HYPERCALL, 0, NULL);
	case 0xc8:
	case 0xc9:
		if (e->cpl)
			return emu_raise(e, EX_UD);
		return emu_control(e, e->modrm & 1 ? EMU_CTL_MWAIT : EMU_CTL_MONITOR,
				   e->regs[EMU_RAX] & size_mask(e->addr_size), NULL);
	case 0xd0:
	case 0xd1:
		return extended_control(e, e->modrm & 1);
	case 0xf8:
		return swapgs(e);
	case 0xf9:
		return op_rdtsc(e);
	default:
		return emu_stop(e, EMU_UNHANDLED);
	}
}

static void invlpg(struct emu *e)
{
	u64 linear = e->ea;

	if (e->cpl)
		return emu_raise_code(e, EX_GP, 0);
	if (e->mode != EMU_LONG || e->seg == EMU_FS || e->seg == EMU_GS)
		linear += emu_segment(e, e->seg)->base;
	if (e->mode != EMU_LONG)
		linear = (u32)linear;
	if (emu_canonical(e, linear))	/* SDM: else a no-operation */
		emu_control(e, EMU_CTL_INVLPG, linear, NULL);
}

static void op_group7(struct emu *e)
{
	unsigned int what = modrm_reg(e);

	if (what == 4)
		return smsw(e);
	if (what == 6)
		return lmsw(e);
	if (e->op[0].loc != LOC_MEM)
		return group7_register(e);
	switch (what) {
	case 0:
	case 1:
		return store_table(e, what == 1);
	case 2:
	case 3:
		return load_table(e, what == 3);
	case 7:
		return invlpg(e);
	default:
		return emu_stop(e, EMU_UNHANDLED);
	}
}

static void op_invpcid(struct emu *e)
{
	u8 descriptor[16];

	emu_read(e, e->seg, e->ea, descriptor, 16, 0);
	emu_control(e, EMU_CTL_INVPCID, emu_gpr(e, e->op[0].reg, e->op[0].size), descriptor);
}

/* F3 0F AE with a register: RDFSBASE, RDGSBASE, WRFSBASE, WRGSBASE */
static void fsgsbase(struct emu *e)
{
	unsigned int seg = e->modrm & 8 ? EMU_GS : EMU_FS;
	struct emu_seg s = *emu_segment(e, seg);

	if (e->mode != EMU_LONG || !(e->ops->get_cr(e, 4) & CR4_FSGSBASE))
		return emu_raise(e, EX_UD);
	if (!(e->modrm & 0x10))
		return emu_set_gpr(e, e->op[0].reg, e->op_size, s.base);
	s.base = emu_gpr(e, e->op[0].reg, e->op_size);
	if (!emu_canonical(e, s.base))
		emu_raise_code(e, EX_GP, 0);
	emu_set_segment(e, seg, &s);
}

/* ------------------------------------------------------------------------
 * x87, MMX, SSE and AVX: what moves data or control words
 */

/* #NM of x87 (any bit of @nm in CR0), MMX, SSE, AVX, AVX-512 */
static void fpu_check(struct emu *e, u64 nm)
{
	if (e->ops->get_cr(e, 0) & nm)
		emu_raise(e, EX_NM);
}

static void vector_check(struct emu *e, bool mmx)
{
	u64 cr4 = e->ops->get_cr(e, 4), xcr0 = 0, need = e->vex == 4 ? 0xe6 : 6;

	if (!e->vex) {
		if (e->ops->get_cr(e, 0) & CR0_EM || (!mmx && !(cr4 & CR4_OSFXSR)))
			emu_raise(e, EX_UD);
		return fpu_check(e, CR0_TS);
	}
	if (real_or_vm86(e) || !(cr4 & CR4_OSXSAVE))
		emu_raise(e, EX_UD);
	emu_control(e, EMU_CTL_XGETBV, 0, &xcr0);
	if ((xcr0 & need) != need)
		emu_raise(e, EX_UD);
	/* Masked, zeroing and broadcasting moves are not known. */
	if (e->vex == 4 && (e->evex_bits & 0x9f) != 8)
		emu_stop(e, EMU_UNHANDLED);
	fpu_check(e, CR0_TS);
}

static void vec_read(struct emu *e, unsigned int reg, void *buf, unsigned int size)
{
	if (!e->ops->vec_read)
		emu_stop(e, EMU_UNHANDLED);
	if (!stopped(e))
		emu_stop(e, e->ops->vec_read(e, reg, buf, size));
}

static void vec_write(struct emu *e, unsigned int reg, const void *buf, unsigned int size)
{
	if (!e->ops->vec_write)
		emu_stop(e, EMU_UNHANDLED);
	if (!stopped(e))
		emu_stop(e, e->ops->vec_write(e, reg, buf, size, e->vex));
}

/* Reads an operand of any kind into e->buf. */
static void wide_operand_read(struct emu *e, const struct emu_operand *o)
{
	u64 value = 0;

	memset(e->buf, 0, sizeof(e->buf));
	if (o->loc == LOC_MEM)
		return emu_read(e, e->seg, e->ea, e->buf, o->size, 0);
	if (o->loc == LOC_VEC)
		return vec_read(e, o->reg, e->buf, o->size);
	if (o->loc == LOC_GPR)
		value = emu_gpr(e, o->reg, o->size);
	else if (!e->ops->mmx_read)
		emu_stop(e, EMU_UNHANDLED);
	else if (!stopped(e))
		emu_stop(e, e->ops->mmx_read(e, o->reg, &value));
	memcpy(e->buf, &value, 8);
}

/* Writes e->buf; a vector register gets zeroes above up to 16 bytes. */
static void wide_operand_write(struct emu *e, const struct emu_operand *o)
{
	u64 value;

	if (o->loc == LOC_MEM)
		return emu_set_operand(e, e->buf, o->size);
	if (o->loc == LOC_VEC)
		return vec_write(e, o->reg, e->buf, o->size < 16 ? 16 : o->size);
	memcpy(&value, e->buf, 8);
	value &= size_mask(o->size);
	if (o->loc == LOC_GPR)
		emu_set_gpr(e, o->reg, o->size, value);
	else if (!e->ops->mmx_write)
		emu_stop(e, EMU_UNHANDLED);
	else if (!stopped(e))
		emu_stop(e, e->ops->mmx_write(e, o->reg, value));
}

/* Whole-operand moves, either direction, MMX or vector. */
static void op_vec_move(struct emu *e)
{
	if (e->vex && e->vex_reg)
		emu_raise(e, EX_UD);
	vector_check(e, e->op[0].loc == LOC_MMX || e->op[1].loc == LOC_MMX);
	wide_operand_read(e, &e->op[1]);
	wide_operand_write(e, &e->op[0]);
}

/* MOVSS and MOVSD: with two registers they are partial moves. */
static void op_vec_scalar(struct emu *e)
{
	if (e->op[0].loc != LOC_MEM && e->op[1].loc != LOC_MEM)
		emu_stop(e, EMU_UNHANDLED);
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

	if (!store && e->op[1].loc != LOC_MEM)
		emu_stop(e, EMU_UNHANDLED);	/* MOVHLPS, MOVLHPS */
	if (store && e->vex && e->vex_reg)
		emu_raise(e, EX_UD);
	vector_check(e, false);
	vec_read(e, store ? e->op[1].reg : e->vex ? e->vex_reg : e->op[0].reg, e->buf, 16);
	if (store)
		return emu_set_operand(e, e->buf + at, 8);
	emu_read(e, e->seg, e->ea, e->buf + at, 8, 0);
	vec_write(e, e->op[0].reg, e->buf, 16);
}

static void op_movnti(struct emu *e)
{
	if (e->vex_pp)
		emu_raise(e, EX_UD);
	emu_set_operand(e, &e->regs[e->op[1].reg & 15], e->op[1].size);
}

static u64 x87_word(struct emu *e, enum emu_x87 what, u32 value)
{
	if (!e->ops->x87)
		emu_stop(e, EMU_UNHANDLED);
	if (!stopped(e))
		emu_stop(e, e->ops->x87(e, what, &value));
	return value;
}

/* D8 to DF: control instructions only. */
static void op_x87(struct emu *e)
{
	unsigned int what = e->opcode << 8 | e->modrm;
	u64 value;

	fpu_check(e, CR0_EM | CR0_TS);
	if (e->op[0].loc == LOC_MEM)
		what = e->opcode << 8 | modrm_reg(e);
	switch (what) {
	case 0xdbe3:		/* FNINIT */
		x87_word(e, EMU_X87_INIT, 0);
		break;
	case 0xdbe2:		/* FNCLEX */
		x87_word(e, EMU_X87_CLEAR, 0);
		break;
	case 0xdfe0:		/* FNSTSW AX */
		merge(&e->regs[EMU_RAX], x87_word(e, EMU_X87_READ_SW, 0), 2);
		break;
	case 0xd905:		/* FLDCW */
		x87_word(e, EMU_X87_WRITE_CW, emu_operand(e, 0, 2));
		break;
	case 0xd907:		/* FNSTCW */
	case 0xdd07:		/* FNSTSW */
		value = x87_word(e, e->opcode == 0xd9 ? EMU_X87_READ_CW : EMU_X87_READ_SW, 0);
		emu_set_operand(e, &value, 2);
		break;
	default:
		emu_stop(e, EMU_UNHANDLED);
		break;
	}
}

static void op_fwait(struct emu *e)
{
	if (e->ops->get_cr(e, 0) & CR0_MP)
		fpu_check(e, CR0_TS);
}

/* 0F AE: fences, cache lines, MXCSR, FS and GS bases */
static void op_group15(struct emu *e)
{
	unsigned int what = modrm_reg(e);
	u64 value;

	if (e->op[0].loc != LOC_MEM) {
		if (e->rep == 0xf3 && what < 4)
			return fsgsbase(e);
		if (what < 5 || e->rep || e->opsize_prefix)
			emu_stop(e, EMU_UNHANDLED);
	} else if (what == 2 && !e->vex_pp) {		/* LDMXCSR */
		vector_check(e, false);
		x87_word(e, EMU_X87_WRITE_MXCSR, emu_operand(e, 0, 4));
	} else if (what == 3 && !e->vex_pp) {		/* STMXCSR */
		vector_check(e, false);
		value = x87_word(e, EMU_X87_READ_MXCSR, 0);
		emu_set_operand(e, &value, 4);
	} else if (!e->rep && (what == 7 || (what == 6 && e->opsize_prefix))) {
		value = emu_linearize(e, e->seg, e->ea, 1, false);
		emu_control(e, EMU_CTL_CLFLUSH, value, NULL);
	} else {
		emu_stop(e, EMU_UNHANDLED);
	}
}

/* ------------------------------------------------------------------------
 * The opcode tables (SDM 2D appendix A)
 */

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

/* A row that needs more than the opcode to be found. */
struct searched_row {
	u8 map, opcode, pp;
	u8 vex;			/* OLD, VEX or both */
	struct row row;
};

#define OLD	1
#define VEX	2	/* and EVEX */
#define NO_EVEX	4

/* 00 to 3F, by the lower three bits; the upper three name the operation. */
static const struct row arithmetic_rows[6] = {
	{ op_arithmetic, { E_B, G_B }, LOCK },
	{ op_arithmetic, { E_V, G_V }, LOCK },
	{ op_arithmetic, { G_B, E_B } },
	{ op_arithmetic, { G_V, E_V } },
	{ op_arithmetic, { A_B, I_B } },
	{ op_arithmetic, { A_V, I_Z } },
};

/* CMP takes no LOCK and does not write. */
static const struct row compare_rows[6] = {
	{ op_arithmetic, { E_B, G_B }, NOWRITE },
	{ op_arithmetic, { E_V, G_V }, NOWRITE },
	{ op_arithmetic, { G_B, E_B }, NOWRITE },
	{ op_arithmetic, { G_V, E_V }, NOWRITE },
	{ op_arithmetic, { A_B, I_B }, NOWRITE },
	{ op_arithmetic, { A_V, I_Z }, NOWRITE },
};

static const struct row group1[8] = {
	[0 ... 6] = { op_arithmetic, { 0 }, LOCK },
	[7] = { op_arithmetic, { 0 }, NOWRITE },	/* CMP */
};

static const struct row group1a[8] = {
	{ op_pop, { E_V }, NOREAD | D64 },
};

static const struct row group3_byte[8] = {
	{ op_test, { E_B, I_B }, NOWRITE },
	{ op_test, { E_B, I_B }, NOWRITE },
	{ op_not, { E_B }, LOCK },
	{ op_neg, { E_B }, LOCK },
	{ op_mul, { E_B }, NOWRITE },
	{ op_mul, { E_B }, NOWRITE },
	{ op_div, { E_B }, NOWRITE },
	{ op_div, { E_B }, NOWRITE },
};

static const struct row group3[8] = {
	{ op_test, { E_V, I_Z }, NOWRITE },
	{ op_test, { E_V, I_Z }, NOWRITE },
	{ op_not, { E_V }, LOCK },
	{ op_neg, { E_V }, LOCK },
	{ op_mul, { E_V }, NOWRITE },
	{ op_mul, { E_V }, NOWRITE },
	{ op_div, { E_V }, NOWRITE },
	{ op_div, { E_V }, NOWRITE },
};

static const struct row group4[8] = {
	{ op_inc_dec, { E_B }, LOCK },
	{ op_inc_dec, { E_B }, LOCK },
};

static const struct row group5[8] = {
	{ op_inc_dec, { E_V }, LOCK },
	{ op_inc_dec, { E_V }, LOCK },
	{ op_call, { E_V }, NOWRITE | F64 },
	{ emu_op_far_indirect, { E_V }, RAW | MEMORY },		/* CALL far */
	{ op_jmp, { E_V }, NOWRITE | F64 },
	{ emu_op_far_indirect, { E_V }, RAW | MEMORY },		/* JMP far */
	{ op_push, { E_V }, NOWRITE | D64 },
};

static const struct row group8[8] = {
	[4] = { op_bit, { E_V, I_B }, NOWRITE },	/* BT */
	[5 ... 7] = { op_bit, { E_V, I_B }, LOCK },
};

static const struct row group9[8] = {
	[1] = { op_cmpxchg_wide, { E_V }, RAW | LOCK | MEMORY },
};

static const struct row group11_byte[8] = {
	{ op_mov, { E_B, I_B }, NOREAD },
};

static const struct row group11[8] = {
	{ op_mov, { E_V, I_Z }, NOREAD },
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
	[0x3f] = { op_aaa_aas, { 0 }, I64 },
	[0x40 ... 0x47] = { op_inc_dec, { Z_V }, I64 },
	[0x48 ... 0x4f] = { op_inc_dec, { Z_V }, I64 },
	[0x50 ... 0x57] = { op_push, { Z_V }, NOWRITE | D64 },
	[0x58 ... 0x5f] = { op_pop, { Z_V }, NOREAD | D64 },
	[0x60] = { op_pusha, { 0 }, I64 },
	[0x61] = { op_popa, { 0 }, I64 },
	[0x62] = { op_bound, { G_V, E_V }, RAW | I64 | MEMORY },
	[0x63] = { op_movsx, { G_V, E_D }, NOREAD },		/* MOVSXD */
	[0x68] = { op_push, { I_Z }, NOWRITE | D64 },
	[0x69] = { op_imul, { G_V, E_V, I_Z }, NOREAD },
	[0x6a] = { op_push, { I_S }, NOWRITE | D64 },
	[0x6b] = { op_imul, { G_V, E_V, I_S }, NOREAD },
	[0x6c] = { op_ins_outs, { A_B }, RAW | STRING },
	[0x6d] = { op_ins_outs, { A_Z }, RAW | STRING },
	[0x6e] = { op_ins_outs, { A_B }, RAW | STRING },
	[0x6f] = { op_ins_outs, { A_Z }, RAW | STRING },
	[0x70 ... 0x7f] = { op_jcc, { J_B }, RAW | F64 },
	[0x80] = { NULL, { E_B, I_B }, 0, group1 },
	[0x81] = { NULL, { E_V, I_Z }, 0, group1 },
	[0x82] = { NULL, { E_B, I_B }, I64, group1 },
	[0x83] = { NULL, { E_V, I_S }, 0, group1 },
	[0x84] = { op_test, { E_B, G_B }, NOWRITE },		/* TEST */
	[0x85] = { op_test, { E_V, G_V }, NOWRITE },
	[0x86] = { op_xchg, { E_B, G_B }, LOCK },
	[0x87] = { op_xchg, { E_V, G_V }, LOCK },
	[0x88] = { op_mov, { E_B, G_B }, NOREAD },
	[0x89] = { op_mov, { E_V, G_V }, NOREAD },
	[0x8a] = { op_mov, { G_B, E_B }, NOREAD },
	[0x8b] = { op_mov, { G_V, E_V }, NOREAD },
	[0x8c] = { emu_op_mov_from_sreg, { E_V, S_W }, NOREAD },
	[0x8d] = { op_lea, { G_V, E_V }, NOREAD | NOLOAD | MEMORY },
	[0x8e] = { emu_op_mov_to_sreg, { S_W, E_W }, NOREAD | NOWRITE },
	[0x8f] = { NULL, { E_V }, 0, group1a },
	[0x90] = { op_nop_pause, { Z_V, A_V } },
	[0x91 ... 0x97] = { op_xchg, { Z_V, A_V } },
	[0x98] = { op_cbw },
	[0x99] = { op_cwd },
	[0x9a] = { emu_op_far_direct, { P_V }, RAW | I64 },
	[0x9b] = { op_fwait },
	[0x9c] = { op_pushf, { 0 }, D64 },
	[0x9d] = { op_popf, { 0 }, D64 },
	[0x9e] = { op_sahf },
	[0x9f] = { op_lahf },
	[0xa0] = { op_mov, { A_B, O_B }, NOREAD },
	[0xa1] = { op_mov, { A_V, O_V }, NOREAD },
	[0xa2] = { op_mov, { O_B, A_B }, NOREAD },
	[0xa3] = { op_mov, { O_V, A_V }, NOREAD },
	[0xa4] = { op_string, { A_B }, RAW | STRING },
	[0xa5] = { op_string, { A_V }, RAW | STRING },
	[0xa6] = { op_string, { A_B }, RAW | STRING | REPCC },
	[0xa7] = { op_string, { A_V }, RAW | STRING | REPCC },
	[0xa8] = { op_test, { A_B, I_B }, NOWRITE },		/* TEST */
	[0xa9] = { op_test, { A_V, I_Z }, NOWRITE },
	[0xaa] = { op_string, { A_B }, RAW | STRING },
	[0xab] = { op_string, { A_V }, RAW | STRING },
	[0xac] = { op_string, { A_B }, RAW | STRING },
	[0xad] = { op_string, { A_V }, RAW | STRING },
	[0xae] = { op_string, { A_B }, RAW | STRING | REPCC },
	[0xaf] = { op_string, { A_V }, RAW | STRING | REPCC },
	[0xb0 ... 0xb7] = { op_mov, { Z_B, I_B }, NOREAD },
	[0xb8 ... 0xbf] = { op_mov, { Z_V, I_V }, NOREAD },
	[0xc0] = { op_shift, { E_B, I_B } },
	[0xc1] = { op_shift, { E_V, I_B } },
	[0xc2] = { op_ret, { I_W }, RAW | F64 },
	[0xc3] = { op_ret, { 0 }, RAW | F64 },
	[0xc4] = { emu_op_load_far_pointer, { G_V, E_V }, RAW | I64 | MEMORY },
	[0xc5] = { emu_op_load_far_pointer, { G_V, E_V }, RAW | I64 | MEMORY },
	[0xc6] = { NULL, { E_B, I_B }, 0, group11_byte },
	[0xc7] = { NULL, { E_V, I_Z }, 0, group11 },
	[0xc8] = { op_enter, { I_W, I_B }, RAW | D64 },
	[0xc9] = { op_leave, { 0 }, D64 },
	[0xca] = { emu_op_ret_far, { I_W }, RAW },
	[0xcb] = { emu_op_ret_far, { 0 }, RAW },
	[0xcc] = { emu_op_int },
	[0xcd] = { emu_op_int, { I_B }, RAW },
	[0xce] = { emu_op_int, { 0 }, I64 },
	[0xcf] = { emu_op_iret },
	[0xd0] = { op_shift, { E_B, ONE_B } },
	[0xd1] = { op_shift, { E_V, ONE_B } },
	[0xd2] = { op_shift, { E_B, CL_B } },
	[0xd3] = { op_shift, { E_V, CL_B } },
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
	[0xe8] = { op_call, { J_Z }, RAW | F64 },
	[0xe9] = { op_jmp, { J_Z }, RAW | F64 },
	[0xea] = { emu_op_far_direct, { P_V }, RAW | I64 },
	[0xeb] = { op_jmp, { J_B }, RAW | F64 },
	[0xec] = { op_in_out, { A_B }, RAW },
	[0xed] = { op_in_out, { A_Z }, RAW },
	[0xee] = { op_in_out, { A_B }, RAW },
	[0xef] = { op_in_out, { A_Z }, RAW },
	[0xf1] = { emu_op_int },
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
static const struct row row_arpl = { emu_op_arpl, { E_W, G_W }, PROT };

/* The 0F map. A row that is not here takes ModRM and is not emulated. */
static const struct row two_byte[256] = {
	[0x00] = { emu_op_group6, { E_V }, RAW | PROT },
	[0x02] = { emu_op_lar_lsl, { G_V, E_W }, PROT },		/* LAR */
	[0x03] = { emu_op_lar_lsl, { G_V, E_W }, PROT },		/* LSL */
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
	[0x21] = { op_mov_dr, { R_N, D_N }, NOREAD | PRIV },
	[0x22] = { op_mov_to_cr, { C_N, R_N }, NOREAD | NOWRITE | PRIV },
	[0x23] = { op_mov_dr, { D_N, R_N }, NOREAD | NOWRITE | PRIV },
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
	[0xa0] = { emu_op_push_sreg, { 0 }, D64 },
	[0xa1] = { emu_op_pop_sreg, { 0 }, D64 },
	[0xa2] = { op_cpuid },
	[0xa3] = { op_bit, { E_V, G_V }, NOWRITE | BITS },
	[0xa4] = { op_double_shift, { E_V, G_V, I_B } },
	[0xa5] = { op_double_shift, { E_V, G_V, CL_B } },
	[0xa8] = { emu_op_push_sreg, { 0 }, D64 },
	[0xa9] = { emu_op_pop_sreg, { 0 }, D64 },
	[0xaa] = { NULL, { 0 }, BARE },				/* RSM */
	[0xab] = { op_bit, { E_V, G_V }, LOCK | BITS },
	[0xac] = { op_double_shift, { E_V, G_V, I_B } },
	[0xad] = { op_double_shift, { E_V, G_V, CL_B } },
	[0xae] = { op_group15, { E_V }, RAW },
	[0xaf] = { op_imul, { G_V, E_V } },
	[0xb0] = { op_cmpxchg, { E_B, G_B }, LOCK },
	[0xb1] = { op_cmpxchg, { E_V, G_V }, LOCK },
	[0xb2] = { emu_op_load_far_pointer, { G_V, E_V }, RAW | MEMORY },
	[0xb3] = { op_bit, { E_V, G_V }, LOCK | BITS },
	[0xb4] = { emu_op_load_far_pointer, { G_V, E_V }, RAW | MEMORY },
	[0xb5] = { emu_op_load_far_pointer, { G_V, E_V }, RAW | MEMORY },
	[0xb6] = { op_mov, { G_V, E_B }, NOREAD },		/* MOVZX */
	[0xb7] = { op_mov, { G_V, E_W }, NOREAD },
	[0xb8] = { op_popcnt, { G_V, E_V }, NOREAD },
	[0xb9] = { op_ud, { 0 }, MODRM },			/* UD1 */
	[0xba] = { NULL, { E_V, I_B }, 0, group8 },
	[0xbb] = { op_bit, { E_V, G_V }, LOCK | BITS },
	[0xbc] = { op_bit_scan, { G_V, E_V } },
	[0xbd] = { op_bit_scan, { G_V, E_V } },
	[0xbe] = { op_movsx, { G_V, E_B }, NOREAD },
	[0xbf] = { op_movsx, { G_V, E_W }, NOREAD },
	[0xc0] = { op_xadd, { E_B, G_B }, LOCK },
	[0xc1] = { op_xadd, { E_V, G_V }, LOCK },
	[0xc2] = { NULL, { I_B }, MODRM },
	[0xc3] = { op_movnti, { E_Y, G_Y }, RAW | MEMORY },
	[0xc4 ... 0xc6] = { NULL, { I_B }, MODRM },
	[0xc7] = { NULL, { E_V }, 0, group9 },
	[0xc8 ... 0xcf] = { op_swap, { Z_V } },
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
	{ 3, 0xf0, 0x00, OLD, { op_swap, { G_V, E_V }, NOREAD | MEMORY } },
	{ 3, 0xf0, 0x66, OLD, { op_swap, { G_V, E_V }, NOREAD | MEMORY } },
	{ 3, 0xf0, 0xf2, OLD, { op_crc32, { G_Y, E_B } } },
	{ 3, 0xf1, 0x00, OLD, { op_swap, { E_V, G_V }, NOREAD | MEMORY } },
	{ 3, 0xf1, 0x66, OLD, { op_swap, { E_V, G_V }, NOREAD | MEMORY } },
	{ 3, 0xf1, 0xf2, OLD, { op_crc32, { G_Y, E_V } } },
	{ 3, 0xf6, 0x66, OLD, { op_adx, { G_Y, E_Y } } },
	{ 3, 0xf6, 0xf3, OLD, { op_adx, { G_Y, E_Y } } },
	/* BMI1 and BMI2 */
	{ 3, 0xf2, 0x00, VEX | NO_EVEX, { op_andn, { G_Y, B_Y, E_Y }, NOREAD | PROT } },
	{ 3, 0xf3, 0x00, VEX | NO_EVEX, { op_bls, { B_Y, E_Y }, NOREAD | PROT } },
	{ 3, 0xf5, 0x00, VEX | NO_EVEX, { op_bzhi, { G_Y, E_Y, B_Y }, NOREAD | PROT } },
	{ 3, 0xf5, 0xf2, VEX | NO_EVEX, { op_pdep_pext, { G_Y, B_Y, E_Y }, NOREAD | PROT } },
	{ 3, 0xf5, 0xf3, VEX | NO_EVEX, { op_pdep_pext, { G_Y, B_Y, E_Y }, NOREAD | PROT } },
	{ 3, 0xf6, 0xf2, VEX | NO_EVEX, { op_mulx, { G_Y, B_Y, E_Y }, NOREAD | PROT } },
	{ 3, 0xf7, 0x00, VEX | NO_EVEX, { op_bextr, { G_Y, E_Y, B_Y }, NOREAD | PROT } },
	{ 3, 0xf7, 0x66, VEX | NO_EVEX, { op_shift_x, { G_Y, E_Y, B_Y }, NOREAD | PROT } },
	{ 3, 0xf7, 0xf2, VEX | NO_EVEX, { op_shift_x, { G_Y, E_Y, B_Y }, NOREAD | PROT } },
	{ 3, 0xf7, 0xf3, VEX | NO_EVEX, { op_shift_x, { G_Y, E_Y, B_Y }, NOREAD | PROT } },
	{ 4, 0xf0, 0xf2, VEX | NO_EVEX, { op_shift_x, { G_Y, E_Y, I_B }, NOREAD | PROT } },
};

const struct row *emu_row_one_byte(const struct emu *e)
{
	if (e->opcode < 0x40 && (e->opcode & 7) < 6)
		return e->opcode >> 3 == CMP ? &compare_rows[e->opcode & 7] :
					       &arithmetic_rows[e->opcode & 7];
	if (e->opcode == 0x63 && e->mode != EMU_LONG)
		return &row_arpl;
	return &one_byte[e->opcode];
}

const struct row *emu_row_two_byte(const struct emu *e)
{
	return &two_byte[e->opcode];
}

/* What a mandatory prefix or VEX selects; NULL if it is not here. */
const struct row *emu_search(const struct emu *e)
{
	const struct searched_row *s = searched;
	const struct searched_row *end = s + sizeof(searched) / sizeof(*s);

	for (; s < end; s++)
		if (s->map == e->map && s->opcode == e->opcode &&
		    s->pp == e->vex_pp && s->vex & (e->vex ? VEX : OLD) &&
		    !(e->vex == 4 && s->vex & NO_EVEX))
			return &s->row;
	return NULL;
}
