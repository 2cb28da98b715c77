"""What 8 bits cost with other calibrations: python -m benchmarks.int8_calibration RUN [DATA].

Prints the validation accuracy that each loses (paired, with its interval). The validation part must not
choose the calibration that is then judged on it: this table is for choosing defaults on several runs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx

from snaptune.data.readers import open_dataset, read_again
from snaptune.data.splits import read_split
from snaptune.export.onnx import describe, with_recipe
from snaptune.export.parity import certify
from snaptune.export.pictures import pictures_of
from snaptune.export.publish import Workshop, network_inputs
from snaptune.export.quantize import quantised
from snaptune.run_folder import Run


def main(run_path: str, data: str = "") -> None:
    run = Run.open(run_path)
    dataset = open_dataset(data) if data else read_again(run.reading_at_hand())
    split = read_split(run.split_file, dataset)
    order = np.random.default_rng(0).permutation(split.indices("train"))
    judged_on = pictures_of(dataset, split.indices("validation"))
    with TemporaryDirectory() as folder:
        workshop = Workshop.open(run, dataset, Path(folder))
        convolutions = [node.name for node in workshop.network("fp32").graph.node if node.op_type == "Conv"]
        ends = (convolutions[0], convolutions[-1])
        variants: list[tuple[int, float, tuple[str, ...]]] = [
            *((64, percentile, ()) for percentile in (99.9, 99.99, 99.999, 100.0)),
            *((256, percentile, ()) for percentile in (99.9, 99.99, 99.999)),
            *((count, 99.99, kept) for count in (64, 256) for kept in (ends[:1], ends[1:], ends)),
        ]
        print(
            f"{'pictures':>8}  {'percentile':>10}  {'in float':<12}  "
            "points lost (95 % interval), largest difference"
        )
        for count, percentile, kept in variants:
            training = pictures_of(dataset, order[:count])
            network = onnx.ModelProto()
            network.CopyFrom(workshop.network("fp32"))
            inputs = network_inputs(workshop.classifier, training)
            small = quantised(network, inputs, percentile=percentile, in_float=kept)
            path = Path(folder) / "variant.onnx"
            metadata = describe(workshop.classifier, run.config().model)
            path.write_bytes(with_recipe(small, metadata).SerializeToString())
            certificate = certify(workshop.classifier, path, judged_on)
            if certificate.accuracy is None:
                raise SystemExit("The validation part has no labels.")
            drop = certificate.accuracy.drop
            names = {(): "", ends[:1]: "first", ends[1:]: "last", ends: "first, last"}
            print(
                f"{count:>8}  {percentile:>10}  {names[kept]:<12}  {100 * drop.value:+.1f} "
                f"({100 * drop.low:+.1f} to {100 * drop.high:+.1f}), {certificate.largest_difference:.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
