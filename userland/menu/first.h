/* SPDX-License-Identifier: GPL-2.0-or-later */
/* first: what the first screen says about this machine. */
#ifndef KVM_MENU_FIRST_H
#define KVM_MENU_FIRST_H

/* Verdict and addresses, storage, what to do next, a line each. To be freed. */
char *first_text(void);

#endif
