#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The menu's newer screens in tmux, a real terminal, at 80x24 and 132x43, on libvirt's
test driver. What tmux shows of each is kept in build/reports/screens/.

menu-screens.t tests what the screens do; here a second terminal, with its own idea
of what to redraw on a resize, shows the same.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from menudriver import MAIN, SUMMARY, TOP, Menu, check, finish

PROGRAM = TOP + "/build/userland/kvm-menu"
REPORTS = TOP + "/build/reports/screens"
DIR = tempfile.mkdtemp()
if not shutil.which("tmux"):
    print("1..0 # SKIP tmux is not installed")
    sys.exit(0)


def image(path):
    d = bytearray(400 * 2048)
    d[32768:32774] = b"\x01CD001"
    d[32808:32840] = b"CCCOMA_X64FRE_EN-US_DV9".ljust(32)
    d[32848:32852] = (400).to_bytes(4, "little")
    d[32896:32898] = (2048).to_bytes(2, "little")
    d[33086:33214] = b"MICROSOFT CORPORATION".ljust(128)
    d[34816:34822] = b"\x00CD001"
    d[34823:34846] = b"EL TORITO SPECIFICATION"
    d[36864:36870] = b"\xffCD001"
    with open(path, "wb") as f:
        f.write(d)


image(DIR + "/windows.iso")
with open(DIR + "/detect", "w") as f:
    f.write('#!/bin/sh\necho \'{"verdict": "ready", "evidence": []}\'\n')
os.chmod(DIR + "/detect", 0o755)


class Tmux:
    def __init__(self, cols, rows):
        self.socket = f"{DIR}/tmux-{cols}x{rows}"
        self.run("-f", "/dev/null", "new-session", "-d", "-x", str(cols), "-y", str(rows),
                 f"PATH={TOP}/build/userland:$PATH {PROGRAM} -c test:///default -p default-pool "
                 f"-i {DIR} -d {DIR}/detect")
        self.run("set", "-g", "status", "off")
        self.size(cols, rows)

    def run(self, *args):
        return subprocess.run(["tmux", "-S", self.socket, *args], check=True, text=True,
                              stdout=subprocess.PIPE, env={**os.environ, "LC_ALL": "C"}).stdout

    def size(self, cols, rows):
        self.cols, self.rows = cols, rows
        self.run("resize-window", "-x", str(cols), "-y", str(rows))

    def text(self):
        return self.run("capture-pane", "-p")

    def see(self, *words, timeout=20):
        end = time.monotonic() + timeout
        while True:
            text = self.text()
            missing = [word for word in words if word not in text]
            if not missing:
                return text
            if time.monotonic() > end:
                raise AssertionError(f"not on the screen: {missing}\n{text}")
            time.sleep(0.05)

    def key(self, keys, *words):
        Menu.typed += 1
        self.run("send-keys", *([keys] if len(keys) > 1 and keys in ("Enter", "Escape", "C-c")
                                else ["-l", keys]))
        if words:
            self.see(*words)

    def gone(self, word):
        end = time.monotonic() + 20
        while word in self.text():
            assert time.monotonic() < end, f"still on the screen: {word}"
            time.sleep(0.05)

    def fits(self):
        """A whole frame, the row of keys below it, and nothing beyond the edge."""
        end = time.monotonic() + 10
        while True:
            lines = self.text().rstrip("\n").split("\n")
            frames = [i for i, line in enumerate(lines) if line.strip().startswith("+--")]
            if len(lines) == self.rows and len(frames) == 2 and lines[-1].startswith("Up/Down") \
                    and all(line.isascii() and len(line) <= self.cols for line in lines):
                return lines
            assert time.monotonic() < end, "it does not fit\n" + "\n".join(lines)
            time.sleep(0.05)

    def keep(self, name):
        folder = f"{REPORTS}/{self.cols}x{self.rows}"
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{name}.txt", "w") as f:
            f.write("\n".join(self.fits()) + "\n")

    def end(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], check=False,
                       stderr=subprocess.DEVNULL)


