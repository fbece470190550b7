# SPDX-License-Identifier: GPL-2.0-or-later
#
# make debs            build/debs/*.deb: our packages and the kernel's
# make check-packages  they install on a plain Debian 13; the kernel boots, drivers load

DEBS_INPUTS := $(wildcard userland/libkvm userland/kvmctl userland/detect userland/menu \
	live-config/image-config live-config/image-config.postinst kvm-module/*.[chS] kvm-module/Makefile kvm-module/Kconfig) \
	$(filter-out debian/build.mk,$(wildcard debian/*))

debs: kernel
	@scripts/cached debs-userland $(DEBS_INPUTS) -- debian/build-debs
	@rm -rf build/debs && mkdir -p build/debs
	@cp -l build/debs-userland/*.deb build/kernel/*.deb build/debs/ 2>/dev/null || \
		cp build/debs-userland/*.deb build/kernel/*.deb build/debs/
	@ls -sh --color=never build/debs

check-packages: debs
	tests/prove tests/packages/*.t

.PHONY: check-packages
