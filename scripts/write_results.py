"""Put evaluations into docs/RESULTS.md: `python scripts/write_results.py NAME=FOLDER …`.

The page holds a pair of marks for each, `<!-- begin:NAME -->` and `<!-- end:NAME -->`. What stands
between them becomes the folder's `evaluation.md`, followed by the pictures asked for, which are
copied to docs/figures/NAME/. Everything else on the page is left as it is. It measures nothing.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "RESULTS.md"
PICTURES = (
    "roc", "sensitivity_by_size", "precision_by_data", "reliability", "projection_by_label",
    "text_and_image", "risk_coverage", "poisoned_copies", "poisoned_curve",
)  # fmt: skip


def put_in(page: str, name: str, content: str) -> str:
    """Return the page with the content between the marks of a name.

    Raises:
        ValueError: the page does not hold exactly one pair of them.
    """
    begin, end = f"<!-- begin:{name} -->", f"<!-- end:{name} -->"
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"the page needs one '{begin}' before one '{end}'")
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n\n{content.strip()}\n\n{end}", page)


def section(folder: Path, figures: Path, name: str, pictures: Sequence[str]) -> str:
    """Return an evaluation's section, and copy the pictures that it shows."""
    text = (folder / "evaluation.md").read_text(encoding="utf-8")
    for picture in pictures:
        source = folder / "figures" / f"{picture}.png"
        if source.is_file():
            (figures / name).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, figures / name / source.name)
            text += f"\n![{picture.replace('_', ' ')}](figures/{name}/{source.name})\n"
    return text


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Put evaluations into the results page.")
    parser.add_argument("evaluations", nargs="+", help="NAME=FOLDER, as the page's marks name it")
    parser.add_argument("--page", type=Path, default=PAGE, help="the page; docs/RESULTS.md")
    parser.add_argument("--pictures", nargs="*", default=PICTURES, help="names of pictures to show")
    args = parser.parse_args(arguments)
    page = args.page.read_text(encoding="utf-8")
    for given in args.evaluations:
        name, found, folder = given.partition("=")
        if not found or not (Path(folder) / "evaluation.md").is_file():
            parser.error(f"'{given}' is no NAME=FOLDER of a finished evaluation")
        figures = args.page.parent / "figures"
        try:
            page = put_in(page, name, section(Path(folder), figures, name, args.pictures))
        except ValueError as error:
            parser.error(f"{args.page}: {error}")
    args.page.write_text(page, encoding="utf-8")
    sys.stdout.write(f"{args.page}\n")


if __name__ == "__main__":
    main()
