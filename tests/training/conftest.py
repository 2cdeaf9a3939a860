"""Benchmarks and a corpus for these tests."""

from benchmark_fixtures import bbbp as bbbp
from benchmark_fixtures import benchmark_files as benchmark_files
from benchmark_fixtures import corpus as corpus
from benchmark_fixtures import freesolv as freesolv
