// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The words for each verdict: why, and what to do. Whoever reads them stands in
 * front of a machine that does not work, so they name keys, menus and commands,
 * for this maker and this outer hypervisor where we know them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "detect.h"

/* How firmware set-up is reached, and where the setting is, by DMI vendor. */
static const struct maker {
	const char *name, *key, *intel, *amd;
} makers[] = {
	{ "Dell", "F2",
	  "Virtualization Support > Virtualization > Enable Intel Virtualization Technology (VT-x)",
	  "Virtualization Support > AMD-V Technology" },
	{ "HP", "F10 (Esc first on notebooks)",
	  "Security (or Advanced) > System Options > Virtualization Technology (VTx)",
	  "Security (or Advanced) > System Options > SVM CPU Virtualization" },
	{ "Hewlett", "F10, or F9 on ProLiant",
	  "System Options > Virtualization Technology (ProLiant: Processor Options > Intel Virtualization Technology)",
	  "System Options > SVM CPU Virtualization (ProLiant: Processor Options > AMD Virtualization Technology)" },
	{ "LENOVO", "F1, Enter, or the Novo button",
	  "Security > Virtualization > Intel Virtualization Technology (desktops: Advanced > CPU Setup)",
	  "Security > Virtualization > AMD-V Technology (desktops: Advanced > CPU Setup > SVM)" },
	{ "ASUS", "Del or F2, then F7 for Advanced Mode",
	  "Advanced > CPU Configuration > Intel (VMX) Virtualization Technology",
	  "Advanced > CPU Configuration > SVM Mode" },
	{ "Gigabyte", "Del",
	  "Tweaker > Advanced CPU Settings > VT-x (older: BIOS Features > Intel Virtualization Technology)",
	  "Tweaker > Advanced CPU Settings > SVM Mode" },
	{ "Micro-Star", "Del, then F7 for Advanced Mode",
	  "OC > CPU Features > Intel Virtualization Tech",
	  "OC > Advanced CPU Configuration > SVM Mode" },
	{ "ASRock", "F2 or Del",
	  "Advanced > CPU Configuration > Intel Virtualization Technology",
	  "Advanced > CPU Configuration > SVM Mode" },
	{ "Acer", "F2",
	  "Main (or Advanced) > Intel VTX; set a supervisor password first if it is grey",
	  "Main (or Advanced) > SVM Mode; set a supervisor password first if it is grey" },
	{ "Supermicro", "Del",
	  "Advanced > CPU Configuration > Intel Virtualization Technology",
	  "Advanced > CPU Configuration > SVM Mode" },
	{ "Intel", "F2",
	  "Security > Security Features > Intel Virtualization Technology",
	  NULL },
	{ "FUJITSU", "F2",
	  "Advanced > CPU Configuration > Intel Virtualization Technology",
	  "Advanced > CPU Configuration > SVM Mode" },
	{ "TOSHIBA", "F2",
	  "Advanced (or System Configuration) > Virtualization Technology", NULL },
	{ "Apple", NULL, NULL, NULL },
};

