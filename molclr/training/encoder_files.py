"""Files of encoders that have names: those in the package, and those that the authors released."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from molclr.data.fetch import fetch, mirror_folder
from molclr.errors import MolclrError
from molclr.model_names import ReleasedName, ShippedName
from molclr.training.official import import_official

SHIPPED = Path(__file__).parent.parent / "encoders"
"""Folder of the encoders in the package; see docs/encoders.md."""


def encoder_file(path_or_name: str | Path) -> Path:
    """Return the path of an encoder given by path or by the name of a shipped or released encoder."""
    shipped, released = get_args(ShippedName), get_args(ReleasedName)
    if str(path_or_name) in shipped:
        return SHIPPED / f"{path_or_name}.safetensors"
    if str(path_or_name) in released:
        return released_encoder(str(path_or_name))
    path = Path(path_or_name)
    if not path.suffix and not path.exists():
        names = ", ".join((*shipped, *released))
        raise MolclrError(f"Unknown encoder '{path}'; choose {names}, or give the path of an encoder.safetensors.")
    return path


def released_encoder(name: str) -> Path:
    """Return the path of a released encoder in the user's cache; download and convert it if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "molclr")
    encoder = cache / f"{name}.safetensors"
    if not encoder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache, prefix=".") as folder:
            checkpoint = Path(folder, f"{name}.pth")
            fetch(name, checkpoint, checkpoint.with_suffix(".json"), mirror_folder())
            import_official(checkpoint, encoder)
    return encoder
