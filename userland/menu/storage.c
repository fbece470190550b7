// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * storage: where guests are kept, and whether they survive a restart.
 *
 * On the live system that is the data volume's matter. kvm-live-data(8) finds,
 * makes, unlocks and uses it; the menu asks the questions. That program writes its
 * state to a small file, which is read here each time that a screen is drawn, so
 * that a volume which is found late or goes away shows at once. A machine with
 * kvm-live installed keeps everything on its own disks.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "host.h"
#include "job.h"
#include "json.h"
#include "language.h"
#include "pools.h"
#include "storage.h"
#include "ui.h"
#include "util.h"
#include "virt.h"

#define PROGRAM		"kvm-live-data"
#define IMAGES		"/var/lib/libvirt/images"
#define REFRESH_MS	2000

struct storage {
	bool live;		/* the live system, else an installed one */
	char *state;		/* as kvm-live-data status has it */
	char *message;
	bool encrypted;
	uint64_t size, free;	/* of the file system that guests are on; 0: unknown */
};

/* Where /run is; tests have one of their own. */
static char *run_path(const char *name)
{
	const char *root = getenv("KVM_LIVE_DATA_ROOT");

	return xasprintf("%s/run/%s", root ? root : "", name);
}

static bool run_exists(const char *name)
{
	char *path = run_path(name);
	bool exists = !access(path, F_OK);

	free(path);
	return exists;
}

static void set_state(struct storage *s, const char *state, const char *message)
{
	free(s->state);
	free(s->message);
	s->state = xstrdup(state);
	s->message = xstrdup(message);
}

static void read_space(struct storage *s, const char *path, bool *read_only)
{
	struct statvfs fs;
	struct stat st;

	if (stat(path, &st) || statvfs(path, &fs)) {
		*read_only = errno == EIO;	/* XFS has shut itself down */
		return;
	}
	s->size = (uint64_t)fs.f_blocks * fs.f_frsize;
	s->free = (uint64_t)fs.f_bavail * fs.f_frsize;
	*read_only = fs.f_flag & ST_RDONLY;
}

/* The file says what was true when it was written; the volume may have gone. */
static void check_in_use(struct storage *s, const char *json)
{
	char *device = json_string(json_get(json, "device"));
	char *at = json_string(json_get(json, "mountpoint"));
	bool read_only = false;

	read_space(s, at ? at : IMAGES, &read_only);
	if (device && access(device, F_OK))
		set_state(s, "gone", N_("The data volume has gone away: attach it again and restart. What changes meanwhile will be lost."));
	else if (read_only)
		set_state(s, "broken", N_("The data volume had an error and takes no more changes. Save what you need and restart: it is checked then."));
	free(device);
	free(at);
}

static void storage_read(struct storage *s)
{
	char *path = run_path("kvm-live/data.json"), *json, *encrypted;
	bool read_only;

	*s = (struct storage){ .live = run_exists("live") };
	if (!s->live) {
		read_space(s, IMAGES, &read_only);
		free(path);
		return;
	}
	json = read_file(path);
	free(path);
	s->state = json ? json_string(json_get(json, "state")) : NULL;
	s->message = json ? json_string(json_get(json, "message")) : NULL;
	encrypted = json ? json_string(json_get(json, "encrypted")) : NULL;
	s->encrypted = encrypted && !strcmp(encrypted, "yes");
	free(encrypted);
	if (!s->state || !s->message) {
		if (run_exists("kvm-live-started"))
			set_state(s, "none", N_("There is no data volume."));
		else
			set_state(s, "searching", N_("The data volume is being looked for."));
	} else if (!strcmp(s->state, "in-use")) {
		check_in_use(s, json);
	}
	free(json);
}

static void storage_forget(struct storage *s)
{
	free(s->state);
	free(s->message);
}

static bool is(const struct storage *s, const char *state)
{
	return s->state && !strcmp(s->state, state);
}

static bool survives(const struct storage *s)
{
	return !s->live || is(s, "in-use");
}

