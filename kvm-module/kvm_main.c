// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvm_main.c: /dev/kvm, virtual machines and the host's processors.
 *
 * kvm.ko is the generic half and does nothing by itself. The vendor's module
 * (kvm-amd or kvm-intel) registers its struct kvm_x86_ops; from then on
 * /dev/kvm exists. Opening it gives the system file descriptor, KVM_CREATE_VM
 * on that one a VM's, KVM_CREATE_VCPU on that a vCPU's. A VM lives as long as
 * any descriptor of it or of its vCPUs.
 *
 * Virtualization is switched on in the host's processors when the first VM is
 * made and off when the last one is gone, so that another hypervisor can have
 * the machine in between. A processor that comes online while there are VMs is
 * switched on by a hotplug callback; suspend, reboot and crash switch off.
 */
#include <linux/anon_inodes.h>
#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/reboot.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/syscore_ops.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <asm/reboot.h>
#include <asm/tsc.h>

#include "kvm.h"

MODULE_AUTHOR("The kvm-live founders");
MODULE_DESCRIPTION("kvm-live hypervisor: generic part");
MODULE_VERSION(KVM_LIVE_VERSION);
MODULE_LICENSE("GPL");

#define DEFAULT_IDENTITY_MAP	0xfffbc000

/* Without them Linux's KVM selftests skip themselves. */
static int force_emulation_prefix;
module_param(force_emulation_prefix, int, 0444);
MODULE_PARM_DESC(force_emulation_prefix, "Always 0: no prefix makes the module emulate");
static bool enable_pmu;
module_param(enable_pmu, bool, 0444);
MODULE_PARM_DESC(enable_pmu, "Always N: guests have no performance counters");

const struct kvm_x86_ops *kvm_ops;
EXPORT_SYMBOL_GPL(kvm_ops);
struct kvm_host_caps kvm_caps;

DEFINE_MUTEX(kvm_lock);
LIST_HEAD(kvm_vm_list);

static struct module *vendor_module;
static int hardware_users;	/* VMs; under kvm_lock */
static bool shutting_down;	/* under kvm_lock */
static DEFINE_PER_CPU(bool, hardware_enabled);
DEFINE_PER_CPU(u64, kvm_host_tsc_aux);	/* read when virtualization goes on */
static DEFINE_PER_CPU(struct cpumask, kick_mask);

/* ---- the host's processors ----------------------------------------------- */

static int enable_this_cpu(void)
{
	int r;

	if (__this_cpu_read(hardware_enabled))
		return 0;
	r = kvm_ops->cpu_enable();
	if (!r)
		__this_cpu_write(hardware_enabled, true);
	if (boot_cpu_has(X86_FEATURE_RDTSCP) || boot_cpu_has(X86_FEATURE_RDPID))
		rdmsrl(MSR_TSC_AUX, *this_cpu_ptr(&kvm_host_tsc_aux));
	return r;
}

/* Also in a crash or emergency reboot: leave VMX or SVM operation now. */
static void disable_this_cpu(void)
{
	if (!__this_cpu_read(hardware_enabled))
		return;
	kvm_ops->cpu_disable();
	__this_cpu_write(hardware_enabled, false);
}

static void enable_on_cpu(void *error)
{
	int r = enable_this_cpu();

	if (r)
		atomic_cmpxchg((atomic_t *)error, 0, r);
}

static void disable_on_cpu(void *unused)
{
	disable_this_cpu();
}

static int hardware_get(void)
{
	atomic_t error = ATOMIC_INIT(0);

	/* A CPU that goes offline must not get it back behind its callback. */
	guard(cpus_read_lock)();
	guard(mutex)(&kvm_lock);
	if (shutting_down)
		return -EIO;
	if (!hardware_users)
		on_each_cpu(enable_on_cpu, &error, 1);
	if (atomic_read(&error))
		on_each_cpu(disable_on_cpu, NULL, 1);
	else
		hardware_users++;
	return atomic_read(&error);
}

static void hardware_put(void)
{
	guard(mutex)(&kvm_lock);
	if (!--hardware_users)
		on_each_cpu(disable_on_cpu, NULL, 1);
}

static int cpu_online_callback(unsigned int cpu)
{
	guard(mutex)(&kvm_lock);
	guard(preempt)();
	return hardware_users ? enable_this_cpu() : 0;
}

