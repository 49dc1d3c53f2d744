import hashlib
import logging
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_server import Script

from segment.datasets.fetch import disk_space, remote
from segment.datasets.fetch import download as module
from segment.datasets.fetch.download import download
from segment.datasets.fetch.partial_file import Origin, PartialFile
from segment.datasets.fetch.remote import open_remote
from segment.errors import UserError

CONTENT = random.Random(0).randbytes(1_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()

pytestmark = pytest.mark.usefixtures("no_waiting")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "set" / "archive.zip"


def names(target):
    return sorted(path.name for path in target.parent.iterdir())


@pytest.mark.parametrize("published", [{"sha256": SHA256}, {"md5": MD5}, {"sha256": SHA256.upper(), "size": 1_000_000}])
def test_a_file_is_downloaded_completely_and_nothing_else_is_left(server, target, published):
    assert download(server.serve("a.zip", Script(CONTENT)), target, **published) == target
    assert target.read_bytes() == CONTENT
    assert names(target) == ["archive.zip"]


def test_a_dropped_connection_is_resumed_where_it_broke(server, target):
    script = Script(CONTENT, drops=[300_000, 100_000, 0, 50_000])
    download(server.serve("b.zip", script), target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert script.asked == [None, "bytes=300000-", "bytes=400000-", "bytes=400000-", "bytes=450000-"]


@given(drops=st.lists(st.integers(0, 400_000), max_size=5), ranges=st.booleans(), etag=st.sampled_from(['"1"', None]))
@settings(max_examples=25)
def test_the_bytes_are_right_for_every_behaviour_of_the_server(server, drops, ranges, etag):
    url = server.serve("c.zip", Script(CONTENT, drops=drops, ranges=ranges, etag=etag))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PAUSE_S", 0)
        assert download(url, Path(folder) / "x.zip").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_the_whole_file_again(server, target):
    script = Script(CONTENT, drops=[300_000], ranges=False)
    download(server.serve("d.zip", script), target, sha256=SHA256)
    assert target.read_bytes() == CONTENT
    assert script.asked == [None, "bytes=300000-"]


@pytest.mark.parametrize("checks_if_range", [True, False])
@pytest.mark.parametrize("length", [1_000_000, 900_000])
def test_bytes_of_two_versions_are_never_mixed(server, target, checks_if_range, length):
    new = random.Random(1).randbytes(length)
    url = server.serve("e.zip", Script(CONTENT, drops=[300_000] + [0] * 9))
    with pytest.raises(UserError, match="continues at byte 300000"):
        download(url, target)
    script = Script(new, etag='"2"', checks_if_range=checks_if_range)
    server.serve("e.zip", script)
    download(url, target)
    assert target.read_bytes() == new
    # A server that knows If-Range sends the new version at once.
    assert script.asked == ["bytes=300000-"] + [None] * (not checks_if_range)


def test_a_part_of_another_source_is_not_resumed(server, target):
    with pytest.raises(UserError, match="continues at byte 300000"):
        download(server.serve("e1.zip", Script(CONTENT, drops=[300_000] + [0] * 9)), target)
    new = CONTENT[::-1]
    download(server.serve("e2.zip", Script(new)), target)  # of the same size and ETag
    assert target.read_bytes() == new


def test_a_complete_part_of_another_source_is_discarded(server, target):
    part = PartialFile(target)
    target.parent.mkdir()
    part.restart(Origin(server.url("e3.zip"), len(CONTENT), '"1"'))
    part.path.write_bytes(CONTENT[::-1])
    assert download(server.serve("e4.zip", Script(CONTENT)), target).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_discarded(target, tmp_path):
    source = tmp_path / "source.zip"
    source.write_bytes(CONTENT)
    part = PartialFile(target)
    target.parent.mkdir()
    with open_remote(source.as_uri(), 0, None) as remote_file:
        part.restart(Origin(source.as_uri(), len(CONTENT), remote_file.validator))
    part.path.write_bytes(CONTENT + b"x")
    assert download(source.as_uri(), target).read_bytes() == CONTENT


def test_a_complete_part_of_a_killed_process_is_not_downloaded_again(server, target):
    script = Script(CONTENT)
    part = PartialFile(target)
    target.parent.mkdir()
    part.restart(Origin(server.serve("e5.zip", script), len(CONTENT), '"1"'))
    part.path.write_bytes(CONTENT)
    assert download(server.url("e5.zip"), target).read_bytes() == CONTENT
    assert script.asked == []


def test_without_a_validator_only_a_published_checksum_allows_resuming(server, target, tmp_path):
    script = Script(CONTENT, drops=[300_000], etag=None)
    download(server.serve("f.zip", script), target)
    assert script.asked == [None, None]
    script = Script(CONTENT, drops=[300_000], etag=None)
    download(server.serve("g.zip", script), tmp_path / "other.zip", md5=MD5)
    assert script.asked == [None, "bytes=300000-"]
    assert target.read_bytes() == (tmp_path / "other.zip").read_bytes() == CONTENT


@pytest.mark.parametrize("etag", ['W/"1"', None])
def test_the_time_of_modification_replaces_a_missing_strong_etag(server, target, etag):
    date = "Wed, 01 Jan 2025 00:00:00 GMT"
    script = Script(CONTENT, drops=[300_000], etag=date, headers={"ETag": etag, "Last-Modified": date})
    download(server.serve("h.zip", script), target)
    assert script.asked == [None, "bytes=300000-"]
    assert script.asked_if == [None, date]


def test_an_error_about_a_wrong_checksum_names_both_and_nothing_is_kept(server, target):
    with pytest.raises(UserError, match=f"has SHA256 {SHA256}, expected {'0' * 64}; it was deleted"):
        download(server.serve("i.zip", Script(CONTENT)), target, sha256="0" * 64)
    assert names(target) == []


def test_without_a_published_checksum_later_downloads_must_match_the_first(server, target, caplog):
    caplog.set_level(logging.INFO)
    url = server.serve("j.zip", Script(CONTENT))
    download(url, target)
    assert (target.parent / "archive.zip.sha256").read_text() == f"{SHA256}  archive.zip\n"
    assert "for comparison with later ones" in caplog.text
    download(url, target)
    target.unlink()
    download(url, target)
    target.unlink()
    server.serve("j.zip", Script(CONTENT[:-1] + b"x", etag='"2"'))
    with pytest.raises(UserError, match=f"the first download had {SHA256}"):
        download(url, target)
    assert names(target) == ["archive.zip.sha256"]


@pytest.mark.parametrize("published", [{"sha256": SHA256}, {"size": 7}, {}])
def test_an_existing_file_is_checked_and_never_replaced(server, target, published):
    target.parent.mkdir()
    (target.parent / "archive.zip.sha256").write_text(f"{SHA256}  archive.zip\n")
    target.write_bytes(b"other")
    with pytest.raises(UserError, match="delete it to download it again"):
        download(server.serve("k.zip", Script(CONTENT)), target, **published)
    assert target.read_bytes() == b"other"


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (404, r"no longer exists \(HTTP 404\); find the new address .* on the data set's home page"),
        (410, "no longer exists"),
        (403, "without signing in"),
        (401, "without signing in"),
        (418, r"cannot be downloaded \(HTTP 418\); download it"),
    ],
)
def test_a_refused_request_is_not_repeated(server, target, status, sentence):
    script = Script(CONTENT, statuses=[status])
    with pytest.raises(UserError, match=sentence):
        download(server.serve("l.zip", script), target)
    assert len(script.asked) == 1


