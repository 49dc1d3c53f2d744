"""Train on cases in which only some of the organs are annotated."""

from collections.abc import Sequence

import torch
from torch import Tensor

NEVER = -1e4  # a logit so low that its softmax is 0 in float32


def marginal(logits: Tensor | Sequence[Tensor], annotated: Tensor) -> Tensor | list[Tensor]:
    """Merge the classes that a case does not annotate into its background.

    An organ that is not annotated is labelled as background. The probability of "background or such an organ" is the
    sum of their probabilities, so its logit is the log-sum-exp of their logits. With these logits, any loss based on a
    softmax becomes the marginal loss of Shi et al. 2021 (doi:10.1016/j.media.2021.101979). For example, if the spleen
    is not annotated, predicting it in a background voxel costs nothing.

    Args:
        logits: (B,C,I,J,K), or a list of them at several resolutions.
        annotated: Whether each class is annotated (B,C) bool, background first.

    Returns:
        The same logits if every class is annotated, else new ones of the same shape in float32. Their softmax is 0 for
        classes that are not annotated.
    """
    if not isinstance(logits, Tensor):
        return [_marginal(level, annotated) for level in logits]
    return _marginal(logits, annotated)


def _marginal(logits: Tensor, annotated: Tensor) -> Tensor:
    if bool(annotated.all()):
        return logits
    unknown = ~annotated.to(logits.device)[:, :, None, None, None]  # (B,C,1,1,1)
    merged = unknown.clone()
    merged[:, 0] = True
    values = logits.float()
    background = values.masked_fill(~merged, -torch.inf).logsumexp(dim=1, keepdim=True)  # (B,1,I,J,K)
    return torch.cat([background, values.masked_fill(unknown, NEVER)[:, 1:]], dim=1)
