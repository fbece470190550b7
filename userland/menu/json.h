/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json: reads the report of kvm-detect --json, a small object of strings, nulls
 * and one array of such objects.
 */
#ifndef KVM_MENU_JSON_H
#define KVM_MENU_JSON_H

/*
 * Where the value of a key of the object at p begins, or NULL. p may be NULL.
 */
const char *json_get(const char *p, const char *key);
/* The string or number at p as text, to be freed; NULL for null or nothing. */
char *json_string(const char *p);
/* The first element of the array at p; the one after the element p; or NULL. */
const char *json_first(const char *p);
const char *json_after(const char *p);

#endif
