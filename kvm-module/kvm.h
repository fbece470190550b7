/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * kvm.h: the structures of the hypervisor, the table of what a processor
 * vendor's file must provide, and the locks.
 *
 * Who is who
 *   struct kvm        one virtual machine: vCPUs, and the address spaces that they
 *                     see (struct kvm_space: memory slots plus the second-level page
 *                     tables that map them): one, and one of system management mode.
 *   struct kvm_vcpu   one virtual processor. A vendor file embeds it as the first
 *                     member of its own structure (struct svm_vcpu, vmx_vcpu).
 *   struct kvm_x86_ops what svm.c and vmx.c implement. Generic code never asks
 *                     which vendor it runs on; vendor code never touches the
 *                     state of another device or vCPU.
 *
 * The life of an exit
 *   vcpu.c enters the guest through ops->enter(); after it ops->handle_exit()
 *   looks the reason up in the vendor's table of handlers. A handler returns
 *     1   done: enter the guest again,
 *     0   user space must act: vcpu->run says what,
 *    <0   an errno for KVM_RUN.
 *
 * Lock order, outermost first
 *   CPU hotplug lock    (the kernel's) held around its callbacks
 *   kvm_lock            list of VMs, count of users of the hardware (kvm_main.c)
 *   vcpu->mutex         one ioctl at a time on a vCPU; held during KVM_RUN
 *   kvm->lock           creation of vCPUs and of the VM's devices
 *   kvm->slots_lock     changes of the memory slots and the I/O buses
 *   mmap_lock           (the kernel's) taken by page faults on guest memory
 *   shadow.reset        also in memory reclaim: no memory is asked for under it
 *   PIT, then I/O APIC, then PIC lock   each device's own (raw, interrupts off)
 *   kvm->mmu_lock       second-level page tables; a spinlock, interrupts enabled
 *   kvm->clock.lock     the VM's clock; a spinlock, innermost
 *   kvm->srcu           readers of the slots and the buses: a vCPU holds it in all its
 *                       ioctls, and drops it when it sleeps or goes into the guest
 */
#ifndef KVM_LIVE_KVM_H
#define KVM_LIVE_KVM_H

#include <linux/types.h>
#include <linux/kvm.h>
#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcuwait.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <asm/fpu/api.h>
#include <asm/fpu/types.h>
#include <asm/mce.h>
#include <asm/trapnr.h>
#include <asm/processor-flags.h>

#include "emulate.h"

#define KVM_LIVE_VERSION	"0.2.0"

typedef u64 gpa_t;	/* guest-physical address */
typedef u64 gfn_t;	/* guest frame number: gpa >> 12 */
typedef u64 hpa_t;	/* host-physical address */

#define KVM_MAX_VCPUS		255
#define KVM_MAX_VCPU_ID		1024
#define KVM_USER_SLOTS		509
#define KVM_MAX_CPUID		256
#define KVM_MCE_BANKS		32
#define KVM_PLAIN_MSRS		31
#define KVM_IRQ_PINS		24	/* of the I/O APIC; GSIs of the kernel's chips */
#define KVM_MAX_ROUTES		4096	/* KVM_CAP_IRQ_ROUTING */
#define KVM_MCE_CAP_SUPPORTED	(MCG_CTL_P | MCG_SER_P)
#define KVM_GUESTDBG_SUPPORTED	(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP |	\
				 KVM_GUESTDBG_USE_SW_BP | KVM_GUESTDBG_USE_HW_BP |	\
				 KVM_GUESTDBG_INJECT_DB | KVM_GUESTDBG_INJECT_BP |	\
				 KVM_GUESTDBG_BLOCKIRQ)

/* ---- registers ----------------------------------------------------------- */

/*
 * Numbered as in ModRM, so that the emulator and the entry code agree; enum kvm_seg is
 * its. R8 to R15 go by their numbers (asm/vmx.h has other plans with the names).
 */
enum kvm_reg {
	REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
	REG_RIP = 16, NR_REGS,
};

/* CR0 and CR4 bits that no guest may set; the rest of CR4 goes by CPUID. */
#define CR0_RESERVED	(~(u64)(X86_CR0_PE | X86_CR0_MP | X86_CR0_EM | X86_CR0_TS |	\
				X86_CR0_ET | X86_CR0_NE | X86_CR0_WP | X86_CR0_AM |	\
				X86_CR0_NW | X86_CR0_CD | X86_CR0_PG))

#define DR6_FIXED	0xffff0ff0UL
#define DR6_WRITABLE	(DR_TRAP_BITS | DR_STEP | DR6_BT | DR6_BD)
#define DR7_FIXED	0x400UL
#define DR7_WRITABLE	0xffff2bffUL

/* ---- memory slots (memslot.c) -------------------------------------------- */

struct kvm_memslot {
	struct kvm_space *space;
	gfn_t base;		/* first guest frame */
	u64 npages;
	unsigned long hva;	/* where user space has it mapped */
	unsigned long *dirty;	/* one bit a page, or NULL when not logged */
	struct hlist_head *rmap; /* shadow paging: a page's leaves, or NULL */
	u32 flags;		/* KVM_MEM_* */
	u16 id;
};

/* An immutable array, sorted by base; replaced as a whole under slots_lock. */
struct kvm_memslots {
	unsigned int recent;	/* where the last look-up ended */
	unsigned int count;
	struct kvm_memslot *slot[] __counted_by(count);
};

/*
 * What a vCPU sees: the first, and in system management mode (smm.c) the second.
 * Shadow paging knows the first only.
 */
#define KVM_SPACES	2

struct kvm_space {
	struct kvm *kvm;
	struct kvm_memslots __rcu *slots;
	hpa_t tdp_root;			/* set once; 0 with shadow paging */
};

/* ---- second-level page tables (mmu.c) ------------------------------------ */

/*
 * What differs between EPT and nested page tables. Entries are 64 bits, tables
 * have 512 of them, and bit 7 marks a large leaf on both.
 */
struct kvm_tdp_format {
	u64 present;		/* an entry with any of these bits maps something */
	u64 table;		/* bits of an entry that points to a table */
	u64 leaf;		/* bits of every leaf of ordinary memory */
	u64 leaf_mmio;		/* ... of a host page that is not RAM */
	u64 write;		/* the write permission */
	u64 large_less;		/* bits that large leaves do not have: execution, or none */
	u64 accessed;		/* 0 when the processor does not track it */
	u8 levels;		/* 4 or 5 */
	u8 max_level;		/* largest leaf: 1 = 4 KiB, 2 = 2 MiB, 3 = 1 GiB */
};

struct kvm_vcpu;
struct kvm_walk;
struct shadow_page;

/* Access bits, for the second level and for the guest's own page tables. */
#define ACCESS_WRITE	BIT(0)
#define ACCESS_USER	BIT(1)
#define ACCESS_EXEC	BIT(2)
#define ACCESS_SYSTEM	BIT(3)	/* by the processor itself; not with ACCESS_USER */

/* Table pages for one fault, allocated before mmu_lock is taken. */
struct kvm_mmu_cache {
	unsigned int count;
	void *page[5];
};

/* What the host has behind a guest's page. */
struct host_page {
	u64 pfn;
	bool writable;
	bool ram;
};

