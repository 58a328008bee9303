"""`unicoal report`: the page of an evaluation from its folder."""

import logging

from ..report.html_report import write_report

logger = logging.getLogger(__name__)


def report(*, evaluation: str, viewer_cases: int = 3, panels: int = 12) -> None:
    """Write the report of an evaluation again, for example with more cases to view.

    The page is `report.html` in the folder; it opens in any browser without a network.

        unicoal report --evaluation OUT/evaluation --viewer_cases 5

    Args:
        evaluation: folder that an evaluation wrote, with run.json.
        viewer_cases: number of cases whose volumes are in the page.
        panels: number of panels in the page; others are linked.
    """
    path = write_report(evaluation, viewer_cases=viewer_cases, panels=panels)
    logger.info("wrote %s, %.1f MB", path, path.stat().st_size / 1e6)
