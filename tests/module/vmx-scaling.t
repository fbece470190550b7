#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# On a processor that scales its time stamp counter: guests from a host with another rate.
. "$(dirname "$0")/common.sh"
matrix vmx-ept --cpu corei7_skylake_x --timeout 300 "$programs/state" "$programs/smoke"
