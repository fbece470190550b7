/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * emulate_priv.h - what the emulator's files share and no one else uses.
 *
 * emulate.c holds the decoder, the transaction and the access to memory;
 * emulate_insn.c the opcode tables and the instructions; emulate_far.c
 * descriptors, far transfers and interrupts.
 */
#ifndef KVM_LIVE_EMULATE_PRIV_H
#define KVM_LIVE_EMULATE_PRIV_H

#include <linux/array_size.h>
#include <linux/bitops.h>
#include <linux/minmax.h>
#include <asm/msr-index.h>
#include <asm/processor-flags.h>
#include <asm/trapnr.h>

#include "emulate.h"

/* Flags that arithmetic sets; the rest is in asm/processor-flags.h. */
#define FL_CF		X86_EFLAGS_CF
#define FL_PF		X86_EFLAGS_PF
#define FL_AF		X86_EFLAGS_AF
#define FL_ZF		X86_EFLAGS_ZF
#define FL_SF		X86_EFLAGS_SF
#define FL_OF		X86_EFLAGS_OF
#define FL_STATUS	(FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF)

/* The type of a code or data segment */
#define SEG_ACCESSED		1u
#define SEG_WRITE		2u	/* data: writable; code: readable */
#define SEG_DOWN		4u	/* data: expand down; code: conforming */
#define SEG_CODE		8u

/*
 * Operands are written as in the manual's opcode maps (SDM 2D A.2): a letter for
 * where, one for the size. The manual's, which need a ModRM byte up to M:
 *
 *	E  register or memory		G  register by ModRM.reg
 *	W  vector register or memory	V  vector register by ModRM.reg
 *	Q  MMX register or memory	P  MMX register by ModRM.reg
 *	R  register, mod is ignored	S  segment register by ModRM.reg
 *	C  control register by reg	D  debug register by reg
 *	M  memory, a register is #UD
 *	B  register by VEX.vvvv		Z  register in the opcode's low bits
 *	I  immediate			J  displacement of a jump
 *	O  memory at an offset		A  offset and selector, immediate
 *	X  memory at DS:rSI		Y  memory at ES:rDI
 *	F  flags
 *
 * and ours: a, c, d: rAX, CL, DX; 1: the constant; i: byte, sign-extended to the
 * operand size; s: segment register in the opcode; l, t: LDTR, TR; 0: CR0;
 * e: EDX:EAX; m: the MSR that ECX names; x: the XCR; @: XLAT's byte of memory;
 * -: pushed to the stack; +: popped from it.
 *
 * Sizes: b w d q v z y n x as in the manual; u and j are b in even opcodes, else
 * v or z; h is half of v; m is v in a register, w in memory; s is x, but with F3
 * d and with F2 q.
 *
 * A decoded operand has one of MEMORY, G (any general register), V, P, S, C, or
 * another letter from X on.
 */
#define MEMORY		'M'

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
	PRIV	= 1u << 7,	/* #GP unless CPL is 0 */
	PROT	= 1u << 8,	/* #UD in real and vm86 mode */
	UMIP	= 1u << 9,	/* #GP with CR4.UMIP unless CPL is 0 */
	IOPL	= 1u << 10,	/* #GP in vm86 mode unless IOPL is 3 */
	STRING	= 1u << 11,	/* string instruction: REP repeats it */
	REPCC	= 1u << 12,	/* … and REPE and REPNE look at ZF */
	BITS	= 1u << 13,	/* a register bit offset moves the address */
	ALIGN	= 1u << 14,	/* memory operand must be aligned */
	ANYLEN	= 1u << 15,	/* VEX.L does not matter */
	SWAP	= 1u << 16,	/* operand 1, a register, becomes what operand 0 was */
	KEEP	= 1u << 17,	/* flags stay as they are */
};

struct row {
	void (*run)(struct emu *e); /* NULL: not known, or a group */
	char operands[7];	/* up to three */
	u32 flags;
	u8 what;		/* for run, if it does several things; which group */
};

/* emulate_insn.c: the tables. NULL: not known. */
const struct row *emu_find_row(const struct emu *e);
const struct row *emu_modrm_row(const struct emu *e, const struct row *row);

/*
 * The sticky result. e->status is EMU_OK until something goes wrong; the first
 * cause stays. From then on every access and every setter below does nothing,
 * and loads give 0: so instructions are written straight on, without a check
 * after each step, and emu_end() puts the registers back.
 */
static inline bool stopped(const struct emu *e)
{
	return e->status != EMU_OK;
}

