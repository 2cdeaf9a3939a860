"""The order of atoms: atoms of a canonical SMILES matched with those of the given SMILES."""

from rdkit import rdBase

from molclr.chem.smiles import MAX_READINGS, RejectedMolecule, canonical_smiles, read_molecule


def canonical_order(smiles: str) -> tuple[str, list[int]]:
    """Return the stable canonical SMILES, as `canonicalize_all` does, and the index of each of its atoms in `smiles`.

    An index is the place of the atom when RDKit reads `smiles`. Raises RejectedMolecule for molecules that `canonicalize_all`
    rejects, and if RDKit reads different numbers of atoms from the two.
    """
    with rdBase.BlockLogs():
        molecule = read_molecule(smiles)
        order = list(range(molecule.GetNumAtoms()))
        for _ in range(MAX_READINGS):
            canonical = canonical_smiles(molecule)
            if canonical == smiles:
                return canonical, order
            written = molecule.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"]
            order = [order[atom] for atom in written]
            smiles, molecule = canonical, read_molecule(canonical)
            if molecule.GetNumAtoms() != len(order):
                break
    raise RejectedMolecule(f"its atoms cannot be found in its canonical SMILES '{smiles}'")
