"""HTML pages from templates."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def page_templates(folder: Path, **filters: Callable[..., str]) -> Environment:
    """Return an environment for the templates of a folder, with automatic escaping.

    All values are escaped, unless the template marks them `|safe`; a missing value is an error.

    Args:
        folder: folder of the templates and of the files that they include.
        filters: filters for the templates, by name.

    Example:
        >>> page_templates(Path()).from_string('<b title="{{ text }}">').render(text='"><script>')
        '<b title="&#34;&gt;&lt;script&gt;">'
    """
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(filters)
    return environment
