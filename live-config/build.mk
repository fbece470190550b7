# SPDX-License-Identifier: GPL-2.0-or-later
# The live image.

iso: debs mini-guest
	scripts/cached iso live-config/auto live-config/config live-config/build \
		build/debs build/images/mini-guest-iso/mini-guest.iso -- \
		live-config/build build/debs build/images/mini-guest.iso
