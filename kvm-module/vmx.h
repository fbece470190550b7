/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vmx.h: what vmx.c and vmx_entry.S share, the VMCS accessors, and the few
 * names that the kernel's asm/vmx.h lacks.
 */
#ifndef KVM_LIVE_VMX_H
#define KVM_LIVE_VMX_H

/*
 * struct vmx_switch, as vmx_entry.S sees it. vmx.c asserts the offsets.
 */
#define SWITCH_REGS		0
#define SWITCH_HOST_RSP		8
#define SWITCH_GUEST_SPEC	16
#define SWITCH_HOST_SPEC	24
#define SWITCH_FLAGS		32

#define SWITCH_LAUNCHED_BIT	0
#define SWITCH_LAUNCHED		(1 << 0)	/* VMRESUME, not VMLAUNCH */
#define SWITCH_LOAD_SPEC	(1 << 1)	/* SPEC_CTRL differs from ours */
#define SWITCH_SAVE_SPEC	(1 << 2)	/* the guest writes it itself */
#define SWITCH_RESTORE_SPEC	(1 << 3)	/* write ours after the exit */

#define VMCS_HOST_RSP		0x6c14

#ifndef __ASSEMBLY__

#include <linux/printk.h>
#include <linux/types.h>
#include <asm/asm.h>
#include <asm/vmx.h>

#include "kvm.h"

struct vmx_switch {
	u64 *regs;		/* kvm_vcpu.regs */
	u64 host_rsp;		/* what the VMCS has */
	u64 guest_spec;
	u64 host_spec;
	u32 flags;
};

/* The head of the region that VMXON and VMPTRLD take: SDM 3C 25.2. */
struct vmcs {
	u32 revision;
};

/* 0: the guest ran and exited. 1: VMLAUNCH or VMRESUME failed. */
int vmx_enter_guest(struct vmx_switch *sw);
/* Where VM exits arrive; not to be called. */
void vmx_exit_point(void);
/* Run the host's NMI handler as if the NMI had just come. */
void vmx_host_nmi(void);

/*
 * VMX instructions fault (#UD) when an emergency has taken this processor out
 * of VMX operation. The fixups let the caller run on into that emergency
 * instead of adding an oops to it.
 */
static __always_inline u64 vmcs_read(unsigned long field)
{
	u64 value = 0;

	asm volatile("1:	vmread %[field], %[value]\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : [value] "+r" (value) : [field] "r" (field) : "cc");
	return value;
}

static __always_inline void vmcs_write(unsigned long field, u64 value)
{
	asm goto("1:	vmwrite %[value], %[field]\n"
		 "	jbe %l[failed]\n"
		 _ASM_EXTABLE(1b, %l[gone])
		 : : [field] "r" (field), [value] "rm" (value)
		 : "cc" : failed, gone);
	return;
failed:
	pr_err_ratelimited("kvm-live: VMWRITE of %#llx to field %#lx failed\n", value, field);
gone:
	return;
}

static __always_inline void vmcs_assign_bits(unsigned long field, u32 bits, bool on)
{
	u64 others = vmcs_read(field) & ~(u64)bits;

	vmcs_write(field, on ? others | bits : others);
}

/* VMCLEAR, VMPTRLD, VMXON: 0 or -EIO. */
#define VMX_PA_INSTRUCTION(name, insn)					\
static __always_inline int name(u64 pa)					\
{									\
	asm goto("1:	" insn " %[pa]\n"				\
		 "	jbe %l[failed]\n"				\
		 _ASM_EXTABLE(1b, %l[failed])				\
		 : : [pa] "m" (pa) : "cc", "memory" : failed);		\
	return 0;							\
failed:									\
	return -EIO;							\
}

VMX_PA_INSTRUCTION(vmx_clear, "vmclear")
VMX_PA_INSTRUCTION(vmx_load, "vmptrld")
VMX_PA_INSTRUCTION(vmx_on, "vmxon")

static __always_inline void vmx_off(void)
{
	asm volatile("1:	vmxoff\n"
		     "2:\n"
		     _ASM_EXTABLE(1b, 2b)
		     : : : "cc", "memory");
}

/* INVEPT of a pointer, INVVPID of an identifier. */
#define VMX_FLUSH_INSTRUCTION(name, insn)				\
static __always_inline void name(unsigned long type, u64 what)		\
{									\
	u64 operand[2] = { what, 0 };					\
									\
	asm volatile("1:	" insn " %[operand], %[type]\n"		\
		     "2:\n"						\
		     _ASM_EXTABLE(1b, 2b)				\
		     : : [operand] "m" (operand), [type] "r" (type)	\
		     : "cc", "memory");					\
}

VMX_FLUSH_INSTRUCTION(vmx_invept, "invept")
VMX_FLUSH_INSTRUCTION(vmx_invvpid, "invvpid")

#endif /* __ASSEMBLY__ */
#endif
