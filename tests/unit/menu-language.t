#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""kvm-menu in Chinese: every text is translated, fits its column and the screen at
80x24 in tmux, and English stays what and where it was.
"""
import os
import re
import subprocess
import sys
import tempfile
import time
import unicodedata

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from menudriver import TOP, Menu, check, finish

BUILD = TOP + "/build/userland"
PROGRAM = BUILD + "/kvm-menu"
SOURCE = TOP + "/userland/menu"
PO = SOURCE + "/po/zh_CN.po"
REPORTS = TOP + "/build/reports/screens/zh_CN"
DIR = tempfile.mkdtemp()
os.chmod(DIR, 0o755)
with open(DIR + "/detect", "w") as f:
    f.write('#!/bin/sh\necho \'{"verdict": "ready", "evidence": []}\'\n')
os.chmod(DIR + "/detect", 0o755)
with open(DIR + "/\u6d4b\u8bd5\u955c\u50cf.iso", "w") as f:
    f.write("x" * 40000)
LOCALE = ("LC_ALL", "LC_CTYPE", "LC_MESSAGES", "LANG", "LANGUAGE")
ARGS = ["-c", "test:///default", "-p", "default-pool", "-i", DIR, "-d", DIR + "/detect"]
ENGLISH, CHINESE = "What do you want to do?", "您要做什么？"


def width(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def entries(path):
    """msgid: [msgstr...] of the entries that are in use, and those that are fuzzy."""
    texts, fuzzy, flags, key = {}, set(), "", None
    with open(path, encoding="utf-8") as po:
        for line in [*po, "\n"]:
            m = re.match(r'(?:(msgid|msgid_plural|msgstr)(?:\[\d\])? )?"(.*)"$', line)
            if line.startswith("#,"):
                flags = line
            elif m:
                text = m[2].replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")
                if m[1] == "msgid":
                    entry, key = {"msgid": "", "msgid_plural": "", "msgstr": ""}, "msgid"
                key = m[1] or key
                entry[key] += text
            elif line == "\n" and key:
                texts[entry["msgid"]] = entry["msgstr"]
                if "fuzzy" in flags:
                    fuzzy.add(entry["msgid"])
                flags, key = "", None
    texts.pop("", None)
    return texts, fuzzy


subprocess.run(["make", "-s", "-C", SOURCE, "O=" + BUILD, "pot", "all"], check=True,
               stdout=sys.stderr)
CATALOGUE, FUZZY = entries(PO)


@check("every text of the menu is in zh_CN.po, translated and not fuzzy")
def _():
    template, _ = entries(BUILD + "/kvm-menu.pot")
    assert len(template) > 600, f"only {len(template)} texts were found"
    missing = [text for text in template if not CATALOGUE.get(text)]
    assert not missing, "make -C userland/menu po, and translate: " + "\n".join(missing)
    assert not FUZZY & set(template), "fuzzy: " + "\n".join(FUZZY & set(template))
    old = set(CATALOGUE) - set(template)
    assert not old, "no longer in the menu: " + "\n".join(old)


@check("format directives and line ends agree")
def _():
    subprocess.run(["msgfmt", "-c", "-o", "/dev/null", PO], check=True)


@check("rows of tables begin their values in the same column")
def _():
    rows = 0
    for text, chinese in CATALOGUE.items():
        m = re.match(r"([A-Z][^%\n]*?  +)%", text)
        if m:
            rows += 1
            at = width(chinese[:chinese.index("%")])
            assert at == len(m[1]), f"column {at}, not {len(m[1])}: {chinese}"
    assert rows > 20, f"only {rows} such rows were found"


@check("no character of a width on which terminals differ")
def _():
    for chinese in CATALOGUE.values():
        odd = [c for c in chinese if unicodedata.east_asian_width(c) == "A"]
        assert not odd, f"{odd} in {chinese}"


class Tmux:
    """A terminal of 80x24 in UTF-8."""
    count = 0

    def __init__(self, *args, term=None, home="nobody", **env):
        Tmux.count += 1
        self.socket = f"{DIR}/tmux{Tmux.count}"
        clean = [word for name in (*LOCALE, "XDG_CONFIG_HOME") for word in ("-u", name)]
        words = ["env", *clean, f"TEXTDOMAINDIR={BUILD}/locale",
                 f"HOME={DIR}/{home}",
                 f"PATH={BUILD}:{os.environ['PATH']}", *(["TERM=" + term] if term else []),
                 *(f"{name}={value}" for name, value in env.items()), PROGRAM, *ARGS, *args]
        self.run("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", *words)
        self.run("set", "-g", "status", "off")
        self.run("resize-window", "-x", "80", "-y", "24")

    def run(self, *args):
        return subprocess.run(["tmux", "-u", "-S", self.socket, *args], check=True,
                              stdout=subprocess.PIPE, encoding="utf-8",
                              env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout

    def text(self):
        return self.run("capture-pane", "-p")

    def see(self, *words):
        end = time.monotonic() + 20
        while True:
            text = self.text()
            missing = [word for word in words if word not in text]
            if not missing:
                return text
            assert time.monotonic() < end, f"not on the screen: {missing}\n{text}"
            time.sleep(0.05)

    def key(self, keys, *words):
        Menu.typed += 1
        self.run("send-keys", *([keys] if keys in ("Enter", "Escape") else ["-l", keys]))
        return self.see(*words)

    def fits(self):
        """Each row of the window has both its edges, in the columns of its frame."""
        end = time.monotonic() + 10
        while True:
            lines = self.text().rstrip("\n").split("\n")
            frames = [i for i, line in enumerate(lines) if line.strip().startswith("+--")]
            if len(lines) == 24 and len(frames) == 2 and "Tab" in lines[-1] and \
                    all(width(line) <= 80 for line in lines):
                inside = lines[frames[0]:frames[1] + 1]
                left = lines[frames[0]].index("+")
                if all(line[left:left + 1] in "+|" and line[-1] in "+|#" and
                       width(line) == width(inside[0]) for line in inside):
                    return lines
            assert time.monotonic() < end, "it does not fit\n" + "\n".join(lines)
            time.sleep(0.05)

    def keep(self, name):
        os.makedirs(REPORTS, exist_ok=True)
        with open(f"{REPORTS}/{name}.txt", "w", encoding="utf-8") as f:
            f.write("\n".join(self.fits()) + "\n")

    def end(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], check=False,
                       stderr=subprocess.DEVNULL)


# key, words on the screen; Escape leads back
SCREENS = [
    ("h", "KVM 判定：ready"), ("Escape", CHINESE),
    ("d", "选择一个磁盘"), ("c", "分配方式         按需增长"), ("n", "磁盘名称"),
    ("a b", "a b"), ("Enter", "名称只能包含"), ("Escape", "磁盘名称"), ("Escape", "创建磁盘"),
    ("f", "各种格式"), ("Escape", "创建磁盘"), ("Escape", "选择一个磁盘"), ("Escape", CHINESE),
    ("t", "重启后保留"), ("p", "default-pool"), ("a", "哪一种"), ("Escape", "default-pool"),
    ("Escape", "重启后保留"), ("Escape", CHINESE),
    ("l", "测试镜像.iso"), ("Escape", CHINESE),
    ("i", "选择 ISO 或云映像"), ("t", "完整路径"), ("Escape", "测试镜像.iso"), ("Escape", CHINESE),
    ("g", "选择一台虚拟机"), ("1", "虚拟机 test：运行中"), ("e", "UUID"), ("Escape", "运行中"),
    ("h", "引导顺序         "), ("m", "虚拟机的内存"), ("Escape", "引导顺序"),
    ("k", "vda"), ("Escape", "引导顺序"), ("Escape", "运行中"),
    ("t", "创建新快照"), ("Escape", "运行中"), ("f", "切断虚拟机 test 的电源"),
    ("Escape", "运行中"), ("l", "磁盘内容会变化"), ("Escape", "运行中"),
    ("Escape", "选择一台虚拟机"), ("Escape", CHINESE),
    ("p", "重启本机"), ("p", "有 1 台虚拟机在运行：test。"), ("Escape", "重启本机"),
    ("Escape", CHINESE), ("q", "离开菜单？"), ("Escape", CHINESE),
]


@check("the main screens in Chinese fit 80x24")
def _():
    t = Tmux(LANG="zh_CN.UTF-8")
    try:
        t.see(CHINESE, "退出菜单")
        for n, (key, words) in enumerate(SCREENS):
            t.key(key, words)
            t.keep(f"{n:02d}")
    finally:
        t.end()


@check("the language comes from LANGUAGE, LANG or --language, and Z changes it")
def _():
    for args, env, words in ((["--language", "zh_CN"], {}, CHINESE),
                             ([], {"LANG": "C.UTF-8", "LANGUAGE": "zh_CN:en"}, CHINESE),
                             (["-l", "en"], {"LANG": "zh_CN.UTF-8"}, ENGLISH),
                             ([], {"LC_ALL": "zh_CN.UTF-8"}, CHINESE),
                             ([], {"LANG": "de_DE.UTF-8"}, ENGLISH)):
        t = Tmux(*args, **env)
        try:
            t.see(words)
        finally:
            t.end()
    t = Tmux(LANG="C.UTF-8", home="z")
    try:
        t.see(ENGLISH, "Zhongwen")
        t.key("z", CHINESE)
        t.key("g", "选择一台虚拟机")
        t.key("Escape", CHINESE)
        t.key("z", ENGLISH)
        assert t.text().isascii(), t.text()
        t.key("z", CHINESE)
    finally:
        t.end()


@check("the choice is kept for later sessions, but for --language and where it cannot be shown")
def _():
    def session(words, *args, key=None, home="chooser", **env):
        t = Tmux(*args, home=home, **{"LANG": "C.UTF-8", **env})
        try:
            t.see(words)
            if key:
                t.key("z", key)
        finally:
            t.end()

    session(ENGLISH, key=CHINESE)
    with open(DIR + "/chooser/.config/kvm-menu/language") as f:
        assert f.read() == "zh_CN\n"
    session(CHINESE)
    session(ENGLISH, "-l", "en")
    session(ENGLISH, LANG="C")
    session(ENGLISH, term="linux")
    session(CHINESE, key=ENGLISH)
    session(ENGLISH, LANG="zh_CN.UTF-8")
    with open(DIR + "/chooser/.config/kvm-menu/language", "w") as f:
        f.write("\n")
    session(CHINESE, LANG="zh_CN.UTF-8")
    with open(DIR + "/file", "w"):
        pass
    session(ENGLISH, key=CHINESE, home="file")


@check("a choice that turns up later, on a data volume that is found late, is followed once")
def _():
    t = Tmux(LANG="C.UTF-8", home="late")
    try:
        t.see(ENGLISH)
        os.makedirs(DIR + "/late/.config/kvm-menu")
        with open(DIR + "/late/.config/kvm-menu/language", "w") as f:
            f.write("zh_CN\n")
        t.key("h", "KVM verdict")
        t.key("b", CHINESE)
        t.key("z", ENGLISH)
        with open(DIR + "/late/.config/kvm-menu/language", "w") as f:
            f.write("zh_CN\n")
        t.key("h", "KVM verdict")
        t.key("b", ENGLISH)
    finally:
        t.end()


@check("English where Chinese cannot be shown, with nothing but ASCII and no row for it")
def _():
    for env in ({"LANG": "C"}, {}, {"LANG": "zh_CN.UTF-8", "term": "linux"},
                {"LANG": "C", "LANGUAGE": "zh_CN"}, {"LANG": "zh_CN.GB2312"},
                {"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}):
        t = Tmux(**env)
        try:
            t.see(ENGLISH)
            assert t.text().isascii() and "Zhongwen" not in t.text(), f"{env}\n{t.text()}"
        finally:
            t.end()
    t = Tmux("--language", "zh_CN", term="linux", LANG="zh_CN.UTF-8")
    try:
        t.see(ENGLISH)
    finally:
        t.end()


@check("a language without translation is answered")
def _():
    m = Menu([PROGRAM, *ARGS, "--language", "xx"], env={"TEXTDOMAINDIR": BUILD + "/locale"})
    m.see("no translation into xx")
    assert m.ended() == 1, "exit status"


finish()
