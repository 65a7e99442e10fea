"""A headless Chromium that is driven over its debugging pipe, with real events of mouse, touch and keyboard."""

import base64
import json
import os
import shutil
import subprocess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
KEYS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40, "Enter": 13, " ": 32}
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files")


class Browser:
    """One page of a browser; `with Browser(profile_folder) as page`."""

    def __init__(self, profile):
        commands_read, self.commands = os.pipe()
        self.answers, answers_write = os.pipe()

        def connect():  # Chromium reads from descriptor 3 and writes to 4
            read, write = os.dup(commands_read), os.dup(answers_write)
            os.dup2(read, 3)
            os.dup2(write, 4)

        self.process = subprocess.Popen(
            [CHROMIUM, *FLAGS, "--remote-debugging-pipe", f"--user-data-dir={profile}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=connect,
            close_fds=False,
        )
        os.close(commands_read)
        os.close(answers_write)
        self.buffer, self.count, self.session, self.errors = b"", 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        os.close(self.commands)
        os.close(self.answers)

    def call(self, method, **parameters):
        """Call a method of the protocol; keep what the page throws meanwhile."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(answer["params"]["exceptionDetails"])
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]

    def _read(self):
        while b"\0" not in self.buffer:
            part = os.read(self.answers, 1 << 16)
            assert part, "the browser has gone"
            self.buffer += part
        message, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(message)

    def open(self, url, width=1000, height=900, dark=False):
        """Open a page and wait until it stands."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=scheme)
        self.call("Page.navigate", url=url)
        wait = "new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', done))"
        self.run(f"{wait}.then(() => new Promise(done => setTimeout(done, 100)))")

    def run(self, expression):
        """Return the value of an expression of JavaScript; a promise is awaited."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def text(self, selector):
        """Return the text of an element."""
        return self.run(f"document.querySelector({json.dumps(selector)}).textContent")

    def middle(self, selector):
        """Return the middle of an element on the screen, after scrolling to it."""
        node = f"document.querySelector({json.dumps(selector)})"
        self.run(f"{node}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        return self.run(f"(r => [r.x + r.width / 2, r.y + r.height / 2])({node}.getBoundingClientRect())")

    def click(self, selector):
        """Press and release the mouse."""
        self.drag(selector, 0, 0)

    def drag(self, selector, dx, dy, touch=False):
        """Drag an element by so many pixels of the screen, with the mouse or a finger, in steps."""
        x, y = self.middle(selector)
        path = [(x + dx * k / 4, y + dy * k / 4) for k in range(5)]
        if touch:
            for kind, points in (
                ("touchStart", path[:1]),
                *(("touchMove", [p]) for p in path[1:]),
                ("touchEnd", []),
            ):
                touches = [{"x": x, "y": y} for x, y in points]
                self.call("Input.dispatchTouchEvent", type=kind, touchPoints=touches)
            return
        button = {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, **button)
        for px, py in path[1:]:
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=px, y=py, buttons=1, **button)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x + dx, y=y + dy, **button)

    def press(self, selector, key, times=1, shift=False):
        """Focus an element and press a key."""
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        code = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key], "modifiers": 8 if shift else 0}
        if key == "Enter":
            code["text"] = "\r"  # without it, no button is pressed
        for _ in range(times):
            for kind in ("keyDown", "keyUp"):
                self.call("Input.dispatchKeyEvent", type=kind, **code)

    def picture(self, path, full=True):
        """Write a screenshot."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full)["data"]
        path.write_bytes(base64.b64decode(data))
