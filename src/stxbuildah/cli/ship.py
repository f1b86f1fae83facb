# SPDX-License-Identifier: Apache-2.0
"""``stxb ship``: images of the local store, to another machine by ssh."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from stxbuildah.cli import columns, imagenames, lookoptions, options

if TYPE_CHECKING:
    from stxbuildah.model.ship import Shipped, ShipPlan, ShipProgress, ShipRequest

_PERCENT = 100


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...", shell_complete=imagenames.complete)
@click.argument("destination", metavar="ssh://[USER@]HOST[:PORT]")
@click.option("--into", type=click.Choice(["podman", "docker", "containerd"]),
              help="What takes the images there.  [default: what is found there]")  # fmt: skip
@click.option("--namespace", default="k8s.io", show_default=True, metavar="NAME", help="Namespace of containerd.")
@click.option("--sudo", is_flag=True, help="Run it there as root, by sudo, which must ask for no password.")
@click.option("--identity", "-i", type=options.FILE, metavar="FILE", help="Private key.  [default: ssh's own]")
@click.option("--known-hosts", type=options.FILE, metavar="FILE", help="The only file to look for the host's key in.")
@click.option("--ssh-option", multiple=True, metavar="NAME=VALUE", help="Option of ssh_config(5); repeatable.")
@click.option("--compress", type=click.Choice(["none", "gzip", "zstd"]),
              help="How layers travel.  [default: gzip where it is there]")  # fmt: skip
@click.option("--keep-layers", is_flag=True, help="Leave the layers in the cache there, for the next images.")
@click.option("--dry-run", "--dryrun", is_flag=True, help="Show what would be sent; nothing is changed there.")
@columns.TEXT_OR_JSON
@options.storage_options
@options.verbosity_options
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Bring images of the local store to another machine, into podman, docker or containerd.

    Only layers that are not there travel. A run that was stopped goes on where it was. Nothing is needed there but sh,
    its utilities and what takes the images. The host's key must be known, and no password is asked for.
    """
    from stxbuildah import jobs

    request = _request(given)
    in_json = given["output_format"] == "json"
    if given["dry_run"]:
        planned = jobs.plan_ship(request)
        click.echo(json.dumps(_as_json(planned), indent=2) if in_json else _table(planned))
        return
    quiet = options.is_quiet(ctx)
    show = _Bar() if sys.stderr.isatty() and not quiet else _nothing
    shipped = jobs.ship(request, lookoptions.say(ctx), show)
    if in_json:
        click.echo(json.dumps({**_as_json(shipped.plan), **_sent(shipped)}, indent=2))
        return
    for image in shipped.plan.images:
        click.echo(image.reference)
    if not quiet:
        size = sum(layer.size - layer.begun_at for layer in shipped.layers)
        click.echo(f"{len(shipped.layers)} layers, {shipped.travelled} bytes of {size}", err=True)


def _request(given: dict[str, Any]) -> "ShipRequest":
    from stxbuildah.model.reference import ImageReference
    from stxbuildah.model.ship import EngineThere, ShipRequest, SshDestination, SshOptions
    from stxbuildah.model.transfer import Packing

    return ShipRequest(
        images=tuple(map(ImageReference.parse, given["images"])),
        destination=SshDestination.parse(given["destination"]),
        ssh=SshOptions(
            identity=given["identity"], known_hosts=given["known_hosts"], options=tuple(given["ssh_option"])
        ),
        into=EngineThere(given["into"]) if given["into"] else None,
        namespace=given["namespace"],
        sudo=given["sudo"],
        packing=Packing(given["compress"]) if given["compress"] else None,
        keep=given["keep_layers"],
        host=options.host(given),
    )


def _as_json(plan: "ShipPlan") -> dict[str, object]:
    images = [
        {
            "reference": image.reference,
            "id": image.image_id,
            "state": str(image.state),
            "layers": list(image.layers),
            "lacking": list(image.lacking),
        }
        for image in plan.images
    ]
    return {"into": str(plan.engine), "compression": str(plan.packing), "images": images}


def _sent(shipped: "Shipped") -> dict[str, object]:
    layers = [{"digest": layer.digest, "size": layer.size, "begun_at": layer.begun_at} for layer in shipped.layers]
    return {"sent": layers, "bytes_sent": shipped.travelled}


def _table(plan: "ShipPlan") -> str:
    rows = [
        (image.reference, str(plan.engine), str(image.state), f"{len(image.lacking)} of {len(image.layers)}")
        for image in plan.images
    ]
    return columns.table(("image", "into", "state", "layers to send"), rows)


def _nothing(progress: "ShipProgress") -> None:
    del progress


class _Bar:
    """Tells on a terminal how far a layer is, on one line."""

    def __init__(self) -> None:
        self._last = ""

    def __call__(self, progress: "ShipProgress") -> None:
        percent = progress.done * _PERCENT // max(progress.size, 1)
        text = f"\r  layer {progress.number} of {progress.count}: {percent} %"
        if text != self._last:
            click.echo(f"{text:<32}", err=True, nl=progress.done >= progress.size)
            self._last = text
