// SPDX-License-Identifier: GPL-2.0-only
/*
 * host_work.c: what the host wants done before a guest goes on running: task
 * work, rescheduling, restartable sequences, memory-cgroup throttling, signals.
 *
 * The kernel does it in xfer_to_guest_mode_handle_work(). On a signal that
 * function also notes the exit in the kernel's own struct kvm_vcpu, which is
 * not ours (kvm.h): this is the one file that includes the kernel's, and it
 * hands a scratch one over. What is written there nobody reads.
 */
#include <linux/kvm_host.h>
#include <linux/entry-kvm.h>

int kvm_host_work(void);

static struct kvm_run scratch_run;
static struct kvm_vcpu scratch_vcpu = { .run = &scratch_run };

int kvm_host_work(void)
{
	return xfer_to_guest_mode_handle_work(&scratch_vcpu);
}
