from types import SimpleNamespace

import pytest
import torch
from segment_anything.modeling.image_encoder import ImageEncoderViT

from unicoal_components.losses.sam import PIXEL_MEAN, PIXEL_STD, SAMFeatureLoss, build_sam_feature_loss, tile_mosaics


class Patches(torch.nn.Module):
    """Mean of each 16x16 patch: features that depend on their own cell only."""

    def __init__(self, img_size):
        super().__init__()
        self.img_size = img_size
        self.seen = []

    def forward(self, x):
        self.seen.append(x)
        return torch.nn.functional.avg_pool2d(x, 16)


def small_vit(img_size=64):
    torch.manual_seed(0)
    return ImageEncoderViT(img_size=img_size, embed_dim=16, depth=1, num_heads=2, out_chans=8)


def test_sixteen_slices_of_256_make_one_official_mosaic_row_by_row():
    images = torch.rand(16, 1, 256, 256) * 2 - 1
    mosaic = tile_mosaics(images, size=1024)
    assert mosaic.shape == (1, 1, 1024, 1024)
    for index in range(16):
        row, column = divmod(index, 4)
        tile = mosaic[0, 0, row * 256 : (row + 1) * 256, column * 256 : (column + 1) * 256]
        assert torch.equal(tile, images[index, 0])


@pytest.mark.parametrize(
    ("batch", "height", "width", "mosaics"), [(1, 64, 64, 1), (5, 32, 32, 2), (3, 20, 48, 1), (4, 64, 33, 4)]
)
def test_any_batch_and_shape_is_tiled_with_blank_rest(batch, height, width, mosaics):
    mosaic = tile_mosaics(torch.ones(batch, 1, height, width), size=64)
    assert mosaic.shape == (mosaics, 1, 64, 64)
    assert (mosaic == 1).sum() == batch * height * width
    assert (mosaic == -1).sum() == mosaic.numel() - batch * height * width


def test_slices_larger_than_the_encoder_are_refused():
    with pytest.raises(ValueError, match="do not fit the encoder's 64x64"):
        tile_mosaics(torch.zeros(1, 1, 65, 10), size=64)


def test_the_encoder_sees_rgb_in_its_own_normalization():
    encoder = Patches(32)
    SAMFeatureLoss(encoder=encoder).features(torch.ones(4, 1, 16, 16))
    expected = [(255 - mean) / std for mean, std in zip(PIXEL_MEAN, PIXEL_STD, strict=True)]
    assert encoder.seen[0][0, :, 3, 3].tolist() == pytest.approx(expected)


def test_blank_tiles_do_not_dilute_the_loss():
    loss = SAMFeatureLoss(encoder=Patches(64))
    fake, real = torch.rand(1, 1, 16, 16), torch.rand(1, 1, 16, 16)
    alone = loss(fake, real)
    full = loss(fake.expand(16, -1, -1, -1), real.expand(16, -1, -1, -1))
    assert alone.item() == pytest.approx(full.item(), rel=1e-5)


def test_a_full_mosaic_gives_the_plain_mean_of_feature_differences():
    encoder = small_vit()
    loss = SAMFeatureLoss(encoder=encoder)
    fake, real = torch.rand(4, 1, 32, 32), torch.rand(4, 1, 32, 32)
    expected = (loss.features(fake) - loss.features(real)).abs().mean()
    assert loss(fake, real).item() == pytest.approx(expected.item(), rel=1e-5)


def test_gradient_reaches_fake_only_and_the_encoder_stays_frozen_in_eval_mode():
    loss = SAMFeatureLoss(encoder=small_vit()).train()
    fake, real = torch.rand(3, 1, 24, 40, requires_grad=True), torch.rand(3, 1, 24, 40, requires_grad=True)
    loss(fake, real).backward()
    assert fake.grad.abs().sum() > 0
    assert real.grad is None
    assert not loss.encoder.training
    assert not any(p.requires_grad for p in loss.encoder.parameters())


def test_equal_images_have_no_distance():
    image = torch.rand(2, 1, 32, 32)
    assert SAMFeatureLoss(encoder=small_vit())(image, image.clone()).item() == 0


def test_no_weight_means_no_sam():
    assert build_sam_feature_loss(weight=0) is None


@pytest.mark.parametrize("checkpoint", [None, "/nowhere/sam.pth"])
def test_a_missing_checkpoint_is_an_error_with_both_remedies(checkpoint):
    with pytest.raises(FileNotFoundError, match=r"sam_vit_b_01ec64\.pth(.|\n)*set sam_weight to 0"):
        build_sam_feature_loss(weight=100, checkpoint=checkpoint)


def test_a_truncated_or_foreign_checkpoint_is_named(tmp_path, monkeypatch):
    path = tmp_path / "sam.pth"
    path.write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(ValueError, match=r"sam\.pth cannot be read(.|\n)*sam_weight to 0"):
        build_sam_feature_loss(weight=1, checkpoint=str(path))
    monkeypatch.setattr(
        "segment_anything.sam_model_registry", {"vit_b": lambda: SimpleNamespace(image_encoder=small_vit())}
    )
    torch.save({"image_encoder.neck": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="not a SAM vit_b checkpoint"):
        build_sam_feature_loss(weight=1, checkpoint=str(path))


def test_a_flipped_bit_of_a_checkpoint_is_seen(tmp_path):
    path = tmp_path / "sam.pth"
    torch.save({"image_encoder.neck": torch.zeros(5000)}, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"sam\.pth.*checksum(.|\n)*sam_weight to 0"):
        build_sam_feature_loss(weight=1, checkpoint=str(path))


def test_a_checkpoint_of_segment_anything_is_loaded(tmp_path, monkeypatch):
    saved, other = small_vit(), small_vit()
    for parameter in other.parameters():
        parameter.data.zero_()
    monkeypatch.setattr("segment_anything.sam_model_registry", {"vit_b": lambda: SimpleNamespace(image_encoder=other)})
    path = tmp_path / "sam.pth"
    state = {f"image_encoder.{key}": value for key, value in saved.state_dict().items()}
    torch.save({**state, "mask_decoder.weight": torch.zeros(1)}, path)
    loss = build_sam_feature_loss(weight=1, checkpoint=str(path))
    for key, value in loss.encoder.state_dict().items():
        assert torch.equal(value, saved.state_dict()[key])


@pytest.mark.parametrize(
    ("values", "field"), [({"weight": -1}, "sam_weight"), ({"weight": 1, "model_type": "vit_x"}, "vit_x")]
)
def test_wrong_values_are_named(values, field):
    with pytest.raises(ValueError, match=field):
        build_sam_feature_loss(**values)


def test_an_encoder_without_a_size_is_refused():
    with pytest.raises(ValueError, match="img_size"):
        SAMFeatureLoss(encoder=torch.nn.Identity())
