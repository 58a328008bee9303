"""Measure a bundle's weights on held-out subjects, to decide whether to release them.

`python tools/measure_weights.py --datalist DATA/datalist.json`: within a modality the gain over the interpolation
that the network's output is added to, along every truly thin axis; across modalities the gain over an affine map of
the input that knows the truth. An evaluation of the bundle says more, and takes longer.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from monai.bundle import ConfigParser
from torch import nn
from tqdm import tqdm

from unicoal_components.command_line import Numbers, Words, run_command
from unicoal_components.datasets.datalist import read_datalist
from unicoal_components.datasets.hdf5 import read_header, read_volume
from unicoal_components.evaluation.baselines import affine_map
from unicoal_components.files.atomic import atomic_path
from unicoal_components.inference.volume_inferer import VolumeInferer, slice_groups
from unicoal_components.metrics.calibration import ONE_SIGMA, calibration
from unicoal_components.metrics.foreground import foreground
from unicoal_components.networks.residual import interpolate_slices
from unicoal_components.runtime.weights import load_weights
from unicoal_components.slices.planes import PLANES
from unicoal_components.slices.slice_group import thin_depths
from unicoal_components.slices.slice_profile import thick_volume

Row = dict[str, str | float]
TASKS = ("within", "across")
PEAK = 2.0  # of intensities in [-1, 1]


def main(
    *,
    datalist: str,
    bundle: str = "bundles/unified",
    weights: str | None = None,
    section: str = "validation",
    tasks: Words = TASKS,
    factors: Numbers = (2, 4, 6),
    step: int = 15,
    planes: int = 1,
    output: str | None = None,
) -> None:
    """Print a row for each case and the means, and write them as JSON if an output is given.

    Args:
        datalist: JSON of `unicoal prepare`.
        bundle: bundle whose configs/inference.json describes the network.
        weights: file of weights; otherwise models/model.pt of the bundle.
        section: section of the datalist; its subjects must be held out from the training.
        tasks: within a modality, across modalities, or both.
        factors: factors of super-resolution within a modality.
        step: distance of the measured slices, in slices. Only with 1 are slices within a modality made consistent with
            the thick ones, as inference makes them.
        planes: 1, axial slices across modalities, or 3, the mean over all three planes, as inference makes it.
        output: JSON file for the rows.

    Raises:
        ValueError: a task is unknown, or none is given.
    """
    if not tasks or not set(tasks) <= set(TASKS):
        raise ValueError(f"tasks is {list(tasks)}; give one or both of {', '.join(TASKS)}.")
    measured = Measurement.of_bundle(Path(bundle), weights=weights, step=step)
    rows: list[Row] = []
    for entry in tqdm(read_datalist(datalist, section), desc="subjects"):
        if "within" in tasks:
            rows += measured.within(entry["subject"], entry["path"], factors)
        if "across" in tasks:
            rows += measured.across(entry["subject"], entry["path"], planes=planes)
    for line in (*table(rows), "", *table(means(rows))):
        print(line)
    if output is not None:
        with atomic_path(output) as partial:
            partial.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


class Measurement:
    """Measurement of a network on subjects.

    Args:
        network: network with the generator's interface.
        modalities: names of its modalities, in their order.
        resolution: in-plane size of its images, in pixels.
        step: distance of the measured slices, in slices.
    """

    def __init__(self, network: nn.Module, *, modalities: Sequence[str], resolution: int, step: int) -> None:
        self.network, self.modalities, self.step = network.eval(), list(modalities), step
        self.with_error = bool(getattr(network, "error_output", False))
        self.inferer = VolumeInferer(
            resolution=resolution,
            context=True,
            data_consistency=True,
            slice_smoothing=True,
            with_error=self.with_error,
        )

    @classmethod
    def of_bundle(cls, bundle: Path, *, weights: str | None, step: int) -> "Measurement":
        """Return the measurement of a bundle's network with `weights`; `None` = the bundle's own."""
        config = ConfigParser(json.loads((bundle / "configs" / "inference.json").read_text(encoding="utf-8")))
        config["network_def"]["_target_"] = "unicoal_components.Generator"
        network = config.get_parsed_content("network_def")
        network = load_weights(network=network, path=weights or bundle / "models" / "model.pt")
        return cls(network, modalities=config["modalities"], resolution=config["resolution"], step=step)

    def within(self, subject: str, path: str, factors: Sequence[float]) -> Iterator[Row]:
        """Measure super-resolution of every modality along every thin axis, on slices that are not in the input."""
        for name, axes in read_header(path).thin_axes.items():
            volume = read_volume(path, name)
            inside = foreground(target=volume)
            for axis in axes:
                thin, head = np.ascontiguousarray(np.moveaxis(volume, axis, 0)), np.moveaxis(inside, axis, 0)
                for factor in factors:
                    stack = thick_volume(thin, factor, "gaussian")
                    indices = self._between(head, factor, len(stack))
                    case = f"{name} ×{factor:g}"
                    asked = np.arange(indices[0], indices[-1] + 1) if self.step == 1 else indices
                    output = self._ask(stack, asked, name, name, factor)[:, np.isin(asked, indices)]
                    rival = _interpolated(stack, indices, factor)
                    measured = self._row(output, thin[indices], rival, head[indices])
                    yield {"subject": subject, "case": case, "axis": PLANES[axis], **measured}

    def across(self, subject: str, path: str, *, planes: int = 1) -> Iterator[Row]:
        """Measure synthesis of every modality from every other one on one grid, in axial slices."""
        names = read_header(path).modalities
        volumes = {name: read_volume(path, name) for name in names}
        for target in names:
            inside = foreground(target=volumes[target])
            rows = np.flatnonzero(inside.any(axis=(1, 2)))
            indices = rows[self.step // 2 :: self.step]
            for source in (name for name in names if name != target):
                pair = (torch.from_numpy(volumes[name]) for name in (source, target))
                rival = affine_map(*pair, inside=torch.from_numpy(inside)).numpy()
                if planes == 1:
                    output = self._ask(volumes[source], indices, source, target, 1.0)
                else:
                    output = self._ask(volumes[source], None, source, target, 1.0, planes=planes)[:, indices]
                measured = self._row(output, volumes[target][indices], rival[indices], inside[indices])
                axis = PLANES[0] if planes == 1 else "all"
                yield {"subject": subject, "case": f"{source} → {target}", "axis": axis, **measured}

    def _between(self, head: np.ndarray, factor: float, count: int) -> np.ndarray:
        """Return slices of the head between the thick ones."""
        rows = np.flatnonzero(head.any(axis=(1, 2)))
        depths = thin_depths(rows, factor)
        rows = rows[(np.abs(depths - np.rint(depths)) > 1e-6) & (depths < count - 1)]
        return rows[self.step // 2 :: self.step]

    def _ask(
        self,
        stack: np.ndarray,
        indices: np.ndarray | None,
        source: str,
        target: str,
        factor: float,
        *,
        planes: int = 1,
    ) -> np.ndarray:
        """Return the slices, all without `indices`, and their predicted error if there is one: `(C, K, H, W)`."""
        classes = {"source_modality": source, "modality": target}
        given = {key: torch.tensor([self.modalities.index(name)]) for key, name in classes.items()}
        with torch.no_grad():
            return self.inferer(
                torch.from_numpy(np.ascontiguousarray(stack))[None, None],
                self.network,
                factor=float(factor),
                indices=None if indices is None else torch.from_numpy(indices),
                planes=planes,
                **given,
            )[0].numpy()

    def _row(self, output: np.ndarray, truth: np.ndarray, rival: np.ndarray, inside: np.ndarray) -> Row:
        ours, theirs = (psnr(image, truth, inside) for image in (output[0], rival.clip(-1, 1)))
        row: Row = {"rival": theirs, "psnr": ours, "gain": ours - theirs}
        if self.with_error:
            found = calibration(error=output[0] - truth, deviation=output[1], foreground=inside, laplace=True)
            row |= {"coverage": found.observed[found.nominal.index(ONE_SIGMA)], "rank": found.spearman}
            row["error"] = float(np.abs(output[0] - truth)[inside].mean())
            row["expected"] = float(output[1][inside].mean())
        return row


def psnr(image: np.ndarray, truth: np.ndarray, inside: np.ndarray) -> float:
    """Return the peak signal to noise ratio in dB inside the head, both images in [-1, 1]."""
    return float(10 * np.log10(PEAK**2 / np.square(image - truth)[inside].mean()))


def means(rows: Sequence[Row]) -> list[Row]:
    """Average the rows of each case, and give the smallest gain."""
    cases = list(dict.fromkeys(row["case"] for row in rows))
    result: list[Row] = []
    for case in cases:
        own = [row for row in rows if row["case"] == case]
        numbers = [name for name, value in own[0].items() if isinstance(value, float)]
        averages = {name: float(np.mean([float(row[name]) for row in own])) for name in numbers}
        lowest = min(float(row["gain"]) for row in own)
        result.append({"subject": f"mean of {len(own)}", "case": case, "axis": ""} | averages | {"lowest": lowest})
    return result


def table(rows: Sequence[Row]) -> list[str]:
    """Return the lines of a Markdown table."""
    if not rows:
        return []
    names = list(rows[0])
    cells = [[f"{value:.2f}" if isinstance(value, float) else value for value in row.values()] for row in rows]
    return [f"| {' | '.join(map(str, line))} |" for line in (names, ["---"] * len(names), *cells)]


def _interpolated(stack: np.ndarray, indices: np.ndarray, factor: float) -> np.ndarray:
    """Return the base of the network's output: cubic convolution of the four thick slices around."""
    depths = thin_depths(indices, factor)
    anchors = np.floor(depths)
    groups = slice_groups(torch.from_numpy(stack), torch.as_tensor(anchors, dtype=torch.int64), 4)
    position = torch.as_tensor(depths - anchors, dtype=torch.float32)[:, None]
    return interpolate_slices(groups, position)[:, 0].numpy()


if __name__ == "__main__":
    run_command(main)
