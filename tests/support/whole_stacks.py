# SPDX-License-Identifier: MIT
"""How many stacks of the last run reach the start of their thread."""

COMPLETE_PCT = 99.5


def check_complete(stax, report, what, least_pct=COMPLETE_PCT, spare=0):
    """spare: stacks that may be cut beyond the percentage, in short runs."""
    diagnosis = stax.json("diagnose")
    assert not any(lost["count"] for lost in diagnosis["lost"]), diagnosis["lost"]
    ends = {end["cause"]: end["stacks"] for end in diagnosis["unwind"]["ends"]}
    counters = {c["name"]: c["value"] for c in diagnosis["counters"]}
    total = sum(ends.values())
    assert total > 100, ends
    pct = 100 * ends.get("complete", 0) / total
    report(f"{what} ({stax.account}): {pct:.2f} % of {total} stacks complete, "
           f"{counters['bytes_per_sample']} bytes per sample; {ends}")
    allowed = total * (100 - least_pct) / 100 + spare
    cut = [table for table in diagnosis["unwind"]["tables"] if table["cut_stacks"]]
    assert total - ends.get("complete", 0) <= allowed, (ends, cut)
    assert diagnosis["stacks"]["total"] - diagnosis["stacks"]["complete"] <= allowed
