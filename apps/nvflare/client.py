"""What NVFlare runs at a site: in each round, evaluate the global weights, train them, and send them back.

`settings.json`, which the job puts beside this file, holds the arguments of `SiteTraining`.
"""

import json
import sys
from pathlib import Path

import nvflare.client as flare

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER))

from site_training import SiteTraining  # noqa: E402 - it came with the job, into this folder


def main() -> None:
    """Answer the server until it ends the federation."""
    settings = json.loads((FOLDER / "settings.json").read_text(encoding="utf-8"))
    flare.init()
    training = SiteTraining(name=flare.get_site_name(), **settings)
    while flare.is_running():
        model = flare.receive()
        if model is None:
            break
        metrics = training.evaluate(model.params)
        weights, steps = training.train(model.params, number=model.current_round)
        meta = {"NUM_STEPS_CURRENT_ROUND": steps}
        flare.send(flare.FLModel(params=weights, metrics=metrics, meta=meta))


if __name__ == "__main__":
    main()
