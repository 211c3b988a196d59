"""Parsing arguments with complaints that help; knows no command."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import NoReturn


class UsageError(Exception):
    """The command line cannot be understood; the message is one line."""


def unknown(kind: str, word: str, known: Iterable[str]) -> str:
    """The complaint about a word nobody knows, with the one that was probably meant."""
    from ..settings.suggestion import did_you_mean  # brings pydantic, which a mere --help can do without

    return f"unknown {kind} '{word}'{did_you_mean(word, known)}"


def see_help(message: str, command: str) -> str:
    """The complaint with the place where help is."""
    return f"{message}{' See' if message.endswith('?') else '; see'} {command} --help"


class Parser(argparse.ArgumentParser):
    """An argument parser that raises UsageError, takes no abbreviations and suggests what was meant."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog,
            f"{prog} [DIR] [options]",
            description,
            epilog,
            allow_abbrev=False,
            formatter_class=_HelpFormatter,
        )

    @property
    def switches(self) -> frozenset[str]:
        """Options that are on or off, by the name that switches them on."""
        kind = argparse.BooleanOptionalAction
        return frozenset(action.option_strings[0] for action in self._actions if isinstance(action, kind))

    def parse(self, arguments: Sequence[str], also: Iterable[str] = ()) -> argparse.Namespace:
        """The parsed arguments; ``also`` may have been meant by a word that is unknown. Raises UsageError."""
        namespace, rest = self.parse_known_args(arguments)
        options = [word.partition("=")[0] for word in rest if word.startswith("-")]
        if options:
            self.error(unknown("option", options[0], [*self._option_string_actions, *also]))
        if rest:
            self.error(f"unexpected argument '{rest[0]}'")
        return namespace

    def error(self, message: str) -> NoReturn:
        raise UsageError(see_help(message, self.prog))


class _HelpFormatter(argparse.HelpFormatter):
    """Names first, meaning beside them, at the width of the terminal but no wider than is pleasant to read."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=36)
        self._width = min(self._width, 110)
