"""``rxstream`` on the command line: demo, devices, watch (``pip install 'rxstream[cli]'``)."""

import contextlib
import errno
import inspect
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import rxstream_cli
from rxstream.errors import MissingExtraError, RxStreamError
from rxstream.optional import import_optional
from rxstream.printable import MAX_NAME, printable

if TYPE_CHECKING:
    import typer
    from rich.console import Console
    from rich.text import Text

    from rxstream.acquisition.device import Device
    from rxstream.acquisition.device_info import DeviceInfo
    from rxstream.registry.catalog import DeviceListing

__all__ = ["main", "make_app"]

# Exit codes; that of Ctrl-C is the shell's for SIGINT, 128 + 2, and of a lost terminal for SIGHUP.
_FAILED, _WRONG, _STOPPED, _HUNG_UP = 1, 2, 130, 129
# Longest note of a device, and longest device with its options [characters].
_MAX_NOTE, _MAX_SPEC = 200, 300


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, as the ``rxstream`` script does.

    SIGTERM and SIGHUP end it in order, as Ctrl-C does: devices are closed, files complete.

    Parameters
    ----------
    arguments
        Instead of those of the process.

    Raises
    ------
    SystemExit
        Always: 0 if all was well, 1 if a device or a sink failed or something was lost, 2 for
        wrong arguments, 128 + the number of the signal that ended it.
    """
    for stream in (sys.stdout, sys.stderr):
        # a terminal without µ gets a ?
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        for module in ("typer", "rich"):
            import_optional(module, extra="cli")
    except MissingExtraError as error:
        print(f"The command line needs more: {error}", file=sys.stderr)
        sys.exit(_FAILED)
    from rxstream.acquisition.failures import failed

    known = len(failed())
    try:
        make_app()(None if arguments is None else list(arguments), prog_name="rxstream")
    except SystemExit as end:
        failures = failed()[known:]
        if end.code or not failures:
            raise
        for failure in failures:
            print(f"failed: {printable(failure)}", file=sys.stderr)
        sys.exit(_FAILED)
    except OSError as error:
        # the terminal is gone, and nobody reads what we would say
        if error.errno == errno.EIO:
            sys.exit(_HUNG_UP)
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        print("Error: the output cannot be written: no space left there", file=sys.stderr)
        # what is left of it goes nowhere, or the interpreter tries again as it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(_FAILED)


def make_app() -> "typer.Typer":
    """Return the commands as a typer app."""
    import typer

    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    for add in (_add_version, _add_demo, _add_devices, _add_watch):
        add(app)
    return app


def _add_version(app: "typer.Typer") -> None:
    import typer

    def show(wanted: bool) -> None:
        if wanted:
            import rxstream

            print(f"rxstream {rxstream.__version__}")
            raise typer.Exit

    @app.callback()
    def root(
        version: Annotated[
            bool,
            typer.Option("--version", callback=show, is_eager=True, help="Show the version."),
        ] = False,
    ) -> None:
        """Live device streams that you can rewind."""


@contextlib.contextmanager
def _plainly(console: "Console") -> Iterator[None]:
    """Turn our own errors, which say what to do, into a line and an exit code."""
    import typer

    try:
        yield
    except RxStreamError as error:
        console.print(f"Error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(_WRONG) from error
    except KeyboardInterrupt:
        console.print("stopped")
        raise typer.Exit(_STOPPED) from None


def _close_on_signals() -> None:
    """From now on let signals end the command in order: all is loaded, and it begins."""
    from rxstream.acquisition.signals import close_on_signals

    # elsewhere signals are not ours to handle
    if threading.current_thread() is threading.main_thread():
        rxstream_cli.release_signals()
        close_on_signals()


def _consoles() -> "tuple[Console, Console]":
    """Return where results go, and where errors go."""
    from rich.console import Console

    return Console(), Console(stderr=True)


def _add_demo(app: "typer.Typer") -> None:
    import typer

    @app.command()
    def demo(
        seconds: Annotated[float, typer.Option(help="How long in seconds, at least 4.")] = 15.0,
        out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("rxstream-demo"),
        simulated: Annotated[
            bool, typer.Option("--simulated", help="Simulate all devices.")
        ] = False,
    ) -> None:
        """Microphone, camera and CAN bus at once: stored, analysed, shown; and rewound.

        Real devices where this machine has them, simulated ones otherwise. Exit code 1 if
        something was lost that should not have been.
        """
        console, errors = _consoles()
        with _plainly(errors):
            from rxstream.demo import run_demo

            _close_on_signals()
            code = run_demo(console, seconds, out, simulated=simulated)
        raise typer.Exit(code)


def _add_devices(app: "typer.Typer") -> None:
    import typer

    @app.command()
    def devices(
        name: Annotated[str | None, typer.Argument(help="Explain this one's options.")] = None,
    ) -> None:
        """List what can be opened here; with a name, explain its options."""
        console, errors = _consoles()
        with _plainly(errors):
            from rich.text import Text

            from rxstream.registry.entry_points import source_class

            _close_on_signals()
            if name is None:
                _list(console)
                return
            text = inspect.getdoc(source_class(name)) or f"{name} has no documentation"
            for line in text.splitlines():
                console.print(Text(printable(line)), soft_wrap=True)


def _list(console: "Console") -> None:
    from rich.text import Text

    from rxstream.registry.catalog import list_devices

    with console.status("looking for devices"):
        listings = list_devices()
    # as `Text`: in the name of a device neither brackets nor colons are marks for rich
    for item in listings:
        name = printable(item.name, MAX_NAME)
        console.print(Text.assemble((name, "bold"), f"  {printable(item.about)}"))
        if item.problem:
            console.print(Text(f"    {printable(item.problem)}", "yellow"), soft_wrap=True)
        elif not item.found:
            console.print(Text(f"    {_unlisted(name, item)}", "dim"))
        for found in item.found:
            console.print(_found_line(name, found), soft_wrap=True)
    console.print(
        "\nTo see one flow, as it is written above: rxstream watch simulated:rate=48000"
        "\nFor the options of a device:             rxstream devices simulated",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _unlisted(name: str, item: "DeviceListing") -> str:
    """Return what is said of a kind of which no device is listed."""
    if item.sought:
        return "none found on this machine"
    if item.needs:
        return f"{name}:{','.join(f'{option}=…' for option in item.needs)}  as you give it"
    return f"{name}  always there"


def _found_line(name: str, found: "DeviceInfo") -> "Text":
    """Return a device that was found, as it can be opened; the names come from the hardware."""
    from rich.text import Text

    from rxstream.registry.spec import to_spec

    spec = printable(to_spec(name, found.options), _MAX_SPEC)
    note = f" ({printable(found.note, _MAX_NOTE)})" if found.note else ""
    about = f"  {printable(found.name, MAX_NAME)}"
    return Text.assemble("    ", (spec, "green"), about, (note, "dim"))


def _add_watch(app: "typer.Typer") -> None:
    import typer

    @app.command()
    def watch(
        specs: Annotated[
            list[str],
            typer.Argument(
                metavar="DEVICE",
                help="Names and options, e.g. audio simulated:rate=48000 camera:source=0",
            ),
        ],
        seconds: Annotated[
            float | None, typer.Option(help="How long in seconds; else until Ctrl-C.", min=0.0)
        ] = None,
    ) -> None:
        """Show how streams flow: rate, jitter, what is lost, and how far readers are behind.

        Exit code 0 at the end of the time, of all streams, or by Ctrl-C; 1 if a device failed or is
        lost at the end; 2 for wrong arguments and a device that cannot be opened.
        """
        console, errors = _consoles()
        with _plainly(errors):
            from rxstream.cli.watch import watch as run

            made = _make_devices(specs)
            _close_on_signals()
            code = run(console, made, seconds, errors)
        raise typer.Exit(code)


def _make_devices(specs: "Sequence[str]") -> "list[Device]":
    """Return devices, not yet open, so that no sample comes before it is watched."""
    from rxstream.acquisition.device import Device
    from rxstream.registry.spec import make_source

    made: list[Device] = []
    # two devices of one kind have one name, and the table must show which is which
    names: Counter[str] = Counter()
    for spec in specs:
        source = make_source(spec)
        name = source.info.name
        names[name] += 1
        if names[name] > 1:
            name = f"{name} {names[name]}"
        made.append(Device(source, name=name, reconnect=0.25))
    return made


if __name__ == "__main__":
    main()
