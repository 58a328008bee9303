"""What NVFlare runs at the server: averages of the sites' weights, also without sites that fail or stay away."""

from typing import Any

from nvflare.app_common.abstract.fl_model import FLModel
from nvflare.app_common.workflows.fedavg import FedAvg


class FederatedAveraging(FedAvg):
    """FedAvg (McMahan et al. 2017) that goes on with the sites that answer.

    NVFlare's own waits for every site without a limit, and ends the federation when one of them fails.

    A job holds the arguments that the signature names, and no others.

    Args:
        num_clients: number of sites, all of which are asked in each round.
        num_rounds: rounds of the federation.
        persistor_id: what loads and saves the global weights.
        min_sites: sites that a round needs.
        round_timeout: seconds after which a round does not wait for the sites that have not answered; 0 = no limit.
    """

    def __init__(
        self, *, num_clients: int, num_rounds: int, persistor_id: str, min_sites: int, round_timeout: int
    ) -> None:
        super().__init__(
            num_clients=num_clients, num_rounds=num_rounds, persistor_id=persistor_id, ignore_result_error=True
        )
        self.min_sites = min_sites
        self.round_timeout = round_timeout

    def send_model(self, **kwargs: Any) -> None:
        """Send the global weights to the sites; no answer is taken after the time limit."""
        super().send_model(timeout=self.round_timeout, **kwargs)

    def _get_aggregated_result(self) -> FLModel:
        """Return the average; NVFlare ends the federation with the message of an error."""
        if self._received_count < self.min_sites:
            raise RuntimeError(
                f"round {self.current_round + 1}: {self._received_count} of {self._expected_count} sites have sent "
                f"weights, and min_sites is {self.min_sites}"
            )
        return super()._get_aggregated_result()
