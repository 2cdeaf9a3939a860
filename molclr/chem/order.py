"""The order of atoms: which atom of a canonical SMILES is which atom of the SMILES that was given."""

from rdkit import rdBase

from molclr.chem.smiles import MAX_READINGS, RejectedMolecule, canonical_smiles, read_molecule


def canonical_order(smiles: str) -> list[int]:
    """Return, for each atom of the stable canonical SMILES, its index among the atoms as RDKit reads `smiles`.

    `canonicalize_all` gives the canonical SMILES. Raises RejectedMolecule like it, and if RDKit reads different numbers of atoms
    from the two.
    """
    with rdBase.BlockLogs():
        molecule = read_molecule(smiles)
        order = list(range(molecule.GetNumAtoms()))
        for _ in range(MAX_READINGS):
            canonical = canonical_smiles(molecule)
            if canonical == smiles:
                return order
            written = molecule.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"]
            order = [order[atom] for atom in written]
            smiles, molecule = canonical, read_molecule(canonical)
            if molecule.GetNumAtoms() != len(order):
                break
    raise RejectedMolecule(f"its atoms cannot be found in its canonical SMILES '{smiles}'")
