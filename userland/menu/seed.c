// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * seed: asks for the login of a new system, and writes what tells the system.
 *
 * cloud-init looks for a volume named "cidata" at each start, so its CD (NAME-seed.iso,
 * beside the disks) stays in the guest's drive and goes with the guest. The password
 * is on it as a hash. An installer gets its answers, with the password, in an initrd
 * that is there until the guest has started. kvm-live-seed(8) makes the files.
 */
#include <crypt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "job.h"
#include "language.h"
#include "seed.h"
#include "ui.h"
#include "util.h"
#include "xml.h"

/* The first public key of the one who runs this program, or "". */
static char *own_key(void)
{
	static const char *const names[] = { "id_ed25519.pub", "id_ecdsa.pub",
					     "id_rsa.pub", "authorized_keys" };
	const char *home = getenv("HOME");

	for (size_t i = 0; home && i < ARRAY_SIZE(names); i++) {
		char *path = xasprintf("%s/.ssh/%s", home, names[i]);
		char *text = read_file(path);

		free(path);
		if (text) {
			text[strcspn(text, "\n")] = '\0';
			if (*trim(text) && !login_key_problem(text))
				return text;
		}
		free(text);
	}
	return xstrdup("");
}

void seed_defaults(struct login *l)
{
	*l = (struct login){ .user = xstrdup("admin"), .host = xstrdup(""),
		.password = xstrdup(""), .key = own_key() };
}

void seed_free(struct login *l)
{
	free(l->user);
	free(l->host);
	free(l->key);
	explicit_bzero(l->password, strlen(l->password));
	free(l->password);
}

char *seed_text(const struct login *l)
{
	return xasprintf(!*l->key ? *l->password ? _("%s, with a password") : _("%s, with ") :
			 *l->password ? _("%s, with a password and an SSH key") :
			 _("%s, with an SSH key"), l->user);
}

static const char *check_user(const char *value, void *data)
{
	(void)data;
	return login_user_problem(value);
}

static const char *check_host(const char *value, void *data)
{
	(void)data;
	return login_host_problem(value);
}

static const char *check_key(const char *value, void *data)
{
	(void)data;
	return login_key_problem(value);
}

static void ask_password(struct login *l)
{
	char *password = ui_new_password("Password", "Password for the new system, at least 8 characters. It is not shown.",
					 login_password_problem);

	if (!password)
		return;
	explicit_bzero(l->password, strlen(l->password));
	free(l->password);
	l->password = password;
}

static void edit(struct login *l, int key)
{
	switch (key) {
	case 'u':
		ui_ask("User", "Name of the user, who may become root with sudo: lower case letters, digits, _ and -.",
		       &l->user, check_user, NULL);
		break;
	case 'p':
		ask_password(l);
		break;
	case 'h':
		l->host_typed |= ui_ask("Host name", "Name of the new system in its network: letters, digits and hyphens.",
					&l->host, check_host, NULL);
		break;
	case 'k':
		ui_ask("SSH key", "Public SSH key of the one who logs in: one line, as in the file id_ed25519.pub. Empty: none.",
		       &l->key, check_key, NULL);
		break;
	}
}

bool seed_ask(struct login *l, const char *title, const char *text, bool installer)
{
	struct ui_menu menu = { .title = title, .text = text };
	bool done = false;
	int row;

	do {
		ui_menu_clear(&menu);
		ui_menu_add(&menu, 'g', "Go on");
		if (!installer)
			ui_menu_add(&menu, 'u', "User             %s", l->user);
		ui_menu_add(&menu, 'p', "Password         %s", *l->password ? _("set") : _("none"));
		ui_menu_add(&menu, 'h', "Host name        %s", l->host);
		if (!installer)
			ui_menu_add(&menu, 'k', "SSH key          %s", *l->key ? l->key : _("none"));
		row = ui_menu(&menu);
		done = row == 0 && (*l->password || (!installer && *l->key));
		if (row == 0 && !done)
			ui_message(title, installer ? N_("Nobody could log in: set a password with P.") :
				   N_("Nobody could log in: set a password with P, an SSH key with K, or both."));
		if (row > 0)
			edit(l, menu.items[row].key);
	} while (row >= 0 && !done);
	ui_menu_clear(&menu);
	return done;
}

