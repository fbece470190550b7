// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * install: make a guest, from an ISO that installs a system or from a cloud image.
 *
 * Steps one after the other, each with a sensible value, so that choosing the ISO
 * and going on is enough; Back leads to the step before. The last step shows all
 * of it, and every row of it can still be changed. When libosinfo recognises the
 * ISO, its system's needs are the defaults. A cloud image is a disk with a system on
 * it, which asks for a login in a step of its own. The guest's disk is a copy of it,
 * not a layer on top: so the image can be replaced or deleted, and the guest's disk
 * be any format, moved and cloned like others. Nothing is made until Start: that checks
 * everything again, makes the disk, defines the guest, starts it paused, and lets
 * it go once its console is connected. When a step of that fails, what was made
 * before is named, and is removed only if the user says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "console.h"
#include "disk.h"
#include "dom.h"
#include "host.h"
#include "install.h"
#include "iso.h"
#include "language.h"
#include "pools.h"
#include "preset.h"
#include "run.h"
#include "seed.h"
#include "settings.h"
#include "ui.h"
#include "util.h"
#include "validate.h"
#include "variables.h"
#include "virt.h"
#include "xml.h"

struct sheet {
	char *name;
	bool name_typed;
	char *iso;		/* "" until chosen */
	const char *cloud;	/* it is a disk image of that format; NULL: an ISO */
	uint64_t cloud_size;	/* of that disk */
	struct login login;	/* for a cloud image, or */
	bool unattended;	/* the installer asks nothing */
	struct preset preset;	/* of that ISO or image */
	char *volume;		/* path of an existing volume, NULL: a new disk */
	char *size;
	const char *format;	/* of the new disk */
	uint64_t memory_mib;
	unsigned int cpus;
	bool uefi, secure_boot, tpm;
	bool network;
	char *bridge;		/* NULL: NAT */
	enum devices devices;
	enum virt virt;
};

/* All that a step works on. */
struct flow {
	virConnectPtr conn;
	virStoragePoolPtr pool;
	struct sheet s;
	struct ui_menu summary;
	bool forward;		/* the last step went on, else back */
	bool started;
};

enum { STEP_BACK = -1, STEP_STAY = 0, STEP_NEXT = 1 };

static const char *const device_names[] = {
	[DEV_VIRTIO] = N_("virtio: fast, for Linux and BSD"),
	[DEV_SATA] = N_("SATA and e1000e: Windows and others without drivers"),
	[DEV_IDE] = N_("IDE and rtl8139: old systems"),
};

static bool name_taken(struct flow *f, const char *name)
{
	static const char *const formats[] = { "qcow2", "qcow", "raw", NULL };
	virDomainPtr dom = virDomainLookupByName(f->conn, name);
	virStorageVolPtr vol = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(formats) && !vol; i++) {
		char *disk = formats[i] ? disk_volume_name(name, formats[i]) :
			xasprintf("%s-seed.iso", name);

		vol = virStorageVolLookupByName(f->pool, disk);
		free(disk);
	}
	if (dom)
		virDomainFree(dom);
	if (vol)
		virStorageVolFree(vol);
	return dom || vol;
}

/*
 * guest1, guest2… or debian13, debian13-2…: the first that no guest and no disk has.
 */
