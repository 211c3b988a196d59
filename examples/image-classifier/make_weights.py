"""Makes everything here but the code: the network, its labels, a picture, and the request that asks about it.

The network has two layers of convolutions whose weights are random, and one linear layer that is solved for, not
trained: with numpy alone this takes seconds. ``pip install numpy onnx onnxruntime pillow``
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageDraw

from oipserver.codecs import NumpyCodec
from oipserver.types import InferenceRequest

HERE = Path(__file__).parent
SIZE = 32
COLOURS = {"red": (200, 40, 40), "green": (40, 160, 60), "blue": (50, 80, 200), "yellow": (220, 190, 40)}
SHAPES = ("circle", "ring", "square", "triangle", "cross", "bar")
LABELS = [f"{colour} {shape}" for colour in COLOURS for shape in SHAPES]
FILTERS = (24, 32)
RANDOM = np.random.default_rng(11)


def draw(label: str, size: int = SIZE) -> np.ndarray:
    """A picture of what ``label`` says, somewhere on a dull background, drawn large and shrunk to be smooth."""
    colour, shape = label.split()
    side = size * 4
    noise = RANDOM.integers(-25, 25, 3)
    image = Image.new("RGB", (side, side), tuple(int(value) for value in RANDOM.integers(90, 200) + noise))
    pen = ImageDraw.Draw(image)
    radius = RANDOM.uniform(0.24, 0.38) * side
    x, y = side / 2 + RANDOM.uniform(-0.1, 0.1, 2) * side
    fill = tuple(int(value) for value in np.clip(np.array(COLOURS[colour]) + RANDOM.integers(-25, 25, 3), 0, 255))
    box = (x - radius, y - radius, x + radius, y + radius)
    thin = radius / 3
    if shape == "circle":
        pen.ellipse(box, fill=fill)
    elif shape == "ring":
        pen.ellipse(box, outline=fill, width=int(thin))
    elif shape == "square":
        pen.rectangle(box, fill=fill)
    elif shape == "triangle":
        pen.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=fill)
    else:
        pen.rectangle((x - radius, y - thin, x + radius, y + thin), fill=fill)
        if shape == "cross":
            pen.rectangle((x - thin, y - radius, x + thin, y + radius), fill=fill)
    small = np.asarray(image.resize((size, size), Image.Resampling.BOX))
    return np.clip(small + RANDOM.normal(0, 4, small.shape), 0, 255).astype(np.uint8)


def network(weights: list[np.ndarray]) -> onnx.ModelProto:
    """Convolutions and pooling over ``images`` [n,3,32,32]; ``scores`` [n,24] where there are weights for them."""
    nodes = [
        helper.make_node("Conv", ["images", "w0", "b0"], ["c0"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("MaxPool", ["r0"], ["p0"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["p0", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("AveragePool", ["r1"], ["p1"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Flatten", ["p1"], ["features"]),
    ]
    output = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", FILTERS[1] * 16])
    if len(weights) > 4:
        nodes += [
            helper.make_node("Gemm", ["features", "w2", "b2"], ["logits"]),
            helper.make_node("Softmax", ["logits"], ["scores"], axis=1),
        ]
        output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", len(LABELS)])
    graph = helper.make_graph(
        nodes,
        "shapes",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])],
        [output],
        [
            numpy_helper.from_array(array.astype(np.float32), f"{'wb'[index % 2]}{index // 2}")
            for index, array in enumerate(weights)
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def run(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"images": images.transpose(0, 3, 1, 2).astype(np.float32) / 255})[0]


def main() -> None:
    weights = [
        RANDOM.normal(0, 1, (FILTERS[0], 3, 3, 3)),
        RANDOM.normal(0, 0.3, FILTERS[0]),
        RANDOM.normal(0, 1 / np.sqrt(FILTERS[0] * 9), (FILTERS[1], FILTERS[0], 3, 3)),
        RANDOM.normal(0, 0.3, FILTERS[1]),
    ]
    classes = np.tile(np.arange(len(LABELS)), 250)
    pictures = np.stack([draw(LABELS[index]) for index in classes])
    held_out = len(LABELS) * 40
    features = run(network(weights), pictures)
    known, wanted = features[held_out:], np.eye(len(LABELS))[classes[held_out:]]
    mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-6
    scaled = (known - mean) / spread
    solved = np.linalg.solve(
        scaled.T @ scaled + 30 * np.eye(scaled.shape[1]), scaled.T @ (wanted - wanted.mean(axis=0))
    )
    readout = 12 * solved / spread[:, None]
    weights += [readout, 12 * wanted.mean(axis=0) - mean @ readout]
    model = network(weights)
    right = (run(model, pictures[:held_out]).argmax(axis=1) == classes[:held_out]).mean()
    print(f"{right:.1%} of {held_out} pictures it has never seen are right")
    onnx.save(model, HERE / "weights.onnx")
    (HERE / "labels.json").write_text(json.dumps({str(index): label for index, label in enumerate(LABELS)}, indent=1))

    picture = draw("green triangle")
    Image.fromarray(picture).save(HERE / "picture.png")
    request = InferenceRequest(inputs=[NumpyCodec.encode_input(name="payload", payload=picture)])
    (HERE / "request.json").write_text(json.dumps(request.model_dump(), separators=(",", ":")) + "\n")
    scores = run(model, picture[np.newaxis])[0]
    best = [LABELS[index] for index in np.argsort(-scores)[:5]]
    output = {"name": "output-0", "shape": [5, 1], "datatype": "BYTES", "data": best}
    answer = {"model_name": "image-classifier", "outputs": [output]}
    (HERE / "expected.json").write_text(json.dumps(answer, indent=2) + "\n")
    print(best)


if __name__ == "__main__":
    main()
