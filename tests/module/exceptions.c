// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every exception with its vector, error code and the address that it leaves in
 * RIP, in 32-bit and 64-bit mode, from user and kernel mode: one row of CASES
 * each (SDM vol. 3, 6.15; error codes 6.13). A second round makes all memory
 * unmapped in the second-level tables before each, so that the delivery itself
 * goes through an exit and must be taken up again.
 */
#include "script-vm.h"

#define CODE	0x300000	/* where the guest has a case's instructions */
#define USER	1
#define KERNEL	0
#define DONE	VECTOR_DONE
#define AM	(1u << 18)	/* CR0 */
#define TS	8u
#define EM	4u
#define MP	2u
#define AC	(1u << 18)	/* EFLAGS */
#define TF	0x100u
#define IOPL	0x3000u
#define SSE	0x600u		/* CR4.OSFXSR and OSXMMEXCPT */

#define TO_DR0		".byte 0x0f, 0x23, 0xc0;"	/* mov %eax or %rax, %dr0 */
#define TO_DR7		".byte 0x0f, 0x23, 0xf8;"
#define SET_TF		".byte 0x9c, 0x80, 0x4c, 0x24, 1, 1, 0x9d;" /* pushf; orb; popf */

/* Selectors of script-vm.h's GDT and of make_descriptors(). */
#define ABSENT		"0x38"	/* data, not present */
#define ABSENT_CODE	"0x40"
#define BEYOND		"0x78"	/* behind the GDT's limit */
#define NO_TSS		0x10

/*
 * name, modes, CPL, expected vector and error code, settings that differ (CR0 and
 * CR4 bits set, EFLAGS changed, the gate made absent), instructions. "9:" is where
 * RIP must be, the first instruction if it is not given.
 */
#define CASES \
X(de_zero, 96, KERNEL, 0, 0, 0, 0, 0, 0, "xorl %ecx, %ecx; 9: divl %ecx") \
X(de_user, 96, USER, 0, 0, 0, 0, 0, 0, "xorl %ecx, %ecx; 9: divl %ecx") \
X(de_overflow, 96, KERNEL, 0, 0, 0, 0, 0, 0, \
  "movl $-1, %ecx; movl $0x80000000, %eax; cltd; 9: idivl %ecx") \
X(de_aam, 32, KERNEL, 0, 0, 0, 0, 0, 0, ".byte 0xd4, 0") \
X(db_icebp, 96, KERNEL, 1, 0, 0, 0, 0, 0, ".byte 0xf1; 9:") \
X(db_step_user, 96, USER, 1, 0, 0, 0, TF, 0, "nop") \
X(db_step_mmio_write, 96, KERNEL, 1, 0, 0, 0, 0, 0, \
  "movl $0x800000, %ecx;" SET_TF "movl %eax, (%ecx); 9: nop") \
X(db_step_mmio_read, 96, KERNEL, 1, 0, 0, 0, 0, 0, \
  "movl $0x800000, %ecx;" SET_TF "movl (%ecx), %eax; 9: nop") \
X(db_step_mmio_add, 96, KERNEL, 1, 0, 0, 0, 0, 0, \
  "movl $0x800000, %ecx;" SET_TF "addl %eax, (%ecx); 9: nop") \
X(db_step_in, 96, KERNEL, 1, 0, 0, 0, 0, 0, SET_TF "inb $0x48, %al; 9: nop") \
X(db_step_rep_outs, 96, KERNEL, 1, 0, 0, 0, 0, 0, \
  "movl $0x300000, %esi; movl $3, %ecx; movw $0x48, %dx;" SET_TF "9: rep outsb") \
