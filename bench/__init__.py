"""Measurements, side by side with peers: `python -m bench`. See bench/README.md."""
