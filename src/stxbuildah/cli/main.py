# SPDX-License-Identifier: Apache-2.0
"""The command ``stxb``: its sub-commands, and the one place where an error is printed and the process ends."""

import gc
import importlib
import os
import signal
import sys
import time
from contextlib import suppress
from types import FrameType

import click

from stxbuildah import __version__
from stxbuildah.cli import options
from stxbuildah.errors import InterruptedByUserError, StxbError, from_os_error

# Name, module and one line of help: a module is imported only when its command runs, which keeps --help quick.
COMMANDS = {
    "base": ("stxbuildah.cli.base", "Make the base OS image from the distribution's packages."),
    "clean": ("stxbuildah.cli.clean", "Remove what killed runs left behind, and what caches keep in vain."),
    "completion": ("stxbuildah.cli.completion", "Print what lets bash, zsh or fish complete command lines."),
    "diff": ("stxbuildah.cli.diff", "Show what differs between two images: packages, layers, settings, files."),
    "doctor": ("stxbuildah.cli.doctor", "Say what this machine can do, and how to improve it."),
    "history": ("stxbuildah.cli.history", "Show the layers of an image, and what made them."),
    "images": ("stxbuildah.cli.images", "Build all images of a product from their directives files, in parallel."),
    "load": ("stxbuildah.cli.load", "Load the images of an archive into the local store."),
    "retag": ("stxbuildah.cli.retag", "Promote tags by tag-management files, inside the registry."),
    "save": ("stxbuildah.cli.save", "Write images to an archive, to be carried to another machine."),
    "ship": ("stxbuildah.cli.ship", "Bring images to another machine by ssh, only the layers that it lacks."),
    "update": ("stxbuildah.cli.update", "Change an image by one thin layer: wheels, packages, a script."),
    "wheels": ("stxbuildah.cli.wheels", "Build the Python wheels of a wheels.cfg, and pack them into a tarball."),
}

# timeout(1) and terminals signal a process and its group: the same request, which must not break the cleanup off.
_SAME_REQUEST_SECONDS = 1.0
# Modules and classes stay to the end, and a quick command makes little else: by Python's own 700 it would look through
# all of them a hundred times, which takes an eighth of an update.
_OBJECTS_BETWEEN_COLLECTIONS = 50_000


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 # click's signature
        """Give the names of all commands."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None when there is none of that name."""
        if cmd_name not in COMMANDS:
            return super().get_command(ctx, cmd_name)
        command = importlib.import_module(COMMANDS[cmd_name][0]).command
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name][0]}.command is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in sorted(COMMANDS.items())])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="stxb")
@options.verbosity_options
@click.pass_context
def stxb(ctx: click.Context) -> None:
    """Build and update container images rootless and without a daemon.

    Results go to standard output, everything else to standard error.

    Exit status: 0 done; 1 a build failed; 2 wrong usage or input; 3 this machine cannot do it; 4 a registry
    refused the credentials; 5 a registry is unreachable or limiting; 6 the disk is full; 130 interrupted.
    """
    ctx.color = options.colours_asked_for()


def main() -> None:
    """Run the command line and end the process with the exit code of what happened."""
    debug = "--debug" in sys.argv[1:]
    if "_STXB_COMPLETE" in os.environ:
        from stxbuildah.cli import completion

        completion.register()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    try:
        _end_by_signals()
        # Out of standalone mode, click gives the status that a command ended with; commands give nothing themselves.
        status = stxb.main(standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
        sys.exit(status)
    except click.ClickException as error:
        error.show()
        raise SystemExit(error.exit_code) from None
    except (KeyboardInterrupt, click.Abort):
        _fail(InterruptedByUserError("interrupted"), debug=debug)
    except StxbError as error:
        _fail(error, debug=debug)
    except OSError as error:
        _fail(from_os_error(error), debug=debug)
    except Exception as error:  # noqa: BLE001 # the last line of defence: no user sees a traceback unasked
        unknown = StxbError(
            f"stxb has a fault: {type(error).__name__}: {error}", hint="run it with --debug and report what it shows"
        )
        unknown.__cause__ = error
        _fail(unknown, debug=debug)
    finally:
        # What is left goes with the process; nobody need look for cycles in it.
        gc.freeze()


def _end_by_signals() -> None:
    """Let the signals that ask a program to end raise an error, so that everything is cleaned up on the way out.

    One that is ignored stays so: nohup and shells that start programs in the background mean it.
    """
    last = -_SAME_REQUEST_SECONDS

    def interrupt(number: int, _frame: FrameType | None) -> None:
        nonlocal last
        now = time.monotonic()
        repeated, last = now - last < _SAME_REQUEST_SECONDS, now
        if not repeated:
            raise InterruptedByUserError(f"ended by {signal.Signals(number).name}")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


def _fail(error: StxbError, *, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exception(error)
    # Where nothing can be written any more, the exit code still tells.
    with suppress(OSError):
        print_error(error)
    _forget_unwritten()
    raise SystemExit(error.exit_code)


def _forget_unwritten() -> None:
    """Let what a full disk or a closed pipe did not take go, which Python would try to write once more at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def print_error(error: StxbError) -> None:
    """Print what happened, its details and what to do about it, on standard error."""
    colour = options.colours_asked_for()
    click.echo(f"{click.style('error:', fg='red', bold=True)} {error.message}", err=True, color=colour)
    for line in error.details:
        click.echo(f"  {line}", err=True)
    if error.hint:
        click.echo(f"{click.style('hint:', fg='cyan')} {error.hint}", err=True, color=colour)
