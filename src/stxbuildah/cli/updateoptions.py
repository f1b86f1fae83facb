# SPDX-License-Identifier: Apache-2.0
"""The options of ``stxb update``, and the sections of its help."""

import click

from stxbuildah.cli import columns, imagenames, options
from stxbuildah.model.layer import Compression
from stxbuildah.model.update import Lane, PullPolicy

EXAMPLES = """\b
Examples:
  stxb update --from registry.example/stx-nova:v1.0 --wheel nova-30.0.0-py3-none-any.whl
  stxb update --file stx-nova.update --push --update-id example.1
  stxb update --from oci:layout:1.0 --wheel "wheels/*.whl" --to docker-archive:stx-nova.tar
  stxb update --from stx-aodh:1.0 --pkg "debs/*.deb" --customize customize.sh --extra notes.txt
  stxb update --from stx-nova:v1.0 --module-src "https://git.example/nova.git|stable" --dry-run
"""


SECTIONS = {
    "What to change": (
        "from_image", "directives_file", "wheels", "module_sources", "packages", "customize", "extras",
    ),
    "The result": (
        "version", "tag", "registry", "user", "push", "to", "replace_updates", "clean", "labels", "annotations",
        "compression_format", "digestfile", "update_id", "output_format",
    ),
    "How it is installed": (
        "python", "with_deps", "index_url", "find_links", "break_system_packages", "compile_bytecode", "allow_repos",
        "builder", "build_ca_bundle",
    ),
    "Where it is done": (
        "lane", "platforms", "expect_digest", "pull", "no_trust_inventory", "no_inventory_artifact", "keep",
    ),
    "What is done at all": ("dry_run", "print_target"),
}  # fmt: skip

update_options = options.together(
    click.option(
        "--from",
        "from_image",
        default="",
        metavar="IMAGE",
        shell_complete=imagenames.complete,
        help="The image to change; or oci:DIR[:TAG], oci-archive:FILE, docker-archive:FILE.",
    ),
    click.option(
        "--file", "directives_file", type=options.FILE, metavar="FILE", help="Directives file (KEY=value lines)."
    ),
    click.option(
        "--wheel", "wheels", multiple=True, metavar="FILE", help="Wheel: file, quoted wildcard or URL. Repeatable."
    ),
    click.option(
        "--module-src",
        "--module_src",
        "module_sources",
        multiple=True,
        metavar="SOURCE",
        help="Module source: DIR[|version] or URL[|ref][|version]. Repeatable.",
    ),
    click.option(
        "--pkg",
        "packages",
        multiple=True,
        metavar="FILE",
        help="Package (.deb, .rpm): file, quoted wildcard or URL. Repeatable.",
    ),
    click.option("--customize", default="", metavar="SCRIPT", help="Script to run in the image, as root."),
    click.option(
        "--extra",
        "extras",
        multiple=True,
        metavar="FILE",
        help="File for the script, in /image-update/extras. Repeatable.",
    ),
    click.option(
        "--version", default="", metavar="N", help="Last part of the result's tag [default: FROM's plus one]."
    ),
    click.option("--tag", default="", metavar="TAG", help="The result's whole tag, in place of the rule."),
    click.option("--registry", default="", metavar="HOST[:PORT]", help="Registry of the result [default: FROM's]."),
    click.option("--user", default="", metavar="NAME", help="Account in that registry."),
    click.option("--push", is_flag=True, help="Push the result; prints reference@digest."),
    click.option(
        "--to",
        default="",
        metavar="PLACE",
        help="Write the result there: an image reference, oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE.",
    ),
    click.option(
        "--replace-updates", is_flag=True, help="One layer in place of those of earlier updates and the new one."
    ),
    click.option("--clean", is_flag=True, help="After the push, keep nothing in the local store."),
    click.option(
        "--update-id",
        "--update_id",
        default="unnamed-update",
        show_default=True,
        metavar="ID",
        help="Folder of the records.",
    ),
    click.option(
        "--pull",
        type=click.Choice([policy.value for policy in PullPolicy]),
        default="missing",
        show_default=True,
        help="When FROM is fetched from its registry.",
    ),
    click.option(
        "--lane",
        type=click.Choice([lane.value for lane in Lane]),
        help="How the layer comes about [default: chosen; --dry-run says which and why].",
    ),
    click.option(
        "--platform",
        "platforms",
        multiple=True,
        metavar="OS/ARCH|all",
        help="Images of an index to change; the others stay as they are [default: this machine's]. Repeatable.",
    ),
    click.option("--expect-digest", default="", metavar="DIGEST", help="Refuse when FROM is another image by now."),
    click.option("--no-trust-inventory", is_flag=True, help="Read the layers, not the inventory stored beside FROM."),
    click.option("--no-inventory-artifact", is_flag=True, help="Store no inventory beside the pushed image."),
    click.option("--python", default="", metavar="PATH", help="Interpreter of the image to install for."),
    click.option("--with-deps", is_flag=True, help="Also fetch the requirements that the image does not meet."),
    click.option("--index-url", default="", metavar="URL", help="Package index for requirements and build back ends."),
    click.option(
        "--find-links", multiple=True, metavar="PLACE", help="Folder or page with further wheels. Repeatable."
    ),
    click.option("--break-system-packages", is_flag=True, help="Replace modules that the distribution owns."),
    click.option("--compile", "compile_bytecode", is_flag=True, help="Compile bytecode into the layer."),
    click.option("--allow-repos", is_flag=True, help="Let the image's repositories supply missing dependencies."),
    click.option("--builder", default="", metavar="IMAGE", help="Image that module sources are built in."),
    click.option(
        "--build-ca-bundle",
        type=options.FILE,
        envvar="STXB_BUILD_CA_BUNDLE",
        show_envvar=True,
        metavar="FILE",
        help="Certificates for downloads in containers, for the run only.",
    ),
    click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="Label of the result. Repeatable."),
    click.option("--annotation", "annotations", multiple=True, metavar="NAME=VALUE", help="Annotation. Repeatable."),
    click.option(
        "--compression-format",
        type=click.Choice([value.value for value in Compression]),
        default="gzip",
        show_default=True,
        help="Compression of the new layer.",
    ),
    click.option("--digestfile", type=options.FILE, metavar="FILE", help="Write the result's digest to a file."),
    click.option("--keep", is_flag=True, help="Keep the working container and the work folder."),
    click.option("--dry-run", "--dryrun", is_flag=True, help="Show the plan and do nothing."),
    click.option("--print-target", is_flag=True, help="Print the resulting image reference and do nothing."),
    columns.RESULT_FORMAT,
    options.registry_options,
    options.retry_options,
    options.host_options,
    options.proxy_options,
)
