import weakref

import torch

from segment.memory.torch_internals import observe_operations

MOVED = (
    "this version of torch no longer reports operations as segment/memory/torch_internals.py expects; change that file"
)


def observed(computation):
    calls = []
    with observe_operations(lambda *call: calls.append(call)):
        computation()
    return calls


def test_torch_reports_an_operation_with_its_tensors():
    first, second = torch.ones(2), torch.ones(3)
    calls = observed(lambda: torch.cat([first, second]))
    assert [name for name, _, _ in calls] == ["cat"], MOVED
    _, inputs, outputs = calls[0]
    assert [tensor.shape[0] for tensor in inputs] == [2, 3], MOVED
    assert [tensor.shape[0] for tensor in outputs] == [5], MOVED


def test_torch_reports_the_backward_pass():
    weight = torch.ones(1, 1, 1, 1, 1, requires_grad=True)
    image = torch.ones(1, 1, 2, 2, 2)

    def step():
        torch.autograd.backward(torch.nn.functional.conv3d(image, weight).sum())

    names = [name for name, _, _ in observed(step)]
    assert "convolution" in names, MOVED
    assert "convolution_backward" in names, MOVED


def test_a_storage_is_one_python_object_for_as_long_as_it_lives():
    moved = (
        "this version of torch wraps a storage more than once; segment/memory/trace.py identifies storages by their id"
    )
    tensor = torch.ones(2)
    freed = []
    weakref.finalize(tensor.untyped_storage(), freed.append, True)
    assert not freed, moved
    assert tensor.untyped_storage() is tensor[:1].untyped_storage(), moved
    del tensor
    assert freed, moved
