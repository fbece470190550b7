/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What flat guests and the programs that run them agree on. */
#define PORT_CONSOLE	0xf1	/* a byte for the user */
#define PORT_EXIT	0xf4	/* ends the guest: its exit status */

/* Ports and addresses by which a guest tells a test what it sees. */
#define PORT_VALUE	0x10	/* a value: 1, 2 or 4 bytes */
#define PORT_VECTOR	0x20	/* the vector of an interrupt or exception */
#define PORT_IRQ	0x18	/* the same where the PIC (0x20) is real */
#define PORT_READ	0x30	/* the test supplies a value */
#define PORT_STRING	0x40	/* string I/O */

#define DATA		0x200000	/* a page the test fills or reads */
#define DATA16		0x2000		/* the same for real mode */
#define MMIO		0x800000	/* beyond the memory of a test machine */
#define PAGE_TABLES	0x10000		/* where tests put theirs */
#define STACK		0x90000

#ifdef __ASSEMBLER__
/* Clobbers eax. */
.macro value v
	movl \v, %eax
	outl %eax, $PORT_VALUE
.endm
#endif
