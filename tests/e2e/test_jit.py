# SPDX-License-Identifier: MIT
"""Code that programs make while they run: by name, with callers, and by time.

tests/programs/jit knows its truth; node and java are real. Tolerance for the
shares of functions is that of the acceptance, 1.5 points.
"""

import contextlib
import json
import os
import platform
import signal
import struct
import subprocess
import time
from pathlib import Path

import pytest

import place
from private_server import wait_until

POINTS = 1.5
NODE_SOURCE = """
function leaf(n) {
  let x = n;
  for (let i = 0; i < 300; i++) { x = (x * 31 + i) %% 1000003; }
  return x;
}
function hot(n) { let s = 0; for (let i = 0; i < 2000; i++) { s += leaf(i + n); } return s; }
function outer(n) { let s = 0; for (let i = 0; i < 5; i++) { s += hot(n + i); } return s; }
const used = () => process.cpuUsage().user / 1000;
const end = used() + %d; let sum = 0;
while (used() < end) { sum += outer(sum %% 7); }
console.log(sum > 0);
"""
JAVA_SOURCE = """
public class Hot {
    static int leaf(int n) {
        int x = n;
        for (int i = 0; i < 300; i++) x = (x * 31 + i) %% 1000003;
        return x;
    }
    static int hot(int n) {
        int s = 0;
        for (int i = 0; i < 2000; i++) s += leaf(i + n);
        return s;
    }
    public static void main(String[] words) {
        long end = System.currentTimeMillis() + %d; int sum = 0;
        while (System.currentTimeMillis() < end) sum += hot(sum %% 7);
        System.out.println(sum != 1);
    }
}
"""

# Two functions that get 70 and 30 % in turns of random length; what each got is the last line.
NODE_SPLIT_SOURCE = """
function work70(n) { let x = 7; for (let i = 0; i < n; i++) { x = (x * 31 + i) %% 1000003; } return x; }
function work30(n) { let x = 5; for (let i = 0; i < n; i++) { x = (x * 37 + i) %% 1000003; } return x; }
const used = () => process.cpuUsage().user + process.cpuUsage().system;
const works = [work70, work30], shares = [0.7, 0.3];
for (let i = 0; i < 200; i++) { works[i %% 2](20000); }
const got = [0, 0];
let seed = 7, sum = 0;
const end = used() + %d * 1000;
for (let now = used(); now < end;) {
  const all = got[0] + got[1];
  const which = shares[0] * all - got[0] >= shares[1] * all - got[1] ? 0 : 1;
  seed = (seed * 1103515245 + 12345) %% 2147483648;
  sum += works[which](100000 + seed %% 200000);
  const after = used();
  got[which] += after - now;
  now = after;
}
console.log(JSON.stringify({work70: got[0], work30: got[1], sum: sum > 0}));
"""
JAVA_SPLIT_SOURCE = """
public class Hot {
    static int work70(int n) { int x = 7; for (int i = 0; i < n; i++) x = (x * 31 + i) %% 1000003; return x; }
    static int work30(int n) { int x = 5; for (int i = 0; i < n; i++) x = (x * 37 + i) %% 1000003; return x; }
    public static void main(String[] words) {
        java.lang.management.ThreadMXBean clock =
            java.lang.management.ManagementFactory.getThreadMXBean();
        int sum = 0;
        for (int i = 0; i < 20000; i++) sum += work70(100) + work30(100);
        long got70 = 0, got30 = 0, seed = 7;
        long now = clock.getCurrentThreadCpuTime(), end = now + %dL * 1000000;
        while (now < end) {
            boolean is70 = 0.7 * (got70 + got30) - got70 >= 0.3 * (got70 + got30) - got30;
            seed = (seed * 1103515245L + 12345) %% 2147483648L;
            int n = 100000 + (int)(seed %% 200000);
            sum += is70 ? work70(n) : work30(n);
            long after = clock.getCurrentThreadCpuTime();
            if (is70) got70 += after - now; else got30 += after - now;
            now = after;
        }
        System.out.println("{\\"work70\\": " + got70 + ", \\"work30\\": " + got30 + "}");
    }
}
"""

