// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the differential test cannot reach: real and vm86 mode, privilege,
 * ports, system registers, restart after user space, and the limits of the
 * decoder. A guest of 1 MiB and 64 KiB; a device at 0xa0000 whose accesses
 * always need user space.
 */
#include "segment.h"
#include "../tap.h"

#define RAM	0x110000u
#define DEVICE	0xa0000u
#define HIGH	0x100000u	/* linear addresses of 64-bit tests */

static u8 ram[RAM];
static struct emu emu;
static struct segment segs[EMU_NSEGS];
static struct kvm_dtable gdt, idt;
static u64 cr[16], dr[8], msr_value, efer;
static struct emu_fpu fpu;
static u32 msr_index;
static unsigned int controls, control_last, reads, writes, fetches;
static u64 control_arg;
static u64 device_linear;
static unsigned int device_size;
static u8 device_data[EMU_PIO_MAX];
static bool device_write, ports_wait;
static u16 port_last;
static unsigned int port_size, port_count;
static u8 port_data[EMU_PIO_MAX];
static u32 fault_page;		/* a page that is not there */

static int memory(struct emu *e, u64 linear, unsigned int size, bool write)
{
	if (linear + size > RAM ||
	    (fault_page && linear + size > fault_page &&
	     linear < fault_page + 4096))
		return emu_page_fault(e, linear, write ? 2 : 0);
	return EMU_OK;
}

static bool in_device(u64 linear)
{
	return linear >= DEVICE && linear < DEVICE + 4096;
}

static int t_fetch(struct emu *e, u64 linear, void *buf, unsigned int size)
{
	int r = memory(e, linear, size, false);

	fetches++;
	if (r == EMU_OK)
		memcpy(buf, ram + linear, size);
	return r;
}

static int t_read(struct emu *e, u64 linear, void *buf, unsigned int size,
		  unsigned int access)
{
	int r = memory(e, linear, size, access & EMU_ACC_RMW);

	reads++;
	if (r != EMU_OK)
		return r;
	if (in_device(linear)) {
		device_linear = linear;
		device_size = size;
		device_write = false;
		return EMU_AGAIN;
	}
	memcpy(buf, ram + linear, size);
	return EMU_OK;
}

static int t_write(struct emu *e, u64 linear, const void *buf,
		   unsigned int size, unsigned int access)
{
	int r = memory(e, linear, size, true);

	(void)access;
	writes++;
	if (r != EMU_OK)
		return r;
	if (in_device(linear)) {
		device_linear = linear;
		device_size = size;
		device_write = true;
		memcpy(device_data, buf, size);
		return EMU_AGAIN;
	}
	memcpy(ram + linear, buf, size);
	return EMU_OK;
}

static int t_cmpxchg(struct emu *e, u64 linear, const void *old,
		     const void *new, unsigned int size)
{
	int r = memory(e, linear, size, true);

	if (r != EMU_OK)
		return r;
	if (memcmp(ram + linear, old, size))
		return EMU_RETRY;
	memcpy(ram + linear, new, size);
	return EMU_OK;
}

static int t_pio(struct emu *e, u16 port, unsigned int size, void *buf,
		 unsigned int count, bool out)
{
	(void)e;
	port_last = port;
	port_size = size;
	port_count = count;
	if (out)
		memcpy(port_data, buf, size * count);
	else if (!ports_wait)
		memcpy(buf, port_data, size * count);
	return ports_wait ? EMU_AGAIN : EMU_OK;
}

static void t_get_seg(struct emu *e, unsigned int seg, struct kvm_segment *s)
{
	const struct kvm_dtable *t = seg == SEG_IDTR ? &idt : &gdt;

	(void)e;
	*s = to_kvm(&segs[seg]);
	if (seg >= SEG_GDTR)
		*s = (struct kvm_segment){ .base = t->base, .limit = t->limit };
}

static void t_set_seg(struct emu *e, unsigned int seg, const struct kvm_segment *s)
{
	(void)e;
	if (seg >= SEG_GDTR)
		*(seg == SEG_IDTR ? &idt : &gdt) =
			(struct kvm_dtable){ .base = s->base, .limit = s->limit };
	else
		segs[seg] = from_kvm(s);
}

static u64 t_get_cr(struct emu *e, unsigned int n)
{
	(void)e;
	return cr[n];
}

static int t_set_cr(struct emu *e, unsigned int n, u64 value)
{
	if (n == 0 && value >> 32)
		return emu_fault(e, 13, 0);
	cr[n] = value;
	return EMU_OK;
}

static u64 t_get_dr(struct emu *e, unsigned int n)
{
	(void)e;
	return dr[n];
}

static int t_set_dr(struct emu *e, unsigned int n, u64 value)
{
	(void)e;
	dr[n] = value;
	return EMU_OK;
}

static int t_msr(struct emu *e, u32 index, u64 *value, bool write)
{
	msr_index = index;
	if (index == 0xbad)
		return emu_fault(e, 13, 0);
	if (write)
		msr_value = *value;
	else
		*value = index == 0xc0000080 ? efer :
			 index == 0x10 ? 0x1122334455667788ull : msr_value;
	return EMU_OK;
}

static void t_cpuid(struct emu *e, u32 leaf, u32 subleaf, struct kvm_cpuid_entry2 *answer)
{
	(void)e;
	*answer = (struct kvm_cpuid_entry2){
		.eax = leaf, .ebx = leaf + 1, .ecx = subleaf, .edx = subleaf + 1,
	};
}

static int t_control(struct emu *e, enum emu_control what, u64 arg, void *arg2)
{
	(void)e;
	controls++;
	control_last = what;
	control_arg = arg;
	if (what == EMU_CTL_XGETBV)
		*(u64 *)arg2 = 7;
	return EMU_OK;
}

static int t_fpu_get(struct emu *e, struct emu_fpu *to)
{
	(void)e;
	*to = fpu;
	return EMU_OK;
}

static int t_fpu_set(struct emu *e, const struct emu_fpu *from)
{
	(void)e;
	fpu = *from;
	return EMU_OK;
}

static int t_access(struct emu *e, u64 linear, void *buf, unsigned int size,
		    unsigned int access)
{
	if (access & EMU_ACC_PROBE)
		return memory(e, linear, size, access & EMU_ACC_WRITE);
	if (access & EMU_ACC_FETCH)
		return t_fetch(e, linear, buf, size);
	return access & EMU_ACC_WRITE ? t_write(e, linear, buf, size, access) :
					t_read(e, linear, buf, size, access);
}

static int t_fpu(struct emu *e, struct emu_fpu *f, bool set)
{
	return set ? t_fpu_set(e, f) : t_fpu_get(e, f);
}

static const struct emu_ops ops = {
	.access = t_access,
	.fpu = t_fpu,
	.exchange = t_cmpxchg,
	.pio = t_pio,
	.get_seg = t_get_seg,
	.set_seg = t_set_seg,
	.get_cr = t_get_cr,
	.set_cr = t_set_cr,
	.get_dr = t_get_dr,
	.set_dr = t_set_dr,
	.msr = t_msr,
	.cpuid = t_cpuid,
	.control = t_control,
};

/* A fresh processor; code at 0x1000 (CS 0x100 in real mode, IP 0). */
static void reset(enum emu_mode mode)
{
	unsigned int i;

	memset(&emu, 0, sizeof(emu));
	memset(ram, 0, sizeof(ram));
	memset(segs, 0, sizeof(segs));
	memset(cr, 0, sizeof(cr));
	memset(dr, 0, sizeof(dr));
	memset(&fpu, 0, sizeof(fpu));
	fpu.mxcsr_mask = 0xffff;
	efer = mode == EMU_LONG ? 0x500 : 0;
	emu.ops = &ops;
	emu.mode = mode;
	emu.va_bits = 48;
	emu.rflags = 2;
	emu.cpl = mode == EMU_VM86 ? 3 : 0;
	for (i = 0; i < EMU_NSEGS; i++) {
		segs[i].limit = mode == EMU_REAL || mode == EMU_VM86 ?
				0xffff : 0xffffffff;
		segs[i].attr = i == SEG_CS ? 0x9b : 0x93;
		if (mode == EMU_PROT32)
			segs[i].attr |= 0xc000;
		if (mode == EMU_VM86)
			segs[i].attr = 0xf3;
		if (mode == EMU_LONG && i == SEG_CS)
			segs[i].attr = 0xa09b;
	}
	segs[SEG_TR].attr = 0x8b;
	segs[SEG_TR].limit = 0x67;
	segs[SEG_TR].base = 0x6000;
	ram[0x6066] = 0x68;	/* the bitmap begins beyond the limit */
	segs[SEG_LDTR].attr = UNUSABLE;
	if (mode == EMU_REAL || mode == EMU_VM86) {
		segs[SEG_CS].selector = 0x100;
		segs[SEG_CS].base = 0x1000;
		segs[SEG_SS].selector = 0x800;
		segs[SEG_SS].base = 0x8000;
		segs[SEG_DS].selector = 0x200;
		segs[SEG_DS].base = 0x2000;
		segs[SEG_ES].selector = 0x300;
		segs[SEG_ES].base = 0x3000;
		emu.regs[EMU_RSP] = 0x1000;
	} else {
		emu.rip = 0x1000;
		emu.regs[EMU_RSP] = 0x9000;
	}
	cr[0] = mode == EMU_REAL ? 0x10 : 0x80000011;
	cr[4] = 0x40600;
	idt.base = 0;
	idt.limit = 0x3ff;
	controls = 0;
	reads = 0;
	writes = 0;
	fetches = 0;
	ports_wait = false;
	fault_page = 0;
}

