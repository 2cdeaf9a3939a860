"""Write workflow/code.yaml, the digests of the code of each rule, which DVC reads as parameters:

    python -m workflow.digests

The Snakefile does this each time it is read, and so does the first stage of dvc.yaml, `code`. The digests include code that the
present configuration does not run. They depend on params.yaml only if it names user modules.
"""

import re
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import yaml

from molclr.digest import bytes_digest, code_digest
from molclr.files import replacing
from molclr.imports import modules_of

REPOSITORY = Path(__file__).parent.parent
CODE = REPOSITORY / "workflow/code.yaml"
RULES_OF = {"data": "data", "pretrain": "pretrain", "finetune": "finetune", "results": "evaluate"}
"""Stage of dvc.yaml, in order -> file of its rules in workflow/rules."""
SETTINGS_CODE = ("molclr.config", "molclr/data/catalogue.yaml")
"""Defaults and descriptions of data sets, which Snakemake sees in parameters and commands, but DVC does not."""
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
DOCUMENTED = ("rule", "checkpoint", "use", "def", "class")
"""Keywords of lines after which a triple-quoted string is a docstring."""


def renew() -> None:
    """Write workflow/code.yaml if it is out of date."""
    text = code_yaml()
    if not CODE.exists() or CODE.read_text() != text:
        with replacing(CODE) as temporary:
            temporary.write_text(text)


def code_yaml() -> str:
    """Return the content of workflow/code.yaml: for each stage, a digest of each rule's code and one of the rules themselves."""
    stages: dict[str, dict[str, str]] = {}
    texts = [meaning_of_rules((REPOSITORY / "Snakefile").read_text())]
    for stage, name in RULES_OF.items():
        path = REPOSITORY / f"workflow/rules/{name}.smk"
        texts.append(meaning_of_rules(path.read_text()))  # Later files use names of earlier ones.
        own = {"rules": bytes_digest("\n".join([*texts, code_digest(*SETTINGS_CODE)]).encode())}
        stages[stage] = own | {rule: code_digest(*names) for rule, names in code_of_rules(path)}
    if modules := named_modules():
        stages["pretrain"]["own"] = stages["finetune"]["own"] = code_digest(*modules)
    return f"# Made by `python -m workflow.digests`; do not edit.\n{yaml.safe_dump(stages, sort_keys=False)}"


def named_modules() -> list[str]:
    """List the user modules that params.yaml names for an encoder, a loss or augmentations."""
    path = REPOSITORY / "params.yaml"
    values = yaml.safe_load(path.read_text()) if path.exists() else {}  # A run may use only another configuration.
    return modules_of(_texts([values.get("encoder"), values.get("pretrain")]))


def _texts(value: Any) -> Iterator[str]:
    """Yield all strings in a YAML value, including keys."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for part in value:
            yield from _texts(part)
    elif isinstance(value, str):
        yield value


def code_of_rules(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each rule of a file and the names in its parameters `**code_of(...)`."""
    rule = ""
    for line in path.read_text().splitlines():
        if header := re.match(r" *(?:rule|use rule \w+ as) (\w+)", line):
            rule = header[1]
        elif call := re.match(r" *\*\*code_of\((.*)\),$", line):
            yield rule, re.findall(r'"(.*?)"', call[1])


def meaning_of_rules(text: str) -> str:
    """Return the tokens of a Snakefile, one per line, without comments, docstrings and blank lines.

    F-strings are single tokens, as before Python 3.12.
    """
    found: list[str] = []
    line: list[str] = []
    opening = ":"  # The first token of the last line that was not a docstring; ":" allows a docstring of the file.
    for kind, token in _tokens(text):
        if kind not in LAYOUT:
            line.append(tokenize.tok_name[kind] if not token.strip() else token)
        if kind == tokenize.NEWLINE:
            statement = [part for part in line if part not in ("INDENT", "DEDENT", "NEWLINE")]
            is_docstring = len(statement) == 1 and statement[0].startswith(('"""', "'''"))
            if is_docstring and opening in (":", *DOCUMENTED):
                line = [part for part in line if part in ("INDENT", "DEDENT")]
            found += line
            opening, line = statement[0], []
    return "\n".join(found + line)


def _tokens(text: str) -> Iterator[tuple[int, str]]:
    """Yield the kind and text of each token; f-strings are yielded as a whole, as in the source."""
    lines = text.splitlines(keepends=True)
    start_kind, end_kind = getattr(tokenize, "FSTRING_START", None), getattr(tokenize, "FSTRING_END", None)
    depth, start = 0, (0, 0)
    for token in tokenize.generate_tokens(StringIO(text).readline):
        if token.type == start_kind:
            start = start if depth else token.start
            depth += 1
        if not depth:
            yield token.type, token.string
        elif token.type == end_kind:
            depth -= 1
            if not depth:
                yield tokenize.STRING, _between(lines, start, token.end)


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    """Return the source between two positions, whose lines count from 1."""
    found = lines[start[0] - 1 : end[0]]
    found[-1] = found[-1][: end[1]]
    return "".join(found)[start[1] :]


if __name__ == "__main__":
    renew()
