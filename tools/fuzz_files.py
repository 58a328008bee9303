"""Small valid files of every kind that the package reads, with the function that reads each."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import itk
import nibabel as nib
import numpy as np
import pydicom
import torch
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage
from scipy.io import netcdf_file

from unicoal_components.datasets.datalist import read_datalist, write_datalist
from unicoal_components.datasets.hdf5 import read_header, read_volume, write_subject
from unicoal_components.datasets.packed_set import pack_training_set
from unicoal_components.runtime.weights import read_weights, save_weights
from unicoal_components.scans.read_volume import read_image

SHAPE = (12, 14, 10)
AFFINE = np.array([[-1.0, 0, 0, 6], [0, 1.0, 0, -7], [0, 0, 3.0, -15], [0, 0, 0, 1]])


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Attributes:
        make: writes the file or folder in an empty folder and returns its path.
        read: reads it and returns what it holds, made of arrays, numbers, texts, lists and dictionaries.
        packed: whether what the file compresses is changed, so that its checksum holds.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], Any]
    packed: bool = False


def voxels() -> np.ndarray:
    """Return a volume `(x, y, z)`, int16, the same each time."""
    return np.random.default_rng(7).integers(1, 900, SHAPE).astype(np.int16)


def nifti(folder: Path, name: str = "scan.nii") -> Path:
    """Write a NIfTI file."""
    image = nib.Nifti1Image(voxels(), AFFINE)
    image.set_qform(AFFINE, code=1)
    nib.save(image, folder / name)
    return folder / name


def freesurfer(folder: Path) -> Path:
    """Write a FreeSurfer file."""
    nib.save(nib.MGHImage(voxels(), AFFINE), folder / "scan.mgz")
    return folder / "scan.mgz"


def analyze(folder: Path) -> Path:
    """Write an Analyze pair."""
    nib.save(nib.AnalyzeImage(voxels(), np.diag([1.0, 1, 3, 1])), folder / "scan.img")
    return folder / "scan.img"


def minc(folder: Path) -> Path:
    """Write a MINC 1 file, which is netCDF."""
    with netcdf_file(folder / "scan.mnc", "w") as file:
        names = ("zspace", "yspace", "xspace")
        for name, size, step in zip(names, SHAPE[::-1], (3.0, 1.0, 1.0), strict=True):
            file.createDimension(name, size)
            axis = file.createVariable(name, "i4", ())
            axis.step, axis.start, axis.spacing = step, -5.0, b"regular__"
            axis.direction_cosines = np.eye(3)["xyz".index(name[0])]
        image = file.createVariable("image", "i2", names)
        image[:] = voxels().T
        image.signtype, image.valid_range = b"signed__", np.array([0.0, 900.0])
        for name, value in (("image-min", 0.0), ("image-max", 900.0)):
            file.createVariable(name, "f8", ()).data[...] = value
    return folder / "scan.mnc"


def minc2(folder: Path) -> Path:
    """Write a MINC 2 file, which is HDF5."""
    with h5py.File(folder / "scan.mnc", "w") as file:
        names = ("zspace", "yspace", "xspace")
        for name, size, step in zip(names, SHAPE[::-1], (3.0, 1.0, 1.0), strict=True):
            axis = file.create_dataset(f"minc-2.0/dimensions/{name}", data=np.int32(0))
            axis.attrs.update({"length": size, "step": step, "start": -5.0, "spacing": np.bytes_("regular__")})
            axis.attrs["direction_cosines"] = np.eye(3)["xyz".index(name[0])]
        image = file.create_dataset("minc-2.0/image/0/image", data=voxels().T, chunks=(5, 7, 6), compression="gzip")
        image.attrs.update({"dimorder": np.bytes_("zspace,yspace,xspace"), "valid_range": [0.0, 900.0]})
        file["minc-2.0/image/0/image-min"], file["minc-2.0/image/0/image-max"] = 0.0, 900.0
    return folder / "scan.mnc"


def by_itk(folder: Path, name: str, *, compression: bool) -> Path:
    """Write a MetaImage or NRRD file."""
    image = itk.image_from_array(np.ascontiguousarray(voxels().T))
    image.SetSpacing([1.0, 1.0, 3.0])
    itk.imwrite(image, str(folder / name), compression=compression)
    return folder / name


def dicom_slice(z: int) -> pydicom.Dataset:
    """Return one slice of the volume, as a single-frame MR object."""
    slice = pydicom.Dataset()
    slice.file_meta = pydicom.dataset.FileMetaDataset()
    slice.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    slice.SOPClassUID, slice.SOPInstanceUID = MRImageStorage, f"1.2.3.{z}"
    slice.StudyInstanceUID, slice.SeriesInstanceUID, slice.FrameOfReferenceUID = "1.2.4", "1.2.5", "1.2.6"
    slice.Modality, slice.SeriesDescription, slice.PatientID = "MR", "AX T1", "p"
    slice.ImageType, slice.InstanceNumber, slice.SeriesNumber = ["ORIGINAL", "PRIMARY", "M"], z + 1, 3
    slice.EchoTime, slice.RepetitionTime, slice.SliceThickness = "10", "500", "3"
    slice.ImagePositionPatient, slice.ImageOrientationPatient = [0.0, 0.0, 3.0 * z], [1, 0, 0, 0, 1, 0]
    slice.PixelSpacing, slice.RescaleSlope, slice.RescaleIntercept = [1, 1], "1", "0"
    slice.Columns, slice.Rows = SHAPE[:2]
    slice.SamplesPerPixel, slice.PhotometricInterpretation, slice.PixelRepresentation = 1, "MONOCHROME2", 1
    slice.BitsAllocated, slice.BitsStored, slice.HighBit = 16, 16, 15
    slice.PixelData = voxels()[:, :, z].T.astype("<i2").tobytes()
    return slice


def dicom(folder: Path) -> Path:
    """Write a series of single-frame objects."""
    for z in range(SHAPE[2]):
        dicom_slice(z).save_as(folder / f"{z:03d}.dcm", enforce_file_format=True)
    return folder


def dicom_enhanced(folder: Path) -> Path:
    """Write an enhanced multi-frame object."""
    whole = dicom_slice(0)
    whole.SOPClassUID, whole.NumberOfFrames = EnhancedMRImageStorage, SHAPE[2]
    shared, frames = pydicom.Dataset(), []
    group = pydicom.Dataset()
    group.PixelSpacing, group.SliceThickness = [1, 1], 3
    shared.PixelMeasuresSequence = [group]
    for z in range(SHAPE[2]):
        position, orientation, frame = pydicom.Dataset(), pydicom.Dataset(), pydicom.Dataset()
        position.ImagePositionPatient, orientation.ImageOrientationPatient = [0.0, 0, 3.0 * z], [1, 0, 0, 0, 1, 0]
        frame.PlanePositionSequence, frame.PlaneOrientationSequence = [position], [orientation]
        frames.append(frame)
    whole.SharedFunctionalGroupsSequence, whole.PerFrameFunctionalGroupsSequence = [shared], frames
    whole.PixelData = voxels().T.astype("<i2").tobytes()
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        del whole[keyword]
    whole.save_as(folder / "whole.dcm", enforce_file_format=True)
    return folder


def subject(folder: Path, name: str = "p01.h5") -> Path:
    """Write a subject file."""
    stacks = {name: (voxels().T // 4).astype(np.uint8) for name in ("t1", "t2")}
    write_subject(
        folder / name,
        volumes=stacks,
        affine=AFFINE,
        intensity=dict.fromkeys(stacks, (0.0, 900.0)),
        sources=dict.fromkeys(stacks, "scan.nii"),
        history='{"recipe": {}, "modalities": {}}',
    )
    return folder / name


def datalist(folder: Path) -> Path:
    """Write a datalist with two subject files."""
    entries = [{"subject": name, "path": str(subject(folder, f"{name}.h5"))} for name in ("p01", "p02")]
    sections = {"training": entries[:1], "validation": entries[1:]}
    write_datalist(folder / "datalist.json", sections=sections, modalities=["t1", "t2"])
    return folder / "datalist.json"


def packed_set(folder: Path) -> Path:
    """Write a packed set of two subjects; only the set stays."""
    pack_training_set(folder / "set.h5", datalist=datalist(folder), max_mb=None, largest_step=1)
    for path in (*folder.glob("p0*.h5"), folder / "datalist.json"):
        path.unlink()
    return folder / "set.h5"


def weights(folder: Path) -> Path:
    """Write a checkpoint with tensors and numbers."""
    state = {"weight": torch.linspace(-1, 1, 600).reshape(20, 30), "bias": torch.ones(30)}
    save_weights({"generator": state, "epoch": 3, "random_states": [{"python": [1, 2]}]}, folder / "checkpoint.pt")
    return folder / "checkpoint.pt"


def sidecar(folder: Path) -> Path:
    """Write a scan with its BIDS sidecar; the sidecar alone is changed, as its name sorts before the scan's."""
    content = {"SeriesDescription": "AX T1", "SliceThickness": 2.5, "SpacingBetweenSlices": 3.0, "EchoTime": 0.01}
    nifti(folder)
    (folder / "scan.json").write_text(json.dumps(content))
    return folder / "scan.json"


