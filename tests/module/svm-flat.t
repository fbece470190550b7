#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The flat guests, the ioctl tests and the host's processors on SVM with nested
# paging; in the end the host restarts while guests run.
. "$(dirname "$0")/common.sh"
# shellcheck disable=SC2046
matrix svm-npt --timeout 500 $(flat_files) $(flat_tests) "$here/in-vm/suspend" "$here/in-vm/reboot"
