from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "jobs"

    def ready(self) -> None:
        from billing.selectors import discrepancies_add
        from jobs.message_styles import style_register
        from jobs.native_messages import NativeStyle
        from jobs.selectors import HOLDS_OF_ENDED_JOBS

        discrepancies_add(query=HOLDS_OF_ENDED_JOBS)
        style_register(NativeStyle())
