# SPDX-License-Identifier: GPL-2.0-or-later
"""A machine under QEMU's plain emulation, watched and typed at over its serial
line, and TAP for what is seen there. Never uses /dev/kvm."""

import json
import os
import re
import shutil
import socket
import sys
import tempfile
import time

import pexpect
import pyte

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
OVMF = "/usr/share/ovmf/OVMF.fd"


class Tap:
    """Prints numbered results; leaves with the status that they deserve."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, passed, name, why=""):
        self.count += 1
        if not passed:
            self.failed += 1
        print("%sok %d - %s" % ("" if passed else "not ", self.count, name))
        if not passed:
            for line in str(why).splitlines():
                print("#   " + line)
        sys.stdout.flush()
        return passed

    def note(self, text):
        for line in text.splitlines():
            print("# " + line)
        sys.stdout.flush()

    def step(self, name, action):
        """Passes when action() returns; what it raises is the failure."""
        start = time.time()
        try:
            action()
        except (AssertionError, Failure) as error:
            self.ok(False, name, error)
            return False
        return self.ok(True, "%s (%.0f s)" % (name, time.time() - start))

    def finish(self):
        print("1..%d" % self.count)
        sys.exit(1 if self.failed else 0)


class Failure(Exception):
    pass


class Vm:
    def __init__(self, args, name, uefi=False, memory=256):
        self.dir = tempfile.mkdtemp(prefix="kvm-live-vm-")
        self.qmp_path = os.path.join(self.dir, "qmp")
        os.makedirs(os.path.join(TOP, "build/tests"), exist_ok=True)
        self.log_path = os.path.join(TOP, "build/tests", name + ".log")
        self.log = open(self.log_path, "wb")
        command = ["-accel", "tcg,thread=multi", "-m", str(memory),
                   "-display", "none", "-serial", "stdio", "-monitor", "none",
                   "-qmp", "unix:%s,server=on,wait=off" % self.qmp_path]
        if uefi:
            command += ["-bios", OVMF]
        self.started = time.time()
        self.child = pexpect.spawn(os.path.join(TOP, "scripts/emulator"), command + args,
                                   timeout=60, echo=False)
        self.child.logfile_read = self.log
        self.screen = pyte.Screen(80, 24)
        self.stream = pyte.ByteStream(self.screen)
        self.qmp_socket = None

    # --- the serial line as a stream of text

    def expect(self, pattern, timeout=60):
        """Waits for one of the regular expressions on the serial line."""
        patterns = [pattern] if isinstance(pattern, str) else pattern
        try:
            return self.child.expect(patterns, timeout=timeout)
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            raise Failure("%s while waiting for %s; last seen:\n%s" % (
                type(error).__name__, patterns, self.tail())) from None

    def send(self, text):
        self.child.send(text)

    def wait_end(self, timeout=60):
        """Waits until the machine is off."""
        try:
            self.child.expect(pexpect.EOF, timeout=timeout)
        except pexpect.TIMEOUT:
            raise Failure("the machine did not power off; last seen:\n" + self.tail()) from None

    def tail(self, lines=15):
        self.log.flush()
        with open(self.log_path, "rb") as log:
            text = log.read()[-4000:].decode("ascii", "replace")
        text = re.sub(r"\x1b\[[0-9;?=]*[A-Za-z]", "", text)
        return "\n".join([l for l in text.replace("\r", "").split("\n") if l.strip()][-lines:])

    # --- the serial line as a screen of 80x24

    def refresh(self, seconds=0.2):
        """Feeds what arrived to the screen; returns it as text."""
        end = time.time() + seconds
        while True:
            try:
                self.stream.feed(self.child.read_nonblocking(65536, timeout=0.1))
            except pexpect.TIMEOUT:
                pass
            except pexpect.EOF:
                raise Failure("the machine ended; last seen:\n" + self.tail()) from None
            if time.time() >= end:
                return self.text()

    def text(self):
        return "\n".join(self.screen.display)

    def see(self, pattern, timeout=60):
        """Waits until the regular expression is on the screen."""
        end = time.time() + timeout
        while True:
            found = re.search(pattern, self.refresh())
            if found:
                return found
            if time.time() >= end:
                raise Failure("%d s without %r on the screen, which is:\n%s" % (
                    timeout, pattern, self.text().rstrip()))

    # --- QEMU's own side

    def qmp(self, command, **arguments):
        if not self.qmp_socket:
            self.qmp_socket = socket.socket(socket.AF_UNIX)
            self.qmp_socket.connect(self.qmp_path)
            self.qmp_file = self.qmp_socket.makefile("rw")
            self.qmp_file.readline()
            self.qmp("qmp_capabilities")
        self.qmp_file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.qmp_file.flush()
        while True:
            answer = json.loads(self.qmp_file.readline())
            if "return" in answer or "error" in answer:
                return answer

    def monitor(self, command):
        """What the monitor for people says."""
        answer = self.qmp("human-monitor-command", **{"command-line": command})
        return answer.get("return", str(answer)).replace("\r", "")

    def type_keys(self, keys):
        """Types on the keyboard (not the serial line); names as QEMU has them."""
        for key in keys:
            self.qmp("send-key", keys=[{"type": "qcode", "data": key}])
            time.sleep(0.15)

    def vga_text(self):
        """The 80x25 text screen of the VGA card."""
        path = os.path.join(self.dir, "vga")
        self.qmp("pmemsave", val=0xb8000, size=4000, filename=path)
        with open(path, "rb") as file:
            cells = file.read()[::2].decode("cp437")
        return "\n".join(cells[i:i + 80].rstrip() for i in range(0, 2000, 80))

    def close(self):
        self.child.close(force=True)
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
