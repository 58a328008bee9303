"""Generator of a slice of the target modality at the wanted position, from a slice group."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..signal.grid_filter import GridFilter
from .alias_free import AliasFreeLayer
from .contrast import ContrastCurve
from .detail import HalfResolution, scale_of_error
from .detail_unet import DetailUNet
from .encoder import Encoder
from .inputs import check_error_output, complete_inputs
from .mapping import MappingNetwork
from .plain_filters import FILTERS, set_plain_filters
from .residual import add_to_interpolation, between_anything, interpolate_slices
from .schedule import LOWEST_RESOLUTION, check_resolution
from .synthesis import Synthesis
from .torchscript import ScriptableGenerator
from .within import WithinPath, by_row, side_of


class Generator(nn.Module):
    """Uni-COAL's generator (Song et al. 2025, figure 2): mapping, encoder, co-modulated alias-free synthesis.

    The default sizes are the paper's; the bundles' own configuration is compact.

    Args:
        resolution: R, a power of two.
        num_modalities: M, classes of the target modality.
        in_channels: S, slices of a group.
        z_dim: channels of the latent and of each embedding in the mapping.
        w_dim: channels of w and of the encoder's condition.
        image_style_dim: channels of the image style.
        num_layers: L, layers before the to-image layer.
        channel_base: see `layer_table`.
        channel_max: see `layer_table`.
        mapping_layers: layers of the mappings.
        skip_resolution: q, only the first log2(q) - 2 positions of the synthesis take a skip; `None` for all.
        encoder_modulated: modulate the encoder by modality and position.
        encoder_embedding_dim: channels of each embedding in the encoder's mapping.
        encoder_lrelu_upsampling: rate of the encoder's nonlinearities over that of its features: 1 (official, with
            some aliasing) or 2, as in the synthesis: closer to equivariance, and slower. Weights fit both, and are
            best with the value of their training.
        dropout: dropout of the image style in training.
        position_embedding: "linear" (official) or "fourier".
        residual: where `same_modality` is true, add the cubic interpolation of the middle slices, and condition the
            mappings on it by one more class (not official: the network then predicts only what is missing).
        interpolated_input: give the network the cubic interpolation of the middle slices at the position, as one more
            channel (not official: otherwise only the position tells it apart, and the output changes in steps).
        acquisition: condition the mappings on source modality, factor and slice thickness (not official).
        core_resolution: resolution of the alias-free part: `None` for `resolution` itself, or half of it (not official:
            a quarter of the time; the detail path adds the rest).
        contrast_curve: across modalities, add to a curve of the interpolation's intensities, one for each pair of
            modalities (not official); needs `residual`.
        detail_channels: size of a U-Net that gets the input, the alias-free output and the same conditions, and adds to
            that output, which `GridFilter` then smooths; with `residual` also features of a path that predicts, without
            the alias-free part, what the interpolation lacks (not official); 0 for none, else at least 2.
        detail_blocks: number of residual blocks of the path within a modality.
        error_output: let the detail paths predict the scale of the output's error, see `forward` (not official).
        checkpointing: recompute activations in training: less memory, a little more time, the same result.
        filters: "alias_free", or "plain" for the baseline of bilinear up and average down (`plain_filters`).

    Raises:
        ValueError: `resolution` is no power of two, or an option is not among those named.

    Example:
        >>> network = Generator(resolution=16, num_modalities=2, channel_base=128, channel_max=8, num_layers=6)
        >>> network.eval()(torch.zeros(1, 4, 16, 16)).shape
        torch.Size([1, 1, 16, 16])
    """

    def __init__(
        self,
        *,
        resolution: int = 256,
        num_modalities: int = 3,
        in_channels: int = 4,
        z_dim: int = 64,
        w_dim: int = 512,
        image_style_dim: int = 1024,
        num_layers: int = 14,
        channel_base: int = 2**14,
        channel_max: int = 512,
        mapping_layers: int = 2,
        skip_resolution: int | None = None,
        encoder_modulated: bool = True,
        encoder_embedding_dim: int = 64,
        encoder_lrelu_upsampling: int = 1,
        dropout: float = 0.5,
        position_embedding: str = "linear",
        residual: bool = False,
        interpolated_input: bool = False,
        acquisition: bool = False,
        core_resolution: int | None = None,
        contrast_curve: bool = False,
        detail_channels: int = 0,
        detail_blocks: int = 6,
        error_output: bool = False,
        checkpointing: bool = False,
        filters: str = "alias_free",
    ) -> None:
        super().__init__()
        if filters not in FILTERS:
            raise ValueError(f"filters is {filters!r}; it must be one of {', '.join(map(repr, FILTERS))}")
        self.resolution = check_resolution(resolution)
        if (residual or interpolated_input) and (in_channels % 2 or in_channels < 4):
            raise ValueError(
                "residual and interpolated_input interpolate four slices: in_channels must be even and ≥ 4, "
                f"got {in_channels}"
            )
        if error_output and not detail_channels:
            raise ValueError("error_output is true without a detail path; set detail_channels above 0, such as 64")
        if contrast_curve and not residual:
            raise ValueError("contrast_curve is true without residual, which shows it the interpolation; set both")
        if core_resolution not in (None, resolution, max(resolution // 2, LOWEST_RESOLUTION)):
            raise ValueError(
                f"core_resolution is {core_resolution}; it must be resolution, {resolution}, or half of it and at "
                f"least {LOWEST_RESOLUTION}, or null, which is resolution"
            )
        self.in_channels, self.num_modalities, self.z_dim = in_channels, num_modalities, z_dim
        self.residual, self.interpolated_input, self.error_output = residual, interpolated_input, error_output
        self.options = {
            "residual": residual,
            "position_embedding": position_embedding,
            "encoder_lrelu_upsampling": encoder_lrelu_upsampling,
            "filters": filters,
            "core_resolution": core_resolution or resolution,
        }
        num_classes = num_modalities + residual
        num_images = in_channels + interpolated_input
        acquisition_dim = num_modalities + 2 if acquisition else 0
        core = core_resolution or resolution
        self.half_resolution = HalfResolution(resolution=resolution) if core < resolution else None
        self.mapping = MappingNetwork(
            num_modalities=num_classes,
            w_dim=w_dim,
            embedding_dim=z_dim,
            z_dim=z_dim,
            num_layers=mapping_layers,
            position_embedding=position_embedding,
            acquisition_dim=acquisition_dim,
        )
        self.encoder = Encoder(
            resolution=core,
            in_channels=num_images,
            num_modalities=num_classes,
            num_layers=num_layers,
            channel_base=channel_base,
            channel_max=channel_max,
            w_dim=w_dim,
            image_style_dim=image_style_dim,
            embedding_dim=encoder_embedding_dim,
            mapping_layers=mapping_layers,
            modulated=encoder_modulated,
            dropout=dropout,
            position_embedding=position_embedding,
            lrelu_upsampling=encoder_lrelu_upsampling,
            acquisition_dim=acquisition_dim,
        )
        self.synthesis = Synthesis(
            resolution=core,
            num_layers=num_layers,
            channel_base=channel_base,
            channel_max=channel_max,
            w_dim=w_dim,
            image_style_dim=image_style_dim,
            skip_resolution=skip_resolution,
        )
        self.contrast = ContrastCurve(num_modalities=num_modalities) if contrast_curve else None
        self.grid_filter = GridFilter()
        self.across: DetailUNet | None = None
        self.within: WithinPath | None = None
        if detail_channels:
            sizes: Any = {"channels": detail_channels, "num_modalities": num_modalities, "error_output": error_output}
            self.across = DetailUNet(in_channels=num_images + 1, **sizes)
            if residual:
                self.within = WithinPath(in_channels=in_channels + 1, num_blocks=detail_blocks, **sizes)
        for module in self.modules():
            if isinstance(module, AliasFreeLayer):
                module.keep_activations = not checkpointing
        if filters == "plain":
            set_plain_filters(self)

    def forward(
        self,
        image: Tensor,
        *,
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
        """Synthesize the slice at `position` after the second slice of the group.

        Args:
            image: slice groups `(B, S, R, R)` in [-1, 1], blank = -1. If all stay within their modality and a detail
                path handles that, R may be any even number.
            z: latent `(B, z_dim)`; `None` for a fixed one, all ones (with the norm of a random one).
            modality: target as class indices `(B,)` or one-hot `(B, M)`; `None` for class 0.
            position: `(B,)` or `(B, 1)` in [0, 1); `None` for 0.
            same_modality: `(B,)`, true where source and target modality are the same (matters only with `residual`);
                `None` means nowhere.
            truncation_psi: 1 keeps w, smaller values move it towards its average.
            source_modality: modality of the input, as `modality`; `None` for unknown (matters only with `acquisition`,
                a detail path or a contrast curve; the next two with the first two of these).
            factor: thick over thin slice spacing `(B,)`, ≥ 1; `None` for 1.
            thickness: slice thickness over slice spacing of the input `(B,)`, > 0; `None` for 1, slices that touch.
            with_error: return the predicted error too.

        Returns:
            Slices `(B, 1, R, R)`, about [-1, 1]; with the error `(B, 2, R, R)`, its second channel the scale b > 0 of
            a Laplace distribution of the error, in the same unit: |error| is b on average.

        Raises:
            ValueError: a shape does not fit the network, or an error is requested from a network without that output.
        """
        check_error_output(requested=with_error, available=self.error_output)
        conditions = complete_inputs(
            image,
            z,
            modality,
            position,
            same_modality,
            source_modality,
            factor,
            thickness,
            in_channels=self.in_channels,
            resolution=side_of(image, same_modality, self.resolution) if self.within else self.resolution,
            z_dim=self.z_dim,
            num_modalities=self.num_modalities,
        )
        output = self.synthesize(image, *conditions, truncation_psi)
        return output if with_error else output[:, :1]

    def synthesize(
        self,
        image: Tensor,
        z: Tensor,
        modality: Tensor,
        position: Tensor,
        same: Tensor,
        acquisition: Tensor,
        truncation_psi: float,
    ) -> Tensor:
        """Return the output of `forward` under the conditions from `complete_inputs`, with the error if predicted."""
        image = image.contiguous(memory_format=torch.channels_last)
        across = partial(self._by_the_core, truncation_psi=truncation_psi)
        given = (image, z, modality, position, same, acquisition)
        return across(*given) if self.within is None else by_row(same, self.within.slices, across, given)

    def _by_the_core(self, image: Tensor, *given: Tensor, truncation_psi: float) -> Tensor:
        """Synthesize slices by the alias-free part and its detail path; within a modality only if no path does that."""
        z, modality, position, same, acquisition = given
        same = same if self.within is None else torch.zeros_like(same)
        classes = torch.cat([modality, same], dim=1) if self.residual else modality
        needed = self.residual or self.interpolated_input
        interpolated = interpolate_slices(image, position) if needed else image[:, :1]
        seen = torch.cat([image, interpolated], dim=1) if self.interpolated_input else image
        w = self.mapping(
            z=z, modality=classes, position=position, acquisition=acquisition, truncation_psi=truncation_psi
        )
        core_input = seen if self.half_resolution is None else self.half_resolution.down(seen)
        skips, bottleneck, image_style = self.encoder(
            core_input, modality=classes, position=position, acquisition=acquisition
        )
        output = self.synthesis(w, skips=skips, bottleneck=bottleneck, image_style=image_style)
        if self.half_resolution is not None:
            output = self.half_resolution.up(output)
        if self.contrast is not None:
            source = acquisition[:, : self.num_modalities]
            output = output + (1 - same[:, :, None, None]) * self.contrast(interpolated, source=source, target=modality)
        error: Tensor | None = None
        if self.across is not None:
            # detached, so that the refinement does not change the training of the alias-free part
            made = self.across(torch.cat([seen, output.detach()], dim=1), modality, position, acquisition)
            output = self.grid_filter(output + made[:, :1], between_anything(image))
            error = scale_of_error(made[:, 1:])
        if self.residual:
            output = add_to_interpolation(output, image, interpolated=interpolated, same=same)
        return output if error is None else torch.cat([output, error], dim=1)

    def extra_repr(self) -> str:
        """Return the options that change the output but not the weights."""
        return ", ".join(f"{name}={value}" for name, value in self.options.items())

    def __prepare_scriptable__(self) -> ScriptableGenerator:
        """Return a module that `torch.jit.script` can compile."""
        return ScriptableGenerator(generator=self)
