from pathlib import Path

import pytest
from omegaconf import OmegaConf

from segment.configuration.values import config_dir
from segment.errors import UserError
from segment.phantom.from_labels.drawing import ORGANS
from segment.phantom.from_labels.structures import STRUCTURES, UNLABELLED, tissue_of
from segment.phantom.tissues import TISSUES

DATA = Path(config_dir()) / "data"


def structures_of(path):
    """Structures that a configured data set names."""
    document = OmegaConf.to_container(OmegaConf.load(path))
    for node in document["sources"].values():
        names = list((node.get("label_codes") or {}).keys()) + [v for v in (node.get("names") or {}).values() if v]
        for structure in names:
            yield from (node.get("sides") or {}).get(structure, [structure])


def test_every_entry_is_a_tissue_or_an_organ():
    assert {*STRUCTURES.values()} <= {*TISSUES, *ORGANS, UNLABELLED}


@pytest.mark.parametrize("path", sorted(DATA.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_structure_of_the_configured_data_sets_is_known(path):
    names = list(structures_of(path))
    assert set(tissue_of(names, {}, "x")) == set(names)


def test_the_codes_of_the_real_ct_are_117_structures_of_totalsegmentator_and_a_rest():
    found = tissue_of(list(structures_of(DATA / "lidc.yaml")), {}, "x")
    assert len(found) == 118
    assert [name for name, kind in found.items() if kind == UNLABELLED] == ["other"]
    assert (found["rib_left_7"], found["vertebrae_T12"], found["lung_middle_lobe_right"]) == (
        "bone",
        "vertebra",
        "lung",
    )
    assert (found["left_kidney_cyst"], found["left_kidney"]) == ("cyst", "kidney")


@pytest.mark.parametrize("structure", ["lung_tumour", "lung_nodules", "thyroid_nodule", "hip_lesion_left"])
def test_a_tumour_is_not_the_tissue_around_it(structure):
    assert tissue_of([structure], {}, "x") == {structure: "hypodense_lesion"}


@pytest.mark.parametrize(
    ("structure", "tissue"),
    [("cystic_lesion", "cyst"), ("lung_cyst", "lung"), ("left_lung_cyst", "lung")],
)
def test_a_cyst_holds_fluid_except_in_the_lung(structure, tissue):
    assert tissue_of([structure], {}, "x") == {structure: tissue}


def test_parts_come_after_what_contains_them():
    order = list(
        tissue_of(["liver_tumour", "portal_vein", "liver", "kidney_cyst_left", "left_kidney", "heart"], {}, "x")
    )
    assert order.index("liver") < order.index("portal_vein") < order.index("liver_tumour")
    assert order.index("left_kidney") < order.index("kidney_cyst_left")


def test_an_unknown_structure_is_named_with_the_option_that_explains_it():
    with pytest.raises(UserError, match=r"unknown what the structure 'psoas' is made of; .*tissues=\{psoas: muscle\}"):
        tissue_of(["liver", "psoas"], {}, "data.sources.labelmaps.tissues")


@pytest.mark.parametrize("own", ["muscle", "colon", "unlabelled", "iliopsoas_left"])
def test_the_user_can_say_what_a_structure_is_made_of(own):
    expected = "muscle" if own == "iliopsoas_left" else own
    assert tissue_of(["psoas"], {"psoas": own}, "x") == {"psoas": expected}


def test_a_tissue_that_does_not_exist_is_refused():
    with pytest.raises(UserError, match=r"x states that psoas is made of 'meat', which is unknown; name a tissue"):
        tissue_of(["psoas"], {"psoas": "meat"}, "x")
