// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Machines that come and go: made, run and destroyed in a row, in threads, with
 * descriptors closed in every order, and by processes that are killed while
 * their guest runs. For the leak test; at the end the kernel must have as many
 * machines as at the beginning, and about as much memory.
 *
 *	stress-lifecycle [ROUNDS]	default 40
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "vm.h"

#define THREADS 4

static int rounds = 40;

static void pause_ms(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

/* MemAvailable in KiB. */
static long available(void)
{
	char text[128];
	long kib = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(text, sizeof(text), f))
		if (sscanf(text, "MemAvailable: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* Make, run until the guest's exit port, destroy. */
static bool whole_life(void)
{
	struct vm vm;
	bool good = false;

	VM_START(&vm, 32, prot_hello);
	for (int i = 0; i < 100 && !good; i++) {
		if (ioctl(vm.vcpu, KVM_RUN, 0) < 0 ||
		    vm.run->exit_reason != KVM_EXIT_IO)
			break;
		good = vm.run->io.port == PORT_EXIT;
	}
	vm_destroy(&vm);
	return good;
}

static void *lives(void *arg)
{
	long *good = arg;

	for (int i = 0; i < rounds / THREADS + 1; i++)
		*good += whole_life();
	return NULL;
}

static void test_in_a_row(void)
{
	int good = 0;

	for (int i = 0; i < rounds; i++)
		good += whole_life();
	is(good, rounds, "%d machines in a row: made, run, destroyed", rounds);
}

static void test_threads(void)
{
	pthread_t threads[THREADS];
	long good[THREADS] = { 0 }, sum = 0;

	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, lives, &good[i]);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		sum += good[i];
	}
	is(sum, THREADS * (rounds / THREADS + 1), "the same in %d threads at once",
	   THREADS);
}

static void test_close_order(void)
{
	int good = 0;

	for (int i = 0; i < 6; i++) {
		struct kvm_regs r;
		struct vm vm;

		VM_START(&vm, 32, prot_hello);
		ioctl(vm.vcpu, KVM_RUN, 0);
		switch (i) {
		case 0:		/* the VM goes first: the vCPU keeps it */
			close(vm.kvm);
			close(vm.fd);
			good += ioctl(vm.vcpu, KVM_RUN, 0) == 0;
			close(vm.vcpu);
			munmap(vm.run, vm.run_size);
			munmap(vm.mem, MEMORY);
			break;
		case 1:		/* the shared page outlives the descriptors */
			close(vm.vcpu);
			close(vm.fd);
			close(vm.kvm);
			good += vm.run->exit_reason == KVM_EXIT_IO;
			munmap(vm.run, vm.run_size);
			munmap(vm.mem, MEMORY);
			break;
		case 2:		/* the memory goes first */
			munmap(vm.mem, MEMORY);
			good += ioctl(vm.vcpu, KVM_RUN, 0) < 0;
			vm.mem = mmap(NULL, MEMORY, PROT_NONE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			vm_destroy(&vm);
			break;
		case 3:		/* a second reference to the vCPU */
			good += ioctl(dup(vm.vcpu), KVM_GET_REGS, &r) == 0;
			vm_destroy(&vm);
			break;
		case 4:		/* a machine without a vCPU, one without memory */
			close(ioctl(vm.kvm, KVM_CREATE_VM, 0));
			close(ioctl(ioctl(vm.kvm, KVM_CREATE_VM, 0), KVM_CREATE_VCPU, 0L));
			good++;
			vm_destroy(&vm);
			break;
		case 5:		/* nothing is closed by hand */
			if (fork() == 0)
				_exit(0);
			good += wait(NULL) > 0;
			vm_destroy(&vm);
			break;
		}
	}
	is(good, 6, "descriptors and memory let go in every order");
}

static void *run_for_ever(void *arg)
{
	struct vm *vm = arg;

	for (;;)
		ioctl(vm->vcpu, KVM_RUN, 0);
	return NULL;
}

/* A process with a machine of two vCPUs that run without an exit. */
static void endless_process(int ready)
{
	struct kvm_run *run;
	pthread_t thread;
	struct vm vm, second;

	VM_START(&vm, 32, prot_loop);
	vm_interruptible(&vm, vm.vcpu);
	second = vm;
	second.vcpu = vm_add_vcpu(&vm, 1, &run);
	vm_mode_of(&vm, second.vcpu, 32);
	vm_interruptible(&vm, second.vcpu);
	pthread_create(&thread, NULL, run_for_ever, &second);
	if (write(ready, "x", 1) != 1)
		_exit(1);
	run_for_ever(&vm);
}

static void test_killed(void)
{
	int n = rounds / 4 + 2, died = 0;

	for (int i = 0; i < n; i++) {
		int ready[2], status = 0;
		pid_t child;
		char byte;

		if (pipe(ready) < 0)
			bail_out("pipe: %s", strerror(errno));
		child = fork();
		if (child == 0)
			endless_process(ready[1]);
		close(ready[1]);
		if (read(ready[0], &byte, 1) != 1)
			note("the child made no machine");
		close(ready[0]);
		pause_ms(i % 5 * 4);
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		died += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	}
	is(died, n, "%d processes killed while their guests ran", n);
	ok(whole_life(), "and the next machine works");
}

/* Memory slots made and deleted by one thread while another runs the guest. */
struct race {
	struct vm vm;
	volatile bool stop;
	volatile int runs;
};

static void *race_run(void *arg)
{
	struct race *r = arg;

	while (!r->stop)
		r->runs += ioctl(r->vm.vcpu, KVM_RUN, 0) == 0;
	return NULL;
}

static void test_slots_race(void)
{
	uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct race r = { .stop = false };
	pthread_t thread;
	int good = 0;

	VM_START(&r.vm, 32, prot_sum);
	pthread_create(&thread, NULL, race_run, &r);
	for (int i = 0; i < rounds; i++) {
		good += vm_slot(&r.vm, 1, 0, 0x10000000, PAGE, page) == 0;
		good += vm_slot(&r.vm, 1, 0, 0x20000000, PAGE, page) == 0;
		good += vm_slot(&r.vm, 0, i & 1, 0, MEMORY, r.vm.mem) == 0;
		good += vm_slot(&r.vm, 1, 0, 0x20000000, 0, page) == 0;
		madvise(r.vm.mem + DATA, PAGE, MADV_DONTNEED);
	}
	for (int i = 0; i < 100 && r.runs == 0; i++)
		pause_ms(100);
	r.stop = true;
	pthread_join(thread, NULL);
	is(good, 4 * rounds, "slots made, moved and deleted while the guest runs");
	ok(r.runs > 0, "and it kept running (%d exits)", r.runs);
	munmap(page, PAGE);
	vm_destroy(&r.vm);
}

/* The process takes memory away while its machine goes: both look for the vCPUs. */
static void *take_memory(void *arg)
{
	struct race *r = arg;

	while (!r->stop)
		for (size_t at = 0; at < MEMORY && !r->stop; at += PAGE) {
			madvise(r->vm.mem + at, PAGE, MADV_DONTNEED);
			r->runs++;
		}
	return NULL;
}

static void test_memory_race(void)
{
	int good = 0, n_machines = rounds / 4 + 2;

	for (int i = 0; i < n_machines; i++) {
		struct race r = { .stop = false };
		struct kvm_run *run;
		pthread_t thread;
		int extra[7];

		VM_START(&r.vm, 32, prot_hello);
		for (int n = 0; n < 7; n++) {
			extra[n] = vm_add_vcpu(&r.vm, n + 1, &run);
			munmap(run, r.vm.run_size);
		}
		for (int n = 0; n < 5; n++)
			ioctl(r.vm.vcpu, KVM_RUN, 0);
		pthread_create(&thread, NULL, take_memory, &r);
		while (r.runs < 4 * i)
			;
		for (int n = 0; n < 7; n++)
			close(extra[n]);
		munmap(r.vm.run, r.vm.run_size);
		close(r.vm.vcpu);
		good += !close(r.vm.fd);
		r.stop = true;
		pthread_join(thread, NULL);
		close(r.vm.kvm);
		munmap(r.vm.mem, MEMORY);
	}
	is(good, n_machines, "%d machines go while their memory is taken away", n_machines);
}

/* A vCPU that gets no descriptor leaves nothing behind. */
static void test_no_descriptor(void)
{
	struct rlimit limit, none;
	struct kvm_run *run;
	struct vm vm;
	int fd, r, err;

	VM_START(&vm, 32, prot_hello);
	getrlimit(RLIMIT_NOFILE, &limit);
	fd = dup(vm.fd);
	close(fd);
	none = limit;
	none.rlim_cur = fd;
	setrlimit(RLIMIT_NOFILE, &none);
	r = ioctl(vm.fd, KVM_CREATE_VCPU, 1L);
	err = errno;
	setrlimit(RLIMIT_NOFILE, &limit);
	ok(r < 0 && err == EMFILE, "no descriptor, no vCPU");
	close(vm_add_vcpu(&vm, 1, &run));
	munmap(run, vm.run_size);
	is(ioctl(vm.vcpu, KVM_RUN, 0), 0, "the next time it can be had, and the other runs");
	vm_destroy(&vm);
}

int main(int argc, char **argv)
{
	long before, after = 0;

	if (argc > 1)
		rounds = atoi(argv[1]);
	whole_life();
	pause_ms(200);
	before = available();
	test_in_a_row();
	test_threads();
	test_close_order();
	test_killed();
	test_slots_race();
	test_memory_race();
	test_no_descriptor();
	/*
	 * Coarse, because the kernel frees late and keeps some: it sees a machine's
	 * memory that stays (4 MiB each). kmemleak sees the small things.
	 */
	for (int i = 0; i < 6; i++) {
		pause_ms(500);
		after = available();
		if (before - after < 32 * 1024)
			break;
	}
	ok(before - after < 32 * 1024, "no memory was lost (%ld KiB fewer than before)",
	   before - after);
	return done();
}
