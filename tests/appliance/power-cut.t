#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The power is cut at random moments while the menu makes a disk, installs a guest,
changes a guest's settings or makes a snapshot. After each cut the appliance boots,
finds its data volume, and has all that was confirmed; what was under way is there
whole or not at all.

QEMU is killed with all that the appliance had not yet written still in the emulated
memory, and started anew on the same disk file.

  power-cut.t [count [seed]]      (default: 50 cuts, seed by the clock)
"""

import os
import random
import re
import shutil
import signal
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from appliance import (CD, ISO, KEPT, SLOW, Host, choose_guest, create_disk, install_guest,
                       read_token, run_guest)
from vm import TOP, Failure, Tap

IMAGES = "/var/lib/libvirt/images/"
DISK = os.path.join(TOP, "build/tests/power-cut.img")
tap = Tap()


class Cut(Exception):
    """The moment has come."""


class Machine(Host):
    """With a data volume; cut_at is when its power goes."""

    def __init__(self):
        super().__init__("power-cut", "EPYC,+svm,+npt", medium=CD + [
            "-drive", "if=virtio,format=raw,cache=writeback,file=" + DISK])
        self.cut_at = None

    def _look(self):
        if self.cut_at and time.time() >= self.cut_at:
            raise Cut()

    def refresh(self, seconds=0.2):
        self._look()
        return super().refresh(seconds)

    def expect(self, pattern, timeout=60):
        """As the base's, in short turns."""
        end = time.time() + timeout
        while True:
            self._look()
            try:
                return super().expect(pattern, 0.5)
            except Failure:
                if time.time() >= end or not self.child.isalive():
                    raise

    def start(self):
        """To the menu, with the data volume in use."""
        self.boot()
        self.see(KEPT, SLOW)


class Kept:
    """What was confirmed: nothing of it may be lost."""

    def __init__(self):
        self.disks = {"base.qcow2"}
        self.guests = {"base"}
        self.snapshots = set()
        self.memory = {256}             # of the guest base: what it may be


def new_disk(host, kept, n):
    create_disk(host, "disk%d" % n, "64M", random.choice(("qcow2", "qcow")))
    kept.disks.add("disk%d" % n)


def new_guest(host, kept, n):
    create_disk(host, "guest%d" % n, "256M", "qcow2")
    kept.disks.add("guest%d" % n)
    install_guest(host, "guest%d" % n, "guest%d.qcow2" % n, "token%d" % n)
    kept.guests.add("guest%d" % n)
    read_token(host, "token%d" % n)


def new_memory(host, kept, n):
    choose_guest(host, "base", "shut off")
    size = 200 + n
    kept.memory.add(size)
    host.key("h", r"Memory +\d+ MiB")
    host.field("m", "Memory of the guest", str(size), "has %d MiB of memory" % size)
    kept.memory = {size}
    host.main()


def new_snapshot(host, kept, n):
    choose_guest(host, "base", "shut off")
    host.key("t", "Make a new snapshot", SLOW)
    host.key("n", "Name of the snapshot")
    host.key("\x15snap%d\r" % n, "The snapshot snap%d was made" % n, SLOW)
    kept.snapshots.add("snap%d" % n)
    host.main()


def check(host, kept):
    """Everything that was confirmed is there, and nothing is half made."""
    host.shell()
    host.all_started()
    broken = host.run("systemctl --failed --no-legend --plain")
    disks = host.run("ls " + IMAGES).split()
    bad = host.run("cd %s && for f in *.qcow2; do qemu-img check -q $f || echo $f: $?; done; "
                   "for f in *.qcow; do [ ! -e $f ] || qemu-img info $f >/dev/null || echo $f; done" % IMAGES)
    guests = host.run("virsh -c qemu:///system list --all --name").split()
    memory = host.run("virsh -c qemu:///system dominfo base | sed -n 's/Max memory: *//p'")
    snapshots = host.run("virsh -c qemu:///system snapshot-list base --name").split()
    host.leave_shell()
    names = {re.sub(r"\.qcow2?$", "", d) for d in disks} | set(disks)
    lost = (kept.disks - names) | (kept.guests - set(guests)) | (kept.snapshots - set(snapshots))
    if lost or broken:
        raise Failure("lost: %s; failed units: %s\ndisks %s\nguests %s\nsnapshots %s" % (
            " ".join(sorted(lost)), broken, disks, guests, snapshots))
    if int(memory.split()[0]) // 1024 not in kept.memory:
        raise Failure("the guest base has %s, not one of %s MiB" % (memory, kept.memory))
    # Leaked clusters (3) cost space, and nothing else.
    if [line for line in bad.splitlines() if not line.endswith(": 3")]:
        raise Failure("damaged disks:\n" + bad)


def tidy(host, kept):
    """Room for the next: what is not the base goes."""
    host.shell()
    host.run("for g in $(virsh -c qemu:///system list --all --name); do [ $g = base ] || "
             "{ virsh -c qemu:///system destroy $g; virsh -c qemu:///system undefine --nvram $g; }; done; "
             "for s in $(virsh -c qemu:///system snapshot-list base --name); do "
             "virsh -c qemu:///system snapshot-delete base $s; done; "
             "cd %s && for f in *; do [ $f = base.qcow2 ] || rm -f $f; done; "
             "virsh -c qemu:///system pool-refresh default; sync" % IMAGES)
    host.leave_shell()
    kept.disks, kept.guests, kept.snapshots = {"base.qcow2"}, {"base"}, set()


WORK = ((new_disk, "a disk is made", 6), (new_memory, "settings are changed", 6),
        (new_snapshot, "a snapshot is made", 8), (new_guest, "a guest is installed", 45))


def prepare():
    """A data volume with the guest base, switched off."""
    with open(DISK, "wb") as disk:
        disk.truncate(6 << 30)
    with Machine() as host:
        host.boot()
        host.make_volume(False)
        host.see(KEPT)
        create_disk(host, "base", "256M", "qcow2")
        install_guest(host, "base", "base.qcow2", "base-token")
        read_token(host, "base-token")
        host.send("\x1d")
        host.main()
        host.shell()
        host.run("virsh -c qemu:///system destroy base; sync")
        host.leave_shell()
        host.power_off()


def cut(host, kept, n):
    """Work number n, interrupted. Returns how it was."""
    work, name, usual = WORK[n % len(WORK)]
    tidy(host, kept)
    host.main()
    started = time.time()
    host.cut_at = started + random.uniform(0.3, 1.2 * usual)
    try:
        work(host, kept, n)
        when = "just after it was confirmed"
    except Cut:
        when = "%.1f s into it" % (time.time() - started)
    host.child.kill(signal.SIGKILL)
    return "cut %d, while %s, %s" % (n, name, when)


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    random.seed(seed)
    tap.note("seed %d" % seed)
    kept = Kept()
    if not tap.step("a data volume with a guest is made", prepare):
        return
    how = None
    for n in range(1, count + 2):
        try:
            with Machine() as host:
                host.start()
                if how:
                    check(host, kept)
                    if n % 5 == 0:
                        run_guest(host, "base", "base-token")
                    tap.ok(True, how + ": nothing is lost")
                how = cut(host, kept, n) if n <= count else None
        except Failure as error:
            tap.ok(False, how or "cut %d" % n, error)
            shutil.copy(DISK, DISK + ".failed")
            return
    os.unlink(DISK)


if not os.path.exists(ISO):
    print("1..0 # SKIP %s is missing: make iso" % ISO)
    sys.exit(0)
main()
tap.finish()
