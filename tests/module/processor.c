// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * processor: what a vCPU must do as a processor does it, whoever the vendor is:
 * exceptions and interrupts through the guest's own tables, NMIs one at a time,
 * registers that belong to one vCPU only, PAE paging, breakpoints and single
 * steps. The guests report by writing letters to port 0x10; a word to port 0x14
 * is a value. They end with HLT.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMORY		(4u << 20)
#define CODE		0x1000
#define STACK		0x8000
#define TABLES		0x10000		/* page tables */
#define GDT		0x20000
#define IDT		0x21000
#define TSS		0x22000

#define STR(x)		#x
#define XSTR(x)		STR(x)

/* Guest code runs at CODE; labels are relative to its own start. */
#define GUEST(name, bits, body)						\
	asm(".pushsection .rodata\n.balign 16\n"			\
	    ".globl " #name ", " #name "_end\n"				\
	    ".code" #bits "\n" #name ":\n" body "\n" #name "_end:\n"	\
	    ".code64\n.popsection");					\
	extern const uint8_t name[], name##_end[]

#define SAY(c)	"push %rax; mov $'" c "', %al; out %al, $0x10; pop %rax\n"

/* Real mode: waits for interrupt 0x20, vector set to 0:CODE + 0x40. */
GUEST(real_irq, 16,
	"mov $'a', %al; out %al, $0x10\n"
	"sti; nop\n"
	"1: jmp 1b\n"
	".org real_irq + 0x40\n"
	"mov $'b', %al; out %al, $0x10\n"
	"hlt\n");

/* Real mode: no vector can be delivered, as the table is empty (there are zeros). */
GUEST(real_shutdown, 16,
	"lidt 0x6000\n"
	"int3\n"
	"hlt\n");

/*
 * To protected mode, where FS gets null, and back. (DS's selector has an RPL that is
 * none to VMX.)
 */
GUEST(null_segment, 16,
	"lgdt 0x6000; mov $3, %ax; mov %ax, %ds\n"
	"mov %cr0, %eax; or $1, %al; mov %eax, %cr0\n"
	"ljmp $0x18, $" XSTR(CODE) " + 1f - null_segment\n"
	"1: xor %ax, %ax; mov %ax, %fs\n"
	"mov %cr0, %eax; and $0xfe, %al; mov %eax, %cr0\n"
	"ljmp $0, $" XSTR(CODE) " + 1f - null_segment\n"
	"1: mov $0x600, %ax; mov %ax, %fs; mov %fs:0x10, %eax; out %eax, $0x14\n"
	"hlt\n");

/*
 * 64-bit: one exception of each kind. Every handler but #PF's is a stub that
 * says the vector's letter ('A' + vector) and goes to the address in %r15.
 */
GUEST(exceptions, 64,
	/* #DE */
	"lea 1f(%rip), %r15; xor %ecx, %ecx; div %ecx; 1:\n"
	/* #BP, #OF's neighbour: a trap, RIP is behind it */
	"lea 1f(%rip), %r15; int3; 1:\n"
	/* #UD: by the processor, and by VMX and SVM instructions */
	"lea 1f(%rip), %r15; ud2; 1:\n"
	"lea 1f(%rip), %r15; .byte 0xf3, 0x0f, 0xc7, 0x34, 0x24; 1:\n" /* vmxon */
	"lea 1f(%rip), %r15; .byte 0x0f, 0x01, 0xda; 1:\n"	/* vmload */
	/* #GP: an MSR that is none, a bit of CR4 that is none, XCR0 = 0 */
	"lea 1f(%rip), %r15; mov $0x12345, %ecx; rdmsr; 1:\n"
	"lea 1f(%rip), %r15; mov %cr4, %rax; bts $31, %rax; mov %rax, %cr4; 1:\n"
	"lea 1f(%rip), %r15; mov $0x30, %eax; mov %ax, %ds; 1:\n"
	/* #PF: the handler writes CR2 and the error code */
	"lea 1f(%rip), %r15; mov $0x40000123, %ebx; movb $1, (%rbx); 1:\n"
	/* software interrupt */
	"lea 1f(%rip), %r15; int $0x16; 1:\n"
	"hlt\n");

