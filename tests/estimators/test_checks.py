"""The checks of scikit-learn, on the estimators themselves and on molecules that numbers stand for.

scikit-learn checks estimators with tables of numbers, which are no molecules, so the estimators themselves fail most checks. In
the second test each row of numbers is turned into a molecule, so that nearly all checks apply.
"""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import validate_data

from molclr import MolCLRClassifier, MolCLRRegressor, MolCLRTransformer

QUICK = {"encoder": "none", "model": "svm", "split": "random", "refit": False}
EVERY = """
    check_complex_data check_dict_unchanged check_dtype_object check_estimator_sparse_tag check_estimators_dtypes
    check_estimators_empty_data_messages check_estimators_nan_inf check_estimators_pickle check_f_contiguous_array_estimator
    check_fit2d_predict1d check_fit_idempotent check_fit_score_takes_y check_methods_sample_order_invariance
    check_methods_subset_invariance check_n_features_in check_n_features_in_after_fitting check_pipeline_consistency
"""
PREDICTORS = f"""{EVERY}
    check_dont_overwrite_parameters check_estimator_sparse_array check_estimator_sparse_matrix check_estimators_fit_returns_self
    check_estimators_overwrite_params check_fit2d_1feature check_fit2d_1sample check_fit_check_is_fitted
    check_positive_only_tag_during_fit check_readonly_memmap_input check_requires_y_none check_supervised_y_2d
"""
CLASSIFIER = f"""{PREDICTORS}
    check_classifier_data_not_an_array check_classifier_multioutput check_classifier_not_supporting_multiclass
    check_classifiers_classes check_classifiers_multilabel_output_format_decision_function
    check_classifiers_multilabel_output_format_predict check_classifiers_multilabel_output_format_predict_proba
    check_classifiers_multilabel_representation_invariance check_classifiers_one_label check_classifiers_regression_target
    check_classifiers_train
"""
REGRESSOR = f"""{PREDICTORS}
    check_regressor_data_not_an_array check_regressor_multioutput check_regressors_int check_regressors_no_decision_function
    check_regressors_train
"""
TRANSFORMER = f"{EVERY} check_transformer_data_not_an_array check_transformer_general"
NUMBERS = "X is a table of numbers, and these are neither SMILES nor molecules"
NOT_READ = {"check_fit1d": "fit of the transformer does not read X, and embeds nothing"}
THREE = {"check_fit2d_1sample": "the split into training, validation and test needs three molecules"}


class NumbersAllowed:
    """Lets scikit-learn try all its checks; it leaves out most of them for estimators that take no tables."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array = False, True
        return tags


class OfNumbers:
    """Takes tables of numbers, each row of which stands for a molecule."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array, tags.input_tags.string = False, True, False
        for kind in (tags.classifier_tags, tags.regressor_tags):
            if kind:
                kind.poor_score = True  # because neighbouring numbers do not give similar molecules
        return tags

    def fit(self, X, y=None):
        return super().fit(molecules_of(validate_data(self, X)), y)

    def _accepted(self, X):
        return super()._accepted(molecules_of(validate_data(self, X, reset=False)) if hasattr(self, "model_") else X)


def molecules_of(rows):
    """A chain for each row, with one of nine pieces for each number."""
    pieces = np.array(["C", "N", "O", "S", "P", "CC", "CN", "CO", "CS"])[np.floor(7 * rows).astype(int) % 9]
    return ["".join(row) for row in pieces]


class AnyClassifier(NumbersAllowed, MolCLRClassifier):
    pass


class AnyRegressor(NumbersAllowed, MolCLRRegressor):
    pass


class AnyTransformer(NumbersAllowed, MolCLRTransformer):
    pass


class ClassifierOfNumbers(OfNumbers, MolCLRClassifier):
    pass


class RegressorOfNumbers(OfNumbers, MolCLRRegressor):
    pass


class TransformerOfNumbers(OfNumbers, MolCLRTransformer):
    def transform(self, X):
        return super().transform(molecules_of(validate_data(self, X, reset=False)) if hasattr(self, "encoder_") else X)


def check(estimator, expected):
    """Run all checks of scikit-learn, of which exactly the expected ones have to fail."""
    found = check_estimator(estimator, expected_failed_checks=expected, on_skip=None)
    assert len(found) > 40
    assert {each["check_name"] for each in found if each["status"] == "xfail"} == expected.keys()


@pytest.mark.parametrize("kind", ["classifier", "regressor", "transformer"])
def test_numbers_are_rejected_and_all_other_checks_pass(kind, encoder):
    estimator, names, more = {
        "classifier": (AnyClassifier(**QUICK), CLASSIFIER, {}),
        "regressor": (AnyRegressor(**QUICK), REGRESSOR, {}),
        "transformer": (AnyTransformer(encoder), TRANSFORMER, NOT_READ),
    }[kind]
    check(estimator, dict.fromkeys(names.split(), NUMBERS) | more)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["classifier", "regressor", "transformer"])
def test_all_checks_pass_on_molecules(kind, encoder, quick):
    estimator, expected = {
        "classifier": (ClassifierOfNumbers(**QUICK), THREE),
        "regressor": (RegressorOfNumbers(**QUICK), THREE),
        "transformer": (TransformerOfNumbers(encoder), {}),
    }[kind]
    check(estimator, expected)