static int run(const char *bytes, unsigned int size)
{
	u64 at = emu.rip;

	if (emu.mode != EMU_LONG)
		at += segs[SEG_CS].base;
	memcpy(ram + at, bytes, size);
	return emu_run(&emu);
}

#define RUN(s)	run(s, sizeof(s) - 1)

static u16 word(u32 at)
{
	return ram[at] | ram[at + 1] << 8;
}

static bool faulted(int r, u8 vector)
{
	return r == EMU_FAULT && emu.fault.vector == vector;
}

static void test_real_mode(void)
{
	reset(EMU_REAL);
	emu.regs[EMU_RAX] = 0x12345678;
	is(RUN("\xa3\x34\x12"), EMU_OK, "real mode: MOV [1234], AX");
	ok(word(0x2000 + 0x1234) == 0x5678 && !word(0x2000 + 0x1236),
	   "real mode: 16 bits go to DS * 16 + offset");
	is(emu.rip, 3, "real mode: IP advances by the length");
	emu.rflags |= 0x10000;
	RUN("\x90");
	is(emu.rflags, 2, "an instruction that is done clears RF");
	emu.rflags |= 0x10000;
	emu.regs[EMU_RCX] = 2;
	RUN("\xf3\xac");
	is(emu.rflags, 2, "so does REP LODS");
	emu.rflags |= 0x10000;
	idt.limit = 0;
	ok(faulted(RUN("\xcc"), 13) && emu.rflags == 0x10002, "one that faults does not");

	reset(EMU_REAL);
	emu.regs[EMU_RAX] = 0x12345678;
	is(RUN("\x66\x26\xa3\x10\x00"), EMU_OK, "real mode: ES: MOV [10], EAX");
	is(word(0x3012), 0x1234, "real mode: 66 makes it 32 bits");

	reset(EMU_REAL);
	emu.regs[EMU_RBP] = 0x20;
	emu.regs[EMU_RDI] = 4;
	ram[0x8000 + 0x23] = 0x77;
	RUN("\x8a\x43\xff");
	is(emu.regs[EMU_RAX], 0x77, "real mode: BP + DI - 1 uses SS");

	reset(EMU_REAL);
	emu.regs[EMU_RBX] = 0xffff;
	ok(faulted(RUN("\x8b\x07"), 13) && !emu.fault.has_error,
	   "real mode: a word at FFFF is #GP without error code");
	emu.rip = 0;
	emu.regs[EMU_RBP] = 0xffff;
	ok(faulted(RUN("\x8b\x46\x00"), 12), "real mode: in the stack it is #SS");

	reset(EMU_REAL);
	is(RUN("\x8e\xd8"), EMU_OK, "real mode: MOV DS, AX");
	is(segs[SEG_DS].base, 0, "real mode: base is selector * 16");
	emu.regs[EMU_RAX] = 0xabcd;
	RUN("\x8e\xd0");
	is(segs[SEG_SS].base, 0xabcd0, "real mode: MOV SS, AX");
	is(emu.shadow, KVM_X86_SHADOW_INT_MOV_SS, "MOV SS blocks interrupts once");
	RUN("\x90");
	is(emu.shadow, 0, "the next instruction does not");

	reset(EMU_REAL);
	segs[SEG_DS].limit = 0xffffffff;
	emu.regs[EMU_RBX] = 0xfe000;
	ram[0x100000] = 0x5a;
	is(RUN("\x67\x8a\x03"), EMU_OK, "unreal mode: limit above 64 KiB");
	is(emu.regs[EMU_RAX], 0x5a, "unreal mode: the byte is read");

	reset(EMU_REAL);
	is(RUN("\xea\x45\x23\x00\x40"), EMU_OK, "real mode: JMP 4000:2345");
	ok(emu.rip == 0x2345 && segs[SEG_CS].base == 0x40000,
	   "real mode: far JMP sets CS and IP");

	reset(EMU_REAL);
	is(RUN("\x9a\x45\x23\x00\x40"), EMU_OK, "real mode: CALL 4000:2345");
	ok(word(0x8ffe) == 0x100 && word(0x8ffc) == 5 &&
	   emu.regs[EMU_RSP] == 0xffc, "real mode: far CALL pushes CS and IP");
	segs[SEG_CS].base = 0x40000;
	is(RUN("\xca\x02\x00"), EMU_OK, "real mode: RETF 2");
	ok(emu.rip == 5 && segs[SEG_CS].base == 0x1000 &&
	   emu.regs[EMU_RSP] == 0x1002, "real mode: and is back");

	reset(EMU_REAL);
	ram[0x21 * 4 + 1] = 0x30;
	ram[0x21 * 4 + 3] = 0x50;
	emu.rflags |= 0x200;
	is(RUN("\xcd\x21"), EMU_OK, "real mode: INT 21");
	ok(emu.rip == 0x3000 && segs[SEG_CS].base == 0x50000 &&
	   !(emu.rflags & 0x200), "real mode: INT goes to the vector, IF off");
	ok(word(0x8ffe) == 0x202 && word(0x8ffc) == 0x100 && word(0x8ffa) == 2,
	   "real mode: INT pushes FLAGS, CS, IP");
	is(RUN("\xcf"), EMU_OK, "real mode: IRET");
	ok(emu.rip == 2 && segs[SEG_CS].base == 0x1000 && emu.rflags == 0x202,
	   "real mode: IRET restores all three");
	is(control_last, EMU_CTL_IRET, "IRET unblocks NMI");

	reset(EMU_REAL);
	ram[0x08 * 4] = 0x44;
	emu.rip = 0x123;
	is(emu_interrupt(&emu, 8, false, 0), EMU_OK, "real mode: external interrupt");
	ok(emu.rip == 0x44 && word(0x8ffa) == 0x123,
	   "real mode: it returns to the interrupted IP");
	idt.limit = 0x1f;
	ok(faulted(emu_interrupt(&emu, 8, false, 0), 13),
	   "real mode: a vector beyond the IDT limit is #GP");

	reset(EMU_REAL);
	is(RUN("\x0f\x20\xc0"), EMU_OK, "real mode: MOV EAX, CR0");
	emu.regs[EMU_RAX] |= 1;
	is(RUN("\x0f\x22\xc0"), EMU_OK, "real mode: MOV CR0, EAX");
	is(cr[0], 0x11, "real mode: protection is on");
	reset(EMU_REAL);
	memcpy(ram + 0x2010, "\x27\x00\x78\x56\x34\x12", 6);
	is(RUN("\x0f\x01\x16\x10\x00"), EMU_OK, "real mode: LGDT");
	ok(gdt.limit == 0x27 && gdt.base == 0x345678, "LGDT: 24 bits of base");
	RUN("\x66\x0f\x01\x1e\x10\x00");
	is(idt.base, 0x12345678, "LIDT with 66: 32 bits of base");

	reset(EMU_REAL);
	ok(faulted(RUN("\xc5\xc0"), 6), "real mode: LDS with a register is #UD");
	ok(faulted(RUN("\x0f\x00\xc0"), 6), "real mode: SLDT is #UD");
}

static void test_vm86(void)
{
	reset(EMU_VM86);
	emu.rflags |= 0x20000;
	ok(faulted(RUN("\xfa"), 13), "vm86, IOPL 0: CLI is #GP");
	ok(faulted(RUN("\xcd\x21"), 13), "vm86, IOPL 0: INT n is #GP");
	ok(faulted(RUN("\x9c"), 13), "vm86, IOPL 0: PUSHF is #GP");
	emu.rflags |= 0x3200;
	is(RUN("\xfa"), EMU_OK, "vm86, IOPL 3: CLI");
	is(emu.rflags & 0x200, 0, "vm86, IOPL 3: IF is off");
	ok(faulted(RUN("\xf4"), 13), "vm86: HLT is #GP");
	ok(faulted(RUN("\xe4\x60"), 13), "vm86: ports need the bitmap, any IOPL");
	emu.rflags &= ~0x3000ull;
	cr[4] |= 1;
	is(RUN("\xfa"), EMU_UNHANDLED, "vm86 with VME: not guessed");
}

