/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libkvm: run a guest on /dev/kvm in five calls, without a device model.
 *
 *	kvm = kvm_init(&callbacks, opaque);
 *	kvm_create(kvm, 128 * 1024 * 1024, &vm_mem);
 *	kvm_load_file(kvm, 0xf0000, "guest.bin");
 *	kvm_run(kvm, 0);
 *	kvm_finalize(kvm);
 *
 * A context (struct kvm_context) is one virtual machine. Functions return 0 or
 * a positive value on success and -errno on failure; kvm_error() then has a
 * sentence that says what failed, why, and what to do. The library never ends
 * the process, prints nothing unless asked to (kvm_show_regs), installs no
 * signal handler and starts no thread.
 *
 * Threads: different contexts are independent. Within a context, memory
 * regions and vCPUs may be added from any thread; calls that name a vCPU must
 * come from one thread at a time for that vCPU, except kvm_stop(). Nothing may
 * run while kvm_finalize() does.
 *
 * The comment above each function is its manual: units, ownership, errors and
 * thread rules beyond these. libkvm(3) is made from them.
 */
#ifndef LIBKVM_H
#define LIBKVM_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <linux/kvm.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header; kvm_library_version() is the library's own. */
#define LIBKVM_VERSION_MAJOR	0
#define LIBKVM_VERSION_MINOR	2

/* The memory map of kvm_create(), in guest-physical bytes. */
#define LIBKVM_LOW_END		0x000a0000UL	/* region 0: from 0 to here */
#define LIBKVM_HIGH_START	0x000c0000UL	/* region 1: from here to the end */
#define LIBKVM_MEMORY_MIN	0x00100000UL
#define LIBKVM_MEMORY_MAX	0xe0000000UL

/*
 * Where a flat 32-bit guest starts, and what kvm_enter_32() and kvm_enter_64()
 * write: a descriptor table (null, 32-bit code 0x08, data 0x10, 64-bit code
 * 0x18), and six page tables that map the first 4 GiB to themselves.
 */
#define LIBKVM_ENTRY_32		0x00100000UL
#define LIBKVM_GDT		0x00000500UL
#define LIBKVM_PAGE_TABLES	0x00001000UL
#define LIBKVM_PAGE_TABLES_END	0x00007000UL

#define LIBKVM_MAX_VCPUS	64
#define LIBKVM_MAX_REGIONS	64

struct kvm_context;

/*
 * What a guest asks of the program that runs it. Every pointer may be NULL. All
 * are called by kvm_run() in its thread, with the opaque pointer of kvm_init().
 *
 * A callback returns 0 to let the guest go on, a positive value to make
 * kvm_run() return that value, or -errno to make it fail with that. In all
 * three cases the guest's instruction is completed: it is not repeated by the
 * next kvm_run(). Callbacks may call any function but kvm_run() for the same
 * vCPU and kvm_finalize().
 */
struct kvm_callbacks {
	/*
	 * The guest reads (writes) size = 1, 2 or 4 bytes from (to) an I/O port. A
	 * string instruction makes one call for each element. *value holds all
	 * ones on entry; NULL: reads give all ones, writes are dropped.
	 */
	int (*io_in)(void *opaque, int vcpu, uint16_t port, int size,
		     uint32_t *value);
	int (*io_out)(void *opaque, int vcpu, uint16_t port, int size,
		      uint32_t value);
	/*
	 * The guest reads (writes) size = 1 to 8 bytes at a guest-physical address
	 * where no memory region is. data holds all ones on entry of a read;
	 * NULL: reads give all ones, writes are dropped.
	 */
	int (*mmio_read)(void *opaque, int vcpu, uint64_t gpa, int size,
			 void *data);
	int (*mmio_write)(void *opaque, int vcpu, uint64_t gpa, int size,
			  const void *data);
	/* The guest executed HLT. NULL: kvm_run() returns 0. */
	int (*halt)(void *opaque, int vcpu);
	/*
	 * The guest can take an interrupt now, as asked for by kvm_inject_irq()
	 * when it returned -EAGAIN. NULL: the guest goes on.
	 */
	int (*irq_window)(void *opaque, int vcpu);
	/* Triple fault. NULL: kvm_run() fails with -ESHUTDOWN. */
	int (*shutdown)(void *opaque, int vcpu);
	/* Guest debugging stopped the guest. NULL: the guest goes on. */
	int (*debug)(void *opaque, int vcpu,
		     const struct kvm_debug_exit_arch *arch);
	/*
	 * Every exit, before the callback made for it; for tracing, and for exit
	 * reasons without a callback of their own. Those make kvm_run() fail with
	 * -ENOTSUP unless this returned a positive value.
	 */
	int (*exit)(void *opaque, int vcpu, struct kvm_run *run);
	/* For later versions; must be NULL. */
	void (*reserved[7])(void);
};

