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
 *              follow.
 *  execute()   loads the operands, calls the handler, which works on
 *              e->op[].val, and stores operand 0.
 *  emu_run()   wraps this in a transaction: registers are saved first and put
 *              back unless the instruction completes.
 *
 * Memory is reached in two steps: emu_linearize() applies the segment's checks,
 * emu_lin_access() goes through the log of finished accesses that makes an
 * instruction restartable after a trip to user space. What goes wrong is kept in
 * e->status; see emulate_priv.h.
 *
 * Manuals: Intel SDM vol. 1 chapter 3, vol. 2, vol. 3 chapters 5 to 8 and 22;
 * AMD APM vol. 3. Where the vendors differ, or a rule depends on state that is
 * not modelled (VME, CET), the instruction is EMU_UNHANDLED, not guessed.
 */
#include "emulate_priv.h"

/* ---- Faults -------------------------------------------------------------- */

void emu_stop(struct emu *e, int result)
{
	if (!stopped(e))
		e->status = result;
}

int emu_fault(struct emu *e, u8 vector, u32 error)
{
	bool has_error = vector >= X86_TRAP_TS && vector <= X86_TRAP_PF && e->mode != EMU_REAL;

	e->fault = (struct emu_exception){ .vector = vector, .has_error = has_error, .error = error };
	return EMU_FAULT;
}

int emu_page_fault(struct emu *e, u64 cr2, u32 error)
{
	emu_fault(e, X86_TRAP_PF, error);
	e->fault.cr2 = cr2;
	return EMU_FAULT;
}

void emu_raise(struct emu *e, u8 vector, u32 error)
{
	if (!stopped(e))
		e->status = emu_fault(e, vector, vector == X86_TRAP_DB ? error : error | e->external);
}

/* ---- Memory: segments, then the log, then the owner ---------------------- */

const struct kvm_segment *emu_segment(struct emu *e, unsigned int seg)
{
	if (!(e->seg_cached & (1u << seg))) {
		e->ops->get_seg(e, seg, &e->segs[seg]);
		e->seg_cached |= 1u << seg;
	}
	return &e->segs[seg];
}

void emu_set_segment(struct emu *e, unsigned int seg, struct kvm_segment s)
{
	if (stopped(e))
		return;
	e->segs[seg] = s;
	e->seg_cached |= 1u << seg;
	e->ops->set_seg(e, seg, &s);
}

bool emu_canonical(const struct emu *e, u64 address)
{
	return (u64)sign_extend64(address, e->va_bits - 1) == address;
}

/* SDM 3A 5.3: does the segment hold offset .. offset + size - 1? */
static bool within_limit(const struct kvm_segment *s, u64 offset, unsigned int size)
{
	u64 last = offset + size - 1;

	if (s->s && (s->type & (SEG_CODE | SEG_DOWN)) == SEG_DOWN)
		return offset > s->limit && last <= (s->db ? 0xffffffffu : 0xffffu);
	return last <= s->limit;
}

/* The linear address of an access; a bad one is #SS in the stack, else #GP. */
u64 emu_linearize(struct emu *e, unsigned int seg, u64 offset, unsigned int size, bool write)
{
	const struct kvm_segment *s;
	u32 type;
	u64 linear = offset;
	bool good;

	if (e->mode == EMU_LONG) {
		if (seg == SEG_FS || seg == SEG_GS)
			linear += emu_segment(e, seg)->base;
		good = emu_canonical(e, linear) && emu_canonical(e, linear + size - 1);
	} else {
		s = emu_segment(e, seg);
		linear = (u32)(s->base + offset);
		good = within_limit(s, offset, size);
		type = s->type & (SEG_CODE | SEG_WRITE);
		if (!real_or_vm86(e))
			good = good && !s->unusable && s->present &&
			       (write ? type == SEG_WRITE : type != SEG_CODE);
	}
	raise_if(e, !good, seg == SEG_SS ? X86_TRAP_SS : X86_TRAP_GP, 0);
	gp_if(e, e->flags & ALIGN && linear & (size - 1));
	return linear;
}

static bool log_room(const struct emu *e, unsigned int size)
{
	return size <= EMU_LOG_SIZE - e->log_len;
}

static void log_append(struct emu *e, const void *buf, unsigned int size)
{
	if (size)
		memcpy(e->log + e->log_len, buf, size);
	e->log_len += size;
	e->accesses++;
}

