#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Load, use, unload, load again, and all the programs, under a kernel that reports
# leaks, lock-order mistakes, memory errors and undefined behaviour.
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2046
exec "$here/run-vm" --emulator qemu --kernel debug --modules "$modules" \
	--keep "$logs" --no-load --kmemleak --timeout 900 --file "$programs/paging" \
	"$here/in-vm/lifecycle" $(programs | grep -v /paging) \
	"$here/in-vm/paging-short" "$here/in-vm/unload"