/*
 * kvm_init - open /dev/kvm, check its version and make an empty context
 * @callbacks: copied; the caller keeps its own. NULL means none.
 * @opaque: handed to every callback; the library never looks at it
 *
 * Returns the context, which the caller owns and gives back to kvm_finalize(),
 * or NULL with errno set; kvm_error(NULL) has the sentence.
 * Errors: ENOENT no /dev/kvm; ENODEV a /dev/kvm without a module behind it;
 * EACCES no permission; EPROTO another API version than 12; ENOTSUP a
 * capability is missing; EINVAL a reserved callback is set; ENOMEM.
 */
struct kvm_context *kvm_init(const struct kvm_callbacks *callbacks,
			     void *opaque);

/*
 * kvm_create - make the virtual machine: memory and vCPU 0
 * @kvm: a context without a machine
 * @bytes: size of guest memory, a multiple of 4096 from 1 MiB to 3.5 GiB
 * @vm_mem: receives the address of guest-physical address 0 in this process
 *
 * Maps @bytes of zeroed memory and gives the guest two regions of it, as a PC
 * has them: from 0 to 640 KiB, and from 768 KiB to @bytes. Guest-physical
 * address X is at *@vm_mem + X. The 128 KiB between the two are in the mapping
 * too, but the guest does not see them: it is where a PC has its video memory,
 * and what the guest does there reaches the mmio callbacks. The library owns
 * the memory; it is gone after kvm_finalize().
 *
 * vCPU 0 has the processor features that KVM offers and stands in real mode at
 * f000:fff0 with the code segment's base at 0xf0000: it executes the last 16
 * bytes of the first megabyte, so a 64 KiB image at *@vm_mem + 0xf0000 starts
 * at its own reset vector. (A processor out of reset has the base at
 * 0xffff0000, where a PC decodes the same ROM again and we have nothing.)
 *
 * Returns 0. Errors: -EINVAL a wrong size or pointer; -EEXIST @kvm has its
 * machine; -EBUSY another hypervisor holds the processor; -ENOMEM; and what the
 * ioctls return. After a failure @kvm is as kvm_init() left it.
 */
int kvm_create(struct kvm_context *kvm, unsigned long bytes, void **vm_mem);

/*
 * kvm_create_machine - make the virtual machine, with choices
 * @kvm: a context without a machine
 * @bytes: as for kvm_create()
 * @flags: 0, or LIBKVM_IRQCHIP
 * @vm_mem: as for kvm_create()
 *
 * kvm_create() is this with no flags. LIBKVM_IRQCHIP puts a PC's interrupt
 * controllers and timer into the kernel: two 8259 PICs, an I/O APIC, a local
 * APIC for each vCPU and an 8254. Interrupts then come from kvm_set_irq(),
 * kvm_send_msi() and eventfds; HLT waits for one and no longer ends kvm_run();
 * and a vCPU other than 0 does not start before the guest sends it INIT and
 * SIPI. Returns and errors as kvm_create(), and -EINVAL unknown flags; -ENOTSUP
 * this KVM has no KVM_CAP_IRQCHIP or no KVM_CAP_PIT2.
 */
