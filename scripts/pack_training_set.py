"""Pack a training set into one file of limited size, from which the bundles train as from a datalist.

    python scripts/pack_training_set.py --datalist DATA/datalist.json --output set.h5    # at most 50 MB
    python scripts/pack_training_set.py --check set.h5                                   # is it whole?

Then train with `--datalist set.h5`. What is left out so that it fits is said, and stands in the file.
"""

import logging
from collections.abc import Sequence

from unicoal_components.command_line import run_command
from unicoal_components.datasets.packed_set import MEGABYTE, check_packed_set
from unicoal_components.datasets.packed_set import pack_training_set as write_packed_set

logger = logging.getLogger("pack_training_set")


def pack_training_set(
    *,
    datalist: str | None = None,
    output: str | None = None,
    max_mb: float | None = 50.0,
    section: str | Sequence[str] = ("training", "validation"),
    largest_step: int = 8,
    check: str | None = None,
) -> None:
    """Write the subjects of a datalist into one HDF5 file, or check such a file.

    As little as possible is left out, in this order, the same of all subjects: borders without foreground; the noise of
    the air outside the head; the low bits of the intensities; what is far from the middle of the head.

    Args:
        datalist: datalist.json of prepare_data.py or simulate_cohort.py.
        output: the file to write, such as set.h5.
        max_mb: limit of its size in MB; null = none.
        section: sections to pack, separated by commas; validation, by which training chooses its best network, as well.
        largest_step: intensities, 0 to 255, may be rounded to steps of so many; 1 = voxels of the head stay exact, and
            more is cropped instead. Steps of 8 are below the noise of most scans (41 dB).
        check: a packed file, to be compared with its checksums; nothing is written.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if check is not None:
        if datalist is not None or output is not None:
            raise ValueError("--check stands alone; give --datalist and --output without it to write a packed set.")
        logger.info("%s: %d datasets, all as their checksums say", check, check_packed_set(str(check)))
        return
    if datalist is None or output is None:
        raise ValueError("give --datalist and --output to write a packed set, or --check to check one.")
    sections = section.split(",") if isinstance(section, str) else section
    packed = write_packed_set(
        str(output),
        datalist=str(datalist),
        sections=[str(name).strip() for name in sections],
        max_mb=max_mb,
        largest_step=largest_step,
    )
    counts = ", ".join(f"{number} {name}" for name, number in packed.subjects.items())
    logger.info("wrote %s: %s, %.2f MB", packed.path, counts, packed.size / MEGABYTE)
    logger.info("left out: %s", packed.reduction)


if __name__ == "__main__":
    run_command(pack_training_set)
