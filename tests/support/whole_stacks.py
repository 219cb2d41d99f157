# SPDX-License-Identifier: MIT
"""How many stacks of the last run reach the start of their thread."""

COMPLETE_PCT = 99.5
# The target is the same for copies, which is how an ordinary user gets stacks, and it is missed:
# docs/performance.md has by how much. This only notices when it becomes much worse.
COPIED_LEAST_PCT = 97.0


def check_whoever(stax, report, what, copied_least_pct=COPIED_LEAST_PCT):
    if stax.account.is_root:
        check_complete(stax, report, what)
    else:
        check_complete(stax, report, what, copied_least_pct, may_lose=True)


def check_complete(stax, report, what, least_pct=COMPLETE_PCT, may_lose=False, may_lose_pct=0):
    """may_lose: an ordinary user's rings are small, and overflow where the machine is busy.
    may_lose_pct: of the stacks, where all of them are copied for long: until large tables stand."""
    diagnosis = stax.json("diagnose")
    n_lost = sum(lost["count"] for lost in diagnosis["lost"])
    ends = {end["cause"]: end["stacks"] for end in diagnosis["unwind"]["ends"]}
    counters = {c["name"]: c["value"] for c in diagnosis["counters"]}
    total = sum(ends.values())
    assert total > 30, ends
    pct = 100 * ends.get("complete", 0) / total
    report(f"{what} ({stax.account}): {pct:.2f} % of {total} stacks complete, {n_lost} lost, "
           f"{counters['bytes_per_sample']} bytes per sample; {ends}")
    assert may_lose or n_lost <= may_lose_pct * total / 100, diagnosis["lost"]
    cut = [table for table in diagnosis["unwind"]["tables"] if table["cut_stacks"]]
    assert pct >= least_pct, (ends, cut)
    assert diagnosis["stacks"]["complete"] * 100 >= least_pct * diagnosis["stacks"]["total"]