X(db_step_cpuid, 96, KERNEL, 1, 0, 0, 0, 0, 0, "xorl %eax, %eax;" SET_TF "cpuid; 9: nop") \
X(db_step_rdmsr, 96, KERNEL, 1, 0, 0, 0, 0, 0, "movl $0x1b, %ecx;" SET_TF "rdmsr; 9: nop") \
X(db_step_sti, 96, KERNEL, 1, 0, 0, 0, 0, 0, "cli;" SET_TF "sti; 9: nop") \
X(db_step_icebp, 96, KERNEL, 1, 0, 0, 0, 0, 0, \
  "movw %ss, %ax;" SET_TF "movw %ax, %ss; .byte 0xf1; 9: nop") \
X(db_watch, 96, KERNEL, 1, 0, 0, 0, 0, 0, \
  "movl $0x380000, %eax;" TO_DR0 "movl $0xd0001, %eax;" TO_DR7 \
  "movl %eax, 0x380004(,1); movl %eax, 0x380000(,1); 9: nop") \
X(db_fetch, 96, KERNEL, 1, 0, 0, 0, 0, 0, \
  "8: movl $0x300000 + 9f - 8b, %eax;" TO_DR0 "movl $1, %eax;" TO_DR7 "nop; 9: nop") \
X(db_general_detect, 96, KERNEL, 1, 0, 0, 0, 0, 0, \
  "movl $0x2000, %eax;" TO_DR7 "9:" TO_DR0 "nop") \
X(bp, 96, KERNEL, 3, 0, 0, 0, 0, 0, "int3; 9:") \
X(bp_int_3, 96, KERNEL, 3, 0, 0, 0, 0, 0, ".byte 0xcd, 3; 9:") \
X(bp_user, 96, USER, 13, 0x1a, 0, 0, 0, 0, "int3") \
X(of, 32, KERNEL, 4, 0, 0, 0, 0, 0, \
  "movb $0x7f, %al; addb $1, %al; into; 9:") \
X(of_not, 32, KERNEL, DONE, 0, 0, 0, 0, 0, "xorl %eax, %eax; into") \
X(of_64, 64, KERNEL, 6, 0, 0, 0, 0, 0, ".byte 0xce") \
X(br, 32, KERNEL, 5, 0, 0, 0, 0, 0, \
  "movl $0x380000, %ecx; movl $1, (%ecx); movl $5, 4(%ecx); movl $6, %eax; 9: bound %eax, (%ecx)") \
X(br_not, 32, KERNEL, DONE, 0, 0, 0, 0, 0, \
  "movl $0x380000, %ecx; movl $1, (%ecx); movl $5, 4(%ecx); movl $5, %eax; bound %eax, (%ecx)") \
X(ud2, 96, KERNEL, 6, 0, 0, 0, 0, 0, "ud2") \
X(ud2_user, 96, USER, 6, 0, 0, 0, 0, 0, "ud2") \
X(ud_lock, 96, KERNEL, 6, 0, 0, 0, 0, 0, ".byte 0xf0, 0x90") \
X(ud_lock_register, 96, KERNEL, 6, 0, 0, 0, 0, 0, ".byte 0xf0, 0x01, 0xc0") \
X(ud_mov_cs, 96, KERNEL, 6, 0, 0, 0, 0, 0, ".byte 0x8e, 0xc8") \
X(ud_push_cs, 64, KERNEL, 6, 0, 0, 0, 0, 0, ".byte 0x0e") \
X(ud_cr1, 96, KERNEL, 6, 0, 0, 0, 0, 0, ".byte 0x0f, 0x20, 0xc8") \
X(ud_sse_em, 96, KERNEL, 6, 0, EM, SSE, 0, 0, "xorps %xmm0, %xmm0") \
X(ud_sse_off, 96, KERNEL, 6, 0, 0, 0, 0, 0, "xorps %xmm0, %xmm0") \
X(nm_ts, 96, KERNEL, 7, 0, TS, 0, 0, 0, "fnop") \
X(nm_em, 96, USER, 7, 0, EM, 0, 0, 0, "fnop") \
X(nm_wait, 96, KERNEL, 7, 0, TS | MP, 0, 0, 0, "fwait") \
X(nm_wait_not, 96, KERNEL, DONE, 0, TS, 0, 0, 0, "fwait") \
X(nm_sse, 96, KERNEL, 7, 0, TS, SSE, 0, 0, "xorps %xmm0, %xmm0") \
X(df_gp, 96, KERNEL, 8, 0, 0, 0, 0, 13, "movw $" BEYOND ", %ax; movw %ax, %fs") \
X(df_pf, 64, KERNEL, 8, 0, 0, 0, 0, 14, "movl $0x7fffffff, %ecx; movl (%ecx), %eax") \
X(np_delivery, 96, KERNEL, 11, 0x33, 0, 0, 0, 6, "ud2") \
X(np_int, 96, KERNEL, 11, 0x1a, 0, 0, 0, 3, ".byte 0xcd, 3") \
X(gp_gate, 96, KERNEL, 13, 0x142, 0, 0, 0, 0, "int $40") \
X(np_segment, 96, KERNEL, 11, 0x38, 0, 0, 0, 0, \
  "movw $" ABSENT ", %ax; 9: movw %ax, %fs") \
