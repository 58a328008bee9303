"""The command that imports official checkpoints."""

import json
import os
import runpy
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser

from unicoal_components.networks.discriminator import Discriminator
from unicoal_components.networks.generator import Generator
from unicoal_components.networks.official import official_discriminator_names, official_generator_names

ROOT = Path(__file__).parents[2]
import_official = runpy.run_path(str(ROOT / "scripts" / "import_official.py"))["import_official"]
CONFIGS = ROOT / "bundles" / "unified" / "configs"

TINY = {"resolution": 16, "channel_base": 64, "channel_max": 8, "num_layers": 5, "w_dim": 12, "image_style_dim": 10}


def export(network, path):
    names = (official_generator_names if isinstance(network, Generator) else official_discriminator_names)(network)
    weights = network.state_dict()
    torch.save({official: weights[ours] for ours, official in names.items()}, path)
    return str(path)


@pytest.fixture
def output(tmp_path):
    return tmp_path / "models" / "model.pt"


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"encoder_modulated": False, "mapping_layers": 3, "in_channels": 2},
        {"num_modalities": 1, "encoder_embedding_dim": 7, "skip_resolution": 8},
    ],
)
def test_the_weights_and_the_printed_values_give_the_network_back(settings, tmp_path, output, capsys):
    network = Generator(**(TINY | settings)).eval()
    path = export(network, tmp_path / "latest_net_G_ema.pth")
    count = settings.get("num_modalities", 3)
    modalities = "flair" if count == 1 else None
    import_official(
        checkpoint=path, output=str(output), modalities=modalities, skip_resolution=settings.get("skip_resolution")
    )
    assert os.listdir(output.parent) == ["model.pt"]

    printed = capsys.readouterr().out
    values = json.loads(printed)
    assert printed == json.dumps(values, indent=4) + "\n"
    assert values["modalities"] == (["t1", "t2", "pd"] if count == 3 else ["flair"])
    definition = {
        "_target_": "unicoal_components.networks.generator.Generator",
        "num_modalities": "$len(@modalities)",
        "in_channels": "@slice_group_size",
        **{name: f"@{name}" for name in values if "::" not in name and name not in ("modalities", "slice_group_size")},
    }
    parser = ConfigParser({"network_def": definition})
    for key, value in values.items():
        parser[key] = value
    rebuilt = parser.get_parsed_content("network_def").eval()
    rebuilt.load_state_dict(torch.load(output, weights_only=True))
    image = torch.randn(2, network.in_channels, 16, 16)
    with torch.no_grad():
        assert torch.equal(rebuilt(image), network(image))


@pytest.mark.parametrize("config", ["train.json", "inference.json"])
def test_the_printed_values_exist_in_the_configs(config, tmp_path, output, capsys):
    if not (CONFIGS / config).exists():
        pytest.skip("the bundle is not there")
    import_official(checkpoint=export(Generator(**TINY), tmp_path / "g.pth"), output=str(output))
    values = json.loads(capsys.readouterr().out)
    base = json.loads((CONFIGS / config).read_text())
    assert set(values) <= set(base)


def test_unknown_modality_names_are_left_to_the_user(tmp_path, output, capsys):
    import_official(checkpoint=export(Generator(**TINY, num_modalities=2), tmp_path / "g.pth"), output=str(output))
    assert "modalities" not in json.loads(capsys.readouterr().out)


def test_an_existing_file_is_replaced_as_a_whole_and_kept_when_the_import_fails(tmp_path, output):
    output.parent.mkdir()
    output.write_bytes(b"old")
    with pytest.raises(ValueError):
        import_official(checkpoint=export(Discriminator(**_small()), tmp_path / "d.pth"), output=str(output))
    assert output.read_bytes() == b"old"
    import_official(checkpoint=export(Generator(**TINY), tmp_path / "g.pth"), output=str(output))
    assert torch.load(output, weights_only=True).keys() == Generator(**TINY).state_dict().keys()


class Dangerous:
    def __reduce__(self):
        return print, ("code from a file",)


def _small():
    return {"resolution": 16, "channel_base": 64, "channel_max": 8}


def _damaged(kind, path):
    """Write a file that is no official checkpoint."""
    export(Generator(**TINY), path)
    whole = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("<!doctype html>")
    elif kind == "code":
        torch.save({"a": Dangerous()}, path)
    elif kind == "module":
        torch.save(torch.nn.Linear(1, 1), path)
    elif kind == "list":
        torch.save([torch.zeros(1)], path)
    elif kind == "nested":
        torch.save({"state_dict": {"a": torch.zeros(1)}}, path)
    elif kind == "other":
        torch.save({"conv.weight": torch.zeros(1)}, path)
    elif kind == "discriminator":
        export(Discriminator(**_small()), path)
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    elif kind == "missing":
        path.unlink()


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "is not a file"),
        ("folder", "is not a file"),
        ("truncated", "is truncated"),
        ("empty", "is truncated"),
        ("text", "is truncated|is damaged"),
        ("code", "loading could run code"),
        ("module", "loading could run code"),
        ("list", "not a plain dictionary of tensors"),
        ("nested", "not a plain dictionary of tensors"),
        ("other", "cannot be imported: not an official checkpoint of this kind: missing keys"),
        ("discriminator", "cannot be imported: not an official checkpoint of this kind: missing keys"),
    ],
)
def test_a_file_that_is_no_official_checkpoint_is_named_with_a_remedy(kind, message, tmp_path, output, capsys):
    path = tmp_path / "given.pth"
    _damaged(kind, path)
    with pytest.raises((ValueError, OSError), match=message) as error:
        import_official(checkpoint=str(path), output=str(output))
    assert "given.pth" in str(error.value)
    assert "latest_net_G_ema.pth" in str(error.value)
    assert "\n" not in str(error.value)
    assert not output.exists()
    assert capsys.readouterr().out == ""


def test_unknown_keys_are_listed(tmp_path, output):
    path = export(Generator(**TINY), tmp_path / "g.pth")
    torch.save(torch.load(path) | {"module.extra": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"g.pth' cannot be imported.*unknown keys: module.extra"):
        import_official(checkpoint=path, output=str(output))


def test_a_path_that_cannot_be_written_is_named(tmp_path):
    path = export(Generator(**TINY), tmp_path / "g.pth")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write '.*model.pt'.*Choose an output folder"):
        import_official(checkpoint=path, output=str(tmp_path / "file" / "model.pt"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write everywhere")
def test_missing_permissions_are_an_error(tmp_path):
    path = export(Generator(**TINY), tmp_path / "g.pth")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with pytest.raises(OSError, match=r"cannot write '.*model.pt'.*Permission denied"):
        import_official(checkpoint=path, output=str(locked / "model.pt"))
    os.chmod(path, 0)
    with pytest.raises(OSError, match=r"g.pth' cannot be opened: Permission denied"):
        import_official(checkpoint=path, output=str(tmp_path / "model.pt"))


def test_the_wrong_number_of_names_is_an_error(tmp_path, output):
    path = export(Generator(**TINY), tmp_path / "g.pth")
    with pytest.raises(ValueError, match="modalities t1,t2 are 2 names, but the network has 3 classes"):
        import_official(checkpoint=path, output=str(output), modalities=("t1", "t2"))
