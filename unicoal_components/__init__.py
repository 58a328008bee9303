"""Uni-COAL for MONAI: MR image synthesis and super-resolution with one alias-free network.

The names below are those that bundle configurations use.
"""

__version__ = "0.1.0"

from .configuration import check_config, raw_parts, user_values
from .data.case_sampler import CaseSampler
from .data.cases import CaseDataset
from .data.datalist import read_datalist
from .data.held_out import HeldOutSubjects
from .data.image_paths import list_images
from .data.sampler import SliceSampler
from .data.slices import SliceDataset
from .data.training_record import training_subjects
from .engines.averages import AveragedGenerator
from .engines.baseline import load_baseline
from .engines.case_report import CaseReport
from .engines.checkpoint import ResumeCheckpoint
from .engines.compilation import compile_network
from .engines.evaluation_record import EvaluationRecord
from .engines.image_log import SliceImages
from .engines.loss_log import scalar_outputs
from .engines.memory import keep_freed_memory
from .engines.parameter_groups import parameter_groups
from .engines.prepare_batch import PrepareSlices, PrepareVolume
from .engines.schedules import LearningRateDecay
from .engines.trainer import UniCOALTrainer
from .engines.volume_evaluator import VolumeDataset, VolumeEvaluator
from .engines.weights import LoadWeights, load_weights
from .inferers.volume import VolumeInferer
from .losses.objective import SynthesisObjective
from .losses.sam import build_sam_feature_loss
from .metrics.measures import build_measures
from .metrics.psnr import PSNR
from .metrics.segmenter import segmenter_file
from .networks.discriminator import Discriminator
from .networks.generator import Generator
from .transforms.draw import DrawSliceTaskd
from .transforms.load_slice_group import LoadSliceGroupd
from .transforms.save_stack import SaveStackd
from .transforms.stack import LoadStackd
from .transforms.task import SetTaskd

__all__ = [
    "PSNR",
    "AveragedGenerator",
    "CaseDataset",
    "CaseReport",
    "CaseSampler",
    "Discriminator",
    "DrawSliceTaskd",
    "EvaluationRecord",
    "Generator",
    "HeldOutSubjects",
    "LearningRateDecay",
    "LoadSliceGroupd",
    "LoadStackd",
    "LoadWeights",
    "PrepareSlices",
    "PrepareVolume",
    "ResumeCheckpoint",
    "SaveStackd",
    "SetTaskd",
    "SliceDataset",
    "SliceImages",
    "SliceSampler",
    "SynthesisObjective",
    "UniCOALTrainer",
    "VolumeDataset",
    "VolumeEvaluator",
    "VolumeInferer",
    "build_measures",
    "build_sam_feature_loss",
    "check_config",
    "compile_network",
    "keep_freed_memory",
    "list_images",
    "load_baseline",
    "load_weights",
    "parameter_groups",
    "read_datalist",
    "scalar_outputs",
    "training_subjects",
    "user_values",
    "raw_parts",
    "segmenter_file",
]
