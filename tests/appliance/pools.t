#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Disks in an LVM volume group, on the live appliance by keystrokes: the group becomes a
storage pool, a guest is installed on a logical volume of it and runs, and goes with
the guest. The programs for NFS and iSCSI are there and say why a server that is none
cannot be used; nothing of them listens or runs after the start."""

import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from appliance import CD, SLOW, Host, read_token
from vm import Failure, Tap

tap = Tap()


class Machine(Host):
    """A machine with an empty disk of 2 GiB."""

    def __init__(self):
        self.disk = tempfile.NamedTemporaryFile(prefix="pools-")
        self.disk.truncate(2 << 30)
        super().__init__("live-pools", "EPYC,+svm,+npt", medium=CD + [
            "-drive", "if=virtio,format=raw,file=" + self.disk.name])

    def pools(self):
        self.main()
        self.key("t", "Storage pools")
        self.key("p", "Where disks of guests can be", SLOW)


def quiet(host):
    host.shell()
    host.all_started()
    seen = host.run("systemctl --failed --no-legend --plain; ss -Hlntu | grep -v -e ':68 ' -e ':546 '")
    host.leave_shell()
    if seen:
        raise Failure("failed units or open ports:\n" + seen)


def add(host):
    host.shell()
    host.run("vgcreate -y vg0 /dev/vda")
    host.leave_shell()
    host.pools()
    host.key("a", "What kind")
    host.key("l", r"1 +vg0", SLOW)
    host.key("1", "Name of the pool")
    host.key("\r", r"The pool vg0 is open: [\d.]+ GiB free", SLOW)
    host.send("b")


def install(host):
    host.main()
    host.key("i", "Choose an ISO", SLOW)
    row = host.see(r"(\d) +(?:\S*/)?mini-guest\.iso")
    host.key(row.group(1), "Name of the guest", SLOW)
    host.key("\x15lvm\r", "Disk of the guest")
    host.field("n", "Size of the disk", "512M", "Go on with: new, 512M")
    host.key("p", "Where is the disk to be", SLOW)
    row = host.see(r"(\d) +vg0 ")
    host.key(row.group(1), "Go on with: new, 512M, raw")
    host.key("g", "Machine of the guest")
    host.key("g", "Network of the guest")
    host.key("0", "Start the installation")
    host.field("m", "Memory of the guest", "256", r"Memory +256")
    host.send("s")
    host.expect("Console of guest lvm", SLOW)
    host.expect("Token: ", SLOW)
    host.send("tok-lvm\r")
    host.expect("Installed", SLOW)
    read_token(host, "tok-lvm")
    host.send("\x1d")
    host.shell()
    volumes = host.run("lvs --noheadings -o lv_name,lv_size,lv_attr vg0")
    host.leave_shell()
    if not re.fullmatch(r"lvm.raw\s+512.00m\s+-wi-a?o?-+", volumes):
        raise Failure("logical volumes: " + volumes)


def remove(host):
    host.main()
    host.key("g", r"(\d) +lvm ")
    row = host.see(r"(\d) +lvm ")
    host.key(row.group(1), "Guest lvm: running")
    host.key("f", "Cut the power")
    host.key("y", "Guest lvm: shut off", SLOW)
    host.key("d", r"/dev/vg0/lvm\.raw")
    host.key("d", "There is no guest yet", SLOW)
    host.pools()
    row = host.see(r"(\d) +vg0 ")
    host.key(row.group(1), "In /dev/vg0")
    host.key("r", "Close the pool vg0")
    host.send("y")
    host.see("Where disks of guests can be", SLOW)
    host.shell()
    left = host.run("lvs --noheadings; virsh pool-list --all --name")
    host.leave_shell()
    if left.split() != ["default"]:
        raise Failure("left: " + left)


def refuse(host, key, typed, word):
    """10.0.2.2 is this machine, which is no such server."""
    host.pools()
    host.key("a", "What kind")
    host.key(key, "Name or address of the server")
    host.key("10.0.2.2\r", "could not be found out", SLOW)
    host.key("t", "exports|target")
    host.key(typed + "\r", "Name of the pool")
    host.key("\r", "could not be opened, and is not kept", SLOW)
    host.see(word)
    host.key("b", "Name of the pool")
    for screen in ("Type it", "Name or address of the server", "What kind",
                   "Where disks of guests can be"):
        host.key("\x1b", screen)


with Machine() as host:
    ok = tap.step("it boots", host.boot)
    ok = ok and tap.step("nothing listens, no unit has failed", lambda: quiet(host))
    if ok and tap.step("a volume group becomes a pool", lambda: add(host)):
        tap.step("a guest is installed on a logical volume", lambda: install(host)) and \
            tap.step("the volume goes with the guest; the pool is removed", lambda: remove(host))
    if ok:
        tap.step("an NFS server that is none", lambda: refuse(host, "n", "/x", "speaks NFS"))
        tap.step("an iSCSI server that is none", lambda: refuse(
            host, "i", "iqn.2026-01.org.example:x", "without a password"))
tap.finish()
