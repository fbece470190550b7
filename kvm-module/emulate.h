/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * emulate.h - the x86 instruction decoder and emulator of kvm-live.
 *
 * The emulator is pure: it knows a guest only through struct emu_ops, so the
 * module and a user-space test program compile the same files.
 *
 * Keep one struct emu per vCPU, zeroed once, with ops set; all ops are mandatory.
 * Before each call fill regs, rip, rflags, mode, cpl and va_bits. Results:
 *
 *   EMU_OK         one instruction is done, or EMU_REP_MAX iterations of a string
 *                  instruction (then rip is unchanged, as after a LOCKed access
 *                  that lost a race). Copy regs, rip and rflags back; shadow says
 *                  whether interrupts are blocked for one instruction.
 *   EMU_FAULT      copy the same back (they differ when iterations are done, or a
 *                  task switch got as far as the new task); inject fault.
 *   EMU_AGAIN      an access needs user space. Copy the same back. When user space
 *                  has answered, call emu_supply() and the same function again
 *                  with the same registers. If the vCPU's state was changed
 *                  meanwhile, or the exit is abandoned, call emu_reset() instead.
 *   EMU_UNHANDLED  not known: bytes[0 .. nbytes) hold what was fetched; report
 *                  KVM_EXIT_INTERNAL_ERROR, registers are unchanged.
 *
 * Exactly-once rule: after EMU_AGAIN an instruction is executed afresh, but every
 * access that has succeeded is answered from a log inside struct emu instead of
 * being made again, the fetched bytes included. So neither devices nor racing
 * vCPUs see an access twice, and what was checked is what is used.
 *
 * An ops function returns EMU_OK, EMU_UNHANDLED, EMU_FAULT after emu_fault() or
 * emu_page_fault(); access, exchange and pio also EMU_AGAIN.
 */
#ifndef KVM_LIVE_EMULATE_H
#define KVM_LIVE_EMULATE_H

#include <linux/string.h>
#include <linux/types.h>
#include <asm/kvm.h>	/* segments as the ABI has them */

#define FL_DEFINED	0x003f7fd5ull	/* the bits of RFLAGS that can be set */

/*
 * A segment's attributes, as VMX and the state save area of SMM have them: bits 8
 * to 23 of its descriptor's second half, where four in the middle mean nothing.
 */
static inline struct kvm_segment unpack_segment(u16 selector, u16 attributes, u32 limit, u64 base)
{
	return (struct kvm_segment){
		.selector = selector, .limit = limit, .base = base,
		.type = attributes & 15,
		.s = attributes >> 4 & 1,
		.dpl = attributes >> 5 & 3,
		.present = attributes >> 7 & 1,
		.avl = attributes >> 12 & 1,
		.l = attributes >> 13 & 1,
		.db = attributes >> 14 & 1,
		.g = attributes >> 15,
	};
}

static inline u16 pack_attributes(const struct kvm_segment *s)
{
	return s->type | s->s << 4 | s->dpl << 5 | !!s->present << 7 |
	       s->avl << 12 | s->l << 13 | s->db << 14 | s->g << 15;
}

struct emu;

enum emu_result {
	EMU_OK, EMU_FAULT, EMU_AGAIN, EMU_UNHANDLED,
	EMU_RETRY,		/* from ops->exchange only: the value had changed */
};

enum emu_mode {
	EMU_REAL,		/* CR0.PE = 0 */
	EMU_VM86,		/* RFLAGS.VM = 1 */
	EMU_PROT16,		/* CS.D = 0, also 16-bit compatibility mode */
	EMU_PROT32,		/* CS.D = 1, also 32-bit compatibility mode */
	EMU_LONG,		/* EFER.LMA = 1 and CS.L = 1 */
};

/* General registers in the order of their encoding. */
enum emu_reg {
	EMU_RAX, EMU_RCX, EMU_RDX, EMU_RBX, EMU_RSP, EMU_RBP, EMU_RSI, EMU_RDI,
	EMU_R8, EMU_R9, EMU_R10, EMU_R11, EMU_R12, EMU_R13, EMU_R14, EMU_R15,
};

/* Numbered as in an instruction's sreg field; then the system segments. */
enum kvm_seg {
	SEG_ES, SEG_CS, SEG_SS, SEG_DS, SEG_FS, SEG_GS, SEG_LDTR, SEG_TR, NR_SEGS,
	SEG_GDTR = NR_SEGS, SEG_IDTR,	/* with a base and a limit only */
	EMU_NSEGS,
};

