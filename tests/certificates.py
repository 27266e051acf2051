"""Keys as servers and clients want them."""

import trustme
from cryptography.hazmat.primitives import serialization


def pkcs8(certificate: trustme.LeafCert, password: bytes | None = None) -> bytes:
    """The key of a certificate as PKCS #8 in PEM, which Java reads, encrypted if wanted."""
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )
