// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvmctl: run a kernel or a flat guest on /dev/kvm and show what it says.
 *
 * A thin program over libkvm and load.c: options, one machine, two ports. The
 * guest's world is what the manual page says: memory, a console port, an exit
 * port, and nothing else; other ports and addresses read as all ones. Linux
 * cannot live on that, so it gets what KVM has in the kernel (interrupt
 * controllers and a timer) and the transmitter of a serial port.
 *
 * The main thread runs vCPU 0, each other vCPU has a thread. Whoever ends the
 * guest first, a vCPU or a signal (--timeout, SIGINT, SIGTERM, which only the
 * main thread gets), says so by end_guest(): it keeps the reason and makes every
 * vCPU leave the guest.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include "libkvm.h"
#include "load.h"

#define PORT_CONSOLE	0xf1
#define PORT_EXIT	0xf4

/* The serial port that Linux prints its first messages on. */
#define PORT_SERIAL	0x3f8
#define SERIAL_LCR	3
#define SERIAL_LSR	5
#define LCR_DLAB	0x80
#define LSR_EMPTY	0x60

#define LINUX_CMDLINE	"earlyprintk=serial,ttyS0,115200,keep panic=-1 reboot=t"
#define REASONS		64	/* KVM_EXIT_ reasons that are counted apart */

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
	bool stats;
	int cpus;
	const char *initrd, *append;	/* NULL: not given */
	unsigned long memory;	/* bytes */
	double timeout;		/* seconds, 0 for none */
	const char *files[2];
	int nfiles;
};

struct guest {
	const struct options *options;
	struct kvm_context *kvm;
	bool serial, dlab;
	int status;			/* what the vCPU that ended it wrote to the exit port */
	atomic_ulong exits, reasons[REASONS];
	pthread_t threads[LIBKVM_MAX_VCPUS];
	pthread_mutex_t gate;		/* held until all threads are there */
	int cpus;			/* that have a thread */
	atomic_int running;		/* that have not halted for good */
	atomic_bool over;
	int result;			/* of the kvm_run() that ended it; 0: all halted */
	char sentence[512];
};

/* Bytes of a file, malloc()ed. */
struct file {
	uint8_t *data;
	size_t bytes;
};

static _Thread_local int exit_status;	/* what this thread's vCPU wrote there */
static struct guest *signalled;	/* the guest that a signal ends */
static volatile sig_atomic_t timed_out, terminated;

static const char usage[] =
"Usage: kvmctl [OPTION]... KERNEL\n"
"       kvmctl [OPTION]... FILE [FILE2]\n"
"       kvmctl [OPTION]... -32 FILE\n"
"Run a kernel or a flat guest on /dev/kvm, without a device model.\n"
"\n"
"  KERNEL is a multiboot kernel, an ELF file (32 or 64 bits) or Linux's bzImage.\n"
"  Any other FILE is loaded at 0xf0000 and starts in real mode at its reset\n"
"  vector, the last 16 bytes of the first megabyte (offset 0xfff0 of FILE); FILE2\n"
"  is loaded at 0x100000. With -32, FILE is loaded at 0x100000 as it is and starts\n"
"  there in flat 32-bit protected mode.\n"
"\n"
"  -32                  32-bit protected mode\n"
"  -a, --append=TEXT    command line of a multiboot or Linux kernel\n"
"  -c, --cpus=N         processors (default 1)\n"
"  -i, --initrd=FILE    Linux's initrd, or a multiboot kernel's module\n"
"  -m, --memory=SIZE    guest memory, in MiB or with suffix K, M, G (default 128)\n"
"  -r, --show-regs      print the registers before the run and after it\n"
"  -s, --stats          print exits by reason, and times, after the run\n"
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

static void print_bytes(uint32_t value, int size)
{
	for (int i = 0; i < size; i++, value >>= 8)
		putchar(value & 0xff);
	fflush(stdout);
}

static int guest_in(void *opaque, int vcpu, uint16_t port, int size,
		    uint32_t *value)
{
	struct guest *guest = opaque;

	(void)vcpu; (void)size;
	if (guest->serial && port == PORT_SERIAL + SERIAL_LSR)
		*value = LSR_EMPTY;
	return 0;
}

static int guest_out(void *opaque, int vcpu, uint16_t port, int size,
		     uint32_t value)
{
	struct guest *guest = opaque;

	(void)vcpu;
	switch (port) {
	case PORT_CONSOLE:
		print_bytes(value, size);
		break;
	case PORT_EXIT:
		exit_status = value;
		return RUN_EXIT;
	case PORT_SERIAL + SERIAL_LCR:
		guest->dlab = value & LCR_DLAB;
		break;
	case PORT_SERIAL:
		if (guest->serial && !guest->dlab)
			print_bytes(value, 1);
		break;
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
	unsigned long number = atomic_fetch_add(&guest->exits, 1) + 1;

	if (run->exit_reason < REASONS)
		atomic_fetch_add(&guest->reasons[run->exit_reason], 1);
	if (!guest->options->trace_exits)
		return 0;
	flockfile(stderr);
	fprintf(stderr, "exit %lu vcpu %d %s", number, vcpu,
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
	funlockfile(stderr);
	return 0;
}

/* The first call counts. Called from a signal handler, too: then without a text. */
static void end_guest(struct guest *guest, int result, const char *sentence)
{
	if (atomic_exchange(&guest->over, true))
		return;
	guest->result = result;
	guest->status = exit_status;
	if (sentence)
		snprintf(guest->sentence, sizeof(guest->sentence), "%s", sentence);
	for (int i = 0; i < guest->cpus; i++) {
		kvm_stop(guest->kvm, i);
		pthread_kill(guest->threads[i], SIGUSR1);
	}
}

static void on_signal(int sig)
{
	if (sig == SIGALRM)
		timed_out = 1;
	else
		terminated = sig;
	if (signalled)
		end_guest(signalled, -EINTR, NULL);
}

/* It only makes KVM_RUN return. */
static void on_kick(int sig)
{
	(void)sig;
}

static void catch_signals(double timeout)
{
	static const int signals[] = { SIGALRM, SIGINT, SIGTERM };
	struct sigaction action = { .sa_handler = on_signal };
	struct sigaction kick = { .sa_handler = on_kick };
	struct itimerval timer = { 0 };

	sigaction(SIGUSR1, &kick, NULL);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		sigaction(signals[i], &action, NULL);
	timer.it_value.tv_sec = timeout;
	timer.it_value.tv_usec = (timeout - timer.it_value.tv_sec) * 1e6;
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

static bool parse_count(const char *text, int *count)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (end == text || *end || n < 1 || n > LIBKVM_MAX_VCPUS)
		return false;
	*count = n;
	return true;
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
		{ "append", required_argument, NULL, 'a' },
		{ "cpus", required_argument, NULL, 'c' },
		{ "initrd", required_argument, NULL, 'i' },
		{ "memory", required_argument, NULL, 'm' },
		{ "show-regs", no_argument, NULL, 'r' },
		{ "stats", no_argument, NULL, 's' },
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
	while ((c = getopt_long(argc, argv, "a:c:i:m:rst:xhV", longs, NULL)) != -1) {
		switch (c) {
		case '3':
			o->mode32 = true;
			break;
		case 'a':
			o->append = optarg;
			break;
		case 'c':
			if (parse_count(optarg, &o->cpus))
				break;
			fprintf(stderr, "kvmctl: --cpus=%s: give a number from 1 to %d\n",
				optarg, LIBKVM_MAX_VCPUS);
			return STATUS_FAILED;
		case 'i':
			o->initrd = optarg;
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
		case 's':
			o->stats = true;
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

/*
 * All of a file, which is at most @max bytes long. The name goes first in every
 * sentence, as in the library's.
 */
static bool read_file(const char *path, size_t max, struct file *f)
{
	struct stat st;
	ssize_t n = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0 || fstat(fd, &st) < 0) {
		fprintf(stderr, "kvmctl: %s cannot be opened: %s.\n", path, strerror(errno));
		goto failed;
	}
	if (!S_ISREG(st.st_mode)) {
		fprintf(stderr, "kvmctl: %s is %s, not a file.\n", path,
			S_ISDIR(st.st_mode) ? "a directory" : "a device or a pipe");
		goto failed;
	}
	if (st.st_size == 0) {
		fprintf(stderr, "kvmctl: %s is empty: there is nothing to run.\n", path);
		goto failed;
	}
	if ((uint64_t)st.st_size > max) {
		fprintf(stderr, "kvmctl: %s has %lld bytes and the guest has %zu: give more --memory.\n",
			path, (long long)st.st_size, max);
		goto failed;
	}
	f->data = malloc(st.st_size);
	if (!f->data) {
		fprintf(stderr, "kvmctl: there is no memory for the %lld bytes of %s.\n",
			(long long)st.st_size, path);
		goto failed;
	}
	for (f->bytes = 0; f->bytes < (size_t)st.st_size; f->bytes += n) {
		n = read(fd, f->data + f->bytes, st.st_size - f->bytes);
		if (n <= 0)
			break;
	}
	if (n < 0) {
		fprintf(stderr, "kvmctl: %s cannot be read: %s.\n", path, strerror(errno));
		goto failed;
	}
	close(fd);
	return true;
failed:
	if (fd >= 0)
		close(fd);
	return false;
}

/* Files that are loaded as they are. */
static bool start_flat(struct guest *guest, const struct options *o)
{
	static const unsigned long places[] = { 0xf0000, 0x100000 };
	struct kvm_context *kvm = guest->kvm;

	for (int i = 0; i < o->nfiles && i + o->mode32 < 2; i++) {
		if (kvm_load_file(kvm, places[i + o->mode32], o->files[i]) < 0)
			return false;
	}
	for (int i = 0; o->mode32 && i < o->cpus; i++)
		if (kvm_enter_32(kvm, i, LIBKVM_ENTRY_32) < 0)
			return false;
	return true;
}

/* Linux wants its code segment to be 0x10 and its data segments to be 0x18. */
static int linux_segments(struct kvm_context *kvm)
{
	uint64_t *gdt = kvm_guest_memory(kvm, LIBKVM_GDT, 32);
	struct kvm_sregs s;
	int r = kvm_get_sregs(kvm, 0, &s);

	if (r < 0)
		return r;
	gdt[3] = gdt[2];
	gdt[2] = gdt[1];
	s.cs.selector = 0x10;
	s.ds.selector = s.es.selector = s.fs.selector = s.gs.selector = 0x18;
	s.ss.selector = 0x18;
	return kvm_set_sregs(kvm, 0, &s);
}

static bool start_kernel(struct guest *guest, const struct options *o,
			 struct load *l)
{
	struct kvm_context *kvm = guest->kvm;
	struct kvm_regs regs;

	if (load_kernel(l) < 0) {
		fprintf(stderr, "kvmctl: %s cannot be started: %s.\n", o->files[0],
			l->error);
		return false;
	}
	/* Linux starts its other processors itself. */
	for (int i = 0; i < (l->format == LOAD_LINUX ? 1 : o->cpus); i++) {
		if ((l->bits == 64 ? kvm_enter_64(kvm, i, l->entry) :
				     kvm_enter_32(kvm, i, l->entry)) < 0 ||
		    kvm_get_regs(kvm, i, &regs) < 0)
			goto failed;
		regs.rax = l->rax;
		regs.rbx = l->rbx;
		regs.rsi = l->rsi;
		if (kvm_set_regs(kvm, i, &regs) < 0)
			goto failed;
	}
	if (l->format == LOAD_LINUX && linux_segments(kvm) < 0)
		goto failed;
	return true;
failed:
	complain(kvm_error(kvm));
	return false;
}

/* What can be known of the files before there is a machine. */
static bool check_files(const struct options *o, struct load *l, struct file *kernel,
			struct file *initrd)
{
	if (!read_file(o->files[0], o->memory, kernel))
		return false;
	l->file = kernel->data;
	l->file_bytes = kernel->bytes;
	l->format = o->mode32 ? LOAD_FLAT : load_detect(l->file, l->file_bytes);
	if (l->format == LOAD_FLAT) {
		if (o->initrd || o->append) {
			fprintf(stderr, "kvmctl: %s is a flat file, which nobody tells of --initrd and --append: they are for multiboot and Linux kernels.\n",
				o->files[0]);
			return false;
		}
		if (!o->mode32 && l->file_bytes < 0x10000) {
			fprintf(stderr, "kvmctl: %s is no kernel (multiboot, ELF or Linux), and as a flat file its %zu bytes end before its reset vector at offset 0xfff0: make it 65536 bytes long, or use -32.\n",
				o->files[0], l->file_bytes);
			return false;
		}
		return true;
	}
	if (o->nfiles > 1) {
		fprintf(stderr, "kvmctl: %s: one file too many; %s is a kernel, which is loaded alone (its initrd: --initrd)\n",
			o->files[1], o->files[0]);
		return false;
	}
	l->cmdline = o->append ? o->append :
		     l->format == LOAD_LINUX ? LINUX_CMDLINE : "";
	l->cpus = o->cpus;
	if (o->initrd && !read_file(o->initrd, o->memory, initrd))
		return false;
	l->initrd = initrd->data;
	l->initrd_bytes = initrd->bytes;
	return true;
}

static void run_vcpu(struct guest *guest, int vcpu)
{
	int r;

	do {
		r = kvm_run(guest->kvm, vcpu);
	} while (r == -EINTR && !atomic_load(&guest->over));
	/* The guest ends when one of them ends it, or when all have halted. */
	if (r != 0 || atomic_fetch_sub(&guest->running, 1) == 1)
		end_guest(guest, r, kvm_error(guest->kvm));
}

struct starter {
	struct guest *guest;
	int vcpu;
};

static void *vcpu_thread(void *arg)
{
	struct starter *s = arg;

	pthread_mutex_lock(&s->guest->gate);
	pthread_mutex_unlock(&s->guest->gate);
	run_vcpu(s->guest, s->vcpu);
	return NULL;
}

static bool run_guest(struct guest *guest, const struct options *o)
{
	struct starter starters[LIBKVM_MAX_VCPUS];
	sigset_t ours, old;
	int err = 0;

	guest->threads[0] = pthread_self();
	guest->cpus = 1;
	sigfillset(&ours);
	sigdelset(&ours, SIGUSR1);
	catch_signals(o->timeout);
	pthread_sigmask(SIG_SETMASK, &ours, &old);
	pthread_mutex_lock(&guest->gate);
	for (int i = 1; i < o->cpus && !err; i++) {
		starters[i] = (struct starter){ guest, i };
		err = pthread_create(&guest->threads[i], NULL, vcpu_thread, &starters[i]);
		guest->cpus += !err;
	}
	atomic_store(&guest->running, guest->cpus);
	if (err)
		end_guest(guest, -err, "there are no threads for so many --cpus");
	signalled = guest;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	pthread_mutex_unlock(&guest->gate);
	run_vcpu(guest, 0);
	for (int i = 1; i < guest->cpus; i++)
		pthread_join(guest->threads[i], NULL);
	signalled = NULL;
	return !err;
}

/* What the end of the guest means for us: a sentence where one is due. */
static int judge(const struct options *o, const struct guest *guest)
{
	int r = guest->result;

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
	complain(guest->sentence);
	return STATUS_GUEST_DIED;
}

struct moment {
	struct timespec time;
	unsigned long long cycles;
};

static struct moment now(void)
{
	struct moment m = { .cycles = __rdtsc() };

	clock_gettime(CLOCK_MONOTONIC, &m.time);
	return m;
}

static void show_span(const char *what, const struct moment *from,
		      const struct moment *to)
{
	fprintf(stderr, "%s %.3f ms, %llu cycles of the TSC\n", what,
		(to->time.tv_sec - from->time.tv_sec) * 1e3 +
		(to->time.tv_nsec - from->time.tv_nsec) / 1e6,
		to->cycles - from->cycles);
}

static void show_stats(const struct guest *guest, const struct moment m[3])
{
	show_span("start", &m[0], &m[1]);
	show_span("run", &m[1], &m[2]);
	fprintf(stderr, "exits %lu\n", atomic_load(&guest->exits));
	for (int i = 0; i < REASONS; i++)
		if (atomic_load(&guest->reasons[i]))
			fprintf(stderr, "exits %s %lu\n", kvm_exit_name(i),
				atomic_load(&guest->reasons[i]));
}

static void show_regs(const struct guest *guest, const struct options *o)
{
	for (int i = 0; i < o->cpus; i++)
		kvm_show_regs(guest->kvm, i);
}

static bool create(struct guest *guest, const struct options *o, struct load *l)
{
	void *memory;
	int r = kvm_create_machine(guest->kvm, o->memory,
				   l->format == LOAD_LINUX ? LIBKVM_IRQCHIP : 0,
				   &memory);

	for (int i = 1; r >= 0 && i < o->cpus; i++)
		r = kvm_create_vcpu(guest->kvm, i);
	l->memory = memory;
	l->memory_bytes = o->memory;
	guest->serial = l->format == LOAD_LINUX;
	return r >= 0;
}

static int run(const struct options *o)
{
	struct guest guest = { .options = o, .gate = PTHREAD_MUTEX_INITIALIZER };
	struct kvm_callbacks callbacks = {
		.io_in = guest_in,
		.io_out = guest_out,
		.exit = trace_exit,
	};
	struct file kernel = { 0 }, initrd = { 0 };
	struct load l = { .cmdline = "" };
	struct moment moments[3] = { now() };
	int status = STATUS_FAILED;

	if (!check_files(o, &l, &kernel, &initrd))
		goto out;
	guest.kvm = kvm_init(&callbacks, &guest);
	if (!guest.kvm || !create(&guest, o, &l)) {
		complain(kvm_error(guest.kvm));
		goto out;
	}
	if (l.format != LOAD_FLAT) {
		if (!start_kernel(&guest, o, &l))
			goto out;
	} else if (!start_flat(&guest, o)) {
		complain(kvm_error(guest.kvm));
		goto out;
	}
	if (o->show_regs)
		show_regs(&guest, o);
	moments[1] = now();
	if (run_guest(&guest, o))
		status = judge(o, &guest);
	else
		complain(guest.sentence);
	moments[2] = now();
	if (o->show_regs)
		show_regs(&guest, o);
	if (o->stats)
		show_stats(&guest, moments);
out:
	kvm_finalize(guest.kvm);
	free(kernel.data);
	free(initrd.data);
	return status;
}

int main(int argc, char **argv)
{
	struct options options = { .memory = 128UL << 20, .cpus = 1 };
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
