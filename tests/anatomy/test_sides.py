import pytest
from bodies import ANATOMY, CONF
from omegaconf import OmegaConf

from segment.anatomy.sides import find_pairs, has_side, mirrored_classes, sides_not_checked, unknown_sides

ORGANS = ["liver", "right_kidney", "left_kidney"]


def test_organs_on_one_side_swap_with_their_partners():
    assert mirrored_classes(ORGANS) == [0, 1, 3, 2]
    assert mirrored_classes(["Liver", "Left Kidney", "Right Kidney"]) == [0, 1, 3, 2]
    assert mirrored_classes(["kidney_left", "spleen", "kidney_right"]) == [0, 3, 2, 1]
    assert mirrored_classes(["liver", "left_kidney"]) == [0, 1, 0]  # its partner is not among the organs
    assert mirrored_classes(["kidney_r", "liver", "kidney_L", "r-lung", "L-LUNG"]) == [0, 3, 2, 1, 5, 4]
    assert mirrored_classes(["ren_a", "ren_b", "liver"], {"ren_a": "ren_b", "ren_b": "ren_a"}) == [0, 2, 1, 3]


@pytest.mark.parametrize(
    ("right", "left"),
    [
        ("Rt kidney", "Lt kidney"),
        ("kidney_rt", "kidney_lt"),
        ("KidneyR", "KidneyL"),
        ("ren dexter", "ren sinister"),
        ("rechte Niere", "linke Niere"),
        ("Niere re", "Niere li"),
        ("rein droit", "rein gauche"),
        ("rein D", "rein G"),
        ("riñón derecho", "riñón izquierdo"),
        ("右肾", "左肾"),
        ("RK", "LK"),
        ("rkidney", "lkidney"),
        ("left_lobe_of_right_lung", "right_lobe_of_left_lung"),
    ],
)
def test_sides_in_other_words_are_pairs(right, left):
    assert find_pairs([right, "liver", left]) == {right: left, left: right}
    assert unknown_sides([right, "liver", left]) == []


def test_what_is_no_pair():
    assert find_pairs(["L1", "R1", "vertebra_L2", "river", "spleen", "d", "li"]) == {}
    assert find_pairs(["rein droit", "rein droite", "rein gauche"]) == {}  # two right ones
    assert find_pairs(["RK", "RK_tumour", "LK_cyst"]) == {}


def test_a_side_is_a_word_of_the_name():
    assert all(map(has_side, ["right_kidney", "Kidney Left", "kidney_R", "l-lung", "Niere links", "leftkidney"]))
    assert not any(map(has_side, ["liver", "spleen", "vertebra_L1", "rectum", "gallbladder", "RK", "rein D"]))


def test_names_that_do_not_say_whether_they_have_a_side():
    known = ["liver", "Spleen", "kidney", "vertebrae_L1", "T12", "Leber", "liver_tumour", "left_kidney", "portal-vein"]
    assert unknown_sides([*known, "RK", "kidney_1", "kidney_l1", "nerka"]) == ["RK", "kidney_1", "kidney_l1", "nerka"]
    assert unknown_sides([*known, "RK", "LK"]) == []


def test_the_names_of_public_data_sets_are_known():
    tables = {path.stem: OmegaConf.load(path) for path in (CONF / "data").glob("*.yaml")}
    names = set()
    for table in tables.values():
        for source in table.get("sources", {}).values():
            names |= {name for key in ("label_codes", "names") for name in (source.get(key) or {})}
    assert len(names) > 50
    assert unknown_sides(sorted(names)) == []


def test_organs_without_a_check_of_their_side_are_named():
    assert sides_not_checked(ORGANS, ANATOMY) == ""
    assert sides_not_checked(["liver", "pancreas", "RK", "LK"], ANATOMY).startswith(
        "no check finds RK, LK on the wrong side, because neither anatomy.right nor anatomy.left names them"
    )
    many = sides_not_checked([f"rib_left_{number}" for number in range(12)], ANATOMY)
    assert "rib_left_4 and 7 more on the wrong side" in many
