# SPDX-License-Identifier: Apache-2.0
import pytest

from stxbuildah.directive.openstackcfg import parse_openstack_config
from stxbuildah.errors import ProblemsError
from stxbuildah.model.wheelbuild import RequirementPlaces


def test_every_key() -> None:
    places = parse_openstack_config(
        'STABLE_OPENSTACK_REQ_URL="requirements/2025.1" # a folder\n'
        "MASTER_OPENSTACK_REQ_URL=https://h/requirements/master\n"
        "STABLE_OPENSTACK_REQ_URL_PY2='file:///srv/old'\n",
        "o.cfg",
    )
    assert places == RequirementPlaces(
        stable="requirements/2025.1", master="https://h/requirements/master", stable_python2="file:///srv/old"
    )
    found = [places.of(stream, python2=python2) for stream in ("stable", "dev") for python2 in (False, True)]
    assert found == ["requirements/2025.1", "file:///srv/old", "https://h/requirements/master", ""]


def test_all_mistakes_at_once() -> None:
    with pytest.raises(ProblemsError) as caught:
        parse_openstack_config(
            "STABLE_OPENSTACK_URL=x\nSTABLE_OPENSTACK_REQ_URL='a b'\nMASTER_OPENSTACK_REQ_URL=ftp://h/x\n"
            "MASTER_OPENSTACK_REQ_URL_PY2=$HERE/x\nrm -rf x\n",
            "o.cfg",
        )
    assert [str(problem) for problem in caught.value.problems] == [
        "o.cfg:1:1: STABLE_OPENSTACK_URL is not a key of openstack.cfg; did you mean STABLE_OPENSTACK_REQ_URL?",
        "o.cfg:2:1: STABLE_OPENSTACK_REQ_URL: a URL or folder without blanks is expected",
        (
            "o.cfg:3:1: MASTER_OPENSTACK_REQ_URL: 'ftp://h/x' is no URL that constraints can be fetched from: "
            "http://, https:// or file://"
        ),
        "o.cfg:4:1: MASTER_OPENSTACK_REQ_URL_PY2 uses HERE, which this file does not set: write the value out",
        "o.cfg:5:1: 'rm' is a command; only KEY=value is allowed here, with no blank before =",
    ]
