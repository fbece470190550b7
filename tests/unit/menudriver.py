# SPDX-License-Identifier: GPL-2.0-or-later
"""Drives kvm-menu by keystrokes and sees its screen as a person would.

S-Lang sends only what changed, so the bytes on the line are no text to search:
pyte turns them into the 80x24 screen, and the tests look at that.

Key sequences that several tests type are here, as methods of Menu; so is check(),
which runs a test, prints its TAP and notes it in build/reports/flows.tsv.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

import pexpect
import pyte

ENTER, ESC, TAB = "\r", "\x1b", "\t"
CTRL_C, CTRL_L, CTRL_U, CTRL_RBRACKET = "\x03", "\x0c", "\x15", "\x1d"
MAIN = "What do you want to do?"
SUMMARY = "Start the installation"
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONFIG = tempfile.TemporaryDirectory()     # what the menu keeps, and libosinfo looks into
FLOWS = TOP + "/build/reports/flows.tsv"


class Tap:
    """Counts tests; those that are named on the command line, or all."""
    tests = failures = 0


def note_flow(flow, keys, result, seconds):
    """One row, in the place of the flow's last one."""
    os.makedirs(os.path.dirname(FLOWS), exist_ok=True)
    rows = []
    if os.path.exists(FLOWS):
        with open(FLOWS) as f:
            rows = [row for row in f.read().splitlines()[1:] if row.split("\t")[0] != flow]
    rows.append(f"{flow}\t{keys}\t{result}\t{seconds:.1f}")
    with open(FLOWS, "w") as f:
        f.write("\n".join(["flow\tkeystrokes\tresult\tseconds", *rows]) + "\n")


def check(what):
    """Decorator: runs the function now as one test; an assertion fails it. It may
    return how many keys it typed."""
    def run(function):
        Tap.tests += 1
        if len(sys.argv) > 1 and str(Tap.tests) not in sys.argv[1:]:
            return
        start, typed, result, keys = time.monotonic(), Menu.typed, "pass", None
        try:
            keys = function()
        except (AssertionError, OSError, subprocess.CalledProcessError) as e:
            Tap.failures += 1
            result = "fail"
            print("# " + str(e).replace("\n", "\n# "), flush=True)
        seconds = time.monotonic() - start
        print(f"{'' if result == 'pass' else 'not '}ok {Tap.tests} - {what} ({seconds:.0f} s)",
              flush=True)
        name = os.path.basename(sys.argv[0]).removesuffix(".t")
        note_flow(f"{name}: {what}", keys or Menu.typed - typed, result, seconds)
    return run


def finish():
    print(f"1..{Tap.tests}")
    sys.exit(1 if Tap.failures else 0)


def sanitized():
    """Builds kvm-menu with the sanitizers; returns its path. What they find goes to
    build/logs/menu-asan.*, and sanitizers_quiet() looks there."""
    out = TOP + "/build/userland-asan"
    subprocess.run(["make", "-s", "-C", TOP + "/userland/menu", "O=" + out, "all", "CFLAGS=-O1 -g "
                    "-fsanitize=address,undefined -fno-omit-frame-pointer"],
                   check=True, stdout=sys.stderr)
    log = TOP + "/build/logs/menu-asan"
    os.makedirs(os.path.dirname(log), exist_ok=True)
    for old in findings():
        os.unlink(old)
    os.environ["ASAN_OPTIONS"] = f"log_path={log}:detect_leaks=0"
    os.environ["UBSAN_OPTIONS"] = f"log_path={log}:print_stacktrace=1"
    os.environ["PATH"] = out + ":" + os.environ["PATH"]
    return out + "/kvm-menu"


def findings():
    logs = TOP + "/build/logs"
    return [f"{logs}/{name}" for name in os.listdir(logs) if name.startswith("menu-asan.")]


def sanitizers_quiet():
    for path in findings():
        with open(path) as f:
            raise AssertionError(f.read())


