// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Isolation: machines that run at the same time on the same guest-physical
 * addresses see only their own memory, and none sees memory of the host beyond
 * its slots. Also two vCPUs of one machine, which must see the same memory.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>

#include "vm.h"

#define ROUNDS	200
#define VMS	2

struct machine {
	struct vm vm;
	uint32_t seed;
	int rounds, errors;
	uint32_t first_wrong, expected;
	pthread_t thread;
};

/* Fill the page at DATA; its sum is what the guest must find each time. */
static uint32_t fill(struct machine *m)
{
	uint32_t *page = (void *)(m->vm.mem + DATA), sum = 0;

	for (uint32_t i = 0; i < PAGE / 4; i++) {
		page[i] = m->seed * (i + 1);
		sum += page[i];
	}
	return sum;
}

static void *run_sum(void *arg)
{
	struct machine *m = arg;
	uint32_t sum = fill(m);

	/* The guest adds 1 to the first dword each round, and so to the sum. */
	for (m->rounds = 0; m->rounds < ROUNDS; m->rounds++) {
		uint32_t got = 0;

		if (ioctl(m->vm.vcpu, KVM_RUN, 0) < 0 ||
		    m->vm.run->exit_reason != KVM_EXIT_IO)
			break;
		memcpy(&got, (uint8_t *)m->vm.run + m->vm.run->io.data_offset, 4);
		if (got != sum + m->rounds && m->errors++ == 0) {
			m->first_wrong = got;
			m->expected = sum + m->rounds;
		}
		sched_yield();
	}
	return NULL;
}

static void test_two_machines(void)
{
	static struct machine m[VMS];

	for (int i = 0; i < VMS; i++) {
		VM_START(&m[i].vm, 32, prot_sum);
		m[i].seed = 0x01234567 * (i + 1);
	}
	for (int i = 0; i < VMS; i++)
		pthread_create(&m[i].thread, NULL, run_sum, &m[i]);
	for (int i = 0; i < VMS; i++)
		pthread_join(m[i].thread, NULL);
	for (int i = 0; i < VMS; i++) {
		is(m[i].rounds, ROUNDS, "machine %d ran to its end beside the other", i);
		if (!is(m[i].errors, 0, "and saw only its own page each time"))
			note("first: got 0x%x, expected 0x%x", m[i].first_wrong,
			     m[i].expected);
		is(*(uint32_t *)(m[i].vm.mem + DATA), m[i].seed + ROUNDS - 1,
		   "and its page has what it wrote, and nothing of the other's");
		vm_destroy(&m[i].vm);
	}
}

/* Run each a little in turn on one processor: what is cached for one machine
 * must not serve the other. */
static void test_in_turn(void)
{
	static struct machine m[VMS];
	uint32_t sum[VMS], got;
	cpu_set_t all, one;
	int errors = 0;

	sched_getaffinity(0, sizeof(all), &all);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	for (int i = 0; i < VMS; i++) {
		VM_START(&m[i].vm, 32, prot_sum);
		m[i].seed = 0x07654321 * (i + 1);
		sum[i] = fill(&m[i]);
	}
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < VMS; i++) {
			if (ioctl(m[i].vm.vcpu, KVM_RUN, 0) < 0 ||
			    m[i].vm.run->exit_reason != KVM_EXIT_IO)
				errors++;
			memcpy(&got, (uint8_t *)m[i].vm.run +
			       m[i].vm.run->io.data_offset, 4);
			errors += got != sum[i] + round;
		}
	}
	is(errors, 0, "two machines in turn on one processor: each sees its own page");
	for (int i = 0; i < VMS; i++)
		vm_destroy(&m[i].vm);
	sched_setaffinity(0, sizeof(all), &all);
}

/* The same vCPU on one processor after the other. */
static void test_migration(void)
{
	struct machine m = { .seed = 0x0badcafe };
	int cpus = sysconf(_SC_NPROCESSORS_ONLN), errors = 0;
	cpu_set_t all, one;
	uint32_t sum, got;

	if (cpus < 2) {
		skip("a vCPU that changes processors", "there is one processor");
		return;
	}
	sched_getaffinity(0, sizeof(all), &all);
	VM_START(&m.vm, 32, prot_sum);
	sum = fill(&m);
	for (int round = 0; round < ROUNDS; round++) {
		CPU_ZERO(&one);
		CPU_SET(round % cpus, &one);
		sched_setaffinity(0, sizeof(one), &one);
		if (ioctl(m.vm.vcpu, KVM_RUN, 0) < 0 ||
		    m.vm.run->exit_reason != KVM_EXIT_IO)
			errors++;
		memcpy(&got, (uint8_t *)m.vm.run + m.vm.run->io.data_offset, 4);
		errors += got != sum + round;
	}
	sched_setaffinity(0, sizeof(all), &all);
	is(errors, 0, "a vCPU that changes processors at every exit runs on");
	vm_destroy(&m.vm);
}

