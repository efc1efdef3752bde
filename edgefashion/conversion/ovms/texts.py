"""The files beside the models in a repository for OpenVINO Model Server: configuration, README, KServe's YAML."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from edgefashion.conversion.graph import any_size
from edgefashion.conversion.ovms.served_ir import PLUGIN_CONFIG, Served
from edgefashion.inference.decision import NONE_LEVEL
from edgefashion.labels import UNKNOWN

IMAGE: Final = "openvino/model_server:latest"
GRPC_PORT, REST_PORT = 9000, 8000
RUNTIME: Final = "edgefashion-ovms"


def model_config(name: str) -> dict[str, Any]:
    """A model's entry of ``config.json``. Its path is relative to the file, so that the folder may lie anywhere."""
    return {
        "config": {
            "name": name,
            "base_path": name,
            "layout": "NHWC",
            "target_device": "CPU",
            "plugin_config": dict(PLUGIN_CONFIG),
        }
    }


def new_config() -> dict[str, Any]:
    """``config.json`` of a repository without models yet."""
    return {"model_config_list": [], "monitoring": {"metrics": {"enable": True}}}


def start_lines(folder: Path) -> dict[str, str]:
    """The lines that start the server on a repository, in Docker and as a binary."""
    whole = folder.absolute()
    ports = f"--port {GRPC_PORT} --rest_port {REST_PORT}"
    published = f"-p {GRPC_PORT}:{GRPC_PORT} -p {REST_PORT}:{REST_PORT}"
    mount = shlex.quote(f"{whole}:/models:ro")
    return {
        "docker": f"docker run --rm -v {mount} {published} {IMAGE} --config_path /models/config.json {ports}",
        "binary": f"ovms --config_path {shlex.quote(str(whole / 'config.json'))} {ports}",
    }


def kubernetes_name(name: str) -> str:
    """A model's name as Kubernetes wants a service's: small letters, digits and hyphens, a letter first."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return plain if plain[:1].isalpha() else f"model-{plain}"


def inference_services(models: Sequence[Served], storage: str) -> str:
    """A ServingRuntime of KServe's for the server, and an InferenceService a model, as YAML.

    ``storage``: the URI below which the cluster finds the repository's folders.
    """
    parts = [_RUNTIME.format(runtime=RUNTIME, image=IMAGE)]
    for served in models:
        uri = json.dumps(f"{storage.rstrip('/')}/{served.name}")
        plugin = "'--plugin_config=" + json.dumps(PLUGIN_CONFIG, separators=(",", ":")) + "'"
        name = kubernetes_name(served.name)
        parts.append(_SERVICE.format(name=name, runtime=RUNTIME, uri=uri, plugin=plugin))
    return "---\n".join(parts)


def readme(models: Sequence[Served], newest: Mapping[str, int], folder: Path) -> str:
    """How to start the server, what to send and what comes back, with the models' true names, newest versions and
    shapes."""
    first = models[0].name
    return _README.format(
        **start_lines(folder),
        models="\n\n".join(_model(served) for served in models),
        input=any_size.INPUT,
        low=any_size.MIN_EDGE_PX,
        high=any_size.MAX_EDGE_PX,
        name=first,
        labels=f"{first}/{newest[first]}/labels.txt",
        rest=REST_PORT,
    )


def _model(served: Served) -> str:
    told = {name: _OUTPUTS.get(name, "{shape}.").format(shape=shape) for name, shape in served.outputs.items()}
    outputs = "\n".join(f"- `{name}`, {text}" for name, text in told.items())
    pictures = "photos, the garment filling most of them" if served.takes_photos else "garments on a plain background"
    return _MODEL.format(
        name=served.name,
        pictures=pictures,
        precision=served.precision.upper(),
        labels=", ".join(served.labels),
        rule=_rule_in_words(served),
        outputs=outputs,
    )


def _rule_in_words(served: Served) -> str:
    if UNKNOWN not in served.labels:
        return _RULE.format(threshold=served.accept_threshold)
    lines = [_PHOTO_RULE.format(threshold=served.accept_threshold, none=NONE_LEVEL)]
    if served.floors:
        lines.append(_FLOORS.format(floors=", ".join(f"{name} {floor:g}" for name, floor in served.floors.items())))
    lines.append(_NO_KIND if served.kind_floor is None else _KIND.format(floor=f"{served.kind_floor:g}"))
    return "\n".join(lines)


_OUTPUTS: Final = {
    "probabilities": "FP32 {shape}: one a label, in their order.",
    "mask": "FP32 {shape}: cell by cell of the picture, the probability that it shows the garment.",
    "box": "INT32 {shape}: x, y, width, height of the garment in the picture's pixels. Each -1: nothing stands out "
    "on the background, and the probabilities mean nothing.",
}

_RULE: Final = "The answer is the likeliest label; it counts where its probability is {threshold} or more."
_PHOTO_RULE: Final = """\
Where `No garment` has more than {none} there is no answer. It is the likeliest label besides `Unknown` and
`No garment`, the three kinds of shoe taken together as `Footwear`. It counts where all labels but those two have
{threshold} or more together."""
_FLOORS: Final = "To count, these names need so much of their own besides: {floors}."
_KIND: Final = "`Footwear` is called by its likeliest kind where that has {floor} or more of the three's sum."
_NO_KIND: Final = "Which kind of shoe it is, it does not tell."

_MODEL: Final = """\
### {name}

