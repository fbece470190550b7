#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The parts of kvm-menu that need no screen: what may be typed, which ISO images
# are fine, the XML that goes to libvirt, the JSON that comes from kvm-detect.
set -eu
cd "$(dirname "$0")/../.."
if ! make -s -C userland/menu O="$PWD/build/userland" unit >&2; then
	echo "1..0 # SKIP kvm-menu does not build here"
	exit 1
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
build/userland/menu-unit "$dir"