const char *storage_warning(void)
{
	static const struct { const char *state, *warning; } warnings[] = {
		{ "none", N_("No data volume: changes and guests will be lost at power-off (see Storage).") },
		{ "searching", N_("The data volume is being looked for.") },
		{ "locked", N_("The data volume is locked: changes and guests will be lost (see Storage).") },
		{ "gone", N_("The data volume has gone: changes and guests will be lost (see Storage).") },
	};
	const char *warning = N_("The data volume is not used: changes and guests will be lost (see Storage).");
	struct storage s;

	storage_read(&s);
	if (survives(&s))
		warning = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(warnings); i++)
		if (is(&s, warnings[i].state))
			warning = warnings[i].warning;
	storage_forget(&s);
	return warning;
}

char *storage_summary(void)
{
	struct storage s;
	char *size, *text;

	storage_read(&s);
	size = human_size(s.free);
	if (!s.live)
		text = xasprintf(_("Guests are on this machine and survive a restart: %s free."), size);
	else if (survives(&s))
		text = xasprintf(_("Guests are on the data volume and survive a restart: %s free."), size);
	else if (is(&s, "searching"))
		text = xstrdup(translated(s.message));
	else
		text = xstrdup(_("Guests are in memory: nothing survives a restart."));
	free(size);
	storage_forget(&s);
	return text;
}

/* Whatever came of it, the rows at the top are to say so. */
static void show(struct job *job, const char *title, const char *text)
{
	job_show(job, title, text);
	host_banner();
}

/* A place for a volume, as "kvm-live-data list" has it. */
struct target {
	char *kind, *name, *model, *content;
	uint64_t size;
};

static void target_read(struct target *t, const char *json)
{
	char *size = json_string(json_get(json, "size"));

	t->kind = json_string(json_get(json, "kind"));
	t->name = json_string(json_get(json, "target"));
	t->model = json_string(json_get(json, "model"));
	t->content = json_string(json_get(json, "content"));
	t->size = size ? strtoull(size, NULL, 10) : 0;
	free(size);
}

static void target_forget(struct target *t)
{
	free(t->kind);
	free(t->name);
	free(t->model);
	free(t->content);
}

static void add_target(struct ui_menu *menu, const struct target *t)
{
	char *size = human_size(t->size);

	ui_menu_add(menu, menu->n < 9 ? '1' + menu->n : 0, "%-15.20s %9s  %.13s: %.36s",
		    t->name, size, t->model, t->content);
	free(size);
}

/* What a volume can be made as. */
struct choices {
	bool luks;
	struct ui_menu fs;	/* a row for each file system, its name */
};

static void read_choices(struct choices *c, const char *json)
{
	char *luks = json_string(json_get(json, "luks")), *fs;

	*c = (struct choices){ .luks = luks && !strcmp(luks, "yes") };
	free(luks);
	for (const char *j = json_first(json_get(json, "fs")); j; j = json_after(j)) {
		fs = json_string(j);
		if (fs && *fs)
			ui_menu_add(&c->fs, *fs, "%s", fs);
		free(fs);
	}
}

/*
 * Its own? The content is TYPE "LABEL"...; that of a disk with partitions begins with
 * the name of the first one.
 */
static bool has_label(const struct target *t, const char *label)
{
	const char *at = t->content ? strchr(t->content, ' ') : NULL;

	return at && !strncmp(at + 1, label, strlen(label));
}

/*
 * Lets the user choose a place, of those with a label or (NULL) of all; false: went back,
 * or there is none.
 */
static bool choose_target(const char *title, const char *text, const char *label,
			  struct choices *choices, struct target *chosen)
{
	struct ui_menu menu = { .title = title, .text = text };
	struct target *targets = NULL;
	struct job *job = job_new(PROGRAM, "list");
	int row = UI_BACK;

	job_add(job, "--json");
	*choices = (struct choices){ false };
	if (!ui_busy(title, "The disks are being looked at.", job_work, job_free, job))
		return false;
	read_choices(choices, job->output);
	for (const char *j = json_first(json_get(job->output, "targets")); j;
	     j = json_after(j)) {
		targets = xrealloc(targets, (menu.n + 1) * sizeof(*targets));
		target_read(&targets[menu.n], j);
		if (label && !has_label(&targets[menu.n], label))
			target_forget(&targets[menu.n]);
		else
			add_target(&menu, &targets[menu.n]);
	}
	job_free(job);
	if (menu.n)
		row = ui_menu(&menu);
	else
		ui_message(title, "There is no disk that could be used: none that is neither in use, nor mounted, nor the medium that this system started from, and has 256 MiB. Attach one and choose this again.");
	for (int i = 0; i < menu.n; i++)
		if (i == row)
			*chosen = targets[i];
		else
			target_forget(&targets[i]);
	free(targets);
	ui_menu_clear(&menu);
	return row >= 0;
}

