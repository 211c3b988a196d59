"""The blocks of a page, and what a comment before each says is done with it; runs nothing and knows no page.

What a comment may say, right before a block that is fenced in backquotes:

    <!-- file: NAME -->         the block is this file of the reader's folder
    <!-- run -->                the block is run, by bash or Python; servers that it starts go on running
    <!-- post: PATH -->         the block is sent to that path of the server that was started last
    <!-- answer -->             the block is what came of the one before; ``...`` stands for anything
    <!-- not run: REASON -->    the block cannot be run by a test, or there is nothing in it to be run

And anywhere, what a reader has and a test has not, or sees for himself (``$ROOT`` is the repository):

    <!-- setup: COMMANDS -->    run by bash, as a block would be
    <!-- needs: MODULE -->      the page is run where this can be imported
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*/README.md"))]
DONE = ("file", "run", "post", "answer", "not run")
ASIDE = ("setup", "needs")

_PART = re.compile(
    rf"<!-- *(?P<what>{'|'.join((*DONE, *ASIDE))})\b:?(?P<more>.*?)-->|^ *```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block, or what is said aside: ``what`` is done with ``text``, ``more`` being a name, a path or a reason."""

    line: int
    what: str
    more: str
    language: str
    text: str


def blocks(page: str) -> list[Block]:
    """Everything on ``page`` that something is to be done with. Raises ValueError for a block nothing is said of."""
    found: list[Block] = []
    said: re.Match[str] | None = None
    for part in _PART.finditer(page):
        line = page.count("\n", 0, part.start()) + 1
        if part["what"] in ASIDE:
            found.append(Block(line, part["what"], part["more"].strip(), "", ""))
        elif part["what"] is not None:
            said = part
        elif said is None or _COMMENT.sub("", page[said.end() : part.start()]).strip():
            raise ValueError(f"line {line}: nothing says what is done with this block")
        else:
            found.append(Block(line, said["what"], said["more"].strip(), part["language"], part["text"]))
            said = None
    return found
