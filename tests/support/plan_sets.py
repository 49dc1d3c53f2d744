"""Fingerprints of imaginary data sets, and networks for planning."""

from pathlib import Path

import torch
from omegaconf import OmegaConf

from segment.configuration.instantiate import instantiate
from segment.configuration.values import config_dir
from segment.plan.fingerprint import Fingerprint, OrganFacts

ORGANS = ("liver", "right_kidney", "left_kidney", "spleen")


def fingerprint(spacing=(0.8, 0.8, 2.5), extent=(400.0, 400.0, 240.0), patients=40, **changes) -> Fingerprint:
    """The fingerprint of a set in which all CTs have the same voxels."""
    shape = tuple(float(round(n / s)) for n, s in zip(extent, spacing, strict=True))
    values = {
        "name": "imaginary",
        "cases": patients,
        "patients": patients,
        "organs": {organ: OrganFacts(patients, patients) for organ in ORGANS},
        "spacing_mm": spacing,
        "spacing_low_mm": spacing,
        "spacing_high_mm": spacing,
        "shape": shape,
        "extent_mm": extent,
    }
    return Fingerprint(**(values | changes))


def net_maker(name="vnet"):
    """Builds a network of conf/model/net on the meta device."""
    node = OmegaConf.load(Path(config_dir()) / "model" / "net" / f"{name}.yaml")

    def make(keys):
        with torch.device("meta"):
            return instantiate(OmegaConf.merge(node, keys))(out_channels=5)

    return make
