#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What QEMU's users do with a guest that works, on SVM: restarts, savevm and loadvm, live
# migration, what libvirt makes of these. On one emulated processor, which is enough.
. "$(dirname "$0")/../common.sh"
# shellcheck disable=SC2046
matrix svm-npt --smp 1 --memory 4096 --timeout 5000 $(clients restart savevm migrate libvirt)
