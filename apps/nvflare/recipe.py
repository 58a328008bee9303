"""The federation as a job of NVFlare."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from federated_averaging import FederatedAveraging
from nvflare.app_opt.pt.file_model_persistor import PTFileModelPersistor
from nvflare.app_opt.pt.recipes.fedavg import FedAvgRecipe
from nvflare.client.config import ExchangeFormat
from nvflare.recipe import set_per_site_config

NAME = "unicoal"
FOLDER = Path(__file__).resolve().parent


class Recipe(FedAvgRecipe):
    """Federated averaging whose sites train in a process of their own in each round.

    A site whose training was killed misses that round only.

    Args:
        initial: weights to start from, at the server.
        sites: file with the settings of each site, by its name.
        rounds: rounds of the federation.
        min_sites: see `FederatedAveraging`.
        round_timeout: see `FederatedAveraging`.
        python: Python of the sites.
    """

    def __init__(
        self,
        *,
        initial: Path,
        sites: Mapping[str, Path],
        rounds: int,
        min_sites: int,
        round_timeout: int,
        python: str = sys.executable,
    ) -> None:
        self._averaging = {"num_clients": len(sites), "min_sites": min_sites, "round_timeout": round_timeout}
        super().__init__(
            name=NAME,
            model_persistor=PTFileModelPersistor(
                source_ckpt_file_full_name=str(initial), allow_numpy_conversion=False, load_device="cpu"
            ),
            min_clients=min_sites,  # NVFlare ends the job when fewer are alive
            num_rounds=rounds,
            train_script="client.py",
            launch_external_process=True,
            launch_once=False,
            command=f"{python} -u",
            server_expected_format=ExchangeFormat.PYTORCH,
            key_metric="val_psnr",
        )
        set_per_site_config(self, {name: {} for name in sites})
        for file in ("site_training.py", "site_values.py"):
            self.add_client_file(str(FOLDER / file))
        for name, settings in sites.items():
            self.add_client_file(str(settings), clients=[name])

    def _create_controller(self, persistor_id: str, model_params: Any, model_aggregator: Any) -> FederatedAveraging:
        return FederatedAveraging(num_rounds=self.num_rounds, persistor_id=persistor_id, **self._averaging)
