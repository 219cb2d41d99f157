# SPDX-License-Identifier: MIT
"""What the benches have in common: medians with their spread, Markdown, the host in a line."""

import os
import platform
import statistics
from pathlib import Path


def percentile(values, pct):
    """Of a sorted copy, nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(pct / 100 * len(ordered) + 0.5) - 1))]


def spread(values, form="{:.2f}"):
    """median (least … most)"""
    values = [v for v in values if v is not None]
    if not values:
        return "–"
    middle = form.format(statistics.median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({form.format(min(values))} … {form.format(max(values))})"


def markdown(head, rows):
    def line(cells):
        return "| " + " | ".join(str(c) for c in cells) + " |"

    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)]) + "\n"


def host():
    """The facts that figures depend on."""
    model = "unknown CPU"
    for entry in Path("/proc/cpuinfo").read_text().splitlines():
        if entry.startswith(("model name", "Model")):
            model = entry.split(":", 1)[1].strip()
            break
    paranoid = Path("/proc/sys/kernel/perf_event_paranoid")
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release(),
            "perf_event_paranoid": int(paranoid.read_text()) if paranoid.exists() else None}


def host_line():
    facts = host()
    return (f"{facts['cpus']} × {facts['cpu']}, Linux {facts['kernel']}, "
            f"perf_event_paranoid {facts['perf_event_paranoid']}")
