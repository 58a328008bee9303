"""Uni-COAL for MONAI: MR image synthesis and super-resolution with one alias-free network.

The names below are those that bundle configurations use. Each is imported at its first use (PEP 562), so that
`import unicoal_components` is fast and a command loads only what it uses.
"""

from importlib import import_module
from typing import Any

from ._version import __version__ as __version__

_MODULES = {
    "check_config": "configuration",
    "raw_parts": "configuration",
    "RaiseErrors": "error_report",
    "ignore_in_worker": "interruption",
    "user_values": "configuration",
    "CaseSampler": "datasets.case_sampler",
    "CaseDataset": "datasets.cases",
    "read_datalist": "datasets.datalist",
    "claim_until_exit": "files.claim",
    "HeldOutSubjects": "evaluation.held_out",
    "list_images": "scans.image_paths",
    "SliceSampler": "datasets.sampler",
    "SliceDataset": "datasets.slices",
    "training_subjects": "datasets.training_record",
    "AveragedGenerator": "training.averages",
    "load_baseline": "evaluation.baseline",
    "CaseReport": "evaluation.case_report",
    "ResumeCheckpoint": "training.checkpoint",
    "compile_network": "runtime.compilation",
    "EvaluationRecord": "evaluation.evaluation_record",
    "SliceImages": "training.image_log",
    "scalar_outputs": "training.loss_log",
    "keep_freed_memory": "runtime.memory",
    "parameter_groups": "training.parameter_groups",
    "PrepareSlices": "training.prepare_batch",
    "PrepareVolume": "training.prepare_batch",
    "LearningRateDecay": "training.schedules",
    "UniCOALTrainer": "training.trainer",
    "VolumeDataset": "inference.volume_evaluator",
    "VolumeEvaluator": "inference.volume_evaluator",
    "LoadWeights": "runtime.weights",
    "load_weights": "runtime.weights",
    "VolumeInferer": "inference.volume_inferer",
    "SynthesisObjective": "losses.objective",
    "build_sam_feature_loss": "losses.sam",
    "build_measures": "evaluation.measures",
    "PSNR": "metrics.psnr",
    "segmenter_file": "evaluation.segmenter",
    "Discriminator": "networks.discriminator",
    "Generator": "networks.generator",
    "DrawSliceTaskd": "training.draw",
    "LoadSliceGroupd": "training.load_slice_group",
    "SaveStackd": "inference.save_stack",
    "LoadStackd": "inference.load_stack",
    "SetTaskd": "inference.task",
    "CheckSourced": "inference.source_check",
}
"""Module of each name, relative to this package."""

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Import the module of a name at its first use."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return all names, imported or not."""
    return sorted({*globals(), *_MODULES})