/* The common part of handlers: %rbx is saved by nobody. */
GUEST(stub, 64,
	"push %rax; mov $0, %al; out %al, $0x10; pop %rax\n"	/* $0: patched */
	"mov $" XSTR(STACK) ", %esp\n"
	"jmp *%r15\n");
GUEST(stub_pf, 64,
	"pop %rbx\n"
	"mov %cr2, %rax; out %eax, $0x14\n"
	"mov %ebx, %eax; out %eax, $0x14\n"
	"mov $'O', %al; out %al, $0x10\n"
	"mov $" XSTR(STACK) ", %esp\n"
	"jmp *%r15\n");

/* Interrupts and NMIs that return. */
GUEST(stub_iret, 64,
	"push %rax; mov $'(', %al; out %al, $0x10\n"
	"mov $')', %al; out %al, $0x10; pop %rax\n"
	"iretq\n");
GUEST(idle, 64,
	"mov $'-', %al; out %al, $0x10\n"
	"sti\n"
	"mov $20, %ecx\n"
	"1: mov $'.', %al; out %al, $0x10; loop 1b\n"
	"hlt\n");

/* Registers that must be this vCPU's own: written, then read after exits. */
GUEST(registers, 64,
	"mov %edi, %r8d\n"
	"lea list(%rip), %rsi\n"
	"1: lodsl; mov %eax, %ecx; test %ecx, %ecx; jz 2f\n"
	"mov %r8d, %eax; xor %edx, %edx; wrmsr; inc %r8d; jmp 1b\n"
	"2: mov $'w', %al; out %al, $0x10\n"
	"mov $'w', %al; out %al, $0x10\n"
	"lea list(%rip), %rsi\n"
	"1: lodsl; mov %eax, %ecx; test %ecx, %ecx; jz 2f\n"
	"rdmsr; out %eax, $0x14; jmp 1b\n"
	"2: hlt\n"
	"list: .long 0xc0000100, 0xc0000101, 0xc0000102, 0xc0000082, 0xc0000083\n"
	".long 0xc0000084, 0xc0000081, 0x174, 0x175, 0x176, 0\n");

/*
 * Reads the registers of the list at LIST and sets bits in them: their numbers, the
 * bits. Says which are #GP.
 */
#define LIST		0x6000
GUEST(msrs, 64,
	"mov $" XSTR(LIST) ", %esi; lea 2f(%rip), %r15\n"
	"1: lodsl; mov %eax, %ecx; lodsl; mov %eax, %ebx; test %ecx, %ecx; jz 3f\n"
	"rdmsr; or %ebx, %eax; test %ebx, %ebx; jz 1b; wrmsr; jmp 1b\n"
	"2: mov %ecx, %eax; out %eax, $0x14; jmp 1b\n"
	"3: hlt\n");

/* SYSCALL goes where LSTAR says, with the return address in RCX. */
GUEST(fast_call, 64,
	"mov $0xc0000081, %ecx; xor %eax, %eax; mov $0x00080008, %edx; wrmsr\n"
	"mov $0xc0000082, %ecx; lea 1f(%rip), %rax; xor %edx, %edx; wrmsr\n"
	"mov $0xc0000080, %ecx; rdmsr; or $1, %eax; wrmsr\n"
	"syscall\n"
	"2: hlt\n"
	"1: lea 2b(%rip), %rax; cmp %rax, %rcx; jne 3f\n"
	"mov $'s', %al; out %al, $0x10; hlt\n"
	"3: mov $'x', %al; out %al, $0x10; hlt\n");

/* 32-bit, paging off: turns PAE paging on, reads through a moved mapping. */
GUEST(pae, 32,
	"mov $" XSTR(TABLES) ", %eax; mov %eax, %cr3\n"
	"mov %cr4, %eax; or $0x20, %eax; mov %eax, %cr4\n"
	"mov %cr0, %eax; or $0x80000000, %eax; mov %eax, %cr0\n"
	"mov 0x40000000, %eax; out %eax, $0x14\n"	/* third directory */
	"mov $" XSTR(TABLES) " + 0x20, %eax; mov %eax, %cr3\n"
	"mov 0x40000000, %eax; out %eax, $0x14\n"
	"hlt\n");

