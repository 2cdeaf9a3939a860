"""Wide tables as Markdown, for files and terminals, as LaTeX and as HTML."""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape

from molclr.evaluation.text import MINUS
from molclr.evaluation.wide import Cell, Column, Grid, Wide

_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "_%&#$"}
    | {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\^{}",
        "<": "$<$",
        ">": "$>$",
        "±": r"$\pm$",
        MINUS: "$-$",
        "≥": r"$\geq$",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "∘": r"$^\circ$",
        "§": r"\textsuperscript{\S}",
        "²": r"$^2$",
        "†": r"$^\dagger$",
        "‡": r"$^\ddagger$",
    }
)


def markdown(table: Wide, width: int | None = None) -> str:
    """Format as GitHub Markdown, padded so that it is readable as text.

    width: characters of a terminal; text is wrapped and grids are split to fit. A column that is wider is not split.
    """
    parts = [bulleted(table.verdict, width)]
    for grid in table.grids:
        parts += [_wrapped(grid.caption, width), *map(_markdown_grid, _split(grid.columns, width))]
    return "\n\n".join([*parts, *(_wrapped(note, width) for note in table.notes)]) + "\n"


def bulleted(sentences: Sequence[str], width: int | None = None) -> str:
    """Format the first sentence as a paragraph and the others as a list below it."""
    rest = "\n".join(_wrapped(f"- {sentence}", width) for sentence in sentences[1:])
    return "\n\n".join(filter(None, [_wrapped(sentences[0], width), rest]))


def _wrapped(text: str, width: int | None) -> str:
    """Wrap a paragraph, or an item of a list, at `width` characters; None: not at all."""
    indent = "  " if text.startswith("- ") else ""
    if not width:
        return text
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _split(columns: list[Column], width: int | None) -> Iterator[list[Column]]:
    """Yield groups of columns that fit into `width` characters, each with the first column.

    A column of the paper stays with the one before it. A group has at least one column in addition to the first.
    """
    blocks: list[list[Column]] = []
    for column in columns[1:]:
        blocks[-1:] = [[*blocks[-1], column]] if column.is_paper else [*blocks[-1:], [column]]
    part = columns[:1]
    for block in blocks:
        if width and len(part) > 1 and _width([*part, *block]) > width:
            yield part
            part = columns[:1]
        part = [*part, *block]
    yield part


def _width(columns: list[Column]) -> int:
    return sum(max(map(len, _markdown_texts(column))) + 3 for column in columns) + 1


def _markdown_texts(column: Column) -> list[str]:
    return [*column.heads, *(f"**{cell.text}**" if cell.bold else cell.marked for cell in column.cells)]


def _markdown_grid(columns: list[Column]) -> str:
    padded = []
    for place, column in enumerate(columns):
        texts = _markdown_texts(column)
        size = max(3, *map(len, texts))
        # The first column is left-aligned, the others are right-aligned, in the text and by the colons of the rule.
        rule = "-" * size if place == 0 else "-" * (size - 1) + ":"
        aligned = [text.ljust(size) if place == 0 else text.rjust(size) for text in texts]
        padded.append([aligned[0], rule, *aligned[1:]])
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*padded, strict=True))


def html(table: Wide) -> str:
    """Format as an HTML page."""
    grids = [f"<p>{escape(grid.caption)}</p>\n<table>\n{_html_rows(grid)}\n</table>" for grid in table.grids]
    return "\n".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>MolCLR</title>',
            "<style>body{font-family:sans-serif}td,th{padding:.2em .8em;text-align:right}",
            "td:first-child,th:first-child{text-align:left}.paper{color:#767676;font-weight:normal}</style>",
            f"<p><b>{escape(table.verdict[0])}</b></p>",
            *(f"<p>{escape(sentence)}</p>" for sentence in table.verdict[1:]),
            *grids,
            *(f"<p>{escape(note)}</p>" for note in table.notes),
            "</html>",
            "",
        ]
    )


def _html_rows(grid: Grid) -> str:
    def row(tag: str, texts: Iterable[str]) -> str:
        kinds = [' class="paper"' if column.is_paper else "" for column in grid.columns]
        return f"<tr>{''.join(f'<{tag}{kind}>{text}</{tag}>' for kind, text in zip(kinds, texts, strict=True))}</tr>"

    heads = [row("th", map(escape, line)) for line in _lines_of_heads(grid)]
    body = [row("td", (f"<b>{text}</b>" if bold else text for text, bold in line)) for line in _lines(grid, escape)]
    return "\n".join([*heads, *body])


def latex(table: Wide) -> str:
    """Format as a table environment that needs the package booktabs; its label is tab:TASK."""
    caption = " ".join([table.verdict[0], *(grid.caption for grid in table.grids)])
    return "\n".join(
        [
            "% Needs \\usepackage{booktabs}.",
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_tex(caption)}}}",
            rf"\label{{tab:{table.task}}}",
            "\n\n\\medskip\n".join(map(_latex_grid, table.grids)),
            *(rf"\par {{\footnotesize {_tex(note)}}}" for note in [*table.verdict[1:], *table.notes]),
            r"\end{table}",
            "",
        ]
    )


def _latex_grid(grid: Grid) -> str:
    def line(texts: Iterable[str]) -> str:
        return " & ".join(texts) + r" \\"

    body = [line(rf"\textbf{{{text}}}" if bold else text for text, bold in texts) for texts in _lines(grid, _tex, "")]
    return "\n".join(
        [
            rf"\begin{{tabular}}{{l{'r' * (len(grid.columns) - 1)}}}",
            r"\toprule",
            *(line(map(_tex, texts)) for texts in _lines_of_heads(grid)),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]
    )


def _tex(text: str) -> str:
    return text.translate(_LATEX)


def _lines_of_heads(grid: Grid) -> Iterator[tuple[str, ...]]:
    return zip(*(column.heads for column in grid.columns), strict=True)


def _lines(grid: Grid, escaped: Callable[[str], str], gap: str = " ") -> Iterator[list[tuple[str, bool]]]:
    """Yield the rows of a grid: escaped text with its mark after a `gap`, and whether it is bold."""

    def text(cell: Cell) -> tuple[str, bool]:
        return escaped(f"{cell.text}{gap}{cell.mark}".rstrip()), cell.bold

    for line in zip(*(column.cells for column in grid.columns), strict=True):
        yield [text(cell) for cell in line]
