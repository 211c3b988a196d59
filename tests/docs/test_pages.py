"""Every page of docs/ and the README, gone through as a reader does: its commands work and answer as it shows."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from oipserver.cli.start import parse
from tests.docs.blocks import PAGES, ROOT, Block, blocks
from tests.docs.reader import Reader, is_answer
from tests.support.server_process import ServerProcess
from tests.support.tracking_server import TrackingServer

TRACKING_PORT = "5000"

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pytest.mark.process
@every_page
def test_it_is_as_the_page_says(page: Path, tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    found = blocks(page.read_text())
    for block in found:
        if block.what == "needs":
            pytest.importorskip(block.more, reason=f"{page.name} needs {block.more}")
    with tracking_server(found, tmp_path) as beside:
        reader = Reader(tmp_path, serve, beside)
        for block in found:
            try:
                reader.do(block)
            except AssertionError as error:
                raise AssertionError(f"{page.relative_to(ROOT)}, line {block.line}: {error}") from None
        reader.leave()


@contextmanager
def tracking_server(found: list[Block], folder: Path) -> Iterator[dict[str, str]]:
    """MLflow's tracking server where a block asks for one at its usual address; yields where it is, by that port."""
    if not any(f"127.0.0.1:{TRACKING_PORT}" in block.text for block in found if block.what == "run"):
        yield {}
        return
    (folder / "tracking").mkdir()
    with TrackingServer(folder / "tracking") as server:
        yield {TRACKING_PORT: server.url.removeprefix("http://")}


@every_page
def test_what_is_not_run_can_be_read(page: Path) -> None:
    for block in blocks(page.read_text()):
        if block.what == "not run":
            assert len(block.more.split()) > 2, f"{page.relative_to(ROOT)}, line {block.line}: why?"
            for name in re.findall(r"tests/[\w/.]*\w", block.more):
                assert (ROOT / name).exists(), f"{page.relative_to(ROOT)}, line {block.line}: {name}"
            read(block)


@every_page
def test_nothing_comes_after_a_server_that_runs_on(page: Path) -> None:
    """In the same terminal, that is, unless it is another server to start instead."""
    for block in blocks(page.read_text()):
        if block.what == "run" and "oipserver start" in block.text:
            after = block.text[block.text.index("oipserver start") :].replace("\\\n", "")
            assert all(line.startswith("oipserver start") for line in after.splitlines()), (
                f"{page.relative_to(ROOT)}, line {block.line}"
            )


@every_page
def test_a_reader_learns_what_files_are_called(page: Path) -> None:
    """What a block is called stands before it, where it can be seen: not in a comment alone."""
    text = page.read_text()
    lines = text.splitlines(keepends=True)
    for block in blocks(text):
        if block.what == "file":
            seen = re.sub(r"<!--.*?-->|```.*?```", "", "".join(lines[: block.line - 1]), flags=re.DOTALL)
            names = re.findall(r"`([^`\n]+)`", seen)
            told = [name for name in names if name.endswith(Path(block.more).name) and block.more.endswith(name)]
            assert told, f"{page.relative_to(ROOT)}, line {block.line}: nobody sees that this is {block.more}"


def read(block: Block) -> None:
    """Look whether ``block`` is well-formed, and the servers it starts have options that there are."""
    if block.language == "python":
        ast.parse(block.text)
    elif block.language == "json":
        json.loads(block.text)
    elif block.language == "yaml":
        list(yaml.safe_load_all(block.text))
    elif block.language in ("sh", "bash"):
        subprocess.run(["bash", "-n", "-c", block.text], check=True, timeout=10)
        for words in re.findall(r"^oipserver start (.*)$", block.text, re.MULTILINE):
            parse(shlex.split(words, comments=True))


@pytest.mark.parametrize(
    "page",
    ["```sh\ntrue\n```", "<!-- run -->\n\nas follows\n\n```sh\ntrue\n```", "<!-- run -->\n```\na\n```\n```\nb\n```"],
    ids=["none", "elsewhere", "of another"],
)
def test_a_block_of_which_nothing_is_said_is_found(page: str) -> None:
    with pytest.raises(ValueError, match="nothing says"):
        blocks(page)


def test_a_page_that_is_wrong_is_found(tmp_path: Path, serve: Callable[..., ServerProcess]) -> None:
    reader = Reader(tmp_path, serve)
    told, shown, extra = blocks(
        "<!-- run -->\n```sh\necho 1\n```\n<!-- answer -->\n```\n2\n```\n<!-- run -->\n```sh\npip install '.[x]'\n```"
    )
    reader.do(told)
    for wrong, why in ((shown, "came:\n1"), (extra, "no extra")):
        with pytest.raises(AssertionError, match=why):
            reader.do(wrong)


@pytest.mark.parametrize(
    ("shown", "came", "same"),
    [
        ('{"a": 1}', '{"a":1}', True),
        ('{"a": "b..."}', '{"a":"bc"}', True),
        ('{"a": 1, ...}', '{"a": 1, "b": 2}', True),
        ('{"a": 1}', '{"a": 1, "b": 2}', False),
        ("one", "none", False),
        ("one ...", "one two\n", True),
    ],
)
def test_answers_are_compared(shown: str, came: str, same: bool) -> None:
    assert is_answer(shown, came) is same
