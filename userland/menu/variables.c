// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * variables: a guest's UEFI variables, as a file that snapshots and clones hold.
 *
 * libvirt includes them in a snapshot when their file is qcow2, but 11.3 can only
 * make it as raw as the firmware's template. So it is made here, by libvirt's
 * storage: the template or the present file is copied into a qcow2 volume, in a
 * storage pool that exists for that moment, and the guest is told of it.
 */
#include <libgen.h>
#include <stdlib.h>
#include <string.h>

#include "dom.h"
#include "util.h"
#include "variables.h"
#include "xml.h"

/* The pool of the file's folder; *made: it is new, and to be closed. */
static virStoragePoolPtr folder_pool(virConnectPtr conn, const char *path,
				     virStoragePoolPtr *made)
{
	char *copy = xstrdup(path), *folder = dirname(copy), *name, *xml;
	virStoragePoolPtr pool = virStoragePoolLookupByTargetPath(conn, folder);

	*made = NULL;
	if (pool && virStoragePoolIsActive(pool) == 1) {
		virStoragePoolRefresh(pool, 0);
		free(copy);
		return pool;
	}
	if (pool)
		virStoragePoolFree(pool);
	name = xasprintf("kvm-menu-%s", basename(folder));
	xml = xml_pool(name, folder);
	pool = virStoragePoolCreateXML(conn, xml, 0);
	if (pool) {
		virStoragePoolRef(pool);
		*made = pool;
	}
	free(xml);
	free(name);
	free(copy);
	return pool;
}

void variables_close(virStoragePoolPtr made)
{
	if (!made)
		return;
	virStoragePoolDestroy(made);
	virStoragePoolFree(made);
}

virStorageVolPtr variables_open(virConnectPtr conn, const char *path,
				virStoragePoolPtr *made)
{
	virStoragePoolPtr pool = folder_pool(conn, path, made);
	virStorageVolPtr vol = pool ? virStorageVolLookupByPath(conn, path) : NULL;

	if (pool)
		virStoragePoolFree(pool);
	return vol;
}

/* PATH.qcow2 in place of PATH.fd. */
static char *qcow2_path(const char *path)
{
	const char *dot = strrchr(path, '.');
	int n = dot && !strchr(dot, '/') ? (int)(dot - path) : (int)strlen(path);

	return xasprintf("%.*s.qcow2", n, path);
}

/* Copies the volume into a new one of that path; NULL: that failed. */
static virStorageVolPtr convert(virConnectPtr conn, virStorageVolPtr from,
				const char *path, virStoragePoolPtr *made)
{
	virStoragePoolPtr pool = folder_pool(conn, path, made);
	virStorageVolPtr to = NULL;
	virStorageVolInfo info;
	char *xml;

	if (pool && !virStorageVolGetInfo(from, &info)) {
		xml = xml_volume(strrchr(path, '/') + 1, "qcow2", info.capacity, false);
		to = virStorageVolCreateXMLFrom(pool, xml, from, 0);
		free(xml);
	}
	if (pool)
		virStoragePoolFree(pool);
	return to;
}

/* Tells the guest of its new file. */
static bool redefine(virDomainPtr dom, char **xml, const char *path)
{
	char *template = xml_attr(*xml, NULL, "nvram", "template"), *nvram;
	virDomainPtr again;

	nvram = template ?
		xml_text("<nvram template='%s' templateFormat='raw' format='qcow2'>%s</nvram>",
			 template, path) :
		xml_text("<nvram format='qcow2'>%s</nvram>", path);
	xml_replace(xml, "nvram", nvram);
	again = virDomainDefineXML(virDomainGetConnect(dom), *xml);
	if (again)
		virDomainFree(again);
	free(nvram);
	free(template);
	return again;
}

/* The present file, or the firmware's template while there is none. */
static virStorageVolPtr present(virConnectPtr conn, const char *xml, const char *path,
				bool *is_template, virStoragePoolPtr *made)
{
	virStorageVolPtr vol = variables_open(conn, path, made);
	char *template;

	*is_template = !vol;
	if (vol)
		return vol;
	variables_close(*made);
	*made = NULL;
	template = xml_attr(xml, NULL, "nvram", "template");
	if (template)
		vol = variables_open(conn, template, made);
	free(template);
	return vol;
}

static char *convert_all(virDomainPtr dom, char **xml, const char *path)
{
	virConnectPtr conn = virDomainGetConnect(dom);
	virStoragePoolPtr made_from, made_to = NULL;
	bool is_template;
	virStorageVolPtr from = present(conn, *xml, path, &is_template, &made_from);
	char *to_path = qcow2_path(path), *error = NULL;
	virStorageVolPtr to = from ? convert(conn, from, to_path, &made_to) : NULL;

	if (!to || !redefine(dom, xml, to_path)) {
		error = virt_error();
		if (to)
			virStorageVolDelete(to, 0);
	} else if (!is_template) {
		virStorageVolDelete(from, 0);
	}
	if (from)
		virStorageVolFree(from);
	if (to)
		virStorageVolFree(to);
	variables_close(made_to);
	variables_close(made_from);
	free(to_path);
	return error;
}

char *variables_to_qcow2(virDomainPtr dom)
{
	char *xml = virt_xml(dom), *format = NULL, *path, *error = NULL;

	path = xml ? dom_nvram(xml, &format) : NULL;
	if (path && strcmp(format, "qcow2"))
		error = convert_all(dom, &xml, path);
	free(path);
	free(format);
	free(xml);
	return error;
}
