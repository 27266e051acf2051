"""One broker instead of both, where the other would prove nothing more or only take time."""

import pytest

ON_KAFKA = pytest.mark.parametrize("broker", ["kafka_node"], ids=["kafka"], indirect=True)
ON_EMBEDDED = pytest.mark.parametrize(
    "broker", ["embedded_broker"], ids=["embedded"], indirect=True
)