static int cpu_offline_callback(unsigned int cpu)
{
	guard(mutex)(&kvm_lock);
	guard(preempt)();
	disable_this_cpu();
	return 0;
}

/* Suspend and resume run on one CPU with interrupts off; no lock is free to take. */
static int suspend_callback(void *data)
{
	kvm_clock_suspend();
	disable_this_cpu();
	return 0;
}

static void resume_callback(void *data)
{
	if (hardware_users)
		WARN_ON_ONCE(enable_this_cpu());
	kvm_clock_resume();
}

/*
 * The machine goes down, and user space may still be running: its vCPUs must not
 * try to enter a guest when virtualization is off.
 */
static void shutdown_callback(void *data)
{
	struct kvm *kvm;

	pr_info("kvm-live: switching virtualization off\n");
	guard(mutex)(&kvm_lock);
	shutting_down = true;
	list_for_each_entry(kvm, &kvm_vm_list, link)
		kvm_vm_bugged(kvm);
	on_each_cpu(disable_on_cpu, NULL, 1);
}

static const struct syscore_ops kvm_syscore_ops = {
	.suspend = suspend_callback,
	.resume = resume_callback,
	.shutdown = shutdown_callback,
};

static struct syscore kvm_syscore = { .ops = &kvm_syscore_ops };

/* ---- requests to all vCPUs ----------------------------------------------- */

static void kick_ack(void *unused)
{
}

void kvm_request_all(struct kvm *kvm, enum kvm_request req)
{
	struct kvm_vcpu *vcpu;
	struct cpumask *mask;
	unsigned long i;

	guard(preempt)();
	mask = this_cpu_ptr(&kick_mask);
	cpumask_clear(mask);
	xa_for_each(&kvm->vcpus, i, vcpu) {
		int cpu;

		set_bit(req, &vcpu->requests);
		/* Pairs with the barrier in run_once(): it sees the request,
		 * or we see it in the guest and interrupt it.
		 */
		smp_mb__after_atomic();
		cpu = READ_ONCE(vcpu->cpu);
		if (READ_ONCE(vcpu->mode) == VCPU_IN_GUEST && cpu >= 0)
			cpumask_set_cpu(cpu, mask);
	}
	cpumask_clear_cpu(smp_processor_id(), mask);
	smp_call_function_many(mask, kick_ack, NULL, true);
}

void kvm_vm_bugged(struct kvm *kvm)
{
	WRITE_ONCE(kvm->dead, true);
	kvm_request_all(kvm, REQ_VM_DEAD);
}
EXPORT_SYMBOL_GPL(kvm_vm_bugged);

/* ---- virtual machines ---------------------------------------------------- */

static struct kvm *create_vm(void)
{
	struct kvm *kvm = kzalloc(sizeof(*kvm), GFP_KERNEL_ACCOUNT);
	int i, r = -ENOMEM;

	if (!kvm)
		return ERR_PTR(r);
	for (i = 0; i < KVM_SPACES; i++) {
		struct kvm_memslots *slots = kzalloc(sizeof(*slots), GFP_KERNEL_ACCOUNT);

		if (!slots)
			goto free;
		kvm->space[i].kvm = kvm;
		rcu_assign_pointer(kvm->space[i].slots, slots);
	}
	refcount_set(&kvm->users, 1);
	mutex_init(&kvm->lock);
	mutex_init(&kvm->slots_lock);
	spin_lock_init(&kvm->mmu_lock);
	xa_init(&kvm->vcpus);
	INIT_LIST_HEAD(&kvm->coalesced);
	spin_lock_init(&kvm->ring_lock);
	kvm_irq_init(kvm);
	kvm->identity_map_addr = DEFAULT_IDENTITY_MAP;
	spin_lock_init(&kvm->clock.lock);
	kvm_clock_set(kvm, 0);

	r = init_srcu_struct(&kvm->srcu);
	if (r)
		goto free;
	r = hardware_get();
	if (r)
		goto free_srcu;
	kvm->mm = current->mm;
	mmgrab(kvm->mm);
	r = kvm_mmu_init_vm(kvm);
	if (r)
		goto put_hardware;

