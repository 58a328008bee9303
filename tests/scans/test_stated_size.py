"""Files that state more than they hold, and files that lead to others."""

import gzip
import resource
import struct
import zlib

import h5py
import itk
import nibabel as nib
import numpy as np
import pytest

from unicoal_components.files import memory_limit
from unicoal_components.scans.read_volume import read_image

VOXELS = np.random.default_rng(0).integers(1, 900, (6, 7, 8)).astype(np.int16)
CLAIM = (2000, 1000, 1000)
"""Voxels of 4 GB."""


def nifti(path, shape=CLAIM):
    nib.save(nib.Nifti1Image(VOXELS, np.eye(4)), path)
    change(path, 42, struct.pack("<3h", *shape))


def freesurfer(path, shape=CLAIM):
    nib.save(nib.MGHImage(VOXELS, np.eye(4)), path)
    change(path, 4, struct.pack(">3i", *shape))


def metaimage(path, shape=CLAIM):
    itk.imwrite(itk.image_from_array(VOXELS), str(path), compression=path.stem == "packed")
    content = path.read_bytes().replace(b"DimSize = 8 7 6", f"DimSize = {shape[0]} {shape[1]} {shape[2]}".encode())
    path.write_bytes(content)


def nrrd(path, shape=CLAIM):
    itk.imwrite(itk.image_from_array(VOXELS), str(path), compression=path.stem == "packed")
    path.write_bytes(path.read_bytes().replace(b"sizes: 8 7 6", f"sizes: {shape[0]} {shape[1]} {shape[2]}".encode()))


def change(path, at, new):
    packed = path.suffix in (".gz", ".mgz")
    content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
    content[at : at + len(new)] = new
    path.write_bytes(gzip.compress(bytes(content)) if packed else bytes(content))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (nifti, "scan.nii"),
        (nifti, "scan.nii.gz"),
        (freesurfer, "scan.mgz"),
        (freesurfer, "scan.mgh"),
        (metaimage, "scan.mha"),
        (metaimage, "packed.mha"),
        (nrrd, "scan.nrrd"),
        (nrrd, "packed.nrrd"),
    ],
)
def test_a_header_that_states_more_than_the_file_holds_is_refused_before_memory_is_taken(tmp_path, make, name):
    path = tmp_path / name
    make(path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(OSError) as error:
        read_image(path)
    assert str(path) in str(error.value) and "2000" in str(error.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # kB


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.mgz"])
def test_a_file_that_unpacks_to_far_more_than_its_header_states_is_refused(tmp_path, name):
    path = tmp_path / name
    (nifti if name.endswith("nii.gz") else freesurfer)(path, VOXELS.shape)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()) + bytes(40_000_000)))
    with pytest.raises(OSError, match=name):
        read_image(path)


def test_a_scan_larger_than_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(memory_limit, "memory_size", lambda: 1000)
    nifti(tmp_path / "scan.nii.gz", VOXELS.shape)
    with pytest.raises(ValueError, match=r"scan\.nii\.gz"):
        read_image(tmp_path / "scan.nii.gz")


@pytest.mark.parametrize("name", ["/etc/hostname", "../secret.raw", "LIST", "slice%03d.raw 1 6 1"])
def test_a_header_that_takes_voxels_from_elsewhere_is_refused(tmp_path, name):
    folder = tmp_path / "scans"
    folder.mkdir()
    itk.imwrite(itk.image_from_array(VOXELS), str(folder / "scan.mhd"))
    text = (folder / "scan.mhd").read_text().replace("scan.raw", name)
    (folder / "scan.mhd").write_text(text)
    with pytest.raises(OSError, match=r"scan\.mhd"):
        read_image(folder / "scan.mhd")


def test_pairs_of_header_and_data_file_are_read(tmp_path):
    for name in ("scan.mhd", "scan.nhdr"):
        itk.imwrite(itk.image_from_array(np.ascontiguousarray(VOXELS.T)), str(tmp_path / name))
        np.testing.assert_array_equal(read_image(tmp_path / name).voxels, VOXELS)


def test_compressed_metaimage_and_nrrd_are_read_and_their_size_is_counted(tmp_path):
    for name in ("packed.mha", "packed.nrrd"):
        itk.imwrite(itk.image_from_array(np.ascontiguousarray(VOXELS.T)), str(tmp_path / name), compression=True)
        np.testing.assert_array_equal(read_image(tmp_path / name).voxels, VOXELS)


def test_a_minc_file_that_reads_other_files_is_refused(tmp_path):
    with h5py.File(tmp_path / "scan.mnc", "w") as file:
        group = file.create_group("minc-2.0/image/0")
        (tmp_path / "secret").write_bytes(zlib.compress(bytes(64)).ljust(64))
        group.create_dataset("image", (4, 4, 4), np.uint8, external=[(str(tmp_path / "secret"), 0, 64)])
    with pytest.raises(OSError, match=r"scan\.mnc.*secret"):
        read_image(tmp_path / "scan.mnc")


@pytest.mark.parametrize("spacing", [0.0, -2.0, np.nan, np.inf, 1e20])
def test_an_impossible_voxel_spacing_is_refused(tmp_path, spacing):
    freesurfer(tmp_path / "scan.mgz", VOXELS.shape)
    change(tmp_path / "scan.mgz", 30, struct.pack(">f", spacing))
    metaimage(tmp_path / "scan.mha", (8, 7, 6))
    content = (tmp_path / "scan.mha").read_bytes()
    new = content.replace(b"ElementSpacing = 1 1 1", f"ElementSpacing = 1 {spacing} 1".encode())
    assert new != content
    (tmp_path / "scan.mha").write_bytes(new)
    for name in ("scan.mgz", "scan.mha"):
        with pytest.raises((ValueError, OSError), match=name):
            read_image(tmp_path / name)
