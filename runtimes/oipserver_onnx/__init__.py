"""Runtime for ONNX models."""
