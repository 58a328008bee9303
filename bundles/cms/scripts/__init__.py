"""The components that the configs name: the copy packed with this bundle, else the installed package."""

from importlib.util import find_spec

if find_spec(f"{__name__}.unicoal_components"):
    from .unicoal_components import *  # noqa: F401, F403
    from .unicoal_components import __version__
else:
    from unicoal_components import *  # noqa: F401, F403
    from unicoal_components import __version__

__all__ = ["__version__"]
