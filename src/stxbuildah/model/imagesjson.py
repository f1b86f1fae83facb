# SPDX-License-Identifier: Apache-2.0
"""What came of an image as an object of JSON: the same in the records and on standard output."""

from stxbuildah.model.imagesrun import ImageOutcome


def outcome_object(outcome: ImageOutcome) -> dict[str, object]:
    """Give what came of an image, without the files that tell more of it."""
    return {
        "label": outcome.label,
        "builder": outcome.builder,
        "file": str(outcome.file),
        "state": outcome.state.value,
        "reason": outcome.reason,
        "hint": outcome.hint,
        "exit_code": outcome.exit_code,
        "reference": str(outcome.reference or ""),
        "digest": outcome.digest,
        "targets": [str(name) for name in outcome.targets],
        "pushed": [{"reference": str(name), "digest": digest} for name, digest in outcome.pushed],
        "base": outcome.base,
        "base_digest": outcome.base_digest,
        "inputs": dict(outcome.inputs),
        "size": outcome.size,
        "layers": [
            {"digest": layer.digest, "size": layer.size, "created_by": layer.created_by} for layer in outcome.layers
        ],
        "started": round(outcome.started, 3),
        "seconds": [{"step": step, "seconds": round(seconds, 3)} for step, seconds in outcome.seconds],
        "tail": list(outcome.tail),
    }
