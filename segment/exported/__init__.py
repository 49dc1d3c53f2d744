"""Exported files: a network as ONNX that carries everything else a mask needs as metadata."""
