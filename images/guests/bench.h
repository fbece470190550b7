/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest long-bench and the program that runs it (tests/bench) agree on:
 * the guest's loops in the order of their numbers, and the marks around a loop,
 * no-operations that tests/bench/profile looks for.
 *
 * Registers at its start: r10 the loop's number, r12 how often, rsi where (port,
 * address, MSR or CPUID leaf), r9 the value. It leaves the loop's ticks at DATA.
 */
#define BENCH_LOOPS(LOOP)							\
	LOOP(nothing) LOOP(cpuid) LOOP(vmmcall) LOOP(rdmsr) LOOP(wrmsr)		\
	LOOP(deadline) LOOP(in8) LOOP(out8) LOOP(load32) LOOP(store32)		\
	LOOP(touch) LOOP(self_ipi) LOOP(ping) LOOP(pong) LOOP(cr0) LOOP(cr4)	\
	LOOP(cr8) LOOP(dr7) LOOP(cr3) LOOP(pte)

#define BENCH_VECTOR	0x40
#define BENCH_ROOT2	0x20000		/* a second root for the loop cr3 */
#define BENCH_PTE	0x22000		/* what maps the page that the loop pte touches */
#define BENCH_BEGIN	0x6b766d31
#define BENCH_END	0x6b766d32
#define BENCH_BEGIN_HOST	0x6b766d34	/* the program's own: its loop counts, no guest's */

/* The program's mark: the text of /proc/kallsyms, ended by 0, is there. */
#define BENCH_SYMBOLS	0x6b766d33
#define BENCH_SYMBOLS_AT	0x20000000
#define BENCH_SYMBOLS_ROOM	(32 << 20)
