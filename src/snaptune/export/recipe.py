"""The one recipe as an ONNX graph that gives Pillow's pixels, bit for bit.

ONNX's own antialiased Resize computes its weights in 32-bit floats, so that up to a tenth of the
pixels differ from Pillow's by one step, which moves a trained model's probabilities by up to 1e-3;
OpenVINO ignores the antialiasing without a word, and others reject it. Here each pass gathers the
rows that a result depends on and multiplies them with Pillow's own weights, whole numbers of 22 bits,
a byte at a time: whole numbers come out the same on every machine.

OpenVINO computes in 32 bits whatever the graph says, and some of that wrong (2026.4: Div, Mod and
ReduceSum of whole numbers go through floats). What is here avoids or mends that.
"""

from __future__ import annotations

import onnx

from snaptune.images.preprocess import Preprocess

OPSET, IR_VERSION = 18, 10
UNIT_BITS = 22
"""Pillow holds a weight of 1 as 2**22."""


def recipe_graph(text: str) -> onnx.ModelProto:
    """The graph that `recipe_text` writes; a node bears the name of its result, so a runtime can place it."""
    model: onnx.ModelProto = onnx.parser.parse_model(text)
    for node in model.graph.node:
        node.name = node.output[0]
    return model


def recipe_text(preprocess: Preprocess, *, in_float: bool = False) -> str:
    """`Preprocess` in ONNX's text form: `fitted_size`, `resized`, `padded`, then normalisation.

    From `image`, uint8 [height, width, 3], to `pre_pixels`, float32 [1, 3, size, size]. With `in_float` the
    weighted sums are whole numbers held by 32-bit floats: the same pixels from four times the memory, and
    several times as fast where bytes are widened before they are multiplied (OpenVINO).
    """
    size = preprocess.size
    weights, resampled, constants = (
        (_float_weights, _float_resampled, _FLOAT_CONSTANTS)
        if in_float
        else (_byte_weights, _byte_resampled, _BYTE_CONSTANTS)
    )
    return f"""
<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>
recipe (uint8[height, width, 3] image) => (float[1, 3, {size}, {size}] pre_pixels) {{
    {_CONSTANTS}
    {constants}
    pre_size = Constant <value = int64[1] {{{size}}}> ()
    pre_shape = Shape (image)
    pre_height = Slice (pre_shape, pre_0, pre_1)
    pre_width = Slice (pre_shape, pre_1, pre_2)
    pre_longest = Max (pre_height, pre_width)
    pre_twice_longest = Add (pre_longest, pre_longest)
    pre_twice_size = Add (pre_size, pre_size)
    {_fitted("height")}
    {_fitted("width")}
    {_quotients("height")}
    {_quotients("width")}
    {weights("height")}
    {weights("width")}
    pre_flat = Constant <value = int64[2] {{0, -1}}> ()
    pre_rows = Reshape (image, pre_flat)
    {resampled("height", "pre_rows")}
    pre_by_row = Concat <axis = 0> (pre_fitted_height, pre_width, pre_3)
    pre_short = Reshape (pre_resampled_height, pre_by_row)
    pre_turned = Transpose <perm = [1, 2, 0]> (pre_short)
    pre_columns = Reshape (pre_turned, pre_flat)
    {resampled("width", "pre_columns")}
    pre_by_column = Concat <axis = 0> (pre_1, pre_fitted_width, pre_3, pre_fitted_height)
    pre_small = Reshape (pre_resampled_width, pre_by_column)
    pre_channels_first = Transpose <perm = [0, 2, 3, 1]> (pre_small)
    pre_float = Cast <to = 1> (pre_channels_first)
    {_margins("height")}
    {_margins("width")}
    pre_none = Constant <value = int64[2] {{0, 0}}> ()
    pre_margins = Concat <axis = 0> (pre_none, pre_before_height, pre_before_width,
        pre_none, pre_after_height, pre_after_width)
    pre_padded = Pad <mode = "edge"> (pre_float, pre_margins)
    {_normalised(preprocess)}
}}"""


