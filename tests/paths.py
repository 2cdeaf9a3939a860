"""Where tests find things."""

import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
GOLDEN = REPOSITORY / "tests" / "golden"
FIXTURES = REPOSITORY / "tests" / "fixtures"


def copy_repository(target):
    """What git would clone, with what is not committed yet, at a path with a space."""
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    files = subprocess.run(listing, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (REPOSITORY / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(REPOSITORY / name, target / name, follow_symlinks=False)
    return target