/* How an outer hypervisor is told to pass the extension on, by CPUID name. */
static const struct outer {
	const char *id, *name, *fix;
} outers[] = {
	{ "KVMKVMKVM", "KVM",
	  "On the host: check that /sys/module/kvm_intel/parameters/nested (or kvm_amd) "
	  "says Y or 1, else load the module with nested=1. Then give this guest the "
	  "host's processor: in libvirt <cpu mode='host-passthrough'/>, in virt-manager "
	  "CPUs > Copy host CPU configuration, in QEMU -cpu host, in Proxmox type host. "
	  "In a cloud, choose an instance type with nested virtualization or bare metal." },
	{ "VMwareVMware", "VMware",
	  "Power this guest off; in its settings, Processors, tick \"Virtualize Intel "
	  "VT-x/EPT or AMD-V/RVI\" (ESXi: \"Expose hardware assisted virtualization to "
	  "the guest OS\"), or add vhv.enable = \"TRUE\" to its .vmx file." },
	{ "VBoxVBoxVBox", "VirtualBox",
	  "Power this guest off; in its settings, System > Processor, tick \"Enable "
	  "Nested VT-x/AMD-V\", or run on the host: VBoxManage modifyvm NAME "
	  "--nested-hw-virt on" },
	{ "Microsoft Hv", "Hyper-V",
	  "Power this guest off and run on the host, as administrator in PowerShell: "
	  "Set-VMProcessor -VMName NAME -ExposeVirtualizationExtensions $true. In Azure, "
	  "choose a size that supports nested virtualization (Dv3, Ev3 and later) "
	  "with security type Standard." },
	{ "XenVMMXenVMM", "Xen",
	  "Set nestedhvm=1 in this guest's configuration (an HVM guest with hap=1) and "
	  "restart it. Xen calls this experimental." },
	{ "prl hyperv", "Parallels",
	  "Power this guest off; Configure > Hardware > CPU & Memory > Advanced, tick "
	  "\"Enable nested virtualization\"." },
	{ "bhyve bhyve", "bhyve",
	  "bhyve has no nested virtualization: use another machine." },
};

static const struct maker *find_maker(const struct evidence *e)
{
	for (size_t i = 0; i < sizeof(makers) / sizeof(makers[0]); i++)
		if (strcasestr(e->maker, makers[i].name))
			return &makers[i];
	return NULL;
}

static const struct outer *find_outer(const struct evidence *e)
{
	for (size_t i = 0; i < sizeof(outers) / sizeof(outers[0]); i++)
		if (!strncmp(e->hypervisor_id, outers[i].id, strlen(outers[i].id)))
			return &outers[i];
	return NULL;
}

/* "Intel VT-x (vmx)". */
static const char *technology(const struct evidence *e)
{
	switch (e->extension) {
	case EXT_VMX:	return "Intel VT-x (vmx)";
	case EXT_SVM:	return "AMD-V (svm)";
	default:	return "hardware virtualization";
	}
}

static void explain_firmware(const struct evidence *e, char *text, int size)
{
	if (e->feat_ctl.read)
		snprintf(text, size, "The processor has %s, but firmware switched it off and "
			 "locked the switch (IA32_FEAT_CTL = 0x%llx).", technology(e),
			 (unsigned long long)e->feat_ctl.value);
	else if (e->vm_cr.read)
		snprintf(text, size, "The processor has %s, but firmware switched it off "
			 "(VM_CR = 0x%llx, SVMDIS set).", technology(e),
			 (unsigned long long)e->vm_cr.value);
	else
		snprintf(text, size, "The processor has %s, but the kernel hides it, which it "
			 "does when firmware switched it off. (The register that proves it "
			 "could not be read: see the evidence.)", technology(e));
}

static void explain_nested(const struct evidence *e, char *text, int size)
{
	const struct outer *outer = find_outer(e);

	snprintf(text, size, "This is itself a virtual machine, run by %s, and it %s. "
		 "Nested virtualization has to be switched on outside.",
		 outer ? outer->name : *e->hypervisor_id ? e->hypervisor_id :
		 "a hypervisor that does not tell its name",
		 e->raw ? "shows the processor's virtualization but has it switched off" :
		 "does not pass the processor's virtualization on");
}

static void explain_module(const struct evidence *e, char *text, int size)
{
	if (e->cpuinfo && !e->flag)
		snprintf(text, size, "The processor has %s and firmware allows it, but the "
			 "kernel was told to hide it%s, so %s cannot load.", technology(e),
			 e->flag_hidden ? " (clearcpuid= among its boot options)" : "",
			 module_name(e));
	else if (e->modprobe_error)
		snprintf(text, size, "The kernel module %s could not be loaded: %s",
			 module_name(e), *e->modprobe_text ? e->modprobe_text :
			 "modprobe failed and gave no reason.");
	else
		snprintf(text, size, "The processor can, but the kernel module %s is not "
			 "loaded.", module_name(e));
}

