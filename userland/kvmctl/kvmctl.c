// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvmctl: run a flat guest on /dev/kvm and show what it says.
 *
 * A thin program over libkvm: options, one machine, one vCPU, two ports. The
 * guest's world is what the manual page says: memory, a console port, an exit
 * port, and nothing else; other ports and addresses read as all ones.
 *
 * A guest that never ends is ended by --timeout or by SIGINT/SIGTERM: both
 * arrive as signals whose handler calls kvm_stop(), and the main thread, which
 * runs the guest, is the only thread there is.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "libkvm.h"

#define PORT_CONSOLE	0xf1
#define PORT_EXIT	0xf4

/* Exit statuses beside 0 and those that the guest chooses. */
enum {
	STATUS_GUEST_MAX = 119,
	STATUS_TIMEOUT = 124,
	STATUS_FAILED = 125,	/* usage, files, /dev/kvm */
	STATUS_GUEST_DIED = 126,
};

/* Positive values that end kvm_run(). */
enum { RUN_EXIT = 1 };

struct options {
	bool mode32;
	bool show_regs;
	bool trace_exits;
	unsigned long memory;	/* bytes */
	double timeout;		/* seconds, 0 for none */
	const char *files[2];
	int nfiles;
};

struct guest {
	const struct options *options;
	int status;
	unsigned long exits;
};

static struct kvm_context *running;
static volatile sig_atomic_t timed_out, terminated;

static const char usage[] =
"Usage: kvmctl [OPTION]... FILE [FILE2]\n"
"       kvmctl [OPTION]... -32 FILE\n"
"Run a flat guest on /dev/kvm, without a device model.\n"
"\n"
"  FILE is loaded at 0xf0000 and starts in real mode at its reset vector, the\n"
"  last 16 bytes of the first megabyte (offset 0xfff0 of FILE); FILE2 is loaded\n"
"  at 0x100000. With -32, FILE is loaded at 0x100000 and starts there in flat\n"
"  32-bit protected mode.\n"
"\n"
"  -32                  32-bit protected mode\n"
"  -m, --memory=SIZE    guest memory, in MiB or with suffix K, M, G (default 128)\n"
"  -r, --show-regs      print the registers before the run and after it\n"
"  -t, --timeout=SECS   stop the guest after that time (status 124)\n"
"  -x, --trace-exits    print a line for each exit from the guest\n"
"  -h, --help           this text\n"
"  -V, --version        the version\n"
"\n"
"The guest: byte output on port 0xf1 is printed; output on port 0xf4 ends the\n"
"guest and is the exit status (0 to 119); HLT ends it with status 0. Own\n"
"statuses: 124 timeout, 125 kvmctl could not start the guest, 126 the guest died.\n";

static void complain(const char *text)
{
	fprintf(stderr, "kvmctl: %s\n", text);
}

static int guest_out(void *opaque, int vcpu, uint16_t port, int size,
		     uint32_t value)
{
	struct guest *guest = opaque;

	(void)vcpu;
	switch (port) {
	case PORT_CONSOLE:
		for (int i = 0; i < size; i++, value >>= 8)
			putchar(value & 0xff);
		fflush(stdout);
		break;
	case PORT_EXIT:
		guest->status = value;
		return RUN_EXIT;
	}
	return 0;
}

static void trace_data(const void *data, int bytes)
{
	for (int i = bytes - 1; i >= 0; i--)
		fprintf(stderr, "%02x", ((const unsigned char *)data)[i]);
}

