import pytest
from small_ct import CODES, ORGANS, transform, write_case

from segment.data.sources.folder import Folder
from segment.data.store import Store


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A data set of six cases; tests do not change it."""
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
