"""``rxstream`` on the command line: demo, devices, watch (``pip install 'rxstream[cli]'``)."""

import contextlib
import inspect
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rxstream.errors import MissingExtraError, RxStreamError
from rxstream.optional import import_optional

if TYPE_CHECKING:
    import typer
    from rich.console import Console

    from rxstream.acquisition.device import Device

__all__ = ["main", "make_app"]

# Exit codes; that of Ctrl-C is the shell's for SIGINT, 128 + 2.
_FAILED, _WRONG, _STOPPED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, as the ``rxstream`` script does.

    Parameters
    ----------
    arguments
        Instead of those of the process.

    Raises
    ------
    SystemExit
        Always: 0 if all was well, 1 if something failed or was lost, 2 for wrong arguments.
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
    make_app()(None if arguments is None else list(arguments), prog_name="rxstream")


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
            from rxstream.registry.entry_points import source_class

            if name is None:
                _list(console)
                return
            text = inspect.getdoc(source_class(name)) or f"{name} has no documentation"
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def _list(console: "Console") -> None:
    from rich.markup import escape

    from rxstream.registry.catalog import list_devices
    from rxstream.registry.spec import to_spec

    with console.status("looking for devices"):
        listings = list_devices()
    for item in listings:
        console.print(f"[bold]{escape(item.name)}[/]  {escape(item.about)}", highlight=False)
        if item.problem:
            console.print(f"    [yellow]{escape(item.problem)}[/]", soft_wrap=True)
        elif not item.found:
            text = "none found on this machine" if item.sought else f"{item.name}  always there"
            console.print(f"    [dim]{escape(text)}[/]", highlight=False)
        for found in item.found:
            spec, note = to_spec(item.name, found.options), f"({found.note})" if found.note else ""
            console.print(
                f"    [green]{escape(spec)}[/]  {escape(found.name)} [dim]{escape(note)}[/]",
                highlight=False, soft_wrap=True,
            )  # fmt: skip
    console.print(
        "\nTo see one flow, as it is written above: rxstream watch simulated:rate=48000"
        "\nFor the options of a device:             rxstream devices simulated",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


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
        """Show how streams flow: rate, jitter, what is lost, and how far readers are behind."""
        console, errors = _consoles()
        with _plainly(errors):
            from rxstream.cli.watch import watch as run

            code = run(console, _make_devices(specs), seconds)
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
