/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kvm-detect: evidence, verdict, output.
 *
 * sources.c collects facts about the machine into struct evidence and keeps a
 * readable line for each; verdict.c turns the facts into a verdict and never
 * looks at the machine; texts.c has the words; main.c prints. Every fact is read
 * through a root directory, so that a test can put a made-up machine there.
 */
#ifndef DETECT_H
#define DETECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum verdict {
	READY,
	ERROR,		/* the question could not be answered */
	NO_VT,
	FIRMWARE_OFF,
	NESTED_OFF,
	MODULE_NOT_LOADED,
	NO_PERMISSION,
	BUSY,
};

enum vendor { VENDOR_OTHER, VENDOR_INTEL, VENDOR_AMD };
enum extension { EXT_NONE, EXT_VMX, EXT_SVM };

struct msr {
	bool read;
	int error;		/* errno when it was not */
	uint64_t value;
};

#define LINES_MAX	32

struct evidence {
	enum vendor vendor;
	enum extension extension;	/* what the processor has or would have */
	char vendor_id[13];
	bool raw;			/* CPUID has the extension */
	bool hypervisor;		/* CPUID says: this is a virtual machine */
	char hypervisor_id[13];
	bool emulated;			/* by QEMU's TCG: no processor is behind it */

	bool cpuinfo;			/* could be read */
	bool flag;			/* and has the extension's flag */
	bool flag_hidden;		/* clearcpuid= on the kernel command line */

	struct msr feat_ctl;		/* Intel */
	struct msr vm_cr;		/* AMD */

	bool kvm_module, vendor_module;
	bool xen_host;			/* Linux runs on Xen and controls it */
	const char *other_hypervisor;	/* a module of another one */

	char maker[64];			/* who made machine or board, by DMI */
	bool device_there;
	char device_group[64];
	int open_error;			/* errno of opening /dev/kvm, 0 is fine */
	int api_version;
	int create_error;		/* errno of KVM_CREATE_VM, 0 is fine */
	int modprobe_error;		/* what --load met: EBUSY, or 1 for others */
	char modprobe_text[256];

	struct { char source[48]; char value[200]; } lines[LINES_MAX];
	int nlines;
};

/* @root: "" for this machine, or the directory with a test's machine. */
void collect(struct evidence *e, const char *root);

/* Runs modprobe for the vendor's module and keeps what it said in @e. */
void load_module(struct evidence *e, const char *root);

enum verdict judge(const struct evidence *e);
const char *verdict_name(enum verdict v);

/* Why the verdict, and what to do; into @text of @size bytes. */
void explain(const struct evidence *e, enum verdict v, char *text, int size);
void advise(const struct evidence *e, enum verdict v, char *text, int size);

/* "kvm_intel", "kvm_amd" or NULL. */
const char *module_name(const struct evidence *e);
const char *extension_name(const struct evidence *e);

#define FEAT_CTL_LOCKED		0x1
#define FEAT_CTL_VMX		0x4	/* outside SMX */
#define VM_CR_LOCK		0x8
#define VM_CR_SVMDIS		0x10

#endif /* DETECT_H */
