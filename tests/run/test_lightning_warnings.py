import warnings

import pytest
from lightning_fabric.utilities.warnings import PossibleUserWarning

from segment.run.lightning_warnings import without_known_warnings

KNOWN = [
    ("`isinstance(treespec, LeafSpec)` is deprecated, use `is_leaf()` instead.", FutureWarning),
    ("The `srun` command is available on your system but is not used. HINT: …", PossibleUserWarning),
    ("It is recommended to use `self.log('val/dice/mean', ..., sync_dist=True)` when …", PossibleUserWarning),
    ("It is recommended to use `self.log('test/dice/mean', ..., sync_dist=True)` when …", PossibleUserWarning),
]
OTHER = [
    ("It is recommended to use `self.log('train/loss', ..., sync_dist=True)` when …", PossibleUserWarning),
    ("The `srun` command is available", UserWarning),
    ("something else", UserWarning),
]


@pytest.mark.parametrize(("message", "category"), KNOWN)
def test_a_known_warning_is_hidden_in_the_block_only(message, category):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with without_known_warnings():
            warnings.warn(message, category, stacklevel=1)
        with pytest.raises(category):
            warnings.warn(message, category, stacklevel=1)


@pytest.mark.parametrize(("message", "category"), OTHER)
def test_other_warnings_are_shown(message, category):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with without_known_warnings(), pytest.raises(category):
            warnings.warn(message, category, stacklevel=1)
