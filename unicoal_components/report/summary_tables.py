"""Tables of means over subjects, a row for each method, with what could be shown against each baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..metrics.measure import Column
from .evaluation import Evaluation
from .html import Html, details, element, joined, section, table
from .numbers import NONE, counted, number, p_value
from .rows import Row, case_name, case_of
from .statistics import smallest_p

STRICT = ("psnr", "ssim", "nmse", "mae", "hfen", "gms")
PAPER = "paper_"
OPEN_CASES = 4
"""Of more cases than these, only the first is open."""

LEVEL = 0.05
ARROWS = {"higher": "↑", "lower": "↓", "one": "→ 1", "none": ""}
MARKS = {"better": "★", "worse": "▼"}

Found = dict[tuple, Row]


def summary_section(evaluation: Evaluation) -> Html:
    """Show every case: the strict protocol, other measures, the paper's protocol."""
    found = {(*case_of(row), row["baseline"], row["metric"]): row for row in evaluation.comparisons}
    groups = list(_groups(evaluation))
    parts = [
        details(
            [element("b", case_name(case)), f" · {counted(_most(_rows(evaluation, case)), 'subject')}"],
            [
                [element("h4", title), element("p", text), _case_table(evaluation, case, columns, found)]
                for title, text, columns in groups
            ],
            is_open=index == 0 or len(evaluation.cases) <= OPEN_CASES,
        )
        for index, case in enumerate(evaluation.cases)
    ]
    return section(
        "Results",
        "results",
        element(
            "p",
            "Mean ± standard deviation over subjects (of the population: divided by n), below it the 95 % interval of "
            f"the mean. The rows of {evaluation.method} are highlighted, the best mean of each column is bold; rows "
            "that know the truth (oracles) do not compete.",
        ),
        _legend(evaluation),
        _overview(evaluation, found) if len(evaluation.cases) > 1 else None,
        parts,
        _empty_columns(evaluation),
        _method_notes(evaluation),
        _comparisons(evaluation),
    )


def measured(evaluation: Evaluation, column: Column) -> bool:
    """Tell whether any row has a number in the column."""
    return any(not math.isnan(row.get(f"{column.name}_mean", math.nan)) for row in evaluation.summary)


def competes(evaluation: Evaluation, method: str) -> bool:
    """Tell whether a method is no oracle, as its note says."""
    return "oracle" not in str((evaluation.run.get("method_notes") or {}).get(method, "")).lower()


def method_heading(evaluation: Evaluation, method: str, *, scope: str = "row") -> Html:
    """Name a method at its row or column, and say of an oracle that it is one."""
    mark = None if competes(evaluation, method) else element("small", " knows the truth", class_="oracle")
    return element("th", method, mark, scope=scope)


def reachable(evaluation: Evaluation) -> str:
    """Say which p the number of subjects allows, so that a missing star is not taken for equality."""
    count = _most(evaluation.summary)
    made = sum(not math.isnan(row.get("p", math.nan)) for row in evaluation.comparisons)
    if not made:
        few = "one subject allows none" if count <= 1 else "none was made"
        return f"No test: {few}, so no difference here says anything about other subjects."
    alone, together = smallest_p(count), min(1.0, made * smallest_p(count))
    text = (
        f"The smallest p that {counted(count, 'subject')} can reach is {alone:.3g}, after the correction for "
        f"{counted(made, 'comparison')} {together:.3g}"
    )
    return f"{text}: no difference, however clear, could have got a mark." if together >= LEVEL else f"{text}."


def _groups(evaluation: Evaluation) -> Iterator[tuple[str, str, list[Column]]]:
    """Yield title, explanation and columns that hold numbers."""
    columns = [column for column in evaluation.columns if measured(evaluation, column)]
    strict = [column for column in columns if column.name in STRICT]
    paper = [column for column in columns if column.name.startswith(PAPER)]
    other = [column for column in columns if column not in strict and column not in paper]
    groups = (
        ("Strict protocol", "Foreground of the truth, on the truth's own intensity scale: what counts.", strict),
        ("Other measures", "Perception, anatomy, and consistency through plane.", other),
        ("The paper's protocol", "To compare with published tables; lenient (see what is measured).", paper),
    )
    yield from (group for group in groups if group[2])


