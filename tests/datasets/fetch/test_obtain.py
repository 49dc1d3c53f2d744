"""Every set of the catalogue, from a local server with synthetic CTs in the layout of the real set."""

from dataclasses import replace

import pytest
from hydra.utils import instantiate
from layouts import BY_HAND, CASES, LAYOUTS, do_by_hand
from omegaconf import OmegaConf
from public_sets import catalogued, on_this_machine
from scripted_server import Script

from segment.commands.command import config_dir
from segment.datasets.fetch.obtain import obtain
from segment.errors import UserError

pytestmark = pytest.mark.usefixtures("no_waiting")
DOWNLOADED = sorted(name for name in LAYOUTS if name not in ("btcv", "word"))


def cases(name, folder):
    """Names of the cases that the set's configuration finds; none if it refuses the folder."""
    cfg = OmegaConf.merge(
        OmegaConf.load(f"{config_dir()}/data/{name}.yaml"), {"sources": {name: {"root": str(folder)}}}
    )
    try:
        return sorted(case.id.split("/")[1] for case in instantiate(cfg.sources[name], _convert_="all").cases(name))
    except UserError:
        return []


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", DOWNLOADED)
def test_every_set_is_downloaded_over_a_bad_connection_with_all_its_cases(server, tmp_path, name):
    entry, scripts = on_this_machine(catalogued(name), server, name, lambda c: Script(c, drops=[len(c) // 2, 0, 1]))
    obtain(entry, tmp_path, accept_licence=True)
    do_by_hand(name, tmp_path)
    assert cases(name, tmp_path) == CASES[name]
    assert not [path for path in files_below(tmp_path) if "._" in path or "__MACOSX" in path]
    asked = sum(len(script.asked) for script in scripts.values())
    obtain(entry, tmp_path, accept_licence=True)
    assert sum(len(script.asked) for script in scripts.values()) == asked, "downloaded again"


@pytest.mark.parametrize("name", ["flare22", "msd_spleen"])
def test_an_unpacked_archive_may_be_deleted(server, tmp_path, name):
    entry, scripts = on_this_machine(catalogued(name), server, name, Script)
    obtain(entry, tmp_path, accept_licence=True)
    for archive in scripts:
        (tmp_path / archive).unlink()
    obtain(entry, tmp_path, accept_licence=True)
    assert all(script.asked == [None] for script in scripts.values())


@pytest.mark.parametrize("name", [n for n in DOWNLOADED if n != "kits23"])
def test_a_truncated_archive_is_reported_and_leaves_no_cases(server, tmp_path, name):
    entry, _ = on_this_machine(catalogued(name), server, name, lambda content: Script(content[: len(content) // 2]))
    with pytest.raises(UserError, match="damaged or truncated"):
        obtain(entry, tmp_path, accept_licence=True)
    assert cases(name, tmp_path) == []


@pytest.mark.parametrize("name", DOWNLOADED)
def test_a_wrong_checksum_leaves_nothing(server, tmp_path, name):
    entry, _ = on_this_machine(catalogued(name), server, name, Script)
    entry = replace(entry, files=[replace(file, sha256="0" * 64, checksum_from="test") for file in entry.files])
    with pytest.raises(UserError, match=f"expected {'0' * 64}"):
        obtain(entry, tmp_path, accept_licence=True)
    assert files_below(tmp_path) == []


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_a_licence_with_terms_needs_consent_before_the_first_request(server, tmp_path, name, caplog):
    caplog.set_level("INFO")
    entry, scripts = on_this_machine(catalogued(name), server, name, Script)
    if name in ("btcv", "word"):
        with pytest.raises(UserError, match=r"without an account.*data\.sources\.<set>\.root"):
            obtain(entry, tmp_path, accept_licence=True)
    elif entry.consent:
        with pytest.raises(UserError, match="accept_licence=true"):
            obtain(entry, tmp_path, accept_licence=False)
    else:
        obtain(entry, tmp_path, accept_licence=False)
    assert all(statement in caplog.text for statement in [*entry.licences, *entry.steps])
    assert not (entry.consent and any(script.asked for script in scripts.values()))


@pytest.mark.parametrize("name", ["btcv", "word"])
def test_the_manual_steps_lead_to_all_cases(tmp_path, name):
    assert set(BY_HAND[name]) == set(LAYOUTS[name]())
    do_by_hand(name, tmp_path)
    assert cases(name, tmp_path) == CASES[name]