#define SHADOW_MIN_TABLES	64
#define SHADOW_MAX_TABLES	8192

/* Shadow paging (shadow.c); under mmu_lock unless said otherwise. */
struct kvm_shadow {
	struct hlist_head *hash;	/* tables by the guest frame they stand for */
	struct list_head pages;		/* all of them */
	struct list_head compare;	/* those that may differ from the guest's */
	void *copy;			/* a page, for comparing */
	unsigned int count, limit;	/* SHADOW_MIN_TABLES to SHADOW_MAX_TABLES */
	struct mutex reset;		/* held while all tables go; outside of mmu_lock */
	u64 generation;			/* rises when they do */
	u64 removals, flushed;		/* entries taken out; as of the last flush */
};

struct kvm_shadow_vcpu {		/* the vCPU's own thread only */
	struct shadow_page *root[4];
	u64 generation;			/* ... that the roots belong to */
	u64 cr3;			/* what the processor runs with */
	u64 *pdpt;			/* outside of long mode */
	u64 pdpte[4];			/* the guest's, in PAE mode */
	struct shadow_page *spare[4];
	unsigned int spares;
};

/* What a second-level fault turned out to be. */
enum kvm_fault_result {
	FAULT_MAPPED,		/* mapped, or somebody else did: enter again */
	FAULT_MMIO,		/* no memory there, or read-only memory written */
};

/* ---- I/O ----------------------------------------------------------------- */

/* One piece of an access that user space completes. */
struct kvm_mmio_fragment {
	gpa_t gpa;
	u8 *data;		/* into kvm_io_state.data */
	u8 len;			/* 1 to 8 */
};

#define KVM_MMIO_FRAGMENTS	10	/* 64 bytes that cross a page */
#define KVM_MMIO_MAX		64

/* The access of the current instruction that is out with user space. */
struct kvm_io_state {
	u64 rip;		/* if it has moved, the access is void */
	bool write;
	u8 size;
	int error;		/* why the emulator could not go on, 0 or errno */
	int (*after)(struct kvm_vcpu *vcpu);	/* what follows on the instruction, or NULL */
	bool may_post, posted;		/* a write that the instruction need not wait for */
	bool more;			/* ... and the instruction goes on behind it */
	bool stale;			/* user space has changed registers meanwhile */
	bool fault_known, fault_write;	/* a second-level fault brought us here: */
	gpa_t fault_gpa;		/* ... with this access */
	u8 fragments, next;
	struct kvm_mmio_fragment fragment[KVM_MMIO_FRAGMENTS];
	u8 data[KVM_MMIO_MAX];
	u16 port;
	u8 port_size;
	u32 port_count;		/* 0: the access is MMIO */
};

/* ---- events -------------------------------------------------------------- */

/*
 * "pending" is still to be delivered; "injected" was given to the processor
 * and must be given again if the delivery did not complete.
 */
struct kvm_events {
	bool look;		/* there may be something to do before entering */
	struct kvm_exception {
		bool pending, injected, has_error, has_payload;
		u8 nr;
		u32 error_code;
		u64 payload;	/* new CR2 for #PF, DR6 bits for #DB */
	} exception;
	struct {
		bool pending, injected, soft;
		u8 nr;
	} irq;
	struct {
		bool injected;
		u8 pending;	/* at most 2: one in service, one latched */
	} nmi;
	struct {		/* system management mode */
		bool pending;
		bool active;	/* the vCPU is in it */
		bool inside_nmi;	/* NMIs stay blocked behind it */
		bool latched_init, latched_sipi;	/* wait for its end */
	} smi;
};

/*
 * An event as both vendors' processors write it down: the vector, above it a type
 * (EVENT_TYPE_* of asm/trapnr.h), and these.
 */
#define EVENT_TYPE(info)	((info) >> 8 & 7)
#define EVENT_HAS_ERROR		BIT(11)
#define EVENT_VALID		BIT(31)

/* vcpu->requests */
enum kvm_request {
	REQ_EVENT,		/* look at the events before entering */
	REQ_TLB_FLUSH,		/* drop everything cached of the address space */
	REQ_MMU_RELOAD,		/* shadow paging: find new roots */
	REQ_TRIPLE_FAULT,
	REQ_VM_DEAD,
	REQ_NMI, REQ_SMI, REQ_INIT, REQ_SIPI,	/* sent by an APIC */
	REQ_CLOCK,		/* tell the guest the time anew */
	REQ_STEAL_TIME,
	REQ_TSC_OFFSET,		/* vcpu->tsc_offset has changed */
	REQ_INTERCEPTS,		/* what leaves the guest has changed */
};

/* vcpu->mode: may an IPI be needed to make the vCPU see a request? */
enum kvm_vcpu_mode { VCPU_OUTSIDE, VCPU_IN_GUEST };

/* ---- exit counters (stats.c) --------------------------------------------- */

/* The names are what debugfs shows. */
#define KVM_STATS(S)	\
	S(exits) S(cpuid) S(cr) S(dr) S(exception) S(halt) S(hypercall) S(injected_irq) \
	S(injected_nmi) S(injected_exception) S(coalesced) S(invlpg) S(io_in) S(io_out) \
	S(ioeventfd) S(irq) S(irq_window) S(mmio_read) S(mmio_write) S(msr_read) S(msr_write) \
	S(nmi) S(nmi_window) S(other) S(pause) S(second_level_fault) S(second_level_map) \
	S(emulated) S(emulation_failed) S(shutdown) S(tlb_flush) S(user_exits) S(signal_exits) \
	S(wbinvd) S(xsetbv)

#define KVM_STAT_ENUM(name) STAT_##name,
enum kvm_stat { KVM_STATS(KVM_STAT_ENUM) KVM_NR_STATS };

/* ---- the virtual processor ----------------------------------------------- */

struct kvm_mtrr {
	u64 def_type;
	u64 fixed[11];
	u64 var[16];		/* base, mask, base, mask, … */
};

/* What the guest asked of us (paravirt.c); the vCPU's thread, but for unhalted. */
struct kvm_pv {
	u64 system_time, steal, eoi;	/* MSRs: a guest-physical address and a bit */
	u64 run_delay;			/* of the thread, as far as the guest knows it */
	u32 features;			/* the guest's CPUID leaf 0x40000001 */
	bool enforce_cpuid;		/* ... and nothing else is there */
	int clock_cpu;			/* host CPU that the clock was written on */
	bool stopped;			/* user space had the VM stopped */
	bool eoi_offered;
	bool preempted;			/* the guest was told so */
	bool no_host_poll;		/* the guest polls itself before it halts */
	bool unhalted;			/* kicked by another vCPU */
};

struct kvm_vcpu {
	struct kvm *kvm;
	struct kvm_space *space;	/* that it sees now */
	struct kvm_run *run;		/* page 0 of the mapping; 1: port data; 2: coalesced */
	int id;				/* KVM_CREATE_VCPU's argument (APIC id) */
	int index;			/* 0 … kvm->nr_vcpus - 1 */
	int cpu;			/* host CPU it is loaded on, -1 if none */
	int mode;			/* enum kvm_vcpu_mode */
	unsigned long requests;		/* bits of enum kvm_request */
	struct mutex mutex;
	struct preempt_notifier preempt;
	struct pid __rcu *pid;		/* the thread that runs it; for yield_to() */
	struct rcuwait wait;
	unsigned int halt_poll_ns;
	unsigned long rcu_noted;	/* jiffies */
	bool preempted;			/* could run, but has no CPU */
	int srcu_idx;

