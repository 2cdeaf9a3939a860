"""Reading labels: numbers, words for classes, decimal commas, limits such as >10, and words for missing values."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from molclr.chem.smiles import RejectedMolecule
from molclr.errors import MolclrError
from molclr.progress import counted

MISSING = frozenset(
    ["", "-", "--", "#n/a", "#n/a n/a", "#na", "<na>", "n/a", "n.a.", "na", "nan", "-nan", "nd", "n.d.", "none", "null"]
)
"""Words for a missing label, in lower case: those of pandas, and others in common use."""
CLASS_WORDS = (
    {"no": 0.0, "yes": 1.0},
    {"n": 0.0, "y": 1.0},
    {"false": 0.0, "true": 1.0},
    {"f": 0.0, "t": 1.0},
    {"inactive": 0.0, "active": 1.0},
    {"negative": 0.0, "positive": 1.0},
    {"neg": 0.0, "pos": 1.0},
)
"""Pairs of words for the classes 0 and 1."""
LARGEST = 3.4028234e38
"""The largest number in single precision, the precision of the models."""
REGISTRY_NUMBER = 1_000_000
"""A column of whole numbers that are all at least this large is taken for identifiers, such as those of PubChem."""
ROWS_FOR_AN_INDEX = 10
"""A column of strictly ascending whole numbers is taken for an index if it has at least this many rows."""

DecimalSign = Literal[".", ","]
_words_of_classes = {word for pair in CLASS_WORDS for word in pair}
_is_limit = re.compile(r"[<>≤≥~]=?\s*[-+]?[\d.,]+(e[-+]?\d+)?", re.IGNORECASE).fullmatch
_is_number = re.compile(r"\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*", re.IGNORECASE).fullmatch
_is_comma_number = re.compile(r"[-+]?\d*,\d+(e[-+]?\d+)?", re.IGNORECASE).fullmatch
_may_be_thousands = re.compile(r"[-+]?(?!0,)\d+,\d{3}").fullmatch
_is_grouped: dict[str, Callable[[str], re.Match[str] | None]] = {
    ".": re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+(\.\d*)?").fullmatch,
    ",": re.compile(r"[-+]?[1-9]\d{0,2}(\.\d{3})+(,\d*)?").fullmatch,
}
"""Decimal sign -> matches numbers with the other sign between thousands."""
_is_separator = re.compile(r"[' \u2019\xa0\u202f]")
"""Apostrophes and blanks, which only separate thousands; they are never read, because no --decimal names them."""
_looks_grouped = re.compile(r"[-+]?[1-9]\d{0,2}([.,' \u2019\xa0\u202f]\d{3})+([.,]\d*)?").fullmatch
_names_identifiers = re.compile(
    r"(.*[ _.-])?(id|ids|idx|index|key|cid|sid|aid|cas)"
    r"|row|no\.?|nr\.?|num|number|#"
    r"|(cas|cmpd|cpd|compound|entry|mol|molecule|registry|row|sample)[ _.-]?(no\.?|nr\.?|num|number)"
).fullmatch
_names_occasions = re.compile(r"((document|publication)[ _.-]?)?year|date|batch|lot|plate").fullmatch
"""Matches names of columns that say when or with what a molecule was measured."""


class Number(str):
    """The text of a number that a typed table stores: its point is a decimal point, whatever the decimal sign of text."""

    __slots__ = ()


class LabelReader(NamedTuple):
    """The notation of the labels of a target."""

    target: str
    words: Mapping[str, float] = {}
    """Word for a class, in lower case -> class; empty if the labels are numbers."""
    decimal: DecimalSign | None = None
    """The decimal sign; None: a point, and no commas between thousands."""

    def read(self, text: str) -> float:
        """Return the label of a field; NaN if it is missing or only a limit. Raises RejectedMolecule for any other text."""
        plain = _with_ascii_minus(text)
        value = _number(plain.strip(), None if isinstance(text, Number) else self.decimal)
        if not math.isfinite(value):
            value = self._read_words(plain.strip())
        if abs(value) > LARGEST or "_" in text:  # float accepts 1_000.
            raise RejectedMolecule(f"the label {text.strip()!r} of {self.target} {self._trouble(plain)}")
        return value

    def _read_words(self, text: str) -> float:
        """Return the label of a text that is not a plain number; infinity if it is not a label."""
        word = text.lower()
        if word in MISSING or _is_limit(text):
            return math.nan
        return self.words.get(word, math.inf)

    def _trouble(self, text: str) -> str:
        if self.words:
            return f"is neither {' nor '.join(self.words)}"
        if self.decimal == "," and "." in text and _is_number(text):
            return "has a decimal point, but --decimal names the comma"
        if _is_comma_number(text.strip()):
            return f"has a comma, but {'--decimal names' if self.decimal else 'other labels have'} a decimal point"
        if _looks_grouped(text.strip()):
            return f"seems to have thousands separators; {ungrouping(text.strip())}"
        return "is beyond single precision (3.4e38)" if _is_number(text) else "is not a number"


def ungrouping(text: str) -> str:
    """Say what to do about the thousands separators of a number."""
    if _is_separator.search(text):
        return f"write {_is_separator.sub('', text)}"
    return "remove them, or choose the decimal sign with --decimal"


def _with_ascii_minus(text: str) -> str:
    """Replace the Unicode minus sign of word processors by the hyphen."""
    return text.replace("\N{MINUS SIGN}", "-")


def _number(text: str, decimal: DecimalSign | None) -> float:
    """Return the number of a text, with the other sign between thousands if `decimal` is given; infinity if it is none."""
    if decimal and _is_grouped[decimal](text):
        text = text.replace("," if decimal == "." else ".", "").replace(",", ".")
    elif decimal == ",":
        text = text.replace(",", ".") if _is_comma_number(text) else "" if "." in text else text
    try:
        return float(text)
    except ValueError:
        return math.inf


def is_comma_number(text: str) -> bool:
    """Return whether a text is a number with a comma that may be decimal."""
    return _is_comma_number(text.strip()) is not None


def is_limit(text: str) -> bool:
    """Return whether a label is only a limit of the value, such as >10."""
    return _is_limit(text.strip()) is not None


class Survey:
    """Statistics of a column of labels, updated part by part in constant memory."""

    def __init__(self, name: str, decimal: DecimalSign | None = None) -> None:
        """decimal: the decimal sign if the user named one; otherwise it is inferred from the column."""
        self.name, self.decimal = name, decimal
        self.rows, self.kinds = 0, Counter[str]()
        self.words: set[str] = set()
        self.low, self.high = math.inf, -math.inf
        self.thousands = ""
        """The last number with a comma that may be decimal or separate thousands, such as 1,234; empty if there is none."""
        self.grouped = ""
        """The last number with a point that may be decimal or separate thousands, such as 1.234; empty if there is none."""
        self.separated = ""
        """The last text that is a number only if it has thousands separators, such as 1'234; empty if there is none."""
        self.has_points = False
        """Whether there are points that can only be decimal."""
        self.whole = self.ascending = True
        self._last = -math.inf

    def add(self, texts: Sequence[str]) -> None:
        """Add labels to the statistics."""
        self.rows += len(texts)
        for text, count in Counter(texts).items():
            self.kinds[self._kind_of(text)] += count
        if self.whole:
            self._look_for_an_index(texts)

    def _kind_of(self, given: str) -> str:
        text = _with_ascii_minus(given).strip()
        word = text.lower()
        if word in MISSING:
            return "missing"
        if _is_limit(text):
            return "limit"
        if word in _words_of_classes:
            self.words.add(word)
            return "word"
        decimal = None if isinstance(given, Number) else self.decimal
        value = _number(text, "," if decimal is None and _is_comma_number(text) else decimal)
        if abs(value) > LARGEST or "_" in text:
            self.separated = text if _looks_grouped(text) else self.separated
            return "beyond" if _is_number(text) else "grouped" if _looks_grouped(text) else "text"
        self.thousands = text if _may_be_thousands(text) else self.thousands
        if "." in text and not isinstance(given, Number):
            self.grouped, self.has_points = (text, self.has_points) if _is_grouped[","](text) else (self.grouped, True)
        self.low, self.high = min(self.low, value), max(self.high, value)
        return "comma" if "," in text else "point" if "." in text else "whole"

    def _look_for_an_index(self, texts: Iterable[str]) -> None:
        for text in texts:
            try:
                value = float(text)
            except ValueError:
                self.whole = False
                return
            self.whole &= value.is_integer()
            self.ascending &= value > self._last
            self._last = value

    @property
    def labels(self) -> int:
        """Number of rows with a usable label."""
        return self.rows - self.kinds["missing"] - self.kinds["limit"] - self.unreadable

    @property
    def unreadable(self) -> int:
        """Number of rows whose label cannot be read; with points in the column, numbers with a comma are among them."""
        kinds = ("text", "grouped", "beyond", *(["comma"] if self.decimal is None and self.kinds["point"] else []))
        return sum(self.kinds[kind] for kind in kinds)

    @property
    def is_empty(self) -> bool:
        """Whether all labels are missing or limits."""
        return self.rows == self.kinds["missing"] + self.kinds["limit"]

    @property
    def is_text(self) -> bool:
        """Whether most non-missing values are neither a number nor a class."""
        return 2 * (self.kinds["text"] + self.kinds["grouped"]) > self.rows - self.kinds["missing"]

    @property
    def is_grouped(self) -> bool:
        """Whether most non-missing values are numbers with thousands separators that the decimal sign does not explain."""
        return 2 * self.kinds["grouped"] > self.rows - self.kinds["missing"]

    @property
    def may_be_grouped(self) -> bool:
        """Whether all points may separate thousands, as in 1.770, and no decimal sign is named."""
        return self.decimal is None and bool(self.grouped) and not self.has_points

    @property
    def is_constant(self) -> bool:
        """Whether it has several labels, which are all equal."""
        if self.words:
            return len(self.words) == 1 and self.kinds["word"] == self.labels and self.labels > 1
        return self.low == self.high and self.labels > 1

    @property
    def is_index(self) -> bool:
        """Whether it looks like an index or identifier: whole numbers that have such a name, only ascend, or are very large."""
        named = _names_identifiers(self.name.lower()) or self.name.endswith(("ID", "Id"))
        counted = self.ascending and self.rows >= ROWS_FOR_AN_INDEX
        return self.rows > 0 and self.whole and bool(named or counted or self.low >= REGISTRY_NUMBER)

    @property
    def is_occasion(self) -> bool:
        """Whether it looks like a year, date, batch or plate: whole numbers that have such a name."""
        return self.rows > 0 and self.whole and bool(_names_occasions(self.name.lower()))

    def reader(self) -> LabelReader:
        """Return how to read the column. Raises MolclrError if its commas may separate decimals or thousands."""
        pair = next((pair for pair in CLASS_WORDS if self.words and self.words <= pair.keys()), None)
        if pair and (self.low, self.high) in {(math.inf, -math.inf), (0, 0), (0, 1), (1, 1)}:
            return LabelReader(self.name, pair)
        if self.decimal is None and self.thousands:
            raise MolclrError(
                f"'{self.thousands}' in the column '{self.name}' may have a decimal comma or a comma between thousands; "
                "choose with --decimal , or --decimal ."
            )
        has_commas = self.kinds["comma"] > 0 and not self.kinds["point"]
        return LabelReader(self.name, decimal=self.decimal or ("," if has_commas else None))

    def __str__(self) -> str:
        """Describe the column for the user."""
        found = self.reader()
        if found.words:
            what = f"{counted(self.labels, 'label')}, {' and '.join(found.words)} read as 0 and 1"
        else:
            what = counted(self.labels, "label")
            if self.low <= self.high:
                what += f" from {self.low:g} to {self.high:g}"
            if found.decimal == "," and self.kinds["comma"] > 0:
                what += " with decimal commas"
        if self.may_be_grouped:
            what += (
                f" (points as in {self.grouped} are read as decimal; --decimal , reads them as thousands separators)"
            )
        what += f", {self.kinds['missing']} missing"
        if limits := self.kinds["limit"]:
            what += f", {limits} limits such as >10 taken as missing"
        if self.unreadable:
            what += f", {self.unreadable} that cannot be read"
        return f"{what}; all labels are equal" if self.is_constant else what
