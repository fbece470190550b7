#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The flat guests and the ioctl tests on SVM with nested paging.
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2046
exec "$here/run-vm" --emulator qemu --modules "$modules" --keep "$logs" \
	--timeout 300 $(flat_files) $(flat_tests)
