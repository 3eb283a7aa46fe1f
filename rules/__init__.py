"""The derivative rules that come with s2s_ad. Importing this declares them."""

from s2s_ad.rules import array, linalg, nondiff, scalar, special  # noqa: F401
