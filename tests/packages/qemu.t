#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# kvm-qemu takes the place of Debian's QEMU on a plain Debian 13 with libvirt:
# apt does it in one step, libvirt and virt-install find it without being told
# and run a guest, and Debian's comes back by the same way. Guests are emulated.
set -u
cd "$(dirname "$0")/../.."
: "${KVM_LIVE_CACHE:?run this inside the build root: make check-qemu}"
debs=$(ls build/qemu/*.deb 2>/dev/null) || { echo "1..0 # SKIP build/qemu has no packages: make qemu"; exit 0; }
. tests/packages/common.sh

plain_debian
mount --rbind /sys "$root/sys"
mkdir "$root/debs"
cp $debs "$root/debs/"

check "Debian's QEMU with libvirt and virt-install are there" \
	sh_root "$apt install qemu-system-x86 qemu-utils libvirt-daemon-system libvirt-clients virt-install"
check "apt installs ours in one step" sh_root "$apt install /debs/kvm-qemu_*.deb"
for p in qemu-system-x86 qemu-system-common qemu-utils; do
	check "Debian's $p went" absent $p
done
for p in kvm-qemu libvirt-daemon-driver-qemu libvirt-daemon-system virt-install qemu-system-data seabios ipxe-qemu; do
	check "$p is installed" installed $p
done
check "no dependency is open" sh_root "apt-get check"
check "the modules for Ceph, iSCSI and NFS install" sh_root "$apt install /debs/kvm-qemu-block-extra_*.deb &&
	qemu-img --help | grep -q ' rbd'"
for c in kvm qemu-system-x86_64 qemu-img qemu-nbd qemu-io; do
	check "$c starts" sh_root "$c --version | grep kvm-live"
done
check "kvm has a man page" sh_root "ls /usr/share/man/man1/kvm.1.gz || dpkg -L kvm-qemu | grep man1/kvm.1.gz"
check "all its firmware is there" sh_root "cd /tmp; for d in e1000 virtio-net-pci rtl8139 virtio-vga VGA; do
	timeout 20 kvm -accel tcg -nodefaults -display none -device \$d -S -daemonize -pidfile pid && kill \$(cat pid) && sleep 0.5; done"

# libvirt of its own, in namespaces of its own
cat >"$root/libvirt-test" <<'END'
set -eu
mount --make-rprivate / 2>/dev/null || :
mount -t proc proc /proc
ip link set lo up 2>/dev/null || :
mount -t tmpfs run /run
mkdir -p /run/lock
mount -t tmpfs dev /dev
for d in null zero full random urandom tty; do
	case $d in null) m=3 ;; zero) m=5 ;; full) m=7 ;; random) m=8 ;; urandom) m=9 ;; tty) m=0 ;; esac
	[ $d = tty ] && mknod -m 666 /dev/tty c 5 0 || mknod -m 666 /dev/$d c 1 $m
done
mkdir /dev/pts /dev/shm
mount -t devpts -o newinstance,ptmxmode=666 pts /dev/pts
ln -s pts/ptmx /dev/ptmx
ln -s /proc/self/fd /dev/fd
printf '%s\n' 'cgroup_controllers = []' 'namespaces = []' 'security_driver = "none"' \
	'remember_owner = 0' >>/etc/libvirt/qemu.conf
virtlogd -d
libvirtd -d
i=0
until virsh -q version >/dev/null 2>&1; do i=$((i + 1)); [ $i -lt 150 ] || exit 3; sleep 0.2; done
eval "$1"
END
with_libvirt() {
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 \
		unshare --mount --net --pid --fork --kill-child --propagation unchanged \
		chroot "$root" timeout 120 bash /libvirt-test "$1" </dev/null
}
check "libvirt finds it" with_libvirt \
	"virsh domcapabilities --virttype qemu --arch x86_64 --machine q35 >/c; grep -E '<path>/usr/bin/(kvm|qemu-system-x86_64)' /c &&
	grep -q \"<value>vnc</value>\" /c; virsh capabilities | grep -A3 \"<arch name='x86_64'>\"; virsh version | grep 'hypervisor: QEMU 10'"
check "virt-install runs a guest on it" with_libvirt \
	"virt-install --virt-type qemu --name t --memory 64 --osinfo generic --disk size=0.1 --network none --import --noautoconsole --graphics vnc &&
	virsh domstate t | grep running && pid=\$(cat /run/libvirt/qemu/t.pid) && readlink /proc/\$pid/exe && grep 'Seccomp:.*2' /proc/\$pid/status"
check "also when a guest names /usr/bin/kvm as its emulator" with_libvirt \
	"virsh dumpxml t | sed 's|<emulator>.*<|<emulator>/usr/bin/kvm<|' >/x; virsh define /x && virsh start t &&
	virsh domstate t | grep running"

check "Debian's QEMU comes back by apt" sh_root "$apt install qemu-system-x86 qemu-utils"
check "and ours is gone" absent kvm-qemu
check "libvirt stays" installed libvirt-daemon-driver-qemu
finish
