"""Prepare scans for training; the same as `unicoal prepare`."""

if __name__ == "__main__":
    from unicoal_components import interruption

    interruption.start()

import logging

from unicoal_components.command_line import run_command
from unicoal_components.commands.prepare import prepare

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_command(prepare)
