"""`segment predict watch=true`, and folders whose calls are killed."""

import csv
import json
import os
import signal
import time

import nibabel as nib
import numpy as np
import pytest
import tiny
from run_commands import config, start, wait_until

from segment.commands.predict import predict
from segment.errors import UserError

SCANS = 100


@pytest.fixture
def begin(ckpt, tmp_path):
    """Start `segment predict` from `in` to `masks` in a process of its own."""

    def call(*overrides):
        options = [f"ckpt={ckpt}", "input=in", "output=masks", "pictures=false", "engine=torch", *overrides]
        return start("predict", *options, cwd=tmp_path)

    return call


def masks_in(folder):
    """Class indices by name of the CT; every mask can be read."""
    found = {}
    for path in sorted(folder.rglob("*_seg.nii.gz")):
        if not path.name.startswith("."):  # a killed call may leave a hidden file
            found[path.relative_to(folder).as_posix().removesuffix("_seg.nii.gz")] = np.asarray(nib.load(path).dataobj)
    return found


def cases_of(folder):
    """The cases of the manifest, by name."""
    return {case["case"]: case for case in json.loads((folder / "manifest.json").read_text())["cases"]}


@pytest.mark.slow
def test_a_folder_whose_calls_are_killed_is_segmented_once_and_completely(begin, tmp_path):
    for number in range(SCANS):
        tiny.save(tmp_path / "in" / f"p{number % 7}" / f"{number:03d}.nii.gz", tiny.body(number % 3)[0])
    masks, times = tmp_path / "masks", {}
    for kill_at in (10, 40, 75, SCANS):
        process = begin("resume=true")
        wait_until(lambda at=kill_at: len(list(masks.rglob("[!.]*_seg.nii.gz"))) >= at, process)
        if kill_at < SCANS:
            process.kill()
        code, (_, err) = process.wait(), process.communicate()
        assert code == (-signal.SIGKILL if kill_at < SCANS else 0), err
        for path in masks.rglob("[!.]*_seg.nii.gz"):
            assert times.setdefault(path, path.stat().st_mtime_ns) == path.stat().st_mtime_ns  # made once
    found = masks_in(masks)
    assert len(found) == len(times) == SCANS
    for name, mask in found.items():
        assert np.array_equal(mask, tiny.body(int(name[-3:]) % 3)[1])
    with (masks / "volumes.csv").open(newline="") as file:
        rows = [(row["case"], row["organ"]) for row in csv.DictReader(file)]
    assert len(rows) == len(set(rows)) == 2 * SCANS
    assert set(cases_of(masks)) == set(found)
    assert {case["input"]["files"] for case in cases_of(masks).values()} == {1}


def test_scans_are_segmented_as_they_arrive_until_a_signal(begin, tmp_path):
    (tmp_path / "in").mkdir()
    tiny.save(tmp_path / "in" / "a.nii.gz", tiny.body()[0])
    masks = tmp_path / "masks"
    with begin("watch=true", "settle_s=0.4") as process:
        wait_until((masks / "a_seg.nii.gz").exists, process)
        whole = tiny.save(tmp_path / "b.nii.gz", tiny.body(1)[0]).read_bytes()
        with (tmp_path / "in" / "b.nii.gz").open("wb") as file:
            file.write(whole[:100])
            file.flush()
            tiny.write_dicom(tmp_path / "sent", seed=2).rename(tmp_path / "in" / "c")
            os.utime(tmp_path / "in" / "b.nii.gz")
            file.write(whole[100:])
        wait_until(lambda: {*masks_in(masks)} == {"a", "b", "c"}, process)
        tiny.save(tmp_path / "in" / "a.nii.gz", tiny.body(2)[0])  # sent again
        wait_until(lambda: np.array_equal(masks_in(masks).get("a"), tiny.body(2)[1]), process)
        process.send_signal(signal.SIGTERM)
        code, (out, err) = process.wait(), process.communicate()
    assert code == 0, err
    assert out.splitlines()[-1] == "3 of 3 masks are in masks"
    for line in ("watching in; masks go to masks; Ctrl+C ends", "c arrived; waiting until", "a.nii.gz has changed"):
        assert line in err
    assert err.rstrip().endswith("stopped watching")
    assert {name: case["state"] for name, case in cases_of(masks).items()} == dict.fromkeys("abc", "done")
    assert json.loads((masks / "manifest.json").read_text())["state"] == "complete"