X(np_call, 32, KERNEL, 11, 0x40, 0, 0, 0, 0, "lcall $" ABSENT_CODE ", $0") \
X(ts_iret, 32, KERNEL, 10, NO_TSS, 0, 0, 0, 0, \
  "pushfl; orl $0x4000, (%esp); popfl; 9: iret") \
X(gp_iret_nt, 64, KERNEL, 13, 0, 0, 0, 0, 0, \
  "pushfq; orl $0x4000, (%rsp); popfq; 9: iretq") \
X(ss_segment, 96, KERNEL, 12, 0x38, 0, 0, 0, 0, \
  "movw $" ABSENT ", %ax; 9: movw %ax, %ss") \
X(ss_limit, 32, KERNEL, 12, 0, 0, 0, 0, 0, \
  "movw $0x48, %ax; movw %ax, %ss; 9: movl %ss:0x200000, %eax") \
X(ss_canonical, 64, KERNEL, 12, 0, 0, 0, 0, 0, \
  "movq $1, %rbp; rorq $1, %rbp; 9: movl (%rbp), %eax") \
X(gp_segment, 96, KERNEL, 13, 0x78, 0, 0, 0, 0, \
  "movw $" BEYOND ", %ax; 9: movw %ax, %fs") \
X(gp_null_ss, 32, KERNEL, 13, 0, 0, 0, 0, 0, "xorl %eax, %eax; 9: movw %ax, %ss") \
X(gp_limit, 32, KERNEL, 13, 0, 0, 0, 0, 0, \
  "movw $0x48, %ax; movw %ax, %fs; 9: movl %fs:0x200000, %eax") \
X(gp_write_cs, 32, KERNEL, 13, 0, 0, 0, 0, 0, "movl %eax, %cs:0x380000") \
X(gp_canonical, 64, KERNEL, 13, 0, 0, 0, 0, 0, \
  "movq $1, %rcx; rorq $1, %rcx; 9: movl (%rcx), %eax") \
X(gp_rdmsr, 96, KERNEL, 13, 0, 0, 0, 0, 0, "movl $0x12345, %ecx; 9: rdmsr") \
X(gp_wrmsr, 96, KERNEL, 13, 0, 0, 0, 0, 0, \
  "movl $0xc0000080, %ecx; movl $-1, %eax; cltd; 9: wrmsr") \
