import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_ct import all_48, save

from segment.data.store.fingerprint import settings
from segment.datasets.annotation_files import LabelFile, MaskFiles
from segment.datasets.split_sides import right_side, with_sides
from segment.errors import UserError
from segment.io.read import read_ct
from segment.io.scan import Scan

SIDES = {"kidney": ["right_kidney", "left_kidney"]}
SHAPE = (60, 40, 30)
# RAS+, 4 mm voxels: i increases to the patient's right. The body is 20 cm wide and 12 cm deep, its midline at i = 29.5.
AFFINE = np.diag([4.0, 4.0, 4.0, 1.0])
AFFINE[:3, 3] = (-90, -80, 30)
BODY = (slice(5, 55), slice(5, 35), slice(None))
RIGHT = (slice(40, 48), slice(10, 18), slice(5, 20))
LEFT = (slice(12, 20), slice(10, 18), slice(8, 24))


def ct(tmp_path, *kidneys, body=BODY, code=1, name="a"):
    hu = np.full(SHAPE, -1000, np.int16)
    hu[body] = 40
    label = np.zeros(SHAPE, np.uint8)
    for kidney in kidneys:
        label[kidney] = code
    return save(tmp_path / f"{name}_ct.nii.gz", hu, AFFINE), save(tmp_path / f"{name}.nii.gz", label, AFFINE)


def read(image, annotation, organs=("right_kidney", "left_kidney")):
    return annotation.read(read_ct(image), image, organs)


def split(tmp_path, *kidneys, body=BODY):
    image, label = ct(tmp_path, *kidneys, body=body)
    return read(image, with_sides(LabelFile(label, {"kidney": 1}), SIDES))


def expected(right=(), left=()):
    classes = np.zeros(SHAPE, np.uint8)
    for index, pieces in ((1, right), (2, left)):
        for piece in pieces:
            classes[piece] = index
    return classes


def test_x_increases_to_the_right():
    assert nib.aff2axcodes(AFFINE) == ("R", "A", "S")


def test_two_kidneys(tmp_path):
    assert np.array_equal(split(tmp_path, RIGHT, LEFT), expected([RIGHT], [LEFT]))


def test_no_kidney(tmp_path):
    assert not split(tmp_path).any()


@pytest.mark.parametrize("body", [BODY, (slice(0, 44), *BODY[1:])])
def test_the_midline_does_not_matter_for_two_kidneys(tmp_path, body):
    further = (slice(30, 38), *RIGHT[1:])
    assert np.array_equal(split(tmp_path, further, RIGHT, body=body), expected([RIGHT], [further]))


def test_one_kidney_is_on_its_side_of_the_body_not_of_the_volume(tmp_path):
    assert np.array_equal(split(tmp_path, LEFT), expected(left=[LEFT]))
    # The body's midline is now at i = 9.5: the same kidney is the right one.
    assert np.array_equal(split(tmp_path, LEFT, body=(slice(0, 20), *BODY[1:])), expected(right=[LEFT]))


def test_a_small_piece_belongs_to_the_nearer_kidney(tmp_path):
    # Left of the midline, and the centre of the left kidney is nearer, but the right kidney reaches further down here.
    long = (slice(30, 48), slice(10, 18), slice(5, 20))
    small, other = (slice(26, 28), slice(12, 14), slice(10, 12)), (slice(10, 11), slice(12, 14), slice(10, 12))
    assert np.array_equal(split(tmp_path, long, LEFT, small, other), expected([long, small], [LEFT, other]))


def test_small_pieces_beside_a_single_kidney_belong_to_their_side_of_the_midline(tmp_path):
    shrunken = (slice(16, 20), slice(10, 14), slice(8, 12))  # 64 of 960 voxels
    assert np.array_equal(split(tmp_path, RIGHT, shrunken), expected([RIGHT], [shrunken]))


@pytest.mark.parametrize(("size", "is_two"), [(2, True), (1, False)])
def test_a_piece_of_a_fifth_of_the_volume_is_a_kidney(tmp_path, size, is_two):
    # 2/8 and 1/8 of the other one's voxels, both on its side of the midline but 40 mm away.
    piece = (slice(54, 54 + size), *RIGHT[1:])
    classes = split(tmp_path, RIGHT, piece)
    assert np.array_equal(classes, expected([piece], [RIGHT]) if is_two else expected([RIGHT, piece]))


def test_a_horseshoe_kidney_is_refused(tmp_path):
    bridge = (slice(20, 40), slice(12, 16), slice(8, 12))
    with pytest.raises(
        UserError, match=r"kidney in .*a\.nii\.gz is one piece with 4\d% of it on the right .* horseshoe"
    ):
        split(tmp_path, RIGHT, LEFT, bridge)


@pytest.mark.parametrize(("start", "refused"), [(23, False), (25, True)])
def test_a_quarter_across_the_midline_is_too_much(tmp_path, start, refused):
    # Eight columns, of which one or three lie at i > 29.5.
    kidney = (slice(start, start + 8), *RIGHT[1:])
    if refused:
        with pytest.raises(UserError, match="one piece"):
            split(tmp_path, kidney)
    else:
        assert np.array_equal(split(tmp_path, kidney), expected(left=[kidney]))


def test_two_large_pieces_of_one_kidney_are_refused(tmp_path):
    above = (*RIGHT[:2], slice(22, 28))
    with pytest.raises(UserError, match="has two large pieces on the right, so right and left are unknown"):
        split(tmp_path, RIGHT, above)


