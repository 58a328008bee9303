"""The command `unicoal` as `python -m unicoal_components`, also of a packed copy of the package."""

from .commands.app import main

main()