/* Calls an op that returns a result, unless stopped; then no argument counts. */
#define emu_call(e, op, ...) \
	emu_stop(e, stopped(e) ? EMU_OK : (e)->ops->op(e, __VA_ARGS__))

void emu_stop(struct emu *e, int result);
void emu_raise(struct emu *e, u8 vector, u32 error);

static inline void raise_if(struct emu *e, bool condition, u8 vector, u32 error)
{
	if (condition)
		emu_raise(e, vector, error);
}

#define gp_if(e, condition)	raise_if(e, condition, X86_TRAP_GP, 0)
#define ud_if(e, condition)	raise_if(e, condition, X86_TRAP_UD, 0)

static inline void unknown_if(struct emu *e, bool condition)
{
	emu_stop(e, condition ? EMU_UNHANDLED : EMU_OK);
}

/* emulate.c: the transaction */
void emu_checkpoint(struct emu *e);

/* emulate.c: memory, and the log of finished accesses */
const struct kvm_segment *emu_segment(struct emu *e, unsigned int seg);
void emu_set_segment(struct emu *e, unsigned int seg, struct kvm_segment s);
bool emu_canonical(const struct emu *e, u64 address);
u64 emu_linearize(struct emu *e, unsigned int seg, u64 offset, unsigned int size, bool write);
void emu_lin_access(struct emu *e, u64 linear, void *buf, unsigned int size, unsigned int access);
void emu_port_io(struct emu *e, u16 port, unsigned int size, void *buf, unsigned int count, bool out);
void emu_access(struct emu *e, unsigned int seg, u64 offset, void *buf, unsigned int size,
		unsigned int access);
u64 emu_load(struct emu *e, unsigned int seg, u64 offset, unsigned int size);
u64 emu_system_load(struct emu *e, u64 linear, unsigned int size);
u64 emu_operand(struct emu *e, unsigned int at, unsigned int size);
u64 emu_rdmsr(struct emu *e, u32 index);

/* emulate.c: registers and the stack */
u64 emu_gpr(const struct emu *e, unsigned int reg, unsigned int size);
void emu_set_gpr(struct emu *e, unsigned int reg, unsigned int size, u64 value);
void emu_set_wide(struct emu *e, u64 high, u64 low, unsigned int size);
unsigned int emu_stack_size(struct emu *e);
void emu_move_stack(struct emu *e, u64 sp);
void emu_push(struct emu *e, u64 value, unsigned int size);
u64 emu_pop(struct emu *e, unsigned int size);
u64 emu_flags_writable(const struct emu *e, unsigned int size);
void emu_string_advance(struct emu *e, unsigned int reg, unsigned int bytes);

/* emulate_far.c */
void emu_load_segment(struct emu *e, unsigned int seg, u16 selector);
void emu_op_load_far_pointer(struct emu *e);
void emu_op_far(struct emu *e);
void emu_op_ret_far(struct emu *e);
void emu_op_iret(struct emu *e);
void emu_deliver(struct emu *e, u8 vector, bool software, bool has_error, u32 error, u64 back);
void emu_op_int(struct emu *e);
void emu_op_look(struct emu *e);
void emu_op_arpl(struct emu *e);

static inline u64 cr(struct emu *e, unsigned int n)
{
	return e->ops->get_cr(e, n);
}

static inline bool real_or_vm86(const struct emu *e)
{
	return e->mode == EMU_REAL || e->mode == EMU_VM86;
}

static inline u64 size_mask(unsigned int size)
{
	return size >= 8 ? ~0ull : (1ull << (size * 8)) - 1;
}

static inline u64 sign_bit(unsigned int size)
{
	return 1ull << (size * 8 - 1);
}

static inline s64 sign_extend(u64 value, unsigned int size)
{
	return sign_extend64(value, size * 8 - 1);
}

/* 32-bit results clear the upper half of a register; smaller ones keep it. */
static inline void merge(u64 *reg, u64 value, unsigned int size)
{
	*reg = (size >= 4 ? 0 : *reg & ~size_mask(size)) | (value & size_mask(size));
}

static inline void flags_change(struct emu *e, u64 mask, u64 value)
{
	e->rflags = (e->rflags & ~mask) | (value & mask);
}

static inline u64 flag_if(bool condition, u64 flag)
{
	return condition ? flag : 0;
}

static inline unsigned int iopl(const struct emu *e)
{
	return (e->rflags & X86_EFLAGS_IOPL) >> 12;
}

static inline unsigned int modrm_reg(const struct emu *e)
{
	return e->modrm >> 3 & 7;
}

#endif /* KVM_LIVE_EMULATE_PRIV_H */
