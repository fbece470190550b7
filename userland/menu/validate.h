/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * validate: is what the user typed usable? Each function returns NULL for yes,
 * or a sentence that says what is wrong and what to type (static, not to be
 * freed).
 */
#ifndef KVM_MENU_VALIDATE_H
#define KVM_MENU_VALIDATE_H

#include <stdint.h>

#define MIB (1024ull * 1024)
#define GIB (1024ull * MIB)
#define TIB (1024ull * GIB)

#define NAME_MAX_CHARS 50

const char *name_problem(const char *name);
const char *parse_disk_size(const char *text, uint64_t *bytes);
const char *parse_memory(const char *text, uint64_t *mib);
const char *parse_count(const char *text, unsigned int max,
			unsigned int *count);
/*
 * The most bytes that a disk of this format and capacity, never written to, takes
 * of its file system.
 */
uint64_t blank_allocation(const char *format, uint64_t capacity);

#endif
