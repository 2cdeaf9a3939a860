"""Where tests find things."""

from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
GOLDEN = REPOSITORY / "tests" / "golden"
FIXTURES = REPOSITORY / "tests" / "fixtures"
