from whitenoise.storage import CompressedManifestStaticFilesStorage


class PageStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """Files by names that change with what is in them; imports between ES modules too."""

    support_js_module_import_aggregation = True
