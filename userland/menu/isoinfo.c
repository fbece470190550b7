// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kvm-isoinfo: which system does this ISO image install, or has this cloud image, and
 * what does it need?
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

#include "iso.h"

#define ARCH "x86_64"
#define PATIENCE 30	/* seconds */

static const char usage[] =
"Usage: kvm-isoinfo IMAGE\n"
"       kvm-isoinfo --script DIR ISO\n"
"Prints which system the image installs and what it needs, as JSON. A cloud image\n"
"is known by the name of its file.\n"
"With --script it writes the answers to the installer's questions into DIR, from\n"
"lines \"host NAME\", \"password WORD\", \"timezone ZONE\" and \"disk /dev/DISK\" on\n"
"standard input, and prints their file's name, the paths of kernel and initrd on the\n"
"ISO, and the kernel's command line, a line each.\n"
"\n"
"Exit status: 0 it is known; 1 wrong usage; 2 the image or the database cannot be\n"
"read; 3 the database does not know the image, or how to answer its installer.\n";

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

/*
 * The part of a cloud image's name that its builds share: what comes before "latest"
 * or "daily", else all but the ending.
 */
static int stem(const char *name)
{
	const char *end = strstr(name, "latest");

	if (!end)
		end = strstr(name, "-daily");
	if (!end)
		end = strrchr(name, '.');
	return end ? end - name : (int)strlen(name);
}

/* The longest stem that the file's name begins with names the system. */
static OsinfoImage *find_image(OsinfoDb *db, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
	OsinfoList *systems = OSINFO_LIST(osinfo_db_get_os_list(db));
	OsinfoImage *found = NULL;
	int longest = 0;

	for (int i = 0; i < osinfo_list_get_length(systems); i++) {
		OsinfoOs *os = OSINFO_OS(osinfo_list_get_nth(systems, i));
		OsinfoList *images = OSINFO_LIST(osinfo_os_get_image_list(os));

		for (int k = 0; k < osinfo_list_get_length(images); k++) {
			OsinfoImage *image = OSINFO_IMAGE(osinfo_list_get_nth(images, k));
			const char *url = osinfo_image_get_url(image);
			const char *name = url ? strrchr(url, '/') : NULL;
			int n = name ? stem(++name) : 0;

			if (n <= longest || strncmp(base, name, n) ||
			    g_strcmp0(osinfo_image_get_architecture(image), ARCH))
				continue;
			longest = n;
			found = image;	/* the list of its system keeps it */
		}
		g_object_unref(images);
	}
	g_object_unref(systems);
	return found;
}

/* Is there an answer to all that the script needs, and goes it into the initrd? */
static bool can_answer(OsinfoInstallScript *script)
{
	static const char *const known[] = { "admin-password", "hostname", "target-disk",
		"l10n-language", "l10n-keyboard", "l10n-timezone", "hardware-arch", NULL };
	GList *params = osinfo_install_script_get_config_param_list(script);
	bool all = osinfo_install_script_get_injection_methods(script) &
		OSINFO_INSTALL_SCRIPT_INJECTION_METHOD_INITRD;

	for (GList *p = params; p; p = p->next)
		if (osinfo_install_config_param_is_required(p->data) &&
		    !g_strv_contains(known, osinfo_install_config_param_get_name(p->data)))
			all = false;
	g_list_free(params);
	return all;
}

/*
 * The script that answers the installer's questions for a small system ("jeos"), if
 * the installer can be started by its kernel; NULL: none.
 */
static OsinfoInstallScript *find_script(OsinfoOs *os, OsinfoMedia *media)
{
	OsinfoInstallScript *found = NULL;
	OsinfoList *list;

	if (!media || !osinfo_media_supports_installer_script(media) ||
	    !osinfo_media_get_kernel_path(media) || !osinfo_media_get_initrd_path(media))
		return NULL;
	list = OSINFO_LIST(osinfo_media_get_install_script_list(media));
	if (!osinfo_list_get_length(list)) {
		g_object_unref(list);
		list = OSINFO_LIST(osinfo_os_get_install_script_list(os));
	}
	for (int i = 0; i < osinfo_list_get_length(list) && !found; i++) {
		OsinfoInstallScript *script = OSINFO_INSTALL_SCRIPT(osinfo_list_get_nth(list, i));

		if (!g_strcmp0(osinfo_install_script_get_profile(script), "jeos") &&
		    can_answer(script))
			found = g_object_ref(script);
	}
	g_object_unref(list);
	return found;
}

