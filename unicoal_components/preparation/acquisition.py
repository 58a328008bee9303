"""How a scan was acquired, from the JSON file that its converter has written next to it."""

from pathlib import Path
from typing import Any

from ..scans.bids_sidecar import sidecar_of

KEPT = (
    "Manufacturer",
    "ManufacturersModelName",
    "SoftwareVersions",
    "MagneticFieldStrength",
    "ReceiveCoilName",
    "MRAcquisitionType",
    "ScanningSequence",
    "SequenceVariant",
    "ScanOptions",
    "SequenceName",
    "PulseSequenceType",
    "RepetitionTime",
    "EchoTime",
    "InversionTime",
    "FlipAngle",
    "EchoTrainLength",
    "PixelBandwidth",
    "ParallelReductionFactorInPlane",
    "PartialFourier",
    "SliceThickness",
    "SpacingBetweenSlices",
)
"""Fields of BIDS about scanner and sequence; no names, dates, places, serial numbers or text that people have typed."""


def acquisition_of(path: Path) -> dict[str, Any]:
    """Return the fields about scanner and sequence in the sidecar of a scan; empty if it has none.

    Args:
        path: path of the scan; the sidecar of `t1.nii.gz` is `t1.json`.
    """
    sidecar = sidecar_of(path)
    return {name: sidecar[name] for name in KEPT if isinstance(sidecar.get(name), str | int | float | list)}
