"""The security headers that every answer of both programs carries, and the builder of their content policy.

Each program adds what is its own and sets each header once, by assignment. Source: OWASP Secure Headers Project.
"""

from collections.abc import Mapping


def content_security_policy(directives: Mapping[str, str]) -> str:
    """Return a Content-Security-Policy that allows nothing but `directives` (W3C CSP level 3)."""
    every = {"default-src": "'none'", **directives, "frame-ancestors": "'none'", "base-uri": "'none'"}
    return "; ".join(f"{name} {value}" for name, value in every.items())


def security_headers(policy: Mapping[str, str], *, permissions: str) -> dict[str, str]:
    """Return the headers of every answer; `policy` holds CSP directives, `permissions` the Permissions-Policy."""
    return {
        "Content-Security-Policy": content_security_policy(policy),
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": permissions,
        "X-DNS-Prefetch-Control": "off",
        "Cache-Control": "no-store",
    }
