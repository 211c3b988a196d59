"""What differs between the two servers, and which of it is intended; knows no server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.comparison import Comparison, Entry

from .answers import Answer

#: The allow-list; docs/triton-differences.md is made from it.
DIFFERENCES: list[Entry] = json.loads((Path(__file__).parent / "differences.json").read_text())["differences"]
#: Where the two texts of an error only need the same beginning: what Triton says, with more behind it.
_MESSAGE = "message"

Difference = tuple[str, Any, Any]


class TritonComparison(Comparison):
    """Collects the answers of Triton and of oipserver to every case."""

    def __init__(self) -> None:
        super().__init__(DIFFERENCES, "where")

    def add(self, name: str, theirs: Answer, ours: Answer) -> None:
        """Compare the two answers to the case ``name``."""
        for path, found, got in differences(theirs, ours):
            if not self.allows(name, path, _between(found, got)):
                self.unintended.append(f"{name}, {path}:\n  Triton    {found}\n  oipserver {got}")


def _between(found: Any, got: Any) -> Callable[[Entry], bool]:
    """Entries may be for what Triton has, or what oipserver has, only."""
    return lambda entry: found in entry.get("triton_is", [found]) and got in entry.get("oipserver_is", [got])


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
