import json
import logging
from dataclasses import asdict

import pytest
from bodies import ANATOMY, body, place

from segment.data.store.volume import StoredVolume
from segment.doctor.stored import check_labels
from segment.errors import UserError

OWN = ("liver", "right_kidney", "left_kidney", "spleen")
SWAPPED = body(*OWN) | {"left_kidney": place("spleen", volume_ml=160), "spleen": place("left_kidney", volume_ml=160)}


def stored(tmp_path, *bodies):
    """Stored volumes with nothing but the measurements of their structures."""
    volumes = []
    for number, structures in enumerate(bodies):
        folder = tmp_path / str(number)
        folder.mkdir()
        measurements = {name: asdict(structure) for name, structure in structures.items()}
        (folder / "meta.json").write_text(json.dumps({"places": measurements}))
        volumes.append(StoredVolume(f"set/{number}", folder))
    return volumes


def test_plausible_labels_are_not_logged(tmp_path, caplog):
    check_labels(stored(tmp_path, body(*OWN), body("liver"), {}), ANATOMY, "refuse")
    assert not caplog.records


def test_organs_without_a_check_of_their_side_are_a_warning(tmp_path, caplog):
    check_labels(stored(tmp_path, body("liver") | {"RK": place("right_kidney")}), ANATOMY, "refuse")
    assert caplog.messages[0].startswith("no check finds RK on the wrong side")


def test_misplaced_organs_in_most_cases_are_refused_in_one_sentence(tmp_path):
    with pytest.raises(UserError) as refused:
        check_labels(stored(tmp_path, *[SWAPPED] * 20), ANATOMY, "refuse")
    message = str(refused.value)
    assert message.startswith("labels do not fit the anatomy: set/0, set/1, set/2 and 17 more: left_kidney is where s")
    assert message.count("is where spleen should be") == 1
    assert "data.exclude=[…]" in message
    assert "label_check=warn" in message


def test_one_implausible_case_is_a_warning(tmp_path, caplog):
    check_labels(stored(tmp_path, SWAPPED, *[body(*OWN)] * 3), ANATOMY, "refuse")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.message.startswith("set/0: left_kidney is where spleen should be")


def test_the_modes_warn_and_ignore_do_not_refuse(tmp_path, caplog):
    volumes = stored(tmp_path, *[SWAPPED] * 4)
    check_labels(volumes, ANATOMY, "ignore")
    assert not caplog.records
    check_labels(volumes, ANATOMY, "warn")
    assert len(caplog.records) == 1


def test_small_organs_of_some_cases_are_one_sentence(tmp_path, caplog):
    small = [body(*OWN) | {"spleen": place("spleen", volume_ml=20 + n)} for n in range(4)]
    check_labels(stored(tmp_path, *small, *[body(*OWN)] * 8), ANATOMY, "refuse")
    (record,) = caplog.records
    assert record.message.startswith("set/0, set/1, set/2 and 1 more: spleen has 20 mL, not 30 to 2500 mL")
