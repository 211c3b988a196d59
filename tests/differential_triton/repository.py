"""The repository of models that both servers serve, written from short texts; knows no server."""

from __future__ import annotations

from pathlib import Path

_START = (
    "import json\nimport numpy as np\nimport triton_python_backend_utils as pb_utils\n\n\nclass TritonPythonModel:\n"
)

ADD_SUB = """
    def execute(self, requests):
        answers = []
        for request in requests:
            a, b = (pb_utils.get_input_tensor_by_name(request, f"INPUT{i}").as_numpy() for i in (0, 1))
            outputs = [pb_utils.Tensor("OUTPUT0", a + b), pb_utils.Tensor("OUTPUT1", a - b)]
            answers.append(pb_utils.InferenceResponse(outputs))
        return answers
"""
IDENTITY = """
    def execute(self, requests):
        answers = []
        for request in requests:
            given = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", given)]))
        return answers
"""
PRESENT = """
    def execute(self, requests):
        answers = []
        for request in requests:
            names = sorted(tensor.name() for tensor in request.inputs())
            given = np.array([[",".join(names).encode()]], dtype=object)
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", given)]))
        return answers
"""
FAILS = """
    def execute(self, requests):
        answers = []
        for request in requests:
            code = int(pb_utils.get_input_tensor_by_name(request, "CODE").as_numpy().reshape(-1)[0])
            if code < 0:
                raise ValueError("raised")
            codes = [pb_utils.TritonError.UNKNOWN, pb_utils.TritonError.INTERNAL, pb_utils.TritonError.NOT_FOUND,
                     pb_utils.TritonError.INVALID_ARG, pb_utils.TritonError.UNAVAILABLE,
                     pb_utils.TritonError.UNSUPPORTED, pb_utils.TritonError.ALREADY_EXISTS,
                     pb_utils.TritonError.CANCELLED]
            answers.append(pb_utils.InferenceResponse([], pb_utils.TritonError("the model says so", codes[code])))
        return answers
"""
PARAMETERS = """
    def execute(self, requests):
        answers = []
        for request in requests:
            given = np.array([[request.parameters().encode(), request.request_id().encode()]], dtype=object)
            tensor = pb_utils.Tensor("OUTPUT0", given)
            answers.append(pb_utils.InferenceResponse([tensor]))
        return answers
"""
REPEAT = """
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            for value in pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy().reshape(-1):
                sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", np.array([value]))]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        return None
"""
TEXT = """
    def execute(self, requests):
        answers = []
        for request in requests:
            text = pb_utils.get_input_tensor_by_name(request, "text_input").as_numpy().reshape(-1)[0]
            found = json.dumps([text.decode(), json.loads(request.parameters() or "{}")], sort_keys=True)
            given = np.array([found.encode()], dtype=object)
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("text_output", given)]))
        return answers
"""
SEQUENCE = """
    def execute(self, requests):
        answers = []
        for request in requests:
            names = ("START", "END", "READY", "CORRID")
            values = [int(pb_utils.get_input_tensor_by_name(request, n).as_numpy().reshape(-1)[0]) for n in names]
            given = pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy()
            seen = np.array([values], dtype=np.int64)
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", given),
                                                       pb_utils.Tensor("SEEN", seen)]))
        return answers
"""
RAISES = (
    IDENTITY
    + """
    def initialize(self, args):
        raise ValueError("not today")
"""
)


def _tensors(kind: str, *tensors: str) -> str:
    """Tensors given as "NAME TYPE DIMS [more]"."""
    rows = []
    for tensor in tensors:
        name, datatype, dims, *more = tensor.split(" ", 3)
        rows.append(f'{{ name: "{name}" data_type: TYPE_{datatype} dims: [ {dims} ] {"".join(more)} }}')
    return f"{kind} [ {', '.join(rows)} ]\n"


def _config(inputs: list[str], outputs: list[str], batch: int = 0, more: str = "") -> str:
    head = f'backend: "python"\nmax_batch_size: {batch}\ninstance_group [ {{ kind: KIND_CPU }} ]\n'
    return head + _tensors("input", *inputs) + _tensors("output", *outputs) + more


