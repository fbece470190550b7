// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Differential test of kvm-module/emulate.c: every instruction form of forms.h
 * runs with random operands on this machine's processor and in the emulator;
 * registers, defined flags, memory and faults must be the same.
 *
 * An instruction is written to a page of its own at CODE, followed by a jump
 * back (native.S). Its memory operands point into WINDOW: a page that is not
 * there, one read-only, two writable, one not there. 16- and 32-bit code runs
 * through segments of the local descriptor table and the kernel's flat ones; the
 * emulator is shown tables with what Linux has in its own.
 *
 * While the emulator runs, its accesses are at random answered with EMU_AGAIN
 * and supplied afterwards, and LOCKed ones made to lose a race: neither may
 * change the outcome.
 *
 * usage: emulate-diff [--cases N] [--seed N] [--form NAME] [--mode 64|32|16]
 *        [--case N] [--verbose]
 */
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "segment.h"
#include "forms.h"

#define CODE		0x14000000ul	/* no power of two below WINDOW: bit offsets are */
#define INSN		0x800		/* offset of the instruction in the page */
#define JUMP_TARGET	(INSN + 0x50)
#define WINDOW		0x20000000ul
#define PAGE		4096ul
#define PAGES		5
#define GS_BASE		0x3000ul
#define GDT		0x30000000ul	/* where the emulator finds tables */
#define LDT		(GDT + 0x1000)
#define IDT		(GDT + 0x2000)
#define FLAGS_COMPARED	0x204cd5ull	/* status, DF, NT, ID */

struct state {
	u64 regs[16];
	u64 rflags;
	u64 pad[7];
	u64 mmx[8];
	u8 vec[32][64];
};

extern struct state native_state;
extern u64 native_target, native_rsp;
extern u32 native_level, native_mode, native_exit;
extern u16 native_selectors[4], native_segments[4];
extern char native_exit_next[], native_exit_jump[], native_exit_signal[];
void native_run(void);

static volatile struct {
	int trap;
	u64 error, cr2, rip;
} trapped;

/* What a form's line says. */
struct form {
	const struct form_line *line;
	u8 bytes[8];
	unsigned int nbytes;
	int modrm;		/* -1 none, -2 /r, else /n */
	bool plus_reg, memory_only, register_only, lockable;
	bool v, y, q, rep, stack_jump, only64, only32, moffs, count, selector, far, half_push;
	u8 mandatory;
	char imm[4];		/* b w z v, j (8) and J (16/32), - none */
	unsigned int nimm;
	int vex_len, vex_pp, vex_map;	/* vex_len -1: none */
	bool no_vvvv;
};

/* One variant of a form. */
struct variant {
	const struct form *form;
	unsigned int mode;	/* 64, 32, 16 */
	unsigned int op_size;	/* 1: as the opcode says */
	bool memory, lock;
};

static u64 rng = 88172645463325252ull;

static u64 rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng * 0x2545f4914f6cdd1dull;
}

static unsigned int below(unsigned int n)
{
	return (rnd() >> 33) % n;
}

/* Values near the edges are where arithmetic goes wrong. */
static u64 rnd_value(void)
{
	u64 v = rnd();

	switch (below(8)) {
	case 0:
		return v & 0xff;
	case 1:
		return (u64)(s64)(s8)v;
	case 2:
		return 1ull << (v & 63);
	case 3:
		return (1ull << (v & 63)) - 1;
	case 4:
		return 0;
	default:
		return v;
	}
}

/* ------------------------------------------------------------- the forms */

static unsigned int parse_form(const struct form_line *line, struct form *f)
{
	char text[64], *word, *save;

	memset(f, 0, sizeof(*f));
	f->line = line;
	f->modrm = -1;
	f->vex_len = -1;
	snprintf(text, sizeof(text), "%s", line->encoding);
	for (word = strtok_r(text, " ", &save); word;
	     word = strtok_r(NULL, " ", &save)) {
		if (!strcmp(word, "/r"))
			f->modrm = -2;
		else if (word[0] == '/')
			f->modrm = word[1] - '0';
		else if (!strcmp(word, "+r"))
			f->plus_reg = true;
		else if (!strcmp(word, "ib") || !strcmp(word, "is"))
			f->imm[f->nimm++] = 'b';
		else if (!strcmp(word, "iw") || !strcmp(word, "iz") ||
			 !strcmp(word, "iv"))
			f->imm[f->nimm++] = word[1];
		else if (!strcmp(word, "jb"))
			f->imm[f->nimm++] = 'j';
		else if (!strcmp(word, "jz"))
			f->imm[f->nimm++] = 'J';
		else if (!strcmp(word, "mo"))
			f->moffs = true;
		else if (!strcmp(word, "v"))
			f->v = true;
		else if (!strcmp(word, "y"))
			f->y = true;
		else if (!strcmp(word, "q"))
			f->q = true;
		else if (!strcmp(word, "m"))
			f->memory_only = true;
		else if (!strcmp(word, "r"))
			f->register_only = true;
		else if (!strcmp(word, "lock"))
			f->lockable = true;
		else if (!strcmp(word, "rep"))
			f->rep = true;
		else if (!strcmp(word, "stk"))
			f->stack_jump = true;
		else if (!strcmp(word, "sel"))
			f->selector = true;
		else if (!strcmp(word, "far"))
			f->far = true;
		else if (!strcmp(word, "half"))
			f->half_push = true;
		else if (!strcmp(word, "v0"))
			f->no_vvvv = true;
		else if (!strcmp(word, "only64"))
			f->only64 = true;
		else if (!strcmp(word, "only32"))
			f->only32 = true;
		else if (word[0] == 'p')
			f->mandatory = strtoul(word + 1, NULL, 16);
		else if (!strncmp(word, "vex", 3))
			sscanf(word, "vex%d.%d.%d", &f->vex_len, &f->vex_pp,
			       &f->vex_map);
		else if (isxdigit(word[0]) && isxdigit(word[1]) && !word[2])
			f->bytes[f->nbytes++] = strtoul(word, NULL, 16);
		else
			return 0;
	}
	return f->nbytes;
}

/* ---------------------------------------------------- building test cases */

struct test_case {
	u8 code[32];
	unsigned int length;
	struct state before;
	unsigned int op_size;
	u64 count;		/* shift count, for undefined flags */
};

static u8 *window = (u8 *)WINDOW;
static u8 shadow[PAGES * PAGE];
static u8 *code = (u8 *)CODE;

/* Gives the same random bytes to the window and the emulator's copy of it. */
static void fill(u64 offset, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < size; i++, offset++) {
		if (offset < 2 * PAGE || offset >= 4 * PAGE)
			continue;
		shadow[offset] = below(4) ? rnd() : 0;
		window[offset] = shadow[offset];
	}
}

