#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# A second opinion on SVM: Bochs's ryzen.
. "$(dirname "$0")/../common.sh"
# shellcheck disable=SC2046
matrix svm-npt-bochs --timeout 900 $(bochs_svm_tests)
