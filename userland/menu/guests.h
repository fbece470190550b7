/* SPDX-License-Identifier: GPL-2.0-or-later */
/* guests: the list of guests, and what can be done with one. */
#ifndef KVM_MENU_GUESTS_H
#define KVM_MENU_GUESTS_H

void guests_screen(void);
/* How many guests run now; their names, separated by commas, to be freed. -1: unknown. */
int guests_running(char **names);

#endif