/*
 * Is the next access in the log? Then what it read is in @buf; size is 0 for a
 * write. Stopped counts as yes.
 */
static bool replayed(struct emu *e, void *buf, unsigned int size)
{
	bool replay = e->access < e->accesses;

	unknown_if(e, replay ? e->log_pos + size > e->log_len : !log_room(e, size));
	if (stopped(e))
		return true;
	if (!replay)
		return false;
	memcpy(buf, e->log + e->log_pos, size);
	e->log_pos += size;
	e->access++;
	return true;
}

/* Logs what the owner answered, or notes that it will do so later. */
static void accessed(struct emu *e, int r, const void *buf, unsigned int size)
{
	if (r == EMU_OK) {
		log_append(e, buf, size);
		e->log_pos = e->log_len;
		e->access = e->accesses;
	}
	e->pending = r == EMU_AGAIN;
	emu_stop(e, r);
}

/*
 * Of memory by linear address. What a LOCKed destination is to become is written in
 * place of lock_old only.
 */
void emu_lin_access(struct emu *e, u64 linear, void *buf, unsigned int size, unsigned int access)
{
	unsigned int input = access & EMU_ACC_WRITE ? 0 : size;

	memset(buf, 0, input);
	/* Outside of 64-bit mode an access across 4 GiB wraps around: not known. */
	unknown_if(e, e->mode != EMU_LONG && !(linear >> 32) && (linear + size - 1) >> 32);
	if (replayed(e, buf, input))
		return;
	if (access & EMU_ACC_LAST && e->lock)
		accessed(e, e->ops->exchange(e, linear, e->lock_old, buf, size), buf, input);
	else
		accessed(e, e->ops->access(e, linear, buf, size, access), buf, input);
}

/* Of ports */
void emu_port_io(struct emu *e, u16 port, unsigned int size, void *buf, unsigned int count, bool out)
{
	unsigned int input = out ? 0 : size * count;

	if (!replayed(e, buf, input))
		accessed(e, e->ops->pio(e, port, size, buf, count, out), buf, input);
}

/* Of memory by segment and offset */
void emu_access(struct emu *e, unsigned int seg, u64 offset, void *buf, unsigned int size,
		unsigned int access)
{
	bool write = access & (EMU_ACC_WRITE | EMU_ACC_RMW);

	emu_lin_access(e, emu_linearize(e, seg, offset, size, write), buf, size, access);
}

u64 emu_load(struct emu *e, unsigned int seg, u64 offset, unsigned int size)
{
	u64 value = 0;

	emu_access(e, seg, offset, &value, size, 0);
	return value;
}

u64 emu_system_load(struct emu *e, u64 linear, unsigned int size)
{
	u64 value = 0;

	emu_lin_access(e, linear, &value, size, EMU_ACC_SYSTEM);
	return value;
}

/* Of the memory operand, @at bytes further. */
u64 emu_operand(struct emu *e, unsigned int at, unsigned int size)
{
	return emu_load(e, e->seg, (e->ea + at) & size_mask(e->addr_size), size);
}

u64 emu_rdmsr(struct emu *e, u32 index)
{
	u64 value = 0;

	emu_call(e, msr, index, &value, false);
	return value;
}

/* ---- Registers, the stack, the instruction pointer ----------------------- */

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

void emu_set_gpr(struct emu *e, unsigned int reg, unsigned int size, u64 value)
{
	if (high_byte(e, reg, size))
		e->regs[reg & 3] = (e->regs[reg & 3] & ~0xff00ull) | (value & 0xff) << 8;
	else
		merge(&e->regs[reg & 15], value, size);
}

/* A double-width value in AX, DX:AX, EDX:EAX or RDX:RAX. */
void emu_set_wide(struct emu *e, u64 high, u64 low, unsigned int size)
{
	if (size == 1)
		return merge(&e->regs[EMU_RAX], (high & 0xff) << 8 | (low & 0xff), 2);
	merge(&e->regs[EMU_RAX], low, size);
	merge(&e->regs[EMU_RDX], high, size);
}

unsigned int emu_stack_size(struct emu *e)
{
	if (e->mode == EMU_LONG)
		return 8;
	return e->mode != EMU_VM86 && emu_segment(e, SEG_SS)->db ? 4 : 2;
}