static char *free_name(struct flow *f)
{
	const char *id = f->s.preset.id;

	for (int i = 1; ; i++) {
		char *name = !id ? xasprintf("guest%d", i) :
			i == 1 ? xstrdup(id) : xasprintf("%s-%d", id, i);

		if (id && name_problem(name))
			id = NULL;
		else if (!name_taken(f, name))
			return name;
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

static void get_caps(struct flow *f, struct virt_caps *caps)
{
	enum virt virt = f->s.virt;

	if (virt == VIRT_TEST)
		*caps = (struct virt_caps){ .uefi = true };
	else
		virt_caps(f->conn, virt == VIRT_KVM && host_kvm_ready() ? "kvm" : "qemu",
			  caps);
	if (virt == VIRT_KVM && !host_has_smm())
		caps->secure_boot = false;
}

/* Several processors need APICs to talk to each other. */
static unsigned int max_cpus(struct flow *f)
{
	int max = virConnectGetMaxVcpus(f->conn, f->s.virt == VIRT_KVM ? "kvm" : NULL);

	if (f->s.virt == VIRT_KVM && !host_has_apic())
		return 1;
	return max > 0 ? max : 64;
}

static void set_size(struct sheet *s, char *size)
{
	free(s->size);
	s->size = size;
}

/* What the recognised system needs, as far as this host has it. */
static void use_preset(struct flow *f)
{
	const struct preset *p = &f->s.preset;
	uint64_t available = host_memory_available_mib() / 128 * 128;
	unsigned int most = host_cpus() < max_cpus(f) ? host_cpus() : max_cpus(f);
	struct sheet *s = &f->s;
	struct virt_caps caps;

	get_caps(f, &caps);
	if (p->memory_mib)
		s->memory_mib = p->memory_mib <= available ? p->memory_mib :
			available < 512 ? 512 : available;
	if (p->cpus)
		s->cpus = p->cpus < most ? p->cpus : most;
	if (p->disk)
		set_size(s, xasprintf("%lluG", (unsigned long long)((p->disk + GIB - 1) / GIB)));
	s->devices = p->devices;
	s->uefi = p->needs_uefi && caps.uefi;
	s->tpm = p->wants_tpm && s->uefi && caps.tpm;
	s->secure_boot = p->wants_tpm && s->uefi && caps.secure_boot;
}

/* Room for the disk in the cloud image, and for what the guest adds to it. */
static void fit_cloud(struct sheet *s)
{
	uint64_t size;

	if (s->cloud && (parse_disk_size(s->size, &size) || size < s->cloud_size))
		set_size(s, xasprintf("%lluG", (unsigned long long)(s->cloud_size / GIB + 4)));
}

static void use_defaults(struct flow *f)
{
	struct sheet *s = &f->s;

	set_size(s, default_size(f->pool));
	s->memory_mib = default_memory();
	s->cpus = 1;
	s->devices = DEV_VIRTIO;
	s->uefi = s->secure_boot = s->tpm = false;
	if (s->preset.id)
		use_preset(f);
	fit_cloud(s);
	if (!s->name_typed) {
		free(s->name);
		s->name = free_name(f);
	}
}

static void sheet_free(struct sheet *s)
{
	free(s->name);
	free(s->iso);
	seed_free(&s->login);
	preset_free(&s->preset);
	free(s->volume);
	free(s->size);
	free(s->bridge);
}

static const char *acceleration_text(const struct sheet *s)
{
	if (s->virt == VIRT_QEMU)
		return _("none: SLOW EMULATION");
	return host_kvm_ready() || s->virt == VIRT_TEST ? "KVM" :
		_("KVM, which is not usable here: choose A");
}

static const char *firmware_text(const struct sheet *s)
{
	return s->secure_boot ? _("UEFI with Secure Boot") : s->uefi ? "UEFI" : "BIOS";
}

static char *network_text(const struct sheet *s)
{
	if (!s->network)
		return xstrdup(_("none"));
	return s->bridge ? xasprintf(_("bridge %s"), s->bridge) :
		xstrdup(_("NAT (the network default)"));
}

static char *disk_text(const struct sheet *s)
{
	return s->volume ? xasprintf(_("existing, %s"), strrchr(s->volume, '/') + 1) :
		xasprintf(s->cloud ? _("new, %s, %s, a copy of the image") : _("new, %s, %s"),
			  s->size, s->format);
}

struct isoinfo_job {
	char *iso, *json;
};

static void isoinfo_work(void *arg)
{
	struct isoinfo_job *job = arg;

	run_read((char *[]){ "kvm-isoinfo", job->iso, NULL }, &job->json);
}

static void isoinfo_free(void *arg)
{
	struct isoinfo_job *job = arg;

	free(job->iso);
	free(job->json);
	free(job);
}

/*
 * Asks kvm-isoinfo, unless the image starts nothing. Who does not want to wait gets
 * no presets.
 */
static void recognise(struct sheet *s, bool bootable)
{
	struct isoinfo_job *job;

	preset_free(&s->preset);
	if (!bootable)
		return;
	job = xrealloc(NULL, sizeof(*job));
	*job = (struct isoinfo_job){ .iso = xstrdup(s->iso) };
	if (!ui_busy("ISO image", "Looking up which system this is.", isoinfo_work,
		     isoinfo_free, job))
		return;
	preset_parse(job->json, &s->preset);
	isoinfo_free(job);
}

/* True: an image has been chosen, perhaps the same as before. */
static bool edit_iso(struct flow *f)
{
	char *path = iso_choose(f->s.iso, true), *problem;
	struct iso_info info;
	bool same;

	if (!path)
		return false;
	problem = image_problem(path, &info);
	if (problem) {
		ui_message("ISO image", "%s", problem);
		free(problem);
		free(path);
		return edit_iso(f);
	}
	same = !strcmp(path, f->s.iso);
	free(f->s.iso);
	f->s.iso = path;
	if (!same) {
		f->s.cloud = info.disk;
		f->s.cloud_size = info.volume_size;
		if (info.disk) {
			free(f->s.volume);
			f->s.volume = NULL;
		}
		recognise(&f->s, info.bootable || info.disk);
		f->s.unattended = false;
		use_defaults(f);
	}
	return true;
}

static bool edit_name(struct flow *f)
{
	bool done = settings_ask_name(&f->s.name);

	f->s.name_typed |= done;
	return done;
}

static bool choose_format(struct flow *f)
{
	if (!virt_pool_is_lvm(f->pool))
		return disk_choose_format(&f->s.format);
	ui_message("Disk format", "A disk in a volume group is a logical volume, and raw.");
	return false;
}

static bool choose_pool(struct flow *f)
{
	if (!pools_choose(f->conn, &f->pool))
		return false;
	if (virt_pool_is_lvm(f->pool))
		f->s.format = "raw";
	return true;
}

/* The disks of an iSCSI target are made on its server. */
static bool disk_is_chosen(struct flow *f)
{
	char *type = virt_pool_type(f->pool);
	bool fine = f->s.volume || strncmp(type, "iscsi", 5);

	free(type);
	if (!fine)
		ui_message("Disk of the guest", f->s.cloud ?
			   N_("The disks in this pool are made on its server, so none can be made from a cloud image. Choose another pool with P.") :
			   N_("The disks in this pool are made on its server: choose one of those in the list, or another pool with P."));
	return fine;
}

/* One round of the menu of disks: a step. */
static int disk_once(struct flow *f, struct ui_menu *menu, char **paths)
{
	struct sheet *s = &f->s;
	int row = ui_menu(menu);

	if (row < 0)
		return STEP_BACK;
	if (row == 0)
		return disk_is_chosen(f) ? STEP_NEXT : STEP_STAY;
	if (row == 1 && !disk_ask_size(&s->size))
		return STEP_STAY;
	if (row == 2 && !choose_format(f))
		return STEP_STAY;
	if (row == 3 && !choose_pool(f))
		return STEP_STAY;
	free(s->volume);
	s->volume = row > 3 ? xstrdup(paths[row - 4]) : NULL;
	return row > 3 ? STEP_NEXT : STEP_STAY;
}

static int step_disk(struct flow *f)
{
	struct ui_menu menu = { .title = N_("Disk of the guest") };
	char *room, *disk, *recognised, **paths = NULL;
	int n, step;

	do {
		room = human_size(virt_pool_free(f->pool));
		recognised = f->s.preset.name ? xasprintf(_("Recognised: %s. "), f->s.preset.name) :
			xstrdup("");
		menu.text = xasprintf(_("%sA new disk is made when the installation starts; %s are free. %s"),
				      recognised, room, f->s.cloud ?
				      _("It is a copy of the cloud image, and may be larger: the system grows into it.") :
				      _("Disks that no guest has can be used instead."));
		disk = disk_text(&f->s);
		ui_menu_clear(&menu);
		ui_menu_add(&menu, 'g', "Go on with: %s", disk);
		ui_menu_add(&menu, 'n', "New disk: size       %s", f->s.size);
		ui_menu_add(&menu, 'f', "New disk: format     %s", f->s.format);
		ui_menu_add(&menu, 'p', "New disk: pool       %s", virStoragePoolGetName(f->pool));
		n = f->s.cloud ? 0 : disk_add_unused(&menu, f->conn, f->pool, &paths);
		step = disk_once(f, &menu, paths);
		disk_free_paths(paths, n);
		free(disk);
		free(recognised);
		free(room);
		free((char *)menu.text);
	} while (step == STEP_STAY);
	ui_menu_clear(&menu);
	return step;
}

static void edit_devices(struct sheet *s)
{
	struct ui_menu menu = { .title = N_("Devices"), .at = s->devices,
		.text = N_("The disk and the network card that the guest sees.") };
	int row;

	ui_menu_add(&menu, 'v', "%s", translated(device_names[DEV_VIRTIO]));
	ui_menu_add(&menu, 's', "%s", translated(device_names[DEV_SATA]));
	ui_menu_add(&menu, 'i', "%s", translated(device_names[DEV_IDE]));
	row = ui_menu(&menu);
	if (row >= 0)
		s->devices = row;
	if (s->devices == DEV_IDE)
		s->secure_boot = false;		/* its machine has none */
	ui_menu_clear(&menu);
}

static const char *secure_boot_problem(struct flow *f, const struct virt_caps *caps)
{
	if (f->s.devices == DEV_IDE)
		return _("Old systems, with IDE, have no Secure Boot. Choose other devices first.");
	if (f->s.virt == VIRT_KVM && !host_has_smm())
		return _("Secure Boot needs system management mode, which the hypervisor has on processors with EPT or nested paging only. Choose UEFI.");
	if (!caps->secure_boot)
		return _("This host has no firmware with Secure Boot. Install the package ovmf, or choose UEFI.");
	return NULL;
}

static void edit_firmware(struct flow *f)
{
	struct ui_menu menu = { .title = N_("Firmware"),
		.text = N_("What starts the guest. The firmware cannot be changed once a system is installed.") };
	const char *problem = NULL;
	struct sheet *s = &f->s;
	struct virt_caps caps;
	int row;

	ui_menu_add(&menu, 'i', "BIOS: any system but the newest");
	ui_menu_add(&menu, 'u', "UEFI");
	ui_menu_add(&menu, 's', "UEFI with Secure Boot: Windows 11");
	menu.at = s->secure_boot ? 2 : s->uefi;
	row = ui_menu(&menu);
	ui_menu_clear(&menu);
	if (row < 0)
		return;
	get_caps(f, &caps);
	if (row && !caps.uefi)
		problem = _("This host has no UEFI firmware for guests. Install the package ovmf, or choose BIOS.");
	else if (row == 2)
		problem = secure_boot_problem(f, &caps);
	if (problem) {
		ui_message("Firmware", "%s", problem);
		return;
	}
	s->uefi = row > 0;
	s->secure_boot = row == 2;
	if (!s->uefi)
		s->tpm = false;		/* the systems that want one start by UEFI */
}

static void toggle_tpm(struct flow *f)
{
	struct virt_caps caps;

	get_caps(f, &caps);
	if (!f->s.tpm && !caps.tpm)
		ui_message("TPM", "A TPM is emulated by the program swtpm, which is not on this host. Install the package swtpm-tools, and choose this again.");
	else if (!f->s.uefi)
		ui_message("TPM", "A TPM goes with UEFI: the systems that want one do not start by BIOS. Choose UEFI with F first.");
	else
		f->s.tpm = !f->s.tpm;
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

/* The rows about the machine, in this step and in the summary alike. */
static void add_machine_rows(struct ui_menu *menu, const struct sheet *s)
{
	ui_menu_add(menu, 'm', "Memory           %llu MiB",
		    (unsigned long long)s->memory_mib);
	ui_menu_add(menu, 'c', "CPUs             %u", s->cpus);
	ui_menu_add(menu, 'f', "Firmware         %s", firmware_text(s));
	ui_menu_add(menu, 'p', "TPM              %s", s->tpm ? _("2.0, emulated") : _("none"));
	ui_menu_add(menu, 'v', "Devices          %s", translated(device_names[s->devices]));
	ui_menu_add(menu, 'a', "Acceleration     %s", acceleration_text(s));
}

static void edit_machine(struct flow *f, int key)
{
	switch (key) {
	case 'm':
		settings_ask_memory(&f->s.memory_mib);
		break;
	case 'c':
		settings_ask_cpus(max_cpus(f), &f->s.cpus);
		break;
	case 'f':
		edit_firmware(f);
		break;
	case 'p':
		toggle_tpm(f);
		break;
	case 'v':
		edit_devices(&f->s);
		break;
	case 'a':
		edit_acceleration(&f->s);
		break;
	}
}

/* What the recognised system wants and does not get here; to be freed. */
static char *missing_text(const struct sheet *s)
{
	const struct preset *p = &s->preset;
	bool memory = p->memory_mib > s->memory_mib, cpus = p->cpus > s->cpus;
	bool uefi = p->needs_uefi && !s->uefi, tpm = p->wants_tpm && !s->tpm;
	bool secure = p->wants_tpm && !s->secure_boot;

	if (!p->name)
		return xstrdup(s->cloud ? _("This image is not known, so look these over.") :
			       _("This ISO is not known, so look these over."));
	if (!memory && !cpus && !uefi && !tpm && !secure)
		return xasprintf(_("This is what %s needs."), p->name);
	return xasprintf(_("%s also wants:%s%s%s%s%s."), p->name,
			 memory ? _(" more memory") : "", cpus ? _(" more CPUs") : "",
			 uefi ? " UEFI" : "", secure ? _(" Secure Boot") : "",
			 tpm ? _(" a TPM") : "");
}

static int step_machine(struct flow *f)
{
	struct ui_menu menu = { .title = N_("Machine of the guest") };
	int row;

	do {
		ui_menu_clear(&menu);
		ui_menu_add(&menu, 'g', "Go on");
		add_machine_rows(&menu, &f->s);
		menu.text = missing_text(&f->s);
		row = ui_menu(&menu);
		free((char *)menu.text);
		if (row > 0)
			edit_machine(f, menu.items[row].key);
	} while (row > 0);
	ui_menu_clear(&menu);
	return row == 0 ? STEP_NEXT : STEP_BACK;
}

static int step_iso(struct flow *f)
{
	return edit_iso(f) ? STEP_NEXT : STEP_BACK;
}

static void use_host(struct sheet *s)
{
	if (s->login.host_typed)
		return;
	free(s->login.host);
	s->login.host = login_host(s->name);
}

static int ask_unattended(struct sheet *s)
{
	char *text = xasprintf(_("The installer of %s then asks nothing: it erases the guest's disk and uses all of it, for a small system in English with an SSH server, and gets packages from the Internet where it needs them. root has this password; other users are made later."),
			       s->preset.name);

	s->unattended = seed_ask(&s->login, "Unattended installation", text, true);
	free(text);
	return s->unattended ? STEP_NEXT : STEP_STAY;
}

static int step_installer(struct sheet *s)
{
	struct ui_menu menu = { .title = N_("Who answers the installer?"), .at = s->unattended,
		.text = N_("libosinfo knows the answers to this installer's questions.") };
	int row;

	ui_menu_add(&menu, 'h', "By hand: the installer asks you");
	ui_menu_add(&menu, 'u', "Unattended: password and host name are asked here");
	row = ui_menu(&menu);
	ui_menu_clear(&menu);
	if (row == 1)
		return ask_unattended(s);
	if (row == 0)
		s->unattended = false;
	return row < 0 ? STEP_BACK : STEP_NEXT;
}

/* Only a cloud image and an installer that can be answered have this step. */
static int step_login(struct flow *f)
{
	struct login *l = &f->s.login;

	use_host(&f->s);
	if (!f->s.cloud && f->s.preset.unattended)
		return step_installer(&f->s);
	if (!f->s.cloud)
		return f->forward ? STEP_NEXT : STEP_BACK;
	return seed_ask(l, "Login of the new system", f->s.preset.no_cloud_init ?
			N_("This image has no cloud-init, so this user will not be made: log in as its maker says (often root, without a password), or choose another image.") :
			N_("The system on a cloud image has no login yet. cloud-init in it makes this user at the first start, who may become root with sudo."),
			false) ? STEP_NEXT : STEP_BACK;
}

static int step_name(struct flow *f)
{
	return edit_name(f) ? STEP_NEXT : STEP_BACK;
}

static int step_network(struct flow *f)
{
	return settings_ask_network(&f->s.network, &f->s.bridge) ? STEP_NEXT : STEP_BACK;
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

/* It may have been replaced since it was chosen. */
static bool cloud_is_fine(struct sheet *s, const struct iso_info *info)
{
	char *need = human_size(info->volume_size);
	uint64_t size;
	bool fits = !parse_disk_size(s->size, &size) && size >= info->volume_size;

	s->cloud = info->disk;
	s->cloud_size = info->volume_size;
	if (!s->cloud)
		ui_message("Cloud image", "%s is an ISO image now. Choose it once more with I.", s->iso);
	else if (!fits)
		ui_message("Disk size", "The disk on the image has %s, so the guest's disk cannot be smaller. Choose another size with D.",
			   need);
	free(need);
	return s->cloud && fits;
}

static bool iso_is_fine(struct sheet *s, struct guest *g)
{
	struct iso_info info;
	char *problem = s->cloud ? image_problem(s->iso, &info) : iso_problem(s->iso, &info);

	if (!problem && s->cloud)
		return cloud_is_fine(s, &info);
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
	ui_message("KVM is not usable", "%s\n\nWhat to do: follow the fix, or choose Acceleration (A) for slow emulation.",
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

	if (!s->network || s->bridge || s->virt == VIRT_TEST)
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

static bool unattended_is_fine(const struct sheet *s)
{
	if (s->unattended && s->secure_boot)
		ui_message("Unattended", "With Secure Boot only the firmware may start the installer. Choose UEFI or BIOS with F, or install by hand.");
	else
		return true;
	return false;
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
static bool use_volume(virConnectPtr conn, const struct sheet *s, struct guest *g,
		       bool *used)
{
	virStorageVolPtr vol = virStorageVolLookupByPath(conn, s->volume);
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
	struct disk_spec spec = { .name = s->name, .format = s->format,
				  .preallocate = virt_pool_is_lvm(pool) };

	*used = false;
	if (s->volume)
		return use_volume(conn, s, g, used);
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
	bool uefi;
	bool cd_once;		/* boots the CD first, this once */
	char *boot;		/* or the kernel and initrd in that folder; and */
	char *line;		/* with that command line */
	bool paused;
	virDomainPtr dom;
	bool started;
	char *error;
};

/*
 * Starts the guest with another description than the one that is kept: it boots
 * the CD first, and its first reboot ends it.
 */
static bool start_once(struct start_job *job, unsigned int flags)
{
	char *xml = virt_xml(job->dom), *kernel;
	virDomainPtr dom;

	if (!xml)
		return false;
	dom_set_boot(&xml, BOOT_CD);
	if (job->boot) {
		kernel = xml_text("<kernel>%s/linux</kernel><initrd>%s/initrd</initrd><cmdline>%s</cmdline>",
				  job->boot, job->boot, job->line);
		xml_append(&xml, "os", kernel);
		free(kernel);
	}
	xml_replace(&xml, "on_reboot", "<on_reboot>destroy</on_reboot>");
	dom = virDomainCreateXML(job->conn, xml, flags);
	free(xml);
	if (dom)
		virDomainFree(dom);
	return dom;
}

/* Where the UEFI variables stay raw, the guest runs all the same. */
static void start_work(void *arg)
{
	struct start_job *job = arg;
	unsigned int flags = job->paused ? VIR_DOMAIN_START_PAUSED : 0;

	job->dom = virDomainDefineXML(job->conn, job->xml);
	if (job->dom && job->uefi)
		free(variables_to_qcow2(job->dom));
	if (job->dom)
		job->started = job->cd_once ? start_once(job, flags) :
			!virDomainCreateWithFlags(job->dom, flags);
	if (!job->started)
		job->error = virt_error();
	seed_forget(job->boot);		/* QEMU has read it; a password is in it */
	job->boot = NULL;
}

static void start_free(struct start_job *job)
{
	free(job->line);
	if (job->dom)
		virDomainFree(job->dom);
	virConnectClose(job->conn);
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
				   bool cd_once, char *boot, char *line)
{
	struct start_job *job = xrealloc(NULL, sizeof(*job));

	virConnectRef(conn);
	*job = (struct start_job){ .conn = conn, .xml = xml_domain(g),
		.uefi = g->uefi, .cd_once = cd_once, .boot = boot, .line = line,
		.paused = g->virt != VIRT_TEST };
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

	if (s->cloud && !job->dom)
		unlink(g->iso);
	if (!job->dom && !new_disk)
		return;
	if (!ui_confirm("Clean up", "Remove them",
			"Made so far:\n%s%s%s%s\nRemove what was made? With Back it stays, and the guest can be started or deleted under Guests.",
			job->dom ? _("  the guest ") : "", job->dom ? s->name : "",
			new_disk ? _("  the disk ") : "", new_disk ? g->disk : ""))
		return;
	if (job->dom)
		virDomainUndefineFlags(job->dom, VIR_DOMAIN_UNDEFINE_NVRAM);
	if (job->dom && s->cloud)
		unlink(g->iso);
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

/* True: the guest was started, or is still being started. Takes boot and line. */
static bool start_guest(virConnectPtr conn, const struct sheet *s,
			const struct guest *g, bool cd_once, char *boot, char *line)
{
	struct start_job *job = start_job(conn, g, cd_once, boot, line);
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
			    N_("The guest was defined but did not start.") :
			    N_("The guest was not accepted."), xstrdup(job->error));
		offer_removal(job, s, g);
	}
	start_free(job);
	return started;
}

/*
 * libvirt may have been started anew while a step was open: take the new
 * connection. False: there is none, and the step stays.
 */
static bool connect_again(struct flow *f)
{
	virConnectPtr now = virt();
	virStoragePoolPtr its = NULL;

	if (now && now != f->conn) {
		its = virStoragePoolLookupByName(now, virStoragePoolGetName(f->pool));
		its = its ? its : virt_pool(now);
	}

	if (its) {
		virStoragePoolFree(f->pool);
		f->pool = its;
		f->conn = now;
	}
	return now && now == f->conn;
}

/* The copy of a cloud image, and the CD with the login. */
static bool fill_disk(struct flow *f, struct guest *g)
{
	struct sheet *s = &f->s;

	g->iso_relabel = true;		/* nobody else may read it */
	if (disk_fill(g->disk, g->format, s->iso, s->cloud))
		g->iso = seed_write(f->pool, s->name, &s->login);
	if (!g->iso)
		delete_volume(f->conn, g->disk);
	return g->iso;
}

/* What the new system is told: on a CD, or in the installer's initrd. */
static bool prepare(struct flow *f, struct guest *g, char **boot, char **line)
{
	struct sheet *s = &f->s;

	if (s->cloud)
		return fill_disk(f, g);
	if (!s->unattended)
		return true;
	*boot = seed_installer(s->iso, xml_disk_device(s->devices), &s->login, line);
	if (!*boot && !s->volume)
		delete_volume(f->conn, g->disk);
	return *boot;
}

/* Checks all, asks where in doubt, and goes. True: leave the flow. */
static bool install(struct flow *f)
{
	struct sheet *s = &f->s;
	struct guest g = { .name = s->name, .memory_mib = s->memory_mib,
			   .cpus = s->cpus, .uefi = s->uefi, .virt = s->virt,
			   .secure_boot = s->secure_boot, .tpm = s->tpm,
			   .devices = s->devices,
			   .no_apic = s->virt == VIRT_KVM && !host_has_apic() };
	bool started, used;
	char *boot = NULL, *line = NULL;

	use_host(s);
	if (s->cloud && !*s->login.password && !*s->login.key && step_login(f) != STEP_NEXT)
		return false;
	if (!name_is_free(f->conn, s->name) || !iso_is_fine(s, &g) ||
	    !acceleration_is_fine(s) || !memory_is_fine(s) ||
	    !network_is_fine(s, f->conn) || !unattended_is_fine(s) ||
	    !make_disk(f->conn, f->pool, s, &g, &used))
		return false;
	g.network = s->network;
	g.bridge = s->bridge;
	started = prepare(f, &g, &boot, &line) &&
		start_guest(f->conn, s, &g, used || boot, boot, line);
	if (s->cloud)
		free((char *)g.iso);
	free((char *)g.disk);
	free((char *)g.format);
	return started;
}

static void summary_rows(struct ui_menu *menu, const struct sheet *s)
{
	char *network = network_text(s), *disk = disk_text(s), *login = seed_text(&s->login);

	ui_menu_clear(menu);
	ui_menu_add(menu, 's', s->cloud ? N_("Start the guest") : N_("Start the installation"));
	ui_menu_add(menu, 'n', "Name             %s", s->name);
	ui_menu_add(menu, 'i', s->cloud ? N_("Cloud image      %s") : N_("ISO              %s"), s->iso);
	if (s->cloud)
		ui_menu_add(menu, 'l', "Login            %s", login);
	else if (s->preset.unattended)
		ui_menu_add(menu, 'l', "Installer        %s", s->unattended ?
			    _("unattended") : _("asks you"));
	ui_menu_add(menu, 'd', "Disk             %s", disk);
	ui_menu_add(menu, 't', "Network          %s", network);
	add_machine_rows(menu, s);
	free(login);
	free(network);
	free(disk);
}

static void summary_edit(struct flow *f, int row)
{
	int key = f->summary.items[row].key;

	switch (key) {
	case 'n':
		edit_name(f);
		break;
	case 'i':
		edit_iso(f);
		break;
	case 'l':
		step_login(f);
		break;
	case 'd':
		step_disk(f);
		break;
	case 't':
		step_network(f);
		break;
	default:
		edit_machine(f, key);
	}
}

/* The last step: all choices, each of which can still be changed. */
static int step_summary(struct flow *f)
{
	struct ui_menu *menu = &f->summary;
	int row;

	menu->title = f->s.cloud ? N_("A guest from a cloud image") : N_("Install a guest from an ISO");
	menu->text = f->s.preset.name ?
		xasprintf(_("%s, as follows. Nothing is made before you start."), f->s.preset.name) :
		xstrdup(_("Nothing is made before you start. A letter changes its row."));
	summary_rows(menu, &f->s);
	row = ui_menu(menu);
	free((char *)menu->text);
	if (row < 0)
		return STEP_BACK;
	if (!connect_again(f))
		return STEP_STAY;
	if (row)
		summary_edit(f, row);
	else
		f->started = install(f);
	return STEP_STAY;
}

void install_screen(void)
{
	static int (*const steps[])(struct flow *) = { step_iso, step_name, step_login,
		step_disk, step_machine, step_network, step_summary };
	struct flow f = { .conn = virt(), .s = { .format = "qcow2", .network = true } };
	int at = 0, step;

	f.pool = f.conn ? virt_pool(f.conn) : NULL;
	if (!f.pool)
		return;
	host_detect();
	f.s.iso = xstrdup("");
	seed_defaults(&f.s.login);
	f.s.virt = virt_is_test(f.conn) ? VIRT_TEST : VIRT_KVM;
	use_defaults(&f);
	while (at >= 0 && !f.started) {
		step = steps[at](&f);
		f.forward = step != STEP_BACK;
		at += step;
	}
	ui_menu_clear(&f.summary);
	sheet_free(&f.s);
	virStoragePoolFree(f.pool);
}