	mutex_lock(&kvm_lock);
	list_add(&kvm->link, &kvm_vm_list);
	kvm->dead = shutting_down;
	mutex_unlock(&kvm_lock);
	__module_get(vendor_module);
	/* Takes the CPU hotplug lock, whose holders want kvm_lock. */
	preempt_notifier_inc();
	return kvm;

put_hardware:
	mmdrop(kvm->mm);
	hardware_put();
free_srcu:
	cleanup_srcu_struct(&kvm->srcu);
free:
	for (i = 0; i < KVM_SPACES; i++)
		kfree(rcu_access_pointer(kvm->space[i].slots));
	kfree(kvm);
	return ERR_PTR(r);
}

void kvm_get(struct kvm *kvm)
{
	refcount_inc(&kvm->users);
}

void kvm_put(struct kvm *kvm)
{
	if (!refcount_dec_and_test(&kvm->users))
		return;
	/* The process may live on, and the notifier kicks vCPUs. */
	mmu_notifier_unregister(&kvm->notifier, kvm->mm);
	kvm_irq_destroy(kvm);
	kvm_stats_remove_vm(kvm);	/* and its vCPUs; off the list */
	kvm_irq_free(kvm);
	kvm_free_ioeventfds(kvm);
	kvm_free_msr_filter(kvm);
	kvm_mmu_destroy_vm(kvm);
	kvm_free_memslots(kvm);
	cleanup_srcu_struct(&kvm->srcu);
	xa_destroy(&kvm->vcpus);
	hardware_put();
	preempt_notifier_dec();
	mmdrop(kvm->mm);
	kfree(kvm);
	module_put(vendor_module);
}

/* ---- capabilities -------------------------------------------------------- */

/* Those that are simply there. */
static const u16 plain_caps[] = {
	KVM_CAP_USER_MEMORY, KVM_CAP_USER_MEMORY2, KVM_CAP_DESTROY_MEMORY_REGION_WORKS,
	KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, KVM_CAP_READONLY_MEM, KVM_CAP_SYNC_MMU,
	KVM_CAP_SET_TSS_ADDR, KVM_CAP_SET_IDENTITY_MAP_ADDR, KVM_CAP_EXT_CPUID,
	KVM_CAP_EXT_EMUL_CPUID, KVM_CAP_HLT, KVM_CAP_NOP_IO_DELAY, KVM_CAP_MP_STATE,
	KVM_CAP_USER_NMI, KVM_CAP_VCPU_EVENTS, KVM_CAP_INTR_SHADOW, KVM_CAP_DEBUGREGS,
	KVM_CAP_SET_GUEST_DEBUG, KVM_CAP_X86_ROBUST_SINGLESTEP, KVM_CAP_XSAVE, KVM_CAP_IMMEDIATE_EXIT,
	KVM_CAP_INTERNAL_ERROR_DATA, KVM_CAP_EXIT_ON_EMULATION_FAILURE,	/* always so */
	KVM_CAP_EXCEPTION_PAYLOAD, KVM_CAP_X86_TRIPLE_FAULT_EVENT, KVM_CAP_GET_TSC_KHZ,
	KVM_CAP_VCPU_ATTRIBUTES, KVM_CAP_GET_MSR_FEATURES, KVM_CAP_X86_MSR_FILTER,
	KVM_CAP_MSR_PLATFORM_INFO, KVM_CAP_CHECK_EXTENSION_VM, KVM_CAP_ENABLE_CAP_VM,
	KVM_CAP_ENABLE_CAP, KVM_CAP_BINARY_STATS_FD, KVM_CAP_IRQCHIP, KVM_CAP_SPLIT_IRQCHIP,
	KVM_CAP_IRQ_INJECT_STATUS, KVM_CAP_IRQFD, KVM_CAP_IRQFD_RESAMPLE, KVM_CAP_SIGNAL_MSI,
	KVM_CAP_PIT2, KVM_CAP_PIT_STATE2, KVM_CAP_REINJECT_CONTROL, KVM_CAP_TSC_DEADLINE_TIMER,
	KVM_CAP_SET_BOOT_CPU_ID, KVM_CAP_IOEVENTFD, KVM_CAP_IOEVENTFD_ANY_LENGTH,
	KVM_CAP_COALESCED_PIO, KVM_CAP_KVMCLOCK_CTRL, KVM_CAP_ENFORCE_PV_FEATURE_CPUID,
};

