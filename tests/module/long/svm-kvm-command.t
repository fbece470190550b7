#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# The article's commands, word for word, with our QEMU on our SVM: kvm installs
# the mini guest from its ISO on a qcow disk and starts it from there.
. "$(dirname "$0")/../common.sh"
debs=$(ls "$top"/build/qemu/*.deb 2>/dev/null) || skip_all "build/qemu has no packages: make qemu"
[ -e "$top/build/images/mini-guest.iso" ] || skip_all "build/images/mini-guest.iso is missing: make images"
root=$top/build/tests/kvm-qemu
rm -rf "$root"
for deb in $debs; do
	dpkg-deb -x "$deb" "$root"
done
matrix svm-npt --smp 1 --timeout 1200 --share-root "$here/in-vm/identity" "$here/in-vm/kvm-command"
