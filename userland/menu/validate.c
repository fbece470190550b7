// SPDX-License-Identifier: GPL-2.0-or-later
/* validate: is what the user typed usable? See validate.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "language.h"
#include "util.h"
#include "validate.h"

/*
 * Names become file names, libvirt names and arguments of programs, so they are
 * held to what is safe in all three.
 */
const char *name_problem(const char *name)
{
	if (!*name)
		return _("The name is empty. Type a name such as web1.");
	if (strlen(name) > NAME_MAX_CHARS)
		return _("The name is too long. Use at most 50 characters.");
	if (!isascii((unsigned char)name[0]) ||
	    !isalnum((unsigned char)name[0]))
		return _("The name must begin with a letter or a digit, such as web1.");
	for (const char *p = name; *p; p++)
		if (!isascii((unsigned char)*p) ||
		    (!isalnum((unsigned char)*p) && !strchr("._-", *p)))
			return _("The name may hold only letters A-Z a-z, digits, and the characters . _ - (no spaces). Type it again without the others.");
	return NULL;
}

/* The number of bits that a unit such as "G", "gib" or "GB" shifts by. */
static int unit_shift(const char *unit, int none)
{
	static const char letters[] = "kmgt";
	const char *at;

	if (!*unit)
		return none;
	at = strchr(letters, tolower((unsigned char)*unit));
	if (!at)
		return -1;
	if (unit[1] && strcasecmp(unit + 1, "b") && strcasecmp(unit + 1, "ib"))
		return -1;
	return 10 * (int)(at - letters + 1);
}

enum { SIZE_OK, SIZE_NO_NUMBER, SIZE_NO_UNIT, SIZE_HUGE };

static int parse_size(const char *text, int no_unit, uint64_t *bytes)
{
	unsigned long long n;
	char *end;
	int shift;

	if (!isdigit((unsigned char)*text))
		return SIZE_NO_NUMBER;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno == ERANGE)
		return SIZE_HUGE;
	end += strspn(end, " ");
	shift = unit_shift(end, no_unit);
	if (shift < 0)
		return *end ? SIZE_NO_NUMBER : SIZE_NO_UNIT;
	if (n > UINT64_MAX >> shift)
		return SIZE_HUGE;
	*bytes = n << shift;
	return SIZE_OK;
}

const char *parse_disk_size(const char *text, uint64_t *bytes)
{
	switch (parse_size(text, -1, bytes)) {
	case SIZE_NO_NUMBER:
		return _("The size is not a whole number with a unit. Type for example 4G or 500M (K, M, G and T are understood).");
	case SIZE_NO_UNIT:
		return _("The size has no unit. Type for example 4G for 4 GiB or 500M for 500 MiB.");
	case SIZE_HUGE:
		return _("The size is too large. The largest disk is 64T.");
	}
	if (*bytes < MIB)
		return _("The size is too small. The smallest disk is 1M.");
	if (*bytes > 64 * TIB)
		return _("The size is too large. The largest disk is 64T.");
	return NULL;
}

const char *parse_memory(const char *text, uint64_t *mib)
{
	uint64_t bytes;

	switch (parse_size(text, 20, &bytes)) {
	case SIZE_NO_NUMBER:
		return _("The memory is not a whole number of MiB. Type for example 1024, 512M or 2G.");
	case SIZE_HUGE:
		return _("The memory is too large. Type for example 1024, 512M or 2G.");
	}
	if (bytes < 16 * MIB)
		return _("The memory is too little. A guest needs at least 16M; most systems need 512M or more.");
	if (bytes > 16 * TIB)
		return _("The memory is too large. Type for example 1024, 512M or 2G.");
	*mib = bytes / MIB;
	return NULL;
}

const char *parse_count(const char *text, unsigned int max,
			unsigned int *count)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end)
		return _("That is not a whole number. Type for example 1 or 2.");
	if (!n)
		return _("A guest needs at least 1 processor.");
	if (errno == ERANGE || n > max)
		return _("That is more processors than this host allows one guest. Type a smaller number.");
	*count = (unsigned int)n;
	return NULL;
}

/*
 * Header and tables: a first-level entry of 8 bytes covers 512 MiB in qcow2,
 * 2 MiB in qcow. The first sector written adds at least 128 KiB and 8 KiB.
 */
uint64_t blank_allocation(const char *format, uint64_t capacity)
{
	if (!strcmp(format, "qcow2"))
		return 256 * 1024 + capacity / (64 * MIB);
	if (!strcmp(format, "qcow"))
		return 4096 + capacity / (256 * 1024);
	return 0;
}
