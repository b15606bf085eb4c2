"""Speed, as ratios against other libraries and tools measured in the same run. Run: ``make bench``.

A benchmark is a module with ``rows(bench)``, which asks one question and gives its lines of the table;
:mod:`benchmarks.__main__` lists them.
"""
