import json
import os
import time
from dataclasses import replace

import pytest
from small_ct import CODES, ORGANS, transform, write_case

from segment.data.store.cache import DAY_S, entries, explain, prune
from segment.data.store.fingerprint import VERSION, identity
from segment.data.store.store import CONTENT, Store
from segment.datasets.sources.folder import Folder


@pytest.fixture
def store(tmp_path):
    for seed, name in enumerate("ab"):
        write_case(tmp_path / "set", name, seed)
    return Store(tmp_path / "store", transform(), ORGANS)


@pytest.fixture
def stored_cases(store, tmp_path):
    """Cases whose volumes are in the store."""
    cases = Folder(tmp_path / "set", CODES).cases("set")
    store.prepare(cases)
    return cases


def age(folder, days):
    then = time.time() - days * DAY_S
    os.utime(folder, (then, then))


def test_entries_are_listed_longest_unused_first(store, stored_cases):
    age(next(entry.volume.folder for entry in entries(store.root) if entry.volume.id == "set/b"), 5)
    first, second = entries(store.root)
    assert (first.volume.id, second.volume.id) == ("set/b", "set/a")
    assert first.unused_days == pytest.approx(5, abs=0.01)
    assert first.size_mb == sum(path.stat().st_size for path in first.volume.folder.iterdir()) / 1e6
    store.prepare(stored_cases)
    assert all(entry.unused_days < 0.01 for entry in entries(store.root))


def test_a_missing_store_is_empty(tmp_path):
    assert entries(tmp_path / "none") == []
    assert prune(tmp_path / "none", 30) == (0, 0)


def test_explanations_why_a_case_is_or_is_not_in_the_store(store, stored_cases, tmp_path):
    stored = entries(store.root)
    case_identity = identity(stored_cases[0], store.transform, ORGANS)
    assert explain(case_identity, stored).startswith("in the store: ")
    other = identity(stored_cases[0], transform((4, 4, 4)), ORGANS)
    assert explain(other, stored) == "not in the store: its CT is, with another preprocess"
    label = replace(stored_cases[0].label, codes={"liver": 2, "spleen": 5, "other": [7, 9]})
    other = identity(replace(stored_cases[0], label=label), store.transform, ORGANS[::-1])
    assert explain(other, stored) == "not in the store: its CT is, with another label, another organs"
    write_case(tmp_path / "new", "a", seed=7)
    (new,) = Folder(tmp_path / "new", CODES).cases("set")
    other = identity(new, store.transform, ORGANS)
    assert explain(other, stored).startswith("not in the store: this CT was never prepared")


def test_pruning_removes_only_long_unused_outdated_and_broken_volumes(store, stored_cases):
    used, unused = entries(store.root)
    age(unused.volume.folder, 31)
    names = {name: store.root / (name + "0" * 32) for name in ("", ".01234567.")}
    old, left = names[""], names[".01234567."]
    broken, writing = store.root / ("1" * 32), store.root / (".89abcdef." + "2" * 32)
    young, others = store.root / ("3" * 32), [store.root / name for name in ("quick", ".git", "sets")]
    for folder in (old, broken, left, writing, young, *others):
        folder.mkdir()
        (folder / "meta.json").write_text("{")
    for folder in (old, young):
        (folder / "meta.json").write_text('{"case": "x"}')
        (folder / "identity.json").write_text(json.dumps(used.identity | {"code": [VERSION - 1, "1"]}))
    for folder in (old, broken, left, *others):
        age(folder, 2)
    count, size_mb = prune(store.root, unused_days=30)
    assert count == 4
    assert size_mb > unused.size_mb
    assert set(store.root.iterdir()) - {store.root / CONTENT} == {used.volume.folder, writing, young, *others}
    assert prune(store.root, unused_days=0) == (0, 0)
