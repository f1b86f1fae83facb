# SPDX-License-Identifier: Apache-2.0
"""``stxb save``: images of the local store in an archive."""

import json
from pathlib import Path

import click

from stxbuildah.cli import columns, imagenames, options
from stxbuildah.model.reference import ImageReference
from stxbuildah.model.update import HostOptions


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", shell_complete=imagenames.complete)
@click.option("-o", "--output", type=options.FILE, required=True, metavar="FILE", help="The archive; /dev/stdout too.")
@click.option("--archive", type=click.Choice(["docker-archive", "oci-archive"]), default="docker-archive",
              show_default=True, help="What it is inside: what docker load reads, or an OCI image layout.")  # fmt: skip
@click.option("--compression", type=click.Choice(["none", "gzip", "zstd"]),
              help="[default: what FILE ends in: .tar, .tar.gz or .tgz, .tar.zst]")  # fmt: skip
@columns.TEXT_OR_JSON
@options.storage_options
@options.verbosity_options
@click.pass_context
def command(
    ctx: click.Context, *, images: tuple[str, ...], output: Path, archive: str, compression: str | None,
    output_format: str, root: str, runroot: str, storage_driver: str,
) -> None:  # fmt: skip
    """Write images of the local store to an archive, compressed on all processors.

    What "docker save IMAGE | gzip -9 > FILE" did. "stxb load" reads all of it. Other programs may want it
    uncompressed: podman of Debian 12 loads no compressed archive.
    """
    from stxbuildah import jobs
    from stxbuildah.model.transfer import ArchiveForm, Packing, SaveRequest

    saved = jobs.save(
        SaveRequest(
            images=tuple(map(ImageReference.parse, images)),
            output=output,
            form=ArchiveForm(archive),
            packing=Packing(compression) if compression else None,
            host=HostOptions(storage=options.storage(root, runroot, storage_driver)),
        )
    )
    to_itself = not output.is_file()
    if output_format == "json":
        told = {
            "file": str(saved.output),
            "compression": str(saved.packing),
            "size": saved.size,
            "uncompressed_size": saved.plain_size,
            "images": [
                {"reference": image.reference, "id": image.image_id, "digest": image.digest} for image in saved.images
            ],
        }
        click.echo(json.dumps(told, indent=2), err=to_itself)
        return
    if not to_itself:
        click.echo(str(saved.output))
    if not options.is_quiet(ctx):
        click.echo(f"{len(saved.images)} images, {saved.size} bytes of {saved.plain_size}", err=True)
