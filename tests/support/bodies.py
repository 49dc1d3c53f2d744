"""Places of organs, of the real configuration's anatomy, without voxels."""

from dataclasses import replace
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import OmegaConf

from segment.anatomy.anatomy import Anatomy
from segment.anatomy.structure import Structure
from segment.commands.command import config_dir

CONF = Path(config_dir())
ANATOMY: Anatomy = instantiate(OmegaConf.load(CONF / "anatomy" / "default.yaml"), _convert_="all")


def place(organ, shift=(0, 0, 0), volume_ml=None, faces="", off_middle=False):
    """An organ at its usual place, or moved by `shift` mm to the right, front and head; of average size by default."""
    right, front, up = (a + b for a, b in zip(ANATOMY.centre_mm[organ], shift, strict=True))
    low, high = ANATOMY.volume_ml.get(organ, (10, 1000))
    volume = (low * high) ** 0.5 if volume_ml is None else volume_ml
    return Structure(volume, right, off_middle, front - 90, up - 400, None, faces)


def body(*organs, size=1.0):
    """Organs at their usual places, by name, in a body of the given size; 1 is an adult."""
    return {organ: _resized(place(organ), size) for organ in organs}


def _resized(adult, size):
    lengths = {axis: size * getattr(adult, axis) for axis in ("right_mm", "front_mm", "up_mm")}
    return replace(adult, volume_ml=size**3 * adult.volume_ml, **lengths)
