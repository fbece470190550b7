#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What of Linux's KVM selftests is too slow for selftests.t.
. "$(dirname "$0")/../common.sh"
. "$here/selftests/compare.sh"
SELFTESTS_OPTIONS="--memory 3072"
export SELFTESTS_OPTIONS
compare_selftests svm-npt "$here/selftests/list-long" "$top/build/reports/selftests-long.tsv"