	/* Guest registers. Vendor code brings in lazily what is not in "avail". */
	u64 regs[NR_REGS];
	u32 regs_avail;			/* bit n: regs[n] is current */
	u32 regs_dirty;			/* bit n: regs[n] must reach the processor */
	u64 cr0, cr2, cr4, cr8, efer;	/* CR3 lives with the vendor: ops->get_cr3 */
	u64 xcr0;
	u64 dr[4], dr6, dr7;
	u64 apic_base;
	u32 mp_state;			/* KVM_MP_STATE_* */
	u8 sipi_vector;			/* of REQ_SIPI */
	struct kvm_lapic *lapic;	/* NULL: user space has the APIC */
	u8 tpr_watched;			/* a priority class; ops->watch_tpr knows it */
	int pending_eoi;		/* split mode: vector to report, or -1 */

	/* Single-stepping and breakpoints for user space. */
	u32 guest_debug;		/* KVM_GUESTDBG_* */
	u64 debug_dr[4], debug_dr7;
	bool dr_direct;			/* the guest has the debug registers */

	struct kvm_events events;
	struct kvm_io_state io;
	int (*resume)(struct kvm_vcpu *vcpu);	/* after user space's answer, if RIP is io.rip */
	struct emu emu;
	struct kvm_mmu_cache mmu_cache;
	struct kvm_shadow_vcpu shadow;
	struct kvm_pv pv;

	struct fpu_guest fpu;
	u32 guest_pkru;			/* protection keys; in the processor meanwhile */
	u64 guest_xcr0_supported;	/* by the guest's CPUID */
	bool wants_tsc_aux;		/* the guest's CPUID has RDTSCP or RDPID */
	bool tsc_aux_loaded;		/* the processor has the guest's, not the host's */

	struct kvm_cpuid_entry2 *cpuid;
	int cpuid_count;
	u8 maxphyaddr;			/* from the guest's CPUID */
	u64 cr4_allowed;		/* CR4 bits the guest's CPUID lets it set */
	u64 efer_allowed;

	u64 msrs[KVM_PLAIN_MSRS];	/* plain storage; see msr.c */
	u64 pat, spec_ctrl, tsc_aux;
	u64 smbase, smi_count;
	u32 tsc_khz;
	u64 tsc_ratio;		/* of its ticks to the host's, 0: 1; ops->tsc_ratio_bits */
	u64 tsc_offset, tsc_adjust;
	struct kvm_mtrr mtrr;
	u64 mcg_cap, mcg_status, mcg_ctl;
	u64 mce_bank[KVM_MCE_BANKS * 4];

	sigset_t sigset;
	bool sigset_active;

	u64 stat[KVM_NR_STATS];
	struct dentry *debugfs;
};

/* ---- the virtual machine ------------------------------------------------- */

struct kvm {
	struct mm_struct *mm;		/* of the process that created it */
	refcount_t users;		/* the VM's and the vCPUs' file descriptors */
	struct list_head link;		/* vm_list, under kvm_lock */
	bool dead;			/* after a bug in us: no vCPU enters again */

	struct mutex lock;
	struct xarray vcpus;		/* by index */
	int nr_vcpus;
	int yielded_to;			/* index; the next one gets it next time */

	struct mutex slots_lock;
	struct srcu_struct srcu;
	struct kvm_space space[KVM_SPACES];
	unsigned int user_tables;	/* KVM_SET_NR_MMU_PAGES; 0: by the slots; slots_lock */
	DECLARE_HASHTABLE(ioeventfds, 6); /* by address; slots_lock; readers: srcu */
	unsigned int write_takers;	/* ioeventfds and zones */
	struct list_head coalesced;	/* ... zones; likewise */
	struct kvm_coalesced_mmio_ring *ring;
	spinlock_t ring_lock;

	/* In-kernel interrupt controllers; set once, before any vCPU exists. */
	bool local_apics;		/* KVM_CREATE_IRQCHIP or split mode */
	bool odd_apic_ids;		/* an APIC's id is not its vCPU's index */
	struct kvm_pic *pic;
	struct kvm_ioapic *ioapic;
	struct kvm_pit *pit;
	struct kvm_irq_routing __rcu *routing;	/* by GSI; slots_lock; readers: srcu */
	struct mutex irqfd_lock;
	struct list_head irqfds;	/* irqfd_lock; readers: srcu */
	struct work_struct irqfds_closed;	/* takes off those that nobody can signal */

	spinlock_t mmu_lock;
	unsigned long tdp_pages;	/* table pages in use below the roots */
	struct kvm_shadow shadow;
	struct kvm_memslot *retiring;	/* mmu_lock; unpublished, still mapped */
	struct mmu_notifier notifier;
	unsigned long invalidate_seq;	/* mmu_lock; rises when one ends */
	long invalidate_count;		/* mmu_lock; invalidations going on */

	u32 identity_map_addr;
	struct {			/* what the guests' clocks show */
		spinlock_t lock;
		u64 tsc, ns;		/* host's TSC; VM clock at that moment */
		s64 offset;		/* VM clock - boot time, ns */
	} clock;
	struct {			/* the last counter that user space set; clock.lock */
		const struct kvm_vcpu *vcpu;	/* may be gone */
		u32 khz;
		u64 asked, offset;	/* asked: but for those that it is to be like */
	} tsc;
	u64 wall_clock;			/* MSR_KVM_WALL_CLOCK */
	u32 tsc_khz;			/* of vCPUs to come; 0: the host's */
	u32 bsp_id;
	bool exception_payload;		/* KVM_CAP_EXCEPTION_PAYLOAD switched on */
	u32 msr_exits;			/* KVM_MSR_EXIT_REASON_* for user space */
	struct kvm_filter __rcu *msr_filter;	/* slots_lock; readers: srcu */
	u32 manual_dirty;		/* KVM_DIRTY_LOG_* switched on */
	u32 disabled_exits;		/* KVM_X86_DISABLE_EXITS_* */
	u32 disabled_quirks;		/* KVM_X86_QUIRK_* */
	u32 max_vcpu_id;		/* 0: KVM_MAX_VCPU_ID */
	bool hide_platform_info;	/* reading MSR_PLATFORM_INFO is #GP */
	bool x2apic_ids;		/* KVM_GET_LAPIC has all 32 bits of an x2APIC id */
	bool triple_fault_event;

	struct dentry *debugfs;
};

/* ---- what the processor's vendor provides -------------------------------- */

struct kvm_x86_ops {
	const char *name;		/* "SVM" or "VMX" */
	u32 hypercall, foreign_hypercall;	/* bytes of VMCALL or VMMCALL */
	unsigned int vcpu_size;		/* of the structure that embeds kvm_vcpu */
	u8 tsc_ratio_bits;	/* behind the point; 0: there is no scaling */
	const struct kvm_tdp_format *tdp;	/* NULL: shadow paging */

	/* Host processors. cpu_enable/disable run on the CPU, preemption off. */
	int (*cpu_enable)(void);	/* -EBUSY: somebody else is in there */
	void (*cpu_disable)(void);

