"""From read files to the tables, pictures and pages of a prediction, each record once on its way.

::

    files ─ spool: read, predict, draw ─ results: number the studies, CSV, JSON, pages ─ place
            a line per file on disk       one pass over the spools, in order
"""