def test_an_overloaded_server_is_given_time(server, target, monkeypatch, caplog):
    waited = []
    monkeypatch.setattr(module.time, "sleep", waited.append)
    monkeypatch.setattr(module, "PAUSE_S", 1.0)
    script = Script(CONTENT, statuses=[503, 429, 500], headers={"Retry-After": "3"})
    download(server.serve("m.zip", script), target)
    assert "the server answers 503; trying again in 3 s" in caplog.text
    assert waited == [3.0, 3.0, 4.0]  # doubling from 1 s, unless the server asks for more
    assert target.read_bytes() == CONTENT


def test_attempts_without_new_bytes_are_limited(server, target):
    script = Script(CONTENT, drops=[0] * 100)
    with pytest.raises(UserError, match="cannot be downloaded: the connection ended after 0 of 1000000 bytes"):
        download(server.serve("n.zip", script), target)
    assert len(script.asked) == module.ATTEMPTS


def test_an_unreachable_server_is_named(target):
    with pytest.raises(UserError, match=r"127\.0\.0\.1 cannot be reached"):
        download("http://127.0.0.1:9/x.zip", target)


def test_a_silent_server_counts_as_a_dropped_connection(server, target, monkeypatch):
    monkeypatch.setattr(remote, "TIMEOUT_S", 0.2)
    script = Script(CONTENT[:40_000], pause_s=0.6)
    url = server.serve("o.zip", script)
    with pytest.raises(UserError, match="timed out"):
        download(url, target)
    script.pause_s = 0.05
    assert download(url, target).read_bytes() == CONTENT[:40_000]


