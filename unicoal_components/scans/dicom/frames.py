"""Frames of an enhanced multi-frame object, each as the header of a single-frame image (PS3.3 C.7.6.16)."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from pydicom import DataElement, Dataset
from pydicom.datadict import dictionary_VR
from pydicom.multival import MultiValue

SHARED = "SharedFunctionalGroupsSequence"
PER_FRAME = "PerFrameFunctionalGroupsSequence"

FRAME_NUMBER = "ReferencedFrameNumber"
"""Element of a frame's header that holds its number within the object, from 1 on."""

LEFT_OUT = (
    SHARED,
    PER_FRAME,
    "PixelData",
    "NumberOfFrames",
    "DimensionIndexSequence",
    "DimensionOrganizationSequence",
    "ImageType",
)
"""Elements of the object that say nothing of a single frame."""

FUNCTIONAL_GROUPS = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept"),
    "MRTimingAndRelatedParametersSequence": ("RepetitionTime", "FlipAngle", "EchoTrainLength"),
    "MRAveragesSequence": ("NumberOfAverages",),
    "MRDiffusionSequence": ("DiffusionBValue",),
    "MRImagingModifierSequence": ("PixelBandwidth",),
    "MRImageFrameTypeSequence": ("ComplexImageComponent",),
}
"""Elements of a functional group that have the same name in a single-frame image."""

RENAMED = {
    "MREchoSequence": {"EffectiveEchoTime": "EchoTime"},
    "MRModifierSequence": {"InversionTimes": "InversionTime"},
    "MRImagingModifierSequence": {"TransmitterFrequency": "ImagingFrequency"},
    "MRImageFrameTypeSequence": {"FrameType": "ImageType"},
    "FrameContentSequence": {
        "TemporalPositionIndex": "TemporalPositionIdentifier",
        "FrameAcquisitionNumber": "AcquisitionNumber",
    },
}
"""Elements of a functional group that have another name in a single-frame image."""

CONVERTED = ("UnassignedSharedConvertedAttributesSequence", "UnassignedPerFrameConvertedAttributesSequence")
"""Groups of a legacy converted object, which hold elements as a single-frame image has them."""

PULSE_SEQUENCES = {"SPIN": ["SE"], "GRADIENT": ["GR"], "BOTH": ["SE", "GR"]}
"""ScanningSequence by EchoPulseSequence."""


def is_multi_frame(header: Dataset) -> bool:
    """Tell whether an object has functional groups for each frame."""
    return PER_FRAME in header


def frame_headers(header: Dataset) -> Iterator[Dataset]:
    """Yield the headers of the frames in their order, as single-frame images of the same modality would have them.

    An element that a frame's own functional group has comes from there, else from the group that all frames share,
    else from the object. Private elements and groups are left out; what a frame lacks, its header lacks too.

    Args:
        header: of the object, or some of its elements; the two sequences of functional groups among them.
    """
    common = Dataset()
    for element in header:
        if element.keyword and element.keyword not in LEFT_OUT and not element.tag.is_private:
            common[element.tag] = element
    _add_sequence(common, header)
    shared = _first(header, SHARED)
    for number, own in enumerate(header[PER_FRAME].value, start=1):
        frame = Dataset()
        frame.update(common)
        _set(frame, "InstanceNumber", number)
        _set(frame, FRAME_NUMBER, number)
        _flatten(shared, frame)
        _flatten(own, frame)
        yield frame


def _flatten(groups: Dataset, frame: Dataset) -> None:
    """Copy elements of functional groups into a frame's header."""
    for name, keywords in FUNCTIONAL_GROUPS.items():
        group = _first(groups, name)
        for keyword in filter(group.__contains__, keywords):
            frame[keyword] = deepcopy(group[keyword])
    for name, renamed in RENAMED.items():
        group = _first(groups, name)
        for keyword in filter(group.__contains__, renamed):
            if group[keyword].value is not None:
                _set(frame, renamed[keyword], _value(group, keyword))
    for name in CONVERTED:
        frame.update(_first(groups, name))
    if _first(groups, "MRModifierSequence").get("InversionRecovery") == "YES":
        _set(frame, "ScanningSequence", [*_codes(frame.get("ScanningSequence")), "IR"])


def _add_sequence(frame: Dataset, header: Dataset) -> None:
    """Say in the elements of a single-frame image how the object was measured."""
    codes = list(PULSE_SEQUENCES.get(str(header.get("EchoPulseSequence")), []))
    if header.get("EchoPlanarPulseSequence") == "YES":
        codes.append("EP")
    if codes and "ScanningSequence" not in frame:
        frame.ScanningSequence = codes
    if "PulseSequenceName" in header and "SequenceName" not in frame:
        frame.SequenceName = str(header.PulseSequenceName)[:16]
    agent = _first(header, "ContrastBolusAgentSequence")
    if agent and "ContrastBolusAgent" not in frame:
        frame.ContrastBolusAgent = str(agent.get("CodeMeaning") or "unknown")[:64]


def _first(dataset: Dataset, keyword: str) -> Dataset:
    """Return the first item of a sequence, an empty one where it is missing or has none."""
    items = dataset.get(keyword)
    return items[0] if items else Dataset()


def _set(frame: Dataset, keyword: str, value: Any) -> None:
    """Put an element into one frame; to assign its value would change it in all frames that share the element."""
    frame[keyword] = DataElement(keyword, dictionary_VR(keyword), value)


def _value(group: Dataset, keyword: str) -> Any:
    """Return a value, of several inversion times the first."""
    value = group[keyword].value
    return value[0] if keyword == "InversionTimes" and isinstance(value, MultiValue | list) else value


def _codes(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)
