"""Labels that the other pictures speak against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snaptune.evaluation.intervals import Floats, Ints


@dataclass(frozen=True)
class Suspect:
    """A picture whose label is likely wrong, and how probable its label and the other class are."""

    index: int
    id: str
    label: str
    suggested: str
    label_probability: float
    suggested_probability: float


def suspects(probabilities: Floats, labels: Ints) -> tuple[Ints, Ints]:
    """Samples that are more likely of another class, the surest first, and those classes.

    `probabilities` [n, classes] must come from a model that has not seen the picture's own label. Sure is
    where the likeliest class is far more probable than the label: the normalised margin of cleanlab.
    """
    likely = probabilities.argmax(axis=1)
    flagged = np.flatnonzero(likely != labels)
    margin = probabilities[flagged, labels[flagged]] - probabilities[flagged, likely[flagged]]
    order = flagged[np.argsort(margin, kind="stable")]
    return order.astype(np.int64), likely[order].astype(np.int64)