#define LIBKVM_IRQCHIP	1u
int kvm_create_machine(struct kvm_context *kvm, unsigned long bytes,
		       unsigned int flags, void **vm_mem);

/*
 * kvm_create_vcpu - add a vCPU
 * @kvm: a context with a machine
 * @vcpu: its number, from 1 to LIBKVM_MAX_VCPUS - 1; also its APIC id
 *
 * The new vCPU stands where vCPU 0 stood after kvm_create(); run it from a
 * thread of its own. Returns 0. Errors: -EINVAL, -EEXIST, -ENOMEM and what the
 * ioctls return.
 */
int kvm_create_vcpu(struct kvm_context *kvm, int vcpu);

/*
 * kvm_finalize - destroy the machine and free the context
 * @kvm: no vCPU of it may be running; NULL is allowed and does nothing
 *
 * Closes the descriptors and unmaps the memory that the library mapped.
 */
void kvm_finalize(struct kvm_context *kvm);

/*
 * kvm_run - run a vCPU until something ends the run
 * @kvm: the context
 * @vcpu: the vCPU's number
 *
 * Handles exits by the callbacks. Returns 0 when the guest halted and there is
 * no halt callback, or the positive value that a callback returned. Errors:
 * -EINTR a signal arrived or kvm_stop() was called: call again to go on;
 * -ESHUTDOWN triple fault; -EFAULT KVM could not get at guest memory; -EIO KVM
 * could not emulate an instruction (KVM_EXIT_INTERNAL_ERROR); -ENOEXEC the
 * processor refused the guest's state (KVM_EXIT_FAIL_ENTRY); -ENOTSUP an exit
 * reason that nobody handles; -EINVAL no such vCPU; or what a callback
 * returned. The sentence of kvm_error() has the details, instruction address
 * included.
 */
int kvm_run(struct kvm_context *kvm, int vcpu);

/*
 * kvm_stop - make kvm_run() of a vCPU return -EINTR as soon as it can
 * @kvm: the context
 * @vcpu: the vCPU's number
 *
 * May be called from any thread and from a signal handler. While the guest is
 * executing, the running thread must be woken as well: call this from a handler
 * of a signal sent to that thread, or call this and then send a signal that has
 * a handler. Returns 0, or -EINVAL for a vCPU that does not exist.
 */
int kvm_stop(struct kvm_context *kvm, int vcpu);

/*
 * kvm_show_regs - print the registers of a vCPU to stderr
 * @kvm: the context
 * @vcpu: the vCPU's number
 *
 * Returns 0, or as kvm_get_regs(). kvm_print_regs() prints to any stream.
 */
int kvm_show_regs(struct kvm_context *kvm, int vcpu);
int kvm_print_regs(struct kvm_context *kvm, int vcpu, FILE *stream);

/*
 * kvm_get_regs - read or write a vCPU's registers
 * @kvm: the context
 * @vcpu: the vCPU's number, not running
 * @regs: filled in, or taken from
 *
 * General registers, instruction pointer and flags (regs); segments, control
 * registers, descriptor tables and EFER (sregs); x87 and SSE (fpu). Return 0.
 * Errors: -EINVAL no such vCPU, or values that the processor could not hold.
 */
int kvm_get_regs(struct kvm_context *kvm, int vcpu, struct kvm_regs *regs);
int kvm_set_regs(struct kvm_context *kvm, int vcpu,
		 const struct kvm_regs *regs);
int kvm_get_sregs(struct kvm_context *kvm, int vcpu, struct kvm_sregs *sregs);
int kvm_set_sregs(struct kvm_context *kvm, int vcpu,
		  const struct kvm_sregs *sregs);
int kvm_get_fpu(struct kvm_context *kvm, int vcpu, struct kvm_fpu *fpu);
int kvm_set_fpu(struct kvm_context *kvm, int vcpu, const struct kvm_fpu *fpu);

