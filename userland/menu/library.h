/* SPDX-License-Identifier: GPL-2.0-or-later */
/* library: the ISO images that guests are installed from. */
#ifndef KVM_MENU_LIBRARY_H
#define KVM_MENU_LIBRARY_H

void library_screen(void);

#endif
