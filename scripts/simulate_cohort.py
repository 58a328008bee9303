"""Simulate a cohort of subjects with T1, T2, PD and FLAIR: `--output data/simulated --subjects 20 --spacing 2`.

Nothing is downloaded: the anatomy comes from nilearn's wheel, or from `--label_map`.
"""

import logging
from collections.abc import Sequence

from unicoal_components.command_line import run_command
from unicoal_components.runtime.stopping import exit_when_stopped
from unicoal_components.simulation import cohort

logger = logging.getLogger("simulate_cohort")


def simulate_cohort(
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
    brain_only: float = False,
    contrast_spread: float = 1.0,
    nifti: bool = False,
    overwrite: bool = False,
) -> None:
    """Simulate a cohort of subjects; the same seed gives the same bytes.

    The same command continues a simulation that was stopped. Exit status 130 and 143: stopped by Ctrl-C or SIGTERM.

    Args:
        output: folder for the subject files and datalist.json.
        subjects: number of subjects.
        split: fractions of training, validation, test (0.7,0.1,0.2), or numbers of subjects (7,1,2).
        spacing: edge of the cubic voxels in mm.
        seed: seed of all random values.
        lesions: largest number of white matter lesions per subject.
        noise: standard deviation of the noise relative to the 99th percentile of each modality.
        label_map: label map (FreeSurfer, SynthSeg or your own), or a folder of them, instead of the MNI152 brain.
        label_classes: JSON file label -> tissue for your own labels, such as {"0": "background", "1": "gray"}.
        brain_only: remove skull, scalp and face from the label map; a number such as 0.5 does so for that fraction of
            the subjects.
        contrast_spread: variation of pulse sequences and field strengths, from 0 (each modality's standard) to 1.
        nifti: also write nifti/<subject>/<modality>.nii.gz.
        overwrite: simulate all subjects again, and replace another cohort in output.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    datalist = cohort.simulate_cohort(
        output=str(output),
        subjects=subjects,
        split=split,
        spacing=spacing,
        seed=seed,
        lesions=lesions,
        noise=noise,
        label_map=None if label_map is None else str(label_map),
        label_classes=None if label_classes is None else str(label_classes),
        brain_only=brain_only,
        contrast_spread=contrast_spread,
        nifti=nifti,
        overwrite=overwrite,
    )
    logger.info("wrote %s", datalist)


if __name__ == "__main__":
    with exit_when_stopped("Finished subjects are kept; run the same command again to go on."):
        run_command(simulate_cohort)
