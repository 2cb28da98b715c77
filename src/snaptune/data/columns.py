"""Columns of names, from Arrow or Python, to the arrays of an `ImageDataset`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from snaptune.data.dataset import PARTS, Codes, Ints, Strings, strings
from snaptune.errors import DataError, shown

PART_NAMES = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(("val", "valid", "validation", "dev"), 1),
    **dict.fromkeys(("test", "testing"), 2),
}
"""What the three parts are called by others, in small letters."""


def coded(values: pa.ChunkedArray | pa.Array | Sequence[str]) -> tuple[tuple[str, ...], Ints]:
    """Distinct names, sorted, and the code of each value."""
    if not isinstance(values, pa.ChunkedArray | pa.Array):
        values = pa.array(values, pa.string())
    chunks = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    encoded = chunks.dictionary_encode()
    names = [str(name) for name in encoded.dictionary.to_pylist()]
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    return tuple(names[index] for index in order), rank[encoded.indices.to_numpy(zero_copy_only=False)]


def coded_as(values: Sequence[str] | Strings, names: Sequence[str]) -> Ints:
    """The place of each value in `names`; -1 for one that is not there."""
    found = pc.index_in(pa.array(list(values), pa.string()), pa.array(list(names), pa.string()))
    return np.asarray(found.fill_null(-1).to_numpy(zero_copy_only=False), np.int64)


def names_of(values: pa.ChunkedArray) -> Strings:
    return strings(values.to_numpy(zero_copy_only=False))


def part_codes(values: pa.ChunkedArray, where: str) -> Codes:
    """Places in `PARTS`; raises `DataError` with all unknown names."""
    names, codes = coded(values)
    unknown = [name for name in names if name.lower() not in PART_NAMES]
    if unknown:
        listed = ", ".join(repr(shown(name)) for name in unknown[:10])
        raise DataError(f"Unknown part {listed} in {where}. Allowed: {', '.join(PARTS)}.")
    return np.asarray([PART_NAMES[name.lower()] for name in names], np.uint8)[codes]


def part_of_words(words: Sequence[str]) -> int:
    """The part that the first fitting word names; train where none does."""
    return next((PART_NAMES[word.lower()] for word in words if word.lower() in PART_NAMES), 0)


def check_unique(ids: pa.ChunkedArray, where: str) -> None:
    """Raises `DataError` where a picture is listed more than once."""
    counts = ids.value_counts()
    often = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(often):
        first = shown(str(often[0]["values"].as_py()))
        raise DataError(
            f"{len(often)} pictures are listed more than once in {where} (first: {first}). "
            "List each once: a picture has one label."
        )
