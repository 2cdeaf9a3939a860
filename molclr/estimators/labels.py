"""Labels as scikit-learn's users give them, and scores of predictions where labels are missing."""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets

from molclr.data.inputs import InvalidInput
from molclr.data.labels import LARGEST
from molclr.data.molecules import OWN_COLUMNS
from molclr.evaluation.metrics import HALF

NOT_CLASSES = ("", "nan", "NaN", "NaT", "<NA>", "None")
"""What NumPy and pandas write for missing labels when they make text of them."""


def table_of(y: Any, count: int) -> pd.DataFrame:
    """Return labels, (n,) or (n, targets), as a table with a named column for each target.

    Raises InvalidInput if there are not `count` rows, a name is repeated or taken, or a target has no label.
    """
    if y is None:
        raise InvalidInput("fit requires y to be passed, but the target y is None; give the labels.")
    y = _arranged(y)
    table = pd.DataFrame(y).reset_index(drop=True)
    if len(table) != count:
        raise InvalidInput(f"There are {count} molecules and {len(table)} labels; give a label for each molecule.")
    table.columns = pd.Index(_names(y, table.shape[1]))
    for name, column in table.items():
        if list(table.columns).count(name) > 1 or name in (*OWN_COLUMNS, "reason"):
            raise InvalidInput(f"The target name '{name}' is repeated or taken; rename the column of y.")
        if count and column.isna().all():
            raise InvalidInput(f"The target '{name}' has no label; leave it out of y.")
    return table


def _arranged(y: Any) -> Any:
    """Return labels as what pandas makes a table of. Raises InvalidInput for a dict, a set, one label, or more than two axes."""
    if isinstance(y, np.ma.MaskedArray):
        y, hidden = y.data.astype(object), np.ma.getmaskarray(y)
        y[hidden] = None
    if hasattr(y, "to_pandas"):
        y = y.to_pandas()
    if hasattr(y, "__array__") and not hasattr(y, "index"):
        y = np.asarray(y)
    if hasattr(y, "shape"):
        if len(y.shape) not in (1, 2):
            raise InvalidInput(f"y has the shape {tuple(y.shape)}; give labels of the shape (n,) or (n, targets).")
        return y
    if isinstance(y, Mapping | Set | str) or not isinstance(y, Iterable):
        raise InvalidInput(f"y is of the type {type(y).__name__}; give a list, an array or a table of labels.")
    return list(y)


def warn_of_indexes(X: Any, y: Any) -> None:
    """Warn the caller of an estimator's method if X and y are of pandas and have different indexes."""
    of_pandas = isinstance(X, pd.Series | pd.DataFrame) and isinstance(y, pd.Series | pd.DataFrame)
    if of_pandas and len(X) == len(y) and not X.index.equals(y.index):
        text = "X and y have different indexes; their rows belong together by position, not by index"
        warnings.warn(text, stacklevel=3)


def _names(y: Any, count: int) -> list[str]:
    """The names of targets: those of a table or Series, otherwise y, or y0, y1, ..."""
    given = list(y.columns) if isinstance(y, pd.DataFrame) else [getattr(y, "name", None)]
    names = [name.strip() for name in given if isinstance(name, str)]
    if len(names) == count and all(names):
        return names
    return ["y"] if count == 1 else [f"y{place}" for place in range(count)]


def encode_values(labels: pd.DataFrame) -> pd.DataFrame:
    """Encode labels of a regression as float64, NaN where missing. Raises InvalidInput for other labels."""
    if any(dtype.kind == "c" for dtype in labels.dtypes):
        raise InvalidInput("Complex data not supported: labels of a regression are real numbers; give these.")
    try:
        values = labels.where(labels.notna(), np.nan).astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(
            f"Labels of a regression are numbers, NaN where missing ({error}); correct them, or use MolCLRClassifier."
        ) from None
    if (values.abs() > LARGEST).any(axis=None):
        raise InvalidInput("Input y contains infinity or a value too large for float32; correct the labels.")
    return values


def encode_classes(labels: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Encode labels of two classes as 0 and 1, float64, NaN where missing; return them and the sorted classes of each target.

    Raises InvalidInput for labels that are not classes, or more than two classes.
    """
    codes, classes = {}, {}
    for name, column in labels.items():
        given = column.dropna().tolist()
        examples = {isinstance(label, str): repr(label) for label in given}
        if len(examples) > 1:
            raise InvalidInput(
                f"The labels of '{name}' are words and numbers, such as {examples[True]} and {examples[False]}; "
                "use only one kind, and None or NaN for missing labels."
            )
        if words := {label for label in given if isinstance(label, str) and label.strip() in NOT_CLASSES}:
            raise InvalidInput(f"The text {min(words)!r} is a label of '{name}'; use None or NaN for missing labels.")
        known = np.array(given)
        if known.dtype.kind == "f" and not np.isfinite(known).all():
            raise InvalidInput("Input y contains infinity; correct the labels.")
        check_classification_targets(known)
        found = np.unique(known)
        if len(found) > 2:
            raise InvalidInput(
                f"Only binary classification is supported. The type of the target is multiclass: '{name}' has {len(found)} "
                "classes; make one target for each class, or use MolCLRRegressor."
            )
        is_second = column == found[-1] if len(found) == 2 or found[0] == 1 else column.isna()
        codes[name] = is_second.astype(np.float64).where(column.notna())
        classes[str(name)] = found
    return pd.DataFrame(codes), classes


def decode_classes(probabilities: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the more probable of two classes for probabilities of the second, (n,); NaN or None where that is NaN.

    The second is predicted from HALF on, as `molclr.evaluation.metrics.accuracy` counts.
    """
    decoded = (
        classes[(probabilities >= HALF).astype(int)] if len(classes) == 2 else np.repeat(classes, len(probabilities))
    )
    missing = np.isnan(probabilities)
    if missing.any():
        decoded = decoded.astype(np.float64 if classes.dtype.kind in "iuf" else object)
        decoded[missing] = np.nan if decoded.dtype.kind == "f" else None
    return decoded


def mean_score(
    metric: Callable[..., float],
    labels: pd.DataFrame,
    predictions: Sequence[np.ndarray],
    sample_weight: Any,
    least: int,
) -> float:
    """Average a metric over the targets that have at least `least` labels with a prediction; NaN if there is none.

    predictions: (n,) for each target.
    """
    scores = []
    for (_, column), predicted in zip(labels.items(), predictions, strict=True):
        known = (column.notna() & pd.notna(predicted)).to_numpy()
        if known.sum() >= least:
            weight = None if sample_weight is None else np.asarray(sample_weight)[known]
            truth, guess = (np.array(values[known].tolist()) for values in (column, pd.Series(predicted)))
            scores.append(metric(truth, guess, sample_weight=weight))
    return float(np.mean(scores)) if scores else float("nan")


def without_axis(values: np.ndarray) -> np.ndarray:
    """Remove the axis of targets, the second, if there is only one target."""
    return values[:, 0] if values.shape[1] == 1 else values