/* Code to step through, with an exit in it; then a breakpoint of its own. */
GUEST(stepping, 64,
	"nop\n"
	"mov $'1', %al\n"
	"out %al, $0x10\n"
	"xor %eax, %eax\n"
	"cpuid\n"
	"nop\n"
	"hlt\n");
GUEST(own_breakpoint, 64,
	"lea 1f(%rip), %rax; mov %rax, %dr0\n"
	"lea 2f(%rip), %r15\n"
	"mov $0x402, %eax; mov %rax, %dr7\n"
	"xchg %ax, %ax\n"		/* or CPUID, which exits */
	"1: nop\n"
	"mov $'n', %al; out %al, $0x10\n"
	"2: mov %dr6, %rax; out %eax, $0x14\n"
	"hlt\n");

/* Reads memory of its own, behind that of all. */
#define MORE		MEMORY
GUEST(read_more, 64,
	"mov 0x400000, %eax; out %eax, $0x14\n"
	"mov 0x401000, %eax; out %eax, $0x14\n"
	"hlt\n");

/* CR0.CD is set, and cleared again. */
GUEST(cache_disable, 64,
	"mov %cr0, %rax; bts $30, %rax; mov %rax, %cr0\n"
	"mov %cr0, %rax; out %eax, $0x14\n"
	"btr $30, %rax; mov %rax, %cr0\n"
	"mov %cr0, %rax; out %eax, $0x14\n"
	"hlt\n");

/* An exception whose stack lies where no memory is. */
GUEST(lost_stack, 64,
	"mov $0x00800000, %esp\n"
	"ud2\n"
	"hlt\n");

static int kvm, count;

static int check(int good, const char *what)
{
	printf("%sok %d - %s\n", good ? "" : "not ", ++count, what);
	fflush(stdout);
	return good;
}

struct guest {
	int vm, vcpu;
	uint8_t *memory;
	struct kvm_run *run;
	char text[256];
	unsigned int length;
	uint32_t value[32];
	unsigned int values;
	int end;		/* exit reason that ended it, -1: KVM_RUN failed */
};

static struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[128];
} cpuid;

static void guest_new(struct guest *g)
{
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY };

	memset(g, 0, sizeof(*g));
	g->vm = ioctl(kvm, KVM_CREATE_VM, 0);
	ioctl(g->vm, KVM_SET_TSS_ADDR, 0xfffbd000ul);
	g->memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	region.userspace_addr = (uintptr_t)g->memory;
	ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region);
	g->vcpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
	if (g->vm < 0 || g->vcpu < 0) {
		printf("Bail out! no VM: %s\n", strerror(errno));
		exit(1);
	}
	g->run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
		      PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
	ioctl(g->vcpu, KVM_SET_CPUID2, &cpuid);
}

