// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Paging as a guest sees it, in every mode: 32-bit tables with and without PSE,
 * PAE, 4-level. The guest changes its page tables and makes accesses; expect()
 * says from the manual's rules (SDM vol. 3, 4.3 to 4.8; APM vol. 2, 5.3 to 5.6)
 * what each must do: the page it reaches or the fault's error code, CR2 and RIP,
 * and the accessed and dirty bits afterwards. Nothing here knows how the module
 * does it, so the same program tests nested and shadow paging. OUTS and INS make
 * their accesses by the module's emulator, the others by the processor.
 *
 * An entry that changes is followed by INVLPG or a load of CR3, except where the
 * manual says that the change is seen without.
 *
 *	paging [PERCENT]	of the random cases, default 100
 */
#include "script-vm.h"

#define P	1ULL
#define W	2ULL
#define U	4ULL
#define A	0x20ULL
#define D	0x40ULL
#define PS	0x80ULL
#define G	0x100ULL
#define NX	(1ULL << 63)
#define ADDR	0xffffffffff000ULL

#define ROOT	0x10000
#define OTHER_ROOT(i)	(0x18000 + (i) * 0x1000)
#define TABLE(level)	(0x20000 + (level) * 0x1000)
#define SPARE(i)	(0x30000 + (i) * 0x1000)
#define LOW		0x300000	/* 16 pages of data */
#define HIGH		0x40000000ULL	/* 8 MiB that large pages reach */
#define HIGHER		0x140000000ULL	/* the same beyond 4 GiB, other memory */
#define HIGH_SIZE	(8u << 20)
#define ALIAS		0x50000000ULL	/* what is at HIGH, for one test */

#define BITS(from, to)	((~0ULL >> (63 - (from))) & (~0ULL << (to)))

static const struct mode {
	const char *name;
	int bits, levels, size, index_bits;
	uint64_t cr4, gva;
} modes[] = {
	{ "32-bit", 32, 2, 4, 10, 0x10, 0x80407000 },
	{ "32-bit without PSE", 32, 2, 4, 10, 0, 0x80407000 },
	{ "PAE", 32, 3, 8, 9, 0x20, 0x80207000 },
	{ "4-level", 64, 4, 8, 9, 0x20, 0x8080207000 },
};

static const struct mode *m;
static struct script *s;
static uint8_t *high, *higher;
static int percent = 100;
static bool on_tcg;

/* What the guest's processor has, and how its registers are set now. */
static struct { int maxphyaddr; bool nx, gb, smep, smap, pcid, pku, pse36, intel; } cpu;
static struct regs { bool wp, smep, smap, nxe, ac, pke; uint32_t pkru; } now;

/* The entries that translate m->gva, as the guest must see them. */
static uint64_t entry[5];

static uint64_t random64(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x * 0x2545f4914f6cdd1d;
}

static uint32_t below(uint32_t n)
{
	return (random64() >> 32) % n;
}

/* ---- the guest's memory, as it must be ------------------------------------------- */

#define WORD	16	/* where in a page the accesses go */
static struct { uint64_t page; uint32_t word; } memory[8192];
static int pages;

static uint8_t *host_page(uint64_t page)
{
	if (page < MEMORY)
		return s->vm.mem + page;
	return page >= HIGHER ? higher + (page - HIGHER) : high + (page - HIGH);
}

static uint32_t *word_of(uint64_t page)
{
	for (int i = 0; i < pages; i++)
		if (memory[i].page == page)
			return &memory[i].word;
	bail_out("the test expects an access to page 0x%llx", (unsigned long long)page);
}

/* A page that says which it is, and may be executed. */
static void add_page(uint64_t page)
{
	uint8_t *p = host_page(page);

	memory[pages].page = page;
	memory[pages].word = 0xda000000 | (page >> 12);
	p[0] = 0xcd;
	p[1] = VECTOR_DONE;
	memcpy(p + WORD, &memory[pages++].word, 4);
}

/* ---- the rules ------------------------------------------------------------------- */

struct outcome { bool fault; uint32_t error, optional; uint64_t page; int leaf; };

static bool writes(int kind)
{
	return kind != READ && kind != EXEC && kind != OUTS && kind != READ8 &&
		kind != REPOUTS;
}

static uint64_t reserved_bits(int level, uint64_t e)
{
	bool large = e & PS;
	uint64_t r = cpu.maxphyaddr < 52 ? BITS(51, cpu.maxphyaddr) : 0;

	if (m->size == 4) {
		if (level != 2 || !large || !(m->cr4 & 0x10))
			return 0;
		return cpu.pse36 ? BITS(21, 21) : BITS(21, 13);
	}
	if (m->levels == 3)
		r |= BITS(62, 52);
	if (!now.nxe)
		r |= NX;
	if (level == 4 || (level == 3 && !cpu.gb))
		return r | PS;
	if (level == 3 && large)
		r |= BITS(29, 13);
	if (level == 2 && large)
		r |= BITS(20, 13);
	return r;
}

static struct outcome expect(const struct regs *c, int kind, bool user,
			     const uint64_t *e)
{
	bool w = true, u = true, nx = false, fetch = kind == EXEC, allowed;
	struct outcome out = { .fault = true };
	uint64_t mask;

	out.error = writes(kind) << 1 | user << 2;
	if (fetch && (c->smep || (c->nxe && m->size == 8)))
		out.error |= 16;
	for (out.leaf = m->levels; ; out.leaf--) {
		uint64_t x = e[out.leaf];

		if (!(x & P))
			return out;
		if (m->levels == 3 && out.leaf == 3)
			continue;	/* a PDPTE grants everything */
		if (x & reserved_bits(out.leaf, x)) {
			out.error |= 9;
			return out;
		}
		w &= !!(x & W);
		u &= !!(x & U);
		nx |= m->size == 8 && x & NX;
		if (out.leaf == 1)
			break;
		if (x & PS && (m->size == 8 || m->cr4 & 0x10))
			break;
	}
	if (fetch)
		allowed = !nx && (user ? u : !(u && c->smep));
	else if (user)
		allowed = u && (w || !writes(kind));
	else
		allowed = !(u && c->smap && !c->ac) &&
			(w || !writes(kind) || !c->wp);
	/* Protection keys (4.6.2): of data in user pages, whoever makes the access. */
	if (c->pke && u && !fetch) {
		int key = e[out.leaf] >> 59 & 15;
		uint32_t rights = c->pkru >> 2 * key;

		if (rights & 1 || (rights & 2 && writes(kind) && (user || c->wp))) {
			out.error |= 0x20;
			/* Beside another reason this bit is hard to predict. */
			out.optional = allowed ? 0 : 0x20;
			allowed = false;
		}
	}
	if (!allowed) {
		out.error |= 1;
		return out;
	}
	out.fault = false;
	mask = (1ULL << (12 + (out.leaf - 1) * m->index_bits)) - 1;
	out.page = e[out.leaf] & ADDR;
	if (m->size == 4 && out.leaf == 2)
		out.page = (e[2] & 0xffc00000) | (e[2] & BITS(20, 13)) << 19;
	out.page = ((out.page & ~mask) | (m->gva & mask)) & ~0xfffULL;
	return out;
}

