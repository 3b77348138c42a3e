"""What the services do with a recording: one module for each."""

from jobs.heartbeat import Heartbeat
from jobs.models import Job, Service
from jobs.work import analysis, conversion, separation, speakers, transcription
from jobs.work.outputs import Made

__all__ = ["Made", "job_work"]

_WORK = {
    Service.SEPARATION: separation.work,
    Service.SPEAKER_EXTRACTION: speakers.work,
    Service.SPEAKER_DIARIZATION: speakers.work,
    Service.ENHANCEMENT: conversion.work,
    Service.CONVERSION: conversion.work,
    Service.ANALYSIS: analysis.work,
    Service.TRANSCRIPTION: transcription.work,
}


def job_work(job: Job, heartbeat: Heartbeat) -> Made:
    """Do what was ordered, and put the files into storage under this attempt's own prefix."""
    return _WORK[Service(job.service)](job, heartbeat)
