"""MONAI Label task that runs a bundle as `python -m monai.bundle run` does, and answers with what that has written."""

import json
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastapi import HTTPException
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from lib.answer import answer_file, written_format
from lib.options import STORE, read_options, shown_options
from lib.scan import find_scan
from unicoal_components.commands.bundle_run import BundleRun
from unicoal_components.commands.bundles import METADATA, config_values
from unicoal_components.errors import user_error

Store = Callable[[Path], None]
"""Sends the DICOM files of a folder to the server where the scan is from."""


class SynthesisTask(InferTask):
    """A bundle as a model of MONAI Label.

    Its type is "others": "segmentation" would have viewers draw the image as a label map.

    Args:
        folder: the bundle.
        weights: file of its weights.
        fixed: further values of its `inference.json` for all requests.
        output: folder for answers; whoever sends them removes them.
        store: see `Store`; `None` = the scans are not from a DICOMweb server.
    """

    def __init__(
        self, *, folder: Path, weights: Path, fixed: Mapping[str, Any], output: Path, store: Store | None = None
    ) -> None:
        self.folder = folder
        self.weights = weights
        self.fixed = dict(fixed)
        self.output = output
        self.store = store
        self.config_file = folder / "configs" / "inference.json"
        values = config_values([self.config_file])
        self.metadata = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        self.modalities = values["modalities"]
        self.same = values["target_modality"] == values["source_modality"]
        super().__init__(
            type=InferType.OTHERS,
            labels=list(self.modalities),
            dimension=3,
            description=self.metadata["description"],
            config=shown_options(values, can_store=store is not None),
        )

    def is_valid(self) -> bool:
        """Return whether the model can be shown."""
        return True

    def get_path(self, validate: bool = True) -> str:
        """Return the file of the weights."""
        return str(self.weights)

    def info(self) -> dict[str, Any]:
        """Return what viewers show."""
        return super().info() | {"version": self.metadata["version"]}

    def __call__(self, request: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Run the bundle for one scan.

        Args:
            request: path of the scan under "image", options, see `shown_options`.

        Returns:
            File of the result, and the bundle's record of it.

        Raises:
            HTTPException: the request cannot be served, with the reason.
        """
        try:
            options = read_options(request, self.config())
            store = self.store if options.pop(STORE, False) else None
            extension = request.get("result_extension")
            options["output_format"] = "dicom" if store else written_format(options["output_format"], extension)
            with TemporaryDirectory(dir=self.output) as folder:
                record = self._run(str(request["image"]), options, Path(folder))
                outputs = [Path(folder) / name for name in record["outputs"].values()]
                if store:
                    for output in outputs:
                        store(output)
                name = outputs[0].name.removesuffix(".nii.gz")
                answer = answer_file(outputs, extension, self.output / f"{secrets.token_hex(4)}_{name}")
        except Exception as error:
            reason = user_error(error)
            if reason is None:
                raise
            raise HTTPException(status_code=422, detail=reason) from error
        return str(answer), record

    def _run(self, image: str, options: dict[str, Any], output: Path) -> dict[str, Any]:
        """Run the bundle into a folder, and return its record."""
        scan = find_scan(image, modality=options["source_modality"], known=self.modalities)
        options["source_modality"] = scan.modality
        if self.same:
            options["target_modality"] = scan.modality
        given = {name: value for name, value in options.items() if value is not None}
        paths = {"input": scan.path, "output_dir": output, "bundle_root": self.folder, "ckpt_path": self.weights}
        BundleRun([self.config_file], given | self.fixed | paths).run()
        (record,) = output.glob("*.json")
        return json.loads(record.read_text(encoding="utf-8"))
