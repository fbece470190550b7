#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vCPUs on a host with two processors, on VMX. (svm-flat.t has two anyway.)
. "$(dirname "$0")/common.sh"
exec "$here/run-vm" --emulator bochs --smp 2 --modules "$modules" --keep "$logs" \
	--timeout 300 "$programs/host-cpus" "$programs/stress-lifecycle"
