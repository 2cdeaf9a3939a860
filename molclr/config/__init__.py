"""The configuration: models that validate the YAML, document all keys and give typed values to the code.

A YAML file contains only the keys that differ from the defaults here. Subcommands receive a section, such as `pretrain`, as
`--settings`, so that all settings that affect a result are in the parameters of its Snakemake rule.
"""

from molclr.config.data import Corpus, Labels, OwnBenchmark, OwnBenchmarks
from molclr.config.fields import Exclusion, MolecularProperty, Section, Task
from molclr.config.parse import SUFFIXES_OF_SECTIONS, parse_section, parse_settings, require_unique_keys
from molclr.config.run import Config, Figures, Run
from molclr.config.training import (
    Augmentation,
    Baselines,
    Compute,
    EncoderChoice,
    EncoderShape,
    Finetune,
    Pretrain,
)

__all__ = [
    "SUFFIXES_OF_SECTIONS",
    "Augmentation",
    "Baselines",
    "Compute",
    "Config",
    "Corpus",
    "EncoderChoice",
    "EncoderShape",
    "Exclusion",
    "Figures",
    "Finetune",
    "Labels",
    "MolecularProperty",
    "OwnBenchmark",
    "OwnBenchmarks",
    "Pretrain",
    "Run",
    "Section",
    "Task",
    "parse_section",
    "parse_settings",
    "require_unique_keys",
]
