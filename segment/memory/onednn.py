"""Memory that a convolution holds on a CPU while it runs, besides tensors that existed before.

PyTorch hands 3D convolutions to oneDNN, which copies images into a layout with blocks of 16 channels and the result
back. Small convolutions of a single image are computed by PyTorch itself, from a matrix with a column for every output
voxel. The order of the copies was read from the calls to the allocator (PyTorch 2.13, AVX2, float32).
"""

import math
from collections.abc import Sequence

from torch import Tensor

BLOCK = 16  # channels of a block; a part of a block is filled up
LOADED = 30_000_000  # bytes of code and caches that the first steps load, whatever their size
SMALL = 20_480  # batch × channels × I × J up to which PyTorch does not use oneDNN for a single image


def bytes_while_running(operation: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> int:
    """Most bytes that an operation holds at a time, its outputs included; 0 for any but a convolution.

    Args:
        operation: `convolution` (also transposed) or `convolution_backward`.
        inputs: Image and weight; of the backward pass: gradient of the result, image and weight.
        outputs: Result; of the backward pass: gradients of image and weight, as far as they are needed.
    """
    if operation == "convolution":
        return _forward(inputs[0], inputs[1], outputs[0])
    if operation == "convolution_backward":
        result, image, weight = inputs[:3]
        return _backward(result, image, weight, needs_image=outputs[0].shape == image.shape)
    return 0


def _forward(image: Tensor, weight: Tensor, result: Tensor) -> int:
    if _is_small(image):
        return _columns(image, weight, result) + _size(result)
    if _is_finer(result, image):  # transposed: a copy of the image for scratch, and of the result to add the bias
        return max(2 * _blocked(image) + _blocked(result), _blocked(result) + 2 * _size(result))
    return _blocked(result) + max(_blocked(image), _size(result))


def _backward(result: Tensor, image: Tensor, weight: Tensor, needs_image: bool) -> int:
    """Peak of the two steps, for the gradient of the image and for that of the weight."""
    of_image = _size(image) if needs_image else 0
    if _is_small(image):
        return _columns(image, weight, result) + of_image
    most = of_image + _blocked(result) + _blocked(image)
    if needs_image:
        copies = 2 if _is_finer(image, result) else 1  # a strided convolution makes one more
        most = max(most, _blocked(image) + copies * _size(image))
    return most


def _is_small(image: Tensor) -> bool:
    return image.shape[0] == 1 and math.prod(image.shape[:4]) <= SMALL


def _is_finer(one: Tensor, other: Tensor) -> bool:
    return math.prod(one.shape[2:]) > math.prod(other.shape[2:])


def _columns(image: Tensor, weight: Tensor, result: Tensor) -> int:
    """The matrix of columns; none for a 1³ kernel, which needs no copy."""
    kernel = math.prod(weight.shape[2:])
    if kernel == 1:
        return 0
    channels = weight.shape[1]  # those on the side with the finer grid of a transposed convolution
    coarse = image if _is_finer(result, image) else result
    return image.element_size() * kernel * channels * math.prod(coarse.shape[2:])


def _blocked(tensor: Tensor) -> int:
    """Bytes of the copy in blocks of channels. A single channel is not copied."""
    channels = tensor.shape[1]
    if channels == 1:
        return 0
    return _size(tensor) // channels * (-(-channels // BLOCK) * BLOCK)


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
