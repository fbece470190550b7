#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# stress-ng on four vCPUs with the interrupt controllers in each place, and how well the
# guest keeps time, on SVM. The emulated machine has one processor: with two, QEMU's TCG
# runs stale code now and then (docs/testing.md), and a load like this one finds it.
. "$(dirname "$0")/../common.sh"
# shellcheck disable=SC2046
matrix svm-npt --smp 1 --memory 4096 --timeout 5000 $(clients stress)