/*
 * kvm_get_msr - read or write one model-specific register of a vCPU
 * @kvm: the context
 * @vcpu: the vCPU's number, not running
 * @index: the register's number, as in the guest's ECX
 * @value: its 64 bits
 *
 * Return 0. Errors: -EINVAL no such vCPU; -ENXIO KVM does not have that
 * register or does not accept that value.
 */
int kvm_get_msr(struct kvm_context *kvm, int vcpu, uint32_t index,
		uint64_t *value);
int kvm_set_msr(struct kvm_context *kvm, int vcpu, uint32_t index,
		uint64_t value);

/*
 * kvm_set_cpuid - decide what CPUID tells a vCPU
 * @kvm: the context
 * @vcpu: the vCPU's number, not yet run
 * @cpuid: the table; copied by the kernel
 *
 * kvm_create() and kvm_create_vcpu() have set what kvm_get_cpuid() gives:
 * everything that KVM offers, less what needs an interrupt controller in the
 * kernel where there is none. kvm_get_cpuid() returns a table that the caller frees with free(), or
 * NULL with errno set. Returns 0. Errors: -EINVAL no such vCPU, or a table that
 * KVM refuses; -E2BIG a table with too many entries.
 */
int kvm_set_cpuid(struct kvm_context *kvm, int vcpu,
		  const struct kvm_cpuid2 *cpuid);
struct kvm_cpuid2 *kvm_get_cpuid(struct kvm_context *kvm, int vcpu);

/*
 * kvm_inject_irq - deliver an external interrupt
 * @kvm: the context
 * @vcpu: the vCPU's number, not running
 * @vector: 0 to 255
 *
 * For machines without an interrupt controller in the kernel, which is what
 * kvm_create() makes. Returns 0: the guest takes the interrupt when it runs
 * next. Errors: -EAGAIN the guest cannot take it now (interrupts are off, or
 * blocked by the last instruction, or one is queued already); the irq_window
 * callback will be called as soon as it can. -ENXIO the interrupt controllers
 * are in the kernel: use kvm_set_irq(). -EINVAL no such vCPU or vector.
 */
int kvm_inject_irq(struct kvm_context *kvm, int vcpu, int vector);

/*
 * kvm_inject_nmi - deliver a non-maskable interrupt
 * @kvm: the context
 * @vcpu: the vCPU's number, not running
 *
 * Returns 0. Errors: -EINVAL no such vCPU; -ENOTSUP KVM has no KVM_CAP_USER_NMI.
 */
int kvm_inject_nmi(struct kvm_context *kvm, int vcpu);

/*
 * kvm_set_irq - raise or lower a line of the interrupt controllers in the kernel
 * @kvm: a machine with LIBKVM_IRQCHIP
 * @gsi: the line: 0 to 15 reach PIC and I/O APIC, 16 to 23 the I/O APIC alone,
 *	unless kvm_set_irq_routes() said something else
 * @level: 1 to raise, 0 to lower; an edge is one after the other
 *
 * May be called from any thread, while vCPUs run. Returns 0. Errors: -ENXIO the
 * machine has no interrupt controllers in the kernel; -EINVAL no such line.
 */
int kvm_set_irq(struct kvm_context *kvm, unsigned int gsi, int level);

/*
 * kvm_send_msi - send a message-signalled interrupt
 * @kvm: a machine with LIBKVM_IRQCHIP
 * @address: 0xfee00000 and the destination, as in a device's MSI capability
 * @data: vector and delivery mode
 *
 * May be called from any thread, while vCPUs run. Returns 1 when a vCPU got it,
 * 0 when it was blocked. Errors: -ENXIO as kvm_set_irq(); what the ioctl returns.
 */
int kvm_send_msi(struct kvm_context *kvm, uint64_t address, uint32_t data);

