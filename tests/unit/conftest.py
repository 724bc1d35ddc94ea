"""What unit tests of several rooms share: the MNI152 template, which takes seconds to load."""

from __future__ import annotations

import pytest

from pirta.cohort.template import Template, load_template
from pirta.imaging.atlas_registration import AtlasImage
from pirta.pipelines.territory_maps import load_atlas


@pytest.fixture(scope="session")
def template() -> Template:
    """The MNI152 template, loaded once."""
    return load_template()


@pytest.fixture(scope="session")
def atlas(template: Template) -> AtlasImage:
    """The template to register to."""
    return load_atlas(template)