static void poke(u64 offset, const void *data, unsigned int size)
{
	if (offset < 2 * PAGE || offset + size > 4 * PAGE)
		return;
	memcpy(shadow + offset, data, size);
	memcpy(window + offset, data, size);
}

/* Where an operand is to be, as an offset into the window. */
static u64 pick_target(void)
{
	switch (below(48)) {
	case 0:			/* around the end */
		return 4 * PAGE - below(64);
	case 1:			/* around the read-only page's */
		return 2 * PAGE - below(64);
	case 2:
		return PAGE + below(PAGE);
	case 3:
		return below(PAGE);
	case 4:			/* a page boundary that is none */
		return 3 * PAGE - below(64);
	default:
		return below(4) ? (2 * PAGE + 256 + below(PAGE)) & ~63ul :
				  2 * PAGE + 256 + below(PAGE);
	}
}

struct encoder {
	const struct variant *v;
	struct test_case *t;
	u8 *p;
	unsigned int addr_size;
	u8 rex;			/* bits R, X, B, W */
	u8 modrm, sib;
	bool sib_used;
	unsigned int disp_size;
	s64 disp;
	bool relative;
	bool gs;
};

/* The value that an address needs: relative to its segment's base. */
static u64 segment_offset(const struct encoder *c, u64 target)
{
	if (c->v->mode == 16)
		return target;
	return WINDOW + target - (c->gs ? GS_BASE : 0);
}

static void set_low(u64 *reg, u64 value, unsigned int size)
{
	u64 mask = size == 8 ? ~0ull : (1ull << size * 8) - 1;

	*reg = (*reg & ~mask) | (value & mask);
}

static void address16(struct encoder *c, u64 want)
{
	static const u8 first[8] = { 3, 3, 5, 5, 6, 7, 5, 3 };
	u64 *regs = c->t->before.regs;
	unsigned int rm = below(8), mod = below(3);
	u64 other = 0;

	c->modrm |= mod << 6 | rm;
	c->disp_size = mod;
	c->disp = mod == 1 ? (s64)(s8)rnd() : (s64)(s16)rnd();
	if (mod == 0 && rm == 6) {
		c->disp_size = 2;
		c->disp = want;
		return;
	}
	if (rm < 4)
		other = regs[rm & 1 ? 7 : 6];
	if (mod)
		other += c->disp;
	set_low(&regs[first[rm]], want - other, 2);
}

static void address32(struct encoder *c, u64 want)
{
	u64 *regs = c->t->before.regs;
	bool long_mode = c->v->mode == 64;
	unsigned int mod = below(3), base = below(8), index = 4, scale = 0;
	unsigned int size = c->addr_size;
	u64 sum = 0;

	c->rex |= long_mode && !below(2) ? 1 : 0;
	c->modrm |= mod << 6 | base;
	c->disp_size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	c->disp = mod == 1 ? (s64)(s8)rnd() : (s64)(s32)(rnd() & 0xffff);
	if (mod == 0 && base == 5) {
		c->disp_size = 4;
		c->relative = long_mode;
		c->disp = want;
		return;
	}
	if (base == 4) {
		c->sib_used = true;
		base = below(8);
		index = below(8);
		scale = below(4);
		if (long_mode && !below(2))
			c->rex |= 2;
		c->sib = scale << 6 | index << 3 | base;
		index |= (c->rex & 2) << 2;
		if (index != 4)
			sum = regs[index] << scale;
		if (mod == 0 && base == 5) {
			c->disp_size = 4;
			/* Without a base the displacement must do. */
			if (index != 4) {
				regs[index] = below(256);
				sum = regs[index] << scale;
			}
			c->disp = want - sum;
			return;
		}
	}
	base |= (c->rex & 1) << 3;
	if (base == index && index != 4) {
		regs[index] = 0;	/* the address will be off; so be it */
		sum = 0;
	}
	if (c->disp_size)
		sum += c->disp;
	set_low(&regs[base], want - sum, size == 8 ? 8 : 4);
	if (size == 4 && long_mode)
		set_low(&regs[base], want - sum, 4);
	else if (!long_mode)
		regs[base] = (u32)regs[base];
}

static void put(struct encoder *c, u64 value, unsigned int size)
{
	memcpy(c->p, &value, size);
	c->p += size;
}

static void put_vex(struct encoder *c, unsigned int vvvv)
{
	const struct form *f = c->v->form;
	unsigned int w = c->v->op_size == 8;
	unsigned int rxb = (~c->rex & 7) << 5;

	if (c->v->mode != 64)
		rxb = 0xe0;
	vvvv = ~vvvv & 15;
	if (f->vex_map == 1 && !w && (rxb & 0x60) == 0x60) {
		put(c, 0xc5, 1);
		put(c, (rxb & 0x80) | vvvv << 3 | f->vex_len << 2 | f->vex_pp, 1);
	} else {
		put(c, 0xc4, 1);
		put(c, rxb | f->vex_map, 1);
		put(c, w << 7 | vvvv << 3 | f->vex_len << 2 | f->vex_pp, 1);
	}
}

static void put_prefixes(struct encoder *c, unsigned int default_addr)
{
	const struct form *f = c->v->form;
	unsigned int default_op = c->v->mode == 16 ? 2 : 4;
	u8 rep = below(3) == 0 ? 0 : below(2) ? 0xf2 : 0xf3;

	if (f->q && c->v->mode == 64)
		default_op = 8;
	if (c->addr_size != default_addr)
		put(c, 0x67, 1);
	if (c->gs)
		put(c, 0x65, 1);
	if (c->v->lock)
		put(c, 0xf0, 1);
	if (f->vex_len >= 0)
		return;
	if (f->mandatory)
		put(c, f->mandatory, 1);
	if (f->mandatory != 0x66 &&
	    ((c->v->op_size == 2 && default_op != 2) ||
	     (c->v->op_size == 4 && default_op == 2)))
		put(c, 0x66, 1);
	if (f->rep && rep)
		put(c, rep, 1);
	if (c->v->mode == 64 && (c->rex || !below(8)))
		put(c, 0x40 | c->rex, 1);
}

