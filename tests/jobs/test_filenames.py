import pytest

from jobs.filenames import plain_filename


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Lied für Elise.wav", "Lied für Elise.wav"),
        ("../../etc/take 1.wav", "take 1.wav"),
        (r"C:\music\a.wav", "a.wav"),
        ("a\0b\nc\x1b[1m\ud800\u202e.wav", "abc[1m.wav"),
        ("می\u200cخواهم.mp3", "می\u200cخواهم.mp3"),
        ("/", ""),
        ("x" * 300, "x" * 255),
    ],
)
def test_a_name_can_be_shown_and_stored(text: str, expected: str):
    assert plain_filename(text) == expected
