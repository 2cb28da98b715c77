"""Where on a picture an answer comes from."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

HeatMaps = npt.NDArray[np.float32]


def heat_maps(model: nn.Module, inputs: Tensor, classes: Tensor) -> HeatMaps | None:
    """How much each place speaks for the class: [n, rows, columns] from 0 to 1, as coarse as the features.

    Grad-CAM on the last feature map (Selvaraju et al., 2017). None for a model whose last features are
    not a map, such as a vision transformer. `inputs` are normalised [n, 3, h, w], `classes` int64 [n].
    """
    model.eval()
    with torch.no_grad():
        found = model.forward_features(inputs)  # type: ignore[operator]
    if not isinstance(found, Tensor) or found.ndim != 4:
        return None
    features = found.detach().requires_grad_()
    logits = model.forward_head(features)  # type: ignore[operator]
    [slopes] = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), features)
    channels_last = getattr(model, "output_fmt", "NCHW") == "NHWC"
    return _weighted(*((x.permute(0, 3, 1, 2) if channels_last else x) for x in (features.detach(), slopes)))


def _weighted(features: Tensor, slopes: Tensor) -> HeatMaps:
    weights = slopes.mean(dim=(2, 3), keepdim=True)
    maps = torch.relu((weights * features).sum(dim=1))
    peaks = maps.amax(dim=(1, 2), keepdim=True)
    scaled: HeatMaps = (maps / peaks.clamp(min=1e-12)).float().cpu().numpy()
    return scaled
