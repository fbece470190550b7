#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kvm-live-iso against a small web server and a loop device that stands for a USB
stick, and the menu's ISO library on both. Where curl is not installed, a stand-in
that knows its options does the transfer; tests/appliance/data-volume.t has the real
one."""
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import menudriver
from menudriver import ENTER, TOP, Menu

PROGRAM = TOP + "/userland/menu/kvm-live-iso"
WORK = tempfile.mkdtemp(prefix="live-iso-")
WWW, LIBRARY, BIN = WORK + "/www", WORK + "/iso", WORK + "/bin"
DATA = os.urandom(300000)

CURL = r'''#!/usr/bin/python3
import os, sys, urllib.error, urllib.request
args = sys.argv[1:]
url = [a for a in args if "://" in a][0]
out = args[args.index("-o") + 1] if "-o" in args else None
at = os.path.getsize(out) if out and "-C" in args and os.path.exists(out) else 0
try:
    r = urllib.request.urlopen(urllib.request.Request(url, method="HEAD" if "-fsIL" in args else None,
                               headers={"Range": "bytes=%d-" % at} if at else {}))
except urllib.error.HTTPError as e:
    print("curl: (22) The requested URL returned error: %d" % e.code, file=sys.stderr)
    sys.exit(22)
except urllib.error.URLError as e:
    print("curl: (7) Failed to connect", file=sys.stderr)
    sys.exit(7)
if "-fsIL" in args:
    print("HTTP/1.1 200\r\nContent-Length: %s\r\nLast-Modified: %s\r" %
          (r.headers["Content-Length"], r.headers["Last-Modified"]))
    sys.exit()
if at and r.status != 206:
    sys.exit(33)
with open(out, "ab" if at else "wb") as f:
    while True:
        part = r.read(4096)
        if not part:
            break
        f.write(part)
        f.flush()
'''


def check(what):
    """menudriver's, with an empty library and a well-behaved server for each test."""
    def run(function):
        def fresh():
            shutil.rmtree(LIBRARY, ignore_errors=True)
            os.mkdir(LIBRARY)
            Server.ranges, Server.delay, Server.served = True, 0, []
            Server.date, Server.head = "Mon, 01 Jan 2024 00:00:00 GMT", True
            return function()
        return menudriver.check(what)(fresh)
    return run


class Server(http.server.BaseHTTPRequestHandler):
    ranges, delay, served = True, 0, []
    date, head = None, True

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(False)

    def do_GET(self):
        self.answer(True)

    def answer(self, body):
        path = WWW + self.path.split("?")[0]
        if not os.path.exists(path) or not (body or self.head):
            self.send_error(404)
            return
        with open(path, "rb") as f:
            data = f.read()
        start = self.headers.get("Range")
        start = int(start[6:-1]) if start and self.ranges else 0
        if body:
            Server.served.append(start)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("Last-Modified", self.date)
        self.end_headers()
        for i in range(start, len(data), 30000) if body else ():
            try:
                self.wfile.write(data[i:i + 30000])
            except OSError:     # it was stopped
                return
            time.sleep(self.delay)


def environ(**more):
    return dict(os.environ, KVM_LIVE_ISO_DIR=LIBRARY, KVM_LIVE_ISO_STICKS="loop",
                PATH=f"{BIN}:{os.environ['PATH']}", **more)


def iso(*args, status=0, says=()):
    p = subprocess.run([PROGRAM, *args], text=True, env=environ(), stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT)
    assert p.returncode == status, f"{args}: status {p.returncode}\n{p.stdout}"
    for words in [says] if isinstance(says, str) else says:
        assert words in p.stdout, f"no {words!r} in\n{p.stdout}"
    return p.stdout


def library():
    return sorted(os.listdir(LIBRARY))


def content(name):
    with open(f"{LIBRARY}/{name}", "rb") as f:
        return f.read()


def put(path, data):
    with open(path, "wb") as f:
        f.write(data)


for path in (WWW, BIN):
    os.mkdir(path)
put(WWW + "/a.iso", DATA)
os.symlink(PROGRAM, BIN + "/kvm-live-iso")
if not shutil.which("curl"):
    put(BIN + "/curl", CURL.encode())
    os.chmod(BIN + "/curl", 0o755)
    print("# curl is not installed here: a stand-in is used")
put(BIN + "/lsblk", b'#!/bin/sh\nexec /usr/bin/lsblk --properties-by blkid "$@"\n')
os.chmod(BIN + "/lsblk", 0o755)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
URL = f"http://127.0.0.1:{server.server_port}"
SUM = hashlib.sha256(DATA).hexdigest()


