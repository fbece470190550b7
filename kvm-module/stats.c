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
 *
 * The same counters are what KVM_GET_STATS_FD's descriptor holds, for whoever
 * has the VM: a header, a name, a descriptor for each counter, then the counters
 * (Documentation/virt/kvm/api.rst, 4.133). The first three never change.
 */
#include <linux/anon_inodes.h>
#include <linux/debugfs.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "kvm.h"

#define KVM_STAT_NAME(name) #name,
static const char *const stat_name[KVM_NR_STATS] = { KVM_STATS(KVM_STAT_NAME) };

static struct dentry *debugfs_root;
static u64 past_stat[KVM_NR_STATS];		/* of VMs that are gone; under kvm_lock */

static void add_stats(u64 *sum, const u64 *stat)
{
	for (int s = 0; s < KVM_NR_STATS; s++)
		sum[s] += READ_ONCE(stat[s]);
}

/* Its vCPUs stay as long as it does: callers have a reference, its file open, or kvm_lock. */
static void add_vm_stats(u64 *sum, struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	xa_for_each(&kvm->vcpus, i, vcpu)
		add_stats(sum, vcpu->stat);
}

static int exits_show(struct seq_file *m, void *unused)
{
	u64 sum[KVM_NR_STATS] = {};
	struct kvm *kvm = m->private;

	guard(mutex)(&kvm_lock);
	if (kvm) {
		add_vm_stats(sum, kvm);
	} else {
		add_stats(sum, past_stat);
		list_for_each_entry(kvm, &kvm_vm_list, link)
			add_vm_stats(sum, kvm);
	}
	for (int s = 0; s < KVM_NR_STATS; s++)
		seq_printf(m, "%s %llu\n", stat_name[s], sum[s]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(exits);

static int memory_show(struct seq_file *m, void *unused)
{
	struct kvm *kvm = m->private;

	seq_printf(m, "table_pages %lu\nvcpus %d\n",
		   READ_ONCE(kvm->tdp_pages), READ_ONCE(kvm->nr_vcpus));
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
	/* Nobody reads the files after this, even if he has them open. */
	debugfs_remove_recursive(kvm->debugfs);
	guard(mutex)(&kvm_lock);
	list_del(&kvm->link);
	add_vm_stats(past_stat, kvm);
	kvm_destroy_vcpus(kvm);
}

/* ---- KVM_GET_STATS_FD ---------------------------------------------------- */

#define STAT_NAME_BYTES	32

struct stats_file {
	struct kvm *kvm;
	struct kvm_vcpu *vcpu;		/* NULL: the VM's */
	struct stats_contents {
		struct kvm_stats_header header;
		char id[STAT_NAME_BYTES];
		/* struct kvm_stats_desc, whose name has one length or another in the kernel */
		struct {
			u32 flags;
			s16 exponent;
			u16 size;
			u32 offset;
			u32 bucket_size;
			char name[STAT_NAME_BYTES];
		} counter[KVM_NR_STATS];
		u64 value[KVM_NR_STATS];
	} contents;			/* values: zeros */
};
static_assert(offsetof(struct kvm_stats_desc, name) == 16);

static void fill_contents(struct stats_contents *c, const struct kvm_vcpu *vcpu)
{
	int length = snprintf(c->id, sizeof(c->id), "kvm-%d", task_pid_nr(current));

	if (vcpu)
		snprintf(c->id + length, sizeof(c->id) - length, "/vcpu-%d", vcpu->id);
	c->header.name_size = STAT_NAME_BYTES;
	c->header.num_desc = KVM_NR_STATS;
	c->header.id_offset = offsetof(struct stats_contents, id);
	c->header.desc_offset = offsetof(struct stats_contents, counter);
	c->header.data_offset = offsetof(struct stats_contents, value);
	for (int s = 0; s < KVM_NR_STATS; s++) {
		c->counter[s].flags = KVM_STATS_TYPE_CUMULATIVE | KVM_STATS_UNIT_NONE |
				      KVM_STATS_BASE_POW10;
		c->counter[s].size = 1;
		c->counter[s].offset = s * sizeof(u64);
		strscpy(c->counter[s].name, stat_name[s], STAT_NAME_BYTES);
	}
}

static ssize_t stats_read(struct file *file, char __user *buf, size_t count, loff_t *pos)
{
	const struct stats_file *f = file->private_data;
	struct stats_contents *now __free(kfree) = kmemdup(&f->contents, sizeof(*now), GFP_KERNEL);

	if (!now)
		return -ENOMEM;
	if (f->vcpu)
		add_stats(now->value, f->vcpu->stat);
	else
		add_vm_stats(now->value, f->kvm);
	return simple_read_from_buffer(buf, count, pos, now, sizeof(*now));
}

static int stats_release(struct inode *inode, struct file *file)
{
	struct stats_file *f = file->private_data;

	kvm_put(f->kvm);
	kfree(f);
	return 0;
}

static const struct file_operations stats_fops = {
	.owner = THIS_MODULE,
	.read = stats_read,
	.release = stats_release,
	.llseek = noop_llseek,
};

int kvm_stats_fd(struct kvm *kvm, struct kvm_vcpu *vcpu)
{
	struct stats_file *f __free(kfree) = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);
	CLASS(get_unused_fd, fd)(O_CLOEXEC);
	struct file *file;

	if (!f)
		return -ENOMEM;
	if (fd < 0)
		return fd;
	f->kvm = kvm;
	f->vcpu = vcpu;
	fill_contents(&f->contents, vcpu);
	file = anon_inode_getfile(vcpu ? "kvm-vcpu-stats" : "kvm-vm-stats", &stats_fops, f,
				  O_RDONLY);
	if (IS_ERR(file))
		return PTR_ERR(file);
	kvm_get(kvm);
	f = NULL;		/* the file's now */
	file->f_mode |= FMODE_PREAD;
	fd_install(fd, file);
	return take_fd(fd);
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