/* A stack pointer of a 16-bit stack keeps its upper bits. */
void emu_move_stack(struct emu *e, u64 sp)
{
	merge(&e->regs[EMU_RSP], sp, emu_stack_size(e));
}

void emu_push(struct emu *e, u64 value, unsigned int size)
{
	u64 sp = (e->regs[EMU_RSP] - size) & size_mask(emu_stack_size(e));

	emu_access(e, SEG_SS, sp, &value, size, EMU_ACC_WRITE);
	emu_move_stack(e, sp);
}

u64 emu_pop(struct emu *e, unsigned int size)
{
	u64 sp = e->regs[EMU_RSP] & size_mask(emu_stack_size(e));
	u64 value = emu_load(e, SEG_SS, sp, size);

	emu_move_stack(e, sp + size);
	return value;
}

/* Flags that POPF and IRET may change at this privilege. */
u64 emu_flags_writable(const struct emu *e, unsigned int size)
{
	u64 mask = FL_STATUS | X86_EFLAGS_TF | X86_EFLAGS_DF | X86_EFLAGS_NT | X86_EFLAGS_RF |
		   X86_EFLAGS_AC | X86_EFLAGS_ID;

	if (e->cpl == 0)
		mask |= X86_EFLAGS_IOPL;
	if (e->mode == EMU_REAL || e->cpl <= iopl(e))
		mask |= X86_EFLAGS_IF;
	return mask & size_mask(size);
}

/* ---- The decoder --------------------------------------------------------- */

/* Fetches more of the instruction: up to the end of the page at a time. */
static void fetch_more(struct emu *e)
{
	u64 offset = e->rip + e->nbytes, linear = offset, n = EMU_INSN_MAX - e->nbytes;
	const struct kvm_segment *cs;
	int r;

	gp_if(e, !n);	/* SDM 2A 2.3.11: too long */
	if (e->mode == EMU_LONG) {
		gp_if(e, !emu_canonical(e, offset));
	} else {
		cs = emu_segment(e, SEG_CS);
		offset = (u32)offset;
		gp_if(e, offset > cs->limit);
		n = min(n, cs->limit - offset + 1);
		linear = (u32)(cs->base + offset);
	}
	if (stopped(e))
		return;
	n = min(n, 4096 - (linear & 4095));
	r = e->ops->access(e, linear, e->bytes + e->nbytes, n, EMU_ACC_FETCH);
	if (r == EMU_OK)
		e->nbytes += n;
	emu_stop(e, r == EMU_AGAIN ? EMU_UNHANDLED : r);	/* code in a device */
}

/* The next @size bytes of the instruction, little-endian. */
static u64 fetch(struct emu *e, unsigned int size)
{
	u64 value = 0;

	while (e->nbytes - e->length < (int)size) {
		if (stopped(e))
			return 0;
		fetch_more(e);
	}
	if (size == 1)
		return e->bytes[e->length++];
	memcpy(&value, e->bytes + e->length, size);
	e->length += size;
	return value;
}

/* All prefixes and the first byte of the opcode. */
static void decode_prefixes(struct emu *e)
{
	bool long_mode = e->mode == EMU_LONG;

	while (!stopped(e)) {
		u8 byte = fetch(e, 1);

		e->opcode = byte;
		if (long_mode && (byte & 0xf0) == 0x40) {
			e->rex = byte;
			continue;
		} else if ((byte & 0xe7) == 0x26) {
			/* ES, CS, SS, DS: without effect in 64-bit mode */
			e->seg = long_mode ? e->seg : byte >> 3 & 3;
		} else if ((byte & 0xfe) == 0x64) {
			e->seg = byte & 7;
		} else if (byte == 0x66) {
			e->opsize_prefix = true;
		} else if (byte == 0x67) {
			e->addr_size = e->mode == EMU_PROT32 ? 2 : 4;
		} else if (byte == 0xf0) {
			e->lock = true;
		} else if ((byte & 0xfe) == 0xf2) {
			e->rep = byte;
		} else {
			return;
		}
		e->rex = 0;		/* REX counts only as the last prefix */
	}
}

