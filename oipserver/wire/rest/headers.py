"""Request headers as they came, and as a mapping only where somebody asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

RawHeaders = list[tuple[bytes, bytes]]

# What tells how a body is to be read, and how its answer may be written.
_FORM = frozenset({b"content-encoding", b"accept-encoding", b"inference-header-content-length", b"content-type"})


def whole_number(digits: bytes) -> int:
    """The number a Content-Length says, with any number of zeros before it; it has been found to fit in 64 bits."""
    return int(digits.lstrip(b"0") or b"0")


class HeaderView(Mapping[str, str]):
    """Raw headers (lower-case names) as a mapping of text; repeated ones are joined with ", "."""

    __slots__ = ("_decoded", "form", "raw")
    wire = "HTTP"

    def __init__(self, raw: RawHeaders) -> None:
        self.raw = raw
        #: Those alone that tell how a body is to be read, and how its answer may be written.
        self.form = {name: value for name, value in raw if name in _FORM}
        self._decoded: dict[str, str] | None = None

    def _mapping(self) -> dict[str, str]:
        decoded = self._decoded
        if decoded is None:
            decoded = {}
            for raw_name, raw_value in self.raw:
                name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
                decoded[name] = f"{decoded[name]}, {value}" if name in decoded else value
            self._decoded = decoded
        return decoded

    def repeated(self) -> dict[str, list[str]]:
        """Each value of the headers that came more than once."""
        values: dict[str, list[str]] = {}
        for name, value in self.raw:
            values.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        return {name: found for name, found in values.items() if len(found) > 1}

    def __getitem__(self, name: str) -> str:
        return self._mapping()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._mapping())

    def __len__(self) -> int:
        return len(self._mapping())

    def __bool__(self) -> bool:
        return bool(self.raw)

    def __repr__(self) -> str:
        return f"HeaderView({len(self.raw)} headers)"  # never their values: they may be secrets
