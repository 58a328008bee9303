"""Random split of subjects into training, validation and test."""

from collections.abc import Mapping, Sequence

import numpy as np

from ..datasets.datalist import SECTIONS


def split_subjects(
    subjects: Sequence[str], *, fractions: Sequence[float], seed: int, persons: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Draw the section of every subject; subjects of one person share it.

    The draw depends on the set of names and the seed only, not on their order. Counts are rounded by largest
    remainder; if there are enough persons, every section with a fraction above 0 gets at least one.

    Args:
        subjects: different names.
        fractions: fractions of persons for training, validation and test; each in [0, 1], sum 1.
        seed: seed of the random split.
        persons: per subject the person whose scans these are; a subject that is missing here is a separate person.

    Returns:
        Per subject its section.

    Raises:
        ValueError: `fractions` are not three numbers in [0, 1] that sum to 1.

    Example:
        >>> split_subjects(["a", "b"], fractions=(1, 0, 0), seed=0)
        {'a': 'training', 'b': 'training'}
    """
    person_of = {name: (persons or {}).get(name, name) for name in sorted(subjects)}
    names = sorted(set(person_of.values()))
    counts = _counts(len(names), fractions)
    shuffled = np.random.default_rng(seed).permutation(names).tolist()
    drawn = dict(zip(shuffled, np.repeat(SECTIONS, counts).tolist(), strict=True))
    return {name: drawn[person] for name, person in person_of.items()}


def _counts(total: int, fractions: Sequence[float]) -> list[int]:
    """Return how many of `total` persons go into each section."""
    shares = np.asarray(fractions, dtype=float)
    if shares.shape != (3,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-6:
        raise ValueError(
            f"split {fractions} must be three fractions in [0, 1] for {', '.join(SECTIONS)} that sum to 1, "
            "such as 0.8,0.1,0.1."
        )
    counts = np.floor(shares * total + 1e-9).astype(int)
    remainders = shares * total - counts
    for index in np.argsort(-remainders, kind="stable")[: total - counts.sum()]:
        counts[index] += 1
    if total >= np.count_nonzero(shares):
        for index in np.flatnonzero((shares > 0) & (counts == 0)):
            counts[np.argmax(counts)] -= 1
            counts[index] += 1
    return counts.tolist()
