"""The generator for TorchScript, which reads a part of Python only."""

import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .inputs import check_error_output, complete_inputs

if TYPE_CHECKING:
    from .generator import Generator


class ScriptableGenerator(nn.Module):
    """What `torch.jit.script` makes of a generator: its checks and defaults scripted, its layers traced.

    `Generator.__prepare_scriptable__` gives it, so that `torch.jit.script(generator)` and MONAI's `ckpt_export` work.
    The trace is that of one image, on which the eager code divides its work into blocks; a batch goes through it image
    by image. Its graph names no device. Weights are those of `generator`, not copies.

    Args:
        generator: a `Generator`; traced as in evaluation.
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
        """Do as `Generator.forward`, for any number of images; arguments may be given by place too."""
        check_error_output(asked=with_error, there=self.error_output)
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
    """Trace `Generator.synthesize` for one image and leave the generator as it was."""
    training = generator.training
    parameter = next(generator.parameters())
    image = parameter.new_zeros(1, generator.in_channels, generator.resolution, generator.resolution)
    z, modality = parameter.new_ones(1, generator.z_dim), parameter.new_zeros(1, generator.num_modalities)
    acquisition = parameter.new_zeros(1, generator.num_modalities + 2)
    one, psi = parameter.new_zeros(1, 1), parameter.new_tensor(0.5)  # with 1 the trace would leave truncation out
    try:
        generator.eval()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)  # sizes become constants, as they should
            inputs = {"synthesize": (image, z, modality, one, one, acquisition, psi)}
            return torch.jit.trace_module(generator, inputs, check_trace=False)
    finally:
        generator.train(training)
