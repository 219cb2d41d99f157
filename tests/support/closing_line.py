# SPDX-License-Identifier: MIT
"""Sums what test runs left in a folder and prints one last line of counts.

meson leaves *.json (one object per line, one line per program), pytest leaves
*.xml (JUnit). Fails where a test failed or where nothing ran at all.
"""

import collections
import json
import pathlib
import sys
import xml.etree.ElementTree

PASSED = {"OK", "EXPECTEDFAIL"}
SKIPPED = {"SKIP"}


def of_meson(path):
    """Yields (name, "passed" | "failed" | "skipped", reason)."""
    for line in path.read_text().splitlines():
        test = json.loads(line)
        if test["result"] in PASSED:
            yield test["name"], "passed", ""
        elif test["result"] in SKIPPED:
            said = (test.get("stdout") or "").strip().splitlines()
            yield test["name"], "skipped", said[-1] if said else "no reason given"
        else:
            yield test["name"], "failed", test["result"].lower()


def of_junit(path):
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        name = f'{case.get("classname")}.{case.get("name")}'
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            yield name, "failed", ""
        elif skip is not None:
            expected = "expected to fail: " if skip.get("type") == "pytest.xfail" else ""
            yield name, "skipped", expected + (skip.get("message") or "no reason given")
        else:
            yield name, "passed", ""


def closing_lines(folder):
    """All lines to print, the counts last, and the exit status."""
    results = {}
    for path in sorted(pathlib.Path(folder).glob("*")):
        readers = {".json": of_meson, ".xml": of_junit}
        for name, outcome, reason in readers.get(path.suffix, lambda _: ())(path):
            # A case whose teardown fails is reported twice: the worse one counts.
            key = (path.name, name)
            if results.get(key, ("passed",))[0] != "failed":
                results[key] = (outcome, reason)
    counts = collections.Counter(outcome for outcome, _ in results.values())
    reasons = collections.Counter(r for outcome, r in results.values() if outcome == "skipped")
    lines = [""]
    if reasons:
        lines += ["skipped:"] + [f"  {n} x {reason}" for reason, n in reasons.most_common()]
    failed = sorted(f"{name} ({reason or 'failed'})" for (_, name), (outcome, reason)
                    in results.items() if outcome == "failed")
    if failed:
        lines += ["failed:"] + ["  " + name for name in failed]
    lines.append(f'{counts["passed"]} passed, {counts["failed"]} failed, '
                 f'{counts["skipped"]} skipped')
    return lines, 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    to_print, status = closing_lines(sys.argv[1])
    print("\n".join(to_print))
    sys.exit(status)
