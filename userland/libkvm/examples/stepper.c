// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guest debugging: runs a flat 32-bit file to an address, then shows the
 * registers that each instruction changes, until HLT.
 *
 *	stepper FILE [ADDRESS [STEPS]]	FILE at 0x100000, where it starts
 *
 *	cc -o stepper stepper.c $(pkg-config --cflags --libs libkvm)
 */
#include <stdio.h>
#include <stdlib.h>
#include <libkvm.h>

struct stepper {
	struct kvm_context *kvm;
	struct kvm_regs last;
	long left;
};

static void show(const char *name, unsigned long long old, unsigned long long new)
{
	if (old != new)
		printf("  %s %llx", name, new);
}

/* Called at the breakpoint, and then after each instruction. */
static int stopped(void *opaque, int vcpu, const struct kvm_debug_exit_arch *arch)
{
	struct stepper *s = opaque;
	struct kvm_regs r;

	if (arch->dr6 & 1) {
		kvm_clear_breakpoint(s->kvm, vcpu, 0);
		kvm_single_step(s->kvm, vcpu, 1);
	}
	kvm_get_regs(s->kvm, vcpu, &r);
	printf("%llx", r.rip);
	show("rax", s->last.rax, r.rax);
	show("rbx", s->last.rbx, r.rbx);
	show("rcx", s->last.rcx, r.rcx);
	show("rdx", s->last.rdx, r.rdx);
	show("rsi", s->last.rsi, r.rsi);
	show("rdi", s->last.rdi, r.rdi);
	show("rbp", s->last.rbp, r.rbp);
	show("rsp", s->last.rsp, r.rsp);
	putchar('\n');
	s->last = r;
	return --s->left == 0;
}

int main(int argc, char **argv)
{
	static const struct kvm_callbacks callbacks = { .debug = stopped };
	struct stepper s = { .left = argc > 3 ? atol(argv[3]) : -1 };
	unsigned long long address = argc > 2 ? strtoull(argv[2], NULL, 0) :
						LIBKVM_ENTRY_32;
	void *memory;
	int r = -1;

	if (argc < 2) {
		fprintf(stderr, "usage: stepper FILE [ADDRESS [STEPS]]\n");
		return 1;
	}
	s.kvm = kvm_init(&callbacks, &s);
	if (s.kvm && kvm_create(s.kvm, 16 << 20, &memory) == 0 &&
	    kvm_load_file(s.kvm, LIBKVM_ENTRY_32, argv[1]) > 0 &&
	    kvm_enter_32(s.kvm, 0, LIBKVM_ENTRY_32) == 0 &&
	    kvm_set_breakpoint(s.kvm, 0, 0, LIBKVM_BREAK_EXEC, address, 1) == 0)
		r = kvm_run(s.kvm, 0);
	if (r < 0)
		fprintf(stderr, "stepper: %s\n", kvm_error(s.kvm));
	kvm_finalize(s.kvm);
	return r < 0;
}
