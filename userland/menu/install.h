/* SPDX-License-Identifier: GPL-2.0-or-later */
/* install: make a guest, from an ISO that installs a system or from a cloud image. */
#ifndef KVM_MENU_INSTALL_H
#define KVM_MENU_INSTALL_H

#include <stdbool.h>

void install_screen(void);
/*
 * Lets the user choose an ISO (or a disk image, if they are wanted too) or type a
 * path; to be freed, NULL: went back.
 */
char *iso_choose(const char *current, bool disks);

#endif
