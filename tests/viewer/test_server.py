"""The server answers this machine only, below its secret path."""

import http.client
import json
import threading

import pytest

from unicoal_components.viewer.results import find_results
from unicoal_components.viewer.view import viewer_server


@pytest.fixture
def served(results):
    """Two results on a running server; the second one's image is damaged."""
    results("a")
    damaged = results("b", target="t2")
    damaged.write_bytes(damaged.read_bytes()[:100])
    with viewer_server(find_results(results.output_dir)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def get(server, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content, answer.headers


def test_page_scene_and_volumes_are_served(served):
    base = f"/{served.token}/"
    assert served.url == f"http://127.0.0.1:{served.server_port}{base}"
    status, page, headers = get(served, base)
    assert status == 200 and b"a_t1.nii.gz" in page and b"b_t2.nii.gz" in page
    assert headers["Cache-Control"] == "no-store" and headers["Referrer-Policy"] == "no-referrer"
    status, content, _ = get(served, base + "scene-0")
    layers = [layer for column in json.loads(content)["columns"] for layer in column["layers"]]
    assert status == 200 and len(layers) == 3
    for layer in layers:
        status, content, _ = get(served, base + layer["volume"])
        assert status == 200 and content[:2] == b"\x1f\x8b"


@pytest.mark.parametrize(
    "path",
    [
        *("/", "//", "/{token}", "/wrong/", "/wrong/scene-0", "/%C3%A9/", "/{token}/scene-2", "/{token}/scene-x"),
        *("/{token}/volume-0-9-9", "/{token}/../../etc/passwd", "/{token}/%2e%2e/etc/passwd"),
    ],
)
def test_nothing_else_is_served(served, path):
    assert get(served, path.format(token=served.token))[:2] == (404, b"not found")


def test_another_name_for_this_address_is_refused(served):
    assert get(served, f"/{served.token}/", Host="evil.example")[0] == 404


def test_a_damaged_result_says_so_and_the_server_goes_on(served):
    status, content, _ = get(served, f"/{served.token}/scene-1")
    assert status == 500 and b"b_t2.nii.gz" in content
    assert get(served, f"/{served.token}/scene-0")[0] == 200


def test_only_this_machine_is_listened_to(served):
    assert served.server_address[0] == "127.0.0.1"


def test_a_port_in_use_is_named_and_two_servers_take_two(served, results):
    found = find_results(results.output_dir)
    with pytest.raises(OSError, match=f"port {served.server_port} is in use"):
        viewer_server(found, port=served.server_port)
    with viewer_server(found) as other:
        assert other.server_port != served.server_port and other.token != served.token
