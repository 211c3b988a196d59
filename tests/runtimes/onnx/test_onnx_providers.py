"""Execution providers: the default, what was asked for and is not there, and installations that are broken."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest
from oipserver_onnx.options import OnnxOptions
from oipserver_onnx.providers import driver_obstacle, explicit_providers, import_onnxruntime, provider_obstacle

from oipserver.errors import ModelLoadError

from .graphs import add, loaded, make

CPU_ONLY = "CUDAExecutionProvider" not in onnxruntime.get_available_providers()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return add(tmp_path / "model.onnx")


def failure(path: Path, extra: dict[str, object]) -> str:
    with pytest.raises(ModelLoadError) as caught:
        asyncio.run(make(path, extra).load())
    return caught.value.message


@pytest.mark.skipif(not (CPU_ONLY or driver_obstacle()), reason="this machine has CUDA")
def test_the_default_is_the_cpu_where_there_is_no_gpu(path: Path) -> None:
    assert loaded(path).execution_provider == "CPUExecutionProvider"


@pytest.mark.skipif(not CPU_ONLY, reason="this onnxruntime has CUDA")
@pytest.mark.parametrize(
    "extra",
    [
        {"providers": ["CUDAExecutionProvider"]},
        {"providers": ["CUDAExecutionProvider", "CPUExecutionProvider"]},
        {"device_id": 0},
    ],
    ids=["cuda", "cuda and cpu", "device"],
)
def test_cuda_asked_of_a_cpu_build_is_refused(
    path: Path, extra: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    message = failure(path, extra)
    assert (
        "model 'm': execution provider 'CUDAExecutionProvider' was asked for, but the installed onnxruntime" in message
    )
    assert "pip uninstall -y onnxruntime\n" in message
    assert 'pip install "oipserver[gpu]"' in message
    assert capfd.readouterr() == ("", "")


def test_a_provider_nobody_knows_is_refused(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    message = failure(path, {"providers": ["FasterThanLightProvider"]})
    assert "'FasterThanLightProvider' was asked for" in message
    assert "it has " in message
    assert "CPUExecutionProvider" in message
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not driver_obstacle(), reason="this machine has an NVIDIA driver")
def test_without_a_driver_the_reason_says_so() -> None:
    for name in ("CUDAExecutionProvider", "TensorrtExecutionProvider"):
        reason = provider_obstacle(onnxruntime, name, {})
        assert reason.startswith("there is no NVIDIA driver here (libcuda.so.1")
        assert "docker run --gpus all" in reason


def test_nobody_asked() -> None:
    assert explicit_providers(OnnxOptions()) is None


def test_a_device_id_goes_to_the_providers_that_have_devices() -> None:
    names = ("TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider")
    given = OnnxOptions(providers=names, provider_options=({}, {"device_id": "5", "x": "1"}, {}), device_id=2)
    assert explicit_providers(given) == [
        ("TensorrtExecutionProvider", {"device_id": "2"}),
        ("CUDAExecutionProvider", {"device_id": "5", "x": "1"}),
        ("CPUExecutionProvider", {}),
    ]
    assert explicit_providers(OnnxOptions(device_id=1)) == [
        ("CUDAExecutionProvider", {"device_id": "1"}),
        ("CPUExecutionProvider", {}),
    ]


def test_both_wheels_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnxruntime", "onnxruntime_gpu"):
        folder = tmp_path / f"{name}-1.99.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.99.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModelLoadError) as caught:
        import_onnxruntime("m")
    assert caught.value.message == (
        "model 'm': onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files. Mend it:\n"
        "  pip uninstall -y onnxruntime onnxruntime-gpu\n"
        '  pip install "oipserver[gpu]"    (or "oipserver[onnx]" for CPU only)'
    )


def test_no_wheel_installed(tmp_path: Path) -> None:
    """A process that finds oipserver and its runtime, and no onnxruntime."""
    program = (
        "import sys\n"
        "from oipserver.errors import ModelLoadError\n"
        "from oipserver_onnx import providers\n"
        "providers._installed = lambda name: False\n"
        "sys.modules['onnxruntime'] = None\n"
        "try:\n    providers.import_onnxruntime('m')\n"
        "except ModelLoadError as error:\n    print(error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.startswith("model 'm' needs onnxruntime, which is not installed. Install it:\n")
    assert 'pip install "oipserver[onnx]"' in answer.stdout


def test_a_broken_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ModelLoadError, match="is installed but broken"):
        import_onnxruntime("m")
