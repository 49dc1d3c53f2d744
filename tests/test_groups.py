"""Tests that share expensive fixtures run in one worker of pytest-xdist."""

import pytest


@pytest.mark.xdist_group("groups")
def test_xdist_knows_the_group_of_a_test(request):
    if not getattr(request.config.option, "loadgroup", False):  # set by pytest-xdist in its workers
        pytest.skip("only in a worker, with --dist loadgroup")
    assert request.node.nodeid.endswith("@groups"), "pytest and pytest-xdist do not group tests"