static void test_protection(void)
{
	static const struct {
		const char *bytes;
		unsigned int size;
		const char *name;
	} privileged[] = {
		{ "\xf4", 1, "HLT" },
		{ "\x0f\x06", 2, "CLTS" },
		{ "\x0f\x08", 2, "INVD" },
		{ "\x0f\x09", 2, "WBINVD" },
		{ "\x0f\x20\xc0", 3, "MOV from CR0" },
		{ "\x0f\x22\xc0", 3, "MOV to CR0" },
		{ "\x0f\x23\xc0", 3, "MOV to DR0" },
		{ "\x0f\x30", 2, "WRMSR" },
		{ "\x0f\x32", 2, "RDMSR" },
		{ "\x0f\x01\x10", 3, "LGDT" },
		{ "\x0f\x01\x18", 3, "LIDT" },
		{ "\x0f\x01\xf0", 3, "LMSW" },
		{ "\x0f\x01\x38", 3, "INVLPG" },
		{ "\xfa", 1, "CLI" },
		{ "\xfb", 1, "STI" },
		{ "\xe4\x10", 2, "IN" },
		{ "\x6c", 1, "INS" },
	};
	unsigned int i;
	int r;

	for (i = 0; i < sizeof(privileged) / sizeof(privileged[0]); i++) {
		reset(EMU_PROT32);
		emu.cpl = 3;
		r = run(privileged[i].bytes, privileged[i].size);
		ok(faulted(r, 13) && emu.fault.has_error && !emu.fault.error,
		   "CPL 3: %s is #GP(0)", privileged[i].name);
	}
	reset(EMU_PROT32);
	is(RUN("\xf4"), EMU_OK, "CPL 0: HLT");
	is(control_last, EMU_CTL_HLT, "HLT is reported");
	RUN("\xfb");
	is(emu.shadow, KVM_X86_SHADOW_INT_STI, "STI blocks interrupts once");
	RUN("\xfb");
	is(emu.shadow, 0, "STI with IF already set does not");

	reset(EMU_PROT32);
	segs[SEG_DS].attr |= UNUSABLE;
	ok(faulted(RUN("\x8a\x03"), 13), "a null DS is #GP");
	segs[SEG_DS].attr = 0xc091;
	is(RUN("\x8a\x03"), EMU_OK, "a read-only segment can be read");
	ok(faulted(RUN("\x88\x03"), 13), "but not written");
	ok(faulted(RUN("\x2e\x88\x03"), 13), "nor can code");
	segs[SEG_CS].attr = 0xc099;
	ok(faulted(RUN("\x2e\x8a\x03"), 13), "execute-only code cannot be read");
	segs[SEG_DS].attr = 0xc097;
	segs[SEG_DS].limit = 0xfff;
	emu.regs[EMU_RBX] = 0xfff;
	ok(faulted(RUN("\x8a\x03"), 13), "expand-down: below the limit is #GP");
	emu.regs[EMU_RBX] = 0x1000;
	is(RUN("\x8a\x03"), EMU_OK, "expand-down: above it is right");
	segs[SEG_SS].limit = 0xfff;
	ok(faulted(RUN("\x50"), 12), "a push beyond the stack's limit is #SS");
	is(emu.regs[EMU_RSP], 0x9000, "and leaves ESP");
	segs[SEG_CS].limit = emu.rip + 1;
	ok(faulted(RUN("\x8a\x83\x00\x00\x00\x00"), 13),
	   "an instruction across CS's limit is #GP");

	reset(EMU_LONG);
	ok(faulted(RUN("\x06"), 6), "64-bit: PUSH ES is #UD");
	ok(faulted(RUN("\xf0\x01\xd8"), 6), "LOCK with a register is #UD");
	ok(faulted(RUN("\xf0\x8b\x03"), 6), "LOCK MOV is #UD");
	ok(faulted(RUN("\xf0\x3b\x03"), 6), "LOCK CMP is #UD");
	ok(faulted(RUN("\x0f\x22\xc8"), 6), "CR1 is #UD");
	cr[4] |= 8;
	ok(faulted(RUN("\x0f\x21\xe0"), 6), "DR4 with CR4.DE is #UD");
	emu.regs[EMU_RBX] = 1;
	ok(faulted(RUN("\x0f\x23\xe3"), 6) && !dr[6], "and is not written");
	cr[4] &= ~8ull;
	dr[6] = 0x77;
	RUN("\x0f\x21\xe0");
	is(emu.regs[EMU_RAX], 0x77, "DR4 without it is DR6");
	dr[7] = DR7_GD;
	ok(faulted(RUN("\x0f\x23\xc0"), 1) && emu.fault.error == DR6_BD && !dr[0],
	   "MOV to DR0 with DR7.GD is #DB");
	ok(faulted(RUN("\x0f\x21\xf8"), 1), "MOV from DR7, too");
	emu.regs[EMU_RBX] = 0x800000000000;
	ok(faulted(RUN("\x8a\x03"), 13), "a non-canonical address is #GP");
	emu.regs[EMU_RBP] = 0x800000000000;
	ok(faulted(RUN("\x8a\x45\x00"), 12), "by RBP it is #SS");
	emu.va_bits = 57;
	ok(faulted(RUN("\x8a\x03"), 14), "with 57 bits it is an address");
	is(emu.fault.cr2, 0x800000000000, "CR2 has it");
	cr[0] |= 8;
	ok(faulted(RUN("\x0f\x10\x03"), 7), "SSE with CR0.TS is #NM");
	cr[4] = 0;
	ok(faulted(RUN("\x0f\x10\x03"), 6), "SSE without CR4.OSFXSR is #UD");
}

static void test_ports(void)
{
	reset(EMU_REAL);
	port_data[0] = 0x42;
	emu.regs[EMU_RAX] = 0x1100;
	is(RUN("\xe4\x71"), EMU_OK, "IN AL, 71");
	ok(emu.regs[EMU_RAX] == 0x1142 && port_last == 0x71 && port_size == 1,
	   "IN AL keeps AH");
	emu.regs[EMU_RDX] = 0xcfc;
	emu.regs[EMU_RAX] = 0x12345678;
	is(RUN("\x66\xef"), EMU_OK, "OUT DX, EAX");
	ok(port_last == 0xcfc && port_size == 4 && port_data[3] == 0x12,
	   "OUT has 4 bytes");

	reset(EMU_REAL);
	ports_wait = true;
	is(RUN("\xe4\x60"), EMU_AGAIN, "IN that needs user space");
	is(emu.rip, 0, "nothing is committed");
	emu_supply(&emu, "\x99", 1);
	is(emu_run(&emu), EMU_OK, "the answer completes it");
	ok(emu.regs[EMU_RAX] == 0x99 && emu.rip == 2, "with the port's byte");

	reset(EMU_REAL);
	memset(port_data, 0x3c, 512);
	emu.regs[EMU_RCX] = 256;
	emu.regs[EMU_RDI] = 0x100;
	emu.regs[EMU_RDX] = 0x1f0;
	is(RUN("\xf3\x6d"), EMU_OK, "REP INSW of a sector");
	ok(port_count == 256 && emu.regs[EMU_RCX] == 0 && emu.rip == 2 &&
	   emu.regs[EMU_RDI] == 0x300, "is one batch");
	ok(ram[0x3100] == 0x3c && ram[0x32ff] == 0x3c && !ram[0x3300],
	   "and 512 bytes");
	emu.rip = 0;
	emu.regs[EMU_RCX] = 256;
	emu.regs[EMU_RDI] = 0xff0;
	ports_wait = true;
	is(RUN("\xf3\x6d"), EMU_AGAIN, "a batch stops at the page's end");
	is(port_count, 8, "after 8 words");
	emu_supply(&emu, "0123456789abcdef", 16);
	ports_wait = false;
	is(emu_run(&emu), EMU_OK, "the rest follows");
	ok(emu.regs[EMU_RCX] == 0 && emu.rip == 2 &&
	   !memcmp(ram + 0x3ff0, "0123456789abcdef", 16), "with the right bytes");

	reset(EMU_REAL);
	memcpy(ram + 0x2010, "console", 7);
	emu.regs[EMU_RCX] = 7;
	emu.regs[EMU_RSI] = 0x10;
	is(RUN("\xf3\x6e"), EMU_OK, "REP OUTSB");
	ok(port_count == 7 && !memcmp(port_data, "console", 7),
	   "is one batch with all bytes");

	reset(EMU_PROT32);
	emu.cpl = 3;
	segs[SEG_TR].base = 0x5000;
	segs[SEG_TR].limit = 0x2068;
	ram[0x5066] = 0x68;
	ram[0x5068 + 0x3f8 / 8] = 0xfe;
	emu.regs[EMU_RDX] = 0x3f8;
	is(RUN("\xec"), EMU_OK, "CPL 3: the bitmap allows port 3F8");
	ok(faulted(RUN("\x66\xed"), 13), "but not a word there");
	emu.regs[EMU_RDX] = 0xffff;
	segs[SEG_TR].limit = 0x1068;
	ok(faulted(RUN("\xec"), 13), "a port beyond the bitmap is #GP");
}

