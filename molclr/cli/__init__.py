"""The command line: commands of users, and steps of the workflow. Functions import what is slow to import."""

import difflib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NoReturn

from molclr import __version__
from molclr.cli import data, embed, encoders, explain, models, predict, results, search, train
from molclr.cli.command import Command
from molclr.errors import MolclrError
from molclr.progress import say

GROUPS: dict[str, tuple[Command, ...]] = {
    "your own molecules": (train.TRAIN, predict.PREDICT, explain.EXPLAIN, embed.EMBED, search.SEARCH),
    "encoders and the workflow": (encoders.PRETRAIN, models.FINETUNE, results.SHOW),
    "steps of the workflow, data": (
        data.FETCH,
        data.CANONICALIZE,
        data.SPLIT,
        data.FEATURIZE,
        data.JOIN,
        data.AUDIT,
        data.LEAKAGE,
        data.EXCLUDE,
    ),
    "steps of the workflow, training": (encoders.IMPORT_OFFICIAL, encoders.EMBED_STORE, models.BASELINE, models.CHOOSE),
    "steps of the workflow, results": (
        results.TABLE,
        results.PREDICTIONS,
        results.MAPS,
        results.FIGURE_BENCHMARKS,
        results.FIGURE_PRETRAINING,
        results.FIGURE_FINETUNING,
        results.FIGURE_TSNE,
        results.FIGURE_RETRIEVAL,
        results.REPORT,
    ),
}
"""The commands, as `molclr --help` lists them."""
COMMANDS = {command.name: command for command in chain(*GROUPS.values())}

USAGE_ERROR = 2
INTERRUPTED = 130
OUTPUT_CLOSED = 128 + signal.SIGPIPE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0, 1 for a mistake in files or settings, 2 in the command, 130 when interrupted.

    141 if the reader of the output, such as `head`, closed it, which is not an error.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        try:
            return _main(words)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more when it ends.
        return OUTPUT_CLOSED


def _main(words: list[str]) -> int:
    if words == ["--version"]:
        print(f"molclr {__version__}")
        return 0
    for length in (2, 1):
        if command := COMMANDS.get(" ".join(words[:length])):
            return _run(command, words[length:])
    named = [word for word in words if word not in ("-h", "--help")]
    listed = [command for command in COMMANDS.values() if command.name.split()[: len(named)] == named]
    if listed and len(named) < 2:
        groups = {name: [command for command in group if command in listed] for name, group in GROUPS.items()}
        print(help_text(groups))
        return 0 if words != named else USAGE_ERROR
    say(f"error: {_complaint(named)}")
    return USAGE_ERROR


def help_text(groups: Mapping[str, Sequence[Command]]) -> str:
    """Describe the commands of `groups`, line by line."""
    lines = [
        "usage: molclr COMMAND ...",
        "       molclr COMMAND --help    arguments of a command, and an example",
        "       molclr --version",
        "",
        "Molecular contrastive learning of representations.",
    ]
    width = max(map(len, COMMANDS)) + 2
    for name, commands in groups.items():
        if commands:
            lines += ["", f"{name}:", *(f"  {command.name:{width}}{command.summary}" for command in commands)]
    return "\n".join(lines)


def _complaint(words: list[str]) -> str:
    """Return the error for an unknown command, with the closest one."""
    family = {name for name in COMMANDS if " " in name and name.split()[0] == words[0]}
    given = " ".join(words[:2]) if family else words[0]
    close = difflib.get_close_matches(given, family or COMMANDS, n=1, cutoff=0.5)
    kind = "option" if given.startswith("-") else "command"
    meant = f"did you mean 'molclr {close[0]}'? " if close else ""
    return f"there is no {kind} '{given}'; {meant}'molclr --help' lists all commands."


def _run(command: Command, words: list[str]) -> int:
    parser = command.parser()
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as with nohup
        signal.signal(signal.SIGHUP, _terminate)
    try:
        command.run(parser.checked(words))
    except BrokenPipeError:
        raise
    except (MolclrError, OSError) as error:  # The user can correct a full disk or a missing permission.
        say(f"error: {error}", every_process=True)
        return 1
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    return 0


def _terminate(*_: object) -> NoReturn:
    """End as after Ctrl-C on SIGTERM and SIGHUP, so that temporary files are deleted."""
    raise KeyboardInterrupt