needs_x86 = pytest.mark.skipif(platform.machine() != "x86_64",
                               reason="tests/programs/jit writes x86-64 code")


leftovers = set()


@pytest.fixture(autouse=True)
def tidy_maps():
    """Maps stay in /tmp when their programs have ended: those of a case go a minute later, since one
    that came meanwhile can be that of a case beside it, which still reads it."""
    before = set(Path("/tmp").glob("perf-*.map"))
    yield
    leftovers.update(set(Path("/tmp").glob("perf-*.map")) - before)
    for path in list(leftovers):
        with contextlib.suppress(FileNotFoundError):
            if (not Path("/proc", path.stem.removeprefix("perf-")).exists()
                    and time.time() - path.stat().st_mtime > 60):
                path.unlink()
                leftovers.discard(path)


def need(name):
    path = place.find(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def self_shares(stax, names):
    """Each name's percent of the self time of all of them."""
    sums = dict.fromkeys(names, 0)
    for row in stax.json("top", "-n", 0)["rows"]:
        if row["name"] in sums:
            assert (row["kind"], row["image"]) == ("jit", "[jit]"), row
            assert sums[row["name"]] == 0, f"two rows of {row['name']}"
            sums[row["name"]] = row["self_active_ns"]
    whole = sum(sums.values())
    assert whole > 0, sums
    return {name: 100 * ns / whole for name, ns in sums.items()}


def check_shares(stax, truth, report, what):
    expected = {n: f["pct"] for n, f in truth["functions"].items() if f["cpu_ns"] > 0}
    shares = self_shares(stax, expected)
    off = {name: shares[name] - expected[name] for name in expected}
    report(f"{what} ({stax.account}): "
           + ", ".join(f"{n} {d:+.2f} points" for n, d in off.items()))
    assert all(abs(d) <= POINTS for d in off.values()), off


def paths_to(stax, name):
    """The chains of callers above every node of that name, with their share of it."""
    found = {}

    def walk(node, path):
        if node["name"] == name:
            found[path] = found.get(path, 0) + node["active_ns"]
            return
        for child in node["children"]:
            walk(child, path + (node["name"],))

    walk(stax.json("flame", "-d", 0, "--threshold-pct", 0)["root"], ())
    whole = sum(found.values())
    assert whole > 0, f"no {name}"
    return {path: ns / whole for path, ns in found.items()}


@needs_x86
@pytest.mark.parametrize("options", ["--dump", "--map", "--dump --reuse"])
def test_generator(anybody, options, report):
    check_generator(anybody, options, report)


@needs_x86
@pytest.mark.parametrize("options", [
    "--dump --buffered", "--dump --no-marker --folder /tmp", "--map --reuse",
    "--dump --buffered --reuse", "--dump --move",
])
def test_generator_that_tells_otherwise(stax, options, report):
    check_generator(stax, options, report)


def check_generator(stax, options, report):
    truth, run = stax.truth("jit", "--seconds", 3, *options.split())
    check_shares(stax, truth, report, f"jit {options}")
    for work, call in (("jit_work_70", "jit_call_70"), ("jit_work_30", "jit_call_30")):
        paths = paths_to(stax, work)
        right = sum(share for path, share in paths.items()
                    if path[-1] == call and "main" in path)
        assert right >= 0.95, (work, paths)


@needs_x86
def test_code_without_frame_pointers(anybody, report):
    """Its own unwind records lead out of it, to main() and beyond."""
    stax = anybody
    truth, run = stax.truth("jit", "--seconds", 3, "--dump", "--no-frame-pointers", "--unwind")
    check_shares(stax, truth, report, "jit without frame pointers")
    for work, call in (("jit_work_70", "jit_call_70"), ("jit_work_30", "jit_call_30")):
        paths = paths_to(stax, work)
        right = sum(share for path, share in paths.items()
                    if path[-1] == call and "main" in path)
        report(f"jit without frame pointers ({stax.account}): {100 * right:.2f} % of {work} "
               "reach main()")
        assert right >= 0.95, (work, paths)


@needs_x86
@pytest.mark.parametrize("options", ["--dump", "--map"])
def test_generator_attached(stax, options, report):
    """What it told before anybody looked is there as well."""
    process = stax.popen(stax.program("jit"), "--seconds", 6, options, "--reuse")
    time.sleep(0.5)
    stax.ok("record", "-q", "-p", process.pid, "--time-limit", "2s")
    stax.await_names()
    shares = self_shares(stax, ("jit_work_70", "jit_work_30"))
    report(f"jit {options} attached ({stax.account}): {shares['jit_work_70']:.2f} % of 70")
    assert abs(shares["jit_work_70"] - 70) <= 2 * POINTS  # the target's own split is of all its run
    process.kill()
    process.wait()


@needs_x86
def test_lines_and_instructions(stax):
    """What the jitdump says of lines, and the machine code in it."""
    stax.truth("jit", "--seconds", 2, "--dump", "--lines")
    rows = stax.json("top", "-n", 0, "--group", "line")["rows"]
    lines = {row["line"] for row in rows if row.get("file") == "made_70_30.src"}
    assert 20 in lines and lines <= {10, 20, 30}, rows[:5]
    whole = next(row for row in stax.json("top", "-n", 0)["rows"] if row["name"] == "jit_work_70")
    shown = stax.json("annotate", "jit_work_70")
    assert sum(line["samples"] for line in shown["lines"]) == whole["self_samples"]
    texts = [line.get("text") or "" for line in shown["lines"]]
    assert any(text.startswith("imul") for text in texts), texts
    hot = max(shown["lines"], key=lambda line: line["samples"])
    assert (hot.get("file"), hot.get("line")) == ("made_70_30.src", 20), hot


def test_annotate_node(stax):
    """The source of a script stands between the instructions that V8 made of it."""
    stax.record("--", *node_record(stax, ["--perf-prof"], seconds=2))
    rows = [row for row in stax.json("top", "-n", 0)["rows"] if "hot.js:" in row["name"]]
    hot = max(rows, key=lambda row: row["self_active_ns"])
    shown = stax.json("annotate", hot["name"])
    assert sum(line["samples"] for line in shown["lines"]) == hot["self_samples"]
    assert sum(1 for line in shown["lines"] if line.get("text")) >= 20
    files = {line["file"] for line in shown["lines"] if line.get("file")}
    assert files == {str(stax.folder / "hot.js")}, files


@needs_x86
def test_names_come_while_it_runs(stax):
    process = stax.start("record", "-q", "--", stax.program("jit"), "--seconds", 8, "--dump")
    stax.await_samples(300)
    wait_until(lambda: any(row["name"] == "jit_work_70" for row in stax.json("top")["rows"]),
               timeout_s=3, what="the name of a function of a running program")
    os.kill(stax.target_pid(), signal.SIGKILL)
    process.wait()


def made_area(process):
    """Where a program that tells nobody of its code has made it: start and size."""
    def find():
        for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines():
            words = line.split()
            if len(words) == 5 and "x" in words[1]:
                start, end = (int(number, 16) for number in words[0].split("-"))
                return start, end - start
        return None
    return wait_until(find, what="memory with made code")


def a_map_of(process, start, n_bytes):
    return f"{start:x} {n_bytes:x} planted\n".encode()


def a_dump_of(process, start, n_bytes):
    header = struct.pack("<IIIIIIQQ", 0x4A695444, 1, 40, 62, 0, process.pid, 1, 0)
    name = b"planted\0"
    made = struct.pack("<IIQIIQQQQ", 0, 56 + len(name), time.monotonic_ns(), process.pid,
                       process.pid, start, start, n_bytes, 1)
    return header + made + name


@needs_x86
@pytest.mark.parametrize("path, text_of", [("/tmp/perf-%d.map", a_map_of),
                                           ("/tmp/jit-%d.dump", a_dump_of)])
def test_another_users_files_are_not_believed(other, path, text_of):
    """A file that somebody else laid there names nothing; the same one of the user's own does."""
    process = other.popen(other.program("jit"), "--seconds", 6)
    planted = Path(path % process.pid)
    planted.write_bytes(text_of(process, *made_area(process)))
    os.chmod(planted, 0o644)
    os.chown(planted, 12345, 12345)
    try:
        other.ok("record", "-q", "-p", process.pid, "--time-limit", "1s")
        assert all(row["name"] != "planted" for row in other.json("top", "-n", 0)["rows"])
        notes = " ".join(other.last_run().get("notes", []))
        assert "belongs to another user" in notes, notes
        os.chown(planted, other.account.uid, other.account.gid)
        other.ok("record", "-q", "-p", process.pid, "--time-limit", "1s")
        rows = {row["name"]: row["self_samples"] for row in other.json("top", "-n", 0)["rows"]}
        assert rows.get("planted", 0) > 100, rows
        assert "another user" not in " ".join(other.last_run().get("notes", []))
    finally:
        planted.unlink()


@needs_x86
def test_annotate_code_that_nobody_kept(stax):
    """What stands in memory is shown while it is the code that ran, and no other."""
    process = stax.popen(stax.program("jit"), "--seconds", 8, "--map", "--reuse")
    recorder = stax.start("record", "-q", "-p", process.pid)
    stax.await_samples(300)

    def has(name):
        return any(row["name"] == name for row in stax.json("top", "-n", 0)["rows"])

    wait_until(lambda: has("jit_work_70"), what="the first functions")
    shown = stax.json("annotate", "jit_work_70")
    assert shown["origin"] == "target memory", shown
    assert any((line.get("text") or "").startswith("imul") for line in shown["lines"]), shown
    wait_until(lambda: has("jit_later_70"), timeout_s=20, what="those written over them")
    gone = stax.json("annotate", "jit_work_70")
    assert any("was replaced since" in note for note in gone["notes"]), gone
    assert not any(line.get("text") for line in gone["lines"]), gone
    assert any(line.get("text") for line in stax.json("annotate", "jit_later_70")["lines"])
    stax.ok("stop")
    recorder.wait()
    assert process.poll() is None, "the program must outlive the run"
    notes = stax.json("annotate", "jit_later_70")["notes"]
    assert any("the run has ended, and nobody kept the code" in note for note in notes), notes


def node_record(stax, options, seconds=2):
    script = stax.folder / "hot.js"
    script.write_text(NODE_SOURCE % (1000 * seconds))
    os.chmod(script, 0o644)
    return [need("node"), *options, script]


def script_share(stax):
    rows = stax.json("top", "-n", 0)["rows"]
    whole = sum(row["self_active_ns"] for row in rows)
    return sum(row["self_active_ns"] for row in rows if "hot.js:" in row["name"]) / whole


def check_node(stax, report, what):
    rows = stax.json("top", "-n", 0)["rows"]
    whole = sum(row["self_active_ns"] for row in rows)
    hot = [row for row in rows if row["kind"] == "jit" and "hot.js:" in row["name"]]
    named = sum(row["self_active_ns"] for row in hot)
    nameless = sum(row["self_active_ns"] for row in rows if row["name"].startswith("[anon]"))
    report(f"node {what} ({stax.account}): {100 * named / whole:.1f} % in functions of the script, "
           f"{100 * nameless / whole:.2f} % nameless")
    assert named / whole >= 0.8, rows[:10]
    assert nameless / whole <= 0.01, rows[:10]
    inner = max(hot, key=lambda row: row["self_active_ns"])["name"]
    assert inner.split(" ")[0].split(":")[1][1:] in ("leaf", "hot", "outer"), inner
    paths = paths_to(stax, inner)
    right = sum(share for path, share in paths.items()
                if any("node::" in caller for caller in path))
    assert right >= 0.95, paths


@pytest.mark.parametrize("options", [("--perf-prof",), ("--perf-basic-prof",),
                                     ("--perf-prof", "--perf-prof-unwinding-info"),
                                     ("--perf-basic-prof", "--interpreted-frames-native-stack")])
def test_node(anybody, options, report):
    stax = anybody
    stax.record("--", *node_record(stax, options))
    check_node(stax, report, " ".join(options))


def check_split(stax, told, report, what):
    """The two functions' shares of the time of both, however often they were compiled."""
    truth = json.loads(told.strip().splitlines()[-1])
    rows = [row for row in stax.json("top", "-n", 0)["rows"] if row["kind"] == "jit"]
    got = {name: sum(row["self_active_ns"] for row in rows if name in row["name"])
           for name in ("work70", "work30")}
    pct = 100 * got["work70"] / (got["work70"] + got["work30"])
    true_pct = 100 * truth["work70"] / (truth["work70"] + truth["work30"])
    report(f"{what} ({stax.account}): work70 {pct - true_pct:+.2f} points of {true_pct:.2f} %")
    assert abs(true_pct - 70) < 5 and abs(pct - true_pct) <= POINTS, (pct, true_pct)


@pytest.mark.parametrize("option", ["--perf-prof", "--perf-basic-prof"])
def test_node_split(stax, option, report):
    script = stax.folder / "split.js"
    script.write_text(NODE_SPLIT_SOURCE % 4000)
    os.chmod(script, 0o644)
    told = stax.record("--", need("node"), option, "--no-turbo-inlining", script)
    check_split(stax, told, report, f"node {option}")


def test_node_attached(anybody, report):
    stax = anybody
    process = stax.popen(*node_record(stax, ["--perf-basic-prof"], seconds=6))
    time.sleep(1.5)
    stax.ok("record", "-q", "-p", process.pid, "--time-limit", "2s")
    stax.await_names()
    check_node(stax, report, "attached")
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_node_tells_late(stax, report):
    """The last records of a stopped recording are written when its target ends."""
    process = stax.popen(*node_record(stax, ["--perf-prof"], seconds=4), cwd=stax.folder)
    time.sleep(1)
    stax.ok("record", "-q", "-p", process.pid, "--time-limit", "1500ms")
    process.wait()
    wait_until(lambda: script_share(stax) > 0.8, timeout_s=5, what="the names")
    check_node(stax, report, "late")


def java_folder(stax, seconds=3, source=JAVA_SOURCE):
    need("java")
    compiler = need("javac")
    (stax.folder / "Hot.java").write_text(source % (1000 * seconds))
    subprocess.run([compiler, "-d", str(stax.folder), str(stax.folder / "Hot.java")], check=True,
                   capture_output=True)
    for file in stax.folder.glob("Hot.*"):
        os.chmod(file, 0o644)
    return stax.folder


def check_java(stax, report, what, prefix):
    rows = stax.json("top", "-n", 0)["rows"]
    jit = [row for row in rows if row["kind"] == "jit"]
    whole = sum(row["self_active_ns"] for row in jit)
    hot = sum(row["self_active_ns"] for row in jit if row["name"].startswith(prefix))
    nameless = sum(row["self_active_ns"] for row in jit if row["name"].startswith("[anon]"))
    report(f"java {what} ({stax.account}): {100 * hot / whole:.1f} % of made code in Hot, "
           f"{100 * nameless / whole:.2f} % nameless")
    assert hot / whole >= 0.9, jit[:10]
    assert nameless / whole <= 0.02, jit[:10]
    inner = max(jit, key=lambda row: row["self_active_ns"])["name"]
    paths = paths_to(stax, inner)
    right = sum(share for path, share in paths.items()
                if any("JavaMain" in caller or "thread_start" in caller for caller in path))
    report(f"java {what} ({stax.account}): {100 * right:.1f} % of {inner} with its native callers")
    assert right >= 0.9, paths


def test_java_map(stax, report):
    folder = java_folder(stax)
    stax.record("--", need("java"), "-XX:+UnlockDiagnosticVMOptions", "-XX:+DumpPerfMapAtExit",
                "-XX:+PreserveFramePointer", "-cp", folder, "Hot")
    check_java(stax, report, "map at exit", "int Hot.")


def test_java_map_on_demand(stax, report):
    """Without any option of its own: asked by jcmd while it runs."""
    folder = java_folder(stax, seconds=8)
    process = stax.popen(need("java"), "-XX:+PreserveFramePointer", "-cp", folder, "Hot")
    time.sleep(2)
    recorder = stax.start("record", "-q", "-p", process.pid, "--time-limit", "3s")
    stax.await_samples(300)
    asked = stax.run(need("jcmd"), process.pid, "Compiler.perfmap")
    assert asked.returncode == 0, asked
    recorder.wait()
    check_java(stax, report, "map on demand", "int Hot.")
    process.kill()
    process.wait()
    Path(f"/tmp/perf-{process.pid}.map").unlink(missing_ok=True)


def test_java_jitdump(other, report):
    """An agent that writes a jitdump below the home folder, found by its mapping."""
    stax = other
    agent = Path(stax.program("libjvm_agent.so"))
    if not agent.exists():
        pytest.skip("no JDK headers when the test programs were built")
    folder = java_folder(stax)
    dumps = folder / ".debug" / "jit" / "java-1"
    made = stax.run("mkdir", "-p", dumps)
    assert made.returncode == 0, made
    stax.record("--", need("java"), f"-agentpath:{agent}={dumps}", "-XX:+PreserveFramePointer",
                "-cp", folder, "Hot")
    check_java(stax, report, "jitdump of an agent", "LHot;")


@pytest.mark.parametrize("how", ["jitdump", "map"])
def test_java_split(anybody, how, report):
    stax = anybody
    folder = java_folder(stax, source=JAVA_SPLIT_SOURCE)
    if how == "map":
        options = ["-XX:+UnlockDiagnosticVMOptions", "-XX:+DumpPerfMapAtExit"]
    else:
        agent = Path(stax.program("libjvm_agent.so"))
        if not agent.exists():
            pytest.skip("no JDK headers when the test programs were built")
        dumps = folder / ".debug" / "jit" / "java-2"
        assert stax.run("mkdir", "-p", dumps).returncode == 0
        options = [f"-agentpath:{agent}={dumps}"]
    told = stax.record("--", need("java"), *options, "-XX:+PreserveFramePointer",
                       "-XX:CompileCommand=quiet", "-XX:CompileCommand=dontinline,Hot.work*",
                       "-cp", folder, "Hot")
    check_split(stax, told, report, f"java {how}")


def test_java_perf_agent(stax, report):
    """The agent that comes with the kernel's own profiler, where a package ships it."""
    found = [path for folder in ("/usr/lib", "/usr/lib64", "/usr/local/lib")
             for path in Path(folder).glob("**/libperf-jvmti.so")]
    if not found:
        pytest.skip("no libperf-jvmti.so (Debian 12's linux-perf is built without it)")
    folder = java_folder(stax)
    stax.record("--", need("java"), f"-agentpath:{found[0]}", "-XX:+PreserveFramePointer",
                "-cp", folder, "Hot")
    check_java(stax, report, "jitdump of libperf-jvmti.so", "LHot;")


def test_python_perf_map(stax, report):
    python = need("python3")
    if subprocess.run([python, "-X", "perf", "-c", "import sys; sys.activate_stack_trampoline"],
                      capture_output=True).returncode != 0:
        pytest.skip("this python3 is older than 3.12 and names no functions")
    stax.record("--", python, "-X", "perf", "-c",
                "def burn(n):\n  return sum(i * i for i in range(n))\n"
                "[burn(1000) for _ in range(20000)]")
    assert any("burn" in row["name"] for row in stax.json("top", "-n", 0)["rows"])