static void test_restart(void)
{
	unsigned int i;

	reset(EMU_REAL);
	segs[SEG_DS].base = DEVICE;
	emu.regs[EMU_RBX] = 0x10;
	is(RUN("\x00\x07"), EMU_AGAIN, "ADD [device], AL waits for the read");
	ok(!device_write && device_linear == DEVICE + 0x10 && device_size == 1,
	   "of one byte");
	emu.regs[EMU_RAX] = 5;
	ram[0x1000] = 0xf4;	/* another vCPU changes the code meanwhile */
	emu_supply(&emu, "\x20", 1);
	is(emu_run(&emu), EMU_AGAIN, "then for the write");
	ok(device_write && device_data[0] == 0x25, "of the sum");
	i = reads;
	emu_supply(&emu, NULL, 0);
	is(emu_run(&emu), EMU_OK, "then it is complete");
	ok(reads == i && emu.rip == 2, "without another read");
	is(writes, 1, "or write");

	reset(EMU_REAL);
	segs[SEG_DS].base = DEVICE;
	emu.regs[EMU_RCX] = 3;
	emu.regs[EMU_RDI] = 0x40;
	for (i = 0; i < 3; i++) {
		is(i ? emu_run(&emu) : RUN("\xf3\xa4"), EMU_AGAIN,
		   "REP MOVSB from a device, byte %u", i);
		is(emu.regs[EMU_RCX], 3 - i, "earlier iterations are kept");
		emu_supply(&emu, &"xyz"[i], 1);
	}
	is(emu_run(&emu), EMU_OK, "the last one completes it");
	ok(!memcmp(ram + 0x3040, "xyz", 3) && emu.rip == 2, "in order");

	reset(EMU_REAL);
	emu.regs[EMU_RCX] = 1000;
	is(RUN("\xf3\xaa"), EMU_OK, "REP STOSB of 1000 bytes");
	ok(emu.rip == 0 && emu.regs[EMU_RCX] == 1000 - EMU_REP_MAX,
	   "pauses after %u", EMU_REP_MAX);
	emu.rflags |= 0x100;
	RUN("\xf3\xaa");
	is(emu.regs[EMU_RCX], 1000 - EMU_REP_MAX - 1,
	   "single-stepping stops after each");

	reset(EMU_REAL);
	fault_page = 0x4000;
	emu.regs[EMU_RCX] = 8;
	emu.regs[EMU_RDI] = 0xffc;
	ok(faulted(RUN("\xf3\xaa"), 14), "REP STOSB into a missing page");
	ok(emu.regs[EMU_RCX] == 4 && emu.regs[EMU_RDI] == 0x1000 &&
	   emu.rip == 0, "faults with its progress kept");

	reset(EMU_REAL);
	ram[0x2000] = 1;
	is(RUN("\xf0\xff\x06\x00\x00"), EMU_OK, "LOCK INC");
	is(ram[0x2000], 2, "goes through cmpxchg");

}

static void test_decoder(void)
{
	static const struct {
		enum emu_mode mode;
		const char *bytes;
		unsigned int size;
		const char *name;
	} lengths[] = {
		{ EMU_LONG, "\x0f\xa2", 2, "CPUID" },
		{ EMU_LONG, "\x48\xb8\1\2\3\4\5\6\7\x08", 10, "MOV RAX, imm64" },
		{ EMU_LONG, "\xa0\1\2\3\4\5\6\7\x08", 9, "MOV AL, moffs64" },
		{ EMU_LONG, "\x67\xa0\1\2\3\4", 6, "MOV AL, moffs32" },
		{ EMU_LONG, "\xc8\1\2\3", 4, "ENTER" },
		{ EMU_LONG, "\x66\xe8\1\2\3\4", 6, "CALL with 66" },
		{ EMU_LONG, "\x8f\x00", 2, "POP [RAX], not XOP" },
		{ EMU_LONG, "\xf7\x04\x25\1\2\3\4\5\6\7\x08", 11, "TEST m, imm32" },
		{ EMU_LONG, "\xf7\x1c\x25\1\2\3\4", 7, "NEG m" },
		{ EMU_PROT32, "\x9a\1\2\3\4\5\6", 7, "CALL ptr16:32" },
		{ EMU_PROT32, "\xc5\x00", 2, "LDS, not VEX" },
		{ EMU_PROT32, "\x62\x00", 2, "BOUND, not EVEX" },
		{ EMU_PROT32, "\x67\x8b\x06\1\2", 5, "16-bit address" },
		{ EMU_REAL, "\xe8\1\2", 3, "CALL rel16" },
		{ EMU_REAL, "\x66\xe8\1\2\3\4", 6, "CALL rel32" },
		{ EMU_REAL, "\x67\x8b\x84\x8b\1\2\3\4", 8, "32-bit address" },
		{ EMU_REAL, "\x9a\1\2\3\4", 5, "CALL ptr16:16" },
		{ EMU_REAL, "\xd9\x06\1\2", 4, "FLD m32" },
	};
	static const struct {
		enum emu_mode mode;
		const char *bytes;
		unsigned int size;
	} unknown[] = {
		{ EMU_LONG, "\x0f\x58\xc1", 3 },
		{ EMU_LONG, "\xd8\xc0", 2 },
		{ EMU_LONG, "\x0f\x05", 2 },
		{ EMU_LONG, "\xc5\xf8\x77", 3 },
		{ EMU_LONG, "\x62\xf1\x7c\x48\x10\x00", 6 },
		{ EMU_LONG, "\x8f\xe9\x78\x81\xc0", 5 },
		{ EMU_LONG, "\x0f\xae\x20", 3 },
		{ EMU_LONG, "\x0f\xa7\xc0", 3 },
		{ EMU_LONG, "\xc6\xf8\x00", 3 },
	};
	u8 many[16];
	unsigned int i;
	int r;

	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		reset(lengths[i].mode);
		memcpy(ram + 0x1000, lengths[i].bytes, lengths[i].size);
		r = emu_decode(&emu);
		ok(r == EMU_OK && emu.length == lengths[i].size,
		   "length of %s (mode %d) is %u", lengths[i].name,
		   lengths[i].mode, lengths[i].size);
	}
	reset(EMU_LONG);
	ok(faulted(RUN("\xc4\xe0\x78\x04\x05"), 6), "VEX before a one-byte opcode is #UD");
	ok(faulted(RUN("\xc4\xe3\x73\xf0\xc0\x01"), 6), "so is RORX with a register in vvvv");
	ok(faulted(RUN("\xc5\xf0\xae\x13"), 6), "so is VLDMXCSR with one");
	is(RUN("\xc4\xe3\x7b\xf0\xc0\x01"), EMU_OK, "without one RORX is done");
	for (i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		reset(unknown[i].mode);
		r = run(unknown[i].bytes, unknown[i].size);
		ok(r == EMU_UNHANDLED && emu.rip == 0x1000 &&
		   !memcmp(emu.bytes, unknown[i].bytes, unknown[i].size),
		   "unknown instruction %u is not guessed, its bytes are kept", i);
	}
	reset(EMU_LONG);
	memset(many, 0x66, sizeof(many));
	many[14] = 0x90;
	is(run((char *)many, 15), EMU_OK, "an instruction of 15 bytes");
	reset(EMU_LONG);
	many[14] = 0x66;
	many[15] = 0x90;
	ok(faulted(run((char *)many, 16), 13), "of 16 bytes is #GP");
	reset(EMU_LONG);
	emu.rip = 0x1ffe;
	fault_page = 0x2000;
	ok(faulted(RUN("\xb8\1\2\3\4"), 14) && emu.fault.cr2 == 0x2000,
	   "a fetch across into a missing page is #PF with CR2 there");
	emu.rip = 0x1ffe;
	is(RUN("\xb0\x07"), EMU_OK, "two bytes before it are enough for two");
}

static void test_system(void)
{
	reset(EMU_LONG);
	emu.regs[EMU_RAX] = ~0ull;
	emu.regs[EMU_RCX] = 0xffffffff00000007ull;
	is(RUN("\x0f\xa2"), EMU_OK, "CPUID");
	ok(emu.regs[EMU_RAX] == 0xffffffff && emu.regs[EMU_RDX] == 8,
	   "CPUID zero-extends");
	RUN("\x0f\x31");
	ok(emu.regs[EMU_RDX] == 0x11223344 && emu.regs[EMU_RAX] == 0x55667788,
	   "RDTSC");
	emu.cpl = 3;
	cr[4] |= 4;
	ok(faulted(RUN("\x0f\x31"), 13), "RDTSC at CPL 3 with CR4.TSD is #GP");
	cr[4] |= 0x800;
	ok(faulted(RUN("\x0f\x01\x00"), 13), "SGDT at CPL 3 with UMIP is #GP");
	emu.cpl = 0;
	emu.regs[EMU_RCX] = 0xbad;
	ok(faulted(RUN("\x0f\x30"), 13), "WRMSR that the owner refuses is #GP");
	emu.regs[EMU_RCX] = 0x10;
	emu.regs[EMU_RAX] = 0x99999999;
	emu.regs[EMU_RDX] = 0xffffffff11111111ull;
	is(RUN("\x0f\x30"), EMU_OK, "WRMSR");
	is(msr_value, 0x1111111199999999, "takes EDX:EAX");
	emu.regs[EMU_RAX] = 0x12345678;
	RUN("\x0f\x01\x38");
	ok(control_last == EMU_CTL_INVLPG && control_arg == 0x12345678,
	   "INVLPG reports its address");
	gdt.base = 0x123456789aull;
	gdt.limit = 0x7f;
	emu.regs[EMU_RAX] = 0x3000;
	is(RUN("\x0f\x01\x00"), EMU_OK, "SGDT");
	ok(ram[0x3000] == 0x7f && ram[0x3002] == 0x9a && ram[0x3006] == 0x12 &&
	   !ram[0x3009], "stores ten bytes");
	emu.regs[EMU_RAX] = 0x100000000ull;
	ok(faulted(RUN("\x0f\x22\xc0"), 13), "MOV CR0 that is refused is #GP");
	cr[0] |= 8;
	is(RUN("\x0f\x06"), EMU_OK, "CLTS");
	is(cr[0] & 8, 0, "clears TS");
}

/* ------------------------------------------------- descriptors, far transfers */

#define GDT	0x7000u

static void describe(unsigned int selector, u32 base, u32 limit, u32 attr)
{
	u64 raw = (limit & 0xffff) | (u64)(base & 0xffffff) << 16 |
		  (u64)(attr & 0xf0ff) << 40 | (u64)(limit >> 16 & 15) << 48 |
		  (u64)(base >> 24) << 56;

	memcpy(ram + GDT + (selector & 0xfff8), &raw, 8);
}

