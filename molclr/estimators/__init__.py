"""Estimators for scikit-learn: MolCLR on lists of SMILES, in pipelines, cross-validation and searches."""

from molclr.estimators.classifier import MolCLRClassifier
from molclr.estimators.regressor import MolCLRRegressor
from molclr.estimators.transformer import MolCLRTransformer

__all__ = ["MolCLRClassifier", "MolCLRRegressor", "MolCLRTransformer"]
