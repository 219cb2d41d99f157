# SPDX-License-Identifier: MIT
"""How many stacks of the last run reach the start of their thread."""

COMPLETE_PCT = 99.5


def check_complete(stax, report, what, least_pct=COMPLETE_PCT):
    diagnosis = stax.json("diagnose")
    assert not any(lost["count"] for lost in diagnosis["lost"]), diagnosis["lost"]
    ends = {end["cause"]: end["stacks"] for end in diagnosis["unwind"]["ends"]}
    counters = {c["name"]: c["value"] for c in diagnosis["counters"]}
    total = sum(ends.values())
    assert total > 100, ends
    pct = 100 * ends.get("complete", 0) / total
    report(f"{what} ({stax.account}): {pct:.2f} % of {total} stacks complete, "
           f"{counters['bytes_per_sample']} bytes per sample; {ends}")
    assert pct >= least_pct, (ends, [t for t in diagnosis["unwind"]["tables"] if t["cut_stacks"]])
    assert diagnosis["stacks"]["complete"] * 100 >= least_pct * diagnosis["stacks"]["total"]