X(gp_cr0, 96, KERNEL, 13, 0, 0, 0, 0, 0, "movl $0x80000000, %eax; 9: .byte 0x0f, 0x22, 0xc0") \
X(gp_cr4, 96, KERNEL, 13, 0, 0, 0, 0, 0, "movl $0x80000000, %eax; 9: .byte 0x0f, 0x22, 0xe0") \
X(gp_cr4_pae, 64, KERNEL, 13, 0, 0, 0, 0, 0, "xorl %eax, %eax; 9: mov %rax, %cr4") \
X(gp_int, 96, USER, 13, 0x102, 0, 0, 0, 0, "int $32") \
X(gp_hlt, 96, USER, 13, 0, 0, 0, 0, 0, "hlt") \
X(gp_cli, 96, USER, 13, 0, 0, 0, IOPL, 0, "cli") \
X(gp_in, 96, USER, 13, 0, 0, 0, IOPL, 0, "inb $0x30, %al") \
X(gp_out, 96, USER, 13, 0, 0, 0, IOPL, 0, "outl %eax, $0x10") \
X(gp_outs, 96, USER, 13, 0, 0, 0, IOPL, 0, "movw $0x40, %dx; movl $0x300000, %esi; 9: outsl") \
X(gp_invlpg, 96, USER, 13, 0, 0, 0, 0, 0, "invlpg 0x300000(,1)") \
X(gp_user_cr, 96, USER, 13, 0, 0, 0, 0, 0, ".byte 0x0f, 0x20, 0xc0") \
X(gp_user_dr, 96, USER, 13, 0, 0, 0, 0, 0, ".byte 0x0f, 0x21, 0xf8") \
X(gp_user_msr, 96, USER, 13, 0, 0, 0, 0, 0, "movl $0x10, %ecx; 9: rdmsr") \
X(gp_user_clts, 96, USER, 13, 0, 0, 0, 0, 0, "clts") \
X(gp_user_wbinvd, 96, USER, 13, 0, 0, 0, 0, 0, "wbinvd") \
X(gp_user_lidt, 96, USER, 13, 0, 0, 0, 0, 0, "lidt 0x300000(,1)") \
X(gp_user_lmsw, 96, USER, 13, 0, 0, 0, 0, 0, "lmsw %ax") \
X(gp_ltr, 96, KERNEL, 13, 0x10, 0, 0, 0, 0, "movw $0x10, %ax; 9: ltr %ax") \
X(gp_sse_align, 96, KERNEL, 13, 0, 0, SSE, 0, 0, "movl $0x300001, %ecx; 9: movaps (%ecx), %xmm0") \
X(gp_ldmxcsr, 96, KERNEL, 13, 0, 0, SSE, 0, 0, \
  "movl $0x380000, %ecx; movl $-1, (%ecx); 9: ldmxcsr (%ecx)") \
X(pf_write, 64, KERNEL, 14, 2, 0, 0, 0, 0, "movl $0x7ffffff0, %ecx; 9: movl %eax, (%ecx)") \
X(pf_user, 64, USER, 14, 4, 0, 0, 0, 0, "movl $0x7ffffff0, %ecx; 9: movl (%ecx), %eax") \
X(mf, 96, KERNEL, 16, 0, 0, 0, 0, 0, \
  "fninit; movl $0x380000, %ecx; movw $0x37b, (%ecx); fldcw (%ecx); fld1; fldz; fdivrp; 9: fwait") \
X(ac, 96, USER, 17, 0, AM, 0, AC, 0, "movl $0x300001, %ecx; 9: movl (%ecx), %eax") \
X(ac_kernel, 96, KERNEL, DONE, 0, AM, 0, AC, 0, "movl $0x300001, %ecx; movl (%ecx), %eax") \
X(ac_off, 96, USER, DONE, 0, 0, 0, AC, 0, "movl $0x300001, %ecx; movl (%ecx), %eax") \
X(xm, 96, KERNEL, 19, 0, 0, SSE, 0, 0, \
  "movl $0x380000, %ecx; movl $0x1d80, (%ecx); ldmxcsr (%ecx); " \
  "movl $0x3f800000, (%ecx); movss (%ecx), %xmm0; xorps %xmm1, %xmm1; 9: divss %xmm1, %xmm0") \
