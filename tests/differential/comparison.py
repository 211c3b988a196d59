"""What differs between the two servers, and which of it is intended; knows no server."""

from __future__ import annotations

import copy
import fnmatch
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .answers import Answer
from .rules import RULES

_FILE = json.loads((Path(__file__).parent / "differences.json").read_text())
#: Settings of oipserver that bring back what MLServer does by default.
SETTINGS: dict[str, str] = {entry["name"]: entry["value"] for entry in _FILE["settings"]}
#: The allow-list; see docs/migrating-from-mlserver.md, which is made from it.
DIFFERENCES: list[dict[str, Any]] = _FILE["differences"]


@dataclass(slots=True)
class Comparison:
    """Collects the answers to every case; says what was not intended, and what was listed and did not occur."""

    unintended: list[str] = field(default_factory=list)
    _occurred: set[tuple[str, str]] = field(default_factory=set)

    def add(self, workers: int, name: str, theirs: Answer, ours: Answer) -> None:
        """Compare the two answers to the case ``name``."""
        for entry in DIFFERENCES:
            if rule := entry.get("rule"):
                before = copy.deepcopy((theirs, ours))
                RULES[rule](theirs, ours)
                if before != (theirs, ours):
                    self._occurred.add((entry["id"], rule))
        for aspect in sorted(theirs.keys() | ours.keys()):
            found = (theirs.get(aspect), ours.get(aspect))
            if found[0] != found[1] and not self._intended(name, aspect, ours["status"]):
                self.unintended.append(
                    f"{name}, {workers} workers, {aspect}:\n  MLServer  {found[0]}\n  oipserver {found[1]}"
                )

    def _intended(self, name: str, aspect: str, status: Any) -> bool:
        intended = False
        for entry in DIFFERENCES:
            if aspect not in entry.get("differs", ()) or entry.get("status", status) != status:
                continue
            for pattern in entry["cases"]:
                if fnmatch.fnmatchcase(name, pattern):
                    self._occurred |= {(entry["id"], pattern), (entry["id"], aspect)}
                    intended = True
        return intended

    def not_occurred(self) -> Iterator[str]:
        """Each part of an entry of the allow-list that no answer has shown."""
        for entry in DIFFERENCES:
            parts = [entry["rule"]] if "rule" in entry else [*entry["cases"], *entry["differs"]]
            yield from (f"{entry['id']}: {part}" for part in parts if (entry["id"], part) not in self._occurred)
