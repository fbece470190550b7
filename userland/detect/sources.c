// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where the evidence comes from. Each source is a row of the table at the end
 * and adds at least one line, also when it could not look: a verdict must not
 * rest on a silence.
 *
 * With a test's root R, files are those below R; the CPUID instruction is
 * replaced by R/cpuid (lines "LEAF SUBLEAF EAX EBX ECX EDX", hexadecimal), the
 * ioctls of /dev/kvm by R/kvm (lines "open ERRNO", "version N", "create
 * ERRNO", decimal), and modprobe by R/modprobe.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "detect.h"

#define MSR_FEAT_CTL	0x3a
#define MSR_VM_CR	0xc0010114

struct regs {
	uint32_t eax, ebx, ecx, edx;
};

__attribute__((format(printf, 3, 4)))
static void line(struct evidence *e, const char *source, const char *format, ...)
{
	va_list args;

	if (e->nlines == LINES_MAX)
		return;
	snprintf(e->lines[e->nlines].source, sizeof(e->lines[0].source), "%s",
		 source);
	va_start(args, format);
	vsnprintf(e->lines[e->nlines].value, sizeof(e->lines[0].value), format,
		  args);
	va_end(args);
	e->nlines++;
}

static const char *in_root(const char *root, const char *path)
{
	static char full[4096];

	snprintf(full, sizeof(full), "%s%s", root, path);
	return full;
}

static bool there(const char *root, const char *path)
{
	return access(in_root(root, path), F_OK) == 0;
}

/* The first line of a file without its newline; false when there is none. */
static bool first_line(const char *root, const char *path, char *text, int size)
{
	FILE *f = fopen(in_root(root, path), "re");
	bool good;

	if (!f)
		return false;
	good = fgets(text, size, f);
	fclose(f);
	if (good)
		text[strcspn(text, "\n")] = 0;
	return good;
}

static bool cpuid_from_file(const char *root, uint32_t leaf, struct regs *r)
{
	FILE *f = fopen(in_root(root, "/cpuid"), "re");
	uint32_t l, sub;
	bool found = false;

	if (!f)
		return false;
	while (!found && fscanf(f, "%x %x %x %x %x %x", &l, &sub, &r->eax, &r->ebx,
				&r->ecx, &r->edx) == 6)
		found = l == leaf && sub == 0;
	fclose(f);
	return found;
}

static struct regs cpuid(const char *root, uint32_t leaf)
{
	struct regs r = { 0 };

	if (!*root)
		__cpuid_count(leaf, 0, r.eax, r.ebx, r.ecx, r.edx);
	else if (!cpuid_from_file(root, leaf, &r))
		memset(&r, 0, sizeof(r));
	return r;
}

static void signature(char *id, uint32_t a, uint32_t b, uint32_t c)
{
	memcpy(id, &a, 4);
	memcpy(id + 4, &b, 4);
	memcpy(id + 8, &c, 4);
	id[12] = 0;
}

static void from_cpuid(struct evidence *e, const char *root)
{
	static const struct {
		const char *id;
		enum vendor vendor;
		enum extension extension;
	} vendors[] = {
		{ "GenuineIntel", VENDOR_INTEL, EXT_VMX },
		{ "AuthenticAMD", VENDOR_AMD, EXT_SVM },
		{ "HygonGenuine", VENDOR_OTHER, EXT_SVM },
		{ "CentaurHauls", VENDOR_OTHER, EXT_VMX },
		{ "  Shanghai  ", VENDOR_OTHER, EXT_VMX },
	};
	struct regs r = cpuid(root, 0), leaf1 = cpuid(root, 1), ext = { 0 };
	bool vmx, svm;

	signature(e->vendor_id, r.ebx, r.edx, r.ecx);
	for (size_t i = 0; i < sizeof(vendors) / sizeof(vendors[0]); i++) {
		if (!strcmp(vendors[i].id, e->vendor_id)) {
			e->vendor = vendors[i].vendor;
			e->extension = vendors[i].extension;
		}
	}
	line(e, "cpuid leaf 0", "processor vendor %s", e->vendor_id);
	if (cpuid(root, 0x80000000).eax >= 0x80000001)
		ext = cpuid(root, 0x80000001);
	vmx = leaf1.ecx >> 5 & 1;
	svm = ext.ecx >> 2 & 1;
	if (e->extension == EXT_NONE)
		e->extension = vmx ? EXT_VMX : svm ? EXT_SVM : EXT_NONE;
	e->raw = e->extension == EXT_VMX ? vmx : e->extension == EXT_SVM ? svm : false;
	line(e, "cpuid leaf 1 ecx bit 5", "vmx %s", vmx ? "yes" : "no");
	line(e, "cpuid leaf 0x80000001 ecx bit 2", "svm %s", svm ? "yes" : "no");
	e->hypervisor = leaf1.ecx >> 31;
	if (e->hypervisor) {
		r = cpuid(root, 0x40000000);
		signature(e->hypervisor_id, r.ebx, r.ecx, r.edx);
		e->emulated = !strcmp(e->hypervisor_id, "TCGTCGTCGTCG");
	}
	line(e, "cpuid leaf 1 ecx bit 31", "hypervisor %s%s%s",
	     e->hypervisor ? "yes" : "no", e->hypervisor ? ", " : "",
	     e->hypervisor_id);
}

static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p += n)
		if ((p == text || strchr(" \t", p[-1])) &&
		    (!p[n] || strchr(" \t\n", p[n])))
			return true;
	return false;
}

