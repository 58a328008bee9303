"""Runs of a bundle's `inference.json` for the scans and targets of a command."""

import logging
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from cyclopts import Parameter

from ..command_line import SOME_FAILED
from ..errors import user_error
from .bids import DESCRIPTION, SCRATCH, bids_sources, is_bids, place_results, write_description
from .bundle_run import BundleRun
from .bundles import HOME, bundle_folder, config_values, configs_of, weights_of
from .settings import Configs, Settings, given
from .sources import Source, Sources, find_sources, named

logger = logging.getLogger(__name__)

OUTPUT = "unicoal_output"

VALUES = {
    "error_map": "error_map",
    "samples": "num_samples",
    "through_plane": "through_plane",
    "slice_thickness": "slice_thickness",
    "format": "output_format",
    "deidentify": "deidentify",
    "precision": "precision",
}
"""Values of `inference.json` by the option that sets them."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class InferenceOptions:
    """Options of `unicoal synthesize` and `unicoal thin`.

    Attributes:
        output: folder for the results, `unicoal_output` by default.
        error_map: also write a map of the expected error.
        samples: number of latent codes; of more than one, the mean and the standard deviation are written.
        through_plane: plane of the slices; auto takes the axis with the coarsest spacing.
        slice_thickness: thickness of the scan's slices in mm, where the header does not tell it.
        format: auto writes DICOM for DICOM, NIfTI for all others.
        deidentify: remove what identifies the patient from DICOM, records and names of files.
        device: auto takes a GPU where there is one; or `cpu`, `cuda`, `cuda:1`.
        precision: bfloat16 is faster on processors that have it, and slightly different.
        weights: file of weights, instead of those that are shipped.
        bundle: unified, sr, cms, cmsr, or the folder of a bundle.
        config: JSON files with values of the network and others, on top of the bundle's.
        set: further values of the config, such as `--set inference_batch_size=4`; it may be given several times.
        show: print the commands of MONAI that do the same, and do nothing.
        view: open the results in a browser when they are made, see `unicoal view`.
    """

    output: str | None = None
    error_map: bool = False
    samples: int = 1
    through_plane: Literal["auto", "axial", "coronal", "sagittal"] = "auto"
    slice_thickness: float | None = None
    format: Literal["auto", "nifti", "dicom"] = "auto"
    deidentify: bool = False
    device: str = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    weights: str | None = None
    bundle: str = HOME
    config: Configs = ()
    set: Settings = ()
    show: bool = False
    view: bool = False

    def values(self) -> dict[str, Any]:
        """Return the values of `inference.json` that are not at their default."""
        defaults = {field.name: field.default for field in fields(self)}
        changed = {
            value: getattr(self, name) for name, value in VALUES.items() if getattr(self, name) != defaults[name]
        }
        return changed | given(self.device, self.set)


@dataclass(frozen=True)
class TargetRun:
    """Scans of one modality, and the run that makes one target from them."""

    scans: Sequence[Source]
    target: str
    run: BundleRun


def run_inference(
    input: Sequence[str],
    *,
    targets: Sequence[str] | str | None,
    source: str | None,
    spacing: float | None,
    factor: float | None,
    options: InferenceOptions,
) -> int:
    """Synthesize scans; return the exit status, 0 or `SOME_FAILED`.

    Args:
        input: scans, see `list_images`, or one BIDS data set.
        targets: modalities to synthesize; `None` = that of each scan.
        source: modality of the scans; `None` = found for each one.
        spacing: mm between the thin slices; `None` = by factor.
        factor: how many times thinner the slices become; `None` = by spacing, or not thinner.
        options: further options.

    Raises:
        ValueError: an option is wrong, or no scan could be done.
        OSError: a file is missing or cannot be written.
    """
    if not input:
        raise ValueError("give at least one scan: a file, a folder, a list or a DICOM study.")
    _check_task(spacing, factor)
    folder = bundle_folder(options.bundle)
    configs = configs_of(folder, ["inference.json"], options.config)
    known = config_values(configs)["modalities"]
    source = None if source is None else next(named(source, known, "--from"))
    dataset = Path(input[0]) if len(input) == 1 and is_bids(input[0]) else None
    wanted = None if targets is None else list(named(targets, known, "--to"))
    found = _bids_sources(dataset, known, source) if dataset else find_sources(input, modality=source, known=known)
    output = Path(options.output or (dataset / "derivatives" / "unicoal" if dataset else OUTPUT))
    task = {"output_spacing": spacing} if spacing is not None else {"factor": 1.0 if factor is None else factor}
    weights = weights_of(folder, options.weights)
    fixed = {"bundle_root": folder, "ckpt_path": weights, "output_dir": output / SCRATCH if dataset else output}
    values = fixed | task | options.values()
    changes_grid = spacing is not None or (factor or 1) > 1
    runs = list(_target_runs(found.scans, wanted, configs, values, changes_grid))
    if not runs and not found.failures:
        raise ValueError(f"all scans are {', '.join(wanted or ())} already; give another --to, or a --spacing.")
    if options.show:
        return _show(runs, dataset, output)
    failures = dict(found.failures)
    _tell(failures)
    pattern = "**/*.json" if dataset else "*.json"
    before = _records(output, pattern) if options.view else {}
    try:
        total = _run_all(runs, failures)
    finally:
        if dataset:
            _place(runs, dataset, output)
    if failures and len(failures) >= total + len(found.failures):
        raise ValueError(next(iter(failures.values())) if len(failures) == 1 else "all scans failed, see above.")
    number = total + len(found.failures) - len(failures)
    logger.info("%d result%s in %s", number, "s are" if number > 1 else " is", output)
    if failures:
        logger.error("%d failed: %s", len(failures), ", ".join(failures))
    if options.view:
        _view([path for path, time in _records(output, pattern).items() if before.get(path) != time])
    return SOME_FAILED if failures else 0


def _records(output: Path, pattern: str) -> dict[Path, int]:
    """Return when each record of a folder was written."""
    return {path: path.stat().st_mtime_ns for path in sorted(output.glob(pattern)) if path.name != DESCRIPTION}


def _view(records: Sequence[Path]) -> None:
    """Show the results of records in a browser until Ctrl-C."""
    from ..viewer.results import find_results
    from ..viewer.view import serve

    serve([result for path in records for result in find_results(path)])


def _check_task(spacing: float | None, factor: float | None) -> None:
    if spacing is not None and factor is not None:
        raise ValueError(f"--spacing is {spacing:g} and --factor is {factor:g}; give one of them.")
    if spacing is not None and not 0 < spacing < float("inf"):
        raise ValueError(f"--spacing is {spacing:g}; it must be above 0, in mm (the network was trained for about 1).")
    if factor is not None and not 1 <= factor < float("inf"):
        raise ValueError(f"--factor is {factor:g}; it must be at least 1, which keeps the slices.")


def _bids_sources(dataset: Path, known: Sequence[str], source: str | None) -> Sources:
    found = bids_sources(dataset, known)
    return Sources(scans=[scan for scan in found.scans if source in (None, scan.modality)])


def _target_runs(
    scans: Sequence[Source],
    targets: Sequence[str] | None,
    configs: Sequence[Path],
    values: Mapping[str, Any],
    changes_grid: bool,
) -> Iterator[TargetRun]:
    """Yield a run for each modality of scans and each target; a scan is not made anew as it is."""
    for modality in dict.fromkeys(scan.modality for scan in scans):
        group = [scan for scan in scans if scan.modality == modality]
        for target in [modality] if targets is None else targets:
            if target == modality and not changes_grid:
                logger.info("%d scans are %s already and are not made again", len(group), target)
                continue
            paths = [scan.path for scan in group]
            own: dict[str, Any] = {"input": paths if len(paths) > 1 else paths[0]}
            own |= {"source_modality": modality, "target_modality": target}
            yield TargetRun(group, target, BundleRun(configs, own | dict(values)))


def _show(runs: Sequence[TargetRun], dataset: Path | None, output: Path) -> int:
    for one in runs:
        sys.stdout.write(one.run.command() + "\n")
    if dataset:
        scratch = shlex.quote(str(output / SCRATCH))
        sys.stdout.write(f"# The command then moves the results from {scratch} into the folders of their subjects.\n")
    return 0


def _run_all(runs: Sequence[TargetRun], failures: dict[str, str]) -> int:
    """Do all runs, add what failed to `failures` as `path (target)`, and return the number of results wanted."""
    from tqdm.contrib.logging import logging_redirect_tqdm

    from .progress import ScanProgress

    total = sum(len(one.scans) for one in runs)
    progress = ScanProgress(total)
    try:
        with logging_redirect_tqdm():
            for number, one in enumerate(runs):
                failed = _run(one.run, progress, tell=number == 0)
                failures.update({f"{path} ({one.target})": reason for path, reason in failed.items()})
                progress.finish(len(one.scans))
    finally:
        progress.close()
    return total


def _run(run: BundleRun, progress: Any, *, tell: bool) -> Mapping[str, str]:
    """Run, and return the reasons by path of scans that failed."""
    import torch

    workflow = BundleRun(run.configs, dict(run.values) | _hidden_bars(run.configs)).workflow()
    inferer = workflow.parser.get_parsed_content("inferer")
    inferer.progress = progress.slices
    if tell:
        device = str(workflow.parser.get_parsed_content("device"))
        threads = torch.get_num_threads()
        place = f"cpu, {threads} thread{'s' * (threads > 1)}" if device == "cpu" else device
        logger.info("on %s, %s", place, inferer.precision)
    try:
        workflow.run()
    except Exception as error:
        evaluator = workflow.parser.ref_resolver.resolved_content.get("evaluator")
        failures = getattr(evaluator, "failures", {})
        if not failures or user_error(error) is None:
            raise
        if isinstance(run.values["input"], str):  # of several scans, each was told when it failed
            _tell(failures)
        return failures
    finally:
        workflow.finalize()
    return {}


def _tell(failures: Mapping[str, str]) -> None:
    for path, reason in failures.items():
        logger.error("FAILED '%s': %s", path, reason)


def _hidden_bars(configs: Sequence[Path]) -> dict[str, Any]:
    """Return the values that leave out the bars over the volumes of a single run."""
    handlers = enumerate(config_values(configs).get("handlers", []))
    places = [number for number, handler in handlers if str(handler.get("_target_")).endswith("ProgressBar")]
    return {f"handlers#{number}#_disabled_": True for number in places}


def _place(runs: Sequence[TargetRun], dataset: Path, output: Path) -> None:
    """Move the results of a BIDS data set to their places, also of a run that was stopped."""
    placed = [path for one in runs for path in place_results(one.scans, one.target, dataset=dataset, output=output)]
    for path in placed:
        logger.info("moved to %s", path)
    scratch = output / SCRATCH
    if scratch.is_dir() and not any(scratch.iterdir()):
        scratch.rmdir()
    if placed:
        write_description(dataset, output, shlex.join(["unicoal", *sys.argv[1:]]))
