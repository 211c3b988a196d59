"""Trains a small convolutional network on scikit-learn's handwritten digits and writes model.onnx, heldout.npz,
accuracy.json, request.json and expected.json. Needs torch, scikit-learn and onnx; takes about ten seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = Path(__file__).parent
SEED = 7
EPOCHS = 25
HELD_OUT = 450
OPSET = 17


class Network(nn.Module):
    """Images FP32 [n, 1, 8, 8] with values 0 to 1, to probabilities FP32 [n, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 24, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(24 * 4 * 4, 10),
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.layers(image), dim=1)


def load() -> tuple[np.ndarray, ...]:
    """Training images, held-out images, labels of either, and which of scikit-learn's digits are held out."""
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels / 16.0).astype(np.float32).reshape(-1, 1, 8, 8)
    split = train_test_split(
        images, labels, np.arange(len(labels)), test_size=HELD_OUT, random_state=SEED, stratify=labels
    )
    return (*split[:4], split[5])


def train(images: np.ndarray, labels: np.ndarray) -> Network:
    """A network fitted to ``images``."""
    torch.manual_seed(SEED)
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)  # sums in one order, so that every run gives the same weights
    network = Network()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    data = torch.utils.data.TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))
    for _ in range(EPOCHS):
        for batch, wanted in torch.utils.data.DataLoader(data, batch_size=32, shuffle=True):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network.layers(batch), wanted).backward()
            optimizer.step()
    return network.eval()


def export(network: Network, path: Path) -> None:
    """Write ``network`` to ``path`` with a dynamic number of images."""
    torch.onnx.export(
        network,
        (torch.zeros(2, 1, 8, 8),),
        str(path),
        input_names=["image"],
        output_names=["probabilities"],
        dynamic_axes={"image": {0: "images"}, "probabilities": {0: "images"}},
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.checker.check_model(onnx.load(path), full_check=True)


def write_expectations(network: Network, images: np.ndarray, labels: np.ndarray, indices: np.ndarray) -> None:
    """Write what the network itself says of the held-out images: what a server must answer too."""
    with torch.no_grad():
        probabilities = network(torch.from_numpy(images)).numpy()
    predictions = probabilities.argmax(axis=1)
    right = int((predictions == labels).sum())
    pixels = (images.reshape(-1, 8, 8) * 16).round().astype(np.uint8)
    np.savez_compressed(
        HERE / "heldout.npz", pixels=pixels, labels=labels.astype(np.uint8), probabilities=probabilities
    )
    figures = {
        "framework": f"torch {torch.__version__.split('+')[0]}",
        "images": len(labels),
        "right": right,
        "accuracy": right / len(labels),
        "held_out_indices": indices.tolist(),
        "predictions": predictions.tolist(),
    }
    _write_json("accuracy.json", figures)

    answer = {"name": "probabilities", "shape": [1, 10], "datatype": "FP32", "data": probabilities[0].tolist()}
    expected = {"model_name": "digits", "model_version": "1", "id": "digits-1", "outputs": [answer]}
    (HERE / "request.json").write_text(request_of(images[0]))
    _write_json("expected.json", expected)


def request_of(image: np.ndarray) -> str:
    """A request for one image, as JSON with one line of pixels per line."""
    rows = ",\n    ".join(", ".join(f"{pixel:.4f}" for pixel in row) for row in image[0])
    fields = '"name": "image", "shape": [1, 1, 8, 8], "datatype": "FP32"'
    return f'{{"id": "digits-1", "inputs": [{{{fields}, "data": [\n    {rows}\n]}}]}}\n'


def _write_json(name: str, content: object) -> None:
    (HERE / name).write_text(json.dumps(content) + "\n")


def main() -> None:
    images, held_out, labels, held_out_labels, indices = load()
    network = train(images, labels)
    export(network, HERE / "model.onnx")
    write_expectations(network, held_out, held_out_labels, indices)
    figures = json.loads((HERE / "accuracy.json").read_text())
    print(f"{figures['right']} of {figures['images']} right: {figures['accuracy']:.1%}")


if __name__ == "__main__":
    main()
