# SPDX-License-Identifier: MIT
"""What exported files say, read by the rules of their formats and by nothing of ours."""

import collections
import gzip
import json
import re
import subprocess
import xml.etree.ElementTree as xml
from pathlib import Path


FIRST_LANE_TID = 0xFFF00000


class Profile:
    """ns on CPUs and off them: in all, by function (self and total) and by thread."""

    def __init__(self):
        self.cpu = self.off_cpu = self.samples = 0
        self.self_ns, self.total_ns = collections.Counter(), collections.Counter()
        self.threads = collections.Counter()
        self.reasons = collections.Counter()
        self.lines = set()
        self.target = collections.Counter()  # by lane's tid and the names from the outermost on
        self.spans = 0

    def add_target(self, tid, names, ns, spans=0):
        assert tid >= FIRST_LANE_TID
        self.target[tid, tuple(names)] += ns
        self.spans += spans

    def add_cpu(self, thread, functions, ns):
        """`functions` from the outermost to the innermost."""
        self.cpu += ns
        self.threads[thread] += ns
        self.self_ns[functions[-1]] += ns
        for name in set(functions):
            self.total_ns[name] += ns

    def add_wait(self, reason, ns):
        self.off_cpu += ns
        self.reasons[reason] += ns


REASON = re.compile(r"\[off-CPU: (\w+)\]")


# ---- folded stacks ----

def plain(name):
    return re.sub(r"_\[[kij]\]$", "", name)


def folded(path):
    profile = Profile()
    for line in Path(path).read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        thread, *names = stack.split(";")
        functions = [plain(name) for name in names]
        reason = REASON.fullmatch(functions[-1])
        tid = int(thread.rpartition("-")[2])
        if reason:
            profile.add_wait(reason[1], int(number))
        elif tid >= FIRST_LANE_TID:
            profile.add_target(tid, functions, int(number))
        else:
            profile.add_cpu(tid, functions, int(number))
    return profile


# ---- protocol buffers ----

