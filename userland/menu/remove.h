/* SPDX-License-Identifier: GPL-2.0-or-later */
/* remove: delete a guest, with what belongs to it or without its disks. */
#ifndef KVM_MENU_REMOVE_H
#define KVM_MENU_REMOVE_H

#include "virt.h"

/* True: the guest is gone. */
bool remove_screen(virConnectPtr conn, virDomainPtr dom);
/* What belongs to the guest, a line each; to be freed. */
char *remove_lines(virDomainPtr dom);

#endif
