"""VGG16 (Simonyan and Zisserman 2014, arXiv 1409.1556), weights named as in torchvision."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from wsgn.backbones.config import VggConfig
from wsgn.backbones.pixels import ImageNetInput, mean_over_frames
from wsgn.backbones.stages import Stage, StagedNetwork, run_stages
from wsgn.errors import UsageError

# Output channels of the 3 x 3 convolutions; a maximum over 2 x 2 closes each block.
_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
# Height and width of the map that the first fully connected layer takes; 224 / 32.
_MAP = 7


def _block(in_channels: int, sizes: tuple[int, ...]) -> list[nn.Module]:
    modules: list[nn.Module] = []
    for out_channels in sizes:
        modules += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU()]
        in_channels = out_channels
    return [*modules, nn.MaxPool2d(2)]


class VggBackbone(StagedNetwork):
    """Frames (N, L, H, W, 3) uint8 -> features (N, 4096): fc7 after its ReLU, mean over frames.

    224 x 224 is the published size; maps of other sizes are averaged to 7 x 7, as torchvision does.
    """

    config: VggConfig

    def __init__(self, config: VggConfig) -> None:
        super().__init__()
        self.config = config
        self.pixels = ImageNetInput()
        blocks, in_channels = [], 3
        for sizes in _BLOCKS:
            blocks.append(_block(in_channels, sizes))
            in_channels = sizes[-1]
        self.features = nn.Sequential(*(module for block in blocks for module in block))
        size = config.feature_size
        head: list[nn.Module] = [
            nn.Linear(in_channels * _MAP * _MAP, size),
            nn.ReLU(),
            nn.Dropout(config.hidden_dropout),
            nn.Linear(size, size),
            nn.ReLU(),
            # Its place in the published numbering; the model has a dropout of its own.
            nn.Identity(),
        ]
        if config.num_logits:
            head.append(nn.Linear(size, config.num_logits))
        self.classifier = nn.Sequential(*head)
        self.train()

    def stages(self) -> list[Stage]:
        """The five blocks of convolutions, then the fully connected layers up to fc7."""
        modules, stages = list(self.features), []
        for sizes in _BLOCKS:
            length = 2 * len(sizes) + 1
            stages.append(modules[:length])
            modules = modules[length:]
        return [*stages, list(self.classifier)[:6]]

    def forward(self, frames: Tensor) -> Tensor:
        """Features of each frame, averaged over the snippet."""
        return mean_over_frames(self._frame_features(frames), frames.shape[1])

    def logits(self, frames: Tensor) -> Tensor:
        """(N, num_logits) of the published classifier, averaged over the snippet's frames."""
        if not self.config.num_logits:
            raise UsageError("this VGG was built without a classifier; set num_logits.")
        # The classifier is linear: it may come after the mean.
        logits: Tensor = self.classifier[6](self(frames))
        return logits

    def _frame_features(self, frames: Tensor) -> Tensor:
        """(N L, 4096)."""
        smallest = self.config.smallest_side
        if min(frames.shape[2:4]) < smallest:
            raise UsageError(
                f"VGG16 needs frames of at least {smallest} pixels a side, got "
                f"{frames.shape[2]} x {frames.shape[3]}."
            )
        checkpointed = self.config.checkpoint_gradients and self.training
        *blocks, head = self.stages()
        x = self.pixels(frames)  # (N L, 3, H, W)
        x = run_stages(x, blocks, checkpoint_gradients=checkpointed)
        if x.shape[2:] != (_MAP, _MAP):
            x = F.adaptive_avg_pool2d(x, _MAP)
        return run_stages(x.flatten(1), [head], checkpoint_gradients=checkpointed)
