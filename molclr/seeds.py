"""Random seeds without hidden state: each random stream has a seed that is derived from the run's seed and its purpose.

Checkpoints therefore contain no state of random number generators, and a resumed run draws the same numbers.
"""

import numpy as np


def derive_seed(seed: int, *purpose: int | str) -> int:
    """Derive a 63-bit seed for a purpose, for example `derive_seed(0, "views", epoch, step)`."""
    words = [seed, len(purpose)]
    for part in purpose:
        words.append(part if isinstance(part, int) else int.from_bytes(part.encode(), "little"))
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))
