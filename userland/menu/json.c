// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json: reads the report of kvm-detect --json.
 *
 * There is no tree: a value is the pointer to where it begins, and skip() finds
 * where it ends. Broken input makes skip() return NULL, and so every reader.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "util.h"

static const char *blank(const char *p)
{
	return p + strspn(p, " \t\r\n");
}

static const char *skip_string(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		if (*p == '\\' && !*++p)
			return NULL;
	return *p ? p + 1 : NULL;
}

/* The end of the value at p, or NULL when it does not end. */
static const char *skip(const char *p)
{
	int depth = 0;

	for (p = blank(p); *p; p = blank(p)) {
		if (*p == '"') {
			p = skip_string(p);
			if (!p)
				return NULL;
		} else if (*p == '{' || *p == '[') {
			depth++;
			p++;
		} else if (*p == '}' || *p == ']') {
			if (!depth--)
				return NULL;
			p++;
		} else if (*p == ',' || *p == ':') {
			if (!depth)
				return NULL;
			p++;
			continue;
		} else {
			p += strcspn(p, " \t\r\n,:[]{}\"");
		}
		if (!depth)
			return p;
	}
	return NULL;
}

const char *json_get(const char *p, const char *key)
{
	if (!p || *(p = blank(p)) != '{')
		return NULL;
	p = blank(p + 1);
	while (*p == '"') {
		const char *name = p + 1, *end = skip_string(p);

		if (!end || *(p = blank(end)) != ':')
			return NULL;
		p = blank(p + 1);
		if ((size_t)(end - 1 - name) == strlen(key) &&
		    !strncmp(name, key, strlen(key)))
			return skip(p) ? p : NULL;
		p = skip(p);
		if (!p || *(p = blank(p)) != ',')
			return NULL;
		p = blank(p + 1);
	}
	return NULL;
}

static char escaped(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'b': case 'f': case 'r':
		return ' ';
	default:
		return c;
	}
}

char *json_string(const char *p)
{
	const char *end = p ? skip(p) : NULL;
	char *out;
	size_t n = 0;

	if (!end || *p == '{' || *p == '[' || !strncmp(p, "null", 4))
		return NULL;
	if (*p != '"')
		return xasprintf("%.*s", (int)(end - p), p);
	out = xrealloc(NULL, end - p + 1);
	for (p++; p < end - 1; p++) {
		if (*p == '\\' && p[1] == 'u' && end - p > 6) {
			out[n++] = '?';
			p += 5;
		} else if (*p == '\\') {
			out[n++] = escaped(*++p);
		} else {
			out[n++] = *p;
		}
	}
	out[n] = '\0';
	return out;
}

const char *json_first(const char *p)
{
	if (!p || *(p = blank(p)) != '[')
		return NULL;
	p = blank(p + 1);
	return *p && *p != ']' && skip(p) ? p : NULL;
}

const char *json_after(const char *p)
{
	p = p ? skip(p) : NULL;
	if (!p || *(p = blank(p)) != ',')
		return NULL;
	p = blank(p + 1);
	return skip(p) ? p : NULL;
}
