#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# stress-ng on four vCPUs with the interrupt controllers in each place, and how well the
# guest keeps time, on SVM.
. "$(dirname "$0")/../common.sh"
# shellcheck disable=SC2046
matrix svm-npt --memory 4096 --timeout 5000 $(clients stress)
