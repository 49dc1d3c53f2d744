"""Rankings of CTs that are made by hand, and what is kept about them."""

import csv
import json

import pytest
from candidates import candidate, organ

from segment.curve.candidate import Candidate, dice_of_missing
from segment.curve.kept import kept
from segment.curve.ranking import Ranking, write_ranking

MISSING = organ(None, is_missing=True, color="red", reasons=["place: the scan covers its usual place"])
OUTSIDE = organ(None, color=None)


def test_missing_organs_count_by_how_many_are_missing():
    found = [candidate(0, liver=0.9, spleen=0.8) for _ in range(23)]
    assert dice_of_missing(found) == 1
    # Of 48 organs in view, two are missing: 3 % of 48 are 1.44, so 1.44 of the two are truly absent.
    two = [*found, candidate(0, liver=MISSING, spleen=MISSING)]
    assert dice_of_missing(two) == pytest.approx(0.72)
    assert dice_of_missing([candidate(0, liver=MISSING, spleen=OUTSIDE)]) == pytest.approx(0.03)


def test_the_dice_of_a_ct_is_the_mean_of_organs_in_view():
    assert candidate(0, liver=0.9, spleen=OUTSIDE).dice(0.5) == 0.9
    assert candidate(0, liver=0.9, spleen=MISSING).dice(0.5) == pytest.approx(0.7)
    assert candidate(0, liver=OUTSIDE, spleen=OUTSIDE).dice(0.5) == 0.5


def test_a_candidate_is_restored_from_plain_values():
    one = candidate(1, liver=0.9, spleen=MISSING)
    assert Candidate.from_plain(json.loads(json.dumps(one.to_plain()))) == one


def test_the_table_says_what_each_ct_adds_and_what_it_resembles(tmp_path):
    cts = {
        "a.nii.gz": candidate(0, liver=0.9, spleen=0.8),
        "b.nii.gz": candidate(0, liver=0.6, spleen=0.5),
        "c.nii.gz": candidate(2, liver=0.8, spleen=0.8),
    }
    ranking = Ranking.of(cts, {"set/x": {"noise": 9.0}}, ["liver", "spleen"])
    write_ranking(tmp_path, ranking, ["a note"])
    with (tmp_path / "rank.csv").open() as file:
        rows = list(csv.DictReader(file))
    # Need is 0.15, 0.45 and 0.2. a and b are equal, and c is two units away: exp(-4) = 0.0183.
    assert [row["file"] for row in rows] == ["a.nii.gz", "c.nii.gz", "b.nii.gz"]
    assert [float(row["adds"]) for row in rows] == pytest.approx([0.6037 / 0.8, 0.1963 / 0.8, 0], abs=1e-3)
    assert [row["together"] for row in rows] == [rows[0]["adds"], "1.0", "1.0"]
    assert [row["nearest"] for row in rows] == ["", "a.nii.gz", "a.nii.gz"]
    assert [row["similarity"] for row in rows] == ["0.0", "0.0183", "1.0"]
    assert [row["differs"] for row in rows] == ["noise", "noise", ""]
    assert {row["nearest_labelled"] for row in rows} == {"set/x"}
    assert [row["dice_spleen"] for row in rows] == ["0.8", "0.8", "0.5"]
    content = json.loads((tmp_path / "rank.json").read_text())
    assert content["notes"] == ["a note"]
    assert content["sentences"] == [
        "3 CTs ranked: annotate a.nii.gz first, predicted Dice 0.85, spleen 0.80",
        "the first 1 adds half of what all 3 would add",
    ]
    assert [(tmp_path / "pictures" / one["picture"]).read_bytes()[8:12] for one in content["cts"]] == [b"WEBP"] * 3


@pytest.mark.parametrize(
    ("one", "sentence"),
    [
        (
            candidate(0, liver=0.9, left_kidney=MISSING),
            "annotate ct first, predicted Dice 0.48, no left kidney was found",
        ),
        (candidate(0, liver=OUTSIDE), "annotate ct first, in which no organ was found: look whether it shows any"),
        (candidate(0, liver=1.0), "none adds anything, because each has a predicted Dice of 1 or equals a labelled CT"),
    ],
)
def test_the_result_is_a_sentence(one, sentence):
    assert Ranking.of({"ct": one}, {}, list(one.organs)).sentences() == [f"1 CT ranked: {sentence}"]


def test_what_was_computed_is_kept_until_it_cannot_be_read(tmp_path):
    calls = []

    def compute():
        calls.append(1)
        return {"value": len(calls)}

    assert [kept(tmp_path, ["a", 1], compute)["value"] for _ in range(2)] == [1, 1]
    assert kept(tmp_path, ["a", 2], compute) == {"value": 2}
    for path in tmp_path.iterdir():
        path.write_text("[1]")
    assert kept(tmp_path, ["a", 1], compute) == {"value": 3}
    for path in tmp_path.iterdir():
        path.write_text('{"valu')
    assert kept(tmp_path, ["a", 1], compute) == {"value": 4}


def test_a_result_that_cannot_be_written_is_returned(tmp_path):
    (tmp_path / "file").touch()
    assert kept(tmp_path / "file", "key", lambda: {"value": 1}) == {"value": 1}
