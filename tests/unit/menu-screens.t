#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kvm-menu at 80x24 by keystrokes, on libvirt's test driver.

Every screen is opened on three types of terminal; each must fit, be ASCII, and
go back. Wrong input must be answered with a sentence and lose nothing.
"""
import concurrent.futures
import os
import signal
import socket
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import menudriver
from menudriver import CTRL_C, CTRL_L, ENTER, ESC, TAB, Menu

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = TOP + "/build/userland/kvm-menu"
MAIN = "What do you want to do?"
DIR = tempfile.mkdtemp()
os.chmod(DIR, 0o755)
tests = failures = 0


def ok(good, what):
    global tests, failures
    tests += 1
    failures += not good
    print(f"{'' if good else 'not '}ok {tests} - {what}", flush=True)


def check(what):
    """Decorator: runs the function now as one test; an assertion fails it."""
    def run(function):
        try:
            function()
            ok(True, what)
        except AssertionError as e:
            ok(False, what)
            print("# " + str(e).replace("\n", "\n# "), flush=True)
    return run


def iso(name, sectors=400, claimed=400, boot=True):
    d = bytearray(sectors * 2048)
    if sectors > 18:
        d[32768:32774] = b"\x01CD001"
        d[32808:32840] = b"TESTLABEL".ljust(32)
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
with open(f"{DIR}/letter.iso", "w") as f:
    f.write("Dear reader\n" * 10000)


def menu(term="xterm", extra=(), verdict=READY, **kw):
    m = Menu([PROGRAM, "--connect", "test:///default", "--pool", "default-pool",
              "--iso-dir", DIR, "--detect", verdict, *extra], term=term, **kw)
    m.see(MAIN)
    return m


def fits(m):
    """A closed frame on the screen, the help row below it, only ASCII sent."""
    m.settle()
    text = m.text()
    rows = text.split("\n")
    frames = [i for i, row in enumerate(rows) if row.strip().startswith("+--")]
    assert len(frames) >= 2 and frames[-1] < 23, "no whole frame\n" + text
    assert rows[23].startswith("Up/Down"), "no help row\n" + text
    assert all(b < 128 for b in m.raw), "not ASCII"


# Each screen: the keys that lead there from the main menu, and words on it.
SCREENS = [
    ("h", ["KVM verdict: ready", "Evidence", "bit 2 is set"]),
    ("d", ["Choose a disk to delete it", "Create a disk"]),
    ("dc", ["Allocate", "on demand"]),
    ("dcn", ["Name of the disk"]),
    ("dcs", ["Size of the disk"]),
    ("dcf", ["Both grow on demand"]),
    ("t", ["this machine's own disks"]),
    ("l", ["ISO images are kept in", "Download an ISO"]),
    ("ld", ["Address of the ISO"]),
    ("i", ["Start the installation", "Firmware"]),
    ("in", ["Name of the guest"]),
    ("ii", ["Choose an ISO", "good.iso", "TRUNCATED", "NOT USABLE"]),
    ("iit", ["Full path of the ISO"]),
    ("id", ["New disk: size"]),
    ("idn", ["Size of the new disk"]),
    ("idf", ["Both grow on demand"]),
    ("im", ["Memory of the guest"]),
    ("ic", ["Number of processors"]),
    ("iv", ["network card that the guest sees"]),
    ("g", ["Choose a guest", "running"]),
    ("g1", ["Force off", "Guest test: running"]),
    ("g1f", ["Cut the power of the guest test"]),
    ("g1e", ["Exits by reason", "UUID"]),
    ("g1d", ["is running"]),
    ("p", ["Restart this host"]),
    ("pp", ["1 guest is running: test"]),
    ("q", ["Leave the menu?"]),
]


def walk(term, back):
    m = menu(term)
    titles = {"": MAIN}
    for keys, words in SCREENS:
        titles[keys] = words[0]
        for i in range(len(keys)):
            m.key(keys[i])
            m.see(*next((w for k, w in SCREENS if k == keys[:i + 1]), []))
        fits(m)
        for i in range(len(keys) - 1, -1, -1):
            m.key(back)
            m.gone(titles[keys[:i + 1]])
            m.see(titles.get(keys[:i], ""))
        m.see(MAIN)
    m.key("q", "Leave the menu?")
    m.key("y")
    assert m.ended() == 0, "exit status"


# Most of a walk is waiting, for Esc most of all: the four go at once.
WALKS = [("linux", ESC, "Esc"), ("xterm", CTRL_C, "Ctrl-C"), ("vt100", CTRL_C, "Ctrl-C"),
         ("vt220", CTRL_C, "Ctrl-C")]
with concurrent.futures.ThreadPoolExecutor() as pool:
    walks = [pool.submit(walk, term, key) for term, key, _ in WALKS]
for (term, _, name), future in zip(WALKS, walks):
    check(f"every screen fits 80x24, is ASCII, and goes back by {name}: {term}")(future.result)


@check("a disk is created from typed name and size, then listed and deleted")
def _():
    m = menu()
    m.key("d", "Create a disk")
    m.key("c", "Allocate")
    m.key("n", "Name of the disk")
    m.key("d1" + ENTER, "Name             d1")
    m.key("s", "Size of the disk")
    m.key("2G" + ENTER, "Size             2G")
    m.key("f", "Disk format")
    m.key("1", "Format           qcow")
    m.key("c", "The disk was created", "d1.qcow")
    m.key("b", "1  d1.qcow", "2 GiB")
    m.key("1", "Delete the disk d1.qcow?")
    m.key("n", "1  d1.qcow")
    m.key("1", "Delete the disk d1.qcow?")
    m.key("y")
    m.gone("d1.qcow")
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
    for keys, prompt in (("dcn", "Name of the disk"), ("in", "Name of the guest")):
        for key in keys:
            m.key(key)
            m.pump(0.2)
        m.see(prompt)
        for name in ("a b", "../x", "a'b", "<x>", "a&b", "x" * 51, "-x"):
            m.key(name + ENTER, "he name ")
            m.see("<Back>")
            m.key("b", prompt)
        m.key("fine-1.a" + ENTER, "Name             fine-1.a")
        m.key("b")
        m.pump(0.2)
        if keys[0] == "d":
            m.key("b")
        m.see(MAIN)


@check("a disk that exists already stays, and one that cannot fit is not made")
def _():
    m = menu()
    m.key("d", "Create a disk")
    for again in (False, True):
        m.key("c", "Allocate")
        m.key("n", "Name of the disk")
        m.key("twin" + ENTER, "Name             twin")
        m.key("c", "exists already" if again else "The disk was created")
        m.key("b")
        m.see("Allocate" if again else "twin.qcow2")
    m.key("n", "Name of the disk")
    m.key("big" + ENTER, "Name             big")
    m.key("s", "Size of the disk")
    m.key("60T" + ENTER, "Size             60T")
    m.key("c", "may grow to 60 TiB")
    m.key("n", "Allocate")
    m.key("a", "all space now")
    m.key("c", "does not fit")
    m.key("b", "all space now")
    m.key("b", "1  twin.qcow2")
    assert "big" not in m.text(), m.text()


def choose_iso(m, path, *words):
    m.key("i", "Choose an ISO")
    m.key("t", "Full path of the ISO")
    m.key(path + ENTER, *words)


@check("ISO images that are missing, cut, wrong or relative are answered")
def _():
    m = menu()
    m.key("i", "Start the installation")
    m.key("s", "No ISO is chosen")
    m.key("b", "Start the installation")
    for path, words in ((f"{DIR}/none.iso", "There is no file"), (f"{DIR}/cut.iso", "truncated"),
                        (f"{DIR}/letter.iso", "not an ISO image"), (DIR, "is a folder"),
                        ("x.iso", "not a full path"), ("/dev/null", "neither a file")):
        choose_iso(m, path, words)
        m.key("b", "Start the installation", "(choose one)")


@check("numbers out of range are answered: memory and CPUs")
def _():
    m = menu()
    m.key("i", "Start the installation")
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


@check("a guest is defined and started from the sheet, then forced off and deleted")
def _():
    m = menu()
    m.key("i", "Start the installation")
    m.key("n", "Name of the guest")
    m.key("test" + ENTER, "Name             test")
    choose_iso(m, f"{DIR}/good.iso", "ISO              " + DIR[:20])
    m.key("s", "There is a guest test already")
    m.key("b", "Start the installation")
    m.key("n", "Name of the guest")
    m.key("t1" + ENTER, "Name             t1")
    m.key("f", "UEFI")
    m.key("f", "BIOS")
    m.key("t", "Network          none")
    m.key("v", "SATA and")
    m.key("i", "IDE and rtl8139")
    m.key("s", "console of the guest could not be opened")
    m.key("b", MAIN)
    m.key("g", "1  t1", "2  test")
    m.key("1", "Guest t1: running")
    m.key("f", "Cut the power of the guest t1")
    m.key("y", "Guest t1: shut off")
    m.key("e", "t1.qcow2")
    m.key("b", "Guest t1: shut off")
    m.key("d", "Delete the guest t1?", "t1.qcow2")
    m.key("d", "Choose a guest")
    m.gone("t1")
    m.key("b", MAIN)
    m.key("d", "Storage pool")
    assert "t1" not in m.text(), m.text()


@check("a new guest's disk name that is taken is answered before anything is made")
def _():
    m = menu()
    m.key("d", "Create a disk")
    m.key("c", "Allocate")
    m.key("n", "Name of the disk")
    m.key("t2" + ENTER, "Name             t2")
    m.key("c", "The disk was created")
    m.key("b", "1  t2.qcow2")
    m.key("b", MAIN)
    m.key("i", "Start the installation")
    m.key("n", "Name of the guest")
    m.key("t2" + ENTER, "Name             t2")
    choose_iso(m, f"{DIR}/good.iso", "ISO              " + DIR[:20])
    m.key("s", "There is a disk t2.qcow2 in the pool")
    m.key("b", "Start the installation")
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
    m.key("i", "Start the installation")
    choose_iso(m, f"{DIR}/drivers.iso", "drivers.iso")
    m.key("s", "no boot record")
    m.key("n", "Start the installation")


@check("without KVM the verdict and fix are shown and the menu works")
def _():
    m = menu(verdict=FIRMWARE_OFF)
    m.see("KVM: firmware-off")
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


@check("the screen is drawn again on Ctrl-L and after a resize")
def _():
    m = menu()
    m.screen.reset()
    m.key(CTRL_L, MAIN)
    m.child.setwinsize(30, 100)
    m.screen.resize(30, 100)
    m.see(MAIN)
    m.key("h", "KVM verdict")
    m.key("b", MAIN)


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
    m = Menu([PROGRAM], cols=79)
    assert m.ended() == 2 and "80x24" in m.text(), m.text()
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


print(f"1..{tests}")
sys.exit(1 if failures else 0)
