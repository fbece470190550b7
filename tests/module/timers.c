// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * No interrupt of a local APIC's timer is lost, be the vCPU halted, in the guest, on
 * its way there, or moved to another processor at that moment. Several machines at
 * once, more than there are processors, each with a guest that waits for one shot
 * after the other (images/guests/prot-timer.S): one that is lost stops it for good.
 *
 *	timers [SECONDS]	default 3
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>

#include "vm.h"

#define VMS		3
#define STEP_MS		20
#define PATIENCE_MS	20000	/* a busy emulator */

struct machine {
	struct vm vm;
	pthread_t thread;
	uint32_t count;		/* at the last look */
	int still_ms;		/* since when it has not changed */
};

static volatile bool ends;

static void nothing(int sig)
{
	(void)sig;
}

static void *run(void *arg)
{
	struct machine *m = arg;

	while (!ends && ioctl(m->vm.vcpu, KVM_RUN, 0) < 0 && errno == EINTR)
		;
	return NULL;
}

static uint32_t count(const struct machine *m)
{
	return __atomic_load_n((uint32_t *)(m->vm.mem + DATA), __ATOMIC_RELAXED);
}

static void create(struct machine *m)
{
	vm_create_with(&m->vm, true);
	VM_LOAD(&m->vm, 32, prot_timer);
	pthread_create(&m->thread, NULL, run, m);
}

static void move(struct machine *m, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	pthread_setaffinity_np(m->thread, sizeof(set), &set);
}

/* What its APIC thinks, once the vCPU can be asked. */
static void stop(struct machine *m)
{
	struct kvm_lapic_state s = { 0 };
	const uint32_t *r = (const uint32_t *)s.regs;
	struct kvm_mp_state mp = { 0 };
	struct kvm_regs regs = { 0 };

	ends = true;
	m->vm.run->immediate_exit = 1;
	pthread_kill(m->thread, SIGUSR1);
	pthread_join(m->thread, NULL);
	ioctl(m->vm.vcpu, KVM_GET_LAPIC, &s);
	ioctl(m->vm.vcpu, KVM_GET_MP_STATE, &mp);
	ioctl(m->vm.vcpu, KVM_GET_REGS, &regs);
	note("%u came; exit %u, mp_state %u, rip 0x%llx, rflags 0x%llx, count %u of %u, "
	     "IRR 0x%x, ISR 0x%x, PPR 0x%x", count(m), m->vm.run->exit_reason, mp.mp_state,
	     regs.rip, regs.rflags, r[0x390 / 4], r[0x380 / 4], r[0x220 / 4], r[0x120 / 4],
	     r[0xa0 / 4]);
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 3, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct sigaction action = { .sa_handler = nothing };
	static struct machine m[VMS];
	int kvm = vm_open(), has = vm_has(kvm, KVM_CAP_IRQCHIP), stuck = 0;

	close(kvm);
	if (has <= 0) {
		puts("1..0 # SKIP KVM_CAP_IRQCHIP is 0: no interrupt controllers in the kernel");
		return 0;
	}
	sigaction(SIGUSR1, &action, NULL);
	for (int i = 0; i < VMS; i++)
		create(&m[i]);
	for (int step = 0; step * STEP_MS < seconds * 1000 && !stuck; step++) {
		nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000 }, NULL);
		for (int i = 0; i < VMS; i++) {
			uint32_t now = count(&m[i]);

			m[i].still_ms = now == m[i].count ? m[i].still_ms + STEP_MS : 0;
			m[i].count = now;
			stuck += m[i].still_ms >= PATIENCE_MS;
			if (step % 8 == 7)
				move(&m[i], rand() % cpus);
		}
	}
	is(stuck, 0, "%d machines for %d s: no timer's interrupt is lost", VMS, seconds);
	for (int i = 0; i < VMS; i++)
		stop(&m[i]);
	for (int i = 0; i < VMS; i++) {
		ok(count(&m[i]) > 20, "machine %d had its interrupts to the end", i);
		vm_destroy(&m[i].vm);
	}
	return done();
}
