// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * libFuzzer target for kvm-module/emulate.c: the input is the processor's mode
 * and registers, the instruction bytes, and then a stream that answers every
 * access: the data, or a fault, or EMU_AGAIN. ASan and UBSan watch the code;
 * the checks here watch the contract of emulate.h.
 */
#include <stdio.h>
#include <stdlib.h>

#include "segment.h"

#define check(condition) do {						\
	if (!(condition)) {						\
		fprintf(stderr, "contract broken: %s\n", #condition);	\
		abort();						\
	}								\
} while (0)

static const u8 *stream;
static size_t left;
static struct emu emu;
static unsigned int again_size;
static bool again_input, new_task;
volatile u8 written;		/* what is stored must be initialised */

static u8 next(void)
{
	if (!left)
		return 0;
	left--;
	return *stream++;
}

static void next_bytes(void *buf, size_t size)
{
	u8 *p = buf;

	while (size--)
		*p++ = next();
}

/* What becomes of an access: mostly it succeeds. */
static int outcome(struct emu *e, u64 linear, unsigned int size, bool input)
{
	u8 dice = next();

	if (dice < 0xe0)
		return EMU_OK;
	if (dice < 0xf0) {
		again_size = size;
		again_input = input;
		return EMU_AGAIN;
	}
	if (dice < 0xfc)
		return emu_page_fault(e, linear, dice & 7);
	return EMU_UNHANDLED;
}

static void check_size(const struct emu *e, u64 linear, unsigned int size)
{
	check(size >= 1);
	check(size <= 64 || size == 288 || size == 416 || (size <= EMU_PIO_MAX &&
			     (linear & 4095) + size <= 4096));
	check(e->mode == EMU_LONG || linear + size - 1 <= 0xffffffffull ||
	      linear > 0xffffffffull);
}

static int fuzz_fetch(struct emu *e, u64 linear, void *buf, unsigned int size)
{
	(void)e;
	check(size >= 1 && size <= EMU_INSN_MAX);
	check((linear & 4095) + size <= 4096);
	next_bytes(buf, size);
	return EMU_OK;
}

static int fuzz_read(struct emu *e, u64 linear, void *buf, unsigned int size,
		     unsigned int access)
{
	int r = outcome(e, linear, size, true);

	(void)access;
	check_size(e, linear, size);
	if (r == EMU_OK)
		next_bytes(buf, size);
	return r;
}

static int fuzz_write(struct emu *e, u64 linear, const void *buf,
		      unsigned int size, unsigned int access)
{
	unsigned int i;
	u8 sum = 0;

	(void)access;
	check_size(e, linear, size);
	for (i = 0; i < size; i++)
		sum ^= ((const u8 *)buf)[i];
	written = sum;
	return outcome(e, linear, size, false);
}

static int fuzz_cmpxchg(struct emu *e, u64 linear, const void *old,
			const void *new, unsigned int size)
{
	(void)old, (void)new;
	check(size == 1 || size == 2 || size == 4 || size == 8 || size == 16);
	return next() & 1 ? EMU_RETRY : outcome(e, linear, size, false);
}

static int fuzz_probe(struct emu *e, u64 linear, unsigned int size)
{
	check(size >= 1 && size <= EMU_PIO_MAX);
	return next() & 1 ? EMU_OK : emu_page_fault(e, linear, 6);
}

static int fuzz_pio(struct emu *e, u16 port, unsigned int size, void *buf,
		    unsigned int count, bool out)
{
	int r = outcome(e, port, size * count, !out);

	check(count >= 1 && size * count <= EMU_PIO_MAX);
	check(size == 1 || size == 2 || size == 4);
	if (r == EMU_OK && !out)
		next_bytes(buf, size * count);
	return r;
}

static void fuzz_get_seg(struct emu *e, unsigned int seg, struct kvm_segment *k)
{
	struct segment segment = { 0 }, *s = &segment;

	if (seg == SEG_GDTR || seg == SEG_IDTR) {
		*k = (struct kvm_segment){ 0 };
		next_bytes(&k->limit, 2);
		next_bytes(&k->base, e->mode == EMU_LONG ? 6 : 4);
		k->base >>= 2;
		return;
	}
	check(seg < EMU_NSEGS);
	next_bytes(&s->selector, 2);
	s->limit = next() & 1 ? 0xffffffff : 0xffff;
	s->attr = next() | (next() << 8 & 0x1f000);
	if (next() & 1)
		s->attr = seg == SEG_CS ? 0xc09b : 0xc093;
	next_bytes(&s->base, next() & 1 ? 8 : 0);
	if (e->mode != EMU_LONG)
		s->base = (u32)s->base;
	*k = to_kvm(s);
}

static void fuzz_set_seg(struct emu *e, unsigned int seg,
			 const struct kvm_segment *s)
{
	(void)e, (void)s;
	check(seg < EMU_NSEGS);
	new_task |= seg == SEG_TR;
}

static u64 fuzz_get_cr(struct emu *e, unsigned int cr)
{
	u64 v = 0;

	(void)e;
	check(cr == 0 || (cr >= 2 && cr <= 4) || cr == 8);
	next_bytes(&v, 3);
	return v;
}

