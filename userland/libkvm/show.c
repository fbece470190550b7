// SPDX-License-Identifier: LGPL-2.1-or-later
/* Registers for people. 80 columns, so that a serial console shows them. */
#include "internal.h"

typedef unsigned long long ull;

static void show_segment(FILE *f, const char *name, const struct kvm_segment *s)
{
	fprintf(f, "%-4s %04x base %016llx limit %08x type %x s%d dpl%d p%d db%d l%d g%d\n",
		name, s->selector, (ull)s->base, s->limit, s->type, s->s, s->dpl,
		s->present, s->db, s->l, s->g);
}

static const char *mode_name(const struct kvm_sregs *s, const struct kvm_regs *r)
{
	if (!(s->cr0 & 1))
		return "real mode";
	if (r->rflags & 1 << 17)
		return "virtual 8086 mode";
	if (s->efer & 1 << 10)
		return s->cs.l ? "64-bit mode" : "compatibility mode";
	return s->cs.db ? "32-bit protected mode" : "16-bit protected mode";
}

int kvm_print_regs(struct kvm_context *kvm, int vcpu, FILE *f)
{
	struct kvm_regs r;
	struct kvm_sregs s;
	int err;

	err = kvm_get_regs(kvm, vcpu, &r);
	if (err < 0)
		return err;
	err = kvm_get_sregs(kvm, vcpu, &s);
	if (err < 0)
		return err;
	fprintf(f, "vCPU %d, %s\n", vcpu, mode_name(&s, &r));
	fprintf(f, "rax %016llx  rbx %016llx  rcx %016llx\n", (ull)r.rax, (ull)r.rbx,
		(ull)r.rcx);
	fprintf(f, "rdx %016llx  rsi %016llx  rdi %016llx\n", (ull)r.rdx, (ull)r.rsi,
		(ull)r.rdi);
	fprintf(f, "rsp %016llx  rbp %016llx  r8  %016llx\n", (ull)r.rsp, (ull)r.rbp,
		(ull)r.r8);
	fprintf(f, "r9  %016llx  r10 %016llx  r11 %016llx\n", (ull)r.r9, (ull)r.r10,
		(ull)r.r11);
	fprintf(f, "r12 %016llx  r13 %016llx  r14 %016llx\n", (ull)r.r12, (ull)r.r13,
		(ull)r.r14);
	fprintf(f, "r15 %016llx  rip %016llx  rfl %016llx\n", (ull)r.r15, (ull)r.rip,
		(ull)r.rflags);
	show_segment(f, "cs", &s.cs);
	show_segment(f, "ds", &s.ds);
	show_segment(f, "es", &s.es);
	show_segment(f, "fs", &s.fs);
	show_segment(f, "gs", &s.gs);
	show_segment(f, "ss", &s.ss);
	show_segment(f, "tr", &s.tr);
	show_segment(f, "ldt", &s.ldt);
	fprintf(f, "gdt  base %016llx limit %04x   idt  base %016llx limit %04x\n",
		(ull)s.gdt.base, s.gdt.limit, (ull)s.idt.base, s.idt.limit);
	fprintf(f, "cr0 %08llx  cr2 %016llx  cr3 %016llx\n", (ull)s.cr0, (ull)s.cr2,
		(ull)s.cr3);
	fprintf(f, "cr4 %08llx  cr8 %llx  efer %llx  apic base %llx\n", (ull)s.cr4,
		(ull)s.cr8, (ull)s.efer, (ull)s.apic_base);
	return 0;
}

int kvm_show_regs(struct kvm_context *kvm, int vcpu)
{
	return kvm_print_regs(kvm, vcpu, stderr);
}
