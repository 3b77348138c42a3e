"""Tempo, key and notes of music."""

from separation.music.analysis import analyse
from separation.music.key import Key
from separation.music.notes import Note
from separation.music.result import MusicAnalysis, Transcription
from separation.music.tempo import Tempo
from separation.music.transcription import transcribe

__all__ = [
    "Key",
    "MusicAnalysis",
    "Note",
    "Tempo",
    "Transcription",
    "analyse",
    "transcribe",
]
