"""The file that answers a request: the image that the bundle wrote, or a zip of several files."""

from collections.abc import Sequence
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

NIFTI = ".nii.gz"
NRRD = ".nrrd"
ZIP = ".zip"
SUFFIXES = (NIFTI, NRRD, ZIP)


def written_format(output_format: str, extension: str | None) -> str:
    """Return the bundle's `output_format` for a request.

    A viewer that asks for an extension reads a single file, so that it gets no DICOM unless this is asked for by name.

    Args:
        output_format: "auto", "nifti" or "dicom", as the request says.
        extension: `result_extension` of the request; `None` or "" = none.

    Raises:
        ValueError: the extension is unknown.

    Example:
        >>> written_format("auto", None), written_format("auto", ".nrrd"), written_format("dicom", ".nrrd")
        ('auto', 'nifti', 'dicom')
    """
    if extension and extension not in SUFFIXES:
        raise ValueError(f"result_extension is {extension!r}; it must be one of {', '.join(SUFFIXES)}.")
    return "nifti" if output_format == "auto" and extension not in (None, "", ZIP) else output_format


def answer_file(outputs: Sequence[Path], extension: str | None, path: Path) -> Path:
    """Return the file for the client; voxels and their data type stay as they are.

    Args:
        outputs: NIfTI files, or folders of DICOM series.
        extension: `result_extension` of the request. Several outputs, DICOM and ".zip" give a zip.
        path: place of the file, without a suffix.
    """
    if len(outputs) > 1 or outputs[0].is_dir() or extension == ZIP:
        return _zip(outputs, path.with_name(f"{path.name}{ZIP}"))
    if extension != NRRD:
        return outputs[0].rename(path.with_name(f"{path.name}{NIFTI}"))
    import itk

    answer = path.with_name(f"{path.name}{NRRD}")
    itk.imwrite(itk.imread(str(outputs[0])), str(answer))
    return answer


def _zip(outputs: Sequence[Path], path: Path) -> Path:
    with ZipFile(path, "w", ZIP_STORED) as archive:
        for output in outputs:
            files = sorted(file for file in output.rglob("*") if file.is_file()) if output.is_dir() else [output]
            for file in files:
                archive.write(file, file.relative_to(output.parent))
    return path