@check("an ISO is downloaded, with and without a checksum")
def _():
    iso("get", URL + "/a.iso", SUM.upper(), says="The image a.iso is in the library")
    assert library() == ["a.iso"] and content("a.iso") == DATA
    assert os.stat(LIBRARY + "/a.iso").st_mode & 0o777 == 0o644
    os.rename(LIBRARY + "/a.iso", LIBRARY + "/b.iso")
    iso("get", URL + "/a.iso?x=y")
    assert content("a.iso") == DATA
    os.remove(LIBRARY + "/a.iso")
    iso("get", URL + "/a.iso", hashlib.sha512(DATA).hexdigest())


@check("another checksum: told, and the file is not in the library")
def _():
    iso("get", URL + "/a.iso", "0" * 64, status=2, says=("differs", SUM))
    assert library() == [], library()
    iso("get", URL + "/a.iso", "0" * 63, status=1, says="63 digits")
    iso("get", URL + "/a.iso", "g" * 64, status=1, says="hexadecimal")


@check("a download that was cut short goes on, whole files are not fetched again")
def _():
    put(LIBRARY + "/a.iso.part", DATA[:123456])
    iso("get", URL + "/a.iso", SUM)
    assert Server.served == [123456] and content("a.iso") == DATA
    os.rename(LIBRARY + "/a.iso", LIBRARY + "/a.iso.part")
    iso("get", URL + "/a.iso", SUM)
    assert Server.served == [123456]


@check("one image at a time, until the transfer itself has ended")
def _():
    Server.delay = 0.4
    with subprocess.Popen([PROGRAM, "get", URL + "/a.iso"], env=environ(), stdout=subprocess.DEVNULL) as p:
        while not os.path.exists(LIBRARY + "/a.iso.part"):
            time.sleep(0.05)
        iso("get", URL + "/a.iso", status=1, says="is being brought into the library already")
        assert not p.wait()
    assert content("a.iso") == DATA


