#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vmx-linux.t on a processor without unrestricted guest: SeaBIOS and the kernel's
# set-up code come from real mode, which is emulated.
. "$(dirname "$0")/../common.sh"
mkdir -p "$logs"
guest_initramfs "$logs/guest.cpio"
matrix vmx-ept-no-ug --share-root --file "$logs/guest.cpio" --timeout 900 \
	"$here/in-vm/identity" "$here/in-vm/linux-guest"
