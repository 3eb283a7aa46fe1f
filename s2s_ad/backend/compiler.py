"""numba's compiler, without what generated code has no need of.

A function of numbers, arrays and loops has no closures to inline, no branches that the types decide
and no array expressions to fuse. Looking for them takes numba a tenth of its time: each such pass
goes through the whole function, and finds out anew where its variables live.

Parts of a long function (outline.py) become machine code once, with the function that calls them:

    f_part_1 ─ LLVM ─ machine code                f_part_1 ─┐
    f_part_2 ─ LLVM ─ machine code       ──▶      f_part_2 ─┼─ f ─ LLVM ─ machine code
    f, with both ─ LLVM ─ machine code            f ────────┘

numba makes machine code of each function that compiled code calls, and then links the function into
the caller, which is optimised and becomes machine code with all that it calls. Nothing else calls a
part, so what LLVM makes of it alone is never run; it is half of the time that LLVM takes.
"""

from __future__ import annotations

from typing import Any

from numba import _dynfunc
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.typed_passes import NativeLowering

#: Passes of numba's that are left out.
NEEDLESS = frozenset(
    "InlineClosureLikes RewriteSemanticConstants DeadBranchPrune MakeFunctionToJitFunction "
    "InlineInlinables FindLiterallyCalls LiteralUnroll LiteralPropagationSubPipelinePass "
    "InlineOverloads NopythonRewrites AnnotateTypes".split()
)


class LoopCompiler(CompilerBase):
    """The compiler of generated functions: `numba.njit(pipeline_class=LoopCompiler)`."""

    def define_pipelines(self) -> list[PassManager]:
        """The passes of numba's own compiler, but for those that are needless."""
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [(p, told) for p, told in passes.passes if p.__name__ not in NEEDLESS]
        passes.finalize()
        return [passes]


class PartCompiler(LoopCompiler):
    """That of functions that only other generated code calls, and that are not kept on disk:
    `numba.njit(pipeline_class=PartCompiler, no_cpython_wrapper=True, …)`."""

    def define_pipelines(self) -> list[PassManager]:
        """Those of a LoopCompiler, which end before there is machine code."""
        (passes,) = super().define_pipelines()
        own = {NativeLowering: PartLowering}
        passes.passes = [(own.get(p, p), told) for p, told in passes.passes]
        passes.finalize()
        return [passes]


@register_pass(mutates_CFG=True, analysis_only=False)
class PartLowering(NativeLowering):
    """Gives LLVM's form of a function, to be linked into others."""

    _name = "part_lowering"

    def run_pass(self, state: Any) -> bool:
        """With a function for numba's dispatcher that cannot be called: as it would be anyway,
        since there is no wrapper. With a numba that is made otherwise, as numba does it."""
        state.flags.no_compile = True
        super().run_pass(state)
        context, library, lowered = state.targetctx, state.library, state["cr"]
        described = lowered.fndesc
        if all(hasattr(library, name) for name in _OWN):
            _share(library)
            module, name = described.lookup_module(), described.qualname.split(".")[-1]
            entry = _dynfunc.make_function(module, name, name, 0, lowered.env, (library,))
        else:
            entry = context.get_executable(library, described, lowered.env)
        context.insert_user_function(entry, described, [library])
        state.reload_init.extend(library._reload_init)
        state["cr"] = lowered._replace(cfunc=entry)
        return True


#: What numba's libraries have of their own.
_OWN = ("_final_module", "_linking_libraries", "_shared_module", "_finalized")


def _share(library: Any) -> None:
    """Make `library` one that others are given as it is, with all that it calls."""
    module = library._final_module
    for other in dict.fromkeys(library._linking_libraries):
        library._reload_init.update(other._reload_init)
        module.link_in(other._get_module_for_linking(), preserve=True)
    for function in module.functions:
        if not function.is_declaration and function.linkage.name == "external":
            function.linkage = "linkonce_odr"
    library._shared_module, library._finalized = module, True
