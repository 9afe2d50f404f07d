"""``genscope``: the group of verbs, and how every one of them ends."""

import os
import signal
import sys
from types import FrameType
from typing import Any

import click

import genscope
from genscope.cli import (
    analyze,
    approximate,
    assess,
    compare,
    completion,
    describe,
    explain,
    flow,
    landscape,
    rank,
    report,
    reproduce,
    smooth,
    study,
    watch,
)
from genscope.core.text import display_name
from genscope.errors import GenscopeError

INTERRUPTED, TERMINATED = 130, 143
EXAMPLES = """\b
Examples:
  genscope analyze model.safetensors
  genscope analyze org/name --json > spectra.json
  genscope compare before.pt after.pt
  genscope explain alpha
"""


class Terminated(BaseException):
    """SIGTERM arrived; unwound like an interrupt so that files are closed."""


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(genscope.__version__, "-V", "--version", prog_name="genscope", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an unexpected error.")
@click.pass_context
def cli(context: click.Context, debug: bool) -> None:
    """Measure, picture, predict and test generalization in deep networks.

    Data goes to standard output, messages to standard error. Exit codes: 0 done, 1 the input is bad, 2 usage, 3 a --fail-on gate
    tripped, 130 interrupted.
    """
    context.ensure_object(dict)["debug"] = debug


for module in (describe, analyze, compare, assess, landscape, rank, reproduce, flow, smooth, study, watch, approximate, report, explain, completion):
    cli.add_command(module.command)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of the ``genscope`` script; always ends in ``sys.exit`` with the documented code."""
    signal.signal(signal.SIGTERM, _terminate)
    _make_streams_usable()
    arguments = sys.argv[1:] if arguments is None else arguments
    code = _run(arguments)
    if code in {INTERRUPTED, TERMINATED}:
        # worker threads may still be inside LAPACK: a normal exit would tear the interpreter down under them
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _make_streams_usable() -> None:
    """A terminal without Unicode shows escapes instead of failing; a stream the caller closed swallows what is written."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - it lives as long as the process
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: list[str]) -> int:
    state: dict[str, Any] = {}
    try:
        code = cli.main(args=arguments, prog_name="genscope", standalone_mode=False, obj=state)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as ending:
        return ending.exit_code
    except click.ClickException as error:
        error.show(file=sys.stderr)
        return error.exit_code
    except GenscopeError as error:
        return _say(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        return _say(_resume_hint(arguments, "Interrupted."), INTERRUPTED)
    except Terminated:
        return _say(_resume_hint(arguments, "Terminated."), TERMINATED)
    except BrokenPipeError:
        # The reader has what it wanted (`| head`); keep the interpreter from complaining when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _say("There is not enough memory for this; lower --jobs, or leave large layers out with --exclude or --max-memory.", 1)
    except Exception as error:
        if state.get("debug"):
            raise
        return _say(f"Unexpected {type(error).__name__}: {error}; this is a bug in genscope, run again with `genscope --debug …` and report it.", 1)


def _say(sentence: str, code: int) -> int:
    single = display_name(" ".join(sentence.split()), 2000)
    click.echo(f"genscope: {single}", err=True)
    return code


def _resume_hint(arguments: list[str], opening: str) -> str:
    if {"reproduce", "study"} & set(arguments[:2]):
        return f"{opening} Finished runs are kept; the same command resumes."
    if "--out" in arguments or any(argument.startswith("--out=") for argument in arguments):
        return f"{opening} What is finished is kept; the same command resumes."
    return f"{opening} Nothing was kept; add --out DIR to make runs resumable."


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise Terminated
