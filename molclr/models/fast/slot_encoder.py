"""GIN and GCN on batches in neighbour slots.

Message passing is a sum of gathers, which a compiler fuses with the operations around it. Channels are padded to a multiple of
`CHANNEL_MULTIPLE`. Padding has weight zero, so results equal those of the definition, `molclr.models.encoder`, up to rounding
(tests/models/fast/test_slots.py).
"""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from molclr.models.batch_norm import BatchNorm
from molclr.models.encoder import (
    ATOM_TYPES,
    BOND_DIRECTIONS,
    BOND_TYPES,
    CHIRALITY_TAGS,
    GCN,
    GIN,
    SELF_LOOP,
    GCNLayer,
    GINLayer,
    GraphEncoder,
)
from molclr.models.fast.encoder import FastGCN, FastGIN
from molclr.models.fast.slots import SlotBatch

CHANNEL_MULTIPLE = 32
"""In bfloat16, products with 300 channels, whose rows are not multiples of 16 bytes, run at a third of the rate of 304 or 320."""
ATOM_FEATURES = 128
"""Columns of the one-hot atom features: ATOM_TYPES + CHIRALITY_TAGS, padded."""


def can_represent(encoder: nn.Module) -> bool:
    """Return whether `represent` supports the encoder: GIN and GCN, but not classes derived from them."""
    return type(encoder) in (GIN, GCN, FastGIN, FastGCN)


def represent(
    encoder: GraphEncoder,
    batch: SlotBatch,
    x: Tensor,
    kept: Tensor,
    wide_kept: Tensor,
    dtype: torch.dtype,
    all_sum: Callable[[Tensor], Tensor] = lambda tensor: tensor,
) -> Tensor:
    """Compute the representation h of V views of a batch in `dtype`: float (V, B, embedding_dim).

    x: int64 (V, A, 2), atoms of each view. kept: bool (V, A, SLOTS) and wide_kept: bool (V, E, d), the bonds of each view.
    all_sum: sums a tensor over the processes of distributed training. Batch norm normalizes each view separately; in training,
    the running statistics are updated view by view.
    """
    views, atoms = x.shape[:2]
    num_molecules = len(batch.rows)
    inside = batch.molecule < num_molecules
    total = all_sum(batch.atom_counts.sum())
    fraction = inside / total
    links = _links(encoder, batch, kept, wide_kept, dtype)
    h = _embed_atoms(encoder, x, inside, dtype)
    for i, (layer, norm) in enumerate(zip(encoder.layers, encoder.norms, strict=True)):
        h = AGGREGATIONS[type(layer)](layer, h, links, dtype)
        h = _batch_norm(cast(BatchNorm, norm), h.view(views, atoms, -1), fraction, total, all_sum)
        if i < len(encoder.layers) - 1:
            h = F.relu(h)
        h = F.dropout(h * inside[:, None], encoder.dropout, encoder.training and encoder.dropout > 0)
        h = h.to(dtype).view(views * atoms, -1)
    pooled = _mean_pool(h, batch.atom_counts, views, atoms)
    readout = encoder.readout
    weight = _pad(readout.weight, 0, pooled.shape[1] - readout.in_features)
    out = F.linear(pooled.to(dtype), weight.to(dtype), readout.bias.to(dtype))
    return out.view(views, num_molecules, -1)


