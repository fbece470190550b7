/* SPDX-License-Identifier: GPL-2.0-or-later */
/* snapshot: states of a guest that can be gone back to. */
#ifndef KVM_MENU_SNAPSHOT_H
#define KVM_MENU_SNAPSHOT_H

#include "virt.h"

void snapshot_screen(virDomainPtr dom);

#endif