static void explain_busy(const struct evidence *e, char *text, int size)
{
	if (e->xen_host)
		snprintf(text, size, "This Linux is the host system of Xen: Xen holds the "
			 "processor's virtualization, and KVM cannot work under it.");
	else
		snprintf(text, size, "Another hypervisor%s%s%s holds the processor's "
			 "virtualization (%s: device or resource busy).",
			 e->other_hypervisor ? " (" : "",
			 e->other_hypervisor ? e->other_hypervisor : "",
			 e->other_hypervisor ? ")" : "",
			 e->create_error ? "KVM_CREATE_VM" : "modprobe");
}

static void explain_error(const struct evidence *e, char *text, int size)
{
	if (e->open_error)
		snprintf(text, size, "/dev/kvm cannot be opened: %s.",
			 strerror(e->open_error));
	else if (e->api_version != 12)
		snprintf(text, size, "/dev/kvm speaks version %d of the KVM API instead of "
			 "12.", e->api_version);
	else
		snprintf(text, size, "All that KVM needs is there, but KVM_CREATE_VM fails: "
			 "%s.", strerror(e->create_error));
}

void explain(const struct evidence *e, enum verdict v, char *text, int size)
{
	switch (v) {
	case READY:
		snprintf(text, size, "%s works and /dev/kvm can be used%s.", technology(e),
			 e->hypervisor ? " (nested, in a virtual machine)" : "");
		break;
	case NO_VT:
		if (e->emulated)
			snprintf(text, size, "This processor (%s) is emulated by QEMU (TCG), and "
				 "QEMU was started with a model that has no hardware "
				 "virtualization: CPUID shows neither vmx nor svm.",
				 e->vendor_id);
		else
			snprintf(text, size, "This processor (%s) has no hardware "
				 "virtualization: CPUID shows neither vmx nor svm.",
				 e->vendor_id);
		break;
	case FIRMWARE_OFF:
		explain_firmware(e, text, size);
		break;
	case NESTED_OFF:
		explain_nested(e, text, size);
		break;
	case MODULE_NOT_LOADED:
		explain_module(e, text, size);
		break;
	case NO_PERMISSION:
		if (e->open_error == ENOENT)
			snprintf(text, size, "KVM works on this machine, but there is no "
				 "/dev/kvm here: this is a container or chroot with a /dev of "
				 "its own.");
		else
			snprintf(text, size, "KVM works on this machine, but this user may not "
				 "open /dev/kvm.");
		break;
	case BUSY:
		explain_busy(e, text, size);
		break;
	case ERROR:
		explain_error(e, text, size);
		break;
	}
}

static void advise_firmware(const struct evidence *e, char *text, int size)
{
	const struct maker *m = find_maker(e);
	const char *menu = m ? e->extension == EXT_SVM ? m->amd : m->intel : NULL;

	if (m && !m->key) {
		snprintf(text, size, "Apple machines switch it on by starting macOS once: boot "
			 "macOS (or reset the PRAM), restart into Linux.");
		return;
	}
	if (menu)
		snprintf(text, size, "Restart, press %s to enter the firmware set-up, and switch "
			 "on: %s. ", m->key, menu);
	else
		snprintf(text, size, "Restart, enter the firmware set-up (Del, F2, F10 or F1 right "
			 "after power-on) and switch on \"%s\", under Advanced, CPU "
			 "Configuration, Security or Overclocking. ",
			 e->extension == EXT_SVM ?
			 "SVM Mode\", \"AMD-V\" or \"Virtualization" :
			 "Intel Virtualization Technology\", \"VT-x\", \"VMX\" or \"Vanderpool");
	snprintf(text + strlen(text), size - strlen(text),
		 "Save, then power the machine off for ten seconds: a warm restart can keep the "
		 "old setting.%s", e->extension == EXT_VMX ?
		 " If it is on already: switch Trusted Execution (TXT) off, or boot a kernel "
		 "with KVM_INTEL, since one without it locks VT-x." : "");
}

