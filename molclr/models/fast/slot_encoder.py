"""GIN and GCN on batches in neighbour slots.

Message passing is a sum of gathers, which a compiler fuses with the operations around it. Channels are padded to a multiple in
`CHANNEL_MULTIPLES`. Padding has weight zero, so results equal those of the definition, `molclr.models.encoder`, up to rounding
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

CHANNEL_MULTIPLES = {torch.bfloat16: 32, torch.float32: 4}
"""In bfloat16, products with 300 channels, whose rows are not multiples of 16 bytes, run at a third of the rate of 304 or 320."""
BAG = 32
"""Rows of padding that are summed at a time: a GPU sums each bag in one thread."""
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

    neighbour, weight: (rows, SLOTS); wide_neighbour, wide_weight: (E * V, d). wide_row, is_wide: (A,), see SlotBatch.
    self_weight: (rows, 1). bond_counts: (rows, BOND_TYPES + BOND_DIRECTIONS), weighted, self-loops included.
    """

    neighbour: Tensor
    weight: Tensor
    wide_row: Tensor
    is_wide: Tensor
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
        degree = weight.sum(1, keepdim=True) + 1
        degree = _add_wide(degree, batch.wide_row, batch.is_wide, wide_weight.sum(1, keepdim=True)).squeeze(1)
        scale = degree.rsqrt()
        weight = weight * scale[:, None] * scale[neighbour]
        wide_weight = wide_weight * scale[wide_atom][:, None] * scale[wide_neighbour]
        self_weight = degree.reciprocal()[:, None]
    kind, wide_kind = batch.bonds.kind.repeat(views, 1), batch.wide.kind.repeat(views, 1)
    columns = torch.arange(BOND_TYPES + BOND_DIRECTIONS, device=kept.device)
    counts = _count_kinds(kind, weight, columns) + self_weight * ((columns == SELF_LOOP) | (columns == BOND_TYPES))
    wide_counts = _count_kinds(wide_kind, wide_weight, columns)
    counts = _add_wide(counts, batch.wide_row, batch.is_wide, wide_counts)
    return _Links(
        neighbour,
        weight.to(dtype),
        batch.wide_row,
        batch.is_wide,
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
    padded = _pad(table, ATOM_FEATURES - ATOM_TYPES - CHIRALITY_TAGS, _padding(table.shape[1], dtype))
    return hot @ padded.to(dtype)


def _gin(layer: GINLayer, h: Tensor, links: _Links, dtype: torch.dtype) -> Tensor:
    """Compute MLP(h_i + sum over neighbours of h_j + sum over bonds and the self-loop of e_ij)."""
    first, second = cast(nn.Linear, layer.mlp[0]), cast(nn.Linear, layer.mlp[2])
    channels, hidden = _padding(first.in_features, dtype), _padding(first.out_features, dtype)
    total, weight, kinds = h + _neighbour_sum(h, links), first.weight, links.bond_counts.shape[1]
    if channels >= kinds:  # Channels of padding carry the bond counts, which spares a product.
        total = total + F.pad(links.bond_counts, (first.in_features, channels - kinds))
        weight = torch.cat([weight, weight @ layer.bond_embedding.T], dim=1)
        channels -= kinds
    else:
        total = total + links.bond_counts @ _pad(layer.bond_embedding, 0, channels).to(dtype)
    inner = F.relu(F.linear(total, _pad(weight, hidden, channels).to(dtype), _pad(first.bias, hidden).to(dtype)))
    channels = _padding(second.out_features, dtype)
    return F.linear(inner, _pad(second.weight, channels, hidden).to(dtype), _pad(second.bias, channels).to(dtype))


def _gcn(layer: GCNLayer, h: Tensor, links: _Links, dtype: torch.dtype) -> Tensor:
    """Compute the weighted sum of W h_j + e_ij over the neighbours and the atom itself, plus the bias."""
    channels = _padding(layer.linear.in_features, dtype)
    own = F.linear(h, _pad(layer.linear.weight, channels, channels).to(dtype))
    bonds = (links.bond_counts * layer.bond_embedding[:, 0].to(dtype)).sum(1, keepdim=True)
    return own * links.self_weight + _neighbour_sum(own, links) + bonds + _pad(layer.linear.bias, channels).to(dtype)


AGGREGATIONS: dict[type, Callable[..., Tensor]] = {GINLayer: _gin, GCNLayer: _gcn}
"""The layers that are implemented on slots."""


def _neighbour_sum(h: Tensor, links: _Links) -> Tensor:
    return _NeighbourSum.apply(h, *links[:6])


class _NeighbourSum(torch.autograd.Function):
    """Weighted sum over neighbours. The weights are symmetric, so the gradient is computed by the same sum."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, *links: Tensor) -> Tensor:
        ctx.save_for_backward(*links)
        return _gather_sum(h, *links)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return _gather_sum(gradient.contiguous(), *ctx.saved_tensors), None, None, None, None, None, None


def _gather_sum(
    h: Tensor,
    neighbour: Tensor,
    weight: Tensor,
    wide_row: Tensor,
    is_wide: Tensor,
    wide_neighbour: Tensor,
    wide_weight: Tensor,
) -> Tensor:
    return _add_wide(_slot_sum(h, neighbour, weight), wide_row, is_wide, _slot_sum(h, wide_neighbour, wide_weight))


def _slot_sum(h: Tensor, neighbour: Tensor, weight: Tensor) -> Tensor:
    return (h[neighbour] * weight[..., None]).sum(1)


def _add_wide(total: Tensor, wide_row: Tensor, is_wide: Tensor, terms: Tensor) -> Tensor:
    """Add `terms`, (V * E, channels), to the rows of wide atoms in `total`, (V * A, channels), by a gather."""
    if not len(terms):
        return total
    views = len(total) // len(wide_row)
    return total + torch.where(is_wide[:, None], terms.view(views, -1, terms.shape[1])[:, wide_row], 0).flatten(0, 1)


def _batch_norm(
    norm: BatchNorm, h: Tensor, fraction: Tensor, total: Tensor, all_sum: Callable[[Tensor], Tensor]
) -> Tensor:
    """Normalize each view of h, (V, A, channels), in float32. fraction: float (A,), weight of each row, 0 for padding."""
    padding = h.shape[2] - norm.num_features
    weight, bias = _pad(norm.weight, padding), _pad(norm.bias, padding)
    if not norm.training:
        mean, variance = _pad(norm.running_mean, padding), _pad(norm.running_var, padding)
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
    """Average over the atoms of each molecule and view: float32 (V * B, channels)."""
    ends = atom_counts.cumsum(0)
    padding = (ends[-1:] + BAG * torch.arange(-(-atoms // BAG), device=h.device)).clamp(max=atoms)
    first = torch.cat([ends - atom_counts, padding])  # of each molecule, then of bags of padding
    shift = torch.arange(views, device=h.device)[:, None] * atoms
    offsets = torch.cat([(first + shift).flatten(), torch.full((1,), views * atoms, device=h.device)])
    bag = torch.searchsorted(offsets[1:], torch.arange(views * atoms, device=h.device), right=True)
    sums = _BagSum.apply(h.float(), offsets, bag).view(views, len(first), -1)[:, : len(atom_counts)]
    return (sums / atom_counts.clamp(min=1)[:, None]).flatten(0, 1)


class _BagSum(torch.autograd.Function):
    """Sums of consecutive rows, bag by bag, in a fixed order. The gradient is a gather."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, offsets: Tensor, bag: Tensor) -> Tensor:
        ctx.save_for_backward(bag)
        rows = torch.arange(len(h), device=h.device)
        return F.embedding_bag(rows, h, offsets, mode="sum", include_last_offset=True)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (bag,) = ctx.saved_tensors
        return gradient[bag], None, None


def _pad(tensor: Tensor, *zeros: int) -> Tensor:
    """Append zeros to each dimension."""
    return F.pad(tensor, [part for count in reversed(zeros) for part in (0, count)]) if any(zeros) else tensor


def padded_channels(channels: int, dtype: torch.dtype) -> int:
    """Round up to a multiple in CHANNEL_MULTIPLES."""
    multiple = CHANNEL_MULTIPLES[dtype]
    return -(-channels // multiple) * multiple


def _padding(channels: int, dtype: torch.dtype) -> int:
    """Return the number of channels that `padded_channels` adds."""
    return padded_channels(channels, dtype) - channels