/* As in /etc/shadow; NULL: this system makes no such hash. */
static char *hashed(const char *password)
{
	struct crypt_data *data = xrealloc(NULL, sizeof(*data));
	char salt[CRYPT_GENSALT_OUTPUT_SIZE], *hash = NULL;

	memset(data, 0, sizeof(*data));
	if (!*password)
		hash = xstrdup("");
	else if (crypt_gensalt_rn("$6$", 0, NULL, 0, salt, sizeof(salt)) &&
		 crypt_r(password, salt, data) && !strncmp(data->output, "$6$", 3))
		hash = xstrdup(data->output);
	explicit_bzero(data, sizeof(*data));
	free(data);
	return hash;
}

/* Where files can be put: the pool's folder or, if it has none, that of the menu's pool. */
static char *folder(virStoragePoolPtr pool)
{
	virStoragePoolPtr other = NULL;
	char *path, *xml = virStoragePoolGetXMLDesc(pool, 0), *type = virt_pool_type(pool);

	if (strcmp(type, "dir") && strcmp(type, "netfs") && strcmp(type, "fs")) {
		other = virStoragePoolLookupByName(virStoragePoolGetConnect(pool), options.pool);
		free(xml);
		xml = other ? virStoragePoolGetXMLDesc(other, 0) : NULL;
	}
	path = xml ? xml_content(strstr(xml, "<target>") ? strstr(xml, "<target>") : xml,
				 NULL, "path") : NULL;
	if (other)
		virStoragePoolFree(other);
	free(type);
	free(xml);
	return path ? path : xstrdup("");
}

char *seed_write(virStoragePoolPtr pool, const char *guest, const struct login *l)
{
	char *dir = folder(pool), *path = xasprintf("%s/%s-seed.iso", dir, guest);
	char *hash = hashed(l->password);
	struct job *job = job_new("kvm-live-seed", "cloud");

	job_add(job, path);
	job->input = hash ? cloud_user_data(l, hash) : NULL;
	job_wait(job, "Login of the new system", "The CD with the login is being made.");
	if (!hash || job->status) {
		ui_message("Login of the new system", "%s", hash ? job_said(job) :
			   _("The password could not be hashed. Type another, or use an SSH key."));
		free(path);
		path = NULL;
	}
	job_free(job);
	free(hash);
	free(dir);
	return path;
}

/* "Europe/Berlin", where this host keeps it. */
static char *timezone_name(void)
{
	char path[256];
	ssize_t n = readlink("/etc/localtime", path, sizeof(path) - 1);
	const char *at;

	path[n > 0 ? n : 0] = '\0';
	at = strstr(path, "/zoneinfo/");
	return xstrdup(at ? at + strlen("/zoneinfo/") : "UTC");
}

void seed_forget(char *dir)
{
	static const char *const files[] = { "linux", "initrd" };

	for (size_t i = 0; dir && i < ARRAY_SIZE(files); i++) {
		char *path = xasprintf("%s/%s", dir, files[i]);

		unlink(path);
		free(path);
	}
	if (dir)
		rmdir(dir);
	free(dir);
}

char *seed_installer(const char *iso, const char *disk, const struct login *l,
		     char **line)
{
	char *dir = xstrdup("/var/lib/libvirt/boot/kvm-live-XXXXXX"), *zone = timezone_name();
	struct job *job;

	*line = NULL;
	/* the guest's user has to get through */
	if (!mkdtemp(dir) || chmod(dir, 0711)) {
		ui_message("Unattended", "No folder could be made in /var/lib/libvirt/boot. Is its disk full?");
		free(dir);
		free(zone);
		return NULL;
	}
	job = job_new("kvm-live-seed", "installer");
	job_add(job, iso);
	job_add(job, dir);
	job->input = xasprintf("host %s\npassword %s\ntimezone %s\ndisk %s\n", l->host,
			       l->password, zone, disk);
	free(zone);
	job_wait(job, "Unattended", "The installer and its answers are being prepared.");
	if (job->status) {
		ui_message("Unattended", "%s", job_said(job));
		seed_forget(dir);
		dir = NULL;
	} else {
		*line = xstrdup(trim(job->output));
	}
	job_free(job);
	return dir;
}
