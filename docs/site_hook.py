"""Links of the pages to other parts of the repository: the site has no such parts, so it shows their text alone."""

from __future__ import annotations

import re
from typing import Any

_OUTWARD = re.compile(r"\[([^\]]+)\]\(\.\./[^)\s]+\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs with the text of each page."""
    return _OUTWARD.sub(r"\1", markdown)
