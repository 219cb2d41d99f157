# SPDX-License-Identifier: MIT
"""Real programs at work, for cases and benches that want stacks which nobody wrote for them.

`launched(name, stax, seconds)` is a command line that works for some seconds of CPU.
`running(name, stax, seconds)` is the pid of a process at work, while the block lasts. Both raise
Missing where the program is not installed.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import place
from private_server import Account, Stax, wait_until

PYTHON = """
import json, re, sys, time
end = time.time() + float(sys.argv[1])
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
while time.time() < end:
    fib(15); json.loads(json.dumps([{"a": i, "b": [1, 2]} for i in range(100)]))
    re.findall("(a+)(b*)c", "aaabbbcaac" * 20); sorted(range(500), key=lambda x: -x % 7)
"""

SQL = ("with recursive c(x) as (select 1 union all select x + 1 from c where x < %d) "
       "select sum(x * x %% 7), count(distinct x %% 1000), max(hex(x)) from c;")

NODE = """
const end = Date.now() + %d;
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
class Point { constructor(x, y) { this.x = x; this.y = y; } norm() { return this.x * this.y; } }
let sum = 0;
while (Date.now() < end) {
  sum += fib(20) + JSON.stringify({a: [1, 2, 3]}).length;
  sum += [...Array(300).keys()].map(x => new Point(x, sum %% 7)).reduce((a, p) => a + p.norm(), 0);
  sum += "a,b,c".repeat(30).split(",").sort().join("").replace(/b+/g, "x").length;
}
console.log(sum > 0);
"""

JAVA = """
import java.util.*;
public class Busy {
    static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
    static int words(int n) {
        Map<String, Integer> counts = new TreeMap<>();
        for (int i = 0; i < 300; i++) counts.merge("word" + i * n % 97, 1, Integer::sum);
        return counts.values().stream().mapToInt(x -> x * x).sum();
    }
    public static void main(String[] args) {
        long end = System.currentTimeMillis() + Long.parseLong(args[0]), sum = 0;
        while (System.currentTimeMillis() < end) sum += fib(18) + words((int) (sum % 89));
        System.out.println(sum != 1);
    }
}
"""

PAGE = """<!DOCTYPE html><title>busy</title><body><div id=all></div><script>
const end = performance.now() + %d;
let turns = 0;
while (performance.now() < end) {
  const all = document.getElementById("all");
  all.innerHTML = "";
  for (let i = 0; i < 60; i++) {
    const p = document.createElement("p");
    p.textContent = "line " + i + " of turn " + turns;
    p.style.width = (100 + i) + "px";
    all.appendChild(p);
  }
  turns += all.getBoundingClientRect().height > 0 ? 1 : 0;
  JSON.parse(JSON.stringify([...Array(200).keys()]));
}
document.title = "done " + (turns > 0);
</script>"""

CPP_HEAD = "#include <algorithm>\n#include <map>\n#include <regex>\n#include <string>\n"
CPP_FUNCTION = """
std::map<std::string, std::vector<int>> index{n}(const std::vector<std::string> &all) {{
    std::map<std::string, std::vector<int>> found;
    std::regex pattern("a{n}+(b|c)*");
    for (const auto &text : all) {{
        std::smatch match;
        if (std::regex_search(text, match, pattern)) found[match[0]].push_back({n});
    }}
    auto less = [](const std::string &a, const std::string &b) {{ return a.size() + {n} < b.size(); }};
    std::vector<std::string> copy(all);
    std::sort(copy.begin(), copy.end(), less);
    for (const auto &text : copy) found[text].insert(found[text].begin(), {n});
    return found;
}}
"""


class Missing(Exception):
    """The program is not installed; the message says so."""


def need(name):
    path = place.find(name)
    if path is None:
        raise Missing(f"{name} is not installed")
    return path


def c_source(n_functions):
    lines = ["double sin(double);", "double sqrt(double);", "int printf(const char *, ...);"]
    for i in range(n_functions):
        lines.append(f"double f{i}(double x, int n) {{ double s = {i}; for (int i = 0; i < n; i++) "
                     f"{{ s += sin(x * i + {i}) / (i + 1); if (s > 1e6) {{ s = sqrt(s) - x; }} "
                     f"switch (i % 7) {{ case 0: s *= 1.5; break; case 3: s -= {i}; break; "
                     f"default: s += x; }} }} printf(\"%f\", s); return s; }}")
    return "\n".join(lines) + "\n"


def written(stax, name, text):
    path = stax.folder / name
    path.write_text(text)
    os.chmod(path, 0o644)
    return path


def java_classes(stax):
    compiler = need("javac")
    written(stax, "Busy.java", JAVA)
    subprocess.run([compiler, "-d", str(stax.folder), str(stax.folder / "Busy.java")], check=True,
                   capture_output=True)
    for file in stax.folder.glob("Busy*.class"):
        os.chmod(file, 0o644)
    return stax.folder


def chromium_command(stax, seconds):
    exe = need("chromium")
    page = written(stax, "busy.html", PAGE % (1000 * seconds))
    return [exe, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
            f"--user-data-dir={stax.folder / 'chromium'}", "--dump-dom", f"file://{page}"]


def java_command(stax, seconds, *options):
    folder = java_classes(stax)
    return [need("java"), *options, "-XX:+PreserveFramePointer", "-cp", folder, "Busy",
            str(int(1000 * seconds))]


def java_agent_command(stax, seconds):
    agent = Path(stax.program("libjvm_agent.so"))
    if not agent.exists():
        raise Missing("no JDK headers when the test programs were built")
    dumps = stax.folder / ".debug" / "jit" / "java-1"
    if stax.run("mkdir", "-p", dumps).returncode != 0:
        raise Missing("no folder for the agent")
    return java_command(stax, seconds, f"-agentpath:{agent}={dumps}")


def gcc_command(stax, seconds):
    compiler = subprocess.run([need("gcc"), "-print-prog-name=cc1"], capture_output=True,
                              text=True, check=True).stdout.strip()
    source = written(stax, "big.c", c_source(int(130 * seconds)))
    return [compiler, "-quiet", "-O2", source, "-o", "/dev/null"]


def clang_command(stax, seconds):
    exe = place.find("clang-14") or need("clang")
    body = "".join(CPP_FUNCTION.format(n=n) for n in range(int(6 * seconds)))
    source = written(stax, "big.cc", CPP_HEAD + body)
    return [exe, "-O2", "-c", source, "-fintegrated-cc1", "-o", "/dev/null"]


def xz_command(stax, seconds):
    path = stax.folder / "data"
    path.write_bytes(b"".join(b"%d line of text %d\n" % (i, i * i % 9973)
                              for i in range(int(40000 * seconds))))
    os.chmod(path, 0o644)
    return [need("xz"), "-9", "-k", "-c", "-T1", path]


COMMANDS = {
    "python3": lambda stax, s: [need("python3"), "-c", PYTHON, str(s)],
    "sqlite3": lambda stax, s: [need("sqlite3"), ":memory:", SQL % int(1300000 * s)],
    "xz": xz_command,
    "gcc": gcc_command,
    "clang": clang_command,
    "node --perf-prof": lambda stax, s: [need("node"), "--perf-prof", "-e", NODE % (1000 * s)],
    "node --perf-basic-prof":
        lambda stax, s: [need("node"), "--perf-basic-prof", "-e", NODE % (1000 * s)],
    "node": lambda stax, s: [need("node"), "-e", NODE % (1000 * s)],
    "java with a map": lambda stax, s: java_command(
        stax, s, "-XX:+UnlockDiagnosticVMOptions", "-XX:+DumpPerfMapAtExit"),
    "java with an agent": java_agent_command,
    "chromium": chromium_command,
}


def launched(name, stax, seconds):
    """The command line."""
    return [str(word) for word in COMMANDS[name](stax, seconds)]


@contextlib.contextmanager
def redis(stax, seconds):
    benchmark = need("redis-benchmark")
    path = stax.folder / "redis.sock"
    server = stax.popen(need("redis-server"), "--port", "0", "--unixsocket", path, "--save", "",
                        "--appendonly", "no", "--dir", stax.folder, stdout=subprocess.DEVNULL)
    wait_until(path.exists, what="redis' socket")
    load = stax.popen(benchmark, "-s", path, "-n", int(100000000), "-c", 20, "-q", "-r", 100000,
                      "-t", "set,get,lpush,sadd,zadd", stdout=subprocess.DEVNULL)
    try:
        time.sleep(0.3)
        yield server.pid
    finally:
        for process in (load, server):
            process.kill()
            process.wait()


def unprivileged(account):
    """postgres refuses to run as root."""
    if not account.is_root:
        return account
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise Missing("no unprivileged account to run postgres as")


@contextlib.contextmanager
def postgres(stax, seconds):
    """One backend that pgbench talks to."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        raise Missing("postgres is not installed")
    folder = Path(tempfile.mkdtemp(prefix="stax-pg-"))
    user = Stax(folder, unprivileged(stax.account))
    user.env["PATH"] = f"{found[-1]}:/usr/bin:/bin"
    at = ("-h", folder, "-U", "bench")

    def do(*command):
        done = user.run(*command, timeout=120)
        assert done.returncode == 0, done
        return done.stdout

    def backend():
        pids = do("psql", *at, "-Atc", "select pid from pg_stat_activity where application_name = "
                  "'pgbench'", "postgres").split()
        return pids and int(pids[0])

    server = None
    try:
        do("initdb", "-D", folder / "db", "-A", "trust", "-U", "bench", "--no-sync")
        server = user.popen(found[-1] / "postgres", "-D", folder / "db", "-k", folder, "-c",
                            "listen_addresses=", "-c", "fsync=off", "-c", "autovacuum=off",
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: user.run("psql", *at, "-Atc", "select 1", "postgres").returncode == 0,
                   30, "a started postgres")
        do("pgbench", *at, "-i", "-s", "2", "-q", "postgres")
        load = user.popen("pgbench", *at, "-c", "1", "-P", "1", "-T", str(int(seconds) + 60),
                          "postgres")
        while "tps" not in load.stderr.readline():
            pass
        yield wait_until(backend, what="pgbench's backend")
        load.kill()
        load.wait()
    finally:
        if server:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)
        user.end_all()
        shutil.rmtree(folder, ignore_errors=True)


