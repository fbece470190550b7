#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The host restarts while guests run.
. "$(dirname "$0")/common.sh"
exec "$here/run-vm" --emulator qemu --modules "$modules" --keep "$logs" \
	--append loglevel=7 --file "$programs/host-cpus" --timeout 200 \
	"$here/in-vm/reboot"