static int fuzz_set_cr(struct emu *e, unsigned int cr, u64 value)
{
	(void)value;
	check(cr == 0 || (cr >= 2 && cr <= 4) || cr == 8);
	return next() & 1 ? EMU_OK : emu_fault(e, 13, 0);
}

static u64 fuzz_get_dr(struct emu *e, unsigned int dr)
{
	(void)e;
	check(dr <= 3 || dr == 6 || dr == 7);
	return next();
}

static int fuzz_set_dr(struct emu *e, unsigned int dr, u64 value)
{
	(void)value;
	check(dr <= 3 || dr == 6 || dr == 7);
	return next() & 1 ? EMU_OK : emu_fault(e, 13, 0);
}

static int fuzz_msr(struct emu *e, u32 index, u64 *value, bool write)
{
	(void)index;
	if (!write)
		next_bytes(value, 8);
	return next() & 7 ? EMU_OK : emu_fault(e, 13, 0);
}

static void fuzz_cpuid(struct emu *e, u32 leaf, u32 subleaf, struct kvm_cpuid_entry2 *answer)
{
	(void)e;
	(void)leaf;
	(void)subleaf;
	next_bytes(answer, sizeof(*answer));
}

static int fuzz_control(struct emu *e, enum emu_control what, u64 arg,
			void *arg2)
{
	(void)arg;
	if (what == EMU_CTL_XGETBV)
		*(u64 *)arg2 = next() & 1 ? 0xe7 : 7;
	return next() & 15 ? EMU_OK : emu_fault(e, 13, 0);
}

static int fuzz_fpu_get(struct emu *e, struct emu_fpu *fpu)
{
	memset(fpu, 0, sizeof(*fpu));
	next_bytes(fpu, 32);
	return next() & 15 ? EMU_OK : emu_fault(e, 16, 0);
}

static int fuzz_fpu_set(struct emu *e, const struct emu_fpu *fpu)
{
	unsigned int i;
	u8 sum = 0;

	for (i = 0; i < offsetof(struct emu_fpu, unused); i++)
		sum ^= ((const u8 *)fpu)[i];
	written = sum;
	return next() & 15 ? EMU_OK : emu_fault(e, 13, 0);
}

static int fuzz_access(struct emu *e, u64 linear, void *buf, unsigned int size,
		    unsigned int access)
{
	if (access & EMU_ACC_PROBE)
		return fuzz_probe(e, linear, size);
	if (access & EMU_ACC_FETCH)
		return fuzz_fetch(e, linear, buf, size);
	return access & EMU_ACC_WRITE ? fuzz_write(e, linear, buf, size, access) :
					fuzz_read(e, linear, buf, size, access);
}

static int fuzz_fpu(struct emu *e, struct emu_fpu *f, bool set)
{
	return set ? fuzz_fpu_set(e, f) : fuzz_fpu_get(e, f);
}

static const struct emu_ops fuzz_ops = {
	.access = fuzz_access,
	.fpu = fuzz_fpu,
	.exchange = fuzz_cmpxchg,
	.pio = fuzz_pio,
	.get_seg = fuzz_get_seg,
	.set_seg = fuzz_set_seg,
	.get_cr = fuzz_get_cr,
	.set_cr = fuzz_set_cr,
	.get_dr = fuzz_get_dr,
	.set_dr = fuzz_set_dr,
	.msr = fuzz_msr,
	.cpuid = fuzz_cpuid,
	.control = fuzz_control,
};

static void set_up(void)
{
	u8 shape = next();

	memset(&emu, 0, sizeof(emu));
	emu.ops = &fuzz_ops;
	emu.mode = shape % 5;
	emu.cpl = emu.mode == EMU_REAL ? 0 : emu.mode == EMU_VM86 ? 3 :
		  shape & 0x40 ? 3 : 0;
	emu.va_bits = shape & 0x80 ? 57 : 48;
	next_bytes(&emu.rflags, 3);
	if (emu.mode == EMU_VM86)
		emu.rflags |= 0x20000;
	if (shape & 0x20)
		next_bytes(emu.regs, sizeof(emu.regs));
	next_bytes(&emu.rip, 2);
}

static int run_any(u8 kind)
{
	if (kind < 0xf0)
		return emu_run(&emu);
	return emu_interrupt(&emu, kind * 3, kind & 1, kind);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const u8 zeroes[EMU_PIO_MAX];
	unsigned int turn;
	u64 regs[16];
	u8 kind;
	int r;

	stream = data;
	left = size;
	set_up();
	kind = next();
	for (turn = 0; turn < 64; turn++) {
		memcpy(regs, emu.regs, sizeof(regs));
		new_task = false;
		r = run_any(kind);
		check(r >= EMU_OK && r <= EMU_UNHANDLED);
		check(emu.nbytes <= EMU_INSN_MAX);
		check(emu.length <= EMU_INSN_MAX);
		check(emu.iterations <= EMU_REP_MAX);
		/* After a task switch the fault is the new task's. */
		if (r != EMU_OK && !emu.iterations && !new_task)
			check(!memcmp(regs, emu.regs, sizeof(regs)));
		if (r == EMU_FAULT)
			check(emu.fault.vector < 32);
		if (r != EMU_AGAIN)
			break;
		if (next() & 1)
			emu_supply(&emu, again_input ? zeroes : NULL,
				   again_input ? again_size : 0);
		else if (next() & 1)
			emu_reset(&emu);
	}
	return 0;
}
