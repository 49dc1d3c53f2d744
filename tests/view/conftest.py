from collections.abc import Callable

import nibabel as nib
import numpy as np
import pytest

Store = Callable[[str], tuple[np.ndarray, np.ndarray, np.ndarray]]


@pytest.fixture(scope="session")
def stored() -> Store:
    """CT, mask and affine of a small body in the orientation asked for, as `stored("LPI")`.

    Organ 1 is a box on the patient's right, in front and low; organ 2 one on the left, behind and high.
    """
    shape = (40, 24, 16)
    ct = np.random.default_rng(0).integers(-50, 150, shape, dtype=np.int16)
    mask = np.zeros(shape, np.uint8)
    mask[26:36, 14:20, 2:7] = 1
    mask[4:14, 4:10, 9:14] = 2
    affine = np.diag([2.0, 3.0, 5.0, 1.0])
    affine[:3, 3] = (-40, -36, 100)

    def store(axes: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        turn = nib.orientations.ornt_transform(
            nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(tuple(axes))
        )
        turned = [np.ascontiguousarray(nib.orientations.apply_orientation(v, turn)) for v in (ct, mask)]
        return turned[0], turned[1], affine @ nib.orientations.inv_ornt_aff(turn, shape)

    return store
