import pytest

from molclr.chem.scaffold import scaffold_smiles
from molclr.chem.smiles import read_molecule


@pytest.mark.parametrize(
    ("smiles", "scaffold"),
    [
        ("Cc1ccccc1CCC", "c1ccccc1"),
        ("OC(=O)c1ccc(CCN2CCOCC2)cc1", "c1ccc(CCN2CCOCC2)cc1"),  # rings and the chain between them
        ("O=C1CCCCC1C", "O=C1CCCCC1"),  # a double bond on the ring belongs to it
        ("C[C@H]1CC[C@@H](c2ccccc2)CC1", "c1ccc(C2CCCCC2)cc1"),  # no chirality
        ("CCCCO", ""),
        ("C", ""),
        ("[Na+].[O-]c1ccccc1", "c1ccccc1"),
    ],
)
def test_scaffold(smiles, scaffold):
    assert scaffold_smiles(read_molecule(smiles)) == scaffold
