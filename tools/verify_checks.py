"""Checks of a bundle: each function returns a remark, or raises an error with the problem."""

import importlib
import importlib.metadata
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import monai.bundle
import torch
import verify_exports
from monai.bundle import ConfigParser, ConfigWorkflow
from monai.utils import set_determinism
from sync_bundles import HOME, OTHERS, shared_texts_of, text_of, text_or_none
from verify_metadata import metadata_problems

from unicoal_components.simulation.cohort import simulate_cohort

COMPLETE = ("train", "inference")
OF_TRAINING = ("evaluate", "multi_gpu_train", "multi_gpu_evaluate")  # the other overlays serve inference too
FILES: tuple[str, ...] = (
    "LICENSE",
    "docs/README.md",
    "docs/data_license.txt",
    "scripts/__init__.py",
    "configs/logging.conf",
)
FILES += tuple(f"configs/{name}.json" for name in (*COMPLETE, *OF_TRAINING, "paper", "metadata"))
WEIGHTS = "models/model.pt"
LARGEST_WEIGHTS = 10_000_000  # bytes
SMALL = {"resolution": 32, "core_resolution": 16, "num_layers": 6, "channel_base": 256, "channel_max": 8, "w_dim": 16}
SMALL |= {"image_style_dim": 16, "detail_channels": 4, "detail_blocks": 1}
SMALL_TRAINING = {"discriminator_channel_base": 256, "batch_size": 2, "num_workers": 0, "sam_weight": 0.0}
ONE_PROCESS = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}


class Skipped(Exception):  # noqa: N818 - nothing is wrong
    """A check does not apply to a bundle; the message says why."""


@dataclass(frozen=True)
class Bundle:
    """A bundle to check.

    Attributes:
        root: its folder.
        scratch: folder for what checks write.
    """

    root: Path
    scratch: Path

    def text(self, name: str) -> str:
        """Return the text of a config."""
        return (self.root / "configs" / f"{name}.json").read_text(encoding="utf-8")

    def config(self, name: str) -> dict[str, Any]:
        """Return a config, or the metadata."""
        return json.loads(self.text(name))

    def names(self) -> list[str]:
        """Return the names of all its JSON files."""
        return sorted(path.stem for path in (self.root / "configs").glob("*.json"))

    def overlays(self) -> dict[str, tuple[str, ...]]:
        """Map each overlay to the complete configs that it goes on top of."""
        names = [name for name in self.names() if name not in (*COMPLETE, "metadata")]
        return {name: ("train",) if name in OF_TRAINING else COMPLETE for name in names}

    def network(self, name: str = "inference") -> torch.nn.Module:
        """Build the network of a complete config and load the weights."""
        network = ConfigParser(self.config(name)).get_parsed_content("network_def")
        return importlib.import_module("scripts").load_weights(network=network, path=self.root / WEIGHTS)

    def cohort(self) -> Path:
        """Return a folder with four simulated subjects of coarse voxels."""
        folder = self.scratch / "cohort"
        if not folder.exists():
            simulate_cohort(output=folder, subjects=4, split=(2, 1, 1), spacing=8.0)
        return folder


@contextmanager
def importable(root: Path) -> Iterator[None]:
    """Let the configs of a bundle find their `scripts`, as `monai.bundle run` does, and forget them afterwards."""
    path, strict = list(sys.path), os.environ.get("MONAI_FAIL_ON_DUPLICATE_CONFIG")
    _forget_scripts()
    sys.path.insert(0, str(root.absolute()))
    os.environ["MONAI_FAIL_ON_DUPLICATE_CONFIG"] = "1"
    try:
        yield
    finally:
        sys.path[:] = path
        if strict is None:
            del os.environ["MONAI_FAIL_ON_DUPLICATE_CONFIG"]
        else:
            os.environ["MONAI_FAIL_ON_DUPLICATE_CONFIG"] = strict
        _forget_scripts()
        set_determinism(None)  # as the configs set it


def _forget_scripts() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "scripts"]:
        del sys.modules[name]


def check_files(bundle: Bundle) -> str:
    """Check that the bundle has what every bundle has."""
    _raise_if([f"{name} is missing" for name in FILES if not (bundle.root / name).is_file()])
    return ""


