"""The ONNX model in an exported file: checked before any engine sees it, and cleaned before it is written."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from segment.errors import UserError
from segment.exported.description import KEY
from segment.inference.engines.to_onnx import INPUT, OUTPUT

if TYPE_CHECKING:  # an extra, and its import takes a while
    import onnx

STANDARD = ("", "ai.onnx")  # domains of the operations that ONNX itself defines; they only compute


def parse(content: bytes) -> "onnx.ModelProto":
    """Read a model without following any path in it.

    Raises:
        UserError: When it is not ONNX.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        msg = "it is not ONNX, or it is damaged or incomplete; copy it again"
        raise UserError(msg) from error
    if not model.graph.node:
        msg = "it is not ONNX, or it is empty; give a file of `segment export`"
        raise UserError(msg)
    return model


def metadata(model: "onnx.ModelProto") -> str:
    """The JSON of `segment export`.

    Raises:
        UserError: When there is none, or further metadata, in which engines could find settings.
    """
    entries = [(entry.key, entry.value) for entry in model.metadata_props]
    if [key for key, _ in entries] != [KEY]:
        msg = f"it was not written by `segment export`: its metadata has {[key[:40] for key, _ in entries[:5]]}"
        raise UserError(msg)
    text: str = entries[0][1]
    return text


def check_graph(model: "onnx.ModelProto", patch_size: Sequence[int], classes: int) -> None:
    """Refuse a model that could do more than compute logits from windows.

    Args:
        model: The model.
        patch_size: (I,J,K) of its only input, (1,1,I,J,K) float32.
        classes: Number of classes of its only output, (1,classes,I,J,K) float32.

    Raises:
        UserError: When it uses operations that ONNX does not define, nested graphs (as loops have), weights in other
            files, or other inputs and outputs.
    """
    import onnx

    foreign = {opset.domain for opset in model.opset_import} | {node.domain for node in model.graph.node}
    foreign -= {*STANDARD}
    if foreign or model.functions or model.training_info:
        names = ", ".join(sorted(foreign))[:100] or "functions of its own"
        msg = f"it uses operations that ONNX does not define ({names}); do not use this file"
        raise UserError(msg)
    for attribute in _attributes(model):
        if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            msg = f"it has a nested graph ({attribute.name[:40]}), as loops have; do not use this file"
            raise UserError(msg)
    for tensor in _tensors(model):
        if tensor.data_location != onnx.TensorProto.DEFAULT or tensor.external_data:
            msg = f"its weights {tensor.name[:40]!r} are in another file; do not use this file"
            raise UserError(msg)
    expected = [(INPUT, [1, 1, *patch_size])], [(OUTPUT, [1, classes, *patch_size])]
    found = _values(model.graph.input), _values(model.graph.output)
    if found != expected:
        msg = f"its input and output are {str(found)[:200]}, not {expected}; export the checkpoint again"
        raise UserError(msg)


def clean(model: "onnx.ModelProto") -> None:
    """Remove what the exporter notes about the source code, with paths of this machine."""
    graph = model.graph
    for part in (*graph.node, *graph.initializer, *graph.value_info, *graph.input, *graph.output, graph, model):
        part.ClearField("doc_string")
        part.ClearField("metadata_props")


def _attributes(model: "onnx.ModelProto") -> Iterator["onnx.AttributeProto"]:
    for node in model.graph.node:
        yield from node.attribute


def _tensors(model: "onnx.ModelProto") -> Iterator["onnx.TensorProto"]:
    """All tensors of a model without nested graphs."""
    sparse = list(model.graph.sparse_initializer)
    yield from model.graph.initializer
    for attribute in _attributes(model):
        yield attribute.t
        yield from attribute.tensors
        sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
    for tensor in sparse:
        yield tensor.values
        yield tensor.indices


def _values(values: Any) -> list[tuple[str, list[int]]]:  # noqa: ANN401  # a container of protobuf
    """Names and shapes of inputs or outputs; other types than float32 tensors get the shape []."""
    import onnx

    found = []
    for value in values:
        tensor = value.type.tensor_type
        is_float = tensor.elem_type == onnx.TensorProto.FLOAT
        found.append((value.name, [dim.dim_value for dim in tensor.shape.dim] if is_float else []))
    return found
