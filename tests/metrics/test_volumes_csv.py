import csv
import os

from segment.metrics.volumes_csv import COLUMNS, VolumeTable


def entry(organ="liver", volume_ml=3.0, **more):
    """An organ of a report."""
    measured = {"hu_mean": 101.5, "hu_sd": 9.0, "surface_cm2": 12.25, "cut_by": [], "pieces_ml": [3.0], "flags": []}
    return {"organ": organ, "number": 1, "volume_ml": volume_ml, **measured, **more}


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_a_row_has_the_measurements_of_an_organ(tmp_path):
    table = VolumeTable(tmp_path / "volumes.csv")
    assert table.cases() == set()
    flags = ["cut: by the upper and left end of the scan", "pieces: 2, the second of 1 mL"]
    confidence = {"color": "amber", "dice": 0.9, "low": 0.75, "high": 0.95, "reasons": flags}
    table.add("one", [entry(cut_by=["upper", "left"], pieces_ml=[3.0, 1.0], flags=flags, confidence=confidence)])
    table.add('two, "late"', [entry("spleen", 0.0, hu_mean=None, hu_sd=None, surface_cm2=0.0, pieces_ml=[])])
    assert rows(table.path) == [
        [
            *("case", "organ", "volume_ml", "hu_mean", "hu_sd", "surface_cm2", "cut_by", "pieces", "flags"),
            *("confidence", "predicted_dice", "dice_low", "dice_high", "reasons"),
        ],
        [
            *("one", "liver", "3.0", "101.5", "9.0", "12.25", "upper; left", "2", "; ".join(flags)),
            *("amber", "0.9", "0.75", "0.95", "; ".join(flags)),
        ],
        ['two, "late"', "spleen", "0.0", "", "", "0.0", "", "0", "", "", "", "", "", ""],
    ]
    assert table.cases() == {"one", 'two, "late"'}


def test_a_case_that_is_segmented_again_has_only_its_new_rows(tmp_path):
    table = VolumeTable(tmp_path / "volumes.csv")
    for name in ("one", "two", "three"):
        table.add(name, [entry()])
    table.remove({"two", "four"})
    table.add("two", [entry(volume_ml=6.0)])
    assert [row[:3] for row in rows(table.path)[1:]] == [
        ["one", "liver", "3.0"],
        ["three", "liver", "3.0"],
        ["two", "liver", "6.0"],
    ]


def test_a_table_with_other_columns_is_replaced(tmp_path):
    table = VolumeTable(tmp_path / "volumes.csv")
    table.path.write_text("case,organ,volume_ml\none,liver,3.00\n")
    assert table.cases() == set()
    table.remove(set())
    assert rows(table.path) == [list(COLUMNS)]


def test_processes_can_share_a_volume_table(tmp_path):
    table = VolumeTable(tmp_path / "volumes.csv")
    table.add("first", [entry()])
    children = []
    for number in range(3):
        if (child := os.fork()) == 0:
            for index in range(30):
                table.add(f"{number}-{index}", [entry()])
            os._exit(0)
        children.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    assert len(rows(table.path)) == 1 + 1 + 90
    assert len(table.cases()) == 91
