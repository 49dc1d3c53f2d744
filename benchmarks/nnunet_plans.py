"""What nnU-Net's own planner gives for the fingerprints of five public sets.

    pip install nnunetv2==2.8.1
    python benchmarks/nnunet_plans.py          # writes benchmarks/fingerprints/nnunet.json

The planner gets imaginary CTs with the median and the finest tenth of the fingerprint, which is all that it looks at.
"""

import json
import os
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

FINGERPRINTS = Path(__file__).parent / "fingerprints"
SETS = ("flare22", "amos22", "btcv", "msd_spleen", "kits23")
PRESETS = {  # planner and GPU memory in GB of nnU-Net's documentation, documentation/resenc_presets.md
    "default": ("ExperimentPlanner", 8),
    "ResEnc L": ("nnUNetPlannerResEncL", 24),
}
FINE = 8  # of 20 CTs whose slices are as thin as the finest tenth; the others have the median


def imaginary(facts: dict[str, Any]) -> dict[str, Any]:
    """A fingerprint in nnU-Net's form, axes S, A, R."""
    spacing, low, extent = (facts[key][::-1] for key in ("spacing_mm", "spacing_low_mm", "extent_mm"))
    spacings = [[low[0], *spacing[1:]]] * FINE + [spacing] * (20 - FINE)
    shapes = [[round(n / s) for n, s in zip(extent, sizes, strict=True)] for sizes in spacings]
    return {
        "spacings": spacings,
        "shapes_after_crop": shapes,
        "foreground_intensity_properties_per_channel": {},
        "median_relative_size_after_cropping": 1.0,
    }


def _write_set(folder: Path, name: str, facts: dict[str, Any]) -> None:
    labels = {"background": 0} | {organ: number for number, organ in enumerate(facts["organs"], start=1)}
    dataset = {
        "channel_names": {"0": "CT"},
        "labels": labels,
        "numTraining": facts["cases"],
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIO",
        "dataset": {f"case{n}": {"images": [f"{n}.nii.gz"], "label": f"{n}.nii.gz"} for n in range(facts["cases"])},
    }
    for kind, content in (("raw", {"dataset": dataset}), ("preprocessed", {"dataset_fingerprint": imaginary(facts)})):
        (folder / kind / name).mkdir(parents=True)
        for file, values in content.items():
            (folder / kind / name / f"{file}.json").write_text(json.dumps(values))


def _plan(name: str, planner: str, memory_gb: int) -> dict[str, Any]:
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.experiment_planning.experiment_planners.residual_unets import residual_encoder_unet_planners

    kind = ExperimentPlanner if planner == "ExperimentPlanner" else getattr(residual_encoder_unet_planners, planner)
    with torch.device("meta"):  # the planner builds networks only to count the sizes of their layers
        plans = kind(name, gpu_memory_target_in_gb=memory_gb).plan_experiment()
    whole = plans["configurations"]["3d_fullres"]
    network = whole["architecture"]["arch_kwargs"]
    axes = slice(None, None, -1)  # ours are R, A, S
    return {
        "spacing_mm": [round(float(size), 3) for size in whole["spacing"]][axes],
        "patch_size": [int(edge) for edge in whole["patch_size"]][axes],
        "batch_size": int(whole["batch_size"]),
        "strides": [[int(step) for step in steps][axes] for steps in network["strides"]][1:],
        "patch_2d": [int(edge) for edge in plans["configurations"]["2d"]["patch_size"]],
        "batch_2d": int(plans["configurations"]["2d"]["batch_size"]),
    }


def main() -> None:
    """Plan all sets and write the file."""
    folder = Path(tempfile.mkdtemp())
    try:
        for kind in ("raw", "preprocessed", "results"):
            os.environ[f"nnUNet_{kind}"] = str(folder / kind)
        found: dict[str, Any] = {"nnunetv2": version("nnunetv2")}
        for number, name in enumerate(SETS, start=901):
            dataset = f"Dataset{number}_{name}"
            _write_set(folder, dataset, json.loads((FINGERPRINTS / f"{name}.json").read_text()))
            found[name] = {preset: _plan(dataset, *arguments) for preset, arguments in PRESETS.items()}
        (FINGERPRINTS / "nnunet.json").write_text(json.dumps(found, indent=1) + "\n")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
