#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The tests on VMX under KASAN, lockdep and kmemleak: Bochs takes its time with such a
# kernel. On one processor, as flat guests in Bochs have to be; vmx-debug-smp.t has two.
. "$(dirname "$0")/../common.sh"
# shellcheck disable=SC2046
exec "$here/run-vm" --emulator bochs --smp 1 --memory 1024 --kernel debug \
	--modules "$modules" --keep "$logs" --no-load --kmemleak \
	--timeout 1800 --file "$programs/paging" \
	"$here/in-vm/load" $(programs | grep -v /paging) \
	"$here/in-vm/paging-short" "$here/in-vm/unload"
