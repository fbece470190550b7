/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TAP for test programs in C: ok() for each behaviour, skip() with a reason, and
 * return done() from main(). A check that fails prints its line and expression.
 */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static int tap_count, tap_failures;

static inline void tap_line(bool good, const char *file, int line,
			    const char *expression, const char *format,
			    va_list args)
{
	printf("%sok %d - ", good ? "" : "not ", ++tap_count);
	vprintf(format, args);
	putchar('\n');
	if (!good) {
		tap_failures++;
		printf("# %s:%d: %s\n", file, line, expression);
	}
	fflush(stdout);
}

__attribute__((format(printf, 5, 6)))
static inline bool tap_ok(bool good, const char *file, int line,
			  const char *expression, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tap_line(good, file, line, expression, format, args);
	va_end(args);
	return good;
}

#define ok(expr, ...) tap_ok(!!(expr), __FILE__, __LINE__, #expr, __VA_ARGS__)

/* Compares numbers and shows both when they differ. */
#define is(got, want, ...) ({						\
	long long got_ = (long long)(got), want_ = (long long)(want);	\
	bool same_ = tap_ok(got_ == want_, __FILE__, __LINE__,		\
			    #got " == " #want, __VA_ARGS__);		\
	if (!same_)							\
		printf("# got %lld (0x%llx), expected %lld (0x%llx)\n",	\
		       got_, (unsigned long long)got_, want_,		\
		       (unsigned long long)want_);			\
	fflush(stdout);							\
	same_; })

__attribute__((format(printf, 2, 3)))
static inline void skip(const char *name, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("ok %d - %s # SKIP ", ++tap_count, name);
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
	va_end(args);
}

__attribute__((format(printf, 1, 2)))
static inline void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("# ");
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
	va_end(args);
}

__attribute__((format(printf, 1, 2), noreturn))
static inline void bail_out(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("Bail out! ");
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
	va_end(args);
	exit(255);
}

static inline int done(void)
{
	printf("1..%d\n", tap_count);
	fflush(stdout);
	return tap_failures != 0;
}

#endif /* TAP_H */
