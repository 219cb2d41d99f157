# SPDX-License-Identifier: MIT
"""README.md has a reason for each package that ./dev installs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Where the table's word is not the package's name without its ending.
WORDS = {"libc6-dev": "gcc", "ninja-build": "ninja", "zlib1g-dev": "zlib", "libzydis-dev": "Zydis",
         "libuv1-dev": "libuv", "libjansson-dev": "jansson", "libcmocka-dev": "cmocka",
         "python3-pytest": "pytest", "python3-pytest-xdist": "pytest-xdist",
         "xz-utils": "xz"}


def packages():
    script = (ROOT / "dev").read_text()
    lists = re.findall(r"^(\w+_PACKAGES)='([^']+)'", script, re.MULTILINE)
    assert {"BUILD_PACKAGES", "TEST_PACKAGES", "LINT_PACKAGES"} <= {name for name, _ in lists}
    named = [package for _, text in lists for package in text.split()]
    # Others are asked for where they are needed, behind one of the lists.
    for line in re.findall(r"^ *need ([^#\n&|]+)", script, re.MULTILINE):
        named += [word for word in line.split() if re.fullmatch(r"[a-z0-9.+-]+", word)]
    return sorted(set(named))


@pytest.mark.parametrize("package", packages())
def test_has_its_reason(package):
    table = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    word = WORDS.get(package, re.sub(r"-dev$", "", package))
    assert any(re.search(rf"(^|[^\w-]){re.escape(word)}($|[^\w-])", row) for row in table), word
