// SPDX-License-Identifier: GPL-2.0-or-later
/* guests: the list of guests, and what can be done with one. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "console.h"
#include "guests.h"
#include "ui.h"
#include "util.h"
#include "virt.h"
#include "xml.h"

#define REFRESH_MS 2000

static const char *state_text(virDomainPtr dom)
{
	int state, reason;

	if (virDomainGetState(dom, &state, &reason, 0) < 0)
		return "unknown";
	switch (state) {
	case VIR_DOMAIN_RUNNING:
	case VIR_DOMAIN_BLOCKED:
		return "running";
	case VIR_DOMAIN_PAUSED:
		return reason == VIR_DOMAIN_PAUSED_IOERROR ?
			"paused: disk error or no space" : "paused";
	case VIR_DOMAIN_SHUTDOWN:
		return "shutting down";
	case VIR_DOMAIN_CRASHED:
		return "crashed";
	case VIR_DOMAIN_PMSUSPENDED:
		return "asleep";
	default:
		return "shut off";
	}
}

static bool is_active(virDomainPtr dom)
{
	return virDomainIsActive(dom) == 1;
}

static void start(virDomainPtr dom)
{
	if (is_active(dom)) {
		if (virDomainResume(dom) < 0)
			virt_failed("Start", "The guest runs already, and it could not be told to go on.",
				    virt_error());
		return;
	}
	if (virDomainCreate(dom) < 0)
		virt_failed("Start", "The guest did not start.", virt_error());
	else
		ui_message("Start", "The guest %s was started. Choose Console to see it.",
			   virDomainGetName(dom));
}

/* Says so and returns false when the guest does not run. */
static bool must_run(virDomainPtr dom, const char *title)
{
	if (is_active(dom))
		return true;
	ui_message(title, "The guest %s is not running. Choose Start first.",
		   virDomainGetName(dom));
	return false;
}

static void console(virDomainPtr dom)
{
	if (must_run(dom, "Console"))
		console_run(dom, false);
}

static void shut_down(virDomainPtr dom)
{
	if (!must_run(dom, "Shut down"))
		return;
	if (virDomainShutdown(dom) < 0)
		virt_failed("Shut down", "The guest could not be asked to shut down.",
			    virt_error());
	else
		ui_message("Shut down", "The guest %s was asked to shut down. If it does not listen, choose Force off.",
			   virDomainGetName(dom));
}

static void force_off(virDomainPtr dom)
{
	if (!must_run(dom, "Force off") ||
	    !ui_confirm("Force off", "Cut the power", "Cut the power of the guest %s? It loses what it has not yet written to its disk.",
			virDomainGetName(dom)))
		return;
	if (virDomainDestroy(dom) < 0)
		virt_failed("Force off", "The guest was not stopped.",
			    virt_error());
}

static void reboot(virDomainPtr dom)
{
	if (must_run(dom, "Reboot") && virDomainReboot(dom, 0) < 0)
		virt_failed("Reboot", "The guest could not be asked to reboot.",
			    virt_error());
}

/* Calls fn for each disk file of the guest (CDs left out). */
static void for_each_disk(const char *xml, void (*fn)(const char *file, void *),
			  void *data)
{
	const char *at = xml, *start;

	while (xml && xml_next(&at, "disk", &start)) {
		char *device = xml_attr(start, at, "disk", "device");
		char *file = xml_attr(start, at, "source", "file");

		if (file && !(device && strcmp(device, "disk")))
			fn(file, data);
		free(device);
		free(file);
	}
}

static void add_line(const char *file, void *data)
{
	char **text = data, *longer = xasprintf("%s  %s\n", *text, file);

	free(*text);
	*text = longer;
}

static char *disk_lines(const char *xml)
{
	char *text = xstrdup("");

	for_each_disk(xml, add_line, &text);
	return text;
}

