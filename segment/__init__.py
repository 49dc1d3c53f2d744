"""Organ segmentation experiments on abdominal CT."""

import sys

__version__ = "0.1.0"

if sys.argv[:1] == ["-m"]:
    # `python -m segment.commands.train`: Python sets argv[0] to "-m" while it looks for the module. The process must be
    # set up before that module imports torch. A plain `import segment` changes nothing.
    from segment.runtime.start import set_up_process

    set_up_process()