static void read_answers(OsinfoInstallConfig *config)
{
	static const struct {
		const char *word;
		void (*set)(OsinfoInstallConfig *config, const gchar *value);
	} answers[] = {
		{ "host ", osinfo_install_config_set_hostname },
		{ "password ", osinfo_install_config_set_admin_password },
		{ "timezone ", osinfo_install_config_set_l10n_timezone },
		{ "disk ", osinfo_install_config_set_target_disk },
	};
	char line[256];

	osinfo_install_config_set_hardware_arch(config, ARCH);
	osinfo_install_config_set_l10n_language(config, "en_US");
	osinfo_install_config_set_l10n_keyboard(config, "us");
	/* Nobody but root. Debian's answers compare these with "", and unset is not that. */
	osinfo_install_config_set_user_login(config, "");
	osinfo_install_config_set_user_password(config, "");
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		for (size_t i = 0; i < G_N_ELEMENTS(answers); i++)
			if (g_str_has_prefix(line, answers[i].word))
				answers[i].set(config, line + strlen(answers[i].word));
	}
}

static int write_script(OsinfoOs *os, OsinfoMedia *media, const char *dir)
{
	OsinfoInstallConfig *config = osinfo_install_config_new("https://localhost/kvm-live");
	OsinfoInstallScript *script = find_script(os, media);
	g_autoptr(GError) error = NULL;
	g_autofree char *line = NULL;

	if (!script) {
		fputs("kvm-isoinfo: the database has no answers for this installer\n", stderr);
		return UNKNOWN;
	}
	read_answers(config);
	osinfo_install_script_set_preferred_injection_method(script,
		OSINFO_INSTALL_SCRIPT_INJECTION_METHOD_INITRD);
	osinfo_install_script_set_installation_source(script,
		OSINFO_INSTALL_SCRIPT_INSTALLATION_SOURCE_MEDIA);
	if (!osinfo_install_script_generate_output_for_media(script, media, config,
			g_file_new_for_path(dir), NULL, &error)) {
		fprintf(stderr, "kvm-isoinfo: the answers could not be written to %s: %s\n", dir,
			error ? error->message : "no reason was given");
		return UNREADABLE;
	}
	line = osinfo_install_script_generate_command_line_for_media(script, media, config);
	printf("%s\n%s\n%s\n%s\n", osinfo_install_script_get_output_filename(script),
	       osinfo_media_get_kernel_path(media), osinfo_media_get_initrd_path(media),
	       line ? g_strstrip(line) : "");
	return KNOWN;
}

static void print_os(OsinfoOs *os, OsinfoMedia *media, OsinfoImage *image)
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
	printf("\"tpm\": %s, \"installer\": %s, \"cloud_init\": %s, "
	       "\"unattended\": %s}\n",
	       windows && !strcmp(firmware(os), "efi") ? "1" : "0",
	       media && osinfo_media_get_installer(media) ? "1" : "0",
	       image && osinfo_image_get_cloud_init(image) ? "1" : "0",
	       find_script(os, media) ? "1" : "0");
	g_object_unref(minimum);
	g_object_unref(recommended);
}

static bool is_disk(const char *path)
{
	g_auto(GStrv) endings = g_strsplit(DISK_ENDINGS, ",", -1);
	const char *dot = strrchr(path, '.');

	return dot && g_strv_contains((const char *const *)endings, dot + 1);
}

int main(int argc, char **argv)
{
	const char *dir = NULL, *path;
	g_autoptr(GError) error = NULL;
	OsinfoLoader *loader;
	OsinfoImage *image;
	OsinfoMedia *media;
	OsinfoOs *os = NULL;
	OsinfoDb *db;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return KNOWN;
	}
	if (argc == 4 && !strcmp(argv[1], "--script"))
		dir = argv[2];
	path = argv[argc - 1];
	if (argc != (dir ? 4 : 2) || path[0] == '-') {
		fputs(usage, stderr);
		return USAGE;
	}
	alarm(PATIENCE);	/* some broken images make libosinfo wait for ever */
	media = osinfo_media_create_from_location(path, NULL, &error);
	if (!media && !is_disk(path)) {
		fprintf(stderr, "kvm-isoinfo: %s cannot be read: %s\n", path,
			error ? error->message : "no reason was given");
		return UNREADABLE;
	}
	g_clear_error(&error);
	loader = osinfo_loader_new();
	osinfo_loader_process_default_path(loader, &error);
	if (error) {
		fprintf(stderr, "kvm-isoinfo: the database of systems (package osinfo-db) cannot be read: %s\n",
			error->message);
		return UNREADABLE;
	}
	db = osinfo_loader_get_db(loader);
	image = media ? NULL : find_image(db, path);
	if (image)
		os = osinfo_image_get_os(image);
	else if (media && osinfo_db_identify_media(db, media))
		os = osinfo_media_get_os(media);
	if (!os) {
		fprintf(stderr, "kvm-isoinfo: %s is not in the database of systems\n",
			path);
		return UNKNOWN;
	}
	if (dir)
		return write_script(os, media, dir);
	print_os(os, media, image);
	return KNOWN;
}
