"""PyTorch programs answer exactly what PyTorch itself answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

torch: Any = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

from oipserver_torch.tensors import named  # noqa: E402

from oipserver import Tensor  # noqa: E402
from oipserver.errors import InternalError, InvalidArgumentError, ModelLoadError  # noqa: E402

from ..hosting import Hosted, text  # noqa: E402

ROWS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


class Network(torch.nn.Module):  # type: ignore[misc]  # torch may be absent when types are checked
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, image: Any) -> Any:
        return torch.softmax(self.layer(image), dim=1)


class Two(torch.nn.Module):  # type: ignore[misc]
    def forward(self, left: Any, right: Any) -> Any:
        return left + right, left * right


class Named(torch.nn.Module):  # type: ignore[misc]
    def forward(self, image: Any) -> Any:
        return {"scores": image * 2, "boxes": [image, image + 1]}


class Sums(NamedTuple):
    total: int
    parts: list[int]


def script(module: Any, folder: Path, *examples: Any) -> Any:
    traced = torch.jit.trace(module.eval(), examples, strict=False)
    traced.save(folder / "model.pt")
    return module


def export(module: Any, folder: Path, *examples: Any, **dynamic: Any) -> Any:
    program = torch.export.export(module.eval(), examples, dynamic_shapes=dynamic or None)
    torch.export.save(program, folder / "model.pt2")
    return module


class TestTorchScript:
    def test_numbers_are_those_of_torch(self, tmp_path: Path) -> None:
        network = script(Network(), tmp_path, torch.zeros(2, 4))
        hosted = Hosted("torch", tmp_path)
        (output,) = hosted.ask(Tensor.from_array("image", ROWS))
        assert (output.name, output.datatype, output.shape) == ("output-0", "FP32", (3, 2))
        with torch.inference_mode():
            np.testing.assert_array_equal(output.array, network(torch.from_numpy(ROWS)).numpy())
        assert hosted.face.metadata.platform == "pytorch_torchscript"
        assert hosted.face.execution_provider == "cpu"
        assert hosted.told_inputs == []

    def test_one_input_may_have_any_name(self, tmp_path: Path) -> None:
        script(Network(), tmp_path, torch.zeros(2, 4))
        assert Hosted("torch", tmp_path).array(ROWS).shape == (3, 2)

    @pytest.mark.parametrize("names", [("left", "right"), ("INPUT__0", "INPUT__1")])
    def test_several_inputs_by_name_in_any_order(self, names: tuple[str, str], tmp_path: Path) -> None:
        script(Two(), tmp_path, torch.zeros(2), torch.zeros(2))
        left, right = (Tensor.from_array(name, ROWS[row]) for row, name in enumerate(names))
        total, product = Hosted("torch", tmp_path).ask(right, left)
        assert (total.name, product.name) == ("output-0", "output-1")
        np.testing.assert_array_equal(total.array, ROWS[0] + ROWS[1])
        np.testing.assert_array_equal(product.array, ROWS[0] * ROWS[1])

    def test_declared_names(self, tmp_path: Path) -> None:
        script(Two(), tmp_path, torch.zeros(2), torch.zeros(2))
        hosted = Hosted(
            "torch",
            tmp_path,
            inputs=[{"name": name, "datatype": "FP32", "shape": [-1]} for name in ("a", "b")],
            outputs=[{"name": name, "datatype": "FP32", "shape": [-1]} for name in ("sum", "product")],
        )
        outputs = hosted.ask(Tensor.from_array("b", ROWS[1]), Tensor.from_array("a", ROWS[0]), outputs=["product"])
        assert [tensor.name for tensor in outputs] == ["product"]
        np.testing.assert_array_equal(outputs[0].array, ROWS[0] * ROWS[1])
        assert hosted.face.strict

    def test_optional_arguments_and_numbers(self, tmp_path: Path) -> None:
        class Scaled(torch.nn.Module):  # type: ignore[misc]
            def forward(
                self, image: torch.Tensor, factor: float = 1.0, shift: torch.Tensor | None = None
            ) -> torch.Tensor:
                return image * factor if shift is None else image * factor + shift

        Scaled.forward.__annotations__ = {
            "image": torch.Tensor,
            "factor": float,
            "shift": torch.Tensor | None,
            "return": torch.Tensor,
        }
        torch.jit.script(Scaled()).save(tmp_path / "model.pt")
        hosted = Hosted("torch", tmp_path)
        image, factor = Tensor.from_array("image", ROWS), Tensor.from_array("factor", np.array([2.0]))
        np.testing.assert_array_equal(hosted.array(image), ROWS)
        np.testing.assert_array_equal(hosted.array(factor, image), ROWS * 2)
        np.testing.assert_array_equal(hosted.array(image, Tensor.from_array("shift", ROWS)), ROWS * 2)
        with pytest.raises(InvalidArgumentError, match=r"input 'factor' .* Expected \[1\], got \[3,4\]"):
            hosted.ask(image, Tensor.from_array("factor", ROWS))


class TestExportedPrograms:
    def test_numbers_and_metadata(self, tmp_path: Path) -> None:
        network = export(Network(), tmp_path, torch.zeros(3, 4), image={0: torch.export.Dim("rows")})
        hosted = Hosted("torch", tmp_path)
        with torch.inference_mode():
            np.testing.assert_array_equal(hosted.array(ROWS[:1]), network(torch.from_numpy(ROWS[:1])).numpy())
        assert hosted.face.metadata.platform == "pytorch_export"
        assert hosted.told_inputs == [("image", "FP32", (-1, 4))]
        assert hosted.told_outputs == [("output-0", "FP32", (-1, 2))]

    def test_dictionaries_and_lists_name_their_outputs(self, tmp_path: Path) -> None:
        export(Named(), tmp_path, torch.zeros(3, 4))
        hosted = Hosted("torch", tmp_path)
        outputs = {tensor.name: tensor.array for tensor in hosted.ask(ROWS)}
        assert list(outputs) == ["scores", "boxes-0", "boxes-1"]
        np.testing.assert_array_equal(outputs["boxes-1"], ROWS + 1)
        assert [name for name, *_ in hosted.told_outputs] == ["scores", "boxes-0", "boxes-1"]

    def test_what_was_exported_as_fixed_is_checked(self, tmp_path: Path) -> None:
        export(Network(), tmp_path, torch.zeros(3, 4))
        hosted = Hosted("torch", tmp_path)
        assert hosted.face.strict
        with pytest.raises(InvalidArgumentError, match="model 'm' cannot take these inputs"):
            hosted.ask(ROWS[:2])


class TestDatatypes:
    @pytest.mark.parametrize(
        "datatype", ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
    )
    def test_datatypes_come_back(self, datatype: str, tmp_path: Path) -> None:
        script(torch.nn.Identity(), tmp_path, torch.zeros(2, 4))
        array = (ROWS * 4).astype(datatype)
        got = Hosted("torch", tmp_path).array(array)
        assert got.dtype == array.dtype
        np.testing.assert_array_equal(got, array)

    def test_bf16(self, tmp_path: Path) -> None:
        script(torch.nn.Softplus(), tmp_path, torch.zeros(2))
        values = torch.linspace(-2, 2, 5).to(torch.bfloat16)
        given = Tensor.from_array("x", values.view(torch.int16).numpy().view(np.uint16), "BF16")
        (got,) = Hosted("torch", tmp_path).ask(given)
        assert got.datatype == "BF16"
        expected = torch.nn.Softplus()(values).view(torch.int16).numpy().view(np.uint16)
        np.testing.assert_array_equal(got.array, expected)

    def test_views_that_cannot_be_written_to_and_start_at_any_byte(self, tmp_path: Path) -> None:
        script(torch.nn.Identity(), tmp_path, torch.zeros(2, 4))
        view = np.frombuffer(memoryview(b"\0" + ROWS.tobytes())[1:], dtype="<f4").reshape(ROWS.shape)
        np.testing.assert_array_equal(Hosted("torch", tmp_path).array(view), ROWS)

    def test_what_the_protocol_cannot_carry(self, tmp_path: Path) -> None:
        class Complex(torch.nn.Module):  # type: ignore[misc]
            def forward(self, image: Any) -> Any:
                return torch.complex(image, image)

        script(Complex(), tmp_path, torch.zeros(2, 4))
        with pytest.raises(InternalError, match=r"output 'output-0' is of torch\.complex64"):
            Hosted("torch", tmp_path).ask(ROWS)


class TestMistakes:
    def test_inputs(self, tmp_path: Path) -> None:
        script(Two(), tmp_path, torch.zeros(2), torch.zeros(2))
        hosted = Hosted("torch", tmp_path)
        left, right = Tensor.from_array("left", ROWS), Tensor.from_array("right", ROWS[:, :3])
        with pytest.raises(InvalidArgumentError, match=r"expects inputs \['left', 'right'\], missing are \['right'\]"):
            hosted.ask(left)
        with pytest.raises(InvalidArgumentError, match="unexpected inference input 'other'"):
            hosted.ask(left, Tensor.from_array("other", ROWS))
        with pytest.raises(InvalidArgumentError, match="cannot take these inputs: The size of tensor a") as caught:
            hosted.ask(left, right)
        assert "Traceback" not in caught.value.message
        assert "\n" not in caught.value.message
        with pytest.raises(InvalidArgumentError, match="input 'left' is BYTES"):
            hosted.ask(text("left", "a"), left.renamed("right"))
        with pytest.raises(InvalidArgumentError, match=r"unexpected inference output 'odd' .*'output-0', 'output-1'"):
            hosted.ask(left, left.renamed("right"), outputs=["odd"])

    @pytest.mark.parametrize("name", ["model.pt", "model.pt2"])
    def test_files_that_are_no_program(self, name: str, tmp_path: Path) -> None:
        torch.save(Network().state_dict(), tmp_path / name)
        with pytest.raises(ModelLoadError, match=r"must be TorchScript .* holds weights without the model"):
            Hosted("torch", tmp_path)

    @pytest.mark.parametrize(
        ("extra", "reason"),
        [
            ({"device": 3}, r"device: expected a device, such as .* got 3 \(int\)"),
            ({"device": "cuda:77"}, "device is 'cuda:77', but"),
            ({"device": "nowhere"}, "device is 'nowhere', but"),
            ({"instances": 0}, "instances: expected an integer of 1 or more, got 0"),
            ({"intra_op_threads": "2"}, "intra_op_threads: expected an integer of 1 or more, got '2'"),
        ],
    )
    def test_settings_that_are_wrong(self, extra: dict[str, Any], reason: str, tmp_path: Path) -> None:
        script(Network(), tmp_path, torch.zeros(2, 4))
        with pytest.raises(ModelLoadError, match=reason):
            Hosted("torch", tmp_path, parameters={"extra": extra})

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(ModelLoadError, match=r"no PyTorch file in .*looked for model\.pt2, model\.pt"):
            Hosted("torch", tmp_path)


def test_names_of_what_a_model_gives() -> None:
    assert dict(named(1)) == {"output-0": 1}
    assert dict(named((1, None, {"a": 2}))) == {"output-0": 1, "output-2-a": 2}
    assert dict(named(Sums(1, [2, 3]))) == {"total": 1, "parts-0": 2, "parts-1": 3}


def test_settings_reach_torch(tmp_path: Path) -> None:
    script(Network(), tmp_path, torch.zeros(2, 4))
    before = torch.get_num_threads()
    try:
        extra = {"instances": 2, "intra_op_threads": 1, "device": "cpu"}
        assert Hosted("torch", tmp_path, parameters={"extra": extra}).face.instances == 2
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_importing_the_runtime_imports_no_torch() -> None:
    code = "import sys, oipserver_torch; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
