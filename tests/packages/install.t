#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Our repository on a plain Debian 13, by the commands that README.md prints: APT
# trusts it for its signature alone, kvm-live installs with our QEMU, an older build
# is upgraded and loses no guest or setting. Then that machine starts on an emulated
# processor with SVM (in-machine): libvirt's guests run on our QEMU and our module,
# and Debian's module comes back. At last nothing is left behind by a purge.
#
# Until the machine starts, a chroot stands for it. Takes about 10 minutes. Run by:
# make check-packages
set -u
cd "$(dirname "$0")/../.."
: "${KVM_LIVE_CACHE:?run this inside the build root: make check-packages}"
. tests/packages/common.sh

if [ ! -e build/repo/InRelease ] || [ ! -e build/images/mini-guest.iso ]; then
	echo "Bail out! build/repo or the mini guest is missing; run: make repo images"
	exit 1
fi
plain_debian
headers=$(basename "$(ls -d "$root"/lib/modules/*/build | head -n 1 | xargs dirname)")
kernel=$(ls build/repo/linux-image-*.deb | sed 's|.*/linux-image-\(.*\)_[^_]*_amd64.deb|\1|')
ours="libkvm0 libkvm-dev kvm-tools kvm-menu kvm-live kvm-live-image-config kvm-module-dkms kvm-qemu"

check "lintian finds neither errors nor warnings" \
	sh -c 'lintian --allow-root --fail-on error,warning $(ls build/repo/*.deb | grep -v /linux-)'

# The repository as it was a build ago: our packages under a lower version.
older() {	# older DEB DIRECTORY
	local tree=$root.older version
	rm -rf "$tree"
	dpkg-deb -R "$1" "$tree"
	version=$(dpkg-deb -f "$1" Version)
	case $1 in
	*/kvm-qemu_*)
		sed -i 's/^Version: .*/Version: 1:9.0-1/' "$tree/DEBIAN/control" ;;
	*)	sed -i "s/${version//./\\.}/0.0.1/g" "$tree"/DEBIAN/* "$tree"/usr/src/*/dkms.conf 2>/dev/null
		[ ! -d "$tree/usr/src" ] || mv "$tree"/usr/src/kvm-module-* "$tree/usr/src/kvm-module-0.0.1" ;;
	esac
	dpkg-deb --root-owner-group -Znone -b "$tree" "$2/" >/dev/null
	rm -rf "$tree"
}
clone=$root/clone
mkdir -p "$root.debs" "$clone/build"
for p in $ours; do
	older "$(ls build/repo/"$p"_*.deb)" "$root.debs"
done
check "a repository is made of an older build" debian/build-repo "$root.debs" "$clone/build/repo" || finish

# APT trusts the repository for its signature
update_from() {	# DIRECTORY KEY: apt-get update with this repository alone
	echo "deb [signed-by=$2] file:$1 ./" >"$root/tmp/one.list"
	sh_root "apt-get -q -o Dir::Etc::SourceList=/tmp/one.list -o Dir::Etc::SourceParts=- \
		-o Dir::State::Lists=/tmp/lists -o APT::Update::Error-Mode=any update"
}
refused() {	# DIRECTORY KEY WORDS: it fails and says so
	local said
	rm -rf "$root/tmp/lists" && mkdir "$root/tmp/lists"
	! said=$(update_from "$1" "$2" 2>&1) && grep -qiE "$3" <<<"$said" || { echo "$said"; false; }
}
rm -rf "$root/tmp/lists" && mkdir "$root/tmp/lists"
check "APT takes the repository with its key" update_from /clone/build/repo /clone/build/repo/kvm-live.asc
check "but not with another key" refused /clone/build/repo /usr/share/keyrings/debian-archive-keyring.gpg 'not signed|missing key'
cp -r "$clone/build/repo" "$root/tmp/changed"
sed -i 's/^Origin: kvm-live/Origin: kvm-1ive/' "$root/tmp/changed/InRelease"
check "nor when what is signed was changed" refused /tmp/changed /clone/build/repo/kvm-live.asc 'not signed|bad signature'
cp "$clone/build/repo/InRelease" "$root/tmp/changed/"
for f in "$root"/tmp/changed/Packages*; do echo | gzip >"$f"; done
check "nor when the list of packages was changed" refused /tmp/changed /clone/build/repo/kvm-live.asc 'mismatch|unexpected size'
check "the secret key is not in the repository" \
	sh -c '! grep -rl "PRIVATE KEY" "$1"' sh "$clone/build/repo" --include='*.asc' --include='*.sources'

