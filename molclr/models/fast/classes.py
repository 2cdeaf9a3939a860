"""Weisfeiler-Lehman classes of atoms, which have the same vectors in a message-passing network.

After layer l the vector of an atom depends only on its neighbourhood up to l bonds away, so all atoms of one
Weisfeiler-Lehman class of depth l have the same vector (Shervashidze et al., JMLR 2011; Xu et al., ICLR 2019, lemma 2). It is
computed once: a layer works on matrices with one row per class, and batch norm weights each row by its number of atoms.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from molclr.hashing import hash64

WORTHWHILE = 0.85
"""Largest number of classes per atom for which a layer uses classes. Above, finding them takes longer than they save."""


class Classes(NamedTuple):
    """A partition of atoms into classes, numbered in the order of their first atoms.

    of_atom: int64 (num_atoms,), the class of each atom. first: int64 (num_classes,), ascending, the first atom of each class.
    sizes: int64 (num_classes,), the number of atoms of each class; None if each class has one atom.
    """

    of_atom: Tensor
    first: Tensor
    sizes: Tensor | None

    @property
    def all_distinct(self) -> bool:
        """Whether each class has one atom."""
        return self.sizes is None

    def each_atom(self, h: Tensor) -> Tensor:
        """Expand h, float (num_classes, channels), to one row per atom."""
        # Indexing gives the same values, but its backward pass on several threads adds in a varying order.
        return h if self.all_distinct else F.embedding(self.of_atom, h)


def distinct_atoms(num_atoms: int, device: torch.device) -> Classes:
    """Return the partition in which each class has one atom."""
    atoms = torch.arange(num_atoms, device=device)
    return Classes(atoms, atoms, None)


def refinements(features: Tensor, source: Tensor, target: Tensor, bond: Tensor, depth: int) -> list[Classes]:
    """Compute the Weisfeiler-Lehman classes of depth 0 to `depth`.

    features: int64 (num_atoms,). source, target, bond: int64 (num_edges,), the atoms and the kind of each edge; the edges
    include self-loops, whose kind differs from those of bonds. The list ends before the first depth with more than WORTHWHILE
    * num_atoms classes, because the number of classes grows with depth.
    """
    # Classes are identified by 64-bit hashes, and collisions are not detected. Among 12,000 well-mixed hashes the probability of
    # a collision is 4e-12, and in all steps of the paper's pre-training (fifty epochs of ten million molecules) 4e-5.
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
    """Put atoms with equal hashes, int64 (num_atoms,), into one class."""
    ordered, order = hashes.sort(stable=True)
    begins = F.pad(ordered[1:] != ordered[:-1], (1, 0), value=True)
    leader = torch.empty_like(order)
    leader[order] = order[begins][begins.cumsum(0) - 1]
    is_first = leader == torch.arange(len(hashes), device=hashes.device)
    of_atom = (is_first.cumsum(0) - 1)[leader]
    return Classes(of_atom, is_first.nonzero().squeeze(1), torch.bincount(of_atom))
