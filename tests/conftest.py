import copy
import hashlib
import io
import locale
import logging
import sys
from collections.abc import Callable

import nibabel as nib
import numpy as np
import pytest
import tiny
import torch
from hypothesis import settings
from omegaconf import OmegaConf
from small_ct import CODES, ORGANS, transform, write_case, write_tissues

from segment.checkpoint import starter as starter_module
from segment.data.store.store import Store
from segment.datasets.sources.folder import Folder
from segment.runtime.garbage import collect_as_usual, collect_rarely

Stored = Callable[[str], tuple[np.ndarray, np.ndarray, np.ndarray]]

# No deadline: other programs may use the same machine, so a slow example is not a failure.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
# The two workers of pytest-xdist share two cores. OpenMP's threads spin while they wait for each other, so with two
# threads each, small tensors cost up to 30 times as much.
torch.set_num_threads(1)
collect_rarely()

_load, _loaded = OmegaConf.load, {}


def _load_once(file):
    """Parse a text once: commands compose thousands of configurations from the files of conf/."""
    if not hasattr(file, "read"):
        return _load(file)
    text = file.read()
    if text not in _loaded:
        again = io.BytesIO(text) if isinstance(text, bytes) else io.StringIO(text)
        again.name = getattr(file, "name", "<file>")  # for messages
        _loaded[text] = _load(again)
    return copy.deepcopy(_loaded[text])


OmegaConf.load = _load_once


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow tests first, so that none is left for one worker when the other has finished.

    Groups stay in their order; pytest-xdist starts with them, because they have the most tests.
    """

    def comes_later(item: pytest.Item) -> bool:
        return item.get_closest_marker("slow") is None or item.get_closest_marker("xdist_group") is not None

    items.sort(key=comes_later)


def pytest_collection_finish() -> None:
    """Collect garbage again, but not among the tests and packages that stay to the end."""
    collect_as_usual()


@pytest.fixture
def invoke(monkeypatch, capsys):
    """Call a command in this process: `invoke(main, "a=1")` returns exit code, stdout and stderr."""

    def call(main: Callable[[], None], *arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["segment", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def starter(tmp_path, monkeypatch):
    """The starter weights: in place of the package's, a small checkpoint with its checksum."""
    path = tiny.write_checkpoint(tmp_path / "package" / "starter.ckpt")
    path.with_suffix(".sha256").write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  starter.ckpt\n")
    monkeypatch.setattr(starter_module, "_FILE", path)
    return path


@pytest.fixture(autouse=True)
def _restore_logging():
    """Commands configure logging for the whole process, so restore it for the next test."""
    loggers = [logging.getLogger(name) for name in (None, "pytorch_lightning", "lightning_fabric")]
    before = [(logger.level, logger.propagate, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, propagate, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.propagate = propagate
        for handler in set(logger.handlers) - set(handlers):
            if type(handler) is logging.StreamHandler:  # pytest removes its own handlers
                logger.removeHandler(handler)
    # OpenVINO imports absl, whose handler keeps the stderr of that moment, which is pytest's. When Hydra configures
    # logging, the handler would close it, unless it is the interpreter's own.
    absl = sys.modules.get("absl.logging")
    if absl is not None:
        absl.get_absl_handler().python_handler.stream = sys.__stderr__


@pytest.fixture(autouse=True)
def _restore_locale():
    """ITK's DICOM writer sets the C locale, in which later tests could not decode the output of commands."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)


@pytest.fixture(scope="session")
def smoke_cache(tmp_path_factory):
    """A cache for trainings, whose synthetic CTs and stored volumes are made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A data set of six cases; tests must not change it."""
    root = tmp_path_factory.mktemp("folder")
    for number in range(6):
        write_case(root, f"case{number}", seed=number)
    return root


@pytest.fixture(scope="session")
def cases(folder):
    return Folder(folder, CODES).cases("set")


@pytest.fixture(scope="session")
def volumes(cases, tmp_path_factory):
    """The cases' stored volumes."""
    return list(Store(tmp_path_factory.mktemp("store"), transform(), ORGANS).prepare(cases).values())


@pytest.fixture(scope="session")
def tissue_volumes(tmp_path_factory):
    """Stored volumes of two cases with tissue maps."""
    root = tmp_path_factory.mktemp("tissues")
    for seed, name in enumerate("ab"):
        write_case(root, name, seed)
        write_tissues(root, name)
    cases = Folder(root, CODES, tissues="tissues").cases("tissues")
    return list(Store(root / "store", transform(), ORGANS).prepare(cases).values())


@pytest.fixture(scope="session")
def stored() -> Stored:
    """Return a function of an orientation that makes CT, mask and affine of a small body: `stored("LPI")`.

    Organ 1 is a box in the right, anterior, inferior part of the body, organ 2 in the left, posterior, superior part.
    """
    shape = (40, 24, 16)
    ct = np.random.default_rng(0).integers(-50, 150, shape, dtype=np.int16)
    mask = np.zeros(shape, np.uint8)
    mask[26:36, 14:20, 2:7] = 1
    mask[4:14, 4:10, 9:14] = 2
    affine = np.diag([2.0, 3.0, 5.0, 1.0])
    affine[:3, 3] = (-40, -36, 100)

    def store(axes: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        turn = nib.orientations.ornt_transform(
            nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(tuple(axes))
        )
        turned = [np.ascontiguousarray(nib.orientations.apply_orientation(v, turn)) for v in (ct, mask)]
        return turned[0], turned[1], affine @ nib.orientations.inv_ornt_aff(turn, shape)

    return store