def prepared_text(preprocess: Preprocess) -> str:
    """What is left of the recipe for a prepared picture, uint8 [size, size, 3]: normalisation."""
    size = preprocess.size
    return f"""
<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>
recipe (uint8[{size}, {size}, 3] image) => (float[1, 3, {size}, {size}] pre_pixels) {{
    pre_0 = Constant <value = int64[1] {{0}}> ()
    pre_float = Cast <to = 1> (image)
    pre_turned = Transpose <perm = [2, 0, 1]> (pre_float)
    pre_padded = Unsqueeze (pre_turned, pre_0)
    {_normalised(preprocess)}
}}"""


def _normalised(preprocess: Preprocess) -> str:
    mean, std = (_floats(values) for values in (preprocess.mean, preprocess.std))
    return f"""pre_mean = Constant <value = float[1, 3, 1, 1] {{{mean}}}> ()
    pre_std = Constant <value = float[1, 3, 1, 1] {{{std}}}> ()
    pre_centred = Sub (pre_padded, pre_mean)
    pre_pixels = Div (pre_centred, pre_std)"""


_CONSTANTS = """pre_0 = Constant <value = int64[1] {0}> ()
    pre_1 = Constant <value = int64[1] {1}> ()
    pre_2 = Constant <value = int64[1] {2}> ()
    pre_3 = Constant <value = int64[1] {3}> ()
    pre_nought = Constant <value = int64 {0}> ()
    pre_one = Constant <value = int64 {1}> ()
    pre_2_to_7 = Constant <value = int64 {128}> ()
    pre_2_to_8 = Constant <value = int64 {256}> ()"""

_BYTE_CONSTANTS = f"""pre_places = Constant <value = int64[3, 1] {{65536, 256, 1}}> ()
    pre_whole_unit = Constant <value = int32 {{{2 ** (UNIT_BITS - 8)}}}> ()
    pre_half_unit = Constant <value = int32 {{{2 ** (UNIT_BITS - 9)}}}> ()
    pre_256 = Constant <value = int32 {{256}}> ()"""

_FLOAT_CONSTANTS = f"""pre_float_half = Constant <value = float {{0.5}}> ()
    pre_inverse_unit = Constant <value = float {{{2.0 ** (8 - UNIT_BITS)}}}> ()
    pre_256th = Constant <value = float {{{1 / 256}}}> ()"""


def _fitted(side: str) -> str:
    """max(1, (2 * side * size + longest) // (2 * longest)): `Preprocess.fitted_size`."""
    return f"""pre_scaled_{side} = Mul (pre_{side}, pre_twice_size)
    pre_half_up_{side} = Add (pre_scaled_{side}, pre_longest)
    pre_rounded_{side} = Div (pre_half_up_{side}, pre_twice_longest)
    pre_fitted_{side} = Max (pre_rounded_{side}, pre_1)"""


