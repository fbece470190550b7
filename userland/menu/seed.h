/* SPDX-License-Identifier: GPL-2.0-or-later */
/* seed: asks for the login of a new system, and writes what tells the system. */
#ifndef KVM_MENU_SEED_H
#define KVM_MENU_SEED_H

#include "cloud.h"
#include "virt.h"

void seed_defaults(struct login *l);
void seed_free(struct login *l);
/*
 * Asks for all of it (an installer: only for root's password and the host name);
 * text says what for. False: the user went back.
 */
bool seed_ask(struct login *l, const char *title, const char *text, bool installer);
/* "joe, with a password and an SSH key", to be freed. */
char *seed_text(const struct login *l);
/*
 * Writes the CD from which cloud-init reads it: its path, to be freed, or NULL after
 * saying why.
 */
char *seed_write(virStoragePoolPtr pool, const char *guest, const struct login *l);
/*
 * Makes the kernel and initrd that install the ISO's system without questions on that
 * disk: the folder that they are in (linux, initrd), for seed_forget(), and the
 * kernel's command line, to be freed. NULL: it has been said why not.
 */
char *seed_installer(const char *iso, const char *disk, const struct login *l,
		     char **line);
void seed_forget(char *dir);

#endif
