"""Feature loss on the frozen image encoder of Segment Anything."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from ..runtime.weights import read_weights

CHECKPOINTS = {"vit_b": "sam_vit_b_01ec64.pth", "vit_l": "sam_vit_l_0b3195.pth", "vit_h": "sam_vit_h_4b8939.pth"}
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


def tile_mosaics(images: torch.Tensor, *, size: int) -> torch.Tensor:
    """Arrange slices row by row in square mosaics.

    One pass of the encoder costs the same for one slice as for a full mosaic. Unused tiles, and the strips that remain
    if `size` is no multiple of the slice, are blank (-1, the background of a scan).

    Args:
        images: (B, 1, H, W) in [-1, 1], H and W ≤ `size`.
        size: side of a mosaic in pixels.

    Returns:
        (ceil(B / tiles), 1, size, size), tiles = ⌊size / H⌋ · ⌊size / W⌋.

    Raises:
        ValueError: the images are not of that shape, or larger than a mosaic.

    Example:
        >>> tile_mosaics(torch.zeros(5, 1, 8, 8), size=16).shape
        torch.Size([2, 1, 16, 16])
    """
    if images.ndim != 4 or images.shape[1] != 1 or min(images.shape) < 1:
        raise ValueError(f"images have shape {tuple(images.shape)}; the SAM loss takes (B, 1, H, W)")
    batch, _, height, width = images.shape
    if max(height, width) > size:
        raise ValueError(f"slices of {height}x{width} do not fit the encoder's {size}x{size}; crop or resample them")
    rows, columns = size // height, size // width
    count = -(-batch // (rows * columns))
    images = F.pad(images, (0, 0, 0, 0, 0, 0, 0, count * rows * columns - batch), value=-1.0)
    grid = images.reshape(count, rows, columns, height, width).transpose(2, 3)
    mosaic = grid.reshape(count, 1, rows * height, columns * width)
    return F.pad(mosaic, (0, size - columns * width, 0, size - rows * height), value=-1.0)


class SAMFeatureLoss(nn.Module):
    """Compare two batches of slices in the feature space of Segment Anything (Kirillov et al., ICCV 2023).

    L1 distance of the encoder's features of both mosaics (`tile_mosaics`). Each feature cell is weighted by the
    fraction of its pixels that belong to a slice, so that blank tiles do not dilute the mean; with full mosaics (16
    slices of 256² in 1024²) this is the plain mean of the official code, which fails unless the batch fills a square.

    Args:
        encoder: maps (N, 3, size, size), normalized, to (N, F, h, w), and has the attribute `img_size`; it is frozen
            and stays in eval mode. The loss is part of no network, so it is in no network's state dict.

    Raises:
        ValueError: `encoder` has no `img_size`.
    """

    pixel_mean: torch.Tensor
    pixel_std: torch.Tensor

    def __init__(self, *, encoder: nn.Module) -> None:
        super().__init__()
        if not isinstance(getattr(encoder, "img_size", None), int):
            raise ValueError("encoder has no integer `img_size`; give an image encoder of segment_anything")
        self.encoder = encoder.requires_grad_(False).eval()
        self.register_buffer("pixel_mean", torch.tensor(PIXEL_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(PIXEL_STD).view(1, 3, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> "SAMFeatureLoss":
        """Keep the encoder in eval mode, whatever the mode of the training."""
        super().train(mode)
        self.encoder.eval()
        return self

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Encode slices (B, 1, H, W) in [-1, 1] as mosaics, with SAM's normalization of RGB in [0, 255]."""
        gray = (tile_mosaics(images, size=self.encoder.img_size) + 1) * 127.5  # type: ignore[arg-type]
        return self.encoder((gray.expand(-1, 3, -1, -1) - self.pixel_mean) / self.pixel_std)

    def forward(self, fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
        """Return the distance of the features; the gradient flows to `fake` only.

        Args:
            fake: (B, 1, H, W) in [-1, 1].
            real: the same shape; its features are computed without a graph.

        Raises:
            ValueError: the shapes differ, or do not fit the encoder.
        """
        if fake.shape != real.shape:
            raise ValueError(f"fake {tuple(fake.shape)} and real {tuple(real.shape)} must have one shape")
        with torch.no_grad():
            real_features = self.features(real)
        difference = (self.features(fake) - real_features).abs().mean(dim=1, keepdim=True)
        weight = self._coverage(fake, difference.shape[-2:])
        return (difference * weight).sum() / weight.sum()

    def _coverage(self, images: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Return for every feature cell the fraction of its pixels, in [0, 1], that belong to a slice."""
        inside = tile_mosaics(torch.ones_like(images, requires_grad=False), size=self.encoder.img_size)  # type: ignore[arg-type]
        return F.adaptive_avg_pool2d((inside + 1) / 2, (shape[0], shape[1]))


def build_sam_feature_loss(
    *, weight: float, model_type: str = "vit_b", checkpoint: str | None = None
) -> SAMFeatureLoss | None:
    """Build the loss from Meta's weights, or return `None` if its weight is 0.

    Args:
        weight: weight of the term in the generator's loss, ≥ 0; with 0 nothing is loaded.
        model_type: type of the encoder, "vit_b", "vit_l" or "vit_h".
        checkpoint: path of the checkpoint file of that type.

    Raises:
        ValueError: a negative weight, an unknown type, or a file without such an encoder.
        FileNotFoundError: the file does not exist.
    """
    if weight < 0:
        raise ValueError(f"sam_weight is {weight}; it must be ≥ 0")
    if weight == 0:
        return None
    if model_type not in CHECKPOINTS:
        raise ValueError(f"SAM model_type is {model_type!r}; it must be one of {', '.join(CHECKPOINTS)}")
    if checkpoint is None or not Path(checkpoint).is_file():
        raise FileNotFoundError(_advice(f"no SAM checkpoint at {checkpoint!r}", model_type))
    state = _encoder_state(checkpoint, model_type)

    from segment_anything import sam_model_registry  # imported here, as it takes seconds and needs torchvision

    encoder = sam_model_registry[model_type]().image_encoder
    try:
        encoder.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(_advice(f"{checkpoint} is not a SAM {model_type} checkpoint", model_type)) from error
    return SAMFeatureLoss(encoder=encoder)


def _encoder_state(checkpoint: str, model_type: str) -> dict[str, torch.Tensor]:
    """Read the image encoder's state dict from a SAM checkpoint."""
    prefix = "image_encoder."
    try:
        state = read_weights(checkpoint)
    except ValueError as error:
        raise ValueError(_advice(f"{checkpoint} cannot be read as a checkpoint ({error})", model_type)) from error
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}


def _advice(problem: str, model_type: str) -> str:
    """Return an error message that ends with both remedies."""
    return (
        f"{problem}. Download {CHECKPOINTS[model_type]} (https://dl.fbaipublicfiles.com/segment_anything/"
        f"{CHECKPOINTS[model_type]}, see 'Model Checkpoints' in the README of "
        "https://github.com/facebookresearch/segment-anything) and set sam_checkpoint to its path, "
        "or set sam_weight to 0 to train without this term."
    )
