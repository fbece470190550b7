#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kvmctl starts Debian's kernel, ten times, on SVM.
. "$(dirname "$0")/../common.sh"
# shellcheck disable=SC2046
matrix svm-npt --timeout 2000 $(flat_files) $(kvmctl_linux) "$here/in-vm/kvmctl"
