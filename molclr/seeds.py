"""Randomness without hidden state: every stream is derived from the seed and from what it is for.

Nothing about a random stream has to be saved in a checkpoint, so a resumed run draws what an undisturbed one draws.
"""

import numpy as np


def derive_seed(seed: int, *purpose: int | str) -> int:
    """A 63-bit seed for one purpose, such as `derive_seed(0, "views", epoch, step)`."""
    words = [seed, len(purpose)]
    for part in purpose:
        words.append(part if isinstance(part, int) else int.from_bytes(part.encode(), "little"))
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))
