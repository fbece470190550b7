#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A processor without unrestricted guest, which kvm-intel cannot use yet.
. "$(dirname "$0")/common.sh"
[ "$modules" = ours ] || skip_all "the kernel's own KVM runs there"
exec "$here/run-vm" --emulator bochs --cpu corei5_lynnfield_750 \
	--modules "$modules" --keep "$logs" --no-load --timeout 200 \
	"$here/in-vm/vmx-options"
