import re
from dataclasses import replace
from pathlib import Path

import pytest
from layouts import BY_HAND, LAYOUTS
from omegaconf import OmegaConf
from public_sets import catalogued

from segment.commands.command import config_dir
from segment.datasets.fetch.catalogue import FOLDER, PublicFile, PublicSet, notice
from segment.errors import UserError

FILE = PublicFile("https://host/x.zip")
SET = PublicSet(
    title="Set",
    cases=2,
    size_gb=None,
    max_unpacked_gb=1,
    homepage="https://host",
    licences=["CC BY 4.0 (host)"],
    consent=False,
    citation="A paper, doi:10.1/x",
    layout="",
    files=[FILE],
)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_set_of_the_catalogue_is_well_formed(name):
    entry = catalogued(name)
    assert entry.cases >= 20
    assert "doi:" in entry.citation
    assert entry.homepage.startswith("http")
    assert all(file.url.startswith("https://") for listed in entry.files for file in listed.each())
    names = [file.name for listed in entry.files for file in listed.each()]
    assert len(set(names)) == len(names)


def test_the_catalogue_holds_the_ten_sets():
    assert {file.stem for file in FOLDER.iterdir()} == set(LAYOUTS)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_the_catalogue_has_the_archives_of_the_synthetic_layouts(name):
    urls = [file.url for listed in catalogued(name).files for file in listed.each()]
    for archive in LAYOUTS[name]():
        by_hand_only = not catalogued(name).files and archive in BY_HAND[name]
        assert by_hand_only or any(url.endswith(f"/{archive}") for url in urls), archive


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_the_steps_name_the_root_by_an_existing_key(name):
    text = notice(catalogued(name))
    for key in re.findall(r"data\.[\w.]+(?==)|data\.root", text):
        assert key == f"data.sources.{name}.root"
        assert "root" in OmegaConf.load(f"{config_dir()}/data/{name}.yaml").sources[name]
    if name in ("btcv", "word"):
        assert f"data.sources.{name}.root=<folder>" in text


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_comments_fit_on_a_line_and_promise_only_downloads_that_exist(name):
    comments = [c for c in Path(config_dir(), "data", f"{name}.yaml").read_text().splitlines() if c.startswith("#")]
    assert max(map(len, comments)) <= 120
    assert ("downloads it" in " ".join(comments)) == bool(catalogued(name).files)


def test_a_numbered_file_becomes_one_file_for_every_number():
    file = PublicFile("https://host/{number:05d}.gz", name="case_{number}/a.gz", numbers=[(1, 2), (40, 40)])
    assert [(f.url, f.name) for f in file.each()] == [
        ("https://host/00001.gz", "case_1/a.gz"),
        ("https://host/00002.gz", "case_2/a.gz"),
        ("https://host/00040.gz", "case_40/a.gz"),
    ]
    assert list(FILE.each()) == [FILE]


def test_the_notice_prints_every_licence_the_citation_and_the_steps():
    text = notice(replace(SET, licences=["CC BY 4.0 (a)", "CC BY-NC 4.0 (b)"], steps=["Sign in.", "Download."]))
    for part in ("CC BY 4.0 (a)", "CC BY-NC 4.0 (b)", "differ", "doi:10.1/x", "1. Sign in.", "2. Download."):
        assert part in text
    assert "differ" not in notice(SET)


def test_the_notice_states_the_origin_of_the_checksums():
    with_checksum = replace(FILE, md5="0" * 32, checksum_from="Zenodo")
    assert "No checksum is published" in notice(SET)
    assert "No checksum is published" in notice(replace(SET, files=[FILE, with_checksum]))
    text = notice(replace(SET, files=[with_checksum]))
    assert "Checksum by: Zenodo" in text
    assert "No checksum is published" not in text


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"files": []}, "neither files nor steps"),
        ({"licences": []}, "no licence"),
    ],
)
def test_a_mistake_in_a_set_is_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        replace(SET, **changes)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"md5": "0" * 32}, "of unknown origin"),
        ({"sha256": "0" * 63, "checksum_from": "me"}, "64 hexadecimal digits"),
        ({"md5": "X" * 32, "checksum_from": "me"}, "32 hexadecimal digits"),
        ({"name": "../x.zip"}, "below the data set's folder"),
        ({"unpacks_to": "/x"}, "below the data set's folder"),
    ],
)
def test_a_mistake_in_a_file_is_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        replace(FILE, **changes)