	/* Virtual processors. */
	int (*vcpu_create)(struct kvm_vcpu *vcpu);
	void (*vcpu_destroy)(struct kvm_vcpu *vcpu);	/* even if half made */
	/* Power-on state; init: all but the MSRs. */
	void (*vcpu_reset)(struct kvm_vcpu *vcpu, bool init);
	void (*vcpu_load)(struct kvm_vcpu *vcpu, int cpu);	/* preemption off */
	void (*vcpu_put)(struct kvm_vcpu *vcpu);

	/* The processor cannot be in the guest's state; NULL: it always can. */
	bool (*must_emulate)(struct kvm_vcpu *vcpu);
	/*
	 * One trip into the guest. Called with preemption and interrupts off;
	 * returns so, too. handle_exit() is called with both on.
	 */
	void (*enter)(struct kvm_vcpu *vcpu);
	/* Interrupts still off: NMIs and machine checks that caused the exit. */
	void (*handle_exit_irqoff)(struct kvm_vcpu *vcpu);
	int (*handle_exit)(struct kvm_vcpu *vcpu);
	void (*flush_tlb)(struct kvm_vcpu *vcpu);	/* preemption off */

	/*
	 * State. Values were validated by the caller unless an errno is said. Only
	 * for registers that are not in vcpu->regs_avail.
	 */
	void (*cache_reg)(struct kvm_vcpu *vcpu, enum kvm_reg reg);
	u64 (*get_rflags)(struct kvm_vcpu *vcpu);
	void (*set_rflags)(struct kvm_vcpu *vcpu, u64 rflags);
	/* Of SEG_GDTR and SEG_IDTR the base and the limit; those are never unusable. */
	void (*get_segment)(struct kvm_vcpu *vcpu, int seg, struct kvm_segment *s);
	void (*set_segment)(struct kvm_vcpu *vcpu, int seg, const struct kvm_segment *s);
	int (*get_cpl)(struct kvm_vcpu *vcpu);
	u64 (*get_cr3)(struct kvm_vcpu *vcpu);
	void (*set_cr3)(struct kvm_vcpu *vcpu, u64 cr3);
	void (*set_modes)(struct kvm_vcpu *vcpu);	/* vcpu->cr0, cr4 and efer */
	void (*space_changed)(struct kvm_vcpu *vcpu);	/* vcpu->space; not with shadow paging */
	/* vcpu->dr7, guest_debug or the events' needs changed. */
	void (*update_debug)(struct kvm_vcpu *vcpu);
	/* The guest's CPUID or the VM's MSR filter changed: so may what it exits for. */
	void (*intercepts_changed)(struct kvm_vcpu *vcpu);
	/*
	 * With an in-kernel APIC: an interrupt of the priority class vcpu->tpr_watched
	 * waits for the guest to lower CR8 (TPR) below it; 0: none does.
	 */
	void (*watch_tpr)(struct kvm_vcpu *vcpu);
	/*
	 * false: the guest gets the debug registers until the next exit; true: bring
	 * DR6 and DR7 into vcpu->dr6 and dr7 and watch accesses again.
	 */
	void (*watch_debugregs)(struct kvm_vcpu *vcpu, bool watch);
	void (*set_tsc_offset)(struct kvm_vcpu *vcpu);	/* vcpu->tsc_offset, tsc_ratio */
	/* MSRs that live in the processor's structure; 1: not one of mine. */
	int (*get_msr)(struct kvm_vcpu *vcpu, u32 index, u64 *value);
	int (*set_msr)(struct kvm_vcpu *vcpu, u32 index, u64 value);

	/* Events. inject hands over what vcpu->events says is "injected": EVENT_*. */
	void (*inject)(struct kvm_vcpu *vcpu, u32 info, u32 error_code);
	void (*cancel_injection)(struct kvm_vcpu *vcpu);
	/* Exit when the guest can take an interrupt. */
	void (*irq_window)(struct kvm_vcpu *vcpu, bool open);
	void (*request_nmi_window)(struct kvm_vcpu *vcpu);
	u32 (*get_shadow)(struct kvm_vcpu *vcpu);	/* KVM_X86_SHADOW_INT_* */
	void (*set_shadow)(struct kvm_vcpu *vcpu, u32 shadow);
	bool (*get_nmi_mask)(struct kvm_vcpu *vcpu);
	void (*set_nmi_mask)(struct kvm_vcpu *vcpu, bool masked);

	/* Move RIP behind the instruction that exited; result as a handler. */
	int (*skip_instruction)(struct kvm_vcpu *vcpu);
};

/* The functions that either vendor's file has under these names. */
#define KVM_VENDOR_OPS(v)									\
	.cpu_enable = v##_cpu_enable, .cpu_disable = v##_cpu_disable,				\
	.vcpu_create = v##_vcpu_create, .vcpu_destroy = v##_vcpu_destroy,			\
	.vcpu_reset = v##_vcpu_reset, .vcpu_load = v##_vcpu_load,				\
	.vcpu_put = v##_vcpu_put, .enter = v##_enter,						\
	.handle_exit_irqoff = v##_handle_exit_irqoff, .handle_exit = v##_handle_exit,		\
	.flush_tlb = v##_flush_tlb, .get_rflags = v##_get_rflags,				\
	.set_rflags = v##_set_rflags, .get_segment = v##_get_segment,				\
	.set_segment = v##_set_segment, .get_cpl = v##_get_cpl, .get_cr3 = v##_get_cr3,		\
	.set_modes = v##_set_modes, .space_changed = v##_space_changed,				\
	.update_debug = v##_update_debug, .intercepts_changed = v##_intercepts_changed,		\
	.set_tsc_offset = v##_set_tsc_offset, .watch_tpr = v##_watch_tpr,			\
	.watch_debugregs = v##_watch_debugregs, .get_msr = v##_get_msr,				\
	.set_msr = v##_set_msr, .inject = v##_inject,						\
	.cancel_injection = v##_cancel_injection, .irq_window = v##_irq_window,			\
	.request_nmi_window = v##_request_nmi_window, .get_shadow = v##_get_shadow,		\
	.set_shadow = v##_set_shadow, .get_nmi_mask = v##_get_nmi_mask,				\
	.set_nmi_mask = v##_set_nmi_mask, .skip_instruction = v##_skip_instruction

extern const struct kvm_x86_ops *kvm_ops;

/* What the host's processor and kernel allow; filled in at load. */
struct kvm_host_caps {
	u64 host_xcr0;		/* the same on every processor */
	u64 xcr0;		/* XCR0 bits a guest may use */
	u64 host_xss;		/* if a guest could save the state that it names, else 0 */
	u64 efer;		/* EFER bits a guest may use */
};

extern struct kvm_host_caps kvm_caps;

/* ---- kvm_main.c ---------------------------------------------------------- */

int kvm_register_vendor(const struct kvm_x86_ops *ops, struct module *owner);
void kvm_unregister_vendor(void);
void kvm_get(struct kvm *kvm);
void kvm_put(struct kvm *kvm);
/* Set a request on every vCPU and wait until none runs without seeing it. */
void kvm_request_all(struct kvm *kvm, enum kvm_request req);
/* We found a bug in ourselves: the VM stops, the host goes on. */
void kvm_vm_bugged(struct kvm *kvm);

