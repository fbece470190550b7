// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * install: make a guest and install a system on it from an ISO.
 *
 * One sheet holds all choices, each with a sensible value, so that choosing the
 * ISO is enough. Start checks everything again, makes the disk, defines the
 * guest, starts it paused, and lets it go once its console is connected. When a
 * step fails, what was made before is named, and is removed only if the user
 * says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "console.h"
#include "disk.h"
#include "host.h"
#include "install.h"
#include "iso.h"
#include "ui.h"
#include "util.h"
#include "validate.h"
#include "virt.h"
#include "xml.h"

struct sheet {
	char *name;
	char *iso;		/* "" until chosen */
	char *volume;		/* an existing volume, NULL: a new disk */
	char *size;
	const char *format;	/* of the new disk */
	uint64_t memory_mib;
	unsigned int cpus;
	bool uefi, network;
	enum devices devices;
	enum virt virt;
	bool chose_emulation;
};

static const char *const device_names[] = {
	[DEV_VIRTIO] = "virtio: fast, for Linux and BSD",
	[DEV_SATA] = "SATA and e1000e: Windows and others without drivers",
	[DEV_IDE] = "IDE and rtl8139: old systems",
};

/* guest1, guest2, …: the first that no guest and no disk has. */
static char *free_name(virConnectPtr conn, virStoragePoolPtr pool)
{
	for (int i = 1; ; i++) {
		char *name = xasprintf("guest%d", i);
		char *disk2 = disk_volume_name(name, "qcow2");
		char *disk1 = disk_volume_name(name, "qcow");
		virDomainPtr dom = virDomainLookupByName(conn, name);
		virStorageVolPtr vol = virStorageVolLookupByName(pool, disk2);

		if (!vol)
			vol = virStorageVolLookupByName(pool, disk1);
		free(disk2);
		free(disk1);
		if (!dom && !vol)
			return name;
		if (dom)
			virDomainFree(dom);
		if (vol)
			virStorageVolFree(vol);
		free(name);
	}
}

/* A quarter of what is free, between 512 and 2048 MiB. */
static uint64_t default_memory(void)
{
	uint64_t mib = host_memory_available_mib() / 4 / 128 * 128;

	return mib < 512 ? 512 : mib > 2048 ? 2048 : mib;
}

/* 8 GiB, or less where less is free. */
static char *default_size(virStoragePoolPtr pool)
{
	uint64_t gib = virt_pool_free(pool) / GIB;

	return xasprintf("%uG", gib > 8 ? 8 : gib < 1 ? 1 : (unsigned int)gib);
}

static void sheet_defaults(struct sheet *s, virConnectPtr conn,
			   virStoragePoolPtr pool)
{
	memset(s, 0, sizeof(*s));
	s->name = free_name(conn, pool);
	s->iso = xstrdup("");
	s->size = default_size(pool);
	s->format = "qcow2";
	s->memory_mib = default_memory();
	s->cpus = 1;
	s->network = true;
	s->virt = virt_is_test(conn) ? VIRT_TEST : VIRT_KVM;
}

static void sheet_free(struct sheet *s)
{
	free(s->name);
	free(s->iso);
	free(s->volume);
	free(s->size);
}

static const char *acceleration_text(const struct sheet *s)
{
	if (s->virt == VIRT_QEMU)
		return "none: SLOW EMULATION";
	return host_kvm_ready() || s->virt == VIRT_TEST ? "KVM" :
		"KVM, which is not usable here: choose A";
}

