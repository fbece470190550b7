/* SPDX-License-Identifier: GPL-2.0-or-later */
/* variables: a guest's UEFI variables, as a file that snapshots and clones hold. */
#ifndef KVM_MENU_VARIABLES_H
#define KVM_MENU_VARIABLES_H

#include "virt.h"

/*
 * Makes the variables of a guest that is off a qcow2 file, if they are raw. NULL:
 * they are qcow2 now, or there are none; else why not, to be freed, and the guest
 * is as it was.
 */
char *variables_to_qcow2(virDomainPtr dom);
/*
 * The file as a volume. No pool covers the folder as a rule: then one is made,
 * which the caller ends by variables_close().
 */
virStorageVolPtr variables_open(virConnectPtr conn, const char *path,
				virStoragePoolPtr *made);
void variables_close(virStoragePoolPtr made);

#endif
