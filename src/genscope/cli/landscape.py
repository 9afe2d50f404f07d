"""``genscope landscape``: the group of verbs on the loss as a function of the weights; each loads when it is called."""

import importlib

import click

# One file each: cli/landscape_<name>.py with a click command called `command`.
SUBCOMMANDS = ("slice", "plane", "path", "basin", "boundary", "trajectory")


class Lazy(click.Group):
    """A group whose commands live in files of their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands, in the order in which one would try them."""
        return [*SUBCOMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """The command of that name."""
        if cmd_name not in SUBCOMMANDS:
            return None
        return importlib.import_module(f"genscope.cli.landscape_{cmd_name}").command


@click.group("landscape", cls=Lazy)
def command() -> None:
    """Picture and measure the loss around a trained network.

    \b
    genscope landscape slice --model mine:net --weights net.safetensors --data digits
    genscope landscape plane --model mine:net --weights net.safetensors --data digits --out plane
    genscope landscape boundary --model mine:net --weights net.safetensors --data swiss-roll --html boundary.html
    genscope landscape trajectory checkpoints/
    """
