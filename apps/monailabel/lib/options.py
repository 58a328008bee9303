"""Options of a request: what viewers show of a bundle, and the bundle's values from what they send."""

import math
from collections.abc import Mapping
from typing import Any

AUTO = "auto"
"""Modality of the source if the scan itself tells it."""

PLANES = ("auto", "axial", "coronal", "sagittal")
FORMATS = ("auto", "nifti", "dicom")

FACTOR = "factor"
SPACING = "output_spacing"

STORE = "store_result"
"""Option that sends a DICOM result to the DICOMweb server of the scan."""

OF_CLIENTS = {
    *("model", "image", "description", "session", "label", "device", "client_id", "logging", "timeout"),
    *("result_extension", "result_dtype", "result_compress", "restore_label_idx", "result_write_to_file"),
    *("save_label", "label_tag", "images", "multi_gpu", "gpus", "max_workers", "batch_size"),
}
"""Names in requests of MONAI Label and of its viewers that say nothing about the synthesis; such as the data type of
the result, which is uint8 for their label maps."""


def shown_options(values: Mapping[str, Any], *, can_store: bool = False) -> dict[str, Any]:
    """Return the options of a bundle as `/info` shows them.

    A list is a choice, its first entry the default; a number is text, as a viewer takes 4 for a whole number.

    Args:
        values: values of the bundle's `inference.json`. If its target is its source, the bundle keeps the modality; if
            the largest factor of its training is 1, it keeps the slices.
        can_store: whether the scans come from a DICOMweb server.

    Example:
        >>> values = {"modalities": ["t1", "t2"], "source_modality": "t1", "target_modality": "t2", "factor": 1}
        >>> options = shown_options(values | {"training_range": {"factor": [1, 7]}})
        >>> options["source_modality"], options["target_modality"], options["factor"], options["output_spacing"]
        (['auto', 't1', 't2'], ['t2', 't1'], '1', '')
    """
    options: dict[str, Any] = {"source_modality": [AUTO, *values["modalities"]]}
    target = values["target_modality"]
    if target != values["source_modality"]:
        options["target_modality"] = [target, *(name for name in values["modalities"] if name != target)]
    if values["training_range"]["factor"][1] > 1:
        options |= {SPACING: "", FACTOR: f"{values['factor']:g}"}
    options |= {"through_plane": list(PLANES), "output_format": list(FORMATS), "error_map": False, "deidentify": False}
    return options | ({STORE: False} if can_store else {})


def read_options(request: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a request's options; only these reach the bundle.

    Args:
        request: the request, with options by name; a missing one has its default.
        shown: options of the bundle, see `shown_options`.

    Raises:
        ValueError: an option is unknown or has another kind of value; the message names it and what it may be.

    Example:
        >>> read_options({"factor": "2.5", "model": "sr"}, {"factor": "4", "output_spacing": "", "error_map": False})
        {'factor': 2.5, 'output_spacing': None, 'error_map': False}
    """
    unknown = sorted(request.keys() - shown.keys() - OF_CLIENTS)
    if unknown:
        raise ValueError(f"the option {unknown[0]!r} is unknown; this model has {', '.join(shown)}.")
    return {name: _value(name, request.get(name), default) for name, default in shown.items()}


def _value(name: str, given: Any, shown: Any) -> Any:
    if isinstance(shown, list):
        return _choice(name, shown[0] if given in (None, "") else given, shown)
    if isinstance(shown, bool):
        return _switch(name, shown if given in (None, "") else given)
    return _number(name, shown if given is None else given)


def _choice(name: str, given: Any, choices: list[str]) -> str:
    word = given.strip().lower() if isinstance(given, str) else given
    if word not in choices:
        raise ValueError(f"{name} is {given!r}; it must be one of {', '.join(choices)}.")
    return word


def _switch(name: str, given: Any) -> bool:
    words = {"true": True, "false": False}
    value = given if isinstance(given, bool) else words.get(str(given).strip().lower())
    if value is None:
        raise ValueError(f"{name} is {given!r}; it must be true or false.")
    return value


def _number(name: str, given: Any) -> float | None:
    """Return a number; `None` for an empty text."""
    if isinstance(given, str) and not given.strip():
        return None
    try:
        number = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        number = math.nan
    if name == FACTOR and not 1 <= number < math.inf:
        raise ValueError(f"factor is {given!r}; it must be a number of at least 1, such as 4; 1 keeps the slices.")
    if name == SPACING and not 0 < number < math.inf:
        raise ValueError(f"output_spacing is {given!r}; it must be a number above 0, in mm, such as 1.")
    return number
