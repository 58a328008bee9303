"""Simulate a cohort of persons with T1, T2, PD and FLAIR: `--output data/simulated --subjects 20 --spacing 2`.

Nothing is downloaded: the anatomy comes from nilearn's wheel, or from `--label_map`.
"""

import logging
import sys
from collections.abc import Sequence
from typing import Any

import fire

from unicoal_components.data.cohort import simulate_cohort

logger = logging.getLogger("simulate_cohort")


def options(
    *,
    output: str,
    subjects: int = 10,
    split: Sequence[float] = (0.7, 0.1, 0.2),
    spacing: float = 1.0,
    seed: int = 0,
    lesions: int = 0,
    noise: float = 0.01,
    label_map: str | None = None,
    label_classes: str | None = None,
    brain_only: bool = False,
    nifti: bool = False,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Simulate a cohort; the same seed gives the same bytes.

    Args:
        output: folder for the subject files and datalist.json.
        subjects: number of persons.
        split: fractions of training, validation, test (0.7,0.1,0.2), or numbers of persons (7,1,2).
        spacing: voxel edge in mm.
        seed: of everything drawn.
        lesions: largest number of white matter lesions per person.
        noise: standard deviation of the noise relative to the 99th percentile of each modality.
        label_map: label map (FreeSurfer, SynthSeg or your own), or a folder of them, instead of the MNI152 brain.
        label_classes: JSON file label -> tissue for labels of your own, such as {"0": "background", "1": "gray"}.
        brain_only: leave out skull, scalp and face of the label map.
        nifti: also write nifti/<subject>/<modality>.nii.gz.
        overwrite: replace an earlier cohort in output.
    """
    paths = {"label_map": label_map, "label_classes": label_classes}
    return {
        "output": str(output),
        "subjects": subjects,
        "split": split,
        "spacing": spacing,
        "seed": seed,
        "lesions": lesions,
        "noise": noise,
        "brain_only": brain_only,
        "nifti": nifti,
        "overwrite": overwrite,
        **{name: None if path is None else str(path) for name, path in paths.items()},
    }


def main() -> None:
    """Read the options, then simulate: fire alone would start before it complains of a misspelled option."""
    chosen = fire.Fire(options, name="simulate_cohort", serialize=lambda _: None)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        datalist = simulate_cohort(**chosen)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    logger.info("wrote %s", datalist)


if __name__ == "__main__":
    main()
