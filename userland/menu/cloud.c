// SPDX-License-Identifier: GPL-2.0-or-later
/* cloud: what a new system is told at its first start. See cloud.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cloud.h"
#include "language.h"
#include "util.h"

/* Do all characters of s belong to set? */
static bool made_of(const char *s, const char *set)
{
	return !s[strspn(s, set)];
}

#define LOWER	"abcdefghijklmnopqrstuvwxyz"
#define UPPER	"ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS	"0123456789"

const char *login_user_problem(const char *user)
{
	if (!*user || !strchr(LOWER, *user) || !made_of(user, LOWER DIGITS "_-"))
		return _("A user's name begins with a lower case letter and goes on with such letters, digits, _ and -. Type it again.");
	if (strlen(user) > 32)
		return _("The name is too long. Use at most 32 characters.");
	return strcmp(user, "root") ? NULL :
		_("The user is an ordinary one, who becomes root with sudo. Type another name.");
}

const char *login_host_problem(const char *host)
{
	if (!*host || *host == '-' || !made_of(host, LOWER UPPER DIGITS "-") ||
	    host[strlen(host) - 1] == '-')
		return _("A host name is made of letters, digits and hyphens, and begins and ends with none of these. Type for example web1.");
	return strlen(host) > 63 ? _("The host name is too long. Use at most 63 characters.") : NULL;
}

/* It goes through the installers' own languages, so what they would act on is out. */
const char *login_password_problem(const char *password)
{
	if (!*password)
		return _("The password is empty. Type one, or go back.");
	if (strlen(password) < 8)
		return _("The password is too short. Use at least 8 characters.");
	if (strlen(password) > 64)
		return _("The password is too long. Use at most 64 characters.");
	return made_of(password, LOWER UPPER DIGITS ".,:;_+-*/=@%!?~^()[]{}") ? NULL :
		_("The password may hold letters A-Z a-z, digits, and . , : ; _ + - * / = @ % ! ? ~ ^ and brackets (no spaces, quotes, $ & # < > | \\). Type another.");
}

const char *login_key_problem(const char *key)
{
	size_t kind = strcspn(key, " "), body;

	if (!*key)
		return NULL;
	body = key[kind] ? strspn(key + kind + 1, LOWER UPPER DIGITS "+/=") : 0;
	for (const char *p = key; *p; p++)
		if (!isprint((unsigned char)*p))
			return _("The key has characters that are not ASCII. Type it as it is in the .pub file.");
	if (body < 40 || (strncmp(key, "ssh-", 4) && strncmp(key, "ecdsa-", 6) &&
			  strncmp(key, "sk-", 3)))
		return _("That is not a public SSH key. It is one line, as in the file id_ed25519.pub, such as: ssh-ed25519 AAAAC3Nz... me@home");
	return strlen(key) <= 2000 ? NULL : _("The key is too long. Use one of at most 2000 characters.");
}

char *login_host(const char *guest)
{
	char *host = xstrdup(guest);
	size_t n = strlen(host);

	for (char *p = host; *p; p++)
		if (!isalnum((unsigned char)*p))
			*p = '-';
	while (n && host[n - 1] == '-')
		host[--n] = '\0';
	return host;
}

/* In single quotes YAML knows no escapes but a quote that is doubled. */
static char *quoted(const char *s)
{
	char *out = xrealloc(NULL, 2 * strlen(s) + 3), *p = out;

	*p++ = '\'';
	for (; *s; s++) {
		if (*s == '\'')
			*p++ = '\'';
		*p++ = *s;
	}
	*p++ = '\'';
	*p = '\0';
	return out;
}

/*
 * Even a host name is quoted: 007, on and null are no strings to YAML.
 *
 * The image's own default user gets another name, and so keeps the shell and the
 * groups that the system gives an administrator.
 */
char *cloud_user_data(const struct login *l, const char *hash)
{
	char *password = quoted(hash), *key = quoted(l->key), *text;

	text = xasprintf("#cloud-config\n"
			 "hostname: '%s'\n"
			 "user: '%s'\n"
			 "ssh_pwauth: %s\n"
			 "%s%s%s%s%s%s",
			 l->host, l->user, *hash ? "true" : "false",
			 *hash ? "password: " : "", *hash ? password : "",
			 *hash ? "\nchpasswd:\n  expire: false\n" : "",
			 *l->key ? "ssh_authorized_keys:\n  - " : "", *l->key ? key : "",
			 *l->key ? "\n" : "");
	free(password);
	free(key);
	return text;
}
