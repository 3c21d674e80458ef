"""Calls at a simulated Twilio: they ring at the hub's webhook, follow its TwiML, and tell how they ended.

Sources: "Twilio's request to your application", "TwiML: <Gather>", "<Record>", "Recording status callback",
"Call resource: StatusCallback" (twilio.com/docs/voice).
"""

import asyncio
import io
import json
import math
import struct
import wave
from dataclasses import dataclass, field
from typing import Any

from simulators.phones import new_sid
from simulators.twilio_state import Simulator
from simulators.twiml import Do, Heard, hear

RATE = 8_000  # samples a second of a telephone
KEPT = 100  # recordings; the demo forgets the oldest
LOST = Heard(says=("An application error has occurred. Goodbye.",), do=Do.HANG_UP)


@dataclass(slots=True, kw_only=True)
class Call:
    """One call. Act on it with `press`, `say`, `speak`, `wait` and `hang_up`, as what was heard allows."""

    simulator: Simulator
    number: str
    sid: str = field(default_factory=lambda: new_sid("CA"))
    heard: Heard = LOST
    story: list[str] = field(default_factory=list)  # every sentence heard
    posts: list[dict[str, Any]] = field(
        default_factory=list
    )  # what the hub was told: {url, form, status, answer}
    is_over: bool = False
    seconds: int = 0

    @property
    def recordings(self) -> dict[str, bytes]:
        """All that this provider keeps."""
        return self.simulator.recordings

    async def ring(self) -> None:
        """The first request."""
        await self._go(self.simulator.config.voice_url, "ringing")

    async def press(self, digits: str) -> None:
        """Keys, as far as the question takes them. Raises ValueError when nothing is asked."""
        ways = self._asked()
        finish = ways.get("finishOnKey", "#")
        keys = digits.partition(finish)[0] if finish else digits
        form = {
            "Digits": keys[: int(ways.get("numDigits", "64"))],
            "FinishedOnKey": finish if finish in digits else "",
            "msg": "Gather End",
        }
        await self._go(ways["action"], "in-progress", **form)

    async def say(self, words: str, confidence: str = "0.91") -> None:
        """Speech, where the question understands it; else it is silence."""
        ways = self._asked()
        if "speech" not in ways.get("input", ""):
            await self.wait()
            return
        await self._go(ways["action"], "in-progress", SpeechResult=words, Confidence=confidence)

    async def wait(self) -> None:
        """Do nothing until the question, or the recording, is over."""
        if self.heard.do is Do.GATHER and self.heard.ways.get("actionOnEmptyResult") == "true":
            await self._go(self.heard.ways["action"], "in-progress", Digits="")
        else:
            await self._go(self.heard.otherwise, "in-progress")

    async def speak(self, words: str = "", *, seconds: int = 3, hangs_up: bool = False) -> None:
        """Speak after the tone, then press hash, or hang up while speaking; `words` is what a machine understands."""
        if self.heard.do is not Do.RECORD:
            raise ValueError("nothing is being recorded")
        ways, live = self.heard.ways, self.heard.live
        seconds = min(seconds, int(ways.get("maxLength", "3600")))
        sid, self.seconds = new_sid("RE"), self.seconds + seconds
        self.recordings[sid] = tone(seconds)
        while len(self.recordings) > KEPT:
            del self.recordings[next(iter(self.recordings))]
        about = {
            "RecordingSid": sid,
            "RecordingUrl": self._recording_url(sid),
            "RecordingDuration": str(seconds),
        }
        if words and live:
            await self._live(live["statusCallbackUrl"], words)
        if hangs_up:
            self.is_over = True
        await self._go(ways["action"], "completed" if hangs_up else "in-progress", **about,
                       Digits="hangup" if hangs_up else "#")  # fmt: skip
        await self._told(ways.get("recordingStatusCallback", ""), **about, RecordingStatus="completed",
                         RecordingChannels="1", RecordingSource="RecordVerb")  # fmt: skip
        if words and ways.get("transcribe") == "true":
            await self._told(
                ways.get("transcribeCallback", ""), **about, TranscriptionSid=new_sid("TR"), TranscriptionText=words,
                TranscriptionStatus="completed", TranscriptionType="fast",
            )  # fmt: skip
        if hangs_up:
            await self._ended()

    async def hang_up(self) -> None:
        """The caller has gone: whatever was asked stays without an answer."""
        if not self.is_over:
            self.is_over = True
            await self._ended()

    async def repeat(self, n: int = -1) -> int:
        """The n-th post once more, byte for byte; the hub's status."""
        post = self.posts[n]
        status, _ = await self.simulator.callbacks.post(post["url"], post["form"])
        return status

    async def _go(self, url: str, status: str, **form: str) -> None:
        """Tell the hub and follow what it answers; redirects at once, as Twilio does."""
        for _ in range(10):
            code, text = await self._post(url, self._usual() | {"CallStatus": status} | form)
            try:
                self.heard = hear(text) if code == 200 else LOST
            except ValueError as error:
                self.heard = LOST
                self.story.append(str(error))
            self.story += self.heard.says
            if self.is_over or self.heard.do is not Do.REDIRECT:
                break
            url, form = self.heard.otherwise, {}
        if self.heard.do is Do.HANG_UP and not self.is_over:
            self.is_over = True
            await self._ended()

    async def _ended(self) -> None:
        form = self._usual() | {
            "CallStatus": "completed",
            "CallDuration": str(self.seconds + 12),
            "Duration": "1",
        }
        await self._post(f"{self.simulator.config.voice_url}/status", form)

    async def _told(self, url: str, **form: str) -> None:
        if url:
            about = {
                "AccountSid": self.simulator.config.account_sid,
                "CallSid": self.sid,
                "ApiVersion": "2010-04-01",
            }
            await self._post(url, about | form)

    async def _live(self, url: str, words: str) -> None:
        """Sentence by sentence while the caller speaks ("Real-Time Transcriptions")."""
        sid = new_sid("GT")
        for n, sentence in enumerate(part for part in words.split("\n") if part):
            data = json.dumps({"transcript": sentence, "confidence": 0.92}, ensure_ascii=False)
            await self._told(url, TranscriptionSid=sid, TranscriptionEvent="transcription-content",
                             TranscriptionData=data, SequenceId=str(n + 2), Track="inbound_track", Final="true")  # fmt: skip

    async def _post(self, url: str, form: dict[str, str]) -> tuple[int, str]:
        status, text = await self.simulator.callbacks.post(url, form)
        self.posts.append({"url": url, "form": form, "status": status, "answer": text})
        return status, text

    def _usual(self) -> dict[str, str]:
        config = self.simulator.config
        return {
            "AccountSid": config.account_sid, "ApiVersion": "2010-04-01", "CallSid": self.sid, "Direction": "inbound",
            "From": self.number, "Caller": self.number, "To": config.number, "Called": config.number,
            "FromCountry": "CN", "CallerCountry": "CN", "FromCity": "", "ToCountry": "CN", "CalledCountry": "CN",
        }  # fmt: skip

    def _recording_url(self, sid: str) -> str:
        config = self.simulator.config
        return f"{config.api_url}/2010-04-01/Accounts/{config.account_sid}/Recordings/{sid}"

    def _asked(self) -> dict[str, str]:
        if self.heard.do is not Do.GATHER:
            raise ValueError("nothing is asked")
        return dict(self.heard.ways)


async def play(call: Call, script: list[Any]) -> None:
    """Run a call by a list such as ["press:1", "say:河东村", "speak:20:水来了", "hang_up"]; a number waits seconds."""
    await call.ring()
    for act in script:
        if call.is_over:
            return
        name, _, rest = str(act).partition(":")
        if name == "press":
            await call.press(rest)
        elif name == "say":
            await call.say(rest)
        elif name in ("speak", "speak_and_go"):
            seconds, _, words = rest.partition(":")
            await call.speak(words, seconds=int(seconds or 3), hangs_up=name == "speak_and_go")
        elif name == "wait":
            await call.wait()
        elif name == "hang_up":
            await call.hang_up()
        else:
            await asyncio.sleep(float(name))


def tone(seconds: int) -> bytes:
    """A WAV file of a telephone's quality: a low tone, so that a player shows that something is there."""
    each = [int(6_000 * math.sin(2 * math.pi * 440 * n / RATE)) for n in range(RATE // 20)]
    frames = struct.pack(f"<{len(each)}h", *each) * (20 * seconds)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(frames)
    return out.getvalue()