static u8 access_byte(unsigned int selector)
{
	return ram[GDT + (selector & 0xfff8) + 5];
}

/*
 * 08 code, 10 data, 18 code of ring 3, 20 data of ring 3, 28 and 30 TSS, 38
 * data not present, 40 LDT, 48 conforming code, 50 64-bit code.
 */
static void reset_gdt(enum emu_mode mode)
{
	reset(mode);
	gdt.base = GDT;
	gdt.limit = 0x6f;
	describe(0x08, 0, 0xfffff, 0xc09a);
	describe(0x10, 0x20000, 0xfffff, 0xc092);
	describe(0x18, 0, 0xfffff, 0xc0fa);
	describe(0x20, 0, 0xfffff, 0xc0f2);
	describe(0x28, 0x5000, 0x67, 0x008b);
	describe(0x30, 0x5800, 0x67, 0x0089);
	describe(0x38, 0, 0xfffff, 0xc012);
	describe(0x40, 0x6800, 0xff, 0x0082);
	describe(0x48, 0, 0xfffff, 0xc09e);
	describe(0x50, 0, 0xfffff, 0xa09a);
	segs[SEG_CS].selector = 8;
	segs[SEG_SS].selector = 0x10;
	segs[SEG_TR].selector = 0x28;
	segs[SEG_TR].base = 0x5000;
	segs[SEG_TR].attr = 0x8b;
}

static bool selector_fault(int r, u8 vector, u16 selector)
{
	return faulted(r, vector) && emu.fault.has_error &&
	       emu.fault.error == selector;
}

static int load_ds(u16 selector)
{
	emu.regs[EMU_RAX] = selector;
	return RUN("\x8e\xd8");
}

static int load_ss(u16 selector)
{
	emu.regs[EMU_RAX] = selector;
	return RUN("\x8e\xd0");
}

static void test_segment_loads(void)
{
	reset_gdt(EMU_PROT32);
	is(load_ds(0x10), EMU_OK, "MOV DS: a data segment");
	ok(segs[SEG_DS].base == 0x20000 && segs[SEG_DS].limit == 0xffffffff &&
	   segs[SEG_DS].attr == 0xc093 && segs[SEG_DS].selector == 0x10,
	   "its hidden part is the descriptor's");
	is(access_byte(0x10), 0x93, "and the descriptor is marked accessed");
	is(load_ds(0x18), EMU_OK, "MOV DS: readable code");
	is(load_ds(0), EMU_OK, "MOV DS: null");
	ok(segs[SEG_DS].attr & UNUSABLE, "makes it unusable");
	ok(selector_fault(load_ds(0x38), 11, 0x38), "not present is #NP");
	ok(selector_fault(load_ds(0x28), 13, 0x28), "a TSS is #GP");
	ok(selector_fault(load_ds(0x70), 13, 0x70), "beyond the limit is #GP");
	ok(selector_fault(load_ds(0x14), 13, 0x14), "an LDT there is none of, too");
	ok(selector_fault(load_ss(0), 13, 0), "MOV SS: null is #GP(0)");
	ok(selector_fault(load_ss(0x38), 12, 0x38), "MOV SS: not present is #SS");
	ok(selector_fault(load_ss(0x08), 13, 0x08), "MOV SS: code is #GP");
	ok(selector_fault(load_ss(0x23), 13, 0x20), "MOV SS: ring 3 is #GP");
	is(load_ss(0x10), EMU_OK, "MOV SS: writable data of this ring");
	emu.cpl = 3;
	ok(selector_fault(load_ds(0x10), 13, 0x10),
	   "ring 3 cannot load ring 0's data");
	is(load_ds(0x4b), EMU_OK, "but conforming code");
	emu.regs[EMU_RAX] = 0x40;
	ok(faulted(RUN("\x0f\x00\xd0"), 13), "LLDT at CPL 3 is #GP");
	emu.cpl = 0;
	is(RUN("\x0f\x00\xd0"), EMU_OK, "LLDT");
	is(segs[SEG_LDTR].base, 0x6800, "loads LDTR");
	describe(0x10, 0, 0, 0);
	memcpy(ram + 0x6808, ram + GDT + 0x20, 8);
	emu.cpl = 3;
	is(load_ds(0xf), EMU_OK, "MOV DS: from the LDT");
	emu.cpl = 0;
	emu.regs[EMU_RAX] = 0x30;
	is(RUN("\x0f\x00\xd8"), EMU_OK, "LTR");
	ok(access_byte(0x30) == 0x8b && segs[SEG_TR].base == 0x5800,
	   "loads TR and marks the TSS busy");
	ok(selector_fault(RUN("\x0f\x00\xd8"), 13, 0x30), "a busy one is #GP");
	RUN("\x0f\x00\xc8");
	is(emu.regs[EMU_RAX], 0x30, "STR");

	reset_gdt(EMU_PROT32);
	emu.regs[EMU_RBX] = 0x10;
	RUN("\x0f\x02\xc3");
	ok(emu.regs[EMU_RAX] == 0xcf9200 && emu.rflags & 0x40, "LAR");
	RUN("\x0f\x03\xc3");
	ok(emu.regs[EMU_RAX] == 0xffffffff && emu.rflags & 0x40, "LSL");
	emu.cpl = 3;
	RUN("\x0f\x03\xc3");
	ok(!(emu.rflags & 0x40), "LSL of ring 0's data in ring 3 clears ZF");
	RUN("\x0f\x00\xe3");
	ok(!(emu.rflags & 0x40), "so does VERR");
	emu.regs[EMU_RBX] = 0x18;
	RUN("\x0f\x00\xe3");
	ok(emu.rflags & 0x40, "VERR: readable code");
	RUN("\x0f\x00\xeb");
	ok(!(emu.rflags & 0x40), "VERW: code is not writable");
	emu.regs[EMU_RBX] = 0x10;
	emu.regs[EMU_RCX] = 3;
	RUN("\x63\xcb");
	ok(emu.regs[EMU_RBX] == 0x13 && emu.rflags & 0x40, "ARPL raises RPL");
}

static void test_far(void)
{
	u32 frame[9];

	reset_gdt(EMU_PROT32);
	is(RUN("\xea\x34\x12\x00\x00\x08\x00"), EMU_OK, "JMP 08:1234");
	ok(emu.rip == 0x1234 && segs[SEG_CS].attr == 0xc09b, "loads CS and EIP");
	ok(selector_fault(RUN("\xea\x34\x12\x00\x00\x10\x00"), 13, 0x10),
	   "JMP to data is #GP");
	ok(selector_fault(RUN("\xea\x34\x12\x00\x00\x1b\x00"), 13, 0x18),
	   "JMP to an outer ring is #GP");
	ok(selector_fault(RUN("\xea\x34\x12\x00\x00\x00\x00"), 13, 0),
	   "JMP to a null selector is #GP(0)");
	is(RUN("\x9a\x34\x12\x00\x00\x48\x00"), EMU_OK, "CALL conforming code");
	ok(word(0x8ffc) == 8 && word(0x8ff8) == 0x123b &&
	   segs[SEG_CS].selector == 0x48, "pushes CS and EIP");

	reset_gdt(EMU_PROT32);
	frame[0] = 0x4444;
	frame[1] = 0x1b;
	frame[2] = 0x202;
	frame[3] = 0x7777;
	frame[4] = 0x23;
	memcpy(ram + 0x9000, frame, 20);
	is(RUN("\xcf"), EMU_OK, "IRET to ring 3");
	ok(emu.rip == 0x4444 && emu.cpl == 3 && emu.regs[EMU_RSP] == 0x7777 &&
	   segs[SEG_SS].selector == 0x23 && segs[SEG_CS].selector == 0x1b &&
	   emu.rflags == 0x202, "loads all five");
	ok(segs[SEG_DS].attr & UNUSABLE, "ring 0's data is taken away");

	reset_gdt(EMU_PROT32);
	frame[2] = 0x7777;
	frame[3] = 0x23;
	memcpy(ram + 0x9000, frame, 16);
	is(RUN("\xcb"), EMU_OK, "RETF to ring 3");
	ok(emu.rip == 0x4444 && emu.cpl == 3 && emu.regs[EMU_RSP] == 0x7777,
	   "changes the stack");
	emu.regs[EMU_RSP] = 0x9000;
	frame[1] = 0x08;
	memcpy(ram + 0x9000, frame, 16);
	ok(selector_fault(RUN("\xcb"), 13, 0x08), "RETF inwards is #GP");

	reset_gdt(EMU_LONG);
	segs[SEG_CS].selector = 0x50;
	frame[0] = 0x4444;
	frame[1] = 0x1b;
	frame[4] = 0x7777;
	frame[5] = 0x23;
	memcpy(ram + 0x9000, frame, 24);
	is(RUN("\xca\x08\x00"), EMU_OK, "64-bit RETF 8 to 32-bit code of ring 3");
	is(emu.regs[EMU_RSP], 0x777f, "takes 8 from the new stack, too");

	reset_gdt(EMU_PROT32);
	frame[0] = 0x100;
	frame[1] = 0x2000;
	frame[2] = 0x23202;
	frame[3] = 0xfff0;
	frame[4] = 0x3000;
	frame[5] = 0x4000;
	frame[6] = 0x5000;
	frame[7] = 0x6000;
	frame[8] = 0x7000;
	memcpy(ram + 0x9000, frame, 36);
	is(RUN("\xcf"), EMU_OK, "IRET to vm86 mode");
	ok(emu.rip == 0x100 && emu.cpl == 3 && emu.rflags == 0x23202 &&
	   segs[SEG_CS].base == 0x20000 && segs[SEG_SS].base == 0x30000 &&
	   segs[SEG_ES].base == 0x40000 && segs[SEG_GS].base == 0x70000 &&
	   segs[SEG_DS].attr == 0xf3, "loads nine values");

	reset_gdt(EMU_LONG);
	segs[SEG_CS].selector = 0x50;
	memset(ram + 0x9000, 0, 40);
	ram[0x9001] = 0x44;
	ram[0x9008] = 0x50;
	ram[0x9010] = 2;
	ram[0x9019] = 0x70;
	is(RUN("\x48\xcf"), EMU_OK, "IRETQ within ring 0");
	ok(emu.rip == 0x4400 && emu.regs[EMU_RSP] == 0x7000 &&
	   segs[SEG_SS].attr & UNUSABLE,
	   "takes RSP and a null SS from the stack");
	emu.rip = 0x1000;
	emu.rflags |= 0x4000;
	ok(faulted(RUN("\x48\xcf"), 13), "IRETQ with NT is #GP");
}

