"""What the scripts of the page of new jobs say. {name} is filled in by them."""

from django.utils.translation import gettext as _


def texts() -> dict[str, str]:
    return {
        # Of a recording.
        "reading": _("Reading…"),
        "queued": _("Waits for its turn"),
        "uploading": _("Uploading: {percent}"),
        "paused": _("Paused at {percent}"),
        "lost": _("Stopped at {percent}. Choose the file again to go on."),
        "checking": _("Uploaded; being read…"),
        "ready": _("Ready"),
        "address": _("Fetched when you start; priced then"),
        "ordering": _("Ordering…"),
        "will_start": _("{state} · starts by itself"),
        "ordered": _("Ordered"),
        "unknown_length": _("length unknown"),
        "broke": _("The connection broke. Try again."),
        "offline": _("No connection. It goes on by itself once there is one."),
        "too_large": _("This file has {size}; at most {limit} are taken."),
        "too_long": _("This recording is {length} long; at most {limit} are taken."),
        "gone": _("The upload is no longer there; choose the file again."),
        "empty": _("This file is empty."),
        "bad_address": _("Enter a full address, such as https://example.org/song.wav."),
        # Names of buttons, for those who do not see the icons.
        "pause": _("Pause {name}"),
        "resume": _("Go on with {name}"),
        "retry": _("Try {name} again"),
        "remove": _("Remove {name}"),
        "choose_again": _("Choose {name} again"),
        "open_job": _("Open the job of {name}"),
        # Of all of them.
        "twice": _("{name} is in the list already."),
        "left_out": _("Skipped, as neither audio nor video: {count}"),
        "too_many": _("At most {count} recordings are taken at once."),
        "started": _("Ordered: {name}"),
        "to_the_jobs": _("To the jobs"),
        "said_ready": _("{name}: uploaded"),
        "said_refused": _("{name}: {problem}"),
        # Of the sum.
        "cost": _("{credits} credits"),
        "cost_about": _("About {credits} credits"),
        "cost_unknown": _("Known once the length is known"),
        "cost_more": _("without length yet: {count}"),
        "balance": _("{credits} credits left"),
        "time": _("First result in about {time}"),
        "recordings": _("Recordings: {count}"),
        "seconds": _("{count} s"),
        "minutes": _("{count} min"),
        "hours": _("{count} h"),
        # Why nothing can be started.
        "reason_none": _("Add a recording first."),
        "reason_left": _("Everything here is ordered. Add another recording."),
        "reason_failed": _("None of these recordings can be used."),
        "reason_credits": _("You need {needed} credits and have {available}."),
        "reason_field": _("An option is not right: {problem}"),
        "start_one": _("Start"),
        "start_many": _("Start {count} jobs"),
        "clock": _("Write this as minutes and seconds, such as 1:30."),
        "end_first": _("This must be after the start."),
    }
