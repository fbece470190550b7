/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xml: writes the descriptions that libvirt takes, and reads the few facts that
 * the menu wants from those that it gives.
 */
#ifndef KVM_MENU_XML_H
#define KVM_MENU_XML_H

#include <stdbool.h>
#include <stdint.h>

enum virt { VIRT_KVM, VIRT_QEMU, VIRT_TEST };
enum devices { DEV_VIRTIO, DEV_SATA, DEV_IDE };

/* What a guest is made of; every string is the user's own spelling. */
struct guest {
	const char *name;
	const char *iso;	/* NULL: no CD */
	bool iso_block;
	bool iso_relabel;	/* lend the file to the guest's user */
	const char *disk;	/* path of the volume; below /dev/: a device */
	const char *format;	/* "qcow2", "qcow" or "raw" */
	uint64_t memory_mib;
	unsigned int cpus;
	bool uefi, secure_boot, tpm;
	bool network;		/* else it has none */
	const char *bridge;	/* NULL: the network "default" (NAT) */
	enum virt virt;
	enum devices devices;
	bool no_apic;		/* the hypervisor emulates no APIC: see host_has_apic() */
};

char *xml_domain(const struct guest *g);
/* What that disk is called in a Linux guest: "/dev/vda". */
const char *xml_disk_device(enum devices devices);
char *xml_volume(const char *name, const char *format, uint64_t capacity,
		 bool preallocate);
char *xml_pool(const char *name, const char *path);

/* A CD drive. */
struct xml_cd {
	const char *path;	/* of the image or the host's drive; NULL: empty */
	bool block, relabel;	/* as in struct guest */
	const char *target, *bus;
	unsigned int order;	/* among what boots, 0: not said */
};

char *xml_cdrom(const struct xml_cd *cd);
/* A network card on a bridge (NULL: NAT); mac NULL: libvirt makes one up. */
char *xml_interface(const char *bridge, const char *mac, const char *model);

/*
 * xml_text() formats %s (a string, escaped), %r (a string as it is), %u
 * (unsigned int) and %U (uint64_t). Everything above is written with it, so that
 * no name can break out of its place.
 */
char *xml_text(const char *fmt, ...);

/*
 * The next <element …>…</element> (or <element …/>) from *at on: true, with its
 * bounds in *start and *at; false when there is none.
 */
bool xml_next(const char **at, const char *element, const char **start);
/*
 * The attribute of the first such element between start and end (NULL: to the
 * end), unescaped, to be freed; or NULL.
 */
char *xml_attr(const char *start, const char *end, const char *element,
	       const char *attr);

/* The text of the first such element, likewise. */
char *xml_content(const char *start, const char *end, const char *element);

/* Puts text in the place of what is between start and end in *xml. */
void xml_splice(char **xml, const char *start, const char *end, const char *text);
/* Puts text in the place of the first such element; false: there is none. */
bool xml_replace(char **xml, const char *element, const char *text);
/* Puts text at the end of the first such element. */
bool xml_append(char **xml, const char *element, const char *text);
/* Hands each such element to edit(), which may change it, and puts it back. */
void xml_edit_each(char **xml, const char *element,
		   void (*edit)(char **part, void *data), void *data);

#endif
