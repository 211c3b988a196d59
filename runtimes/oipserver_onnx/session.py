"""From a model's settings to an onnxruntime session on the providers it truly has."""

from __future__ import annotations

import logging
import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from oipserver import ModelSettings
from oipserver.runtime.cores import usable_cores

from .artefact import artefact_bytes, find_artefact
from .failures import load_failure
from .graph import Graph, read_graph
from .names import CPU, Provider
from .options import OnnxOptions, apply_options, read_options
from .providers import (
    check_possible,
    default_providers,
    explicit_providers,
    import_onnxruntime,
    not_obtained,
    preload,
    provider_obstacle,
)
from .threads import ThreadBudget

_log = logging.getLogger(__name__)
_budget = ThreadBudget(usable_cores())

# onnxruntime writes every failed node to stderr, with the values that made it fail, and raises it as well.
_QUIET = 4


@dataclass(slots=True, weakref_slot=True)
class LoadedGraph:
    """A session for each device, what their graph takes and gives, and where it runs. The thread budget gets its share
    back with it."""

    sessions: list[Any]
    run_options: Any
    graph: Graph
    provider: str
    instances: int
    threads: int


def load_graph(settings: ModelSettings) -> LoadedGraph:
    """Find, open and check the model. Takes as long as it takes: call it in a thread.

    Raises ModelLoadError saying what is wrong and how to mend it.
    """
    options = read_options(settings)
    path = find_artefact(settings)
    ort = import_onnxruntime(settings.name)
    run_options = _run_options(ort, options, settings.name)
    own_threads = options.session_options.get("intra_op_num_threads")
    devices = options.devices or (options.device_id,)
    instances = options.instances * len(devices)
    threads = 0 if own_threads is not None else _budget.take(instances, artefact_bytes(path))
    try:
        session_options = _session_options(ort, options, threads, settings.name)
        sessions = [
            _open(ort, replace(options, device_id=device), path, session_options, settings.name) for device in devices
        ]
        loaded = LoadedGraph(
            sessions,
            run_options,
            read_graph(sessions[0], settings.name),
            sessions[0].get_providers()[0],
            instances,
            session_options.intra_op_num_threads,
        )
    except BaseException:
        if threads:
            _budget.give_back(threads)
        raise
    if threads:
        weakref.finalize(loaded, _budget.give_back, threads)
    return loaded


def _session_options(ort: Any, options: OnnxOptions, threads: int, model: str) -> Any:
    chosen = ort.SessionOptions()
    chosen.log_severity_level = _QUIET
    chosen.intra_op_num_threads = threads
    chosen.inter_op_num_threads = 1  # used by parallel execution mode alone, which few graphs gain from
    apply_options(chosen, options.session_options, "session_options", model)
    entries = {"session.intra_op.allow_spinning": "0", "session.inter_op.allow_spinning": "0"}
    for key, value in {**entries, **options.session_config_entries}.items():
        chosen.add_session_config_entry(key, value)
    return chosen


def _run_options(ort: Any, options: OnnxOptions, model: str) -> Any:
    chosen = ort.RunOptions()  # also where nothing is chosen: session.run would make one for each call
    apply_options(chosen, options.run_options, "run_options", model)
    for key, value in options.run_config_entries.items():
        chosen.add_run_config_entry(key, value)
    return chosen


def _open(ort: Any, options: OnnxOptions, path: Path, session_options: Any, model: str) -> Any:
    asked = explicit_providers(options)
    if asked is not None:
        check_possible(ort, asked, model)
        session = _create(ort, path, session_options, asked, model)
        obtained = session.get_providers()
        for provider in asked:
            if provider[0] not in obtained:
                raise not_obtained(ort, provider, model)
        return session
    best = default_providers(ort, model, options.gpu_providers)
    session = _create(ort, path, session_options, best, model)
    if best[0][0] not in session.get_providers():
        _log.warning("model '%s' runs on the CPU: %s", model, provider_obstacle(ort, *best[0]))
        session = _create(ort, path, session_options, [(CPU, {})], model)
    return session


def _create(ort: Any, path: Path, session_options: Any, providers: list[Provider], model: str) -> Any:
    preload(ort, providers)
    try:
        # Its own fallback prints a banner to stdout and hides the reason; what was obtained is compared instead.
        return ort.InferenceSession(
            str(path),
            session_options,
            providers=[name for name, _ in providers],
            provider_options=[chosen for _, chosen in providers],
            enable_fallback=0,
        )
    except Exception as error:
        raise load_failure(error, model, path) from error
