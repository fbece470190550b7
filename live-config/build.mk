# SPDX-License-Identifier: GPL-2.0-or-later
#
# make iso   build/iso/kvm-live.iso: live-build's image with our packages, which
#            come from a package repository made of build/debs
# make run   boots it in this terminal

LIVE_INPUTS := live-config/auto live-config/config live-config/build debian/build-repo

iso: debs mini-guest
	@scripts/cached iso $(LIVE_INPUTS) build/debs \
		build/images/mini-guest-iso/mini-guest.iso -- \
		live-config/build build/debs build/images/mini-guest.iso
	@ls -sh --color=never build/iso/kvm-live.iso

run: iso emulator
	@live-config/run
