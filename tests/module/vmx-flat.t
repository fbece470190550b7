#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The flat guests and the ioctl tests on VMX with EPT and unrestricted guest.
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2046
exec "$here/run-vm" --emulator bochs --modules "$modules" --keep "$logs" \
	--timeout 300 $(flat_files) $(flat_tests)
