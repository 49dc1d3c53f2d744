import pytest
from small_ct import write_case, write_tissues

from segment.datasets.sources import phantom as module
from segment.datasets.sources.phantom import Phantom
from segment.errors import UserError
from segment.io.read import read_ct


def test_phantoms_are_written_and_then_read_as_files(tmp_path, monkeypatch):
    def write_dataset(root, *, num_cases, seed, shape, workers, scans, without):
        assert (seed, shape, workers, scans, without) == (7, (8, 9, 10), 2, ["slab"], ["scanner"])
        for number in range(num_cases):
            write_case(root / "made", f"p{number}", shape=shape)
            write_tissues(root / "made", f"p{number}")
        return root / "made"

    monkeypatch.setattr(module, "write_dataset", write_dataset)
    options = {"scans": ["slab"], "without": ["scanner"]}
    cases = Phantom(tmp_path / "new", num_cases=3, seed=7, shape=[8, 9, 10], workers=2, **options).cases("phantom")
    assert [c.id for c in cases] == ["phantom/p0", "phantom/p1", "phantom/p2"]
    assert read_ct(cases[2].image).data.shape == (8, 9, 10)
    assert cases[0].label.codes == module.LABELS
    assert all(case.tissues.is_file() for case in cases)


@pytest.mark.parametrize("shape", [[64, 64], [64, 64, 64.5], [64, 64, "64"]])
def test_synthetic_cts_need_three_whole_numbers(tmp_path, shape):
    with pytest.raises(UserError, match="shape must be a list of 3, each a whole number of at least 1, got"):
        Phantom(tmp_path, num_cases=1, seed=0, shape=shape)
