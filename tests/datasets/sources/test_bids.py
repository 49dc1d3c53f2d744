import pytest
from small_ct import touch

from segment.datasets.sources.bids import Bids
from segment.errors import UserError

TSV = "index\tname\tabbreviation\n0\tBackground\tBG\n1\tLiver\tL\n2\tRight Kidney\tRK\n"
IMAGES = [
    "sub-01/ses-a/ct/sub-01_ses-a_ct.nii.gz",
    "sub-01/ses-b/ct/sub-01_ses-b_ct.nii.gz",
    "sub-02/ct/sub-02_ct.nii.gz",
]
LABELS = [
    "sub-01/ses-a/anat/sub-01_ses-a_dseg.nii.gz",
    "sub-01/ses-b/anat/sub-01_ses-b_space-orig_dseg.nii.gz",
    "sub-02/anat/sub-02_desc-manual_dseg.nii.gz",
]


def dataset(root, labels=LABELS, tables=("dseg.tsv",), pipeline="manual"):
    touch(root, *IMAGES, "sub-02/ct/sub-02_ct.json", "sub-02/ct/._sub-02_ct.nii.gz", "sub-02/anat/sub-02_T1w.nii.gz")
    derived = root / "derivatives" / pipeline
    touch(derived, *labels, "dataset_description.json")
    for table in tables:
        (derived / table).write_text(TSV)
    return root


def test_sessions_belong_to_one_patient_and_share_a_table(tmp_path):
    cases = Bids(dataset(tmp_path)).cases("bids")
    assert [(c.id, c.patient) for c in cases] == [
        ("bids/sub-01_ses-a", "bids/sub-01"),
        ("bids/sub-01_ses-b", "bids/sub-01"),
        ("bids/sub-02", "bids/sub-02"),
    ]
    derived = tmp_path / "derivatives" / "manual"
    assert [c.image for c in cases] == [tmp_path / image for image in IMAGES]
    assert [c.label.path for c in cases] == [derived / label for label in LABELS]
    assert cases[0].label.codes == {"liver": [1], "right_kidney": [2]}


def test_two_cts_of_one_name_are_refused(tmp_path):
    root = dataset(tmp_path)
    touch(root, "sub-02/anat/sub-02_ct.nii")
    with pytest.raises(UserError, match=r"two CTs have the name 'sub-02': .*sub-02_ct\.nii.*; remove or rename one"):
        Bids(root).cases("bids")
    refused = []
    assert len(Bids(root).cases("bids", refused)) == 3
    assert [case for case, _ in refused] == ["bids/sub-02"]


def test_the_nearest_table_counts(tmp_path):
    root = dataset(tmp_path, tables=("dseg.tsv", "sub-02/anat/sub-02_desc-manual_dseg.tsv", "sub-02/desc-x_dseg.tsv"))
    (root / "derivatives/manual/sub-02/anat/sub-02_desc-manual_dseg.tsv").write_text("index\tname\n7\tspleen\n")
    assert [c.label.codes for c in Bids(root).cases("bids")][1:] == [
        {"liver": [1], "right_kidney": [2]},
        {"spleen": [7]},
    ]


def test_one_of_several_segmentations_is_chosen_by_seg(tmp_path):
    more = [label.replace("_dseg", "_seg-vessels_dseg") for label in LABELS]
    organs = [label.replace("_dseg", "_seg-organs_dseg") for label in LABELS]
    root = dataset(tmp_path, [*more, *organs])
    assert [c.label.path.name for c in Bids(root, seg="organs").cases("bids")][2] == (
        "sub-02_desc-manual_seg-organs_dseg.nii.gz"
    )
    with pytest.raises(UserError, match=r"ses-a_ct\.nii\.gz has 2 segmentations in .*choose one with seg=<name>"):
        Bids(root).cases("bids")


@pytest.mark.parametrize(
    "label",
    [
        "sub-02/anat/sub-02_space-MNI305_dseg.nii.gz",  # on another grid
        "sub-02/anat/sub-02_run-2_dseg.nii.gz",  # of another image
        "sub-02/anat/sub-02_probseg.nii.gz",
    ],
)
def test_an_image_without_a_segmentation_on_its_grid(tmp_path, label):
    with pytest.raises(UserError, match=r"has no segmentation on its own grid in .*; add sub-02_dseg\.nii\.gz"):
        Bids(dataset(tmp_path, [*LABELS[:2], label])).cases("bids")
    touch(tmp_path / "derivatives/manual/sub-02", "sub-02_dseg.nii.gz")
    assert len(Bids(tmp_path).cases("bids")) == 3


def test_the_name_of_a_missing_segmentation_includes_seg(tmp_path):
    root = dataset(tmp_path, [label.replace("_dseg", "_seg-organs_dseg") for label in LABELS[:2]])
    with pytest.raises(UserError, match=r"; add sub-02_seg-organs_dseg\.nii\.gz there"):
        Bids(root, seg="organs").cases("bids")
    touch(root / "derivatives/manual/sub-02", "sub-02_seg-organs_dseg.nii.gz")
    assert len(Bids(root, seg="organs").cases("bids")) == 3


def test_no_pipeline(tmp_path):
    touch(tmp_path, *IMAGES)
    with pytest.raises(UserError, match=r"there are no segmentations: \S+derivatives contains no folder; put"):
        Bids(tmp_path).cases("bids")
    assert len(Bids(dataset(tmp_path)).cases("bids")) == 3


def test_pipelines(tmp_path):
    root = dataset(dataset(tmp_path), pipeline="network")
    assert Bids(root, pipeline="network").cases("bids")[0].label.path.is_relative_to(root / "derivatives/network")
    with pytest.raises(UserError, match="has 2 pipelines: manual, network; choose one with pipeline="):
        Bids(root).cases("bids")
    with pytest.raises(UserError, match="has no pipeline 'x', but manual, network"):
        Bids(root, pipeline="x").cases("bids")


@pytest.mark.parametrize("text", ["", "index name\n1 liver\n", "index\tname\none\tliver\n", "index\tname\n1.5\tx\n"])
def test_a_table_that_cannot_be_read(tmp_path, text):
    root = dataset(tmp_path)
    (root / "derivatives/manual/dseg.tsv").write_text(text)
    if text:
        with pytest.raises(UserError, match=r"cannot read .*dseg\.tsv: .*; it needs tabs and the columns"):
            Bids(root).cases("bids")
    else:
        assert dict(Bids(root).cases("bids")[0].label.codes) == {}


def test_no_table(tmp_path):
    with pytest.raises(UserError, match=r"no dseg\.tsv states what the codes in .* mean"):
        Bids(dataset(tmp_path, tables=())).cases("bids")


def test_no_images(tmp_path):
    with pytest.raises(UserError, match=r"no sub-\*/…/\*_ct\.nii\.gz in"):
        Bids(tmp_path).cases("bids")


def test_an_unknown_name(tmp_path):
    with pytest.raises(UserError, match=r"names declares 'kidney', which .*dseg\.tsv does not have: it has Liver"):
        Bids(dataset(tmp_path), {"kidney": "right_kidney"}).cases("bids")
