#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The packages of build/debs install on a plain Debian 13 with apt install
# ./*.deb, do there what they promise, and leave nothing behind when purged.
# A chroot of the release's minimal system plus the headers of Debian's kernel
# stands for the machine; it is kept in the cache, the packages from the archive
# too. Takes a few minutes. Run by: make check-packages
set -u
cd "$(dirname "$0")/../.."
: "${KVM_LIVE_CACHE:?run this inside the build root: make check-packages}"

n=0
failed=0
ok() {		# ok STATUS NAME
	n=$((n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $n - $2"
	else
		echo "not ok $n - $2"
		failed=1
	fi
}
# Run a command; on failure show its output.
check() {	# check NAME COMMAND…
	local name=$1 out rc
	shift
	out=$("$@" 2>&1) && rc=0 || rc=$?
	ok $rc "$name"
	[ $rc = 0 ] || printf '%s\n' "$out" | tail -n 30 | sed 's/^/# /'
}

debs=$(ls build/debs/*.deb 2>/dev/null)
if [ -z "$debs" ]; then
	echo "Bail out! build/debs is empty; run: make debs"
	exit 1
fi

# The machine: everything the release calls required, apt, init, and headers.
root=$(mktemp -d /var/tmp/kvm-live-install.XXXXXX)
trap 'umount -q "$root/var/cache/apt/archives"; umount -q "$root/proc"; rm -rf --one-file-system "$root"' EXIT
base=$KVM_LIVE_CACHE/plain-debian-13.tar
if [ ! -e "$base" ]; then
	echo "# making a plain Debian 13"
	mmdebstrap --quiet --mode=root --format=tar --variant=apt \
		--include=systemd-sysv,linux-headers-amd64,libc6-dev \
		--aptopt='APT::Install-Recommends "false"' \
		--aptopt='Acquire::Languages "none"' trixie "$base.tmp" - \
		</etc/apt/sources.list >&2 && mv "$base.tmp" "$base" || {
		echo "Bail out! mmdebstrap could not make a plain Debian 13; see above."
		exit 1
	}
fi
tar -C "$root" -xf "$base"
cp /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null
mkdir -p "$KVM_LIVE_CACHE/apt-archives/partial" "$root/debs"
mount --bind "$KVM_LIVE_CACHE/apt-archives" "$root/var/cache/apt/archives"
mount -t proc proc "$root/proc"
cp $debs "$root/debs/"

in_root() {
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
		DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}
sh_root() { in_root sh -euc "$1"; }

headers=$(basename "$(ls -d "$root"/lib/modules/*/build | head -n 1 | xargs dirname)")
kernel=$(ls build/debs/linux-image-*.deb | sed 's|.*/linux-image-\(.*\)_[^_]*_amd64.deb|\1|')
ours="libkvm0 libkvm-dev kvm-tools kvm-menu kvm-live kvm-live-image-config kvm-module-dkms"

sh_root 'apt-get -q update' >/dev/null 2>&1
apt="apt-get -qy -o APT::Install-Recommends=false -o APT::Keep-Downloaded-Packages=true"
# The command that the README prints, word for word but for sudo.
readme=$(awk '/^    sudo apt install/ { on = 1 } on { print; if (!/\\$/) exit }' README.md |
	sed "s|sudo apt|$apt|")
check "the README's command installs the packages that it names" \
	sh_root "mkdir -p /clone/build; ln -s /debs /clone/build/debs; cd /clone; ${readme:-false}"
check "apt installs all packages at once" sh_root "$apt install /debs/*.deb"
for p in $ours "linux-image-$kernel" "linux-headers-$kernel"; do
	check "$p is installed and configured" \
		sh_root "dpkg-query -W -f '\${db:Status-Abbrev}' $p | grep -q '^ii'"
done

# The module, by DKMS on Debian's kernel
check "DKMS built the module for Debian's kernel" \
	sh_root "dkms status -m kvm-module -k $headers | grep -q installed || { dkms status; cat /var/lib/dkms/kvm-module/*/build/make.log; exit 1; }"
for m in kvm kvm-amd kvm-intel; do
	check "on Debian's kernel $m comes from updates/dkms" \
		sh_root "depmod $headers; modinfo -k $headers -F filename $m | grep /updates/dkms/"
done
check "and it is kvm-live's" \
	sh_root "modinfo -k $headers -F description kvm | grep '^kvm-live'"
check "the module knows its version" \
	sh_root "modinfo -k $headers -F version kvm | grep ."

# The same in our kernel
for m in kvm kvm-amd kvm-intel; do
	check "on kvm-live's kernel $m comes with the kernel" \
		sh_root "depmod $kernel; modinfo -k $kernel -F filename $m | grep /kernel/drivers/kvm/"
done
check "which is the same module" \
	sh_root "modinfo -k $kernel -F description kvm | grep '^kvm-live'"
check "DKMS leaves kvm-live's kernel alone" \
	sh_root "! dkms status -m kvm-module -k $kernel | grep -q installed"
check "the kernel says its configuration" \
	sh_root "grep -q '^CONFIG_IKCONFIG_PROC=y' /boot/config-$kernel"

# Commands
for c in kvm-detect kvmctl kvm-menu; do
	check "$c --help" in_root $c --help
	check "$c has a man page" sh_root "ls /usr/share/man/man?/$c.?.gz"
done
check "a program builds with pkg-config's name and the shared library" \
	sh_root 'cd /tmp; pc=$(ls /usr/lib/*/pkgconfig/libkvm.pc); grep -q -- "-lkvm" $pc
		cc=$(ls /usr/bin/*gcc-[0-9]* | grep -v "gcc-[a-z]" | head -n 1)
		$cc -Wno-dangling-else -o listing1 /usr/share/doc/libkvm-dev/examples/listing1.c -lkvm
		ldd ./listing1 | grep -q libkvm.so.0'

# Units
for u in kvm-live-detect kvm-live-setup; do
	check "$u.service starts at boot" \
		in_root systemctl --root=/ is-enabled $u.service
done
check "systemd finds no fault in the units" \
	in_root systemd-analyze verify --man=no kvm-live-detect.service kvm-live-setup.service

# libvirt's defaults
net=/etc/libvirt/qemu/networks/autostart/default.xml
pool=/etc/libvirt/storage/autostart/default.xml
check "libvirt's default network starts with it" sh_root "grep -q '<name>default' $net"
check "libvirt's default pool starts with it" sh_root "grep -q /var/lib/libvirt/images $pool"
state() { (cd "$root/etc/libvirt" && find . -exec stat -c '%n %Y %s %N' {} + | sort); }
before=$(state)
check "setting up again succeeds" in_root /usr/libexec/kvm-live/setup-libvirt
[ "$before" = "$(state)" ]; ok $? "and changes nothing"
rm "$root$net"
in_root /usr/libexec/kvm-live/setup-libvirt >/dev/null 2>&1
[ ! -e "$root$net" ]; ok $? "an administrator who turned the network off is respected"

# The live image's package is for live images
check "getty stays on an installed machine" \
	sh_root "! systemctl --root=/ is-enabled getty@tty1.service | grep -q masked"
check "libvirtd stays enabled on an installed machine" \
	in_root systemctl --root=/ is-enabled libvirtd.service

# And away again
check "apt purges our packages" \
	sh_root "apt-get -qy purge $ours linux-image-$kernel linux-headers-$kernel"
check "DKMS's modules are gone" \
	sh_root "! ls /lib/modules/$headers/updates/dkms/kvm*.ko* 2>/dev/null"
check "no file of ours is left" \
	sh_root "! ls -d /usr/src/kvm-module* /usr/libexec/kvm-live /usr/bin/kvm-detect /boot/vmlinuz-$kernel \
		/var/lib/kvm-live/libvirt-is-set-up 2>/dev/null"

echo "1..$n"
exit $failed
