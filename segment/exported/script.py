"""The files of the stand-alone script, which need neither this package nor PyTorch."""

import ast
import sys
from pathlib import Path
from types import ModuleType

from segment.inference.postprocess import clean_up, pieces, place, runs, steps

SCRIPT = "segment_onnx.py"
CLEAN_UP = "segment_clean_up.py"  # the post-processing, which the script imports
_MODULES = (runs, pieces, steps, place, clean_up)  # each after those that it imports
# In place of what the modules import from this package: values were checked when the file was exported.
_HEAD = '''"""The post-processing of `segment`, gathered from its modules for segment_onnx.py; needs numpy and scipy."""

ShareAboveZero = NonNegativeFloat = PositiveFloat = float
Spacing = tuple


class UserError(Exception):
    """A value that cannot be used."""


def in_range(constructor):
    """Decorate nothing: values were checked when the file was exported."""
    return constructor
'''


def files() -> dict[str, str]:
    """Name and text of each file that `segment export` writes beside the exported one."""
    return {SCRIPT: Path(__file__).with_name(SCRIPT).read_text(encoding="utf-8"), CLEAN_UP: _gathered()}


def import_clean_up() -> None:
    """Let the script, as a module of this package, import the text of `CLEAN_UP`."""
    name = Path(CLEAN_UP).stem
    module = ModuleType(name)
    sys.modules[name] = module  # before it runs: dataclasses look it up
    exec(compile(_gathered(), CLEAN_UP, "exec"), module.__dict__)


def _gathered() -> str:
    """The modules of the post-processing in one text, without their imports from this package."""
    parts = [_HEAD]
    for module in _MODULES:
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in ast.parse(source).body:
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("segment."):
                for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                    lines[number] = ""
        parts.append("\n".join(lines) + "\n")
    return "\n\n".join(parts)
