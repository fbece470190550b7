// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * vm-off: end the test machine. Bochs quits when "Shutdown" is written to its
 * port 0x8900; anywhere else the writes go nowhere and ACPI or a reset does it
 * (run-vm's QEMU has -no-reboot).
 */
#include <stdio.h>
#include <sys/io.h>
#include <sys/reboot.h>
#include <termios.h>
#include <unistd.h>

int main(void)
{
	const char *p;

	sync();
	tcdrain(STDOUT_FILENO);
	if (iopl(3))
		perror("vm-off: iopl");
	else
		for (p = "Shutdown"; *p; p++)
			outb(*p, 0x8900);
	reboot(RB_POWER_OFF);
	reboot(RB_AUTOBOOT);
	perror("vm-off: reboot");
	return 1;
}
