"""Changes valid requests a little, at random but repeatably: their bytes, and the values of documents and messages."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

#: How many changes one request gets: mostly one, so that what comes behind the decoders is reached as well.
CHANGES = (1, 1, 1, 1, 2, 2, 3, 4)
NUMBERS = [-1, 0, 1, 2, 3, 7, 16, 255, 2**31 - 1, 2**31, -(2**31), 2**32, 2**58, 2**62, 2**63 - 1, 2**63, 2**64, 10**40]
VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        "",
        "x",
        "INPUT0",
        "INPUT1",
        "FP32",
        "BF16",
        "BYTES",
        "BOOL",
        "\x00",
        "é€",
        "triton_x",
        "a" * 300,
    ),
    *([], {}, [[]], [1, [2]], [[1, 2], [3]], {"name": "x"}, 0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf")),
    *NUMBERS,
]
KEYS = [
    *("name", "shape", "datatype", "data", "parameters", "inputs", "outputs", "id", "binary_data_size", "binary_data"),
    *("binary_data_output", "classification", "priority", "timeout", "headers", "content_type", "sequence_id"),
    *("shared_memory_region", "shared_memory_byte_size", "shared_memory_offset", "triton_y", ""),
]
SCRAPS = [
    *(
        b"",
        b"\x00",
        b"\xff",
        b"\xff\xff\xff\xff",
        b"\x7f\xff\xff\xff",
        b"[",
        b"]",
        b"{",
        b"}",
        b'"',
        b"\\u",
        b"\\ud800",
    ),
    *(
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"-",
        b"9" * 40,
        b"[" * 200,
        b'{"a":' * 120,
        b"null",
        b"\xc3\x28",
        b"\xed\xa0\x80",
    ),
]


def mutate_bytes(random: Random, data: bytes, others: list[bytes]) -> bytes:
    """``data`` with one to four changes (see CHANGES); pieces of ``others`` may get into it."""
    made = bytearray(data)
    for _ in range(random.choice(CHANGES)):
        start = random.randint(0, len(made))
        end = min(len(made), start + random.choice((0, 1, 1, 2, 4, 8, 64)))
        kind = random.randrange(6)
        if kind == 0 and end > start:
            made[start] ^= 1 << random.randrange(8)
        elif kind == 1:
            made[start:end] = random.choice(SCRAPS)
        elif kind == 2:
            made[start:end] = random.randbytes(end - start)
        elif kind == 3:
            del made[start:end]
        elif kind == 4:
            other = random.choice(others)
            cut = random.randint(0, len(other))
            made[start:end] = other[cut : cut + random.choice((1, 4, 16, 256))]
        else:
            del made[random.choice((start, max(0, len(made) - random.randint(0, 9)))) :]
    return bytes(made)


def mutate_value(random: Random, value: Any) -> Any:
    """A copy of a JSON ``value`` with one to four of its parts changed."""
    made = copy.deepcopy(value)
    for _ in range(random.choice(CHANGES)):
        places = list(_places(made))
        if places:
            _change(random, *random.choice(places))
    return made


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in ``value`` with each of its keys or indices."""
    pending = [value]
    while pending:
        item = pending.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item)) if isinstance(item, list) else ()
        for key in keys:
            yield item, key
            pending.append(item[key])


def _change(random: Random, parent: Any, key: Any) -> None:
    kind = random.randrange(6)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, dict):
        parent[random.choice(KEYS)] = parent.pop(key)
    elif kind == 1:
        parent.insert(key, copy.deepcopy(parent[key]))
    elif kind == 2 and isinstance(parent, dict):
        parent[random.choice(KEYS)] = copy.deepcopy(random.choice(VALUES))
    elif kind == 3:
        parent[key] = [parent[key]] * random.choice((1, 2, 40))
    else:
        parent[key] = copy.deepcopy(random.choice(VALUES))


def mutate_message(random: Random, message: Any) -> Any:
    """A copy of a protobuf ``message`` with one to four of its fields, at any depth, changed or left out."""
    made = type(message)()
    made.CopyFrom(message)
    for _ in range(random.choice(CHANGES)):
        at = made
        while True:
            fields = at.ListFields()
            if not fields:
                break
            field, value = random.choice(fields)
            children = _children(value)
            if children and random.random() < 0.7:
                at = random.choice(children)
                continue
            _change_field(random, at, field, value)
            break
    return made


def _children(value: Any) -> list[Any]:
    if hasattr(value, "ListFields"):
        return [value]
    items = list(value.values()) if hasattr(value, "values") else list(value) if hasattr(value, "append") else []
    return [item for item in items if hasattr(item, "ListFields")]


def _change_field(random: Random, message: Any, field: Any, value: Any) -> None:
    if hasattr(value, "append") and random.random() < 0.8:
        if random.random() < 0.4:
            del value[random.randrange(len(value))]
        elif hasattr(value, "add"):
            value.add().CopyFrom(random.choice(value))
        else:
            value[random.randrange(len(value))] = _scalar(random, value[0], field)
    elif hasattr(value, "ListFields") or hasattr(value, "append") or hasattr(value, "items"):
        message.ClearField(field.name)
    else:
        setattr(message, field.name, _scalar(random, value, field))


def _scalar(random: Random, like: Any, field: Any) -> Any:
    if isinstance(like, bytes):
        return random.choice((b"", b"\xff" * 4, like[:-1], like + b"\x00", random.randbytes(len(like))))
    if isinstance(like, str):
        return random.choice([value for value in VALUES if isinstance(value, str)])
    if isinstance(like, bool):
        return not like
    if isinstance(like, float):
        return random.choice((0.0, -1.0, float("nan"), float("inf")))
    unsigned = field.cpp_type in (field.CPPTYPE_UINT32, field.CPPTYPE_UINT64)
    return random.choice((0 if unsigned else -1, 0, 1, 2, 16, 2**31 - 1))