static const char *check_passphrase(const char *value)
{
	return *value ? NULL :
		_("The passphrase is empty. Type one, or go back and choose no encryption.");
}

/* False: went back. Else *fs is a name in the menu, or NULL for the program's own choice. */
static bool choose_file_system(struct ui_menu *menu, const char **fs)
{
	int row = 0;

	menu->title = N_("File system");
	menu->text = N_("ext4 is right for most: guests cannot take the room that settings need, and small errors are repaired by themselves. XFS is for large disks and many writers at once.");
	if (menu->n > 1)
		row = ui_menu(menu);
	*fs = row >= 0 && menu->n ? menu->items[row].text : NULL;
	return row >= 0;
}

/* False: went back. Else *passphrase is NULL for no encryption. */
static bool choose_encryption(bool possible, char **passphrase)
{
	struct ui_menu menu = { .title = N_("Encryption"),
		.text = N_("An encrypted volume is unlocked here, with its passphrase, after each start. One that is not is used by itself.") };
	int row;

	*passphrase = NULL;
	if (!possible)
		return true;
	ui_menu_add(&menu, 'n', "Not encrypted");
	ui_menu_add(&menu, 'e', "Encrypted (LUKS)");
	row = ui_menu(&menu);
	ui_menu_clear(&menu);
	if (row == 1)
		*passphrase = ui_new_password("Passphrase", "Passphrase of the data volume. Without it nobody can read the volume, you included. It is asked for after each start.",
					      check_passphrase);
	return row == 0 || *passphrase;
}

static bool last_question(const struct target *t)
{
	char *size = human_size(t->size);
	bool gap = !strcmp(t->kind, "free"), sure;

	sure = ui_confirm("Make a data volume", gap ? N_("Make it") : N_("Erase it"),
			  gap ? N_("A partition of %2$s is made in the free space of %1$s (%3$s). What is on the disk stays: %4$s.\n\nMake it?") :
			  N_("%s, of %s (%s), becomes the data volume.\nOn it: %s.\n\nAll that is on it will be lost. Erase it and make the volume?"),
			  gap ? t->name + strlen("free:") : t->name, size, t->model, t->content);
	free(size);
	return sure;
}

static void make_volume(void)
{
	const char *title = N_("Make a data volume");
	struct target target = { NULL };
	struct choices choices;
	char *passphrase = NULL;
	const char *fs;
	struct job *job;

	if (choose_target(title, "Where? Guests made so far move there. Disks that are in use and the medium of this system are not among them.",
			  NULL, &choices, &target) &&
	    choose_file_system(&choices.fs, &fs) &&
	    choose_encryption(choices.luks, &passphrase) && last_question(&target)) {
		job = job_new(PROGRAM, "create");
		job_add(job, target.name);
		if (fs) {
			job_add(job, "--fs");
			job_add(job, fs);
		}
		job_add(job, "--yes");
		job_add(job, "--use");
		if (passphrase)
			job_add(job, "--luks");
		job->input = passphrase ? xasprintf("%s\n", passphrase) : NULL;
		show(job, title, N_("The data volume is being made, and what is in memory moves there. Leave the machine on."));
	}
	free(passphrase);
	target_forget(&target);
	ui_menu_clear(&choices.fs);
}

/* The device, or NULL for the only one there is. */
static void unlock(const char *device)
{
	char *passphrase = xstrdup("");
	struct job *job;

	if (ui_password("Unlock", "Passphrase of the data volume. Guests made so far move there.", &passphrase)) {
		job = job_new(PROGRAM, "open");
		if (device)
			job_add(job, device);
		job->input = xasprintf("%s\n", passphrase);
		show(job, "Unlock", N_("The data volume is being unlocked. Deriving the key takes some seconds."));
	}
	explicit_bzero(passphrase, strlen(passphrase));
	free(passphrase);
}

