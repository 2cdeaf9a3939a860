"""How tests are distributed over processes."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process runs all tests")
def test_the_tests_of_a_file_are_a_group(request):
    """Otherwise several processes make the same fixtures, which doubles the time of the suite."""
    assert request.node.nodeid.endswith("@test_order.py")
