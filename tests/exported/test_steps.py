import ast
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torchio as tio
import yaml
from hydra.utils import instantiate
from scipy import ndimage

from segment.configuration.values import config_dir
from segment.errors import UserError
from segment.exported import segment_onnx, steps
from segment.exported.script import CLEAN_UP, files, import_clean_up
from segment.inference.postprocess.clean_up import CleanUp
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
    name = type(transform).__name__
    with pytest.raises(UserError, match=f"the preprocessing has {name}, which cannot be exported; exported files"):
        steps.describe_preprocessing(tio.Compose([transform]))


ORGANS = ["liver", "right_kidney", "left_kidney", "spleen"]


@pytest.fixture
def clean_up():
    """The default post-processing of training."""
    nodes = yaml.safe_load((Path(config_dir()) / "postprocess" / "default.yaml").read_text())
    return CleanUp(ORGANS, {name: instantiate(node) for name, node in nodes.items()}, {"holes": ["spleen"]})


def blobs(seed):
    """Noise in large voxels: pieces of all organs, small and misplaced ones and holes."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, (5, 40, 36, 50)), (0, 3, 3, 3))
    noise[0] += 0.02
    return noise.argmax(0).astype(np.uint8), np.diag([-8.0, 8, 9, 1])


def test_cleaning_up_is_read_back(clean_up):
    import_clean_up()
    step = json.loads(json.dumps(steps.describe_postprocessing(clean_up)))
    built = steps.build_postprocessing(step, ORGANS)
    changed = 0
    for seed in range(3):
        mask, affine = blobs(seed)
        expected = clean_up(mask.copy(), affine)
        changed += np.count_nonzero(expected != mask)
        assert np.array_equal(built(mask.copy(), affine), expected)
        assert np.array_equal(segment_onnx.postprocess(mask.copy(), affine, ORGANS, step), expected)
    assert changed > 0


def test_other_postprocessing():
    assert steps.describe_postprocessing(None) is None
    assert steps.build_postprocessing(None, ORGANS) is None
    with pytest.raises(UserError, match="the post-processing is function; exported files know CleanUp"):
        steps.describe_postprocessing(lambda mask: mask)
    with pytest.raises(UserError, match=r"has function, which cannot be exported; exported files know RemoveMisplaced"):
        steps.describe_postprocessing(CleanUp(ORGANS, {"mine": lambda pieces, organs: pieces.value}, {}))
    part = {"name": "mine", "kind": "system", "arguments": {}}
    with pytest.raises(UserError, match="the step 'system', and this version knows RemoveMisplaced"):
        steps.build_postprocessing({"name": "clean_up", "steps": [part], "left_out": {}}, ORGANS)


def test_the_gathered_modules_define_no_name_twice():
    tree = ast.parse(files()[CLEAN_UP])
    names = [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    for node in tree.body:
        if isinstance(node, ast.Assign):
            names += [leaf.id for target in node.targets for leaf in ast.walk(target) if isinstance(leaf, ast.Name)]
        assert not isinstance(node, ast.ImportFrom) or not node.module.startswith("segment")
    assert len(names) == len({*names})


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
