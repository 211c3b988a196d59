"""``oipserver infer``: the options of a batch, and what it says in the end."""

from __future__ import annotations

import argparse
import logging
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import InvalidArgumentError
from ..settings.environment import PREFIXES
from .batch import Client, Job, Plan, Summary
from .batch.call import Target
from .batch.progress import Progress
from .batch.records import count_lines
from .parser import Parser, UsageError, see_help

_PROGRAM = "oipserver infer"
_EPILOG = (
    "The input has one V2 request (JSON) a line; the output gets one line for each as answers come, with its number in "
    "parameters.batch_index. Run the same command again to go on where it stopped, and to retry what failed. Every "
    "option is also a variable: OIPSERVER_INFER_BATCH_SIZE (or MLSERVER_INFER_...) for --batch-size."
)
_TRUE = frozenset({"1", "true", "yes", "on"})


def run(arguments: Sequence[str]) -> int:
    """Run the command; returns the exit code, 1 where a request has no answer. Raises OIPError and UsageError."""
    options = _parser().parse(arguments)
    if options.verbose or options.extra_verbose:
        level = logging.DEBUG if options.extra_verbose else logging.INFO
        logging.basicConfig(format="oipserver: %(message)s", level=level)
    target = _target(options)
    plan = _plan(options)
    total = count_lines(plan.input)

    def connect() -> Client:
        if options.transport == "grpc":
            from .batch.over_grpc import GrpcClient  # grpcio takes a while to import, of no use over REST

            return GrpcClient(target)
        from .batch.rest import RestClient

        return RestClient(target)

    summary = Job(plan, connect, lambda done: Progress(sys.stderr, total, done)).run()
    print(_words(summary, plan.output), file=sys.stderr)
    return 1 if summary.failed else 0


def _words(summary: Summary, output: Path) -> str:
    skipped = f", {summary.skipped} were there already" if summary.skipped else ""
    failed = f", {summary.failed} failed: see 'error' in the output, run again to retry" if summary.failed else ""
    return f"{summary.answered} answered{skipped}{failed}: {output}"


def _parser() -> Parser:
    parser = Parser(_PROGRAM, "Run a file of requests through a model.", _EPILOG)
    parser.usage = f"{_PROGRAM} -m MODEL -i REQUESTS -o ANSWERS [options]"
    for flags, default, kind, text in (
        (("-u", "--url"), "localhost:8080", str, "the server, HOST:PORT; for gRPC its gRPC port"),
        (("-m", "--model-name"), None, str, "the model"),
        (("--model-version",), "", str, "its version; none: the default one"),
        (("-i", "--input-data-path"), None, Path, "file of requests, one a line"),
        (("-o", "--output-data-path"), None, Path, "file of answers, one a line"),
        (("-w", "--workers"), 10, int, "requests under way at once"),
        (("-r", "--retries"), 3, int, "further attempts where the server is busy or away"),
        (("-s", "--batch-size"), 1, int, "lines sent as one request, where they fit together"),
        (("--timeout",), 60.0, float, "seconds a request may take"),
        (("--batch-interval",), 0.0, float, "seconds each worker waits between its requests"),
        (("--batch-jitter",), 0.0, float, "up to so many seconds more, at random"),
    ):
        name = flags[-1].removeprefix("--").replace("-", "_")
        given = _variable("connection_timeout" if name == "timeout" else name)
        shown = "" if default in (None, "") else f" [{default}]"
        parser.add_argument(
            *flags, type=kind, default=default if given is None else given, required=default is None and given is None,
            metavar=kind.__name__.upper(), help=text + shown,
        )  # fmt: skip
    parser.add_argument(
        "-t", "--transport", choices=("rest", "grpc"), default=_variable("transport") or "rest", help="[rest]"
    )
    parser.add_argument(
        "-H", "--request-headers", action="append", metavar="'NAME: VALUE'", help="a header of every request"
    )
    for flags, text in (
        (("-b", "--binary-data"), "send tensors as binary data behind the JSON"),
        (("--use-ssl",), "speak TLS"),
        (("--insecure",), "with --use-ssl: believe any certificate"),
        (("-v", "--verbose"), "tell of retries"),
        (("-vv", "--extra-verbose"), "tell more"),
    ):
        given = _variable(flags[-1].removeprefix("--").replace("-", "_"))
        parser.add_argument(*flags, action="store_true", default=(given or "").lower() in _TRUE, help=text)
    return parser


def _variable(name: str) -> str | None:
    variables = (os.environ.get(f"{prefix}INFER_{name.upper()}") for prefix in PREFIXES)
    return next((value for value in variables if value), None)


def _plan(options: argparse.Namespace) -> Plan:
    for name, least in (
        ("workers", 1), ("retries", 0), ("batch_size", 1), ("batch_interval", 0), ("batch_jitter", 0)
    ):  # fmt: skip
        if not least <= (value := getattr(options, name)) < math.inf:
            raise _wrong(f"--{name.replace('_', '-')} must be {least} or more, not {value}")
    plan = Plan(
        options.input_data_path,
        options.output_data_path,
        options.model_name,
        options.model_version,
        options.workers,
        options.retries,
        options.batch_size,
        options.batch_interval,
        options.batch_jitter,
    )
    if plan.output.exists() and plan.output.samefile(plan.input):
        raise InvalidArgumentError(f"input and output are the same file: {plan.output}")
    if not plan.output.absolute().parent.is_dir():
        raise InvalidArgumentError(f"cannot write {plan.output}: its folder does not exist")
    return plan


def _target(options: argparse.Namespace) -> Target:
    if not 0 < options.timeout < math.inf:
        raise _wrong(f"--timeout must be above 0, not {options.timeout:g}")
    if options.insecure and options.transport == "grpc":
        raise _wrong("--insecure is for REST: gRPC always checks the certificate")
    url = options.url if "://" in options.url else f"//{options.url}"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or port is None or parts.path.strip("/"):
        raise _wrong(f"--url must be HOST:PORT, not '{options.url}'")
    secure = options.use_ssl or parts.scheme in ("https", "grpcs")
    headers = _headers(options.request_headers or (_variable("request_headers") or "").split())
    return Target(host, port, headers, options.timeout, secure, not options.insecure, options.binary_data)


def _headers(given: Sequence[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise _wrong(f"a header must be 'NAME: VALUE', not '{text}'")
        headers[name.strip()] = value.strip()
    return headers


def _wrong(message: str) -> UsageError:
    return UsageError(see_help(message, _PROGRAM))
