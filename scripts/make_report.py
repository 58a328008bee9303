"""Rebuild the report of an evaluation, for example with more cases to view.

    python scripts/make_report.py --evaluation DIR [--viewer_cases 5]

It needs no network and no data except the evaluation's folder; DIR/report.html opens in any browser.
"""

import logging

from unicoal_components.command_line import run_command
from unicoal_components.report.html_report import write_report

logger = logging.getLogger("make_report")


def make_report(*, evaluation: str, viewer_cases: int = 3, panels: int = 12) -> None:
    """Write report.html.

    Args:
        evaluation: folder that an evaluation wrote, with run.json.
        viewer_cases: number of cases whose volumes are in the page.
        panels: number of panels in the page; others are linked.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    path = write_report(str(evaluation), viewer_cases=viewer_cases, panels=panels)
    logger.info("wrote %s, %.1f MB", path, path.stat().st_size / 1e6)


if __name__ == "__main__":
    run_command(make_report)
