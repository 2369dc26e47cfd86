import doctest
from pathlib import Path


def test_the_examples_of_the_metrics_page_run():
    page = Path(__file__).parents[2] / "docs" / "metrics.md"
    found = doctest.testfile(str(page), module_relative=False)
    assert found.attempted > 10
    assert found.failed == 0
