#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The kernel's package boots on an emulated processor with SVM, its drivers load,
# and what systemd, libvirt and a live image ask of it is there. Run by:
# make check-packages
set -u
cd "$(dirname "$0")/../.."
deb=$(ls build/kernel/linux-image-*-kvm-live_*.deb 2>/dev/null | head -n 1)
[ -n "$deb" ] || { echo "Bail out! build/kernel has no kernel package; run: make kernel"; exit 1; }

work=$(mktemp -d /var/tmp/kvm-live-kernel.XXXXXX)
trap 'rm -rf "$work"' EXIT
dpkg-deb -x "$deb" "$work/deb"
release=$(ls "$work"/deb/lib/modules)
mkdir -p "$work/ram/bin" "$work/ram/lib" "$work/ram/proc" "$work/ram/sys" "$work/ram/dev" "$work/ram/tmp"
mv "$work/deb/lib/modules" "$work/ram/lib/"
depmod -b "$work/ram" "$release"
cp "$(command -v busybox)" "$work/ram/bin/busybox"
cat >"$work/ram/init" <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
exec >/dev/ttyS0 2>&1
n=0
ok() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi; }
loads() { for m in $2; do out=$(modprobe $m 2>&1); r=$?; [ $r = 0 ] || { echo "# $m: $out"; break; }; done; ok $r "$1 load"; }
echo "TAP version 13"
case $(uname -r) in *-kvm-live) r=0 ;; *) r=1 ;; esac
ok $r "boots to user space as $(uname -r)"
zcat /proc/config.gz | grep -q '^CONFIG_KVM=m'; ok $? "says its configuration"
loads "the hypervisor's modules" "kvm kvm-amd"
grep -q . /sys/module/kvm/version; ok $? "which are kvm-live's"
[ -c /dev/kvm ]; ok $? "/dev/kvm is there"
loads "disk drivers" "ahci ata_piix nvme virtio_blk virtio_scsi sd_mod sr_mod mpt3sas megaraid_sas hpsa smartpqi usb-storage uas vmw_pvscsi md-mod dm-mod raid1 dm-crypt iscsi_tcp"
loads "network drivers" "e1000 e1000e igb igc ixgbe i40e r8169 tg3 bnx2 bnxt_en virtio_net vmxnet3"
loads "USB and keyboards" "xhci-pci ehci-pci uhci-hcd ohci-pci usbhid hid-generic"
loads "file systems of the live image and of guests' disks" "squashfs overlay isofs vfat exfat ext4 loop nls_utf8 fuse nfs"
loads "libvirt's networks" "bridge br_netfilter tun macvtap veth 8021q nf_tables nft_nat nft_masq nft_ct nft_fib_inet nft_reject_inet nft_compat xt_CHECKSUM xt_MASQUERADE xt_conntrack ipt_REJECT ip6t_REJECT ebt_ip ebt_stp sch_htb sch_ingress act_police cls_u32"
loads "vhost, vsock and pass-through" "vhost_net vhost_vsock vfio-pci"
[ -c /dev/vhost-net ] && [ -c /dev/net/tun ] && [ -c /dev/vfio/vfio ]; ok $? "their device nodes are there"
mkdir -p /tmp/cg && mount -t cgroup2 none /tmp/cg
r=0; for c in cpu cpuset io memory pids hugetlb; do grep -qw $c /tmp/cg/cgroup.controllers || { r=1; echo "# no $c"; }; done
ok $r "control groups have what systemd and libvirt use"
r=0; for ns in cgroup ipc mnt net pid user uts; do [ -e /proc/self/ns/$ns ] || r=1; done; ok $r "name spaces"
mount -t securityfs s /sys/kernel/security; grep -q apparmor /sys/kernel/security/lsm; ok $? "AppArmor is on"
mkdir -p /tmp/bpf && mount -t bpf b /tmp/bpf; ok $? "BPF"
[ -e /dev/cpu/0/msr ]; ok $? "the msr driver, for kvm-detect"
loads "DMI's tables for kvm-detect" "dmi-sysfs"
mount -t debugfs d /sys/kernel/debug; ok $? "debugfs"
dmesg | grep -E -A 12 'BUG:|cut here|Oops|Call Trace' | sed 's/^/# /' >/tmp/bad
cat /tmp/bad
[ ! -s /tmp/bad ]; ok $? "nothing alarming in the kernel's log"
echo "1..$n"
echo "# done"
poweroff -f
END
chmod +x "$work/ram/init"
(cd "$work/ram" && find . | cpio -o -H newc --quiet | gzip -1 >"$work/initrd")
timeout 280 scripts/emulator -accel tcg,thread=multi -cpu EPYC,+svm,+npt -smp 2 -m 2G -machine q35 \
	-display none -nic none -no-reboot -serial "file:$work/log" \
	-kernel "$work/deb/boot/vmlinuz-$release" -initrd "$work/initrd" \
	-append "console=ttyS0 rdinit=/init quiet" 2>"$work/qemu.log"
tr -d '\r' <"$work/log" | grep -E '^(ok|not ok|#|1\.\.)'
if ! grep -q '^# done' "$work/log"; then
	echo "Bail out! the kernel did not get to the end; its last words:"
	tail -n 20 "$work/log" | sed 's/^/# /'
	exit 1
fi
! grep -q '^not ok' "$work/log"
