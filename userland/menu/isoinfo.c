// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvm-isoinfo: which system does this ISO image install, and what does it need?
 *
 * Asks libosinfo and its database, and prints one JSON object. It is a program of
 * its own because the database takes a second and 50 MB to read: the menu, which
 * stays in memory, does without, and an image that upsets a parser cannot take it
 * along.
 */
#include <osinfo/osinfo.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ARCH "x86_64"
#define PATIENCE 30	/* seconds */

static const char usage[] =
"Usage: kvm-isoinfo ISO\n"
"Prints which system the image installs and what it needs, as JSON.\n"
"\n"
"Exit status: 0 it is known; 1 wrong usage; 2 the image or the database cannot be\n"
"read; 3 the database does not know the image.\n";

enum { KNOWN, USAGE, UNREADABLE, UNKNOWN };

/* The resources of our architecture, or those for all; NULL if there are none. */
static OsinfoResources *pick(OsinfoResourcesList *list)
{
	OsinfoResources *any = NULL;

	for (int i = 0; i < osinfo_list_get_length(OSINFO_LIST(list)); i++) {
		OsinfoResources *r = OSINFO_RESOURCES(osinfo_list_get_nth(OSINFO_LIST(list), i));
		const char *arch = osinfo_resources_get_architecture(r);

		if (!g_strcmp0(arch, ARCH))
			return r;
		if (!g_strcmp0(arch, "all"))
			any = r;
	}
	return any;
}

/* The larger of what is recommended and what is needed at least. */
static gint64 larger(gint64 (*get)(OsinfoResources *), OsinfoResources *a,
		     OsinfoResources *b)
{
	gint64 x = a ? get(a) : -1, y = b ? get(b) : -1;

	return x > y ? x : y;
}

static gint64 cpus(OsinfoResources *r)
{
	return osinfo_resources_get_n_cpus(r);
}

static bool supports(OsinfoOs *os, const char *type, bool *said)
{
	OsinfoFirmwareList *list = osinfo_os_get_complete_firmware_list(os, NULL);
	bool supported = false;

	*said = false;
	for (int i = 0; i < osinfo_list_get_length(OSINFO_LIST(list)); i++) {
		OsinfoFirmware *f = OSINFO_FIRMWARE(osinfo_list_get_nth(OSINFO_LIST(list), i));

		if (g_strcmp0(osinfo_firmware_get_architecture(f), ARCH) ||
		    g_strcmp0(osinfo_firmware_get_firmware_type(f), type))
			continue;
		*said = true;
		supported = osinfo_firmware_is_supported(f);
	}
	g_object_unref(list);
	return supported;
}

/* "bios" or "efi" when only one of them works, else "any". */
static const char *firmware(OsinfoOs *os)
{
	bool bios_said, efi_said;
	bool bios = supports(os, "bios", &bios_said);
	bool efi = supports(os, "efi", &efi_said);

	if (bios_said && !bios && efi)
		return "efi";
	if (efi_said && !efi)
		return "bios";
	return "any";
}

/* Has the system a driver for the PCI device of that vendor and number? */
static bool drives(OsinfoOs *os, const char *const *ids)
{
	OsinfoDeviceList *list = osinfo_os_get_all_devices(os, NULL);
	bool found = false;

	for (; *ids; ids++)
		if (osinfo_list_find_by_id(OSINFO_LIST(list), *ids))
			found = true;
	g_object_unref(list);
	return found;
}

/*
 * virtio where the system itself has the driver; SATA came into use with systems of
 * 2007, and older ones want IDE.
 */
static const char *devices(OsinfoOs *os)
{
	static const char *const block[] = { "http://pcisig.com/pci/1af4/1001",
					     "http://pcisig.com/pci/1af4/1042", NULL };
	const char *date = osinfo_product_get_release_date_string(OSINFO_PRODUCT(os));

	if (drives(os, block))
		return "virtio";
	return date && g_ascii_strtoll(date, NULL, 10) < 2007 ? "ide" : "sata";
}

static void print_string(const char *key, const char *value)
{
	printf("\"%s\": \"", key);
	for (; value && *value; value++) {
		if (*value == '"' || *value == '\\')
			putchar('\\');
		putchar((unsigned char)*value < ' ' ? ' ' : *value);
	}
	fputs("\", ", stdout);
}

static void print_os(OsinfoOs *os, OsinfoMedia *media)
{
	OsinfoResourcesList *minimum = osinfo_os_get_minimum_resources(os);
	OsinfoResourcesList *recommended = osinfo_os_get_recommended_resources(os);
	OsinfoResources *least = pick(minimum), *good = pick(recommended);
	bool windows = !g_strcmp0(osinfo_os_get_family(os), "winnt");

	putchar('{');
	print_string("id", osinfo_product_get_short_id(OSINFO_PRODUCT(os)));
	print_string("name", osinfo_product_get_name(OSINFO_PRODUCT(os)));
	print_string("firmware", firmware(os));
	print_string("devices", devices(os));
	printf("\"memory\": %lld, \"cpus\": %lld, \"disk\": %lld, ",
	       (long long)larger(osinfo_resources_get_ram, least, good),
	       (long long)larger(cpus, least, good),
	       (long long)larger(osinfo_resources_get_storage, least, good));
	/* the database does not say it yet: a Windows without BIOS wants both */
	printf("\"tpm\": %s, \"installer\": %s}\n",
	       windows && !strcmp(firmware(os), "efi") ? "1" : "0",
	       osinfo_media_get_installer(media) ? "1" : "0");
	g_object_unref(minimum);
	g_object_unref(recommended);
}

int main(int argc, char **argv)
{
	g_autoptr(GError) error = NULL;
	OsinfoLoader *loader;
	OsinfoMedia *media;
	OsinfoOs *os;
	OsinfoDb *db;

	if (argc != 2 || argv[1][0] == '-') {
		fputs(usage, argc == 2 && !strcmp(argv[1], "--help") ? stdout : stderr);
		return argc == 2 && !strcmp(argv[1], "--help") ? KNOWN : USAGE;
	}
	alarm(PATIENCE);	/* some broken images make libosinfo wait for ever */
	media = osinfo_media_create_from_location(argv[1], NULL, &error);
	if (!media) {
		fprintf(stderr, "kvm-isoinfo: %s cannot be read: %s\n", argv[1],
			error ? error->message : "no reason was given");
		return UNREADABLE;
	}
	loader = osinfo_loader_new();
	osinfo_loader_process_default_path(loader, &error);
	if (error) {
		fprintf(stderr, "kvm-isoinfo: the database of systems (package osinfo-db) cannot be read: %s\n",
			error->message);
		return UNREADABLE;
	}
	db = osinfo_loader_get_db(loader);
	if (!osinfo_db_identify_media(db, media) || !(os = osinfo_media_get_os(media))) {
		fprintf(stderr, "kvm-isoinfo: %s is not in the database of systems\n",
			argv[1]);
		return UNKNOWN;
	}
	print_os(os, media);
	return KNOWN;
}
