#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# vmx-flat.t on a processor without EPT, VPID and unrestricted guest: shadow paging.
. "$(dirname "$0")/common.sh"
options=$here/in-vm/vmx-options
[ "$modules" = ours ] || options=$here/in-vm/load
# shellcheck disable=SC2046
matrix vmx-shadow --no-load --timeout 600 $(flat_files) "$options" $(flat_tests)
