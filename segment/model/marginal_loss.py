"""Learning from cases in which only some of the organs were drawn."""

from collections.abc import Sequence

import torch
from torch import Tensor

NEVER = -1e4  # a logit whose softmax is 0 in float32 beside any other


def marginal(logits: Tensor | Sequence[Tensor], annotated: Tensor) -> Tensor | list[Tensor]:
    """Logits in which classes that are unknown in a case are part of its background.

    Where an organ was not drawn, its voxels are labelled as background. The probability of "background or an unknown
    organ" is the sum of theirs, so its logit is the log-sum-exp of theirs; any criterion of softmax then is the
    marginal loss of Shi et al. 2021 (doi:10.1016/j.media.2021.101979). An unknown organ is neither rewarded nor
    punished.

    Args:
        logits: (B,C,I,J,K), or a list of them at several resolutions.
        annotated: Whether each class is known (B,C) bool, background first.

    Returns:
        The logits themselves where every class is known, else new ones of the same shape in float32, whose softmax is 0
        for unknown classes.
    """
    if not isinstance(logits, Tensor):
        return [_marginal(level, annotated) for level in logits]
    return _marginal(logits, annotated)


def _marginal(logits: Tensor, annotated: Tensor) -> Tensor:
    if bool(annotated.all()):
        return logits
    unknown = ~annotated.to(logits.device)[:, :, None, None, None]  # (B,C,1,1,1)
    hidden = unknown.clone()
    hidden[:, 0] = True
    values = logits.float()
    background = values.masked_fill(~hidden, -torch.inf).logsumexp(dim=1, keepdim=True)
    return torch.cat([background, values.masked_fill(unknown, NEVER)[:, 1:]], dim=1)
