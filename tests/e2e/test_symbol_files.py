# SPDX-License-Identifier: MIT
"""Stripped programs get their names back from wherever they were put."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

import place
from private_server import PrivateServer, wait_until

SOURCE = """
#include <stdlib.h>
#include <time.h>
static __attribute__((noinline)) long hidden_work(long n)
{
    volatile long sum = 0;
    for (long i = 0; i < n; i++) { sum = sum + i; }
    return sum;
}
__attribute__((noinline)) long shown_work(long n)
{
    volatile long sum = 0;
    for (long i = 0; i < n / 3; i++) { sum = sum + i; }
    return sum;
}
int main(int argc, char **argv)
{
    struct timespec start, now;
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        hidden_work(1000000);
        shown_work(1000000);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((double)(now.tv_sec - start.tv_sec) + (now.tv_nsec - start.tv_nsec) / 1e9 < seconds);
    return 0;
}
"""


def need(*programs):
    for program in programs:
        if place.find(program) is None:
            pytest.skip(f"{program} is not installed")


def need_client():
    if not any(Path(folder).glob("**/libdebuginfod.so.1")
               for folder in ("/usr/lib", "/usr/lib64", "/usr/local/lib") if Path(folder).exists()):
        pytest.skip("libdebuginfod.so.1 is not installed")


def sh(folder, command):
    subprocess.run(command, shell=True, check=True, cwd=folder, capture_output=True)


def build(folder, options="-rdynamic"):
    """prog, prog.debug and the stripped bare, in a folder of their own."""
    need("gcc", "objcopy", "strip")
    made = Path(folder) / "made"
    made.mkdir()
    (made / "prog.c").write_text(SOURCE)
    sh(made, f"gcc -g -O1 -fno-omit-frame-pointer -Wl,--build-id=sha1 {options} -o prog prog.c && "
             "objcopy --only-keep-debug prog prog.debug && strip -o bare prog")
    return made


def build_id(file):
    out = subprocess.run(["readelf", "-n", str(file)], capture_output=True, text=True).stdout
    return re.search(r"Build ID: ([0-9a-f]+)", out).group(1)


def put_by_id(root, file, debug):
    key = build_id(file)
    target = Path(root) / ".build-id" / key[:2] / (key[2:] + ".debug")
    target.parent.mkdir(parents=True)
    shutil.copy(debug, target)
    return target


@contextlib.contextmanager
def server(env):
    """A private server whose environment has this too."""
    reason = place.why_no_events(os.geteuid() == 0)
    if reason:
        pytest.skip(reason)
    folder = tempfile.mkdtemp(prefix="stax-")
    stax = PrivateServer(folder, env=env)
    try:
        yield stax
    finally:
        stax.end_all()
        shutil.rmtree(folder, ignore_errors=True)


def names(stax):
    return {row["name"] for row in stax.json("top", "-n", 0)["rows"]}


def image(stax, name):
    return next(i for i in stax.json("diagnose")["images"] if i["path"].endswith("/" + name))


def await_origin(stax, name, origin):
    try:
        wait_until(lambda: image(stax, name)["symbols"] == origin, timeout_s=30,
                   what=f"{name} with {origin}")
    except AssertionError as error:
        raise AssertionError(f"{error}: {image(stax, name)}")


def assert_all_named(stax, name="bare"):
    found = names(stax)
    assert "hidden_work" in found and "shown_work" in found, found
    assert not any(each.startswith(name + "+0x") for each in found), found


def test_without_any_file_only_exported_names(stax):
    made = build(stax.folder)
    stax.record("--", made / "bare", 0.4)
    assert image(stax, "bare")["symbols"] == ".dynsym"
    found = names(stax)
    assert "shown_work" in found and "hidden_work" not in found
    assert any(re.fullmatch(r"bare\+0x[0-9a-f]+", each) for each in found), found


def test_function_without_a_name_is_one_row(stax):
    """… by where it starts, and annotate knows it by that; the exported one before it is not it."""
    made = build(stax.folder)
    start = int(re.search(r"^([0-9a-f]+) t hidden_work$", subprocess.run(
        ["nm", made / "prog"], capture_output=True, text=True).stdout, re.MULTILINE).group(1), 16)
    stax.record("--", made / "bare", 0.6)
    rows = {row["name"]: row["self_samples"] for row in stax.json("top", "-n", 0)["rows"]
            if row["image"] == "bare" and row["self_samples"] > 0}
    name = f"bare+0x{start:x}"
    assert rows[name] > 2 * rows["shown_work"] > 0, rows
    assert sum(rows.values()) - rows[name] - rows["shown_work"] <= 5, rows
    shown = stax.json("annotate", name)
    assert shown["self_samples"] == rows[name]
    assert int(shown["address"], 16) == start
    of_bare = image(stax, "bare")
    assert 0 < of_bare["samples_named"] < of_bare["samples"] / 2, of_bare


def test_debug_file_by_build_id(tmp_path):
    made = build(tmp_path)
    put_by_id(tmp_path / "debug", made / "prog", made / "prog.debug")
    with server({"STAX_DEBUG_DIRS": f"/nowhere:{tmp_path}/debug"}) as stax:
        stax.record("--", made / "bare", 0.4)
        assert image(stax, "bare")["symbols"] == ".dynsym + debug file by build-id"
        assert image(stax, "bare")["state"] == "loaded"
        assert_all_named(stax)


@pytest.mark.parametrize("folder", [".", ".debug"])
def test_debug_file_by_link(stax, folder):
    made = build(stax.folder)
    sh(made, "objcopy --add-gnu-debuglink=prog.debug bare linked && "
             f"mkdir -p {folder} && {'true' if folder == '.' else f'mv prog.debug {folder}'}")
    stax.record("--", made / "linked", 0.4)
    assert image(stax, "linked")["symbols"] == ".dynsym + debug file by debuglink"
    assert_all_named(stax, "linked")


def test_link_without_build_id_needs_the_checksum(stax):
    made = build(stax.folder)
    sh(made, "gcc -g -O1 -fno-omit-frame-pointer -Wl,--build-id=none -rdynamic -o prog prog.c && "
             "objcopy --only-keep-debug prog prog.debug && strip -o bare prog && "
             "objcopy --add-gnu-debuglink=prog.debug bare linked && cp linked doubted")
    stax.record("--", made / "linked", 0.4)
    assert_all_named(stax, "linked")
    with open(made / "prog.debug", "ab") as file:
        file.write(b"x")
    stax.record("--", made / "doubted", 0.4)
    assert "hidden_work" not in names(stax)
    assert "prog.debug: the debug file has another checksum" in image(stax, "doubted")["state"]


def test_debug_file_of_another_build_is_named_and_not_used(stax):
    made = build(stax.folder)
    sh(made, "gcc -g -O2 -fno-omit-frame-pointer -Wl,--build-id=sha1 -o other prog.c && "
             "objcopy --only-keep-debug other prog.debug && "
             "objcopy --add-gnu-debuglink=prog.debug bare linked")
    stax.record("--", made / "linked", 0.4)
    assert "hidden_work" not in names(stax)
    assert "prog.debug: the debug file has another build-id" in image(stax, "linked")["state"]
    assert "another build-id" in stax.ok("diagnose").stdout


def test_minidebuginfo(stax):
    need("xz", "nm", "awk")
    made = build(stax.folder)
    sh(made, "nm -D prog --format=posix --defined-only | awk '{print $1}' | sort > dynamic; "
             "nm prog --format=posix --defined-only | awk '$2 ~ /[tT]/ {print $1}' | sort | "
             "comm -13 dynamic - > kept && objcopy -S --remove-section .comment "
             "--keep-symbols=kept prog.debug mini && xz mini && "
             "objcopy --add-section .gnu_debugdata=mini.xz bare packed && rm prog.debug")
    stax.record("--", made / "packed", 0.4)
    assert image(stax, "packed")["symbols"] == ".dynsym + .gnu_debugdata"
    assert_all_named(stax, "packed")


def test_elfutils_strip(stax):
    need("eu-strip")
    made = build(stax.folder)
    sh(made, "eu-strip -f prog.debug -o linked prog")
    stax.record("--", made / "linked", 0.4)
    assert_all_named(stax, "linked")


def test_program_in_another_root(stax):
    """The debug file is looked for where the target would look: in its own root."""
    if os.geteuid() != 0:
        pytest.skip("not root: cannot change the root")
    need("chroot")
    made = build(stax.folder, "-static")
    root = stax.folder / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy(made / "bare", root / "bin" / "inside")
    put_by_id(root / "usr/lib/debug", made / "prog", made / "prog.debug")
    target = stax.popen("chroot", root, "/bin/inside", 60)
    wait_until(lambda: os.readlink(f"/proc/{target.pid}/exe").endswith("inside"), what="the chroot")
    record = stax.start("record", "-q", "--pid", target.pid)
    stax.await_samples(100)
    stax.await_names()
    target.kill()
    record.wait(timeout=20)
    assert image(stax, "inside")["symbols"] == "debug file by build-id"
    assert_all_named(stax, "inside")


def test_program_in_a_mount_namespace(stax):
    """The same root folder, other mounts in it: only the target sees these files."""
    need("unshare", "mount")
    made = build(stax.folder)
    hidden = stax.folder / "hidden"
    hidden.mkdir()
    key = build_id(made / "prog")
    script = (f"mount -t tmpfs none {hidden} && cp {made}/bare {hidden}/inside && "
              f"mkdir -p {hidden}/.debug && cp {made}/prog.debug {hidden}/.debug/ && "
              f"objcopy --add-gnu-debuglink={hidden}/.debug/prog.debug {hidden}/inside && "
              f"exec {hidden}/inside 60")
    target = stax.popen("unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]),
                        "sh", "-c", script)
    try:
        wait_until(lambda: target.poll() is not None
                   or os.readlink(f"/proc/{target.pid}/exe").endswith("/inside"), what="the mount")
    except OSError:
        pass
    if target.poll() is not None:
        pytest.skip(f"no mount namespace: {target.stderr.read()}")
    record = stax.start("record", "-q", "--pid", target.pid)
    stax.await_samples(100)
    stax.await_names()
    target.kill()
    record.wait(timeout=20)
    assert key and image(stax, "inside")["symbols"] == ".dynsym + debug file by debuglink"
    assert_all_named(stax, "inside")


def test_program_that_was_replaced(stax):
    """The file at the path is another one now: its names would be wrong."""
    made = build(stax.folder)
    path = made / "replaced"
    shutil.copy(made / "prog", path)
    target = stax.popen(path, 60)
    wait_until(lambda: os.readlink(f"/proc/{target.pid}/exe").endswith("replaced"), what="the start")
    sh(made, "sed s/hidden_work/other_name/ prog.c > other.c && gcc -O2 -Wl,--build-id=sha1 "
             "-o other other.c && mv other replaced")
    record = stax.start("record", "-q", "--pid", target.pid)
    stax.await_samples(50)
    stax.await_names()
    target.kill()
    record.wait(timeout=20)
    found = names(stax)
    assert "other_name" not in found, found
    assert "hidden_work" in found, found  # through the target, which still has the old one


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def asking(url, tmp_path, **more):
    return {"DEBUGINFOD_URLS": url, "DEBUGINFOD_CACHE_PATH": str(tmp_path / "fetched"),
            "STAX_DEBUG_DIRS": "/nowhere", "no_proxy": "127.0.0.1", **more}


@contextlib.contextmanager
def debuginfod(folder, files):
    need("debuginfod")
    port = free_port()
    process = subprocess.Popen([place.find("debuginfod"), "-p", str(port), "-d", ":memory:",
                                "-t0", "-F", str(files)], cwd=folder, env={**os.environ,
                               "DEBUGINFOD_URLS": "", "HOME": str(folder)},
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}", port
    finally:
        process.terminate()
        process.wait(timeout=20)


def ask_by_http(port, path):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return connection.recv(64)
    except OSError:
        return b""


def test_debuginfod(tmp_path):
    """Names fill in when the file has come; what was fetched is there for the next server."""
    need_client()
    made = build(tmp_path)
    served = tmp_path / "served"
    served.mkdir()
    shutil.copy(made / "prog.debug", served)
    with debuginfod(tmp_path, served) as (url, port):
        wait_until(lambda: b" 200 " in ask_by_http(port, f"/buildid/{build_id(made / 'prog')}/debuginfo"),
                   timeout_s=30, what="the debuginfod server")
        with server(asking(url, tmp_path)) as stax:
            stax.record("--", made / "bare", 0.4)
            await_origin(stax, "bare", ".dynsym + debuginfod")
            assert_all_named(stax)
    with server(asking(url, tmp_path)) as stax:
        stax.record("--", made / "bare", 0.4)
        await_origin(stax, "bare", ".dynsym + debuginfod")
        assert_all_named(stax)


def test_nobody_is_asked_unless_told_to(tmp_path):
    need_client()
    made = build(tmp_path)
    with listener(lambda connection: None) as (url, questions):
        for extra in ({"DEBUGINFOD_URLS": ""}, {"DEBUGINFOD_URLS": url, "STAX_DEBUGINFOD": "0"}):
            with server(asking(url, tmp_path, **extra)) as stax:
                stax.record("--", made / "bare", 0.3)
                assert image(stax, "bare")["state"] == "loaded"
        assert questions() == 0


@contextlib.contextmanager
def listener(answer):
    """A server that answers as it likes; connections stay open until the end."""
    listening = socket.create_server(("127.0.0.1", 0))
    open_connections = []

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            open_connections.append(connection)
            with contextlib.suppress(OSError):
                answer(connection)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", lambda: len(open_connections)
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(timeout=5)
        for connection in open_connections:
            connection.close()


def test_silent_server_delays_nobody(tmp_path, report):
    need_client()
    made = build(tmp_path)
    with listener(lambda connection: None) as (url, questions):
        with server(asking(url, tmp_path, DEBUGINFOD_TIMEOUT="60")) as stax:
            start = time.monotonic()
            stax.ok("record", "-q", "--", made / "bare", 0.5)
            stax.record("--", stax.program("mangled"), 30)
            stax.await_names()
            took_s = time.monotonic() - start
            assert "engine::Solver::step(int)" in names(stax)
            assert took_s < 10, took_s
            wait_until(lambda: questions() > 0, what="a question to the server")
            first = stax.json("list")["runs"][0]["id"]
            begin = time.monotonic()
            rows = stax.json("top", "-n", 0, "--run", first)["rows"]
            assert time.monotonic() - begin < 2
            assert "shown_work" in {row["name"] for row in rows}
            asked = next(i for i in stax.json("diagnose", "--run", first)["images"]
                         if i["path"].endswith("/bare"))
            assert asked["state"] == "loaded; a debuginfod server is asked for the rest"
            begin = time.monotonic()
            stax.ok("shutdown")
            assert stax.process.wait(timeout=8) == 0
            report(f"shutdown while a debuginfod server is silent: {time.monotonic() - begin:.2f} s")
            assert time.monotonic() - begin < 5


def test_absent_server(tmp_path):
    need_client()
    made = build(tmp_path)
    with server(asking(f"http://127.0.0.1:{free_port()}", tmp_path)) as stax:
        stax.record("--", made / "bare", 0.4)
        wait_until(lambda: image(stax, "bare")["state"]
                   == "loaded; debuginfod: the server cannot be reached", what="the refusal")
        assert "shown_work" in names(stax)


def test_lying_server(tmp_path):
    """A file with another build-id is no better for having come by the right name."""
    need_client()
    made = build(tmp_path)
    sh(made, "gcc -g -O2 -Wl,--build-id=sha1 -o lie prog.c && objcopy --only-keep-debug lie lie.debug")
    body = (made / "lie.debug").read_bytes()

    def lie(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                           b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        connection.shutdown(socket.SHUT_WR)
    with listener(lie) as (url, questions):
        with server(asking(url, tmp_path)) as stax:
            stax.record("--", made / "bare", 0.4)
            wait_until(lambda: "another build-id" in image(stax, "bare")["state"], what="the refusal")
            assert questions() > 0
            assert "hidden_work" not in names(stax) and "shown_work" in names(stax)
            assert image(stax, "bare")["symbols"] == ".dynsym"
    assert not [path for path in (tmp_path / "fetched").glob("*/debuginfo")
                if path.stat().st_size == len(body)]


def test_server_that_sends_nonsense(tmp_path):
    need_client()
    made = build(tmp_path)

    def babble(connection):
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nnot a file")
        connection.shutdown(socket.SHUT_WR)
    with listener(babble) as (url, _):
        with server(asking(url, tmp_path)) as stax:
            stax.record("--", made / "bare", 0.4)
            wait_until(lambda: "the debug file is no ELF file" in image(stax, "bare")["state"],
                       what="the refusal")
            assert "shown_work" in names(stax)
