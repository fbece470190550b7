# SPDX-License-Identifier: GPL-2.0-or-later
"""Drives kvm-menu by keystrokes and sees its screen as a person would.

S-Lang sends only what changed, so the bytes on the line are no text to search:
pyte turns them into the 80x24 screen, and the tests look at that.
"""
import os
import time

import pexpect
import pyte

ENTER, ESC, TAB = "\r", "\x1b", "\t"
CTRL_C, CTRL_L, CTRL_U, CTRL_RBRACKET = "\x03", "\x0c", "\x15", "\x1d"


class Menu:
    def __init__(self, argv, term="xterm", cols=80, rows=24, timeout=20, env=None):
        self.screen = pyte.Screen(cols, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self.timeout = timeout
        self.child = pexpect.spawn(argv[0], argv[1:], dimensions=(rows, cols),
                                   env=dict(os.environ, TERM=term, **(env or {})))

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