static void from_cpuinfo(struct evidence *e, const char *root)
{
	const char *want = extension_name(e);
	FILE *f = fopen(in_root(root, "/proc/cpuinfo"), "re");
	size_t size = 0;
	char *text = NULL;

	if (!f) {
		line(e, "/proc/cpuinfo", "cannot be read: %s", strerror(errno));
		return;
	}
	while (!e->cpuinfo && getline(&text, &size, f) > 0) {
		if (strncmp(text, "flags", 5))
			continue;
		e->cpuinfo = true;
		e->flag = want && has_word(text, want);
	}
	free(text);
	fclose(f);
	if (!e->cpuinfo)
		line(e, "/proc/cpuinfo", "has no line of flags");
	else
		line(e, "/proc/cpuinfo", "flag %s %s", want ? want : "vmx or svm",
		     e->flag ? "yes" : "no");
}

static void from_cmdline(struct evidence *e, const char *root)
{
	char text[4096];
	char *p;

	if (!first_line(root, "/proc/cmdline", text, sizeof(text)))
		return;
	p = strstr(text, "clearcpuid=");
	if (!p)
		return;
	p[strcspn(p, " ")] = 0;
	e->flag_hidden = true;
	line(e, "/proc/cmdline", "%s", p);
}

static void read_msr(const char *root, uint32_t index, struct msr *m)
{
	int fd = open(in_root(root, "/dev/cpu/0/msr"), O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0) {
		m->error = errno;
		return;
	}
	n = pread(fd, &m->value, sizeof(m->value), index);
	m->read = n == sizeof(m->value);
	m->error = n < 0 ? errno : EIO;
	close(fd);
}

static void msr_unread(struct evidence *e, const char *name, const struct msr *m)
{
	const char *why = m->error == EACCES || m->error == EPERM ?
		"only root may read it" :
		m->error == ENOENT || m->error == ENXIO || m->error == ENODEV ?
		"the msr driver is not loaded (modprobe msr)" :
		m->error == EIO ? "the processor does not have it" :
		strerror(m->error);

	line(e, name, "not read: %s", why);
}

static void from_msr(struct evidence *e, const char *root)
{
	if (e->extension == EXT_VMX && e->raw) {
		read_msr(root, MSR_FEAT_CTL, &e->feat_ctl);
		if (e->feat_ctl.read)
			line(e, "MSR 0x3a IA32_FEAT_CTL", "0x%llx: %s, VMX %s",
			     (unsigned long long)e->feat_ctl.value,
			     e->feat_ctl.value & FEAT_CTL_LOCKED ? "locked" : "not locked",
			     e->feat_ctl.value & FEAT_CTL_VMX ? "on" : "off");
		else
			msr_unread(e, "MSR 0x3a IA32_FEAT_CTL", &e->feat_ctl);
	}
	if (e->extension == EXT_SVM && e->raw) {
		read_msr(root, MSR_VM_CR, &e->vm_cr);
		if (e->vm_cr.read)
			line(e, "MSR 0xc0010114 VM_CR", "0x%llx: %s, SVM %s",
			     (unsigned long long)e->vm_cr.value,
			     e->vm_cr.value & VM_CR_LOCK ? "locked" : "not locked",
			     e->vm_cr.value & VM_CR_SVMDIS ? "off" : "on");
		else
			msr_unread(e, "MSR 0xc0010114 VM_CR", &e->vm_cr);
	}
}

static void from_dmi(struct evidence *e, const char *root)
{
	static const char *const files[] = {
		"/sys/class/dmi/id/sys_vendor", "/sys/class/dmi/id/board_vendor",
	};

	for (int i = 0; i < 2; i++) {
		char text[64];

		if (!first_line(root, files[i], text, sizeof(text)))
			continue;
		line(e, files[i], "%s", text);
		/* Board makers' names are left to the board in many machines. */
		if (!*e->maker || strstr(e->maker, "System manufacturer") ||
		    strstr(e->maker, "To Be Filled"))
			snprintf(e->maker, sizeof(e->maker), "%s", text);
	}
}

