"""constraints.txt, pyproject.toml and environment.yml name the same packages and versions that agree."""

import tomllib
from itertools import chain

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from paths import REPOSITORY


def pins():
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def ranges():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    requirements = map(Requirement, chain(project["dependencies"], *project["optional-dependencies"].values()))
    return [requirement for requirement in requirements if requirement.name != project["name"]]


def test_a_pin_is_one_exact_version_without_a_local_build():
    for name, pin in pins().items():
        assert str(pin.specifier).startswith("==") and "+" not in str(pin.specifier), name


def test_every_direct_dependency_is_pinned_within_its_range():
    for requirement in ranges():
        pin = pins()[canonicalize_name(requirement.name)]
        version = str(pin.specifier).removeprefix("==")
        assert requirement.specifier.contains(version), f"{requirement} does not allow {version}"


def test_torch_is_the_release_that_was_measured():
    assert str(pins()["torch"].specifier) == "==2.13.0"


def test_conda_takes_the_same_list():
    environment = yaml.safe_load((REPOSITORY / "environment.yml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    assert "--constraint constraints.txt" in pip
    assert "--editable .[dev]" in pip


def test_make_takes_the_same_list():
    assert "--constraint constraints.txt --editable '.[dev]'" in (REPOSITORY / "Makefile").read_text()
