import os
import random
from pathlib import Path

import pytest
import tiny
from dicom_files import slice_file, write
from small_ct import touch

from segment.errors import UserError
from segment.inference.inputs.find_inputs import find_inputs
from segment.io.left_out import COMPANION


def found(*given, output="masks"):
    """Names of the inputs, and reasons by the names of files that are left out."""
    inputs, left_out = find_inputs([str(one) for one in given], Path(output))
    return [one.name for one in inputs], {one.name: one.reason for one in left_out}


@pytest.fixture(autouse=True)
def _working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_inputs_are_files_folders_and_globs(tmp_path):
    touch(tmp_path, "s/b.nii.gz", "s/a.mha", "s/t/c.nrrd", "s/[x].nii", "s/notes.txt")
    names = {
        pattern: found(tmp_path / pattern)[0]
        for pattern in ("s", "s/**", "s/*.n*", "s/t", "s/*/*", "s/[x].nii", "s/t/c.nrrd")
    }
    assert names == {
        "s": ["[x]", "a", "b", "t/c"],
        "s/**": ["[x]", "a", "b", "t/c"],
        "s/*.n*": ["[x]", "b"],
        "s/t": ["c"],
        "s/*/*": ["t/c"],
        "s/[x].nii": ["[x]"],
        "s/t/c.nrrd": ["c"],
    }
    assert found(tmp_path / "s")[1] == {"notes.txt": COMPANION}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["a/ct.nii", "b/ct.nii"], ["a/ct", "b/ct"]),
        (["a", "b/ct.nii"], ["a/ct", "a/x/ct", "b/ct"]),
        (["a", "a/ct.nii", "./a/x"], ["ct", "x/ct"]),
        (["a/x/../x/ct.nii"], ["ct"]),
        (["*/ct.nii"], ["a/ct", "b/ct"]),
    ],
)
def test_names_are_relative_to_the_folder_that_all_inputs_share(tmp_path, given, names):
    touch(tmp_path, "a/ct.nii", "a/x/ct.nii", "b/ct.nii")
    assert found(*given)[0] == names


@pytest.mark.parametrize("given", ["", "nothing", "nothing/*.nii.gz", "empty", "*.txt"])
def test_no_input_is_an_error(tmp_path, given):
    touch(tmp_path, "x.txt", "y.nii.gz", "empty/.hidden.nii")
    with pytest.raises(UserError, match="no CT at "):
        found(given)


def test_a_missing_input_among_several_is_an_error(tmp_path):
    touch(tmp_path, "a.nii")
    with pytest.raises(UserError, match=r"no CT at b\.nii;"):
        found("a.nii", "b.nii")


def test_every_file_is_either_an_input_or_left_out_with_a_reason(tmp_path):
    files = ("a.NII.GZ", "b.Nii", "c.NRRD", "d.MHA", "e.mhd", "e.raw", "f/f.hdr", "f/f.img", "g.zip", "h.MGZ", "i.pdf")
    touch(tmp_path, *(f"s/{name}" for name in files))
    names, left_out = found("s")
    assert names == ["a", "b", "c", "d"]
    assert {name: reason.rpartition("; ")[2] for name, reason in left_out.items()} == {
        **dict.fromkeys(["e.mhd", "e.raw", "f/f.hdr", "f/f.img"], "convert it to .nii.gz or .mha"),
        "g.zip": "unpack it",
        "h.MGZ": "convert it to .nii.gz",
        "i.pdf": COMPANION,
    }


def test_masks_beside_their_cts_are_left_out(tmp_path):
    touch(tmp_path, "a.nii.gz", "a_seg.nii.gz", "a_straightened.nii.gz", "b.mha", "c_seg.nii.gz", "d_straightened.nii")
    names, left_out = found(tmp_path)
    assert names == ["a", "b", "c_seg", "d_straightened"]
    assert left_out == dict.fromkeys(
        ["a_seg.nii.gz", "a_straightened.nii.gz"],
        "has the name of a mask or straightened CT of the CT beside it",
    )


def test_the_output_folder_is_left_out(tmp_path):
    touch(tmp_path, "s/a.nii", "s/masks/a_seg.nii.gz", "s/masks/b.nii")
    assert found("s", output=tmp_path / "s" / "masks") == (["a"], {"masks": "the output folder"})


def test_two_inputs_with_the_same_name_clash(tmp_path):
    touch(tmp_path, "s/a.nii.gz", "s/a.mha", "s/b.nii")
    what = "would write the same mask, a_seg.nii.gz; rename one, or predict them into different outputs"
    assert [(one.display_name, one.clash) for one in find_inputs(["s"], Path("masks"))[0]] == [
        ("a.mha", f"s/a.nii.gz {what}"),
        ("a.nii.gz", f"s/a.mha {what}"),
        ("b.nii", ""),
    ]


