"""Intended differences between two servers: each that occurs must be listed, and each that is listed must occur."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any

Entry = dict[str, Any]
#: Requests by name.
Cases = Sequence[tuple[str, dict[str, Any]]]


class Comparison:
    """Collects the answers of two servers: what was not intended, and what was listed and did not occur.

    Each of ``entries`` has an "id", patterns of names of "cases", and under the key ``places`` patterns of where in an
    answer the difference is; or an "id" and the name of a "rule".
    """

    def __init__(self, entries: Sequence[Entry], places: str) -> None:
        self.unintended: list[str] = []
        self.entries = entries
        self._places = places
        self._occurred: set[tuple[str, str]] = set()

    def allows(self, case: str, place: str, applies: Callable[[Entry], bool]) -> bool:
        """Whether a difference at ``place`` in the answers to ``case`` is in an entry that ``applies``."""
        allowed = False
        for entry in filter(applies, self.entries):
            where = next((each for each in entry.get(self._places, ()) if fnmatchcase(place, each)), None)
            cases = [each for each in entry.get("cases", ()) if fnmatchcase(case, each)]
            if where is not None and cases:
                for part in (where, *cases):
                    self.occurred(entry, part)
                allowed = True
        return allowed

    def occurred(self, entry: Entry, part: str) -> None:
        """An answer has shown ``part`` of ``entry``."""
        self._occurred.add((entry["id"], part))

    def not_occurred(self) -> Iterator[str]:
        """Each part of an entry that no answer has shown."""
        for entry in self.entries:
            parts = [entry["rule"]] if "rule" in entry else [*entry["cases"], *entry[self._places]]
            yield from (f"{entry['id']}: {part}" for part in parts if (entry["id"], part) not in self._occurred)


class ComparisonTests:
    """The tests of a comparison, which is a fixture of the module that inherits them for its ``cases``."""

    cases: Cases

    def test_every_difference_is_intended(self, comparison: Comparison) -> None:
        assert not comparison.unintended, "not in differences.json:\n" + "\n".join(comparison.unintended)

    def test_every_intended_difference_occurs(self, comparison: Comparison) -> None:
        gone = list(comparison.not_occurred())
        assert not gone, "in differences.json, but no longer so:\n" + "\n".join(gone)

    def test_names_of_cases_are_unique(self) -> None:
        assert len(dict(self.cases)) == len(self.cases)
