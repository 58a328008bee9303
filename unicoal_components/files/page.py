"""HTML pages from templates."""

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def page_templates(folder: Path, **filters: Callable[..., str]) -> Environment:
    """Give the templates of a folder, in which text can never become markup.

    Whatever is put into a page is escaped, unless its template says `|safe`; a name that the template asks for and that
    is not given is an error.

    Args:
        folder: of the templates, and of what they include.
        filters: by name, for templates to write values with.

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
