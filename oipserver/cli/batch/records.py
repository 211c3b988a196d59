"""The files of a batch: requests line by line, answers line by line, and what of them is there already."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from ...errors import InvalidArgumentError, OIPError
from ...protocol import InferRequest, InferResponse
from ...protocol.json_text import parse_json
from ...protocol.v2_json import read_request, write_json
from ...scheduler.compatible import batch_key, batch_rows


@dataclass(slots=True)
class Item:
    """One line of the input: its number from 0, and the request on it or why there is none."""

    index: int
    request: InferRequest | None = None
    problem: str = ""


def count_lines(path: Path) -> int:
    """How many requests a file holds. Raises InvalidArgumentError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return sum(1 for line in file if line.strip())
    except OSError as error:
        raise InvalidArgumentError(f"cannot read {path}: {error.strerror}") from None


def read_items(path: Path, model: str, version: str, skip: set[int]) -> Iterator[Item]:
    """The requests of a file whose numbers are not to be skipped; blank lines count for nothing."""
    index = -1
    with path.open("rb") as file:
        for line in file:
            if not line.strip():
                continue
            index += 1
            if index in skip:
                continue
            try:
                request, _ = read_request(line, model, version)
            except OIPError as error:
                yield Item(index, problem=error.message)
            else:
                request.id = request.id or str(uuid4())
                yield Item(index, request)


def grouped(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    """Neighbours that may be one request, at most ``size`` of them together."""
    group: list[Item] = []
    key: object = None
    for item in items:
        request = item.request
        own = batch_key(request, headers=False) if size > 1 and request is not None and batch_rows(request) else None
        if group and (own is None or own != key or len(group) == size):
            yield group
            group = []
        group.append(item)
        key = own
        if own is None:
            yield group
            group = []
    if group:
        yield group


def answer_line(index: int, response: InferResponse, inference_id: str) -> bytes:
    """The line of the output that holds an answer. Raises OIPError where it cannot be JSON."""
    response.parameters = {**(response.parameters or {}), "batch_index": index, "inference_id": inference_id}
    return write_json(response)[0] + b"\n"


def error_line(index: int, status: str, message: str) -> bytes:
    """The line of the output that says why there is no answer."""
    return orjson.dumps({"parameters": {"batch_index": index}, "error": {"status": status, "msg": message}}) + b"\n"


def resume(path: Path) -> set[int]:
    """The numbers of the requests an output file has answers to already.

    Errors and a last line that was cut off are taken out of the file: they are asked for again. Raises
    InvalidArgumentError where the file cannot be read, or holds something else than answers.
    """
    if not path.is_file():  # nothing there yet, or a device that has no past
        return set()
    done: set[int] = set()
    kept = path.with_name(f".{path.name}.resumed")
    clean = True
    try:
        with path.open("rb") as old, kept.open("wb") as new:
            for number, line in enumerate(old, start=1):
                index = _answered(line, f"{path}:{number}")
                if index is None or index in done:
                    clean = False
                    continue
                done.add(index)
                new.write(line)
        if not clean:
            os.replace(kept, path)
    except OSError as error:
        raise InvalidArgumentError(f"cannot go on with {path}: {error.strerror}") from None
    finally:
        kept.unlink(missing_ok=True)
    return done


def _answered(line: bytes, place: str) -> int | None:
    """The number that a line of the output answers; None for an error or half a line."""
    if not line.endswith(b"\n"):
        return None
    try:
        document: Any = parse_json(line)
        index = document["parameters"]["batch_index"]
    except (OIPError, KeyError, TypeError):
        raise InvalidArgumentError(
            f"{place} is no answer of 'oipserver infer': name another output file, or remove this one"
        ) from None
    return None if "error" in document else int(index)


def rows_of(items: Sequence[Item]) -> list[int]:
    """The rows of each request of a group."""
    return [batch_rows(item.request) for item in items if item.request is not None]