def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7f) << shift
        at, shift = at + 1, shift + 7
        assert shift <= 70
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, value) for each: an int, or bytes."""
    at = 0
    while at < len(data):
        tag, at = varint(data, at)
        if tag & 7 == 0:
            value, at = varint(data, at)
        else:
            assert tag & 7 == 2, f"wire type {tag & 7}"
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
            assert len(value) == size
        yield tag >> 3, value


def message(data):
    """By number the list of values."""
    result = collections.defaultdict(list)
    for number, value in fields(data):
        result[number].append(value)
    return result


def packed(values):
    """A repeated number, packed or not."""
    result = []
    for value in values:
        at = 0
        if isinstance(value, int):
            result.append(value)
            continue
        while at < len(value):
            number, at = varint(value, at)
            result.append(number)
    return result


def one(parsed, number, default=0):
    return parsed[number][-1] if parsed[number] else default


# ---- pprof: profile.proto ----

def pprof(path):
    parsed = message(gzip.decompress(Path(path).read_bytes()))
    strings = [text.decode() for text in parsed[6]]
    assert strings[0] == ""
    types = [message(value) for value in parsed[1]]
    names = [(strings[one(t, 1)], strings[one(t, 2)]) for t in types]
    assert names[:4] == [("samples", "count"), ("cpu", "nanoseconds"), ("waits", "count"),
                         ("off-cpu", "nanoseconds")]
    assert names[4:] in ([], [("spans", "count"), ("target", "nanoseconds")])
    assert strings[one(parsed, 14)] == "cpu"
    functions, mappings = {}, set()
    for value in map(message, parsed[5]):
        functions[one(value, 1)] = (strings[one(value, 2)], strings[one(value, 4)])
    for value in map(message, parsed[3]):
        mappings.add(one(value, 1))
        assert strings[one(value, 5)]
    assert 0 not in functions and 0 not in mappings
    locations, profile = {}, Profile()
    for value in map(message, parsed[4]):
        assert one(value, 1) not in locations and one(value, 2) in mappings | {0}
        lines = [message(line) for line in value[4]]
        # Innermost first; here the other way round.
        locations[one(value, 1)] = [functions[one(line, 1)][0] for line in reversed(lines)]
        profile.lines |= {(*functions[one(line, 1)], one(line, 2)) for line in lines}
    for value in map(message, parsed[2]):
        stack = [name for at in reversed(packed(value[1])) for name in locations[at]]
        n_samples, cpu_ns, n_waits, off_ns, *target = packed(value[2])
        assert len(target) == len(names) - 4
        labels = {strings[one(label, 1)]: strings[one(label, 2)] or one(label, 3)
                  for label in map(message, value[3])}
        assert (n_waits or off_ns) == 0 or (n_samples, cpu_ns) == (0, 0)
        profile.samples += n_samples
        if "reason" in labels:
            assert REASON.fullmatch(stack.pop())[1] == labels["reason"]
            profile.add_wait(labels["reason"], off_ns)
        elif "lane" in labels:
            assert n_samples == cpu_ns == 0 and stack[0] == labels["thread"]
            profile.add_target(labels["tid"], stack[1:], target[1], target[0])
        else:
            assert not any(target)
            profile.add_cpu(labels["tid"], stack, cpu_ns)
    return profile


# ---- speedscope ----

def read_events(profile, tid, names, part):
    """A lane: each end is that of what began last, and time is that of the innermost."""
    open_, last_ns = [], part["startValue"]
    for event in part["events"]:
        assert last_ns <= event["at"] <= part["endValue"]
        if open_:
            profile.add_target(tid, [names[n] for n in open_], event["at"] - last_ns)
        last_ns = event["at"]
        if event["type"] == "O":
            open_.append(event["frame"])
            profile.spans += 1
        else:
            assert event["type"] == "C" and open_.pop() == event["frame"]
    assert not open_

def speedscope(path):
    file, profile = json.loads(Path(path).read_text()), Profile()
    names = [frame["name"] for frame in file["shared"]["frames"]]
    for part in file["profiles"]:
        assert part["unit"] == "nanoseconds"
        tid = int(re.search(r"\((\d+)\)( off-CPU| target)?$", part["name"])[1])
        if part["type"] == "evented":
            read_events(profile, tid, names, part)
            continue
        assert part["type"] == "sampled" and len(part["samples"]) == len(part["weights"])
        assert part["endValue"] == sum(part["weights"])
        for stack, ns in zip(part["samples"], part["weights"]):
            functions = [names[number] for number in stack]
            reason = REASON.fullmatch(functions[-1])
            if part["name"].endswith("off-CPU"):
                profile.add_wait(reason[1], ns)
            elif part["name"].endswith("target"):
                profile.add_target(tid, functions, ns)
            else:
                profile.add_cpu(tid, functions, ns)
    return profile


# ---- Firefox Profiler: src/types/profile.ts, version 57 ----

def column(table, name, top=None, may_be_null=False):
    """A column of the table's length, whose cells are numbers below `top` where that is given."""
    cells = table[name]
    assert len(cells) == table["length"], name
    for cell in cells:
        assert may_be_null or cell is not None, name
        assert top is None or cell is None or -1 <= cell < top, (name, cell, top)
    return cells


def check_firefox_tables(profile, thread):
    n_strings = len(profile["shared"]["stringArray"])
    stacks, frames, functions = thread["stackTable"], thread["frameTable"], thread["funcTable"]
    resources, markers = thread["resourceTable"], thread["markers"]
    for index, prefix in enumerate(column(stacks, "prefix", stacks["length"], True)):
        assert prefix is None or prefix < index
    column(stacks, "frame", frames["length"])
    column(frames, "func", functions["length"])
    categories = profile["meta"]["categories"]
    for category, sub in zip(column(frames, "category", len(categories)), frames["subcategory"]):
        assert 0 <= sub < len(categories[category]["subcategories"])
    assert any(category["color"] == "grey" for category in categories)
    assert all(category["subcategories"][0] == "Other" for category in categories)
    for name in ("address", "inlineDepth"):
        column(frames, name)
    for name in ("line", "column", "nativeSymbol", "innerWindowID"):
        column(frames, name, may_be_null=True)
    column(functions, "name", n_strings)
    column(functions, "fileName", n_strings, True)
    column(functions, "resource", resources["length"])
    for name in ("isJS", "relevantForJS"):
        assert set(column(functions, name)) <= {True, False}
    for name in ("lineNumber", "columnNumber"):
        column(functions, name, may_be_null=True)
    column(resources, "lib", len(profile["libs"]), True)
    column(resources, "name", n_strings)
    column(resources, "host", n_strings, True)
    column(resources, "type")
    column(markers, "name", n_strings)
    column(markers, "category", len(categories))
    for start, end, phase in zip(column(markers, "startTime"), column(markers, "endTime"),
                                 column(markers, "phase")):
        assert phase == 1 and start <= end
    schemas = {schema["name"] for schema in profile["meta"]["markerSchema"]}
    assert all(data["type"] in schemas for data in column(markers, "data"))
    assert isinstance(thread["pid"], str) and isinstance(thread["isMainThread"], bool)