def test_an_input_clashes_if_its_mask_would_replace_another_input(tmp_path):
    touch(tmp_path, "a.nii.gz", "a_seg.nii.gz")
    inputs, _ = find_inputs(["a.nii.gz", "a_seg.nii.gz"], Path())
    reason = "its results would replace the input a_seg.nii.gz; choose another output"
    assert [(one.name, one.clash) for one in inputs] == [("a", reason), ("a_seg", "")]


def test_a_named_file_is_kept_even_if_it_is_named_like_a_mask(tmp_path):
    touch(tmp_path, "t/p1/a.nii.gz", "t/p1/a_seg.nii.gz")
    for given in (["t/p1/a.nii.gz", "t/p1/a_seg.nii.gz"], ["t/p1", "t/p1/a_seg.nii.gz"]):
        assert found(*given) == (["a", "a_seg"], {})
    assert found("t/p1/*")[0] == ["a"]


@pytest.mark.parametrize("given", [["scans/p1", "scans/p2"], ["scans", "scans/p1"], ["scans/p*", "scans/p1"]])
def test_a_named_folder_is_an_input_even_if_it_is_the_output(tmp_path, given):
    reason = "has the name of a mask or straightened CT of the CT beside it"
    written = ("scans/p1/p1/ct_seg.nii.gz", "scans/p1/p2/ct_straightened.nii.gz")
    touch(tmp_path, "scans/p1/ct.nii.gz", "scans/p2/ct.nii.gz", *written)
    left_out = {"p1/p1/ct_seg.nii.gz": reason, "p1/p2/ct_straightened.nii.gz": reason}
    assert found(*given, output="scans/p1") == (["p1/ct", "p2/ct"], left_out)


def test_names_never_leave_the_output_folder(tmp_path, monkeypatch):
    touch(tmp_path, "work/p1/x.nii", "work/p2/x.nii", "other/a.nii.gz")
    monkeypatch.chdir(tmp_path / "work")
    assert found("p*/../../other/*.nii.gz")[0] == ["other/a"]
    assert found("p*/../../other/*.nii.gz", "p1")[0] == ["other/a", "work/p1/x"]
    assert found("../other")[0] == ["a"]


def test_every_folder_with_a_ct_is_an_input_in_any_listing_order(tmp_path, monkeypatch):
    for folder in ("p/a", "p/a/rest", "p/b/s1", "p/c/s2", "p/c/s3", "p/d/DICOM"):
        tiny.write_dicom(tmp_path / folder, count=2)
    (tmp_path / "p/c/s3/000").write_bytes(b"".ljust(128) + b"DICM")  # damaged; reading it will report this
    write(tmp_path / "p/c/s4/0.dcm", slice_file((0, 0, 0), Modality="MR"))
    touch(tmp_path, *(f"p/d/AUTORUN/{n}" for n in range(60)), *(f"p/d/DICOM/.{n}" for n in range(60)))
    tiny.save(tmp_path / "p/e/ct.nii.gz", tiny.body()[0])
    tiny.save(tmp_path / "p/b/s1/converted.nii.gz", tiny.body()[0])
    real = os.walk

    def shuffled(*arguments, **options):
        for folder, folders, names in real(*arguments, **options):
            random.shuffle(names)
            yield folder, folders, names

    monkeypatch.setattr(os, "walk", shuffled)
    cts = ["a", "a/rest", "b/s1", "b/s1/converted", "c/s2", "c/s3", "d/DICOM", "e/ct"]
    for given in ("p", "p/*", "p/**"):
        names, left_out = found(given)
        assert names == cts
        assert left_out.pop("c/s4/0.dcm") == "DICOM, but not a CT: MR"
        assert left_out == {f"d/AUTORUN/{n}": COMPANION for n in range(60)}


def test_single_dicom_files_are_left_out(tmp_path):
    tiny.write_dicom(tmp_path / "a", count=2)
    touch(tmp_path, "b.nii")
    reason = "a single DICOM file; give the folder of its series"
    assert found("a/*", "b.nii") == (["b"], {"a/000": reason, "a/001": reason})


def test_a_series_in_the_given_folder_has_the_name_of_the_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tiny.write_dicom(tmp_path / "ct 7", count=2))
    assert found(".") == found(tmp_path / "ct 7") == (["ct 7"], {})


def test_links_are_followed_once(tmp_path):
    touch(tmp_path, "elsewhere/a.nii", "s/b.nii")
    (tmp_path / "s" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "s")
    (tmp_path / "s" / "gone.nii").symlink_to(tmp_path / "nowhere")
    assert found("s")[0] == ["b", "gone", "linked/a"]


def test_a_folder_that_cannot_be_opened_is_left_out(tmp_path, monkeypatch):
    touch(tmp_path, "s/a.nii", "s/closed/b.nii")
    real = os.scandir

    def refusing(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    names, left_out = found("s")
    assert names == ["a"]
    assert left_out == {"closed": "cannot be opened (Permission denied); check its permissions"}