def test_a_bad_scan_does_not_end_the_watch_and_is_named_at_the_end(begin, tmp_path):
    tiny.save(tmp_path / "in" / "a.nii.gz", tiny.body()[0])
    whole = (tmp_path / "in" / "a.nii.gz").read_bytes()
    for name in ("0", "b"):  # 0 comes before a, so it has been tried when the mask of a is there
        (tmp_path / "in" / f"{name}.nii.gz").write_bytes(whole[:300])
    masks = tmp_path / "masks"
    with begin("watch=true", "settle_s=0.2") as process:
        wait_until((masks / "a_seg.nii.gz").exists, process)
        (tmp_path / "in" / "b.nii.gz").write_bytes(whole)  # the transfer failed at first
        wait_until((masks / "b_seg.nii.gz").exists, process)
        time.sleep(2)  # a scan is counted when its mask has been written
        process.send_signal(signal.SIGINT)
        code, (out, err) = process.wait(), process.communicate()
    assert (code, out.splitlines()[-1]) == (2, "2 of 3 masks are in masks")
    assert err.split("error: ")[-1].startswith("1 of 3 failed:\n  0.nii.gz: cannot read in/0.nii.gz")
    assert {name: case["state"] for name, case in cases_of(masks).items()} == {"0": "failed", "a": "done", "b": "done"}


def test_a_second_watch_keeps_the_masks_of_the_first(tmp_path, run, monkeypatch, caplog):
    tiny.save(tmp_path / "in" / "a.nii.gz", tiny.body()[0])
    run(tmp_path / "in")
    before = (tmp_path / "masks" / "a_seg.nii.gz").stat().st_mtime_ns
    tiny.save(tmp_path / "in" / "b.nii.gz", tiny.body()[0])
    naps = []

    def nap(_):
        naps.append(len(masks_in(tmp_path / "masks")))
        if len(naps) > 200:
            raise KeyboardInterrupt

    monkeypatch.setattr("segment.commands.predict_watch.time.sleep", nap)
    run(tmp_path / "in", "watch=true", "settle_s=0.01")
    assert (naps[0], naps[-1]) == (1, 2)
    assert (tmp_path / "masks" / "a_seg.nii.gz").stat().st_mtime_ns == before
    assert {name: case["state"] for name, case in cases_of(tmp_path / "masks").items()} == {"a": "kept", "b": "done"}


def test_a_scan_that_failed_was_not_interrupted(tmp_path, run, monkeypatch, caplog):
    tiny.save(tmp_path / "in" / "a.nii.gz", tiny.body()[0])

    def fails(*_):
        msg = "it is damaged"
        raise UserError(msg)

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("segment.commands.predict_batch.Batch.segment", fails)
    monkeypatch.setattr(
        "segment.commands.predict_watch.time.sleep", lambda _: caplog.text.count("damaged") and stopped()
    )
    with pytest.raises(UserError):
        run(tmp_path / "in", "watch=true", "settle_s=0.01")
    assert "was interrupted" not in caplog.text


def test_an_interrupted_scan_is_named_and_has_no_mask(tmp_path, run, monkeypatch, caplog):
    tiny.save(tmp_path / "in" / "a.nii.gz", tiny.body()[0])

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("segment.commands.predict_batch.write_mask", stopped)
    run(tmp_path / "in", "watch=true", "settle_s=0.01")
    assert "a.nii.gz was interrupted and has no mask; start again to segment it" in caplog.text
    assert masks_in(tmp_path / "masks") == {}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["watch=true", "input=in/a.nii.gz"],
            r"watch=true watches folders, and input=in/a\.nii\.gz is none; create it",
        ),
        (["watch=true", "output=in"], r"watch=true would watch its own output=in; choose another folder"),
        (["watch=true", "overwrite=true"], "so it contradicts overwrite=true; leave out one of them"),
    ],
)
def test_contradictions_are_refused(tmp_path, monkeypatch, overrides, message):
    tiny.save(tmp_path / "in" / "a.nii.gz", tiny.body()[0])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        predict(config("predict", "ckpt=no.ckpt", "input=in", "output=masks", *overrides))
