"""The components that the configs name: of the copy packed with this bundle, else of the installed package."""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

_IS_PACKED = find_spec(f"{__name__}.unicoal_components") is not None
_PACKAGE = import_module(".unicoal_components" if _IS_PACKED else "unicoal_components", __name__)

__version__: str = _PACKAGE.__version__


def __getattr__(name: str) -> Any:
    """Give a component, which is imported at the first use of it."""
    return getattr(_PACKAGE, name)


def __dir__() -> list[str]:
    """Name the components, imported or not."""
    return sorted({*globals(), *dir(_PACKAGE)})
