"""Write the report of an evaluation again; the same as `unicoal report`."""

if __name__ == "__main__":
    from unicoal_components import interruption

    interruption.start()

import logging

from unicoal_components.command_line import run_command
from unicoal_components.commands.report import report

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run_command(report)
