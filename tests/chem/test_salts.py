import pytest

from molclr.chem.salts import canonicalize_desalted, has_metal, has_parts
from molclr.chem.smiles import RejectedMolecule


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("[Na+].CC(=O)[O-]", "CC(=O)O"),
        ("Cl.CCN", "CCN"),
        ("[Cl-].CC[NH3+]", "CCN"),
        ("C[N+](C)(C)C.[Br-]", "C[N+](C)(C)C"),  # no proton makes it neutral
        ("O.CC(=O)[O-].[Ca+2].CC(=O)[O-]", "CC(=O)O"),
        ("CC(=O)[O-]", "CC(=O)[O-]"),  # one part stays as it is
        ("C[N+](C)(C)CC(=O)[O-].Cl", "C[N+](C)(C)CC(=O)[O-]"),
        ("OCC", "CCO"),
    ],
)
def test_the_largest_organic_part_is_kept_without_its_charges(given, expected):
    assert canonicalize_desalted([given]) == [expected]


def test_a_rejected_molecule_stays_rejected():
    assert isinstance(canonicalize_desalted(["C*.Cl"])[0], RejectedMolecule)
    (salt,) = canonicalize_desalted(["[Na+].[Cl-]"])
    assert isinstance(salt, RejectedMolecule) and salt.reason == "it has several parts, none of which is organic"


def test_parts_and_metals():
    assert has_parts("[Na+].[Cl-]") and not has_parts("CCO")
    assert [has_metal(text) for text in ("[Na+].[Cl-]", "C[Si](C)(C)C", "C[Se]C", "C[Hg]C", "[nH]1cccc1", "CCO")] == [
        *(True, False, False, True, False, False)
    ]
