"""Pipelines answer what transformers answer, in MLServer's form, for every way a request may be made."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

transformers: Any = pytest.importorskip(
    "transformers", reason="transformers are not installed: pip install transformers"
)
pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
Image: Any = pytest.importorskip("PIL.Image", reason="Pillow is not installed: pip install pillow")

from oipserver import Tensor  # noqa: E402
from oipserver.errors import InvalidArgumentError, MLServerError, ModelLoadError  # noqa: E402

from ..hosting import Hosted, text  # noqa: E402
from .tiny import bert, gpt, vit  # noqa: E402


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("hub")
    return {
        "text-classification": bert("SequenceClassification", root / "classifier"),
        "token-classification": bert("TokenClassification", root / "tokens"),
        "fill-mask": bert("MaskedLM", root / "mask"),
        "zero-shot-classification": root / "classifier",
        "feature-extraction": root / "classifier",
        "text-generation": gpt(root / "writer"),
        "image-classification": vit(root / "eyes"),
    }


def hosted(folders: dict[str, Path], task: str, extra: dict[str, Any] | None = None, **settings: Any) -> Hosted:
    told = {"extra": {"task": task, "pretrained_model": str(folders[task]), **(extra or {})}}
    return Hosted("mlserver_huggingface.HuggingFaceRuntime", folders[task], parameters=told, **settings)


def answer(outputs: list[Tensor]) -> list[Any]:
    """The parts of an answer, after checking its form."""
    (output,) = outputs
    parts = output.array.ravel().tolist()
    assert (output.name, output.datatype, output.shape) == ("output", "BYTES", (len(parts), 1))
    assert output.parameters == {"content_type": "hg_jsonlist"}
    return [json.loads(part) for part in parts]


def plain(value: Any) -> Any:
    """``value`` as it looks after a journey as JSON."""
    return json.loads(json.dumps(value, default=lambda odd: odd.tolist()))


class TestText:
    @pytest.mark.parametrize("as_text", [True, False], ids=["rest", "grpc"])
    @pytest.mark.parametrize("name", ["array_inputs", "inputs", "text"])
    def test_classification(self, name: str, as_text: bool, folders: dict[str, Path]) -> None:
        lines = ["hello world", "good film"]
        expected = transformers.pipeline("text-classification", model=str(folders["text-classification"]))(lines)
        served = hosted(folders, "text-classification")
        got = answer(served.ask(text(name, *lines, as_text=as_text)))
        assert [part["label"] for part in got] == [part["label"] for part in expected]
        assert [part["score"] for part in got] == pytest.approx([part["score"] for part in expected], rel=1e-5)

    def test_args_are_one_argument_or_several_rows(self, folders: dict[str, Path]) -> None:
        served = hosted(folders, "text-classification")
        assert len(answer(served.ask(text("args", "hello world")))) == 1
        rows = answer(served.ask(text("args", "hello world", "good film")))
        assert rows == answer(served.ask(text("array_inputs", "hello world", "good film")))
        masked = hosted(folders, "fill-mask").ask(
            text("args", "hello [MASK]"), Tensor.from_array("top_k", np.array([2]))
        )
        assert [set(part) for part in answer(masked)] == [{"score", "token", "token_str", "sequence"}] * 2

    def test_other_inputs_are_keyword_arguments(self, folders: dict[str, Path]) -> None:
        served = hosted(folders, "text-classification")
        (both,) = answer(served.ask(text("array_inputs", "hello"), Tensor.from_array("top_k", np.array([2]))))
        assert len(both) == 2
        raw = Tensor.from_array("top_k", np.array([1]), parameters={"content_type": "raw"})
        (one,) = answer(served.ask(text("array_inputs", "hello"), raw))
        assert len(one) == 1

    def test_zero_shot_classification(self, folders: dict[str, Path]) -> None:
        served = hosted(folders, "zero-shot-classification")
        lines, labels = text("array_inputs", "good film", "bad film"), text("candidate_labels", "good", "bad")
        got = answer(served.ask(lines, labels))
        assert [part["sequence"] for part in got] == ["good film", "bad film"]
        assert [name for name, *_ in served.told_inputs] == ["array_inputs", "candidate_labels"]

    def test_tokens_masks_and_features(self, folders: dict[str, Path]) -> None:
        for task, line in (("token-classification", "hello world"), ("fill-mask", "hello [MASK]")):
            pipeline = transformers.pipeline(task, model=str(folders[task]))
            got = answer(hosted(folders, task).ask(text("array_inputs", line)))
            key = "entity" if task.startswith("token") else "token_str"
            expected = plain(pipeline([line]))
            flat = expected if isinstance(expected[0], dict) else expected[0]
            found = got if isinstance(got[0], dict) else got[0]
            assert [part[key] for part in found] == [part[key] for part in flat]
        (features,) = answer(hosted(folders, "feature-extraction").ask(text("array_inputs", "hello world")))
        assert np.shape(features) == (1, 4, 16)

    def test_generation(self, folders: dict[str, Path]) -> None:
        served = hosted(folders, "text-generation")
        most = Tensor.from_array("max_new_tokens", np.array([3]))
        greedy = Tensor.from_array("do_sample", np.array([False]))
        got = answer(served.ask(text("array_inputs", "hello world"), most, greedy))
        pipeline = transformers.pipeline("text-generation", model=str(folders["text-generation"]))
        assert got == plain(pipeline(["hello world"], max_new_tokens=3, do_sample=False))

    def test_question_answering(self, tmp_path: Path) -> None:
        if "question-answering" not in transformers.pipelines.SUPPORTED_TASKS:
            pytest.skip(f"transformers {transformers.__version__} answer no questions: pip install 'transformers<5'")
        folder = bert("QuestionAnswering", tmp_path)
        served = hosted({"question-answering": folder}, "question-answering")
        (got,) = answer(served.ask(text("question", "who is the film"), text("context", "hello world good film")))
        assert set(got) == {"score", "start", "end", "answer"}
        assert [name for name, *_ in served.told_inputs] == ["question", "context"]

    def test_texts_of_different_lengths_form_a_batch(self, folders: dict[str, Path], tmp_path: Path) -> None:
        lines = ["hello", "good film is the world", "a", "bad"]
        alone = [answer(hosted(folders, "text-classification").ask(text("x", line)))[0] for line in lines]
        together = answer(hosted(folders, "text-classification", max_batch_size=4).ask(text("x", *lines)))
        assert [part["label"] for part in together] == [part["label"] for part in alone]
        writer = {"text-generation": gpt(tmp_path, padding=False)}
        served = hosted(writer, "text-generation", max_batch_size=4)
        most = Tensor.from_array("max_new_tokens", np.array([2]))
        assert len(answer(served.ask(text("x", *lines).renamed("array_inputs"), most))) == 4


class TestImages:
    def picture(self) -> Any:
        pixels = (np.arange(20 * 30 * 3) * 7 % 255).astype(np.uint8).reshape(20, 30, 3)
        return Image.fromarray(pixels)

    def png(self) -> bytes:
        buffer = io.BytesIO()
        self.picture().save(buffer, format="PNG")
        return buffer.getvalue()

    def expected(self, folders: dict[str, Path]) -> list[str]:
        pipeline = transformers.pipeline("image-classification", model=str(folders["image-classification"]))
        return [part["label"] for part in pipeline(self.picture())]

    def inputs(self) -> dict[str, Tensor]:
        encoded = base64.b64encode(self.png()).decode()
        file = np.array([[self.png()]], dtype=object)
        pixels = np.asarray(self.picture())
        return {
            "base64 text": text("inputs", encoded),
            "base64 typed": text("inputs", encoded, content_type="base64"),
            "pillow": text("inputs", encoded, content_type="pillow_image"),
            "data uri": text("inputs", f"data:image/png;base64,{encoded}", content_type="str"),
            "file": Tensor("inputs", "BYTES", (1, 1), array=file),
            "another name": text("image", encoded, as_text=False),
            "pixels": Tensor.from_array("inputs", pixels),
            "several": Tensor.from_array("inputs", pixels[None]),
            "floats": Tensor.from_array("inputs", (pixels / 255).astype(np.float32)),
            "integers": Tensor.from_array("inputs", pixels.astype(np.int64), parameters={"content_type": "nplist"}),
        }

    def test_every_form_is_the_same_image(self, folders: dict[str, Path]) -> None:
        expected = self.expected(folders)
        served = hosted(folders, "image-classification")
        for form, tensor in self.inputs().items():
            (labels,) = answer(served.ask(tensor))
            assert [part["label"] for part in labels] == expected, form
        assert served.told_inputs == [("inputs", "BYTES", (-1,))]

    @pytest.mark.parametrize(
        ("tensor", "reason"),
        [
            (text("inputs", "/etc/hostname"), "URLs and paths are not followed"),
            (text("inputs", "http://127.0.0.1:1/cat.png", content_type="str"), "URLs and paths are not followed"),
            (text("inputs", "data:image/png;base64,AAAA"), "no image of a known format"),
            (text("inputs", "nothing", content_type="pillow_image"), "no image in base64"),
            (Tensor.from_array("inputs", np.zeros(5)), r"Expected \[n,height,width,channels\], got \[5\]"),
            (Tensor.from_array("inputs", np.full((2, 2, 3), 300)), "pixels that are not from 0 to 255"),
            (Tensor.from_array("inputs", np.zeros((2, 2, 7), np.uint8)), "holds no image"),
        ],
    )
    def test_what_is_no_image(self, tensor: Tensor, reason: str, folders: dict[str, Path]) -> None:
        with pytest.raises((InvalidArgumentError, MLServerError), match=reason) as caught:
            hosted(folders, "image-classification").ask(tensor)
        assert caught.value.status_code in (None, 400)

    def test_paths_are_followed_where_the_settings_allow_it(self, folders: dict[str, Path], tmp_path: Path) -> None:
        (tmp_path / "cat.png").write_bytes(self.png())
        served = hosted(folders, "image-classification", {"allow_urls": True})
        (labels,) = answer(served.ask(text("inputs", str(tmp_path / "cat.png"))))
        assert [part["label"] for part in labels] == self.expected(folders)


class TestMistakes:
    def test_of_the_caller(self, folders: dict[str, Path]) -> None:
        served = hosted(folders, "text-classification")
        with pytest.raises(MLServerError, match=r"only supports 'output' as output \(odd was received\)"):
            served.ask(text("x", "hello"), outputs=["odd"])
        with pytest.raises(InvalidArgumentError, match="model 'm' cannot take these inputs"):
            served.ask(text("x", "hello " * 100))
        with pytest.raises(InvalidArgumentError, match="model 'm' cannot take these inputs"):
            served.ask(text("question", "who"), text("context", "a"))
        with pytest.raises(MLServerError, match="is not JSON"):
            served.ask(text("array_inputs", "{", content_type="hg_jsonlist"))

    @pytest.mark.parametrize(
        ("extra", "reason"),
        [
            ({"task": "guess"}, r"Invalid transformer task: guess\. Available tasks: \["),
            ({"task": ""}, "parameters.extra.task says what the pipeline is to do, and is missing"),
            ({"task": 3}, r"parameters\.extra\.task: expected a text, got 3 \(int\)"),
            ({"device": 1.5}, "device: expected a number or a text, got 1.5"),
            ({"intra_op_threads": 0}, "intra_op_threads: expected a number, got 0"),
            ({"optimum_model": "yes"}, "optimum_model: expected true or false"),
            ({"model_kwargs": []}, "model_kwargs: expected an object"),
            ({"framework": "tf"}, "framework: expected 'pt', got 'tf'"),
        ],
    )
    def test_of_the_settings(self, extra: dict[str, Any], reason: str, folders: dict[str, Path]) -> None:
        with pytest.raises(ModelLoadError, match=reason):
            hosted(folders, "text-classification", extra)

    def test_a_folder_without_a_model(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        told = {"uri": "empty", "extra": {"task": "fill-mask"}}
        with pytest.raises(ModelLoadError, match=r"transformers [\d.]+ cannot load .* for task 'fill-mask'"):
            Hosted("huggingface", tmp_path, parameters=told)


class TestSettings:
    def test_the_model_is_found_by_uri_or_beside_the_settings(self, folders: dict[str, Path]) -> None:
        folder = folders["fill-mask"]
        extra = {"task": "fill-mask"}
        for root, parameters in ((folder, {"extra": extra}), (folder.parent, {"extra": extra, "uri": "./mask"})):
            assert answer(Hosted("huggingface", root, parameters=parameters).ask(text("x", "hello [MASK]")))

    def test_seldon_cores_environment_wins(self, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
        told = [
            {"name": "task", "value": "feature-extraction", "type": "STRING"},
            {"name": "intra_op_threads", "value": "1", "type": "INT"},
            {"name": "optimum_model", "value": "false", "type": "BOOL"},
        ]
        monkeypatch.setenv("PREDICTIVE_UNIT_PARAMETERS", json.dumps(told))
        (features,) = answer(hosted(folders, "text-classification").ask(text("x", "hello")))
        assert np.shape(features) == (1, 3, 16)
        monkeypatch.setenv("PREDICTIVE_UNIT_PARAMETERS", '[{"name": "task"}]')
        with pytest.raises(ModelLoadError, match="PREDICTIVE_UNIT_PARAMETERS: expected a list of objects"):
            hosted(folders, "text-classification")

    def test_metadata(self, folders: dict[str, Path]) -> None:
        served = hosted(folders, "text-classification")
        assert served.face.metadata.platform == "huggingface"
        assert served.told_inputs == [("array_inputs", "BYTES", (-1,))]
        assert served.told_outputs == [("output", "BYTES", (-1, 1))]
        assert not served.face.strict
        assert served.face.execution_provider == "cpu"

    def test_optimum(self, folders: dict[str, Path]) -> None:
        pytest.importorskip("optimum.onnxruntime", reason="optimum is not installed: pip install optimum[onnxruntime]")
        lines = ["hello world", "good film"]
        expected = transformers.pipeline("text-classification", model=str(folders["text-classification"]))(lines)
        got = answer(hosted(folders, "text-classification", {"optimum_model": True}).ask(text("x", *lines)))
        assert [part["label"] for part in got] == [part["label"] for part in expected]
        assert [part["score"] for part in got] == pytest.approx([part["score"] for part in expected], rel=1e-3)

    def test_optimum_that_is_missing(self, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("optimum", "optimum.onnxruntime", "optimum.pipelines"):
            monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ModelLoadError, match=r'needs optimum, .*\n  pip install "optimum\[onnxruntime\]"'):
            hosted(folders, "text-classification", {"optimum_model": True})


def test_importing_the_runtime_imports_no_framework() -> None:
    code = (
        "import sys, oipserver_huggingface\n"
        "print([name for name in ('torch', 'transformers', 'PIL', 'optimum') if name in sys.modules])"
    )
    answered = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answered.stdout.strip() == "[]"