def check_json(bundle: Bundle) -> str:
    """Check that every JSON file is written in one way."""
    wrong = [name for name in bundle.names() if bundle.text(name) != text_of(bundle.config(name))]
    _raise_if([f"configs/{name}.json is not as json.dumps(content, indent=4) and a newline" for name in wrong])
    return ""


def check_metadata(bundle: Bundle) -> str:
    """Check that the metadata follow the schema."""
    _raise_if(metadata_problems(bundle.config("metadata")))
    return ""


def check_versions(bundle: Bundle) -> str:
    """Check that the versions in the metadata are those that the bundle is checked with."""
    metadata = bundle.config("metadata")
    ours, told = importlib.import_module("scripts").__version__, metadata["unicoal_components_version"]
    problems = [f"unicoal_components is {ours}, the metadata say {told}"] if ours != told else []
    if "unicoal_components" in metadata["required_packages_version"]:
        problems.append("required_packages_version names unicoal_components, which pip cannot find; it is packed")
    pins = metadata["required_packages_version"] | {
        "monai": metadata["monai_version"],
        "torch": metadata["pytorch_version"],
        "numpy": metadata["numpy_version"],
    }
    for package, pin in pins.items():
        try:
            installed = importlib.metadata.version(package).split("+")[0]
        except importlib.metadata.PackageNotFoundError:
            installed = "not installed"
        if installed.split(".")[:2] != pin.split(".")[:2]:
            problems.append(f"{package} is {installed}, the metadata say {pin}")
    _raise_if(problems)
    return ""


def check_overlays(bundle: Bundle) -> str:
    """Check that overlays set values that their base has, by name and without wiring."""
    problems = []
    for name, bases in bundle.overlays().items():
        overlay = bundle.config(name)
        known = set().union(*(bundle.config(base) for base in bases))
        for key in overlay:
            if "#" in key or "::" in key or key.startswith("+"):
                problems.append(f"{name}.json: '{key}' is a path; set a value by its name")
            elif key not in known:
                problems.append(f"{name}.json: '{key}' is not in {' or '.join(f'{base}.json' for base in bases)}")
        if '"_target_"' in json.dumps({key: value for key, value in overlay.items() if key != "run"}):
            problems.append(f"{name}.json: _target_ is wiring; an overlay only sets values")
    _raise_if(problems)
    return f"{len(bundle.overlays())} overlays"


def check_metrics(bundle: Bundle) -> str:
    """Check that results are recorded if, and only if, there are weights that gave them."""
    told, there = bool(bundle.config("metadata")["eval_metrics"]), (bundle.root / WEIGHTS).is_file()
    if told != there:
        problem = "has results of weights that are not there" if told else f"is empty, but there is {WEIGHTS}"
        raise ValueError(f"metadata.json: eval_metrics {problem}")
    return "" if told else "no weights, no results"


def check_weights(bundle: Bundle) -> str:
    """Check that the weights are small and fit the networks of training and inference."""
    for name in COMPLETE:
        bundle.network(name)
    size = (bundle.root / WEIGHTS).stat().st_size
    if size > LARGEST_WEIGHTS:
        raise ValueError(f"{WEIGHTS} has {size / 1e6:.1f} MB; {LARGEST_WEIGHTS / 1e6:.0f} MB are allowed")
    return f"{size / 1e6:.1f} MB"


def check_shapes(bundle: Bundle) -> str:
    """Let MONAI compare what the networks take and give with the metadata."""
    for name in COMPLETE:
        configs = bundle.root / "configs"
        files: dict[str, Any] = {
            "meta_file": str(configs / "metadata.json"),
            "config_file": str(configs / f"{name}.json"),
        }
        monai.bundle.verify_net_in_out(net_id="network_def", device="cpu", bundle_root=str(bundle.root), **files)
    return ""