# The commands that the README prints, word for word but for sudo and make
readme=$(awk '/^    sudo make repo/ { on = 1; next } on && !/^    / { exit } on' README.md |
	grep -v 'sudo kvm-menu' | sed 's/#.*//; s/\bsudo //g')
check "the README has commands for the repository" test -n "$readme"
asked=$(sh_root "cd /clone; $(echo "$readme" | grep -v 'apt install')
	apt-get -s -o APT::Install-Recommends=true install kvm-live" 2>&1)
would() { grep -q "^Inst $1 " <<<"$asked"; }
check "they bring our QEMU and the module to a machine that has none" \
	eval 'would kvm-qemu && would kvm-module-dkms || { echo "$asked"; false; }'
check "and not Debian's QEMU" eval '! would qemu-system-x86 && ! would qemu-utils'
rm -rf "$root/srv/kvm-live"
check "they install an older build" sh_root "cd /clone; apt() { $apt \"\$@\"; }; $readme
	$apt install ${ours/kvm-live-image-config/} virt-install apparmor $(sed -n 's/^Depends: //p' debian/tests/control | tr '\n,' '  ')" || finish

# The upgrade, with a guest and settings there
cp build/images/mini-guest.iso "$root/var/lib/kvm-live/iso/"
cp build/images/mini-guest.iso "$root/var/lib/libvirt/images/"
sh_root 'qemu-img create -q -f qcow2 /var/lib/libvirt/images/kept.qcow2 64M
	mkdir -p /etc/libvirt/qemu/autostart
	cat >/etc/libvirt/qemu/kept.xml <<-END
		<domain type="kvm"><name>kept</name><uuid>6a1c1b6e-5b0f-4b0e-9d51-6a0b8b7a4c11</uuid>
		<memory unit="MiB">64</memory><os><type arch="x86_64" machine="q35">hvm</type></os>
		<devices><disk type="file"><driver type="qcow2"/><source file="/var/lib/libvirt/images/kept.qcow2"/>
		<target dev="vda" bus="virtio"/></disk></devices></domain>
	END
	chmod 600 /etc/libvirt/qemu/kept.xml
	sed -i "s/\(<range start=.[0-9]*\.[0-9]*\.[0-9]*\.\)2\b/\1100/" /etc/libvirt/qemu/networks/default.xml
	grep -q "range start=.*\.100" /etc/libvirt/qemu/networks/default.xml
	echo "# by the administrator" >>/etc/libvirt/qemu.conf'
ok $? "a guest and settings are made"
state() {
	(cd "$root" && find etc/libvirt var/lib/libvirt/images var/lib/kvm-live \
		! -name libvirt-is-set-up ! -type d | sort | xargs stat -c '%n %Y %s %a %N')
}
before=$(state)
# APT takes no list that is dated before the one it has: made again, as make repo does.
check "the repository is made again" debian/build-repo build/debs "$root/srv/kvm-live"
check "apt upgrade brings the new build" sh_root "apt-get -q update && $apt upgrade"
[ "$before" = "$(state)" ]; ok $? "guests, disks, ISOs, networks and settings are as they were"
[ "$failed" = 0 ] || diff <(echo "$before") <(state) | sed 's/^/# /'
for p in $ours; do
	[ $p != kvm-live-image-config ] || continue
	check "$p is the new one" sh_root "[ \"\$(dpkg-query -W -f '\${Version}' $p)\" = $(dpkg-deb -f build/repo/${p}_*.deb Version) ]"
done
check "of the old module's source nothing is left" \
	sh_root "! ls -d /usr/src/kvm-module-0.0.1 /var/lib/dkms/kvm-module/0.0.1 2>/dev/null"
check "the repository's other packages install" \
	sh_root "$apt install kvm-live-image-config linux-image-$kernel linux-headers-$kernel"
check "no dependency is open" sh_root "apt-get check"

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
for c in kvm qemu-system-x86_64 qemu-img; do
	check "$c is ours" sh_root "$c --version | grep kvm-live"
done

# Units
for u in kvm-live-detect kvm-live-setup; do
	check "$u.service starts at boot" \
		in_root systemctl --root=/ is-enabled $u.service
done
check "systemd finds no fault in the units" \
	in_root systemd-analyze verify --man=no kvm-live-detect.service kvm-live-setup.service

# The live image's package is for live images
check "getty stays on an installed machine" \
	sh_root "! systemctl --root=/ is-enabled getty@tty1.service | grep -q masked"
check "libvirtd stays enabled on an installed machine" \
	in_root systemctl --root=/ is-enabled libvirtd.service

# The machine starts
mkdir -p "$root/srv/test"
cp -r debian/tests tests/packages/common.sh tests/packages/in-machine "$root/srv/test/"
cat >"$root/etc/systemd/system/kvm-live-test.service" <<'END'
[Unit]
Wants=libvirtd.service
After=libvirtd.service multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /srv/test/in-machine
ExecStopPost=/bin/systemctl poweroff -ff
END
mkdir -p "$root/etc/systemd/system/graphical.target.wants"
ln -s ../kvm-live-test.service "$root/etc/systemd/system/graphical.target.wants/"
echo kvm-host >"$root/etc/hostname"
unmount_debian
mke2fs -q -t ext4 -E nodiscard -d "$root" "$root.disk" 4G
mount --bind "$KVM_LIVE_CACHE/apt-archives" "$root/var/cache/apt/archives"
mount -t proc proc "$root/proc"
mkdir -p build/logs
: >"$root.tap"
timeout 1000 scripts/emulator -accel tcg,thread=multi -cpu EPYC,+svm,+npt -smp 2 -m 3G -machine q35 \
	-display none -nic none -no-reboot -serial file:build/logs/machine.log -serial "file:$root.tap" \
	-drive "if=virtio,format=raw,cache=unsafe,file=$root.disk" \
	-kernel "$root/boot/vmlinuz-$headers" -initrd "$root/boot/initrd.img-$headers" \
	-append "root=/dev/vda rw console=ttyS0 no_timer_check panic=-1" >"$root.qemu" 2>&1
rm -f "$root.disk"
tr -d '\r' <"$root.tap" >"$root.text"
while IFS= read -r line; do
	case $line in
	ok\ *)		ok 0 "booted: ${line#ok * - }" ;;
	not\ ok\ *)	ok 1 "booted: ${line#not ok * - }" ;;
	\#*)		echo "$line" ;;
	esac
