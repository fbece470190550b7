#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# As lifecycle.t, on VMX.
. "$(dirname "$0")/../common.sh"
exec "$here/run-vm" --emulator bochs --smp 2 --memory 1024 --kernel debug \
	--modules "$modules" --keep "$logs" --no-load --kmemleak \
	--timeout 1800 "$here/in-vm/lifecycle" "$programs/smoke" "$here/in-vm/unload"