def read_scan(path: Path) -> Any:
    """Return what a scan holds."""
    volume = read_image(path)
    return [volume.voxels, np.round(volume.affine, 5), volume.modality, volume.slice_thickness]


def read_subject(path: Path) -> Any:
    """Return what a subject file holds."""
    header = read_header(path)
    images = [read_volume(path, name) for name in header.modalities]
    return [images, header.shape, header.spacing, header.affine, header.foreground_box, header.thin_axes]


def read_list(path: Path) -> Any:
    """Return a datalist, or a packed set with its subjects."""
    entries = [entry for section in ("training", "validation") for entry in read_datalist(path, section)]
    names = [entry["subject"] for entry in entries]
    return [names, [read_subject(Path(entry["path"])) for entry in entries]]


KINDS = {
    "NIfTI": Kind(nifti, read_scan),
    "NIfTI, gzip": Kind(lambda folder: nifti(folder, "scan.nii.gz"), read_scan),
    "NIfTI, gzip, its content": Kind(lambda folder: nifti(folder, "scan.nii.gz"), read_scan, packed=True),
    "FreeSurfer mgz": Kind(freesurfer, read_scan),
    "FreeSurfer mgz, its content": Kind(freesurfer, read_scan, packed=True),
    "MINC 1": Kind(minc, read_scan),
    "MINC 2": Kind(minc2, read_scan),
    "Analyze": Kind(analyze, read_scan),
    "NRRD": Kind(lambda folder: by_itk(folder, "scan.nrrd", compression=False), read_scan),
    "NRRD, gzip": Kind(lambda folder: by_itk(folder, "scan.nrrd", compression=True), read_scan),
    "MetaImage": Kind(lambda folder: by_itk(folder, "scan.mha", compression=False), read_scan),
    "MetaImage, zlib": Kind(lambda folder: by_itk(folder, "scan.mha", compression=True), read_scan),
    "DICOM": Kind(dicom, read_scan),
    "DICOM, enhanced": Kind(dicom_enhanced, read_scan),
    "BIDS sidecar": Kind(sidecar, lambda path: read_scan(path.with_name("scan.nii"))),
    "subject file": Kind(subject, read_subject),
    "packed set": Kind(packed_set, read_list),
    "datalist": Kind(datalist, read_list),
    "checkpoint": Kind(weights, read_weights),
}
"""What is read, by name."""