/* Immediates; a jump goes to the second exit. */
static void put_immediates(struct encoder *c)
{
	const struct form *f = c->v->form;
	unsigned int i, z = c->v->op_size == 2 ? 2 : 4;
	u64 value;

	if (c->v->op_size == 1 && c->v->mode == 16)
		z = 2;
	for (i = 0; i < f->nimm; i++) {
		value = rnd_value();
		switch (f->imm[i]) {
		case 'b':
			c->t->count = value & 0xff;
			put(c, value, 1);
			break;
		case 'w':
			put(c, f->bytes[0] == 0xc8 || f->stack_jump ?
			    value & 0x3f : value, 2);
			break;
		case 'z':
			put(c, value, z);
			break;
		case 'v':
			put(c, value, c->v->op_size);
			break;
		case 'j':
			put(c, JUMP_TARGET - INSN - (c->p - c->t->code) - 1, 1);
			break;
		default:
			put(c, JUMP_TARGET - INSN - (c->p - c->t->code) - z, z);
			break;
		}
	}
}

static void put_stack_jump(struct encoder *c, u64 target)
{
	u64 to = JUMP_TARGET + (c->v->mode == 16 ? 0 : CODE);
	u64 *regs = c->t->before.regs;
	unsigned int size = c->v->mode / 8;

	if (c->v->form->modrm < 0)
		poke((c->v->mode == 16 ? regs[4] : regs[4] - WINDOW), &to, size);
	else if (c->v->memory)
		poke(target, &to, size);
	else
		set_low(&regs[(c->modrm & 7) | (c->rex & 1) << 3], to, 8);
}

/* What there is in Linux's tables, and what is not. */
static u16 pick_selector(void)
{
	static const u16 choice[] = {
		0, 1, 3, 7, 0xc, 0xf, 0x17, 0x08, 0x10, 0x18, 0x1b, 0x23, 0x28, 0x2b, 0x33,
		0x40, 0x50, 0x83, 0xffff,
	};

	return choice[below(sizeof(choice) / sizeof(choice[0]))];
}

/* The mode's own code segment, or one that cannot be jumped to. */
static u16 pick_code(const struct variant *v)
{
	static const u16 bad[] = { 0, 3, 0xf, 0x10, 0x17, 0x2b, 0x43, 0xfff8 };

	if (below(3))
		return v->mode == 64 ? 0x33 : v->mode == 32 ? 0x23 : 7;
	return bad[below(sizeof(bad) / sizeof(bad[0]))];
}

/* On the stack, or in the operand, what a form of token sel loads. */
static void put_selector(struct encoder *c, u64 target)
{
	const struct form *f = c->v->form;
	u64 *regs = c->t->before.regs, stack = regs[4] - (c->v->mode == 16 ? 0 : WINDOW);
	u16 selector = pick_selector();

	if (f->modrm == -1)
		poke(stack, &selector, 2);
	else if (!c->v->memory)
		set_low(&regs[(c->modrm & 7) | (c->rex & 1) << 3], selector, 2);
	else if (f->memory_only)	/* a far pointer */
		poke(target + c->v->op_size, &selector, 2);
	else
		poke(target, &selector, 2);
}

/* Far jumps, calls and returns: the pointer in the code, or a frame. */
static void put_far(struct encoder *c)
{
	u64 *regs = c->t->before.regs, stack = regs[4] - (c->v->mode == 16 ? 0 : WINDOW);
	u64 offset = JUMP_TARGET + (c->v->mode == 16 ? 0 : CODE);
	unsigned int size = c->v->mode == 16 ? 2 : 4, i;
	u64 frame[5] = { offset, pick_code(c->v), (rnd() & 0xcd5) | 0x202, regs[4], 0x2b };

	if (c->v->form->bytes[0] == 0x9a || c->v->form->bytes[0] == 0xea) {
		put(c, frame[0], size);
		put(c, frame[1], 2);
	}
	for (i = 0; i < 5; i++)
		poke(stack + i * size, &frame[i], size);
}

