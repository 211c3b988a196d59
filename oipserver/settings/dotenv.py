"""Files of environment variables, such as ``.env``: their text and what it sets; looks for none by itself."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import InvalidArgumentError

DOTENV_FILE = ".env"

# NAME=value, export NAME='value' or NAME="value"; a value in quotes may have several lines.
_ASSIGNMENT = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*"""
    r"""(?:'([^']*)'|"((?:[^"\\]|\\.)*)"|([^'"\s#][^\r\n]*?)?)[ \t]*(?:(?<=[\s=])\#[^\r\n]*)?\r?$""",
    re.MULTILINE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}


def read_dotenv(path: Path) -> dict[str, str]:
    """The variables a file sets, in its order; lines that set none are passed over.

    Raises InvalidArgumentError naming a file that cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(f"the file of variables '{path}' cannot be read: {error}") from error
    return parse_dotenv(text)


def parse_dotenv(text: str) -> dict[str, str]:
    """The variables ``text`` sets. In double quotes a backslash makes what follows it a plain character, or, before
    n, r and t, the one that is meant everywhere."""
    found = {}
    for name, single, double, bare in _ASSIGNMENT.findall(text):
        found[name] = single or _ESCAPE.sub(lambda match: _ESCAPED.get(match[1], match[1]), double) or bare
    return found