/* After C5 or C4; R, X, B and vvvv are inverted in these bytes. */
static void decode_vex(struct emu *e, u8 first)
{
	static const u8 prefix[4] = { 0, 0x66, 0xf3, 0xf2 };
	bool long_mode = e->mode == EMU_LONG;
	u8 last = first;

	ud_if(e, e->lock || e->rep || e->opsize_prefix || e->rex);
	e->vex = true;
	e->map = 2;
	e->rex = ~first >> 5 & 4;
	if (e->opcode == 0xc4) {
		e->map = (first & 0x1f) + 1;
		ud_if(e, e->map == 1);	/* no prefix for what has one byte */
		last = fetch(e, 1);
		e->rex = (~first >> 5 & 7) | (last >> 4 & 8);
	}
	e->rex = 0x40 | (long_mode ? e->rex : 0);
	e->vex_reg = ~last >> 3 & (long_mode ? 15 : 7);
	e->vex_pp = prefix[last & 3];
	e->vex_len = last & 4 ? 32 : 16;
	e->opcode = fetch(e, 1);
}

/* Finds the opcode after the prefixes, through VEX or the escape bytes. */
static void decode_opcode(struct emu *e)
{
	u8 opcode = e->opcode, next;
	bool extended;

	e->map = 1;
	if (opcode == 0xc4 || opcode == 0xc5 || opcode == 0x62 || opcode == 0x8f) {
		/* VEX, EVEX, XOP; or LES, LDS, BOUND, POP */
		next = fetch(e, 1);
		extended = opcode == 0x8f ? (next & 0x1f) >= 8 :
			   e->mode == EMU_LONG || (!real_or_vm86(e) && next >= 0xc0);
		unknown_if(e, extended && opcode < 0xc0);
		if (extended)
			return decode_vex(e, next);
		e->length -= !stopped(e);
	}
	if (opcode != 0x0f)
		return;
	e->map = 2;
	e->opcode = fetch(e, 1);
	if (e->opcode == 0x38 || e->opcode == 0x3a) {
		e->map = e->opcode == 0x38 ? 3 : 4;
		e->opcode = fetch(e, 1);
	}
	e->vex_pp = e->rep ? e->rep : e->opsize_prefix ? 0x66 : 0;
}

static unsigned int operand_size(const struct emu *e, char code)
{
	unsigned int v = e->op_size, z = v == 8 ? 4 : v;

	switch (code) {
	case 'b':	return 1;
	case 'w':	return 2;
	case 'd':	return 4;
	case 'q':	return 8;
	case 'v':	return v;
	case 'z':	return z;
	case 'h':	return v / 2;
	case 'x':	return e->vex_len;
	case 'u':
		return e->opcode & 1 ? v : 1;
	case 'j':
		return e->opcode & 1 ? z : 1;
	case 'm':
		return e->modrm < 0xc0 ? 2 : v;
	case 'y':
		return e->rex & 8 ? 8 : 4;
	case 'n':
		return e->mode == EMU_LONG ? 8 : 4;
	default:	return e->vex_pp == 0xf3 ? 4 : e->vex_pp == 0xf2 ? 8 : e->vex_len; /* s */
	}
}

/* What a letter means: the operand's place when decoded, and which register. */
static const struct place {
	char loc;
	enum { RM = 1, REG, RM7, REG7, VVVV, OPCODE, SEGMENT, FIXED } number;
} places[128] = {
	['E'] = { 'G', RM }, ['R'] = { 'G', RM }, ['G'] = { 'G', REG },
	['W'] = { 'V', RM }, ['V'] = { 'V', REG }, ['Q'] = { 'P', RM7 }, ['P'] = { 'P', REG7 },
	['S'] = { 'S', REG7 }, ['C'] = { 'C', REG }, ['D'] = { 'D', REG }, ['M'] = { '!', RM },
	['B'] = { 'G', VVVV }, ['Z'] = { 'G', OPCODE }, ['s'] = { 'S', SEGMENT },
	['a'] = { 'G', FIXED + EMU_RAX }, ['c'] = { 'G', FIXED + EMU_RCX },
	['d'] = { 'G', FIXED + EMU_RDX }, ['0'] = { 'C', FIXED },
	['X'] = { 'X', FIXED + EMU_RSI }, ['Y'] = { 'Y', FIXED + EMU_RDI },
	['l'] = { 'L', FIXED + SEG_LDTR }, ['t'] = { 'L', FIXED + SEG_TR },
};