static void build_case(const struct variant *v, struct test_case *t)
{
	const struct form *f = v->form;
	struct encoder c = { .v = v, .t = t, .p = t->code };
	unsigned int default_addr = v->mode / 8, i, vvvv = 0;
	u64 *regs = t->before.regs, target = pick_target(), want;
	u8 op[8], *disp_at = NULL;

	for (i = 0; i < 16; i++)
		regs[i] = v->mode == 64 ? rnd_value() : (u32)rnd_value();
	regs[EMU_RSP] = WINDOW + 2 * PAGE + 0x800 + below(0x400);
	if (below(4))
		regs[EMU_RSP] &= ~7ull;
	if (v->mode == 16)
		regs[EMU_RSP] -= WINDOW;
	t->before.rflags = (rnd() & 0x200cd5) | 2;
	if (f->modrm == -1 && !f->rep)
		t->before.rflags &= ~0x400ull;
	c.addr_size = default_addr;
	if (!below(8))
		c.addr_size = v->mode == 64 ? 4 : v->mode == 32 ? 2 : 4;
	c.gs = v->mode == 64 && !below(16) && (v->memory || f->rep);
	fill(target - 128, 256);
	if (v->mode == 16)
		fill(regs[EMU_RSP] - 0x100, 0x180);
	else
		fill(regs[EMU_RSP] - WINDOW - 0x100, 0x180);

	/* BT: a bit offset that stays near. */
	if (f->bytes[0] == 0x0f && (f->bytes[1] & 0xe7) == 0xa3)
		for (i = 0; i < 16; i++)
			if (i != EMU_RSP && below(2))
				regs[i] = (s64)(s16)(rnd() & 0x0fff) - 0x800;

	/* DIV mostly without overflow. */
	if ((f->bytes[0] & 0xfe) == 0xf6 && f->nbytes == 1 && f->modrm >= 6 &&
	    below(8)) {
		regs[EMU_RDX] = below(2) ? 0 : below(64);
		if (f->bytes[0] == 0xf6)
			regs[EMU_RAX] &= 0xff;
		if (f->modrm == 7 && below(2))
			regs[EMU_RDX] = v->mode == 64 ? ~0ull : ~0u;
	}
	want = segment_offset(&c, target);
	if (f->modrm != -1) {
		c.modrm = (f->modrm == -2 ? below(8) : (unsigned int)f->modrm) << 3;
		if (f->modrm == -2 && v->mode == 64 && below(2))
			c.rex |= 4;
		if (!v->memory) {
			c.modrm |= 0xc0 | (f->stack_jump ? 3 : below(8));
			c.rex |= v->mode == 64 && below(2) ? 1 : 0;
		} else if (c.addr_size == 2) {
			address16(&c, want);
		} else {
			address32(&c, want);
		}
	}
	if (f->plus_reg && v->mode == 64 && below(2))
		c.rex |= 1;
	if (v->op_size == 8 && !(f->q && below(2)))
		c.rex |= 8;
	if (f->vex_len >= 0) {
		vvvv = f->no_vvvv ? 0 : below(v->mode == 64 ? 16 : 8);
		c.rex &= 7;
	}
	if (f->rep) {
		regs[EMU_RCX] = below(12);
		regs[EMU_RSI] = segment_offset(&c, target);
		c.gs = c.gs && f->bytes[0] != 0xaa;
		regs[EMU_RDI] = (v->mode == 16 ? 0 : WINDOW) + pick_target();
		/* Which operand CMPS reads first is nowhere defined. */
		if ((f->bytes[0] & 0xfe) == 0xa6)
			regs[EMU_RDI] = regs[EMU_RSI] + (c.gs ? GS_BASE : 0) +
					below(3) * 8;
	}
	if (f->bytes[0] == 0xd7 && f->nbytes == 1)
		regs[EMU_RBX] = segment_offset(&c, target);
	if (f->bytes[0] == 0xc9 || f->bytes[0] == 0xc8)
		regs[EMU_RBP] = regs[EMU_RSP] + below(64);
	/* CMPXCHG succeeds now and then. */
	if (f->bytes[0] == 0x0f && (f->bytes[1] & 0xfe) == 0xb0 && below(2)) {
		if (v->memory)
			poke(target, &regs[EMU_RAX], 8);
		else if ((c.modrm & 7) != 4)
			regs[(c.modrm & 7) | (c.rex & 1) << 3] = regs[EMU_RAX];
	}
	if (f->bytes[0] == 0x0f && f->bytes[1] == 0xc7 && below(2)) {
		poke(target, &regs[EMU_RAX], v->op_size);
		poke(target + v->op_size, &regs[EMU_RDX], v->op_size);
	}
	/* POPF: no single-stepping, no alignment checks, no nested tasks. */
	if (f->bytes[0] == 0x9d) {
		u64 flags = rnd() & 0x200ed5;

		poke(v->mode == 16 ? regs[4] : regs[4] - WINDOW, &flags, 8);
	}

	put_prefixes(&c, default_addr);
	memcpy(op, f->bytes, f->nbytes);
	if (f->plus_reg)
		op[f->nbytes - 1] |= below(8);
	if (f->vex_len >= 0)
		put_vex(&c, vvvv);
	memcpy(c.p, op, f->nbytes);
	c.p += f->nbytes;
	if (f->modrm != -1) {
		put(&c, c.modrm, 1);
		if (c.sib_used)
			put(&c, c.sib, 1);
		disp_at = c.p;
		put(&c, c.disp, c.disp_size);
	}
	if (f->moffs)
		put(&c, want, c.addr_size);
	if (f->far)
		put_far(&c);
	if (f->selector)
		put_selector(&c, target);
	put_immediates(&c);
	t->length = c.p - t->code;
	if (c.relative) {
		s32 rel = c.disp - (CODE + INSN + t->length);

		memcpy(disp_at, &rel, 4);
	}
	if (f->stack_jump)
		put_stack_jump(&c, target);
	t->op_size = v->op_size;
	if (f->line->undefined == U_SHIFT2 || f->line->undefined == U_SHIFT ||
	    f->line->undefined == U_ROTATE) {
		if (!f->nimm)
			t->count = f->bytes[0] == 0xd0 || f->bytes[0] == 0xd1 ?
				   1 : regs[EMU_RCX] & 0xff;
	}
	if (v->mode == 64)
		return;
	for (i = 0; i < 16; i++)
		regs[i] = (u32)regs[i];
}

/* Flags that may differ after this instruction. */
static u64 undefined_flags(const struct variant *v, const struct test_case *t)
{
	unsigned int size = v->op_size ? v->op_size : 1;
	u64 n = t->count & (size == 8 ? 63 : 31);

	switch (v->form->line->undefined) {
	case U_AF:
		return 0x10;
	case U_OF:
		return 0x800;
	case U_AAA:
		return 0x8c4;
	case U_AAM:
		return 0x811;
	case U_ROTATE:
		return n > 1 ? 0x800 : 0;
	case U_SHIFT:
		if (!n)
			return 0;
		return 0x10 | (n > 1 ? 0x800 : 0) |
		       (n >= size * 8 ? 1 : 0);
	case U_SHIFT2:
		if (!n)
			return 0;
		return n > size * 8 ? 0x8d5 : 0x10 | (n > 1 ? 0x800 : 0);
	case U_MUL:
		return 0xd4;
	case U_DIV:
		return 0x8d5;
	case U_BSF:
		return 0x895;
	case U_BT:
		return 0x894;
	case U_TZCNT:
		return 0x894;
	case U_BEXTR:
		return 0x94;
	case U_BLS:
		return 0x14;
	case U_ALL:
		return 0x8d5;
	default:
		return 0;
	}
}

/* --------------------------------------------------- the emulator's world */

static struct emu emu;
static struct state emulated;
static u16 emulated_segments[EMU_NSEGS];
static bool have_ldt;
static unsigned int current_mode;
static u64 again_linear;
static unsigned int again_size;
static bool again_done, again_input;
static u8 again_data[64];
static unsigned int agains;

static u32 page_protection(u64 linear)
{
	u64 page = (linear - WINDOW) / PAGE;

	if (linear < WINDOW || page >= PAGES)
		return 0;
	return page == 1 ? 1 : page == 2 || page == 3 ? 3 : 0;
}

static int check_pages(struct emu *e, u64 linear, unsigned int size, bool write)
{
	u64 ends[2] = { linear, (linear + size - 1) & ~(PAGE - 1) };
	unsigned int i;
	u32 p;

	if (ends[1] <= linear)
		ends[1] = linear;
	for (i = 0; i < 2; i++) {
		p = page_protection(ends[i]);
		if (!p || (write && p != 3))
			return emu_page_fault(e, ends[i], (p ? 1 : 0) |
					      (write ? 2 : 0) | 4);
	}
	return EMU_OK;
}

static int world_fetch(struct emu *e, u64 linear, void *buf, unsigned int size)
{
	(void)e;
	if (linear < CODE || linear + size > CODE + PAGE)
		return emu_page_fault(e, linear, 0x14);
	memcpy(buf, code + (linear - CODE), size);
	return EMU_OK;
}

/* Puts an access off to "user space" now and then. */
static bool put_off(u64 linear, unsigned int size, bool input)
{
	if (below(6) || size > sizeof(again_data))
		return false;
	again_linear = linear;
	again_size = size;
	again_input = input;
	again_done = true;
	agains++;
	return true;
}

static const u64 gdt[16] = {
	0, 0x00cf9b000000ffff, 0x00af9b000000ffff, 0x00cf93000000ffff,
	0x00cffb000000ffff, 0x00cff3000000ffff, 0x00affb000000ffff, 0,
	0x00008b0000004087, 0, 0x000082000000000f, 0,
};

