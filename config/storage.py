"""Static files under hashed names, cached for ever by browsers; packages' maps are not always shipped."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticStorage(CompressedManifestStaticFilesStorage):
    manifest_strict = False
    # Tabler's css names source maps and fonts that its package leaves out.
    support_js_module_import_aggregation = True