static bool needs_modrm(const struct row *row)
{
	for (const char *letter = row->operands; *letter; letter += 2)
		if (places[*letter & 127].number && places[*letter & 127].number <= REG7)
			return true;
	return false;
}

/*
 * The address in ModRM and what follows it (SDM 2A tables 2-1 to 2-3), but for the
 * next instruction's, to which some of 64-bit mode are relative.
 */
static void decode_address(struct emu *e)
{
	static const u8 bases16[8] = { EMU_RBX, EMU_RBX, EMU_RBP, EMU_RBP,
				       EMU_RSI, EMU_RDI, EMU_RBP, EMU_RBX };
	unsigned int mod = e->modrm >> 6, rm = e->modrm & 7, base, index = 4;
	unsigned int size = e->addr_size == 2 ? 2 : 4, displacement = mod == 2 ? size : mod;

	if (size == 2) {
		base = bases16[rm];
		index = rm >= 4 ? 4 : rm & 1 ? EMU_RDI : EMU_RSI;
	} else {
		if (rm == 4) {
			e->sib = fetch(e, 1);
			rm = e->sib & 7;
			index = (e->sib >> 3 & 7) | (e->rex & 2) << 2;
		}
		base = rm | (e->rex & 1) << 3;
	}
	if (index != 4)
		e->ea = e->regs[index] << (e->sib >> 6);
	if (mod == 0 && rm == (size == 2 ? 6 : 5)) {
		displacement = size;
	} else {
		e->ea += e->regs[base];
		if (e->seg == EMU_NSEGS && (base == EMU_RSP || base == EMU_RBP))
			e->seg = SEG_SS;
	}
	if (displacement)
		e->ea += sign_extend(fetch(e, displacement), displacement);
}

static unsigned int operand_register(const struct emu *e, unsigned int number)
{
	unsigned int b = (e->rex & 1) << 3;

	switch (number) {
	case RM:	return (e->modrm & 7) | b;
	case REG:	return modrm_reg(e) | (e->rex & 4) << 1;
	case RM7:	return e->modrm & 7;
	case REG7:	return modrm_reg(e);
	case VVVV:	return e->vex_reg;
	case OPCODE:	return (e->opcode & 7) | b;
	case SEGMENT:	return e->opcode >> 3 & 7;
	case 0:		return 0; /* no register */
	default:	return number - FIXED;
	}
}

/* The constant parts of an operand: registers, immediates, addresses. */
static void decode_operand(struct emu *e, struct emu_operand *o, char letter, char size)
{
	const struct place *place = &places[letter & 127];
	unsigned int n;

	o->loc = place->loc ? place->loc : letter;
	o->size = operand_size(e, size);
	o->reg = operand_register(e, place->number);
	switch (letter) {
	case 'E': case 'W': case 'Q': case 'M':
		if (e->modrm < 0xc0)
			o->loc = MEMORY;
		break;
	case 'O':
		o->loc = MEMORY;
		e->ea = fetch(e, e->addr_size);
		break;
	case '@':
		o->loc = MEMORY;
		e->ea = e->regs[EMU_RBX] + (e->regs[EMU_RAX] & 0xff);
		break;
	case '1':
		o->val = 1;
		break;
	case 'A':
		o->val = fetch(e, o->size);
		e->op[1].val = fetch(e, 2);
		break;
	case 'I': case 'i': case 'J':
		n = letter == 'i' ? 1 : o->size;
		if (letter == 'J' || size == 'z' || (size == 'j' && e->opcode & 1))
			o->size = e->op_size;
		o->val = sign_extend(fetch(e, n), n) & size_mask(o->size);
		break;
	}
}

static void decode_op_size(struct emu *e)
{
	bool wide = e->mode == EMU_LONG || e->mode == EMU_PROT32;
	u32 widest = e->opsize_prefix ? F64 : F64 | D64;

	e->op_size = wide != e->opsize_prefix ? 4 : 2;
	if (e->mode == EMU_LONG && (e->rex & 8 || e->flags & widest))
		e->op_size = 8;
}

/* ModRM, and the row that it selects. Returns the operands. */
static const char *decode_modrm(struct emu *e, const struct row *row)
{
	const struct row *member;

	if (needs_modrm(row))
		e->modrm = fetch(e, 1);
	member = emu_modrm_row(e, row);
	if (!member)
		return NULL;
	e->flags = row->flags | member->flags;
	e->run = member->run;
	e->what = member->what;
	if (member->operands[0])
		row = member;
	if (row->operands[0] == 'R' || row->operands[2] == 'R')
		e->modrm |= 0xc0;
	return row->operands;
}