static const u64 ldt[2] = { 0x1000fb000000ffff, 0x2000f30000004fff };

static int world_read(struct emu *e, u64 linear, void *buf, unsigned int size,
		      unsigned int access)
{
	int r;

	if (access & EMU_ACC_SYSTEM && linear >= IDT) {
		memset(buf, 0, size);
		if (!(linear & 15) || size == 8)	/* closed to programs */
			*(u64 *)buf = 0x00008e0000100000;
		return EMU_OK;
	}
	if (access & EMU_ACC_SYSTEM) {
		memcpy(buf, linear < LDT ? (u8 *)gdt + (linear - GDT) :
					   (u8 *)ldt + (linear - LDT), size);
		return EMU_OK;
	}
	r = check_pages(e, linear, size, access & EMU_ACC_RMW);

	if (r != EMU_OK)
		return r;
	if (put_off(linear, size, true)) {
		memcpy(again_data, shadow + (linear - WINDOW), size);
		return EMU_AGAIN;
	}
	memcpy(buf, shadow + (linear - WINDOW), size);
	return EMU_OK;
}

static int world_write(struct emu *e, u64 linear, const void *buf,
		       unsigned int size, unsigned int access)
{
	int r = check_pages(e, linear, size, true);

	(void)access;
	if (r != EMU_OK)
		return r;
	memcpy(shadow + (linear - WINDOW), buf, size);
	return put_off(linear, size, false) ? EMU_AGAIN : EMU_OK;
}

static int world_cmpxchg(struct emu *e, u64 linear, const void *old,
			 const void *new, unsigned int size)
{
	int r = check_pages(e, linear, size, true);

	if (r != EMU_OK)
		return r;
	if (!below(6) || memcmp(shadow + (linear - WINDOW), old, size))
		return EMU_RETRY;
	memcpy(shadow + (linear - WINDOW), new, size);
	return put_off(linear, size, false) ? EMU_AGAIN : EMU_OK;
}

static int world_pio(struct emu *e, u16 port, unsigned int size, void *buf,
		     unsigned int count, bool out)
{
	(void)e, (void)port, (void)size, (void)buf, (void)count, (void)out;
	return EMU_UNHANDLED;
}

static void find_segment(unsigned int seg, struct segment *s)
{
	memset(s, 0, sizeof(*s));
	if (seg == SEG_LDTR) {
		s->base = LDT;
		s->limit = sizeof(ldt) - 1;
		s->attr = have_ldt ? 0x82 : UNUSABLE;
		return;
	}
	if (seg == SEG_TR) {		/* refuses every port */
		s->attr = 0x83;
		return;
	}
	s->selector = current_mode == 64 ? seg == SEG_CS ? 0x33 : 0x2b :
					   seg == SEG_CS ? 0x23 : 0x2b;
	if (current_mode == 64 && seg != SEG_CS && seg != SEG_SS)
		s->selector = seg == SEG_DS || seg == SEG_ES ? 0x2b : 0;
	s->limit = 0xffffffff;
	s->attr = seg == SEG_CS ? 0xc0fb : 0xc0f3;
	if (current_mode == 64 && seg == SEG_CS)
		s->attr = 0xa0fb;
	if (current_mode == 64 && seg == SEG_GS)
		s->base = GS_BASE;
	if (current_mode == 16) {
		s->selector = seg == SEG_CS ? 7 : 15;
		s->base = seg == SEG_CS ? CODE : WINDOW;
		s->limit = seg == SEG_CS ? 0xffff : 0x4fff;
		s->attr = seg == SEG_CS ? 0x00fb : 0x00f3;
	}
}

static void world_get_seg(struct emu *e, unsigned int seg, struct kvm_segment *k)
{
	struct segment s;

	(void)e;
	find_segment(seg, &s);
	*k = to_kvm(&s);
	if (seg == SEG_GDTR)
		*k = (struct kvm_segment){ .base = GDT, .limit = sizeof(gdt) - 1 };
	if (seg == SEG_IDTR)
		*k = (struct kvm_segment){ .base = IDT, .limit = 0xfff };
}

static void world_set_seg(struct emu *e, unsigned int seg, const struct kvm_segment *s)
{
	(void)e;
	emulated_segments[seg] = s->selector;
}

static u64 world_get_cr(struct emu *e, unsigned int cr)
{
	(void)e;
	return cr == 0 ? 0x80050033 : cr == 4 ? 0x40600 : 0;
}

static int world_control(struct emu *e, enum emu_control what, u64 arg,
			 void *arg2)
{
	(void)e, (void)arg;
	switch (what) {
	case EMU_CTL_XGETBV:
		*(u64 *)arg2 = native_level == 3 ? 0xe7 : 7;
		return EMU_OK;
	case EMU_CTL_IRET:
		return EMU_OK;
	default:
		return EMU_UNHANDLED;
	}
}

static int world_fpu_get(struct emu *e, struct emu_fpu *fpu)
{
	unsigned int i;

	(void)e;
	memset(fpu, 0, sizeof(*fpu));
	for (i = 0; i < 8; i++)
		memcpy(fpu->st[i], &emulated.mmx[i], 8);
	for (i = 0; i < 16; i++) {
		memcpy(fpu->xmm[i], emulated.vec[i], 16);
		memcpy(fpu->ymm_high[i], emulated.vec[i] + 16, 16);
	}
	return EMU_OK;
}

static int world_fpu_set(struct emu *e, const struct emu_fpu *fpu)
{
	unsigned int i;

	(void)e;
	for (i = 0; i < 8; i++)
		memcpy(&emulated.mmx[i], fpu->st[i], 8);
	for (i = 0; i < 16; i++) {
		memcpy(emulated.vec[i], fpu->xmm[i], 16);
		memcpy(emulated.vec[i] + 16, fpu->ymm_high[i], 16);
		if (fpu->zeroed >> i & 1)
			memset(emulated.vec[i] + 32, 0, 32);
	}
	return EMU_OK;
}

static int world_msr(struct emu *e, u32 index, u64 *value, bool write)
{
	if (!write)
		*value = index == 0xc0000080 ? 0xd01 : 0;
	return EMU_OK;
}

static int world_access(struct emu *e, u64 linear, void *buf, unsigned int size,
		    unsigned int access)
{
	if (access & EMU_ACC_PROBE)
		return check_pages(e, linear, size, access & EMU_ACC_WRITE);
	if (access & EMU_ACC_FETCH)
		return world_fetch(e, linear, buf, size);
	return access & EMU_ACC_WRITE ? world_write(e, linear, buf, size, access) :
					world_read(e, linear, buf, size, access);
}

