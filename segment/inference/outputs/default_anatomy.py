"""The anatomy of the package's own configuration, for callers without a composed one."""

from pathlib import Path

import yaml

from segment.anatomy.anatomy import Anatomy
from segment.configuration.values import config_dir


def default_anatomy() -> Anatomy:
    """Plausible values as in `conf/anatomy/default.yaml`."""
    values = yaml.safe_load((Path(config_dir()) / "anatomy" / "default.yaml").read_text(encoding="utf-8"))
    del values["_target_"]
    return Anatomy(**values)
