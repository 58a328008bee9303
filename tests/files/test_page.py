"""Escaping of text in pages."""

from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError

from unicoal_components.files.page import page_templates

EVIL = "<script>alert('x')</script>\" onload=\"y&amp;"


class Reader(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.text += data


def page(folder, template, **content):
    (folder / "page.html.j2").write_text(template)
    return page_templates(folder, shout=str.upper).get_template("page.html.j2").render(content)


def test_text_and_attributes_come_back_as_they_were_and_make_no_element(tmp_path):
    read = Reader(page(tmp_path, '<p title="{{ evil }}">{{ evil }}</p>', evil=EVIL))
    assert read.tags == [("p", {"title": EVIL})] and read.text == EVIL


def test_text_that_went_through_a_filter_is_escaped(tmp_path):
    assert page(tmp_path, "{{ '<b>'|shout }}") == "&lt;B&gt;"


def test_a_json_value_cannot_end_its_element(tmp_path):
    read = page(tmp_path, "<script>{{ value|tojson }}</script>", value={"name": "</script><b>"})
    assert read.count("</script>") == 1
    assert [tag for tag, _ in Reader(read).tags] == ["script"]


def test_a_name_that_is_not_given_is_an_error(tmp_path):
    with pytest.raises(UndefinedError, match="'x' is undefined"):
        page(tmp_path, "{{ x }}")