static void unlock_volume(void)
{
	unlock(NULL);
}

static void use_volume(void)
{
	show(job_new(PROGRAM, "use"), "Use the data volume", N_("The data volume is being checked, and what is in memory moves there."));
}

static void use_device(const char *device)
{
	struct job *job = job_new(PROGRAM, "use");

	job_add(job, device);
	show(job, "Use a data volume", N_("The data volume is being checked, and what is in memory moves there."));
}

static void use_one(void)
{
	struct choices choices;
	struct target target;

	if (choose_target("Use a data volume", "Which one?", "\"KVM-LIVE-DAT", &choices, &target)) {
		if (strncmp(target.content, "crypto_LUKS ", strlen("crypto_LUKS ")))
			use_device(target.name);
		else
			unlock(target.name);
		target_forget(&target);
	}
	ui_menu_clear(&choices.fs);
}

/* What can be done in a state. */
static const struct {
	const char *state;
	int key;
	const char *text;
	void (*run)(void);
} actions[] = {
	{ "locked", 'u', N_("Unlock the data volume"), unlock_volume },
	{ "found", 'u', N_("Use the data volume now"), use_volume },
	{ "full", 'u', N_("Use the data volume, now that it has room"), use_volume },
	{ "broken", 'u', N_("Use the data volume, now that it is repaired"), use_volume },
	{ "several", 'u', N_("Use one of the data volumes"), use_one },
	{ "none", 'm', N_("Make a data volume, to keep guests and settings"), make_volume },
	{ "locked", 'm', N_("Make a new data volume in its place"), make_volume },
	{ "broken", 'm', N_("Make a new data volume in its place"), make_volume },
	{ "full", 'm', N_("Make a new data volume in its place"), make_volume },
	{ "newer", 'm', N_("Make a new data volume in its place"), make_volume },
};

static char *screen_text(const struct storage *s)
{
	char *free_size = human_size(s->free), *size = human_size(s->size), *text;

	if (!s->live)
		text = xasprintf(_("Guests and settings are kept on this machine's own disks and survive a restart. In %s, %s of %s are free."),
				 IMAGES, free_size, size);
	else if (survives(s))
		text = xasprintf(_("%s They survive a restart. %s of %s are free."),
				 translated(s->message), free_size, size);
	else if (is(s, "searching"))
		text = xstrdup(translated(s->message));
	else
		text = xasprintf(_("%s\n\nGuests and settings are kept in memory: they will be lost when this machine is switched off or restarted."),
				 translated(s->message));
	free(free_size);
	free(size);
	return text;
}

static bool screen_holds(const struct ui_menu *menu)
{
	struct storage s;
	char *now;
	bool same;

	storage_read(&s);
	now = screen_text(&s);
	same = !strcmp(now, menu->text);
	free(now);
	storage_forget(&s);
	return same;
}

/* One round. False: the user goes back. */
static bool screen_once(struct ui_menu *menu)
{
	void (*run[ARRAY_SIZE(actions) + 1])(void);
	struct storage s;
	int row;

	storage_read(&s);
	host_banner();
	ui_menu_clear(menu);
	for (size_t i = 0; i < ARRAY_SIZE(actions); i++)
		if (is(&s, actions[i].state)) {
			run[menu->n] = s.encrypted && actions[i].run == use_volume ?
				unlock_volume : actions[i].run;
			ui_menu_add(menu, actions[i].key, "%s", translated(actions[i].text));
		}
	run[menu->n] = pools_screen;
	ui_menu_add(menu, 'p', "Storage pools: NFS, iSCSI, LVM");
	menu->text = screen_text(&s);
	storage_forget(&s);
	row = ui_menu(menu);
	free((char *)menu->text);
	if (row >= 0)
		run[row]();
	return row != UI_BACK;
}

void storage_screen(void)
{
	struct ui_menu menu = { .title = N_("Storage"), .refresh_ms = REFRESH_MS,
		.holds = screen_holds };

	while (screen_once(&menu))
		;
	ui_menu_clear(&menu);
}
