# SPDX-License-Identifier: Apache-2.0
"""Help in sections: a command with many options shows them by what they are for."""

from collections.abc import Mapping
from typing import Any

import click

# Parameters of the shared options, by the section they are shown in.
SHARED = {
    "Registries": ("authfile", "creds", "cert_dir", "tls_verify", "attempts", "retry_delay"),
    "This machine": (
        "root", "runroot", "storage_driver", "isolation", "network", "http_proxy", "https_proxy", "no_proxy",
    ),
}  # fmt: skip


class SectionedCommand(click.Command):
    """A command whose help shows options in sections.

    Args:
        sections: names of parameters by the title of their section; those of shared options need not be named.
            What is in no section comes last.
    """

    def __init__(self, *args: Any, sections: Mapping[str, tuple[str, ...]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sections = {**sections, **SHARED}

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, a section at a time."""
        left = {parameter.name: parameter for parameter in self.get_params(ctx)}
        for title, names in self.sections.items():
            self._write(ctx, formatter, title, [left.pop(name) for name in names if name in left])
        self._write(ctx, formatter, "Other", list(left.values()))

    @staticmethod
    def _write(
        ctx: click.Context, formatter: click.HelpFormatter, title: str, parameters: list[click.Parameter]
    ) -> None:
        records = [record for parameter in parameters if (record := parameter.get_help_record(ctx)) is not None]
        if records:
            with formatter.section(title):
                formatter.write_dl(records)


class SectionedGroup(SectionedCommand, click.Group):
    """A group whose own options are shown in sections, and its commands after them."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, a section at a time, then the commands."""
        super().format_options(ctx, formatter)
        self.format_commands(ctx, formatter)