static void decode(struct emu *e)
{
	const char *operands = NULL;
	const struct row *row;

	decode_prefixes(e);
	decode_opcode(e);
	row = emu_find_row(e);
	if (row)
		operands = decode_modrm(e, row);
	unknown_if(e, !e->run);
	if (stopped(e))
		return;
	ud_if(e, e->vex_reg && !strchr(operands, 'B'));
	decode_op_size(e);
	if (e->modrm < 0xc0)
		decode_address(e);
	for (unsigned int i = 0; i < 3 && operands[i * 2]; i++)
		decode_operand(e, &e->op[i], operands[i * 2], operands[i * 2 + 1]);
	if (e->seg == EMU_NSEGS)	/* no override */
		e->seg = SEG_DS;
	e->next_rip = e->rip + e->length;
	if (e->mode != EMU_LONG)
		e->next_rip = (u32)e->next_rip;
	else if ((e->modrm & 0xc7) == 5)
		e->ea += e->next_rip;
	e->ea &= size_mask(e->addr_size);
}

/* ---- Execution ----------------------------------------------------------- */

/* String operands are where their register says. */
static u64 operand_linear(struct emu *e, const struct emu_operand *o, bool write)
{
	u64 at = o->loc == MEMORY ? e->ea : e->regs[o->reg] & size_mask(e->addr_size);

	return emu_linearize(e, o->loc == 'Y' ? SEG_ES : e->seg, at, o->size, write);
}

/* DR4 and DR5 are DR6 and DR7 unless CR4.DE. */
static unsigned int debug_register(struct emu *e, unsigned int dr)
{
	bool alias = dr == 4 || dr == 5;

	ud_if(e, alias && cr(e, 4) & X86_CR4_DE);
	raise_if(e, e->ops->get_dr(e, 7) & DR7_GD, X86_TRAP_DB, DR6_BD);
	return alias ? dr + 2 : dr;
}

static u64 operand_read(struct emu *e, struct emu_operand *o, unsigned int access)
{
	u64 at, value = 0;

	switch (o->loc) {
	case 'G':	return emu_gpr(e, o->reg, o->size);
	case 'C':	return cr(e, o->reg);
	case 'D':	return e->ops->get_dr(e, debug_register(e, o->reg));
	case 'F':	return e->rflags & ~X86_EFLAGS_VM;
	case 'e':	return e->regs[EMU_RDX] << 32 | (u32)e->regs[EMU_RAX];
	case 'm':	return emu_rdmsr(e, e->regs[EMU_RCX]);
	case 'S': case 'L':
		return emu_segment(e, o->reg)->selector;
	case 'x':
		ud_if(e, !(cr(e, 4) & X86_CR4_OSXSAVE));
		emu_call(e, control, EMU_CTL_XGETBV, (u32)e->regs[EMU_RCX], &value);
		return value;
	case MEMORY: case 'X': case 'Y':
		emu_lin_access(e, operand_linear(e, o, access), &value, o->size, access);
		return value;
	case '+':
		at = e->regs[EMU_RSP] & size_mask(emu_stack_size(e));
		/* A segment register takes two bytes, however many are popped. */
		value = emu_load(e, SEG_SS, at, e->op[0].loc == 'S' ? 2 : o->size);
		emu_move_stack(e, at + o->size);
		/* The address to pop to, if based on RSP, is computed after RSP has moved. */
		if (e->op[0].loc == MEMORY && (e->sib & 7) == EMU_RSP && !(e->rex & 1))
			e->ea = (e->ea + o->size) & size_mask(e->addr_size);
		return value;
	default:	return o->val; /* a constant */
	}
}

