"""Exported files of strangers: nothing in them runs, and nothing beside them is read."""

import pytest

from segment.errors import UserError
from segment.exported import graph
from segment.exported.read import parse_exported, read_exported

onnx = pytest.importorskip("onnx")


@pytest.fixture
def model(exported):
    return graph.parse(exported.read_bytes())


def refused(model, message):
    with pytest.raises(UserError, match=message):
        parse_exported(model.SerializeToString())


def test_the_file_of_an_export_is_accepted(exported):
    read = read_exported(exported)
    assert read.organs == ["liver", "spleen"]
    assert read.tolerance_mm == {"liver": 5, "spleen": 3}
    assert read.segmenter.inferer.patch_size == (8, 8, 8)
    assert read.segmenter.classes == 3


def test_the_file_holds_no_path_of_this_machine(exported):
    content = exported.read_bytes()
    assert b"site-packages" not in content
    assert b".py" not in content
    assert str(exported.parent).encode() not in content


def test_operations_of_other_domains_are_refused(model):
    model.graph.node[0].domain = "com.stranger"
    refused(model, r"operations that ONNX does not define \(com\.stranger\); do not use this file")
    model.graph.node[0].domain = ""
    model.opset_import.add(domain="ai.onnx.ml", version=1)
    refused(model, r"\(ai\.onnx\.ml\)")


def test_functions_of_the_file_are_refused(model):
    model.functions.add(name="f", domain="")
    refused(model, r"\(functions of its own\)")


def test_loops_are_refused(model):
    body = model.graph.node[0].attribute.add(name="body", type=onnx.AttributeProto.GRAPH)
    body.g.name = "loop"
    refused(model, r"it has a nested graph \(body\)")


@pytest.mark.parametrize("place", ["initializer", "attribute", "sparse"])
def test_weights_in_other_files_are_refused(model, place):
    if place == "initializer":
        tensor = model.graph.initializer[0]
    elif place == "attribute":
        tensor = model.graph.node[0].attribute.add(name="value", type=onnx.AttributeProto.TENSOR).t
    else:
        tensor = model.graph.sparse_initializer.add().values
    tensor.name = "stolen"
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret")
    refused(model, "its weights 'stolen' are in another file; do not use this file")


def test_further_metadata_is_refused(model):
    model.metadata_props.add(key="ort_config", value="{}")  # in which ONNX Runtime can find settings
    refused(model, r"not written by `segment export`: its metadata has \['segment', 'ort_config'\]")
    del model.metadata_props[:]
    refused(model, "it was not written by `segment export`")


def test_other_inputs_and_outputs_are_refused(model):
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4
    refused(model, r"its input and output are .*4, 8, 8, 8.*, not .*3, 8, 8, 8")
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 3
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.STRING
    refused(model, r"its input and output are \(\[\('image', \[\]\)\]")


@pytest.mark.parametrize("content", [b"", b"no ONNX", b"\x08\x0a", b"\x00" * 1000])
def test_other_files_are_refused_by_name(tmp_path, content):
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(UserError, match=r"^cannot use .*a\.onnx: it is not ONNX"):
        read_exported(tmp_path / "a.onnx")
    with pytest.raises(UserError, match=r"^no such file: .*b\.onnx; `segment export` writes it from a checkpoint"):
        read_exported(tmp_path / "b.onnx")


def test_a_model_without_operations_is_refused(model):
    del model.graph.node[:]
    refused(model, "it is not ONNX, or it is empty; give a file of `segment export`")


def test_a_damaged_file_is_refused(exported, tmp_path):
    content = exported.read_bytes()
    (tmp_path / "a.onnx").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"a\.onnx: it (is|was) not"):
        read_exported(tmp_path / "a.onnx")


def test_windows_that_do_not_advance_are_refused(exported):
    content = exported.read_bytes().replace(b'"overlap": [2, 2, 2]', b'"overlap": [2, 2, 8]')
    with pytest.raises(UserError, match="its windows are invalid: overlap"):
        parse_exported(content)
