"""The examples of docs/python.md print what the page says."""

import pytest
from paths import REPOSITORY

from docs.examples import renewed


@pytest.mark.slow
def test_the_examples_print_what_the_page_says():
    page = (REPOSITORY / "docs/python.md").read_text()
    assert renewed(page) == page, "run `python docs/examples.py docs/python.md`"
