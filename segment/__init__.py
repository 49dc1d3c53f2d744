"""Organ segmentation experiments on abdominal CT."""

import sys

__version__ = "0.1.0"

if sys.argv[:1] == ["-m"]:
    # Python sets this while it locates a module to run (`python -m segment.commands.train`), whose first lines import
    # torch. An import of the package does nothing else.
    from segment.runtime.start import begin_program

    begin_program()