static void guest_free(struct guest *g)
{
	munmap(g->run, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
	close(g->vcpu);
	close(g->vm);
	munmap(g->memory, MEMORY);
}

static void put(struct guest *g, uint32_t at, const uint8_t *from, const uint8_t *end)
{
	memcpy(g->memory + at, from, end - from);
}

/* A 64-bit interrupt gate, or the same with dpl 3. */
static void set_gate(struct guest *g, int vector, uint32_t handler)
{
	uint64_t *gate = (uint64_t *)(g->memory + IDT + 16 * vector);

	gate[0] = (handler & 0xffff) | 0x8ull << 16 | 0xee00ull << 32 |
		  (uint64_t)(handler >> 16) << 48;
	gate[1] = 0;
}

static void set_mode(struct guest *g, int bits)
{
	struct kvm_regs regs = { .rip = CODE, .rsp = STACK, .rflags = 2 };
	uint64_t *gdt = (uint64_t *)(g->memory + GDT);
	uint64_t *table = (uint64_t *)(g->memory + TABLES);
	struct kvm_segment data = {
		.limit = ~0u, .selector = 0x10, .type = 3, .present = 1,
		.db = 1, .s = 1, .g = 1,
	};
	struct kvm_sregs s;
	int i;

	ioctl(g->vcpu, KVM_GET_SREGS, &s);
	s.cs.base = 0;
	s.cs.selector = 0;
	if (bits > 16) {
		gdt[1] = bits == 64 ? 0x00af9b000000ffffull : 0x00cf9b000000ffffull;
		gdt[2] = 0x00cf93000000ffffull;
		s.gdt.base = GDT;
		s.gdt.limit = 0x17;
		s.idt.base = IDT;
		s.idt.limit = 0xfff;
		s.ds = s.es = s.fs = s.gs = s.ss = data;
		s.cs = data;
		s.cs.selector = 8;
		s.cs.type = 11;
		s.cs.db = bits == 32;
		s.cs.l = bits == 64;
		s.tr.base = TSS;
		s.tr.limit = 0x67;
		s.cr0 = 0x11;
	}
	if (bits == 64) {
		table[0] = TABLES + 0x1003;
		table[512] = TABLES + 0x2003;
		for (i = 0; i < 512; i++)
			table[1024 + i] = ((uint64_t)i << 21) | 0x83;
		s.cr3 = TABLES;
		s.cr4 |= 1 << 5;
		s.cr0 |= 1u << 31;
		s.efer |= 0x500;
	}
	if (ioctl(g->vcpu, KVM_SET_SREGS, &s))
		perror("# KVM_SET_SREGS");
	if (ioctl(g->vcpu, KVM_SET_REGS, &regs))
		perror("# KVM_SET_REGS");
}

/* Run until something else than port output, or one exit with "once". */
static int guest_run(struct guest *g, int once)
{
	struct kvm_run *run = g->run;
	uint32_t value = 0;
	int exits;

	for (exits = 0; exits < 10000; exits++) {
		if (ioctl(g->vcpu, KVM_RUN, 0)) {
			printf("# KVM_RUN: %s\n", strerror(errno));
			return g->end = -1;
		}
		if (run->exit_reason != KVM_EXIT_IO)
			break;
		memcpy(&value, (char *)run + run->io.data_offset, run->io.size);
		if (run->io.port == 0x10 && g->length < sizeof(g->text) - 1)
			g->text[g->length++] = value;
		else if (g->values < 32)
			g->value[g->values++] = value;
		if (once)
			break;
	}
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR)
		printf("# internal error %u, data %llx %llx\n", run->internal.suberror,
		       run->internal.data[0], run->internal.data[1]);
	if (run->exit_reason == KVM_EXIT_FAIL_ENTRY)
		printf("# failed entry %llx\n",
		       run->fail_entry.hardware_entry_failure_reason);
	return g->end = run->exit_reason;
}

static void expect(struct guest *g, const char *text, const char *what)
{
	if (!check(g->end == KVM_EXIT_HLT && !strcmp(g->text, text), what))
		printf("# end %d, said \"%s\", expected \"%s\"\n", g->end, g->text, text);
}

static void test_real_irq(void)
{
	struct kvm_interrupt irq = { 0x20 };
	struct guest g;

	guest_new(&g);
	put(&g, CODE, real_irq, real_irq_end);
	set_mode(&g, 16);
	*(uint16_t *)(g.memory + 4 * 0x20) = CODE + 0x40;
	*(uint16_t *)(g.memory + 4 * 0x20 + 2) = 0;
	guest_run(&g, 1);
	check(!g.run->ready_for_interrupt_injection && !g.run->if_flag,
	      "real mode: interrupts are off after power-on");
	g.run->request_interrupt_window = 1;
	check(guest_run(&g, 0) == KVM_EXIT_IRQ_WINDOW_OPEN && g.run->if_flag,
	      "real mode: the interrupt window opens with STI");
	g.run->request_interrupt_window = 0;
	check(!ioctl(g.vcpu, KVM_INTERRUPT, &irq), "KVM_INTERRUPT");
	guest_run(&g, 0);
	expect(&g, "ab", "real mode: the interrupt arrives");
	guest_free(&g);
}

static void too_long(int sig)
{
	(void)sig;
}

static void test_real_shutdown(void)
{
	struct guest g;

	guest_new(&g);
	put(&g, CODE, real_shutdown, real_shutdown_end);
	set_mode(&g, 16);
	signal(SIGALRM, too_long);
	alarm(10);
	check(guest_run(&g, 0) == KVM_EXIT_SHUTDOWN,
	      "real mode: exceptions that cannot be delivered end in a shutdown");
	alarm(0);
	guest_free(&g);
}

