"""What a manifest says of where it was made: golden inputs, and the libraries."""

import importlib.metadata
from collections.abc import Callable

import msgspec

from artefacts.classifier import Classifier
from artefacts.graphs import Encoders
from artefacts.manifest import Blob, Golden, Manifest

GOLDEN_TEXTS = (
    "Habitación privada luminosa en Malasaña 🌿",
    "Piso entero con balcón, a cinco minutos del Retiro",
    "Cama en dormitorio compartido de seis, desayuno incluido",
    "Entire loft with a view of the Brooklyn Bridge",
    "Private room in a quiet flat near the metro",
    "Hotel Sol: double room with reception open 24 h, " * 8,
)
_LIBRARIES = (
    "roomstream",
    "numpy",
    "onnx",
    "onnxruntime",
    "scikit-learn",
    "tokenizers",
    "torch",
    "transformers",
)


def with_golden(
    manifest: Manifest, fetch: Callable[[Blob], bytes], encoders: Encoders | None = None
) -> Manifest:
    """
    Load a release, and add the golden inputs with the logits that they have on this machine.

    Args:
        manifest: Without golden inputs.
        fetch: Reads its blobs.
        encoders: Encoders that are in memory already.

    Raises:
        ReleaseError: It does not keep what its manifest promises, and must not be published.
    """
    classifier = Classifier.load(msgspec.structs.replace(manifest, golden=[]), fetch, encoders)
    logits = classifier.infer(classifier.tokenise(GOLDEN_TEXTS)).logits
    golden = [Golden(text, row.tolist()) for text, row in zip(GOLDEN_TEXTS, logits, strict=True)]
    return msgspec.structs.replace(manifest, golden=golden)


def library_versions() -> dict[str, str]:
    """The libraries that make a release, by name; those that are not installed are left out."""
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