done <"$root.text"
grep -q '^1\.\.' "$root.text"; ok $? "the machine starts and comes to its end"
grep -q '^1\.\.' "$root.text" || tail -n 30 build/logs/machine.log "$root.qemu" | sed 's/^/# /'

# libvirt's defaults
net=/etc/libvirt/qemu/networks/autostart/default.xml
pool=/etc/libvirt/storage/autostart/default.xml
check "libvirt's default network starts with it" sh_root "grep -q '<name>default' $net"
check "libvirt's default pool starts with it" sh_root "grep -q /var/lib/libvirt/images $pool"
before=$(state)
check "setting up again succeeds" in_root /usr/libexec/kvm-live/setup-libvirt
[ "$before" = "$(state)" ]; ok $? "and changes nothing"
rm "$root$net"
in_root /usr/libexec/kvm-live/setup-libvirt >/dev/null 2>&1
[ ! -e "$root$net" ]; ok $? "an administrator who turned the network off is respected"

# And away again
check "apt purges our packages" \
	sh_root "apt-get -qy purge $ours linux-image-$kernel linux-headers-$kernel"
check "DKMS's modules are gone" \
	sh_root "! ls /lib/modules/$headers/updates/dkms/kvm*.ko* 2>/dev/null"
check "no file of ours is left" \
	sh_root "! ls -d /usr/src/kvm-module* /usr/libexec/kvm-live /usr/bin/kvm-detect /usr/bin/kvm /boot/vmlinuz-$kernel \
		/etc/apparmor.d/abstractions/libvirt-qemu.d/kvm-qemu /var/lib/kvm-live/libvirt-is-set-up 2>/dev/null"
finish