/* ---- paravirt.c ---------------------------------------------------------- */

u64 kvm_clock_ns(struct kvm *kvm);
void kvm_clock_set(struct kvm *kvm, u64 ns);
bool kvm_clock_stable(void);	/* one reference for all vCPUs */
/* The machine sleeps, or has slept; one CPU, interrupts off, nothing else runs. */
void kvm_clock_suspend(void);
void kvm_clock_resume(void);
void kvm_pv_sched_out(struct kvm_vcpu *vcpu);
void kvm_pv_sched_in(struct kvm_vcpu *vcpu);
void kvm_pv_requests(struct kvm_vcpu *vcpu);
void kvm_pv_eoi_offer(struct kvm_vcpu *vcpu);
bool kvm_pv_eoi_taken(struct kvm_vcpu *vcpu);
bool kvm_pv_has_msr(struct kvm_vcpu *vcpu, u32 index, bool host);
u64 kvm_pv_get_msr(struct kvm_vcpu *vcpu, u32 index);
int kvm_pv_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 value, bool host);
/* Returns the hypercall's answer. */
long kvm_pv_hypercall(struct kvm_vcpu *vcpu, u64 nr, const u64 a[4]);
u32 kvm_pv_features(void);
void kvm_pv_reset(struct kvm_vcpu *vcpu);

/* ---- vcpu.c -------------------------------------------------------------- */

int kvm_create_vcpu(struct kvm *kvm, unsigned long id);
void kvm_destroy_vcpus(struct kvm *kvm);
void kvm_vcpu_use_ops(void);	/* once, when a vendor has registered */
/* After a change of the guest's TSC_AUX; preemption off. */
void kvm_load_tsc_aux(struct kvm_vcpu *vcpu);
void kvm_load_host_ldt(void);
DECLARE_PER_CPU(u64, kvm_host_tsc_aux);
void kvm_kick(struct kvm_vcpu *vcpu);
/* Give the rest of this thread's time to that vCPU's, if it waits for a CPU. */
bool kvm_yield_to(struct kvm_vcpu *vcpu);
void kvm_queue_exception(struct kvm_vcpu *vcpu, u8 nr);
void kvm_queue_exception_e(struct kvm_vcpu *vcpu, u8 nr, u32 error_code);
void kvm_queue_page_fault(struct kvm_vcpu *vcpu, u64 cr2, u32 error_code);
/* What the exception leaves in CR2 or DR6, at the moment of its delivery. */
void kvm_deliver_payload(struct kvm_vcpu *vcpu);
/* Vendor code, after an exit: this (EVENT_*) was being delivered, do it again. */
void kvm_requeue_event(struct kvm_vcpu *vcpu, u32 info, u32 error_code);
/* By the emulator: deliver it, or, if there is nothing, run the instruction at RIP. */
int kvm_emulate_injected(struct kvm_vcpu *vcpu);
/* Power-on state, or that after INIT, which leaves the FPU and MSRs alone. */
void kvm_vcpu_reset(struct kvm_vcpu *vcpu, bool init);
int kvm_set_cr(struct kvm_vcpu *vcpu, unsigned int cr, u64 value);	/* 1: #GP, nothing set */
int kvm_set_cr8(struct kvm_vcpu *vcpu, u64 value);
int kvm_set_efer(struct kvm_vcpu *vcpu, u64 value, bool host);
int kvm_set_xcr0(struct kvm_vcpu *vcpu, u32 index, u64 value);
/* RIP moves behind an instruction of this length; result as a handler. */
int kvm_skip_bytes(struct kvm_vcpu *vcpu, unsigned int length);
/* Exits to user space, which return 0, for handlers: the entry failed; our error. */
int kvm_entry_failed(struct kvm_vcpu *vcpu, u64 reason);
int kvm_internal_error(struct kvm_vcpu *vcpu, u32 suberror, u64 a, u64 b);
/* One that came in the guest is the host's. Interrupts are off. */
void kvm_host_machine_check(void);
/* Handlers of exits that are the same on both vendors. */
int kvm_handle_cpuid(struct kvm_vcpu *vcpu);
int kvm_handle_rdmsr(struct kvm_vcpu *vcpu);
int kvm_handle_wrmsr(struct kvm_vcpu *vcpu);
int kvm_handle_hlt(struct kvm_vcpu *vcpu);
int kvm_halt(struct kvm_vcpu *vcpu);	/* RIP is behind the HLT */
u64 kvm_hypercall(struct kvm_vcpu *vcpu, const u64 regs[16]);	/* RAX after it */
int kvm_handle_hypercall(struct kvm_vcpu *vcpu);
int kvm_handle_xsetbv(struct kvm_vcpu *vcpu);
int kvm_handle_wbinvd(struct kvm_vcpu *vcpu);
int kvm_handle_pause(struct kvm_vcpu *vcpu);	/* RIP stays: it runs again */
int kvm_handle_nothing(struct kvm_vcpu *vcpu);
int kvm_handle_irq(struct kvm_vcpu *vcpu);
int kvm_handle_ud(struct kvm_vcpu *vcpu);
int kvm_handle_gp(struct kvm_vcpu *vcpu);
int kvm_handle_undefined(struct kvm_vcpu *vcpu);	/* a #UD that exited */
int kvm_handle_triple_fault(struct kvm_vcpu *vcpu);
int kvm_handle_dr(struct kvm_vcpu *vcpu);
int kvm_handle_debug(struct kvm_vcpu *vcpu, u64 dr6);	/* #DB or #BP */
int kvm_handle_breakpoint(struct kvm_vcpu *vcpu);

/*
 * Take what others have sent: NMI and SMI to vcpu->events, INIT, SIPI and a kick out of
 * HLT into effect.
 */
void kvm_collect_messages(struct kvm_vcpu *vcpu);

static inline bool kvm_is_long_mode(const struct kvm_vcpu *vcpu)
{
	return vcpu->efer & (1 << 10 /* LMA */);
}

static inline void kvm_clear_injected(struct kvm_vcpu *vcpu)
{
	vcpu->events.exception.injected = false;
	vcpu->events.irq.injected = false;
	vcpu->events.nmi.injected = false;
}

static inline void kvm_request(struct kvm_vcpu *vcpu, enum kvm_request req)
{
	/* Whoever sees the request sees what was written before it. */
	smp_wmb();
	set_bit(req, &vcpu->requests);
}

static inline bool kvm_take_request(struct kvm_vcpu *vcpu, enum kvm_request req)
{
	if (!test_bit(req, &vcpu->requests))
		return false;
	clear_bit(req, &vcpu->requests);
	/* What was written before the request is read after this. */
	smp_mb__after_atomic();
	return true;
}

static inline u64 kvm_reg_read(struct kvm_vcpu *vcpu, enum kvm_reg reg)
{
	if (unlikely(!(vcpu->regs_avail & BIT(reg))))
		kvm_ops->cache_reg(vcpu, reg);
	return vcpu->regs[reg];
}

static inline void kvm_reg_write(struct kvm_vcpu *vcpu, enum kvm_reg reg, u64 v)
{
	vcpu->regs[reg] = v;
	vcpu->regs_avail |= BIT(reg);
	vcpu->regs_dirty |= BIT(reg);
}

