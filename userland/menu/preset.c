// SPDX-License-Identifier: GPL-2.0-or-later
/* preset: what the system on an ISO image wants. */
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "preset.h"
#include "util.h"

static uint64_t number(const char *json, const char *key)
{
	char *text = json_string(json_get(json, key));
	long long n = text ? strtoll(text, NULL, 10) : 0;

	free(text);
	return n > 0 ? n : 0;
}

static bool is(const char *json, const char *key, const char *value)
{
	char *text = json_string(json_get(json, key));
	bool same = text && !strcmp(text, value);

	free(text);
	return same;
}

bool preset_parse(const char *json, struct preset *p)
{
	uint64_t cpus = number(json, "cpus");

	memset(p, 0, sizeof(*p));
	p->id = json_string(json_get(json, "id"));
	p->name = json_string(json_get(json, "name"));
	if (!p->id || !p->name) {
		preset_free(p);
		return false;
	}
	p->memory_mib = number(json, "memory") >> 20;
	p->disk = number(json, "disk");
	p->cpus = cpus > 1024 ? 0 : (unsigned int)cpus;
	p->devices = is(json, "devices", "virtio") ? DEV_VIRTIO :
		is(json, "devices", "ide") ? DEV_IDE : DEV_SATA;
	p->needs_uefi = is(json, "firmware", "efi");
	p->needs_bios = is(json, "firmware", "bios");
	p->no_cloud_init = is(json, "cloud_init", "0");
	p->unattended = number(json, "unattended");
	p->wants_tpm = number(json, "tpm");
	return true;
}

void preset_free(struct preset *p)
{
	free(p->id);
	free(p->name);
	memset(p, 0, sizeof(*p));
}
