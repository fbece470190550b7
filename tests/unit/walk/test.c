// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The page-table walk of the module (walk.c) against a slow one that is written from
 * the manual's words (SDM vol. 3, 4.3 to 4.7), a function for each paging mode, on
 * random page tables, registers and accesses. Compared are what the walk says (the
 * address or the error code, what the levels grant) and what it leaves in memory:
 * accessed and dirty bits where the access was allowed, and else not a bit.
 *
 * Memory is a few pages, of which any can be a table of any level.
 */
#include "../../../kvm-module/kvm.h"
#include "../tap.h"

#define PAGES	16
#define UNMAPPED PAGES	/* a page of a slot, but not of the process any more */
#define ROM	(PAGES - 1)	/* in a read-only slot */
#define P	1ULL
#define RW	2ULL
#define US	4ULL
#define A	0x20ULL
#define D	0x40ULL
#define PS	0x80ULL
#define XD	(1ULL << 63)

static u8 memory[PAGES * 4096], before[sizeof(memory)], wanted[sizeof(memory)];
static struct kvm vm;
static struct kvm_vcpu vcpu;

/* The vCPU, for both. */
static struct machine {
	u64 cr3, rflags;
	int cpl;
	bool gbpages;
} m;

/* ---- the kernel ------------------------------------------------------------ */

static u64 get_cr3(struct kvm_vcpu *v)
{
	(void)v;
	return m.cr3;
}

static u64 get_rflags(struct kvm_vcpu *v)
{
	(void)v;
	return m.rflags;
}

static int get_cpl(struct kvm_vcpu *v)
{
	(void)v;
	return m.cpl;
}

static struct kvm_x86_ops ops = {
	.get_cr3 = get_cr3, .get_rflags = get_rflags, .get_cpl = get_cpl,
};
const struct kvm_x86_ops *kvm_ops = &ops;

bool kvm_guest_has(struct kvm_vcpu *v, unsigned int feature)
{
	(void)v;
	assert(feature == X86_FEATURE_GBPAGES);
	return m.gbpages;
}

int kvm_read_guest_entry(struct kvm_space *space, gpa_t gpa, u64 *entry, int size)
{
	assert(space == vm.space && gpa % size == 0);
	if (gpa >= sizeof(memory))
		return gpa >> 12 == UNMAPPED ? -EFAULT : -ENXIO;
	*entry = 0;
	memcpy(entry, memory + gpa, size);
	return 0;
}

static int races;	/* the next so many exchanges find another entry */

int kvm_cmpxchg_guest(struct kvm_space *space, gpa_t gpa, void *old, const void *new,
		      unsigned int size)
{
	assert(space == vm.space && gpa + size <= sizeof(memory));
	if (gpa >> 12 == ROM)
		return -ENXIO;
	if (races) {		/* another processor is first, with the same bit */
		races--;
		memcpy(memory + gpa, new, size);
		return 1;
	}
	/* One entry can serve two levels. */
	if (memcmp(memory + gpa, old, size))
		return 1;
	memcpy(memory + gpa, new, size);
	return 0;
}

/* ---- the slow walk ----------------------------------------------------------- */

enum outcome { DONE, FAULT, GONE };

struct answer {
	enum outcome outcome;
	u32 code;
	u64 gpa;
	bool read, write, execute, user;	/* granted by all levels together */
	int leaf, key;
	u64 at[6];		/* where the entries are, by level; 0 at the end */
	int entries, size;
};

static bool bit(u64 v, int n)
{
	return v >> n & 1;
}

/* Bits hi to lo of v, in their place. */
static u64 bits(u64 v, int hi, int lo)
{
	for (int n = 0; n < 64; n++)
		if (n < lo || n > hi)
			v &= ~(1ULL << n);
	return v;
}

static bool nxe(void) { return bit(vcpu.efer, 11); }
static bool smep(void) { return bit(vcpu.cr4, 20); }
static bool smap(void) { return bit(vcpu.cr4, 21); }
static bool pke(void) { return bit(vcpu.cr4, 22); }
static bool pae(void) { return bit(vcpu.cr4, 5); }
static bool wp(void) { return bit(vcpu.cr0, 16); }

