"""Uni-COAL for MONAI: MR image synthesis and super-resolution with one alias-free network.

The names below are those that bundle configurations use. Each is imported when it is first asked for (PEP 562), so that
`import unicoal_components` costs nothing and a command loads only what it uses.
"""

from importlib import import_module
from typing import Any

from ._version import __version__ as __version__

_MODULES = {
    "check_config": "configuration",
    "raw_parts": "configuration",
    "user_values": "configuration",
    "CaseSampler": "data.case_sampler",
    "CaseDataset": "data.cases",
    "read_datalist": "data.datalist",
    "HeldOutSubjects": "data.held_out",
    "list_images": "data.image_paths",
    "SliceSampler": "data.sampler",
    "SliceDataset": "data.slices",
    "training_subjects": "data.training_record",
    "AveragedGenerator": "engines.averages",
    "load_baseline": "engines.baseline",
    "CaseReport": "engines.case_report",
    "ResumeCheckpoint": "engines.checkpoint",
    "compile_network": "engines.compilation",
    "EvaluationRecord": "engines.evaluation_record",
    "SliceImages": "engines.image_log",
    "scalar_outputs": "engines.loss_log",
    "keep_freed_memory": "engines.memory",
    "parameter_groups": "engines.parameter_groups",
    "PrepareSlices": "engines.prepare_batch",
    "PrepareVolume": "engines.prepare_batch",
    "LearningRateDecay": "engines.schedules",
    "UniCOALTrainer": "engines.trainer",
    "VolumeDataset": "engines.volume_evaluator",
    "VolumeEvaluator": "engines.volume_evaluator",
    "LoadWeights": "engines.weights",
    "load_weights": "engines.weights",
    "VolumeInferer": "inferers.volume",
    "SynthesisObjective": "losses.objective",
    "build_sam_feature_loss": "losses.sam",
    "build_measures": "metrics.measures",
    "PSNR": "metrics.psnr",
    "segmenter_file": "metrics.segmenter",
    "Discriminator": "networks.discriminator",
    "Generator": "networks.generator",
    "DrawSliceTaskd": "transforms.draw",
    "LoadSliceGroupd": "transforms.load_slice_group",
    "SaveStackd": "transforms.save_stack",
    "LoadStackd": "transforms.stack",
    "SetTaskd": "transforms.task",
}
"""Of each name the module that has it, relative to this package."""

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Import the module of a name, at the first use of it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Name what there is, imported or not."""
    return sorted({*globals(), *_MODULES})