/* ---- state.c: all ioctls of a vCPU but KVM_RUN --------------------------- */

struct kvm_segment *kvm_sregs_segment(struct kvm_sregs *s, int seg);	/* SEG_ES to SEG_TR */
int kvm_get_sregs(struct kvm_vcpu *vcpu, void *sregs);
/* -EINVAL: the processor cannot be in this state; nothing has changed. */
int kvm_set_sregs(struct kvm_vcpu *vcpu, void *sregs);
u64 kvm_get_rflags(struct kvm_vcpu *vcpu);	/* without user space's single step */
void kvm_set_rflags(struct kvm_vcpu *vcpu, u64 rflags);
void kvm_set_dr6_dr7(struct kvm_vcpu *vcpu, u64 dr6, u64 dr7);	/* reserved bits are ours */
/* Caller holds srcu, as some of them read or write guest memory. */
long kvm_state_ioctl(struct kvm_vcpu *vcpu, unsigned int ioctl, unsigned long arg);
/* What user space changed in kvm_run before KVM_RUN, and wants to find there after. */
int kvm_get_synced_regs(struct kvm_vcpu *vcpu);
void kvm_put_synced_regs(struct kvm_vcpu *vcpu);
int kvm_access_msrs(struct kvm_vcpu *vcpu, struct kvm_msrs __user *user, bool set);
void *kvm_copy_xsave(struct kvm_vcpu *vcpu);
int kvm_replace_xsave(struct kvm_vcpu *vcpu, void *buf);

/*
 * An ioctl whose argument is one structure. Its number says how large that is and
 * whether it is copied in, out or both; zeros where nothing is copied in.
 */
struct kvm_struct_ioctl {
	unsigned int number;
	union {
		int (*vm)(struct kvm *kvm, void *arg);
		int (*vcpu)(struct kvm_vcpu *vcpu, void *arg);
	};
};

int kvm_struct_ioctl(const struct kvm_struct_ioctl *row, unsigned int rows, struct kvm *kvm,
		     struct kvm_vcpu *vcpu, unsigned int ioctl, void __user *argp);

/* ---- smm.c: system management mode --------------------------------------- */

static inline bool kvm_has_smm(void)
{
	return kvm_ops->tdp;
}

/* An SMI that the vCPU can take. */
static inline bool kvm_smi_pending(const struct kvm_vcpu *vcpu)
{
	return vcpu->events.smi.pending && !vcpu->events.smi.active;
}

void kvm_set_smm(struct kvm_vcpu *vcpu, bool active);
/* Take the SMI; between two instructions, no event under way. */
void kvm_enter_smm(struct kvm_vcpu *vcpu);
int kvm_leave_smm(struct kvm_vcpu *vcpu);	/* RSM; result as a handler */

/* ---- io.c: the emulator's view of the guest, ports and MMIO -------------- */

/* Emulate the instruction at RIP; result as a handler. */
int kvm_emulate(struct kvm_vcpu *vcpu);
/* Deliver an event in any mode; RIP is what it returns to. */
int kvm_emulate_event(struct kvm_vcpu *vcpu, u8 vector, bool has_error, u32 error);
/* Length of the instruction at RIP, 0 when it cannot be read or decoded. */
int kvm_instruction_length(struct kvm_vcpu *vcpu);
/* Are these the bytes (at most 4, the first lowest) at this address? False: or not known. */
bool kvm_code_is(struct kvm_vcpu *vcpu, u64 linear, u32 code, int length);
/* Other bytes there, if the guest could write them; 0 or nonzero. */
int kvm_patch_code(struct kvm_vcpu *vcpu, u64 linear, u32 code, int length);
/* IN/OUT of AL, AX or EAX, decoded by the processor. */
int kvm_handle_pio(struct kvm_vcpu *vcpu, u16 port, unsigned int size, bool in);
/*
 * A fault of the second level, or of shadow paging (then with the guest's
 * linear address and walk); access: ACCESS_*; result as a handler.
 */
int kvm_handle_memory_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u32 access, u64 gva,
			    const struct kvm_walk *walk);

/* ---- eventfd.c ----------------------------------------------------------- */

int kvm_ioeventfd(struct kvm *kvm, void *arg);
void kvm_free_ioeventfds(struct kvm *kvm);	/* and zones */
/* Struct kvm_coalesced_mmio_zone: one more; all that lie in this one. */
int kvm_add_zone(struct kvm *kvm, void *arg);
int kvm_remove_zones(struct kvm *kvm, void *arg);
/* The page that is shared with user space; NULL without memory. */
void *kvm_coalesced_ring(struct kvm *kvm);
bool kvm_find_taker(struct kvm_vcpu *vcpu, bool pio, u64 addr, unsigned int len, const void *data);

/* A guest wrote; true: it need not exit for that. Caller holds srcu. */
static inline bool kvm_write_taken(struct kvm_vcpu *vcpu, bool pio, u64 addr,
				   unsigned int len, const void *data)
{
	return READ_ONCE(vcpu->kvm->write_takers) && kvm_find_taker(vcpu, pio, addr, len, data);
}

/* ---- irq.c: from a device's line to a vCPU; routing, MSI, irqfd ---------- */

/*
 * A line is high while any of its sources holds it. Sources: user space, the
 * PIT, irqfds.
 */
enum kvm_irq_source { IRQ_SOURCE_USER, IRQ_SOURCE_PIT, IRQ_SOURCE_IRQFD };

/* Delivered, coalesced (still pending from before), or nobody there. */
enum kvm_irq_result { IRQ_NOBODY = -1, IRQ_COALESCED = 0, IRQ_DELIVERED = 1 };

/* Assert or release a GSI; every route of it. Any context that may not sleep. */
int kvm_set_irq(struct kvm *kvm, enum kvm_irq_source source, u32 gsi, bool level);
/* The PIC's INTR output rose or fell: the boot vCPU looks at it. */
void kvm_pic_output_changed(struct kvm *kvm);
/* An acknowledged level-triggered line; irqfd resamplers and the PIT listen. */
void kvm_notify_acked(struct kvm *kvm, unsigned int irqchip, unsigned int pin);

/* A message to local APICs: from the I/O APIC, an MSI, or another local APIC. */
struct kvm_apic_message {
	u32 dest;		/* APIC id, or logical destination */
	u8 vector;
	u8 delivery_mode;	/* APIC_DM_* >> 8: 0 fixed, 1 lowest, 4 NMI, 5 INIT … */
	bool logical;
	bool level_triggered;
	u8 shorthand;		/* 0 none, 1 self, 2 all, 3 all but self */
};

int kvm_apic_deliver(struct kvm *kvm, struct kvm_vcpu *source, const struct kvm_apic_message *m);

void kvm_irq_init(struct kvm *kvm);
void kvm_irq_destroy(struct kvm *kvm);	/* before the vCPUs go */
void kvm_irq_free(struct kvm *kvm);	/* after them */
/* split: the local APICs only, everything else is user space's. */
int kvm_create_irqchip(struct kvm *kvm, bool split);
int kvm_set_routing(struct kvm *kvm, struct kvm_irq_routing __user *user);
int kvm_signal_msi(struct kvm *kvm, void *arg);
int kvm_irqfd(struct kvm *kvm, void *arg);
/* Accesses to the in-kernel devices; false: not theirs. */
bool kvm_device_pio(struct kvm *kvm, u16 port, unsigned int len, void *data, bool write);
bool kvm_device_mmio(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int len, void *data, bool write);

