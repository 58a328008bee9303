"""Pack a training set into one file of limited size, from which the bundles train as from a datalist.

    python scripts/pack_training_set.py --datalist DATA/datalist.json --output set.h5    # at most 50 MB
    python scripts/pack_training_set.py --check set.h5                                   # check it

Then train with `--datalist set.h5`. The reduction that makes it fit is logged and recorded in the file.
"""

if __name__ == "__main__":
    from unicoal_components import interruption

    interruption.start()

import logging

from unicoal_components.command_line import Words, run_command
from unicoal_components.datasets.packed_set import MEGABYTE, check_packed_set
from unicoal_components.datasets.packed_set import pack_training_set as write_packed_set

logger = logging.getLogger("pack_training_set")


def pack_training_set(
    *,
    datalist: str | None = None,
    output: str | None = None,
    max_mb: float | None = 50.0,
    section: Words = ("training", "validation"),
    largest_step: int = 8,
    check: str | None = None,
) -> None:
    """Write the subjects of a datalist into one HDF5 file, or check such a file.

    All subjects are reduced in the same way, as little as possible, in this order: borders without foreground; noise of
    the air outside the head; low bits of the intensities; outer parts of the head.

    Args:
        datalist: datalist.json of `unicoal prepare` or `unicoal simulate`.
        output: the file to write, such as set.h5.
        max_mb: size limit in MB; null = no limit.
        section: sections to pack, separated by commas; include validation, by which training selects its best network.
        largest_step: largest step to which intensities, 0 to 255, may be rounded; 1 = voxels of the head stay exact,
            and more is cropped instead. Steps of 8 are below the noise of most scans (41 dB).
        check: packed file to compare with its checksums; nothing is written.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if check is not None:
        if datalist is not None or output is not None:
            raise ValueError(
                "--check excludes --datalist and --output; give these two without --check to write a packed set."
            )
        logger.info("%s: %d datasets, all match their checksums", check, check_packed_set(check))
        return
    if datalist is None or output is None:
        raise ValueError("give --datalist and --output to write a packed set, or --check to check one.")
    sections = section.split(",") if isinstance(section, str) else section
    packed = write_packed_set(
        output,
        datalist=datalist,
        sections=[str(name).strip() for name in sections],
        max_mb=max_mb,
        largest_step=largest_step,
    )
    counts = ", ".join(f"{number} {name}" for name, number in packed.subjects.items())
    logger.info("wrote %s: %s, %.2f MB", packed.path, counts, packed.size / MEGABYTE)
    logger.info("left out: %s", packed.reduction)


if __name__ == "__main__":
    run_command(pack_training_set)
