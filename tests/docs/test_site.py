"""The documentation site: built without warnings, complete, and without a request to a server."""

import os
import re
import subprocess
import sys
from pathlib import Path

import browser as chromium
import pytest
from conf_file import read_conf_file

from segment.configuration.values import config_dir

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("site")]

ROOT, CONF = Path(__file__).parents[2], Path(config_dir())
PAGES = ("index", "tutorial", "results", "gallery", "api", "configuration/commands", "starter")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": paths}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_every_option_of_every_file_is_in_the_reference(site):
    written = "".join(path.read_text(encoding="utf-8") for path in site.glob("configuration/*.html"))
    anchors = set(re.findall(r'<a id="([^"]+)"></a>', written))
    for path in CONF.rglob("*.yaml"):
        name = path.relative_to(CONF).with_suffix("").as_posix()
        if name.startswith(("experiment/", "sweep/", "preprocess/", "hydra/job_logging")):
            assert f"{name.rpartition('/')[0]}={path.stem}" in written, name
        else:
            assert {option.key for option in read_conf_file(CONF, name).options} <= anchors, name


def test_every_public_name_and_every_class_of_the_configuration_is_documented(site):
    api = (site / "api.html").read_text(encoding="utf-8")
    for name in ("load", "Predictor.__call__", "Prediction.save", "Confidence", "UserError"):
        assert f'id="segment.{name}"' in api
    assert 'id="segment.Prediction._scan"' not in api
    classes = (site / "classes.html").read_text(encoding="utf-8")
    assert 'id="segment.model.vnet.VNet"' in classes
    assert "segment.model.vnet.VNet" in (site / "configuration" / "model-net.html").read_text(encoding="utf-8")


def test_quoted_tables_are_in_the_results(site):
    results = (site / "results.html").read_text(encoding="utf-8")
    assert "<!-- table" not in results
    assert results.count("<table>") == (ROOT / "docs" / "results.md").read_text(encoding="utf-8").count("<!-- table")


def test_pages_open_from_the_disk_without_a_server(site):
    requests, complaints = [], []
    with chromium.started() as browser:
        page = browser.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        for name in PAGES:
            page.goto((site / f"{name}.html").as_uri())
            broken = "[...document.images].filter((image) => !image.complete || !image.naturalWidth).map((i) => i.src)"
            assert page.evaluate(broken) == [], name
        page.get_by_placeholder("Search").click()
        page.keyboard.type("patience")
        page.wait_for_selector(".md-search-result__item", timeout=60_000)
    assert complaints == []
    local = (site.as_uri(), "data:", "blob:", "about:")
    assert [url for url in requests if not url.startswith(local)] == []


def test_pictures_are_small():
    sizes = {path.name: path.stat().st_size for path in (ROOT / "docs" / "images").iterdir()}
    assert [name for name, size in sizes.items() if size > 300_000] == []
    assert sum(sizes.values()) < 5_000_000