/* ---- lapic.c: the local APIC; the vCPU's thread unless said otherwise ---- */

int kvm_apic_create(struct kvm_vcpu *vcpu);
void kvm_apic_destroy(struct kvm_vcpu *vcpu);
void kvm_apic_reset(struct kvm_vcpu *vcpu);
int kvm_apic_pending(struct kvm_vcpu *vcpu);
u8 kvm_apic_blocked(struct kvm_vcpu *vcpu);	/* by TPR: its class, or 0 */
void kvm_apic_acknowledge(struct kvm_vcpu *vcpu, u8 vector);
/* Settle what the guest made of the last offer of a PV EOI; and offer again. Caller holds srcu. */
void kvm_apic_settle_pv_eoi(struct kvm_vcpu *vcpu);
void kvm_apic_pv_eoi(struct kvm_vcpu *vcpu);
bool kvm_apic_accepts_extint(struct kvm_vcpu *vcpu);	/* any context */
struct kvm_vcpu *kvm_vcpu_by_apic_id(struct kvm *kvm, u32 id);
void kvm_apic_set_cr8(struct kvm_vcpu *vcpu, u64 cr8);
u64 kvm_apic_get_deadline(struct kvm_vcpu *vcpu);
void kvm_apic_set_deadline(struct kvm_vcpu *vcpu, u64 deadline);
/* An access of len bytes to this register; false: not its page. */
bool kvm_apic_mmio(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int len, u32 *value, bool write);
int kvm_x2apic_read(struct kvm_vcpu *vcpu, u32 index, u64 *value);	/* 1: #GP */
int kvm_x2apic_write(struct kvm_vcpu *vcpu, u32 index, u64 value);
void kvm_apic_base_changed(struct kvm_vcpu *vcpu, u64 old);
int kvm_apic_get_state(struct kvm_vcpu *vcpu, void *arg);	/* KVM_GET_LAPIC */
int kvm_apic_set_state(struct kvm_vcpu *vcpu, void *arg);

/*
 * The devices below: but for create and destroy, the PIT's ports and state, and
 * kvm_pit_wants_ack(), only while the device is there.
 */

/* ---- i8259.c: the two interrupt controllers of a PC ---------------------- */

int kvm_pic_create(struct kvm *kvm);		/* sets kvm->pic */
void kvm_pic_destroy(struct kvm *kvm);
/* Pins from 8 on are the slave's. */
int kvm_pic_set_irq(struct kvm *kvm, unsigned int pin, enum kvm_irq_source source, bool level);
bool kvm_pic_has_interrupt(struct kvm *kvm);	/* INTR is high; no lock */
int kvm_pic_acknowledge(struct kvm *kvm);	/* INTA: the vector */
/* Ports 0x20, 0x21, 0xa0, 0xa1, 0x4d0, 0x4d1, one byte; false: not mine. */
bool kvm_pic_port(struct kvm *kvm, u16 port, u8 *value, bool write);
void kvm_pic_get(struct kvm *kvm, bool slave, struct kvm_pic_state *state);
int kvm_pic_set(struct kvm *kvm, bool slave, const struct kvm_pic_state *state);

/* ---- ioapic.c ------------------------------------------------------------ */

int kvm_ioapic_create(struct kvm *kvm);		/* sets kvm->ioapic */
void kvm_ioapic_destroy(struct kvm *kvm);
int kvm_ioapic_set_irq(struct kvm *kvm, unsigned int pin, enum kvm_irq_source source, bool level);
/* A local APIC ended a vector: level-triggered, or kvm_pit_wants_ack(). */
void kvm_ioapic_eoi(struct kvm *kvm, u8 vector);
/* MMIO inside its page at 0xfec00000 (or where user space put it). */
bool kvm_ioapic_mmio(struct kvm *kvm, gpa_t gpa, unsigned int len, u32 *value, bool write);
void kvm_ioapic_get(struct kvm *kvm, struct kvm_ioapic_state *state);
int kvm_ioapic_set(struct kvm *kvm, const struct kvm_ioapic_state *state);

/* ---- i8254.c: the timer of a PC, and the speaker port -------------------- */

int kvm_pit_create(struct kvm *kvm, const struct kvm_pit_config *config);
void kvm_pit_destroy(struct kvm *kvm);
/* Ports 0x40 to 0x43, and 0x61 when asked for; false: not mine. */
bool kvm_pit_port(struct kvm *kvm, u16 port, u8 *value, bool write);
int kvm_pit_get(struct kvm *kvm, void *arg);	/* KVM_GET_PIT2 */
int kvm_pit_set(struct kvm *kvm, void *arg);
void kvm_pit_set_reinject(struct kvm *kvm, bool reinject);
/* Ticks are waiting for the end of one, even if it is edge triggered; no lock. */
bool kvm_pit_wants_ack(struct kvm *kvm);
/* The guest acknowledged the timer's interrupt (kvm_notify_acked). */
void kvm_pit_acked(struct kvm *kvm);

/* ---- memslot.c ----------------------------------------------------------- */

int kvm_set_memory_region(struct kvm *kvm, void *arg);
int kvm_set_table_limit(struct kvm *kvm, unsigned long tables);
int kvm_get_dirty_log(struct kvm *kvm, void *arg);
int kvm_clear_dirty_log(struct kvm *kvm, void *arg);
void kvm_free_memslots(struct kvm *kvm);
/* Callers hold srcu (or slots_lock). NULL: no memory there. */
struct kvm_memslot *kvm_find_slot(struct kvm_space *space, gfn_t gfn);
/* Guest memory; 0 or -EFAULT. Must run in the VM's process. */
int kvm_read_guest(struct kvm_space *space, gpa_t gpa, void *buf, unsigned int len);
/* Of 4 or 8 bytes; -ENXIO: no memory there. */
int kvm_read_guest_entry(struct kvm_space *space, gpa_t gpa, u64 *entry, int size);
int kvm_write_guest(struct kvm_space *space, gpa_t gpa, const void *buf, unsigned int len);
int kvm_cmpxchg_guest(struct kvm_space *space, gpa_t gpa, void *old, const void *new,
		      unsigned int len);	/* 1: it differed, old updated; -ENXIO as above */
void kvm_mark_dirty(struct kvm_memslot *slot, gfn_t gfn);

/* ---- mmu.c --------------------------------------------------------------- */

/* Frames that the tables can map: 2^36 with four levels. */
gfn_t kvm_mmu_max_gfn(void);
int kvm_mmu_init_vm(struct kvm *kvm);
void kvm_mmu_destroy_vm(struct kvm *kvm);
void kvm_mmu_free_cache(struct kvm_vcpu *vcpu);
/* FAULT_* or an errno. gva and walk: as for kvm_handle_memory_fault(). */
int kvm_mmu_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u32 access, u64 gva,
		  const struct kvm_walk *walk);