# name of the screen, the key that leads to it, words on it; "back" leads back
INSTALL = [
    ("iso", "i", ["Choose an ISO", "windows.iso"]),
    ("name", "1", ["Name of the guest", "win11"]),
    ("disk", "Enter", ["Recognised: Microsoft Windows 11", "new, 64G, qcow2"]),
    ("disk-format", "f", ["All grow on demand", "raw"]),
    ("", "Escape", ["Go on with: new"]),
    ("machine", "g", ["Machine of the guest", "also wants"]),
    ("firmware", "f", ["What starts the guest", "Secure Boot"]),
    ("", "Escape", ["Machine of the guest"]),
    ("no-tpm", "p", ["swtpm-tools"]),
    ("", "Escape", ["Machine of the guest"]),
    ("network", "g", ["Network of the guest", "Bridge"]),
    ("bridge", "t", ["Name of the bridge"]),
    ("", "Escape", ["Network of the guest"]),
    ("summary", "n", [SUMMARY, "Firmware         UEFI", "Nothing is made before"]),
]
GUEST = [
    ("guests", "g", ["Choose a guest"]),
    ("guest", "1", ["Guest test: running", "Snapshots", "Clone"]),
    ("paused", "p", ["is paused"]),
    ("", "Escape", ["Guest test: paused"]),
    ("goes-on", "p", ["goes on"]),
    ("", "Escape", ["Guest test: running"]),
    ("settings", "h", ["Settings of the guest", "Boot order"]),
    ("memory", "m", ["Memory of the guest"]),
    ("memory-set", "64\r", ["64 MiB of memory, from the next start on"]),
    ("", "Escape", ["Memory           64 MiB"]),
    ("boot-order", "o", ["tries to start from first"]),
    ("", "Escape", ["Settings of the guest"]),
    ("disks", "k", ["Choose a disk to detach"]),
    ("disk-new", "n", ["Create a disk", "test-2"]),
    ("", "Escape", ["Choose a disk to detach"]),
    ("disk-detach", "1", ["Take the disk vda"]),
    ("", "Escape", ["Choose a disk to detach"]),
    ("", "Escape", ["Settings of the guest"]),
    ("cd", "i", ["In the drive: no drive"]),
    ("", "Escape", ["Settings of the guest"]),
    ("", "Escape", ["Guest test: running"]),
    ("snapshots", "t", ["Make a new snapshot"]),
    ("snapshot-name", "n", ["Name of the snapshot"]),
    ("snapshot-made", "s1\r", ["The snapshot s1 was made"]),
    ("", "Escape", ["1  s1"]),
    ("snapshot", "1", ["Revert: take the guest back"]),
    ("snapshot-revert", "r", ["Take the guest test back"]),
    ("", "Escape", ["1  s1"]),
    ("", "Escape", ["Guest test: running"]),
    ("clone-refused", "l", ["so its disks change"]),
    ("", "Escape", ["Guest test: running"]),
    ("force-off", "f", ["Cut the power"]),
    ("", "y", ["Guest test: shut off"]),
    ("clone-name", "l", ["Name of the new guest"]),
    ("", "Escape", ["Guest test: shut off"]),
    ("delete", "d", ["To it belong:", "1 snapshot", "Keep the disks"]),
    ("", "Escape", ["Guest test: shut off"]),
]


def walk(t, steps):
    t.see(MAIN)
    for name, key, words in steps:
        if key.endswith("\r"):
            t.key(key[:-1])
            t.key("Enter", *words)
        else:
            t.key(key, *words)
        if name:
            t.keep(name)


for cols, rows in ((80, 24), (132, 43)):
    for what, steps in (("an installation's steps", INSTALL), ("a guest's screens", GUEST)):
        @check(f"{what} in tmux at {cols}x{rows}")
        def _():
            t = Tmux(cols, rows)
            try:
                walk(t, steps)
            finally:
                t.end()


@check("in tmux: larger, smaller, far too small, and back")
def _():
    t = Tmux(80, 24)
    try:
        t.see(MAIN)
        t.key("g", "Choose a guest")
        t.key("1", "Guest test: running")
        for cols, rows in ((132, 43), (100, 30), (80, 24)):
            t.size(cols, rows)
            t.see("Guest test: running")
            t.fits()
        t.size(20, 5)
        t.see("20x5", "small", "Enlarge", "80x24", "Ctrl-C")
        t.size(80, 24)
        t.see("Guest test: running")
        t.fits()
        t.key("C-c", "Choose a guest")
        t.key("C-c", MAIN)
    finally:
        t.end()


finish()