static void test_far_pointers(void)
{
	reset(EMU_REAL);
	RUN("\x0e");
	ok(word(0x8ffe) == 0x100 && emu.regs[EMU_RSP] == 0xffe, "PUSH CS");
	RUN("\x07");
	ok(segs[SEG_ES].base == 0x1000 && emu.regs[EMU_RSP] == 0x1000, "POP ES");
	RUN("\x1e\x17");
	is(RUN("\x17"), EMU_OK, "POP SS");
	ok(segs[SEG_SS].base == 0x2000 && emu.shadow == KVM_X86_SHADOW_INT_MOV_SS,
	   "blocks interrupts once");
	memcpy(ram + 0x2010, "\x78\x56\x34\x12\xcd\xab", 6);
	RUN("\xc4\x1e\x10\x00");
	ok(emu.regs[EMU_RBX] == 0x5678 && segs[SEG_ES].base == 0x12340, "LES");
	RUN("\x66\x0f\xb5\x1e\x10\x00");
	ok(emu.regs[EMU_RBX] == 0x12345678 && segs[SEG_GS].base == 0xabcd0,
	   "LGS with a 32-bit offset");
	RUN("\x0f\xb4\x1e\x10\x00");
	is(segs[SEG_FS].base, 0x12340, "LFS");
	is(RUN("\xff\x1e\x10\x00"), EMU_OK, "CALL far [10]");
	ok(emu.rip == 0x5678 && segs[SEG_CS].base == 0x12340, "goes there");
	is(RUN("\xff\xe8"), EMU_FAULT, "JMP far to a register");
	is(emu.fault.vector, 6, "is #UD");

	reset_gdt(EMU_PROT32);
	emu.regs[EMU_RAX] = 0;
	is(RUN("\x0f\x00\xd0"), EMU_OK, "LLDT of null");
	ok(segs[SEG_LDTR].attr & UNUSABLE, "leaves no LDT");
	ok(selector_fault(RUN("\x0f\x00\xd8"), 13, 0), "LTR of null is #GP(0)");
	emu.regs[EMU_RBX] = 0x70;
	RUN("\x0f\x03\xc3");
	ok(!(emu.rflags & 0x40), "LSL beyond the table clears ZF");
	emu.regs[EMU_RBX] = 0x28;
	RUN("\x0f\x03\xc3");
	ok(emu.regs[EMU_RAX] == 0x67, "LSL of a TSS");

	reset_gdt(EMU_LONG);
	describe(0x60, 0x5800, 0x67, 0x0089);
	ram[GDT + 0x68] = 0xff;
	emu.regs[EMU_RAX] = 0x60;
	is(RUN("\x0f\x00\xd8"), EMU_OK, "64-bit LTR");
	is(segs[SEG_TR].base, 0xff00005800,
	   "takes the upper half of the base");
	gdt.limit = 0x67;
	describe(0x60, 0x5800, 0x67, 0x0089);
	ok(selector_fault(RUN("\x0f\x00\xd8"), 13, 0x60),
	   "a half descriptor is #GP");
	memset(ram + 0x9000, 0, 40);
	ram[0x9001] = 0x44;
	ram[0x9008] = 0x1b;
	ram[0x9010] = 2;
	ram[0x9019] = 0x70;
	emu.regs[EMU_RSP] = 0x9000;
	ok(selector_fault(RUN("\x48\xcf"), 13, 0), "IRETQ to ring 3 with a null SS");
	ram[0x9020] = 0x23;
	is(RUN("\x48\xcf"), EMU_OK, "IRETQ to 32-bit code of ring 3");
	ok(emu.cpl == 3 && emu.rip == 0x4400 && emu.regs[EMU_RSP] == 0x7000,
	   "enters compatibility mode");
}

static void put32(u32 at, u32 value)
{
	memcpy(ram + at, &value, 4);
}

static void put64(u32 at, u64 value)
{
	memcpy(ram + at, &value, 8);
}

static u32 dword(u32 at)
{
	return word(at) | (u32)word(at + 2) << 16;
}

/* A gate of any kind; @access: P, DPL and type. */
static u64 gate(u16 selector, u32 offset, u8 access, u8 count)
{
	return (offset & 0xffff) | (u64)selector << 16 | (u64)count << 32 |
	       (u64)access << 40 | (u64)(offset >> 16) << 48;
}

