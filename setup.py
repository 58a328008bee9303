"""What pyproject.toml cannot say: the wheel holds the bundles, with the weights that they share once."""

import filecmp
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

BUNDLES = Path("bundles")
HOME = "unified"
PATTERNS = ("LICENSE", "configs/*", "docs/*", "scripts/__init__.py", "models/model.training.json")
WEIGHTS = "models/model.pt"


class BuildWithBundles(build_py):
    """Copies the bundles to `unicoal_components/bundles`; an editable installation uses those of the repository."""

    def run(self) -> None:
        """Build, and add the bundles."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "unicoal_components" / BUNDLES
        for bundle in sorted(path for path in BUNDLES.iterdir() if (path / "configs").is_dir()):
            files = [path for pattern in PATTERNS for path in bundle.glob(pattern) if path.is_file()]
            for path in [*files, *self._own_weights(bundle)]:
                place = target / path.relative_to(BUNDLES)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)

    def _own_weights(self, bundle: Path) -> list[Path]:
        """Return the weights of a bundle unless they are those of `HOME`, which the package then takes."""
        weights = bundle / WEIGHTS
        shared = BUNDLES / HOME / WEIGHTS
        same = (
            bundle.name != HOME
            and shared.is_file()
            and weights.is_file()
            and filecmp.cmp(weights, shared, shallow=False)
        )
        return [] if same or not weights.is_file() else [weights]


setup(cmdclass={"build_py": BuildWithBundles})
