#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The parts of kvm-menu that need no screen: what may be typed, which ISO images
# are fine, the XML that goes to libvirt and comes from it, the JSON that comes from
# kvm-detect and kvm-isoinfo. With the sanitizers for addresses, leaks and
# undefined behaviour.
set -eu
cd "$(dirname "$0")/../.."
if ! make -s -C userland/menu O="$PWD/build/userland-asan" unit \
	CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all" >&2; then
	echo "1..0 # SKIP kvm-menu does not build here"
	exit 1
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
build/userland-asan/menu-unit "$dir"
