// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loaders of kvmctl under libFuzzer: any bytes are a kernel. Guest memory is
 * one allocation, so that AddressSanitizer sees a byte behind its end; what a
 * kernel must not touch (kvmctl's own tables, the video memory's hole) holds a
 * pattern that is checked. The last byte of the input chooses initrd and memory.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define LARGE (4u << 20)
#define SMALL (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint8_t pattern[SMALL];

static void untouched(const uint8_t *memory, uint32_t from, uint32_t to)
{
	assert(!memcmp(memory + from, pattern + from, to - from));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	uint8_t choice = bytes ? data[bytes - 1] : 0;
	struct load l = {
		.file_bytes = bytes, .cmdline = choice & 4 ? "console=none" : "",
		.cpus = 1 + choice % 64,
		.memory_bytes = choice & 1 ? SMALL : LARGE,
	};
	uint8_t *file = malloc(bytes), *memory;
	static uint8_t *memories[2];
	static const uint8_t initrd[5000] = { 1 };

	if (bytes)
		memcpy(file, data, bytes);
	if (!memories[0]) {
		memories[0] = malloc(LARGE);
		memories[1] = malloc(SMALL);
		memset(pattern, 0x5a, sizeof(pattern));
	}
	memory = memories[choice & 1];
	memcpy(memory, pattern, SMALL);
	l.file = file;
	l.memory = memory;
	if (choice & 2) {
		l.initrd = initrd;
		l.initrd_bytes = sizeof(initrd);
	}
	if (load_kernel(&l) == 0) {
		assert(l.entry >= LOAD_LOWEST && l.entry < l.memory_bytes);
		assert(l.entry < 0xa0000 || l.entry >= 0xc0000);
		assert(l.bits == 32 || l.bits == 64);
		assert(!l.error[0]);
	} else {
		assert(l.error[0]);
	}
	untouched(memory, 0, LOAD_INFO);
	untouched(memory, LOAD_CMDLINE + LOAD_CMDLINE_MAX, LOAD_LOWEST);
	untouched(memory, 0xa0000, 0xc0000);
	free(file);
	return 0;
}