def firefox(path):
    file, profile = json.loads(Path(path).read_text()), Profile()
    strings = file["shared"]["stringArray"]
    categories = [category["name"] for category in file["meta"]["categories"]]
    for thread in file["threads"]:
        check_firefox_tables(file, thread)
        stacks, frames, functions = thread["stackTable"], thread["frameTable"], thread["funcTable"]
        samples = thread["samples"]
        times = column(samples, "time")
        assert times == sorted(times)
        for stack, weight, delta in zip(column(samples, "stack"), column(samples, "weight"),
                                        column(samples, "threadCPUDelta")):
            ns, path_, at = round(weight * 1e6), [], stack
            while at is not None:
                path_.append(stacks["frame"][at])
                at = stacks["prefix"][at]
            names = [strings[functions["name"][frames["func"][frame]]] for frame in path_]
            for frame, name in zip(path_, names):
                file_name = functions["fileName"][frames["func"][frame]]
                profile.lines.add((name, strings[file_name] if file_name is not None else "",
                                   frames["line"][frame] or 0))
            category = categories[frames["category"][path_[0]]]
            if category == "Off-CPU":
                assert delta == 0
                profile.add_wait(REASON.fullmatch(names[0])[1], ns)
            elif category == "Target":
                assert delta == 0 and names[-1] == thread["name"]
                profile.add_target(thread["tid"], names[-2::-1], ns)
            else:
                assert delta == ns
                profile.samples += 1
                profile.add_cpu(thread["tid"], names[::-1], ns)
        profile.spans += sum(data["type"] == "Span" for data in thread["markers"]["data"])
    return profile


# ---- callgrind: its own reader ----