def _rows(evaluation: Evaluation, case: Row) -> list[Row]:
    """Return a case's rows in the order of the methods."""
    rows = [row for row in evaluation.summary if case_of(row) == case_of(case)]
    order = {name: place for place, name in enumerate(evaluation.methods)}
    return sorted(rows, key=lambda row: order.get(row["method"], len(order)))


def _case_table(evaluation: Evaluation, case: Row, columns: Sequence[Column], found: Found) -> Html:
    rows = _rows(evaluation, case)
    best = {column.name: _best(evaluation, rows, column) for column in columns}
    body = []
    for row in rows:
        cells = [_cell(evaluation, row, column, best=best[column.name], found=found) for column in columns]
        first = method_heading(evaluation, row["method"])
        body.append(
            element(
                "tr", first, element("td", number(row["n"], 0)), cells, class_=_row_class(evaluation, row["method"])
            )
        )
    return table(["method", "n", *(_heading(column) for column in columns)], body, class_="numbers")


def _row_class(evaluation: Evaluation, method: str) -> str | None:
    return "ours" if method == evaluation.method else None


def _heading(column: Column) -> Html:
    unit = element("small", f" [{column.unit}]") if column.unit else None
    return joined([column.label, unit, element("small", f" {ARROWS[column.better]}")])


def _best(evaluation: Evaluation, rows: Sequence[Row], column: Column) -> float:
    """Return the best mean of the rows that compete; NaN where nothing is better."""
    means = [row.get(f"{column.name}_mean", math.nan) for row in rows if competes(evaluation, row["method"])]
    means = [mean for mean in means if not math.isnan(mean)]
    if not means or column.better == "none":
        return math.nan
    distance = {"higher": lambda x: -x, "lower": lambda x: x, "one": lambda x: abs(x - 1)}[column.better]
    return min(means, key=distance)


def _cell(evaluation: Evaluation, row: Row, column: Column, *, best: float, found: Found) -> Html:
    """Write mean ± deviation, the mark of a difference, and the interval."""
    mean, deviation, low, high = (row.get(f"{column.name}_{part}", math.nan) for part in ("mean", "std", "low", "high"))
    if math.isnan(mean):
        return element("td", NONE, class_="none")
    value = number(mean, column.digits)
    text = element("b", value) if mean == best and competes(evaluation, row["method"]) else value
    spread = None if row["n"] < 2 else f" ± {number(deviation, column.digits)}"
    interval = None if math.isnan(low) else f"[{number(low, column.digits)}, {number(high, column.digits)}]"
    compared = found.get((*case_of(row), row["method"], column.name))
    return element(
        "td", text, spread, _mark(compared, column, evaluation.method), element("small", interval, class_="interval")
    )


def _mark(compared: Row | None, column: Column, method: str) -> Html | None:
    if compared is None or compared["verdict"] not in MARKS:
        return None
    words = f"{method} is {compared['verdict']} by {_difference(compared, column.digits)}, {_p_values(compared)}"
    mark = MARKS[compared["verdict"]]
    return element("span", mark, class_=f"mark {compared['verdict']}", title=words, aria_label=words)


def _difference(row: Row, digits: int) -> str:
    interval = f"[{number(row['low'], digits)}, {number(row['high'], digits)}]"
    return f"{number(row['difference'], digits)} {interval}"


def _p_values(row: Row) -> str:
    return f"{p_value(row['p'])}, after Holm {p_value(row['p_holm'])}"


def _most(rows: Sequence[Row]) -> int:
    return int(max((row["n"] for row in rows), default=0))


def _compared(evaluation: Evaluation) -> list[Row]:
    """Return the comparisons, without those of columns that hold no number."""
    empty = {column.name for column in evaluation.columns if not measured(evaluation, column)}
    return [row for row in evaluation.comparisons if row["metric"] not in empty]