static void from_modules(struct evidence *e, const char *root)
{
	static const struct { const char *path, *name; } others[] = {
		{ "/sys/module/vboxdrv", "VirtualBox" },
		{ "/sys/module/vmmon", "VMware" },
	};
	const char *name = module_name(e);
	char path[64], version[64], control[64];

	e->kvm_module = there(root, "/sys/module/kvm");
	if (e->kvm_module && first_line(root, "/sys/module/kvm/version", version,
					sizeof(version)))
		line(e, "/sys/module/kvm", "loaded, version %s", version);
	else
		line(e, "/sys/module/kvm", e->kvm_module ? "loaded" : "not loaded");
	if (name) {
		snprintf(path, sizeof(path), "/sys/module/%s", name);
		e->vendor_module = there(root, path);
		line(e, path, e->vendor_module ? "loaded" : "not loaded");
	}
	for (int i = 0; i < 2; i++) {
		if (!there(root, others[i].path))
			continue;
		e->other_hypervisor = others[i].name;
		line(e, others[i].path, "loaded (%s)", others[i].name);
	}
	if (first_line(root, "/proc/xen/capabilities", control, sizeof(control)) &&
	    strstr(control, "control_d")) {
		e->xen_host = true;
		line(e, "/proc/xen/capabilities", "%s: this is the host system of Xen",
		     control);
	}
}

static void kvm_from_file(struct evidence *e, const char *root)
{
	FILE *f = fopen(in_root(root, "/kvm"), "re");
	char word[16];
	int n;

	e->api_version = KVM_API_VERSION;
	if (!f)
		return;
	while (fscanf(f, "%15s %d", word, &n) == 2) {
		if (!strcmp(word, "open"))
			e->open_error = n;
		else if (!strcmp(word, "version"))
			e->api_version = n;
		else if (!strcmp(word, "create"))
			e->create_error = n;
	}
	fclose(f);
}

static void kvm_from_device(struct evidence *e)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm;

	if (fd < 0) {
		e->open_error = errno;
		return;
	}
	e->api_version = ioctl(fd, KVM_GET_API_VERSION, 0);
	vm = ioctl(fd, KVM_CREATE_VM, 0);
	if (vm < 0)
		e->create_error = errno;
	else
		close(vm);
	close(fd);
}

static void from_device(struct evidence *e, const char *root)
{
	struct stat st;
	struct group *group;

	if (stat(in_root(root, "/dev/kvm"), &st) < 0) {
		e->open_error = errno;
		line(e, "/dev/kvm", "%s", errno == ENOENT ? "not there" :
		     strerror(errno));
		return;
	}
	e->device_there = true;
	group = getgrgid(st.st_gid);
	snprintf(e->device_group, sizeof(e->device_group), "%s",
		 group ? group->gr_name : "");
	/* Opening the node would make the kernel load half of what is missing. */
	if (!e->vendor_module && !e->kvm_module) {
		e->open_error = ENODEV;
		line(e, "/dev/kvm", "there, but no module is behind it");
		return;
	}
	if (*root)
		kvm_from_file(e, root);
	else
		kvm_from_device(e);
	if (e->open_error) {
		line(e, "/dev/kvm", "mode %03o, group %s, opening it: %s",
		     st.st_mode & 0777, e->device_group, strerror(e->open_error));
		return;
	}
	line(e, "/dev/kvm", "can be opened, API version %d", e->api_version);
	line(e, "KVM_CREATE_VM", "%s", e->create_error ?
	     strerror(e->create_error) : "works");
}

typedef void (*source_fn)(struct evidence *e, const char *root);

/* In this order: later ones use what earlier ones found. */
static const source_fn sources[] = {
	from_cpuid,
	from_cpuinfo,
	from_cmdline,
	from_msr,
	from_dmi,
	from_modules,
	from_device,
};

void collect(struct evidence *e, const char *root)
{
	memset(e, 0, sizeof(*e));
	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
		sources[i](e, root);
}

void load_module(struct evidence *e, const char *root)
{
	char command[4200], text[sizeof(e->modprobe_text)] = "";
	const char *name = module_name(e);
	int status;
	FILE *f;

	snprintf(command, sizeof(command), "LC_ALL=C %s %s 2>&1",
		 *root ? in_root(root, "/modprobe") : "modprobe", name);
	f = popen(command, "re");
	if (!f)
		return;
	text[fread(text, 1, sizeof(text) - 1, f)] = 0;
	status = pclose(f);
	collect(e, root);
	text[strcspn(text, "\n")] = 0;
	line(e, "modprobe", "%s: %s", name, status == 0 ? "loaded" :
	     *text ? text : "failed");
	if (status == 0)
		return;
	e->modprobe_error = strstr(text, "resource busy") ? EBUSY : 1;
	snprintf(e->modprobe_text, sizeof(e->modprobe_text), "%s", text);
}