static void test_null_segment(void)
{
	const char *name = "a segment that was null in protected mode is one of 64 KiB in real mode";
	int fd = open("/sys/module/kvm_intel/parameters/unrestricted_guest", O_RDONLY);
	char unrestricted = 'N';
	struct guest g;

	if (fd >= 0 && read(fd, &unrestricted, 1) == 1)
		close(fd);
	if (unrestricted == 'Y') {
		printf("ok %d - %s # SKIP Bochs gives it a type that no VM entry takes\n",
		       ++count, name);
		return;
	}
	guest_new(&g);
	put(&g, CODE, null_segment, null_segment_end);
	set_mode(&g, 16);
	*(uint64_t *)(g.memory + 0x6000) = 0x1f | (uint64_t)GDT << 16;
	*(uint64_t *)(g.memory + GDT + 0x18) = 0x9b000000ffff;
	*(uint32_t *)(g.memory + 0x6010) = 0x12345678;
	alarm(10);
	guest_run(&g, 0);
	alarm(0);
	check(g.end == KVM_EXIT_HLT && g.values == 1 && g.value[0] == 0x12345678, name);
	guest_free(&g);
}

static void test_exceptions(void)
{
	static const int vectors[] = { 0, 1, 3, 6, 13, 0x16 };
	struct guest g;
	unsigned int i;

	guest_new(&g);
	put(&g, CODE, exceptions, exceptions_end);
	for (i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		uint32_t at = 0x3000 + 0x40 * i;

		put(&g, at, stub, stub_end);
		g.memory[at + 2] = 'A' + vectors[i];
		set_gate(&g, vectors[i], at);
	}
	put(&g, 0x4000, stub_pf, stub_pf_end);
	set_gate(&g, 14, 0x4000);
	set_mode(&g, 64);
	guest_run(&g, 0);
	expect(&g, "ADGGGNNNOW", "64-bit: exceptions arrive at their vectors");
	check(g.values == 2 && g.value[0] == 0x40000123 && g.value[1] == 2,
	      "64-bit: CR2 and the error code of a page fault");
	guest_free(&g);
}

static void test_interrupts(void)
{
	struct kvm_interrupt irq = { 0x30 };
	struct guest g;
	int i;

	guest_new(&g);
	put(&g, CODE, idle, idle_end);
	put(&g, 0x3000, stub_iret, stub_iret_end);
	set_gate(&g, 0x30, 0x3000);
	set_gate(&g, 2, 0x3000);
	set_mode(&g, 64);
	guest_run(&g, 1);
	g.run->request_interrupt_window = 1;
	check(guest_run(&g, 1) == KVM_EXIT_IRQ_WINDOW_OPEN,
	      "64-bit: the interrupt window opens with STI");
	g.run->request_interrupt_window = 0;
	check(!ioctl(g.vcpu, KVM_INTERRUPT, &irq), "KVM_INTERRUPT");
	for (i = 0; i < 3; i++)
		guest_run(&g, 1);
	if (!check(!strncmp(g.text, "-()", 3) || !strncmp(g.text, "-.()", 4),
		   "64-bit: an interrupt is delivered and returns"))
		printf("# %s\n", g.text);
	/* Both arrive while the first one's handler would be interruptible. */
	check(!ioctl(g.vcpu, KVM_NMI, 0) && !ioctl(g.vcpu, KVM_NMI, 0), "KVM_NMI, twice");
	g.length = 0;
	memset(g.text, 0, sizeof(g.text));
	for (i = 0; i < 6; i++)
		guest_run(&g, 1);
	if (!check(strstr(g.text, "()") && !strstr(g.text, "(("),
		   "64-bit: NMIs do not nest"))
		printf("# %s\n", g.text);
	guest_run(&g, 0);
	for (i = 0; g.text[i] == '(' || g.text[i] == ')' || g.text[i] == '.'; i++)
		;
	check(g.end == KVM_EXIT_HLT && !g.text[i], "64-bit: the loop goes on to its end");
	guest_free(&g);
}

