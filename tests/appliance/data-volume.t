#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests and settings survive on the live appliance: by keystrokes a data volume is
made on an empty disk and a guest is installed; the power is cut, and after it the
guest, its disk and the settings are there, and it runs. Then the same disk as an
encrypted volume with XFS, which is locked after a power cut until it gets its passphrase.

  data-volume.t [plain|luks]...    (default: both)
"""

import hashlib
import os
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from appliance import (CD, ISO, KEPT, MAIN, SLOW, Host, create_disk, download_iso,
                       install_guest, read_token, run_guest)
from vm import Failure, Tap

LOST = "changes and guests will be lost"
CHINESE = "您要做什么"
DISC = bytes(range(256)) * 4000     # what is downloaded
tap = Tap()


class Machine(Host):
    """A machine with an empty disk of 4 GiB, which the firmware tries first."""

    def __init__(self, name):
        self.disk = tempfile.NamedTemporaryFile(prefix="data-volume-")
        self.disk.truncate(4 << 30)
        super().__init__("live-" + name, "EPYC,+svm,+npt", medium=CD + [
            "-drive", "if=virtio,format=raw,file=" + self.disk.name])

    def boot_until(self, pattern):
        """The menu, and then what it says once the volume was looked for."""
        seconds = self.boot()
        start = time.time()
        self.see(pattern, SLOW)
        tap.note("menu after %.1f s, the word on the volume %.1f s later" % (
            seconds, time.time() - start))

    def cut_power(self):
        self.qmp("system_reset")
        self.screen.reset()

    def no_failed_unit(self):
        self.all_started()
        broken = self.run("systemctl --failed --no-legend --plain")
        if broken:
            raise Failure("failed units:\n" + broken)


def settings(host):
    """What an administrator may have set, as one text."""
    return host.run("uname -n; cat /root/.ssh/authorized_keys; grep ^root: /etc/shadow; "
                    "ls -l /var/lib/kvm-live/iso/x.iso; virsh net-list --name --all; "
                    "systemctl is-enabled fstrim.timer; systemctl is-active fstrim.timer; "
                    "wc -c </etc/machine-id; sha256sum /var/lib/libvirt/images/moved.img")


def plain():
    with Machine("data-volume") as host:
        kept = []

        def boot():
            host.boot_until(LOST)
            host.see("Guests are in memory: nothing survives")

        def change():
            host.shell()
            host.no_failed_unit()
            tap.note(host.run("systemctl show kvm-live-data -p ExecMainStartTimestampMonotonic "
                              "-p ExecMainExitTimestampMonotonic; mount | grep machine-id"))
            host.run("echo kept >/etc/hostname; echo kept >/proc/sys/kernel/hostname; mkdir -p /root/.ssh; "
                     "echo key >/root/.ssh/authorized_keys; echo root:secret | chpasswd; "
                     "touch /var/lib/kvm-live/iso/x.iso; "
                     "rm -f /etc/systemd/system/fstrim.timer; systemctl -q enable fstrim.timer; "
                     "systemctl start fstrim.timer")
            host.run("dd if=/dev/urandom of=/var/lib/libvirt/images/moved.img bs=1M count=3")
            kept.append(settings(host))
            host.leave_shell()
            create_disk(host, "disk", "512M", "qcow2")

        def make():
            host.make_volume(False)
            host.see(KEPT)
            if LOST in host.text():
                raise Failure(host.text())
            host.shell()
            after = settings(host)
            left = host.run("ls /run/live/overlay/rw/var/lib/libvirt/images")
            host.leave_shell()
            if after != kept[0]:
                raise Failure("before:\n%s\n\nafter:\n%s" % (kept[0], after))
            if "moved.img" in left:
                raise Failure("the disks are still in memory: " + left)

        def download():
            with tempfile.TemporaryDirectory() as directory:
                path = os.path.join(directory, "some.iso")
                with open(path, "wb") as file:
                    file.write(DISC)
                download_iso(host, path)

        def install():
            install_guest(host, "guest", "disk.qcow2", "tok-kept")
            read_token(host, "tok-kept")
            host.send("\x1d")
            host.see(MAIN, SLOW)

        def cut():
            host.cut_power()
            host.boot_until(KEPT)

        def same():
            host.shell()
            host.no_failed_unit()
            kept.append(settings(host))
            disc = host.run("sha256sum </var/lib/kvm-live/iso/some.iso")
            if not disc.startswith(hashlib.sha256(DISC).hexdigest()):
                raise Failure("some.iso: " + disc)
            tap.note(host.run("systemctl show kvm-live-data -p ExecMainStartTimestampMonotonic "
                              "-p ExecMainExitTimestampMonotonic"))
            said = host.run("kvm-live-data status; findmnt -no SOURCE,FSTYPE /etc; "
                            "findmnt -no SOURCE,FSTYPE /var/lib/libvirt")
            tap.note(said)
            host.leave_shell()
            if kept[0] != kept[1]:
                raise Failure("before:\n%s\n\nafter:\n%s" % tuple(kept))
            if "checked after a power cut" not in said:
                raise Failure("nothing is said of the check")

        ok = tap.step("with an empty disk the menu says that changes will be lost", boot)
        ok = ok and tap.step("settings are changed and a disk is made, in memory", change)
        ok = ok and tap.step("a data volume is made in the menu, and all moves there at once", make)
        ok = ok and tap.step("an ISO is downloaded, its checksum is right", download)
        ok = ok and tap.step("a guest is installed", install)
        ok = ok and tap.step("after a power cut the volume is found", cut)
        ok = ok and tap.step("the settings are the same, the check is told", same)
        ok = ok and tap.step("the guest is there and runs",
                             lambda: run_guest(host, "guest", "tok-kept"))
        ok = ok and tap.step("the menu powers the machine off", host.power_off)
        if ok:
            with open(host.disk.name, "rb") as disk:
                disk.seek((1 << 20) + 1024 + 96)    # s_feature_incompat; 4 is RECOVER
                tap.ok(not disk.read(1)[0] & 4, "the file system was unmounted at power-off")


def luks():
    with Machine("data-luks") as host:
        def make():
            host.boot_until(LOST)
            host.make_volume(True, "xfs")
            host.shell()
            host.run("echo sealed >/root/note; sync")
            tap.note(host.run("kvm-live-data status"))
            host.leave_shell()
            host.key("z", CHINESE)
            host.cut_power()

        def unlock():
            host.boot_until("The data volume is locked: " + LOST)
            host.key("t", "U  Unlock")
            host.key("u", "Passphrase of the data volume")
            host.key("wrong\r", "The passphrase is wrong", SLOW)
            host.key("\r", "U  Unlock")
            host.key("u", "Passphrase of the data volume")
            host.key("secret\r", r"are kept on the data volume /dev/vda1 \(xfs,[\s|]+encrypted", SLOW)
            host.key("\r", r"survive a restart\.")
            host.key("\x1b", CHINESE)          # as it was chosen before
            host.key("z", MAIN)
            host.shell()
            host.no_failed_unit()
            note = host.run("cat /root/note")
            said = host.run("kvm-live-data status")
            host.leave_shell()
            if note != "sealed":
                raise Failure("the note says: " + note)
            if "checked after a power cut" not in said:
                raise Failure("nothing is said of the check: " + said)
            host.power_off()

        ok = tap.step("an encrypted volume with XFS is made in the menu, and is used at once", make)
        if ok:
            tap.step("it is locked after a power cut, unlocked in the menu, and has what it had", unlock)


if not os.path.exists(ISO):
    print("1..0 # SKIP %s is missing: make iso" % ISO)
    sys.exit(0)
wanted = sys.argv[1:] or ["plain", "luks"]
if "plain" in wanted:
    plain()
if "luks" in wanted:
    luks()
tap.finish()
