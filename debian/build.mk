# SPDX-License-Identifier: GPL-2.0-or-later
#
# make debs            build/debs/*.deb: our packages, QEMU's and the kernel's
# make repo            build/repo/: the same as a signed APT repository
# make check-packages  they install on a plain Debian 13; the kernel boots, drivers load

DEBS_INPUTS := $(wildcard userland/libkvm userland/kvmctl userland/detect userland/menu \
	live-config/image-config live-config/image-config.postinst kvm-module/*.[chS] kvm-module/Makefile kvm-module/Kconfig) \
	$(filter-out debian/build.mk debian/build-repo debian/tests,$(wildcard debian/*))

debs: kernel qemu
	@scripts/cached debs-userland $(DEBS_INPUTS) -- debian/build-debs
	@rm -rf build/debs && mkdir -p build/debs
	@cp -l build/{debs-userland,qemu,kernel}/*.deb build/debs/ 2>/dev/null || \
		cp build/{debs-userland,qemu,kernel}/*.deb build/debs/
	@ls -sh --color=never build/debs

repo: debs
	@debian/build-repo build/debs build/repo

check-packages: repo mini-guest emulator
	tests/prove --again tests/packages/*.t

.PHONY: repo check-packages
