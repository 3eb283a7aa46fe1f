"""The command line: `s2s-ad grad | jvp | vjp | show | demo`.

    s2s-ad grad model.py:loss --sig "f8[:], f8, i8" --wrt x -o loss_grad.py

Bad input ends with one message on standard error and exit status 2.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.util
import inspect
import os
import re
import shlex
import sys
import tempfile
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from s2s_ad import __version__, api, pipeline
from s2s_ad.api_errors import CommandError
from s2s_ad.compiled import Derived
from s2s_ad.errors import S2SError
from s2s_ad.ir.text import show
from s2s_ad.ir.types import DTYPES, UNKNOWN, Type
from s2s_ad.specialise import Argument, Binder
from s2s_ad.standalone import standalone
from s2s_ad.trees import Leaf, Spec, known

_MAKERS = {
    "grad": api.grad,
    "value_and_grad": api.value_and_grad,
    "jvp": api.jvp,
    "vjp": api.vjp,
    "primal": api.Differentiable,
}
_SHORT = {"f8": "f64", "f4": "f32", "i8": "i64", "i4": "i32", "b1": "bool"}
_TYPES = _SHORT | {numpy_name.rstrip("_"): name for name, (numpy_name, _) in DTYPES.items()}
_TYPE = re.compile(r"(?P<dtype>[a-z]\w*)\s*(\[(?P<extents>[^\]]*)\])?$")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status."""
    options = _parser().parse_args(argv)
    try:
        options.run(options)
    except S2SError as error:
        print(f"s2s-ad: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="s2s-ad", description="Derivatives of numerical Python, as Python source."
    )
    parser.add_argument("--version", action="version", version=f"s2s_ad {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for mode, what in {
        "grad": "write the gradient of a function with one number as its value",
        "value_and_grad": "write the gradient together with the value",
        "jvp": "write the forward-mode derivative: (value, tangent)",
        "vjp": "write the reverse-mode derivative: (value, pullback)",
    }.items():
        command = commands.add_parser(mode, help=what, description=what)
        _add_function(command)
        command.add_argument("--level", choices=pipeline.LEVELS, default="kernel")
        command.add_argument(
            "--math", choices=api.MATH, default="vector", help="how loops compute exp, sin, …"
        )
        command.add_argument(
            "--fastmath", action="store_true", help="let the compiler round differently"
        )
        command.add_argument(
            "--parallel", action="store_true", help="let long loops use all threads"
        )
        command.add_argument(
            "-o", metavar="OUT.py", help="where to write; standard output if absent"
        )
        command.set_defaults(run=_generate, mode=mode)
    command = commands.add_parser("show", help="print the program after a pass")
    _add_function(command)
    command.add_argument("--after", metavar="PASS", default="frontend")
    command.add_argument("--level", choices=pipeline.LEVELS, default="kernel")
    command.add_argument("--mode", choices=tuple(_MAKERS), help="by default what PASS is part of")
    command.set_defaults(run=_show)
    command = commands.add_parser("demo", help="fit a predator-prey model to a century-old record")
    command.add_argument("--out", metavar="DIR", default=".", help="where to write source and plot")
    command.set_defaults(run=_demo)
    return parser


def _add_function(command: argparse.ArgumentParser) -> None:
    command.add_argument("function", metavar="FILE.py:FUNC")
    command.add_argument(
        "--sig", required=True, help='argument types, as in "f8[:], f8, i8"; a literal is static'
    )
    command.add_argument("--wrt", help="names or indices, separated by commas")
    command.add_argument("--outputs", help="names of arguments that are written to, or return")
    command.add_argument("--invert", action="store_true", help="invert updates, with rounding")
    command.add_argument(
        "--no-boundscheck", action="store_true", help="leave out the checks of subscripts"
    )


def _generate(options: argparse.Namespace) -> None:
    fn, name = _load(options.function)
    derived = _derived(options, fn, options.mode)
    header, vector = _header(options, fn), options.math == "vector"
    name = f"{name}_{options.mode}"
    text = standalone(derived, name, options.level, header, vector, options.fastmath)
    compile(text, options.o or "<standard output>", "exec")
    if options.o is None:
        sys.stdout.write(text)
    else:
        _write(Path(options.o), text)


def _show(options: argparse.Namespace) -> None:
    fn, _ = _load(options.function)
    by_pass = {"frontend": "primal", "simplify": "primal", "jvp": "jvp"}
    derived = _derived(options, fn, options.mode or by_pass.get(options.after, "grad"))
    print("\n".join(map(show, derived.funcs(options.level, options.after))), end="")


def _demo(options: argparse.Namespace) -> None:
    from s2s_ad.demo import run

    run(Path(options.out))


# --- the function ----------------------------------------------------------------------------


