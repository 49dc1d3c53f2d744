import numpy as np
import pytest
import torch
import torchio as tio

from segment.errors import UserError
from segment.exported import steps
from segment.inference.postprocess import KeepLargest
from segment.preprocess.normalize import Standardize, WindowHU
from segment.preprocess.resample import Resample

KNOWN = {
    "resample spacing_mm": Resample(spacing_mm=(1.5, 2, 3)),
    "resample size": Resample(size=(4, 5, 6)),
    "window_hu": WindowHU((-160, 240)),
    "standardize": Standardize(0.4, 0.3),
    "rescale": tio.RescaleIntensity((0, 1)),
    "z_normalize": tio.ZNormalization(),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_step_that_was_read_back_does_the_same(name):
    (described,) = steps.describe_preprocessing(tio.Compose([tio.ToCanonical(), KNOWN[name]]))
    assert described["name"] == name.split()[0]
    image = torch.from_numpy(np.random.default_rng(0).normal(0, 200, (1, 8, 9, 7)).astype(np.float32))
    subject = tio.Subject(image=tio.ScalarImage(tensor=image, affine=np.diag([1.0, 2, 3, 1])))
    ours, theirs = steps.build_preprocessing([described])(subject).image, KNOWN[name](subject).image
    assert torch.equal(ours.data, theirs.data)
    assert np.array_equal(ours.affine, theirs.affine)


class Other(WindowHU):
    """Of a user: it may do anything."""


@pytest.mark.parametrize(
    "transform",
    [
        Other((-160, 240)),
        tio.Blur(1),
        tio.RescaleIntensity((0, 1), percentiles=(1, 99)),
        tio.ZNormalization(masking_method=tio.ZNormalization.mean),
    ],
)
def test_other_steps_are_refused_by_name(transform):
    with pytest.raises(UserError, match=f"has {type(transform).__name__}, which cannot be exported; exported files"):
        steps.describe_preprocessing(tio.Compose([transform]))


def test_postprocessing():
    assert steps.describe_postprocessing(None) is None
    assert steps.build_postprocessing(None) is None
    built = steps.build_postprocessing(steps.describe_postprocessing(KeepLargest(0.3)))
    assert type(built) is KeepLargest
    assert built.min_share == 0.3
    with pytest.raises(UserError, match="the post-processing is function; exported files know KeepLargest only"):
        steps.describe_postprocessing(lambda mask: mask)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"name": "eval"}, "the step 'eval', and this version knows resample, window_hu"),
        ({"name": "window_hu", "low": 3}, "step window_hu has wrong arguments"),
        ({"name": "window_hu", "low": 3, "high": 1}, "window_hu must be"),
        ({"name": "resample", "spacing_mm": [1, 0, 1]}, "spacing_mm must be"),
        ({"name": "z_normalize", "masking_method": 1}, "step z_normalize has wrong arguments"),
    ],
)
def test_wrong_steps_of_a_file_are_refused(step, message):
    with pytest.raises(UserError, match=message):
        steps.build_preprocessing([step])