/* Access kinds, or'ed together; 0 is a plain data read at e->cpl. */
#define EMU_ACC_WRITE	1u
#define EMU_ACC_RMW	2u	/* a read whose result is written back: check for write */
#define EMU_ACC_SYSTEM	4u	/* descriptor tables and TSS: supervisor at any CPL */
#define EMU_ACC_FETCH	8u	/* instruction bytes: EMU_AGAIN stands for none */
#define EMU_ACC_PROBE	16u	/* only checked; buf is NULL */
#define EMU_ACC_LAST	32u	/* a write behind which nothing can fail: may be put off */

/* Software-visible side effects that are not registers: ops->control(). */
enum emu_control {
	EMU_CTL_HLT,		/* the vCPU halts after this instruction */
	EMU_CTL_INVLPG,		/* arg: linear address */
	EMU_CTL_XSETBV,		/* arg: register number, arg2: pointer to the u64 */
	EMU_CTL_XGETBV,		/* arg: register number, arg2: pointer to the u64 */
	EMU_CTL_HYPERCALL,	/* VMCALL or VMMCALL */
	EMU_CTL_IRET,		/* an IRET completed: NMIs are unblocked */
	EMU_CTL_RSM,		/* system management mode ends after this instruction */
};

/*
 * x87, MMX, SSE and AVX registers in the layout of XSAVE (SDM 1 13.4). zeroed:
 * vector registers that have lost what they had above 256 bits.
 */
struct emu_fpu {
	u16 cw, sw;
	u8 tags, reserved;
	u16 opcode;
	u64 ip, dp;
	u32 mxcsr, mxcsr_mask;
	u8 st[8][16];		/* relative to the top of the stack */
	u8 xmm[16][16];
	u8 unused[96];
	u64 header[8];
	u8 ymm_high[16][16];
	u16 zeroed;		/* not of that layout */
};

struct emu_ops {
	/*
	 * Guest memory by linear address. An access may cross one page
	 * boundary: both halves are checked before either is made. size is 1
	 * to 64, FXSAVE's 512, for PIO strings up to EMU_PIO_MAX within one page.
	 */
	int (*access)(struct emu *e, u64 linear, void *buf, unsigned int size, unsigned int access);
	/* Atomic; size 1, 2, 4, 8 or 16. EMU_RETRY if memory is not *old. */
	int (*exchange)(struct emu *e, u64 linear, const void *old, const void *new,
		       unsigned int size);

	/* Ports: count items of size bytes; IOPL and TSS were checked. */
	int (*pio)(struct emu *e, u16 port, unsigned int size, void *buf, unsigned int count,
		   bool out);

	/* Processor state; setters take effect at once and cannot be undone. */
	void (*get_seg)(struct emu *e, unsigned int seg, struct kvm_segment *s);
	void (*set_seg)(struct emu *e, unsigned int seg, const struct kvm_segment *s);
	/* CR 0, 2, 3, 4, 8. set_cr faults on values that the CPU refuses. */
	u64 (*get_cr)(struct emu *e, unsigned int cr);
	int (*set_cr)(struct emu *e, unsigned int cr, u64 value);
	/* DR 0..3, 6, 7; the emulator checks CPL and CR4.DE. */
	u64 (*get_dr)(struct emu *e, unsigned int dr);
	int (*set_dr)(struct emu *e, unsigned int dr, u64 value);
	int (*msr)(struct emu *e, u32 index, u64 *value, bool write);
	void (*cpuid)(struct emu *e, u32 leaf, u32 subleaf, struct kvm_cpuid_entry2 *answer);
	int (*control)(struct emu *e, enum emu_control what, u64 arg, void *arg2);

	int (*fpu)(struct emu *e, struct emu_fpu *fpu, bool set);
};

#define EMU_INSN_MAX	15	/* the longest instruction */
#define EMU_PIO_MAX	1024	/* bytes of one INS or OUTS batch */
#define EMU_REP_MAX	256	/* iterations of one emu_run() */
#define EMU_LOG_SIZE	(EMU_PIO_MAX + 64u)

