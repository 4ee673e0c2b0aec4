#!/usr/bin/env python3
"""Pictures of the built site's pages, for people to look at: build/docs/screenshots/PAGE-WIDTH.png.

    tests/site/screenshots.py [PAGE...]

PAGE is a path in build/docs/html without its ending, such as docs/index; all pages by default. Needs Debian's
chromium, which `scripts/docs --screenshots` installs before it starts this.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SITE, PICTURES = ROOT / "build/docs/html", ROOT / "build/docs/screenshots"
SIZES = ((1280, 1600), (390, 1600))  # a desk, a phone


def picture(page: Path, width: int, height: int, profile: str) -> Path:
    """A window cannot be narrower than 500 pixels: a narrow page is shown in a frame of its width."""
    target = PICTURES / f"{page.stem}-{width}.png"
    frame = Path(profile) / "frame.html"
    style = f"border:0;width:{width}px;height:{height}px"
    frame.write_text(f'<body style="margin:0"><iframe src="{page.as_uri()}" style="{style}">')
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    command += [f"--user-data-dir={profile}", f"--window-size={max(width, 500)},{height}"]
    command += ["--virtual-time-budget=8000", f"--screenshot={target}", frame.as_uri()]
    subprocess.run(command, check=True, capture_output=True)
    return target


def main() -> None:
    pages = [SITE / f"{name}.html" for name in sys.argv[1:]]
    pages = pages or [SITE / "README.html", *sorted((SITE / "docs").glob("*.html"))]
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as profile:
        for page in pages:
            for width, height in SIZES:
                print(picture(page, width, height, profile).relative_to(ROOT))


if __name__ == "__main__":
    main()
