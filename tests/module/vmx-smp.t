#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# VMX on two processors: the host's own life (processors that come and go, threads
# that fight over VMs, a restart with guests running).
. "$(dirname "$0")/common.sh"
matrix vmx-ept --smp 2 --timeout 300 "$programs/host-cpus" "$programs/stress-lifecycle" \
	"$programs/two-vms" "$here/in-vm/reboot"