def check_properties_of(bundle: Bundle, names: Sequence[str]) -> None:
    """Let MONAI look in one stack of configs for all that it asks for; the sizes are small, large ones take time only.

    Raises:
        ValueError: the names of what is missing.
    """
    of_training = names[0] == "train"
    sizes: dict[str, Any] = SMALL | (SMALL_TRAINING if of_training else {})
    weights = bundle.scratch / "not_trained_yet.pt"  # read by a run, not before, as the input of inference
    workflow = ConfigWorkflow(
        config_file=[str(bundle.root / "configs" / f"{name}.json") for name in names],
        workflow_type="train" if of_training else "infer",
        logging_file=False,
        bundle_root=str(bundle.root),
        dataset_dir=str(bundle.cohort()),
        output_dir=str(bundle.scratch / "out"),
        ckpt_path=str(weights),
        **sizes,
    )
    workflow.initialize()
    try:
        missing = workflow.check_properties()
    finally:
        workflow.finalize()
    _raise_if([f"{', '.join(names)}: MONAI misses {name}" for name in missing or ()])
    if (bundle.scratch / "out" / "checkpoint.pt").exists():
        raise ValueError(f"{', '.join(names)}: a checkpoint was written though nothing was run")


def check_properties(bundle: Bundle, base: str, *last: str) -> str:
    """Do `check_properties_of` with every overlay that serves `base`, alone and on top of paper.json."""
    served = [name for name, bases in bundle.overlays().items() if base in bases and name not in OF_TRAINING]
    stacks = [(), *((name,) for name in served), *(("paper", name) for name in served if name not in ("paper", "demo"))]
    for stack in stacks:
        check_properties_of(bundle, (base, *stack, *last))
    return f"{len(stacks)} stacks of configs"


def check_processes(bundle: Bundle) -> str:
    """Do `check_properties_of` in one of several processes, without a GPU."""
    before, has_gpu = dict(os.environ), torch.cuda.is_available
    os.environ.update(ONE_PROCESS)
    torch.cuda.is_available = lambda: False
    try:
        for names in (("train", "multi_gpu_train"), ("train", "evaluate", "multi_gpu_evaluate")):
            check_properties_of(bundle, names)
            if torch.distributed.is_initialized():
                torch.distributed.destroy_process_group()
                raise ValueError(f"{', '.join(names)}: finalize leaves the process group behind")
    finally:
        torch.cuda.is_available = has_gpu
        os.environ.clear()
        os.environ.update(before)
    return ""


def check_shared(bundle: Bundle) -> str:
    """Check that the bundle shares with unified what it must."""
    bundles, name = bundle.root.absolute().parent, bundle.root.absolute().name
    if name == HOME:
        raise Skipped("the others follow it")
    if name not in OTHERS or not (bundles / HOME).is_dir():
        raise Skipped(f"there is no {HOME} beside it")
    differing = [
        str(path.relative_to(bundles)) for path, text in shared_texts_of(bundles, name) if text_or_none(path) != text
    ]
    _raise_if([f"{path} is not as in {HOME}; run: python tools/sync_bundles.py" for path in differing])
    return ""


def check_export(bundle: Bundle, compare: Callable[[torch.nn.Module, Path, Path], str]) -> str:
    """Export the network with the weights and compare."""
    return compare(bundle.network(), bundle.root, bundle.scratch)


CHECKS: Mapping[str, Callable[[Bundle], str]] = {
    "files": check_files,
    "json": check_json,
    "metadata": check_metadata,
    "versions": check_versions,
    "overlays": check_overlays,
    "shared": check_shared,
    "properties_train": lambda bundle: check_properties(bundle, "train"),
    "properties_evaluate": lambda bundle: check_properties(bundle, "train", "evaluate"),
    "properties_inference": lambda bundle: check_properties(bundle, "inference"),
    "properties_processes": check_processes,
    "shapes": check_shapes,
    "metrics": check_metrics,
    "weights": check_weights,
    "torchscript": lambda bundle: check_export(bundle, verify_exports.compare_torchscript),
    "torch_export": lambda bundle: check_export(bundle, verify_exports.compare_torch_export),
    "onnx": lambda bundle: check_export(bundle, verify_exports.compare_onnx),
    "onnx_unicoal": lambda bundle: check_export(bundle, verify_exports.compare_unicoal_onnx),
}


def run_check(name: str, bundle: Bundle) -> str:
    """Run one check with the bundle's code in place; return the remark, or raise what the check raises."""
    with importable(bundle.root):
        return CHECKS[name](bundle)


def _raise_if(problems: Sequence[str]) -> None:
    if problems:
        raise ValueError("; ".join(problems))
