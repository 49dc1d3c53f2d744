"""Organ segmentation experiments on abdominal CT.

From Python, `segment.load` loads a checkpoint, whose result segments CTs:

    import segment

    model = segment.load("starter")
    result = model("ct.nii.gz")

Importing this package imports neither torch nor any other package. Names that are not in `__all__` are internal.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from segment.errors import UserError

if TYPE_CHECKING:
    from segment.inference.confidence.confidence import Confidence
    from segment.predictor import Prediction, Predictor, load

__all__ = ["Confidence", "Prediction", "Predictor", "UserError", "__version__", "load"]
__version__ = "0.1.0"

if sys.argv[:1] == ["-m"] and any(word.removeprefix("-m").partition(".")[0] == "segment" for word in sys.orig_argv):
    # `python -m segment.commands.train`: Python sets argv[0] to "-m" while it looks for the module. The process must be
    # set up before that module imports torch. A plain `import segment` changes nothing, also within
    # `python -m laboratory.train`.
    from segment.runtime.start import set_up_process

    set_up_process()


def __getattr__(name: str) -> object:
    """Import the public names when they are first used."""
    if name not in __all__:
        msg = f"module 'segment' has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module("segment.predictor"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
