"""Python source -> Func: an abstract interpreter over the gast tree."""

from s2s_ad.frontend.context import Capture
from s2s_ad.frontend.trace import OutTree, Static, Traced, trace

__all__ = ["Capture", "OutTree", "Static", "Traced", "trace"]