/* ---- what the guest does --------------------------------------------------------- */

static uint64_t entry_at(int level)
{
	uint64_t table = level == m->levels ? ROOT : TABLE(level);
	int shift = 12 + (level - 1) * m->index_bits;
	uint64_t mask = m->levels == 3 && level == 3 ? 3 : (1 << m->index_bits) - 1;

	return table + ((m->gva >> shift) & mask) * m->size;
}

static void put(uint64_t where, uint64_t value)
{
	script_add(s, m->size == 8 ? WRITE8 : WRITE, 0, where, value);
}

static void set_entry(int level, uint64_t value)
{
	entry[level] = value;
	put(entry_at(level), value);
}

static void flush(void)
{
	script_add(s, FLUSH, 0, m->gva, 0);
}

static void load_cr3(uint64_t root)
{
	script_add(s, SETCR3, 0, 0, root);
}

static void show(const uint64_t *c)
{
	if (c[5])
		note("  PKRU 0x%llx", (unsigned long long)c[5]);
	note("  %s, CR0.WP %d CR4.SMEP %d SMAP %d EFER.NXE %d EFLAGS.AC %d, entries %llx %llx %llx %llx",
	     m->name, (int)c[0] & 1, (int)c[0] >> 1 & 1, (int)c[0] >> 2 & 1,
	     (int)c[0] >> 3 & 1, (int)c[0] >> 4 & 1, (unsigned long long)c[4],
	     (unsigned long long)c[3], (unsigned long long)c[2],
	     (unsigned long long)c[1]);
}

/* One access at m->gva + WORD (a fetch: m->gva), and what it must do. */
static void access_page(int kind, bool user, bool ac)
{
	static uint32_t fresh = 0x20000000;
	uint64_t gva = m->gva + (kind == EXEC ? 0 : WORD);
	uint64_t value = kind == RMW ? 3 : fresh++;
	struct regs c = now;
	struct outcome out;
	struct want *want;
	uint32_t *word;

	c.ac = ac;
	s->context[0] = c.wp | c.smep << 1 | c.smap << 2 | c.nxe << 3 | c.ac << 4;
	s->context[5] = c.pkru;
	memcpy(&s->context[1], &entry[1], 4 * sizeof(entry[0]));
	out = expect(&c, kind, user, entry);
	want = script_add(s, kind, user, gva, value);
	script_op(s, want)->flags |= ac << 18;
	want->fault_rip = true;
	if (out.fault) {
		want->vector = PF;
		want->error = out.error;
		want->optional = out.optional;
		/* TCG has it backwards: RSVD without P. */
		if (on_tcg && out.error & 8)
			want->optional = 1;
		want->cr2 = gva;
		return;
	}
	word = word_of(out.page);
	if (kind == READ) {
		want->value = *word;
		want->mask = ~0u;
	} else if (kind == OUTS) {
		want->exits = 1;
		want->outs = *word;
	} else if (kind == INS) {
		want->exits = 1;
		*word = script_ins(s, want);
	} else if (kind == RMW) {
		*word += value;
	} else if (kind == WRITE) {
		*word = value;
	}
	for (int l = out.leaf; l <= m->levels; l++)
		if (!(m->levels == 3 && l == 3))
			entry[l] |= A | (l == out.leaf && writes(kind) ? D : 0);
}

/*
 * The entries are as they should be. An accessed bit that is not due may have
 * come from a walk that ended in a fault, or from speculation.
 */
static void check_entries(void)
{
	memcpy(&s->context[1], &entry[1], 4 * sizeof(entry[0]));
	for (int l = 1; l <= m->levels; l++) {
		struct want *want = script_add(s, m->size == 8 ? READ8 : READ, 0,
					       entry_at(l), 0);

		want->text = "an entry afterwards";
		want->value = entry[l];
		want->mask = m->size == 8 ? ~0ULL : ~0u;
		if (!(entry[l] & A))
			want->mask &= ~A;
	}
}

static void set_registers(struct regs r)
{
	bool nxe = now.nxe;

	now = r;
	script_add(s, SETCR0, 0, 0, 0x80000031 | (uint64_t)r.wp << 16);
	script_add(s, SETCR4, 0, 0, m->cr4 | (uint64_t)r.smep << 20 |
		   (uint64_t)r.smap << 21 | (uint64_t)r.pke << 22 | 0x80 /* PGE */);
	if (cpu.nx)
		script_add(s, SETMSR, 0, 0xc0000080,
			   (m->bits == 64 ? 0x500 : 0) | (uint64_t)r.nxe << 11);
	/* Unlike the others this may leave translations as they were. */
	if (nxe != r.nxe)
		load_cr3(ROOT);
}

/* Every setting that this processor has: i counts from 0. */
static bool next_registers(struct regs *r, int *i)
{
	for (; *i < 16; ++*i) {
		*r = (struct regs){ .wp = *i & 1, .nxe = *i & 2,
				    .smep = *i & 4, .smap = *i & 8 };
		if ((r->nxe && !cpu.nx) || (r->smep && !cpu.smep) ||
		    (r->smap && !cpu.smap))
			continue;
		++*i;
		return true;
	}
	return false;
}

/* ---- the machine ------------------------------------------------------------------ */

static void put_now(uint64_t where, uint64_t value)
{
	memcpy(s->vm.mem + where, &value, m->size);
}

/* The lowest 4 MiB as they are, for the kernel; SCRIPT_USER for the user too. */
static void identity_map(void)
{
	int per_table = 4096 / m->size, level = m->levels;
	uint64_t table = ROOT;

	memset(s->vm.mem + ROOT, 0, 0x20000);
	for (; level > 2; level--) {
		put_now(table, (table + 0x1000) | P |
			(m->levels == 3 && level == 3 ? 0 : W | U));
		table += 0x1000;
	}
	for (int i = 0; i < 1024; i++) {
		uint64_t leaf = table + 0x1000 * (1 + i / per_table);

		put_now(table + i / per_table * m->size, leaf | P | W | U);
		put_now(leaf + i % per_table * m->size, (uint64_t)i << 12 | P | W |
			(i == SCRIPT_USER >> 12 ? U : 0));
	}
	for (level = m->levels; level > 1; level--)
		put_now(entry_at(level), TABLE(level - 1) | P |
			(m->levels == 3 && level == 3 ? 0 : W | U));
}

