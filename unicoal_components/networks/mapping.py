"""Mapping of latent, target modality and slice position to the vector that conditions a network."""

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from .layers import EqualizedLinear, normalize_rms

LR_MULTIPLIER = 0.01
NUM_OCTAVES = 4


class MappingNetwork(nn.Module):
    """Embed the conditions, normalize each, concatenate, and map to w (Song et al. 2025; Karras et al. 2019, §2).

    w = MLP(rms(z) ⊕ rms(E_m · onehot(modality)) ⊕ rms(E_p · position)). The normalization after the position's
    embedding discards most of a scalar; `position_embedding="fourier"` embeds sin and cos of 2^j π position instead,
    j = 0..3, which the normalization preserves (not in the official code).

    Args:
        num_modalities: M, classes of the target modality.
        w_dim: channels of w.
        embedding_dim: channels of each embedding.
        z_dim: channels of the latent; 0 for none.
        num_layers: layers of the MLP.
        position_embedding: "linear" (official) or "fourier".
        acquisition_dim: number of values that describe the input's acquisition, embedded likewise; 0 for none
            (official).
    """

    w_avg: Tensor
    octaves: Tensor

    def __init__(
        self,
        *,
        num_modalities: int,
        w_dim: int,
        embedding_dim: int = 64,
        z_dim: int = 0,
        num_layers: int = 2,
        position_embedding: str = "linear",
        acquisition_dim: int = 0,
    ) -> None:
        super().__init__()
        if position_embedding not in ("linear", "fourier"):
            raise ValueError(f"position_embedding must be 'linear' or 'fourier', got {position_embedding!r}")
        if num_modalities < 1:
            raise ValueError(f"num_modalities must be at least 1, got {num_modalities}")
        self.num_modalities = num_modalities
        self.z_dim = z_dim
        self.position_embedding = position_embedding
        self.embed_modality = EqualizedLinear(num_modalities, embedding_dim)
        self.embed_position = EqualizedLinear(1 if position_embedding == "linear" else 2 * NUM_OCTAVES, embedding_dim)
        self.embed_acquisition = EqualizedLinear(acquisition_dim, embedding_dim) if acquisition_dim else None
        embeddings = 3 if acquisition_dim else 2
        widths = [z_dim + embeddings * embedding_dim] + [w_dim] * num_layers
        self.layers = nn.ModuleList(
            EqualizedLinear(i, o, activation="lrelu", lr_multiplier=LR_MULTIPLIER)
            for i, o in zip(widths[:-1], widths[1:], strict=True)
        )
        self.register_buffer("w_avg", torch.zeros(w_dim))
        # no `torch.arange(device=...)` in forward: a trace would keep the device
        self.register_buffer("octaves", math.pi * 2.0 ** torch.arange(NUM_OCTAVES), persistent=False)

    def forward(
        self,
        *,
        modality: Tensor,
        position: Tensor,
        z: Tensor | None = None,
        acquisition: Tensor | None = None,
        truncation_psi: float = 1.0,
    ) -> Tensor:
        """Map conditions to w.

        Args:
            modality: one-hot `(B, M)`.
            position: `(B, 1)` in [0, 1).
            z: latent `(B, z_dim)`, needed if there is one.
            acquisition: `(B, acquisition_dim)`, needed if it is embedded, else not used.
            truncation_psi: 1 keeps w; smaller values move it towards its average.

        Returns:
            w `(B, w_dim)`.
        """
        if self.position_embedding == "fourier":
            position = position_waves(position, self.octaves)
        parts = [normalize_rms(self.embed_modality(modality)), normalize_rms(self.embed_position(position))]
        if z is not None:
            parts.insert(0, normalize_rms(z))
        if self.embed_acquisition is not None and acquisition is not None:
            parts.append(normalize_rms(self.embed_acquisition(acquisition)))
        w = torch.cat(parts, dim=1)
        for layer in self.layers:
            w = layer(w)
        return w if truncation_psi == 1 else self.w_avg.to(w.dtype).lerp(w, truncation_psi)


def position_waves(position: Tensor, octaves: Tensor) -> Tensor:
    """Return sin and cos of the position `(B, 1)` at each of the octaves `(N,)`, 2^j π: `(B, 2 N)`."""
    angles = octaves * position
    return torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)


def one_hot_modality(modality: Tensor | None, *, num_modalities: int, batch: int, like: Tensor) -> Tensor:
    """Return the target modality one-hot `(B, M)`, of the dtype and on the device of `like`.

    This and `column_position` are written in the subset of Python that `torch.jit.script` supports.

    Args:
        modality: class indices `(B,)`, one-hot `(B, M)`, or `None` for class 0.
        num_modalities: number of modalities M.
        batch: batch size B.
        like: tensor with the dtype and device of the result.

    Raises:
        ValueError: another shape, or an index that is no class.
    """
    if modality is None:
        modality = torch.zeros(batch, dtype=torch.long, device=like.device)
    if modality.ndim == 1 and modality.shape[0] == batch:
        if not torch.jit.is_scripting():  # when scripted, `one_hot` itself rejects other indices
            _check_classes(modality, num_modalities)
        return F.one_hot(modality.long(), num_modalities).to(like)
    if modality.ndim != 2 or modality.shape[0] != batch or modality.shape[1] != num_modalities:
        raise ValueError(
            f"modality must be class indices ({batch},) or one-hot ({batch}, {num_modalities}), "
            f"got the shape {list(modality.shape)}"
        )
    return modality.to(like)


def _check_classes(modality: Tensor, num_modalities: int) -> None:
    """Raise ValueError for an index that is no class, on the CPU only: elsewhere the check would synchronize."""
    if modality.device.type != "cpu" or torch.compiler.is_compiling():
        return
    if not ((modality >= 0) & (modality < num_modalities)).all():
        raise ValueError(
            f"modality must be class indices from 0 to {num_modalities - 1} (the index in the configuration's list of "
            f"modalities), got {modality.tolist()}"
        )


def column_position(position: Tensor | None, *, batch: int, like: Tensor) -> Tensor:
    """Return the slice position as `(B, 1)`, of the dtype and on the device of `like`.

    Args:
        position: slice position `(B,)` or `(B, 1)`; `None` means 0.
        batch: batch size B.
        like: tensor with the dtype and device of the result.

    Raises:
        ValueError: the shape is neither `(B,)` nor `(B, 1)`.
    """
    if position is None:
        return like.new_zeros(batch, 1)
    if not 1 <= position.ndim <= 2 or position.shape[0] != batch or position.numel() != batch:
        raise ValueError(f"position must have the shape ({batch},) or ({batch}, 1), got {list(position.shape)}")
    return position.reshape(batch, 1).to(like)
