"""What an inference request says before its body; knows no bytes of it and no connection."""

from __future__ import annotations

from dataclasses import dataclass

from .headers import HeaderView
from .scoring import Scoring


@dataclass(frozen=True, slots=True)
class Head:
    """``url`` as it came, ``target`` the model's name and version (or ""), ``scoring`` what answers in the place of the
    infer handler, where something does."""

    url: bytes
    target: tuple[str, str]
    headers: HeaderView
    scoring: Scoring | None = None