def _legend(evaluation: Evaluation) -> Html:
    comparisons = _compared(evaluation)
    if all(math.isnan(row["p"]) for row in comparisons):  # no row can have a mark
        return element("p", reachable(evaluation), class_="legend")
    method = evaluation.method
    marks = [
        [element("span", "★", class_="mark better"), f" {method} is better than this row, "],
        [element("span", "▼", class_="mark worse"), f" {method} is worse than this row: "],
    ]
    labels = {column.name: column.label for column in evaluation.columns}
    compared = dict.fromkeys(str(labels.get(row["metric"], row["metric"])) for row in comparisons)
    test = (
        "Wilcoxon's signed ranks of the subjects' differences, two-sided, p < 0.05 after Holm's correction over all "
        "comparisons, and the 95 % interval of the mean difference on one side of 0. "
    )
    return element("p", marks, test, f"Compared: {', '.join(compared)}. ", reachable(evaluation), class_="legend")


def _overview(evaluation: Evaluation, found: Found) -> Html | None:
    """Show the PSNR of every case and method in one table."""
    column = next((column for column in evaluation.columns if column.name == "psnr"), None)
    if column is None:
        return None
    body = []
    for case in evaluation.cases:
        rows = {row["method"]: row for row in _rows(evaluation, case)}
        best = _best(evaluation, list(rows.values()), column)
        cells = [_overview_cell(rows.get(name), column, best, found, evaluation) for name in evaluation.methods]
        body.append(element("tr", element("th", case_name(case), scope="row"), cells))
    title = element("h3", "All cases: PSNR [dB], strict protocol")
    heads = [method_heading(evaluation, name, scope="col") for name in evaluation.methods]
    return joined([title, table(["case", *heads], body, class_="numbers")])


def _overview_cell(row: Row | None, column: Column, best: float, found: Found, evaluation: Evaluation) -> Html:
    if row is None:
        return element("td", NONE, class_="none")
    mean = row.get("psnr_mean", math.nan)
    value = number(mean, column.digits)
    mark = _mark(found.get((*case_of(row), row["method"], "psnr")), column, evaluation.method)
    text = element("b", value) if mean == best and competes(evaluation, row["method"]) else value
    return element("td", text, mark, class_=_row_class(evaluation, row["method"]))


def _empty_columns(evaluation: Evaluation) -> Html | None:
    """Say why columns are empty."""
    empty = [column for column in evaluation.columns if not measured(evaluation, column)]
    labels = {column.name: column.label for column in evaluation.columns}
    notes = [(column.label, evaluation.notes.get(column.name, "no value was measured")) for column in empty]
    left = evaluation.notes.keys() - {column.name for column in empty}
    notes += [(labels.get(name, name), evaluation.notes[name]) for name in sorted(left) if evaluation.notes[name]]
    if not notes:
        return None
    return joined([element("h3", "Empty columns"), _listed(notes)])


def _method_notes(evaluation: Evaluation) -> Html | None:
    notes = evaluation.run.get("method_notes") or {}
    return joined([element("h3", "Rows"), _listed(notes.items())]) if notes else None


def _listed(pairs: object) -> Html:
    return element("ul", [element("li", element("b", name), f": {text}") for name, text in pairs])  # type: ignore[attr-defined]


def _comparisons(evaluation: Evaluation) -> Html | None:
    comparisons = _compared(evaluation)
    if not comparisons:
        return None
    columns = {column.name: column for column in evaluation.columns}
    body = []
    for row in comparisons:
        column = columns.get(row["metric"], Column(name=row["metric"], label=row["metric"]))
        facts = (
            case_name(row),
            row["baseline"],
            column.label,
            number(row["n"], 0),
            _difference(row, column.digits + 1),
        )
        values = (number(row["p"], 4), number(row["p_holm"], 4), row["verdict"] or NONE)
        body.append((*facts, *values))
    head = ("case", "against", "measure", "n", f"{evaluation.method} − other [95 %]", "p", "p, Holm", "verdict")
    return details(f"{counted(len(body), 'comparison')} in numbers", table(head, body, class_="numbers"))
