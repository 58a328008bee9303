"""Generator for TorchScript, which supports a subset of Python only."""

import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .inputs import check_error_output, complete_inputs

if TYPE_CHECKING:
    from .generator import Generator


class ScriptableGenerator(nn.Module):
    """Scriptable form of a generator: its checks and defaults are scripted, its layers traced.

    `Generator.__prepare_scriptable__` returns it, so that `torch.jit.script(generator)` and MONAI's `ckpt_export` work.
    The trace is of one image, as the eager code divides its work into blocks by size; a batch is processed image by
    image. The graph contains no device. Weights are shared with `generator`, not copied.

    Args:
        generator: a `Generator`; traced in eval mode.
    """

    def __init__(self, *, generator: "Generator") -> None:
        super().__init__()
        self.in_channels = generator.in_channels
        self.resolution = generator.resolution
        self.z_dim = generator.z_dim
        self.num_modalities = generator.num_modalities
        self.error_output = generator.error_output
        self.layers = trace_synthesis(generator)

    def forward(
        self,
        image: Tensor,
        z: Tensor | None = None,
        modality: Tensor | None = None,
        position: Tensor | None = None,
        same_modality: Tensor | None = None,
        truncation_psi: float = 1.0,
        source_modality: Tensor | None = None,
        factor: Tensor | None = None,
        thickness: Tensor | None = None,
        with_error: bool = False,
    ) -> Tensor:
        """Return the output of `Generator.forward` for any number of images; arguments may be positional too."""
        check_error_output(requested=with_error, available=self.error_output)
        z, modality, position, same, acquisition = complete_inputs(
            image,
            z,
            modality,
            position,
            same_modality,
            source_modality,
            factor,
            thickness,
            in_channels=self.in_channels,
            resolution=self.resolution,
            z_dim=self.z_dim,
            num_modalities=self.num_modalities,
        )
        psi = torch.full([], truncation_psi, dtype=image.dtype, device=image.device)
        slices: list[Tensor] = []
        for i in range(image.shape[0]):
            j = i + 1
            slices.append(
                self.layers.synthesize(
                    image[i:j], z[i:j], modality[i:j], position[i:j], same[i:j], acquisition[i:j], psi
                )
            )
        output = torch.cat(slices)
        return output if with_error else output[:, :1]


def trace_synthesis(generator: "Generator") -> torch.jit.ScriptModule:
    """Trace `Generator.synthesize` for one image without changing the generator."""
    training = generator.training
    parameter = next(generator.parameters())
    image = parameter.new_zeros(1, generator.in_channels, generator.resolution, generator.resolution)
    z, modality = parameter.new_ones(1, generator.z_dim), parameter.new_zeros(1, generator.num_modalities)
    acquisition = parameter.new_zeros(1, generator.num_modalities + 2)
    one, psi = parameter.new_zeros(1, 1), parameter.new_tensor(0.5)  # with 1 the trace would omit truncation
    try:
        generator.eval()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # sizes become constants, as they should
            inputs = {"synthesize": (image, z, modality, one, one, acquisition, psi)}
            return torch.jit.trace_module(generator, inputs, check_trace=False)
    finally:
        generator.train(training)
