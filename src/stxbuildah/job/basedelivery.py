# SPDX-License-Identifier: Apache-2.0
"""A base image on its way into the local store and to its registry, under all its names."""

from stxbuildah.job.basework import BaseWork, NewBase
from stxbuildah.layer.layout import write_layout
from stxbuildah.model.baseplan import BaseResult
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.stored import stored_names


def deliver(work: BaseWork, new: NewBase) -> BaseResult:
    """Store an image, push it if that was asked, and keep nothing of it here if that was asked.

    Raises:
        StxbError: the store cannot take it, or the registry does not.
    """
    request, plan, store = work.request, work.plan, work.engine.store
    source = write_layout(work.folder / "image", new.documents, {new.blob.digest: new.file})
    with work.step("store", f"storing {plan.references[0]}"):
        digest = store.import_image(source, plan.references[0])
        for name in plan.references[1:]:
            store.tag(plan.references[0], name)
    references = tuple(stored_names(name)[0] for name in plan.references)
    if request.push:
        with work.step("push", f"pushing {', '.join(str(name.qualified) for name in plan.references)}"):
            digest = [store.push(stored, name.qualified, layout=source) for stored, name in
                      zip(references, plan.references, strict=True)][-1]  # fmt: skip
        if request.clean:
            _clean(work, new, references)
        references = tuple(name.qualified for name in plan.references)
    return BaseResult(
        references=references,
        digest=digest,
        pushed=request.push,
        base=new.image.reference if new.image else None,
        base_digest=new.image.digest if new.image else "",
        layer=new.blob,
        paths=new.paths,
        seconds=tuple(work.seconds),
    )


def _clean(work: BaseWork, new: NewBase, names: tuple[ImageReference, ...]) -> None:
    store = work.engine.store
    for name in names[1:]:
        store.untag(name)
    store.remove(names[0])
    if new.image is not None and new.pulled:
        store.remove(new.image.reference)