def unchanged(batch: SlotBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Return the batch without augmentation as a single view: the arguments x, kept and wide_kept of `represent`."""
    return batch.atoms.unsqueeze(0), batch.bonds.present.unsqueeze(0), batch.wide.present.unsqueeze(0)


class _Links(NamedTuple):
    """The weighted bonds of all views; the rows are the atoms of the first view, then those of the second, and so on.

    neighbour, weight: (rows, SLOTS); wide_atom: (E',); wide_neighbour, wide_weight: (E', d). self_weight: (rows, 1).
    bond_counts: (rows, BOND_TYPES + BOND_DIRECTIONS), weighted, self-loops included.
    """

    neighbour: Tensor
    weight: Tensor
    wide_atom: Tensor
    wide_neighbour: Tensor
    wide_weight: Tensor
    self_weight: Tensor
    bond_counts: Tensor


def _links(encoder: GraphEncoder, batch: SlotBatch, kept: Tensor, wide_kept: Tensor, dtype: torch.dtype) -> _Links:
    views, atoms, _ = kept.shape
    shift = torch.arange(views, device=kept.device)[:, None, None] * atoms
    neighbour = (batch.bonds.neighbour + shift).flatten(0, 1)
    wide_neighbour = (batch.wide.neighbour + shift).flatten(0, 1)
    wide_atom = (batch.wide.atom + shift[:, 0]).flatten()
    weight, wide_weight = kept.flatten(0, 1).float(), wide_kept.flatten(0, 1).float()
    self_weight = torch.ones_like(weight[:, :1])
    if isinstance(encoder, GCN) and encoder.shape.gcn_normalization:
        degree = weight.sum(1) + 1
        degree = _add_rows(degree, wide_atom, wide_weight.sum(1))
        scale = degree.rsqrt()
        weight = weight * scale[:, None] * scale[neighbour]
        wide_weight = wide_weight * scale[wide_atom][:, None] * scale[wide_neighbour]
        self_weight = degree.reciprocal()[:, None]
    kind, wide_kind = batch.bonds.kind.repeat(views, 1), batch.wide.kind.repeat(views, 1)
    columns = torch.arange(BOND_TYPES + BOND_DIRECTIONS, device=kept.device)
    counts = _count_kinds(kind, weight, columns) + self_weight * ((columns == SELF_LOOP) | (columns == BOND_TYPES))
    counts = _add_rows(counts, wide_atom, _count_kinds(wide_kind, wide_weight, columns))
    return _Links(
        neighbour,
        weight.to(dtype),
        wide_atom,
        wide_neighbour,
        wide_weight.to(dtype),
        self_weight.to(dtype),
        counts.to(dtype),
    )


def _count_kinds(kind: Tensor, weight: Tensor, columns: Tensor) -> Tensor:
    """Sum the weights of each atom's bonds by type and by direction: float (rows, BOND_TYPES + BOND_DIRECTIONS)."""
    bond_type, direction = (kind // BOND_DIRECTIONS)[..., None], (kind % BOND_DIRECTIONS + BOND_TYPES)[..., None]
    return (((bond_type == columns) | (direction == columns)) * weight[..., None]).sum(1)


def _embed_atoms(encoder: GraphEncoder, x: Tensor, inside: Tensor, dtype: torch.dtype) -> Tensor:
    """Embed atoms, (V * A, channels), by a product with one-hot features, whose gradient is a product as well."""
    columns = torch.arange(ATOM_FEATURES, device=x.device)
    hot = (x[..., :1] == columns) | (x[..., 1:] + ATOM_TYPES == columns)
    hot = (hot & inside[None, :, None]).flatten(0, 1).to(dtype)
    table = torch.cat([encoder.atom_embedding.weight, encoder.chirality_embedding.weight])
    padded = _pad(table, ATOM_FEATURES - ATOM_TYPES - CHIRALITY_TAGS, _padding(table.shape[1]))
    return hot @ padded.to(dtype)


def _gin(layer: GINLayer, h: Tensor, links: _Links, dtype: torch.dtype) -> Tensor:
    """Compute MLP(h_i + sum over neighbours of h_j + sum over bonds and the self-loop of e_ij)."""
    first, second = cast(nn.Linear, layer.mlp[0]), cast(nn.Linear, layer.mlp[2])
    channels, hidden = _padding(first.in_features), _padding(first.out_features)
    bonds = links.bond_counts @ _pad(layer.bond_embedding, 0, channels).to(dtype)
    total = h + _neighbour_sum(h, links) + bonds
    inner = F.linear(total, _pad(first.weight, hidden, channels).to(dtype), F.pad(first.bias, (0, hidden)).to(dtype))
    weight, bias = _pad(second.weight, channels, hidden), F.pad(second.bias, (0, channels))
    return F.linear(F.relu(inner), weight.to(dtype), bias.to(dtype))


def _gcn(layer: GCNLayer, h: Tensor, links: _Links, dtype: torch.dtype) -> Tensor:
    """Compute the weighted sum of W h_j + e_ij over the neighbours and the atom itself, plus the bias."""
    channels = _padding(layer.linear.in_features)
    own = F.linear(h, _pad(layer.linear.weight, channels, channels).to(dtype))
    bonds = links.bond_counts @ layer.bond_embedding.to(dtype)
    return (
        own * links.self_weight + _neighbour_sum(own, links) + bonds + F.pad(layer.linear.bias, (0, channels)).to(dtype)
    )


AGGREGATIONS: dict[type, Callable[..., Tensor]] = {GINLayer: _gin, GCNLayer: _gcn}
"""The layers that are implemented on slots."""


def _neighbour_sum(h: Tensor, links: _Links) -> Tensor:
    return _NeighbourSum.apply(
        h, links.neighbour, links.weight, links.wide_atom, links.wide_neighbour, links.wide_weight
    )


class _NeighbourSum(torch.autograd.Function):
    """Weighted sum over neighbours. The weights are symmetric, so the gradient is computed by the same sum."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, *links: Tensor) -> Tensor:
        ctx.save_for_backward(*links)
        return _gather_sum(h, *links)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return _gather_sum(gradient.contiguous(), *ctx.saved_tensors), None, None, None, None, None


def _gather_sum(
    h: Tensor, neighbour: Tensor, weight: Tensor, wide_atom: Tensor, wide_neighbour: Tensor, wide_weight: Tensor
) -> Tensor:
    return _add_rows(_slot_sum(h, neighbour, weight), wide_atom, _slot_sum(h, wide_neighbour, wide_weight))


def _slot_sum(h: Tensor, neighbour: Tensor, weight: Tensor) -> Tensor:
    total = h.new_zeros(len(neighbour), h.shape[1])
    for slot in range(neighbour.shape[1]):
        total = total + h[neighbour[:, slot]] * weight[:, slot, None]
    return total


def _add_rows(total: Tensor, rows: Tensor, terms: Tensor) -> Tensor:
    """Add `terms` at `rows`. Only padding, whose terms are zero, repeats a row, so the order of addition does not matter."""
    return total.index_add(0, rows, terms) if len(rows) else total


def _batch_norm(
    norm: BatchNorm, h: Tensor, fraction: Tensor, total: Tensor, all_sum: Callable[[Tensor], Tensor]
) -> Tensor:
    """Normalize each view of h, (V, A, channels), in float32. fraction: float (A,), weight of each row, 0 for padding."""
    padding = h.shape[2] - norm.num_features
    weight, bias = F.pad(norm.weight, (0, padding)), F.pad(norm.bias, (0, padding))
    if not norm.training:
        mean, variance = F.pad(norm.running_mean, (0, padding)), F.pad(norm.running_var, (0, padding), value=1.0)
        return (h.float() - mean) * (variance + norm.eps).rsqrt() * weight + bias
    mean = all_sum((h.float() * fraction[:, None]).sum(1, keepdim=True))
    centred = h.float() - mean
    variance = all_sum((centred.square() * fraction[:, None]).sum(1, keepdim=True))
    with torch.no_grad():
        unbiased = variance * (total / (total - 1))
        for view_mean, view_variance in zip(mean, unbiased, strict=True):
            norm.running_mean.lerp_(view_mean[0, : norm.num_features], norm.momentum)
            norm.running_var.lerp_(view_variance[0, : norm.num_features], norm.momentum)
        norm.num_batches_tracked += len(h)
    return centred * (variance + norm.eps).rsqrt() * weight + bias


def _mean_pool(h: Tensor, atom_counts: Tensor, views: int, atoms: int) -> Tensor:
    """Average over the atoms of each molecule and view: float32 (V * B, channels). Rows of padding must be zero."""
    first = atom_counts.cumsum(0) - atom_counts
    shift = torch.arange(views, device=h.device)[:, None] * atoms
    # The padding at the end of a view is summed with its last molecule, to which it adds zeros.
    offsets = torch.cat([(first + shift).flatten(), torch.full((1,), views * atoms, device=h.device)])
    molecule = torch.searchsorted(offsets[1:], torch.arange(views * atoms, device=h.device), right=True)
    count = atom_counts.clamp(min=1).repeat(views)
    return _BagSum.apply(h.float(), offsets, molecule) / count[:, None]


class _BagSum(torch.autograd.Function):
    """Sums of consecutive rows in a fixed order. The gradient is a gather."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, offsets: Tensor, molecule: Tensor) -> Tensor:
        ctx.save_for_backward(molecule)
        rows = torch.arange(len(h), device=h.device)
        return F.embedding_bag(rows, h, offsets, mode="sum", include_last_offset=True)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (molecule,) = ctx.saved_tensors
        return gradient[molecule], None, None


def _pad(matrix: Tensor, rows: int, columns: int) -> Tensor:
    return F.pad(matrix, (0, columns, 0, rows))


def padded_channels(channels: int) -> int:
    """Round up to a multiple of CHANNEL_MULTIPLE."""
    return -(-channels // CHANNEL_MULTIPLE) * CHANNEL_MULTIPLE


def _padding(channels: int) -> int:
    """Return the number of channels that `padded_channels` adds."""
    return padded_channels(channels) - channels
