"""Stands for pip where the commands of a page are run: installs nothing, and fails for an extra that there is not."""

from __future__ import annotations

import re
import sys
from importlib.metadata import metadata

OWN = re.compile(r"(?:\.|oipserver)(?:\[(?P<extras>[\w,]+)\])?")


def main(words: list[str]) -> int:
    """Look at the words of a command line of pip. Returns the exit code."""
    if words[0] not in ("install", "uninstall", "wheel"):
        return 2
    known = set(metadata("oipserver").get_all("Provides-Extra", []))
    asked = {extra for word in words if (own := OWN.fullmatch(word)) for extra in (own["extras"] or "").split(",")}
    unknown = asked - known - {""}
    if unknown:
        print(f"there is no extra {sorted(unknown)}", file=sys.stderr)
    return 1 if unknown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
