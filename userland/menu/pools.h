/* SPDX-License-Identifier: GPL-2.0-or-later */
/* pools: more places for disks: NFS, iSCSI and LVM, as libvirt's storage pools. */
#ifndef KVM_MENU_POOLS_H
#define KVM_MENU_POOLS_H

#include "virt.h"

void pools_screen(void);
/*
 * Lets the user choose one of the pools that are open, in the place of *pool. False:
 * went back.
 */
bool pools_choose(virConnectPtr conn, virStoragePoolPtr *pool);

#endif