/* Those that tell more than that. */
static const u32 caps[] = {
	[KVM_CAP_NR_MEMSLOTS] = KVM_USER_SLOTS,
	[KVM_CAP_COALESCED_MMIO] = KVM_COALESCED_MMIO_PAGE_OFFSET,
	[KVM_CAP_IRQ_ROUTING] = KVM_MAX_ROUTES,
	[KVM_CAP_MCE] = KVM_MCE_BANKS,
	[KVM_CAP_ADJUST_CLOCK] = KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC | KVM_CLOCK_TSC_STABLE,
	[KVM_CAP_MAX_VCPUS] = KVM_MAX_VCPUS,
	[KVM_CAP_SYNC_REGS] = KVM_SYNC_X86_VALID_FIELDS,
	[KVM_CAP_MAX_VCPU_ID] = KVM_MAX_VCPU_ID,
	[KVM_CAP_X2APIC_API] = KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK,
	[KVM_CAP_X86_DISABLE_EXITS] = KVM_X86_DISABLE_EXITS_HLT | KVM_X86_DISABLE_EXITS_PAUSE,
	[KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2] =
		KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET,
	[KVM_CAP_X86_USER_SPACE_MSR] = KVM_MSR_EXIT_REASON_VALID_MASK,
	[KVM_CAP_SET_GUEST_DEBUG2] = KVM_GUESTDBG_SUPPORTED,
	[KVM_CAP_DISABLE_QUIRKS2] = KVM_X86_QUIRK_FIX_HYPERCALL_INSN,
};

static int check_extension(long ext)
{
	for (int i = 0; i < ARRAY_SIZE(plain_caps); i++)
		if (plain_caps[i] == ext)
			return 1;
	switch (ext) {
	case KVM_CAP_X86_SMM:
		return kvm_has_smm();
	case KVM_CAP_MULTI_ADDRESS_SPACE:
		return kvm_has_smm() ? KVM_SPACES : 1;
	case KVM_CAP_TSC_CONTROL:
	case KVM_CAP_VM_TSC_CONTROL:
		return !!kvm_ops->tsc_ratio_bits;
	case KVM_CAP_XCRS:
		return !!boot_cpu_has(X86_FEATURE_XSAVE);
	case KVM_CAP_XSAVE2:
		return boot_cpu_has(X86_FEATURE_XSAVE) ? kvm_xsave2_size() : 0;
	case KVM_CAP_NR_VCPUS:
		return min_t(int, num_online_cpus(), KVM_MAX_VCPUS);
	default:
		return (unsigned long)ext < ARRAY_SIZE(caps) ?
			caps[array_index_nospec(ext, ARRAY_SIZE(caps))] : 0;
	}
}

static int set_before_vcpus(struct kvm *kvm, u32 *what, u32 value)
{
	guard(mutex)(&kvm->lock);
	if (kvm->nr_vcpus)
		return -EINVAL;
	*what = value;
	return 0;
}

static int enable_cap(struct kvm *kvm, void *arg)
{
	const struct kvm_enable_cap *cap = arg;
	u64 value = cap->args[0];

	if (cap->flags)
		return -EINVAL;
	switch (cap->cap) {
	case KVM_CAP_EXCEPTION_PAYLOAD:
		kvm->exception_payload = value;
		return 0;
	case KVM_CAP_X86_TRIPLE_FAULT_EVENT:
		kvm->triple_fault_event = value;
		return 0;
	case KVM_CAP_SPLIT_IRQCHIP:
		return value > KVM_MAX_ROUTES ? -EINVAL : kvm_create_irqchip(kvm, true);
	case KVM_CAP_MSR_PLATFORM_INFO:
		kvm->hide_platform_info = !value;
		return 0;
	case KVM_CAP_MAX_VCPU_ID:
		if (value > KVM_MAX_VCPU_ID || value < kvm->bsp_id ||
		    (kvm->max_vcpu_id && value != kvm->max_vcpu_id))
			return -EINVAL;
		return set_before_vcpus(kvm, &kvm->max_vcpu_id, value);
	}
	/* The others are sets of bits: those that KVM_CHECK_EXTENSION returns. */
	if (value & ~(u64)check_extension(cap->cap))
		return -EINVAL;
	switch (cap->cap) {
	case KVM_CAP_EXIT_ON_EMULATION_FAILURE:
		return 0;
	case KVM_CAP_X86_USER_SPACE_MSR:
		WRITE_ONCE(kvm->msr_exits, value);
		return 0;
	case KVM_CAP_X2APIC_API:
		/* That 0xff is no broadcast in x2APIC mode holds anyway. */
		kvm->x2apic_ids |= value & KVM_X2APIC_API_USE_32BIT_IDS;
		return 0;
	case KVM_CAP_DISABLE_QUIRKS2:
		kvm->disabled_quirks |= value;
		return 0;
	case KVM_CAP_X86_DISABLE_EXITS:
		/* For a vCPU that exists already: from its next KVM_SET_CPUID2 on. */
		scoped_guard(mutex, &kvm->lock)
			kvm->disabled_exits |= value;
		return 0;
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		/* To begin with all bits set makes sense only if they are cleared by hand. */
		if (value == KVM_DIRTY_LOG_INITIALLY_SET)
			return -EINVAL;
		WRITE_ONCE(kvm->manual_dirty, value);
		return 0;
	default:
		return -EINVAL;
	}
}

