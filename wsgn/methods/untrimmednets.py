"""UntrimmedNets with soft selection, reimplemented on features.

Wang, Xiong, Lin, Van Gool: UntrimmedNets for weakly supervised action recognition and detection,
CVPR 2017. A classification module scores the classes of each clip, softmax over classes; a
selection module scores each clip, softmax over the video's clips; the video's class probabilities
are the first weighed by the second, and the loss is their cross-entropy with the normalised labels.

Deviations: snippets of given features stand for clip proposals, and nothing below the two linear
layers is trained; soft selection only. The selection layer has no bias, which a softmax over time
would cancel. For localisation the paper drops clips of little attention and thresholds the class
scores of the others, both by fixed values; here attention is measured against that of an even
spread, 1 / T, as videos differ in length, and the class scores are thresholded as every method's.
Not the paper's are a hidden layer under both modules, and the soft gate in place of the cut.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wsgn.methods.config import UntrimmedNetsConfig
from wsgn.methods.heads import initialised, shared_layer
from wsgn.methods.interface import HeadOutput, Losses, Targets
from wsgn.methods.losses import normalised_labels
from wsgn.methods.pooling import at_least_single, temporal_softmax
from wsgn.selection.packing import Packing, check_offsets

# Under the logarithm of a probability.
_SMALLEST = 1e-7


class UntrimmedNets(nn.Module):
    """Classification and selection layers; see `wsgn.methods.interface.Method`."""

    def __init__(self, config: UntrimmedNetsConfig, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        self.shared = shared_layer(feature_size, hidden_layer=config.hidden_layer)
        self.classifier = initialised(nn.Linear(feature_size, num_classes))
        self.selection = nn.Linear(feature_size, 1, bias=False)
        nn.init.xavier_uniform_(self.selection.weight)

    def heads(self, features: Tensor) -> HeadOutput:
        """Both layers on shared features (N, D); one attention stands for all classes."""
        features = self.shared(features)
        return HeadOutput(
            selection_logits=self.selection(features).expand(-1, self.num_classes),
            class_logits=self.classifier(features),
            hidden=features,
        )

    def losses(self, heads: HeadOutput, cu_seqlens: Tensor, targets: Targets) -> Losses:
        """Cross-entropy of the video's class probabilities with the normalised labels."""
        check_offsets(cu_seqlens, len(heads.class_logits))
        attention = temporal_softmax(at_least_single(heads.selection_logits[:, :1]), cu_seqlens)
        scores = Packing(cu_seqlens).sum(attention * self._probabilities(heads))  # (B, C)
        labels = normalised_labels(targets.labels)
        per_video = -(labels * scores.clamp(min=_SMALLEST).log()).sum(dim=1)
        return Losses(per_video=per_video, per_pair=per_video.new_zeros(0))

    def _probabilities(self, heads: HeadOutput) -> Tensor:
        logits = at_least_single(heads.class_logits[:, : self.num_classes])
        return torch.softmax(logits, dim=1)
