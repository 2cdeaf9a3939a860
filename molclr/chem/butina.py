"""Clusters of similar molecules (Butina, J. Chem. Inf. Comput. Sci. 39, 747, 1999)."""

from collections.abc import Sequence

import numpy as np
from rdkit.ML.Cluster import Butina

from molclr.chem.fingerprints import packed_ecfp4, tanimoto_of_bits
from molclr.errors import MolclrError

DISTANCE = 0.6
"""The largest distance of a molecule from the centre of its cluster: 1 - Tanimoto similarity of ECFP4."""
MAX_MOLECULES = 10_000
"""Different molecules, whose matrix of distances takes 2 GB."""


def butina_clusters(smiles: Sequence[str]) -> list[str]:
    """Return the name of the cluster of each molecule; equal molecules have the same. Deterministic.

    Raises RejectedMolecule like `read_molecule`, and MolclrError for more than MAX_MOLECULES different molecules.
    """
    distinct = list(dict.fromkeys(smiles))
    if len(distinct) > MAX_MOLECULES:
        raise MolclrError(
            f"The butina split compares all pairs, of at most {MAX_MOLECULES} different molecules; there are {len(distinct)}. "
            "Use the scaffold split."
        )
    prints = packed_ecfp4(distinct)
    # The distances of each molecule to those before it.
    parts = [tanimoto_of_bits(own, prints[:place]).astype(np.float32) for place, own in enumerate(prints)]
    distances = 1 - np.concatenate(parts)
    clusters = Butina.ClusterData(distances, len(distinct), DISTANCE, isDistData=True)
    cluster_of = {distinct[place]: str(number) for number, places in enumerate(clusters) for place in places}
    return [cluster_of[text] for text in smiles]
