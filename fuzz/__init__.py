"""Bad input on purpose: thousands of damaged studies, each to end in an error or a right answer.

`python -m fuzz --count 2000 --seed 0` runs them, `--only 1234` repeats one. The seed studies are
made in code (`corpus`), damaged (`mutators`), read in a bounded worker process (`worker`) and
judged (`verdict`). Nothing here is shipped with the package.
"""
