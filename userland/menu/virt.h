/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virt: the connection to libvirt, and what every screen needs of it.
 *
 * libvirt keeps its last error per thread: work that runs in a thread of ui_busy
 * takes virt_error() along in its own structure.
 */
#ifndef KVM_MENU_VIRT_H
#define KVM_MENU_VIRT_H

#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdbool.h>
#include <stdint.h>

struct options {
	const char *uri;	/* of libvirt */
	const char *pool;	/* of the disks */
	const char *iso_dir;	/* where ISO images are looked for first */
	const char *detect;	/* the program kvm-detect */
};

extern struct options options;

void virt_init(void);
/* The open connection; asks and retries, NULL when the user went back. */
virConnectPtr virt(void);
/* The same without questions: NULL when there is none. */
virConnectPtr virt_quiet(void);
bool virt_is_test(virConnectPtr conn);
/* What libvirt said last in this thread, to be freed. */
char *virt_error(void);
/* Shows what failed, libvirt's words (freed here) and what to do about it. */
void virt_failed(const char *title, const char *what, char *error);
/* Tells a paused guest to go on; false: it does not, and the user has been told. */
bool virt_resume(virDomainPtr dom, const char *title);
/* The storage pool, active and refreshed; says so and returns NULL if none. */
virStoragePoolPtr virt_pool(virConnectPtr conn);
/* Lets all pools look for files that were made without them, as by snapshots. */
void virt_refresh(virConnectPtr conn);
/* "dir", "netfs", "logical"…, to be freed. */
char *virt_pool_type(virStoragePoolPtr pool);
/* Disks in it are made with all their space, and have no format but raw. */
bool virt_pool_is_lvm(virStoragePoolPtr pool);
/* Bytes that are free in the pool, 0 when unknown. */
uint64_t virt_pool_free(virStoragePoolPtr pool);
/* A chain of files cannot be longer than this in practice. */
#define VIRT_MAX_CHAIN 100
/*
 * The file that the volume lies on top of, to be freed, or NULL. *raw: nothing is
 * below that one, whatever a guest may have written to its beginning.
 */
char *virt_below(virConnectPtr conn, const char *path, bool *raw);
/* A guest that has the file as a disk or below one, its name to be freed. */
char *virt_disk_user(virConnectPtr conn, const char *path, const char *except);
/* The description that the guest starts with next, to be freed; or NULL. */
char *virt_xml(virDomainPtr dom);
/* Replaces it; says why and returns false when libvirt does not take it. */
bool virt_redefine(virDomainPtr dom, const char *title, const char *xml);
/* Confirms a change: what is so now, or for a running guest from when on. */
void virt_changed(virDomainPtr dom, const char *title, const char *what);
bool virt_active(virDomainPtr dom);

/* What libvirt and QEMU can give a new guest here. */
struct virt_caps {
	bool uefi, secure_boot, tpm;
};

/* type: "kvm" or "qemu". */
void virt_caps(virConnectPtr conn, const char *type, struct virt_caps *caps);
/* Makes the network "default" active; an error text to be freed, or NULL. */
char *virt_start_network(virConnectPtr conn);

#endif
