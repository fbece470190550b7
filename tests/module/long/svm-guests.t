#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Real guests on SVM that take minutes: memtest86+, Debian's installer, and Linux
# with its interrupt controllers in other places, or under a storm of SMIs.
. "$(dirname "$0")/../common.sh"
# shellcheck disable=SC2046
matrix svm-npt --timeout 5000 $(real_guests memtest-64 memtest-32 installer \
	linux-amd64 linux-amd64-split smi-smp2)
