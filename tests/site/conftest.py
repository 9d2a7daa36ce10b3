"""The public site in the tests' own process, with its real content and the demonstration's configuration."""

import pytest

from tests.support.visit import Visitor, open_site


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Visitor:
    """A visitor of the site with every language, for all tests that only read."""
    return open_site(tmp_path_factory.mktemp("site"))
