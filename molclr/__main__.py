"""`python -m molclr` is `molclr`; torchrun starts it like this."""

import sys

from molclr.cli import main

if __name__ == "__main__":
    sys.exit(main())