/* 4.7: the error code of an access that is denied. */
static void fault(struct answer *a, u32 access, bool present, bool reserved)
{
	a->outcome = FAULT;
	a->code = present ? 1 : 0;
	if (access & ACCESS_WRITE)
		a->code |= 2;
	if (access & ACCESS_USER)
		a->code |= 4;
	if (reserved)
		a->code |= 8;
	if (access & ACCESS_EXEC && (smep() || (pae() && nxe())))
		a->code |= 16;
}

/* Take an entry at this address; false: the walk is over. */
static bool take(struct answer *a, u64 at, u32 access, u64 *e)
{
	if (at >> 12 == UNMAPPED) {
		a->outcome = GONE;
		return false;
	}
	*e = a->size == 8 ? ~0ULL : 0xffffffff;		/* where nothing is */
	if (at < sizeof(before)) {
		*e = 0;
		memcpy(e, before + at, a->size);
	}
	a->at[a->entries++] = at;
	if (!(*e & P))
		fault(a, access, false, false);
	return *e & P;
}

static void grant(struct answer *a, u64 e)
{
	if (!(e & RW))
		a->write = false;
	if (!(e & US))
		a->user = false;
	if (a->size == 8 && e & XD)
		a->execute = false;
}

/* 4.6.2: what the key of a user page forbids. */
static bool key_denies(const struct answer *a, u32 access)
{
	bool ad = bit(vcpu.guest_pkru, 2 * a->key), wd = bit(vcpu.guest_pkru, 2 * a->key + 1);

	if (access & ACCESS_EXEC)
		return false;
	if (ad)
		return true;
	return wd && access & ACCESS_WRITE && (access & ACCESS_USER || wp());
}

/* 4.6.1, sentence by sentence; then the key. */
static void check(struct answer *a, u32 access, u64 leaf, bool keys)
{
	bool good;

	if (!(access & ACCESS_USER)) {
		/* Explicit, and EFLAGS.AC: SMAP lets it pass. */
		bool pass = !smap() || (m.cpl < 3 && bit(m.rflags, 18) &&
					!(access & ACCESS_SYSTEM));

		if (access & ACCESS_EXEC)
			good = a->user ? !smep() && a->execute : a->execute;
		else if (access & ACCESS_WRITE)
			good = (!a->user || pass) && (!wp() || a->write);
		else
			good = !a->user || pass;
	} else if (access & ACCESS_EXEC) {
		good = a->user && a->execute;
	} else if (access & ACCESS_WRITE) {
		good = a->user && a->write;
	} else {
		good = a->user;
	}
	a->key = keys && a->user ? bits(leaf, 62, 59) >> 59 : 0;
	if (keys && pke() && a->user && key_denies(a, access)) {
		fault(a, access, true, false);
		a->code |= 32;
		return;
	}
	if (!good) {
		fault(a, access, true, false);
		return;
	}
	a->outcome = DONE;
}

/* 4.3: a page directory and page tables of 1,024 entries. */
static void walk_32(struct answer *a, u64 linear, u32 access)
{
	int width = vcpu.maxphyaddr < 40 ? vcpu.maxphyaddr : 40;
	u64 pde, pte;

	a->size = 4;
	if (!take(a, bits(m.cr3, 31, 12) + 4 * (bits(linear, 31, 22) >> 22), access, &pde))
		return;
	if (bit(vcpu.cr4, 4) && pde & PS) {
		/* Table 4-4: bits 21 to M-19 are reserved. */
		if (bits(pde, 21, width - 19)) {
			fault(a, access, true, true);
			return;
		}
		grant(a, pde);
		a->leaf = 2;
		a->gpa = bits(pde, 31, 22) | bits(pde, 20, 13) << 19 | bits(linear, 21, 0);
		check(a, access, pde, false);
		return;
	}
	grant(a, pde);
	if (!take(a, bits(pde, 31, 12) + 4 * (bits(linear, 21, 12) >> 12), access, &pte))
		return;
	grant(a, pte);
	a->leaf = 1;
	a->gpa = bits(pte, 31, 12) | bits(linear, 11, 0);
	check(a, access, pte, false);
}

/* What tables 4-8 to 4-20 say is reserved in every entry of 8 bytes. */
static bool reserved_8(u64 e, bool top_ignored)
{
	if (bits(e, 51, vcpu.maxphyaddr))
		return true;
	if (!top_ignored && bits(e, 62, 52))
		return true;
	return e & XD && !nxe();
}