def cut(url):
    """A download that has come to a third."""
    Server.delay = 0.4
    with subprocess.Popen([PROGRAM, "get", url], env=environ(), stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as p:
        while not os.path.exists(LIBRARY + "/a.iso.part") or os.path.getsize(LIBRARY + "/a.iso.part") < 100000:
            time.sleep(0.05)
        p.terminate()
    Server.delay, Server.served = 0, []


@check("a part of another file is not gone on with: another address, a newer build, a longer one")
def _():
    os.makedirs(WWW + "/other", exist_ok=True)
    put(WWW + "/other/a.iso", DATA[::-1])
    cut(URL + "/a.iso")
    iso("get", URL + "/other/a.iso")
    assert content("a.iso") == DATA[::-1] and Server.served == [0] and library() == ["a.iso"]
    os.remove(LIBRARY + "/a.iso")
    cut(URL + "/a.iso")
    Server.date = "Tue, 02 Jan 2024 00:00:00 GMT"
    iso("get", URL + "/a.iso", SUM)
    assert Server.served == [0], Server.served
    os.remove(LIBRARY + "/a.iso")
    cut(URL + "/a.iso")
    Server.head = False
    iso("get", URL + "/a.iso", SUM)
    assert len(Server.served) == 1 and Server.served[0] > 0, "no answer to HEAD: it does not go on"
    Server.head = True
    os.remove(LIBRARY + "/a.iso")
    put(LIBRARY + "/a.iso.part", DATA + b"x")
    iso("get", URL + "/a.iso", SUM)
    assert library() == ["a.iso"]


@check("a server that cannot go on in the middle is asked for the whole again")
def _():
    Server.ranges = False
    put(LIBRARY + "/a.iso.part", b"x" * 1000)
    iso("get", URL + "/a.iso", SUM)
    assert content("a.iso") == DATA


@check("what is there stays; wrong addresses and names are answered")
def _():
    put(LIBRARY + "/a.iso", b"mine")
    iso("get", URL + "/a.iso", status=1, says="there is an image a.iso already")
    assert content("a.iso") == b"mine"
    iso("get", URL + "/none.iso", status=1, says="404")
    iso("get", URL + "/a.txt", status=1, says="does not end in .iso, .qcow2")
    iso("get", URL + "/a%20b.iso", status=1, says="characters")
    iso("get", "a.iso", status=1, says="no address")
    iso("get", "http://127.0.0.1:1/b.iso", status=1, says="could not be downloaded")
    assert library() == ["a.iso"], library()
    iso("nonsense", status=1, says="Usage")
    iso("--help", says="Exit status")


@check("an image larger than the room there is is refused before it is fetched")
def _():
    with open(WWW + "/huge.iso", "wb") as f:
        f.truncate(1 << 50 if os.statvfs(WORK).f_frsize > 4096 else 15 << 40)
    iso_free = os.statvfs(LIBRARY).f_bavail * os.statvfs(LIBRARY).f_frsize
    assert iso_free < 15 << 40
    Server.do_HEAD = lambda self: (self.send_response(200), self.send_header(
        "Content-Length", str(15 << 40)), self.end_headers())
    try:
        iso("get", URL + "/huge.iso", status=1, says=("needs 15TiB", "are free"))
    finally:
        Server.do_HEAD = lambda self: self.answer(False)
        os.remove(WWW + "/huge.iso")
    assert Server.served == []


def stick():
    path = WORK + "/stick"
    with open(path, "wb") as f:
        f.truncate(64 << 20)
    loop = subprocess.check_output(["losetup", "-f", "--show", path], text=True).strip()
    subprocess.run(["mkfs.ext4", "-q", "-L", "STICK", loop], check=True)
    at = tempfile.mkdtemp(dir=WORK)
    subprocess.run(["mount", loop, at], check=True)
    os.mkdir(at + "/images")
    put(at + "/images/My disc.iso", DATA)
    os.chown(at + "/images/My disc.iso", 1234, 1234)
    os.chmod(at + "/images/My disc.iso", 0o600)
    subprocess.run(["umount", at], check=True)
    return loop


@check("an ISO on a stick is found and copied; the stick stays as it is")
def _():
    loop = stick()
    try:
        assert f"{loop}\t{64 << 20}\text4\tSTICK" in iso("sticks")
        assert iso("find", loop) == "300000\timages/My disc.iso\n"
        before = hashlib.md5(open(loop, "rb").read()).digest()
        iso("import", loop, "images/My disc.iso", says="The image My_disc.iso is in")
        assert content("My_disc.iso") == DATA and library() == ["My_disc.iso"]
        st = os.stat(LIBRARY + "/My_disc.iso")
        assert (st.st_uid, st.st_mode & 0o777) == (0, 0o644), st
        assert hashlib.md5(open(loop, "rb").read()).digest() == before, "the stick was written to"
        iso("import", loop, "images/My disc.iso", status=1, says="already")
        iso("import", loop, "../etc/passwd", status=1, says="no path on the stick")
        iso("find", "/dev/null", status=1, says="not a stick")
    finally:
        subprocess.run(["losetup", "-d", loop], check=False)


def menu():
    with open(BIN + "/kvm-detect", "w") as f:
        f.write('#!/bin/sh\necho \'{"verdict": "ready"}\'\n')
    os.chmod(BIN + "/kvm-detect", 0o755)
    m = Menu([TOP + "/build/userland/kvm-menu", "--connect", "test:///default", "--pool",
              "default-pool", "--iso-dir", LIBRARY], env={"PATH": environ()["PATH"], "KVM_LIVE_ISO_DIR": LIBRARY,
                                          "KVM_LIVE_ISO_STICKS": "loop"})
    m.see("What do you want to do?")
    m.key("l", "Download an image")
    return m


@check("cloud images come into the library as well")
def _():
    for name in ("c.qcow2", "c.img", "c.raw"):
        os.symlink("a.iso", f"{WWW}/{name}")
        iso("get", f"{URL}/{name}", SUM, says=f"The image {name} is in the library")
        assert content(name) == DATA
        os.unlink(f"{WWW}/{name}")
    m = menu()
    m.see("1  c.qcow2", "2  c.img", "3  c.raw")


@check("the menu downloads with a bar, can be left meanwhile, and lists and deletes")
def _():
    Server.delay = 0.4
    m = menu()
    m.key("d", "Address of the ISO")
    m.key(URL + "/a.iso" + ENTER, "SHA-256")
    m.key(SUM + ENTER, "a.iso: ", "of 292.9 KiB", "====", " %")
    m.key("b", "What do you want to do?")
    m.key("l", "S  Stop the transfer")
    m.see("The image a.iso is in the library.")
    m.key(ENTER, "1  a.iso", "292.9 KiB", "D  Download")
    m.key("1", "Delete the image a.iso?")
    m.key("y")
    m.gone("a.iso")
    assert library() == []


@check("the menu stops a download, which goes on later")
def _():
    Server.delay = 0.4
    m = menu()
    m.key("d", "Address of the ISO")
    m.key(URL + "/a.iso" + ENTER, "SHA-256")
    m.key(ENTER, "a.iso: ", "====")
    m.key("s", "Stop the transfer of a.iso?")
    m.key("y", "It was stopped.")
    assert "a.iso" not in library() and "a.iso.part" in library(), library()
    Server.delay = 0
    m.key(ENTER, "D  Download")
    m.key("d", "Address of the ISO")
    m.key(URL + "/a.iso" + ENTER, "SHA-256")
    m.key(ENTER, "is in the library")
    assert content("a.iso") == DATA and Server.served[-1] > 0, Server.served


@check("the menu imports from a stick")
def _():
    loop = stick()
    try:
        m = menu()
        m.key("i", "Choose one.", loop)
        m.settle()
        row = [r for r in m.text().split("\n") if loop in r][0]
        m.key(row.split(loop)[0].strip(" |"), "images/My disc.iso")
        m.key("1", "is in the library")
        m.key(ENTER, "1  My_disc.iso")
    finally:
        subprocess.run(["losetup", "-d", loop], check=False)


shutil.rmtree(WORK, ignore_errors=True)
menudriver.finish()
