import pytest

from molclr.chem.seen import Seen, elements_of, warn_of_unseen

ZINC = Seen(["Br", "C", "Cl", "F", "N", "O", "S"], chirality=False, bond_directions=False, charges=False)


@pytest.mark.parametrize(
    ("smiles", "lacking"),
    [
        ("CC(=O)Nc1ccc(O)cc1", []),
        ("O=c1[nH]cnc2[nH]cnc12", []),
        ("Brc1ccc(Cl)s1", []),
        ("Ic1ccccc1", ["the element I"]),
        ("C[Si](C)(C)C", ["the element Si"]),
        ("c1cc[se]c1", ["the element Se"]),
        ("[2H]OC", ["the element H"]),
        ("[13CH4]", []),
        ("[Na+].[Cl-]", ["the element Na", "a charge"]),
        ("CC(=O)[O-]", ["a charge"]),
        ("[Ca+2]", ["the element Ca", "a charge"]),
        ("C[C@H](N)C(=O)O", ["a stereocentre"]),
        ("F/C=C/F", ["a double bond with directions"]),
        ("F/C=C\\[C@H](I)[NH3+]", ["the element I", "a charge", "a stereocentre", "a double bond with directions"]),
    ],
)
def test_features_that_a_corpus_lacks(smiles, lacking):
    assert ZINC.lacks(smiles) == lacking


def test_explicit_hydrogens_are_a_feature():
    assert ZINC.lacks("C", explicit_hydrogens=True) == ["the element H"]


def test_unknown_charges_give_no_warning():
    assert ZINC._replace(charges=None).lacks("CC(=O)[O-]") == []


def test_elements_of_molecules():
    assert elements_of("c1ccsc1O") == {"C", "O", "S"}
    assert elements_of("C[C@H](F)Cl.[Na+].[13C]") == {"C", "Cl", "F", "Na"}


def test_the_warning_has_the_count_and_the_most_common_reason():
    assert warn_of_unseen(ZINC, ["C", "CC"]) == "" == warn_of_unseen(None, ["I"])
    assert warn_of_unseen(ZINC, ["C", "CI"]).startswith(
        "1 of 2 molecules have features that the encoder never saw in pre-training (the element I)"
    )
    several = warn_of_unseen(ZINC, ["CI", "C[O-]", "CC[O-]", "C"])
    assert several.startswith("3 of 4 molecules have") and "(a charge in 2 of them, and others)" in several
