"""An ensemble of three small ONNX models beside its parts: their repository, their requests, the goal."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .bench import Bench
from .cases import Case
from .load import Load
from .measure import Series, Spread, Target, run_rounds
from .models import IR_VERSION, OPSET, TINY_WIDTH
from .servers import oipserver
from .table import Goal, markdown

ENSEMBLE = "ensemble"
#: The operation and the constant of each step, y from x.
PARTS = {"double": ("Mul", 2.0), "increment": ("Add", 1.0), "negate": ("Mul", -1.0)}
TIMES = 1.5
_ONE = Load(1)
_PARTS = tuple(PARTS)


def write_repository(folder: Path) -> None:
    """The three models and the ensemble that chains them, in Triton's layout."""
    for name, (operation, constant) in PARTS.items():
        value = [helper.make_tensor_value_info(each, TensorProto.FLOAT, ["n", TINY_WIDTH]) for each in "xy"]
        graph = helper.make_graph(
            [helper.make_node(operation, ["x", "c"], ["y"])],
            name,
            value[:1],
            value[1:],
            [numpy_helper.from_array(np.array(constant, np.float32), "c")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        (folder / name / "1").mkdir(parents=True)
        onnx.save(model, folder / name / "1" / "model.onnx")
        (folder / name / "config.pbtxt").write_text('backend: "onnxruntime"\nmax_batch_size: 8\n')
    tensors = ["x", *[f"after_{name}" for name in _PARTS[:-1]], "y"]
    steps = [
        f'{{ model_name: "{name}" model_version: -1 input_map {{ key: "x" value: "{before}" }} '
        f'output_map {{ key: "y" value: "{after}" }} }}'
        for name, before, after in zip(_PARTS, tensors, tensors[1:], strict=False)
    ]
    ends = "\n".join(
        f'{side} [ {{ name: "{name}" data_type: TYPE_FP32 dims: [ {TINY_WIDTH} ] }} ]'
        for side, name in (("input", "x"), ("output", "y"))
    )
    (folder / ENSEMBLE).mkdir()
    (folder / ENSEMBLE / "config.pbtxt").write_text(
        f'platform: "ensemble"\nmax_batch_size: 8\n{ends}\nensemble_scheduling {{ step [ {", ".join(steps)} ] }}\n'
    )


def _cases() -> dict[str, Case]:
    x = np.linspace(-1, 1, TINY_WIDTH, dtype=np.float32).reshape(1, -1)
    answers = {"double": x * 2, "increment": x + 1, "negate": -x, ENSEMBLE: -(x * 2 + 1)}
    return {name: Case(name, {"x": x}, {"y": y}) for name, y in answers.items()}


def ensemble(bench: Bench) -> Series:
    """Each part and the ensemble at one connection; keys are (model, wire)."""
    folder = bench.folder / ENSEMBLE
    write_repository(folder)
    endpoint = oipserver(folder, [])
    process = bench.start("oipserver ensemble", endpoint)
    jobs = []
    for name, case in _cases().items():
        for wire, payload in (("REST", case.json()), ("gRPC", case.grpc(raw=True))):
            target = Target(process, endpoint, case, payload)
            bench.warm(target)
            jobs.append(((name, wire), bench.job(target, _ONE)))
    return run_rounds(jobs, bench.rounds)


def _sums(series: Series, wire: str, field: str) -> list[float]:
    columns = [series.spread((name, wire), field).values for name in _PARTS]
    return [sum(row) for row in zip(*columns, strict=False)]


def _shares(series: Series, wire: str, field: str) -> list[float]:
    """The ensemble's figure by the sum of its parts', round by round."""
    whole = series.spread((ENSEMBLE, wire), field).values
    return [one / parts for one, parts in zip(whole, _sums(series, wire, field), strict=False)]


def ensemble_table(series: Series) -> str:
    """CPU and latency of the parts, their sum, the ensemble, and how many times the sum that is."""
    rows = []
    for wire in ("REST", "gRPC"):
        for field, unit in (("cpu_us", "CPU us"), ("p50_us", "p50 us")):
            parts = [series.spread((name, wire), field).text() for name in _PARTS]
            whole, shares = series.spread((ENSEMBLE, wire), field), Spread(_shares(series, wire, field))
            summed = f"{median(_sums(series, wire, field)):.0f}"
            rows.append([wire, unit, *parts, summed, whole.text(), shares.text(2)])
    head = ["wire", "a request", *_PARTS, "sum", "ensemble", "times the sum"]
    return markdown("An ensemble of three small ONNX models, one connection", head, rows)


def ensemble_goals(series: Series) -> list[Goal]:
    """The ensemble beside the sum of its parts."""
    found = []
    for wire in ("REST", "gRPC"):
        shares = Spread(_shares(series, wire, "cpu_us"))
        text = f"CPU of an ensemble of three beside the sum of its parts, {wire}"
        found.append(Goal(text, TIMES, shares.median, shares.text(2), at_most=True))
    return found
