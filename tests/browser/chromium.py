"""Headless Chromium by its driver, both Debian's."""

import base64
import shutil
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"


def _program(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is not there; scripts/browser installs Debian's"
    return found


class Browser:
    def __init__(self) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = _program("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})  # type: ignore[no-untyped-call]
        self.driver = webdriver.Chrome(options, Service(_program("chromedriver")))

    def open(self, page: Path, width: int = 1280, scheme: str = "light") -> None:
        wanted = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wanted.items()]
        self._tell("Emulation.setEmulatedMedia", features=features)
        is_phone = width < 500
        self._tell(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=is_phone,
        )
        self.driver.get(page.as_uri())

    def media(self, kind: str) -> None:
        """ "print" or "screen"."""
        self._tell("Emulation.setEmulatedMedia", media=kind)

    def script(self, text: str, *arguments: object) -> object:
        return self.driver.execute_script(text, *arguments)  # type: ignore[no-untyped-call]

    def complaints(self) -> list[str]:
        """What the page wrote to the console, errors of scripts and loading among it."""
        return [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]

    def screenshot(self, name: str) -> Path:
        """Of the whole page."""
        size = self._tell("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        shot = self._tell("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        path.write_bytes(base64.b64decode(shot["data"]))
        return path

    def _tell(self, command: str, **parameters: object) -> dict[str, Any]:
        return self.driver.execute_cdp_cmd(command, parameters)  # type: ignore[no-untyped-call]