static void sheet_rows(struct ui_menu *menu, const struct sheet *s)
{
	ui_menu_clear(menu);
	ui_menu_add(menu, 'n', "Name             %s", s->name);
	ui_menu_add(menu, 'i', "ISO              %s", *s->iso ? s->iso : "(choose one)");
	if (s->volume)
		ui_menu_add(menu, 'd', "Disk             existing, %s", s->volume);
	else
		ui_menu_add(menu, 'd', "Disk             new, %s, %s", s->size,
			    s->format);
	ui_menu_add(menu, 'm', "Memory           %llu MiB",
		    (unsigned long long)s->memory_mib);
	ui_menu_add(menu, 'c', "CPUs             %u", s->cpus);
	ui_menu_add(menu, 'f', "Firmware         %s", s->uefi ? "UEFI" : "BIOS");
	ui_menu_add(menu, 't', "Network          %s", s->network ?
		    "NAT (the network default)" : "none");
	ui_menu_add(menu, 'v', "Devices          %s", device_names[s->devices]);
	ui_menu_add(menu, 'a', "Acceleration     %s", acceleration_text(s));
	ui_menu_add(menu, 's', "Start the installation");
}

static void edit_name(struct sheet *s)
{
	char *value = xstrdup(s->name);
	const char *problem;

	while (ui_input("Guest name", "Name of the guest: letters, digits, and the characters . _ - (at most 50).", &value)) {
		problem = name_problem(value);
		if (!problem) {
			free(s->name);
			s->name = value;
			return;
		}
		ui_message("Guest name", "%s", problem);
	}
	free(value);
}

static void edit_iso(struct sheet *s)
{
	struct iso_info info;
	char *path = iso_choose(s->iso), *problem;

	if (!path)
		return;
	problem = iso_problem(path, &info);
	if (problem) {
		ui_message("ISO image", "%s", problem);
		free(problem);
		free(path);
		return;
	}
	free(s->iso);
	s->iso = path;
}

/* False: the user went back. */
static bool edit_size(struct sheet *s)
{
	char *value = xstrdup(s->size);
	const char *problem;
	uint64_t bytes;

	while (ui_input("Disk size", "Size of the new disk with its unit, for example 4G or 500M.", &value)) {
		problem = parse_disk_size(value, &bytes);
		if (!problem) {
			free(s->size);
			s->size = value;
			free(s->volume);
			s->volume = NULL;
			return true;
		}
		ui_message("Disk size", "%s", problem);
	}
	free(value);
	return false;
}

/* Rows for the volumes that no guest has; their names in *names. */
static int add_unused(struct ui_menu *menu, virConnectPtr conn,
		      virStoragePoolPtr pool, char ***names)
{
	virStorageVolPtr *vols = NULL;
	int n = virStoragePoolListAllVolumes(pool, &vols, 0), kept = 0;

	*names = xrealloc(NULL, (n < 1 ? 1 : n) * sizeof(char *));
	for (int i = 0; i < n; i++) {
		char *path = virStorageVolGetPath(vols[i]);
		char *format = disk_format(vols[i]);
		char *user = path ? virt_disk_user(conn, path, NULL) : NULL;

		if (path && !user && !strncmp(format, "qcow", 4)) {
			char *text = disk_row(vols[i]);

			ui_menu_add(menu, kept < 9 ? '1' + kept : 0, "%s", text);
			(*names)[kept++] = xstrdup(virStorageVolGetName(vols[i]));
			free(text);
		}
		free(user);
		free(format);
		free(path);
		virStorageVolFree(vols[i]);
	}
	free(vols);
	return kept;
}

/* One round of the menu of disks. True: it has been chosen. */
static bool edit_disk_once(struct sheet *s, struct ui_menu *menu, char **names)
{
	int row = ui_menu(menu);
	bool chosen = true;

	if (row == 0)
		chosen = edit_size(s);
	if (row == 1)
		chosen = disk_choose_format(&s->format);
	if (row >= 1 && chosen) {
		free(s->volume);
		s->volume = row == 1 ? NULL : xstrdup(names[row - 2]);
	}
	return chosen;
}

