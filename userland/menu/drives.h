/* SPDX-License-Identifier: GPL-2.0-or-later */
/* drives: the disks and the CD drive of a guest. */
#ifndef KVM_MENU_DRIVES_H
#define KVM_MENU_DRIVES_H

#include "virt.h"

void drives_screen(virConnectPtr conn, virDomainPtr dom);
void drives_cd_screen(virDomainPtr dom);
/* In a word or two, by the guest's description; to be freed. */
char *drives_text(const char *xml);
char *drives_cd_text(const char *xml);

#endif
