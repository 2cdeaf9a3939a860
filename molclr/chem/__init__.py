"""SMILES in, arrays out. Knows RDKit, knows no torch."""
