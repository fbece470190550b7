// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tells the kernel's symbols to the profile's plugin: puts /proc/kallsyms where
 * bench.h says and executes the instruction at which the plugin reads them there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

int main(void)
{
	size_t n = 0;
	ssize_t got;
	int fd = open("/proc/kallsyms", O_RDONLY);
	char *room = mmap((void *)BENCH_SYMBOLS_AT, BENCH_SYMBOLS_ROOM, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_POPULATE, -1, 0);

	if (fd < 0 || room == MAP_FAILED) {
		printf("Bail out! /proc/kallsyms or memory for it: %s\n", strerror(errno));
		return 1;
	}
	while ((got = read(fd, room + n, BENCH_SYMBOLS_ROOM - 1 - n)) > 0)
		n += got;
	BENCH_MARK(BENCH_SYMBOLS);
	return 0;
}
