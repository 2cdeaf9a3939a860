"""Weisfeiler-Lehman classes: atoms with the same surroundings have the same vector, which is computed once.

After layer l an atom's vector depends on nothing but its bonds and neighbours up to l bonds away, so atoms of one
Weisfeiler-Lehman class of depth l have the same one (Shervashidze et al., JMLR 2011; Xu et al., ICLR 2019, lemma 2). A layer
works on matrices with a row for each class, and batch norm weights the rows with the numbers of their atoms.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from molclr.hashing import hash64

WORTHWHILE = 0.85
"""Fraction of distinct atoms up to which a layer is computed by classes; beyond, finding them costs more than they spare."""


class Classes(NamedTuple):
    """Atoms in classes, which are numbered by their first atoms.

    of_atom: int64 (num_atoms,), the class of each atom. first: int64 (num_classes,), ascending, the first atom of each class.
    sizes: int64 (num_classes,), its number of atoms; None if every atom is a class of its own.
    """

    of_atom: Tensor
    first: Tensor
    sizes: Tensor | None

    @property
    def all_distinct(self) -> bool:
        """Is every atom a class of its own?"""
        return self.sizes is None

    def each_atom(self, h: Tensor) -> Tensor:
        """h, float (num_classes, channels), as a row for each atom."""
        # Indexing would give the same; on several threads its backward pass adds in any order.
        return h if self.all_distinct else F.embedding(self.of_atom, h)


def distinct_atoms(num_atoms: int, device: torch.device) -> Classes:
    """Every atom in a class of its own."""
    atoms = torch.arange(num_atoms, device=device)
    return Classes(atoms, atoms, None)


def refinements(features: Tensor, source: Tensor, target: Tensor, bond: Tensor, depth: int) -> list[Classes]:
    """Classes of depth 0 to `depth` of atoms with `features`, int64 (num_atoms,), for `source` to `target` edges of kind `bond`.

    Edges include the self-loops, whose kind no bond has. The list ends before the first depth with more than WORTHWHILE
    times num_atoms classes: deeper ones have even more.
    """
    # A class is known by 64 bits, and a collision would go unnoticed. Two of 12,000 well-mixed hashes collide with a
    # probability of 4e-12; in all steps of the paper's pre-training, fifty epochs of ten million molecules, of 4e-5.
    hashes, found = hash64(features), list[Classes]()
    code = hash64(bond + (1 << 32))
    while len(found) <= depth:
        classes = _classes(hashes)
        if len(classes.first) > WORTHWHILE * len(features):
            break
        found.append(classes)
        hashes = torch.zeros_like(hashes).index_add_(0, target, hash64(hashes[source] + code))
    return found


def _classes(hashes: Tensor) -> Classes:
    """Atoms with equal hashes, int64 (num_atoms,), in one class."""
    ordered, order = hashes.sort(stable=True)
    begins = F.pad(ordered[1:] != ordered[:-1], (1, 0), value=True)
    leader = torch.empty_like(order)
    leader[order] = order[begins][begins.cumsum(0) - 1]
    is_first = leader == torch.arange(len(hashes), device=hashes.device)
    of_atom = (is_first.cumsum(0) - 1)[leader]
    return Classes(of_atom, is_first.nonzero().squeeze(1), torch.bincount(of_atom))