static void operand_write(struct emu *e, struct emu_operand *o)
{
	switch (o->loc) {
	case 'G':	return emu_set_gpr(e, o->reg, o->size, o->val);
	case 'C':	return emu_call(e, set_cr, o->reg, o->val);
	case 'D':
		o->reg = debug_register(e, o->reg);
		return emu_call(e, set_dr, o->reg, o->val);
	case 'm':	return emu_call(e, msr, e->regs[EMU_RCX], &o->val, true);
	case 'e':	return emu_set_wide(e, o->val >> 32, o->val, 4);
	case '-':	return emu_push(e, o->val, o->size);
	case 'S': case 'L':
		if (o->reg == SEG_SS)
			e->shadow = KVM_X86_SHADOW_INT_MOV_SS;
		return emu_load_segment(e, o->reg, o->val);
	case 'F':
		return flags_change(e, emu_flags_writable(e, o->size), o->val & ~X86_EFLAGS_RF);
	case 'x':
		ud_if(e, !(cr(e, 4) & X86_CR4_OSXSAVE));
		gp_if(e, e->cpl);
		return emu_call(e, control, EMU_CTL_XSETBV, (u32)e->regs[EMU_RCX], &o->val);
	case MEMORY: case 'Y':
		return emu_lin_access(e, operand_linear(e, o, true), &o->val, o->size,
				      EMU_ACC_WRITE | EMU_ACC_LAST);
	}
}

void emu_string_advance(struct emu *e, unsigned int reg, unsigned int bytes)
{
	u64 step = e->rflags & X86_EFLAGS_DF ? -(u64)bytes : bytes;

	merge(&e->regs[reg], e->regs[reg] + step, e->addr_size);
}

/* A bit offset in a register reaches memory on either side of the operand. */
static void move_to_bit(struct emu *e)
{
	u64 size = e->op[0].size, offset = sign_extend(e->op[1].val, size) >> 3;

	e->ea = (e->ea + (offset & -size)) & size_mask(e->addr_size);
}

/* Does the register that ModRM.reg names exist? CS cannot be written. */
static bool operand_exists(const struct emu_operand *o, bool write)
{
	u32 which = o->loc == 'S' ? (write ? 0x3d : 0x3f) : o->loc == 'C' ? 0x11d :
		    o->loc == 'D' ? 0xff : ~0u;

	return o->loc != '!' && which >> o->reg & 1;
}

/* #UD and #GP that depend on encoding, mode and privilege alone. */
static void check_allowed(struct emu *e)
{
	u32 flags = e->flags;

	ud_if(e, e->lock && (!(flags & LOCK) || e->op[0].loc != MEMORY));
	ud_if(e, flags & I64 && e->mode == EMU_LONG);
	ud_if(e, flags & PROT && real_or_vm86(e));
	ud_if(e, e->vex_len == 32 && !(flags & ANYLEN));
	ud_if(e, !operand_exists(&e->op[0], true) || !operand_exists(&e->op[1], false));
	gp_if(e, flags & PRIV && e->cpl);
	gp_if(e, flags & UMIP && e->cpl && cr(e, 4) & X86_CR4_UMIP);
	if (flags & IOPL && e->mode == EMU_VM86 && iopl(e) < 3) {
		/* With CR4.VME there is more to it, which is not known here. */
		unknown_if(e, cr(e, 4) & X86_CR4_VME);
		emu_raise(e, X86_TRAP_GP, 0);
	}
}

static void execute(struct emu *e)
{
	u64 flags = e->rflags;

	for (unsigned int i = 1; i < 3 && e->op[i].loc && !(e->flags & NOLOAD); i++)
		e->op[i].val = operand_read(e, &e->op[i], 0);
	if (e->flags & BITS && e->op[0].loc == MEMORY)
		move_to_bit(e);
	if (!(e->flags & NOREAD)) {
		e->op[0].val = operand_read(e, &e->op[0], e->flags & NOWRITE ? 0 : EMU_ACC_RMW);
		e->lock_old[0] = e->op[0].val;
	}
	if (!stopped(e))
		e->run(e);
	if (e->flags & KEEP)
		e->rflags = flags;
	if (!(e->flags & NOWRITE))
		operand_write(e, &e->op[0]);
	for (unsigned int i = 0; e->flags & STRING && i < 2; i++)
		if (e->op[i].loc == 'X' || e->op[i].loc == 'Y')
			emu_string_advance(e, e->op[i].reg, e->op[i].size);
}

static void log_clear(struct emu *e)
{
	e->accesses = 0;
	e->access = 0;
	e->log_len = 0;
	e->log_pos = 0;
	e->pending = false;
}

/* What the registers are put back to. */
void emu_checkpoint(struct emu *e)
{
	memcpy(e->old, (u8 *)e + offsetof(struct emu, regs), sizeof(e->old));
}

