"""The names of the files in the folder of a model; `molclr.qsar.model_folder` says what is in them."""

import re
from pathlib import Path

from molclr.model_names import NETWORK

MODEL_JSON, METRICS_FILE, REPORT = "model.json", "metrics.json", "report.html"
PREDICTIONS_FILE, SPLIT, REJECTED = "predictions.csv", "split.csv", "rejected.csv"
FIXED, ENCODER = "fixed.safetensors", "encoder.safetensors"
MODEL_FILE = re.compile(
    "|".join(map(re.escape, (MODEL_JSON, METRICS_FILE, REPORT, PREDICTIONS_FILE, SPLIT, REJECTED, FIXED, ENCODER)))
    + rf"|{NETWORK}-\d+\.(safetensors|history\.csv)"
)
"""Matches the names of all of them."""


def network_file(folder: Path, seed: int) -> Path:
    """Return the path of a network of the ensemble."""
    return folder / f"{NETWORK}-{seed}.safetensors"


def history_file(folder: Path, seed: int) -> Path:
    """Return the path of the epochs of a network of the ensemble."""
    return folder / f"{NETWORK}-{seed}.history.csv"


def is_model(folder: Path) -> bool:
    """Return whether a folder is a model of 'molclr train'."""
    return (folder / MODEL_JSON).is_file() and any(folder.glob("*.safetensors"))
