# MolCLR from raw SMILES to the paper's tables and figures.
# Needs a configuration (config/config.yaml, a link to params.yaml, unless --configfile names another); makes everything below data/ and results/.
import math
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from molclr.config import Config, parse_section
from molclr.data.catalogue import load_catalogue
from molclr.digest import code_digest, own_modules
from molclr.errors import MolclrError
from molclr.evaluation.benchmarks import choose_benchmarks
from workflow.digests import renew

if not workflow.configfiles:

    configfile: "config/config.yaml"


CONFIGURATION = " and ".join(
    [*map(os.path.relpath, workflow.configfiles), *(["--config"] if workflow.config_settings.config else [])]
)
catalogue = load_catalogue()


try:
    settings = parse_section(Config, config, CONFIGURATION)
    benchmarks = choose_benchmarks(settings, CONFIGURATION)
except MolclrError as error:
    raise WorkflowError(str(error)) from None

# The `molclr` command of the Python that runs Snakemake, also where its environment is not activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
# It runs the code of this folder, also where that of another one is installed.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [workflow.basedir, os.environ.get("PYTHONPATH")]))
if settings.mirror and not os.environ.get("MOLCLR_MIRROR"):
    os.environ["MOLCLR_MIRROR"] = settings.mirror


report: "workflow/report/workflow.rst"


# A job runs again if the meaning of its code is another one: `code_digest` in its parameters says so to Snakemake, and
# workflow/code.yaml, which this renews, to DVC.
renew()


include: "workflow/rules/data.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/evaluate.smk"


# On a cluster: what wants the network, or takes a second, needs no node.
localrules:
    fetch,
    fetch_checkpoint,
    choose,
    table,
    figure_benchmarks,
    figure_pretraining,
    figure_retrieval,


rule all:
    """Every table and figure of the configuration."""
    default_target: True
    input:
        TABLES,
        FIGURES,
