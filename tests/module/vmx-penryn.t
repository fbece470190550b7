#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vmx-flat.t on a processor without EPT, VPID and unrestricted guest: shadow paging.
# The kernel wants to see the two cores that this model says it has.
. "$(dirname "$0")/common.sh"
options=$here/in-vm/vmx-options
[ "$modules" = ours ] || options=$here/in-vm/load
# shellcheck disable=SC2046
exec "$here/run-vm" --emulator bochs --cpu core2_penryn_t9600 --smp 1:2:1 \
	--modules "$modules" --keep "$logs" --no-load --timeout 600 \
	$(flat_files) "$options" $(flat_tests)
