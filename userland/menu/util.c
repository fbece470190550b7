// SPDX-License-Identifier: GPL-2.0-or-later
/* util: memory and strings. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "language.h"
#include "util.h"

static void *need(void *p)
{
	if (p)
		return p;
	fputs("kvm-menu: this machine is out of memory; shut down a guest and start kvm-menu again\n",
	      stderr);
	exit(EXIT_TERMINAL);
}

void *xrealloc(void *old, size_t size)
{
	return need(realloc(old, size));
}

char *xstrdup(const char *s)
{
	return need(strdup(s));
}

char *xvasprintf(const char *fmt, va_list ap)
{
	char *s = NULL;

	if (vasprintf(&s, fmt, ap) < 0)
		s = NULL;
	return need(s);
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = xvasprintf(fmt, ap);
	va_end(ap);
	return s;
}

/* Takes blanks from both ends, in place. */
char *trim(char *s)
{
	size_t n = strlen(s), skip = strspn(s, " \t\r\n");

	while (n > skip && isspace((unsigned char)s[n - 1]))
		n--;
	memmove(s, s + skip, n - skip);
	s[n - skip] = '\0';
	return s;
}

/* Whatever the terminal might not show becomes a question mark, in place. */
char *ascii_only(char *s)
{
	for (char *p = s; *p; p++) {
		if (*p == '\t')
			*p = ' ';
		else if (*p != '\n' && ((unsigned char)*p < ' ' ||
					(unsigned char)*p > '~'))
			*p = '?';
	}
	return s;
}

bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n >= m && !strcasecmp(s + n - m, end);
}

char *read_file(const char *path)
{
	FILE *f = fopen(path, "re");
	size_t n;
	char *text;

	if (!f)
		return NULL;
	text = xrealloc(NULL, 65537);
	n = fread(text, 1, 65536, f);
	text[n] = '\0';
	fclose(f);
	return text;
}

char *line_value(const char *text, const char *key)
{
	size_t n = strlen(key);

	for (const char *p = text; p && *p; p = strchr(p, '\n')) {
		const char *colon;

		p += *p == '\n';
		if (strncmp(p, key, n))
			continue;
		colon = p + n + strspn(p + n, " \t");
		if (*colon != ':')
			continue;
		return trim(xasprintf("%.*s", (int)strcspn(colon + 1, "\n"),
				      colon + 1));
	}
	return NULL;
}

char *human_size(uint64_t bytes)
{
	static const char *const units[] = {
		"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned int unit = 0;
	uint64_t tenths;

	if (bytes < 1024)
		return xasprintf(_("%u bytes"), (unsigned int)bytes);
	while (unit < 6 && bytes >> (10 * (unit + 1)))
		unit++;
	tenths = (bytes >> (10 * (unit - 1))) * 10 / 1024;
	if (tenths % 10)
		return xasprintf("%u.%u %s", (unsigned int)(tenths / 10),
				 (unsigned int)(tenths % 10), units[unit]);
	return xasprintf("%u %s", (unsigned int)(tenths / 10), units[unit]);
}
