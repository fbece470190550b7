// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * settings: what a guest is made of: name, memory, CPUs, network, boot order.
 *
 * Each change is written into the description that libvirt keeps, and so holds
 * from the guest's next start on; drives.c changes disks and CDs at once as well.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dom.h"
#include "drives.h"
#include "host.h"
#include "language.h"
#include "settings.h"
#include "ui.h"
#include "util.h"
#include "validate.h"
#include "xml.h"

static const char *check_name(const char *value, void *data)
{
	(void)data;
	return name_problem(value);
}

bool settings_ask_name(char **name)
{
	return ui_ask("Guest name", "Name of the guest: letters, digits, and the characters . _ - (at most 50).",
		      name, check_name, NULL);
}

static const char *check_memory(const char *value, void *mib)
{
	const char *problem = parse_memory(value, mib);

	if (!problem && *(uint64_t *)mib > host_memory_mib())
		problem = _("That is more memory than this host has. Type a smaller number.");
	return problem;
}

bool settings_ask_memory(uint64_t *mib)
{
	char *value = xasprintf("%llu", (unsigned long long)*mib);
	char *text = xasprintf(_("Memory of the guest in MiB, or with a unit such as 2G. The host has %llu MiB, of which %llu MiB are available."),
			       (unsigned long long)host_memory_mib(),
			       (unsigned long long)host_memory_available_mib());
	uint64_t typed;
	bool done = ui_ask("Memory", text, &value, check_memory, &typed);

	if (done)
		*mib = typed;
	free(value);
	free(text);
	return done;
}

struct cpus {
	unsigned int max, n;
};

static const char *check_cpus(const char *value, void *data)
{
	struct cpus *c = data;

	return parse_count(value, c->max, &c->n);
}

bool settings_ask_cpus(unsigned int max, unsigned int *n)
{
	struct cpus c = { .max = max };
	char *value = xasprintf("%u", *n);
	char *text = xasprintf(_("Number of processors of the guest, at most %u. The host has %u."),
			       max, host_cpus());
	bool done = ui_ask("CPUs", text, &value, check_cpus, &c);

	if (done)
		*n = c.n;
	free(value);
	free(text);
	return done;
}

/* The name must be one, because it becomes a path here and an argument there. */
static const char *check_bridge(const char *value, void *data)
{
	char *path;
	bool is;

	(void)data;
	if (name_problem(value))
		return _("That is not the name of a bridge. Type one such as br0.");
	path = xasprintf("/sys/class/net/%s/bridge", value);
	is = !access(path, F_OK);
	free(path);
	return is ? NULL : _("There is no bridge of that name on this host. The names are listed by: ip link show type bridge");
}

/* A row for each bridge of the host but libvirt's own. */
static void add_bridges(struct ui_menu *menu, glob_t *found)
{
	if (glob("/sys/class/net/*/bridge", 0, NULL, found))
		found->gl_pathc = 0;
	for (size_t i = 0; i < found->gl_pathc; i++) {
		char *name = found->gl_pathv[i] + strlen("/sys/class/net/");

		*strrchr(name, '/') = '\0';
		ui_menu_add(menu, i < 9 ? '1' + (int)i : 0, strncmp(name, "virbr", 5) ?
			    N_("Bridge %s: the guest is in that network like any machine") :
			    N_("Bridge %s (libvirt's own)"), name);
	}
}

/* One round of the menu; true: it is answered, in *row. */
static bool choose_network(struct ui_menu *menu, const glob_t *found, int *row,
			   char **name)
{
	*row = ui_menu(menu);
	if (*row == 2)
		return ui_ask("Bridge", "Name of the bridge on this host.", name,
			      check_bridge, NULL);
	if (*row > 2) {
		free(*name);
		*name = xstrdup(found->gl_pathv[*row - 3] + strlen("/sys/class/net/"));
	}
	return true;
}

bool settings_ask_network(bool *network, char **bridge)
{
	struct ui_menu menu = { .title = N_("Network of the guest"),
		.text = N_("With NAT the guest reaches what the host reaches, and nobody reaches the guest. On a bridge it has a place of its own in the network.") };
	char *name = xstrdup(*bridge ? *bridge : "br0");
	glob_t found = { .gl_pathc = 0 };
	int row;

	ui_menu_add(&menu, 'n', "NAT (the network default)");
	ui_menu_add(&menu, '0', "none");
	ui_menu_add(&menu, 't', "Bridge: type its name");
	add_bridges(&menu, &found);
	menu.at = !*network ? 1 : *bridge ? 2 : 0;
	while (!choose_network(&menu, &found, &row, &name))
		;
	if (row >= 0) {
		*network = row != 1;
		free(*bridge);
		*bridge = row >= 2 ? xstrdup(name) : NULL;
	}
	free(name);
	ui_menu_clear(&menu);
	if (found.gl_pathv)
		globfree(&found);
	return row >= 0;
}