DATATYPES = [
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "STRING",
]
_SEQUENCE = """sequence_batching { max_sequence_idle_microseconds: 60000000 control_input [
  { name: "START" control [ { kind: CONTROL_SEQUENCE_START int32_false_true: [ 0, 1 ] } ] },
  { name: "END" control [ { kind: CONTROL_SEQUENCE_END int32_false_true: [ 0, 1 ] } ] },
  { name: "READY" control [ { kind: CONTROL_SEQUENCE_READY int32_false_true: [ 0, 1 ] } ] },
  { name: "CORRID" control [ { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_UINT64 } ] } ] }
"""
_ENSEMBLE = """platform: "ensemble"
max_batch_size: 8
input [ { name: "A" data_type: TYPE_INT32 dims: [ 4 ] } ]
output [ { name: "Z" data_type: TYPE_INT32 dims: [ 4 ] } ]
ensemble_scheduling { step [
  { model_name: "add_sub" model_version: -1 input_map { key: "INPUT0" value: "A" }
    input_map { key: "INPUT1" value: "A" } output_map { key: "OUTPUT0" value: "x" }
    output_map { key: "OUTPUT1" value: "y" } },
  { model_name: "add_sub" model_version: -1 input_map { key: "INPUT0" value: "x" }
    input_map { key: "INPUT1" value: "y" } output_map { key: "OUTPUT0" value: "Z" } } ] }
"""
_PAIR = (["INPUT0 INT32 4", "INPUT1 INT32 4"], ["OUTPUT0 INT32 4", "OUTPUT1 INT32 4"])

#: By name: the configuration, and the methods of the model's class ("" for none).
MODELS: dict[str, tuple[str, str]] = {
    "add_sub": (
        _config(_PAIR[0], ['OUTPUT0 INT32 4 label_filename: "labels.txt"', _PAIR[1][1]], 8),
        ADD_SUB,
    ),
    "single": (_config(*_PAIR), ADD_SUB),
    "batched": (_config(*_PAIR, 8, "dynamic_batching { }\n"), ADD_SUB),
    "versions": (_config(*_PAIR, 0, "version_policy { all { } }\n"), ADD_SUB),
    "reshaped": (
        _config(["INPUT0 FP32 1 reshape { shape: [ ] }"], ["OUTPUT0 FP32 1 reshape { shape: [ ] }"], 8),
        IDENTITY,
    ),
    "free": (_config(["INPUT0 FP32 -1,2"], ["OUTPUT0 FP32 -1,2"]), IDENTITY),
    "optional": (_config(["A FP32 1", "B FP32 1 optional: true"], ["OUTPUT0 STRING 1"], 4), PRESENT),
    "fails": (_config(["CODE INT32 1"], ["OUTPUT0 INT32 1"]), FAILS),
    "parameters": (_config(["INPUT0 INT32 1"], ["OUTPUT0 STRING 1,2"]), PARAMETERS),
    "repeat": (
        _config(["INPUT0 INT32 -1"], ["OUTPUT0 INT32 1"], 0, "model_transaction_policy { decoupled: true }\n"),
        REPEAT,
    ),
    "text": (_config(["text_input STRING 1"], ["text_output STRING 1"]), TEXT),
    "sequence": (_config(["INPUT0 INT32 1"], ["OUTPUT0 INT32 1", "SEEN INT64 4"], 4, _SEQUENCE), SEQUENCE),
    "ensemble": (_ENSEMBLE, ""),
    "raises": (_config(["INPUT0 INT32 1"], ["OUTPUT0 INT32 1"]), RAISES),
    "wrong": (_config(["INPUT0 INT32 1"], ["OUTPUT0 INT32 1"]).replace("TYPE_INT32", "TYPE_INT33"), IDENTITY),
    **{f"id_{t.lower()}": (_config([f"INPUT0 {t} -1"], [f"OUTPUT0 {t} -1"], 8), IDENTITY) for t in DATATYPES},
}


def write(root: Path) -> Path:
    """Write every model below ``root``; returns it."""
    for name, (config, methods) in MODELS.items():
        for version in ("1", "3") if name == "versions" else ("1",):
            folder = root / name / version
            folder.mkdir(parents=True)
            if methods:
                (folder / "model.py").write_text(_START + methods)
        (root / name / "config.pbtxt").write_text(config)
    (root / "add_sub" / "labels.txt").write_text("zero\none\ntwo\nthree\n")
    return root