static void test_registers(void)
{
	struct kvm_regs regs;
	struct guest g[2];
	uint32_t base[2] = { 0x1000, 0x2000 };
	int i, good = 1;
	unsigned int n;

	for (i = 0; i < 2; i++) {
		guest_new(&g[i]);
		put(&g[i], CODE, registers, registers_end);
		set_mode(&g[i], 64);
		ioctl(g[i].vcpu, KVM_GET_REGS, &regs);
		regs.rdi = base[i];
		ioctl(g[i].vcpu, KVM_SET_REGS, &regs);
	}
	/* Take turns: each one's exits come between the other's. */
	for (n = 0; n < 14; n++)
		for (i = 0; i < 2; i++)
			if (g[i].end != KVM_EXIT_HLT)
				guest_run(&g[i], 1);
	for (i = 0; i < 2; i++) {
		if (g[i].end != KVM_EXIT_HLT || g[i].values != 10)
			good = 0;
		for (n = 0; n < g[i].values; n++)
			if (g[i].value[n] != base[i] + n) {
				printf("# guest %d register %u: %x, expected %x\n",
				       i, n, g[i].value[n], base[i] + n);
				good = 0;
			}
	}
	check(good, "two vCPUs in turns keep their segment bases, SYSCALL and SYSENTER registers");
	for (i = 0; i < 2; i++)
		guest_free(&g[i]);

	guest_new(&g[0]);
	put(&g[0], CODE, fast_call, fast_call_end);
	set_mode(&g[0], 64);
	guest_run(&g[0], 0);
	expect(&g[0], "s", "SYSCALL");
	guest_free(&g[0]);
}

/* What guests read and write without asking whether it is there. */
static void test_msrs(void)
{
	static const uint32_t amd[] = {
		0x1d9, 3,
		0xc0011029, 1,	/* DE_CFG: OpenBSD, for erratum 721 */
		0xc0011020, 0,	/* LS_CFG: see below */
		0, 0,
	}, intel[] = {
		0x1d9, 3,	/* DEBUGCTL: by debuggers, LBR and BTF */
		/* EBC_FREQUENCY_ID, FSB_FREQ, BBL_CR_CTL3, PERF_STATUS */
		0x2c, 0, 0xcd, 0, 0x11e, 1 << 19, 0x198, 0, 0, 0,
	};
	int on_intel = cpuid.entries[0].ebx == 0x756e6547;
	struct guest g;
	unsigned int i;

	guest_new(&g);
	put(&g, CODE, msrs, msrs_end);
	memcpy(g.memory + LIST, on_intel ? intel : amd, on_intel ? sizeof(intel) : sizeof(amd));
	put(&g, 0x3000, stub, stub_end);
	set_gate(&g, 13, 0x3000);
	set_mode(&g, 64);
	guest_run(&g, 0);
	check(g.end == KVM_EXIT_HLT && g.values <= !on_intel,
	      "MSRs that guests take for granted are there");
	check(on_intel || g.value[0] == 0xc0011020,
	      "LS_CFG is not: Linux would disable speculative store bypass by it");
	for (i = 0; i < g.values; i++)
		printf("# MSR %x\n", g.value[i]);
	guest_free(&g);
}

/* A segment of this process's local descriptor table, as DOS emulators have them. */
static void test_own_ldt(void)
{
	struct user_desc data = { .limit = 0xfff, .seg_32bit = 1 };
	struct guest g;
	uint8_t there;

	if (syscall(SYS_modify_ldt, 1, &data, sizeof(data))) {
		printf("ok %d - this process keeps its LDT # SKIP %s\n", ++count, strerror(errno));
		return;
	}
	guest_new(&g);
	put(&g, CODE, stepping, stepping_end);
	set_mode(&g, 64);
	guest_run(&g, 1);
	asm volatile("verr %w1; setz %0" : "=q" (there) : "r" (7) : "cc");
	check(there, "this process keeps its LDT when a guest has run");
	guest_free(&g);
}

static void test_pae(void)
{
	struct guest g;
	uint64_t *table;

	guest_new(&g);
	put(&g, CODE, pae, pae_end);
	set_mode(&g, 32);
	table = (uint64_t *)(g.memory + TABLES);
	/* Directory pointers at TABLES and at TABLES + 0x20. */
	table[0] = TABLES + 0x1001;
	table[1] = TABLES + 0x2001;
	table[4] = TABLES + 0x1001;
	table[5] = TABLES + 0x3001;
	*(uint64_t *)(g.memory + TABLES + 0x1000) = 0x83;
	*(uint64_t *)(g.memory + TABLES + 0x2000) = 0x83;
	*(uint64_t *)(g.memory + TABLES + 0x3000) = 0x200083;
	*(uint32_t *)(g.memory) = 0x11111111;
	*(uint32_t *)(g.memory + 0x200000) = 0x22222222;
	guest_run(&g, 0);
	check(g.end == KVM_EXIT_HLT && g.values == 2 &&
	      g.value[0] == 0x11111111 && g.value[1] == 0x22222222,
	      "32-bit: PAE paging, and a new set of directory pointers");
	guest_free(&g);
}

