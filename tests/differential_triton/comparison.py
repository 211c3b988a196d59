"""What differs between the two servers, and which of it is intended; knows no server."""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .answers import Answer

#: The allow-list; docs/triton-differences.md is made from it.
DIFFERENCES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "differences.json").read_text())["differences"]
#: Where the two texts of an error only need the same beginning: what Triton says, with more behind it.
_MESSAGE = "message"

Difference = tuple[str, Any, Any]


@dataclass(slots=True)
class Comparison:
    """Collects the answers to every case; says what was not intended, and what was listed and did not occur."""

    unintended: list[str] = field(default_factory=list)
    _occurred: set[tuple[str, str]] = field(default_factory=set)

    def add(self, name: str, theirs: Answer, ours: Answer) -> None:
        """Compare the two answers to the case ``name``."""
        for path, found, got in differences(theirs, ours):
            if not self._intended(name, path, found, got):
                self.unintended.append(f"{name}, {path}:\n  Triton    {found}\n  oipserver {got}")

    def _intended(self, name: str, path: str, found: Any, got: Any) -> bool:
        intended = False
        for entry in DIFFERENCES:
            if ("triton_is" in entry and found not in entry["triton_is"]) or (
                "oipserver_is" in entry and got not in entry["oipserver_is"]
            ):
                continue
            where = next((each for each in entry["where"] if fnmatch.fnmatchcase(path, each)), None)
            cases = [each for each in entry["cases"] if fnmatch.fnmatchcase(name, each)]
            if where is not None and cases:
                self._occurred |= {(entry["id"], each) for each in (where, *cases)}
                intended = True
        return intended

    def not_occurred(self) -> Iterator[str]:
        """Each part of an entry of the allow-list that no answer has shown."""
        for entry in DIFFERENCES:
            parts = [*entry["where"], *entry["cases"]]
            yield from (f"{entry['id']}: {part}" for part in parts if (entry["id"], part) not in self._occurred)


def differences(theirs: Any, ours: Any, path: str = "") -> Iterator[Difference]:
    """Where the two differ, as members joined by dots, and what is there; "(none)" where a member is not."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for name in sorted(theirs.keys() | ours.keys()):
            below = f"{path}.{name}" if path else str(name)
            yield from differences(theirs.get(name, "(none)"), ours.get(name, "(none)"), below)
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for number, (one, other) in enumerate(zip(theirs, ours, strict=True)):
            yield from differences(one, other, f"{path}.{number}")
    elif theirs != ours and not (path == _MESSAGE and ours.startswith(theirs.rstrip(".\n"))):
        yield path, theirs, ours