class Menu:
    typed = 0       # keystrokes so far, by all

    def __init__(self, argv, term="xterm", cols=80, rows=24, timeout=20, env=None):
        self.raw = b""
        self.timeout = timeout
        self.child = pexpect.spawn(argv[0], argv[1:], dimensions=(rows, cols),
                                   env={**os.environ, "TERM": term, "XDG_CONFIG_HOME": CONFIG.name,
                                        **(env or {})})
        self.resize(cols, rows)

    def pump(self, seconds=0.05):
        """Reads what is there; False when the program has ended."""
        try:
            data = self.child.read_nonblocking(65536, seconds)
        except pexpect.TIMEOUT:
            return True
        except pexpect.EOF:
            return False
        self.raw += data
        self.stream.feed(data)
        return True

    def text(self):
        return "\n".join(line.rstrip() for line in self.screen.display)

    def see(self, *words, timeout=None):
        """Waits until all words are on the screen together."""
        end = time.monotonic() + (timeout or self.timeout)
        while True:
            alive = self.pump()
            missing = [w for w in words if w not in self.text()]
            if not missing:
                return True
            if not alive or time.monotonic() > end:
                raise AssertionError(f"not on the screen: {missing}\n{self.text()}")

    def resize(self, cols, rows):
        """The terminal gets another size, and loses what is on it."""
        self.screen = pyte.Screen(cols, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.child.setwinsize(rows, cols)

    def settle(self):
        """Reads until nothing more comes."""
        before = None
        while before != len(self.raw):
            before = len(self.raw)
            self.pump(0.15)

    def gone(self, word, timeout=None):
        end = time.monotonic() + (timeout or self.timeout)
        while word in self.text():
            if not self.pump() or time.monotonic() > end:
                raise AssertionError(f"still on the screen: {word}\n{self.text()}")

    def key(self, keys, *words, timeout=None):
        """Types keys, then waits for words."""
        Menu.typed += len(keys)
        self.child.send(keys)
        if words:
            self.see(*words, timeout=timeout)

    def back(self, *words):
        self.key(ESC, *words)

    def ended(self, timeout=10):
        end = time.monotonic() + timeout
        while self.pump():
            if time.monotonic() > end:
                return None
        self.child.close()
        return self.child.exitstatus

    # --- sequences of keys

    def field(self, key, title, value, *words):
        """Opens an input field by its row's letter and types a value into it."""
        self.key(key, title)
        self.key(value + ENTER, *words)

    def create_disk(self, name, *words, size=None):
        """From the list of disks: the sheet, and back to the list if it was made."""
        self.key("c", "Allocate")
        self.field("n", "Name of the disk", name, "Name             " + name)
        if size:
            self.field("s", "Size of the disk", size, "Size             " + size)
        self.key("c", *(words or ["The disk was created"]))

    def choose_iso(self, iso, *words):
        """From the list of images: a number in the list, or a path."""
        self.see("Choose an ISO")
        if len(iso) == 1:
            self.key(iso, *words)
        else:
            self.field("t", "Full path of the ISO", iso, *words)

    def to_machine(self, name, iso, size=None, disk=None):
        """From the main menu through the installation's first steps."""
        self.key("i", "Choose an ISO")
        self.choose_iso(iso, "Name of the guest")
        self.key(name + ENTER, "Disk of the guest")
        if size:
            self.field("n", "Size of the disk", size, "Go on with: new, " + size)
        if disk:
            self.see(disk)
            self.settle()
            self.key(re.search(r"(\d)  " + re.escape(disk), self.text()).group(1))
        else:
            self.key("g")
        self.see("Machine of the guest")

    def to_summary(self, name, iso, network="n", **disk):
        """From the main menu through all the installation's steps to the last."""
        self.to_machine(name, iso, **disk)
        self.key("g", "Network of the guest")
        self.key(network, SUMMARY, "Name             " + name)

    # from the installation's last step, and back to it

    def emulate(self):
        self.key("a", "Slow emulation")
        self.key("y", "SLOW EMULATION")

    def set_memory(self, mib):
        self.field("m", "Memory of the guest", str(mib), f"Memory           {mib} MiB")

    def new_disk(self, size, words=SUMMARY):
        self.key("d", "New disk: size")
        self.field("n", "Size of the disk", size, "Go on with: new, " + size)
        self.key("g", words)

    def set_password(self, password):
        """In the step about a login."""
        self.field("p", "Password for the new system", password, "once more")
        self.key(password + ENTER, "Password         set")

    def choose_guest(self, name):
        """From the main menu."""
        self.key("g", "Choose a guest", name)
        self.settle()
        self.key(re.search(r"(\d)  " + name + " ", self.text()).group(1), f"Guest {name}:")

    def start_guest(self, name):
        self.key("s", "was started")
        self.key("b", f"Guest {name}: running")

    def force_off(self, name):
        self.key("f", "Cut the power")
        self.key("y", f"Guest {name}: shut off")

    def choose_off(self, name):
        """From the main menu, and off if it is not."""
        self.choose_guest(name)
        self.settle()
        if f"Guest {name}: shut off" not in self.text():
            self.force_off(name)

    def choose_running(self, name):
        """From the main menu, and started if it is not."""
        self.choose_guest(name)
        self.settle()
        if f"Guest {name}: running" not in self.text():
            self.start_guest(name)

    def delete_guest(self, name, how, *words):
        """From the guest's menu; how: K or D."""
        self.key("d", f"Delete the guest {name}?")
        self.key(how, *words)

    def make_snapshot(self, name, *words):
        """From the list of snapshots, and back to it."""
        self.field("n", "Name of the snapshot", name, *(words or [f"The snapshot {name} was made"]))
        self.key("b", "Make a new snapshot")

    def choose_snapshot(self, name):
        self.settle()
        self.key(re.search(r"(\d)  " + name + " ", self.text()).group(1), "Snapshot " + name)
