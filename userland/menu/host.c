// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * host: can this machine run guests, and what has it got?
 *
 * The verdict is kvm-detect's; the menu only shows it. Without that program it
 * knows no more than whether /dev/kvm can be opened.
 */
#include <sys/ioctl.h>
#include <linux/kvm.h>
#include <fcntl.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "json.h"
#include "language.h"
#include "run.h"
#include "storage.h"
#include "ui.h"
#include "util.h"
#include "virt.h"

static struct {
	char *verdict, *explanation, *fix, *evidence;
} host;

static char *evidence_text(const char *json)
{
	char *text = xstrdup("");

	for (const char *e = json_first(json_get(json, "evidence")); e;
	     e = json_after(e)) {
		char *source = json_string(json_get(e, "source"));
		char *value = json_string(json_get(e, "value"));
		char *more = xasprintf("%s  %s: %s\n", text,
				       source ? source : "?",
				       value ? value : _("unknown"));

		free(text);
		free(source);
		free(value);
		text = more;
	}
	return text;
}

static void without_detect(void)
{
	bool usable = !access("/dev/kvm", R_OK | W_OK);

	host.verdict = xstrdup(usable ? "ready" : "unknown");
	host.explanation = xasprintf(usable ? _("The program %s gave no verdict; /dev/kvm can be opened.") :
				     _("The program %s gave no verdict; /dev/kvm cannot be opened."),
				     options.detect);
	host.fix = usable ? NULL : xstrdup(_("Install the package kvm-tools, which holds kvm-detect, and look again."));
	host.evidence = xasprintf("  /dev/kvm: %s\n", usable ? _("usable") : _("not usable"));
}

static char *module_version(void)
{
	char *version = read_file("/sys/module/kvm/version");

	return version ? trim(version) : NULL;
}

void host_banner(void)
{
	char *version = module_version(), *left;

	left = version ? xasprintf(_("kvm-live   KVM: %s   module: kvm-live %s"),
				   host.verdict, version) :
		xasprintf(_("kvm-live   KVM: %s"), host.verdict);
	ui_set_banner(left, storage_warning());
	free(version);
	free(left);
}

void host_detect(void)
{
	char *json;

	free(host.verdict);
	free(host.explanation);
	free(host.fix);
	free(host.evidence);
	run_read((char *[]){ (char *)options.detect, "--json", NULL }, &json);
	host.verdict = json_string(json_get(json, "verdict"));
	if (host.verdict) {
		host.explanation = json_string(json_get(json, "explanation"));
		host.fix = json_string(json_get(json, "fix"));
		host.evidence = evidence_text(json);
	} else {
		without_detect();
	}
	free(json);
	host_banner();
}

bool host_kvm_ready(void)
{
	return host.verdict && !strcmp(host.verdict, "ready");
}

char *host_verdict_text(void)
{
	bool fix = host.fix && *host.fix;

	return xasprintf(fix ? _("KVM verdict: %s\n%s\nFix: %s") : host_kvm_ready() ?
			 _("KVM verdict: %s\n%s") : _("KVM verdict: %s\n%s\nFix: none known"),
			 host.verdict, host.explanation ? host.explanation : "",
			 fix ? host.fix : "");
}

static uint64_t meminfo_mib(const char *key)
{
	char *text = read_file("/proc/meminfo");
	char *value = text ? line_value(text, key) : NULL;
	uint64_t kib = value ? strtoull(value, NULL, 10) : 0;

	free(value);
	free(text);
	return kib / 1024;
}

uint64_t host_memory_mib(void)
{
	return meminfo_mib("MemTotal");
}

uint64_t host_memory_available_mib(void)
{
	return meminfo_mib("MemAvailable");
}

unsigned int host_cpus(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : (unsigned int)n;
}

static char *cpu_text(void)
{
	char *info = read_file("/proc/cpuinfo");
	char *model = info ? line_value(info, "model name") : NULL;
	char *text = xasprintf(_("Processors: %u x %s"), host_cpus(),
			       model ? model : _("unknown model"));

	free(model);
	free(info);
	return text;
}

static char *module_text(void)
{
	char *version = module_version(), *text;

	if (version)
		text = xasprintf(_("Module: kvm-live %s serves /dev/kvm"), version);
	else if (!access("/sys/module/kvm", F_OK))
		text = xstrdup(_("Module: loaded, but it is not kvm-live's (no /sys/module/kvm/version)"));
	else
		text = xstrdup(_("Module: not loaded"));
	free(version);
	return text;
}

static char *storage_text(void)
{
	virConnectPtr conn = virt_quiet();
	virStoragePoolPtr pool = conn ?
		virStoragePoolLookupByName(conn, options.pool) : NULL;
	virStoragePoolInfo info;
	char *text, *free_size, *size;

	if (!pool || virStoragePoolGetInfo(pool, &info) < 0) {
		if (pool)
			virStoragePoolFree(pool);
		return xstrdup(conn ? _("Disks: no storage pool yet; made with the first disk") :
			       _("Disks: unknown, libvirt does not answer"));
	}
	free_size = human_size(info.available);
	size = human_size(info.capacity);
	text = xasprintf(_("Disks: pool %s, %s free of %s"), options.pool,
			 free_size, size);
	free(free_size);
	free(size);
	virStoragePoolFree(pool);
	return text;
}

static char *host_text(void)
{
	char *verdict = host_verdict_text(), *module = module_text();
	char *cpu = cpu_text(), *storage = storage_text();
	char *total = human_size(host_memory_mib() << 20);
	char *available = human_size(host_memory_available_mib() << 20);
	char *text;

	text = xasprintf(_("%s\n\n%s\n%s\nMemory: %s available of %s\n%s\n\nEvidence:\n%s"),
			 verdict, module, cpu, available, total, storage,
			 host.evidence);
	free(verdict);
	free(module);
	free(cpu);
	free(storage);
	free(total);
	free(available);
	return text;
}

/* kvm-detect knows which module this processor wants. */
static void offer_load(void)
{
	char *output;
	int status;

	if (!ui_confirm("Host", "Load the module",
			"The module of this processor is not loaded. Load it now?"))
		return;
	status = run_read((char *[]){ (char *)options.detect, "--load", NULL },
			  &output);
	host_detect();
	if (!host_kvm_ready())
		ui_message("Host", "The module could not be loaded (kvm-detect --load ended with status %d).\n\n%s",
			   status, output);
	free(output);
}

void host_screen(void)
{
	char *text;

	host_detect();
	text = host_text();
	ui_view("Host", text);
	free(text);
	if (!strcmp(host.verdict, "module-not-loaded") && !geteuid())
		offer_load();
}

/* What /dev/kvm says to the question; otherwise when nobody is there to ask. */
static bool kvm_has(int capability, bool otherwise)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	bool has;

	if (fd < 0)
		return otherwise;
	has = ioctl(fd, KVM_CHECK_EXTENSION, capability) > 0;
	close(fd);
	return has;
}

bool host_has_apic(void)
{
	return kvm_has(KVM_CAP_IRQCHIP, true);
}

bool host_has_smm(void)
{
	return kvm_has(KVM_CAP_X86_SMM, false);
}
