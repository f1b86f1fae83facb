# SPDX-License-Identifier: Apache-2.0
"""``stxb completion``: what lets a shell complete command lines of stxb."""

import os

import click
from click.shell_completion import BashComplete, add_completion_class, get_completion_class, split_arg_string

VARIABLE = "_STXB_COMPLETE"
_PROGRAM = "stxb"
# click's own loses what follows a colon, as in registry:5000/name:tag: bash breaks words there, and replaces only what
# stands behind the last break (COMP_WORDBREAKS in bash(1)).
_BASH = """\
%(complete_func)s() {
    local IFS=$'\\n' line=${COMP_LINE:0:COMP_POINT} response completion type value word prefix=
    response=$(COMP_WORDS=$line COMP_CWORD=0 %(complete_var)s=bash_complete "$1" 2>/dev/null)
    word=${line##*[[:space:]]}
    case $word in
        *:* | *=*) [[ $COMP_WORDBREAKS == *:* ]] && prefix=${word%%"${word##*[:=]}"} ;;
    esac
    COMPREPLY=()
    for completion in $response; do
        IFS=',' read -r type value <<<"$completion"
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$prefix"}") ;;
        esac
    done
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class WholeLineBash(BashComplete):
    """Completion for bash that is given the line as it was typed, and not bash's own words of it."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Give the words before the one that is completed, and that one."""
        line = os.environ.get("COMP_WORDS", "")
        words = split_arg_string(line)
        incomplete = words.pop() if words and not line[-1:].isspace() else ""
        return words[1:], incomplete


def register() -> None:
    """Let click answer bash's questions in our way."""
    add_completion_class(WholeLineBash, "bash")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print what lets a shell complete commands, options and names of images.

    bash: put eval "$(stxb completion bash)" into ~/.bashrc. zsh: eval "$(stxb completion zsh)" into ~/.zshrc, after
    compinit. fish: stxb completion fish > ~/.config/fish/completions/stxb.fish
    """
    from stxbuildah.cli.main import stxb

    register()
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    completer = kind(stxb, {}, _PROGRAM, VARIABLE)
    click.echo(completer.source_template % completer.source_vars())
