// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The article's Listing 1, "an application that tests the KVM hypervisor", made
 * complete. main() is the listing: the same calls with the same arguments in the
 * same order. What the listing leaves out stands above it: the includes, the
 * declarations of kvm, test_callbacks, ac and av, load_file() and enter_32().
 *
 *	listing1 FILE [FILE2]	FILE at 0xf0000, FILE2 at 0x100000, real mode
 *	listing1 -32 FILE2	32-bit mode, starting at 0x100000
 *
 * A byte that the guest writes to port 0xf1 goes to standard output.
 *
 *	cc -o listing1 listing1.c $(pkg-config --cflags --libs libkvm)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <libkvm.h>

static struct kvm_context *kvm;

static int test_io_out(void *opaque, int vcpu, uint16_t port, int size,
		       uint32_t value)
{
	(void)opaque; (void)vcpu;
	if (port == 0xf1 && size == 1) {
		putchar(value);
		fflush(stdout);
	}
	return 0;
}

static struct kvm_callbacks test_callbacks = {
	.io_out = test_io_out,
};

static void load_file(void *mem, const char *fname)
{
	FILE *f = fopen(fname, "rb");

	if (!f) {
		perror(fname);
		exit(1);
	}
	if (fread(mem, 1, 16 * 1024 * 1024, f) == 0) {
		fprintf(stderr, "%s: nothing to load\n", fname);
		exit(1);
	}
	fclose(f);
}

static void enter_32(struct kvm_context *kvm)
{
	if (kvm_enter_32(kvm, 0, LIBKVM_ENTRY_32) < 0) {
		fprintf(stderr, "%s\n", kvm_error(kvm));
		exit(1);
	}
}

int main(int ac, char **av)
{
	void *vm_mem;

	kvm = kvm_init(&test_callbacks, 0);
	if (!kvm) {
		fprintf(stderr, "kvm_init failed\n");
		return 1;
	}
	if (kvm_create(kvm, 128 * 1024 * 1024, &vm_mem) < 0) {
		kvm_finalize(kvm);
		fprintf(stderr, "kvm_create failed\n");
		return 1;
	}
	if (ac > 1)
		if (strcmp(av[1], "-32") != 0)
			load_file(vm_mem + 0xf0000, av[1]);
		else
			enter_32(kvm);
	if (ac > 2)
		load_file(vm_mem + 0x100000, av[2]);
	kvm_show_regs(kvm, 0);
	kvm_run(kvm, 0);
	return 0;
}
