"""Answers that are given again where the same model is asked the same; knows no wire and runs nothing."""

from __future__ import annotations

import struct
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import orjson

from ..errors import InvalidArgumentError
from ..protocol import InferRequest, InferResponse
from ..registry import Servable
from ..tensor import Tensor

#: Bytes of inputs up to which looking an answer up is worth its time: hashing takes about a millisecond for each MB.
MAX_HASHED = 8 << 20
_ENTRY_BYTES = 512  # what an entry costs beside its tensors, roughly

Key = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """An answer apart from the request it was made for; its tensors are copies that nobody changes."""

    outputs: tuple[Tensor, ...]
    parameters: dict[str, Any] | None
    headers: dict[str, str] | None
    size: int


class ResponseCache:
    """The latest used answers, bounded by their number and their bytes. Safe to use from several threads.

    A key holds the very load of a model version that answered: whatever is loaded later never gets its answers.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._answers: OrderedDict[Key, CachedAnswer] = OrderedDict()
        self._lock = Lock()
        self._loads: WeakKeyDictionary[Servable, int] = WeakKeyDictionary()
        self._numbers = count()
        self._outcomes: dict[tuple[str, str], list[int]] = {}
        self.bytes = 0

    @property
    def entries(self) -> int:
        """Answers that are kept."""
        return len(self._answers)

    def outcomes(self) -> Iterable[tuple[tuple[str, str], int, int]]:
        """Hits and misses so far of every model and version that was looked up."""
        return [(model, hits, misses) for model, (hits, misses) in list(self._outcomes.items())]

    def key(self, servable: Servable, request: InferRequest) -> Key | None:
        """What ``request`` is found by; None where its answer is not to be kept.

        Everything that a model may answer by is in it: names, datatypes, shapes and bytes of inputs, their parameters,
        requested outputs, the request's parameters; not its id and not its headers.
        """
        if request.regions is not None:  # its bytes may change between being looked at here and being read by the model
            return None
        digest = blake2b(digest_size=32)
        try:
            if sum(tensor.nbytes for tensor in request.inputs) > MAX_HASHED:
                return None
            for tensor in request.inputs:
                told = (tensor.name, tensor.datatype, tensor.shape, tensor.parameters, tensor.text, tensor.nbytes)
                _add(digest, told)
                digest.update(tensor.raw)
            _add(digest, [(output.name, output.parameters) for output in request.outputs])
            _add(digest, request.parameters)
        except (
            orjson.JSONEncodeError,
            InvalidArgumentError,
        ):  # parameters of an odd kind, or what the model will refuse
            return None
        return self._load_of(servable), digest.digest()

    def _load_of(self, servable: Servable) -> int:
        number = self._loads.get(servable)
        if number is None:
            with self._lock:
                number = self._loads.setdefault(servable, next(self._numbers))
        return number

    def get(self, key: Key) -> CachedAnswer | None:
        """The answer kept for ``key``."""
        with self._lock:
            found = self._answers.get(key)
            if found is not None:
                self._answers.move_to_end(key)
        return found

    def count(self, servable: Servable, *, hit: bool) -> None:
        """Count a request to ``servable`` that was answered from here, or had to be answered by it."""
        with self._lock:
            outcome = self._outcomes.setdefault((servable.name, servable.version), [0, 0])
            outcome[0 if hit else 1] += 1

    def put(self, key: Key, response: InferResponse) -> None:
        """Keep a copy of ``response``; the longest unused ones make room."""
        size = _ENTRY_BYTES + sum(tensor.nbytes for tensor in response.outputs)
        if size > self._max_bytes:
            return
        # Copies: what a model or a worker's shared memory holds is theirs to use again.
        outputs = tuple(
            Tensor(
                tensor.name, tensor.datatype, tensor.shape, None, bytes(tensor.raw), tensor.parameters, text=tensor.text
            )
            for tensor in response.outputs
        )
        headers = dict(response.headers) if response.headers else None
        answer = CachedAnswer(outputs, dict(response.parameters) if response.parameters else None, headers, size)
        with self._lock:
            self._remove(key)
            self._answers[key] = answer
            self.bytes += size
            while len(self._answers) > self._max_entries or self.bytes > self._max_bytes:
                self._remove(next(iter(self._answers)))

    def _remove(self, key: Key) -> None:
        old = self._answers.pop(key, None)
        if old is not None:
            self.bytes -= old.size

    def keep(self, servables: Collection[Servable]) -> None:
        """Forget the answers of all but ``servables``."""
        with self._lock:
            loads = {self._loads.get(servable) for servable in servables}
            for key in [key for key in self._answers if key[0] not in loads]:
                self._remove(key)


def _add(digest: Any, value: object) -> None:
    """Add ``value`` with its length before it, so that no two different ones run into the same bytes."""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    digest.update(struct.pack("<Q", len(text)))
    digest.update(text)
