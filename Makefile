# SPDX-License-Identifier: GPL-2.0-or-later
#
# kvm-live: everything is built and tested inside a Debian 13 build root, which
# the first target that needs it creates (scripts/build-root). Called outside of
# it, make does nothing but call itself again inside. The rules live beside what
# they build, in the build.mk of each folder.

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# This text is the manual of the targets: a line each.
define HELP
make help             this list
make run              build what is missing, boot the live ISO in this terminal
make check            set up everything and run the tests that CI runs
make check-unit       user-space tests: emulator, library, menu, detection
make check-module     the module on emulated AMD and Intel processors
make check-packages   the packages on a plain Debian 13
make check-appliance  the live ISO, by keystrokes, from power-on to a guest
make check-long       the slow proofs that CI leaves out
make bench            instructions of each exit, ours and stock: build/reports/bench.tsv
make iso              the live image: build/iso/kvm-live.iso
make debs             the Debian packages: build/debs/
make repo             the same as a signed APT repository: build/repo/
make kernel           the patched kernel's packages: build/kernel/
make module           the hypervisor module against Debian's stock kernel
make userland         libkvm, kvmctl, kvm-detect, kvm-menu
make qemu             the modified QEMU's packages: build/qemu/
make check-qemu       its tests, and the article's command on our module
make images           the mini guest's installer ISO and the flat test guests
make shell            a shell inside the build root
make clean            remove build/ (the cache outside the checkout stays)
endef
export HELP

help:
	@echo "$$HELP"

clean:
	rm -rf build

.PHONY: help clean

ifeq ($(KVM_LIVE_IN_ROOT),)

# Outside of the build root: go in.
TARGETS := $(filter-out help clean,$(MAKECMDGOALS))
.PHONY: $(TARGETS) enter
$(TARGETS): enter
	@:
enter:
	@[ "$$(id -u)" = 0 ] || { \
		echo "make $(TARGETS): root is needed, because the build root is entered with chroot"; \
		echo "and mount and images are made with root's file ownership. Run: sudo make $(TARGETS)"; \
		exit 1; } >&2
	@+scripts/build-root run make --no-print-directory $(TARGETS)

else

all: kernel module userland images debs iso

shell:
	@exec bash -i

include kernel-patches/build.mk
include kvm-module/build.mk
include userland/build.mk
include userland/qemu/build.mk
include images/build.mk
include debian/build.mk
include live-config/build.mk
include tests/build.mk

.PHONY: all shell run check check-unit check-module check-appliance check-long check-packages \
	bench iso debs repo kernel module userland images qemu

endif