/* ---- ioctls of a VM ------------------------------------------------------ */

static int get_clock(struct kvm *kvm, void *arg)
{
	struct kvm_clock_data *data = arg;

	data->flags = KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC |
		      (kvm_clock_stable() ? KVM_CLOCK_TSC_STABLE : 0);
	guard(preempt)();
	data->clock = kvm_clock_ns(kvm);
	data->realtime = ktime_get_real_ns();
	data->host_tsc = rdtsc();
	return 0;
}

static int set_clock(struct kvm *kvm, void *arg)
{
	const struct kvm_clock_data *data = arg;
	u64 now = ktime_get_real_ns(), passed = 0;

	if (data->flags & ~KVM_CLOCK_REALTIME)
		return -EINVAL;
	/* Time has passed since the clock was read, perhaps elsewhere. */
	if (data->flags & KVM_CLOCK_REALTIME && now > data->realtime)
		passed = now - data->realtime;
	kvm_clock_set(kvm, data->clock + passed);
	return 0;
}

static int set_identity_map_addr(struct kvm *kvm, void *arg)
{
	/* It is to be below 4 GiB. */
	return set_before_vcpus(kvm, &kvm->identity_map_addr, *(u64 *)arg ?: DEFAULT_IDENTITY_MAP);
}

/* ---- ... and those of its interrupt controllers -------------------------- */

static int irq_line(struct kvm *kvm, void *arg)
{
	struct kvm_irq_level *level = arg;

	if (!kvm->local_apics)
		return -ENXIO;
	level->status = kvm_set_irq(kvm, IRQ_SOURCE_USER, level->irq, level->level);
	return 0;
}

static int get_irqchip(struct kvm *kvm, void *arg)
{
	struct kvm_irqchip *chip = arg;

	/* A creation that fails takes them away again. */
	guard(mutex)(&kvm->lock);
	if (!kvm->pic)
		return -ENXIO;
	if (chip->chip_id > KVM_IRQCHIP_IOAPIC)
		return -EINVAL;
	if (chip->chip_id == KVM_IRQCHIP_IOAPIC)
		kvm_ioapic_get(kvm, &chip->chip.ioapic);
	else
		kvm_pic_get(kvm, chip->chip_id == KVM_IRQCHIP_PIC_SLAVE, &chip->chip.pic);
	return 0;
}

static int set_irqchip(struct kvm *kvm, void *arg)
{
	const struct kvm_irqchip *chip = arg;

	guard(mutex)(&kvm->lock);
	if (!kvm->pic)
		return -ENXIO;
	if (chip->chip_id > KVM_IRQCHIP_IOAPIC)
		return -EINVAL;
	if (chip->chip_id == KVM_IRQCHIP_IOAPIC)
		return kvm_ioapic_set(kvm, &chip->chip.ioapic);
	return kvm_pic_set(kvm, chip->chip_id == KVM_IRQCHIP_PIC_SLAVE, &chip->chip.pic);
}

static int create_pit(struct kvm *kvm, void *arg)
{
	guard(mutex)(&kvm->lock);
	return kvm->pic ? kvm_pit_create(kvm, arg) : -ENOENT;
}

static int reinject_control(struct kvm *kvm, void __user *argp)
{
	struct kvm_reinject_control control;

	if (copy_from_user(&control, argp, sizeof(control)))
		return -EFAULT;
	if (!kvm->pit)
		return -ENXIO;
	kvm_pit_set_reinject(kvm, control.pit_reinject);
	return 0;
}

