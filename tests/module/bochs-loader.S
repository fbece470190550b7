/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An option ROM for Bochs that starts a Linux kernel. The BIOS calls it during
 * its scan for ROMs; it never returns.
 *
 * bochs-image appends to the code, at the offsets that the words below name, a
 * boot_params page with the command line behind it, and a table of what to read
 * from the first ATA disk. The disk holds nothing but the kernel's segments and
 * the initramfs. The kernel is entered at its 64-bit ELF entry point (Linux's
 * Documentation/arch/x86/boot.rst, "64-bit boot protocol"), which saves the
 * emulated processor the decompression.
 *
 * A kernel that panics resets the machine. There is nothing to be had from a
 * second start, so a mark in memory makes that one end Bochs.
 */
	.set	PARAMS_SEG, 0x9000	/* where boot_params go */
	.set	PARAMS, PARAMS_SEG * 16
	.set	PAGES, 0x80000		/* page tables for the first 4 GiB */
	.set	MARK, 0x7f00		/* "we have been here" */
	.set	MARK_VALUE, 0x6b766d6c
	.set	E820_COUNT, 0x1e8
	.set	E820_TABLE, 0x2d0
	.set	BASE, 0xd0000		/* of this ROM */
	.set	ATA, 0x1f0

	.code16
rom:	.byte	0x55, 0xaa
	.byte	0			/* size in 512-byte blocks: bochs-image */
	jmp	real_mode

	.balign	16
	/* Filled in by bochs-image; it looks for the text. */
	.ascii	"kvm-live"
params_offset:	.long	0		/* boot_params and command line */
params_bytes:	.long	0
table_offset:	.long	0		/* {destination, LBA, sectors, 0}… */
entry_point:	.long	0

real_mode:
	cli
	cld
	xor	%ax, %ax
	mov	%ax, %ss
	mov	$0x7c00, %sp
	mov	%ax, %ds
	cmpl	$MARK_VALUE, MARK
	jne	first_time
	push	%cs
	pop	%ds
	mov	$bye - rom, %si
	mov	$0x8900, %dx
1:	lodsb
	out	%al, %dx
	test	%al, %al
	jnz	1b
2:	hlt
	jmp	2b
bye:	.asciz	"Shutdown"

first_time:
	movl	$MARK_VALUE, MARK
	push	%cs
	pop	%ds
	mov	$PARAMS_SEG, %ax
	mov	%ax, %es
	mov	params_offset - rom, %esi
	mov	params_bytes - rom, %ecx
	xor	%edi, %edi
	addr32 rep movsb

	/* The memory map, straight into boot_params. */
	mov	$E820_TABLE, %di
	xor	%ebx, %ebx
3:	mov	$0xe820, %eax
	mov	$0x534d4150, %edx
	mov	$20, %ecx
	int	$0x15
	jc	4f
	incb	%es:E820_COUNT
	add	$20, %di
	test	%ebx, %ebx
	jnz	3b
4:
	in	$0x92, %al		/* A20 */
	or	$2, %al
	and	$0xfe, %al
	out	%al, $0x92

	cli
	lgdtl	gdt_pointer - rom
	mov	%cr0, %eax
	or	$1, %al
	mov	%eax, %cr0
	ljmpl	$0x08, $BASE + (protected_mode - rom)

	/* 0x10 and 0x18 are what the 64-bit boot protocol asks for. */
	.balign	8
gdt:	.quad	0
	.quad	0x00cf9a000000ffff	/* 0x08: 32-bit code */
	.quad	0x00af9a000000ffff	/* 0x10: 64-bit code */
	.quad	0x00cf92000000ffff	/* 0x18: data */
gdt_pointer:
	.word	. - gdt - 1
	.long	BASE + (gdt - rom)

	.code32
protected_mode:
	mov	$0x18, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$0x7c00, %esp

	/* Read the segments: LBA28, one sector a command's DRQ block. */
	mov	$ATA + 0x206, %edx
	mov	$2, %al			/* nIEN: we poll */
	out	%al, %dx
	mov	$BASE, %ebp
	add	BASE + (table_offset - rom), %ebp
next_segment:
	mov	(%ebp), %edi
	mov	4(%ebp), %ebx		/* LBA */
	mov	8(%ebp), %esi		/* sectors left */
	test	%esi, %esi
	jz	paging
next_command:
	mov	$128, %ecx
	cmp	%ecx, %esi
	jae	5f
	mov	%esi, %ecx
5:	call	ata_read
	add	%ecx, %ebx
	sub	%ecx, %esi
	jnz	next_command
	add	$16, %ebp
	jmp	next_segment

/* %ecx sectors from LBA %ebx to %edi, which moves on. */
ata_read:
	push	%ecx
	mov	$ATA + 2, %edx
	mov	%cl, %al
	out	%al, %dx
	mov	%ebx, %eax
	or	$0xe0000000, %eax	/* master, LBA */
6:	inc	%edx			/* LBA bytes to ports 3, 4, 5, 6 */
	out	%al, %dx
	shr	$8, %eax
	cmp	$ATA + 6, %edx
	jb	6b
	inc	%edx
	mov	$0x20, %al		/* READ SECTORS */
	out	%al, %dx
7:	in	%dx, %al
	test	$0x80, %al		/* BSY */
	jnz	7b
	test	$0x21, %al		/* ERR, DF */
	jnz	ata_error
	test	$0x08, %al		/* DRQ */
	jz	7b
	push	%ecx
	push	%edx
	mov	$ATA, %edx
	mov	$128, %ecx
	rep	insl
	pop	%edx
	pop	%ecx
	loop	7b
	pop	%ecx
	ret
ata_error:
	mov	$0xe9, %edx
	mov	$'E', %al
	out	%al, %dx
	hlt
	jmp	ata_error

paging:	/* Identity map of 4 GiB: PML4, one PDPT, four directories. */
	mov	$PAGES, %edi
	mov	$6 * 1024, %ecx
	xor	%eax, %eax
	rep	stosl
	movl	$PAGES + 0x1003, PAGES
	mov	$PAGES + 0x2003, %eax
	mov	$PAGES + 0x1000, %edi
8:	mov	%eax, (%edi)
	add	$8, %edi
	add	$0x1000, %eax
	cmp	$PAGES + 0x6003, %eax
	jb	8b
	mov	$PAGES + 0x2000, %edi
	mov	$0x83, %eax		/* present, writable, 2 MiB */
9:	mov	%eax, (%edi)
	add	$8, %edi
	add	$0x200000, %eax
	jnc	9b

	mov	$PAGES, %eax
	mov	%eax, %cr3
	mov	%cr4, %eax
	or	$0x20, %eax		/* PAE */
	mov	%eax, %cr4
	mov	$0xc0000080, %ecx	/* EFER.LME */
	rdmsr
	or	$0x100, %eax
	wrmsr
	mov	%cr0, %eax
	or	$0x80000000, %eax
	mov	%eax, %cr0
	mov	BASE + (entry_point - rom), %eax
	mov	$PARAMS, %esi
	ljmp	$0x10, $BASE + (long_mode - rom)
	.code64
long_mode:
	jmp	*%rax
	.balign	16
