/* SPDX-License-Identifier: GPL-2.0-or-later */
/* settings: what a guest is made of: name, memory, CPUs, network, boot order. */
#ifndef KVM_MENU_SETTINGS_H
#define KVM_MENU_SETTINGS_H

#include "virt.h"

/* A guest that is renamed becomes another object in *dom. */
void settings_screen(virConnectPtr conn, virDomainPtr *dom);

/* Also asked for a new guest. Each returns false when the user went back. */
bool settings_ask_name(char **name);
bool settings_ask_memory(uint64_t *mib);
bool settings_ask_cpus(unsigned int max, unsigned int *n);
/*
 * NAT (bridge NULL), a bridge, or none. To be freed: the bridge.
 */
bool settings_ask_network(bool *network, char **bridge);

#endif