static char *network_text(const char *xml)
{
	char *name, *text;

	switch (dom_network(xml, &name)) {
	case NETWORK_NONE:
		text = xstrdup(_("none"));
		break;
	case NETWORK_NAT:
		text = xstrdup(_("NAT (the network default)"));
		break;
	case NETWORK_BRIDGE:
		text = xasprintf(_("bridge %s"), name);
		break;
	default:
		text = name ? xasprintf(_("network %s"), name) : xstrdup(_("network of another kind"));
	}
	free(name);
	return text;
}

static const char *boot_text(enum dom_boot boot)
{
	static const char *const texts[] = {
		[BOOT_DISK] = N_("disk, then CD, then network"),
		[BOOT_CD] = N_("CD, then disk, then network"),
		[BOOT_NETWORK] = N_("network, then disk, then CD") };

	return translated(texts[boot]);
}

/* The object keeps the old name, so another is taken. */
static void look_up_again(virDomainPtr *dom)
{
	unsigned char uuid[VIR_UUID_BUFLEN];
	virDomainPtr again;

	virDomainGetUUID(*dom, uuid);
	again = virDomainLookupByUUID(virDomainGetConnect(*dom), uuid);
	if (!again)
		return;
	virDomainFree(*dom);
	*dom = again;
}

static void rename_guest(virDomainPtr *at)
{
	virDomainPtr dom = *at;
	char *name = xstrdup(virDomainGetName(dom));

	if (virt_active(dom)) {
		ui_message("Name", "The guest %s is running, and only one that is off can be renamed. Shut it down first.",
			   name);
	} else if (settings_ask_name(&name) && strcmp(name, virDomainGetName(dom))) {
		if (virDomainRename(dom, name, 0) < 0)
			virt_failed("Name", "The guest keeps its name.", virt_error());
		else
			ui_message("Name", "The guest is called %s now. Its disks keep their names.",
				   name);
		look_up_again(at);
	}
	free(name);
}

/* Defines the edited description and tells what is so now; both are freed. */
static void apply(virDomainPtr dom, const char *title, char *xml, char *what)
{
	if (virt_redefine(dom, title, xml))
		virt_changed(dom, title, what);
	free(xml);
	free(what);
}

static void set_memory(virDomainPtr dom)
{
	uint64_t mib = virDomainGetMaxMemory(dom) / 1024;
	char *xml;

	if (!settings_ask_memory(&mib))
		return;
	xml = virt_xml(dom);
	if (!xml)
		return;
	dom_set_memory(&xml, mib);
	apply(dom, "Memory", xml, xasprintf(_("The guest has %llu MiB of memory"),
					    (unsigned long long)mib));
}

static void set_cpus(virConnectPtr conn, virDomainPtr dom, const char *now)
{
	char *type = xml_attr(now, NULL, "domain", "type");
	int max = virConnectGetMaxVcpus(conn, type), has;
	unsigned int n;
	char *xml;

	free(type);
	has = virDomainGetVcpusFlags(dom, VIR_DOMAIN_VCPU_CONFIG |
				     VIR_DOMAIN_VCPU_MAXIMUM);
	n = has > 0 ? has : 1;
	if (!settings_ask_cpus(max > 0 ? max : 64, &n))
		return;
	xml = virt_xml(dom);
	if (!xml)
		return;
	dom_set_cpus(&xml, n);
	apply(dom, "CPUs", xml, xasprintf(ngettext("The guest has %u CPU",
						   "The guest has %u CPUs", n), n));
}

static void set_network(virDomainPtr dom, const char *now)
{
	char *bridge, *xml, *text;
	enum dom_network kind = dom_network(now, &bridge);
	bool network = kind != NETWORK_NONE;

	if (kind != NETWORK_BRIDGE) {
		free(bridge);
		bridge = NULL;
	}
	if (settings_ask_network(&network, &bridge) && (xml = virt_xml(dom))) {
		dom_set_network(&xml, !network ? NETWORK_NONE : bridge ?
				NETWORK_BRIDGE : NETWORK_NAT, bridge);
		text = network_text(xml);
		apply(dom, "Network", xml, xasprintf(_("The guest's network is: %s"), text));
		free(text);
	}
	free(bridge);
}