/* From the page directory on, as in 4.4 and 4.5. */
static void walk_directory(struct answer *a, u64 directory, u64 linear, u32 access, bool four)
{
	u64 pde, pte;

	if (!take(a, directory + 8 * (bits(linear, 29, 21) >> 21), access, &pde))
		return;
	if (reserved_8(pde, four) || (pde & PS && bits(pde, 20, 13))) {
		fault(a, access, true, true);
		return;
	}
	grant(a, pde);
	if (pde & PS) {
		a->leaf = 2;
		a->gpa = bits(pde, 51, 21) | bits(linear, 20, 0);
		check(a, access, pde, four);
		return;
	}
	if (!take(a, bits(pde, 51, 12) + 8 * (bits(linear, 20, 12) >> 12), access, &pte))
		return;
	if (reserved_8(pte, four)) {
		fault(a, access, true, true);
		return;
	}
	grant(a, pte);
	a->leaf = 1;
	a->gpa = bits(pte, 51, 12) | bits(linear, 11, 0);
	check(a, access, pte, four);
}

static void walk_pae(struct answer *a, u64 linear, u32 access)
{
	u64 pdpte;

	if (!take(a, bits(m.cr3, 31, 5) + 8 * (bits(linear, 31, 30) >> 30), access, &pdpte))
		return;
	walk_directory(a, bits(pdpte, 51, 12), linear, access, false);
}

static void walk_long(struct answer *a, u64 linear, u32 access)
{
	u64 table = bits(m.cr3, 51, 12), e;
	int shift;

	for (shift = bit(vcpu.cr4, 12) ? 48 : 39; shift >= 30; shift -= 9) {
		if (!take(a, table + 8 * (bits(linear, shift + 8, shift) >> shift), access, &e))
			return;
		if (reserved_8(e, true) || (e & PS && (shift > 30 || !m.gbpages)) ||
		    (e & PS && bits(e, 29, 13))) {
			fault(a, access, true, true);
			return;
		}
		grant(a, e);
		if (e & PS) {
			a->leaf = 3;
			a->gpa = bits(e, 51, 30) | bits(linear, 29, 0);
			check(a, access, e, true);
			return;
		}
		table = bits(e, 51, 12);
	}
	walk_directory(a, table, linear, access, true);
}

static struct answer slow_walk(u64 linear, u32 access)
{
	struct answer a = { .read = true, .write = true, .execute = true, .user = true,
			    .size = 8 };
	bool four = bit(vcpu.efer, 10), three = !four && pae();

	memcpy(wanted, before, sizeof(wanted));
	if (!bit(vcpu.cr0, 31))
		a.gpa = bits(linear, 31, 0);
	else if (four)
		walk_long(&a, linear, access);
	else if (three)
		walk_pae(&a, linear, access);
	else
		walk_32(&a, linear, access);
	/* 4.8; the entries of PAE's first table have no such bits. */
	for (int i = three ? 1 : 0; a.outcome == DONE && i < a.entries; i++) {
		if (a.at[i] >= sizeof(wanted) || a.at[i] >> 12 == ROM)
			continue;
		wanted[a.at[i]] |= A;
		if (i == a.entries - 1 && access & ACCESS_WRITE)
			wanted[a.at[i]] |= D;
	}
	return a;
}

/* ---- random cases -------------------------------------------------------------- */

static u64 state = 0x9e3779b97f4a7c15;

static u64 rnd(void)		/* xorshift64 */
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * 0x2545f4914f6cdd1d;
}

static bool chance(int percent)
{
	return (rnd() >> 32) % 100 < (u64)percent;
}

enum mode { OFF, BITS_32, BITS_32_PSE, PAE, LEVELS_4, LEVELS_5, MODES };
static const char *const names[MODES] = {
	"paging off", "32-bit", "32-bit with PSE", "PAE", "4 levels", "5 levels",
};

static u64 random_entry(enum mode mode, int strange)
{
	u64 e = (chance(1) ? UNMAPPED : rnd() % PAGES) << 12;

	if (chance(94))
		e |= P;
	if (chance(80))
		e |= RW;
	if (chance(75))
		e |= US;
	if (chance(70))
		e |= A;
	if (chance(60))
		e |= D;
	if (chance(12))
		e |= PS | (rnd() & 0x3fe00000);
	if (mode >= PAE && chance(12))
		e |= XD;
	if (mode >= LEVELS_4 && chance(60))
		e |= rnd() & 0x7ff0000000000000;
	if (chance(strange))
		e |= 1ULL << rnd() % 64;
	return e | (rnd() & 0xe18);
}

