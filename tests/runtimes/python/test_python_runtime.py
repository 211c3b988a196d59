"""Models of Triton's Python backend, loaded as a worker loads them: what is refused, and what their module gives."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from oipserver.errors import InternalError, ModelLoadError, UnsupportedError
from oipserver.runtime import ModelHost
from tests.runtimes.hosting import settings_of
from tests.runtimes.python.code_of_models import ECHO, HEAD, ask, host_of, request


def load_failure(folder: Path, code: str, **configuration: Any) -> str:
    with pytest.raises(ModelLoadError) as caught:
        asyncio.run(host_of(folder, code, **configuration).load())
    return caught.value.message


class TestLoading:
    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelLoadError, match=r"model 'm': there is no model.py: looked for .*1/model.py"):
            asyncio.run(ModelHost(settings_of("python", tmp_path)).load())

    def test_a_syntax_error(self, tmp_path: Path) -> None:
        message = load_failure(tmp_path, "class TritonPythonModel:\n    def execute(self requests): pass\n")
        assert "cannot import model.py: SyntaxError" in message
        assert "line 2" in message

    def test_an_import_that_is_not_there(self, tmp_path: Path) -> None:
        assert "ModuleNotFoundError: No module named 'nowhere'" in load_failure(tmp_path, "import nowhere\n")

    def test_no_class(self, tmp_path: Path) -> None:
        assert "model.py has no class TritonPythonModel" in load_failure(tmp_path, "class Model: pass\n")

    def test_no_execute(self, tmp_path: Path) -> None:
        message = load_failure(tmp_path, "class TritonPythonModel:\n    def initialize(self, args): pass\n")
        assert "TritonPythonModel in model.py has no execute(requests)" in message

    def test_initialize_raises(self, tmp_path: Path) -> None:
        code = "class TritonPythonModel:\n    def initialize(self, args): raise OSError('no weights')\n"
        message = load_failure(tmp_path, code + "    def execute(self, requests): pass\n")
        assert message == "model 'm': initialize failed: OSError: no weights"

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("return 5", "auto_complete_config must return the ModelConfig it is given, not int"),
            ("c.set_max_batch_size(2); return c", "configuration specified max_batch_size 8, but in auto-complete"),
            ("c.add_input({'name': 'A'}); return c", "input 'A' in auto-complete-config .* missing 'data_type'"),
            (
                "c.add_input({'name': 'IN', 'data_type': 'TYPE_FP32', 'dims': [1]}); return c",
                "configuration expects datatype TYPE_INT32 for input 'IN', model provides TYPE_FP32",
            ),
            (
                "c.add_input({'name': 'IN', 'data_type': 'TYPE_INT32', 'dims': [2]}); return c",
                r"the model expects dims \[2\] but the model configuration specifies dims \[1\]",
            ),
            ("c.set_model_transaction_policy({'loose': True}); return c", "property other than 'decoupled'"),
        ],
    )
    def test_a_configuration_that_contradicts(self, tmp_path: Path, body: str, reason: str) -> None:
        code = f"class TritonPythonModel:\n    @staticmethod\n    def auto_complete_config(c): {body}\n"
        code += "    def execute(self, requests): pass\n"
        inputs = [{"name": "IN", "data_type": "TYPE_INT32", "dims": ["1"]}]
        message = load_failure(tmp_path, code, name="m", max_batch_size=8, input=inputs)
        with pytest.raises(AssertionError, match=reason):
            raise AssertionError(message)

    def test_modules_beside_it_and_in_its_model_s_folder(self, tmp_path: Path) -> None:
        (tmp_path / "1").mkdir()
        (tmp_path / "1" / "near.py").write_text("VALUE = 3\n")
        (tmp_path / "t3_far_module.py").write_text("VALUE = 4\n")
        code = "import near\nfrom . import near as again\nimport t3_far_module as far\n" + ECHO.replace(
            "r.inputs()[0].as_numpy()", "np.array([near.VALUE, again.VALUE, far.VALUE])"
        )
        (outcome,) = asyncio.run(ask(tmp_path, code, request(1)))
        assert outcome.outputs[0].array.tolist() == [3, 3, 4]

    def test_finalize_and_a_reload_of_changed_code(self, tmp_path: Path) -> None:
        done = tmp_path / "done"
        finalize = f"    def finalize(self): open({str(done)!r}, 'w').close()\n"
        asyncio.run(ask(tmp_path, ECHO + finalize, request(1)))
        assert done.exists()
        (outcome,) = asyncio.run(ask(tmp_path, ECHO.replace("as_numpy()", "as_numpy() * 2"), request(4)))
        assert outcome.outputs[0].array.tolist() == [8]


class TestExecuting:
    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ("raise ValueError('no idea')", "message: ValueError: no idea"),
            ("raise pb_utils.TritonModelException('no idea')", "message: TritonModelException: no idea"),
            ("return 5", "execute must return a list of InferenceResponse, not int"),
            ("return [1, 2, 3]", r"InferenceRequest\(s\) size is:2, and InferenceResponse\(s\) size is:3"),
        ],
    )
    def test_what_fails_all_requests(self, tmp_path: Path, body: str, reason: str) -> None:
        code = f"class TritonPythonModel:\n    def execute(self, requests): {body}\n"
        with pytest.raises(InternalError, match=reason) as caught:
            asyncio.run(ask(tmp_path, code, request(1), request(2)))
        assert caught.value.message.startswith("Failed to process the request(s) for model 'm'")
        assert "Traceback" not in caught.value.message

    def test_what_fails_one_request(self, tmp_path: Path) -> None:
        code = """
