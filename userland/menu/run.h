/* SPDX-License-Identifier: GPL-2.0-or-later */
/* run: other programs, without a shell in between. */
#ifndef KVM_MENU_RUN_H
#define KVM_MENU_RUN_H

#include <sys/types.h>

/* Exit status of the program (127: it could not be run); output is dropped. */
int run_quiet(char *const argv[]);
/* The same; what it prints on standard output, at most 64 KiB, to be freed. */
int run_read(char *const argv[], char **output);
/*
 * The same, errors as well; input (may be NULL) is its standard input, *pid its
 * number while it runs, else 0.
 */
int run_feed(char *const argv[], const char *input, char **output,
	     volatile pid_t *pid);
/* The same, and hands each piece of it to seen() as it comes. */
int run_watch(char *const argv[], void (*seen)(const char *piece, void *data),
	      void *data, char **output, volatile pid_t *pid);
/* The same on our terminal, with signals as in a fresh session. */
int run_terminal(char *const argv[]);

#endif
