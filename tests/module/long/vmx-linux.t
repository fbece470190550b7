#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Debian's kernel to a shell under Debian's QEMU on our VMX: some minutes, for
# Bochs runs both kernels.
. "$(dirname "$0")/../common.sh"
mkdir -p "$logs"
guest_initramfs "$logs/guest.cpio"
matrix vmx-ept --share-root --file "$logs/guest.cpio" --timeout 900 \
	"$here/in-vm/identity" "$here/in-vm/linux-guest"
