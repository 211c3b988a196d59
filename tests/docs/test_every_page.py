"""Every page of docs/: its Python compiles, its JSON and YAML parse, and the commands it shows are ones there are."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from oipserver.cli import main
from oipserver.cli.parser import UsageError
from oipserver.cli.start import parse

ROOT = Path(__file__).parents[2]
PAGES = {path.name: path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"(?:^|&& )(oipserver .*)$")


def blocks(language: str) -> list[tuple[str, str]]:
    return [(page, body) for page, text in PAGES.items() for kind, body in BLOCK.findall(text) if kind == language]


def starts() -> list[tuple[str, str]]:
    lines = ((page, line) for page, body in blocks("sh") for line in body.splitlines())
    found = [(page, match[1]) for page, line in lines if (match := COMMAND.search(line))]
    return [(page, command) for page, command in found if command.split()[1] == "start"]


@pytest.mark.parametrize("page", PAGES)
def test_what_is_shown_can_be_read(page: str) -> None:
    for kind, body in BLOCK.findall(PAGES[page]):
        if kind == "python":
            ast.parse(body)
        elif kind == "json" and "..." not in body:
            json.loads(f"{{{body}}}" if body.startswith('"') else body)  # a member alone is a part of an answer
        elif kind == "yaml":
            list(yaml.safe_load_all(body))


@pytest.mark.parametrize(("page", "command"), starts())
def test_a_server_would_start_like_this(page: str, command: str) -> None:
    words = shlex.split(command, comments=True)[2:]
    try:
        parse(words)
    except UsageError as error:
        raise AssertionError(f"{page}: {command}") from error


def test_commands_there_are() -> None:
    shown = {command.split()[1] for _, body in blocks("sh") for command in COMMAND.findall(body)}
    assert shown
    for verb in sorted(shown):
        try:
            code = main([verb, "--help"])
        except SystemExit as ended:  # argparse's way
            code = ended.code
        assert code == 0, verb
