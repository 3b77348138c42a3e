"""Take a song apart: python separate.py song.mp3

Needs `pip install ./clients/python`, and STEMWRIGHT_API_KEY and STEMWRIGHT_BASE_URL in the
environment.
"""

import sys

from stemwright import Client

with Client() as client:
    # Small files go in one call, large ones in pieces; a broken connection is taken up again.
    asset = client.assets.upload(sys.argv[1])

    # The price is held now and charged if the job succeeds, once, whatever happens on the way.
    job = client.jobs.create(asset=asset.id, stems=["vocals", "instrumental"])

    # Raises JobFailed if it does not succeed.
    job = client.jobs.wait(job.id, on_progress=lambda job: print(f"{job.progress:.0%}"))

    # Each file is compared with its SHA-256 before it gets its name.
    for path in client.jobs.download(job, "out").values():
        print(path)
    print(f"{job.credits_charged} credits")