def test_a_web_page_is_refused(server, target):
    with pytest.raises(UserError, match="leads to a web page"):
        download(server.serve("p.zip", Script(b"<html>", headers={"Content-Type": "text/html"})), target)
    assert names(target) == []


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (
            Script(CONTENT, headers={"Content-Encoding": "gzip"}),
            "is sent in a compressed form that was not requested; download",
        ),
        (
            Script(CONTENT, statuses=[206]),
            "the server sends a part of the file and does not state which part; download the file",
        ),
    ],
)
def test_the_error_about_an_unusable_response_suggests_a_manual_download(server, target, script, sentence):
    with pytest.raises(UserError, match=sentence):
        download(server.serve("v.zip", script), target)


def test_a_wrong_size_is_refused_before_the_download(server, target):
    with pytest.raises(UserError, match="has 1000000 bytes, expected 7: the file was replaced; look"):
        download(server.serve("q.zip", Script(CONTENT)), target, size=7)
    assert names(target) == []


@pytest.mark.parametrize("url", ["ftp://host/x.zip", "x.zip", "data:,x"])
def test_other_schemes_are_refused(target, url):
    with pytest.raises(UserError, match="only http, https and file"):
        download(url, target)


def test_redirects_do_not_lead_to_local_files(server, target, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("x")
    script = Script(b"", statuses=[302], headers={"Location": secret.as_uri()})
    with pytest.raises(UserError, match="HTTP 302"):
        download(server.serve("r.zip", script), target)


def test_redirects_are_followed(server, target):
    url = server.serve("s.zip", Script(CONTENT))
    script = Script(b"", statuses=[302], headers={"Location": url})
    assert download(server.serve("t.zip", script), target).read_bytes() == CONTENT


def test_a_local_file_is_copied(target, tmp_path):
    source = tmp_path / "a file.zip"
    source.write_bytes(CONTENT)
    assert download(source.as_uri(), target, sha256=SHA256).read_bytes() == CONTENT
    with pytest.raises(UserError, match="no file"):
        download((tmp_path / "none.zip").as_uri(), tmp_path / "y.zip")


def test_a_file_that_does_not_fit_is_refused_before_the_download(server, target, monkeypatch):
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 999_999}))
    with pytest.raises(UserError, match="make room"):
        download(server.serve("u.zip", Script(CONTENT)), target)
    assert not target.exists()


def test_there_is_no_progress_bar_without_a_terminal(server, target, capfd):
    download(server.serve("v.zip", Script(CONTENT)), target, sha256=SHA256)
    assert capfd.readouterr() == ("", "")
