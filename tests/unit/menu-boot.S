/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The smallest installer: a CD boot image of two sectors for menu-libvirt.t.
 * Started from the CD, it says so on COM1, writes its second sector to the first
 * disk as that one's boot sector, and resets the machine. Started from the disk,
 * it says so and sends back each key in brackets; o ends the machine (it is off
 * for QEMU's ACPI at both machine types' usual ports), d writes a lot to the disk.
 */
	.code16
	.globl _start
_start:
	ljmp $0, $1f
1:	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7c00, %sp
	movw $cd_text, %si
	call say
	movw $0x0301, %ax	/* write one sector */
	movw $0x0001, %cx
	movw $0x0080, %dx
	movw $disk, %bx
	int $0x13
	movw $written, %si
	jnc 2f
	movw $failed, %si
2:	call say
	movb $0x86, %ah		/* wait half a second: where the reset ends the */
	movw $7, %cx		/* guest, what it wrote last would be lost */
	xorw %dx, %dx
	int $0x15
	movb $0xfe, %al		/* reset by the keyboard controller */
	outb %al, $0x64
3:	hlt
	jmp 3b

say:
	lodsb
	testb %al, %al
	jz 9f
	movw $0x3f8, %dx
	outb %al, %dx
	jmp say
9:	ret

cd_text: .asciz "\r\nCD-BOOT\r\n"
written: .asciz "WRITTEN\r\n"
failed:	.asciz "WRITE FAILED\r\n"
	.org 510
	.byte 0x55, 0xaa

/* Runs at 0x7c00 when booted from the disk, so every address is relative. */
disk:
	ljmp $0, $(0x7c00 + at_disk - disk)
at_disk:
	xorw %ax, %ax
	movw %ax, %ds
	movw %ax, %es
	movw %ax, %ss
	movw $0x7c00, %sp
	movw $(0x7c00 + disk_text - disk), %si
4:	lodsb
	testb %al, %al
	jz 5f
	movw $0x3f8, %dx
	outb %al, %dx
	jmp 4b
5:	movw $0x3fd, %dx	/* line status: a byte received? */
	inb %dx, %al
	testb $1, %al
	jz 5b
	movw $0x3f8, %dx
	inb %dx, %al
	cmpb $'o', %al
	je off
	cmpb $'d', %al
	je fill
	movb %al, %ah
	movb $'[', %al
	outb %al, %dx
	movb %ah, %al
	outb %al, %dx
	movb $']', %al
	outb %al, %dx
	jmp 5b

off:	movw $0x2000, %ax	/* sleep state S5 of QEMU's ACPI */
	movw $0x604, %dx	/* q35 */
	outw %ax, %dx
	movw $0xb004, %dx	/* pc, older */
	outw %ax, %dx
	jmp 5b

fill:	movl $0x1000, %ecx	/* sectors apart, so that each takes new space */
6:	pushl %ecx
	movl %ecx, (0x7c00 + lba - disk)
	movb $0x43, %ah		/* extended write */
	movb $0, %al
	movb $0x80, %dl
	movw $(0x7c00 + packet - disk), %si
	int $0x13
	popl %ecx
	addl $128, %ecx
	cmpl $0x100000, %ecx
	jb 6b
	movb $'F', %al
	movw $0x3f8, %dx
	outb %al, %dx
	jmp 5b

disk_text: .asciz "\r\nDISK-BOOT\r\n"
packet:	.byte 16, 0, 1, 0
	.word 0x7c00, 0
lba:	.long 0, 0
	.org disk + 510 - _start
	.byte 0x55, 0xaa
	.org 2048
