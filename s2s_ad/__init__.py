"""s2s_ad: source-to-source automatic differentiation for numerical Python."""

from s2s_ad.api import differentiate, grad, jvp, source, stop_gradient, value_and_grad, vjp

__all__ = ["differentiate", "grad", "jvp", "source", "stop_gradient", "value_and_grad", "vjp"]
__version__ = "0.1.0"
