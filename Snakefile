# MolCLR from raw SMILES to the paper's tables and figures.
# Needs a configuration (config/config.yaml, a link to params.yaml, unless --configfile names another); makes everything below data/ and results/.
import itertools
import json
import math
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from molclr.config import Compute, Config, parse_section, require_unique_keys
from molclr.data.catalogue import load_catalogue
from molclr.definitions import require_named_code
from molclr.digest import code_of
from molclr.errors import MolclrError
from molclr.evaluation.benchmarks import choose_benchmarks
from molclr.imports import is_dotted_path, modules_of, search_working_directory
from molclr.model_names import FINGERPRINT_MODELS, is_svm, model_name, network_of, pretrained_of
from workflow.digests import renew

if not workflow.configfiles:

    configfile: "config/config.yaml"


CONFIGURATION = " and ".join(
    [*map(os.path.relpath, workflow.configfiles), *(["--config"] if workflow.config_settings.config else [])]
)
catalogue = load_catalogue()
search_working_directory()  # A configuration may name modules in it.


try:
    for file in workflow.configfiles:
        require_unique_keys(Path(os.path.relpath(file)))
    settings = parse_section(Config, config, CONFIGURATION)
    benchmarks = choose_benchmarks(settings, CONFIGURATION)
    require_named_code(settings, CONFIGURATION)
except MolclrError as error:
    raise WorkflowError(str(error)) from None

# The `molclr` command of the Python that runs Snakemake, also where its environment is not activated.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
# It runs the code of this folder, even if another copy is installed.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [workflow.basedir, os.environ.get("PYTHONPATH")]))
if settings.mirror and not os.environ.get("MOLCLR_MIRROR"):
    os.environ["MOLCLR_MIRROR"] = settings.mirror


# A job runs again if the meaning of its code changes: Snakemake compares `code_of` in the parameters of rules, one for each module, and
# names those that changed; DVC compares workflow/code.yaml, which is renewed here.
renew()


def own_code(*names):
    """Return digests of the user modules in `names`, so that jobs run again if they change."""
    try:
        return [*code_of(*modules_of(names)).values()]
    except MolclrError as error:
        raise WorkflowError(f"{CONFIGURATION}: {error}") from None


include: "workflow/rules/data.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/finetune.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"


# On a cluster, rules that need the network or take a second run on the login node.
localrules:
    fetch,
    fetch_checkpoint,
    choose,
    table,
    figure_benchmarks,
    figure_pretraining,
    figure_finetuning,
    figure_retrieval,


rule all:
    """Make all tables and figures of the configuration, and the page that shows them."""
    default_target: True
    input:
        TABLES,
        FIGURES,
        MAPS,
        REPORT,