static int world_fpu(struct emu *e, struct emu_fpu *f, bool set)
{
	return set ? world_fpu_set(e, f) : world_fpu_get(e, f);
}

static const struct emu_ops world = {
	.access = world_access,
	.fpu = world_fpu,
	.exchange = world_cmpxchg,
	.pio = world_pio,
	.get_seg = world_get_seg,
	.set_seg = world_set_seg,
	.get_cr = world_get_cr,
	.control = world_control,
	.msr = world_msr,
};

/* Runs to the end of the instruction, whatever "user space" has to do. */
static int run_emulated(const struct test_case *t)
{
	u64 start = INSN + (current_mode == 16 ? 0 : CODE);
	unsigned int turns;
	int r = EMU_OK;

	emulated = t->before;
	memcpy(emu.regs, t->before.regs, sizeof(emu.regs));
	emu.rip = start;
	emu.rflags = t->before.rflags | 0x200;
	emu.mode = current_mode == 64 ? EMU_LONG :
		   current_mode == 32 ? EMU_PROT32 : EMU_PROT16;
	emu.cpl = 3;
	emu.va_bits = 48;
	for (turns = 0; turns < EMU_NSEGS; turns++) {
		struct segment s;

		find_segment(turns, &s);
		emulated_segments[turns] = s.selector;
	}
	for (turns = 0; turns < 2000; turns++) {
		r = emu_run(&emu);
		if (r == EMU_AGAIN) {
			emu_supply(&emu, again_input ? again_data : NULL,
				   again_input ? again_size : 0);
			continue;
		}
		if (r != EMU_OK || emu.rip != start)
			break;
	}
	return r;
}

/* ------------------------------------------------------- the real processor */

static bool trying;	/* whether this mode is there at all */

static void on_signal(int sig, siginfo_t *info, void *context)
{
	static const int order[16] = {
		REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI,
		REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13,
		REG_R14, REG_R15,
	};
	ucontext_t *u = context;
	greg_t *g = u->uc_mcontext.gregs;
	u64 rip = g[REG_RIP];
	unsigned int i;

	(void)sig, (void)info;
	if ((g[REG_CSGSFS] & 0xffff) == 0x33 && rip >= 0x400000 &&
	    rip < 0x800000) {
		static const char text[] = "crash outside of the test code\n";

		if (!trying)
			(void)!write(2, text, sizeof(text) - 1);
		_exit(99);
	}
	for (i = 0; i < 16; i++)
		native_state.regs[i] = g[order[i]];
	native_state.rflags = g[REG_EFL];
	trapped.trap = g[REG_TRAPNO];
	trapped.error = g[REG_ERR];
	trapped.cr2 = g[REG_CR2];
	trapped.rip = rip;
	asm volatile("mov %%ds, %0" : "=m" (native_segments[0]));
	asm volatile("mov %%es, %0" : "=m" (native_segments[1]));
	native_segments[2] = g[REG_CSGSFS] >> 48;
	g[REG_RIP] = (greg_t)native_exit_signal;
	g[REG_RSP] = native_rsp;
	g[REG_EFL] = 0x202;
	g[REG_CSGSFS] = (g[REG_CSGSFS] & 0x0000ffffffff0000ll) | 0x33 |
			0x2bll << 48;
}

static void run_native(const struct test_case *t)
{
	u8 *p = code + INSN + t->length, *jump = code + JUMP_TARGET;
	static char *next_pointer, *jump_pointer;

	next_pointer = native_exit_next;
	jump_pointer = native_exit_jump;
	memset(code + INSN, 0x90, 0x80);
	memcpy(code + INSN, t->code, t->length);
	if (current_mode == 64) {	/* jmp *absolute */
		memcpy(p, "\xff\x24\x25", 3);
		*(u32 *)(p + 3) = (u32)(u64)&next_pointer;
		memcpy(jump, "\xff\x24\x25", 3);
		*(u32 *)(jump + 3) = (u32)(u64)&jump_pointer;
	} else {			/* ljmp $0x33, $label */
		u32 labels[2] = { (u32)(u64)native_exit_next,
				  (u32)(u64)native_exit_jump };

		if (current_mode == 16) {
			*p++ = 0x66;
			*jump++ = 0x66;
		}
		*p++ = 0xea;
		*jump++ = 0xea;
		memcpy(p, &labels[0], 4);
		memcpy(p + 4, "\x33\0", 2);
		memcpy(jump, &labels[1], 4);
		memcpy(jump + 4, "\x33\0", 2);
	}
	native_state = t->before;
	native_exit = 0;
	trapped.trap = -1;
	native_mode = current_mode != 64;
	native_target = INSN + (current_mode == 16 ? 0 : CODE);
	((u16 *)&native_target)[2] = current_mode == 32 ? 0x23 : 7;
	if (current_mode == 64)
		native_target = CODE + INSN;
	native_selectors[0] = current_mode == 16 ? 15 : 0x2b;
	native_selectors[1] = native_selectors[0];
	native_selectors[2] = native_selectors[0];
	native_run();
}