static void delete_disk(const char *file, void *data)
{
	virConnectPtr conn = data;
	char *user = virt_disk_user(conn, file, NULL);
	virStorageVolPtr vol = virStorageVolLookupByPath(conn, file);

	if (user)
		ui_message("Delete", "The disk %s stays, because the guest %s has it too.",
			   file, user);
	else if (!vol || virStorageVolDelete(vol, 0) < 0)
		virt_failed("Delete", "The guest is deleted, but not its disk. Choose Disks to try again.",
			    virt_error());
	free(user);
	if (vol)
		virStorageVolFree(vol);
}

static bool undefine(virDomainPtr dom)
{
	unsigned int flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE |
		VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
		VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA |
		VIR_DOMAIN_UNDEFINE_NVRAM;

	return !virDomainUndefineFlags(dom, flags) || !virDomainUndefine(dom);
}

/* True: the guest is gone. */
static bool delete_guest(virConnectPtr conn, virDomainPtr dom)
{
	struct ui_menu menu = { .title = "Delete the guest" };
	char *xml, *disks;
	int choice;

	if (is_active(dom)) {
		ui_message("Delete", "The guest %s is running. Shut it down or force it off first.",
			   virDomainGetName(dom));
		return false;
	}
	xml = virDomainGetXMLDesc(dom, VIR_DOMAIN_XML_INACTIVE);
	disks = disk_lines(xml);
	menu.text = xasprintf("Delete the guest %s? Its disks:\n%s",
			      virDomainGetName(dom), disks);
	ui_menu_add(&menu, 'k', "Keep the disks, delete the guest only");
	ui_menu_add(&menu, 'd', "Delete the guest and its disks for good");
	choice = ui_menu(&menu);
	if (choice >= 0 && !undefine(dom)) {
		virt_failed("Delete", "The guest was not deleted.", virt_error());
		choice = -1;
	}
	if (choice == 1)
		for_each_disk(xml, delete_disk, conn);
	ui_menu_clear(&menu);
	free((char *)menu.text);
	free(disks);
	free(xml);
	return choice >= 0;
}

/* Exits by reason, counted by our module for the guest's process or for all. */
static char *exits_text(virDomainPtr dom)
{
	char *pid_file = xasprintf("/run/libvirt/qemu/%s.pid", virDomainGetName(dom));
	char *pid = read_file(pid_file), *pattern, *text = NULL;
	glob_t found;

	free(pid_file);
	if (pid) {
		pattern = xasprintf("/sys/kernel/debug/kvm/%s-*/exits", trim(pid));
		if (!glob(pattern, 0, NULL, &found)) {
			text = read_file(found.gl_pathv[0]);
			globfree(&found);
		}
		free(pattern);
		free(pid);
	}
	if (text)
		return text;
	text = read_file("/sys/kernel/debug/kvm/exits");
	return text ? text : xstrdup("not available\n");
}

static void details(virDomainPtr dom)
{
	char *xml = virDomainGetXMLDesc(dom, 0), *disks = disk_lines(xml);
	char *type = xml ? xml_attr(xml, NULL, "domain", "type") : NULL;
	char *port = xml ? xml_attr(xml, NULL, "graphics", "port") : NULL;
	char *exits = exits_text(dom), *text;
	char uuid[VIR_UUID_STRING_BUFLEN] = "";
	virDomainInfo info;

	memset(&info, 0, sizeof(info));
	virDomainGetInfo(dom, &info);
	virDomainGetUUIDString(dom, uuid);
	text = xasprintf("Guest: %s\nState: %s\nType: %s%s\nCPUs: %u\nMemory: %lu MiB\nUUID: %s\nVNC: %s%s\nDisks:\n%s\nExits by reason:\n%s",
			 virDomainGetName(dom), state_text(dom),
			 type ? type : "?",
			 type && !strcmp(type, "qemu") ? " (slow emulation)" : "",
			 info.nrVirtCpu, info.maxMem / 1024, uuid,
			 port && *port != '-' ? "127.0.0.1:" : "",
			 port && *port != '-' ? port : "not running",
			 disks, exits);
	ui_view("Details", text);
	free(text);
	free(exits);
	free(port);
	free(type);
	free(disks);
	free(xml);
}

