"""The figures of `sbp figures`: one file a figure, each ``draw(tables)`` and ``caption(tables)``.

tables: a folder of result tables, one folder an experiment (experiments/results). A figure whose tables are not there
is None.
"""
