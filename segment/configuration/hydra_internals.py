"""The internal parts of Hydra that this package uses, in one place.

Hydra has no public way to do this. When you upgrade it, check this file.
"""

from collections.abc import Sequence

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path


def initialize_with_folders(config_dir: str, searched_first: Sequence[str]) -> None:
    """Initialize Hydra with a folder of configuration and others that are searched before it, as `--config-dir` is.

    Hydra's public `initialize_config_dir` takes a single folder.

    Args:
        config_dir: Absolute path of the folder with the primary files.
        searched_first: Absolute paths of the other folders.
    """
    search_path = create_config_search_path(config_dir)
    for folder in reversed(searched_first):
        search_path.prepend("command-line", f"file://{folder}")
    Hydra.create_main_hydra2("segment", search_path)
