// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The states that a guest is started in: real mode, 32-bit protected mode with
 * flat segments, and 64-bit mode with the first 4 GiB mapped. Values are those of a processor after reset (SDM 3A
 * table 11-1) except where libkvm.h says otherwise.
 */
#include <string.h>

#include "internal.h"

#define CR0_PE		0x00000001
#define CR0_ET		0x00000010
#define CR0_NW		0x20000000
#define CR0_CD		0x40000000
#define CR0_PG		0x80000000
#define CR4_PAE		0x00000020
#define EFER_LME	0x00000100
#define EFER_LMA	0x00000400
#define RFLAGS_FIXED	0x2

/* Types of segments and descriptors, SDM 3A 3.4.5.1 and 3.5. */
enum {
	TYPE_DATA_RW_A = 3,
	TYPE_CODE_RX_A = 11,
	TYPE_LDT = 2,
	TYPE_TSS32_BUSY = 11,
};

static struct kvm_segment real_segment(uint16_t selector, uint8_t type)
{
	struct kvm_segment s = {
		.base = (uint64_t)selector << 4, .limit = 0xffff,
		.selector = selector, .type = type, .present = 1, .s = 1,
	};

	return s;
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type)
{
	struct kvm_segment s = {
		.base = 0, .limit = 0xffffffff, .selector = selector,
		.type = type, .present = 1, .s = 1, .db = 1, .g = 1,
	};

	return s;
}

/* What both modes have in common; keeps the APIC base. */
static void reset_system(struct kvm_sregs *s)
{
	struct kvm_segment system = { .limit = 0xffff, .present = 1 };

	s->tr = system;
	s->tr.type = TYPE_TSS32_BUSY;
	s->ldt = system;
	s->ldt.type = TYPE_LDT;
	memset(&s->gdt, 0, sizeof(s->gdt));
	memset(&s->idt, 0, sizeof(s->idt));
	s->gdt.limit = 0xffff;
	s->idt.limit = 0xffff;
	s->cr0 = CR0_ET | CR0_NW | CR0_CD;
	s->cr2 = 0;
	s->cr3 = 0;
	s->cr4 = 0;
	s->cr8 = 0;
	s->efer = 0;
	memset(s->interrupt_bitmap, 0, sizeof(s->interrupt_bitmap));
}

int kvm_enter_16(struct kvm_context *kvm, int vcpu, uint16_t cs, uint16_t ip)
{
	struct kvm_regs regs = { .rip = ip, .rflags = RFLAGS_FIXED };
	struct kvm_segment data = real_segment(0, TYPE_DATA_RW_A);
	struct kvm_sregs sregs;
	int r;

	r = kvm_get_sregs(kvm, vcpu, &sregs);
	if (r < 0)
		return r;
	reset_system(&sregs);
	sregs.cs = real_segment(cs, TYPE_CODE_RX_A);
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	r = kvm_set_sregs(kvm, vcpu, &sregs);
	return r < 0 ? r : kvm_set_regs(kvm, vcpu, &regs);
}

/* Protected mode as both entries want it, in @sregs, with its table in memory. */
static int protected_mode(struct kvm_context *kvm, int vcpu,
			  struct kvm_sregs *sregs)
{
	static const uint64_t gdt[] = {
		0,
		0x00cf9b000000ffffULL,	/* 0x08: code, execute and read, 4 GiB */
		0x00cf93000000ffffULL,	/* 0x10: data, read and write, 4 GiB */
		0x00af9b000000ffffULL,	/* 0x18: code, 64-bit */
	};
	struct kvm_segment data = flat_segment(0x10, TYPE_DATA_RW_A);
	void *table = kvm_guest_memory(kvm, LIBKVM_GDT, sizeof(gdt));
	int r;

	r = kvm_get_sregs(kvm, vcpu, sregs);
	if (r < 0)
		return r;
	if (!table)
		return kvm__fail(EFAULT, "The guest has no memory at 0x%lx, where its "
				 "descriptor table goes.", LIBKVM_GDT);
	memcpy(table, gdt, sizeof(gdt));
	reset_system(sregs);
	sregs->gdt.base = LIBKVM_GDT;
	sregs->gdt.limit = sizeof(gdt) - 1;
	sregs->idt.limit = 0;
	sregs->cr0 = CR0_ET | CR0_PE;
	sregs->cs = flat_segment(0x08, TYPE_CODE_RX_A);
	sregs->ds = sregs->es = sregs->fs = sregs->gs = sregs->ss = data;
	return 0;
}

static int start(struct kvm_context *kvm, int vcpu, const struct kvm_sregs *sregs,
		 uint64_t entry)
{
	struct kvm_regs regs = {
		.rip = entry, .rflags = RFLAGS_FIXED, .rsp = LIBKVM_LOW_END,
	};
	int r = kvm_set_sregs(kvm, vcpu, sregs);

	return r < 0 ? r : kvm_set_regs(kvm, vcpu, &regs);
}

int kvm_enter_32(struct kvm_context *kvm, int vcpu, uint32_t entry)
{
	struct kvm_sregs sregs;
	int r = protected_mode(kvm, vcpu, &sregs);

	return r < 0 ? r : start(kvm, vcpu, &sregs, entry);
}

/* One page for each of the upper two levels, four of 512 pages of 2 MiB. */
static int map_4gib(struct kvm_context *kvm)
{
	enum { PRESENT_WRITABLE = 0x3, LARGE = 0x80 };
	uint64_t *table = kvm_guest_memory(kvm, LIBKVM_PAGE_TABLES,
					   LIBKVM_PAGE_TABLES_END - LIBKVM_PAGE_TABLES);

	if (!table)
		return kvm__fail(EFAULT, "The guest has no memory at 0x%lx, where its page "
				 "tables go.", LIBKVM_PAGE_TABLES);
	memset(table, 0, LIBKVM_PAGE_TABLES_END - LIBKVM_PAGE_TABLES);
	table[0] = (LIBKVM_PAGE_TABLES + PAGE_BYTES) | PRESENT_WRITABLE;
	for (uint64_t i = 0; i < 4; i++)
		table[512 + i] = (LIBKVM_PAGE_TABLES + (2 + i) * PAGE_BYTES) |
				 PRESENT_WRITABLE;
	for (uint64_t i = 0; i < 4 * 512; i++)
		table[1024 + i] = i << 21 | LARGE | PRESENT_WRITABLE;
	return 0;
}

int kvm_enter_64(struct kvm_context *kvm, int vcpu, uint64_t entry)
{
	struct kvm_sregs sregs;
	int r = protected_mode(kvm, vcpu, &sregs);

	if (r == 0)
		r = map_4gib(kvm);
	if (r < 0)
		return r;
	sregs.cr0 |= CR0_PG;
	sregs.cr3 = LIBKVM_PAGE_TABLES;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME | EFER_LMA;
	sregs.cs.selector = 0x18;
	sregs.cs.db = 0;
	sregs.cs.l = 1;
	return start(kvm, vcpu, &sregs, entry);
}
