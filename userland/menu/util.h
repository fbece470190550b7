/* SPDX-License-Identifier: GPL-2.0-or-later */
/* util: memory and strings; out of memory ends the program with a sentence. */
#ifndef KVM_MENU_UTIL_H
#define KVM_MENU_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* Exit statuses, as the manual page lists them. */
enum {
	EXIT_LEFT = 0,		/* the user left the menu */
	EXIT_USAGE = 1,		/* wrong options */
	EXIT_TERMINAL = 2,	/* no terminal, an unknown one, or it went away */
};

void *xrealloc(void *old, size_t size);
char *xstrdup(const char *s);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *xvasprintf(const char *fmt, va_list ap)
	__attribute__((format(printf, 1, 0)));
char *trim(char *s);
char *ascii_only(char *s);
bool ends_with(const char *s, const char *end);
/* The start of a file (at most 64 KiB), or NULL. */
char *read_file(const char *path);
/* The value of the first line "KEY : value" of text, or NULL. */
char *line_value(const char *text, const char *key);
/* "4 GiB", "1.5 GiB": for people, rounded to a tenth. */
char *human_size(uint64_t bytes);

#endif
