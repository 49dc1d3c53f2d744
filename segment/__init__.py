"""Organ segmentation experiments on abdominal CT."""

import sys

__version__ = "0.1.0"

if sys.argv[:1] == ["-m"]:
    # The sign that Python is locating a module of this package to run it (`python -m segment.train`), whose first
    # lines import torch. Whoever imports the package gets nothing but the package.
    from segment.program import begin_program

    begin_program()
