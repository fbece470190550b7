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
	/*
	 * The UUID of a guest defined before: this is its description for one
	 * start, that boots the CD first and ends with the first reboot.
	 */
	const char *once;
	const char *disk;	/* path of the volume */
	const char *format;	/* "qcow2" or "qcow" */
	uint64_t memory_mib;
	unsigned int cpus;
	bool uefi;
	bool network;		/* the network "default" (NAT), else none */
	enum virt virt;
	enum devices devices;
	bool no_apic;		/* the hypervisor emulates no APIC: see host_has_apic() */
};

char *xml_domain(const struct guest *g);
char *xml_volume(const char *name, const char *format, uint64_t capacity,
		 bool preallocate);
char *xml_pool(const char *name, const char *path);

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

#endif
