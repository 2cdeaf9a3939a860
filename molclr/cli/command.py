"""Commands, and a parser that records which arguments name files to read or write."""

import argparse
import difflib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any, NamedTuple, NoReturn

from molclr.config import SUFFIXES_OF_SECTIONS, EncoderChoice, EncoderShape, Section, parse_settings
from molclr.errors import MolclrError
from molclr.progress import say
from molclr.qsar.model_files import is_model

TABLE = "table: CSV, TSV, .smi, Excel, Parquet or SDF, compressed or not; - is standard input"
"""Help of an argument that is a raw table."""
OPTIONS_OF_TABLE = ("-i", "--data-path", "--test-path")
"""What chemprop calls the argument that is a raw table."""
NAMES_HERE = {
    "--accelerator": "--device",
    "--devices": "--device",
    "--num-workers": "--threads",
    "--splits-column": "--split",
}
"""Options of chemprop -> the option, or the key of a section, that does the same here."""


@dataclass(frozen=True)
class Command:
    """A command `molclr NAME`, whose name may be two words.

    summary: what it does, for the list of commands. example: command lines for its help, one per line.
    """

    name: str
    summary: str
    example: str
    arguments: Callable[["Parser"], None]
    run: Callable[[argparse.Namespace], None]

    def parser(self) -> "Parser":
        """Make a parser of the arguments."""
        parser = Parser(
            prog=f"molclr {self.name}",
            description=f"{self.summary[0].upper()}{self.summary[1:]}.",
            epilog="example:\n" + indent(self.example, "  "),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.arguments(parser)
        return parser


class PathArgument(NamedTuple):
    """An argument that names files or folders: its attribute in the options, its label for the user, and its use."""

    dest: str
    label: str
    is_written: bool
    is_folder: bool | None
    """None: either a file or a folder."""
    is_model: bool = False
    """Whether it is the folder of a model, which the command may replace."""


class Parser(argparse.ArgumentParser):
    """Parser of one command, which records what is read and written, and which arguments are sections of the configuration.

    `reads` and `writes` take the arguments of `add_argument`, and `to`, the group of arguments to which the new one is added.
    """

    def __init__(self, **details: Any) -> None:
        super().__init__(**details, allow_abbrev=False)  # --seed is not short for --seeds, a number of networks.
        self.path_arguments: list[PathArgument] = []
        self.sections: dict[str, tuple[str, type[Section]]] = {}
        self.words: list[str] = []

    def reads(self, *flags: str, folder: bool | None = False, to: Any = None, **details: Any) -> None:
        """Add an argument that names files to read; folders if `folder` is true, either if it is None."""
        self._add_path(flags, False, folder, to or self, details)

    def writes(
        self, *flags: str, folder: bool | None = False, model: bool = False, to: Any = None, **details: Any
    ) -> None:
        """Add an argument that names a file to write; a folder if `folder` is true, either if it is None.

        model: whether the folder is that of a model, which the command may replace.
        """
        self._add_path(flags, True, folder, to or self, details, model)

    def section(self, option: str, section: type[Section], default: str | None = "{}") -> None:
        """Add an option whose value is a section of the configuration, as YAML or the path of a YAML file.

        default: the section without the option; None for no section.
        """
        action = self.add_argument(
            option,
            default=default,
            metavar="YAML",
            help=f"YAML, inline or the path of a file; keys: {', '.join(section.model_fields)} (see docs/configuration.md)",
        )
        self.sections[action.dest] = (option, section)
        self.path_arguments.append(PathArgument(action.dest, option, is_written=False, is_folder=False))

    def _add_path(
        self,
        flags: tuple[str, ...],
        is_written: bool,
        is_folder: bool | None,
        to: Any,
        details: dict[str, Any],
        is_model: bool = False,
    ) -> None:
        action = to.add_argument(*flags, **({} if "action" in details else {"type": Path}) | details)
        self.path_arguments.append(PathArgument(action.dest, flags[0], is_written, is_folder, is_model))

    def checked(self, words: list[str]) -> argparse.Namespace:
        """Parse `words` and validate paths and sections. Raises MolclrError for unsuitable paths and settings.

        Exits with code 2 if an argument is missing or unknown.
        """
        has_table = any(argument.dest == "table" for argument in self.path_arguments)
        self.words = table_first(words) if has_table else words
        options = self.parse_args(self.words)
        check_paths(options, self.path_arguments)
        for dest, (option, section) in self.sections.items():
            if (text := getattr(options, dest)) is not None:
                setattr(
                    options,
                    dest,
                    _shape(option, text) if section is EncoderShape else parse_settings(section, text, option),
                )
        return options

    def error(self, message: str) -> NoReturn:
        """Exit with code 2 and one line. Options that do not exist are named, even if others are missing, with what to use."""
        given = [word.partition("=")[0] for word in self.words if word.startswith("--")]
        unknown = [option for option in given if option not in self._option_string_actions]
        if unknown and "required" in message:
            message += f" (there is no option {', '.join(unknown)})"
        advice = "".join(map(self._instead_of, unknown))
        self.exit(2, f"{self.prog}: error: {message}{advice}; see '{self.prog} --help'.\n")

    def _instead_of(self, option: str) -> str:
        """Say what is meant by an option that does not exist: another option, a key of a section, or similar options."""
        meant = option.replace("_", "-")
        meant = NAMES_HERE.get(meant, meant)
        if meant in (*self._option_string_actions, *OPTIONS_OF_TABLE):
            return f"; {option} is {meant} here"
        key = meant.removeprefix("--").replace("-", "_")
        for name, section in self.sections.values():
            if key in section.model_fields:
                return f"; {option} is {name} '{{{key}: ...}}' here"
        close = difflib.get_close_matches(meant, self._option_string_actions, n=2, cutoff=0.7)
        return f"; did you mean {' or '.join(close)} by {option}?" if close else ""


def table_first(words: list[str]) -> list[str]:
    """Return the words of a command with the table, if it is given as an option, as the first argument."""
    for place, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in OPTIONS_OF_TABLE:
            given, rest = (
                ([value], words[place + 1 :]) if equals else (words[place + 1 : place + 2], words[place + 2 :])
            )
            return [*given, *words[:place], *rest]
    return words


def check_paths(options: argparse.Namespace, arguments: list[PathArgument]) -> None:
    """Raise MolclrError if a file is named instead of a folder or the reverse, or would be written over another or into a model.

    Files that are only read may be named twice. Whether they exist is checked when they are read.
    """
    used: dict[Path, PathArgument] = {}
    for argument in arguments:
        for path in _paths_in(getattr(options, argument.dest)):
            _check_kind(path, argument)
            before = used.get(path.resolve())
            if before and (before.is_written or argument.is_written):
                raise MolclrError(f"'{path}' is given as {before.label} and as {argument.label}; name another file.")
            used[path.resolve()] = argument


def _check_kind(path: Path, argument: PathArgument) -> None:
    if path.exists() and argument.is_folder is not None and path.is_dir() != argument.is_folder:
        kind, wanted = ("folder", "file") if path.is_dir() else ("file", "folder")
        raise MolclrError(f"{argument.label}: '{path}' is a {kind}; name a {wanted}.")
    if argument.is_written:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise MolclrError(f"{argument.label}: '{path}' is a device, not a file that can be replaced; name a file.")
        folder = path if argument.is_folder else path.parent
        place = path.resolve()
        if is_model(place.parent) or (is_model(place) and not argument.is_model):
            raise MolclrError(f"{argument.label}: '{path}' would be in the folder of a model; choose another place.")
        above = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            raise MolclrError(f"{argument.label}: nothing can be written in '{above}'; name another place.")


def _paths_in(value: Any) -> Iterator[Path]:
    """Yield the paths in the value of an argument: a path, a list, or text that names the YAML file of a section."""
    if isinstance(value, Path) or (isinstance(value, str) and value.endswith(SUFFIXES_OF_SECTIONS)):
        yield Path(value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _paths_in(item)


def natural(text: str) -> int:
    """Parse a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 0")
    return int(text)


def positive(text: str) -> int:
    """Parse a whole number of at least 1."""
    if natural(text) == 0:
        raise argparse.ArgumentTypeError("the number must be at least 1")
    return int(text)


def parquet(text: str) -> Path:
    """Parse the path of a Parquet file to write."""
    if not text.endswith(".parquet"):
        raise argparse.ArgumentTypeError(f"'{text}' must end in .parquet")
    return Path(text)


def csv_or_parquet(text: str) -> Path:
    """Return the path of a CSV or Parquet file to write."""
    if not text.endswith((".csv", ".parquet")) and not Path(text).is_dir():  # check_paths reports folders.
        raise argparse.ArgumentTypeError(f"'{text}' must end in .csv or .parquet")
    return Path(text)


def add_smiles_column(parser: Parser) -> None:
    """Add the option for the column with the SMILES, which chemprop calls --smiles-columns."""
    parser.add_argument(
        "--smiles-column",
        "--smiles-columns",
        help="column with the SMILES (default: detected by its name or its content)",
    )


def add_decimal(parser: Parser) -> None:
    """Add the option for the decimal sign of labels."""
    parser.add_argument("--decimal", choices=[",", "."], help="decimal sign of labels (default: detected)")


def add_processes(parser: Parser, default: int = 1) -> None:
    """Add the option for the number of processes."""
    parser.add_argument(
        "--processes",
        "--num-workers",
        type=positive,
        default=default,
        help=f"number of parallel processes (default: {default})",
    )


def add_desalt(parser: Parser) -> None:
    """Add the option that keeps one part of salts and mixtures."""
    parser.add_argument(
        "--desalt",
        action="store_true",
        help="keep only the largest organic part of salts and mixtures, neutralized where possible",
    )


def require_free(output: Path, force: bool) -> None:
    """Raise MolclrError if a file exists, unless it may be replaced."""
    if output.exists() and not force:
        raise MolclrError(f"'{output}' exists; choose another file, or replace it with --force.")


def _shape(option: str, text: str) -> EncoderShape:
    """Parse the shape of an encoder; report that a name beside it, as in a configuration of the workflow, is not used."""
    choice = parse_settings(EncoderChoice, text, option)
    if choice.name:
        say(
            f"{option}: only the shape is used, not the encoder {choice.name}; select it with --encoder or --from-scratch"
        )
    return choice.shape
