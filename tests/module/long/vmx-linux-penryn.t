#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vmx-linux.t on a processor without EPT: shadow paging, and real mode by
# emulation.
. "$(dirname "$0")/../common.sh"
mkdir -p "$logs"
guest_initramfs "$logs/guest.cpio"
exec "$here/run-vm" --emulator bochs --cpu core2_penryn_t9600 --smp 1:2:1 \
	--modules "$modules" --keep "$logs" --share-root --file "$logs/guest.cpio" \
	--timeout 900 "$here/in-vm/identity" "$here/in-vm/linux-guest"
