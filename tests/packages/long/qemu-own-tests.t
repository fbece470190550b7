#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU's own tests, qtest's for x86-64 and the iotests' quick group for raw, qcow and
qcow2, on our QEMU and on the same build without our patches: what passes there passes
here. Both results of each test are in build/reports/qemu-own-tests.tsv. Some depend on
how busy the machine is: what fails on ours alone must pass three times in a row then.

  qemu-own-tests.t [WORD]...    only tests that have one of these words in their name"""
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
FROM = {"ours": TOP + "/build/qemu", "unpatched": TOP + "/build/qemu-unpatched"}
TESTS = FROM["unpatched"]
REPORT = TOP + "/build/reports/qemu-own-tests.tsv"
FORMATS = ("raw", "qcow", "qcow2")
WORDS = sys.argv[1:]
JOBS = str(os.cpu_count())

for folder in FROM.values():
    if not glob.glob(folder + "/*.deb"):
        print(f"1..0 # SKIP {folder[len(TOP) + 1:]} has no packages: make check-qemu-own-tests")
        sys.exit(0)
if not os.environ.get("QEMU_OWN_TESTS"):
    os.environ["QEMU_OWN_TESTS"] = "1"
    os.execv(TOP + "/tests/without-kvm", ["without-kvm", sys.executable, os.path.abspath(__file__), *WORDS])
work = tempfile.mkdtemp(prefix="qemu-tests-")


def unpack(which):
    """A build's programs below work/WHICH, with the module that its packages leave out."""
    root = f"{work}/{which}"
    for deb in glob.glob(FROM[which] + "/*.deb"):
        subprocess.run(["dpkg-deb", "-x", deb, root], check=True)
    modules = glob.glob(root + "/usr/lib/*/qemu")[0]
    shutil.copy(FROM[which] + "/accel-qtest-x86_64.so", modules)
    programs = root + "/usr/bin/"
    return dict(os.environ, QEMU_MODULE_DIR=modules, PYTHON=sys.executable,
                QTEST_QEMU_BINARY=programs + "qemu-system-x86_64", QTEST_QEMU_IMG=programs + "qemu-img",
                QTEST_QEMU_STORAGE_DAEMON_BINARY=programs + "qemu-storage-daemon",
                QEMU_PROG=programs + "qemu-system-x86_64", QEMU_IMG_PROG=programs + "qemu-img",
                QEMU_IO_PROG=programs + "qemu-io", QEMU_NBD_PROG=programs + "qemu-nbd",
                QSD_PROG=programs + "qemu-storage-daemon", G_TEST_SRCDIR=TESTS + "/src/tests",
                G_TEST_BUILDDIR=TESTS + "/build/tests", MALLOC_PERTURB_="165")


def run(command, env, limit, cwd):
    """What it printed, and its status; None when it was stopped."""
    with tempfile.TemporaryFile("w+", errors="replace") as out:
        try:
            status = subprocess.run(["timeout", "-k", "5", str(limit), *command], env=env, cwd=cwd,
                                    stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT).returncode
        except OSError as error:
            return str(error), None
        out.seek(0)
        return out.read(), None if status in (124, 137) else status


def tap(prefix, text):
    """The results of TAP: {name: pass, fail or skip}."""
    found = {}
    for state, name, skip in re.findall(r"^(ok|not ok) +\d* *(?:- )?(.*?)(# *SKIP.*)?$", text, re.M):
        found[prefix + name.strip()] = "skip" if skip else "pass" if state == "ok" else "fail"
    return found


def qtests(env, words=WORDS):
    results = {}
    with open(TESTS + "/tests.json") as f:
        tests = [t for t in json.load(f) if "/tests/qtest/" in t["cmd"][0]]
    for t in sorted(tests, key=lambda t: t["cmd"][0]):
        name = os.path.basename(t["cmd"][0])
        if "qtest/" + name in results or words and not any(w in "qtest/" + name for w in words):
            continue
        said, status = run([f"{TESTS}/build/tests/qtest/{name}", *t["cmd"][1:]], env,
                           max(t.get("timeout") or 0, 120), scratch)
        results.update(tap(f"qtest/{name} ", said))
        results[f"qtest/{name}"] = "pass" if status in (0, 77) else "fail"
    return results


def iotest(env, form, *which):
    """The results of check, and what it printed."""
    directory = tempfile.mkdtemp(prefix=form, dir=scratch)
    said, status = run([sys.executable, TESTS + "/src/tests/qemu-iotests/check", "-tap", f"-{form}",
                        "--source-dir", TESTS + "/src/tests/qemu-iotests", "--build-dir", directory, *which],
                       dict(env, TEST_DIR=directory + "/scratch", PYTHONPATH=TESTS + "/src/python"),
                       3000, directory)
    return tap(f"iotests/{form} ", said), said, status


def iotests(env):
    results = {}
    for form in FORMATS:
        if WORDS and not any(w in "iotests/" + form for w in WORDS):
            continue
        found, said, status = iotest(env, form, "-j", JOBS, "-g", "quick")
        results.update(found)
        # It ends with 1 when a test failed.
        results[f"iotests/{form}"] = "pass" if status in (0, 1) and f"iotests/{form}" in str(results) else "fail"
        with open(f"{TOP}/build/logs/qemu-iotests-{form}-{os.path.basename(scratch)}", "w") as f:
            f.write(said)
    return results


def again(env, name):
    """What a test that failed on ours alone does three times in a row."""
    suite, _, test = name.partition(" ")
    for _ in range(3):
        if suite.startswith("iotests/") and test:
            found = iotest(env, suite.removeprefix("iotests/"), test.split()[-1])[0]
        else:
            found = qtests(env, [suite])
        if found.get(name) != "pass":
            return "fail"
    print(f"# {name} failed once, and passed three times when it was run again")
    return "pass"


table = {}
os.makedirs(TOP + "/build/logs", exist_ok=True)
os.makedirs(TOP + "/build/reports", exist_ok=True)
try:
    for which in FROM:
        env = unpack(which)
        scratch = f"{work}/scratch/{which}"
        os.makedirs(scratch)
        for name, result in (qtests(env) | iotests(env)).items():
            table.setdefault(name, {})[which] = result
    env = unpack("ours")
    for name, results in table.items():
        if results.get("unpatched") == "pass" and results.get("ours") == "fail":
            results["ours"] = again(env, name)
finally:
    shutil.rmtree(work, ignore_errors=True)

with open(REPORT, "w") as f:
    f.write("test\tours\tunpatched\n")
    for name in sorted(table):
        f.write(f"{name}\t{table[name].get('ours', '-')}\t{table[name].get('unpatched', '-')}\n")
count = failed = 0
for suite in sorted({n.split(" ")[0] for n in table}):
    rows = {n: t for n, t in table.items() if n.split(" ")[0] == suite}
    worse = [n for n, t in rows.items() if t.get("unpatched") == "pass" and t.get("ours") != "pass"]
    count += 1
    failed += bool(worse)
    results = list(t.get("ours") for t in rows.values())
    print(f"{'not ' if worse else ''}ok {count} - {suite}: {results.count('pass')} pass, "
          f"{results.count('fail')} fail, {results.count('skip')} skipped; {len(worse)} worse than without patches")
    for n in worse:
        print(f"# {n}: {rows[n].get('ours')}, without patches: {rows[n].get('unpatched')}")
print(f"1..{count}")
sys.exit(failed != 0 or not count)
