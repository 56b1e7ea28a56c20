"""Government cloud control plane: request, approve, admit, provision, meter, report."""

__version__ = "0.1.0"
