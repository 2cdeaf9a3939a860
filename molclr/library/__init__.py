"""Libraries of molecules: embed a table, index it, search it."""

from typing import Literal

OnRejected = Literal["keep", "drop", "raise"]
"""What `molclr embed` does with a rejected row: keep it with its reason and without a vector, leave it out, or raise an error."""
