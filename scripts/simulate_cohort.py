"""Simulate a cohort; the same as `unicoal simulate`."""

if __name__ == "__main__":
    from unicoal_components import interruption

    interruption.start()

import logging

from unicoal_components.command_line import run_command
from unicoal_components.commands.simulate import simulate

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_command(simulate)
