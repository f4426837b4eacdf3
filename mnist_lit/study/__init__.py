"""Questions answered with numbers: many trainings, compared with error bars."""
