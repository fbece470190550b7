#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kvm-menu's first screen and its Storage screens by keystrokes, on made-up live
systems: a directory with /run in it, and a stand-in for kvm-live-data."""
import json
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from menudriver import ENTER, ESC, MAIN, TOP, Menu, check, finish

PROGRAM = TOP + "/build/userland/kvm-menu"
WORK = tempfile.mkdtemp(prefix="menu-storage-")
LOST = "changes and guests will be lost"


def script(path, text):
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)


# What it was called with, and its standard input, go to the file "calls"; what
# "create", "open" and "use" answer is in the file "answer", and its status.
LIST = {"luks": "yes", "fs": ["ext4", "xfs"], "targets": [
    {"kind": "disk", "target": "/dev/vdb", "size": 20 << 30, "model": "QEMU HARDDISK",
     "content": "vdb1 ntfs \"Windows\", vdb2 ext4 \"KVM-LIVE-DATA\""},
    {"kind": "free", "target": "free:/dev/vdb", "size": 5 << 30, "model": "QEMU HARDDISK",
     "content": "free space, nothing is lost"},
    {"kind": "part", "target": "/dev/vdb2", "size": 10 << 30, "model": "part of /dev/vdb",
     "content": "ext4 \"KVM-LIVE-DATA\""},
    {"kind": "disk", "target": "/dev/vdc", "size": 10 << 30, "model": "QEMU HARDDISK",
     "content": "crypto_LUKS \"KVM-LIVE-DATA\""}]}
STANDIN = """d=$KVM_LIVE_DATA_ROOT
if [ "$1" = list ]; then cat $d/list; exit 0; fi
{ echo "$*"; case "$*" in open*|*--luks*) cat ;; esac; } >>$d/calls
[ ! -e $d/after ] || mv $d/after $d/run/kvm-live/data.json
cat $d/answer
exit $(cat $d/status)
"""


class Live:
    """A live system whose data volume is in this state (None: not yet known)."""

    def __init__(self, state=None, message="A sentence.", live=True, targets=LIST):
        self.dir = tempfile.mkdtemp(dir=WORK)
        os.makedirs(self.dir + "/run/kvm-live")
        os.mkdir(self.dir + "/bin")
        if live:
            os.mkdir(self.dir + "/run/live")
        script(self.dir + "/bin/kvm-live-data", STANDIN)
        script(self.dir + "/bin/kvm-detect", 'echo \'{"verdict": "ready"}\'\n')
        self.put("list", json.dumps(targets))
        self.answer("kvm-live-data: there is no answer.", 1)
        if state:
            self.state(state, message)

    def put(self, name, text):
        with open(f"{self.dir}/{name}.new", "w") as f:
            f.write(text)
        os.rename(f"{self.dir}/{name}.new", f"{self.dir}/{name}")

    def state(self, state, message="A sentence.", name="run/kvm-live/data.json", device="/dev/null",
              encrypted="no"):
        self.put(name, json.dumps({"state": state, "device": device, "fs": "ext4",
                                   "encrypted": encrypted, "mountpoint": self.dir,
                                   "message": message}))

    def answer(self, text, status=0):
        self.put("answer", text + "\n")
        self.put("status", str(status))

    def calls(self):
        with open(self.dir + "/calls") as f:
            return f.read()

    def menu(self):
        m = Menu([PROGRAM, "--connect", "test:///default", "--pool", "default-pool"],
                 env={"KVM_LIVE_DATA_ROOT": self.dir, "PATH": f"{self.dir}/bin:{os.environ['PATH']}"})
        m.see(MAIN)
        return m


def fits(m):
    """A closed frame on the screen, the help row below it."""
    m.settle()
    rows = m.text().split("\n")
    frames = [i for i, row in enumerate(rows) if row.strip().startswith("+--")]
    assert len(frames) >= 2 and frames[-1] < 23 and rows[23].startswith("Up/Down"), m.text()
    assert all(b < 128 for b in m.raw), "not ASCII"


@check("the first screen: verdict, address, where guests are, what next; all rows fit")
def _():
    m = Live("none").menu()
    m.see("KVM: ready", "Guests can run here. Address: ", "Guests are in memory: nothing survives",
          "Next: make a data volume", "Q  Quit the menu")
    fits(m)
    m = Live("in-use").menu()
    m.see("Guests are on the data volume and survive a restart", "free.",
          "Next: install a guest")
    assert "lost" not in m.text(), m.text()
    m = Live(live=False).menu()
    m.see("Guests are on this machine and survive a restart", "Next: install")
    assert "lost" not in m.text(), m.text()


@check("without a volume every screen says that changes will be lost, and power-off asks so")
def _():
    m = Live("none").menu()
    for key in "itgp":
        m.see(LOST)
        m.key(key)
        m.gone(MAIN)
        m.see(LOST)
        m.key("b", MAIN)
    m.key("p", "Restart this host")
    m.key("p", "No data volume: changes and guests will be lost", "Y  Power off")


@check("a volume that is found later shows by itself, and so does one that goes away")
def _():
    s = Live()
    m = s.menu()
    m.see("being looked for")
    s.state("in-use")
    m.see("survive a restart")
    m.gone("being looked for")
    s.state("in-use", device="/dev/gone")
    m.see("The data volume has gone", LOST)
    m.key("t", "attach it again and restart")
    s.put("run/kvm-live/data.json", "{")
    m.see("being looked for")
    s.put("run/kvm-live-started", "")
    m.see("There is no data volume", LOST)


@check("each state has its sentence and its choices")
def _():
    for state, rows, no in (("none", ["Make a data volume"], ["Unlock"]),
                            ("locked", ["Unlock the data volume", "Make a new data volume"], ["Use"]),
                            ("found", ["Use the data volume now"], ["Make a"]),
                            ("broken", ["now that it is repaired", "Make a new"], ["Unlock"]),
                            ("full", ["now that it has room"], ["Unlock"]),
                            ("newer", ["Make a new"], ["Use the"]),
                            ("several", ["Use one of the"], ["Make a"]),
                            ("gone", [], ["Make", "Use", "Unlock"]),
                            ("in-use", [], ["Make", "Use the", "Unlock"])):
        m = Live(state, f"The volume is {state}, because.").menu()
        m.key("t", f"The volume is {state}, because.", *rows)
        assert (LOST in m.text()) == (state != "in-use"), m.text()
        assert not [w for w in no if w in m.text()], (state, m.text())
        fits(m)
        m.key("b", MAIN)


@check("a volume is made: disk, file system, encryption, last question, and it is used")
def _():
    s = Live("none")
    s.answer("Making the file system\nThe volume was made.\nGuests are kept on /dev/vdb1.")
    s.state("in-use", "Kept on /dev/vdb1.", "after")
    m = s.menu()
    m.key("t", "M  Make a data volume")
    m.key("m", "1  /dev/vdb ", "20 GiB  QEMU HARDDISK: vdb1 ntfs", "2  free:/dev/vdb ")
    fits(m)
    m.key("1", "E  ext4", "X  xfs")
    fits(m)
    m.key(ENTER, "Encrypted (LUKS)")
    m.key("n", "/dev/vdb, of 20 GiB (QEMU HARDDISK), becomes the data volume", 'ntfs "Windows"',
          "All that is on it will be lost", "Y  Erase it")
    fits(m)
    m.key("y", "Guests are kept on /dev/vdb1.")
    m.key(ENTER, "Kept on /dev/vdb1. They survive a restart.")
    assert LOST not in m.text(), m.text()
    assert s.calls() == "create /dev/vdb --fs ext4 --yes --use\n", s.calls()


@check("every question of the making goes back and nothing is done")
def _():
    s = Live("none")
    m = s.menu()
    m.key("t", "M  Make a data volume")
    for keys, words in (("m", "1  /dev/vdb "), ("m1", "X  xfs"), ("m1e", "Encrypted"), ("m1en", "Erase it"),
                        ("m1ee", "Passphrase of the data volume")):
        for key in keys:
            m.key(key)
            m.pump(0.3)
        m.see(words)
        m.key(ESC)
        m.see("M  Make a data volume")
    assert not os.path.exists(s.dir + "/calls"), s.calls()


@check("an encrypted XFS volume in free space: the passphrase is asked for twice and not shown")
def _():
    s = Live("none")
    s.answer("The volume was made.")
    m = s.menu()
    m.key("t", "M  Make")
    m.key("m", "2  free:/dev/vdb ")
    m.key("2", "X  xfs")
    m.key("x", "Encrypted (LUKS)")
    m.key("e", "Passphrase of the data volume")
    m.key(ENTER, "The passphrase is empty")
    m.key(ENTER, "Passphrase of the data volume")
    m.key("zq7 jvx" + ENTER, "once more")
    m.key("zq7" + ENTER, "differ")
    m.key(ENTER, "Passphrase of the data volume")
    m.key("zq7 jvx" + ENTER, "once more")
    m.key("zq7 jvx" + ENTER, "A partition of 5 GiB is made in the free space of /dev/vdb",
          "What is on the disk stays", "Y  Make it")
    m.key("y", "The volume was made.")
    assert b"zq" not in m.raw, "the passphrase was shown"
    assert s.calls() == "create free:/dev/vdb --fs xfs --yes --use --luks\nzq7 jvx\n", s.calls()


@check("a volume is unlocked; a wrong passphrase is answered and asked for again")
def _():
    s = Live("locked")
    s.answer("kvm-live-data: the passphrase is wrong.", 1)
    m = s.menu()
    m.key("t", "U  Unlock")
    m.key("u", "Passphrase of the data volume")
    m.key("bad" + ENTER, "The passphrase is wrong.")
    s.answer("Guests are kept on it.")
    s.state("in-use", "Kept.", "after")
    m.key(ENTER, "U  Unlock")
    m.key("u", "Passphrase of the data volume")
    m.key("good" + ENTER, "Guests are kept on it.")
    m.key(ENTER, "Kept. They survive a restart.")
    assert s.calls() == "open\nbad\nopen\ngood\n", s.calls()


@check("what kvm-live-data refuses is shown, and the state stays")
def _():
    s = Live("found")
    s.answer("kvm-live-data: these guests run: g1. Shut them down first.", 1)
    m = s.menu()
    m.key("t", "U  Use")
    m.key("u", "These guests run: g1. Shut them down first.")
    m.key(ENTER, "U  Use", LOST)


@check("of several volumes one is chosen")
def _():
    s = Live("several")
    s.answer("Kept on it.")
    m = s.menu()
    m.key("t", "U  Use one")
    m.key("u", "1  /dev/vdb2 ", "2  /dev/vdc ")
    m.gone("free:")
    m.key("1", "Kept on it.")
    assert s.calls() == "use /dev/vdb2\n", s.calls()
    m.key(ENTER, "U  Use one")
    m.key("u", "1  /dev/vdb2 ")
    m.key("2", "Passphrase of the data volume")
    m.key("good" + ENTER, "Kept on it.")
    assert s.calls() == "use /dev/vdb2\nopen /dev/vdc\ngood\n", s.calls()


@check("an encrypted volume that was found, repaired or made room on is unlocked")
def _():
    for state in ("found", "full", "broken"):
        s = Live()
        s.state(state, encrypted="yes")
        s.answer("Kept on it.")
        m = s.menu()
        m.key("t", "U  Use the data volume")
        m.key("u", "Passphrase of the data volume")
        m.key("good" + ENTER, "Kept on it.")
        assert s.calls() == "open\ngood\n", s.calls()


@check("no disk, a broken list and a missing program are answered")
def _():
    s = Live("none", targets={"luks": "no", "targets": []})
    m = s.menu()
    m.key("t", "M  Make")
    m.key("m", "There is no disk that could be used")
    s.put("list", "{ \"luks\": ")
    m.key(ENTER, "M  Make")
    m.key("m", "There is no disk that could be used")
    s = Live("found")
    os.remove(s.dir + "/bin/kvm-live-data")
    m = s.menu()
    m.key("t", "U  Use")
    m.key("u", "could not be run")


shutil.rmtree(WORK, ignore_errors=True)
finish()
