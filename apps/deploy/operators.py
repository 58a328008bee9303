"""The application of the MONAI Deploy App SDK and its operators: choose the series of a study, run the bundle on it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from monai.deploy.conditions import CountCondition
from monai.deploy.core import (
    Application,
    ExecutionContext,
    Fragment,
    InputContext,
    Operator,
    OperatorSpec,
    OutputContext,
)
from study import choose_source, known_modalities, run_bundle


class SelectSeriesOperator(Operator):
    """Emit the series of a DICOM study to synthesize from.

    Named output:
        source: `Source` with path and modality of the series.

    Args:
        fragment: the application.
        args: conditions and resources of Holoscan.
        study: folder of the study, or `folder::SeriesInstanceUID`.
        modality: modality of the series; `None` = that of its header.
        known: modalities of the network.
        kwargs: name and other options of Holoscan.
    """

    def __init__(
        self, fragment: Fragment, *args: Any, study: str, modality: str | None, known: Sequence[str], **kwargs: Any
    ) -> None:
        self.study, self.modality, self.known = study, modality, known
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the output."""
        spec.output("source")

    def compute(self, op_input: InputContext, op_output: OutputContext, context: ExecutionContext) -> None:
        """Choose the series; see `choose_source` for the errors."""
        op_output.emit(choose_source(self.study, modality=self.modality, known=self.known), "source")


class SynthesizeOperator(Operator):
    """Write the derived series of a series, by the transforms, the network and the writer of a bundle.

    Named input:
        source: `Source` with path and modality of the series.

    Args:
        fragment: the application.
        args: conditions and resources of Holoscan.
        bundle: folder of the bundle.
        output: folder for the derived series and its record.
        values: values of the bundle's `inference.json`.
        kwargs: name and other options of Holoscan.
    """

    def __init__(
        self, fragment: Fragment, *args: Any, bundle: Path, output: str, values: Mapping[str, Any], **kwargs: Any
    ) -> None:
        self.bundle, self.output, self.values = bundle, output, values
        super().__init__(fragment, *args, **kwargs)

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the input."""
        spec.input("source")

    def compute(self, op_input: InputContext, op_output: OutputContext, context: ExecutionContext) -> None:
        """Run the bundle; see `run_bundle` for the errors."""
        run_bundle(self.bundle, op_input.receive("source"), self.output, self.values)


class UniCOALApp(Application):
    """Application that writes a derived series of one DICOM study.

    Args:
        study: folder of the study, or `folder::SeriesInstanceUID`.
        output: folder for the derived series and its record.
        bundle: folder of the bundle.
        values: values of the bundle's `inference.json`; `source_modality` may be `None`, see `choose_source`.
    """

    def __init__(self, *, study: str, output: str, bundle: Path, values: Mapping[str, Any]) -> None:
        self.study, self.output, self.bundle, self.values = study, output, bundle, values
        super().__init__()

    def compose(self) -> None:
        """Connect the operators."""
        select = SelectSeriesOperator(
            self,
            CountCondition(self, 1),
            study=self.study,
            modality=self.values.get("source_modality"),
            known=known_modalities(self.bundle, self.values),
            name="select",
        )
        synthesize = SynthesizeOperator(
            self, bundle=self.bundle, output=self.output, values=self.values, name="synthesize"
        )
        self.add_flow(select, synthesize, {("source", "source")})
