import pytest
from small_ct import touch

from segment.io.left_out import COMPANION, UNUSED, LeftOut, files_below, grouped, line, of_other_format, unused


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("a.mhd", "convert it to .nii.gz or .mha"),
        ("a.HDR", "convert it to .nii.gz or .mha"),
        ("a.img.gz", "convert it to .nii.gz or .mha"),
        ("a.mgz", "convert it to .nii.gz"),
        ("a.nii.bz2", "unpack it"),
        ("a.tar.gz", "unpack it"),
        ("a.ZIP", "unpack it"),
    ],
)
def test_images_in_other_formats_have_a_remedy(name, remedy):
    found = of_other_format(name)
    assert not found.is_expected
    assert found.reason.rpartition("; ")[2] == remedy


def test_other_files_are_companions():
    for name in ("README.md", "a.json", "zip", "DICOMDIR"):
        assert of_other_format(name) == LeftOut(name, COMPANION, is_expected=True)


def test_lines_group_by_reason_what_needs_action_first():
    left_out = [LeftOut(str(n), "many", True) for n in range(5)] + [LeftOut("x", "one"), LeftOut("y", "one")]
    assert [line(group) for group in grouped(left_out)] == [
        "2 left out (x, y): one",
        "5 left out (0, 1, 2 and 2 more): many",
    ]


def test_files_are_found_through_links_and_loops(tmp_path):
    touch(tmp_path, "s/b", "s/a", "s/t/c", "elsewhere/d", "s/.hidden/e", "s/__MACOSX/f")
    (tmp_path / "s" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "s")
    assert [path.relative_to(tmp_path / "s").as_posix() for path in files_below(tmp_path / "s")] == [
        "a",
        "b",
        "linked/d",
        "t/c",
    ]
    assert list(files_below(tmp_path / "nowhere")) == []


def test_unused_files(tmp_path):
    touch(tmp_path, "x/used.nii", "x/series/1", "x/series/2.dcm", "x/NOT.NII", "x/refused.nii", "x/fine.dcm", "x/a.mhd")
    reasons = {"NOT.NII": "wrong; rename it", "refused.nii": None, "fine.dcm": ""}
    used = [tmp_path / "x/used.nii", tmp_path / "x/series"]
    found = unused(tmp_path, [tmp_path / "x", tmp_path / "y"], used, lambda path: reasons[path.name])
    assert found == [
        LeftOut("x/NOT.NII", "wrong; rename it"),
        of_other_format("x/a.mhd"),
        LeftOut("x/fine.dcm", UNUSED, is_expected=True),
    ]
