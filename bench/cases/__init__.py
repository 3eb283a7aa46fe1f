"""The programs that are measured, as their users write them: `cases/<suite>/<name>.py`."""
