/* SPDX-License-Identifier: GPL-2.0-or-later */
/* iso: is this file a whole, bootable CD or DVD image, or a disk to start from? */
#ifndef KVM_MENU_ISO_H
#define KVM_MENU_ISO_H

#include <stdbool.h>
#include <stdint.h>

struct iso_info {
	uint64_t size;		/* of the file or the disc, in bytes */
	uint64_t volume_size;	/* what its volume descriptors say, in bytes */
	char label[33];
	bool block;		/* a device, such as /dev/sr0 */
	bool truncated;		/* and so a problem, as is */
	bool no_disc;		/* in the drive */
	bool bootable;		/* has an El Torito boot record */
	const char *disk;	/* it is a disk image: "qcow2" or "raw"; NULL: an ISO */
};

/* What such files are called: disks and all, for glob() with GLOB_BRACE. */
#define DISK_ENDINGS "qcow2,img,raw"
#define IMAGE_NAMES "*.{[iI][sS][oO]," DISK_ENDINGS "}"

/*
 * Returns NULL when path is a readable, complete ISO 9660 image; else a sentence
 * that says what is wrong and what to do, to be freed.
 */
char *iso_problem(const char *path, struct iso_info *info);
/*
 * The same, and images of a disk with a system on it (cloud images) are fine as
 * well: info->disk and info->volume_size, the size of that disk.
 */
char *image_problem(const char *path, struct iso_info *info);

/*
 * Can the user that guests run as reach the file? NULL: yes. Else a sentence, to
 * be freed. *relabel tells whether the file's owner must be lent to the guest,
 * because it is readable to its owner alone.
 */
char *iso_reach_problem(const char *path, bool *relabel);

#endif
