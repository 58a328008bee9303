"""The table of a comparison: PSNR of several weights on the cases of several sites."""

import csv
from collections.abc import Iterable
from typing import Any

FIELDS = ("site", "source", "target", "factor", "weights", "psnr")
BASELINES = ("cubic", "affine")


def rows_of(summary: Iterable[str], *, site: str, weights: str, with_baselines: bool) -> list[dict[str, Any]]:
    """Return the rows of a `summary.csv`: PSNR in dB for each case, of the network and, if wanted, of the baselines."""
    names = {"ours": weights} | ({name: name for name in BASELINES} if with_baselines else {})
    return [
        {"site": site, "weights": names[row["method"]], "psnr": float(row["psnr_mean"])}
        | {name: row[name] for name in ("source", "target", "factor")}
        for row in csv.DictReader(summary)
        if row["method"] in names
    ]


def text_table(rows: list[dict[str, Any]]) -> str:
    """Return the PSNR in dB, a line for each case of a site and a column for each of the weights."""
    columns = list(dict.fromkeys(row["weights"] for row in rows))
    cases: dict[str, dict[str, float]] = {}
    for row in rows:
        case = f"{row['site']}: {row['source']} to {row['target']}, factor {row['factor']}"
        cases.setdefault(case, {})[row["weights"]] = row["psnr"]
    lines = [f"| case | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for case, found in cases.items():
        values = (f"{found[name]:.2f}" if name in found else "" for name in columns)
        lines.append(f"| {case} | {' | '.join(values)} |")
    return "\n".join(lines)
