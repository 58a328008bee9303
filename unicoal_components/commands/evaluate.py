"""`unicoal evaluate`: the evaluation of a bundle."""

from typing import Annotated, Literal

from cyclopts import Parameter

from ..command_line import Numbers, Words
from .bundle_run import BundleRun
from .bundles import HOME, bundle_folder, config_values, configs_of, weights_of
from .settings import Configs, Settings, given
from .sources import named


def evaluate(
    *,
    data: str,
    output: str,
    weights: str | None = None,
    source: Annotated[Words | None, Parameter(name="--from")] = None,
    to: Words | None = None,
    factor: Numbers | None = None,
    axis: Literal["thin", "axial", "coronal", "sagittal"] = "thin",
    config: Configs = (),
    set: Settings = (),
    bundle: str = HOME,
    device: str = "auto",
    show: bool = False,
) -> None:
    """Evaluate a network on the test subjects of a datalist, beside interpolation and an affine map.

    Thin slices of the same modality, four times thinner:

        unicoal evaluate --data DATA --weights OUT/model.pt --output OUT --from t1 --to t1 --factor 4

    All cases of the bundle, each source to each target at factors 1 and 4:

        unicoal evaluate --data DATA --weights OUT/model.pt --output OUT

    It leaves tables and `report.html` in `OUT/evaluation`; the page opens in a browser without a network.

    Args:
        data: folder with datalist.json.
        output: folder for the evaluation.
        weights: file of weights; otherwise those that are shipped.
        source: modalities of the inputs; together with to and factor these are the cases.
        to: modalities to synthesize.
        factor: factors between thick and thin slices.
        axis: plane of the slices; thin = each one in which the scans are truly thin.
        config: JSON files with values on top of the bundle's `train.json`; those of the training.
        set: values of the config, such as `--set evaluation_slice_step=7`; it may be given several times.
        bundle: unified, sr, cms, cmsr, or the folder of a bundle.
        device: auto takes a GPU where there is one; or `cpu`, `cuda`, `cuda:1`.
        show: print the command of MONAI that does the same, and do nothing.

    Raises:
        ValueError: some of source, to and factor are given, or name the same slices of the same modality.
    """
    folder = bundle_folder(bundle)
    configs = configs_of(folder, ["train.json", "evaluate.json"], config)
    values = {
        "bundle_root": folder,
        "dataset_dir": data,
        "output_dir": output,
        "ckpt_path": weights_of(folder, weights),
    }
    if source is not None or to is not None or factor is not None:
        values["test_cases"] = _cases(source, to, factor, axis, config_values(configs)["modalities"])
    BundleRun(configs, values | given(device, set)).run_or_show(show)


def _cases(
    source: Words | None, to: Words | None, factor: Numbers | None, axis: str, known: list[str]
) -> list[dict[str, object]]:
    """Return the cases of each source to each target at each factor, without those that change nothing."""
    if source is None or to is None or factor is None:
        raise ValueError("give --from, --to and --factor together, such as --from t1 --to t1,t2 --factor 4.")
    cases = [
        {"source": one, "target": other, "factor": number, "axis": axis}
        for one in named(source, known, "--from")
        for other in named(to, known, "--to")
        for number in factor
        if one != other or number != 1
    ]
    if not cases:
        raise ValueError("--from, --to and --factor 1 name scans as they are; give another --to or --factor.")
    return cases
