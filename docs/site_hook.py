"""What the pages hold that the site has not: links to other parts of the repository, whose text alone it shows, and
comments, which tell the tests what is done with a block."""

from __future__ import annotations

import re
from typing import Any

_OUTWARD = re.compile(r"\[([^\]]+)\]\(\.\./[^)\s]+\)")
_COMMENT = re.compile(r"<!--.*?-->\n*", re.DOTALL)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs with the text of each page."""
    return _COMMENT.sub("", _OUTWARD.sub(r"\1", markdown))