static void random_tables(enum mode mode)
{
	for (size_t i = 0; i < sizeof(memory); i += mode < PAE ? 4 : 8) {
		u64 e = random_entry(mode, 3);

		memcpy(memory + i, &e, mode < PAE ? 4 : 8);
	}
	/* PAE's first table: an entry with other bits cannot be loaded (4.4.1). */
	for (size_t i = 0; mode == PAE && i < 4096; i += 8) {
		u64 e = (rnd() % PAGES) << 12 | (chance(95) ? P : 0);

		memcpy(memory + i, &e, 8);
	}
}

static void random_registers(enum mode mode)
{
	vcpu.cr0 = 1 | (mode != OFF) * 0x80000000ULL | chance(60) * 0x10000;
	vcpu.cr4 = (mode >= PAE) * 0x20 | (chance(50) << 20) | (chance(40) << 21);
	if (mode == BITS_32_PSE || (mode >= PAE && chance(50)))
		vcpu.cr4 |= 0x10;
	if (chance(40) && mode >= LEVELS_4)
		vcpu.cr4 |= 1 << 22;
	if (mode == LEVELS_5)
		vcpu.cr4 |= 1 << 12;
	vcpu.efer = (mode >= LEVELS_4) * 0x500 | (chance(80) << 11);
	vcpu.maxphyaddr = (int[]){ 36, 39, 40, 46, 52 }[rnd() % 5];
	vcpu.guest_pkru = chance(50) ? 0 : rnd() & rnd();
	m.cr3 = (mode == PAE ? (rnd() % 128) << 5 : (rnd() % PAGES) << 12) | (rnd() & 0x18);
	m.rflags = 2 | (chance(40) << 18);
	m.cpl = chance(30) ? 3 : 0;
	m.gbpages = chance(70);
}

static u32 random_access(void)
{
	static const u32 kinds[] = { 0, ACCESS_WRITE, ACCESS_EXEC };

	return kinds[rnd() % 3] | (m.cpl == 3 && chance(80) ? ACCESS_USER :
				   chance(20) ? ACCESS_SYSTEM : 0);
}

static long bad, counts[3], codes[64], large, quick;

static void complain(const char *what, u64 linear, u32 access, const struct answer *a,
		     int r, const struct kvm_walk *w)
{
	if (bad++ >= 5)
		return;
	printf("# %s: linear 0x%llx access %u CR0 %llx CR3 %llx CR4 %llx EFER %llx PKRU %x AC %d CPL %d M %d\n",
	       what, (unsigned long long)linear, access, (unsigned long long)vcpu.cr0,
	       (unsigned long long)m.cr3, (unsigned long long)vcpu.cr4,
	       (unsigned long long)vcpu.efer, vcpu.guest_pkru, bit(m.rflags, 18), m.cpl,
	       vcpu.maxphyaddr);
	for (int i = 0; i < a->entries; i++) {
		u64 e = 0;

		if (a->at[i] < sizeof(before))
			memcpy(&e, before + a->at[i], a->size);
		printf("#   entry 0x%llx\n", (unsigned long long)e);
	}
	printf("#   got      %d error 0x%x gpa 0x%llx granted %u leaf %d key %d\n", r,
	       r == 1 ? w->error_code : 0, (unsigned long long)w->gpa, w->granted, w->leaf,
	       w->pkey);
	printf("#   expected %d error 0x%x gpa 0x%llx granted %u leaf %d key %d\n",
	       a->outcome == GONE ? -EFAULT : a->outcome, a->code,
	       (unsigned long long)a->gpa, a->write | a->user << 1 | a->execute << 2, a->leaf,
	       a->key);
}

static int as_result(const struct answer *a)
{
	return a->outcome == GONE ? -EFAULT : a->outcome == FAULT;
}

static bool agrees(const struct answer *a, int r, u32 code, u64 gpa)
{
	return r == as_result(a) && (r != 1 || code == a->code) && (r || gpa == a->gpa);
}

