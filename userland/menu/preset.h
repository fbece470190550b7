/* SPDX-License-Identifier: GPL-2.0-or-later */
/* preset: what the system on an ISO image wants, as far as libosinfo knows it. */
#ifndef KVM_MENU_PRESET_H
#define KVM_MENU_PRESET_H

#include <stdbool.h>
#include <stdint.h>

#include "xml.h"

struct preset {
	char *id, *name;	/* "debian13", "Debian 13"; NULL: not recognised */
	uint64_t memory_mib;	/* 0 where it is not known, as below */
	uint64_t disk;		/* bytes */
	unsigned int cpus;
	enum devices devices;
	bool needs_uefi, needs_bios;
	bool no_cloud_init;	/* a disk image without it */
	bool unattended;	/* there are answers for its installer */
	bool wants_tpm;		/* and Secure Boot */
};

/* Reads what kvm-isoinfo prints; false: that is none. */
bool preset_parse(const char *json, struct preset *p);
void preset_free(struct preset *p);

#endif
