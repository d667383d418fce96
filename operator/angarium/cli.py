"""The command line: `angarium run` in a cluster, `angarium dev` on a laptop, and what is done to files."""

import dataclasses
import logging
import os
import resource
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import click

from angarium.domain.errors import SettingsError, StoreError, StoreInUse
from angarium.domain.views import Holdings
from angarium.settings import Settings, default_text, fields, flag, load, value, variable

EXIT_FAILED = 1
EXIT_UNUSABLE = 2
LAST_PORT = 65535

_log = logging.getLogger(__name__)

# In dev mode the program is alone on a laptop: it listens there only, may call it, and writes for a person.
DEV_DEFAULTS = Settings(
    database=Path(".angarium/angarium.db"),
    host="localhost",
    health_host="127.0.0.1",
    log_format="text",
    log_level="warning",
    drain=Settings().drain / 3,
)
DEV_SHOWN = {"health_port": "one above --port"}
DEV_PORT = "QSTASH_DEV_PORT"
RUN_ONLY = {"kubeconfig", "namespaces", "resync", "public_url", "pod"}
NO_EFFECT = "Accepted as start scripts of other development servers give it; without effect: "


def _options(
    defaults: Settings,
    leave_out: Collection[str] = (),
    texts: Mapping[str, str] | None = None,
    spellings: Mapping[str, tuple[str, ...]] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A flag for each setting; `texts` say what a default is that depends on something, `spellings` are more flags.

    Values are parsed in settings.load, where variables are parsed too.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for field in reversed(fields()):
            if field.name in leave_out:
                continue
            shown = (texts or {}).get(field.name) or default_text(getattr(defaults, field.name))
            text = f"{field.metadata['help']} [{f'default: {shown}; ' if shown else ''}{variable(field.name)}]"
            flags = (flag(field.name), *(spellings or {}).get(field.name, ()))
            command = click.option(*flags, field.name, metavar=field.metadata["metavar"], help=text)(command)
        return command

    return decorate


def _without_effect(why: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def tell(_: click.Context, option: click.Parameter, given: str | None) -> None:
        if given is not None:
            _tell(f"{option.opts[0]} has no effect: {why}")

    return tell


class OneLine(click.Group):
    """Wrong usage is told in one line too, like everything else that keeps the program from starting."""

    def main(self, *args: Any, **extra: Any) -> Any:
        try:
            with _standard_output():
                return super().main(*args, **{**extra, "standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx else "angarium"
            said = error.format_message().rstrip(".")
            end = "" if said.endswith("?") else ";"
            _tell(f"{said}{end} `{where} --help` says what there is")
        except SettingsError as error:
            _tell(str(error))
        sys.exit(EXIT_UNUSABLE)


@click.group(cls=OneLine, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Angarium: HTTP messages and schedules, delivered at least once, compatible with the QStash SDKs.

    \b
    angarium dev examples/quickstart   try it on this machine, without a cluster
    angarium run                       run it in a Kubernetes cluster
    angarium check -R manifests/       say what a cluster would refuse in them
    angarium backup FILE               copy its database while it runs
    angarium restore FILE              put such a copy in its place
    angarium purge --namespace NAME    remove what a namespace left, while it does not run

    Publish with the QStash SDKs, qstash for Python and @upstash/qstash for JavaScript: set QSTASH_URL and QSTASH_TOKEN
    to the values that `angarium dev` prints, or that the Secret of a Token resource holds.
    """


@main.command()
@_options(Settings())
def run(**flags: str | None) -> None:
    """Run the operator and the delivery plane in a Kubernetes cluster.

    Watches Endpoints, Topics, Schedules, Queues and Tokens, delivers messages from its database, and answers the HTTP
    API. Ends with exit code 2 and one line when it cannot start as it is configured.
    """
    from angarium.app import run_in_cluster
    from angarium.engine import loops

    _end(lambda: loops.run(run_in_cluster(load(flags, os.environ, Settings()))))


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--ephemeral", is_flag=True, help="Keep everything in memory: nothing is found again after a restart.")
@click.option(
    "--log-port",
    "-log-port",
    metavar="PORT",
    expose_value=False,
    callback=_without_effect("the log is at /v2/logs of the API"),
    help=NO_EFFECT + "the log is part of the API.",
)
@click.option(
    "--quota",
    "-quota",
    type=click.Choice(["payg", "pro"]),
    expose_value=False,
    callback=_without_effect("there are no plans; flags set the limits"),
    help=NO_EFFECT + "there are no plans.",
)
@_options(DEV_DEFAULTS, RUN_ONLY, DEV_SHOWN, {"port": ("-port",)})
def dev(paths: tuple[Path, ...], ephemeral: bool, **flags: str | None) -> None:
    """Run on this machine without a cluster, with the manifests in PATHS (files or folders).

    PATHS are read again whenever they change; what is removed from them is deleted. Secret and ConfigMap documents in
    them resolve references. Data is kept in ./.angarium/ and found again at the next start. Destinations on this
    machine are allowed. Ctrl-C lets running deliveries finish, then ends.

    The JavaScript SDK with QSTASH_DEV=true finds what listens on 8080 or on QSTASH_DEV_PORT, which this command heeds
    too unless --port or ANGARIUM_PORT is given.
    """
    from angarium.app import run_in_dev
    from angarium.engine import loops

    def start() -> int:
        settings = load(flags, os.environ, _dev_defaults(os.environ))
        if flags.get("health_port") is None and variable("health_port") not in os.environ:
            settings = dataclasses.replace(settings, health_port=_port_after(settings.port))
        return loops.run(run_in_dev(settings, paths, ephemeral=ephemeral))

    _end(start)


@main.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, allow_dash=True))
@click.option("-R", "--recursive", is_flag=True, help="Look into sub-folders too, hidden ones and links left out.")
@click.option(
    "--folders-apart",
    is_flag=True,
    help="Allow the same object in two folders, as overlays for two clusters have it.",
)
@click.option("--api-server-only", is_flag=True, help="Leave out what the API server takes and Angarium would not.")
def check(paths: tuple[Path, ...], **rules: bool) -> None:
    """Say what a cluster would refuse in the manifests in PATHS (files, folders, or - for standard input).

    Judges Endpoints, Topics, Schedules, Queues and Tokens as the API server does, with strict field validation, and as
    Angarium itself does after it; other kinds are passed over, and so are references to what is not there. Needs no
    cluster. Prints a line for each problem, FILE:LINE: FIELD: MESSAGE. Exit code: 0 for no problem, 1 for some, 2 if
    it cannot be used like this. Needs the extra: pip install 'angarium[dev]'.
    """

    def judge() -> int:
        from angarium.files import check as files

        report = files.check(paths, sys.stdin.buffer.read, files.Rules(**rules))
        _print(str(finding) for finding in report.findings)
        _tell(str(report))
        return EXIT_FAILED if report.findings else 0

    _end(judge)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@_options(Settings(), {field.name for field in fields()} - {"database"})
def backup(file: Path, **flags: str | None) -> None:
    """Copy the database to FILE, also while Angarium runs.

    FILE must not exist yet. It is complete once it is there, and holds signing keys: nobody but its owner can read it.
    `angarium restore` puts it in the place of the database.
    """
    from angarium.app import back_up_database

    def copy() -> int:
        settings = load(flags, os.environ, Settings())
        size = back_up_database(settings, file)
        _print([f"{settings.database} is copied to {file} ({size} bytes)"])
        return 0

    _end(copy)


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@_options(Settings(), {field.name for field in fields()} - {"database"})
def restore(file: Path, **flags: str | None) -> None:
    """Put the backup FILE in the place of the database. Angarium must not run.

    FILE stays as it is. The database that was there before is kept beside the new one, as *.replaced, until it is
    removed by hand.
    """
    from angarium.app import restore_database

    def put_back() -> int:
        settings = load(flags, os.environ, Settings())
        before = restore_database(settings, file)
        kept = f"; what was there before is {before}" if before else ""
        _print([f"{settings.database} is {file} now{kept}"])
        return 0

    _end(put_back)


@main.command()
@click.option("--namespace", required=True, metavar="NAME", help="The namespace whose data is removed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what there is.")
@_options(Settings(), {field.name for field in fields()} - {"database"})
def purge(namespace: str, yes: bool, dry_run: bool, **flags: str | None) -> None:
    """Remove from the database all that a namespace has: tokens, Schedules, messages, dead letters, log.

    For a namespace that is gone and is not watched: with --namespaces, Angarium never removes anything because a
    namespace cannot be seen. What is declared in a namespace that is still watched comes back with the next start.
    Angarium must be ended first; in a cluster this takes a pod of its own with the volume (docs/operations.md,
    "A namespace that is gone"). There is no way back but a back-up.
    """
    from angarium.app import purge_tenant
    from angarium.engine import loops
    from angarium.service import tenants

    def agree(held: Holdings) -> bool:
        _print([f"namespace {namespace} has", *(f"  {line}" for line in tenants.told(held))])
        return not dry_run and (yes or click.confirm("Remove all of this for good?", err=True))

    def remove() -> int:
        if not (yes or dry_run or sys.stdin.isatty()):
            raise SettingsError("nobody can be asked here whether all of it is to be removed: give --yes, or --dry-run")
        settings = load(flags, os.environ, Settings())
        try:
            done = loops.run(purge_tenant(settings, namespace, agree))
        except StoreInUse as error:
            raise SettingsError(
                f"{settings.database} is in use: end Angarium first (kubectl scale statefulset angarium --replicas=0), "
                'then run this in a pod with its volume, see docs/operations.md, "A namespace that is gone"'
            ) from error
        if done.held is None:
            known = ", ".join(done.others) or "none at all"
            said = f"there is nothing of namespace {namespace} in {settings.database}; it has namespaces: {known}"
        else:
            said = "all of it is removed" if done.removed else "nothing is removed"
        _print([said])
        return 0

    _end(remove)


@main.command()
def version() -> None:
    """Print the version and end."""

    def tell() -> int:
        _print([f"angarium {package_version('angarium')}"])
        return 0

    _end(tell)


def _print(lines: Iterable[str]) -> None:
    with _standard_output():
        for line in lines:
            click.echo(line.encode(errors="backslashreplace"))  # a terminal's code may not have our signs


@contextmanager
def _standard_output() -> Iterator[None]:
    """Where nobody reads on, the program ends as others do; raises SettingsError where there is no room for more."""
    try:
        yield
    except BrokenPipeError:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGPIPE)
    except OSError as error:
        raise SettingsError(f"standard output cannot be written: {error.strerror}") from error


def _tell(text: str) -> None:
    """On standard error, if that can be written: there is nowhere else to say that it cannot."""
    with suppress(OSError):
        click.echo(f"angarium: {text}", err=True)


def _dev_defaults(environ: Mapping[str, str]) -> Settings:
    """With the port where the JavaScript SDK looks (contract 26.2). Raises SettingsError if it is none."""
    text = environ.get(DEV_PORT, "")
    return dataclasses.replace(DEV_DEFAULTS, port=value("port", DEV_PORT, text)) if text else DEV_DEFAULTS


def _port_after(port: int) -> int:
    """The one above, if there is one and it is known; 0, which takes a free one, if not."""
    return port + 1 if 0 < port < LAST_PORT else 0


def _end(start: Callable[[], int]) -> None:
    """Turn what keeps the program from starting, a full disk too, into one clear line and exit code 2."""
    _open_standard_files()
    _allow_open_files()
    try:
        code = start()
    except (SettingsError, StoreError) as error:
        _tell(str(error))
        sys.exit(EXIT_UNUSABLE)
    except (KeyboardInterrupt, click.Abort):
        code = 130
    except Exception:  # noqa: BLE001  whatever ends the program is told as all else is, not as a bare traceback
        _log.critical(
            "the program ends by an error; it may be started again", exc_info=True, extra={"action": "program.fail"}
        )
        code = EXIT_FAILED
    sys.exit(code)


def _open_standard_files() -> None:
    """Whoever starts us may have closed them; then sockets would take their places, and be written to and inherited."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _allow_open_files() -> None:
    """As many as the system lets us have: each attempt under way is one, and many systems give 1024 unless asked."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with suppress(ValueError, OSError):  # macOS calls it unlimited, and refuses that
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
