// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A plugin for QEMU's emulator: how often each instruction is executed between
 * the marks of bench.h, in the machine and in its guest alike. Of several passes
 * the shortest counts; it has met no timer tick. At the end it writes
 *
 *	the file out=	a line for each instruction: address, count, text
 *	the file symbols=	the machine's /proc/kallsyms
 *
 * Each instruction has a counter that its translation increments. The marks are
 * instructions with a callback. Debian has no package with the plugin interface's
 * header, so the little of it that is used here is declared here (version 4).
 */
#include <glib.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"

#define EXPORT __attribute__((visibility("default")))

struct tb;
struct insn;
struct scoreboard;
struct entry {
	struct scoreboard *score;
	size_t offset;
};
enum { NO_REGS };
enum { ADD_U64 };
typedef void (*exec_fn)(unsigned int vcpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*fn)(uint64_t id, struct tb *tb));
void qemu_plugin_register_vcpu_insn_exec_cb(struct insn *insn, exec_fn fn, int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(struct insn *insn, int op,
							 struct entry entry, uint64_t value);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*fn)(uint64_t id, void *data), void *data);
size_t qemu_plugin_tb_n_insns(const struct tb *tb);
struct insn *qemu_plugin_tb_get_insn(const struct tb *tb, size_t i);
uint64_t qemu_plugin_insn_vaddr(const struct insn *insn);
size_t qemu_plugin_insn_data(const struct insn *insn, void *to, size_t room);
char *qemu_plugin_insn_disas(const struct insn *insn);
struct scoreboard *qemu_plugin_scoreboard_new(size_t size);
void *qemu_plugin_scoreboard_find(struct scoreboard *score, unsigned int vcpu);
bool qemu_plugin_read_memory_vaddr(uint64_t address, GByteArray *to, size_t size);

EXPORT int qemu_plugin_version = 4;

#define MAX_INSNS (2u << 20)

static struct {
	uint64_t address;
	char *text;
} *insns;
static unsigned int n_insns;
static GHashTable *index_of;
static struct scoreboard *score;
static uint64_t *best, best_total;
static bool counting, of_host;
static const char *out_file, *symbols_file;

/* Data is not NULL at a mark of the host's own loop: from then on only such count. */
static void begin(unsigned int vcpu, void *data)
{
	if (data && !of_host) {
		of_host = true;
		best_total = 0;
	}
	if (of_host && !data)
		return;
	memset(qemu_plugin_scoreboard_find(score, vcpu), 0, n_insns * sizeof(uint64_t));
	counting = true;
}

static void end(unsigned int vcpu, void *data)
{
	const uint64_t *counts = qemu_plugin_scoreboard_find(score, vcpu);
	uint64_t total = 0;

	(void)data;
	if (!counting)
		return;
	counting = false;
	for (unsigned int i = 0; i < n_insns; i++)
		total += counts[i];
	if (best_total && total >= best_total)
		return;
	best_total = total;
	memset(best, 0, MAX_INSNS * sizeof(*best));
	memcpy(best, counts, n_insns * sizeof(*best));
}

static void symbols(unsigned int vcpu, void *data)
{
	GByteArray *text = g_byte_array_new();
	FILE *f;

	(void)vcpu;
	(void)data;
	if (!qemu_plugin_read_memory_vaddr(BENCH_SYMBOLS_AT, text, BENCH_SYMBOLS_ROOM)) {
		fprintf(stderr, "profile-plugin: the symbols cannot be read\n");
		return;
	}
	f = fopen(symbols_file, "w");
	if (f) {
		fwrite(text->data, 1, strnlen((char *)text->data, text->len), f);
		fclose(f);
	}
	g_byte_array_free(text, TRUE);
}

static unsigned int counter_of(const struct insn *insn)
{
	gpointer key = (gpointer)qemu_plugin_insn_vaddr(insn);

	unsigned int i = GPOINTER_TO_UINT(g_hash_table_lookup(index_of, key));

	if (!i) {
		if (n_insns == MAX_INSNS)
			return 0;	/* the counter of all that do not fit */
		i = n_insns++;
		insns[i].address = (uint64_t)key;
		g_hash_table_insert(index_of, key, GUINT_TO_POINTER(i));
	}
	/* The kernel patches its code: the text of the latest translation. */
	g_free(insns[i].text);
	insns[i].text = qemu_plugin_insn_disas(insn);
	return i;
}

/* nopl MARK(%rax,%rax) */
static exec_fn mark_of(const struct insn *insn, uint32_t *mark)
{
	uint8_t bytes[8];

	if (qemu_plugin_insn_data(insn, bytes, 8) != 8 || memcmp(bytes, "\x0f\x1f\x84\x00", 4))
		return NULL;
	memcpy(mark, bytes + 4, 4);
	return *mark == BENCH_BEGIN || *mark == BENCH_BEGIN_HOST ? begin :
	       *mark == BENCH_END ? end : *mark == BENCH_SYMBOLS ? symbols : NULL;
}

static void translate(uint64_t id, struct tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);

	(void)id;
	for (size_t i = 0; i < n; i++) {
		struct insn *insn = qemu_plugin_tb_get_insn(tb, i);
		struct entry entry = { score, counter_of(insn) * sizeof(uint64_t) };
		uint32_t mark = 0;
		exec_fn fn = mark_of(insn, &mark);

		qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, ADD_U64, entry, 1);
		if (fn)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, fn, NO_REGS,
						GUINT_TO_POINTER(mark == BENCH_BEGIN_HOST));
	}
}

static void write_counts(uint64_t id, void *data)
{
	FILE *f = fopen(out_file, "w");

	(void)id;
	(void)data;
	if (!f) {
		perror(out_file);
		return;
	}
	for (unsigned int i = 0; i < n_insns; i++)
		if (best[i])
			fprintf(f, "%" PRIx64 "\t%" PRIu64 "\t%s\n", insns[i].address, best[i],
				insns[i].text ? insns[i].text : "");
	fclose(f);
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	(void)info;
	for (int i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "out=", 4))
			out_file = argv[i] + 4;
		else if (!strncmp(argv[i], "symbols=", 8))
			symbols_file = argv[i] + 8;
	}
	if (!out_file || !symbols_file) {
		fprintf(stderr, "profile-plugin: out=FILE and symbols=FILE are needed\n");
		return -1;
	}
	insns = g_new0(typeof(*insns), MAX_INSNS);
	best = g_new0(uint64_t, MAX_INSNS);
	n_insns = 1;
	index_of = g_hash_table_new(NULL, NULL);
	score = qemu_plugin_scoreboard_new(MAX_INSNS * sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, write_counts, NULL);
	return 0;
}
