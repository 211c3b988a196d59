"""Prints a command of the README by its label, so that CI and the tests run the very text a reader copies."""

from __future__ import annotations

import re
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def command(label: str, text: str | None = None) -> str:
    """The code block that follows ``<!-- command: label -->``. Raises KeyError where there is none."""
    source = README.read_text() if text is None else text
    found = re.search(rf"<!-- command: {re.escape(label)} -->\s*```\w*\n(.*?)```", source, re.DOTALL)
    if found is None:
        raise KeyError(f"the README has no command labelled {label!r}")
    return found.group(1).strip()


if __name__ == "__main__":
    print(command(sys.argv[1]))  # noqa: T201
