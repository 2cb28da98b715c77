"""The certificates of a run, and the report that shows them."""

from __future__ import annotations

from snaptune.evaluation.report import with_certificates
from snaptune.export.certificate import Certificate, Unverified, from_json
from snaptune.run_folder import Run, read_json, read_text, write_bytes, write_json


def certificates_of(run: Run) -> list[Certificate | Unverified]:
    """One for each format that the run was exported to."""
    return [from_json(read_text(path), str(path)) for path in run.certificate_files()]


def show_certificates(run: Run) -> None:
    """Bring `report.html` and `report.json` up to date, where the run has them."""
    certificates = certificates_of(run)
    if run.report_file.is_file():
        page = read_text(run.report_file)
        shown = with_certificates(page, certificates, run.calibration().temperature)
        write_bytes(run.report_file, shown.encode())
    if run.report_json.is_file():
        exports = [certificate.to_json() for certificate in certificates]
        write_json(run.report_json, read_json(run.report_json) | {"exports": exports})