static int guest_menu(virDomainPtr dom, struct ui_menu *menu)
{
	int row;

	menu->title = "Guest";
	menu->refresh_ms = REFRESH_MS;
	do {
		menu->text = xasprintf("Guest %s: %s", virDomainGetName(dom),
				       state_text(dom));
		row = ui_menu(menu);
		free((char *)menu->text);
	} while (row == UI_TIMEOUT);
	return row;
}

static void guest_screen(virConnectPtr conn, virDomainPtr dom)
{
	static void (*const actions[])(virDomainPtr) = {
		start, console, shut_down, force_off, reboot, details };
	struct ui_menu menu = { .n = 0 };
	int row;

	ui_menu_add(&menu, 's', "Start, or go on when paused");
	ui_menu_add(&menu, 'c', "Console");
	ui_menu_add(&menu, 'u', "Shut down");
	ui_menu_add(&menu, 'f', "Force off");
	ui_menu_add(&menu, 'r', "Reboot");
	ui_menu_add(&menu, 'e', "Details");
	ui_menu_add(&menu, 'd', "Delete");
	while ((row = guest_menu(dom, &menu)) >= 0) {
		if (row < (int)ARRAY_SIZE(actions))
			actions[row](dom);
		else if (delete_guest(conn, dom))
			break;
	}
	ui_menu_clear(&menu);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(virDomainGetName(*(virDomainPtr *)a),
		      virDomainGetName(*(virDomainPtr *)b));
}

static int list_guests(virConnectPtr conn, virDomainPtr **doms)
{
	int n = virConnectListAllDomains(conn, doms, 0);

	if (n > 0)
		qsort(*doms, n, sizeof(**doms), by_name);
	return n;
}

static void free_guests(virDomainPtr *doms, int n)
{
	for (int i = 0; i < n; i++)
		virDomainFree(doms[i]);
	if (n >= 0)
		free(doms);
}

static void add_row(struct ui_menu *menu, int i, virDomainPtr dom)
{
	virDomainInfo info;

	memset(&info, 0, sizeof(info));
	virDomainGetInfo(dom, &info);
	ui_menu_add(menu, i < 9 ? '1' + i : 0, "%-26.26s %2u CPUs %6lu MiB  %s",
		    virDomainGetName(dom), info.nrVirtCpu, info.maxMem / 1024,
		    state_text(dom));
}

static int list_once(virConnectPtr conn, struct ui_menu *menu)
{
	virDomainPtr *doms;
	int n = list_guests(conn, &doms), row;

	if (n < 0) {
		virt_failed("Guests", "The guests could not be listed.", virt_error());
		return UI_BACK;
	}
	if (!n) {
		ui_message("Guests", "There is no guest yet. Choose Install a guest in the main menu.");
		free_guests(doms, n);
		return UI_BACK;
	}
	ui_menu_clear(menu);
	for (int i = 0; i < n; i++)
		add_row(menu, i, doms[i]);
	row = ui_menu(menu);
	if (row >= 0)
		guest_screen(conn, doms[row]);
	free_guests(doms, n);
	return row;
}

void guests_screen(void)
{
	struct ui_menu menu = { .title = "Guests", .refresh_ms = REFRESH_MS,
		.text = "Choose a guest to start, stop, see or delete it." };
	virConnectPtr conn;

	do {
		conn = virt();
	} while (conn && list_once(conn, &menu) != UI_BACK);
	ui_menu_clear(&menu);
}

int guests_running(char **names)
{
	virConnectPtr conn = virt_quiet();
	virDomainPtr *doms = NULL;
	int n = conn ? list_guests(conn, &doms) : -1, running = 0;

	*names = xstrdup("");
	for (int i = 0; i < n; i++) {
		char *more;

		if (!is_active(doms[i]))
			continue;
		more = xasprintf("%s%s%s", *names, running++ ? ", " : "",
				 virDomainGetName(doms[i]));
		free(*names);
		*names = more;
	}
	free_guests(doms, n);
	return running;
}