static void edit_disk(struct sheet *s, virConnectPtr conn,
		      virStoragePoolPtr pool)
{
	struct ui_menu menu = { .title = "Disk of the guest",
		.text = "A new disk is made when the installation starts. Disks that no guest has can be used instead." };
	char **names;
	int n;

	ui_menu_add(&menu, 'n', "New disk: size       %s", s->size);
	ui_menu_add(&menu, 'f', "New disk: format     %s", s->format);
	n = add_unused(&menu, conn, pool, &names);
	while (!edit_disk_once(s, &menu, names))
		;
	ui_menu_clear(&menu);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

static const char *memory_problem(uint64_t mib)
{
	if (mib > host_memory_mib())
		return "That is more memory than this host has. Type a smaller number.";
	return NULL;
}

static void edit_memory(struct sheet *s)
{
	char *value = xasprintf("%llu", (unsigned long long)s->memory_mib);
	char *text = xasprintf("Memory of the guest in MiB, or with a unit such as 2G. The host has %llu MiB, of which %llu MiB are available.",
			       (unsigned long long)host_memory_mib(),
			       (unsigned long long)host_memory_available_mib());
	const char *problem;
	uint64_t mib;

	while (ui_input("Memory", text, &value)) {
		problem = parse_memory(value, &mib);
		if (!problem)
			problem = memory_problem(mib);
		if (!problem) {
			s->memory_mib = mib;
			break;
		}
		ui_message("Memory", "%s", problem);
	}
	free(value);
	free(text);
}

/* Several processors need APICs to talk to each other. */
static unsigned int max_cpus(const struct sheet *s, virConnectPtr conn)
{
	int max = virConnectGetMaxVcpus(conn, s->virt == VIRT_KVM ? "kvm" : NULL);

	if (s->virt == VIRT_KVM && !host_has_apic())
		return 1;
	return max > 0 ? max : 64;
}

static void edit_cpus(struct sheet *s, virConnectPtr conn)
{
	unsigned int max = max_cpus(s, conn);
	char *value = xasprintf("%u", s->cpus);
	char *text = xasprintf("Number of processors of the guest, at most %u. The host has %u.",
			       max, host_cpus());
	const char *problem;

	while (ui_input("CPUs", text, &value)) {
		problem = parse_count(value, max, &s->cpus);
		if (!problem)
			break;
		ui_message("CPUs", "%s", problem);
	}
	free(value);
	free(text);
}

static void edit_devices(struct sheet *s)
{
	struct ui_menu menu = { .title = "Devices", .at = s->devices,
		.text = "The disk and the network card that the guest sees." };
	int row;

	ui_menu_add(&menu, 'v', "%s", device_names[DEV_VIRTIO]);
	ui_menu_add(&menu, 's', "%s", device_names[DEV_SATA]);
	ui_menu_add(&menu, 'i', "%s", device_names[DEV_IDE]);
	row = ui_menu(&menu);
	if (row >= 0)
		s->devices = row;
	ui_menu_clear(&menu);
}

static void edit_acceleration(struct sheet *s)
{
	char *why;

	if (s->virt != VIRT_KVM) {
		if (s->virt == VIRT_QEMU)
			s->virt = VIRT_KVM;
		return;
	}
	why = host_verdict_text();
	if (ui_confirm("Slow emulation", "Emulate slowly",
		       "%s\n\nWithout KVM the processor of the guest can be emulated. The guest is then 10 to 100 times slower: an installation may take hours. Do this only to try something out.",
		       why))
		s->virt = VIRT_QEMU;
	free(why);
}

static void sheet_edit(struct sheet *s, int row, virConnectPtr conn,
		       virStoragePoolPtr pool)
{
	switch (row) {
	case 0:
		edit_name(s);
		break;
	case 1:
		edit_iso(s);
		break;
	case 2:
		edit_disk(s, conn, pool);
		break;
	case 3:
		edit_memory(s);
		break;
	case 4:
		edit_cpus(s, conn);
		break;
	case 5:
		s->uefi = !s->uefi;
		break;
	case 6:
		s->network = !s->network;
		break;
	case 7:
		edit_devices(s);
		break;
	case 8:
		edit_acceleration(s);
		break;
	}
}

static bool name_is_free(virConnectPtr conn, const char *name)
{
	virDomainPtr dom = virDomainLookupByName(conn, name);

	if (!dom)
		return true;
	virDomainFree(dom);
	ui_message("The guest exists already", "There is a guest %s already, and it stays as it is. Choose another name with N, or delete that guest first.",
		   name);
	return false;
}

static bool iso_is_fine(struct sheet *s, struct guest *g)
{
	struct iso_info info;
	char *problem = iso_problem(s->iso, &info);

	if (!problem)
		problem = iso_reach_problem(s->iso, &g->iso_relabel);
	if (problem) {
		ui_message("ISO image", "%s", problem);
		free(problem);
		return false;
	}
	g->iso = s->iso;
	g->iso_block = info.block;
	return info.bootable ||
		ui_confirm("The ISO is not bootable", "Use it anyway",
			   "%s has no boot record, so the guest can hardly start from it: it may hold data or drivers only. Use it anyway?",
			   s->iso);
}

static bool acceleration_is_fine(const struct sheet *s)
{
	char *why;

	if (s->virt != VIRT_KVM || host_kvm_ready())
		return true;
	why = host_verdict_text();
	ui_message("KVM is not usable", "%s\n\nWhat to do: follow the fix, or choose Acceleration (A) on this sheet for slow emulation.",
		   why);
	free(why);
	return false;
}

static bool memory_is_fine(const struct sheet *s)
{
	uint64_t available = host_memory_available_mib();

	return s->memory_mib <= available ||
		ui_confirm("Little memory", "Start it",
			   "The guest is to have %llu MiB, but only %llu MiB are available on this host. It may become very slow or be stopped. Start it all the same?",
			   (unsigned long long)s->memory_mib,
			   (unsigned long long)available);
}

static bool network_is_fine(struct sheet *s, virConnectPtr conn)
{
	char *error;
	bool answer;

	if (!s->network || s->virt == VIRT_TEST)
		return true;
	error = virt_start_network(conn);
	if (!error)
		return true;
	answer = ui_confirm("No network", "Go on without",
			    "The network default could not be started.\n\nReason: %s\n\nInstall the guest without a network?",
			    error);
	free(error);
	if (answer)
		s->network = false;
	return answer;
}

/*
 * May the chosen volume be used, and is it blank? A disk that holds something
 * might boot, so the CD has to come first once.
 */
static bool volume_is_fine(virConnectPtr conn, virStorageVolPtr vol,
			   const char *path, bool *used)
{
	char *user = virt_disk_user(conn, path, NULL), *format;
	virStorageVolInfo info;

	if (user) {
		ui_message("Disk", "The disk %s belongs to the guest %s by now. Choose another with D.",
			   virStorageVolGetName(vol), user);
		free(user);
		return false;
	}
	format = disk_format(vol);
	*used = virStorageVolGetInfo(vol, &info) == 0 &&
		info.allocation > blank_allocation(format, info.capacity);
	free(format);
	return !*used ||
		ui_confirm("The disk is not empty", "Use it",
			   "The disk %s may hold data, which the installer may erase. The guest will boot from the CD this once, and when the installer restarts it, it is started from the disk here. Use this disk?",
			   virStorageVolGetName(vol));
}

/* Takes the path and format of the volume the user chose. */
static bool use_volume(virConnectPtr conn, virStoragePoolPtr pool,
		       const struct sheet *s, struct guest *g, bool *used)
{
	virStorageVolPtr vol = virStorageVolLookupByName(pool, s->volume);
	char *path;
	bool fine;

	if (!vol) {
		virt_failed("Disk", "The chosen disk is not there any more.",
			    virt_error());
		return false;
	}
	path = virStorageVolGetPath(vol);
	fine = path && volume_is_fine(conn, vol, path, used);
	if (fine) {
		g->disk = path;
		g->format = disk_format(vol);
	} else {
		free(path);
	}
	virStorageVolFree(vol);
	return fine;
}

static bool make_disk(virConnectPtr conn, virStoragePoolPtr pool,
		      const struct sheet *s, struct guest *g, bool *used)
{
	struct disk_spec spec = { .name = s->name, .format = s->format };

	*used = false;
	if (s->volume)
		return use_volume(conn, pool, s, g, used);
	parse_disk_size(s->size, &spec.size);
	if (!disk_may_create(pool, &spec))
		return false;
	g->disk = disk_create(pool, &spec);
	g->format = xstrdup(s->format);
	if (!g->disk)
		free((char *)g->format);
	return g->disk;
}

struct start_job {
	virConnectPtr conn;
	char *xml;
	struct guest guest;	/* only read when cd_once; its strings stay */
	bool cd_once, paused;
	virDomainPtr dom;
	bool started;
	char *error;
};

/* Starts the guest with another description than the one that is kept. */
static bool start_once(struct start_job *job, unsigned int flags)
{
	char uuid[VIR_UUID_STRING_BUFLEN];
	virDomainPtr dom;
	char *xml;

	if (virDomainGetUUIDString(job->dom, uuid) < 0)
		return false;
	job->guest.once = uuid;
	xml = xml_domain(&job->guest);
	dom = virDomainCreateXML(job->conn, xml, flags);
	free(xml);
	if (dom)
		virDomainFree(dom);
	return dom;
}

static void start_work(void *arg)
{
	struct start_job *job = arg;
	unsigned int flags = job->paused ? VIR_DOMAIN_START_PAUSED : 0;

	job->dom = virDomainDefineXML(job->conn, job->xml);
	if (job->dom)
		job->started = job->cd_once ? start_once(job, flags) :
			!virDomainCreateWithFlags(job->dom, flags);
	if (!job->started)
		job->error = virt_error();
}

static void start_free(struct start_job *job)
{
	if (job->dom)
		virDomainFree(job->dom);
	virConnectClose(job->conn);
	free((char *)job->guest.name);
	free((char *)job->guest.iso);
	free((char *)job->guest.disk);
	free((char *)job->guest.format);
	free(job->xml);
	free(job->error);
	free(job);
}

/* The user did not wait: let the guest go on without a console. */
static void start_discard(void *arg)
{
	struct start_job *job = arg;

	if (job->started && job->paused)
		virDomainResume(job->dom);
	start_free(job);
}

static struct start_job *start_job(virConnectPtr conn, const struct guest *g,
				   bool cd_once)
{
	struct start_job *job = xrealloc(NULL, sizeof(*job));

	virConnectRef(conn);
	*job = (struct start_job){ .conn = conn, .xml = xml_domain(g),
		.guest = *g, .cd_once = cd_once, .paused = g->virt != VIRT_TEST };
	job->guest.name = xstrdup(g->name);
	job->guest.iso = xstrdup(g->iso);
	job->guest.disk = xstrdup(g->disk);
	job->guest.format = xstrdup(g->format);
	return job;
}

static void delete_volume(virConnectPtr conn, const char *path)
{
	virStorageVolPtr vol = virStorageVolLookupByPath(conn, path);

	if (!vol || virStorageVolDelete(vol, 0) < 0)
		virt_failed("Remove the disk", "The disk was not removed.",
			    virt_error());
	if (vol)
		virStorageVolFree(vol);
}

/* Something was made before the start failed: the user decides about it. */
static void offer_removal(struct start_job *job, const struct sheet *s,
			  const struct guest *g)
{
	bool new_disk = !s->volume;

	if (!job->dom && !new_disk)
		return;
	if (!ui_confirm("Clean up", "Remove them",
			"Made so far:\n%s%s%s%s\nRemove what was made? With Back it stays, and the guest can be started or deleted under Guests.",
			job->dom ? "  the guest " : "", job->dom ? s->name : "",
			new_disk ? "  the disk " : "", new_disk ? g->disk : ""))
		return;
	if (job->dom)
		virDomainUndefineFlags(job->dom, VIR_DOMAIN_UNDEFINE_NVRAM);
	if (new_disk)
		delete_volume(job->conn, g->disk);
}

/*
 * After the installer's restart a guest that booted the CD first is off, as soon
 * as libvirt has noticed it.
 */
static void offer_disk_start(virDomainPtr dom)
{
	for (int i = 0; i < 100 && virDomainIsActive(dom) == 1; i++)
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	if (virDomainIsActive(dom) != 0 ||
	    !ui_confirm("The guest has stopped", "Start it",
			"The guest %s has stopped. If the installer has finished, start the guest from its disk now?",
			virDomainGetName(dom)))
		return;
	if (virDomainCreateWithFlags(dom, VIR_DOMAIN_START_PAUSED) < 0)
		virt_failed("Start", "The guest did not start.", virt_error());
	else
		console_run(dom, true);
}

/* True: the guest was started, or is still being started. */
static bool start_guest(virConnectPtr conn, const struct sheet *s,
			const struct guest *g, bool cd_once)
{
	struct start_job *job = start_job(conn, g, cd_once);
	bool started;

	if (!ui_busy("Install a guest", "The guest is being started.", start_work,
		     start_discard, job)) {
		ui_message("Install a guest", "The guest %s is still being started. Look under Guests.",
			   s->name);
		return true;
	}
	started = job->started;
	if (started) {
		if (console_run(job->dom, job->paused) && cd_once)
			offer_disk_start(job->dom);
	} else {
		virt_failed("Install a guest", job->dom ?
			    "The guest was defined but did not start." :
			    "The guest was not accepted.", xstrdup(job->error));
		offer_removal(job, s, g);
	}
	start_free(job);
	return started;
}

/*
 * libvirt may have been started anew while the sheet was open: take the new
 * connection. False: there is none, and the sheet stays.
 */
static bool connect_again(virConnectPtr *conn, virStoragePoolPtr *pool)
{
	virConnectPtr now = virt();
	virStoragePoolPtr its = now && now != *conn ? virt_pool(now) : NULL;

	if (its) {
		virStoragePoolFree(*pool);
		*pool = its;
		*conn = now;
	}
	return now && now == *conn;
}

/* Checks all, asks where in doubt, and goes. True: leave the sheet. */
static bool install(virConnectPtr conn, virStoragePoolPtr pool, struct sheet *s)
{
	struct guest g = { .name = s->name, .memory_mib = s->memory_mib,
			   .cpus = s->cpus, .uefi = s->uefi, .virt = s->virt,
			   .devices = s->devices,
			   .no_apic = s->virt == VIRT_KVM && !host_has_apic() };
	bool started, used;

	if (!name_is_free(conn, s->name) || !iso_is_fine(s, &g) ||
	    !acceleration_is_fine(s) || !memory_is_fine(s) ||
	    !network_is_fine(s, conn) || !make_disk(conn, pool, s, &g, &used))
		return false;
	g.network = s->network;
	started = start_guest(conn, s, &g, used);
	free((char *)g.disk);
	free((char *)g.format);
	return started;
}

/* One round of the sheet. False: leave it. */
static bool sheet_once(virConnectPtr *conn, virStoragePoolPtr *pool,
		       struct ui_menu *menu, struct sheet *s)
{
	int row;

	sheet_rows(menu, s);
	row = ui_menu(menu);
	if (row < 0)
		return false;
	if (!connect_again(conn, pool))
		return true;
	sheet_edit(s, row, *conn, *pool);
	return row != 9 || !install(*conn, *pool, s);
}

void install_screen(void)
{
	struct ui_menu menu = { .title = "Install a guest from an ISO",
		.text = "Choose the ISO, change what you like, and start.",
		.at = 1 };
	virConnectPtr conn = virt();
	virStoragePoolPtr pool = conn ? virt_pool(conn) : NULL;
	struct sheet s;

	if (!pool)
		return;
	host_detect();
	sheet_defaults(&s, conn, pool);
	while (sheet_once(&conn, &pool, &menu, &s))
		;
	ui_menu_clear(&menu);
	sheet_free(&s);
	virStoragePoolFree(pool);
}