static void own_debug(int exits, const char *name)
{
	uint8_t *between;
	struct guest g;

	guest_new(&g);
	put(&g, CODE, own_breakpoint, own_breakpoint_end);
	between = memmem(g.memory + CODE, own_breakpoint_end - own_breakpoint, "\x66\x90", 2);
	if (exits)
		memcpy(between, "\x0f\xa2", 2);
	put(&g, 0x3000, stub, stub_end);
	g.memory[0x3002] = 'B';
	set_gate(&g, 1, 0x3000);
	set_mode(&g, 64);
	guest_run(&g, 0);
	if (!check(g.end == KVM_EXIT_HLT && !strcmp(g.text, "B") && g.values == 1 &&
		   (g.value[0] & 0xf) == 1, name))
		printf("# end %d, \"%s\", DR6 %x\n", g.end, g.text, g.value[0]);
	guest_free(&g);
}

static void test_debug(void)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	/* After nop, mov, out, xor, cpuid, nop. */
	static const uint8_t next[] = { 1, 3, 5, 7, 9, 10 };
	unsigned int i = 0, steps = 0;
	struct kvm_regs regs;
	struct guest g;
	int good = 1;

	guest_new(&g);
	put(&g, CODE, stepping, stepping_end);
	set_mode(&g, 64);
	ioctl(g.vcpu, KVM_SET_GUEST_DEBUG, &debug);
	for (i = 0; i < 20 && steps < sizeof(next); i++) {
		guest_run(&g, 1);
		if (g.end == KVM_EXIT_IO)
			continue;
		if (g.end != KVM_EXIT_DEBUG)
			break;
		ioctl(g.vcpu, KVM_GET_REGS, &regs);
		if (regs.rip != (uint64_t)CODE + next[steps] ||
		    regs.rflags & 0x100) {
			printf("# step %u at %llx flags %llx\n", steps, regs.rip, regs.rflags);
			good = 0;
		}
		steps++;
	}
	check(good && steps == sizeof(next) && !strcmp(g.text, "1"),
	      "single steps stop after every instruction, emulated ones too");
	guest_free(&g);

	guest_new(&g);
	put(&g, CODE, stepping, stepping_end);
	set_mode(&g, 64);
	debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP;
	debug.arch.debugreg[0] = CODE + 9;
	debug.arch.debugreg[7] = 0x402;
	ioctl(g.vcpu, KVM_SET_GUEST_DEBUG, &debug);
	guest_run(&g, 0);
	check(g.end == KVM_EXIT_DEBUG && g.run->debug.arch.pc == (uint64_t)CODE + 9 &&
	      g.run->debug.arch.dr6 & 1, "user space's hardware breakpoint");
	debug.control = 0;
	ioctl(g.vcpu, KVM_SET_GUEST_DEBUG, &debug);
	guest_run(&g, 0);
	expect(&g, "1", "the guest goes on when the breakpoint is gone");
	guest_free(&g);

	own_debug(0, "the guest's own breakpoint, and DR6");
	own_debug(1, "the same when the guest has exited since it set the breakpoint");
}

static void test_cache_disable(void)
{
	struct guest g;

	guest_new(&g);
	put(&g, CODE, cache_disable, cache_disable_end);
	set_mode(&g, 64);
	guest_run(&g, 0);
	check(g.values == 2 && g.value[0] & 0x40000000 && !(g.value[1] & 0x40000000),
	      "CR0.CD is as the guest has set it, and as it has cleared it");
	guest_free(&g);
}

