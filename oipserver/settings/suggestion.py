"""What a mistyped word was probably meant to be; knows words and nothing of what they stand for."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def closest(word: str, known: Iterable[str], cutoff: float = 0.7) -> str | None:
    """The word of ``known`` that ``word`` resembles most, ignoring case; None where none comes near."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    matches = get_close_matches(word.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` to put behind a complaint, or nothing."""
    match = closest(word, known)
    return f"; did you mean '{match}'?" if match else ""
