import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics.pairwise import rbf_kernel

from molclr.chem.fingerprints import ecfp4_counts, tanimoto_of_counts
from molclr.config import Baselines
from molclr.model_names import COMBINED, TANIMOTO
from molclr.training import kernels
from molclr.training.fixed import Inputs, ValidationMolecules, fit_fixed, predict_fixed
from molclr.training.kernels import Features, standardized
from molclr.training.svm import cost_of

SMILES = ["CCO", "CCCCCCCCCCO", "c1ccccc1O", "C", "O=C(C)Oc1ccccc1C(=O)O", "[Na+].[Cl-]"]


def test_the_combined_kernel_is_a_mean_whatever_the_parts(monkeypatch):
    counts, h = csr_matrix(ecfp4_counts(SMILES)), np.random.default_rng(0).normal(size=(len(SMILES), 8))
    both = Features(h, counts)
    expected = (rbf_kernel(h, h, 0.3) + tanimoto_of_counts(counts, counts)) / 2
    np.testing.assert_allclose(both.kernel(both, 0.3), expected)
    assert (np.linalg.eigvalsh(both.kernel(both, 0.3)) > 0).all()
    monkeypatch.setattr(kernels, "ROWS_AT_A_TIME", 2)
    np.testing.assert_allclose(both.kernel(both[np.array([4, 1])], 0.3), expected[:, [4, 1]])
    alone = Features(None, counts)
    tanimoto = tanimoto_of_counts(counts, counts)
    np.testing.assert_allclose(alone[1:].kernel(alone, alone.gamma), tanimoto[1:], err_msg="counts alone")


def test_standardized_by_the_training_molecules():
    h = np.array([[0.0, 5, 1], [2, 5, 3], [10, 7, 5]], np.float32)
    np.testing.assert_allclose(standardized(h, h[:2]), [[-1, 0, -1], [1, 0, 1], [9, 2, 3]])


@pytest.fixture(scope="module")
def inputs():
    """Counts and representations of forty molecules, of which the latter alone tell a target."""
    smiles = ["C" * length + end for length in range(1, 11) for end in ("O", "N", "F", "Cl")]
    h = np.random.default_rng(1).normal(size=(40, 4)).astype(np.float32)
    return Inputs(csr_matrix(ecfp4_counts(smiles)), h)


@pytest.mark.parametrize("model", [COMBINED, TANIMOTO])
def test_validation_selects_the_penalty_and_refit_keeps_it(inputs, model):
    """Both machines with a Tanimoto kernel have the same candidates, so that they differ in the representation alone."""
    labels = inputs.h[:, 0] * 3 + 1
    train, valid = np.arange(30), np.arange(30, 40)
    selection = ValidationMolecules(inputs[valid], labels[valid], "rmse")
    given = inputs[train], labels[train], "regression", Baselines(), 0, 1
    chosen = fit_fixed(model, *given, selection)
    errors = {}
    for cost in (0.1, 1.0, 10.0, 100.0):
        alone = fit_fixed(model, *given, costs=[cost])
        guess, _ = predict_fixed(model, alone, inputs[train], inputs[valid], "regression")
        errors[cost] = np.sqrt(np.mean((guess - labels[valid]) ** 2))
    assert cost_of(chosen) == min(errors, key=errors.get)


def test_a_kernel_takes_a_sample(inputs):
    labels = inputs.h[:, 0].astype(float)
    labels[:10] = np.nan
    few = Baselines(svm_training_limit=12)
    one, again, other = (fit_fixed(COMBINED, inputs, labels, "regression", few, seed)["support"] for seed in (0, 0, 1))
    assert len(one) <= 12 and one.min() >= 10 and np.array_equal(one, again) and not np.array_equal(one, other)
