#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Load, use, unload, load again under a kernel that reports leaks, lock-order
# mistakes and memory errors.
. "$(dirname "$0")/common.sh"
exec "$here/run-vm" --emulator qemu --kernel debug --modules "$modules" \
	--keep "$logs" --no-load --kmemleak --file "$programs/smoke" --timeout 580 \
	"$here/in-vm/lifecycle"
