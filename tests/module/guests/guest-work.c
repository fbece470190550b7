// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-work: what a Linux guest does while its host migrates it, takes snapshots of
 * it or loads it. A static program for its initramfs.
 *
 *   guest-work chain MIB   writes memory without end, so that one lost write shows. Page
 *                          i holds the number of its writes and a hash of that and of i;
 *                          the sum of the numbers is kept beside. A page that went back
 *                          to an older state has a good hash, but the sum is too small.
 *                          About every second all pages are read: "chain WRITES good", or
 *                          "chain BROKEN …" and the end.
 *   guest-work clock       answers every line on its standard input with the time of
 *                          CLOCK_REALTIME in nanoseconds, behind the line's own text
 *   guest-work smi COUNT   raises so many SMIs (on a machine whose firmware takes them),
 *                          from each processor in turn: "smi COUNT raised"
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096
#define ROUNDS	400	/* of the hash: so much work for each page that gets dirty */

struct page {
	uint64_t writes, hash;
	uint8_t rest[PAGE - 16];
};

static uint64_t hash(uint64_t page, uint64_t writes)
{
	uint64_t h = page * 0x9e3779b97f4a7c15 + writes;

	for (int i = 0; i < ROUNDS; i++) {
		h ^= h >> 29;
		h *= 0xbf58476d1ce4e5b9;
	}
	return h;
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int chain(size_t mib)
{
	size_t n = mib * 1048576 / PAGE;
	uint64_t total = 0, state = 88172645463325252, sum;
	struct page *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double next = seconds() + 1;

	if (p == MAP_FAILED) {
		puts("chain BROKEN: no memory");
		return 1;
	}
	for (size_t i = 0; i < n; i++)
		p[i].hash = hash(i, 0);
	for (;;) {
		for (int k = 0; k < 200; k++) {
			size_t i;

			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			i = state % n;
			p[i].hash = hash(i, ++p[i].writes);
			total++;
		}
		if (seconds() < next)
			continue;
		sum = 0;
		for (size_t i = 0; i < n; i++) {
			if (p[i].hash != hash(i, p[i].writes)) {
				printf("chain BROKEN: page %zu says %" PRIu64 " writes, and its hash is wrong\n",
				       i, p[i].writes);
				return 1;
			}
			sum += p[i].writes;
		}
		if (sum != total) {
			printf("chain BROKEN: %" PRIu64 " writes were made, the pages have %" PRIu64 "\n",
			       total, sum);
			return 1;
		}
		printf("chain %" PRIu64 " good\n", total);
		fflush(stdout);
		next = seconds() + 1;
	}
}

static int tell_time(void)
{
	char line[64];
	struct sched_param first = { .sched_priority = 50 };
	struct timespec t;

	sched_setscheduler(0, SCHED_FIFO, &first);	/* else the answer is only later */
	while (fgets(line, sizeof(line), stdin)) {
		clock_gettime(CLOCK_REALTIME, &t);
		line[strcspn(line, "\r\n")] = 0;
		printf("%s %lld%09ld\n", line, (long long)t.tv_sec, t.tv_nsec);
		fflush(stdout);
	}
	return 0;
}

/* Port 0xb2 of the ICH9: a command to the firmware, here one that it does not know. */
static int raise_smis(int count)
{
	int processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (ioperm(0xb2, 1, 1)) {
		puts("smi BROKEN: no access to the port");
		return 1;
	}
	for (int i = 0; i < count; i++) {
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(i % processors, &one);
		sched_setaffinity(0, sizeof(one), &one);
		outb(0x99, 0xb2);
		if (i % 3 == 0)
			usleep(i % 1000);	/* or at once, or behind a halt */
		if (i % 100 == 0)
			printf("smi %d\n", i);
	}
	printf("smi %d raised\n", count);
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && !strcmp(argv[1], "chain"))
		return chain(strtoul(argv[2], NULL, 10));
	if (argc == 2 && !strcmp(argv[1], "clock"))
		return tell_time();
	if (argc == 3 && !strcmp(argv[1], "smi"))
		return raise_smis(atoi(argv[2]));
	fprintf(stderr, "usage: guest-work chain MIB | clock | smi COUNT\n");
	return 2;
}
