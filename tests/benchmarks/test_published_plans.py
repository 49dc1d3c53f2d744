"""Plans for fingerprints of public sets, the experiment that one of them became, and the page that shows them."""

import json
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from segment.configuration.composition import compose_config, initialized_hydra
from segment.files import write_text
from segment.plan.fingerprint import Fingerprint

sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from plan_table import (
    FINGERPRINTS,
    HOURS,
    MEMORY_GB,
    OURS,
    THEIRS,
    TITLES,
    facts_of,
    halvings,
    recipe_of,
    row,
    their_rows,
)

PAGE = (Path(__file__).parents[2] / "docs/plans.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", TITLES)
def test_every_number_of_a_fingerprint_has_a_source_or_is_marked_as_estimated(name):
    facts = facts_of(name)
    assert facts.name == name
    sources = yaml.safe_load((FINGERPRINTS / "sources.yaml").read_text(encoding="utf-8"))
    described = {field.strip() for key in sources[name] for field in key.split(",")}
    no_figure_of_a_set = {"name", "body_hu", "test_patients", "made"}
    assert described == {field.name for field in fields(Fingerprint)} - no_figure_of_a_set
    for text in sources[name].values():
        assert text.startswith(("estimated: ", "unknown: ")) or any(source in text for source in sources["sources"])


def test_the_full_recipe_is_the_plan_for_flare22_on_24_gb(tmp_path):
    write_text(tmp_path / "experiment" / "planned.yaml", recipe_of("flare22", 24, HOURS).text())
    with initialized_hydra(str(tmp_path)):
        composed = (compose_config("train", [f"experiment={name}", "run_dir=."]) for name in ("abdomen", "planned"))
        ours, planned = (OmegaConf.to_container(cfg) for cfg in composed)
    assert (ours.pop("task"), planned.pop("task")) == ("abdomen", "planned")
    assert ours == planned


@pytest.mark.parametrize("name", TITLES)
def test_the_page_shows_the_plans(name):
    assert OURS in PAGE
    assert row(name, 24, HOURS) in PAGE
    assert [f"| {TITLES[name]} | {memory_gb} GB | " in PAGE for memory_gb in MEMORY_GB] == [True] * len(MEMORY_GB)


def test_the_page_shows_the_plans_of_nnunet():
    assert THEIRS in PAGE
    for name in TITLES:
        assert "\n".join(their_rows(name)) in PAGE
    assert json.loads((FINGERPRINTS / "nnunet.json").read_text())["nnunetv2"] in PAGE


@pytest.mark.parametrize(
    ("strides", "text"),
    [
        ([[2, 2, 2], [2, 2, 1]], "2, 2, 1"),
        ([[2, 2, 1], [2, 2, 2]], "2, 2, 1; slices from the 2nd"),
        ([[2, 2, 1], [2, 2, 1], [2, 2, 2]], "3, 3, 1; slices from the 3rd"),
        ([[2, 2, 1]], "1, 1, 0"),
    ],
)
def test_halvings_name_the_step_that_first_halves_slices(strides, text):
    assert halvings(strides) == text
