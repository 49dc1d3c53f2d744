"""Programs that run a network on windows: PyTorch, ONNX Runtime, OpenVINO."""
