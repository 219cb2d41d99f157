# SPDX-License-Identifier: MIT
"""schema_files - reads schema/ and refuses what does not hold together.

Used by gen-schema and check-schema. Everything is in the order of the sorted
file names, so that what is made from it is the same on every machine.
"""

import json
import os
import re

SCALARS = {
    # type: (enum rpc_field_kind, C type, JSON schema)
    "bool": ("BOOL", "bool", {"type": "boolean"}),
    "i32": ("I32", "int32_t", {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}),
    "i64": ("I64", "int64_t", {"type": "integer"}),
    "u32": ("U32", "uint32_t", {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}),
    "u64": ("U64", "uint64_t", {"type": "integer", "minimum": 0}),
    "f64": ("F64", "double", {"type": "number"}),
    "string": ("STRING", "char *", {"type": "string"}),
    "json": ("JSON", "char *", {}),
}
# A unit that a name must end in; other units ("samples") only tell the reader what is counted.
UNIT_SUFFIXES = {"ns": "_ns", "ms": "_ms", "bytes": "_bytes", "hz": "_hz", "pct": "_pct"}
MAX_FIELDS = 64
MAX_KEY = 60


class SchemaError(Exception):
    pass


def _require(condition, path, text):
    if not condition:
        raise SchemaError(f"{path}: {text}")


def _no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise SchemaError(f"the member {key!r} stands there twice")
    return dict(pairs)


class Member:
    """One member of a struct, as its schema file has it."""

    KNOWN = {"type", "unit", "description", "default", "default_constant", "required",
             "present_if", "c"}

    def __init__(self, path, name, raw):
        unknown = set(raw) - self.KNOWN
        _require(not unknown, path, f"{name}: unknown attributes {sorted(unknown)}")
        _require(raw.get("description"), path, f"{name}: has no description")
        self.name = name
        self.is_array = raw["type"].endswith("[]")
        self.type = raw["type"].removesuffix("[]")
        self.unit = raw.get("unit")
        self.description = raw["description"]
        self.default = raw.get("default")
        self.default_constant = raw.get("default_constant")
        self.is_required = raw.get("required", False)
        self.present_if = raw.get("present_if")
        self.c_name = raw.get("c", name)
        self.count_name = "n_" + self.c_name if self.is_array else None
        self._check_unit(path)

    def _check_unit(self, path):
        _require(re.fullmatch(r"[a-z][a-zA-Z0-9_]*", self.name) and len(self.name) <= MAX_KEY,
                 path, f"{self.name}: not a name")
        for unit, suffix in UNIT_SUFFIXES.items():
            _require((self.unit == unit) == self.name.endswith(suffix), path,
                     f"{self.name}: the unit {unit!r} and the suffix {suffix!r} go together")

    def type_text(self):
        return self.type + ("[]" if self.is_array else "")


class Schema:
    """All of schema/: types, enums, methods, notifications and errors by name."""

    def __init__(self, folder):
        self.types, self.enums, self.methods = {}, {}, {}
        self.notifications, self.errors = {}, {}
        self.folders = [os.path.join(folder, part) for part in ("", "types")]
        self.paths = [os.path.join(directory, name) for directory in self.folders
                      for name in sorted(os.listdir(directory)) if name.endswith(".json")]
        for path in self.paths:
            with open(path, encoding="utf-8") as file:
                try:
                    raw = json.load(file, object_pairs_hook=_no_duplicates)
                except ValueError as error:
                    raise SchemaError(f"{path}: {error}") from error
            self._take(path, raw)
        self._check_references()

    def _take(self, path, raw):
        stem = os.path.basename(path).removesuffix(".json")
        if "errors" in raw and stem == "errors":
            self.errors = raw["errors"]
            return
        for kind, target in (("type", self.types), ("enum", self.enums),
                             ("method", self.methods), ("notification", self.notifications)):
            if kind in raw:
                _require(raw[kind] == stem, path, f"holds {raw[kind]!r}: the names must agree")
                _require(raw.get("description"), path, "has no description")
                target[stem] = raw
                raw["path"] = path
                if kind == "type":
                    raw["members"] = [Member(path, name, member)
                                      for name, member in raw["members"].items()]
                    _require(len(raw["members"]) <= MAX_FIELDS, path, "has too many members")
                return
        raise SchemaError(f"{path}: neither type, enum, method, notification nor errors")

    def _check_references(self):
        for type_ in self.types.values():
            for member in type_["members"]:
                self._check_member(type_["path"], member)
        for method in self.methods.values():
            path = method["path"]
            for role in ("params", "result"):
                name = method[role]
                _require(name is None or name in self.types, path, f"no type {name!r}")
            for code in method["errors"]:
                _require(code in self.errors, path, f"no error {code!r} in errors.json")
            self._check_example(method)
        for notification in self.notifications.values():
            _require(notification["params"] in self.types, notification["path"], "unknown params")

    def _check_member(self, path, member):
        known = member.type in SCALARS or member.type in self.types or member.type in self.enums
        _require(known, path, f"{member.name}: unknown type {member.type!r}")
        if member.default is None:
            return
        is_plain = not member.is_array and member.type not in self.types and \
            member.type not in ("string", "json")
        _require(is_plain, path, f"{member.name}: cannot have a default")
        if member.type in self.enums:
            _require(member.default in self.enums[member.type]["values"], path,
                     f"{member.name}: the default is not one of the values")

    def _check_example(self, method):
        if method["params"] is None:
            return
        names = {member.name for member in self.types[method["params"]]["members"]}
        unknown = set(method.get("example", {})) - names
        _require(not unknown, method["path"], f"the example has unknown members {sorted(unknown)}")

    def used_types(self, name, found=None):
        """The type and all that it holds, in the order in which a reader meets them."""
        found = [] if found is None else found
        if name in found or name in SCALARS:
            return found
        found.append(name)
        for member in self.types.get(name, {}).get("members", []):
            self.used_types(member.type, found)
        return found
