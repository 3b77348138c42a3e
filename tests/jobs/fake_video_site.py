"""`jobs.video_child` with one extractor more: that of a site whose pages are JSON on loopback."""

import json
import sys
from typing import Any

from jobs import video_child


def suitable(request: video_child.Request) -> list[Any]:
    import yt_dlp.extractor
    from yt_dlp.extractor.common import InfoExtractor

    class FakeSiteIE(InfoExtractor):  # type: ignore[misc]
        _VALID_URL = r"https?://[^/]+/watch/(?P<id>\w+)"

        def _real_extract(self, url: str) -> dict[str, Any]:
            video_id = self._match_id(url)
            page = self._download_json(url, video_id)
            if "program" in page:
                import subprocess

                subprocess.run([page["program"]], check=True)
            if "elsewhere" in page:
                return self.url_result(page["elsewhere"])  # type: ignore[no-any-return]
            return {"id": video_id, "title": "A talk:\0 1/2\ud800", "ext": "wav", **page}

    real = yt_dlp.extractor.get_info_extractor
    yt_dlp.extractor.get_info_extractor = lambda name: (
        FakeSiteIE if name == "FakeSite" else real(name)
    )
    return real_suitable(request)


real_suitable = video_child._suitable
video_child._suitable = suitable

if __name__ == "__main__":
    request = video_child.Request(**json.loads(sys.argv[1]))
    sys.stdout.write(json.dumps(video_child.main(request)))
