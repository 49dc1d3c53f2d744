from segment.anatomy.sides import has_side, mirrored_classes

ORGANS = ["liver", "right_kidney", "left_kidney"]


def test_organs_on_one_side_swap_with_their_partners():
    assert mirrored_classes(ORGANS) == [0, 1, 3, 2]
    assert mirrored_classes(["Liver", "Left Kidney", "Right Kidney"]) == [0, 1, 3, 2]
    assert mirrored_classes(["kidney_left", "spleen", "kidney_right"]) == [0, 3, 2, 1]
    assert mirrored_classes(["liver", "left_kidney"]) == [0, 1, 0]  # its partner is not among the organs
    assert mirrored_classes(["kidney_r", "liver", "kidney_L", "r-lung", "L-LUNG"]) == [0, 3, 2, 1, 5, 4]


def test_a_side_is_a_word_of_the_name():
    assert all(map(has_side, ["right_kidney", "Kidney Left", "kidney_R", "l-lung"]))
    assert not any(map(has_side, ["liver", "spleen", "vertebra_L1", "rectum", "gallbladder"]))
