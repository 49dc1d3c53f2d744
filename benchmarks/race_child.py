"""A process of one contender of `race.py`: it trains, or segments CTs with the weights of a mark.

python benchmarks/race_child.py train|<mark> <job.json>
"""

import importlib
import json
import sys
from pathlib import Path

from race_job import read_job

MODULES = {"segment": "race_ours", "segment from starter": "race_ours", "MONAI UNet": "race_monai"}
MODULES |= {"MONAI SegResNet": "race_monai", "MONAI VNet": "race_monai", "nnU-Net": "race_nnunet"}


def main() -> None:
    """Train until the last mark, or write masks of the CTs in cts.json."""
    import torch

    what, job = sys.argv[1], read_job(sys.argv[2])
    torch.set_num_threads(job.threads)
    module = importlib.import_module(MODULES[job.contender])
    if what == "train":
        module.train(job)
        return
    minutes = float(what)
    cts = json.loads((job.folder / "cts.json").read_text(encoding="utf-8"))
    paths = {name: Path(path) for name, path in cts.items()}
    module.predict(job, job.checkpoint(minutes), paths, job.folder / f"masks_at_{minutes:g}")


if __name__ == "__main__":
    main()