static const struct kvm_struct_ioctl vm_ioctls[] = {
	{ KVM_IRQ_LINE_STATUS, .vm = irq_line },
	{ KVM_IRQ_LINE, .vm = irq_line },
	/* The older structure is the head of the other. */
	{ KVM_SET_USER_MEMORY_REGION, .vm = kvm_set_memory_region },
	{ KVM_SET_USER_MEMORY_REGION2, .vm = kvm_set_memory_region },
	{ KVM_GET_DIRTY_LOG, .vm = kvm_get_dirty_log },
	{ KVM_CLEAR_DIRTY_LOG, .vm = kvm_clear_dirty_log },
	{ KVM_SET_IDENTITY_MAP_ADDR, .vm = set_identity_map_addr },
	{ KVM_REGISTER_COALESCED_MMIO, .vm = kvm_add_zone },
	{ KVM_UNREGISTER_COALESCED_MMIO, .vm = kvm_remove_zones },
	{ KVM_IOEVENTFD, .vm = kvm_ioeventfd },
	{ KVM_X86_SET_MSR_FILTER, .vm = kvm_set_msr_filter },
	{ KVM_GET_CLOCK, .vm = get_clock },
	{ KVM_SET_CLOCK, .vm = set_clock },
	{ KVM_ENABLE_CAP, .vm = enable_cap },
	{ KVM_GET_IRQCHIP, .vm = get_irqchip },
	{ KVM_SET_IRQCHIP, .vm = set_irqchip },
	{ KVM_SIGNAL_MSI, .vm = kvm_signal_msi },
	{ KVM_IRQFD, .vm = kvm_irqfd },
	{ KVM_CREATE_PIT2, .vm = create_pit },
	{ KVM_GET_PIT2, .vm = kvm_pit_get },
	{ KVM_SET_PIT2, .vm = kvm_pit_set },
};

static long vm_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	struct kvm *kvm = file->private_data;
	void __user *argp = (void __user *)arg;

	if (kvm->mm != current->mm || kvm->dead)
		return -EIO;
	switch (ioctl) {
	case KVM_CREATE_VCPU:
		return kvm_create_vcpu(kvm, arg);
	case KVM_GET_STATS_FD:
		return kvm_stats_fd(kvm, NULL);
	case KVM_SET_NR_MMU_PAGES:
		return kvm_set_table_limit(kvm, arg);
	case KVM_SET_TSS_ADDR:
		/* Three pages below 4 GiB, that we need no task state segment in. */
		return arg > (unsigned int)(-3 * PAGE_SIZE) ? -EINVAL : 0;
	case KVM_GET_TSC_KHZ:
		return kvm->tsc_khz ?: tsc_khz;
	case KVM_SET_TSC_KHZ:
		return kvm_valid_tsc_khz(arg) ? set_before_vcpus(kvm, &kvm->tsc_khz, arg) : -EINVAL;
	case KVM_CHECK_EXTENSION:
		return check_extension(arg);
	case KVM_CREATE_IRQCHIP:
		return kvm_create_irqchip(kvm, false);
	case KVM_SET_GSI_ROUTING:
		return kvm_set_routing(kvm, argp);
	case KVM_REINJECT_CONTROL:
		return reinject_control(kvm, argp);
	case KVM_SET_BOOT_CPU_ID:
		if (arg >= KVM_MAX_VCPU_ID)
			return -EINVAL;
		return set_before_vcpus(kvm, &kvm->bsp_id, arg) ? -EBUSY : 0;
	default:
		return kvm_struct_ioctl(vm_ioctls, ARRAY_SIZE(vm_ioctls), kvm, NULL, ioctl, argp);
	}
}

static int vm_release(struct inode *inode, struct file *file)
{
	struct kvm *kvm = file->private_data;

	kvm_put(kvm);
	return 0;
}

static const struct file_operations vm_fops = {
	.owner = THIS_MODULE,
	.release = vm_release,
	.unlocked_ioctl = vm_ioctl,
	.compat_ioctl = vm_ioctl,
	.llseek = noop_llseek,
};

/* ---- ioctls of the system ------------------------------------------------ */

