/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the guests prot-script and long-script and their test programs agree on. */
#ifndef SCRIPT_H
#define SCRIPT_H

#define SCRIPT		0x200000	/* the operations */
#define SCRIPT_MAX	8192
#define SCRIPT_STUBS	0x100800	/* instructions in kernel mode */
#define SCRIPT_USER	0x9000		/* and in user mode: a page that it may use */
#define SCRIPT_GDT	0x500
#define SCRIPT_TSS	0x600
#define SCRIPT_IDT	0x8000
#define SELECTOR_USER_CODE	0x1b
#define SELECTOR_USER_DATA	0x23
#define SELECTOR_TSS		0x28
#define VECTOR_DONE	0x80		/* the operation did not fault */

/* struct op */
#define OP_KIND		0
#define OP_USER		1
#define OP_VECTOR	2
#define OP_ERROR	4
#define OP_ADDR		8
#define OP_VALUE	16
#define OP_CR2		24
#define OP_COUNT	32
#define OP_RIP		40
#define OP_FLAGS	48
#define OP_SIZE		56

/* The kinds of operations: 32-bit accesses where the name says nothing else. */
#define READ		0
#define WRITE		1
#define RMW		2	/* adds value */
#define EXEC		3	/* the page must begin with int $VECTOR_DONE */
#define OUTS		4	/* port: value >> 32 */
#define INS		5
#define WRITE1		6
#define WRITE2		7
#define XCHG		8
#define OR		9
#define AND		10
#define STOS		11
#define BTS		12
#define BTR		13
#define READ8		14
#define WRITE8		15	/* in 32-bit mode: the upper half, then the lower */
#define CX8		16	/* the same at once, by CMPXCHG8B */
#define SETCR0		17
#define SETCR3		18
#define SETCR4		19
#define GETCR4		20
#define SETMSR		21	/* addr: which */
#define GETMSR		22
#define FLUSH		23	/* INVLPG */
#define LOADFS		24	/* value: a selector */
#define REPOUTS		25	/* value: bytes, and port */
#define REPINS		26
#define SETPKRU		27
#define KINDS		28
#define SCRIPT_END	0xff

#ifndef __ASSEMBLER__
#include <stdint.h>

struct op {
	uint8_t kind, user, vector, unused;
	uint32_t error;
	uint64_t addr, value, cr2, count, rip, flags;
};
#endif
#endif
