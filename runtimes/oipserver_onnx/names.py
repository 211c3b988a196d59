"""Names of onnxruntime's execution providers; starts none."""

from __future__ import annotations

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
OPENVINO = "OpenVINOExecutionProvider"

#: A provider's name and options.
Provider = tuple[str, dict[str, str]]