def _quotients(side: str) -> str:
    """Which rows each result depends on, and by how much: int64 [out, taps], and three digits of base 256.

    A triangle as wide as the scale, around the middle of the result; rows outside the picture count for
    nothing, and nor do those outside the triangle. So there may be more rows than have a weight: one is
    taken before the triangle and one behind, and a runtime that divides as floats, a step off, loses none.
    In whole numbers throughout: a weight is 2**22 times a quotient of two of them, which Pillow's doubles
    round the same way while the divisor is below 2**22 (sides of 16,000 pixels and more). The WebGPU build
    of onnxruntime-web has no doubles on the processor.
    """
    return f"""pre_twice_fitted_{side} = Add (pre_fitted_{side}, pre_fitted_{side})
    pre_wider_{side} = Max (pre_{side}, pre_fitted_{side})
    pre_width_of_triangle_{side} = Add (pre_wider_{side}, pre_wider_{side})
    pre_rows_under_{side} = Div (pre_width_of_triangle_{side}, pre_fitted_{side})
    pre_count_{side} = Add (pre_rows_under_{side}, pre_2)
    pre_one_count_{side} = Squeeze (pre_count_{side})
    pre_taps_{side} = Range (pre_nought, pre_one_count_{side}, pre_one)
    pre_one_out_{side} = Squeeze (pre_fitted_{side})
    pre_flat_result_{side} = Range (pre_nought, pre_one_out_{side}, pre_one)
    pre_result_{side} = Unsqueeze (pre_flat_result_{side}, pre_1)
    pre_twice_result_{side} = Add (pre_result_{side}, pre_result_{side})
    pre_odd_result_{side} = Add (pre_twice_result_{side}, pre_1)
    pre_result_middle_{side} = Mul (pre_odd_result_{side}, pre_{side})
    pre_start_{side} = Sub (pre_result_middle_{side}, pre_width_of_triangle_{side})
    pre_start_inside_{side} = Max (pre_start_{side}, pre_0)
    pre_first_{side} = Div (pre_start_inside_{side}, pre_twice_fitted_{side})
    pre_row_{side} = Add (pre_first_{side}, pre_taps_{side})
    pre_twice_row_{side} = Add (pre_row_{side}, pre_row_{side})
    pre_odd_row_{side} = Add (pre_twice_row_{side}, pre_1)
    pre_row_middle_{side} = Mul (pre_odd_row_{side}, pre_fitted_{side})
    pre_offset_{side} = Sub (pre_row_middle_{side}, pre_result_middle_{side})
    pre_distance_{side} = Abs (pre_offset_{side})
    pre_below_{side} = Sub (pre_width_of_triangle_{side}, pre_distance_{side})
    pre_triangle_{side} = Max (pre_below_{side}, pre_0)
    pre_last_{side} = Sub (pre_{side}, pre_1)
    pre_index_{side} = Min (pre_row_{side}, pre_last_{side})
    pre_inside_{side} = Equal (pre_index_{side}, pre_row_{side})
    pre_raw_{side} = Where (pre_inside_{side}, pre_triangle_{side}, pre_0)
    pre_total_{side} = ReduceSum (pre_raw_{side}, pre_1)
    pre_divisor_{side} = Add (pre_total_{side}, pre_total_{side})
    pre_top_{side} = Mul (pre_raw_{side}, pre_2_to_7)
    {_digit("high", f"pre_top_{side}", side)}
    pre_next_{side} = Mul (pre_rest_high_{side}, pre_2_to_8)
    {_digit("middle", f"pre_next_{side}", side)}
    pre_lowest_{side} = Mul (pre_rest_middle_{side}, pre_2_to_8)
    pre_lowest_up_{side} = Add (pre_lowest_{side}, pre_total_{side})
    {_digit("low", f"pre_lowest_up_{side}", side)}
    pre_upper_{side} = Mul (pre_digit_high_{side}, pre_2_to_8)
    pre_upper_two_{side} = Add (pre_upper_{side}, pre_digit_middle_{side})"""


def _digit(name: str, numerator: str, side: str) -> str:
    """One digit of a long division by the divisor, and its rest.

    The quotient is checked by multiplying back: OpenVINO divides whole numbers as 32-bit floats.
    """
    suffix = f"{name}_{side}"
    return f"""pre_guess_{suffix} = Div ({numerator}, pre_divisor_{side})
    pre_back_{suffix} = Mul (pre_guess_{suffix}, pre_divisor_{side})
    pre_left_{suffix} = Sub ({numerator}, pre_back_{suffix})
    pre_is_less_{suffix} = GreaterOrEqual (pre_left_{suffix}, pre_divisor_{side})
    pre_less_{suffix} = Cast <to = 7> (pre_is_less_{suffix})
    pre_is_more_{suffix} = Less (pre_left_{suffix}, pre_0)
    pre_more_{suffix} = Cast <to = 7> (pre_is_more_{suffix})
    pre_raised_{suffix} = Add (pre_guess_{suffix}, pre_less_{suffix})
    pre_digit_{suffix} = Sub (pre_raised_{suffix}, pre_more_{suffix})
    pre_taken_{suffix} = Mul (pre_digit_{suffix}, pre_divisor_{side})
    pre_rest_{suffix} = Sub ({numerator}, pre_taken_{suffix})"""