static int ioctl_create_vm(unsigned long type)
{
	struct kvm *kvm;
	int fd;

	if (type)
		return -EINVAL;
	kvm = create_vm();
	if (IS_ERR(kvm))
		return PTR_ERR(kvm);
	kvm_get(kvm);	/* ours: another thread may close the descriptor at once */
	fd = anon_inode_getfd("kvm-vm", &vm_fops, kvm, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		kvm_stats_add_vm(kvm, fd);
	else
		kvm_put(kvm);
	kvm_put(kvm);
	return fd;
}

static long system_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	void __user *argp = (void __user *)arg;

	switch (ioctl) {
	case KVM_GET_API_VERSION:
		return arg ? -EINVAL : KVM_API_VERSION;
	case KVM_CREATE_VM:
		return ioctl_create_vm(arg);
	case KVM_CHECK_EXTENSION:
		return check_extension(arg);
	case KVM_GET_VCPU_MMAP_SIZE:
		return arg ? -EINVAL : 3 * PAGE_SIZE;
	case KVM_GET_SUPPORTED_CPUID:
		return kvm_get_supported_cpuid(argp, false);
	case KVM_GET_EMULATED_CPUID:
		return kvm_get_supported_cpuid(argp, true);
	case KVM_GET_MSR_INDEX_LIST:
		return kvm_get_msr_index_list(argp, false);
	case KVM_GET_MSR_FEATURE_INDEX_LIST:
		return kvm_get_msr_index_list(argp, true);
	case KVM_GET_MSRS:
		return kvm_access_msrs(NULL, argp, false);
	case KVM_X86_GET_MCE_CAP_SUPPORTED:
		return put_user(KVM_MCE_CAP_SUPPORTED, (u64 __user *)argp);
	default:
		return -ENOTTY;
	}
}

/* While it is open the vendor's module stays, whose operations its ioctls use. */
static int system_open(struct inode *inode, struct file *file)
{
	return try_module_get(vendor_module) ? 0 : -ENODEV;
}

static int system_release(struct inode *inode, struct file *file)
{
	module_put(vendor_module);
	return 0;
}

static const struct file_operations system_fops = {
	.owner = THIS_MODULE,
	.open = system_open,
	.release = system_release,
	.unlocked_ioctl = system_ioctl,
	.compat_ioctl = system_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice kvm_device = {
	.minor = KVM_MINOR,
	.name = "kvm",
	.fops = &system_fops,
};

/* ---- loading ------------------------------------------------------------- */

static void undo_register(void)
{
	unregister_syscore(&kvm_syscore);
	cpu_emergency_unregister_virt_callback(disable_this_cpu);
	cpuhp_remove_state_nocalls(CPUHP_AP_KVM_ONLINE);
	kvm_ops = NULL;
}

int kvm_register_vendor(const struct kvm_x86_ops *ops, struct module *owner)
{
	int r;

	scoped_guard(mutex, &kvm_lock) {
		if (kvm_ops) {
			pr_err("kvm-live: support for %s is loaded already\n", kvm_ops->name);
			return -EEXIST;
		}
		kvm_ops = ops;
		vendor_module = owner;
	}
	kvm_host_init();
	kvm_vcpu_use_ops();
	r = cpuhp_setup_state(CPUHP_AP_KVM_ONLINE, "kvm-live:online",
			      cpu_online_callback, cpu_offline_callback);
	if (r < 0) {
		kvm_ops = NULL;
		return r;
	}
	cpu_emergency_register_virt_callback(disable_this_cpu);
	register_syscore(&kvm_syscore);
	r = misc_register(&kvm_device);
	if (r) {
		pr_err("kvm-live: /dev/kvm is taken (error %d); is another KVM module loaded?\n", r);
		undo_register();
		return r;
	}
	pr_info("kvm-live %s: %s ready\n", KVM_LIVE_VERSION, ops->name);
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_register_vendor);

void kvm_unregister_vendor(void)
{
	misc_deregister(&kvm_device);
	undo_register();
}
EXPORT_SYMBOL_GPL(kvm_unregister_vendor);

static int __init kvm_module_init(void)
{
	int r = kvm_shadow_init();

	if (!r)
		kvm_stats_init();
	return r;
}
module_init(kvm_module_init);

static void __exit kvm_module_exit(void)
{
	kvm_stats_exit();
	kvm_shadow_exit();
}
module_exit(kvm_module_exit);
