"""`unicoal synthesize` and `unicoal thin`: scans in, scans out, by the inference of a bundle."""

from typing import Annotated

from cyclopts import Parameter

from ..command_line import Words
from .inference import InferenceOptions, run_inference

Scans = Annotated[str, Parameter(name="SCAN")]
Source = Annotated[str | None, Parameter(name="--from")]


def synthesize(
    *scans: Scans,
    to: Words,
    source: Source = None,
    spacing: float | None = None,
    factor: float | None = None,
    options: InferenceOptions = InferenceOptions(),  # noqa: B008 - frozen
) -> int:
    """Synthesize scans of other modalities, with the slices of the scan or thinner ones.

    Make a T2 with slices of 1 mm from a thick T1; the modality of the scan is found in its header, its JSON or its
    name, here in the name:

        unicoal synthesize thick_t1.nii.gz --to t2 --spacing 1

    Two modalities at once, from a scan whose modality nothing tells:

        unicoal synthesize scan.nii.gz --from t1 --to t2,flair

    The scans of a folder, a DICOM study (its result is a DICOM series), a list of scans:

        unicoal synthesize FOLDER --to t2 --output OUT
        unicoal synthesize STUDY --from t1 --to t2
        unicoal synthesize scans.txt --to t2

    A BIDS data set; its derivatives are a BIDS data set, by default in `DATASET/derivatives/unicoal`:

        unicoal synthesize DATASET --to t2

    Look at the results when they are made; or print the commands of MONAI that do the same:

        unicoal synthesize thick_t1.nii.gz --to t2 --spacing 1 --view
        unicoal synthesize thick_t1.nii.gz --to t2 --spacing 1 --show

    Exit status: 0 all scans are done; 1 error, nothing is done; 2 wrong usage; 3 some scans failed, the others are
    done; 130 or 143 stopped.

    Args:
        scans: NIfTI, `.mgz`, `.mha` or `.nrrd` files, folders of them, DICOM studies, a BIDS data set, or a `.txt` file
            with one path per line.
        to: modalities to synthesize: t1, t2, pd, flair.
        source: modality of the scans, where they do not tell it.
        spacing: mm between the thin slices; without it and without factor the slices stay as they are.
        factor: how many times thinner the slices become, any number from 1 on.
        options: see `InferenceOptions`.
    """
    return run_inference(scans, targets=to, source=source, spacing=spacing, factor=factor, options=options)


def thin(
    *scans: Scans,
    source: Source = None,
    spacing: float | None = None,
    factor: float | None = None,
    options: InferenceOptions = InferenceOptions(),  # noqa: B008 - frozen
) -> int:
    """Make scans with thin slices from scans with thick ones, of the same modality.

    Slices 1 mm apart; the result is `unicoal_output/thick_t1_t1.nii.gz`, on the grid of the scan otherwise:

        unicoal thin thick_t1.nii.gz --spacing 1

    Slices four times thinner, with a map of the expected error:

        unicoal thin thick_t1.nii.gz --factor 4 --error_map

    All T2 scans of a folder, a DICOM study, a BIDS data set:

        unicoal thin FOLDER --from t2 --spacing 1 --output OUT
        unicoal thin STUDY --from t2 --spacing 1 --deidentify
        unicoal thin DATASET --spacing 1

    Exit status: 0 all scans are done; 1 error, nothing is done; 2 wrong usage; 3 some scans failed, the others are
    done; 130 or 143 stopped.

    Args:
        scans: NIfTI, `.mgz`, `.mha` or `.nrrd` files, folders of them, DICOM studies, a BIDS data set, or a `.txt` file
            with one path per line.
        source: modality of the scans, where they do not tell it: t1, t2, pd, flair.
        spacing: mm between the thin slices; or give factor.
        factor: how many times thinner the slices become, any number from 1 on.
        options: see `InferenceOptions`.

    Raises:
        ValueError: neither spacing nor factor is given.
    """
    if spacing is None and factor is None:
        raise ValueError("give the wanted --spacing in mm, such as --spacing 1, or a --factor, such as --factor 4.")
    return run_inference(scans, targets=None, source=source, spacing=spacing, factor=factor, options=options)
