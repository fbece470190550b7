#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# kvm-intel's parameters, then what svm-flat.t does, on VMX with EPT and
# unrestricted guest. What needs two processors is in vmx-smp.t.
. "$(dirname "$0")/common.sh"
options=$here/in-vm/vmx-options
[ "$modules" = ours ] || options=$here/in-vm/load
# shellcheck disable=SC2046
matrix vmx-ept --no-load --timeout 600 $(flat_files) "$options" $(flat_tests)