static void test_lost_stack(void)
{
	const char *name = "an event that cannot be delivered for lack of memory stops the VM only";
	struct guest g;

	if (access("/sys/module/kvm/version", F_OK)) {
		printf("ok %d - %s # SKIP the kernel's own KVM tries for ever on SVM\n",
		       ++count, name);
		return;
	}
	guest_new(&g);
	put(&g, CODE, lost_stack, lost_stack_end);
	put(&g, 0x3000, stub, stub_end);
	set_gate(&g, 6, 0x3000);
	set_mode(&g, 64);
	guest_run(&g, 0);
	check(g.end == KVM_EXIT_INTERNAL_ERROR &&
	      g.run->internal.suberror == KVM_INTERNAL_ERROR_DELIVERY_EV, name);
	guest_free(&g);
}

/* A page that comes late, as in postcopy migration: from a thread of user space. */
static int late_fd, late_sent;

static void *send_late(void *page)
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)page, 4096 } };

	sleep(4);
	late_sent = 1;
	ioctl(late_fd, UFFDIO_ZEROPAGE, &zero);
	return NULL;
}

static void test_late_page(void)
{
	const char *name = "a signal gets through to a vCPU that waits for a page of memory";
	struct kvm_userspace_memory_region region = {
		.slot = 1, .guest_phys_addr = MORE, .memory_size = 8192,
	};
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register pages = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	pthread_t thread;
	struct guest g;
	void *more;
	int end;

	late_fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (late_fd < 0) {
		printf("ok %d - %s # SKIP %s\n", ++count, name, strerror(errno));
		return;
	}
	guest_new(&g);
	put(&g, CODE, read_more, read_more_end);
	set_mode(&g, 64);
	more = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	region.userspace_addr = pages.range.start = (uintptr_t)more;
	pages.range.len = 4096;
	if (ioctl(g.vm, KVM_SET_USER_MEMORY_REGION, &region) ||
	    ioctl(late_fd, UFFDIO_API, &api) || ioctl(late_fd, UFFDIO_REGISTER, &pages))
		perror("# userfaultfd");
	pthread_create(&thread, NULL, send_late, more);
	signal(SIGALRM, too_long);
	alarm(1);
	end = guest_run(&g, 0);
	check(end == -1 && !late_sent, name);
	pthread_join(thread, NULL);
	guest_run(&g, 0);
	check(g.end == KVM_EXIT_HLT && g.values == 2, "... and it goes on when the page is there");
	close(late_fd);
	guest_free(&g);
	munmap(more, 8192);
}

static void *failed_at;

static void memory_failed(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	failed_at = info->si_code == BUS_MCEERR_AR ? info->si_addr : NULL;
}

static void test_failed_memory(void)
{
	const char *name = "a guest that reads failed memory: SIGBUS, for a machine check";
	struct kvm_userspace_memory_region region = {
		.slot = 1, .guest_phys_addr = MORE, .memory_size = 8192,
	};
	struct sigaction action = { .sa_sigaction = memory_failed, .sa_flags = SA_SIGINFO };
	struct guest g;
	char *more;

	guest_new(&g);
	put(&g, CODE, read_more, read_more_end);
	set_mode(&g, 64);
	more = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(more, 1, 8192);
	region.userspace_addr = (uintptr_t)more;
	if (ioctl(g.vm, KVM_SET_USER_MEMORY_REGION, &region))
		perror("# KVM_SET_USER_MEMORY_REGION");
	sigaction(SIGBUS, &action, NULL);
	if (madvise(more + 4096, 4096, MADV_HWPOISON)) {
		printf("ok %d - %s # SKIP %s\n", ++count, name, strerror(errno));
	} else {
		failed_at = NULL;
		guest_run(&g, 0);
		check(g.end == -1 && g.values == 1 && failed_at == more + 4096, name);
	}
	guest_free(&g);
	munmap(more, 8192);
}

int main(void)
{
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (!check(kvm >= 0, "/dev/kvm opens")) {
		printf("1..%d\n", count);
		return 1;
	}
	cpuid.head.nent = 128;
	check(!ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid), "KVM_GET_SUPPORTED_CPUID");
	test_real_irq();
	test_real_shutdown();
	test_null_segment();
	test_exceptions();
	test_interrupts();
	test_registers();
	test_msrs();
	test_own_ldt();
	test_pae();
	test_debug();
	test_cache_disable();
	test_lost_stack();
	test_late_page();
	test_failed_memory();
	printf("1..%d\n", count);
	return 0;
}