For {pictures}; {precision}. Labels: {labels}.
{rule}

{outputs}"""

_README: Final = """\
# Garment recognition on OpenVINO Model Server

Made by `edgefashion export ovms`. Start the server, in Docker:

    {docker}

or as a binary:

    {binary}

Pin the image to the version you have tested; 2023.2 is the oldest whose OpenVINO knows the operations in here.
Export again into this folder, and a running server takes up the new version within a second.

## What to send

One picture a request, a JPEG or PNG as it is, as the one element of the input `{input}` (BYTES [1]): the server
decodes it, and the model does the rest of what `edgefashion predict` does. With curl:

```sh
picture=photo.jpg
size=$(wc -c < "$picture")
bytes='"parameters":{{"binary_data_size":'$((size + 4))'}}'
head='{{"inputs":[{{"name":"{input}","shape":[1],"datatype":"BYTES",'$bytes'}}]}}'
# The picture's length in 4 bytes, the lowest first, comes before it.
length=$(printf '\\\\%03o' $((size & 255)) $((size >> 8 & 255)) $((size >> 16 & 255)) $((size >> 24 & 255)))
{{ printf %s "$head"; printf "$length"; cat "$picture"; }} |
  curl --data-binary @- -H "Inference-Header-Content-Length: ${{#head}}" http://localhost:{rest}/v2/models/{name}/infer
```

In Python (`pip install "tritonclient[http]"`):

```python
from pathlib import Path
import numpy as np
import tritonclient.http as http

client = http.InferenceServerClient("localhost:{rest}")
picture = http.InferInput("{input}", [1], "BYTES")
picture.set_data_from_numpy(np.array([Path("photo.jpg").read_bytes()], dtype=object))
probabilities = client.infer("{name}", [picture]).as_numpy("probabilities")[0]
labels = Path("{labels}").read_text(encoding="utf-8").splitlines()
print(labels[probabilities.argmax()], probabilities.max())
```

Decoded pixels may be sent too: `{input}` as UINT8 [1, height, width, channels], BGR, from {low} to {high} a side.
Health: `/v2/health/ready`; metrics: `/metrics`.

## What differs from `edgefashion predict`

- The picture is taken for one garment, as by `edgefashion predict --single`. To have every garment in view named, serve
  the model with `edgefashion serve`.
- A picture's EXIF rotation is not applied: turn phones' photos upright before you send them.
- Pictures with an edge below {low} or above {high} pixels are resized to that by the server, each edge on its own,
  which loses their proportions; PNGs of 16 bits come out too bright. Send neither.
- A picture costs memory while it is worked on, about 20 bytes a pixel for each request at once: 230 MB for 12
  megapixels. The server itself has no limit for what it decodes: let a proxy before it refuse large bodies.
- The server must compile the models in FP32, as `plugin_config` in `config.json` and `inferenceservice.yaml` says. In
  BF16, OpenVINO's own choice on CPUs that have it, they answer nonsense.

## The models

{models}

## On Kubernetes

`inferenceservice.yaml` is for KServe: a ServingRuntime, and an InferenceService a model. Copy the models' folders to
the storage it names, or name yours in it (`--storage`), and `kubectl apply -f inferenceservice.yaml`.
"""

_RUNTIME: Final = """\
apiVersion: serving.kserve.io/v1alpha1
kind: ServingRuntime
metadata:
  name: {runtime}
spec:
  annotations:
    prometheus.kserve.io/path: /metrics
    prometheus.kserve.io/port: "8080"
  supportedModelFormats:
    - name: openvino
      autoSelect: false
  protocolVersions:
    - v2
    - grpc-v2
  containers:
    - name: kserve-container
      image: {image}
      args:
        - --model_name={{{{.Name}}}}
        - --model_path=/mnt/models
        - --port=9000
        - --rest_port=8080
        - --file_system_poll_wait_seconds=0
        - --metrics_enable
      resources:
        requests:
          cpu: "1"
          memory: 1Gi
        limits:
          cpu: "2"
          memory: 2Gi
      securityContext:
        allowPrivilegeEscalation: false
        capabilities:
          drop:
            - ALL
        privileged: false
        runAsNonRoot: true
        runAsUser: 5000
"""

_SERVICE: Final = """\
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
metadata:
  name: {name}
spec:
  predictor:
    model:
      runtime: {runtime}
      modelFormat:
        name: openvino
      protocolVersion: v2
      storageUri: {uri}
      args:
        - --layout=NHWC
        - {plugin}
"""
