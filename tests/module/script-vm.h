/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine whose guest carries out a script (images/guests/script.h). A test
 * adds operations, each with what the manual says must become of it, and
 * script_run() lets the guest do them and compares. Many operations make one
 * TAP line; the first few that differ are shown with the state that the test
 * keeps in "context".
 */
#ifndef SCRIPT_VM_H
#define SCRIPT_VM_H

#include "vm.h"
#include "script.h"

#define PF	14
#define PORT_BYTES	0x48	/* for strings of bytes */
#define PORT_OPS	0x1000	/* and an operation's number: its INS or OUTS */
#define CONTEXT	12	/* numbers that a test wants to see with a difference */

struct want {
	uint8_t vector, or_vector;
	bool fault_rip;		/* a fault leaves RIP at the instruction */
	uint32_t error;
	uint64_t cr2;
	bool has_count;
	uint64_t count;
	uint64_t value, mask;	/* of the result's bits under the mask */
	int exits, got_exits;	/* INS and OUTS end up in user space */
	uint32_t outs;		/* what OUTS must send */
	uint32_t optional;	/* bits of the error code that may be missing */
	uint64_t sent, addr;
	uint64_t context[CONTEXT];
	const char *text;
};

struct script {
	struct vm vm;
	int bits;
	struct op *op;
	int n;
	struct want want[SCRIPT_MAX];
	uint64_t context[CONTEXT];
	void (*show)(const uint64_t *context);
	uint32_t ins;		/* what INS gets: this and the operation's number */
	uint32_t bytes_sum;	/* of what came to PORT_BYTES */
	uint8_t bytes_in;
	long ops, bad;
	bool dead;
};

static inline void script_create(struct script *s, int bits)
{
	static const uint64_t gdt[7] = {
		0, 0x00cf9b000000ffff, 0x00cf93000000ffff,
		0x00cffb000000ffff, 0x00cff3000000ffff,
		0x0000890000000067 | SCRIPT_TSS << 16,
	};
	struct kvm_sregs r;
	uint32_t stack = STACK;
	uint64_t *g;

	memset(s, 0, sizeof(*s));
	s->bits = bits;
	if (bits == 64)
		VM_START(&s->vm, 64, long_script);
	else
		VM_START(&s->vm, 32, prot_script);
	g = memcpy(s->vm.mem + SCRIPT_GDT, gdt, sizeof(gdt));
	if (bits == 64) {	/* L for D */
		g[1] ^= 3ULL << 53;
		g[3] ^= 3ULL << 53;
	}
	memset(s->vm.mem + SCRIPT_TSS, 0, 104);
	memcpy(s->vm.mem + SCRIPT_TSS + 4, &stack, 4);
	s->vm.mem[SCRIPT_TSS + 0x66] = 104;	/* no I/O bitmap */
	s->vm.mem[SCRIPT_TSS + 8] = bits == 64 ? 0 : 0x10;
	ioctl(s->vm.vcpu, KVM_GET_SREGS, &r);
	r.gdt.base = SCRIPT_GDT;
	r.gdt.limit = sizeof(gdt) - 1;
	r.ds.dpl = 3;
	r.ds.selector = SELECTOR_USER_DATA;
	r.es = r.ds;
	if (ioctl(s->vm.vcpu, KVM_SET_SREGS, &r) < 0)
		bail_out("KVM_SET_SREGS: %s", strerror(errno));
	s->op = (void *)(s->vm.mem + SCRIPT);
	s->ins = 0x10000000;
}

/* Add an operation that must not fault; the caller may change what is wanted. */
static inline struct want *script_add(struct script *s, int kind, int user,
				      uint64_t addr, uint64_t value)
{
	struct want *w = &s->want[s->n];

	if (kind == INS || kind == OUTS)
		value = (uint64_t)(PORT_OPS + s->n) << 32;
	if (s->n >= SCRIPT_MAX - 1)
		bail_out("a script of more than %d operations", SCRIPT_MAX);
	s->op[s->n++] = (struct op){ .kind = kind, .user = user, .addr = addr,
		.value = value, .flags = 0x3002 };
	*w = (struct want){ .vector = VECTOR_DONE, .sent = value, .addr = addr };
	memcpy(w->context, s->context, sizeof(w->context));
	return w;
}

static inline struct op *script_op(struct script *s, const struct want *w)
{
	return &s->op[w - s->want];
}

/* What an INS gets: different each time. */
static inline uint32_t script_ins(struct script *s, const struct want *w)
{
	return s->ins + (w - s->want);
}

