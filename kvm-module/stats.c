// SPDX-License-Identifier: GPL-2.0-only
/*
 * stats.c: exit counters, for an administrator, in debugfs:
 *
 *   /sys/kernel/debug/kvm/exits             sums over all VMs, past and present
 *   /sys/kernel/debug/kvm/PID-FD/exits      of one VM: the process that made it
 *                                           and its file descriptor there
 *   /sys/kernel/debug/kvm/PID-FD/memory     its second-level table pages
 *
 * Lines "name count". A vCPU counts in its own structure, without atomics.
 */
#include <linux/debugfs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

#include "kvm.h"

#define KVM_STAT_NAME(name) #name,
static const char *const stat_name[KVM_NR_STATS] = { KVM_STATS(KVM_STAT_NAME) };

static struct dentry *debugfs_root;
static u64 past_stat[KVM_NR_STATS];		/* of VMs that are gone; under kvm_lock */

static void add_vm_stats(struct kvm *kvm, u64 *sum)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;
	int s;

	xa_for_each(&kvm->vcpus, i, vcpu)
		for (s = 0; s < KVM_NR_STATS; s++)
			sum[s] += READ_ONCE(vcpu->stat[s]);
	for (s = 0; s < KVM_NR_STATS; s++)
		sum[s] += kvm->dead_stat[s];
}

static void show(struct seq_file *m, const u64 *sum)
{
	int s;

	for (s = 0; s < KVM_NR_STATS; s++)
		seq_printf(m, "%s %llu\n", stat_name[s], sum[s]);
}

static struct kvm *find_vm(const struct kvm *wanted)
{
	struct kvm *kvm;

	lockdep_assert_held(&kvm_lock);
	list_for_each_entry(kvm, &kvm_vm_list, link)
		if (kvm == wanted)
			return kvm;
	return NULL;
}

static int exits_show(struct seq_file *m, void *unused)
{
	u64 sum[KVM_NR_STATS] = {};
	struct kvm *kvm;

	mutex_lock(&kvm_lock);
	if (m->private) {
		/* The VM may have gone while the file was open. */
		kvm = find_vm(m->private);
		if (kvm)
			add_vm_stats(kvm, sum);
	} else {
		memcpy(sum, past_stat, sizeof(sum));
		list_for_each_entry(kvm, &kvm_vm_list, link)
			add_vm_stats(kvm, sum);
	}
	mutex_unlock(&kvm_lock);
	show(m, sum);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(exits);

static int memory_show(struct seq_file *m, void *unused)
{
	struct kvm *kvm;

	mutex_lock(&kvm_lock);
	kvm = find_vm(m->private);
	if (kvm)
		seq_printf(m, "table_pages %lu\nvcpus %d\n",
			   READ_ONCE(kvm->tdp_pages), READ_ONCE(kvm->nr_vcpus));
	mutex_unlock(&kvm_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(memory);

void kvm_stats_add_vm(struct kvm *kvm, int fd)
{
	static atomic_t serial;
	struct dentry *older;
	char name[48];

	snprintf(name, sizeof(name), "%d-%d", task_pid_nr(current), fd);
	/* A VM may outlive its descriptor, by one of its vCPUs'. */
	older = debugfs_lookup(name, debugfs_root);
	if (older) {
		dput(older);
		snprintf(name, sizeof(name), "%d-%d-%d", task_pid_nr(current), fd,
			 atomic_inc_return(&serial));
	}
	kvm->debugfs = debugfs_create_dir(name, debugfs_root);
	debugfs_create_file("exits", 0400, kvm->debugfs, kvm, &exits_fops);
	debugfs_create_file("memory", 0400, kvm->debugfs, kvm, &memory_fops);
}

/*
 * Takes the VM off the list of those that exist, and ends its vCPUs under the
 * same lock, so that whoever reads the counters sees them before or after.
 */
void kvm_stats_remove_vm(struct kvm *kvm)
{
	int s;

	debugfs_remove_recursive(kvm->debugfs);
	mutex_lock(&kvm_lock);
	list_del(&kvm->link);
	kvm_destroy_vcpus(kvm);
	for (s = 0; s < KVM_NR_STATS; s++)
		past_stat[s] += kvm->dead_stat[s];
	mutex_unlock(&kvm_lock);
}

void kvm_stats_init(void)
{
	debugfs_root = debugfs_create_dir("kvm", NULL);
	debugfs_create_file("exits", 0400, debugfs_root, NULL, &exits_fops);
}

void kvm_stats_exit(void)
{
	debugfs_remove_recursive(debugfs_root);
}