/*
 * String instructions: each iteration is complete by itself. After EMU_REP_MAX
 * of them the guest goes on at the same rip, so that interrupts get a chance.
 */
static void execute_string(struct emu *e)
{
	u64 mask = size_mask(e->addr_size), count;

	while (e->regs[EMU_RCX] & mask && !stopped(e)) {
		execute(e);
		if (stopped(e))
			return;
		/* A batch of INS or OUTS has already counted its others. */
		count = (e->regs[EMU_RCX] - 1) & mask;
		merge(&e->regs[EMU_RCX], count, e->addr_size);
		if (!count || (e->flags & REPCC && e->rep == (e->rflags & FL_ZF ? 0xf2 : 0xf3)))
			break;
		emu_checkpoint(e);
		log_clear(e);
		if (e->brief || ++e->iterations >= EMU_REP_MAX || e->rflags & X86_EFLAGS_TF)
			return;
	}
	e->rflags &= ~X86_EFLAGS_RF;
	e->rip = e->next_rip;
}

#define DECODED_AT	offsetof(struct emu, length)
#define DECODED_BYTES	(offsetof(struct emu, next_rip) + sizeof(u64) - DECODED_AT)

/* Begins an instruction, or goes on with one that was put off. */
static void begin(struct emu *e)
{
	emu_checkpoint(e);
	if (!e->keep_bytes)
		e->nbytes = 0;
	e->keep_bytes = false;
	memset((u8 *)e + DECODED_AT, 0, DECODED_BYTES);
	e->modrm = 0xc0;
	e->vex_len = 16;
	e->seg = EMU_NSEGS;
	e->addr_size = e->mode == EMU_LONG ? 8 : e->mode == EMU_PROT32 ? 4 : 2;
}

/* Ends it: whatever is not complete is undone. */
static int end(struct emu *e)
{
	int r = e->status;

	if (r == EMU_AGAIN && !e->pending)
		r = EMU_UNHANDLED;	/* from an op that cannot be put off */
	if (r != EMU_OK) {
		memcpy((u8 *)e + offsetof(struct emu, regs), e->old, sizeof(e->old));
		e->shadow = 0;
	}
	e->keep_bytes = r == EMU_AGAIN;
	if (r != EMU_AGAIN)
		log_clear(e);
	return r;
}

/* Decoding is done once, however often the instruction is put off. */
static void begin_decoded(struct emu *e)
{
	bool again = e->keep_bytes;

	_Static_assert(sizeof(e->decoded) >= DECODED_BYTES, "struct emu: decoded is too small");
	begin(e);
	if (again) {
		memcpy((u8 *)e + DECODED_AT, e->decoded, DECODED_BYTES);
		e->seg_cached = 0;
	} else {
		decode(e);
		memcpy(e->decoded, (u8 *)e + DECODED_AT, DECODED_BYTES);
	}
}

int emu_decode(struct emu *e)
{
	begin_decoded(e);
	e->keep_bytes = !stopped(e);
	return e->status;
}

static int run_once(struct emu *e)
{
	begin_decoded(e);
	check_allowed(e);
	if (e->flags & STRING && e->rep) {
		execute_string(e);
	} else if (!stopped(e)) {
		e->rflags &= ~X86_EFLAGS_RF;	/* unless IRET or a new task sets it */
		execute(e);
		e->rip = e->next_rip;
	}
	return end(e);
}

/* A LOCKed access that lost its race is tried again, but not forever. */
int emu_run(struct emu *e)
{
	int r = EMU_RETRY;

	for (unsigned int tries = 8; r == EMU_RETRY && tries; tries--)
		r = run_once(e);
	return r == EMU_RETRY ? EMU_OK : r;
}

int emu_interrupt(struct emu *e, u8 vector, bool has_error, u32 error)
{
	begin(e);
	e->external = 1;
	emu_deliver(e, vector, false, has_error, error, e->rip);
	e->rip = e->next_rip;
	return end(e);
}

void emu_supply(struct emu *e, const void *data, unsigned int size)
{
	if (e->pending && log_room(e, size))
		log_append(e, data, size);
	e->pending = false;
}

void emu_reset(struct emu *e)
{
	log_clear(e);
	e->keep_bytes = false;
}
