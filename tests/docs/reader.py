"""A reader who goes through a page and does what it shows, with real commands and real servers; knows no page."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from tests.docs.blocks import ROOT, Block
from tests.support.server_process import ServerProcess

_START = re.compile(r"^(?P<before>.*?)(?:^|&& )oipserver start (?P<words>[^\n]*)$", re.DOTALL | re.MULTILINE)
_ADDRESS = re.compile(r"(?:localhost|127\.0\.0\.1):(\d+)")
_PORT = re.compile(r"--(http|grpc|metrics)-port[ =](\d+)")
_PORTS = {"http": "8080", "grpc": "8081", "metrics": "8082"}
_SECONDS = 100


def stand_for_pip(folder: Path) -> None:
    """A ``pip`` in ``folder`` that installs nothing."""
    (folder / "pip").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).parent}/pip_stand_in.py" "$@"\n')
    (folder / "pip").chmod(0o755)


def is_answer(shown: str, came: str) -> bool:
    """Whether ``came`` is what a page shows, where ``...`` stands for anything and JSON may be laid out otherwise."""
    compact, other = _compact(came), _compact(shown)
    if compact and other:
        shown, came = other, compact
    elif compact:
        shown, came = ("".join(text.split()) for text in (shown, compact))
    pattern = ".*?".join(re.escape(part) for part in shown.strip().split("..."))
    return re.fullmatch(pattern, came.strip(), re.DOTALL) is not None


def _compact(text: str) -> str:
    """JSON in one form, or nothing where it is none."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))
    except ValueError:
        return ""


class Reader:
    """Goes through blocks in a folder of its own; ``serve`` starts servers, others are ``beside``, by their ports."""

    def __init__(
        self, folder: Path, serve: Callable[..., ServerProcess], beside: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder / "reader"
        self._serve = serve
        self._server: ServerProcess | None = None
        self._beside = dict(beside or {})
        self._addresses = self._beside
        self._came = ""
        for made in (self.folder, folder / "bin", folder / "home"):
            made.mkdir()
        stand_for_pip(folder / "bin")
        (folder / "home" / ".curlrc").write_text("fail\nsilent\nshow-error\n")  # a refusal is no answer
        path = f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environ: Mapping[str, str] = {
            **os.environ, "PATH": path, "HOME": str(folder / "home"), "BIN": str(folder / "bin"), "ROOT": str(ROOT)
        }  # fmt: skip

    def do(self, block: Block) -> None:
        """Do what is said of ``block``. Raises AssertionError where something else comes of it than is shown."""
        if block.what == "file":
            (self.folder / block.more).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / block.more).write_text(block.text)
        elif block.what == "setup":
            self._came = self._shell(block.more)
        elif block.what == "run":
            run = {"python": self._python, "sh": self._shell, "bash": self._shell}[block.language]
            self._came = run(block.text)
        elif block.what == "post":
            self._came = self._post(block.more, block.text)
        elif block.what == "answer":
            assert is_answer(block.text, self._came), f"shown:\n{block.text}\ncame:\n{self._came}"

    def leave(self) -> None:
        """Stop the server that was started last, as a reader does; it ends as it should."""
        if self._server is not None:
            server, self._server = self._server, None
            assert server.stop() == 0, server.output

    def _shell(self, commands: str) -> str:
        """Run ``commands``, the servers among them beside the rest; returns what the rest prints."""
        commands = commands.replace("\\\n", "")
        printed = ""
        while start := _START.search(commands):
            printed += self._command(["bash", "-euo", "pipefail", "-c", start["before"]])
            self._start(start["words"])
            commands = commands[start.end() :]
        return printed + self._command(["bash", "-euo", "pipefail", "-c", commands])

    def _python(self, code: str) -> str:
        return self._command([sys.executable, "-c", code])

    def _command(self, command: list[str]) -> str:
        *words, text = command
        done = subprocess.run(
            [*words, self._at(text)], cwd=self.folder, env=self._environ, capture_output=True, text=True,
            timeout=_SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def _start(self, words: str) -> None:
        """Start a server on ports that are free; each of its models must be there."""
        self.leave()
        printed = self._command(["bash", "-euc", f"printf '%s\\n' {_PORT.sub('', words)}"])
        root, *options = printed.splitlines()
        self._server = self._serve(root, *options, environ=self._environ, cwd=self.folder)
        assert "UNAVAILABLE" not in self._server.output, self._server.output
        ports = _PORTS | dict(_PORT.findall(words))
        self._addresses = self._beside | {port: getattr(self._server, wire) for wire, port in ports.items()}

    def _at(self, text: str) -> str:
        """``text`` with the addresses that servers have here in place of those it names."""
        return _ADDRESS.sub(lambda named: self._addresses.get(named[1], named[0]), text)

    def _post(self, path: str, body: str) -> str:
        assert self._server is not None, "no server was started"
        headers = {"content-type": "application/json"}
        answer = httpx.post(self._server.url(path), content=body, headers=headers, timeout=_SECONDS)
        assert answer.status_code == 200, answer.text
        return answer.text
