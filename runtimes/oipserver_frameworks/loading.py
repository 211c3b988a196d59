"""One load at a time in a process; knows no framework."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Result = TypeVar("_Result")

# Frameworks import their parts as they need them, and set what holds for the whole process while they load (where new
# tensors live, for one): two pipelines of transformers loaded at once break each other every third time.
_loader = ThreadPoolExecutor(1, thread_name_prefix="framework-loader")


async def load_alone(function: Callable[..., _Result], *arguments: object) -> _Result:
    """What ``function`` gives, called in a thread that does nothing else meanwhile. The event loop stays alive."""
    return await asyncio.get_running_loop().run_in_executor(_loader, function, *arguments)
