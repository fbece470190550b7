# SPDX-License-Identifier: GPL-2.0-or-later
#
# The module's tests: programs that run as root in an emulated machine with VT
# (run-vm), and the figures of the module's size.

MODULE_TEST_PROGRAMS := $(patsubst tests/module/%.c,build/tests/module/%, \
	$(filter-out tests/module/vm-off.c,$(wildcard tests/module/*.c)))

# They bring the flat guests with them, and libkvm for those that want it.
build/tests/module/%: tests/module/%.c $(wildcard tests/module/*.h) \
		tests/unit/tap.h $(GUESTS_OUT)/guests.h $(GUESTS_OUT)/guests.o
	@mkdir -p $(@D)
	cc -O2 -Wall -Wextra -Werror -static -pthread -Iuserland/libkvm -Itests/unit \
		-Iimages/guests -I$(GUESTS_OUT) -o $@ $< $(LIBKVM) $(GUESTS_OUT)/guests.o

build/tests/module/libkvm-live: LIBKVM := $(wildcard userland/libkvm/*.c)
build/tests/module/libkvm-live: $(wildcard userland/libkvm/*.[ch])

# The programs for users, static, for a machine that has nothing else.
MODULE_TEST_TOOLS := $(addprefix build/tests/tools/,kvmctl listing1 stepper events \
	kvm-detect guest-work linux-init)

build/tests/tools/kvmctl: $(wildcard userland/kvmctl/*.[ch] userland/libkvm/*.[ch])
$(addprefix build/tests/tools/,listing1 stepper events): build/tests/tools/%: \
	userland/libkvm/examples/%.c $(wildcard userland/libkvm/*.[ch])
build/tests/tools/linux-init: tests/module/guests/linux-init.c
build/tests/tools/kvm-detect: $(wildcard userland/detect/*.[ch])
build/tests/tools/guest-work: tests/module/guests/guest-work.c
$(MODULE_TEST_TOOLS):
	@mkdir -p $(@D)
	cc -O2 -Wall -static -pthread -Wno-dangling-else -Wl,--no-warnings -Iuserland/libkvm -o $@ \
		$(filter %.c,$^)

# Kernels for kvmctl, linked as such.
KERNEL_FLAGS_elf32 := -m32
KERNEL_FLAGS_elf64 := -m64
KERNEL_FLAGS_multiboot := -m32 -DMULTIBOOT
KERNEL_FLAGS_smp := -m32 -DSMP
MODULE_TEST_KERNELS := $(patsubst %,build/tests/tools/kernel-%,elf32 elf64 multiboot smp)
$(MODULE_TEST_KERNELS): build/tests/tools/kernel-%: tests/module/guests/kernel.S images/guests/guest.h
	@mkdir -p $(@D)
	cc $(KERNEL_FLAGS_$*) -Iimages/guests -nostdlib -static -no-pie \
		-Wl,--build-id=none,-Ttext=0x100000,-Tdata=0x101000,-z,norelro -o $@ $<

module-tests: $(MODULE_TEST_PROGRAMS) $(MODULE_TEST_TOOLS) $(MODULE_TEST_KERNELS)

report-lines:
	@mkdir -p build/reports
	@cd kvm-module && ../scripts/code-lines *.[chS] >../build/reports/module-lines.tsv
	@tail -n 1 build/reports/module-lines.tsv

check-module: module module-tests report-lines kernel-debug real-guests kvm-selftests emulator
	rm -rf build/reports/matrix
	tests/prove --again $(if $(V),-v) tests/module; s=$$?; \
		$(MAKE) --no-print-directory report-matrix; exit $$s

# backend, guest or probe, result (pass, fail, stock-fails), seconds
report-matrix:
	@mkdir -p build/reports/matrix
	@{ printf 'backend\tguest\tresult\tseconds\n'; cat build/reports/matrix/*.tsv; } \
		>build/reports/matrix.tsv
	@awk -F'\t' 'NR > 1 { n[$$3]++ } END { for (r in n) printf "%s: %d  ", r, n[r]; print "" }' \
		build/reports/matrix.tsv

check-long: check-module-long
check-module-long: module module-tests kernel-debug real-guests kvm-selftests emulator mini-guest
	tests/prove $(if $(V),-v) tests/module/long; s=$$?; \
		$(MAKE) --no-print-directory report-matrix; exit $$s

.PHONY: module-tests report-lines report-matrix check-module-long

# Linux's own KVM selftests.
kvm-selftests:
	scripts/cached kvm-selftests tests/module/selftests/build $(KERNEL_SOURCE) \
		-- tests/module/selftests/build

.PHONY: kvm-selftests
