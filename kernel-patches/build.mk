# SPDX-License-Identifier: GPL-2.0-or-later
#
# make kernel        build/kernel/        linux-image-6.12.N-kvm-live_*.deb,
#                                         linux-headers-6.12.N-kvm-live_*.deb, config
# make kernel-small  build/kernel-small/  a kernel for tests that starts fast in
#                                         an emulator: bzImage, vmlinux, System.map,
#                                         config, release (the text of uname -r) and
#                                         the modules side by side: kvm.ko,
#                                         kvm-amd.ko, kvm-intel.ko; tree -> the tree
#                                         it was built in (below the cache)
# make kernel-debug  build/kernel-debug/  the same with KASAN, UBSAN, lockdep,
#                                         kmemleak and the debug checks
#
# All three are linux-source-6.12 with the patches of kernel-patches/patches and
# drivers/kvm copied from kvm-module/. How they are cached: kernel-patches/build-kernel.

KERNEL_SOURCE := LINUX_SOURCE=$(shell dpkg-query -W -f '$${Version}' linux-source-6.12)
KERNEL_INPUTS := $(KERNEL_SOURCE) kernel-patches/build-kernel kernel-patches/patches \
	$(wildcard kvm-module/*.[chS] kvm-module/Kconfig kvm-module/Makefile)

kernel:
	@scripts/cached kernel $(KERNEL_INPUTS) kernel-patches/config -- kernel-patches/build-kernel full

kernel-small:
	@scripts/cached kernel-small $(KERNEL_INPUTS) kernel-patches/config-test/small.config \
		-- kernel-patches/build-kernel small

kernel-debug:
	@scripts/cached kernel-debug $(KERNEL_INPUTS) kernel-patches/config-test \
		-- kernel-patches/build-kernel debug

.PHONY: kernel-small kernel-debug
