"""MONAI Label app that serves the bundles; `serve.py` starts it."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import HTTPException
from lib.scan import is_inside
from lib.synthesis import Store, SynthesisTask
from monailabel.config import settings
from monailabel.datastore.dicom import DICOMWebDatastore
from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.exception import MONAILabelException
from pydicom import dcmread

from unicoal_components import __version__
from unicoal_components.commands.bundles import bundle_folder, weights_of
from unicoal_components.commands.settings import given
from unicoal_components.errors import cause_of


class UniCOALApp(MONAILabelApp):
    """The bundles as models of MONAI Label.

    Args:
        app_dir: folder of this file.
        studies: folder of scans, or URL of a DICOMweb server.
        conf: "bundles", names or folders separated by commas; "weights", a file for all bundles, by default their
            own; "device", by default a GPU where there is one.
    """

    def __init__(self, app_dir: str, studies: str, conf: Mapping[str, str]) -> None:
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=dict(conf),
            name="Uni-COAL",
            description="Thin slices from thick ones, and other modalities, of brain MR images. Not for diagnosis.",
            version=__version__,
        )

    def init_datastore(self) -> Datastore:
        """Return the scans; those of a DICOMweb server stay DICOM, which the bundles read themselves."""
        settings.MONAI_LABEL_DICOMWEB_CONVERT_TO_NIFTI = False
        return super().init_datastore()

    def _download_dcmqi_tools(self) -> None:
        """Download nothing: the tools are for segmentations."""

    def init_infers(self) -> dict[str, SynthesisTask]:
        """Return the bundles by name."""
        folders = [bundle_folder(name) for name in self.conf["bundles"].split(",")]
        return {
            folder.name: SynthesisTask(
                folder=folder.absolute(),
                weights=weights_of(folder, self.conf.get("weights")).absolute(),
                fixed=given(self.conf.get("device") or "auto", ()),
                output=Path(tempfile.gettempdir()),
                store=self._store(),
            )
            for folder in folders
        }

    def _store(self) -> Store | None:
        """Return what sends files to the DICOMweb server; `None` if the scans are in a folder."""
        datastore = self._datastore
        if not isinstance(datastore, DICOMWebDatastore):
            return None

        def store(folder: Path) -> None:
            datastore._client.store_instances([dcmread(path) for path in sorted(folder.iterdir())])

        return store

    def infer(self, request: Mapping[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Answer a request, see `SynthesisTask`.

        Raises:
            HTTPException: model or scan are unknown, or the request cannot be served; the reason is in it.
        """
        model, image = request.get("model"), str(request["image"])
        if model not in self._infers:
            raise HTTPException(404, f"the model {model!r} is unknown; this server has {', '.join(self._infers)}.")
        path = image if os.path.exists(image) else self._path_of(image)
        places = [tempfile.gettempdir(), settings.MONAI_LABEL_SESSION_PATH, settings.MONAI_LABEL_DICOMWEB_CACHE_PATH]
        if not is_inside(path, [*places, self.studies]):
            raise HTTPException(403, f"the scan {image!r} is not below the folder of the studies; upload it.")
        return super().infer(request, datastore)

    def _path_of(self, image: str) -> str:
        """Return the path of a scan of the datastore; a DICOM series is fetched."""
        try:
            path = self._datastore.get_image_uri(image)
        except IndexError:  # MONAI Label's answer to a series that the server does not have
            path = ""
        except (MONAILabelException, OSError) as error:
            raise HTTPException(502, f"the scan {image!r} cannot be fetched: {cause_of(error)}") from error
        if not path:
            raise HTTPException(404, f"the scan {image!r} is not in {self.studies}; /datastore/ lists the scans.")
        return str(path)
