# SPDX-License-Identifier: MIT
"""Where the binaries under test are, and what this host lets a test do."""

import ctypes
import os
import platform
import shutil
import struct
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("STAX_BUILD_DIR", SOURCE / "build")).resolve()
PROGRAMS = BUILD / "tests" / "programs"
SCHEMA = SOURCE / "schema"

# These are needed to say anything at all; a test that misses one fails.
REQUIRED = ("python3", "sqlite3", "xz", "gcc")


def find(name):
    """The real file of a program: not a wrapper that would be recorded instead."""
    places = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
    return shutil.which(name, path=places) or shutil.which(name)


def event_paranoid():
    try:
        return int(Path("/proc/sys/kernel/perf_event_paranoid").read_text())
    except (OSError, ValueError):
        return None


def why_no_events(as_root):
    """None, or why the kernel gives such a user no sampling events."""
    level = event_paranoid()
    if level is None:
        return "this kernel has no perf events"
    if as_root:
        return None if _can_open_event() else "perf_event_open() is refused"
    if level > 2:
        return f"perf_event_paranoid={level}"
    return None


def _can_open_event():
    number = {"x86_64": 298, "aarch64": 241}.get(platform.machine())
    if number is None:
        return True
    # type SOFTWARE, size, config CPU_CLOCK; then disabled | exclude_kernel | exclude_hv
    attr = struct.pack("=IIQQQQQ", 1, 112, 0, 1000000, 0, 0, 1 | 1 << 5 | 1 << 6).ljust(112, b"\0")
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(number, attr, 0, -1, -1, 8)
    if fd < 0:
        return False
    os.close(fd)
    return True
