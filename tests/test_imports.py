"""What the library and the command line import: no workflow engine, and no RDKit where models are trained."""

import ast
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from paths import REPOSITORY

from molclr.digest import PACKAGE

WORKFLOW = ["snakemake", "dvc", "snakemake_executor_plugin_slurm", "umap", "numba"]
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
    for path in PACKAGE.rglob("*.py")
)
TRAINING = ["pretrain", "finetune", "graphs", "contrast", "checkpoint", "state", "channels", "step", "inference"]
PROGRAM = """
import importlib, sys

blocked = sys.argv[1].split(",")
sys.modules |= dict.fromkeys(blocked)  # None: an import of it fails
for name in sys.argv[2].split(","):
    importlib.import_module(name)
from molclr.cli import COMMANDS
for command in COMMANDS.values():
    command.parser().format_help()
print(*sorted({name.partition(".")[0] for name, module in sys.modules.items() if module} - {*sys.stdlib_module_names}))
"""


def imported(modules, blocked):
    """Names of the packages that are there once `modules` are imported and the command line has made all its parsers."""
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, ",".join(blocked), ",".join(modules)]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


@pytest.mark.slow
def test_the_library_and_the_command_line_need_no_workflow_engine():
    assert not imported([name for name in MODULES if "__main__" not in name], WORKFLOW) & {*WORKFLOW}


@pytest.mark.slow
def test_the_steps_before_training_need_no_torch():
    names = [f"molclr.data.{name}" for name in ("fetch", "canonicalize", "splits", "featurize", "audit", "leakage")]
    assert not imported(names, [*WORKFLOW, "torch"]) & {"torch"}


@pytest.mark.slow
@pytest.mark.parametrize("package", ["models", "training"])
def test_training_needs_no_rdkit(package):
    names = [f"molclr.training.{name}" for name in TRAINING] if package == "training" else []
    names += [name for name in MODULES if package == "models" and name.startswith("molclr.models")]
    assert not imported(names, [*WORKFLOW, "rdkit"]) & {"rdkit"}


def test_every_package_that_is_imported_is_a_stated_dependency():
    """Not one that only comes along with another."""
    trees = (ast.walk(ast.parse(path.read_text())) for path in PACKAGE.rglob("*.py"))
    names = {
        name.partition(".")[0]
        for node in chain.from_iterable(trees)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["excel"], *extras["workflow"]]  # imported where they are asked for
    stated = {canonicalize_name(Requirement(text).name) for text in wanted}
    providers = packages_distributions()
    for name in names - {*sys.stdlib_module_names, "molclr"}:
        assert {canonicalize_name(provider) for provider in providers[name]} & stated, name


def test_the_workflow_engines_are_an_extra():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    needed = {Requirement(text).name for text in project["dependencies"]}
    extras = {
        name: {Requirement(text).name for text in texts} for name, texts in project["optional-dependencies"].items()
    }
    assert not needed & {*WORKFLOW} and {"snakemake", "dvc", "umap-learn"} <= extras["workflow"]
    own = [Requirement(text) for text in project["optional-dependencies"]["dev"] if text.startswith("molclr[")]
    everything = {extra for requirement in own for extra in requirement.extras}
    assert everything == extras.keys() - {"dev"}, "an environment for development has all extras"
