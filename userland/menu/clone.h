/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clone: a second guest like the first, with copies of its disks. */
#ifndef KVM_MENU_CLONE_H
#define KVM_MENU_CLONE_H

#include "virt.h"

void clone_screen(virConnectPtr conn, virDomainPtr dom);

#endif
