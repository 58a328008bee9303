"""Pack bundles for sharing; the same as `unicoal bundle pack`."""

import logging

from unicoal_components.command_line import run_command
from unicoal_components.commands.pack import pack

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_command(pack)
