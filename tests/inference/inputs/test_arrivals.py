import numpy as np
import pytest
import tiny

from segment.inference.inputs import arrivals as module
from segment.inference.inputs.arrivals import Arrivals


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def found(arrivals):
    return [item.name for item in arrivals.settled()]


def test_a_file_is_complete_when_it_has_not_changed_for_a_while(tmp_path, clock):
    (tmp_path / "in").mkdir()
    arrivals = Arrivals([str(tmp_path / "in")], tmp_path / "out", 10)
    assert found(arrivals) == []
    whole = tiny.save(tmp_path / "whole.nii", tiny.body()[0]).read_bytes()
    path = tmp_path / "in" / "p1" / "ct.nii"
    path.parent.mkdir()
    for size in (0, 100, 2000, len(whole)):
        path.write_bytes(whole[:size])
        clock[0] += 9
        assert found(arrivals) == []
    clock[0] += 9.9
    assert found(arrivals) == []
    clock[0] += 0.2
    assert found(arrivals) == ["p1/ct"]
    clock[0] += 100
    assert found(arrivals) == []  # once
    path.write_bytes(whole + b"0")
    assert found(arrivals) == []
    clock[0] += 10
    assert found(arrivals) == ["p1/ct"]


def test_a_series_is_complete_when_no_slice_was_added_for_a_while(tmp_path, clock):
    tiny.write_dicom(tmp_path / "sent")
    tiny.save(tmp_path / "in" / "b.nii.gz", tiny.body()[0])
    folder = tmp_path / "in" / "a"
    folder.mkdir()
    arrivals = Arrivals([str(tmp_path / "in")], tmp_path / "out", 10)
    names = []
    for path in sorted((tmp_path / "sent").iterdir()):
        path.rename(folder / path.name)
        clock[0] += 4
        names += found(arrivals)
    assert names == ["b"]
    clock[0] += 11
    assert found(arrivals) == ["a"]


@pytest.mark.parametrize("output", [".", "study"])
def test_the_output_may_contain_the_watched_folder(tmp_path, clock, monkeypatch, output):
    monkeypatch.chdir(tmp_path)
    tiny.save(tmp_path / "study" / "in" / "a.nii.gz", tiny.body()[0])
    arrivals = Arrivals(["study/in"], (tmp_path / output).absolute(), 10)
    found(arrivals)
    tiny.save(tmp_path / output / "a_seg.nii.gz", np.ones((4, 4, 4), np.uint8))
    clock[0] += 10
    assert found(arrivals) == ["a"]


def test_masks_in_a_folder_below_are_not_inputs_and_files_may_vanish(tmp_path, clock):
    tiny.save(tmp_path / "in" / "a.nii.gz", tiny.body()[0])
    arrivals = Arrivals([str(tmp_path / "in")], tmp_path / "in" / "masks", 10)
    found(arrivals)
    searched = arrivals._contents
    tiny.save(tmp_path / "in" / "masks" / "a_seg.nii.gz", np.ones((4, 4, 4), np.uint8))
    (tmp_path / "in" / "link.nii.gz").symlink_to(tmp_path / "nothing")
    clock[0] += 10
    assert found(arrivals) == ["a"]
    assert arrivals._contents is searched  # nothing changed, so no file was opened
    (tmp_path / "in" / "link.nii.gz").unlink()
    (tmp_path / "in" / "a.nii.gz").unlink()
    assert found(arrivals) == []
    assert arrivals._inputs == []
