# SPDX-License-Identifier: MIT
"""libstax-target for Python: spans of work that no sampler sees, by ctypes and nothing else.

    lane = stax_target.Lane("jobs", stax_target.EXECUTOR)

    origin = lane.origin()                     # where the work is queued
    with lane.span("resize", origin):          # where it runs
        ...

    @lane.traced                               # each call, also of a coroutine function
    async def fetch(url):
        ...

While nobody records the process a span costs one look at a word of memory, beside what Python
itself takes. Where the library is not installed nothing is reported, and nothing fails:
`stax_target.library` is None then. STAX_TARGET_LIBRARY names one in another place.
"""

import ctypes
import ctypes.util
import functools
import inspect
import os
import time

GENERIC, GPU, METAL, CUDA, EXECUTOR, IO, DB = range(7)
STATES = ("idle", "no server", "connected", "recorded", "refused")


class _Lane(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint32)]


class _Name(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint32)]


class Origin(ctypes.Structure):
    """Where and when work was queued: travels with the work. All 0: not known."""

    _fields_ = [("time_ns", ctypes.c_uint64), ("tid", ctypes.c_uint32), ("pid", ctypes.c_uint32)]


class _Stats(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("state", ctypes.c_int), *(
        (name, ctypes.c_uint64) for name in (
            "n_queued", "n_sent", "n_dropped_full", "n_dropped_no_server", "n_names_refused",
            "n_lanes_refused", "n_details_refused"))]


def _load():
    for path in (os.environ.get("STAX_TARGET_LIBRARY"), "libstax-target.so.1",
                 ctypes.util.find_library("stax-target")):
        try:
            if path:
                return _declare(ctypes.CDLL(path))
        except (OSError, AttributeError):
            pass
    return None


def _declare(loaded):
    for name, result, arguments in (
            ("stax_lane_new_kind", _Lane, (ctypes.c_char_p, ctypes.c_int)),
            ("stax_name", _Name, (ctypes.c_char_p,)),
            ("stax_name_inside", _Name, (_Name, ctypes.c_char_p)),
            ("stax_origin_capture", Origin, (_Lane,)),
            ("stax_span_report_named", None,
             (_Lane, _Name, ctypes.c_uint64, ctypes.c_uint64, Origin)),
            ("stax_target_stats", None, (ctypes.POINTER(_Stats),))):
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


library = _load()
_gate = ctypes.c_void_p.in_dll(library, "stax_gate") if library else None
_NO_ORIGIN = Origin()


def recording_active():
    """Whether anybody records this process now; also true in a child until its first call."""
    return _gate is not None and ctypes.c_uint32.from_address(_gate.value).value != 0


def now_ns():
    """The clock of spans: CLOCK_MONOTONIC."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def stats():
    """What became of this process's spans, as a dict; `state` is one of STATES."""
    if not library:
        return {"state": STATES[0]}
    numbers = _Stats(size=ctypes.sizeof(_Stats))
    library.stax_target_stats(ctypes.byref(numbers))
    answer = {name: getattr(numbers, name) for name, _ in _Stats._fields_[1:]}
    answer["state"] = STATES[numbers.state]
    return answer


class Lane:
    """Where work runs, beside the threads. The same name is the same lane."""

    def __init__(self, name, kind=GENERIC):
        self.name = name
        self._lane = library.stax_lane_new_kind(name.encode(), kind) if library else None
        self._names = {}

    def origin(self):
        """The calling thread, now."""
        if not recording_active():
            return _NO_ORIGIN
        return library.stax_origin_capture(self._lane)

    def span(self, name, origin=None, inside=()):
        """`with lane.span("name"):`; `origin` is by default where it begins. `inside` are the
        names of the spans of this lane that it is a part of, the outermost first."""
        return Span(self, name, origin, inside)

    def report(self, name, start_ns, end_ns, origin=None, inside=()):
        """A span whose times are known, by now_ns()."""
        if recording_active():
            library.stax_span_report_named(self._lane, self._name(tuple(inside) + (name,)),
                                           start_ns, end_ns, origin or _NO_ORIGIN)

    def traced(self, function=None, *, name=None, inside=()):
        """A decorator: each call of a function, or of a coroutine function, is a span."""
        if function is None:
            return functools.partial(self.traced, name=name, inside=inside)
        title = name or function.__qualname__
        if inspect.iscoroutinefunction(function):
            @functools.wraps(function)
            async def traced(*args, **kwargs):
                with self.span(title, inside=inside):
                    return await function(*args, **kwargs)
        else:
            @functools.wraps(function)
            def traced(*args, **kwargs):
                with self.span(title, inside=inside):
                    return function(*args, **kwargs)
        return traced

    def _name(self, path):
        name = self._names.get(path)
        if name is None:
            text = path[-1].encode()
            name = (library.stax_name_inside(self._name(path[:-1]), text) if len(path) > 1
                    else library.stax_name(text))
            self._names[path] = name
        return name


class Span:
    """One that runs. Entered while nobody records, it reports nothing."""

    __slots__ = ("_lane", "_name", "_origin", "_inside", "_start_ns")

    def __init__(self, lane, name, origin, inside):
        self._lane, self._name, self._origin, self._inside = lane, name, origin, inside
        self._start_ns = 0

    def __enter__(self):
        if recording_active():
            self._origin = self._lane.origin() if self._origin is None else self._origin
            self._start_ns = now_ns()
        return self

    def __exit__(self, *_):
        if self._start_ns:
            end_ns, start_ns, self._start_ns = now_ns(), self._start_ns, 0
            self._lane.report(self._name, start_ns, end_ns, self._origin, self._inside)
