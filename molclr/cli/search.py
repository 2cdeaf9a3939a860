"""The command that finds the nearest molecules of a library."""

import argparse
import json
import os
from contextlib import closing
from pathlib import Path

from molclr.cli.command import Command, Parser, csv_or_parquet, positive, require_free
from molclr.cli.embed import add_embedder, embedder_of
from molclr.progress import counted, say

DRAWN = 10
"""The most queries in a figure."""


def _query(text: str) -> str | Path:
    """Parse a query: the path of an existing file, or else a SMILES."""
    return Path(text) if text == "-" or os.path.exists(text) else text


def _svg(text: str) -> Path:
    """Parse the path of an SVG file to write."""
    if not text.endswith(".svg"):
        raise argparse.ArgumentTypeError(f"'{text}' must end in .svg, as in hits.svg")
    return Path(text)


def _arguments(parser: Parser) -> None:
    parser.reads("query", type=_query, help="a molecule as SMILES, or a table of molecules")
    parser.reads("--library", required=True, help="table of molecules that is searched; it is indexed once")
    parser.add_argument("-k", "--count", type=positive, default=10, help="hits by each similarity (default: 10)")
    parser.writes(
        "--output", "-o", type=csv_or_parquet, help="table of hits to write (.csv or .parquet; default: printed)"
    )
    parser.writes("--figure", type=_svg, help=f"drawing of the first {DRAWN} queries and their hits (.svg)")
    parser.writes(
        "--index", help="index of the library, made where it is missing or stale (default: next to the library)"
    )
    parser.add_argument(
        "--query-smiles-column", help="column with the SMILES of a table of queries (default: detected)"
    )
    add_embedder(parser)
    parser.add_argument("--force", action="store_true", help="replace output and figure")
    parser.add_argument("--json", action="store_true", help="print the hits as JSON")


def _run(options: argparse.Namespace) -> None:
    from molclr.library.drawing import draw_hits
    from molclr.library.hits import as_dict, lines_of
    from molclr.library.index import open_library
    from molclr.library.search import search

    for path in filter(None, (options.output, options.figure)):
        require_free(path, options.force)
    embedder = embedder_of(options)
    library = open_library(options.library, embedder, options.index, options.smiles_column, options.processes)
    queries, drawn, listed = 0, [], []
    asked = search(
        options.query,
        library,
        embedder,
        options.count,
        options.output,
        options.query_smiles_column,
        options.processes,
    )
    with closing(asked):
        for found in asked:
            queries += 1
            drawn += [found] if options.figure and queries <= DRAWN else []
            if options.json:
                listed.append(as_dict(found, library.columns))
            elif options.output is None:
                print("\n".join(lines_of(found)))
    if options.json:
        print(json.dumps({"library": str(options.library), "molecules": len(library), "queries": listed}, indent=2))
    if options.figure:
        draw_hits(drawn, options.figure)
        if queries > DRAWN:
            say(f"'{options.figure}' shows the first {DRAWN} of {queries} queries")
    written = ", ".join(f"'{path}'" for path in (options.output, options.figure) if path)
    say(
        f"{queries} {'query' if queries == 1 else 'queries'} in a library of {counted(len(library), 'molecule')}; cosine of h "
        f"({embedder.name}) and Tanimoto similarity of ECFP4 (2048 bits){f'; see {written}' if written else ''}"
    )


SEARCH = Command(
    "search",
    "find the nearest molecules of a library, by the representation and by ECFP4",
    "molclr search 'CC(=O)Oc1ccccc1C(=O)O' --library library.csv -k 5 --figure hits.svg\n"
    "molclr search queries.csv --library library.csv --output hits.csv",
    _arguments,
    _run,
)
