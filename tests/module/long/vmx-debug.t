#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# As lifecycle.t, on VMX: Bochs takes its time with such a kernel.
. "$(dirname "$0")/../common.sh"
# shellcheck disable=SC2046
exec "$here/run-vm" --emulator bochs --smp 2 --memory 1024 --kernel debug \
	--modules "$modules" --keep "$logs" --no-load --kmemleak \
	--timeout 1800 --file "$programs/paging" \
	"$here/in-vm/lifecycle" $(programs | grep -v /paging) \
	"$here/in-vm/paging-short" "$here/in-vm/unload"
