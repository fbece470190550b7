/* SPDX-License-Identifier: GPL-2.0-or-later */
/* storage: where guests are kept, and whether they survive a restart. */
#ifndef KVM_MENU_STORAGE_H
#define KVM_MENU_STORAGE_H

/* What will be lost at power-off and why, in a row; NULL when nothing is. */
const char *storage_warning(void);
/* Where guests are kept, whether they survive, free space. To be freed. */
char *storage_summary(void);
void storage_screen(void);

#endif
