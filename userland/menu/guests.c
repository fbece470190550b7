// SPDX-License-Identifier: GPL-2.0-or-later
/* guests: the list of guests, and what can be done with one. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clone.h"
#include "console.h"
#include "dom.h"
#include "guests.h"
#include "language.h"
#include "remove.h"
#include "settings.h"
#include "snapshot.h"
#include "ui.h"
#include "util.h"
#include "virt.h"
#include "xml.h"

#define REFRESH_MS 2000

static const char *state_text(virDomainPtr dom)
{
	int state, reason;

	if (virDomainGetState(dom, &state, &reason, 0) < 0)
		return _("unknown");
	switch (state) {
	case VIR_DOMAIN_RUNNING:
	case VIR_DOMAIN_BLOCKED:
		return _("running");
	case VIR_DOMAIN_PAUSED:
		return reason == VIR_DOMAIN_PAUSED_IOERROR ?
			_("paused: disk error or no space") : _("paused");
	case VIR_DOMAIN_SHUTDOWN:
		return _("shutting down");
	case VIR_DOMAIN_CRASHED:
		return _("crashed");
	case VIR_DOMAIN_PMSUSPENDED:
		return _("asleep");
	default:
		return _("shut off");
	}
}

static bool is_paused(virDomainPtr dom)
{
	int state = 0, reason;

	return !virDomainGetState(dom, &state, &reason, 0) &&
		state == VIR_DOMAIN_PAUSED;
}

static void start(virDomainPtr dom)
{
	if (is_paused(dom)) {
		virt_resume(dom, "Start");
	} else if (virt_active(dom)) {
		ui_message("Start", "The guest %s is running already.",
			   virDomainGetName(dom));
	} else if (virDomainCreate(dom) < 0) {
		virt_failed("Start", "The guest did not start.", virt_error());
	} else {
		ui_message("Start", "The guest %s was started. Choose Console to see it.",
			   virDomainGetName(dom));
	}
}

/* Says so and returns false when the guest does not run. */
static bool must_run(virDomainPtr dom, const char *title)
{
	if (virt_active(dom))
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

static void pause_guest(virDomainPtr dom)
{
	if (!must_run(dom, "Pause"))
		return;
	if (is_paused(dom)) {
		if (virt_resume(dom, "Pause"))
			ui_message("Pause", "The guest %s goes on.", virDomainGetName(dom));
	} else if (virDomainSuspend(dom) < 0) {
		virt_failed("Pause", "The guest could not be paused.", virt_error());
	} else {
		ui_message("Pause", "The guest %s is paused: it keeps its memory, and stands still until it is told to go on.",
			   virDomainGetName(dom));
	}
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
	if (!must_run(dom, "Reboot"))
		return;
	if (virDomainReboot(dom, 0) < 0)
		virt_failed("Reboot", "The guest could not be asked to reboot.",
			    virt_error());
	else
		ui_message("Reboot", "The guest %s was asked to reboot. If it does not listen, choose Force off and Start.",
			   virDomainGetName(dom));
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
	return text ? text : xstrdup(_("not available\n"));
}

static void details(virDomainPtr dom)
{
	char *xml = virDomainGetXMLDesc(dom, 0), *disks = remove_lines(dom);
	char *type = xml ? xml_attr(xml, NULL, "domain", "type") : NULL;
	char *vnc = dom_vnc(xml);
	char *exits = exits_text(dom), *text;
	char uuid[VIR_UUID_STRING_BUFLEN] = "";
	virDomainInfo info;

	memset(&info, 0, sizeof(info));
	virDomainGetInfo(dom, &info);
	virDomainGetUUIDString(dom, uuid);
	text = xasprintf(_("Guest: %s\nState: %s\nType: %s%s\nCPUs: %u\nMemory: %lu MiB\nUUID: %s\nVNC: %s\nFiles:\n%s\nExits by reason:\n%s"),
			 virDomainGetName(dom), state_text(dom),
			 type ? type : "?",
			 type && !strcmp(type, "qemu") ? _(" (slow emulation)") : "",
			 info.nrVirtCpu, info.maxMem / 1024, uuid,
			 vnc ? vnc : _("no screen, or not running"),
			 disks, exits);
	ui_view("Details", text);
	free(text);
	free(exits);
	free(vnc);
	free(type);
	free(disks);
	free(xml);
}

static int guest_menu(virDomainPtr dom, struct ui_menu *menu)
{
	int row;

	menu->title = N_("Guest");
	menu->refresh_ms = REFRESH_MS;
	do {
		char *xml = virDomainGetXMLDesc(dom, 0), *vnc = dom_vnc(xml);

		menu->text = xasprintf(vnc ? _("Guest %s: %s   screen: VNC %s") : _("Guest %s: %s"),
				       virDomainGetName(dom), state_text(dom), vnc);
		row = ui_menu(menu);
		free((char *)menu->text);
		free(vnc);
		free(xml);
	} while (row == UI_TIMEOUT);
	return row;
}

static void guest_rows(struct ui_menu *menu)
{
	ui_menu_add(menu, 's', "Start, or go on when paused");
	ui_menu_add(menu, 'c', "Console");
	ui_menu_add(menu, 'p', "Pause, or go on");
	ui_menu_add(menu, 'u', "Shut down: ask the system in the guest to");
	ui_menu_add(menu, 'f', "Force off: cut its power");
	ui_menu_add(menu, 'r', "Reboot");
	ui_menu_add(menu, 'h', "Settings: name, memory, CPUs, disks, CD, network...");
	ui_menu_add(menu, 't', "Snapshots: make, revert, delete");
	ui_menu_add(menu, 'l', "Clone");
	ui_menu_add(menu, 'e', "Details");
	ui_menu_add(menu, 'd', "Delete");
}

/* One action, by its row. False: the guest is gone. */
static bool guest_act(virConnectPtr conn, virDomainPtr *dom, int row)
{
	static void (*const actions[])(virDomainPtr) = {
		start, console, pause_guest, shut_down, force_off, reboot };

	if (row < (int)ARRAY_SIZE(actions)) {
		actions[row](*dom);
	} else if (row == 6) {
		settings_screen(conn, dom);
	} else if (row == 7) {
		snapshot_screen(*dom);
	} else if (row == 8) {
		clone_screen(conn, *dom);
	} else if (row == 9) {
		details(*dom);
	} else {
		return !remove_screen(conn, *dom);
	}
	return true;
}

static void guest_screen(virConnectPtr conn, virDomainPtr *dom)
{
	struct ui_menu menu = { .n = 0 };
	int row;

	guest_rows(&menu);
	while ((row = guest_menu(*dom, &menu)) >= 0 && guest_act(conn, dom, row))
		;
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
	ui_menu_add(menu, i < 9 ? '1' + i : 0, "%s %2u CPUs %6lu MiB  %s",
		    ui_column(virDomainGetName(dom), 26), info.nrVirtCpu, info.maxMem / 1024,
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
		guest_screen(conn, &doms[row]);
	free_guests(doms, n);
	return row;
}

void guests_screen(void)
{
	struct ui_menu menu = { .title = N_("Guests"), .refresh_ms = REFRESH_MS,
		.text = N_("Choose a guest to start, stop, see, change or delete it.") };
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
	int n = conn ? list_guests(conn, &doms) : -1, running = n < 0 ? -1 : 0;

	*names = xstrdup("");
	for (int i = 0; i < n; i++) {
		char *more;

		if (!virt_active(doms[i]))
			continue;
		more = xasprintf("%s%s%s", *names, running++ ? ", " : "",
				 virDomainGetName(doms[i]));
		free(*names);
		*names = more;
	}
	free_guests(doms, n);
	return running;
}
