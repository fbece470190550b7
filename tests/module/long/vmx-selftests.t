#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Linux's KVM selftests on VMX, as far as Bochs is fast enough for them.
. "$(dirname "$0")/../common.sh"
. "$here/selftests/compare.sh"
compare_selftests vmx-ept "$here/selftests/list-vmx" "$top/build/reports/selftests-vmx.tsv"
