/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dom: reads and edits the description of a guest that libvirt has. Only text goes
 * in and out, so all of it is tested without libvirt.
 */
#ifndef KVM_MENU_DOM_H
#define KVM_MENU_DOM_H

#include <stdbool.h>
#include <stdint.h>

struct dom_disk {
	char *target, *bus;	/* "vda", "virtio" */
	char *device;		/* "disk", "cdrom"… */
	char *source;		/* file or device; NULL: an empty drive, or neither */
	char *format;		/* "qcow2"…; "raw" if not said */
	bool block;		/* the source is a device of the host */
	bool readonly;
};

struct dom_disks {
	struct dom_disk *at;
	int n;
};

void dom_disks(const char *xml, struct dom_disks *disks);
void dom_disks_free(struct dom_disks *disks);
/* The first CD drive, or NULL. */
const struct dom_disk *dom_cd(const struct dom_disks *disks);
/* The bus that the guest's disks are on. */
const char *dom_disk_bus(const struct dom_disks *disks);
/* A name that no disk on that bus has yet, such as "vdb". */
char *dom_free_target(const struct dom_disks *disks, const char *bus);
/* The description of a disk to be attached. */
char *dom_disk_xml(const struct dom_disk *disk);
/* The disk's own element in the description, or NULL. */
char *dom_disk_element(const char *xml, const char *target);
void dom_remove_disk(char **xml, const char *target);
/* Puts element in the place of the disk of that target, or adds it. */
void dom_put_disk(char **xml, const char *target, const char *element);

void dom_set_memory(char **xml, uint64_t mib);
void dom_set_cpus(char **xml, unsigned int n);

enum dom_boot { BOOT_DISK, BOOT_CD, BOOT_NETWORK };

enum dom_boot dom_boot(const char *xml);
/* Boots that first, and the others after it in the order above. */
void dom_set_boot(char **xml, enum dom_boot first);

enum dom_network { NETWORK_NONE, NETWORK_NAT, NETWORK_BRIDGE, NETWORK_OTHER };

/* Of the first network card; *name: its network or bridge, to be freed. */
enum dom_network dom_network(const char *xml, char **name);
/* Connects the first card, which keeps its address and model, or adds one. */
void dom_set_network(char **xml, enum dom_network kind, const char *bridge);

/* Where the firmware keeps its variables, NULL: it has none; and their format. */
char *dom_nvram(const char *xml, char **format);

/* Has it an emulated TPM? Its state is a file of libvirt's, by the guest's UUID. */
bool dom_has_tpm(const char *xml);

/* "127.0.0.1:5901", or NULL when there is no VNC screen, or none yet. */
char *dom_vnc(const char *xml);

struct dom_copy {
	char *from, *to;	/* paths */
};

/* Another guest of the same kind: that name, those files, addresses of its own. */
char *dom_clone(const char *xml, const char *name, const struct dom_copy *copies,
		int n);

/* Which snapshots can be made of such a guest. */
enum dom_snapshot {
	SNAPSHOT_INTERNAL,	/* in the disk's own file, with memory */
	SNAPSHOT_EXTERNAL,	/* a new file for what is written from now on */
	SNAPSHOT_NONE,
};

/* why: a sentence when it is not internal (static), else NULL. */
enum dom_snapshot dom_snapshot(const char *xml, const char **why);

#endif
