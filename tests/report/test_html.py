"""Text never becomes markup."""

from html.parser import HTMLParser

import pytest

from unicoal_components.report.html import Html, data_script, details, element, table

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


@pytest.mark.parametrize("make", [lambda t: element("p", t), lambda t: table([t], [[t]]), lambda t: details(t, [[t]])])
def test_text_comes_back_as_it_was_and_makes_no_element(make):
    read = Reader(make(EVIL))
    assert EVIL in read.text
    assert not [tag for tag, _ in read.tags if tag == "script"]


def test_an_attribute_comes_back_as_it_was():
    assert Reader(element("p", title=EVIL)).tags == [("p", {"title": EVIL})]


def test_a_json_value_cannot_end_its_element():
    page = data_script("x", {"name": "</script><b>"})
    assert page.count("</script>") == 1
    assert [tag for tag, _ in Reader(page).tags] == ["script"]


def test_markup_within_markup_is_kept():
    assert element("p", [element("b", "x"), Html("<i>y</i>")]) == "<p><b>x</b><i>y</i></p>"