/* Reads are traced before their value is known: only the request is shown. */
static int trace_exit(void *opaque, int vcpu, struct kvm_run *run)
{
	struct guest *guest = opaque;

	guest->exits++;
	if (!guest->options->trace_exits)
		return 0;
	fprintf(stderr, "exit %lu vcpu %d %s", guest->exits, vcpu,
		kvm_exit_name(run->exit_reason));
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		fprintf(stderr, " %s port 0x%x size %u count %u",
			run->io.direction == KVM_EXIT_IO_IN ? "in" : "out",
			run->io.port, run->io.size, run->io.count);
		if (run->io.direction == KVM_EXIT_IO_OUT) {
			fprintf(stderr, " value 0x");
			trace_data((char *)run + run->io.data_offset, run->io.size);
		}
		break;
	case KVM_EXIT_MMIO:
		fprintf(stderr, " %s 0x%llx size %u",
			run->mmio.is_write ? "write" : "read",
			(unsigned long long)run->mmio.phys_addr, run->mmio.len);
		if (run->mmio.is_write) {
			fprintf(stderr, " value 0x");
			trace_data(run->mmio.data, run->mmio.len);
		}
		break;
	}
	fputc('\n', stderr);
	return 0;
}

static void on_signal(int sig)
{
	if (sig == SIGALRM)
		timed_out = 1;
	else
		terminated = sig;
	if (running)
		kvm_stop(running, 0);
}

static void catch_signals(double timeout)
{
	static const int signals[] = { SIGALRM, SIGINT, SIGTERM };
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval timer = { 0 };

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	timer.it_value.tv_sec = timeout;
	timer.it_value.tv_usec = (timeout - timer.it_value.tv_sec) * 1e6;
	/* Again and again, for a signal that arrives just before kvm_run(). */
	timer.it_interval.tv_usec = 100000;
	if (timeout > 0)
		setitimer(ITIMER_REAL, &timer, NULL);
}

static bool parse_size(const char *text, unsigned long *bytes)
{
	unsigned long long n;
	char *end;
	int shift = 20;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		return false;
	switch (*end) {
	case 'k': case 'K': shift = 10; end++; break;
	case 'm': case 'M': shift = 20; end++; break;
	case 'g': case 'G': shift = 30; end++; break;
	}
	if (*end || n > 1ULL << 40 || (n << shift) > 1ULL << 40)
		return false;
	*bytes = n << shift;
	return *bytes >= LIBKVM_MEMORY_MIN && *bytes <= LIBKVM_MEMORY_MAX &&
		*bytes % 4096 == 0;
}

static bool parse_seconds(const char *text, double *seconds)
{
	char *end;

	*seconds = strtod(text, &end);
	return end != text && !*end && *seconds > 0 && *seconds < 1e8;
}

/* Returns a status to exit with, or -1 to go on. */
static int parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "32", no_argument, NULL, '3' },
		{ "memory", required_argument, NULL, 'm' },
		{ "show-regs", no_argument, NULL, 'r' },
		{ "timeout", required_argument, NULL, 't' },
		{ "trace-exits", no_argument, NULL, 'x' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int c;

	/* "-32" is one word in the article's command, so it is one here. */
	for (int i = 1; i < argc && strcmp(argv[i], "--"); i++)
		if (!strcmp(argv[i], "-32"))
			argv[i] = "--32";
	while ((c = getopt_long(argc, argv, "m:rt:xhV", longs, NULL)) != -1) {
		switch (c) {
		case '3':
			o->mode32 = true;
			break;
		case 'm':
			if (parse_size(optarg, &o->memory))
				break;
			fprintf(stderr, "kvmctl: --memory=%s: give a size from 1M to %luM, such as 128M\n",
				optarg, LIBKVM_MEMORY_MAX >> 20);
			return STATUS_FAILED;
		case 'r':
			o->show_regs = true;
			break;
		case 't':
			if (parse_seconds(optarg, &o->timeout))
				break;
			fprintf(stderr, "kvmctl: --timeout=%s: give a number of seconds above 0, such as 10 or 0.5\n",
				optarg);
			return STATUS_FAILED;
		case 'x':
			o->trace_exits = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		case 'V':
			printf("kvmctl (kvm-live) %s\n", kvm_library_version());
			return 0;
		default:
			fputs("Try 'kvmctl --help'.\n", stderr);
			return STATUS_FAILED;
		}
	}
	for (; optind < argc; optind++) {
		if (o->nfiles == (o->mode32 ? 1 : 2)) {
			fprintf(stderr, "kvmctl: %s: one file too many; %s\n",
				argv[optind], o->mode32 ?
				"-32 takes one file, which it starts at 0x100000" :
				"at most two files are loaded, at 0xf0000 and 0x100000");
			return STATUS_FAILED;
		}
		o->files[o->nfiles++] = argv[optind];
	}
	if (o->nfiles == 0) {
		complain("no guest given: name the file to run");
		fputs("Try 'kvmctl --help'.\n", stderr);
		return STATUS_FAILED;
	}
	return -1;
}

