"""Train a bundle at several sites whose subjects stay there, by federated averaging.

`python apps/nvflare/job.py --sites "{'a': 'A', 'b': 'B'}" --output OUT` simulates the sites on this machine.
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from nvflare.app_opt.pt.file_model_persistor import PTFileModelPersistor
from nvflare.app_opt.pt.recipes.fedavg import FedAvgRecipe
from nvflare.client.config import ExchangeFormat
from nvflare.recipe import SimEnv, set_per_site_config
from site_training import untrained_weights
from site_values import site_settings

from unicoal_components.command_line import run_command
from unicoal_components.runtime.weights import read_weights, save_weights

logger = logging.getLogger("job")
FOLDER = Path(__file__).resolve().parent
NAME = "unicoal"


def federate(
    *,
    sites: Mapping[str, str],
    output: str,
    bundle: str = "bundles/unified",
    pretrained: str | None = None,
    rounds: int = 3,
    local_epochs: int = 1,
    values: Mapping[str, Any] | None = None,
    write_job: bool = False,
) -> None:
    """Train a bundle at several sites; the global weights are written to output/global.pt.

    Args:
        sites: prepared folder of each site, as in {'site-1': 'A', 'site-2': 'B'}; with `write_job`, paths at the sites.
        output: folder for the results, and for what the simulated sites keep; with `write_job`, a path at the sites.
        bundle: folder of the bundle; with `write_job`, a path at the sites.
        pretrained: weights to start from, such as bundles/unified/models/model.pt; otherwise untrained ones.
        rounds: rounds of the federation.
        local_epochs: epochs of images_per_epoch images of each site in a round.
        values: values of the bundle's train.json, the same at every site, as in {'images_per_epoch': 200}.
        write_job: write the job into output/job, to submit it to a running federation, instead of simulating it.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    start, folder, root = Path.cwd(), Path(output).resolve(), Path(bundle).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    initial = folder / "initial.pt"
    save_weights(
        untrained_weights(bundle=bundle, values=values or {}) if pretrained is None else read_weights(pretrained),
        initial,
    )
    os.chdir(FOLDER)  # NVFlare sends a script to the sites only if it is given relative to this folder
    recipe = FedAvgRecipe(
        name=NAME,
        model_persistor=PTFileModelPersistor(
            source_ckpt_file_full_name=str(initial), allow_numpy_conversion=False, load_device="cpu"
        ),
        min_clients=len(sites),
        num_rounds=rounds,
        train_script="client.py",
        server_expected_format=ExchangeFormat.PYTORCH,
        key_metric="val_psnr",
    )
    set_per_site_config(recipe, {name: {} for name in sites})
    for file in ("site_training.py", "site_values.py"):
        recipe.add_client_file(str(FOLDER / file))
    for name, dataset_dir in sites.items():
        settings = site_settings(
            bundle=root,
            dataset_dir=start / dataset_dir,
            output_dir=folder / name,
            rounds=rounds,
            local_epochs=local_epochs,
            values=values or {},
        )
        settings_file = folder / name / "settings.json"
        settings_file.parent.mkdir(exist_ok=True)
        settings_file.write_text(json.dumps(settings, indent=4), encoding="utf-8")
        recipe.add_client_file(str(settings_file), clients=[name])
    if write_job:
        recipe.export(str(folder / "job"))
        logger.info("the job is in %s", folder / "job" / NAME)
        return
    run = recipe.execute(SimEnv(clients=list(sites), workspace_root=str(folder / "simulation")))
    logger.info("status: %s", run.get_status())
    found = next((folder / "simulation").rglob("FL_global_model.pt"))
    save_weights(torch.load(found, weights_only=True)["model"], folder / "global.pt")
    logger.info("the global weights are in %s", folder / "global.pt")


if __name__ == "__main__":
    run_command(federate)
