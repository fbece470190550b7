#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Linux 6.12's own KVM selftests on our module and on the kernel's own, in the same
# emulated AMD machine; build/reports/selftests.tsv has both results. What passes
# there must pass here; what does not yet is in selftests/known-failures, and has
# to leave that file when it passes.
#
# SELFTESTS="NAME…" runs only these, without the report.
. "$(dirname "$0")/common.sh"
. "$here/selftests/compare.sh"
compare_selftests svm-npt "$here/selftests/list" "$top/build/reports/selftests.tsv"
