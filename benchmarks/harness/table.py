"""Markdown tables and the targets of a benchmark; knows no server and no measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def markdown(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A titled Markdown table."""
    lines = [f"### {title}", "", "| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows), ""])


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure to reach: ``found`` is to be at least, or ``at_most``, ``limit``."""

    text: str
    limit: float
    found: float
    spread: str = ""
    at_most: bool = False
    unit: str = "x"

    @property
    def verdict(self) -> str:
        """met or missed."""
        return "met" if (self.found <= self.limit if self.at_most else self.found >= self.limit) else "**missed**"

    def row(self) -> list[str]:
        """The goal as a row of the table of goals."""
        sign = "<=" if self.at_most else ">="
        found = f"{self.spread or f'{self.found:.2f}'} {self.unit}"
        return [self.text, f"{sign} {self.limit:g} {self.unit}", found, self.verdict]


def goals_table(goals: Sequence[Goal]) -> str:
    """All goals, and whether they were reached."""
    return markdown("Goals", ["goal", "wanted", "found", ""], [goal.row() for goal in goals])
