"""What differs between the two servers, and which of it is intended; knows no server."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.comparison import Comparison, Entry

from .answers import Answer
from .rules import RULES

_FILE = json.loads((Path(__file__).parent / "differences.json").read_text())
#: Settings of oipserver that bring back what MLServer does by default.
SETTINGS: dict[str, str] = {entry["name"]: entry["value"] for entry in _FILE["settings"]}
#: The allow-list; see docs/migrating-from-mlserver.md, which is made from it.
DIFFERENCES: list[Entry] = _FILE["differences"]


class MLServerComparison(Comparison):
    """Collects the answers of MLServer and of oipserver to every case, without workers and with them."""

    def __init__(self) -> None:
        super().__init__(DIFFERENCES, "differs")

    def add(self, workers: int, name: str, theirs: Answer, ours: Answer) -> None:
        """Compare the two answers to the case ``name``."""
        for entry in DIFFERENCES:
            if rule := entry.get("rule"):
                before = copy.deepcopy((theirs, ours))
                RULES[rule](theirs, ours)
                if before != (theirs, ours):
                    self.occurred(entry, rule)
        for aspect in sorted(theirs.keys() | ours.keys()):
            found = (theirs.get(aspect), ours.get(aspect))
            if found[0] != found[1] and not self.allows(name, aspect, _when(ours["status"])):
                self.unintended.append(
                    f"{name}, {workers} workers, {aspect}:\n  MLServer  {found[0]}\n  oipserver {found[1]}"
                )


def _when(status: Any) -> Callable[[Entry], bool]:
    """Entries may be for answers of one status only."""
    return lambda entry: bool(entry.get("status", status) == status)