class TritonPythonModel:
    def execute(self, requests):
        made = [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", r.inputs()[0].as_numpy())]) for r in requests]
        gone = pb_utils.TritonError("gone", pb_utils.TritonError.NOT_FOUND)
        return [made[0], 5, pb_utils.InferenceResponse(error=gone)]
"""
        good, wrong, gone = asyncio.run(ask(tmp_path, code, request(1), request(2), request(3)))
        assert good.outputs[0].array.tolist() == [1]
        assert "expected an InferenceResponse for each request, got int" in wrong.message
        assert (gone.code.value, gone.message) == ("NOT_FOUND", "gone")

    def test_an_output_that_was_asked_for_and_is_not_there(self, tmp_path: Path) -> None:
        from oipserver.protocol import RequestedOutput

        (outcome,) = asyncio.run(ask(tmp_path, ECHO, request(1, outputs=[RequestedOutput("OTHER")])))
        assert outcome.message == "model 'm' gave no output ['OTHER'], which was asked for"

    def test_what_a_request_tells(self, tmp_path: Path) -> None:
        code = """
class TritonPythonModel:
    def execute(self, requests):
        (r,) = requests
        facts = [r.request_id(), r.correlation_id(), r.flags(), r.timeout(), json.loads(r.parameters()),
                 r.model_name(), r.is_cancelled(), json.loads(r.trace().get_context()), r.inputs()[0].triton_dtype(),
                 r.inputs()[0].shape(), r.inputs()[0].is_cpu()]
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([json.dumps(facts)]))])]
"""
        asked = request(
            1,
            id="r",
            parameters={"sequence_id": "s", "sequence_end": True, "timeout": 7, "a": 1},
            headers={"traceparent": "00-1", "cookie": "secret"},
        )
        (outcome,) = asyncio.run(ask(tmp_path, code, asked))
        facts = json.loads(outcome.outputs[0].array[0])
        assert facts == ["r", "s", 2, 7, {"a": 1}, "m", False, {"traceparent": "00-1"}, 8, [1], True]

    def test_coroutines_one_after_the_other_in_one_loop(self, tmp_path: Path) -> None:
        code = """
import asyncio
class TritonPythonModel:
    def initialize(self, args): self.loops = set()
    async def execute(self, requests):
        self.loops.add(asyncio.get_running_loop())
        await asyncio.sleep(0)
        return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([len(self.loops)]))]) for _ in requests]
"""

        async def twice() -> list[int]:
            host = host_of(tmp_path, HEAD + code)
            await host.load()
            answers = [await host.infer(request(1)) for _ in range(2)]
            await host.unload()
            return [int(answer.outputs[0].array[0]) for answer in answers]

        assert asyncio.run(twice()) == [1, 1]

    def test_one_response_that_is_sent(self, tmp_path: Path) -> None:
        code = """
import threading
class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            response = pb_utils.InferenceResponse([pb_utils.Tensor("OUT", request.inputs()[0].as_numpy())])
            final = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
            threading.Timer(0.01, request.get_response_sender().send, (response, final)).start()
"""
        outcomes = asyncio.run(ask(tmp_path, code, request(1), request(2)))
        assert [outcome.outputs[0].array.tolist() for outcome in outcomes] == [[1], [2]]

    def test_calls_outside_of_a_server(self, tmp_path: Path) -> None:
        code = """
class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceRequest(model_name="x", inputs=[], requested_output_names=[]).exec()]
"""
        with pytest.raises(UnsupportedError, match="it does not run in a server"):
            asyncio.run(ask(tmp_path, code, request(1)))