static void set_boot(virDomainPtr dom, const char *now)
{
	struct ui_menu menu = { .title = N_("Boot order"), .at = dom_boot(now),
		.text = N_("What the guest tries to start from first. A blank disk is passed over.") };
	char *xml;
	int row;

	ui_menu_add(&menu, 'd', "%s", boot_text(BOOT_DISK));
	ui_menu_add(&menu, 'c', "%s", boot_text(BOOT_CD));
	ui_menu_add(&menu, 'n', "%s", boot_text(BOOT_NETWORK));
	row = ui_menu(&menu);
	ui_menu_clear(&menu);
	xml = row < 0 ? NULL : virt_xml(dom);
	if (!xml)
		return;
	dom_set_boot(&xml, row);
	apply(dom, "Boot order", xml, xasprintf(_("The guest boots: %s"), boot_text(row)));
}

static void toggle_autostart(virDomainPtr dom)
{
	int on = 0;

	virDomainGetAutostart(dom, &on);
	if (virDomainSetAutostart(dom, !on) < 0)
		virt_failed("Autostart", "The guest's autostart stays as it is.",
			    virt_error());
	else
		ui_message("Autostart", on ? N_("The guest %s is not started with the host any more.") :
			   N_("The guest %s is started with the host from now on."),
			   virDomainGetName(dom));
}

static void rows(struct ui_menu *menu, virDomainPtr dom, const char *xml)
{
	int cpus = virDomainGetVcpusFlags(dom, VIR_DOMAIN_VCPU_CONFIG |
					  VIR_DOMAIN_VCPU_MAXIMUM);
	char *disks = drives_text(xml), *cd = drives_cd_text(xml);
	char *network = network_text(xml), *memory;
	int on = 0;

	memory = xml_content(xml, NULL, "memory");
	virDomainGetAutostart(dom, &on);
	ui_menu_clear(menu);
	ui_menu_add(menu, 'n', "Name             %s", virDomainGetName(dom));
	ui_menu_add(menu, 'm', "Memory           %lu MiB",
		    memory ? strtoul(memory, NULL, 10) / 1024 : 0);
	ui_menu_add(menu, 'c', "CPUs             %d", cpus < 1 ? 1 : cpus);
	ui_menu_add(menu, 'k', "Disks            %s", disks);
	ui_menu_add(menu, 'i', "CD               %s", cd);
	ui_menu_add(menu, 't', "Network          %s", network);
	ui_menu_add(menu, 'o', "Boot order       %s", boot_text(dom_boot(xml)));
	ui_menu_add(menu, 'a', "Autostart        %s", on ? _("on: it starts with the host") : _("off"));
	free(memory);
	free(network);
	free(disks);
	free(cd);
}

static void edit(virConnectPtr conn, virDomainPtr *at, const char *xml, int row)
{
	virDomainPtr dom = *at;

	switch (row) {
	case 0:
		rename_guest(at);
		break;
	case 1:
		set_memory(dom);
		break;
	case 2:
		set_cpus(conn, dom, xml);
		break;
	case 3:
		drives_screen(conn, dom);
		break;
	case 4:
		drives_cd_screen(dom);
		break;
	case 5:
		set_network(dom, xml);
		break;
	case 6:
		set_boot(dom, xml);
		break;
	case 7:
		toggle_autostart(dom);
		break;
	}
}

void settings_screen(virConnectPtr conn, virDomainPtr *dom)
{
	struct ui_menu menu = { .title = N_("Settings of the guest") };
	char *xml;
	int row;

	do {
		xml = virt_xml(*dom);
		if (!xml) {
			virt_failed("Settings", "The guest's settings could not be read.",
				    virt_error());
			break;
		}
		menu.text = virt_active(*dom) ?
			N_("The guest is running. Disks and CDs change at once where the guest can; the rest changes at its next start, and the name only while it is off.") :
			N_("The guest is off, so everything can be changed.");
		rows(&menu, *dom, xml);
		row = ui_menu(&menu);
		edit(conn, dom, xml, row);
		free(xml);
	} while (row >= 0);
	ui_menu_clear(&menu);
}