/*
 * kvm_set_irq_routes - decide what the lines are connected to
 * @kvm: a machine with LIBKVM_IRQCHIP
 * @routes: pins of the controllers, or MSIs; copied by the kernel
 * @count: how many; 0 disconnects all lines
 *
 * Replaces all routes at once, those that the machine began with included. May
 * be called from any thread, while vCPUs run. Returns 0. Errors: -ENXIO as
 * kvm_set_irq(); -EINVAL a route that KVM refuses (all others are then as they
 * were); -E2BIG more than 4096; -ENOMEM.
 */
int kvm_set_irq_routes(struct kvm_context *kvm,
		       const struct kvm_irq_routing_entry *routes,
		       unsigned int count);

/*
 * kvm_add_irqfd - raise a line by writing to an eventfd
 * @kvm: a machine with LIBKVM_IRQCHIP
 * @fd: an eventfd; the caller's, it may be closed after kvm_remove_irqfd()
 * @gsi: the line; each write is an edge
 * @resample_fd: -1, or an eventfd for a level: a write raises the line, and the
 *	guest's end of interrupt lowers it and signals this one
 *
 * Neither thread nor system call of this program is on the interrupt's way. May
 * be called from any thread. kvm_remove_irqfd() returns when nothing is on its
 * way any more. Return 0. Errors: -ENXIO as kvm_set_irq(); -EBADF, -EINVAL no
 * eventfd, or a line that cannot resample; -EBUSY @fd is connected already.
 */
int kvm_add_irqfd(struct kvm_context *kvm, int fd, unsigned int gsi,
		  int resample_fd);
int kvm_remove_irqfd(struct kvm_context *kvm, int fd, unsigned int gsi);

/*
 * kvm_add_ioeventfd - signal an eventfd when the guest writes to an address
 * @kvm: a context with a machine
 * @fd: an eventfd; the caller's
 * @address: guest-physical address, or a port with KVM_IOEVENTFD_FLAG_PIO
 * @size: of the write in bytes: 1, 2, 4 or 8, or 0 for any
 * @flags: KVM_IOEVENTFD_FLAG_PIO, KVM_IOEVENTFD_FLAG_DATAMATCH, or 0
 * @value: with DATAMATCH, only writes of this value
 *
 * Such a write does not end KVM_RUN and reaches no callback; others to the same
 * address do. kvm_remove_ioeventfd() takes the same arguments. May be called
 * from any thread. Return 0. Errors: -EINVAL wrong flags or size, no machine;
 * -EBADF; -EEXIST the same is there already; -ENOENT nothing to remove; -ENOSPC.
 */
int kvm_add_ioeventfd(struct kvm_context *kvm, int fd, uint64_t address,
		      int size, uint32_t flags, uint64_t value);
int kvm_remove_ioeventfd(struct kvm_context *kvm, int fd, uint64_t address,
			 int size, uint32_t flags, uint64_t value);

/*
 * kvm_single_step - stop after every instruction
 * @kvm: the context
 * @vcpu: the vCPU's number, not running
 * @on: 1 to begin, 0 to end
 *
 * Each instruction ends in the debug callback, which may call this too. Returns
 * 0. Errors: -EINVAL no such vCPU; what KVM_SET_GUEST_DEBUG returns.
 */
int kvm_single_step(struct kvm_context *kvm, int vcpu, int on);

/*
 * kvm_set_breakpoint - stop at an instruction, or at an access to memory
 * @kvm: the context
 * @vcpu: the vCPU's number, not running
 * @number: 0 to 3: one of the processor's debug registers; those that the guest
 *	sets have no effect as long as one of ours is set
 * @kind: LIBKVM_BREAK_EXEC, LIBKVM_BREAK_WRITE or LIBKVM_BREAK_ACCESS
 * @address: linear address; a multiple of @size
 * @size: bytes to watch: 1, 2, 4 or 8; 1 for LIBKVM_BREAK_EXEC
 *
 * The debug callback is called before the instruction at @address, or after the
 * one that made the access; bit @number of its dr6 is set. The guest then goes
 * on without stopping at the same place again at once: the library sets RF, so
 * a callback that writes rflags must keep bit 16. Return 0. Errors: -EINVAL no
 * such vCPU, number, kind or size; what KVM_SET_GUEST_DEBUG returns.
 */