/* Show the guest a page of ours, read-only; 1 or an errno, for handlers. */
int kvm_mmu_map_own(struct kvm_vcpu *vcpu, gpa_t gpa, void *page);
void kvm_mmu_zap_slot(struct kvm *kvm, struct kvm_memslot *slot);
/* So many of n host pages from hva on as are there; does not sleep. */
#define KVM_PEEK_PAGES	8	/* n at most */
int kvm_mmu_peek_pages(unsigned long hva, int n, bool may_write, struct host_page *host);
/* The guest flushes its TLB, by CR3, CR0, CR4 or EFER. */
void kvm_mmu_guest_flush(struct kvm_vcpu *vcpu);
void kvm_mmu_invlpg(struct kvm_vcpu *vcpu, u64 gva);
/* Take away the write permission of the pages whose bits are set, bit 0: first. */
void kvm_mmu_write_protect(struct kvm_memslot *slot, const unsigned long *pages, u64 first,
			   u64 count);

/* ---- shadow.c ------------------------------------------------------------ */

int kvm_shadow_init(void);	/* the shrinker, once */
void kvm_shadow_exit(void);
int kvm_shadow_init_vm(struct kvm *kvm);
void kvm_shadow_destroy_vm(struct kvm *kvm);
int kvm_shadow_create_vcpu(struct kvm_vcpu *vcpu);
void kvm_shadow_destroy_vcpu(struct kvm_vcpu *vcpu);
int kvm_shadow_fill_cache(struct kvm_vcpu *vcpu);
void kvm_shadow_reset(struct kvm *kvm);
int kvm_shadow_load(struct kvm_vcpu *vcpu);	/* REQ_MMU_RELOAD; 0 or errno */
void kvm_shadow_map(struct kvm_vcpu *vcpu, struct kvm_memslot *slot, u64 gva,
		    const struct kvm_walk *w, const struct host_page *host, bool write);
/* Vendor code: a #PF of the guest; result as a handler. */
int kvm_handle_shadow_fault(struct kvm_vcpu *vcpu, u64 gva, u32 error_code);
void kvm_shadow_invlpg(struct kvm_vcpu *vcpu, u64 gva);
void kvm_shadow_wrote(struct kvm *kvm, gfn_t gfn);
void kvm_shadow_untrack_all(struct kvm *kvm);
void kvm_shadow_zap(struct kvm_memslot *slot, gfn_t start, gfn_t end);
bool kvm_shadow_age(struct kvm_memslot *slot, gfn_t gfn, gfn_t end, bool clear);
void kvm_shadow_write_protect(struct kvm_memslot *slot, const unsigned long *pages, u64 first,
			      u64 count);

/* ---- walk.c: the guest's own page tables --------------------------------- */

struct kvm_walk {
	gpa_t gpa;
	u32 error_code;		/* of the page fault to be raised */
	u32 granted;		/* ACCESS_*, by all levels together */
	u32 granted_at[6];	/* ... from the root to this level */
	u64 entry[6];		/* by level, accessed and dirty bits included */
	u8 levels, leaf;	/* 0: paging is off */
	u8 pkey;		/* of a user page, whatever CR4.PKE says now */
	bool dirty;		/* the leaf's dirty bit */
};

/*
 * Translate a linear address with the guest's page tables and set accessed and
 * dirty bits. 0: done. 1: a page fault, only error_code is set. -EFAULT: the
 * process has unmapped a page table.
 */
int kvm_walk(struct kvm_vcpu *vcpu, u64 gva, u32 access, struct kvm_walk *w);
/*
 * Go on with a walk that ended at a leaf of level 1 as if it had met this entry
 * there. False: that would be a fault, or would have to set the accessed bit.
 */
bool kvm_walk_neighbour(struct kvm_vcpu *vcpu, struct kvm_walk *w, u64 entry, u32 granted);
int kvm_translate(struct kvm_vcpu *vcpu, u64 gva, u32 access, gpa_t *gpa, u32 *error_code);

/* ---- cpuid.c, msr.c ------------------------------------------------------ */

/* What the processor and the kernel can do; once, when the vendor loads. */
void kvm_host_init(void);
unsigned int kvm_xsave2_size(void);	/* bytes of what KVM_GET_XSAVE2 returns */
int kvm_get_supported_cpuid(struct kvm_cpuid2 __user *user, bool emulated);
/* Takes the entries (kvmalloc'ed). */
int kvm_replace_cpuid(struct kvm_vcpu *vcpu, struct kvm_cpuid_entry2 *entries, int count);
int kvm_set_cpuid2(struct kvm_vcpu *vcpu, const struct kvm_cpuid2 __user *user);
int kvm_get_cpuid2(struct kvm_vcpu *vcpu, struct kvm_cpuid2 __user *user);
/* What the guest's CPUID instruction returns: zeros where its list has nothing. */
void kvm_cpuid(struct kvm_vcpu *vcpu, u32 function, u32 index, struct kvm_cpuid_entry2 *e);
/* Does the guest's CPUID have this feature? X86_FEATURE_* of the kernel. */
bool kvm_guest_has(struct kvm_vcpu *vcpu, unsigned int feature);
/* Derived state after the guest's CPUID or CR4 changed. */
void kvm_update_cpuid(struct kvm_vcpu *vcpu);

int kvm_get_msr_index_list(struct kvm_msr_list __user *user, bool features);
/* 0; 1 or KVM_MSR_UNKNOWN: #GP. host: user space does it, read-only MSRs may be set. */
#define KVM_MSR_UNKNOWN 2
int kvm_get_msr(struct kvm_vcpu *vcpu, u32 index, u64 *value, bool host);
int kvm_set_msr(struct kvm_vcpu *vcpu, u32 index, u64 value, bool host);
int kvm_set_apic_base(struct kvm_vcpu *vcpu, u64 value, bool host);
int kvm_get_feature_msr(u32 index, u64 *value);
void kvm_reset_msrs(struct kvm_vcpu *vcpu);
u64 kvm_guest_tsc(struct kvm_vcpu *vcpu);
u64 kvm_scale_tsc(const struct kvm_vcpu *vcpu, u64 ticks);
bool kvm_valid_tsc_khz(unsigned long khz);
int kvm_set_tsc_khz(struct kvm_vcpu *vcpu, unsigned long khz);
int kvm_tsc_attr(struct kvm_vcpu *vcpu, unsigned int ioctl, const struct kvm_device_attr *attr);

/* ---- msr_exit.c ---------------------------------------------------------- */

/* What the guest's RDMSR or WRMSR does; 1: #GP. Caller holds srcu. */
int kvm_guest_msr(struct kvm_vcpu *vcpu, u32 index, u64 *value, bool write);
int kvm_set_msr_filter(struct kvm *kvm, void *arg);
void kvm_free_msr_filter(struct kvm *kvm);

/* ---- host_work.c --------------------------------------------------------- */

/* Do what the host wants done before the guest goes on; -EINTR on a signal. */
int kvm_host_work(void);

/* ---- stats.c ------------------------------------------------------------- */

void kvm_stats_init(void);
void kvm_stats_exit(void);
void kvm_stats_add_vm(struct kvm *kvm, int fd);
void kvm_stats_remove_vm(struct kvm *kvm);
/* KVM_GET_STATS_FD; vcpu NULL: the VM's sums. */
int kvm_stats_fd(struct kvm *kvm, struct kvm_vcpu *vcpu);
extern struct list_head kvm_vm_list;	/* under kvm_lock */
extern struct mutex kvm_lock;

#endif
