"""``genscope completion``: the script that makes the shell complete genscope's options."""

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script of SHELL.

    \b
    bash:  genscope completion bash >> ~/.bashrc
    zsh:   genscope completion zsh  >> ~/.zshrc
    fish:  genscope completion fish > ~/.config/fish/completions/genscope.fish
    """
    from click.shell_completion import get_completion_class

    from genscope.cli.main import cli

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    click.echo(found(cli, {}, "genscope", "_GENSCOPE_COMPLETE").source())
