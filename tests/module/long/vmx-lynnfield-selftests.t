#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Those of Linux's KVM selftests that are about a processor without unrestricted
# guests: our emulator runs real mode there.
. "$(dirname "$0")/../common.sh"
. "$here/selftests/compare.sh"
compare_selftests vmx-ept-no-ug "$here/selftests/list-vmx-no-ug" \
	"$top/build/reports/selftests-vmx-no-ug.tsv"
