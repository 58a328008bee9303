"""Formatting of numbers for tables."""

from __future__ import annotations

import math

NONE = "–"
"""Text for a missing number."""


def number(value: float | None, digits: int = 3) -> str:
    """Format a number with this many decimals, a true minus sign, and ∞; a dash for NaN or `None`.

    Example:
        >>> number(-0.5, 2), number(float("inf")), number(float("nan"))
        ('−0.50', '∞', '–')
    """
    if value is None or math.isnan(value):
        return NONE
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{value:.{digits}f}".replace("-", "−")


def p_value(value: float) -> str:
    """Format a p-value.

    Example:
        >>> p_value(0.0312), p_value(0.00001), p_value(float("nan"))
        ('p = 0.031', 'p < 0.001', 'p –')
    """
    if math.isnan(value):
        return f"p {NONE}"
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def counted(count: int, noun: str) -> str:
    """Format a count with its noun.

    Example:
        >>> counted(1, "case"), counted(2, "case")
        ('1 case', '2 cases')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
