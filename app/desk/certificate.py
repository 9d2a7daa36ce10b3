"""The certificate of a desk on a network: until which day browsers take it, and whether it is for the desk's name.

Only the file of the certificate is read, never its key. A desk whose certificate has expired is reached by nobody: the
desk has asked browsers to accept no other connection (RFC 6797).
"""

from datetime import date

from cryptography.x509 import (
    Certificate,
    DNSName,
    ExtensionNotFound,
    SubjectAlternativeName,
    load_pem_x509_certificates,
)

from app.delivery.clock import days_left, nz_day
from app.desk.config import HostConfig
from app.desk.labels import days_label

_WARNING_DAYS = 21  # many authorities give certificates for 90 days, and renew them after 60


def certificate_sentences(host: HostConfig | None, now: float) -> list[str]:
    """Return what to do about the certificate at `now` (Unix seconds); nothing for a desk on loopback."""
    if host is None:
        return []
    try:
        certificate = load_pem_x509_certificates(host.cert.read_bytes())[0]
    except (OSError, ValueError):
        return ["The certificate of this desk cannot be read. Check the file that tls_cert in desk.toml names."]
    sentences = []
    days = days_left(_last_day(certificate), now)
    if days < 0:
        sentences.append("The certificate of this desk has expired, so no browser opens the desk. Renew it now.")
    elif days <= _WARNING_DAYS:
        when = f"in {days_label(days)}" if days else "today"
        sentences.append(f"The certificate of this desk expires {when}. Renew it, then start the desk again.")
    if not _is_for(certificate, host.name):
        sentences.append(f"The certificate of this desk is not for {host.name}. Use a certificate for this name.")
    return sentences


def _last_day(certificate: Certificate) -> date:
    return nz_day(certificate.not_valid_after_utc.timestamp())


def _is_for(certificate: Certificate, name: str) -> bool:
    """Return whether one of the names in a certificate is this one; `*` stands for the first label (RFC 9525, 6.3)."""
    try:
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except ExtensionNotFound:
        return False
    known = {one.lower() for one in names.get_values_for_type(DNSName)}
    return name in known or f"*.{name.partition('.')[2]}" in known
