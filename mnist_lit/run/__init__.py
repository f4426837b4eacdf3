"""What a run leaves behind: loggers, callbacks, figures, reports."""