#define DR7_GD		BIT(13)	/* MOV to or from a debug register is #DB ... */
#define DR6_BD		BIT(13)	/* ... with this */
#define DR6_BT		BIT(15)	/* a task was switched to that has its T bit set */

/* Exception to inject. */
struct emu_exception {
	u8 vector;
	bool has_error;
	u32 error;		/* of #DB, which has none: bits for DR6 */
	u64 cr2;		/* of a page fault */
};

/* One operand: where it is and, once read, its value. */
struct emu_operand {
	char loc;		/* a letter, see emulate_priv.h */
	u8 size;		/* bytes */
	u8 reg;
	u64 val;
};

struct emu {
	/* Set once by the owner. */
	const struct emu_ops *ops;
	void *owner;

	/* Set before each emu_run() or emu_decode(). */
	u64 regs[16], rip, rflags;
	u8 mode;		/* enum emu_mode */
	u8 cpl;			/* 3 in vm86 mode, 0 in real mode */
	u8 va_bits;		/* 48, or 57 with CR4.LA57 */
	bool brief;		/* of a string instruction one iteration only */

	struct emu_exception fault; /* what EMU_FAULT is about */
	u8 nbytes, bytes[EMU_INSN_MAX]; /* fetched so far */

	/* The decoded instruction, and what became of it. */
	u8 length;
	u8 shadow;		/* KVM_X86_SHADOW_INT_*, 0 if none */
	unsigned long iterations; /* of a string instruction, this run */
	u8 map;			/* 1: one byte, 2: 0F, 3: 0F38, 4: 0F3A */
	u8 opcode, modrm, sib;
	bool lock, opsize_prefix; /* F0, 66 */
	u8 rep, rex;		/* F2 or F3; 40 to 4F; else 0 */
	bool vex;		/* encoded with its prefix */
	u8 vex_reg;		/* vvvv, inverted back */
	u8 vex_len;		/* 16 or 32 bytes */
	u8 vex_pp;		/* 0, 66, F3 or F2 */
	u8 op_size, addr_size;	/* 2, 4 or 8 */
	u8 seg;			/* segment of the memory operand */
	u64 ea;			/* effective address of the memory operand */
	void (*run)(struct emu *e); /* NULL: not emulated */
	u32 flags;
	u8 what;		/* for run */
	struct emu_operand op[3];
	int status;		/* enum emu_result; see emulate_priv.h */
	u16 seg_cached;		/* which of segs are valid */
	u8 external;		/* 1 in an event that no INT caused: EXT of errors */
	bool pending;		/* the last run ended with EMU_AGAIN */
	u16 access, log_pos;	/* the next one, and where in the log it is */
	u64 next_rip;		/* each run clears from length to before this */

	/* Private: segment cache, roll-back state, log of finished accesses. */
	struct kvm_segment segs[EMU_NSEGS];
	u64 old[19];		/* from regs to cpl, as they were */
	bool keep_bytes;	/* bytes belong to the instruction at rip */
	u16 accesses, log_len;	/* finished ones, and the answers to them */
	u64 lock_old[2];	/* what a LOCKed destination held */
	u64 decoded[24];	/* length to next_rip, as decode() left them */
	struct emu_fpu fpu;
	u8 pio[EMU_PIO_MAX];
	u8 log[EMU_LOG_SIZE];
};

/*
 * Fetches and decodes the instruction at rip without executing it: length, opcode
 * and operands are then known. Of one that is not emulated not even the length is:
 * EMU_UNHANDLED. Follow it by emu_reset(), or by emu_run(), which uses the bytes
 * already fetched.
 */
int emu_decode(struct emu *e);

/* Executes the instruction at rip. */
int emu_run(struct emu *e);

/*
 * Delivers an exception or an interrupt, not by an instruction, in any mode: rip
 * is what the handler returns to.
 */
int emu_interrupt(struct emu *e, u8 vector, bool has_error, u32 error);

/* Answers the access that returned EMU_AGAIN: its data, none (0 bytes) of a write. */
void emu_supply(struct emu *e, const void *data, unsigned int size);

/* Forgets a half-done instruction and its fetched bytes. */
void emu_reset(struct emu *e);

/* For ops functions: record an exception, return EMU_FAULT. */
int emu_fault(struct emu *e, u8 vector, u32 error);
int emu_page_fault(struct emu *e, u64 cr2, u32 error);

#endif /* KVM_LIVE_EMULATE_H */
