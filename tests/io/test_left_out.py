import pytest
from small_ct import touch

from segment.io.left_out import (
    COMPANION,
    UNUSED,
    LeftOut,
    describe_group,
    files_below,
    find_unused,
    group_by_reason,
    left_out_by_suffix,
)


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
def test_images_in_other_formats_get_a_remedy(name, remedy):
    found = left_out_by_suffix(name)
    assert not found.is_expected
    assert found.reason.rpartition("; ")[2] == remedy


def test_other_files_are_companions():
    for name in ("README.md", "a.json", "zip", "DICOMDIR"):
        assert left_out_by_suffix(name) == LeftOut(name, COMPANION, is_expected=True)


def test_groups_that_need_action_come_first():
    left_out = [LeftOut(str(n), "many", True) for n in range(5)] + [LeftOut("x", "one"), LeftOut("y", "one")]
    assert [describe_group(group) for group in group_by_reason(left_out)] == [
        "2 left out (x, y): one",
        "5 left out (0, 1, 2 and 2 more): many",
    ]


def test_links_are_followed_and_loops_end(tmp_path):
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


def test_unused_files_are_listed_with_their_reasons(tmp_path):
    touch(tmp_path, "x/used.nii", "x/series/1", "x/series/2.dcm", "x/NOT.NII", "x/refused.nii", "x/fine.dcm", "x/a.mhd")
    reasons = {"NOT.NII": "wrong; rename it", "refused.nii": None, "fine.dcm": ""}
    used = [tmp_path / "x/used.nii", tmp_path / "x/series"]
    found = find_unused(tmp_path, [tmp_path / "x", tmp_path / "y"], used, lambda path: reasons[path.name])
    assert found == [
        LeftOut("x/NOT.NII", "wrong; rename it"),
        left_out_by_suffix("x/a.mhd"),
        LeftOut("x/fine.dcm", UNUSED, is_expected=True),
    ]