static void test_interrupts(void)
{
	unsigned int i;

	reset_gdt(EMU_PROT32);
	put64(0x21 * 8, gate(8, 0x12345678, 0x8e, 0));
	put64(0x22 * 8, gate(8, 0x12345678, 0xef, 0));
	put64(0x23 * 8, gate(8, 0x5678, 0x0e, 0));
	put64(0x24 * 8, gate(0x18, 0x5678, 0xee, 0));
	put64(0x25 * 8, gate(0x48, 0x5678, 0xee, 0));
	put64(0x26 * 8, gate(8, 0x99995678, 0xe6, 0));
	emu.rflags = 0x4302;
	is(RUN("\xcd\x21"), EMU_OK, "INT 21 in ring 0");
	ok(emu.rip == 0x12345678 && emu.rflags == 2, "interrupt gate: IF, TF and NT off");
	ok(dword(0x8ffc) == 0x4302 && dword(0x8ff8) == 8 && dword(0x8ff4) == 0x1002 &&
	   emu.regs[EMU_RSP] == 0x8ff4, "pushes EFLAGS, CS, EIP");
	emu.rip = 0x1000;
	emu.rflags = 0x202;
	is(emu_interrupt(&emu, 0x22, true, 0x77), EMU_OK, "an exception with error code");
	ok(dword(emu.regs[EMU_RSP]) == 0x77 && dword(emu.regs[EMU_RSP] + 4) == 0x1000 &&
	   emu.rflags == 0x202, "trap gate: IF stays");
	emu.rip = 0x1000;
	ok(selector_fault(RUN("\xcd\x23"), 11, 0x11a), "INT by a gate not present is #NP");
	ok(selector_fault(emu_interrupt(&emu, 0x23, false, 0), 11, 0x11b),
	   "of an external event it has EXT");
	ok(selector_fault(RUN("\xcd\x24"), 13, 0x18), "a gate to an outer ring is #GP");
	ok(selector_fault(RUN("\xcd\x30"), 13, 0x182), "an empty gate is #GP");
	idt.limit = 0x17f;
	ok(selector_fault(RUN("\xcd\x30"), 13, 0x182), "so is one beyond the limit");
	emu.regs[EMU_RSP] = 0x9000;
	is(RUN("\xcd\x26"), EMU_OK, "16-bit gate");
	ok(emu.rip == 0x5678 && word(0x8ffa) == 0x1002 && emu.regs[EMU_RSP] == 0x8ffa,
	   "16-bit offset and frame");

	reset_gdt(EMU_PROT32);
	put64(0x21 * 8, gate(8, 0x5678, 0x8e, 0));
	put64(0x22 * 8, gate(8, 0x5678, 0xee, 0));
	put64(0x25 * 8, gate(0x48, 0x5678, 0xee, 0));
	put32(0x5004, 0x7000 + 0xf00);
	put32(0x5008, 0x10);
	segs[SEG_CS].selector = 0x1b;
	segs[SEG_CS].attr = 0xc0fb;
	segs[SEG_SS].selector = 0x23;
	segs[SEG_SS].attr = 0xc0f3;
	emu.cpl = 3;
	ok(selector_fault(RUN("\xcd\x21"), 13, 0x10a), "ring 3: a gate of DPL 0 is #GP");
	is(RUN("\xcd\x22"), EMU_OK, "ring 3: a gate of DPL 3");
	ok(!emu.cpl && segs[SEG_SS].selector == 0x10 && segs[SEG_SS].base == 0x20000 &&
	   emu.regs[EMU_RSP] == 0x7f00 - 20, "takes the stack from the TSS");
	ok(dword(0x27efc) == 0x23 && dword(0x27ef8) == 0x9000 && dword(0x27ef0) == 0x1b &&
	   dword(0x27eec) == 0x1002, "and has the old one on it");
	emu.cpl = 3;
	emu.rip = 0x1000;
	segs[SEG_SS].base = 0;
	segs[SEG_SS].attr = 0xc0f3;
	emu.regs[EMU_RSP] = 0x9000;
	is(RUN("\xcd\x25"), EMU_OK, "a gate to conforming code");
	ok(emu.cpl == 3 && emu.regs[EMU_RSP] == 0x8ff4, "stays in ring 3");
	emu.rip = 0x1000;
	put32(0x5008, 0x23);
	ok(selector_fault(emu_interrupt(&emu, 0x21, false, 0), 10, 0x21) && emu.cpl == 3,
	   "a stack of the wrong ring is #TS");
	segs[SEG_TR].limit = 6;
	ok(selector_fault(emu_interrupt(&emu, 0x21, false, 0), 10, 0x29),
	   "a TSS without it, too");

	reset_gdt(EMU_VM86);
	put64(0x21 * 8, gate(8, 0x5678, 0xee, 0));
	put32(0x5004, 0x8000);
	put32(0x5008, 0x10);
	segs[SEG_DS].selector = 0x200;
	segs[SEG_CS].selector = 0x100;
	segs[SEG_CS].base = 0x1000;
	emu.rflags = 0x23202;
	is(RUN("\xcd\x21"), EMU_OK, "INT from vm86 mode");
	ok(emu.regs[EMU_RSP] == 0x8000 - 36 && dword(0x27fdc) == 2 &&
	   dword(0x27fe4) == 0x23202 && dword(0x27ff4) == 0x200 && !(emu.rflags & 0x20000) &&
	   !emu.cpl && segs[SEG_DS].attr & UNUSABLE, "pushes nine values");

	reset_gdt(EMU_LONG);
	put64(0x21 * 16, gate(0x50, 0x12345678, 0x8e, 0));
	put64(0x21 * 16 + 8, 0x7f);
	put64(0x22 * 16, gate(0x50, 0x5678, 0x8e, 2));
	put64(0x23 * 16, gate(8, 0x5678, 0x8e, 0));
	put64(0x502c, 0x6f08);
	put64(0x5004, 0x7f08);
	segs[SEG_CS].selector = 0x50;
	emu.regs[EMU_RSP] = 0x8ffc;
	idt.limit = 0xfff;
	is(RUN("\xcd\x21"), EMU_OK, "INT in 64-bit mode");
	ok(emu.rip == 0x7f12345678 && emu.regs[EMU_RSP] == 0x8ff0 - 40 &&
	   word(0x8fe0) == 0x8ffc && word(0x8fc8) == 0x1002, "aligns the stack, pushes five");
	emu.rip = 0x1000;
	is(emu_interrupt(&emu, 0x22, true, 9), EMU_OK, "by the interrupt stack table");
	is(emu.regs[EMU_RSP], 0x6f00 - 48, "on its stack");
	emu.rip = 0x1000;
	ok(selector_fault(RUN("\xcd\x23"), 13, 8), "to 32-bit code is #GP");
	emu.cpl = 3;
	is(emu_interrupt(&emu, 0x21, false, 0), EMU_OK, "from ring 3");
	ok(!emu.cpl && emu.regs[EMU_RSP] == 0x7f00 - 40 &&
	   segs[SEG_SS].attr & UNUSABLE, "SS is null");

	reset_gdt(EMU_PROT32);
	put64(GDT + 0x58, gate(8, 0x12345678, 0xec, 2));
	put64(GDT + 0x60, gate(0x48, 0x1234, 0xec, 0));
	put64(GDT + 0x68, gate(8, 0x1234, 0x8c, 0));
	is(RUN("\xea\0\0\0\0\x58\0"), EMU_OK, "JMP through a call gate");
	is(emu.rip, 0x12345678, "goes where the gate says");
	put32(0x5004, 0x8000);
	put32(0x5008, 0x10);
	put64(0x8ff0, 0x2222222211111111ull);
	segs[SEG_CS].selector = 0x1b;
	segs[SEG_SS].selector = 0x23;
	segs[SEG_SS].attr = 0xc0f3;
	emu.regs[EMU_RSP] = 0x8ff0;
	emu.cpl = 3;
	emu.rip = 0x1000;
	ok(selector_fault(RUN("\x9a\0\0\0\0\x68\0"), 13, 0x68), "a gate of DPL 0 is #GP");
	ok(selector_fault(RUN("\xea\0\0\0\0\x58\0"), 13, 8), "JMP inwards is #GP");
	is(RUN("\x9a\0\0\0\0\x58\0"), EMU_OK, "CALL through a gate to ring 0");
	ok(!emu.cpl && emu.regs[EMU_RSP] == 0x8000 - 24 && segs[SEG_CS].selector == 8,
	   "changes the stack");
	for (i = 0; i < 6; i++)
		is(dword(0x27fe8 + i * 4), ((const u32[]){ 0x1007, 0x1b, 0x11111111,
		   0x22222222, 0x8ff0, 0x23 })[i], "value %u of its frame", i);
}

static void test_task_switch(void)
{
	unsigned int i;

	reset_gdt(EMU_PROT32);
	for (i = 0; i < 6; i++)
		put32(0x5848 + i * 4, 0x23);
	put32(0x584c, 0x1b);
	put32(0x581c, 0xabc000);
	put32(0x5820, 0x4321);
	put32(0x5824, 0x202);
	for (i = 0; i < 8; i++)
		put32(0x5828 + i * 4, 0x1000 * (i + 1));
	put32(0x5860, 0x40);
	emu.regs[EMU_RSI] = 0x5151;
	emu.rip = 0x1002;
	put64(10 * 8, gate(0x30, 0, 0x85, 0));
	is(emu_interrupt(&emu, 10, true, 0xee), EMU_OK,
	   "task switch by an exception, with an error code");
	ok(emu.rip == 0x4321 && emu.cpl == 3 && emu.regs[EMU_RSI] == 0x7000 &&
	   emu.rflags == 0x4202, "the new task's registers, NT set");
	ok(segs[SEG_CS].selector == 0x1b && segs[SEG_DS].selector == 0x23 &&
	   segs[SEG_TR].selector == 0x30 && segs[SEG_LDTR].base == 0x6800,
	   "its segments");
	ok(cr[3] == 0xabc000 && cr[0] & 8, "its CR3, and CR0.TS");
	ok(word(0x5800) == 0x28 && access_byte(0x30) == 0x8b &&
	   access_byte(0x28) == 0x8b, "linked to the old task, both busy");
	ok(word(0x5020) == 0x1002 && word(0x5040) == 0x5151 &&
	   word(0x504c) == 8, "the old one's state is saved");
	is(word(0x4ffc), 0xee, "the error code is on the new stack");
	is(emu.regs[EMU_RSP], 0x4ffc, "and ESP below it");
	ram[0x4321] = 0xcf;
	is(emu_run(&emu), EMU_OK, "and back by IRET");
	ok(emu.rip == 0x1002 && emu.regs[EMU_RSI] == 0x5151 && !emu.cpl &&
	   access_byte(0x30) == 0x89 && !(word(0x5824) & 0x4000),
	   "the old state; the other is free and not nested");

	reset_gdt(EMU_PROT32);
	describe(0x30, 0x5800, 0x2b, 0x0081);
	memcpy(ram + 0x580e, "\x21\x43\x02\x02", 4);
	memcpy(ram + 0x5822, "\x10\0\x08\0\x10\0\x10\0", 8);
	is(RUN("\xea\0\0\0\0\x30\0"), EMU_OK, "task switch to a 16-bit TSS");
	ok(emu.rip == 0x4321 && emu.rflags == 0x202 && segs[SEG_ES].base == 0x20000 &&
	   segs[SEG_FS].attr & UNUSABLE, "FS and GS become null");

	reset_gdt(EMU_PROT32);
	put32(0x5820, 0x77);
	put32(0x5824, 0x23202);
	put32(0x584c, 0x2000);
	put64(0x21 * 8, gate(0x30, 0, 0x85, 0));
	is(emu_interrupt(&emu, 0x21, false, 0), EMU_OK, "task switch to vm86 mode");
	ok(emu.rip == 0x77 && emu.cpl == 3 && segs[SEG_CS].base == 0x20000 &&
	   segs[SEG_CS].attr == 0xf3, "selectors are addresses there");

	reset_gdt(EMU_PROT32);
	put64(GDT + 0x58, gate(0x30, 0, 0x85, 0));
	put64(0x21 * 8, gate(0x30, 0, 0x85, 0));
	put32(0x5820, 0x77);
	put32(0x5824, 2);
	put32(0x584c, 8);
	put32(0x5850, 0x10);
	is(RUN("\x9a\0\0\0\0\x58\0"), EMU_OK, "CALL to a task gate");
	ok(emu.rip == 0x77 && emu.rflags == 0x4002 && dword(0x5020) == 0x1007,
	   "switches, the old task goes on behind it");
	ram[0x77] = 0xcf;
	is(emu_run(&emu), EMU_OK, "IRET with NT");
	ok(emu.rip == 0x1007 && emu.rflags == 2, "switches back");
	put32(0x5820, 0x77);
	is(RUN("\xea\0\0\0\0\x30\0"), EMU_OK, "JMP to a TSS");
	ok(emu.rip == 0x77 && emu.rflags == 2, "does not nest");
	put32(0x5020, 0x99);
	put64(0x21 * 8, gate(0x28, 0, 0x85, 0));
	is(emu_interrupt(&emu, 0x21, false, 0), EMU_OK, "interrupt through a task gate");
	ok(emu.rip == 0x99 && emu.rflags == 0x4002, "nests");

	reset_gdt(EMU_PROT32);
	put32(0x5820, 0x77);
	put32(0x584c, 8);
	put32(0x5850, 0x10);
	ram[0x5864] = 1;
	put64(0x21 * 8, gate(0x30, 0, 0x85, 0));
	ok(faulted(emu_interrupt(&emu, 0x21, false, 0), 1) && emu.fault.error == DR6_BT &&
	   !emu.fault.has_error && emu.rip == 0x77, "a TSS with its T bit is #DB in the new task");

	reset_gdt(EMU_PROT32);
	ok(selector_fault(RUN("\xea\0\0\0\0\x28\0"), 13, 0x28), "a busy task is #GP");
	describe(0x30, 0x5800, 0x66, 0x0089);
	ok(selector_fault(RUN("\xea\0\0\0\0\x30\0"), 10, 0x30), "a short TSS is #TS");
	describe(0x30, 0x5800, 0x67, 0x0089);
	put32(0x5820, 0x4321);
	put32(0x584c, 0x10);
	ok(selector_fault(RUN("\xea\0\0\0\0\x30\0"), 10, 0x10) && emu.rip == 0x4321,
	   "data as CS is #TS in the new task");
	ok(access_byte(0x28) == 0x89 && access_byte(0x30) == 0x8b,
	   "JMP frees the old task");
}