/* Kernels can be without 32-bit code (ia32_emulation=off) or without an LDT. */
static bool mode_is_there(unsigned int mode)
{
	static const struct test_case nop = { .code = { 0x90 }, .length = 1 };
	int status = -1;
	pid_t pid;

	current_mode = mode;
	fflush(stdout);
	pid = fork();
	if (!pid) {
		trying = true;
		run_native(&nop);
		_exit(native_exit != 1);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status;
}

/* --------------------------------------------------------------- comparing */

static const char *reg_names[16] = {
	"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
	"r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
};

static bool verbose;

static bool differs(const char *what, u64 native, u64 emulated_value)
{
	if (native == emulated_value)
		return false;
	printf("#   %s: processor %#llx, emulator %#llx\n", what,
	       (unsigned long long)native, (unsigned long long)emulated_value);
	return true;
}

static bool uses_vectors(const struct form *f)
{
	return !strncmp(f->line->name, "mov", 3) ||
	       !strncmp(f->line->name, "vmov", 4) ||
	       !strcmp(f->line->name, "lddqu") ||
	       !strcmp(f->line->name, "vlddqu");
}

/* An interrupt of the host on the way makes 0 of null selectors 1 to 3. */
static u16 no_null(u16 selector)
{
	return selector < 4 ? 0 : selector;
}

static bool compare(const struct variant *v, const struct test_case *t, int r)
{
	unsigned int i, n = v->mode == 64 ? 16 : 8;
	u64 mask = v->mode == 64 ? ~0ull : 0xffffffff;
	u64 flags = FLAGS_COMPARED, rip, jumped = 0, at, off = v->mode == 16 ? CODE : 0;
	bool bad = false, order;

	if (r == EMU_UNHANDLED) {
		printf("#   the emulator does not handle it\n");
		return false;
	}
	/* A jump to nowhere, or to a HLT: the fault is the next instruction's. */
	if (v->form->stack_jump && trapped.trap >= 0 && r == EMU_OK &&
	    trapped.rip != INSN + (v->mode == 16 ? 0 : CODE)) {
		trapped.trap = -1;
		jumped = trapped.rip;
	}
	/*
	 * No manual orders the two reads of CMPS, nor the limit and alignment
	 * checks of a vector operand, and of a far return's selector and outer
	 * stack, as of CALL's target and stack, the vendors check another one
	 * first: that both fault is enough.
	 */
	order = (v->form->bytes[0] & 0xfe) == 0xa6 || (v->form->bytes[0] & 0xfe) == 0xca ||
		v->form->stack_jump || (uses_vectors(v->form) && v->mode == 16);
	if (order && r == EMU_FAULT && trapped.trap >= 0)
		return true;
	/* Linux reports kernel addresses as present. */
	if (trapped.trap == 14 && trapped.cr2 >> 63)
		trapped.error &= ~1ull;
	bad |= differs("fault", trapped.trap, r == EMU_FAULT ?
		       emu.fault.vector : ~0ull);
	if (r == EMU_FAULT && !bad) {
		if (emu.fault.has_error)
			bad |= differs("error code", trapped.error,
				       emu.fault.error);
		if (emu.fault.vector == 14)
			bad |= differs("cr2", trapped.cr2, emu.fault.cr2);
		/* REP CMPS and SCAS: flags in the middle do not matter. */
		if (v->form->rep)
			flags = 0;
		rip = trapped.rip;
		bad |= differs("rip", rip, emu.rip);
	} else if (!bad) {
		rip = native_exit == 2 ? CODE + JUMP_TARGET :
					 CODE + INSN + t->length;
		if (jumped)
			rip = jumped + off;
		bad |= differs("rip", rip, emu.rip + off);
		bad |= differs("length", t->length, emu.length);
		flags &= ~undefined_flags(v, t);
	}
	/* 16-bit double shifts by more than 16 have no defined result. */
	if (v->form->line->undefined == U_SHIFT2 && v->op_size == 2 &&
	    (t->count & 31) > 16)
		return !bad;
	for (i = 0; i < n; i++)
		bad |= differs(reg_names[i], native_state.regs[i] & mask,
			       emu.regs[i] & mask);
	bad |= differs("rflags", native_state.rflags & flags,
		       emu.rflags & flags);
	if (v->form->selector) {
		bad |= differs("ds", no_null(native_segments[0]),
			       no_null(emulated_segments[SEG_DS]));
		bad |= differs("es", no_null(native_segments[1]),
			       no_null(emulated_segments[SEG_ES]));
		bad |= differs("ss", native_segments[2], emulated_segments[SEG_SS]);
	}
	/* SDM vol. 2, PUSH: zeros above a selector, or what has been there. */
	at = v->mode == 16 ? (u16)emu.regs[EMU_RSP] : emu.regs[EMU_RSP] - WINDOW;
	if (v->form->half_push && (v->op_size == 1 ? v->mode == 32 : v->op_size == 4) &&
	    r == EMU_OK && at < 4 * PAGE && !*(u16 *)(shadow + at + 2))
		memcpy(shadow + at + 2, window + at + 2, 2);
	for (i = 2 * PAGE; i < 4 * PAGE; i += 8)
		if (*(u64 *)(window + i) != *(u64 *)(shadow + i)) {
			printf("#   memory at %#x:\n", i);
			bad |= differs("value", *(u64 *)(window + i),
				       *(u64 *)(shadow + i));
		}
	if (native_level) {
		n = native_level == 3 ? 32 : 16;
		for (i = 0; i < 8; i++)
			bad |= differs("mmx", native_state.mmx[i],
				       emulated.mmx[i]);
		for (i = 0; i < n; i++)
			if (memcmp(native_state.vec[i], emulated.vec[i],
				   native_level == 3 ? 64 :
				   native_level == 2 ? 32 : 16)) {
				printf("#   vector register %u differs\n", i);
				bad = true;
			}
	}
	return !bad;
}

static void show(const struct variant *v, const struct test_case *t)
{
	unsigned int i;

	if (trapped.trap >= 0)
		printf("#   trap %d error %llx cr2 %llx rip %llx\n", trapped.trap,
		       (unsigned long long)trapped.error, (unsigned long long)trapped.cr2,
		       (unsigned long long)trapped.rip);
	printf("#   bytes:");
	for (i = 0; i < t->length; i++)
		printf(" %02x", t->code[i]);
	printf("\n#   before: rflags %llx", (unsigned long long)t->before.rflags);
	for (i = 0; i < (v->mode == 64 ? 16 : 8); i++)
		printf(" %s %llx", reg_names[i],
		       (unsigned long long)t->before.regs[i]);
	printf("\n");
}

static bool have_level(const struct form *f, unsigned int level)
{
	if (f->vex_len >= 0 && uses_vectors(f))
		return level >= 2;
	return true;
}

static unsigned int processor_level(void)
{
	if (__builtin_cpu_supports("avx512vl") &&
	    __builtin_cpu_supports("avx512bw"))
		return 3;
	return __builtin_cpu_supports("avx2") ? 2 : 1;
}

/* Does this processor have what the form needs? */
static bool have_feature(const struct form *f)
{
	const char *n = f->line->name;

	if (!strcmp(n, "andn") || !strncmp(n, "bls", 3) || !strcmp(n, "bextr") ||
	    !strcmp(n, "tzcnt"))
		return __builtin_cpu_supports("bmi");
	if (!strcmp(n, "lzcnt"))
		return __builtin_cpu_supports("lzcnt");
	if (f->vex_len >= 0 && !uses_vectors(f))
		return __builtin_cpu_supports("bmi2");
	if (!strcmp(n, "adcx") || !strcmp(n, "adox"))
		return __builtin_cpu_supports("adx");
	if (!strcmp(n, "movbe"))
		return __builtin_cpu_supports("movbe");
	if (!strcmp(n, "crc32"))
		return __builtin_cpu_supports("sse4.2");
	return true;
}

static unsigned long cases_run, variants_run, failures;

static u64 variant_seed(const struct variant *v, u64 seed)
{
	const char *p;
	u64 h = seed * 0x9e3779b97f4a7c15ull + v->mode * 31 + v->op_size * 7 +
		v->memory * 3 + v->lock * 5 + 1;

	for (p = v->form->line->encoding; *p; p++)
		h = (h ^ (u8)*p) * 0x100000001b3ull;
	return h | 1;
}

static void run_variant(const struct variant *v, unsigned long cases, u64 seed,
			long only)
{
	static struct test_case t;
	u64 base = variant_seed(v, seed);
	unsigned long i, bad = 0;
	unsigned int level = processor_level();
	char name[160];
	int r;

	current_mode = v->mode;
	native_level = uses_vectors(v->form) ? level : 0;
	snprintf(name, sizeof(name), "%u-bit %s%s [%s] %s, %u-byte operand",
		 v->mode, v->lock ? "lock " : "", v->form->line->name,
		 v->form->line->encoding, v->memory ? "memory" : "register",
		 v->op_size);
	for (i = 0; i < cases && bad < 3; i++) {
		if (only >= 0 && i != (unsigned long)only)
			continue;
		rng = base + i * 0x9e3779b97f4a7c15ull;
		rng |= 1;
		rnd(), rnd();
		memset(&t, 0, sizeof(t));
		if (native_level) {
			unsigned int k;

			for (k = 0; k < 8; k++)
				t.before.mmx[k] = rnd();
			for (k = 0; k < sizeof(t.before.vec); k += 8)
				*(u64 *)&t.before.vec[k / 64][k % 64] = rnd();
		}
		build_case(v, &t);
		run_native(&t);
		r = run_emulated(&t);
		cases_run++;
		if (!compare(v, &t, r)) {
			printf("#   case %lu of %s\n", i, name);
			show(v, &t);
			bad++;
			emu_reset(&emu);
		}
		memcpy(shadow + 2 * PAGE, window + 2 * PAGE, 2 * PAGE);
	}
	variants_run++;
	failures += !!bad;
	if (verbose)
		printf("%sok %lu - %s\n", bad ? "not " : "", variants_run, name);
	else if (bad)
		printf("# differs: %s\n", name);
}

static void run_form(const struct form *f, unsigned int mode,
		     unsigned long cases, u64 seed, long only)
{
	static const u8 sizes_v[3] = { 2, 4, 8 };
	struct variant v = { .form = f, .mode = mode };
	bool memory_possible = f->modrm != -1 && !f->register_only;
	bool register_possible = !f->memory_only;
	unsigned int i, m, l;

	if ((f->only64 && mode != 64) || (f->only32 && mode == 64) ||
	    !have_feature(f) || !have_level(f, processor_level()))
		return;
	for (i = 0; i < 3; i++) {
		v.op_size = sizes_v[i];
		if (mode != 64 && v.op_size == 8)
			continue;
		if (f->q && mode == 64 && v.op_size == 4)
			continue;
		if (f->y && v.op_size == 2)
			continue;
		if (!f->v && !f->y && !f->q) {
			if (i)
				break;
			v.op_size = 1;
		}
		for (m = 0; m < 2; m++)
			for (l = 0; l <= f->lockable; l++) {
				if (!(m ? memory_possible : register_possible))
					continue;
				v.memory = m;
				v.lock = l;
				run_variant(&v, cases, seed, only);
			}
	}
}

static bool set_up_segments(void)
{
	struct user_desc d = {
		.entry_number = 0, .base_addr = CODE, .limit = 0xffff,
		.contents = 2, .useable = 1,
	};

	if (syscall(SYS_modify_ldt, 1, &d, sizeof(d)))
		return false;
	d.entry_number = 1;
	d.base_addr = WINDOW;
	d.limit = 0x4fff;
	d.contents = 0;
	return !syscall(SYS_modify_ldt, 1, &d, sizeof(d));
}

static void set_up(void)
{
	static u8 stack[65536];
	stack_t alternate = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction action = {
		.sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
	unsigned int i;
	void *p;

	p = mmap(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (p != MAP_FAILED)
		p = mmap(window, PAGES * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1,
			 0);
	if (p == MAP_FAILED) {
		printf("Bail out! cannot map the test pages: %s\n",
		       strerror(errno));
		exit(1);
	}
	memset(code, 0xf4, PAGE);	/* HLT */
	memset(window, 0x5a, PAGES * PAGE);
	memcpy(shadow, window, sizeof(shadow));
	mprotect(window, PAGE, PROT_NONE);
	mprotect(window + PAGE, PAGE, PROT_READ);
	mprotect(window + 4 * PAGE, PAGE, PROT_NONE);
	sigaltstack(&alternate, NULL);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE);
	emu.ops = &world;
	have_ldt = set_up_segments();
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "cases", required_argument, NULL, 'c' },
		{ "seed", required_argument, NULL, 's' },
		{ "form", required_argument, NULL, 'f' },
		{ "mode", required_argument, NULL, 'm' },
		{ "case", required_argument, NULL, 'n' },
		{ "verbose", no_argument, NULL, 'v' },
		{ NULL, 0, NULL, 0 },
	};
	static const unsigned int modes[3] = { 64, 32, 16 };
	bool there[3], selectors_left_out = false;
	unsigned long cases = 200;
	const char *only_form = NULL;
	unsigned int only_mode = 0, i, m;
	long only_case = -1;
	u64 seed = 1;
	struct form f;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			cases = strtoul(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			only_form = optarg;
			break;
		case 'm':
			only_mode = atoi(optarg);
			break;
		case 'n':
			only_case = atol(optarg);
			break;
		case 'v':
			verbose = true;
			break;
		default:
			return 2;
		}
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	set_up();
	for (m = 0; m < 3; m++)
		there[m] = mode_is_there(modes[m]);
	for (m = 0; m < 3; m++) {
		if (only_mode && only_mode != modes[m])
			continue;
		if (!there[m]) {
			printf("# %u-bit forms left out: this kernel runs no such code\n",
			       modes[m]);
			continue;
		}
		for (i = 0; i < sizeof(form_lines) / sizeof(form_lines[0]); i++) {
			if (!parse_form(&form_lines[i], &f)) {
				printf("Bail out! bad form: %s\n",
				       form_lines[i].encoding);
				return 1;
			}
			if (f.selector && !(there[1] && there[2])) {
				selectors_left_out = true;
				continue;
			}
			if (only_form && strcmp(only_form, f.line->name))
				continue;
			run_form(&f, modes[m], cases, seed, only_case);
		}
	}
	if (selectors_left_out)
		printf("# forms that load selectors left out: without these modes the tables are others\n");
	printf("# %zu lines, %lu forms, %lu cases, %u accesses put off, %lu forms differ\n",
	       sizeof(form_lines) / sizeof(form_lines[0]), variants_run,
	       cases_run, agains, failures);
	if (!verbose)
		printf("%sok 1 - %lu instruction forms behave as on the processor\n1..1\n",
		       failures ? "not " : "", variants_run);
	return !!failures;
}
