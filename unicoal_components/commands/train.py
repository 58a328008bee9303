"""`unicoal train`: the training of a bundle."""

from pathlib import Path

from .bundle_run import BundleRun
from .bundles import HOME, bundle_folder, configs_of, weights_of
from .settings import Configs, Settings, given

SHIPPED = "shipped"
SCRATCH = "none"


def train(
    *,
    data: str,
    output: str,
    pretrained: str = SHIPPED,
    epochs: int | None = None,
    learning_rate: float | None = None,
    config: Configs = (),
    set: Settings = (),
    bundle: str = HOME,
    device: str = "auto",
    show: bool = False,
) -> None:
    """Train a network on subject files of `unicoal prepare` or `unicoal simulate`.

    From the shipped weights:

        unicoal train --data DATA --output OUT --epochs 6 --learning_rate 0.003

    From nothing, with other values of the config (all are in docs/training.md):

        unicoal train --data DATA --output OUT --pretrained none --set batch_size=4 --set "targets=['t1','t2']"

    The weights are `OUT/model.pt`. A training that was stopped goes on with the same command. Several GPUs, or
    processes: start the command that `--show` prints with `torchrun`, see docs/training.md.

    Args:
        data: folder with datalist.json.
        output: folder for the weights, checkpoints and curves.
        pretrained: weights to start from: shipped, none, or a file; with a network of another size, give none.
        epochs: number of epochs; the learning rate falls in their last two thirds.
        learning_rate: learning rate of Adam.
        config: JSON files with values on top of the bundle's `train.json`.
        set: values of the config, such as `--set batch_size=4`; it may be given several times.
        bundle: unified, sr, cms, cmsr, or the folder of a bundle.
        device: auto takes a GPU where there is one; or `cpu`, `cuda`, `cuda:1`.
        show: print the command of MONAI that does the same, and do nothing.
    """
    folder = bundle_folder(bundle)
    values = {"bundle_root": folder, "dataset_dir": data, "output_dir": output, "ckpt_path": Path(output) / "model.pt"}
    if pretrained != SCRATCH:
        values["pretrained"] = weights_of(folder, None if pretrained == SHIPPED else pretrained)
    if epochs is not None:
        values |= {"max_epochs": epochs, "constant_epochs": epochs // 3, "decay_epochs": epochs - epochs // 3}
    if learning_rate is not None:
        values["learning_rate"] = learning_rate
    BundleRun(configs_of(folder, ["train.json"], config), values | given(device, set)).run_or_show(show)
