"""`unicoal simulate`: a cohort of simulated subjects; the anatomy is in nilearn's wheel, or in label maps."""

import logging

from ..command_line import Numbers
from ..simulation import cohort

logger = logging.getLogger(__name__)


def simulate(
    *,
    output: str,
    subjects: int = 10,
    split: Numbers = (0.7, 0.1, 0.2),
    spacing: float = 1.0,
    seed: int = 0,
    lesions: int = 0,
    noise: float = 0.01,
    label_map: str | None = None,
    label_classes: str | None = None,
    brain_only: float | bool = False,
    contrast_spread: float = 1.0,
    nifti: bool = False,
    overwrite: bool = False,
) -> None:
    """Simulate subjects with T1, T2, PD and FLAIR, without any scan; the same seed gives the same bytes.

    The same command continues a simulation that was stopped. The anatomy is that of the MNI152 brain:

        unicoal simulate --output DATA --subjects 20 --spacing 2

    or that of label maps:

        unicoal simulate --output DATA --label_map LABELS --brain_only 0.5 --lesions 8

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
    datalist = cohort.simulate_cohort(
        output=output,
        subjects=subjects,
        split=split,
        spacing=spacing,
        seed=seed,
        lesions=lesions,
        noise=noise,
        label_map=label_map,
        label_classes=label_classes,
        brain_only=brain_only,
        contrast_spread=contrast_spread,
        nifti=nifti,
        overwrite=overwrite,
    )
    logger.info("wrote %s", datalist)
