#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kvm-menu at 80x24 by keystrokes, on libvirt's test driver.

Every screen is opened on three types of terminal; each must fit, be ASCII, and
go back. Wrong input must be answered with a sentence and lose nothing.
"""
import concurrent.futures
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import menudriver
from menudriver import CTRL_C, CTRL_L, CTRL_U, ENTER, ESC, MAIN, SUMMARY, TAB, Menu, check

PROGRAM = menudriver.sanitized()
DIR = tempfile.mkdtemp()
os.chmod(DIR, 0o755)


def iso(name, sectors=400, claimed=400, boot=True, label=b"TESTLABEL", publisher=b""):
    d = bytearray(sectors * 2048)
    if sectors > 18:
        d[32768:32774] = b"\x01CD001"
        d[32808:32840] = label.ljust(32)
        d[33086:33214] = publisher.ljust(128)
        d[32848:32852] = claimed.to_bytes(4, "little")
        d[32896:32898] = (2048).to_bytes(2, "little")
        if boot:
            d[34816:34822] = b"\x00CD001"
            d[34823:34846] = b"EL TORITO SPECIFICATION"
        d[36864:36870] = b"\xffCD001"
    path = f"{DIR}/{name}"
    with open(path, "wb") as f:
        f.write(d)
    return path


def detect(verdict, fix):
    """A stand-in for kvm-detect that gives this verdict."""
    path = f"{DIR}/detect-{verdict}"
    with open(path, "w") as f:
        f.write('#!/bin/sh\ncat <<"E"\n{"verdict": "%s", "vendor": "amd", "extension": "svm",'
                '"module": "kvm_amd", "explanation": "Because of %s.", "fix": %s,'
                '"evidence": [{"source": "CPUID 0x80000001 ECX", "value": "bit 2 is set"},'
                '{"source": "/dev/kvm", "value": null}]}\nE\n' % (verdict, verdict, fix))
    os.chmod(path, 0o755)
    return path


READY = detect("ready", "null")
FIRMWARE_OFF = detect("firmware-off", '"Enable SVM Mode in the firmware setup."')
iso("good.iso")
iso("cut.iso", 300)
iso("drivers.iso", boot=False)
iso("zdebian.iso", label=b"Debian 12.5.0 amd64 n")
iso("windows.iso", label=b"CCCOMA_X64FRE_EN-US_DV9", publisher=b"MICROSOFT CORPORATION")


def qcow2(name, size=3 << 30, backing=0, crypt=0, features=0):
    """The header of a disk image, which is what the menu reads."""
    d = b"QFI\xfb" + b"".join(n.to_bytes(b, "big") for n, b in (
        (3, 4), (backing, 8), (0, 4), (16, 4), (size, 8), (crypt, 4), (1, 4), (0, 8), (0, 8), (0, 4),
        (0, 4), (0, 8), (features, 8)))
    with open(f"{DIR}/{name}", "wb") as f:
        f.write(d.ljust(65536, b"\0"))


CLOUD = "debian-12-generic-amd64.qcow2"
subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", f"{DIR}/{CLOUD}", "3G"], check=True)
qcow2("layer.qcow2", backing=512)
with open(f"{DIR}/letter.iso", "w") as f:
    f.write("Dear reader\n" * 10000)


def menu(term="xterm", extra=(), verdict=READY, **kw):
    m = Menu([PROGRAM, "--connect", "test:///default", "--pool", "default-pool",
              "--iso-dir", DIR, "--detect", verdict, *extra], term=term,
             **{"env": {"HOME": DIR}, **kw})
    m.see(MAIN)
    return m


def fits(m):
    """A closed frame on the screen, the help row below it, only ASCII sent."""
    m.settle()
    text = m.text()
    rows = text.split("\n")
    frames = [i for i, row in enumerate(rows) if row.strip().startswith("+--")]
    assert len(frames) >= 2 and frames[-1] < len(rows) - 1, "no whole frame\n" + text
    assert rows[-1].startswith("Up/Down"), "no help row\n" + text
    assert all(b < 128 for b in m.raw), "not ASCII"


# Each screen: the keys that lead there from the main menu, and words on it. Every
# screen on the way is in the list, before those that it leads to.
SCREENS = [
    ("h", ["KVM verdict: ready", "Evidence", "bit 2 is set"]),
    ("d", ["Choose a disk to delete it", "Create a disk"]),
    ("dc", ["Allocate", "on demand"]),
    ("dcn", ["Name of the disk"]),
    ("dcs", ["Size of the disk"]),
    ("dcf", ["All grow on demand"]),
    ("t", ["this machine's own disks"]),
    ("tp", ["Where disks of guests can be", "default-pool"]),
    ("tpa", ["What kind?"]),
    ("tpan", ["Name or address of the server"]),
    ("tpal", ["Choose one, or type another", "testvg1"]),
    ("tpalt", ["Name of the volume group"]),
    ("tpal1", ["Name of the pool on this host"]),
    ("tp1", ["Check that it answers"]),
    ("tp1r", ["the one that this menu keeps disks in"]),
    ("l", ["Images are kept in", "Download an image"]),
    ("ld", ["Address of the ISO"]),
    ("i", ["Choose an ISO", "good.iso", "TRUNCATED", "NOT USABLE"]),
    ("it", ["Full path of the ISO"]),
    ("i1", ["is truncated"]),
    ("i3", ["Name of the guest"]),
    ("i3\r", ["Disk of the guest", "Go on with: new"]),
    ("i3\rn", ["Size of the disk"]),
    ("i3\rf", ["All grow on demand"]),
    ("i3\rp", ["Where is the disk to be?", "default-pool"]),
    ("i3\rg", ["Machine of the guest", "is not known", "Acceleration"]),
    ("i3\rgm", ["Memory of the guest"]),
    ("i3\rgc", ["Number of processors"]),
    ("i3\rgf", ["What starts the guest", "Secure Boot"]),
    ("i3\rgp", ["program swtpm"]),
    ("i3\rgv", ["network card that the guest sees"]),
    ("i3\rgg", ["Network of the guest", "NAT"]),
    ("i3\rggt", ["Name of the bridge"]),
    ("i3\rggn", [SUMMARY, "Firmware", "Nothing is made before"]),
    ("i6", ["Name of the guest"]),
    ("i6\r", ["Who answers the installer?"]),
    ("i6\ru", ["asks nothing", "root has this password"]),
    ("i6\rup", ["Password for the new system"]),
    ("i6\ruh", ["Name of the new system in its network"]),
    ("i7", ["Name of the guest"]),
    ("i7\r", ["Login of the new system", "SSH key"]),
    ("i7\rg", ["Nobody could log in"]),
    ("i7\ru", ["Name of the user"]),
    ("i7\rp", ["Password for the new system"]),
    ("i7\rh", ["Name of the new system in its network"]),
    ("i7\rk", ["Public SSH key"]),
    ("i8", ["only a part of a disk image"]),
    ("g", ["Choose a guest", "running"]),
    ("g1", ["Settings: name", "Guest test: running", "Clone"]),
    ("g1f", ["Cut the power of the guest test"]),
    ("g1e", ["Exits by reason", "UUID"]),
    ("g1d", ["is running"]),
    ("g1l", ["so its disks change"]),
    ("g1t", ["Choose a snapshot", "Make a new snapshot"]),
    ("g1tn", ["Name of the snapshot"]),
    ("g1h", ["Settings of the guest", "Boot order", "Autostart"]),
    ("g1hn", ["only one that is off"]),
    ("g1hm", ["Memory of the guest"]),
    ("g1hc", ["Number of processors"]),
    ("g1hk", ["Disks of the guest", "vda"]),
    ("g1hkn", ["Allocate", "test-2"]),
    ("g1hka", ["There is no disk that no guest has"]),
    ("g1hk1", ["Take the disk vda"]),
    ("g1hi", ["CD drive of the guest", "no drive"]),
    ("g1hii", ["Choose an ISO"]),
    ("g1hie", ["There is no disc"]),
    ("g1ht", ["Network of the guest"]),
    ("g1ho", ["tries to start from first"]),
    ("p", ["Restart this host"]),
    ("pp", ["1 guest is running: test"]),
    ("q", ["Leave the menu?"]),
]
TITLES = {"": MAIN, **{keys: words[0] for keys, words in SCREENS}}


def walk(term, back, cols=80, rows=24):
    """Through all of them, and back to where the ways part."""
    m = menu(term, cols=cols, rows=rows)
    at, typed = "", 0
    for keys, words in [*SCREENS, ("", [MAIN])]:
        while not keys.startswith(at):
            m.key(back)
            m.gone(TITLES[at])
            at = at[:-1]
            m.see(TITLES[at])
            typed += 1
        if keys:
            assert keys[:-1] == at, f"no way to {keys!r}"
            m.key(keys[-1], *words)
            typed += 1
            fits(m)
            at = keys
    m.key("q", "Leave the menu?")
    m.key("y")
    assert m.ended() == 0, "exit status"
    return typed


# Most of a walk is waiting, for Esc most of all: they go at once.
WALKS = [("linux", ESC, "Esc", 80, 24), ("xterm", CTRL_C, "Ctrl-C", 132, 43),
         ("vt100", CTRL_C, "Ctrl-C", 80, 24), ("vt220", CTRL_C, "Ctrl-C", 80, 24)]
with concurrent.futures.ThreadPoolExecutor() as pool:
    walks = [pool.submit(walk, term, key, cols, rows) for term, key, _, cols, rows in WALKS]
for (term, _, name, cols, rows), future in zip(WALKS, walks):
    check(f"every screen fits {cols}x{rows}, is ASCII, and goes back by {name}: {term}")(future.result)


@check("a disk is created from typed name and size, then listed and deleted")
def _():
    m = menu()
    for fmt, key in (("qcow", "1"), ("raw", "r")):
        m.key("d", "Create a disk")
        m.key("c", "Allocate")
        m.field("n", "Name of the disk", "d1", "Name             d1")
        m.field("s", "Size of the disk", "2G", "Size             2G")
        m.key("f", "Disk format")
        m.key(key, "Format           " + fmt)
        m.key("c", "The disk was created", "d1." + fmt)
        m.key("b", "1  d1." + fmt, "2 GiB")
        m.key("1", f"Delete the disk d1.{fmt}?")
        m.key("n", "1  d1." + fmt)
        m.key("1", f"Delete the disk d1.{fmt}?")
        m.key("y")
        m.gone("d1." + fmt)
        m.key("b", MAIN)


BAD_SIZES = [("", "not a whole number"), ("four", "not a whole number"), ("4", "no unit"),
             ("0G", "too small"), ("100T", "too large"), ("-4G", "not a whole number"),
             ("99999999999999999999G", "too large")]


@check("a wrong disk size is answered and the field keeps it")
def _():
    m = menu()
    for key in "dcs":
        m.key(key)
        m.pump(0.2)
    m.see("Size of the disk")
    for text, words in BAD_SIZES:
        # replaces what is there; an empty field needs Ctrl-U
        m.key((text or menudriver.CTRL_U) + ENTER, words)
        m.key("b", "Size of the disk")
        m.gone("Back>\n   |  " + words)
    m.key("3G" + ENTER, "Size             3G")


@check("odd names are answered, for disks and guests")
def _():
    m = menu()
    for keys, prompt, last in (("dcn", "Name of the disk", "Name             fine-1.a"),
                               ("i3", "Name of the guest", "Disk of the guest")):
        for key in keys:
            m.key(key)
            m.pump(0.2)
        m.see(prompt)
        for name in ("a b", "../x", "a'b", "<x>", "a&b", "x" * 51, "-x"):
            m.key(name + ENTER, "he name ")
            m.see("<Back>")
            m.key("b", prompt)
        m.key("fine-1.a" + ENTER, last)
        m.key("b")
        m.key(ESC)
        if keys[0] == "i":
            m.key(ESC)
        m.see(MAIN)


@check("a disk that exists already stays, and one that cannot fit is not made")
def _():
    m = menu()
    m.key("d", "Create a disk")
    m.create_disk("twin")
    m.key("b", "twin.qcow2")
    m.create_disk("twin", "exists already")
    m.key("b", "Allocate")
    m.field("n", "Name of the disk", "big", "Name             big")
    m.field("s", "Size of the disk", "60T", "Size             60T")
    m.key("c", "may grow to 60 TiB")
    m.key("n", "Allocate")
    m.key("a", "all space now")
    m.key("c", "does not fit")
    m.key("b", "all space now")
    m.key("f", "Disk format")
    m.key("r", "Format           raw", "on demand")
    m.key("a", "always grow on demand")
    m.key("b", "Allocate")
    m.key("b", "1  twin.qcow2")
    assert "big" not in m.text(), m.text()


@check("ISO images that are missing, cut, wrong or relative are answered")
def _():
    m = menu()
    m.key("i", "Choose an ISO")
    for path, words in ((f"{DIR}/none.iso", "There is no file"), (f"{DIR}/cut.iso", "truncated"),
                        (f"{DIR}/letter.iso", "neither an ISO image nor"), (DIR, "is a folder"),
                        ("x.iso", "not a full path"), ("/dev/null", "neither a file")):
        m.choose_iso(path, words)
        m.key("b", "Choose an ISO", "good.iso")


@check("numbers out of range are answered: memory and CPUs")
def _():
    m = menu()
    m.to_machine("n1", "3")
    m.key("m", "Memory of the guest")
    for text, words in (("x", "not a whole number"), ("1", "too little"),
                        ("15T", "more memory than this host"), ("99T", "too large")):
        m.key(text + ENTER, words)
        m.key("b", "Memory of the guest")
    m.key("64" + ENTER, "64 MiB")
    m.key("c", "Number of processors")
    for text, words in (("0", "at least 1"), ("999999", "more processors"),
                        ("two", "not a whole number")):
        m.key(text + ENTER, words)
        m.key("b", "Number of processors")
    m.key("2" + ENTER, "CPUs             2")


@check("a known ISO presets the machine, and what is missing for it is said")
def _():
    m = menu()
    m.key("i", "5  windows.iso")
    m.key("5", "Name of the guest", "win11")
    m.key(ENTER, "Recognised: Microsoft Windows 11", "new, 64G, qcow2")
    m.key("g", "Machine of the guest", "Microsoft Windows 11 also wants:", "a TPM",
          "Firmware         UEFI", "SATA and e1000e")
    m.key("p", "swtpm-tools")
    m.key("b", "Machine of the guest")
    m.key("f", "What starts the guest")
    m.key("s", "no firmware with Secure Boot")
    m.key("b", "Machine of the guest")
    m.field("m", "Memory of the guest", "100", "Memory           100 MiB", "more memory")
    m.key("v", "network card")
    m.key("i", "IDE and rtl8139")
    m.key("f", "What starts the guest")
    m.key("s", "Old systems")
    m.key("b", "Machine of the guest")
    m.key("b", "Disk of the guest")
    m.key("b", "Name of the guest", "win11")
    m.key(ESC, "Choose an ISO")
    m.key("5", "Name of the guest")     # the same one again: nothing is set back
    m.key("mine" + ENTER, "Disk of the guest")
    m.key("g", "Memory           100 MiB")
    m.key("b", "Disk of the guest")
    m.key("b", "Name of the guest")
    m.key(ESC, "Choose an ISO")
    m.key("3", "Name of the guest", "mine")
    m.key(ENTER, "Disk of the guest")
    m.key("g", "This ISO is not known", "Firmware         BIOS", "virtio: fast")


@check("an installer that libosinfo can answer is installed unattended, if that is chosen")
def _():
    m = menu()
    m.key("i", "6  zdebian.iso")
    m.key("6", "Name of the guest", "debian12")
    m.key("deb1" + ENTER, "Who answers the installer?")
    m.key("h", "Disk of the guest")
    m.key("b", "Who answers the installer?")
    m.key("u", "The installer of Debian 12 then asks nothing", "Host name        deb1")
    m.key("g", "Nobody could log in")
    m.key("b", "asks nothing")
    m.set_password("zq7-secret")
    m.key("b", "Who answers the installer?")
    m.key("u", "asks nothing")
    m.key("g", "Disk of the guest")
    m.key("g", "Machine of the guest")
    m.key("g", "Network of the guest")
    m.key("0", SUMMARY, "Installer        unattended")
    m.key("l", "Who answers the installer?")
    m.key("h", SUMMARY, "Installer        asks you")
    m.key("l", "Who answers the installer?")
    m.key("u", "asks nothing")
    m.key("g", SUMMARY, "Installer        unattended")
    m.key("i", "Choose an ISO")
    m.key("3", SUMMARY)
    assert "unattended" not in m.text(), m.text()
    m.key("i", "Choose an ISO")
    m.key("5", SUMMARY)
    assert "Installer " not in m.text(), m.text()       # Windows wants a product key


KEY = "ssh-ed25519 " + "A" * 68 + " me@home"


@check("a cloud image asks for a login, presets its system, and its summary shows it all")
def _():
    m = menu()
    m.key("i", "7  " + CLOUD, "disk of 3 GiB")
    m.key("7", "Name of the guest", "debian12")
    m.key("web_1." + ENTER, "Login of the new system", "Host name        web-1", "User             admin")
    m.key("u", "Name of the user")
    m.key("Joe" + ENTER, "begins with a lower case letter")
    m.key("b", "Name of the user")
    m.key(CTRL_U + "root" + ENTER, "ordinary one")
    m.key("b", "Name of the user")
    m.key(CTRL_U + "joe" + ENTER, "User             joe")
    m.field("h", "in its network", "-x", "ends with none of these")
    m.key("b", "in its network")
    m.key(CTRL_U + "web7" + ENTER, "Host name        web7")
    m.field("k", "Public SSH key", "ssh-rsa no", "not a public SSH key")
    m.key("b", "Public SSH key")
    m.key(CTRL_U + KEY + ENTER, "SSH key          ssh-ed25519 AAAA")
    m.field("p", "Password for the new system", "short", "too short")
    m.key("b", "Password for the new system")
    m.key("zq7 secret" + ENTER, "no spaces")
    m.key("b", "Password for the new system")
    m.key("zq7-secret" + ENTER, "once more")
    m.key("zq7-secre" + ENTER, "differ")
    m.key("b", "Password for the new system")
    m.key("zq7-secret" + ENTER, "once more")
    m.key("zq7-secret" + ENTER, "Password         set")
    m.key("g", "Recognised: Debian 12", "a copy of the image", "the system grows into it")
    m.key("b", "Login of the new system", "User             joe")
    m.key("b", "Name of the guest")
    m.key(ENTER, "Login of the new system", "Password         set")
    m.key("g", "Disk of the guest")
    m.field("n", "Size of the disk", "2G", "Go on with: new, 2G")
    m.key("g", "This is what Debian 12 needs", "virtio: fast")
    m.key("g", "Network of the guest")
    m.key("0", "Start the guest", "Cloud image      " + DIR[:20], "Login            joe, with a password and an SSH key")
    m.key("s", "The disk on the image has 3 GiB")
    m.key("b", "Start the guest")
    m.new_disk("3G", "Start the guest")
    m.key("s", "could not be filled from the image")     # the test driver makes no files
    m.key("b", "Start the guest")
    m.key("l", "Login of the new system")
    m.key("b", "Start the guest")
    m.key("b", "Network of the guest")
    for screen in ("Machine of the guest", "Disk of the guest", "Login of the new system"):
        m.key("b", screen)
    assert b"zq7" not in m.raw, "the password was shown"
    m.key("b", "Name of the guest")
    m.key(ESC, "Choose an ISO")
    m.key("b", MAIN)
    m.key("d", "Storage pool")
    assert "web_1" not in m.text(), m.text()


@check("the ISOs of Debian 13's releases are recognised, by our addition to the database")
def _():
    added = DIR + "/osinfo/os/debian.org/debian-13.d"
    os.makedirs(added)
    shutil.copy(menudriver.TOP + "/userland/menu/debian-13.xml", added)
    for label in (b"Debian 13.2.0 amd64 n", b"Debian 13.0.0 amd64 1"):
        path = iso("trixie.iso", label=label)
        said = subprocess.run(["kvm-isoinfo", path], check=False, text=True, stdout=subprocess.PIPE,
                              env={**os.environ, "OSINFO_LOCAL_DIR": DIR + "/osinfo"}).stdout
        os.unlink(path)
        assert '"id": "debian13"' in said and '"unattended": 1' in said, said


@check("without kvm-isoinfo nothing is preset, and all goes on")
def _():
    m = menu(env={"PATH": "/usr/bin:/bin"})
    m.to_summary("plain", "5")
    m.see("A letter changes its row", "Firmware         BIOS")


@check("a guest is defined and started from the summary, then forced off and deleted")
def _():
    m = menu()
    m.to_summary("test", "3", network="0")
    m.key("s", "There is a guest test already")
    m.key("b", SUMMARY)
    m.field("n", "Name of the guest", "t1", "Name             t1")
    m.see("Network          none")
    m.key("f", "What starts the guest")
    m.key("u", "Firmware         UEFI")
    m.key("v", "SATA and")
    m.key("i", "IDE and rtl8139")
    m.key("t", "Network of the guest")
    m.key("t", "Name of the bridge")
    m.key("nosuch0" + ENTER, "There is no bridge of that name")
    m.key("b", "Name of the bridge")
    m.key("../x" + ENTER, "not the name of a bridge")
    m.key("b", "Name of the bridge")
    m.key(ESC, "Network of the guest")
    m.key("b", SUMMARY, "Network          none")
    m.key("i", "Choose an ISO")
    m.key("3", SUMMARY, "ISO              " + DIR[:20])
    m.key("s", "console of the guest could not be opened")
    m.key("b", MAIN)
    m.key("g", "1  t1", "2  test")
    m.key("1", "Guest t1: running")
    m.force_off("t1")
    m.key("e", "t1.qcow2")
    m.key("b", "Guest t1: shut off")
    m.delete_guest("t1", "d", "Choose a guest")
    m.gone("t1")
    m.key("b", MAIN)
    m.key("d", "Storage pool")
    assert "t1" not in m.text(), m.text()


@check("a new guest's disk name that is taken is answered before anything is made")
def _():
    m = menu()
    m.key("d", "Create a disk")
    m.create_disk("t2")
    m.key("b", "1  t2.qcow2")
    m.key("b", MAIN)
    m.to_summary("t2", "3")
    m.key("s", "There is a disk t2.qcow2 in the pool")
    m.key("b", SUMMARY)
    m.key("d", "1  t2.qcow2")
    m.key("1", "existing, t2.qcow2")
    m.key("s", "console of the guest could not be opened")
    m.key("b", MAIN)
    m.key("d", "1  t2.qcow2")
    m.key("1", "belongs to the guest t2")
    m.key("b", "1  t2.qcow2")


@check("an ISO without a boot record is questioned")
def _():
    m = menu()
    m.to_summary("t3", "2")
    m.key("s", "no boot record")
    m.key("n", SUMMARY)


def off_guest(m, name):
    """A guest with one disk, shut off; ends in its menu."""
    m.to_summary(name, "3", size="20M")
    m.key("s", "console of the guest could not be opened")
    m.key("b", MAIN)
    m.choose_guest(name)
    m.force_off(name)


@check("a pool is added, holds a guest's disk, is checked and removed; what is in use stays")
def _():
    m = menu()
    m.key("t", "Storage pools")
    m.key("p", "Where disks of guests can be")
    m.key("a", "What kind?")
    m.key("n", "Name or address of the server")
    m.key("a b" + ENTER, "only letters, digits")
    m.key("b", "Name or address of the server")
    m.key(CTRL_U + "nas.lan" + ENTER, "Choose one, or type another", "1  /testshare")
    m.key("t", "Folder that the server exports")
    m.key("guests" + ENTER, "begins with /")
    m.key("b", "Folder that the server exports")
    m.key(CTRL_U + "/guests" + ENTER, "Name of the pool on this host", "nfs")
    m.key("default-pool" + ENTER, "a pool of that name already")
    m.key("b", "Name of the pool on this host")
    m.key(CTRL_U + "nas1" + ENTER, "The pool nas1 is open")
    m.key("b", "2  nas1", "free of")
    m.key("2", "NFS: a folder of a file server, server nas.lan", "In /var/lib/libvirt/pools/nas1")
    m.key("c", "The pool nas1 answers", "Disks in it: 0.")
    m.key("b", "Check that it answers")
    m.key("r", "Close the pool nas1")
    m.key("y", "Where disks of guests can be")
    m.gone("nas1")
    m.key("a", "What kind?")
    m.key("l", "2  testvg2")
    m.key("2", "Name of the pool on this host", "testvg2")
    m.key(ENTER, "The pool testvg2 is open")
    m.key("b", "2  testvg2")
    m.key("b", "Storage pools")
    m.key("b", MAIN)
    m.key("i", "Choose an ISO")
    m.key("3", "Name of the guest")
    m.key("lvm1" + ENTER, "Disk of the guest", "pool       default-pool")
    m.key("p", "Where is the disk to be?")
    m.key("2", "pool       testvg2", "Go on with: new, 8G, raw")
    m.key("f", "a logical volume, and raw")
    m.key("b", "Disk of the guest")
    m.key("g", "Machine of the guest")
    m.key("g", "Network of the guest")
    m.key("0", SUMMARY)
    m.key("s", "console of the guest could not be opened")
    m.key("b", MAIN)
    m.choose_guest("lvm1")
    m.key("e", "/dev/testvg2/lvm1.raw")
    m.key("b", "Guest lvm1")
    m.force_off("lvm1")
    m.key("b", "Choose a guest")
    m.key("b", MAIN)
    m.key("t", "Storage pools")
    m.key("p", "2  testvg2")
    m.key("2", "In /dev/testvg2")
    m.key("r", "The guest lvm1 has a disk in the pool testvg2")
    m.key("b", "In /dev/testvg2")
    for _ in range(2):
        m.key("b")
        m.settle()
    m.key("b", MAIN)
    m.choose_guest("lvm1")
    m.delete_guest("lvm1", "", "/dev/testvg2/lvm1.raw")
    m.key("d", "Choose a guest")
    m.gone("lvm1")
    m.key("b", MAIN)
    m.key("t", "Storage pools")
    m.key("p", "2  testvg2")
    m.key("2", "In /dev/testvg2")
    m.key("r", "Close the pool")
    m.key("y", "Where disks of guests can be")
    m.gone("testvg2")


@check("a guest is paused and goes on")
def _():
    m = menu()
    m.choose_guest("test")
    m.key("p", "is paused")
    m.key("b", "Guest test: paused")
    m.key("p", "goes on")
    m.key("b", "Guest test: running")
    m.key("p", "is paused")
    m.key("b", "Guest test: paused")
    m.key("s", "Guest test: running")


@check("a guest's name, memory, CPUs, network, boot order and autostart are changed")
def _():
    m = menu()
    off_guest(m, "old")
    m.key("p", "is not running")
    m.key("b", "Guest old: shut off")
    m.key("h", "Settings of the guest", "everything can be changed")
    m.key("n", "Name of the guest")
    m.key("test" + ENTER, "keeps its name")
    m.key("b", "Name             old")
    m.field("n", "Name of the guest", "new", "is called new now")
    m.key("b", "Name             new")
    m.field("m", "Memory of the guest", "128", "has 128 MiB of memory.")
    m.key("b", "Memory           128 MiB")
    m.field("c", "Number of processors", "3", "has 3 CPUs.")
    m.key("b", "CPUs             3")
    m.key("t", "Network of the guest")
    m.key("0", "network is: none.")
    m.key("b", "Network          none")
    m.key("t", "Network of the guest")
    m.key("n", "network is: NAT")
    m.key("b", "Network          NAT")
    m.key("o", "tries to start from first")
    m.key("n", "boots: network, then disk, then CD.")
    m.key("b", "Boot order       network")
    m.key("a", "started with the host from now on")
    m.key("b", "Autostart        on")
    m.key("a", "not started with the host any more")
    m.key("b", "Autostart        off")
    m.key("b", "Guest new: shut off")
    m.key("b", "1  new ", "3 CPUs    128 MiB")


@check("a running guest's settings are for its next start, and it is said so")
def _():
    m = menu()
    m.choose_guest("test")
    m.key("h", "Settings of the guest", "The guest is running.")
    m.field("m", "Memory of the guest", "100", "100 MiB of memory, from the next start on.")
    m.key("b", "Memory           100 MiB")
    m.key("b", "Guest test: running")


@check("disks are added, attached and detached; a CD is inserted and ejected")
def _():
    m = menu()
    m.key("d", "Create a disk")
    m.create_disk("spare")
    m.key("b", "1  spare.qcow2")
    m.key("b", MAIN)
    off_guest(m, "t4")
    m.key("h", "Settings of the guest")
    m.key("k", "Choose a disk to detach", "1  vda", "t4.qcow2")
    m.key("a", "1  spare.qcow2")
    m.key("1", "spare.qcow2 as vdb.")
    m.key("b", "2  vdb")
    m.key("a", "There is no disk that no guest has")
    m.key("b", "2  vdb")
    m.key("n", "Name             t4-2")
    m.key("c", "t4-2.qcow2 as vdc.")
    m.key("b", "3  vdc")
    m.key("2", "Take the disk vdb")
    m.key("n", "3  vdc")
    m.key("2", "Take the disk vdb")
    m.key("y", "has the disk vdb no more")
    m.key("b", "2  vdc")
    m.key("b", "t4.qcow2 and 1 more")
    m.key("i", "In the drive: " + DIR)
    m.key("e", "CD drive is empty")
    m.key("b", "In the drive: empty")
    m.key("e", "There is no disc")
    m.key("b", "In the drive: empty")
    m.key("i", "Choose an ISO")
    m.key("1", "truncated")
    m.key("b", "In the drive: empty")
    m.key("i", "Choose an ISO")
    m.key("3", "good.iso is in the guest's drive")
    m.key("b", "In the drive: " + DIR)


@check("a guest without a CD drive gets one")
def _():
    m = menu()
    m.choose_guest("test")
    m.key("h", "CD               no drive")
    m.key("i", "In the drive: no drive")
    m.key("i", "Choose an ISO")
    m.key("3", "is in the guest's drive, from the", "next start on. The guest is running")
    m.key("b", "In the drive: " + DIR)


@check("snapshots are made, listed, gone back to and deleted")
def _():
    m = menu()
    m.choose_guest("test")
    m.key("t", "Make a new snapshot")
    m.make_snapshot("first")
    m.make_snapshot("second")
    m.see("1  first", "2  second", "with memory, current")
    m.key("n", "Name of the snapshot")
    m.key("first" + ENTER, "There is a snapshot of that name")
    m.key("b", "Name of the snapshot")
    m.key("a/b" + ENTER, "he name may")
    m.key("b", "Name of the snapshot")
    m.key(ESC, "Make a new snapshot")
    m.choose_snapshot("first")
    m.key("r", "Take the guest test back", "is stopped for this")
    m.key("n", "Make a new snapshot")
    m.choose_snapshot("first")
    m.key("r", "Take the guest test back")
    m.key("y", "is as it was at the snapshot first, and is now")
    m.key("b", "Make a new snapshot")
    m.choose_snapshot("second")
    m.key("d", "Delete the snapshot second")
    m.key("y", "is deleted")
    m.key("b", "1  first")
    assert "second" not in m.text(), m.text()


@check("a guest is cloned with its disks, under a name that is free")
def _():
    m = menu()
    off_guest(m, "t5")
    m.key("l", "Name of the new guest", "t5-clone")
    m.key("t5" + ENTER, "There is a guest of that name")
    m.key("b", "Name of the new guest")
    m.key("a b" + ENTER, "he name may")
    m.key("b", "Name of the new guest")
    m.key("t6" + ENTER, "Clone the guest t5 as t6", "t5.qcow2 as t6.qcow2")
    m.key("n", "Guest t5: shut off")
    m.key("l", "Name of the new guest")
    m.key("t6" + ENTER, "Clone the guest t5 as t6")
    m.key("y", "The guest t6 was made")
    m.key("b", "Guest t5: shut off")
    m.key("b", "1  t5", "2  t6")
    m.key("2", "Guest t6: shut off")
    m.key("e", "t6.qcow2")
    m.key("b", "Guest t6: shut off")
    m.delete_guest("t6", "k", "Choose a guest")
    m.gone("2  t6")
    m.key("1", "Guest t5: shut off")
    m.key("l", "Name of the new guest")         # the disk of the clone was kept
    m.key("t6" + ENTER, "Clone the guest t5 as t6")
    m.key("y", "was not cloned", "already")
    m.key("b", "Guest t5: shut off")
    m.key("b", "1  t5")
    assert "t6" not in m.text(), m.text()


@check("what goes with a guest is listed before it is deleted")
def _():
    m = menu()
    off_guest(m, "t7")
    m.key("t", "Make a new snapshot")
    m.make_snapshot("s")
    m.key("b", "Guest t7: shut off")
    m.key("d", "To it belong:", "t7.qcow2", "1 snapshot", "Keep the disks")
    m.key("b", "Guest t7: shut off")
    m.delete_guest("t7", "k", "Choose a guest")
    m.key("b", MAIN)
    m.key("d", "1  t7.qcow2")


@check("without KVM the verdict and fix are shown and the menu works")
def _():
    m = menu(verdict=FIRMWARE_OFF)
    m.see("KVM: firmware-off")
    m.key("i", "KVM, which is not usable here")
    m.key("b", MAIN)
    m.key("h", "KVM verdict: firmware-off", "Fix: Enable SVM Mode")
    m.key("b", MAIN)


@check("a kvm-detect that is missing or broken is said so")
def _():
    m = menu(verdict="/nonexistent")
    m.key("h", "gave no verdict")
    m.key("b", MAIN)


@check("libvirt that does not answer is explained, and Back works")
def _():
    m = menu(extra=["--connect", "qemu+unix:///system?socket=/nonexistent"])
    for key in "igd":
        m.key(key, "libvirt does not answer", "What to do: start the service")
        m.key("r", "libvirt does not answer")
        m.key("b", MAIN)
    m.key("h", "unknown, libvirt does not answer")
    m.key("b", MAIN)
    m.key("p", "Restart this host")
    m.key("p", "it is not known whether guests run")
    m.key("n", "Restart this host")


@check("libvirt that hangs strands nobody")
def _():
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"{DIR}/hangs")
    listener.listen()
    m = menu(extra=["--connect", f"qemu+unix:///system?socket={DIR}/hangs"])
    for key in "igd":
        m.key(key, "Waiting for libvirt to answer", "seconds")
        m.key("b", MAIN)
    m.key("h", "Waiting for libvirt to answer")
    m.key(ESC, "unknown, libvirt does not answer")
    m.key("b", MAIN)


@check("a storage pool that is missing is answered")
def _():
    m = menu(extra=["--pool", "elsewhere"])
    m.key("d", "There is no storage pool elsewhere")
    m.key("b", MAIN)


@check("the shell runs and exit comes back, also after Ctrl-C in it")
def _():
    m = menu(env={"SHELL": "/bin/sh"})
    m.key("s", "Type exit to return to the menu.")
    m.key("echo $((6*7))-$KVM_MENU_SHELL\r", "42-1")
    m.key("sleep 100\r")
    m.pump(0.5)
    m.key(CTRL_C)
    m.key("echo again$((1+1))\r", "again2")
    m.key("exit\r", MAIN, "<Quit>")
    fits(m)


@check("Ctrl-C, Ctrl-Z and Ctrl-\\ in the main menu strand nobody")
def _():
    m = menu()
    m.key("\x1a\x1c")
    m.pump(0.3)
    m.key(CTRL_C, "Leave the menu?")
    m.key("n", MAIN)
    fits(m)


@check("the screen is drawn again on Ctrl-L, and laid out anew after a resize")
def _():
    m = menu()
    m.screen.reset()
    m.key(CTRL_L, MAIN)
    for keys, words in (("", MAIN), ("dcn", "Name of the disk"), ("h", "KVM verdict"),
                        ("pp", "1 guest is running"), ("g1", "Guest test: running")):
        for key in keys:
            m.key(key)
            m.pump(0.2)
        for cols, rows in ((132, 43), (80, 24), (100, 30), (80, 24)):
            m.resize(cols, rows)
            m.see(words, "Up/Down")
            fits(m)
        for _ in keys:
            m.key(CTRL_C)
            m.pump(0.2)
        m.see(MAIN)


@check("a resize takes nothing away of what is being typed")
def _():
    m = menu()
    for key, words in (("d", "Choose a disk"), ("c", "Allocate"), ("n", "Name of the disk")):
        m.key(key, words)
    m.key("half", "half")
    m.resize(100, 30)
    m.see("half")
    m.key("way", "halfway")
    m.key(ENTER, "Name             halfway")


@check("a terminal that is too small gets a sentence, and recovers when it grows")
def _():
    m = menu()
    for key, words in (("d", "Choose a disk"), ("c", "Allocate")):
        m.key(key, words)
    m.resize(20, 5)
    m.see("20x5", "small", "Enlarge", "80x24", "Ctrl-C")
    m.resize(60, 10)
    m.see("60x10: too small. Enlarge to 80x24.")
    m.key("xn")
    m.pump(0.3)
    m.resize(80, 24)
    m.see("Allocate", "Up/Down")
    fits(m)
    m.resize(20, 5)
    m.see("small")
    m.key(CTRL_C)                # and Back leads back all the same
    m.pump(0.3)
    m.resize(80, 24)
    m.see("Choose a disk")
    m = Menu([PROGRAM, "--connect", "test:///default", "--detect", READY], cols=79)
    m.see("79x24: too small")
    m.resize(80, 24)
    m.see(MAIN)
    m = Menu([PROGRAM, "--connect", "test:///default", "--detect", READY], cols=20, rows=5)
    m.see("20x5", "small")
    m.key(CTRL_C)
    assert m.ended() == 2, m.text()


@check("Tab reaches the buttons, arrows and Enter choose")
def _():
    m = menu()
    m.key("\x1b[B\x1b[B\x1b[B" + ENTER, "KVM verdict")
    m.key(ENTER, MAIN)
    m.key(TAB + TAB + ENTER, "Leave the menu?")
    m.key(ENTER, MAIN)


@check("Esc Esc in quick succession goes back twice")
def _():
    m = menu()
    for key, words in (("d", "Choose a disk"), ("c", "on demand"), (ESC + ESC, MAIN)):
        m.key(key, words)
    m.key("d", "Choose a disk")
    m.key(ESC + "h", "KVM verdict")


@check("keys typed ahead are not lost")
def _():
    m = menu()
    m.key("dcnahead" + ENTER + "s5G" + ENTER + "f1", "Name             ahead",
          "Size             5G", "Format           qcow")


@check("no terminal, an unknown one and wrong options are refused with a sentence")
def _():
    m = Menu([PROGRAM], term="nosuch")
    assert m.ended() == 2 and "TERM=vt100" in m.text(), m.text()
    m = Menu([PROGRAM], term="dumb")
    assert m.ended() == 2 and "TERM" in m.text(), m.text()
    m = Menu([PROGRAM, "--nonsense"])
    assert m.ended() == 1 and "--help" in m.text(), m.text()
    m = Menu([PROGRAM, "--help"])
    assert m.ended() == 0 and "Usage" in m.text(), m.text()


@check("when the terminal goes away the program ends")
def _():
    m = menu()
    pid = m.child.pid
    os.close(m.child.child_fd)
    for _ in range(50):
        if os.waitpid(pid, os.WNOHANG)[0]:
            return
        signal.sigtimedwait([], 0.1)
    os.kill(pid, signal.SIGKILL)
    raise AssertionError("it still runs")


@check("the sanitizers found nothing")
def _():
    menudriver.sanitizers_quiet()


menudriver.finish()
