/* SPDX-License-Identifier: GPL-2.0-or-later */
/* disk: volumes of the storage pool. */
#ifndef KVM_MENU_DISK_H
#define KVM_MENU_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "ui.h"
#include "virt.h"

/* What a sheet about a new disk asks for. */
struct disk_spec {
	const char *name;	/* without ".qcow2" */
	const char *format;	/* "qcow2", "qcow" or "raw" */
	uint64_t size;
	bool preallocate;
};

/* The volume's name: the disk's name and its format. To be freed. */
char *disk_volume_name(const char *name, const char *format);
/* A row of a list: name, format, size. To be freed. */
char *disk_row(virStorageVolPtr vol);
/* The format in the volume's description, to be freed. */
char *disk_format(virStorageVolPtr vol);
/*
 * Are name and size fine, and is there room? Says so if not. When a growing disk
 * could outgrow the file system it asks.
 */
bool disk_may_create(virStoragePoolPtr pool, const struct disk_spec *spec);
/* Creates it behind a progress window; its path, or NULL after saying why. */
char *disk_create(virStoragePoolPtr pool, const struct disk_spec *spec);
/*
 * Fills a new disk from an image ("qcow2" or "raw") that is no larger, behind a
 * bar. False: cancelled, or it failed, which has been said; the disk is of no use.
 */
bool disk_fill(const char *disk, const char *format, const char *image,
	       const char *image_format);
/* Lets the user choose between the formats; false: went back. */
bool disk_choose_format(const char **format);
/* Asks for a size; false: went back. */
bool disk_ask_size(char **size);
/*
 * Adds a row for each volume that no guest has, with the keys 1 to 9; returns how
 * many, and their paths in *paths, for disk_free_paths().
 */
int disk_add_unused(struct ui_menu *menu, virConnectPtr conn,
		    virStoragePoolPtr pool, char ***paths);
void disk_free_paths(char **paths, int n);
/*
 * The sheet that makes a disk, with that name to begin with: the disk's path, or
 * NULL when the user went back.
 */
char *disk_make(virStoragePoolPtr pool, const char *name);
void disk_screen(void);

#endif
