# SPDX-License-Identifier: GPL-2.0-or-later
# Shared by the *.t files of this folder: where things are.
#
# KVM_TEST_MODULES=stock runs a test on the kernel's own KVM, to see whether a
# failure is ours or the emulator's (only the identity test must then fail).
here=$(cd "$(dirname "$0")" && pwd)
here=${here%/long}
top=$(cd "$here/../.." && pwd)
programs=$top/build/tests/module
modules=${KVM_TEST_MODULES:-ours}
logs=$top/build/logs/$(basename "$0" .t)

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

programs() {
	for p in "$programs"/*; do
		[ -x "$p" ] && echo "$p"
	done
}

# Every test that needs no more than a flat guest.
flat_tests() {
	echo "$here/in-vm/identity"
	programs
	echo "$here/in-vm/kvmctl"
}

# What in-vm/kvmctl runs, as options of run-vm.
flat_files() {
	for f in "$top"/build/tests/tools/* "$top"/build/images/guests/rom-*.bin \
		"$top"/build/images/guests/prot-*.bin; do
		echo "--file $f"
	done
}

# The initramfs of a Linux guest: busybox and in-vm/guest-init.
guest_initramfs() { # FILE
	tree=$(mktemp -d)
	mkdir -p "$tree/bin" "$tree/dev"
	cp /bin/busybox "$tree/bin/"
	ln -s busybox "$tree/bin/sh"
	cp "$here/in-vm/guest-init" "$tree/init"
	mknod "$tree/dev/console" c 5 1
	(cd "$tree" && find . | cpio -o -H newc --quiet -R 0:0) >"$1"
	rm -rf "$tree"
}