static inline void script_exits(struct script *s)
{
	struct kvm_run *run = s->vm.run;
	struct want *w;
	uint32_t *v;

	while (!s->dead) {
		int r = vm_run_once(&s->vm);

		if (r == -EAGAIN || r == -EINTR)
			continue;
		if (r == 0 && run->exit_reason == KVM_EXIT_HLT)
			return;
		if (r == 0 && run->exit_reason == KVM_EXIT_IO &&
		    run->io.port == PORT_BYTES) {
			uint8_t *p = (uint8_t *)run + run->io.data_offset;

			for (uint32_t i = 0; i < run->io.count; i++) {
				if (run->io.direction == KVM_EXIT_IO_IN)
					p[i] = s->bytes_in++;
				else
					s->bytes_sum = s->bytes_sum * 31 + p[i];
			}
			continue;
		}
		if (r == 0 && run->exit_reason == KVM_EXIT_MMIO)
			continue;
		if (r < 0 || run->exit_reason != KVM_EXIT_IO || run->io.size != 4) {
			note("the guest ended: KVM_RUN %d, exit reason %d", r,
			     run->exit_reason);
			vm_show_state(&s->vm);
			s->bad++;
			s->dead = true;
			return;
		}
		w = &s->want[(run->io.port - PORT_OPS) % SCRIPT_MAX];
		v = (uint32_t *)((uint8_t *)run + run->io.data_offset);
		w->got_exits += run->io.count;
		if (run->io.direction == KVM_EXIT_IO_IN)
			*v = script_ins(s, w);
		else if (*v != w->outs && s->bad++ < 5)
			note("operation %d: OUTS sent 0x%x, not 0x%x",
			     (int)(w - s->want), *v, w->outs);
	}
}

static const char *const kind_names[KINDS] = {
	"read", "write", "add", "fetch", "outs", "ins", "write 1", "write 2",
	"xchg", "or", "and", "stos", "bts", "btr", "read 8", "write 8", "cmpxchg8b",
	"mov cr0", "mov cr3", "mov cr4", "get cr4", "wrmsr", "rdmsr", "invlpg",
	"mov fs", "rep outs", "rep ins", "wrpkru",
};

static inline void script_compare(struct script *s, int i)
{
	const struct want *w = &s->want[i];
	const struct op *o = &s->op[i];
	uint64_t stub = (o->user ? SCRIPT_USER : SCRIPT_STUBS) + o->kind * 32;
	bool fault = w->vector != VECTOR_DONE;

	if (w->or_vector && o->vector == w->or_vector && o->vector != w->vector)
		return;
	if (o->vector == w->vector &&
	    (!fault || !((o->error ^ w->error) & ~w->optional)) &&
	    (w->vector != PF || o->cr2 == w->cr2) &&
	    (!fault || !w->fault_rip || o->rip == (o->kind == EXEC ? w->addr : stub)) &&
	    w->exits == w->got_exits && (!w->has_count || o->count == w->count) &&
	    !((o->value ^ w->value) & w->mask))
		return;
	if (s->bad++ >= 5)
		return;
	note("operation %d: %s %s 0x%llx value 0x%llx%s%s", i,
	     o->user ? "user" : "kernel", kind_names[o->kind],
	     (unsigned long long)w->addr, (unsigned long long)w->sent,
	     w->text ? ": " : "", w->text ? w->text : "");
	if (s->show)
		s->show(w->context);
	if (w->exits != w->got_exits)
		note("  %d exits to user space, expected %d", w->got_exits, w->exits);
	note("  got      vector %d error 0x%x cr2 0x%llx value 0x%llx rip 0x%llx cx 0x%llx",
	     o->vector, o->error, (unsigned long long)o->cr2,
	     (unsigned long long)o->value, (unsigned long long)o->rip,
	     (unsigned long long)o->count);
	note("  expected vector %d error 0x%x cr2 0x%llx value 0x%llx of 0x%llx",
	     w->vector, w->error, (unsigned long long)w->cr2,
	     (unsigned long long)w->value, (unsigned long long)w->mask);
}

/* Run what was added and compare; then the script is empty again. */
static inline void script_run(struct script *s)
{
	s->op[s->n].kind = SCRIPT_END;
	script_exits(s);
	s->bad += s->dead;
	for (int i = 0; i < s->n && !s->dead; i++)
		script_compare(s, i);
	s->ins += s->n;
	s->ops += s->n;
	s->n = 0;
}

/* Room for n more operations. */
static inline void script_room(struct script *s, int n)
{
	if (s->n + n >= SCRIPT_MAX)
		script_run(s);
}

/* The TAP line for all since the last. */
#define script_ok(s, ...) do {			\
	script_run(s);				\
	ok((s)->bad == 0, __VA_ARGS__);		\
	if ((s)->bad)				\
		note("%ld differences", (s)->bad); \
	(s)->bad = (s)->ops = 0;		\
} while (0)

#endif /* SCRIPT_VM_H */