#define LIBKVM_BREAK_EXEC	0
#define LIBKVM_BREAK_WRITE	1
#define LIBKVM_BREAK_ACCESS	3
int kvm_set_breakpoint(struct kvm_context *kvm, int vcpu, int number, int kind,
		       uint64_t address, int size);
int kvm_clear_breakpoint(struct kvm_context *kvm, int vcpu, int number);

/*
 * kvm_enter_16 - put a vCPU in real mode
 * @kvm: the context
 * @vcpu: the vCPU's number, not running
 * @cs: code segment selector; the segment's base is 16 times that
 * @ip: offset in that segment
 *
 * All other registers get the values of a processor out of reset.
 * kvm_create() does this with f000:fff0. Returns 0, or as kvm_set_sregs().
 */
int kvm_enter_16(struct kvm_context *kvm, int vcpu, uint16_t cs, uint16_t ip);

/*
 * kvm_enter_32 - put a vCPU in 32-bit protected mode with flat segments
 * @kvm: the context
 * @vcpu: the vCPU's number, not running
 * @entry: guest-physical address of the first instruction
 *
 * Paging and interrupts are off, every segment spans 4 GiB, the stack pointer
 * is LIBKVM_LOW_END. Writes a descriptor table to LIBKVM_GDT in guest memory,
 * so the guest can load selectors 0x08 (code) and 0x10 (data) before it has a
 * table of its own. Returns 0, or as kvm_set_sregs(); -EFAULT no memory at
 * LIBKVM_GDT.
 */
int kvm_enter_32(struct kvm_context *kvm, int vcpu, uint32_t entry);

/*
 * kvm_enter_64 - put a vCPU in 64-bit mode with the first 4 GiB mapped
 * @kvm: the context
 * @vcpu: the vCPU's number, not running
 * @entry: address of the first instruction, below 4 GiB
 *
 * As kvm_enter_32(), with paging: linear addresses below 4 GiB are physical ones,
 * writable and executable. Writes page tables to LIBKVM_PAGE_TABLES in guest
 * memory. Returns 0, or as kvm_enter_32().
 */
int kvm_enter_64(struct kvm_context *kvm, int vcpu, uint64_t entry);

/*
 * kvm_load_file - read a file into guest memory
 * @kvm: the context
 * @gpa: guest-physical address of the first byte
 * @path: a regular file
 *
 * Returns the number of bytes read. Errors: -ENOENT, -EACCES and the like from
 * the file system; -EINVAL not a regular file, or an empty one; -EFBIG the file
 * does not fit into the memory region at @gpa (nothing is written then);
 * -EFAULT no memory at @gpa.
 */
long kvm_load_file(struct kvm_context *kvm, uint64_t gpa, const char *path);

/*
 * kvm_add_memory - add a region of guest memory
 * @kvm: a context with a machine
 * @gpa: guest-physical address, a multiple of 4096, overlapping no region
 * @bytes: its size, a multiple of 4096
 * @flags: 0, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY (where KVM can)
 * @host: *@host NULL: the library maps zeroed memory, owns it and stores its
 *	address there. Otherwise the caller's memory at *@host, aligned to 4096,
 *	which must stay mapped until the region is removed.
 *
 * Returns the region's number. Errors: -EINVAL misaligned or empty; -EEXIST
 * overlaps another region; -ENOSPC too many regions; -ENOMEM.
 */
int kvm_add_memory(struct kvm_context *kvm, uint64_t gpa, uint64_t bytes,
		   uint32_t flags, void **host);