def callgrind_annotate(tool, path, inclusive=False):
    """ns by function as callgrind_annotate tells them, and the program's totals."""
    options = ["--threshold=100", "--auto=no", f"--inclusive={'yes' if inclusive else 'no'}"]
    # It takes the current folder off the files of functions, but not off those of calls, and tells
    # each function below it twice.
    done = subprocess.run([tool, *options, str(path)], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0 and not done.stderr.strip(), done
    totals, rows = None, collections.Counter()
    cost = r"\s*([\d,]+|\.)(?: \(\s*[\d.]+%\))?"
    for line in done.stdout.splitlines():
        match = re.match(rf"{cost}{cost}{cost}{cost}\s+(\S.*)$", line)
        if not match:
            continue
        numbers = [int(text.replace(",", "")) if text != "." else 0 for text in match.groups()[:4]]
        what = match[5]
        if what == "PROGRAM TOTALS":
            totals = numbers
        elif ":" in what:
            name = re.sub(r" \[[^ ]*\]$", "", what.split(":", 1)[1] if not what.startswith("???:")
                          else what[4:])
            rows[name] += numbers[0]
    return totals, rows


# ---- Perfetto: protos/perfetto/trace ----

class Trace:
    def __init__(self):
        self.ran_ns, self.waited_ns = collections.Counter(), collections.Counter()
        self.names, self.samples = {}, collections.Counter()
        self.sampled_ns = 0
        self.innermost = collections.Counter()
        self.reasons = collections.Counter()
        self.spans, self.target = 0, collections.Counter()  # by lane's name and span's name


def perfetto(path):
    trace, counts, threads, lanes = Trace(), collections.Counter(), {}, {}
    functions, frames, stacks, events, begun = {}, {}, {}, {}, {}
    switches = collections.defaultdict(list)
    for number, data in fields(Path(path).read_bytes()):
        assert number == 1
        packet = message(data)
        time_ns = one(packet, 8)
        for interned in map(message, packet[12]):
            for value in map(message, interned[2]):
                events[one(value, 1)] = one(value, 2).decode()
            for value in map(message, interned[5]):
                functions[one(value, 1)] = one(value, 2, b"").decode()
            for value in map(message, interned[6]):
                frames[one(value, 1)] = functions[one(value, 2)]
            for value in map(message, interned[7]):
                stacks[one(value, 1)] = [frames[frame] for frame in packed(value[2])]
        for track in map(message, packet[60]):
            for thread in map(message, track[4]):
                trace.names[one(thread, 2)] = one(thread, 5).decode()
                threads[one(track, 1)] = one(thread, 2)
            if track[2]:
                lanes[one(track, 1)] = (one(track, 2).decode(), [])
        for bundle in map(message, packet[1]):
            cpu = one(bundle, 1)
            for event in map(message, bundle[2]):
                for switch in map(message, event[4]):
                    switches[cpu].append((one(event, 1), one(switch, 2), one(switch, 6)))
        for sample in map(message, packet[66]):
            cpu, count = one(sample, 1), one(sample, 6)
            trace.samples[one(sample, 3)] += 1
            trace.innermost[stacks[one(sample, 4)][-1]] += count - counts[cpu]
            trace.sampled_ns += count - counts[cpu]
            counts[cpu] = count
        for event in map(message, packet[11]):
            if one(event, 11) in lanes:
                lane, open_ = lanes[one(event, 11)]
                if one(event, 9) == 1:
                    open_.append((time_ns, events[one(event, 10)]))
                    trace.spans += 1
                else:
                    since_ns, name = open_.pop()
                    trace.target[lane, name] += time_ns - since_ns
                continue
            tid = threads[one(event, 11)]
            if one(event, 9) == 1:
                begun[tid] = (time_ns, events[one(event, 10)])
            else:
                since_ns, reason = begun.pop(tid)
                trace.waited_ns[tid] += time_ns - since_ns
                trace.reasons[reason] += time_ns - since_ns
    assert not begun and not any(open_ for _, open_ in lanes.values())
    add_switches(trace, switches)
    return trace


def add_switches(trace, switches):
    """On each CPU one thread at a time, and who leaves it is who came; on one CPU at a time each."""
    stretches = collections.defaultdict(list)
    for events in switches.values():
        running, since_ns = 0, 0
        for time_ns, before, behind in sorted(events, key=lambda event: event[0]):
            assert before == running
            if running:
                assert time_ns > since_ns
                trace.ran_ns[running] += time_ns - since_ns
                stretches[running].append((since_ns, time_ns))
            running, since_ns = behind, time_ns
        assert not running
    for parts in stretches.values():
        parts.sort()
        assert all(one[1] <= other[0] for one, other in zip(parts, parts[1:]))


# ---- pictures and pages ----

SVG = "{http://www.w3.org/2000/svg}"


def svg(path):
    """ms by title, of all boxes."""
    root = xml.parse(path).getroot()
    assert root.tag == SVG + "svg" and root.find(f".//{SVG}script") is None
    boxes = []
    for group in root.iter(SVG + "g"):
        title, rect = group.find(SVG + "title").text, group.find(SVG + "rect")
        match = re.fullmatch(r"(.*): ([\d.]+) ms, ([\d.]+) %(?:, (\d+) samples?)?", title, re.DOTALL)
        boxes.append((match[1], float(match[2]), float(rect.get("x")), float(rect.get("y")),
                      float(rect.get("width"))))
    return boxes


def html(path):
    text = Path(path).read_text()
    assert "default-src 'none'" in text and "://" not in text.replace("C++", "")
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(data[1])
