"""Plain tables that fit a width; knows no content."""

from __future__ import annotations

from collections.abc import Sequence

_GAP = 2
_NARROWEST = 8


def table(header: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """Lines of a table, the header first. Where it is wider than ``width`` the widest columns are cut."""
    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    while sum(widths) + _GAP * (len(widths) - 1) > width and max(widths) > _NARROWEST:
        widths[widths.index(max(widths))] -= 1
    gap = " " * _GAP
    return [
        gap.join(_cut(cell, size).ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]


def _cut(text: str, size: int) -> str:
    return text if len(text) <= size else text[: size - 3] + "..."