/* The instructions of groups 7 and 15, and others that are one of a kind. */
static void test_rare(void)
{
	reset(EMU_LONG);
	is(RUN("\x0f\x01\xd0"), EMU_OK, "XGETBV");
	ok(emu.regs[EMU_RAX] == 7 && !emu.regs[EMU_RDX], "answers in EDX:EAX");
	is(RUN("\x0f\x01\xd1"), EMU_OK, "XSETBV");
	is(control_last, EMU_CTL_XSETBV, "is the owner's to check");
	emu.cpl = 3;
	ok(faulted(RUN("\x0f\x01\xd1"), 13), "XSETBV at CPL 3 is #GP");
	ok(faulted(RUN("\x0f\x01\xf8"), 13), "SWAPGS at CPL 3 is #GP");
	RUN("\x0f\x01\xc1");
	is(control_last, EMU_CTL_HYPERCALL, "VMCALL is the owner's");
	cr[4] &= ~0x40000ull;
	ok(faulted(RUN("\x0f\x01\xd0"), 6), "XGETBV without OSXSAVE is #UD");
	ok(faulted(RUN("\xc5\xf8\x10\x03"), 6), "so is AVX");

	reset(EMU_LONG);
	is(RUN("\x0f\x08"), EMU_OK, "INVD");
	is(RUN("\x0f\x09"), EMU_OK, "WBINVD");
	ok(faulted(RUN("\x66\x0f\x38\x82\x00"), 6), "no guest has INVPCID");
	emu.rip = 0x1000;
	msr_value = 0x123456000;
	segs[SEG_GS].base = 0x777000;
	is(RUN("\x0f\x01\xf8"), EMU_OK, "SWAPGS");
	ok(segs[SEG_GS].base == 0x123456000 && msr_value == 0x777000 &&
	   msr_index == 0xc0000102, "exchanges GS and KERNEL_GS_BASE");
	msr_value = 9;
	is(RUN("\x0f\x01\xf9"), EMU_OK, "RDTSCP");
	ok(emu.regs[EMU_RCX] == 9 && emu.regs[EMU_RDX] == 0x11223344,
	   "has TSC_AUX in ECX");
	ok(faulted(RUN("\xf3\x0f\xae\xd0"), 6), "WRFSBASE needs CR4.FSGSBASE");
	cr[4] |= 0x10000;
	emu.regs[EMU_RAX] = 0x1122334455;
	is(RUN("\xf3\x48\x0f\xae\xd0"), EMU_OK, "WRFSBASE");
	is(segs[SEG_FS].base, 0x1122334455, "sets the base");
	RUN("\xf3\x48\x0f\xae\xc3");
	is(emu.regs[EMU_RBX], 0x1122334455, "RDFSBASE reads it");
	emu.regs[EMU_RAX] = 0x800000000000;
	ok(faulted(RUN("\xf3\x48\x0f\xae\xd0"), 13), "non-canonical is #GP");
	is(RUN("\x66\x0f\xc8"), EMU_UNHANDLED, "BSWAP of 16 bits is not guessed");
	ram[0x9000] = 0x5c;
	emu.regs[EMU_RSP] = 0x9000;
	is(RUN("\x8f\x44\x24\x10"), EMU_OK, "POP [RSP + 10]");
	is(ram[0x9018], 0x5c, "goes by the new RSP");
	emu.regs[EMU_RSP] = 0x9000;
	is(RUN("\x5c"), EMU_OK, "POP RSP");
	is(emu.regs[EMU_RSP], 0x5c, "leaves what was popped");

	reset(EMU_REAL);
	cr[0] = 0x60000010;
	RUN("\x0f\x01\xe0");
	is(emu.regs[EMU_RAX], 0x10, "SMSW AX");
	emu.regs[EMU_RAX] = 0xfff1;
	is(RUN("\x0f\x01\xf0"), EMU_OK, "LMSW");
	is(cr[0], 0x60000011, "sets PE and leaves what it may not touch");
	emu.regs[EMU_RAX] = 0;
	RUN("\x0f\x01\xf0");
	is(cr[0], 0x60000011, "and cannot clear PE");
	emu.regs[EMU_RBX] = 0x10;
	fpu.cw = 0x37f;
	RUN("\xd9\x3f");
	is(word(0x2010), 0x37f, "FNSTCW");
	ram[0x2010] = 0x72;
	RUN("\xd9\x2f");
	is(fpu.cw, 0x372, "FLDCW");
	fpu.sw = 0x4100;
	RUN("\xdf\xe0");
	is(emu.regs[EMU_RAX], 0x4100, "FNSTSW AX");
	RUN("\xdd\x3f");
	is(word(0x2010), 0x4100, "FNSTSW");
	fpu.sw = 1;
	ram[0x2010] = 0x7e;
	RUN("\xd9\x2f");
	is(fpu.sw, 0x8081, "FLDCW that unmasks an exception makes it pending");
	is(RUN("\x9b"), EMU_UNHANDLED, "without CR0.NE it is not ours to report");
	cr[0] |= 0x20;
	ok(faulted(RUN("\x9b"), 16), "with it FWAIT is #MF");
	ok(faulted(RUN("\x0f\x6f\x07"), 16), "so is MOVQ to an MMX register");
	RUN("\xdb\xe2");
	is(fpu.sw, 0, "FNCLEX");
	fpu.cw = 1;
	fpu.tags = 3;
	is(RUN("\xdb\xe3"), EMU_OK, "FNINIT");
	ok(fpu.cw == 0x37f && !fpu.tags, "resets");
	fpu.mxcsr = 0x1f80;
	RUN("\x0f\xae\x1f");
	is(word(0x2010), 0x1f80, "STMXCSR");
	ram[0x2010] = 0x81;
	RUN("\x0f\xae\x17");
	is(fpu.mxcsr, 0x1f81, "LDMXCSR");
	ram[0x2012] = 1;
	ok(faulted(RUN("\x0f\xae\x17"), 13), "a reserved bit is #GP");
	memset(fpu.xmm, 0x5a, sizeof(fpu.xmm));
	is(RUN("\x0f\xae\x07"), EMU_OK, "FXSAVE");
	ok(word(0x2010) == 0x37f && word(0x2010 + 24) == 0x1f81 &&
	   ram[0x2010 + 287] == 0x5a && !ram[0x2010 + 288],
	   "stores up to XMM7 outside of 64-bit mode");
	memset(&fpu, 0, sizeof(fpu));
	fpu.mxcsr_mask = 0xffff;
	is(RUN("\x0f\xae\x0f"), EMU_OK, "FXRSTOR");
	ok(fpu.cw == 0x37f && fpu.xmm[7][15] == 0x5a && !fpu.xmm[8][0], "loads it");
	emu.regs[EMU_RBX] = 8;
	ok(faulted(RUN("\x0f\xae\x07"), 13), "unaligned FXSAVE is #GP");
	emu.regs[EMU_RBX] = 0x10;
	is(RUN("\x9b"), EMU_OK, "FWAIT");
	cr[0] |= 0xa;
	ok(faulted(RUN("\x9b"), 7), "FWAIT with MP and TS is #NM");
	ok(faulted(RUN("\xdb\xe3"), 7), "FNINIT with TS is #NM");
	is(RUN("\x66\x0f\xae\x3f"), EMU_OK, "CLFLUSHOPT");
	fault_page = 0x2000;
	ok(faulted(RUN("\x66\x0f\xae\x3f"), 14) && emu.fault.cr2 == 0x2010,
	   "faults like a load");
}

int main(void)
{
	test_real_mode();
	test_vm86();
	test_protection();
	test_ports();
	test_restart();
	test_decoder();
	test_system();
	test_rare();
	test_segment_loads();
	test_far();
	test_far_pointers();
	test_interrupts();
	test_task_switch();
	return done();
}