X(cpuid, 96, USER, DONE, 0, 0, 0, 0, 0, "xorl %eax, %eax; cpuid") \
X(rdtsc_user, 96, USER, DONE, 0, 0, 0, 0, 0, "rdtsc") \
X(rdtsc_off, 96, USER, 13, 0, 0, 4, 0, 0, "rdtsc") \
X(int_80, 96, USER, DONE, 0, 0, 0, 0, 0, "nop")


/* The instructions, assembled for both modes where both have them. */
#define CODE_OF(id, bits, text)					\
	asm(".pushsection .rodata; .code" #bits "\n"			\
	    #id "_" #bits ":\n9: " text "\n.set " #id "_" #bits "_at, 9b\n" \
	    "int $0x80\n" #id "_" #bits "_end: .code64; .popsection");	\
	extern const uint8_t id##_##bits[], id##_##bits##_at[],	\
		id##_##bits##_end[];
#define CODE_32(id, text)	CODE_OF(id, 32, text)
#define CODE_64(id, text)	CODE_OF(id, 64, text)
#define CODE_96(id, text)	CODE_OF(id, 32, text) CODE_OF(id, 64, text)
#define X(id, modes, user, vector, error, cr0, cr4, flags, gate, text) \
	CODE_##modes(id, text)
CASES
#undef X

struct row {
	const char *name;
	struct { const uint8_t *code, *at, *end; } in[2];	/* 32, 64 */
	int user, vector;
	uint32_t error, cr0, cr4, flags;
	int gate;
};

#define IN(id, bits)	{ id##_##bits, id##_##bits##_at, id##_##bits##_end }
#define IN_32(id)	{ IN(id, 32), { NULL, NULL, NULL } }
#define IN_64(id)	{ { NULL, NULL, NULL }, IN(id, 64) }
#define IN_96(id)	{ IN(id, 32), IN(id, 64) }
#define X(id, modes, user, vector, error, cr0, cr4, flags, gate, text) \
	{ #id, IN_##modes(id), user, vector, error, cr0, cr4, flags, gate },
static const struct row rows[] = { CASES };
#undef X

static struct script script, *s = &script;

/* Beyond script-vm.h's: 0x38 and 0x40 not present, 0x48 ends at 0x9ffff. */
static void make_descriptors(void)
{
	static const uint64_t more[] = {
		0x00cf13000000ffff, 0x00cf1b000000ffff, 0x004993000000ffff,
	};
	struct kvm_sregs r;

	memcpy(s->vm.mem + SCRIPT_GDT + 0x38, more, sizeof(more));
	ioctl(s->vm.vcpu, KVM_GET_SREGS, &r);
	r.gdt.limit = 0x4f;
	if (s->bits == 64) {		/* user mode may use all memory */
		uint64_t *table = (void *)(s->vm.mem + PAGE_TABLES);

		for (int i = 0; i < 3 * 512; i++)
			table[i] |= table[i] ? 4 : 0;
	} else {			/* IRET's way back leads to no TSS */
		s->vm.mem[SCRIPT_TSS] = NO_TSS;
	}
	if (ioctl(s->vm.vcpu, KVM_SET_SREGS, &r) < 0)
		bail_out("KVM_SET_SREGS: %s", strerror(errno));
}

/* No second-level translation is left; the guest's next access of any page exits. */
static void forget_mappings(void)
{
	if (vm_slot(&s->vm, 0, 0, 0, 0, s->vm.mem) < 0 ||
	    vm_slot(&s->vm, 0, 0, 0, MEMORY, s->vm.mem) < 0)
		bail_out("KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
}

/*
 * What QEMU's TCG is known not to do: limits and types of segments, alignment
 * checks, SSE's exceptions, bit EXT of error codes, #SS for an address that is not
 * canonical, #UD for INTO in 64-bit mode, #GP for WBINVD in user mode, DR7.GD. It
 * also forgets a first exception that was injected: then a second is no #DF.
 */
static bool emulated_here(const struct row *row)
{
	static const char *const missing[] = {
		"np_delivery", "ss_limit", "gp_limit", "gp_write_cs", "ac", "xm",
		"gp_user_wbinvd", "gp_ldmxcsr", "of_64", "ss_canonical",
		"db_general_detect",
	};

	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]) && vm_on_tcg(); i++)
		if (!strcmp(row->name, missing[i]))
			return false;
	return true;
}

