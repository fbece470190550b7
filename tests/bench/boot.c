// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a guest's boot costs: from the start of QEMU to the guest's init, by the
 * TSC of a machine that counts instructions (run-vm --icount). What this machine
 * was idle meanwhile, because the guest waited, is given apart: idle time passes
 * without instructions.
 *
 * The same program is the guest's init: process 1 says so and powers off.
 * /vm/files has guest-kernel and guest.cpio; QEMU is where Debian has it. Output
 * as bench.c's, "fails" if the guest does not get there.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>
#include <x86intrin.h>

#define BOOTS 2

static const char said[] = "guest: init is reached";

static double idle_seconds(void)
{
	double up, idle = 0;
	FILE *f = fopen("/proc/uptime", "r");

	if (!f || fscanf(f, "%lf %lf", &up, &idle) != 2)
		exit(2);
	fclose(f);
	return idle;
}

static int has_npt(void)
{
	FILE *f = fopen("/sys/module/kvm_amd/parameters/npt", "r");
	int c = f ? getc(f) : 'Y';

	if (f)
		fclose(f);
	return c == 'Y' || c == '1';
}

/* Instructions, or 0; *idle those that would have fit in the idle time. */
static uint64_t boot(uint64_t *idle)
{
	char text[65536] = "";
	size_t n = 0;
	ssize_t got;
	int out[2], status;
	double before = idle_seconds();
	uint64_t start = __rdtsc(), ticks = 0;
	pid_t pid;

	if (pipe(out) < 0)
		return 0;
	pid = fork();
	if (pid == 0) {
		dup2(open("/dev/null", O_RDONLY), 0);
		dup2(out[1], 1);
		execl("/usr/bin/qemu-system-x86_64", "qemu-system-x86_64", "-accel", "kvm",
		      "-cpu", "host", "-m", "256", "-nodefaults", "-no-user-config",
		      "-display", "none", "-no-reboot", "-kernel", "/vm/files/guest-kernel",
		      "-initrd", "/vm/files/guest.cpio", "-append",
		      "console=ttyS0 quiet panic=-1", "-serial", "stdio", "-monitor", "none", NULL);
		_exit(127);
	}
	close(out[1]);
	while (n < sizeof(text) - 1 && (got = read(out[0], text + n, sizeof(text) - 1 - n)) > 0) {
		n += got;
		if (!ticks && strstr(text, said)) {
			ticks = __rdtsc() - start;
			*idle = (idle_seconds() - before) * 1e9;
		}
	}
	close(out[0]);
	waitpid(pid, &status, 0);
	if (ticks)
		return ticks;
	printf("# boot: QEMU's status is 0x%x; the guest said, without returns:\n", status);
	for (char *line = strtok(text, "\r\n"); line; line = strtok(NULL, "\r\n"))
		printf("# boot: %s\n", line);
	return 0;
}

int main(void)
{
	uint64_t ticks, idle, best = 0, best_idle = 0;
	const char *how = has_npt() ? "npt" : "shadow";

	if (getpid() == 1) {
		puts(said);
		fflush(stdout);
		reboot(RB_POWER_OFF);
		for (;;)
			pause();
	}
	for (int i = 0; i < BOOTS; i++) {
		ticks = boot(&idle);
		printf("# boot %d: %llu instructions, and idle for %llu\n", i + 1,
		       (unsigned long long)(ticks - idle), (unsigned long long)idle);
		fflush(stdout);
		if (ticks && (!best || ticks - idle < best)) {
			best = ticks - idle;
			best_idle = idle;
		}
	}
	if (best) {
		printf("# bench\tboot-%s: millions of instructions from QEMU's start to a Debian guest's init, %s paging\t%.0f\n",
		       how, has_npt() ? "nested" : "shadow", best / 1e6);
		printf("# boot: idle for %.0f million instructions\n", best_idle / 1e6);
	} else {
		printf("# bench\tboot-%s: millions of instructions from QEMU's start to a Debian guest's init, %s paging\tfails\n",
		       how, has_npt() ? "nested" : "shadow");
	}
	return 0;
}
