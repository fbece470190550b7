// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * language: in which language the menu speaks. See language.h.
 *
 * A system need not have a locale of that language, only C.UTF-8, which each has. But
 * in that one the C library, from version 2.41 on, translates nothing. So beside the
 * translations there is a link to it with another name (any.utf8), in which gettext
 * goes by the variable LANGUAGE. In English the program stays in the locale C, and
 * sends nothing but ASCII.
 *
 * The advice of virt.c goes by what libvirt and the C library say in English, so their
 * own translations are put out of reach.
 */
#include <locale.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "language.h"
#include "util.h"

#ifndef LOCALEDIR
#define LOCALEDIR "/usr/share/kvm-menu/locale"
#endif
#define OTHER	"zh_CN"		/* what language_switch() goes to */

static bool foreign;
static bool settled;		/* by an option or by the user, now or before */

/* Where translations are; the variable is gettext(1)'s. */
static const char *directory(void)
{
	const char *dir = getenv("TEXTDOMAINDIR");

	return dir ? dir : LOCALEDIR;
}

const char *translated(const char *text)
{
	return text && *text ? gettext(text) : text;
}

/* Where this user's choice is kept, NULL for a user without a home. */
static char *choice_file(void)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	struct passwd *user;

	if (config && *config == '/')
		return xasprintf("%s/kvm-menu/language", config);
	if (!home || *home != '/') {
		user = getpwuid(getuid());
		home = user ? user->pw_dir : NULL;
	}
	return home ? xasprintf("%s/.config/kvm-menu/language", home) : NULL;
}

/* What language_switch() has chosen in an earlier session, or NULL. */
static char *chosen(void)
{
	char *path = choice_file(), *language = path ? read_file(path) : NULL;

	free(path);
	return language && *trim(language) ? language : (free(language), NULL);
}

/* Whole or not at all. Where it cannot be kept, the choice is for this session. */
static void remember(const char *language)
{
	char *path = choice_file(), *new;
	FILE *file;

	if (!path)
		return;
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	new = xasprintf("%s.new", path);
	file = fopen(new, "w");
	if (file) {
		bool good = fprintf(file, "%s\n", language) > 0 && !fflush(file) &&
			    !fsync(fileno(file));

		if (fclose(file) || !good || rename(new, path))
			unlink(new);
	}
	free(new);
	free(path);
}

/* The first of the environment's variables that says something, or "". */
static const char *environment(const char *const names[])
{
	const char *value = "";

	for (; *names && !*value; names++)
		value = getenv(*names) ? getenv(*names) : "";
	return value;
}

bool language_possible(void)
{
	static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG", NULL };
	const char *locale = environment(names), *term = getenv("TERM");

	/* the kernel's own console has 512 glyphs at most */
	return term && strcmp(term, "linux") &&
		(strcasestr(locale, ".utf-8") || strcasestr(locale, ".utf8"));
}

bool language_is_foreign(void)
{
	return foreign;
}

void language_locale(void)
{
	char *old = getenv("LOCPATH");

	old = old ? xstrdup(old) : NULL;
	setlocale(LC_ALL, foreign ? "C.UTF-8" : "C");
	setenv("LOCPATH", directory(), 1);
	if (foreign && !setlocale(LC_MESSAGES, "any.UTF-8"))
		foreign = false;
	if (old)
		setenv("LOCPATH", old, 1);
	else
		unsetenv("LOCPATH");
	free(old);
}

/* False: there is no translation, so it is English, and the shell's LANGUAGE stays. */
static bool set(const char *language)
{
	char *old = getenv("LANGUAGE");

	old = old ? xstrdup(old) : NULL;
	setenv("LANGUAGE", language, 1);
	foreign = true;
	language_locale();
	textdomain("kvm-menu");		/* makes gettext look at LANGUAGE again */
	foreign = foreign && *gettext("");
	if (!foreign) {
		language_locale();
		if (old)
			setenv("LANGUAGE", old, 1);
		else
			unsetenv("LANGUAGE");
	}
	free(old);
	return foreign;
}

bool language_start(const char *wanted)
{
	static const char *const names[] = { "LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG",
					     NULL };
	bool known, linux_console = getenv("TERM") && !strcmp(getenv("TERM"), "linux");
	char *language = NULL;

	bindtextdomain("kvm-menu", directory());
	bindtextdomain("libvirt", "/nonexistent");
	bindtextdomain("libc", "/nonexistent");
	settled = wanted;
	if (linux_console || (!wanted && !language_possible()))
		return true;
	if (!wanted)
		language = chosen();
	settled |= language != NULL;
	if (!language)
		language = xstrdup(wanted ? wanted : environment(names));
	language[strcspn(language, ":")] = '\0';	/* of a list the first */
	known = set(language) || !wanted || !strncmp(language, "en", 2);
	free(language);
	return known;
}

bool language_follow(void)
{
	char *language = settled || !language_possible() ? NULL : chosen();
	bool before = foreign;

	if (language) {
		set(language);
		settled = true;
	}
	free(language);
	return foreign != before;
}

void language_switch(void)
{
	const char *language = foreign ? "en" : OTHER;

	set(language);
	settled = true;
	remember(language);
}
