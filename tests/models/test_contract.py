"""Encoders and augmentations outside the package that break its contract."""

import pytest
import torch
from torch import nn

from molclr.config import Augmentation, EncoderShape
from molclr.errors import MolclrError
from molclr.models.augment import choose, item_keys
from molclr.models.batch_norm import BatchNorm
from molclr.models.contract import require_pure, require_synchronized
from molclr.models.encoders import make_encoder

SHAPE = EncoderShape(layers=2, hidden_dim=16, embedding_dim=8)


@pytest.mark.parametrize("name", ["Centred", "NormedTogether", "Noisy"])
def test_h_depends_on_the_molecule_alone(graphs, name):
    encoder = make_encoder(f"own_encoder:{name}", SHAPE)
    encoder(*graphs), encoder.eval()(*graphs.first(1))
    with pytest.raises(
        MolclrError, match=rf"^'own_encoder:{name}' returned another h .* in a smaller batch; in evaluation"
    ):
        encoder(*graphs)


def test_an_encoder_is_checked_once(graphs, monkeypatch):
    encoder = make_encoder("own_encoder:GAT", SHAPE).eval()
    calls, forward = [], type(encoder).forward
    monkeypatch.setattr(type(encoder), "forward", lambda self, *batch: calls.append(batch[-1]) or forward(self, *batch))
    encoder(*graphs), encoder(*graphs)
    assert calls == [graphs.num_graphs, checked := min(16, graphs.num_graphs), 1, checked // 2, graphs.num_graphs]


def test_batch_norm_of_pytorch_is_not_synchronized():
    require_synchronized(make_encoder("gin", SHAPE))
    encoder = make_encoder("own_encoder:GAT", SHAPE)
    with pytest.raises(
        MolclrError, match=r"^'norms\.0' of 'own_encoder:GAT' is a BatchNorm1d, .*batch_norm\.BatchNorm"
    ):
        require_synchronized(encoder)
    encoder.norms = nn.ModuleList(make(SHAPE.hidden_dim) for make in (BatchNorm, nn.SyncBatchNorm))
    require_synchronized(encoder)


def at_random(molecules, lost, ratio, keys):
    return lost._replace(masked=lost.masked | (torch.rand(lost.masked.shape) < ratio))


def restoring(molecules, lost, ratio, keys):
    return lost._replace(masked=torch.zeros_like(lost.masked))


def in_batch(molecules, lost, ratio, keys):
    """Mask the same fraction of the batch instead of each molecule."""
    return lost._replace(
        masked=lost.masked | (torch.arange(lost.masked.shape[-1]) >= lost.masked.shape[-1] * (1 - ratio))
    )


def by_size_of_bonds(molecules, lost, ratio, keys):
    """Mask the first molecule if the last one has bonds, which no padding has."""
    atoms, bonds = molecules.atoms, molecules.bonds
    return lost._replace(masked=lost.masked | ((atoms.group == 0) & (bonds.sizes[-1:] > 0)))


def by_keys(molecules, lost, ratio, keys):
    """An augmentation that keeps the contract."""
    atoms = molecules.atoms
    priority = item_keys(keys, atoms.group, atoms.place, 100) & ((1 << 40) - 1)
    return lost._replace(masked=lost.masked | choose(atoms.group, atoms.first, atoms.sizes // 2, priority))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("at_random", "at_random returned another result .* from `keys` alone"),
        ("restoring", "restoring restored an atom or a bond that was masked or deleted before; return"),
        ("in_batch", "in_batch returned another result"),
        ("by_size_of_bonds", "by_size_of_bonds returned another result for a batch with padding"),
    ],
)
def test_an_augmentation_breaks_the_contract(graphs, name, message):
    settings = Augmentation(composition=[{"bond_deletion": 0.2}, {f"{__name__}:{name}": 0.6}])
    with pytest.raises(MolclrError, match=f"^The augmentation {message}"):
        require_pure(graphs, settings)


@pytest.mark.parametrize("count", [1, 2, None])
def test_an_augmentation_keeps_the_contract(graphs, count):
    settings = Augmentation(composition=[{"atom_masking": 0.2}, {f"{__name__}:by_keys": 0.2}])
    require_pure(graphs if count is None else graphs.first(count), settings)
