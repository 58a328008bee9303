"""Rules for a bundle's metadata.json: MONAI's schema of 2024-07-25, and what a bundle of this repository says besides.

Whatever `RULES` accepts, that schema accepts too. They are a JSON schema themselves, so that MONAI's own
`verify_metadata` can use them where its schema cannot be downloaded.
"""

from collections.abc import Mapping, Sequence
from typing import Any

TEXT = {"type": "string", "minLength": 1}
RELEASE = {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"}
NUMBER = {"type": "number"}


def table_of(values: Mapping[str, Any], *, lowest: int = 0) -> dict[str, Any]:
    """Describe an object of any keys, whose values follow one rule."""
    return {"type": "object", "additionalProperties": values, "minProperties": lowest}


def list_of(items: Mapping[str, Any], *, lowest: int = 0, highest: int | None = None) -> dict[str, Any]:
    """Describe a list whose items follow one rule."""
    return {"type": "array", "items": items, "minItems": lowest} | ({} if highest is None else {"maxItems": highest})


def object_of(properties: Mapping[str, Any], *, optional: Sequence[str] = ()) -> dict[str, Any]:
    """Describe an object that must have these keys, and may have others."""
    return {"type": "object", "properties": properties, "required": [key for key in properties if key not in optional]}


TENSOR = object_of(
    {
        "type": TEXT,
        "format": TEXT,
        "modality": TEXT,
        "num_channels": {"type": "integer", "minimum": 1},
        "spatial_shape": list_of({"type": "integer", "minimum": 1}, lowest=2, highest=2),  # the networks' are fixed
        "dtype": {"enum": ["float32"]},
        "value_range": list_of(NUMBER, lowest=2, highest=2),
        "is_patch_data": {"type": "boolean"},
        "channel_def": table_of(TEXT, lowest=1),
    }
)

RULES = {"$schema": "https://json-schema.org/draft/2019-09/schema"} | object_of(
    {
        "schema": {"type": "string", "pattern": r"^https://.*/meta_schema_20240725\.json$"},
        "version": RELEASE,
        "changelog": table_of(TEXT, lowest=1),
        "monai_version": RELEASE,
        "pytorch_version": RELEASE,
        "numpy_version": RELEASE,
        "required_packages_version": table_of(RELEASE),
        "unicoal_components_version": RELEASE,
        **dict.fromkeys(("name", "task", "description", "authors", "copyright"), TEXT),
        **dict.fromkeys(("data_source", "data_type", "image_classes", "intended_use"), TEXT),
        "label_classes": TEXT,
        "pred_classes": TEXT,
        "eval_metrics": table_of(NUMBER),
        "references": list_of(TEXT, lowest=1),
        "supported_apps": {"type": "object"},
        "network_data_format": object_of(
            {"inputs": object_of({"image": TENSOR}), "outputs": object_of({"pred": TENSOR})}
        ),
    },
    optional=("label_classes", "pred_classes"),
)


def metadata_problems(metadata: Mapping[str, Any]) -> list[str]:
    """Return the problems of metadata, each with its location; empty if there are none."""
    from jsonschema import Draft201909Validator  # an optional dependency, as it is of MONAI's verify_metadata

    errors = Draft201909Validator(RULES).iter_errors(metadata)
    problems = ["::".join(map(str, ["metadata.json", *error.absolute_path])) + f": {error.message}" for error in errors]
    if problems:
        return problems
    if metadata["version"] not in metadata["changelog"]:
        problems.append(f"metadata.json: the changelog has no entry for the version {metadata['version']}")
    for direction, name in (("inputs", "image"), ("outputs", "pred")):
        tensor = metadata["network_data_format"][direction][name]
        channels = [str(channel) for channel in range(tensor["num_channels"])]
        if list(tensor["channel_def"]) != channels:
            problems.append(f"metadata.json: channel_def of {name} must name the channels {', '.join(channels)}")
    return problems