def _byte_weights(side: str) -> str:
    """uint8 [out, 3, taps]: the digits, once the lowest was rounded up to 256 or not."""
    return f"""pre_upper_placed_{side} = Mul (pre_upper_two_{side}, pre_2_to_8)
    pre_whole_{side} = Add (pre_upper_placed_{side}, pre_digit_low_{side})
    pre_lines_{side} = Unsqueeze (pre_whole_{side}, pre_1)
    pre_shifted_{side} = Div (pre_lines_{side}, pre_places)
    pre_byte_{side} = Mod (pre_shifted_{side}, pre_2_to_8)
    pre_bytes_{side} = Cast <to = 2> (pre_byte_{side})"""


def _float_weights(side: str) -> str:
    """float32 [out, 1, taps], twice: the upper two digits in units of 2**14, and the lowest in 256ths."""
    return f"""pre_lines_upper_{side} = Unsqueeze (pre_upper_two_{side}, pre_1)
    pre_float_upper_{side} = Cast <to = 1> (pre_lines_upper_{side})
    pre_weights_upper_{side} = Mul (pre_float_upper_{side}, pre_inverse_unit)
    pre_lines_low_{side} = Unsqueeze (pre_digit_low_{side}, pre_1)
    pre_float_low_{side} = Cast <to = 1> (pre_lines_low_{side})
    pre_weights_low_{side} = Mul (pre_float_low_{side}, pre_256th)"""


def _float_resampled(side: str, rows: str) -> str:
    """`_byte_resampled` in 32-bit floats, which hold every number here: none has more than 24 bits.

    That is so up to 256 rows a result, in pictures 127 times as large as the square.
    """
    return f"""pre_wide_{side} = Cast <to = 1> ({rows})
    pre_gathered_{side} = Gather <axis = 0> (pre_wide_{side}, pre_index_{side})
    pre_high_middle_{side} = MatMul (pre_weights_upper_{side}, pre_gathered_{side})
    pre_low_{side} = MatMul (pre_weights_low_{side}, pre_gathered_{side})
    pre_carried_{side} = Floor (pre_low_{side})
    pre_carried_placed_{side} = Mul (pre_carried_{side}, pre_inverse_unit)
    pre_sum_{side} = Add (pre_high_middle_{side}, pre_carried_placed_{side})
    pre_sum_up_{side} = Add (pre_sum_{side}, pre_float_half)
    pre_resampled_{side} = Floor (pre_sum_up_{side})"""


def _byte_resampled(side: str, rows: str) -> str:
    """One pass over `rows`, uint8 [in, any] to [out, any]; halves are rounded up, as Pillow does.

    Of the lowest digit's product only the carry counts, so that no number passes 24 bits, which OpenVINO
    would round before dividing. (Nor is there a ReduceSum with an Add behind it: OpenVINO 2026.4 fuses
    the two and answers with garbage in every row but the first.)
    """
    return f"""pre_gathered_{side} = Gather <axis = 0> ({rows}, pre_index_{side})
    pre_products_{side} = MatMulInteger (pre_bytes_{side}, pre_gathered_{side})
    pre_high_{side}, pre_middle_{side}, pre_low_{side} =
        Split <axis = 1, num_outputs = 3> (pre_products_{side})
    pre_high_placed_{side} = Mul (pre_high_{side}, pre_256)
    pre_high_middle_{side} = Add (pre_high_placed_{side}, pre_middle_{side})
    pre_carried_{side} = Div (pre_low_{side}, pre_256)
    pre_sum_{side} = Add (pre_high_middle_{side}, pre_carried_{side})
    pre_sum_up_{side} = Add (pre_sum_{side}, pre_half_unit)
    pre_step_{side} = Div (pre_sum_up_{side}, pre_whole_unit)
    pre_resampled_{side} = Cast <to = 2> (pre_step_{side})"""


def _margins(side: str) -> str:
    """The smaller half of the margin before the picture, the rest after it: `Preprocess.padded`."""
    return f"""pre_margin_{side} = Sub (pre_size, pre_fitted_{side})
    pre_before_{side} = Div (pre_margin_{side}, pre_2)
    pre_after_{side} = Sub (pre_margin_{side}, pre_before_{side})"""


def _floats(values: tuple[float, float, float]) -> str:
    """Statistics for channel values of 0–1, written for values of 0–255."""
    return ", ".join(f"{value * 255:.9g}" for value in values)