static void run_row(const struct row *row, bool forget)
{
	/* No exception of the FPU is left, nor a breakpoint. */
	static const uint8_t fninit[] = { 0xdb, 0xe3, 0x31, 0xc0, 0x0f, 0x23, 0xf8,
					  0xcd, VECTOR_DONE };
	int is64 = s->bits == 64;
	const uint8_t *code = row->in[is64].code;
	uint64_t cr0 = is64 ? 0x80000031 : 0x31, cr4 = is64 ? 0x20 : 0;
	uint64_t gate = SCRIPT_IDT + row->gate * (is64 ? 16 : 8) + 5;
	uint64_t at = CODE + (row->in[is64].at - code);
	struct want *want;
	struct op *op;
	long bad = s->bad;

	memcpy(s->vm.mem + CODE, code, row->in[is64].end - code);
	script_add(s, SETCR4, 0, 0, cr4 | row->cr4);
	if (row->gate)
		script_add(s, WRITE1, 0, gate, 0x0e);
	script_add(s, SETCR0, 0, 0, cr0 | row->cr0);
	if (forget) {
		script_run(s);
		forget_mappings();
	}
	want = script_add(s, EXEC, row->user, CODE, 0);
	op = script_op(s, want);
	op->flags ^= row->flags;
	want->vector = row->vector;
	want->error = row->error;
	want->text = row->name;
	want->or_vector = row->vector == 8 && vm_on_tcg() ? 11 : row->vector;
	want->cr2 = 0x7ffffff0;		/* of the #PF rows */
	script_run(s);
	/* What an abort leaves in RIP is not defined. */
	if (row->vector != DONE && row->vector != 8 && op->rip != at &&
	    s->bad++ == bad)
		note("%s: RIP 0x%llx, expected 0x%llx", row->name,
		     (unsigned long long)op->rip, (unsigned long long)at);
	script_add(s, SETCR0, 0, 0, cr0);
	script_add(s, SETCR4, 0, 0, cr4);
	if (row->gate)
		script_add(s, WRITE1, 0, gate, 0x8e);
	memcpy(s->vm.mem + CODE + 0x800, fninit, sizeof(fninit));
	script_add(s, EXEC, 0, CODE + 0x800, 0);
	script_run(s);
}

int main(void)
{
	static const char *const vectors[20] = {
		"#DE", "#DB", NULL, "#BP", "#OF", "#BR", "#UD", "#NM", "#DF", NULL,
		"#TS", "#NP", "#SS", "#GP", "#PF", NULL, "#MF", "#AC", NULL, "#XM",
	};

	if (vm_on_bochs_svm()) {
		puts("1..0 # SKIP Bochs's SVM breaks down at a #DB");
		return 0;
	}
	for (int bits = 32; bits <= 64; bits += 32) {
		script_create(s, bits);
		script_run(s);		/* makes its IDT */
		make_descriptors();
		for (int forget = 0; forget < 2; forget++) {
			for (int v = 0; v <= DONE; v++) {
				int n = 0;

				for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
					if (rows[i].vector != v ||
					    !rows[i].in[bits == 64].code)
						continue;
					if (!emulated_here(&rows[i])) {
						skip(rows[i].name,
						     "QEMU's TCG does not do this");
						continue;
					}
					run_row(&rows[i], forget);
					n++;
				}
				if (n)
					script_ok(s, "%d bits, %s: %d cases%s", bits,
						  v == DONE ? "no exception" : vectors[v], n,
						  forget ? ", delivered through unmapped memory" : "");
			}
		}
		vm_destroy(&s->vm);
	}
	return done();
}