def _load(target: str) -> tuple[Callable[..., Any], str]:
    """The function that FILE.py:FUNC names, and FUNC. The file runs as a module."""
    file, _, name = target.rpartition(":")
    if not file or not name:
        raise CommandError(f"{target!r} is not of the form FILE.py:FUNC")
    path = Path(file)
    if not path.is_file():
        raise CommandError(f"there is no file {file!r}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise CommandError(f"{file!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules.setdefault(path.stem, module)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise CommandError(
            f"{file!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    fn = getattr(module, name, None)
    if not callable(fn):
        raise CommandError(f"{file!r} has no function {name!r}")
    return fn, name


def _derived(options: argparse.Namespace, fn: Callable[..., Any], mode: str) -> Derived:
    wrt = _selection(options.wrt)
    if mode == "primal":
        made = api.Differentiable(fn, boundscheck=not options.no_boundscheck)
    else:
        chosen = {} if wrt is None else {"wrt": wrt}
        chosen |= {"invert": options.invert, "boundscheck": not options.no_boundscheck}
        chosen |= {"parallel": getattr(options, "parallel", False)}  # `show` has no such option
        made = _MAKERS[mode](fn, outputs=_selection(options.outputs), **chosen)
    return made.derived(_arguments(made.binder, options.sig))


def _selection(text: str | None) -> Any:
    """`x` as "x", `0` as 0, `x,1` as ("x", 1)."""
    if text is None:
        return None
    items = [item.strip() for item in text.split(",")]
    chosen = tuple(int(i) if i.lstrip("-").isdigit() else i for i in items)
    return chosen[0] if len(chosen) == 1 else chosen


# --- signatures ------------------------------------------------------------------------------


def _arguments(binder: Binder, signature: str) -> tuple[Argument, ...]:
    """The arguments that a signature describes."""
    specs = [_spec(text, signature) for text in split_signature(signature)]
    try:
        bound = binder.bind(tuple(specs), {})
    except TypeError as error:
        raise CommandError(f"--sig {signature!r} does not fit {binder.name}: {error}") from None
    return tuple(Argument(*each) for each in bound)


def split_signature(signature: str) -> list[str]:
    """The items of a signature: split at commas outside brackets and quotes.

    >>> split_signature("f8[:, :], i8, 'mean'")
    ['f8[:, :]', 'i8', "'mean'"]
    """
    item = re.compile(r"\s*((?:'[^']*'|\"[^\"]*\"|\[[^\]]*\]|\([^)]*\)|[^,'\"\[\](){}])+)(?:,|$)")
    text, position, items = signature.strip().removesuffix(","), 0, []
    while position < len(text):
        match = item.match(text, position)
        if match is None or not match.group(1).strip():
            raise _bad_signature(text[position:], signature)
        items.append(match.group(1).strip())
        position = match.end()
    return items


def _spec(text: str, signature: str) -> Spec:
    """`f8`, `f8[:]`, `f8[:, 1]` (an extent that is 1), or a literal, which is static."""
    match = _TYPE.match(text)
    if match is None or match["dtype"] not in _TYPES:
        try:
            return known(ast.literal_eval(text), text)
        except (ValueError, SyntaxError, TypeError):
            raise _bad_signature(text, signature) from None
    extents = [] if match["extents"] is None else [e.strip() for e in match["extents"].split(",")]
    if not set(extents) <= {":", "::1", "1"}:
        raise _bad_signature(text, signature)
    shape = tuple(1 if e == "1" else UNKNOWN for e in extents)
    return Leaf(Type(_TYPES[match["dtype"]], shape))


def _bad_signature(text: str, signature: str) -> CommandError:
    return CommandError(
        f"--sig {signature!r}: {text.strip()!r} is not a type",
        advice="types are f8 f4 i8 i4 b1, with [:] or [:,:] for arrays; literals are static values",
    )


# --- writing ---------------------------------------------------------------------------------


def _header(options: argparse.Namespace, fn: Callable[..., Any]) -> str:
    """What a reader needs to know where the file comes from and how to make it again."""
    try:
        text = textwrap.dedent(inspect.getsource(inspect.unwrap(getattr(fn, "py_func", fn))))
        digest = hashlib.sha256(text.encode()).hexdigest()
    except (OSError, TypeError):
        digest = "unknown"
    parts = ["s2s-ad", options.mode, options.function, "--sig", options.sig]
    chosen = {"--wrt": options.wrt, "--outputs": options.outputs, "--level": options.level}
    chosen["--math"] = options.math
    for option, value in (*chosen.items(), ("-o", options.o)):
        parts += [option, value] if value is not None else []
    parts += ["--fastmath"] if options.fastmath else []
    parts += ["--parallel"] if options.parallel else []
    parts += ["--invert"] if options.invert else []
    parts += ["--no-boundscheck"] if options.no_boundscheck else []
    shown = " ".join(f"{k.lstrip('-')}={v}" for k, v in chosen.items() if v is not None)
    return "\n".join(
        (
            f"Generated by s2s_ad {__version__}: {options.mode} of {options.function}",
            f"signature:   {options.sig}",
            f"options:     {shown}",
            f"source hash: sha256:{digest}",
            f"regenerate:  {shlex.join(parts)}",
        )
    )


def _write(path: Path, text: str) -> None:
    """Put `text` at `path`, whole or not at all."""
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)
        raise CommandError(f"cannot write {str(path)!r}: {error.strerror}") from error


if __name__ == "__main__":
    sys.exit(main())
