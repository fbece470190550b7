/* SPDX-License-Identifier: GPL-2.0-or-later */
/* install: make a guest and install a system on it from an ISO. */
#ifndef KVM_MENU_INSTALL_H
#define KVM_MENU_INSTALL_H

void install_screen(void);
/* Lets the user choose an ISO or type a path; to be freed, NULL: went back. */
char *iso_choose(const char *current);

#endif
