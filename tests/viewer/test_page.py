"""The page as text: escaped, complete, and with nothing from outside."""

import base64
import json
import re

import numpy as np

from unicoal_components.scans.read_volume import Volume
from unicoal_components.viewer.page import viewer_page, viewer_part
from unicoal_components.viewer.scene import Layer, Scene

EVIL = "</script><img src=x onerror=alert(1)>\"'"


def page(*, served=False, count=1):
    volume = Volume("a", "nifti", np.ones((2, 3, 4), np.float32), np.eye(4), (), "")
    scene = Scene([[Layer(EVIL, volume, (0, 1), unit=EVIL)]], volume, facts=[EVIL], notes=[EVIL])
    part = viewer_part([EVIL] * count, [scene] * count, label=EVIL, wipe=EVIL, grid=EVIL)
    return viewer_page(EVIL, part, served=served), scene


def test_text_of_users_is_escaped():
    text, _ = page(count=2)
    assert "<img" not in text
    assert text.count("</script>") == 1 + 1 + 2 + 2  # script, index, scenes, volumes


def test_scenes_and_volumes_are_in_the_page():
    text, scene = page(count=2)
    for number in range(2):
        found = re.search(rf'<script type="application/json" id="scene-{number}">(.*?)</script>', text, re.S)[1]
        assert json.loads(found) == scene.content(number)
        ((name, content),) = scene.volumes(number).items()
        found = re.search(rf'<script type="text/plain" id="{name}">(.*?)</script>', text, re.S)[1]
        assert base64.b64decode(found) == content


def test_a_saved_page_may_fetch_nothing_and_a_served_one_only_from_its_server():
    assert "connect-src 'none'" in page()[0] and "connect-src 'self'" in page(served=True)[0]
    for text in (page()[0], page(served=True)[0]):
        assert "default-src 'none'" in text
        assert not re.search(r"https?://|@import|url\(|<\w+[^<>]*\ssrc=", text)


def test_every_control_has_a_label():
    text, _ = page()
    controls = re.findall(r"<(?:input|select)\b[^>]*>", text[: text.index("<script>")])
    labels = " ".join(re.findall(r"<label.*?</label>", text, re.S))
    assert len(controls) == 9 and all(control in labels for control in controls)