/* A walk that ended in a page table goes on at another entry of it. */
static void compare_neighbour(u64 linear, u32 access, struct kvm_walk *w)
{
	int size = vcpu.efer & 0x400 || pae() ? 8 : 4, other = rnd() % (4096 / size);
	u64 there = (linear & ~((4096ULL / size - 1) << 12)) | (u64)other << 12, e = 0;
	struct answer a;
	bool r;

	a = slow_walk(there, access);
	memcpy(&e, before + a.at[a.entries - 1], size);
	r = kvm_walk_neighbour(&vcpu, w, e, w->granted_at[2]);
	if (!r) {
		/* It may refuse a fault, and an entry that was not accessed. */
		if (e & P && e & A && !(a.outcome == FAULT && a.code & 8))
			complain("neighbour refused", there, access, &a, r, w);
		return;
	}
	if (!(e & P) || !(e & A) || (a.outcome == FAULT && a.code & 8) ||
	    w->gpa != (a.gpa & ~0xfffULL) ||
	    w->granted != (u32)(a.write | a.user << 1 | a.execute << 2) || w->pkey != a.key ||
	    w->dirty != !!(e & D))
		complain("neighbour", there, access, &a, r, w);
}

static void run_mode(enum mode mode, long n)
{
	bad = large = quick = 0;
	memset(counts, 0, sizeof(counts));
	memset(codes, 0, sizeof(codes));
	for (long i = 0; i < n; i++) {
		u64 linear = chance(50) ? rnd() : rnd() & 0xffffff;
		struct kvm_walk w;
		struct answer a;
		u32 access, code;
		gpa_t gpa;
		int r;

		if (i % 64 == 0) {
			random_tables(mode);
			memcpy(before, memory, sizeof(memory));
		}
		random_registers(mode);
		access = random_access();
		a = slow_walk(linear, access);
		counts[a.outcome]++;
		if (a.outcome == FAULT)
			codes[a.code]++;
		large += a.outcome == DONE && a.leaf > 1;

		races = chance(10) ? rnd() % 3 : 0;
		memset(&w, 0xa5, sizeof(w));
		r = kvm_walk(&vcpu, linear, access, &w);
		races = 0;
		if (!agrees(&a, r, w.error_code, w.gpa))
			complain("walk", linear, access, &a, r, &w);
		else if (r == 0 && mode != OFF &&
			 (w.granted != (u32)(a.write | a.user << 1 | a.execute << 2) ||
			  w.leaf != a.leaf || w.pkey != a.key || w.levels != (int[]){ 0, 2, 2, 3, 4, 5 }[mode]))
			complain("what the walk tells", linear, access, &a, r, &w);
		if (memcmp(memory, wanted, sizeof(memory)))
			complain("accessed and dirty bits", linear, access, &a, r, &w);
		if (r == 0 && w.leaf == 1 && a.at[a.entries - 1] < sizeof(before)) {
			memcpy(memory, before, sizeof(memory));
			compare_neighbour(linear, access, &w);
			a = slow_walk(linear, access);
		}

		/* The short walk of the usual case must not be told apart. */
		memcpy(memory, before, sizeof(memory));
		r = kvm_translate(&vcpu, linear, access, &gpa, &code);
		if (!agrees(&a, r, code, gpa) || memcmp(memory, wanted, sizeof(memory))) {
			w.gpa = gpa;
			w.error_code = code;
			complain("translate", linear, access, &a, r, &w);
		}
		memcpy(memory, before, sizeof(memory));
	}
	ok(bad == 0, "%s: %ld accesses; %ld go through (%ld to large pages), %ld fault, %ld find a table unmapped",
	   names[mode], n, counts[DONE], large, counts[FAULT], counts[GONE]);
	if (mode == OFF)
		return;
	ok(counts[DONE] > n / 50 && counts[FAULT] > n / 50, "%s: both happen often", names[mode]);
	/* Every error code that this mode can give was met. */
	for (u32 code = 0; code < 64; code++) {
		bool keys = mode >= LEVELS_4, write = code & 2, fetch = code & 16;
		bool possible = !(write && fetch) &&
			(code & 1 || !(code & 40)) && (code & 8 ? !(code & 32) : true) &&
			(code & 32 ? keys && !fetch : true) &&
			(code & 8 ? mode != BITS_32 : true);

		if (possible && !codes[code])
			ok(false, "%s: no access ended with error code 0x%x", names[mode], code);
		else if (!possible && codes[code])
			ok(false, "%s: error code 0x%x", names[mode], code);
	}
}

int main(int argc, char **argv)
{
	long n = argc > 1 ? atol(argv[1]) : 100000;

	vcpu.kvm = &vm;
	vcpu.space = vm.space;
	for (enum mode mode = OFF; mode < MODES; mode++)
		run_mode(mode, n);
	return done();
}
