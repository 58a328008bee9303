"""MONAI transform that saves a synthesized stack as NIfTI or DICOM, aligned with the scan."""

import logging
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from monai.transforms import Transform

from ..files.scratch import release, scratch_array
from ..files.writable import check_replaceable
from ..geometry.orientation import stack_view
from ..keys import Keys
from ..scans.dicom.series import split_uid
from ..scans.dicom.writer import write_derived_series
from ..scans.earlier_results import NOTE, is_result
from ..scans.file_names import stem_of
from ..scans.storage import Storage
from ..scans.write_nifti import stored, write_nifti
from .loaded_scan import NATIVE, LoadedScan, now
from .prediction import SUFFIXES, Image, Prediction
from .sidecar import bundle_of, seconds_of, sidecar, software_of, write_sidecar
from .training_range import TrainingRange

logger = logging.getLogger(__name__)

FORMATS = ("auto", "nifti", "dicom")
NEEDED = (Keys.IMAGE, NATIVE, Keys.MODALITY, Keys.SOURCE_MODALITY, Keys.FACTOR)
BLOCK = 32
"""Number of slices in main memory at a time."""


class SaveStackd(Transform):
    """Write a prediction as `<input>_<target>` on the thin grid in the input's orientation, with a JSON record.

    The in-plane grid is the input's, slices are `factor` times closer, and the center of the first slice is unchanged.
    If source and target are the same modality, the output has the input's units and, in NIfTI, its data type (see
    `finished_slices`). Another modality has float32 values on the scale of `synthesis_range`, which is recorded in the
    header. A second channel of the prediction, the standard deviation of samples, is written as
    `<input>_<target>_std`, float32 in the units of the first channel. The last channel, the expected error, is written
    as `<input>_<target>_error` on request. `<input>_<target>.json` records the provenance and the mean expected error.
    (The official code needs the target file for its geometry.)

    Args:
        output_dir: folder for the files, created if missing.
        modalities: names in the order of the network's classes.
        key: item key of the prediction (C, K, H', W') in [-1, 1].
        output_format: "nifti" (`.nii.gz`), "dicom" (a folder with a derived series; the input must be DICOM), or
            "auto" for that of the input.
        synthesis_range: values of -1 and 1 in another modality than the input's.
        with_error: whether the prediction's last channel is the expected error, as from a `VolumeInferer` with this
            option.
        error_map: whether to write the expected error.
        training_range: range of the training data, see `TrainingRange`; an expected error far above it gives a
            warning. `None` = unknown.
        deidentify: whether to remove the patient's identity: in DICOM attributes (see `write_derived_series`), in the
            JSON file (path of the input), and in the names of the outputs (a part of the checksum instead).
        bundle_root: folder of the bundle, whose name and version are recorded. `None` omits them.
        ckpt_path: file of the weights, whose checksum is recorded. `None` omits it.
        options: further options of the run to record, as names and values.

    Raises:
        ValueError: an argument is invalid, or an error map is requested of a network that does not predict its error;
            when called, the output would overwrite the input, DICOM is requested for an input in another format, or
            the item did not pass through `LoadStackd` and `SetTaskd`.
        OSError: when called, an output cannot be written.
    """

    def __init__(
        self,
        *,
        output_dir: str | os.PathLike,
        modalities: Sequence[str],
        key: str = Keys.PRED,
        output_format: str = "auto",
        synthesis_range: Sequence[float] = (0.0, 1.0),
        with_error: bool = False,
        error_map: bool = False,
        training_range: Mapping[str, Any] | None = None,
        deidentify: bool = False,
        bundle_root: str | os.PathLike | None = None,
        ckpt_path: str | os.PathLike | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if output_format not in FORMATS:
            raise ValueError(f"output_format is {output_format!r}; it must be one of {', '.join(map(repr, FORMATS))}.")
        if not _is_range(synthesis_range):
            raise ValueError(
                f"synthesis_range is {synthesis_range!r}; it must be two numbers, the smaller one first, as [0, 1]."
            )
        if error_map and not with_error:
            raise ValueError(
                "error_map is true, but the network does not predict its error (error_output is false). Give weights "
                "of one that does, with error_output true, or set error_map to false."
            )
        self.output_dir = Path(output_dir)
        self.modalities = list(modalities)
        self.key = key
        self.output_format = output_format
        self.synthesis_range = (float(synthesis_range[0]), float(synthesis_range[1]))
        self.with_error = with_error
        self.error_map = error_map
        self.training_range = TrainingRange(training_range)
        self.deidentify = deidentify
        self.bundle_root = bundle_root
        self.ckpt_path = ckpt_path
        self.options = dict(options or {})
        self._salt = secrets.token_hex(16)  # one per run: related UIDs stay related, but cannot be traced back

    def __call__(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Write the files and return the unchanged item."""
        writing = now()
        missing = [key for key in (self.key, *NEEDED) if key not in data]
        if missing:
            raise ValueError(f"the item lacks {missing}; the preprocessing needs LoadStackd and SetTaskd.")
        if Keys.INDICES in data:
            raise ValueError("the item holds single slices (indices); only a whole volume can be saved.")
        prediction = Prediction(
            data,
            modalities=self.modalities,
            key=self.key,
            synthesis_range=self.synthesis_range,
            with_error=self.with_error,
        )
        as_dicom = self._as_dicom(prediction.scan)
        stem = f"{self._stem(prediction.scan)}_{prediction.target_modality}"
        write = self._write_dicom if as_dicom else self._write_nifti
        record = self.output_dir / f"{stem}.json"
        self._remove_earlier_results(stem, record, prediction)
        outputs: dict[str, Path] = {}
        try:
            for role, image in prediction.images(error_map=self.error_map).items():
                outputs[role] = write(self.output_dir / f"{stem}{SUFFIXES[role]}", role, image, prediction)
            content = sidecar(
                prediction,
                outputs=outputs,
                bundle=bundle_of(self.bundle_root),
                weights=self.ckpt_path,
                options=self.options | {"output_format": "dicom" if as_dicom else "nifti"},
                seconds=seconds_of(prediction.scan, writing),
                warnings=self._error_warnings(prediction),
                anonymous=self.deidentify,
            )
            write_sidecar(record, content)
        except BaseException:  # never leave an image without its record, or only some of the images
            for output in outputs.values():
                _remove(output)
            raise
        logger.info("wrote %s and its .json", ", ".join(map(str, outputs.values())))
        return dict(data)

    def _remove_earlier_results(self, stem: str, record: Path, prediction: Prediction) -> None:
        """Check that only earlier results are replaced, and remove those that would be outdated."""
        image, *others = (self.output_dir / f"{stem}{suffix}.nii.gz" for suffix in SUFFIXES.values())
        self._check_not_input(image, prediction.scan.path)
        check_replaceable([image, *others, record], is_result)
        for path in filter(Path.is_file, (record, *others)):
            path.unlink()

    def _error_warnings(self, prediction: Prediction) -> list[str]:
        """Return a warning if the expected error is far above that of the training data."""
        warning = self.training_range.doubt_of_error(prediction.expected_error, same=prediction.same)
        if warning is None:
            return []
        logger.warning("scan '%s': %s.", prediction.scan.path, warning)
        return [warning]

    def _as_dicom(self, scan: LoadedScan) -> bool:
        """Return whether to write DICOM, which requires a DICOM input."""
        if self.output_format == "dicom" and scan.format != "dicom":
            raise ValueError(
                f"output_format is 'dicom', but '{scan.path}' is not DICOM; the study and patient of the output "
                "come from the input. Give the folder of a DICOM series as input, or choose 'nifti'."
            )
        return scan.format == "dicom" and self.output_format != "nifti"

    def _stem(self, scan: LoadedScan) -> str:
        """Return the name of the outputs: that of the input, or a part of its checksum if de-identified."""
        return f"anonymous_{scan.sha256[:12]}" if self.deidentify else stem_of(scan.path)

    def _write_nifti(self, stem: Path, role: str, image: Image, prediction: Prediction) -> Path:
        path = stem.with_name(f"{stem.name}.nii.gz")
        voxels = self._voxels(image, image.storage, prediction)
        planes = (voxels[..., z] for z in range(voxels.shape[2]))
        shape, affine = prediction.grid
        write_nifti(path, shape, planes, affine, image.description, storage=image.storage, display=image.display)
        return path

    def _write_dicom(self, stem: Path, role: str, image: Image, prediction: Prediction) -> Path:
        self._check_not_input(stem, split_uid(prediction.scan.path)[0])
        number = (prediction.scan.series_number or 0) + 1000 + 10 * prediction.target_index + list(SUFFIXES).index(role)
        write_derived_series(
            stem,
            voxels=self._voxels(image, Storage(), prediction),
            affine=prediction.grid[1],
            source=prediction.scan.headers,
            target_modality=prediction.target_modality,
            source_modality=prediction.source_modality,
            description=image.title,
            notes=[image.description, NOTE],
            versions=software_of(bundle_of(self.bundle_root)),
            window=image.display,
            series_number=number,
            keep_integers=prediction.same and role == "image",
            deidentify=self.deidentify,
            salt=self._salt,
        )
        return stem

    def _check_not_input(self, output: Path, input: str | os.PathLike) -> None:
        """Raise an error if the output would overwrite the input."""
        if os.path.realpath(output) == os.path.realpath(input):
            raise ValueError(f"the output would overwrite the input '{input}'. Choose another output_dir.")

    def _voxels(self, image: Image, storage: Storage, prediction: Prediction) -> np.memmap:
        """Collect the slices on disk, in the scan's axis order `(x, y, z)` with x fastest, as in files."""
        shape, _ = prediction.grid
        voxels = scratch_array(shape, storage.dtype, self.output_dir, order="F")
        stack = stack_view(voxels, plane=prediction.scan.plane, orientation=prediction.scan.orientation)
        slices = iter(image.slices)
        for start in range(0, len(stack), BLOCK):
            stack[start : start + BLOCK] = [stored(values, storage) for values in islice(slices, BLOCK)]
            release(voxels)
        return voxels


def _is_range(values: Any) -> bool:
    """Return whether values are two finite numbers, the smaller one first."""
    if not isinstance(values, Sequence) or len(values) != 2:
        return False
    return all(isinstance(value, int | float) for value in values) and -np.inf < values[0] < values[1] < np.inf


def _remove(output: Path) -> None:
    """Remove a file, or a folder with its content."""
    if output.is_dir():
        shutil.rmtree(output, ignore_errors=True)
    else:
        output.unlink(missing_ok=True)