static void start(const struct mode *mode)
{
	struct kvm_sregs r;

	m = mode;
	script_create(s, m->bits);
	s->show = show;
	if (vm_slot(&s->vm, 1, 0, HIGH, HIGH_SIZE, high) < 0 ||
	    vm_slot(&s->vm, 2, 0, HIGHER, HIGH_SIZE, higher) < 0)
		bail_out("KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
	pages = 0;
	for (int i = 0; i < 16; i++)
		add_page(LOW + i * PAGE);
	for (uint32_t i = 0; i < HIGH_SIZE; i += PAGE) {
		add_page(HIGH + i);
		add_page(HIGHER + i);
	}
	identity_map();
	if (ioctl(s->vm.vcpu, KVM_GET_SREGS, &r) < 0)
		bail_out("KVM_GET_SREGS: %s", strerror(errno));
	r.cr0 = 0x80000031;
	r.cr3 = ROOT;
	r.cr4 = m->cr4;
	if (ioctl(s->vm.vcpu, KVM_SET_SREGS, &r) < 0)
		bail_out("KVM_SET_SREGS: %s", strerror(errno));
	memset(&now, 0, sizeof(now));
	for (int l = m->levels; l > 1; l--)
		memcpy(&entry[l], s->vm.mem + entry_at(l), m->size);
	entry[1] = 0;
}

/* ---- probes ------------------------------------------------------------------------- */

static const int kinds[] = { READ, WRITE, EXEC, RMW, OUTS, INS };

/* Every access to one page after another, its tables unchanged meanwhile. */
static void all_accesses(void)
{
	for (unsigned int i = 0; i < 6; i++) {
		access_page(kinds[i], true, false);
		access_page(kinds[i], false, false);
		if (now.smap)
			access_page(kinds[i], false, true);
	}
}

/*
 * All permissions of the leaf and of one table above it, for all settings of the
 * registers and all accesses, each on tables whose bits A and D are clear.
 */
static void test_permissions(int leaf)
{
	static const char *const sizes[] = { "", "4 KiB", "2 MiB", "1 GiB" };
	uint64_t base = leaf > 1 ? HIGH | PS : LOW;
	int nx_bits = m->size == 8 ? 2 : 0, upper = leaf + 1;
	struct regs r;
	int accesses = 0, i = 0;

	if (upper > m->levels || (m->levels == 3 && upper == 3))
		upper = 0;
	while (next_registers(&r, &i)) {
		set_registers(r);
		for (int bits = 0; bits < 1 << (4 + nx_bits); bits++) {
			uint64_t e[2] = {
				base | P | (bits & 1 ? W : 0) | (bits & 2 ? U : 0) |
					(bits & 16 ? NX : 0),
				(upper ? entry[upper] & ADDR : 0) | P |
					(bits & 4 ? W : 0) | (bits & 8 ? U : 0) |
					(bits & 32 ? NX : 0),
			};

			if (bits & 4 && !upper)
				break;
			for (int k = 0; k < (r.smap ? 18 : 12); k++) {
				if ((int)below(100) >= percent)
					continue;
				script_room(s, 40);
				set_entry(leaf, e[0]);
				if (upper)
					set_entry(upper, e[1]);
				flush();
				access_page(kinds[k % 6], k / 6 == 0, k / 6 == 2);
				check_entries();
				accesses++;
			}
			script_room(s, 40);
			all_accesses();
		}
		if (upper) {
			set_entry(upper, (entry[upper] & ADDR) | P | W | U);
			flush();
		}
	}
	script_ok(s, "%s, %s page: %d accesses by every permission, with A and D",
		  m->name, m->size == 4 && leaf == 2 ? "4 MiB" : sizes[leaf], accesses);
}

/* Keys of user and kernel pages, PKRU of all rights, with and without WP. */
static void test_protection_keys(void)
{
	struct regs r = { .nxe = cpu.nx, .pke = true };
	int accesses = 0;

	if (!cpu.pku) {
		skip("protection keys", "the guest's processor has none");
		return;
	}
	set_entry(3, TABLE(2) | P | W | U);
	set_entry(2, TABLE(1) | P | W | U);
	load_cr3(ROOT);
	for (int i = 0; i < 16 * 2 * 4 * 4; i++) {
		int key = i & 15;

		script_room(s, 60);
		r.wp = i & 16;
		r.pkru = (uint32_t)(i >> 5 & 3) << 2 * key;
		if (i & 0x40 && !(i & 15))	/* the other keys have no rights */
			r.pkru |= ~3u;
		set_registers(r);
		script_add(s, SETPKRU, 0, 0, r.pkru);
		set_entry(1, (uint64_t)key << 59 | LOW | P | (i & 0x80 ? W : 0) |
			  (i & 0x100 ? U : 0));
		flush();
		for (int k = 0; k < 12; k++)
			access_page(kinds[k % 6], k / 6, false);
		check_entries();
		accesses += 12;
	}
	script_add(s, SETPKRU, 0, 0, 0);
	set_registers((struct regs){ .nxe = cpu.nx });
	script_ok(s, "%s: %d accesses by protection keys", m->name, accesses);
}

/* Any bits in any entry, reserved ones too. */
static uint64_t random_entry(int level, bool *large)
{
	bool pdpte = m->levels == 3 && level == 3;
	uint64_t e = 0, r;

	if (below(8))
		e |= P;
	if (pdpte)
		return (entry[3] & ADDR) | e;
	if (below(4))
		e |= W;
	if (below(4))
		e |= U;
	if (m->size == 8 && !below(5))
		e |= NX;
	e |= random64() & (A | D | BITS(11, 9));
	if (m->levels == 4)
		e |= random64() & BITS(58, 52);		/* ignored */
	if (level > 1 && level < 4 && !below(4))
		e |= PS;
	*large = level > 1 && e & PS && (m->size == 8 || m->cr4 & 0x10);
	if (level == 1) {
		e |= below(2) ? LOW + below(16) * PAGE :
			(below(2) && m->size == 8 ? HIGHER : HIGH) +
			below(HIGH_SIZE / PAGE) * PAGE;
		e |= below(2) ? G : 0;
	} else if (!*large) {
		e |= TABLE(level - 1);
	} else if (m->size == 8) {
		e |= (below(2) ? HIGHER : HIGH) | (level == 2 ? below(4) << 21 : 0);
	} else {
		e |= HIGH | below(2) << 22;
		if (cpu.pse36 && below(2))
			e |= 1 << 13;			/* HIGHER */
	}
	r = reserved_bits(level, e);
	if (r && !below(12)) {
		int bit;

		do
			bit = below(64);
		while (!(r >> bit & 1));
		e |= 1ULL << bit;
	}
	return e;
}

static void test_random_tables(void)
{
	int tables = 3000 * percent / 100;
	uint64_t keep[5];
	struct regs r[16];
	int nregs = 0, i = 0;

	memcpy(keep, entry, sizeof(keep));
	while (next_registers(&r[nregs], &i))
		nregs++;
	for (i = 0; i < tables; i++) {
		bool large = false;

		script_room(s, 60);
		if (i % 20 == 0)
			set_registers(r[below(nregs)]);
		for (int l = m->levels; l; l--)
			if (l != 3 || m->levels != 3 || i % 8 == 0)
				set_entry(l, random_entry(l, &large));
		if (m->levels == 3 && i % 8 == 0)
			load_cr3(ROOT);
		flush();
		for (int k = 1 + below(6); k; k--)
			access_page(kinds[below(6)], below(2),
				    now.smap && below(2));
		check_entries();
	}
	for (int l = m->levels; l; l--)
		set_entry(l, keep[l]);
	load_cr3(ROOT);
	flush();
	script_ok(s, "%s: %d random tables: all levels, all bits, reserved ones too",
		  m->name, tables);
}

/*
 * Eight pages at m->gva and after it; entries change, each followed by INVLPG,
 * while accesses to all of them go on, and WP, SMEP, SMAP and NXE change.
 */
static void test_sequences(void)
{
	const struct mode *mode = m;
	int steps = 12000 * percent / 100, i = 0, nregs = 0;
	uint64_t leaf[8] = { 0 }, upper = TABLE(1) | P | W | U;
	struct regs r[16];
	struct mode at;

	while (next_registers(&r[nregs], &i))
		nregs++;
	set_entry(2, upper);
	for (i = 0; i < 8; i++)
		put(entry_at(1) + i * m->size, 0);
	load_cr3(ROOT);
	for (i = 0; i < steps; i++) {
		int page = below(8), what = below(16);

		script_room(s, 40);
		at = *mode;
		at.gva += page * PAGE;
		m = &at;
		entry[1] = leaf[page];
		if (what == 0) {
			set_registers(r[below(nregs)]);
		} else if (what < 4) {
			bool large;
			uint64_t e = random_entry(1, &large);

			set_entry(1, (e & ~G) | (below(4) ? P : 0));
			flush();
		} else if (what == 4) {
			load_cr3(ROOT);
		} else if (what == 5) {
			check_entries();
		} else {
			access_page(kinds[below(6)], below(2),
				    now.smap && below(2));
		}
		leaf[page] = entry[1];
		m = mode;
	}
	entry[1] = leaf[0];
	for (i = 1; i < 8; i++)
		put(entry_at(1) + i * m->size, 0);
	load_cr3(ROOT);
	script_ok(s, "%s: %d random steps: accesses, changes with INVLPG, registers",
		  m->name, steps);
}

/* Read the word at m->gva + offset: it is that of this page. */
static void reads_page(int64_t offset, uint64_t page)
{
	struct want *want = script_add(s, READ, 0, m->gva + offset + WORD, 0);

	want->value = *word_of(page);
	want->mask = ~0u;
}

static void faults(int kind, int user, int64_t offset, uint32_t error)
{
	struct want *want = script_add(s, kind, user, m->gva + offset, 0);

	want->vector = PF;
	want->error = error;
	want->cr2 = m->gva + offset;
	want->fault_rip = true;
}

static void plain_registers(void)
{
	set_registers((struct regs){ .wp = true, .nxe = cpu.nx });
}

/* SDM vol. 3, 4.10.4: when a changed entry must be seen. */
static void test_invalidation(void)
{
	uint64_t leaf = LOW | P | W | U, where = entry_at(1);
	uint64_t table = TABLE(1) | P | W | U;

	plain_registers();
	put(entry_at(2), table);
	put(where, 0);
	flush();
	for (int i = 0; i < 50; i++) {
		faults(READ, i & 1, 0, (i & 1) << 2);
		put(where, leaf + i % 16 * PAGE);
		reads_page(0, LOW + i % 16 * PAGE);
		put(where, 0);
		flush();
	}
	script_ok(s, "%s: an entry that becomes present is seen without INVLPG",
		  m->name);

	for (int i = 0; i < 50; i++) {
		put(where, leaf & ~W);
		flush();
		reads_page(0, LOW);
		faults(WRITE, i & 1, 0, 3 | (i & 1) << 2);
		put(where, leaf);
		script_add(s, XCHG, i & 1, m->gva + WORD, *word_of(LOW));
		put(where, leaf & ~U);
		flush();
		faults(READ, 1, 0, 5);
		put(where, leaf);
		script_add(s, READ, 1, m->gva, 0);
	}
	script_ok(s, "%s: after a fault a wider permission is seen without INVLPG",
		  m->name);

	for (int i = 0; i < 64; i++) {
		put(where, leaf + i % 16 * PAGE);
		if (i & 1)
			flush();
		else
			load_cr3(ROOT);
		reads_page(0, LOW + i % 16 * PAGE);
	}
	script_ok(s, "%s: a page that moves is seen after INVLPG, and after a CR3 load",
		  m->name);

	for (int i = 0; i < 32; i++) {
		put(where, (leaf + i % 16 * PAGE) | G);
		script_add(s, SETCR4, 0, 0, m->cr4);		/* PGE off, on */
		script_add(s, SETCR4, 0, 0, m->cr4 | 0x80);
		reads_page(0, LOW + i % 16 * PAGE);
		load_cr3(ROOT);
		reads_page(0, LOW + i % 16 * PAGE);
		put(where, (leaf + (i + 1) % 16 * PAGE) | G);
		flush();
		reads_page(0, LOW + (i + 1) % 16 * PAGE);
	}
	script_ok(s, "%s: a global page that moves is seen after INVLPG and by CR4.PGE",
		  m->name);

	/* Two tables for the same addresses. */
	put(where, leaf);
	put(SPARE(0) + (where & 0xfff), leaf + PAGE);
	for (int i = 0; i < 32; i++) {
		put(entry_at(2), (i & 1 ? SPARE(0) : TABLE(1)) | P | W | U);
		if (i & 2)
			flush();
		else
			load_cr3(ROOT);
		reads_page(0, LOW + (i & 1) * PAGE);
	}
	put(entry_at(2), table);
	load_cr3(ROOT);
	script_ok(s, "%s: a table that is exchanged is seen after INVLPG or a CR3 load",
		  m->name);

	if (m->cr4) {
		uint64_t shift = 12 + m->index_bits;
		uint64_t inside = m->gva & ((1ULL << shift) - 1) & ~0xfffULL;

		for (int i = 0; i < 32; i++) {
			put(entry_at(2), HIGH | PS | P | W | U);
			flush();
			reads_page(0, HIGH + inside);
			put(entry_at(2), table);
			flush();
			reads_page(0, LOW);
			put(where, HIGH + inside + (i % 8 << 12) + P + W);
			flush();
			reads_page(0, HIGH + inside + (i % 8 << 12));
			put(where, leaf);
			flush();
		}
		script_ok(s, "%s: a large page is split and joined again", m->name);
	}

	for (int i = 0; i < 40; i++) {	/* forget D, A, both; then they come back */
		uint64_t bits = i % 4 == 1 ? A : i % 4 == 2 ? D : i % 4 == 3 ? A | D : 0;
		struct want *want;

		put(where, leaf | A | D);
		flush();
		script_add(s, READ, 0, m->gva, 0);
		put(where, leaf | (bits ^ (A | D)));
		flush();
		want = script_add(s, READ, 0, where, 0);
		want->value = leaf | (bits ^ (A | D));
		want->mask = D;		/* A may be set again at any time */
		script_add(s, READ, 0, m->gva, 0);
		want = script_add(s, READ, 0, where, 0);
		want->value = leaf | A | (bits & D ? 0 : D);
		want->mask = ~0u;
		script_add(s, XCHG, 0, m->gva + WORD, *word_of(LOW));
		want = script_add(s, READ, 0, where, 0);
		want->value = leaf | A | D;
		want->mask = ~0u;
	}
	script_ok(s, "%s: bits A and D that are cleared are set again when due", m->name);

	if (m->cr4) {	/* One bit D for all of a large page: any part's write sets it. */
		uint64_t large = HIGH | PS | P | W | U | A, mask = (1ULL << (12 + m->index_bits)) - 1;
		uint64_t page = HIGH + (m->gva & mask & ~0xfffULL);
		struct want *want;

		for (int i = 0; i < 16; i++) {
			put(entry_at(2), large);
			flush();
			for (int k = 0; k < 64; k += 16)
				script_add(s, XCHG, 0, m->gva + k * PAGE + WORD,
					   *word_of(page + k * PAGE));
			put(entry_at(2), large);
			flush();
			reads_page(0, page);
			want = script_add(s, READ, 0, entry_at(2), 0);
			want->value = large;
			want->mask = ~0u;
			script_add(s, XCHG, 0, m->gva + 16 * PAGE + WORD,
				   *word_of(page + 16 * PAGE));
			want = script_add(s, READ, 0, entry_at(2), 0);
			want->value = large | D;
			want->mask = ~0u;
		}
		put(entry_at(2), table);
		flush();
		script_ok(s, "%s: bit D of a large page that is cleared is set by a write to any part",
			  m->name);
	}
}

/* Pages of memory that the guest sees at two places; what it writes there is logged. */
static void test_alias(void)
{
	uint64_t where = entry_at(1), bitmap[HIGH_SIZE / PAGE / 64];
	struct kvm_dirty_log log = { .slot = 3, .dirty_bitmap = bitmap };

	plain_registers();
	put(entry_at(2), TABLE(1) | 7);
	if (vm_slot(&s->vm, 3, KVM_MEM_LOG_DIRTY_PAGES, ALIAS, HIGH_SIZE, high) < 0)
		bail_out("KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
	for (int i = 0; i < 8; i++) {
		put(where, HIGH | P | U);
		flush();
		reads_page(0, HIGH);
		put(where, ALIAS | P | W | U);	/* seen after the fault, without INVLPG */
		for (int k = 0; k < 2; k++) {
			script_add(s, XCHG, 0, m->gva + WORD, *word_of(HIGH));
			script_run(s);
			if (ioctl(s->vm.fd, KVM_GET_DIRTY_LOG, &log) < 0)
				bail_out("KVM_GET_DIRTY_LOG: %s", strerror(errno));
			if (!(bitmap[0] & 1) && s->bad++ < 5)
				note("round %d: write %d is not in the log", i, k);
		}
	}
	vm_slot(&s->vm, 3, 0, ALIAS, 0, high);
	put(where, LOW | 7);
	flush();
	script_ok(s, "%s: writes through a second address of a page are logged", m->name);
}

/* User space goes back to a snapshot: other memory, then the registers. */
static void test_new_memory(void)
{
	uint64_t where = entry_at(1);
	struct kvm_sregs r;

	plain_registers();
	put(entry_at(2), TABLE(1) | 7);
	for (int i = 0; i < 8; i++) {
		put(where, LOW | 7);
		for (int k = 0; k < 8; k++) {
			load_cr3(ROOT);
			reads_page(0, LOW);
		}
		script_run(s);
		put_now(where, (LOW + PAGE) | 7);
		if (ioctl(s->vm.vcpu, KVM_GET_SREGS, &r) < 0 ||
		    ioctl(s->vm.vcpu, KVM_SET_SREGS, &r) < 0)
			bail_out("KVM_SET_SREGS: %s", strerror(errno));
		reads_page(0, LOW + PAGE);
	}
	put(where, LOW | 7);
	flush();
	script_ok(s, "%s: page tables that user space changes, then KVM_SET_SREGS", m->name);
}

/* A way to write an entry, and to which page it then points. */
struct way {
	int kind;
	uint64_t value;
	uint32_t moves;
};

/* Entries written in all the ways that there are. */
static void test_ways_to_write(void)
{
	static const struct way ways[] = {
		{ WRITE1, 0x07, 0 },			/* the flags */
		{ WRITE1, 0x00, 0 },
		{ WRITE2, (LOW & 0xffff) | 7, 0 },
		{ XCHG, LOW | 7, 0 }, { STOS, LOW | 7, 0 },
		{ OR, 0x3000, 3 }, { AND, ~0x1000u, 2 },
		{ BTS, 12, 3 }, { BTR, 13, 1 }, { BTR, 0, 0 }, { BTS, 0, 1 },
		{ RMW, PAGE, 2 }, { WRITE, LOW | 7, 0 }, { RMW, 15 * PAGE, 15 },
		{ CX8, LOW | 7, 0 }, { WRITE8, LOW | 7 | 3 * PAGE, 3 },
	};
	uint64_t where = entry_at(1);

	plain_registers();
	put(where, LOW | 7);
	flush();
	for (int round = 0; round < 4; round++) {
		bool present = true;

		for (unsigned int i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
			script_room(s, 20);
			script_add(s, ways[i].kind, 0, where, ways[i].value);
			flush();
			if (ways[i].kind == WRITE1 || ways[i].kind == WRITE ||
			    ways[i].kind == WRITE2 || ways[i].kind == XCHG)
				present = ways[i].value & 1;
			if (ways[i].kind == BTR && ways[i].value == 0)
				present = false;
			if (ways[i].kind == BTS && ways[i].value == 0)
				present = true;
			if (present)
				reads_page(0, LOW + ways[i].moves * PAGE);
			else
				faults(READ, 0, 0, 0);
		}
		put(where, LOW | 7);
		flush();
	}
	script_ok(s, "%s: entries written by bytes, words, OR, BTS, XCHG, CMPXCHG8B …",
		  m->name);

	/* One store into two entries, and one into two tables. */
	put(TABLE(1) + PAGE - m->size, LOW | 7);
	put(entry_at(2), TABLE(1) | 7);
	for (int i = 0; i < 8; i++) {
		int64_t last = (int64_t)(PAGE - m->size - (where & 0xfff)) /
			m->size * PAGE;

		put(where, LOW | 7);
		put(where + m->size, (LOW + PAGE) | 7);
		flush();
		script_add(s, FLUSH, 0, m->gva + PAGE, 0);
		reads_page(0, LOW);
		reads_page(PAGE, LOW + PAGE);
		/* Bits 16 to 31 of the first, 0 to 15 of what follows them. */
		script_add(s, WRITE, 0, where + 2, 0x00070000 | LOW >> 16);
		script_add(s, WRITE, 0, where + m->size, (LOW + i * PAGE) | 7);
		flush();
		script_add(s, FLUSH, 0, m->gva + PAGE, 0);
		if (m->size == 4) {
			reads_page(0, LOW);
			reads_page(PAGE, LOW + i * PAGE);
		}
		put(TABLE(1) + PAGE - m->size, LOW | 7);
		script_add(s, FLUSH, 0, m->gva + last, 0);
		reads_page(last, LOW);
		script_add(s, WRITE, 0, TABLE(1) + PAGE - 2,
			   m->size == 4 ? LOW >> 16 : 0);
		script_add(s, FLUSH, 0, m->gva + last, 0);
		reads_page(last, LOW);
	}
	put(where, LOW | 7);
	put(where + m->size, 0);
	put(TABLE(1) + PAGE - m->size, 0);
	load_cr3(ROOT);
	script_ok(s, "%s: stores that reach into two entries or two tables", m->name);
}

/* A directory entry that points at its own table. */
static void test_self_map(void)
{
	int level = m->levels == 3 ? 2 : m->levels;
	uint64_t table = level == m->levels ? ROOT : TABLE(2);
	int slot = m->size == 4 ? 0x3f0 : 0x1f0;
	uint64_t window, shift;
	struct want *want;
	static const struct way window_ways[] = {
		{ RMW, PAGE, 1 }, { XCHG, (LOW + 2 * PAGE) | 7, 2 }, { BTS, 12, 1 },
		{ CX8, (LOW + 3 * PAGE) | 7, 3 }, { OR, 4 * PAGE, 4 }, { WRITE, (LOW + 5 * PAGE) | 7, 5 },
	};
	const unsigned int ways = sizeof(window_ways) / sizeof(window_ways[0]);

	/* Walk the slot "level" times: then the window shows the lowest tables. */
	shift = 12 + (level - 1) * m->index_bits;
	window = m->levels == 3 ? m->gva & BITS(31, 30) : 0;
	if (m->levels == 4)
		window = BITS(63, 48);
	window |= (uint64_t)slot << shift;
	window |= (m->gva & BITS(shift + m->index_bits - 1, 12)) >>
		(m->size == 8 ? 9 : 10);

	plain_registers();
	put(entry_at(1), LOW | 7);
	put(entry_at(2), TABLE(1) | 7);
	put(table + slot * m->size, table | P | W);
	load_cr3(ROOT);
	for (int i = 0; i < 32; i++) {
		want = script_add(s, READ, 0, window, 0);
		want->value = LOW | 7 | i % 16 << 12;
		want->mask = ~(A | D) & ~0u;
		reads_page(0, LOW + i % 16 * PAGE);
		script_add(s, m->size == 8 ? WRITE8 : WRITE, 0, window,
			   LOW | 7 | (i + 1) % 16 << 12);
		flush();
		reads_page(0, LOW + (i + 1) % 16 * PAGE);
		want = script_add(s, READ, 1, window, 0);
		want->vector = PF;
		want->error = 5;
		want->cr2 = window;
		put(entry_at(1), LOW | 7 | (i + 1) % 16 << 12);
		flush();
		reads_page(0, LOW + (i + 1) % 16 * PAGE);
	}
	/* The window is the user's to read; CR0.WP is clear, so the kernel may write. */
	put(table + slot * m->size, table | P | U);
	set_registers((struct regs){ .nxe = cpu.nx });
	load_cr3(ROOT);
	for (unsigned int i = 0; i < 4 * ways; i++) {
		const struct way *way = &window_ways[i % ways];

		put(entry_at(1), LOW | 7);
		flush();
		/* What stays as it is through many flushes may be kept another way. */
		for (int k = 0; k < 8; k++) {
			load_cr3(ROOT);
			reads_page(0, LOW);
		}
		script_add(s, way->kind, 0, window, way->value);
		flush();
		reads_page(0, LOW + way->moves * PAGE);
	}
	plain_registers();
	put(table + slot * m->size, table | P | W);
	load_cr3(ROOT);
	script_add(s, READ, 0, window, 0);
	want = script_add(s, READ, 0, table + slot * m->size, 0);
	want->value = table | P | W | A;
	want->mask = ~0u;
	put(table + slot * m->size, 0);
	put(entry_at(1), LOW | 7);
	load_cr3(ROOT);
	script_ok(s, "%s: tables that map themselves, changed through the window",
		  m->name);
}

/* The same lowest table behind entries of different permissions. */
static void test_shared_tables(void)
{
	uint64_t span = 1ULL << (12 + m->index_bits);
	const struct mode *mode = m;
	uint64_t leaves[4] = { LOW | P | W | U, LOW | P | U, LOW | P | W, LOW | P };
	uint64_t uppers[4] = { P | W | U, P | U, P | W, P };
	uint64_t leaf = 0;
	struct mode at;

	for (int i = 0; i < 4; i++)
		put(entry_at(2) + i * m->size, TABLE(1) | uppers[i]);
	load_cr3(ROOT);
	for (int i = 0; i < 400; i++) {
		int k = below(4);

		script_room(s, 200);
		if (i % 50 == 0)
			set_registers((struct regs){ .wp = i / 50 & 1,
				.smep = cpu.smep && i / 50 & 2,
				.smap = cpu.smap && i / 50 & 4 });
		if (i % 5 == 0) {
			leaf = leaves[below(4)];
			put(entry_at(1), leaf);
			for (int j = 0; j < 4; j++)
				script_add(s, FLUSH, 0, m->gva + j * span, 0);
		}
		at = *mode;
		at.gva += k * span;
		m = &at;
		entry[2] = TABLE(1) | uppers[k];
		entry[1] = leaf;
		access_page(kinds[below(6)], below(2), false);
		m = mode;
	}
	for (int i = 1; i < 4; i++)
		put(entry_at(2) + i * m->size, 0);
	entry[2] = TABLE(1) | P | W | U;
	put(entry_at(2), entry[2]);
	plain_registers();
	load_cr3(ROOT);
	script_ok(s, "%s: one table behind four entries of different permissions",
		  m->name);
}

/* Several roots: CR3 goes from one to the other while their entries change. */
static void test_roots(void)
{
	int top = m->levels, lower = top - 1;
	uint64_t leaf[4];
	uint64_t offset = entry_at(top) & 0xfff, kernel = 0;

	plain_registers();
	memcpy(&kernel, s->vm.mem + ROOT, m->size);
	/* Each root has tables of its own down to the leaf, and the kernel's. */
	for (int i = 0; i < 4; i++) {
		uint64_t next = SPARE(4 * i);

		put(OTHER_ROOT(i), kernel);
		put(OTHER_ROOT(i) + offset, next | P | (top == 3 ? 0 : W | U));
		for (int l = lower; l > 1; l--, next += PAGE)
			put(next + (entry_at(l) & 0xfff), (next + PAGE) | P | W | U);
		leaf[i] = next + (entry_at(1) & 0xfff);
		put(leaf[i], (LOW + i * PAGE) | 7);
	}
	for (int i = 0; i < 200; i++) {
		int to = below(4);

		script_room(s, 40);
		load_cr3(OTHER_ROOT(to));
		reads_page(0, LOW + to * PAGE);
		if (below(2)) {		/* another root's entry, while it sleeps */
			int other = below(4);

			put(leaf[other], (LOW + (4 + other) * PAGE) | 7);
			load_cr3(OTHER_ROOT(other));
			reads_page(0, LOW + (4 + other) * PAGE);
			put(leaf[other], (LOW + other * PAGE) | 7);
			flush();
			reads_page(0, LOW + other * PAGE);
		}
	}
	load_cr3(ROOT);
	put(entry_at(1), LOW | 7);
	flush();
	script_ok(s, "%s: CR3 switches between roots whose tables change", m->name);

	/* A table becomes data and a table again. */
	for (int i = 0; i < 40; i++) {
		script_room(s, 40);
		put(entry_at(2), TABLE(1) | 7);
		put(entry_at(1), (LOW + i % 16 * PAGE) | 7);
		load_cr3(ROOT);
		reads_page(0, LOW + i % 16 * PAGE);
		put(entry_at(2), SPARE(0) | 7);
		put(SPARE(0) + (entry_at(1) & 0xfff), LOW | 7);
		load_cr3(ROOT);
		for (int j = 0; j < 8; j++)
			script_add(s, WRITE, 0, TABLE(1) + j * 0x38, random64());
		script_add(s, WRITE, 0, entry_at(1), random64());
		reads_page(0, LOW);
	}
	put(entry_at(2), TABLE(1) | 7);
	put(entry_at(1), LOW | 7);
	for (int j = 0; j < 8; j++)
		put(TABLE(1) + j * 0x38 / m->size * m->size, 0);
	put(entry_at(1), LOW | 7);
	load_cr3(ROOT);
	script_ok(s, "%s: a page is a table, then data, then a table again", m->name);

	/* The same, and nothing is flushed before the page is a table again. */
	for (int i = 0; i < 16; i++) {
		uint64_t other = entry_at(1) + m->size;

		put(entry_at(2), TABLE(1) | 7);
		put(other, (LOW + PAGE) | 7);
		load_cr3(ROOT);
		reads_page(0, LOW);
		reads_page(PAGE, LOW + PAGE);
		put(entry_at(2), 0);
		load_cr3(ROOT);
		put(other, (LOW + (2 + i % 8) * PAGE) | 7);
		put(entry_at(2), TABLE(1) | 7);
		reads_page(0, LOW);
		reads_page(PAGE, LOW + (2 + i % 8) * PAGE);
		put(other, 0);
	}
	load_cr3(ROOT);
	script_ok(s, "%s: a table that changes while nothing points to it", m->name);
}

/* Accesses that reach into a second page. */
static void test_page_crossing(void)
{
	uint64_t where = entry_at(1);
	int64_t edge = PAGE - 2;
	uint8_t before[2];
	struct want *want;

	plain_registers();
	for (int i = 0; i < 16; i++) {
		int kind = i & 1 ? INS : OUTS;

		script_room(s, 60);
		put(where, LOW | 7);
		put(where + m->size, i & 2 ? (LOW + PAGE) | (i & 4 ? 5 : 7) : 0);
		flush();
		script_add(s, FLUSH, 0, m->gva + PAGE, 0);
		for (int k = 0; k < 2; k++) {	/* the processor, the emulator */
			int what = k ? kind : i & 1 ? WRITE : READ;
			bool fault = !(i & 2) || (i & 1 && i & 4);
			int user = i >> 3;

			want = script_add(s, what, user, m->gva + edge,
					  0xabcd1234);
			want->exits = k && !fault;
			if (fault) {
				want->vector = PF;
				want->error = (i & 2 ? 1 : 0) | (i & 1) << 1 | user << 2;
				want->cr2 = m->gva + PAGE;
				want->fault_rip = true;
			} else if (what == OUTS) {
				/* Two bytes of each page; the second begins with code. */
				uint16_t low;

				memcpy(&low, s->vm.mem + LOW + edge, 2);
				want->text = "across pages";
				want->outs = low | 0xcdu << 16 | (uint32_t)VECTOR_DONE << 24;
			}
		}
		memcpy(before, s->vm.mem + LOW + edge, 2);
		script_run(s);
		if ((!(i & 2) || i & 4) && memcmp(before, s->vm.mem + LOW + edge, 2) &&
		    s->bad++ < 5)
			note("a store that faults wrote its first part");
		/* What was written is at both sides; make it as it was. */
		s->vm.mem[LOW + PAGE] = 0xcd;
		s->vm.mem[LOW + PAGE + 1] = VECTOR_DONE;
		memset(s->vm.mem + LOW + edge, 0x11 * i, 2);
	}
	put(where, LOW | 7);
	put(where + m->size, 0);
	flush();
	script_add(s, FLUSH, 0, m->gva + PAGE, 0);
	script_ok(s, "%s: accesses across pages fault at the second page's address",
		  m->name);

	/* A string of bytes that comes to a page that is missing. */
	put(where, LOW | 7);
	put(where + m->size, (LOW + PAGE) | 7);
	put(where + 2 * m->size, 0);
	load_cr3(ROOT);
	for (int i = 0; i < 2; i++) {
		uint32_t sum = 0;

		want = script_add(s, i ? REPINS : REPOUTS, 0, m->gva + PAGE - 64,
				  (uint64_t)PORT_BYTES << 32 | 8192);
		want->vector = PF;
		want->error = i << 1;
		want->cr2 = m->gva + 2 * PAGE;
		want->has_count = true;
		want->count = 8192 - 64 - PAGE;
		for (uint32_t k = PAGE - 64; k < 2 * PAGE; k++)
			sum = sum * 31 + s->vm.mem[LOW + k];
		s->bytes_sum = 0;
		script_run(s);
		if (!i && s->bytes_sum != sum && s->bad++ < 5)
			note("the bytes sent are not those in memory");
		for (uint32_t k = PAGE - 64; i && k < 2 * PAGE; k++)
			if (s->vm.mem[LOW + k] != (uint8_t)(k + 64) && s->bad++ < 5)
				note("byte %u of the string: 0x%x", k - PAGE + 64,
				     s->vm.mem[LOW + k]);
	}
	put(where + m->size, 0);
	load_cr3(ROOT);
	script_ok(s, "%s: REP OUTS and INS stop with a fault at a page that is missing",
		  m->name);

	/* And one that reads and fills what is no memory. */
	put(where, ALIAS | 7);
	flush();
	for (int i = 0; i < 2; i++) {
		want = script_add(s, i ? REPINS : REPOUTS, 0, m->gva + 3,
				  (uint64_t)PORT_BYTES << 32 | 2000);
		want->has_count = true;
		want->count = 0;
	}
	put(where, LOW | 7);
	flush();
	script_ok(s, "%s: REP OUTS and INS from and to a device's memory", m->name);
}

/* SDM vol. 3, 4.10.1: a load of CR3 forgets its own PCID, or with bit 63 nothing. */
static void test_pcid(void)
{
	uint64_t cr4 = m->cr4 | 0x80, pcide = 1 << 17;
	struct want *want;

	if (!cpu.pcid) {
		skip("PCID", "the guest's processor has none");
		return;
	}
	plain_registers();
	put(entry_at(2), TABLE(1) | 7);
	load_cr3(ROOT | 8);
	want = script_add(s, SETCR4, 0, 0, cr4 | pcide);
	want->vector = 13;
	want->text = "CR4.PCIDE while CR3 has low bits";
	load_cr3(ROOT);
	script_add(s, SETCR4, 0, 0, cr4 | pcide);
	for (int i = 0; i < 64; i++) {
		uint64_t this = ROOT | (1 + i % 4), next = ROOT | (1 + (i + 1) % 4);

		load_cr3(this);
		put(entry_at(1), (LOW + i % 16 * PAGE) | 7 | (i & 1 ? G : 0));
		flush();
		reads_page(0, LOW + i % 16 * PAGE);
		load_cr3(next);
		reads_page(0, LOW + i % 16 * PAGE);
		put(entry_at(1), (LOW + (i + 5) % 16 * PAGE) | 7);
		flush();
		load_cr3(this | 1ULL << 63);
		flush();
		reads_page(0, LOW + (i + 5) % 16 * PAGE);
		script_add(s, SETCR4, 0, 0, cr4);	/* forgets all */
		put(entry_at(1), (LOW + i % 16 * PAGE) | 7);
		load_cr3(ROOT);
		script_add(s, SETCR4, 0, 0, cr4 | pcide);
		load_cr3(next | 1ULL << 63);
		flush();
		reads_page(0, LOW + i % 16 * PAGE);
	}
	load_cr3(ROOT);
	script_add(s, SETCR4, 0, 0, cr4);
	put(entry_at(1), LOW | 7);
	load_cr3(ROOT);
	script_ok(s, "%s: PCIDs: CR3 loads with and without bit 63, INVLPG, CR4.PCIDE",
		  m->name);
}

static void find_features(void)
{
	struct kvm_cpuid2 *t = vm_cpuid(s->vm.kvm);

	cpu.maxphyaddr = 36;
	for (unsigned int i = 0; i < t->nent; i++) {
		struct kvm_cpuid_entry2 *e = &t->entries[i];

		switch (e->function) {
		case 0:
			cpu.intel = e->ebx == 0x756e6547;
			break;
		case 1:
			cpu.pse36 = e->edx >> 17 & 1;
			cpu.pcid = e->ecx >> 17 & 1;
			break;
		case 7:
			if (e->index == 0) {
				cpu.smep = e->ebx >> 7 & 1;
				cpu.smap = e->ebx >> 20 & 1;
				cpu.pku = e->ecx >> 3 & 1;
			}
			break;
		case 0x80000001:
			cpu.nx = e->edx >> 20 & 1;
			cpu.gb = e->edx >> 26 & 1;
			break;
		case 0x80000008:
			cpu.maxphyaddr = e->eax & 0xff;
			break;
		}
	}
}

int main(int argc, char **argv)
{
	static struct script script;

	if (argc > 1)
		percent = atoi(argv[1]);
	s = &script;
	on_tcg = vm_on_tcg();
	high = mmap(NULL, 2 * HIGH_SIZE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (high == MAP_FAILED)
		bail_out("mmap: %s", strerror(errno));
	higher = high + HIGH_SIZE;
	for (unsigned int i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		start(&modes[i]);
		find_features();
		if (i == 0)
			note("the guest has %d address bits%s%s%s%s%s%s",
			     cpu.maxphyaddr, cpu.nx ? ", NX" : "",
			     cpu.gb ? ", 1 GiB pages" : "", cpu.smep ? ", SMEP" : "",
			     cpu.smap ? ", SMAP" : "", cpu.pcid ? ", PCID" : "", cpu.pku ? ", PKU" : "");
		test_permissions(1);
		if (m->cr4)
			test_permissions(2);
		if (m->levels == 4 && cpu.gb)
			test_permissions(3);
		if (m->levels == 4)
			test_protection_keys();
		set_entry(2, TABLE(1) | 7);
		if (m->levels == 4)
			set_entry(3, TABLE(2) | 7);
		load_cr3(ROOT);
		test_random_tables();
		test_sequences();
		test_invalidation();
		test_alias();
		test_new_memory();
		test_ways_to_write();
		test_self_map();
		test_shared_tables();
		test_roots();
		if (m->levels == 4)
			test_pcid();
		test_page_crossing();
		vm_destroy(&s->vm);
	}
	return done();
}