@pytest.mark.parametrize(("size", "refused"), [(4, True), (2, False)])
def test_two_pieces_of_one_kidney_beside_a_shrunken_one_are_refused(tmp_path, size, refused):
    # The left kidney in two pieces, 960 voxels each and 48 mm apart; 6.7 % and 0.8 % of one on the right.
    outer, inner = (slice(6, 14), slice(10, 18), slice(5, 20)), (slice(18, 26), slice(10, 18), slice(5, 20))
    right = (slice(42, 42 + size), slice(10, 10 + size), slice(8, 8 + size))
    if refused:
        with pytest.raises(
            UserError, match=r"has two large pieces on the left, .*; annotate left and right separately"
        ):
            split(tmp_path, outer, inner, right)
    else:
        assert np.array_equal(split(tmp_path, outer, inner, right), expected([inner, right], [outer]))


def test_other_structures_are_kept(tmp_path):
    image, label = ct(tmp_path, RIGHT, LEFT)
    codes = {"liver": 2, "kidney": [1, 3]}
    data = np.asarray(nib.load(label).dataobj).copy()
    data[42:44, 12:14, 6:8] = 3  # a tumour in the right one
    data[30:36, 20:30, 5:9] = 2
    save(label, data, AFFINE)
    annotation = with_sides(LabelFile(label, codes), SIDES)
    assert set(annotation.structures) == {"liver", "right_kidney", "left_kidney"}
    classes = read(image, annotation, ["left_kidney", "spleen", "liver", "right_kidney"])
    want = np.zeros(SHAPE, np.uint8)
    want[LEFT], want[RIGHT], want[30:36, 20:30, 5:9] = 1, 4, 3
    assert np.array_equal(classes, want)
    assert np.array_equal(read(image, annotation, ["liver"]), want == 3)
    assert np.array_equal(read(image, annotation, ["left_kidney"]), want == 1)


def test_masks_are_split_too(tmp_path):
    image, label = ct(tmp_path, RIGHT, LEFT)
    annotation = with_sides(MaskFiles({"kidney": label}), SIDES)
    assert np.array_equal(read(image, annotation), expected([RIGHT], [LEFT]))
    assert list(annotation.files) == [label]


def test_structures_that_are_not_annotated_stay_unknown(tmp_path):
    annotation = LabelFile(tmp_path / "a.nii.gz", {"liver": 1})
    assert with_sides(annotation, SIDES) is annotation
    assert with_sides(annotation, None) is annotation


def test_the_cache_key_differs_if_the_sides_may_differ(tmp_path):
    label = LabelFile(tmp_path / "a.nii.gz", {"kidney": 1})
    others = [
        label,
        with_sides(label, SIDES),
        with_sides(label, {"kidney": ["left_kidney", "right_kidney"]}),
        with_sides(LabelFile(label.path, {"kidney": [1, 2]}), SIDES),
        with_sides(LabelFile(label.path, {"kidney": 1, "liver": 2}), SIDES),
    ]
    keys = [str(settings(annotation.cache_key)) for annotation in others]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("names", ["right_kidney", ["right_kidney"], ["a", "a"], ["a", "b", "c"]])
def test_sides_need_two_different_names(tmp_path, names):
    with pytest.raises(UserError, match="sides gives kidney the names"):
        with_sides(LabelFile(tmp_path / "a.nii.gz", {"kidney": 1}), {"kidney": names})


@given(data=st.data())
def test_sides_are_the_same_in_every_orientation(data):
    start = st.tuples(*(st.integers(5, n - 12) for n in SHAPE))
    size = st.tuples(*(st.integers(1, 8) for _ in SHAPE))
    boxes = data.draw(st.lists(st.tuples(start, size), min_size=1, max_size=5))
    order, signs = data.draw(st.sampled_from(list(all_48())))
    mask = np.zeros(SHAPE, bool)
    for first, extent in boxes:
        mask[tuple(slice(a, a + n) for a, n in zip(first, extent, strict=True))] = True
    hu = np.full(SHAPE, -1000, np.int16)
    hu[BODY] = 40
    image = nib.Nifti1Image(hu, AFFINE)
    turn = np.array([[axis, sign] for axis, sign in zip(order, signs, strict=True)])

    def side(values, affine, shown):
        scan = Scan(values, affine, nib.Nifti1Header(), values.shape)
        try:
            return right_side(shown, scan, "x")
        except UserError as error:
            return str(error)[:30]

    turned = image.as_reoriented(turn)
    shown = nib.Nifti1Image(mask.astype(np.uint8), AFFINE).as_reoriented(turn)
    one = side(hu, AFFINE, mask)
    two = side(np.asarray(turned.dataobj), turned.affine, np.asarray(shown.dataobj) > 0)
    if isinstance(one, str):
        assert two == one
    else:
        again = nib.Nifti1Image(one.astype(np.uint8), AFFINE).as_reoriented(turn)
        assert np.array_equal(np.asarray(again.dataobj) > 0, two)


def test_one_kidney_keeps_its_side_beside_an_arm(tmp_path):
    arm = (slice(0, 5), slice(12, 22), slice(None))
    image, label = ct(tmp_path, (slice(18, 25), slice(10, 18), slice(5, 20)), body=(slice(15, 35), *BODY[1:]))
    hu = np.asarray(nib.load(image).dataobj).copy()
    hu[arm] = 40
    save(image, hu, AFFINE)
    classes = read(image, with_sides(LabelFile(label, {"kidney": 1}), SIDES))
    assert set(np.unique(classes)) == {0, 2}
