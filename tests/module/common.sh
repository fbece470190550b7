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

# matrix BACKEND OPTION… TEST…: run-vm there. What fails is tried on the kernel's own
# module too, and where that fails as well the result is stock-fails and no failure
# of this test; its log stays in build/logs/NAME-stock. What did not start there,
# because the machine had died, is no excuse. Results go to build/reports/matrix/,
# which make puts together.
matrix() {
	backend=$1; shift
	cell=$backend.$(basename "$0" .t)
	report=$top/build/reports/matrix/$cell.tsv
	mkdir -p "$logs" "$(dirname "$report")"
	status=0
	"$here/run-vm" --backend "$backend" --modules "$modules" --keep "$logs" "$@" \
		>"$logs/tap" || status=$?
	if [ $status = 0 ] || [ "$modules" != ours ]; then
		cat "$logs/tap"
		[ "$modules" != ours ] || cp "$logs/matrix.tsv" "$report"
		exit $status
	fi
	echo "# the same on the kernel's own module: $logs-stock/tap"
	mkdir -p "$logs-stock"
	"$here/run-vm" --backend "$backend" --modules stock --keep "$logs-stock" "$@" \
		>"$logs-stock/tap" 2>&1 || :
	# Of two results of a test that fail the second is the stock module's.
	awk -F'\t' -v OFS='\t' 'NR == FNR { if ($3 == "fail" && $2 != "identity") stock[$2] = 1; next }
		$3 == "not-run" { $3 = "fail" }
		$3 == "fail" && $2 in stock { $3 = "stock-fails" } { print }' \
		"$logs-stock/matrix.tsv" "$logs/matrix.tsv" >"$report"
	known=$(awk -F'\t' '$3 == "stock-fails" { print $2 }' "$report")
	awk -v known="$known" 'BEGIN { split(known, k, "\n"); for (i in k) is[k[i]] = 1 }
		/^not ok/ {
			name = $5; sub(/:$/, "", name)
			if (name == "the") name = "machine"
			if (name in is) $0 = $0 " # TODO the kernel'"'"'s own module fails too"
		} { print }' "$logs/tap"
	! grep -q "	fail	" "$report"
	exit
}

skip_all() {
	echo "1..0 # SKIP $*"
	exit 0
}

programs() {
	for p in "$programs"/*; do
		# long/random-guests.t: they can stop QEMU itself
		[ -x "$p" ] && [ "${p##*/}" != random-guests ] && echo "$p"
	done
}

# Every test that needs no more than a flat guest.
flat_tests() {
	echo "$here/in-vm/identity"
	programs
	echo "$here/in-vm/kvmctl"
}

# Those that do without what Bochs 3.0's SVM gets wrong (vm_on_bochs_svm() in vm.h), for
# us and for the kernel's own module alike. The others are told.
bochs_svm_tests() {
	works="exceptions flat-guests ioctl-errors irqchip irqchip-guests smoke state timers two-vms"
	for p in $(programs); do
		case " $works " in
		*" ${p##*/} "*) echo "$p" ;;
		*) echo "# not on Bochs's SVM, whose flaws it meets: ${p##*/}" >&2 ;;
		esac
	done
}

# What in-vm/kvmctl runs, as options of run-vm.
flat_files() {
	for f in "$top"/build/tests/tools/* "$top"/build/images/guests/rom-*.bin \
		"$top"/build/images/guests/prot-*.bin; do
		echo "--file $f"
	done
}

# Debian's kernel and an initrd, with which in-vm/kvmctl starts it, too.
kvmctl_linux() {
	mkdir -p "$logs"
	guest_initramfs "$logs/linux.cpio" /bin/busybox "$top/build/tests/tools/linux-init"
	for f in /boot/vmlinuz-*; do echo "--file $f:vm/files/linux"; done
	echo "--file $logs/linux.cpio"
}

# Tests for run-vm that each run one real guest (in-vm/real-guest), and what they
# need, as its arguments.
real_guests() { # NAME…
	mkdir -p "$logs/guests"
	guest_initramfs "$logs/guest.cpio" /bin/busybox "$here/in-vm/guest-init" \
		"$top/build/tests/tools/guest-work:bin/"
	guest_initramfs "$logs/guest-i386.cpio" "$top/build/images/real-guests/busybox-i386"
	echo "--share-root --file $logs/guest.cpio --file $logs/guest-i386.cpio"
	echo "--file $here/in-vm/real-guest"
	for guest in "$@"; do
		printf '#!/bin/sh\nexec /vm/files/real-guest %s\n' "$guest" >"$logs/guests/$guest"
		echo "$logs/guests/$guest"
	done
}

# Tests for run-vm that do what QEMU's users do (in-vm/clients.py), and what they need.
clients() { # WHAT…
	mkdir -p "$logs/guests"
	stress=$top/build/images/real-guests/stress
	xz -dc /lib/modules/*/kernel/drivers/virtio/virtio_balloon.ko.xz >"$logs/virtio_balloon.ko"
	guest_initramfs "$logs/work.cpio" /bin/busybox "$here/in-vm/work-init" "$stress"/* \
		"$logs/virtio_balloon.ko" "$top/build/tests/tools/guest-work:bin/"
	echo "--share-root --file $logs/work.cpio --file $here/in-vm/clients"
	for what in "$@"; do
		printf '#!/bin/sh\nexec /vm/files/clients %s\n' "$what" >"$logs/guests/$what"
		echo "$logs/guests/$what"
	done
}

# The initramfs of a Linux guest: busybox, an init, and more files and directories.
guest_initramfs() { # FILE [BUSYBOX [INIT [FILE[:DIRECTORY/]…]]]
	tree=$(mktemp -d)
	cpio=$1
	mkdir -p "$tree/bin" "$tree/dev"
	cp "${2:-/bin/busybox}" "$tree/bin/busybox"
	ln -s busybox "$tree/bin/sh"
	cp "${3:-$here/in-vm/guest-init}" "$tree/init"
	chmod +x "$tree/init"
	mknod "$tree/dev/console" c 5 1
	shift $(($# < 3 ? $# : 3))
	for f in "$@"; do
		case $f in
		*:*)	cp "${f%%:*}" "$tree/${f#*:}" ;;
		*)	cp -r "$f" "$tree/" ;;
		esac
	done
	(cd "$tree" && find . | cpio -o -H newc --quiet -R 0:0) >"$cpio"
	rm -rf "$tree"
}