static void test_outside(void)
{
	/* Before, between and behind the slots, and high up. */
	static const uint32_t places[] = {
		MEMORY, MEMORY + 0x1000, 0x10000000, 0x40000000, 0x7ffff000,
		0xa0000000, 0xfee00000 - 0x1000, 0xfffff000,
	};
	int n = sizeof(places) / sizeof(places[0]), mmio = 0, wrong = 0;
	uint8_t *secret = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vm vm;

	memset(secret, 0x5e, PAGE);
	VM_START(&vm, 32, prot_probe);
	memcpy(vm.mem + DATA, places, sizeof(places));
	vm_go(&vm);
	for (int i = 0; i < vm_nacts; i++) {
		struct act *a = &vm_acts[i];

		mmio += a->what == LOAD || a->what == STORE;
		wrong += a->what == OUT && a->value != 0xffffffff;
	}
	is(mmio, 2 * n, "every access outside of the slots comes to the process");
	is(wrong, 0, "and the guest reads what the process answers");
	ok(vm_nacts == 3 * n + 1 && vm_acts[vm_nacts - 1].what == HLT,
	   "and goes on after each");

	/* A slot that is gone: its memory is the process's alone again. */
	vm_slot(&vm, 1, 0, 0x10000000, PAGE, secret);
	((uint32_t *)(vm.mem + DATA))[0] = 0x10000000;
	((uint32_t *)(vm.mem + DATA))[1] = 0;
	vm_mode_of(&vm, vm.vcpu, 32);
	vm_go(&vm);
	is(vm_acts[0].value, 0x5e5e5e5e, "a page is the guest's while it is in a slot");
	vm_slot(&vm, 1, 0, 0x10000000, 0, secret);
	memset(secret, 0x77, PAGE);
	vm_mode_of(&vm, vm.vcpu, 32);
	vm_go(&vm);
	ok(vm_acts[0].what == LOAD && secret[0] == 0x77,
	   "and not any more when the slot is gone");
	munmap(secret, PAGE);
	vm_destroy(&vm);
}

static void *run_second(void *arg)
{
	struct machine *m = arg;

	while (m->rounds < ROUNDS && ioctl(m->vm.vcpu, KVM_RUN, 0) == 0 &&
	       m->vm.run->exit_reason == KVM_EXIT_IO)
		m->rounds++;
	return NULL;
}

static void test_two_vcpus(void)
{
	static struct machine m[2];
	struct kvm_regs r;
	uint32_t *word;

	VM_START(&m[0].vm, 32, prot_sum);
	m[1].vm = m[0].vm;
	m[1].vm.vcpu = vm_add_vcpu(&m[0].vm, 1, &m[1].vm.run);
	vm_mode_of(&m[1].vm, m[1].vm.vcpu, 32);
	for (int i = 0; i < 2; i++)
		pthread_create(&m[i].thread, NULL, run_second, &m[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(m[i].thread, NULL);
	for (int i = 0; i < 2; i++)
		is(m[i].rounds, ROUNDS, "vCPU %d of a machine with two runs", i);
	/* Unlocked increments of both: some may be lost, none may be invented. */
	word = (uint32_t *)(m[0].vm.mem + DATA);
	ok(*word >= ROUNDS - 1 && *word <= 2 * ROUNDS,
	   "and both wrote to the same memory (%u)", *word);
	ioctl(m[1].vm.vcpu, KVM_GET_REGS, &r);
	ok(r.rip > 0x100000 && r.rip < 0x100100, "and the second has registers of its own");
	munmap(m[1].vm.run, m[1].vm.run_size);
	close(m[1].vm.vcpu);
	vm_destroy(&m[0].vm);
}

int main(void)
{
	test_two_machines();
	test_in_turn();
	test_migration();
	test_outside();
	test_two_vcpus();
	return done();
}
