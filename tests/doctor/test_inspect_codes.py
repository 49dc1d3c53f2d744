import pytest
from bodies import ANATOMY, CONF, body, place
from omegaconf import OmegaConf

from segment.doctor.code_table import code_table
from segment.doctor.codes import Table, best_table, check_codes, public_tables

OTHERS = OmegaConf.to_container(OmegaConf.load(CONF / "doctor.yaml").code_tables)
TABLES = {table.name: table for table in public_tables(CONF, OTHERS)}
OWN = {"liver": 1, "right_kidney": 2, "left_kidney": 3, "spleen": 4}


def case_of(codes, size=1.0):
    """A case with every structure that has a known position, under the code that the table gives to it."""
    structures = body(*(name for name in codes if name in ANATOMY.centre_mm), size=size)
    first_code = {name: code if isinstance(code, int) else code[0] for name, code in codes.items()}
    return {first_code[name]: structure for name, structure in structures.items()}


def test_public_data_sets_have_tables():
    named = {"data=flare22", "data=amos22", "data=btcv", "data=word", "data=kits23", "data=abdomenct1k"}
    assert named | {"TotalSegmentator", "CHAOS", "masks of segment predict"} <= TABLES.keys()


def test_tables_are_mappings_from_structures_to_codes():
    """Sources that leave the codes to the user, for example `data=tree` and `data=folder`, have no table."""
    assert not {"data=tree", "data=folder", "data=nnunet", "data=manifest"} & TABLES.keys()
    for table in TABLES.values():
        assert isinstance(table.codes, dict), table.name
        assert isinstance(table.sides, dict), table.name
        for value in table.codes.values():
            codes = value if isinstance(value, list) else [value]
            assert all(type(code) is int for code in codes), table.name


@pytest.mark.parametrize("codes", ["???", "null", "{}", "{spleen: 1, other: [2, 3]}"])
def test_data_sets_that_do_not_declare_every_code_have_no_table(tmp_path, codes):
    (tmp_path / "data").mkdir()
    for name, value in (("own", codes), ("public", "{liver: 1, spleen: 2}")):
        (tmp_path / "data" / f"{name}.yaml").write_text(f"sources:\n  one:\n    label_codes: {value}\n")
    assert public_tables(tmp_path, {}) == [Table("data=public", {"liver": 1, "spleen": 2})]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_recognised_by_positions_alone(name):
    codes = TABLES[name].codes
    case = case_of(codes)
    names, named = best_table([case, case], list(TABLES.values()), ANATOMY)
    assert name in names
    assert named == TABLES[name].named(case)


def test_codes_in_no_table_are_not_guessed():
    (finding,) = check_codes("folder", [{7: place("liver"), 900: place("spleen")}], {}, list(TABLES.values()), ANATOMY)
    assert finding.what == "label_codes does not name the 2 code(s) 7, 900"
    assert finding.remedy == (
        "name each code (7, 900) in data.sources.folder.label_codes, judging by the volume and position listed for "
        "it, and look at the contact sheet"
    )


def test_a_table_that_does_not_fit_is_not_named():
    """The case has codes 1 to 4, but every organ is far away and has a thousandth of its size."""
    strange = {code: place("liver", (0, 0, 400 * code), volume_ml=1) for code in range(1, 5)}
    assert best_table([strange], list(TABLES.values()), ANATOMY) == ([], {})


def test_declared_codes_that_fit_are_accepted():
    for name, table in TABLES.items():
        findings = list(check_codes("folder", [case_of(table.codes)], table.codes, list(TABLES.values()), ANATOMY))
        assert not findings, name


@pytest.mark.parametrize("size", [1, 0.5])
def test_the_exchanged_kidney_and_spleen_of_flare_are_found_in_children_too(size):
    flare = TABLES["data=flare22"].codes
    wrong = flare | {"left_kidney": flare["spleen"], "spleen": flare["left_kidney"]}
    (finding,) = check_codes("folder", [case_of(flare, size)], wrong, list(TABLES.values()), ANATOMY)
    assert finding.what.startswith("3 is where spleen should be, not left_kidney, 13 is where left_kidney should be, n")


def test_unknown_names_and_merged_codes_are_not_an_error():
    flare = TABLES["data=flare22"].codes
    merged = {"kidney": [2, 13], "Leber": 1, "rest": list(range(3, 13))}
    assert not list(check_codes("folder", [case_of(flare)], merged, list(TABLES.values()), ANATOMY))


def test_one_wrong_code_is_an_error_even_if_its_organ_has_no_other_code():
    flare = TABLES["data=flare22"].codes
    wrong = {"liver": 1, "right_kidney": 2, "left_kidney": 3, "other": list(range(4, 14))}
    (finding,) = check_codes("folder", [case_of(flare)] * 5, wrong, list(TABLES.values()), ANATOMY)
    assert finding.severity == "error"
    assert finding.what == "3 is where spleen should be, not left_kidney; the table of data=flare22 agrees"
    assert "'data.sources.folder.label_codes={liver: 1, right_kidney: 2, spleen: 3, pancreas: 4," in finding.remedy


def test_the_remedy_for_both_kidneys_under_one_code_includes_their_sides():
    case = {1: place("liver"), 2: place("kidney", volume_ml=320), 3: place("spleen"), 4: place("pancreas")}
    (finding,) = check_codes("folder", [case], {}, list(TABLES.values()), ANATOMY)
    assert "the table of data=abdomenct1k" in finding.what
    assert "'data.sources.folder.sides={kidney: [right_kidney, left_kidney]}'" in finding.remedy


def test_the_remedy_for_sources_without_label_codes_is_not_an_option():
    case = {1: place("spleen"), 2: place("liver")}
    wrong, table = {"liver": 1, "spleen": 2}, Table("a public set", {"spleen": 1, "liver": 2})
    (finding,) = check_codes("nnunet", [case], wrong, [table], ANATOMY, is_option=False)
    assert finding.remedy == "correct the codes in the data set's own description: spleen: 1, liver: 2"


def test_without_codes_there_is_no_finding():
    assert not list(check_codes("folder", [{}], {}, list(TABLES.values()), ANATOMY))


def test_a_table_names_only_the_codes_that_were_found():
    assert Table("t", {"liver": [1, 2], "spleen": 3}).named({2, 9}) == {"liver": [2]}


def test_the_listing_has_medians_and_one_row_for_many_codes():
    cases = [{1: place("liver", volume_ml=volume), 4: place("spleen")} for volume in (900, 1000, 2000)]
    cases[0] |= {code: place("colon", volume_ml=10) for code in range(20, 40)}
    table = code_table("folder", cases, {"liver": 1, "other": list(range(20, 60))})
    cells = [list(column.cells) for column in table.columns]
    assert cells[0] == ["1", "4", "20 … 39 (20)"]
    assert cells[1] == ["liver", "-", "other"]
    assert cells[2] == ["3", "3", "1"]
    assert cells[3] == ["1000", "274", "200"]
    assert cells[4] == ["58 mm right", "80 mm left", "10 mm left"]
