"""The program `molclr`, which is also `python -m molclr`; torchrun starts the latter."""

import sys


def main() -> int:
    """Run the command line and return its exit code, 130 if it is interrupted while modules are imported."""
    try:
        from molclr.cli import main as run
        from molclr.imports import search_working_directory

        search_working_directory()
        return run()
    except KeyboardInterrupt:
        print("molclr: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
