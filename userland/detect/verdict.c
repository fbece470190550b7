// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * From facts to a verdict. The order is that of the layers: what the processor
 * has, what firmware or an outer hypervisor lets through, what the kernel has
 * loaded, what this user may do, what is left when another hypervisor is at work.
 * The first layer that is missing is the verdict.
 */
#include <errno.h>
#include <stddef.h>

#include "detect.h"

const char *verdict_name(enum verdict v)
{
	static const char *const names[] = {
		[READY] = "ready",
		[ERROR] = "error",
		[NO_VT] = "no-vt",
		[FIRMWARE_OFF] = "firmware-off",
		[NESTED_OFF] = "nested-off",
		[MODULE_NOT_LOADED] = "module-not-loaded",
		[NO_PERMISSION] = "no-permission",
		[BUSY] = "busy",
	};

	return names[v];
}

const char *module_name(const struct evidence *e)
{
	switch (e->extension) {
	case EXT_VMX:	return "kvm_intel";
	case EXT_SVM:	return "kvm_amd";
	default:	return NULL;
	}
}

const char *extension_name(const struct evidence *e)
{
	switch (e->extension) {
	case EXT_VMX:	return "vmx";
	case EXT_SVM:	return "svm";
	default:	return NULL;
	}
}

/* The registers by which firmware switches the extension off, SDM 3C 24.7 and
 * APM 2 15.30.1. False when they could not be read. */
static bool registers_say_off(const struct evidence *e)
{
	if (e->feat_ctl.read)
		return (e->feat_ctl.value & (FEAT_CTL_LOCKED | FEAT_CTL_VMX)) ==
			FEAT_CTL_LOCKED;
	if (e->vm_cr.read)
		return e->vm_cr.value & VM_CR_SVMDIS;
	return false;
}

static bool registers_say_on(const struct evidence *e)
{
	return (e->feat_ctl.read || e->vm_cr.read) && !registers_say_off(e);
}

static enum verdict judge_processor(const struct evidence *e)
{
	if (e->xen_host)
		return BUSY;
	/* An emulator keeps nothing back: its model is all there is. */
	if (!e->raw)
		return e->hypervisor && !e->emulated ? NESTED_OFF : NO_VT;
	if (registers_say_off(e))
		return e->hypervisor ? NESTED_OFF : FIRMWARE_OFF;
	/*
	 * The kernel clears its flag for what firmware switched off. When the
	 * register denies that, somebody told the kernel to: no module loads.
	 */
	if (e->cpuinfo && !e->flag) {
		if (e->flag_hidden || registers_say_on(e))
			return MODULE_NOT_LOADED;
		return e->hypervisor ? NESTED_OFF : FIRMWARE_OFF;
	}
	return READY;
}

static enum verdict judge_device(const struct evidence *e)
{
	if (e->modprobe_error == EBUSY)
		return BUSY;
	/* A module built into the kernel may not show in /sys/module. */
	if (!e->vendor_module &&
	    !(e->kvm_module && e->device_there && !e->open_error))
		return MODULE_NOT_LOADED;
	switch (e->open_error) {
	case 0:
		break;
	case EACCES:
	case EPERM:
	case ENOENT:		/* loaded, but this /dev does not have it */
		return NO_PERMISSION;
	case ENODEV:
	case ENXIO:
		return MODULE_NOT_LOADED;
	default:
		return ERROR;
	}
	if (e->api_version != 12)
		return ERROR;
	if (e->create_error == EBUSY)
		return BUSY;
	return e->create_error ? ERROR : READY;
}

enum verdict judge(const struct evidence *e)
{
	enum verdict v = judge_processor(e);

	return v == READY ? judge_device(e) : v;
}