/*
 * kvm_move_memory - give a region another guest-physical address
 * @kvm: the context
 * @region: its number
 * @gpa: the new address, a multiple of 4096
 *
 * The content stays. Returns 0. Errors: -ENOENT no such region; -EINVAL
 * misaligned; -EEXIST overlaps another region.
 */
int kvm_move_memory(struct kvm_context *kvm, int region, uint64_t gpa);

/*
 * kvm_remove_memory - take a region away from the guest
 * @kvm: the context
 * @region: its number
 *
 * Unmaps it from this process too if the library mapped it, unless it is part
 * of what kvm_create() mapped. Returns 0. Errors: -ENOENT no such region.
 */
int kvm_remove_memory(struct kvm_context *kvm, int region);

/*
 * kvm_set_memory_flags - start or stop a region's dirty log, or protect it
 * @kvm: the context
 * @region: its number; 0 and 1 are those of kvm_create()
 * @flags: as for kvm_add_memory(); those that it had are replaced
 *
 * May be called while vCPUs run: a write is either in the log or was made before.
 * Returns 0. Errors: -ENOENT no such region; -EINVAL KVM refuses the flags, or
 * the change of KVM_MEM_READONLY.
 */
int kvm_set_memory_flags(struct kvm_context *kvm, int region, uint32_t flags);

/*
 * kvm_get_dirty_log - which pages of a region were written to, and forget it
 * @kvm: the context
 * @region: its number; it must have KVM_MEM_LOG_DIRTY_PAGES
 * @bitmap: one bit for each page, the lowest bit of the first byte first
 * @bytes: size of @bitmap; at least one bit for each page, rounded up to 8 bytes
 *
 * Returns 0. Errors: -ENOENT no such region or it has no log; -EINVAL @bitmap
 * is too small.
 */
int kvm_get_dirty_log(struct kvm_context *kvm, int region, void *bitmap,
		      size_t bytes);

/*
 * kvm_guest_memory - the address in this process of guest memory
 * @kvm: the context
 * @gpa: guest-physical address
 * @bytes: how many bytes from there must be in one region
 *
 * Returns NULL when they are not.
 */
void *kvm_guest_memory(struct kvm_context *kvm, uint64_t gpa, uint64_t bytes);

/*
 * kvm_check_extension - ask KVM for a capability
 * @kvm: the context
 * @capability: a KVM_CAP_ number of <linux/kvm.h>
 *
 * Returns what KVM_CHECK_EXTENSION gives for the machine, or for the system
 * before kvm_create(): 0 for no, a positive value for yes.
 */
int kvm_check_extension(struct kvm_context *kvm, int capability);

/*
 * kvm_system_fd - the descriptors and the shared page behind a context
 * @kvm: the context
 * @vcpu: the vCPU's number
 *
 * For ioctls that the library has no function for. They stay the library's: do
 * not close or unmap them. Return -EINVAL or NULL for what does not exist.
 */
int kvm_system_fd(struct kvm_context *kvm);
int kvm_vm_fd(struct kvm_context *kvm);
int kvm_vcpu_fd(struct kvm_context *kvm, int vcpu);
struct kvm_run *kvm_run_page(struct kvm_context *kvm, int vcpu);

/*
 * kvm_exit_name - the name of a KVM_EXIT_ reason, such as "HLT"
 * @reason: exit_reason of struct kvm_run
 *
 * Returns a constant string, "?" for a reason that this version does not know.
 */
const char *kvm_exit_name(uint32_t reason);

/*
 * kvm_error - the sentence for the last failure in this thread
 * @kvm: the context, or NULL after a failed kvm_init()
 *
 * Returns a string that is never NULL and stays valid until the next failure
 * in the same thread; empty when nothing has failed.
 */
const char *kvm_error(struct kvm_context *kvm);

/*
 * kvm_library_version - the library's version, such as "0.2"
 */
const char *kvm_library_version(void);

#ifdef __cplusplus
}
#endif

#endif /* LIBKVM_H */