static bool load(struct kvm_context *kvm, const struct options *o)
{
	static const unsigned long places[] = { 0xf0000, 0x100000 };

	for (int i = 0; i < o->nfiles && i + o->mode32 < 2; i++) {
		long n = kvm_load_file(kvm, places[i + o->mode32], o->files[i]);

		if (n < 0) {
			complain(kvm_error(kvm));
			return false;
		}
		if (i + o->mode32 == 0 && n < 0x10000) {
			fprintf(stderr, "kvmctl: %s has %ld bytes and ends before its reset vector at offset 0xfff0: make it 65536 bytes long, or use -32.\n",
				o->files[i], n);
			return false;
		}
	}
	return true;
}

/* What the end of kvm_run() means for us: a sentence where one is due. */
static int judge(struct kvm_context *kvm, const struct options *o,
		 const struct guest *guest, int r)
{
	if (r == RUN_EXIT) {
		if (guest->status >= 0 && guest->status <= STATUS_GUEST_MAX)
			return guest->status;
		fprintf(stderr, "kvmctl: the guest ended with status %d; statuses are from 0 to %d.\n",
			guest->status, STATUS_GUEST_MAX);
		return STATUS_GUEST_DIED;
	}
	if (r == 0)
		return 0;
	if (r == -EINTR && timed_out) {
		fprintf(stderr, "kvmctl: the guest was still running after %g s and was stopped (--timeout).\n",
			o->timeout);
		return STATUS_TIMEOUT;
	}
	if (r == -EINTR && terminated)
		return 128 + terminated;
	complain(kvm_error(kvm));
	return STATUS_GUEST_DIED;
}

static int run(const struct options *o)
{
	struct guest guest = { .options = o };
	struct kvm_callbacks callbacks = {
		.io_out = guest_out,
		.exit = trace_exit,
	};
	struct kvm_context *kvm = kvm_init(&callbacks, &guest);
	int status = STATUS_FAILED, r;
	void *memory;

	if (!kvm) {
		complain(kvm_error(NULL));
		return STATUS_FAILED;
	}
	if (kvm_create(kvm, o->memory, &memory) < 0) {
		complain(kvm_error(kvm));
		goto out;
	}
	if (o->mode32 && kvm_enter_32(kvm, 0, LIBKVM_ENTRY_32) < 0) {
		complain(kvm_error(kvm));
		goto out;
	}
	if (!load(kvm, o))
		goto out;
	if (o->show_regs)
		kvm_show_regs(kvm, 0);
	running = kvm;
	catch_signals(o->timeout);
	do {
		r = kvm_run(kvm, 0);
	} while (r == -EINTR && !timed_out && !terminated);
	running = NULL;
	status = judge(kvm, o, &guest, r);
	if (o->show_regs)
		kvm_show_regs(kvm, 0);
out:
	kvm_finalize(kvm);
	return status;
}

int main(int argc, char **argv)
{
	struct options options = { .memory = 128UL << 20 };
	int status = parse_options(argc, argv, &options);

	if (status < 0)
		status = run(&options);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "kvmctl: standard output cannot be written: %s\n",
			strerror(errno));
		status = STATUS_FAILED;
	}
	return status;
}