static void advise_nested(const struct evidence *e, char *text, int size)
{
	const struct outer *outer = find_outer(e);

	if (strstr(e->maker, "Amazon"))
		snprintf(text, size, "Amazon EC2: use a bare metal instance type (its name ends "
			 "in .metal) or one that offers nested virtualization.");
	else if (strstr(e->maker, "Google"))
		snprintf(text, size, "Google Cloud: stop the instance and run gcloud compute "
			 "instances update NAME with enableNestedVirtualization: true in its "
			 "advancedMachineFeatures (Intel machine types, not E2).");
	else if (outer)
		snprintf(text, size, "%s", outer->fix);
	else
		snprintf(text, size, "Switch nested virtualization on for this guest in the outer "
			 "hypervisor, or give the guest the host's own processor model, and "
			 "power the guest off and on.");
}

static void advise_module(const struct evidence *e, char *text, int size)
{
	if (e->cpuinfo && !e->flag)
		snprintf(text, size, "Remove %s from the kernel's boot options (/etc/default/grub, "
			 "then update-grub) and restart.", e->flag_hidden ? "clearcpuid=" :
			 "what hides the flag");
	else if (e->modprobe_error)
		snprintf(text, size, "Look at the end of dmesg for the module's own words. If the "
			 "module is not found, install the kernel's package with it, or "
			 "kvm-module-dkms with the kernel's headers.");
	else
		snprintf(text, size, "Run as root: kvm-detect --load (or: modprobe %s). To have it "
			 "at every boot, install kvm-tools.", module_name(e));
}

static void advise_permission(const struct evidence *e, char *text, int size)
{
	struct passwd *user = getpwuid(getuid());
	const char *group = *e->device_group && strcmp(e->device_group, "root") ?
		e->device_group : "kvm";

	if (e->open_error == ENOENT)
		snprintf(text, size, "Give the container the device (docker run --device "
			 "/dev/kvm; lxc.mount.entry = /dev/kvm) or mount the host's /dev into "
			 "the chroot. On a host: udevadm trigger /dev/kvm.");
	else
		snprintf(text, size, "Run as root: adduser %s %s. Then log out and in again. "
			 "(Check with: id.) If the group of /dev/kvm is root, run: udevadm "
			 "trigger --name-match=kvm.", user ? user->pw_name : "USER", group);
}

void advise(const struct evidence *e, enum verdict v, char *text, int size)
{
	*text = 0;
	switch (v) {
	case READY:
		break;
	case NO_VT:
		if (e->emulated)
			snprintf(text, size, "To try guests in the emulation, start QEMU with "
				 "-cpu EPYC,+svm,+npt (TCG emulates svm, not vmx). For speed, "
				 "start it with -accel kvm -cpu host, on a host whose KVM has "
				 "nested virtualization on.");
		else
			snprintf(text, size, "Use a machine whose processor has Intel VT-x or "
				 "AMD-V: nearly every PC made after 2010. On this one guests "
				 "run only by slow emulation (QEMU's -accel tcg).");
		break;
	case FIRMWARE_OFF:
		advise_firmware(e, text, size);
		break;
	case NESTED_OFF:
		advise_nested(e, text, size);
		break;
	case MODULE_NOT_LOADED:
		advise_module(e, text, size);
		break;
	case NO_PERMISSION:
		advise_permission(e, text, size);
		break;
	case BUSY:
		if (e->xen_host)
			snprintf(text, size, "Boot this system without Xen: choose the plain Linux "
				 "entry in the boot menu.");
		else if (e->other_hypervisor && !strcmp(e->other_hypervisor, "VMware"))
			snprintf(text, size, "Power VMware's machines off, then run as root: "
				 "/etc/init.d/vmware stop.");
		else
			snprintf(text, size, "Power the other hypervisor's machines off and unload its "
				 "module; for VirtualBox run as root: rmmod vboxnetadp vboxnetflt "
				 "vboxdrv.");
		break;
	case ERROR:
		snprintf(text, size, "Look at the end of dmesg for the module's own words, and "
			 "report it with this output.");
		break;
	}
}
