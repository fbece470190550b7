#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The flat guests, and Debian's kernel to a shell, on SVM with shadow paging, the
# latter while the host takes the shadow tables away again and again.
# (With Debian's own module neither passes on this emulator.)
. "$(dirname "$0")/common.sh"
mkdir -p "$logs"
guest_initramfs "$logs/guest.cpio"
# shellcheck disable=SC2046
matrix svm-shadow --timeout 600 $(flat_files) --file "$programs/paging" --share-root \
	--file "$logs/guest.cpio" $(flat_tests | grep -v /paging) \
	"$here/in-vm/paging-short" \
	"$here/in-vm/memory-pressure" "$here/in-vm/linux-guest"
