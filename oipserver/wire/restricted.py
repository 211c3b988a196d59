"""Which APIs need a header, as the settings say; knows no wire."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hmac import compare_digest

from ..errors import InvalidArgumentError

APIS = (
    "health",
    "metadata",
    "inference",
    "shared-memory",
    "model-config",
    "model-repository",
    "statistics",
    "trace",
    "logging",
)


@dataclass(frozen=True, slots=True)
class Needed:
    """A header (lower-case) and the value that it must have."""

    header: str
    value: str

    def given(self, headers: Mapping[str, str]) -> bool:
        """Whether it is among ``headers`` (lower-case names)."""
        return compare_digest(headers.get(self.header, "").encode(), self.value.encode())


def restricted_apis(setting: str, words: Iterable[str], prefix: str = "") -> dict[str, Needed]:
    """What each restricted API needs, from the ``words`` of ``setting``: ``API[,API]:HEADER=VALUE``.

    ``prefix`` stands before every header's name. A list on the command line may have been taken apart at its commas:
    words without a header belong to the next that has one. Raises InvalidArgumentError.
    """
    found: dict[str, Needed] = {}
    apis: list[str] = []
    for word in words:
        names, colon, header = word.partition(":")
        apis += [name.strip() for name in names.split(",")]
        if not colon:
            continue
        name, equals, value = header.partition("=")
        if not name or not equals or not value:
            raise InvalidArgumentError(f"{setting}: expected API[,API]:HEADER=VALUE, got '{word}'")
        for api in apis:
            if api not in APIS:
                raise InvalidArgumentError(f"{setting}: unknown API '{api}', expected one of {', '.join(APIS)}")
            if api in found:
                raise InvalidArgumentError(f"{setting}: '{api}' is restricted twice")
            found[api] = Needed(prefix + name.lower(), value)
        apis = []
    if apis:
        raise InvalidArgumentError(f"{setting}: expected API[,API]:HEADER=VALUE, got '{','.join(apis)}'")
    return found