def busy_descendant(pid, mark, least_ticks=150):
    """The pid of a process below this one whose command line has the mark and that has run for a
    while; None: not yet. A browser keeps another one at hand, which starts and then does nothing."""
    parents, ticks = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fields = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
                parents[int(entry)] = int(fields[1])
                ticks[int(entry)] = int(fields[11]) + int(fields[12])
    for child in parents:
        above = child
        while above and above != pid:
            above = parents.get(above, 0)
        with contextlib.suppress(OSError):
            if (above == pid and ticks[child] >= least_ticks
                    and mark in Path(f"/proc/{child}/cmdline").read_bytes()):
                return child
    return None


@contextlib.contextmanager
def chromium_renderer(stax, seconds):
    browser = stax.popen(*chromium_command(stax, seconds + 30), stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield wait_until(lambda: busy_descendant(browser.pid, b"--type=renderer"), 30,
                         "a busy renderer")
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()


@contextlib.contextmanager
def command(name, stax, seconds):
    process = stax.popen(*launched(name, stax, seconds), stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.7)
        yield process.pid
    finally:
        process.kill()
        process.wait()


ATTACHED = {"redis": redis, "postgres": postgres, "chromium's renderer": chromium_renderer}


def running(name, stax, seconds):
    """The pid, as a context."""
    if name in ATTACHED:
        return ATTACHED[name](stax, seconds)
    return command(name, stax, seconds)
